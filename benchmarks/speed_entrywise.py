"""Problems of the speed table that are mostly entrywise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from speed_problems import Data, problem


def _entries_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    return {name: r.normal(size=s["n"]) for name in "xab"}


entries = problem(
    name="sum of entries",
    expr="sum(log(1 .+ exp(-a .* x)) + b .* tanh(x).^2)",
    wrt="x",
    where="a: vector(n); b: vector(n); x: vector(n)",
    sizes=[{"n": 10_000}, {"n": 1_000_000}],
    data=_entries_data,
    loss=lambda xp, v: xp.sum(xp.log(1 + xp.exp(-v["a"] * v["x"])) + v["b"] * xp.tanh(v["x"]) ** 2),
)


@entries.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    x, a, b = v["x"], v["a"], v["b"]

    def run() -> Any:
        e = a * x
        np.exp(np.negative(e, out=e), out=e)
        t = np.tanh(x)
        u = 1 + e
        bt = b * t
        value = np.log(u).sum() + bt @ t
        e /= u
        e *= a
        np.subtract(1, np.multiply(t, t, out=t), out=t)
        bt *= t
        bt *= 2
        bt -= e
        return value, bt

    return run


def _completion_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    U, V = r.normal(size=(s["n"], s["k"])), r.normal(size=(s["n"], s["k"]))
    return {"U": U, "V": V, "Y": np.sign(U @ V.T + r.normal(size=(s["n"], s["n"])))}


completion = problem(
    name="logistic factorization",
    expr="sum(log(1 .+ exp(-Y .* (U*V'))))",
    wrt="U",
    where="Y: matrix(n,n); U: matrix(n,k); V: matrix(n,k)",
    sizes=[{"n": 50, "k": 5}, {"n": 300, "k": 10}, {"n": 1000, "k": 10}],
    left_out={"Hessian": [{"n": 300, "k": 10}, {"n": 1000, "k": 10}], "value+gradient": [{"n": 50, "k": 5}]},
    structured=True,
    data=_completion_data,
    loss=lambda xp, v: xp.sum(xp.log(1 + xp.exp(-v["Y"] * (v["U"] @ v["V"].T)))),
)


@completion.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    U, V, Y = v["U"], v["V"], v["Y"]

    def run() -> Any:
        e = U @ V.T
        e *= Y
        np.exp(np.negative(e, out=e), out=e)
        u = 1 + e
        e /= u
        e *= Y
        return np.log(u, out=u).sum(), -(e @ V)

    return run


@completion.by_hand("Hessian")
def _(v: Data) -> Callable[[], Any]:
    """By columns: for each row i of U one matrix, V'*diag(q[i])*V."""
    U, V, Y = v["U"], v["V"], v["Y"]
    n, k = U.shape
    i = np.arange(n)

    def run() -> Any:
        e = U @ V.T
        e *= Y
        np.exp(np.negative(e, out=e), out=e)
        u = 1 + e
        e /= u
        e /= u
        pairs = (V[:, :, None] * V[:, None]).reshape(n, k * k)
        H = np.zeros((k, n, k, n))
        H[:, i, :, i] = (e @ pairs).reshape(n, k, k)
        return H.reshape(k * n, k * n)

    return run
