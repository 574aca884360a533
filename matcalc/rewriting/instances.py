"""Random instances of a row's left side: terms in place of its variables.

A matrix variable becomes a matrix, a vector, a row, a sum or a product, with the facts that the
guards ask for; a body ``e[i]`` depends on i; a range has length 0, 1, 3 or a symbolic one; a size is
a letter (maybe one that the row uses for something else), shared with other sizes, or 1.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import NamedTuple
from zlib import crc32

from ..errors import MatcalcError, ShapeError
from ..terms import build, ops
from ..terms.dims import ONE, ZERO, Dim, Index, Name, dim
from ..terms.symbols import Family, Symbol, Unknown
from ..terms.term import Term
from ..terms.walk import attr_dims, postorder
from .facts import Query
from .loader import LinearRow
from .match import HOLE, Bindings, instantiate_dim, is_variable
from .rule import Fact, Guard, Has, Rule

Row = Rule | Fact | LinearRow

DRAWS = 80
"""Instances of one row that are drawn at most."""
STYLES = ("distinct", "equal", "some ones", "distinct", "mixed")
LETTERS = tuple("mnpqruvwdc")


# ---------------------------------------------------------------- what a pattern holds


@dataclass
class Pattern:
    """The variables of a row, by what may be put in their place."""

    symbols: dict[Symbol, None] = field(default_factory=dict)
    families: dict[Family, None] = field(default_factory=dict)
    functions: dict[str, None] = field(default_factory=dict)
    ranges: dict[tuple[Dim, Dim], None] = field(default_factory=dict)
    shapes: dict[Name, None] = field(default_factory=dict)
    places: dict[Name, None] = field(default_factory=dict)
    numbers: dict[Name, None] = field(default_factory=dict)


def pattern_of(*terms: Term) -> Pattern:
    """The variables that occur in the left side of a row."""
    found = Pattern()
    for term in postorder(*terms):
        _note(term, found)
    ends = {atom for pair in found.ranges for end in pair for atom in end.atoms()}
    for table in (found.places, found.numbers):
        for name in [n for n in table if n in found.shapes or n in ends]:
            del table[name]
    return found


def _note(term: Term, found: Pattern) -> None:
    if is_variable(term):
        found.symbols[term.attr] = None
        _names((term.rows, term.cols), found.shapes)
    elif term.op is ops.MEMBER:
        found.families[term.attr.family] = None
        _names((term.attr.family.rows, term.attr.family.cols), found.shapes)
    elif term.op.binder:
        found.ranges[term.attr.index.lo, term.attr.index.hi] = None
    elif isinstance(term.attr, Unknown):
        found.functions[term.attr.name] = None
    elif term.op in (ops.ENTRY, ops.BASIS):
        _names(term.attr[: 2 if term.op is ops.ENTRY else 1], found.places)
        _names(term.attr[1:] if term.op is ops.BASIS else (), found.shapes)
    elif term.op in (ops.SLICE, ops.POLYGAMMA):
        _names(attr_dims(term.attr), found.places)
    elif term.op in (ops.MPOW, ops.INT):
        _names(attr_dims(term.attr), found.numbers)
    else:
        _names(attr_dims(term.attr), found.shapes)


def _names(dims: Iterable[Dim], into: dict[Name, None]) -> None:
    for d in dims:
        into.update(dict.fromkeys(sorted((a for a in d.atoms() if isinstance(a, Name)), key=str)))


# ---------------------------------------------------------------- instances of a pattern


class Wanted(NamedTuple):
    """What must hold of the variables: facts of symbols and bodies, and of other expressions."""

    of_symbol: dict[str, frozenset[str]]
    of_term: tuple[Has, ...]


def wanted_of(guards: Iterable[Guard], conditions: Iterable[Has]) -> Wanted:
    """What guards and conditions ask for."""
    of_symbol: dict[str, frozenset[str]] = {}
    of_term: list[Has] = []
    for has in [*(g for g in guards if isinstance(g, Has) and not g.negated), *conditions]:
        name = variable_name(has.term)
        if name is None:
            of_term.append(has)
        else:
            of_symbol[name] = of_symbol.get(name, frozenset()) | {has.fact}
    return Wanted(of_symbol, tuple(of_term))


def variable_name(term: Term) -> str | None:
    """The name of a term that is a variable or a body."""
    if is_variable(term):
        return str(term.attr.name)
    return str(term.attr.family.name) if term.op is ops.MEMBER else None


DRAWN = {
    "fullrank": frozenset({"tall"}),
    "fullrow": frozenset({"wide"}),
    "nonzero": frozenset[str](),
    "fixedrank": frozenset[str](),
    "maxrank": frozenset[str](),
}
"""How variables are drawn for a fact that the sampler has no draw for: full rank is what a random matrix has."""


class Instance:
    """Random terms in place of the variables of a pattern.

    ``plain`` instances put variables for variables only, so that they are as general as can be.
    """

    def __init__(self, pattern: Pattern, wanted: Wanted, seed: int, *, style: str, plain: bool = False) -> None:
        self.rng = Random(seed)
        self.plain = plain
        self.wanted = wanted
        self.prefix = self.rng.choice(("", "A.", "b.", "z."))
        self.assumptions: set[Query] = set()
        self.bindings: Bindings = {}
        self._sizes(pattern, style)
        for symbol in pattern.symbols:
            self.bindings[symbol] = self._term(symbol)
        for family in pattern.families:
            self.bindings[family] = self._body(family)
        for number, name in enumerate(pattern.functions):
            self.bindings["function", name] = Unknown(f"f{number}", 0)

    def _sizes(self, pattern: Pattern, style: str) -> None:
        letters = self.rng.sample(LETTERS, len(LETTERS))
        for name in pattern.shapes:
            self.bindings[name] = self._size(style, letters)
        for name in pattern.places:
            self.bindings[name] = dim(letters.pop())
        for name in pattern.numbers:
            k = dim(letters.pop())
            self.bindings[name] = self.rng.choice((k, k, k + 1, -k, dim(2), dim(3), dim(-2)))
        for low, high in pattern.ranges:
            self._range(low, high)

    def _size(self, style: str, letters: list[str]) -> Dim:
        if style == "equal":
            return dim("n")
        if (style == "some ones" and self.rng.random() < 0.4) or (style == "mixed" and self.rng.random() < 0.15):
            return ONE
        return self.rng.choice((dim("m"), dim("n"))) if style == "mixed" else dim(letters.pop())

    def _range(self, low: Dim, high: Dim) -> None:
        """Bind the ends of a range: symbolic, or of length 0, 1 or 3."""
        length = None if self.plain else self.rng.choice((0, 1, 3, None))
        start = self.rng.choice((ONE, ONE, ZERO, dim("L")))
        for end, value in ((low, start), (high, dim("N") + start - 1 if length is None else start + length - 1)):
            if isinstance(end.atom, Name):
                self.bindings.setdefault(end.atom, value)

    def _dims(self, shape: Symbol | Family) -> tuple[Dim, Dim]:
        rows, cols = (instantiate_dim(side, self.bindings) for side in (shape.rows, shape.cols))
        if rows is None or cols is None:
            raise MatcalcError(f"the shape of {shape.name} is not fixed by the left side")
        return rows, cols

    def _term(self, symbol: Symbol) -> Term:
        rows, cols = self._dims(symbol)
        facts = self.wanted.of_symbol.get(symbol.name, frozenset()) | symbol.facts
        if facts or self.plain:
            return self._symbol(symbol.name, rows, cols, facts)
        if rows is ONE and cols is ONE:
            return self._scalar(symbol.name)
        return self._array(symbol.name, rows, cols)

    def _symbol(self, name: str, rows: Dim, cols: Dim, facts: frozenset[str] = frozenset()) -> Term:
        drawn = frozenset[str]().union(*(DRAWN.get(fact, frozenset({fact})) for fact in facts))
        term = build.sym(Symbol(self.prefix + name, rows, cols, drawn))
        self.assumptions |= {(term, fact) for fact in facts}
        return term

    def _scalar(self, name: str) -> Term:
        choice = self.rng.random()
        if choice < 0.7:
            return self._symbol(name, ONE, ONE)
        if choice < 0.85:
            return self._symbol(name, ONE, ONE, frozenset({"integer"}))
        return build.num(self.rng.choice((2, 3, -1, Fraction(1, 2))))

    def _array(self, name: str, rows: Dim, cols: Dim) -> Term:
        choice = self.rng.random()
        if choice < 0.7:
            return self._symbol(name, rows, cols)
        if choice < 0.85:
            return build.add(self._symbol(name, rows, cols), self._symbol(f"{name}_1", rows, cols))
        return build.mul(self._symbol(name, rows, rows), self._symbol(f"{name}_1", rows, cols))

    def _body(self, family: Family) -> tuple[Index, Term]:
        """A term that depends on an index in a way of its own."""
        rows, cols = self._dims(family)
        facts = self.wanted.of_symbol.get(family.name, frozenset()) | family.facts
        index = Index(90, ZERO, dim(99))
        members = Family(family.name, Index(0, ZERO, dim(99)), rows, cols, facts)
        own = build.member(members, index)
        if facts or self.plain:
            return index, own
        form = self.rng.randrange(4)
        if form == 0:
            return index, build.smul(build.integer(dim(index) + 1), own)
        if form == 1:
            return index, build.add(own, build.smul(build.integer(index), self._symbol(family.name, rows, cols)))
        return index, own


def instances(row: Row, seed: int, *, guards: Sequence[Guard] | None = None, plain: bool = False) -> Iterator[Instance]:
    """Random fillings of the variables of a row such that its guards (or only those given) hold."""
    own, conditions = guards_of(row)
    wanted = wanted_of(own if guards is None else guards, conditions)
    pattern = pattern_of(*_patterns(row))
    start = crc32(row_name(row).encode()) + seed
    for draw in range(DRAWS):
        try:
            made = Instance(pattern, wanted, start + 7919 * draw, style=STYLES[draw % len(STYLES)], plain=plain)
            if isinstance(row, LinearRow):
                _let_vary(made)
        except ShapeError:
            continue
        yield made


def _let_vary(made: Instance) -> None:
    """Put a differential in the place of what varies in a linear row."""
    for key, value in made.bindings.items():
        if isinstance(key, Symbol) and key.name == HOLE:
            made.bindings[key] = build.diff(build.sym(Symbol(HOLE, value.rows, value.cols)))


def _patterns(row: Row) -> tuple[Term, ...]:
    if isinstance(row, LinearRow):
        return (row.pattern,) if row.covector is None else (row.pattern, row.covector)
    return (row.left,) if isinstance(row, Rule) else (row.term,)


def guards_of(row: Row) -> tuple[tuple[Guard, ...], tuple[Has, ...]]:
    """The guards of a row, and the conditions that it assumes."""
    if isinstance(row, LinearRow):
        return row.rule.guards, row.rule.conditions
    return row.guards, row.conditions if isinstance(row, Rule) else ()


def row_name(row: Row) -> str:
    """The name of a row."""
    return row.rule.name if isinstance(row, LinearRow) else row.name


def pattern_name(symbol: Symbol) -> str:
    """The name of the pattern variable that a symbol of an instance stands for."""
    return symbol.name.split(".")[-1]
