"""Generated NumPy code lets go of arrays: the peak of a call, counted in arrays of one row per sample."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import matcalc as mc

RNG = np.random.default_rng(0)
N = 2000


def peak(f, **given):
    """Bytes at the peak of a call, what it is given not counted."""
    f(**given)
    tracemalloc.start()
    f(**given)
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found


def network(layers, width, act):
    output = "X"
    for k in range(1, layers):
        output = f"{act}({output}*W{k})"
    where = ["X: matrix(N,h0); Y: matrix(N,h)", *(f"W{k}: matrix(h{k - 1},h{k})" for k in range(1, layers))]
    given = {f"W{k}": RNG.normal(size=(width, width)) / 4 for k in range(1, layers + 1)}
    expr, where = f"norm({output}*W{layers} - Y)^2", "; ".join([*where, f"W{layers}: matrix(h{layers - 1},h)"])
    return expr, where, {**given, "X": RNG.normal(size=(N, width)), "Y": RNG.normal(size=(N, width))}


@pytest.mark.parametrize("act", ["tanh", "relu"])
def test_errors_of_layers_are_let_go_on_the_way_back(act):
    expr, where, given = network(6, 20, act)
    f = mc.function(expr, [f"W{k}" for k in range(1, 7)], where=where)
    assert peak(f, **given) < 7.6 * N * 20 * 8  # six layers, and the error of one more
    value, gradient = f(**given)
    for name in ("W1", "W6"):
        step = np.zeros((20, 20))
        step[3, 4] = 1e-6
        ends = [f(**{**given, name: given[name] + sign * step})[0] for sign in (1, -1)]
        assert np.isclose((ends[0] - ends[1]) / 2e-6, gradient[name][3, 4], rtol=1e-5)
    assert np.isclose(value, f(**given)[0], rtol=1e-14)


def test_a_product_with_the_hessian_keeps_two_vectors():
    f = mc.function("sum(softplus(-y .* (X*w)))", "w", "hvp", where="X: matrix(n,d); y: vector(n); w: vector(d)")
    given = {"X": RNG.normal(size=(N, 3)), "y": RNG.normal(size=N), "w": np.ones(3), "dw": np.ones(3)}
    assert peak(f, **given) < 2.1 * N * 8
    curvature = given["y"] ** 2 / (4 * np.cosh(given["y"] * (given["X"] @ given["w"]) / 2) ** 2)
    assert np.allclose(f(**given), given["X"].T @ (curvature * (given["X"] @ given["dw"])), rtol=1e-12)


def test_nothing_is_let_go_inside_a_loop_or_before_it_ends():
    f = mc.function("norm(y[T])^2", "A", where="A: matrix(n,n); x: vector(n)", let={"y[0]": "x", "y[k+1]": "A*A*y[k]"})
    A, x = RNG.normal(size=(4, 4)) / 2, RNG.normal(size=4)
    for T in (0, 1, 5):
        value, _ = f(A=A, x=x, T=T)
        assert np.isclose(value, np.sum((np.linalg.matrix_power(A, 2 * T) @ x) ** 2))
