"""Constraints c = 0 and c >= 0 on the unknowns, with derived Jacobians and curvature."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..bounds import bounded
from ..calculus.system import System
from ..compile.function import GeneratedFunction, compile_numpy
from ..errors import MatcalcError
from ..terms import build
from ..terms.symbols import Family, Symbol
from ..terms.term import Term
from ..terms.walk import free_atoms
from .data import Array
from .least_squares import occurs
from .objective import Layout
from .problem import Derivatives, Runner, Sought


@dataclass(frozen=True)
class Condition:
    """A condition as it was written: ``left - right`` is 0, at least 0 or at most 0, entry by entry."""

    text: str
    difference: Term
    relation: str

    @property
    def equality(self) -> bool:
        """Whether it is an equation."""
        return self.relation == "="

    @property
    def term(self) -> Term:
        """What is 0, or at least 0."""
        return build.neg(self.difference) if self.relation == "<=" else self.difference


@dataclass(frozen=True)
class Bound:
    """A condition that bounds the entries of one unknown by what does not vary."""

    condition: Condition
    unknown: Sought
    limit: Term
    below: bool


def bound_of(system: System, condition: Condition, unknowns: Sequence[Sought]) -> Bound | None:
    """The condition as a bound: u + rest >= 0 or rest - u >= 0, for an unknown u whose entries are free."""
    if condition.equality:
        return None
    for unknown in unknowns:
        shapes = unknown.term.shape == condition.term.shape
        if isinstance(unknown.source, Family) or unknown.facts - {"nonneg"} or not shapes:
            continue
        for below, rest in (
            (True, build.sub(condition.term, unknown.term)),
            (False, build.add(condition.term, unknown.term)),
        ):
            simple = system.simplify(rest)
            if not any(occurs(u, simple) for u in unknowns):
                return Bound(condition, unknown, build.neg(simple) if below else simple, below)
    return None


class Constraint:
    """One condition as functions of the coordinates: values, Jacobian, curvature along multipliers."""

    def __init__(
        self, system: System, condition: Condition, unknowns: Sequence[Sought], layout: Layout, runner: Runner
    ) -> None:
        self.system, self.condition, self.layout, self.runner = system, condition, layout, runner
        self.unknowns = list(unknowns)
        self.equality = condition.equality
        self.term = system.simplify(condition.term)
        self.name = "multiplier_of_constraint"
        if not any(occurs(u, self.term) for u in unknowns):
            raise MatcalcError(f"the constraint {condition.text} says nothing about what is sought")
        self._covector = build.sym(Symbol(self.name, self.term.rows, self.term.cols))
        self._kept: tuple[bytes, Array] | None = None

    @cached_property
    @bounded
    def _values(self) -> GeneratedFunction:
        return compile_numpy(self.term, "constraint", [u.term for u in self.unknowns])

    @cached_property
    def derivatives(self) -> Derivatives:
        """Of the sum of the entries, each with its multiplier."""
        weighted = build.tr(build.mul(build.transpose(self._covector), self.term))
        return Derivatives(self.system, weighted, self.unknowns, [u.term for u in self.unknowns])

    @cached_property
    def affine(self) -> bool:
        """Whether the Jacobian is constant."""
        if any(b.coordinates.told for b in self.layout.blocks):
            return False
        gradients = self.derivatives.gradient_terms.values()
        return not any(occurs(u, g) for u in self.unknowns for g in gradients)

    def check(self, moving: Sequence[str]) -> None:
        """Raise :class:`MatcalcError` when something is missing."""
        index = [str(a) for a in free_atoms(self.term) if str(a) not in self.runner.given]
        lacking = self.runner.lacks(self._values, moving)
        if lacking:
            what = "an index that nothing binds" if set(lacking) <= set(index) else "not given"
            raise MatcalcError(f"in the constraint {self.condition.text}, {', '.join(lacking)} is {what}")
        self.runner.check(self.derivatives.first, [*moving, self.name])

    def _moving(self, x: Array) -> dict[str, Any]:
        return self.layout.gathered(self.layout.arrays(x))

    def at(self, x: Array) -> Array:
        """The values, NaN outside the domain."""
        found = self.runner.call(self._values, self._moving(x))
        return np.ravel(found[""]) if found else np.full(self.size, np.nan)

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """The shape of the values; known after the first evaluation."""
        found = self.runner.call(self._values, self._moving(self._somewhere))
        return np.shape(found[""])

    _somewhere: Array = np.zeros(0)

    def start(self, x: Array) -> None:
        """A point at which the constraint can be evaluated."""
        self._somewhere = x
        found = self.runner.call(self._values, self._moving(x))
        if not found or not np.isfinite(found[""]).all():
            raise MatcalcError(f"the constraint {self.condition.text} is not finite at the start", hint="give start=")
        self.__dict__["shape"] = np.shape(found[""])

    @property
    def size(self) -> int:
        """The number of scalar conditions."""
        return int(np.prod(self.shape))

    def jacobian(self, x: Array) -> Array:
        """One row for each scalar condition."""
        key = b"" if self.affine else np.asarray(x).tobytes()
        if self._kept is None or self._kept[0] != key:
            rows = [self.pulled(x, row) for row in np.eye(self.size)]
            self._kept = key, np.array(rows).reshape(self.size, self.layout.size)
        return self._kept[1]

    def _given(self, multipliers: Array) -> dict[str, Any]:
        shaped = np.asarray(multipliers, dtype=float).reshape(self.shape)
        return {self.name: shaped if self.shape else float(shaped)}

    def _gradients(self, x: Array, multipliers: Array) -> list[Array] | None:
        found = self.runner.call(self.derivatives.first, {**self._moving(x), **self._given(multipliers)})
        return self.layout.spread(found) if found else None

    def pulled(self, x: Array, multipliers: Array) -> Array:
        """The transposed Jacobian times multipliers."""
        gradients = self._gradients(x, multipliers)
        return np.full(self.layout.size, np.nan) if gradients is None else self.layout.pull(x, gradients)

    def curvature(self, x: Array, multipliers: Array, direction: Array) -> Array:
        """The Hessian of the values times multipliers, times a direction."""
        if self.affine:
            return np.zeros(self.layout.size)
        gradients = self._gradients(x, multipliers)
        pushed = self.layout.gathered(self.layout.push(x, np.asarray(direction, dtype=float).reshape(-1)))
        names = self.derivatives.directions
        moving = {**self._moving(x), **self._given(multipliers), **{names[n]: v for n, v in pushed.items()}}
        found = self.runner.call(self.derivatives.second, moving)
        if gradients is None or not found:
            return np.zeros(self.layout.size)
        return self.layout.pull(x, self.layout.spread(found)) + self.layout.bend(x, direction, gradients)

    def hessian(self, x: Array, multipliers: Array) -> Array:
        """The same as a matrix."""
        if self.affine:
            return np.zeros((self.layout.size, self.layout.size))
        whole = np.array([self.curvature(x, multipliers, e) for e in np.eye(self.layout.size)])
        return np.asarray((whole + whole.T) / 2)


def reset(constraints: Sequence[Constraint]) -> None:
    """What was remembered is no longer valid, after charts moved."""
    for one in constraints:
        one._kept = None


def keep_bounds(bounds: Sequence[Bound], layout: Layout, runner: Runner) -> None:
    """The bounds as numbers, where the layout keeps them.  Raises :class:`MatcalcError` where they contradict."""
    for bound in bounds:
        limit = compile_numpy(bound.limit, "bound")
        lacking = runner.lacks(limit, ())
        if lacking:
            raise MatcalcError(f"in the constraint {bound.condition.text}, {', '.join(lacking)} is not given")
        number = np.ravel(runner.call(limit, {}).get("", np.nan))
        if np.isnan(number).any():
            raise MatcalcError(f"the bound of {bound.condition.text} is no number")
        for block in layout.blocks:
            if block.unknown is bound.unknown:
                old = layout.lower[block.place] if bound.below else layout.upper[block.place]
                new = np.maximum(old, number) if bound.below else np.minimum(old, number)
                (layout.lower if bound.below else layout.upper)[block.place] = new
    if (layout.lower > layout.upper).any():
        raise MatcalcError("the bounds contradict one another: no point meets them")
