"""Pass 1: the shape of every node, as equations between dimensions.

One :class:`Inference` is one attempt: every undeclared name has a kind, and the first thing that
does not fit ends the attempt.  The search over kinds is in :mod:`matcalc.language.elaborate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from ..bounds import tick
from ..errors import LimitExceeded, MatcalcError, ParseError, ShapeError
from ..terms import build
from ..terms.dims import (
    MINUS_ONE,
    ONE,
    UNBOUNDED,
    ZERO,
    Atom,
    Dim,
    Index,
    Name,
    SizeAt,
    dim,
    format_dim,
    known_nonnegative,
    substitute,
)
from ..terms.symbols import Family, Unknown
from .formula import Formula, plain_integer, subscripted
from .functions import FUNCTIONS, NOT_YET, RULE_FUNCTIONS, SPECIAL, Function
from .latex import LATEX
from .meanings import Bound, Frame, Meaning, Names, NeedsIntegerError, Parameter, Recurring
from .names import ascii_name
from .recurrence import Halves, Hint, Pair, Plain, Recurrence, local_definitions
from .scope import Definition, Operation, Scope, size_task, unknown
from .shapes import SCALAR, Hole, MisfitError, Shape, holes_of
from .syntax import Node, Task, run

MAX_FRAMES = 20_000
MAX_NESTING = 200

SUPERSCRIPTS = str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")


def is_zero(node: Node) -> bool:
    """True for a literal 0, which stands for a zero of any shape."""
    while node.kind in ("group", "negative", "positive", "filled") and len(node.nodes()) == 1:
        node = node.nodes()[0]
    return node.kind == "number" and float(str(node.parts[0])) == 0


def is_flag(node: Node) -> bool:
    """True for the word ``structured``, the last argument of a derivative along a structure."""
    return node.kind == "name" and str(node.parts[0]) == "structured"


class Inference(Names):
    """One attempt to give every node a shape."""

    def __init__(
        self,
        scope: Scope,
        text: str,
        patterns: bool,
        kinds: Mapping[str, str],
        integers: set[str],
        loose: set[Node] | None = None,
    ) -> None:
        super().__init__(scope, text, patterns, kinds, integers)
        self.loose = loose or set()
        self.moving: list[Pair] = []
        self.index_names: list[tuple[Index, str]] = []
        self.notes: list[str] = []
        self.transposed = False
        self.frames = 0
        self.visited = 0

    def hints(self) -> list[Hint]:
        """Ranges and names of the bound indices, for printing."""
        resolve = self.sizes.resolve
        return [(resolve(index.lo), resolve(index.hi), name) for index, name in self.index_names]

    # ------------------------------------------------------------ integers

    def integer(self, node: Node, frame: Frame) -> Task[Dim]:
        """The integer that a node writes: a size, an index, an exponent."""

        result: Dim = yield size_task(node, _Integers(self, frame))
        return result

    def _integer_name(self, name: str, frame: Frame, node: Node) -> Dim:
        if name in frame.bound:
            return frame.bound[name]
        if name in frame.states:
            raise ShapeError(f"{name} is a recurrence, but an integer is needed here").locate(
                frame.text, node.start, node.end
            )
        parameter = frame.parameters.get(name)
        if parameter is not None:
            return run(self.integer(parameter.node, parameter.frame))
        for scope in (frame.scope, self.root.scope):
            if name in scope.integers:
                return self.known_integer(name)
            value = build.as_dim(scope.definitions[name]) if name in scope.definitions else None
            if value is not None:
                return value
            if name in scope.symbols or name in scope.definitions or name in scope.opened or name in scope.recurrences:
                raise ShapeError(f"{name} is a variable, but an integer is needed here").locate(
                    frame.text, node.start, node.end
                )
        if name not in self.integers and not self.patterns:
            self.integers.add(name)
            if name in self.locals or (name == "T" and self.transposed):
                raise NeedsIntegerError(name)
        return self.known_integer(name)

    def _integer_call(self, node: Node, frame: Frame) -> Task[Dim]:
        word = str(node.parts[0]) if node.kind == "call" else ""
        if word not in ("rows", "cols"):
            raise ShapeError("an integer is needed here: names, numbers, +, -, *").locate(
                frame.text, node.start, node.end
            )
        shape: Shape = yield from self._extent(node, frame)
        return shape[0] if word == "rows" else shape[1]

    def _extent(self, node: Node, frame: Frame) -> Task[Shape]:
        args = arguments(node)
        if len(args) != 1:
            raise wrong_count(node, frame, "1", len(args))
        shape: Shape = yield self.shape(args[0], frame)
        return self.sizes.shape(shape)

    # ------------------------------------------------------------ the walk

    def shape(self, node: Node, frame: Frame) -> Task[Shape]:
        """The shape of a node; errors that have no place get the place of the node."""
        handler = _HANDLERS.get(node.kind)
        if handler is None:
            raise ParseError(f"{frame.source(node)} is not an expression").locate(frame.text, node.start, node.end)
        self.visited += 1
        tick()
        try:
            shape: Shape = yield from handler(self, node, frame)
        except MatcalcError as error:
            raise error.locate(frame.text, node.start, node.end) from None
        frame.shapes[node] = shape
        return shape

    def resolved(self, node: Node, frame: Frame) -> Task[Shape]:
        """The shape of a node as far as it is known now."""
        return self.sizes.shape((yield self.shape(node, frame)))

    def unify(self, left: Shape, right: Shape, error: Callable[[], MatcalcError]) -> None:
        """Make two shapes one."""
        self.equal(left[0], right[0], error)
        self.equal(left[1], right[1], error)

    def equal(self, left: Dim, right: Dim, error: Callable[[], MatcalcError]) -> None:
        """Make two dimensions equal, or raise the error."""
        if left is right:
            return
        waiting = len(self.sizes.waiting)
        try:
            self.sizes.equate(left, right)
        except MisfitError as misfit:
            made = error()
            if misfit.frozen:
                made.hint = "what stands before does not say so; " + (made.hint or "a guard or a declaration has to")
            raise made from None
        if len(self.sizes.waiting) > waiting:
            a, b, _ = self.sizes.waiting[-1]
            self.sizes.waiting[-1] = (a, b, error())

    def _name(self, node: Node, frame: Frame) -> Task[Shape]:
        name = ascii_name(str(node.parts[0]))
        if name == "eye" and self.found(name, frame) is None:  # of the size that fits
            n = self.sizes.fresh()
            frame.how[node] = "eye"
            return n, n
        return self._value_shape(self.meaning(name, frame, node), name)
        yield

    def _value_shape(self, meaning: Meaning, name: str) -> Shape:
        kind, value = meaning
        if kind in ("integer", "pi"):
            return SCALAR
        if kind in ("symbol", "term"):
            return value.rows, value.cols
        if kind == "diff":
            return self._value_shape(value, name)
        if kind in ("family", "body"):
            raise ShapeError(f"{name} is a family", hint=f"write one of its members: {name}[k]")
        if kind == "recurrence":
            at = value.pair.form.variable if isinstance(value, Recurring) else "k"
            raise ShapeError(f"{name} is a recurrence", hint=f"write one of its states: {name}[{at}]")
        if kind == "half":
            raise _incomplete(name, value)
        shape: Shape = value.shape
        return shape

    def _number(self, node: Node, frame: Frame) -> Task[Shape]:
        return SCALAR
        yield

    def _same(self, node: Node, frame: Frame) -> Task[Shape]:
        result: Shape = yield self.shape(node.nodes()[0], frame)
        return result

    def _transpose(self, node: Node, frame: Frame) -> Task[Shape]:
        rows, cols = yield self.shape(node.parts[0], frame)
        return cols, rows

    def _superscript(self, node: Node, frame: Frame) -> Task[Shape]:
        shape: Shape = yield self.resolved(node.parts[0], frame)
        self._square(shape, node.parts[0], frame, "a power of a matrix")
        return shape

    def _square(self, shape: Shape, node: Node, frame: Frame, what: str) -> Dim:
        def error() -> MatcalcError:
            source = frame.source(node)
            return ShapeError(f"{what} needs a square matrix, but {source} is {self.shown(shape)}").locate(
                frame.text, node.start, node.end
            )

        self.equal(shape[0], shape[1], error)
        return self.sizes.resolve(shape[0])

    def shown(self, shape: Shape) -> str:
        """A shape in a message, with the names that the reader knows."""
        names: dict[Atom, str] = dict(self.index_names)
        for hole, label in self.sizes.labels.items():
            names[hole] = label
        rows, cols = self.sizes.shape(shape)
        sides = [format_dim(d, names) for d in (rows, cols)]
        text = "×".join(f"({side})" if len(d.terms) > 1 else side for side, d in zip(sides, (rows, cols), strict=True))
        return text + " (a scalar)" if rows is ONE and cols is ONE else text

    def _power(self, node: Node, frame: Frame) -> Task[Shape]:
        base, operator, exponent = node.parts
        shape: Shape = yield self.resolved(base, frame)
        if operator.type == "DOTPOW":
            other: Shape = yield self.resolved(exponent, frame)
            return self._entrywise(shape, other, (base, base), exponent, frame)
        mark = self._transposition(exponent, frame)
        if mark:
            frame.how[node] = mark
            if mark == "inverse transpose":
                self._square(shape, base, frame, "the inverse")
            return shape[1], shape[0]
        if shape == SCALAR:
            frame.how[node] = "scalar"
            other = yield self.resolved(exponent, frame)
            self.unify(other, SCALAR, lambda: _exponent_error(self, exponent, other, frame))
            return SCALAR
        frame.how[node] = "matrix"
        n = self._square(shape, base, frame, "a power of a matrix")
        power: Dim = yield self.integer(exponent, frame)
        if power.constant is not None and power.constant.denominator != 1:
            raise ShapeError(
                "the power of a matrix needs an integer exponent", hint="a root is sqrtm(A); entry by entry write .^"
            ).locate(frame.text, exponent.start, exponent.end)
        frame.dims[node] = [power]
        return n, n

    def _transposition(self, exponent: Node, frame: Frame) -> str | None:
        """``^T`` and ``^-T``, unless T means something."""
        negative = exponent.kind == "negative"
        core = exponent.nodes()[0] if negative else exponent
        if core.kind != "name" or str(core.parts[0]) != "T":
            return None
        if self.found("T", frame) is not None:
            note = "^T is read as a power, because T is declared or used as an integer; the transpose is A'"
            if note not in self.notes:
                self.notes.append(note)
            return None
        self.transposed = True
        return "inverse transpose" if negative else "transpose"

    def _entrywise(
        self, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame, hint: str | None = None
    ) -> Shape:
        if left == SCALAR:
            return right
        if right != SCALAR:
            self.unify(left, right, lambda: self.mismatch(left, right, first, second, frame, hint))
        return left

    def mismatch(
        self, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame, hint: str | None = None
    ) -> ShapeError:
        """The error for two neighbours that do not fit: both sources, both shapes."""
        whole = frame.between(first[0], second)
        a, b = frame.between(*first), frame.source(second)
        message = f"{whole}: {a} is {self.shown(left)} but {b} is {self.shown(right)}"
        error = ShapeError(message, hint=hint)
        error.locate(frame.text, first[0].start, second.end)
        return error

    # ------------------------------------------------------------ sums and products

    def _sum(self, node: Node, frame: Frame) -> Task[Shape]:
        first = node.parts[0]
        total: Shape | None = None
        for i, part in enumerate(node.parts):
            dotted = i > 0 and node.ops[i - 1].startswith("DOT")
            shape: Shape = yield self.shape(part, frame)
            if is_zero(part) and not dotted:
                continue
            if total is None:
                total = SCALAR if dotted else shape
                if not dotted:
                    continue
            if dotted:
                total = self._entrywise(
                    self.sizes.shape(total), self.sizes.shape(shape), (first, node.parts[i - 1]), part, frame
                )
            elif total is not shape:
                self._join(total, shape, node, i, frame)
        return total or SCALAR

    def _join(self, total: Shape, shape: Shape, node: Node, i: int, frame: Frame) -> None:
        first = (node.parts[0], node.parts[i - 1])

        def error() -> MatcalcError:
            return self.mismatch(total, shape, first, node.parts[i], frame, self._sum_hint(total, shape))

        self.unify(total, shape, error)

    def _sum_hint(self, left: Shape, right: Shape) -> str | None:
        a, b = self.sizes.shape(left), self.sizes.shape(right)
        if SCALAR in (a, b):
            return "to add a scalar to every entry write .+ or .-; a multiple of the identity is s*eye(n)"
        if a == (b[1], b[0]):
            return "one of them transposed would fit: write ' after it"
        return None

    def _product(self, node: Node, frame: Frame) -> Task[Shape]:
        first = node.parts[0]
        total: Shape = yield self.resolved(first, frame)
        for i, operator in enumerate(node.ops):
            part = node.parts[i + 1]
            shape: Shape = yield self.resolved(part, frame)
            total = _FACTORS[operator](self, self.sizes.shape(total), shape, (first, node.parts[i]), part, frame)
        return total

    def _star(self, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame) -> Shape:
        if left == SCALAR:
            return right
        if right == SCALAR:
            return left
        if left[1] is not right[0]:
            self.equal(left[1], right[0], lambda: self._apart(left, right, first, second, frame))
        return left[0], right[1]

    def _apart(self, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame) -> ShapeError:
        return self.mismatch(left, right, first, second, frame, self._product_hint(left, right))

    def _product_hint(self, left: Shape, right: Shape) -> str | None:
        a, b = self.sizes.shape(left), self.sizes.shape(right)
        if a == b:
            return "the product entry by entry is .* (or ⊙)"
        if a[0] is b[0]:
            return "the left factor transposed would fit: write ' after it"
        if a[1] is b[1]:
            return "the right factor transposed would fit: write ' after it"
        return None

    def _slash(self, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame) -> Shape:
        def error() -> MatcalcError:
            hint = "divide entry by entry with ./, or multiply by inv(...)"
            source = frame.source(second)
            return ShapeError(f"only a scalar divides, but {source} is {self.shown(right)}", hint=hint).locate(
                frame.text, second.start, second.end
            )

        self.unify(right, SCALAR, error)
        return left

    def _dotted(self, left: Shape, right: Shape, first: tuple[Node, Node], second: Node, frame: Frame) -> Shape:
        hint = "the matrix product is *" if left != right and left[1] is right[0] else None
        return self._entrywise(left, right, first, second, frame, hint)

    def _kron(self, node: Node, frame: Frame) -> Task[Shape]:
        rows, cols = ONE, ONE
        for part in node.parts:
            m, n = yield self.resolved(part, frame)
            rows, cols = rows * m, cols * n
        return rows, cols

    # ------------------------------------------------------------ indexing and blocks

    def _index(self, node: Node, frame: Frame) -> Task[Shape]:
        if node.ops == LATEX:
            frame.how[node] = plain = subscripted(self, node, frame)
            found: Shape = yield self.shape(plain, frame)
            return found
        base, slots = node.parts[0], node.parts[1].parts
        for slot in slots:
            if slot.kind == "range":
                raise ParseError("a range stands only in a declaration, a sum or a product").locate(
                    frame.text, slot.start, slot.end
                )
        if base.kind == "name":
            name = ascii_name(str(base.parts[0]))
            if name in frame.scope.size_lists and self.found(name, frame) is None:
                frame.how[node] = "size"
                frame.dims[node] = [(yield self.integer(node, frame))]
                return SCALAR
            meaning = self.meaning(name, frame, base)
            if meaning.kind in ("family", "body"):
                result: Shape = yield from self._member(node, meaning, name, frame)
                return result
            if meaning.kind == "recurrence":
                result = yield from self._state(node, meaning.value, name, frame)
                return result
        shape: Shape = yield self.resolved(base, frame)
        if any(slot.kind == "span" for slot in slots):
            result = yield from self._block_of(node, shape, frame)
            return result
        frame.how[node] = "entry"
        dims: list[Dim] = []
        for slot in slots:
            dims.append((yield self.integer(slot, frame)))
        frame.dims[node] = dims
        if len(dims) == 1 and ONE not in shape:
            raise ShapeError(
                f"{frame.source(base)} is {self.shown(shape)}: an entry needs two indices", hint="write A[i,j]"
            )
        if len(dims) > 2:
            raise ShapeError("an entry has at most two indices")
        return SCALAR

    def _block_of(self, node: Node, shape: Shape, frame: Frame) -> Task[Shape]:
        """``A[i..j,k..l]``, ``A[i,k..l]``, ``x[i..j]``."""
        base, slots = node.parts[0], node.parts[1].parts
        if len(slots) > 2 or (len(slots) == 1 and ONE not in shape):
            source = frame.source(base)
            raise ShapeError(f"{source} is {self.shown(shape)}: a block is {source}[i..j,k..l]")
        ends: list[Dim] = []
        for slot in slots:
            first: Dim = yield self.integer(slot.parts[0] if slot.kind == "span" else slot, frame)
            last: Dim = (yield self.integer(slot.parts[1], frame)) if slot.kind == "span" else first
            ends += [first, last]
        if len(slots) == 1:
            ends = [*ends, ONE, ONE] if shape[1] is ONE else [ONE, ONE, *ends]
        frame.how[node] = "block"
        frame.dims[node] = ends
        return ends[1] - ends[0] + 1, ends[3] - ends[2] + 1

    def _member(self, node: Node, meaning: Meaning, name: str, frame: Frame) -> Task[Shape]:
        slots = node.parts[1].parts
        if any(slot.kind == "span" for slot in slots):
            raise ShapeError(f"{name} is a family: a member is {name}[k], not a range of them")
        if len(slots) != 1:
            raise ShapeError(f"{name} is a family with one index", hint=f"an entry of a member is {name}[k][i,j]")
        at: Dim = yield self.integer(slots[0], frame)
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

    # ------------------------------------------------------------ recurrences

    def _state(self, node: Node, found: Recurring | Recurrence, name: str, frame: Frame) -> Task[Shape]:
        slots = node.parts[1].parts
        if len(slots) != 1:
            raise ShapeError(f"{name} is a recurrence with one index", hint=f"an entry of a state is {name}[k][i,j]")
        at: Dim = yield self.integer(slots[0], frame)
        frame.how[node] = "state"
        frame.dims[node] = [at]
        before = ((found.first - at) * found.step).constant
        if before is not None and before > 0:
            raise ShapeError(f"there is no {frame.source(node)}: {name} starts at {self._side(found.first)}")
        if isinstance(found, Recurrence):
            return found.shape_at(at)
        if found.reading and at is not found.here:
            if at is found.first:
                return found.start
            if not found.own and at is found.here + found.step:
                return found.shape_at(at, self.sizes)
            written = self._side(found.here)
            hint = f"what reaches further back is a state of several blocks, such as [{name}[k]; {name}[k-1]]"
            raise MatcalcError(f"in the step of {name} only {name}[{written}] may be used, and its start", hint=hint)
        return found.slot if found.reading and found.own else found.shape_at(at, self.sizes)

    def recurrences(self, pairs: Sequence[Pair], frame: Frame) -> Task[None]:
        """Read the starts and the steps of recurrences that use one another, most often of one alone."""
        members: list[Recurring] = []
        for pair in pairs:
            members.append((yield self._start(pair, frame)))
        for found in members:
            _together(found, members[0])
        for found in members:
            yield self._step(found, members, frame)
        for found in members:
            found.reading = False

    def _start(self, pair: Pair, frame: Frame) -> Task[Recurring]:
        """Read the start; the shape of a state is a function of its index."""
        begun = frame.reading(pair.start)
        first: Dim = yield self.integer(pair.start.slot, begun)
        term = pair.start.term
        if term is not None:
            start: Shape = term.shape
        elif is_zero(pair.start.right):
            start = self.sizes.fresh(), self.sizes.fresh()
            begun.shapes[pair.start.right] = start
        else:
            start = yield self.resolved(pair.start.right, begun)
        index = Index(1_000_000 + len(self.index_names), ZERO, UNBOUNDED, pair.step)
        variable = pair.form.variable
        self.index_names.append((index, variable))
        slot = self._moving(pair, start[0], first, index), self._moving(pair, start[1], first, index)
        found = Recurring(pair, index, first, start, slot)
        frame.recurring[pair] = found
        return found

    def _step(self, found: Recurring, members: Sequence[Recurring], frame: Frame) -> Task[None]:
        pair, start = found.pair, found.start
        inside = frame.reading(pair.follow)
        before = [inside.define(other.pair.name, inside.states, other) for other in members]
        before.append(inside.define(pair.form.variable, inside.bound, dim(found.index)))
        for other in members:
            other.read_in(found)
        if pair.follow.right not in self.loose and found.slot != start:
            self.moving.append(pair)
        body: Shape = yield self.resolved(pair.follow.right, inside)
        for undo in reversed(before):
            undo()
        self._close(found, body, inside)
        if is_zero(pair.start.right):
            for hole in self.sizes.open_holes(start):
                self.equal(dim(hole), ONE, lambda: self._open_loop(found, body, inside))
        if self.moving and self.moving[-1] is pair:
            self.moving.pop()

    def _moving(self, pair: Pair, side: Dim, first: Dim, index: Index) -> Dim:
        """A side of the start as a side of the state with the index that the step uses: h[0] becomes h[k]."""
        side = self.sizes.resolve(side)
        holes = holes_of(side)
        here = dim(index) + pair.back
        atoms: dict[Atom, Dim] = {
            atom: dim(SizeAt(atom.name, atom.arg - first + here))
            for atom in side.atoms()
            if isinstance(atom, SizeAt) and (atom.arg - first).constant is not None
        }
        if holes or (atoms and pair.follow.right in self.loose):
            return self.sizes.fresh(wide=side.atom in self.sizes.wide)
        return substitute(side, atoms)

    def _close(self, found: Recurring, body: Shape, frame: Frame) -> None:
        """The next state has the shape of a state, and so has the start."""
        index, step = found.index, found.step

        def error() -> MatcalcError:
            return self._open_loop(found, body, frame)

        for slot, made, start in zip(found.slot, body, found.start, strict=True):
            side, made = self.sizes.resolve(slot), self.sizes.resolve(made)
            if isinstance(side.atom, Hole):
                self.equal(side, substitute(made, {index: dim(index) - step}), error)
            else:
                self.equal(substitute(side, {index: dim(index) + step}), made, error)
            side = self.sizes.resolve(slot)
            self.equal(substitute(side, {index: found.first - found.pair.back}), start, error)

    def _open_loop(self, found: Recurring, body: Shape, frame: Frame) -> ShapeError:
        name, follow = found.pair.name, found.pair.follow
        begun = f"{name}[{self._side(found.first)}] is {self.shown(found.start)}"
        used = f"{name}[{self._side(found.here)}] is {self.shown(found.slot)}"
        made = f"{name}[{self._side(dim(found.index) + found.pair.form.ahead)}] would be {self.shown(body)}"
        error = ShapeError(f"the step of {name} does not fit its start: {begun}, {used}, but {made}")
        error.locate(follow.text, follow.right.start, follow.right.end)
        return error

    def _side(self, d: Dim) -> str:
        return format_dim(self.sizes.resolve(d), dict(self.index_names)).replace(" + ", "+").replace(" - ", "-")

    def _where(self, node: Node, frame: Frame) -> Task[Shape]:
        """``e where y[0] = ...; y[k+1] = ...; v = ...``."""
        definitions = local_definitions(node, frame.text)
        frame.how[node] = definitions
        undo: list[Callable[[], None]] = []
        for item in definitions:
            if isinstance(item, Plain):
                shape: Shape = yield self.shape(item.right, frame)
                undo.append(frame.define(item.name, frame.parameters, Parameter(item.right, frame, shape)))
            else:
                yield self.recurrences(item, frame)
                undo += [frame.define(pair.name, frame.states, frame.recurring[pair]) for pair in item]
        result: Shape = yield self.shape(node.parts[0], frame)
        for back in reversed(undo):
            back()
        return result

    def _blocks(self, node: Node, frame: Frame) -> Task[Shape]:
        rows = [row.parts for row in node.parts[0].parts]
        width = len(rows[0])
        shapes: list[list[Shape]] = []
        for row in rows:
            if len(row) != width:
                raise ShapeError(f"block rows have {width} and {len(row)} blocks")
            found: list[Shape] = []
            for block in row:
                shape: Shape = yield self.shape(block, frame)
                if is_zero(block):
                    shape = (self.sizes.fresh(), self.sizes.fresh())
                    frame.shapes[block] = shape
                found.append(shape)
            shapes.append(found)
        height, breadth = dim(0), dim(0)
        for i, row in enumerate(rows):
            for j in range(1, width):
                self._beside(shapes[i][0], shapes[i][j], 0, (row[0], row[j]), frame)
            height = height + self.sizes.resolve(shapes[i][0][0])
        for j in range(width):
            for i in range(1, len(rows)):
                self._beside(shapes[0][j], shapes[i][j], 1, (rows[0][j], rows[i][j]), frame)
            breadth = breadth + self.sizes.resolve(shapes[0][j][1])
        return height, breadth

    def _beside(self, a: Shape, b: Shape, side: int, nodes: tuple[Node, Node], frame: Frame) -> None:
        def error() -> MatcalcError:
            what = ("blocks side by side need equal rows", "blocks below one another need equal columns")[side]
            first, second = frame.source(nodes[0]), frame.source(nodes[1])
            return ShapeError(f"{what}: {first} is {self.shown(a)} but {second} is {self.shown(b)}").locate(
                frame.text, nodes[0].start, nodes[1].end
            )

        self.equal(a[side], b[side], error)

    # ------------------------------------------------------------ calls

    def _bars(self, node: Node, frame: Frame) -> Task[Shape]:
        yield self.shape(node.parts[0], frame)
        return SCALAR

    def _primed(self, node: Node, frame: Frame) -> Task[Shape]:
        written = str(node.parts[0])
        name = ascii_name(written.rstrip("'"))
        if not self.is_unknown_function(name, frame):
            raise self._no_primed(name, frame)
        frame.how[node] = Unknown(name, len(written) - len(written.rstrip("'")), self._role())
        result: Shape = yield self.shape(node.parts[1], frame)
        return result

    def _no_primed(self, name: str, frame: Frame) -> MatcalcError:
        if name in FUNCTIONS or name in frame.scope.functions:
            return MatcalcError(f"{name}' is only written of unknown functions", hint=f"write D({name}(x), x)")
        if self.found(name, frame) is not None:
            return ParseError(f"{name} is not a function", hint=f"a product is written with *: {name}'*(...)")
        return unknown(name, self._callables(frame), "function", f"an unknown function is declared: {name}: function")

    def _role(self) -> str:
        return "pattern" if self.patterns else "variable"

    def is_unknown_function(self, name: str, frame: Frame) -> bool:
        """Whether a name was declared as a function."""
        return name in frame.scope.unknown_functions or name in self.root.scope.unknown_functions

    def is_known(self, name: str, frame: Frame) -> bool:
        """Whether a name means something: a variable, a number, a function."""
        return self.found(name, frame) is not None or name in frame.scope.known()

    def tell(self, note: str) -> None:
        """A remark on how the text was read."""
        if note not in self.notes:
            self.notes.append(note)

    def _callables(self, frame: Frame) -> set[str]:
        scope = frame.scope
        return {*FUNCTIONS, *SPECIAL, *NOT_YET, *scope.functions, *scope.unknown_functions, *scope.operations}

    def _call(self, node: Node, frame: Frame) -> Task[Shape]:
        written = str(node.parts[0])
        name = ascii_name(written)
        args = arguments(node)
        if self.is_unknown_function(name, frame):
            if len(args) != 1:
                raise wrong_count(node, frame, "1", len(args))
            frame.how[node] = Unknown(name, 0, self._role())
            result: Shape = yield self.shape(args[0], frame)
            return result
        definition = frame.scope.functions.get(name) or self.root.scope.functions.get(name)
        if definition is not None:
            result = yield from self._expand(node, definition, args, frame)
            return result
        special = _SPECIAL.get(name)
        if special is not None and (name != "sum" or any(a.kind == "range" for a in args)):
            result = yield from special(self, node, frame)
            return result
        operation = frame.scope.operations.get(name) or self.root.scope.operations.get(name)
        if operation is not None:
            result = yield from self._operate(node, operation, args, frame)
            return result
        function = (RULE_FUNCTIONS.get(name) if self.patterns else None) or FUNCTIONS.get(name)
        if function is None:
            raise self._no_function(name, frame, node)
        result = yield from self._apply(node, function, args, frame)
        return result

    def _no_function(self, name: str, frame: Frame, node: Node) -> MatcalcError:
        end = node.start + len(str(node.parts[0]))
        if name in NOT_YET:
            error = MatcalcError(f"the {NOT_YET[name]} {name} is not available yet")
        elif self.found(name, frame) is not None:
            error = ParseError(f"{name} is not a function", hint=f"a product is written with *: {name}*(...)")
        else:
            hint = f"an unknown function is declared: {name}: function"
            error = unknown(name, self._callables(frame), "function", hint)
        return error.locate(frame.text, node.start, end)

    def _apply(self, node: Node, function: Function, args: list[Node], frame: Frame) -> Task[Shape]:
        letters = function.signature(len(args))
        if letters is None:
            raise wrong_count(node, frame, function.arity, len(args))
        shapes: list[Shape] = []
        dims: list[Dim] = []
        arrays = [arg for arg, letter in zip(args, letters, strict=True) if letter == "a"]
        for arg, letter in zip(args, letters, strict=True):
            if letter == "a":
                shapes.append((yield self.resolved(arg, frame)))
            else:
                dims.append((yield self.integer(arg, frame)))
                self._check_integer(dims[-1], arg, frame, 1 if letter == "k" else None)
        frame.how[node] = function
        frame.dims[node] = dims
        return function.shape(_Arguments(self, frame, arrays, shapes), shapes, dims)

    def _check_integer(self, value: Dim, node: Node, frame: Frame, least: int | None) -> None:
        constant = value.constant
        if constant is None or (constant.denominator == 1 and (least is None or constant >= least)):
            return
        wanted = "an integer" if least is None else f"an integer from {least}"
        raise ShapeError(f"{frame.source(node)} is not {wanted}").locate(frame.text, node.start, node.end)

    def _operate(self, node: Node, operation: Operation, args: list[Node], frame: Frame) -> Task[Shape]:
        if len(args) == 3 and is_flag(args[2]):
            operation, args = operation.structured(), args[:2]
        shapes: list[Shape] = []
        for arg in args:
            meaning = self.found(ascii_name(str(arg.parts[0])), frame) if arg.kind == "name" else None
            if meaning is not None and meaning.kind == "family":
                family: Family = meaning.value
                frame.how[arg] = "family"
                frame.shapes[arg] = (family.rows, family.cols)
                shapes.append(frame.shapes[arg])
            else:
                shapes.append((yield self.resolved(arg, frame)))
        frame.how[node] = operation
        return operation.shape(shapes)

    def _expand(self, node: Node, definition: Definition, args: list[Node], frame: Frame) -> Task[Shape]:
        if len(args) != len(definition.parameters):
            raise wrong_count(node, frame, str(len(definition.parameters)), len(args))
        self.frames += 1
        if self.frames > MAX_FRAMES or frame.depth >= MAX_NESTING:
            raise LimitExceeded(f"over {MAX_FRAMES} calls of defined functions, or {MAX_NESTING} inside one another")
        inner = Frame(definition.scope, definition.text, frame.depth + 1)
        for name, arg in zip(definition.parameters, args, strict=True):
            inner.parameters[name] = Parameter(arg, frame, (yield self.shape(arg, frame)))
        frame.how[node] = definition
        frame.calls[node] = inner
        result: Shape = yield self.shape(definition.body, inner)
        return result

    # ------------------------------------------------------------ sums and products over an index

    def _binder(self, node: Node, frame: Frame) -> Task[Shape]:
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
            low: Dim = yield self.integer(range_.parts[1], frame)
            high: Dim = yield self.integer(range_.parts[2], frame)
            step = self._direction(low, high, range_, frame)
            if step < 0 and not product:
                low, high, step = high, low, 1
            index = Index(1_000_000 + len(self.index_names), low, high, step)
            self.index_names.append((index, str(range_.parts[0].parts[0])))
            frame.ranges[range_] = Bound(index, step)
            hidden.append((name, frame.bound.get(name)))
            frame.bound[name] = dim(index)
        frame.how[node] = word
        shape: Shape = yield self.resolved(bodies[0], frame)
        for name, before in reversed(hidden):
            if before is None:
                del frame.bound[name]
            else:
                frame.bound[name] = before
        return self._chained(shape, bodies[0], frame.ranges[ranges[0]], frame) if product else shape

    def _chained(self, shape: Shape, node: Node, bound: Bound, frame: Frame) -> Shape:
        """The shape of an ordered product, in which each factor has to fit the next."""
        index, step = bound
        rows, cols = self.sizes.shape(shape)
        after = substitute(rows, {index: dim(index) + step})

        def error() -> MatcalcError:
            following = after, substitute(cols, {index: dim(index) + step})
            message = f"{frame.source(node)} is {self.shown(shape)}, and the next one {self.shown(following)}"
            return ShapeError(f"in an ordered product each factor has to fit the next, but {message}").locate(
                frame.text, node.start, node.end
            )

        self.equal(after, cols, error)
        rows, cols = self.sizes.resolve(rows), self.sizes.resolve(cols)
        return substitute(rows, {index: index.lo}), substitute(cols, {index: index.hi})

    def _direction(self, low: Dim, high: Dim, node: Node, frame: Frame) -> int:
        """1 upwards, -1 downwards, by the rule of the contract."""
        by = node.parts[3]
        if by is not None:
            step = int(str(by.parts[-1])) if str(by.parts[-1]).isdigit() else 0
            if step != 1:
                raise ParseError("a range goes by 1 or by -1").locate(frame.text, by.start, by.end)
            return -1 if by.parts[0] is not None else 1
        positive = [Name(name) for name in self.root.scope.sizes]

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
        if self.patterns:
            return 1
        source = frame.source(node)
        raise ParseError(
            f"it is not known whether {source} goes up or down", hint=f"write {source} by 1 or {source} by -1"
        ).locate(frame.text, node.start, node.end)

    def _ind(self, node: Node, frame: Frame) -> Task[Shape]:
        args = arguments(node)
        if len(args) != 1 or args[0].kind not in ("relation", "equation"):
            raise ParseError("ind takes a relation between integers: ind(k >= 2)").locate(
                frame.text, node.start, node.end
            )
        sides = args[0].nodes()
        frame.dims[node] = [(yield self.integer(sides[0], frame)), (yield self.integer(sides[1], frame))]
        frame.how[node] = "ind"
        return SCALAR

    def _rows(self, node: Node, frame: Frame) -> Task[Shape]:
        frame.dims[node] = [(yield from self._integer_call(node, frame))]
        frame.how[node] = "size"
        return SCALAR

    def _equation(self, node: Node, frame: Frame) -> Task[Shape]:
        left, right = node.nodes()
        a: Shape = yield self.shape(left, frame)
        b: Shape = yield self.shape(right, frame)
        if is_zero(left) or is_zero(right):
            return b if is_zero(left) else a
        self.unify(a, b, lambda: self.mismatch(a, b, (left, left), right, frame, self._sum_hint(a, b)))
        return a


class _Integers:
    """How sizes, indices and exponents are read in an expression."""

    def __init__(self, inference: Inference, frame: Frame) -> None:
        self.inference = inference
        self.frame = frame
        self.text = frame.text

    def name(self, node: Node, name: str) -> Dim:
        """The integer that a name stands for."""
        return self.inference._integer_name(name, self.frame, node)

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
        return self.inference._integer_call(node, self.frame)


class _Arguments:
    """What the shape rules of functions ask for."""

    def __init__(self, inference: Inference, frame: Frame, nodes: list[Node], shapes: list[Shape]) -> None:
        self.inference = inference
        self.frame = frame
        self.nodes = nodes
        self.shapes = shapes

    def square(self, at: int, what: str) -> Dim:
        """Argument ``at`` is square; its size."""
        return self.inference._square(self.shapes[at], self.nodes[at], self.frame, what)

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


def arguments(node: Node) -> list[Node]:
    """The arguments of a call."""
    return [] if node.parts[1] is None else node.parts[1].parts


def wrong_count(node: Node, frame: Frame, wanted: str, given: int) -> MatcalcError:
    """The error for a call with too many or too few arguments."""
    plural = "" if wanted == "1" else "s"
    return ShapeError(f"{node.parts[0]} takes {wanted} argument{plural}, not {given}").locate(
        frame.text, node.start, node.end
    )


def _exponent_error(inference: Inference, node: Node, shape: Shape, frame: Frame) -> MatcalcError:
    source = frame.source(node)
    return ShapeError(
        f"an exponent is a scalar, but {source} is {inference.shown(shape)}", hint="entry by entry write .^"
    ).locate(frame.text, node.start, node.end)


def _incomplete(name: str, halves: Halves) -> MatcalcError:
    return MatcalcError(f"{name} has a {halves.missing.format(name)}")


def _together(found: Recurring, other: Recurring) -> None:
    """States that use one another start together and run the same way."""
    if found.step != other.step or found.first is not other.first:
        names = f"{other.pair.name} and {found.pair.name}"
        start = found.pair.start
        raise MatcalcError(f"{names} use one another: they start at the same index and run the same way").locate(
            start.text, start.left.start, start.left.end
        )


_Handler = Callable[[Inference, Node, Frame], Task[Shape]]
_HANDLERS: dict[str, _Handler] = {
    "name": Inference._name,
    "number": Inference._number,
    "group": Inference._same,
    "positive": Inference._same,
    "negative": Inference._same,
    "transpose": Inference._transpose,
    "superscript": Inference._superscript,
    "power": Inference._power,
    "sum": Inference._sum,
    "product": Inference._product,
    "kron": Inference._kron,
    "index": Inference._index,
    "blocks": Inference._blocks,
    "bars": Inference._bars,
    "primed": Inference._primed,
    "call": Inference._call,
    "equation": Inference._equation,
    "where": Inference._where,
    **dict.fromkeys(("juxtaposed", "filled"), Formula.rewritten),
    "euler": Formula.euler,
    "root": Formula.root,
    "identity": Formula.identity,
    "unit": Formula.unit,
    "vertical": Formula.vertical,
    "two_norm": Formula.two_norm,
    "one_norm": Formula.one_norm,
}
_FACTORS = {
    "STAR": Inference._star,
    "SLASH": Inference._slash,
    "DOTSTAR": Inference._dotted,
    "DOTSLASH": Inference._dotted,
}
_SPECIAL: dict[str, _Handler] = {
    "sum": Inference._binder,
    "prod": Inference._binder,
    "family": Inference._binder,
    "ind": Inference._ind,
    "rows": Inference._rows,
    "cols": Inference._rows,
}
