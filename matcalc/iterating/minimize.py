"""Minimization by iteration, from terms and arrays to the optimum."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..calculus.system import System
from ..compile.names import Source
from ..errors import MatcalcError, ShapeError
from ..terms import build
from ..terms.term import Term
from .charts import charted
from .given import Given, given
from .methods import ALIASES, METHODS
from .objective import Evaluation, Layout, Objective
from .problem import Derivatives, Sought, second_order
from .progress import Recorder
from .result import Optimum
from .run import Run
from .starts import starts

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
    maximize: bool = False
    single: bool = False


def minimize(task: Task, data: Mapping[str, Any] | None, start: Mapping[str, Any] | None, how: Settings) -> Optimum:
    """Check what is given, derive, choose a method, and iterate."""
    if not task.function.is_scalar:
        raise ShapeError(
            f"what is minimized is a scalar; this is {build.show_shape(*task.function.shape)}",
            hint="minimize its norm, or the sum of its entries",
        )
    found = given([task.function], task.unknowns, data, start, task.declared)
    derivatives = Derivatives(task.system, task.function, task.unknowns, [u.term for u in task.unknowns])
    moving = [u.name for u in task.unknowns]
    found.runner.check(derivatives.first, moving)
    recorder = Recorder(how.progress, how.keep_points, how.seconds)
    try:
        return _best(task, found, derivatives, recorder, how)
    finally:
        recorder.close()


def _layout(task: Task, found: Given) -> Layout:
    return Layout(
        task.unknowns,
        {u.name: [charted(u.source.name, u.facts, shape) for shape in found.shapes[u.name]] for u in task.unknowns},
    )


def _best(task: Task, found: Given, derivatives: Derivatives, recorder: Recorder, how: Settings) -> Optimum:
    """The best of the runs, of which there are several where the set has several parts."""
    layout = _layout(task, found)
    objective = Objective(derivatives, layout, found.runner, -1.0 if task.maximize else 1.0)
    method, notes, second = _method(objective, how)
    arrays, told = starts(objective, found.starts, how.seed)
    notes = [told, *notes] if told else notes
    best: tuple[Run, Evaluation] | None = None
    for begin in arrays:
        record = Recorder(how.progress, how.keep_points, how.seconds)
        record.started, record.deadline = recorder.started, recorder.deadline
        run = Run(
            objective,
            method,
            record,
            tol=how.tol,
            max_iterations=how.max_iterations,
            second=second,
            callback=how.callback,
        )
        end = run.go(objective.begin(begin))
        record.close()
        if best is None or end.value < best[1].value:
            best = (run, end)
        if run.interrupted:
            break
    if len(arrays) > 1:
        notes.append(f"the best of {len(arrays)} runs, one for each sign of the determinants")
    assert best is not None
    return _optimum(task, layout, objective, best[0], best[1], notes)


def _method(objective: Objective, how: Settings) -> tuple[str, list[str], bool]:
    """The method, remarks about it, and whether products with the Hessian are there."""
    asked = ALIASES.get(how.method.lower(), how.method.lower())
    if asked != "auto" and asked not in METHODS:
        raise MatcalcError(f"there is no method {how.method!r}", hint=f"there are: auto, {', '.join(METHODS)}")
    names = [*(u.name for u in objective.layout.unknowns), *objective.derivatives.directions.values()]
    why = second_order(objective.derivatives)
    if not why:
        lacking = objective.runner.lacks(objective.derivatives.second, names)
        why = f"{', '.join(lacking)} is not given" if lacking else ""
    if why and asked == "newton":
        raise MatcalcError(f"Newton's method needs second derivatives: {why}", hint="method='lbfgs' needs the gradient")
    if objective.layout.bounded and asked not in ("auto", "lbfgs"):
        raise MatcalcError(f"{METHODS[asked][0]} keeps no bounds", hint="method='lbfgs' does")
    if asked != "auto":
        return asked, [], not why
    if objective.layout.bounded or why or objective.layout.size > NEWTON:
        return "lbfgs", [f"no second derivatives: {why}"] if why else [], not why
    return "newton", [], True


def _optimum(
    task: Task, layout: Layout, objective: Objective, run: Run, end: Evaluation, notes: Sequence[str]
) -> Optimum:
    converged, message = run.verdict(end)
    told = {}
    for block in layout.blocks:
        if block.coordinates.told:
            told[block.unknown.source.name] = block.coordinates.told.replace("{X}", block.unknown.source.name)
        elif block.coordinates.lower == 0:
            told[block.unknown.source.name] = "its own entries, with the bound 0"
    return Optimum(
        points={u.source.name: layout.gathered(end.arrays)[u.name] for u in layout.unknowns},
        single=task.single,
        value=objective.sign * end.value,
        gradient_norm=run.norm(end),
        converged=converged,
        message=message,
        method=METHODS[run.method][0],
        iterations=run.iterations,
        evaluations=objective.evaluations,
        products=objective.products,
        seconds=run.recorder.seconds,
        goal="maximum" if task.maximize else "minimum",
        trajectory=run.recorder.trajectory,
        parametrisation=told,
        notes=list(notes),
    )
