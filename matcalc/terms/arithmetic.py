"""Constructors of sums, products of scalars, powers and Hadamard products: what goes entry by entry.

Sums are flat, sorted and without like terms; products of scalars and Hadamard products likewise, equal bases
merged.  Commutative products are flat up to :data:`CLOSED` factors.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import Any

from ..errors import LimitExceeded, ShapeError
from . import ops
from .dims import ONE, ZERO, Dim, DimLike, dim
from .fit import mismatch, show_shape
from .leaves import MAX_DIGITS, MINUS_ONE_NUM, ONE_NUM, ZERO_NUM, num, ones, zeros
from .rebuild import register
from .term import Number, Term, make

CLOSED = 32
"""A commutative product of more factors than this is one factor of further products."""


def integer(value: DimLike) -> Term:
    """A dimension or an index used as a number: the polynomial in scalar arithmetic."""
    d = dim(value)
    terms = []
    for monomial, coefficient in d.terms:
        factors = [num(coefficient)]
        for atom, power in monomial:
            factors.append(power_of(make(ops.INT, (), atom, ONE, ONE), num(power)))
        terms.append(times(*factors))
    return add(*terms) if terms else ZERO_NUM


def as_dim(term: Term) -> Dim | None:
    """The dimension that a scalar term is, when it is a polynomial in integers; else None."""
    if term.op is ops.NUM:
        return dim(term.attr)
    if term.op is ops.INT:
        return dim(term.attr)
    if term.op is ops.ADD or term.op is ops.TIMES:
        total = ZERO if term.op is ops.ADD else ONE
        for arg in term.args:
            part = as_dim(arg) if arg.depth < 50 else None
            if part is None:
                return None
            total = total + part if term.op is ops.ADD else total * part
        return total
    if term.op is ops.POW and term.args[1].op is ops.NUM:
        base, power = as_dim(term.args[0]), term.args[1].attr
        if base is not None and isinstance(power, int) and 0 < power < 20:
            return base**power
    return None


def coefficient(term: Term) -> tuple[Number, Term]:
    """The numeric factor of a term and the rest: ``-2*s*A`` is ``(-2, s*A)``."""
    op = term.op
    if op is ops.NUM:
        return term.attr, ONE_NUM
    if op is ops.TIMES and term.args[0].op is ops.NUM:
        rest = term.args[1:]
        return term.args[0].attr, rest[0] if len(rest) == 1 else make(ops.TIMES, rest, None, ONE, ONE)
    if op is ops.SCALE:
        number, rest_scalar = coefficient(term.args[0])
        if number != 1:
            return number, scale(rest_scalar, term.args[1])
    return 1, term


def scaled(number: Number, term: Term) -> Term:
    """A number times a term that has no numeric factor itself."""
    if number == 1:
        return term
    if number == 0:
        return zeros(term.rows, term.cols)
    if not term.is_scalar:
        return scale(num(number), term)
    if term is ONE_NUM:
        return num(number)
    rest = term.args if term.op is ops.TIMES else (term,)
    return make(ops.TIMES, (num(number), *rest), None, ONE, ONE)


def add(*terms: Term) -> Term:
    """The sum, flat, like terms collected.  Raises :class:`ShapeError` when shapes differ."""
    first = terms[0]
    if first.op is ops.JOINT and len(terms) > 1 and all(term.op is ops.JOINT for term in terms):
        return joint(*(add(*places) for places in zip(*(term.args for term in terms), strict=True)))
    rows, cols = first.rows, first.cols
    for term in terms:
        if term.rows is not rows or term.cols is not cols:
            if term.op is ops.ZEROS or (term.op is ops.NUM and term.attr == 0):
                continue
            if first.op is ops.NUM and first.attr == 0:
                first, rows, cols = term, term.rows, term.cols
                continue
            hint = None
            if term.is_scalar or first.is_scalar:
                hint = "to add a scalar to every entry write .+ or .-; a multiple of the identity is s*eye(n)"
            raise mismatch("sum", first, term, hint)
    collected: dict[Term, Number] = {}
    for term in terms:
        if term.op is ops.ADD:
            for arg in term.args:
                number, rest = coefficient(arg)
                collected[rest] = collected.get(rest, 0) + number
            continue
        number, rest = coefficient(term)
        if rest.op is ops.ADD:
            for arg in rest.args:
                inner, core = coefficient(arg)
                collected[core] = collected.get(core, 0) + number * inner
        else:
            collected[rest] = collected.get(rest, 0) + number
    kept = [scaled(number, rest) for rest, number in collected.items() if number and rest.op is not ops.ZEROS]
    if not kept:
        return zeros(rows, cols)
    if len(kept) == 1:
        return kept[0]
    kept.sort(key=_sum_key)
    return make(ops.ADD, tuple(kept), None, rows, cols)


def _sum_key(term: Term) -> tuple[Any, ...]:
    if term.op is ops.SCALE and term.args[0].op is ops.NUM:
        return (term.args[1].key, 1, term.key)
    if term.op is ops.TIMES and term.args[0].op is ops.NUM:
        return (term.args[1].key, 1, term.key)
    return (term.key, 0)


def neg(term: Term) -> Term:
    """The negative."""
    return smul(MINUS_ONE_NUM, term)


def sub(a: Term, b: Term) -> Term:
    """The difference."""
    return add(a, neg(b))


def sum_of(terms: Iterable[Term], rows: Dim, cols: Dim) -> Term:
    """The sum of any number of terms, none included."""
    listed = list(terms)
    return add(*listed) if listed else zeros(rows, cols)


def times(*scalars: Term) -> Term:
    """The product of scalars, flat, powers of equal bases merged."""
    number: Number = 1
    powers: dict[Term, list[Term]] = {}
    stack = list(reversed(scalars))
    while stack:
        term = stack.pop()
        op = term.op
        if op is ops.NUM:
            number = number * term.attr
        elif op is ops.TIMES and len(term.args) <= CLOSED:
            stack.extend(reversed(term.args))
        elif op is ops.POW:
            powers.setdefault(term.args[0], []).append(term.args[1])
        else:
            powers.setdefault(term, []).append(ONE_NUM)
    if number == 0:
        return ZERO_NUM
    factors: list[Term] = []
    again = False
    for base, exponents in powers.items():
        exponent = exponents[0] if len(exponents) == 1 else add(*exponents)
        factor = base if exponent is ONE_NUM else power_of(base, exponent)
        if factor.op is ops.NUM:
            number = number * factor.attr
        else:
            factors.append(factor)
            again |= factor is not base and (factor.op is not ops.POW or factor.args[0] is not base)
    if again:
        return times(num(number), *factors)
    if not factors:
        return num(number)
    factors.sort(key=_factor_key)
    if number != 1:
        factors.insert(0, num(number))
    if len(factors) == 1:
        return factors[0]
    return make(ops.TIMES, tuple(factors), None, ONE, ONE)


def _factor_key(term: Term) -> tuple[Any, ...]:
    base = term.args[0] if term.op is ops.POW else term
    return (base.key, term.key)


def power_of(base: Term, exponent: Term) -> Term:
    """``base.^exponent``, entry by entry; one side may be a scalar."""
    if not base.is_scalar and not exponent.is_scalar and base.shape != exponent.shape:
        raise mismatch("power entry by entry", base, exponent)
    like = exponent if base.is_scalar else base
    if exponent.op is ops.NUM:
        power = exponent.attr
        if power == 1:
            return base
        if power == 0:
            return ones(base.rows, base.cols)
        if base.op is ops.NUM and isinstance(power, int):
            value = base.attr
            if value != 0 or power > 0:
                if (
                    abs(power) * max(abs(value.numerator).bit_length(), value.denominator.bit_length())
                    > 3.33 * MAX_DIGITS
                ):
                    raise LimitExceeded(f"the number {value}^{power} has more than {MAX_DIGITS} digits")
                return num(Fraction(value) ** power)
        if (base.op is ops.IND or (base.op is ops.NUM and base.attr in (0, 1))) and power > 0:
            return base
        if isinstance(power, int):
            if base.op is ops.POW:
                inner = base.args[1]
                return power_of(base.args[0], smul(exponent, inner))
            if base.op is ops.TIMES:
                return times(*(power_of(factor, exponent) for factor in base.args))
            if base.op is ops.HAD:
                return had(*(power_of(factor, exponent) for factor in base.args))
            if base.op is ops.SCALE:
                return smul(power_of(base.args[0], exponent), power_of(base.args[1], exponent))
    if base.op is ops.ONES or base is ONE_NUM:
        return ones(like.rows, like.cols)
    return make(ops.POW, (base, exponent), None, like.rows, like.cols)


def scale(scalar: Term, term: Term) -> Term:
    """A scalar times an array."""
    if term.is_scalar:
        return times(scalar, term)
    while term.op is ops.SCALE:
        scalar = times(scalar, term.args[0])
        term = term.args[1]
    if scalar.op is ops.NUM:
        if scalar.attr == 1:
            return term
        if scalar.attr == 0:
            return zeros(term.rows, term.cols)
    if term.op is ops.ZEROS:
        return term
    return make(ops.SCALE, (scalar, term), None, term.rows, term.cols)


def smul(scalar: Term, term: Term) -> Term:
    """A scalar times a scalar or an array."""
    if term.op is ops.JOINT:
        return joint(*(smul(scalar, place) for place in term.args))
    return times(scalar, term) if term.is_scalar else scale(scalar, term)


def divide(a: Term, b: Term) -> Term:
    """``a / b`` with a scalar b."""
    if not b.is_scalar:
        raise ShapeError(
            f"division by {show_shape(b.rows, b.cols)}: only a scalar divides",
            hint="divide entry by entry with ./, or multiply by inv(...)",
        )
    return smul(power_of(b, MINUS_ONE_NUM), a)


def had(*factors: Term) -> Term:
    """The Hadamard product, flat and sorted, powers of equal bases merged; a scalar scales."""
    scalars: list[Term] = []
    powers: dict[Term, list[Term]] = {}
    shape: Term | None = None
    stack = list(reversed(factors))
    while stack:
        term = stack.pop()
        if term.op is ops.SCALE:
            scalars.append(term.args[0])
            term = term.args[1]
        if term.is_scalar:
            scalars.append(term)
            continue
        if shape is None:
            shape = term
        elif term.rows is not shape.rows or term.cols is not shape.cols:
            raise mismatch("product entry by entry", shape, term, _hadamard_hint(shape, term))
        if term.op is ops.HAD and len(term.args) <= CLOSED:
            stack.extend(reversed(term.args))
        elif term.op is ops.ONES:
            continue
        elif term.op is ops.POW and not term.args[0].is_scalar:
            powers.setdefault(term.args[0], []).append(term.args[1])
        else:
            powers.setdefault(term, []).append(ONE_NUM)
    if shape is None:
        return times(*scalars)
    merged: list[Term] = []
    for base, exponents in powers.items():
        exponent = exponents[0] if len(exponents) == 1 else _same_kind_sum(exponents)
        merged.append(power_of(base, exponent))
    kept = [t for t in merged if t.op is not ops.ONES]
    if any(t.op is ops.ZEROS for t in kept):
        return zeros(shape.rows, shape.cols)
    if not kept:
        body = ones(shape.rows, shape.cols)
    elif len(kept) == 1:
        body = kept[0]
    else:
        kept.sort(key=_factor_key)
        body = make(ops.HAD, tuple(kept), None, shape.rows, shape.cols)
    return smul(times(*scalars), body) if scalars else body


def _hadamard_hint(a: Term, b: Term) -> str | None:
    if a.cols is b.rows:
        return "the matrix product is *"
    return None


def _same_kind_sum(exponents: list[Term]) -> Term:
    wide = next((e for e in exponents if not e.is_scalar), None)
    if wide is None:
        return add(*exponents)
    return add(*(e if not e.is_scalar else scale(e, ones(wide.rows, wide.cols)) for e in exponents))


def joint(*parts: Term) -> Term:
    """Several states as one column: their vec's on top of one another."""
    first = parts[0]
    if first.op is ops.PART and all(
        p.op is ops.PART and p.args == first.args and p.attr == (i, *first.attr[1:]) for i, p in enumerate(parts)
    ):
        return first.args[0]
    height = ZERO
    for a in parts:
        height = height + a.rows * a.cols
    return make(ops.JOINT, parts, None, height, ONE)


register(
    {
        ops.INT: lambda _a, attr: integer(attr),
        ops.ADD: lambda a, _: add(*a),
        ops.TIMES: lambda a, _: times(*a),
        ops.POW: lambda a, _: power_of(a[0], a[1]),
        ops.HAD: lambda a, _: had(*a),
        ops.JOINT: lambda a, _: joint(*a),
    }
)
