"""The leaves of terms, and what the integers in them have to satisfy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ..terms import ops
from ..terms.dims import UNBOUNDED, Dim, Index, Name, SizeAt
from ..terms.symbols import Family, Loop, Member, Range, Symbol
from ..terms.term import Term
from ..terms.walk import attr_dims, postorder
from .evaluate import previous_states
from .operators import factors_of, has_indicator


@dataclass
class Found:
    """The leaves of the terms, and what their integers have to satisfy."""

    symbols: list[Symbol] = field(default_factory=list)
    families: dict[Family, None] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    shaping: set[Name] = field(default_factory=set)
    counting: set[Name] = field(default_factory=set)
    indexed: set[str] = field(default_factory=set)
    free: frozenset[Index] = frozenset()
    steps: set[Name] = field(default_factory=set)
    at_least: list[tuple[Dim, int]] = field(default_factory=list)
    throughout: dict[Around, list[Dim]] = field(default_factory=dict)

    def shape(self, *dims: Dim) -> None:
        """These are sides of arrays."""
        for d in dims:
            self._note(d, self.shaping)
            self.at_least.append((d, 1))

    def proportions(self, facts: frozenset[str], rows: Dim, cols: Dim) -> None:
        """What the facts of a matrix say of its sides."""
        if not facts.isdisjoint(("stiefel", "fullrank", "tall")):
            self.at_least.append((rows - cols, 0))
        if not facts.isdisjoint(("fullrow", "wide")):
            self.at_least.append((cols - rows, 0))

    def inside(self, at: Dim, lo: Dim | int, hi: Dim) -> None:
        """A place lies between two others."""
        self._note(at, self.counting)
        self.at_least += [(at - lo, 0), (hi - at, 0)]

    def range(self, lo: Dim, hi: Dim) -> None:
        """An index runs from one end to the other, or nowhere."""
        self._note(lo, self.shaping if lo.atom else self.counting)
        self._note(hi, self.shaping)
        if not (is_open(lo) or is_open(hi)):
            self.at_least.append((hi - lo + 1, 0))

    def loop(self, loop: Loop) -> None:
        """A recurrence has these sizes, and steps from one index to another."""
        self.other(loop.first, loop.at, loop.slot.rows, loop.slot.cols)
        self._note(loop.first, self.steps)
        self._note(loop.at, self.steps)

    def other(self, *dims: Dim) -> None:
        """These are numbers, and no sides."""
        for d in dims:
            self._note(d, self.counting)

    def _note(self, d: Dim, names: set[Name]) -> None:
        """The atoms of a dimension; what stands inside an indexed size is not a size itself."""
        for atom in (atom for monomial, _ in d.terms for atom, _power in monomial):
            if isinstance(atom, SizeAt):
                self.indexed.add(atom.name)
                self._note(atom.arg, self.counting)
            elif isinstance(atom, Index):
                self._note(atom.lo, names)
                self._note(atom.hi, names)
            elif isinstance(atom, Name) and atom is not UNBOUNDED.atom:
                names.add(atom)


Part = tuple[str, Index, Dim, Dim, int] | tuple[str, str, Dim, Dim]
Around = tuple[Part, ...]
"""What stands around a place, from the outside: indices with their first and last value, relations that hold."""

_MANY = 500
"""Bodies of loops looked at, the same body in another loop counted again."""


def is_open(d: Dim) -> bool:
    """True for the end of a range that has none."""
    return UNBOUNDED.atom in d.atoms()


def occurring(roots: Sequence[Term], symbols: Iterable[Symbol]) -> Found:
    """What occurs in terms, which may be parts of sums, and in the further ``symbols``."""
    found = Found(free=frozenset(index for root in roots for index in root.indices))
    for index in found.free:
        low, high = (index.lo, index.hi) if index.step > 0 else (index.hi, index.lo)
        found.range(low, high - 1)
    listed: dict[Symbol, None] = dict.fromkeys(symbols)
    previous = previous_states(*roots)
    listed.update((slot, None) for root in roots for slot in previous.get(root, ()))
    terms = postorder(*roots)
    recurrent = any(term.op is ops.STATE for term in terms)
    for term in terms:
        if term.op is ops.SYM and term not in previous:
            listed[term.attr] = None
        _scan_term(term, found, recurrent)
    if recurrent:
        _scan_loops(roots, found)
    found.symbols = sorted(listed, key=lambda s: s.stable)
    for symbol in found.symbols:
        found.shape(symbol.rows, symbol.cols)
        found.proportions(symbol.facts, symbol.rows, symbol.cols)
    return found


def _scan_term(term: Term, found: Found, recurrent: bool) -> None:
    attr = term.attr
    if term.op is ops.FUN and not isinstance(attr, str):
        found.functions.add(attr.name)
    elif isinstance(attr, Member):
        found.families[attr.family] = None
        index = attr.family.index
        found.range(index.lo, index.hi)
        if recurrent:
            found.other(attr.at)
        else:
            found.inside(attr.at, index.lo, index.hi)
        found.shape(term.rows, term.cols)
        found.proportions(attr.family.facts, term.rows, term.cols)
    elif isinstance(attr, Range):
        lo, hi = attr.index.lo, attr.index.hi
        found.range(*((lo, hi) if attr.step == 1 else (hi, lo)))
    elif isinstance(attr, Loop):
        found.loop(attr)
    elif term.op is ops.ENTRY:
        found.inside(attr[0], 1, term.args[0].rows)
        found.inside(attr[1], 1, term.args[0].cols)
    elif term.op is ops.SLICE:
        array = term.args[0]
        for first, last, length in ((attr[0], attr[1], array.rows), (attr[2], attr[3], array.cols)):
            found.inside(first, 1, last)
            found.inside(last, first, length)
    elif term.op is ops.POLYGAMMA:
        found.other(attr)
        found.at_least.append((attr, 0))
    elif term.op is ops.BASIS:
        found.inside(attr[0], 1, attr[1])
        found.shape(attr[1])
    elif term.op is ops.EIGVECS:
        found.inside(attr, 1, term.rows)
    elif not term.args and term.op not in (ops.INT, ops.IND):
        found.shape(*attr_dims(attr))
    else:
        found.other(*attr_dims(attr))


def _scan_loops(roots: Sequence[Term], found: Found) -> None:
    """What members and states have to satisfy at every step of the recurrences around them."""
    todo: list[tuple[Term, Around]] = [(root, ()) for root in reversed(roots)]
    seen: set[tuple[Term, Around]] = set()
    while todo and len(seen) < _MANY:
        root, around = todo.pop()
        if (root, around) in seen:
            continue
        seen.add((root, around))
        stack, met = [root], {root}
        while stack:
            term = stack.pop()
            args: Sequence[Term] = term.args
            if has_indicator(term):
                factors = factors_of(term)
                held: Around = tuple(("where", *f.attr) for f in factors if f.op is ops.IND)
                todo += [(f, (*around, *held)) for f in factors if f.op is not ops.IND]
                args = ()
            elif term.op.binder:
                todo.append((term.args[-1], (*around, _steps(term.attr))))
                args = term.args[:-1]
            _scan_place(term, around, found)
            fresh = [arg for arg in args if arg not in met]
            met.update(fresh)
            stack += fresh


def _steps(attr: Range | Loop) -> Part:
    index = attr.index
    if isinstance(attr, Loop):
        return ("each", index, attr.first, attr.at - attr.step, attr.step)
    return ("each", index, index.lo, index.hi, attr.step)


def _scan_place(term: Term, around: Around, found: Found) -> None:
    attr = term.attr
    if isinstance(attr, Loop):
        found.throughout.setdefault(around, []).append((attr.at - attr.first) * attr.step)
    elif isinstance(attr, Member):
        index = attr.family.index
        found.throughout.setdefault(around, []).extend([attr.at - index.lo, index.hi - attr.at])
