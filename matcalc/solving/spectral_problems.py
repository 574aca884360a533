"""Extrema over orthogonal matrices, unit vectors and ellipsoids that eigenvalues or singular values answer.

Under ``Q'*Q = I`` (declared or a constraint) the objective is, up to constants, one of

- ``s*tr(M'*Q)``: at the orthogonal factor ``U*V'`` of M (Procrustes, Kabsch), for a vector at ``M/norm(M)``;
- ``s*tr(Q'*L*Q)``: at the leading eigenvectors of the symmetric L (principal components, Rayleigh).

A quotient of two quadratic forms, and ``x'*B*x = c`` as constraint, are brought to that by ``B^(1/2)*x``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..calculus.derive import gradient, hessian
from ..calculus.present import present
from ..calculus.system import System
from ..calculus.system import system as with_assumptions
from ..errors import NotDifferentiable
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.spectral import eigvecmax, eigvecs, polar, sqrtm
from ..terms.term import Term
from ..terms.walk import contains, replace
from .equation import Condition, Equation, SolveStep
from .proofs import Words
from .riccati import read_product
from .strategies import addends

HALF = build.num(Fraction(1, 2))


@dataclass(frozen=True)
class SpectralExtremum:
    """Where the extremum is, of which kind it is and why, and what must hold."""

    value: Term
    kind: str
    reason: Words
    steps: tuple[SolveStep, ...]
    conditions: tuple[Condition, ...] = ()


def spectral_extremum(
    system: System, objective: Term, unknown: Term, constraints: Sequence[Equation] = (), kind: str | None = None
) -> SpectralExtremum | None:
    """The global extremum of the wanted kind, or of the one that the signs suggest.

    None if the problem is of no such form.
    """
    if not objective.is_scalar or unknown.is_scalar:
        return None
    if not constraints:
        return _unconstrained(system, objective, unknown, kind)
    if len(constraints) != 1:
        return None
    return _constrained(system, objective, unknown, constraints[0], kind)


def _unconstrained(system: System, objective: Term, unknown: Term, kind: str | None) -> SpectralExtremum | None:
    if system.facts.has(unknown, "stiefel"):
        return _over_frames(system, objective, unknown, system.facts.has(unknown, "orthogonal"), kind)
    return _quotient(system, objective, unknown, kind)


def _constrained(
    system: System, objective: Term, unknown: Term, constraint: Equation, kind: str | None
) -> SpectralExtremum | None:
    residual = system.expand(_squared(constraint, unknown))
    if unknown.cols.constant != 1 or not residual.is_scalar:
        gram = build.mul(build.transpose(unknown), unknown)
        wide = build.mul(unknown, build.transpose(unknown))
        for product in (gram, wide) if unknown.is_square else (gram,):
            for sign in (product, build.neg(product)):
                identity = build.eye(product.rows)
                rest = build.neg(identity) if sign is product else identity
                if residual is system.expand(build.add(sign, rest)):
                    return _over_frames(system, objective, unknown, unknown.is_square, kind)
        return None
    form = quadratic_form(system, residual, unknown)
    if form is None or form.linear is not None or form.matrix is None or not contains(residual, unknown):
        return None
    radius = system.simplify(build.neg(form.constant))
    return _over_ellipsoid(system, objective, unknown, form.matrix, radius, kind)


def _squared(constraint: Equation, unknown: Term) -> Term:
    """The residual of the constraint; of ``norm(x) = c`` that of ``norm(x)^2 = c^2``."""
    for left, right in ((constraint.left, constraint.right), (constraint.right, constraint.left)):
        root = left.op is ops.NORM or (left.op is ops.POW and left.args[1] is HALF)
        if root and not contains(right, unknown):
            two = build.num(2)
            return build.sub(build.power_of(left, two), build.power_of(right, two))
    return constraint.residual


@dataclass(frozen=True)
class Quadratic:
    """``x'*matrix*x + linear'*x + constant``, the matrix symmetric."""

    matrix: Term | None
    linear: Term | None
    constant: Term


def quadratic_form(system: System, term: Term, unknown: Term) -> Quadratic | None:
    """The parts of a quadratic function of a vector; None for any other."""
    try:
        matrix = hessian(system, term, unknown).term
        slope = gradient(system, term, unknown).term
    except NotDifferentiable:
        return None
    if contains(matrix, unknown):
        return None
    zero = {unknown: build.zeros(*unknown.shape)}
    linear = present(system, system.simplify(replace(slope, zero)))
    half = present(system, build.smul(HALF, matrix))
    return Quadratic(
        None if half.op is ops.ZEROS else half,
        None if linear.op is ops.ZEROS else linear,
        system.simplify(replace(term, zero)),
    )


def _over_frames(
    system: System, objective: Term, unknown: Term, square: bool, kind: str | None
) -> SpectralExtremum | None:
    fact = "orthogonal" if square else "stiefel"
    inside = with_assumptions(system.assumptions | {(unknown, fact)})
    reduced = inside.expand(objective)
    try:
        slope = system.expand(gradient(system, reduced, unknown).term)
    except NotDifferentiable:
        return None
    left, linear = [], []
    rows, cols = build.eye(unknown.rows), build.eye(unknown.cols)
    for addend in addends(slope):
        if not contains(addend, unknown):
            linear.append(addend)
            continue
        piece = read_product(addend, unknown)
        if piece is None or len(piece.between) != 2:
            return None
        before, after = piece.between
        if after is cols and before is not rows:
            if not square:
                left.append(build.smul(piece.scalar, before))
        elif before is not rows or not system.facts.has(after, "symmetric"):
            return None
    if left and linear:
        return None
    if linear:
        return _procrustes(system, objective, unknown, build.add(*linear), fact, kind)
    if left:
        return _leading(system, objective, unknown, present(system, build.smul(HALF, build.add(*left))), kind)
    return None


def _signed(system: System, term: Term, kind: str | None) -> tuple[Term, str]:
    """The matrix that the maximum of the linear or quadratic form belongs to, and the kind of the extremum."""
    number, rest = coefficient(present(system, term))
    found = "maximum" if number > 0 else "minimum"
    if kind is None or kind == found:
        return rest, found
    return build.neg(rest), kind


def _solved(left: Term, right: Term, unknown: Term, value: Term, rule: str) -> tuple[SolveStep, ...]:
    """From the condition for a stationary point to the extremum among them."""
    return (SolveStep(rule, Equation(left, right), Equation(unknown, value)),)


def _procrustes(
    system: System, objective: Term, unknown: Term, slope: Term, fact: str, kind: str | None
) -> SpectralExtremum:
    matrix, found = _signed(system, slope, kind)
    if unknown.cols.constant == 1:
        value, needed = build.divide(matrix, build.norm(matrix)), "nonzero"
        reason: Words = ("a linear function of a unit vector is extreme along ", matrix, " (Cauchy-Schwarz)")
    else:
        value, needed = polar(matrix), "maxrank"
        trace = system.simplify(build.tr(build.mul(build.transpose(matrix), unknown)))
        reason = (trace, " is at most the sum of the singular values, which the polar factor reaches (von Neumann)")
    value = system.simplify(value)
    turned = build.mul(build.transpose(unknown), matrix)
    sides = (turned, system.simplify(build.transpose(turned)))
    if unknown.cols.constant == 1:
        sides = (matrix, build.smul(turned, unknown))
    steps = _solved(*sides, unknown, value, f"orthogonal factor of the polar decomposition, the {found}")
    return SpectralExtremum(value, found, reason, steps, (Condition(matrix, needed, False, "for uniqueness"),))


def _leading(system: System, objective: Term, unknown: Term, matrix: Term, kind: str | None) -> SpectralExtremum:
    number, rest = coefficient(matrix)
    found = kind or ("maximum" if number > 0 else "minimum")
    if (found == "minimum") == (number > 0):
        rest = build.neg(rest)
    value = eigvecs(rest, unknown.cols)
    which = "largest" if found == "maximum" else "smallest"
    reason = (f"the {which} eigenvalues bound the quadratic form (Courant-Fischer, Ky Fan)",)
    base = coefficient(matrix)[1]
    applied = build.mul(base, unknown)
    projected = build.mul(unknown, build.transpose(unknown), base, unknown)
    rule = f"eigenvectors of the {which} eigenvalues, the {found}"
    steps = _solved(applied, projected, unknown, value, rule)
    return SpectralExtremum(value, found, reason, steps, (Condition(rest, "distinct", False, "for uniqueness"),))


def _over_ellipsoid(
    system: System, objective: Term, unknown: Term, shape: Term, radius: Term, kind: str | None
) -> SpectralExtremum | None:
    """Of a linear or a quadratic function over ``x'*B*x = c``."""
    if coefficient(shape)[0] < 0:
        shape, radius = build.neg(shape), build.neg(radius)
    form = quadratic_form(system, objective, unknown)
    if form is None:
        return None
    ball = coefficient(shape)[1].op is ops.EYE
    if form.matrix is not None and coefficient(form.matrix)[1] is coefficient(shape)[1]:
        form = Quadratic(None, form.linear, form.constant)
    if (form.matrix is None) == (form.linear is None):
        return None
    conditions = [c for t, f in ((shape, "posdef"), (radius, "positive")) if (c := _open(system, t, f)) is not None]
    if form.linear is not None:
        slope, found = _signed(system, form.linear, kind)
        direction = system.simplify(build.mul(build.inv(shape), slope))
        length = build.mul(build.transpose(slope), direction)
        value = build.smul(build.power_of(build.divide(radius, length), HALF), direction)
        value = present(system, system.simplify(value))
        if ball:
            value = build.smul(
                build.power_of(system.simplify(build.divide(radius, _factor(shape))), HALF),
                build.divide(slope, build.norm(slope)),
            )
        rule = f"the {found} of a linear function on an ellipsoid (Cauchy-Schwarz)"
        along = build.mul(build.transpose(slope), unknown)
        left, right = build.smul(radius, slope), build.smul(along, system.simplify(build.mul(shape, unknown)))
        steps = _solved(left, right, unknown, system.simplify(value), rule)
        conditions.append(Condition(slope, "nonzero", False, "for uniqueness"))
        return SpectralExtremum(system.simplify(value), found, (rule,), steps, tuple(conditions))
    assert form.matrix is not None
    return _generalised(system, objective, unknown, form.matrix, shape, radius, kind, tuple(conditions))


def _factor(multiple: Term) -> Term:
    number, rest = coefficient(multiple)
    return build.num(number) if rest.op is ops.EYE else build.times(build.num(number), rest.args[0])


def _open(system: System, term: Term, fact: str) -> Condition | None:
    return None if system.facts.has(term, fact) else Condition(term, fact, False, "assumed")


def _generalised(
    system: System,
    objective: Term,
    unknown: Term,
    matrix: Term,
    shape: Term,
    radius: Term,
    kind: str | None,
    conditions: tuple[Condition, ...],
) -> SpectralExtremum:
    """Of ``x'*A*x`` on ``x'*B*x = c``: B^(-1/2) times an eigenvector of B^(-1/2)*A*B^(-1/2)."""
    number, rest = coefficient(matrix)
    found = kind or ("maximum" if number > 0 else "minimum")
    if (found == "minimum") == (number > 0):
        rest = build.neg(rest)
    which = "largest" if found == "maximum" else "smallest"
    if number > 0 and _is_dyad(rest) and found == "maximum":
        return _along_a_vector(system, unknown, rest.args[0], shape, radius, conditions)
    if coefficient(shape)[1].op is ops.EYE:
        vector = eigvecmax(rest)
        scale = build.divide(radius, _factor(shape))
        problem = rest
    else:
        outside = system.simplify(build.inv(sqrtm(shape)))
        problem = system.simplify(build.mul(outside, rest, outside))
        vector = build.mul(outside, eigvecmax(problem))
        scale = radius
    value = system.simplify(build.smul(build.power_of(system.simplify(scale), HALF), vector))
    reason = (f"the {which} eigenvalue bounds the quotient of the forms (Rayleigh)",)
    rule = f"eigenvector of the {which} eigenvalue, the {found} of the Rayleigh quotient"
    form = system.simplify(build.mul(build.transpose(unknown), matrix, unknown))
    left = build.smul(radius, system.simplify(build.mul(matrix, unknown)))
    right = build.smul(form, system.simplify(build.mul(shape, unknown)))
    steps = _solved(left, right, unknown, value, rule)
    unique = Condition(problem, "simple", False, "for uniqueness up to the sign")
    return SpectralExtremum(value, found, reason, steps, (*conditions, unique))


def _is_dyad(matrix: Term) -> bool:
    if matrix.op is not ops.MUL or len(matrix.args) != 2:
        return False
    return matrix.args[0].is_vector and matrix.args[1] is build.transpose(matrix.args[0])


def _along_a_vector(
    system: System, unknown: Term, vector: Term, shape: Term, radius: Term, conditions: tuple[Condition, ...]
) -> SpectralExtremum:
    """The maximum of ``(v'*x)^2`` on ``x'*B*x = c``: along B^-1*v (Cauchy-Schwarz)."""
    direction = system.simplify(build.mul(build.inv(shape), vector))
    length = build.mul(build.transpose(vector), direction)
    value = build.smul(build.power_of(build.divide(radius, length), HALF), direction)
    value = present(system, system.simplify(value))
    rule = "the maximum of the square of a linear function (Cauchy-Schwarz)"
    along = build.mul(build.transpose(vector), unknown)
    steps = _solved(build.smul(radius, vector), build.smul(along, build.mul(shape, unknown)), unknown, value, rule)
    nonzero = Condition(vector, "nonzero", False, "for uniqueness up to the sign")
    return SpectralExtremum(value, "maximum", (rule,), steps, (*conditions, nonzero))


def _quotient(system: System, objective: Term, unknown: Term, kind: str | None) -> SpectralExtremum | None:
    """``x'*A*x/(x'*B*x)``: determined up to a factor; here x'*B*x = 1."""
    number, rest = coefficient(objective)
    if rest.op is not ops.TIMES or unknown.cols.constant != 1:
        return None
    below = [
        f.args[0] for f in rest.args if f.op is ops.POW and f.args[1] is build.MINUS_ONE_NUM and contains(f, unknown)
    ]
    above = [f for f in rest.args if not (f.op is ops.POW and f.args[0] in below)]
    if len(below) != 1 or not above:
        return None
    bottom = quadratic_form(system, below[0], unknown)
    top = quadratic_form(system, build.times(build.num(number), *above), unknown)
    if bottom is None or top is None or bottom.matrix is None or top.matrix is None:
        return None
    zero = build.ZERO_NUM
    if bottom.linear or top.linear or bottom.constant is not zero or top.constant is not zero:
        return None
    conditions = [c for c in (_open(system, bottom.matrix, "posdef"),) if c is not None]
    return _generalised(system, objective, unknown, top.matrix, bottom.matrix, build.ONE_NUM, kind, tuple(conditions))
