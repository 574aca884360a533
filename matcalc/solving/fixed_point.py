"""An equation that no strategy solves, as a fixed point: ``X = F(X)``, by an addend in which X can be isolated."""

from __future__ import annotations

from ..calculus.present import present
from ..calculus.system import System
from ..terms import build
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, replace, size
from .equation import Equation
from .linear import linear
from .strategies import addends
from .undo import inverse

MAX_SIZE = 200
"""Larger equations are not told."""


def fixed_point(system: System, equation: Equation, unknown: Term) -> Equation | None:
    """The unknown isolated in one addend, the others as they stand: its simplest such form."""
    residual = system.simplify(equation.residual)
    if residual.shape != unknown.shape or size(residual) > MAX_SIZE:
        return None
    found: list[Equation] = []
    parts = addends(residual)
    for held in parts:
        if not contains(held, unknown) or len(parts) < 2:
            continue
        others = build.neg(build.sum_of((p for p in parts if p is not held), *residual.shape))
        right = build.sym(Symbol("R", others.rows, others.cols, frozenset(), "hidden"))
        value = _isolated(system, held, right, unknown)
        if value is not None and not contains(value, unknown):
            found.append(Equation(unknown, present(system, system.simplify(replace(value, {right: others})))))
    found = [e for e in found if e.right is not unknown]
    return min(found, key=lambda e: (size(e.right), e.right.weight), default=None)


def _isolated(system: System, held: Term, right: Term, unknown: Term) -> Term | None:
    """The value of the unknown where ``held`` has the value ``right``."""
    for move in linear(system, Equation(held, right), unknown):
        return move.after.right
    term = held
    value = right
    for _ in range(20):
        if term is unknown:
            return value
        undone = inverse(system, term, value, unknown)
        if undone is None:
            return None
        _, term, value, _ = undone
    return None
