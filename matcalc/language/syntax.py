"""The untyped syntax tree: what was written, where, before shapes are known."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, TypeVar


class Node:
    """One construct: its kind, its parts (nodes, tokens, None) and its place in the text.

    Chains of sums and products are one node: ``parts`` are the operands, ``ops`` the operators
    between them, to be read from the left.
    """

    __slots__ = ("end", "kind", "ops", "parts", "start")

    def __init__(self, kind: str, parts: list[Any], start: int, end: int, ops: list[str] | None = None) -> None:
        self.kind = kind
        self.parts = parts
        self.start = start
        self.end = end
        self.ops = ops or []

    def __repr__(self) -> str:
        return f"Node({self.kind}, {self.start}..{self.end}, {len(self.parts)} parts)"

    def nodes(self) -> list[Node]:
        """The parts that are nodes."""
        return [part for part in self.parts if isinstance(part, Node)]


def walk(root: Node) -> list[Node]:
    """All nodes, parts before the nodes that hold them."""
    order: list[Node] = []
    stack = [root]
    while stack:
        node = stack.pop()
        order.append(node)
        stack.extend(node.nodes())
    order.reverse()
    return order


T = TypeVar("T")
Task = Generator["Task[Any]", Any, T]
"""A step-by-step computation: it yields the tasks whose results it waits for."""


def run(task: Task[T]) -> T:
    """The result of a task, its sub-tasks kept on an explicit stack: no depth of text is too deep."""
    stack: list[Task[Any]] = [task]
    value: Any = None
    while True:
        try:
            wanted = stack[-1].send(value)
        except StopIteration as done:
            stack.pop()
            value = done.value
            if not stack:
                result: T = value
                return result
        else:
            stack.append(wanted)
            value = None


def is_zero(node: Node) -> bool:
    """True for a literal 0, which stands for a zero of any shape."""
    while node.kind in ("group", "negative", "positive", "filled") and len(node.nodes()) == 1:
        node = node.nodes()[0]
    return node.kind == "number" and float(str(node.parts[0])) == 0


def is_flag(node: Node) -> bool:
    """True for the word ``structured``, the last argument of a derivative along a structure."""
    return node.kind == "name" and str(node.parts[0]) == "structured"


def arguments(node: Node) -> list[Node]:
    """The arguments of a call."""
    return [] if node.parts[1] is None else node.parts[1].parts
