"""Equations, the steps of a solution, and the solution itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import postorder


@dataclass(frozen=True)
class Equation:
    """``left = right``, of one shape."""

    left: Term
    right: Term

    @property
    def residual(self) -> Term:
        """left - right."""
        return build.sub(self.left, self.right)

    def __str__(self) -> str:
        return f"{self.left} = {self.right}"


@dataclass(frozen=True)
class Condition:
    """Something that must hold, whether it follows from what was declared, and why."""

    term: Term
    fact: str
    known: bool
    reason: str = ""

    def __str__(self) -> str:
        text = f"{self.term} is {self.fact}"
        return f"{text}: {self.reason}" if self.reason else text


@dataclass(frozen=True)
class SolveStep:
    """One equation made into the next by a named strategy or rule."""

    rule: str
    before: Equation
    after: Equation
    conditions: tuple[Condition, ...] = ()

    def __str__(self) -> str:
        return f"{self.after}    [{self.rule}]"


@dataclass
class Solution:
    """The unknowns in terms of the other variables, the conditions, and the steps that lead there."""

    values: dict[Term, Term]
    conditions: list[Condition] = field(default_factory=list)
    steps: list[SolveStep] = field(default_factory=list)
    equations: list[Equation] = field(default_factory=list)
    shown: dict[Term, Term] = field(default_factory=dict)
    """Values that are shorter with other unknowns in them, as they are printed."""
    notes: list[str] = field(default_factory=list)


def occurrences(term: Term, unknown: Term) -> int:
    """How often the unknown occurs, counted along every path of a bounded number."""
    count: dict[Term, int] = {}
    for node in postorder(term):
        count[node] = 1 if node is unknown else min(sum(count[a] for a in node.args), 10_000)
    return count[term]


def under_inverse(term: Term, unknown: Term) -> int:
    """How often the unknown occurs inside an inverse."""
    total = 0
    for node in postorder(term):
        if node.op is ops.INV:
            total += occurrences(node, unknown)
    return total
