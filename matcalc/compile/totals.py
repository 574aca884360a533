"""Sums of the entries of lowered terms: totals, inner products, traces, without what need not be formed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..terms import build, ops
from ..terms.dims import ONE
from ..terms.ops import Op
from ..terms.term import Term
from . import primitives as p

if TYPE_CHECKING:
    from .lower import Lowering


class Totals:
    """Numbers made of all entries of a lowered term, or of its diagonal."""

    def __init__(self, work: Lowering) -> None:
        self.work = work

    def total(self, term: Term) -> Term:
        """The sum of all entries."""
        if term.is_scalar:
            return term
        if term.op is ops.ADD:
            return build.add(*map(self.total, term.args))
        if term.op is ops.SCALE:
            return build.times(term.args[0], self.total(term.args[1]))
        if term.op in (ops.TRANSPOSE, ops.VEC, ops.UNVEC):
            return self.total(term.args[0])
        if term.op is ops.ONES:
            return build.integer(term.rows * term.cols)
        if term.op is ops.HAD:
            full, row, column = self.parted(term)
            if row is not None or column is not None:
                return self.total(self.row_sums(term))
            return self.inner(build.had(*full[:-1]), full[-1])
        if term.op in (p.EVERY_ROW, p.EVERY_COLUMN):
            return build.times(build.integer(term.attr), self.total(term.args[0]))
        if term.op is ops.POW and term.args[1].op is ops.NUM and term.args[1].attr == 2:
            return self.inner(term.args[0], term.args[0])
        if term.op is ops.FUN and term.attr == "softplus":
            return self.work.sum_softplus(term.args[0])
        if term.op is p.ROWSUMS or term.op is p.COLSUMS:
            return self.total(term.args[0])
        if term.op is p.ROWDOTS:
            return self.inner(*term.args)
        if term.op is p.MATMUL and ONE not in (*term.args[0].shape, *term.args[1].shape):
            return build.inner(p.apply(p.COLSUMS, term.args[0]), p.apply(p.ROWSUMS, term.args[1]))
        return build.total(term)

    def parted(self, product: Term) -> tuple[list[Term], Term | None, Term | None]:
        """A product entry by entry: full operands, and the vectors by which all rows, all columns are scaled."""
        parts: dict[Op, list[Term]] = {p.EVERY_ROW: [], p.EVERY_COLUMN: []}
        full: list[Term] = []
        for part in product.args:
            if part.op in parts:
                parts[part.op].append(part.args[0])
            else:
                full.append(part)
        row, column = (build.had(*vectors) if vectors else None for vectors in parts.values())
        return full, row, column

    def row_sums(self, term: Term) -> Term:
        """The sums of the rows of a lowered matrix."""
        return self.work.products.plain(term, build.ones(term.cols))

    def inner(self, a: Term, b: Term) -> Term:
        """The sum of the entries of a product entry by entry."""
        if a.is_scalar:
            return build.times(a, b)
        if a.op is ops.SCALE:
            return build.times(a.args[0], self.inner(a.args[1], b))
        if b.op is ops.SCALE:
            return build.times(b.args[0], self.inner(a, b.args[1]))
        if a.op is ops.TRANSPOSE and b.op is ops.TRANSPOSE:
            return self.inner(a.args[0], b.args[0])
        if a.op is ops.VEC and b.op is ops.VEC and a.args[0].shape == b.args[0].shape:
            return self.inner(a.args[0], b.args[0])
        for one, other in ((a, b), (b, a)):
            if one.op is ops.ONES:
                return self.total(other)
            if one.op is p.EVERY_ROW:
                return self.total(self.work.products.plain(other, one.args[0]))
            if one.op is p.EVERY_COLUMN:
                return self.inner(one.args[0], self.row_sums(other))
            if one.op is ops.EYE:
                return self.trace(other)
        a, b = (b, a) if a.key > b.key else (a, b)
        return build.inner(a, b)

    def trace(self, term: Term) -> Term:
        """The sum of the diagonal."""
        if term.op is ops.ADD:
            return build.add(*map(self.trace, term.args))
        if term.op is ops.SCALE:
            return build.times(term.args[0], self.trace(term.args[1]))
        if term.op is ops.EYE:
            return build.integer(term.rows)
        if term.op is ops.DIAG:
            return self.total(term.args[0])
        if term.op is ops.TRANSPOSE:
            return self.trace(term.args[0])
        if term.op is p.MATMUL:
            return self.inner(self.work.transposed(term.args[0]), term.args[1])
        if term.op is p.ROWS:
            return self.inner(term.args[0], build.diag(term.args[1]))
        if term.op is p.COLS:
            return self.inner(term.args[1], build.diag(term.args[0]))
        if term.op in (p.EVERY_ROW, p.EVERY_COLUMN):
            return self.total(term.args[0])
        return build.tr(term)
