"""The presented form: factored, never larger, equal in value, the same whatever the order of the operands."""

from __future__ import annotations

import importlib
import random
import sys
from typing import Any

import pytest

import matcalc as mc
from matcalc.calculus.addends import cost
from matcalc.calculus.present import collected, factored, present, presentation
from matcalc.calculus.system import system
from matcalc.numeric.check import replay
from matcalc.resources import data_dir
from matcalc.terms import build
from matcalc.terms.dims import ONE
from matcalc.terms.term import Term
from test_derivatives import Generator, M, N

BENCHMARKS = data_dir("rules").parent / "benchmarks"
WHERE = {
    "A, B, C": "matrix(m,n)",
    "F, G": "matrix(n,n)",
    "S": "symmetric(n)",
    "x, y, z": "vector(n)",
    "b": "vector(m)",
    "s, t, u": "scalar",
}


def term(text: str) -> Term:
    return mc.parse(text, where=WHERE).term


def show(made: Term) -> str:
    return str(mc.Expr(made))


def simplified(made: Term) -> Term:
    rules = system(frozenset())
    return present(rules, rules.simplify(made))


# ---------------------------------------------------------------- forms


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("A'*A*x - A'*b", "A'*(A*x - b)"),
        ("A'*A + A'*B + B'*A + B'*B", "(A + B)'*(A + B)"),
        ("tr(F) + tr(G)", "tr(F + G)"),
        ("vec(A*F) + 2*vec(B*F)", "vec((A + 2*B)*F)"),
        ("x .* y + x .* z .* z", "x .* (y + z.^2)"),
        ("(A ⊗ F) + (A ⊗ G)", "kron(A, F + G)"),
        ("F + G + (F + G)*S", "(F + G)*(S + eye(n))"),
        ("2*basis(1,2)*s + t*basis(2,2)", "[2*s; t]"),
        ("F'*F'*G + 2*(F^2)'*G", "3*F'*F'*G"),
        ("x/(x'*x) - (x'*y)*y/(x'*x)^2", "(x - (x'*y)*y/(x'*x))/(x'*x)"),
        ("x'*x - 2*x'*y + y'*y", "(x - y)'*(x - y)"),
        ("1 - s/(s + t)", "t/(s + t)"),
        ("1/(s + t) - s/(s + t)^2", "t/(s + t)^2"),
        ("F - F*inv(F + G)*F", "F*inv(F + G)*G"),
        ("1 ./ sqrt(x.^2 .+ s) - x.^2 ./ (x.^2 .+ s).^(3/2)", "s ./ (x.^2 .+ s).^(3/2)"),
        ("u/s/(t/s + 1)", "u/(s + t)"),
        ("y'*S*x - t*z'*S*y", "(x - t*z)'*S*y"),
        ("A*(x - y) + s*B*(y - x)", "(s*B - A)*(y - x)"),
        ("F*x*y' - F*x*z'", "F*x*(y - z)'"),
        ("inv(F)'*inv(F)'", "(F^-2)'"),
        ("G' .* F'", "(F .* G)'"),
        ("F'*G' + G'*F'", "(F*G + G*F)'"),
        ("x .* basis(i, n)", "x[i]*basis(i,n)"),
        ("4*s^2 - 12*s*t + 9*t^2 + u", "(2*s - 3*t)^2 + u"),
        ("x'*S*x + 2*y'*S*x + y'*S*y", "(x + y)'*S*(x + y)"),
        ("10/2*s", "5*s"),
        ("log(2*pi)", "log(2*pi)"),
        ("vec(x*b')", "kron(b, x)"),
        ("inv(F)*inv(A'*A*inv(F) + eye(n))", "inv(A'*A + F)"),
        ("inv(x*y' + s*eye(n))*x", "x/(y'*x + s)"),
        ("(eye(n*n) + commutation(n,n))*vec(F)", "vec(F + F')"),
        ("sum(i=1..n, sum(j=1..n, x[i]*F[i,j]*y[j]))", "x'*F*y"),
        ("sum(i=1..n, exp(x[i])*y[i]^2)", "(y.^2)'*exp(x)"),
        ("sum(i=1..n, x[i]*basis(i,n)*basis(i,n)')", "diag(x)"),
        ("sum(k=1..n, A[1,k]*F[k,2])", "(A*F)[1,2]"),
        ("sum(i=2..n, x[i])", "sum(i=2..n, x[i])"),
        ("exp(s)/(1 + exp(s))", "sigmoid(s)"),
        ("y .* (ones(n) - sigmoid(x)) - (ones(n) - y) .* sigmoid(x)", "y - sigmoid(x)"),
    ],
)
def test_forms(text: str, form: str) -> None:
    made = term(text)
    answer = simplified(made)
    assert answer is simplified(term(form)), show(answer)
    assert cost(answer) <= cost(term(form)), show(answer)
    assert replay(made, answer, 3) < 1e-8


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("s*(s + 2) + 1", "(s + 1)^2"),
        ("s^2 - t^2", "(s - t)*(s + t)"),
        ("s^2 - 1", "(s - 1)*(s + 1)"),
        ("F*G*x + F*y", "F*(G*x + y)"),
        ("F + F*G", "F*(G + eye(n))"),
        ("s + t", "s + t"),
    ],
)
def test_factor(text: str, form: str) -> None:
    assert factored(system(frozenset()), term(text)) is term(form)


def test_signs_are_turned_one_at_a_time() -> None:
    made = term("-F*(x - y)*(x - y)'*F + F*(y - x)*(y - x)'*F")
    assert simplified(made) is build.zeros("n", "n")
    assert replay(term("-F*(x - y)*(x - y)'*F"), simplified(term("-F*(x - y)*(x - y)'*F")), 2) < 1e-8


@pytest.mark.parametrize("n", [1, 2])
def test_contraction_in_small_sizes(n: int) -> None:
    where = {"x, y": f"vector({n})", "F": f"matrix({n},{n})"}
    made = mc.parse(f"sum(i=1..{n}, sum(j=1..{n}, x[i]*F[i,j]*exp(y[j])))", where=where).term
    assert replay(made, simplified(made), 2) < 1e-8


# ---------------------------------------------------------------- promises


@pytest.mark.parametrize("seed", range(25))
def test_sound_idempotent_and_never_larger(seed: int) -> None:
    generator = Generator(900 + seed)
    shape = [(ONE, ONE), (M, ONE), (M, N)][seed % 3]
    made = generator.make(*shape, 4)
    rules = system(frozenset())
    start = rules.simplify(made)
    answer = present(rules, start)
    assert cost(answer)[0] <= cost(start)[0]
    assert present(rules, rules.simplify(answer)) is answer
    assert collected(rules, collected(rules, start)) is collected(rules, start)
    error = replay(made, answer, 2)
    assert error < 1e-6 or error == float("inf"), f"{made}  {answer}"
    after = start
    for change in presentation(rules, start):
        assert change.after.shape == after.shape
        after = change.after
    assert after is answer


@pytest.mark.parametrize("seed", range(12))
def test_the_order_of_the_operands_does_not_matter(seed: int) -> None:
    rng = random.Random(seed)
    addends = ["2*A'*A*x", "-A'*b", "s*x", "3*F*y", "(x'*y)*x", "x .* y", "t*F'*y", "-s*t*x"]
    chosen = rng.sample(addends, 5)
    factors = ["s", "(t + u)", "x'*y", "(1 + exp(s))"]
    forms = {term(" + ".join(chosen))}
    products = set()
    for _ in range(6):
        rng.shuffle(chosen)
        rng.shuffle(factors)
        forms.add(term(" + ".join(f"({a})" for a in chosen)))
        products.add(term(" * ".join(f"({a})" for a in factors)))
    for made in (forms, products):
        assert len({simplified(t) for t in made}) == 1
        assert len({system(frozenset()).expand(t) for t in made}) == 1


@pytest.mark.parametrize(
    ("left", "right", "how"),
    [
        ("vec(x*b')", "b ⊗ x", "the same normal form"),
        ("(F + G)*(F + G)", "F*F + F*G + G*F + G*G", "the same normal form"),
        ("x'*F*y", "y'*F'*x", "the same normal form"),
        ("inv(eye(n) + F*G)*F", "F*inv(eye(n) + G*F)", "the difference simplifies to 0"),
        ("sum(i=1..n, x[i]*y[i])", "x'*y", "the same normal form"),
        ("det(F*G)", "det(F)*det(G)", "the same normal form"),
        ("exp(F')", "exp(F)'", "the same normal form"),
        ("exp(F)[i,j]", "exp(F[i,j])", "the same normal form"),
        ("(F .* G)[i,j]", "F[i,j]*G[i,j]", "the same normal form"),
        ("vec(tanh(A))", "tanh(vec(A))", "the same normal form"),
        ("diag(exp(F))", "exp(diag(F))", "the same normal form"),
        ("exp([x; y])", "[exp(x); exp(y)]", "the same normal form"),
        ("sum([x; y].^2)", "x'*x + y'*y", "the same normal form"),
        ("exp(x*ones(1,m))", "exp(x)*ones(1,m)", "the same normal form"),
        ("relu(x) + relu(-x)", "abs(x)", "the same normal form"),
        ("det(x*y' + eye(n))", "1 + y'*x", "the same normal form"),
    ],
)
def test_equal_by_form(left: str, right: str, how: str) -> None:
    answer = mc.equal(left, right, where=WHERE)
    assert answer and answer.how == how


def test_equal_by_numbers_is_told() -> None:
    answer = mc.equal("sin(s + t)", "sin(s)*cos(t) + cos(s)*sin(t)", where=WHERE)
    assert answer and answer.how.startswith("by numbers only")
    assert not mc.equal("F*G", "G*F", where=WHERE)


# ---------------------------------------------------------------- problems with a textbook's answer


def _benchmark() -> Any:
    """The script as a module; it finds the modules that lie beside it."""
    sys.path.append(str(BENCHMARKS))
    try:
        return importlib.import_module("problems")
    finally:
        sys.path.remove(str(BENCHMARKS))


PROBLEMS = _benchmark()


@pytest.mark.parametrize("problem", PROBLEMS.problems()[::3], ids=lambda p: p["id"])
def test_problems(problem: dict[str, object]) -> None:
    result = PROBLEMS.run(problem, timed=False)
    assert result.status == "right", result
    assert result.ratio is None or result.ratio <= PROBLEMS.LONGER, result


def test_the_report_names_what_is_not_perfect() -> None:
    results = [
        PROBLEMS.Result("one", "right", "x", "x", "these", 3, 2, 0.001),
        PROBLEMS.Result("two", "refused", "why", "y"),
        PROBLEMS.Result("three", "right", "z", "z", "those", 2, 2, 0.002),
    ]
    page = PROBLEMS.report(results, BENCHMARKS / "problems.py")
    assert "**one** (3 nodes for 2)" in page and "**two** (refused)" in page and "**three**" not in page
    assert "2 right, 0 wrong, 1 refused of 3" in page
    assert "| these | 1 | 1 | 1.50 | 1.50 |" in page


def test_a_sum_inside_a_sum_keeps_its_own_index():
    """Both ran under one name while common factors were drawn out: x[i] - x[j] became 0."""
    where = {"x[i=1..N]": "vector(n)", "A": "matrix(m,n)"}
    hessian = mc.hessian("sum(i=1..N, sum(j=1..N, exp(-norm(A*(x[i] - x[j]))^2)))", "A", where=where)
    assert "zeros" not in str(hessian) and hessian.check().ok


def test_sums_of_matrices_stay_what_they_are() -> None:
    where = {"A": "matrix(n,n)", "Q[i=1..N]": "diagonal(n)", "h": "integer"}
    assert mc.derivative("max(A, sum(i=1..N, max(Q[i], A)))", "Q[h]", where).check()


@pytest.mark.parametrize(
    ("f", "wrt", "answer"),
    [
        ("sum(i=1..n, (y[i] - X[i,1..p]*c)^2)", "c", "2*X'*(X*c - y)"),
        ("sum(i=1..n, logsumexp(X[i,1..p]'))", "X", "softmax(X)"),
        ("sum(i=1..n, norm(X[i,1..p] - y[i]*c')^2)", "X", "2*(X - y*c')"),
        ("sum(j=1..p, norm(X[1..n,j] - W*H[1..k,j])^2)", "W", "2*(W*H - X)*H'"),
        ("sum(i=1..n, sum(j=1..n, A[i,j]*norm(X[i,1..p] - X[j,1..p])^2))", "X", "4*(diag(A*ones(n)) - A)*X"),
        ("sum(i=1..n, sum(j=1..n, abs(y[i] - y[j])))", "y", ""),
        ("sum(i=1..n, y[i]*X[i,1..p].^(c')*c)", "y", ""),
    ],
)
def test_rows_and_columns_at_an_index(f: str, wrt: str, answer: str) -> None:
    where = {"X": "matrix(n,p)", "W": "matrix(n,k)", "H": "matrix(k,p)", "c": "vector(p)", "y": "vector(n)"}
    found = mc.derivative(f, wrt, {**where, "A": "symmetric(n)"})
    assert found.check() or "abs" in f  # which has a kink at i = j
    assert not answer or str(found) == answer


@pytest.mark.parametrize(
    ("f", "wrt", "answer"),
    [
        ("tr(B^3)", "B", "3*(B^2)'"),
        ("tr(B^4)", "B", "4*(B^3)'"),
        ("sum(exp(X'*X))", "X", "2*X*exp(X'*X)"),
        ("exp(B)[1,2]", "B", "exp(B[1,2])*basis(1,n)*basis(2,n)'"),
        ("sum(exp(x*ones(1,m)))", "x", "m*exp(x)"),
        ("sum(exp([x; w; z]))", "w", "exp(w)"),
        ("norm([A*x - y; x - w; z])^2", "x", "2*(A'*(A*x - y) + x - w)"),
        ("[x; 1]'*[B, x; x', 2]*[x; 1]", "x", "(B + B' + 4*eye(n))*x"),
        ("sum(exp(triu(B)))", "B", "triu(exp(B))"),
        ("logdet(x*x' + eye(n))", "x", "2*x/(x'*x + 1)"),
        ("det(x*w' + eye(n))", "x", "w"),
        ("y*sum(exp(B))", "B", "y*vec(exp(B))'"),
    ],
)
def test_functions_powers_and_blocks(f: str, wrt: str, answer: str) -> None:
    where = {"A, X": "matrix(m,n)", "B": "matrix(n,n)", "x, w": "vector(n)", "y": "vector(m)", "z": "vector(k)"}
    found = mc.derivative(f, wrt, where)
    assert found.check()
    assert str(found) == answer
