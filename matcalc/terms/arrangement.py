"""Constructors that put entries elsewhere: vec, triangles, diagonals, entries and blocks.

A part of a matrix that is written out in blocks, or of sums and products of such, is made of the blocks it meets.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from ..errors import ShapeError
from . import ops
from .arithmetic import smul
from .dims import ONE, ZERO, Dim, DimLike, dim
from .fit import mismatch, require_square, show_shape
from .leaves import eye, half_size, num, ones, zeros
from .products import mul, transpose
from .rebuild import register, with_args, with_attr
from .symbols import Grid
from .term import Term, make


def vec(term: Term) -> Term:
    """The columns stacked; of a column, itself."""
    if term.cols is ONE:
        return term
    if term.op is ops.ZEROS:
        return zeros(term.rows * term.cols)
    return make(ops.VEC, (term,), None, term.rows * term.cols, ONE)


def unvec(term: Term, m: DimLike, n: DimLike) -> Term:
    """The m×n matrix whose columns stacked are the vector."""
    a, b = dim(m), dim(n)
    if term.cols is not ONE or term.rows is not a * b:
        raise ShapeError(
            f"unvec to {show_shape(a, b)} needs a vector of length {a * b}, not {show_shape(term.rows, term.cols)}"
        )
    if b is ONE:
        return term
    if term.op is ops.ZEROS:
        return zeros(a, b)
    if term.op is ops.VEC and term.args[0].shape == (a, b):
        return term.args[0]
    return make(ops.UNVEC, (term,), (a, b), a, b)


def vech(term: Term) -> Term:
    """The columns of the lower triangle stacked."""
    require_square("vech", term)
    if term.is_scalar:
        return term
    if term.op is ops.ZEROS:
        return zeros(half_size(term.rows))
    return make(ops.VECH, (term,), None, half_size(term.rows), ONE)


def tril(term: Term) -> Term:
    """The lower triangle, the rest zero."""
    if term.cols is ONE or term.op in (ops.EYE, ops.ZEROS):
        return term
    return make(ops.TRIL, (term,), None, term.rows, term.cols)


def triu(term: Term) -> Term:
    """The upper triangle, the rest zero."""
    if term.rows is ONE or term.op in (ops.EYE, ops.ZEROS):
        return term
    return make(ops.TRIU, (term,), None, term.rows, term.cols)


def diag(term: Term) -> Term:
    """Of a vector, the diagonal matrix; of a matrix, the vector of its diagonal."""
    if term.is_scalar:
        return term
    if term.cols is ONE:
        if term.op is ops.ZEROS:
            return zeros(term.rows, term.rows)
        if term.op is ops.ONES:
            return eye(term.rows)
        return make(ops.DIAG, (term,), None, term.rows, term.rows)
    require_square("diag of a matrix", term)
    if term.op is ops.EYE:
        return ones(term.rows)
    if term.op is ops.ZEROS:
        return zeros(term.rows)
    return make(ops.DIAGONAL, (term,), None, term.rows, ONE)


def entry(term: Term, i: DimLike, j: DimLike = 1) -> Term:
    """One entry, counted from 1; of a vector the second index may be left out."""
    a, b = dim(i), dim(j)
    if term.is_scalar:
        return term
    if term.rows is ONE and term.cols is not ONE and b is ONE:
        a, b = b, a
    if term.op is ops.TRANSPOSE:
        return entry(term.args[0], b, a)
    for at, length in ((a, term.rows), (b, term.cols)):
        if (at.constant is not None and at.constant < 1) or ((at - length).constant or 0) > 0:
            raise ShapeError(f"there is no entry {at} among 1 to {length}")
    if term.op in (ops.ZEROS, ops.ONES):
        return num(0 if term.op is ops.ZEROS else 1)
    found = _of_blocks(term, (a, a, b, b))
    return make(ops.ENTRY, (term,), (a, b), ONE, ONE) if found is None else found


def submatrix(term: Term, i: DimLike, j: DimLike, k: DimLike = 1, l: DimLike = 1) -> Term:
    """The block of the rows i to j and the columns k to l, counted from 1."""
    a, b, c, d = dim(i), dim(j), dim(k), dim(l)
    rows, cols = b - a + 1, d - c + 1
    for first, last, count, length, what in ((a, b, rows, term.rows, "rows"), (c, d, cols, term.cols, "columns")):
        past, number = (last - length).constant, count.constant
        if (
            (first.constant is not None and first.constant < 1)
            or (past or 0) > 0
            or (number is not None and number < 1)
        ):
            raise ShapeError(f"the {what} {first} to {last} are not among the {what} 1 to {length}")
    if a is ONE and c is ONE and b is term.rows and d is term.cols:
        return term
    if a is b and c is d:
        return entry(term, a, c)
    if term.op is ops.TRANSPOSE:
        return transpose(submatrix(term.args[0], c, d, a, b))
    if term.op is ops.ZEROS or term.op is ops.ONES:
        return with_attr(term, (), (rows, cols))
    found = _of_blocks(term, (a, b, c, d))
    return make(ops.SLICE, (term,), (a, b, c, d), rows, cols) if found is None else found


_Ranges = tuple[Dim, Dim, Dim, Dim]
"""The first and the last row, the first and the last column."""


def _of_blocks(term: Term, ranges: _Ranges) -> Term | None:
    """The part with these rows and columns made of the blocks it meets; None where it is not seen which these are."""
    a, b, c, d = ranges
    if a is c is ONE and b is term.rows and d is term.cols:
        return term
    if term.op is ops.BLOCK:
        return _blocks_met(term, ranges)
    if term.op in (ops.ZEROS, ops.ONES):
        return with_attr(term, (), (b - a + 1, d - c + 1))
    if term.op is ops.MUL:
        return _of_product(term, ranges)
    if term.op is ops.SCALE:
        inside = _of_blocks(term.args[1], ranges)
        return None if inside is None else smul(term.args[0], inside)
    if term.op in (ops.ADD, ops.HAD):
        made: list[Term] = []
        for arg in term.args:
            part = _of_blocks(arg, ranges)
            if part is None:
                return None
            made.append(part)
        return with_args(term, tuple(made))
    return None


def _of_product(term: Term, ranges: _Ranges) -> Term | None:
    """Rows are those of the first factor, columns those of the last."""
    a, b, c, d = ranges
    first, last = term.args[0], term.args[-1]
    above = _of_blocks(first, (a, b, ONE, first.cols))
    beside = _of_blocks(last, (ONE, last.rows, c, d))
    if above in (None, first) and beside in (None, last):
        return None
    made = mul(above or first, *term.args[1:-1], beside or last)
    a, b = (a, b) if above is None else (ONE, made.rows)
    c, d = (c, d) if beside is None else (ONE, made.cols)
    return submatrix(made, a, b, c, d)


def _blocks_met(term: Term, ranges: _Ranges) -> Term | None:
    a, b, c, d = ranges
    grid: Grid = term.attr
    rows = [term.args[i * grid.cols : (i + 1) * grid.cols] for i in range(grid.rows)]
    top, bottom, above = _span([row[0].rows for row in rows], a, b)
    left, right, before = _span([one.cols for one in rows[0]], c, d)
    if bottom - top == grid.rows and right - left == grid.cols:
        return None
    met = block([row[left:right] for row in rows[top:bottom]])
    return submatrix(met, a - above, b - above, c - before, d - before)


def _span(sizes: Sequence[Dim], first: Dim, last: Dim) -> tuple[int, int, Dim]:
    """From which block and to which the range lies as far as is sure, and how much is before them."""
    ends = list(accumulate(sizes, initial=ZERO))
    begin = max(i for i, end in enumerate(ends[:-1]) if i == 0 or _is_sure(first - end - 1, sizes))
    stop = min(i for i, end in enumerate(ends) if i == len(sizes) or (i > begin and _is_sure(end - last, sizes)))
    return begin, stop, ends[begin]


def _is_sure(difference: Dim, sizes: Sequence[Dim]) -> bool:
    """True when it is nonnegative for all blocks that are not empty."""
    if difference.constant is not None:
        return difference.constant >= 0
    if any((rest := (difference + 1 - size).constant) is not None and rest >= 0 for size in sizes):
        return True
    known = {atom for size in sizes for atom in size.atoms()}
    return known >= difference.atoms() and all(coefficient > 0 for _, coefficient in difference.terms)


def block(rows: Sequence[Sequence[Term]]) -> Term:
    """A matrix of blocks, given row by row."""
    width = len(rows[0])
    for row in rows:
        if len(row) != width:
            raise ShapeError(f"block rows have {width} and {len(row)} blocks")
        for a in row[1:]:
            if a.rows is not row[0].rows:
                raise mismatch("blocks side by side need equal rows", row[0], a)
    for j in range(width):
        for row in rows[1:]:
            if row[j].cols is not rows[0][j].cols:
                raise mismatch("blocks below one another need equal columns", rows[0][j], row[j])
    if len(rows) == 1 and width == 1:
        return rows[0][0]
    height = ZERO
    for row in rows:
        height = height + row[0].rows
    breadth = ZERO
    for a in rows[0]:
        breadth = breadth + a.cols
    return make(ops.BLOCK, tuple(a for row in rows for a in row), Grid(len(rows), width), height, breadth)


def _grid(args: tuple[Term, ...], attr: Grid) -> Term:
    return block([args[i * attr.cols : (i + 1) * attr.cols] for i in range(attr.rows)])


register(
    {
        ops.VEC: lambda a, _: vec(a[0]),
        ops.UNVEC: lambda a, attr: unvec(a[0], *attr),
        ops.VECH: lambda a, _: vech(a[0]),
        ops.TRIL: lambda a, _: tril(a[0]),
        ops.TRIU: lambda a, _: triu(a[0]),
        ops.DIAG: lambda a, _: diag(a[0]),
        ops.DIAGONAL: lambda a, _: diag(a[0]),
        ops.ENTRY: lambda a, attr: entry(a[0], *attr),
        ops.SLICE: lambda a, attr: submatrix(a[0], *attr),
        ops.BLOCK: _grid,
    }
)
