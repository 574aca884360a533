"""Functions of matrices: values against SciPy, closed forms, derivatives of all orders against differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

import matcalc as mc
from matcalc.errors import MatcalcError
from matcalc.numeric import spectral
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample

WHERE = (
    "A, B, X, C: matrix(n,n); a, b: vector(n); s, t: scalar; u: positive; P, R: posdef(n); S: symmetric(n); "
    "K: skew(n); Y, Z: matrix(m,n); F: fullrank(m,n); Q: orthogonal(n); V: stiefel(m,n); D: diagonal(n)"
)


def root(a):
    return np.real(linalg.sqrtm(a))


VALUES = {
    "expm(A)": lambda A: linalg.expm(A),
    "logm(P)": lambda P: np.real(linalg.logm(P)),
    "sqrtm(P)": root,
    "dexpm(A, B)": lambda A, B: linalg.expm_frechet(A, B, compute_expm=False),
    "dlogm(P, B)": lambda P, B: np.real(linalg.logm(np.block([[P, B], [0 * P, P]])))[: len(P), len(P) :],
    "sylvester(P, R, B)": linalg.solve_sylvester,
    "pinv(Y)": np.linalg.pinv,
    "polar(Y)": lambda Y: linalg.polar(Y)[0],
    "nuclear(Y)": lambda Y: [[np.linalg.norm(Y, "nuc")]],
    "spectral(Y)": lambda Y: [[np.linalg.norm(Y, 2)]],
    "eigmax(S)": lambda S: [[np.linalg.eigvalsh(S)[-1]]],
}


@pytest.mark.parametrize("text", VALUES)
def test_values(text):
    term = mc.parse(text, WHERE).term
    for seed in range(4):
        env = sample(term, seed)
        given = {symbol.name: value for symbol, value in env.symbols.items()}
        names = [name for name in text.replace("(", ",").replace(")", ",").replace(" ", "").split(",") if name in given]
        assert np.allclose(evaluate(term, env), VALUES[text](*(given[name] for name in names)), rtol=1e-9, atol=1e-10)


def test_eigenvectors():
    term = mc.parse("eigvecs(S, 2)", WHERE).term
    env = sample(term, 1)
    (symmetric,) = env.symbols.values()
    vectors = evaluate(term, env)
    assert np.allclose(vectors.T @ vectors, np.eye(2))
    assert np.allclose(symmetric @ vectors, vectors * np.linalg.eigvalsh(symmetric)[::-1][:2])


@pytest.mark.parametrize("function", [spectral.logm, spectral.sqrtm])
def test_no_value_on_the_negative_axis(function):
    assert np.isnan(function(np.diag([1.0, -2.0]))).all()


def test_the_exponential_of_a_large_matrix():
    a = 40 * np.random.default_rng(0).standard_normal((4, 4))
    assert np.allclose(spectral.expm(a), linalg.expm(a), rtol=1e-9)


ANALYTIC = {
    "expm": (spectral.expm, (3, 3)),
    "logm": (spectral.logm, (3, 3)),
    "sqrtm": (spectral.sqrtm, (3, 3)),
    "pinv tall": (spectral.pinv, (4, 2)),
    "pinv wide": (spectral.pinv, (2, 4)),
    "polar tall": (spectral.polar, (4, 3)),
    "polar wide": (spectral.polar, (2, 3)),
    "nuclear": (spectral.nuclear, (3, 2)),
    "spectral": (spectral.spectral, (2, 4)),
    "eigmax": (spectral.eigmax, (3, 3)),
    "eigvecs": (lambda a: spectral.eigvecs(a, 2), (3, 3)),
}


@pytest.mark.parametrize("name", ANALYTIC)
def test_the_complex_step(name):
    function, shape = ANALYTIC[name]
    rng = np.random.default_rng(3)
    a = 2 * np.eye(*shape) + 0.4 * rng.standard_normal(shape)
    e = rng.standard_normal(shape)
    exact = function(a + 1e-30j * e).imag / 1e-30
    h = 1e-5
    assert np.allclose(exact, (function(a + h * e) - function(a - h * e)) / (2 * h), atol=1e-8)


def test_the_pseudo_inverse_of_constant_lower_rank():
    rng = np.random.default_rng(1)
    x, y, dx = rng.standard_normal((4, 2)), rng.standard_normal((2, 3)), rng.standard_normal((4, 2))
    exact = spectral.pinv((x + 1e-30j * dx) @ y).imag / 1e-30
    h = 1e-5
    differences = (np.linalg.pinv((x + h * dx) @ y) - np.linalg.pinv((x - h * dx) @ y)) / (2 * h)
    assert np.allclose(exact, differences, atol=1e-7)


CLOSED = [
    ("tr(expm(X))", "X", "expm(X)'"),
    ("tr(expm(A*X*B))", "X", "A'*expm(A*X*B)'*B'"),
    ("a'*expm(t*A)*b", "t", "a'*A*expm(t*A)*b"),
    ("a'*expm(X)*b", "X", "dexpm(X, b*a')'"),
    ("log(tr(expm(S)))", "S", "expm(S)/tr(expm(S))"),
    ("tr(logm(P))", "P", "inv(P)"),
    ("-tr(P*logm(P))", "P", "-(logm(P) + eye(n))"),
    ("tr(P*(logm(P) - logm(R)))", "P", "logm(P) + eye(n) - logm(R)"),
    ("tr(sqrtm(P))", "P", "1/2*inv(sqrtm(P))"),
    ("tr(A*sqrtm(P))", "P", "sylvester(sqrtm(P), sqrtm(P), A)'"),
    ("log(det(expm(X)))", "X", "eye(n)"),
    ("nuclear(Y)", "Y", "polar(Y)"),
    ("spectral(Y)^2", "Y", "2*Y*eigvecmax(Y'*Y)*eigvecmax(Y'*Y)'"),
    ("eigmax(S)", "S", "eigvecmax(S)*eigvecmax(S)'"),
    ("logdet(pinv(Y)'*pinv(Y))", "Y", "-2*pinv(Y)'"),
    ("tr(F*pinv(F))", "F", "zeros(m,n)"),
    ("tr(sylvester(A, B, X))", "X", "sylvester(B, A, eye(n))'"),
]


@pytest.mark.parametrize(("function", "wrt", "expected"), CLOSED)
def test_closed_forms(function, wrt, expected):
    d = mc.derivative(function, wrt, WHERE)
    found = mc.equal(d.expr, expected, WHERE)
    assert found and "normal form" in str(found), str(d)
    assert d.check().ok
    assert all(step.before is not step.after for step in d.steps)


EQUAL = [
    ("inv(expm(A))", "expm(-A)"),
    ("det(expm(A))", "exp(tr(A))"),
    ("expm(t*A)*expm(s*A)", "expm((s + t)*A)"),
    ("expm(A)*A", "A*expm(A)"),
    ("expm(A)*expm(-A)", "eye(n)"),
    ("expm(A)^3", "expm(3*A)"),
    ("expm(Q*A*Q')", "Q*expm(A)*Q'"),
    ("logm(expm(S))", "S"),
    ("expm(logm(A))", "A"),
    ("sqrtm(P)*sqrtm(P)", "P"),
    ("inv(sqrtm(P))*P", "sqrtm(P)"),
    ("logdet(sqrtm(P))", "1/2*logdet(P)"),
    ("pinv(F)*F", "eye(n)"),
    ("Y*pinv(Y)*Y", "Y"),
    ("(Y*pinv(Y))'", "Y*pinv(Y)"),
    ("pinv(P)", "inv(P)"),
    ("pinv(V)", "V'"),
    ("polar(u*V)", "V"),
    ("nuclear(P)", "tr(P)"),
    ("nuclear(a)", "norm(a)"),
    ("spectral(a')", "norm(a)"),
    ("spectral(P)", "eigmax(P)"),
    ("S*eigvecmax(S)", "eigmax(S)*eigvecmax(S)"),
    ("eigmax(S + t*eye(n))", "eigmax(S) + t"),
    ("eigvecs(S, p)'*eigvecs(S, p)", "eye(p)"),
    ("dexpm(A', B)", "dexpm(A, B')'"),
    ("dexpm(A, A*B)", "A*dexpm(A, B)"),
]


@pytest.mark.parametrize(("left", "right"), EQUAL)
def test_identities(left, right):
    found = mc.equal(left, right, WHERE)
    assert found and "normal form" in str(found)


JACOBIANS = [
    *("expm(X)", "expm(t*X)*b", "logm(X)", "sqrtm(X)", "dexpm(X, A)", "dexpm(X, a, 2)", "dlogm(X, A)", "inv(expm(X))"),
    *("sylvester(X, B, A)", "sylvester(A, X, B)", "pinv(X)*b", "polar(X)", "eigvecmax(X*X')", "expm(X*X')*X"),
]


@pytest.mark.parametrize("function", JACOBIANS)
def test_jacobians(function):
    result = mc.derivative(function, "X", WHERE).check()
    assert result.ok, result.message


@pytest.mark.parametrize("function", ["pinv(Y)", "polar(Y)", "Y*pinv(Y)", "pinv(Y)*Y", "Y*eigvecmax(Y'*Y)"])
def test_jacobians_of_rectangles(function):
    result = mc.derivative(function, "Y", WHERE).check()
    assert result.ok, result.message


HESSIANS = [
    *(("tr(expm(X))", "X"), ("a'*expm(X)*b", "X"), ("a'*logm(P)*b", "P"), ("tr(sqrtm(P))", "P"), ("nuclear(Y)", "Y")),
    *(("spectral(Y)", "Y"), ("eigmax(S)", "S"), ("tr(Z'*Y*pinv(Y)*Z)", "Y"), ("tr(A*sylvester(X, B, C))", "X")),
    *(("a'*expm(t*A)*b", "t"), ("a'*polar(X)*b", "X"), ("(a'*eigvecmax(S))^2", "S"), ("norm(pinv(Y))^2", "Y")),
]


@pytest.mark.parametrize(("function", "wrt"), HESSIANS)
def test_hessians(function, wrt):
    result = mc.hessian(function, wrt, WHERE).check(trials=2)
    assert result.ok, result.message


def test_third_derivatives():
    third = mc.derivative(mc.hessian("a'*expm(t*A)*b", "t", WHERE).expr, "t", WHERE)
    assert mc.equal(third.expr, "a'*A^3*expm(t*A)*b", WHERE)


CONDITIONS = [
    ("tr(A*logm(X))", "X", ("X", "principal")),
    ("tr(A*sqrtm(X))", "X", ("X", "principal")),
    ("tr(A*pinv(X))", "X", ("X", "fixedrank")),
    ("nuclear(Y)", "Y", ("Y", "fixedrank")),
    ("eigmax(S)", "S", ("S", "simple")),
    ("spectral(Y)", "Y", ("Y'*Y", "simple")),
    ("sum(eigvecs(S, 2))", "S", ("S", "distinct")),
    ("tr(sylvester(A, B, X))", "X", ("kron(B', eye(n)) + kron(eye(n), A)", "invertible")),
]


@pytest.mark.parametrize(("function", "wrt", "condition"), CONDITIONS)
def test_conditions(function, wrt, condition):
    found = [(str(term), fact) for term, fact in mc.derivative(function, wrt, WHERE).conditions]
    assert condition in found


def test_conditions_in_words():
    session = mc.Session()
    answers = session.run("S: symmetric(n)\ngrad(eigmax(S), S)")
    assert "where S is of simple largest eigenvalue" in str(answers[-1])


@pytest.mark.parametrize(
    "text", ["expm(Y)", "sylvester(A, Y, B)", "dexpm(A, a)", "eigmax(Y)", "eigvecs(S)", "eigvecs(S, 0)", "polar()"]
)
def test_refused(text):
    with pytest.raises(MatcalcError):
        mc.parse(text, WHERE)


def test_generated_code_imports_what_it_needs():
    assert "from scipy import linalg" in mc.derivative("tr(A*expm(X))", "X", WHERE).code()
    assert "scipy" not in mc.derivative("nuclear(Y)", "Y", WHERE).code()
