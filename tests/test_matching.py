"""The matcher (runs, commutative operands, indices, bodies, functions, sizes) and the driver."""

from __future__ import annotations

from random import Random
from time import perf_counter

import pytest

import matcalc as mc
from matcalc.calculus.system import System
from matcalc.errors import LimitExceeded
from matcalc.language.elaborate import parse_expression
from matcalc.language.scope import Scope
from matcalc.rewriting.engine import Rewriter
from matcalc.rewriting.facts import Facts
from matcalc.rewriting.loader import load, load_text
from matcalc.rewriting.match import instantiate, match, match_root
from matcalc.rewriting.steps import stepwise
from matcalc.terms import build
from matcalc.terms.dims import ONE, Index, dim
from matcalc.terms.symbols import Family, Symbol, Unknown

WHERE = (
    "A, B, C, E: matrix(n, n); M: matrix(m, n); P: matrix(p, q); x, y: vector(n); s, t, u: scalar; r: positive; "
    "k: integer; phi, psi: function; S: symmetric(n); z[i=1..N]: vector(n); w[i=1..N]: scalar"
)
LET = (
    "ruleset simplify\nlet A, B, C: matrix\nlet s, t: scalar\n"
    "let a, b: integer\nlet e[i]: scalar\nlet E[i]: matrix\nlet phi: function\n"
)


def term(text):
    scope = Scope()
    scope.declare_all(WHERE)
    return parse_expression(text, scope).term


def rule(row):
    return load_text(LET + row).file.rules[0]


def rewriter(*rows, fuel=200, strict=False):
    return Rewriter(load_text(LET + "\n".join(rows)).file.rules, Facts((), ()), fuel, strict)


def found(row, subject):
    """All results of using a row once at the root."""
    made = rule(row)
    results = [put_back(instantiate(made.right, b)) for b, put_back in match_root(made.left, term(subject))]
    return [str(r) for r in dict.fromkeys(results)]


# ---------------------------------------------------------------- flat operations

MATCHES = {
    "two factors": ("[x] (A*B)' -> B'*A'", "(A*B)'", ["B'*A'"]),
    "runs of factors": ("[x] tr(A*B) -> tr(B*A)", "tr(A*B*C)", ["tr(B*C*A)", "tr(C*A*B)"]),
    "a run inside a product": ("[x] A*A^-1 -> eye(n) for A: matrix(n, n)", "B*C*inv(C)*A", ["B*A"]),
    "a run of two factors bound twice": ("[x] A*A -> A^2 for A: square", "A*B*A*B", ["(A*B)^2"]),
    "not a run": ("[x] A*A^-1 -> eye(n) for A: matrix(n, n)", "C*B*inv(C)", []),
    "a sum has rest operands": ("[x] s*A + t*A -> (s + t)*A", "s*A + B + t*A", ["(s + t)*A + B"]),
    "operands in any order": ("[x] diag(x) .* A -> A .* diag(x) for x: vector(n)", "A .* diag(x)", ["A .* diag(x)"]),
    "no repeated operand": ("[x] (A .* A')' -> A", "(B .* C)'", []),
    "Kronecker runs": ("[x] (A ⊗ B)' -> A' ⊗ B'", "(A ⊗ B ⊗ C)'", ["kron(A', kron(B, C)')", "kron(kron(A, B)', C')"]),
    "a scalar is no matrix factor": ("[x] (A*B)' -> B'*A'", "(s*A)'", []),
    "a product with a scalar in front": ("[x] s*A -> A*1", "s*t*A", ["A"]),
}


@pytest.mark.parametrize(("row", "subject", "results"), MATCHES.values(), ids=MATCHES)
def test_flat_operations(row, subject, results):
    assert sorted(found(row, subject)) == sorted(results)


def test_each_way_of_splitting_a_product_once():
    assert len(list(match(rule("[x] (A*B)' -> B'*A'").left.args[0], term("A*B*C*E"), {}))) == 3


def test_matching_is_of_the_whole_below_the_root():
    assert found("[x] tr(A ⊗ B) -> tr(A)*tr(B) for A, B: square", "tr(A ⊗ B)") == ["tr(A)*tr(B)"]
    assert found("[x] tr(A*B') -> inner(A, B)", "tr(A*B'*C)") == []


# ---------------------------------------------------------------- sizes

SIZES = {
    "sizes agree": ("[x] vec(A)'*vec(B) -> tr(A'*B) for A, B: matrix(m, n)", "vec(A)'*vec(B)", 1),
    "the same length but other sides": ("[x] vec(A)'*vec(B) -> tr(A'*B) for A, B: matrix(m, n)", "vec(M)'*vec(M')", 0),
    "a polynomial": ("[x] vec(unvec(x, m, n)) -> x for x: vector(m*n)", "vec(unvec(vec(M), n, m))", 1),
    "another polynomial": (
        "[x] inner(unvec(x, m, n), A) -> inner(x, vec(A)) for x: vector(m*n) and A: matrix(m, n)",
        "tr(unvec(vec(M), n, m)*M)",
        0,
    ),
    "a difference of sizes": ("[x] A^j*A^k -> A^(j + k) for A: square and j, k: integer", "A^k*A^(2*k - 1)", 1),
    "an integer for a number": ("[x] s^k -> exp(k*log(s)) for k: integer", "t^3", 1),
    "half is no integer": ("[x] (s*t)^k -> s^k*t^k for k: integer", "(s*t)^(1/2)", 0),
    "a scalar is no integer": ("[x] (s*t)^k -> s^k*t^k for k: integer", "(s*t)^u", 0),
    "a vector for a vector": ("[x] diag(x)*y -> x .* y for x, y: vector(n)", "diag(x)*y", 1),
    "no matrix for a vector": ("[x] diag(x)*y -> x .* y for x, y: vector(n)", "diag(x)*A", 0),
    "a square one": ("[x] (A*B)^-1 -> B^-1*A^-1 for A, B: square", "inv(A*B)", 1),
    "not square": ("[x] (A*B)^-1 -> B^-1*A^-1 for A, B: square", "inv(M'*M)", 0),
}


@pytest.mark.parametrize(("row", "subject", "count"), SIZES.values(), ids=SIZES)
def test_sizes(row, subject, count):
    assert bool(found(row, subject)) == bool(count)


def test_a_size_of_the_row_may_be_called_like_one_of_the_user():
    """The row's m and n are the user's n and m."""
    row = "[x] vec(A') -> commutation(m, n)*vec(A) for A: matrix(m, n)"
    assert found(row, "vec(M)") == []
    assert found(row, "vec((M')')") == []
    assert found(row, "vec(M')") == ["commutation(m,n)*vec(M)"]
    assert found("[x] diag(A*B) -> diag(B'*A') for A: matrix(m, n) and B: matrix(n, m)", "diag(M'*M)")


# ---------------------------------------------------------------- functions and indices


def test_functions():
    assert found("[x] phi(A') -> phi(A)'", "psi(M')") == ["psi(M)'"]
    assert found("[x] d(phi(A)) -> phi'(A) .* dA", "s") == []
    assert found("[x] phi(A)*phi(B) -> phi(A*B)", "phi(A)*phi(B)") == ["phi(A*B)"]
    assert found("[x] phi(A)*phi(B) -> phi(A*B)", "phi(A)*psi(B)") == []
    assert found("[x] phi(A') -> phi(A)'", "exp(M')") == ["exp(M)'"]  # functions with a name too
    assert found("[x] phi(A) + phi'(A) -> phi'(A) + phi(A)", "exp(M) + sin(M)") == []  # unless it has a derivative


def test_derivatives_of_a_function():
    made = rule("[x] phi'(A) -> phi(A)")
    y = term("y")
    second = build.fun(Unknown("psi", 2), y)
    (bindings,) = match(made.left, second, {})
    assert instantiate(made.right, bindings) is build.fun(Unknown("psi", 1), y)
    assert list(match(made.left, build.fun(Unknown("psi", 0), y), {})) == []


INDICES = {
    "body": ("[x] sum(i=a..b, e[i]) -> sum(i=a..b, e[i])^1", "sum(j=1..N, w[j]^2)", True),
    "constant": ("[x] sum(i=a..b, A) -> (b - a + 1)*A", "sum(j=1..N, A)", True),
    "an index is never captured": ("[x] sum(i=a..b, A) -> (b - a + 1)*A", "sum(j=1..N, w[j]*A)", False),
    "nor in a factor": ("[x] sum(i=a..b, A*E[i]) -> A*sum(i=a..b, E[i])", "sum(j=1..N, z[j]*z[j]')", False),
    "a constant factor": ("[x] sum(i=a..b, A*E[i]) -> A*sum(i=a..b, E[i])", "sum(j=1..N, A*z[j])", True),
    "shape of a body": ("[x] sum(i=a..b, e[i]) -> 0", "sum(j=1..N, z[j])", False),
}


@pytest.mark.parametrize(("row", "subject", "does"), INDICES.values(), ids=INDICES)
def test_indices(row, subject, does):
    made = rule(row)
    assert any(True for _ in match_root(made.left, term(subject))) == does


def test_a_constant_factor_leaves_the_sum():
    assert found("[x] sum(i=a..b, A*E[i]) -> A*sum(i=a..b, E[i])", "sum(j=1..N, A*B*z[j])") == [
        "A*sum(i=1..N, B*z[i])",
        "A*B*sum(i=1..N, z[i])",
    ]


def test_a_sum_in_a_sum_keeps_its_own_index():
    outer = term("sum(i=1..N, sum(j=1..N, w[i]*z[j]))")
    made = System().simplify(outer)
    assert str(made) == "sum(i=1..N, w[i])*sum(i=1..N, z[i])"


def test_a_new_index_captures_nothing():
    """d(A^k) makes a sum over r = 0..k-1; the A may hold an index of the same range."""
    k = dim("k")
    index = Index(1, dim(0), k - 1)
    family = Family("F", index, dim("n"), dim("n"))
    power = build.mpow(build.member(family, index), k)
    local = System().local_differential(power, power.args)
    (piece,) = local.pieces
    assert index in piece.indices
    assert piece.attr.index is not index


def test_two_new_indices_of_one_range_stay_apart():
    """The adjoint of X ⊗ B sums over two indices, here of one range."""
    n = dim("n")
    row = next(r for r in load("adjoint").linear if r.rule.name == "adj-kron-left")
    X, B, G = (build.sym(Symbol(name, size, size)) for name, size in {"X": n, "B": n, "G": n * n}.items())
    linear = build.kron(build.diff(X), B)
    (found,) = match(row.pattern, linear, {}, linear=True)
    (full,) = match(row.covector, G, found)
    result = instantiate(row.result, full)
    inner = result.args[0]
    assert result.attr.index is not inner.attr.index


def test_product_runs_of_vectors_hold_no_inner_scalar():
    assert found("[x] tr(x*y') -> y'*x for x, y: vector(n)", "tr(A*x*y')") == ["y'*A*x"]


# ---------------------------------------------------------------- the driver

SYSTEM = System()
SAMPLES = [
    "tr(A*B*C) + tr(C*A*B)",
    "(A*B*C)'*S",
    "inv(A*B)*(A*B)",
    "x'*A*y + y'*A'*x",
    "logdet(2*A*B)",
    "sum(i=1..N, 3*A*z[i]*z[i]'*B)",
    "(A ⊗ B)*(inv(A) ⊗ inv(B))",
    "diag(x)*diag(y)*A*diag(x)",
    "log(r*exp(s)*t^2)",
    "norm(2*x)^2 + sum(x .* x)",
    "tr(S*A') + tr(A*S)",
    "vec(A)'*(B' ⊗ C)",
    "phi(M')*phi(M)*(x + y)",
]


@pytest.mark.parametrize("text", SAMPLES)
@pytest.mark.parametrize("purpose", ["simplifier", "expander"])
def test_idempotent(text, purpose):
    rewrite = getattr(SYSTEM, purpose)
    once = rewrite.normalize(term(text))
    assert rewrite.normalize(once) is once
    assert getattr(System(), purpose).normalize(once) is once


@pytest.mark.parametrize("text", SAMPLES)
def test_steps_lead_to_the_normal_form(text):
    steps = stepwise(SYSTEM.simplifier, term(text))
    last = steps[-1].after if steps else term(text)
    assert SYSTEM.simplifier.normalize(last) is SYSTEM.simplifier.normalize(term(text))


@pytest.mark.parametrize("seed", range(20))
def test_order_of_the_terms_does_not_matter(seed):
    """A sum of products, its operands and factors of scalars shuffled, has one normal form."""
    random = Random(seed)
    parts = ["tr(A*B*C)", "s*tr(B)", "x'*A*y", "t*logdet(A*B)", "norm(x)^2", "sum(i=1..N, s*w[i])", "tr((A + B)*C)"]
    chosen = random.sample(parts, 5)
    shuffled = [turned(part) for part in random.sample(chosen, len(chosen))]
    first = SYSTEM.expand(term(" + ".join(chosen)))
    assert System().expand(term(" + ".join(shuffled))) is first


def turned(part):
    """Another way to write the same."""
    return {
        "tr(A*B*C)": "tr((B*C*A)')",
        "x'*A*y": "y'*A'*x",
        "s*tr(B)": "tr(B'*s)",
        "norm(x)^2": "x'*x",
        "tr((A + B)*C)": "tr(C*B + C*A)",
    }.get(part, part)


def test_fuel_names_the_last_rules():
    grow = rewriter("[grow] tr(A) -> tr(2*A')", "[two] tr(s*A) -> tr(s^2*A)", fuel=50)
    with pytest.raises(LimitExceeded, match=r"more than 50 rewriting steps; the last rules were .*(grow|two)"):
        grow.normalize(term("tr(A)"))


def test_a_circle_is_found():
    there = "[there] phi(A*B) -> phi(A + B) for A, B: square"
    back = "[back] phi(A + B) -> phi(A*B) for A, B: square"
    with pytest.raises(LimitExceeded, match="there, back go in a circle"):
        rewriter(there, back, strict=True).normalize(term("phi(A*B)"))
    around = rewriter(there, back)
    assert around.normalize(term("phi(A*B)")) is around.normalize(term("phi(A + B)"))
    assert len(stepwise(around, term("phi(A*B)"))) == 1


def test_a_circle_through_a_sign_is_found():
    there = "[there] phi(A*B) -> -phi(A + B) for A, B: square"
    back = "[back] phi(A + B) -> -phi(A*B) for A, B: square"
    with pytest.raises(LimitExceeded, match="go in a circle"):
        rewriter(there, back, strict=True).normalize(term("phi(A*B)"))
    start = term("phi(A*B)")
    assert rewriter(there, back).normalize(start) in (start, term("-phi(A + B)"))


def test_scalars_with_skew_matrices_have_one_order():
    where = "B: matrix(m,n); C: skew(n); u: vector(n); y, z, b: vector(m)"
    left, right = "(y .* z .* (B*C*u))'*(b .* y .* (B*u))", "-(b' .* y' .* (u'*B'))*(y .* z .* (B*C'*u))"
    assert mc.equal(left, right, where=where).how == "the same normal form"


def test_commuting_factors_under_a_trace_or_between_vectors():
    for text in (
        "tr((A + B)*expm(A + B))",
        "x'*(A + B)*expm(A + B)*x",
        "x'*(A + B)*pinv(A + B)*x",
        "tr(A^3*expm(A)*B)",
    ):
        first = SYSTEM.simplify(term(text))
        assert SYSTEM.simplify(first) is first
        stepwise(SYSTEM.simplifier, term(text))


def test_fuel_is_counted_anew():
    once = rewriter("[one] tr(A') -> tr(A)", fuel=3)
    for name in "ABCE":
        assert once.normalize(term(f"tr({name}')")) is term(f"tr({name})")


def test_deep_functions():
    start = perf_counter()
    nested = term("x")
    for _ in range(5_000):
        nested = build.fun("sin", nested)
    assert SYSTEM.simplify(nested) is nested
    assert perf_counter() - start < 10


def test_many_addends():
    start = perf_counter()
    n = dim("n")
    names = [build.sym(Symbol(f"A{i}", n, n)) for i in range(10_000)]
    total = build.add(*(build.transpose(build.transpose(build.mul(a, a))) for a in names))
    assert SYSTEM.simplify(build.transpose(total)).shape == (n, n)
    assert perf_counter() - start < 20


def test_a_deep_shared_graph_is_walked_once():
    start = perf_counter()
    A, B, y = term("A"), term("B"), term("y")
    for _ in range(60):
        y = build.add(build.mul(A, y), build.had(y, build.mul(B, y)))
    SYSTEM.simplify(y)
    assert perf_counter() - start < 10


def test_bodies_of_a_sum_over_one_index():
    index = Index(1, ONE, dim("N"))
    family = Family("v", index, ONE, ONE)
    body = build.member(family, dim(index) + 1)
    made = rule("[x] sum(i=a..b, s*e[i]) -> s*sum(i=a..b, e[i])")
    subject = build.sum_over(index, build.times(term("u"), body))
    results = {put_back(instantiate(made.right, b)) for b, put_back in match_root(made.left, subject)}
    assert results == {build.times(term("u"), build.sum_over(index, body))}
