"""Linear equations: Sylvester's as such, a matrix beside its transpose, and every other one through its matrix.

The matrix of a linear equation ``F(X) = 0`` is the Jacobian of F: ``vec(X) = -J^-1*vec(F(0))``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..calculus.derive import jacobian
from ..calculus.present import present
from ..calculus.system import System
from ..errors import NotDifferentiable
from ..terms import build, ops
from ..terms.build import coefficient
from ..terms.spectral import sylvester
from ..terms.term import Term
from ..terms.walk import contains, postorder, replace
from .equation import Equation
from .strategies import Move, Need, addends


class Sandwich(NamedTuple):
    """``left*X*right``, or ``left*X'*right``; scalars are in ``left``."""

    left: Term
    transposed: bool
    right: Term


def sandwich(addend: Term, unknown: Term) -> Sandwich | None:
    """What stands around the unknown in a product; None where it occurs twice or inside another operation."""
    number, rest = coefficient(addend)
    scalar = build.num(number)
    if rest.op is ops.SCALE:
        scalar, rest = build.times(scalar, rest.args[0]), rest.args[1]
    factors = rest.args if rest.op is ops.MUL else (rest,)
    at = [i for i, f in enumerate(factors) if contains(f, unknown)]
    if len(at) != 1 or contains(scalar, unknown):
        return None
    middle = factors[at[0]]
    transposed = middle.op is ops.TRANSPOSE and middle.args[0] is unknown
    if not transposed and middle is not unknown:
        return None
    before, after = factors[: at[0]], factors[at[0] + 1 :]
    left = build.smul(scalar, build.mul(*before) if before else build.eye(middle.rows))
    return Sandwich(left, transposed, build.mul(*after) if after else build.eye(middle.cols))


def matrix_linear(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """``A*X + X*B = C``, and ``a*X + b*X' = C``."""
    if unknown.is_scalar:
        return
    parts = addends(system.expand(equation.residual))
    pieces = [sandwich(a, unknown) for a in parts if contains(a, unknown)]
    around = [p for p in pieces if p is not None]
    if len(around) != len(pieces) or len(around) < 2:
        return
    constant = build.neg(build.sum_of((a for a in parts if not contains(a, unknown)), *equation.left.shape))
    if not any(p.transposed for p in around):
        yield from _sylvester(system, around, constant, unknown)
    else:
        yield from _with_transpose(system, around, constant, unknown)


def _is_multiple_of_identity(term: Term) -> bool:
    _, rest = coefficient(term)
    return rest.op is ops.EYE or (rest.op is ops.SCALE and rest.args[1].op is ops.EYE)


def _factor(term: Term) -> Term:
    """s of ``s*eye(n)``."""
    number, rest = coefficient(term)
    return build.times(build.num(number), rest.args[0]) if rest.op is ops.SCALE else build.num(number)


def _sylvester(system: System, around: list[Sandwich], constant: Term, unknown: Term) -> Iterator[Move]:
    left: list[Term] = []
    right: list[Term] = []
    for piece in around:
        if _is_multiple_of_identity(piece.right):
            left.append(build.smul(_factor(piece.right), piece.left))
        elif _is_multiple_of_identity(piece.left):
            right.append(build.smul(_factor(piece.left), piece.right))
        else:
            return
    if not left or not right:
        return
    a, b = present(system, build.add(*left)), present(system, build.add(*right))
    m, n = build.eye(unknown.rows), build.eye(unknown.cols)
    matrix = build.add(build.kron(n, a), build.kron(build.transpose(b), m))
    value = sylvester(a, b, present(system, constant))
    need = (system.simplify(matrix), "invertible")
    yield Move("solve the Sylvester equation", Equation(unknown, value), (need,))


def _with_transpose(system: System, around: list[Sandwich], constant: Term, unknown: Term) -> Iterator[Move]:
    """``a*X + b*X' = C`` and its transpose ``b*X + a*X' = C'``."""
    plain: list[Term] = []
    turned: list[Term] = []
    for piece in around:
        if not (_is_multiple_of_identity(piece.left) and _is_multiple_of_identity(piece.right)):
            return
        (turned if piece.transposed else plain).append(build.times(_factor(piece.left), _factor(piece.right)))
    a, b = build.sum_of(plain, unknown.rows, unknown.cols), build.sum_of(turned, unknown.rows, unknown.cols)
    if not plain or not turned:
        return
    top = build.sub(build.smul(a, constant), build.smul(b, build.transpose(constant)))
    bottom = system.simplify(build.sub(build.times(a, a), build.times(b, b)))
    value = system.simplify(build.divide(top, bottom))
    needs: tuple[Need, ...] = () if bottom.op is ops.NUM else ((bottom, "nonzero"),)
    yield Move("eliminate the transpose", Equation(unknown, value), needs)


def linear(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """Any linear equation, by its matrix."""
    residual = equation.residual
    if any(t.op is ops.FUN and contains(t, unknown) for t in postorder(residual)):
        return  # the derivative of a step vanishes, but a step is not linear
    if unknown.is_scalar or residual.rows * residual.cols != unknown.rows * unknown.cols:
        return
    try:
        matrix = jacobian(system, residual, unknown).term
    except NotDifferentiable:
        return
    if contains(matrix, unknown):
        return
    start = system.simplify(replace(residual, {unknown: build.zeros(*unknown.shape)}))
    column = build.vec(start)
    solved = build.neg(build.mul(build.inv(matrix), column))
    value = present(system, system.simplify(build.unvec(solved, unknown.rows, unknown.cols)))
    yield Move("solve the linear equations", Equation(unknown, value), ((matrix, "invertible"),))
