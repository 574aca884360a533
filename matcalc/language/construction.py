"""Pass 2: terms, once every shape is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import MatcalcError, ParseError
from ..terms import build, ops
from ..terms.dims import Atom, Dim, Index, dim
from ..terms.symbols import Family, Loop, Symbol
from ..terms.term import Term
from ..terms.walk import moved_symbol, substitute_indices
from .functions import Function
from .inference import SUPERSCRIPTS, Inference, arguments, is_flag, is_zero
from .meanings import Bound, Frame, Parameter, Recurring
from .names import ascii_name
from .recurrence import UNPLACED, Hint, Pair, Plain, Recurrence
from .scope import Operation, read_number
from .shapes import Shape
from .syntax import Node, Task


class Construction:
    """Builds the terms of what one :class:`Inference` has understood.

    ``variables`` holds the symbols that were made of the inference's own variables.
    """

    def __init__(self, inference: Inference, variables: Mapping[str, Symbol | Family]) -> None:
        self.inference = inference
        self.variables = variables
        self.hints: list[Hint] = []

    def term(self, node: Node, frame: Frame) -> Task[Term]:
        """The term of a node; errors that have no place get the place of the node."""
        handler = _HANDLERS.get(node.kind)
        if handler is None:
            raise ParseError(f"{frame.source(node)} is not an expression").locate(frame.text, node.start, node.end)
        try:
            made: Term = yield from handler(self, node, frame)
        except MatcalcError as error:
            raise error.locate(frame.text, node.start, node.end) from None
        return made

    def _size(self, d: Dim) -> Dim:
        return self.inference.sizes.resolve(d)

    def _dims(self, node: Node, frame: Frame) -> list[Dim]:
        return [self._size(d) for d in frame.dims[node]]

    def _index_of(self, read: Index) -> Index:
        return Index(read.level, self._size(read.lo), self._size(read.hi), read.step)

    def _shape(self, node: Node, frame: Frame) -> Shape:
        return self.inference.sizes.shape(frame.shapes[node])

    # ------------------------------------------------------------ leaves

    def _name(self, node: Node, frame: Frame) -> Task[Term]:
        name = ascii_name(str(node.parts[0]))
        meaning = self.inference.meaning(name, frame, node)
        if meaning.kind == "family":
            return build.member(meaning.value, meaning.value.index)
        return self._value(meaning.kind, meaning.value)
        yield

    def _value(self, kind: str, value: Any) -> Term:
        if kind == "diff":
            return build.diff(self._value(value.kind, value.value))
        if kind == "local":
            symbol = self.variables[value.name]
            assert isinstance(symbol, Symbol)
            return build.sym(symbol)
        return _VALUES[kind](self, value)

    def _number(self, node: Node, frame: Frame) -> Task[Term]:
        return build.num(read_number(node, frame.text))
        yield

    # ------------------------------------------------------------ operators

    def _same(self, node: Node, frame: Frame) -> Task[Term]:
        result: Term = yield self.term(node.nodes()[0], frame)
        return result

    def _negative(self, node: Node, frame: Frame) -> Task[Term]:
        return build.neg((yield self.term(node.nodes()[0], frame)))

    def _transpose(self, node: Node, frame: Frame) -> Task[Term]:
        return build.transpose((yield self.term(node.parts[0], frame)))

    def _superscript(self, node: Node, frame: Frame) -> Task[Term]:
        base: Term = yield self.term(node.parts[0], frame)
        mark = str(node.parts[1])
        if mark == "⁻ᵀ":
            return build.transpose(build.inv(base))
        power = int(mark.translate(SUPERSCRIPTS))
        return _power_of(base, build.num(power)) if base.is_scalar else build.mpow(base, power)

    def _power(self, node: Node, frame: Frame) -> Task[Term]:
        base: Term = yield self.term(node.parts[0], frame)
        how = frame.how.get(node)
        if how == "transpose":
            return build.transpose(base)
        if how == "inverse transpose":
            return build.transpose(build.inv(base))
        if how == "matrix":
            return build.mpow(base, self._dims(node, frame)[0])
        return _power_of(base, (yield self.term(node.parts[2], frame)))

    def _sum(self, node: Node, frame: Frame) -> Task[Term]:
        terms: list[Term] = [(yield self.term(node.parts[0], frame))]
        for operator, part in zip(node.ops, node.parts[1:], strict=True):
            term: Term = yield self.term(part, frame)
            if operator.endswith("MINUS"):
                term = build.neg(term)
            if operator.startswith("DOT"):
                terms, term = _spread(terms, term)
            terms.append(term)
        return build.add(*terms)

    def _product(self, node: Node, frame: Frame) -> Task[Term]:
        first: Term = yield self.term(node.parts[0], frame)
        factors = _Factors(first)
        for operator, part in zip(node.ops, node.parts[1:], strict=True):
            term: Term = yield self.term(part, frame)
            if operator.endswith("SLASH"):
                term = _power_of(term, build.MINUS_ONE_NUM)
            factors.append(term, operator.startswith("DOT"))
        return factors.product()

    def _kron(self, node: Node, frame: Frame) -> Task[Term]:
        factors: list[Term] = []
        for part in node.parts:
            factors.append((yield self.term(part, frame)))
        return build.kron(*factors)

    def _index(self, node: Node, frame: Frame) -> Task[Term]:
        how = frame.how[node]
        dims = self._dims(node, frame)
        if how == "size":
            return build.integer(dims[0])
        if how == "member":
            base = node.parts[0]
            name = ascii_name(str(base.parts[0]))
            meaning = self.inference.meaning(name, frame, base)
            family: Any = self.variables[name] if meaning.kind == "body" else meaning.value
            return build.member(family, dims[0])
        if how == "state":
            meaning = self.inference.meaning(ascii_name(str(node.parts[0].parts[0])), frame, node)
            return self._state(meaning.value, dims[0])
        array: Term = yield self.term(node.parts[0], frame)
        return build.submatrix(array, *dims) if how == "block" else build.entry(array, *dims)

    def _state(self, found: Recurring | Recurrence, at: Dim) -> Term:
        if isinstance(found, Recurring) and found.made is None:
            assert found.symbol is not None and found.begun is not None
            return build.sym(found.symbol) if at is self._size(found.here) else found.begun
        made = found.made if isinstance(found, Recurring) else found
        assert made is not None
        self.hints += made.hints
        return made.state(at)

    def recurrence(self, pair: Pair, frame: Frame) -> Task[Recurrence]:
        """A recurrence that the inference has read."""
        found = frame.recurring[pair]
        begun, inside = frame.reading(pair.start), frame.reading(pair.follow)
        outer, self.hints = self.hints, list(pair.start.hints)
        start = pair.start.term
        if start is None and is_zero(pair.start.right):
            start = build.zeros(*self.inference.sizes.shape(found.start))
        elif start is None:
            start = yield self.term(pair.start.right, begun)
        index = self._index_of(found.index)
        rows, cols = self.inference.sizes.shape(found.slot)
        found.begun = start
        found.symbol = Symbol(f"{pair.name}°{index.level}", rows, cols, frozenset(), "state")
        before = [
            inside.define(pair.name, inside.states, found),
            inside.define(pair.form.variable, inside.bound, dim(index)),
        ]
        body: Term = yield self.term(pair.follow.right, inside)
        for undo in reversed(before):
            undo()
        slot = found.symbol
        if pair.back:  # the bound index is that of the state which the step uses
            moved: dict[Atom, Dim] = {index: dim(index) - pair.back}
            body, slot = substitute_indices(body, moved), moved_symbol(slot, moved)
        loop = Loop(index, pair.step, self._size(found.first), UNPLACED, slot)
        term = build.state(loop, start, body)
        start, body = term.args
        self.hints += [(index.lo, index.hi, pair.form.variable), (start, body, pair.name)]
        found.made = Recurrence(term.attr, start, body, tuple(dict.fromkeys(self.hints)))
        self.hints = [*outer, *self.hints]
        return found.made

    def _where(self, node: Node, frame: Frame) -> Task[Term]:
        undo: list[Callable[[], None]] = []
        for item in frame.how[node]:
            if isinstance(item, Plain):
                term: Term = yield self.term(item.right, frame)
                shape = self._shape(item.right, frame)
                undo.append(frame.define(item.name, frame.parameters, Parameter(item.right, frame, shape, term)))
            else:
                yield self.recurrence(item, frame)
                undo.append(frame.define(item.name, frame.states, frame.recurring[item]))
        result: Term = yield self.term(node.parts[0], frame)
        for back in reversed(undo):
            back()
        return result

    def _blocks(self, node: Node, frame: Frame) -> Task[Term]:
        rows: list[list[Term]] = []
        for row in node.parts[0].parts:
            made: list[Term] = []
            for part in row.parts:
                if is_zero(part):
                    made.append(build.zeros(*self._shape(part, frame)))
                else:
                    made.append((yield self.term(part, frame)))
            rows.append(made)
        return build.block(rows)

    # ------------------------------------------------------------ calls

    def _bars(self, node: Node, frame: Frame) -> Task[Term]:
        return build.norm((yield self.term(node.parts[0], frame)))

    def _primed(self, node: Node, frame: Frame) -> Task[Term]:
        return build.fun(frame.how[node], (yield self.term(node.parts[1], frame)))

    def _call(self, node: Node, frame: Frame) -> Task[Term]:
        how = frame.how[node]
        if isinstance(how, str):
            result: Term = yield from _CALLS[how](self, node, frame)
            return result
        if node in frame.calls:
            result = yield from self._expand(node, frame)
            return result
        if isinstance(how, Function):
            result = yield from self._apply(node, how, frame)
            return result
        terms: list[Term] = []
        for arg in arguments(node):
            if len(terms) < 2 or not is_flag(arg):
                terms.append((yield self.term(arg, frame)))
        if isinstance(how, tuple):
            return build.fun(how, terms[0])  # type: ignore[arg-type]
        operation: Operation = how
        return operation.build(terms)

    def _apply(self, node: Node, function: Function, frame: Frame) -> Task[Term]:
        args = arguments(node)
        terms: list[Term] = []
        for arg, letter in zip(args, function.signature(len(args)) or "", strict=True):
            if letter == "a":
                terms.append((yield self.term(arg, frame)))
        return function.build(terms, self._dims(node, frame), self._shape(node, frame))

    def _expand(self, node: Node, frame: Frame) -> Task[Term]:
        inner = frame.calls[node]
        for parameter in inner.parameters.values():
            parameter.term = yield self.term(parameter.node, frame)
        result: Term = yield self.term(frame.how[node].body, inner)
        return result

    def _binder(self, node: Node, frame: Frame) -> Task[Term]:
        args = arguments(node)
        hidden: list[tuple[str, Dim | None]] = []
        bounds: list[Bound] = []
        for range_ in args[:-1]:
            name = ascii_name(str(range_.parts[0].parts[0]))
            given = frame.ranges[range_]
            index = self._index_of(given.over)
            bounds.append(Bound(index, given.step))
            hidden.append((name, frame.bound.get(name)))
            frame.bound[name] = dim(index)
        body: Term = yield self.term(args[-1], frame)
        for name, before in reversed(hidden):
            if before is None:
                del frame.bound[name]
            else:
                frame.bound[name] = before
        for index, step in reversed(bounds):
            body = build.prod_over(index, body, step) if frame.how[node] == "prod" else build.sum_over(index, body)
        return body

    def _ind(self, node: Node, frame: Frame) -> Task[Term]:
        relation = arguments(node)[0]
        sign = "=" if relation.kind == "equation" else _RELATIONS.get(str(relation.parts[1]), str(relation.parts[1]))
        left, right = self._dims(node, frame)
        return build.indicator(sign, left, right)
        yield

    def _rows(self, node: Node, frame: Frame) -> Task[Term]:
        return build.integer(self._dims(node, frame)[0])
        yield


class _Factors:
    """A product read from the left; runs of scalars and of ``.*`` are multiplied at once."""

    def __init__(self, first: Term) -> None:
        self.run = [first]
        self.scalars = first.is_scalar
        self.dotted = False

    def append(self, term: Term, dotted: bool) -> None:
        """One more factor on the right."""
        together = (term.is_scalar or dotted) if self.scalars else (self.dotted and dotted)
        if together:
            self.run.append(term)
            self.dotted = self.dotted or dotted
            self.scalars = self.scalars and term.is_scalar
            return
        left = self.product()
        self.run = [left, term] if dotted else [build.mul(left, term)]
        self.dotted = dotted
        self.scalars = all(factor.is_scalar for factor in self.run)

    def product(self) -> Term:
        """The product of what was read so far."""
        if len(self.run) == 1:
            return self.run[0]
        return build.had(*self.run) if self.dotted else build.times(*self.run)


def _power_of(base: Term, exponent: Term) -> Term:
    """A power entry by entry, without dividing by zero."""
    if base is build.ZERO_NUM and exponent.op is ops.NUM and exponent.attr < 0:
        raise MatcalcError("division by zero")
    return build.power_of(base, exponent)


def _spread(terms: list[Term], term: Term) -> tuple[list[Term], Term]:
    """A scalar on either side of ``.+``, added to every entry of the other."""
    shape = next((t for t in terms if t is not build.ZERO_NUM), terms[0])
    if term.is_scalar and not shape.is_scalar:
        return terms, build.scale(term, build.ones(shape.rows, shape.cols))
    if shape.is_scalar and not term.is_scalar:
        return [build.scale(build.add(*terms), build.ones(term.rows, term.cols))], term
    return terms, term


_RELATIONS = {"≤": "<=", "≥": ">=", "≠": "!="}

_VALUES: dict[str, Callable[[Construction, Any], Term]] = {
    "pi": lambda _, value: value,
    "term": lambda _, value: value,
    "symbol": lambda _, value: build.sym(value),
    "integer": lambda made, value: build.integer(made._size(value)),
    "parameter": lambda _, value: value.term,
}

_Handler = Callable[[Construction, Node, Frame], Task[Term]]
_CALLS: dict[str, _Handler] = {
    "sum": Construction._binder,
    "prod": Construction._binder,
    "ind": Construction._ind,
    "size": Construction._rows,
}
_HANDLERS: dict[str, _Handler] = {
    "name": Construction._name,
    "number": Construction._number,
    "group": Construction._same,
    "positive": Construction._same,
    "negative": Construction._negative,
    "transpose": Construction._transpose,
    "superscript": Construction._superscript,
    "power": Construction._power,
    "sum": Construction._sum,
    "product": Construction._product,
    "kron": Construction._kron,
    "index": Construction._index,
    "blocks": Construction._blocks,
    "bars": Construction._bars,
    "primed": Construction._primed,
    "call": Construction._call,
    "where": Construction._where,
}
