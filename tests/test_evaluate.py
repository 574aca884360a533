"""The oracle itself: every operator against a definition written out by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from matcalc.errors import MatcalcError, ShapeError, UnknownName
from matcalc.numeric.check import numeric_jacobian
from matcalc.numeric.evaluate import Env, evaluate
from matcalc.numeric.functions import FUNCTIONS
from matcalc.numeric.sample import PROFILES, sample
from matcalc.terms import build as b
from matcalc.terms import ops
from matcalc.terms.dims import ONE, UNBOUNDED, Index, Name, SizeAt, dim
from matcalc.terms.symbols import Family, Loop, Symbol, Unknown
from matcalc.terms.term import make
from matcalc.terms.walk import open_state, postorder

m, n, N = dim("m"), dim("n"), dim("N")


def variable(name, rows=1, cols=1, *facts, role="variable"):
    return b.sym(Symbol(name, dim(rows), dim(cols), frozenset(facts), role))


A, B, C = variable("A", m, n), variable("B", n, m), variable("C", m, n)
S, x, y, t, s = variable("S", n, n), variable("x", n), variable("y", n), variable("t"), variable("s")
I1 = Index(1, ONE, N)
X = Family("X", I1, n, ONE)
P = Family("P", I1, n, n)


def value(term, env=None):
    return evaluate(term, env or sample(term, 1))


def symbols_of(term, env):
    return {t.attr.name: env.symbols[t.attr] for t in postorder(term) if t.op is ops.SYM}


def kron_by_hand(a, c):
    p, q, r, w = *a.shape, *c.shape
    return np.array([[a[i // r, j // w] * c[i % r, j % w] for j in range(q * w)] for i in range(p * r)])


def b_vec(a):
    return np.reshape(a, (-1, 1), order="F")


def psi2(v):
    """The second derivative of digamma, -2 * sum over k of 1/(v+k)^3."""
    k = np.arange(200_000) + v
    return -2 * np.sum(k**-3.0) - (k[-1] + 0.5) ** -2.0


BY_HAND = {
    "num": (b.num(Fraction(-3, 4)), lambda: [[-0.75]]),
    "const": (b.PI, lambda: [[np.pi]]),
    "sym": (A, lambda A: A),
    "add": (b.sub(A, C), lambda A, C: A - C),
    "times": (b.times(b.num(3), s, t), lambda s, t: 3 * s * t),
    "scale": (b.scale(t, A), lambda t, A: t[0, 0] * A),
    "mul": (b.mul(A, S, B), lambda A, S, B: A @ S @ B),
    "had": (b.had(A, C), lambda A, C: A * C),
    "kron": (b.kron(A, S), lambda A, S: kron_by_hand(A, S)),
    "transpose": (b.transpose(A), lambda A: A.T),
    "inv": (b.inv(S), lambda S: np.linalg.solve(S, np.eye(len(S)))),
    "mpow": (b.mpow(S, 3), lambda S: S @ S @ S),
    "mpow negative": (b.mpow(S, -2), lambda S: np.linalg.inv(S) @ np.linalg.inv(S)),
    "pow": (b.power_of(A, b.num(2)), lambda A: A * A),
    "pow scalar base": (b.power_of(b.num(2), x), lambda x: np.exp(x * np.log(2))),
    "fun": (b.fun("tanh", A), lambda A: np.tanh(A)),
    "tr": (b.tr(S), lambda S: [[sum(S[i, i] for i in range(len(S)))]]),
    "det": (b.det(S), lambda S: [[np.prod(np.linalg.eigvals(S)).real]]),
    "logdet": (b.logdet(S), lambda S: [[np.log(abs(np.linalg.det(S)))]]),
    "vec": (b.vec(A), lambda A: np.array([[A[i, j]] for j in range(A.shape[1]) for i in range(A.shape[0])])),
    "vech": (b.vech(S), lambda S: [[S[i, j]] for j in range(len(S)) for i in range(j, len(S))]),
    "tril": (b.tril(A), lambda A: [[A[i, j] if i >= j else 0 for j in range(A.shape[1])] for i in range(len(A))]),
    "triu": (b.triu(A), lambda A: [[A[i, j] if i <= j else 0 for j in range(A.shape[1])] for i in range(len(A))]),
    "duplication": (b.mul(b.duplication(n), b.vech(S)), lambda S: b_vec(np.tril(S) + np.tril(S, -1).T)),
    "elimination": (b.mul(b.elimination(n), b.vec(S)), lambda S: [[a] for j in range(len(S)) for a in S[j:, j]]),
    "khatrirao": (
        b.khatrirao(A, C),
        lambda A, C: [[A[i, j] * C[k, j] for j in range(A.shape[1])] for i in range(len(A)) for k in range(len(C))],
    ),
    "polygamma": (b.polygamma(2, b.fun("exp", A)), lambda A: np.array([[psi2(v) for v in row] for row in np.exp(A)])),
    "softmax": (b.softmax(x), lambda x: np.exp(x) / np.exp(x).sum()),
    "softmaxrows": (b.softmax(A), lambda A: [np.exp(row) / np.exp(row).sum() for row in A]),
    "logsumexp": (b.logsumexp(x), lambda x: [[np.log(np.exp(x).sum())]]),
    "logsumexprows": (b.logsumexp(A), lambda A: [[np.log(np.exp(row).sum())] for row in A]),
    "slice": (b.submatrix(A, 1, m, 2, n), lambda A: A[:, 1:]),
    "unvec": (b.unvec(b.mul(b.num(2), b.vec(A)), m, n), lambda A: 2 * A),
    "diag": (b.diag(x), lambda x: np.diag(x[:, 0])),
    "diagonal": (b.diag(S), lambda S: np.array([[S[i, i]] for i in range(len(S))])),
    "total": (b.total(A), lambda A: [[A.sum()]]),
    "norm": (b.norm(A), lambda A: [[np.sqrt((A**2).sum())]]),
    "entry": (b.entry(A, 2, 1), lambda A: [[A[1, 0]]]),
    "joint": (b.joint(A, C), lambda A, C: np.concatenate([b_vec(A), b_vec(C)])),
    "part": (b.part(variable("u", 2 * n), 1, (n, dim(1), n, dim(1))), lambda u: u[len(u) // 2 :]),
    "block": (b.block([[A, A], [C, A]]), lambda A, C: np.block([[A, A], [C, A]])),
    "inner": (b.inner(A, C), lambda A, C: [[np.trace(A.T @ C)]]),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    term, definition = BY_HAND[name]
    env = sample(term, 3)
    assert np.allclose(evaluate(term, env), definition(**symbols_of(term, env)), rtol=1e-12)


SIZED = {
    ops.INT: (b.integer("n"), [[3.0]]),
    ops.EYE: (b.eye(n), np.eye(3)),
    ops.ZEROS: (b.zeros(m, n), np.zeros((2, 3))),
    ops.ONES: (b.ones(m, n), np.ones((2, 3))),
    ops.BASIS: (b.basis(2, n), [[0.0], [1.0], [0.0]]),
    ops.DUPLICATION: (b.duplication(2), [[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 1]]),
    ops.ELIMINATION: (b.elimination(2), [[1.0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]),
    ops.IND: (b.indicator("<", "m", "n"), [[1.0]]),
}


@pytest.mark.parametrize("op", SIZED, ids=str)
def test_leaves_of_sizes(op):
    term, expected = SIZED[op]
    assert term.op is op
    assert np.array_equal(evaluate(term, Env({Name("m"): 2, Name("n"): 3})), expected)


SPECTRAL = {
    *(ops.EXPM, ops.LOGM, ops.SQRTM, ops.DEXPM, ops.DLOGM, ops.SYLVESTER, ops.PINV, ops.POLAR, ops.NUCLEAR),
    *(ops.SPECTRAL, ops.EIGMAX, ops.EIGVECMAX, ops.EIGVECS),
}
"""Tested in test_spectral.py."""


def test_every_operator_is_tested():
    here = {term.op for term, _ in [*BY_HAND.values(), *SIZED.values()]}
    elsewhere = {ops.COMMUTATION, ops.MEMBER, ops.SUM, ops.PROD, ops.FAMILY, ops.STATE, ops.DIFF, *SPECTRAL}
    assert here | elsewhere == set(ops.all_ops())


@pytest.mark.parametrize("relation, holds", [("=", 0), ("!=", 1), ("<=", 0), (">=", 1), ("<", 0), (">", 1)])
def test_relations(relation, holds):
    assert value(b.indicator(relation, "m", "n"), Env({Name("m"): 3, Name("n"): 2})) == holds


@pytest.mark.parametrize("rows, cols", [(2, 3), (3, 2), (4, 4)])
def test_commutation(rows, cols):
    term = b.mul(b.commutation(m, n), b.vec(A))
    env = sample(term, 0, sizes={Name("m"): rows, Name("n"): cols})
    assert np.allclose(evaluate(term, env), evaluate(b.vec(b.transpose(A)), env))


def test_every_value_is_two_dimensional():
    for term in (t, x, A, b.transpose(x), b.tr(S), b.num(1)):
        assert value(term).ndim == 2


def test_values_may_be_numbers_and_flat_vectors():
    env = Env({Name("n"): 2}, symbols={t.attr: 3, x.attr: [1, 2]})
    assert np.array_equal(evaluate(b.scale(t, x), env), [[3.0], [6.0]])


# ---------------------------------------------------------------- binders


@pytest.mark.parametrize("count", [0, 1, 3])
def test_sum_of_members(count):
    term = b.sum_over(I1, b.mul(b.member(X, I1), b.transpose(b.member(X, I1))))
    columns = np.random.default_rng(0).normal(size=(count + 1, 2, 1))
    env = Env({Name("N"): count, Name("n"): 2}, members={(X, i): columns[i] for i in range(1, count + 1)})
    expected = sum((c @ c.T for c in columns[1:]), np.zeros((2, 2)))
    assert np.allclose(evaluate(term, env), expected)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_ordered_products(count):
    factors = np.random.default_rng(0).normal(size=(count + 1, 2, 2))
    env = Env({Name("N"): count, Name("n"): 2}, members=lambda _family, i: factors[i])
    up = b.prod_over(I1, b.member(P, I1))
    down_index = Index(1, N, ONE)
    down = b.prod_over(down_index, b.member(P, down_index), -1)
    expected = np.eye(2)
    for factor in factors[1:]:
        expected = expected @ factor
    assert np.allclose(evaluate(up, env), expected)
    expected = np.eye(2)
    for factor in factors[1:]:
        expected = factor @ expected
    assert np.allclose(evaluate(down, env), expected)


def test_inner_range_depends_on_outer_index():
    outer = Index(2, ONE, N)
    inner = Index(1, dim(outer), N)
    term = b.sum_over(outer, b.sum_over(inner, b.times(b.integer(outer), b.integer(inner))))
    assert evaluate(term, Env({Name("N"): 5})) == sum(i * j for i in range(1, 6) for j in range(i, 6))


def test_one_index_in_two_sums():
    one = b.sum_over(I1, b.member(X, I1))
    term = b.mul(b.transpose(one), b.sum_over(I1, b.scale(b.integer(I1), b.member(X, I1))))
    env = sample(term, 4)
    columns = [env.member(X, i) for i in range(1, env.sizes[Name("N")] + 1)]
    expected = sum(columns).T @ sum((i + 1) * c for i, c in enumerate(columns))
    assert np.allclose(evaluate(term, env), expected)


def test_parts_free_of_the_index_are_computed_once():
    calls = []

    def phi(value, order):
        calls.append(order)
        return value

    env = Env({Name("N"): 50, Name("n"): 2}, symbols={x.attr: [1.0, 2.0]}, functions={"phi": phi})
    term = b.sum_over(I1, b.scale(b.integer(I1), b.fun(Unknown("phi", 0), x)))
    assert np.allclose(evaluate(term, env), 1275 * np.array([[1.0], [2.0]]))
    assert calls == [0]


def test_indexed_sizes_and_families():
    k = Index(1, dim(0), dim("L") - 1)
    h = SizeAt("h", dim(k))
    W = Family("W", k, dim(SizeAt("h", dim(k) + 1)), dim(h))
    term = b.sum_over(k, b.total(b.member(W, k)))
    env = Env({Name("L"): 2}, {"h": [2, 3, 1]}, members=lambda _f, at: np.ones(((3, 2), (1, 3))[at]))
    assert evaluate(term, env) == 9


def test_what_an_indicator_excludes_needs_no_value():
    term = b.sum_over(I1, b.scale(b.indicator(">=", I1, 2), b.scale(t, b.member(X, dim(I1) - 1))))
    assert any(u.op is ops.SCALE for u in postorder(term))
    env = Env({Name("N"): 2, Name("n"): 2}, symbols={t.attr: 2.0}, members={(X, 1): [1.0, 2.0]})
    assert np.array_equal(evaluate(term, env), [[2.0], [4.0]])


def test_deep_and_shared():
    term = x
    for _ in range(3000):
        term = b.fun("tanh", b.add(term, b.fun("sin", term)))
    assert value(term).shape[1] == 1


# ---------------------------------------------------------------- recurrences

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


# ---------------------------------------------------------------- differentials, functions, errors


@pytest.mark.parametrize("order", [0, 1, 2, 3, 5])
@pytest.mark.parametrize("point", [-3.7, -0.2, 0.1, 1.0, 4.5, 50.0])
def test_polygamma_and_its_complex_step(order, point):
    from scipy import special

    env = Env(symbols={t.attr: point})
    term = b.polygamma(order, t)
    assert np.isclose(evaluate(term, env), special.digamma(point) if order == 0 else special.polygamma(order, point))
    if point > 0:  # SciPy's polygamma is not defined to the left
        assert np.isclose(numeric_jacobian(term, t, env), special.polygamma(order + 1, point), rtol=1e-9)


def test_differentials_are_looked_up():
    env = Env({Name("m"): 1, Name("n"): 2}, differentials={A: [[1.0, 2.0]]})
    assert np.array_equal(evaluate(b.mul(b.num(2), b.diff(A)), env), [[2.0, 4.0]])


def test_differentials_under_a_sum_know_their_index():
    def differential(_term, env):
        return np.full((2, 1), float(env.sizes[I1]))

    env = Env({Name("N"): 3, Name("n"): 2}, differentials=differential)
    term = b.sum_over(I1, b.diff(b.member(X, I1)))
    assert np.array_equal(evaluate(term, env), [[6.0], [6.0]])


DERIVATIVES = {
    "exp": np.exp,
    "log": lambda v: 1 / v,
    "sqrt": lambda v: 0.5 / np.sqrt(v),
    "square": lambda v: 2 * v,
    "abs": np.sign,
    "sign": lambda v: 0,
    "step": lambda v: 0,
    "sin": np.cos,
    "cos": lambda v: -np.sin(v),
    "tan": lambda v: 1 / np.cos(v) ** 2,
    "asin": lambda v: 1 / np.sqrt(1 - v * v),
    "acos": lambda v: -1 / np.sqrt(1 - v * v),
    "atan": lambda v: 1 / (1 + v * v),
    "sinh": np.cosh,
    "cosh": np.sinh,
    "tanh": lambda v: 1 - np.tanh(v) ** 2,
    "asinh": lambda v: 1 / np.sqrt(1 + v * v),
    "acosh": lambda v: 1 / np.sqrt(v * v - 1),
    "atanh": lambda v: 1 / (1 - v * v),
    "sigmoid": lambda v: np.exp(-v) / (1 + np.exp(-v)) ** 2,
    "relu": lambda v: float(v > 0),
    "softplus": lambda v: 1 / (1 + np.exp(-v)),
    "erf": lambda v: 2 / np.sqrt(np.pi) * np.exp(-v * v),
    "erfc": lambda v: -2 / np.sqrt(np.pi) * np.exp(-v * v),
}
DOMAINS = {
    **dict.fromkeys(("log", "sqrt"), lambda v: v >= 0),
    **dict.fromkeys(("asin", "acos", "atanh"), lambda v: abs(v) <= 1),
    "acosh": lambda v: v >= 1,
}


def _at(name, v):
    from scipy import special

    gamma = {"lgamma": special.digamma, "digamma": lambda u: special.polygamma(1, u)}
    gamma["trigamma"] = lambda u: special.polygamma(2, u)
    return (DERIVATIVES | gamma)[name](v)


@pytest.mark.parametrize("point", [-2.3, -0.4, 0.3, 0.9, 1.7, 30.0])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_and_their_complex_steps(name, point):
    term = make(ops.FUN, (t,), name, ONE, ONE)
    if not DOMAINS.get(name, lambda v: True)(point):
        assert np.isnan(value(term, Env(symbols={t.attr: point})))
        return
    found = numeric_jacobian(term, t, Env(symbols={t.attr: point}))
    assert np.allclose(found, _at(name, point), rtol=1e-9)


@pytest.mark.parametrize("power", [b.num(3), b.num(-2), b.num(Fraction(1, 3)), b.num(Fraction(-5, 2)), b.num(7)])
@pytest.mark.parametrize("point", [-1.3, 0.7, 2.0])
def test_powers_and_their_complex_steps(power, point):
    env = Env(symbols={t.attr: point})
    found = numeric_jacobian(b.power_of(t, power), t, env)
    if point < 0 and power.attr.denominator != 1:
        assert np.isnan(found)
    else:
        assert np.allclose(found, float(power.attr) * point ** float(power.attr - 1), rtol=1e-10)


def test_complex_step_through_matrices():
    for term in (b.det(S), b.logdet(S), b.norm(S), b.tr(b.inv(S)), b.inner(S, b.transpose(S))):
        env = sample(term, 5)
        h = 1e-6
        exact = numeric_jacobian(term, S, env)
        for k in range(exact.shape[1]):
            move = np.zeros(exact.shape[1])
            move[k] = h
            move = move.reshape(env.symbols[S.attr].shape, order="F")
            up = evaluate(term, env.with_symbol(S.attr, env.symbols[S.attr] + move))
            down = evaluate(term, env.with_symbol(S.attr, env.symbols[S.attr] - move))
            assert np.allclose((up - down) / (2 * h), exact[:, [k]], rtol=1e-6, atol=1e-7)


def test_huge_numbers_do_not_overflow():
    assert np.isinf(value(b.num(10**400)))


@pytest.mark.parametrize(
    "term, env, kind, part",
    [
        (t, Env(), UnknownName, "t has no value"),
        (A, Env({Name("m"): 2, Name("n"): 2}, symbols={A.attr: np.zeros((2, 3))}), ShapeError, "2×3"),
        (b.eye(n), Env(), ShapeError, "n has no value"),
        (b.member(X, 1), Env({Name("n"): 2}), UnknownName, r"X\[1\]"),
        (b.fun(Unknown("phi", 0), t), Env(symbols={t.attr: 1}), UnknownName, "phi"),
        (b.fun("besselj", t), Env(symbols={t.attr: 1}), UnknownName, "besselj"),
        (b.diff(t), Env(), UnknownName, "differential"),
        (b.inv(S), Env({Name("n"): 2}, symbols={S.attr: np.zeros((2, 2))}), MatcalcError, "singular"),
        (b.entry(A, 3, 1), Env({Name("m"): 2, Name("n"): 2}, symbols={A.attr: np.eye(2)}), ShapeError, "3, 1"),
        (b.basis(0, n), Env({Name("n"): 2}), ShapeError, "column 0"),
        (b.member(X, I1), Env({Name("n"): 2}), ShapeError, "outside its sum"),
        (b.eye(n / 2), Env({Name("n"): 3}), ShapeError, "3/2"),
    ],
)
def test_errors_name_what_is_wrong(term, env, kind, part):
    with pytest.raises(kind, match=part):
        evaluate(term, env)


# ---------------------------------------------------------------- samples

KINDS = {
    "symmetric": lambda a: np.allclose(a, a.T),
    "posdef": lambda a: np.allclose(a, a.T) and np.linalg.eigvalsh(a).min() > 0,
    "psd": lambda a: np.allclose(a, a.T) and np.linalg.eigvalsh(a).min() > -1e-9,
    "orthogonal": lambda a: np.allclose(a.T @ a, np.eye(len(a))),
    "diagonal": lambda a: np.allclose(a, np.diag(np.diag(a))) and abs(np.diag(a)).min() > 0.05,
    "lower": lambda a: np.allclose(np.triu(a, 1), 0) and abs(np.linalg.det(a)) > 0,
    "upper": lambda a: np.allclose(np.tril(a, -1), 0) and abs(np.linalg.det(a)) > 0,
    "invertible": lambda a: np.linalg.cond(a) < 100,
    "positive": lambda a: (a > 0).all(),
    "nonneg": lambda a: (a >= 0).all(),
    "skew": lambda a: np.allclose(a, -a.T),
    "posdet": lambda a: np.linalg.det(a) > 0,
}


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("fact", KINDS)
def test_facts_are_honoured(fact, profile):
    for seed in range(10):
        term = variable("M", n, n, fact)
        assert KINDS[fact](value(term, sample(term, seed, profile=profile)))


@pytest.mark.parametrize(
    "facts", [("diagonal", "positive"), ("posdef", "diagonal"), ("lower", "posdet"), ("orthogonal", "posdet")]
)
def test_facts_together(facts):
    term = variable("M", n, n, *facts)
    for seed in range(10):
        found = value(term, sample(term, seed))
        assert all(KINDS[f](found) or (f == "positive" and (np.diag(found) > 0).all()) for f in facts)


def test_facts_that_contradict_are_refused():
    with pytest.raises(MatcalcError, match="cannot draw"):
        sample(variable("M", n, n, "posdef", "skew"), 0)
    with pytest.raises(MatcalcError, match="frobnicated"):
        sample(variable("M", n, n, "frobnicated"), 0)


def test_stiefel_is_tall_and_fullrank_is():
    Z, F = variable("Z", n, "p", "stiefel"), variable("F", m, n, "fullrank")
    for seed in range(10):
        z, f = evaluate([Z, F], sample([Z, F], seed))
        assert z.shape[0] >= z.shape[1]
        assert np.allclose(z.T @ z, np.eye(z.shape[1]))
        assert np.linalg.cond(f) < 100


def test_sizes_are_distinct_or_all_one():
    env = sample(b.mul(A, B), 0)
    assert env.sizes[Name("m")] != env.sizes[Name("n")]
    assert set(sample(b.mul(A, B), 0, profile="ones").sizes.values()) == {1}


def test_integers_lie_in_their_ranges():
    k = Index(1, dim(0), dim("T") - 1)
    states = Family("z", k, n, ONE)
    term = b.add(b.member(states, "i"), b.sum_over(k, b.member(states, k)))
    for seed in range(20):
        sizes = sample(term, seed, profile=PROFILES[seed % 3]).sizes
        assert 0 <= sizes[Name("i")] <= sizes[Name("T")] - 1


def test_entries_lie_inside():
    term = b.entry(A, "i", "j")
    for seed in range(20):
        assert np.isfinite(value(term, sample(term, seed)))


def test_polynomial_shapes():
    half = n * (n + 1) / 2
    term = b.mul(b.transpose(variable("v", m * n)), b.ones(m * n, half), variable("w", half))
    assert value(term).shape == (1, 1)


def test_a_sample_depends_on_the_symbol_alone():
    one, both = sample(S, 7, sizes={Name("n"): 3}), sample([S, A, x], 7, sizes={Name("n"): 3})
    assert np.array_equal(one.symbols[S.attr], both.symbols[S.attr])
    assert not np.array_equal(one.symbols[S.attr], sample(S, 8, sizes={Name("n"): 3}).symbols[S.attr])


def test_hidden_variables_share_the_value():
    open_, hidden = variable("M", n, n, "posdef"), variable("M", n, n, role="hidden")
    env = sample([open_, hidden], 3)
    assert np.array_equal(env.symbols[open_.attr], env.symbols[hidden.attr])


def test_requirements_are_met():
    for seed in range(10):
        env = sample(S, seed, require=[(b.det(S), "positive"), (b.entry(S, 1, 1), "nonneg")])
        assert np.linalg.det(env.symbols[S.attr]) > 0
    with pytest.raises(MatcalcError, match="no random inputs"):
        sample(S, 0, require=[(b.neg(b.norm(S)), "positive")])


def test_random_functions_have_their_derivatives():
    f, df, d2f = (b.fun(Unknown("phi", order), t) for order in range(3))
    env = sample([f, df, d2f, t], 2)
    assert np.allclose(numeric_jacobian(f, t, env), evaluate(df, env))
    assert np.allclose(numeric_jacobian(df, t, env), evaluate(d2f, env))


def test_no_sizes_fit():
    with pytest.raises(ShapeError, match="no sizes"):
        sample(variable("v", n - 1), 0, profile="ones")


def test_indices_bound_outside_get_values():
    inner = Index(1, dim(Index(2, ONE, N)), N)
    term = b.scale(b.integer(inner), b.member(X, inner))
    for seed in range(10):
        env = sample(term, seed)
        assert 1 <= env.sizes[Index(2, ONE, N)] <= env.sizes[inner] <= env.sizes[Name("N")]
        assert np.isfinite(value(term, env)).all()
