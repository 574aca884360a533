"""Squares recognised: ``s^2 + 2*s*t + t^2``, ``x'*A*x - 2*x'*A*y + y'*A*y``, ``s^2 - t^2``."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from itertools import combinations
from math import isqrt
from typing import NamedTuple

from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.term import Number, Term

Simplify = Callable[[Term], Term]
MAX_SQUARES = 8
"""Among more squares no pairs are looked for."""


class Square(NamedTuple):
    """The addend ``number * root^2``, or ``number * root'*middle*root``."""

    addend: Term
    number: Number
    root: Term
    middle: Term | None

    def product(self, left: Term, right: Term) -> Term:
        """The product of which this is a square."""
        if left.is_scalar:
            return build.times(left, right)
        factors = (self.middle,) if self.middle is not None else ()
        return build.mul(build.transpose(left), *factors, right)


def squared(total: Term, simplify: Simplify) -> Iterable[Term]:
    """The forms of a scalar sum with two of its squares drawn together."""
    if not total.is_scalar or total.op is not ops.ADD:
        return
    squares = [s for a in total.args if (s := _square(a, simplify)) is not None]
    if not 2 <= len(squares) <= MAX_SQUARES:
        return
    addends = {rest: number for number, rest in map(coefficient, total.args)}
    squares.sort(key=lambda s: (s.number < 0, s.number))
    for first, second in combinations(squares, 2):
        ratio = _root(Fraction(second.number) / Fraction(first.number))
        if ratio is None or first.root.shape != second.root.shape or first.middle is not second.middle:
            continue
        outside, root = Fraction(first.number), first.root
        known = _root(abs(outside))
        if known is not None and ratio.denominator != 1:
            outside, root, ratio = Fraction(outside > 0) * 2 - 1, build.smul(build.num(known), root), ratio * known
        other = build.smul(build.num(abs(ratio)), second.root)
        rest = [a for a in total.args if a is not first.addend and a is not second.addend]
        if ratio < 0:  # the squares have opposite signs
            both = first.product(build.add(root, other), build.sub(root, other))
            yield build.add(build.smul(build.num(outside), both), *rest)
            continue
        number, cross = coefficient(simplify(first.product(root, other)))
        wanted = 2 * outside * number
        if cross in addends and abs(addends[cross]) == abs(wanted):
            whole = build.add(root, other if addends[cross] == wanted else build.neg(other))
            kept = [a for a in rest if coefficient(a)[1] is not cross]
            yield build.add(build.smul(build.num(outside), first.product(whole, whole)), *kept)


def _root(number: Fraction) -> Fraction | None:
    """The square root of a rational number where it is one, with the sign of the number."""
    top, bottom = isqrt(abs(number.numerator)), isqrt(number.denominator)
    if top * top != abs(number.numerator) or bottom * bottom != number.denominator:
        return None
    return Fraction(top, bottom) * (1 if number > 0 else -1)


def _square(addend: Term, simplify: Simplify) -> Square | None:
    number, rest = coefficient(addend)
    if rest.op is ops.MUL:
        factors = rest.args
        half = len(factors) // 2
        right = build.mul(*factors[-half:])
        middle = factors[half] if len(factors) % 2 else None
        turned = simplify(build.transpose(right))
        left = build.mul(*factors[:half])
        if turned is not left or (middle is not None and simplify(build.transpose(middle)) is not middle):
            return None
        return Square(addend, number, right, middle)
    roots = [_half(f) for f in (rest.args if rest.op is ops.TIMES else (rest,) if rest is not build.ONE_NUM else ())]
    if any(r is None for r in roots):
        return None
    outside = _root(Fraction(number)) if not roots else Fraction(1)
    if outside is None:
        return None
    known = [r for r in roots if r is not None]
    if not known:
        return Square(addend, 1 if number > 0 else -1, build.num(abs(outside)), None)
    return Square(addend, number, build.times(*known), None)


def _half(factor: Term) -> Term | None:
    """The square root of ``s^k`` with an even number k."""
    if factor.op is ops.POW and factor.args[1].op is ops.NUM:
        exponent = factor.args[1].attr
        if isinstance(exponent, int) and exponent % 2 == 0 and exponent > 0:
            return build.power_of(factor.args[0], build.num(exponent // 2))
    return None
