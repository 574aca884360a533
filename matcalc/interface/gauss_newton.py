"""The Gauss-Newton matrix of a sum of squares, times a direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..calculus import derive
from ..calculus.places import sum_out
from ..calculus.present import present
from ..calculus.residuals import TWO, Square, squares
from ..errors import MatcalcError
from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import postorder

if TYPE_CHECKING:
    from .compiled import Question


def product(question: Question, wrt: Term) -> Term:
    """The sum of 2·c·J'(J·step) over the c·‖R‖² of which f is the sum, J'(J·step) of an F that is no scalar.

    Raises :class:`MatcalcError` where f is not such a sum.
    """
    rules, function = question.rules, question.function
    if not function.is_scalar:
        raw = _of(question, wrt, function)
    else:
        raw = build.add(*(sum_out(_addend(question, wrt, one), one.indices) for one in squares(function)))
    return present(rules, rules.simplify(raw))


def _addend(question: Question, wrt: Term, one: Square) -> Term:
    """What one addend contributes."""
    if one.residual is None:
        if not _varies(question, one.shown):
            return build.zeros(wrt.rows, wrt.cols)
        raise MatcalcError(
            f"{one.shown} is no multiple of a squared norm: there is no Gauss-Newton matrix",
            hint="write c*norm(R)^2 + ...",
        )
    for scalar in one.factors:
        if _varies(question, scalar):
            raise MatcalcError(f"the factor {scalar} of a squared norm varies: there is no Gauss-Newton matrix")
    return build.smul(build.times(TWO, *one.factors), _of(question, wrt, one.residual))


def _varies(question: Question, term: Term) -> bool:
    """Whether a variable occurs in the term, or of a member of a family any member."""
    families = {v.term.attr.family for v in question.variables if v.term.op is ops.MEMBER}
    wanted = {v.term for v in question.variables}
    return any(t in wanted or (t.op is ops.MEMBER and t.attr.family in families) for t in postorder(term))


def _of(question: Question, wrt: Term, residual: Term) -> Term:
    """J'(J·step) of one residual."""
    rules = question.rules
    parts = [derive.directional(rules, residual, v.term, v.direction) for v in question.variables]
    return derive.pulled_back(rules, residual, wrt, build.add(*parts))
