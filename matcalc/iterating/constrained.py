"""An iteration under constraints: SciPy's methods, then the last digits by Newton's method on the KKT conditions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from .constraints import Constraint, reset
from .data import Array
from .methods import Stopped
from .objective import Evaluation
from .run import INSPECTED, NEAR, POLISH, Run

ACTIVE = (1e-10, 1e-8, 1e-6, 1e-4, 1e-2)
"""An inequality this near to its end may be active; the nearness that explains the gradient best is taken."""


@dataclass
class Multipliers:
    """The conditions that hold with equality, their Jacobian, their values, and the multipliers that fit best."""

    jacobian: Array
    values: Array
    multipliers: Array
    gradient: Array
    """Of the Lagrange function."""
    violation: float
    owners: list[tuple[int, int]]
    """Of each row the constraint (-1 for a bound) and its place in it."""


class Row(NamedTuple):
    """One scalar condition at a point: its gradient, its value, what the value is small against, whose it is."""

    gradient: Array
    value: float
    scale: float
    equality: bool
    owner: tuple[int, int]


SLSQP_TOLERANCES = (1e-11, 1e-15)
"""The last is where it may creep; most points are finished by Newton's method on the active conditions before."""


class ConstrainedRun(Run):
    """A run whose points have to meet constraints."""

    constraints: Sequence[Constraint] = ()

    # ------------------------------------------------------------ the methods

    def slsqp(self, x: Array, ftol: float) -> Stopped:
        """Sequential quadratic programming, until the objective changes less than ``ftol``."""
        from scipy.optimize import Bounds, minimize

        layout = self.objective.layout
        bounds = Bounds(layout.lower, layout.upper) if layout.bounded else None
        conditions = [
            {"type": "eq" if c.equality else "ineq", "fun": c.at, "jac": c.jacobian} for c in self.constraints
        ]
        return self._minimized(
            minimize,
            x,
            method="SLSQP",
            bounds=bounds,
            constraints=conditions,
            options={"maxiter": self.iterations_left, "ftol": ftol},
        )

    def trust_constr(self, x: Array) -> Stopped:
        """An interior point method in a trust region, with the derived second derivatives."""
        from scipy.optimize import Bounds, NonlinearConstraint, minimize
        from scipy.sparse.linalg import LinearOperator

        layout = self.objective.layout
        shape = (layout.size, layout.size)

        def curvature(c: Constraint) -> Any:
            return lambda at, v: LinearOperator(shape, matvec=lambda d: c.curvature(at, v, np.ravel(d)))

        conditions = [
            NonlinearConstraint(c.at, 0.0, 0.0 if c.equality else np.inf, jac=c.jacobian, hess=curvature(c))
            for c in self.constraints
        ]
        more: dict[str, Any] = {"bounds": Bounds(layout.lower, layout.upper)} if layout.bounded else {}
        if self.second:
            more["hess"] = lambda at: LinearOperator(shape, matvec=lambda d: self.objective.product(at, np.ravel(d)))
        options = {"maxiter": self.iterations_left, "gtol": self.gtol, "xtol": 1e-12, "barrier_tol": 1e-10}
        return self._minimized(minimize, x, method="trust-constr", constraints=conditions, options=options, **more)

    def _minimized(self, minimize: Any, x: Array, **how: Any) -> Stopped:
        import warnings

        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of rounding in SciPy's own steps; what comes out is judged below
                found = minimize(self.objective.value_and_gradient, x, jac=True, callback=self.callback, **how)
        except StopIteration:
            return Stopped(self.last, self.stopped_by)
        except ValueError as error:  # SciPy's, of models without a minimum
            return Stopped(self.last if self.last.size else x, str(error).rstrip("."))
        return Stopped(np.asarray(found.x, dtype=float), str(found.message).rstrip("."))

    def callback(self, *args: Any, **more: Any) -> None:
        """After each iteration."""
        self.last = np.array(getattr(args[0], "x", args[0]), dtype=float)
        super().callback(*args, **more)

    last = np.zeros(0)

    # ------------------------------------------------------------ the course

    def _step(self, x: Array) -> Stopped:
        reset(self.constraints)
        if self.method == "trust-constr":
            return self.trust_constr(x)
        for ftol in SLSQP_TOLERANCES:
            stopped = self.slsqp(x, ftol)
            if self.stopped_by or self._met(self.objective.at(stopped.at)):
                return stopped
            polished = self.polish(stopped.at)
            if self._met(self.objective.at(polished)):
                return Stopped(polished, stopped.message)
            if np.isfinite(self.objective.at(stopped.at).value):
                x = stopped.at
        self.helped = True
        return self.trust_constr(x)

    helped = False

    def _best(self, here: Evaluation) -> Evaluation:
        return here

    def leave_saddle(self, x: Array) -> Array | None:
        """Second-order conditions under constraints are not looked at."""
        return None

    # ------------------------------------------------------------ the KKT conditions

    def conditions(self, here: Evaluation) -> Multipliers:
        """The active conditions at a point, with the multipliers that leave the smallest gradient."""
        rows = self._rows(here.at)
        found = [self._fitted(here, rows, near) for near in ACTIVE]
        return min(found, key=self._residual)

    def _rows(self, x: Array) -> list[Row]:
        """All scalar conditions at a point, bounds among them."""
        layout = self.objective.layout
        rows: list[Row] = []
        for number, c in enumerate(self.constraints):
            values, jacobian = c.at(x), c.jacobian(x)
            scales = np.maximum(1.0, np.abs(jacobian) @ np.maximum(1.0, np.abs(x)))
            rows += [
                Row(gradient, float(value), float(scale), c.equality, (number, at))
                for at, (gradient, value, scale) in enumerate(zip(jacobian, values, scales, strict=True))
            ]
        for at in range(layout.size):
            for limit, sign in ((layout.lower[at], 1.0), (layout.upper[at], -1.0)):
                if np.isfinite(limit):
                    gradient = sign * np.eye(1, layout.size, at)[0]
                    rows.append(Row(gradient, float(sign * (x[at] - limit)), max(1.0, abs(limit)), False, (-1, at)))
        return rows

    def _fitted(self, here: Evaluation, rows: Sequence[Row], near: float) -> Multipliers:
        kept = [r for r in rows if r.equality or r.value <= near * r.scale]
        while True:
            jacobian = np.array([r.gradient for r in kept]).reshape(len(kept), self.objective.layout.size)
            multipliers = np.linalg.lstsq(jacobian.T, here.gradient, rcond=None)[0] if kept else np.zeros(0)
            wrong = [k for k, row in enumerate(kept) if not row.equality and multipliers[k] < 0]
            if not wrong:
                break
            kept.pop(min(wrong, key=lambda k: multipliers[k]))
        gradient = here.gradient - jacobian.T @ multipliers
        violation = max((abs(r.value) if r.equality else max(-r.value, 0.0) for r in rows), default=0.0)
        values = np.array([r.value for r in kept])
        return Multipliers(jacobian, values, multipliers, gradient, violation, [r.owner for r in kept])

    def _residual(self, found: Multipliers) -> float:
        return float(np.linalg.norm(found.gradient)) + float(np.linalg.norm(found.values)) + found.violation

    def norm(self, here: Evaluation) -> float:
        """The norm of the gradient of the Lagrange function."""
        return float(np.linalg.norm(self.conditions(here).gradient)) if here.finite else np.inf

    def polish(self, x: Array) -> Array:
        """Newton's steps on the KKT conditions with the active inequalities as equations."""
        if not self.second or self.objective.layout.size > INSPECTED:
            return x
        layout = self.objective.layout
        here = self.objective.at(x)
        for _ in range(POLISH):
            if not here.finite:
                return x
            found = self.conditions(here)
            before = self._residual(found)
            if before <= 1e-16:
                break
            hessian = self.objective.hessian(here.at)
            for number, c in enumerate(self.constraints):
                mine = np.zeros(c.size)
                for (owner, at), multiplier in zip(found.owners, found.multipliers, strict=True):
                    if owner == number:
                        mine[at] = multiplier
                if mine.any():
                    hessian = hessian - c.hessian(here.at, mine)
            count = len(found.values)
            system = np.block([[hessian, -found.jacobian.T], [found.jacobian, np.zeros((count, count))]])
            right = np.concatenate([-here.gradient, -found.values])
            step = np.linalg.lstsq(system, right, rcond=None)[0][: layout.size]
            there = self.objective.at(here.at + step)
            if not there.finite:
                break
            after = self.conditions(there)
            if self._residual(after) > 0.5 * before or after.violation > max(found.violation, 1e-9):
                break
            here = there
            self.iterations += 1
            self._add(here)
        return here.at

    # ------------------------------------------------------------ the verdict

    def _met(self, end: Evaluation) -> bool:
        if not end.finite:
            return False
        found = self.conditions(end)
        worst = max(found.violation, float(np.max(np.abs(found.values), initial=0.0)))
        if worst > max(self.tol, 1e-12) * max(1.0, float(np.max(np.abs(end.at), initial=0.0))):
            return False
        norm = float(np.linalg.norm(found.gradient))
        reference = max(float(np.linalg.norm(end.gradient)), self.nearby(end) / NEAR)
        return norm == 0 or norm <= max(self.tol, 1e-9) * reference

    def inner(self, here: Evaluation) -> Array:
        """All coordinates: bounds are conditions like the others."""
        return np.ones(here.at.size, dtype=bool)

    def tighten(self, x: Array) -> bool:
        """SciPy's methods under constraints are not called again."""
        return False

    def finish(self, x: Array) -> Array:
        """Newton's method alone keeps no constraints."""
        return x

    def verdict(self, end: Evaluation) -> tuple[bool, str]:
        """Whether the KKT conditions hold, and what to say."""
        if self.interrupted:
            return False, self.stopped_by
        if self._met(end):
            norm = self.objective.told_norm(self.norm(end))
            return True, f"the KKT conditions hold: the gradient of the Lagrange function is {norm:.1e}"
        found = self.conditions(end) if end.finite else None
        if self.stopped_by:
            return False, self.stopped_by
        if found is not None and found.violation > self.tol:
            return (
                False,
                f"no point that meets the constraints was found: the best misses them by {found.violation:.1e}",
            )
        return False, f"stopped before the tolerance was met: {self.message}"

    def told_multipliers(self, end: Evaluation) -> dict[str, Any]:
        """For each condition the multipliers λ, with f + <λ, left - right> stationary."""
        found = self.conditions(end)
        told: dict[str, Any] = {}
        for number, c in enumerate(self.constraints):
            mine = np.zeros(c.size)
            for (owner, at), multiplier in zip(found.owners, found.multipliers, strict=True):
                if owner == number:
                    mine[at] = multiplier
            sign = 1.0 if c.condition.relation == "<=" else -1.0
            value = sign * mine.reshape(c.shape) / self.objective.factor
            told[c.condition.text] = value if c.shape else float(value)
        return told
