"""The recurrences of a printed term: which states belong together, and the names that they get."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from ..terms import ops
from ..terms.dims import Dim, Index, Name, SizeAt
from ..terms.symbols import Loop, Member, Range, Symbol, Unknown
from ..terms.term import Term
from ..terms.walk import attr_dims, postorder

INDICES = "ijklrstpquv"
STEPS = "kjilrstpquv"
FORWARD = "yzsuvwqrx"

BACKWARD = "egpqrwzyx"
"""Letters for what is bound and has no preferred name."""


@dataclass(eq=False)
class Chain:
    """A recurrence: what the states of it that occur in a term have in common.

    ``indices`` and ``slots`` are what it depends on and something around it binds; ``told`` are the
    recurrences that depend on its own index or state.
    """

    start: Term
    body: Term
    loop: Loop
    indices: frozenset[Index]
    slots: frozenset[Symbol]
    told: list[Chain] = field(default_factory=list)

    @property
    def count(self) -> int:
        """The number of states that it couples; 1 for a single one."""
        return len(self.body.args) if self.body.op is ops.JOINT else 1


Place = tuple[Chain | Symbol, int]
"""One of coupled recurrences, or the bound state of it."""

Scope = tuple[tuple[Index | Symbol | Chain | Place, str], ...]
"""What is bound and visible at a place, with its names, the outermost first.

An index and a recurrence have a name, the bound state of a recurrence the text ``y[k]``.
"""


class Chains:
    """The recurrences of a term, and where each is told: once, as far out as it can be."""

    def __init__(self, root: Term) -> None:
        self.slots: dict[Term, frozenset[Symbol]] = {}
        self.told: dict[Term, list[Chain]] = {}
        self.of: dict[Term, Chain] = {}
        self._order: dict[Chain, int] = {}
        self._found: dict[tuple[Term, Term, Loop], Chain] = {}
        self._free: dict[Term, frozenset[Chain]] = {}
        order = postorder(root)
        if any(term.op is ops.STATE or (term.op is ops.SYM and term.attr.role == "state") for term in order):
            for term in order:
                self._visit(term)
        self.outermost = self._listed(self._free.get(root, frozenset()))

    def within(self, term: Term) -> bool:
        """True when a recurrence, or the bound state of one, occurs in the term."""
        return term in self.of or term in self.slots or term in self._free or term in self.told

    def used_in(self, term: Term) -> frozenset[Chain]:
        """The recurrences that occur in the term and are not told inside it."""
        return self._free.get(term, frozenset())

    def _visit(self, term: Term) -> None:
        if isinstance(term.attr, Symbol) and term.attr.role == "state":
            self.slots[term] = frozenset((term.attr,))
            return
        if not term.args:
            return
        if isinstance(term.attr, Loop):
            self._state(term, term.attr)
            return
        self._keep(term, self._union(self.slots, term.args), self._union(self._free, term.args))
        if isinstance(term.attr, Range):
            index = term.attr.index
            free = self._free.get(term, frozenset())
            inside = frozenset(c for c in free if index in c.indices)
            if inside:
                self.told[term] = self._listed(inside)
                self._free[term] = free - inside

    def _state(self, term: Term, loop: Loop) -> None:
        start, body = term.args
        inner, slots = self._free.get(body, frozenset()), self.slots.get(body, frozenset()) - {loop.slot}
        slots |= self.slots.get(start, frozenset())
        key = (start, body, loop.moved(loop.first))
        made = self._found.get(key)
        if made is None:
            indices = start.indices | (body.indices - {loop.index}) | loop.first.indices
            made = Chain(start, body, key[2], indices, slots)
            made.told = self._listed(c for c in inner if loop.index in c.indices or loop.slot in c.slots)
            self._found[key] = made
            self._order[made] = len(self._order)
        self.of[term] = made
        free = self._free.get(start, frozenset()) | (inner - set(made.told)) | {made}
        self._keep(term, slots, free)

    def _keep(self, term: Term, slots: frozenset[Symbol], free: frozenset[Chain]) -> None:
        if slots:
            self.slots[term] = slots
        if free:
            self._free[term] = free

    def _union(self, table: dict[Term, frozenset[Any]], args: tuple[Term, ...]) -> frozenset[Any]:
        found: frozenset[Any] = frozenset()
        for arg in args:
            more = table.get(arg)
            if more is not None and more is not found:
                found = found | more if found else more
        return found

    def _listed(self, chains: Iterable[Chain]) -> list[Chain]:
        return sorted(chains, key=self._order.__getitem__)


def endless(letters: str) -> Iterator[str]:
    """The letters one by one, then the first with numbers."""
    yield from letters
    for number in count(1):
        yield f"{letters[0]}{number}"


def given_names(root: Term) -> set[str]:
    """All names that occur in the term: variables, families, sizes, unknown functions."""
    found: set[str] = set()
    dims: set[Dim] = set()
    for term in postorder(root):
        attr = term.attr
        if isinstance(attr, Symbol | Unknown):
            if attr.role != "state":
                found.add(attr.name)
        elif isinstance(attr, Member):
            found.add(attr.family.name)
        dims.update((term.rows, term.cols, *attr_dims(attr)))
    for size in dims:
        found.update(atom.name for atom in size.atoms() if isinstance(atom, Name | SizeAt))
    return found


def free_names(root: Term) -> set[str]:
    """The names that states and indices cannot have: those given, and the e of unit vectors."""
    return given_names(root) | ({"e"} if any(term.op is ops.BASIS for term in postorder(root)) else set())


def alike(start: object, other_start: Term, body: object, other_body: Term) -> bool:
    """True when a recurrence may be the one of a hint, up to the names of what is bound around it."""
    pairs = (start, other_start), (body, other_body)
    return all(isinstance(a, Term) and (a.op, a.depth, a.weight) == (b.op, b.depth, b.weight) for a, b in pairs)
