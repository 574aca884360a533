"""What is computed of what: the graph of a function, with the states of a recurrence as one node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..terms import ops
from ..terms.dims import ONE, Dim, Index, dim, known_nonnegative
from ..terms.leaves import ONE_NUM, sym
from ..terms.symbols import Loop, Symbol
from ..terms.term import Term, make
from ..terms.walk import contains, postorder, replace


class Lookup(NamedTuple):
    """The state of a track at an index, or a ``part`` of the step from there, which is kept."""

    track: Term
    part: Term | None
    at: Dim


def is_track(term: Term) -> bool:
    """True for the node that stands for all states of a recurrence: no term is a state at its start."""
    return term.op is ops.STATE and term.attr.at is term.attr.first


def track_of(term: Term) -> Term:
    """The track of a state."""
    start = term.args[0]
    return make(ops.STATE, term.args, term.attr.moved(term.attr.first), start.rows, start.cols)


_CHEAP = frozenset({ops.ADD, ops.TIMES, ops.SCALE, ops.HAD, ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.PART, ops.JOINT})
_MANY_PARTS = 64
"""Of the step of a recurrence at most so many parts are looked for elsewhere."""


class Graph:
    """What is computed of what: as the terms say it, but states of a recurrence are taken from their track.

    So is what the step of a track computes on its way and others need at that index as well.
    ``terms`` are all terms as they are, ``order`` the nodes of the graph, the used before the users.
    """

    def __init__(self, roots: Sequence[Term], meaning: Callable[[Term], Term] = lambda term: term) -> None:
        self.roots = roots
        self.meaning = meaning
        """The ordinary term that a node stands for."""
        self.terms = postorder(*roots)
        self.facts = _facts(roots)
        self.steps: dict[Term, tuple[Term, ...]] = {}
        """The members of families that are computed on the way of a track, by the track."""
        taken = [part for part, state in map(_on_the_way, roots) if state is not None]
        self.terms = postorder(*roots, *taken)
        states = [t for t in self.terms if t.op is ops.STATE]
        self.slots = {t.attr.slot for t in states}
        self._free_slots = _free_slots(self.terms, self.slots) if states else {}
        self.lookups = {t: Lookup(track_of(t), None, t.attr.at) for t in states}
        self._free_slots.update({self.lookups[t].track: self._free_slots.get(t, frozenset()) for t in states})
        self._keep_parts(states)
        for root in roots:
            part, state = _on_the_way(root)
            if state is not None:
                track = track_of(state)
                self.steps[track] = (*self.steps.get(track, ()), part)
                self.lookups[root.args[0]] = Lookup(track_of(state), part, state.attr.at)
        self.order = self._ordered()

    def operands(self, term: Term) -> tuple[Term, ...]:
        """The nodes of which the value of a node is computed."""
        lookup = self.lookups.get(term)
        if lookup is not None:
            return (lookup.track,)
        return (*_spread(term), *self.steps.get(term, ()))

    def free(self, term: Term) -> frozenset[Index | Symbol]:
        """The indices and previous states that are bound outside the term."""
        return term.indices | self._free_slots.get(term, frozenset())

    def known(self, d: Dim) -> bool:
        """True when ``d >= 0`` follows from the ranges of indices, or from what the function needs anyway."""
        return known_nonnegative(d) or any(known_nonnegative(d - fact) for fact in self.facts)

    def leaving_out_slots(self) -> list[Term]:
        """All terms but the previous states of recurrences."""
        return [t for t in self.terms if t.attr not in self.slots] if self.slots else self.terms

    def _ordered(self) -> list[Term]:
        seen: set[Term] = set()
        order: list[Term] = []
        for root in self.roots:
            stack = [(root, iter(self.operands(root)))] if root not in seen else []
            seen.add(root)
            while stack:
                term, operands = stack[-1]
                following = next((t for t in operands if t not in seen), None)
                if following is None:
                    order.append(term)
                    stack.pop()
                else:
                    seen.add(following)
                    stack.append((following, iter(self.operands(following))))
        return order

    def _keep_parts(self, states: Sequence[Term]) -> None:
        """Find the terms that a track computes on its way, at an index at which a state is looked up."""
        everything = set(self.terms)
        for state in states:
            loop: Loop = state.attr
            track, following = self.lookups[state].track, loop.at + loop.step
            for part in self._parts(state.args[1], loop.slot):
                instance = replace(part, {sym(loop.slot): state}, {loop.index: loop.at})
                if instance in everything and instance not in self.lookups and contains(instance, state):
                    if part is state.args[1]:
                        self.lookups[instance] = Lookup(track, None, following)
                    else:
                        self.lookups[instance] = Lookup(track, part, loop.at)

    def _parts(self, body: Term, slot: Symbol) -> list[Term]:
        """The parts of a step that are computed in any case and not at once, the large ones first."""
        found: list[Term] = []
        todo, seen = [body], {body}
        while todo and len(found) < _MANY_PARTS:
            term = todo.pop()
            if slot not in self._free_slots.get(term, ()) or term.op.binder or guarded(term)[0]:
                continue
            if _is_costly(term):
                found.append(term)
            todo += [t for t in term.args if t not in seen]
            seen.update(term.args)
        return found


def _on_the_way(family: Term) -> tuple[Term, Term | None]:
    """The member of a family as a part of the step of a recurrence, and the state that it uses; else no state.

    That is so where the member uses one state of the recurrence, at a fixed distance from the index of
    the family, and no other recurrence uses them: then only the members have to be kept.
    """
    nothing = family, None
    if family.op is not ops.FAMILY:
        return nothing
    index, inside = family.attr.index, family.args[0]
    states = [t for t in postorder(inside) if t.op is ops.STATE]
    used = {track_of(a) for t in states for a in postorder(*t.args) if a.op is ops.STATE}
    last = [t for t in states if track_of(t) not in used]
    if len(last) != 1 or (last[0].attr.at - dim(index)).constant is None:
        return nothing
    if any(index in a.indices for a in (last[0].args[0], last[0].args[1])):
        return nothing
    if last[0].indices - family.indices - {index}:  # a recurrence for each index of a sum inside the member
        return nothing
    loop: Loop = last[0].attr
    here = dim(loop.index) - (loop.at - dim(index))
    return replace(inside, {last[0]: sym(loop.slot)}, {index: here}), last[0]


def _spread(term: Term) -> tuple[Term, ...]:
    """The operands; of a sum with a multiple of ones, the number that NumPy adds to every entry."""
    if term.op is not ops.ADD or term.is_scalar:
        return term.args
    found = tuple(_number_of_ones(arg) or arg for arg in term.args)
    return term.args if all(arg.is_scalar for arg in found) else found


def _number_of_ones(term: Term) -> Term | None:
    if term.op is ops.ONES:
        return ONE_NUM
    return term.args[0] if term.op is ops.SCALE and term.args[1].op is ops.ONES else None


def _is_costly(part: Term) -> bool:
    """True for a part of a step that is worth keeping: it computes something, states looked up aside."""
    stack = [part]
    while stack:
        term = stack.pop()
        if term.op is not ops.STATE:
            if term.args and term.op not in _CHEAP:
                return True
            stack += term.args
    return False


def _free_slots(terms: Iterable[Term], slots: set[Symbol]) -> dict[Term, frozenset[Symbol]]:
    found: dict[Term, frozenset[Symbol]] = {}
    for term in terms:
        if term.op is ops.SYM:
            if term.attr in slots:
                found[term] = frozenset((term.attr,))
            continue
        inside = [found[arg] for arg in term.args if arg in found]
        if term.op is ops.STATE:
            start, body = (found.get(arg, frozenset()) for arg in term.args)
            inside = [start, body - {term.attr.slot}]
        if any(inside):
            found[term] = frozenset().union(*inside)
    return found


def _facts(roots: Iterable[Term]) -> list[Dim]:
    """What is >= 0 because the function looks it up in any case."""
    found: dict[Dim, None] = {}
    stack = list(roots)
    seen = set(stack)
    while stack:
        term = stack.pop()
        if isinstance(term.attr, Loop):
            found[(term.attr.at - term.attr.first) * term.attr.step] = None
        elif term.op is ops.MEMBER:
            index = term.attr.family.index
            found.update({term.attr.at - index.lo: None, index.hi - term.attr.at: None})
        args = () if guarded(term)[0] else term.args[:-1] if term.op.binder else term.args
        stack += [arg for arg in args if arg not in seen]
        seen.update(args)
    return [d for d in found if d.terms and d.constant is None]


def guarded(term: Term) -> tuple[list[Term], Sequence[Term]]:
    """The indicators in a product, when there is something to spare, and the other factors."""
    if term.op is ops.TIMES:
        factors: Sequence[Term] = term.args
    elif term.op is ops.SCALE:
        scalar = term.args[0]
        factors = (*(scalar.args if scalar.op is ops.TIMES else (scalar,)), term.args[1])
    else:
        return [], term.args
    guards = [f for f in factors if f.op is ops.IND]
    others = [f for f in factors if f.op is not ops.IND]
    worthwhile = any(f.args or f.op is ops.MEMBER for f in others)
    return (guards, others) if guards and worthwhile else ([], term.args)


def places(term: Term) -> list[tuple[Dim, Dim, Dim]]:
    """The positions that a term looks up, each with its bounds."""
    if term.op is ops.MEMBER:
        index = term.attr.family.index
        return [(term.attr.at, index.lo, index.hi)]
    if term.op is ops.ENTRY:
        array = term.args[0]
        return [(term.attr[0], ONE, array.rows), (term.attr[1], ONE, array.cols)]
    return [(term.attr[0], ONE, term.attr[1])] if term.op is ops.BASIS else []
