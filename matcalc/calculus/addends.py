"""The addends of a sum taken apart and put together, what a form costs, and the signs of sums."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from functools import lru_cache
from typing import NamedTuple

from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.ops import Op
from ..terms.term import Number, Term
from ..terms.walk import postorder

Power = tuple[Term, Number]

_UNITS = frozenset({ops.EYE, ops.ONES})


@lru_cache(maxsize=1 << 13)
def cost(term: Term) -> tuple[int, int, int]:
    """What a form costs: the nodes of its shared graph, what is written out, the numbers inside sums.

    Identities and ones are free, so that ``B*A + A`` becomes ``(B + I)*A``.
    """
    nodes = [node for node in postorder(term) if node.op not in _UNITS and node is not build.ONE_NUM]
    inside = sum(abs(coefficient(a)[0]) != 1 for node in nodes if node.op is ops.ADD for a in node.args)
    return len(nodes), term.weight, inside


class Addend(NamedTuple):
    """``number * scalars * (product of factors)``; ``kind`` says which product."""

    number: Number
    scalars: tuple[Power, ...]
    factors: tuple[Term, ...]
    kind: Op | None


def as_power(term: Term) -> Power:
    """The base and the numeric exponent of a factor."""
    if term.op is ops.POW and term.args[1].op is ops.NUM:
        return term.args[0], term.args[1].attr
    return term, 1


def raised(power: Power) -> Term:
    """The factor that a base and an exponent make."""
    return build.power_of(power[0], build.num(power[1]))


def split(term: Term) -> Addend:
    """An addend taken apart."""
    number, rest = coefficient(term)
    scalars: tuple[Term, ...] = ()
    if rest.op is ops.SCALE:
        scalar, rest = rest.args
        scalars = scalar.args if scalar.op is ops.TIMES else (scalar,)
    elif rest.is_scalar:
        scalars = rest.args if rest.op is ops.TIMES else (rest,) if rest is not build.ONE_NUM else ()
        products = [s for s in scalars if s.op is ops.MUL]
        if len(products) != 1:
            return Addend(number, tuple(map(as_power, scalars)), (), None)
        rest = products[0]
        scalars = tuple(s for s in scalars if s is not rest)
    powers = tuple(map(as_power, scalars))
    if rest.op in (ops.MUL, ops.HAD, ops.KRON):
        return Addend(number, powers, rest.args, rest.op)
    return Addend(number, powers, (rest,), None)


def join(addend: Addend) -> Term:
    """The addend put together again."""
    scalar = build.times(build.num(addend.number), *map(raised, addend.scalars))
    if not addend.factors:
        return scalar
    return build.smul(scalar, MAKE[addend.kind](*addend.factors))


MAKE: dict[Op | None, Callable[..., Term]] = {
    None: build.mul,
    ops.MUL: build.mul,
    ops.HAD: build.had,
    ops.KRON: build.kron,
}


def sign_inside(term: Term) -> Iterable[Term]:
    """``-(a - b)*c`` as ``(b - a)*c``, and so on for each sum among the factors."""
    part = split(term)
    if part.number != -1:
        return
    for i, (base, exponent) in enumerate(part.scalars):
        if base.op is ops.ADD and _is_odd(exponent):
            scalars = (*part.scalars[:i], (negated(base), exponent), *part.scalars[i + 1 :])
            yield join(part._replace(number=1, scalars=scalars))
    for i, factor in enumerate(part.factors):
        inside = factor.args[0] if factor.op is ops.TRANSPOSE else factor
        if inside.op is ops.ADD:
            turned = build.transpose(negated(inside)) if inside is not factor else negated(inside)
            yield join(part._replace(number=1, factors=(*part.factors[:i], turned, *part.factors[i + 1 :])))


def _upright(factor: Term) -> Term:
    return factor.args[0] if factor.op is ops.TRANSPOSE else factor


def evened(term: Term, both: Set[Term], every: bool = False) -> Term:
    """``(b - a)'*(b - a)`` with the signs of ``(a - b)'*(a - b)``, for sums that occur with ``both`` signs.

    A single sign that would cost a factor -1 stays, unless ``every`` one is to go or the product holds both.
    """
    if term.op is ops.NORM:
        return build.with_args(term, (unsigned(term.args[0])[1],)) if term.args[0] in both else term
    if term.op is ops.POW:
        base, exponent = term.args
        if base in both and exponent.op is ops.NUM and exponent.attr % 2 == 0:
            return build.power_of(unsigned(base)[1], exponent)
        return term
    if not both or term.op not in (ops.MUL, ops.HAD, ops.SCALE, ops.TIMES):
        return term
    part = split(term)

    def turns(factor: Term) -> bool:
        total = _upright(factor)
        return total in both and unsigned(total)[0] < 0

    scalars = [i for i, (base, exponent) in enumerate(part.scalars) if _is_odd(exponent) and turns(base)]
    factors = [i for i, factor in enumerate(part.factors) if turns(factor)]
    straight = {_upright(f) for f in (*part.factors, *(base for base, _ in part.scalars))}
    bases = [*(part.scalars[i][0] for i in scalars), *(_upright(part.factors[i]) for i in factors)]
    every = every or not straight.isdisjoint(unsigned(base)[1] for base in bases)
    if (len(scalars) + len(factors)) % 2 and part.number == 1 and not every:
        _ = factors.pop() if factors else scalars.pop()
    sign = (-1) ** (len(scalars) + len(factors))
    powers = tuple((unsigned(b)[1], e) if i in scalars else (b, e) for i, (b, e) in enumerate(part.scalars))
    turned = tuple(unsigned(f)[1] if i in factors else f for i, f in enumerate(part.factors))
    return join(Addend(sign * part.number, powers, turned, part.kind)) if scalars or factors else term


def _is_odd(exponent: Number) -> bool:
    return isinstance(exponent, int) and exponent % 2 == 1


def unsigned(term: Term) -> tuple[int, Term]:
    """A sum with the sign that makes its first addend positive, and that sign."""
    if term.op is ops.ADD and coefficient(term.args[0])[0] < 0:
        return -1, negated(term)
    if term.op is ops.TRANSPOSE:
        sign, inside = unsigned(term.args[0])
        return sign, build.transpose(inside)
    return 1, term


def negated(total: Term) -> Term:
    """The negative of a sum, addend by addend."""
    return build.add(*map(build.neg, total.args))
