"""Recurrences as they are written: ``y[0] = x;  y[k+1] = phi(W[k]*y[k])``, and ``e where ...``.

A recurrence is two statements, its start and its step, in either order.  Which is which, the
direction, and the name of the index are seen from the text alone; shapes come later, in
:mod:`matcalc.language.inference`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ..errors import MatcalcError, ParseError
from ..terms import build
from ..terms.dims import Atom, Dim, Name, dim, substitute
from ..terms.symbols import Loop
from ..terms.term import Term
from .names import ascii_name
from .shapes import Shape
from .syntax import Node, is_zero, walk

if TYPE_CHECKING:
    from .elaborate import Elaborated
    from .scope import Scope

Hint = tuple[Any, Any, str]
"""A preferred name: of a bound index (first value, last value), of a recurrence (start, step)."""

UNPLACED = Name("·")
"""The index of a state that no text can name."""


@dataclass(frozen=True, eq=False)
class Recurrence:
    """A recurrence that is understood; every state of it is a term.

    ``place`` says which of several coupled states it is, one (which, rows, columns, …) for all of them.
    """

    loop: Loop
    start: Term
    body: Term
    hints: tuple[Hint, ...] = ()
    place: tuple[Any, ...] = ()

    @property
    def first(self) -> Dim:
        """The index of the start."""
        return self.loop.first

    @property
    def step(self) -> int:
        """1 upwards, -1 downwards."""
        return self.loop.step

    def shape_at(self, at: Dim) -> Shape:
        """The shape of a state."""
        mapping: dict[Atom, Dim] = {self.loop.index: at}
        rows, cols = self.loop.slot.rows, self.loop.slot.cols
        if self.place:
            which, *shapes = self.place
            rows, cols = shapes[2 * which : 2 * which + 2]
        return substitute(rows, mapping), substitute(cols, mapping)

    def state(self, at: Dim) -> Term:
        """The state with index ``at``."""
        state = build.state(self.loop.moved(at), self.start, self.body)
        if not self.place:
            return state
        which, *shapes = self.place
        return build.part(state, which, [substitute(d, {self.loop.index: at}) for d in shapes])


class Statement(NamedTuple):
    """One statement about a recurrence: ``left`` is ``y[k+1]``; ``term`` is the right side if it is known already."""

    left: Node
    right: Node
    text: str
    term: Term | None = None
    hints: tuple[Hint, ...] = ()

    @property
    def name(self) -> str:
        """The name of the recurrence."""
        return ascii_name(str(self.left.parts[0].parts[0]))

    @property
    def slot(self) -> Node:
        """The index on the left side."""
        found: Node = self.left.parts[1].parts[0]
        return found


class Form(NamedTuple):
    """How a step is written: ``y[variable + ahead]`` out of ``y[variable + back]``."""

    variable: str
    ahead: int
    back: int


@dataclass(frozen=True, eq=False)
class Pair:
    """Start and step of one recurrence, not understood yet."""

    start: Statement
    follow: Statement
    form: Form

    @property
    def name(self) -> str:
        """The name of the recurrence."""
        return self.start.name

    @property
    def step(self) -> int:
        """1 upwards, -1 downwards."""
        return self.form.ahead - self.form.back

    @property
    def back(self) -> int:
        """The state used is the one at the index written on the left plus this."""
        return self.form.back


Group = tuple[Pair, ...]
"""Recurrences that use one another; most often one alone."""


class Halves(NamedTuple):
    """What a session knows of a recurrence that is not complete."""

    start: Statement | None = None
    follow: Statement | None = None
    form: Form | None = None

    @property
    def missing(self) -> str:
        """What has not been said yet."""
        if self.start is None:
            return "step but no start yet: {0}[0] = ..."
        if self.follow is None:
            return "start but no step yet: {0}[k+1] = ... of {0}[k]"
        return "start and a step, but the step uses a recurrence that is not complete yet"


# ---------------------------------------------------------------- start or step


def statement(left: Node, right: Node, text: str) -> Statement:
    """The statement ``left = right`` about a recurrence.  Raises :class:`ParseError`."""
    slots = left.parts[1].parts
    if left.parts[0].kind != "name" or len(slots) != 1 or slots[0].kind in ("span", "range"):
        raise ParseError("a recurrence is written with one index: y[0] = x; y[k+1] = ... of y[k]").locate(
            text, left.start, left.end
        )
    return Statement(left, right, text)


def form_of(said: Statement, started: Statement | None = None) -> Form | None:
    """How the statement steps, or None when it is a start.

    A step has a state on its right side; once there is a start, the other statement is the step
    even without one.
    """
    uses = [_place(node.parts[1].parts[0], said.text) for node in _uses(said.right, said.name)]
    left = _place(said.slot, said.text)
    if not uses:
        if started is None or left is None or _same(said.slot, started.slot, said.text, started.text):
            return None
        return Form(*left, 0 if abs(left[1]) == 1 else left[1] - 1)
    name = said.name
    shown = f"the step of a recurrence reads {name}[k+1] = ... of {name}[k], or {name}[k] = ... of {name}[k-1]"
    if left is None:
        raise ParseError(shown, hint="the index on the left is a name, plus or minus a number").locate(
            said.text, said.left.start, said.left.end
        )
    variable, ahead = left
    beside = {use[1] for use in uses if use is not None and use[0] == variable}
    for back in (ahead - 1, ahead + 1):
        if back in beside:
            return Form(variable, ahead, back)
    hint = f"a step of two takes both states as one: [{name}[k]; {name}[k-1]]"
    raise ParseError(shown, hint=hint).locate(said.text, said.left.start, said.right.end)


def _uses(node: Node, name: str) -> list[Node]:
    """The states of a recurrence that an expression names."""
    return [
        part
        for part in walk(node)
        if part.kind == "index" and part.parts[0].kind == "name" and ascii_name(str(part.parts[0].parts[0])) == name
    ]


def _size(node: Node, text: str) -> Dim | None:
    from .sizes import free_size

    try:
        return free_size(node, text)
    except MatcalcError:
        return None


def _place(node: Node, text: str) -> tuple[str, int] | None:
    """``("k", 1)`` of ``k+1``: a name plus a number."""
    at = _size(node, text)
    for atom in () if at is None else at.atoms():
        constant = (at - dim(atom)).constant if at is not None and isinstance(atom, Name) else None
        if constant is not None and constant.denominator == 1:
            return str(atom), int(constant)
    return None


def _same(one: Node, other: Node, text: str, other_text: str) -> bool:
    return _size(one, text) is _size(other, other_text)


# ---------------------------------------------------------------- e where ...


class Plain(NamedTuple):
    """A definition ``v = e`` after ``where``."""

    name: str
    right: Node


def local_definitions(node: Node, text: str) -> list[Group | Plain]:
    """What the definitions of ``e where ...`` say, each after those that it uses."""
    said: dict[str, list[Statement]] = {}
    found: dict[str, Pair | Plain] = {}
    places: dict[str, Node] = {}
    for binding in node.parts[1].parts:
        left, right = binding.parts
        if left.kind == "index":
            made = statement(left, right, text)
            name = made.name
            said.setdefault(name, []).append(made)
        elif left.kind == "name":
            name = ascii_name(str(left.parts[0]))
            if name in places:
                raise _twice(name, left, text)
            found[name] = Plain(name, right)
        else:
            raise ParseError("after where stand definitions: y[0] = x; y[k+1] = ..., or v = ...").locate(
                text, left.start, left.end
            )
        if name in said and name in found:
            raise _twice(name, left, text)
        places.setdefault(name, left)
    for name, statements in said.items():
        found[name] = _paired(name, statements, text)
    return _in_order({name: found[name] for name in places}, places, node, text)


def _twice(name: str, place: Node, text: str) -> MatcalcError:
    return ParseError(f"{name} is defined twice").locate(text, place.start, place.end)


def _paired(name: str, statements: list[Statement], text: str) -> Pair:
    if len(statements) > 2:
        raise _twice(name, statements[2].left, text)
    forms = [form_of(one) for one in statements]
    if len(statements) == 2 and forms == [None, None]:
        forms[1] = form_of(statements[1], statements[0])
    if forms.count(None) != 1 or len(statements) == 1:
        halves = Halves(statements[0]) if forms[0] is None else Halves(None, statements[0], forms[0])
        message = f"{name} has a {halves.missing.format(name)}"
        if len(statements) == 2:
            message = f"of the two statements about {name} one is the start: {name}[0] = ..., and one the step"
        raise ParseError(message).locate(text, statements[0].left.start, statements[-1].right.end)
    at = forms.index(None)
    form = forms[1 - at]
    assert form is not None
    return Pair(statements[at], statements[1 - at], form)


def _rights(item: Pair | Plain) -> list[Node]:
    if isinstance(item, Plain):
        return [item.right]
    return [item.start.slot, item.start.right, item.follow.right]


def _names(nodes: Iterable[Node]) -> set[str]:
    return {
        ascii_name(str(part.parts[0]).rstrip("'"))
        for node in nodes
        for part in walk(node)
        if part.kind in ("name", "call", "primed")
    }


def _in_order(found: dict[str, Pair | Plain], places: dict[str, Node], node: Node, text: str) -> list[Group | Plain]:
    needs = {name: _names(_rights(item)) & set(found) - {name} for name, item in found.items()}
    used = _names([node.parts[0]]).union(*needs.values())
    for name, place in places.items():
        if name not in used:
            raise ParseError(
                f"{name} is defined after where but not used", hint="a new statement starts on a new line"
            ).locate(text, place.start, place.end)
    order: list[Group | Plain] = []
    for group in groups(needs):
        items = [found[name] for name in group]
        pairs = tuple(item for item in items if isinstance(item, Pair))
        if len(pairs) == len(items):
            order.append(pairs)
            continue
        if len(items) > 1:
            plain = next(item.name for item in items if isinstance(item, Plain))
            place = places[plain]
            raise MatcalcError(f"{plain} uses itself, by way of {' and '.join(n for n in group if n != plain)}").locate(
                text, place.start, place.end
            )
        order += [item for item in items if isinstance(item, Plain)]
    return order


def groups(needs: Mapping[str, set[str]]) -> list[list[str]]:
    """The names in groups that need one another, each after those that it needs."""
    reached: dict[str, set[str]] = {}
    for name in needs:
        seen, todo = {name}, [name]
        while todo:
            new = (needs[todo.pop()] & set(needs)) - seen
            seen |= new
            todo += new
        reached[name] = seen
    made = {name: [n for n in needs if n in reached[name] and name in reached[n]] for name in needs}
    order: list[list[str]] = []
    for name in sorted(needs, key=lambda n: len(reached[n])):  # a group reaches more than those that it needs
        if made[name] not in order:
            order.append(made[name])
    return order


# ---------------------------------------------------------------- in a session


def define(scope: Scope, left: Node, right: Node, text: str) -> Elaborated | None:
    """The statement ``y[...] = ...``: the next state when the recurrence is complete, otherwise None."""
    from .elaborate import Elaborated, Elaboration

    said = statement(left, right, text)
    known = scope.halves.get(said.name, Halves())
    form = form_of(said, known.start)
    if form is not None and not _uses(right, said.name):
        variable = form.variable
        if variable in scope.integers and variable not in _names([right]):
            message = f"{said.name} has a start already, and {variable} is a number that is known"
            hint = f"the step reads {said.name}[k+1] = ... of {said.name}[k]"
            raise ParseError(message, hint=hint).locate(text, left.start, left.end)
    if form is None:
        known = known._replace(start=_begun(said, scope))
    else:
        known = known._replace(follow=said, form=form)
    scope.forget(said.name)
    scope.halves[said.name] = known
    complete = _complete(scope, said.name)
    shown: Elaborated | None = None
    for pairs in complete:
        elaboration = Elaboration(scope, text)
        elaboration.recur(pairs)
        elaboration.settle()
        for pair, made in zip(pairs, elaboration.build_recurrences(pairs), strict=True):
            scope.halves.pop(pair.name, None)
            scope.recurrences[pair.name] = made
            if pair.name == said.name:
                after = made.state(dim(pair.form.variable) + pair.form.ahead)
                shown = Elaborated(after, elaboration.assumed, elaboration.notes, list(made.hints), pair.name)
    return shown


def _complete(scope: Scope, name: str) -> list[Group]:
    """The recurrences that can be understood now that more is known of ``name``: with it, those that waited for it."""
    pairs = {
        other: Pair(known.start, known.follow, known.form)
        for other, known in scope.halves.items()
        if known.start is not None and known.follow is not None and known.form is not None
    }
    coming = set(scope.halves) | (scope.coming - set(scope.recurrences))
    needs = {other: _names(_rights(pair)) & coming - {other} for other, pair in pairs.items()}
    ready: list[Group] = []
    waiting = coming - set(pairs)
    for group in groups(needs):
        if set().union(*(needs[one] for one in group)) & waiting:
            waiting |= set(group)
        else:
            ready.append(tuple(pairs[one] for one in group))
    return ready


def _begun(said: Statement, scope: Scope) -> Statement:
    """A start: understood at once, unless the shapes of undeclared names are to be seen from the step."""
    from .elaborate import Elaboration

    if is_zero(said.right):
        return said
    trial = scope.copy()
    elaboration = Elaboration(trial, said.text)
    elaboration.infer(said.right)
    elaboration.settle()
    term = elaboration.build(said.right)
    if elaboration.assumed:
        return said
    scope.integers |= trial.integers
    return said._replace(term=term, hints=tuple(elaboration.index_names))
