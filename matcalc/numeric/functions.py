"""The functions applied entry by entry, of real and complex numbers.

They branch by the real part and never conjugate, so that the complex step works.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import factorial

import numpy as np

from .arrays import Array


def _sign(x: Array) -> Array:
    return np.asarray(np.sign(x.real))


def _step(x: Array) -> Array:
    return np.asarray((x.real > 0).astype(float))


def _within(function: Callable[[Array], Array], domain: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The real function: nan outside its domain, also for complex arguments."""
    return lambda x: np.where(domain(x.real), function(x), np.nan)


def _small(x: Array) -> Array:
    """exp(-|x|), |x| being -x for negative x and x at 0 as well, so that it has a slope there."""
    return np.asarray(np.exp(np.where(x.real < 0, x, -x)))


def _sigmoid(x: Array) -> Array:
    small = _small(x)
    return np.asarray(np.where(x.real >= 0, 1.0, small) / (1.0 + small))


def _softplus(x: Array) -> Array:
    return np.asarray(np.where(x.real < 0, 0.0, x) + np.log1p(_small(x)))


def _special(name: str) -> Callable[[Array], Array]:
    def call(x: Array) -> Array:
        from scipy import special

        return np.asarray(getattr(special, name)(x))

    return call


def _lgamma(x: Array) -> Array:
    """log|Γ(x)|; for complex x moved by log|Γ(x)| = log|Γ(x+1)| - log|x| to where it is analytic."""
    from scipy import special

    if not np.iscomplexobj(x):
        return np.asarray(special.gammaln(x))
    moved, result = x.copy(), np.zeros_like(x)
    while (moved.real <= 0).any():
        left = moved.real <= 0
        result = np.where(left, result - np.log(moved * _sign(moved)), result)
        moved = np.where(left, moved + 1, moved)
    return np.asarray(result + special.loggamma(moved))


def polygamma_of(order: int, x: Array) -> Array:
    """The derivative of this order of digamma; of complex x by recurrence and the asymptotic series."""
    from scipy import special

    if order == 0 or not np.iscomplexobj(x):
        return np.asarray(special.digamma(x) if order == 0 else special.polygamma(order, x))
    moved, result = x.copy(), np.zeros_like(x)
    sign = -((-1) ** order)
    for _ in range(int(max(0.0, 20.0 - moved.real.min()))):
        result = result + sign * factorial(order) / moved ** (order + 1)
        moved = moved + 1
    series = factorial(order - 1) / moved**order + factorial(order) / (2 * moved ** (order + 1))
    for j, bernoulli in enumerate(special.bernoulli(20)[2::2], 1):
        series = series + bernoulli * factorial(2 * j + order - 1) / factorial(2 * j) / moved ** (2 * j + order)
    return np.asarray(result + sign * series)


FUNCTIONS: dict[str, Callable[[Array], Array]] = {
    "exp": np.exp,
    "log": _within(np.log, lambda x: x >= 0),
    "sqrt": _within(np.sqrt, lambda x: x >= 0),
    "square": lambda x: x * x,
    "abs": lambda x: x * _sign(x),
    "sign": _sign,
    "step": _step,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": _within(np.arcsin, lambda x: abs(x) <= 1),
    "acos": _within(np.arccos, lambda x: abs(x) <= 1),
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": _within(np.arccosh, lambda x: x >= 1),
    "atanh": _within(np.arctanh, lambda x: abs(x) <= 1),
    "sigmoid": _sigmoid,
    "relu": lambda x: x * _step(x),
    "softplus": _softplus,
    "erf": _special("erf"),
    "erfc": _special("erfc"),
    "lgamma": _lgamma,
    "digamma": _special("digamma"),
    "trigamma": partial(polygamma_of, 1),
}
"""Functions applied entry by entry; real arguments outside the domain give nan."""
