"""Networks in the speed table: the gradient by all weights, the Hessian by those of the first layer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from speed_entrywise import problem
from speed_problems import PROBLEMS as PROBLEMS
from speed_problems import Data, Problem


def _weights(layers: int) -> list[str]:
    return [f"W{k}" for k in range(1, layers + 1)]


def _data(layers: int, act: str) -> Callable[[dict[str, int], np.random.Generator], dict[str, Any]]:
    def made(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
        inputs, outputs = s.get("d", s["h"]), 5 if "d" in s else 10
        widths = [inputs, *[s["h"]] * (layers - 1), outputs]
        gain = 2 if act == "relu" else 1
        weights = {
            name: r.normal(size=(widths[k], widths[k + 1])) * np.sqrt(gain / widths[k])
            for k, name in enumerate(_weights(layers))
        }
        step = r.normal(size=weights["W1"].shape)
        labels = np.eye(outputs)[r.integers(0, outputs, s["N"])]
        return {"X": r.normal(size=(s["N"], inputs)), "Y": labels, "dW1": step, **weights}

    return made


def _network(layers: int, act: str, entropy: bool, wrt: str | list[str], sizes: list[dict[str, int]]) -> Problem:
    names = _weights(layers)
    output = "X"
    for name in names[:-1]:
        output = f"{act}({output}*{name})"
    output = f"{output}*{names[-1]}"
    expr = f"sum(logsumexp({output})) - sum(Y .* ({output}))" if entropy else f"norm({output} - Y)^2"

    def loss(xp: Any, v: Data) -> Any:
        a = v["X"]
        for name in names[:-1]:
            a = getattr(xp, act)(a @ v[name])
        z = a @ v[names[-1]]
        if not entropy:
            return xp.sum((z - v["Y"]) ** 2)
        return xp.sum(xp.log(xp.sum(xp.exp(z), 1))) - xp.sum(v["Y"] * z)

    shapes = "; ".join(f"W{k}: matrix(h{k - 1},h{k})" for k in range(1, layers + 1))
    told = f"network of {layers} layers, {act}, {'cross-entropy' if entropy else 'squares'}"
    made = problem(
        name=told if isinstance(wrt, list) else f"{told}, first layer",
        expr=expr,
        wrt=wrt,
        where=f"X: matrix(N,h0); Y: matrix(N,h{layers}); {shapes}",
        sizes=sizes,
        data=_data(layers, act),
        loss=loss,
        structured=True,
    )
    if isinstance(wrt, list):
        made.by_hand("value+gradient")(lambda v: _gradient(v, names, act, entropy))
    else:
        made.by_hand("Hessian")(lambda v: _hessian(v, names, act, entropy))
        made.by_hand("Hessian product")(lambda v: _product(v, names, act, entropy))
    return made


def _states(v: Data, names: list[str], act: str) -> list[np.ndarray]:
    """The inputs of the layers, then the outputs of the last."""
    found = [v["X"]]
    for name in names[:-1]:
        Z = found[-1] @ v[name]
        found.append(np.maximum(Z, 0.0, out=Z) if act == "relu" else np.tanh(Z, out=Z))
    return [*found, found[-1] @ v[names[-1]]]


def _slope(A: np.ndarray, act: str) -> np.ndarray:
    """The derivative of the activation, of its value."""
    if act == "relu":
        return A > 0
    squares = A * A
    return np.subtract(1, squares, out=squares)


def _gradient(v: Data, names: list[str], act: str, entropy: bool) -> Callable[[], Any]:
    Y = v["Y"]

    def run() -> Any:
        *states, Z = _states(v, names, act)
        if entropy:
            E = np.exp(Z)
            s = E.sum(1, keepdims=True)
            value = np.log(s).sum() - np.vdot(Y, Z)
            E /= s
            E -= Y
        else:
            E = np.subtract(Z, Y, out=Z)
            value = np.vdot(E, E)
            E *= 2
        gradients = []
        for name, A in zip(reversed(names), reversed(states), strict=True):
            gradients.append(A.T @ E)
            if A is not v["X"]:
                E = E @ v[name].T
                E *= _slope(A, act)
        return value, *reversed(gradients)

    return run


def _hessian(v: Data, names: list[str], act: str, entropy: bool) -> Callable[[], Any]:
    """For each sample the small matrix M of second derivatives by its first pre-activations, then one product."""
    X, Y = v["X"], v["Y"]
    N, d = X.shape
    i, j = np.triu_indices(d)

    def outputs(Z: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """The gradient by the outputs, and for the cross-entropy the probabilities."""
        if not entropy:
            return 2 * (Z - Y), None
        P = np.exp(Z)
        P /= P.sum(1, keepdims=True)
        return P - Y, P

    def smooth(states: list[np.ndarray], Z: np.ndarray) -> np.ndarray:
        G, P = outputs(Z)
        W = v[names[-1]]
        if P is None:
            M = np.repeat((2 * W @ W.T)[None], N, axis=0)
        else:  # W*(diag(p) - p*p')*W'
            Q = P @ W.T
            M = (W * P[:, None]) @ W.T
            M -= Q[:, :, None] * Q[:, None]
        for k in range(len(names) - 1, 0, -1):
            A, W = states[k], v[names[k]]
            if k < len(names) - 1:
                M = W @ (M.reshape(-1, W.shape[1]) @ W.T).reshape(N, W.shape[1], -1)
            G = G @ W.T
            s = _slope(A, act)
            M *= s[:, :, None]
            M *= s[:, None]
            G *= s
            np.einsum("ijj->ij", M)[...] -= 2 * A * G
        return M

    def kinked(states: list[np.ndarray], Z: np.ndarray) -> np.ndarray:
        """Of piecewise linear activations: J'*(second derivative by the outputs)*J."""
        _, P = outputs(Z)
        J = v[names[-1]].T * (states[-1] > 0)[:, None]
        for k in range(len(names) - 2, 0, -1):
            J = (J.reshape(-1, J.shape[2]) @ v[names[k]].T).reshape(N, J.shape[1], -1)
            J *= (states[k] > 0)[:, None]
        if P is None:
            return 2 * (J.transpose(0, 2, 1) @ J)
        mean = (P[:, None] @ J)[:, 0]
        J *= np.sqrt(P)[:, :, None]
        M = J.transpose(0, 2, 1) @ J
        M -= mean[:, :, None] * mean[:, None]
        return M

    def run() -> Any:
        *states, Z = _states(v, names, act)
        M = (kinked if act == "relu" else smooth)(states, Z)
        h = M.shape[1]
        blocks = ((X[:, i] * X[:, j]).T @ M.reshape(N, h * h)).reshape(-1, h, h)
        H = np.empty((h, d, h, d))
        H[:, i, :, j] = blocks
        H[:, j, :, i] = blocks
        return H.reshape(h * d, h * d)

    return run


def _product(v: Data, names: list[str], act: str, entropy: bool) -> Callable[[], Any]:
    """One pass forwards and one back, each with its derivative along the step."""
    X, Y = v["X"], v["Y"]

    def run() -> Any:
        *states, Z = _states(v, names, act)
        slopes = [_slope(A, act) for A in states[1:]]
        moves = [(X @ v["dW1"]) * slopes[0]]
        for name, s in zip(names[1:-1], slopes[1:], strict=True):
            move = moves[-1] @ v[name]
            move *= s
            moves.append(move)
        move = moves[-1] @ v[names[-1]]
        if entropy:
            P = np.exp(Z)
            P /= P.sum(1, keepdims=True)
            G, dG = P - Y, P * move
            dG -= P * dG.sum(1, keepdims=True)
        else:
            G, dG = 2 * (Z - Y), 2 * move
        for k in range(len(names) - 1, 0, -1):
            W, s = v[names[k]], slopes[k - 1]
            dG = dG @ W.T
            dG *= s
            if act != "relu":
                G = G @ W.T
                bend = states[k] * G
                bend *= moves[k - 1]
                bend *= 2
                dG -= bend
                G *= s
        return X.T @ dG

    return run


BATCH = {"h": 64, "N": 256}
for layers, act, entropy, sizes in (
    (2, "tanh", False, [BATCH]),
    (5, "tanh", True, [BATCH]),
    (10, "relu", True, [BATCH]),
    (5, "relu", True, [{"h": 256, "N": 512}]),
):
    _network(layers, act, entropy, _weights(layers), sizes)
SMALL = {"d": 10, "h": 20, "N": 50}
for layers, act, entropy, sizes in (
    (2, "tanh", False, [SMALL]),
    (5, "tanh", True, [SMALL]),
    (10, "relu", True, [SMALL, {"d": 20, "h": 32, "N": 100}]),
):
    _network(layers, act, entropy, "W1", sizes)
