"""Symbolic dimensions and integers: polynomials over named sizes, indices and indexed sizes.

A :class:`Dim` is an interned polynomial with rational coefficients, so that ``n*(n+1)/2`` (the
length of ``vech``) and ``h[k+1]`` (the size of a layer) are dimensions like any other, and
equality of dimensions is identity.  This module knows nothing of terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, ClassVar, Union

from ..errors import LimitExceeded, ShapeError

NO_INDICES: frozenset[Index] = frozenset()


class Atom:
    """What a dimension is made of: a name, a bound index, or an indexed size."""

    __slots__ = ("indices", "key")
    key: tuple[object, ...]
    indices: frozenset[Index]

    def __repr__(self) -> str:
        return str(self)


class Name(Atom):
    """A named integer: a size such as ``n``, a count such as ``N``, a free index such as ``i``."""

    __slots__ = ("name",)
    _table: ClassVar[dict[str, Name]] = {}

    def __new__(cls, name: str) -> Name:
        """The one object for these data."""
        found = cls._table.get(name)
        if found is None:
            found = object.__new__(cls)
            found.name = name
            found.key = (0, name)
            found.indices = NO_INDICES
            cls._table[name] = found
        return found

    name: str

    def __str__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[type[Name], tuple[str]]:
        return Name, (self.name,)


class Index(Atom):
    """A bound index with its range ``lo..hi``.

    It has no name of its own: ``level`` counts the binders below its own, so that two sums which
    differ in the name of their index are one term.  With ``step`` -1 it runs down, from
    ``lo`` to ``hi``.
    """

    __slots__ = ("hi", "level", "lo", "step")
    level: int
    lo: Dim
    hi: Dim
    step: int
    _table: ClassVar[dict[tuple[int, Dim, Dim, int], Index]] = {}

    def __new__(cls, level: int, lo: Dim, hi: Dim, step: int = 1) -> Index:
        """The one object for these data."""
        found = cls._table.get((level, lo, hi, step))
        if found is None:
            found = object.__new__(cls)
            found.level, found.lo, found.hi, found.step = level, lo, hi, step
            found.key = (2, level, lo.key, hi.key, step)
            found.indices = frozenset((found,)) | lo.indices | hi.indices
            cls._table[(level, lo, hi, step)] = found
        return found

    @property
    def rises(self) -> bool:
        """True when ``lo`` is the smaller end; of an index without an end ``lo`` is the least that it can be."""
        return self.step > 0 or self.hi is UNBOUNDED

    def __str__(self) -> str:
        return f"%{self.level}"

    def __reduce__(self) -> tuple[type[Index], tuple[int, Dim, Dim, int]]:
        return Index, (self.level, self.lo, self.hi, self.step)


class SizeAt(Atom):
    """An indexed size, ``h[k+1]``: the size that belongs to one member of a family."""

    __slots__ = ("arg", "name")
    name: str
    arg: Dim
    _table: ClassVar[dict[tuple[str, Dim], SizeAt]] = {}

    def __new__(cls, name: str, arg: Dim) -> SizeAt:
        """The one object for these data."""
        found = cls._table.get((name, arg))
        if found is None:
            found = object.__new__(cls)
            found.name, found.arg = name, arg
            found.key = (1, name, arg.key)
            found.indices = arg.indices
            cls._table[(name, arg)] = found
        return found

    def __str__(self) -> str:
        return f"{self.name}[{self.arg}]"

    def __reduce__(self) -> tuple[type[SizeAt], tuple[str, Dim]]:
        return SizeAt, (self.name, self.arg)


MAX_ENDS = 16
"""Ends of ranges looked at before an inequality is given up as not known."""

Monomial = tuple[tuple[Atom, int], ...]
DimLike = Union["Dim", int, Fraction, Atom, str]


def _monomial_key(monomial: Monomial) -> tuple[object, ...]:
    degree = sum(power for _, power in monomial)
    return (-degree, tuple((atom.key, -power) for atom, power in monomial))


def _alone(terms: Sequence[tuple[Monomial, Fraction]]) -> tuple[Fraction | None, Atom | None]:
    """The number or the atom that a polynomial is, if it is one."""
    if not terms:
        return Fraction(0), None
    monomial, factor = terms[0]
    if len(terms) > 1:
        return None, None
    if not monomial:
        return factor, None
    return None, monomial[0][0] if factor == 1 and len(monomial) == 1 and monomial[0][1] == 1 else None


class Dim:
    """A polynomial in atoms; interned, so that ``is`` decides equality."""

    __slots__ = ("_hash", "atom", "constant", "indices", "key", "terms")
    terms: tuple[tuple[Monomial, Fraction], ...]
    key: tuple[object, ...]
    indices: frozenset[Index]
    constant: Fraction | None
    """The value, when no atom occurs."""
    atom: Atom | None
    """The atom, when the dimension is just one atom."""
    _table: ClassVar[dict[tuple[tuple[Monomial, Fraction], ...], Dim]] = {}

    def __new__(cls, terms: Mapping[Monomial, Fraction]) -> Dim:
        """The one polynomial with these terms."""
        items = tuple(sorted(((m, c) for m, c in terms.items() if c), key=lambda mc: _monomial_key(mc[0])))
        found = cls._table.get(items)
        if found is None:
            found = object.__new__(cls)
            found.terms = items
            found.key = (len(items), tuple((_monomial_key(m), c) for m, c in items))
            indices: frozenset[Index] = NO_INDICES
            for monomial, _ in items:
                for atom, _power in monomial:
                    if atom.indices:
                        indices |= atom.indices
            found.indices = indices
            found.constant, found.atom = _alone(items)
            found._hash = hash(items)
            cls._table[items] = found
        return found

    _hash: int

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[object, tuple[object]]:
        return _restore, (self.terms,)

    def atoms(self) -> set[Atom]:
        """All atoms of the polynomial, those inside indexed sizes and ranges included."""
        found: set[Atom] = set()
        todo: list[Dim] = [self]
        while todo:
            for monomial, _ in todo.pop().terms:
                for atom, _power in monomial:
                    if atom not in found:
                        found.add(atom)
                        if isinstance(atom, SizeAt):
                            todo.append(atom.arg)
                        elif isinstance(atom, Index):
                            todo += [atom.lo, atom.hi]
        return found

    def __add__(self, other: DimLike) -> Dim:
        return _add(self, dim(other))

    __radd__ = __add__

    def __sub__(self, other: DimLike) -> Dim:
        return _add(self, _mul(dim(other), MINUS_ONE))

    def __rsub__(self, other: DimLike) -> Dim:
        return _add(dim(other), _mul(self, MINUS_ONE))

    def __neg__(self) -> Dim:
        return _mul(self, MINUS_ONE)

    def __mul__(self, other: DimLike) -> Dim:
        return _mul(self, dim(other))

    __rmul__ = __mul__

    def __truediv__(self, other: int) -> Dim:
        return _mul(self, dim(Fraction(1, other)))

    def __pow__(self, power: int) -> Dim:
        result = ONE
        for _ in range(power):
            result = _mul(result, self)
        return result

    def __str__(self) -> str:
        return format_dim(self)

    __repr__ = __str__


def _restore(terms: tuple[tuple[Monomial, Fraction], ...]) -> Dim:
    return Dim(dict(terms))


MAX_PRODUCTS, MAX_BITS = 20_000, 4_000
"""Bounds on the products of terms in a multiplication of sizes, and on the bits of a coefficient."""


@lru_cache(maxsize=200_000)
def _add(a: Dim, b: Dim) -> Dim:
    terms = dict(a.terms)
    for monomial, coefficient in b.terms:
        terms[monomial] = terms.get(monomial, Fraction(0)) + coefficient
    return Dim(terms)


@lru_cache(maxsize=200_000)
def _mul(a: Dim, b: Dim) -> Dim:
    if len(a.terms) * len(b.terms) > MAX_PRODUCTS:
        raise LimitExceeded("a size is a polynomial with too many terms")
    terms: dict[Monomial, Fraction] = {}
    for m1, c1 in a.terms:
        for m2, c2 in b.terms:
            powers: dict[Atom, int] = dict(m1)
            for atom, power in m2:
                powers[atom] = powers.get(atom, 0) + power
            monomial = tuple(sorted(powers.items(), key=lambda ap: ap[0].key))
            terms[monomial] = terms.get(monomial, Fraction(0)) + c1 * c2
    if any(c.numerator.bit_length() + c.denominator.bit_length() > MAX_BITS for c in terms.values()):
        raise LimitExceeded("a number in a size has too many digits")
    return Dim(terms)


def dim(value: DimLike) -> Dim:
    """The dimension of an integer, a fraction, an atom or a name."""
    if isinstance(value, Dim):
        return value
    if isinstance(value, str):
        value = Name(value)
    if isinstance(value, Atom):
        return _of_atom(value)
    return _of_number(Fraction(value))


@cache
def _of_atom(atom: Atom) -> Dim:
    return Dim({((atom, 1),): Fraction(1)})


@cache
def _of_number(value: Fraction) -> Dim:
    return Dim({(): value})


ZERO = _of_number(Fraction(0))
ONE = _of_number(Fraction(1))
MINUS_ONE = _of_number(Fraction(-1))


UNBOUNDED = _of_atom(Name("∞"))
"""The end of the range of an index that runs without end, as that of a recurrence does."""


def substitute(d: Dim, mapping: Mapping[Atom, Dim]) -> Dim:
    """Replace atoms, all at once; ranges of indices and arguments of indexed sizes included."""
    if not mapping or not d.terms:
        return d
    result = ZERO
    changed = False
    for monomial, coefficient in d.terms:
        product = _of_number(coefficient)
        for atom, power in monomial:
            value = substitute_atom(atom, mapping)
            if value.atom is not atom:
                changed = True
            product = product * value**power
        result = result + product
    return result if changed else d


def substitute_atom(atom: Atom, mapping: Mapping[Atom, Dim]) -> Dim:
    """The dimension that stands for ``atom`` after the substitution."""
    value = mapping.get(atom)
    if value is not None:
        return value
    if isinstance(atom, SizeAt):
        arg = substitute(atom.arg, mapping)
        return _of_atom(atom if arg is atom.arg else SizeAt(atom.name, arg))
    if isinstance(atom, Index):
        lo, hi = substitute(atom.lo, mapping), substitute(atom.hi, mapping)
        if lo is not atom.lo or hi is not atom.hi:
            return _of_atom(Index(atom.level, lo, hi, atom.step))
    return _of_atom(atom)


def known_nonnegative(d: Dim, positive: Iterable[Atom] = ()) -> bool:
    """True when ``d >= 0`` follows from: names are >= 0 (>= 1 if in ``positive``), an index lies in its range."""
    least_one = set(positive)
    for _ in range(MAX_ENDS):
        bound = [a for m, _ in d.terms for a, p in m if isinstance(a, Index) and p == 1 and len(m) == 1]
        if not bound:
            break
        atom = max(bound, key=lambda a: a.level)
        coefficient = next(c for m, c in d.terms if m == ((atom, 1),))
        d = substitute(d, {atom: atom.lo if (coefficient > 0) == atom.rises else atom.hi})
    shifted = substitute(d, {a: dim(a) + 1 for a in d.atoms() if a in least_one or isinstance(a, SizeAt)})
    return all(c >= 0 for _, c in shifted.terms) and not any(isinstance(a, Index) for a in shifted.atoms())


def growth(d: Dim) -> int:
    """1 where ``d`` grows with every name in it, as ``T - 2`` does; -1 where it shrinks with every one, else 0."""
    slopes = {1 if factor > 0 else -1 for monomial, factor in d.terms if monomial}
    return slopes.pop() if len(slopes) == 1 else 0


def evaluate(
    d: Dim, values: Mapping[Atom, int | Fraction], sizes: Mapping[str, object] | None = None
) -> int | Fraction:
    """The number that ``d`` is when its atoms have the given values.

    ``sizes`` maps the name of an indexed size to a sequence or a function of its argument.
    Raises :class:`ShapeError` for an atom without a value.
    """
    total: int | Fraction = 0
    for monomial, coefficient in d.terms:
        product: int | Fraction = coefficient.numerator if coefficient.denominator == 1 else coefficient
        for atom, power in monomial:
            value = _atom_value(atom, values, sizes)
            product *= value if power == 1 else value**power
        total += product
    return total


def _atom_value(
    atom: Atom, values: Mapping[Atom, int | Fraction], sizes: Mapping[str, object] | None
) -> int | Fraction:
    if atom in values:
        return values[atom]
    if isinstance(atom, SizeAt) and sizes is not None and atom.name in sizes:
        table: Any = sizes[atom.name]
        at = int(evaluate(atom.arg, values, sizes))
        found = table(at) if callable(table) else table[at]
        return int(found)
    raise ShapeError(f"the size {atom} has no value")


def format_dim(d: Dim, name: Mapping[Atom, str] | None = None, times: str = "*") -> str:
    """The polynomial as text that reads back: ``n``, ``m*n + 1``, ``n*(n+1)/2`` as ``n^2/2 + n/2``."""
    if not d.terms:
        return "0"
    out = ""
    ordered = sorted(d.terms, key=lambda mc: mc[1] < 0) if d.terms[0][1] < 0 else d.terms
    for monomial, coefficient in ordered:
        factors = []
        for atom, power in monomial:
            text = _format_atom(atom, name, times)
            factors.append(text if power == 1 else f"{text}^{power}")
        size = abs(coefficient)
        body = times.join(factors)
        if not factors:
            body = str(size.numerator)
        elif size.numerator != 1:
            body = f"{size.numerator}{times}{body}"
        if size.denominator != 1:
            body += f"/{size.denominator}"
        if not out:
            out = body if coefficient > 0 else "-" + body
        else:
            out += (" + " if coefficient > 0 else " - ") + body
    return out


def _format_atom(atom: Atom, name: Mapping[Atom, str] | None, times: str) -> str:
    if name is not None and atom in name:
        return name[atom]
    if isinstance(atom, SizeAt):
        return f"{atom.name}[{format_dim(atom.arg, name, times)}]"
    return str(atom)
