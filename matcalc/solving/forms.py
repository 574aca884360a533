"""The second differential as a quadratic form in the directions, and proofs of its sign."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import permutations

from ..calculus import derive
from ..calculus.present import present
from ..calculus.system import System
from ..errors import NotDifferentiable
from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.dims import ONE
from ..terms.symbols import Family, Symbol
from ..terms.term import Term
from ..terms.walk import contains, dependents, postorder, rebuild, replace, size
from .definite import Proof, Prover, concluded, reduced, weight
from .proofs import negative

LINEAR_FACTS = {
    **dict.fromkeys(("symmetric", "posdef", "psd"), "symmetric"),
    **{fact: fact for fact in ("diagonal", "lower", "upper", "skew")},
}
"""The declared structures that are convex sets, and the one that their directions have."""

CURVED_FACTS = frozenset({"orthogonal", "stiefel"})
"""The declared structures that are no convex sets."""


def facts_of(unknown: Term) -> frozenset[str]:
    """What is declared of a variable or of the members of a family."""
    facts: frozenset[str] = unknown.attr.facts if unknown.op is ops.SYM else unknown.attr.family.facts
    return facts


def direction(unknown: Term) -> Term:
    """The symbol dX, or the member dX[i]: of the structure that differences of two values have."""
    facts = frozenset(LINEAR_FACTS[f] for f in facts_of(unknown) if f in LINEAR_FACTS)
    if unknown.op is ops.SYM:
        return build.sym(Symbol(f"d{unknown.attr.name}", unknown.rows, unknown.cols, facts, "direction"))
    family = unknown.attr.family
    moved = Family(f"d{family.name}", family.index, family.rows, family.cols, facts, "direction")
    return build.member(moved, unknown.attr.at)


def leaves(root: Term, unknowns: Collection[Term]) -> list[Term]:
    """What varies in a term: the unknowns, and all members of a family of which one is unknown."""
    families = {u.attr.family for u in unknowns if u.op is ops.MEMBER}
    members = [t for t in postorder(root) if t.op is ops.MEMBER and t.attr.family in families] if families else []
    return list(dict.fromkeys((*unknowns, *members)))


@dataclass(frozen=True)
class Form:
    """A quadratic form in the directions, one for each unknown."""

    term: Term
    directions: tuple[Term, ...]

    @property
    def is_zero(self) -> bool:
        """True when it vanishes identically."""
        return self.term.op is ops.ZEROS or self.term is build.ZERO_NUM

    def at(self, rules: System, values: Mapping[Term, Term]) -> Form:
        """The form at a point."""
        return Form(rules.simplify(replace(self.term, values)), self.directions)

    def along(self, rules: System, kept: Iterable[Term]) -> Form:
        """The form where only some directions vary."""
        kept = tuple(kept)
        gone = {d: build.zeros(d.rows, d.cols) for d in self.directions if d not in kept}
        return Form(rules.simplify(replace(self.term, gone)), kept)

    def negated(self) -> Form:
        """The form times -1."""
        return Form(negative(self.term), self.directions)


def second_differential(rules: System, function: Term, unknowns: Sequence[Term]) -> Form | None:
    """d²f in the directions of the unknowns, all members of a family together; None where a rule is missing."""
    term = rules.simplify(function)
    try:
        for _ in range(2):
            term = rules.simplify(_differential(rules, term, unknowns))
    except NotDifferentiable:
        return None
    return Form(term, tuple(direction(u) for u in unknowns))


def _differential(rules: System, term: Term, unknowns: Sequence[Term]) -> Term:
    varying = leaves(term, unknowns)
    return put(derive.forward(rules, term, set(varying)), {build.diff(v): direction(v) for v in varying})


def put(term: Term, leaves: Mapping[Term, Term]) -> Term:
    """Leaves replaced, members at a bound index by members at that index."""
    return rebuild(term, lambda node, _args: leaves.get(node))


def one_of_many(function: Term, unknown: Term) -> bool:
    """The unknown is a member, and other members of its family occur."""
    return len(leaves(function, (unknown,))) > 1


def affine_parts(root: Term, unknowns: Collection[Term]) -> set[Term]:
    """The sub-terms that are affine in the unknowns as they are written: linear operations on one moving argument."""
    varying = set(leaves(root, unknowns))
    moving = dependents(root, varying)
    found: set[Term] = set()
    for node in postorder(root):
        if node not in moving or node in varying:
            found.add(node)
            continue
        at = [i for i, arg in enumerate(node.args) if arg in moving]
        linear = node.op.linear == (ops.ANY,) or all(i in node.op.linear for i in at) or node.op in _PRODUCTS
        alone = len(at) == 1 or node.op in (ops.ADD, ops.BLOCK)
        if linear and alone and all(node.args[i] in found for i in at):
            found.add(node)
    return found


_PRODUCTS = frozenset({ops.TIMES, ops.MUL, ops.HAD, ops.KRON})


def is_affine(rules: System, term: Term, unknowns: Sequence[Term]) -> bool:
    """True when the term is known to be affine in the unknowns, jointly."""
    if term in affine_parts(term, unknowns):
        return True
    try:
        first = rules.simplify(_differential(rules, rules.simplify(term), unknowns))
    except NotDifferentiable:
        return False
    return not any(contains(first, v) for v in leaves(first, unknowns))


# ---------------------------------------------------------------- signs of a form


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
    matrix = _by_matrix(prover, form, "psd")
    if matrix is not None and (best is None or matrix.proof.cost < best.proof.cost):
        return matrix
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
    matrix = _by_matrix(prover, form, "posdef", weak)
    if matrix is not None and (best is None or matrix.proof.cost < best.proof.cost):
        best = matrix
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
    return concluded(part, "nonneg", "definite", *([signs] if signs else []), core)


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
    from .definite import spread

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
    return None if premises is None else concluded(term, "nonneg", "definite", *premises)


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
        return Proof(term, "nonneg", "definite")
    weights = build.had(*others)
    positive = None if contains(weights, d) else prover.prove(weights, "positive")
    return concluded(term, "nonneg", "definite", positive) if positive else None


# ---------------------------------------------------------------- the matrix of a form


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


def _by_matrix(prover: Prover, form: Form, fact: str, weak: Proof | None = None) -> Signed | None:
    """The matrix of the form shown definite: of several directions by Schur complements."""
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
    if best is None:
        return None
    proof = concluded(form.term, "nonneg", "matrix of the form", best)
    return Signed(proof, fact == "posdef", form.term)


def _schur(prover: Prover, blocks: list[list[Term]], fact: str, weak: Proof | None) -> Proof | None:
    """The first block posdef, and what remains after eliminating it; of a form that is ≥ 0 that is psd anyway."""
    first = blocks[0][0]
    if len(blocks) == 1:
        regular = prover.unconditional.prove(first, "invertible") if weak is not None else None
        if weak is not None and regular is not None:
            return concluded(first, fact, "psd and invertible", weak, regular)
        return prover.prove(first, fact)
    if all(_is_zero(b) for b in blocks[0][1:]):
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


def _is_zero(term: Term) -> bool:
    return term.op is ops.ZEROS or term is build.ZERO_NUM


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
            if j == i or _is_zero(cross):
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
