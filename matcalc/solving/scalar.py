"""Scalar unknowns, and arrays entry by entry: powers of the unknown collected, denominators cleared.

An expression is read as a quotient of sums of powers, ``sum_e c_e*x^e``, whose coefficients are free of the unknown
and may be arrays; of an array as unknown the powers and products are entry by entry.  Two powers leave a root to be
taken, three in arithmetic progression a quadratic equation.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from ..calculus.system import System
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.term import Term
from ..terms.walk import contains, postorder, replace
from .equation import Equation
from .strategies import Move, Need, addends

Powers = dict[Term, Term]
"""From an exponent to its coefficient."""

MAX_POWERS = 6
"""Expressions with more powers of the unknown are not followed."""

HALF = build.num(Fraction(1, 2))


class NotPowers(Exception):
    """The expression is no quotient of sums of powers of the unknown."""


class Ratio:
    """``top/bottom``, both sums of powers."""

    def __init__(self, top: Powers, bottom: Powers | None = None) -> None:
        self.top, self.bottom = top, bottom


def powers(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """Two powers of the unknown, or of one function of it, or a quadratic equation."""
    residual = equation.residual
    if residual is unknown or residual.shape != unknown.shape:
        return
    if unknown.is_scalar:
        residual = split_exponentials(system, residual, unknown)
        if residual is not equation.residual:
            yield Move("take the factor out of the exponential", Equation(residual, build.ZERO_NUM))
            return
    for part in postorder(residual):
        if part.op is not ops.FUN or part.shape != unknown.shape or not contains(part, unknown):
            continue
        if not contains(replace(residual, {part: build.zeros(*part.shape)}), unknown):
            yield from _in_powers(system, equation, part)
            return
    yield from _in_powers(system, equation, unknown)


def split_exponentials(system: System, term: Term, unknown: Term) -> Term:
    """``exp(k*x + v)`` as ``exp(k*x)*exp(v)`` for the scalar x and an array v: a factor of all entries."""
    reader = Reader(system, unknown)
    changed: dict[Term, Term] = {}
    for node in postorder(term):
        if node.op is not ops.FUN or node.attr != "exp" or node.is_scalar or not contains(node, unknown):
            continue
        try:
            ratio = reader.read(system.expand(node.args[0]))
        except NotPowers:
            continue
        top = ratio.top
        if ratio.bottom is not None or set(top) != {build.ZERO_NUM, build.ONE_NUM}:
            continue
        slope = _multiple_of_ones(system.simplify(top[build.ONE_NUM]))
        if slope is None:
            continue
        shift, rest = build.times(slope, unknown), []
        for addend in addends(top[build.ZERO_NUM]):
            level = _multiple_of_ones(addend)
            if level is None:
                rest.append(addend)
            else:
                shift = build.add(shift, level)
        inside = build.sum_of(rest, *node.shape)
        changed[node] = build.smul(build.fun("exp", shift), system.simplify(build.fun("exp", inside)))
    if not changed:
        return term
    return system.simplify(replace(term, changed))


def _multiple_of_ones(term: Term) -> Term | None:
    """s where the term is s, or an array with all entries s."""
    number, rest = coefficient(term)
    if rest.is_scalar:
        return term
    if rest.op is ops.ONES:
        return build.num(number)
    if rest.op is ops.SCALE and rest.args[1].op is ops.ONES:
        return build.times(build.num(number), rest.args[0])
    return None


def _in_powers(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    reader = Reader(system, unknown)
    try:
        ratio = reader.read(equation.residual)
    except NotPowers:
        return
    top = reader.tidy(ratio.top)
    needs: tuple[Need, ...] = tuple(reader.needs)
    if ratio.bottom is not None:
        needs = (*needs, (reader.value(ratio.bottom), "nonzero"))
    exponents = sorted(top, key=_order, reverse=True)
    if len(exponents) == 2:
        yield from _two(reader, equation, top, exponents, needs)
    elif len(exponents) == 3:
        yield from _three(reader, top, exponents, needs)
    elif len(exponents) == 1 and _is_number(exponents[0]) and Fraction(exponents[0].attr) > 0:
        yield Move(
            "divide by the other factor", Equation(unknown, reader.zero), (*needs, (top[exponents[0]], "nonzero"))
        )


def _two(
    reader: Reader, before: Equation, top: Powers, exponents: list[Term], needs: tuple[Need, ...]
) -> Iterator[Move]:
    high, low = exponents
    step = reader.system.simplify(build.sub(high, low))
    leading, constant = top[high], top[low]
    if low is not build.ZERO_NUM:
        needs = (*needs, (reader.unknown, "nonzero"))
    value = reader.quotient(build.neg(constant), leading)
    name = "collect" if not needs else "clear the denominators and collect"
    number, symbolic = coefficient(step)
    if number < 0:
        step, value, leading = build.neg(step), reader.quotient(build.neg(leading), constant), constant
    needs = (*needs, (_multiple_of_ones(leading) or leading, "nonzero"))
    if symbolic is not build.ONE_NUM and reader.unknown.op in (ops.SYM, ops.MEMBER):
        root = build.power_of(value, build.power_of(step, build.MINUS_ONE_NUM))
        needs = (*needs, (reader.unknown, "positive"), (value, "positive"), (step, "nonzero"))
        yield Move("take the root", Equation(reader.unknown, root), needs)
        return
    after = Equation(build.power_of(reader.unknown, step), value)
    if after.left is not before.left or contains(before.right, reader.unknown):
        yield Move(name, after, needs)


def _three(reader: Reader, top: Powers, exponents: list[Term], needs: tuple[Need, ...]) -> Iterator[Move]:
    if not all(_is_number(e) for e in exponents):
        return
    high, middle, low = (Fraction(e.attr) for e in exponents)
    if high - middle != middle - low:
        return
    a, b, c = (top[e] for e in exponents)
    times = reader.product
    simplify = reader.system.simplify
    inside = simplify(build.sub(times(b, b), build.smul(build.num(4), times(a, c))))
    root = build.power_of(inside, HALF)
    if low != 0:
        needs = (*needs, (reader.unknown, "nonzero"))
    if reader.system.facts.has(simplify(build.neg(a)), "positive") or coefficient(a)[0] < 0:
        a, b, c = (simplify(build.neg(t)) for t in (a, b, c))
    value = reader.quotient(build.add(build.neg(b), root), build.smul(build.num(2), a))
    power = build.power_of(reader.unknown, build.num(high - middle))
    needs = (*needs, (a, "positive"), (simplify(build.neg(c)), "positive"), (reader.unknown, "positive"))
    yield Move("solve the quadratic equation, the positive root", Equation(power, value), needs)


def _order(exponent: Term) -> tuple[bool, Fraction, int]:
    number, symbolic = coefficient(exponent)
    is_number = symbolic is build.ONE_NUM or exponent is build.ZERO_NUM
    return (not is_number, Fraction(number) if exponent is not build.ZERO_NUM else Fraction(0), symbolic.weight)


def _is_number(exponent: Term) -> bool:
    return exponent.op is ops.NUM


class Reader:
    """Reads expressions as quotients of sums of powers of one unknown."""

    def __init__(self, system: System, unknown: Term) -> None:
        self.system, self.unknown = system, unknown
        self.entrywise = not unknown.is_scalar
        self.zero = build.zeros(unknown.rows, unknown.cols)
        self.unit: Powers = {build.ZERO_NUM: build.ONE_NUM}
        self.needs: list[Need] = []

    def one(self, like: Term) -> Term:
        """The coefficient 1 in the shape of a term."""
        return build.ONE_NUM if like.is_scalar else build.ones(like.rows, like.cols)

    def product(self, a: Term, b: Term) -> Term:
        """The product of two coefficients."""
        if a.is_scalar or b.is_scalar:
            return build.smul(a, b) if a.is_scalar else build.smul(b, a)
        return build.had(a, b)

    def quotient(self, a: Term, b: Term) -> Term:
        """a divided by b, entry by entry."""
        return self.system.simplify(self.product(a, build.power_of(b, build.MINUS_ONE_NUM)))

    def value(self, powers: Powers) -> Term:
        """The sum of powers as a term."""
        return build.add(*(self.product(c, build.power_of(self.unknown, e)) for e, c in powers.items()))

    def tidy(self, powers: Powers) -> Powers:
        """Coefficients simplified; what cancels is gone."""
        done: Powers = {}
        for exponent, value in powers.items():
            simple = self.system.expand(value)
            if simple is not build.ZERO_NUM and simple.op is not ops.ZEROS:
                done[exponent] = self.system.simplify(value)
        return done

    def read(self, term: Term) -> Ratio:
        """The term as a quotient of sums of powers."""
        if term is self.unknown:
            return Ratio({build.ONE_NUM: self.one(term)})
        if not contains(term, self.unknown):
            return Ratio({build.ZERO_NUM: term})
        if self.entrywise and term.shape != self.unknown.shape and not term.is_scalar:
            raise NotPowers
        op = term.op
        if op is ops.ADD:
            total = self.read(term.args[0])
            for addend in term.args[1:]:
                total = self._added(total, self.read(addend))
            return total
        if op in (ops.TIMES, ops.HAD, ops.SCALE):
            result = self.read(term.args[0])
            for factor in term.args[1:]:
                result = self._multiplied(result, self.read(factor))
            return result
        if op is ops.POW and not contains(term.args[1], self.unknown):
            return self._power(self.read(term.args[0]), term.args[1])
        if not self.entrywise:
            return self._linear(term)
        raise NotPowers

    def _linear(self, term: Term) -> Ratio:
        """An operation linear in the one argument that holds a scalar unknown acts on the coefficients."""
        at = [i for i, a in enumerate(term.args) if contains(a, self.unknown)]
        if len(at) == 1 and (term.op is ops.MUL or at[0] in term.op.linear or ops.ANY in term.op.linear):
            inner = self.read(term.args[at[0]])
            if inner.bottom is None:
                args = list(term.args)
                top: Powers = {}
                for exponent, value in inner.top.items():
                    args[at[0]] = value
                    top[exponent] = build.mul(*args) if term.op is ops.MUL else build.with_args(term, tuple(args))
                return Ratio(top)
        if term.op is ops.MUL:
            expanded = self.system.expand(term)
            if expanded.op is ops.ADD:
                return self.read(expanded)
        raise NotPowers

    def _added(self, a: Ratio, b: Ratio) -> Ratio:
        if a.bottom == b.bottom:
            return Ratio(self._sum(a.top, b.top), a.bottom)
        one = self.unit
        down, other = a.bottom or one, b.bottom or one
        return Ratio(self._sum(self._times(a.top, other), self._times(b.top, down)), self._times(down, other))

    def _sum(self, a: Powers, b: Powers) -> Powers:
        total = dict(a)
        for exponent, value in b.items():
            total[exponent] = build.add(total[exponent], value) if exponent in total else value
        return self._bounded(total)

    def _multiplied(self, a: Ratio, b: Ratio) -> Ratio:
        bottoms = [d for d in (a.bottom, b.bottom) if d is not None]
        bottom = bottoms[0] if len(bottoms) == 1 else self._times(*bottoms) if bottoms else None
        return Ratio(self._times(a.top, b.top), bottom)

    def _times(self, a: Powers, b: Powers) -> Powers:
        total: Powers = {}
        for e, c in a.items():
            for f, d in b.items():
                exponent = self.system.simplify(build.add(e, f))
                value = self.product(c, d)
                total[exponent] = build.add(total[exponent], value) if exponent in total else value
        return self._bounded(total)

    def _bounded(self, powers: Powers) -> Powers:
        if len(powers) > MAX_POWERS:
            raise NotPowers
        return powers

    def _power(self, base: Ratio, exponent: Term) -> Ratio:
        if base.bottom is None and len(base.top) == 1:
            ((e, c),) = base.top.items()
            if exponent.op is not ops.NUM or not isinstance(exponent.attr, int):
                self.needs += [(t, "positive") for t in (self.unknown, c)]
            return Ratio({self.system.simplify(build.times(e, exponent)): build.power_of(c, exponent)})
        if exponent.op is not ops.NUM or not isinstance(exponent.attr, int) or abs(exponent.attr) > MAX_POWERS:
            raise NotPowers
        up, down = base.top, base.bottom
        if exponent.attr < 0:
            up, down = down or self.unit, up
        result = Ratio(self.unit)
        for _ in range(abs(exponent.attr)):
            result = self._multiplied(result, Ratio(up, down))
        return result
