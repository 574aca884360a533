"""What ``mc.solve`` gives back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from ..bounds import bounded
from ..calculus.system import System, system
from ..errors import MatcalcError, ParseError
from ..language.elaborate import Elaboration, parse_expression
from ..language.parser import parse_syntax
from ..language.scope import Scope
from ..language.syntax import Node
from ..solving.equation import Condition, Equation, Solution, SolveStep
from ..solving.general import general_solution
from ..solving.solve import solve as solve_terms
from ..terms import ops
from ..terms.term import Term
from ..terms.walk import postorder
from .expr import Expr, IndexNames

if TYPE_CHECKING:
    from ..compile.function import GeneratedFunction
    from ..numeric.check import CheckResult


class Solved:
    """The unknowns in terms of what is given, with conditions and steps.

    ``solution`` is an expression for one unknown, a dict of them for several.
    """

    def __init__(
        self, rules: System, found: Solution, unknowns: Sequence[Term], single: bool, names: IndexNames
    ) -> None:
        self.system = rules
        self._found, self._unknowns, self._single, self.names = found, list(unknowns), single, names

    @property
    def values(self) -> dict[str, Expr]:
        """Each unknown by its name."""
        return {str(Expr(u)): Expr(self._found.values[u], self.names) for u in self._unknowns}

    @property
    def solution(self) -> Expr | dict[str, Expr]:
        """The value of the unknown, or a dict of values."""
        return next(iter(self.values.values())) if self._single else self.values

    @property
    def conditions(self) -> list[Condition]:
        """What must hold, whether it is known, and why."""
        return self._found.conditions

    @property
    def notes(self) -> list[str]:
        """Remarks: what is free in a general solution."""
        return self._found.notes

    @property
    def steps(self) -> list[SolveStep]:
        """The way from the equations to the solution, each step a named strategy."""
        return self._found.steps

    @bounded
    def __str__(self) -> str:
        return "; ".join(f"{name} = {value}" for name, value in self.values.items())

    def __repr__(self) -> str:
        return f"<solution {self}>"

    @bounded
    def unicode(self) -> str:
        """One line for the terminal."""
        from ..output.text import to_unicode

        return self._with_names(to_unicode, "; ", " where ")

    def _with_names(self, write: Callable[[Term, IndexNames], str], between: str, where: str) -> str:
        """The values as they are printed: with other unknowns in them where that is shorter, large parts named once."""
        from ..output.naming import with_names

        found = self._found
        named = with_names([found.shown.get(u, found.values[u]) for u in self._unknowns], together=True)
        values, parts = zip(self._unknowns, named.terms, strict=True), named.parts
        told = [between.join(f"{write(a, self.names)} = {write(b, self.names)}" for a, b in p) for p in (values, parts)]
        return where.join(filter(None, told))

    @bounded
    def latex(self, steps: bool = False) -> str:
        """The solution as LaTeX; with ``steps`` the whole way, aligned."""
        if steps:
            from ..output.derivation import latex_equations

            return latex_equations(self.steps, self.names)
        from ..output.latex import to_latex

        return self._with_names(to_latex, r",\quad ", r" \quad\text{where } ")

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def _terms(self) -> Any:
        from ..output.text import to_text

        if self._single:
            return self._found.values[self._unknowns[0]]
        return {to_text(u): self._found.values[u] for u in self._unknowns}

    @bounded
    def code(self, backend: str = "numpy") -> str:
        """Source of a function that computes the solution."""
        from .backends import source

        return source(backend, self._terms(), "solution", self._inputs())

    @bounded
    def function(self, backend: str = "numpy") -> GeneratedFunction:
        """That function; for several unknowns it returns a dict."""
        from .backends import compiled

        return compiled(
            backend, self._terms(), "solution", self._inputs(), accept=[str(Expr(u)) for u in self._unknowns]
        )

    @bounded
    def check(self, trials: int = 3, seed: int = 0) -> CheckResult:
        """Puts the solution into the equations, at random data that meet the conditions; ``.ok``, ``.max_error``."""
        from ..solving.verify import check_solution

        found = self._found
        return check_solution(
            found.equations, self.assignments(), found.conditions, self.system.assumptions, trials, seed
        )

    def assignments(self) -> dict[Term, Term]:
        """Every unknown of the equations with its value."""
        return dict(self._found.values)

    def _inputs(self) -> list[Term]:
        sides = [side for e in self._found.equations for side in (e.left, e.right)]
        leaves = {t: None for t in postorder(*sides) if t.op in (ops.SYM, ops.MEMBER) and t not in self._unknowns}
        return list(leaves)


def solve_nodes(
    equations: Sequence[Node], unknowns: Sequence[Node], text: str, scope: Scope, single: bool, general: bool = False
) -> Solved:
    """Solve equations that are parsed already; ``general`` asks for all solutions of one affine equation."""
    work = Elaboration(scope, text)
    for node in (*equations, *unknowns):
        if node in equations and node.kind != "equation":
            error = ParseError("an equation reads left = right")
            error.locate(text, node.start, node.end)
            raise error
        work.infer(node)
    work.settle()
    read = [Equation(*work.sides(node)) for node in equations]
    wanted = [work.build(node) for node in unknowns]
    return _solved(read, wanted, scope, single, tuple(work.index_names), general)


def solve_equations(equations: str | Sequence[str], unknowns: Any, scope: Scope, general: bool = False) -> Solved:
    """Solve equations given as text; ``general`` asks for all solutions of one affine equation."""
    single = isinstance(unknowns, str | Expr)
    texts = [equations] if isinstance(equations, str) else list(equations)
    read: list[Equation] = []
    names: IndexNames = ()
    for text in texts:
        for node in parse_syntax(text, "script").nodes():
            if node.kind != "definition":
                raise ParseError("an equation reads left = right", text=text, start=node.start, end=node.end)
            equation = Node("equation", node.parts, node.start, node.end)
            work = Elaboration(scope, text)
            work.infer(equation)
            work.settle()
            read.append(Equation(*work.sides(equation)))
            names += tuple(work.index_names)
    wanted = [
        u.term if isinstance(u, Expr) else parse_expression(u, scope).term for u in ([unknowns] if single else unknowns)
    ]
    return _solved(read, wanted, scope, single, names, general)


def _solved(
    equations: list[Equation], unknowns: list[Term], scope: Scope, single: bool, names: IndexNames, general: bool
) -> Solved:
    for unknown in unknowns:
        if unknown.op not in (ops.SYM, ops.MEMBER):
            raise MatcalcError(f"an unknown is a variable, not {unknown}")
    rules = system(scope.assumptions)
    if general:
        if len(equations) != 1 or len(unknowns) != 1:
            raise MatcalcError("the general solution is of one equation in one unknown")
        return Solved(rules, general_solution(rules, equations[0], unknowns[0]), unknowns, single, names)
    return Solved(rules, solve_terms(rules, equations, unknowns), unknowns, single, names)
