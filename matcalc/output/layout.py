"""What the printers share: pieces of text, precedence, order of sums, quotients, names of indices.

A printer is a table from operators to small functions that put the pieces of the arguments
together; :func:`render` walks the term without recursion and calls them.  A :class:`Piece` is a
rope, so that a term 10,000 deep costs what its text costs, and its length is known before any
text is joined.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, count
from typing import Any

from ..errors import LimitExceeded
from ..terms import ops
from ..terms.binders import joint_shapes
from ..terms.binders import part as part_of
from ..terms.dims import Atom, Dim, Index, Name, SizeAt, dim, format_dim, known_nonnegative, substitute
from ..terms.ops import Op
from ..terms.symbols import Loop, Member, Range, Symbol, Unknown
from ..terms.term import Number, Term
from ..terms.walk import attr_dims, postorder

MAX_TEXT = 2_000_000
"""A printed text has at most this many characters."""

IndexNames = Sequence[tuple[Any, Any, str]]
"""Preferred names of bound indices (first value, last value, name) and of recurrences (start, step, name)."""

# ---------------------------------------------------------------- pieces

WHERE, SUM, PRODUCT, KRON, UNARY, POSTFIX, ATOM = range(7)
"""How tightly the outermost operation of a piece binds, the loosest first."""


class Piece:
    """A rope of text with its precedence; ``negative`` says that a minus sign belongs in front."""

    __slots__ = ("length", "level", "negative", "parts")

    def __init__(self, parts: tuple[str | Piece, ...], level: int = ATOM, negative: bool = False) -> None:
        self.parts = parts
        self.level = level
        self.negative = negative
        self.length: int = sum([part.length if isinstance(part, Piece) else len(part) for part in parts])
        if self.length > MAX_TEXT:
            raise LimitExceeded(f"the printed text would have more than {MAX_TEXT} characters")

    def text(self) -> str:
        """The characters, the sign left out."""
        out: list[str] = []
        todo: list[str | Piece] = [self]
        while todo:
            part = todo.pop()
            if isinstance(part, str):
                out.append(part)
            else:
                todo.extend(reversed(part.parts))
        return "".join(out)


def signed(piece: Piece) -> Piece:
    """The piece with its minus sign, if it has one, written out."""
    if not piece.negative:
        return piece
    return Piece(("-", piece), min(piece.level, UNARY))


def joined(pieces: Iterable[Piece], separator: str, level: int = ATOM) -> Piece:
    """The pieces, each with its sign, with a separator between them."""
    parts: list[str | Piece] = []
    for piece in pieces:
        if parts:
            parts.append(separator)
        parts.append(signed(piece))
    return Piece(tuple(parts), level)


def wrapped(piece: Piece, level: int, brackets: tuple[str, str] = ("(", ")")) -> Piece:
    """The piece, in brackets unless it binds at least as tightly as ``level``."""
    if piece.level >= level and not piece.negative:
        return piece
    return Piece((brackets[0], signed(piece), brackets[1]))


# ---------------------------------------------------------------- numbers


def number_text(value: Number) -> tuple[str, str]:
    """Numerator and denominator (``""`` if none) of ``|value|``; ``3/10`` gives ``("0.3", "")``."""
    above, below = abs(value.numerator), value.denominator
    if below == 1:
        return str(above), ""
    places = _decimal_places(below)
    if places is None:
        return str(above), str(below)
    digits = str(above * 10**places // below).rjust(places + 1, "0")
    return f"{digits[:-places]}.{digits[-places:]}", ""


def _decimal_places(denominator: int) -> int | None:
    """Digits after the point, where the denominator is a multiple of 10 and only 2 and 5 divide it."""
    if denominator % 10:
        return None
    places = {2: 0, 5: 0}
    for prime in places:
        while denominator % prime == 0:
            denominator //= prime
            places[prime] += 1
    return max(places.values()) if denominator == 1 else None


# ---------------------------------------------------------------- names

_GREEK_NAMES = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi pi rho sigma tau upsilon phi chi psi "
    "omega Gamma Delta Theta Lambda Xi Pi Sigma Upsilon Phi Psi Omega"
)
GREEK = dict(zip(_GREEK_NAMES.split(), "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΥΦΨΩ", strict=True))
"""Greek letters by the names that LaTeX has commands for."""


def name_parts(name: str) -> tuple[str, str]:
    """Stem and subscript of a name: ``W1`` is ``("W", "1")``, ``x_hat`` is ``("x", "hat")``."""
    stem, underscore, rest = name.partition("_")
    if underscore and stem and rest:
        return stem, rest
    stem = name.rstrip("0123456789")
    return stem, name[len(stem) :]


# ---------------------------------------------------------------- sums


def is_negative(term: Term) -> bool:
    """True when the numeric factor of the term is below zero."""
    if term.op is ops.SCALE:
        term = term.args[0]
    if term.op is ops.TIMES:
        term = term.args[0]
    return term.op is ops.NUM and term.attr < 0


_CONSTANT = {ops.NUM, ops.CONST, ops.EYE, ops.ONES, ops.ZEROS}
_SPLIT = {ops.TIMES, ops.SCALE}
_FLAT = {ops.MUL, ops.HAD, ops.KRON}
_PLAIN = {ops.SYM, ops.MEMBER, ops.INT, ops.DIFF}


def ordered_sum(term: Term) -> list[Term]:
    """The terms of a sum as a textbook has them.

    Positive before negative, of equal sign the longer products first, then functions, symbols, and
    numbers last: ``x^2 + 2*x + 1``, ``A*x - b``, ``1 - tanh(x)^2``.
    """
    return sorted(term.args, key=_place_in_sum)


def _place_in_sum(term: Term) -> tuple[object, ...]:
    degree = _degree(term)
    core = _without_number(term)
    fixed = core.op in _CONSTANT or (core.op is ops.SCALE and core.args[1].op in _CONSTANT)
    bare = core.args[0] if core.op is ops.TRANSPOSE else core
    return is_negative(term), fixed, -degree, bare.op in _PLAIN, core.key, term.key


def _without_number(term: Term) -> Term:
    """The term that a reader sorts by: ``x`` of ``2*x``, ``a`` of ``2*a*b``."""
    if term.op is ops.SCALE and term.args[0].op is ops.NUM:
        return term.args[1]
    if term.op is ops.TIMES and term.args[0].op is ops.NUM:
        return term.args[1]
    return term


def _degree(term: Term) -> Fraction:
    """The number of factors, powers counted, constants not."""
    degree = Fraction(0)
    todo = [term]
    while todo:
        factor = todo.pop()
        if factor.op in _SPLIT:
            todo.extend(factor.args)
        elif factor.op in _FLAT:
            degree += sum((_factor_degree(part) for part in factor.args), Fraction(0))
        else:
            degree += _factor_degree(factor)
    return degree


def _factor_degree(factor: Term) -> Fraction:
    if factor.op in _CONSTANT:
        return Fraction(0)
    if factor.op is ops.POW and factor.args[1].op is ops.NUM:
        return Fraction(factor.args[1].attr)
    if factor.op is ops.MPOW:
        return factor.attr.constant or Fraction(1)
    return Fraction(1)


# ---------------------------------------------------------------- products and quotients

Power = tuple[Term, Number]


@dataclass
class Quotient:
    """A product taken apart: ``number * above / below * over ./ under``.

    ``above`` and ``below`` are scalars, ``over`` and ``under`` the factors of a product entry by
    entry, or ``over`` the one array that is scaled.  Below the line the exponents are positive.
    """

    number: Number = 1
    above: list[Term] = field(default_factory=list)
    below: list[Power] = field(default_factory=list)
    over: list[Term] = field(default_factory=list)
    under: list[Power] = field(default_factory=list)


def reciprocal(term: Term) -> Power | None:
    """``(base, exponent)`` when the term is ``base^(-exponent)`` with a positive number, else None.

    Powers of the number 0 other than 1/0 are left as they are: ``1/0^2`` would be read as ``1/0``.
    """
    if term.op is not ops.POW or term.args[1].op is not ops.NUM or term.args[1].attr >= 0:
        return None
    base, exponent = term.args[0], -term.args[1].attr
    return None if base.op is ops.NUM and base.attr == 0 and exponent != 1 else (base, exponent)


def quotient(term: Term) -> Quotient:
    """A product, scaled array or reciprocal taken apart; constants first, products of matrices last of the scalars."""
    parts = Quotient()
    array = term
    if term.is_scalar:
        _split_scalar(term, parts)
        return parts
    if term.op is ops.SCALE:
        _split_scalar(term.args[0], parts)
        array = term.args[1]
    for factor in array.args if array.op is ops.HAD else (array,):
        _file(factor, parts.over, parts.under)
    return parts


def _split_scalar(term: Term, parts: Quotient) -> None:
    for factor in term.args if term.op is ops.TIMES else (term,):
        if factor.op is ops.NUM:
            parts.number = factor.attr
        else:
            _file(factor, parts.above, parts.below)
    parts.above.sort(key=lambda factor: (factor.op is ops.MUL, factor.op is not ops.CONST))


def _file(factor: Term, above: list[Term], below: list[Power]) -> None:
    power = reciprocal(factor)
    if power is None:
        above.append(factor)
    else:
        below.append(power)


def open_product(factors: Sequence[Piece], open_end: bool, brackets: tuple[str, str] = ("(", ")")) -> list[Piece]:
    """The factors, each in brackets where needed; with ``open_end`` a last factor may be a product itself."""
    shown = [wrapped(piece, UNARY, brackets) for piece in factors]
    if open_end and factors and factors[-1].level == PRODUCT:
        shown[-1] = factors[-1]
    return shown


def one_product(factors: Sequence[Piece]) -> bool:
    """True when just one factor is a product itself: as the last it needs no brackets."""
    return sum(piece.level == PRODUCT for piece in factors) == 1


# ---------------------------------------------------------------- direction of ordered products


def needs_by(index: Index, step: int) -> bool:
    """True when ``index.lo..index.hi`` alone would not be read in this direction.

    The rule of the contract, asked for sizes >= 1 and for names >= 0: both must agree.
    """
    span = index.hi - index.lo
    names = {atom for atom in span.atoms() if isinstance(atom, Name)}
    return any(_direction(span, positive) != step for positive in (set(), names))


def _direction(span: Dim, positive: set[Name]) -> int | None:
    for slack in (0, 1):
        up = known_nonnegative(span + slack, positive)
        down = known_nonnegative(slack - span, positive)
        if up and (slack == 0 or not down):
            return 1
        if down and (slack == 0 or not up):
            return -1
    return None


# ---------------------------------------------------------------- names of indices

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


def _endless(letters: str) -> Iterator[str]:
    yield from letters
    for number in count(1):
        yield f"{letters[0]}{number}"


def free_names(root: Term) -> set[str]:
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


class Page:
    """One printing of one term: what the functions of a printer may ask for.

    ``spell`` turns an ASCII name into the printed one; ``fancy`` asks for signs beyond ASCII;
    ``indexed`` is the form of an indexed size and ``times`` the product sign of dimensions;
    ``state`` writes a state of a recurrence, ``where`` holds what stands before the first
    recurrence that is told and between two, and the brackets around all of it.
    """

    def __init__(
        self,
        root: Term,
        names: IndexNames | None,
        spell: Callable[[str], str],
        *,
        fancy: bool = False,
        indexed: str = "{}[{}]",
        times: str = "*",
        state: Callable[[str, str], str] = "{}[{}]".format,
        where: tuple[str, str, str, str] = (" where ", "; ", "(", ")"),
    ) -> None:
        self.spell = spell
        self.fancy = fancy
        self._indexed = indexed
        self._times = times
        self.scope: Scope = ()
        self._preferred = tuple(names or ())
        self._taken = free_names(root)
        self._state = state
        self._where = where
        self._made: dict[tuple[Term | Chain, Scope], Piece] = {}
        self._inner: dict[tuple[Term | Chain, Scope], Scope] = {}
        self.chains = Chains(root)
        for index in sorted(root.indices, key=lambda index: index.key, reverse=True):
            self.scope = (*self.scope, (index, self._choose(index, INDICES)))
        for slot in sorted(self.chains.slots.get(root, ()), key=lambda slot: slot.stable):
            self.scope = (*self.scope, (slot, self.spell(self._unused((), FORWARD))))
        self.scope = self._naming(self.chains.outermost)

    def piece(self, term: Term) -> Piece:
        """The piece of a sub-term that stands in the scope of the term being printed."""
        return self._made[term, self.visible(term, self.scope)]

    def visible(self, part: Term | Chain, scope: Scope) -> Scope:
        """The part of the scope on which the text of a term depends."""
        if isinstance(part, Chain) or part.height or part in self.chains.slots:
            return scope
        return tuple(pair for pair in scope if pair[0] in part.indices) if part.indices else ()

    # ------------------------------------------------------------ binding

    def inside(self, part: Term | Chain) -> Scope:
        """The scope in the body of a sum or product that stands here, or of a recurrence that is told here."""
        key = part, self.scope
        found = self._inner.get(key)
        if found is None:
            found = self._inner[key] = self._within(part)
        return found

    def _within(self, part: Term | Chain) -> Scope:
        outside = self.scope
        try:
            if isinstance(part, Chain):
                index, slot = part.loop.index, part.loop.slot
                self.scope = (*outside, (index, self._choose(index, STEPS)))
                here = dim(index)
                if part.count == 1:
                    self.scope = (*self.scope, (slot, self._state_text(part, here)))
                else:
                    states = ((slot, i) for i in range(part.count))
                    texts = [(state, self._state_text((part, state[1]), here)) for state in states]
                    self.scope = (*self.scope, *texts)
                return self._naming(part.told)
            self.scope = (*outside, (part.attr.index, self._choose(part.attr.index, INDICES)))
            return self._naming(self.chains.told.get(part, []))
        finally:
            self.scope = outside

    def _choose(self, index: Index, letters: str) -> str:
        wanted = (name for low, high, name in self._preferred if low is index.lo and high is index.hi)
        return self._unused(wanted, letters)

    def _unused(self, wanted: Iterable[str], letters: str) -> str:
        taken = {name for _, name in self.scope}
        return next(name for name in chain(wanted, _endless(letters)) if not (name in taken or name in self._taken))

    def _naming(self, chains: Iterable[Chain]) -> Scope:
        """The scope with names for recurrences."""
        before = self.scope
        for one in chains:
            for i in range(one.count):
                key: Chain | Place = one if one.count == 1 else (one, i)
                name = self._unused(self._wanted(one, i), FORWARD if one.loop.step > 0 else BACKWARD)
                self.scope = (*self.scope, (key, name))
        made, self.scope = self.scope, before
        return made

    def _wanted(self, one: Chain, which: int) -> Iterable[str]:
        """The preferred names of a recurrence: of this very one first, then of those like it."""
        alike: list[str] = []
        for start, body, name in self._preferred:
            if isinstance(body, tuple):
                body, place = body
                if place != which:
                    continue
            elif one.count > 1:
                continue
            if start is one.start and body is one.body:
                yield name
            elif _alike(start, one.start, body, one.body):
                alike.append(name)
        yield from alike

    def _name(self, bound: Index | Symbol | Chain | Place) -> str | None:
        return next((name for other, name in reversed(self.scope) if other is bound or other == bound), None)

    # ------------------------------------------------------------ what is bound, printed

    def body(self, term: Term) -> tuple[str, Piece]:
        """Name of the index and piece of the body of a sum or product."""
        inner = self.inside(term)
        name = next(name for bound, name in reversed(inner) if bound is term.attr.index)
        return self.spell(name), self._told_with(term.args[0], self.chains.told.get(term, []), inner)

    def state(self, term: Term) -> str:
        """A state of a recurrence, ``y[L]``; all of coupled states, ``(v[L], x[L])``."""
        one = self.chains.of[term]
        if one.count == 1:
            return self._state_text(one, term.attr.at)
        return f"({', '.join(self._state_text((one, i), term.attr.at) for i in range(one.count))})"

    def part(self, term: Term) -> str:
        """One of coupled states, ``x[L]``; of their differential, the state that varies."""
        whole, which = term.args[0], term.attr[0]
        if whole.op is ops.DIFF:
            whole = whole.args[0]
        if whole.op is ops.STATE:
            return self._state_text((self.chains.of[whole], which), whole.attr.at)
        name = self._name((whole.attr, which)) if whole.op is ops.SYM else None
        return f"state{which + 1}" if name is None else name

    def _state_text(self, one: Chain | Place, at: Dim) -> str:
        name = self._name(one)
        assert name is not None
        return self._state(self.spell(name), self.size(at))

    def symbol(self, symbol: Symbol) -> str:
        """A variable, or the bound state of a recurrence."""
        name = self._name(symbol) if symbol.role == "state" else None
        return self.spell(symbol.name) if name is None else name

    def definition(self, one: Chain) -> Piece:
        """Start and step of a recurrence: ``y[0] = x; y[k+1] = A*y[k]``."""
        if one.count == 1:
            return self._defined(one, one, one.start, one.body)
        pairs = zip(self.starts(one), one.body.args, strict=True)
        defined = (self._defined(one, (one, i), start, body) for i, (start, body) in enumerate(pairs))
        return joined(defined, self._where[1])

    def starts(self, one: Chain) -> tuple[Term, ...]:
        """The starts of coupled states."""
        if one.start.op is ops.JOINT:
            return one.start.args
        before: dict[Atom, Dim] = {one.loop.index: one.loop.first - one.loop.step}
        shapes = [substitute(d, before) for d in joint_shapes(one.body)]
        return tuple(part_of(one.start, i, shapes) for i in range(one.count))

    def _defined(self, chain: Chain, one: Chain | Place, start: Term, body: Term) -> Piece:
        first = self._state_text(one, chain.loop.first)
        inner = self.inside(chain)
        told = [inside for inside in chain.told if inside in self.chains.used_in(body)]
        right = self._told_with(body, told, inner)
        outside, self.scope = self.scope, inner
        after = self._state_text(one, dim(chain.loop.index) + chain.loop.step)
        self.scope = outside
        return Piece((f"{first} = ", signed(self.piece(start)), f"{self._where[1]}{after} = ", signed(right)))

    def _told_with(self, term: Term, chains: list[Chain], scope: Scope) -> Piece:
        """A term in a scope, and the recurrences that are told there, in brackets."""
        piece = self._made[term, self.visible(term, scope)]
        return wrapped(self.told(piece, chains, scope), SUM, self._where[2:]) if chains else piece

    def told(self, piece: Piece, chains: list[Chain], scope: Scope) -> Piece:
        """``e where y[0] = ...; y[k+1] = ...``."""
        if not chains:
            return piece
        told = joined((self._made[one, scope] for one in chains), self._where[1])
        return Piece((signed(piece), self._where[0], told), WHERE)

    def parts(self, part: Term | Chain) -> list[tuple[Term | Chain, Scope]]:
        """What has to be printed before a term, or before the definition of a recurrence."""
        if isinstance(part, Chain):
            inner = self.inside(part)
            coupled = part.count > 1
            parts: list[tuple[Term | Chain, Scope]] = []
            parts += [(start, self.scope) for start in (self.starts(part) if coupled else (part.start,))]
            parts += [(body, inner) for body in (part.body.args if coupled else (part.body,))]
            parts += [(one, inner) for one in part.told]
        elif isinstance(part.attr, Range):
            inner = self.inside(part)
            parts = [(part.args[0], inner), *((one, inner) for one in self.chains.told.get(part, []))]
        elif part in self.chains.of or part.op is ops.PART:
            return []
        else:
            parts = [(arg, self.scope) for arg in part.args]
        return [(one, self.visible(one, scope)) for one, scope in parts]

    def atom(self, atom: Atom) -> str:
        """The printed name of a size or an index."""
        if isinstance(atom, Index):
            return self.spell(next((name for bound, name in reversed(self.scope) if bound is atom), str(atom)))
        if isinstance(atom, SizeAt):
            return self._indexed.format(self.spell(atom.name), self.size(atom.arg))
        return self.spell(str(atom))

    def size(self, size: Dim) -> str:
        """A dimension without blanks around signs: ``k+1``, ``m*n``."""
        text = format_dim(size, {atom: self.atom(atom) for atom in size.atoms()}, self._times)
        return text.replace(" + ", "+").replace(" - ", "-")


def _alike(start: object, other_start: Term, body: object, other_body: Term) -> bool:
    """True when a recurrence may be the one of a hint, up to the names of what is bound around it."""
    pairs = (start, other_start), (body, other_body)
    return all(isinstance(a, Term) and (a.op, a.depth, a.weight) == (b.op, b.depth, b.weight) for a, b in pairs)


Rule = Callable[[Term, Page], Piece]


def render(root: Term, rules: Mapping[Op, Rule], default: Rule, page: Page) -> Piece:
    """The piece of the whole term, made bottom-up, each sub-term once in each scope."""
    outermost = page.scope
    made = page._made
    todo: list[tuple[Term | Chain, Scope, bool]] = [(root, page.visible(root, outermost), False)]
    todo += [(one, outermost, False) for one in page.chains.outermost]
    while todo:
        part, scope, ready = todo.pop()
        if (part, scope) in made:
            continue
        page.scope = scope
        if ready:
            made[part, scope] = (
                page.definition(part) if isinstance(part, Chain) else rules.get(part.op, default)(part, page)
            )
            continue
        todo.append((part, scope, True))
        todo.extend((one, inner, False) for one, inner in page.parts(part))
    page.scope = outermost
    return signed(page.told(page.piece(root), page.chains.outermost, outermost))
