"""Problems of the speed table that are mostly entrywise, and networks."""

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
    sizes=[{"n": 300, "k": 10}, {"n": 1000, "k": 10}],
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


LAYERS = 5
WEIGHTS = [f"W{k}" for k in range(1, LAYERS + 1)]


def _network_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    widths = [s["h"]] * LAYERS + [10]
    weights = {name: r.normal(size=(widths[k], widths[k + 1])) * np.sqrt(2 / s["h"]) for k, name in enumerate(WEIGHTS)}
    return {"X": r.normal(size=(s["N"], s["h"])), "Y": np.eye(10)[r.integers(0, 10, s["N"])], **weights}


def _outputs(expression: str = "X") -> str:
    for name in WEIGHTS[:-1]:
        expression = f"relu({expression}*{name})"
    return f"{expression}*{WEIGHTS[-1]}"


def _network_loss(xp: Any, v: Data) -> Any:
    a = v["X"]
    for name in WEIGHTS[:-1]:
        a = xp.relu(a @ v[name])
    z = a @ v[WEIGHTS[-1]]
    return xp.sum(xp.log(xp.sum(xp.exp(z), 1))) - xp.sum(v["Y"] * z)


network = problem(
    name="network of five layers",
    expr=f"sum(logsumexp({_outputs()})) - sum(Y .* ({_outputs()}))",
    wrt=WEIGHTS,
    where="X: matrix(N,h0); Y: matrix(N,h5); " + "; ".join(f"W{k}: matrix(h{k - 1},h{k})" for k in range(1, 6)),
    sizes=[{"h": 64, "N": 256}, {"h": 256, "N": 512}],
    data=_network_data,
    loss=_network_loss,
)


@network.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    X, Y = v["X"], v["Y"]
    weights = [v[name] for name in WEIGHTS]

    def run() -> Any:
        states = [X]
        for W in weights[:-1]:
            Z = states[-1] @ W
            states.append(np.maximum(Z, 0.0, out=Z))
        Z = states[-1] @ weights[-1]
        E = np.exp(Z)
        s = E.sum(1, keepdims=True)
        value = np.log(s).sum() - np.vdot(Y, Z)
        E /= s
        E -= Y
        gradients = []
        for W, A in zip(reversed(weights), reversed(states), strict=True):
            gradients.append(A.T @ E)
            if A is not X:
                E = E @ W.T
                E *= A > 0
        return value, *reversed(gradients)

    return run
