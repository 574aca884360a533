"""Pass 1: the shapes of calls: functions, questions, functions that the user defined."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from ..errors import LimitExceeded, MatcalcError, ParseError, ShapeError
from ..terms.dims import ONE, Dim
from ..terms.symbols import Family, Unknown
from . import range_shapes
from .functions import FUNCTIONS, NOT_YET, RULE_FUNCTIONS, SPECIAL, Function
from .meanings import Frame, Parameter, wrong_count
from .names import ascii_name
from .scope import Definition, Operation, unknown
from .shapes import Shape
from .syntax import Node, Task, arguments, is_flag

if TYPE_CHECKING:
    from .inference import Inference

MAX_FRAMES = 20_000
MAX_NESTING = 200


def primed(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``phi'(x)``."""
    written = str(node.parts[0])
    name = ascii_name(written.rstrip("'"))
    if not inference.is_unknown_function(name, frame):
        raise _no_primed(inference, name, frame)
    frame.how[node] = Unknown(name, len(written) - len(written.rstrip("'")), inference.role())
    result: Shape = yield inference.shape(node.parts[1], frame)
    return result


def _no_primed(inference: Inference, name: str, frame: Frame) -> MatcalcError:
    if name in FUNCTIONS or name in frame.scope.functions:
        return MatcalcError(f"{name}' is only written of unknown functions", hint=f"write D({name}(x), x)")
    if inference.found(name, frame) is not None:
        return ParseError(f"{name} is not a function", hint=f"a product is written with *: {name}'*(...)")
    return unknown(name, _callables(inference, frame), "function", f"an unknown function is declared: {name}: function")


def _callables(inference: Inference, frame: Frame) -> set[str]:
    scope = frame.scope
    return {*FUNCTIONS, *SPECIAL, *NOT_YET, *scope.functions, *scope.unknown_functions, *scope.operations}


def call(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``f(x)``."""
    written = str(node.parts[0])
    name = ascii_name(written)
    args = arguments(node)
    if inference.is_unknown_function(name, frame):
        if len(args) != 1:
            raise wrong_count(node, frame, "1", len(args))
        frame.how[node] = Unknown(name, 0, inference.role())
        result: Shape = yield inference.shape(args[0], frame)
        return result
    definition = frame.scope.functions.get(name) or inference.root.scope.functions.get(name)
    if definition is not None:
        result = yield from _expand(inference, node, definition, args, frame)
        return result
    special = _SPECIAL.get(name)
    if special is not None and (name != "sum" or any(a.kind == "range" for a in args)):
        result = yield from special(inference, node, frame)
        return result
    operation = frame.scope.operations.get(name) or inference.root.scope.operations.get(name)
    if operation is not None:
        result = yield from _operate(inference, node, operation, args, frame)
        return result
    function = (RULE_FUNCTIONS.get(name) if inference.patterns else None) or FUNCTIONS.get(name)
    if function is None:
        raise _no_function(inference, name, frame, node)
    result = yield from _apply(inference, node, function, args, frame)
    return result


def _no_function(inference: Inference, name: str, frame: Frame, node: Node) -> MatcalcError:
    end = node.start + len(str(node.parts[0]))
    if name in NOT_YET:
        error = MatcalcError(f"the {NOT_YET[name]} {name} is not available yet")
    elif inference.found(name, frame) is not None:
        error = ParseError(f"{name} is not a function", hint=f"a product is written with *: {name}*(...)")
    else:
        hint = f"an unknown function is declared: {name}: function"
        error = unknown(name, _callables(inference, frame), "function", hint)
    return error.locate(frame.text, node.start, end)


def _apply(inference: Inference, node: Node, function: Function, args: list[Node], frame: Frame) -> Task[Shape]:
    letters = function.signature(len(args))
    if letters is None:
        raise wrong_count(node, frame, function.arity, len(args))
    shapes: list[Shape] = []
    dims: list[Dim] = []
    arrays = [arg for arg, letter in zip(args, letters, strict=True) if letter == "a"]
    for arg, letter in zip(args, letters, strict=True):
        if letter == "a":
            shapes.append((yield inference.resolved(arg, frame)))
        else:
            dims.append((yield inference.integer(arg, frame)))
            _check_integer(inference, dims[-1], arg, frame, 1 if letter == "k" else None)
    frame.how[node] = function
    frame.dims[node] = dims
    return function.shape(Arguments(inference, frame, arrays, shapes), shapes, dims)


def _check_integer(inference: Inference, value: Dim, node: Node, frame: Frame, least: int | None) -> None:
    constant = value.constant
    if constant is None or (constant.denominator == 1 and (least is None or constant >= least)):
        return
    wanted = "an integer" if least is None else f"an integer from {least}"
    raise ShapeError(f"{frame.source(node)} is not {wanted}").locate(frame.text, node.start, node.end)


def _operate(inference: Inference, node: Node, operation: Operation, args: list[Node], frame: Frame) -> Task[Shape]:
    if len(args) == 3 and is_flag(args[2]):
        operation, args = operation.structured(), args[:2]
    shapes: list[Shape] = []
    for arg in args:
        meaning = inference.found(ascii_name(str(arg.parts[0])), frame) if arg.kind == "name" else None
        if meaning is not None and meaning.kind == "family":
            family: Family = meaning.value
            frame.how[arg] = "family"
            frame.shapes[arg] = (family.rows, family.cols)
            shapes.append(frame.shapes[arg])
        else:
            shapes.append((yield inference.resolved(arg, frame)))
    frame.how[node] = operation
    return operation.shape(shapes)


def _expand(inference: Inference, node: Node, definition: Definition, args: list[Node], frame: Frame) -> Task[Shape]:
    if len(args) != len(definition.parameters):
        raise wrong_count(node, frame, str(len(definition.parameters)), len(args))
    inference.frames += 1
    if inference.frames > MAX_FRAMES or frame.depth >= MAX_NESTING:
        raise LimitExceeded(f"over {MAX_FRAMES} calls of defined functions, or {MAX_NESTING} inside one another")
    inner = Frame(definition.scope, definition.text, frame.depth + 1)
    for name, arg in zip(definition.parameters, args, strict=True):
        inner.parameters[name] = Parameter(arg, frame, (yield inference.shape(arg, frame)))
    frame.how[node] = definition
    frame.calls[node] = inner
    result: Shape = yield inference.shape(definition.body, inner)
    return result


class Arguments:
    """What the shape rules of functions ask for."""

    def __init__(self, inference: Inference, frame: Frame, nodes: list[Node], shapes: list[Shape]) -> None:
        self.inference = inference
        self.frame = frame
        self.nodes = nodes
        self.shapes = shapes

    def square(self, at: int, what: str) -> Dim:
        """Argument ``at`` is square; its size."""
        return self.inference.square(self.shapes[at], self.nodes[at], self.frame, what)

    def same(self, first: int, second: int) -> Shape:
        """Two arguments have one shape."""
        a, b = self.shapes[first], self.shapes[second]
        nodes = self.nodes[first], self.nodes[first]
        self.inference.unify(a, b, lambda: self.inference.mismatch(a, b, nodes, self.nodes[second], self.frame))
        return a

    def equal_columns(self, first: int, second: int) -> None:
        """Two arguments have equally many columns."""
        a, b = self.shapes[first], self.shapes[second]
        nodes = self.nodes[first], self.nodes[first]
        self.inference.equal(
            a[1],
            b[1],
            lambda: self.inference.mismatch(a, b, nodes, self.nodes[second], self.frame, "their columns have to match"),
        )

    def column(self, at: int, length: Dim, what: str) -> None:
        """Argument ``at`` is a vector of this length."""
        self._is(at, (length, ONE), f"{what} needs a vector of length {length}")

    def shaped(self, at: int, rows: Dim, cols: Dim, what: str) -> None:
        """Argument ``at`` has this shape."""
        self._is(at, (rows, cols), f"{what} needs {self.inference.shown((rows, cols))}")

    def _is(self, at: int, wanted: Shape, needs: str) -> None:
        shape, node = self.shapes[at], self.nodes[at]

        def error() -> MatcalcError:
            source, shown = self.frame.source(node), self.inference.shown(shape)
            message = f"{needs}, but {source} is {shown}"
            return ShapeError(message).locate(self.frame.text, node.start, node.end)

        self.inference.unify(shape, wanted, error)

    def fresh(self) -> Dim:
        """A size that is still open."""
        return self.inference.sizes.fresh()


_SPECIAL: dict[str, Callable[[Inference, Node, Frame], Task[Shape]]] = {
    "sum": range_shapes.binder,
    "prod": range_shapes.binder,
    "family": range_shapes.binder,
    "ind": range_shapes.ind,
    "rows": range_shapes.extent,
    "cols": range_shapes.extent,
}
