"""What ``convexity(f, x)`` answers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..bounds import bounded
from ..calculus.system import system
from ..errors import MatcalcError, ShapeError
from ..language.scope import Scope
from ..solving.convexity import curvature
from ..solving.equation import Condition
from ..solving.proofs import ProofStep
from ..terms import build, ops
from ..terms.term import Term
from .expr import Expr, IndexNames


class Convexity:
    """Whether a scalar expression is convex in variables, jointly, on their declared set, with the proof.

    ``kind`` is ``convex``, ``concave``, ``affine``, ``neither`` (random points show it) or ``neither
    known``; it holds under ``conditions``, of which those that are not known are to be met.
    """

    def __init__(self, scope: Scope, function: Term, unknowns: Sequence[Term], names: IndexNames = ()) -> None:
        if not function.is_scalar:
            raise ShapeError(
                f"convexity is of a scalar; this is {build.show_shape(function.rows, function.cols)}",
                hint="ask for an entry, or for the sum of the entries",
            )
        for unknown in unknowns:
            if unknown.op not in (ops.SYM, ops.MEMBER):
                raise MatcalcError(f"convexity is asked in variables, not in {unknown}")
        self.function, self.unknowns, self.names = function, tuple(unknowns), names
        found = curvature(system(scope.assumptions), function, self.unknowns)
        self.kind, self.strict = found.kind, found.strict
        self.conditions: list[Condition] = list(found.conditions)
        self.steps: list[ProofStep] = list(found.steps)
        if self.kind == "neither known":
            from ..solving.counterexample import bends_both_ways

            if bends_both_ways(function, self.unknowns, scope.assumptions):
                self.kind = "neither"

    @property
    def _words(self) -> str:
        if self.kind == "neither":
            return "neither convex nor concave"
        if self.kind == "neither known":
            return "not known to be convex or concave"
        return f"strictly {self.kind}" if self.strict else self.kind

    @bounded
    def __str__(self) -> str:
        return f"{self._words} in {', '.join(str(Expr(u, self.names)) for u in self.unknowns)}"

    def __repr__(self) -> str:
        return f"<{self}>"

    @bounded
    def unicode(self) -> str:
        """One line for the terminal."""
        return f"{self._words} in {', '.join(Expr(u, self.names).unicode() for u in self.unknowns)}"

    @bounded
    def latex(self, steps: bool = False) -> str:
        """The answer as LaTeX; with ``steps`` the proof, line by line."""
        variables = ", ".join(Expr(u, self.names).latex() for u in self.unknowns)
        from ..output.latex import latex_words

        answer = f"{latex_words(self._words + ' in ')} {variables}"
        if not steps:
            return answer
        lines = [rf"& {step.latex(self.names)} && {latex_words(step.rule)}" for step in self.steps]
        return "\\begin{aligned}\n" + " \\\\\n".join([*lines, f"& {answer}"]) + "\n\\end{aligned}"

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def lines(self) -> list[str]:
        """The proof, one step a line."""
        from ..output.derivation import text_proof

        return text_proof(self.steps, self.names)

    def to_json(self) -> dict[str, Any]:
        """The answer as plain data."""
        from ..output.derivation import data_proof

        return {"kind": self.kind, "strict": self.strict, "steps": data_proof(self.steps, self.names)}
