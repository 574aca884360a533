"""The gradient of a deep network by all weights: generated code, a loop by hand, and JAX, in one process of one thread.

Prints one JSON object: seconds for a gradient by each of them (the smallest of many runs that take turns, in processor
time, which other processes do not lengthen), and for deriving it.  ``run.py`` starts it with one thread.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np

import matcalc as mc

DEPTH, WIDTH, BATCH = 50, 64, 256
RUNS = 200


def derived(number: int = 0) -> mc.Derivative:
    """By all weights at once, the depth a symbol; with names of its own for every number."""
    w, y = f"W{number}", f"Y{number}"
    where = {"X": "matrix(n,N)", "T": "matrix(n,N)", f"{w}[k=0..L-1]": "matrix(n,n)"}
    let = {f"{y}[0]": "X", f"{y}[k+1]": f"tanh({w}[k]*{y}[k])"}
    found = mc.derivative(f"1/2*norm({y}[L] - T)^2", w, where=where, let=let)
    assert found.expr.size > 0
    return found


def by_hand(weights: np.ndarray, x: np.ndarray, target: np.ndarray) -> np.ndarray:
    states = [x]
    for w in weights:
        z = w @ states[-1]
        states.append(np.tanh(z, out=z))
    error = states[-1] - target
    gradient = np.empty_like(weights)
    for k in range(len(weights) - 1, -1, -1):
        slope = states[k + 1] ** 2
        error *= np.subtract(1, slope, out=slope)
        np.matmul(error, states[k].T, out=gradient[k])
        if k:
            error = weights[k].T @ error
    return gradient


def scanned(weights: jax.Array, x: jax.Array, target: jax.Array) -> jax.Array:
    last, _ = jax.lax.scan(lambda y, w: (jnp.tanh(w @ y), None), x, weights)
    return jnp.sum((last - target) ** 2) / 2


def unrolled(weights: jax.Array, x: jax.Array, target: jax.Array) -> jax.Array:
    for k in range(DEPTH):
        x = jnp.tanh(weights[k] @ x)
    return jnp.sum((x - target) ** 2) / 2


def main() -> None:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(DEPTH, WIDTH, WIDTH)) / np.sqrt(WIDTH)
    x, target = rng.normal(size=(2, WIDTH, BATCH))
    on_jax = tuple(map(jnp.asarray, (weights, x, target)))
    generated = derived().function("numpy")
    calls: dict[str, Callable[[], object]] = {
        "generated": lambda: generated(W0=weights, X=x, T=target),
        "by hand": lambda: by_hand(weights, x, target),
    }
    for name, loss in (("jax scan", scanned), ("jax unrolled", unrolled)):
        jitted = jax.jit(jax.value_and_grad(loss))
        calls[name] = lambda jitted=jitted: jax.block_until_ready(jitted(*on_jax)[1])
    expected = by_hand(weights, x, target)
    for call in calls.values():
        assert np.allclose(np.asarray(call()), expected, rtol=1e-9, atol=1e-9)
    taken = dict.fromkeys(calls, float("inf"))
    for _ in range(RUNS):
        for name, call in calls.items():
            start = time.process_time()
            call()
            taken[name] = min(taken[name], time.process_time() - start)
    deriving = []
    for number in range(1, 8):
        start = time.process_time()
        derived(number)
        deriving.append(time.process_time() - start)
    print(json.dumps({**taken, "deriving": min(deriving)}))


if __name__ == "__main__":
    main()
