"""Constructors of products of matrices, transposes, inverses and powers.

Matrix products are flat up to :data:`WIDTH` factors, without identities, scalars in front, and split where the
inner dimension is 1 (``x*(y'*z)`` is the scalar ``y'*z`` times ``x``); Kronecker products are flat; ``(A')'`` is
``A``, and a transposed scalar is itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from ..errors import ShapeError
from . import ops
from .arithmetic import integer, power_of, scale, smul, times
from .dims import ONE, DimLike, dim
from .fit import mismatch, require_square
from .leaves import MINUS_ONE_NUM, commutation, eye, ones, zeros
from .rebuild import register
from .term import Term, make

WIDTH = 64
"""A flat product has at most this many factors; longer ones nest."""


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
            raise mismatch("matrix product", left, right, _product_hint(left, right))
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
        raise mismatch("Khatri-Rao product, which needs equal columns", a, b)
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


def inv(term: Term) -> Term:
    """The inverse; of a scalar, its reciprocal."""
    require_square("the inverse", term)
    if term.is_scalar:
        return power_of(term, MINUS_ONE_NUM)
    if term.op is ops.EYE:
        return term
    return make(ops.INV, (term,), None, term.rows, term.cols)


def mpow(term: Term, exponent: DimLike) -> Term:
    """The power of a square matrix; the exponent is an integer, maybe symbolic."""
    k = dim(exponent)
    require_square("a power of a matrix", term)
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


register(
    {
        ops.SCALE: lambda a, _: mul(*a),
        ops.MUL: lambda a, _: mul(*a),
        ops.KRON: lambda a, _: kron(*a),
        ops.KHATRIRAO: lambda a, _: khatrirao(a[0], a[1]),
        ops.TRANSPOSE: lambda a, _: transpose(a[0]),
        ops.INV: lambda a, _: inv(a[0]),
        ops.MPOW: lambda a, attr: mpow(a[0], attr),
    }
)
