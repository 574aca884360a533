"""What is inferred about expressions, from what, and what is not."""

from __future__ import annotations

from time import perf_counter

import pytest

from matcalc.language.elaborate import parse_expression
from matcalc.language.scope import Scope
from matcalc.rewriting.facts import Facts, closure
from matcalc.rewriting.loader import load
from matcalc.terms import build
from matcalc.terms.dims import dim
from matcalc.terms.symbols import Symbol

WHERE = (
    "A, B: matrix(n, n); M: matrix(m, n); F: fullrank(m, n); S, T: symmetric(n); P, W: posdef(n); Q: orthogonal(n); "
    "Z: stiefel(n, p); R: invertible(n); D: diagonal(n); L: lower(n); U: upper(n); K: skew(n); x: vector(n); "
    "v: positive(n); s: scalar; t: positive; h: nonneg; z[i=1..N]: vector(n); w[i=1..N]: positive; phi: function"
)


def term(text):
    scope = Scope()
    scope.declare_all(WHERE)
    return parse_expression(text, scope).term


def facts(*assumed):
    file = load("facts").file
    return Facts(file.facts, file.implications, frozenset((term(text), fact) for text, fact in assumed))


FACTS = facts()

HOLDS = {
    "posdef": [
        "P", "P + W", "P + t*eye(n)", "M'*M + t*eye(n)", "inv(P)", "F'*F", "R'*R", "R'*P*R", "2*P", "P/t", "diag(v)",
        "P ⊗ W", "P .* W", "t*eye(n) + sum(i=1..N, z[i]*z[i]')", "inv(M'*M + t*eye(n))", "P^3", "diag(exp(x))",
        "F'*(M*M' + t*eye(m))*F", "Z'*P*Z",
    ],
    "psd": [
        "M'*M", "M*M'", "x*x'", "h*P", "M*P*M'", "sum(i=1..N, w[i]*z[i]*z[i]')", "diag(x.^2)", "P .* (A'*A)", "(h*P)'",
    ],
    "symmetric": [
        "S", "S + T", "A + A'", "inv(S)", "S^5", "A'*S*A", "A*S*A'", "3*S - T", "S ⊗ T", "S .* T", "D", "P", "phi(S)",
        "inv(A + A')", "S'", "S - x*x'",
    ],
    "skew": ["K", "A - A'", "A*K*A'", "2*K", "K - M'*M + M'*M"],
    "invertible": ["R", "P", "Q", "R*P", "inv(A)", "R'", "t*R", "R ⊗ P", "R^3", "Q*D^0"],
    "posdet": ["P", "P*W", "inv(P)", "P'", "t*P"],
    "orthogonal": ["Q", "Q'", "Q*Q", "Q ⊗ Q", "eye(n)"],
    "stiefel": ["Z", "Q", "Q*Z"],
    "diagonal": ["D", "diag(x)", "D*D", "D + diag(x)", "inv(D)", "D .* A"],
    "lower": ["L", "D", "L*L", "U'", "L + D", "inv(L)"],
    "upper": ["U", "U*D", "L'"],
    "positive": [
        "t", "exp(s)", "t*t", "t^s", "1 + s^2", "det(P)", "tr(P)", "exp(x)", "v", "2*v", "sigmoid(x)", "pi/2",
        "prod(i=1..N, w[i])", "sum(v)", "det(M'*M + t*eye(n))", "v .* exp(x)", "1/t",
    ],
    "nonneg": [
        "h", "s^2", "norm(x)", "abs(x)", "x'*x", "x'*P*x", "tr(M'*M)", "h*t", "sum(i=1..N, w[i])", "sum(x.^2)",
        "h + s^2", "n",
    ],
    "nonzero": ["t", "det(R)", "t*exp(s)", "det(P)^2", "-t"],
    "fullrank": ["F", "R", "Z", "F*R"],
    "fullrow": ["R", "F'", "R*F'"],
    "square": ["A", "M'*M", "A ⊗ A"],
}  # fmt: skip


@pytest.mark.parametrize(("text", "fact"), [(t, f) for f, texts in HOLDS.items() for t in texts])
def test_known(text, fact):
    assert FACTS.has(term(text), fact)


UNKNOWN = {
    "posdef": ["S", "M'*M", "P - W", "s*P", "P*W", "A'*P*A", "h*P", "x*x'", "M'*M + h*eye(n)", "diag(x)"],
    "psd": ["S", "P - W", "s*P", "A*P*A", "-P"],
    "symmetric": ["A", "S*T", "A*S*A", "A - A'", "Q", "L", "A'*B", "inv(A)", "kron(A, A)"],
    "skew": ["A + A'", "A'", "K*K", "K + S"],
    "invertible": ["A", "R + Q", "S", "s*R", "R + P", "D"],
    "posdet": ["R", "R*R", "Q", "-P", "s*P"],
    "orthogonal": ["Z*Z'", "2*Q", "Q + Q", "R"],
    "positive": ["s", "s^2", "h", "det(R)", "x", "t - 1", "h*t", "norm(x)", "sum(i=1..N, w[i])", "s*t"],
    "nonneg": ["s", "s^3", "x'*S*x", "t - h", "log(t)"],
    "nonzero": ["s", "h", "det(A)", "s*t"],
    "fullrank": ["M", "F'"],
}


@pytest.mark.parametrize(("text", "fact"), [(t, f) for f, texts in UNKNOWN.items() for t in texts])
def test_not_known(text, fact):
    assert not FACTS.has(term(text), fact)


# ---------------------------------------------------------------- assumptions


def test_assumption_about_a_variable():
    assert not FACTS.has(term("A*P*A'"), "posdef")
    assert facts(("A", "invertible")).has(term("A*P*A'"), "posdef")


def test_assumption_about_an_expression():
    known = facts(("A - B", "posdef"))
    assert known.has(term("inv(A - B)"), "posdef")
    assert known.has(term("A - B"), "symmetric")
    assert not known.has(term("B - A"), "symmetric")


def test_an_assumption_has_its_consequences():
    known = facts(("A", "posdef"))
    for fact in ("psd", "symmetric", "invertible", "posdet", "fullrank", "fullrow"):
        assert known.has(term("A"), fact)


def test_scalars_have_the_facts_of_matrices():
    known = facts(("s", "positive"))
    for fact in ("posdef", "symmetric", "diagonal", "invertible", "nonzero", "posdet"):
        assert known.has(term("s"), fact)
    assert FACTS.has(term("x'*x"), "psd")
    assert not FACTS.has(term("s"), "posdef")


def test_numbers():
    assert FACTS.has(build.num(3), "positive") and FACTS.has(build.num(3), "integer")
    assert FACTS.has(build.num(-2), "nonzero") and not FACTS.has(build.num(-2), "nonneg")
    assert FACTS.has(build.num(0), "nonneg") and not FACTS.has(build.num(0), "nonzero")


# ---------------------------------------------------------------- reasons


def reasons(known, text, fact):
    return [(str(t), f, reason.rule) for (t, f), reason in known.explain(term(text), fact)]


def test_explain():
    assert reasons(FACTS, "inv(M'*M + t*eye(n))", "symmetric")[0] == (
        str(term("inv(M'*M + t*eye(n))")), "symmetric", "symmetric-inverse",
    )  # fmt: skip
    steps = reasons(FACTS, "F'*F + P", "posdef")
    assert steps[0][2] in ("posdef-sum", "posdef-sum-other")
    assert {rule for _, _, rule in steps[1:]} <= {"declared", "psd-gram", "posdef-gram"}
    assert ("P", "posdef", "declared") in steps or ("P", "psd", "declared") in steps


def test_explain_an_assumption():
    assert reasons(facts(("A", "posdef")), "inv(A)", "posdef") == [
        ("inv(A)", "posdef", "posdef-inverse"),
        ("A", "posdef", "assumed"),
    ]


def test_what_is_not_known_has_no_explanation():
    assert FACTS.explain(term("A"), "symmetric") == []


def test_every_reason_rests_on_what_is_known():
    for fact, texts in HOLDS.items():
        for text in texts:
            for (subject, name), reason in FACTS.explain(term(text), fact):
                assert FACTS.has(subject, name)
                assert all(FACTS.has(*premise) for premise in reason.premises)


def test_closure():
    implied_by = closure(load("facts").file.implications)
    assert implied_by["symmetric"] >= {"symmetric", "psd", "posdef", "diagonal"}
    assert "symmetric" not in implied_by["posdef"]


# ---------------------------------------------------------------- depth


def test_deep_congruence():
    inside = term("P")
    R = term("R")
    for _ in range(1_000):
        inside = build.inv(build.add(build.mul(build.transpose(R), inside, R), term("P")))
    start = perf_counter()
    assert facts().has(inside, "posdef")
    assert perf_counter() - start < 10


def test_deep_functions():
    inside, t = term("s"), term("t")
    for _ in range(3_000):
        inside = build.times(t, build.fun("abs", build.add(build.ONE_NUM, inside)))
    assert FACTS.has(inside, "nonneg")
    assert not FACTS.has(inside, "positive")


def test_deep_products():
    pile = build.sym(Symbol("A", dim("n"), dim("n")))
    for _ in range(200):
        pile = build.inv(build.mul(pile, build.transpose(pile)))
    known = FACTS.has(pile, "symmetric")
    assert known
