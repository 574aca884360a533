"""The value of a random expression, from the definitions, in NumPy or in JAX; JAX differentiates it.

Every value is a 2-D array.  Nothing here is shared with the package.  In NumPy the evaluation also says
where an expression has no derivative nearby, so that such inputs are drawn again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special as jax_special
from scipy import special as scipy_special

from .tree import E

jax.config.update("jax_enable_x64", True)

Array = Any
KINK = 1e-4
"""Nearer than this to a point without derivative an input is not used."""
LARGE = 1e4


class Unfit(Exception):
    """The inputs are near a place where the expression is not differentiable, or badly conditioned."""


@dataclass(frozen=True)
class Inputs:
    """What the names stand for; ``functions`` gives amplitude, frequency and phase of a sine."""

    sizes: Mapping[str, int]
    arrays: Mapping[str, Array] = field(default_factory=dict)
    families: Mapping[str, Mapping[int, Array]] = field(default_factory=dict)
    functions: Mapping[str, tuple[float, float, float]] = field(default_factory=dict)
    states: Mapping[str, Mapping[int, Array]] = field(default_factory=dict)

    def at(self, index: str, value: int) -> Inputs:
        return replace(self, sizes={**self.sizes, index: value})

    def with_array(self, name: str, value: Array) -> Inputs:
        return replace(self, arrays={**self.arrays, name: value})

    def with_member(self, name: str, at: int, value: Array) -> Inputs:
        return replace(self, families={**self.families, name: {**self.families[name], at: value}})


def sine(xp: Any, constants: tuple[float, float, float], order: int, x: Array) -> Array:
    """An unknown function, a sin(b x + c) + x²/5, and its derivatives."""
    a, b, c = constants
    more = [x * x / 5, 2 * x / 5, 0.4 + 0 * x][order] if order < 3 else 0 * x
    return a * b**order * xp.sin(b * x + c + order * np.pi / 2) + more


class Reference:
    """An evaluator over one array library; ``strict`` tells unfit inputs (NumPy alone)."""

    def __init__(self, xp: Any, strict: bool) -> None:
        self.xp, self.strict = xp, strict
        self.special = scipy_special if xp is np else jax_special

    def __call__(self, e: E, env: Inputs) -> Array:
        from .operations import OPERATIONS

        value = OPERATIONS[e.op](self, e, env)
        if self.strict and not (np.isfinite(value).all() and np.abs(value).max(initial=0.0) < LARGE):
            raise Unfit(f"{e.op} is large")
        return value

    # ------------------------------------------------------------ matrices

    def away(self, distance: Array, what: str) -> None:
        if self.strict and not np.all(np.abs(distance) > KINK):
            raise Unfit(what)

    def inv(self, a: Array) -> Array:
        if self.strict and (not np.isfinite(a).all() or np.linalg.cond(a) > 1e4):
            raise Unfit("ill-conditioned")
        return self.xp.linalg.inv(a)

    def solve(self, a: Array, b: Array) -> Array:
        if self.strict and (not np.isfinite(a).all() or np.linalg.cond(a) > 1e4):
            raise Unfit("ill-conditioned")
        return self.xp.linalg.solve(a, b)

    def expm(self, a: Array) -> Array:
        if self.strict and np.abs(a).sum() > 12:
            raise Unfit("expm of much")
        small = a / 2.0**6
        power = total = self.xp.eye(len(a))
        for k in range(1, 13):
            power = power @ small / k
            total = total + power
        for _ in range(6):
            total = total @ total
        return total

    def sqrtm(self, a: Array) -> Array:
        """Denman and Beavers' iteration, in product form."""
        if self.strict:
            values = np.linalg.eigvals(a)
            if not ((values.real > 0.1) & (np.abs(values) < 60)).all() or np.linalg.cond(a) > 1e3:
                raise Unfit("no clear square root")
        eye = self.xp.eye(len(a))
        x, m = a, a
        for _ in range(9):
            back = self.xp.linalg.inv(m)
            x, m = x @ (eye + back) / 2, (eye + (m + back) / 2) / 2
        if self.strict and not np.allclose(x @ x, a, rtol=1e-11, atol=1e-12):
            raise Unfit("no convergence")
        return x

    def logm(self, a: Array) -> Array:
        """8 log of the eighth root, by quadrature of ∫ X inv(I + tX) dt."""
        root = self.sqrtm(self.sqrtm(self.sqrtm(a)))
        eye = self.xp.eye(len(a))
        x = root - eye
        nodes, weights = np.polynomial.legendre.leggauss(12)
        total = 0.0
        for t, w in zip(nodes, weights, strict=True):
            total = total + w / 2 * self.xp.linalg.solve(eye + (t + 1) / 2 * x, x)
        total = 8 * total
        if self.strict and not np.allclose(scipy_expm(total), a, rtol=1e-11, atol=1e-11):
            raise Unfit("no convergence")
        return total

    def corner(self, function: Callable[[Array], Array], args: list[Array]) -> Array:
        a, e, *rest = args
        b = rest[0] if rest else a
        zero = self.xp.zeros((len(b), len(a)))
        whole = function(self.xp.concatenate([self.xp.hstack([a, e]), self.xp.hstack([zero, b])]))
        return whole[: len(a), len(a) :]

    def polar(self, a: Array) -> Array:
        self.full_rank(a)
        if a.shape[0] >= a.shape[1]:
            return a @ self.xp.linalg.inv(self.sqrtm(a.T @ a))
        return self.xp.linalg.inv(self.sqrtm(a @ a.T)) @ a

    def full_rank(self, a: Array) -> None:
        if self.strict:
            values = np.linalg.svd(a, compute_uv=False)
            if values.min() < 0.05 * max(1.0, values.max()):
                raise Unfit("rank")

    def pinv(self, a: Array) -> Array:
        if self.strict:
            values = np.linalg.svd(a, compute_uv=False)
            if ((values < 0.05 * values.max()) & (values > 1e-12 * values.max())).any() or values.max() < 0.05:
                raise Unfit("rank")
            if (values < 1e-12 * values.max()).any():
                raise Unfit("a rank that may change")
        return self.xp.linalg.pinv(a)

    def singular(self, a: Array) -> Array:
        if self.strict:
            values = np.linalg.svd(a, compute_uv=False)
            self.away(values, "rank")
            self.away(np.diff(values) / 20, "equal singular values")
        return self.xp.linalg.svd(a, compute_uv=False)

    def eigen(self, a: Array, count: int) -> tuple[Array, Array]:
        """The largest eigenvalues and their vectors, the largest entry of each positive."""
        s = (a + a.T) / 2
        if self.strict:
            if not np.allclose(a, a.T, atol=1e-9):
                raise Unfit("not symmetric")
            self.away(np.diff(np.linalg.eigvalsh(s)) / 200, "equal eigenvalues")
        values, vectors = self.xp.linalg.eigh(s)
        values, vectors = values[::-1][:count], vectors[:, ::-1][:, :count]
        sizes = self.xp.abs(vectors if self.strict else jax.lax.stop_gradient(vectors))
        if self.strict and len(a) > 1:
            ordered = np.sort(sizes, axis=0)
            self.away((ordered[-1] - ordered[-2]) / 20, "two largest entries")
        largest = self.xp.where(sizes == self.xp.max(sizes, axis=0, keepdims=True), vectors, 0.0)
        return values, vectors * self.xp.sign(self.xp.sum(largest, axis=0, keepdims=True))


def scipy_expm(a: Array) -> Array:
    from scipy.linalg import expm

    return expm(a)


NUMPY = Reference(np, True)
JAX = Reference(jnp, False)
