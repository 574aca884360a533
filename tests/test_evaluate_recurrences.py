"""The values of recurrences, from their definition."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from matcalc.errors import ShapeError
from matcalc.numeric.check import numeric_jacobian
from matcalc.numeric.evaluate import Env, evaluate
from matcalc.numeric.sample import PROFILES, sample
from matcalc.terms import build as b
from matcalc.terms.dims import ONE, UNBOUNDED, Index, Name, SizeAt, dim
from matcalc.terms.symbols import Family, Loop, Symbol, Unknown
from matcalc.terms.walk import open_state
from test_evaluate import I1, S, X, n, t, value, variable, x, y

L, T = dim("L"), dim("T")
LAYER = Index(1, dim(0), L - 1)


def width(k):
    return dim(SizeAt("h", dim(k)))


W = Family("W", LAYER, width(dim(LAYER) + 1), width(LAYER))
U = Family("U", Index(1, ONE, T), n, ONE)
x0 = variable("x", width(0))
phi = Unknown("phi", 0)


def recurrence(body, start, first, at, step=1, rows=None, level=90):
    """The state at ``at``; ``body`` makes the next state of the index and the state."""
    index = Index(level, dim(first), UNBOUNDED if step > 0 else -UNBOUNDED, step)
    slot = Symbol(f"previous{level}", rows(dim(index)) if rows else start.rows, start.cols, frozenset(), "state")
    return b.state(Loop(index, step, dim(first), dim(at), slot), start, body(dim(index), b.sym(slot)))


def network(at):
    return recurrence(lambda k, s: b.fun(phi, b.mul(b.member(W, k), s)), x0, 0, at, rows=width)


def power(at, start=x):
    return recurrence(lambda k, s: b.mul(S, s), start, 0, at)


def adjoint(at):
    """e[T] = y[T]; e[k-1] = S'*(e[k] .* y[k]) along y[k+1] = phi(S*y[k])."""

    def state(place):
        return recurrence(lambda k, s: b.fun(phi, b.mul(S, s)), x, 0, place)

    return recurrence(lambda k, e: b.mul(b.transpose(S), b.had(e, state(k))), state(T), T, at, -1)


def counted(calls):
    def function(value, order):
        calls.append(order)
        return np.tanh(value)

    return {"phi": function}


@pytest.mark.parametrize("steps", [0, 1, 2, 50])
def test_states_of_a_recurrence(steps):
    env = sample(power(T), 1, sizes={Name("T"): steps})
    matrix, start = env.symbols[S.attr] / 3, env.symbols[x.attr]
    env = env.with_symbol(S.attr, matrix)
    assert np.allclose(evaluate(power(T), env), np.linalg.matrix_power(matrix, steps) @ start)


def test_a_recurrence_that_runs_down_from_any_index():
    term = recurrence(lambda k, u: b.add(b.times(b.num(2), u), b.integer(k)), t, "T", "i", -1)
    env = Env({Name("T"): 5, Name("i"): 2}, symbols={t.attr: 1.0})
    assert evaluate(term, env) == 2 * (2 * (2 * 1 + 5) + 4) + 3


def test_shapes_depend_on_the_index():
    env = sample(network(L), 3, sizes={Name("L"): 4})
    expected = env.symbols[x0.attr]
    for k in range(4):
        expected = env.functions["phi"](env.member(W, k) @ expected, 0)
    assert np.allclose(evaluate(network(L), env), expected)


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_the_work_is_linear_in_the_number_of_steps(steps):
    index = Index(80, dim(0), T - 1)
    term = b.sum_over(index, b.mul(adjoint(dim(index) + 1), b.transpose(adjoint(index))))
    calls = []
    env = Env({Name("T"): steps, Name("n"): 2}, symbols={S.attr: np.eye(2) / 2, x.attr: [1, 2]})
    evaluate([term, adjoint(0)], Env(env.sizes, symbols=env.symbols, functions=counted(calls)))
    assert len(calls) == steps


def test_each_start_has_its_own_states():
    term = b.sum_over(I1, power(T, b.member(X, I1)))
    env = sample(term, 2, sizes={Name("T"): 3})
    starts = [env.member(X, i) for i in range(1, env.sizes[Name("N")] + 1)]
    assert np.allclose(evaluate(term, env), np.linalg.matrix_power(env.symbols[S.attr], 3) @ sum(starts))


def test_a_recurrence_whose_step_is_a_recurrence():
    def step(k, s):
        return recurrence(lambda j, u: b.add(u, b.integer(k), b.times(b.num(100), s)), s, 0, 2)

    expected = 1.0
    for k in range(3):
        expected += 2 * (k + 100 * expected)
    assert evaluate(recurrence(step, t, 0, 3, level=95), Env(symbols={t.attr: 1.0})) == expected


def test_chains_of_recurrences_need_no_recursion():
    term = x
    for depth in range(2000):
        term = recurrence(lambda k, s: b.scale(b.num(Fraction(1, 2)), s), b.add(term, y), 0, depth % 3)
    assert np.isfinite(value(term)).all()
    env = Env({Name("T"): 5000, Name("n"): 1}, symbols={S.attr: -1, x.attr: 2})
    assert evaluate(power(T), env) == 2


def test_states_on_the_wrong_side_are_refused():
    env = Env({Name("T"): 0, Name("n"): 1}, symbols={S.attr: 1, x.attr: 1})
    with pytest.raises(ShapeError, match="starts at 0 and runs up has no state -1"):
        evaluate(power(T - 1), env)
    with pytest.raises(ShapeError, match="starts at 0 and runs down has no state 1"):
        evaluate(recurrence(lambda k, s: s, x, T, 1, -1), env)


def test_the_step_of_a_recurrence_has_a_value_of_its_own():
    loop, body = open_state(power(T))
    env = sample([body, power(T)], 0)
    assert np.allclose(evaluate(body, env), env.symbols[S.attr] @ env.symbols[loop.slot])
    _, inside = power(T).args
    assert evaluate([power(T), inside], sample([power(T), inside], 0))[1].shape[1] == 1


def test_the_complex_step_goes_through_a_recurrence():
    for steps in (0, 1, 2, 4):
        env = sample([power(T), network("i")], 3, sizes={Name("T"): steps})
        matrix, expected = env.symbols[S.attr], np.eye(len(env.symbols[S.attr]))
        for _ in range(steps):
            expected = matrix @ expected
        assert np.allclose(numeric_jacobian(power(T), x, env), expected)


def test_differentials_inside_a_recurrence_see_its_states():
    term = recurrence(lambda k, s: b.add(s, b.diff(b.mul(S, s))), x, 0, T)
    seen = []

    def differential(argument, env):
        seen.append(evaluate(argument, env))
        return np.ones((2, 1))

    env = Env({Name("T"): 2, Name("n"): 2}, symbols={S.attr: np.eye(2), x.attr: [1, 2]}, differentials=differential)
    assert np.array_equal(evaluate(term, env), [[3.0], [4.0]])
    assert np.array_equal(seen[-1], [[2.0], [3.0]])


@pytest.mark.parametrize("profile", PROFILES)
def test_samples_fit_recurrences(profile):
    layer = b.member(W, dim("i"))
    guarded = b.times(b.indicator("<=", dim("i") + 1, L), b.norm(network(dim("i") + 1)))
    for seed in range(10):
        env = sample([network("i"), layer], seed, profile=profile)
        assert 0 <= env.sizes[Name("i")] < env.sizes[Name("L")]
        loss = b.sum_over(Index(80, ONE, L), b.inner(power(dim(Index(80, ONE, L))), b.member(U, Index(80, ONE, L))))
        env = sample(loss, seed, profile=profile)
        assert env.sizes[Name("L")] <= env.sizes[Name("T")]
        env = sample([guarded, power(T)], seed, profile=profile)
        assert np.isfinite(evaluate(guarded, env)) and env.sizes[Name("T")] in range(5)
        assert profile != "ones" or env.sizes[Name("T")] == 1
    assert UNBOUNDED.atom not in env.sizes


def test_parts_of_recurrences_can_be_drawn():
    body = power(T).args[1]
    step = b.scale(b.integer(network(L).attr.index), b.member(W, network(L).attr.index))
    for seed in range(5):
        assert np.isfinite(value(body, sample(body, seed))).all()
        assert np.isfinite(value(step, sample(step, seed))).all()


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_products_of_factors_that_are_not_square(steps):
    up, down = Index(9, dim(0), L - 1), Index(9, L - 1, dim(0), -1)
    chain = b.prod_over(down, b.member(W, down), -1)
    transposed = b.prod_over(up, b.transpose(b.member(W, up)))
    assert chain.shape == (width(L), width(0))
    env = sample([chain, transposed], 1, sizes={Name("L"): steps})
    expected = np.eye(env.size(width(0)))
    for k in range(steps):
        expected = env.member(W, k) @ expected
    assert np.allclose(evaluate(chain, env), expected)
    assert np.allclose(evaluate(transposed, env), expected.T)
