"""The driver: rewrites a term bottom-up by a set of rules until none applies.

Iterative, each distinct sub-term once; results are kept, so that a term met again costs nothing.
Fuel bounds the number of rule applications; when it runs out the last ones are named.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ..errors import LimitExceeded
from ..terms import ops
from ..terms.build import mul, tr, transpose, with_args
from ..terms.ops import Op
from ..terms.term import Term
from .facts import Facts
from .match import FLAT, instantiate, is_variable, match_root
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
        self._by_op: dict[Op, list[tuple[Rule, frozenset[Op]]]] = {}
        for rule in self.rules:
            needed = frozenset(
                a.op for a in rule.left.args if not is_variable(a) and a.op is not ops.MEMBER
            )
            self._by_op.setdefault(rule.left.op, []).append((rule, needed))

    def candidates(self, term: Term) -> Iterable[Rule]:
        """The rules whose left side could match at the root."""
        rows = self._by_op.get(term.op)
        if not rows:
            return ()
        if len(rows) == 1 and not rows[0][1]:
            return (rows[0][0],)
        present = {a.op for a in term.args}
        return [rule for rule, needed in rows if needed <= present]


class Rewriter:
    """Normalises terms by rules under the facts of one set of assumptions."""

    def __init__(self, rules: Iterable[Rule], facts: Facts, fuel: int = DEFAULT_FUEL) -> None:
        self.index = RuleIndex(rules)
        self.facts = facts
        self.fuel = fuel
        self._normal: dict[Term, Term] = {}

    def apply_at_root(self, term: Term) -> Applied | None:
        """The first rule that applies at the root, used once."""
        for rule in self.index.candidates(term):
            for bindings, put_back in match_root(rule.left, term):
                if not all(self.facts.holds(g, bindings) for g in rule.guards):
                    continue
                result = put_back(instantiate(rule.right, bindings))
                if rule.ordered:
                    result = self._transposes_settled(result)
                    if not smaller(result, term):
                        continue
                elif result is term:
                    continue
                conditions = tuple(
                    (instantiate(g.term, bindings), g.fact) for g in (*rule.guards, *rule.conditions)
                    if isinstance(g, Has) and not g.negated
                )
                return Applied(rule, term, result, conditions)
        return None

    def _transposes_settled(self, term: Term) -> Term:
        """The term with ``(A*B)'`` as ``B'*A'``: forms that an ordered rule compares must be normal themselves."""
        if term.op is ops.TR:
            return tr(self._transposes_settled(term.args[0]))
        if term.op is not ops.MUL:
            return term
        factors: list[Term] = []
        for factor in term.args:
            if factor.op is ops.TRANSPOSE:
                inside = factor.args[0]
                parts = inside.args if inside.op is ops.MUL else (inside,)
                factors += [self.normalize(transpose(part)) for part in reversed(parts)]
            else:
                factors.append(factor)
        return mul(*factors)

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
                    raise LimitExceeded(f"the rules {', '.join(recent[-10:])} go in a circle")
                else:
                    active.add(term)
                    stack.append(ahead)
                continue
            waiting = [a for a in term.args if a not in normal]
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
                raise LimitExceeded(f"more than {self.fuel} rewriting steps; the last rules were {', '.join(recent[-10:])}")
            forward[term] = applied.after
        return normal[root]


def smaller(a: Term, b: Term) -> bool:
    """The order in which ordered rules go down: operands compared from the left."""
    x, y = a, b
    while x is not y:
        if x.op is not y.op:
            return x.key < y.key
        if len(x.args) != len(y.args) or not x.args:
            return x.key < y.key
        for p, q in zip(x.args, y.args, strict=True):
            if p is not q:
                if x.op in FLAT or len(x.args) > 1:
                    return p.key < q.key
                x, y = p, q
                break
    return False
