"""Sums over an index as products of matrices: ``sum(j=1..n, A[i,j]*x[j])`` is ``(A*x)[i]``.

A scalar e[i] under a sum from 1 to n is the i-th entry of a vector, where everything in it that
depends on i is built from entries at i entry by entry; the sum is then a product with that vector.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ..terms import build, ops
from ..terms.dims import ONE, Dim, Index, dim
from ..terms.term import Term
from ..terms.walk import postorder

MAX_DEPTH = 30
"""Deeper sums are left as they are."""


def contracted(total: Term, simplify: Callable[[Term], Term]) -> Term | None:
    """A sum over an index without that index, or None where the body is of another kind.

    Sums inside are contracted first.
    """
    if total.depth > MAX_DEPTH:
        return None
    made: dict[Term, Term] = {}
    for node in postorder(total):
        args = tuple(made[a] for a in node.args)
        new = node if args == node.args else simplify(build.with_args(node, args))
        made[node] = _without_index(new, simplify) if new.op is ops.SUM else new
    return None if made[total].op is ops.SUM else made[total]


def _without_index(total: Term, simplify: Callable[[Term], Term]) -> Term:
    index = total.attr.index
    if index.lo is not ONE or index not in total.args[0].indices or index.hi.indices:
        return total
    product = _Contraction(index).of(total.args[0])
    return total if product is None else simplify(product)


class _Contraction:
    def __init__(self, index: Index) -> None:
        self.index = index
        self.at = dim(index)
        self.size = index.hi

    def varies(self, term: Term) -> bool:
        return self.index in term.indices

    def of(self, body: Term) -> Term | None:
        """The sum of the body."""
        if body.op is ops.ADD:
            parts = [self.of(a) if self.varies(a) else build.smul(build.integer(self.size), a) for a in body.args]
            known = [p for p in parts if p is not None]
            return build.add(*known) if len(known) == len(parts) else None
        scalar, array = body.args if body.op is ops.SCALE else (build.ONE_NUM, body)
        if body.is_scalar:
            return self._of_scalar(body)
        return self._of_array(scalar, array)

    def _of_scalar(self, body: Term) -> Term | None:
        outside, inside = self._parted(body)
        rows = [(matrix, at) for f in inside if (found := self._row(f)) is not None for matrix, at in (found,)]
        others = [f for f in inside if self._row(f) is None]
        weights = self.weights(others)
        if weights is None or len(rows) > 2:
            return None
        if not rows:
            return build.times(*outside, build.total(weights))
        if len(rows) == 1:
            (matrix, at), *_ = rows
            return build.times(*outside, build.entry(build.mul(matrix, weights), at))
        (left, i), (right, j) = rows
        middle = build.diag(weights)
        return build.times(*outside, build.entry(build.mul(left, middle, build.transpose(right)), i, j))

    def _of_array(self, scalar: Term, array: Term) -> Term | None:
        outside, inside = self._parted(scalar)
        weights = self.weights(inside)
        if weights is None:
            return None
        factors = array.args if array.op is ops.MUL else (array,)
        places = [k for k, f in enumerate(factors) if self.varies(f)]
        if not places or places[-1] - places[0] != len(places) - 1:
            return None
        column = build.basis(self.at, self.size)
        moving = [factors[k] for k in places]
        if moving == [column]:
            middle = weights
        elif moving == [build.transpose(column)]:
            middle = build.transpose(weights)
        elif moving == [column, build.transpose(column)]:
            middle = build.diag(weights)
        else:
            return None
        product = build.mul(*factors[: places[0]], middle, *factors[places[-1] + 1 :])
        return build.smul(build.times(*outside), product)

    def _parted(self, scalar: Term) -> tuple[list[Term], list[Term]]:
        """The factors that do not vary, and those that do."""
        factors = scalar.args if scalar.op is ops.TIMES else (scalar,)
        return [f for f in factors if not self.varies(f)], [f for f in factors if self.varies(f)]

    def _row(self, factor: Term) -> tuple[Term, Dim] | None:
        """``A[k,i]`` as A and k, ``A[i,k]`` as A' and k."""
        if factor.op is not ops.ENTRY or self.varies(factor.args[0]) or factor.args[0].cols is ONE:
            return None
        matrix, (a, b) = factor.args[0], factor.attr
        if b is self.at and not self._at(a) and matrix.cols is self.size:
            return matrix, a
        if a is self.at and not self._at(b) and matrix.rows is self.size:
            return build.transpose(matrix), b
        return None

    def _at(self, place: Dim) -> bool:
        return self.index in place.indices

    def weights(self, factors: Iterable[Term]) -> Term | None:
        """The vector of the products of these scalars."""
        made = build.ones(self.size)
        for factor in factors:
            column = self.column(factor)
            if column is None:
                return None
            made = build.had(made, column)
        return made

    def column(self, scalar: Term) -> Term | None:
        """The vector whose i-th entry is the scalar."""
        if not self.varies(scalar):
            return build.smul(scalar, build.ones(self.size))
        op = scalar.op
        if op is ops.ENTRY:
            matrix, (a, b) = scalar.args[0], scalar.attr
            if self.varies(matrix):
                return None
            if a is self.at and b is self.at:
                return build.diag(matrix) if matrix.is_square and matrix.rows is self.size else None
            if matrix.cols is ONE:
                return matrix if a is self.at and matrix.rows is self.size else None
            row = self._row(scalar)
            if row is None:
                return None
            turned, at = row
            return build.mul(build.transpose(turned), build.basis(at, turned.rows))
        if op in (ops.ADD, ops.TIMES, ops.POW, ops.FUN):
            columns = [self.column(a) for a in scalar.args]
            known = [c for c in columns if c is not None]
            if len(known) != len(columns):
                return None
            if op is ops.POW and not self.varies(scalar.args[1]):
                return build.power_of(known[0], scalar.args[1])
            return build.had(*known) if op is ops.TIMES else build.with_args(scalar, tuple(known))
        return None
