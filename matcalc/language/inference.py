"""Pass 1: the shape of every node, as equations between dimensions.

One :class:`Inference` is one attempt: every undeclared name has a kind, and the first thing that
does not fit ends the attempt.  The search over kinds is in :mod:`matcalc.language.elaborate`; what
each construct asks for stands in the ``..._shapes`` modules, and in ``formula`` for LaTeX.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ..bounds import tick
from ..errors import MatcalcError, ParseError, ShapeError
from ..terms.dims import ONE, Atom, Dim, Index, format_dim
from . import call_shapes, formula, index_shapes, operator_shapes, recurrence_shapes
from .integers import Integers
from .meanings import Frame, Names
from .recurrence import Hint, Pair
from .scope import Scope
from .shapes import MisfitError, Shape
from .sizes import size_task
from .syntax import Node, Task


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
        self.turned: set[str] = set()
        """Names that are transposed by themselves."""
        self.entries: list[tuple[Dim, Dim]] = []
        """Sides of what is indexed, and the place in them that is asked for."""
        self.frames = 0
        self.visited = 0

    def hints(self) -> list[Hint]:
        """Ranges and names of the bound indices, for printing."""
        resolve = self.sizes.resolve
        return [(resolve(index.lo), resolve(index.hi), name) for index, name in self.index_names]

    def integer(self, node: Node, frame: Frame) -> Task[Dim]:
        """The integer that a node writes: a size, an index, an exponent."""

        result: Dim = yield size_task(node, Integers(self, frame))
        return result

    def shape(self, node: Node, frame: Frame) -> Task[Shape]:
        """The shape of a node; errors that have no place get the place of the node."""
        handler = HANDLERS.get(node.kind)
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

    def square(self, shape: Shape, node: Node, frame: Frame, what: str) -> Dim:
        """Make a shape square, or raise an error that says what needs it; the size."""

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

    def role(self) -> str:
        """The role of the variables: patterns in rules."""
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


Handler = Callable[[Inference, Node, Frame], Task[Shape]]
HANDLERS: dict[str, Handler] = {
    "name": operator_shapes.name,
    "number": operator_shapes.number,
    "group": operator_shapes.same,
    "positive": operator_shapes.same,
    "negative": operator_shapes.same,
    "transpose": operator_shapes.transpose,
    "superscript": operator_shapes.superscript,
    "power": operator_shapes.power,
    "sum": operator_shapes.sums,
    "product": operator_shapes.product,
    "kron": operator_shapes.kron,
    "bars": operator_shapes.bars,
    "equation": operator_shapes.equation,
    "index": index_shapes.index,
    "blocks": index_shapes.blocks,
    "where": recurrence_shapes.where,
    "primed": call_shapes.primed,
    "call": call_shapes.call,
    "juxtaposed": formula.rewritten,
    "filled": formula.rewritten,
    "pseudo": formula.rewritten,
    "euler": formula.euler,
    "root": formula.root,
    "identity": formula.identity,
    "unit": formula.unit,
    "vertical": formula.vertical,
    "two_norm": formula.two_norm,
    "one_norm": formula.one_norm,
}
