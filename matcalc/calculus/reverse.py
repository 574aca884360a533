"""Derivatives of a shared graph, from its result back to the variable, each node once.

One walk serves two purposes, which differ only in what is carried and in the table of rules that
moves it over a linear primitive:

* ``adjoint`` carries G with df = inner(dN, G) for each node N, and ends with the gradient;
* ``vec`` carries R with dvec(F) = R*vec(dN), and ends with the Jacobian.

A node outside a sum over i that is used inside it receives the sum over i of what the uses inside
contribute; so does a member ``x[e(i)]`` of a family, where the sum is resolved by i = e⁻¹(j).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

from ..errors import NotDifferentiable
from ..terms import build, ops
from ..terms.dims import Dim, Index, dim, known_nonnegative, substitute
from ..terms.symbols import Family
from ..terms.term import Term
from ..terms.walk import postorder, substitute_indices
from .recurrence import through_state
from .system import Condition, System


class Reverse(NamedTuple):
    """What arrived at each target, and under which conditions the rules used hold."""

    carried: dict[Term, Term]
    conditions: tuple[Condition, ...]


def reverse(system: System, root: Term, seed: Term, targets: Iterable[Term], table: str) -> Reverse:
    """Carry ``seed`` from ``root`` back to each of ``targets`` (nothing arrives: absent)."""
    goal = set(targets)
    order = postorder(root)
    varies = set(goal)
    for term in order:
        if term not in varies and any(arg in varies for arg in term.args):
            varies.add(term)
    arriving: dict[Term, list[Term]] = {root: [seed]} if root in varies else {}
    carried: dict[Term, Term] = {}
    conditions: dict[Condition, None] = {}
    outer = root.indices
    for node in reversed(order):
        parts = arriving.pop(node, None)
        if parts is None:
            continue
        total = build.add(*parts)
        if node in goal:
            carried[node] = total
            continue
        if total.op is ops.ZEROS or total is build.ZERO_NUM:
            continue
        if node.op is ops.STATE:
            passed = through_state(system, node, total, goal, table, walk)
            conditions.update(dict.fromkeys(passed.conditions))
            if node.args[0] in varies:
                arriving.setdefault(node.args[0], []).append(
                    sum_out(passed.to_start, node.indices - outer - node.args[0].indices)
                )
            for target, value in passed.to_targets.items():
                value = sum_out(value, node.indices - outer - target.indices)
                if target in varies:
                    arriving.setdefault(target, []).append(value)
                else:
                    carried[target] = build.add(carried[target], value) if target in carried else value
            continue
        local = system.local_differential(node, varies)
        conditions.update(dict.fromkeys(local.conditions))
        for piece in local.pieces:
            for argument, value, opened in _through(system, piece, total, table, local.summed):
                scope = (node.indices | opened) - outer
                value = sum_out(value, scope - argument.indices)
                arriving.setdefault(argument, []).append(value)
    return Reverse(carried, tuple(conditions))


def walk(
    system: System, root: Term, seed: Term, targets: Collection[Term], table: str
) -> tuple[dict[Term, Term], tuple[Condition, ...]]:
    """:func:`reverse` as the algorithm for recurrences calls it."""
    found = reverse(system, root, seed, targets, table)
    return found.carried, found.conditions


def _through(
    system: System, piece: Term, carried: Term, table: str, summed: frozenset[Index]
) -> Iterable[tuple[Term, Term, frozenset[Index]]]:
    """Move what is carried over the linear primitives of one local differential."""
    found: list[tuple[Term, Term, frozenset[Index]]] = []
    stack: list[tuple[Term, Term, frozenset[Index]]] = [(piece, carried, summed)]
    while stack:
        linear, outside, opened = stack.pop()
        if not linear.has_diff:
            continue
        if linear.op is ops.DIFF:
            found.append((linear.args[0], outside, opened))
        elif linear.op is ops.ADD:
            stack.extend((part, outside, opened) for part in reversed(linear.args))
        elif linear.op is ops.SUM:
            stack.append((linear.args[0], outside, opened | {linear.attr.index}))
        else:
            moved = system.move(table, linear, outside)
            stack.append((moved.inside, moved.outside, opened))
    return found


def sum_out(value: Term, indices: Iterable[Index]) -> Term:
    """The sum of ``value`` over the indices, those whose range depends on others innermost."""
    left = set(indices)
    while left:
        index = max(
            (a for a in left if not any(a in (b.lo.indices | b.hi.indices) for b in left if b is not a)),
            key=lambda a: a.key,
        )
        value = build.sum_over(index, value)
        left.discard(index)
    return value


def at_member(family: Family, at: Dim, carried: dict[Term, Term]) -> Term | None:
    """What arrived at ``family[at]``, from all members ``family[e(i)]`` that occur.

    Each contributes sum_i ind(e(i) = at)*value(i), which is the value at i = e⁻¹(at) where that lies
    in the range of i.
    """
    total: list[Term] = []
    for node, value in carried.items():
        if node.op is not ops.MEMBER or node.attr.family != family:
            continue
        where: Dim = node.attr.at
        free = sorted(where.indices, key=lambda i: i.key)
        if not free:
            hit = build.indicator("=", where, at)
            if hit is not build.ZERO_NUM:
                total.append(build.smul(hit, value))
            continue
        total.append(_resolve(where, at, free, value, family))
    return build.add(*total) if total else None


def _resolve(where: Dim, at: Dim, free: list[Index], value: Term, family: Family) -> Term:
    for index in reversed(free):
        slope = (substitute(where, {index: dim(index) + 1}) - where).constant
        if slope not in (1, -1):
            continue
        solution = (at - substitute(where, {index: dim(0)})) * int(slope)
        rest = [i for i in free if i is not index]
        if any(index in (i.lo.indices | i.hi.indices) for i in rest):
            continue
        moved = substitute_indices(value, {index: solution})
        least, most = (index.lo, index.hi) if index.step > 0 else (index.hi, index.lo)
        for low, high in ((least, solution), (solution, most)):
            moved = build.smul(_within(low, high, at, family), moved)
        return sum_out(moved, rest)
    raise NotDifferentiable(f"the member {family.name}[{where}] cannot be solved for its index")


def _within(low: Dim, high: Dim, at: Dim, family: Family) -> Term:
    """ind(low <= high), 1 where it follows from ``at`` being in the declared range of the family."""
    gap = high - low
    for known in (at - family.index.lo, family.index.hi - at):
        if known_nonnegative(gap - known):
            return build.ONE_NUM
    if known_nonnegative(gap):
        return build.ONE_NUM
    return build.indicator("<=", low, high)
