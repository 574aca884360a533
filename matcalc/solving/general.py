"""All solutions of an affine equation, where there need not be one or not only one, by the Moore-Penrose inverse.

``L*X*R = C`` has a solution where ``L*pinv(L)*C*pinv(R)*R = C``, and then all solutions are
``pinv(L)*C*pinv(R) + Z - pinv(L)*L*Z*R*pinv(R)``, Z free (Penrose 1955).  Where the unknown stands between several
factors, the equation is one of vec(X).
"""

from __future__ import annotations

from ..calculus import derive
from ..calculus.present import present, same
from ..calculus.system import System
from ..errors import MatcalcError, NoClosedForm
from ..output.text import to_unicode
from ..terms import build, ops
from ..terms.spectral import pinv
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, postorder, replace
from .conditions import condition
from .equation import Condition, Equation, Solution, SolveStep
from .linear import NotRead, equation_variable, read_affine
from .parts import is_polynomial

PENROSE = "all solutions, by the Moore-Penrose inverse"


def general_solution(system: System, equation: Equation, unknown: Term) -> Solution:
    """Every solution of an affine equation, with its free part and the condition that there is one.

    Raises :class:`NoClosedForm` for an equation that is not affine in the unknown.
    """
    left, right, constant, line = _read(system, equation, unknown)
    free = build.sym(Symbol(_name(equation, unknown), *unknown.shape))
    arbitrary = build.vec(free) if line else free

    def tidy(term: Term) -> Term:
        return present(system, system.simplify(term))

    before, after = tidy(pinv(left)), tidy(pinv(right))
    particular = tidy(build.mul(before, constant, after))
    kernel = tidy(build.sub(arbitrary, build.mul(before, left, arbitrary, right, after)))
    value = build.add(particular, kernel)
    if line:
        value = tidy(build.unvec(value, *unknown.shape))
    conditions: list[Condition] = []
    projected = tidy(build.mul(left, before, constant, after, right))
    if not same(system, projected, constant):
        missed = tidy(build.sub(projected, constant))
        conditions.append(condition(system, (missed, "zero"), "so that there is a solution"))
    collected = Equation(build.mul(left, build.vec(unknown) if line else unknown, right), constant)
    steps = [] if collected == equation else [SolveStep("collect the unknown", equation, collected)]
    steps.append(SolveStep(PENROSE, collected, Equation(unknown, value), tuple(conditions)))
    notes = [] if kernel.op is ops.ZEROS else [f"{to_unicode(free)} is free"]
    return Solution({unknown: value}, conditions, steps, [equation], notes=notes)


def _read(system: System, equation: Equation, unknown: Term) -> tuple[Term, Term, Term, bool]:
    """L, R and C of ``L*X*R = C``; the last says that it is an equation of vec(X)."""
    if not is_polynomial(equation.residual, unknown):
        raise NoClosedForm(f"{equation} is not affine in {unknown}: no general solution is known")
    residual = system.expand(equation.residual)
    constant = system.simplify(build.neg(replace(residual, {unknown: build.zeros(*unknown.shape)})))
    constant = present(system, constant)
    try:
        found = read_affine(residual, unknown)
        pieces = found.sandwiches
        if not found.scalars and pieces and len(found.masks) <= len(pieces):
            first = pieces[0]
            if all(p.right is first.right for p in pieces):
                total = build.add(*(build.smul(p.scalar, p.left) for p in pieces))
                return present(system, total), first.right, constant, False
            if all(p.left is first.left for p in pieces):
                total = build.add(*(build.smul(p.scalar, p.right) for p in pieces))
                return first.left, present(system, total), constant, False
    except NotRead:
        pass
    plain = equation_variable(unknown)
    try:
        matrix = derive.jacobian(system, replace(residual, {unknown: plain}), plain).term
    except MatcalcError:
        matrix = plain
    if contains(matrix, plain):
        raise NoClosedForm(f"{equation} is not affine in {unknown}: no general solution is known")
    return matrix, build.ONE_NUM, build.vec(constant), True


def _name(equation: Equation, unknown: Term) -> str:
    """A letter for what is free, z for a vector, Z for a matrix, that nothing has."""
    terms = postorder(equation.left, equation.right)
    taken = {t.attr.name for t in terms if t.op is ops.SYM} | {t.attr.family.name for t in terms if t.op is ops.MEMBER}
    name = "z" if unknown.is_vector or unknown.is_scalar else "Z"
    while name in taken:
        name += "_"
    return name
