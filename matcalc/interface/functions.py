"""Expressions built in Python: variables and the functions of the language."""

from __future__ import annotations

from ..terms import build
from ..terms.term import Term
from .expr import Expr, ExprLike, expr, symbol


def _on(made: Term, *args: Expr) -> Expr:
    return Expr(made, tuple(dict.fromkeys(n for a in args for n in a.names)))


def scalar(name: str, *facts: str) -> Expr:
    """A scalar variable; facts such as ``positive``."""
    return symbol(name, 1, 1, *facts)


def vector(name: str, n: str | int, *facts: str) -> Expr:
    """A column of length n."""
    return symbol(name, n, 1, *facts)


def matrix(name: str, m: str | int, n: str | int | None = None, *facts: str) -> Expr:
    """An m×n matrix (square when n is left out); facts such as ``symmetric``, ``posdef``."""
    return symbol(name, m, m if n is None else n, *facts)


def tr(a: Expr) -> Expr:
    """The trace."""
    return _on(build.tr(a.term), a)


def det(a: Expr) -> Expr:
    """The determinant."""
    return _on(build.det(a.term), a)


def logdet(a: Expr) -> Expr:
    """log|det A|."""
    return _on(build.logdet(a.term), a)


def inv(a: Expr) -> Expr:
    """The inverse."""
    return _on(build.inv(a.term), a)


def vec(a: Expr) -> Expr:
    """The columns stacked."""
    return _on(build.vec(a.term), a)


def diag(a: Expr) -> Expr:
    """Of a vector the diagonal matrix, of a matrix the vector of its diagonal."""
    return _on(build.diag(a.term), a)


def norm(a: Expr) -> Expr:
    """The Frobenius norm; of a vector the 2-norm."""
    return _on(build.norm(a.term), a)


def kron(a: Expr, b: Expr) -> Expr:
    """The Kronecker product."""
    return _on(build.kron(a.term, b.term), a, b)


def hadamard(a: ExprLike, b: ExprLike) -> Expr:
    """The product entry by entry."""
    left, right = expr(a), expr(b)
    return _on(build.had(left.term, right.term), left, right)
