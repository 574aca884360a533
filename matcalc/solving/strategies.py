"""The strategies: each takes an equation one step towards the unknown, or declines.

A strategy is a function from an equation ``left = right`` to moves; a move is the next equation with
the conditions under which both have the same solutions.  The search in :mod:`matcalc.solving.solve`
chooses among them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from ..calculus.present import collected
from ..calculus.system import System
from ..output.text import to_unicode
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.dims import ONE
from ..terms.term import Term
from ..terms.walk import contains
from .equation import Equation

Need = tuple[Term, str]


class Move(NamedTuple):
    """The next equation, the strategy's name, what must hold, and the equations on the way there."""

    rule: str
    after: Equation
    needs: tuple[Need, ...] = ()
    via: tuple[Move, ...] = ()


SIMPLIFY = "simplify"
"""The strategy whose single rules are shown instead of itself."""

Strategy = Callable[[System, Equation, Term], Iterator[Move]]


def addends(term: Term) -> tuple[Term, ...]:
    """The operands of a sum; a term that is none, by itself; of zero, none."""
    if term.op is ops.ADD:
        return term.args
    if term.op is ops.ZEROS or term is build.ZERO_NUM:
        return ()
    return (term,)


def _zero_like(term: Term) -> Term:
    return build.zeros(term.rows, term.cols)


def _is_zero(term: Term) -> bool:
    return term.op is ops.ZEROS or term is build.ZERO_NUM


def collect(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """Everything to the left, common factors collected."""
    if not _is_zero(equation.right):
        residual = equation.residual
        yield Move("bring to one side", Equation(residual, _zero_like(residual)))
        return
    factored = collected(system, equation.left)
    if factored is not equation.left:
        yield Move("collect", Equation(factored, equation.right))


def simplify(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """Both sides simplified."""
    after = Equation(system.simplify(equation.left), system.simplify(equation.right))
    if after != equation:
        yield Move(SIMPLIFY, after)


def cancel(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """``L*E*R = 0`` with invertible L, R is ``E = 0``; a nonzero scalar factor likewise."""
    if not _is_zero(equation.right):
        return
    number, rest = coefficient(equation.left)
    if number != 1 and not _is_zero(rest):
        yield Move("divide by a number", Equation(rest, equation.right))
        return
    if rest.op is ops.SCALE and not contains(rest.args[0], unknown):
        yield Move("divide by a nonzero scalar", Equation(rest.args[1], _zero_like(rest)), ((rest.args[0], "nonzero"),))
    if rest.op is ops.TIMES:
        free = [a for a in rest.args if not contains(a, unknown)]
        if free:
            kept = build.times(*(a for a in rest.args if a not in free))
            yield Move(
                "divide by a nonzero scalar", Equation(kept, build.ZERO_NUM), tuple((a, "nonzero") for a in free)
            )
    if rest.op is ops.TRANSPOSE:
        inside = rest.args[0]
        yield Move("transpose both sides", Equation(inside, _zero_like(inside)))
    if rest.op is ops.VEC:
        inside = rest.args[0]
        yield Move("read inside the vec", Equation(inside, _zero_like(inside)))
    if rest.op is ops.MUL:
        first, last = rest.args[0], rest.args[-1]
        for factor, others, name in (
            (first, rest.args[1:], "cancel on the left"),
            (last, rest.args[:-1], "cancel on the right"),
        ):
            if factor.is_square and (not contains(factor, unknown) or system.facts.has(factor, "invertible")):
                kept = build.mul(*others)
                yield Move(name, Equation(kept, _zero_like(kept)), ((factor, "invertible"),))


def clear_inverse(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """Multiply by an invertible factor whose inverse holds the unknown."""
    if not _is_zero(equation.right):
        return
    left_factors: dict[Term, None] = {}
    right_factors: dict[Term, None] = {}
    for addend in addends(equation.left):
        _, rest = coefficient(addend)
        if rest.op is ops.SCALE:
            rest = rest.args[1]
        parts = rest.args if rest.op is ops.MUL else (rest,)
        for factor, into in ((parts[0], left_factors), (parts[-1], right_factors)):
            if factor.is_square and contains(factor, unknown):
                into[factor] = None
    for factor in left_factors:
        yield from _multiplied(system, equation, factor, on_left=True)
    for factor in right_factors:
        yield from _multiplied(system, equation, factor, on_left=False)


def _multiplied(system: System, equation: Equation, factor: Term, on_left: bool) -> Iterator[Move]:
    inverse = system.simplify(build.inv(factor))
    if inverse.op is ops.INV:
        return
    parts = [build.mul(inverse, a) if on_left else build.mul(a, inverse) for a in addends(equation.left)]
    total = build.add(*parts)
    side = "left" if on_left else "right"
    yield Move(
        f"multiply from the {side} by {to_unicode(inverse)}",
        Equation(total, _zero_like(total)),
        ((factor, "invertible"),),
    )


def undo_vec(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """A sum of ``vec(A)'`` is the ``vec`` of a sum: read inside."""
    if not _is_zero(equation.right) or equation.left.op is not ops.ADD:
        return
    inside: list[Term] = []
    for addend in equation.left.args:
        number, rest = coefficient(addend)
        scalar = build.num(number)
        if rest.op is ops.SCALE:
            scalar, rest = build.times(scalar, rest.args[0]), rest.args[1]
        column = rest.args[0] if rest.op is ops.TRANSPOSE else rest
        if column.op is not ops.VEC:
            return
        inside.append(build.smul(scalar, column.args[0]))
    total = build.add(*inside)
    yield Move("read inside the vec", Equation(total, _zero_like(total)))


def transpose_sides(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """The unknown occurs only transposed: transpose both sides."""
    if not _is_zero(equation.right):
        return
    parts = addends(equation.left)
    if any(_is_row_of_vec(a) for a in parts):
        return
    is_row = equation.left.rows is ONE and equation.left.cols is not ONE
    if not is_row and not any(_has_transposed(a, unknown) for a in parts):
        return
    left = build.add(*(system.simplify(build.transpose(a)) for a in parts))
    yield Move("transpose both sides", Equation(left, _zero_like(left)))


def _bare(addend: Term) -> Term:
    _, rest = coefficient(addend)
    return rest.args[1] if rest.op is ops.SCALE else rest


def _has_transposed(addend: Term, unknown: Term) -> bool:
    return _bare(addend).op is ops.TRANSPOSE and contains(addend, unknown)


def _is_row_of_vec(addend: Term) -> bool:
    rest = _bare(addend)
    return rest.op is ops.TRANSPOSE and rest.args[0].op is ops.VEC


def multiply_out(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """Products multiplied out, so that the unknown can be collected."""
    left = system.expand(equation.left)
    if left is not equation.left:
        yield Move("multiply out", Equation(left, equation.right))
