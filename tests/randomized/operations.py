"""What each operation of the language is, from its definition."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from .execution import traced
from .reference import KINK, Inputs, Reference, Unfit, sine
from .tree import E, at_value

Array = Any

# ---------------------------------------------------------------- entry by entry

Entrywise = Callable[[Reference, Array], Array]


def _domain(low: float, high: float, function: Entrywise) -> Entrywise:
    def value(r: Reference, x: Array) -> Array:
        if r.strict and not ((x > low + KINK) & (x < high - KINK)).all():
            raise Unfit("domain")
        return function(r, x)

    return value


def _kinked(function: Entrywise) -> Entrywise:
    def value(r: Reference, x: Array) -> Array:
        r.away(x, "kink")
        return function(r, x)

    return value


_INF = float("inf")
ENTRYWISE: dict[str, Entrywise] = {
    "exp": lambda r, x: r.xp.exp(x),
    "log": _domain(0, _INF, lambda r, x: r.xp.log(x)),
    "log1p": _domain(-1, _INF, lambda r, x: r.xp.log1p(x)),
    "log2": _domain(0, _INF, lambda r, x: r.xp.log2(x)),
    "log10": _domain(0, _INF, lambda r, x: r.xp.log10(x)),
    "expm1": lambda r, x: r.xp.expm1(x),
    "sqrt": _domain(0, _INF, lambda r, x: r.xp.sqrt(x)),
    "square": lambda r, x: r.xp.square(x),
    "abs": _kinked(lambda r, x: r.xp.abs(x)),
    "sign": _kinked(lambda r, x: r.xp.sign(x)),
    "step": _kinked(lambda r, x: (r.xp.sign(x) + 1) / 2),
    "relu": _kinked(lambda r, x: r.xp.maximum(x, 0.0)),
    "sin": lambda r, x: r.xp.sin(x),
    "cos": lambda r, x: r.xp.cos(x),
    "tan": lambda r, x: r.xp.tan(x),
    "cot": lambda r, x: 1 / r.xp.tan(x),
    "sec": lambda r, x: 1 / r.xp.cos(x),
    "csc": lambda r, x: 1 / r.xp.sin(x),
    "asin": _domain(-1, 1, lambda r, x: r.xp.arcsin(x)),
    "acos": _domain(-1, 1, lambda r, x: r.xp.arccos(x)),
    "atan": lambda r, x: r.xp.arctan(x),
    "sinh": lambda r, x: r.xp.sinh(x),
    "cosh": lambda r, x: r.xp.cosh(x),
    "tanh": lambda r, x: r.xp.tanh(x),
    "asinh": lambda r, x: r.xp.arcsinh(x),
    "acosh": _domain(1, _INF, lambda r, x: r.xp.arccosh(x)),
    "atanh": _domain(-1, 1, lambda r, x: r.xp.arctanh(x)),
    "sigmoid": lambda r, x: r.special.expit(x),
    "softplus": lambda r, x: r.xp.logaddexp(x, 0.0),
    "erf": lambda r, x: r.special.erf(x),
    "erfc": lambda r, x: r.special.erfc(x),
    "lgamma": _domain(0.02, _INF, lambda r, x: r.special.gammaln(x)),
    "digamma": _domain(0.02, _INF, lambda r, x: r.special.digamma(x)),
    "trigamma": _domain(0.02, _INF, lambda r, x: r.special.polygamma(1, x)),
}


def _fun(r: Reference, e: E, env: Inputs) -> Array:
    x = r(e.args[0], env)
    name, *more = e.attr
    if name == "phi":
        return sine(r.xp, env.functions[more[0]], more[1], x)
    if name == "polygamma":
        if more[0] == 0:
            return ENTRYWISE["digamma"](r, x)
        return _domain(0.02, _INF, lambda r, x: r.special.polygamma(more[0], x))(r, x)
    return ENTRYWISE[name](r, x)


# ---------------------------------------------------------------- the other operations


def _on(function: Callable[..., Array]) -> Callable[[Reference, E, Inputs], Array]:
    """An operation that needs the values of its arguments alone."""

    def value(r: Reference, e: E, env: Inputs) -> Array:
        return function(r, *(r(arg, env) for arg in e.args))

    return value


def _column(r: Reference, a: Array) -> Array:
    return r.xp.reshape(r.xp.transpose(a), (-1, 1))


def _unvec(r: Reference, e: E, env: Inputs) -> Array:
    return r.xp.transpose(r.xp.reshape(r(e.args[0], env), (e.cols.value(env.sizes), e.rows.value(env.sizes))))


def _add(r: Reference, e: E, env: Inputs) -> Array:
    total: Array = 0.0
    for sign, arg in zip(e.attr, e.args, strict=True):
        total = total + sign * r(arg, env)
    return total


def _product(r: Reference, e: E, env: Inputs) -> Array:
    total = r(e.args[0], env)
    for arg in e.args[1:]:
        total = total @ r(arg, env)
    return total


def _hadamard(r: Reference, e: E, env: Inputs) -> Array:
    total = r(e.args[0], env)
    for arg in e.args[1:]:
        total = total * r(arg, env)
    return total


def _kron(r: Reference, *args: Array) -> Array:
    total = args[0]
    for b in args[1:]:
        (m, n), (p, q) = total.shape, b.shape
        total = r.xp.reshape(total[:, None, :, None] * b[None, :, None, :], (m * p, n * q))
    return total


def _khatrirao(r: Reference, *args: Array) -> Array:
    return r.xp.hstack([_kron(r, *(a[:, k : k + 1] for a in args)) for k in range(args[0].shape[1])])


def _divided(r: Reference, a: Array, b: Array) -> Array:
    r.away(b, "division by little")
    return a / b


def _apart(name: str) -> Callable[[Reference, Array, Array], Array]:
    """The larger or the smaller, where the two are not equal."""

    def value(r: Reference, a: Array, b: Array) -> Array:
        r.away(a - b, "kink")
        return getattr(r.xp, name)(a, b)

    return value


def _power(r: Reference, e: E, env: Inputs) -> Array:
    base = r(e.args[0], env)
    if len(e.args) > 1:  # a scalar to the power of a scalar
        exponent = r(e.args[1], env)
        if r.strict and not (base > KINK).all():
            raise Unfit("power of what is not positive")
        return base**exponent
    if e.is_scalar or e.op == "hpow":
        count = e.attr if isinstance(e.attr, int) else env.sizes[e.attr]
        if count < 0:
            r.away(base, "division by little")
        return base**count if count >= 0 else 1 / base ** (-count)
    count = e.attr if isinstance(e.attr, int) else env.sizes[e.attr]
    factor = base if count >= 0 else r.inv(base)
    total = r.xp.eye(len(base))
    for _ in range(abs(count)):
        total = total @ factor
    return total


def _diag(r: Reference, e: E, env: Inputs) -> Array:
    a = r(e.args[0], env)
    if e.args[0].cols.text == "1":
        return r.xp.diag(a[:, 0])
    return r.xp.diag(a)[:, None]


def _vech(r: Reference, a: Array) -> Array:
    n = len(a)
    return r.xp.stack([a[i, j] for j in range(n) for i in range(j, n)])[:, None]


def _constant(a: Callable[[E, Inputs], Array]) -> Callable[[Reference, E, Inputs], Array]:
    return lambda r, e, env: r.xp.asarray(a(e, env))


def _commutation(e: E, env: Inputs) -> Array:
    m, n = (s.value(env.sizes) for s in e.attr)
    k = np.zeros((m * n, m * n))
    for i in range(m):
        for j in range(n):
            k[i * n + j, j * m + i] = 1
    return k


def _half_places(n: int) -> list[tuple[int, int]]:
    return [(i, j) for j in range(n) for i in range(j, n)]


def _duplication(e: E, env: Inputs) -> Array:
    n = e.attr[0].value(env.sizes)
    d = np.zeros((n * n, n * (n + 1) // 2))
    for k, (i, j) in enumerate(_half_places(n)):
        d[j * n + i, k] = d[i * n + j, k] = 1
    return d


def _elimination(e: E, env: Inputs) -> Array:
    n = e.attr[0].value(env.sizes)
    d = np.zeros((n * (n + 1) // 2, n * n))
    for k, (i, j) in enumerate(_half_places(n)):
        d[k, j * n + i] = 1
    return d


def _basis(e: E, env: Inputs) -> Array:
    n = e.rows.value(env.sizes)
    unit = np.zeros((n, 1))
    unit[at_value(e.attr[0], env.sizes) - 1] = 1
    return unit


def _softmax(r: Reference, e: E, env: Inputs) -> Array:
    a = r(e.args[0], env)
    axis = 0 if e.cols.text == "1" else 1
    weights = r.xp.exp(a - _largest(r, a, axis))
    return weights / weights.sum(axis=axis, keepdims=True)


def _logsumexp(r: Reference, e: E, env: Inputs) -> Array:
    a = r(e.args[0], env)
    axis = 0 if e.args[0].cols.text == "1" else 1
    largest = _largest(r, a, axis)
    return r.xp.log(r.xp.exp(a - largest).sum(axis=axis, keepdims=True)) + largest


def _largest(r: Reference, a: Array, axis: int) -> Array:
    return (a if r.strict else jax.lax.stop_gradient(a)).max(axis=axis, keepdims=True)


def _number(value: Array, r: Reference) -> Array:
    return r.xp.reshape(value, (1, 1))


def _norm(r: Reference, a: Array) -> Array:
    total = r.xp.sum(a * a)
    r.away(total, "norm of little")
    return _number(r.xp.sqrt(total), r)


def _logdet(r: Reference, a: Array) -> Array:
    if r.strict and np.linalg.cond(a) > 1e4:
        raise Unfit("ill-conditioned")
    return _number(r.xp.linalg.slogdet(a)[1], r)


def _det(r: Reference, a: Array) -> Array:
    if r.strict and np.linalg.cond(a) > 1e4:
        raise Unfit("ill-conditioned")
    return _number(r.xp.linalg.det(a), r)


def _norm1(r: Reference, a: Array) -> Array:
    r.away(a, "kink")
    return _number(r.xp.sum(r.xp.abs(a)), r)


def _spectral(r: Reference, a: Array) -> Array:
    return _number(r.singular(a).max(), r)


def _eigenvectors(r: Reference, e: E, env: Inputs) -> Array:
    return r.eigen(r(e.args[0], env), e.cols.value(env.sizes))[1]


def _sylvester(r: Reference, a: Array, b: Array, c: Array) -> Array:
    eye = r.xp.eye
    system = _kron(r, eye(len(b)), a) + _kron(r, b.T, eye(len(a)))
    solved = r.solve(system, _column(r, c))
    return r.xp.transpose(r.xp.reshape(solved, (len(b), len(a))))


def _sum_over(r: Reference, e: E, env: Inputs) -> Array:
    index, low, high = e.attr
    total: Array = r.xp.zeros((e.rows.value(env.sizes), e.cols.value(env.sizes)))
    for i in range(at_value(low, env.sizes), at_value(high, env.sizes) + 1):
        total = total + r(e.args[0], env.at(index, i))
    return total


def _prod_over(r: Reference, e: E, env: Inputs) -> Array:
    index, low, high = e.attr
    first, last = at_value(low, env.sizes), at_value(high, env.sizes)
    total: Array = r.xp.eye(e.rows.value(env.sizes))
    for i in range(first, last + 1) if first <= last else range(first, last - 1, -1):
        total = total @ r(e.args[0], env.at(index, i))
    return total


_RELATIONS: dict[str, Callable[[int, int], bool]] = {
    ">=": lambda a, b: a >= b,
    "<=": lambda a, b: a <= b,
    "<": lambda a, b: a < b,
    ">": lambda a, b: a > b,
    "=": lambda a, b: a == b,
}


def _ind(r: Reference, e: E, env: Inputs) -> Array:
    left, relation, right = e.attr
    holds = _RELATIONS[relation](at_value(left, env.sizes), at_value(right, env.sizes))
    return r.xp.full((1, 1), float(holds))


def _entry(r: Reference, e: E, env: Inputs) -> Array:
    a = r(e.args[0], env)
    places = [at_value(at, env.sizes) - 1 for at in e.attr]
    i, j = places if len(places) == 2 else (places[0], 0) if e.args[0].cols.text == "1" else (0, places[0])
    return a[i : i + 1, j : j + 1]


def _slice(r: Reference, e: E, env: Inputs) -> Array:
    a = r(e.args[0], env)
    (top, bottom), (left, right) = ((x.value(env.sizes), y.value(env.sizes)) for x, y in e.attr)
    return a[top - 1 : bottom, left - 1 : right]


def _blocks(r: Reference, e: E, env: Inputs) -> Array:
    parts = [r(arg, env) for arg in e.args]
    width = e.attr
    rows = [r.xp.hstack(parts[i : i + width]) for i in range(0, len(parts), width)]
    return r.xp.concatenate(rows)


def _recurrence(r: Reference, e: E, env: Inputs) -> Array:
    name, index, last, step = e.attr
    start, body, result = e.args
    top = last.value(env.sizes)
    places = range(top) if step > 0 else range(top, 0, -1)
    states = {0 if step > 0 else top: r(start, env)}
    for k in places:
        inside = replace(env.at(index, k), states={**env.states, name: states})
        states = {**states, k + step: r(body, inside)}
    return r(result, replace(env, states={**env.states, name: states}))


def _two_recurrences(r: Reference, e: E, env: Inputs) -> Array:
    first, second, index, last = e.attr
    top = last.value(env.sizes)
    one, two = {0: r(e.args[0], env)}, {0: r(e.args[1], env)}
    for k in range(top):
        inside = replace(env.at(index, k), states={**env.states, first: one, second: two})
        one = {**one, k + 1: r(e.args[2], inside)}
        two = {**two, k + 1: r(e.args[3], replace(inside, states={**inside.states, first: one}))}
    return r(e.args[4], replace(env, states={**env.states, first: one, second: two}))


def _let(r: Reference, e: E, env: Inputs) -> Array:
    return r(e.args[1], env.with_array(e.attr, r(e.args[0], env)))


def _derivative(r: Reference, e: E, env: Inputs) -> Array:
    """A derivative inside an expression: JAX differentiates within JAX."""
    kind, name = e.attr
    if r.strict:
        r(e.args[0], env)
    inner = Reference(jnp, False)
    x = env.arrays[name]

    def column(v: Array) -> Array:
        moved = jnp.transpose(jnp.reshape(v, (x.shape[1], x.shape[0])))
        return _column(inner, inner(e.args[0], env.with_array(name, moved)))[:, 0]

    def matrix(at: Array) -> Array:
        if kind == "hess":
            return jax.jacfwd(jax.jacfwd(lambda v: column(v)[0]))(at)
        return jax.jacfwd(column)(at)

    at = jnp.reshape(jnp.transpose(x), -1) if not r.strict else x.T.reshape(-1)
    found = traced(matrix, at)[0] if r.strict else matrix(at)
    if kind == "grad":
        found = r.xp.transpose(r.xp.reshape(found, (x.shape[1], x.shape[0])))
    return found


OPERATIONS: dict[str, Callable[[Reference, E, Inputs], Array]] = {
    "var": lambda r, e, env: env.arrays[e.attr],
    "num": lambda r, e, env: r.xp.full((1, 1), float(e.attr)),
    "size": lambda r, e, env: r.xp.full((1, 1), float(e.attr.value(env.sizes))),
    "rows": lambda r, e, env: r.xp.full((1, 1), float(e.args[0].rows.value(env.sizes))),
    "cols": lambda r, e, env: r.xp.full((1, 1), float(e.args[0].cols.value(env.sizes))),
    "index": lambda r, e, env: r.xp.full((1, 1), float(at_value(e.attr, env.sizes))),
    "pi": lambda r, e, env: r.xp.full((1, 1), np.pi),
    "neg": _on(lambda r, a: -a),
    "add": _add,
    "mul": _product,
    "scale": _on(lambda r, s, a: s * a),
    "div": _on(_divided),
    "had": _hadamard,
    "hdiv": _on(_divided),
    "shift": lambda r, e, env: r(e.args[0], env) + e.attr * r(e.args[1], env),
    "pow": _power,
    "hpow": _power,
    "kron": _on(_kron),
    "khatrirao": _on(_khatrirao),
    "max": _on(_apart("maximum")),
    "min": _on(_apart("minimum")),
    "T": _on(lambda r, a: r.xp.transpose(a)),
    "inv": _on(lambda r, a: r.inv(a)),
    "invT": _on(lambda r, a: r.xp.transpose(r.inv(a))),
    "fun": _fun,
    "tr": _on(lambda r, a: _number(r.xp.trace(a), r)),
    "det": _on(_det),
    "logdet": _on(_logdet),
    "vec": _on(_column),
    "unvec": _unvec,
    "vech": _on(_vech),
    "diag": _diag,
    "tril": _on(lambda r, a: r.xp.tril(a)),
    "triu": _on(lambda r, a: r.xp.triu(a)),
    "sum": _on(lambda r, a: _number(r.xp.sum(a), r)),
    "rowsums": _on(lambda r, a: r.xp.sum(a, axis=1, keepdims=True)),
    "colsums": _on(lambda r, a: r.xp.transpose(r.xp.sum(a, axis=0, keepdims=True))),
    "norm": _on(_norm),
    "norm2": _on(_norm),
    "bars": _on(_norm),
    "norm1": _on(_norm1),
    "nuclear": _on(lambda r, a: _number(r.singular(a).sum(), r)),
    "spectral": _on(_spectral),
    "expm": _on(lambda r, a: r.expm(a)),
    "logm": _on(lambda r, a: r.logm(a)),
    "sqrtm": _on(lambda r, a: r.sqrtm(a)),
    "pinv": _on(lambda r, a: r.pinv(a)),
    "polar": _on(lambda r, a: r.polar(a)),
    "sylvester": _on(_sylvester),
    "dexpm": _on(lambda r, *a: r.corner(r.expm, list(a))),
    "dlogm": _on(lambda r, *a: r.corner(r.logm, list(a))),
    "eigmax": _on(lambda r, a: _number(r.eigen(a, 1)[0][0], r)),
    "eigvecmax": _eigenvectors,
    "eigvecs": _eigenvectors,
    "softmax": _softmax,
    "logsumexp": _logsumexp,
    "eye": _constant(lambda e, env: np.eye(e.rows.value(env.sizes))),
    "ones": _constant(lambda e, env: np.ones((e.rows.value(env.sizes), e.cols.value(env.sizes)))),
    "zeros": _constant(lambda e, env: np.zeros((e.rows.value(env.sizes), e.cols.value(env.sizes)))),
    "basis": _constant(_basis),
    "commutation": _constant(_commutation),
    "duplication": _constant(_duplication),
    "elimination": _constant(_elimination),
    "sumover": _sum_over,
    "prodover": _prod_over,
    "ind": _ind,
    "member": lambda r, e, env: env.families[e.attr[0]][at_value(e.attr[1], env.sizes)],
    "state": lambda r, e, env: env.states[e.attr[0]][at_value(e.attr[1], env.sizes)],
    "entry": _entry,
    "slice": _slice,
    "blocks": _blocks,
    "rec": _recurrence,
    "rec2": _two_recurrences,
    "let": _let,
    "derivative": _derivative,
}
