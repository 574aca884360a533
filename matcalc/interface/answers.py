"""What a session answers: the value, its text, its conditions, its derivation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..output.derivation import (
    data_condition,
    data_equations,
    data_known_condition,
    data_proof,
    data_steps,
    latex_equations,
    latex_steps,
    needed,
    text_condition,
    text_equations,
    text_steps,
)
from .convexity import Convexity
from .derivative import Derivative
from .expr import Expr, IndexNames
from .extremum import Extremum
from .library import Comparison
from .solution import Solved

WIDTH = 100
"""A statement and its answer share a line of a transcript up to this length."""


@dataclass
class Steps:
    """A derivation to be read: of a derivative, of a simplification, of a solution."""

    steps: list[Any]
    names: IndexNames
    of: Derivative | Solved | Expr | Convexity

    def lines(self) -> list[str]:
        """One line a step."""
        if not self.steps and not isinstance(self.of, Extremum):
            return ["nothing to do: the expression is simplified as it stands"]
        if isinstance(self.of, Convexity | Extremum):
            return self.of.lines()
        return (text_equations if isinstance(self.of, Solved) else text_steps)(self.steps, self.names)

    def latex(self) -> str:
        """The derivation, aligned."""
        if isinstance(self.of, Convexity | Extremum):
            return self.of.latex(steps=True)
        if isinstance(self.of, Solved):
            return latex_equations(self.steps, self.names)
        wrt = self.of.wrt.term if isinstance(self.of, Derivative) else None
        return latex_steps(self.steps, wrt, self.names)

    def to_json(self) -> list[dict[str, Any]]:
        """The steps as plain data."""
        if isinstance(self.of, Convexity):
            return data_proof(self.steps, self.names)
        return (data_equations if isinstance(self.of, Solved) else data_steps)(self.steps, self.names)


@dataclass
class Answer:
    """What a statement gave.

    ``kind`` is ``declaration``, ``definition``, ``assumption``, ``expression``, ``derivative``,
    ``steps``, ``solution``, ``identity``, ``convexity``, or ``latex``, ``code``, ``check`` for what was asked about
    the answer before; ``value`` is the object behind it.  ``start`` and ``end`` are the place of the
    statement in the text.
    """

    kind: str
    statement: str = ""
    value: Derivative | Solved | Expr | Steps | Comparison | Convexity | str | None = None
    label: str = ""
    assumed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    start: int = 0
    end: int = 0

    def told(self) -> list[str]:
        """What was assumed, and remarks, as comments."""
        more = self.value.notes if isinstance(self.value, Derivative) else []
        assumed = [f"# assumed {name}: {type_}" for name, type_ in self.assumed.items()]
        return assumed + [f"# {note}" for note in dict.fromkeys([*self.notes, *more])]

    def text(self) -> list[str]:
        """The answer itself."""
        value = self.value
        if value is None:
            return []
        if isinstance(value, str):
            return value.rstrip("\n").split("\n")
        if isinstance(value, Steps):
            return value.lines()
        if isinstance(value, Comparison):
            return [repr(value)]
        if isinstance(value, Extremum):
            return [value.unicode(), value.because()]
        if isinstance(value, Solved) and self.kind == "definition":
            return [expr.unicode() for expr in value.values.values()]
        return [value.unicode()]

    def conditions(self) -> list[str]:
        """What has to hold for the answer."""
        if isinstance(self.value, Derivative):
            return [text_condition(term, fact, self.value.names) for term, fact in self.value.conditions]
        if isinstance(self.value, Solved | Convexity):
            return needed(self.value.conditions, self.value.names)
        return []

    def lines(self) -> list[str]:
        """What a terminal shows."""
        return [*self.told(), *self.text(), *(f"where {condition}" for condition in self.conditions())]

    def transcript(self) -> list[str]:
        """Statement and answer together, as a script that is run shows them."""
        shown = self.text()
        asked = self.statement.split("\n")
        where = [f"  where {condition}" for condition in self.conditions()]
        if self.kind in ("expression", "derivative") or (self.kind == "definition" and shown and self._says_more()):
            line = f"{asked[0]} = {shown[0]}"
            if self.kind != "definition" and len(asked) == 1 and len(line) <= WIDTH:
                return [*self.told(), line, *where]
            return [*self.told(), *asked, f"  = {shown[0]}", *where]
        if self.kind == "definition":
            return [*self.told(), *asked]
        indent = "" if self.kind in ("latex", "code") else "  "
        return [*self.told(), *asked, *(indent + line for line in shown), *where]

    def _says_more(self) -> bool:
        """Whether the value of a definition is more than its right side."""
        right = "".join(self.statement.partition("=")[2].split())
        return right not in ("".join(line.split()) for line in (*self.text(), str(self.value)))

    def latex(self) -> str:
        """The answer as LaTeX; empty where there is none."""
        if self.value is None or isinstance(self.value, Comparison):
            return ""
        return self.value if isinstance(self.value, str) else self.value.latex()

    def to_json(self) -> dict[str, Any]:
        """The answer as plain data, ready for ``json.dumps``."""
        value = self.value
        data: dict[str, Any] = {
            "kind": self.kind,
            "statement": self.statement,
            "assumed": self.assumed,
            "notes": list(dict.fromkeys([*self.notes, *(value.notes if isinstance(value, Derivative) else [])])),
            "text": "\n".join(self.text()) if isinstance(value, Steps) or value is None else str(value),
            "latex": self.latex(),
            "conditions": json_conditions(value) if isinstance(value, Derivative | Solved | Convexity) else [],
        }
        if isinstance(value, Convexity):
            data["convexity"] = value.to_json()
        if isinstance(value, Extremum):
            data["extremum"] = value.to_json()
        if isinstance(value, Steps):
            data["steps"] = value.to_json()
        if isinstance(value, Comparison):
            data["equal"] = value.equal
        if isinstance(value, Derivative | Expr):
            data["shape"] = list((value.expr if isinstance(value, Derivative) else value).shape)
        return data

    def __str__(self) -> str:
        return "\n".join(self.lines())


def json_conditions(value: Derivative | Solved | Convexity) -> list[dict[str, Any]]:
    """What has to hold for an answer, as plain data."""
    if isinstance(value, Solved | Convexity):
        return [data_known_condition(c, value.names) for c in dict.fromkeys(value.conditions)]
    return [data_condition(term, fact, value.names) for term, fact in value.conditions]
