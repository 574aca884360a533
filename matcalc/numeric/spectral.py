"""Functions of matrices from their definitions, for real and for complex arrays.

What varies with the entries analytically is computed by rational operations on complex arrays, so that the
complex step works: nothing is conjugated.  Where a function has no value the result is nan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

TERMS = 20
"""Terms of the exponential series, used where the norm is at most 1/2."""
NODES, WEIGHTS = np.polynomial.legendre.leggauss(16)
"""Of the quadrature of logm(I + X) = ∫₀¹ X inv(I + tX) dt, used where the norm of X is at most 1/4."""
CLOSE = 1e-8
"""Eigenvalues nearer than this, relative to the largest, count as equal."""


def _nan(a: Array) -> Array:
    return np.full(a.shape, np.nan)


def _norm(a: Array) -> float:
    return float(np.abs(a).sum(axis=0).max(initial=0.0))


def expm(a: Array) -> Array:
    """The exponential series, after halving the argument often enough and before squaring as often."""
    if not np.isfinite(a).all():
        return _nan(a)
    halvings = max(0, int(np.ceil(np.log2(max(_norm(a), 1e-300)))) + 1)
    small = a / 2.0**halvings
    power = total = np.eye(len(a))
    for k in range(1, TERMS):
        power = power @ small / k
        total = total + power
    for _ in range(halvings):
        total = total @ total
    return np.asarray(total)


def has_principal_root(a: Array) -> bool:
    """True when no eigenvalue lies on the closed negative real axis."""
    if not np.isfinite(a).all():
        return False
    values = np.linalg.eigvals(a.real)
    size = np.abs(values).max(initial=1.0)
    return not bool(((np.abs(values.imag) <= CLOSE * size) & (values.real <= CLOSE * size)).any())


def sqrtm(a: Array) -> Array:
    """The limit of Denman and Beavers' iteration; of a singular symmetric matrix, by its eigenvalues."""
    if not has_principal_root(a):
        return _root_of_semidefinite(a)
    y, z = a, np.eye(len(a))
    for _ in range(100):
        try:
            following, z = (y + np.linalg.inv(z)) / 2, (z + np.linalg.inv(y)) / 2
        except np.linalg.LinAlgError:
            return _nan(a)
        moved = _norm(following - y)
        y = following
        if moved <= 1e-15 * _norm(y):
            break
    return np.asarray(y)


def _root_of_semidefinite(a: Array) -> Array:
    if np.iscomplexobj(a) or not np.isfinite(a).all() or not np.allclose(a, a.T):
        return _nan(a)
    values, vectors = np.linalg.eigh(a)
    if (values < -CLOSE * np.abs(values).max(initial=0.0)).any():
        return _nan(a)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)) @ vectors.T)


def logm(a: Array) -> Array:
    """2ᵏ logm of the k-th square root, which is near the identity."""
    if not has_principal_root(a):
        return _nan(a)
    identity = np.eye(len(a))
    count = 0
    while _norm(a - identity) > 0.25:
        a, count = sqrtm(a), count + 1
        if count > 60 or not np.isfinite(a).all():
            return _nan(a)
    x = a - identity
    parts = (w / 2 * np.linalg.solve(identity + (t + 1) / 2 * x, x) for t, w in zip(NODES, WEIGHTS, strict=True))
    return np.asarray(2.0**count * sum(parts, np.zeros_like(x)))


def _above(a: Array, e: Array, b: Array) -> Array:
    return np.block([[a, e], [np.zeros((len(b), len(a))), b]])


def dexpm(a: Array, e: Array, b: Array) -> Array:
    """The block at the top right of expm([A, E; 0, B])."""
    return expm(_above(a, e, b))[: len(a), len(a) :]


def dlogm(a: Array, e: Array, b: Array) -> Array:
    """The block at the top right of logm([A, E; 0, B])."""
    return logm(_above(a, e, b))[: len(a), len(a) :]


def sylvester(a: Array, b: Array, c: Array) -> Array:
    """The X with A X + X B = C, as a system of linear equations; nan where there is no single one."""
    system = np.kron(np.eye(len(b)), a) + np.kron(b.T, np.eye(len(a)))
    try:
        return np.asarray(np.linalg.solve(system, c.reshape(-1, order="F")).reshape(c.shape, order="F"))
    except np.linalg.LinAlgError:
        return _nan(c)


# ---------------------------------------------------------------- singular values


def has_clear_rank(a: Array) -> bool:
    """True when every singular value is either zero or far from it: small changes within the rank keep it."""
    if not np.isfinite(a).all():
        return False
    values = np.linalg.svd(a.real, compute_uv=False)
    top = values.max(initial=0.0)
    return not bool(((values > CLOSE * top) & (values < 1e-3 * top)).any())


def pinv(a: Array) -> Array:
    """The Moore-Penrose inverse; of a complex array by factors of full rank, a selection of columns and of rows."""
    if not np.isfinite(a).all():
        return _nan(a.T)
    if not np.iscomplexobj(a):
        return np.asarray(np.linalg.pinv(a, rcond=CLOSE))
    rank = int(np.linalg.matrix_rank(a.real, rtol=CLOSE))
    if rank == 0:
        return np.zeros_like(a.T)
    columns = a[:, _independent(a.real, rank)]
    rows = np.linalg.solve(columns.T @ columns, columns.T @ a) if rank < a.shape[1] else np.eye(rank)
    if rank == a.shape[0]:
        columns, rows = np.eye(rank), a
    left = np.linalg.solve(columns.T @ columns, columns.T)
    return np.asarray(rows.T @ np.linalg.solve(rows @ rows.T, left))


def _independent(a: Array, rank: int) -> list[int]:
    """The places of so many columns far from each other's span."""
    rest, chosen = a.copy(), list[int]()
    for _ in range(rank):
        chosen.append(int(np.argmax((rest * rest).sum(axis=0))))
        unit = rest[:, chosen[-1]] / np.linalg.norm(rest[:, chosen[-1]])
        rest = rest - np.outer(unit, unit @ rest)
    return sorted(chosen)


def polar(a: Array) -> Array:
    """U V' of the singular value decomposition without zeros; of a complex array A inv(sqrtm(A'A)), or A's rows so."""
    if not np.isfinite(a).all():
        return _nan(a)
    if not np.iscomplexobj(a):
        u, s, v = np.linalg.svd(a, full_matrices=False)
        rank = int((s > CLOSE * s.max(initial=0.0)).sum())
        return np.asarray(u[:, :rank] @ v[:rank])
    if a.shape[0] >= a.shape[1]:
        return np.asarray(np.linalg.solve(sqrtm(a.T @ a).T, a.T).T)
    return np.asarray(np.linalg.solve(sqrtm(a @ a.T), a))


def _gram(a: Array) -> Array:
    return a.T @ a if a.shape[0] >= a.shape[1] else a @ a.T


def nuclear(a: Array) -> Array:
    """The sum of the singular values."""
    if not np.isfinite(a).all():
        return np.full((1, 1), np.nan)
    if not np.iscomplexobj(a):
        return np.array([[np.linalg.svd(a, compute_uv=False).sum()]])
    return np.array([[np.trace(sqrtm(_gram(a)))]])


def spectral(a: Array) -> Array:
    """The largest singular value."""
    if not np.isfinite(a).all():
        return np.full((1, 1), np.nan)
    if not np.iscomplexobj(a):
        return np.array([[np.linalg.svd(a, compute_uv=False).max()]])
    return np.asarray(np.sqrt(eigmax(_gram(a))))


# ---------------------------------------------------------------- eigenvalues


def _leading(a: Array, count: int) -> tuple[Array, Array]:
    """The largest eigenvalues of the symmetric part and their unit vectors, the largest entry of each positive."""
    s = (a + a.T) / 2
    if not np.isfinite(s).all() or count > len(s):
        return np.full(count, np.nan), np.full((len(s), count), np.nan)
    values, vectors = np.linalg.eigh(s.real)
    values, vectors = values[::-1], vectors[:, ::-1]
    gaps = -np.diff(values, append=-np.inf)[:count] <= CLOSE * max(1.0, np.abs(values).max())
    values, vectors = values[:count], vectors[:, :count]
    sizes = np.abs(vectors)
    signs = np.sign(vectors[np.argmax(sizes >= sizes.max(axis=0) * (1 - 1e-9), axis=0), np.arange(count)])
    vectors = vectors * signs
    if np.iscomplexobj(s) and count and not gaps.any():
        pairs = [_refined(s, values[k], vectors[:, k]) for k in range(count)]
        values, vectors = np.array([v for v, _ in pairs]), np.stack([x for _, x in pairs], axis=1)
    unsure = gaps | np.concatenate([[False], gaps[:-1]])
    return values, np.where(unsure, np.nan, vectors)


def _refined(s: Array, value: complex, vector: Array) -> tuple[complex, Array]:
    """Newton's iteration for S x = λ x, x'x = 1 from a pair of the real part."""
    n = len(s)
    for _ in range(3):
        residual = np.concatenate([s @ vector - value * vector, [(vector @ vector - 1) / 2]])
        matrix = np.block([[s - value * np.eye(n), -vector[:, None]], [vector[None, :], np.zeros((1, 1))]])
        step = np.linalg.solve(matrix, residual)
        vector, value = vector - step[:n], value - step[n]
    return value, vector


def eigmax(a: Array) -> Array:
    """The largest eigenvalue of the symmetric part."""
    return _leading(a, 1)[0].reshape(1, 1)


def eigvecs(a: Array, count: int) -> Array:
    """The unit eigenvectors of the largest eigenvalues of the symmetric part."""
    return _leading(a, count)[1]
