"""What a derivative is taken with respect to: a variable, a member of a family, a sub-expression.

A structured variable is differentiated with its entries independent: its structure is hidden behind
a twin of the same name and used again afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from dataclasses import replace as with_changes
from fractions import Fraction

from ..errors import MatcalcError, NotDifferentiable
from ..rewriting.match import FLAT
from ..terms import build, ops
from ..terms.dims import ONE, Dim, Index, dim, known_nonnegative
from ..terms.ops import Op
from ..terms.symbols import Family, Loop, Symbol
from ..terms.term import Term
from ..terms.walk import contains, open_state, postorder, rebuild, replace, substitute_indices
from .system import RUNNING, System

OPEN_FACTS = (
    *("invertible", "posdet", "positive", "nonneg", "nonzero", "fullrank", "fullrow", "integer"),
    *("principal", "simple", "distinct", "fixedrank", "maxrank"),
)
"""Facts that small independent changes of the entries do not destroy; they stay known."""


@dataclass
class Variable:
    """How to replace the variable before differentiating and to put it back afterwards."""

    shown: Term
    target: Term
    family: Family | None = None
    forward: dict[Term, Term] = field(default_factory=dict)
    back: dict[Term, Term] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    visible: Term | None = None
    twin: tuple[Family, Family] | None = None

    def enter(self, term: Term) -> Term:
        """The term to differentiate."""
        if self.twin is not None:
            return _renamed(term, self.twin[1], self.twin[0])
        if self.visible is not None:
            return replace_run(term, self.shown, self.visible)
        return replace(term, self.forward) if self.forward else term

    def leave(self, term: Term) -> Term:
        """The result in the user's variables."""
        if self.twin is not None:
            return _renamed(term, *self.twin)
        return replace(term, self.back) if self.back else term


def _renamed(term: Term, old: Family, new: Family) -> Term:
    """All members of one family as members of another."""

    def change(node: Term, _: tuple[Term, ...]) -> Term | None:
        if node.op is ops.MEMBER and node.attr.family == old:
            return build.member(new, node.attr.at)
        return None

    return rebuild(term, change)


def replace_run(term: Term, part: Term, new: Term) -> Term:
    """Replace a sub-expression, also where it is a run of the factors of a product or some of the addends of a sum.

    A run of factors may also be the transpose of the sub-expression: ``x'*A'`` is that of ``A*x``.
    """
    runs = [(part.args, new)]
    if part.op is ops.MUL:
        turned = tuple(build.transpose(factor) for factor in reversed(part.args))
        runs += [(turned, build.transpose(new))] if turned != part.args else []

    def change(node: Term, args: tuple[Term, ...]) -> Term | None:
        if node is part:
            return new
        if node.op is not part.op or node.op not in FLAT or len(args) < len(part.args):
            return None
        if node.op.commutative:
            if all(a in args for a in part.args):
                return build.with_args(node, (new, *(a for a in args if a not in part.args)))
            return None
        factors, start = list(args), 0
        while start < len(factors):
            for run, value in runs:
                if factors[start : start + len(run)] == [*run]:
                    factors[start : start + len(run)] = [value]
                    break
            start += 1
        return build.with_args(node, tuple(factors)) if len(factors) < len(args) else None

    return rebuild(term, change)


def variables(system: System, term: Term, several: Sequence[Term]) -> list[Variable]:
    """The same for several variables at once."""
    return [variable(system, term, wrt, str(i) if i else "") for i, wrt in enumerate(several)]


def variable(system: System, term: Term, wrt: Term, number: str = "") -> Variable:
    """Prepare to differentiate ``term`` with respect to ``wrt``.  Raises :class:`MatcalcError` for a number.

    The ``number`` tells what stands for one of several sub-expressions apart from the others.
    """
    if wrt.op is ops.SYM:
        return _symbol(system, wrt)
    if wrt.op is ops.MEMBER:
        return _member(system, wrt)
    if is_state(wrt):
        return _state(term, wrt, number)
    return _expression(system, term, wrt, number)


def is_state(term: Term) -> bool:
    """True for a state of a recurrence, or one of coupled states."""
    return term.op is ops.STATE or (term.op is ops.PART and term.args[0].op is ops.STATE)


def _kept(system: System, term: Term) -> frozenset[str]:
    return frozenset(fact for fact in OPEN_FACTS if system.facts.has(term, fact))


STRUCTURE = ("symmetric", "skew", "diagonal", "lower", "upper", "orthogonal", "stiefel")
"""Facts that hold only on a lower-dimensional set: put aside while differentiating."""


def is_structured(system: System, term: Term) -> bool:
    """Whether a structure is put aside while differentiating by this."""
    return not term.is_scalar and any(system.facts.has(term, fact) for fact in STRUCTURE)


def _symbol(system: System, wrt: Term) -> Variable:
    if not is_structured(system, wrt):
        return Variable(wrt, wrt)
    kept = _kept(system, wrt)
    twin = build.sym(with_changes(wrt.attr, facts=kept, role="hidden"))
    return Variable(wrt, twin, forward={wrt: twin}, back={twin: wrt})


def _member(system: System, wrt: Term) -> Variable:
    family: Family = wrt.attr.family
    if not is_structured(system, wrt):
        return Variable(wrt, wrt, family)
    kept = _kept(system, wrt)
    hidden = with_changes(family, facts=kept, role="hidden")
    return Variable(wrt, build.member(hidden, wrt.attr.at), hidden, twin=(hidden, family))


MAX_UNROLLED = 8
"""Up to so many steps after the state that varies are written out instead of as a recurrence."""


def _state(term: Term, wrt: Term, number: str) -> Variable:
    """A state of a recurrence: the later states follow from it, the earlier ones are held fixed."""
    whole = wrt.args[0] if wrt.op is ops.PART else wrt
    loop: Loop = whole.attr
    name = "zeta" if wrt.is_scalar or wrt.is_vector else "Z"
    stand_in = build.sym(Symbol(name + number, wrt.rows, wrt.cols, frozenset(), "hidden"))
    begin = stand_in
    if wrt.op is ops.PART:
        which, *shapes = wrt.attr
        others = (build.part(whole, i, shapes) for i in range(len(shapes) // 2))
        begin = build.joint(*(stand_in if i == which else other for i, other in enumerate(others)))
    notes: list[str] = []
    split = _split_sums(term, whole)
    while (again := _split_sums(split, whole)) is not split:  # once more for each other distance
        split = again

    def change(node: Term, _: tuple[Term, ...]) -> Term | None:
        if node is wrt:
            return stand_in
        if node is whole or node.op is not ops.STATE or not _same_recurrence(node, whole):
            return None
        ahead = (node.attr.at - loop.at) * loop.step
        if known_nonnegative(-ahead - 1):
            return None
        if not known_nonnegative(ahead):
            if node.attr.at.indices - whole.indices:
                raise NotDifferentiable(f"{wrt}, and all states in a place where they cannot be split at {loop.at}")
            notes.append(f"{node.attr.at} is taken to be later than {loop.at}")
        return _going_on(whole, node, begin, ahead.constant)

    forward = {term: rebuild(split, change), wrt: stand_in}
    return Variable(wrt, stand_in, forward=forward, back={stand_in: wrt}, notes=list(dict.fromkeys(notes)))


def _same_recurrence(node: Term, other: Term) -> bool:
    return node.args == other.args and node.attr.moved(other.attr.at) == other.attr


def _split_sums(term: Term, state: Term) -> Term:
    """Sums over the states of a recurrence in two: before the state, and from it on."""
    loop: Loop = state.attr

    def change(node: Term, args: tuple[Term, ...]) -> Term | None:
        if node.op is not ops.SUM:
            return None
        index, body = node.attr.index, args[0]
        for used in postorder(body):
            if used.op is not ops.STATE or index not in used.attr.at.indices or not _same_recurrence(used, state):
                continue
            offset = used.attr.at - dim(index)
            if offset.indices - state.indices:
                continue
            here = loop.at - offset
            first, last = (here, here - 1) if loop.step > 0 else (here + 1, here)
            if known_nonnegative(index.lo - first) or known_nonnegative(last - index.hi):
                continue
            return build.add(_ranged(index, index.lo, last, body), _ranged(index, first, index.hi, body))
        return None

    return rebuild(term, change)


def _ranged(index: Index, low: Dim, high: Dim, body: Term) -> Term:
    """The part of a sum from ``low`` to ``high``, as far as that is in its range."""
    ranged = Index(RUNNING, low, high)
    body = substitute_indices(body, {index: dim(ranged)})
    for least, most in ((index.lo, dim(ranged)), (dim(ranged), index.hi)):
        body = build.smul(build.indicator("<=", least, most), body)
    return build.sum_over(ranged, body)


def _going_on(whole: Term, node: Term, start: Term, count: Fraction | None) -> Term:
    if count is None or count > MAX_UNROLLED:
        return build.state(whole.attr.started(whole.attr.at, node.attr.at), start, whole.args[1])
    loop, body = open_state(whole)
    value, k = start, loop.at
    for _ in range(int(count)):
        value = replace(body, {build.sym(loop.slot): value}, {loop.index: k})
        k = k + loop.step
    return value


def _expression(system: System, term: Term, wrt: Term, number: str) -> Variable:
    if wrt.op in (ops.NUM, ops.CONST, ops.EYE, ops.ZEROS, ops.ONES, ops.INT):
        raise MatcalcError("a derivative is taken with respect to something that can vary, not a constant")
    name = ("Z" if not wrt.is_vector else "z") + number
    stand_in = build.sym(Symbol(name, wrt.rows, wrt.cols, _kept(system, wrt), "hidden"))
    inner, is_part = _inmost(wrt)
    if is_part and (inner.op is ops.MEMBER or is_state(inner)):
        raise MatcalcError(f"{wrt} is a part of {inner}: differentiate by {inner}, and take that part of the result")
    if inner.op is ops.SYM:
        fixed = build.sym(with_changes(inner.attr, role="hidden"))
        value = _invert(system, wrt, stand_in, {inner: fixed})
        return Variable(wrt, stand_in, forward={inner: value}, back={stand_in: wrt, fixed: inner})
    if wrt.op is ops.BLOCK and len(set(wrt.args)) == len(wrt.args) and all(_is_free(system, a) for a in wrt.args):
        forward = _stacked(wrt, stand_in)
        return Variable(wrt, stand_in, forward=forward, back={b: a for a, b in forward.items()} | {stand_in: wrt})
    inside = replace_run(term, wrt, stand_in)
    held = ", ".join(sorted({t.attr.name for t in postorder(wrt) if t.op is ops.SYM and contains(inside, t)}))
    if not contains(inside, stand_in):
        if wrt.op is ops.BLOCK and any(a.op is ops.SYM and is_structured(system, a) for a in wrt.args):
            raise MatcalcError(f"{wrt} has a variable with a structure among its blocks: differentiate by each of them")
        notes = [f"{wrt} does not occur in the expression" + (f", with {held} held fixed" if held else "")]
        return Variable(wrt, stand_in, notes=notes)
    notes = [f"{held} held fixed where not part of {wrt}"] if held else []
    return Variable(wrt, stand_in, back={stand_in: wrt}, notes=notes, visible=stand_in)


def _inmost(wrt: Term) -> tuple[Term, bool]:
    """The variable of which an expression is a function of one argument, and whether it is a part of it."""
    is_part = False
    while wrt.op in PARTS or wrt.op in ONE_TO_ONE or (wrt.op is ops.SCALE and wrt.args[0].op is ops.NUM):
        is_part = is_part or wrt.op in PARTS
        wrt = wrt.args[-1]
    return wrt, is_part


def _invert(system: System, wrt: Term, value: Term, fixed: dict[Term, Term]) -> Term:
    """The variable S in ``wrt`` as g(Z): an invertible function of S, or a part of it, has the ``value`` Z.

    What is outside of the part stays; what the part was before is written in a copy of S that does not vary.
    """
    while wrt.op is not ops.SYM:
        inner = wrt.args[-1]
        if wrt.op is ops.VECH and system.facts.has(inner, "symmetric"):
            value = build.unvec(build.mul(build.duplication(inner.rows), value), inner.rows, inner.rows)
        elif wrt.op is ops.VECH and system.facts.has(inner, "lower"):
            value = _at_triangle(wrt, value)
        elif wrt.op in PARTS:
            before = build.smul(build.MINUS_ONE_NUM, replace(wrt, fixed))
            value = build.add(inner, PARTS[wrt.op](wrt, build.add(value, before)))
        elif wrt.op in ONE_TO_ONE:
            value = ONE_TO_ONE[wrt.op](wrt, value)
        else:
            value = build.smul(build.power_of(wrt.args[0], build.MINUS_ONE_NUM), value)
        wrt = inner
    return value


def _is_free(system: System, term: Term) -> bool:
    return term.op is ops.SYM and not is_structured(system, term)


def _stacked(blocks: Term, value: Term) -> dict[Term, Term]:
    """Variables in blocks as the blocks of a matrix."""
    forward: dict[Term, Term] = {}
    width = blocks.attr.cols
    top = ONE
    for start in range(0, len(blocks.args), width):
        row, left = blocks.args[start : start + width], ONE
        for one in row:
            forward[one] = build.submatrix(value, top, top + one.rows - 1, left, left + one.cols - 1)
            left = left + one.cols
        top = top + row[0].rows
    return forward


def _at_entry(part: Term, value: Term) -> Term:
    (i, j), (rows, cols) = part.attr, part.args[0].shape
    return build.smul(value, build.mul(build.basis(i, rows), build.transpose(build.basis(j, cols))))


def _at_slice(part: Term, value: Term) -> Term:
    (a, b, c, d), (rows, cols) = part.attr, part.args[0].shape
    left, right = build.submatrix(build.eye(rows), a, b, 1, rows), build.submatrix(build.eye(cols), c, d, 1, cols)
    return build.mul(build.mul(build.transpose(left), value), right)


def _at_triangle(part: Term, value: Term) -> Term:
    n = part.args[0].rows
    return build.unvec(build.mul(build.transpose(build.elimination(n)), value), n, n)


PARTS: dict[Op, Callable[[Term, Term], Term]] = {
    ops.ENTRY: _at_entry,
    ops.SLICE: _at_slice,
    ops.DIAGONAL: lambda part, value: build.diag(value),
    ops.VECH: _at_triangle,
}
"""Functions that take a part of a matrix: from a change of the part, that of the matrix."""

ONE_TO_ONE: dict[Op, Callable[[Term, Term], Term]] = {
    ops.INV: lambda whole, value: build.inv(value),
    ops.TRANSPOSE: lambda whole, value: build.transpose(value),
    ops.VEC: lambda whole, value: build.unvec(value, *whole.args[0].shape),
    ops.UNVEC: lambda whole, value: build.vec(value),
}
"""Functions that can be undone: from the value, the argument."""
