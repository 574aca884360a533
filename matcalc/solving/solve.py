"""The search: from equations to unknowns, best equation first, by the strategies.

An equation is the better the fewer inverses hold the unknown, the fewer times it occurs, and the
smaller it is.  The search is bounded; when it ends without a solution the equation that could not be
isolated is named.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from ..calculus.system import System
from ..errors import NoClosedForm
from ..rewriting.steps import stepwise
from ..terms import build
from ..terms.term import Term
from ..terms.walk import contains, replace, size
from .equation import Condition, Equation, Solution, SolveStep, occurrences, under_inverse
from .strategies import SIMPLIFY, STRATEGIES, Move, Need

MAX_EQUATIONS = 400
"""The search looks at no more than this many equations for one unknown."""


def solve(system: System, equations: Sequence[Equation], unknowns: Sequence[Term]) -> Solution:
    """Solve for the unknowns, in the order that works.

    Raises :class:`NoClosedForm` naming the equation that could not be isolated.
    """
    open_equations = list(equations)
    left = list(unknowns)
    result = Solution({}, equations=list(equations))
    while left:
        found = _one(system, open_equations, left, result)
        if found is None and result.values:
            open_equations = [_inserted(e, result) for e in open_equations]
            found = _one(system, open_equations, left, result)
        if found is None:
            equation, unknown = open_equations[0], left[0]
            raise NoClosedForm(f"no strategy isolates {unknown} in {equation}")
        equation, unknown, value = found
        open_equations.remove(equation)
        left.remove(unknown)
        whole = system.simplify(replace(value, result.values))
        if contains(whole, unknown):
            raise NoClosedForm(f"the equations for {unknown} and the others depend on one another")
        if whole is not value:
            known = ", ".join(str(u) for u in result.values if contains(value, u))
            result.steps.append(SolveStep(f"insert {known}", Equation(unknown, value), Equation(unknown, whole)))
        for known_unknown, earlier in result.values.items():
            result.values[known_unknown] = system.simplify(replace(earlier, {unknown: whole}))
        result.values[unknown] = whole
    _structure(system, result)
    return result


def _inserted(equation: Equation, result: Solution) -> Equation:
    """The equation with the unknowns found so far replaced by their values."""
    after = Equation(replace(equation.left, result.values), replace(equation.right, result.values))
    if after != equation:
        known = ", ".join(str(u) for u in result.values if contains(equation.residual, u))
        result.steps.append(SolveStep(f"insert {known}", equation, after))
    return after


def _one(
    system: System, equations: list[Equation], unknowns: list[Term], result: Solution
) -> tuple[Equation, Term, Term] | None:
    """The first pair of equation and unknown that can be solved, values free of other unknowns first."""
    possible: list[tuple[Equation, Term, Term, list[SolveStep]]] = []
    for equation in equations:
        for unknown in unknowns:
            if not contains(equation.left, unknown) and not contains(equation.right, unknown):
                continue
            steps = isolate_in(system, equation, unknown)
            if steps is None:
                continue
            value = steps[-1].after.right if steps else equation.right
            if not any(contains(value, other) for other in unknowns):
                return _accept(result, equation, unknown, value, steps)
            possible.append((equation, unknown, value, steps))
    return _accept(result, *possible[0]) if possible else None


def _accept(
    result: Solution, equation: Equation, unknown: Term, value: Term, steps: list[SolveStep]
) -> tuple[Equation, Term, Term]:
    result.steps += steps
    for step in steps:
        for found in step.conditions:
            if found not in result.conditions:
                result.conditions.append(found)
    return equation, unknown, value


def isolate_in(system: System, equation: Equation, unknown: Term) -> list[SolveStep] | None:
    """The steps that lead from the equation to ``unknown = value``, or None."""
    start = equation
    parent: dict[Equation, tuple[Equation, Move] | None] = {start: None}
    counter = 0
    queue: list[tuple[tuple[int, ...], int, Equation]] = [(_cost(system, start, unknown), counter, start)]
    looked_at = 0
    while queue and looked_at < MAX_EQUATIONS:
        _, _, current = heapq.heappop(queue)
        looked_at += 1
        if current.left is unknown and not contains(current.right, unknown):
            return _path(system, parent, current)
        for strategy in STRATEGIES:
            for move in strategy(system, current, unknown):
                if move.after in parent or not _allowed(system, move):
                    continue
                parent[move.after] = (current, move)
                counter += 1
                heapq.heappush(queue, (_cost(system, move.after, unknown), counter, move.after))
    return None


def _allowed(system: System, move: Move) -> bool:
    """A condition that contradicts what is known rules a move out; an open one is reported."""
    return not any(term is build.ZERO_NUM for term, _ in move.needs)


def _cost(system: System, equation: Equation, unknown: Term) -> tuple[int, ...]:
    solved = equation.left is unknown and not contains(equation.right, unknown)
    residual = system.simplify(equation.residual)
    return (
        0 if solved else 1,
        under_inverse(residual, unknown),
        occurrences(residual, unknown),
        size(residual),
        equation.residual.weight,
    )


def _path(system: System, parent: dict[Equation, tuple[Equation, Move] | None], end: Equation) -> list[SolveStep]:
    steps: list[SolveStep] = []
    current = end
    while True:
        came = parent[current]
        if came is None:
            steps.reverse()
            return steps
        before, move = came
        if move.rule == SIMPLIFY:
            steps += reversed(_in_detail(system, before, current))
        else:
            steps.append(SolveStep(move.rule, before, current, tuple(condition(system, need) for need in move.needs)))
        current = before


def _in_detail(system: System, before: Equation, after: Equation) -> list[SolveStep]:
    """A simplification as its single rules."""
    steps: list[SolveStep] = []
    current = before
    for step in stepwise(system.simplifier, before.left):
        new = Equation(step.after, current.right)
        steps.append(SolveStep(step.rule, current, new))
        current = new
    if current != after:
        steps.append(SolveStep(SIMPLIFY, current, after))
    return steps


def condition(system: System, need: Need) -> Condition:
    """A need as a condition, with the reason why it is known or the word that it is assumed."""
    term, fact = need
    proof = system.facts.explain(term, fact)
    if not proof:
        return Condition(term, fact, False, "assumed")
    leaves = dict.fromkeys(
        f"{t} is {f}" for _, reason in proof if reason.rule in ("declared", "assumed") for t, f in reason.premises
    )
    rows = dict.fromkeys(r.rule for _, r in proof if r.rule not in ("declared", "assumed", "scalar"))
    because = ", ".join(leaves)
    by = ", ".join(rows)
    return Condition(
        term, fact, True, "; ".join(p for p in (f"since {because}" if because else "", f"by {by}" if by else "") if p)
    )


STRUCTURE = (
    "posdef",
    "psd",
    "symmetric",
    "skew",
    "orthogonal",
    "stiefel",
    "diagonal",
    "lower",
    "upper",
    "positive",
    "nonneg",
)
"""What an unknown may be declared or assumed to be, the stronger before the weaker."""


def _structure(system: System, result: Solution) -> None:
    """A solution must have the structure of its unknown: shown, or told as a condition."""
    for unknown, value in result.values.items():
        for fact in STRUCTURE:
            if not system.facts.has(unknown, fact):
                continue
            if system.facts.has(value, fact):
                result.conditions.append(condition(system, (value, fact)))
                break
            weaker = next((w for w in _WEAKER.get(fact, ()) if system.facts.has(value, w)), None)
            reason = f"{unknown} is to be {fact}" + (f"; it is {weaker} in any case" if weaker else "")
            result.conditions.append(Condition(value, fact, False, reason))
            break


_WEAKER = {"posdef": ("psd", "symmetric"), "psd": ("symmetric",), "positive": ("nonneg",)}
