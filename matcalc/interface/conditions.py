"""Conditions of an extremum, from their text or their syntax tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..errors import MatcalcError, ParseError, ShapeError
from ..language.elaborate import Elaboration
from ..language.parser import parse_syntax
from ..language.scope import Scope
from ..language.syntax import Node
from ..terms import build
from ..terms.term import Term

if TYPE_CHECKING:
    from ..iterating.constraints import Condition

_RELATIONS = {"=": "=", "<": "<=", "<=": "<=", "≤": "<=", ">": ">=", ">=": ">=", "≥": ">="}
_PREFIX = "assume "


def read_conditions(texts: str | Sequence[str], scope: Scope) -> list[Condition]:
    """The conditions that texts write, several of them with commas between.

    Raises :class:`ParseError` for what is no condition, :class:`ShapeError` for sides that do not fit.
    """
    found = []
    for text in list(texts) if isinstance(texts, list | tuple) else [texts]:
        if not isinstance(text, str):
            raise ParseError(f"a constraint is text, not {type(text).__name__}")
        statement = _PREFIX + text
        try:
            nodes = parse_syntax(statement, "script").nodes()
            if len(nodes) != 1 or nodes[0].kind != "assume":
                raise ParseError("one constraint, or several with commas between", text=text, start=0, end=len(text))
            found += [read_condition(node, statement, scope) for node in nodes[0].nodes()]
        except MatcalcError as error:
            if error.text == statement and error.start is not None:
                error.text, error.start = text, max(0, error.start - len(_PREFIX))
                error.end = max(0, (error.end or 0) - len(_PREFIX))
            raise
    return found


def read_condition(node: Node, text: str, scope: Scope) -> Condition:
    """One condition that is parsed already."""
    from ..iterating.constraints import Condition

    shown = text[node.start : node.end]
    if node.kind == "has":
        raise ParseError(
            "a constraint is an equation or an inequality",
            hint="declare the unknown as what it has to be: X: posdef(n)",
        ).locate(text, node.start, node.end)
    left, right = node.nodes()
    sign = "=" if node.kind == "equation" else str(node.parts[1])
    if sign not in _RELATIONS or node.kind == "free":
        raise ParseError("a constraint reads left = right, left <= right or left >= right").locate(
            text, node.start, node.end
        )
    try:
        difference = build.sub(*_sides(left, right, node, text, scope))
    except ShapeError as error:
        if sign == "=":
            raise error.locate(text, node.start, node.end) from None
        difference = _entry_by_entry(left, right, node, text, scope, error)
    return Condition(shown, difference, _RELATIONS[sign])


def _sides(left: Node, right: Node, node: Node, text: str, scope: Scope) -> tuple[Term, Term]:
    """Both sides, of one shape; a 0 takes the shape of the other side."""
    equation = Node("equation", [left, right], node.start, node.end)
    work = Elaboration(scope, text)
    work.infer(equation)
    work.settle()
    return work.sides(equation)


def _entry_by_entry(left: Node, right: Node, node: Node, text: str, scope: Scope, error: ShapeError) -> Term:
    """A scalar on one side of an inequality stands for every entry."""
    work = Elaboration(scope, text)
    for side in (left, right):
        work.infer(side)
    work.settle()
    a, b = work.build(left), work.build(right)
    if a.is_scalar == b.is_scalar:
        raise error.locate(text, node.start, node.end)
    if a.is_scalar:
        a = build.smul(a, build.ones(b.rows, b.cols))
    else:
        b = build.smul(b, build.ones(a.rows, a.cols))
    return build.sub(a, b)
