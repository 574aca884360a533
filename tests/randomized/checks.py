"""One random problem: its inputs, the questions asked of the package, and what JAX says."""

from __future__ import annotations

import time
import traceback
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import jax
import numpy as np

import matcalc as mc
from matcalc.numeric.check import Directions, numeric_jacobian, replay
from matcalc.numeric.evaluate import Env, evaluate
from matcalc.rewriting.steps import DERIVATIVE, LEMMA, RESTRICT, Step
from matcalc.terms import build, ops
from matcalc.terms.dims import Name
from matcalc.terms.symbols import Symbol
from matcalc.terms.walk import free_atoms, postorder

from .execution import traced
from .generate import Indexed, Problem, Variable
from .problems import called, declarations, environment, keywords, variable_text
from .reference import JAX, NUMPY, Inputs
from .tree import ONE, E, at_value, text_of

Array = Any
TOLERANCE = 1e-7
THOROUGH = ("derivative by the vec route", "steps", "d.check()", "latex", "jvp", "vjp", "derivatives by several")
"""What only a thorough check finds."""


# ---------------------------------------------------------------- what is asked


@dataclass
class Outcome:
    """What came of a problem: ``right``, or what went wrong, with the question as it can be typed."""

    kind: str
    text: str
    where: dict[str, str]
    wrt: str
    form: str
    structured: bool
    message: str = ""
    answer: str = ""
    seconds: float = 0.0
    sizes: dict[str, int] = field(default_factory=dict)

    @property
    def wrong(self) -> bool:
        return self.kind not in ("right", "refused")

    def __str__(self) -> str:
        question = "hessian" if self.form == "hessian" else "derivative"
        more = ", structured=True" if self.structured else ""
        return (
            f"{self.kind}: {self.message}\n  mc.{question}({self.text!r}, {self.wrt!r}, {self.where!r}{more})"
            f"\n  sizes {self.sizes}\n  answer {self.answer}"
        )


def check(
    problem: Problem, inputs: Inputs, seed: str = "", *, spelling: Random | None = None, thorough: bool = False
) -> Outcome:
    """Ask for the derivative, and compare."""
    rng = Random(f"check {seed}")
    text = text_of(problem.e, spelling)
    where, wrt = declarations(problem), variable_text(problem)
    outcome = Outcome("right", text, where, wrt, problem.form, problem.structured, sizes=dict(inputs.sizes))
    start = time.process_time()
    try:
        with mc.limits(seconds=60):
            question = {"form": problem.form} if problem.form == "hessian" else {}
            d = mc.derivative(text, wrt, where, structured=problem.structured, **question)
            outcome.answer = str(d)
            outcome.seconds = time.process_time() - start
            problems = _compared(problem, inputs, d, text, where, rng, thorough)
    except mc.MatcalcError as error:
        outcome.seconds = time.process_time() - start
        outcome.kind, outcome.message = "refused", f"{type(error).__name__}: {error}"
        return outcome
    except Exception as error:
        outcome.seconds = time.process_time() - start
        places = traceback.extract_tb(error.__traceback__)[-4:]
        outcome.kind = f"crash {type(error).__name__}"
        outcome.message = f"{str(error)[:200]} in " + " < ".join(
            f"{Path(p.filename).name}:{p.lineno}" for p in reversed(places)
        )
        return outcome
    if problems:
        outcome.kind, outcome.message = problems
    return outcome


Fault = tuple[str, str] | None


def _compared(
    problem: Problem, inputs: Inputs, d: mc.Derivative, text: str, where: dict[str, str], rng: Random, thorough: bool
) -> Fault:
    term = d.expr.term
    expected = Expected(problem, inputs, rng)
    env = environment(inputs, d.expr.term, d._function, d._wrt, mc.parse(text, where).term)
    given = keywords(problem, inputs)
    parsed = mc.parse(text, where)
    value = np.asarray(NUMPY(problem.e, inputs), dtype=float)
    for what, found in (
        ("value", lambda: evaluate(parsed.term, env)),
        ("value of the code", lambda: called(parsed.function(), given)),
    ):
        off = difference(as_matrix(found(), value.shape), value)
        if not off < TOLERANCE:
            return what, f"off by {off:.2g}"
    for what, found in (
        ("derivative", lambda: evaluate(term, env)),
        ("derivative of the code", lambda: called(d.function(), given)),
    ):
        off = expected.off(found(), what != "derivative")
        if not off < expected.tolerance:
            return what, f"off by {off:.2g}"
    again = mc.parse(outcome_text(d), where)
    if again.term is not term:
        return "printed", f"{d} reads back as {again}"
    simple = d.system.simplify(parsed.term)
    if d.system.simplify(simple) is not simple:
        return "idempotence", f"{mc.Expr(simple)} becomes {mc.Expr(d.system.simplify(simple))}"
    off = difference(evaluate(simple, env), value)
    if not off < TOLERANCE:
        return "simplified", f"off by {off:.2g}: {mc.Expr(simple)}"
    turned = shuffled(problem.e, rng)
    other = mc.parse(text_of(turned), where)
    if other.term is not parsed.term:
        return "order", f"{text_of(turned)} is another term"
    return _thorough(problem, d, expected, env, inputs) if thorough else None


def _thorough(problem: Problem, d: mc.Derivative, expected: Expected, env: Env, inputs: Inputs) -> Fault:
    from golden.witness import differs_read_back

    if not problem.structured:
        vec = mc.Derivative(d.system, d._function, d._wrt, form=d.form, route="vec")
        off = expected.off(evaluate(vec.expr.term, env), False)
        if not off < expected.tolerance:
            return "derivative by the vec route", f"off by {off:.2g}: {vec}"
    for number, step in enumerate(d.steps):
        off = step_error(step, d, inputs)
        if not off < 1e-6:
            return "steps", f"step {number + 1} is off by {off:.2g}: {step}"
    found = d.check(trials=1)
    if not found.ok and "no random inputs" not in found.message:  # smooth in few sizes alone, as here
        return "d.check()", found.message
    fault = _actions(problem, d, expected, inputs)
    if fault is not None:
        return fault
    if any(t.op in (ops.DUPLICATION, ops.ELIMINATION) and t.rows.constant is not None for t in postorder(d.expr.term)):
        return None  # D_2 reads as a name
    try:
        message = differs_read_back(d.expr, mc.parse(f"${d.latex()}$", declarations(problem)))
    except mc.ShapeError as error:  # the length of a unit vector does not show
        message = "" if "cannot be seen" in str(error) else str(error)
    return ("latex", message) if message else None


def _actions(problem: Problem, d: mc.Derivative, expected: Expected, inputs: Inputs) -> Fault:
    """The Jacobian along a direction, its transpose, and the gradients of several variables at once."""
    along = build.sym(Symbol("Along", *d.wrt.term.shape))
    if not problem.structured:
        action = d.jvp(mc.Expr(along)).term
        env = environment(inputs.with_array("Along", expected.direction), action)
        found = evaluate(action, env)
        if problem.form == "hessian":
            found = np.sum(found * expected.other)
        off = difference(found, expected.slope.reshape(np.shape(found)), float(np.abs(found).max(initial=1.0)))
        if not off < 10 * expected.tolerance:
            return "jvp", f"off by {off:.2g}: {mc.Expr(action)}"
    if problem.form == "jacobian":
        cover = build.sym(Symbol("Cover", *d.function_expr.term.shape))
        weights = np.random.default_rng(1).standard_normal(expected.slope.shape)
        pulled = d.vjp(mc.Expr(cover)).term
        found = evaluate(pulled, environment(inputs.with_array("Cover", weights), pulled))
        off = difference(np.sum(found * expected.direction), np.sum(weights * expected.slope), np.abs(found).sum())
        if not off < 10 * expected.tolerance:
            return "vjp", f"off by {off:.2g}: {mc.Expr(pulled)}"
    if problem.form == "gradient" and problem.member is None and not problem.structured:
        text = text_of(problem.e)
        every = mc.derivative(text, sorted(problem.variables), declarations(problem))[problem.wrt].expr.term
        off = expected.off(evaluate(every, environment(inputs, every)), False)
        if not off < expected.tolerance:
            return "derivatives by several", f"off by {off:.2g}: {mc.Expr(every)}"
    return None


def step_error(step: Step, d: mc.Derivative, inputs: Inputs) -> float:
    """How far the two sides of a step are apart at these inputs, a differential being a random direction."""
    from golden.witness import _sides

    wrt = d.wrt.term
    if step.kind == DERIVATIVE:
        twins = [t for t in postorder(step.before) if t.op is ops.SYM and t.attr.name == getattr(wrt.attr, "name", "")]
        wrt = twins[0] if twins else wrt
        expected = numeric_jacobian(step.before, wrt, environment(inputs, step.before, step.after, wrt))
        return difference(evaluate(step.after, environment(inputs, step.after)), expected)
    if step.kind == RESTRICT:
        return 0.0
    varying = [wrt]
    if wrt.op is ops.MEMBER:
        at = Env(sizes={Name(name): value for name, value in inputs.sizes.items()}).size(wrt.attr.at)
        varying = [build.member(wrt.attr.family, at)]
    before, after = _sides(step)
    if step.kind == LEMMA and any(str(a) not in inputs.sizes for t in (before, after) for a in free_atoms(t)):
        return replay(before, after, 1, varying=varying)  # said of any index
    env = replace(environment(inputs, before, after, wrt), differentials=Directions(0, varying))
    return difference(evaluate(after, env), evaluate(before, env))


def outcome_text(d: mc.Derivative) -> str:
    return str(d)


class Expected:
    """What JAX says about the derivative along random directions."""

    def __init__(self, problem: Problem, inputs: Inputs, rng: Random) -> None:
        self.problem, self.inputs = problem, inputs
        draw = np.random.default_rng(rng.randrange(10**9))
        self.point = self.at_point()
        self.direction = draw.standard_normal(self.point.shape)
        self.other = draw.standard_normal(self.point.shape)
        self.tolerance = TOLERANCE if problem.form != "hessian" else 10 * TOLERANCE
        if problem.structured:
            self.direction = self.along(self.direction)
        x, v = self.point, self.direction
        if problem.form == "hessian":
            w = self.other
            _, found = traced(
                lambda x, v, w: jax.jvp(lambda y: jax.jvp(self.value, (y,), (v,))[1], (x,), (w,)), x, v, w
            )
        else:
            _, found = traced(lambda x, v: jax.jvp(self.value, (x,), (v,)), x, v)
        self.slope = found

    def value(self, x: Array) -> Array:
        return JAX(self.problem.e, self.moved(x))

    def moved(self, x: Array) -> Inputs:
        if self.problem.member is None:
            return self.inputs.with_array(self.problem.wrt, x)
        return self.inputs.with_member(self.problem.wrt, at_value(self.problem.member, self.inputs.sizes), x)

    def at_point(self) -> Array:
        if self.problem.member is None:
            return self.inputs.arrays[self.problem.wrt]
        return self.inputs.families[self.problem.wrt][at_value(self.problem.member, self.inputs.sizes)]

    def along(self, v: Array) -> Array:
        """A direction that keeps the structure."""
        kind, q = self.problem.variables[self.problem.wrt].kind, self.point
        if kind in ("symmetric", "posdef"):
            return v + v.T
        if kind in ("orthogonal", "stiefel"):
            return v - q @ (q.T @ v + v.T @ q) / 2
        return {"lower": np.tril, "upper": np.triu, "diagonal": lambda a: np.diag(np.diag(a))}[kind](v)

    def off(self, found: Array, code: bool) -> float:
        """How far a derivative is from the slope along the directions."""
        m, n = self.point.shape
        size = self.slope.size
        flat = self.direction.reshape(-1, order="F")
        if self.problem.form == "gradient":
            wanted = (m, n) if not code else shape_of_input(self.problem, (m, n))
            if np.shape(found) != wanted:
                return float("inf")
            g = np.reshape(found, (m, n))
            if self.problem.structured and self.problem.variables[self.problem.wrt].kind in ("symmetric", "posdef"):
                if not np.allclose(g, g.T):
                    return float("inf")
                g = np.tril(g)
            return difference(np.sum(g * self.direction), self.slope.sum(), np.abs(g * self.direction).sum())
        wanted = (m * n, m * n) if self.problem.form == "hessian" else (size, m * n)
        if np.shape(found) != wanted and not (np.shape(found) == () and wanted == (1, 1)):
            return float("inf")
        along = np.reshape(found, wanted) @ flat
        spread = np.abs(np.reshape(found, wanted)) @ np.abs(flat)
        if self.problem.form == "hessian":
            other = self.other.reshape(-1, order="F")
            return difference(other @ along, self.slope.sum(), np.abs(other) @ spread)
        return difference(along, self.slope.reshape(-1, order="F"), spread.max())


def difference(a: Array, b: Array, scale: float = 0.0) -> float:
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape or not np.isfinite(a).all():
        return float("inf")
    return float(np.max(np.abs(a - b), initial=0.0) / max(1.0, scale, float(np.max(np.abs(b), initial=0.0))))


def as_matrix(found: Array, shape: tuple[int, ...]) -> Array:
    return np.reshape(found, shape) if np.size(found) == shape[0] * shape[1] else np.asarray(found)


def shape_of_input(problem: Problem, shape: tuple[int, int]) -> tuple[int, ...]:
    v: Variable | Indexed = (
        problem.families[problem.wrt] if problem.member is not None else problem.variables[problem.wrt]
    )
    if v.cols != ONE:
        return shape
    return () if v.rows == ONE else (shape[0],)


# ---------------------------------------------------------------- variations


def shuffled(e: E, rng: Random) -> E:
    """The terms of sums and of entrywise products in another order."""
    args = [shuffled(a, rng) for a in e.args]
    if e.op == "add":
        order = list(range(len(args)))
        rng.shuffle(order)
        return replace(e, args=tuple(args[k] for k in order), attr=tuple(e.attr[k] for k in order))
    if e.op == "had":
        rng.shuffle(args)
    return e.with_args(tuple(args))
