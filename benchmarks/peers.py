"""The same problems put to other programs: what they answer, whether that is right, how long it takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from multiprocessing import get_context
from multiprocessing.connection import Connection
from statistics import median
from typing import Any, NamedTuple

import matcalc as mc

SECONDS = 20
"""What one problem may take."""

Problem = Mapping[str, Any]


class Peer(NamedTuple):
    """What another program made of one problem; ``seconds`` are those of the derivation alone."""

    name: str
    status: str
    seconds: float | None = None


Question = Callable[[Problem, Problem, mc.Expr], Peer]
"""Puts one problem; the second is the same with new names, which is the one that is timed."""


def _child(connection: Connection, question: Question, *given: Any) -> None:
    connection.send(question(*given))


def ask(question: Question, problem: Problem, other: Problem, answer: mc.Expr) -> Peer:
    """One problem in a process of its own, stopped after :data:`SECONDS`."""
    context = get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_child, args=(there, question, problem, other, answer))
    child.start()
    there.close()
    try:
        found: Peer = here.recv() if here.poll(SECONDS) else Peer(problem["id"], f"over {SECONDS} s")
    except EOFError:
        found = Peer(problem["id"], "died")
    child.kill()
    child.join()
    return found


def section(name: str, peers: Sequence[Peer], seconds: Callable[[str], float | None]) -> str:
    """The comparison as a part of the page; ``seconds`` is our time for a problem."""
    asked = [p for p in peers if p.status != "no counterpart"]
    counts = Counter(p.status for p in asked)
    ratios = [p.seconds / ours for p in asked if p.status == "right" and p.seconds and (ours := seconds(p.name))]
    lines = [f"- {len(asked)} of {len(peers)} functions have a counterpart in {name}; ours is right for all of them"]
    lines.append("- its derivative: " + ", ".join(f"{count} {status}" for status, count in counts.most_common()))
    if ratios:
        slower = sum(r < 1 for r in ratios)
        lines.append(
            f"- its time in units of ours where it is right: median {median(ratios):.1f}, "
            f"{min(ratios):.1f} to {max(ratios):.0f}; it is faster in {slower} of {len(ratios)}"
        )
    for status in counts:
        if status != "right":
            named = ", ".join(p.name for p in asked if p.status == status)
            lines.append(f"- {status}: {named}")
    return "\n".join(lines)
