"""What ``mc.extremum`` gives back: the point, how it was found, of which kind it is, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..bounds import bounded
from ..calculus.system import System, system
from ..errors import MatcalcError, NoClosedForm, ParseError
from ..language.elaborate import Elaboration
from ..language.parser import parse_syntax
from ..language.scope import Scope
from ..language.syntax import Node
from ..solving import extremum as solving
from ..solving.declared import declared
from ..solving.equation import Equation, Solution
from ..solving.proofs import ProofStep
from ..terms import ops
from ..terms.term import Term
from ..terms.walk import postorder, replace
from .expr import Expr, IndexNames
from .solution import Solved

if TYPE_CHECKING:
    from ..numeric.check import CheckResult

WANTED = {"extremum": None, "minimize": "minimum", "maximize": "maximum"}
"""The kind that each word asks for."""


class Extremum(Solved):
    """A stationary point of an objective, with its kind and the proof.

    ``kind`` is ``minimum``, ``maximum``, ``saddle`` or ``undecided``; it holds under ``conditions``.
    ``is_global`` and ``strict`` say how much is shown.
    """

    def __init__(
        self,
        rules: System,
        found: solving.Extremum,
        objective: Term,
        unknowns: Sequence[Term],
        constraints: Sequence[Equation],
        single: bool,
        names: IndexNames,
    ) -> None:
        solution = Solution(found.values, found.conditions, found.steps, found.equations, found.shown)
        super().__init__(rules, solution, unknowns, single, names)
        self.objective, self._constraints, self._point = Expr(objective, names), list(constraints), found.kind
        self._multipliers, self._labels, self._inner = found.multipliers, found.labels, found.inner

    @property
    def kind(self) -> str:
        """``minimum``, ``maximum``, ``saddle`` or ``undecided``."""
        return self._point.kind

    @property
    def is_global(self) -> bool:
        """No point of the set has a better value."""
        return self._point.is_global

    @property
    def strict(self) -> bool:
        """Every other point, near by where the extremum is local, has a worse value."""
        return self._point.strict

    @property
    def proof(self) -> list[ProofStep]:
        """Why the point is of its kind, one rule a line."""
        return list(self._point.steps)

    @property
    def multipliers(self) -> dict[str, Expr]:
        """The multipliers of the constraints, ``f + <λ, left - right>`` being stationary."""
        return {str(Expr(m)): Expr(v, self.names) for m, v in self._multipliers.items()}

    @property
    def value(self) -> Expr:
        """The objective at the point."""
        from ..calculus.present import present

        rules = system(self.system.assumptions | {(c.term, c.fact) for c in self.conditions})
        at = replace(self.objective.term, {u: self._found.values[u] for u in self._unknowns})
        return Expr(present(rules, rules.simplify(at)), self.names)

    @bounded
    def __str__(self) -> str:
        return f"{super().__str__()}  ({self._point})"

    def __repr__(self) -> str:
        return f"<extremum {self}>"

    def because(self) -> str:
        """The kind and the reason, on one line for the terminal."""
        if self.kind == "undecided":
            return "a stationary point; which kind it is, is not decided"
        words = ProofStep("", self._point.because).text(self.names)
        return f"{self._point}, because {words}" if words else str(self._point)

    @bounded
    def latex(self, steps: bool = False) -> str:
        """The point as LaTeX; with ``steps`` the whole way and the proof of its kind, aligned."""
        if not steps:
            return super().latex()
        from ..output.derivation import latex_extremum

        return latex_extremum(self.objective.term, self._starts(), self.steps, self.proof, self.names)

    def lines(self) -> list[str]:
        """The objective, the equations, their solution and the proof of the kind, one step a line."""
        from ..output.derivation import text_extremum

        return text_extremum(self.objective.term, self._starts(), self.steps, self.proof, self.names)

    def _starts(self) -> list[tuple[Equation, str]]:
        return list(zip(self._found.equations, self._labels, strict=True))

    def to_json(self) -> dict[str, Any]:
        """The kind with its proof as plain data."""
        from ..output.derivation import data_proof

        return {
            "kind": self.kind,
            "global": self.is_global,
            "strict": self.strict,
            "because": self.because(),
            "proof": data_proof(self.proof, self.names),
            "multipliers": {name: str(value) for name, value in self.multipliers.items()},
        }

    @bounded
    def check(self, trials: int = 3, seed: int = 0) -> CheckResult:
        """The equations at random data, then the objective at points around: none is better."""
        from ..solving.verify import check_extremum

        solved = super().check(trials, seed)
        if not solved:
            return solved
        return check_extremum(
            self.objective.term,
            {u: self._found.values[u] for u in self._unknowns},
            self._constraints,
            self.kind,
            self.conditions,
            self.system.assumptions,
            trials,
            seed,
        )

    def assignments(self) -> dict[Term, Term]:
        """Every unknown of the equations with its value, multipliers included."""
        return {**self._found.values, **self._inner}

    def _inputs(self) -> list[Term]:
        sides = [side for e in self._constraints for side in (e.left, e.right)]
        leaves = postorder(self.objective.term, *sides)
        return [t for t in leaves if t.op in (ops.SYM, ops.MEMBER) and t not in self._unknowns]


def extremum_of(
    scope: Scope,
    objective: Term,
    unknowns: Sequence[Term],
    constraints: Sequence[Equation],
    word: str,
    single: bool,
    names: IndexNames,
) -> Extremum:
    """The answer to ``extremum``, ``minimize`` or ``maximize``; the last two ask that the kind is shown."""
    for unknown in unknowns:
        if unknown.op not in (ops.SYM, ops.MEMBER):
            raise MatcalcError(f"an unknown is a variable, not {unknown}")
    rules = system(scope.assumptions)
    wanted = WANTED[word]
    objective, unknowns, constraints, met = declared(rules, objective, unknowns, constraints)
    found = solving.extremum(rules, objective, unknowns, constraints, wanted)
    found.equations += [equation for equation, _ in met]
    found.labels += [label for _, label in met]
    answer = Extremum(rules, found, objective, unknowns, constraints, single, names)
    if wanted is not None and answer.kind != wanted:
        shown = "of undecided kind" if answer.kind == "undecided" else f"a {answer.kind}"
        raise NoClosedForm(
            f"the stationary point {Solved.__str__(answer)} is {shown}, not shown to be a {wanted}",
            hint="extremum f over x gives the stationary point and its kind",
        )
    return answer


def extremum_nodes(node: Node, text: str, scope: Scope) -> tuple[Extremum, Elaboration]:
    """``extremum f over X, Y subject to A*x = b``, parsed already."""
    word, function, over, given = node.parts
    wanted, conditions = list(over.nodes()), list(given.nodes()) if given is not None else []
    work = Elaboration(scope, text)
    for one in (function, *wanted, *conditions):
        if one in conditions:
            _equality(one, text)
        work.infer(one)
    work.settle()
    objective = work.build(function)
    unknowns = [work.build(one) for one in wanted]
    constraints = [Equation(*work.sides(one)) for one in conditions]
    names = tuple(work.index_names)
    return extremum_of(scope, objective, unknowns, constraints, str(word), len(unknowns) == 1, names), work


def constraints_of(texts: str | Sequence[str], scope: Scope) -> list[Equation]:
    """Equalities given as text."""
    found: list[Equation] = []
    for text in [texts] if isinstance(texts, str) else texts:
        for node in parse_syntax(text, "script").nodes():
            if node.kind == "definition":
                node = Node("equation", node.parts, node.start, node.end)
            _equality(node, text)
            work = Elaboration(scope, text)
            work.infer(node)
            work.settle()
            found.append(Equation(*work.sides(node)))
    return found


def _equality(node: Node, text: str) -> None:
    if node.kind != "equation":
        error = ParseError("a constraint reads left = right", hint="inequalities are for mc.minimize, which iterates")
        error.locate(text, node.start, node.end)
        raise error
