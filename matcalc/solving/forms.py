"""The second differential as a quadratic form in the directions, and proofs of its sign."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..calculus import derive
from ..calculus.system import System
from ..errors import NotDifferentiable
from ..terms import build, ops
from ..terms.symbols import Family, Symbol
from ..terms.term import Term
from ..terms.walk import contains, dependents, postorder, rebuild, replace
from .parts import negative

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


def even_norms(term: Term) -> Term:
    """The term with ‖x‖⁴ written (x'*x)², which is smooth at 0 as it stands."""
    return rebuild(term, _even_norm)


def _even_norm(node: Term, args: tuple[Term, ...]) -> Term | None:
    if node.op is not ops.POW or args[0].op is not ops.NORM or args[1].op is not ops.NUM:
        return None
    half = Fraction(args[1].attr) / 2
    if half.denominator != 1 or half < 1:
        return None
    inside = args[0].args[0]
    square = build.mul(build.transpose(inside), inside)
    return build.power_of(square if square.is_scalar else build.tr(square), build.num(int(half)))


def is_affine(rules: System, term: Term, unknowns: Sequence[Term]) -> bool:
    """True when the term is known to be affine in the unknowns, jointly."""
    if term in affine_parts(term, unknowns):
        return True
    try:
        first = rules.simplify(_differential(rules, rules.simplify(term), unknowns))
    except NotDifferentiable:
        return False
    return not any(contains(first, v) for v in leaves(first, unknowns))
