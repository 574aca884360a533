"""Extrema and equations from the question to the answer: the value, the conditions, the kind, numbers, refusals."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matcalc as mc
from matcalc.calculus.present import same
from matcalc.calculus.system import system
from matcalc.numeric.check import replay
from matcalc.terms.term import Term
from matcalc.terms.walk import replace

TABLE = tomllib.loads((Path(__file__).parent / "solve_corpus.toml").read_text(encoding="utf-8"))["problem"]
STATIONARY = [p for p in TABLE if p.get("stationary", True)]


def named(problems: list[dict[str, Any]]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("problem", problems, ids=[p["name"] for p in problems])


@named(STATIONARY)
def test_the_point_of_the_textbook_is_found(problem: dict[str, Any]) -> None:
    unknowns = list(problem["point"])
    found = mc.extremum(
        problem["objective"], unknowns, where=problem["where"], subject_to=problem.get("subject_to", ())
    )
    assert found.kind in problem["kind"]
    assert all(c.reason for c in found.conditions)
    assert {f"{c.term} is {c.fact}" for c in found.conditions if not c.known} == set(problem["told"])
    checked = found.check(trials=1)
    assert checked.ok and checked.trials
    values = found.values
    for name, expected in problem["point"].items():
        wanted = mc.parse(expected, where=problem["where"])
        put = {mc.parse(u, where=problem["where"]).term: value.term for u, value in values.items() if u != name}
        assert agree(values[name].term, replace(wanted.term, put), problem), str(values[name])


def agree(one: Term, other: Term, problem: dict[str, Any]) -> bool:
    if same(system(), one, other):
        return True
    scope = problem["where"]
    require = [(mc.parse(name, where=scope).term, kind) for name, kind in problem.get("data", {}).items()]
    require = [(t, f) for t, f in require if f in ("positive", "nonneg", "posdef")]
    return replay(one, other, 2, require=require, size_hint=(3, 4, 5)) < 1e-7


PROBLEMS = [
    (
        "norm(A*x - b)^2 + t*norm(G*x)^2",
        "x",
        "A: matrix(m,n); x: vector(n); b: vector(m); G: matrix(k,n); t: positive",
        "inv(A'*A + t*G'*G)*A'*b",
        "strict global minimum",
    ),
    (
        "norm(A*X*B - C)^2",
        "X",
        "A: matrix(m,n); X: matrix(n,k); B: matrix(k,l); C: matrix(m,l)",
        "inv(A'*A)*A'*C*B'*inv(B*B')",
        "strict global minimum",
    ),
    (
        "norm(A - diag(v)*B)^2",
        "v",
        "A, B: matrix(m,n); v: vector(m)",
        "diag(A*B') ./ diag(B*B')",
        "strict global minimum",
    ),
    (
        "norm(X - Y)^2 + t*tr(X'*L*X)",
        "X",
        "X, Y: matrix(n,m); L: psd(n); t: positive",
        "inv(eye(n) + t*L)*Y",
        "strict global minimum",
    ),
    ("-v/2*logdet(S) - 1/2*tr(inv(S)*W)", "S", "S, W: posdef(n); v: positive", "W/v", "strict global maximum"),
    ("a*log(p) + b*log(1 - p)", "p", "p: scalar; a, b: positive", "a/(a + b)", "strict global maximum"),
    (
        "N*a*log(b) + (a - 1)*sum(log(x)) - b*sum(x) - N*lgamma(a)",
        "b",
        "x: vector(N); a, b: positive",
        "N*a/sum(x)",
        "strict global maximum",
    ),
    (
        "sum(t=1..N, (x[t] - A*x[t-1])'*inv(Q)*(x[t] - A*x[t-1]))",
        "A",
        "x[t=0..N]: vector(n); A: matrix(n,n); Q: posdef(n)",
        "sum(t=1..N, x[t]*x[t-1]')*inv(sum(t=1..N, x[t-1]*x[t-1]'))",
        "strict global minimum",
    ),
    ("norm(Q - M)^2", "Q", "M: matrix(n,n); Q: orthogonal(n)", "polar(M)", "global minimum"),
    ("tr(W'*S*W)", "W", "W: stiefel(n,p); S: symmetric(n)", "eigvecs(S,p)", "global maximum"),
    ("(w'*m)^2/(w'*S*w)", "w", "w, m: vector(n); S: posdef(n)", "inv(S)*m/sqrt(m'*inv(S)*m)", "global maximum"),
    ("norm(S - A)^2", "S", "A: matrix(n,n); S: symmetric(n)", "1/2*(A + A')", "strict global minimum"),
    ("norm(V - A)^2", "V", "A: matrix(n,n); V: diagonal(n)", "diag(diag(A))", "strict global minimum"),
    ("norm(L - A)^2", "L", "A: matrix(n,n); L: lower(n)", "tril(A)", "strict global minimum"),
    (
        "tr(W*R*W') - 2*tr(W*P)",
        "W",
        "W: matrix(k,n); R: posdef(n); P: matrix(n,k)",
        "P'*inv(R)",
        "strict global minimum",
    ),
    (
        "-logdet(X) + t/2*norm(X - A)^2",
        "X",
        "X: posdef(n); A: symmetric(n); t: positive",
        "1/2*A + sqrtm(1/4*A*A + eye(n)/t)",
        "strict global minimum",
    ),
    ("exp(x) - a*x", "x", "x: scalar; a: positive", "log(a)", "strict global minimum"),
    ("x^3 - 3*a*x", "x", "x, a: positive", "sqrt(a)", "strict global minimum"),
    ("-l/(2*m^2)*sum((x .- m).^2 ./ x)", "m", "x: positive(N); l, m: positive", "sum(x)/N", "strict global maximum"),
    (
        "-N/2*logdet(V) - 1/2*sum(i=1..N, (x[i] - m)'*inv(V)*(x[i] - m))",
        "V",
        "x[i=1..N], m: vector(n); V: diagonal(n)",
        "diag(sum(i=1..N, (x[i] - m).^2))/N",
        "strict local maximum",
    ),
]


@pytest.mark.parametrize(("objective", "unknown", "where", "expected", "kind"), PROBLEMS, ids=[p[0] for p in PROBLEMS])
def test_an_objective(objective: str, unknown: str, where: str, expected: str, kind: str) -> None:
    found = mc.extremum(objective, unknown, where=where)
    assert mc.equal(str(found.solution), expected, where=where)
    assert str(found).endswith(f"({kind})")
    checked = found.check(trials=2)
    assert checked.ok and checked.trials


PROJECTED = "y - [ones(n), basis(1,n)]*inv([n, 1; 1, 1])*[sum(y); y[1]]"
CONSTRAINED = [
    (
        "u'*R*u",
        "u",
        "u: vector(p); G: matrix(n,p); x: vector(n); R: posdef(p)",
        ["G*u = x"],
        "inv(R)*G'*inv(G*inv(R)*G')*x",
    ),
    ("sum(x .* log(p))", "p", "x, p: vector(K)", ["sum(p) = 1"], "x/sum(x)"),
    ("sum(p .* log(p ./ q))", "p", "p, q: vector(n)", ["sum(p) = 1"], "q/sum(q)"),
    ("-sum(p .* log(p))", "p", "p: vector(n)", ["sum(p) = 1"], "ones(n)/n"),
    ("c'*p + t*sum(p .* log(p))", "p", "c, p: vector(n); t: positive", ["sum(p) = 1"], "softmax(-c/t)"),
    ("norm(B - A)^2", "B", "A, B: matrix(n,n); s, y: vector(n)", ["B*s = y"], "A + (y - A*s)*s'/(s'*s)"),
    ("logdet(X)", "X", "X: posdef(n)", ["tr(X) = 1"], "eye(n)/n"),
    ("norm(x - y)^2", "x", "x, y: vector(n)", ["sum(x) = 0", "x[1] = 0"], PROJECTED),
]


@pytest.mark.parametrize(("objective", "unknown", "where", "given", "expected"), CONSTRAINED)
def test_under_equalities(objective: str, unknown: str, where: str, given: list[str], expected: str) -> None:
    found = mc.extremum(objective, unknown, where=where, subject_to=given)
    assert mc.equal(str(found.solution), expected, where=where)
    assert found.kind in ("minimum", "maximum")
    assert found.multipliers
    assert found.check(trials=2).ok


def test_two_constraints() -> None:
    where = "w, m: vector(n); S: posdef(n); r: scalar"
    found = mc.extremum("w'*S*w", "w", where=where, subject_to=["m'*w = r", "sum(w) = 1"])
    rng = np.random.default_rng(0)
    root = rng.normal(size=(4, 4))
    s, m, r = root @ root.T + np.eye(4), rng.normal(size=4), 0.3
    c = np.stack([m, np.ones(4)])
    half = np.linalg.solve(s, c.T)
    expected = half @ np.linalg.solve(c @ half, [r, 1.0])
    assert np.allclose(found.function()(S=s, m=m, r=r), expected)
    assert list(found.multipliers) == ["lambda_1", "lambda_2"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("X = X'", "(Y + Y')/2"),
        ("2*X' = -2*X", "(Y - Y')/2"),
        ("diag(diag(X)) - X = zeros(n,n)", "diag(diag(Y))"),
        ("X = tril(X)", "tril(Y)"),
        ("triu(X) = X", "triu(Y)"),
    ],
)
def test_a_structure_as_a_constraint(given: str, expected: str) -> None:
    where = "X, Y: matrix(n,n)"
    found = mc.extremum("norm(X - Y)^2", "X", where=where, subject_to=[given])
    assert mc.equal(str(found.solution), expected, where=where)
    assert found.kind == "minimum"
    assert any("constraint: " in line for line in found.lines())
    assert found.check(trials=2).ok


def test_symmetric_with_a_secant_condition() -> None:
    where = "B, A: matrix(n,n); s, y: vector(n)"
    found = mc.extremum("norm(B - A)^2", "B", where=where, subject_to=["B = B'", "B*s = y"])
    assert found.kind == "minimum"
    assert found.check(trials=3).trials == 3
    rng = np.random.default_rng(1)
    a, s, y = rng.normal(size=(3, 3)), rng.normal(size=3), rng.normal(size=3)
    b = found.function()(A=a, s=s, y=y)
    assert np.allclose(b, b.T)
    assert np.allclose(b @ s, y)


def test_no_condition_that_another_order_does_without() -> None:
    objective = "(x - m)'*inv(P)*(x - m) + (z - A*x)'*inv(Q)*(z - A*x) + (y - H*z)'*inv(R)*(y - H*z)"
    where = "x, z, m: vector(n); P, Q: posdef(n); A: matrix(n,n); H: matrix(k,n); y: vector(k); R: posdef(k)"
    found = mc.extremum(objective, ["x", "z"], where=where)
    assert found.kind == "minimum"
    assert found.check(trials=2).ok
    assert "A is invertible" not in {f"{c.term} is {c.fact}" for c in found.conditions if not c.known}


def test_the_direction_that_a_matrix_stretches_most() -> None:
    found = mc.extremum("norm(A*x)^2", "x", where="A: matrix(m,n); x: vector(n)", subject_to="x'*x = 1")
    assert str(found.solution) == "eigvecmax(A'*A)"
    assert found.check(trials=2).ok


def test_a_polynomial_fit_is_one_linear_system() -> None:
    where = "x, y: vector(n); a, b, c: scalar"
    found = mc.extremum("norm(y - a*ones(n) - b*x - c*x.^2)^2", ["a", "b", "c"], where=where)
    assert found.kind == "minimum"
    assert found.check(trials=2).ok
    x = np.linspace(-1.0, 2.0, 7)
    y = np.random.default_rng(0).normal(size=7)
    fit = found.function()(x=x, y=y)
    assert np.allclose([fit["a"], fit["b"], fit["c"]], np.polyfit(x, y, 2)[::-1])
    assert found.unicode().startswith("a = v₁[1]; b = v₁[2]; c = v₁[3] where v₁ = ")


def test_sizes_need_no_condition() -> None:
    found = mc.extremum("logdet(X)", "X", where="X, A: posdef(n); c: positive", subject_to=["tr(A*X) = c"])
    assert not [c for c in found.conditions if not c.known]


def test_conditions_among_themselves() -> None:
    found = mc.extremum("a*x + b/x", "x", where="a, b, x: scalar")
    told = {f"{c.term} is {c.fact}" for c in found.conditions if not c.known}
    assert {"a is positive", "b is positive"} <= told
    assert not any("/" in one for one in told)


EQUATIONS = [
    ("A*X + X*A' = Q", "X", "A: matrix(n,n); X, Q: symmetric(n)", "sylvester(A, A', Q)"),
    ("A*X - X*B = C", "X", "A: matrix(n,n); B: matrix(m,m); X, C: matrix(n,m)", "sylvester(A, -B, C)"),
    ("X = A - A*B*X", "X", "X, A, B: matrix(n,n)", "inv(eye(n) + A*B)*A"),
    ("inv(X) + A = B", "X", "X: invertible(n); A, B: matrix(n,n)", "inv(B - A)"),
    ("kron(A,B)*x = c", "x", "A: invertible(n); B: invertible(m); x, c: vector(n*m)", "kron(inv(A), inv(B))*c"),
    (
        "vec(A*X*B) = c",
        "X",
        "A: invertible(m); B: invertible(n); X: matrix(m,n); c: vector(m*n)",
        "inv(A)*unvec(c,m,n)*inv(B)",
    ),
    ("X' = A*B", "X", "X: matrix(m,n); A: matrix(n,k); B: matrix(k,m)", "(A*B)'"),
    ("X + 2*X' = A", "X", "X, A: matrix(n,n)", "(2*A' - A)/3"),
    ("expm(X) = A", "X", "X: symmetric(n); A: posdef(n)", "logm(A)"),
    ("X^2 = A", "X", "X, A: posdef(n)", "sqrtm(A)"),
    ("A .* X + X = B", "X", "A, B, X: matrix(m,n)", "B ./ (A .+ 1)"),
    ("x*(a'*y) + y = b", "x", "x, y, b: vector(n); a: vector(n)", "(b - y)/(a'*y)"),
    ("P = A*P*A' + Q", "P", "A, P, Q: matrix(n,n)", "unvec(inv(eye(n^2) - kron(A, A))*vec(Q), n, n)"),
    ("X + tr(X)*A = B", "X", "X, A, B: matrix(n,n)", "B - tr(B)/(1 + tr(A))*A"),
]


@pytest.mark.parametrize(("equation", "unknown", "where", "expected"), EQUATIONS)
def test_an_equation(equation: str, unknown: str, where: str, expected: str) -> None:
    found = mc.solve(equation, unknown, where=where)
    assert mc.equal(str(found.solution), expected, where=where)
    checked = found.check(trials=2)
    assert checked.ok and checked.trials


@pytest.mark.parametrize(
    ("equations", "unknowns", "where"),
    [
        ("X + A*X*B + B*X*A = C", ["X"], "X, A, B, C: matrix(n,n)"),
        ("sum(i=1..N, A[i]*X*B[i]) = C", ["X"], "A[i=1..N], B[i=1..N], X, C: matrix(n,n)"),
        (["Q*x + A'*l = b", "A*x = c"], ["x", "l"], "Q: posdef(n); A: matrix(k,n); x, b: vector(n); l, c: vector(k)"),
        (["A*x + y = b", "y + z = c", "x - z = d"], ["x", "y", "z"], "A: matrix(n,n); x, y, z, b, c, d: vector(n)"),
        (
            "[A, B; C, E]*[x; y] = [f; g]",
            ["x", "y"],
            "A: invertible(n); E: invertible(m); B: matrix(n,m); C: matrix(m,n); x, f: vector(n); y, g: vector(m)",
        ),
        ("X*B*X = C", ["X"], "X, B, C: posdef(n)"),
    ],
)
def test_systems_and_vec(equations: str | list[str], unknowns: list[str], where: str) -> None:
    found = mc.solve(equations, unknowns, where=where)
    checked = found.check()
    assert checked.ok and checked.trials
    for value in found.values.values():
        assert not any(f"{u}" in str(value).replace("'", " ").split("*") for u in unknowns)


@pytest.mark.parametrize(
    ("objective", "unknown", "where"),
    [
        ("sum(exp(X*w)) - y'*X*w", "w", "X: matrix(N,n); w: vector(n); y: vector(N)"),
        ("norm(A*x - b)^2 + t*sum(log(cosh(x)))", "x", "A: matrix(m,n); x: vector(n); b: vector(m); t: positive"),
        ("sum(i=1..N, norm(x[i] - m))", "m", "x[i=1..N]: vector(n); m: vector(n)"),
        ("norm(A - U*U')^2", "U", "A: symmetric(n); U: matrix(n,k)"),
        ("norm(A*tanh(B*x) - y)^2", "x", "A: matrix(m,k); B: matrix(k,n); x: vector(n); y: vector(m)"),
        ("tr(S*P) - logdet(P) + t*sum(sqrt(P.^2 .+ e))", "P", "P, S: posdef(n); t, e: positive"),
        ("x'*A*y", "x", "A: matrix(n,m); x: vector(n); y: vector(m)"),
    ],
)
def test_no_closed_form_is_said(objective: str, unknown: str, where: str) -> None:
    with pytest.raises(mc.NoClosedForm) as caught:
        mc.extremum(objective, unknown, where=where)
    assert unknown in str(caught.value)


def test_a_fixed_point_is_told() -> None:
    with pytest.raises(mc.NoClosedForm) as caught:
        mc.extremum("logsumexp(X*w) + t*norm(w)^2", "w", where="X: matrix(N,n); w: vector(n); t: positive")
    assert str(caught.value.hint).startswith("as a fixed point: w = ")


@pytest.mark.parametrize(
    ("equations", "unknown", "where", "words"),
    [
        (["x = a", "x = b"], "x", "x, a, b: vector(n)", "does not hold in general"),
        ("A*x = b", "x", "A: matrix(m,n); x: vector(n); b: vector(m)", "invertible"),
        ("A'*X + X*A - X*B*X + Q = 0", "X", "A: matrix(n,n); X, B, Q: posdef(n)", "no strategy isolates X"),
    ],
)
def test_equations_that_are_refused(equations: Any, unknown: str, where: str, words: str) -> None:
    with pytest.raises(mc.NoClosedForm, match=words):
        mc.solve(equations, unknown, where=where)


@pytest.mark.parametrize(
    ("equation", "unknown", "where", "consistent"),
    [
        ("A*x = b", "x", "A: matrix(m,n); x: vector(n); b: vector(m)", False),
        ("A'*A*x = A'*b", "x", "A: matrix(m,n); x: vector(n); b: vector(m)", True),
        ("A*X*B = C", "X", "A: matrix(m,n); X: matrix(n,k); B: matrix(k,l); C: matrix(m,l)", False),
    ],
)
def test_all_solutions(equation: str, unknown: str, where: str, consistent: bool) -> None:
    found = mc.solve(equation, unknown, where=where, general=True)
    assert ("so that there is a solution" in [c.reason for c in found.conditions]) is not consistent
    assert found.notes == [f"{'z' if unknown == 'x' else 'Z'} is free"]
    assert found.check().ok


def test_all_solutions_of_a_deficient_system() -> None:
    found = mc.solve("A*x = b", "x", where="A: matrix(m,n); x: vector(n); b: vector(m)", general=True)
    solution = found.function()
    a = np.array([[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]])
    b = a @ np.array([1.0, -1.0, 2.0])
    for z in (np.zeros(3), np.array([3.0, 1.0, -2.0])):
        assert np.allclose(a @ solution(A=a, b=b, z=z), b)


def test_minimize_answers_only_for_a_minimum() -> None:
    session = mc.Session()
    session.run("x: vector(n); A: symmetric(n)")
    with pytest.raises(mc.NoClosedForm, match="is a maximum, not shown to be a minimum"):
        session.run("minimize -norm(x)^2 over x")
    with pytest.raises(mc.ParseError, match="left = right"):
        session.run("minimize norm(x)^2 over x subject to x > 0")
    (answer,) = session.run("maximize x'*A*x over x subject to x'*x = 1")
    assert str(answer.value).endswith("(global maximum)")
    data = answer.to_json()["extremum"]
    assert data["kind"] == "maximum" and data["global"] and data["proof"]
    assert session.run("check")[0].value.startswith("right")


def test_the_answer_of_a_session() -> None:
    session = mc.Session()
    session.run("A: matrix(m,n); b: vector(m); x: vector(n)")
    (answer,) = session.run("extremum norm(A*x - b)^2 over x")
    assert answer.lines() == [
        "x = (Aᵀ*A)⁻¹*Aᵀ*b",
        "strict global minimum, because the objective is strictly convex in x",
        "where Aᵀ*A is invertible",
    ]
    steps = session.run("steps")[0].value.lines()
    assert steps[0].strip() == "f = ‖A*x - b‖²"
    assert "gradient of f in x is 0" in steps[1]
    assert r"\Rightarrow" in session.run("latex")[0].value or "A^{\\top}" in session.run("latex")[0].value


def test_a_scalar_is_wanted() -> None:
    with pytest.raises(mc.ShapeError, match="an extremum is of a scalar"):
        mc.extremum("A*x", "x", where="A: matrix(m,n); x: vector(n)")
    with pytest.raises(mc.MatcalcError, match="does not depend on y"):
        mc.extremum("norm(x)^2", "y", where="x, y: vector(n)")
