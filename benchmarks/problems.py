"""Problems with a textbook's answer: what matcalc finds, whether it is right, how long, and how large.

    python benchmarks/problems.py                     the problems of problems.jsonl, as a table
    python benchmarks/problems.py FILE.jsonl          those of another file
    python benchmarks/problems.py --only PATTERN      those whose name matches
    python benchmarks/problems.py --write             the same table into docs/problems.md, with what SymPy and
                                                      tensorgrad answer, where installed

A line of the file holds ``id``, ``group``, ``expr``, ``wrt``, ``where``, ``let``, ``form`` (gradient, jacobian or
hessian), ``structured``, ``expected`` (the textbook's answer, or null) and ``expected_let`` (names that
it uses).  Right means that values at random points agree with a derivative found without the rules,
and with the textbook's answer.  Sizes are numbers of nodes; times are those of a second run, in which
every name is new, so that no answer comes out of a memory.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import time
from collections.abc import Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

import peers

import matcalc as mc
from matcalc.errors import MatcalcError

ROOT = Path(__file__).resolve().parent.parent
PROBLEMS = ROOT / "benchmarks" / "problems.jsonl"
REPORT = ROOT / "docs" / "problems.md"
LONGER = 1.2
"""Answers longer than the textbook's by more than this factor are listed."""

Problem = Mapping[str, Any]


class Result(NamedTuple):
    """What came out of one problem; sizes and time are None where there is nothing to measure."""

    name: str
    status: str
    answer: str
    expected: str
    group: str = ""
    size: int | None = None
    wanted: int | None = None
    seconds: float | None = None

    @property
    def ratio(self) -> float | None:
        """The size of the answer in units of the textbook's."""
        return self.size / self.wanted if self.size and self.wanted else None


def problems(path: Path = PROBLEMS, only: str = "") -> list[Problem]:
    """The problems of a file."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [problem for problem in lines if re.search(only, problem["id"])]


def derive(problem: Problem) -> tuple[mc.Derivative, mc.Expr]:
    """The derivative, and the answer in the form that is asked for."""
    given = {"where": problem["where"], "let": problem.get("let"), "structured": bool(problem.get("structured"))}
    if problem["form"] == "hessian":
        given.pop("structured")
        found = mc.hessian(problem["expr"], problem["wrt"], **given)
        return found, found.expr
    found = mc.derivative(problem["expr"], problem["wrt"], **given)
    return found, found.gradient if problem["form"] == "gradient" else found.jacobian


def renamed(problem: Problem, suffix: str) -> Problem:
    """The same problem with a suffix to the name of every variable."""
    declared = ",".join(problem["where"])
    names = {part.strip().split("[")[0] for part in re.sub(r"\[[^\]]*\]", "", declared).split(",")}
    pattern = re.compile(r"(?<![\\\w])(" + "|".join(sorted(map(re.escape, names))) + r")(?!\w)")

    def new(text: str) -> str:
        return pattern.sub(lambda found: found.group(1) + suffix, text)

    changed = {**problem, "expr": new(problem["expr"]), "wrt": new(problem["wrt"])}
    changed["where"] = {new(key): kind for key, kind in problem["where"].items()}
    if problem.get("let"):
        changed["let"] = {new(key): new(text) for key, text in problem["let"].items()}
    return changed


def run(problem: Problem, timed: bool = True) -> Result:
    """One problem solved, checked and measured."""
    name, expected, group = problem["id"], problem.get("expected") or "", problem.get("group", "")
    try:
        found, answer = derive(problem)
        text = str(answer)
    except MatcalcError as error:
        return Result(name, "refused", error.message, expected, group)
    wanted, agrees = None, True
    if expected:
        let = {**(problem.get("let") or {}), **problem.get("expected_let", {})}
        try:
            theirs = mc.parse(expected, where=problem["where"], let=let or None)
        except MatcalcError as error:
            return Result(name, "refused", f"the textbook's answer: {error.message}", expected, group)
        wanted = theirs.size
        agrees = bool(mc.equal(answer, theirs)) or bool(found.compare(theirs))
    status = "right" if agrees and found.check(trials=2).ok else "wrong"
    return Result(name, status, text, expected, group, answer.size, wanted, warm(problem) if timed else None)


def warm(problem: Problem) -> float | None:
    """Seconds from text to text when everything but this problem has been loaded."""
    best = None
    for suffix in ("q", "z"):
        try:
            start = time.perf_counter()
            str(derive(renamed(problem, suffix))[1])
            spent = time.perf_counter() - start
        except MatcalcError:  # a new name may mean something else
            continue
        best = spent if best is None else min(best, spent)
    return best


def summary(results: Iterable[Result]) -> str:
    """The figures of all problems, one line each."""
    listed = list(results)
    counts = {status: sum(r.status == status for r in listed) for status in ("right", "wrong", "refused")}
    lines = ["- " + ", ".join(f"{count} {status}" for status, count in counts.items()) + f" of {len(listed)}"]
    ratios = sorted(r.ratio for r in listed if r.ratio)
    if ratios:
        at95 = ratios[int(0.95 * (len(ratios) - 1))]
        over = sum(r > LONGER for r in ratios)
        lines.append(
            f"- size in units of the textbook's: median {statistics.median(ratios):.2f}, "
            f"95 % at most {at95:.2f}, {over} of {len(ratios)} over {LONGER}"
        )
    times = [r.seconds for r in listed if r.seconds is not None]
    if times:
        lines.append(f"- time: median {1000 * statistics.median(times):.1f} ms, at most {1000 * max(times):.0f} ms")
    return "\n".join(lines)


def table(results: Iterable[Result]) -> str:
    """One row for each problem."""
    rows = ["| problem | | size | time | answer |", "|---|---|---|---|---|"]
    for r in results:
        size = f"{r.size}/{r.wanted}" if r.size and r.wanted else str(r.size or "")
        spent = f"{1000 * r.seconds:.1f} ms" if r.seconds is not None else ""
        rows.append(f"| {r.name} | {r.status} | {size} | {spent} | `{r.answer.replace('|', chr(92) + '|')}` |")
    return "\n".join(rows)


def groups(results: Iterable[Result]) -> str:
    """One row for each group of problems."""
    together: dict[str, list[Result]] = {}
    for r in results:
        together.setdefault(r.group or "others", []).append(r)
    rows = ["| group | problems | right | size, median | largest |", "|---|---|---|---|---|"]
    for group, members in together.items():
        ratios = [r.ratio for r in members if r.ratio]
        sizes = f"{statistics.median(ratios):.2f} | {max(ratios):.2f}" if ratios else " | "
        rows.append(f"| {group} | {len(members)} | {sum(r.status == 'right' for r in members)} | {sizes} |")
    return "\n".join(rows)


def imperfect(results: Iterable[Result]) -> str:
    """Every problem that was not solved, or whose answer is longer than the textbook's."""
    lines = []
    for r in results:
        longer = r.ratio is not None and r.ratio > LONGER
        if r.status != "right" or longer:
            why = f"{r.size} nodes for {r.wanted}" if longer else r.status
            lines.append(f"- **{r.name}** ({why}): `{r.answer}`; the textbook: `{r.expected or '–'}`")
    return "\n".join(lines) or "None."


def against(peer: str, listed: Iterable[Problem], results: Iterable[Result]) -> str:
    """What another program answers to the same problems; empty where it is not installed."""
    try:
        asking = import_module(f"peer_{peer}")
    except ImportError:
        return ""
    seconds = {r.name: r.seconds for r in results if r.status == "right"}
    asked = []
    for problem in listed:
        if problem["id"] in seconds and not problem.get("structured"):
            other = problem if "$" in problem["expr"] else renamed(problem, "q")
            asked.append(peers.ask(asking.question, problem, other, derive(problem)[1]))
    return f"## {asking.NAME} on the same problems\n\n{peers.section(asking.NAME, asked, seconds.get)}\n\n"


def report(results: list[Result], source: Path, others: str = "") -> str:
    """The page ``docs/problems.md``."""
    return (
        f"# Problems with a textbook's answer\n\nWritten by `python benchmarks/problems.py --write` "
        f"from {source.name}.\n\n{summary(results)}\n\n{groups(results)}\n\n"
        f"## Not perfect\n\n{imperfect(results)}\n\n{others}## All problems\n\n{table(results)}\n"
    )


def main() -> None:
    """Run the problems of a file and print, or write, the table."""
    parser = argparse.ArgumentParser(description="Problems with a textbook's answer.")
    parser.add_argument("file", nargs="?", type=Path, default=PROBLEMS)
    parser.add_argument("--only", default="", help="a pattern for the names")
    parser.add_argument("--write", action="store_true", help=f"write {REPORT.relative_to(ROOT)}")
    given = parser.parse_args()
    listed = problems(given.file, given.only)
    results = [run(problem) for problem in listed]
    if given.write:
        others = "".join(against(peer, listed, results) for peer in ("sympy", "tensorgrad"))
        REPORT.write_text(report(results, given.file, others), encoding="utf-8")
    else:
        print(table(results), imperfect(results), sep="\n\n")
    print(summary(results))


if __name__ == "__main__":
    main()
