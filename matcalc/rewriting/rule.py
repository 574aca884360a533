"""What a rule file holds: rules, facts and implications."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from ..terms.dims import Dim
from ..terms.term import Term


class Has(NamedTuple):
    """Guard: ``term is fact`` (or ``is not``, meaning: not known to be)."""

    term: Term
    fact: str
    negated: bool


class Compare(NamedTuple):
    """Guard: a relation between dimensions that must be known to hold."""

    left: Dim
    relation: str
    right: Dim


Guard = Has | Compare


@dataclass(frozen=True, eq=False)
class Rule:
    """``[name] left -> right if guards``: equal wherever the guards hold, used from left to right.

    An ``ordered`` rule is used only where it makes the term smaller in the order of terms, so that
    ``tr(A*B) -> tr(B*A)`` chooses one of the rotations.  ``conditions`` (``assuming A is
    invertible``) are not looked up: they become conditions of the result.
    """

    name: str
    ruleset: str
    left: Term
    right: Term
    guards: tuple[Guard, ...] = ()
    conditions: tuple[Has, ...] = ()
    ordered: bool = False
    source: str = ""
    line: int = 0
    text: str = field(default="", repr=False)


@dataclass(frozen=True, eq=False)
class Fact:
    """``[name] term is fact if guards``."""

    name: str
    ruleset: str
    term: Term
    fact: str
    guards: tuple[Guard, ...] = ()
    source: str = ""
    line: int = 0
    text: str = field(default="", repr=False)


class Implication(NamedTuple):
    """``every premise is conclusion``."""

    premise: str
    conclusion: str


@dataclass
class RuleFile:
    """Everything that one file declares, in the order of the file."""

    ruleset: str
    rules: list[Rule] = field(default_factory=list)
    facts: list[Fact] = field(default_factory=list)
    implications: list[Implication] = field(default_factory=list)


FACTS = frozenset(
    {
        *("symmetric", "skew", "psd", "posdef", "invertible", "orthogonal", "stiefel"),
        *("diagonal", "lower", "upper", "fullrank", "fullrow", "posdet", "square"),
        *("positive", "nonneg", "nonzero", "integer"),
        *("principal", "simple", "distinct", "fixedrank", "maxrank"),
    }
)
"""The facts that rules and declarations may name."""

CURVATURES = frozenset({"convex", "concave", "affine", "constant"})
"""What an expression may be in the variables that a question is about; facts of ``rules/convexity.rules`` only."""
