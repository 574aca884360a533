"""The oracle itself: every operator against a definition written out by hand."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from matcalc.errors import MatcalcError, ShapeError, UnknownName
from matcalc.numeric.check import numeric_jacobian
from matcalc.numeric.evaluate import Env, evaluate
from matcalc.numeric.functions import FUNCTIONS
from matcalc.numeric.sample import sample
from matcalc.terms import build as b
from matcalc.terms import ops
from matcalc.terms.dims import ONE, Index, Name, SizeAt, dim
from matcalc.terms.symbols import Family, Symbol, Unknown
from matcalc.terms.term import make
from matcalc.terms.walk import postorder

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
