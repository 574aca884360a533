"""The steps of a derivative, made when asked for.

Two routes lead to the same result:

* ``differential`` (Magnus and Neudecker): d(f) is pushed to the leaves, each term is brought to the
  form inner(G, dX), and G is the gradient;
* ``vec`` (Jacobians of vec's): the chain rule along the expression, each factor found by moving vec
  over the linear operations, multiplied from the left and folded by vec(AXB) = (B'⊗A)vec(X).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from ..errors import LimitExceeded
from ..rewriting.steps import DERIVATIVE, IDENTIFY, RESTRICT, Step, joined, preorder, replace_outermost, stepwise
from ..terms import build, ops
from ..terms.dims import NO_INDICES, ONE, Index
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, dependents, postorder, replace, size
from .chain import in_terms_of_inverse, links
from .derive import derivative, forward, gradient, hessian, inside, read_vec, targets_of
from .induction import induction, products_as_recurrences
from .places import at_member, sum_out
from .present import presentation
from .recurrence import Key, Use, key_of, through_states
from .reverse import walk
from .structure import structure
from .system import Condition, System, by_places
from .variable import Variable, is_state, variable

MAX_NODES = 4000
"""Derivations of larger graphs are refused: nobody reads them."""


class _Line:
    """A growing derivation: the current term and the steps so far."""

    def __init__(self, system: System, start: Term) -> None:
        self.system = system
        self.term = start
        self.steps: list[Step] = []

    def to(self, rule: str, after: Term, conditions: tuple[Condition, ...] = (), kind: str = "equal") -> None:
        """One step further."""
        if after is not self.term or kind == IDENTIFY:
            self.steps.append(Step(rule, self.term, after, conditions, kind))
        self.term = after

    def along(self, steps: list[Step]) -> None:
        """Steps found elsewhere; the last one leads on from here."""
        self.steps += steps
        self.term = steps[-1].after if steps else self.term

    def simplify(self) -> None:
        """The steps of simplification, then the normal form reached bottom-up if it differs."""
        for step in stepwise(self.system.simplifier, self.term):
            self.to(step.rule, step.after, step.conditions)
        self.to("simplify", self.system.simplify(self.term))

    def present(self) -> None:
        """The form that is shown: common factors collected, then what reads better."""
        for change in presentation(self.system, self.term):
            self.to(change.rule, change.after)


def derivation(
    system: System,
    term: Term,
    wrt: Term,
    route: str = "differential",
    form: str = "auto",
    structured: bool = False,
) -> list[Step]:
    """The steps from the expression to its derivative.

    ``form`` is ``gradient``, ``jacobian``, ``hessian`` or ``auto`` (the gradient of a scalar, else the
    Jacobian).  Raises :class:`LimitExceeded` for a graph too large to be read.
    """
    if form == "hessian":
        return _second(system, term, wrt, route, structured)
    if size(term) > MAX_NODES:
        raise LimitExceeded(f"a derivation of more than {MAX_NODES} nodes would not be readable")
    where = variable(system, term, wrt)
    line = _Line(inside(system, where), term)
    if where.shown is where.target or where.twin is not None or where.shown.op is ops.SYM:
        line.term = where.enter(term)  # the same name, the structure put aside
    else:
        line.to(_naming(where), where.enter(term))
    line.simplify()
    kind = structure(system, wrt) if structured else None
    as_row = term.is_scalar and form == "jacobian"
    as_gradient = term.is_scalar and (kind is not None or not as_row)
    if route == "vec" or not term.is_scalar:
        _by_chain(line, where) if route == "vec" else _by_vec(line, targets_of(line.term, where), where)
        if as_gradient:
            line.to("read inside the vec", read_vec(line.term, where.target), kind=IDENTIFY)
    else:
        _by_inner_products(line, where)
        if not as_gradient:
            line.to("as a row", line.system.simplify(build.transpose(build.vec(line.term))), kind=IDENTIFY)
    line.simplify()
    line.present()
    back = where.leave(line.term)
    line.system = system
    if back is not line.term:
        line.to("use the structure", back)
        line.simplify()
        line.present()
    if kind is not None:
        line.system = system
        line.to(kind.step, (kind.gradient if as_gradient else kind.jacobian)(wrt, line.term), kind=RESTRICT)
        line.simplify()
        line.present()
        if as_row:
            line.to("as a row", system.simplify(build.transpose(build.vec(line.term))), kind=IDENTIFY)
    find = gradient if as_gradient and not as_row else derivative
    wanted = find(system, term, wrt, structured).term
    shown = induction(system, line.term, wanted)
    if shown is not None:
        line.along(shown)
    else:
        line.to("rearrange", wanted)
    return joined(line.steps)


def _naming(where: Variable) -> str:
    return f"write {where.target} for {'the state' if is_state(where.shown) else where.shown}"


def _second(system: System, term: Term, wrt: Term, route: str, structured: bool) -> list[Step]:
    """The gradient and its Jacobian, the structure of the variable put aside until both are found."""
    where = variable(system, term, wrt)
    inner, function = inside(system, where), where.enter(term)
    line = _Line(inner, term)
    if where.shown.op not in (ops.SYM, ops.MEMBER):
        line.to(_naming(where), function)
    first = gradient(inner, function, where.target).term
    line.steps += derivation(inner, function, where.target, route)
    line.steps += derivation(inner, first, where.target, "vec", "jacobian")
    line.term, line.system = line.steps[-1].after, system
    line.to("use the structure", where.leave(line.term))
    if line.system is not inner:
        line.simplify()
        line.present()
    kind = structure(system, wrt) if structured else None
    if kind is not None:
        line.to(kind.step, kind.hessian(wrt, line.term, gradient(system, term, wrt).term), kind=RESTRICT)
        line.simplify()
        line.present()
    line.to("rearrange", hessian(system, term, wrt, structured).term)
    return joined(line.steps)


def _differentiate(line: _Line, targets: set[Term]) -> None:
    """Push d to the leaves, one rule at a time, at all its places."""
    varies = dependents(line.term, targets)
    constant = line.term not in varies
    line.term = build.diff(line.term)
    if constant:
        line.to("d-constant", build.zeros(line.term.rows, line.term.cols))
        return
    while True:
        moving = [t for t in preorder(line.term) if t.op is ops.DIFF]
        places = [t for t in moving if t.args[0].args and t.args[0].op is not ops.STATE]
        if not places:
            return
        mapping: dict[Term, Term] = {}
        conditions: dict[Condition, None] = {}
        rule = ""
        varies |= dependents(line.term, [*targets, *_members(line.term, targets)])  # what a rule made is new
        for place in places:
            node = place.args[0]
            local = line.system.local_differential(node, varies)
            rule = rule or local.rule
            if local.rule == rule:
                mapping[place] = sum_out(build.sum_of(local.pieces, node.rows, node.cols), local.summed)
                conditions.update(dict.fromkeys(local.conditions))
        line.to(rule, replace_outermost(line.term, mapping), tuple(conditions))


def _members(term: Term, targets: set[Term]) -> list[Term]:
    """The members in a term of the families that vary; a rule may have renamed their indices."""
    families = {t.attr.family for t in targets if t.op is ops.MEMBER}
    return [t for t in postorder(term) if t.op is ops.MEMBER and t.attr.family in families]


Pair = tuple[Term, Term, tuple[Index, ...]]
"""A linear term, what it is multiplied with, and the sums around it, outermost first."""


def _move_all(line: _Line, table: str, pairs: list[Pair], show: Callable[[list[Pair]], Term]) -> list[Pair]:
    """Take linear operations off one rule at a time until only differentials are left inside."""
    while True:
        rule = ""
        moved: list[Pair] = []
        for linear, outside, around in pairs:
            addends = linear.args if linear.op is ops.ADD else by_places(linear)
            if len(addends) > 1:
                name, parts = "linear", [(part, outside, around) for part in addends]
            elif linear.op is ops.SUM:
                index = linear.attr.index
                name, parts = "linear-sum", [(linear.args[0], outside, (*around, index))]
            elif linear.op is ops.DIFF:
                moved.append((linear, outside, around))
                continue
            else:
                step = line.system.move(table, linear, outside)
                name, parts = step.rule, [(step.inside, step.outside, around)]
            if not rule or name == rule:
                rule = name
                moved += parts
            else:
                moved.append((linear, outside, around))
        if not rule:
            return pairs
        pairs = moved
        line.to(rule, show(pairs))


def _through_recurrences(
    line: _Line, table: str, pairs: list[Pair], targets: set[Term], show: Callable[[list[Pair]], Term]
) -> list[Pair]:
    """Carry what has arrived at states of recurrences on to their starts and parameters."""
    while True:
        pending = {p[0].args[0]: None for p in pairs if p[0].args[0].op is ops.STATE and p[0].args[0] not in targets}
        if not pending:
            return pairs
        pairs = _merged(pairs)
        line.to("gather", show(pairs))
        ready = {key: node for node in pending if not _is_used(key := key_of(node), pending)}
        uses: dict[Key, list[Use]] = {key: [] for key in ready}
        passed_on: list[Pair] = []
        for linear, outside, around in pairs:
            node = linear.args[0]
            if node in pending and key_of(node) in ready:
                value = sum_out(outside, set(around) - node.indices)
                uses[key_of(node)].append(Use(node.attr.at, value))
            else:
                passed_on.append((linear, outside, around))
        conditions: dict[Condition, None] = {}
        for key, node in ready.items():
            for passed in through_states(line.system, node, uses[key], NO_INDICES, targets, table, walk):
                conditions.update(dict.fromkeys(passed.conditions))
                for target, value in passed.to_targets.items():
                    passed_on.append((build.diff(target), value, _innermost_last(target.indices)))
                start = node.args[0]
                if targets & set(postorder(start)):
                    moved = forward(line.system, start, targets)
                    if moved.has_diff:  # step(x) does not move
                        passed_on.append((moved, passed.to_start, _innermost_last(start.indices)))
        pairs = passed_on
        line.to("adjoint recurrence" if table == "adjoint" else "product of the steps", show(pairs), tuple(conditions))
        pairs = _move_all(line, table, pairs, show)


def _is_used(key: Key, pending: Iterable[Term]) -> bool:
    """True when more may arrive at the states of the recurrence, from another one that uses them."""
    return any(
        key_of(node) != key and any(t.op is ops.STATE and key_of(t) == key for t in postorder(node)) for node in pending
    )


def _innermost_last(indices: Iterable[Index]) -> tuple[Index, ...]:
    return tuple(sorted(indices, key=lambda i: i.key))


def _merged(pairs: list[Pair]) -> list[Pair]:
    """What is multiplied with the same differential, added up."""
    found: dict[tuple[Term, tuple[Index, ...]], Term] = {}
    for linear, outside, around in pairs:
        key = (linear, around)
        found[key] = build.add(found[key], outside) if key in found else outside
    return [(linear, outside, around) for (linear, around), outside in found.items()]


def _gathered(pairs: list[Pair], where: Variable) -> Term | None:
    """What arrives at the variable in all; None where no member that varies is the variable."""
    carried: dict[Term, Term] = {}
    for linear, outside, around in pairs:
        node = linear.args[0]
        value = sum_out(outside, set(around) - node.indices)
        carried[node] = build.add(carried[node], value) if node in carried else value
    if where.family is not None:
        return at_member(where.family, where.target.attr.at, carried)
    return carried.get(where.target)


def _by_inner_products(line: _Line, where: Variable) -> None:
    targets = set(targets_of(line.term, where))
    _differentiate(line, targets)
    if not line.term.has_diff:
        line.to("d-constant", build.zeros(where.target.rows, where.target.cols), kind=IDENTIFY)
        return

    def show(pairs: list[Pair]) -> Term:
        return build.add(
            build.ZERO_NUM, *(sum_out(build.inner(outside, linear), around) for linear, outside, around in pairs)
        )

    pairs = _move_all(line, "adjoint", [(line.term, build.ONE_NUM, ())], show)
    pairs = _through_recurrences(line, "adjoint", pairs, targets, show)
    total = _gathered(pairs, where) or build.zeros(where.target.rows, where.target.cols)
    line.to("gather", build.inner(total, build.diff(where.target)))
    simplified = line.system.simplify(total)
    line.to("simplify", build.inner(simplified, build.diff(where.target)))
    line.to("identify", simplified, kind=IDENTIFY)


def _by_vec(line: _Line, targets: Iterable[Term], where: Variable) -> None:
    """From F to its Jacobian: d(F), then vec moved over the linear operations."""
    rows = line.term.rows * line.term.cols
    targets = set(targets)
    _differentiate(line, targets)
    if not line.term.has_diff:
        line.to("d-constant", build.zeros(rows, where.target.rows * where.target.cols), kind=IDENTIFY)
        return

    def show(pairs: list[Pair]) -> Term:
        parts = (sum_out(build.mul(outside, build.vec(linear)), around) for linear, outside, around in pairs)
        return build.add(build.zeros(rows), *parts)

    start = line.term
    line.to("vec", build.vec(start))
    pairs = _move_all(line, "vec", [(start, build.eye(rows), ())], show)
    pairs = _through_recurrences(line, "vec", pairs, targets, show)
    total = _gathered(pairs, where) or build.zeros(rows, where.target.rows * where.target.cols)
    line.to("gather", build.mul(total, build.vec(build.diff(where.target))))
    line.to("identify", total, kind=IDENTIFY)
    if rows is ONE:
        line.along(products_as_recurrences(line.system, line.term))
    line.simplify()


def _by_chain(line: _Line, where: Variable) -> None:
    """The chain rule: one Jacobian for each link of the expression, then their product."""
    function, target = line.term, where.target
    if where.family is None and contains(function, target):
        rewritten = in_terms_of_inverse(line.system, function, target)
        if rewritten is not None:
            line.to("in terms of the inverse", rewritten)
    path = links(line.term, target) if where.family is None else []
    if len(path) < 3:
        _by_vec(line, targets_of(function, where), where)
        return
    jacobians: list[Term] = []
    for number, (outer, inner) in enumerate(pairwise(path)):
        stand_in = inner
        if inner is not target:
            stand_in = build.sym(Symbol(f"Z{number}", inner.rows, inner.cols, frozenset(), "hidden"))
        part = _Line(line.system, replace(outer, {inner: stand_in}))
        _by_vec(part, [stand_in], Variable(stand_in, stand_in))
        back = {stand_in: inner}
        line.steps += [
            Step(
                s.rule,
                replace(s.before, back),
                replace(s.after, back),
                tuple((replace(t, back), f) for t, f in s.conditions),
                s.kind,
            )
            for s in part.steps
        ]
        after = _Line(line.system, replace(part.term, back))
        after.simplify()
        line.steps += after.steps
        jacobians.append(after.term)
    line.steps.append(Step("chain rule", line.term, build.mul(*jacobians), (), DERIVATIVE))
    line.term = build.mul(*jacobians)
    line.to("multiply out", line.system.distribute(line.term))
    line.simplify()
