"""The unknown in one addend only: the operations around it undone, the outermost first.

``exp(a*x + b) = c`` becomes ``a*x + b = log(c)``, ``inv(A + X) = B`` becomes ``A + X = inv(B)``; so do powers of
scalars and entries, Hadamard products, transposes, ``vec``, ``expm``, ``logm``, ``sqrtm`` and the square of a
positive semidefinite matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction

from ..calculus.system import System
from ..terms import build, ops, spectral
from ..terms.build import coefficient
from ..terms.term import Term
from ..terms.walk import contains
from .equation import Equation
from .strategies import Move, Need, addends

HALF = build.num(Fraction(1, 2))


def undo(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """The addend that holds the unknown alone on the left, then the inverse of its outermost operation."""
    parts = addends(equation.residual)
    holding = [a for a in parts if contains(a, unknown)]
    if len(holding) != 1 or (equation.left is unknown and not contains(equation.right, unknown)):
        return
    free = [a for a in parts if not contains(a, unknown)]
    number, inside = coefficient(holding[0])
    rest = build.sum_of(free, inside.rows, inside.cols)
    alone = Equation(holding[0], build.neg(rest)) if number > 0 else Equation(build.neg(holding[0]), rest)
    if alone != equation and (free or alone.left is unknown):
        yield Move("bring to the other side", alone)
        return
    number, inside = coefficient(alone.left)
    right = system.simplify(alone.right)
    if number != 1:
        yield Move("divide by a number", Equation(inside, build.smul(build.num(1 / Fraction(number)), right)))
        return
    found = inverse(system, inside, right, unknown)
    if found is not None:
        rule, left, value, needs = found
        yield Move(rule, Equation(left, system.simplify(value)), needs)


Inverse = tuple[str, Term, Term, tuple[Need, ...]]


def inverse(system: System, term: Term, right: Term, unknown: Term) -> Inverse | None:
    """``f(G) = right`` as ``G = f⁻¹(right)``: the rule, G, its value, and what must hold; None without an inverse."""
    op = term.op
    if op is ops.TRANSPOSE:
        return "transpose both sides", term.args[0], build.transpose(right), ()
    if op is ops.VEC:
        inside = term.args[0]
        return "read inside the vec", inside, build.unvec(right, inside.rows, inside.cols), ()
    if op is ops.UNVEC:
        return "take the vec of both sides", term.args[0], build.vec(right), ()
    if op is ops.INV:
        return "invert both sides", term.args[0], build.inv(right), ((right, "invertible"),)
    if op is ops.SCALE or op is ops.TIMES or op is ops.HAD:
        return _divided(term, right, unknown)
    if op is ops.MUL:
        return _cancelled(term, right, unknown)
    if op is ops.POW:
        return _root(system, term, right, unknown)
    if op is ops.FUN and term.attr in _FUNCTIONS:
        name, function, needed = _FUNCTIONS[term.attr]
        return name, term.args[0], function(right), tuple((t, fact) for t, fact in needed(right))
    if op is ops.EXPM and system.facts.has(term.args[0], "symmetric"):
        return "take the logarithm", term.args[0], spectral.logm(right), ((right, "posdef"),)
    if op is ops.LOGM:
        return "take the exponential", term.args[0], spectral.expm(right), ()
    if op is ops.SQRTM:
        return "square both sides", term.args[0], build.mpow(right, 2), ((right, "principal"),)
    if op is ops.MPOW and term.attr.constant == 2 and system.facts.has(term.args[0], "psd"):
        return "take the positive semidefinite root", term.args[0], spectral.sqrtm(right), ((right, "psd"),)
    if op is ops.SYLVESTER and not any(contains(a, unknown) for a in term.args[:2]):
        left, other, inside = term.args
        return "multiply out", inside, build.add(build.mul(left, right), build.mul(right, other)), ()
    return None


def _divided(term: Term, right: Term, unknown: Term) -> Inverse | None:
    free = [a for a in term.args if not contains(a, unknown)]
    kept = [a for a in term.args if contains(a, unknown)]
    if not free or len(kept) != 1:
        return None
    if term.op is ops.HAD:
        quotient = build.had(right, *(build.power_of(f, build.MINUS_ONE_NUM) for f in free))
        return "divide entry by entry", kept[0], quotient, tuple((f, "nonzero") for f in free)
    scalar = build.times(*(f for f in free if f.is_scalar))
    if any(not f.is_scalar for f in free):
        return None
    needs = tuple((f, "nonzero") for f in free)
    return "divide by a nonzero scalar", kept[0], build.divide(right, scalar), needs


def _cancelled(term: Term, right: Term, unknown: Term) -> Inverse | None:
    at = [i for i, factor in enumerate(term.args) if contains(factor, unknown)]
    if len(at) != 1:
        return None
    before, inside, after = term.args[: at[0]], term.args[at[0]], term.args[at[0] + 1 :]
    if inside.op is ops.DIAG and not before and after:
        vector = build.mul(*after)
        if vector.cols.constant == 1:
            return _divided(build.had(inside.args[0], vector), right, unknown)
    needs: list[Need] = []
    value = right
    if before:
        matrix = build.mul(*before)
        if not matrix.is_square:
            return None
        needs.append((matrix, "invertible"))
        value = build.mul(build.inv(matrix), value)
    if after:
        matrix = build.mul(*after)
        if not matrix.is_square:
            return None
        needs.append((matrix, "invertible"))
        value = build.mul(value, build.inv(matrix))
    return "cancel invertible factors", inside, value, tuple(needs)


def _root(system: System, term: Term, right: Term, unknown: Term) -> Inverse | None:
    base, exponent = term.args
    if contains(exponent, unknown):
        if contains(base, unknown) or not base.is_scalar:
            return None
        value = build.divide(build.fun("log", right), build.fun("log", base))
        return "take the logarithm", exponent, value, ((base, "positive"), (right, "positive"))
    reciprocal = build.power_of(exponent, build.MINUS_ONE_NUM)
    value = build.power_of(right, reciprocal)
    number, symbolic = coefficient(exponent)
    if symbolic is not build.ONE_NUM:
        return "take the root", base, value, ((right, "positive"), (base, "positive"), (exponent, "nonzero"))
    whole = Fraction(number)
    if whole == -1:
        return "invert both sides", base, value, ((right, "nonzero"),)
    if whole.numerator in (1, -1):
        return "raise to a power", base, value, ((right, "nonneg" if whole > 0 else "positive"),)
    sign = "nonneg" if whole > 0 else "positive"
    if whole.numerator % 2 and whole.denominator == 1:
        return "take the root", base, value, ((right, sign),)
    return "take the positive root", base, value, ((right, sign), (base, sign))


def _positive(right: Term) -> Iterator[Need]:
    yield right, "positive"


def _nothing(right: Term) -> Iterator[Need]:
    yield from ()


def _between(right: Term) -> Iterator[Need]:
    yield right, "positive"
    yield build.sub(_one_like(right), right), "positive"


def _bounded(right: Term) -> Iterator[Need]:
    yield build.sub(_one_like(right), right), "positive"
    yield build.add(_one_like(right), right), "positive"


def _one_like(term: Term) -> Term:
    return build.ONE_NUM if term.is_scalar else build.ones(term.rows, term.cols)


def _log(term: Term) -> Term:
    return build.fun("log", term)


def _logit(term: Term) -> Term:
    return build.sub(_log(term), _log(build.sub(_one_like(term), term)))


def _artanh(term: Term) -> Term:
    one = _one_like(term)
    return build.smul(HALF, build.sub(_log(build.add(one, term)), _log(build.sub(one, term))))


def _inverse_softplus(term: Term) -> Term:
    return _log(build.sub(build.fun("exp", term), _one_like(term)))


_FUNCTIONS: dict[object, tuple[str, Callable[[Term], Term], Callable[[Term], Iterator[Need]]]] = {
    "exp": ("take the logarithm", _log, _positive),
    "log": ("take the exponential", lambda t: build.fun("exp", t), _nothing),
    "sigmoid": ("invert the sigmoid", _logit, _between),
    "tanh": ("invert the tanh", _artanh, _bounded),
    "softplus": ("invert the softplus", _inverse_softplus, _positive),
}
"""Entrywise functions with an inverse on the reals: the step's name, the inverse, and its domain."""
