"""A failure made as small as it still fails in the same way."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from .checks import THOROUGH, Outcome, check
from .generate import Problem
from .problems import MEMBER_INDEX, used
from .reference import NUMPY, Inputs, Unfit
from .tree import E


def smaller(e: E) -> list[E]:
    """Simpler expressions of the same shape, the most different first."""
    found: list[E] = []
    for node in e.walk():
        if node is not e and node.shape == e.shape and node.op not in ("state",):
            found.append(node)
    if e.op not in ("var", "num", "member", "state", "index"):
        if e.is_scalar:
            found.append(E("num", (), e.rows, e.cols, 2))
        elif e.rows == e.cols and e.op != "eye" and e.rows.atomic:
            found.append(E("eye", (), e.rows, e.cols, (e.rows,)))
        elif e.op not in ("ones", "eye") and e.rows.written and e.cols.written:
            found.append(E("ones", (), e.rows, e.cols, (e.rows, e.cols)))
    if e.op in ("add", "had") and len(e.args) > 2:
        attr = e.attr[:-1] if e.op == "add" else e.attr
        found.append(replace(e, args=e.args[:-1], attr=attr))
    for k, arg in enumerate(e.args):
        for other in smaller(arg):
            found.append(e.with_args((*e.args[:k], other, *e.args[k + 1 :])))
    return found


def shrunk(problem: Problem, inputs: Inputs, outcome: Outcome, seconds: float = 20.0) -> tuple[Problem, Outcome]:
    """The smallest problem found that fails in the same way."""
    end = time.monotonic() + seconds
    progress = True
    while progress and time.monotonic() < end:
        progress = False
        size = sum(1 for _ in problem.e.walk())
        for e in smaller(problem.e):
            if time.monotonic() > end:
                break
            if sum(1 for _ in e.walk()) >= size or problem.wrt not in used(e):
                continue
            candidate = pruned(replace(problem, e=e))
            if not closed(e, candidate):
                continue
            try:
                with np.errstate(all="ignore"):
                    NUMPY(e, inputs)
            except (Unfit, np.linalg.LinAlgError, KeyError):
                continue
            found = check(candidate, inputs, thorough=outcome.kind in THOROUGH)
            if found.kind == outcome.kind and (found.kind != "refused" or found.message[:25] == outcome.message[:25]):
                problem, outcome, progress = candidate, found, True
                break
    return problem, outcome


def pruned(problem: Problem) -> Problem:
    names = used(problem.e) | {problem.wrt}
    return replace(
        problem,
        variables={n: v for n, v in problem.variables.items() if n in names},
        families={n: f for n, f in problem.families.items() if n in names},
        integers={n: v for n, v in problem.integers.items() if n in names},
        functions=tuple(n for n in problem.functions if n in names),
    )


def closed(e: E, problem: Problem, bound: frozenset[str] = frozenset()) -> bool:
    """True when nothing stands outside what binds it."""
    if e.op == "var" and e.attr not in problem.variables and e.attr not in bound:
        return False
    if e.op == "state" and (e.attr[0] not in bound or (e.attr[1][0] and e.attr[1][0] not in bound | {"N", "q"})):
        return False
    places = {
        "index": lambda: [e.attr],
        "member": lambda: [e.attr[1]],
        "basis": lambda: [e.attr[0]],
        "ind": lambda: [e.attr[0], e.attr[2]],
        "entry": lambda: list(e.attr),
        "sumover": lambda: list(e.attr[1:]),
    }
    names = places[e.op]() if e.op in places else []
    if any(name and name not in bound | {"N", "q", "n", MEMBER_INDEX} for name, _ in names):
        return False
    if e.op == "rec":
        name, index, _, _ = e.attr
        start, body, result = e.args
        if not any(a.op == "state" and a.attr[0] == name for a in result.walk()):
            return False
        return (
            closed(start, problem, bound)
            and closed(body, problem, bound | {name, index})
            and closed(result, problem, bound | {name})
        )
    if e.op == "rec2":
        first, second, index, _ = e.attr
        inside = bound | {first, second}
        named = {a.attr[0] for part in e.args[2:] for a in part.walk() if a.op == "state"}
        bodies = all(closed(a, problem, inside | {index}) for a in e.args[2:4])
        return (
            inside - bound <= named
            and bodies
            and all(
                closed(a, problem, b) for a, b in zip((*e.args[:2], e.args[4]), (bound, bound, inside), strict=True)
            )
        )
    if e.op == "let":
        if not any(a.op == "var" and a.attr == e.attr for a in e.args[1].walk()):
            return False
        return closed(e.args[0], problem, bound) and closed(e.args[1], problem, bound | {e.attr})
    inside = bound | {e.attr[0]} if e.op in ("sumover", "prodover") else bound
    return all(closed(a, problem, inside) for a in e.args)
