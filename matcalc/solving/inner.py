"""Equations in which the unknown occurs inside one inverse only: affine in the inverse, which is isolated first."""

from __future__ import annotations

from collections.abc import Iterator

from ..calculus.chain import dominators
from ..calculus.system import System
from ..terms import build, ops
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, replace
from .equation import Equation
from .linear import linear
from .strategies import Move, Need


def through_inverse(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """``A*inv(X) + inv(X)*B = C`` and the like, linear in Y = inv(X)."""
    if unknown.is_scalar:
        return
    residual = system.simplify(equation.residual)
    if residual is unknown or not contains(residual, unknown):
        return
    for part in dominators(residual, unknown)[1:-1]:
        if part.op is not ops.INV:
            continue
        stand_in = build.sym(Symbol("Y", part.rows, part.cols, frozenset({"invertible"}), "hidden"))
        moved = Equation(replace(residual, {part: stand_in}), build.zeros(*residual.shape))
        for move in linear(system, moved, stand_in):
            yield _back(move, {stand_in: part})
        return


def _back(move: Move, named: dict[Term, Term]) -> Move:
    after = Equation(replace(move.after.left, named), replace(move.after.right, named))
    needs: tuple[Need, ...] = tuple((replace(t, named), fact) for t, fact in move.needs)
    return Move(move.rule, after, needs, tuple(_back(m, named) for m in move.via))
