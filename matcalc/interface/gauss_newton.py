"""The Gauss-Newton matrix of a sum of squares, times a direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..calculus import derive
from ..calculus.present import present
from ..errors import MatcalcError
from ..terms import build, ops
from ..terms.symbols import Range
from ..terms.term import Term
from ..terms.walk import contains

if TYPE_CHECKING:
    from .compiled import Question

TWO = build.num(2)


def product(question: Question, wrt: Term) -> Term:
    """The sum of 2·c·J'(J·step) over the c·‖R‖² of which f is the sum, J'(J·step) of an F that is no scalar.

    Raises :class:`MatcalcError` where f is not such a sum.
    """
    rules, function = question.rules, question.function
    if not function.is_scalar:
        raw = _of(question, wrt, function)
    else:
        raw = build.add(*(_addend(question, wrt, part, part) for part in _addends(function)))
    return present(rules, rules.simplify(raw))


def _addends(function: Term) -> tuple[Term, ...]:
    return function.args if function.op is ops.ADD else (function,)


def _addend(question: Question, wrt: Term, term: Term, shown: Term) -> Term:
    """What one addend contributes."""
    if term.op is ops.SUM:
        ranged: Range = term.attr
        return build.sum_over(ranged.index, *(_addend(question, wrt, part, shown) for part in _addends(term.args[0])))
    coefficients, squared = _split(term)
    residual = _residual(squared)
    if residual is None:
        if not any(contains(term, v.term) for v in question.variables):
            return build.zeros(wrt.rows, wrt.cols)
        raise MatcalcError(
            f"{shown} is no multiple of a squared norm: there is no Gauss-Newton matrix", hint="write c*norm(R)^2 + ..."
        )
    for scalar in coefficients:
        if any(contains(scalar, v.term) for v in question.variables):
            raise MatcalcError(f"the factor {scalar} of a squared norm varies: there is no Gauss-Newton matrix")
    return build.smul(build.times(TWO, *coefficients), _of(question, wrt, residual))


def _split(term: Term) -> tuple[list[Term], Term]:
    """A product of scalars as the factors before its square, and the square."""
    if term.op is not ops.TIMES:
        return [], term
    squares = [f for f in term.args if _residual(f) is not None]
    chosen = squares[-1] if squares else term.args[-1]
    rest = list(term.args)
    rest.remove(chosen)
    return rest, chosen


def _residual(term: Term) -> Term | None:
    """The R of a squared norm."""
    if term.op is ops.POW and term.args[0].op is ops.NORM and term.args[1] is TWO:
        return term.args[0].args[0]
    if term.op is ops.TOTAL:
        inside = term.args[0]
        if inside.op is ops.POW and inside.args[1] is TWO:
            return inside.args[0]
        return inside.args[0] if inside.op is ops.FUN and inside.attr == "square" else None
    if term.op is ops.INNER and term.args[0] is term.args[1]:
        return term.args[0]
    whole = term.args[0] if term.op is ops.TR else term
    if whole.op is ops.MUL and len(whole.args) == 2 and build.transpose(whole.args[0]) is whole.args[1]:
        return whole.args[1]
    if whole.op is ops.POW and whole.args[1] is TWO and whole.args[0].is_scalar:
        return whole.args[0]
    return None


def _of(question: Question, wrt: Term, residual: Term) -> Term:
    """J'(J·step) of one residual."""
    rules = question.rules
    parts = [derive.directional(rules, residual, v.term, v.direction) for v in question.variables]
    return derive.pulled_back(rules, residual, wrt, build.add(*parts))
