"""Hessians and Jacobians as linear operators."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse.linalg import LinearOperator, cg

import matcalc as mc
from matcalc.errors import MatcalcError
from matcalc.interface.operator import KroneckerSum

RNG = np.random.default_rng(0)
WHERE = "M: matrix(m,n); U: matrix(m,k); V: matrix(n,k); l: positive; A: posdef(m); B: posdef(k)"


def posdef(size):
    factor = RNG.normal(size=(size, size))
    return factor @ factor.T + np.eye(size)


DATA = {
    "M": RNG.normal(size=(5, 4)),
    "U": RNG.normal(size=(5, 3)),
    "V": RNG.normal(size=(4, 3)),
    "l": 0.3,
    "A": posdef(5),
    "B": posdef(3),
}


def hessian(expression, wrt="U"):
    return mc.hessian(expression, wrt, where=WHERE)


@pytest.mark.parametrize(
    "expression, products",
    [
        ("norm(M - U*V')^2", 1),
        ("norm(M - U*V')^2 + l*norm(U)^2", 1),
        ("norm(M - U*V')^2 + tr(U'*A*U)", 2),
        ("tr(U'*A*U*B)", 1),
        ("tr(U'*A*U*B) + norm(U*V')^2 + tr(U'*A*U)", 2),
    ],
)
def test_kronecker_products_are_kept_as_factors(expression, products):
    found = hessian(expression)
    function = found.operator()
    dense = found.function("numpy")
    given = {name: DATA[name] for name in {*function.arguments, *dense.arguments}}
    matrix = dense(**{name: given[name] for name in dense.arguments})
    made = function(**{name: given[name] for name in function.arguments})
    assert isinstance(made, KroneckerSum) and len(made.factors) == products
    assert "kron" not in function.source.split('"""')[-1]
    assert np.allclose(made.toarray(), matrix)
    vector = RNG.normal(size=15)
    assert np.allclose(made @ vector, matrix @ vector)
    assert np.allclose(made.solve(vector), np.linalg.solve(matrix, vector))
    assert np.allclose(made.operator().rmatvec(vector), matrix.T @ vector)
    block = vector.reshape((5, 3), order="F")
    assert np.allclose(made.solve(block).ravel(order="F"), made.solve(vector))


def test_a_newton_step_of_a_large_factorisation():
    m, n, k = 4000, 300, 20
    M, U, V = RNG.normal(size=(m, n)), RNG.normal(size=(m, k)), RNG.normal(size=(n, k))
    where = "M: matrix(m,n); U: matrix(m,k); V: matrix(n,k)"
    gradient = mc.derivative("norm(M - U*V')^2", "U", where=where).function("numpy")
    step = mc.hessian("norm(M - U*V')^2", "U", where=where).operator()(U=U, V=V)
    assert step.shape == (80_000, 80_000)
    best = U - step.solve(gradient(M=M, U=U, V=V))
    assert np.allclose(best, M @ V @ np.linalg.inv(V.T @ V))


def test_everything_else_is_matrix_free():
    where = "X: matrix(N,n); y: vector(N); w: vector(n); l: positive"
    found = mc.hessian("sum(softplus(-y .* (X*w))) + l*norm(w)^2", "w", where=where)
    given = {"X": RNG.normal(size=(9, 3)), "y": RNG.choice([-1.0, 1.0], 9), "w": RNG.normal(size=3), "l": 0.5}
    made = found.operator()(**given)
    matrix = found.function("numpy")(**given)
    assert isinstance(made, LinearOperator) and made.shape == (3, 3)
    assert np.allclose(made @ np.eye(3), matrix)
    right = RNG.normal(size=3)
    assert np.allclose(cg(made, right, rtol=1e-12)[0], np.linalg.solve(matrix, right))


def test_a_hessian_that_mixes_rows_and_columns_is_matrix_free():
    found = mc.hessian("tr(X*X) + logdet(X)", "X", where="X: invertible(n)")
    point = posdef(3)
    made = found.operator()(X=point)
    assert isinstance(made, LinearOperator)
    assert np.allclose(made @ np.eye(9), found.function("numpy")(X=point))


@pytest.mark.parametrize("kind", ["posdef", "symmetric", "diagonal", "invertible"])
def test_a_structured_variable_has_independent_entries(kind):
    """The operator is the matrix, for directions without the structure too."""
    found = mc.hessian("tr(inv(S)*C) + logdet(S)", "S", where=f"S: {kind}(n); C: matrix(n,n)")
    point = np.diag([1.0, 2.0, 3.0]) if kind == "diagonal" else posdef(3)
    given = {"S": point, "C": RNG.normal(size=(3, 3))}
    made = found.operator()(**given)
    assert np.allclose(made @ np.eye(9), found.function("numpy")(**given))


def test_a_jacobian_acts_both_ways():
    found = mc.derivative("A*X*X'", "X", where="A: matrix(p,m); X: matrix(m,n)")
    given = {"A": RNG.normal(size=(2, 3)), "X": RNG.normal(size=(3, 4))}
    made, matrix = found.operator()(**given), found.function("numpy")(**given)
    assert made.shape == (6, 12)
    assert np.allclose(made @ np.eye(12), matrix) and np.allclose(made.rmatmat(np.eye(6)), matrix.T)


def test_refusals():
    with pytest.raises(MatcalcError, match=r"gradient, no matrix"):
        mc.derivative("x'*x", "x", where="x: vector(n)").operator()
    function = hessian("norm(M - U*V')^2").operator()
    with pytest.raises(MatcalcError, match="missing V; unknown q"):
        function(U=DATA["U"], q=1)
    made = function(U=DATA["U"], V=DATA["V"])
    with pytest.raises(MatcalcError, match="does not fit"):
        made.solve(np.ones(7))
    three = KroneckerSum([(DATA["B"], None)] * 3, 5, 3)
    with pytest.raises(MatcalcError, match="sum of 3 Kronecker products"):
        three.solve(np.ones(15))
