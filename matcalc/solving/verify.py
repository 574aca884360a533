"""Solutions checked with numbers: put into the equations at random data; extrema against points around them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np

from ..errors import LimitExceeded, MatcalcError, ShapeError
from ..numeric.arrays import Array
from ..numeric.check import CheckResult, difference
from ..numeric.evaluate import Env, evaluate
from ..numeric.sample import sample
from ..rewriting.facts import Query
from ..terms import ops
from ..terms.term import Term
from ..terms.walk import replace
from .equation import Condition, Equation

RESIDUAL = 1e-8
"""How far off an equation may be, relative to its sides."""

NOT_BETTER = 1e-9
"""How much better a point near an extremum may seem, relative to the value there."""

DOMAINS = ("any", "positive", "unit", "dominant")
ATTEMPTS = 4
STEPS = (1e-3, 1e-2)
"""How far from the point others are tried."""

REGULAR = ("nonzero", "invertible")

DRAWN = ("positive", "nonneg", "nonzero", "invertible", "posdef", "psd", "fullrank", "fullrow", "maxrank", "symmetric")
"""The facts that random data can be drawn to meet."""


def check_solution(
    equations: Sequence[Equation],
    values: Mapping[Term, Term],
    conditions: Sequence[Condition] = (),
    assumptions: Collection[Query] = (),
    trials: int = 3,
    seed: int = 0,
) -> CheckResult:
    """The residuals of the equations at the values, for random data that meet the conditions.

    ``ok`` with 0 trials when no data are found that meet them.
    """
    sides = [(replace(e.left, values), replace(e.right, values)) for e in equations]
    terms = [side for pair in sides for side in pair] + list(values.values())
    required = _required(conditions, assumptions, values)
    worst, done = 0.0, 0
    sizes: list[dict[str, int]] = []
    zero = [replace(c.term, values) for c in conditions if c.fact == "zero"]
    for env in _inputs([*terms, *zero], required, trials, seed):
        try:
            if any(float(np.max(np.abs(evaluate(t, env)), initial=0.0)) > RESIDUAL for t in zero):
                continue
            pairs = [(evaluate(left, env), evaluate(right, env)) for left, right in sides]
        except LimitExceeded:
            raise
        except MatcalcError:
            continue
        if not all(np.isfinite(side).all() for pair in pairs for side in pair):
            continue
        scale = max([1.0, *(_scale(e, values, env) for e in equations)])
        worst = max([worst, *(difference(left, right) / scale for left, right in pairs)])
        done += 1
        sizes.append({str(atom): size for atom, size in env.sizes.items()})
        if not worst <= RESIDUAL:
            return CheckResult(False, worst, done, tuple(sizes), f"an equation is off by {worst:.2g}")
    if not done:
        return CheckResult(True, float("nan"), 0, (), "no random data meet the conditions")
    return CheckResult(True, worst, done, tuple(sizes), f"solves the equations in {done} trials, off by {worst:.1g}")


def can_hold(terms: Sequence[Term], conditions: Sequence[Condition], values: Mapping[Term, Term]) -> bool:
    """Random data are found at which everything that is to be invertible or nonzero is so."""
    needed = [(replace(c.term, values), c.fact) for c in conditions if not c.known and c.fact in REGULAR]
    return not needed or next(_inputs(terms, needed, 1, 0), None) is not None


def _scale(equation: Equation, values: Mapping[Term, Term], env: Env) -> float:
    """The size of the addends of an equation, against which what is left of them is small."""
    largest = 1.0
    for side in (equation.left, equation.right):
        for addend in side.args if side.op is ops.ADD else (side,):
            try:
                largest = max(largest, float(np.max(np.abs(evaluate(replace(addend, values), env)), initial=0.0)))
            except MatcalcError:
                continue
    return largest


def _required(
    conditions: Sequence[Condition], assumptions: Collection[Query], values: Mapping[Term, Term]
) -> list[Query]:
    """What random data must meet."""
    open_ones = [(replace(c.term, values), c.fact) for c in conditions if not c.known and c.fact in DRAWN]
    given = [(replace(t, values), fact) for t, fact in assumptions if fact in DRAWN]
    return list(dict.fromkeys([*open_ones, *given]))


def _inputs(terms: Sequence[Term], required: list[Query], trials: int, seed: int) -> Iterator[Env]:
    for trial in range(trials):
        for attempt in range(ATTEMPTS):
            domain = DOMAINS[attempt % len(DOMAINS)]
            profile = "mixed" if trial % 2 else "distinct"
            try:
                yield sample(terms, seed + 100 * trial + attempt, profile=profile, domain=domain, require=required)
            except LimitExceeded:
                raise
            except ShapeError:
                return
            except MatcalcError:
                continue
            else:
                break


def check_extremum(
    objective: Term,
    values: Mapping[Term, Term],
    constraints: Sequence[Equation],
    kind: str,
    conditions: Sequence[Condition] = (),
    assumptions: Collection[Query] = (),
    trials: int = 3,
    seed: int = 0,
) -> CheckResult:
    """The constraints hold at the point, and no point near it that meets them has a better value.

    For a saddle some are better and some are worse; of an undecided point only the constraints are checked.
    """
    feasible = check_solution(constraints, values, conditions, assumptions, trials, seed)
    if not feasible or kind == "undecided":
        return feasible
    required = _required(conditions, assumptions, values)
    rng = np.random.default_rng(seed)
    worst, done = 0.0, 0
    sizes: list[dict[str, int]] = []
    residuals = [c.residual for c in constraints]
    for env in _inputs([objective, *values.values(), *residuals], required, trials, seed):
        try:
            here = _at(env, {u: evaluate(v, env) for u, v in values.items()})
            best = _scalar(objective, here)
            if not np.isfinite(best):
                continue
        except LimitExceeded:
            raise
        except MatcalcError:
            continue
        gains = list(_gains(objective, tuple(values), residuals, here, best, rng))
        if not gains:
            continue
        done += 1
        sizes.append({str(atom): size for atom, size in env.sizes.items()})
        scale = max(1.0, abs(best))
        if kind in ("minimum", "maximum"):
            loss = max(-g if kind == "minimum" else g for g in gains) / scale
            worst = max(worst, loss)
            if worst > NOT_BETTER:
                return CheckResult(False, worst, done, tuple(sizes), f"a point nearby is better by {worst:.2g}")
    if not done:
        return feasible
    told = f"no point nearby is better in {done} trials" if kind != "saddle" else feasible.message
    return CheckResult(True, max(worst, 0.0), done, tuple(sizes), told)


def _scalar(objective: Term, env: Env) -> float:
    return float(np.real(evaluate(objective, env)).reshape(()))


def _at(env: Env, values: Mapping[Term, Array]) -> Env:
    """The environment with the unknowns at given values."""
    for unknown, value in values.items():
        if unknown.op is ops.SYM:
            env = env.with_symbol(unknown.attr, value)
        else:
            env = env.with_member(unknown.attr.family, env.size(unknown.attr.at), value)
    return env


def _gains(
    objective: Term,
    unknowns: tuple[Term, ...],
    residuals: Sequence[Term],
    here: Env,
    best: float,
    rng: np.random.Generator,
) -> Iterator[float]:
    """By how much the objective is larger at points around, in the set of the unknowns and on the constraints."""
    for step in STEPS:
        for _ in range(8):
            there = here
            for unknown in unknowns:
                there = _at(there, {unknown: _moved(unknown, evaluate(unknown, there), step, rng)})
            try:
                there = _onto(residuals, unknowns, there)
                value = _scalar(objective, there)
            except MatcalcError:
                continue
            if np.isfinite(value):
                yield value - best


def _moved(unknown: Term, value: Array, step: float, rng: np.random.Generator) -> Array:
    """A point nearby of the declared kind."""
    facts = _facts(unknown)
    direction = rng.normal(size=value.shape) * max(1.0, float(np.max(np.abs(value), initial=0.0)))
    if facts & {"orthogonal", "stiefel"}:
        left, _, right = np.linalg.svd(value + step * direction, full_matrices=False)
        return np.asarray(left @ right)
    direction = _along(facts, direction)
    if facts & {"positive", "posdef"}:
        step = min(step, 0.1 * _margin(value, "posdef" in facts) / max(1e-300, float(np.linalg.norm(direction))))
    return np.asarray(value + step * direction)


def _facts(unknown: Term) -> frozenset[str]:
    return frozenset(unknown.attr.facts if unknown.op is ops.SYM else unknown.attr.family.facts)


def _along(facts: frozenset[str], direction: Array) -> Array:
    """The part of a direction in the linear space of the structure."""
    if "diagonal" in facts:
        return np.diag(np.diag(direction))
    if facts & {"symmetric", "posdef", "psd"}:
        return (direction + direction.T) / 2
    if "skew" in facts:
        return (direction - direction.T) / 2
    if "lower" in facts:
        return np.tril(direction)
    return np.triu(direction) if "upper" in facts else direction


def _margin(value: Array, definite: bool) -> float:
    """The distance to where the value is positive no more."""
    return float(np.linalg.eigvalsh(value).min(initial=1.0) if definite else value.min(initial=1.0))


def _onto(residuals: Sequence[Term], unknowns: tuple[Term, ...], env: Env) -> Env:
    """Onto the constraints by Newton's steps of least norm, which are exact where these are affine."""
    if not residuals:
        return env
    for _ in range(6):
        off = _stacked(residuals, env)
        if float(np.max(np.abs(off), initial=0.0)) < 1e-12:
            break
        columns: list[Array] = []
        for unknown in unknowns:
            value = evaluate(unknown, env)
            for at in np.ndindex(value.shape):
                unit = np.zeros(value.shape)
                unit[at] = 1e-6
                unit = _along(_facts(unknown), unit)
                ahead = _stacked(residuals, _at(env, {unknown: value + unit}))
                behind = _stacked(residuals, _at(env, {unknown: value - unit}))
                columns.append((ahead - behind) / 2e-6)
        back = np.linalg.lstsq(np.stack(columns, axis=1), off, rcond=None)[0]
        for unknown in unknowns:
            value = evaluate(unknown, env)
            part, back = back[: value.size], back[value.size :]
            env = _at(env, {unknown: value - _along(_facts(unknown), part.reshape(value.shape))})
    return env


def _stacked(residuals: Sequence[Term], env: Env) -> Array:
    return np.concatenate([np.real(evaluate(r, env)).ravel() for r in residuals])
