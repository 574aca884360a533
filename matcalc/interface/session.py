"""A session: statements one after the other, each remembered, each with an answer.

The REPL, ``matcalc run`` and :meth:`Session.run` are this one thing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ..calculus.system import system
from ..errors import MatcalcError, ParseError
from ..language.elaborate import Elaborated, Elaboration, elaborate
from ..language.parser import parse_syntax
from ..language.syntax import Node
from ..rewriting.steps import Step, joined, stepwise
from ..terms.term import Term
from .derivative import Derivative
from .expr import Expr, IndexNames
from .library import Comparison, compare_terms
from .operations import FORMS, new_scope
from .solution import Solved, solve_nodes


@dataclass
class Answer:
    """What a statement gave.

    ``kind`` is ``declaration``, ``definition``, ``assumption``, ``expression``, ``derivative``,
    ``steps``, ``solution`` or ``identity``; ``value`` the object behind it.
    """

    kind: str
    statement: str
    value: Any = None
    label: str = ""
    assumed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """What a terminal shows."""
        from ..output.derivation import text_equations, text_steps

        told = [f"assumed {name}: {type_}" for name, type_ in self.assumed.items()] + self.notes
        if isinstance(self.value, Derivative):
            conditions = [f"where {Expr(t).unicode()} is {fact}" for t, fact in self.value.conditions]
            return [*told, *self.value.notes, self.value.unicode(), *conditions]
        if isinstance(self.value, Solved):
            return [*told, self.value.unicode(), *(f"where {c}" for c in self.value.conditions)]
        if isinstance(self.value, Expr):
            return [*told, self.value.unicode()]
        if isinstance(self.value, Steps):
            return [*told, *self.value.lines()]
        if isinstance(self.value, Comparison):
            return [*told, repr(self.value)]
        _ = text_equations, text_steps
        return told

    def __str__(self) -> str:
        return "\n".join(self.lines())


@dataclass
class Steps:
    """A derivation to be read: of a derivative, of a simplification, of a solution."""

    steps: list[Any]
    names: IndexNames
    of: Any = None

    def lines(self) -> list[str]:
        """One line a step."""
        from ..output.derivation import text_equations, text_steps

        if isinstance(self.of, Solved):
            return text_equations(self.steps, self.names)
        return text_steps(self.steps, self.names)

    def latex(self) -> str:
        """The derivation, aligned."""
        from ..output.derivation import latex_equations, latex_steps

        if isinstance(self.of, Solved):
            return latex_equations(self.steps, self.names)
        return latex_steps(self.steps, self.of, self.names)


class Session:
    """Statements share declarations, definitions and assumptions."""

    def __init__(self) -> None:
        self.scope = new_scope()
        self.names: IndexNames = ()
        self.last: Answer | None = None

    def run(self, text: str) -> list[Answer]:
        """Run a script; the answers in order.  Raises :class:`MatcalcError` with the place of what is wrong."""
        tree = parse_syntax(text, "script")
        return [self._statement(node, text) for node in tree.nodes()]

    def run_each(self, text: str, show: Callable[[Answer], None]) -> None:
        """Run a script, showing each answer as soon as it is there."""
        for node in parse_syntax(text, "script").nodes():
            show(self._statement(node, text))

    def _statement(self, node: Node, text: str) -> Answer:
        statement = text[node.start : node.end]
        try:
            answer = _STATEMENTS[node.kind](self, node, text)
        except MatcalcError as error:
            raise error.locate(text, node.start, node.end) from None
        answer.statement = statement
        if answer.value is not None:
            self.last = answer
        return answer

    def _remember(self, read: Elaborated | Elaboration) -> None:
        self.names = tuple(dict.fromkeys((*self.names, *read.index_names)))

    # ------------------------------------------------------------ statements

    def _declaration(self, node: Node, text: str) -> Answer:
        self.scope.declare_nodes(node.parts[0], node.parts[1], text)
        return Answer("declaration", "")

    def _definition(self, node: Node, text: str) -> Answer:
        left, right = node.parts
        question = _question(right)
        read = self.scope.define_nodes(left, right, text)
        if read is None:
            return Answer("definition", "")
        self._remember(read)
        name = text[left.start : left.end]
        _ = question
        return Answer("definition", "", Expr(read.term, self.names), name, read.assumed, read.notes)

    def _assume(self, node: Node, text: str) -> Answer:
        for condition in node.nodes():
            self.scope.assume(condition, text)
        return Answer("assumption", "")

    def _identity(self, node: Node, text: str) -> Answer:
        work = Elaboration(self.scope, text)
        left, right = node.parts
        work.unify(work.infer(left), work.infer(right))
        work.settle()
        self._remember(work)
        compared = compare_terms(self.scope, work.build(left), work.build(right))
        return Answer("identity", "", compared, assumed=dict(work.assumed))

    def _question(self, node: Node, text: str) -> Answer:
        asked = node.parts[0]
        if asked.kind == "name" and str(asked.parts[0]) == "steps" and self.last is not None:
            return self._steps_of(self.last)
        name = _question(asked)
        if name in FORMS:
            return Answer("derivative", "", self._derivative(asked, text))
        if name == "solve":
            return Answer("solution", "", self._solve(asked, text))
        if name == "steps":
            return self._steps(asked, text)
        read = elaborate(asked, text, self.scope)
        self._remember(read)
        return Answer("expression", "", Expr(read.term, self.names), assumed=read.assumed, notes=read.notes)

    def _extremum(self, node: Node, text: str) -> Answer:
        raise MatcalcError("extrema are not available yet; solve(D(f, x) = 0, x) gives the stationary points")

    # ------------------------------------------------------------ questions

    def _derivative(self, call: Node, text: str, route: str = "differential") -> Derivative:
        name, args = str(call.parts[0]), _args(call)
        if len(args) != 2:
            raise ParseError(f"{name} takes an expression and a variable: {name}(f, x)")
        function, wrt = elaborate(args[0], text, self.scope), elaborate(args[1], text, self.scope)
        self._remember(function)
        form = FORMS[name]
        return Derivative(
            system(self.scope.assumptions),
            function.term,
            wrt.term,
            form=form,
            route=route,
            names=self.names,
            assumed={**function.assumed, **wrt.assumed},
            notes=[*function.notes, *wrt.notes],
        )

    def _solve(self, call: Node, text: str) -> Solved:
        args = _args(call)
        if len(args) != 2:
            raise ParseError("solve takes an equation and an unknown: solve(A*x = b, x)")
        equations, unknowns = _listed(args[0]), _listed(args[1])
        return solve_nodes(equations, unknowns, text, self.scope, args[1].kind != "set")

    def _steps(self, call: Node, text: str) -> Answer:
        args = _args(call)
        route = "differential"
        if len(args) == 2 and args[1].kind == "name":
            route = str(args[1].parts[0])
        elif len(args) != 1:
            raise ParseError("steps takes a question: steps(D(f, x)), or steps(D(f, x), vec) by the route of vec")
        asked = args[0]
        name = _question(asked)
        if name in FORMS:
            found = self._derivative(asked, text, route)
            return Answer("steps", "", Steps(found.steps, self.names, found))
        if name == "solve":
            solved = self._solve(asked, text)
            return Answer("steps", "", Steps(solved.steps, self.names, solved))
        inside = _args(asked)[0] if name == "simplify" else asked
        read = elaborate(inside, text, self.scope)
        self._remember(read)
        return Answer("steps", "", Steps(self._simplification(read.term), self.names))

    def _simplification(self, term: Term) -> list[Step]:
        return joined(stepwise(system(self.scope.assumptions).simplifier, term))

    def _steps_of(self, answer: Answer) -> Answer:
        value = answer.value
        if isinstance(value, Derivative | Solved):
            return Answer("steps", "", Steps(value.steps, self.names, value))
        if isinstance(value, Expr):
            return Answer("steps", "", Steps(self._simplification(value.term), self.names))
        raise MatcalcError("the last answer has no steps")


def _question(node: Node) -> str:
    """The name of a call, or nothing."""
    return str(node.parts[0]) if node.kind == "call" else ""


def _args(call: Node) -> list[Node]:
    return list(call.parts[1].nodes()) if call.parts[1] is not None else []


def _listed(node: Node) -> list[Node]:
    return list(node.parts[0].nodes()) if node.kind == "set" else [node]


_STATEMENTS: dict[str, Callable[[Session, Node, str], Answer]] = {
    "declaration": Session._declaration,
    "definition": Session._definition,
    "assume": Session._assume,
    "identity": Session._identity,
    "extremum": Session._extremum,
    "question": Session._question,
}
