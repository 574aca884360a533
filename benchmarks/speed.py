"""How fast generated code is: beside NumPy written by hand, JAX and PyTorch, in one process of one thread.

    python benchmarks/speed.py             a table
    python benchmarks/speed.py --write     the same into docs/speed.md and docs/speed.svg
    python benchmarks/speed.py --only x    problems whose name contains x

matcalc gets the expression alone.  In every round each contender runs once, in a new order; a ratio is the median
over the rounds of its time by that of the code by hand in the same round, beside it the quartiles.  All results are
compared first.
"""

from __future__ import annotations

import argparse
import gc
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}
QUANTITIES = {
    "value+gradient": ("value", "gradient"),
    "Hessian": "hessian",
    "Hessian product": "hvp",
}
ROUNDS, SECONDS, SAMPLE = 40, 0.35, 4e-4
Run = Callable[[], Any]


class Row(NamedTuple):
    """One case: seconds by hand, for each contender the quartiles of its ratio, and its seconds to the first number."""

    problem: str
    quantity: str
    size: str
    by_hand: float
    ratios: dict[str, tuple[float, float, float]]
    first: dict[str, float]


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
    if quantity == "Hessian":
        h = jax.jit(lambda one, rest: jax.hessian(lambda v: loss([v], rest))(one))
        return lambda: jax.block_until_ready(h(at[0], rest))
    move = fixed["d" + wrt[0]]
    g = jax.jit(lambda one, d, rest: jax.jvp(jax.grad(lambda v: loss([v], rest)), (one,), (d,))[1])
    return lambda: jax.block_until_ready(g(at[0], move, rest))


def of_torch(p: Any, quantity: str, data: dict[str, Any]) -> Run:
    import torch

    torch.set_num_threads(1)
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
    """A Hessian of another library as a matrix by columns."""
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
        if quantity == "Hessian" and not name.startswith("matcalc"):
            found = by_columns(found, p, data)
        for a, b in zip(leaves(found), expected, strict=True):
            error = np.abs(a - b).max() / np.abs(b).max()
            if not error < 1e-8:
                raise SystemExit(f"{p.name}, {quantity}, {name}: off by {error:.1e}")
        runs[name] = run
    repeats = {name: max(1, min(2000, int(SAMPLE / max(once(run, 1), 1e-7)))) for name, run in runs.items()}
    taken: dict[str, list[float]] = {name: [] for name in runs}
    begin = time.perf_counter()
    gc.disable()
    while (done := len(taken["by hand"])) < 5 or (done < ROUNDS and time.perf_counter() - begin < SECONDS * len(runs)):
        for name in random.sample(list(runs), len(runs)):
            runs[name]()
            taken[name].append(once(runs[name], repeats[name]))
    gc.enable()
    ratios = {}
    for name in names:
        values = [a / b for a, b in zip(taken[name], taken["by hand"], strict=True)]
        low, middle, high = statistics.quantiles(values, n=4)
        ratios[name] = (low, middle, high)
    label = ", ".join(f"{k}={v}" for k, v in size.items())
    return Row(p.name, quantity, label, statistics.median(taken["by hand"]), ratios, first)


def available() -> list[str]:
    from importlib.util import find_spec

    needed = {"jax.jit": "jax", "torch": "torch"}
    return [name for name in CONTENDERS if name not in needed or find_spec(needed[name])]


def rows(only: str) -> Iterator[Row]:
    import speed_entrywise  # noqa: F401 - adds its problems
    from speed_problems import PROBLEMS

    names = available()
    for p in PROBLEMS:
        for quantity in p.hand:
            for size in p.sizes if only in p.name else ():
                yield measured(p, quantity, size, names)


# ---------------------------------------------------------------- the report


def shown(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def mean(values: list[float]) -> str:
    return f"{statistics.geometric_mean(values):.2f}" if values else "–"


def table(found: list[Row]) -> str:
    names = list(found[0].ratios)
    head = ["problem", "quantity", "size", "by hand", *names]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in found:
        cells = [f"{mid:.2f} ({low:.2f}–{high:.2f})" for low, mid, high in row.ratios.values()]
        lines.append(f"| {row.problem} | {row.quantity} | {row.size} | {shown(row.by_hand)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def summary(found: list[Row]) -> str:
    names = list(found[0].ratios)
    lines = [f"| geometric mean | {' | '.join(names)} |", f"|{'---|' * (len(names) + 1)}"]
    for quantity in QUANTITIES:
        some = [row for row in found if row.quantity == quantity]
        cells = [mean([row.ratios[name][1] for row in some]) for name in names]
        lines.append(f"| {quantity} | {' | '.join(cells)} |")
    cells = [f"{statistics.median(row.first[name] for row in found) * 1e3:.0f} ms" for name in names]
    lines.append(f"| from the text to the first number (median) | {' | '.join(cells)} |")
    return "\n".join(lines)


def picture(found: list[Row], path: Path) -> None:
    """The ratios, one line for each case."""
    import matplotlib

    matplotlib.use("svg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "speed"
    figure, axes = pyplot.subplots(figsize=(8, 0.24 * len(found) + 1))
    for name, mark in zip(found[0].ratios, "osDv", strict=False):
        axes.plot([row.ratios[name][1] for row in found], range(len(found)), mark, label=name, markersize=4)
    axes.set_yticks(range(len(found)), [f"{row.problem}, {row.quantity}, {row.size}" for row in found], fontsize=7)
    axes.invert_yaxis()
    axes.axvline(1, color="gray", linewidth=0.8)
    axes.set_xscale("log")
    axes.set_xlabel("time by that of NumPy code written by hand")
    axes.legend()
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})


def report(found: list[Row]) -> str:
    from importlib.metadata import PackageNotFoundError, version

    def told(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return ""

    packages = ", ".join(filter(None, map(told, ("numpy", "scipy", "jax", "torch"))))
    return (
        "# Speed of generated code\n\nWritten by `python benchmarks/speed.py --write` in one run: one thread, "
        f"CPython {sys.version.split()[0]}, {packages}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}. "
        "A number is the time by that of NumPy code written by hand, the median over the rounds with the quartiles; "
        "below 1 is faster than by hand. The code by hand is the fastest form for these data; it does not guard "
        "against overflow, generated code does.\n\n"
        f"{summary(found)}\n\n![the ratios](speed.svg)\n\n{table(found)}\n"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/speed.md and docs/speed.svg")
    parser.add_argument("--only", default="", help="a part of the names of problems")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if not options.inside:  # the number of threads is set before a library is loaded
        again = [sys.executable, __file__, "--inside", *sys.argv[1:]]
        raise SystemExit(subprocess.run(again, env={**os.environ, **ONE_THREAD}, check=False).returncode)
    found = []
    for row in rows(options.only):
        found.append(row)
        told = ", ".join(f"{name} {middle:.2f}" for name, (_, middle, _) in row.ratios.items())
        print(f"{row.problem}, {row.quantity}, {row.size}: {told}", flush=True)
    print(f"\n{table(found)}\n\n{summary(found)}")
    if options.write:
        picture(found, ROOT / "docs" / "speed.svg")
        (ROOT / "docs" / "speed.md").write_text(report(found), encoding="utf-8")


if __name__ == "__main__":
    main()
