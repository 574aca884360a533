"""Reading sizes, indices and exponents: polynomials in integers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

from ..errors import LimitExceeded, MatcalcError, ShapeError
from ..terms.dims import Dim, SizeAt, dim
from ..terms.leaves import MAX_DIGITS
from .latex import LATEX
from .names import ascii_name
from .syntax import Node, Task, run

MAX_POWER = 64
"""The largest exponent in a size."""


class SizeReader(Protocol):
    """What names mean where an integer stands."""

    text: str

    def name(self, node: Node, name: str) -> Dim:
        """The integer that a name stands for."""

    def size_list(self, node: Node, name: str) -> str:
        """The name of a list of sizes, ``h`` in ``h[k+1]``."""

    def other(self, node: Node) -> Task[Dim]:
        """The integer that any other construct stands for."""


def size_task(node: Node, reader: SizeReader) -> Task[Dim]:
    """The integer that a node writes."""
    return _SIZES[node.kind](node, reader) if node.kind in _SIZES and node.ops != LATEX else reader.other(node)


def no_size(node: Node, text: str) -> MatcalcError:
    """The error for what is no integer."""
    return ShapeError("a size or an index is an integer: names, numbers, +, -, * and constant powers").locate(
        text, node.start, node.end
    )


def _size_number(node: Node, reader: SizeReader) -> Task[Dim]:
    return dim(read_number(node, reader.text))
    yield  # makes it a task, like its companions


def _size_name(node: Node, reader: SizeReader) -> Task[Dim]:
    return reader.name(node, ascii_name(str(node.parts[0])))
    yield  # makes it a task, like its companions


def _size_group(node: Node, reader: SizeReader) -> Task[Dim]:
    value: Dim = yield size_task(node.nodes()[0], reader)
    return value


def _size_negative(node: Node, reader: SizeReader) -> Task[Dim]:
    value: Dim = yield size_task(node.nodes()[0], reader)
    return -value


def _size_chain(node: Node, reader: SizeReader) -> Task[Dim]:
    total: Dim = yield size_task(node.parts[0], reader)
    for operator, part in zip(node.ops, node.parts[1:], strict=True):
        value: Dim = yield size_task(part, reader)
        if operator == "SLASH":
            if not value.constant:
                raise no_size(node, reader.text)
            operator, value = "STAR", dim(1 / value.constant)
        if operator not in _ARITHMETIC:
            raise no_size(node, reader.text)
        total = _ARITHMETIC[operator](total, value)
    return total


_ARITHMETIC: dict[str, Callable[[Dim, Dim], Dim]] = {
    "PLUS": Dim.__add__,
    "MINUS": Dim.__sub__,
    "STAR": Dim.__mul__,
    "DOTSTAR": Dim.__mul__,
}


def _size_power(node: Node, reader: SizeReader) -> Task[Dim]:
    base: Dim = yield size_task(node.parts[0], reader)
    exponent: Dim = yield size_task(node.parts[2], reader)
    power = exponent.constant
    if power is None or power.denominator != 1 or power < 0:
        raise no_size(node, reader.text)
    if power > MAX_POWER:
        raise LimitExceeded(f"an exponent in a size is at most {MAX_POWER}").locate(reader.text, node.start, node.end)
    return base ** int(power)


def _size_index(node: Node, reader: SizeReader) -> Task[Dim]:
    base, slots = node.parts[0], node.parts[1].parts
    if base.kind != "name" or len(slots) != 1 or slots[0].kind in ("span", "range"):
        raise no_size(node, reader.text)
    name = reader.size_list(base, ascii_name(str(base.parts[0])))
    at: Dim = yield size_task(slots[0], reader)
    return dim(SizeAt(name, at))


_SIZES: dict[str, Callable[[Node, SizeReader], Task[Dim]]] = {
    "number": _size_number,
    "name": _size_name,
    "group": _size_group,
    "positive": _size_group,
    "negative": _size_negative,
    "sum": _size_chain,
    "product": _size_chain,
    "power": _size_power,
    "index": _size_index,
}


@dataclass(eq=False)
class Declared:
    """How sizes are read in a declaration: every name is an integer."""

    text: str
    bound: Mapping[str, Dim]
    integers: set[str]

    def name(self, node: Node, name: str) -> Dim:
        """The index of the family, or a size."""
        if name in self.bound:
            return self.bound[name]
        self.integers.add(name)
        return dim(name)

    def size_list(self, node: Node, name: str) -> str:
        """Every name may be one."""
        return name

    def other(self, node: Node) -> Task[Dim]:
        """Nothing else is a size."""
        raise no_size(node, self.text)


def free_size(node: Node, text: str) -> Dim:
    """A size in which every name is an integer."""
    return run(size_task(node, Declared(text, {}, set())))


def read_number(node: Node, text: str) -> Fraction:
    """The exact value of a number.  Raises :class:`LimitExceeded` when it is too long."""
    written = str(node.parts[0])
    mantissa, _, exponent = written.lower().partition("e")
    if len(mantissa) + abs(int(exponent or 0) if len(exponent) < 8 else MAX_DIGITS) > MAX_DIGITS:
        raise LimitExceeded(f"a number has more than {MAX_DIGITS} digits").locate(text, node.start, node.end)
    return Fraction(written)
