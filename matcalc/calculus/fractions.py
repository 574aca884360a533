"""Sums over one denominator: ``1 - s/(s + t)`` is ``t/(s + t)``, ``P - P*(P + R)^-1*P`` is ``P*(P + R)^-1*R``.

A denominator is a sum to a negative power, of a scalar or entry by entry, or the inverse of a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.term import Number, Term
from .addends import Power, as_power, join, raised, split
from .multiply import multiplied_out

Simplify = Callable[[Term], Term]
MAX_ADDENDS = 8
"""Sums of more addends are left as they are."""

MAX_WEIGHT = 600
"""Nor are sums of more nodes, written out."""

MAX_PRODUCED = 16
"""No numerator is multiplied out to more addends."""


class Denominator(NamedTuple):
    """What multiplies the addends, what undoes that, and how: ``put(factor, addend)``."""

    times: Term
    back: Term
    put: Callable[[Term, Term], Term]


def denominators(total: Term) -> list[Denominator]:
    """What some addends of a sum are divided by."""
    if total.op is not ops.ADD or len(total.args) > MAX_ADDENDS or total.weight > MAX_WEIGHT:
        return []
    return list(_denominators(total))


def over_one(total: Term, found: Iterable[Denominator], simplify: Simplify) -> Iterable[tuple[Term, Denominator]]:
    """Numerators in which terms have cancelled, each with its denominator."""
    for denominator in found:
        over = [simplify(denominator.put(denominator.times, addend)) for addend in total.args]
        out = [multiplied_out(term, MAX_PRODUCED, simplify) or term for term in over]
        numerator = build.add(*out)
        if _count(numerator) < len(total.args):
            yield numerator, denominator


def _count(term: Term) -> int:
    return len(term.args) if term.op is ops.ADD else 1


def _denominators(total: Term) -> Iterable[Denominator]:
    scalars: dict[Term, Number] = {}
    entries: dict[Term, Number] = {}
    sides: dict[tuple[Term, bool], Term] = {}
    for addend in total.args:
        factors, rest = _parted(coefficient(addend)[1])
        for factor in factors:
            _note(scalars, factor)
        for factor in rest.args if rest.op is ops.HAD else (rest,):
            _note(entries, factor)
        chain = rest.args if rest.op is ops.MUL else (rest,)
        for factor, last in ((chain[-1], True), (chain[0], False)):
            matrix = _inverted(factor)
            if matrix is not None:
                sides[matrix, last] = factor
    for found, put in ((scalars, build.smul), (entries, build.had)):
        for base, power in found.items():
            yield Denominator(build.power_of(base, build.num(power)), build.power_of(base, build.num(-power)), put)
    for (matrix, last), back in sides.items():
        yield Denominator(matrix, back, _after if last else build.mul)


def _after(factor: Term, addend: Term) -> Term:
    return build.mul(addend, factor)


def _parted(term: Term) -> tuple[Sequence[Term], Term]:
    """The scalar factors of an addend, and what they multiply."""
    if term.op is ops.SCALE:
        scalar, rest = term.args
    elif term.is_scalar:
        scalar, rest = term, build.ONE_NUM
    else:
        return (), term
    return scalar.args if scalar.op is ops.TIMES else (scalar,), rest


def _note(found: dict[Term, Number], factor: Term) -> None:
    """The highest power of a sum in a denominator."""
    if factor.op is ops.POW and factor.args[0].op is ops.ADD and factor.args[1].op is ops.NUM:
        base, power = factor.args[0], -factor.args[1].attr
        if power > 0:
            found[base] = max(power, found.get(base, power))


def _inverted(factor: Term) -> Term | None:
    """The sum whose inverse, or transposed inverse, a factor is."""
    inside = factor.args[0] if factor.op is ops.TRANSPOSE else factor
    if inside.op is not ops.INV or inside.args[0].op is not ops.ADD:
        return None
    return build.transpose(inside.args[0]) if factor.op is ops.TRANSPOSE else inside.args[0]


def absorbed(term: Term, simplify: Simplify) -> Iterable[Term]:
    """``s^-1*(t*s^-1 + 1)^-1`` as ``(t + s)^-1``, also where the sum is under a sum over an index."""
    part = split(term)
    for k, (base, exponent) in enumerate(part.scalars):
        if base.op is ops.ADD or not isinstance(exponent, int) or exponent >= 0:
            continue
        left = (*part.scalars[:k], *([(base, exponent + 1)] if exponent != -1 else []), *part.scalars[k + 1 :])
        for i, power in enumerate(left):
            new = _multiplied(power, base, simplify)
            if new is not None:
                yield simplify(join(part._replace(scalars=(*left[:i], new, *left[i + 1 :]))))
        for i, factor in enumerate(part.factors):
            if factor.op is ops.POW and (new := _multiplied(as_power(factor), base, simplify)) is not None:
                factors = (*part.factors[:i], raised(new), *part.factors[i + 1 :])
                yield simplify(join(part._replace(scalars=left, factors=factors)))
            inside = split(factor.args[0]) if factor.op is ops.SUM else None
            for j, power in enumerate(inside.scalars if inside else ()):
                new = _multiplied(power, base, simplify)
                if inside and new is not None:
                    body = join(inside._replace(scalars=(*inside.scalars[:j], new, *inside.scalars[j + 1 :])))
                    factors = (*part.factors[:i], build.with_args(factor, (body,)), *part.factors[i + 1 :])
                    yield simplify(join(part._replace(scalars=left, factors=factors)))


def _multiplied(power: Power, base: Term, simplify: Simplify) -> Power | None:
    """A sum in a denominator multiplied by what divides in it; None for other powers."""
    total, exponent = power
    if exponent != -1 or total.op is not ops.ADD:
        return None
    if not any(b is base and e == -1 for addend in total.args for b, e in split(addend).scalars):
        return None
    return build.add(*(simplify(build.smul(base, addend)) for addend in total.args)), -1
