"""The methods: what SciPy's minimizers are called with, one function each.

Each takes the run and a point, and gives the point where it stopped, with what it said.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .data import Array
from .least_squares import gauss_newton

if TYPE_CHECKING:
    from .run import Run

DENSE = 60
"""Up to so many coordinates Newton's method works with the whole Hessian."""


@dataclass
class Stopped:
    """Where a method stopped, and what it said."""

    at: Array
    message: str
    iterations_left: bool = True


def _minimize(run: Run, x: Array, method: str, options: dict[str, Any], **more: Any) -> Stopped:
    from scipy.optimize import minimize

    left = run.iterations_left
    found = minimize(
        run.objective.value_and_gradient,
        x,
        jac=True,
        method=method,
        callback=run.callback,
        options={"maxiter": left, **options},
        **more,
    )
    return Stopped(np.asarray(found.x, dtype=float), str(found.message).rstrip("."))


def lbfgs(run: Run, x: Array) -> Stopped:
    """L-BFGS with bounds."""
    from scipy.optimize import Bounds

    layout = run.objective.layout
    bounds = Bounds(layout.lower, layout.upper) if layout.bounded else None
    options = {"gtol": run.gtol, "ftol": 1e-15, "maxcor": 20, "maxfun": 20 * run.max_iterations, "maxls": 50}
    return _minimize(run, x, "L-BFGS-B", options, bounds=bounds)


def bfgs(run: Run, x: Array) -> Stopped:
    """BFGS."""
    return _minimize(run, x, "BFGS", {"gtol": run.gtol})


def conjugate(run: Run, x: Array) -> Stopped:
    """Nonlinear conjugate gradients."""
    return _minimize(run, x, "CG", {"gtol": run.gtol})


def newton(run: Run, x: Array) -> Stopped:
    """Newton's method in a trust region: with the whole Hessian where it is small, else by products with it."""
    options = {"gtol": run.gtol}
    if run.objective.layout.size <= DENSE:
        return _minimize(run, x, "trust-exact", options, hess=run.objective.hessian)
    return _minimize(run, x, "trust-ncg", options, hessp=run.objective.product)


METHODS: dict[str, tuple[str, Callable[[Run, Array], Stopped]]] = {
    "newton": ("Newton, trust region", newton),
    "lbfgs": ("L-BFGS", lbfgs),
    "bfgs": ("BFGS", bfgs),
    "cg": ("conjugate gradients", conjugate),
    "gauss-newton": ("Gauss-Newton, trust region", gauss_newton),
}
"""By name: what the method is called, and the function."""

ALIASES = {
    "l-bfgs": "lbfgs",
    "l-bfgs-b": "lbfgs",
    "trust-exact": "newton",
    "trust-ncg": "newton",
    "newton-cg": "newton",
    "trust-krylov": "newton",
    "gaussnewton": "gauss-newton",
    "least-squares": "gauss-newton",
}
