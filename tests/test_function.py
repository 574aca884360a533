"""``mc.function``: several quantities of one expression, computed together."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest

import matcalc as mc

RNG = np.random.default_rng(0)
LEAST = "A: matrix(m,n); x: vector(n); b: vector(m)"


def data(**shapes):
    return {name: RNG.normal(size=shape) for name, shape in shapes.items()}


def difference(function, wrt, values, direction, step=1e-6):
    """The derivative of a scalar or an array along a direction, by central differences."""
    ends = [function(**{**values, wrt: values[wrt] + sign * step * direction}) for sign in (1, -1)]
    return (np.asarray(ends[0]) - np.asarray(ends[1])) / (2 * step)


def test_value_gradient_hessian_and_products():
    f = mc.function("norm(A*x - b)^2", "x", ("value", "gradient", "hessian", "hvp", "gauss_newton"), where=LEAST)
    given = data(A=(4, 3), x=3, b=4, dx=3)
    A, x, b, dx = given.values()
    value, gradient, hessian, product, approximate = f(**given)
    assert np.isclose(value, np.sum((A @ x - b) ** 2))
    assert np.allclose(gradient, 2 * A.T @ (A @ x - b))
    assert np.allclose(hessian, 2 * A.T @ A)
    assert np.allclose(product, 2 * A.T @ A @ dx)
    assert np.allclose(approximate, product) and approximate is not product


def test_one_quantity_comes_alone():
    f = mc.function("norm(A*x - b)^2", "x", "gradient", where=LEAST)
    assert f(A=np.eye(2), x=[1, 2], b=[0, 0]).tolist() == [2.0, 4.0]


def test_several_variables():
    where = "W1: matrix(h,n); W2: matrix(m,h); x[i=1..N]: vector(n); y[i=1..N]: vector(m)"
    loss = "sum(i=1..N, norm(W2*tanh(W1*x[i]) - y[i])^2)"
    names = ["W1", "W2"]
    f = mc.function(loss, names, ("value", "gradient", "hvp", "gauss_newton"), where=where)
    given = data(W1=(4, 3), W2=(2, 4), x=(5, 3), y=(5, 2), dW1=(4, 3), dW2=(2, 4))
    _, gradient, product, approximate = f(**given)
    values = mc.function(loss, names, "value", where=where)
    gradients = mc.function(loss, names, "gradient", where=where)
    plain = {k: v for k, v in given.items() if k[0] != "d"}
    for name in names:
        moved = difference(values, name, plain, given["d" + name])
        assert np.isclose(moved, np.sum(gradient[name] * given["d" + name]), rtol=1e-6)

    def along(t):
        return gradients(**{**plain, **{k: plain[k] + t * given["d" + k] for k in names}})

    up, down = along(1e-6), along(-1e-6)
    for name in names:
        assert np.allclose(product[name], (up[name] - down[name]) / 2e-6, rtol=1e-5, atol=1e-6)
    outputs = mc.function("W2*tanh(W1*x)", names, "jvp", where="W1: matrix(h,n); W2: matrix(m,h); x: vector(n)")
    squares = 0.0
    for x in given["x"]:
        moved = outputs(W1=given["W1"], W2=given["W2"], x=x, dW1=given["dW1"], dW2=given["dW2"])
        squares += 2 * moved @ moved
    assert np.isclose(sum(np.sum(approximate[k] * given["d" + k]) for k in names), squares)


def test_a_family_of_layers():
    where = "X: matrix(N,h[0]); T: matrix(N,h[L]); W[k=0..L-1]: matrix(h[k],h[k+1])"
    let = {"Y[0]": "X", "Y[k+1]": "tanh(Y[k]*W[k])"}
    f = mc.function("norm(Y[L] - T)^2", "W", ("gradient", "hvp"), where=where, let=let)
    widths = (3, 4, 2)
    weights, steps = ([RNG.normal(size=s) for s in pairwise(widths)] for _ in range(2))
    given = data(X=(5, 3), T=(5, 2))
    gradient = mc.function("norm(Y[L] - T)^2", "W", "gradient", where=where, let=let)
    moved = [[w + t * d for w, d in zip(weights, steps, strict=True)] for t in (1e-6, -1e-6)]
    up, down = (gradient(W=w, **given) for w in moved)
    _, product = f(W=weights, dW=steps, **given)
    for got, high, low in zip(product, up, down, strict=True):
        assert np.allclose(got, (high - low) / 2e-6, rtol=1e-5, atol=1e-6)


def test_the_blocks_of_a_hessian():
    f = mc.function("x'*A*y + norm(y)^2", ["x", "y"], "hessian", where="A: matrix(m,n); x: vector(m); y: vector(n)")
    given = data(A=(2, 3), x=2, y=3)
    blocks = f(**{name: given[name] for name in f.arguments})
    assert np.allclose(blocks["x", "y"], given["A"]) and np.allclose(blocks["y", "x"], given["A"].T)
    assert np.allclose(blocks["x", "x"], 0) and np.allclose(blocks["y", "y"], 2 * np.eye(3))


def test_products_of_a_jacobian():
    f = mc.function("A*x", "x", ("jvp", "jacobian", "gauss_newton"), where="A: matrix(m,n); x: vector(n)")
    given = data(A=(2, 3), dx=3)
    A, dx = given.values()
    moved, jacobian, normal = f(**given)
    assert np.allclose(moved, A @ dx) and np.allclose(jacobian, A) and np.allclose(normal, A.T @ A @ dx)


def test_gauss_newton_needs_squares():
    with pytest.raises(mc.MatcalcError, match="no multiple of a squared norm"):
        mc.function("sum(exp(A*x))", "x", "gauss_newton", where="A: matrix(m,n); x: vector(n)")
    with pytest.raises(mc.MatcalcError, match="varies"):
        mc.function("x'*x*norm(A*x)^2", "x", "gauss_newton", where="A: matrix(m,n); x: vector(n)")
    with pytest.raises(mc.MatcalcError, match="varies"):
        where = "x: vector(n); y[i=1..N]: scalar"
        mc.function("sum(i=1..N, y[i]^2*norm(x)^2)", ["x", "y"], "gauss_newton", where=where)


def test_refusals():
    with pytest.raises(mc.MatcalcError, match="no quantity 'curvature'"):
        mc.function("x'*x", "x", "curvature", where="x: vector(n)")
    with pytest.raises(mc.MatcalcError, match="once"):
        mc.function("x'*x", "x", ("value", "value"), where="x: vector(n)")
    with pytest.raises(mc.ShapeError, match="the hvp is of a scalar"):
        mc.function("A*x", "x", "hvp", where="A: matrix(m,n); x: vector(n)")


@pytest.mark.parametrize("kind", ["symmetric", "posdef", "diagonal", "lower", "orthogonal"])
def test_a_product_with_a_direction_without_the_structure_of_the_variable(kind):
    """It is the Hessian times the direction, whatever the direction; blocks by two such variables too."""
    rng = np.random.default_rng(3)
    point = {
        "diagonal": np.diag([1.0, 2.0, 3.0]),
        "orthogonal": np.linalg.qr(rng.normal(size=(3, 3)))[0],
        "lower": np.tril(rng.normal(size=(3, 3))) + 2 * np.eye(3),
    }.get(kind, np.array([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 4.0]]))
    where = f"S: {kind}(n); T: {kind}(n); A: matrix(n,n)"
    given = {"S": point, "T": point @ point, "A": rng.normal(size=(3, 3))}
    f = "tr(S*A*T'*A') + logdet(S) + tr(inv(S)*A) + norm(T'*S)^2"
    hessian, product = (mc.function(f, ["S", "T"], what, where=where) for what in ("hessian", "hvp"))
    blocks = hessian(**given)
    dS, dT = rng.normal(size=(2, 3, 3))
    found = product(**given, dS=dS, dT=dT)
    flat = {name: value.ravel(order="F") for name, value in (("S", dS), ("T", dT))}
    for row in "ST":
        expected = sum(blocks[row, column] @ flat[column] for column in "ST")
        assert np.allclose(found[row].ravel(order="F"), expected)
    free = mc.function(f, ["S", "T"], "hessian", where="S: invertible(n); T: invertible(n); A: matrix(n,n)")(**given)
    assert all(np.allclose(blocks[pair], free[pair]) for pair in free)
    acted = mc.hessian(f, "S", where=where).jvp(mc.matrix("V", "n")).function("numpy")
    values = {name: {**given, "V": dS}[name] for name in acted.arguments}
    assert np.allclose(acted(**values).ravel(order="F"), blocks["S", "S"] @ flat["S"])


def test_what_is_assumed_is_known_to_the_code():
    where = "S: symmetric(n); b: vector(n)"
    text = "b'*inv(S)*b + logdet(S)"
    assert "_cholesky" not in mc.function(text, "b", where=where).source
    f = mc.function(text, "b", where=where, assume="S is posdef")
    assert "_cholesky" in f.source
    S, b = np.array([[2.0, 1.0], [1.0, 3.0]]), np.array([1.0, -2.0])
    value, gradient = f(S=S, b=b)
    assert np.isclose(value, b @ np.linalg.solve(S, b) + np.log(5)) and np.allclose(gradient, 2 * np.linalg.solve(S, b))


@pytest.mark.parametrize(
    ("f", "wrt"),
    [
        ("sum(i=1..N, norm(V*tanh(W*x[i]) - z[i])^2)", "W"),
        ("sum(i=1..N, logsumexp(W*x[i]))", "W"),
        ("norm(sum(i=1..N, i*kron(x[i], x[i])) - vec(B))^2", "B"),
    ],
)
def test_no_samples_at_all(f, wrt):
    where = {
        "W": "matrix(m,n)",
        "V": "matrix(p,m)",
        "x[i=1..N]": "vector(n)",
        "z[i=1..N]": "vector(p)",
        "B": "matrix(n,n)",
    }
    values = {
        "W": np.ones((2, 3)),
        "V": np.ones((2, 2)),
        "x": np.ones((0, 3)),
        "z": np.ones((0, 2)),
        "B": np.ones((3, 3)),
    }
    function = mc.function(f, wrt, ("value", "gradient", "hessian"), where=where)
    names = [name for name in values if name + "[" in f or name in re.findall(r"\w+", f)]
    found = function(**{name: values[name] for name in names})
    assert [np.shape(part) for part in found] == [(), values[wrt].shape, (values[wrt].size, values[wrt].size)]
    assert found[0] == (9 if wrt == "B" else 0)
