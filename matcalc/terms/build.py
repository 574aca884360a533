"""The constructors: shapes, units, order and like terms, nothing else.

Every other identity is a named rule.  What is kept here by construction:

* sums are flat, sorted and without like terms; products of scalars likewise, equal bases merged;
* commutative products are flat up to :data:`CLOSED` factors;
* matrix products are flat up to :data:`WIDTH` factors, without identities, scalars in front, and
  split where the inner dimension is 1 (``x*(y'*z)`` is the scalar ``y'*z`` times ``x``);
* Hadamard products are flat and sorted; Kronecker products flat;
* ``(A')'`` is ``A``, and a transposed scalar is itself;
* an entry of a matrix that is written out is that entry.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import Any

from ..errors import LimitExceeded, ShapeError
from . import ops
from .dims import ONE, ZERO, Dim, DimLike, Index, dim, known_nonnegative, substitute
from .ops import Op
from .symbols import Family, Grid, Loop, Member, Range, Symbol, Unknown
from .term import Number, Term, make

WIDTH = 64
"""A flat product has at most this many factors; longer ones nest."""

CLOSED = 32
"""A commutative product of more factors than this is one factor of further products."""

MAX_DIGITS = 4000
"""Exact numbers longer than this are refused."""


def show_shape(rows: Dim, cols: Dim) -> str:
    """A shape as a reader expects it: ``m×n``, ``n×1``, ``1×1 (a scalar)``."""
    text = f"{_side(rows)}×{_side(cols)}"
    return text + " (a scalar)" if rows is ONE and cols is ONE else text


def _side(d: Dim) -> str:
    return str(d) if len(d.terms) <= 1 else f"({d})"


def _mismatch(what: str, a: Term, b: Term, hint: str | None = None) -> ShapeError:
    return ShapeError(f"{what}: {show_shape(a.rows, a.cols)} and {show_shape(b.rows, b.cols)} do not fit", hint=hint)


# ---------------------------------------------------------------- leaves


def num(value: Number) -> Term:
    """An exact number."""
    if isinstance(value, Fraction) and value.denominator == 1:
        value = value.numerator
    bits = (
        value.bit_length()
        if isinstance(value, int)
        else max(value.numerator.bit_length(), value.denominator.bit_length())
    )
    if bits > 3.33 * MAX_DIGITS:
        raise LimitExceeded(f"a number has more than {MAX_DIGITS} digits")
    return make(ops.NUM, (), value, ONE, ONE)


ZERO_NUM = num(0)
ONE_NUM = num(1)
MINUS_ONE_NUM = num(-1)
HALF = num(Fraction(1, 2))
PI = make(ops.CONST, (), "pi", ONE, ONE)


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


def sym(symbol: Symbol) -> Term:
    """A variable."""
    return make(ops.SYM, (), symbol, symbol.rows, symbol.cols)


def member(family: Family, at: DimLike) -> Term:
    """One member of a family."""
    where = dim(at)
    rows, cols = family.shape_at(where)
    return make(ops.MEMBER, (), Member(family, where), rows, cols)


def eye(n: DimLike) -> Term:
    """The identity matrix; 1 when n is 1."""
    d = dim(n)
    return ONE_NUM if d is ONE else make(ops.EYE, (), (d,), d, d)


def zeros(m: DimLike, n: DimLike = 1) -> Term:
    """The zero matrix."""
    a, b = dim(m), dim(n)
    return ZERO_NUM if a is ONE and b is ONE else make(ops.ZEROS, (), (a, b), a, b)


def ones(m: DimLike, n: DimLike = 1) -> Term:
    """The matrix of ones."""
    a, b = dim(m), dim(n)
    return ONE_NUM if a is ONE and b is ONE else make(ops.ONES, (), (a, b), a, b)


def basis(i: DimLike, n: DimLike) -> Term:
    """The i-th column of the identity of size n, counted from 1."""
    a, b = dim(i), dim(n)
    if b is ONE:
        return ONE_NUM
    return make(ops.BASIS, (), (a, b), b, ONE)


def commutation(m: DimLike, n: DimLike) -> Term:
    """K with K vec(A) = vec(A') for A of shape m×n; the identity when m or n is 1."""
    a, b = dim(m), dim(n)
    if a is ONE or b is ONE:
        return eye(a * b)
    return make(ops.COMMUTATION, (), (a, b), a * b, a * b)


def duplication(n: DimLike) -> Term:
    """D with D vech(A) = vec(A) for symmetric A of size n."""
    d = dim(n)
    return ONE_NUM if d is ONE else make(ops.DUPLICATION, (), (d,), d * d, half_size(d))


def elimination(n: DimLike) -> Term:
    """L with L vec(A) = vech(A) for A of size n."""
    d = dim(n)
    return ONE_NUM if d is ONE else make(ops.ELIMINATION, (), (d,), half_size(d), d * d)


def half_size(n: Dim) -> Dim:
    """The number of entries of a lower triangle, n(n+1)/2."""
    return n * (n + 1) * dim(Fraction(1, 2))


def indicator(relation: str, left: DimLike, right: DimLike) -> Term:
    """1 where the relation (``=``, ``<=``, ``>=``, ``!=``, ``<``, ``>``) between integers holds, else 0."""
    a, b = dim(left), dim(right)
    difference = (a - b).constant
    if difference is not None:
        holds = {
            "=": difference == 0,
            "!=": difference != 0,
            "<=": difference <= 0,
            ">=": difference >= 0,
            "<": difference < 0,
            ">": difference > 0,
        }[relation]
        return ONE_NUM if holds else ZERO_NUM
    gap = {"<=": b - a, "<": b - a - 1, ">=": a - b, ">": a - b - 1}.get(relation)
    if gap is not None and known_nonnegative(gap):
        return ONE_NUM
    if gap is not None and known_nonnegative(-gap - 1):
        return ZERO_NUM
    return make(ops.IND, (), (relation, a, b), ONE, ONE)


# ---------------------------------------------------------------- sums and scalar products


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
            raise _mismatch("sum", first, term, hint)
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
        raise _mismatch("power entry by entry", base, exponent)
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
        if base.op is ops.NUM and base.attr in (0, 1) and power > 0:
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


# ---------------------------------------------------------------- products of matrices


def mul(*factors: Term) -> Term:
    """The product ``A*B*...``; scalars among the factors scale.

    Raises :class:`ShapeError` when neighbours do not fit.
    """
    scalars: list[Term] = []
    flat: list[Term] = []
    for factor in factors:
        if factor.op is ops.SCALE:
            scalars.append(factor.args[0])
            factor = factor.args[1]
        if factor.rows is ONE and factor.cols is ONE:
            scalars.append(factor)
        else:
            flat.append(factor)
    if not flat:
        return times(*scalars)
    for left, right in pairwise(flat):
        if left.cols is not right.rows:
            raise _mismatch("matrix product", left, right, _product_hint(left, right))
    body = _chain(flat)
    return smul(times(*scalars), body) if scalars else body


def _product_hint(left: Term, right: Term) -> str | None:
    if left.shape == right.shape:
        return "the product entry by entry is .* (or ⊙)"
    if left.rows is right.rows:
        return "the left factor transposed would fit: write ' after it"
    if left.cols is right.cols:
        return "the right factor transposed would fit: write ' after it"
    return None


def _chain(factors: list[Term]) -> Term:
    rows, cols = factors[0].rows, factors[-1].cols
    flat: list[Term] = []
    for factor in factors:
        if factor.op is ops.EYE:
            continue
        if factor.op is ops.ZEROS:
            return zeros(rows, cols)
        if factor.op is ops.MUL:
            flat.extend(factor.args)
        else:
            flat.append(factor)
    if not flat:
        return eye(rows)
    if len(flat) == 1:
        return flat[0]
    cuts = [i for i in range(1, len(flat)) if flat[i].rows is ONE]
    if len(flat) > WIDTH and not cuts:
        return _nested(factors)
    if rows is ONE:
        cuts.insert(0, 0)
    if cols is ONE:
        cuts.append(len(flat))
    if len(cuts) < 2:
        return _product(flat) if len(flat) <= WIDTH else _nested(factors)
    first, last = cuts[0], cuts[-1]
    scalars = [_product(flat[a:b]) for a, b in pairwise(cuts)]
    rest = flat[:first] + flat[last:]
    scalar = times(*scalars)
    return scale(scalar, _product(rest)) if rest else scalar


def _nested(factors: list[Term]) -> Term:
    """A product of too many factors: the longest flat prefixes stay together as one factor."""
    kept: list[Term] = []
    width = 0
    for factor in (f for f in factors if f.op is not ops.EYE):
        parts = factor.args if factor.op is ops.MUL else (factor,)
        if width + len(parts) <= WIDTH:
            kept.extend(parts)
            width += len(parts)
        elif len(kept) + 1 <= WIDTH:
            kept.append(factor)
            width += 1
        else:
            kept = [_product(kept), factor]
            width = 2
    if len(kept) == len(factors) and all(a is b for a, b in zip(kept, factors, strict=True)):
        return _product(kept)
    return _product(kept) if len(kept) > 1 else kept[0]


def _product(factors: Sequence[Term]) -> Term:
    if len(factors) == 1:
        return factors[0]
    return make(ops.MUL, tuple(factors), None, factors[0].rows, factors[-1].cols)


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
            raise _mismatch("product entry by entry", shape, term, _hadamard_hint(shape, term))
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


def kron(*factors: Term) -> Term:
    """The Kronecker product, flat; scalars scale."""
    scalars: list[Term] = []
    flat: list[Term] = []
    rows, cols = ONE, ONE
    for factor in factors:
        rows, cols = rows * factor.rows, cols * factor.cols
        if factor.op is ops.SCALE:
            scalars.append(factor.args[0])
            factor = factor.args[1]
        if factor.is_scalar:
            scalars.append(factor)
        elif factor.op is ops.KRON:
            flat.extend(factor.args)
        else:
            flat.append(factor)
    if any(f.op is ops.ZEROS for f in flat):
        return zeros(rows, cols)
    joined: list[Term] = []
    for factor in flat:
        if factor.op is ops.EYE and joined and joined[-1].op is ops.EYE:
            joined[-1] = eye(joined[-1].rows * factor.rows)
        else:
            joined.append(factor)
    if not joined:
        return times(*scalars)
    body = joined[0] if len(joined) == 1 else make(ops.KRON, tuple(joined), None, rows, cols)
    return smul(times(*scalars), body) if scalars else body


def khatrirao(a: Term, b: Term) -> Term:
    """The Khatri-Rao product: column j is the Kronecker product of the columns j; scalar factors scale."""
    if a.cols is not b.cols:
        raise _mismatch("Khatri-Rao product, which needs equal columns", a, b)
    if a.cols is ONE:
        return kron(a, b)
    rows = a.rows * b.rows
    scalars = []
    if a.op is ops.SCALE:
        scalars.append(a.args[0])
        a = a.args[1]
    if b.op is ops.SCALE:
        scalars.append(b.args[0])
        b = b.args[1]
    if a.op is ops.ZEROS or b.op is ops.ZEROS:
        return zeros(rows, a.cols)
    body = make(ops.KHATRIRAO, (a, b), None, rows, a.cols)
    return scale(times(*scalars), body) if scalars else body


def transpose(term: Term) -> Term:
    """The transpose; of a scalar, itself."""
    if term.is_scalar:
        return term
    op = term.op
    if op is ops.TRANSPOSE:
        return term.args[0]
    if op is ops.EYE:
        return term
    if op is ops.ZEROS:
        return zeros(term.cols, term.rows)
    if op is ops.ONES:
        return ones(term.cols, term.rows)
    if op is ops.COMMUTATION:
        return commutation(term.attr[1], term.attr[0])
    if op is ops.SCALE:
        return scale(term.args[0], transpose(term.args[1]))
    return make(ops.TRANSPOSE, (term,), None, term.cols, term.rows)


def _square(what: str, term: Term) -> None:
    if not term.is_square:
        raise ShapeError(f"{what} needs a square matrix, not {show_shape(term.rows, term.cols)}")


def inv(term: Term) -> Term:
    """The inverse; of a scalar, its reciprocal."""
    _square("the inverse", term)
    if term.is_scalar:
        return power_of(term, MINUS_ONE_NUM)
    if term.op is ops.EYE:
        return term
    return make(ops.INV, (term,), None, term.rows, term.cols)


def mpow(term: Term, exponent: DimLike) -> Term:
    """The power of a square matrix; the exponent is an integer, maybe symbolic."""
    k = dim(exponent)
    _square("a power of a matrix", term)
    if term.is_scalar:
        return power_of(term, integer(k))
    constant = k.constant
    if constant is not None:
        if constant.denominator != 1:
            raise ShapeError(
                "the power of a matrix needs an integer exponent", hint="a root is sqrtm(A); entry by entry write .^"
            )
        if constant == 0:
            return eye(term.rows)
        if constant == 1:
            return term
        if constant == -1:
            return inv(term)
    if term.op is ops.EYE:
        return term
    return make(ops.MPOW, (term,), k, term.rows, term.cols)


# ---------------------------------------------------------------- functions


def fun(name: str | Unknown, term: Term) -> Term:
    """A scalar function applied entry by entry; ``sqrt`` and ``square`` are powers."""
    if name == "sqrt":
        return power_of(term, HALF)
    if name == "square":
        return power_of(term, num(2))
    return make(ops.FUN, (term,), name, term.rows, term.cols)


def polygamma(order: DimLike, term: Term) -> Term:
    """The derivative of this order of digamma, entry by entry; orders 0 and 1 have names of their own."""
    k = dim(order)
    name = {0: "digamma", 1: "trigamma"}.get(int(k.constant) if k.constant is not None else -1)
    return fun(name, term) if name else make(ops.POLYGAMMA, (term,), k, term.rows, term.cols)


def softmax(term: Term) -> Term:
    """exp(x)/sum(exp(x)) of a vector; of a matrix row by row."""
    if term.cols is ONE:
        return ONE_NUM if term.is_scalar else make(ops.SOFTMAX, (term,), None, term.rows, ONE)
    return softmax_rows(term)


def softmax_rows(term: Term) -> Term:
    """The softmax of each row; that of a single entry is 1."""
    if term.cols is ONE:
        return ones(term.rows)
    if term.rows is ONE:
        return transpose(softmax(transpose(term)))
    return make(ops.SOFTMAXROWS, (term,), None, term.rows, term.cols)


def logsumexp(term: Term) -> Term:
    """log(sum(exp(x))) of a vector; of a matrix row by row."""
    if term.cols is ONE:
        return term if term.is_scalar else make(ops.LOGSUMEXP, (term,), None, ONE, ONE)
    return logsumexp_rows(term)


def logsumexp_rows(term: Term) -> Term:
    """The logsumexp of each row; that of a single entry is the entry."""
    if term.cols is ONE:
        return term
    if term.rows is ONE:
        return logsumexp(transpose(term))
    return make(ops.LOGSUMEXPROWS, (term,), None, term.rows, ONE)


def tr(term: Term) -> Term:
    """The trace."""
    _square("the trace", term)
    if term.is_scalar:
        return term
    if term.op is ops.ZEROS:
        return ZERO_NUM
    return make(ops.TR, (term,), None, ONE, ONE)


def det(term: Term) -> Term:
    """The determinant."""
    _square("the determinant", term)
    return term if term.is_scalar else make(ops.DET, (term,), None, ONE, ONE)


def logdet(term: Term) -> Term:
    """log|det A|."""
    _square("logdet", term)
    if term.is_scalar:
        return fun("log", fun("abs", term))
    return make(ops.LOGDET, (term,), None, ONE, ONE)


def vec(term: Term) -> Term:
    """The columns stacked; of a column, itself."""
    if term.cols is ONE:
        return term
    if term.op is ops.ZEROS:
        return zeros(term.rows * term.cols)
    return make(ops.VEC, (term,), None, term.rows * term.cols, ONE)


def unvec(term: Term, m: DimLike, n: DimLike) -> Term:
    """The m×n matrix whose columns stacked are the vector."""
    a, b = dim(m), dim(n)
    if term.cols is not ONE or term.rows is not a * b:
        raise ShapeError(
            f"unvec to {show_shape(a, b)} needs a vector of length {a * b}, not {show_shape(term.rows, term.cols)}"
        )
    if b is ONE:
        return term
    if term.op is ops.VEC and term.args[0].shape == (a, b):
        return term.args[0]
    return make(ops.UNVEC, (term,), (a, b), a, b)


def vech(term: Term) -> Term:
    """The columns of the lower triangle stacked."""
    _square("vech", term)
    if term.is_scalar:
        return term
    if term.op is ops.ZEROS:
        return zeros(half_size(term.rows))
    return make(ops.VECH, (term,), None, half_size(term.rows), ONE)


def tril(term: Term) -> Term:
    """The lower triangle, the rest zero."""
    if term.cols is ONE or term.op in (ops.EYE, ops.ZEROS):
        return term
    return make(ops.TRIL, (term,), None, term.rows, term.cols)


def triu(term: Term) -> Term:
    """The upper triangle, the rest zero."""
    if term.rows is ONE or term.op in (ops.EYE, ops.ZEROS):
        return term
    return make(ops.TRIU, (term,), None, term.rows, term.cols)


def diag(term: Term) -> Term:
    """Of a vector, the diagonal matrix; of a matrix, the vector of its diagonal."""
    if term.is_scalar:
        return term
    if term.cols is ONE:
        if term.op is ops.ZEROS:
            return zeros(term.rows, term.rows)
        if term.op is ops.ONES:
            return eye(term.rows)
        return make(ops.DIAG, (term,), None, term.rows, term.rows)
    _square("diag of a matrix", term)
    if term.op is ops.EYE:
        return ones(term.rows)
    if term.op is ops.ZEROS:
        return zeros(term.rows)
    return make(ops.DIAGONAL, (term,), None, term.rows, ONE)


def total(term: Term) -> Term:
    """The sum of all entries."""
    if term.is_scalar:
        return term
    if term.op is ops.ZEROS:
        return ZERO_NUM
    return make(ops.TOTAL, (term,), None, ONE, ONE)


def norm(term: Term) -> Term:
    """The Frobenius norm; of a vector the 2-norm."""
    if term.is_scalar:
        return fun("abs", term)
    return make(ops.NORM, (term,), None, ONE, ONE)


def entry(term: Term, i: DimLike, j: DimLike = 1) -> Term:
    """One entry, counted from 1; of a vector the second index may be left out."""
    a, b = dim(i), dim(j)
    if term.is_scalar:
        return term
    if term.rows is ONE and term.cols is not ONE and b is ONE:
        a, b = b, a
    if term.op is ops.TRANSPOSE:
        return entry(term.args[0], b, a)
    for at, length in ((a, term.rows), (b, term.cols)):
        if (at.constant is not None and at.constant < 1) or ((at - length).constant or 0) > 0:
            raise ShapeError(f"there is no entry {at} among 1 to {length}")
    if term.op is ops.BLOCK and a.constant and b.constant and all(arg.is_scalar for arg in term.args):
        grid: Grid = term.attr
        return term.args[int(a.constant - 1) * grid.cols + int(b.constant - 1)]
    return make(ops.ENTRY, (term,), (a, b), ONE, ONE)


def submatrix(term: Term, i: DimLike, j: DimLike, k: DimLike = 1, l: DimLike = 1) -> Term:
    """The block of the rows i to j and the columns k to l, counted from 1."""
    a, b, c, d = dim(i), dim(j), dim(k), dim(l)
    rows, cols = b - a + 1, d - c + 1
    for first, last, count, length, what in ((a, b, rows, term.rows, "rows"), (c, d, cols, term.cols, "columns")):
        past, number = (last - length).constant, count.constant
        if (
            (first.constant is not None and first.constant < 1)
            or (past or 0) > 0
            or (number is not None and number < 1)
        ):
            raise ShapeError(f"the {what} {first} to {last} are not among the {what} 1 to {length}")
    if a is ONE and c is ONE and b is term.rows and d is term.cols:
        return term
    if a is b and c is d:
        return entry(term, a, c)
    if term.op is ops.TRANSPOSE:
        return transpose(submatrix(term.args[0], c, d, a, b))
    if term.op is ops.ZEROS or term.op is ops.ONES:
        return with_attr(term, (), (rows, cols))
    return make(ops.SLICE, (term,), (a, b, c, d), rows, cols)


def block(rows: Sequence[Sequence[Term]]) -> Term:
    """A matrix of blocks, given row by row."""
    width = len(rows[0])
    for row in rows:
        if len(row) != width:
            raise ShapeError(f"block rows have {width} and {len(row)} blocks")
        for a in row[1:]:
            if a.rows is not row[0].rows:
                raise _mismatch("blocks side by side need equal rows", row[0], a)
    for j in range(width):
        for row in rows[1:]:
            if row[j].cols is not rows[0][j].cols:
                raise _mismatch("blocks below one another need equal columns", rows[0][j], row[j])
    if len(rows) == 1 and width == 1:
        return rows[0][0]
    height = ZERO
    for row in rows:
        height = height + row[0].rows
    breadth = ZERO
    for a in rows[0]:
        breadth = breadth + a.cols
    return make(ops.BLOCK, tuple(a for row in rows for a in row), Grid(len(rows), width), height, breadth)


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


def part(term: Term, which: int, shapes: Sequence[Dim]) -> Term:
    """One of the states that :func:`joint` put together; ``shapes`` are the rows and columns of each, in turn."""
    rows, cols = shapes[2 * which : 2 * which + 2]
    if term.op is ops.JOINT:
        return term.args[which]
    if term.op is ops.ZEROS:
        return zeros(rows, cols)
    if term.op is ops.ADD:
        return add(*(part(a, which, shapes) for a in term.args))
    if term.op is ops.SCALE:
        return smul(term.args[0], part(term.args[1], which, shapes))
    if term.op is ops.SUM:
        return sum_over(term.attr.index, part(term.args[0], which, shapes))
    return make(ops.PART, (term,), (which, *shapes), rows, cols)


def joint_shapes(term: Term) -> tuple[Dim, ...]:
    """Rows and columns of each of the states that a :func:`joint` holds."""
    return tuple(d for a in term.args for d in a.shape)


def diff(term: Term) -> Term:
    """The differential d(A), of A's shape."""
    return make(ops.DIFF, (term,), None, term.rows, term.cols)


def inner(a: Term, b: Term) -> Term:
    """⟨A, B⟩ = tr(A'B), the sum of the entries of A ⊙ B."""
    if a.shape != b.shape:
        raise _mismatch("inner product", a, b)
    if a.is_scalar:
        return times(a, b)
    if a.op is ops.ZEROS or b.op is ops.ZEROS:
        return ZERO_NUM
    return make(ops.INNER, (a, b), None, ONE, ONE)


# ---------------------------------------------------------------- binders


def binder(op: Op, attr: Range, body: Term) -> Term:
    """A sum, an ordered product or a family over ``attr.index``, which takes its canonical level."""
    from .walk import substitute_indices

    index, step = attr.index, attr.step
    if op is ops.PROD and body.is_scalar and step == -1:
        index, step, body = _reversed(index, body)
    count = ((index.hi - index.lo) * step).constant if op is not ops.FAMILY else None
    if count == -1:
        return zeros(body.rows, body.cols) if op is ops.SUM else _empty_product(index, body)
    if count == 0:
        return substitute_indices(body, {index: index.lo}) if index in body.indices else body
    level = body.height + 1
    while True:
        wanted = Index(level, index.lo, index.hi, step)
        if wanted is index or wanted not in body.indices:
            break
        level += 1
    if wanted is not index:
        body = substitute_indices(body, {index: dim(wanted)})
    if (op is ops.SUM and body.op is ops.ZEROS) or (body is ZERO_NUM and op is ops.SUM):
        return body
    rows, cols = body.rows, body.cols
    if op is ops.PROD and (rows.indices or cols.indices):
        ends = (wanted.lo, wanted.hi)
        rows, cols = substitute(rows, {wanted: ends[0]}), substitute(cols, {wanted: ends[1]})
    return make(op, (body,), Range(wanted, step), rows, cols)


def _empty_product(index: Index, body: Term) -> Term:
    """An ordered product without factors: the identity, of the size on the far side of the first factor."""
    return eye(substitute(body.rows, {index: index.lo}))


def state(loop: Loop, start: Term, body: Term) -> Term:
    """The state at ``loop.at`` of a recurrence; at its first index, the start.

    Raises :class:`ShapeError` when the start or the next state does not have the shape of the state.
    """
    from .walk import moved_symbol, replace

    if loop.at is loop.first:
        return start
    index, slot = loop.index, loop.slot
    here = moved_symbol(slot, {index: loop.first})
    if (here.rows, here.cols) != start.shape:
        raise ShapeError(f"the first state is {show_shape(*start.shape)}, not {show_shape(here.rows, here.cols)}")
    after = moved_symbol(slot, {index: dim(index) + loop.step})
    if (after.rows, after.cols) != body.shape:
        raise ShapeError(f"the next state is {show_shape(*body.shape)}, not {show_shape(after.rows, after.cols)}")
    level = body.height + 1
    while True:
        wanted = Index(level, index.lo, index.hi, loop.step)
        if wanted is index or wanted not in body.indices:
            break
        level += 1
    here = moved_symbol(slot, {index: dim(wanted)})
    if wanted is not index:  # before the slot is renamed: a recurrence inside takes its own name first
        body = replace(body, {}, {index: dim(wanted)})
    canonical = Symbol(f"%{level}", here.rows, here.cols, frozenset(), "state")
    if here != canonical:
        body = replace(body, {sym(here): sym(canonical)})
    if body.op is ops.JOINT and start.op not in (ops.JOINT, ops.STATE):
        shapes = [substitute(d, {wanted: loop.first - loop.step}) for d in joint_shapes(body)]
        start = joint(*(part(start, i, shapes) for i in range(len(body.args))))
    moved = Loop(wanted, loop.step, loop.first, loop.at, canonical)
    if start.op is ops.STATE and start.args[1] is body and start.attr == moved.started(start.attr.first, loop.first):
        start, moved = start.args[0], moved.started(start.attr.first, loop.at)  # one recurrence going on
    there = moved_symbol(moved.slot, {wanted: loop.at})
    return make(ops.STATE, (start, body), moved, there.rows, there.cols)


def _reversed(index: Index, body: Term) -> tuple[Index, int, Term]:
    up = Index(index.level, index.hi, index.lo)
    from .walk import substitute_indices

    return up, 1, substitute_indices(body, {index: dim(up)}) if index in body.indices else body


def sum_over(index: Index, body: Term) -> Term:
    """The sum of ``body`` over ``index``; the order does not matter, so the range goes up."""
    if index.step < 0:
        from .walk import substitute_indices

        up = Index(index.level, index.hi, index.lo)
        return binder(ops.SUM, Range(up), substitute_indices(body, {index: dim(up)}))
    return binder(ops.SUM, Range(index), body)


def family(index: Index, body: Term) -> Term:
    """``body`` for each value of ``index``; it has the shape of a member."""
    return binder(ops.FAMILY, Range(index), body)


def prod_over(index: Index, body: Term, step: int = 1) -> Term:
    """The ordered product; with ``step`` -1 the index runs downwards from ``lo`` to ``hi``."""
    after = substitute(body.rows, {index: dim(index) + step})
    if after is not body.cols:
        raise ShapeError(
            f"in an ordered product each factor fits the next: the columns are {body.cols}, the next rows {after}"
        )
    return binder(ops.PROD, Range(index, step), body)


# ---------------------------------------------------------------- rebuilding


def with_args(term: Term, args: tuple[Term, ...]) -> Term:
    """The same operator applied to other arguments."""
    return with_attr(term, args, term.attr)


def with_attr(term: Term, args: tuple[Term, ...], attr: Any) -> Term:
    """The same operator with other arguments and other data."""
    return _REBUILD[term.op](args, attr)


def _leaf_scalar(op: Op) -> Callable[[tuple[Term, ...], Any], Term]:
    return lambda _args, attr: make(op, (), attr, ONE, ONE)


def _grid(args: tuple[Term, ...], attr: Grid) -> Term:
    return block([args[i * attr.cols : (i + 1) * attr.cols] for i in range(attr.rows)])


_REBUILD: dict[Op, Callable[[tuple[Term, ...], Any], Term]] = {
    ops.NUM: lambda _a, attr: num(attr),
    ops.INT: lambda _a, attr: integer(attr),
    ops.CONST: _leaf_scalar(ops.CONST),
    ops.SYM: lambda _a, attr: sym(attr),
    ops.MEMBER: lambda _a, attr: member(attr.family, attr.at),
    ops.EYE: lambda _a, attr: eye(attr[0]),
    ops.ZEROS: lambda _a, attr: zeros(*attr),
    ops.ONES: lambda _a, attr: ones(*attr),
    ops.BASIS: lambda _a, attr: basis(*attr),
    ops.COMMUTATION: lambda _a, attr: commutation(*attr),
    ops.DUPLICATION: lambda _a, attr: duplication(*attr),
    ops.ELIMINATION: lambda _a, attr: elimination(*attr),
    ops.IND: lambda _a, attr: indicator(*attr),
    ops.ADD: lambda a, _: add(*a),
    ops.TIMES: lambda a, _: times(*a),
    ops.SCALE: lambda a, _: mul(*a),
    ops.MUL: lambda a, _: mul(*a),
    ops.HAD: lambda a, _: had(*a),
    ops.KRON: lambda a, _: kron(*a),
    ops.KHATRIRAO: lambda a, _: khatrirao(a[0], a[1]),
    ops.TRANSPOSE: lambda a, _: transpose(a[0]),
    ops.INV: lambda a, _: inv(a[0]),
    ops.MPOW: lambda a, attr: mpow(a[0], attr),
    ops.POW: lambda a, _: power_of(a[0], a[1]),
    ops.FUN: lambda a, attr: fun(attr, a[0]),
    ops.POLYGAMMA: lambda a, attr: polygamma(attr, a[0]),
    ops.SOFTMAX: lambda a, _: softmax(a[0]),
    ops.SOFTMAXROWS: lambda a, _: softmax_rows(a[0]),
    ops.LOGSUMEXP: lambda a, _: logsumexp(a[0]),
    ops.LOGSUMEXPROWS: lambda a, _: logsumexp_rows(a[0]),
    ops.TR: lambda a, _: tr(a[0]),
    ops.DET: lambda a, _: det(a[0]),
    ops.LOGDET: lambda a, _: logdet(a[0]),
    ops.VEC: lambda a, _: vec(a[0]),
    ops.UNVEC: lambda a, attr: unvec(a[0], *attr),
    ops.VECH: lambda a, _: vech(a[0]),
    ops.TRIL: lambda a, _: tril(a[0]),
    ops.TRIU: lambda a, _: triu(a[0]),
    ops.DIAG: lambda a, _: diag(a[0]),
    ops.DIAGONAL: lambda a, _: diag(a[0]),
    ops.TOTAL: lambda a, _: total(a[0]),
    ops.NORM: lambda a, _: norm(a[0]),
    ops.ENTRY: lambda a, attr: entry(a[0], *attr),
    ops.SLICE: lambda a, attr: submatrix(a[0], *attr),
    ops.BLOCK: _grid,
    ops.JOINT: lambda a, _: joint(*a),
    ops.PART: lambda a, attr: part(a[0], attr[0], attr[1:]),
    ops.SUM: lambda a, attr: binder(ops.SUM, attr, a[0]),
    ops.FAMILY: lambda a, attr: binder(ops.FAMILY, attr, a[0]),
    ops.PROD: lambda a, attr: binder(ops.PROD, attr, a[0]),
    ops.STATE: lambda a, attr: state(attr, a[0], a[1]),
    ops.DIFF: lambda a, _: diff(a[0]),
    ops.INNER: lambda a, _: inner(a[0], a[1]),
}


def extend(constructors: Mapping[Op, Callable[[tuple[Term, ...], Any], Term]]) -> None:
    """Make the constructors of further operators known."""
    _REBUILD.update(constructors)


def sum_of(terms: Iterable[Term], rows: Dim, cols: Dim) -> Term:
    """The sum of any number of terms, none included."""
    listed = list(terms)
    return add(*listed) if listed else zeros(rows, cols)
