"""Equations that are affine in the unknown: read as a sum of linear maps of it, which is inverted.

``sum_i s_i*L_i*X*R_i + sum_j f_j(X)*B_j = C``, f_j scalar and linear, is solved by the shortest way that its maps
allow: one factor on a side taken out, masks entry by entry, a Sylvester equation, the scalars f_j first
(Sherman-Morrison).  :func:`by_vec` solves every such equation, with the inverse of the matrix that takes vec(X) to
the vec of the left side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from ..calculus import derive
from ..calculus.present import present
from ..calculus.system import System
from ..errors import MatcalcError
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.dims import ONE
from ..terms.spectral import sylvester
from ..terms.term import Term
from ..terms.walk import contains, replace
from .equation import Equation
from .parts import is_polynomial, spread, upright, without_number
from .strategies import Move, Need, addends


@dataclass(frozen=True)
class Sandwich:
    """``scalar*left*X*right``."""

    scalar: Term
    left: Term
    right: Term


@dataclass(frozen=True)
class Mask:
    """``factor .* X``; the factor may be a scalar."""

    factor: Term


@dataclass
class Affine:
    """The residual of an equation: maps of the unknown, scalars of it times matrices, and what is free of it."""

    sandwiches: list[Sandwich] = field(default_factory=list)
    masks: list[Mask] = field(default_factory=list)
    scalars: dict[Term, Term] = field(default_factory=dict)
    """From a scalar that is linear in the unknown to the matrix that it multiplies."""
    free: list[Term] = field(default_factory=list)


class NotRead(Exception):
    """The expression is not of the form that is looked for."""


def read_affine(residual: Term, unknown: Term) -> Affine:
    """The maps of an expression multiplied out.  Raises :class:`NotRead`."""
    found = Affine()
    for addend in addends(residual):
        if not contains(addend, unknown):
            found.free.append(addend)
            continue
        number, rest = coefficient(addend)
        scalar, matrix = build.num(number), rest
        if rest.op is ops.SCALE:
            scalar, matrix = build.times(scalar, rest.args[0]), rest.args[1]
        if contains(scalar, unknown):
            _read_scalar(found, scalar, matrix, unknown)
        elif matrix is unknown:
            found.sandwiches.append(Sandwich(scalar, build.eye(unknown.rows), build.eye(unknown.cols)))
            found.masks.append(Mask(scalar))
        elif matrix.op is ops.HAD and unknown in matrix.args:
            others = [a for a in matrix.args if a is not unknown]
            if len(others) != len(matrix.args) - 1 or any(contains(a, unknown) for a in others):
                raise NotRead
            found.masks.append(Mask(build.smul(scalar, build.had(*others))))
        else:
            found.sandwiches.append(_read_product(scalar, matrix, unknown))
    return found


def _read_scalar(found: Affine, scalar: Term, matrix: Term, unknown: Term) -> None:
    factors = scalar.args if scalar.op is ops.TIMES else (scalar,)
    holding = [f for f in factors if contains(f, unknown)]
    if len(holding) != 1 or contains(matrix, unknown) or not is_linear(holding[0], unknown):
        raise NotRead
    times = build.smul(build.times(*(f for f in factors if f is not holding[0])), matrix)
    earlier = found.scalars.get(holding[0])
    found.scalars[holding[0]] = times if earlier is None else build.add(earlier, times)


def _read_product(scalar: Term, matrix: Term, unknown: Term) -> Sandwich:
    factors = spread(matrix.args if matrix.op is ops.MUL else (matrix,), (unknown,))
    at = [i for i, factor in enumerate(factors) if contains(factor, unknown)]
    if len(at) != 1 or factors[at[0]] is not unknown:
        raise NotRead
    left, right = factors[: at[0]], factors[at[0] + 1 :]
    return Sandwich(
        scalar,
        build.mul(*left) if left else build.eye(unknown.rows),
        build.mul(*right) if right else build.eye(unknown.cols),
    )


def is_linear(term: Term, unknown: Term) -> bool:
    """True for a term that is linear in the unknown by its operations alone."""
    if term is unknown:
        return True
    holding = [i for i, a in enumerate(term.args) if contains(a, unknown)]
    if term.op is ops.ADD:
        return len(holding) == len(term.args) and all(is_linear(a, unknown) for a in term.args)
    if len(holding) != 1:
        return False
    product = term.op in (ops.MUL, ops.TIMES, ops.HAD, ops.SCALE, ops.KRON)
    if not product and holding[0] not in term.op.linear and ops.ANY not in term.op.linear:
        return False
    return is_linear(term.args[holding[0]], unknown)


# ---------------------------------------------------------------- the inverse of the maps


@dataclass(frozen=True)
class Inverse:
    """How the maps alone are undone: their sum as it is shown, the inverse, what must hold, the name."""

    shown: Term
    apply: Callable[[Term], Term]
    needs: tuple[Need, ...]
    rule: str


def inverse_of(system: System, found: Affine, unknown: Term) -> Inverse | None:
    """The shortest way to undo the maps."""
    rows, cols = build.eye(unknown.rows), build.eye(unknown.cols)
    plain = [s for s in found.sandwiches if s.left is rows and s.right is cols]
    if len(found.masks) > len(plain):
        return _masked(system, found, unknown) if len(plain) == len(found.sandwiches) else None
    pieces = found.sandwiches
    if not pieces:
        return None
    if len(plain) == len(pieces):
        total = system.simplify(build.add(*(p.scalar for p in pieces)))
        return Inverse(
            build.smul(total, unknown),
            lambda c: build.divide(c, total),
            _nonzero(total),
            "divide by the factor of the unknown",
        )
    first = pieces[0]
    if all(p.right is first.right for p in pieces):
        return _two_sided(system, _sum(system, pieces, "left"), first.right, unknown)
    if all(p.left is first.left for p in pieces):
        return _two_sided(system, first.left, _sum(system, pieces, "right"), unknown)
    return _sylvester(system, pieces, unknown)


def _nonzero(scalar: Term) -> tuple[Need, ...]:
    return () if coefficient(scalar)[1] is build.ONE_NUM else ((scalar, "nonzero"),)


def _sum(system: System, pieces: Sequence[Sandwich], side: str) -> Term:
    return present(system, build.add(*(build.smul(p.scalar, getattr(p, side)) for p in pieces)))


def _masked(system: System, found: Affine, unknown: Term) -> Inverse:
    """``(M .+ s) .* X``."""
    ones = build.ones(*unknown.shape)
    parts = [build.smul(m.factor, ones) if m.factor.is_scalar else m.factor for m in found.masks]
    total = present(system, system.simplify(build.add(*parts)))
    return Inverse(
        build.had(total, unknown),
        lambda c: build.had(c, build.power_of(total, build.MINUS_ONE_NUM)),
        ((total, "nonzero"),),
        "divide entry by entry",
    )


def _two_sided(system: System, left: Term, right: Term, unknown: Term) -> Inverse | None:
    """``L*X*R`` with square L and R, or with factors that a vector makes scalars."""
    if not left.is_square or not right.is_square or _singular(left) or _singular(right):
        return None
    needs: list[Need] = []
    names: list[str] = []
    scalars = build.ONE_NUM
    inverses: list[Term | None] = []
    for side, word in ((left, "left"), (right, "right")):
        number, rest = coefficient(side)
        if rest.op is ops.EYE or rest is build.ONE_NUM:
            scalars = build.times(scalars, build.num(number))
            inverses.append(None)
            continue
        needs.append((rest, "nonzero" if rest.is_scalar else "invertible"))
        inverses.append(system.simplify(build.inv(side)))
        names.append(word)

    def apply(c: Term) -> Term:
        value = build.divide(c, scalars)
        if inverses[0] is not None:
            value = build.mul(inverses[0], value)
        return value if inverses[1] is None else build.mul(value, inverses[1])

    rule = f"multiply by the inverse from the {' and the '.join(names)}" if names else "divide by the factor"
    return Inverse(build.mul(left, unknown, right), apply, tuple(needs), rule)


def _singular(matrix: Term) -> bool:
    """True for a product through a dimension of 1, which has no inverse unless it is 1×1."""
    rest = coefficient(matrix)[1]
    if matrix.is_scalar:
        return False
    if rest.op is ops.SCALE:
        rest = rest.args[1]
    return rest.op is ops.ONES or (rest.op is ops.MUL and any(factor.rows is ONE for factor in rest.args[1:]))


def _sylvester(system: System, pieces: Sequence[Sandwich], unknown: Term) -> Inverse | None:
    """``A*X*R + L*X*B = C``: all pieces have R on the right, or L on the left, which are known to be invertible."""
    rows, cols = build.eye(unknown.rows), build.eye(unknown.cols)
    rights = sorted({p.right for p in pieces}, key=lambda t: (t is not cols, t.weight))
    lefts = sorted({p.left for p in pieces}, key=lambda t: (t is not rows, t.weight))
    for right in rights:
        for left in lefts:
            with_right = [p for p in pieces if p.right is right]
            with_left = [p for p in pieces if p.right is not right]
            if not with_left or any(p.left is not left for p in with_left):
                continue
            if any(not t.is_square or not system.facts.has(t, "invertible") for t in (left, right)):
                continue
            a, b = _sum(system, with_right, "left"), _sum(system, with_left, "right")
            before, after = system.simplify(build.inv(left)), system.simplify(build.inv(right))
            outer = system.simplify(build.mul(before, a))
            inner = system.simplify(build.mul(b, after))
            spread_out = build.add(build.kron(cols, outer), build.kron(build.transpose(inner), rows))
            needs: list[Need] = [(t, "invertible") for t in (left, right) if t.op is not ops.EYE]
            needs.append((system.simplify(spread_out), "invertible"))
            shown = build.add(build.mul(a, unknown, right), build.mul(left, unknown, b))
            rule = "Lyapunov equation" if outer is build.transpose(inner) else "Sylvester equation"

            def apply(c: Term, a: Term = outer, b: Term = inner, sides: tuple[Term, Term] = (before, after)) -> Term:
                return sylvester(a, b, build.mul(sides[0], c, sides[1]))

            return Inverse(shown, apply, tuple(needs), f"solve the {rule}")
    return None


# ---------------------------------------------------------------- strategies


def linear(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """The unknown isolated in an equation that is affine in it, without vec."""
    if unknown.is_scalar or equation.left.shape != equation.right.shape:
        return
    residual = system.simplify(coefficient(equation.residual)[1])
    if not is_polynomial(residual, unknown):
        return
    for form in (lambda t: t, system.distribute, system.expand):
        residual = without_number(form(residual))
        try:
            found = read_affine(residual, unknown)
        except NotRead:
            continue
        yield from _isolated(system, equation, found, residual, unknown)
        return


def _isolated(system: System, equation: Equation, found: Affine, residual: Term, unknown: Term) -> Iterator[Move]:
    undo = inverse_of(system, found, unknown)
    if found.scalars and (undo is None or undo.needs):
        found = _as_products(system, found, unknown)
        undo = inverse_of(system, found, unknown)
    if undo is None or undo.shown.shape != residual.shape:
        return
    constant = _tidy(system, build.neg(build.sum_of(found.free, *residual.shape)))
    if not found.scalars:
        collected = Equation(undo.shown, constant)
        if coefficient(undo.shown)[0] < 0:
            collected = Equation(build.neg(undo.shown), _tidy(system, build.neg(constant)))
        value = Equation(unknown, upright(_tidy(system, undo.apply(constant))))
        before = () if collected == equation or undo.shown is unknown else (Move("collect the unknown", collected),)
        yield Move("isolate the unknown" if undo.shown is unknown else undo.rule, value, undo.needs, before)
        return
    if len(found.scalars) == 1:
        yield from _scalar_first(system, equation, found, undo, unknown, constant)


def _tidy(system: System, term: Term) -> Term:
    return present(system, system.simplify(term))


def _as_products(system: System, found: Affine, unknown: Term) -> Affine:
    """A scalar ``a'*x`` of a vector x times b as the map ``b*a'``."""
    if not unknown.is_vector:
        return found
    one = build.ONE_NUM
    sandwiches = list(found.sandwiches)
    for scalar, matrix in found.scalars.items():
        row = system.simplify(build.transpose(derive.gradient(system, scalar, unknown).term))
        sandwiches.append(Sandwich(one, build.mul(matrix, row), one))
    return Affine(sandwiches, found.masks, {}, found.free)


def _scalar_first(
    system: System, equation: Equation, found: Affine, undo: Inverse, unknown: Term, constant: Term
) -> Iterator[Move]:
    """``M(X) + f(X)*B = C``: X = M⁻¹(C) - f(X)*M⁻¹(B), then f(X) from f of both sides."""
    ((scalar, matrix),) = found.scalars.items()

    def tidy(term: Term) -> Term:
        return _tidy(system, term)

    collected = Equation(build.add(undo.shown, build.smul(scalar, matrix)), constant)
    first, along = tidy(undo.apply(constant)), tidy(undo.apply(matrix))
    half = Equation(unknown, build.sub(first, build.smul(scalar, along)))
    bottom = tidy(build.add(build.ONE_NUM, replace(scalar, {unknown: along})))
    top = tidy(replace(scalar, {unknown: first}))
    known = tidy(build.divide(top, bottom))
    value = tidy(build.sub(first, build.smul(known, along)))
    if contains(value, unknown):
        return
    steps = (
        *(() if collected == equation else (Move("collect the unknown", collected),)),
        Move(undo.rule, half, undo.needs),
        Move("insert it in the scalar and divide", Equation(scalar, known), ((bottom, "nonzero"),)),
    )
    yield Move("insert", Equation(unknown, value), (), steps)


def by_vec(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """Any affine equation through vec: ``J*vec(X) = vec(C)``."""
    if not is_polynomial(equation.residual, unknown):
        return
    residual = system.expand(equation.residual)
    if unknown.is_scalar or residual.rows * residual.cols != unknown.rows * unknown.cols:
        return
    plain = equation_variable(unknown)
    moved = replace(residual, {unknown: plain})
    try:
        matrix = derive.jacobian(system, moved, plain).term
    except MatcalcError:
        return
    matrix = replace(matrix, {plain: unknown})
    if contains(matrix, unknown) or _singular(matrix):
        return
    constant = system.simplify(build.neg(replace(residual, {unknown: build.zeros(*unknown.shape)})))
    column = build.mul(build.inv(matrix), build.vec(constant))
    value = present(system, system.simplify(build.unvec(column, *unknown.shape)))
    if contains(value, unknown):
        return
    line = Equation(build.mul(matrix, build.vec(unknown)), build.vec(constant))
    yield Move(
        "multiply by the inverse and read inside the vec",
        Equation(unknown, value),
        ((matrix, "invertible"),),
        (Move("write with vec", line),),
    )


def equation_variable(unknown: Term) -> Term:
    """The unknown without its declared structure, whose entries vary independently."""
    from ..terms.symbols import Symbol

    return build.sym(Symbol("X", unknown.rows, unknown.cols, frozenset(), "hidden"))
