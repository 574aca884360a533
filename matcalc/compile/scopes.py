"""Where each node is computed: the blocks of the function, from the users to the used."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial

from ..terms import ops
from ..terms.dims import ONE, Atom, Dim, Index, Name, dim, known_nonnegative, substitute
from ..terms.leaves import ONE_NUM, indicator
from ..terms.symbols import Loop, Range, Symbol
from ..terms.term import Term
from ..terms.walk import postorder
from .graph import Graph, Lookup, guarded, is_track, places

Key = tuple[Term, "Scope"]
"""A node together with the loop that gives its indices their values."""


@dataclass(frozen=True)
class Extreme:
    """The largest or the smallest of some integers."""

    largest: bool
    parts: tuple[Bound, ...]


Bound = Dim | Extreme


@dataclass(eq=False)
class Run:
    """How the states of a track are computed: up to ``reach``, and what is kept.

    The loop runs to ``last``; where that is not one step before ``reach``, because a part of the
    step from there is kept, ``rest`` is the block of all that only the next state needs.  Of the
    states (``None``) and of the parts that are kept, ``stores`` has the variables: dicts, or where
    ``only_last`` says so, the last value.  ``needed`` are the conditions, one of which holds where
    the states are used: each some loops and indicators.  ``lookup`` and ``lookup_state`` say how a
    part or a state is taken from its variable.
    """

    track: Term
    reach: Bound
    last: Bound
    only_last: dict[Term | None, bool]
    rest: Scope | None = None
    needed: list[list[Scope]] = field(default_factory=list)
    stores: dict[Term | None, str] = field(default_factory=dict)
    lookup: str = "{store}[{at}]"
    lookup_state: str = "{store}[{at}]"

    @property
    def parts(self) -> list[Term]:
        """The parts of the step that are kept."""
        return [part for part in self.only_last if part is not None]

    def place(self, part: Term | None, at: str) -> str:
        """A state (``None``) or a part that is kept, at an index."""
        if self.only_last[part]:
            return self.stores[part]
        return (self.lookup if part is not None else self.lookup_state).format(store=self.stores[part], at=at)

    @property
    def loop(self) -> Loop:
        """How the states follow one another."""
        found: Loop = self.track.attr
        return found


@dataclass(eq=False)
class Scope:
    """A block of the function: its top, the body of a loop, or what is done under a condition.

    A loop binds an index, which runs between ``low`` and ``high``, and that of a recurrence a
    previous state; ``result`` is what the body of a sum adds up.
    """

    parent: Scope | None = None
    index: Index | None = None
    slot: Symbol | None = None
    low: Bound = ONE
    high: Bound = ONE
    guards: Sequence[Term] = ()
    run: Run | None = None
    variable: str = ""
    depth: int = 0
    lines: list[str] = field(default_factory=list)
    result: Key | None = None

    def binding(self, names: frozenset[Index | Symbol]) -> Scope:
        """The innermost loop around here that binds one of these; else the top."""
        scope = self
        while scope.parent is not None and scope.index not in names and scope.slot not in names:
            scope = scope.parent
        return scope

    def inside(self, guards: Sequence[Term] = ()) -> Scope:
        """A new block inside this one."""
        return Scope(self, guards=guards, depth=self.depth + 1)

    def looped(self, index: Index, low: Bound, high: Bound, run: Run | None = None) -> Scope:
        """The body of a loop inside this block."""
        slot = run.loop.slot if run else None
        return Scope(self, index, slot, low, high, run=run, depth=self.depth + 1)

    def up_to(self, outer: Scope) -> list[Scope]:
        """This block and those around it inside ``outer``, from the inside."""
        found: list[Scope] = []
        scope = self
        while scope is not outer and scope.parent is not None:
            found.append(scope)
            scope = scope.parent
        return found


@dataclass(eq=False)
class Node:
    """A node to be computed: where, from which others, how often it is used."""

    term: Term
    binding: Scope
    home: Scope
    inner: Scope
    args: list[Key]
    guards: list[Term]
    uses: list[Scope]

    @property
    def key(self) -> Key:
        """What others know the node by."""
        return self.term, self.binding


class Plan:
    """The nodes in the order in which they can be computed; the scope at the top is the first's."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.trusted = _trusted(graph)
        self.uses: dict[Term, dict[Scope, list[Scope]]] = {}
        self.demands: dict[Key, list[tuple[Lookup, Scope]]] = {}
        self.nodes: list[Node] = []
        top = Scope()
        for root in graph.roots:
            self._use(root, top, top)
        for term in reversed(graph.order):
            for binding, users in self.uses.get(term, {}).items():
                self.nodes.append(self._node(term, binding, users))
        self.nodes.reverse()

    def _use(self, term: Term, binding: Scope, user: Scope) -> Key:
        self.uses.setdefault(term, {}).setdefault(binding, []).append(user)
        return term, binding

    def _used_in(self, term: Term, user: Scope) -> Key:
        return self._use(term, user.binding(self.graph.free(term)), user)

    def _node(self, term: Term, binding: Scope, users: list[Scope]) -> Node:
        if is_track(term):
            return self._track(term, binding, users)
        home = _home(users, binding, term in self.trusted)
        lookup = self.graph.lookups.get(term)
        if lookup is not None:
            key = self._used_in(lookup.track, home)
            self.demands.setdefault(key, []).append((lookup, home))
            return Node(term, binding, home, home, [key], [], users)
        guards, factors = guarded(term)
        operands = factors if guards else self.graph.operands(term)
        inner = home.inside(guards) if guards else home
        if isinstance(term.attr, Range):
            index, step = term.attr
            low, high = (index.lo, index.hi) if step > 0 else (index.hi, index.lo)
            inner = home.looped(index, low, high)
        args = [self._used_in(arg, inner) for arg in operands]
        if term.op is ops.SUM:
            inner.result = args[0]
        return Node(term, binding, home, inner, args, guards, users)

    def _track(self, term: Term, binding: Scope, users: list[Scope]) -> Node:
        """The loop of a recurrence, outside of all loops that do not matter to it."""
        start, body = term.args
        loop: Loop = term.attr
        home = _home(users, binding, True)
        demands = self.demands[term, binding]
        up = loop.step > 0
        reach = self._extreme(up, [self._outward(k.at, user, home, up) for k, user in demands])
        kept: dict[Term | None, list[tuple[Dim, Scope]]] = {None: []}
        for lookup, user in demands:
            kept.setdefault(lookup.part, []).append((lookup.at, user))
        before = shifted(reach, -loop.step)
        ends = {
            part: self._extreme(up, [before, *(self._outward(at, user, home, up) for at, user in places)])
            for part, places in kept.items()
            if part is not None
        }
        last = self._extreme(up, [before, *ends.values()])
        only_last = {part: _is_last(places, home, last if part else reach) for part, places in kept.items()}
        run = Run(term, reach, last, only_last)
        if start not in self.trusted:
            run.needed = self._conditions(users, home)
        block = home.inside() if run.needed else home
        low, high = (loop.first, last) if up else (last, loop.first)
        inner = block.looped(loop.index, low, high, run)
        args = [self._used_in(start, block)]
        if last != before:
            guard = indicator("<" if up else ">", loop.index, reach) if isinstance(reach, Dim) else ONE_NUM
            run.rest = inner.inside([guard] if guard.op is ops.IND else [])
        args.append(self._used_in(body, run.rest or inner))
        args += [self._used_in(part, run.rest if run.rest and ends[part] == before else inner) for part in run.parts]
        return Node(term, binding, block, inner, args, [], users)

    def _conditions(self, users: Sequence[Scope], home: Scope) -> list[list[Scope]]:
        """What holds where the users are, each some loops and indicators; nothing when one is always reached."""
        found: dict[tuple[Scope, ...], None] = {}
        for user in users:
            blocks = user.up_to(home)
            inner = {scope.index for scope in blocks}
            kept = [b for b in reversed(blocks) if self._may_skip(b) and not _indices_around(b) & inner]
            found[tuple(kept)] = None
        return [] if () in found else [list(blocks) for blocks in found]

    def _may_skip(self, scope: Scope) -> bool:
        """True when a block may be empty."""
        if isinstance(scope.low, Dim) and isinstance(scope.high, Dim) and scope.index is not None:
            return not self.graph.known(scope.high - scope.low)
        return scope.index is not None or bool(scope.guards)

    def _outward(self, at: Bound, user: Scope, home: Scope, upper: bool) -> Bound:
        """The largest (or smallest) value that ``at`` has in a block, as it is known in a block around."""
        for scope in user.up_to(home):
            for guard in scope.guards:
                at = self._mapped(at, partial(self._within, guard, upper))
            if scope.index is not None:
                at = self._mapped(at, partial(self._over, scope, upper))
        return at

    def _mapped(self, bound: Bound, change: Callable[[Dim], Bound]) -> Bound:
        if isinstance(bound, Dim):
            return change(bound)
        return self._extreme(bound.largest, [self._mapped(part, change) for part in bound.parts])

    def _over(self, scope: Scope, upper: bool, d: Dim) -> Bound:
        """The largest (or smallest) value of ``d`` while the index of the loop runs."""
        index = scope.index
        assert index is not None
        if index not in d.indices:
            return d
        signs = {coefficient > 0 for monomial, coefficient in d.terms if index in dict(monomial)}
        ends = [scope.high if sign == upper else scope.low for sign in sorted(signs)] or [scope.low, scope.high]
        return self._extreme(upper, [self._mapped(end, lambda e: substitute(d, {index: e})) for end in ends])

    def _within(self, guard: Term, upper: bool, d: Dim) -> Bound:
        """``d``, or the end that an indicator sets to it."""
        ends = [d + slack if upper else d - slack for slack in _slacks(*guard.attr)]
        return self._extreme(not upper, [d, *(end for end in ends if not d.atoms() <= end.atoms())])

    def _extreme(self, largest: bool, bounds: Iterable[Bound]) -> Bound:
        parts: list[Bound] = []
        for bound in bounds:
            parts += bound.parts if isinstance(bound, Extreme) and bound.largest == largest else (bound,)
        kept: list[Bound] = []
        for part in dict.fromkeys(parts):
            if not any(self._beyond(other, part, largest) for other in kept):
                kept = [other for other in kept if not self._beyond(part, other, largest)] + [part]
        return kept[0] if len(kept) == 1 else Extreme(largest, tuple(kept))

    def _beyond(self, a: Bound, b: Bound, largest: bool) -> bool:
        """True when ``b`` does not matter beside ``a``."""
        if isinstance(a, Dim) and isinstance(b, Extreme):
            return any(self._beyond(a, part, largest) for part in b.parts)
        if not (isinstance(a, Dim) and isinstance(b, Dim)):
            return False
        return self.graph.known(a - b if largest else b - a)


def _is_last(places: Iterable[tuple[Dim, Scope]], home: Scope, end: Bound) -> bool:
    """True when nothing is looked up but what is last, the same in all loops around."""
    return all(at is end and not at.indices & {s.index for s in user.up_to(home)} for at, user in places)


def _slacks(relation: str, left: Dim, right: Dim) -> list[Dim]:
    """What is >= 0 where the relation holds."""
    below = {"<=": [right - left], "<": [right - left - 1], ">=": [left - right], ">": [left - right - 1]}
    return [left - right, right - left] if relation == "=" else below.get(relation, [])


def shifted(bound: Bound, by: int) -> Bound:
    """The bound moved by an integer."""
    if isinstance(bound, Dim):
        return bound + by
    return Extreme(bound.largest, tuple(shifted(part, by) for part in bound.parts))


def leaves(bound: Bound) -> list[Dim]:
    """The dimensions that a bound is the largest or the smallest of."""
    return [bound] if isinstance(bound, Dim) else [leaf for part in bound.parts for leaf in leaves(part)]


def _indices_around(scope: Scope) -> frozenset[Index]:
    """The indices on which it depends whether a block is empty."""
    ends = [*leaves(scope.low), *leaves(scope.high)]
    return frozenset().union(*(d.indices for d in ends), *(guard.indices for guard in scope.guards))


def _home(users: Sequence[Scope], binding: Scope, movable: bool) -> Scope:
    """The innermost block around all users, moved out of loops that do not matter."""
    home = users[0]
    for other in users[1:]:
        home = _common(home, other)
    if movable:
        scope = home
        while scope is not binding and scope.parent is not None:
            if scope.index is not None:
                home = scope.parent
            scope = scope.parent
    return home


def _common(a: Scope, b: Scope) -> Scope:
    while a is not b:
        if a.depth >= b.depth and a.parent is not None:
            a = a.parent
        elif b.parent is not None:
            b = b.parent
    return a


def _trusted(graph: Graph) -> set[Term]:
    """The terms that are safe to compute where a loop around them may be empty."""
    sizes = {d for t in graph.terms for d in (t.rows, t.cols)}
    names = {a for d in sizes for monomial, _ in d.terms for a, _power in monomial if isinstance(a, Name)}
    safe: set[Term] = set()
    for term in graph.order:
        lookup = graph.lookups.get(term)
        if lookup is not None:
            if lookup.track.args[0] in safe and _safe_steps(lookup, names):
                safe.add(term)
        elif is_track(term) or not all(a in safe for a in graph.operands(term)):
            continue
        elif all(_in_range(*r, names) for r in places(term)):
            safe.add(term)
    return safe


def _safe_steps(lookup: Lookup, names: set[Name]) -> bool:
    """True when a state and the steps to it look up nothing that may not exist."""
    loop: Loop = lookup.track.attr
    if not known_nonnegative((lookup.at - loop.first) * loop.step, names):
        return False
    index = loop.index
    last = lookup.at if lookup.part is not None else lookup.at - loop.step
    running: dict[Atom, Dim] = {index: dim(Index(index.level, loop.first, last, index.step))}
    for term in postorder(lookup.track.args[1]):
        for place in places(term):
            at, lo, hi = (substitute(d, running) for d in place)
            if not _in_range(at, lo, hi, names):
                return False
    return True


def _in_range(at: Dim, lo: Dim, hi: Dim, sizes: set[Name]) -> bool:
    if isinstance(at.atom, Name) and at.atom not in {*lo.atoms(), *hi.atoms()}:
        return True
    return known_nonnegative(at - lo, sizes) and known_nonnegative(hi - at, sizes)
