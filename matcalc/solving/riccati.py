"""Quadratic matrix equations in a positive definite unknown.

``X*A*X = B`` has the positive definite solution ``A^(-1/2)*(A^(1/2)*B*A^(1/2))^(1/2)*A^(-1/2)``.  An equation
``X*S*X - X*B - B'*X = Q`` becomes that by completing the square where ``S^-1*B`` is symmetric; a polynomial in X and
one symmetric matrix, which then commute, is solved as one of numbers.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from ..calculus.system import System
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.spectral import sqrtm
from ..terms.term import Term
from ..terms.walk import contains
from .equation import Equation
from .parts import is_polynomial
from .strategies import Move, Need, addends


class Product(NamedTuple):
    """``scalar*L*X*M*X*R``, ``scalar*L*X*R`` or ``scalar*L``: what stands before, between and after the unknowns."""

    scalar: Term
    between: tuple[Term, ...]


def read_product(addend: Term, unknown: Term) -> Product | None:
    """What stands around and between the unknowns of a product; None where one is inside another operation."""
    number, rest = coefficient(addend)
    scalar = build.num(number)
    if rest.op is ops.SCALE:
        scalar, rest = build.times(scalar, rest.args[0]), rest.args[1]
    if contains(scalar, unknown):
        return None
    parts: list[Term] = []
    for factor in rest.args if rest.op is ops.MUL else (rest,):
        if factor.op is ops.MPOW and factor.args[0] is unknown and factor.attr.constant in (2, 3):
            parts += [unknown] * int(factor.attr.constant)
        else:
            parts.append(factor)
    between: list[list[Term]] = [[]]
    for factor in parts:
        if factor is unknown:
            between.append([])
        elif contains(factor, unknown):
            return None
        else:
            between[-1].append(factor)
    sizes = (unknown.rows, *(unknown.cols for _ in between[1:]))
    return Product(scalar, tuple(build.mul(*b) if b else build.eye(n) for b, n in zip(between, sizes, strict=True)))


def quadratic(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """``s*X*A*X + ... = 0`` for a positive definite X."""
    if unknown.is_scalar or not unknown.is_square or not system.facts.has(unknown, "symmetric"):
        return
    if not is_polynomial(equation.residual, unknown):
        return
    parts = addends(system.expand(equation.residual))
    second: list[Product] = []
    first: list[Product] = []
    free: list[Term] = []
    for addend in parts:
        if not contains(addend, unknown):
            free.append(addend)
            continue
        product = read_product(addend, unknown)
        if product is None or len(product.between) > 3:
            return
        (first if len(product.between) == 2 else second).append(product)
    if not second or not free:
        return
    constant = build.add(*free)
    if len(second) == 1 and not first:
        yield from _pure(system, second[0], constant, unknown)
    elif system.facts.has(unknown, "psd"):
        yield from _commuting(system, second, first, constant, unknown)
        yield from _completed(system, second, first, constant, unknown)


def _pure(system: System, product: Product, constant: Term, unknown: Term) -> Iterator[Move]:
    """``s*L*X*A*X*R + C = 0``."""
    left, middle, right = product.between
    value = build.neg(build.divide(constant, product.scalar))
    needs: list[Need] = [] if coefficient(product.scalar)[1] is build.ONE_NUM else [(product.scalar, "nonzero")]
    for side, on_left in ((left, True), (right, False)):
        if side.op is not ops.EYE:
            needs.append((side, "invertible"))
            value = build.mul(build.inv(side), value) if on_left else build.mul(value, build.inv(side))
    value = system.simplify(value)
    if not system.facts.has(unknown, "psd") or system.facts.has(system.simplify(build.neg(value)), "posdef"):
        return
    if middle.op is ops.EYE:
        root = system.simplify(sqrtm(value))
        yield Move("take the positive semidefinite root", Equation(unknown, root), (*needs, (value, "psd")))
        return
    needs += [(middle, "posdef"), (value, "psd")]
    yield Move("solve the Riccati equation", Equation(unknown, geometric(system, middle, value)), tuple(needs))


def geometric(system: System, middle: Term, value: Term) -> Term:
    """The positive semidefinite X with ``X*middle*X = value``."""
    outside = system.simplify(sqrtm(middle))
    inverse = build.inv(outside)
    return system.simplify(build.mul(inverse, sqrtm(system.simplify(build.mul(outside, value, outside))), inverse))


def _commuting(
    system: System, second: list[Product], first: list[Product], constant: Term, unknown: Term
) -> Iterator[Move]:
    """``a*X^2 + B*X + C = 0`` where B and C are polynomials in one symmetric matrix."""
    identity = build.eye(unknown.rows)
    if len(second) != 1 or any(b is not identity for b in second[0].between):
        return
    lead = second[0].scalar
    linear = build.zeros(*unknown.shape)
    for product in first:
        left, right = product.between
        if left is not identity and right is not identity:
            return
        linear = build.add(linear, build.smul(product.scalar, left if right is identity else right))
    b = system.simplify(build.divide(linear, lead))
    c = system.simplify(build.divide(constant, lead))
    bases = {base for term in (b, c) for base in _bases(term)}
    if len(bases) > 1 or not all(system.facts.has(base, "symmetric") for base in bases):
        return
    half = build.smul(build.num(Fraction(1, 2)), b)
    inside = system.simplify(build.sub(build.mul(half, half), c))
    value = system.simplify(build.sub(sqrtm(inside), half))
    if system.facts.has(c, "psd"):
        return  # then the roots of the square may have either sign
    needs: list[Need] = [(system.simplify(build.neg(c)), "psd")]
    if coefficient(lead)[1] is not build.ONE_NUM:
        needs.append((lead, "nonzero"))
    yield Move("complete the square, the matrices commute", Equation(unknown, value), tuple(needs))


def _bases(term: Term) -> Iterator[Term]:
    """The matrices other than the identity of which a sum of multiples and powers is made."""
    for addend in addends(term):
        _, rest = coefficient(addend)
        if rest.op is ops.SCALE:
            rest = rest.args[1]
        for factor in rest.args if rest.op is ops.MUL else (rest,):
            base = factor.args[0] if factor.op in (ops.MPOW, ops.INV) else factor
            if base.op is not ops.EYE:
                yield base


def _completed(
    system: System, second: list[Product], first: list[Product], constant: Term, unknown: Term
) -> Iterator[Move]:
    """``X*S*X - X*B - B'*X + C = 0`` as ``(X - Y)*S*(X - Y) = Y*S*Y - C``, Y = S^-1*B symmetric."""
    identity = build.eye(unknown.rows)
    if any(p.between[0] is not identity or p.between[2] is not identity for p in second):
        return
    middle = system.simplify(build.add(*(build.smul(p.scalar, p.between[1]) for p in second)))
    if not system.facts.has(middle, "symmetric"):
        return
    right = build.sum_of(
        (build.smul(p.scalar, p.between[1]) for p in first if p.between[0] is identity), *unknown.shape
    )
    left = build.sum_of(
        (build.smul(p.scalar, p.between[0]) for p in first if p.between[0] is not identity), *unknown.shape
    )
    if any(p.between[0] is not identity and p.between[1] is not identity for p in first):
        return
    if system.expand(build.sub(build.transpose(right), left)).op is not ops.ZEROS:
        return
    shift = system.simplify(build.neg(build.mul(build.inv(middle), right)))
    if not system.facts.has(shift, "symmetric"):
        return
    inside = system.simplify(build.sub(build.mul(shift, middle, shift), constant))
    value = system.simplify(build.add(shift, geometric(system, middle, inside)))
    needs = ((middle, "posdef"), (inside, "psd"), (build.sub(unknown, shift), "psd"))
    yield Move("complete the square", Equation(unknown, value), needs)
