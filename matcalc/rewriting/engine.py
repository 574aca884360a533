"""The driver: rewrites a term bottom-up by a set of rules until none applies.

Iterative, each distinct sub-term once; results are kept, so that a term met again costs nothing.
Fuel bounds the number of rule applications; when it runs out the last ones are named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from ..bounds import tick
from ..errors import LimitExceeded
from ..terms import ops
from ..terms.arithmetic import add, had, times
from ..terms.dims import ONE, Name
from ..terms.ops import Op
from ..terms.products import kron, mul, transpose
from ..terms.rebuild import with_args
from ..terms.symbols import Symbol
from ..terms.term import Term
from .facts import Facts
from .match import FLAT, instantiate, is_negated, is_variable, match_root, reorders
from .rule import Has, Rule

MAX_MEMO = 400_000
DEFAULT_FUEL = 200_000


@dataclass(frozen=True)
class Applied:
    """One use of a rule: what it made of a term, and the guards that were needed."""

    rule: Rule
    before: Term
    after: Term
    conditions: tuple[tuple[Term, str], ...] = ()


class RuleIndex:
    """Rules by the operator at their root, with a quick test on the operands' operators."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self.rules = tuple(rules)
        self._by_op: dict[Op, list[tuple[Rule, frozenset[object]]]] = {}
        self._shown: dict[tuple[Op, frozenset[object]], list[Rule]] = {}
        """What :meth:`candidates` answered for an operator and what its operands show."""
        self.spread: dict[Rule, Callable[[Term], Term | None]] = {}
        for rule in self.rules:
            needed = frozenset(sign for a in rule.left.args for sign in _signs_of_pattern(a))
            needed |= frozenset(_signs_of(rule.left))
            if rule.left.op is ops.MUL:  # no factor is a number, which ones(1,1) would match
                needed |= {a.op for a in rule.left.args if a.op is ops.ONES}
            self._by_op.setdefault(rule.left.op, []).append((rule, needed))
            distributes = _spreading(rule)
            if distributes is not None:
                self.spread[rule] = distributes

    def candidates(self, term: Term) -> Iterable[Rule]:
        """The rules whose left side could match at the root."""
        rows = self._by_op.get(term.op)
        if not rows:
            return ()
        if len(rows) == 1 and not rows[0][1]:
            return (rows[0][0],)
        present: set[object] = set(_signs_of(term))
        for arg in term.args:
            present.add(arg.op)
            if len(arg.args) == 1:
                present.add((arg.op, arg.args[0].op))
                if arg.op is ops.FUN:
                    present.add(arg.attr)
        shown = (term.op, frozenset(present))
        found = self._shown.get(shown)
        if found is None:
            found = self._shown[shown] = [rule for rule, needed in rows if needed <= present]
        return found


def _signs_of(term: Term) -> list[object]:
    """What a term shows as a whole: the name of its function, a factor or an addend beside its own transpose."""
    if term.op is ops.FUN:
        return [term.attr] if isinstance(term.attr, str) else []
    if term.op in FLAT:
        for arg in term.args:
            if arg.op is ops.TRANSPOSE and (arg.args[0] in term.args or arg.args[0].op in FLAT):
                return ["paired"]
    return []


_ANY_OP = (ops.MEMBER, ops.INT, ops.ONES)
"""Patterns that also match terms of other operators."""


def _signs_of_pattern(pattern: Term) -> list[object]:
    """What an operand must show to match: its operator, its function's name, and the operator of its only argument."""
    if is_variable(pattern) or pattern.op in _ANY_OP or is_negated(pattern):
        return []
    signs: list[object] = [pattern.op]
    if pattern.op is ops.FUN and isinstance(pattern.attr, str):
        signs.append(pattern.attr)
    if len(pattern.args) == 1 and not pattern.op.binder:
        inside = pattern.args[0]
        if not (is_variable(inside) or inside.op in _ANY_OP or is_negated(inside)):
            signs.append((pattern.op, inside.op))
    return signs


class Rewriter:
    """Normalises terms by rules under the facts of one set of assumptions.

    Of terms that rules turn into one another in a circle the smallest is the normal form; ``strict`` refuses them.
    """

    def __init__(
        self, rules: Iterable[Rule] | RuleIndex, facts: Facts, fuel: int = DEFAULT_FUEL, strict: bool = False
    ) -> None:
        self.strict = strict
        self.index = rules if isinstance(rules, RuleIndex) else RuleIndex(rules)
        self.facts = facts
        self.fuel = fuel
        self._normal: dict[Term, Term] = {}

    def apply_at_root(self, term: Term, ordered: bool = True) -> Applied | None:
        """The first rule that applies at the root, used once (a row that distributes: over all operands).

        Without ``ordered`` the ordered rows are left out.
        """
        for rule in self.index.candidates(term):
            if rule.ordered and not ordered:
                continue
            if rule in self.index.spread:
                spread = self.index.spread[rule](term)
                if spread is not None:
                    return Applied(rule, term, spread)
                continue
            if rule.ordered:
                smaller = self._reordered(rule, term)
                if smaller is not None:
                    return smaller
                continue
            applied = next(self._uses(rule, term), None)
            if applied is not None:
                return applied
        return None

    def alternatives(self, term: Term) -> Iterator[Applied]:
        """Every use of every rule at the root."""
        for rule in self.index.candidates(term):
            yield from self._uses(rule, term)

    def _uses(self, rule: Rule, term: Term) -> Iterator[Applied]:
        for bindings, put_back in match_root(rule.left, term):
            if not all(self.facts.holds(g, bindings) for g in rule.guards):
                continue
            result = put_back(instantiate(rule.right, bindings))
            if result is term:
                continue
            conditions = tuple(
                (instantiate(g.term, bindings), g.fact)
                for g in (*rule.guards, *rule.conditions)
                if isinstance(g, Has) and not g.negated
            )
            yield Applied(rule, term, result, conditions)

    def _reordered(self, rule: Rule, term: Term) -> Applied | None:
        """An ordered row used, where that makes the term smaller in the order of terms."""
        if not reorders(rule.left):
            return next((a for a in self._uses(rule, term) if a.after.key < term.key), None)
        best = self._smallest(rule, term)
        return None if best is None else Applied(rule, term, best)

    def _smallest(self, rule: Rule, term: Term) -> Term | None:
        """The smallest of the forms that an ordered row gives for a product A*B, if smaller than the term.

        A form that another row turns back is left out.
        """
        inside = term.args[0] if term.op is not ops.MUL else term
        if inside.op is not ops.MUL:
            return None
        factors = inside.args
        shape = rule.left if rule.left.op is ops.MUL else rule.left.args[0]
        first, second = (p.attr for p in shape.args)
        smaller: list[tuple[list[tuple[int, str, int, bytes]], tuple[Term, ...]]] = []
        wanted = [f.key for f in factors]
        if (shape.rows is ONE and inside.rows is not ONE) or (shape.cols is ONE and inside.cols is not ONE):
            return None
        for cut in range(1, len(factors)):
            runs = {first: factors[:cut], second: factors[cut:]}
            form = self._factors(rule.right, runs)
            keys = [(f.args[1] if f.op is ops.SCALE else f).key for f in form]  # C' of a skew C is -C
            if keys < wanted:
                smaller.append((keys, form))
        for _, form in sorted(smaller, key=lambda one: one[0]):
            product = mul(*form)
            back = self.apply_at_root(product, ordered=False)
            if back is None or back.after is not inside:
                return product if term is inside else with_args(term, (product,))
        return None

    def _factors(self, pattern: Term, runs: dict[Symbol, tuple[Term, ...]]) -> tuple[Term, ...]:
        """The factors of the right side of an ordered row, transposes pushed inwards."""
        if pattern.op is ops.SYM:
            return runs[pattern.attr]
        if pattern.op is ops.TRANSPOSE:
            return tuple(self.normalize(transpose(f)) for f in reversed(self._factors(pattern.args[0], runs)))
        return tuple(f for part in pattern.args for f in self._factors(part, runs))

    def normalize(self, root: Term) -> Term:
        """The normal form of a term.  Raises :class:`LimitExceeded` when the fuel runs out."""
        normal = self._normal
        if len(normal) > MAX_MEMO:
            normal.clear()
        found = normal.get(root)
        if found is not None:
            return found
        fuel = self.fuel
        recent: list[str] = []
        forward: dict[Term, Term] = {}
        stack = [root]
        active: set[Term] = set()
        while stack:
            term = stack[-1]
            if term in normal:
                stack.pop()
                continue
            ahead = forward.get(term)
            if ahead is not None:
                if ahead in normal:
                    normal[term] = normal[ahead]
                    stack.pop()
                    active.discard(term)
                elif ahead in active:
                    circle = None if self.strict else _circle(term, forward)
                    if circle is None:
                        raise LimitExceeded(f"the rules {', '.join(recent[-10:])} go in a circle")
                    least = min(circle, key=lambda t: (t.weight, t.key))
                    normal.update(dict.fromkeys(circle, least))
                else:
                    active.add(term)
                    stack.append(ahead)
                continue
            waiting = [a for a in term.args if a not in normal]
            if waiting and not active.isdisjoint(waiting):  # rules turn T into -U and U into -T
                if self.strict:
                    raise LimitExceeded(f"the rules {', '.join(recent[-10:])} go in a circle")
                normal.update({a: a for a in waiting if a in active})
                continue
            tick()
            if waiting:
                stack.extend(waiting)
                continue
            if term.args:
                args = tuple(normal[a] for a in term.args)
                if args != term.args:
                    new = with_args(term, args)
                    if new is not term:
                        forward[term] = new
                        continue
            applied = self.apply_at_root(term)
            if applied is None:
                normal[term] = term
                stack.pop()
                continue
            fuel -= 1
            recent.append(applied.rule.name)
            if fuel <= 0:
                raise LimitExceeded(
                    f"more than {self.fuel} rewriting steps; the last rules were {', '.join(recent[-10:])}"
                )
            forward[term] = applied.after
        return normal[root]


def _circle(term: Term, forward: dict[Term, Term]) -> list[Term] | None:
    """The terms that rules turn into one another, from ``term`` round to itself; None when they do not come back."""
    found = [term]
    following = forward.get(term)
    while following is not term:
        if following is None or following in found:
            return None
        found.append(following)
        following = forward.get(following)
    return found


def _spreading(rule: Rule) -> Callable[[Term], Term | None] | None:
    """For a row ``u(A + B) -> u(A) + u(B)`` over a flat operation: the same over all operands at once."""
    left, right = rule.left, rule.right
    if rule.guards or rule.ordered or len(left.args) != 1 or left.attr is not None or left.args[0].op not in FLAT:
        return None
    inside = left.args[0]
    if (
        len(inside.args) != 2
        or len(right.args) != 2
        or right.op not in FLAT
        or not all(is_variable(a) for a in inside.args)
    ):
        return None
    first = inside.args[0]
    fixed = [(i, size) for i, size in enumerate(first.shape) if size.constant is not None]
    if any(a.is_square for a in inside.args) or (fixed and inside.op is not ops.ADD):
        return None
    if any(size.constant is None and not isinstance(size.atom, Name) for a in inside.args for size in a.shape):
        return None
    images = [with_args(left, (a,)) for a in inside.args]
    if list(right.args) == images:
        backwards = False
    elif list(right.args) == images[::-1]:
        backwards = not inside.op.commutative
    else:
        return None
    outer, inner = right.op, inside.op

    def spread(term: Term) -> Term | None:
        if term.args[0].op is not inner or any(term.args[0].shape[i] is not size for i, size in fixed):
            return None
        images = [with_args(term, (a,)) for a in term.args[0].args]
        return with_args_of(outer, images[::-1] if backwards else images)

    return spread


def with_args_of(op: Op, args: list[Term]) -> Term:
    """A flat operation of these operands."""
    return _MAKE[op](*args)


_MAKE: dict[Op, Callable[..., Term]] = {ops.ADD: add, ops.MUL: mul, ops.HAD: had, ops.KRON: kron, ops.TIMES: times}
