"""A sum over samples of a recurrence: all samples take each step together, forwards and back."""

from __future__ import annotations

from importlib.util import find_spec

import numpy as np
import pytest

import matcalc as mc

RNG = np.random.default_rng(0)
BACKENDS = ["numpy", "c", *(name for name in ("jax", "torch") if find_spec(name))]
SHAPES = "A, S: matrix(n,n); z, c: vector(n); a: scalar; x[i=1..N], t[i=1..N]: vector(n); s[i=1..N]: scalar"


def _states(start, step, count):
    found = [start]
    for k in range(count):
        found.append(step(k, found[-1]))
    return found


CASES = {
    "start": (
        "(norm(y[T] - t[i])^2 where y[0] = x[i]; y[k+1] = tanh(A*y[k]))",
        "A",
        lambda v, i: np.sum((_states(v["x"][i], lambda _, y: np.tanh(v["A"] @ y), v["T"])[-1] - v["t"][i]) ** 2),
    ),
    "input": (
        "(c'*y[T] where y[0] = z; y[k+1] = tanh(A*y[k] + x[i]))",
        "A",
        lambda v, i: v["c"] @ _states(v["z"], lambda _, y: np.tanh(v["A"] @ y + v["x"][i]), v["T"])[-1],
    ),
    "scalars": (
        "(y[T]^2 where y[0] = s[i]; y[k+1] = sin(a*y[k]))",
        "a",
        lambda v, i: _states(v["s"][i], lambda _, y: np.sin(v["a"] * y), v["T"])[-1] ** 2,
    ),
    "all states": (
        "(sum(k=0..T, y[k]'*S*y[k]) where y[0] = x[i]; y[k+1] = A*y[k])",
        "A",
        lambda v, i: sum(y @ v["S"] @ y for y in _states(v["x"][i], lambda _, y: v["A"] @ y, v["T"])),
    ),
    "weights": (
        "s[i]*(exp(c'*y[T]) where y[0] = x[i]; y[k+1] = tanh(A*y[k]))",
        "A",
        lambda v, i: v["s"][i] * np.exp(v["c"] @ _states(v["x"][i], lambda _, y: np.tanh(v["A"] @ y), v["T"])[-1]),
    ),
    "the same for all": (
        "(norm(y[T] - t[i])^2 where y[0] = z; y[k+1] = tanh(A*y[k]))",
        "A",
        lambda v, i: np.sum((_states(v["z"], lambda _, y: np.tanh(v["A"] @ y), v["T"])[-1] - v["t"][i]) ** 2),
    ),
    "layers": (
        "(norm(y[L] - t[i])^2 where y[0] = x[i]; y[k+1] = tanh(W[k]*y[k]))",
        "W[k]",
        lambda v, i: np.sum((_states(v["x"][i], lambda k, y: np.tanh(v["W"][k] @ y), v["T"])[-1] - v["t"][i]) ** 2),
    ),
}


def data(N, T):
    shapes = {"A": (3, 3), "S": (3, 3), "x": (N, 3), "t": (N, 3), "s": (N,), "z": (3,), "c": (3,), "W": (T, 3, 3)}
    return {name: RNG.normal(size=shape) / 2 for name, shape in shapes.items()} | {"a": 0.7, "T": T, "k": 0}


@pytest.mark.parametrize("name", CASES)
def test_all_samples_take_each_step_together(name):
    text, wrt, one = CASES[name]
    where = SHAPES + ("; W[k=0..L-1]: matrix(n,n)" if name == "layers" else "")
    key, at = wrt[0], {"A": (1, 2), "W": (0, 1, 2), "a": ()}[wrt[0]]
    for backend in BACKENDS if name in ("start", "layers") else BACKENDS[:1]:
        f = mc.function(f"sum(i=1..N, {text})", wrt, ("value", "gradient"), where=where, backend=backend)
        body = f.source.split('"""')[-1]
        assert "N + 1" not in body and "range(N)" not in body
        for N, T in ((3, 2), (0, 2), (4, 0), (2, 1)):
            if name == "layers" and T == 0:
                continue
            v = data(N, T)
            value, gradient = f(**{argument: v[argument] for argument in f.arguments})
            step = np.zeros_like(v[key])
            step[at] = 1e-6
            ends = [sum(one({**v, key: v[key] + sign * step}, i) for i in range(N)) for sign in (1, -1)]
            assert np.isclose(float(value), sum(one(v, i) for i in range(N)), rtol=1e-10)
            assert np.isclose(np.asarray(gradient)[at[-2:]], (ends[0] - ends[1]) / 2e-6, rtol=1e-5, atol=1e-7)
