"""Pass 1: the shapes of what is indexed (entries, blocks, members, states) and of matrices of blocks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MatcalcError, ParseError, ShapeError
from ..terms.dims import ONE, Dim, dim
from ..terms.symbols import Family
from .formula import subscripted
from .latex import LATEX
from .meanings import Frame, Meaning
from .names import ascii_name
from .recurrence_shapes import state
from .shapes import SCALAR, Shape
from .syntax import Node, Task, is_zero

if TYPE_CHECKING:
    from .inference import Inference


def index(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``A[i,j]``, ``x[i]``, ``W[k]``, ``y[k+1]``, ``A[i..j,k..l]``."""
    if node.ops == LATEX:
        frame.how[node] = plain = subscripted(inference, node, frame)
        found: Shape = yield inference.shape(plain, frame)
        return found
    base, slots = node.parts[0], node.parts[1].parts
    for slot in slots:
        if slot.kind == "range":
            raise ParseError("a range stands only in a declaration, a sum or a product").locate(
                frame.text, slot.start, slot.end
            )
    if base.kind == "name":
        name = ascii_name(str(base.parts[0]))
        if name in frame.scope.size_lists and inference.found(name, frame) is None:
            frame.how[node] = "size"
            frame.dims[node] = [(yield inference.integer(node, frame))]
            return SCALAR
        meaning = inference.meaning(name, frame, base)
        if meaning.kind in ("family", "body"):
            result: Shape = yield from _member(inference, node, meaning, name, frame)
            return result
        if meaning.kind == "recurrence":
            result = yield from state(inference, node, meaning.value, name, frame)
            return result
    shape: Shape = yield inference.resolved(base, frame)
    if any(slot.kind == "span" for slot in slots):
        result = yield from _block_of(inference, node, shape, frame)
        return result
    frame.how[node] = "entry"
    dims: list[Dim] = []
    for slot in slots:
        dims.append((yield inference.integer(slot, frame)))
    frame.dims[node] = dims
    if len(dims) == 1 and ONE not in shape:
        raise ShapeError(
            f"{frame.source(base)} is {inference.shown(shape)}: an entry needs two indices", hint="write A[i,j]"
        )
    if len(dims) > 2:
        raise ShapeError("an entry has at most two indices")
    sides = shape if len(dims) == 2 else shape[1:] if shape[0] is ONE else shape[:1]
    inference.entries += zip(sides, dims, strict=True)
    return SCALAR


def _block_of(inference: Inference, node: Node, shape: Shape, frame: Frame) -> Task[Shape]:
    """``A[i..j,k..l]``, ``A[i,k..l]``, ``x[i..j]``."""
    base, slots = node.parts[0], node.parts[1].parts
    if len(slots) > 2 or (len(slots) == 1 and ONE not in shape):
        source = frame.source(base)
        raise ShapeError(f"{source} is {inference.shown(shape)}: a block is {source}[i..j,k..l]")
    ends: list[Dim] = []
    for slot in slots:
        first: Dim = yield inference.integer(slot.parts[0] if slot.kind == "span" else slot, frame)
        last: Dim = (yield inference.integer(slot.parts[1], frame)) if slot.kind == "span" else first
        ends += [first, last]
    if len(slots) == 1:
        ends = [*ends, ONE, ONE] if shape[1] is ONE else [ONE, ONE, *ends]
    frame.how[node] = "block"
    frame.dims[node] = ends
    return ends[1] - ends[0] + 1, ends[3] - ends[2] + 1


def _member(inference: Inference, node: Node, meaning: Meaning, name: str, frame: Frame) -> Task[Shape]:
    slots = node.parts[1].parts
    if any(slot.kind == "span" for slot in slots):
        raise ShapeError(f"{name} is a family: a member is {name}[k], not a range of them")
    if len(slots) != 1:
        raise ShapeError(f"{name} is a family with one index", hint=f"an entry of a member is {name}[k][i,j]")
    at: Dim = yield inference.integer(slots[0], frame)
    frame.how[node] = "member"
    frame.dims[node] = [at]
    if meaning.kind == "body":
        shape: Shape = meaning.value.shape
        return shape
    family: Family = meaning.value
    for beyond, side in ((family.index.lo - at, "starts at"), (at - family.index.hi, "ends at")):
        if beyond.constant is not None and beyond.constant > 0:
            end = family.index.lo if side == "starts at" else family.index.hi
            raise ShapeError(f"there is no {name}[{at}]: the family {side} {end}")
    return family.shape_at(at)


def blocks(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``[A, B; C, D]``."""
    rows = [row.parts for row in node.parts[0].parts]
    width = len(rows[0])
    shapes: list[list[Shape]] = []
    for row in rows:
        if len(row) != width:
            raise ShapeError(f"block rows have {width} and {len(row)} blocks")
        found: list[Shape] = []
        for block in row:
            shape: Shape = yield inference.shape(block, frame)
            if is_zero(block):
                shape = (inference.sizes.fresh(), inference.sizes.fresh())
                frame.shapes[block] = shape
            found.append(shape)
        shapes.append(found)
    height, breadth = dim(0), dim(0)
    for i, row in enumerate(rows):
        for j in range(1, width):
            _beside(inference, shapes[i][0], shapes[i][j], 0, (row[0], row[j]), frame)
        height = height + inference.sizes.resolve(shapes[i][0][0])
    for j in range(width):
        for i in range(1, len(rows)):
            _beside(inference, shapes[0][j], shapes[i][j], 1, (rows[0][j], rows[i][j]), frame)
        breadth = breadth + inference.sizes.resolve(shapes[0][j][1])
    return height, breadth


def _beside(inference: Inference, a: Shape, b: Shape, side: int, nodes: tuple[Node, Node], frame: Frame) -> None:
    def error() -> MatcalcError:
        what = ("blocks side by side need equal rows", "blocks below one another need equal columns")[side]
        first, second = frame.source(nodes[0]), frame.source(nodes[1])
        return ShapeError(f"{what}: {first} is {inference.shown(a)} but {second} is {inference.shown(b)}").locate(
            frame.text, nodes[0].start, nodes[1].end
        )

    inference.equal(a[side], b[side], error)
