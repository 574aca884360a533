"""Derivatives without the rules: they agree with what is known, and find what is wrong."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

import matcalc as mc
from matcalc.errors import MatcalcError, ShapeError
from matcalc.numeric.check import (
    Directions,
    check_derivative,
    difference,
    extrapolated,
    is_analytic,
    numeric_hessian,
    numeric_jacobian,
    replay,
)
from matcalc.numeric.evaluate import Env, evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import build as b
from matcalc.terms.dims import ONE, UNBOUNDED, Index, Name, SizeAt, dim
from matcalc.terms.symbols import Family, Loop, Symbol, Unknown

m, n, N = dim("m"), dim("n"), dim("N")


def variable(name, rows=1, cols=1, *facts, role="variable"):
    return b.sym(Symbol(name, dim(rows), dim(cols), frozenset(facts), role))


A, B, X = variable("A", m, n), variable("B", n, m), variable("X", n, n)
S = variable("S", n, n, "posdef")
x, y, t = variable("x", n), variable("y", m), variable("t")
I1 = Index(1, ONE, N)
Z = Family("z", I1, n, ONE)
TWO = b.num(2)
residual = b.sub(b.mul(A, x), y)

GRADIENTS = {
    "least squares": (b.power_of(b.norm(residual), TWO), x, b.mul(TWO, b.transpose(A), residual)),
    "norm": (b.norm(x), x, b.divide(x, b.norm(x))),
    "trace": (b.tr(b.mul(A, B)), A, b.transpose(B)),
    "logdet": (b.logdet(S), S, b.inv(S)),
    "det": (b.det(X), X, b.scale(b.det(X), b.transpose(b.inv(X)))),
    "log needs positive entries": (b.total(b.fun("log", x)), x, b.power_of(x, b.num(-1))),
    "asin needs small entries": (
        b.total(b.fun("asin", x)),
        x,
        b.power_of(b.sub(b.ones(n), b.power_of(x, TWO)), b.num(Fraction(-1, 2))),
    ),
    "relu": (b.total(b.fun("relu", x)), x, b.fun("step", x)),
    "digamma": (b.total(b.fun("digamma", x)), x, b.fun("trigamma", x)),
    "unknown": (b.total(b.fun(Unknown("phi", 0), x)), x, b.fun(Unknown("phi", 1), x)),
    "one member": (
        b.sum_over(I1, b.inner(b.member(Z, I1), x)),
        b.member(Z, "k"),
        b.scale(b.indicator("<=", 1, "k"), x),
    ),
}


@pytest.mark.parametrize("name", GRADIENTS)
def test_right_gradients(name):
    result = check_derivative(*GRADIENTS[name], "gradient")
    assert result.ok, result.message
    assert result
    assert result.trials == 4
    assert set(result.sizes[-1].values()) <= {1}
    assert result.max_error < 1e-8


@pytest.mark.parametrize("name", GRADIENTS)
def test_wrong_gradients(name):
    function, wrt, answer = GRADIENTS[name]
    result = check_derivative(function, wrt, b.smul(b.num(Fraction(1001, 1000)), answer), "gradient")
    assert not result.ok
    assert "off by" in result.message


def test_transposed_answers_are_wrong():
    assert not check_derivative(b.tr(b.mul(X, variable("M", n, n))), X, variable("M", n, n), "gradient").ok
    assert not check_derivative(b.tr(b.mul(A, B)), A, B, "gradient").ok


def test_jacobians():
    assert check_derivative(b.mul(A, X, B), X, b.kron(b.transpose(B), A), "jacobian").ok
    assert not check_derivative(b.mul(A, X, B), X, b.kron(A, b.transpose(B)), "jacobian").ok
    assert check_derivative(b.transpose(A), A, b.commutation(m, n), "jacobian").ok
    assert not check_derivative(b.transpose(A), A, b.commutation(n, m), "jacobian").ok
    inverse = b.neg(b.kron(b.transpose(b.inv(X)), b.inv(X)))
    assert check_derivative(b.inv(X), X, inverse, "jacobian").ok


def test_hessians():
    assert check_derivative(b.mul(b.transpose(x), X, x), x, b.add(X, b.transpose(X)), "hessian").ok
    assert not check_derivative(b.mul(b.transpose(x), X, x), x, b.mul(TWO, X), "hessian").ok
    gram = b.mul(b.transpose(A), A)
    assert check_derivative(b.tr(b.mul(b.transpose(A), A)), A, b.mul(TWO, b.eye(m * n)), "hessian").ok
    assert check_derivative(b.power_of(b.norm(b.mul(A, x)), TWO), x, b.mul(TWO, gram), "hessian").ok


def test_structure_affects_only_the_drawing():
    M = variable("M", n, n)
    assert check_derivative(b.tr(b.mul(M, S)), S, b.transpose(M), "gradient").ok
    assert not check_derivative(b.tr(b.mul(M, S)), S, b.divide(b.add(M, b.transpose(M)), TWO), "gradient").ok


def test_assumptions():
    answer = b.transpose(b.inv(X))
    function = b.fun("log", b.det(X))
    assert check_derivative(function, X, answer, "gradient", assumptions=[(b.det(X), "positive")]).ok
    root = b.power_of(t, b.num(Fraction(1, 2)))
    assert check_derivative(root, t, b.divide(b.num(1), b.mul(TWO, root)), "gradient", assumptions=[(t, "positive")]).ok


def test_what_has_no_value_is_said():
    never = b.fun("log", b.neg(b.power_of(b.norm(x), TWO)))
    result = check_derivative(never, x, x, "gradient")
    assert not result.ok
    assert "no random inputs" in result.message


def test_size_one_only_where_legal():
    v = variable("v", n - 1)
    result = check_derivative(b.inner(v, v), v, b.mul(TWO, v), "gradient")
    assert result.ok
    assert result.trials == 3


def test_refusals():
    with pytest.raises(ShapeError, match="scalar function"):
        check_derivative(x, x, b.eye(n), "gradient")
    with pytest.raises(MatcalcError, match="no form"):
        check_derivative(t, t, b.num(1), "layout")
    with pytest.raises(MatcalcError, match="variable or a member"):
        numeric_jacobian(t, b.mul(TWO, t), sample(t, 0))


def test_jacobian_columns_are_by_columns():
    env = sample(A, 0, sizes={Name("m"): 2, Name("n"): 3})
    found = numeric_jacobian(A, A, env)
    assert np.array_equal(found, np.eye(6))
    found = numeric_jacobian(b.mul(b.num(3), b.transpose(A)), A, env)
    assert np.allclose(found, 3 * evaluate(b.commutation(m, n), env))


def test_differences_where_there_is_no_complex_value():
    moving = b.times(t, b.diff(b.fun("exp", t)))
    assert not is_analytic(b.fun("log", moving))
    env = Env(symbols={t.attr: 1.3}, differentials=lambda term, env: np.real(evaluate(term, env)))
    assert np.allclose(numeric_jacobian(moving, t, env), 2.3 * np.exp(1.3), rtol=1e-9)


def test_extrapolation_estimates_its_error():
    value, error = extrapolated(lambda h: np.array([np.exp(1 + h), np.sin(1 + h)]))
    assert np.allclose(value, [np.e, np.cos(1)], rtol=1e-10)
    assert error < 1e-8
    value, _ = extrapolated(lambda h: np.array([np.log(0.03 + h) if h > -0.03 else np.nan]))
    assert np.allclose(value, 1 / 0.03, rtol=1e-7)


def test_hessian_is_symmetric():
    env = sample([S, X], 2)
    found = numeric_hessian(b.logdet(S), S, env)
    assert np.allclose(found, found.T, atol=1e-8)


def test_differences_of_arrays():
    assert difference(np.ones((2, 2)), np.ones((2, 2))) == 0
    assert difference(np.ones((2, 1)), np.ones((1, 2))) == np.inf
    assert difference(np.array([[np.nan]]), np.array([[1.0]])) == np.inf
    assert difference(np.array([[101.0]]), np.array([[100.0]])) == pytest.approx(0.01)
    assert difference(np.zeros((0, 2)), np.zeros((0, 2))) == 0


# ---------------------------------------------------------------- replay

d = b.diff
STEPS = {
    "product": (d(b.mul(A, B)), b.add(b.mul(d(A), B), b.mul(A, d(B)))),
    "transpose": (d(b.transpose(A)), b.transpose(d(A))),
    "inverse": (d(b.inv(X)), b.neg(b.mul(b.inv(X), d(X), b.inv(X)))),
    "logdet": (d(b.logdet(S)), b.tr(b.mul(b.inv(S), d(S)))),
    "twice": (d(d(b.mul(A, B))), b.mul(TWO, d(A), d(B))),
    "twice the inverse": (d(d(b.inv(X))), b.mul(TWO, b.inv(X), d(X), b.inv(X), d(X), b.inv(X))),
    "function": (d(b.fun(Unknown("phi", 0), x)), b.had(b.fun(Unknown("phi", 1), x), d(x))),
    "trigamma": (d(b.fun("digamma", x)), b.had(b.fun("trigamma", x), d(x))),
    "sum": (
        d(b.sum_over(I1, b.inner(b.member(Z, I1), x))),
        b.sum_over(I1, b.add(b.inner(d(b.member(Z, I1)), x), b.inner(b.member(Z, I1), d(x)))),
    ),
    "no differential": (b.tr(b.mul(A, B)), b.tr(b.mul(B, A))),
    "logarithms": (b.fun("log", b.times(t, t)), b.mul(TWO, b.fun("log", b.fun("abs", t)))),
    "nested sums": (
        d(b.sum_over(Index(2, ONE, N), b.power_of(b.norm(b.member(Z, Index(2, ONE, N))), TWO))),
        b.mul(TWO, b.sum_over(I1, b.inner(b.member(Z, I1), d(b.member(Z, I1))))),
    ),
}

STEPS["inside a sum"] = (
    d(b.inner(b.member(Z, I1), b.member(Z, I1))),
    b.mul(TWO, b.inner(b.member(Z, I1), d(b.member(Z, I1)))),
)


@pytest.mark.parametrize("profile", ["distinct", "ones", "mixed"])
@pytest.mark.parametrize("name", STEPS)
def test_right_steps(name, profile):
    assert replay(*STEPS[name], profile=profile) < (1e-6 if "twice" in name else 1e-9)


@pytest.mark.parametrize("name", STEPS)
def test_wrong_steps(name):
    before, after = STEPS[name]
    assert replay(before, b.smul(b.num(Fraction(101, 100)), after)) > 1e-4


def test_wrong_orders_are_found():
    assert replay(d(b.mul(X, X)), b.mul(TWO, X, d(X))) > 1e-2
    assert replay(b.mul(X, S), b.mul(S, X)) > 1e-2


def test_only_varying_variables_move():
    assert replay(d(b.mul(A, B)), b.mul(d(A), B), varying=[A]) < 1e-12
    assert replay(d(B), b.zeros(n, m), varying=[A]) == 0
    assert replay(d(b.mul(A, B)), b.mul(d(A), B)) > 1e-2
    one, other = b.member(Z, 1), b.member(Z, 2)
    assert replay(d(b.inner(one, other)), b.inner(d(one), other), varying=[one]) < 1e-12


def test_directions_have_no_structure():
    assert replay(b.transpose(d(S)), d(S)) > 1e-2
    assert replay(b.transpose(S), S) < 1e-12


def test_hidden_variables_move_together():
    hidden = variable("S", n, n, role="hidden")
    assert replay(d(S), d(hidden)) == 0
    assert replay(d(b.inv(S)), d(b.inv(hidden))) == 0


def test_requirements_reach_the_sample():
    before, after = b.fun("log", b.fun("abs", t)), b.fun("log", t)
    assert replay(before, after, require=[(t, "positive")]) == 0


def test_values_that_stop_being_defined_are_a_difference():
    assert replay(b.fun("log", b.fun("abs", t)), b.fun("log", t), seeds=range(8)) == np.inf
    assert replay(b.fun("log", t), b.fun("log", b.fun("abs", t)), seeds=range(8)) == 0


def test_directions_are_callable_for_any_term():
    term = b.mul(A, x)
    env = sample(term, 0)
    directions = Directions(0)
    expected = directions(A, env) @ env.symbols[x.attr] + env.symbols[A.attr] @ directions(x, env)
    assert np.allclose(directions(term, env), expected)


# ---------------------------------------------------------------- recurrences

L, T = dim("L"), dim("T")
LAYER = Index(1, dim(0), L - 1)


def width(k):
    return dim(SizeAt("h", dim(k)))


W = Family("W", LAYER, width(dim(LAYER) + 1), width(LAYER))
BIAS = Family("c", LAYER, width(dim(LAYER) + 1), ONE)
x0, target = variable("x", width(0)), variable("t", width(L))
phi, dphi = Unknown("phi", 0), Unknown("phi", 1)


def recurrence(body, start, first, at, step=1, rows=None, level=90):
    index = Index(level, dim(first), UNBOUNDED if step > 0 else -UNBOUNDED, step)
    slot = Symbol(f"previous{level}", rows(dim(index)) if rows else start.rows, start.cols, frozenset(), "state")
    return b.state(Loop(index, step, dim(first), dim(at), slot), start, body(dim(index), b.sym(slot)))


def before(k, y):
    return b.add(b.mul(b.member(W, k), y), b.member(BIAS, k))


def network(at):
    return recurrence(lambda k, y: b.fun(phi, before(k, y)), x0, 0, at, rows=width)


def delta(k):
    return b.had(adjoint(dim(k) + 1), b.fun(dphi, before(dim(k), network(k))))


def adjoint(at):
    def step(k, e):
        return b.mul(b.transpose(b.member(W, k - 1)), b.had(e, b.fun(dphi, before(k - 1, network(k - 1)))))

    return recurrence(step, b.sub(network(L), target), L, at, -1, rows=width)


def power(at):
    return recurrence(lambda k, u: b.fun("tanh", b.mul(X, u)), x, 0, at)


def power_back(at):
    def step(k, e):
        return b.mul(b.transpose(X), b.had(e, b.sub(b.ones(n), b.power_of(power(k), TWO))))

    return recurrence(step, power(T), T, at, -1)


def through_time():
    k = Index(80, dim(0), T - 1)
    slope = b.sub(b.ones(n), b.power_of(power(dim(k) + 1), TWO))
    return b.sum_over(k, b.mul(b.had(power_back(dim(k) + 1), slope), b.transpose(power(k))))


HALF = b.num(Fraction(1, 2))
loss = b.times(HALF, b.power_of(b.norm(b.sub(network(L), target)), TWO))
energy = b.times(HALF, b.mul(b.transpose(power(T)), power(T)))
RECURRENT = {
    "a layer": (loss, b.member(W, "i"), b.mul(delta("i"), b.transpose(network("i")))),
    "the first layer": (loss, b.member(W, 0), b.mul(delta(0), b.transpose(x0))),
    "the last layer": (loss, b.member(W, L - 1), b.mul(delta(L - 1), b.transpose(network(L - 1)))),
    "a bias": (loss, b.member(BIAS, "i"), delta("i")),
    "the start": (loss, x0, adjoint(0)),
    "the target": (loss, target, b.sub(target, network(L))),
    "a shared parameter": (energy, X, through_time()),
    "the start of a shared recurrence": (energy, x, power_back(0)),
}


@pytest.mark.parametrize("name", RECURRENT)
def test_gradients_through_recurrences(name):
    function, wrt, answer = RECURRENT[name]
    result = check_derivative(function, wrt, answer, "gradient", trials=4)
    assert result, result.message
    wrong = check_derivative(function, wrt, b.smul(b.num(Fraction(100, 99)), answer), "gradient", trials=4)
    assert not wrong


def test_one_layer_is_tried_as_well():
    assert {"L": 1, "i": 0} in check_derivative(*RECURRENT["a layer"], "gradient").sizes


@pytest.mark.parametrize("steps", [0, 1, 2, 50])
def test_gradients_of_any_depth(steps):
    for function, wrt, answer in (RECURRENT["a shared parameter"], RECURRENT["the start of a shared recurrence"]):
        env = sample([function, wrt, answer], steps, sizes={Name("T"): steps})
        expected = numeric_jacobian(function, wrt, env)
        assert np.allclose(expected, evaluate(b.vec(answer), env).T, atol=1e-9)


def test_hessians_through_recurrences():
    twice = b.add(b.mul(b.transpose(X), X))
    square = recurrence(lambda k, u: b.mul(X, u), x, 0, 1)
    result = check_derivative(b.times(HALF, b.power_of(b.norm(square), TWO)), x, twice, "hessian")
    assert result, result.message


def test_differentials_of_recurrences():
    """d(u[T]) is a recurrence as well: v[k+1] = dX*u[k] + X*v[k] along u[k+1] = X*u[k]."""

    def linear(at):
        return recurrence(lambda k, u: b.mul(X, u), x, 0, at)

    along = recurrence(lambda k, v: b.add(b.mul(d(X), linear(k)), b.mul(X, v)), d(x), 0, T)
    assert replay(d(linear(T)), along) < 1e-9
    assert replay(d(linear(T)), recurrence(lambda k, v: b.mul(X, v), d(x), 0, T)) > 1e-2
    split = recurrence(lambda k, v: b.add(b.mul(d(X), linear(k)), b.mul(X, v)), b.zeros(n), 0, T)
    assert replay(d(linear(T)), split, varying=[X]) < 1e-9
    total = b.sum_over(I1, recurrence(lambda k, u: b.mul(X, u), b.member(Z, I1), 0, T))
    moved = recurrence(lambda k, u: b.mul(X, u), b.sum_over(I1, d(b.member(Z, I1))), 0, T)
    assert replay(d(total), moved, varying=[b.member(Z, "j")]) < 1e-9


def test_inputs_at_which_rounding_decides_do_not_count():
    where = "x: vector(n); y: vector(n)"
    answer = mc.derivative("atanh(tanh(9*x'*x))", "x", where)
    assert answer.check(trials=6)
    wrong = mc.parse("18.0001*x", where).term
    assert not check_derivative(answer.function_expr.term, mc.parse("x", where).term, wrong, "gradient")
