"""A session: statements one after the other, each remembered, each with an answer.

The REPL, ``matcalc run`` and :meth:`Session.run` are this one thing.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from ..bounds import bounded
from ..calculus.system import system
from ..errors import LimitExceeded, MatcalcError, ParseError
from ..language.elaborate import (
    Elaborated,
    Elaboration,
    elaborate,
    elaborate_variable,
    parse_expression,
    parse_variable,
)
from ..language.parser import parse_syntax
from ..language.syntax import Node, is_flag, walk
from ..rewriting.steps import Step, joined, stepwise
from ..terms.symbols import Family, Symbol
from ..terms.term import Term
from .answers import Answer, Steps
from .convexity import Convexity
from .derivative import Derivative
from .expr import Expr, IndexNames
from .extremum import extremum_nodes
from .library import Comparison, compare_terms
from .operations import FORMS, is_apart, new_scope, reads_within
from .solution import Solved, solve_nodes

if TYPE_CHECKING:
    from ..numeric.check import CheckResult

LAST = "\u03a2"
"""The name behind ``_``: one character that the grammar takes for a letter and that no writing system has."""

_BLANK = re.compile(r"\$[^$]*\$|(?<![\w}])_(?![\w{])")


def _with_last(text: str) -> str:
    """The text with ``_`` made a name, character for character; LaTeX keeps its subscripts."""
    return _BLANK.sub(lambda found: LAST if found[0] == "_" else found[0], text)


class Session:
    """Statements share declarations, definitions and assumptions.

    A statement that fails changes nothing.  ``_`` is the last answer; ``steps``, ``latex``, ``code``
    and ``check`` alone are asked of it.
    """

    def __init__(self) -> None:
        self.scope = new_scope()
        self.names: IndexNames = ()
        self.last: Answer | None = None
        self._answers: dict[str, tuple[Term, Derivative | Solved]] = {}

    def run(self, text: str) -> list[Answer]:
        """Run a script; the answers in order.  Raises :class:`MatcalcError` with the place of what is wrong."""
        answers: list[Answer] = []
        self.run_each(text, answers.append)
        return answers

    def run_each(self, text: str, show: Callable[[Answer], None]) -> None:
        """Run a script, showing each answer as soon as it is there."""
        plain = unicodedata.normalize("NFC", text)
        with _readable(plain):
            marked = _with_last(plain)
            nodes = parse_syntax(marked, "script").nodes()
        with self.scope.expecting(nodes):
            self._run_statements(nodes, plain, marked, show)

    def _run_statements(self, nodes: list[Node], plain: str, marked: str, show: Callable[[Answer], None]) -> None:
        for node in nodes:
            with _readable(plain), self._undone_by_failure():
                answer = self._statement(node, marked)
            answer.start, answer.end = _place(node, plain)
            answer.statement = plain[answer.start : answer.end]
            show(answer)

    @contextmanager
    def _undone_by_failure(self) -> Iterator[None]:
        """A statement that fails, or is interrupted, leaves the session as it was."""
        kept = (self.scope.copy(), self.names, self.last, dict(self._answers))
        try:
            yield
        except BaseException:
            vars(self.scope).update(vars(kept[0]))
            self.names, self.last, self._answers = kept[1:]
            raise

    @bounded
    def _statement(self, node: Node, text: str) -> Answer:
        try:
            if LAST not in self.scope.definitions:
                _refuse_last(node, text)
            answer = _STATEMENTS[node.kind](self, node, text)
            self._conclude(answer)
        except MatcalcError as error:
            raise error.locate(text, node.start, node.end) from None
        return answer

    def _conclude(self, answer: Answer) -> None:
        """Find the answer now, so that its errors belong to the statement; ``_`` means it from now on."""
        answer.lines()
        if answer.value is None or isinstance(answer.value, str):
            return
        self.last = answer
        term = _term_of(answer.value)
        if term is not None:
            self.scope.definitions[LAST] = term

    def _remember(self, read: Elaborated | Elaboration) -> None:
        self.names = tuple(dict.fromkeys((*self.names, *read.index_names)))

    # ------------------------------------------------------------ statements

    def _declaration(self, node: Node, text: str) -> Answer:
        self.scope.declare_nodes(node.parts[0], node.parts[1], text)
        return Answer("declaration")

    def _definition(self, node: Node, text: str) -> Answer:
        left, right = node.parts
        if left.kind == "name" and _called(right) in (*FORMS, "solve"):
            return self._named_answer(left, right, text)
        if _called(right) == "convexity":
            raise MatcalcError("convexity answers a question; a name stands for an expression")
        read = self.scope.define_nodes(left, right, text)
        if read is None:
            return Answer("definition")
        self._remember(read)
        value = Expr(read.term, self.names)
        return Answer("definition", "", value, text[left.start : left.end], read.assumed, read.notes)

    def _named_answer(self, left: Node, right: Node, text: str) -> Answer:
        """``g = D(f, x)``: the name stands for the expression, and its derivation is kept."""
        asked = self._asked(right, text)
        value = asked.value
        assert isinstance(value, Derivative | Solved)
        term = _term_of(value)
        if term is None:
            raise MatcalcError("solve gives several values here; a name stands for one")
        before = self.scope.definitions.get(LAST)
        self.scope.definitions[LAST] = term
        self.scope.define_nodes(left, Node("name", [LAST], right.start, right.end), text)
        if before is not None:
            self.scope.definitions[LAST] = before
        name = text[left.start : left.end]
        self._answers[name] = (term, value)
        return Answer("definition", "", value, name, asked.assumed, asked.notes)

    def _assume(self, node: Node, text: str) -> Answer:
        for condition in node.nodes():
            self.scope.assume(condition, text)
        return Answer("assumption")

    def _identity(self, node: Node, text: str) -> Answer:
        work = Elaboration(self.scope, text)
        left, right = node.parts
        work.unify(work.infer(left), work.infer(right))
        work.settle()
        self._remember(work)
        compared = compare_terms(self.scope, work.build(left), work.build(right))
        return Answer("identity", "", compared, assumed=dict(work.assumed), notes=work.notes)

    def _question(self, node: Node, text: str) -> Answer:
        asked = node.parts[0]
        if asked.kind == "name":
            name = str(asked.parts[0])
            if name in COMMANDS and name not in self.scope.known():
                return self._command(name)
            kept = self._kept(name)
            if kept is not None:
                return Answer("solution" if isinstance(kept, Solved) else "derivative", "", kept)
        return self._asked(asked, text)

    def _asked(self, asked: Node, text: str) -> Answer:
        name = _called(asked)
        if name in FORMS:
            found = self._derivative(asked, text)
            return Answer("derivative", "", found, assumed=found.assumed)
        if name == "solve":
            return self._solve(asked, text)
        if name == "convexity":
            return self._convexity(asked, text)
        if name == "steps":
            return self._steps(asked, text)
        read = elaborate(asked, text, self.scope)
        self._remember(read)
        return Answer("expression", "", Expr(read.term, self.names), assumed=read.assumed, notes=read.notes)

    def _extremum(self, node: Node, text: str) -> Answer:
        found, work = extremum_nodes(node, text, self.scope)
        self._remember(work)
        return Answer("extremum", "", found, assumed=dict(work.assumed), notes=work.notes)

    # ------------------------------------------------------------ questions

    def _derivative(self, call: Node, text: str, route: str = "differential") -> Derivative:
        name, args = str(call.parts[0]), _args(call)
        structured = len(args) == 3 and is_flag(args[2])
        if len(args) != 2 and not structured:
            raise ParseError(f"{name} takes an expression and a variable: {name}(f, x), or {name}(f, X, structured)")
        function = elaborate(args[0], text, self.scope)
        wrt, family = elaborate_variable(args[1], text, self.scope, function.term)
        if is_apart(self.scope, wrt.term):
            function = reads_within(self.scope, lambda: elaborate(args[0], text, self.scope), wrt.term)
        self._remember(function)
        return self._make_derivative(function, wrt, family, FORMS[name], route, structured)

    def _make_derivative(
        self, function: Elaborated, wrt: Elaborated, family: Family | None, form: str, route: str, structured: bool
    ) -> Derivative:
        return Derivative(
            system(self.scope.assumptions),
            function.term,
            wrt.term,
            form=form,
            route=route,
            structured=structured,
            family=family,
            names=self.names,
            assumed={**function.assumed, **wrt.assumed},
            notes=list(dict.fromkeys([*function.notes, *wrt.notes])),
        )

    @bounded
    def derivative(
        self, expr: str, wrt: str, form: str = "auto", route: str = "differential", structured: bool = False
    ) -> Derivative:
        """A derivative of texts under what the session knows, as :func:`matcalc.derivative` gives it."""
        function = parse_expression(expr, self.scope)
        variable, family = parse_variable(wrt, self.scope, function.term)
        self._remember(function)
        return self._make_derivative(function, variable, family, form, route, structured)

    def _solve(self, call: Node, text: str) -> Answer:
        args = _args(call)
        general = len(args) == 3 and args[2].kind == "name" and args[2].parts[0] == "general"
        if len(args) != 2 and not general:
            raise ParseError("solve takes an equation and an unknown: solve(A*x = b, x), or solve(A*x = b, x, general)")
        equations, unknowns = _listed(args[0]), _listed(args[1])
        before = dict(self.scope.symbols)
        solved = solve_nodes(equations, unknowns, text, self.scope, args[1].kind != "set", general)
        assumed = newly_known(before, self.scope.symbols)
        return Answer("solution", "", solved, assumed=assumed, notes=solved.notes)

    def _convexity(self, call: Node, text: str) -> Answer:
        args = _args(call)
        if len(args) < 2:
            raise ParseError("convexity takes an expression and variables: convexity(f, x), convexity(f, {x, y})")
        function = elaborate(args[0], text, self.scope)
        wanted = [elaborate(a, text, self.scope).term for one in args[1:] for a in _listed(one)]
        self._remember(function)
        found = Convexity(self.scope, function.term, wanted, self.names)
        return Answer("convexity", "", found, assumed=function.assumed, notes=function.notes)

    def _steps(self, call: Node, text: str) -> Answer:
        args = _args(call)
        route = "differential"
        if len(args) == 2 and args[1].kind == "name":
            route = str(args[1].parts[0])
        elif len(args) != 1:
            raise ParseError("steps takes a question: steps(D(f, x)), or steps(D(f, x), vec) by the route of vec")
        asked = args[0]
        name = _called(asked)
        if name in FORMS:
            found = self._derivative(asked, text, route)
            return Answer("steps", "", Steps(found.steps, self.names, found), assumed=found.assumed, notes=found.notes)
        if name == "solve":
            answer = self._solve(asked, text)
            assert isinstance(answer.value, Solved)
            return Answer("steps", "", self._steps_of(answer.value), assumed=answer.assumed)
        if name == "convexity":
            answer = self._convexity(asked, text)
            assert isinstance(answer.value, Convexity)
            return Answer("steps", "", self._steps_of(answer.value), assumed=answer.assumed)
        kept = self._kept(str(asked.parts[0])) if asked.kind == "name" else None
        if kept is not None:
            return Answer("steps", "", self._steps_of(kept))
        inside = _args(asked)[0] if name == "simplify" and len(_args(asked)) == 1 else asked
        read = elaborate(inside, text, self.scope)
        self._remember(read)
        steps = self._steps_of(Expr(read.term, self.names))
        return Answer("steps", "", steps, assumed=read.assumed, notes=read.notes)

    def _simplification(self, term: Term) -> list[Step]:
        return joined(stepwise(system(self.scope.assumptions).simplifier, term))

    def _kept(self, name: str) -> Derivative | Solved | None:
        """The answer that a name was defined as, while the name still means it."""
        if name == LAST and self.last is not None and isinstance(self.last.value, Derivative | Solved):
            return self.last.value
        term, kept = self._answers.get(name, (None, None))
        return kept if term is not None and self.scope.definitions.get(name) is term else None

    # ------------------------------------------------------------ about the last answer

    def _command(self, name: str) -> Answer:
        if self.last is None or self.last.value is None:
            raise MatcalcError(f"there is no answer before, whose {name} could be shown")
        value = self.last.value
        if isinstance(value, Comparison | str):
            raise MatcalcError(f"the last answer has no {name}")
        if name == "steps":
            return Answer("steps", "", value if isinstance(value, Steps) else self._steps_of(value))
        if name == "latex":
            return Answer("latex", "", value.latex())
        of = value.of if isinstance(value, Steps) else value
        if name == "code" and not isinstance(of, Convexity):
            return Answer("code", "", of.code("numpy"))
        if name == "code":
            raise MatcalcError("convexity is a fact, not a formula that code computes")
        return Answer("check", "", _checked(of))

    def _steps_of(self, value: Derivative | Solved | Expr | Convexity) -> Steps:
        steps = self._simplification(value.term) if isinstance(value, Expr) else value.steps
        return Steps(list(steps), self.names, value)


COMMANDS = ("steps", "latex", "code", "check")
"""What can be asked of the last answer."""


def _checked(value: Derivative | Solved | Expr | Convexity) -> str:
    check: Callable[[], CheckResult] | None = getattr(value, "check", None)
    if check is None:
        raise MatcalcError("only a derivative is compared with numbers", hint="e1 == e2 compares two expressions")
    found = check()
    verdict = "right" if found.ok else "WRONG" if found.max_error == found.max_error else "not checked"
    return f"{verdict}: {found.message}"


@contextmanager
def _readable(text: str) -> Iterator[None]:
    """Errors speak of the text that was typed; what is too large for Python is too large for the session."""
    try:
        yield
    except MatcalcError as error:
        error.message = error.message.replace(LAST, "_")
        error.hint = error.hint and error.hint.replace(LAST, "_")
        if error.text is not None:
            error.text = error.text.replace(LAST, "_")
        raise
    except RecursionError:
        raise LimitExceeded("the expression is nested too deeply") from None
    except MemoryError:
        raise LimitExceeded("the memory does not suffice") from None


def _place(node: Node, text: str) -> tuple[int, int]:
    """Where the statement stands; the tree does not keep the word assume."""
    start = text.rfind("assume", 0, node.start) if node.kind == "assume" else node.start
    return start, node.end


def _refuse_last(node: Node, text: str) -> None:
    for part in walk(node):
        if part.kind == "name" and str(part.parts[0]) == LAST:
            raise MatcalcError("there is no last answer yet").locate(text, part.start, part.end)


def _term_of(value: Any) -> Term | None:
    """The one expression that an answer is, if it is one."""
    if isinstance(value, Steps):
        value = value.of
    if isinstance(value, Solved):
        value = value.solution
    if isinstance(value, Derivative):
        value = value.expr
    return value.term if isinstance(value, Expr) else None


def newly_known(before: dict[str, Symbol | Family], after: dict[str, Symbol | Family]) -> dict[str, str]:
    """The types of the variables that were assumed in between."""
    found: dict[str, str] = {}
    for name, symbol in after.items():
        if before.get(name) != symbol and isinstance(symbol, Symbol):
            found[name] = _type_text(str(symbol.rows), str(symbol.cols))
    return found


def _type_text(rows: str, cols: str) -> str:
    if cols == "1":
        return "scalar" if rows == "1" else f"vector({rows})"
    return f"matrix({rows}, {cols})"


def _called(node: Node) -> str:
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
