"""The same problems in SymPy: what it answers, whether that is right, how long it takes.

Each function goes to SymPy by ``mc.to_sympy``, as a whole and addend by addend; the derivative comes back
by ``mc.from_sympy``.  What SymPy has no counterpart of (vec, recurrences, eigenvalues, derivatives along a
structure) is not asked.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, NamedTuple

import sympy

import matcalc as mc
from matcalc.errors import MatcalcError

SECONDS = 20
"""What one problem may take."""

ORDER = ("right", "an array expression", "not evaluated", "an error", "silently 0", "wrong")
"""What may come out; of several spellings of a problem the first in this order counts."""

Problem = Mapping[str, Any]


class Peer(NamedTuple):
    """What SymPy made of one problem."""

    name: str
    status: str
    seconds: float | None = None


def _whole(function: Any, variable: Any) -> Any:
    return sympy.diff(function, variable)


def _by_addends(function: Any, variable: Any) -> Any:
    """The derivative of each addend: of a sum of traces, SymPy's is 0."""
    parts = [sympy.diff(addend, variable) for addend in sympy.Add.make_args(function)]
    return sympy.MatAdd(*parts).doit() if getattr(parts[0], "is_Matrix", False) else sympy.Add(*parts)


SPELLINGS = (_whole, _by_addends)


def _derivative(spelling: Callable[[Any, Any], Any], problem: Problem) -> tuple[Any, float]:
    """The derivative, and the seconds that it took; log|det A| is written log det A."""
    given = {"where": problem["where"], "let": problem.get("let")}
    function, variable = (mc.to_sympy(mc.parse(problem[key], **given)) for key in ("expr", "wrt"))
    function = function.replace(sympy.Abs, lambda a: a if isinstance(a, sympy.Determinant) else sympy.Abs(a))
    start = time.perf_counter()
    found = spelling(function, variable)
    if problem["form"] == "hessian":
        found = spelling(found, variable)
    str(found)
    return found, time.perf_counter() - start


def _judge(problem: Problem, found: Any, answer: mc.Expr) -> str:
    """Right, also in the transposed layout; else wrong; or what it is instead of a formula in matrices."""
    spelled = sympy.srepr(found)
    if "Derivative" in spelled:
        return "not evaluated"
    if "Array" in spelled:
        return "an array expression"
    try:
        theirs = mc.from_sympy(found, where=problem["where"])
    except MatcalcError:
        return "an array expression"
    for candidate in (theirs, theirs.T):
        if candidate.shape == answer.shape and mc.equal(candidate, answer):
            return "right"
    return "silently 0" if str(theirs).startswith(("0", "zeros(")) else "wrong"


def _ask(problem: Problem, other: Problem, answer: mc.Expr) -> Peer:
    """One problem; ``other`` is the same with new names, which is the one that is timed."""
    name = problem["id"]
    try:
        mc.to_sympy(mc.parse(problem["expr"], where=problem["where"], let=problem.get("let")))
    except MatcalcError:
        return Peer(name, "no counterpart")
    tries: list[Peer] = []
    for spelling in SPELLINGS:
        try:
            status = _judge(problem, _derivative(spelling, problem)[0], answer)
            tries.append(Peer(name, status, _derivative(spelling, other)[1]))
        except Exception:  # SymPy raises whatever it raises
            tries.append(Peer(name, "an error"))
    return min(tries, key=lambda one: ORDER.index(one.status))


def _child(connection: Connection, *question: Any) -> None:
    connection.send(_ask(*question))


def ask(problem: Problem, other: Problem, answer: mc.Expr) -> Peer:
    """One problem in a process of its own, stopped after :data:`SECONDS`."""
    context = get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(there, problem, other, answer))
    child.start()
    there.close()
    try:
        found: Peer = here.recv() if here.poll(SECONDS) else Peer(problem["id"], f"over {SECONDS} s")
    except EOFError:
        found = Peer(problem["id"], "died")
    child.kill()
    child.join()
    return found


def section(peers: Sequence[Peer], seconds: Callable[[str], float | None]) -> str:
    """The comparison as a part of the page; ``seconds`` is our time for a problem."""
    asked = [p for p in peers if p.status != "no counterpart"]
    counts = Counter(p.status for p in asked)
    ratios = [p.seconds / ours for p in asked if p.status == "right" and p.seconds and (ours := seconds(p.name))]
    lines = [f"- {len(asked)} of {len(peers)} functions have a counterpart in SymPy {sympy.__version__}"]
    lines.append("- its derivative: " + ", ".join(f"{count} {status}" for status, count in counts.most_common()))
    if ratios:
        slower = sum(r < 1 for r in ratios)
        lines.append(
            f"- time of SymPy in units of ours where it is right: median {median(ratios):.1f}, "
            f"{min(ratios):.1f} to {max(ratios):.0f}; it is faster in {slower} of {len(ratios)}"
        )
    for status in counts:
        if status != "right":
            named = ", ".join(p.name for p in asked if p.status == status)
            lines.append(f"- {status}: {named}")
    return "\n".join(lines)
