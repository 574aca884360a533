"""Recurrences whose step multiplies the state by what does not change, as powers.

``y[k+1] = A*y[k]*B`` has ``y[k] = A^k*y[0]*B^k``.
"""

from __future__ import annotations

from collections.abc import Callable

from ..terms import build, ops
from ..terms.dims import Dim
from ..terms.term import Term
from ..terms.walk import contains, open_state, postorder


def with_powers(term: Term, simplify: Callable[[Term], Term]) -> Term:
    """The term with each recurrence of that kind as powers."""
    if not any(t.op is ops.STATE for t in postorder(term)):
        return term
    made: dict[Term, Term] = {}
    for node in postorder(term):
        args = tuple(made[a] for a in node.args)
        new = node if args == node.args else build.with_args(node, args)
        made[node] = (_powers(new) or new) if new.op is ops.STATE else new
    return term if made[term] is term else simplify(made[term])


def _powers(state: Term) -> Term | None:
    loop, body = open_state(state)
    slot = build.sym(loop.slot)
    start = state.args[0]
    times: Dim = (loop.at - loop.first) * loop.step
    scalar, product = body.args if body.op is ops.SCALE else (build.ONE_NUM, body)
    factors = product.args if product.op in (ops.MUL, ops.TIMES) else (product,)
    if slot not in factors or any(contains(f, slot) for f in (scalar, *factors) if f is not slot):
        return None
    if factors.count(slot) != 1 or any(loop.index in f.indices for f in (scalar, *factors)):
        return None
    at = factors.index(slot)
    left, right = factors[:at], factors[at + 1 :]
    if product.op is ops.TIMES:
        return build.times(build.power_of(build.times(*left, *right), build.integer(times)), start)
    parts = [build.mpow(build.mul(*side), times) for side in (left, right) if side]
    moved = build.mul(*parts[: bool(left)], start, *parts[bool(left) :])
    return moved if scalar is build.ONE_NUM else build.smul(build.power_of(scalar, build.integer(times)), moved)
