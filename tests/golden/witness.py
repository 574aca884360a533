"""What a golden file is compared with besides its text: the identical term, and the number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import matcalc as mc
from matcalc.numeric.check import replay
from matcalc.rewriting.steps import IDENTIFY, Step
from matcalc.solving.equation import Equation, SolveStep
from matcalc.terms import build, ops
from matcalc.terms.dims import Atom
from matcalc.terms.term import Term
from matcalc.terms.walk import postorder, replace

TOLERANCE = 1e-6
CHECKABLE = ("positive", "nonneg", "nonzero", "invertible")

Requirements = Sequence[tuple[Term, str]]


def checkable(conditions: Iterable[tuple[Term, str]]) -> list[tuple[Term, str]]:
    """Those conditions that random inputs can be drawn to meet."""
    return [(term, fact) for term, fact in conditions if fact in CHECKABLE]


# ---------------------------------------------------------------- derivations


def differentials(*terms: Term) -> list[Term]:
    """The variables whose differentials occur."""
    return list({t.args[0]: None for t in postorder(*terms) if t.op is ops.DIFF and not t.args[0].args})


def _moving(steps: Sequence[Step], wrt: Term) -> tuple[list[Term], dict[Atom, int]]:
    """What moves along a differential, and sizes to be fixed: of a family only the member asked for, the first."""
    if wrt.op is not ops.MEMBER:
        return differentials(*(t for s in steps for t in (s.before, s.after))), {}
    free = {atom: 1 for atom in wrt.attr.at.atoms()}
    return [build.member(wrt.attr.family, 1)] if free else [wrt], free


def _sides(step: Step) -> tuple[Term, Term]:
    """Two terms with one value when the step is right.

    What is read off by ``identify`` is put back: the gradient G as inner(G, dX), the Jacobian J as
    J*vec(dX), the row of a gradient as vec(G)'.
    """
    before, after = step.before, step.after
    if after is build.vec(before):
        return after, after
    if step.kind != IDENTIFY:
        return before, after
    found = differentials(before)
    if found:
        (variable,) = found
        moved = build.diff(variable)
        if before.is_scalar and after.shape == variable.shape:
            return before, build.inner(after, moved)
        return before, build.mul(after, build.vec(moved))
    if after.rows.constant == 1 and not before.is_vector:
        return build.transpose(build.vec(before)), after
    if before.rows.constant == 1:
        return before, build.transpose(build.vec(after))
    return build.transpose(before), after


def derivation_errors(steps: Sequence[Step], wrt: Term, require: Requirements = ()) -> list[str]:
    """The steps whose two sides differ by value, and the places where one step does not follow on the last."""
    wrong = []
    varying, sizes = _moving(steps, wrt)
    for i, step in enumerate(steps):
        before, after = _sides(step)
        needed = [*require, *checkable(step.conditions)]
        error = replay(before, after, 2, varying=varying, require=needed, sizes=sizes)
        if not error <= TOLERANCE:
            wrong.append(f"step {i + 1} is off by {error:.2g}: {step}")
    for last, step in zip(steps, steps[1:], strict=False):
        if step.before not in (last.after, build.diff(last.after)):
            wrong.append(f"{step.before} does not follow on {last.after}")
    return wrong


# ---------------------------------------------------------------- solutions


def solution_errors(
    steps: Sequence[SolveStep], values: Mapping[Term, Term], sizes: dict[Atom, int], require: Requirements = ()
) -> list[str]:
    """The steps that the solution does not satisfy on both sides, or that lose or gain what is no solution."""
    wrong = []
    for i, step in enumerate(steps):
        for equation in (step.before, step.after):
            error = _residual(equation, values, sizes, require)
            if not error <= TOLERANCE:
                wrong.append(f"step {i + 1}: the solution misses {equation} by {error:.2g}")
        before, after = (_residual(equation, {}, sizes, require) for equation in (step.before, step.after))
        if min(before, after) <= 1e-3:
            wrong.append(f"step {i + 1}: any value satisfies {step.before} or {step.after}")
    return wrong


def _residual(equation: Equation, values: Mapping[Term, Term], sizes: dict[Atom, int], require: Requirements) -> float:
    """How far the two sides are apart where the unknowns have these values."""
    mapping = dict(values)
    return replay(replace(equation.left, mapping), replace(equation.right, mapping), 2, sizes=sizes, require=require)


# ---------------------------------------------------------------- the identical term


def differs_read_back(expr: mc.Expr, read: mc.Expr) -> str:
    """Empty when the text of an answer reads back to the identical term."""
    return "" if read.term is expr.term else f"{expr} reads back as {read}, another term"
