"""How fast generated code is: beside NumPy written by hand, JAX and PyTorch, on one thread and on two.

    python benchmarks/speed.py             tables
    python benchmarks/speed.py --write     the same into docs/speed.md and docs/speed.svg
    python benchmarks/speed.py --only x    problems whose name contains x
    python benchmarks/speed.py --threads 1

matcalc gets the expression alone.  In every round each contender runs once, in a new order; a ratio is the median
over the rounds of its time by that of the code by hand in the same round, beside it the quartiles.  All results are
compared first.  For each number of threads there is one process.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from speed_measure import QUANTITIES, Row, rows

ROOT = Path(__file__).resolve().parent.parent


def limited(threads: int) -> dict[str, str]:
    """The environment of a process with so many threads; libraries read it when they are loaded."""
    pools = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    flags = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()} intra_op_parallelism_threads={threads}"
    jax = {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_X64": "1", "XLA_FLAGS": flags}
    return {**os.environ, **dict.fromkeys(pools, str(threads)), "OMP_WAIT_POLICY": "PASSIVE", **jax}


def measured(threads: int, only: str) -> Iterator[Row]:
    """The cases, by a process with so many threads."""
    command = [sys.executable, __file__, "--inside", "--only", only]
    with subprocess.Popen(command, env=limited(threads), stdout=subprocess.PIPE, text=True) as child:
        if hasattr(os, "sched_setaffinity"):  # no flag keeps XLA to so many threads
            os.sched_setaffinity(child.pid, sorted(os.sched_getaffinity(0))[-threads:])
        assert child.stdout is not None
        for line in child.stdout:
            yield Row(*json.loads(line))
    if child.returncode:
        raise SystemExit(child.returncode)


# ---------------------------------------------------------------- the report


def shown(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs" if seconds < 1e-3 else f"{seconds * 1e3:.1f} ms"


def mean(values: list[float]) -> str:
    return f"{statistics.geometric_mean(values):.2f}" if values else "–"


def memory(row: Row) -> str:
    """The peaks of our backends."""
    return ", ".join(f"{ratio:.2f}" for ratio in row.memory.values())


def table(found: list[Row]) -> str:
    names = list(found[0].ratios)
    head = ["problem", "quantity", "size", "by hand", *names, "memory"]
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for row in found:
        cells = [f"{mid:.2f} ({low:.2f}–{high:.2f})" for low, mid, high in row.ratios.values()]
        lines.append(
            f"| {' | '.join([row.problem, row.quantity, row.size, shown(row.by_hand), *cells, memory(row)])} |"
        )
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


def best(row: Row, ours: bool) -> float | None:
    """The smallest ratio of matcalc's backends, or of the others."""
    found = [middle for name, (_, middle, _) in row.ratios.items() if name.startswith("matcalc") is ours]
    return min(found) if found else None


def advantages(found: Iterable[Row], backends: bool = False) -> list[float]:
    """How many times faster than the better of the others, with the default backend or the best of ours."""
    pairs = (((best(row, True) if backends else row.ratios["matcalc"][1]), best(row, False)) for row in found)
    return [other / ours for ours, other in pairs if ours and other]


def bars(found: list[Row]) -> str:
    """What was to be reached, and what was, on each number of threads."""
    counts = sorted({row.threads for row in found})
    lines = [f"| | bar | {' | '.join(f'{n} thread{chr(115) * (n > 1)}' for n in counts)} |"]
    lines.append(f"|{'---|' * (len(counts) + 2)}")
    told: dict[tuple[str, str], list[str]] = {}
    for n in counts:
        mine = [row for row in found if row.threads == n]
        first = [row for row in mine if row.quantity == "value+gradient"]
        second = [row for row in mine if row.quantity in ("Hessian", "Jacobian")]
        structured = [row for row in second if row.structured]
        long = [row.ratios["matcalc"][1] for row in first if row.by_hand >= 50e-6]
        starts = [row.first["jax.jit"] / row.first["matcalc"] for row in mine if "jax.jit" in row.first]
        peaks = [row.memory["matcalc"] for row in mine]
        ratios = [row.ratios["matcalc"][1] for row in second]
        seconds, all_seconds = advantages(structured), advantages(second)
        slowest = advantages(first, backends=True)
        cells = {
            ("value and gradient by the code by hand, geometric mean", "≤ 1.05"): mean(
                [row.ratios["matcalc"][1] for row in first]
            ),
            ("the largest where it takes 50 µs or more", "≤ 1.3"): extreme(max, long),
            ("Hessian or Jacobian by the code by hand, geometric mean", "≤ 1.1"): mean(ratios),
            ("the largest", "≤ 1.5"): extreme(max, ratios),
            ("times as fast as the better of JAX and PyTorch, where there is structure", "≥ 10"): mean(seconds),
            ("the smallest of all second derivatives", "≥ 1"): extreme(min, all_seconds),
            (
                "value and gradient by the better of JAX and PyTorch, the largest (our faster backend)",
                "≤ 1.1",
            ): (extreme(max, [1 / value for value in slowest])),
            ("first number by JAX's, median", "≤ 0.2"): f"{1 / statistics.median(starts):.2f}" if starts else "–",
            ("peak memory by that of the code by hand, median", "≤ 1.2"): f"{statistics.median(peaks):.2f}",
            ("the largest peak", "≤ 1.2"): extreme(max, peaks),
        }
        for key, cell in cells.items():
            told.setdefault(key, []).append(cell)
    lines += [f"| {what} | {bar} | {' | '.join(cells)} |" for (what, bar), cells in told.items()]
    return "\n".join(lines)


def extreme(pick: Callable[[list[float]], float], values: list[float]) -> str:
    return f"{pick(values):.2f}" if values else "–"


def report(found: list[Row], seconds: float) -> str:
    from importlib.metadata import PackageNotFoundError, version

    def told(package: str) -> str:
        try:
            return f"{package} {version(package)}"
        except PackageNotFoundError:
            return ""

    packages = ", ".join(filter(None, map(told, ("numpy", "scipy", "jax", "torch"))))
    parts = []
    for n in sorted({row.threads for row in found}):
        mine = [row for row in found if row.threads == n]
        parts.append(f"## {n} thread{'s' * (n > 1)}\n\n{summary(mine)}\n\n{table(mine)}\n")
    return (
        "# Speed of generated code\n\nWritten by `python benchmarks/speed.py --write` in one run of "
        f"{seconds / 60:.0f} minutes: CPython {platform.python_version()}, {packages}, {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the end. "
        "A number is the time by that of NumPy code written by hand, the median over the rounds with the quartiles; "
        "below 1 is faster than by hand. The code by hand is the fastest form for these data; it does not guard "
        "against overflow, generated code does. *Memory* is the peak of one call, the result included, by that of the "
        "code by hand.\n\n"
        f"{bars(found)}\n\n![the ratios](speed.svg)\n\n" + "\n".join(parts)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/speed.md and docs/speed.svg")
    parser.add_argument("--only", default="", help="a part of the names of problems")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2], help="the numbers of threads")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        for row in rows(options.only):
            print(json.dumps(row), flush=True)
        return
    found = []
    start = time.perf_counter()
    for threads in options.threads:
        for row in measured(threads, options.only):
            found.append(row)
            told = ", ".join(f"{name} {middle:.2f}" for name, (_, middle, _) in row.ratios.items())
            print(f"{threads}: {row.problem}, {row.quantity}, {row.size}: {told}; {memory(row)}", flush=True)
    told = report(found, time.perf_counter() - start)
    print(f"\n{told}")
    if options.write:
        picture([row for row in found if row.threads == min(options.threads)], ROOT / "docs" / "speed.svg")
        (ROOT / "docs" / "speed.md").write_text(told, encoding="utf-8")


if __name__ == "__main__":
    main()
