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

from ..errors import LimitExceeded
from ..terms import ops
from ..terms.dims import Atom, Dim, Index, Name, SizeAt, format_dim, known_nonnegative
from ..terms.ops import Op
from ..terms.symbols import Member, Range, Symbol, Unknown
from ..terms.term import Number, Term
from ..terms.walk import attr_dims, postorder

MAX_TEXT = 2_000_000
"""A printed text has at most this many characters."""

IndexNames = Sequence[tuple[Dim, Dim, str]]
"""Preferred names of bound indices: first value, last value, name."""

# ---------------------------------------------------------------- pieces

SUM, PRODUCT, KRON, UNARY, POSTFIX, ATOM = range(1, 7)
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

Scope = tuple[tuple[Index, str], ...]
"""The bound indices that are visible at a place, with their names, the outermost first."""


def _default_names() -> Iterator[str]:
    yield from "ijklrstpquv"
    for number in count(1):
        yield f"i{number}"


def free_names(root: Term) -> set[str]:
    """All names that occur in the term: variables, families, sizes, unknown functions."""
    found: set[str] = set()
    dims: set[Dim] = set()
    for term in postorder(root):
        attr = term.attr
        if isinstance(attr, Symbol | Unknown):
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
    ``indexed`` is the form of an indexed size and ``times`` the product sign of dimensions.
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
    ) -> None:
        self.spell = spell
        self.fancy = fancy
        self._indexed = indexed
        self._times = times
        self.scope: Scope = ()
        self._preferred = tuple(names or ())
        self._taken = free_names(root)
        self._made: dict[tuple[Term, Scope], Piece] = {}
        for index in sorted(root.indices, key=lambda index: index.key, reverse=True):
            self.scope = self.inside(index)

    def piece(self, term: Term) -> Piece:
        """The piece of a sub-term that stands in the scope of the term being printed."""
        return self._made[term, visible(term, self.scope)]

    def inside(self, index: Index) -> Scope:
        """The scope inside a binder of ``index``, which gets a name that is free here."""
        return (*self.scope, (index, self._choose(index)))

    def _choose(self, index: Index) -> str:
        taken = {name for _, name in self.scope}
        preferred = (name for low, high, name in self._preferred if low is index.lo and high is index.hi)
        return next(name for name in chain(preferred, _default_names()) if not (name in taken or name in self._taken))

    def body(self, term: Term) -> tuple[str, Piece]:
        """Name of the index and piece of the body of a sum or product."""
        inner = self.inside(term.attr.index)
        return self.spell(inner[-1][1]), self._made[term.args[0], visible(term.args[0], inner)]

    def atom(self, atom: Atom) -> str:
        """The printed name of a size or an index."""
        if isinstance(atom, Index):
            return self.spell(next((name for index, name in reversed(self.scope) if index is atom), str(atom)))
        if isinstance(atom, SizeAt):
            return self._indexed.format(self.spell(atom.name), self.size(atom.arg))
        return self.spell(str(atom))

    def size(self, size: Dim) -> str:
        """A dimension without blanks around signs: ``k+1``, ``m*n``."""
        text = format_dim(size, {atom: self.atom(atom) for atom in size.atoms()}, self._times)
        return text.replace(" + ", "+").replace(" - ", "-")


def visible(term: Term, scope: Scope) -> Scope:
    """The part of the scope on which the text of ``term`` depends."""
    if term.height:
        return scope
    return tuple(pair for pair in scope if pair[0] in term.indices) if term.indices else ()


Rule = Callable[[Term, Page], Piece]


def render(root: Term, rules: Mapping[Op, Rule], default: Rule, page: Page) -> Piece:
    """The piece of the whole term, made bottom-up, each sub-term once in each scope."""
    outermost = page.scope
    made = page._made
    todo: list[tuple[Term, Scope, bool]] = [(root, visible(root, outermost), False)]
    while todo:
        term, scope, ready = todo.pop()
        if (term, scope) in made:
            continue
        page.scope = scope
        if ready:
            made[term, scope] = rules.get(term.op, default)(term, page)
            continue
        todo.append((term, scope, True))
        inner = page.inside(term.attr.index) if isinstance(term.attr, Range) else scope
        todo.extend((arg, visible(arg, inner), False) for arg in term.args)
    page.scope = outermost
    return signed(page.piece(root))
