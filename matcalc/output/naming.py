"""Repeated large parts get a name: ``2*A'*v1 where v1 = A*x - b``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..terms import build
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import postorder, replace
from .layout import Chain, Chains, free_names

LONG = 80
"""Terms that take fewer nodes than this when written out are printed whole."""

LARGE = 8
"""Parts smaller than this are never named."""


class Named(NamedTuple):
    """Terms with names for their repeated parts, and what the names stand for, inner ones first."""

    terms: list[Term]
    parts: list[tuple[Term, Term]]


def with_names(terms: Sequence[Term]) -> Named:
    """Name the parts that are used more than once, where one of the terms is long.

    A part is used by its value only: one with a bound index or a recurrence in it stays in its place.
    """
    if all(term.weight < LONG for term in terms):
        return Named(list(terms), [])
    shared = _shared(terms)
    taken = {name for term in terms for name in free_names(term)}
    names: dict[Term, Term] = {}
    number = 0
    for part in shared:
        number += 1
        while f"v{number}" in taken:
            number += 1
        names[part] = build.sym(Symbol(f"v{number}", part.rows, part.cols, frozenset(), "hidden"))
    parts = [(name, _inside(part, names)) for part, name in names.items()]
    return Named([replace(term, names) for term in terms], parts)


def _inside(part: Term, names: dict[Term, Term]) -> Term:
    others = {p: n for p, n in names.items() if p is not part}
    return replace(part, others)


def _shared(terms: Iterable[Term]) -> list[Term]:
    """The large parts with more than one use in one of the terms, inner ones first."""
    found: dict[Term, None] = {}
    for root in dict.fromkeys(terms):
        uses: dict[Term, int] = {}
        order = postorder(root)
        chains = Chains(root)
        told: set[Chain] = set()
        for node in order:
            one = chains.of.get(node)
            if one in told:
                continue  # a recurrence is told once, whatever the number of its states
            if one is not None:
                told.add(one)
            for arg in node.args:
                uses[arg] = uses.get(arg, 0) + 1
        for node in order:
            if uses.get(node, 0) > 1 and node.weight >= LARGE and not node.indices and not node.has_diff:
                if not chains.within(node):
                    found[node] = None
    return sorted(found, key=lambda t: (t.depth, t.key)) if found else []


