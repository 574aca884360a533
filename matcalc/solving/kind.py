"""What kind of point a stationary point is, proved: minimum, maximum, saddle, or undecided.

The ways, in order: convexity (global), convexity after a bijective substitution, one unknown after the
other, a bound that the point attains, the second differential at the point, both signs of the second
differential.  Numbers decide nothing here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as replaced
from fractions import Fraction
from itertools import combinations

from ..bounds import Lapsed, allowance
from ..calculus import derive
from ..calculus.present import present, same
from ..calculus.system import System, system
from ..errors import MatcalcError
from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import contains, replace
from .convexity import Curvature, curvature
from .domain import convex_set, domain, implied, region
from .equation import Condition, Equation
from .form_signs import indefinite, nonnegative
from .forms import (
    LINEAR_FACTS,
    Form,
    even_norms,
    facts_of,
    is_affine,
    one_of_many,
    second_differential,
)
from .proofs import Proof, ProofStep, Words, claim_words, conditions_of, lines_of, listed, reduced, weight
from .prover import Prover
from .spectral_problems import spectral_extremum
from .substitution import substituted

KIND_OF = {"convex": "minimum", "concave": "maximum"}
EXTREMA = ("minimum", "maximum")


@dataclass(frozen=True)
class PointKind:
    """``kind`` is minimum, maximum, saddle or undecided; it holds under the conditions, by the steps."""

    kind: str
    is_global: bool = False
    strict: bool = False
    conditions: tuple[Condition, ...] = ()
    steps: tuple[ProofStep, ...] = ()
    because: Words = ()
    """Why, in one clause: the objective is convex in x."""

    def __str__(self) -> str:
        if self.kind not in EXTREMA:
            return self.kind
        return f"{'strict ' if self.strict else ''}{'global' if self.is_global else 'local'} {self.kind}"


UNDECIDED = PointKind("undecided")

KIND_SECONDS = 6.0
"""What is not shown by then is undecided."""


@dataclass(frozen=True)
class Problem:
    """An objective, its unknowns, the point, equalities that hold, and facts assumed about the unknowns."""

    rules: System
    objective: Term
    unknowns: tuple[Term, ...]
    values: Mapping[Term, Term]
    constraints: tuple[Equation, ...] = ()
    local: frozenset[Query] = field(default=frozenset())
    """Facts about the unknowns on the region that is looked at, beyond what is declared."""

    @property
    def has_families(self) -> bool:
        """An unknown is one of several members that occur."""
        return any(one_of_many(self.objective, u) for u in self.unknowns)

    def prover(self, *free: Term) -> Prover:
        """Proves facts about the point; no condition speaks of the unknowns."""
        return Prover(self.rules, (*self.unknowns, *free))


def point_kind(
    rules: System,
    objective: Term,
    unknowns: Sequence[Term],
    values: Mapping[Term, Term],
    constraints: Sequence[Equation] = (),
    conditions: Sequence[Condition] = (),
) -> PointKind:
    """The kind of the stationary point ``values`` of the objective under equality constraints.

    ``conditions`` are those under which the point was found; those that the proof needs besides are
    in the answer.
    """
    about_data = (c for c in conditions if not any(contains(c.term, u) for u in unknowns))
    given = frozenset((c.term, c.fact) for c in about_data)
    inside = system(rules.assumptions | given | _ranks(rules, given))
    point = _resolved(inside, unknowns, values)
    problem = Problem(inside, even_norms(inside.simplify(objective)), tuple(unknowns), point, tuple(constraints))
    try:
        with allowance(KIND_SECONDS):
            for way in WAYS:
                found = min(way(problem), key=_preference, default=None)
                if found is not None:
                    return _told(found, given)
    except Lapsed:
        pass
    return UNDECIDED


def _preference(found: PointKind) -> tuple[float, bool, bool]:
    return (weight((c.term, c.fact) for c in found.conditions), not found.is_global, not found.strict)


def _told(found: PointKind, given: frozenset[Query]) -> PointKind:
    """The answer with its last line, and without conditions that are known already."""
    new = tuple(c for c in found.conditions if (c.term, c.fact) not in given)
    line = ProofStep(found.kind, (f"{found}, because ", *found.because))
    return replaced(found, conditions=new, steps=(*found.steps, line))


def _resolved(rules: System, unknowns: Sequence[Term], values: Mapping[Term, Term]) -> dict[Term, Term]:
    """Each value in terms of what is given only."""
    point = dict(values)
    for _ in unknowns:
        point = {
            u: rules.simplify(replace(v, {o: w for o, w in point.items() if o is not u})) for u, v in point.items()
        }
    return point


def _ranks(rules: System, given: frozenset[Query]) -> frozenset[Query]:
    """What follows of ranks: where F'*A*F is invertible, F has full column rank."""
    prover = Prover(rules, conditional=False)
    found: set[Query] = set()
    for term, fact in given:
        if fact in ("invertible", "posdef") and term.op is ops.MUL:
            stripped = prover.mirrored(term.args)
            if stripped is not None:
                outer = stripped[0]
                found |= {(build.mul(*outer), "fullrank"), (outer[-1], "fullrank")}
                turned = prover.turned(outer[-1])
                found |= {(turned, "fullrow")}
    return frozenset(found)


# ---------------------------------------------------------------- convexity


def by_convexity(problem: Problem) -> Iterator[PointKind]:
    """Stationary for a convex function on a convex set: a global minimum."""
    if not all(_affine(problem, c) for c in problem.constraints):
        return
    yield from _convex(problem, len(problem.unknowns) == 1)


def by_joint_substitution(problem: Problem) -> Iterator[PointKind]:
    """Convexity in several new unknowns."""
    if len(problem.unknowns) > 1 and not problem.constraints:
        yield from _convex(problem)


def _convex(problem: Problem, substituting: bool = True) -> Iterator[PointKind]:
    for step, objective, unknowns in substituted(problem):
        if step is not None and (problem.constraints or not substituting):
            return
        found = curvature(problem.rules, objective, unknowns, problem.local)
        if found.kind in KIND_OF:
            yield _from_curvature(problem, found, unknowns, (step,) if step else ())
            if not found.conditions:
                return


def _from_curvature(
    problem: Problem, found: Curvature, unknowns: Sequence[Term], said: tuple[ProofStep, ...]
) -> PointKind:
    kind = KIND_OF[found.kind]
    strictly = "strictly " if found.strict else ""
    because = (f"the objective is {strictly}{found.kind} in ", *listed(unknowns))
    if problem.constraints:
        because += (", on the affine set of the constraints",)
    return PointKind(kind, True, found.strict, found.conditions, (*said, *found.steps), because)


# ---------------------------------------------------------------- one unknown after the other


def sequentially(problem: Problem) -> Iterator[PointKind]:
    """The best value of some unknowns does not depend on the others; what remains has a best value."""
    if problem.constraints or problem.has_families or len(problem.unknowns) < 2:
        return
    for count in range(1, len(problem.unknowns)):
        for inner in combinations(problem.unknowns, count):
            outer = tuple(u for u in problem.unknowns if u not in inner)
            first = _inner(problem, inner, outer)
            if first is None:
                continue
            values = {u: problem.values[u] for u in inner}
            objective = problem.rules.simplify(replace(problem.objective, values))
            left = Problem(problem.rules, objective, outer, problem.values, (), problem.local)
            for second in (*_convex(left), *sequentially(left)):
                if second.kind == first.kind and second.is_global:
                    conditions = reduced((c.term, c.fact) for c in (*first.conditions, *second.conditions))
                    yield PointKind(
                        first.kind,
                        True,
                        first.strict and second.strict,
                        conditions_of(conditions, f"so that the point is a {first.kind}"),
                        (*first.steps, *second.steps),
                        (*first.because, ", whatever ", *listed(outer), " is, and then ", *second.because),
                    )
                    return


def _inner(problem: Problem, inner: tuple[Term, ...], outer: tuple[Term, ...]) -> PointKind | None:
    """The values of the inner unknowns are best for any value of the outer ones."""
    if not all(_stationary(problem, u, inner) for u in inner):
        return None
    real = implied(problem.objective, problem.unknowns)
    about_outer = frozenset(q for q in real if not any(contains(q[0], u) for u in inner))
    part = Problem(
        system(problem.rules.assumptions | about_outer), problem.objective, inner, problem.values, (), problem.local
    )
    for found in _convex(part):
        if any(contains(c.term, u) for c in found.conditions for u in outer):
            continue
        words: list[str | Term] = []
        for u in inner:
            words += [", "] if words else ["for any ", *listed(outer), ": "]
            words += [u, " = ", problem.values[u], f" is the {found.kind}"]
        line = ProofStep("one unknown after the other", tuple(words))
        return replaced(found, steps=(*found.steps, line))
    return None


def _stationary(problem: Problem, unknown: Term, inner: tuple[Term, ...]) -> bool:
    """The gradient in the unknown vanishes at the inner values, whatever the other unknowns are."""
    try:
        gradient = derive.gradient(problem.rules, problem.objective, unknown).term
    except MatcalcError:
        return False
    there = replace(gradient, {u: problem.values[u] for u in inner})
    return bool(same(problem.rules, there, build.zeros(there.rows, there.cols)))


# ---------------------------------------------------------------- on a region


def on_a_region(problem: Problem) -> Iterator[PointKind]:
    """Convexity, or one unknown after the other, where unknowns are positive: an open set that holds the point."""
    if not all(_affine(problem, c) for c in problem.constraints):
        return
    wanted = region(problem.unknowns)
    for count in range(1, len(wanted) + 1):
        for facts in combinations(wanted, count):
            inside = problem.prover().all((problem.values[u], fact) for u, fact in facts)
            if inside is None:
                continue
            words: list[str | Term] = []
            for u, fact in facts:
                words += [" and " if words else "where ", *claim_words(u, fact)]
            said = ProofStep("region", (*words, ", an open set that holds the point"))
            rules = system(problem.rules.assumptions | frozenset(facts))
            limited = Problem(
                rules, problem.objective, problem.unknowns, problem.values, problem.constraints, frozenset(facts)
            )
            for found in (*_convex(limited), *sequentially(limited)):
                needed = frozenset((c.term, c.fact) for c in found.conditions).union(*(p.conditions for p in inside))
                conditions = conditions_of(reduced(needed), f"so that the point is a {found.kind}")
                steps = (said, *(s for p in inside for s in lines_of(p)), *found.steps)
                because = (*found.because, " ", *words)
                yield PointKind(found.kind, False, found.strict, conditions, steps, because)


# ---------------------------------------------------------------- at the point


def _form(problem: Problem) -> Form | None:
    """The second differential, where the objective is smooth around the point."""
    if problem.has_families or domain(problem.objective, problem.unknowns) is None:
        return None
    return second_differential(problem.rules, problem.objective, problem.unknowns)


def at_the_point(problem: Problem) -> Iterator[PointKind]:
    """The second differential at the point, definite: a strict local minimum or maximum."""
    if not convex_set(problem.unknowns):
        return
    if not all(_affine(problem, c) for c in problem.constraints):
        return
    form = _form(problem)
    if form is None:
        return
    there = form.at(problem.rules, problem.values)
    prover = problem.prover(*form.directions)
    for kind, side in (("minimum", there), ("maximum", there.negated())):
        signed = nonnegative(prover, side)
        if signed is None or not signed.strict:
            continue
        sign = ">" if kind == "minimum" else "<"
        steps = (
            ProofStep("second differential at the point", ("d²f = ", there.term)),
            *(s for s in lines_of(signed.proof) if s.words[0] not in (side.term, signed.form)),
            ProofStep("definite second differential", (f"d²f {sign} 0 at the point, for every direction but 0",)),
        )
        reason = f"so that the point is a {kind}"
        definite = "positive" if kind == "minimum" else "negative"
        because = (f"the second differential is {definite} definite there",)
        yield PointKind(kind, False, True, conditions_of(reduced(signed.proof.conditions), reason), steps, because)


def by_both_signs(problem: Problem) -> Iterator[PointKind]:
    """The second differential at the point takes both signs: a saddle."""
    if problem.constraints or not convex_set(problem.unknowns):
        return
    form = _form(problem)
    if form is None:
        return
    there = form.at(problem.rules, problem.values)
    proof = indefinite(problem.prover(*form.directions), there)
    if proof is None:
        return
    steps = (
        ProofStep("second differential", ("d²f = ", there.term)),
        *(s for s in lines_of(proof) if s.words[0] is not there.term),
        ProofStep(proof.rule, ("d²f takes both signs",)),
    )
    conditions = conditions_of(reduced(proof.conditions), "so that d²f takes both signs")
    yield PointKind("saddle", False, False, conditions, steps, ("the second differential takes both signs there",))


def by_a_bound(problem: Problem) -> Iterator[PointKind]:
    """The point is where eigenvalues or singular values bound the objective on its set."""
    if len(problem.unknowns) != 1:
        return
    unknown = problem.unknowns[0]
    for kind in EXTREMA:
        found = spectral_extremum(problem.rules, problem.objective, unknown, problem.constraints, kind)
        if found is None or found.kind != kind or not same(problem.rules, found.value, problem.values[unknown]):
            continue
        needed = frozenset(
            (c.term, c.fact) for c in found.conditions if c.fact in ("posdef", "positive") and not c.known
        )
        step = ProofStep("a bound that the point attains", found.reason)
        conditions = conditions_of(needed, f"so that the point is a {kind}")
        yield PointKind(kind, True, False, conditions, (step,), ("the point attains a bound of the objective",))


def by_penalty(problem: Problem) -> Iterator[PointKind]:
    """Affine constraints g = 0: f is convex where they hold when f + c*‖g‖² is convex for some c."""
    if not problem.constraints or not all(_affine(problem, c) for c in problem.constraints):
        return
    squares = build.add(*(_square(c.residual) for c in problem.constraints))
    for factor in PENALTIES:
        for kind, sign in (("convex", 1), ("concave", -1)):
            penalty = build.times(build.num(sign * factor), squares)
            found = curvature(problem.rules, build.add(problem.objective, penalty), problem.unknowns)
            if found.kind != kind:
                continue
            line = ProofStep("penalty", ("f is the objective and ", penalty, ", which is 0 where the constraints hold"))
            because = (f"where the constraints hold the objective is equal to a {kind} function",)
            yield PointKind(KIND_OF[kind], True, found.strict, found.conditions, (line, *found.steps), because)
            return


PENALTIES = (Fraction(1), Fraction(1, 2), Fraction(4))


def _square(residual: Term) -> Term:
    """The sum of the squares of the entries."""
    if residual.is_scalar:
        return build.power_of(residual, build.num(2))
    return build.power_of(build.norm(residual), build.num(2))


def _affine(problem: Problem, constraint: Equation) -> bool:
    return is_affine(problem.rules, constraint.residual, problem.unknowns)


def by_multiplier(problem: Problem) -> Iterator[PointKind]:
    """One scalar constraint g = 0: where f + λ*g is convex, its stationary point is best on the set."""
    if len(problem.constraints) != 1 or not convex_set(problem.unknowns):
        return
    constraint = problem.rules.simplify(problem.constraints[0].residual)
    if not constraint.is_scalar:
        return
    if any(facts_of(u) & LINEAR_FACTS.keys() for u in problem.unknowns):
        return
    multiplied = _multiplier(problem, constraint)
    if multiplied is None:
        return
    multiplier, regular = multiplied
    lagrangian = build.add(problem.objective, build.times(multiplier, constraint))
    found = curvature(problem.rules, lagrangian, problem.unknowns)
    if found.kind not in KIND_OF:
        return
    kind = KIND_OF[found.kind]
    steps = (
        ProofStep("multiplier", ("λ = ", multiplier)),
        *found.steps,
        ProofStep("Lagrange", (f"f + λ*g is {found.kind}, so the point is the {kind} of f where g = 0",)),
    )
    conditions = conditions_of(found.queries | regular.conditions, f"so that the point is a {kind}")
    because = (f"f + λ*g is {found.kind}, f the objective and g the constraint",)
    yield PointKind(kind, True, found.strict, conditions, steps, because)


def _multiplier(problem: Problem, constraint: Term) -> tuple[Term, Proof] | None:
    """λ with grad f + λ*grad g = 0 at the point, and the proof that grad g ≠ 0 there."""
    top: list[Term] = []
    bottom: list[Term] = []
    for u in problem.unknowns:
        try:
            f = derive.gradient(problem.rules, problem.objective, u).term
            g = derive.gradient(problem.rules, constraint, u).term
        except MatcalcError:
            return None
        top.append(build.tr(build.mul(build.transpose(f), g)))
        bottom.append(build.tr(build.mul(build.transpose(g), g)))
    rules = problem.rules
    above, below = (rules.simplify(replace(build.add(*part), dict(problem.values))) for part in (top, bottom))
    regular = problem.prover().prove(below, "nonzero")
    if regular is None:
        return None
    return present(rules, rules.simplify(build.neg(build.divide(above, below)))), regular


Way = Callable[[Problem], Iterator[PointKind]]

WAYS: tuple[Way, ...] = (
    by_convexity,
    sequentially,
    by_joint_substitution,
    by_a_bound,
    by_multiplier,
    by_penalty,
    at_the_point,
    by_both_signs,
    on_a_region,
)
