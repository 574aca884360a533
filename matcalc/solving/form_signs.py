"""The sign of a quadratic form, proved: ≥ 0, > 0 in every direction but 0, or both signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from ..calculus.present import present
from ..calculus.system import System
from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import contains, size
from .form_matrix import by_matrix, is_zero, matrix_of
from .forms import Form, one_of_many
from .parts import spread
from .proofs import Proof, concluded, reduced, weight
from .prover import Prover


@dataclass(frozen=True)
class Signed:
    """A form shown to be ≥ 0, and whether it is > 0 in every direction but 0."""

    proof: Proof
    strict: bool
    form: Term


def nonnegative(prover: Prover, form: Form) -> Signed | None:
    """A proof that the form is ≥ 0, strict where that needs no more conditions."""
    weak = _weak(prover, form)
    strict = _strict(prover, form, weak.proof) if weak is not None else None
    if strict is not None and (weak is None or strict.proof.cost[0] <= weak.proof.cost[0]):
        return strict
    return weak


def shapes_of(rules: System, form: Form) -> Iterator[Term]:
    """The form as it stands, with squares completed, and multiplied out."""
    yield form.term
    completed = present(rules, form.term)
    if completed is not form.term:
        yield completed
    expanded = rules.expand(form.term)
    if expanded not in (form.term, completed):
        yield expanded


def _weak(prover: Prover, form: Form) -> Signed | None:
    best: Signed | None = None
    for term in shapes_of(prover.system, form):
        proof = prover.prove(term, "nonneg")
        if proof is not None and (best is None or proof.cost < best.proof.cost):
            best = Signed(proof, False, term)
        if best is not None and not best.proof.conditions:
            return best
        if best is None and term is form.term and _hopeless(prover, form):
            return None
    matrix = by_matrix(prover, form, "psd")
    if matrix is not None and (best is None or matrix.cost < best.proof.cost):
        return Signed(matrix, False, form.term)
    return best


LARGE = 40
"""Of forms with more nodes numbers are asked first whether a proof is worth trying."""


def _hopeless(prover: Prover, form: Form) -> bool:
    if size(form.term) <= LARGE:
        return False
    from .counterexample import hopeless

    return hopeless(form.term, prover.free, prover.system)


def _strict(prover: Prover, form: Form, weak: Proof) -> Signed | None:
    best: Signed | None = None
    if any(one_of_many(form.term, d) for d in form.directions):
        return None
    for term in shapes_of(prover.system, form):
        parts = term.args if term.op is ops.ADD else (term,)
        proof = _definite_sum(prover, term, parts, form.directions)
        if proof is not None and (best is None or proof.cost < best.proof.cost):
            best = Signed(proof, True, term)
        if best is not None and not best.proof.conditions:
            return best
    matrix = by_matrix(prover, form, "posdef", weak)
    if matrix is not None and (best is None or matrix.cost < best.proof.cost):
        return Signed(matrix, True, form.term)
    return best


def _definite_sum(prover: Prover, term: Term, parts: Sequence[Term], directions: Sequence[Term]) -> Proof | None:
    """Every addend ≥ 0, and for each direction one that vanishes only where it does."""
    weak = prover.all((p, "nonneg") for p in parts)
    if weak is None or len(parts) > 8:
        return None
    chosen = dict(enumerate(weak))
    for d in directions:
        options: list[tuple[int, Proof]] = []
        for i, part in enumerate(parts):
            proof = _definite_in(prover, part, d, directions)
            if proof is not None:
                options.append((i, proof))
        if not options:
            return None
        at, proof = min(options, key=lambda o: (_together({**chosen, o[0]: o[1]}), o[0]))
        chosen[at] = proof
    found = concluded(term, "nonneg", "definite sum", *(chosen[i] for i in sorted(chosen)))
    return Proof(term, "nonneg", found.rule, found.premises, reduced(found.conditions))


def _together(chosen: Mapping[int, Proof]) -> float:
    """What the conditions of several proofs weigh together."""
    return weight(reduced(frozenset().union(*(p.conditions for p in chosen.values()))))


def _definite_in(prover: Prover, part: Term, d: Term, directions: Sequence[Term]) -> Proof | None:
    """The addend depends on this direction alone, and is > 0 where that is not 0."""
    if not contains(part, d) or any(contains(part, o) for o in directions if o is not d):
        return None
    number, rest = build.coefficient(part)
    if number <= 0:
        return None
    factors = rest.args if rest.op is ops.TIMES else (rest,)
    moving = [f for f in factors if contains(f, d)]
    fixed = [f for f in factors if not contains(f, d)]
    if len(moving) != 1:
        return None
    signs = prover.prove(build.times(*fixed), "positive") if fixed else None
    if fixed and signs is None:
        return None
    core = _definite_core(prover, moving[0], d)
    if core is None:
        return None
    return concluded(part, "nonneg", "definite form", *([signs] if signs else []), core)


def _definite_core(prover: Prover, term: Term, d: Term) -> Proof | None:
    if term.op is ops.POW and term.args[0] is d and d.is_scalar:
        return Proof(term, "nonneg", "positive-square")
    if term.op is ops.TR:
        inside = term.args[0]
        if inside.op is ops.MUL:
            return _definite_trace(prover, term, inside.args, d)
        return None
    if term.op is ops.MUL:
        found = _definite_trace(prover, term, term.args, d)
        return found if found is not None else _weighted_squares(prover, term, d)
    if term.op is ops.TOTAL:
        return _weighted_squares(prover, term, d)
    return None


def _definite_trace(prover: Prover, term: Term, factors: Sequence[Term], d: Term) -> Proof | None:
    """``tr(D'*A*D*B)`` with A and B posdef, after any rotation; a vector has no B."""

    best: Proof | None = None
    for candidate in dict.fromkeys((tuple(factors), tuple(spread(factors, (d,))))):
        at = [i for i, f in enumerate(candidate) if contains(f, d)]
        if len(at) != 2:
            continue
        for first, second in (at, at[::-1]):
            left, right = candidate[first], candidate[second]
            around = candidate[first:] + candidate[:first]
            gap = (second - first) % len(candidate)
            between, behind = around[1:gap], around[gap + 1 :]
            proof = _two_sided(prover, term, left, right, between, behind, d)
            if proof is not None and (best is None or proof.cost < best.cost):
                best = proof
    return best


def _two_sided(
    prover: Prover, term: Term, left: Term, right: Term, between: Sequence[Term], behind: Sequence[Term], d: Term
) -> Proof | None:
    if not prover.same(prover.turned(left), right):
        return None
    claims: list[Query] = [(build.mul(*side), "posdef") for side in (between, behind) if side]
    bare = right.args[0] if right.op is ops.TRANSPOSE else right
    if bare is not d:
        weights = _weights(bare, d)
        if weights is None:
            return None
        claims.append((weights, "nonzero"))
    premises = prover.all(claims)
    return None if premises is None else concluded(term, "nonneg", "definite form", *premises)


def _weights(term: Term, d: Term) -> Term | None:
    """h of ``h .* D``."""
    if term.op is not ops.HAD or d not in term.args:
        return None
    others = [a for a in term.args if a is not d]
    return None if any(contains(o, d) for o in others) else build.had(*others)


def _weighted_squares(prover: Prover, term: Term, d: Term) -> Proof | None:
    """``a'*(D.^2 .* b)`` with positive weights."""
    if term.op is ops.MUL and len(term.args) == 2:
        left, right = prover.turned(term.args[0]), term.args[1]
        if left.shape != right.shape:
            return None
        entries = prover.system.simplify(build.had(left, right))
    elif term.op is ops.TOTAL:
        entries = term.args[0]
    else:
        return None
    factors = entries.args if entries.op is ops.HAD else (entries,)
    square = build.power_of(d, build.num(2))
    if square not in factors:
        return None
    others = [f for f in factors if f is not square]
    if not others:
        return Proof(term, "nonneg", "definite form")
    weights = build.had(*others)
    positive = None if contains(weights, d) else prover.prove(weights, "positive")
    return concluded(term, "nonneg", "definite form", positive) if positive else None


# ---------------------------------------------------------------- both signs


def indefinite(prover: Prover, form: Form) -> Proof | None:
    """A proof that the form takes both signs: definite of both kinds in two directions, or [P, B'; B, 0] with B ≠ 0."""
    rules = prover.system
    if len(form.directions) < 2:
        return None
    alone = {d: form.along(rules, (d,)) for d in form.directions}
    up: dict[Term, Proof] = {}
    down: dict[Term, Proof] = {}
    for d, part in alone.items():
        if part.is_zero:
            continue
        for found, side in ((up, part), (down, part.negated())):
            signed = nonnegative(prover, side)
            if signed is not None and signed.strict:
                found[d] = signed.proof
    pairs = [(a, b) for a in up for b in down if a is not b]
    if pairs:
        best = min(pairs, key=lambda p: (up[p[0]].cost, down[p[1]].cost))
        return concluded(form.term, "indefinite", "both signs", up[best[0]], down[best[1]])
    blocks = matrix_of(rules, form)
    if blocks is None:
        return None
    for i, d in enumerate(form.directions):
        if not alone[d].is_zero:
            continue
        for j, cross in enumerate(blocks[i]):
            if j == i or is_zero(cross):
                continue
            nonzero = _not_zero(prover, cross)
            if nonzero is not None:
                return concluded(form.term, "indefinite", "no curvature in one direction, coupled to another", nonzero)
    return _negative_determinant(prover, form, blocks)


def _not_zero(prover: Prover, matrix: Term) -> Proof | None:
    """The matrix is not zero: by its rank, by its factors, or as a condition."""
    if matrix.is_scalar:
        return prover.prove(matrix, "nonzero")
    for fact in ("fullrank", "fullrow"):
        ranked = prover.unconditional.prove(matrix, fact)
        if ranked is not None:
            return ranked
    number, rest = build.coefficient(matrix)
    parts = rest.args if rest.op in (ops.KRON, ops.SCALE, ops.TRANSPOSE) else ()
    if number == 1 and not parts:
        return prover.prove(prover.system.simplify(build.norm(matrix)), "nonzero")
    proofs = [_not_zero(prover, p) for p in parts or (rest,)]
    found = [p for p in proofs if p is not None]
    return concluded(matrix, "not zero", "nonzero-product", *found) if len(found) == len(proofs) else None


def _negative_determinant(prover: Prover, form: Form, blocks: list[list[Term]]) -> Proof | None:
    """Two scalars: a*c - b² < 0."""
    if not all(d.is_scalar for d in form.directions) or len(form.directions) != 2:
        return None
    (a, b), (_, c) = blocks
    gap = prover.system.simplify(build.sub(build.times(b, b), build.times(a, c)))
    proof = prover.prove(gap, "positive")
    return None if proof is None else concluded(form.term, "indefinite", "negative determinant", proof)
