"""The objective as a function of one vector of free coordinates, with exact derivatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..terms.symbols import Family
from .charts import Free
from .data import Array, packed
from .problem import Derivatives, Runner, Sought


@dataclass
class Block:
    """One array among the unknowns: whose it is, in which coordinates, at which place of the vector."""

    unknown: Sought
    coordinates: Free
    place: slice


class Layout:
    """The unknowns as one vector, their arrays one after the other."""

    def __init__(self, unknowns: Sequence[Sought], coordinates: Mapping[str, Sequence[Free]]) -> None:
        self.unknowns = list(unknowns)
        self.blocks: list[Block] = []
        at = 0
        for unknown in unknowns:
            for free in coordinates[unknown.name]:
                self.blocks.append(Block(unknown, free, slice(at, at + free.size)))
                at += free.size
        self.size = at
        self.lower = np.full(at, -np.inf)
        self.upper = np.full(at, np.inf)
        for block in self.blocks:
            self.lower[block.place] = block.coordinates.lower

    @property
    def bounded(self) -> bool:
        """Whether some coordinates have bounds."""
        return bool(np.isfinite(self.lower).any() or np.isfinite(self.upper).any())

    @property
    def based(self) -> bool:
        """Whether some charts move along."""
        return any(b.coordinates.based for b in self.blocks)

    def arrays(self, at: Array) -> list[Array]:
        """The array of each block."""
        return [b.coordinates.value(at[b.place]) for b in self.blocks]

    def gathered(self, arrays: Sequence[Any]) -> dict[str, Any]:
        """What generated code takes for each unknown: the members of a family together."""
        found: dict[str, Any] = {}
        for unknown in self.unknowns:
            mine = [a for b, a in zip(self.blocks, arrays, strict=True) if b.unknown is unknown]
            found[unknown.name] = packed(unknown.source, mine if isinstance(unknown.source, Family) else mine[0])
        return found

    def spread(self, by_name: Mapping[str, Any]) -> list[Array]:
        """The reverse: for each block its array."""
        found: list[Array] = []
        for unknown in self.unknowns:
            value = by_name[unknown.name]
            members = value if isinstance(unknown.source, Family) else [value]
            found += [np.asarray(member, dtype=float) for member in members]
        return [a.reshape(b.coordinates.shape) for a, b in zip(found, self.blocks, strict=True)]

    def vector(self, arrays: Sequence[Array]) -> Array:
        """The coordinates of given arrays; charts that move along are put there."""
        parts = [b.coordinates.coordinates(a) for a, b in zip(arrays, self.blocks, strict=True)]
        return np.concatenate(parts) if parts else np.zeros(0)

    def pull(self, at: Array, gradients: Sequence[Array]) -> Array:
        """The gradient by the coordinates, from those by the arrays."""
        found = np.empty(self.size)
        for block, gradient in zip(self.blocks, gradients, strict=True):
            found[block.place] = block.coordinates.pull(at[block.place], gradient)
        return found

    def push(self, at: Array, direction: Array) -> list[Array]:
        """How the arrays move along a direction of the coordinates."""
        return [b.coordinates.push(at[b.place], direction[b.place]) for b in self.blocks]

    def bend(self, at: Array, direction: Array, gradients: Sequence[Array]) -> Array:
        """The part of the product with the Hessian that comes from the curvature of the charts."""
        found = np.empty(self.size)
        for block, gradient in zip(self.blocks, gradients, strict=True):
            found[block.place] = block.coordinates.bend(at[block.place], direction[block.place], gradient)
        return found

    def moved(self, at: Array) -> Array:
        """New coordinates of the same point, after the charts were put around it."""
        return np.concatenate([b.coordinates.moved(at[b.place]) for b in self.blocks]) if self.blocks else at

    def far(self, at: Array) -> bool:
        """Whether a chart that moves along should be put anew."""
        return any(b.coordinates.based and bool(np.abs(at[b.place]).max(initial=0.0) > 1) for b in self.blocks)


@dataclass
class Evaluation:
    """The objective at a point: the value, infinite outside the domain, and both gradients."""

    at: Array
    value: float
    gradient: Array
    arrays: list[Array]
    gradients: list[Array]

    @property
    def finite(self) -> bool:
        """Whether the point is in the domain."""
        return bool(np.isfinite(self.value))


class Objective:
    """±f of the coordinates, times a scale: value, gradient, products with the Hessian; counts what is evaluated."""

    def __init__(self, derivatives: Derivatives, layout: Layout, runner: Runner, sign: float = 1.0) -> None:
        self.derivatives, self.layout, self.runner, self.sign = derivatives, layout, runner, sign
        self.factor = sign
        self.evaluations = 0
        self.products = 0
        self.best: Evaluation | None = None
        self._kept: dict[bytes, Evaluation] = {}

    def scaled_by(self, reference: float) -> None:
        """From now on gradients as large as the reference count as 1: SciPy's tolerances are absolute."""
        self.factor = self.sign / reference if 1e-290 < reference < 1e290 else self.sign
        self._kept.clear()
        self.best = None

    def told(self, value: float) -> float:
        """A value, or the change of one, in the units of f."""
        return value / self.factor

    def told_norm(self, norm: float) -> float:
        """The norm of a gradient in the units of f."""
        return norm / abs(self.factor)

    def begin(self, arrays: Sequence[Array]) -> Array:
        """The coordinates of a start, the charts put around it; what was found before is forgotten."""
        self._kept.clear()
        self.best = None
        return np.clip(self.layout.vector(arrays), self.layout.lower, self.layout.upper)

    def at(self, x: Array) -> Evaluation:
        """Value and gradient; the last few points are remembered."""
        key = np.asarray(x, dtype=float).tobytes()
        found = self._kept.get(key)
        if found is None:
            found = self._evaluate(np.array(x, dtype=float))
            if len(self._kept) > 3:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = found
            if found.finite and (self.best is None or found.value < self.best.value):
                self.best = found
        return found

    def _evaluate(self, x: Array) -> Evaluation:
        self.evaluations += 1
        outside = Evaluation(x, np.inf, np.zeros(self.layout.size), [], [])
        if not np.isfinite(x).all():
            return outside
        arrays = self.layout.arrays(x)
        if not all(np.isfinite(a).all() for a in arrays):
            return outside
        found = self.runner.call(self.derivatives.first, self.layout.gathered(arrays))
        value = self.factor * found[""] if found else np.inf
        if not np.isfinite(value):
            return outside
        gradients = [self.factor * g for g in self.layout.spread(found)]
        gradient = self.layout.pull(x, gradients)
        if not np.isfinite(gradient).all():
            return outside
        return Evaluation(x, float(value), gradient, arrays, gradients)

    def moved(self, x: Array) -> Array:
        """The same point after the charts were put around it; remembered coordinates are no longer valid."""
        if not self.layout.based:
            return x
        self._kept.clear()
        x = self.layout.moved(x)
        self.best = None
        self.at(x)
        return x

    def value_and_gradient(self, x: Array) -> tuple[float, Array]:
        """As SciPy takes them."""
        here = self.at(x)
        return here.value, here.gradient

    def product(self, x: Array, direction: Array) -> Array:
        """The Hessian times a direction."""
        self.products += 1
        here = self.at(x)
        direction = np.asarray(direction, dtype=float).reshape(-1)
        if not here.finite:
            return np.zeros(self.layout.size)
        pushed = self.layout.push(x, direction)
        moving = self.layout.gathered(here.arrays)
        names = self.derivatives.directions
        moving |= {names[name]: value for name, value in self.layout.gathered(pushed).items()}
        found = self.runner.call(self.derivatives.second, moving)
        if not found:
            return np.zeros(self.layout.size)
        along = [self.factor * g for g in self.layout.spread(found)]
        curved = self.layout.bend(x, direction, here.gradients)
        total = self.layout.pull(x, along) + curved
        return total if np.isfinite(total).all() else np.zeros(self.layout.size)

    def hessian(self, x: Array) -> Array:
        """The whole Hessian, column by column."""
        columns = [self.product(x, e) for e in np.eye(self.layout.size)]
        whole = np.array(columns)
        return np.asarray((whole + whole.T) / 2)
