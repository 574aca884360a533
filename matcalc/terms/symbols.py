"""What a leaf of a term can name: a variable, a family of variables, an unknown function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from .dims import Atom, Dim, Index, substitute


@dataclass(frozen=True)
class Symbol:
    """A variable: its name together with its declaration.

    Declaring a name anew makes a new symbol; what was defined before keeps the old one.
    ``facts`` are the declared ones only (``posdef``), their consequences follow by rules.
    ``role`` is ``variable``, or ``pattern`` in a rule, or ``hidden`` while a structured variable
    is differentiated as if its entries were independent.
    """

    name: str
    rows: Dim
    cols: Dim
    facts: frozenset[str] = frozenset()
    role: str = "variable"
    _hash: int = field(default=0, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_hash", hash((self.name, self.rows, self.cols, self.facts, self.role)))

    def __hash__(self) -> int:
        return self._hash

    def __reduce__(self) -> tuple[type[Symbol], tuple[str, Dim, Dim, frozenset[str], str]]:
        return Symbol, (self.name, self.rows, self.cols, self.facts, self.role)

    @property
    def stable(self) -> str:
        """A text that tells this symbol from every other, the same in every process."""
        return f"{self.name}:{self.rows},{self.cols}:{','.join(sorted(self.facts))}:{self.role}"


@dataclass(frozen=True)
class Family:
    """A family of variables ``x[i=lo..hi]``; shapes may depend on ``index``."""

    name: str
    index: Index
    rows: Dim
    cols: Dim
    facts: frozenset[str] = frozenset()
    role: str = "variable"

    @property
    def stable(self) -> str:
        """A text that tells this family from every other, the same in every process."""
        i = self.index
        return f"{self.name}[{i.lo}..{i.hi}]:{self.rows},{self.cols}:{','.join(sorted(self.facts))}:{self.role}"

    def shape_at(self, at: Dim) -> tuple[Dim, Dim]:
        """The shape of the member with index ``at``."""
        mapping: dict[Atom, Dim] = {self.index: at}
        return substitute(self.rows, mapping), substitute(self.cols, mapping)


class Member(NamedTuple):
    """One member of a family."""

    family: Family
    at: Dim


class Unknown(NamedTuple):
    """The ``order``-th derivative of an unknown scalar function, applied entry by entry.

    ``known``: the variable of a rule that also takes functions with a name, such as exp.
    """

    name: str
    order: int
    role: str = "variable"
    known: bool = False

    def derivative(self) -> Unknown:
        """The next derivative, ``phi'`` of ``phi``."""
        return Unknown(self.name, self.order + 1, self.role)


@dataclass(frozen=True)
class Range:
    """A bound index of a sum or an ordered product; ``step`` is 1 or -1 (products only)."""

    index: Index
    step: int = 1

    def __iter__(self) -> Iterator[Any]:
        return iter((self.index, self.step))


@dataclass(frozen=True)
class Loop:
    """How the states of a recurrence follow one another.

    From the state at ``first`` (the start), ``body`` makes the state at ``k + step`` out of the
    state at ``k``, which is the bound variable ``slot`` in it; ``k`` is the bound ``index``.  The
    term stands for the state at ``at``.
    """

    index: Index
    step: int
    first: Dim
    at: Dim
    slot: Symbol

    def moved(self, at: Dim) -> Loop:
        """The same recurrence, at another index."""
        return Loop(self.index, self.step, self.first, at, self.slot)

    def started(self, first: Dim, at: Dim) -> Loop:
        """The same steps, from another start to another state."""
        return Loop(self.index, self.step, first, at, self.slot)


class Grid(NamedTuple):
    """The numbers of block rows and block columns."""

    rows: int
    cols: int
