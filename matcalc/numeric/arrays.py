"""Arrays: how large they may be, a value as a column, the constant matrices by their definitions."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from ..errors import LimitExceeded

Array = npt.NDArray[Any]
MOST_ENTRIES = 4_000_000


def check_size(rows: int, cols: int) -> None:
    """Raise :class:`LimitExceeded` for an array that would not be evaluated in reasonable time and memory."""
    if rows * cols > MOST_ENTRIES:
        raise LimitExceeded(f"an array of {rows}×{cols} entries is not evaluated here")


def as_column(value: Any) -> Array:
    """A number as 1×1, a 1-D array as a column, a matrix as it is."""
    array = np.asarray(value)
    if array.dtype.kind not in "fc":
        array = array.astype(float)
    return array.reshape(-1, 1) if array.ndim < 2 else array


def commutation_matrix(m: int, n: int) -> Array:
    """K with K vec(A) = vec(A') for A of shape m×n."""
    matrix = np.zeros((m * n, m * n))
    for i in range(m):
        for j in range(n):
            matrix[i * n + j, j * m + i] = 1.0
    return matrix


def duplication_matrix(n: int) -> Array:
    """D with D vech(A) = vec(A) for symmetric A of size n."""
    places = [(i, j) for j in range(n) for i in range(j, n)]
    matrix = np.zeros((n * n, len(places)))
    for at, (i, j) in enumerate(places):
        matrix[j * n + i, at] = matrix[i * n + j, at] = 1.0
    return matrix


def elimination_matrix(n: int) -> Array:
    """L with L vec(A) = vech(A) for A of size n."""
    places = [(i, j) for j in range(n) for i in range(j, n)]
    matrix = np.zeros((len(places), n * n))
    for at, (i, j) in enumerate(places):
        matrix[at, j * n + i] = 1.0
    return matrix
