"""The one term type: immutable, interned, with its shape known at birth.

Two equal terms are one object, so equality is ``is``.  Terms are made by the constructors in
:mod:`matcalc.terms.build`, which own shapes, units, order and like terms; :func:`make` only
interns.
"""

from __future__ import annotations

from fractions import Fraction
from hashlib import blake2b
from typing import Any
from weakref import WeakValueDictionary

from ..bounds import count
from .dims import NO_INDICES, ONE, Atom, Dim, Index
from .ops import BASIS, COMMUTATION, DIFF, EYE, IND, INT, MEMBER, NUM, ONES, STATE, SYM, ZEROS, Op
from .symbols import Family, Grid, Loop, Member, Range, Symbol, Unknown

Shape = tuple[Dim, Dim]

MAX_WEIGHT = 1_000_000_000
HAS_DIFF = 1
HAS_PATTERN = 2


class Term:
    """An operator applied to terms.

    ``indices`` are the bound indices that occur free in it, ``height`` the number of binders
    above one another inside, ``key`` a total order that depends on the term alone, ``weight`` the
    number of nodes written out as a tree (capped at :data:`MAX_WEIGHT`).
    """

    __slots__ = (
        "__weakref__",
        "args",
        "attr",
        "cols",
        "depth",
        "flags",
        "height",
        "indices",
        "key",
        "op",
        "rows",
        "weight",
    )
    op: Op
    args: tuple[Term, ...]
    attr: Any
    rows: Dim
    cols: Dim
    depth: int
    flags: int
    height: int
    indices: frozenset[Index]
    key: tuple[int, str, int, bytes]
    weight: int

    @property
    def shape(self) -> Shape:
        """Rows and columns."""
        return self.rows, self.cols

    @property
    def is_scalar(self) -> bool:
        """True for a 1×1 term."""
        return self.rows is ONE and self.cols is ONE

    @property
    def is_vector(self) -> bool:
        """True for a column that is not a scalar."""
        return self.cols is ONE and self.rows is not ONE

    @property
    def is_square(self) -> bool:
        """True when rows and columns are the same dimension."""
        return self.rows is self.cols

    @property
    def has_diff(self) -> bool:
        """True when a differential occurs in the term."""
        return bool(self.flags & HAS_DIFF)

    def __repr__(self) -> str:
        from ..output.text import to_text

        return to_text(self)

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return _restore, (_flatten(self),)


_TERMS: WeakValueDictionary[tuple[Op, tuple[Term, ...], Any], Term] = WeakValueDictionary()


def _attr_indices(attr: Any) -> frozenset[Index]:
    """Free indices in what an operator carries beside its arguments."""
    if isinstance(attr, Dim | Atom):
        return attr.indices
    if isinstance(attr, Member):
        return attr.at.indices
    if isinstance(attr, Range):
        return attr.index.lo.indices | attr.index.hi.indices
    if isinstance(attr, Symbol):
        return attr.rows.indices | attr.cols.indices
    if isinstance(attr, Loop):
        return attr.first.indices | attr.at.indices
    if isinstance(attr, tuple) and not isinstance(attr, Unknown | Grid):
        found = NO_INDICES
        for part in attr:
            if isinstance(part, Dim) and part.indices:
                found = found | part.indices
        return found
    return NO_INDICES


def _stable(attr: Any) -> str:
    if attr is None:
        return ""
    if isinstance(attr, Symbol | Family):
        return attr.stable
    if isinstance(attr, Member):
        return f"{attr.family.stable}@{attr.at}"
    if isinstance(attr, Range):
        return f"{attr.index.level}:{attr.index.lo}..{attr.index.hi}:{attr.step}"
    if isinstance(attr, Loop):
        return f"{attr.index.level}:{attr.step}:{attr.first}:{attr.at}:{attr.slot.stable}"
    if isinstance(attr, Unknown):
        return f"{attr.name},{attr.order},{attr.role}{',known' * attr.known}"
    if isinstance(attr, tuple):
        return ",".join(str(part) for part in attr)
    return str(attr)


def _lead(op: Op, args: tuple[Term, ...], attr: Any) -> str:
    """A readable first component of the order: the name that a reader would sort by."""
    if op is SYM:
        return str(attr.name)
    if op is MEMBER:
        return str(attr.family.name)
    if op is INT or op is NUM:
        return str(attr)
    return args[0].key[1] if args else op.name


def make(op: Op, args: tuple[Term, ...], attr: Any, rows: Dim, cols: Dim) -> Term:
    """The interned term; callers have computed its shape."""
    key = (op, args, attr)
    found = _TERMS.get(key)
    if found is not None:
        return found
    count(max((arg.depth for arg in args), default=0))
    term = object.__new__(Term)
    term.op, term.args, term.attr = op, args, attr
    term.rows, term.cols = rows, cols
    flags = HAS_DIFF if op is DIFF else 0
    if getattr(attr, "role", None) == "pattern" or (op is MEMBER and attr.family.role == "pattern"):
        flags |= HAS_PATTERN
    depth = height = 0
    weight = 1
    indices = _attr_indices(attr) if attr is not None else NO_INDICES
    digest = blake2b(f"{op.name}|{_stable(attr)}".encode(), digest_size=12)
    for arg in args:
        flags |= arg.flags
        weight += arg.weight
        if arg.depth >= depth:
            depth = arg.depth + 1
        if arg.height > height:
            height = arg.height
        if arg.indices and arg.indices is not indices:
            indices = indices | arg.indices
        digest.update(arg.key[3])
    if op.binder:
        height += 1
        indices = (indices - {attr.index}) | _attr_indices(attr)
        if op is STATE:
            indices |= args[0].indices
    term.weight = weight if weight < MAX_WEIGHT else MAX_WEIGHT
    term.flags, term.depth, term.height, term.indices = flags, depth, height, indices
    term.key = (op.rank, _lead(op, args, attr), depth, digest.digest())
    _TERMS[key] = term
    return term


def _flatten(term: Term) -> list[tuple[Op, tuple[int, ...], Any, Dim, Dim]]:
    from .walk import postorder

    order = postorder(term)
    place = {t: i for i, t in enumerate(order)}
    return [(t.op, tuple(place[a] for a in t.args), t.attr, t.rows, t.cols) for t in order]


def _restore(rows: list[tuple[Op, tuple[int, ...], Any, Dim, Dim]]) -> Term:
    made: list[Term] = []
    for op, args, attr, m, n in rows:
        made.append(make(op, tuple(made[i] for i in args), attr, m, n))
    return made[-1]


LEAF_SHAPES = {EYE, ZEROS, ONES, BASIS, COMMUTATION, IND}
Number = int | Fraction
