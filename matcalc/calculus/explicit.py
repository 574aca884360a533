"""Small arrays written out: ``x[1]*basis(1, 2) - x[2]*basis(2, 2)`` as ``[x[1]; -x[2]]``.

What is built from scalars and units of numbered sizes alone has an entry at every place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import postorder

MOST = 36
"""Larger arrays are not written out."""

MOST_NODES = 200
"""Terms of more nodes are left as they are."""

BUILT = frozenset({ops.ADD, ops.SCALE, ops.MUL, ops.HAD, ops.TRANSPOSE, ops.BLOCK, ops.DIAG, ops.SLICE})
LEAVES = frozenset({ops.BASIS, ops.EYE, ops.ZEROS, ops.ONES})


class _Array(NamedTuple):
    rows: int
    cols: int
    at: tuple[Term, ...]
    """Row by row."""

    def __call__(self, i: int, j: int) -> Term:
        return self.at[i * self.cols + j]


def written_out(term: Term, simplify: Callable[[Term], Term]) -> Term | None:
    """The array entry by entry, where it is small and nothing but scalars at their places; else None."""
    if term.is_scalar or term.op not in BUILT or _shape(term) is None or term.weight > MOST_NODES:
        return None
    if term.op is ops.BLOCK and all(a.is_scalar for a in term.args):
        return None
    made: dict[Term, _Array | None] = {}
    for node in postorder(term):
        made[node] = _entries(node, made)
    array = made[term]
    if array is None:
        return None
    return build.block([[simplify(array(i, j)) for j in range(array.cols)] for i in range(array.rows)])


def _shape(term: Term) -> tuple[int, int] | None:
    rows, cols = term.rows.constant, term.cols.constant
    return (int(rows), int(cols)) if rows and cols and rows * cols <= MOST else None


def _entries(term: Term, made: dict[Term, _Array | None]) -> _Array | None:
    if term.is_scalar:
        return _Array(1, 1, (term,))
    shape = _shape(term)
    if shape is None:
        return None
    rows, cols = shape
    if term.op in LEAVES:
        at = _leaf(term, rows, cols)
    elif (
        term.op in BUILT
        and (inside := [a for p in term.args if (a := made[p]) is not None])
        and len(inside) == len(term.args)
    ):
        at = _built(term, inside, rows, cols)
    else:
        at = None
    return None if at is None else _Array(rows, cols, tuple(at))


def _leaf(term: Term, rows: int, cols: int) -> list[Term] | None:
    if term.op is ops.BASIS:
        one = term.attr[0].constant
        return None if one is None else [build.num(int(i + 1 == one)) for i in range(rows)]
    if term.op is ops.EYE:
        return [build.num(int(i == j)) for i in range(rows) for j in range(cols)]
    return [build.num(int(term.op is ops.ONES))] * (rows * cols)


def _built(term: Term, args: list[_Array], rows: int, cols: int) -> list[Term] | None:
    first = args[0]
    places = [(i, j) for i in range(rows) for j in range(cols)]
    if term.op is ops.ADD:
        return [build.add(*(a(i, j) for a in args)) for i, j in places]
    if term.op is ops.HAD:
        return [build.times(*(a(i, j) for a in args)) for i, j in places]
    if term.op is ops.SCALE:
        return [build.times(term.args[0], args[1](i, j)) for i, j in places]
    if term.op is ops.TRANSPOSE:
        return [first(j, i) for i, j in places]
    if term.op is ops.MUL:
        for second in args[1:]:
            inner = range(second.rows)
            at = [
                build.add(*(build.times(first(i, k), second(k, j)) for k in inner))
                for i in range(first.rows)
                for j in range(second.cols)
            ]
            first = _Array(first.rows, second.cols, tuple(at))
        return list(first.at)
    if term.op is ops.DIAG:
        return [first(i, 0) if i == j else build.num(0) for i, j in places]
    if term.op is ops.SLICE:
        a, c = term.attr[0].constant, term.attr[2].constant
        return None if a is None or c is None else [first(i + int(a) - 1, j + int(c) - 1) for i, j in places]
    grid = term.attr
    lines = [args[k * grid.cols : (k + 1) * grid.cols] for k in range(grid.rows)]
    return [a(i, j) for line in lines for i in range(line[0].rows) for a in line for j in range(a.cols)]
