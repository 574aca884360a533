"""Constructors of functions: entry by entry, of vectors, and scalars of matrices."""

from __future__ import annotations

from . import ops
from .arithmetic import power_of, times
from .dims import ONE, DimLike, dim
from .fit import mismatch, require_square
from .leaves import HALF, ONE_NUM, ZERO_NUM, num, ones
from .products import transpose
from .rebuild import register
from .symbols import Unknown
from .term import Term, make


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
    require_square("the trace", term)
    if term.is_scalar:
        return term
    if term.op is ops.ZEROS:
        return ZERO_NUM
    return make(ops.TR, (term,), None, ONE, ONE)


def det(term: Term) -> Term:
    """The determinant."""
    require_square("the determinant", term)
    return term if term.is_scalar else make(ops.DET, (term,), None, ONE, ONE)


def logdet(term: Term) -> Term:
    """log|det A|."""
    require_square("logdet", term)
    if term.is_scalar:
        return fun("log", fun("abs", term))
    return make(ops.LOGDET, (term,), None, ONE, ONE)


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


def inner(a: Term, b: Term) -> Term:
    """⟨A, B⟩ = tr(A'B), the sum of the entries of A ⊙ B."""
    if a.shape != b.shape:
        raise mismatch("inner product", a, b)
    if a.is_scalar:
        return times(a, b)
    if a.op is ops.ZEROS or b.op is ops.ZEROS:
        return ZERO_NUM
    return make(ops.INNER, (a, b), None, ONE, ONE)


def diff(term: Term) -> Term:
    """The differential d(A), of A's shape."""
    return make(ops.DIFF, (term,), None, term.rows, term.cols)


register(
    {
        ops.FUN: lambda a, attr: fun(attr, a[0]),
        ops.POLYGAMMA: lambda a, attr: polygamma(attr, a[0]),
        ops.SOFTMAX: lambda a, _: softmax(a[0]),
        ops.SOFTMAXROWS: lambda a, _: softmax_rows(a[0]),
        ops.LOGSUMEXP: lambda a, _: logsumexp(a[0]),
        ops.LOGSUMEXPROWS: lambda a, _: logsumexp_rows(a[0]),
        ops.TR: lambda a, _: tr(a[0]),
        ops.DET: lambda a, _: det(a[0]),
        ops.LOGDET: lambda a, _: logdet(a[0]),
        ops.TOTAL: lambda a, _: total(a[0]),
        ops.NORM: lambda a, _: norm(a[0]),
        ops.INNER: lambda a, _: inner(a[0], a[1]),
        ops.DIFF: lambda a, _: diff(a[0]),
    }
)
