"""Constructors that bind an index: sums, ordered products, families and the states of recurrences.

A bound index takes the level of its binder as its name, so that terms that differ in names only are the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from ..errors import ShapeError
from . import ops
from .arithmetic import add, joint, smul
from .dims import ONE, ZERO, Atom, Dim, Index, dim, substitute
from .fit import show_shape
from .leaves import ZERO_NUM, eye, sym, zeros
from .ops import Op
from .rebuild import register
from .symbols import Loop, Range, Symbol
from .term import Term, make
from .walk import moved_symbol, postorder, replace, state_symbols, substitute_indices


def binder(op: Op, attr: Range, body: Term) -> Term:
    """A sum, an ordered product or a family over ``attr.index``, which takes its canonical level."""
    index, step = attr.index, attr.step
    if op is ops.PROD and body.is_scalar and step == -1:
        index, step, body = _reversed(index, body)
    count = ((index.hi - index.lo) * step).constant if op is not ops.FAMILY else None
    if count == -1:
        return zeros(body.rows, body.cols) if op is ops.SUM else _empty_product(index, body)
    if count == 0:
        return substitute_indices(body, {index: index.lo}) if index in body.indices else body
    wanted = _canonical(Index(index.level, index.lo, index.hi, step), body)
    if wanted is not index:
        body = substitute_indices(body, {index: dim(wanted)})
    if (op is ops.SUM and body.op is ops.ZEROS) or (body is ZERO_NUM and op is ops.SUM):
        return body
    rows, cols = body.rows, body.cols
    if op is ops.PROD and (rows.indices or cols.indices):
        ends = (wanted.lo, wanted.hi)
        rows, cols = substitute(rows, {wanted: ends[0]}), substitute(cols, {wanted: ends[1]})
    return make(op, (body,), Range(wanted, step), rows, cols)


def _canonical(index: Index, body: Term, others: Collection[str] = ()) -> Index:
    """The index by the level of its binder: the first one above the binders inside that is not free in the body.

    Nor is the previous state of a recurrence, which is named by that level, among the ``others`` in the body.
    """
    level = body.height + 1
    while True:
        wanted = Index(level, index.lo, index.hi, index.step)
        if (wanted is index or wanted not in body.indices) and f"%{level}" not in others:
            return wanted
        level += 1


def _empty_product(index: Index, body: Term) -> Term:
    """An ordered product without factors: the identity, of the size on the far side of the first factor."""
    return eye(substitute(body.rows, {index: index.lo}))


def _reversed(index: Index, body: Term) -> tuple[Index, int, Term]:
    up = Index(index.level, index.hi, index.lo)
    return up, 1, substitute_indices(body, {index: dim(up)}) if index in body.indices else body


def sum_over(index: Index, body: Term) -> Term:
    """The sum of ``body`` over ``index``; the order does not matter, so the range goes up."""
    if index.step < 0:
        up = Index(index.level, index.hi, index.lo)
        return binder(ops.SUM, Range(up), substitute_indices(body, {index: dim(up)}))
    return binder(ops.SUM, Range(index), body)


def family(index: Index, body: Term) -> Term:
    """``body`` for each value of ``index``; it has the shape of a member."""
    return binder(ops.FAMILY, Range(index), body)


def prod_over(index: Index, body: Term, step: int = 1) -> Term:
    """The ordered product; with ``step`` -1 the index runs downwards from ``lo`` to ``hi``."""
    after = substitute(body.rows, {index: dim(index) + step})
    if after is not body.cols:
        raise ShapeError(
            f"in an ordered product each factor fits the next: the columns are {body.cols}, the next rows {after}"
        )
    return binder(ops.PROD, Range(index, step), body)


def state(loop: Loop, start: Term, body: Term) -> Term:
    """The state at ``loop.at`` of a recurrence; at its first index, the start.

    Raises :class:`ShapeError` when the start or the next state does not have the shape of the state.
    """
    if loop.at is loop.first:
        return start
    index, slot = loop.index, loop.slot
    here = moved_symbol(slot, {index: loop.first})
    if (here.rows, here.cols) != start.shape:
        raise ShapeError(f"the first state is {show_shape(*start.shape)}, not {show_shape(here.rows, here.cols)}")
    after = moved_symbol(slot, {index: dim(index) + loop.step})
    if (after.rows, after.cols) != body.shape:
        raise ShapeError(f"the next state is {show_shape(*body.shape)}, not {show_shape(after.rows, after.cols)}")
    if body.op is ops.JOINT:
        apart = _apart(loop, start, body)
        if apart is not None:
            return apart
    others = {symbol.name for symbol in state_symbols(body) if symbol != slot}
    wanted = _canonical(Index(index.level, index.lo, index.hi, loop.step), body, others)
    here = moved_symbol(slot, {index: dim(wanted)})
    if wanted is not index:  # before the slot is renamed: a recurrence inside takes its own name first
        body = replace(body, {}, {index: dim(wanted)})
    canonical = Symbol(f"%{wanted.level}", here.rows, here.cols, frozenset(), "state")
    if here != canonical:
        body = replace(body, {sym(here): sym(canonical)})
    if body.op is ops.JOINT and start.op not in (ops.JOINT, ops.STATE):
        shapes = [substitute(d, {wanted: loop.first - loop.step}) for d in joint_shapes(body)]
        start = joint(*(part(start, i, shapes) for i in range(len(body.args))))
    moved = Loop(wanted, loop.step, loop.first, loop.at, canonical)
    if start.op is ops.STATE and start.args[1] is body and start.attr == moved.started(start.attr.first, loop.first):
        start, moved = start.args[0], moved.started(start.attr.first, loop.at)  # one recurrence going on
    there = moved_symbol(moved.slot, {wanted: loop.at})
    return make(ops.STATE, (start, body), moved, there.rows, there.cols)


class _Group(NamedTuple):
    """Some of several coupled states as a recurrence of their own; ``shapes`` are theirs at the index."""

    members: tuple[int, ...]
    shapes: tuple[Dim, ...]
    loop: Loop
    start: Term
    body: Term

    def at(self, which: int, k: Dim) -> Term:
        """One of the states, at index ``k``."""
        found = state(self.loop.moved(k), self.start, self.body)
        if len(self.members) == 1:
            return found
        return part(found, self.members.index(which), [substitute(d, {self.loop.index: k}) for d in self.shapes])


def _apart(loop: Loop, start: Term, body: Term) -> Term | None:
    """Coupled states of which some do not use the others, each group that does as a recurrence of its own.

    None where every state uses all others, if only by way of one another.
    """
    slot, index = sym(loop.slot), loop.index
    uses = {t: t.attr[0] for t in postorder(body) if t.op is ops.PART and t.args[0] is slot}
    groups = _groups(body, slot, uses)
    if len(groups) < 2:
        return None
    before: dict[Atom, Dim] = {index: dim(index) - loop.step}
    shapes = [tuple(substitute(d, before) for d in after.shape) for after in body.args]
    firsts = [substitute(d, {index: loop.first}) for shape in shapes for d in shape]
    made: dict[int, _Group] = {}
    for members in groups:
        own = tuple(d for i in members for d in shapes[i])
        rows, cols = own if len(members) == 1 else (sum((m * n for m, n in (shapes[i] for i in members)), ZERO), ONE)
        new = sym(Symbol(f"{loop.slot.name}|{members[0]}", rows, cols, frozenset(), "state"))
        states = {i: part(new, k, own) if len(members) > 1 else new for k, i in enumerate(members)}
        states |= {i: group.at(i, dim(index)) for i, group in made.items()}
        replaced = {t: states[i] for t, i in uses.items() if i in states}
        steps = [replace(body.args[i], replaced) for i in members]
        starts = [part(start, i, firsts) for i in members]
        one = Loop(index, loop.step, loop.first, loop.at, new.attr)
        group = _Group(
            members, own, one, *(terms[0] if len(members) == 1 else joint(*terms) for terms in (starts, steps))
        )
        made.update(dict.fromkeys(members, group))
    return joint(*(made[i].at(i, loop.at) for i in range(len(shapes))))


def _groups(body: Term, slot: Term, uses: Mapping[Term, int]) -> list[tuple[int, ...]]:
    """The coupled states that use one another, what is used before what uses it; one group if that cannot be told."""
    every = range(len(body.args))
    inside = [postorder(step) for step in body.args]
    if any(slot in t.args and t not in uses for terms in inside for t in terms) or slot in body.args:
        return [tuple(every)]
    reached = [{i, *(uses[t] for t in terms if t in uses)} for i, terms in enumerate(inside)]
    for _ in every:
        reached = [set().union(*(reached[j] for j in found)) for found in reached]
    groups = {tuple(j for j in every if j in reached[i] and i in reached[j]): len(reached[i]) for i in every}
    return sorted(groups, key=lambda group: (groups[group], group))


def part(term: Term, which: int, shapes: Sequence[Dim]) -> Term:
    """One of the states that :func:`joint` put together; ``shapes`` are the rows and columns of each, in turn."""
    rows, cols = shapes[2 * which : 2 * which + 2]
    if term.op is ops.JOINT:
        return term.args[which]
    if term.op is ops.ZEROS:
        return zeros(rows, cols)
    if term.op is ops.ADD:
        return add(*(part(a, which, shapes) for a in term.args))
    if term.op is ops.SCALE:
        return smul(term.args[0], part(term.args[1], which, shapes))
    if term.op is ops.SUM:
        return sum_over(term.attr.index, part(term.args[0], which, shapes))
    return make(ops.PART, (term,), (which, *shapes), rows, cols)


def joint_shapes(term: Term) -> tuple[Dim, ...]:
    """Rows and columns of each of the states that a :func:`joint` holds."""
    return tuple(d for a in term.args for d in a.shape)


register(
    {
        ops.SUM: lambda a, attr: binder(ops.SUM, attr, a[0]),
        ops.FAMILY: lambda a, attr: binder(ops.FAMILY, attr, a[0]),
        ops.PROD: lambda a, attr: binder(ops.PROD, attr, a[0]),
        ops.STATE: lambda a, attr: state(attr, a[0], a[1]),
        ops.PART: lambda a, attr: part(a[0], attr[0], attr[1:]),
    }
)
