"""Differentiating through a recurrence of symbolic length: an algorithm beside the rules.

For s[k+1] = F(s[k], θ, k) and G[k] = ∂f/∂s[k] where f uses the state s[k] itself, the adjoint states run
the other way, from the last state that is used,

    e[T] = G[T],   e[k] = (∂F/∂s)*(k, s[k]) e[k+1] + G[k],

where (∂F/∂s)* is the adjoint of one step, found by the rules.  The start receives e[0], and a
parameter θ the sum over k of what step k contributes with e[k+1].  With ``vec`` instead of adjoints
the same is an ordered product: R[k+1] = R*J[T-1]*...*J[k+1].  Backward recurrences are the mirror image.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from fractions import Fraction
from typing import NamedTuple

from ..terms import build, ops
from ..terms.dims import NO_INDICES, UNBOUNDED, Atom, Dim, Index, dim, known_nonnegative, substitute
from ..terms.symbols import Loop, Symbol
from ..terms.term import Term
from ..terms.walk import dependents, moved_symbol, open_state, postorder, replace, substitute_indices
from .chain import common
from .places import sum_out, value_at
from .present import present
from .system import RUNNING, Condition, System

Walk = Callable[[System, Term, Term, Collection[Term], str], tuple[dict[Term, Term], tuple[Condition, ...]]]
Key = tuple[tuple[Term, ...], Loop]
"""A recurrence, whatever the state of it."""


def key_of(node: Term) -> Key:
    """The recurrence that a state belongs to."""
    return node.args, node.attr.moved(node.attr.first)


class Use(NamedTuple):
    """What arrives at the state with index ``at``; for every value of the bound indices in it."""

    at: Dim
    value: Term


class Through(NamedTuple):
    """What a recurrence passes on: to its start, and to the targets inside its body."""

    to_start: Term
    to_targets: dict[Term, Term]
    conditions: tuple[Condition, ...]


class _Arrival(NamedTuple):
    """What arrives at the states up to ``last``, gathered.

    ``at(k, least)`` is what arrives at the k-th alone, where k comes after ``least`` or is it; over
    ``open`` indices the results are still to be summed.  Where ``last`` may come before the start, nothing
    arrives at the start then, as ``guard`` says.
    """

    last: Dim
    at: Callable[[Dim, Dim], Term | None]
    open: frozenset[Index] = NO_INDICES
    guard: Term = build.ONE_NUM


def through_states(
    system: System,
    node: Term,
    uses: Sequence[Use],
    outer: frozenset[Index],
    goal: Collection[Term],
    table: str,
    walk: Walk,
) -> Iterable[Through]:
    """Carry what arrives at the states of the recurrence of ``node`` back to its start and parameters.

    For ``adjoint``, states whose order is known share one adjoint recurrence.
    """
    start, body = node.args
    fixed = outer | start.indices | (body.indices - {node.attr.index}) | node.attr.first.indices
    arrivals = _gathered(node, uses, fixed) if table == "adjoint" else [_alone(use, fixed) for use in uses]
    for arrival in arrivals:
        passed = _through(system, node, arrival, goal, table, walk)
        around = (fixed - outer) | arrival.open
        to_start = sum_out(passed.to_start, around - start.indices)
        to_targets = {t: sum_out(value, around - t.indices) for t, value in passed.to_targets.items()}
        yield Through(to_start, to_targets, passed.conditions)


def _alone(use: Use, fixed: frozenset[Index]) -> _Arrival:
    return _Arrival(use.at, lambda k, _: use.value if k is use.at else None, _running(use, fixed))


def _gathered(node: Term, uses: Sequence[Use], fixed: frozenset[Index]) -> Iterable[_Arrival]:
    """The uses put together, as far as it is known which of their states comes last."""
    loop: Loop = node.attr
    left = list(uses)
    while left:
        lasts = dict.fromkeys(last for use in left for last in _lasts(use, node, fixed))
        choices = [(last, [use for use in left if _reaches(use, last, loop, fixed)]) for last in lasts]
        last, together = max(choices, key=lambda choice: len(choice[1]), default=(loop.at, []))
        if not together:
            yield from (_alone(use, fixed) for use in left)
            return
        yield _together(loop, last, together, fixed)
        left = [use for use in left if use not in together]


def _running(use: Use, fixed: frozenset[Index]) -> frozenset[Index]:
    return (use.at.indices | use.value.indices) - fixed


def _lasts(use: Use, node: Term, fixed: frozenset[Index]) -> Iterable[Dim]:
    """The index of the last state that is used, or of the one after it where there may be none."""
    loop: Loop = node.attr
    running = _running(use, fixed)
    last, begin, slope = use.at, use.at, Fraction(0)
    for index in sorted(running, key=lambda i: i.key, reverse=True):
        slope = (substitute(last, {index: dim(index) + 1}) - last).constant or Fraction(0)
        if slope == 0:
            return
        ends = (index.lo, index.hi)[:: 1 if slope * loop.step * index.step > 0 else -1]
        begin, last = substitute(begin, {index: ends[0]}), substitute(last, {index: ends[1]})
    if not last.indices <= fixed:
        return
    begins = len(running) == 1 and abs(slope) == 1 and known_nonnegative((begin - loop.first) * loop.step)
    if not running or known_nonnegative((last - loop.first) * loop.step):
        yield last
    elif begins or known_nonnegative((last - loop.first) * loop.step + 1):  # a range ends at most one before it begins
        yield last + loop.step if _can_go_on(node, last) else last


def _can_go_on(node: Term, last: Dim) -> bool:
    """True when the step from ``last``, if it is not before the start, names nothing outside its range."""
    loop, body = open_state(node)
    ends = (loop.first, last) if loop.step > 0 else (last, loop.first)
    at: dict[Atom, Dim] = {loop.index: dim(Index(RUNNING, *ends))}
    todo, seen = [body], {body}
    while todo:
        term = todo.pop()
        room: tuple[Dim, ...] = ()
        if term.op is ops.STATE:
            room = ((term.attr.at - term.attr.first) * term.attr.step,)
        elif term.op is ops.MEMBER:
            index = term.attr.family.index
            room = (term.attr.at - index.lo, index.hi - term.attr.at)
        elif term.op is ops.ENTRY:
            (row, col), array = term.attr, term.args[0]
            room = (row - 1, array.rows - row, col - 1, array.cols - col)
        if not all(known_nonnegative(substitute(d, at)) for d in room):
            return False
        fresh = [arg for arg in term.args if arg not in seen and term.op is not ops.STATE]
        todo += fresh
        seen.update(fresh)
    return True


def _reaches(use: Use, last: Dim, loop: Loop, fixed: frozenset[Index]) -> bool:
    """True when the state is known not to come after ``last``, and what arrives at it has the shape of a sum."""
    if not known_nonnegative((last - use.at) * loop.step):
        return False
    return use.at is last or not (loop.slot.rows.indices | loop.slot.cols.indices) or bool(_running(use, fixed))


def _together(loop: Loop, last: Dim, uses: Sequence[Use], fixed: frozenset[Index]) -> _Arrival:
    def at(k: Dim, least: Dim) -> Term | None:
        known = ((k - least) * loop.step, (last - k) * loop.step - (0 if k is last else 1))
        found = [
            value_at(use.at, k, use.value, _running(use, fixed), known)
            for use in uses
            if k is last or use.at is not last  # the last is no other
        ]
        values = [value for value in found if value is not None]
        return build.add(*values) if values else None

    there = known_nonnegative((last - loop.first) * loop.step) or not all(_running(use, fixed) for use in uses)
    ends = (loop.first, last)[:: loop.step]
    return _Arrival(last, at, guard=build.ONE_NUM if there else build.indicator("<=", *ends))


class _Passed(NamedTuple):
    to_start: Term
    to_targets: dict[Term, Term]
    conditions: tuple[Condition, ...]


def _through(system: System, node: Term, arrival: _Arrival, goal: Collection[Term], table: str, walk: Walk) -> _Passed:
    loop, body = open_state(node)
    loop = loop.moved(arrival.last)
    index, step = loop.index, loop.step
    slot = build.sym(loop.slot)

    def state_at(at: Dim) -> Term:
        return build.state(node.attr.moved(at), node.args[0], node.args[1])

    moving = dependents(body, [t for t in postorder(body) if t in goal])
    inside = [t for t in postorder(body) if t in goal]
    if table == "adjoint":
        inside += [t for t in moving if t.op is ops.STATE and t not in goal and _stands_outside(t, slot, index)]
        reverse = _Adjoint(system, loop, body, arrival, state_at, walk)
        found, conditions = walk(system, body, reverse.seed, inside, table)
        plain = any(t in goal or t.op is ops.STATE for t in postorder(node.args[0]))  # what arrives at the start counts
        found = dict(zip(found, reverse.along(list(found.values()), plain), strict=True))
        to_start = build.smul(arrival.guard, reverse.at(loop.first))
    else:
        begin = arrival.at(loop.at, loop.first)
        assert begin is not None
        after = _product(system, loop, body, begin, state_at, walk)
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
            value = build.smul(arrival.guard, build.sum_over(running, value))
        to_targets[member] = build.add(to_targets[member], value) if member in to_targets else value
    shown = tuple((replace(t, {slot: state_at(dim(index))}), fact) for t, fact in conditions)
    return _Passed(to_start, to_targets, shown)


def _stands_outside(state: Term, slot: Term, index: Index) -> bool:
    """True for a state of a recurrence that is the same at every step of the one around it."""
    fixed = state.args[0].indices | (state.args[1].indices - {state.attr.index}) | state.attr.first.indices
    return index not in fixed and slot not in postorder(*state.args)


class _Adjoint:
    """The adjoint states of a recurrence, as a recurrence that runs against it.

    ``seed`` stands for e[k+1] in what one step contributes at k.  Where all of that, and the step to
    e[k], use it only through one common part such as φ'(a[k]) ⊙ e[k+1], that part becomes the state
    of the recurrence: the errors of back-propagation.
    """

    def __init__(
        self, system: System, loop: Loop, body: Term, arrival: _Arrival, state_at: Callable[[Dim], Term], walk: Walk
    ) -> None:
        self.loop, self.body, self.arrival, self.state_at = loop, body, arrival, state_at
        self.slot = build.sym(loop.slot)
        after = moved_symbol(loop.slot, {loop.index: dim(loop.index) + loop.step})
        self.seed = build.sym(Symbol(loop.slot.name + "'", after.rows, after.cols, frozenset(), "state"))
        self.system = system
        found, _ = walk(system, body, self.seed, [self.slot], "adjoint")
        back = found.get(self.slot, build.zeros(self.slot.rows, self.slot.cols))
        self.back = system.simplify(self._placed(back, dim(loop.index)))
        self.running = Index(RUNNING, dim(0), UNBOUNDED, -loop.step)

    def at(self, k: Dim) -> Term:
        """e[k], where e[k + step] is carried on by one step of the adjoint; at the end, what was carried in."""
        loop, running = self.loop, self.running
        state = Symbol(self.seed.attr.name + "'", *self._shape(dim(running)), frozenset(), "state")
        before = dim(running) - loop.step
        one = replace(self.back, {self.seed: build.sym(state), self.slot: self.state_at(before)}, {loop.index: before})
        body = present(self.system, self._joined(one, before, loop.first))
        return build.state(Loop(running, -loop.step, loop.at, k, state), self._begin(loop.first), body)

    def _begin(self, least: Dim) -> Term:
        """What arrives at the last state."""
        arriving = self.arrival.at(self.loop.at, least)
        if arriving is None:
            return build.zeros(*self._shape(self.loop.at))
        return present(self.system, self.system.simplify(arriving))

    def _joined(self, carried_on: Term, k: Dim, least: Dim) -> Term:
        """What is carried on to the state at k, and what arrives there."""
        arriving = self.arrival.at(k, least)
        if arriving is None:
            return carried_on
        return build.add(carried_on, self.system.simplify(self._placed(arriving, k)))

    def _placed(self, term: Term, k: Dim) -> Term:
        """Of coupled states: each in its place."""
        if self.body.op is not ops.JOINT:
            return term
        shapes = _shapes_at(self.loop, self.body, k)
        return build.joint(*(build.part(term, i, shapes) for i in range(len(self.body.args))))

    def _shape(self, at: Dim) -> tuple[Dim, Dim]:
        moved = moved_symbol(self.loop.slot, {self.loop.index: at})
        return moved.rows, moved.cols

    def along(self, contributions: list[Term], plain: bool) -> list[Term]:
        """The contributions at k with the adjoint states in the place of the seed, or the errors unless ``plain``."""
        index = self.loop.index
        values = [self.system.simplify(value) for value in contributions]
        shared = [] if plain or self.body.op is ops.JOINT else common([self.back, *values], self.seed)
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
        begin = self._begin(loop.first + loop.step)
        start = replace(part, {self.seed: begin, self.slot: self.state_at(last)}, {loop.index: last})
        state = build.sym(
            Symbol(self.seed.attr.name + "'", *self._shape(dim(running) + loop.step), frozenset(), "state")
        )
        here, before = dim(running), dim(running) - loop.step
        back = replace(self.back, {part: state, self.slot: self.state_at(here)}, {loop.index: here})
        back = self._joined(back, here, loop.first + loop.step)
        one = replace(part, {self.seed: back, self.slot: self.state_at(before)}, {loop.index: before})
        one = present(self.system, one)
        return build.state(Loop(running, -loop.step, last, dim(loop.index), state.attr), start, one)


def _product(
    system: System, loop: Loop, body: Term, carried: Term, state_at: Callable[[Dim], Term], walk: Walk
) -> Callable[[Dim], Term]:
    """The rows of the Jacobian: an ordered product of the Jacobians of the steps."""
    index, step = loop.index, loop.step
    slot = build.sym(loop.slot)
    if body.op is ops.JOINT:
        one = build.block([_jacobians(system, row, loop, body, walk) for row in body.args])
    else:
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


def _jacobians(system: System, row: Term, loop: Loop, body: Term, walk: Walk) -> list[Term]:
    """The Jacobians of one of coupled states with respect to each of the states before."""
    slot = build.sym(loop.slot)
    given = {t: t.attr for t in postorder(body) if t.op is ops.PART and t.args[0] is slot}
    alone = {t: build.sym(Symbol(f"{slot.attr.name}{t.attr[0]}", t.rows, t.cols, frozenset(), "state")) for t in given}
    found, _ = walk(system, replace(row, alone), build.eye(row.rows * row.cols), list(alone.values()), "vec")
    places = {t.attr[0]: alone[t] for t in given}
    back = {symbol: t for t, symbol in alone.items()}
    jacobians: list[Term] = []
    shapes = _shapes_at(loop, body, dim(loop.index))
    for i, (m, n) in enumerate(zip(shapes[::2], shapes[1::2], strict=True)):
        value = found.get(places[i]) if i in places else None
        jacobians.append(build.zeros(row.rows * row.cols, m * n) if value is None else replace(value, back))
    return jacobians


def _shapes_at(loop: Loop, body: Term, k: Dim) -> list[Dim]:
    """Rows and columns of each of the coupled states with index k."""
    return [substitute(d, {loop.index: k - loop.step}) for d in build.joint_shapes(body)]
