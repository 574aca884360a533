"""Minimization by iteration, from terms and arrays to the optimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..calculus.system import System
from ..compile.function import compile_numpy
from ..compile.names import Source
from ..errors import MatcalcError, ShapeError
from ..output.text import to_text
from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import postorder
from .charts import charted
from .constrained import ConstrainedRun
from .constraints import Bound, Condition, Constraint, bound_of, keep_bounds, reset
from .data import check_facts
from .given import Given, given
from .least_squares import Residuals, SquaredNorm, occurs, residuals
from .methods import ALIASES, METHODS
from .objective import Evaluation, Layout, Objective
from .problem import Derivatives, Runner, Sought, np_errors, second_order
from .progress import Recorder
from .result import Optimum
from .run import Run
from .starts import starts

CONSTRAINED = {
    "slsqp": "SLSQP, sequential quadratic programming",
    "trust-constr": "trust-constr, interior points in a trust region",
}
"""The methods that keep constraints, by name."""

SLSQP = 400
"""Up to so many coordinates SLSQP is chosen under constraints."""

RESIDUALS = 200
"""Up to so many coordinates the Gauss-Newton method is chosen for sums of squares."""

NEWTON = 2000
"""Up to so many coordinates Newton's method is chosen, with more L-BFGS."""


@dataclass
class Settings:
    """How to go about it."""

    method: str = "auto"
    tol: float = 1e-8
    max_iterations: int = 10_000
    seconds: float | None = None
    seed: int = 0
    callback: Callable[[Any], object] | None = None
    progress: bool | None = None
    keep_points: bool = False


@dataclass
class Task:
    """What is minimized: ±f by the unknowns, which variables are declared."""

    system: System
    function: Term
    unknowns: list[Sought]
    declared: Mapping[str, Source]
    conditions: Sequence[Condition] = ()
    maximize: bool = False
    single: bool = False


def minimize(task: Task, data: Mapping[str, Any] | None, start: Mapping[str, Any] | None, how: Settings) -> Optimum:
    """Check what is given, derive, choose a method, and iterate."""
    if not task.function.is_scalar:
        raise ShapeError(
            f"what is minimized is a scalar; this is {build.show_shape(*task.function.shape)}",
            hint="minimize its norm, or the sum of its entries",
        )
    found = given([task.function, *(c.difference for c in task.conditions)], task.unknowns, data, start, task.declared)
    derivatives = Derivatives(task.system, task.function, task.unknowns, [u.term for u in task.unknowns])
    moving = [u.name for u in task.unknowns]
    found.runner.check(derivatives.first, moving)
    _check_assumptions(task, found.runner)
    recorder = Recorder(how.progress, how.keep_points, how.seconds)
    try:
        with np_errors():
            return _best(task, found, derivatives, recorder, how)
    finally:
        recorder.close()


def _check_assumptions(task: Task, runner: Runner) -> None:
    """Raise :class:`MatcalcError` where the data contradict what was assumed about them."""
    for term, fact in sorted(task.system.assumptions, key=lambda pair: (pair[1], pair[0].key)):
        if any(occurs(u, term) for u in task.unknowns):
            continue
        function = compile_numpy(term, "assumed")
        if runner.lacks(function, ()):
            continue
        value = runner.call(function, {}).get("", np.nan)
        check_facts(to_text(term), np.asarray(value, dtype=float), [fact], "assumed")


def _layout(task: Task, found: Given) -> Layout:
    return Layout(
        task.unknowns,
        {u.name: [charted(u.source.name, u.facts, shape) for shape in found.shapes[u.name]] for u in task.unknowns},
    )


def _best(task: Task, found: Given, derivatives: Derivatives, recorder: Recorder, how: Settings) -> Optimum:
    """The best of the runs, of which there are several where the set has several parts."""
    layout = _layout(task, found)
    objective = Objective(derivatives, layout, found.runner, -1.0 if task.maximize else 1.0)
    constraints = _constraints(task, layout, found)
    choice = _method(objective, how, constraints)
    arrays, told = starts(objective, found.starts, how.seed)
    notes = [told, *choice.notes] if told else choice.notes
    if choice.squared is not None and how.method == "auto" and not choice.squared.suits(objective.begin(arrays[0])):
        choice.method = "newton" if choice.second and not layout.bounded else "lbfgs"
    best: Optimum | None = None
    for begin in arrays:
        record = Recorder(how.progress, how.keep_points, how.seconds)
        record.started, record.deadline = recorder.started, recorder.deadline
        run = (ConstrainedRun if choice.method in CONSTRAINED else Run)(
            objective,
            choice.method,
            record,
            tol=how.tol,
            max_iterations=how.max_iterations,
            second=choice.second,
            squared_norm=choice.squared,
            free_choice=how.method == "auto",
            callback=how.callback,
        )
        at = objective.begin(begin)
        if isinstance(run, ConstrainedRun):
            run.constraints = constraints
            reset(constraints)
            for one in constraints:
                one.start(at)
        try:
            end = run.go(at)
        finally:
            record.close()
        ended = _optimum(task, found, objective, run, end, notes)
        if best is None or _better(ended, best):
            best = ended
        if run.interrupted:
            break
    assert best is not None
    best.evaluations, best.products = objective.evaluations, objective.products
    if len(arrays) > 1:
        best.notes.append(f"the best of {len(arrays)} runs, one for each sign of the determinants")
    return best


def _better(one: Optimum, other: Optimum) -> bool:
    """Whether a run ended better than another: where the constraints are met, then at the better value."""
    if one.constrained and one.converged != other.converged:
        return one.converged
    return one.value < other.value if one.goal == "minimum" else one.value > other.value


def _constraints(task: Task, layout: Layout, found: Given) -> list[Constraint]:
    """The conditions: bounds go to the layout, the others are constraints."""
    bounds: list[Bound] = []
    others: list[Condition] = []
    for condition in task.conditions:
        bound = bound_of(task.system, condition, task.unknowns)
        if bound is None:
            others.append(condition)
        else:
            bounds.append(bound)
    keep_bounds(bounds, layout, found.runner)
    constraints = [Constraint(task.system, c, task.unknowns, layout, found.runner) for c in others]
    for one in constraints:
        one.check([u.name for u in task.unknowns])
    return constraints


@dataclass
class Choice:
    """The method, whether products with the Hessian are there, the residuals if they serve, remarks."""

    method: str
    second: bool
    squared: SquaredNorm | None = None
    notes: list[str] = field(default_factory=list)


def _method(objective: Objective, how: Settings, constraints: Sequence[Constraint]) -> Choice:
    """The method that is asked for, or the one that suits the objective."""
    asked = ALIASES.get(how.method.lower(), how.method.lower())
    if asked != "auto" and asked not in METHODS and asked not in CONSTRAINED:
        names = ", ".join([*METHODS, *CONSTRAINED])
        raise MatcalcError(f"there is no method {how.method!r}", hint=f"there are: auto, {names}")
    derivatives, layout = objective.derivatives, objective.layout
    names_given = [*(u.name for u in layout.unknowns), *derivatives.directions.values()]
    why = second_order(derivatives)
    if not why:
        lacking = objective.runner.lacks(derivatives.second, names_given)
        why = f"{', '.join(lacking)} is not given" if lacking else ""
    notes = [f"no second derivatives: {why}"] if why else []
    if constraints or asked in CONSTRAINED:
        if asked in METHODS:
            raise MatcalcError(f"{METHODS[asked][0]} keeps no constraints", hint=f"{', '.join(CONSTRAINED)} do")
        if asked == "auto":
            asked = "slsqp" if layout.size <= SLSQP else "trust-constr"
        return Choice(asked, not why, None, notes)
    if why and asked == "newton":
        raise MatcalcError(f"Newton's method needs second derivatives: {why}", hint="method='lbfgs' needs the gradient")
    if layout.bounded and asked not in ("auto", "lbfgs", "gauss-newton"):
        raise MatcalcError(f"{METHODS[asked][0]} keeps no bounds", hint="method='lbfgs' does")
    squared = _squared(objective) if asked in ("auto", "gauss-newton") else None
    if asked == "gauss-newton" and squared is None:
        raise MatcalcError(
            "the Gauss-Newton method is for sums of squares", hint="write the objective as c*norm(F)^2 + ..."
        )
    if asked != "auto":
        return Choice(asked, not why, squared)
    if squared is not None and layout.size <= RESIDUALS and not layout.based:
        return Choice("gauss-newton", not why, squared, notes)
    if layout.bounded or why or layout.size > NEWTON:
        return Choice("lbfgs", not why, None, notes)
    return Choice("newton", True)


def _squared(objective: Objective) -> SquaredNorm | None:
    """The objective as a squared norm, None where it is none."""
    derivatives = objective.derivatives
    system = derivatives.system
    if objective.sign < 0:
        return None
    parts = residuals(derivatives.scalar, derivatives.unknowns)
    if parts is None:
        parts = residuals(system.simplify(derivatives.scalar), derivatives.unknowns)
    return None if parts is None else SquaredNorm(objective, Residuals(system, parts, derivatives))


def _has_kinks(derivatives: Derivatives) -> bool:
    """Whether a sign or a step occurs in the gradient."""
    nodes = postorder(*(g for g in derivatives.gradient_terms.values()))
    return any(t.op is ops.FUN and t.attr in ("sign", "step") for t in nodes)


def _optimum(
    task: Task, found: Given, objective: Objective, run: Run, end: Evaluation, notes: Sequence[str]
) -> Optimum:
    layout = objective.layout
    converged, message = run.verdict(end)
    if not converged and _has_kinks(objective.derivatives):
        notes = [*notes, "the objective has kinks, where its gradient jumps: a smooth objective converges"]
    told = {}
    for block in layout.blocks:
        if block.coordinates.told:
            told[block.unknown.source.name] = block.coordinates.told.replace("{X}", block.unknown.source.name)
        elif block.coordinates.lower == 0:
            told[block.unknown.source.name] = "its own entries, with the bound 0"
    return Optimum(
        points={u.source.name: layout.gathered(end.arrays)[u.name] for u in layout.unknowns},
        single=task.single,
        value=objective.told(end.value),
        gradient_norm=objective.told_norm(run.norm(end)),
        converged=converged,
        message=message,
        method=CONSTRAINED[run.method] if run.method in CONSTRAINED else METHODS[run.method][0],
        iterations=run.iterations,
        evaluations=objective.evaluations,
        products=objective.products,
        seconds=run.recorder.seconds,
        goal="maximum" if task.maximize else "minimum",
        trajectory=run.recorder.trajectory,
        parametrisation=told,
        notes=list(notes),
        first={u.source.name: found.firsts[u.name] for u in layout.unknowns},
        multipliers=run.told_multipliers(end) if isinstance(run, ConstrainedRun) and end.finite else {},
        constraint_violation=run.conditions(end).violation if isinstance(run, ConstrainedRun) and end.finite else 0.0,
        constrained=isinstance(run, ConstrainedRun),
    )
