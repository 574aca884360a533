"""A matrix as a sum of few Kronecker products, by its term."""

from __future__ import annotations

from ..terms import build, ops
from ..terms.dims import ONE, Dim
from ..terms.term import Term

Pair = tuple[Term, Term]


def kronecker_pairs(term: Term, rows: Dim, cols: Dim) -> list[Pair] | None:
    """Pairs (A, B) with ``term`` = Σ A ⊗ B, of A cols×cols and B rows×rows; None where the term does not show them."""
    found: list[Pair] = []
    todo = [(term, build.num(1))]
    while todo:
        part, scale = todo.pop()
        if part.op is ops.ADD:
            todo += [(addend, scale) for addend in reversed(part.args)]
        elif part.op is ops.SCALE:
            todo.append((part.args[1], build.times(scale, part.args[0])))
        else:
            pair = _pair(part, rows, cols)
            if pair is None:
                return None
            left, right = pair
            scaled = left.op is ops.EYE and right.op is not ops.EYE
            found.append((left, build.smul(scale, right)) if scaled else (build.smul(scale, left), right))
    return _merged(found)


def _pair(term: Term, rows: Dim, cols: Dim) -> Pair | None:
    """One Kronecker product, cut where the sides have these sizes."""
    if term.op is ops.EYE:
        return build.eye(cols), build.eye(rows)
    if term.op is not ops.KRON:
        return None
    size: Dim = ONE
    for at, factor in enumerate(term.args[:-1], 1):
        size = size * factor.rows
        if size is cols:
            left, right = build.kron(*term.args[:at]), build.kron(*term.args[at:])
            return (left, right) if left.is_square and right.is_square else None
    return None


def _merged(pairs: list[Pair]) -> list[Pair]:
    """Fewer pairs: those with one factor in common are one."""
    for side in (0, 1):
        common: dict[Term, list[Term]] = {}
        for pair in pairs:
            common.setdefault(pair[side], []).append(pair[1 - side])
        sums = [(key, build.add(*rest)) for key, rest in common.items()]
        pairs = sums if side == 0 else [(left, right) for right, left in sums]
    return pairs
