"""Convexity: what is answered, and that no chord contradicts it."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc as mc
from matcalc.errors import MatcalcError
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample

WHERE = {
    "A, B": "matrix(m,n)",
    "x, y, c": "vector(n)",
    "b": "vector(m)",
    "t, r": "scalar",
    "s, u": "positive",
    "P, Q": "posdef(n)",
    "S": "symmetric(n)",
    "X, Y": "matrix(n,m)",
    "V": "diagonal(n)",
    "p, q": "positive(n)",
    "z[i=1..N]": "vector(n)",
    "w": "vector(N)",
}

ANSWERS = [
    # quadratic
    ("norm(A*x - b)^2", "x", "convex", []),
    ("norm(A*x - b)^2 + t*norm(x)^2", "x", "strictly convex", ["t is positive"]),
    ("x'*P*x + c'*x", "x", "strictly convex", []),
    ("x'*S*x", "x", "strictly convex", ["S is posdef"]),
    ("c'*x - x'*P*x", "x", "strictly concave", []),
    ("tr(X'*P*X)", "X", "strictly convex", []),
    ("tr(P*X*X') + tr(Y'*X)", "X", "strictly convex", []),
    ("norm(X)^2 - 2*tr(X'*Y)", "X", "strictly convex", []),
    ("sum(i=1..N, w[i]*norm(x - z[i])^2)", "x", "convex", ["w is nonneg"]),
    ("sum(i=1..N, (c'*z[i] - t)^2)", "c", "convex", []),
    ("norm(A*x + B*y - b)^2", ["x", "y"], "convex", []),
    ("norm(x)^2 + norm(y)^2 + 2*x'*y", ["x", "y"], "convex", []),
    ("x'*P*x - y'*Q*y", ["x", "y"], "neither convex nor concave", []),
    ("x'*y", ["x", "y"], "neither convex nor concave", []),
    # log-determinants and inverses
    ("logdet(P)", "P", "strictly concave", []),
    ("logdet(P) - tr(Q*P)", "P", "strictly concave", []),
    ("tr(inv(P))", "P", "strictly convex", []),
    ("tr(Q*inv(P)) + tr(P)", "P", "strictly convex", []),
    ("c'*inv(P)*c", "P", "convex", []),
    ("x'*inv(P)*x", ["x", "P"], "convex", []),
    ("-logdet(P + Q)", "P", "strictly convex", []),
    ("logdet(V)", "V", "neither convex nor concave", []),
    # scalars
    ("x'*x/s", ["x", "s"], "convex", []),
    ("1/s", "s", "strictly convex", []),
    ("s*log(s)", "s", "strictly convex", []),
    ("s*log(s/u)", ["s", "u"], "convex", []),
    ("log(s) - s", "s", "strictly concave", []),
    ("sqrt(s)", "s", "strictly concave", []),
    ("log(r)", "r", "strictly concave", []),
    ("r^3", "r", "neither convex nor concave", []),
    ("r^4 + exp(r)", "r", "strictly convex", []),
    ("t*r^2", "r", "strictly convex", ["t is positive"]),
    ("lgamma(s)", "s", "strictly convex", []),
    # entry by entry
    ("sum(exp(x))", "x", "strictly convex", []),
    ("sum(log(p))", "p", "strictly concave", []),
    ("sum(p .* log(p))", "p", "strictly convex", []),
    ("sum(softplus(A*x))", "x", "convex", []),
    ("sum(log(1 .+ exp(-b .* (A*x))))", "x", "convex", []),
    ("sum(sin(x))", "x", "neither convex nor concave", []),
    ("sum(p .* x.^2)", "x", "strictly convex", []),
    ("logsumexp(A*x)", "x", "convex", []),
    ("log(sum(exp(x)))", "x", "convex", []),
    ("sum(cosh(x))", "x", "strictly convex", []),
    # norms, and what has kinks
    ("norm(A*x - b)", "x", "convex", []),
    ("norm1(x)", "x", "convex", []),
    ("norm(A*x - b)^2 + t*norm1(x)", "x", "convex", ["t is nonneg"]),
    ("sum(relu(A*x - b))", "x", "convex", []),
    ("nuclear(X)", "X", "convex", []),
    ("spectral(X - Y)", "X", "convex", []),
    ("eigmax(S)", "S", "convex", []),
    ("sqrt(1 + x'*x)", "x", "convex", []),
    ("sum(sqrt(x.^2 .+ s))", "x", "strictly convex", []),
    ("-norm(x)", "x", "concave", []),
    ("logsumexp(A*x) + x'*P*x", "x", "strictly convex", []),
    ("sum(abs(x)) - sum(log(x))", "x", "strictly convex", []),
    ("exp(norm(x)^2)", "x", "strictly convex", []),
    # affine, and nothing known
    ("c'*x + t", "x", "affine", []),
    ("tr(A*X)", "X", "affine", []),
    ("sum(x .* y)", "y", "affine", []),
    ("norm(A - B)^2", "x", "affine", []),
    ("det(P)", "P", "neither convex nor concave", []),
]
IDS = [f"{expr} in {wrt}" for expr, wrt, _, _ in ANSWERS]


@pytest.mark.parametrize(("expr", "wrt", "answer", "conditions"), ANSWERS, ids=IDS)
def test_answer(expr, wrt, answer, conditions):
    found = mc.convexity(expr, wrt, WHERE)
    assert str(found).partition(" in ")[0] == answer
    assert [f"{c.term} is {c.fact}" for c in found.conditions] == conditions
    assert found.latex(steps=True)
    assert bool(found.steps) == (found.kind in ("convex", "concave", "affine"))


PROVED = [a for a in ANSWERS if not a[2].startswith(("not", "neither"))]


@pytest.mark.parametrize(("expr", "wrt", "answer", "conditions"), PROVED, ids=[f"{a[0]} in {a[1]}" for a in PROVED])
def test_chords(expr, wrt, answer, conditions):
    found = mc.convexity(expr, wrt, WHERE)
    facts = {c.term: c.fact for c in found.conditions}
    term = found.function
    compared = 0
    for seed in range(12):
        domain = ("any", "positive", "unit")[seed % 3]
        simple = [(t, f) for t, f in facts.items() if f in ("positive", "nonneg")]
        try:
            data = sample([term, *found.unknowns], seed, domain=domain, require=simple)
        except MatcalcError:
            continue
        for t, f in facts.items():
            if f in ("posdef", "psd"):
                data = data.with_symbol(t.attr, data.symbols[t.attr] @ data.symbols[t.attr].T)
        other = sample([term, *found.unknowns], seed + 100, domain=domain, sizes=dict(data.sizes))
        there = middle = data
        for unknown in found.unknowns:
            one, two = data.symbols[unknown.attr], other.symbols[unknown.attr]
            there = there.with_symbol(unknown.attr, two)
            middle = middle.with_symbol(unknown.attr, (one + two) / 2)
        left, right, between = (float(evaluate(term, env)[0, 0]) for env in (data, there, middle))
        gap = (left + right) / 2 - between
        if not np.isfinite(gap):
            continue
        compared += 1
        room = 1e-9 * max(1.0, abs(left), abs(right))
        assert gap >= -room if "convex" in answer or answer == "affine" else gap <= room
        assert gap <= room if answer in ("affine", "concave", "strictly concave") else True
        if answer.startswith("strictly"):
            assert gap != 0
    assert compared >= 4


def test_assumed_facts_are_used():
    assert mc.convexity("t*norm(x)^2", "x", WHERE, assume="t > 0").conditions == []
    assert str(mc.convexity("t*norm(x)^2", "x", WHERE, assume="t > 0")) == "strictly convex in x"


def test_answer_in_a_session():
    session = mc.Session()
    answers = session.run("x: vector(n); t: scalar\nconvexity(t*norm(x)^2, x)\nsteps")
    assert answers[-2].lines() == ["strictly convex in x", "where t > 0 (so that the objective is convex)"]
    assert answers[-1].lines()[0].startswith("d²f = 2*t*dxᵀ*dx")
    assert answers[-2].to_json()["convexity"]["kind"] == "convex"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x: vector(n)\nconvexity(x, x)", "convexity is of a scalar"),
        ("x: vector(n)\nconvexity(norm(x))", "convexity takes an expression and variables"),
        ("x: vector(n)\nconvexity(norm(x), 2*x)", "convexity is asked in variables"),
        ("x: vector(n)\ng = convexity(norm(x), x)", "a name stands for an expression"),
    ],
)
def test_refused(text, message):
    with pytest.raises(MatcalcError) as caught:
        mc.Session().run(text)
    assert message in str(caught.value)
