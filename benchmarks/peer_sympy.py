"""The same problems in SymPy: what it answers, whether that is right, how long it takes.

Each function goes to SymPy by ``mc.to_sympy``, as a whole and addend by addend; the derivative comes back
by ``mc.from_sympy``.  What SymPy has no counterpart of (vec, recurrences, eigenvalues, derivatives along a
structure) is not asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import sympy
from peers import Peer, Problem

import matcalc as mc
from matcalc.errors import MatcalcError

NAME = f"SymPy {sympy.__version__}"
ORDER = ("right", "an array expression", "not evaluated", "an error", "silently 0", "wrong")
"""What may come out; of several spellings of a problem the first in this order counts."""


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


def question(problem: Problem, other: Problem, answer: mc.Expr) -> Peer:
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
