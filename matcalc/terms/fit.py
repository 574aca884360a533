"""Which shapes fit: how they are written in messages, and the errors where they do not."""

from __future__ import annotations

from ..errors import ShapeError
from .dims import ONE, Dim
from .term import Term


def show_shape(rows: Dim, cols: Dim) -> str:
    """A shape as a reader expects it: ``m×n``, ``n×1``, ``1×1 (a scalar)``."""
    text = f"{_side(rows)}×{_side(cols)}"
    return text + " (a scalar)" if rows is ONE and cols is ONE else text


def _side(d: Dim) -> str:
    return str(d) if len(d.terms) <= 1 else f"({d})"


def mismatch(what: str, a: Term, b: Term, hint: str | None = None) -> ShapeError:
    """The error for two terms whose shapes do not fit."""
    return ShapeError(f"{what}: {show_shape(a.rows, a.cols)} and {show_shape(b.rows, b.cols)} do not fit", hint=hint)


def require_square(what: str, term: Term) -> None:
    """Refuse a term that is not square."""
    if not term.is_square:
        raise ShapeError(f"{what} needs a square matrix, not {show_shape(term.rows, term.cols)}")
