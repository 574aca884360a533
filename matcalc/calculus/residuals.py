"""A function as a sum of squares: the c*‖R‖² of which it is the sum."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..terms import build, ops
from ..terms.dims import Index
from ..terms.term import Term

TWO = build.num(2)


class Square(NamedTuple):
    """One c*‖R‖², summed over the indices: the factors of c, and R; no R where the addend is no square.

    ``shown`` is the addend of the function in which it stands.
    """

    factors: tuple[Term, ...]
    residual: Term | None
    indices: tuple[Index, ...]
    shown: Term


def squares(function: Term) -> Iterator[Square]:
    """The addends of a scalar, each a multiple of a squared norm if it is one; sums over an index are entered."""
    for part in addends(function):
        yield from _inside(part, part, ())


def _inside(term: Term, shown: Term, indices: tuple[Index, ...]) -> Iterator[Square]:
    if term.op is ops.SUM:
        for part in addends(term.args[0]):
            yield from _inside(part, shown, (*indices, term.attr.index))
        return
    factors, squared = _split(term)
    yield Square(factors, residual(squared), indices, shown)


def addends(term: Term) -> tuple[Term, ...]:
    """The addends of a sum, or the term alone."""
    return term.args if term.op is ops.ADD else (term,)


def _split(term: Term) -> tuple[tuple[Term, ...], Term]:
    """A product of scalars as the factors before its square, and the square."""
    if term.op is not ops.TIMES:
        return (), term
    found = [f for f in term.args if residual(f) is not None]
    chosen = found[-1] if found else term.args[-1]
    rest = list(term.args)
    rest.remove(chosen)
    return tuple(rest), chosen


def residual(term: Term) -> Term | None:
    """The R of a squared norm."""
    if term.op is ops.POW and term.args[0].op is ops.NORM and term.args[1] is TWO:
        return term.args[0].args[0]
    if term.op is ops.TOTAL:
        inside = term.args[0]
        if inside.op is ops.POW and inside.args[1] is TWO:
            return inside.args[0]
        return inside.args[0] if inside.op is ops.FUN and inside.attr == "square" else None
    if term.op is ops.INNER and term.args[0] is term.args[1]:
        return term.args[0]
    whole = term.args[0] if term.op is ops.TR else term
    if whole.op is ops.MUL and len(whole.args) == 2 and build.transpose(whole.args[0]) is whole.args[1]:
        return whole.args[1]
    if whole.op is ops.POW and whole.args[1] is TWO and whole.args[0].is_scalar:
        return whole.args[0]
    return None
