"""Derivatives of random expressions of the whole language against JAX's; seeds are in the names of tests.

``pytest --fuzz N`` draws N times as many.  What was once found wrong stands below as a test of its own.
"""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import matcalc as mc
from golden.witness import derivation_errors
from matcalc.compile.function import compile_numpy
from matcalc.language.functions import FUNCTIONS, SPECIAL
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from numpy_terms import arguments, shaped
from randomized.checks import check
from randomized.execution import traced
from randomized.generate import LABELS
from randomized.problems import random_problem
from randomized.shrink import shrunk

BATCHES, EACH = 10, 10


@pytest.mark.parametrize("batch", range(BATCHES))
def test_derivatives(batch: int, pytestconfig: pytest.Config) -> None:
    for number in range(EACH * int(pytestconfig.getoption("--fuzz"))):
        seed = f"{batch}:{number}"
        problem, inputs = random_problem(seed, LABELS[(batch + BATCHES * number) % len(LABELS)])
        found = check(problem, inputs, seed, spelling=Random(seed), thorough=number % 20 == 0)
        if found.kind != "right":
            pytest.fail(f"seed {seed}: {shrunk(problem, inputs, found)[1]}")


def test_every_function_is_asked_for() -> None:
    written = {"trans": "T", "transpose": "T", "vector": "ones", "matrix": "ones", "prod": "prodover"}
    for name in (*FUNCTIONS, *SPECIAL):
        assert written.get(name, name) in LABELS, name


def test_a_state_put_into_a_recurrence_keeps_its_own_steps() -> None:
    inner = "(e[N] where e[0] = u; e[j+1] = sin(s + e[j]))"
    outer = f"(t[q] where t[0] = z; t[i+1] = {inner.replace('s + ', 't[i] + ')})"
    where = "u, z, s: vector(n)"
    put = mc.parse(inner, where).subs({"s": mc.parse(outer, where)})
    assert put.term is mc.parse(inner.replace("s + ", outer + " + "), where).term


def test_what_jax_traces_is_carried_out() -> None:
    jax = pytest.importorskip("jax")
    a = np.random.default_rng(0).standard_normal((3, 3))

    def function(x):
        return jax.numpy.linalg.det(jax.numpy.linalg.inv(x @ x.T + jax.numpy.eye(3)) * jax.numpy.tanh(x))

    found = traced(jax.grad(function), a)[0]
    assert np.allclose(found, jax.grad(function)(a), rtol=1e-12)


RIGHT = {
    "a recurrence inside another": (
        "(z[N] where z[0] = y[0]; z[k+1] = triu(y[0])) where y[L] = B; y[k-1] = A*B",
        "A",
        "A: matrix(n,n); B: matrix(n,m)",
    ),
    "a recurrence in the steps of another, of its state": (
        "(t[q]'*c where t[0] = z; t[i+1] = (e[N] where e[0] = t[i]; e[j+1] = sin(A*t[i] + e[j])) + b)",
        "z",
        "A: matrix(n,n); z, b, c: vector(n)",
    ),
    "a recurrence in the steps of one of two": (
        "(t[q]'*x[q] where t[0] = z; x[0] = b; t[i+1] = (e[N] where e[0] = u; e[j+1] = sin(t[i] + e[j])) + x[i];"
        " x[i+1] = tanh(x[i] + u))",
        "u",
        "z, b, u: vector(n)",
    ),
    "sides that have to be equal": ("tr(A*M*Z)", "Z", "A: stiefel(m,n); Z: matrix(m,m); M: fullrank(n,m)"),
    "kinks at entries that are always 0": ("norm1(diag(y))", "y", "y: vector(n)"),
    "nothing to differentiate in size 1": ("spectral((X*X).^3)", "X", "X: skew(n)"),
    "the slope of sigmoid at 0": ("sum(sigmoid(A)) + sum(softplus(A))", "A", "A: skew(n)"),
}


@pytest.mark.parametrize("name", RIGHT)
def test_found_and_mended(name: str) -> None:
    found = mc.derivative(*RIGHT[name]).check()
    assert found.ok, found.message


@pytest.mark.parametrize("expr", ["acos(sigmoid(x))", "cot(sigmoid(x))", "csc(sigmoid(x))"])
def test_factors_that_differ_in_sign_alone(expr: str) -> None:
    found = mc.hessian(expr, "x", "x: scalar").check()
    assert found.ok, found.message


STEPS = {
    "nothing varies": ("abs(c)*tr(A)", "x", "x: vector(n); A: matrix(n,n); c: scalar", "gradient"),
    "terms that a rule made anew": (
        "sum(i=1..N, B .- tr(C[i]*R[i])*sum(j=i..N, ind(i <= j)))",
        "R[1]",
        "B: matrix(n,n); C[i=1..N]: matrix(m,n); R[i=1..N]: matrix(n,m)",
        "jacobian",
    ),
    "members under indices that a rule renamed": (
        "prod(i=0..q-1, exp(H[i]))",
        "H[0]",
        "H[i=0..q-1]: matrix(n,n)",
        "jacobian",
    ),
    "members before the one that varies": (
        "tr(C*prod(j=0..q-1, M[j]))",
        "M[h]",
        "C: matrix(m,m); M[i=0..q-1]: matrix(m,m)",
        "hessian",
    ),
    "the start of an adjoint recurrence uses states": (
        "sin(y[N] where y[0] = 2; y[k+1] = sin(tr(M[k]*softmax(C)) + y[k]))",
        "C",
        "C: matrix(m,n); M[i=0..N-1]: matrix(n,m)",
        "hessian",
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_steps_found_wrong_and_mended(name: str) -> None:
    expr, wrt, where, form = STEPS[name]
    d = mc.derivative(expr, wrt, where, form=form)
    assert derivation_errors(d.steps, d.wrt.term) == []
    assert all(s.before.has_diff for s in d.steps if s.rule == "d-constant" and s.kind == "equal")


def test_the_state_of_a_recurrence_is_no_argument() -> None:
    where = "x: vector(m+n); y[k=0..L-1]: vector(m); v: vector(n)"
    d = mc.derivative("(s[L] where s[0] = x; s[k+1] = [y[k]; v] + s[k])[1..m]", "y[0]", where)
    assert set(d.function().arguments) <= {"x", "y", "v"}


@pytest.mark.parametrize(
    ("expr", "wrt", "where"),
    [
        ("rows(Y)*eye(n)", "Y", "Y: matrix(n,m)"),
        ("X'", "X", "X: matrix(3,3)"),
        ("sin(x[2])*(y[N] where y[0] = x; y[k+1] = tanh(y[k]))[2]", "x", "x: vector(n)"),
        ("norm(pinv(chi(A)))", "A", "A: matrix(m,n); chi: function"),
        ("prod(j=1..N, M[j])", "M[h]", "M[i=1..N]: matrix(n,n)"),
        ("prod(j=N..1, M[j])", "M[h]", "M[i=1..N]: matrix(n,n)"),
        (
            "(theta_0[N]'*y where theta_0[0] = x; theta_0[i+1] = tanh(A*theta_0[i]))",
            "y",
            "A: matrix(n,n); x, y: vector(n)",
        ),
        ("X'", "X", "X: matrix(2*n,3)"),
        ("sum(ones(n,m*(m+1)/2)*vech(A)*x')", "x", "A: matrix(m,m); x: vector(n)"),
        ("(norm(sum(i=1..n, (y[N] where y[0] = x; y[k+1] = i*sin(y[k])))))^2", "x", "x: vector(n)"),
    ],
)
def test_latex_found_unreadable_and_mended(expr: str, wrt: str, where: str) -> None:
    d = mc.derivative(expr, wrt, where)
    assert mc.parse(f"${d.latex()}$", where).term is d.expr.term


@pytest.mark.parametrize(
    ("expr", "where"),
    [
        ("ones(n)*x' .- 1", "x: vector(m); n: integer"),
        ("ones(n)*x' + z*ones(1,m) .- s", "x: vector(m); z: vector(n); s: scalar"),
        ("softmax(s*(A./A))", "A: positive(n,m); s: scalar"),
        ("logsumexp(A./A)", "A: positive(n,m)"),
        ("softmax(A - A)", "A: positive(n,m)"),
        ("logsumexp(ones(n,m) - s*ones(n,m)) + z", "s: scalar; z: vector(n); m: integer"),
        ("softmax(ones(n,m) - s*ones(n,m)) + A", "s: scalar; A: matrix(n,m)"),
        ("triu(ones(n)) .* step(triu(z)) .* step(relu(triu(z)))", "z: vector(n)"),
        ("commutation(n,m)*(commutation(n,m)*vec(A + x*z'))", "A: matrix(m,n); x: vector(m); z: vector(n)"),
        ("exp(-A)/s - A + sigmoid(A)", "A: matrix(n,m); s: scalar"),
        ("sum(i=1..N, [x[i]', ones(1,m)])", "x[i=1..N]: vector(n)"),
        ("kron(A*A', z*z') + eye(m*n)", "A: matrix(m,m); z: vector(n)"),
    ],
)
def test_code_found_wrong_and_mended(expr: str, where: str) -> None:
    term = mc.parse(expr, where).term
    for seed in range(2):
        env = sample(term, seed)
        given = arguments(term, env)
        function = compile_numpy(term)
        found = function(**{name: given[name] for name in function.arguments})
        assert np.allclose(found, shaped(evaluate(term, env), term.rows, term.cols)), function.source
        assert np.shape(found) == np.shape(shaped(evaluate(term, env), term.rows, term.cols))


@pytest.mark.parametrize("shape", [(1, 8), (8, 1), (8,)])
def test_a_row_or_a_column_of_a_multiple_is_given_in_either_shape(shape: tuple[int, ...]) -> None:
    function = mc.parse("A'[1..n]", "A: matrix(1,2*n)").function()
    assert np.array_equal(function(A=np.arange(8.0).reshape(shape)), np.arange(4.0))
