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

from ..terms import build, ops
from ..terms.dims import ONE, Index
from ..terms.term import Term
from ..terms.walk import postorder
from .places import sum_out
from .recurrence import Key, Use, key_of, through_states
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
    states = [t for t in order if t.op is ops.STATE and t in varies and t not in goal]
    last = {key_of(t): t for t in reversed(states)}
    used: dict[Key, list[Use]] = {}
    arriving: dict[Term, list[Term]] = {root: [seed]} if root in varies else {}
    carried: dict[Term, Term] = {}
    conditions: dict[Condition, None] = {}
    outer = root.indices | seed.indices

    def arrive(at: Term, value: Term) -> None:
        if at in varies:
            arriving.setdefault(at, []).append(value)
        elif at.op is ops.STATE and at not in goal:
            used.setdefault(key_of(at), []).append(Use(at.attr.at, value))
        else:
            carried[at] = build.add(carried[at], value) if at in carried else value

    for node in reversed(order):
        parts = arriving.pop(node, None)
        if node.op is ops.STATE and node in varies and node not in goal:
            key = key_of(node)
            if parts is not None:
                used.setdefault(key, []).append(Use(node.attr.at, build.add(*parts)))
            if table == "adjoint" and node is not last[key]:
                continue  # what arrives at all states of a recurrence goes on together
            uses = [use for use in used.pop(key, []) if use.value.op is not ops.ZEROS]
            for passed in through_states(system, node, uses, outer, goal, table, walk):
                conditions.update(dict.fromkeys(passed.conditions))
                if node.args[0] in varies:
                    arrive(node.args[0], passed.to_start)
                for target, value in passed.to_targets.items():
                    arrive(target, value)
            continue
        if parts is None:
            continue
        total = build.add(*parts)
        if node in goal:
            carried[node] = total
            continue
        if total.op is ops.ZEROS or total is build.ZERO_NUM:
            continue
        if node.op is ops.BLOCK and node.cols is ONE and table == "vec":
            for target, stacked in _stacked(system, node, goal, conditions).items():
                arrive(target, sum_out(build.mul(total, stacked), node.indices - outer - target.indices))
            continue
        local = system.local_differential(node, varies)
        conditions.update(dict.fromkeys(local.conditions))
        for piece in local.pieces:
            for argument, value, opened in _through(system, piece, total, table, local.summed):
                scope = (node.indices | opened) - outer
                arrive(argument, sum_out(value, scope - argument.indices))
    return Reverse(carried, tuple(conditions))


def _stacked(system: System, node: Term, goal: Collection[Term], conditions: dict[Condition, None]) -> dict[Term, Term]:
    """The Jacobian of a column of blocks: those of the blocks, one above the other."""
    found = []
    for part in node.args:
        carried, needed = walk(system, part, build.eye(part.rows), goal, "vec")
        conditions.update(dict.fromkeys(needed))
        found.append(carried)
    return {
        target: build.block(
            [
                [part.get(target, build.zeros(arg.rows, target.rows * target.cols))]
                for part, arg in zip(found, node.args, strict=True)
            ]
        )
        for target in dict.fromkeys(t for part in found for t in part)
    }


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
