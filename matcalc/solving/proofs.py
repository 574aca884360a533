"""How a proof is told: named steps of words and formulas."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.term import Term
from .definite import Proof
from .equation import Condition

if TYPE_CHECKING:
    from ..output.layout import IndexNames

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
        from ..output.latex import to_latex

        return "".join(_latex_words(w) if isinstance(w, str) else to_latex(w, names) for w in self.words)

    def __str__(self) -> str:
        return f"{self.text()}    [{self.rule}]"


_SYMBOLS = {"≥": r"\ge ", "≤": r"\le ", "≠": r"\ne ", "²": "^{2}"}


def _latex_words(words: str) -> str:
    for sign, command in _SYMBOLS.items():
        words = words.replace(sign, f"${command}$")
    return rf"\text{{{words}}}" if words else ""


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


def negative(term: Term) -> Term:
    """The negative, the sign inside a sum."""
    number, rest = build.coefficient(term)
    if rest.op is ops.ADD:
        return build.add(*(build.smul(build.num(-number), a) for a in rest.args))
    return build.neg(term)
