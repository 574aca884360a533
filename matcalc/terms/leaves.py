"""Constructors of what has no arguments: numbers, variables, and the constant matrices."""

from __future__ import annotations

from fractions import Fraction

from ..errors import LimitExceeded
from . import ops
from .dims import ONE, Dim, DimLike, dim, known_nonnegative
from .rebuild import register
from .symbols import Family, Member, Symbol
from .term import Number, Term, make

MAX_DIGITS = 4000
"""Exact numbers longer than this are refused."""


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
    """The i-th column of the identity of size n, counted from 1; 1 when n is 1."""
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


register(
    {
        ops.NUM: lambda _a, attr: num(attr),
        ops.CONST: lambda _a, attr: make(ops.CONST, (), attr, ONE, ONE),
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
    }
)
