"""Constructors of the functions of matrices: expm, logm, sqrtm, pinv, polar, eigenvalues, singular values.

Of a 1×1 argument each is the function of numbers that it stands for.
"""

from __future__ import annotations

from ..errors import ShapeError
from . import ops
from .arithmetic import add, divide, power_of, smul
from .dims import ONE, Dim, DimLike, dim
from .fit import require_square, show_shape
from .functions import fun, norm
from .leaves import MINUS_ONE_NUM, ONE_NUM, ZERO_NUM, eye, ones, zeros
from .ops import Op
from .rebuild import register
from .term import Term, make


def _is_flat(term: Term) -> bool:
    """True for a column or a row."""
    return term.rows is ONE or term.cols is ONE


# ---------------------------------------------------------------- expm, logm, sqrtm and their differentials


def expm(term: Term) -> Term:
    """The exponential of a square matrix."""
    require_square("expm", term)
    if term.is_scalar:
        return fun("exp", term)
    return eye(term.rows) if term.op is ops.ZEROS else make(ops.EXPM, (term,), None, *term.shape)


def logm(term: Term) -> Term:
    """The principal logarithm of a square matrix without eigenvalues on the closed negative real axis."""
    require_square("logm", term)
    if term.is_scalar:
        return fun("log", term)
    return zeros(*term.shape) if term.op is ops.EYE else make(ops.LOGM, (term,), None, *term.shape)


def sqrtm(term: Term) -> Term:
    """The principal square root of a square matrix."""
    require_square("sqrtm", term)
    if term.is_scalar:
        return fun("sqrt", term)
    return term if term.op in (ops.EYE, ops.ZEROS) else make(ops.SQRTM, (term,), None, *term.shape)


def _between(op: Op, left: Term, middle: Term, right: Term) -> Term:
    """An operator linear in ``middle``, which stands between two square matrices."""
    require_square(f"the first argument of {op.name}", left)
    require_square(f"the last argument of {op.name}", right)
    if middle.shape != (left.rows, right.cols):
        raise ShapeError(
            f"{op.name} needs {show_shape(left.rows, right.cols)}, not {show_shape(middle.rows, middle.cols)}"
        )
    if middle.op is ops.ZEROS or middle is ZERO_NUM:
        return middle
    args = (left, right, middle) if op is ops.SYLVESTER else (left, middle, right)
    return make(op, args, None, *middle.shape)


def dexpm(a: Term, e: Term, b: Term) -> Term:
    """∫₀¹ expm((1-s)A) E expm(s B) ds, for B = A the differential of expm at A in the direction E."""
    if a.is_scalar and a is b:
        return smul(fun("exp", a), e)
    return _between(ops.DEXPM, a, e, b)


def dlogm(a: Term, e: Term, b: Term) -> Term:
    """∫₀^∞ inv(A + s I) E inv(B + s I) ds, for B = A the differential of logm at A in the direction E."""
    if a.is_scalar and a is b:
        return smul(power_of(a, MINUS_ONE_NUM), e)
    return _between(ops.DLOGM, a, e, b)


def sylvester(a: Term, b: Term, c: Term) -> Term:
    """The X with A*X + X*B = C."""
    if a.is_scalar and b.is_scalar and c.is_scalar:
        return divide(c, add(a, b))
    return _between(ops.SYLVESTER, a, c, b)


# ---------------------------------------------------------------- singular values


def pinv(term: Term) -> Term:
    """The Moore-Penrose inverse; of a scalar, its reciprocal."""
    if term.is_scalar:
        return power_of(term, MINUS_ONE_NUM)
    if term.op is ops.ZEROS:
        return zeros(term.cols, term.rows)
    return term if term.op is ops.EYE else make(ops.PINV, (term,), None, term.cols, term.rows)


def polar(term: Term) -> Term:
    """U*V' of the singular value decomposition A = U*diag(s)*V'."""
    if term.is_scalar:
        return fun("sign", term)
    return term if term.op is ops.EYE else make(ops.POLAR, (term,), None, *term.shape)


def nuclear(term: Term) -> Term:
    """The sum of the singular values."""
    return norm(term) if _is_flat(term) else make(ops.NUCLEAR, (term,), None, ONE, ONE)


def spectral(term: Term) -> Term:
    """The largest singular value."""
    return norm(term) if _is_flat(term) else make(ops.SPECTRAL, (term,), None, ONE, ONE)


# ---------------------------------------------------------------- eigenvalues of symmetric matrices


def eigmax(term: Term) -> Term:
    """The largest eigenvalue of a symmetric matrix (of any other, that of its symmetric part)."""
    require_square("an eigenvalue", term)
    return term if term.is_scalar else make(ops.EIGMAX, (term,), None, ONE, ONE)


def eigvecmax(term: Term) -> Term:
    """The unit eigenvector of the largest eigenvalue; its largest entry is positive."""
    require_square("an eigenvector", term)
    return ONE_NUM if term.is_scalar else make(ops.EIGVECMAX, (term,), None, term.rows, ONE)


def eigvecs(term: Term, count: DimLike) -> Term:
    """The unit eigenvectors of the ``count`` largest eigenvalues, side by side."""
    require_square("an eigenvector", term)
    p: Dim = dim(count)
    if p.constant is not None and term.rows.constant is not None and p.constant > term.rows.constant:
        raise ShapeError(f"a matrix of size {term.rows} has no {p} eigenvectors")
    if term.is_scalar:
        return ones(ONE, p)
    return eigvecmax(term) if p is ONE else make(ops.EIGVECS, (term,), p, term.rows, p)


register(
    {
        ops.EXPM: lambda a, _: expm(a[0]),
        ops.LOGM: lambda a, _: logm(a[0]),
        ops.SQRTM: lambda a, _: sqrtm(a[0]),
        ops.DEXPM: lambda a, _: dexpm(*a),
        ops.DLOGM: lambda a, _: dlogm(*a),
        ops.SYLVESTER: lambda a, _: sylvester(*a),
        ops.PINV: lambda a, _: pinv(a[0]),
        ops.POLAR: lambda a, _: polar(a[0]),
        ops.NUCLEAR: lambda a, _: nuclear(a[0]),
        ops.SPECTRAL: lambda a, _: spectral(a[0]),
        ops.EIGMAX: lambda a, _: eigmax(a[0]),
        ops.EIGVECMAX: lambda a, _: eigvecmax(a[0]),
        ops.EIGVECS: lambda a, attr: eigvecs(a[0], attr),
    }
)
