"""A diagonal matrix as unknown is solved for by its diagonal."""

from __future__ import annotations

from collections.abc import Iterator

from ..calculus.system import System
from ..terms import build, ops
from ..terms.dims import ONE
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, replace
from .coupled import Isolate
from .equation import Equation
from .strategies import Move


def diagonal(isolate: Isolate, system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """``diag(F(V)) = 0`` or ``F(V) = 0`` for a diagonal V: its diagonal v in place of it, V = diag(v)."""
    if unknown.is_scalar or not system.facts.has(unknown, "diagonal"):
        return
    positive = system.facts.has(unknown, "posdef")
    symbol = Symbol(f"{unknown}#diag", unknown.rows, ONE, frozenset(("positive",)) if positive else frozenset())
    entries = build.sym(symbol)
    residual = equation.residual
    while residual.op is ops.DIAG:
        residual = residual.args[0]
    column = residual if residual.cols is ONE else build.diag(residual)
    inside = system.expand(replace(column, {unknown: build.diag(entries)}))
    found = isolate(system, Equation(inside, build.zeros(*inside.shape)), entries)
    if found is None or contains(found[0], entries):
        return
    value, needs = found
    back = {entries: build.diag(unknown)}
    conditions = tuple((system.simplify(replace(t, back)), fact) for t, fact in needs)
    yield Move("solve for the diagonal", Equation(unknown, build.diag(value)), conditions)
