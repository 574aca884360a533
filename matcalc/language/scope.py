"""What names mean: declarations, definitions, functions, families, assumptions.

A scope is what a session remembers between statements.  Sizes and indices are integers and need
no declaration; they live beside the variables, so ``m: vector(n)`` and ``matrix(m,n)`` may meet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from ..errors import ParseError, ShapeError, UnknownName
from ..terms import build
from ..terms.dims import Dim, Index, Name, SizeAt, dim
from ..terms.symbols import Family, Symbol
from ..terms.term import Term
from .kinds import FACTS, KINDS, Kind, Open
from .names import ascii_name
from .parser import parse_syntax
from .recurrence import Halves, Recurrence
from .recurrence import define as define_recurrence
from .shapes import Shape
from .sizes import Declared, size_task
from .syntax import Node, run

if TYPE_CHECKING:
    from .elaborate import Elaborated


class Operation(Protocol):
    """Something like D or grad: its shape is known before terms are built."""

    def shape(self, args: list[Shape]) -> Shape:
        """The shape of the result, from the shapes of the arguments."""

    def build(self, args: list[Term]) -> Term:
        """The result."""

    def structured(self) -> Operation:
        """The same along the structure of a variable.  Raises :class:`MatcalcError` for what has no variable."""


@dataclass(frozen=True, eq=False)
class Definition:
    """A function ``p(x) = ...``; ``scope`` holds what its other names meant when it was written."""

    name: str
    parameters: tuple[str, ...]
    body: Node
    text: str
    scope: Scope = field(repr=False)


@dataclass
class Scope:
    """What names mean at one place of a session."""

    symbols: dict[str, Symbol | Family] = field(default_factory=dict)
    definitions: dict[str, Term] = field(default_factory=dict)
    functions: dict[str, Definition] = field(default_factory=dict)
    unknown_functions: set[str] = field(default_factory=set)
    operations: Mapping[str, Operation] = field(default_factory=dict)
    assumptions: frozenset[tuple[Term, str]] = frozenset()
    opened: dict[str, Open] = field(default_factory=dict)
    integers: set[str] = field(default_factory=set)
    sizes: set[str] = field(default_factory=set)
    size_lists: set[str] = field(default_factory=set)
    recurrences: dict[str, Recurrence] = field(default_factory=dict)
    halves: dict[str, Halves] = field(default_factory=dict)
    coming: set[str] = field(default_factory=set)
    apart: Term | None = None
    """The variable whose structure the derivatives inside an expression put aside, as that around them does."""

    def copy(self) -> Scope:
        """An independent scope with the same meanings."""
        return Scope(
            dict(self.symbols),
            dict(self.definitions),
            dict(self.functions),
            set(self.unknown_functions),
            self.operations,
            self.assumptions,
            dict(self.opened),
            set(self.integers),
            set(self.sizes),
            set(self.size_lists),
            dict(self.recurrences),
            dict(self.halves),
            self.coming,
            self.apart,
        )

    def known(self) -> set[str]:
        """All names that mean something."""
        return {
            *self.symbols,
            *self.definitions,
            *self.functions,
            *self.unknown_functions,
            *self.opened,
            *self.integers,
            *self.size_lists,
            *self.recurrences,
            *self.halves,
        }

    # ------------------------------------------------------------ declarations

    def declare(self, names: str, type_: str) -> None:
        """Declare variables: ``declare("A, B", "matrix(m,n)")``, ``declare("x[i=1..N]", "vector(n)")``."""
        self._declare_text(f"{names}: {type_}")

    def declare_all(self, where: Mapping[str, str] | str | None) -> None:
        """Declarations as the library takes them: a mapping, or ``"A: matrix(m,n); x: vector(n)"``."""
        if where is None:
            return
        for text in [where] if isinstance(where, str) else [f"{names}: {type_}" for names, type_ in where.items()]:
            self._declare_text(text)

    def _declare_text(self, text: str) -> None:
        for node in parse_syntax(text, "script").nodes():
            if node.kind != "declaration":
                raise ParseError("a declaration reads name: type").locate(text, node.start, node.end)
            self.declare_nodes(node.parts[0], node.parts[1], text)

    def declare_nodes(self, names: Node, type_: Node, text: str) -> None:
        """The statement ``names: type``."""
        for node in names.nodes():
            self._declare_one(node, type_, text)

    def _declare_one(self, node: Node, type_: Node, text: str) -> None:
        if node.kind == "index":
            self._declare_family(node, type_, text)
            return
        name = _plain_name(node, text)
        word = str(type_.parts[0])
        if word in ("integer", "function"):
            if type_.parts[1] is not None:
                raise ShapeError(f"{word} takes no sizes").locate(text, type_.start, type_.end)
            self.forget(name)
            (self.integers if word == "integer" else self.unknown_functions).add(name)
            return
        kind, given = self._type(type_, text, {})
        self.forget(name)
        if not given and kind.pattern != "11":
            self.opened[name] = Open(name, kind)
            return
        rows, cols = kind.shape(given, _never)
        self.symbols[name] = Symbol(name, rows, cols, kind.facts)

    def _declare_family(self, node: Node, type_: Node, text: str) -> None:
        name = _plain_name(node.parts[0], text)
        slots = node.parts[1].parts
        if len(slots) != 1 or slots[0].kind != "range":
            raise ParseError(f"a family is declared with its range: {name}[i=1..N]").locate(text, node.start, node.end)
        index_node, low, high = slots[0].parts
        lo, hi = self.read_size(low, text), self.read_size(high, text)
        index = Index(0, lo, hi)
        kind, given = self._type(type_, text, {_plain_name(index_node, text): dim(index)})
        if not given and kind.pattern != "11":
            raise ShapeError("the members of a family need their sizes").locate(text, type_.start, type_.end)
        rows, cols = kind.shape(given, _never)
        self.forget(name)
        count = (hi - lo + 1).atom
        if isinstance(count, Name):  # a family has members
            self.sizes.add(count.name)
        self.symbols[name] = Family(name, index, rows, cols, kind.facts)

    def _type(self, node: Node, text: str, indices: Mapping[str, Dim]) -> tuple[Kind, list[Dim]]:
        word = str(node.parts[0])
        kind = KINDS.get(word)
        if kind is None or word == "row":
            error = unknown(word, [*KINDS, "integer", "function"], "type")
            raise error.locate(text, node.start, node.start + len(word))
        args = [] if node.parts[1] is None else node.parts[1].parts
        if len(args) not in kind.sizes:
            wanted = " or ".join(str(n) for n in kind.sizes)
            raise ShapeError(f"{word} takes {wanted} sizes, not {len(args)}").locate(text, node.start, node.end)
        given = [self.read_size(arg, text, indices) for arg in args]
        for arg, size in zip(args, given, strict=True):
            if size.constant is not None and (size.constant < 1 or size.constant.denominator != 1):
                raise ShapeError(f"a size is at least 1, not {size}").locate(text, arg.start, arg.end)
            self.sizes.update(a.name for a in size.atoms() if isinstance(a, Name))
        return kind, given

    def read_size(self, node: Node, text: str, indices: Mapping[str, Dim] | None = None) -> Dim:
        """A size in a declaration, where every name is an integer."""
        size = run(size_task(node, Declared(text, indices or {}, self.integers)))
        self.size_lists.update(a.name for a in size.atoms() if isinstance(a, SizeAt))
        return size

    def forget(self, name: str) -> None:
        """A new meaning takes the place of the old ones; sizes of others are left alone."""
        self.symbols.pop(name, None)
        self.definitions.pop(name, None)
        self.functions.pop(name, None)
        self.opened.pop(name, None)
        self.recurrences.pop(name, None)
        self.halves.pop(name, None)
        self.unknown_functions.discard(name)
        if name not in self.sizes:
            self.integers.discard(name)

    def declare_pattern(self, name: str, kind: str) -> None:
        """A variable of a rule, its sizes open.

        ``("A", "matrix")`` has any shape, ``("e[i]", "scalar")`` is a body that depends on a bound
        index, ``("k", "integer")`` a size, ``("X", "matrix(m,n)")`` names its sizes.
        """
        text = f"{name}: {kind}"
        declaration = parse_syntax(text, "script").nodes()[0]
        if declaration.kind != "declaration":
            raise ParseError("a pattern is declared as name: kind").locate(text, 0, len(text))
        self.declare_pattern_nodes(declaration.parts[0], declaration.parts[1], text)

    def declare_pattern_nodes(self, names: Node, type_: Node, text: str) -> None:
        """The statement ``let names: kind`` of a rule file."""
        word = str(type_.parts[0])
        for node in names.nodes():
            indexed = node.kind == "index"
            name = _plain_name(node.parts[0] if indexed else node, text)
            self.forget(name)
            if word in ("integer", "index"):
                self.integers.add(name)
                continue
            if word == "function":
                self.unknown_functions.add(name)
                continue
            kind = KINDS.get(word)
            if kind is None:
                raise unknown(word, [*KINDS, "integer", "function"], "kind").locate(text, type_.start, type_.end)
            args = [] if type_.parts[1] is None else type_.parts[1].parts
            if len(args) not in kind.sizes:
                raise ShapeError(f"{word} does not take {len(args)} sizes").locate(text, type_.start, type_.end)
            given = tuple(self.read_size(arg, text) for arg in args)
            self.opened[name] = Open(name, kind, given, "pattern", indexed)

    # ------------------------------------------------------------ definitions

    def define(self, name: str, expression: str) -> Term:
        """``name = expression``; the term that the name stands for from now on."""
        text = f"{name} = {expression}"
        node = parse_syntax(text, "script").nodes()[0]
        made = self.define_nodes(node.parts[0], node.parts[1], text) if node.kind == "definition" else None
        if made is None:
            raise ParseError("a definition reads name = expression").locate(text, 0, len(text))
        return made.term

    def define_all(self, let: Mapping[str, str] | None) -> None:
        """Definitions as the library takes them, functions ``p(x)`` included."""
        read: list[tuple[Node, str]] = []
        for name, expression in (let or {}).items():
            text = f"{name} = {expression}"
            read.append((parse_syntax(text, "script").nodes()[0], text))
        with self.expecting(node for node, _ in read):
            for node, text in read:
                self.define_nodes(node.parts[0], node.parts[1], text)

    @contextmanager
    def expecting(self, statements: Iterable[Node]) -> Iterator[None]:
        """Statements are about to come; a recurrence that one of them begins may be used before."""
        before = self.coming
        self.coming = {
            ascii_name(str(left.parts[0].parts[0]))
            for node in statements
            if node.kind == "definition" and (left := node.parts[0]).kind == "index" and left.parts[0].kind == "name"
        }
        try:
            yield
        finally:
            self.coming = before

    def define_nodes(self, left: Node, right: Node, text: str) -> Elaborated | None:
        """The statement ``left = right``: what a name stands for.

        None when it defines a function, or one half of a recurrence.
        """
        from .elaborate import elaborate

        if left.kind == "call":
            self._define_function(left, right, text)
            return None
        if left.kind == "index":
            return define_recurrence(self, left, right, text)
        name = _plain_name(left, text)
        made = elaborate(right, text, self)
        self.forget(name)
        self.definitions[name] = made.term
        return made

    def _define_function(self, left: Node, right: Node, text: str) -> None:
        name = ascii_name(str(left.parts[0]))
        args = [] if left.parts[1] is None else left.parts[1].parts
        parameters = tuple(_plain_name(arg, text) for arg in args)
        if len(set(parameters)) < len(parameters) or not parameters:
            raise ParseError("a function is defined with different names as parameters: p(x, y) = ...").locate(
                text, left.start, left.end
            )
        held = self.copy()
        self.forget(name)
        self.functions[name] = Definition(name, parameters, right, text, held)

    # ------------------------------------------------------------ assumptions

    def assume(self, condition_node: Node, text: str) -> None:
        """``Sigma is posdef`` or ``t > 0``: a fact that holds from now on."""
        maker = _ASSUMED.get(condition_node.kind)
        if maker is None:
            raise ParseError("only facts can be assumed", hint="write assume A is posdef, or assume t > 0").locate(
                text, condition_node.start, condition_node.end
            )
        self.assumptions |= {maker(self, condition_node, text)}


def _assume_fact(scope: Scope, node: Node, text: str) -> tuple[Term, str]:
    from .elaborate import Elaboration

    subject, negated, word = node.parts
    fact = str(word)
    if negated is not None:
        raise ParseError("the lack of a fact cannot be assumed").locate(text, node.start, node.end)
    if fact not in FACTS:
        raise unknown(fact, FACTS, "fact").locate(text, node.end - len(fact), node.end)
    elaboration = Elaboration(scope, text)
    elaboration.require(subject, fact)
    elaboration.settle()
    return elaboration.build(subject), fact


_POSITIVE = {">": "positive", ">=": "nonneg", "≥": "nonneg", "<": "positive", "<=": "nonneg", "≤": "nonneg"}


def _assume_relation(scope: Scope, node: Node, text: str) -> tuple[Term, str]:
    from .elaborate import Elaboration

    left, operator, right = node.parts
    elaboration = Elaboration(scope, text)
    elaboration.infer(left)
    elaboration.infer(right)
    elaboration.settle()
    a, b = elaboration.build(left), elaboration.build(right)
    for side, sub in ((a, left), (b, right)):
        if not side.is_scalar:
            shown = build.show_shape(side.rows, side.cols)
            raise ShapeError(f"only scalars are compared, not {shown}").locate(text, sub.start, sub.end)
    difference = build.sub(b, a) if str(operator) in ("<", "<=", "≤") else build.sub(a, b)
    return difference, _POSITIVE.get(str(operator), "nonzero")


_ASSUMED: dict[str, Callable[[Scope, Node, str], tuple[Term, str]]] = {
    "has": _assume_fact,
    "relation": _assume_relation,
}


def _never(_: str) -> Dim:
    raise AssertionError("a type without sizes has a shape of its own")


def _plain_name(node: Node, text: str) -> str:
    if node.kind != "name":
        raise ParseError("a name is expected here").locate(text, node.start, node.end)
    return ascii_name(str(node.parts[0]))


def unknown(name: str, candidates: Iterable[str], what: str = "name", hint: str | None = None) -> UnknownName:
    """The error for a name that means nothing, with what may have been meant."""
    from difflib import get_close_matches

    close = get_close_matches(name, sorted(set(candidates)), 1, 0.6)
    parts = [f"did you mean {close[0]}?"] if close else []
    if hint:
        parts.append(hint)
    return UnknownName(f"the {what} {name} is not known", hint="\n".join(parts) or None)
