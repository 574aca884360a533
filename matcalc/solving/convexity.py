"""Convexity of an expression: by its second differential, or by the rules of composition."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..bounds import Lapsed, allowance
from ..calculus.system import System, system
from ..rewriting.facts import Query
from ..rewriting.loader import load
from ..rewriting.match import match
from ..rewriting.rule import Fact
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.term import Term
from .domain import convex_set, domain, implied
from .equation import Condition
from .form_signs import Signed, nonnegative
from .forms import affine_parts, even_norms, is_affine, second_differential
from .parts import negative
from .proofs import Proof, ProofStep, concluded, conditions_of, line_of, lines_of, listed, reduced, weight
from .prover import Prover

CURVATURES = ("convex", "concave")
OPPOSITE = {"convex": "concave", "concave": "convex", "affine": "affine"}
RELATION = {"convex": "≥ 0", "concave": "≤ 0"}


@dataclass(frozen=True)
class Curvature:
    """``kind`` is convex, concave, affine, neither or neither known; it holds under the conditions."""

    kind: str
    strict: bool = False
    conditions: tuple[Condition, ...] = ()
    steps: tuple[ProofStep, ...] = ()

    @property
    def queries(self) -> frozenset[Query]:
        """The open conditions."""
        return frozenset((c.term, c.fact) for c in self.conditions)


PROOF_SECONDS = 4.0
"""A proof that takes longer is given up."""

UNKNOWN = Curvature("neither known")


def curvature(
    rules: System, function: Term, unknowns: Sequence[Term], assumed: frozenset[Query] = frozenset()
) -> Curvature:
    """Whether the function is convex or concave in the unknowns jointly, on their declared set.

    ``assumed`` are facts that hold in what is asked, such as x > 0 where only that region is looked at.
    """
    if not convex_set(unknowns):
        return UNKNOWN
    try:
        with allowance(PROOF_SECONDS):
            return _curvature(rules, even_norms(rules.simplify(function)), unknowns, assumed)
    except Lapsed:
        return UNKNOWN


def _curvature(rules: System, function: Term, unknowns: Sequence[Term], assumed: frozenset[Query]) -> Curvature:
    if is_affine(rules, function, unknowns):
        step = ProofStep("affine", (function, " is affine in ", *listed(unknowns)))
        return Curvature("affine", steps=(step,))
    found = list(certified(rules, function, unknowns, assumed))
    if not any(not c.conditions for c in found):
        composed = (composition(rules, function, unknowns, assumed, kind) for kind in CURVATURES)
        found += [_stricter(rules, function, unknowns, assumed, c) for c in composed if c is not None]
    return min(found, key=lambda c: (weight(c.queries), not c.strict), default=UNKNOWN)


# ---------------------------------------------------------------- by the second differential


def certified(
    rules: System, function: Term, unknowns: Sequence[Term], assumed: frozenset[Query]
) -> Iterator[Curvature]:
    """The second differential shown to have one sign wherever the function is defined, which is a convex set."""
    where = domain(function, unknowns)
    if where is None:
        return
    inside = system(rules.assumptions | assumed | where.implied)
    form = second_differential(inside, function, unknowns)
    if form is None:
        return
    prover = Prover(inside, (*unknowns, *form.directions))
    needed = prover.all(where.required)
    if needed is None:
        return
    for kind, side in (("convex", form), ("concave", form.negated())):
        signed = nonnegative(prover, side)
        if signed is None:
            continue
        conditions = reduced(signed.proof.conditions.union(*(p.conditions for p in needed)))
        steps = [ProofStep("second differential", ("d²f = ", form.term))]
        steps += [step for p in needed for step in lines_of(p)]
        if signed.form is not side.term:
            rest = signed.form if kind == "convex" else negative(signed.form)
            steps.append(ProofStep("rearranged", ("d²f = ", rest)))
        steps += [s for s in lines_of(signed.proof) if s.words[0] not in (side.term, signed.form)]
        steps.append(_conclusion(kind, signed, unknowns))
        yield Curvature(kind, signed.strict, conditions_of(conditions, _reason(kind)), tuple(steps))
        if not conditions:
            return


def _reason(kind: str) -> str:
    return f"so that the objective is {kind}"


def _conclusion(kind: str, signed: Signed, unknowns: Sequence[Term]) -> ProofStep:
    sign = {"convex": "> 0", "concave": "< 0"}[kind] if signed.strict else RELATION[kind]
    directions = " for every direction but 0" if signed.strict else " for every direction"
    word = f"strictly {kind}" if signed.strict else kind
    return ProofStep(signed.proof.rule, (f"d²f {sign}{directions}: f is {word} in ", *listed(unknowns)))


# ---------------------------------------------------------------- by composition


def composition(
    rules: System, function: Term, unknowns: Sequence[Term], assumed: frozenset[Query], kind: str
) -> Curvature | None:
    """The rows of ``rules/convexity.rules``, from the outermost operation inwards."""
    inside = system(rules.assumptions | assumed | implied(function, unknowns))
    proof = Composer(inside, unknowns).prove(function, kind)
    if proof is None:
        return None
    steps = [
        line_of(p)
        for p in proof.lines()
        if p.rule not in ("condition", "constant", "declared", "assumed") and p.term.op is not ops.NUM
    ]
    return Curvature(kind, False, conditions_of(reduced(proof.conditions), _reason(kind)), tuple(steps))


def _stricter(
    rules: System, function: Term, unknowns: Sequence[Term], assumed: frozenset[Query], found: Curvature
) -> Curvature:
    """A sum of convex functions is strictly convex where one of them is."""
    for addend in function.args if function.op is ops.ADD else ():
        for part in certified(rules, addend, unknowns, assumed | implied(function, unknowns)):
            if part.kind == found.kind and part.strict and part.queries <= found.queries:
                line = ProofStep(f"{part.kind}-sum", (addend, f" is strictly {part.kind}, so the sum is"))
                return Curvature(found.kind, True, found.conditions, (*found.steps, *part.steps, line))
    return found


class Composer(Prover):
    """Proves ``convex``, ``concave``, ``affine`` and ``constant`` beside the facts."""

    def __init__(self, rules: System, unknowns: Sequence[Term]) -> None:
        super().__init__(rules, unknowns)
        self.unknowns = tuple(unknowns)
        self._composing: dict[tuple[object, str], list[Fact]] = {}
        for row in load("convexity").file.facts:
            self._composing.setdefault((row.term.op, row.fact), []).append(row)

    def _proofs(self, term: Term, fact: str) -> Iterator[Proof | None]:
        if fact not in ("constant", "affine", *CURVATURES):
            yield from super()._proofs(term, fact)
            return
        if self.closed(term):
            yield Proof(term, fact, "constant")
            return
        if fact == "constant":
            return
        if term in affine_parts(term, self.unknowns):
            yield Proof(term, fact, "affine")
            return
        if fact == "affine":
            return
        if coefficient(term)[0] < 0:
            below = self.prove(negative(term), OPPOSITE[fact])
            yield concluded(term, fact, f"{fact}-negative", below) if below else None
            return
        yield from self._composed(term, fact)
        for other in (build.add(*term.args), self.system.expand(term)) if term.op is ops.ADD else ():
            if other is not term:
                yield self.prove(other, fact)

    def _composed(self, term: Term, fact: str) -> Iterator[Proof | None]:
        for row in self._composing.get((term.op, fact), ()):
            if row.term.op is ops.ADD:
                parts = self.all((a, fact) for a in term.args)
                yield concluded(term, fact, row.name, *parts) if parts else None
                continue
            for bindings in match(row.term, term, {}):
                yield self._by_row(term, fact, row, bindings)
        if term.op in (ops.TIMES, ops.SCALE, ops.HAD):
            yield self._multiple(term, fact)

    def _multiple(self, term: Term, fact: str) -> Proof | None:
        """A constant of known sign times what varies."""
        factors = term.args if term.op is not ops.SCALE else _flat(term)
        fixed = [f for f in factors if self.closed(f)]
        moving = [f for f in factors if f not in fixed]
        if not fixed or not moving:
            return None
        combine = build.had if term.op is ops.HAD else build.smul
        weight = build.had(*fixed) if term.op is ops.HAD else build.times(*fixed)
        rest = build.had(*moving) if term.op is ops.HAD else moving[0]
        for more in moving[1:] if term.op is not ops.HAD else ():
            rest = combine(more, rest)
        best: Proof | None = None
        for sign, wanted in ((weight, fact), (negative(weight), OPPOSITE[fact])):
            parts = self.all(((sign, "nonneg"), (rest, wanted)))
            if parts is not None:
                found = concluded(term, fact, f"{fact}-multiple", *parts)
                if best is None or found.cost < best.cost:
                    best = found
        return best


def _flat(term: Term) -> list[Term]:
    scalar, array = term.args
    return [*(scalar.args if scalar.op is ops.TIMES else (scalar,)), array]
