"""Unification of dimensions: polynomials in which some sizes are still open.

An open size is a :class:`Hole`, an atom like any other, so that shapes such as ``m*?`` or
``? + n`` are ordinary dimensions while they are being inferred.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache
from math import isqrt
from typing import ClassVar

from ..errors import MatcalcError
from ..terms.dims import NO_INDICES, ONE, ZERO, Atom, Dim, Monomial, dim, substitute

Shape = tuple[Dim, Dim]
SCALAR: Shape = (ONE, ONE)


class Hole(Atom):
    """A size that is not known yet; numbered, so that the same few are used by every inference."""

    __slots__ = ("number",)
    number: int
    _table: ClassVar[dict[int, Hole]] = {}

    def __new__(cls, number: int) -> Hole:
        """The one hole with this number."""
        found = cls._table.get(number)
        if found is None:
            found = object.__new__(cls)
            found.number = number
            found.key = (3, number)
            found.indices = NO_INDICES
            cls._table[number] = found
        return found

    def __str__(self) -> str:
        return "?"

    def __reduce__(self) -> tuple[type[Hole], tuple[int]]:
        return Hole, (self.number,)


class MisfitError(Exception):
    """Two dimensions cannot be equal; ``frozen`` when only the freeze forbids it."""

    def __init__(self, left: Dim, right: Dim, *, frozen: bool = False) -> None:
        super().__init__(f"{left} and {right}")
        self.left = left
        self.right = right
        self.frozen = frozen


@lru_cache(maxsize=50_000)
def holes_of(d: Dim) -> frozenset[Hole]:
    """The open sizes in a dimension."""
    return frozenset(a for a in d.atoms() if isinstance(a, Hole))


class Sizes:
    """What is known of the open sizes: solved ones, labels, and equations that wait."""

    def __init__(self) -> None:
        self.solved: dict[Hole, Dim] = {}
        self.labels: dict[Hole, str] = {}
        self.wide: set[Hole] = set()
        self.whole: set[Hole] = set()
        self.waiting: list[tuple[Dim, Dim, MatcalcError]] = []
        self.count = 0
        self.frozen = 0

    def fresh(self, label: str = "", *, wide: bool = False, whole: bool = False) -> Dim:
        """A new open size.

        ``wide``: it may not become 1 (a variable that was assumed to be an array);
        ``whole``: any integer, not a size, so that it may be 0 or negative.
        """
        hole = Hole(self.count)
        self.count += 1
        if label:
            self.labels[hole] = label
        if wide:
            self.wide.add(hole)
        if whole:
            self.whole.add(hole)
        return dim(hole)

    def freeze(self) -> None:
        """From now on the sizes that are open may not be restricted further."""
        self.frozen = self.count

    def resolve(self, d: Dim) -> Dim:
        """The dimension with what is solved put in."""
        while True:
            known: dict[Atom, Dim] = {h: self.solved[h] for h in holes_of(d) if h in self.solved}
            if not known:
                return d
            d = substitute(d, known)

    def shape(self, shape: Shape) -> Shape:
        """Both dimensions resolved."""
        return self.resolve(shape[0]), self.resolve(shape[1])

    def open_holes(self, dims: Iterable[Dim]) -> list[Hole]:
        """The open sizes of some dimensions, in the order of their first appearance."""
        found: dict[Hole, None] = {}
        for d in dims:
            for hole in sorted(holes_of(self.resolve(d)), key=lambda h: h.number):
                found[hole] = None
        return list(found)

    def equate(self, left: Dim, right: Dim, otherwise: MatcalcError | None = None) -> None:
        """Make two dimensions equal.  Raises :class:`MisfitError`; ``otherwise`` is raised if it turns out later."""
        if left is right:
            return
        left, right = self.resolve(left), self.resolve(right)
        if left is right:
            return
        found = holes_of(left) | holes_of(right)
        if not found:
            raise MisfitError(left, right)
        movable = sorted((h for h in found if h.number >= self.frozen), key=self._preference)
        difference = left - right
        rejected = False
        for hole in movable:
            value = _solve(difference, hole)
            if value is not None:
                if self._allowed(hole, value):
                    self._bind(hole, value)
                    return
                rejected = True
        if not movable:
            raise MisfitError(left, right, frozen=True)
        if rejected or _impossible(difference):
            raise MisfitError(left, right)
        self.waiting.append((left, right, otherwise or MatcalcError(f"{left} = {right} does not determine the sizes")))

    def _preference(self, hole: Hole) -> tuple[bool, int]:
        return (hole in self.labels and hole in self.whole, -hole.number)

    def _allowed(self, hole: Hole, value: Dim) -> bool:
        constant = value.constant
        other = value.atom
        if isinstance(other, Hole):
            return True
        if constant is not None:
            if constant.denominator != 1:
                return False
            if hole in self.whole:
                return True
            return constant >= 2 if hole in self.wide else constant >= 1
        return any(c > 0 for _, c in value.terms)

    def _bind(self, hole: Hole, value: Dim) -> None:
        self.solved[hole] = value
        other = value.atom
        if isinstance(other, Hole):
            if hole in self.wide:
                self.wide.add(other)
            if hole not in self.whole:
                self.whole.discard(other)
            if hole in self.labels and (other not in self.labels or "." in self.labels[other]):
                self.labels[other] = self.labels[hole]
        waiting, self.waiting = self.waiting, []
        for left, right, error in waiting:
            try:
                self.equate(left, right, error)
            except MisfitError:
                raise error from None


def _impossible(difference: Dim) -> bool:
    """True when no positive sizes make a polynomial zero, by its signs alone."""
    signs = {c > 0 for _, c in difference.terms}
    return len(signs) == 1


def _solve(difference: Dim, hole: Hole) -> Dim | None:
    """The value of ``hole`` that makes ``difference`` zero, when it is a polynomial; else None."""
    rest: dict[Monomial, Fraction] = {}
    factor: dict[Monomial, Fraction] = {}
    degree = 0
    for monomial, coefficient in difference.terms:
        power = 0
        others: list[tuple[Atom, int]] = []
        for atom, exponent in monomial:
            if atom is hole:
                power = exponent
            elif hole in holes_of(dim(atom)):
                return None
            else:
                others.append((atom, exponent))
        if not power:
            rest[monomial] = -coefficient
            continue
        if degree and power != degree:
            return None
        degree = power
        factor[tuple(others)] = coefficient
    if not degree or len(factor) != 1:
        return None
    quotient = _divide(rest, *next(iter(factor.items())))
    return quotient if degree == 1 or quotient is None else _root(quotient, degree)


def _divide(terms: dict[Monomial, Fraction], monomial: Monomial, coefficient: Fraction) -> Dim | None:
    result: dict[Monomial, Fraction] = {}
    for term, number in terms.items():
        powers = dict(term)
        for atom, power in monomial:
            if powers.get(atom, 0) < power:
                return None
            powers[atom] -= power
        left = tuple(sorted(((a, p) for a, p in powers.items() if p), key=lambda ap: ap[0].key))
        result[left] = number / coefficient
    return Dim(result) if result else ZERO


def _root(value: Dim, degree: int) -> Dim | None:
    """The exact root of one monomial, taken positive."""
    if len(value.terms) != 1:
        return None
    monomial, coefficient = value.terms[0]
    top, bottom = _integer_root(coefficient.numerator, degree), _integer_root(coefficient.denominator, degree)
    if top is None or bottom is None or any(power % degree for _, power in monomial):
        return None
    return Dim({tuple((atom, power // degree) for atom, power in monomial): Fraction(top, bottom)})


def _integer_root(value: int, degree: int) -> int | None:
    if value < 0:
        return None
    guess = isqrt(value) if degree == 2 else round(value ** (1 / degree))
    return guess if guess**degree == value else None
