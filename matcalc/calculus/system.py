"""All rules under one set of assumptions: the facts, and a rewriter for each purpose."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

from ..errors import NotDifferentiable
from ..rewriting.engine import Rewriter
from ..rewriting.facts import Facts, Query
from ..rewriting.loader import LinearRow, load
from ..rewriting.match import FLAT, HOLE, instantiate, is_variable, match
from ..rewriting.rule import Has, Rule
from ..terms import build, ops
from ..terms.dims import ZERO, Dim, Index, dim
from ..terms.ops import Op
from ..terms.symbols import Grid
from ..terms.term import Term
from ..terms.walk import substitute_indices

Condition = tuple[Term, str]
RUNNING = 1_000_000
"""The level of an index until the constructor gives it its own."""

MAX_FACTORS = 6
"""The differential of a power with a number up to this as exponent is written out."""


class Local(NamedTuple):
    """The differential of one operation: the rule, terms linear in the arguments' differentials, conditions."""

    rule: str
    pieces: tuple[Term, ...]
    conditions: tuple[Condition, ...]
    summed: frozenset[Index] = frozenset()
    """Bound indices of the operation over which the pieces are to be summed."""


class Moved(NamedTuple):
    """One linear primitive taken off: the rule, what is left inside, and what arrived outside."""

    rule: str
    inside: Term
    outside: Term


class System:
    """The rules of the calculus under assumptions about expressions."""

    def __init__(self, assumptions: frozenset[Query] = frozenset()) -> None:
        self.assumptions = assumptions
        file = load("facts").file
        self.facts = Facts(file.facts, file.implications, assumptions)
        self._differentials: dict[Op, list[Rule]] = {}
        for name in ("differential", "elementwise"):
            for rule in load(name).file.rules:
                self._differentials.setdefault(rule.left.args[0].op, []).append(rule)
        self.presenter: object = None
        """What presents terms under these assumptions, once it is needed."""
        self._rows = {name: _by_op(load(name).linear) for name in ("adjoint", "vec")}

    @cached_property
    def simplifier(self) -> Rewriter:
        """Rewrites to the simplified form."""
        return Rewriter(load("simplify").file.rules, self.facts)

    @cached_property
    def expander(self) -> Rewriter:
        """Rewrites to the normal form: simplified and multiplied out."""
        return Rewriter((*load("simplify").file.rules, *load("expand").file.rules), self.facts)

    def rewriter(self, name: str) -> Rewriter:
        """The rows of one rule file, under these assumptions."""
        return Rewriter(load(name).file.rules, self.facts)

    def rewriters(self, name: str) -> list[Rewriter]:
        """One rewriter for each row of a rule file, under these assumptions."""
        return [Rewriter((rule,), self.facts) for rule in load(name).file.rules]

    def distribute(self, term: Term) -> Term:
        """A product multiplied out over the sums among its factors, not inside them."""
        rows = [
            r
            for r in load("expand").file.rules
            if r.name in ("expand-product-left", "expand-product-right", "expand-scale")
        ]
        rewriter = Rewriter(rows, self.facts)
        done: list[Term] = []
        todo = [term]
        while todo:
            part = todo.pop()
            number, rest = build.coefficient(part)
            scalar, product = (rest.args[0], rest.args[1]) if rest.op is ops.SCALE else (build.ONE_NUM, rest)
            applied = rewriter.apply_at_root(product)
            if applied is None:
                done.append(part)
            else:
                parts = applied.after.args if applied.after.op is ops.ADD else (applied.after,)
                todo += [build.smul(build.times(build.num(number), scalar), p) for p in reversed(parts)]
        return build.add(*done)

    def simplify(self, term: Term) -> Term:
        """The simplified form."""
        return self.simplifier.normalize(term)

    def expand(self, term: Term) -> Term:
        """The normal form, in which equal terms are identical as far as the rules know."""
        return self.expander.normalize(term)

    # ------------------------------------------------------------ differentials

    def local_differential(self, node: Term, varies: Collection[Term]) -> Local:
        """d(node) in the differentials of those of its arguments, or of their parts, that vary.

        Raises :class:`NotDifferentiable` when no rule has this operation on its left.
        """
        moving = {a for a in node.args if a in varies}
        op = node.op
        if op in FLAT and op not in _PLACED:
            return Local(self._flat_rule(op), tuple(_one_by_one(node, moving)), ())
        if op is ops.MPOW and 2 <= abs(node.attr.constant or 0) <= MAX_FACTORS:
            return Local("d-power" if node.attr.constant > 0 else "d-negative-power", tuple(_powers(node)), ())
        if op is ops.PROD and not node.is_scalar:
            return Local("d-ordered-product", (_one_factor(node),), (), frozenset((node.attr.index,)))
        if op in _PLACED:
            return Local(f"d-{_PLACED[op]}", tuple(_blocks(node, moving)), ())
        if op is ops.PART:
            return Local("d-part", (build.with_args(node, (build.diff(node.args[0]),)),), ())
        for rule in self._differentials.get(op, ()):
            for found in match(rule.left.args[0], node, {}):
                if not all(self.facts.holds(g, found) for g in rule.guards):
                    continue
                found = {**found, "diff": lambda a: build.diff(a) if a in varies else build.zeros(a.rows, a.cols)}
                total = instantiate(rule.right, found)
                conditions = tuple((instantiate(c.term, found), c.fact) for c in rule.conditions)
                pieces = total.args if total.op is ops.ADD else (total,)
                return Local(rule.name, tuple(p for p in pieces if p.has_diff), self.open_conditions(conditions))
        name = node.attr if op is ops.FUN else op.name
        raise NotDifferentiable(f"no rule gives the differential of {name}")

    def _flat_rule(self, op: Op) -> str:
        return self._differentials[op][0].name

    def open_conditions(self, conditions: Iterable[Condition]) -> tuple[Condition, ...]:
        """Those conditions that are not known to hold."""
        return tuple((t, fact) for t, fact in conditions if not self.facts.has(t, fact))

    def rule_conditions(self, guards: Iterable[Has], found: dict[object, object]) -> tuple[Condition, ...]:
        """The facts that a rule used, instantiated."""
        return tuple((instantiate(g.term, found), g.fact) for g in guards)

    # ------------------------------------------------------------ linear primitives

    def move(self, table: str, linear: Term, outside: Term) -> Moved:
        """Take the outermost primitive off a linear term.

        For ``adjoint``, inner(L(X), G) becomes inner(X, L*(G)); for ``vec``, R*vec(L(X)) becomes
        (R*M)*vec(X).
        """
        op = linear.op
        if op is ops.BLOCK:
            return _move_block(table, linear, outside)
        if op is ops.JOINT:
            return _move_joint(table, linear, outside)
        if op is ops.PART:
            return _move_part(table, linear, outside)
        for row in self._rows[table].get(op, ()):
            for found in _match_linear(row, linear):
                if row.covector is not None:
                    for full in match(row.covector, outside, found):
                        assert row.result is not None
                        return Moved(row.rule.name, _hole(full), instantiate(row.result, full))
                elif table == "vec":
                    if row.result is None:
                        return Moved(row.rule.name, _hole(found), outside)
                    return Moved(row.rule.name, _hole(found), build.mul(outside, instantiate(row.result, found)))
        raise NotDifferentiable(f"no {table} rule moves {op.name}")


def _by_op(rows: Iterable[LinearRow]) -> dict[Op, list[LinearRow]]:
    table: dict[Op, list[LinearRow]] = {}
    for row in rows:
        table.setdefault(row.pattern.op, []).append(row)
    return table


def _hole(found: dict[object, object]) -> Term:
    for key, value in found.items():
        if getattr(key, "name", None) == HOLE and isinstance(value, Term):
            return value
    raise KeyError(HOLE)


def _match_linear(row: LinearRow, linear: Term) -> Iterator[dict[object, object]]:
    """Matches with the hole on the one argument that varies, as tight as it goes."""
    op = linear.op
    if op not in FLAT:
        yield from match(row.pattern, linear, {}, linear=True)
        return
    at = next(i for i, arg in enumerate(linear.args) if arg.has_diff)
    hole = next(i for i, arg in enumerate(row.pattern.args) if is_variable(arg) and arg.attr.name == HOLE)
    combine = (
        build.mul if op is ops.MUL else build.kron if op is ops.KRON else build.times if op is ops.TIMES else build.had
    )
    if op.commutative:
        others = linear.args[:at] + linear.args[at + 1 :]
        groups = {hole: linear.args[at], 1 - hole: combine(*others)}
    else:
        before, after = linear.args[:at], linear.args[at + 1 :]
        last = len(row.pattern.args) - 1
        if op is ops.KRON and before and after:
            before, after = before, ()
            inside = build.kron(*linear.args[at:])
        else:
            inside = linear.args[at]
        if bool(before) != (hole > 0) or bool(after) != (hole < last):
            return
        groups = {hole: inside}
        if before:
            groups[0] = combine(*before)
        if after:
            groups[last] = combine(*after)
    found: list[dict[object, object]] = [{}]
    for i, pattern in enumerate(row.pattern.args):
        found = [deeper for b in found for deeper in match(pattern, groups[i], b, linear=True)]
    yield from found


def _one_by_one(node: Term, moving: set[Term]) -> Iterator[Term]:
    """The node with one operand at a time replaced by its differential."""
    args = node.args
    for i, arg in enumerate(args):
        if arg in moving:
            if node.op is ops.ADD:
                yield build.diff(arg)
            else:
                yield build.with_args(node, (*args[:i], build.diff(arg), *args[i + 1 :]))


def _powers(node: Term) -> Iterator[Term]:
    """The products A^r*dA*A^(k-1-r) of a power with a small number k as exponent, -A^-r*dA*A^(k-1+r) for k < 0."""
    base = node.args[0]
    k = int(node.attr.constant)
    for r in range(k):
        yield build.mul(build.mpow(base, r), build.diff(base), build.mpow(base, k - 1 - r))
    for r in range(1, 1 - k):
        yield build.neg(build.mul(build.mpow(base, -r), build.diff(base), build.mpow(base, k - 1 + r)))


def _one_factor(node: Term) -> Term:
    """The ordered product with its factor at i replaced by the differential: M_1 … dM_i … M_L."""
    index, step, body = node.attr.index, node.attr.step, node.args[0]
    sides = []
    for lo, hi in ((index.lo, dim(index) - step), (dim(index) + step, index.hi)):
        running = Index(RUNNING, lo, hi, step)
        sides.append(build.prod_over(running, substitute_indices(body, {index: dim(running)}), step))
    return build.mul(sides[0], build.diff(body), sides[1])


def _blocks(node: Term, moving: set[Term]) -> Iterator[Term]:
    for i, arg in enumerate(node.args):
        if arg in moving:
            empty = [build.zeros(a.rows, a.cols) for a in node.args]
            empty[i] = build.diff(arg)
            yield build.with_args(node, tuple(empty))


def _move_block(table: str, linear: Term, outside: Term) -> Moved:
    """The one block that varies: its adjoint reads the block off, its vec puts E*X*F with parts E, F of identities."""
    grid: Grid = linear.attr
    at = next(i for i, arg in enumerate(linear.args) if arg.has_diff)
    row, col = divmod(at, grid.cols)
    inside = linear.args[at]
    heights = [linear.args[i * grid.cols].rows for i in range(grid.rows)]
    widths = [linear.args[j].cols for j in range(grid.cols)]
    above, before = sum(heights[:row], ZERO), sum(widths[:col], ZERO)
    rows, cols = (above + 1, above + inside.rows), (before + 1, before + inside.cols)
    if table == "adjoint":
        return Moved("adj-block", inside, build.submatrix(outside, *rows, *cols))
    left = build.submatrix(build.eye(linear.rows), *rows, 1, linear.rows)
    right = build.submatrix(build.eye(linear.cols), *cols, 1, linear.cols)
    return Moved("vec-product", inside, build.mul(outside, build.transpose(build.kron(right, left))))


def by_places(linear: Term) -> list[Term]:
    """Blocks or coupled states of which several vary, as a sum in which one does at a time; of others, the term."""
    moving = [i for i, arg in enumerate(linear.args) if arg.has_diff]
    if linear.op not in _PLACED or len(moving) < 2:
        return [linear]
    return [
        build.with_args(linear, tuple(a if k == i else build.zeros(a.rows, a.cols) for k, a in enumerate(linear.args)))
        for i in moving
    ]


def _move_joint(table: str, linear: Term, outside: Term) -> Moved:
    """The one state that varies among coupled ones: its place in G."""
    at = next(i for i, arg in enumerate(linear.args) if arg.has_diff)
    shapes = build.joint_shapes(linear)
    if table == "adjoint":
        return Moved("adj-joint", linear.args[at], build.part(outside, at, shapes))
    return Moved("vec-joint", linear.args[at], build.mul(outside, _selecting(at, shapes)))


def _move_part(table: str, linear: Term, outside: Term) -> Moved:
    """One of coupled states: G in its place, zeros in the others'."""
    at, *shapes = linear.attr
    if table == "adjoint":
        pairs = zip(shapes[::2], shapes[1::2], strict=True)
        full = build.joint(*(outside if i == at else build.zeros(m, n) for i, (m, n) in enumerate(pairs)))
        return Moved("adj-part", linear.args[0], full)
    return Moved("vec-part", linear.args[0], build.mul(outside, build.transpose(_selecting(at, shapes))))


def _selecting(at: int, shapes: Sequence[Dim]) -> Term:
    """The matrix that puts the vec of one state into its place: the identity there, zeros elsewhere."""
    counts = [m * n for m, n in zip(shapes[::2], shapes[1::2], strict=True)]
    here = counts[at]
    return build.block([[build.eye(here) if i == at else build.zeros(n, here)] for i, n in enumerate(counts)])


_PLACED = {ops.BLOCK: "block", ops.JOINT: "joint"}
"""Operations that put their arguments into places of their own."""


@lru_cache(maxsize=64)
def system(assumptions: frozenset[Query] = frozenset()) -> System:
    """The rules under these assumptions; kept, since a system remembers what it has simplified."""
    return System(assumptions)
