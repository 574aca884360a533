"""The value of a term, straight from its definition: the oracle that everything else is tested against.

Every value is a 2-D array, a scalar 1×1.  Nothing is shared with the rules or the code generator.
Complex inputs are carried through analytically, so that the complex step works: transposes never
conjugate, and ``abs``, ``sign``, ``relu``, ``norm`` and ``logdet`` branch by the real part.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import lru_cache, reduce
from math import inf, pi
from typing import Any, overload

import numpy as np

from ..bounds import tick
from ..errors import MatcalcError, ShapeError, UnknownName
from ..terms import build, ops
from ..terms.dims import Atom, Dim, Index, dim
from ..terms.dims import evaluate as value_of_dim
from ..terms.ops import Op
from ..terms.symbols import Family, Loop, Member, Range, Symbol, Unknown
from ..terms.term import Term
from ..terms.walk import postorder
from ..terms.walk import replace as replace_terms
from . import spectral
from .arrays import Array, as_column, check_size, commutation_matrix, duplication_matrix, elimination_matrix
from .functions import FUNCTIONS, polygamma_of

Sizes = Mapping[str, Sequence[int] | Callable[[int], int]]
Members = Callable[[Family, int], Array] | Mapping[tuple[Family, int], Array]
Functions = Mapping[str, Callable[[Array, int], Array]]
Differentials = Mapping[Term, Array] | Callable[[Term, "Env"], Array]

SINGULAR = 1e12
"""A matrix is singular up to rounding where the product of its norm and that of its inverse is larger."""


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
    machine = _Machine(env, roots)
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


class _Machine:
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
        value = value_of_dim(d, self.frame, self.env.indexed)
        if value.denominator != 1:
            raise ShapeError(f"the size {d} is {value}, not an integer")
        return value.numerator

    def shape(self, term: Term) -> tuple[int, int]:
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
        _restore(self.frame, index, outside)

    def without_states(self, term: Term) -> Term:
        """The term with the previous states around it written out as recurrences."""
        for slot, loop in reversed(self.loops.items()):
            if slot in previous_states(term).get(term, _NO_STATES):
                at_index = loop.attr.moved(dim(loop.attr.index))
                term = replace_terms(term, {build.sym(slot): build.state(at_index, *loop.args)})
        return term


_EMPTY = np.zeros((0, 0))


def _sorted(indices: frozenset[Index]) -> tuple[Index, ...]:
    return tuple(sorted(indices, key=lambda i: i.key)) if indices else ()


def _restore(frame: dict[Atom, int], index: Index, outside: int | None) -> None:
    """Give an index the value back that it had around a loop."""
    if outside is None:
        frame.pop(index, None)
    else:
        frame[index] = outside


def _computation(term: Term) -> Evaluator:
    return _lazy_product if has_indicator(term) else _VALUE[term.op]


def _needed(term: Term) -> tuple[Term, ...]:
    """The arguments that are computed before the term; the others by need."""
    if _computation(term) in _BY_NEED:
        return ()
    return term.args[:1] if term.op is ops.STATE else term.args


def has_indicator(term: Term) -> bool:
    """True for a product one factor of which is an indicator."""
    if term.op is ops.SCALE and term.args[0].op is ops.TIMES:
        return any(arg.op is ops.IND for arg in term.args[0].args)
    return term.op in (ops.SCALE, ops.TIMES) and any(arg.op is ops.IND for arg in term.args)


def factors_of(term: Term) -> tuple[Term, ...]:
    """The factors of a product of scalars, or of scalars and an array."""
    nested = term.op is ops.SCALE and term.args[0].op is ops.TIMES
    return (*term.args[0].args, term.args[1]) if nested else term.args


def _float(value: int | Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        return inf if value > 0 else -inf


def _scalar(value: Any) -> Array:
    return np.array([[value]], dtype=complex if isinstance(value, complex | np.complexfloating) else float)


# ---------------------------------------------------------------- leaves


def _checked(machine: _Machine, term: Term, value: Any, name: str) -> Array:
    array, shape = as_column(value), machine.shape(term)
    if array.shape != shape:
        raise ShapeError(f"{name} has the shape {shape[0]}×{shape[1]}, but its value {array.shape[0]}×{array.shape[1]}")
    return array


def _symbol(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    symbol: Symbol = term.attr
    if symbol in machine.states:
        return _checked(machine, term, machine.states[symbol], "a state")
    if symbol not in machine.env.symbols:
        raise UnknownName(f"{symbol.name} has no value")
    return _checked(machine, term, machine.env.symbols[symbol], symbol.name)


def _member(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    member: Member = term.attr
    at = machine.size(member.at)
    return _checked(machine, term, machine.env.member(member.family, at), f"{member.family.name}[{at}]")


def _integer(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    return _scalar(_float(value_of_dim(dim(term.attr), machine.frame, machine.env.indexed)))


def _basis(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    at, n = (machine.size(d) for d in term.attr)
    if not 1 <= at <= n:
        raise ShapeError(f"there is no column {at} in the identity of size {n}")
    column = np.zeros((n, 1))
    column[at - 1] = 1.0
    return column


RELATIONS: dict[str, Callable[[int, int], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<=": lambda a, b: a <= b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
}


def _indicator(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    relation, left, right = term.attr
    return _scalar(1.0 if RELATIONS[relation](machine.size(left), machine.size(right)) else 0.0)


# ---------------------------------------------------------------- arithmetic


def _power(_machine: _Machine, _term: Term, args: list[Array]) -> Array:
    base, exponent = np.broadcast_arrays(*args)
    whole = (exponent.imag == 0) & (exponent.real == np.round(exponent.real))
    power = np.power(base, exponent)
    return np.where((base.real < 0) & ~whole, np.nan, power)


def _inverse(_machine: _Machine, term: Term, args: list[Array]) -> Array:
    singular = MatcalcError(f"the {len(args[0])}×{len(args[0])} matrix under {term.op.name} is singular here")
    try:
        inverse = np.asarray(np.linalg.inv(args[0]))
    except np.linalg.LinAlgError:
        raise singular from None
    if np.linalg.norm(args[0]) * np.linalg.norm(inverse) > SINGULAR:  # up to rounding: nothing of it is right
        raise singular
    return inverse


def _matrix_power(machine: _Machine, term: Term, args: list[Array]) -> Array:
    exponent = machine.size(term.attr)
    base = args[0] if exponent >= 0 else _inverse(machine, term, args)
    return np.asarray(np.linalg.matrix_power(base, abs(exponent)))


# ---------------------------------------------------------------- functions of numbers


def _function(machine: _Machine, term: Term, args: list[Array]) -> Array:
    name = term.attr
    if isinstance(name, Unknown):
        found = machine.env.functions.get(name.name)
        if found is None:
            raise UnknownName(f"the function {name.name} has no value")
        return np.asarray(found(args[0], name.order))
    if name not in FUNCTIONS:
        raise UnknownName(f"there is no function {name} to evaluate")
    return FUNCTIONS[name](args[0])


def _polygamma(machine: _Machine, term: Term, args: list[Array]) -> Array:
    order = machine.size(term.attr)
    if order < 0:
        raise ShapeError(f"polygamma has no order {order}")
    return polygamma_of(order, args[0])


# ---------------------------------------------------------------- functions of vectors, and of the rows of a matrix


def _softmax(x: Array, axis: int) -> Array:
    powers = np.exp(x - x.real.max(axis, keepdims=True))
    return np.asarray(powers / powers.sum(axis, keepdims=True))


def _logsumexp(x: Array, axis: int) -> Array:
    top = x.real.max(axis, keepdims=True)
    return np.asarray(top + np.log(np.exp(x - top).sum(axis, keepdims=True)))


def _khatrirao(_machine: _Machine, _term: Term, args: list[Array]) -> Array:
    a, b = args
    columns = [np.kron(a[:, j], b[:, j]) for j in range(a.shape[1])]
    return np.stack(columns, axis=1)


# ---------------------------------------------------------------- functions of matrices


def _logdet(_machine: _Machine, _term: Term, args: list[Array]) -> Array:
    phase, logabs = np.linalg.slogdet(args[0])
    if not np.iscomplexobj(args[0]):
        return _scalar(logabs)
    return _scalar(complex(logabs, np.angle(phase * np.sign(phase.real))))


def _entry(machine: _Machine, term: Term, args: list[Array]) -> Array:
    i, j = (machine.size(d) for d in term.attr)
    m, n = args[0].shape
    if not (1 <= i <= m and 1 <= j <= n):
        raise ShapeError(f"there is no entry ({i}, {j}) in a {m}×{n} matrix")
    return args[0][i - 1 : i, j - 1 : j]


def _vech(_machine: _Machine, _term: Term, args: list[Array]) -> Array:
    a = args[0]
    return np.concatenate([a[j:, j : j + 1] for j in range(len(a))])


def _slice(machine: _Machine, term: Term, args: list[Array]) -> Array:
    i, j, k, last = (machine.size(d) for d in term.attr)
    m, n = args[0].shape
    if not (1 <= i <= j <= m and 1 <= k <= last <= n):
        raise ShapeError(f"there is no block of the rows {i} to {j} and columns {k} to {last} in a {m}×{n} matrix")
    return args[0][i - 1 : j, k - 1 : last]


def _block(_machine: _Machine, term: Term, args: list[Array]) -> Array:
    width = term.attr.cols
    rows = [np.concatenate(args[i : i + width], axis=1) for i in range(0, len(args), width)]
    return np.concatenate(rows, axis=0)


def _joint(_machine: _Machine, _term: Term, args: list[Array]) -> Array:
    return np.concatenate([a.reshape(-1, 1, order="F") for a in args])


def _part(machine: _Machine, term: Term, args: list[Array]) -> Array:
    which, *shapes = term.attr
    sizes = [machine.size(d) for d in shapes]
    counts = [m * n for m, n in zip(sizes[::2], sizes[1::2], strict=True)]
    begin = sum(counts[:which])
    return args[0][begin : begin + counts[which]].reshape(sizes[2 * which : 2 * which + 2], order="F")


# ---------------------------------------------------------------- binders and differentials


def _values(machine: _Machine, attr: Range) -> range:
    lo, hi = machine.size(attr.index.lo), machine.size(attr.index.hi)
    return range(lo, hi + 1) if attr.step == 1 else range(lo, hi - 1, -1)


def _over(machine: _Machine, term: Term, start: Array, combine: Callable[[Array, Array], Array]) -> Array:
    index = term.attr.index
    outside = machine.frame.get(index)
    for value in _values(machine, term.attr):
        machine.frame[index] = value
        start = combine(start, machine.run(term.args[0]))
    _restore(machine.frame, index, outside)
    return start


def _sum(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    return _over(machine, term, np.zeros(machine.shape(term)), lambda a, b: a + b)


def _family(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    """The vec's of the members on top of one another."""
    return _over(machine, term, np.zeros((0, 1)), lambda a, b: np.concatenate([a, b.reshape(-1, 1, order="F")]))


def _product(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    return _over(machine, term, np.eye(machine.size(term.rows)), lambda a, b: a @ b)


def _state(machine: _Machine, term: Term, args: list[Array]) -> Array:
    loop: Loop = term.attr
    first, at = machine.size(loop.first), machine.size(loop.at)
    steps = (at - first) * loop.step
    if steps < 0:
        raise ShapeError(f"a recurrence that starts at {first} and runs {_WAYS[loop.step]} has no state {at}")
    trajectory = machine.trajectory(term, first, args[0])
    if steps >= len(trajectory.states):
        machine.extend(trajectory, term, first, steps)
    return trajectory.states[steps]


_WAYS = {1: "up", -1: "down"}


def _differential(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    argument = term.args[0]
    given = machine.env.differentials
    if callable(given):
        value = given(machine.without_states(argument), machine.place())
    elif argument in given:
        value = given[argument]
    else:
        raise UnknownName(f"the differential d({argument!r}) has no value")
    return _checked(machine, term, value, "a differential")


def _lazy_product(machine: _Machine, term: Term, _args: list[Array]) -> Array:
    """A product with indicators: the other factors need no value where an indicator is 0."""
    factors = factors_of(term)
    if any(machine.run(f)[0, 0] == 0 for f in factors if f.op is ops.IND):
        return np.zeros(machine.shape(term))
    return reduce(np.multiply, [machine.run(f) for f in factors])


Evaluator = Callable[[_Machine, Term, list[Array]], Array]
_Planned = tuple[Term, tuple[Index, ...], tuple[Symbol, ...], Evaluator, tuple[Term, ...]]
_BY_NEED: frozenset[Evaluator] = frozenset({_sum, _product, _family, _differential, _lazy_product})

_VALUE: dict[Op, Evaluator] = {
    ops.NUM: lambda _m, t, _a: _scalar(_float(t.attr)),
    ops.INT: _integer,
    ops.CONST: lambda _m, t, _a: _scalar({"pi": pi}[t.attr]),
    ops.SYM: _symbol,
    ops.MEMBER: _member,
    ops.EYE: lambda m, t, _a: np.eye(m.size(t.rows)),
    ops.ZEROS: lambda m, t, _a: np.zeros(m.shape(t)),
    ops.ONES: lambda m, t, _a: np.ones(m.shape(t)),
    ops.BASIS: _basis,
    ops.COMMUTATION: lambda m, t, _a: commutation_matrix(*(m.size(d) for d in t.attr)),
    ops.DUPLICATION: lambda m, t, _a: duplication_matrix(m.size(t.attr[0])),
    ops.ELIMINATION: lambda m, t, _a: elimination_matrix(m.size(t.attr[0])),
    ops.IND: _indicator,
    ops.ADD: lambda _m, _t, a: reduce(np.add, a),
    ops.TIMES: lambda _m, _t, a: reduce(np.multiply, a),
    ops.SCALE: lambda _m, _t, a: a[0] * a[1],
    ops.MUL: lambda _m, _t, a: reduce(np.matmul, a),
    ops.HAD: lambda _m, _t, a: reduce(np.multiply, a),
    ops.KRON: lambda _m, _t, a: reduce(np.kron, a),
    ops.KHATRIRAO: _khatrirao,
    ops.TRANSPOSE: lambda _m, _t, a: a[0].T,
    ops.INV: _inverse,
    ops.MPOW: _matrix_power,
    ops.POW: _power,
    ops.FUN: _function,
    ops.POLYGAMMA: _polygamma,
    ops.SOFTMAX: lambda _m, _t, a: _softmax(a[0], 0),
    ops.SOFTMAXROWS: lambda _m, _t, a: _softmax(a[0], 1),
    ops.LOGSUMEXP: lambda _m, _t, a: _logsumexp(a[0], 0),
    ops.LOGSUMEXPROWS: lambda _m, _t, a: _logsumexp(a[0], 1),
    ops.TR: lambda _m, _t, a: _scalar(np.trace(a[0])),
    ops.DET: lambda _m, _t, a: _scalar(np.linalg.det(a[0])),
    ops.LOGDET: _logdet,
    ops.VEC: lambda _m, _t, a: a[0].reshape(-1, 1, order="F"),
    ops.UNVEC: lambda m, t, a: a[0].reshape(m.shape(t), order="F"),
    ops.VECH: _vech,
    ops.TRIL: lambda _m, _t, a: np.tril(a[0]),
    ops.TRIU: lambda _m, _t, a: np.triu(a[0]),
    ops.DIAG: lambda _m, _t, a: np.diag(a[0][:, 0]),
    ops.DIAGONAL: lambda _m, _t, a: np.diag(a[0]).reshape(-1, 1),
    ops.TOTAL: lambda _m, _t, a: _scalar(a[0].sum()),
    ops.NORM: lambda _m, _t, a: _scalar(np.sqrt((a[0] * a[0]).sum())),
    ops.ENTRY: _entry,
    ops.SLICE: _slice,
    ops.BLOCK: _block,
    ops.JOINT: _joint,
    ops.PART: _part,
    ops.EXPM: lambda _m, _t, a: spectral.expm(a[0]),
    ops.LOGM: lambda _m, _t, a: spectral.logm(a[0]),
    ops.SQRTM: lambda _m, _t, a: spectral.sqrtm(a[0]),
    ops.DEXPM: lambda _m, _t, a: spectral.dexpm(*a),
    ops.DLOGM: lambda _m, _t, a: spectral.dlogm(*a),
    ops.SYLVESTER: lambda _m, _t, a: spectral.sylvester(*a),
    ops.PINV: lambda _m, _t, a: spectral.pinv(a[0]),
    ops.POLAR: lambda _m, _t, a: spectral.polar(a[0]),
    ops.NUCLEAR: lambda _m, _t, a: spectral.nuclear(a[0]),
    ops.SPECTRAL: lambda _m, _t, a: spectral.spectral(a[0]),
    ops.EIGMAX: lambda _m, _t, a: spectral.eigmax(a[0]),
    ops.EIGVECMAX: lambda _m, _t, a: spectral.eigvecs(a[0], 1),
    ops.EIGVECS: lambda m, t, a: spectral.eigvecs(a[0], m.size(t.attr)),
    ops.SUM: _sum,
    ops.FAMILY: _family,
    ops.PROD: _product,
    ops.STATE: _state,
    ops.DIFF: _differential,
    ops.INNER: lambda _m, _t, a: _scalar((a[0] * a[1]).sum()),
}
