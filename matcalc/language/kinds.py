"""The kinds of variables: shapes, facts, and what is declared without sizes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..terms.dims import ONE, Dim
from .shapes import Shape


@dataclass(frozen=True)
class Kind:
    """One type of the language: the numbers of sizes it takes, its shape and its facts.

    ``pattern`` says how open sizes are arranged when none are written: ``"mn"``, ``"nn"``,
    ``"n1"`` or ``"11"``.
    """

    pattern: str
    sizes: tuple[int, ...]
    facts: frozenset[str] = frozenset()

    def shape(self, given: list[Dim], fresh: Callable[[str], Dim]) -> Shape:
        """The shape with the given sizes, or with open ones."""
        if not given:
            made: dict[str, Dim] = {"1": ONE}
            for letter in self.pattern:
                if letter not in made:
                    made[letter] = fresh(letter)
            return made[self.pattern[0]], made[self.pattern[1]]
        if len(given) == 2:
            return given[0], given[1]
        return (given[0], given[0]) if self.pattern == "nn" else (given[0], ONE)


def _square(*facts: str) -> Kind:
    return Kind("nn", (0, 1), frozenset(facts))


KINDS: dict[str, Kind] = {
    "scalar": Kind("11", (0,)),
    "vector": Kind("n1", (0, 1)),
    "row": Kind("1n", (0,)),
    "matrix": Kind("mn", (0, 2)),
    "square": _square(),
    "symmetric": _square("symmetric"),
    "posdef": _square("posdef"),
    "psd": _square("psd"),
    "lower": _square("lower"),
    "upper": _square("upper"),
    "orthogonal": _square("orthogonal"),
    "diagonal": _square("diagonal"),
    "invertible": _square("invertible"),
    "skew": _square("skew"),
    "stiefel": Kind("mn", (0, 2), frozenset({"stiefel"})),
    "fullrank": Kind("mn", (0, 2), frozenset({"fullrank"})),
    "positive": Kind("11", (0, 1, 2), frozenset({"positive"})),
    "nonneg": Kind("11", (0, 1, 2), frozenset({"nonneg"})),
}
"""The types of variables; ``integer`` and ``function`` are apart."""

SQUARE_FACTS = frozenset(name for name, kind in KINDS.items() if kind.pattern == "nn") | {
    "posdet", "principal", "simple", "distinct",
}  # fmt: skip
"""Facts that only a square matrix can have."""

FACTS = frozenset(f for kind in KINDS.values() for f in kind.facts) | {
    "square", "scalar", "vector", "nonzero", "integer", "posdet", "tall", "wide", "constant",
    "principal", "simple", "distinct", "fixedrank", "maxrank",
}  # fmt: skip
"""What may follow ``is``."""


@dataclass(frozen=True)
class Open:
    """A variable whose sizes are not all known: declared without them, or a pattern of a rule.

    ``indexed`` marks a body ``e[i]`` that depends on a bound index.
    """

    name: str
    kind: Kind
    given: tuple[Dim, ...] = ()
    role: str = "variable"
    indexed: bool = False
