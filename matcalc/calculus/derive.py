"""Gradients, Jacobians, Hessians and differentials of terms."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

from ..errors import ShapeError
from ..terms import build, ops
from ..terms.dims import dim
from ..terms.fit import show_shape
from ..terms.symbols import Family, Loop, Symbol
from ..terms.term import Term
from ..terms.walk import dependents, open_state, postorder, replace
from .addends import cost
from .places import at_member, sum_out
from .present import present
from .reverse import Reverse, reverse
from .structure import Structure, structure
from .system import Condition, System
from .system import system as with_assumptions
from .variable import OPEN_FACTS, Variable, is_structured, variable
from .variable import variables as prepared


@dataclass
class Derived:
    """A derivative: the presented term, and what has to hold for it."""

    term: Term
    conditions: tuple[Condition, ...] = ()
    notes: list[str] = field(default_factory=list)


def gradient(system: System, term: Term, wrt: Term, structured: bool = False) -> Derived:
    """The gradient of a scalar, in the shape of the variable.  Raises :class:`ShapeError` if not a scalar.

    ``structured`` asks for the derivative along the structure of the variable, here and below.
    """
    if not term.is_scalar:
        raise ShapeError(
            f"a gradient is of a scalar; this is {show_shape(term.rows, term.cols)}", hint="D(...) gives its Jacobian"
        )
    return _along(system, _derive(system, term, wrt, "adjoint"), wrt, structured, Structure.gradient)


def jacobian(system: System, term: Term, wrt: Term, structured: bool = False) -> Derived:
    """∂vec(F)/∂vec(X)ᵀ, found by vec; of a scalar, the row vec(gradient)ᵀ."""
    return _along(system, _derive(system, term, wrt, "vec"), wrt, structured, Structure.jacobian)


def derivative(system: System, term: Term, wrt: Term, structured: bool = False) -> Derived:
    """D(f, X): of a scalar the row vec(gradient)ᵀ by adjoints, otherwise the Jacobian."""
    if not term.is_scalar:
        return jacobian(system, term, wrt, structured)
    found = gradient(system, term, wrt, structured)
    return Derived(as_row(system, found.term, wrt), found.conditions, found.notes)


def as_row(system: System, found: Term, wrt: Term) -> Term:
    """The row vec(gradient)ᵀ, in which the gradient is seen; by vech(S) it is a product, which is presented."""
    row = system.simplify(build.transpose(build.vec(found)))
    return present(system, row) if wrt.op is ops.VECH else row


def hessian(system: System, term: Term, wrt: Term, structured: bool = False) -> Derived:
    """∂vec(gradient)/∂vec(X)ᵀ of a scalar.  Raises :class:`ShapeError` if not a scalar."""
    if not term.is_scalar:
        raise ShapeError(f"a Hessian is of a scalar; this is {show_shape(term.rows, term.cols)}")
    found = _derive(system, term, wrt, "adjoint", "vec")
    if not structured:
        return _along(system, found, wrt, False, Structure.jacobian)
    first = _derive(system, term, wrt, "adjoint").term
    return _along(system, found, wrt, True, lambda kind, at, free: kind.hessian(at, free, first), second=True)


def _along(
    system: System,
    found: Derived,
    wrt: Term,
    structured: bool,
    restrict: Callable[[Structure, Term, Term], Term],
    second: bool = False,
) -> Derived:
    """The derivative by independent entries, or from it the one along the structure; which of them is noted."""
    kind = structure(system, wrt) if structured else None
    if kind is not None:
        term = present(system, system.simplify(restrict(kind, wrt, found.term)))
        return Derived(term, found.conditions, [*found.notes, kind.note(wrt, second)])
    if structured:
        note = f"{wrt} has no structure: its entries are independent"
    elif is_structured(system, wrt):
        note = f"the entries of {wrt} vary independently; its structure is used in the result"
    else:
        return found
    return Derived(found.term, found.conditions, [*found.notes, note])


def _derive(system: System, term: Term, wrt: Term, *tables: str) -> Derived:
    """One derivative after the other, the structure of the variable put aside until the end."""
    where = variable(system, term, wrt)
    inner = inside(system, where)
    result = where.enter(term)
    conditions: dict[Condition, None] = {}
    for table in tables:
        result, needed = _once(inner, inner.simplify(result), where, table)
        conditions.update(dict.fromkeys(needed))
    back = where.leave(result)
    if back is not result:
        back = present(system, system.simplify(back))
    told = dict.fromkeys((system.simplify(where.leave(t)), fact) for t, fact in conditions)
    return Derived(back, tuple(c for c in told if not system.facts.has(*c)), list(where.notes))


def _once(system: System, function: Term, where: Variable, table: str) -> tuple[Term, tuple[Condition, ...]]:
    seed = build.ONE_NUM if table == "adjoint" else build.eye(function.rows * function.cols)
    found = reverse(system, function, seed, targets_of(function, where), table)
    answer = present(system, system.simplify(arrived(found, function, where, table)))
    if where.family is None and where.target.is_scalar and all(t.op is not ops.STATE for t in postorder(function)):
        tangent = _forward(system, function, lambda leaf: build.ONE_NUM if leaf is where.target else None)
        answer = min(answer, present(system, system.simplify(build.vec(tangent))), key=cost)
    return answer, found.conditions


def arrived(found: Reverse, function: Term, where: Variable, table: str) -> Term:
    """What the walk brought to the variable; a zero when it never got there."""
    if where.family is None:
        raw = found.carried.get(where.target)
    else:
        raw = at_member(where.family, where.target.attr.at, found.carried)
    return _nothing(function, where, table) if raw is None else raw


def inside(system: System, where: Variable) -> System:
    """The same rules under the assumptions that remain while the variable's structure is hidden."""
    if not system.assumptions or not (where.forward or where.twin or where.visible):
        return system
    kept = set()
    for term, fact in system.assumptions:
        moved = where.enter(term)
        if moved is term or (term is not where.shown and fact in OPEN_FACTS):
            kept.add((moved, fact))
    return with_assumptions(frozenset(kept))


def _nothing(function: Term, where: Variable, table: str) -> Term:
    target = where.target
    if table == "adjoint":
        return build.zeros(target.rows, target.cols)
    return build.zeros(function.rows * function.cols, target.rows * target.cols)


def targets_of(function: Term, where: Variable) -> list[Term]:
    """The leaves that the derivative reaches: the variable, or all members of its family."""
    if where.family is None:
        return [where.target]
    return [t for t in postorder(function) if t.op is ops.MEMBER and t.attr.family == where.family]


def read_vec(row: Term, target: Term) -> Term:
    """The matrix G inside the row ``vec(G)'``: the gradient that the row stands for."""
    if row.op is ops.SCALE:
        return build.smul(row.args[0], read_vec(row.args[1], target))
    if row.op is ops.ADD:
        return build.add(*(read_vec(part, target) for part in row.args))
    column = build.transpose(row)
    if column.op is ops.VEC and column.args[0].shape == target.shape:
        return column.args[0]
    return build.unvec(column, target.rows, target.cols)


def differential(system: System, term: Term) -> Term:
    """The total differential d(F): every variable and every member of a family varies."""
    term = system.simplify(term)

    def direction(leaf: Term) -> Term | None:
        is_variable = leaf.op is ops.MEMBER or (leaf.op is ops.SYM and leaf.attr.role != "state")
        return build.diff(leaf) if is_variable else None

    return present(system, system.simplify(_forward(system, term, direction)))


def forward(system: System, term: Term, targets: Collection[Term]) -> Term:
    """d(F) in the differentials of the targets, and of the states that depend on them."""
    varies = dependents(term, targets)
    ends = {t for t in varies if t.op is ops.STATE} | set(targets)
    return _forward(system, term, lambda node: build.diff(node) if node in ends else None)


Direction = Callable[[Term], Term | None]
"""The differential of a leaf that varies; None for what does not."""


def _forward(system: System, term: Term, direction: Direction) -> Term:
    """d(F) with the given differentials of the variables."""
    made: dict[Term, Term] = {}
    for node in postorder(term):
        given = direction(node)
        if given is not None:
            made[node] = given
            continue
        if not any(a in made for a in node.args):
            continue
        if node.op is ops.STATE:
            made[node] = _tangent(system, node, made.get(node.args[0]), direction)
            continue
        if node.op is ops.BLOCK:
            made[node] = build.with_args(node, tuple(made.get(a, build.zeros(a.rows, a.cols)) for a in node.args))
            continue
        local = system.local_differential(node, made)
        pieces = build.sum_of(local.pieces, node.rows, node.cols)
        made[node] = sum_out(_with_differentials(pieces, made), local.summed)
    return made.get(term, build.zeros(term.rows, term.cols))


def _tangent(system: System, node: Term, start: Term | None, direction: Direction) -> Term:
    """The differential of a state, as a recurrence beside its own: ds[k+1] = (∂F/∂s)(k, s[k]) ds[k] + …."""
    loop, body = open_state(node)
    slot = build.sym(loop.slot)
    moved = build.sym(Symbol(loop.slot.name + "'", slot.rows, slot.cols, frozenset(), "state"))
    step = _forward(system, body, lambda leaf: moved if leaf is slot else direction(leaf))
    here = build.state(node.attr.moved(dim(loop.index)), *node.args)
    if start is None:
        start = build.zeros(node.args[0].rows, node.args[0].cols)
    tangent = Loop(loop.index, loop.step, loop.first, loop.at, moved.attr)
    return build.state(tangent, start, replace(system.simplify(step), {slot: here}))


def _with_differentials(local: Term, made: dict[Term, Term]) -> Term:
    """A local differential with the differentials of the arguments put in."""
    replaced: dict[Term, Term] = {}
    stack = [local]
    while stack:
        node = stack[-1]
        waiting = [a for a in node.args if a.has_diff and a not in replaced]
        if node.op is ops.DIFF and node.args[0] in made:
            replaced[node] = made[node.args[0]]
        elif waiting:
            stack.extend(waiting)
            continue
        elif node.has_diff:
            replaced[node] = build.with_args(node, tuple(replaced.get(a, a) for a in node.args))
        else:
            replaced[node] = node
        stack.pop()
    return replaced[local]


def directional(system: System, term: Term, wrt: Term, direction: Term | Family, shown: bool = True) -> Term:
    """The differential of F at dX = V: the action of the Jacobian, in the shape of F.

    A family as the direction moves every member of the family of ``wrt``.  What is not ``shown`` to anybody is
    simplified only.
    """
    where = variable(system, term, wrt)
    inner = inside(system, where)
    function = inner.simplify(where.enter(term))
    along = direction if isinstance(direction, Family) else where.enter(direction)
    return _left(system, inner, where, tangent(inner, function, where, along), shown)


def tangent(inner: System, function: Term, where: Variable, direction: Term | Family) -> Term:
    """The differential of an entered function along a direction, not yet simplified."""
    if isinstance(direction, Family):

        def every(leaf: Term) -> Term | None:
            moves = leaf.op is ops.MEMBER and leaf.attr.family == where.family
            return build.member(direction, leaf.attr.at) if moves else None

        return _forward(inner, function, every)
    if where.family is None:
        return _forward(inner, function, {where.target: direction}.get)
    if where.family.rows.indices or where.family.cols.indices:  # no direction fits all members
        walked = reverse(inner, function, build.eye(function.rows * function.cols), targets_of(function, where), "vec")
        jacobian = arrived(walked, function, where, "vec")
        return build.unvec(build.mul(jacobian, build.vec(direction)), function.rows, function.cols)

    def only(leaf: Term) -> Term | None:
        if leaf.op is not ops.MEMBER or leaf.attr.family != where.family:
            return None
        return build.smul(build.indicator("=", leaf.attr.at, where.target.attr.at), direction)

    return _forward(inner, function, only)


def pulled_back(system: System, term: Term, wrt: Term, covector: Term) -> Term:
    """The transposed Jacobian acting on G of the shape of F, in the shape of X."""
    where = variable(system, term, wrt)
    inner = inside(system, where)
    function = inner.simplify(where.enter(term))
    found = reverse(inner, function, where.enter(covector), targets_of(function, where), "adjoint")
    return _left(system, inner, where, arrived(found, function, where, "adjoint"))


def restricted(system: System, free: Term, wrt: Term) -> Term:
    """A gradient along the structure of the variable, from the one by independent entries."""
    kind = structure(system, wrt)
    return free if kind is None else present(system, system.simplify(kind.gradient(wrt, free)))


def _left(system: System, inner: System, where: Variable, raw: Term, shown: bool = True) -> Term:
    result = inner.simplify(raw)
    result = present(inner, result) if shown else result
    back = where.leave(result)
    if back is result:
        return back
    back = system.simplify(back)
    return present(system, back) if shown else back


def gradients(system: System, term: Term, variables: Sequence[Term], structured: bool = False) -> list[Derived]:
    """The gradients of a scalar with respect to several variables, by one walk."""
    places = prepared(system, term, variables)
    inner = system
    function = term
    for where in places:
        inner = inside(inner, where)
        function = where.enter(function)
    function = inner.simplify(function)
    targets = [t for where in places for t in targets_of(function, where)]
    found = reverse(inner, function, build.ONE_NUM, targets, "adjoint")
    results: list[Derived] = []
    for where in places:
        result = present(inner, inner.simplify(arrived(found, function, where, "adjoint")))
        told = list(found.conditions)
        for other in places:
            result = other.leave(result)
            told = [(system.simplify(other.leave(t)), fact) for t, fact in told]
        result = present(system, system.simplify(result))
        conditions = tuple(c for c in dict.fromkeys(told) if not system.facts.has(*c))
        free = Derived(result, conditions, list(where.notes))
        results.append(_along(system, free, where.shown, structured, Structure.gradient))
    return results
