"""Random matrices with declared facts, random functions, and what each fact means."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from .arrays import Array
from .spectral import eigvecs, has_clear_rank, has_principal_root

TRIES = 200
_CONDITION = 60.0


def _normal(rng: np.random.Generator, m: int, n: int) -> Array:
    """Normal entries, away from zero; a square matrix is well conditioned."""
    for _ in range(TRIES):
        value = rng.standard_normal((m, n))
        value += 0.1 * np.sign(value)
        if m != n or np.linalg.cond(value) < _CONDITION:
            break
    return np.asarray(value)


def _positive_entries(rng: np.random.Generator, m: int, n: int) -> Array:
    return np.abs(_normal(rng, m, n)) + 0.1 + np.eye(m, n)


def _unit_entries(rng: np.random.Generator, m: int, n: int) -> Array:
    return np.asarray(rng.uniform(0.05, 0.6, (m, n)) + 0.3 * np.eye(m, n))


def _principal(rng: np.random.Generator, m: int, n: int) -> Array:
    """Entries around a multiple of the identity: eigenvalues of positive real part."""
    for scale in np.geomspace(0.5, 0.05, TRIES):
        value = 0.8 * np.eye(m, n) + rng.uniform(0.3, 1.5) * np.eye(m, n) + scale * rng.standard_normal((m, n))
        if m != n or np.linalg.eigvals(value).real.min(initial=1.0) > 0.3:
            break
    return np.asarray(value)


DOMAINS: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "any": _normal,
    "positive": _positive_entries,
    "unit": _unit_entries,
    "dominant": _principal,
}


def _orthonormal(rng: np.random.Generator, m: int, n: int) -> Array:
    columns = np.linalg.qr(rng.standard_normal((max(m, n), min(m, n))))[0]
    return np.asarray(columns * rng.choice([-1.0, 1.0], min(m, n)))


def _posdef(rng: np.random.Generator, m: int, _n: int) -> Array:
    q = _orthonormal(rng, m, m)
    value = q * rng.uniform(0.5, 2.5, m) @ q.T
    return np.asarray((value + value.T) / 2)


def _psd(rng: np.random.Generator, m: int, _n: int) -> Array:
    half = rng.standard_normal((m, max(1, m - 1)))
    return np.asarray(half @ half.T)


def _full_rank(rng: np.random.Generator, m: int, n: int) -> Array:
    k = min(m, n)
    return np.asarray(_orthonormal(rng, m, k) * rng.uniform(0.5, 2.0, k) @ _orthonormal(rng, n, k).T)


def _symmetric(rng: np.random.Generator, m: int, n: int) -> Array:
    for _ in range(TRIES):
        value = _normal(rng, m, n)
        value = (value + value.T) / 2
        if np.linalg.cond(value) < _CONDITION:
            break
    return value


def _separated(rng: np.random.Generator, m: int, _n: int) -> Array:
    """A symmetric matrix whose eigenvalues lie apart."""
    q = _orthonormal(rng, m, m)
    value = q * rng.permutation(np.arange(m) - m / 2 + rng.uniform(-0.3, 0.3, m)) @ q.T
    return np.asarray((value + value.T) / 2)


def _skew(rng: np.random.Generator, m: int, n: int) -> Array:
    value = _normal(rng, m, n)
    return (value - value.T) / 2


_BASES: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "posdef": _posdef,
    "psd": _psd,
    "orthogonal": _orthonormal,
    "stiefel": _orthonormal,
    "skew": _skew,
    "distinct": _separated,
    "simple": _separated,
    "symmetric": _symmetric,
    "principal": _principal,
    "invertible": _full_rank,
    "fullrank": _full_rank,
    "fullrow": _full_rank,
}
"""How a matrix is drawn; the first fact that is declared decides."""

_PARTS: dict[str, Callable[[Array], Array]] = {
    "positive": lambda a: np.abs(a) + 0.1,
    "nonneg": np.abs,
    "integer": lambda a: np.round(2 * np.abs(a)) + 1,
    "diagonal": lambda a: np.diag(np.diag(a)),
    "lower": np.tril,
    "upper": np.triu,
}
"""What is done to it afterwards, in this order."""


def shaped(rng: np.random.Generator, m: int, n: int, facts: frozenset[str], domain: str) -> Array:
    """A draw for an m×n matrix with these facts, which it may miss."""
    base = next((draw for fact, draw in _BASES.items() if fact in facts), None)
    value = (base or DOMAINS[domain])(rng, m, n)
    if facts & {"diagonal", "lower", "upper"} and base is None:
        value = value + np.sign(np.diag(np.sign(np.diag(value)))) * 0.5
    for fact, part in _PARTS.items():
        if fact in facts:
            value = part(value)
    return value


def _close(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, atol=1e-12))


def _square_with_condition(value: Array, limit: float) -> bool:
    return value.shape[0] == value.shape[1] and (value.size == 0 or float(np.linalg.cond(value)) < limit)


FACTS: dict[str, Callable[[Array], bool]] = {
    "symmetric": lambda a: _close(a, a.T),
    "skew": lambda a: _close(a, -a.T),
    "posdef": lambda a: _close(a, a.T) and bool(np.linalg.eigvalsh(a).min(initial=1.0) > 0),
    "psd": lambda a: _close(a, a.T) and bool(np.linalg.eigvalsh(a).min(initial=1.0) > -1e-9),
    "orthogonal": lambda a: _close(a.T @ a, np.eye(a.shape[1])) and a.shape[0] == a.shape[1],
    "stiefel": lambda a: _close(a.T @ a, np.eye(a.shape[1])),
    "diagonal": lambda a: _close(a, np.diag(np.diag(a))),
    "lower": lambda a: _close(a, np.tril(a)),
    "upper": lambda a: _close(a, np.triu(a)),
    "invertible": lambda a: _square_with_condition(a, 1e3),
    "fullrank": lambda a: a.shape[0] >= a.shape[1] and (a.size == 0 or float(np.linalg.cond(a)) < 1e3),
    "fullrow": lambda a: a.shape[0] <= a.shape[1] and (a.size == 0 or float(np.linalg.cond(a)) < 1e3),
    "posdet": lambda a: bool(np.linalg.det(a) > 0),
    "principal": lambda a: a.shape[0] == a.shape[1] and has_principal_root(a),
    "simple": lambda a: bool(np.isfinite(eigvecs(a, 1)).all()),
    "distinct": lambda a: bool(np.isfinite(eigvecs(a, len(a))).all()),
    "fixedrank": has_clear_rank,
    "maxrank": lambda a: a.size == 0 or float(np.linalg.cond(a)) < 1e3,
    "positive": lambda a: bool((a[a != 0] > 0).all()),
    "nonneg": lambda a: bool((a >= 0).all()),
    "nonzero": lambda a: bool((a != 0).all()),
    "integer": lambda a: _close(a, np.round(a)),
    "square": lambda a: a.shape[0] == a.shape[1],
    "tall": lambda a: a.shape[0] >= a.shape[1],
    "wide": lambda a: a.shape[0] <= a.shape[1],
}
"""What each fact means, checked of every draw; a positive matrix may have the zeros of its structure."""


def random_function(rng: np.random.Generator) -> Callable[[Array, int], Array]:
    """A smooth function Σ a sin(b x + c) with its derivatives of all orders, for complex x as well."""
    a, b, c = rng.uniform(0.5, 1.5, 3), rng.uniform(0.4, 1.3, 3), rng.uniform(0.0, 6.0, 3)

    def value(x: Array, order: int) -> Array:
        turned = c + order * np.pi / 2
        return sum((a[k] * b[k] ** order * np.sin(b[k] * x + turned[k]) for k in range(3)), np.zeros_like(x))

    return value
