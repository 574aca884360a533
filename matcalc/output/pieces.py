"""Pieces of print: text with the strength of its outermost operation; numbers and names.

A :class:`Piece` is a rope, so that a term 10,000 deep costs what its text costs, and its length is known before
any text is joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..errors import LimitExceeded
from ..terms.term import Number

MAX_TEXT = 2_000_000
"""A printed text has at most this many characters."""

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


def open_product(factors: Sequence[Piece], open_end: bool, brackets: tuple[str, str] = ("(", ")")) -> list[Piece]:
    """The factors, each in brackets where needed; with ``open_end`` a last factor may be a product itself."""
    shown = [wrapped(piece, UNARY, brackets) for piece in factors]
    if open_end and factors and factors[-1].level == PRODUCT:
        shown[-1] = factors[-1]
    return shown


def one_product(factors: Sequence[Piece]) -> bool:
    """True when just one factor is a product itself: as the last it needs no brackets."""
    return sum(piece.level == PRODUCT for piece in factors) == 1
