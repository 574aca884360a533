"""Random inputs: facts, sizes, requirements."""

from __future__ import annotations

import numpy as np
import pytest

from matcalc.errors import MatcalcError, ShapeError
from matcalc.numeric.check import numeric_jacobian
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import PROFILES, sample
from matcalc.terms import build as b
from matcalc.terms.dims import ONE, Index, Name, dim
from matcalc.terms.symbols import Family, Unknown
from test_evaluate import A, B, N, S, X, m, n, t, value, variable, x

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
