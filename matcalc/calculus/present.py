"""The presented form: what a textbook would print.

A sum is factored where that makes it smaller: common numbers, scalars, left and right factors and
Hadamard factors are collected, the largest saving first.  Presentation never changes a value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from math import gcd, lcm
from typing import NamedTuple

from ..terms import build, ops
from ..terms.build import coefficient
from ..terms.dims import Dim, Index, dim
from ..terms.term import Number, Term
from ..terms.walk import postorder, substitute_indices
from .system import RUNNING, System

MAX_ROUNDS = 4
"""Collecting and simplifying take turns at most this often."""

MAX_ADDENDS = 200
"""Sums with more addends than this are left as they are."""


def present(system: System, term: Term) -> Term:
    """The term as a person would write it; equal to it, never larger."""
    for _ in range(MAX_ROUNDS):
        better = system.simplify(_collected(term))
        if better is term or better.weight > term.weight:
            return term
        term = better
    return term


def _collected(term: Term) -> Term:
    """Every sum in the term factored, where that makes it smaller."""
    made: dict[Term, Term] = {}
    for node in postorder(term):
        args = tuple(made[a] for a in node.args)
        new = node if args == node.args else build.with_args(node, args)
        if new.op is ops.ADD and len(new.args) <= MAX_ADDENDS:
            new = _factored(new)
            new = _with_one_sum(new) if new.op is ops.ADD else new
        made[node] = new
    result = made[term]
    return result if result.weight <= term.weight else term


class Addend(NamedTuple):
    """``number * scalars * (product of factors)``; ``kind`` says which product."""

    number: Number
    scalars: tuple[Term, ...]
    factors: tuple[Term, ...]
    kind: ops.Op | None


def _split(term: Term) -> Addend:
    number, rest = coefficient(term)
    scalars: tuple[Term, ...] = ()
    if rest.op is ops.SCALE:
        scalar, rest = rest.args
        scalars = scalar.args if scalar.op is ops.TIMES else (scalar,)
    elif rest.op is ops.TIMES:
        return Addend(number, rest.args, (), None)
    if rest.is_scalar and rest.op is not ops.MUL:
        return Addend(number, (rest,) if rest is not build.ONE_NUM else (), (), None)
    if rest.op in (ops.MUL, ops.HAD, ops.KRON):
        return Addend(number, scalars, rest.args, rest.op)
    return Addend(number, scalars, (rest,), None)


def _join(addend: Addend) -> Term:
    scalar = build.times(build.num(addend.number), *addend.scalars)
    if not addend.factors:
        return scalar
    make = build.had if addend.kind is ops.HAD else build.kron if addend.kind is ops.KRON else build.mul
    return build.smul(scalar, make(*addend.factors))


class Common(NamedTuple):
    """A factor shared by some addends, and how to take it out of one and put it before their sum."""

    where: str
    factor: Term
    members: tuple[int, ...]


def _factored(total: Term) -> Term:
    """The best factoring of a sum, found greedily."""
    term = _without_common_number(total)
    while True:
        number, core = coefficient(term)
        if core.op is not ops.ADD:
            return term
        addends = [_split(a) for a in core.args]
        best = max(_candidates(addends), key=lambda c: (_saving(c), c.where, c.factor.key), default=None)
        if best is None:
            return term
        new = _take_out(core, addends, best)
        new = build.smul(build.num(number), new)
        if new.weight >= term.weight:
            return term
        term = new


def _saving(common: Common) -> int:
    return (len(common.members) - 1) * common.factor.weight


def _candidates(addends: list[Addend]) -> Iterable[Common]:
    found: dict[tuple[str, Term], list[int]] = {}
    for i, addend in enumerate(addends):
        for scalar in dict.fromkeys(addend.scalars):
            found.setdefault(("scalar", scalar), []).append(i)
        if addend.kind is ops.HAD:
            for factor in dict.fromkeys(addend.factors):
                found.setdefault(("had", factor), []).append(i)
        elif addend.kind is ops.MUL:
            found.setdefault(("left", addend.factors[0]), []).append(i)
            found.setdefault(("right", addend.factors[-1]), []).append(i)
    for (where, factor), members in found.items():
        if len(members) > 1:
            yield Common(where, factor, tuple(members))


def _take_out(core: Term, addends: list[Addend], common: Common) -> Term:
    inside = [_REMOVE[common.where](addends[i], common.factor) for i in common.members]
    others = [a for i, a in enumerate(core.args) if i not in common.members]
    rest = _factored_if_sum(build.add(*inside))
    combined = _COMBINE[common.where](common.factor, rest)
    return build.add(combined, *others)


def _factored_if_sum(term: Term) -> Term:
    return _factored(term) if term.op is ops.ADD else term


def _remove_scalar(addend: Addend, factor: Term) -> Term:
    rest = list(addend.scalars)
    rest.remove(factor)
    return _join(addend._replace(scalars=tuple(rest)))


def _remove_left(addend: Addend, factor: Term) -> Term:
    return _join(addend._replace(factors=addend.factors[1:]))


def _remove_right(addend: Addend, factor: Term) -> Term:
    return _join(addend._replace(factors=addend.factors[:-1]))


def _remove_had(addend: Addend, factor: Term) -> Term:
    rest = list(addend.factors)
    rest.remove(factor)
    return _join(addend._replace(factors=tuple(rest)))


_REMOVE: dict[str, Callable[[Addend, Term], Term]] = {
    "scalar": _remove_scalar,
    "left": _remove_left,
    "right": _remove_right,
    "had": _remove_had,
}
_COMBINE: dict[str, Callable[[Term, Term], Term]] = {
    "scalar": build.smul,
    "left": lambda factor, rest: build.mul(factor, rest),
    "right": lambda factor, rest: build.mul(rest, factor),
    "had": build.had,
}


def _with_one_sum(total: Term) -> Term:
    """Sums over one range as one, where that is smaller: ``sum(i, a[i]) - sum(i, b[i])*C``."""
    ranged: dict[tuple[Dim, Dim], list[Term]] = {}
    for addend in total.args:
        sums = [f for f in _split(addend).factors if f.op is ops.SUM] if addend.op is not ops.SUM else [addend]
        if len(sums) == 1:
            index = sums[0].attr.index
            ranged.setdefault((index.lo, index.hi), []).append(addend)
    for (low, high), addends in ranged.items():
        if len(addends) > 1:
            running = Index(RUNNING, low, high)
            inside = build.sum_over(running, build.add(*(_summand(a, running) for a in addends)))
            new = build.add(inside, *(a for a in total.args if a not in addends))
            total = new if new.weight < total.weight else total
            if total.op is not ops.ADD:
                return total
    return total


def _summand(addend: Term, running: Index) -> Term:
    """What an addend with one sum as a factor adds up."""
    taken = Addend(1, (), (addend,), None) if addend.op is ops.SUM else _split(addend)
    bodies = {f: substitute_indices(f.args[0], {f.attr.index: dim(running)}) for f in taken.factors if f.op is ops.SUM}
    return _join(taken._replace(factors=tuple(bodies.get(f, f) for f in taken.factors)))


def _without_common_number(total: Term) -> Term:
    """``2*a + 2*b`` as ``2*(a + b)``; ``-a - b`` as ``-(a + b)``."""
    numbers = [Fraction(coefficient(a)[0]) for a in total.args]
    top, bottom = 0, 1
    for n in numbers:
        top, bottom = gcd(top, n.numerator), lcm(bottom, n.denominator)
    common = Fraction(top, bottom)
    if all(n < 0 for n in numbers):
        common = -common
    if common == 1 or any(t.op is ops.NUM for t in total.args):
        return total
    if common.denominator != 1 and any(n.denominator != common.denominator for n in numbers):
        return total
    inverse = 1 / common
    inside = build.add(*(build.smul(build.num(inverse), a) for a in total.args))
    return build.smul(build.num(common), inside)
