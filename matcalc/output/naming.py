"""Repeated large parts get a name: ``2*A'*v1 where v1 = A*x - b``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ..terms import build, ops
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import postorder, replace
from .chains import Chain, Chains, free_names, given_names
from .layout import IndexNames

LONG = 60
"""Terms that take fewer nodes than this when written out are printed whole."""

LARGE = 8
"""Parts smaller than this are never named."""


class Named(NamedTuple):
    """Terms with names for their repeated parts, and what the names stand for, inner ones first."""

    terms: list[Term]
    parts: list[tuple[Term, Term]]


def with_names(terms: Sequence[Term], together: bool = False) -> Named:
    """Name the parts that are used more than once, where one of the terms is long.

    A part is used by its value only: one with a bound index or a recurrence in it stays in its place.  The terms
    are read one by one, or ``together``, where what two of them have in common is used twice.
    """
    if (sum if together else max)(term.weight for term in terms) < LONG:
        return Named(list(terms), [])
    roots = list(dict.fromkeys(terms))
    groups = [roots] if together else [[root] for root in roots]
    found = {part for group in groups for part in _shared(group)}
    shared = sorted(found, key=lambda t: (t.depth, t.key))
    taken = {name for term in terms for name in free_names(term)}
    letter = next((a for a in "vwpq" if a not in taken), "v")  # v_1 is an entry or a member where there is a v
    names: dict[Term, Term] = {}
    number = 0
    for part in shared:
        number += 1
        while f"{letter}{number}" in taken:
            number += 1
        names[part] = build.sym(Symbol(f"{letter}{number}", part.rows, part.cols, frozenset(), "hidden"))
    parts = [(name, _inside(part, names)) for part, name in names.items()]
    return Named([replace(term, names) for term in terms], parts)


def told_together(terms: Sequence[Term], names: IndexNames | None) -> IndexNames:
    """The names for terms that are printed side by side: a letter that one of them has means nothing else in any."""
    given = sorted({name for term in terms for name in given_names(term)})
    return (*(names or ()), *((None, None, name) for name in given))


def _inside(part: Term, names: dict[Term, Term]) -> Term:
    others = {p: n for p, n in names.items() if p is not part}
    return replace(part, others)


def _shared(roots: Sequence[Term]) -> Iterator[Term]:
    """The large parts that would be written more than once.

    Counted from the outside: what stands inside a part that has a name is written once, in its place.
    """
    times: dict[Term, int] = dict.fromkeys(roots, 1)
    chains = [Chains(root) for root in roots]
    told: set[Chain] = set()
    for node in reversed(postorder(*roots)):
        count = times.get(node, 0)
        if count > 1 and _may_have_a_name(node) and not any(c.within(node) for c in chains):
            yield node
            count = 1
        chain = next((c.of[node] for c in chains if node in c.of), None)
        if chain is not None:  # a recurrence is told once, whatever the number of its states
            count = 0 if chain in told else 1
            told.add(chain)
        if node.op is not ops.DIFF:
            for arg in node.args:
                times[arg] = min(times.get(arg, 0) + count, 2)


def _may_have_a_name(node: Term) -> bool:
    return node.weight >= LARGE and not node.indices and not node.has_diff and node.op not in (ops.TRANSPOSE, ops.STATE)
