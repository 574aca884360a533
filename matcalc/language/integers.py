"""Pass 1: the integers in an expression, which are sizes, indices and exponents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ShapeError
from ..terms import build
from ..terms.dims import Dim
from .formula import plain_integer
from .meanings import Frame, NeedsIntegerError, wrong_count
from .shapes import Shape
from .syntax import Node, Task, arguments, run

if TYPE_CHECKING:
    from .inference import Inference


class Integers:
    """How sizes, indices and exponents are read in an expression."""

    def __init__(self, inference: Inference, frame: Frame) -> None:
        self.inference = inference
        self.frame = frame
        self.text = frame.text

    def name(self, node: Node, name: str) -> Dim:
        """The integer that a name stands for."""
        return _integer_name(self.inference, name, self.frame, node)

    def size_list(self, node: Node, name: str) -> str:
        """The name before ``[``; variables are not lists of sizes."""
        if self.inference.found(name, self.frame) is None or name in self.frame.scope.size_lists:
            return name
        raise ShapeError(f"{name} is a variable, but an integer is needed here").locate(self.text, node.start, node.end)

    def other(self, node: Node) -> Task[Dim]:
        """``rows(A)`` and ``cols(A)``; what LaTeX writes otherwise."""
        plain = plain_integer(self.inference, node, self.frame)
        if plain is not None:
            return self.inference.integer(plain, self.frame)
        return integer_call(self.inference, node, self.frame)


def _integer_name(inference: Inference, name: str, frame: Frame, node: Node) -> Dim:
    """The integer that a name stands for; a name that nothing declares becomes one."""
    if name in frame.bound:
        return frame.bound[name]
    if name in frame.states:
        raise ShapeError(f"{name} is a recurrence, but an integer is needed here").locate(
            frame.text, node.start, node.end
        )
    parameter = frame.parameters.get(name)
    if parameter is not None:
        return run(inference.integer(parameter.node, parameter.frame))
    for scope in (frame.scope, inference.root.scope):
        if name in scope.integers:
            return inference.known_integer(name)
        value = build.as_dim(scope.definitions[name]) if name in scope.definitions else None
        if value is not None:
            return value
        if name in scope.symbols or name in scope.definitions or name in scope.opened or name in scope.recurrences:
            raise ShapeError(f"{name} is a variable, but an integer is needed here").locate(
                frame.text, node.start, node.end
            )
    if name not in inference.integers and not inference.patterns:
        inference.integers.add(name)
        if name in inference.locals or (name == "T" and inference.transposed):
            raise NeedsIntegerError(name)
    return inference.known_integer(name)


def integer_call(inference: Inference, node: Node, frame: Frame) -> Task[Dim]:
    """``rows(A)`` and ``cols(A)``."""
    word = str(node.parts[0]) if node.kind == "call" else ""
    if word not in ("rows", "cols"):
        raise ShapeError("an integer is needed here: names, numbers, +, -, *").locate(frame.text, node.start, node.end)
    shape: Shape = yield from _extent(inference, node, frame)
    return shape[0] if word == "rows" else shape[1]


def _extent(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    args = arguments(node)
    if len(args) != 1:
        raise wrong_count(node, frame, "1", len(args))
    shape: Shape = yield inference.shape(args[0], frame)
    return inference.sizes.shape(shape)
