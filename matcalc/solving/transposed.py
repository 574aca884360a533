"""``a*X + b*X' = C`` with numbers a and b: the equation and its transpose, X' eliminated."""

from __future__ import annotations

from collections.abc import Iterator

from ..calculus.present import present
from ..calculus.system import System
from ..terms import build, ops
from ..terms.build import coefficient
from ..terms.term import Term
from ..terms.walk import contains
from .equation import Equation
from .parts import is_polynomial
from .strategies import Move, addends


def eliminate_transpose(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """``(a^2 - b^2)*X = a*C - b*C'``."""
    if unknown.is_scalar or not unknown.is_square or not is_polynomial(equation.residual, unknown):
        return
    parts = addends(system.expand(equation.residual))
    turned = build.transpose(unknown)
    factor = {unknown: build.ZERO_NUM, turned: build.ZERO_NUM}
    for addend in parts:
        if not contains(addend, unknown):
            continue
        number, rest = coefficient(addend)
        scalar, matrix = rest.args if rest.op is ops.SCALE else (build.ONE_NUM, rest)
        if matrix not in factor or contains(scalar, unknown):
            return
        factor[matrix] = build.add(factor[matrix], build.times(build.num(number), scalar))
    a, b = factor[unknown], factor[turned]
    if a is build.ZERO_NUM or b is build.ZERO_NUM:
        return
    constant = build.neg(build.sum_of((p for p in parts if not contains(p, unknown)), *unknown.shape))
    bottom = system.simplify(build.sub(build.times(a, a), build.times(b, b)))
    top = build.sub(build.smul(a, constant), build.smul(b, build.transpose(constant)))
    value = present(system, system.simplify(build.divide(top, bottom)))
    yield Move("eliminate the transpose", Equation(unknown, value), ((bottom, "nonzero"),))
