"""The sizes that the shapes of arrays give: one equation for each side of each array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction

from ..errors import ShapeError
from ..terms.dims import Atom, Dim, Index, Name, SizeAt, dim, substitute


@dataclass(frozen=True)
class Side:
    """One side of an array: the dimension that it is declared to be, its length, and how to speak of it."""

    size: Dim
    length: int
    told: str


@dataclass
class Sizes:
    """What sizes are known: ``n``, and entries ``h[k]`` of indexed sizes."""

    names: dict[Name, int] = field(default_factory=dict)
    tables: dict[str, dict[int, int]] = field(default_factory=dict)
    because: dict[Atom, str] = field(default_factory=dict)

    def known(self, size: Dim) -> Dim:
        """The dimension with what is known put in."""
        for _ in range(8):  # h[h[1]] and the like: from the inside out
            found: dict[Atom, Dim] = {}
            for atom in size.atoms():
                value = self._value(atom)
                if value is not None:
                    found[atom] = dim(value)
            if not found:
                break
            size = substitute(size, found)
        return size

    def _value(self, atom: Atom) -> int | None:
        if isinstance(atom, Name):
            return self.names.get(atom)
        if isinstance(atom, SizeAt):
            at = self.known(atom.arg).constant
            return None if at is None else self.tables.get(atom.name, {}).get(int(at))
        return None

    def value(self, size: Dim) -> int | None:
        """The number, None while it is not known.  Raises :class:`ShapeError` for one that is no size."""
        constant = self.known(size).constant
        if constant is None:
            return None
        if constant.denominator != 1:
            raise ShapeError(f"{size} would be {constant}, which is no integer")
        return int(constant)

    def missing(self, size: Dim) -> list[str]:
        """The names whose values are not known."""
        return sorted(str(a) for a in self.known(size).atoms() if isinstance(a, Name | SizeAt))

    def give(self, name: str, value: int | Mapping[int, int]) -> None:
        """A size, or a table of indexed sizes, that is given by itself."""
        if isinstance(value, int):
            self.names[Name(name)] = value
            self.because[Name(name)] = f"{name} = {value} as given"
        else:
            self.tables[name] = dict(value)

    def learn(self, sides: list[Side]) -> None:
        """Solve the equations one after the other.  Raises :class:`ShapeError` where a length does not fit."""
        waiting = sides
        while waiting:
            later = [side for side in waiting if not self._use(side)]
            if len(later) == len(waiting):
                return
            waiting = later

    def _use(self, side: Side) -> bool:
        size = self.known(side.size)
        if size.constant is not None:
            if size.constant != side.length:
                raise ShapeError(f"{side.told} is {side.length}, but {self._expected(side.size)}")
            return True
        atoms = [a for monomial, _ in size.terms for a, _ in monomial]
        if len(set(atoms)) != 1:
            return False
        atom = atoms[0]
        value = self._solved(size, atom, side)
        if isinstance(atom, Name):
            self.names[atom] = value
        elif isinstance(atom, SizeAt):
            at = self.known(atom.arg).constant
            if at is None:
                return False
            self.tables.setdefault(atom.name, {})[int(at)] = value
        self.because[atom] = side.told
        return True

    def _solved(self, size: Dim, atom: Atom, side: Side) -> int:
        """The value of the one atom that makes the size as long as the side is."""
        rest = substitute(size, {atom: dim(0)}).constant or Fraction(0)
        slope = (substitute(size, {atom: dim(1)}).constant or Fraction(0)) - rest
        linear = all(power == 1 for monomial, _ in size.terms for _, power in monomial)
        candidates: Iterator[Fraction] | list[Fraction] = [(side.length - rest) / slope] if linear else []
        if not linear:
            candidates = (Fraction(k) for k in range(side.length + 1))
        for value in candidates:
            fits = substitute(size, {atom: dim(value)}).constant == side.length
            if fits and value.denominator == 1 and value >= 0:
                return int(value)
        raise ShapeError(f"{side.told} is {side.length}, which {side.size} cannot be")

    def _expected(self, size: Dim) -> str:
        """What a side has to be, and why."""
        value = self.value(size)
        names = sorted((a for a in size.atoms() if isinstance(a, Name | SizeAt) and not isinstance(a, Index)), key=str)
        why = [f"{a} is {self._value(a)} by {self.because[a]}" for a in names if a in self.because]
        shown = f"{size} = {value}" if names else f"{value}"
        return f"{shown} is expected" + (f": {'; '.join(why)}" if why else "")
