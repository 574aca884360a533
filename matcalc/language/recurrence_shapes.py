"""Pass 1: the shapes of the states of recurrences, and of what has definitions of its own (``where``)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ..errors import MatcalcError, ShapeError
from ..terms.dims import ONE, UNBOUNDED, ZERO, Atom, Dim, Index, SizeAt, dim, format_dim, substitute
from .meanings import Frame, Parameter, Recurring
from .recurrence import Pair, Plain, Recurrence, local_definitions
from .shapes import Hole, Shape, holes_of
from .syntax import Node, Task, is_zero

if TYPE_CHECKING:
    from .inference import Inference


def state(inference: Inference, node: Node, found: Recurring | Recurrence, name: str, frame: Frame) -> Task[Shape]:
    """One state, ``y[k]``."""
    slots = node.parts[1].parts
    if len(slots) != 1:
        raise ShapeError(f"{name} is a recurrence with one index", hint=f"an entry of a state is {name}[k][i,j]")
    at: Dim = yield inference.integer(slots[0], frame)
    frame.how[node] = "state"
    frame.dims[node] = [at]
    before = ((found.first - at) * found.step).constant
    if before is not None and before > 0:
        raise ShapeError(f"there is no {frame.source(node)}: {name} starts at {_side(inference, found.first)}")
    if isinstance(found, Recurrence):
        return found.shape_at(at)
    if found.reading and at is not found.here:
        if at is found.first:
            return found.start
        if not found.own and at is found.here + found.step:
            return found.shape_at(at, inference.sizes)
        written = _side(inference, found.here)
        hint = f"what reaches further back is a state of several blocks, such as [{name}[k]; {name}[k-1]]"
        raise MatcalcError(f"in the step of {name} only {name}[{written}] may be used, and its start", hint=hint)
    return found.slot if found.reading and found.own else found.shape_at(at, inference.sizes)


def recurrences(inference: Inference, pairs: Sequence[Pair], frame: Frame) -> Task[None]:
    """Read the starts and the steps of recurrences that use one another, most often of one alone."""
    members: list[Recurring] = []
    for pair in pairs:
        members.append((yield _start(inference, pair, frame)))
    for found in members:
        _together(found, members[0])
    for found in members:
        yield _step(inference, found, members, frame)
    for found in members:
        found.reading = False


def _start(inference: Inference, pair: Pair, frame: Frame) -> Task[Recurring]:
    """Read the start; the shape of a state is a function of its index."""
    begun = frame.reading(pair.start)
    first: Dim = yield inference.integer(pair.start.slot, begun)
    term = pair.start.term
    if term is not None:
        start: Shape = term.shape
    elif is_zero(pair.start.right):
        start = inference.sizes.fresh(), inference.sizes.fresh()
        begun.shapes[pair.start.right] = start
    else:
        start = yield inference.resolved(pair.start.right, begun)
    index = Index(1_000_000 + len(inference.index_names), ZERO, UNBOUNDED, pair.step)
    variable = pair.form.variable
    inference.index_names.append((index, variable))
    slot = _moving(inference, pair, start[0], first, index), _moving(inference, pair, start[1], first, index)
    found = Recurring(pair, index, first, start, slot)
    frame.recurring[pair] = found
    return found


def _step(inference: Inference, found: Recurring, members: Sequence[Recurring], frame: Frame) -> Task[None]:
    pair, start = found.pair, found.start
    inside = frame.reading(pair.follow)
    before = [inside.define(other.pair.name, inside.states, other) for other in members]
    before.append(inside.define(pair.form.variable, inside.bound, dim(found.index)))
    for other in members:
        other.read_in(found)
    if pair.follow.right not in inference.loose and found.slot != start:
        inference.moving.append(pair)
    body: Shape = yield inference.resolved(pair.follow.right, inside)
    for undo in reversed(before):
        undo()
    _close(inference, found, body, inside)
    if is_zero(pair.start.right):
        for hole in inference.sizes.open_holes(start):
            inference.equal(dim(hole), ONE, lambda: _open_loop(inference, found, body, inside))
    if inference.moving and inference.moving[-1] is pair:
        inference.moving.pop()


def _moving(inference: Inference, pair: Pair, side: Dim, first: Dim, index: Index) -> Dim:
    """A side of the start as a side of the state with the index that the step uses: h[0] becomes h[k]."""
    side = inference.sizes.resolve(side)
    holes = holes_of(side)
    here = dim(index) + pair.back
    atoms: dict[Atom, Dim] = {
        atom: dim(SizeAt(atom.name, atom.arg - first + here))
        for atom in side.atoms()
        if isinstance(atom, SizeAt) and (atom.arg - first).constant is not None
    }
    if holes or (atoms and pair.follow.right in inference.loose):
        return inference.sizes.fresh(wide=side.atom in inference.sizes.wide)
    return substitute(side, atoms)


def _close(inference: Inference, found: Recurring, body: Shape, frame: Frame) -> None:
    """The next state has the shape of a state, and so has the start."""
    index, step = found.index, found.step

    def error() -> MatcalcError:
        return _open_loop(inference, found, body, frame)

    for slot, made, start in zip(found.slot, body, found.start, strict=True):
        side, made = inference.sizes.resolve(slot), inference.sizes.resolve(made)
        if isinstance(side.atom, Hole):
            inference.equal(side, substitute(made, {index: dim(index) - step}), error)
        else:
            inference.equal(substitute(side, {index: dim(index) + step}), made, error)
        side = inference.sizes.resolve(slot)
        inference.equal(substitute(side, {index: found.first - found.pair.back}), start, error)


def _open_loop(inference: Inference, found: Recurring, body: Shape, frame: Frame) -> ShapeError:
    name, follow = found.pair.name, found.pair.follow
    begun = f"{name}[{_side(inference, found.first)}] is {inference.shown(found.start)}"
    used = f"{name}[{_side(inference, found.here)}] is {inference.shown(found.slot)}"
    made = f"{name}[{_side(inference, dim(found.index) + found.pair.form.ahead)}] would be {inference.shown(body)}"
    error = ShapeError(f"the step of {name} does not fit its start: {begun}, {used}, but {made}")
    error.locate(follow.text, follow.right.start, follow.right.end)
    return error


def _side(inference: Inference, d: Dim) -> str:
    return format_dim(inference.sizes.resolve(d), dict(inference.index_names)).replace(" + ", "+").replace(" - ", "-")


def where(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``e where y[0] = ...; y[k+1] = ...; v = ...``."""
    definitions = local_definitions(node, frame.text)
    frame.how[node] = definitions
    undo: list[Callable[[], None]] = []
    for item in definitions:
        if isinstance(item, Plain):
            shape: Shape = yield inference.shape(item.right, frame)
            undo.append(frame.define(item.name, frame.parameters, Parameter(item.right, frame, shape)))
        else:
            yield recurrences(inference, item, frame)
            undo += [frame.define(pair.name, frame.states, frame.recurring[pair]) for pair in item]
    result: Shape = yield inference.shape(node.parts[0], frame)
    for back in reversed(undo):
        back()
    return result


def _together(found: Recurring, other: Recurring) -> None:
    """States that use one another start together and run the same way."""
    if found.step != other.step or found.first is not other.first:
        names = f"{other.pair.name} and {found.pair.name}"
        start = found.pair.start
        raise MatcalcError(f"{names} use one another: they start at the same index and run the same way").locate(
            start.text, start.left.start, start.left.end
        )
