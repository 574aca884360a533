"""Extrema of a scalar: differentiate, set to zero, solve, and prove what kind of point it is.

Without constraints the gradients vanish, along the declared structure of the unknowns; under equalities g = 0 the
gradient of f + <λ, g> does, and the multipliers λ are eliminated.  Over orthonormal frames and ellipsoids the answer
is an eigenvector or a polar factor, which attains a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..calculus import derive
from ..calculus.present import present, same
from ..calculus.system import System, system
from ..errors import MatcalcError, NoClosedForm, ShapeError
from ..output.text import to_unicode
from ..terms import build, ops
from ..terms.dims import ONE, ZERO
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, postorder, replace
from .conditions import told
from .domain import implied, with_sizes
from .equation import Condition, Equation, Solution, SolveStep
from .joint import Stacked, stacked
from .kind import PointKind, point_kind
from .solve import solve, structure_conditions
from .spectral_problems import SpectralExtremum, spectral_extremum


@dataclass
class Extremum:
    """The stationary point, how it was found, and of which kind it is."""

    values: dict[Term, Term]
    conditions: list[Condition]
    steps: list[SolveStep]
    equations: list[Equation]
    labels: list[str]
    """Of each equation, where it comes from."""
    kind: PointKind
    multipliers: dict[Term, Term] = field(default_factory=dict)
    shown: dict[Term, Term] = field(default_factory=dict)
    inner: dict[Term, Term] = field(default_factory=dict)
    """Unknowns that the equations are in beside those asked for: diagonals, multipliers."""
    notes: list[str] = field(default_factory=list)


def extremum(
    rules: System,
    objective: Term,
    unknowns: Sequence[Term],
    constraints: Sequence[Equation] = (),
    wanted: str | None = None,
) -> Extremum:
    """The stationary point of ``objective`` in ``unknowns`` under equalities, solved for, with its kind.

    ``wanted`` is the kind that is asked for where several points are stationary.  Raises :class:`NoClosedForm`
    naming the equation that could not be isolated, :class:`ShapeError` if the objective is no scalar.
    """
    if not objective.is_scalar:
        raise ShapeError(
            f"an extremum is of a scalar; this is {build.show_shape(objective.rows, objective.cols)}",
            hint="take a norm, a trace or the sum of the entries",
        )
    for unknown in unknowns:
        if not any(_occurs(t, unknown) for t in (objective, *(c.residual for c in constraints))):
            raise MatcalcError(f"the objective does not depend on {unknown}")
    rules = with_sizes(rules, (objective, *unknowns, *(c.residual for c in constraints)))
    if len(unknowns) == 1:
        spectral = spectral_extremum(rules, objective, unknowns[0], constraints, wanted)
        if spectral is not None:
            return _attained(rules, objective, unknowns[0], constraints, spectral)
    for unknown in unknowns:
        if rules.facts.has(unknown, "stiefel"):
            raise NoClosedForm(
                f"over {unknown} with orthonormal columns this objective is none that eigenvectors or a polar"
                " decomposition answer",
                hint="mc.minimize iterates on the manifold",
            )
    return _stationary(rules, objective, tuple(unknowns), tuple(constraints))


def _occurs(term: Term, unknown: Term) -> bool:
    """The variable, or a member of its family, is in the term."""
    if unknown.op is not ops.MEMBER:
        return contains(term, unknown)
    return any(t.op is ops.MEMBER and t.attr.family == unknown.attr.family for t in postorder(term))


def _attained(
    rules: System, objective: Term, unknown: Term, constraints: Sequence[Equation], found: SpectralExtremum
) -> Extremum:
    values = {unknown: found.value}
    kind = point_kind(rules, objective, (unknown,), values, constraints, found.conditions)
    equations = [step.before for step in found.steps[:1]]
    return Extremum(
        values, [*found.conditions, *kind.conditions], list(found.steps), equations, ["stationary on the set"], kind
    )


def _stationary(
    rules: System, objective: Term, unknowns: tuple[Term, ...], constraints: tuple[Equation, ...]
) -> Extremum:
    inside = _on_the_domain(rules, objective, unknowns)
    parametrised = {u: _diagonal(inside, u) for u in unknowns if inside.facts.has(u, "diagonal") and not u.is_scalar}
    free = tuple(parametrised.get(u, (u, u))[0] for u in unknowns)
    put = {u: shown for u, (_, shown) in parametrised.items()}
    function = inside.simplify(replace(objective, put)) if put else objective
    asked = [Equation(replace(c.left, put), replace(c.right, put)) for c in constraints] if put else list(constraints)
    together = stacked(inside, asked, free)
    given = [one.equation for one in together]
    multipliers = _multipliers(given, objective, unknowns)
    lagrangian = build.add(function, *(build.inner(m, c.residual) for m, c in zip(multipliers, given, strict=True)))
    equations = [_vanishing(inside, lagrangian, u) for u in free]
    of = "the Lagrangian" if multipliers else "f"
    found = solve(inside, [*equations, *given], [*free, *multipliers], structured=False)
    if put:
        found = _restored(inside, found, unknowns, parametrised)
    values = {u: found.values[u] for u in unknowns}
    for value in values.values():
        if any(contains(value, m) for m in multipliers):
            raise NoClosedForm("the multipliers of the constraints could not be eliminated")
    conditions = told(rules, [*found.conditions, *structure_conditions(inside, values)])
    kind = point_kind(rules, objective, unknowns, values, constraints, conditions)
    hidden = [t for t in found.values if t not in unknowns]
    return Extremum(
        values,
        told(rules, [*conditions, *kind.conditions]),
        found.steps,
        [*equations, *given],
        [*(f"gradient of {of} in {to_unicode(u)} is 0" for u in free), *("constraint" for _ in given)],
        kind,
        _each(together, asked, {m: found.values[m] for m in multipliers}, _multipliers(asked, objective, unknowns)),
        {u: v for u, v in found.shown.items() if u in unknowns and not any(contains(v, t) for t in hidden)},
        {t: found.values[t] for t in hidden},
    )


def _on_the_domain(rules: System, objective: Term, unknowns: tuple[Term, ...]) -> System:
    """The rules where the objective is real: v > 0 where log(v) occurs."""
    real = frozenset(q for q in implied(objective, unknowns) if q[0] in unknowns)
    return system(rules.assumptions | real) if real else rules


def _diagonal(rules: System, unknown: Term) -> tuple[Term, Term]:
    """The vector of the diagonal as unknown in place of a diagonal matrix, and the matrix in terms of it."""
    positive = rules.facts.has(unknown, "posdef")
    name = unknown.attr.name if unknown.op is ops.SYM else unknown.attr.family.name
    vector = build.sym(Symbol(name.lower(), unknown.rows, ONE, frozenset({"positive"} if positive else ()), "hidden"))
    return vector, build.diag(vector)


def _restored(
    rules: System, found: Solution, unknowns: Sequence[Term], parametrised: dict[Term, tuple[Term, Term]]
) -> Solution:
    """The diagonal matrices of the vectors that were found."""
    values = dict(found.values)
    steps = list(found.steps)
    for unknown, (vector, shown) in parametrised.items():
        value = present(rules, rules.simplify(replace(shown, {vector: values[vector]})))
        values[unknown] = value
        steps.append(
            SolveStep(
                f"the diagonal of {to_unicode(unknown)}",
                Equation(vector, found.values[vector]),
                Equation(unknown, value),
            )
        )
    return Solution(values, found.conditions, steps, found.equations, found.shown)


def _multipliers(constraints: Sequence[Equation], objective: Term, unknowns: Sequence[Term]) -> list[Term]:
    """A multiplier of the shape of each constraint, named λ."""
    terms = postorder(objective, *unknowns, *(c.residual for c in constraints))
    taken = {t.attr.name for t in terms if t.op is ops.SYM} | {t.attr.family.name for t in terms if t.op is ops.MEMBER}
    made: list[Term] = []
    for number, constraint in enumerate(constraints, 1):
        matrix = not constraint.residual.is_scalar and not constraint.residual.is_vector
        base = "Lambda" if matrix else "lambda"
        name = base if len(constraints) == 1 else f"{base}_{number}"
        while name in taken:
            name += "_"
        taken.add(name)
        made.append(build.sym(Symbol(name, *constraint.residual.shape)))
    return made


def _each(
    together: Sequence[Stacked], constraints: Sequence[Equation], values: dict[Term, Term], names: Sequence[Term]
) -> dict[Term, Term]:
    """The multipliers of the constraints one by one, in their order."""
    if all(len(one.parts) == 1 for one in together):
        return values
    found: dict[Equation, Term] = {}
    for one, value in zip(together, values.values(), strict=True):
        at = ZERO
        for part in one.parts:
            rows = part.residual.rows
            found[part] = value if len(one.parts) == 1 else build.submatrix(value, at + 1, at + rows)
            at = at + rows
    return {name: found[constraint] for name, constraint in zip(names, constraints, strict=True)}


def _vanishing(rules: System, objective: Term, unknown: Term) -> Equation:
    """The gradient by independent entries, along the structure of the unknown, is zero."""
    gradient = derive.gradient(rules, objective, unknown).term
    facts = rules.facts
    if not unknown.is_scalar and unknown.is_square:
        turned = rules.simplify(build.transpose(gradient))
        if facts.has(unknown, "symmetric") and not same(rules, gradient, turned):
            gradient = present(rules, rules.simplify(build.add(gradient, turned)))
        elif facts.has(unknown, "skew"):
            gradient = present(rules, rules.simplify(build.sub(gradient, turned)))
        elif facts.has(unknown, "lower") or facts.has(unknown, "upper"):
            part = build.tril if facts.has(unknown, "lower") else build.triu
            gradient = present(rules, rules.simplify(part(gradient)))
    return Equation(gradient, build.zeros(*gradient.shape))
