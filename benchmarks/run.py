"""Figures of matcalc, and of SymPy, NumPy by hand and JAX on the same questions, side by side in one run.

    python benchmarks/run.py             a table
    python benchmarks/run.py --write     the same table into docs/benchmarks.md
    python benchmarks/run.py --limit 20  seconds that SymPy may take for one question (default 60)

Times are wall time, the smallest of several runs where a run is short.  SymPy answers in a process of
its own, which is ended at the limit.
"""

from __future__ import annotations

import argparse
import json
import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import NamedTuple

import matcalc as mc
from matcalc.terms import build
from matcalc.terms.term import Term

ROOT = Path(__file__).resolve().parent.parent
REPORT = ROOT / "docs" / "benchmarks.md"


class Figure(NamedTuple):
    """One row: what was measured, what came out, what others take, and what is aimed at."""

    what: str
    ours: str
    others: str = ""
    goal: str = ""


def seconds(work: Callable[[], object], runs: int = 1) -> float:
    """The smallest wall time of a call."""
    best = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def shown(value: float) -> str:
    if value < 0.01:
        return f"{value * 1000:.2f} ms"
    return f"{value * 1000:.0f} ms" if value < 1 else f"{value:.2f} s"


# ---------------------------------------------------------------- start


def python(code: str) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def start() -> Iterator[Figure]:
    bare = seconds(lambda: python("pass"), 9)
    imported = seconds(lambda: python("import matcalc"), 9)
    first = seconds(lambda: python("import matcalc; str(matcalc.derivative(\"x'*A*x\", 'x'))"), 5)
    yield Figure("`import matcalc`, beyond a bare interpreter", shown(imported - bare), goal="150 ms")
    yield Figure("`import matcalc` and the first derivative, beyond a bare interpreter", shown(first - bare))
    yield Figure("to the prompt of the REPL", shown(min(prompt() for _ in range(5))), goal="400 ms")


def prompt() -> float:
    """From starting the command on a terminal to its prompt."""
    begin = time.perf_counter()
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-m", "matcalc"])
    seen = b""
    while b"\n>" not in re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", seen):  # without the terminal's control sequences
        if not select.select([terminal], [], [], 20)[0]:
            raise TimeoutError(f"no prompt in 20 s, only {seen!r}")
        seen += os.read(terminal, 4096)
    taken = time.perf_counter() - begin
    os.write(terminal, b"\x04")
    os.close(terminal)
    os.waitpid(child, 0)
    return taken


# ---------------------------------------------------------------- derivatives


NUMBER = count()
"""Every repetition has variables of its own: no answer is found in a memory of earlier ones."""

TWO_LAYERS = """
from sympy import *
m, n, k = symbols('m n k', integer=True, positive=True)
W1, W2 = MatrixSymbol('W1', k, n), MatrixSymbol('W2', m, k)
x, b1, b2, t = (MatrixSymbol(name, rows, 1) for name, rows in (('x', n), ('b1', k), ('b2', m), ('t', m)))
z = Symbol('z')
inner = (W1*x + b1).applyfunc(Lambda(z, tanh(z)))
r = (W2*inner + b2).applyfunc(Lambda(z, tanh(z))) - t
(r.T*r).diff(W1)
"""

LAYERS = """
from sympy import *
n = symbols('n', integer=True, positive=True)
x, z = MatrixSymbol('x', n, 1), Symbol('z')
W = [MatrixSymbol(f'W{k}', n, n) for k in range(4)]
y = x
for w in W:
    y = (w*y).applyfunc(Lambda(z, tanh(z)))
(y.T*y).diff(W[0])
"""

TRACE = """
from sympy import *
n = symbols('n', integer=True, positive=True)
X = MatrixSymbol('X', n, n)
Trace(MatMul(*(f for k in range(32) for f in (MatrixSymbol(f'A{k}', n, n), X)))).diff(X)
"""


def two_layers() -> Term:
    i = next(NUMBER)
    f = f"norm(tanh(W2_{i}*tanh(W1_{i}*x + b1) + b2) - t)^2"
    where = f"W1_{i}: matrix(h,n); W2_{i}: matrix(m,h); x: vector(n); b1: vector(h); b2: vector(m); t: vector(m)"
    return mc.derivative(f, f"W1_{i}", where=where).expr.term


def layers(number: int) -> Term:
    i = next(NUMBER)
    weights = [mc.matrix(f"W{k}_{i}", "n") for k in range(number)]
    offsets = [mc.vector(f"b{k}_{i}", "n") for k in range(number)]
    y = mc.vector("x", "n")
    for w, b in zip(weights, offsets, strict=True):
        y = mc.Expr(build.fun("tanh", (w @ y + b).term))
    return mc.derivative(mc.norm(y - mc.vector("t", "n")) ** 2, weights[0]).expr.term


def trace(number: int) -> str:
    i = next(NUMBER)
    text = "*".join(f"A{k}_{i}*X" for k in range(number))
    names = ", ".join(f"A{k}_{i}" for k in range(number))
    return str(mc.derivative(f"tr({text})", "X", where=f"{names}, X: matrix(n,n)"))


def derivatives(limit: float) -> Iterator[Figure]:
    two_layers()
    taken = shown(seconds(two_layers, 50))
    what = "gradient of ‖tanh(W₂ tanh(W₁x + b₁) + b₂) − t‖² in W₁, warm"
    yield Figure(what, taken, sympy(TWO_LAYERS, limit), "5 ms")
    for number in (250, 500, 1000):
        taken = shown(seconds(partial(layers, number), 2))
        theirs = sympy(LAYERS, limit) + " (4 layers)" if number == 250 else ""
        what = f"gradient through {number} explicit layers, in the weights of the first"
        yield Figure(what, taken, theirs, "2 s" if number == 1000 else "")
    trace(2)
    taken = shown(seconds(partial(trace, 32), 5))
    yield Figure("gradient of tr(A₁X A₂X … A₃₂X), printed", taken, sympy(TRACE, limit), "100 ms")


ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_X64": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
}


def network() -> Iterator[Figure]:
    """A deep network, its depth a symbol where it is derived."""
    command = [sys.executable, str(ROOT / "benchmarks" / "network.py")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **ONE_THREAD})
    taken = json.loads(done.stdout)
    yield Figure(
        "gradient of a network of L layers in all weights, L symbolic, warm", shown(taken["deriving"]), goal="50 ms"
    )
    jitted = min(taken["jax scan"], taken["jax unrolled"])
    for name, theirs in (("a NumPy loop by hand", taken["by hand"]), ("jax.jit", jitted)):
        what = "its generated code, 50 layers, width 64, batch 256, one thread"
        ratio = taken["generated"] / theirs
        yield Figure(what, shown(taken["generated"]), f"{name}: {shown(theirs)}, {ratio:.2f}×", "1.2×")


def sympy(code: str, limit: float) -> str:
    """How long SymPy takes, its import left out; what it raises; or that it was ended."""
    script = f"import time\nimport sympy\nstart = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    try:
        command = [sys.executable, "-c", script]
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit, check=False)
    except subprocess.TimeoutExpired:
        return f"SymPy: ended after {limit:g} s"
    if done.returncode:
        return f"SymPy raises {done.stderr.strip().splitlines()[-1].split(':')[0]}"
    return f"SymPy: {shown(float(done.stdout))}"


# ---------------------------------------------------------------- size


def long_sum() -> Term:
    x = mc.vector("x", "n")
    terms = [build.mul(build.transpose(mc.vector(f"a{k}", "n").term), x.term) for k in range(10_000)]
    return mc.derivative(mc.Expr(build.add(*terms)), x).expr.term


def nested() -> Term:
    t = mc.scalar("t")
    y = t.term
    for k in range(5000):
        y = build.fun(("sin", "tanh")[k % 2], y)
    return mc.derivative(mc.Expr(y), t).expr.term


def squarings() -> Term:
    X = mc.matrix("X", "n")
    y = X
    for _ in range(60):
        y = y @ y
    return mc.derivative(mc.tr(y), X).expr.term


def sandwiches() -> Term:
    A, B, Y = (mc.matrix(name, "n") for name in "ABY")
    y = Y
    for _ in range(60):
        y = A @ y @ B @ y
    return mc.derivative(mc.tr(y), Y).expr.term


def sizes() -> Iterator[Figure]:
    for what, work in (
        ("gradient of a sum of 10,000 terms", long_sum),
        ("derivative of 5,000 nested functions", nested),
        ("gradient of the trace of 60 squarings, X^(2^60)", squarings),
        ("gradient of the trace of 60 steps y ← A y B y", sandwiches),
    ):
        yield Figure(what, shown(seconds(work)), goal="seconds")


# ---------------------------------------------------------------- the report


def table(figures: list[Figure]) -> str:
    rows = [("what", "matcalc", "others", "goal"), *figures]
    widths = [max(len(row[k]) for row in rows) for k in range(4)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    lines = [f"| {' | '.join(cells)} |" for cells in padded]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    parser.add_argument("--limit", type=float, default=60, help="seconds for one question to SymPy")
    options = parser.parse_args()
    figures: list[Figure] = []
    for figure in (*start(), *derivatives(options.limit), *network(), *sizes()):
        print(f"{figure.what}: {figure.ours}" + (f"; {figure.others}" if figure.others else ""), flush=True)
        figures.append(figure)
    text = table(figures)
    print(f"\n{text}")
    if options.write:
        from importlib.metadata import version

        head = (
            "# Figures\n\n"
            "Written by `python benchmarks/run.py --write`, all in one run, "
            f"CPython {sys.version.split()[0]}, SymPy {version('sympy')}, {os.cpu_count()} cores. "
            "Every repetition has variables of its own, so that no answer comes out of a memory of an earlier one.\n\n"
        )
        REPORT.write_text(f"{head}{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
