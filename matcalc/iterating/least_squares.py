"""Sums of squares: the residuals and their Jacobian, for the Gauss-Newton method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..bounds import bounded
from ..calculus.residuals import Square, squares
from ..calculus.system import System
from ..compile.function import GeneratedFunction, compile_numpy
from ..errors import MatcalcError
from ..terms import build, ops
from ..terms.symbols import Family
from ..terms.term import Term
from ..terms.walk import postorder
from .data import Array
from .objective import Objective
from .problem import Derivatives, Sought

if TYPE_CHECKING:
    from .methods import Stopped
    from .run import Run

ENTRIES = 20_000_000
"""The largest Jacobian that is made."""


def occurs(unknown: Sought, term: Term) -> bool:
    """Whether an unknown occurs in a term, any member of it if it is a family."""
    if isinstance(unknown.source, Family):
        return any(t.op is ops.MEMBER and t.attr.family == unknown.source for t in postorder(term))
    return any(t is unknown.term for t in postorder(term))


def residuals(function: Term, unknowns: Sequence[Sought]) -> list[Square] | None:
    """The squares of which a function is the sum, but for what does not vary; None where it is no such sum."""
    found = []
    for one in squares(function):
        if not any(occurs(u, one.shown) for u in unknowns):
            continue
        if one.residual is None or len(one.indices) > 1:
            return None
        if any(occurs(u, factor) for u in unknowns for factor in one.factors):
            return None
        found.append(one)
    return found or None


class Residuals:
    """The vector r of which the objective is the squared norm, but for a constant; its Jacobian, derived."""

    def __init__(self, system: System, parts: Sequence[Square], derivatives: Derivatives) -> None:
        self.system, self.parts, self.derivatives = system, list(parts), derivatives

    @cached_property
    @bounded
    def values(self) -> GeneratedFunction:
        """The residuals and the factors before their squares."""
        terms: dict[str, Term] = {}
        for at, part in enumerate(self.parts):
            assert part.residual is not None
            terms[f"r{at}"] = self._indexed(part, self.system.simplify(part.residual))
            terms[f"c{at}"] = self._indexed(part, build.times(build.ONE_NUM, *part.factors))
        return compile_numpy(terms, "residuals", self.derivatives.inputs)

    @cached_property
    @bounded
    def moved(self) -> GeneratedFunction:
        """The derivatives of the residuals along directions, one for each unknown."""
        terms = {}
        for at, part in enumerate(self.parts):
            assert part.residual is not None
            term = self.system.simplify(self.derivatives.moved(part.residual))
            terms[f"r{at}"] = self._indexed(part, term)
        return compile_numpy(terms, "residuals_moved", self.derivatives.inputs)

    def _indexed(self, part: Square, term: Term) -> Term:
        return build.family(part.indices[0], term) if part.indices else term


class SquaredNorm:
    """The residuals in the coordinates of an objective."""

    def __init__(self, objective: Objective, residuals: Residuals) -> None:
        self.objective, self.residuals = objective, residuals
        self.weights: list[Any] = []

    def suits(self, x: Array) -> bool:
        """Whether all factors are nonnegative numbers at these data, and the Jacobian is not too large."""
        found = self._run(self.residuals.values, x)
        if not found:
            return False
        count = len(self.residuals.parts)
        factors = [np.asarray(found[f"c{at}"], dtype=float) for at in range(count)]
        if any(not np.isfinite(c).all() or (c < 0).any() for c in factors):
            return False
        self.weights = [np.sqrt(c) for c in factors]
        rows = sum(_flat(found[f"r{at}"]).size for at in range(count))
        return rows * self.objective.layout.size <= ENTRIES

    def _run(self, function: GeneratedFunction, x: Array, more: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
        here = self.objective.at(x)
        if not here.finite:
            return {}
        moving = self.objective.layout.gathered(here.arrays)
        return self.objective.runner.call(function, {**moving, **(more or {})})

    def _weighted(self, found: Mapping[str, Any]) -> Array:
        parts = [_scaled(found[f"r{at}"], weight) for at, weight in enumerate(self.weights)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def at(self, x: Array) -> Array:
        """The residuals, NaN outside the domain."""
        found = self._run(self.residuals.values, x)
        if found:
            return self._weighted(found)
        return np.full(self.size, np.nan)

    size = 1

    def jacobian(self, x: Array) -> Array:
        """Column by column, along the coordinates."""
        layout, names = self.objective.layout, self.residuals.derivatives.directions
        columns = []
        for direction in np.eye(layout.size):
            pushed = layout.gathered(layout.push(x, direction))
            found = self._run(self.residuals.moved, x, {names[name]: value for name, value in pushed.items()})
            self.objective.products += 1
            columns.append(self._weighted(found))
        return np.array(columns).T


def _flat(value: Any) -> Array:
    if isinstance(value, list):
        return np.concatenate([np.ravel(v) for v in value]) if value else np.zeros(0)
    return np.ravel(value)


def _scaled(value: Any, weight: Array) -> Array:
    """Each member with its weight; one weight for all of what is no family."""
    if np.ndim(weight) == 0:
        return _flat(value) * weight
    return np.concatenate([np.ravel(v) * w for v, w in zip(value, weight, strict=True)]) if len(value) else np.zeros(0)


class _HaltError(Exception):
    """The iterations or the time are over."""


def gauss_newton(run: Run, x: Array) -> Stopped:
    """The Gauss-Newton method in a trust region, bounds kept."""
    from scipy.optimize import least_squares

    from .methods import Stopped

    squared = run.squared_norm
    if squared is None or not squared.suits(x):
        raise MatcalcError("the objective is no sum of squares here", hint="write it as c*norm(F)^2 + ..., c >= 0")
    squared.size = squared.at(x).size
    layout = run.objective.layout
    last = [x]
    met = False

    def jacobian(at: Array) -> Array:
        nonlocal met
        if met:
            try:
                run.record(run.objective.at(at))
            except StopIteration:
                last[0] = np.array(at)
                raise _HaltError from None
        met = True
        return squared.jacobian(at)

    margin = 1e-12 * np.maximum(1.0, np.abs(x))
    begin = np.clip(x, np.where(np.isfinite(layout.lower), layout.lower + margin, -np.inf), layout.upper)
    free = run.free_choice and run.second and not layout.bounded
    enough = 1e-5 if free else 1e-15  # near a minimum whose residuals are not 0, Newton's method is faster
    try:
        found = least_squares(
            squared.at,
            begin,
            jacobian,
            bounds=(layout.lower, layout.upper),
            method="trf",
            xtol=enough,
            ftol=enough,
            gtol=1e-15,
            max_nfev=20 * run.max_iterations,
        )
    except _HaltError:
        return Stopped(last[0], "")
    return Stopped(np.asarray(found.x, dtype=float), str(found.message).rstrip("."))
