"""Pass 1: the shapes of names, numbers, sums, products and powers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import MatcalcError, ShapeError
from ..terms.dims import ONE, Dim
from .meanings import Frame, Meaning, Recurring
from .names import ascii_name
from .shapes import SCALAR, Shape
from .syntax import Node, Task, is_zero

if TYPE_CHECKING:
    from .inference import Inference


def name(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """A name."""
    word = ascii_name(str(node.parts[0]))
    if word == "eye" and inference.found(word, frame) is None:  # of the size that fits
        n = inference.sizes.fresh()
        frame.how[node] = "eye"
        return n, n
    return _value_shape(inference.meaning(word, frame, node), word)
    yield


def _value_shape(meaning: Meaning, name: str) -> Shape:
    kind, value = meaning
    if kind in ("integer", "pi"):
        return SCALAR
    if kind in ("symbol", "term"):
        return value.rows, value.cols
    if kind == "diff":
        return _value_shape(value, name)
    if kind in ("family", "body"):
        raise ShapeError(f"{name} is a family", hint=f"write one of its members: {name}[k]")
    if kind == "recurrence":
        at = value.pair.form.variable if isinstance(value, Recurring) else "k"
        raise ShapeError(f"{name} is a recurrence", hint=f"write one of its states: {name}[{at}]")
    if kind == "half":
        raise MatcalcError(f"{name} has a {value.missing.format(name)}")
    shape: Shape = value.shape
    return shape


def number(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """A number is a scalar."""
    return SCALAR
    yield


def same(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """Parentheses and signs."""
    result: Shape = yield inference.shape(node.nodes()[0], frame)
    return result


def transpose(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``A'``."""
    _turn(inference, node.parts[0])
    rows, cols = yield inference.shape(node.parts[0], frame)
    return cols, rows


def _turn(inference: Inference, node: Node) -> None:
    if node.kind == "name":
        inference.turned.add(ascii_name(str(node.parts[0])))


def superscript(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``A⁻¹`` and other small exponents."""
    shape: Shape = yield inference.resolved(node.parts[0], frame)
    inference.square(shape, node.parts[0], frame, "a power of a matrix")
    return shape


def power(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``a^b`` and ``a.^b``; ``A^T`` is the transpose unless T means something."""
    base, operator, exponent = node.parts
    shape: Shape = yield inference.resolved(base, frame)
    if operator.type == "DOTPOW":
        other: Shape = yield inference.resolved(exponent, frame)
        return _entrywise(inference, shape, other, (base, base), exponent, frame)
    mark = _transposition(inference, exponent, frame)
    if mark:
        _turn(inference, base)
        frame.how[node] = mark
        if mark == "inverse transpose":
            inference.square(shape, base, frame, "the inverse")
        return shape[1], shape[0]
    if shape == SCALAR:
        frame.how[node] = "scalar"
        other = yield inference.resolved(exponent, frame)
        inference.unify(other, SCALAR, lambda: _exponent_error(inference, exponent, other, frame))
        return SCALAR
    frame.how[node] = "matrix"
    n = inference.square(shape, base, frame, "a power of a matrix")
    times: Dim = yield inference.integer(exponent, frame)
    if times.constant is not None and times.constant.denominator != 1:
        raise ShapeError(
            "the power of a matrix needs an integer exponent", hint="a root is sqrtm(A); entry by entry write .^"
        ).locate(frame.text, exponent.start, exponent.end)
    frame.dims[node] = [times]
    return n, n


def _transposition(inference: Inference, exponent: Node, frame: Frame) -> str | None:
    """``^T`` and ``^-T``, unless T means something."""
    negative = exponent.kind == "negative"
    core = exponent.nodes()[0] if negative else exponent
    if core.kind != "name" or str(core.parts[0]) != "T":
        return None
    if inference.found("T", frame) is not None:
        note = "^T is read as a power, because T is declared or used as an integer; the transpose is A'"
        inference.tell(note)
        return None
    inference.transposed = True
    return "inverse transpose" if negative else "transpose"


def sums(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """Addends have one shape; ``.+`` takes a scalar beside an array."""
    first = node.parts[0]
    total: Shape | None = None
    for i, part in enumerate(node.parts):
        dotted = i > 0 and node.ops[i - 1].startswith("DOT")
        shape: Shape = yield inference.shape(part, frame)
        if is_zero(part) and not dotted:
            continue
        if total is None:
            total = SCALAR if dotted else shape
            if not dotted:
                continue
        if dotted:
            total = _entrywise(
                inference,
                inference.sizes.shape(total),
                inference.sizes.shape(shape),
                (first, node.parts[i - 1]),
                part,
                frame,
            )
        elif total is not shape:
            _join(inference, total, shape, node, i, frame)
    return total or SCALAR


def _join(inference: Inference, total: Shape, shape: Shape, node: Node, i: int, frame: Frame) -> None:
    first = (node.parts[0], node.parts[i - 1])

    def error() -> MatcalcError:
        return inference.mismatch(total, shape, first, node.parts[i], frame, _sum_hint(inference, total, shape))

    inference.unify(total, shape, error)


def product(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """Products: a scalar scales, otherwise neighbours fit."""
    first = node.parts[0]
    total: Shape = yield inference.resolved(first, frame)
    for i, operator in enumerate(node.ops):
        part = node.parts[i + 1]
        shape: Shape = yield inference.resolved(part, frame)
        total = _FACTORS[operator](inference, inference.sizes.shape(total), shape, (first, node.parts[i]), part, frame)
    return total


def _star(
    inference: Inference, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame
) -> Shape:
    if left == SCALAR:
        return right
    if right == SCALAR:
        return left
    if left[1] is not right[0]:

        def error() -> MatcalcError:
            return inference.mismatch(left, right, first, second, frame, _product_hint(inference, left, right))

        inference.equal(left[1], right[0], error)
    return left[0], right[1]


def _product_hint(inference: Inference, left: Shape, right: Shape) -> str | None:
    a, b = inference.sizes.shape(left), inference.sizes.shape(right)
    if a == b:
        return "the product entry by entry is .* (or ⊙)"
    if a[0] is b[0]:
        return "the left factor transposed would fit: write ' after it"
    if a[1] is b[1]:
        return "the right factor transposed would fit: write ' after it"
    return None


def _slash(
    inference: Inference, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame
) -> Shape:
    def error() -> MatcalcError:
        hint = "divide entry by entry with ./, or multiply by inv(...)"
        source = frame.source(second)
        return ShapeError(f"only a scalar divides, but {source} is {inference.shown(right)}", hint=hint).locate(
            frame.text, second.start, second.end
        )

    inference.unify(right, SCALAR, error)
    return left


def _dotted(
    inference: Inference, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame
) -> Shape:
    hint = "the matrix product is *" if left != right and left[1] is right[0] else None
    return _entrywise(inference, left, right, first, second, frame, hint)


def _entrywise(
    inference: Inference,
    left: Shape,
    right: Shape,
    first: tuple[Node, Node],
    second: Node,
    frame: Frame,
    hint: str | None = None,
) -> Shape:
    if left == SCALAR:
        return right
    if right != SCALAR:
        inference.unify(left, right, lambda: inference.mismatch(left, right, first, second, frame, hint))
    return left


def kron(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``A ⊗ B``: sizes multiply."""
    rows, cols = ONE, ONE
    for part in node.parts:
        m, n = yield inference.resolved(part, frame)
        rows, cols = rows * m, cols * n
    return rows, cols


def bars(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``‖x‖``."""
    yield inference.shape(node.parts[0], frame)
    return SCALAR


def equation(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """Both sides have one shape."""
    left, right = node.nodes()
    a: Shape = yield inference.shape(left, frame)
    b: Shape = yield inference.shape(right, frame)
    if is_zero(left) or is_zero(right):
        return b if is_zero(left) else a
    inference.unify(a, b, lambda: inference.mismatch(a, b, (left, left), right, frame, _sum_hint(inference, a, b)))
    return a


def _sum_hint(inference: Inference, left: Shape, right: Shape) -> str | None:
    a, b = inference.sizes.shape(left), inference.sizes.shape(right)
    if SCALAR in (a, b):
        return "to add a scalar to every entry write .+ or .-; a multiple of the identity is s*eye(n)"
    if a == (b[1], b[0]):
        return "one of them transposed would fit: write ' after it"
    return None


def _exponent_error(inference: Inference, node: Node, shape: Shape, frame: Frame) -> MatcalcError:
    source = frame.source(node)
    return ShapeError(
        f"an exponent is a scalar, but {source} is {inference.shown(shape)}", hint="entry by entry write .^"
    ).locate(frame.text, node.start, node.end)


_FACTORS = {
    "STAR": _star,
    "SLASH": _slash,
    "DOTSTAR": _dotted,
    "DOTSLASH": _dotted,
}
