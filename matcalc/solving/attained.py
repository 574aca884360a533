"""Bounds that hold on a set, and points that attain them: Rayleigh quotients, Procrustes problems."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from ..calculus import derive
from ..calculus.present import present, same
from ..calculus.system import System
from ..errors import MatcalcError
from ..terms import build, ops, spectral
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, replace
from .definite import Prover
from .equation import Equation
from .forms import facts_of
from .proofs import ProofStep

Attained = tuple[str, tuple[ProofStep, ...]]


def attained(
    rules: System,
    objective: Term,
    unknowns: Sequence[Term],
    values: Mapping[Term, Term],
    constraints: Sequence[Equation],
) -> Attained | None:
    """The kind of the point, with the bound that it attains; None where none is known."""
    if len(unknowns) != 1 or unknowns[0].op is not ops.SYM:
        return None
    unknown = unknowns[0]
    value = values[unknown]
    if not constraints and not facts_of(unknown) & {"orthogonal", "stiefel"}:
        return _quotient(rules, objective, unknown, value)
    if not _orthonormal(rules, unknown, constraints):
        return None
    fact = "orthogonal" if unknown.is_square else "stiefel"
    held = build.sym(Symbol(unknown.attr.name, unknown.rows, unknown.cols, frozenset({fact})))
    function = rules.expand(replace(objective, {unknown: held}))
    free = build.sym(Symbol(unknown.attr.name, unknown.rows, unknown.cols, frozenset(), "direction"))
    try:
        gradient = derive.gradient(rules, replace(function, {held: free}), free).term
    except MatcalcError:
        return None
    gradient = present(rules, rules.expand(gradient))
    if not contains(gradient, free):
        return _procrustes(rules, gradient, unknown, value)
    return _rayleigh(rules, gradient, free, unknown, value)


def _orthonormal(rules: System, unknown: Term, constraints: Sequence[Equation]) -> bool:
    """X'X = I is what holds, declared or as the only constraint."""
    if not constraints:
        return bool(facts_of(unknown) & {"orthogonal", "stiefel"})
    if len(constraints) != 1:
        return False
    gram = build.mul(build.transpose(unknown), unknown)
    unit = build.ONE_NUM if unknown.is_vector else build.eye(unknown.cols)
    wanted = build.sub(gram, unit)
    residual = rules.simplify(constraints[0].residual)
    if residual.shape != wanted.shape:
        return _norm_one(rules, unknown, constraints[0])
    return any(same(rules, residual, w) for w in (wanted, build.neg(wanted))) or _norm_one(
        rules, unknown, constraints[0]
    )


def _norm_one(rules: System, unknown: Term, constraint: Equation) -> bool:
    if not unknown.is_vector:
        return False
    wanted = build.sub(build.norm(unknown), build.ONE_NUM)
    return any(rules.simplify(constraint.residual) is rules.simplify(w) for w in (wanted, build.neg(wanted)))


def _procrustes(rules: System, gradient: Term, unknown: Term, value: Term) -> Attained | None:
    """tr(M'*X) ≤ nuclear(M), attained by the orthogonal factor of M."""
    for kind, matrix in (("maximum", gradient), ("minimum", build.neg(gradient))):
        if same(rules, value, spectral.polar(matrix)) or _same_polar(rules, value, matrix):
            product = build.tr(build.mul(build.transpose(matrix), unknown))
            sign = "" if kind == "maximum" else "-"
            steps = (
                ProofStep("linear on the set", (f"the objective is {sign}", product, " and a constant")),
                ProofStep(
                    "von Neumann's inequality", (product, " ≤ ", spectral.nuclear(matrix), ", attained by ", value)
                ),
            )
            return kind, steps
    return None


def _same_polar(rules: System, value: Term, matrix: Term) -> bool:
    """The value is the orthogonal factor of a positive multiple of the matrix."""
    number, rest = build.coefficient(value)
    if number not in (1, -1) or rest.op is not ops.POLAR:
        return False
    inside = rest.args[0] if number == 1 else build.neg(rest.args[0])
    return _positive_multiple(rules, inside, matrix)


def _positive_multiple(rules: System, a: Term, b: Term) -> bool:
    if a.shape != b.shape:
        return False
    (p, left), (q, right) = build.coefficient(rules.expand(a)), build.coefficient(rules.expand(b))
    if left.op is ops.ADD or right.op is ops.ADD:
        firsts = [build.coefficient(t.args[0] if t.op is ops.ADD else t)[0] for t in (left, right)]
        left, right = (
            build.smul(build.num(1 / abs(Fraction(c))), t) for c, t in zip(firsts, (left, right), strict=True)
        )
    return (p > 0) == (q > 0) and bool(same(rules, left, right))


def _rayleigh(rules: System, gradient: Term, free: Term, unknown: Term, value: Term) -> Attained | None:
    """tr(X'*A*X) ≤ the sum of the largest eigenvalues, attained by their eigenvectors."""
    number, rest = build.coefficient(gradient)
    scalar = build.ONE_NUM
    if rest.op is ops.SCALE:
        scalar, rest = rest.args
    if rest.op is not ops.MUL or rest.args[-1] is not free or any(contains(f, free) for f in rest.args[:-1]):
        return None
    if contains(scalar, free):
        return None
    matrix = build.smul(build.times(build.num(number), scalar), build.mul(*rest.args[:-1]))
    return _largest(rules, matrix, unknown, value)


def _largest(rules: System, matrix: Term, unknown: Term, value: Term) -> Attained | None:
    number, bare = build.coefficient(value)
    if number not in (1, -1) or bare.op not in (ops.EIGVECMAX, ops.EIGVECS) or not rules.facts.has(matrix, "symmetric"):
        return None
    for kind, side in (("maximum", matrix), ("minimum", build.neg(matrix))):
        if _positive_multiple(rules, bare.args[0], side):
            form = build.mul(build.transpose(unknown), side, unknown)
            shown = form if form.is_scalar else build.tr(form)
            bound = "the largest eigenvalue" if form.is_scalar else "the sum of the largest eigenvalues"
            words = (shown, f" is at most {bound} of ", side, ", attained by ", value)
            name = "Rayleigh" if form.is_scalar else "Ky Fan"
            return kind, (ProofStep(f"{name}'s inequality", words),)
    return None


def _quotient(rules: System, objective: Term, unknown: Term, value: Term) -> Attained | None:
    """x'*A*x/(x'*x), which is as large on the unit sphere as anywhere."""
    if not unknown.is_vector:
        return None
    length = rules.simplify(build.mul(build.transpose(unknown), unknown))
    form = rules.simplify(build.times(rules.expand(objective), length))
    prover = Prover(rules, (unknown,), conditional=False)
    if contains(form, length) and form.op is ops.TIMES:
        return None
    try:
        gradient = present(rules, rules.expand(derive.gradient(rules, form, unknown).term))
    except MatcalcError:
        return None
    found = _rayleigh(rules, gradient, unknown, unknown, value)
    if found is None or not prover.same(rules.simplify(build.divide(form, length)), objective):
        return None
    return found
