"""What a name means where it stands: a variable, a parameter, an index, a number, a pattern."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from ..errors import MatcalcError, ShapeError
from ..terms import build
from ..terms.dims import ZERO, Atom, Dim, Index, Name, dim, substitute
from ..terms.symbols import Symbol
from ..terms.term import Term
from .functions import FUNCTIONS
from .kinds import KINDS, Open
from .names import GREEK_NAMES, SMALL_GREEK
from .recurrence import Pair, Recurrence, Statement
from .scope import Scope, unknown
from .shapes import Shape, Sizes
from .syntax import Node

SHOWN = 60
"""Longer sub-expressions are cut in messages."""


class NeedsIntegerError(Exception):
    """A name that was read as a variable has to be an integer."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


@dataclass(eq=False)
class Recurring:
    """A recurrence that is being read.

    ``index`` is the one written on its left side, the state used on the right is the one at
    ``index + back``, of shape ``slot``; ``reading`` is true while the right side is read, where no
    other state is known but the start.  Of several that use one another, each has the state ``here``
    in the step that is being read, and the one after it there, except in its own step.
    """

    pair: Pair
    index: Index
    first: Dim
    start: Shape
    slot: Shape
    reading: bool = True
    here: Dim = ZERO
    own: bool = True
    symbol: Symbol | None = None
    following: Symbol | None = None
    begun: Term | None = None
    made: Recurrence | None = None

    @property
    def step(self) -> int:
        """1 upwards, -1 downwards."""
        return self.pair.step

    def read_in(self, step: Recurring) -> None:
        """The step of a recurrence is read from here on, in which this one may be used."""
        self.here = dim(step.index) + step.pair.back
        self.own = step is self

    def shape_at(self, at: Dim, sizes: Sizes) -> Shape:
        """The shape of a state."""
        rows, cols = sizes.shape(self.slot)
        mapping: dict[Atom, Dim] = {self.index: at - self.pair.back}
        return substitute(rows, mapping), substitute(cols, mapping)


@dataclass(eq=False)
class Local:
    """A variable of this inference: undeclared, declared without sizes, or a pattern."""

    name: str
    kind: str
    shape: Shape
    facts: frozenset[str]
    role: str
    indexed: bool
    declared: bool


@dataclass(eq=False)
class Parameter:
    """What a parameter of a function stands for in one call."""

    node: Node
    frame: Frame
    shape: Shape
    term: Term | None = None


class Bound(NamedTuple):
    """The range of one sum or product."""

    over: Index
    step: int


@dataclass(eq=False)
class Frame:
    """One text being read: the expression itself, or the body of a function in one call."""

    scope: Scope
    text: str
    depth: int = 0
    parameters: dict[str, Parameter] = field(default_factory=dict)
    bound: dict[str, Dim] = field(default_factory=dict)
    states: dict[str, Recurring] = field(default_factory=dict)
    shapes: dict[Node, Shape] = field(default_factory=dict)
    dims: dict[Node, list[Dim]] = field(default_factory=dict)
    ranges: dict[Node, Bound] = field(default_factory=dict)
    calls: dict[Node, Frame] = field(default_factory=dict)
    how: dict[Node, Any] = field(default_factory=dict)
    recurring: dict[Pair, Recurring] = field(default_factory=dict)

    def define(self, name: str, table: dict[str, Any], value: Any) -> Callable[[], None]:
        """Give a name a meaning in one of the tables; what is returned takes it back."""
        tables: tuple[dict[str, Any], ...] = (self.bound, self.states, self.parameters)
        before = [(other, other.pop(name)) for other in tables if name in other]
        table[name] = value

        def undo() -> None:
            table.pop(name, None)
            for other, old in before:
                other[name] = old

        return undo

    def reading(self, statement: Statement) -> Frame:
        """The frame of a statement: this one, unless it was written in another text."""
        if statement.text == self.text:
            return self
        if statement.right not in self.calls:
            self.calls[statement.right] = Frame(self.scope, statement.text, self.depth)
        return self.calls[statement.right]

    def source(self, node: Node) -> str:
        """The text of a node, cut when it is long."""
        return self.between(node, node)

    def between(self, first: Node, last: Node) -> str:
        """The text from one node to another."""
        text = " ".join(self.text[first.start : last.end].split())
        return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


class Meaning(NamedTuple):
    """What a name means.

    ``kind`` is ``integer`` (a Dim), ``symbol``, ``family``, ``term``, ``local``, ``body`` (an indexed
    pattern), ``parameter``, ``diff`` (of another meaning), ``recurrence``, ``half`` (of one) or ``pi``.
    """

    kind: str
    value: Any


def default_kinds(name: str) -> tuple[str, ...]:
    """What an undeclared name may be, most likely first."""
    stem = name.rstrip("0123456789_") if name not in GREEK_NAMES else name
    stem = stem.split("_")[0]
    if stem in SMALL_GREEK:
        return ("scalar", "vector")
    if name[0].isupper():
        return ("matrix", "vector", "scalar")
    return ("vector", "scalar")


def wrong_count(node: Node, frame: Frame, wanted: str, given: int) -> MatcalcError:
    """The error for a call with too many or too few arguments."""
    plural = "" if wanted == "1" else "s"
    return ShapeError(f"{node.parts[0]} takes {wanted} argument{plural}, not {given}").locate(
        frame.text, node.start, node.end
    )


class Names:
    """The names of one attempt at understanding a text.

    ``kinds`` says what undeclared names are taken for, ``integers`` which names were found to be
    integers; ``root`` is the text itself, as opposed to the bodies of functions that it calls.
    """

    def __init__(self, scope: Scope, text: str, patterns: bool, kinds: Mapping[str, str], integers: set[str]) -> None:
        self.root = Frame(scope, text)
        self.patterns = patterns
        self.kinds = kinds
        self.integers = integers
        self.sizes = Sizes()
        self.locals: dict[str, Local] = {}
        self.pattern_integers: dict[str, Dim] = {}

    def meaning(self, name: str, frame: Frame, node: Node) -> Meaning:
        """What a name stands for in value position."""
        found = self.found(name, frame)
        if found is not None:
            return found
        if name == "pi":
            return Meaning("pi", build.PI)
        if self.patterns:
            return self._pattern_name(name, frame, node)
        if name in FUNCTIONS or name in ("prod", "ind"):
            raise ShapeError(f"{name} is a function: write {name}(...)").locate(frame.text, node.start, node.end)
        return Meaning("local", self._undeclared(name))

    def found(self, name: str, frame: Frame) -> Meaning | None:
        """What a name means already, or None."""
        if name in frame.bound:
            return Meaning("integer", frame.bound[name])
        if name in frame.states:
            return Meaning("recurrence", frame.states[name])
        if name in frame.parameters:
            return Meaning("parameter", frame.parameters[name])
        settled = name in frame.scope.opened and name in self.root.scope.symbols  # since the function was defined
        found = None if settled else self._in_scope(name, frame.scope)
        if found is None and frame is not self.root:
            found = self._in_scope(name, self.root.scope)
        if found is None and name in self.locals:
            return Meaning("local", self.locals[name])
        return found

    def _in_scope(self, name: str, scope: Scope) -> Meaning | None:
        symbol = scope.symbols.get(name)
        if symbol is not None:
            return Meaning("symbol" if isinstance(symbol, Symbol) else "family", symbol)
        if name in scope.definitions:
            return Meaning("term", scope.definitions[name])
        if name in scope.recurrences:
            return Meaning("recurrence", scope.recurrences[name])
        if name in scope.halves:
            return Meaning("half", scope.halves[name])
        if name in scope.opened:
            local = self._open(scope.opened[name])
            return Meaning("body" if local.indexed else "local", local)
        if name in scope.integers or name in self.integers:
            return Meaning("integer", self.known_integer(name))
        return None

    def known_integer(self, name: str) -> Dim:
        """The integer with this name; in rules, one that is still open."""
        if not self.patterns:
            return dim(name)
        if name not in self.pattern_integers:
            self.pattern_integers[name] = self.sizes.fresh(name, whole=True)
        return self.pattern_integers[name]

    def _pattern_name(self, name: str, frame: Frame, node: Node) -> Meaning:
        if name.startswith("d") and len(name) > 1:
            base = self.found(name[1:], frame)
            if base is not None and base.kind in ("local", "symbol"):
                return Meaning("diff", base)
        raise unknown(name, frame.scope.known(), hint="a rule declares its variables with let or for").locate(
            frame.text, node.start, node.end
        )

    def _open(self, declared: Open) -> Local:
        local = self.locals.get(declared.name)
        if local is None:
            given = [self._pattern_size(d) for d in declared.given]
            kind = next(word for word, k in KINDS.items() if k == declared.kind)
            shape = declared.kind.shape(given, partial(self._fresh, declared))
            local = Local(declared.name, kind, shape, declared.kind.facts, declared.role, declared.indexed, True)
            self.locals[declared.name] = local
        return local

    def _fresh(self, declared: Open, letter: str) -> Dim:
        """An open size of a declared variable; those of patterns are called ``A.r`` and ``A.c``."""
        if declared.role != "pattern":
            return self.sizes.fresh(wide=True)
        return self.sizes.fresh(f"{declared.name}.{'r' if declared.kind.pattern[0] == letter else 'c'}")

    def _pattern_size(self, d: Dim) -> Dim:
        if not self.patterns:
            return d
        return substitute(d, {a: self.known_integer(a.name) for a in d.atoms() if isinstance(a, Name)})

    def _undeclared(self, name: str) -> Local:
        kind = self.kinds.get(name) or default_kinds(name)[0]
        shape = KINDS[kind].shape([], lambda _: self.sizes.fresh(wide=True))
        self.locals[name] = Local(name, kind, shape, frozenset(), "variable", False, False)
        return self.locals[name]
