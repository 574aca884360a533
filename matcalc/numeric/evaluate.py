"""The value of a term, straight from its definition: the oracle that everything else is tested against.

Every value is a 2-D array, a scalar 1×1.  Nothing is shared with the rules or the code generator.
Complex inputs are carried through analytically, so that the complex step works: transposes never
conjugate, and ``abs``, ``sign``, ``relu``, ``norm`` and ``logdet`` branch by the real part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, overload

import numpy as np

from ..bounds import tick
from ..errors import ShapeError, UnknownName
from ..terms import build, ops
from ..terms.dims import Atom, Dim, Index, dim
from ..terms.dims import evaluate as value_of_dim
from ..terms.symbols import Family, Loop, Symbol
from ..terms.term import Term
from ..terms.walk import postorder
from ..terms.walk import replace as replace_terms
from .arrays import Array, check_size
from .operators import BY_NEED, VALUE, Evaluator, has_indicator, lazy_product

Sizes = Mapping[str, Sequence[int] | Callable[[int], int]]
Members = Callable[[Family, int], Array] | Mapping[tuple[Family, int], Array]
Functions = Mapping[str, Callable[[Array, int], Array]]
Differentials = Mapping[Term, Array] | Callable[[Term, "Env"], Array]


@dataclass(frozen=True)
class Env:
    """What the leaves of a term stand for.

    ``sizes`` gives integers to names (and to free indices), ``indexed`` to indexed sizes,
    ``functions`` the derivative of a given order of an unknown function.  ``differentials`` gives
    the value of DIFF(term) by its argument; a callable also gets the environment of the place,
    in which the bound indices have their values.
    """

    sizes: Mapping[Atom, int] = field(default_factory=dict)
    indexed: Sizes = field(default_factory=dict)
    symbols: Mapping[Symbol, Any] = field(default_factory=dict)
    members: Members = field(default_factory=dict)
    functions: Functions = field(default_factory=dict)
    differentials: Differentials = field(default_factory=dict)

    def size(self, d: Dim) -> int:
        """The integer that ``d`` is.  Raises :class:`ShapeError` when it has no value or is a fraction."""
        value = value_of_dim(d, self.sizes, self.indexed)
        if value.denominator != 1:
            raise ShapeError(f"the size {d} is {value}, not an integer")
        return value.numerator

    def member(self, family: Family, at: int) -> Any:
        """The value of one member of a family.  Raises :class:`UnknownName` when there is none."""
        if callable(self.members):
            return self.members(family, at)
        if (family, at) not in self.members:
            raise UnknownName(f"{family.name}[{at}] has no value")
        return self.members[family, at]

    def with_symbol(self, symbol: Symbol, value: Array) -> Env:
        """The same environment with another value of one symbol."""
        return replace(self, symbols={**self.symbols, symbol: value})

    def with_member(self, family: Family, at: int, value: Array) -> Env:
        """The same environment with another value of one member of a family."""

        def members(other: Family, place: int) -> Array:
            return value if place == at and other == family else np.asarray(self.member(other, place))

        return replace(self, members=members)


@overload
def evaluate(terms: Term, env: Env) -> Array: ...
@overload
def evaluate(terms: Sequence[Term], env: Env) -> list[Array]: ...
def evaluate(terms: Term | Sequence[Term], env: Env) -> Array | list[Array]:
    """The value of a term, or of several that share their parts, as 2-D arrays.

    Raises :class:`UnknownName` for a leaf without a value, :class:`ShapeError` for a value of the
    wrong shape, :class:`MatcalcError` for a singular matrix that is inverted.
    """
    roots = [terms] if isinstance(terms, Term) else list(terms)
    machine = Machine(env, roots)
    with np.errstate(all="ignore"):
        values = [machine.run(root) for root in roots]
    return values[0] if isinstance(terms, Term) else values


def previous_states(*roots: Term) -> dict[Term, frozenset[Symbol]]:
    """For each sub-term in which they occur free, the previous states that a recurrence around it binds."""
    found: dict[Term, frozenset[Symbol]] = {}
    for term in postorder(*roots):
        if term.op is ops.SYM and term.attr.role == "state":
            found[term] = frozenset((term.attr,))
        elif term.op is ops.STATE:
            inside = found.get(term.args[1], _NO_STATES) - {term.attr.slot}
            found[term] = found.get(term.args[0], _NO_STATES) | inside
        else:
            several = [found[arg] for arg in term.args if arg in found]
            if several:
                found[term] = several[0].union(*several[1:])
    return {term: states for term, states in found.items() if states}


_NO_STATES: frozenset[Symbol] = frozenset()


@dataclass
class _Plan:
    """What of the evaluation of some terms no values decide; ``checked`` has the parts whose sizes are possible."""

    previous: dict[Term, frozenset[Symbol]]
    orders: dict[Term, list[_Planned]] = field(default_factory=dict)
    checked: dict[frozenset[tuple[Atom, int]], set[Term]] = field(default_factory=dict)


@lru_cache(maxsize=8)
def _plan(roots: tuple[Term, ...]) -> _Plan:
    """The plan of terms; numeric derivatives evaluate the same ones again and again."""
    return _Plan(previous_states(*(root for root in roots if root.height)))


@dataclass
class _Trajectory:
    """The states of a recurrence as far as they are computed, each with a number of its own."""

    states: list[Array]
    tokens: list[int]


class Machine:
    """Values of nodes, each kept by the values of what is bound around it and free in the node.

    These are indices, and previous states of recurrences: of those, ``tokens`` has the number of
    the present state, 0 outside its recurrence, ``states`` the value and ``loops`` the recurrence.
    """

    def __init__(self, env: Env, roots: Sequence[Term]) -> None:
        self.env = env
        self.frame: dict[Atom, int] = dict(env.sizes)
        self.known: dict[tuple[Term, tuple[int, ...]], Array] = {}
        plan = _plan(tuple(roots))
        self.orders, self.previous = plan.orders, plan.previous
        sizes = frozenset(env.sizes.items())
        self.checked = set() if env.indexed else plan.checked.setdefault(sizes, set())
        self.tokens = {slot: 0 for slots in self.previous.values() for slot in slots}
        self.states: dict[Symbol, Array] = {}
        self.loops: dict[Symbol, Term] = {}
        self.trajectories: dict[tuple[object, ...], _Trajectory] = {}
        self.count = 0

    def size(self, d: Dim) -> int:
        """The integer that ``d`` is at this place."""
        value = value_of_dim(d, self.frame, self.env.indexed)
        if value.denominator != 1:
            raise ShapeError(f"the size {d} is {value}, not an integer")
        return value.numerator

    def shape(self, term: Term) -> tuple[int, int]:
        """Rows and columns of a term at this place."""
        return self.size(term.rows), self.size(term.cols)

    def place(self) -> Env:
        """The environment in which the bound indices have their present values."""
        return replace(self.env, sizes=dict(self.frame))

    def run(self, root: Term) -> Array:
        """The value of ``root`` under the present values of the indices."""
        tick()
        order = self.orders.get(root)
        if order is None:
            order = self.orders[root] = self._order(root)
        if root not in self.checked:
            self._check(root, order)
        frame, tokens, known = self.frame, self.tokens, self.known
        value = _EMPTY
        here: dict[Term, Array] = {}
        for term, indices, slots, compute, args in order:
            key = (term, tuple([frame[i] for i in indices]) if indices else ())
            if slots:
                key = (term, (*key[1], *[tokens[s] for s in slots]))
            found = known.get(key)
            if found is None:
                found = known[key] = compute(self, term, [here[a] for a in args])
            here[term] = value = found
        return value

    def _order(self, root: Term) -> list[_Planned]:
        """Arguments before the terms that use them; what is computed by need is left out."""
        terms = postorder(root, needed=_needed)
        return [(term, *self._bindings(term), _computation(term), _needed(term)) for term in terms]

    def _check(self, root: Term, order: Sequence[_Planned]) -> None:
        """Raise where an index has no value, or an array would be too large."""
        if not root.indices <= self.frame.keys():
            raise ShapeError("an index outside its sum or product has no value")
        for shape in {term.shape for term, *_ in order if not term.indices}:
            check_size(*map(self.size, shape))
        self.checked.add(root)

    def _bindings(self, term: Term) -> tuple[tuple[Index, ...], tuple[Symbol, ...]]:
        """The indices and the previous states that are free in the term, in a fixed order."""
        slots = self.previous.get(term, _NO_STATES)
        return _sorted(term.indices), tuple(sorted(slots, key=lambda s: s.stable)) if slots else ()

    def trajectory(self, term: Term, first: int, start: Array) -> _Trajectory:
        """The states of this recurrence from this start; one object for all ``at``."""
        loop: Loop = term.attr
        before, body = term.args
        slots = self.previous.get(before, _NO_STATES) | (self.previous.get(body, _NO_STATES) - {loop.slot})
        around = [self.frame[i] for i in _sorted(before.indices | (body.indices - {loop.index}))]
        tokens = [self.tokens[s] for s in sorted(slots, key=lambda s: s.stable)]
        key = (loop.index, loop.step, loop.slot, first, before, body, *around, *tokens)
        if key not in self.trajectories:
            self.count += 1
            self.trajectories[key] = _Trajectory([start], [self.count])
        return self.trajectories[key]

    def extend(self, trajectory: _Trajectory, term: Term, first: int, steps: int) -> None:
        """Compute the states up to ``steps`` from the first."""
        loop: Loop = term.attr
        index, slot = loop.index, loop.slot
        outside = self.frame.get(index)
        self.loops[slot] = term
        for done in range(len(trajectory.states) - 1, steps):
            self.frame[index] = first + done * loop.step
            self.states[slot], self.tokens[slot] = trajectory.states[done], trajectory.tokens[done]
            trajectory.states.append(self.run(term.args[1]))
            self.count += 1
            trajectory.tokens.append(self.count)
        del self.loops[slot]
        self.states.pop(slot, None)
        self.tokens[slot] = 0
        self.restore(index, outside)

    def restore(self, index: Index, outside: int | None) -> None:
        """Give an index the value back that it had around a loop."""
        if outside is None:
            self.frame.pop(index, None)
        else:
            self.frame[index] = outside

    def without_states(self, term: Term) -> Term:
        """The term with the previous states around it written out as recurrences."""
        for slot, loop in reversed(self.loops.items()):
            if slot in previous_states(term).get(term, _NO_STATES):
                at_index = loop.attr.moved(dim(loop.attr.index))
                term = replace_terms(term, {build.sym(slot): build.state(at_index, *loop.args)})
        return term


_Planned = tuple[Term, tuple[Index, ...], tuple[Symbol, ...], Evaluator, tuple[Term, ...]]
_EMPTY = np.zeros((0, 0))


def _sorted(indices: frozenset[Index]) -> tuple[Index, ...]:
    return tuple(sorted(indices, key=lambda i: i.key)) if indices else ()


def _computation(term: Term) -> Evaluator:
    return lazy_product if has_indicator(term) else VALUE[term.op]


def _needed(term: Term) -> tuple[Term, ...]:
    """The arguments that are computed before the term; the others by need."""
    if _computation(term) in BY_NEED:
        return ()
    return term.args[:1] if term.op is ops.STATE else term.args
