"""Syntax tree to terms: shapes first, then terms.

Expressions that share unknown shapes are understood together by one :class:`Elaboration`: infer
them all, settle what is open, build them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, product

from ..errors import LimitExceeded, MatcalcError, ShapeError
from ..terms import build, ops
from ..terms.dims import ONE, ZERO, Dim, Index, Name, dim, known_nonnegative
from ..terms.symbols import Family, Symbol
from ..terms.term import Term
from ..terms.walk import free_atoms, postorder
from .construction import Construction
from .inference import Inference
from .kinds import SQUARE_FACTS
from .meanings import Local, NeedsIntegerError, default_kinds
from .names import ascii_name
from .parser import parse_syntax
from .range_shapes import last_place
from .recurrence import Hint, Pair, Recurrence
from .recurrence_shapes import recurrences
from .scope import Scope
from .shapes import SCALAR, Hole, Shape
from .syntax import Node, run, walk

MAX_WORK = 1_000_000
"""Nodes visited while searching for the shapes of undeclared names."""

COUNTS = {"N"}
"""Undeclared names that are taken for numbers rather than for matrices that only scale."""

SIZE_NAMES = ("n", "m", "p", "q", "r", "s", "l", "k")


@dataclass
class Elaborated:
    """A term, and what was assumed to make it: name and type of what was not declared.

    ``index_names`` are preferred names of bound indices and recurrences, for printing;
    ``recurrence`` is the name of the recurrence that was defined, whose next state the term is.
    """

    term: Term
    assumed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    index_names: list[Hint] = field(default_factory=list)
    recurrence: str = ""


def elaborate_variable(node: Node, text: str, scope: Scope, function: Term) -> tuple[Elaborated, Family | None]:
    """What is differentiated with respect to; of a whole family the member with an index of its own, and the family."""
    name = ascii_name(str(node.parts[0])) if node.kind == "name" else ""
    family = scope.symbols.get(name)
    if not isinstance(family, Family):
        return elaborate(node, text, scope), None
    taken = {str(atom) for atom in free_atoms(function)} | scope.known()
    index = next(letter for letter in (*"ijklrs", *(f"i{n}" for n in range(len(taken) + 1))) if letter not in taken)
    return Elaborated(build.member(family, dim(Name(index)))), family


@dataclass(frozen=True)
class ShapeVar:
    """The shape of a node, as far as it is known when it is asked for."""

    elaboration: Elaboration
    node: Node

    @property
    def shape(self) -> Shape:
        """Rows and columns; open sizes are shown as ``?``."""
        state = self.elaboration.state
        return state.sizes.shape(state.root.shapes[self.node])

    @property
    def rows(self) -> Dim:
        """The number of rows."""
        return self.shape[0]

    @property
    def cols(self) -> Dim:
        """The number of columns."""
        return self.shape[1]


Goal = Callable[[Inference], None]


class Elaboration:
    """Expressions of one text that are understood together."""

    def __init__(self, scope: Scope, text: str, *, patterns: bool = False) -> None:
        self.scope = scope
        self.text = unicodedata.normalize("NFC", text)
        self.patterns = patterns
        self.assumed: dict[str, str] = {}
        self.variables: dict[str, Symbol | Family] = {}
        self._goals: list[Goal] = []
        self._nodes: list[Node] = []
        self._settled = False
        self._kinds: dict[str, str] = {}
        self._integers: set[str] = set()
        self._loose: dict[Node, ShapeError] = {}
        self._hints: list[Hint] = []
        self.state = self._fresh()

    def _fresh(self) -> Inference:
        return Inference(self.scope, self.text, self.patterns, self._kinds, self._integers, set(self._loose))

    # ------------------------------------------------------------ pass 1

    def infer(self, node: Node) -> ShapeVar:
        """The shape of an expression or of both sides of an equation; its demands hold from now on."""

        def goal(state: Inference) -> None:
            run(state.shape(node, state.root))

        self._nodes.append(node)
        self._pursue(goal)
        return ShapeVar(self, node)

    def require(self, node: Node, fact: str) -> ShapeVar:
        """An expression that has a fact: ``posdef`` and its like make it square."""

        def goal(state: Inference) -> None:
            shape = run(state.shape(node, state.root))
            if fact in SQUARE_FACTS:
                state.square(shape, node, state.root, fact)
            for side in {"scalar": shape, "vector": shape[1:]}.get(fact, ()):
                state.equal(side, ONE, lambda: _not_a(fact, state, node, shape))

        self._nodes.append(node)
        self._pursue(goal)
        return ShapeVar(self, node)

    def recur(self, pairs: Sequence[Pair]) -> None:
        """Recurrences that use one another; :meth:`build_recurrences` makes them."""

        def goal(state: Inference) -> None:
            run(recurrences(state, pairs, state.root))

        self._nodes += [node for pair in pairs for node in (pair.start.right, pair.follow.right)]
        self._pursue(goal)

    def unify(self, left: ShapeVar, right: ShapeVar) -> None:
        """Two expressions have one shape."""

        def goal(state: Inference) -> None:
            a, b = state.root.shapes[left.node], state.root.shapes[right.node]
            nodes = (left.node, left.node)
            state.unify(a, b, lambda: _differ(state, nodes[0], right.node, a, b))

        self._pursue(goal)

    def fit(self, node: Node, shape: Shape) -> None:
        """An expression has this shape."""

        def goal(state: Inference) -> None:
            found = state.root.shapes[node]
            state.unify(found, shape, lambda: _not_a(build.show_shape(*shape), state, node, found))

        self._pursue(goal)

    def freeze(self) -> None:
        """From now on :meth:`infer` may only check: new demands on what is open are errors."""
        self._pursue(lambda state: state.sizes.freeze())

    def _pursue(self, goal: Goal) -> None:
        self._goals.append(goal)
        if self._settled:  # what was decided stays
            goal(self.state)
            return
        try:
            goal(self.state)
        except NeedsIntegerError as need:
            self._integers.add(need.name)
            self._search(None)
        except ShapeError as error:
            self._search(None if self._loosen(error) else error)

    def _loosen(self, error: ShapeError) -> bool:
        """After a recurrence failed whose state was given a shape by its start: leave the shape open once."""
        steps = (pair.follow.right for pair in reversed(self.state.moving))
        step = next((node for node in steps if node not in self._loose), None)
        if step is not None:
            self._loose[step] = error
        return step is not None

    # ------------------------------------------------------------ the search

    def _search(self, failed: ShapeError | None) -> None:
        """Try other kinds for undeclared names, few changes first; keep the first attempt that fits."""
        search = _Search(failed, self.state.visited)
        if failed is not None:
            search.rule_out(self.state)
        for kinds in search.candidates(self.state, self._integers):
            self._kinds = kinds
            try:
                self._attempt()
                return
            except NeedsIntegerError as need:
                self._integers.add(need.name)
                search.restart(self.state)
            except ShapeError as error:
                if self._loosen(error):
                    search.restart(self.state)
                else:
                    search.learn(self.state, kinds, error)
        first = next(iter(self._loose.values()), None) or search.error
        raise first or LimitExceeded("no shapes were found for the undeclared names; declare some of them")

    def _attempt(self) -> None:
        self.state = self._fresh()
        for goal in self._goals:
            goal(self.state)

    # ------------------------------------------------------------ settling

    def settle(self) -> None:
        """Choose what is still open, name the unknown sizes, record what was assumed."""
        if not self.patterns:
            self._count()
        state = self.state
        if state.sizes.waiting:
            raise self._undetermined(*state.sizes.waiting[0])
        self._settled = True
        if self.patterns:
            self._complete()
            return
        self._fill_ranges()
        self._name_sizes()
        self._refuse_indexed()
        for name, local in state.locals.items():
            self.variables[name] = self._variable(local)
        self._commit()

    def _undetermined(self, left: Dim, right: Dim, error: MatcalcError) -> MatcalcError:
        """The error of an equation such as ?*? = n*p, with whose sizes it leaves open."""
        sizes = self.state.sizes
        open_ones = set(sizes.open_holes((left, right)))
        names = [n for n in _undeclared(self.state) if open_ones & set(sizes.open_holes(self.state.locals[n].shape))]
        error.hint = "the sizes cannot be seen from this" + (f": declare {' and '.join(names)}" if names else "")
        return error

    def _count(self) -> None:
        """A customary count such as N is a scalar when nothing else has to do with its sizes."""
        for name in COUNTS & set(_undeclared(self.state)):
            sizes = self.state.sizes
            local = self.state.locals[name]
            own = set(sizes.open_holes(local.shape))
            others = [d for other in self.state.locals.values() if other is not local for d in other.shape]
            if not own or own & set(sizes.open_holes(others)):
                continue
            kept = self.state
            self._kinds = {**self._kinds, **{n: kept.locals[n].kind for n in _undeclared(kept)}, name: "scalar"}
            try:
                self._attempt()
            except (ShapeError, NeedsIntegerError):
                self.state = kept

    def _complete(self) -> None:
        """Names for the sizes of patterns that are still open, symbols for those met since the last time."""
        self._name_patterns()
        for name, local in self.state.locals.items():
            if name not in self.variables:
                self.variables[name] = self._variable(local)

    def _name_patterns(self) -> None:
        sizes = self.state.sizes
        for number in range(sizes.count):
            for hole in sizes.open_holes([dim(Hole(number))]):
                sizes.solved[hole] = dim(Name(sizes.labels.get(hole, f"size.{hole.number}")))

    def _fill_ranges(self) -> None:
        """The x of sum(i=1..n, x[i]) has the n entries that are asked for."""
        sizes = self.state.sizes
        asked: dict[Hole, list[Dim]] = {}
        for side, at in self.state.entries:
            last = last_place(sizes.resolve(at))
            for hole in sizes.open_holes([side]):
                if last is not None and dim(hole) is sizes.resolve(side) and not sizes.open_holes([last]):
                    asked.setdefault(hole, []).append(last)
        for hole, places in asked.items():
            for last in places:
                if all(known_nonnegative(last - other) for other in places):
                    sizes.solved[hole] = last
                    break

    def _name_sizes(self) -> None:
        taken: set[str] | None = None
        sizes = self.state.sizes
        for local in self.state.locals.values():
            for side, d in enumerate(local.shape):
                for hole in sizes.open_holes([d]):
                    taken = self._taken() if taken is None else taken
                    rows_of_matrix = side == 0 and sizes.resolve(local.shape[1]) not in (ONE, sizes.resolve(d))
                    name = _unused("m" if rows_of_matrix else "n", taken)
                    taken.add(name)
                    sizes.solved[hole] = dim(Name(name))

    def _refuse_indexed(self) -> None:
        """A variable has one shape: it cannot change with the index of a sum or a recurrence."""
        for local in self.state.locals.values():
            if not local.indexed and any(side.indices for side in self.state.sizes.shape(local.shape)):
                raise ShapeError(
                    f"{local.name} would be {self.state.shown(local.shape)}, which changes with the index",
                    hint=f"declare {local.name}, or a family: {local.name}[k=0..L]: ...",
                )

    def _taken(self) -> set[str]:
        names = self.scope.known() | self._integers
        for root in self._nodes:
            for node in walk(root):
                if node.kind in ("name", "call", "primed"):
                    names.add(ascii_name(str(node.parts[0]).rstrip("'")))
        for symbol in self.scope.symbols.values():
            for side in (symbol.rows, symbol.cols):
                names |= {a.name for a in side.atoms() if isinstance(a, Name)}
        return names

    def _variable(self, local: Local) -> Symbol | Family:
        rows, cols = self.state.sizes.shape(local.shape)
        if local.indexed:
            return Family(local.name, Index(0, ZERO, ZERO), rows, cols, local.facts, local.role)
        return Symbol(local.name, rows, cols, local.facts, local.role)

    def _commit(self) -> None:
        """The scope remembers the new variables, so that the next expression means the same ones."""
        for name, local in self.state.locals.items():
            symbol = self.variables[name]
            self.scope.opened.pop(name, None)
            self.scope.symbols[name] = symbol
            shape = self.state.sizes.shape(local.shape)
            self.assumed[name] = _type_text(shape, local)
            for side in shape:
                atoms = {a.name for a in side.atoms() if isinstance(a, Name)}
                self.scope.integers |= atoms
                self.scope.sizes |= atoms
        self.scope.integers |= self._integers

    # ------------------------------------------------------------ pass 2

    def build(self, node: Node) -> Term:
        """The term of an expression that was inferred, after :meth:`settle`."""
        if self.patterns:
            self._complete()
        construction = Construction(self.state, self.variables)
        term = run(construction.term(node, self.state.root))
        if any(arg.op is ops.FAMILY for part in postorder(term) for arg in part.args):
            raise ShapeError("a family is a value for each index: it stands alone").locate(
                self.state.root.text, node.start, node.end
            )
        self._hints += construction.hints
        return term

    def build_recurrences(self, pairs: Sequence[Pair]) -> list[Recurrence]:
        """The recurrences that were read by :meth:`recur`, after :meth:`settle`."""
        return run(Construction(self.state, self.variables).recurrences(pairs, self.state.root))

    def dim_of(self, node: Node) -> Dim:
        """The integer that a node writes, as far as it is known now."""

        def goal(state: Inference) -> None:
            state.root.dims[node] = [run(state.integer(node, state.root))]

        self._pursue(goal)
        if self.patterns and self._settled:
            self._complete()
        return self.state.sizes.resolve(self.state.root.dims[node][0])

    def sides(self, equation: Node) -> tuple[Term, Term]:
        """Both sides of an equation; a 0 takes the shape of the other side."""
        shape = self.state.sizes.shape(self.state.root.shapes[equation])
        left, right = (self.build(side) for side in equation.nodes())
        return _shaped(left, shape), _shaped(right, shape)

    @property
    def notes(self) -> list[str]:
        """Remarks on how the text was read."""
        return list(self.state.notes)

    @property
    def index_names(self) -> list[Hint]:
        """Names of the bound indices by their ranges, of recurrences by start and step; for printing."""
        return [*self.state.hints(), *dict.fromkeys(self._hints)]


class _Search:
    """Which kinds of undeclared names to try next.

    First all choices with few changes; an attempt that failed rules out all that agree with it on
    the names it had met by then.  Then, for long texts, from the attempt that came furthest, one
    change after the other as long as each comes further.
    """

    def __init__(self, error: ShapeError | None, visited: int) -> None:
        self.error = error
        self.furthest = visited
        self.best: dict[str, str] = {}
        self.excluded: list[dict[str, str]] = []
        self.names: dict[str, None] = {}
        self.turned: set[str] = set()
        self.budget = MAX_WORK
        self.restarted = False

    def rule_out(self, state: Inference) -> None:
        """The attempt failed on the kinds that it had met."""
        names = _undeclared(state)
        self.names.update(dict.fromkeys(names))
        self.turned |= state.turned
        self.excluded.append({name: state.locals[name].kind for name in names})

    def learn(self, state: Inference, kinds: dict[str, str], error: ShapeError) -> None:
        """An attempt failed."""
        self.budget -= state.visited
        self.restarted = any(name not in self.names for name in _undeclared(state))
        self.rule_out(state)
        if self.error is None or state.visited > self.furthest:
            self.error, self.furthest, self.best = error, state.visited, kinds

    def restart(self, state: Inference) -> None:
        """A name turned out to be an integer: what failed before may fit now."""
        self.names.update(dict.fromkeys(_undeclared(state)))
        self.excluded.clear()
        self.restarted = True

    def candidates(self, state: Inference, integers: set[str]) -> Iterator[dict[str, str]]:
        """The choices to try, until the budget is spent."""
        self.names.update(dict.fromkeys(_undeclared(state)))
        while True:
            self.restarted = False
            for kinds in _assignments(self._alternatives(integers), self.turned):
                if self.budget <= MAX_WORK // 2 or self.restarted:
                    break
                if self._open(kinds):
                    yield kinds
            if not self.restarted:
                break
        while self.budget > 0:
            before = self.furthest
            for kinds in self._neighbours(integers):
                if self.furthest > before or self.budget <= 0:
                    break
                if self._open(kinds):
                    yield kinds
            if self.furthest == before:
                return

    def _alternatives(self, integers: set[str]) -> dict[str, tuple[str, ...]]:
        return {name: default_kinds(name) for name in self.names if name not in integers}

    def _open(self, kinds: dict[str, str]) -> bool:
        self.budget -= 10
        return not any(choice.items() <= kinds.items() for choice in reversed(self.excluded))

    def _neighbours(self, integers: set[str]) -> Iterator[dict[str, str]]:
        """One change of the attempt that came furthest, the names met last before others."""
        alternatives = self._alternatives(integers)
        base = {name: self.best.get(name, kinds[0]) for name, kinds in alternatives.items()}
        for name in reversed(list(alternatives)):
            for kind in alternatives[name]:
                if kind != base[name]:
                    yield {**base, name: kind}


def _undeclared(state: Inference) -> list[str]:
    return [name for name, local in state.locals.items() if not local.declared]


def _assignments(names: Mapping[str, tuple[str, ...]], turned: Collection[str]) -> Iterator[dict[str, str]]:
    """All choices of kinds, those with few changes from the first choices first.

    Among as many changes, scalars that become vectors come first, then vectors that nothing transposes (the b of
    ``w'*x + b``), and capital letters last.
    """
    first = {name: kinds[0] for name, kinds in names.items()}
    ordered = sorted(names, key=lambda name: (("scalar", "vector", "matrix").index(first[name]), name in turned))
    for count in range(len(names) + 1):
        for changed in combinations(ordered, count):
            for kinds in product(*(names[name][1:] for name in changed)):
                yield {**first, **dict(zip(changed, kinds, strict=True))}


def _unused(wanted: str, taken: set[str]) -> str:
    """A name for a size that nothing else has."""
    for name in [wanted, *SIZE_NAMES]:
        if name not in taken:
            return name
    number = 1
    while f"n{number}" in taken:
        number += 1
    return f"n{number}"


def _type_text(shape: Shape, local: Local) -> str:
    if shape == SCALAR:
        return "scalar"
    if local.facts:
        sizes = shape[:1] if shape[0] is shape[1] or shape[1] is ONE else shape
        return f"{local.kind}({', '.join(str(d) for d in sizes)})"
    return f"vector({shape[0]})" if shape[1] is ONE else f"matrix({shape[0]}, {shape[1]})"


def _shaped(term: Term, shape: Shape) -> Term:
    return build.zeros(*shape) if term is build.ZERO_NUM else term


def _not_a(fact: str, state: Inference, node: Node, shape: Shape) -> ShapeError:
    return ShapeError(f"{state.root.source(node)} is {state.shown(shape)}, not a {fact}")


def _differ(state: Inference, left: Node, right: Node, a: Shape, b: Shape) -> ShapeError:
    source = state.root.source
    return ShapeError(f"{source(left)} is {state.shown(a)} but {source(right)} is {state.shown(b)}")


def elaborate(node: Node, text: str, scope: Scope, shape: Shape | None = None) -> Elaborated:
    """One expression that is parsed already, of that shape if one is given; the scope learns what was assumed."""
    elaboration = Elaboration(scope, text)
    elaboration.infer(node)
    if shape is not None:
        elaboration.fit(node, shape)
    elaboration.settle()
    term = elaboration.build(node)
    return Elaborated(term, elaboration.assumed, elaboration.notes, elaboration.index_names)


def parse_variable(text: str, scope: Scope, function: Term) -> tuple[Elaborated, Family | None]:
    """What a text says to differentiate ``function`` with respect to, as :func:`elaborate_variable` reads it."""
    return elaborate_variable(parse_syntax(text), text, scope, function)


def parse_expression(text: str, scope: Scope | None = None) -> Elaborated:
    """The term that a text writes, and what was assumed about names that are not declared."""
    return elaborate(parse_syntax(text), text, Scope() if scope is None else scope)


def parse_fitting(text: str, scope: Scope, shape: Shape) -> Elaborated:
    """The same, where names that are not declared may have the shapes that give the whole this one."""
    node = parse_syntax(text)
    try:
        return elaborate(node, text, scope, shape)
    except ShapeError:  # it has another one
        return elaborate(node, text, scope)
