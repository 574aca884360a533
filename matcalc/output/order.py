"""In which order addends are printed, and what of a product stands above and below a fraction bar."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction

from ..terms import ops
from ..terms.term import Number, Term


def is_negative(term: Term) -> bool:
    """True when the numeric factor of the term is below zero."""
    if term.op is ops.SCALE:
        term = term.args[0]
    if term.op is ops.TIMES:
        term = term.args[0]
    return term.op is ops.NUM and term.attr < 0


_CONSTANT = {ops.NUM, ops.CONST, ops.EYE, ops.ONES, ops.ZEROS}
_SPLIT = {ops.TIMES, ops.SCALE}
_FLAT = {ops.MUL, ops.HAD, ops.KRON}
_PLAIN = {ops.SYM, ops.MEMBER, ops.INT, ops.DIFF}


def ordered_sum(term: Term) -> list[Term]:
    """The terms of a sum as a textbook has them.

    Positive before negative, of equal sign the longer products first, then functions, symbols, and
    numbers last: ``x^2 + 2*x + 1``, ``A*x - b``, ``1 - tanh(x)^2``.
    """
    return sorted(term.args, key=_place_in_sum)


def _place_in_sum(term: Term) -> tuple[object, ...]:
    degree = _degree(term)
    core = _without_number(term)
    fixed = core.op in _CONSTANT or (core.op is ops.SCALE and core.args[1].op in _CONSTANT)
    bare = core.args[0] if core.op is ops.TRANSPOSE else core
    return is_negative(term), fixed, -degree, bare.op in _PLAIN, core.key, term.key


def _without_number(term: Term) -> Term:
    """The term that a reader sorts by: ``x`` of ``2*x``, ``a`` of ``2*a*b``."""
    if term.op is ops.SCALE and term.args[0].op is ops.NUM:
        return term.args[1]
    if term.op is ops.TIMES and term.args[0].op is ops.NUM:
        return term.args[1]
    return term


def _degree(term: Term) -> Fraction:
    """The number of factors, powers counted, constants not."""
    degree = Fraction(0)
    todo = [term]
    while todo:
        factor = todo.pop()
        if factor.op in _SPLIT:
            todo.extend(factor.args)
        elif factor.op in _FLAT:
            degree += sum((_factor_degree(part) for part in factor.args), Fraction(0))
        else:
            degree += _factor_degree(factor)
    return degree


def _factor_degree(factor: Term) -> Fraction:
    if factor.op in _CONSTANT:
        return Fraction(0)
    if factor.op is ops.POW and factor.args[1].op is ops.NUM:
        return Fraction(factor.args[1].attr)
    if factor.op is ops.MPOW:
        return factor.attr.constant or Fraction(1)
    return Fraction(1)


Power = tuple[Term, Number]


@dataclass
class Quotient:
    """A product taken apart: ``number * above / below * over ./ under``.

    ``above`` and ``below`` are scalars, ``over`` and ``under`` the factors of a product entry by
    entry, or ``over`` the one array that is scaled.  Below the line the exponents are positive.
    """

    number: Number = 1
    above: list[Term] = field(default_factory=list)
    below: list[Power] = field(default_factory=list)
    over: list[Term] = field(default_factory=list)
    under: list[Power] = field(default_factory=list)


def reciprocal(term: Term) -> Power | None:
    """``(base, exponent)`` when the term is ``base^(-exponent)`` with a positive number, else None.

    Powers of the number 0 other than 1/0 are left as they are: ``1/0^2`` would be read as ``1/0``.
    """
    if term.op is not ops.POW or term.args[1].op is not ops.NUM or term.args[1].attr >= 0:
        return None
    base, exponent = term.args[0], -term.args[1].attr
    return None if base.op is ops.NUM and base.attr == 0 and exponent != 1 else (base, exponent)


def quotient(term: Term) -> Quotient:
    """A product, scaled array or reciprocal taken apart; constants first, products of matrices last of the scalars."""
    parts = Quotient()
    array = term
    if term.is_scalar:
        _split_scalar(term, parts)
        return parts
    if term.op is ops.SCALE:
        _split_scalar(term.args[0], parts)
        array = term.args[1]
    for factor in array.args if array.op is ops.HAD else (array,):
        _file(factor, parts.over, parts.under)
    return parts


def _split_scalar(term: Term, parts: Quotient) -> None:
    for factor in term.args if term.op is ops.TIMES else (term,):
        if factor.op is ops.NUM:
            parts.number = factor.attr
        else:
            _file(factor, parts.above, parts.below)
    parts.above.sort(key=lambda factor: (factor.op is ops.MUL, factor.op is not ops.CONST))


def _file(factor: Term, above: list[Term], below: list[Power]) -> None:
    power = reciprocal(factor)
    if power is None:
        above.append(factor)
    else:
        below.append(power)
