"""What is known about a term: symmetric, positive definite, invertible, positive …

Facts come from declarations, from assumptions and from the rows of ``rules/facts.rules``; they are
looked up by guards and never rewrite anything.  A query that needs other queries runs on an
explicit stack, so the depth of a term does not matter.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from copy import copy
from itertools import islice
from typing import NamedTuple

from ..terms import build, ops
from ..terms.dims import dim, known_nonnegative
from ..terms.term import Term
from .match import instantiate, instantiate_dim, match
from .rule import Compare, Fact, Guard, Has, Implication

Query = tuple[Term, str]


class Reason(NamedTuple):
    """Why a fact is known: the row (or ``declared``, ``assumed``) and what it rests on."""

    rule: str
    premises: tuple[Query, ...] = ()


PAIRED = {"symmetric": "symmetric-pair", "skew": "skew-difference"}
"""The rows that speak of two addends, one the transpose of the other."""

MAX_WEIGHT = 400
"""Of a sum that is longer when written out the addends are not held against one another."""

MAX_OPERANDS = 64
"""Of a sum with more operands than this nothing is concluded."""

LONG = 12
"""Of a product with more factors than this only the first split that a row finds is looked at, not all of them."""


def closure(implications: Iterable[Implication]) -> dict[str, frozenset[str]]:
    """For each fact, everything that implies it (itself included)."""
    pairs = set(implications)
    names = {n for pair in pairs for n in pair}
    implied_by = {n: {n} for n in names}
    changed = True
    while changed:
        changed = False
        for premise, conclusion in pairs:
            before = len(implied_by[conclusion])
            implied_by[conclusion] |= implied_by[premise]
            changed |= len(implied_by[conclusion]) != before
    return {n: frozenset(v) for n, v in implied_by.items()}


def _untransposed(term: Term) -> Term:
    return term.args[0] if term.op is ops.TRANSPOSE else term


def _ends(product: Term) -> bool:
    """True when the first factor is the last one, or its transpose."""
    return _untransposed(product.args[0]) is _untransposed(product.args[-1])


_NAMES = (ops.SYM, ops.MEMBER)


def _may_be_mirrored(product: Term) -> bool:
    """False when the first and the last factor are different variables: the product is no ``A'*B*A``."""
    first, last = _untransposed(product.args[0]), _untransposed(product.args[-1])
    return first is last or first.op not in _NAMES or last.op not in _NAMES


class Facts:
    """Answers ``has(term, fact)`` under a set of assumptions about expressions."""

    def __init__(
        self, rows: Iterable[Fact], implications: Iterable[Implication], assumptions: frozenset[Query] = frozenset()
    ) -> None:
        self._implied_by = closure(implications)
        self.assumptions = assumptions
        self._rows: dict[tuple[object, str], list[Fact]] = {}
        for row in rows:
            self._rows.setdefault((row.term.op, row.fact), []).append(row)
        self._mirrored = {row for row in rows if row.term.op is ops.MUL and _ends(row.term)}
        """Rows about products that end as they begin: ``A'*B*A``."""
        self._known: dict[Query, bool] = {}
        self._why: dict[Query, Reason] = {}

    def under(self, assumptions: Iterable[Query]) -> Facts:
        """The same rows under other assumptions."""
        other = copy(self)
        other.assumptions = frozenset(assumptions)
        other._known, other._why = {}, {}
        return other

    def has(self, term: Term, fact: str) -> bool:
        """True when the fact is known to hold; False means not known."""
        query = (term, fact)
        known = self._known.get(query)
        if known is not None:
            return known
        stack: list[tuple[Query, Generator[Query, bool, bool]]] = [(query, self._prove(term, fact))]
        active = {query}
        answer: bool | None = None
        while stack:
            current, proof = stack[-1]
            try:
                wanted = proof.send(answer) if answer is not None else next(proof)
            except StopIteration as done:
                self._known[current] = done.value
                active.discard(current)
                stack.pop()
                answer = done.value
                continue
            answer = self._known.get(wanted)
            if answer is None:
                if wanted in active:
                    answer = False
                else:
                    active.add(wanted)
                    stack.append((wanted, self._prove(*wanted)))
        return self._known[query]

    def _prove(self, term: Term, fact: str) -> Generator[Query, bool, bool]:
        if fact == "square":
            return term.is_square
        sufficient = self._implied_by.get(fact, frozenset((fact,)))
        if term.is_scalar and fact in _SCALAR_MEANING:
            meaning = _SCALAR_MEANING[fact]
            if meaning is None:
                return True
            self._why[(term, fact)] = Reason("scalar", ((term, meaning),))
            return (yield (term, meaning))
        for name in sorted(sufficient):
            if (term, name) in self.assumptions:
                self._why[(term, fact)] = Reason("assumed", ((term, name),))
                return True
        declared = _declared(term)
        if declared and not declared.isdisjoint(sufficient):
            self._why[(term, fact)] = Reason("declared", ((term, min(declared & sufficient)),))
            return True
        if term.op is ops.NUM and _number_has(term, sufficient):
            return True
        if term.op is ops.INT and not sufficient.isdisjoint(_of_integer(term)):
            return True
        if len(term.args) > MAX_OPERANDS:
            return False
        if term.op is ops.ADD and fact in PAIRED and term.weight <= MAX_WEIGHT:
            left = self._unpaired(term, fact)
            if len(left) < len(term.args):
                for addend in left:
                    if not (yield (addend, fact)):
                        return False
                self._why[(term, fact)] = Reason(PAIRED[fact], tuple((addend, fact) for addend in left))
                return True
        long = term.op is ops.MUL and len(term.args) > LONG
        open_ended = term.op is ops.MUL and not _may_be_mirrored(term)
        for name in (fact, *sorted(sufficient - {fact})):
            for row in self._rows.get((term.op, name), ()):
                if open_ended and row in self._mirrored:
                    continue
                for bindings in islice(match(row.term, term, {}), 1 if long else None):
                    holds = True
                    premises: list[Query] = []
                    for guard in row.guards:
                        if isinstance(guard, Has):
                            premise = (instantiate(guard.term, bindings), guard.fact)
                            premises.append(premise)
                            answer = yield premise
                            holds = answer != guard.negated
                        else:
                            holds = _compare(guard, bindings)
                        if not holds:
                            break
                    if holds:
                        self._why[(term, fact)] = Reason(row.name, tuple(premises))
                        return True
        return False

    def _unpaired(self, total: Term, fact: str) -> list[Term]:
        """The addends of a sum whose transpose, or minus its transpose, is no other addend."""
        left = dict.fromkeys(total.args)
        for addend in total.args:
            other = self._mirrored_term(addend if fact == "symmetric" else build.neg(addend))
            if addend in left and other in left and other is not addend:
                del left[addend], left[other]
        return list(left)

    def _mirrored_term(self, term: Term) -> Term:
        """The transpose of a product, taken into its factors."""
        if term.op is ops.MUL:
            return build.mul(*(self._mirrored_term(f) for f in reversed(term.args)))
        if term.op is ops.SCALE:
            return build.scale(term.args[0], self._mirrored_term(term.args[1]))
        if term.op is ops.ADD:
            return build.add(*(self._mirrored_term(a) for a in term.args))
        if term.op is ops.INV:
            return build.inv(self._mirrored_term(term.args[0]))
        if not term.is_square or not self._symmetric_leaf(term):
            return build.transpose(term)
        return term

    def _symmetric_leaf(self, term: Term) -> bool:
        known = self._implied_by.get("symmetric", frozenset())
        return not known.isdisjoint(_declared(term)) or any((term, name) in self.assumptions for name in known)

    def explain(self, term: Term, fact: str) -> list[tuple[Query, Reason]]:
        """The rows that prove a known fact, conclusions before what they rest on; empty if not known."""
        if not self.has(term, fact):
            return []
        found: dict[Query, Reason] = {}
        todo = [(term, fact)]
        while todo:
            query = todo.pop()
            reason = self._why.get(query)
            if reason is None or query in found:
                continue
            found[query] = reason
            if reason.rule not in ("declared", "assumed"):
                todo.extend(reversed(reason.premises))
        return list(found.items())

    def holds(self, guard: Guard, bindings: dict[object, object]) -> bool:
        """True when a guard of a rule is known to hold under the bindings of a match."""
        if isinstance(guard, Compare):
            return _compare(guard, bindings)
        return self.has(instantiate(guard.term, bindings), guard.fact) != guard.negated


_SCALAR_MEANING: dict[str, str | None] = {
    "symmetric": None,
    "diagonal": None,
    "lower": None,
    "upper": None,
    "psd": "nonneg",
    "posdef": "positive",
    "posdet": "positive",
    "invertible": "nonzero",
    "fullrank": "nonzero",
    "fullrow": "nonzero",
    "fixedrank": "nonzero",
    "maxrank": "nonzero",
    "principal": "positive",
    "simple": None,
    "distinct": None,
}
"""What a fact about matrices means for a 1×1 one; None: always true."""


def _declared(term: Term) -> frozenset[str]:
    facts: frozenset[str] = frozenset()
    if term.op is ops.SYM:
        facts = term.attr.facts
    elif term.op is ops.MEMBER:
        facts = term.attr.family.facts
    return facts


def _of_integer(term: Term) -> frozenset[str]:
    """What holds of every size and index: names are integers >= 0, an index lies in its range."""
    d = dim(term.attr)
    if not known_nonnegative(d):
        return frozenset(("integer",))
    return frozenset(("integer", "nonneg", "positive") if known_nonnegative(d - 1) else ("integer", "nonneg"))


def _number_has(term: Term, sufficient: frozenset[str]) -> bool:
    value = term.attr
    return (
        (value > 0 and "positive" in sufficient)
        or (value >= 0 and "nonneg" in sufficient)
        or (value != 0 and "nonzero" in sufficient)
        or (isinstance(value, int) and "integer" in sufficient)
    )


def _compare(guard: Compare, bindings: dict[object, object]) -> bool:
    left, right = instantiate_dim(guard.left, bindings), instantiate_dim(guard.right, bindings)
    if left is None or right is None:
        return False
    if guard.relation == "=":
        return left is right
    if guard.relation == "!=":
        difference = (left - right).constant
        return difference is not None and difference != 0
    gap = {"<=": right - left, "<": right - left - 1, ">=": left - right, ">": left - right - 1}[guard.relation]
    return known_nonnegative(gap)
