"""Derivations as lists of steps, each a named rule, the whole term before and after."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..errors import LimitExceeded
from ..terms.term import Term
from .engine import Applied, Rewriter

MAX_STEPS = 2000

EQUAL = "equal"
IDENTIFY = "identify"
DERIVATIVE = "derivative"
RESTRICT = "restrict"
LEMMA = "lemma"

INDUCTION = "induction over the index"
"""The rule of a step in which a part is named as the state of a recurrence of its own."""


@dataclass(frozen=True)
class Step:
    """One step: ``before`` becomes ``after`` by ``rule``, provided the conditions hold.

    ``kind`` is ``equal`` (both sides have one value), ``identify`` (a differential
    ``inner(G, dX)`` or ``J*vec(dX)`` is read off as the derivative G or J, a row ``vec(G)'`` as G),
    ``derivative`` (``after`` is the Jacobian of ``before``: the chain rule), or ``restrict`` (from the
    derivative by independent entries to the one along the structure of the variable), or ``lemma``
    (equal too, on the way to something that a later step uses).
    """

    rule: str
    before: Term
    after: Term
    conditions: tuple[tuple[Term, str], ...] = ()
    kind: str = EQUAL

    def __str__(self) -> str:
        return f"{self.before}  =  {self.after}    [{self.rule}]"


def preorder(root: Term) -> Iterator[Term]:
    """Distinct sub-terms, a term before its arguments, from the left."""
    seen: set[Term] = set()
    stack = [root]
    while stack:
        term = stack.pop()
        if term in seen:
            continue
        seen.add(term)
        yield term
        stack.extend(reversed(term.args))


def stepwise(rewriter: Rewriter, term: Term) -> list[Step]:
    """The way to the normal form, outermost places first; one rule used at all its places is one step."""
    steps: list[Step] = []
    settled: dict[Term, Applied | None] = {}
    seen = {term}
    while len(steps) < MAX_STEPS:
        hits: dict[Term, Applied] = {}
        rule: str | None = None
        for node in preorder(term):
            if node in settled:
                applied = settled[node]
            else:
                applied = settled[node] = rewriter.apply_at_root(node)
            if applied is None or (rule is not None and applied.rule.name != rule):
                continue
            if rule is None:
                rule = applied.rule.name
            hits[node] = applied
        if rule is None:
            return steps
        after = replace_outermost(term, {t: a.after for t, a in hits.items()})
        conditions = dict.fromkeys(c for a in hits.values() for c in a.conditions)
        if after is not term:
            if after in seen:  # rules that turn terms into one another
                return steps
            steps.append(Step(rule, term, after, tuple(conditions)))
        seen.add(after)
        term = after
    raise LimitExceeded(f"the derivation has more than {MAX_STEPS} steps")


def replace_outermost(term: Term, mapping: dict[Term, Term]) -> Term:
    """Replace the places in ``mapping`` that lie inside no other of them; bound indices stay as they are."""
    from ..terms.rebuild import with_args

    made: dict[Term, Term] = dict(mapping)
    stack = [term]
    while stack:
        node = stack[-1]
        if node in made:
            stack.pop()
            continue
        waiting = [a for a in node.args if a not in made]
        if waiting:
            stack.extend(waiting)
            continue
        args = tuple(made[a] for a in node.args)
        made[node] = node if args == node.args else with_args(node, args)
        stack.pop()
    return made[term]


def joined(*parts: list[Step]) -> list[Step]:
    """Several derivations one after the other, steps that change nothing left out."""
    return [s for part in parts for s in part if s.before is not s.after]
