"""Terms for the tests of generated NumPy code, and the comparison with the oracle."""

from __future__ import annotations

import numpy as np

from matcalc.compile.function import compile_numpy
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import build as b
from matcalc.terms import ops
from matcalc.terms.dims import ONE, UNBOUNDED, Index, Name, SizeAt, dim
from matcalc.terms.symbols import Family, Loop, Symbol, Unknown
from matcalc.terms.walk import postorder

m, n, p, N, L = (dim(name) for name in ("m", "n", "p", "N", "L"))


def variable(name, rows=1, cols=1, *facts, role="variable"):
    return b.sym(Symbol(name, dim(rows), dim(cols), frozenset(facts), role))


A, B, C = variable("A", m, n), variable("B", n, m), variable("C", m, n)
S, R, Q = variable("S", n, n), variable("R", 1, n), variable("Q", n, n, "posdef")
x, y, z, s, t = variable("x", n), variable("y", m), variable("z", n), variable("s"), variable("t")
w = variable("w", n, 1, "positive")
I1, J = Index(1, ONE, N), Index(2, ONE, N)
X, P = Family("X", I1, n, ONE), Family("P", I1, n, n)
K0 = Index(1, dim(0), L - 1)
W = Family("W", K0, dim(SizeAt("h", dim(K0) + 1)), dim(SizeAt("h", dim(K0))))
V = Family("v", K0, dim(SizeAt("h", dim(K0) + 1)), ONE)
TWO = b.num(2)
phi = Unknown("phi", 0)


def row(term):
    return b.transpose(term)


def recurrence(body, start, first, at, step=1, rows=None, cols=None, level=90):
    """The state at ``at``; ``body`` makes the next state of the index and the state."""
    index = Index(level, dim(first), UNBOUNDED if step > 0 else -UNBOUNDED, step)
    sides = (side(dim(index)) if side else given for side, given in ((rows, start.rows), (cols, start.cols)))
    slot = Symbol(f"previous{level}", *sides, frozenset(), "state")
    return b.state(Loop(index, step, dim(first), dim(at), slot), start, body(dim(index), b.sym(slot)))


def over(lo, hi, body, level=80):
    """A sum over an index."""
    index = Index(level, dim(lo), dim(hi))
    return b.sum_over(index, body(dim(index)))


def gram(index):
    return b.mul(b.member(X, index), row(b.member(X, index)))


def down(body):
    index = Index(1, N, ONE)
    return b.prod_over(index, body(index), -1)


def width(k):
    return dim(SizeAt("h", dim(k)))


x0, target, T = variable("x", width(0)), variable("t", width(L)), dim("T")
dphi = phi.derivative()
UP = Family("U", Index(1, ONE, T), n, ONE)


def layer(k):
    return b.member(W, k)


def network(at):
    """A network without biases: y[k+1] = phi(W[k]*y[k])."""
    return recurrence(lambda k, y: b.fun(phi, b.mul(layer(k), y)), x0, 0, at, rows=width)


def slope(k):
    return b.fun(dphi, b.mul(layer(k), network(k)))


def back(at):
    """The adjoint of the network: e[L] = y[L] - t; e[k-1] = W[k-1]'*(e[k] .* phi'(W[k-1]*y[k-1]))."""
    start = b.sub(network(L), target)
    return recurrence(lambda k, e: b.mul(row(layer(k - 1)), b.had(e, slope(k - 1))), start, L, at, -1, rows=width)


def before(at):
    """The adjoint before the functions, as textbooks have it: it starts at the last layer."""
    start = b.had(b.sub(network(L), target), slope(L - 1))
    return recurrence(lambda k, e: b.had(b.mul(row(layer(k)), e), slope(k - 1)), start, L - 1, at, -1, rows=wider)


def wider(k):
    return width(k + 1)


def shared(at, start=None):
    """A recurrent network: y[k+1] = tanh(S*y[k] + x)."""
    return recurrence(lambda k, y: b.fun("tanh", b.add(b.mul(S, y), x)), start or z, 0, at)


def shared_back(at, start=None):
    one = b.ones(n)

    def body(k, e):
        return b.mul(row(S), b.had(e, b.sub(one, b.power_of(shared(k, start), TWO))))

    return recurrence(body, shared(T, start), T, at, -1)


def through_time(start=None):
    """The gradient of a shared parameter, a sum over the steps."""
    return over(0, T - 1, lambda k: b.mul(shared_back(k + 1, start), row(shared(k, start))))


def bound_twice(at):
    """The body holds a recurrence that starts at the state of the outer one."""
    inner = lambda k, y: recurrence(lambda j, u: b.fun("sin", b.add(u, b.scale(b.integer(k), y))), y, 0, 2)  # noqa: E731
    return recurrence(inner, z, 0, at, level=95)


def once(at):
    """A recurrence whose step uses members that end one before the last state."""
    return recurrence(lambda k, y: b.fun("tanh", b.add(b.fun("sin", y), b.member(UP, k + 1))), x, 0, at, level=97)


PLACES = (n, ONE, ONE, ONE)


def two(at):
    """Coupled states, a vector and a scalar."""

    def body(k, u):
        v, q = b.part(u, 0, PLACES), b.part(u, 1, PLACES)
        return b.joint(b.add(b.mul(S, v), b.scale(q, z)), b.add(b.times(q, s), b.mul(row(x), v)))

    return recurrence(body, b.joint(x, t), 0, at, rows=lambda _: n + 1)


def guarded(relation, left, right, term):
    return b.smul(b.indicator(relation, left, right), term)


def shaped(array, rows, cols):
    """An array as the user gives it: a scalar a float, a column or row as it is declared."""
    if rows is ONE and cols is ONE:
        return float(array[0, 0])
    return array[:, 0] if cols is ONE else array


def arguments(term, env, inputs=()):
    """Keyword arguments with the values that ``env`` has."""
    given = {}
    for node in postorder(term, *inputs):
        if node.op is ops.SYM and node.attr.role == "state":
            continue
        if node.op is ops.SYM:
            given[node.attr.name] = shaped(env.symbols[node.attr], node.rows, node.cols)
        elif node.op is ops.MEMBER:
            family = node.attr.family
            values = range(env.size(family.index.lo), env.size(family.index.hi) + 1)
            members = [shaped(np.asarray(env.member(family, at)), family.rows, family.cols) for at in values]
            given[family.name] = members if family.rows.indices else np.array(members)
            if not members and not family.rows.indices:
                sides = (env.size(family.rows), env.size(family.cols))
                given[family.name] = np.zeros((0, *(sides[: 1 if family.cols is ONE else 2])))
        elif isinstance(node.attr, Unknown):
            order, function = node.attr.order, env.functions[node.attr.name]
            prefix = ("", "d", "d2", "d3")[order]
            given[prefix + node.attr.name] = lambda v, order=order, function=function: function(v, order)
    given |= {atom.name: value for atom, value in env.sizes.items() if isinstance(atom, Name)}
    for name, sizes in env.indexed.items():
        given[name] = {at: sizes(at) for at in range(-2, 9)}
    return given


def compare(term, profile="distinct", seed=0, inputs=None, form="array", sizes=None):
    env = sample([term, *(inputs or [])], seed, profile=profile, sizes=sizes)
    function = compile_numpy(term, "f", inputs, form)
    given = arguments(term, env, inputs or ())
    found = function(**{name: given[name] for name in function.arguments})
    expected = evaluate(term, env)
    if form == "array":
        expected = shaped(expected, term.rows, term.cols)
    if np.ndim(expected) == 0:
        assert type(found) is float
    else:
        assert found.dtype == float
    assert np.shape(found) == np.shape(expected), function.source
    assert np.allclose(found, expected, rtol=1e-10, atol=1e-10, equal_nan=True), function.source
    return function
