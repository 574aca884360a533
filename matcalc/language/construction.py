"""Pass 2: terms, once every shape is known."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..errors import MatcalcError, ParseError, ShapeError
from ..terms import build, ops
from ..terms.dims import ONE, Atom, Dim, Index, dim, substitute
from ..terms.symbols import Family, Loop, Symbol, Unknown
from ..terms.term import Term
from ..terms.walk import contains, replace, substitute_indices
from .factors import Factors, power_of, spread
from .functions import FUNCTIONS, Function
from .inference import Inference
from .meanings import Bound, Frame, Parameter, Recurring
from .names import ascii_name
from .recurrence import UNPLACED, Hint, Pair, Plain, Recurrence
from .scope import Operation
from .shapes import Shape, holes_of
from .sizes import read_number
from .syntax import Node, Task, arguments, is_flag, is_zero

SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def _function(name: str, argument: Term) -> Term:
    return FUNCTIONS[name].build([argument], [], argument.shape)


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
        if frame.how.get(node) == "eye":
            return build.eye(self._seen(node, frame, "eye(n)"))
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
        return power_of(base, build.num(power)) if base.is_scalar else build.mpow(base, power)

    def _power(self, node: Node, frame: Frame) -> Task[Term]:
        base: Term = yield self.term(node.parts[0], frame)
        how = frame.how.get(node)
        if how == "transpose":
            return build.transpose(base)
        if how == "inverse transpose":
            return build.transpose(build.inv(base))
        if how == "matrix":
            return build.mpow(base, self._dims(node, frame)[0])
        return power_of(base, (yield self.term(node.parts[2], frame)))

    def _sum(self, node: Node, frame: Frame) -> Task[Term]:
        terms: list[Term] = [(yield self.term(node.parts[0], frame))]
        for operator, part in zip(node.ops, node.parts[1:], strict=True):
            term: Term = yield self.term(part, frame)
            if operator.endswith("MINUS"):
                term = build.neg(term)
            if operator.startswith("DOT"):
                terms, term = spread(terms, term)
            terms.append(term)
        return build.add(*terms)

    def _product(self, node: Node, frame: Frame) -> Task[Term]:
        first: Term = yield self.term(node.parts[0], frame)
        factors = Factors(first)
        for operator, part in zip(node.ops, node.parts[1:], strict=True):
            term: Term = yield self.term(part, frame)
            if operator.endswith("SLASH"):
                term = power_of(term, build.MINUS_ONE_NUM)
            factors.append(term, operator.startswith("DOT"))
        return factors.product()

    def _kron(self, node: Node, frame: Frame) -> Task[Term]:
        factors: list[Term] = []
        for part in node.parts:
            factors.append((yield self.term(part, frame)))
        return build.kron(*factors)

    def _index(self, node: Node, frame: Frame) -> Task[Term]:
        how = frame.how[node]
        if isinstance(how, Node):
            result: Term = yield self.term(how, frame)
            return result
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
            if at is self._size(found.here):
                return build.sym(found.symbol)
            if found.following is not None and at is self._size(found.here) + found.step:
                return build.sym(found.following)
            return found.begun
        made = found.made if isinstance(found, Recurring) else found
        assert made is not None
        self.hints += made.hints
        return made.state(at)

    def recurrences(self, pairs: Sequence[Pair], frame: Frame) -> Task[list[Recurrence]]:
        """Recurrences that the inference has read: one, or several that use one another."""
        members = [frame.recurring[pair] for pair in pairs]
        outer, self.hints = self.hints, [hint for pair in pairs for hint in pair.start.hints]
        for found in members:
            found.begun = yield self._begun(found, frame)
        bodies: list[Term] = []
        for found in members:
            bodies.append((yield self._body(found, members, frame)))
        index = self._index_of(members[0].index)
        bodies = self._in_one_step(members, bodies, dim(index) + members[0].step)
        starts = [found.begun for found in members if found.begun is not None]
        shapes = [self._shape_at(found, dim(index)) for found in members]
        named = zip(members, shapes, strict=True)
        slots = [Symbol(_slot_name(found), *shape, frozenset(), "state") for found, shape in named]
        places: list[tuple[Any, ...]] = [()]
        if len(members) == 1:
            start, body, slot = starts[0], bodies[0], slots[0]
        else:
            sides = [d for shape in shapes for d in shape]
            start, body = build.joint(*starts), build.joint(*bodies)
            rows = sum((m * n for m, n in shapes), dim(0))
            slot = Symbol("°".join(s.name for s in slots), rows, dim(1), frozenset(), "state")
            places = [(i, *sides) for i in range(len(members))]
            body = replace(body, {build.sym(s): build.part(build.sym(slot), i, sides) for i, s in enumerate(slots)})
        loop = Loop(index, members[0].step, self._size(members[0].first), dim(UNPLACED), slot)
        made = build.state(loop, start, body)
        whole = [(made, place) for place in places]
        if made.op is ops.JOINT:  # some do not use the others after all
            whole = [(t.args[0], t.attr) if t.op is ops.PART else (t, ()) for t in made.args]
        self.hints += [(index.lo, index.hi, members[0].pair.form.variable)]
        for found, (one, place) in zip(members, whole, strict=True):
            start, body = one.args
            self.hints.append((start, (body, place[0]) if place else body, found.pair.name))
        hints = tuple(dict.fromkeys(self.hints))
        for found, (one, place) in zip(members, whole, strict=True):
            at = dim(one.attr.index)
            moved: dict[Atom, Dim] = {index: at, UNPLACED: at}
            shown = tuple(substitute(p, moved) if isinstance(p, Dim) else p for p in place)
            found.made = Recurrence(one.attr, one.args[0], one.args[1], hints, shown)
        self.hints = [*outer, *self.hints]
        return [found.made for found in members if found.made is not None]

    def _begun(self, found: Recurring, frame: Frame) -> Task[Term]:
        said = found.pair.start
        if said.term is not None:
            return said.term
        if is_zero(said.right):
            return build.zeros(*self.inference.sizes.shape(found.start))
        start: Term = yield self.term(said.right, frame.reading(said))
        return start

    def _body(self, found: Recurring, members: Sequence[Recurring], frame: Frame) -> Task[Term]:
        """The step; in it the state with the bound index of the first recurrence is a symbol."""
        pair, inside = found.pair, frame.reading(found.pair.follow)
        index = self._index_of(found.index)
        here = dim(index) + pair.back
        for other in members:
            other.read_in(found)
            name = _slot_name(other)
            other.symbol = Symbol(name, *self._shape_at(other, here), frozenset(), "state")
            after = self._shape_at(other, here + found.step)
            other.following = None if other is found else Symbol(name + "'", *after, frozenset(), "state")
        before = [inside.define(other.pair.name, inside.states, other) for other in members]
        before.append(inside.define(pair.form.variable, inside.bound, dim(index)))
        body: Term = yield self.term(pair.follow.right, inside)
        for undo in reversed(before):
            undo()
        first = self._index_of(members[0].index)
        # the bound index is that of the state which the step uses
        return substitute_indices(body, {index: dim(first) - pair.back}) if pair.back or index is not first else body

    def _in_one_step(self, members: Sequence[Recurring], bodies: Sequence[Term], after: Dim) -> list[Term]:
        """The steps, with the new states of the others that they use put in."""
        new = [
            build.sym(Symbol(_slot_name(found) + "'", *self._shape_at(found, after), frozenset(), "state"))
            for found in members
        ]
        done = list(bodies)
        left = set(range(len(members))) if len(members) > 1 else set()
        while left:
            ready = {i for i in left if not any(contains(done[i], state) for state in new)}
            if not ready:
                names = " and ".join(members[i].pair.name for i in sorted(left))
                said = members[min(left)].pair.follow
                raise MatcalcError(f"the new states of {names} use one another: none can be made first").locate(
                    said.text, said.left.start, said.right.end
                )
            known = {new[i]: done[i] for i in ready}
            left -= ready
            for i in left:
                done[i] = replace(done[i], known)
        return done

    def _shape_at(self, found: Recurring, at: Dim) -> tuple[Dim, Dim]:
        rows, cols = self.inference.sizes.shape(found.slot)
        mapping: dict[Atom, Dim] = {self._index_of(found.index): at - found.pair.back}
        return substitute(rows, mapping), substitute(cols, mapping)

    def _where(self, node: Node, frame: Frame) -> Task[Term]:
        undo: list[Callable[[], None]] = []
        for item in frame.how[node]:
            if isinstance(item, Plain):
                term: Term = yield self.term(item.right, frame)
                shape = self._shape(item.right, frame)
                undo.append(frame.define(item.name, frame.parameters, Parameter(item.right, frame, shape, term)))
            else:
                yield self.recurrences(item, frame)
                undo += [frame.define(pair.name, frame.states, frame.recurring[pair]) for pair in item]
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
                    made.append(build.zeros(*(ONE if holes_of(side) else side for side in self._shape(part, frame))))
                else:
                    made.append((yield self.term(part, frame)))
            rows.append(made)
        return build.block(rows)

    # ------------------------------------------------------------ calls

    def _rewritten(self, node: Node, frame: Frame) -> Task[Term]:
        result: Term = yield self.term(frame.how[node], frame)
        return result

    def _identity(self, node: Node, frame: Frame) -> Task[Term]:
        if node in frame.how:
            result: Term = yield self.term(frame.how[node], frame)
            return result
        return build.eye(self._seen(node, frame, "I_n"))

    def _unit(self, node: Node, frame: Frame) -> Task[Term]:
        return build.basis(self._dims(node, frame)[0], self._seen(node, frame, "basis(i, n) outside the dollars"))
        yield

    def _seen(self, node: Node, frame: Frame, write: str) -> Dim:
        """The size that the rest of the formula gave."""
        size = self._shape(node, frame)[0]
        if holes_of(size):
            raise ShapeError(f"the size of {frame.source(node)} cannot be seen", hint=f"write {write}")
        return size

    def _euler(self, node: Node, frame: Frame) -> Task[Term]:
        if node in frame.how:
            result: Term = yield self.term(frame.how[node], frame)
            return result
        exponent: Term = yield self.term(node.parts[2], frame)
        return build.fun("exp", exponent) if exponent.is_scalar else _function("expm", exponent)

    def _root(self, node: Node, frame: Frame) -> Task[Term]:
        base: Term = yield self.term(node.parts[0], frame)
        if base.is_scalar:
            return power_of(base, (yield self.term(node.parts[1], frame)))
        root = _function("sqrtm", base)
        return build.inv(root) if node.ops == ["MINUS"] else root

    def _vertical(self, node: Node, frame: Frame) -> Task[Term]:
        inner: Term = yield self.term(node.parts[0], frame)
        return build.fun("abs", inner) if inner.is_scalar else build.det(inner)

    def _two_norm(self, node: Node, frame: Frame) -> Task[Term]:
        inner: Term = yield self.term(node.parts[0], frame)
        if inner.is_vector or inner.rows is ONE:
            return build.norm(inner)
        return _function("spectral", inner)

    def _one_norm(self, node: Node, frame: Frame) -> Task[Term]:
        inner: Term = yield self.term(node.parts[0], frame)
        return _function("norm1", inner)

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
        if isinstance(how, Unknown):
            return build.fun(how, terms[0])
        operation: Operation = how
        return operation.build(terms)

    def _apply(self, node: Node, function: Function, frame: Frame) -> Task[Term]:
        args = arguments(node)
        terms: list[Term] = []
        for arg, letter in zip(args, function.signature(len(args)) or "", strict=True):
            if letter == "a":
                terms.append((yield self.term(arg, frame)))
        shape = self._shape(node, frame)
        if not terms and any(map(holes_of, shape)):
            raise ShapeError(f"the size of {frame.source(node)} cannot be seen", hint="write ones(n) or ones(m,n)")
        return function.build(terms, self._dims(node, frame), shape)

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
            if frame.how[node] == "prod":
                body = build.prod_over(index, body, step)
            else:
                body = (build.family if frame.how[node] == "family" else build.sum_over)(index, body)
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


def _slot_name(found: Recurring) -> str:
    return f"{found.pair.name}°{found.index.level}"


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
    "family": Construction._binder,
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
    **dict.fromkeys(("juxtaposed", "filled", "pseudo"), Construction._rewritten),
    "euler": Construction._euler,
    "root": Construction._root,
    "identity": Construction._identity,
    "unit": Construction._unit,
    "vertical": Construction._vertical,
    "two_norm": Construction._two_norm,
    "one_norm": Construction._one_norm,
}
