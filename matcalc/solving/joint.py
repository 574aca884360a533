"""Linear equations together: systems with every unknown in every equation, constraints on one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ..calculus import derive
from ..calculus.present import present
from ..calculus.system import System
from ..errors import MatcalcError
from ..terms import build
from ..terms.arithmetic import coefficient
from ..terms.dims import ONE, ZERO
from ..terms.term import Term
from ..terms.walk import contains, replace
from .conditions import condition
from .equation import Equation, SolveStep
from .parts import is_polynomial, negative, upright, without_number

FEWEST = 3
"""Fewer unknowns are eliminated one after the other."""


class Part(NamedTuple):
    """One unknown of a joint system with its value."""

    unknown: Term
    value: Term
    steps: list[SolveStep]


def jointly(system: System, equations: Sequence[Equation], unknowns: Sequence[Term]) -> list[Part] | None:
    """``M*[x; y; z] = r`` solved with the inverse of M; None unless every equation holds every unknown linearly."""
    if len(unknowns) < FEWEST or len(equations) != len(unknowns):
        return None
    if not all(t.is_scalar or t.is_vector for t in (*unknowns, *(e.left for e in equations))):
        return None
    rows: list[list[Term]] = []
    known: list[Term] = []
    ordered = _in_order(equations, unknowns)
    for equation in ordered:
        if not all(contains(equation.residual, u) for u in unknowns):
            return None
        read = _coefficients(system, without_number(equation.residual), unknowns)
        if read is None:
            return None
        row, right = read
        if coefficient(row[len(rows)])[0] < 0:
            row, right = [negative(a) for a in row], negative(right)
        rows.append(row)
        known.append(right)
    matrix, given = build.block(rows), build.block([[k] for k in known])
    if not matrix.is_square:
        return None
    stacked = build.block([[u] for u in unknowns])
    value = build.mul(build.inv(matrix), given)
    left = build.block([[e.left] for e in ordered])
    other = build.block([[e.right] for e in ordered])
    system_step = SolveStep(
        "write as one linear system", Equation(left, other), Equation(build.mul(matrix, stacked), given)
    )
    solved = SolveStep(
        "multiply by the inverse from the left",
        system_step.after,
        Equation(stacked, value),
        (condition(system, (matrix, "invertible")),),
    )
    found: list[Part] = []
    at = ZERO
    for unknown in unknowns:
        part = build.submatrix(value, at + 1, at + unknown.rows, ONE, ONE)
        at = at + unknown.rows
        taken = SolveStep("take the part of the unknown", solved.after, Equation(unknown, part))
        found.append(Part(unknown, part, [taken] if found else [system_step, solved, taken]))
    return found


class Stacked(NamedTuple):
    """A constraint, and the ones that it is made of."""

    equation: Equation
    parts: tuple[Equation, ...]


def stacked(system: System, constraints: Sequence[Equation], unknowns: Sequence[Term]) -> list[Stacked]:
    """The constraints, those that are linear in one and the same vector as one: ``[A; B]*x = [a; b]``."""
    rows: dict[Term, list[tuple[Equation, Term, Term]]] = {}
    for constraint in constraints:
        residual = constraint.residual
        moving = [u for u in unknowns if contains(residual, u)]
        if len(moving) == 1 and moving[0].is_vector and (residual.is_scalar or residual.is_vector):
            read = _coefficients(system, residual, moving)
            if read is not None:
                rows.setdefault(moving[0], []).append((constraint, read[0][0], read[1]))
    together = {unknown: group for unknown, group in rows.items() if len(group) > 1}
    taken = [constraint for group in together.values() for constraint, _, _ in group]
    found = [Stacked(c, (c,)) for c in constraints if all(c is not other for other in taken)]
    for unknown, group in together.items():
        matrix, right = build.block([[row] for _, row, _ in group]), build.block([[value] for _, _, value in group])
        parts = tuple(constraint for constraint, _, _ in group)
        found.append(Stacked(Equation(build.mul(matrix, unknown), right), parts))
    return found


def _in_order(equations: Sequence[Equation], unknowns: Sequence[Term]) -> list[Equation]:
    """The equations, each at the place of an unknown of its length where there is one."""
    left = list(equations)
    found: list[Equation] = []
    for unknown in unknowns:
        one = next((e for e in left if e.left.rows is unknown.rows), left[0])
        left.remove(one)
        found.append(one)
    return found


def _coefficients(system: System, residual: Term, unknowns: Sequence[Term]) -> tuple[list[Term], Term] | None:
    """The Jacobians of an affine residual in the unknowns, and minus what is left without them."""
    if not all(is_polynomial(residual, u) for u in unknowns):
        return None
    found: list[Term] = []
    for unknown in unknowns:
        try:
            factor = derive.derivative(system, residual, unknown).term
        except MatcalcError:
            return None
        factor = upright(present(system, factor))
        if any(contains(factor, u) for u in unknowns):
            return None
        found.append(factor)
    free = replace(residual, {u: build.zeros(*u.shape) if not u.is_scalar else build.ZERO_NUM for u in unknowns})
    return found, upright(present(system, system.simplify(build.neg(free))))
