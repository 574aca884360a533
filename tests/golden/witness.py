"""What a golden file is compared with besides its text: the identical term, and the number."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

import matcalc as mc
from matcalc.calculus.variable import is_state
from matcalc.interface.derivative import CHECKABLE
from matcalc.numeric.check import check_derivative, difference, directions, replay
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.rewriting.steps import DERIVATIVE, IDENTIFY, LEMMA, RESTRICT, Step
from matcalc.solving.equation import Equation, SolveStep
from matcalc.terms import build, ops
from matcalc.terms.dims import Atom
from matcalc.terms.term import Term
from matcalc.terms.walk import postorder, replace

TOLERANCE = 1e-6

Requirements = Sequence[tuple[Term, str]]


def checkable(conditions: Iterable[tuple[Term, str]]) -> list[tuple[Term, str]]:
    """Those conditions that random inputs can be drawn to meet."""
    return [(term, fact) for term, fact in conditions if fact in CHECKABLE]


# ---------------------------------------------------------------- derivations


def derivation_errors(steps: Sequence[Step], wrt: Term | None, require: Requirements = ()) -> list[str]:
    """The steps whose two sides differ by value, and the lines that follow from no earlier one."""
    wrong = []
    varying, sizes = _moving(steps, wrt)
    written = steps
    if wrt is not None and is_state(wrt):  # it varies alone, under a name of its own
        alone = dict.fromkeys(varying, wrt)
        steps = [s if s.before.has_diff or s.after.has_diff else _replaced(s, alone) for s in steps]
    elif wrt is not None and wrt.args:  # a sub-expression, under a name of its own while differentiating
        steps = [_replaced(step, dict.fromkeys(varying, wrt)) for step in steps]
        varying = [t for t in postorder(wrt) if t.op is ops.SYM]
    lines: set[Term] = set()
    for i, (step, line) in enumerate(zip(steps, written, strict=True)):
        if lines and not _follows(line, lines):
            wrong.append(f"{line.before} does not follow from an earlier line")
        lines |= {line.before, line.after}
        needed = [*require, *checkable(step.conditions)]
        if step.kind == DERIVATIVE:
            (variable,) = varying
            found = check_derivative(step.before, variable, step.after, "jacobian", 2, 0, needed)
            error = found.max_error if found.ok else float("inf")
        elif step.kind == RESTRICT:
            assert wrt is not None
            error = max(restriction_error(step, wrt, seed) for seed in range(2))
        else:
            before, after = _sides(step)
            error = replay(before, after, 2, varying=varying, require=needed, sizes=sizes)
        if not error <= TOLERANCE:
            wrong.append(f"step {i + 1} is off by {error:.2g}: {step}")
    return wrong


def restriction_error(step: Step, wrt: Term, seed: int) -> float:
    """How far a derivative is from the one before it, added up along the directions that keep the structure."""
    env = sample([step.before, step.after, wrt], seed)
    before, after, point = evaluate([step.before, step.after, wrt], env)
    ways = directions(point, step.rule.removeprefix("restrict to ") if "restrict" in step.rule else "stiefel")
    if before.shape == point.shape and step.before.shape == wrt.shape:
        expected = sum((np.sum(before * way) * way for way in ways), np.zeros(point.shape))
    else:
        spread = sum((np.outer(way.ravel("F"), way.ravel("F")) for way in ways), np.zeros((point.size, point.size)))
        expected = before @ spread
        if step.before.rows is step.before.cols is wrt.rows * wrt.cols:
            expected = spread @ expected
    return difference(after, expected)


def _replaced(step: Step, mapping: dict[Term, Term]) -> Step:
    conditions = tuple((replace(term, mapping), fact) for term, fact in step.conditions)
    return Step(step.rule, replace(step.before, mapping), replace(step.after, mapping), conditions, step.kind)


def _differentials(*terms: Term) -> list[Term]:
    """What stands under a d."""
    return list({t.args[0]: None for t in postorder(*terms) if t.op is ops.DIFF})


def _moving(steps: Sequence[Step], wrt: Term | None) -> tuple[list[Term], dict[Atom, int]]:
    """What moves along a differential, and sizes to be fixed: of a family only the member asked for, the first."""
    if wrt is None or wrt.op is not ops.MEMBER:
        fixed = {s.before.args[0] for s in steps if s.rule == "d-constant" and s.before.op is ops.DIFF}
        moved = _differentials(*(t for s in steps for t in (s.before, s.after)))
        return [t for t in moved if not t.args and t not in fixed], {}
    free = dict.fromkeys(wrt.attr.at.atoms(), 1)
    return [build.member(wrt.attr.family, 1)] if free else [wrt], free


def _follows(step: Step, earlier: set[Term]) -> bool:
    """A line is an earlier one, a lemma, or the differential of one or of a part of one (a link of a chain)."""
    if step.before in earlier or step.kind == LEMMA:
        return True
    parts = postorder(*earlier)
    if step.kind == DERIVATIVE:  # gathers the links of the formula that was differentiated
        return step.before in parts
    return step.before.op is ops.DIFF and step.before.args[0] in parts


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
    if before is build.zeros(*before.shape):  # nothing varies: the differential 0 is read as 0*vec(dX)
        return build.zeros(*after.shape), after
    found = _differentials(before)
    if found:
        (variable,) = found
        moved = build.diff(variable)
        if before.is_scalar and after.shape == variable.shape:
            return before, build.inner(after, moved)
        return before, build.mul(after, build.vec(moved))
    if before.rows.constant == 1:
        return before, build.transpose(build.vec(after))
    return build.transpose(build.vec(before)), after


def answer_error(answer: mc.Derivative) -> str:
    """Empty when the answer agrees with a derivative found without the rules.

    The gradient with respect to a sub-expression E(X), of a function of E alone, is checked as the
    outer factor of the chain rule: vec(G)' * D(E, X) is the derivative with respect to X.  The
    distinct entries vech(X) vary as a vector of their own.
    """
    wrt = answer.wrt.term
    if not wrt.args or wrt.op is ops.VECH:
        found = answer.check(trials=2)
    else:
        (variable,) = (t for t in postorder(wrt) if t.op is ops.SYM)
        inner = mc.derivative(answer.wrt, mc.Expr(variable)).jacobian.term
        row = build.mul(answer.jacobian.term, inner)
        found = check_derivative(answer.function_expr.term, variable, row, "jacobian", 2)
    return "" if found.ok else found.message


# ---------------------------------------------------------------- solutions


def solution_errors(
    steps: Sequence[SolveStep], values: Mapping[Term, Term], sizes: dict[Atom, int], require: Requirements = ()
) -> list[str]:
    """The steps that the solution does not satisfy on both sides, or that anything satisfies."""
    wrong = []
    for i, step in enumerate(steps):
        for equation in (step.before, step.after):
            error = _residual(equation, values, sizes, require)
            if not error <= TOLERANCE:
                wrong.append(f"step {i + 1}: the solution misses {equation} by {error:.2g}")
            if _residual(equation, {}, sizes, require) <= 1e-3:
                wrong.append(f"step {i + 1}: any value satisfies {equation}")
    return wrong


def _residual(equation: Equation, values: Mapping[Term, Term], sizes: dict[Atom, int], require: Requirements) -> float:
    """How far the two sides are apart where the unknowns have these values."""
    mapping = dict(values)
    return replay(replace(equation.left, mapping), replace(equation.right, mapping), 2, sizes=sizes, require=require)


# ---------------------------------------------------------------- the identical term


def differs_read_back(expr: mc.Expr, read: mc.Expr) -> str:
    """Empty when the text of an answer reads back to the identical term."""
    return "" if read.term is expr.term else f"{expr} reads back as {read}, another term"
