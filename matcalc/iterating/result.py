"""What a minimization by iteration gives back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..errors import MatcalcError
from .data import shown_shape


@dataclass(frozen=True)
class Iterate:
    """One point on the way: the value and the norm of the gradient there, and the point if it was kept."""

    value: float
    gradient_norm: float
    seconds: float
    point: dict[str, Any] | None = None


@dataclass
class Optimum:
    """The best point that an iteration found, and how it went.

    ``value`` is the objective there, ``gradient_norm`` the 2-norm of its gradient by the free coordinates (under
    constraints that of the Lagrange function, along active bounds without what points outwards).  ``converged``
    says whether the point meets the tolerance; ``message`` why it ended.  The ``multipliers`` λ of the constraints,
    by their text, make f + Σ <λ, left - right> stationary: how fast the optimal value falls as the right side grows.
    """

    points: dict[str, Any]
    single: bool
    value: float
    gradient_norm: float
    converged: bool
    message: str
    method: str
    iterations: int
    evaluations: int
    products: int
    seconds: float
    goal: str
    trajectory: list[Iterate]
    parametrisation: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    multipliers: dict[str, Any] = field(default_factory=dict)
    constraint_violation: float = 0.0
    constrained: bool = False
    first: dict[str, int] = field(default_factory=dict)
    """The number of the first member of each family."""

    @property
    def solution(self) -> Any:
        """The unknown at the optimum; for several unknowns a dict of them by name."""
        return next(iter(self.points.values())) if self.single else self.points

    @property
    def x(self) -> Any:
        """The same as ``solution``."""
        return self.solution

    def __getitem__(self, name: str) -> Any:
        """One unknown by its name.  Raises :class:`MatcalcError` for another name."""
        if name not in self.points:
            raise MatcalcError(f"{name} was no unknown", hint=f"the unknowns were {', '.join(self.points)}")
        return self.points[name]

    @property
    def success(self) -> bool:
        """The same as ``converged``, as SciPy calls it."""
        return self.converged

    def lines(self, notes: bool = True) -> list[str]:
        """The result as text, line by line, remarks behind it."""
        state = "converged" if self.converged else "NOT CONVERGED"
        lines = [
            f"{self.goal} {self.value:.10g}   ({state})",
            f"{self.message}",
            f"method {self.method}: {self.iterations} iterations, {self.evaluations} evaluations, "
            f"{self.products} Hessian products, {self.seconds:.2f} s",
            f"norm of the gradient {self.gradient_norm:.2g}",
        ]
        if self.constrained:
            lines.append(f"constraints met within {self.constraint_violation:.2g}")
        for name, value in self.points.items():
            lines.append(f"{name}: {_shown(value)}")
            if name in self.parametrisation:
                lines.append(f"  in the coordinates of {self.parametrisation[name]}")
        return lines + [f"# {note}" for note in self.notes if notes]

    def to_json(self) -> dict[str, Any]:
        """The result as plain data."""
        return {
            "goal": self.goal,
            "value": self.value,
            "solution": {name: _plain(value) for name, value in self.points.items()},
            "converged": self.converged,
            "message": self.message,
            "method": self.method,
            "gradient_norm": self.gradient_norm,
            "iterations": self.iterations,
            "evaluations": self.evaluations,
            "seconds": self.seconds,
            "multipliers": {text: _plain(value) for text, value in self.multipliers.items()},
            "constraint_violation": self.constraint_violation,
            "parametrisation": self.parametrisation,
            "trajectory": [{"value": step.value, "gradient_norm": step.gradient_norm} for step in self.trajectory],
            "notes": self.notes,
        }

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def __repr__(self) -> str:
        state = "converged" if self.converged else "not converged"
        return f"<{self.goal} {self.value:.10g}, {state} after {self.iterations} iterations>"

    def plot(self, axes: Any = None) -> Any:
        """Draw value and gradient norm against the iteration; the pair of axes that was drawn on.

        The value is drawn as its distance from the final one.  Raises :class:`MatcalcError` without Matplotlib.
        """
        from .picture import draw

        return draw(self, axes)


def _plain(value: Any) -> Any:
    """Arrays as nested lists."""
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return np.asarray(value).tolist()


def _shown(value: Any) -> str:
    """Shape and norm of an array, and its entries where they are few."""
    if isinstance(value, list):
        shapes = ", ".join(shown_shape(np.shape(member)) for member in value)
        return f"{len(value)} arrays of shapes {shapes}"
    array = np.asarray(value)
    if array.ndim == 0:
        return f"{float(array):.10g}"
    told = f"shape {shown_shape(array.shape)}, norm {float(np.linalg.norm(array)):.6g}"
    if array.size > 16 or array.ndim > 2:
        return told
    with np.printoptions(precision=8, suppress=True):
        text = np.array2string(array, separator=", ", prefix="  ")
    return f"{told}\n  {text}"
