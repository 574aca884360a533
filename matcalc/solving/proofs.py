"""Proofs as trees of claims, and how they are told: named steps of words and formulas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import postorder, rebuild
from .equation import Condition

if TYPE_CHECKING:
    from ..output.layout import IndexNames

SIGNS = frozenset({"positive", "nonneg", "nonzero"})
DEFINITE = frozenset({"posdef", "psd"})
RANKS = frozenset({"fullrank", "fullrow", "invertible"})
STRONG = {"positive": "nonneg", "posdef": "psd"}
"""The strict facts, and what each is without strictness."""

IMPLIED_BY = {
    "nonneg": ("positive",),
    "nonzero": ("positive",),
    "psd": ("posdef",),
    "invertible": ("posdef",),
    "symmetric": ("posdef", "psd"),
}
"""The facts that make another one needless to say of the same term."""


@dataclass(frozen=True)
class Proof:
    """A claim, the rule that shows it, what it rests on, and the conditions under which it holds."""

    term: Term
    fact: str
    rule: str
    premises: tuple[Proof, ...] = ()
    conditions: frozenset[Query] = frozenset()
    since: tuple[Query, ...] = ()
    """The declarations and assumptions that a known fact comes from."""

    @property
    def cost(self) -> tuple[float, int]:
        """Fewest and simplest conditions first, then the shortest proof."""
        return weight(self.conditions), len(self.premises)

    def lines(self) -> list[Proof]:
        """The proofs inside, each once, premises before what they show."""
        found: dict[tuple[Term, str], Proof] = {}

        def visit(proof: Proof) -> None:
            for premise in proof.premises:
                visit(premise)
            found.setdefault((proof.term, proof.fact), proof)

        visit(self)
        return list(found.values())


def weight(conditions: Iterable[Query]) -> float:
    """The more and the less simple the conditions, the heavier."""
    return sum(_weight(*c) for c in conditions)


def _weight(term: Term, fact: str) -> float:
    if term.op is ops.INT:
        return 0.5
    if term.op in (ops.SYM, ops.MEMBER):
        if fact in ("positive", "nonzero") and not term.is_scalar:
            return 1.1
        return 1.0 if fact in SIGNS or fact in RANKS else 1.2 if term.op is ops.SYM and term.attr.facts else 3.0
    return 1.5 + len(postorder(term)) / 50 + (0.1 if fact == "positive" else 0)


def concluded(term: Term, fact: str, rule: str, *premises: Proof) -> Proof:
    """A proof from premises; its conditions are theirs."""
    conditions: frozenset[Query] = frozenset().union(*(p.conditions for p in premises))
    return Proof(term, fact, rule, premises, conditions)


def with_fewest(proof: Proof) -> Proof:
    """Without the conditions that others of the same proof imply: t ≥ 0 where t > 0 is needed."""
    kept = frozenset(
        (term, fact)
        for term, fact in proof.conditions
        if not any((term, strong) in proof.conditions for strong in IMPLIED_BY.get(fact, ()))
    )
    return Proof(proof.term, proof.fact, proof.rule, proof.premises, kept)


def reduced(conditions: Iterable[Query]) -> frozenset[Query]:
    """Conditions without those that others imply."""
    given = frozenset(conditions)
    return with_fewest(Proof(build.ZERO_NUM, "", "", (), given)).conditions


# ---------------------------------------------------------------- told

Words = tuple[str | Term, ...]


@dataclass(frozen=True)
class ProofStep:
    """One line of a proof: the rule's name, and what it shows, as words and terms."""

    rule: str
    words: Words
    conditions: tuple[Condition, ...] = ()

    def text(self, names: IndexNames | None = None) -> str:
        """One line for the terminal."""
        from ..output.text import to_unicode

        return "".join(w if isinstance(w, str) else to_unicode(w, names) for w in self.words)

    def latex(self, names: IndexNames | None = None) -> str:
        """The line as LaTeX, words in ``\\text``."""
        from ..output.latex import latex_words, to_latex

        return "".join(
            latex_words(w) if isinstance(w, str) else to_latex(_with_differentials(w), names) for w in self.words
        )

    def __str__(self) -> str:
        return f"{self.text()}    [{self.rule}]"


def _with_differentials(term: Term) -> Term:
    """The symbol called dX as the differential of X, which LaTeX writes with an upright d."""
    return rebuild(term, _differential_of)


def _differential_of(node: Term, args: tuple[Term, ...]) -> Term | None:
    if node.op is ops.SYM and node.attr.role == "direction":
        return build.diff(build.sym(replace(node.attr, name=node.attr.name[1:], role="variable")))
    if node.op is ops.MEMBER and node.attr.family.role == "direction":
        family = replace(node.attr.family, name=node.attr.family.name[1:], role="variable")
        return build.diff(build.member(family, node.attr.at))
    return None


def listed(terms: Sequence[Term]) -> Words:
    """Terms with commas between them."""
    found: list[str | Term] = []
    for i, term in enumerate(terms):
        found += [", ", term] if i else [term]
    return tuple(found)


def claim_words(term: Term, fact: str) -> Words:
    """A fact as it is said: ``t > 0``, ``A'*A is positive semidefinite``."""
    from ..output.derivation import fact_words

    return term, f" {fact_words(term, fact)}"


def lines_of(proof: Proof) -> list[ProofStep]:
    """The lines of a proof that are more than looking at a declaration."""
    steps: list[ProofStep] = []
    for line in proof.lines():
        if line.rule in ("declared", "condition") or line.term.op in (ops.NUM, ops.INT):
            continue
        steps.append(line_of(line))
    return steps


def line_of(proof: Proof) -> ProofStep:
    """The claim of a proof, with the declarations that it comes from."""
    words = list(claim_words(proof.term, proof.fact))
    for i, (term, fact) in enumerate(proof.since):
        words += [", " if i else ", since ", *claim_words(term, fact)]
    return ProofStep(proof.rule, tuple(words))


def conditions_of(conditions: Iterable[Query], reason: str) -> tuple[Condition, ...]:
    """Open conditions, each with the reason why it is needed, in a fixed order."""
    ordered = sorted(set(conditions), key=lambda c: (c[0].key, c[1]))
    return tuple(Condition(term, fact, False, reason) for term, fact in ordered)
