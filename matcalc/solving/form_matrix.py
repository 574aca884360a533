"""The matrix of a quadratic form, shown definite by Schur complements."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from itertools import permutations

from ..calculus import derive
from ..calculus.present import present
from ..calculus.system import System
from ..errors import NotDifferentiable
from ..terms import build, ops
from ..terms.dims import ONE
from ..terms.term import Term
from ..terms.walk import contains
from .forms import Form
from .parts import negative
from .proofs import Proof, concluded
from .prover import Prover


def matrix_of(rules: System, form: Form) -> list[list[Term]] | None:
    """The blocks M of d'*M*d by independent entries; None along a structure, or where a rule is missing."""
    if any(d.op is not ops.SYM or d.attr.facts for d in form.directions):
        return None
    opposite = form.negated().term
    if opposite.key < form.term.key:
        found = _matrix(rules, opposite, form.directions)
        return None if found is None else [[negative(block) for block in row] for row in found]
    found = _matrix(rules, form.term, form.directions)
    return None if found is None else [list(row) for row in found]


@lru_cache(maxsize=256)
def _matrix(rules: System, term: Term, directions: tuple[Term, ...]) -> list[list[Term]] | None:
    if all(d.is_scalar for d in directions):
        found = _coefficients(rules, term, directions)
        if found is not None:
            return found
    half = build.num(Fraction(1, 2))
    try:
        gradients = [derive.gradient(rules, term, d).term for d in directions]
        return [
            [present(rules, rules.simplify(build.smul(half, derive.jacobian(rules, g, d).term))) for d in directions]
            for g in gradients
        ]
    except NotDifferentiable:
        return None


def _coefficients(rules: System, term: Term, directions: tuple[Term, ...]) -> list[list[Term]] | None:
    """The coefficients of a form in scalars, read off its addends."""
    expanded = rules.expand(term)
    sums: dict[tuple[int, int], list[Term]] = {}
    for addend in expanded.args if expanded.op is ops.ADD else (expanded,):
        factors = addend.args if addend.op is ops.TIMES else (addend,)
        powers = [(i, _degree(f, d)) for f in factors for i, d in enumerate(directions) if _degree(f, d)]
        at = sorted(i for i, degree in powers for _ in range(degree))
        rest = build.times(*(f for f in factors if not any(_degree(f, d) for d in directions)))
        if len(at) != 2 or any(contains(rest, d) for d in directions):
            return None
        sums.setdefault((at[0], at[1]), []).append(rest)

    def entry(i: int, j: int) -> Term:
        total = build.sum_of(sums.get((min(i, j), max(i, j)), ()), ONE, ONE)
        return present(rules, total if i == j else build.times(build.num(Fraction(1, 2)), total))

    return [[entry(i, j) for j in range(len(directions))] for i in range(len(directions))]


def _degree(factor: Term, d: Term) -> int:
    """The power of a scalar direction that a factor is."""
    if factor is d:
        return 1
    return 2 if factor is build.power_of(d, build.num(2)) else 0


def by_matrix(prover: Prover, form: Form, fact: str, weak: Proof | None = None) -> Proof | None:
    """The matrix of the form shown definite: of several directions by Schur complements, in the best order."""
    if len(form.directions) > 3:
        return None
    blocks = matrix_of(prover.system, form)
    if blocks is None:
        return None
    best: Proof | None = None
    for order in permutations(range(len(blocks))):
        proof = _schur(prover, [[blocks[i][j] for j in order] for i in order], fact, weak)
        if proof is not None and (best is None or proof.cost < best.cost):
            best = proof
        if best is not None and not best.conditions:
            break
    return None if best is None else concluded(form.term, "nonneg", "matrix of the form", best)


def _schur(prover: Prover, blocks: list[list[Term]], fact: str, weak: Proof | None) -> Proof | None:
    """The first block posdef, and what remains after eliminating it; of a form that is ≥ 0 that is psd anyway."""
    first = blocks[0][0]
    if len(blocks) == 1:
        regular = prover.unconditional.prove(first, "invertible") if weak is not None else None
        if weak is not None and regular is not None:
            return concluded(first, fact, "psd and invertible", weak, regular)
        return prover.prove(first, fact)
    if all(is_zero(b) for b in blocks[0][1:]):
        head, rest = prover.prove(first, fact), _schur(prover, [row[1:] for row in blocks[1:]], fact, weak)
        return None if head is None or rest is None else concluded(rest.term, fact, "block diagonal", head, rest)
    head = prover.prove(first, "posdef")
    if head is None:
        return None
    rules = prover.system
    inverse = build.inv(first) if not first.is_scalar else build.power_of(first, build.MINUS_ONE_NUM)
    reduced_blocks = [
        [
            present(rules, rules.simplify(build.sub(blocks[i][j], _times(blocks[i][0], inverse, blocks[0][j]))))
            for j in range(1, len(blocks))
        ]
        for i in range(1, len(blocks))
    ]
    rest = _schur(prover, reduced_blocks, fact, weak)
    return None if rest is None else concluded(rest.term, fact, "Schur complement", head, rest)


def _times(a: Term, b: Term, c: Term) -> Term:
    """The product, in which a 1×1 middle factor is a scalar."""
    if b.is_scalar:
        inside = build.times(a, c) if a.is_scalar and c.is_scalar else _product(a, c)
        return build.smul(b, inside)
    return build.mul(a, b, c)


def _product(a: Term, c: Term) -> Term:
    if a.is_scalar or c.is_scalar:
        return build.smul(a, c) if a.is_scalar else build.smul(c, a)
    return build.mul(a, c)


def is_zero(term: Term) -> bool:
    """True for a zero of any shape."""
    return term.op is ops.ZEROS or term is build.ZERO_NUM
