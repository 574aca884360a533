"""What arrives at places that an index names: members of a family, states of a recurrence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..terms import build, ops
from ..terms.dims import Dim, Index, dim, known_nonnegative, substitute
from ..terms.symbols import Family
from ..terms.term import Term
from ..terms.walk import substitute_indices


def sum_out(value: Term, indices: Iterable[Index]) -> Term:
    """The sum of ``value`` over the indices, those whose range depends on others innermost."""
    left = set(indices)
    while left:
        index = max(
            (a for a in left if not any(a in (b.lo.indices | b.hi.indices) for b in left if b is not a)),
            key=lambda a: a.key,
        )
        value = build.sum_over(index, value)
        left.discard(index)
    return value


def at_member(family: Family, at: Dim, carried: dict[Term, Term]) -> Term | None:
    """What arrives at ``family[at]``, from all members ``family[e(i)]`` that occur."""
    known = (at - family.index.lo, family.index.hi - at)
    total = [
        value_at(node.attr.at, at, value, node.attr.at.indices, known)
        for node, value in carried.items()
        if node.op is ops.MEMBER and node.attr.family == family
    ]
    arrived = [value for value in total if value is not None]
    return build.add(*arrived) if arrived else None


def value_at(where: Dim, at: Dim, value: Term, running: Iterable[Index], known: Sequence[Dim]) -> Term | None:
    """sum_i ind(e(i) = at)*value(i) for ``where`` = e(i): the value at i = e⁻¹(at), where that is in the range of i.

    ``known`` are dimensions that are not negative, because ``at`` lies where it does.  None where e(i)
    is never ``at``.
    """
    free = sorted(running, key=lambda i: i.key)
    for index in reversed(free):
        slope = (substitute(where, {index: dim(index) + 1}) - where).constant
        if slope not in (1, -1):
            continue
        solution = (at - substitute(where, {index: dim(0)})) * int(slope)
        rest = [i for i in free if i is not index]
        if any(index in (i.lo.indices | i.hi.indices) for i in rest):
            continue
        least, most = (index.lo, index.hi) if index.step > 0 else (index.hi, index.lo)
        there = build.times(_within(least, solution, known), _within(solution, most, known))
        if there is build.ZERO_NUM:  # the value may have no sense there
            return None
        return sum_out(build.smul(there, substitute_indices(value, {index: solution})), rest)
    hit = build.indicator("=", where, at)
    return None if hit is build.ZERO_NUM else sum_out(build.smul(hit, value), free)


def _within(low: Dim, high: Dim, known: Sequence[Dim]) -> Term:
    """ind(low <= high), 1 where it follows from what is known."""
    gap = high - low
    if known_nonnegative(gap) or any(known_nonnegative(gap - one) for one in known):
        return build.ONE_NUM
    return build.indicator("<=", low, high)
