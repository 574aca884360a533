"""Random expressions of the whole language, their derivatives held against JAX's.

    python benchmarks/random_expressions.py [--count 10000] [--seed 0] [--jobs 2] [--write]

Needs JAX.  Every expression can be made again from the seed and its number; what goes wrong is shown as
small as it could be made.  ``--write`` writes docs/random.md, also when the run is ended (by Ctrl-C or
``kill``): then of those that were done.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from randomized.checks import check  # noqa: E402
from randomized.generate import LABELS  # noqa: E402
from randomized.problems import random_problem  # noqa: E402
from randomized.shrink import shrunk  # noqa: E402

EVERY = 20
"""Of so many expressions one is checked thoroughly: steps replayed, the other route, d.check(), LaTeX read back."""
CHUNK, CHUNKS = 10, 40
CYCLE = (*LABELS, "rec2", "dexpm", "logm")
"""What is asked for in turn; what seldom comes up by itself, twice."""


class Result(NamedTuple):
    """What came of one expression."""

    number: int
    kind: str
    labels: frozenset[str]
    depth: int
    nodes: int
    seconds: float
    shown: str


def one(task: tuple[str, int]) -> Result:
    seed, number = task
    name = f"{seed}:{number}"
    problem, inputs = random_problem(name, CYCLE[number % len(CYCLE)])
    thorough = number // len(CYCLE) % EVERY == 0
    found = check(problem, inputs, name, spelling=Random(name), thorough=thorough)
    labels = frozenset(e.label for e in problem.e.walk())
    seconds, kind = found.seconds, found.kind
    if kind != "right":
        _, found = shrunk(problem, inputs, found)
    shown = f"{name}: {found}" if kind != "right" else f"{name}: {found.text} by {found.wrt}"
    return Result(number, kind, labels, problem.e.depth, sum(1 for _ in problem.e.walk()), seconds, shown)


def results(seed: str, count: int, jobs: int) -> Iterator[Result]:
    """What came of each, in processes that are begun anew after some hundred, which bounds their memory."""
    tasks = [(seed, number) for number in range(count)]
    with get_context("spawn").Pool(jobs, maxtasksperchild=CHUNKS) as pool:
        yield from pool.imap_unordered(one, tasks, chunksize=CHUNK)


def report(found: list[Result], seed: str) -> str:
    """The page: what was asked, what came of it, by function."""
    kinds = Counter(r.kind for r in found)
    refused = kinds.pop("refused", 0)
    right = kinds.pop("right", 0)
    depths = Counter(min(r.depth, 10) for r in found)
    deep = sum(r.depth >= 4 for r in found)
    nodes = sorted(r.nodes for r in found)
    lines = [
        "# Random expressions",
        "",
        "Typed random expressions over the whole language, each differentiated by a random variable; the",
        "derivative is compared with JAX's along random directions, as a value and as generated NumPy code. Also",
        "compared: the value of the expression itself, the answer's text read back, the simplified form (the same",
        f"value, simplified again the same), another order of the terms; in one of {EVERY}: every step replayed, the",
        "route by vec's, `d.check()`, the LaTeX read back.",
        f"Made by `python benchmarks/random_expressions.py --seed {seed} --count {len(found)} --write`; every",
        "expression can be made again from the seed and its number.",
        "",
        "| | |",
        "|---|---|",
        f"| expressions | {len(found)} |",
        f"| depth 4 and more | {deep} |",
        f"| by depth (10 and more as 10) | {', '.join(f'{d}: {n}' for d, n in sorted(depths.items()))} |",
        f"| nodes, median and most | {nodes[len(nodes) // 2]}, {nodes[-1]} |",
        f"| right | {right} |",
        f"| wrong, by kind | {', '.join(f'{k}: {v}' for k, v in sorted(kinds.items())) or 0} |",
        f"| refused, with an error that says why | {refused} |",
        f"| answers that took more than a second of processor time | {sum(r.seconds > 1 for r in found)} |",
        "",
        *not_right(found),
        "## By function and construct",
        "",
        "| | expressions | wrong | refused |",
        "|---|---|---|---|",
    ]
    for label in sorted({label for r in found for label in r.labels} | set(LABELS)):
        own = [r for r in found if label in r.labels]
        wrong = sum(r.kind not in ("right", "refused") for r in own)
        lines.append(
            f"| `{NAMES.get(label, label)}` | {len(own)} | {wrong} | {sum(r.kind == 'refused' for r in own)} |"
        )
    return "\n".join(lines) + "\n"


def not_right(found: list[Result]) -> list[str]:
    """What was wrong or refused, as small as it could be made."""
    shown = [line for r in found if r.kind != "right" for line in (f"    {s}" for s in r.shown.splitlines())]
    return ["## Not right", "", *shown, ""] if shown else []


NAMES = {
    "T": "A'",
    "add": "A + B", "mul": "A*B", "scale": "s*A", "div": "A/s", "had": "A .* B", "hdiv": "A ./ B", "neg": "-A",
    "pow": "A^k", "hpow": "A.^s", "shift": "A .+ s",
    "bars": "‖A‖", "invT": "A^-T", "phi": "phi(A)", "slice": "A[i..j,k..l]",
    "entry": "A[i,j]", "sumover": "sum(i=1..N, e)", "prodover": "prod(i=1..N, e)", "member": "x[i]", "state": "y[k]",
    "rec": "y[N] where y[0] = e; y[k+1] = f",
    "rec2": "two states that use one another", "let": "e where v = f", "derivative": "D, grad, hess inside",
    "size": "n as a number", "index": "i as a number", "num": "numbers", "var": "variables", "blocks": "[A, B; C, E]",
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description="Derivatives of random expressions against JAX.")
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seed", default="0")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="write docs/random.md")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"seed {options.seed}, {options.count} expressions", flush=True)
    start = time.perf_counter()
    found: list[Result] = []
    try:
        for result in results(options.seed, options.count, options.jobs):
            found.append(result)
            if result.kind != "right":
                print(result.shown, flush=True)
            elif result.seconds > 1:
                print(f"{result.seconds:.1f} s: {result.shown}", flush=True)
            if len(found) % 500 == 0:
                print(f"{len(found)} done, {time.perf_counter() - start:.0f} s", flush=True)
    except KeyboardInterrupt:
        print(f"ended after {len(found)}", flush=True)
    page = report(found, options.seed)
    print(page)
    if options.write:
        (ROOT / "docs" / "random.md").write_text(page, encoding="utf-8")
    return int(any(r.kind not in ("right", "refused") for r in found))


if __name__ == "__main__":
    sys.exit(main())
