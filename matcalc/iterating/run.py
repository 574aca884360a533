"""The course of an iteration: rounds of a method, charts put anew, saddles left, the last digits by Newton's method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .data import Array
from .least_squares import SquaredNorm
from .methods import METHODS, Stopped
from .objective import Evaluation, Objective
from .progress import Recorder

ROUNDS = 200
"""How often the method is started anew, around another point."""

ESCAPES = 5
"""How often a saddle is left."""

INSPECTED = 150
"""Up to so many coordinates the whole Hessian is looked at where the method has stopped."""

NEAR = 0.01
"""So far away, relative to the size of a point, gradients are looked at to see whether the one here is small."""

RUNAWAY = 1e6
"""A point this much further out than the start has run away."""

POLISH = 8
"""Newton's steps at the end."""


class Run:
    """One iteration from one start."""

    def __init__(
        self,
        objective: Objective,
        method: str,
        recorder: Recorder,
        *,
        tol: float,
        max_iterations: int,
        second: bool,
        squared_norm: SquaredNorm | None = None,
        free_choice: bool = False,
        callback: Callable[[Any], object] | None = None,
    ) -> None:
        self.objective, self.method, self.recorder = objective, method, recorder
        self.tol, self.max_iterations, self.second = tol, max_iterations, second
        self.squared_norm = squared_norm
        self.free_choice = free_choice
        self.user_callback = callback
        self.iterations = 0
        self.gtol = 1e-4 * tol
        self.begun = np.zeros(0)
        self.stopped_by = ""
        self.interrupted = False

    # ------------------------------------------------------------ what the methods use

    @property
    def iterations_left(self) -> int:
        """How many are left."""
        return max(1, self.max_iterations - self.iterations)

    def callback(self, *args: Any, **_: Any) -> None:
        """After each iteration of a method."""
        at = np.asarray(getattr(args[0], "x", args[0]), dtype=float)
        self.record(self.objective.at(at))
        if self.objective.layout.far(at):
            raise StopIteration

    def record(self, here: Evaluation) -> None:
        """An iterate."""
        self.iterations += 1
        self._add(here)
        if self.recorder.over:
            self.stopped_by = "the time is over"
        elif self.iterations >= self.max_iterations:
            self.stopped_by = f"{self.max_iterations} iterations are over"
        if self.stopped_by:
            raise StopIteration

    def _add(self, here: Evaluation) -> None:
        def point() -> dict[str, Any]:
            return self.objective.layout.gathered([a.copy() for a in here.arrays])

        self.recorder.add(self.objective.told(here.value), self.objective.told_norm(self.norm(here)), point)
        if self.user_callback is not None:
            self.user_callback(self.recorder.trajectory[-1])

    # ------------------------------------------------------------ gradients along bounds

    def inner(self, here: Evaluation) -> Array:
        """Which coordinates are free to move: not at a bound that the descent points out of."""
        layout, g = self.objective.layout, here.gradient
        span = 1e-12 * np.maximum(1.0, np.abs(here.at))
        low = (here.at <= layout.lower + span) & (g >= 0)
        high = (here.at >= layout.upper - span) & (g <= 0)
        return ~(low | high)

    def norm(self, here: Evaluation) -> float:
        """The norm of the gradient, without what points out of the bounds."""
        gradient = here.gradient if not self.objective.layout.bounded else here.gradient[self.inner(here)]
        return float(np.linalg.norm(gradient))

    # ------------------------------------------------------------ the course

    def go(self, x: Array) -> Evaluation:
        """From a start to where it ends; the best point so far when interrupted."""
        self.begun = x
        self.objective.scaled_by(1.0)
        here = self.objective.at(x)
        self.objective.scaled_by(max(float(np.linalg.norm(here.gradient)), self.nearby(here)))
        here = self.objective.at(x)
        self._add(here)
        try:
            end = self._go(x)
            return end if end.finite else self.objective.best or here
        except KeyboardInterrupt:
            self.interrupted = True
            self.stopped_by = f"interrupted after {self.iterations} iterations; this is the best point so far"
            return self._best(here)

    def span(self, x: Array) -> float:
        """How large a point is: its norm, or the way to it if that is longer."""
        here = max(float(np.linalg.norm(x)), float(np.linalg.norm(x - self.begun)))
        return max(here, 1.0) if self.objective.layout.based or here == 0 else here

    def nearby(self, here: Evaluation) -> float:
        """The norm of the gradient a hundredth of the size of the point away: what a gradient is small against."""
        layout, free = self.objective.layout, self.inner(here)
        drawn = np.where(free, np.random.default_rng(0).standard_normal(layout.size), 0.0)
        length = float(np.linalg.norm(drawn))
        if length == 0:
            return 0.0
        for step in (NEAR, NEAR / 100):
            move = step * self.span(here.at) / length * drawn
            both = (self.objective.at(np.clip(here.at + s * move, layout.lower, layout.upper)) for s in (1, -1))
            norms = [float(np.linalg.norm(e.gradient[free])) * NEAR / step for e in both if e.finite]
            if norms:
                return max(norms)
        return 0.0

    def _best(self, here: Evaluation) -> Evaluation:
        best = self.objective.best
        return best if best is not None and best.value <= here.value else here

    def _go(self, x: Array) -> Evaluation:
        escapes = 0
        for _ in range(ROUNDS):
            stopped = self._step(x)
            self.message = f"SciPy says: {stopped.message.lower()}"
            again = self.objective.layout.far(stopped.at) and not self.stopped_by
            x = self.objective.moved(self._best(self.objective.at(stopped.at)).at)
            if again:
                continue
            if self.stopped_by:
                break
            x = self.finish(self.polish(x))
            if self.tighten(x):
                continue
            away = self.leave_saddle(x) if escapes < ESCAPES else None
            if away is None:
                break
            escapes += 1
            x = away
        return self.objective.at(x)

    def _step(self, x: Array) -> Stopped:
        if self.objective.layout.size == 0:
            return Stopped(x, "nothing is free to move")
        return METHODS[self.method][1](self, x)

    message = ""

    # ------------------------------------------------------------ the last digits

    def finish(self, x: Array) -> Array:
        """Where another method has stopped short, Newton's method goes on, if the choice was not the user's."""
        if not self.free_choice or not self.second or self.method == "newton" or self.objective.layout.bounded:
            return x
        if self.stopped_by or self.close(self.objective.at(x)):
            return x
        stopped = METHODS["newton"][1](self, x)
        return self.polish(self._best(self.objective.at(stopped.at)).at)

    def tighten(self, x: Array) -> bool:
        """Whether the method stopped by a gradient that was small at the start, but is not here: it goes on then."""
        here = self.objective.at(x)
        if self.stopped_by or self.norm(here) > self.gtol or self.gtol < 1e-30 or self.close(here):
            return False
        self.gtol *= 1e-4
        return True

    def close(self, here: Evaluation) -> bool:
        """Whether the gradient is small against those nearby: as far as it goes, the optimum is not further."""
        norm = self.norm(here)
        return norm == 0 or (here.finite and NEAR * norm <= self.tol * self.nearby(here))

    def polish(self, x: Array) -> Array:
        """Newton's steps, while they make the gradient smaller."""
        if not self.second:
            return x
        for _ in range(POLISH):
            here = self.objective.at(x)
            norm = self.norm(here)
            if norm <= 1e-16:
                break
            step = self.newton_step(here)
            if step is None:
                break
            layout = self.objective.layout
            there = self.objective.at(np.clip(x + step, layout.lower, layout.upper))
            slack = 1e-9 * abs(here.value) + norm * float(np.linalg.norm(step))
            if not there.finite or there.value > here.value + slack or self.norm(there) > 0.5 * norm:
                break
            x = there.at
            self.iterations += 1
            self._add(there)
        return x

    def newton_step(self, here: Evaluation) -> Array | None:
        """The step to the minimum of the quadratic model, None where the model has none."""
        free = self.inner(here)
        step = np.zeros_like(here.gradient)
        if not free.any():
            return step
        if self.objective.layout.size <= INSPECTED:
            values, vectors = np.linalg.eigh(self.objective.hessian(here.at)[np.ix_(free, free)])
            top = float(np.abs(values).max())
            if values.min() < -1e-7 * top:
                return None
            coefficients = vectors.T @ here.gradient[free]
            kept = values > 1e-11 * top
            if np.linalg.norm(coefficients[~kept]) > 1e-6 * np.linalg.norm(coefficients):
                return None  # downhill where the model is flat
            step[free] = -vectors[:, kept] @ (coefficients[kept] / values[kept])
            return step
        return self._by_conjugate_gradients(here, free, step)

    def _by_conjugate_gradients(self, here: Evaluation, free: Array, step: Array) -> Array | None:
        """The same by products with the Hessian alone; None where the model curves down, or it takes too long."""
        gradient = np.where(free, here.gradient, 0.0)
        residual, direction = -gradient, -gradient
        square = float(residual @ residual)
        goal = 1e-20 * square
        for _ in range(MAX_CG):
            moved = np.where(free, self.objective.product(here.at, direction), 0.0)
            curvature = float(direction @ moved)
            if not curvature > 0:
                return None
            length = square / curvature
            step = step + length * direction
            residual = residual - length * moved
            before, square = square, float(residual @ residual)
            if square <= goal:
                return step
            direction = residual + square / before * direction
        return step if square < 1e-6 * float(gradient @ gradient) else None

    def leave_saddle(self, x: Array) -> Array | None:
        """A lower point along a direction of negative curvature, None where there is none."""
        size = self.objective.layout.size
        if not self.second or size == 0 or size > INSPECTED:
            return None
        here = self.objective.at(x)
        free = self.inner(here)
        if not free.any() or self.norm(here) > 1e-3:
            return None
        values, vectors = np.linalg.eigh(self.objective.hessian(x)[np.ix_(free, free)])
        if values[0] >= -1e-7 * max(1e-300, float(np.abs(values).max())):
            return None
        direction = np.zeros(size)
        direction[free] = vectors[:, 0]
        layout = self.objective.layout
        for length in (1.0, 0.1, 0.01, 1e-3):
            for sign in (1.0, -1.0):
                there = self.objective.at(np.clip(x + sign * length * direction, layout.lower, layout.upper))
                least = max(1e-12 * abs(here.value), 1e-4 * abs(float(values[0])) * length**2)
                if there.value < here.value - least:
                    return there.at
        return None

    # ------------------------------------------------------------ the verdict

    def verdict(self, end: Evaluation) -> tuple[bool, str]:
        """Whether the end meets the tolerance, and what to say."""
        norm, near = self.norm(end), self.nearby(end)
        if self.interrupted:
            return False, self.stopped_by
        if norm == 0:
            return True, "the gradient is 0"
        if NEAR * norm <= self.tol * near:
            told = self.objective.told_norm
            return True, f"the gradient is {told(norm):.1e}; a step of 1 % of the point makes it {told(near):.1e}"
        close = self.distance(end)
        if close is not None and close <= self.tol:
            return True, f"Newton's step is {close:.1e} of the point: no closer by rounding"
        far = float(np.linalg.norm(end.at))
        if far > RUNAWAY * max(1.0, float(np.linalg.norm(self.begun))):
            where = f"the point has run away, to a norm of {far:.1e}: there may be no optimum"
            return False, f"{self.stopped_by or self.message}; {where}"
        if end.value < -1e15 * max(1.0, abs(self.recorder.trajectory[0].value)):
            return False, "the objective falls without bound"
        if not self.stopped_by and self.objective.told_norm(norm) < 1e-8 * self.recorder.trajectory[0].gradient_norm:
            small = f"the gradient has fallen to {self.objective.told_norm(norm):.1e} while the point moves on"
            return False, f"{small}: the optimum may lie at infinity, or on the edge of the set"
        return False, self.stopped_by or f"stopped before the tolerance was met: {self.message}"

    def distance(self, end: Evaluation) -> float | None:
        """How far the minimum is by Newton's step, relative to the point; None where that is not known."""
        if not self.second or not end.finite:
            return None
        step = self.newton_step(end)
        return None if step is None else float(np.linalg.norm(step)) / self.span(end.at)


MAX_CG = 400
"""Products with the Hessian for one step of Newton's method."""
