"""Pass 1: the shapes of sums, products and families over an index, and of what is made of sizes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..errors import MatcalcError, ParseError, ShapeError
from ..terms.dims import MINUS_ONE, ONE, Dim, Index, Name, dim, growth, known_nonnegative, substitute
from .integers import integer_call
from .latex import LATEX
from .meanings import Bound, Frame
from .names import ascii_name
from .shapes import SCALAR, Shape
from .syntax import Node, Task, arguments, walk

if TYPE_CHECKING:
    from .inference import Inference


def binder(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``sum(i=1..n, ...)``, ``prod`` and ``family``."""
    args = arguments(node)
    ranges, bodies = [a for a in args if a.kind == "range"], [a for a in args if a.kind != "range"]
    word = str(node.parts[0])
    product = word == "prod"
    if not ranges or len(bodies) != 1 or args[-1] is not bodies[0]:
        raise ParseError(f"{word} is written {word}(i=1..N, ...)").locate(frame.text, node.start, node.end)
    if word != "sum" and len(ranges) > 1:
        what = "an ordered product" if product else "a family"
        raise ParseError(f"{what} has one index").locate(frame.text, node.start, node.end)
    hidden: list[tuple[str, Dim | None]] = []
    for range_ in ranges:
        name = ascii_name(str(range_.parts[0].parts[0])) if range_.parts[0].kind == "name" else ""
        if not name:
            raise ParseError("the index of a sum is a name").locate(frame.text, range_.start, range_.end)
        low: Dim = yield inference.integer(range_.parts[1], frame)
        high: Dim = yield inference.integer(range_.parts[2], frame)
        step = _direction(inference, low, high, range_, bodies[0], frame)
        if step < 0 and not product:
            low, high, step = high, low, 1
        index = Index(1_000_000 + len(inference.index_names), low, high, step)
        inference.index_names.append((index, str(range_.parts[0].parts[0])))
        frame.ranges[range_] = Bound(index, step)
        hidden.append((name, frame.bound.get(name)))
        frame.bound[name] = dim(index)
    frame.how[node] = word
    shape: Shape = yield inference.resolved(bodies[0], frame)
    for name, before in reversed(hidden):
        if before is None:
            del frame.bound[name]
        else:
            frame.bound[name] = before
    return _chained(inference, shape, bodies[0], frame.ranges[ranges[0]], frame) if product else shape


def _chained(inference: Inference, shape: Shape, node: Node, bound: Bound, frame: Frame) -> Shape:
    """The shape of an ordered product, in which each factor has to fit the next."""
    index, step = bound
    rows, cols = inference.sizes.shape(shape)
    after = substitute(rows, {index: dim(index) + step})

    def error() -> MatcalcError:
        following = after, substitute(cols, {index: dim(index) + step})
        message = f"{frame.source(node)} is {inference.shown(shape)}, and the next one {inference.shown(following)}"
        return ShapeError(f"in an ordered product each factor has to fit the next, but {message}").locate(
            frame.text, node.start, node.end
        )

    inference.equal(after, cols, error)
    rows, cols = inference.sizes.resolve(rows), inference.sizes.resolve(cols)
    return substitute(rows, {index: index.lo}), substitute(cols, {index: index.hi})


def _direction(inference: Inference, low: Dim, high: Dim, node: Node, body: Node, frame: Frame) -> int:
    """1 upwards, -1 downwards; where the ends do not say it, what is taken at the index, or how they grow."""
    by = node.parts[3]
    if by is not None:
        step = int(str(by.parts[-1])) if str(by.parts[-1]).isdigit() else 0
        if step != 1:
            raise ParseError("a range goes by 1 or by -1").locate(frame.text, by.start, by.end)
        return -1 if by.parts[0] is not None else 1
    positive = [Name(name) for name in inference.root.scope.sizes]

    def least(d: Dim) -> bool:
        return known_nonnegative(d, positive)

    rise = high - low
    if least(rise):
        return 1
    if least(-rise):
        return -1
    up, down = least(rise + 1), least(MINUS_ONE * rise + 1)
    if up != down:
        return 1 if up else -1
    if inference.patterns:
        return 1
    source = frame.source(node)
    step = growth(rise) or _towards(low, high, _taken(inference, node, body, frame))
    if step:
        ends = (low, high + 1) if step > 0 else (high, low + 1)
        inference.tell(f"{source} goes {'up' if step > 0 else 'down'}: {ends[0]} <= {ends[1]} is assumed")
        return step
    if node.ops == LATEX:  # as mathematics is read; a range that goes down is written out
        inference.tell(f"{node.parts[0].parts[0]} goes up from {low} to {high}")
        return 1
    raise ParseError(
        f"it is not known whether {source} goes up or down", hint=f"write {source} by 1 or {source} by -1"
    ).locate(frame.text, node.start, node.end)


def _taken(inference: Inference, node: Node, body: Node, frame: Frame) -> Iterator[tuple[Dim, Dim]]:
    """The ranges of what the body takes at the index itself: ``W[j]`` of a family, ``x[j]`` of a vector."""
    index = str(node.parts[0].parts[0])
    for part in walk(body):
        if part.kind != "index" or part.ops or part.parts[0].kind != "name":
            continue
        slots = part.parts[1].parts
        meaning = inference.found(ascii_name(str(part.parts[0].parts[0])), frame)
        if meaning is None or meaning.kind not in ("family", "symbol"):
            continue
        of = meaning.value
        ends = [(of.index.lo, of.index.hi)] if meaning.kind == "family" else [(ONE, of.rows), (ONE, of.cols)]
        for slot, (lo, hi) in zip(slots, ends, strict=False):
            if slot.kind == "name" and str(slot.parts[0]) == index:
                yield lo, hi


def _towards(low: Dim, high: Dim, taken: Iterable[tuple[Dim, Dim]]) -> int:
    """The direction of a range that begins or ends where what it takes does; 0 where it does neither."""
    found = {step for lo, hi in taken for step in (1, -1) if (lo, hi)[::step][0] is low or (lo, hi)[::step][1] is high}
    return found.pop() if len(found) == 1 else 0


def ind(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``ind(k >= 2)``."""
    args = arguments(node)
    if len(args) != 1 or args[0].kind not in ("relation", "equation"):
        raise ParseError("ind takes a relation between integers: ind(k >= 2)").locate(frame.text, node.start, node.end)
    sides = args[0].nodes()
    frame.dims[node] = [(yield inference.integer(sides[0], frame)), (yield inference.integer(sides[1], frame))]
    frame.how[node] = "ind"
    return SCALAR


def extent(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``rows(A)`` and ``cols(A)``, as numbers."""
    frame.dims[node] = [(yield from integer_call(inference, node, frame))]
    frame.how[node] = "size"
    return SCALAR


def last_place(at: Dim) -> Dim | None:
    """The last of the places ``at`` for all values of the indices in it; None where that is not known."""
    if not at.indices:
        return None
    while at.indices:
        index = max((a for a in at.atoms() if isinstance(a, Index)), key=lambda a: a.key)
        rest, names = at - dim(index), [a for a in index.hi.atoms() if isinstance(a, Name)]
        if index in rest.atoms() or not known_nonnegative(rest + index.lo - 1):
            return None
        if index.step < 0 or not known_nonnegative(index.hi - index.lo + 1, names):
            return None
        at = rest + index.hi
    return at
