"""The value of each operator, from its definition."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from functools import reduce
from math import inf, pi
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import MatcalcError, ShapeError, UnknownName
from ..terms import ops
from ..terms.dims import dim
from ..terms.dims import evaluate as value_of_dim
from ..terms.ops import Op
from ..terms.symbols import Loop, Member, Range, Symbol, Unknown
from ..terms.term import Term
from . import spectral
from .arrays import Array, as_column, commutation_matrix, duplication_matrix, elimination_matrix
from .functions import FUNCTIONS, polygamma_of

if TYPE_CHECKING:
    from .evaluate import Machine

SINGULAR = 1e12
"""A matrix is singular up to rounding where the product of its norm and that of its inverse is larger."""


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


def _checked(machine: Machine, term: Term, value: Any, name: str) -> Array:
    array, shape = as_column(value), machine.shape(term)
    if array.shape != shape:
        raise ShapeError(f"{name} has the shape {shape[0]}×{shape[1]}, but its value {array.shape[0]}×{array.shape[1]}")
    return array


def _symbol(machine: Machine, term: Term, _args: list[Array]) -> Array:
    symbol: Symbol = term.attr
    if symbol in machine.states:
        return _checked(machine, term, machine.states[symbol], "a state")
    if symbol not in machine.env.symbols:
        raise UnknownName(f"{symbol.name} has no value")
    return _checked(machine, term, machine.env.symbols[symbol], symbol.name)


def _member(machine: Machine, term: Term, _args: list[Array]) -> Array:
    member: Member = term.attr
    at = machine.size(member.at)
    return _checked(machine, term, machine.env.member(member.family, at), f"{member.family.name}[{at}]")


def _integer(machine: Machine, term: Term, _args: list[Array]) -> Array:
    return _scalar(_float(value_of_dim(dim(term.attr), machine.frame, machine.env.indexed)))


def _basis(machine: Machine, term: Term, _args: list[Array]) -> Array:
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


def _indicator(machine: Machine, term: Term, _args: list[Array]) -> Array:
    relation, left, right = term.attr
    return _scalar(1.0 if RELATIONS[relation](machine.size(left), machine.size(right)) else 0.0)


# ---------------------------------------------------------------- arithmetic


def _power(_machine: Machine, _term: Term, args: list[Array]) -> Array:
    base, exponent = np.broadcast_arrays(*args)
    whole = (exponent.imag == 0) & (exponent.real == np.round(exponent.real))
    power = np.power(base, exponent)
    return np.where((base.real < 0) & ~whole, np.nan, power)


def _inverse(_machine: Machine, term: Term, args: list[Array]) -> Array:
    singular = MatcalcError(f"the {len(args[0])}×{len(args[0])} matrix under {term.op.name} is singular here")
    try:
        inverse = np.asarray(np.linalg.inv(args[0]))
    except np.linalg.LinAlgError:
        raise singular from None
    if np.linalg.norm(args[0]) * np.linalg.norm(inverse) > SINGULAR:  # up to rounding: nothing of it is right
        raise singular
    return inverse


def _matrix_power(machine: Machine, term: Term, args: list[Array]) -> Array:
    exponent = machine.size(term.attr)
    base = args[0] if exponent >= 0 else _inverse(machine, term, args)
    return np.asarray(np.linalg.matrix_power(base, abs(exponent)))


# ---------------------------------------------------------------- functions of numbers


def _function(machine: Machine, term: Term, args: list[Array]) -> Array:
    name = term.attr
    if isinstance(name, Unknown):
        found = machine.env.functions.get(name.name)
        if found is None:
            raise UnknownName(f"the function {name.name} has no value")
        return np.asarray(found(args[0], name.order))
    if name not in FUNCTIONS:
        raise UnknownName(f"there is no function {name} to evaluate")
    return FUNCTIONS[name](args[0])


def _polygamma(machine: Machine, term: Term, args: list[Array]) -> Array:
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


def _khatrirao(_machine: Machine, _term: Term, args: list[Array]) -> Array:
    a, b = args
    columns = [np.kron(a[:, j], b[:, j]) for j in range(a.shape[1])]
    return np.stack(columns, axis=1)


# ---------------------------------------------------------------- functions of matrices


def _logdet(_machine: Machine, _term: Term, args: list[Array]) -> Array:
    phase, logabs = np.linalg.slogdet(args[0])
    if not np.iscomplexobj(args[0]):
        return _scalar(logabs)
    return _scalar(complex(logabs, np.angle(phase * np.sign(phase.real))))


def _entry(machine: Machine, term: Term, args: list[Array]) -> Array:
    i, j = (machine.size(d) for d in term.attr)
    m, n = args[0].shape
    if not (1 <= i <= m and 1 <= j <= n):
        raise ShapeError(f"there is no entry ({i}, {j}) in a {m}×{n} matrix")
    return args[0][i - 1 : i, j - 1 : j]


def _vech(_machine: Machine, _term: Term, args: list[Array]) -> Array:
    a = args[0]
    return np.concatenate([a[j:, j : j + 1] for j in range(len(a))])


def _slice(machine: Machine, term: Term, args: list[Array]) -> Array:
    i, j, k, last = (machine.size(d) for d in term.attr)
    m, n = args[0].shape
    if not (1 <= i <= j <= m and 1 <= k <= last <= n):
        raise ShapeError(f"there is no block of the rows {i} to {j} and columns {k} to {last} in a {m}×{n} matrix")
    return args[0][i - 1 : j, k - 1 : last]


def _block(_machine: Machine, term: Term, args: list[Array]) -> Array:
    width = term.attr.cols
    rows = [np.concatenate(args[i : i + width], axis=1) for i in range(0, len(args), width)]
    return np.concatenate(rows, axis=0)


def _joint(_machine: Machine, _term: Term, args: list[Array]) -> Array:
    return np.concatenate([a.reshape(-1, 1, order="F") for a in args])


def _part(machine: Machine, term: Term, args: list[Array]) -> Array:
    which, *shapes = term.attr
    sizes = [machine.size(d) for d in shapes]
    counts = [m * n for m, n in zip(sizes[::2], sizes[1::2], strict=True)]
    begin = sum(counts[:which])
    return args[0][begin : begin + counts[which]].reshape(sizes[2 * which : 2 * which + 2], order="F")


# ---------------------------------------------------------------- binders and differentials


def _values(machine: Machine, attr: Range) -> range:
    lo, hi = machine.size(attr.index.lo), machine.size(attr.index.hi)
    return range(lo, hi + 1) if attr.step == 1 else range(lo, hi - 1, -1)


def _over(machine: Machine, term: Term, start: Array, combine: Callable[[Array, Array], Array]) -> Array:
    index = term.attr.index
    outside = machine.frame.get(index)
    for value in _values(machine, term.attr):
        machine.frame[index] = value
        start = combine(start, machine.run(term.args[0]))
    machine.restore(index, outside)
    return start


def _sum(machine: Machine, term: Term, _args: list[Array]) -> Array:
    return _over(machine, term, np.zeros(machine.shape(term)), lambda a, b: a + b)


def _family(machine: Machine, term: Term, _args: list[Array]) -> Array:
    """The vec's of the members on top of one another."""
    return _over(machine, term, np.zeros((0, 1)), lambda a, b: np.concatenate([a, b.reshape(-1, 1, order="F")]))


def _product(machine: Machine, term: Term, _args: list[Array]) -> Array:
    return _over(machine, term, np.eye(machine.size(term.rows)), lambda a, b: a @ b)


def _state(machine: Machine, term: Term, args: list[Array]) -> Array:
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


def _differential(machine: Machine, term: Term, _args: list[Array]) -> Array:
    argument = term.args[0]
    given = machine.env.differentials
    if callable(given):
        value = given(machine.without_states(argument), machine.place())
    elif argument in given:
        value = given[argument]
    else:
        raise UnknownName(f"the differential d({argument!r}) has no value")
    return _checked(machine, term, value, "a differential")


def lazy_product(machine: Machine, term: Term, _args: list[Array]) -> Array:
    """A product with indicators: the other factors need no value where an indicator is 0."""
    factors = factors_of(term)
    if any(machine.run(f)[0, 0] == 0 for f in factors if f.op is ops.IND):
        return np.zeros(machine.shape(term))
    return reduce(np.multiply, [machine.run(f) for f in factors])


Evaluator = Callable[["Machine", Term, list[Array]], Array]
BY_NEED: frozenset[Evaluator] = frozenset({_sum, _product, _family, _differential, lazy_product})

VALUE: dict[Op, Evaluator] = {
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
