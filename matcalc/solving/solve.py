"""The search: from equations to unknowns, best equation first, by the strategies.

An equation is the better the fewer inverses hold the unknown, the fewer times it occurs, and the
smaller it is.  The search is bounded; when it ends without a solution the equation that could not be
isolated is named.  Of several unknowns one is isolated after the other, each inserted in the equations
that remain, in the order that works.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from dataclasses import replace as replaced

from ..bounds import Lapsed, allowance
from ..calculus.present import present, same
from ..calculus.system import System
from ..calculus.system import system as with_assumptions
from ..errors import NoClosedForm
from ..output.text import to_unicode
from ..rewriting.steps import stepwise
from ..terms import build, ops
from ..terms.dims import Dim
from ..terms.term import Term
from ..terms.walk import contains, replace, size
from .by_sympy import by_sympy
from .conditions import Impossible, condition, told
from .domain import with_sizes
from .equation import Condition, Equation, Solution, SolveStep, occurrences, under_inverse
from .fixed_point import fixed_point
from .inner import through_inverse
from .joint import jointly
from .linear import NotRead, by_vec, linear, read_affine
from .parts import is_polynomial, upright
from .riccati import quadratic
from .scalar import powers
from .strategies import (
    SIMPLIFY,
    Move,
    Strategy,
    cancel,
    clear_inverse,
    collect,
    multiply_out,
    simplify,
    transpose_sides,
    undo_vec,
)
from .transposed import eliminate_transpose
from .undo import undo

MAX_EQUATIONS = 24
"""The search looks at no more than this many equations for one unknown."""

MAX_GROWTH = 2
"""Equations this many times larger than the one that was asked, and so many nodes more, are not followed."""

SLACK = 25

SECONDS = 4.0
"""What is not isolated by then is given up."""

MAX_TRIALS = 24
"""So many choices of an equation and an unknown are tried for a system of equations."""

STRATEGIES: tuple[Strategy, ...] = (
    linear,
    eliminate_transpose,
    quadratic,
    powers,
    undo,
    cancel,
    undo_vec,
    clear_inverse,
    through_inverse,
    transpose_sides,
    collect,
    simplify,
    multiply_out,
)
"""In the order in which equally promising moves are tried."""

LAST: tuple[Strategy, ...] = (by_vec, by_sympy)
"""Tried on the equations seen when nothing else isolates the unknown."""


def solve(system: System, equations: Sequence[Equation], unknowns: Sequence[Term], structured: bool = True) -> Solution:
    """Solve for the unknowns, in the order that works.

    With ``structured`` the conditions say what makes the values have the structure of their unknowns.
    Raises :class:`NoClosedForm` naming the equation that could not be isolated.
    """
    system = with_sizes(system, (*(e.residual for e in equations), *unknowns))
    parts = [part for equation in equations for part in _by_blocks(system, equation)]
    equations = parts if len(parts) <= len(unknowns) else equations
    search = _Elimination(system, list(unknowns), list(equations))
    search.run(list(equations), list(unknowns))
    result = search.result
    if result is None:
        raise _no_closed_form(system, search, equations, unknowns)
    if structured:
        result.conditions += structure_conditions(system, result.values)
    return result


def _is_affine(system: System, equation: Equation, unknown: Term) -> bool:
    if not is_polynomial(equation.residual, unknown):
        return False
    try:
        return bool(read_affine(system.expand(equation.residual), unknown).sandwiches)
    except NotRead:
        return False


def _by_blocks(system: System, equation: Equation) -> list[Equation]:
    """An equation between block matrices as equations between the blocks, where they are cut alike."""
    left, right = system.expand(equation.left), system.expand(equation.right)
    if left.op is not ops.BLOCK:
        left, right = right, left
    if left.op is not ops.BLOCK:
        return [equation]
    if right.op is ops.ZEROS:
        return [Equation(part, build.zeros(*part.shape)) for part in left.args]
    shapes = [a.shape for a in left.args]
    if right.op is not ops.BLOCK or right.attr != left.attr or [a.shape for a in right.args] != shapes:
        return [equation]
    return [Equation(a, b) for a, b in zip(left.args, right.args, strict=True)]


def _no_closed_form(
    system: System, search: _Elimination, equations: Sequence[Equation], unknowns: Sequence[Term]
) -> NoClosedForm:
    if search.contradiction is not None:
        return NoClosedForm(f"the equations leave {search.contradiction}, which does not hold in general")
    equation, unknown = search.stuck or (equations[0], unknowns[0])
    if not any(contains(e.residual, u) for e in equations for u in unknowns):
        return NoClosedForm(f"{unknown} does not occur in {equation}")
    hint = None
    if not unknown.is_scalar and _is_affine(system, equation, unknown):
        hint = "solve(..., general) gives all solutions, by the Moore-Penrose inverse, and when there is one"
        return NoClosedForm(f"nothing makes the factors around {unknown} invertible in {equation}", hint=hint)
    form = fixed_point(system, equation, unknown)
    if form is not None:
        hint = f"as a fixed point: {form}"
    return NoClosedForm(f"no strategy isolates {unknown} in {equation}", hint=hint)


@dataclass
class _Solved:
    """One unknown isolated in one equation, and the equations that remain before and after it is inserted."""

    unknown: Term
    value: Term
    steps: list[SolveStep]
    inserted: list[SolveStep] = field(default_factory=list)


class _Elimination:
    """Isolates one unknown after the other, the smallest value first, and goes back where that leads nowhere."""

    def __init__(self, system: System, unknowns: list[Term], equations: list[Equation]) -> None:
        self.system, self.unknowns, self.equations = system, unknowns, equations
        self.result: Solution | None = None
        self.trials = 0
        self.stuck: tuple[Equation, Term] | None = None
        self.contradiction: Equation | None = None
        self._known: dict[tuple[Equation, Term], list[SolveStep] | None] = {}

    def run(self, equations: list[Equation], unknowns: list[Term]) -> list[_Solved] | None:
        """The unknowns in the order in which they are isolated, each in terms of those after it."""
        if not unknowns:
            for equation in equations:
                if not same(self.system, equation.left, equation.right):
                    self.contradiction = equation
                    return None
            return []
        joint = jointly(self.system, equations, unknowns)
        if joint is not None:
            together = [_Solved(*part) for part in joint]
            if unknowns != self.unknowns or self.accept(together):
                return together
        for equation, unknown, steps in self._candidates(equations, unknowns):
            self.trials += 1
            if self.trials > MAX_TRIALS:
                return None
            value = steps[-1].after.right if steps else equation.right
            one = _Solved(unknown, value, steps)
            known = not any(contains(value, u) for u in unknowns)
            rest: list[Equation] = []
            others = [u for u in unknowns if u is not unknown]
            for other in equations:
                if other is not equation and known and any(contains(other.residual, u) for u in others):
                    rest.append(other)  # the value is put in at the end
                elif other is not equation:
                    after = self._inserted(other, unknown, value)
                    if after != other:
                        one.inserted.append(SolveStep(f"insert {to_unicode(unknown)}", other, after))
                    rest.append(after)
            found = self.run(rest, others)
            if found is not None and (unknowns != self.unknowns or self.accept([one, *found])):
                return [one, *found]
        return None

    def accept(self, found: list[_Solved]) -> bool:
        """The values inserted in one another are a solution: no condition is impossible, and numbers agree."""
        from .verify import can_hold, check_solution

        try:
            result = _back(self.system, found, self.equations)
        except Impossible:
            return False
        checked = check_solution(result.equations, result.values, result.conditions, self.system.assumptions, trials=1)
        if not checked:
            return False
        if not checked.trials and not can_hold([*result.values.values()], result.conditions, result.values):
            return False  # a condition such as that a singular matrix is invertible
        self.result = result
        return True

    def _inserted(self, equation: Equation, unknown: Term, value: Term) -> Equation:
        if not contains(equation.residual, unknown):
            return equation
        put = {unknown: value}
        return Equation(*(self.system.simplify(replace(side, put)) for side in (equation.left, equation.right)))

    def _candidates(
        self, equations: list[Equation], unknowns: list[Term]
    ) -> Iterator[tuple[Equation, Term, list[SolveStep]]]:
        """What can be isolated: values free of the other unknowns at once, then those with the fewest conditions.

        Equations with as many entries as the unknown come first, of equally good values the smaller.
        """
        pairs = [(e, u) for e in equations for u in unknowns if contains(e.residual, u)]
        alike = [(e, u) for e, u in pairs if _entries(e.left) is _entries(u)]
        for group in (alike, [pair for pair in pairs if pair not in alike]):
            coupled: list[tuple[int, int, int, Equation, Term, list[SolveStep]]] = []
            for equation, unknown in group:
                steps = self._isolated(equation, unknown)
                if steps is None:
                    continue
                value = steps[-1].after.right if steps else equation.right
                if not any(contains(value, other) for other in unknowns):
                    yield equation, unknown, steps
                    continue
                needs = sum(not c.known for step in steps for c in step.conditions)
                coupled.append((needs, size(value), len(coupled), equation, unknown, steps))
            for _, _, _, equation, unknown, steps in sorted(coupled, key=lambda c: c[:3]):
                yield equation, unknown, steps

    def _isolated(self, equation: Equation, unknown: Term) -> list[SolveStep] | None:
        key = (equation, unknown)
        if key not in self._known:
            self._known[key] = None
            with suppress(Lapsed), allowance(SECONDS):
                self._known[key] = isolate_in(self.system, equation, unknown)
        if self._known[key] is None:
            self.stuck = key
        return self._known[key]


def _entries(term: Term) -> Dim:
    return term.rows * term.cols


def _back(system: System, found: list[_Solved], equations: list[Equation]) -> Solution:
    """The values inserted in one another, the last first; steps and conditions in the order of the solution."""
    result = Solution({}, equations=equations)
    for one in found:
        result.steps += [*one.steps, *one.inserted]
    result.values = {one.unknown: one.value for one in reversed(found)}
    for unknown in result.values:
        result.values[unknown] = _resolved(system, unknown, result.values)
    result.conditions = told(system, _conditions(system, result))
    given = {(c.term, c.fact) for c in result.conditions if not c.known}
    inside = with_assumptions(system.assumptions | given)
    for one in reversed(found):
        final = upright(present(inside, inside.simplify(result.values[one.unknown])))
        result.values[one.unknown] = final
        if any(contains(one.value, u) for u in result.values) and size(one.value) < size(final):
            result.shown[one.unknown] = one.value
        if final is not one.value:
            used = ", ".join(to_unicode(u) for u in result.values if contains(one.value, u))
            rule = f"insert {used}" if used else SIMPLIFY
            result.steps.append(SolveStep(rule, Equation(one.unknown, one.value), Equation(one.unknown, final)))
    return result


def _resolved(system: System, unknown: Term, values: Mapping[Term, Term]) -> Term:
    """The value of an unknown with the values of the others put in, until none of them is left."""
    value = values[unknown]
    for _ in values:
        whole = replace(value, values)
        if whole is value:
            return value
        value = present(system, system.simplify(whole))
    return value


def _conditions(system: System, result: Solution) -> Iterator[Condition]:
    """The conditions of the steps, the unknowns in them replaced by their values."""
    for step in result.steps:
        for c in step.conditions:
            if c.fact in SIGNS and c.term in result.values:
                yield replaced(c, reason=f"this root of {c.term} is meant")
            there = replace(c.term, result.values)
            if there is c.term:
                yield c
            else:
                yield condition(system, (present(system, system.simplify(there)), c.fact))


SIGNS = ("positive", "nonneg")


def isolate_in(system: System, equation: Equation, unknown: Term) -> list[SolveStep] | None:
    """The steps that lead from the equation to ``unknown = value``, or None."""
    start = equation
    parent: dict[Equation, tuple[Equation, Move] | None] = {start: None}
    counter = 0
    queue: list[tuple[tuple[int, ...], int, Equation]] = [(_cost(system, start, unknown), counter, start)]
    largest = MAX_GROWTH * size(start.residual) + SLACK
    looked_at = 0
    seen: list[Equation] = []
    while queue and looked_at < MAX_EQUATIONS:
        _, _, current = heapq.heappop(queue)
        looked_at += 1
        seen.append(current)
        if current.left is unknown and not contains(current.right, unknown):
            return _path(system, parent, current)
        for strategy in STRATEGIES:
            for move in strategy(system, current, unknown):
                if move.after in parent or not _allowed(system, move) or size(move.after.residual) > largest:
                    continue
                parent[move.after] = (current, move)
                counter += 1
                heapq.heappush(queue, (_cost(system, move.after, unknown), counter, move.after))
    for strategy in LAST:
        for current in sorted(seen, key=lambda e: _cost(system, e, unknown))[:3]:
            for move in strategy(system, current, unknown):
                if _allowed(system, move):
                    parent[move.after] = (current, move)
                    return _path(system, parent, move.after)
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
            steps += reversed(_told(system, before, move))
        current = before


def _told(system: System, before: Equation, move: Move) -> list[SolveStep]:
    """A move with the equations on its way."""
    steps: list[SolveStep] = []
    for one in (*move.via, move):
        needed = told(system, [condition(system, need) for need in one.needs])
        steps.append(SolveStep(one.rule, before, one.after, tuple(needed)))
        before = one.after
    return steps


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


def structure_conditions(system: System, values: Mapping[Term, Term]) -> list[Condition]:
    """A value must have the structure of its unknown: shown, or told as a condition."""
    found: list[Condition] = []
    for unknown, value in values.items():
        for fact in SIGNS if unknown.is_scalar else STRUCTURE:
            if not system.facts.has(unknown, fact):
                continue
            if system.facts.has(value, fact):
                found.append(condition(system, (value, fact)))
                break
            weaker = next((w for w in _WEAKER.get(fact, ()) if system.facts.has(value, w)), None)
            reason = f"{to_unicode(unknown)} is to be {fact}" + (f"; it is {weaker} in any case" if weaker else "")
            found.append(Condition(value, fact, False, reason))
            break
    return found


_WEAKER = {"posdef": ("psd", "symmetric"), "psd": ("symmetric",), "positive": ("nonneg",)}
