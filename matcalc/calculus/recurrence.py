"""Differentiating through a recurrence of symbolic length: an algorithm beside the rules.

For s[k+1] = F(s[k], θ, k) and G = ∂f/∂s[T], the adjoint states run the other way,

    e[T] = G,   e[k] = (∂F/∂s)*(k, s[k]) e[k+1],

where (∂F/∂s)* is the adjoint of one step, found by the rules.  The start receives e[0], and a
parameter θ the sum over k of what step k contributes with e[k+1].  With ``vec`` instead of adjoints
the same is an ordered product: R[k+1] = R*J[T-1]*...*J[k+1].  Backward recurrences are the mirror image.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

from ..terms import build
from ..terms.dims import UNBOUNDED, Dim, Index, dim
from ..terms.symbols import Loop, Symbol
from ..terms.term import Term
from ..terms.walk import moved_symbol, open_state, postorder, replace, substitute_indices
from .chain import common
from .system import RUNNING, Condition, System

Walk = Callable[[System, Term, Term, Collection[Term], str], tuple[dict[Term, Term], tuple[Condition, ...]]]


class Through(NamedTuple):
    """What a recurrence passes on: to its start, and to the targets inside its body."""

    to_start: Term
    to_targets: dict[Term, Term]
    conditions: tuple[Condition, ...]


def through_state(system: System, node: Term, carried: Term, goal: Collection[Term], table: str, walk: Walk) -> Through:
    """Carry an adjoint (or a row of a Jacobian) from a state back to the start and the parameters."""
    loop, body = open_state(node)
    index, step = loop.index, loop.step
    slot = build.sym(loop.slot)

    def state_at(at: Dim) -> Term:
        return build.state(node.attr.moved(at), node.args[0], node.args[1])

    inside = [t for t in postorder(body) if t in goal]
    if table == "adjoint":
        reverse = _Adjoint(system, loop, body, carried, state_at, walk)
        found, conditions = walk(system, body, reverse.seed, inside, table)
        found = dict(zip(found, reverse.along(list(found.values())), strict=True))
        to_start = reverse.at(loop.first)
    else:
        after = _product(system, loop, body, carried, state_at, walk)
        found, conditions = walk(system, body, after(dim(index) + step), inside, table)
        to_start = after(loop.first)
    ends = (loop.first, loop.at - 1) if step > 0 else (loop.at + 1, loop.first)
    running = Index(RUNNING, *ends)
    to_targets: dict[Term, Term] = {}
    for target, value in found.items():
        value = replace(value, {slot: state_at(dim(index))})
        value = substitute_indices(value, {index: dim(running)})
        member = substitute_indices(target, {index: dim(running)})
        if running not in member.indices:
            value = build.sum_over(running, value)
        to_targets[member] = build.add(to_targets[member], value) if member in to_targets else value
    shown = tuple((replace(t, {slot: state_at(dim(index))}), fact) for t, fact in conditions)
    return Through(to_start, to_targets, shown)


class _Adjoint:
    """The adjoint states of a recurrence, as a recurrence that runs against it.

    ``seed`` stands for e[k+1] in what one step contributes at k.  Where all of that, and the step to
    e[k], use it only through one common part such as φ'(a[k]) ⊙ e[k+1], that part becomes the state
    of the recurrence: the errors of back-propagation.
    """

    def __init__(
        self, system: System, loop: Loop, body: Term, carried: Term, state_at: Callable[[Dim], Term], walk: Walk
    ) -> None:
        self.loop, self.carried, self.state_at = loop, carried, state_at
        self.slot = build.sym(loop.slot)
        after = moved_symbol(loop.slot, {loop.index: dim(loop.index) + loop.step})
        self.seed = build.sym(Symbol(loop.slot.name + "'", after.rows, after.cols, frozenset(), "state"))
        found, _ = walk(system, body, self.seed, [self.slot], "adjoint")
        self.back = system.simplify(found.get(self.slot, build.zeros(self.slot.rows, self.slot.cols)))
        self.system = system
        self.running = Index(RUNNING, dim(0), UNBOUNDED, -loop.step)

    def at(self, k: Dim) -> Term:
        """e[k], where e[k + step] is carried on by one step of the adjoint; at the end, what was carried in."""
        loop, running = self.loop, self.running
        state = Symbol(self.seed.attr.name + "'", *self._shape(dim(running)), frozenset(), "state")
        before = dim(running) - loop.step
        one = replace(self.back, {self.seed: build.sym(state), self.slot: self.state_at(before)}, {loop.index: before})
        return build.state(Loop(running, -loop.step, loop.at, k, state), self.carried, one)

    def _shape(self, at: Dim) -> tuple[Dim, Dim]:
        moved = moved_symbol(self.loop.slot, {self.loop.index: at})
        return moved.rows, moved.cols

    def along(self, contributions: list[Term]) -> list[Term]:
        """The contributions at k with the adjoint states in the place of the seed."""
        index = self.loop.index
        values = [self.system.simplify(value) for value in contributions]
        shared = common([self.back, *values], self.seed)
        part = next((t for t in shared if t.shape == self.seed.shape), self.seed)
        if part is self.seed:
            following = self.at(dim(index) + self.loop.step)
            return [replace(value, {self.seed: following}) for value in values]
        errors = self._errors(part)
        return [replace(value, {part: errors}) for value in values]

    def _errors(self, part: Term) -> Term:
        """The common part at k, as the state of a recurrence of its own."""
        loop, running = self.loop, self.running
        last = loop.at - loop.step
        start = replace(part, {self.seed: self.carried, self.slot: self.state_at(last)}, {loop.index: last})
        state = build.sym(
            Symbol(self.seed.attr.name + "'", *self._shape(dim(running) + loop.step), frozenset(), "state")
        )
        here, before = dim(running), dim(running) - loop.step
        back = replace(self.back, {part: state, self.slot: self.state_at(here)}, {loop.index: here})
        one = replace(part, {self.seed: back, self.slot: self.state_at(before)}, {loop.index: before})
        return build.state(Loop(running, -loop.step, last, dim(loop.index), state.attr), start, one)


def _product(
    system: System, loop: Loop, body: Term, carried: Term, state_at: Callable[[Dim], Term], walk: Walk
) -> Callable[[Dim], Term]:
    """The rows of the Jacobian: an ordered product of the Jacobians of the steps."""
    index, step = loop.index, loop.step
    slot = build.sym(loop.slot)
    found, _ = walk(system, body, build.eye(body.rows * body.cols), [slot], "vec")
    one = found.get(slot, build.zeros(body.rows * body.cols, slot.rows * slot.cols))
    last = loop.at - step

    def at(k: Dim) -> Term:
        if k is loop.at:
            return carried
        running = Index(RUNNING, last, k, -step)
        factor = replace(one, {slot: state_at(dim(running))}, {index: dim(running)})
        return build.mul(carried, build.prod_over(running, factor, -step))

    return at
