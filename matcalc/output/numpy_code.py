"""A term as the source of a stand-alone NumPy function.

Scalars are floats, columns and rows 1-D arrays, all else 2-D arrays; which of them a term is, is
known from its shape.  Shared parts are computed once, in the outermost place at which everything
they need is known; sums and products over an index are loops; a product with an indicator is
computed only where the indicator is 1.

All states of a recurrence are one node, its track, whatever states of it are looked up: one loop,
which keeps the last state only, or all of them in a dict by their index when several are needed.

Nothing here is recursive in the depth of the term.  From the users to the used, each node gets
its scope (:class:`_Plan`); from the used to the users, its expression (:class:`_Writer`); then the
head of the function reads off the arrays the sizes that the body asked for (:class:`_Head`).
"""

from __future__ import annotations

import keyword
import linecache
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import partial
from hashlib import blake2b
from inspect import Parameter, Signature
from itertools import pairwise
from math import lcm
from typing import Any, NamedTuple

from ..errors import MatcalcError
from ..terms import ops
from ..terms.dims import (
    ONE,
    UNBOUNDED,
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
from ..terms.leaves import ONE_NUM, indicator, member, sym
from ..terms.ops import Op
from ..terms.rebuild import with_args
from ..terms.symbols import Family, Loop, Member, Range, Symbol, Unknown
from ..terms.term import Term, make
from ..terms.walk import attr_dims, contains, postorder, replace, substitute_indices
from .spectral_source import SPECTRAL, SPECTRAL_PARTS

FORMS = ("array", "matrix2d")
ENDLESS = UNBOUNDED.atom
LONG = 72
"""An expression longer than this gets a name of its own."""
LARGE = 300
"""The formula of a term with more nodes than this, shared ones repeated, is not written out."""


def to_numpy(
    term: Term | Mapping[str, Term],
    name: str = "f",
    inputs: Sequence[Term] | None = None,
    form: str = "array",
) -> str:
    """Source of a function ``name`` that computes the term from keyword arguments.

    ``inputs`` are variables and members of families whose arrays may serve to read sizes off;
    those that are not needed do not become arguments.  ``form`` is ``array`` (a scalar is a float,
    a vector (n,), all else 2-D) or ``matrix2d`` (everything 2-D).  A mapping of names to terms
    gives a function that returns a dict.  Raises :class:`MatcalcError` for a term with a
    differential or with an index outside its sum.
    """
    if form not in FORMS:
        raise MatcalcError(f"there is no form {form}: {', '.join(FORMS)}")
    roots = {"": term} if isinstance(term, Term) else dict(term)
    graph = _Graph(list(roots.values()))
    _refuse(graph)
    terms = graph.leaving_out_slots()
    names = _Names(terms, inputs or ())
    writer = _Writer(names, graph, _Plan(graph).nodes)
    results = {key: _returned(writer.root(root), root, form) for key, root in roots.items()}
    head = _Head(names, writer, terms, inputs or ())
    lines = [*head.lines(), *writer.lines]
    if isinstance(term, Term):
        lines.append(f"return {results['']}")
    else:
        lines += ["return {", *(f"    {key!r}: {text}," for key, text in results.items()), "}"]
    return _module(_identifier(name), lines, roots, head, writer)


def _refuse(graph: _Graph) -> None:
    for root in graph.roots:
        if graph.free(root):
            raise MatcalcError("an index occurs outside its sum, product or recurrence")
    for term in graph.terms:
        if term.op is ops.DIFF:
            raise MatcalcError("a differential has no value of its own: there is no code for d(...)")
        if term.op not in _CODE:
            raise MatcalcError(f"there is no NumPy code for {term.op.name}")


# ---------------------------------------------------------------- names

_RESERVED = frozenset({"np", "linalg", "special", "range", "float", "len", "enumerate", "next"})
Source = Symbol | Family


def _identifier(name: str) -> str:
    """An ASCII identifier: Greek letters spelled out, an underscore behind a keyword."""
    spelled = "".join(_ascii(char) for char in unicodedata.normalize("NFKD", name)) or "_"
    if spelled[0].isdigit():
        spelled = "_" + spelled
    return spelled + "_" if keyword.iskeyword(spelled) or spelled in _RESERVED else spelled


def _ascii(char: str) -> str:
    if char.isascii() and (char.isalnum() or char == "_"):
        return char
    if unicodedata.combining(char):
        return ""
    if char in "'′":
        return "_prime"
    words = unicodedata.name(char, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        spelled = words[-1].lower().replace("lamda", "lambda")
        return spelled.capitalize() if "CAPITAL" in words else spelled
    return "_"


def _sources(terms: Iterable[Term]) -> list[Source]:
    """The variables and families in terms, variables before the hidden forms of themselves."""
    found: dict[Source, None] = {}
    for term in terms:
        if term.op is ops.SYM:
            found[term.attr] = None
        elif term.op is ops.MEMBER:
            found[term.attr.family] = None
    return sorted(found, key=lambda s: (_identifier(s.name), s.role == "hidden", s.stable))


def _dims_of(source: Source) -> list[Dim]:
    ends = [source.index.lo, source.index.hi] if isinstance(source, Family) else []
    return [source.rows, source.cols, *ends]


class _Names:
    """The identifiers of one function: arguments keep their names, all others give way."""

    def __init__(self, terms: Sequence[Term], inputs: Sequence[Term]) -> None:
        self.taken = set(_RESERVED)
        self.count = 0
        self.of: dict[Source | Unknown | Name, str] = {}
        self.indexed: dict[str, str] = {}
        sources = _sources([*terms, *inputs])
        self._add_sources(sources)
        for unknown in sorted({t.attr for t in terms if isinstance(t.attr, Unknown)}):
            prefix = {0: "", 1: "d"}.get(unknown.order, f"d{unknown.order}")
            self.of[unknown] = self.fresh(prefix + _identifier(unknown.name))
        dims = {d for t in terms for d in (t.rows, t.cols, *attr_dims(t.attr))}
        atoms = {a for d in (*dims, *(d for s in sources for d in _dims_of(s))) for a in d.atoms()}
        atoms.discard(ENDLESS)
        for name in sorted({a.name for a in atoms if isinstance(a, Name)}):
            self.of[Name(name)] = self.fresh(_identifier(name))
        for name in sorted({a.name for a in atoms if isinstance(a, SizeAt)}):
            self.indexed[name] = self.fresh(_identifier(name))

    def _add_sources(self, sources: Iterable[Source]) -> None:
        given: dict[tuple[object, ...], str] = {}
        for source in sources:
            same = (source.name, *_dims_of(source))
            if source.role == "hidden" and same in given:
                self.of[source] = given[same]
            else:
                self.of[source] = given[same] = self.fresh(_identifier(source.name))

    def fresh(self, wanted: str) -> str:
        """``wanted``, or with underscores behind until it is free."""
        while wanted in self.taken:
            wanted += "_"
        self.taken.add(wanted)
        return wanted

    def numbered(self, stem: str) -> str:
        """The next of t0, t1, … that is free."""
        while f"{stem}{self.count}" in self.taken:
            self.count += 1
        return self.fresh(f"{stem}{self.count}")

    def stem(self, letters: str, ending: str) -> str:
        """The first of these letters that is free together with what ends in it."""
        stems = (f"{letter}{suffix}" for suffix in ("", *range(1000)) for letter in letters)
        found = next(v for v in stems if v not in self.taken and v + ending not in self.taken)
        self.taken |= {found, found + ending}
        return found

    def loop_variable(self, used: set[str], order: str = "ijklpqrs") -> str:
        """The first of i, j, k, … that is neither taken nor in ``used``."""
        letters = (f"{letter}{suffix}" for suffix in ("", *range(1000)) for letter in order)
        return next(v for v in letters if v not in self.taken and v not in used)


# ---------------------------------------------------------------- pieces of text

ADDITIVE, PRODUCT, POWER, ATOM = range(4)


@dataclass(frozen=True)
class _Code:
    """An expression, how tightly it binds, and as a product: numerators, denominators, sign."""

    text: str
    level: int = ATOM
    over: tuple[tuple[str, ...], tuple[str, ...], bool] | None = None

    def at(self, level: int) -> str:
        """The text as an operand that binds at least as tightly as ``level``."""
        return self.text if self.level >= level else f"({self.text})"


def _factors(code: _Code) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    return code.over or ((code.at(POWER),), (), False)


def _product(codes: Iterable[_Code]) -> _Code:
    """``-a * b / c``: numerators first, then the denominators."""
    top: list[str] = []
    bottom: list[str] = []
    negative = False
    for code in codes:
        above, below, minus = _factors(code)
        top += [text for text in above if text != "1"]
        bottom += below
        negative ^= minus
    text = " * ".join(top) or "1"
    if bottom:
        text += " / " + (bottom[0] if len(bottom) == 1 else f"({' * '.join(bottom)})")
    level = PRODUCT if negative or bottom or len(top) > 1 else POWER
    return _Code("-" + text if negative else text, level, (tuple(top), tuple(bottom), negative))


def _number(value: int | Fraction) -> _Code:
    top, bottom = abs(value.numerator), value.denominator
    if value >= 0 and bottom == 1:
        return _Code(str(top), ATOM, ((str(top),), (), False))
    return _product([_Code("", ATOM, ((str(top),), (str(bottom),) if bottom != 1 else (), value < 0))])


def _call(function: str, *args: str) -> _Code:
    return _Code(f"{function}({', '.join(args)})")


def _sum(codes: Sequence[_Code]) -> _Code:
    ordered = sorted(codes, key=lambda c: c.text.startswith("-")) if codes[0].text.startswith("-") else codes
    text = ordered[0].text
    for code in ordered[1:]:
        minus = code.text.startswith("-") and code.level >= PRODUCT
        text += f" - {code.text[1:]}" if minus else f" + {code.at(PRODUCT) if code.text.startswith('-') else code.text}"
    return _Code(text, ADDITIVE)


SCALAR, COLUMN, ROW, MATRIX = "scalar", "column", "row", "matrix"


def _kind(term: Term) -> str:
    if term.cols is ONE:
        return SCALAR if term.rows is ONE else COLUMN
    return ROW if term.rows is ONE else MATRIX


def _as_2d(code: _Code, kind: str) -> str:
    """The expression as a 2-D array."""
    if kind == MATRIX:
        return code.text
    if kind == SCALAR:
        return f"np.array([[{code.text}]])"
    return f"{code.at(ATOM)}{'[:, None]' if kind == COLUMN else '[None, :]'}"


_ALIASING = frozenset({ops.SYM, ops.MEMBER, ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.STATE})


def _converted(code: _Code, kind: str, wanted: str) -> _Code:
    """The same entries as an array of another kind."""
    if kind == wanted or {kind, wanted} == {COLUMN, ROW}:
        return code
    if wanted == MATRIX:
        return _Code(_as_2d(code, kind))
    if kind == SCALAR:
        return _call("np.array", f"[{code.text}]")
    if kind == MATRIX:
        return _Code(code.at(ATOM) + {COLUMN: "[:, 0]", ROW: "[0]", SCALAR: "[0, 0]"}[wanted])
    return _Code(f"{code.at(ATOM)}[0]")


def _returned(code: _Code, root: Term, form: str) -> str:
    if root.op is ops.FAMILY:  # stacked along axis 0, a list where sizes differ
        return code.text if root.rows.indices or root.cols.indices else f"np.array({code.text})"
    kind = _kind(root)
    if kind == SCALAR:
        return f"float({code.text})" if form == "array" else f"np.array([[{code.text}]], dtype=float)"
    text = code.text if form == "array" and kind == COLUMN else _as_2d(code, kind)
    return f"np.array({text})" if root.op in _ALIASING else text


# ---------------------------------------------------------------- what is computed of what


class _Lookup(NamedTuple):
    """The state of a track at an index, or a ``part`` of the step from there, which is kept."""

    track: Term
    part: Term | None
    at: Dim


def _is_track(term: Term) -> bool:
    """True for the node that stands for all states of a recurrence: no term is a state at its start."""
    return term.op is ops.STATE and term.attr.at is term.attr.first


def _track(term: Term) -> Term:
    """The track of a state."""
    start = term.args[0]
    return make(ops.STATE, term.args, term.attr.moved(term.attr.first), start.rows, start.cols)


_CHEAP = frozenset({ops.ADD, ops.TIMES, ops.SCALE, ops.HAD, ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.PART, ops.JOINT})
_MANY_PARTS = 64
"""Of the step of a recurrence at most so many parts are looked for elsewhere."""


class _Graph:
    """What is computed of what: as the terms say it, but states of a recurrence are taken from their track.

    So is what the step of a track computes on its way and others need at that index as well.
    ``terms`` are all terms as they are, ``order`` the nodes of the graph, the used before the users.
    """

    def __init__(self, roots: Sequence[Term]) -> None:
        self.roots = roots
        self.terms = postorder(*roots)
        self.facts = _facts(roots)
        self.steps: dict[Term, Term] = {}
        """The member of a family that is computed on the way of a track, by the track."""
        taken = {_track(state): part for part, state in map(_on_the_way, roots) if state is not None}
        self.terms = postorder(*roots, *taken.values())
        states = [t for t in self.terms if t.op is ops.STATE]
        self.slots = {t.attr.slot for t in states}
        self._free_slots = _free_slots(self.terms, self.slots) if states else {}
        self.lookups = {t: _Lookup(_track(t), None, t.attr.at) for t in states}
        self._free_slots.update({self.lookups[t].track: self._free_slots.get(t, frozenset()) for t in states})
        self._keep_parts(states)
        for root in roots:
            part, state = _on_the_way(root)
            if state is not None:
                self.steps[_track(state)] = part
                self.lookups[root.args[0]] = _Lookup(_track(state), part, state.attr.at)
        self.order = self._ordered()

    def operands(self, term: Term) -> tuple[Term, ...]:
        """The nodes of which the value of a node is computed."""
        lookup = self.lookups.get(term)
        if lookup is not None:
            return (lookup.track,)
        return (*_spread(term), self.steps[term]) if term in self.steps else _spread(term)

    def free(self, term: Term) -> frozenset[Index | Symbol]:
        """The indices and previous states that are bound outside the term."""
        return term.indices | self._free_slots.get(term, frozenset())

    def known(self, d: Dim) -> bool:
        """True when ``d >= 0`` follows from the ranges of indices, or from what the function needs anyway."""
        return known_nonnegative(d) or any(known_nonnegative(d - fact) for fact in self.facts)

    def leaving_out_slots(self) -> list[Term]:
        """All terms but the previous states of recurrences."""
        return [t for t in self.terms if t.attr not in self.slots] if self.slots else self.terms

    def _ordered(self) -> list[Term]:
        seen: set[Term] = set()
        order: list[Term] = []
        for root in self.roots:
            stack = [(root, iter(self.operands(root)))] if root not in seen else []
            seen.add(root)
            while stack:
                term, operands = stack[-1]
                following = next((t for t in operands if t not in seen), None)
                if following is None:
                    order.append(term)
                    stack.pop()
                else:
                    seen.add(following)
                    stack.append((following, iter(self.operands(following))))
        return order

    def _keep_parts(self, states: Sequence[Term]) -> None:
        """Find the terms that a track computes on its way, at an index at which a state is looked up."""
        everything = set(self.terms)
        for state in states:
            loop: Loop = state.attr
            track, following = self.lookups[state].track, loop.at + loop.step
            for part in self._parts(state.args[1], loop.slot):
                instance = replace(part, {sym(loop.slot): state}, {loop.index: loop.at})
                if instance in everything and instance not in self.lookups and contains(instance, state):
                    if part is state.args[1]:
                        self.lookups[instance] = _Lookup(track, None, following)
                    else:
                        self.lookups[instance] = _Lookup(track, part, loop.at)

    def _parts(self, body: Term, slot: Symbol) -> list[Term]:
        """The parts of a step that are computed in any case and not at once, the large ones first."""
        found: list[Term] = []
        todo, seen = [body], {body}
        while todo and len(found) < _MANY_PARTS:
            term = todo.pop()
            if slot not in self._free_slots.get(term, ()) or term.op.binder or _guarded(term)[0]:
                continue
            if _is_costly(term):
                found.append(term)
            todo += [t for t in term.args if t not in seen]
            seen.update(term.args)
        return found


def _on_the_way(family: Term) -> tuple[Term, Term | None]:
    """The member of a family as a part of the step of a recurrence, and the state that it uses; else no state.

    That is so where the member uses one state of the recurrence, at a fixed distance from the index of
    the family, and no other recurrence uses them: then only the members have to be kept.
    """
    nothing = family, None
    if family.op is not ops.FAMILY:
        return nothing
    index, inside = family.attr.index, family.args[0]
    states = [t for t in postorder(inside) if t.op is ops.STATE]
    used = {_track(a) for t in states for a in postorder(*t.args) if a.op is ops.STATE}
    last = [t for t in states if _track(t) not in used]
    if len(last) != 1 or (last[0].attr.at - dim(index)).constant is None:
        return nothing
    if any(index in a.indices for a in (last[0].args[0], last[0].args[1])):
        return nothing
    loop: Loop = last[0].attr
    here = dim(loop.index) - (loop.at - dim(index))
    return replace(inside, {last[0]: sym(loop.slot)}, {index: here}), last[0]


def _spread(term: Term) -> tuple[Term, ...]:
    """The operands; of a sum with a multiple of ones, the number that NumPy adds to every entry."""
    if term.op is not ops.ADD or term.is_scalar:
        return term.args
    found = tuple(_number_of_ones(arg) or arg for arg in term.args)
    return term.args if all(arg.is_scalar for arg in found) else found


def _number_of_ones(term: Term) -> Term | None:
    if term.op is ops.ONES:
        return ONE_NUM
    return term.args[0] if term.op is ops.SCALE and term.args[1].op is ops.ONES else None


def _is_costly(part: Term) -> bool:
    """True for a part of a step that is worth keeping: it computes something, states looked up aside."""
    stack = [part]
    while stack:
        term = stack.pop()
        if term.op is not ops.STATE:
            if term.args and term.op not in _CHEAP:
                return True
            stack += term.args
    return False


def _free_slots(terms: Iterable[Term], slots: set[Symbol]) -> dict[Term, frozenset[Symbol]]:
    found: dict[Term, frozenset[Symbol]] = {}
    for term in terms:
        if term.op is ops.SYM:
            if term.attr in slots:
                found[term] = frozenset((term.attr,))
            continue
        inside = [found[arg] for arg in term.args if arg in found]
        if term.op is ops.STATE:
            start, body = (found.get(arg, frozenset()) for arg in term.args)
            inside = [start, body - {term.attr.slot}]
        if any(inside):
            found[term] = frozenset().union(*inside)
    return found


def _facts(roots: Iterable[Term]) -> list[Dim]:
    """What is >= 0 because the function looks it up in any case."""
    found: dict[Dim, None] = {}
    stack = list(roots)
    seen = set(stack)
    while stack:
        term = stack.pop()
        if isinstance(term.attr, Loop):
            found[(term.attr.at - term.attr.first) * term.attr.step] = None
        elif term.op is ops.MEMBER:
            index = term.attr.family.index
            found.update({term.attr.at - index.lo: None, index.hi - term.attr.at: None})
        args = () if _guarded(term)[0] else term.args[:-1] if term.op.binder else term.args
        stack += [arg for arg in args if arg not in seen]
        seen.update(args)
    return [d for d in found if d.terms and d.constant is None]


# ---------------------------------------------------------------- scopes


Key = tuple[Term, "_Scope"]
"""A node together with the loop that gives its indices their values."""


@dataclass(frozen=True)
class _Extreme:
    """The largest or the smallest of some integers."""

    largest: bool
    parts: tuple[_Bound, ...]


_Bound = Dim | _Extreme


@dataclass(eq=False)
class _Run:
    """How the states of a track are computed: up to ``reach``, and what is kept.

    The loop runs to ``last``; where that is not one step before ``reach``, because a part of the
    step from there is kept, ``rest`` is the block of all that only the next state needs.  Of the
    states (``None``) and of the parts that are kept, ``stores`` has the variables: dicts, or where
    ``only_last`` says so, the last value.  ``needed`` are the conditions, one of which holds where
    the states are used: each some loops and indicators.
    """

    track: Term
    reach: _Bound
    last: _Bound
    only_last: dict[Term | None, bool]
    rest: _Scope | None = None
    needed: list[list[_Scope]] = field(default_factory=list)
    stores: dict[Term | None, str] = field(default_factory=dict)

    @property
    def parts(self) -> list[Term]:
        """The parts of the step that are kept."""
        return [part for part in self.only_last if part is not None]

    def place(self, part: Term | None, at: str) -> str:
        """A state (``None``) or a part that is kept, at an index."""
        return self.stores[part] if self.only_last[part] else f"{self.stores[part]}[{at}]"

    @property
    def loop(self) -> Loop:
        """How the states follow one another."""
        found: Loop = self.track.attr
        return found


@dataclass(eq=False)
class _Scope:
    """A block of the function: its top, the body of a loop, or what is done under a condition.

    A loop binds an index, which runs between ``low`` and ``high``, and that of a recurrence a
    previous state; ``result`` is what the body of a sum adds up.
    """

    parent: _Scope | None = None
    index: Index | None = None
    slot: Symbol | None = None
    low: _Bound = ONE
    high: _Bound = ONE
    guards: Sequence[Term] = ()
    run: _Run | None = None
    variable: str = ""
    depth: int = 0
    lines: list[str] = field(default_factory=list)
    result: Key | None = None

    def binding(self, names: frozenset[Index | Symbol]) -> _Scope:
        """The innermost loop around here that binds one of these; else the top."""
        scope = self
        while scope.parent is not None and scope.index not in names and scope.slot not in names:
            scope = scope.parent
        return scope

    def inside(self, guards: Sequence[Term] = ()) -> _Scope:
        """A new block inside this one."""
        return _Scope(self, guards=guards, depth=self.depth + 1)

    def looped(self, index: Index, low: _Bound, high: _Bound, run: _Run | None = None) -> _Scope:
        """The body of a loop inside this block."""
        slot = run.loop.slot if run else None
        return _Scope(self, index, slot, low, high, run=run, depth=self.depth + 1)

    def up_to(self, outer: _Scope) -> list[_Scope]:
        """This block and those around it inside ``outer``, from the inside."""
        found: list[_Scope] = []
        scope = self
        while scope is not outer and scope.parent is not None:
            found.append(scope)
            scope = scope.parent
        return found


@dataclass(eq=False)
class _Node:
    """A node to be computed: where, from which others, how often it is used."""

    term: Term
    binding: _Scope
    home: _Scope
    inner: _Scope
    args: list[Key]
    guards: list[Term]
    uses: list[_Scope]

    @property
    def key(self) -> Key:
        """What others know the node by."""
        return self.term, self.binding


class _Plan:
    """The nodes in the order in which they can be computed; the scope at the top is the first's."""

    def __init__(self, graph: _Graph) -> None:
        self.graph = graph
        self.trusted = _trusted(graph)
        self.uses: dict[Term, dict[_Scope, list[_Scope]]] = {}
        self.demands: dict[Key, list[tuple[_Lookup, _Scope]]] = {}
        self.nodes: list[_Node] = []
        top = _Scope()
        for root in graph.roots:
            self._use(root, top, top)
        for term in reversed(graph.order):
            for binding, users in self.uses.get(term, {}).items():
                self.nodes.append(self._node(term, binding, users))
        self.nodes.reverse()

    def _use(self, term: Term, binding: _Scope, user: _Scope) -> Key:
        self.uses.setdefault(term, {}).setdefault(binding, []).append(user)
        return term, binding

    def _used_in(self, term: Term, user: _Scope) -> Key:
        return self._use(term, user.binding(self.graph.free(term)), user)

    def _node(self, term: Term, binding: _Scope, users: list[_Scope]) -> _Node:
        if _is_track(term):
            return self._track(term, binding, users)
        home = _home(users, binding, term in self.trusted)
        lookup = self.graph.lookups.get(term)
        if lookup is not None:
            key = self._used_in(lookup.track, home)
            self.demands.setdefault(key, []).append((lookup, home))
            return _Node(term, binding, home, home, [key], [], users)
        guards, factors = _guarded(term)
        operands = factors if guards else self.graph.operands(term)
        inner = home.inside(guards) if guards else home
        if isinstance(term.attr, Range):
            index, step = term.attr
            low, high = (index.lo, index.hi) if step > 0 else (index.hi, index.lo)
            inner = home.looped(index, low, high)
        args = [self._used_in(arg, inner) for arg in operands]
        if term.op is ops.SUM:
            inner.result = args[0]
        return _Node(term, binding, home, inner, args, guards, users)

    def _track(self, term: Term, binding: _Scope, users: list[_Scope]) -> _Node:
        """The loop of a recurrence, outside of all loops that do not matter to it."""
        start, body = term.args
        loop: Loop = term.attr
        home = _home(users, binding, True)
        demands = self.demands[term, binding]
        up = loop.step > 0
        reach = self._extreme(up, [self._outward(k.at, user, home, up) for k, user in demands])
        kept: dict[Term | None, list[tuple[Dim, _Scope]]] = {None: []}
        for lookup, user in demands:
            kept.setdefault(lookup.part, []).append((lookup.at, user))
        before = _shifted(reach, -loop.step)
        ends = {
            part: self._extreme(up, [before, *(self._outward(at, user, home, up) for at, user in places)])
            for part, places in kept.items()
            if part is not None
        }
        last = self._extreme(up, [before, *ends.values()])
        only_last = {part: _is_last(places, home, last if part else reach) for part, places in kept.items()}
        run = _Run(term, reach, last, only_last)
        if start not in self.trusted:
            run.needed = self._conditions(users, home)
        block = home.inside() if run.needed else home
        low, high = (loop.first, last) if up else (last, loop.first)
        inner = block.looped(loop.index, low, high, run)
        args = [self._used_in(start, block)]
        if last != before:
            guard = indicator("<" if up else ">", loop.index, reach) if isinstance(reach, Dim) else ONE_NUM
            run.rest = inner.inside([guard] if guard.op is ops.IND else [])
        args.append(self._used_in(body, run.rest or inner))
        args += [self._used_in(part, run.rest if run.rest and ends[part] == before else inner) for part in run.parts]
        return _Node(term, binding, block, inner, args, [], users)

    def _conditions(self, users: Sequence[_Scope], home: _Scope) -> list[list[_Scope]]:
        """What holds where the users are, each some loops and indicators; nothing when one is always reached."""
        found: dict[tuple[_Scope, ...], None] = {}
        for user in users:
            blocks = user.up_to(home)
            inner = {scope.index for scope in blocks}
            kept = [b for b in reversed(blocks) if self._may_skip(b) and not _indices_around(b) & inner]
            found[tuple(kept)] = None
        return [] if () in found else [list(blocks) for blocks in found]

    def _may_skip(self, scope: _Scope) -> bool:
        """True when a block may be empty."""
        if isinstance(scope.low, Dim) and isinstance(scope.high, Dim) and scope.index is not None:
            return not self.graph.known(scope.high - scope.low)
        return scope.index is not None or bool(scope.guards)

    def _outward(self, at: _Bound, user: _Scope, home: _Scope, upper: bool) -> _Bound:
        """The largest (or smallest) value that ``at`` has in a block, as it is known in a block around."""
        for scope in user.up_to(home):
            for guard in scope.guards:
                at = self._mapped(at, partial(self._within, guard, upper))
            if scope.index is not None:
                at = self._mapped(at, partial(self._over, scope, upper))
        return at

    def _mapped(self, bound: _Bound, change: Callable[[Dim], _Bound]) -> _Bound:
        if isinstance(bound, Dim):
            return change(bound)
        return self._extreme(bound.largest, [self._mapped(part, change) for part in bound.parts])

    def _over(self, scope: _Scope, upper: bool, d: Dim) -> _Bound:
        """The largest (or smallest) value of ``d`` while the index of the loop runs."""
        index = scope.index
        assert index is not None
        if index not in d.indices:
            return d
        signs = {coefficient > 0 for monomial, coefficient in d.terms if index in dict(monomial)}
        ends = [scope.high if sign == upper else scope.low for sign in sorted(signs)] or [scope.low, scope.high]
        return self._extreme(upper, [self._mapped(end, lambda e: substitute(d, {index: e})) for end in ends])

    def _within(self, guard: Term, upper: bool, d: Dim) -> _Bound:
        """``d``, or the end that an indicator sets to it."""
        ends = [d + slack if upper else d - slack for slack in _slacks(*guard.attr)]
        return self._extreme(not upper, [d, *(end for end in ends if not d.atoms() <= end.atoms())])

    def _extreme(self, largest: bool, bounds: Iterable[_Bound]) -> _Bound:
        parts: list[_Bound] = []
        for bound in bounds:
            parts += bound.parts if isinstance(bound, _Extreme) and bound.largest == largest else (bound,)
        kept: list[_Bound] = []
        for part in dict.fromkeys(parts):
            if not any(self._beyond(other, part, largest) for other in kept):
                kept = [other for other in kept if not self._beyond(part, other, largest)] + [part]
        return kept[0] if len(kept) == 1 else _Extreme(largest, tuple(kept))

    def _beyond(self, a: _Bound, b: _Bound, largest: bool) -> bool:
        """True when ``b`` does not matter beside ``a``."""
        if isinstance(a, Dim) and isinstance(b, _Extreme):
            return any(self._beyond(a, part, largest) for part in b.parts)
        if not (isinstance(a, Dim) and isinstance(b, Dim)):
            return False
        return self.graph.known(a - b if largest else b - a)


def _is_last(places: Iterable[tuple[Dim, _Scope]], home: _Scope, end: _Bound) -> bool:
    """True when nothing is looked up but what is last, the same in all loops around."""
    return all(at is end and not at.indices & {s.index for s in user.up_to(home)} for at, user in places)


def _slacks(relation: str, left: Dim, right: Dim) -> list[Dim]:
    """What is >= 0 where the relation holds."""
    below = {"<=": [right - left], "<": [right - left - 1], ">=": [left - right], ">": [left - right - 1]}
    return [left - right, right - left] if relation == "=" else below.get(relation, [])


def _shifted(bound: _Bound, by: int) -> _Bound:
    if isinstance(bound, Dim):
        return bound + by
    return _Extreme(bound.largest, tuple(_shifted(part, by) for part in bound.parts))


def _leaves(bound: _Bound) -> list[Dim]:
    return [bound] if isinstance(bound, Dim) else [leaf for part in bound.parts for leaf in _leaves(part)]


def _indices_around(scope: _Scope) -> frozenset[Index]:
    """The indices on which it depends whether a block is empty."""
    ends = [*_leaves(scope.low), *_leaves(scope.high)]
    return frozenset().union(*(d.indices for d in ends), *(guard.indices for guard in scope.guards))


def _home(users: Sequence[_Scope], binding: _Scope, movable: bool) -> _Scope:
    """The innermost block around all users, moved out of loops that do not matter."""
    home = users[0]
    for other in users[1:]:
        home = _common(home, other)
    if movable:
        scope = home
        while scope is not binding and scope.parent is not None:
            if scope.index is not None:
                home = scope.parent
            scope = scope.parent
    return home


def _common(a: _Scope, b: _Scope) -> _Scope:
    while a is not b:
        if a.depth >= b.depth and a.parent is not None:
            a = a.parent
        elif b.parent is not None:
            b = b.parent
    return a


def _guarded(term: Term) -> tuple[list[Term], Sequence[Term]]:
    """The indicators in a product, when there is something to spare, and the other factors."""
    if term.op is ops.TIMES:
        factors: Sequence[Term] = term.args
    elif term.op is ops.SCALE:
        scalar = term.args[0]
        factors = (*(scalar.args if scalar.op is ops.TIMES else (scalar,)), term.args[1])
    else:
        return [], term.args
    guards = [f for f in factors if f.op is ops.IND]
    others = [f for f in factors if f.op is not ops.IND]
    worthwhile = any(f.args or f.op is ops.MEMBER for f in others)
    return (guards, others) if guards and worthwhile else ([], term.args)


def _trusted(graph: _Graph) -> set[Term]:
    """The terms that are safe to compute where a loop around them may be empty."""
    sizes = {d for t in graph.terms for d in (t.rows, t.cols)}
    names = {a for d in sizes for monomial, _ in d.terms for a, _power in monomial if isinstance(a, Name)}
    safe: set[Term] = set()
    for term in graph.order:
        lookup = graph.lookups.get(term)
        if lookup is not None:
            if lookup.track.args[0] in safe and _safe_steps(lookup, names):
                safe.add(term)
        elif _is_track(term) or not all(a in safe for a in graph.operands(term)):
            continue
        elif all(_in_range(*r, names) for r in _places(term)):
            safe.add(term)
    return safe


def _safe_steps(lookup: _Lookup, names: set[Name]) -> bool:
    """True when a state and the steps to it look up nothing that may not exist."""
    loop: Loop = lookup.track.attr
    if not known_nonnegative((lookup.at - loop.first) * loop.step, names):
        return False
    index = loop.index
    last = lookup.at if lookup.part is not None else lookup.at - loop.step
    running: dict[Atom, Dim] = {index: dim(Index(index.level, loop.first, last, index.step))}
    for term in postorder(lookup.track.args[1]):
        for place in _places(term):
            at, lo, hi = (substitute(d, running) for d in place)
            if not _in_range(at, lo, hi, names):
                return False
    return True


def _places(term: Term) -> list[tuple[Dim, Dim, Dim]]:
    """The positions that a term looks up, each with its bounds."""
    if term.op is ops.MEMBER:
        index = term.attr.family.index
        return [(term.attr.at, index.lo, index.hi)]
    if term.op is ops.ENTRY:
        array = term.args[0]
        return [(term.attr[0], ONE, array.rows), (term.attr[1], ONE, array.cols)]
    return [(term.attr[0], ONE, term.attr[1])] if term.op is ops.BASIS else []


def _in_range(at: Dim, lo: Dim, hi: Dim, sizes: set[Name]) -> bool:
    if isinstance(at.atom, Name) and at.atom not in {*lo.atoms(), *hi.atoms()}:
        return True
    return known_nonnegative(at - lo, sizes) and known_nonnegative(hi - at, sizes)


# ---------------------------------------------------------------- the body

_TRIVIAL = frozenset({ops.NUM, ops.INT, ops.CONST, ops.SYM, ops.MEMBER, ops.IND})


def _is_trivial(term: Term) -> bool:
    """True for leaves, their transposes and negatives, which need no name."""
    if term.op is ops.TRANSPOSE:
        return term.args[0].op in _TRIVIAL
    if term.op is ops.SCALE or (term.op is ops.TIMES and len(term.args) == 2):
        return term.args[0].op is ops.NUM and term.args[0].attr == -1 and term.args[1].op in _TRIVIAL
    return term.op in _TRIVIAL


class _Writer:
    """Writes the planned nodes; remembers which sizes, helpers and modules the text needs."""

    def __init__(self, names: _Names, graph: _Graph, nodes: list[_Node]) -> None:
        self.names, self.graph = names, graph
        self.stems: dict[Term, str] = {}
        self.shown: dict[tuple[tuple[str, str], ...], dict[Term, Term]] = {}
        self.printable = _printable(graph)
        self.needed: set[Name] = set()
        self.indexed: set[str] = set()
        self.helpers: set[str] = set()
        self.values: dict[Key, _Code] = {}
        self.waiting: dict[Key, tuple[_Node, _Code]] = {}
        self.top = next(n.home for n in nodes if n.home.parent is None)
        self.runs = {node.key: node.inner.run for node in nodes if _is_track(node.term) and node.inner.run}
        self._name_tracks()
        self._name_loops(nodes)
        self.where = [self._equations(node) for node in nodes if node.key in self.runs]
        for node in nodes:
            self._write(node)

    @property
    def lines(self) -> list[str]:
        """The lines of the body, the return left out."""
        return self.top.lines

    def comment(self, term: Term, scope: _Scope) -> str:
        """The formula of a term, to stand behind its line."""
        return f"  # {_shortened(self.formula(term, scope), 60)}" if term in self.printable else ""

    def formula(self, term: Term, scope: _Scope) -> str:
        """The formula of a term, with states of recurrences as members, indices as they are called in a block."""
        shown = self._with_members(term, scope) if self.runs else term
        variables: dict[Atom, Dim] = {i: dim(scope.binding(frozenset((i,))).variable) for i in shown.indices}
        return _formula(substitute_indices(shown, variables) if variables else shown)

    def _with_members(self, root: Term, scope: _Scope) -> Term:
        """The term with members of families in place of states."""
        runs = {n: scope.binding(frozenset((n,))).run for n in self.graph.free(root) if isinstance(n, Symbol)}
        states = {
            sym(slot): member(self._family(run.track), run.loop.index) for slot, run in runs.items() if run is not None
        }
        made = self.shown.setdefault(
            tuple(sorted((s.attr.stable, m.attr.family.stable) for s, m in states.items())), states
        )
        stack = [root]
        while stack:
            term = stack[-1]
            waiting = [] if term in made or term.op is ops.STATE else [a for a in term.args if a not in made]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if term.op is ops.STATE:
                made[term] = member(self._family(_track(term)), term.attr.at)
            elif term.op is ops.PART and made[term.args[0]].op is ops.MEMBER:
                whole: Member = made[term.args[0]].attr
                one = Family(f"{whole.family.name}{term.attr[0] + 1}", whole.family.index, term.rows, term.cols)
                made[term] = member(one, whole.at)
            elif term not in made:
                args = tuple(made[arg] for arg in term.args)
                made[term] = term if args == term.args else with_args(term, args)
        return made[root]

    def _family(self, track: Term) -> Family:
        loop: Loop = track.attr
        return Family(self.stems.get(track, "s"), loop.index, loop.slot.rows, loop.slot.cols)

    def _equations(self, node: _Node) -> str:
        """The recurrence of a track as a reader writes it: ``y[0] = x; y[k+1] = tanh(W[k]*y[k])``.

        Of coupled states ``y``, which are a tuple in the code, the first is called ``y1`` here.
        """
        start, body = node.term.args
        loop: Loop = node.term.attr
        stem, variable = self.stems[node.term], node.inner.variable
        first = format_dim(loop.first, self._variables(loop.first, node.home)).replace(" ", "")
        following = f"{variable}{'+' if loop.step > 0 else '-'}1"
        coupled = start.op is ops.JOINT and body.op is ops.JOINT
        told: list[str] = []
        for at, whole, scope in ((first, start, node.home), (following, body, node.inner)):
            for number, term in enumerate(whole.args if coupled else (whole,), 1):
                text = _shortened(self.formula(term, scope), 200) if term in self.printable else "a large expression"
                told.append(f"{stem}{number if coupled else ''}[{at}] = {text}")
        return "; ".join(told)

    def _variables(self, d: Dim, scope: _Scope) -> dict[Atom, str]:
        return {index: scope.binding(frozenset((index,))).variable for index in d.indices}

    def root(self, term: Term) -> _Code:
        """The expression of a root."""
        return self.values[term, self.top]

    def _name_tracks(self) -> None:
        """Letters for the recurrences, y and e for the first that runs up and the first that runs down."""
        for (track, _), run in self.runs.items():
            loop = run.loop
            if track not in self.stems:
                self.stems[track] = self.names.stem("yzsuv" if loop.step > 0 else "egdqr", "_states")
            for part, only_last in run.only_last.items():
                stem = self.stems[track] if part is None else self.names.stem("abcw", "_states")
                run.stores[part] = stem if only_last else f"{stem}_states"

    def _name_loops(self, nodes: Sequence[_Node]) -> None:
        loops = [n for n in nodes if n.inner is not n.home and n.inner.index is not None]
        for node in sorted(loops, key=lambda n: n.inner.depth):
            used = set()
            scope: _Scope | None = node.home
            while scope is not None:
                used.add(scope.variable)
                scope = scope.parent
            node.inner.variable = self.names.loop_variable(used, "klpqrsij" if node.inner.run else "ijklpqrs")

    def _write(self, node: _Node) -> None:
        if node.key in self.runs:
            self._recurrence(node, self.runs[node.key])
            return
        lookup = self.graph.lookups.get(node.term)
        if lookup is not None:
            self.values[node.key] = self._looked_up(node, lookup)
            return
        if node.term.op.binder:
            self._loop(node)
            return
        args = [self.values[key] for key in node.args]
        if node.guards:
            self._under_condition(node, _product(args))
            return
        code = _CODE[node.term.op](self, node, args)
        steps = node.home if node.home.run else node.home.parent  # the loop of a recurrence, or its rest
        if steps and steps.run and node.home in (steps, steps.run.rest) and node.term in steps.run.stores:
            self.values[node.key] = self._kept(node, steps.run, code, steps.variable)
            return
        self.values[node.key] = self._named(node, code) if self._wants_name(node, code) else code

    def _kept(self, node: _Node, run: _Run, code: _Code, at: str) -> _Code:
        kept = run.place(node.term, at)
        node.home.lines.append(f"{kept} = {code.text}{self.comment(node.term, node.home)}")
        return _Code(kept)

    def _looked_up(self, node: _Node, lookup: _Lookup) -> _Code:
        run = self.runs[node.args[0]]
        code = _Code(run.place(lookup.part, self.dim(lookup.at, node.home).text))
        return code if lookup.part is not None else _converted(code, _kind_of(run.loop.slot), _kind(node.term))

    def _recurrence(self, node: _Node, run: _Run) -> None:
        """The loop of a recurrence; the states are kept in the form that the previous state has."""
        loop, inner, name = run.loop, node.inner, run.stores[None]
        start, body = (self._as_state(term, key, run) for term, key in zip(node.term.args, node.args, strict=False))
        following = run.place(None, self.dim(dim(loop.index) + loop.step, inner).text)
        lines = node.home.lines
        lines += [f"{run.stores[part]} = {{}}" for part in run.parts if not run.only_last[part]]
        if run.only_last[None]:
            lines.append(f"{name} = {start}")
        else:
            lines.append(f"{name} = {{{self.dim(loop.first, node.home).text}: {start}}}")
        first, stop = self.dim(loop.first, node.home).text, self.bound(_shifted(run.last, loop.step), node.home)
        ends = stop if loop.step > 0 and first == "0" else f"{first}, {stop}" + (", -1" if loop.step < 0 else "")
        lines[-1] += self._step_comment(node)
        lines.append(f"for {inner.variable} in range({ends}):")
        update = [f"{following} = {body}"]
        if run.rest is not None:
            condition = f"{inner.variable} {'<' if loop.step > 0 else '>'} {self.bound(run.reach, node.home)}"
            update = [f"if {condition}:", *("    " + line for line in [*run.rest.lines, *update])]
        lines += ["    " + line for line in [*inner.lines, *update]]
        if run.needed and node.home.parent is not None:
            outside = node.home.parent
            conditions = [" and ".join(self._reached(b, outside) for b in blocks) for blocks in run.needed]
            joined = conditions[0] if len(conditions) == 1 else " or ".join(dict.fromkeys(conditions))
            outside.lines += [f"if {joined}:", *("    " + line for line in lines)]

    def _step_comment(self, node: _Node) -> str:
        """The equation of the steps, to stand behind the start."""
        body = node.term.args[1]
        if body not in self.printable:
            return ""
        sign = "+" if node.term.attr.step > 0 else "-"
        equation = f"{self.stems[node.term]}[{node.inner.variable}{sign}1] = {self.formula(body, node.inner)}"
        return f"  # {_shortened(equation, 72)}"

    def _as_state(self, term: Term, key: Key, run: _Run) -> str:
        code = _converted(self.values[key], _kind(term), _kind_of(run.loop.slot))
        python = term.is_scalar and term.op not in (ops.SYM, ops.MEMBER, ops.STATE, ops.MUL, ops.FUN)
        return f"np.float64({code.text})" if python else code.text

    def _reached(self, block: _Scope, scope: _Scope) -> str:
        """The condition under which something is done in a block."""
        if block.index is None:
            return " and ".join(self.relation(guard, scope) for guard in block.guards)
        if isinstance(block.low, Dim) and isinstance(block.high, Dim):
            return f"{self.dim(block.high - block.low + 1, scope).text} > 0"
        return f"{self.bound(block.low, scope)} <= {self.bound(block.high, scope)}"

    def bound(self, bound: _Bound, scope: _Scope) -> str:
        """The end of a range."""
        if isinstance(bound, Dim):
            return self.dim(bound, scope).text
        parts = ", ".join(self.bound(part, scope) for part in bound.parts)
        return f"{'max' if bound.largest else 'min'}({parts})"

    def _wants_name(self, node: _Node, code: _Code) -> bool:
        if _is_trivial(node.term):
            return False
        return len(node.uses) > 1 or node.uses[0] is not node.home or len(code.text) > LONG

    def _named(self, node: _Node, code: _Code) -> _Code:
        name = self.names.numbered("t")
        node.home.lines.append(f"{name} = {code.text}{self.comment(node.term, node.home)}")
        return _Code(name)

    def _under_condition(self, node: _Node, code: _Code) -> None:
        if len(node.uses) == 1 and node.home.result == node.key:
            self.waiting[node.key] = node, code
            self.values[node.key] = code
            return
        name = self.names.numbered("t")
        lines = node.home.lines
        lines.append(f"if {self._condition(node)}:{self.comment(node.term, node.home)}")
        lines += ["    " + line for line in [*node.inner.lines, f"{name} = {code.text}"]]
        lines += ["else:", f"    {name} = {self.filled('zeros', node.term, node.home)}"]
        self.values[node.key] = _Code(name)

    def _condition(self, node: _Node) -> str:
        return " and ".join(self.relation(guard, node.home) for guard in node.guards)

    def _loop(self, node: _Node) -> None:
        term, inner = node.term, node.inner
        name = self.names.numbered("t")
        body = self.values[node.args[0]]
        flat = term.op is ops.PROD and _kind(term.args[0]) == MATRIX != _kind(term)
        if term.op is ops.FAMILY:
            start = "[]"
        elif flat:
            start = f"np.eye({self.dim(term.rows, node.home).text})"
        else:
            start = self.filled("zeros" if term.op is ops.SUM else "eye", term, node.home)
        if node.args[0] in self.waiting:
            held, code = self.waiting[node.args[0]]
            update = [f"if {self._condition(held)}:"]
            update += ["    " + line for line in [*held.inner.lines, self._update(name, term, code)]]
        else:
            update = [self._update(name, term, body)]
        node.home.lines += [
            f"{name} = {start}{self.comment(term, node.home)}",
            f"for {inner.variable} in {self._range(node)}:",
            *("    " + line for line in [*inner.lines, *update]),
        ]
        self.values[node.key] = _converted(_Code(name), MATRIX, _kind(term)) if flat else _Code(name)

    def _update(self, name: str, term: Term, body: _Code) -> str:
        if term.op is ops.FAMILY:
            return f"{name}.append({body.text})"
        if term.op is ops.SUM:
            return f"{name} += {body.text}"
        return f"{name} *= {body.text}" if term.is_scalar else f"{name} = {name} @ {body.at(POWER)}"

    def _range(self, node: _Node) -> str:
        index, step = node.term.attr
        lo = self.dim(index.lo, node.home).text
        if step == 1:
            stop = self.dim(index.hi + 1, node.home).text
            return f"range({stop})" if lo == "0" else f"range({lo}, {stop})"
        return f"range({lo}, {self.dim(index.hi - 1, node.home).text}, -1)"

    def filled(self, function: str, term: Term, scope: _Scope) -> str:
        """``np.zeros``, ``np.ones`` or ``np.eye`` of the term's shape."""
        kind = _kind(term)
        if kind == SCALAR:
            return "0.0" if function == "zeros" else "1.0"
        rows, cols = self.dim(term.rows, scope).text, self.dim(term.cols, scope).text
        if function == "eye" or kind == COLUMN:
            return f"np.{function}({rows})"
        return f"np.{function}({cols})" if kind == ROW else f"np.{function}(({rows}, {cols}))"

    def relation(self, term: Term, scope: _Scope) -> str:
        """The condition of an indicator."""
        relation, left, right = term.attr
        shown = "==" if relation == "=" else relation
        return f"{self.dim(left, scope).text} {shown} {self.dim(right, scope).text}"

    def helper(self, name: str) -> str:
        """The name of a helper function, which the source will hold."""
        self.helpers.add(name)
        return name

    def dim(self, d: Dim, scope: _Scope) -> _Code:
        """An integer expression: ``n``, ``2 * n + 1``, ``(n**2 + n) // 2``."""
        if not d.terms:
            return _Code("0")
        below = lcm(*(c.denominator for _, c in d.terms))
        codes = []
        for monomial, coefficient in d.terms:
            factors = [self._power(atom, power, scope) for atom, power in monomial]
            codes.append(_product([_number(coefficient * below), *factors]))
        total = codes[0] if len(codes) == 1 else _sum(codes)
        return total if below == 1 else _Code(f"{total.at(POWER)} // {below}", PRODUCT)

    def _power(self, atom: Atom, power: int, scope: _Scope) -> _Code:
        text = self._atom(atom, scope)
        return _Code(text) if power == 1 else _Code(f"{text}**{power}", POWER)

    def _atom(self, atom: Atom, scope: _Scope) -> str:
        if isinstance(atom, Index):
            return scope.binding(frozenset((atom,))).variable
        if isinstance(atom, SizeAt):
            self.indexed.add(atom.name)
            return f"{self.names.indexed[atom.name]}[{self.dim(atom.arg, scope).text}]"
        assert isinstance(atom, Name)
        self.needed.add(atom)
        return self.names.of[atom]

    def place(self, at: Dim, first: Dim, scope: _Scope) -> str:
        """A position counted from ``first`` as one counted from 0."""
        return self.dim(at - first, scope).text


def _printable(graph: _Graph) -> set[Term]:
    """The terms that are not too large to be written out in full, shared parts repeated."""
    sizes: dict[Term, int] = {}
    for term in graph.order:
        if term.op is ops.STATE:
            sizes[term] = 1
        elif term in graph.lookups:
            sizes[term] = min(term.weight, LARGE)
        else:
            sizes[term] = min(1 + sum(sizes.get(arg, 1) for arg in term.args), LARGE)
    return {term for term, size in sizes.items() if size < LARGE}


def _formula(term: Term) -> str:
    """The formula of a term on one line."""
    from .text import to_text

    return " ".join(to_text(term).split())


def _shortened(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


# ---------------------------------------------------------------- one operator each

Emit = Callable[[_Writer, _Node, list[_Code]], _Code]


def _symbol(w: _Writer, node: _Node, _args: list[_Code]) -> _Code:
    run = node.binding.run
    if run is None:
        return _Code(w.names.of[node.term.attr])
    return _Code(run.place(None, node.binding.variable))


def _member(w: _Writer, node: _Node, _args: list[_Code]) -> _Code:
    chosen: Member = node.term.attr
    at = w.place(chosen.at, chosen.family.index.lo, node.inner)
    return _Code(f"{w.names.of[chosen.family]}[{at}]{'[0]' if _kind(node.term) == ROW else ''}")


def _matmul(_w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    """Cut where the inner dimension is 1; a part that ends in a column is computed from there."""
    factors = list(zip(node.term.args, args, strict=True))
    cuts = [0, *(i for i in range(1, len(factors)) if factors[i][0].rows is ONE), len(factors)]
    parts = [_chain(factors[a:b]) for a, b in pairwise(cuts)]
    first, last = parts[0], parts[-1]
    if len(parts) > 1 and factors[0][0].rows is not ONE and factors[-1][0].cols is not ONE:
        outer = _call("np.outer", first.text, last.text)
        return _product([*parts[1:-1], outer]) if len(parts) > 2 else outer
    return _product(parts) if len(parts) > 1 else first


def _chain(factors: Sequence[tuple[Term, _Code]]) -> _Code:
    if len(factors) == 1:
        return factors[0][1]
    if factors[-1][0].cols is ONE and factors[0][0].rows is not ONE:
        text = factors[-1][1].at(POWER)
        for place, (_, code) in enumerate(reversed(factors[:-1])):
            text = f"{code.at(POWER)} @ " + (f"({text})" if place else text)
        return _Code(text, PRODUCT)
    return _Code(" @ ".join(code.at(POWER) for _, code in factors), PRODUCT)


def _kron(_w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    kinds = [_kind(t) for t in node.term.args]
    flat = len(set(kinds)) == 1
    text = args[0].text if flat else _as_2d(args[0], kinds[0])
    for code, kind in zip(args[1:], kinds[1:], strict=True):
        text = f"np.kron({text}, {code.text if flat else _as_2d(code, kind)})"
    return _Code(text)


def _power(_w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    base, exponent = node.term.args
    if exponent.op is ops.NUM:
        code = _fixed_power(base, args[0], abs(exponent.attr))
        return code if exponent.attr > 0 else _product([_Code("", ATOM, ((), (code.at(POWER),), False))])
    below = args[0].at(ATOM) if exponent.op is ops.INT else _floating(base, args[0])
    return _Code(f"{below} ** {args[1].at(ATOM)}", POWER)


def _fixed_power(base: Term, code: _Code, power: int | Fraction) -> _Code:
    if power == 1:
        return code
    if power == Fraction(1, 2):
        return _call("np.sqrt", code.text)
    below = code.at(ATOM) if isinstance(power, int) else _floating(base, code)
    return _Code(f"{below} ** {_number(power).at(ATOM)}", POWER)


def _floating(base: Term, code: _Code) -> str:
    """A base whose powers are real: Python's own numbers would turn complex."""
    python = base.is_scalar and base.op in (ops.NUM, ops.INT, ops.ADD, ops.TIMES, ops.POW)
    return f"np.float64({code.text})" if python else code.at(ATOM)


def _block(_w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    kinds = [_kind(t) for t in node.term.args]
    if _kind(node.term) != MATRIX:
        parts = [f"[{c.text}]" if k == SCALAR else c.text for c, k in zip(args, kinds, strict=True)]
        if {*kinds} == {SCALAR}:
            return _call("np.array", f"[{', '.join(c.text for c in args)}]", "dtype=float")
        return _call("np.concatenate", f"[{', '.join(parts)}]")
    parts = [c.text if k == SCALAR else _as_2d(c, k) for c, k in zip(args, kinds, strict=True)]
    width = node.term.attr.cols
    rows = ", ".join(f"[{', '.join(parts[i : i + width])}]" for i in range(0, len(parts), width))
    return _call("np.array", f"[{rows}]", "dtype=float") if {*kinds} == {SCALAR} else _call("np.block", f"[{rows}]")


def _joint(_w: _Writer, _node: _Node, args: list[_Code]) -> _Code:
    """Coupled states are a tuple."""
    return _Code(f"({', '.join(c.text for c in args)})")


def _part(_w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    return _Code(f"{args[0].at(ATOM)}[{node.term.attr[0]}]")


def _entry(w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    i, j = (w.place(at, ONE, node.inner) for at in node.term.attr)
    places = {COLUMN: i, ROW: j}.get(_kind(node.term.args[0]), f"{i}, {j}")
    return _Code(f"{args[0].at(ATOM)}[{places}]")


def _only_matrix(template: str) -> Emit:
    """What a matrix needs and a 1-D array does not."""

    def emit(_w: _Writer, node: _Node, args: list[_Code]) -> _Code:
        return _Code(args[0].at(ATOM) + template) if _kind(node.term.args[0]) == MATRIX else args[0]

    return emit


def _unvec(w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    if _kind(node.term) != MATRIX:
        return args[0]
    m, n = (w.dim(d, node.inner).text for d in node.term.attr)
    return _Code(f'{args[0].at(ATOM)}.reshape(({m}, {n}), order="F")')


def _inner(_w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    if _kind(node.term.args[0]) == MATRIX:
        return _call("np.sum", _product(args).text)
    return _Code(f"{args[0].at(POWER)} @ {args[1].at(POWER)}", PRODUCT)


_FUNCTIONS = {
    "exp": "np.exp({})",
    "log": "np.log({})",
    "sqrt": "np.sqrt({})",
    "square": "np.square({})",
    "abs": "np.abs({})",
    "sign": "np.sign({})",
    "step": "np.heaviside({}, 0.0)",
    "sin": "np.sin({})",
    "cos": "np.cos({})",
    "tan": "np.tan({})",
    "asin": "np.arcsin({})",
    "acos": "np.arccos({})",
    "atan": "np.arctan({})",
    "sinh": "np.sinh({})",
    "cosh": "np.cosh({})",
    "tanh": "np.tanh({})",
    "asinh": "np.arcsinh({})",
    "acosh": "np.arccosh({})",
    "atanh": "np.arctanh({})",
    "sigmoid": "_sigmoid({})",
    "relu": "np.maximum({}, 0.0)",
    "softplus": "np.logaddexp(0.0, {})",
    "erf": "special.erf({})",
    "erfc": "special.erfc({})",
    "lgamma": "special.gammaln({})",
    "digamma": "special.digamma({})",
    "trigamma": "special.polygamma(1, {})",
}


def _function(w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    name = node.term.attr
    if isinstance(name, Unknown):
        return _call(w.names.of[name], args[0].text)
    if name not in _FUNCTIONS:
        raise MatcalcError(f"there is no NumPy code for the function {name}")
    template = _FUNCTIONS[name]
    if "special." in template:
        w.helper("special")
    elif template.startswith("_"):
        w.helper(template.split("(")[0])
    return _Code(template.format(args[0].text))


def _calling(function: str, behind: str = "") -> Emit:
    return lambda _w, _node, args: _Code(f"{function}({args[0].text}){behind}")


def _of_arrays(function: str) -> Emit:
    """A helper or a function of modules that takes 2-D arrays and gives one, or a number."""

    def emit(w: _Writer, node: _Node, args: list[_Code]) -> _Code:
        for name in SPECTRAL_PARTS.get(function, ()):
            w.helper(name)
        texts = [_as_2d(code, _kind(term)) for code, term in zip(args, node.term.args, strict=True)]
        if isinstance(node.term.attr, Dim):
            texts.append(w.dim(node.term.attr, node.inner).text)
        kind = _kind(node.term)
        return _converted(_call(function, *texts), kind if node.term.op in _NUMBERS else MATRIX, kind)

    return emit


_NUMBERS = frozenset({ops.NUCLEAR, ops.SPECTRAL, ops.EIGMAX})
"""Functions of matrices whose value is a number."""


def _filled(function: str) -> Emit:
    return lambda w, node, _args: _Code(w.filled(function, node.term, node.inner))


def _helped(function: str) -> Emit:
    return lambda w, node, _args: _call(w.helper(function), *(w.dim(d, node.inner).text for d in node.term.attr))


def _by_helper(function: str) -> Emit:
    return lambda w, _node, args: _call(w.helper(function), *(a.text for a in args))


def _triangle(function: str) -> Emit:
    def emit(_w: _Writer, node: _Node, args: list[_Code]) -> _Code:
        kind = _kind(node.term)
        return _converted(_call(function, _as_2d(args[0], kind)), MATRIX, kind)

    return emit


def _polygamma(w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    w.helper("special")
    return _call("special.polygamma", w.dim(node.term.attr, node.inner).text, args[0].text)


def _khatrirao(w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    return _call(w.helper("_khatrirao"), *(_as_2d(a, _kind(t)) for t, a in zip(node.term.args, args, strict=True)))


def _slice(w: _Writer, node: _Node, args: list[_Code]) -> _Code:
    i, j, k, last = node.term.attr
    spans = [f"{w.place(a, ONE, node.inner)}:{w.dim(b, node.inner).text}" for a, b in ((i, j), (k, last))]
    kind = _kind(node.term.args[0])
    places = {COLUMN: spans[0], ROW: spans[1]}.get(kind, ", ".join(spans))
    return _converted(_Code(f"{args[0].at(ATOM)}[{places}]"), kind, _kind(node.term))


def _never(_w: _Writer, node: _Node, _args: list[_Code]) -> _Code:
    raise AssertionError(f"{node.term.op.name} is written as a statement")


_CODE: dict[Op, Emit] = {
    ops.NUM: lambda _w, node, _a: _number(node.term.attr),
    ops.INT: lambda w, node, _a: w.dim(dim(node.term.attr), node.inner),
    ops.CONST: lambda _w, node, _a: _Code(f"np.{node.term.attr}"),
    ops.SYM: _symbol,
    ops.MEMBER: _member,
    ops.EYE: _filled("eye"),
    ops.ZEROS: _filled("zeros"),
    ops.ONES: _filled("ones"),
    ops.BASIS: _helped("_basis"),
    ops.COMMUTATION: _helped("_commutation"),
    ops.DUPLICATION: _helped("_duplication"),
    ops.ELIMINATION: _helped("_elimination"),
    ops.IND: lambda w, node, _a: _call("float", w.relation(node.term, node.inner)),
    ops.ADD: lambda _w, _n, args: _sum(args),
    ops.TIMES: lambda _w, _n, args: _product(args),
    ops.SCALE: lambda _w, _n, args: _product(args),
    ops.MUL: _matmul,
    ops.HAD: lambda _w, _n, args: _product(args),
    ops.KRON: _kron,
    ops.KHATRIRAO: _khatrirao,
    ops.TRANSPOSE: _only_matrix(".T"),
    ops.INV: _calling("np.linalg.inv"),
    ops.MPOW: lambda w, node, a: _call("np.linalg.matrix_power", a[0].text, w.dim(node.term.attr, node.inner).text),
    ops.POW: _power,
    ops.FUN: _function,
    ops.POLYGAMMA: _polygamma,
    ops.SOFTMAX: _by_helper("_softmax"),
    ops.SOFTMAXROWS: _by_helper("_softmax"),
    ops.LOGSUMEXP: _by_helper("_logsumexp"),
    ops.LOGSUMEXPROWS: _by_helper("_logsumexp"),
    ops.TR: _calling("np.trace"),
    ops.DET: _calling("np.linalg.det"),
    ops.LOGDET: _calling("np.linalg.slogdet", "[1]"),
    ops.VEC: _only_matrix('.ravel(order="F")'),
    ops.UNVEC: _unvec,
    ops.VECH: _by_helper("_vech"),
    ops.TRIL: _triangle("np.tril"),
    ops.TRIU: _triangle("np.triu"),
    ops.DIAG: _calling("np.diag"),
    ops.DIAGONAL: _calling("np.diag"),
    ops.TOTAL: _calling("np.sum"),
    ops.NORM: _calling("np.linalg.norm"),
    ops.ENTRY: _entry,
    ops.SLICE: _slice,
    ops.BLOCK: _block,
    ops.JOINT: _joint,
    ops.PART: _part,
    ops.INNER: _inner,
    ops.EXPM: _of_arrays("linalg.expm"),
    ops.LOGM: _of_arrays("_logm"),
    ops.SQRTM: _of_arrays("_sqrtm"),
    ops.DEXPM: _of_arrays("_dexpm"),
    ops.DLOGM: _of_arrays("_dlogm"),
    ops.SYLVESTER: _of_arrays("linalg.solve_sylvester"),
    ops.PINV: _of_arrays("_pinv"),
    ops.POLAR: _of_arrays("_polar"),
    ops.NUCLEAR: _of_arrays("_nuclear"),
    ops.SPECTRAL: _of_arrays("_spectral"),
    ops.EIGMAX: _of_arrays("_eigmax"),
    ops.EIGVECMAX: _of_arrays("_eigvecs"),
    ops.EIGVECS: _of_arrays("_eigvecs"),
    ops.SUM: _never,
    ops.FAMILY: _never,
    ops.PROD: _never,
    ops.STATE: _never,
}

_HELPERS = {
    "_basis": """\
def _basis(i, n):
    e = np.zeros(n)
    e[i - 1] = 1.0
    return e
""",
    "_check": """\
def _check(name, array, shape):
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, but {shape} is needed")
""",
    "_commutation": """\
def _commutation(m, n):
    return np.eye(m * n).reshape(n, m, m * n).transpose(1, 0, 2).reshape(m * n, m * n)
""",
    "_duplication": """\
def _duplication(n):
    i, j = np.triu_indices(n)
    d = np.zeros((n * n, len(i)))
    d[i * n + j, range(len(i))] = d[j * n + i, range(len(i))] = 1.0
    return d
""",
    "_elimination": """\
def _elimination(n):
    i, j = np.triu_indices(n)
    return np.eye(n * n)[i * n + j]
""",
    "_khatrirao": """\
def _khatrirao(a, b):
    return (a[:, None] * b[None]).reshape(-1, a.shape[1])
""",
    "_logsumexp": """\
def _logsumexp(x):
    top = np.max(x, axis=-1, keepdims=True)
    return (top + np.log(np.sum(np.exp(x - top), axis=-1, keepdims=True)))[..., 0]
""",
    "_sigmoid": """\
def _sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)
""",
    **SPECTRAL,
    "_softmax": """\
def _softmax(x):
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)
""",
    "_vech": """\
def _vech(a):
    return a.T[np.triu_indices(len(a))]
""",
}


# ---------------------------------------------------------------- the head


@dataclass(frozen=True)
class _Reading:
    """One length of an argument, as text, and the dimension that it is."""

    source: Source
    text: str
    size: Dim


@dataclass(frozen=True)
class _Size:
    """A size, the length from which it is found, and the sizes that are needed for that."""

    name: Name
    reading: _Reading
    needs: frozenset[Name]

    @property
    def direct(self) -> bool:
        """True when the length is the size."""
        return self.reading.size.atom is self.name


class _Head:
    """The arguments of the function, and the lines that convert them and read the sizes off them."""

    def __init__(self, names: _Names, writer: _Writer, terms: Sequence[Term], inputs: Sequence[Term]) -> None:
        self.names, self.writer = names, writer
        self.sources = self._distinct(_sources(terms), set())
        self.spare = self._distinct(_sources(inputs), {names.of[s] for s in self.sources})
        self.functions = sorted({names.of[t.attr] for t in terms if isinstance(t.attr, Unknown)})
        self.tables: list[str] = []
        self.given_tables: list[str] = []
        for name in sorted(writer.indexed):
            self._table(name)
        self._take_spare()
        self.found = _derive(self._readings())
        self.checks = self._checks()
        self.integers = sorted(names.of[n] for n in writer.needed - self.found.keys())

    def _distinct(self, sources: Iterable[Source], used: set[str]) -> list[Source]:
        by_name = {self.names.of[s]: s for s in reversed(list(sources))}
        return [by_name[name] for name in sorted(by_name) if name not in used]

    @property
    def arguments(self) -> list[str]:
        """The names of all arguments, sorted."""
        arrays = map(self.names.of.__getitem__, self.sources)
        return sorted([*arrays, *self.functions, *self.integers, *self.given_tables])

    @property
    def unused(self) -> list[str]:
        """The names of the declared inputs that are not arguments."""
        return [self.names.of[s] for s in self.spare]

    def lines(self) -> list[str]:
        """Conversions, sizes, tables of indexed sizes, checks of shapes."""
        return [*map(self._conversion, self.sources), *self._size_lines(), *self.tables, *self.checks]

    def _conversion(self, source: Source) -> str:
        name, kind = self.names.of[source], _kind_of(source)
        if _ragged(source):
            return f"{name} = [np.asarray(a, dtype=float) for a in {name}]"
        if isinstance(source, Family):
            return f"{name} = np.asarray({name}, dtype=float)"
        if kind == SCALAR:
            return f"{name} = np.float64({name})"
        return f"{name} = np.asarray({name}, dtype=float)" + ("" if kind == MATRIX else ".reshape(-1)")

    def _sides(self, source: Source) -> list[Dim]:
        """The shape of the array after its conversion; of a ragged family only its length."""
        kind = _kind_of(source)
        sides = {SCALAR: [], COLUMN: [source.rows], ROW: [source.cols]}.get(kind, [source.rows, source.cols])
        if not isinstance(source, Family):
            return sides
        count = source.index.hi - source.index.lo + 1
        return [count] if _ragged(source) else [count, *([ONE] if kind == ROW else []), *sides]

    def _readings(self) -> list[_Reading]:
        found = []
        for source in self.sources:
            name = self.names.of[source]
            for axis, size in enumerate(self._sides(source)):
                text = f"len({name})" if isinstance(source, Family) and axis == 0 else f"{name}.shape[{axis}]"
                found.append(_Reading(source, text, size))
        return found

    def _take_spare(self) -> None:
        """Make those unused inputs arguments that give a size which nothing else gives."""
        for source in list(self.spare):
            missing = self.writer.needed - _derive(self._readings()).keys()
            if not missing:
                return
            self.sources.append(source)
            if missing <= self.writer.needed - _derive(self._readings()).keys():
                self.sources.remove(source)
            else:
                self.spare.remove(source)
        self.sources.sort(key=self.names.of.__getitem__)

    def _size_lines(self) -> list[str]:
        needed = self.writer.needed
        for size in reversed(self.found.values()):
            if size.name in needed:
                needed |= size.needs
        lines: list[str] = []
        shapes: dict[Source, list[_Size]] = {}
        for size in self.found.values():
            if size.name in needed and size.direct and not isinstance(size.reading.source, Family):
                shapes.setdefault(size.reading.source, []).append(size)
        for size in self.found.values():
            if size.name not in needed:
                continue
            together = shapes.get(size.reading.source, [])
            if len(together) == 2 and size in together:
                if size is together[0]:
                    pair = ", ".join(self.names.of[s.name] for s in together)
                    lines.append(f"{pair} = {self.names.of[size.reading.source]}.shape")
                continue
            lines.append(f"{self.names.of[size.name]} = {self._solved(size)}")
        return lines

    def _solved(self, size: _Size) -> str:
        """The size in terms of the length: solved when it is linear, else searched."""
        whole, text, top = size.reading.size, size.reading.text, self.writer.top
        if size.direct:
            return text
        slope = dict(whole.terms).get(((size.name, 1),), Fraction(0))
        rest = whole - dim(size.name) * dim(slope)
        if size.name in rest.atoms():
            name = self.names.of[size.name]
            return f"next({name} for {name} in range({text} + 1) if {self.writer.dim(whole, top).text} == {text})"
        length = Name(text)
        self.names.of[length] = text
        solved = self.writer.dim((dim(length) - rest) * dim(1 / slope), top).text
        self.writer.needed.discard(length)
        return solved

    def _table(self, name: str) -> None:
        """Lines that fill a table of indexed sizes; without an array that gives it, it is an argument."""
        table = self.names.indexed[name]
        providers = [s for s in self.sources if _gives(s, name)]
        if not providers:
            providers = [s for s in self.spare if _gives(s, name)]
            self.sources = sorted([*self.sources, *providers], key=self.names.of.__getitem__)
            self.spare = [s for s in self.spare if s not in providers]
        if not providers:
            self.given_tables.append(table)
            return
        self.tables.append(f"{table} = {{}}")
        for source in providers:
            self.tables += self._filling(source, name)

    def _filling(self, source: Source, name: str) -> list[str]:
        array, scope = self.names.of[source], self.writer.top
        indent = ""
        lines: list[str] = []
        if isinstance(source, Family):
            scope = _Scope(scope, source.index, variable=self.names.loop_variable(set()))
            first = self.writer.dim(source.index.lo, self.writer.top).text
            lines.append(f"for {scope.variable}, a in enumerate({array}, {first}):")
            array, indent = "a", "    "
        for axis, size in enumerate((source.rows, source.cols)):
            if isinstance(size.atom, SizeAt) and size.atom.name == name:
                shape = f"{array}.shape[{axis if _kind_of(source) == MATRIX else 0}]"
                lines.append(f"{indent}{self.writer.dim(size, scope).text} = {shape}")
        return lines

    def _checks(self) -> list[str]:
        """Checks of the shapes that are not used to read sizes off."""
        known = self.found.keys() | self.writer.needed
        origin = {s.reading.text for s in self.found.values() if s.direct}
        lines: list[str] = []
        for source in self.sources:
            sides, name = self._sides(source), self.names.of[source]
            atoms = {a for d in sides for a in d.atoms()}
            read = all(r.text in origin for r in self._readings() if r.source is source)
            if not sides or read or _ragged(source) or not atoms <= known:
                continue
            shape = ", ".join(self.writer.dim(d, self.writer.top).text for d in sides)
            check = self.writer.helper("_check")
            lines.append(f'{check}("{name}", {name}, ({shape}{"," if len(sides) == 1 else ""}))')
        return lines

    def described(self) -> list[str]:
        """One line for each argument: its name and its shape."""
        shapes = {self.names.of[s]: self._shown(s) for s in self.sources}
        shapes |= dict.fromkeys(self.functions, "function, applied entry by entry")
        shapes |= dict.fromkeys(self.integers, "integer") | dict.fromkeys(self.given_tables, "table of sizes")
        return [f"{name}: {shapes[name]}" for name in sorted(shapes)]

    def _shown(self, source: Source) -> str:
        sides = [str(d) for d in self._sides(source)]
        if _ragged(source) and isinstance(source, Family):
            names: dict[Atom, str] = {source.index: "k"}
            members = [format_dim(d, names) for d in (source.rows, source.cols) if d is not ONE]
            return f"list of {sides[0]} arrays of shape ({', '.join(members)}{',' if len(members) == 1 else ''})"
        if not sides:
            return "float"
        if _kind_of(source) == ROW and not isinstance(source, Family):
            sides.insert(0, "1")
        return f"({', '.join(sides)}{',' if len(sides) == 1 else ''})"


def _kind_of(source: Source) -> str:
    if source.cols is ONE:
        return SCALAR if source.rows is ONE else COLUMN
    return ROW if source.rows is ONE else MATRIX


def _ragged(source: Source) -> bool:
    """True for a family whose members differ in shape."""
    return isinstance(source, Family) and bool(source.rows.indices or source.cols.indices)


def _gives(source: Source, name: str) -> bool:
    return any(isinstance(d.atom, SizeAt) and d.atom.name == name for d in (source.rows, source.cols))


def _derive(readings: Sequence[_Reading]) -> dict[Name, _Size]:
    """All sizes that follow from the lengths, each after those that it needs; direct ones first."""
    found: dict[Name, _Size] = {}
    for reading in readings:
        atom = reading.size.atom
        if isinstance(atom, Name) and atom not in found:
            found[atom] = _Size(atom, reading, frozenset())
    progress = True
    while progress:
        progress = False
        for reading in readings:
            atoms = reading.size.atoms()
            names = {a for a in atoms if isinstance(a, Name)}
            unknown = names - found.keys()
            if len(unknown) == 1 and len(names) == len(atoms):
                name = unknown.pop()
                found[name] = _Size(name, reading, frozenset(names - {name}))
                progress = True
    return found


# ---------------------------------------------------------------- the module


def _module(name: str, body: list[str], roots: Mapping[str, Term], head: _Head, writer: _Writer) -> str:
    modules = [module for module in ("linalg", "special") if module in writer.helpers]
    imports = ["import numpy as np", *([f"from scipy import {', '.join(modules)}"] if modules else [])]
    helpers = [_HELPERS[h] for h in sorted(writer.helpers) if h in _HELPERS]
    arguments = head.arguments
    parameters = f"*, {', '.join(arguments)}" if arguments else ""
    formulas = []
    for key, term in roots.items():
        large = term not in writer.printable
        formula = "A large expression." if large else _shortened(writer.formula(term, writer.top), 400)
        formulas.append(f"{key} = {formula}" if key else formula)
    for number, equations in enumerate(dict.fromkeys(writer.where)):
        formulas += ["", f"where {equations}"] if number == 0 else [f"      {equations}"]
    shapes = head.described()
    doc = [*formulas, *(["", *shapes] if shapes else [])]
    doc[0] = f'r"""{doc[0]}'
    if len(doc) == 1:
        doc[0] += '"""'
    else:
        doc.append('"""')
    lines = [("    " + line).rstrip() for line in [*doc, *body]]
    return (
        "\n\n\n".join(
            ["\n".join(imports), *(h.rstrip() for h in helpers), "\n".join([f"def {name}({parameters}):", *lines])]
        )
        + "\n"
    )


class GeneratedFunction:
    """A function made from source: called with keyword arguments, shows its ``source``, can be pickled.

    Names are taken as the user wrote them too (``lambda`` for ``lambda_``, ``Σ`` for ``Sigma``).
    ``accept`` names further arguments that may be given and are not used.
    """

    def __init__(self, source: str, name: str, accept: Iterable[str] = ()) -> None:
        self.source, self.name = source, name
        self.accept = tuple(sorted({_identifier(a) for a in accept}))
        place = f"<matcalc {name} {blake2b(source.encode(), digest_size=6).hexdigest()}>"
        space: dict[str, Any] = {"__name__": "matcalc.generated"}
        exec(compile(source, place, "exec"), space)
        linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
        self._function: Callable[..., Any] = space[name]
        self.arguments: tuple[str, ...] = _keywords(self._function)
        self.__signature__ = Signature(
            [Parameter(a, Parameter.KEYWORD_ONLY) for a in sorted({*self.arguments, *self.accept})]
        )
        self.__name__ = name
        self.__doc__ = self._function.__doc__

    def __call__(self, **values: Any) -> Any:
        """The value.  Raises :class:`MatcalcError` that names what is missing or unknown."""
        given = {key if key in self.arguments else _identifier(key): value for key, value in values.items()}
        unknown = sorted(given.keys() - {*self.arguments, *self.accept})
        missing = sorted(set(self.arguments) - given.keys())
        if unknown or missing:
            told = [f"missing {', '.join(missing)}"] if missing else []
            told += [f"unknown {', '.join(unknown)}"] if unknown else []
            takes = ", ".join(self.arguments) or "nothing"
            raise MatcalcError(f"{self.name}: {'; '.join(told)}", hint=f"the arguments are {takes}")
        return self._function(**{name: given[name] for name in self.arguments})

    def __repr__(self) -> str:
        return f"<{self.name}({', '.join(self.arguments)})>"

    def __reduce__(self) -> tuple[type[GeneratedFunction], tuple[str, str, tuple[str, ...]]]:
        return GeneratedFunction, (self.source, self.name, self.accept)


def _keywords(function: Callable[..., Any]) -> tuple[str, ...]:
    code = function.__code__
    return tuple(code.co_varnames[: code.co_kwonlyargcount])


def compile_numpy(
    term: Term | Mapping[str, Term],
    name: str = "f",
    inputs: Sequence[Term] | None = None,
    form: str = "array",
    accept: Iterable[str] = (),
) -> GeneratedFunction:
    """The function that :func:`to_numpy` writes, ready to call.

    Declared ``inputs`` that turn out not to be needed are accepted and ignored, as are those named in ``accept``.
    """
    spare = [source.name for source in _sources(inputs or ())]
    return GeneratedFunction(to_numpy(term, name, inputs, form), _identifier(name), [*accept, *spare])
