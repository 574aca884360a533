"""How the speed table is measured: contenders that take turns in one process, and the memory that each needs."""

from __future__ import annotations

import gc
import os
import random
import statistics
import time
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

QUANTITIES = {
    "value+gradient": ("value", "gradient"),
    "Hessian": "hessian",
    "Jacobian": "jacobian",
    "Hessian product": "hvp",
}
ROUNDS, SECONDS, SAMPLE, SLOW = 40, 0.25, 4e-4, 0.2
"""Rounds at most, seconds for each contender, seconds of one sample; beside the code by hand, what takes
longer than SLOW runs three times, five times as long twice."""
THREADS = int(os.environ.get("OMP_NUM_THREADS", "1"))
Run = Callable[[], Any]


class Row(NamedTuple):
    """One case: seconds by hand; for each contender the quartiles of its ratio, its seconds to the first number, and
    the memory at its peak by that of the code by hand."""

    threads: int
    problem: str
    structured: bool
    quantity: str
    size: str
    by_hand: float
    ratios: dict[str, tuple[float, float, float]]
    first: dict[str, float]
    memory: dict[str, float]


def leaves(value: Any) -> list[Any]:
    import numpy as np

    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, tuple | list):
        return [leaf for part in value for leaf in leaves(part)]
    return [np.asarray(value, float)]


# ---------------------------------------------------------------- contenders


def ours(p: Any, quantity: str, data: dict[str, Any], backend: str = "numpy") -> Run:
    import matcalc as mc

    f = mc.function(p.expr, p.wrt, QUANTITIES[quantity], where=p.where, backend=backend)
    given = {name: data[name] for name in f.arguments}
    return lambda: f(**given)


class JaxNames:
    """``jax.numpy`` and relu."""

    def __init__(self) -> None:
        import jax
        import jax.numpy as jnp

        self.relu, self._numpy = jax.nn.relu, jnp

    def __getattr__(self, name: str) -> Any:
        return getattr(self._numpy, name)


def of_jax(p: Any, quantity: str, data: dict[str, Any]) -> Run:
    import jax
    import jax.numpy as jnp

    wrt = [p.wrt] if isinstance(p.wrt, str) else p.wrt
    fixed = {k: jnp.asarray(v) for k, v in data.items()}
    names = JaxNames()

    def loss(at: Any, rest: Any) -> Any:
        return p.loss(names, {**rest, **dict(zip(wrt, at, strict=True))})

    at, rest = [fixed[w] for w in wrt], {k: v for k, v in fixed.items() if k not in wrt}
    if quantity == "value+gradient":
        f = jax.jit(jax.value_and_grad(loss))
        return lambda: jax.block_until_ready(f(at, rest))
    if quantity == "Jacobian":
        j = jax.jit(lambda one, rest: jax.jacrev(lambda v: loss([v], rest))(one))
        return lambda: jax.block_until_ready(j(at[0], rest))
    if quantity == "Hessian":
        h = jax.jit(lambda one, rest: jax.hessian(lambda v: loss([v], rest))(one))
        return lambda: jax.block_until_ready(h(at[0], rest))
    move = fixed["d" + wrt[0]]
    g = jax.jit(lambda one, d, rest: jax.jvp(jax.grad(lambda v: loss([v], rest)), (one,), (d,))[1])
    return lambda: jax.block_until_ready(g(at[0], move, rest))


def of_torch(p: Any, quantity: str, data: dict[str, Any]) -> Run:
    import torch

    torch.set_num_threads(THREADS)
    wrt = [p.wrt] if isinstance(p.wrt, str) else p.wrt
    fixed = {k: torch.as_tensor(v, dtype=torch.float64) for k, v in data.items()}

    def loss(*at: Any) -> Any:
        return p.loss(torch, {**fixed, **dict(zip(wrt, at, strict=True))})

    at = [fixed[w] for w in wrt]
    if quantity == "value+gradient":
        tracked = [a.requires_grad_(True) for a in at]

        def run() -> Any:
            value = loss(*tracked)
            return value.detach(), *torch.autograd.grad(value, tracked)

        return run
    if quantity == "Jacobian":
        jacobian = torch.func.jacrev(loss)
        return lambda: jacobian(at[0])
    if quantity == "Hessian":
        reverse = torch.func.jacrev(torch.func.grad(loss))
        return lambda: reverse(at[0])
    move = fixed["d" + wrt[0]]
    return lambda: torch.func.jvp(torch.func.grad(loss), (at[0],), (move,))[1]


CONTENDERS: dict[str, Callable[[Any, str, dict[str, Any]], Run]] = {
    "matcalc": ours,
    "matcalc, C": lambda p, q, d: ours(p, q, d, "c"),
    "jax.jit": of_jax,
    "torch": of_torch,
}


def by_columns(value: Any, p: Any, data: dict[str, Any]) -> Any:
    """A Hessian or a Jacobian of another library as a matrix by columns."""
    import numpy as np

    shape = np.shape(data[p.wrt])
    if len(shape) != 2:
        return np.asarray(value)
    n = shape[0] * shape[1]
    return np.asarray(value).transpose(1, 0, 3, 2).reshape(n, n)


# ---------------------------------------------------------------- timing


def once(run: Run, repeats: int) -> float:
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def measured(p: Any, quantity: str, size: dict[str, int], names: list[str]) -> Row:
    """Time the contenders of one case in turns."""
    import numpy as np

    data = p.data(size, np.random.default_rng(0))
    hand = p.hand[quantity](data)
    expected = leaves(hand())
    runs, first = {"by hand": hand}, {}
    for name in names:
        start = time.perf_counter()
        run = CONTENDERS[name](p, quantity, data)
        found = run()
        first[name] = time.perf_counter() - start
        if quantity in ("Hessian", "Jacobian") and not name.startswith("matcalc"):
            found = by_columns(found, p, data)
        for a, b in zip(leaves(found), expected, strict=True):
            error = np.abs(a - b).max() / np.abs(b).max()
            if not error < 1e-8:
                raise SystemExit(f"{p.name}, {quantity}, {name}: off by {error:.1e}")
        runs[name] = run
    del expected, found
    taken = _in_turns(runs)
    ratios = {}
    for name in names:
        values = [a / b for a, b in zip(taken[name], taken["by hand"], strict=False)]
        low, middle, high = statistics.quantiles(values, n=4)
        ratios[name] = (low, middle, high)
    needed = {name: _peak(runs[name]) for name in runs if name == "by hand" or name.startswith("matcalc")}
    memory = {name: size / needed["by hand"] for name, size in needed.items() if name != "by hand"}
    label = ", ".join(f"{k}={v}" for k, v in size.items())
    middle = statistics.median(taken["by hand"])
    return Row(THREADS, p.name, p.structured, quantity, label, middle, ratios, first, memory)


def _in_turns(runs: dict[str, Run]) -> dict[str, list[float]]:
    """Seconds of the contenders, one sample in each round, in a new order every time."""
    alone = {name: once(run, 1) for name, run in runs.items()}
    repeats = {name: max(1, min(2000, int(SAMPLE / max(seconds, 1e-7)))) for name, seconds in alone.items()}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    begin = time.perf_counter()
    gc.disable()
    while (done := len(taken["by hand"])) < 7 or (done < ROUNDS and time.perf_counter() - begin < SECONDS * len(runs)):
        for name in random.sample(list(runs), len(runs)):
            if alone[name] > SLOW and name != "by hand":
                if done < (3 if alone[name] < 5 * SLOW else 2):
                    taken[name].append(once(runs[name], 1))
                continue
            runs[name]()
            taken[name].append(once(runs[name], repeats[name]))
    gc.enable()
    return taken


def _peak(run: Run) -> int:
    """Bytes that NumPy and Python hold at the peak of one call, its result included."""
    run()
    tracemalloc.start()
    result = run()
    size = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    del result
    return max(size, 1)


def available() -> list[str]:
    from importlib.util import find_spec

    needed = {"jax.jit": "jax", "torch": "torch"}
    return [name for name in CONTENDERS if name not in needed or find_spec(needed[name])]


def rows(only: str) -> Iterator[Row]:
    """All cases of the problems whose name contains ``only``."""
    from speed_networks import PROBLEMS

    names = available()
    for p in PROBLEMS:
        for quantity in p.hand:
            for size in p.sizes if only in p.name else ():
                if size not in p.left_out.get(quantity, ()):
                    yield measured(p, quantity, size, names)
