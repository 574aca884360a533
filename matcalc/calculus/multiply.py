"""Products multiplied out over sums, through every operation that is linear."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Set
from itertools import product

from ..terms import build, ops
from ..terms.term import Term

MAX_DEPTH = 40
"""Deeper terms are left as they are."""

PRODUCTS = frozenset({ops.SCALE, ops.TIMES, ops.MUL, ops.HAD, ops.KRON})
LINEAR = frozenset({ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.TR, ops.TOTAL, ops.DIAG, ops.DIAGONAL, ops.ENTRY, ops.SUM})
REGION = PRODUCTS | LINEAR | {ops.ADD}


class TooMany(Exception):
    """The sum would have more addends than wanted."""


def multiplied_out(
    term: Term, most: int, simplify: Callable[[Term], Term], whole: Set[Term] = frozenset()
) -> Term | None:
    """The term as a sum of simplified addends; None where nothing changes or too much would be made.

    The sums in ``whole`` stay together.
    """
    if term.depth > MAX_DEPTH:
        return None
    try:
        parts = _Expansion(most, simplify, whole).of(term)
    except TooMany:
        return None
    if len(parts) < 2 and term.op is not ops.ADD and parts == [term]:
        return None
    new = build.add(*parts)
    return None if new is term else new


def choices(term: Term) -> int | None:
    """Of a product of sums, the number of addends when none of them merge; None for a sum, or sums inside sums."""
    number = 1
    todo = [(term, False)]
    while todo:
        node, inside = todo.pop()
        if node.op is ops.ADD:
            if inside or node is term:
                return None
            number *= len(node.args)
            inside = True
        if node.op in REGION:
            todo += [(a, inside) for a in node.args]
    return number


class _Expansion:
    def __init__(self, most: int, simplify: Callable[[Term], Term], whole: Set[Term]) -> None:
        self.most = most
        self.whole = whole
        self.simplify = simplify
        self._known: dict[Term, list[Term]] = {}

    def of(self, term: Term) -> list[Term]:
        """The addends of a term."""
        if term.op not in REGION or term in self.whole:
            return [term]
        found = self._known.get(term)
        if found is None:
            found = self._known[term] = self._made(term)
            if len(found) > self.most:
                raise TooMany
        return found

    def _made(self, term: Term) -> list[Term]:
        inside = [self.of(a) for a in term.args]
        if term.op is ops.ADD:
            return self._merged(part for parts in inside for part in parts)
        if all(len(parts) == 1 and parts[0] is a for parts, a in zip(inside, term.args, strict=True)):
            return [term]
        count = 1
        for parts in inside:
            count *= len(parts)
        if count > self.most:
            raise TooMany
        return self._merged(self.simplify(build.with_args(term, args)) for args in product(*inside))

    def _merged(self, parts: Iterable[Term]) -> list[Term]:
        total = build.add(*parts)
        return list(total.args) if total.op is ops.ADD else [total]
