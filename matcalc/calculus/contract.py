"""Sums over an index as products of matrices: ``sum(j=1..n, A[i,j]*x[j])`` is ``(A*x)[i]``.

A scalar e[i] under a sum from 1 to n is the i-th entry of a vector, where everything in it that
depends on i is built from entries at i entry by entry; the sum is then a product with that vector.
A vector under the sum is a row or a column of a matrix, where it is built from rows or columns at i.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

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


def _untransposed(term: Term) -> Term:
    return term.args[0] if term.op is ops.TRANSPOSE else term


class _Pick(NamedTuple):
    """The row ``e'*matrix`` or the column ``matrix*e``, with e the unit vector of the index."""

    row: bool
    matrix: Term


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
        picks = [self._pick(factors[k]) for k in places]
        known = [p for p in picks if p is not None]
        if len(known) != len(picks) or [p.row for p in known] not in ([False], [True], [False, True]):
            return None
        if len(known) == 2:
            middle = build.mul(known[0].matrix, build.diag(weights), known[1].matrix)
        elif known[0].row:
            middle = build.mul(build.transpose(weights), known[0].matrix)
        else:
            middle = build.mul(known[0].matrix, weights)
        product = build.mul(*factors[: places[0]], middle, *factors[places[-1] + 1 :])
        return build.smul(build.times(*outside), product)

    def _pick(self, factor: Term) -> _Pick | None:
        """A row or a column of a matrix, at the index; also of a sum, a product, or a function entry by entry."""
        if (factor.rows is ONE) is (factor.cols is ONE):
            return None
        if factor.op is ops.TRANSPOSE:
            found = self._pick(factor.args[0])
            return _Pick(not found.row, build.transpose(found.matrix)) if found else None
        if factor.op is ops.BASIS:
            return _Pick(False, build.eye(self.size)) if factor is build.basis(self.at, self.size) else None
        if factor.op is ops.SLICE:
            return self._pick_of_slice(factor.args[0], factor.attr)
        if factor.op is ops.MUL:
            return self._pick_of_product(factor.args)
        if factor.op is ops.SCALE:
            return self._pick_of_multiple(*factor.args)
        if factor.op is ops.SOFTMAX and self.varies(factor):
            found = self._pick(factor.args[0])
            return _Pick(False, build.transpose(build.softmax_rows(build.transpose(found.matrix)))) if found else None
        if factor.op in (ops.ADD, ops.HAD, ops.FUN) or (factor.op is ops.POW and self._is_exponent(factor.args[1])):
            row = factor.rows is ONE
            entries = factor.args[:1] if factor.op is ops.POW else factor.args
            picks = [self._pick(a) if self.varies(a) else self._repeated(a, row) for a in entries]
            matrices = [p.matrix for p in picks if p is not None and p.row is row]
            if len(matrices) == len(picks):
                return _Pick(row, build.with_args(factor, (*matrices, *factor.args[len(entries) :])))
        return None

    def _pick_of_multiple(self, scalar: Term, vector: Term) -> _Pick | None:
        """``s[i]*A[i,1..n]`` is a row of diag(s)*A; ``x[i]*ones(n)`` stays, so that ``x[i] .- x`` is not spread out."""
        column = self.column(scalar)
        if column is None or (self.varies(scalar) and _untransposed(vector).op is ops.ONES):
            return None
        if not self.varies(vector):
            row = vector.rows is ONE
            return _Pick(row, build.mul(column, vector) if row else build.mul(vector, build.transpose(column)))
        found = self._pick(vector)
        if found is None:
            return None
        if not self.varies(scalar):
            return _Pick(found.row, build.smul(scalar, found.matrix))
        weights = build.diag(column)
        return _Pick(found.row, build.mul(weights, found.matrix) if found.row else build.mul(found.matrix, weights))

    def _is_exponent(self, term: Term) -> bool:
        return term.is_scalar and not self.varies(term)

    def _repeated(self, vector: Term, row: bool) -> _Pick:
        """The same row, or column, at every index."""
        ones = build.ones(self.size)
        return _Pick(row, build.mul(ones, vector) if row else build.mul(vector, build.transpose(ones)))

    def _pick_of_slice(self, matrix: Term, attr: tuple[Dim, Dim, Dim, Dim]) -> _Pick | None:
        top, bottom, left, right = attr
        for row, place, size, whole in (
            (True, (top, bottom), matrix.rows, (left, right) == (ONE, matrix.cols)),
            (False, (left, right), matrix.cols, (top, bottom) == (ONE, matrix.rows)),
        ):
            if whole and place == (self.at, self.at) and size is self.size and not self.varies(matrix):
                return _Pick(row, matrix)
        return None

    def _pick_of_product(self, factors: tuple[Term, ...]) -> _Pick | None:
        """``A[i,1..n]*B`` is a row of A*B, ``B*A[1..m,i]`` a column of B*A."""
        places = [k for k, f in enumerate(factors) if self.varies(f)]
        found = self._pick(factors[places[0]]) if len(places) == 1 else None
        if found is None or places[0] != (0 if found.row else len(factors) - 1):
            return None
        if found.row:
            return _Pick(True, build.mul(found.matrix, *factors[1:]))
        return _Pick(False, build.mul(*factors[:-1], found.matrix))

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
        if op is ops.MUL:
            return self._form(scalar)
        if op is ops.LOGSUMEXP and (found := self._pick(scalar.args[0])):
            return build.logsumexp_rows(build.transpose(found.matrix))
        if op is ops.TOTAL and (found := self._pick(scalar.args[0])):
            return build.mul(
                found.matrix if found.row else build.transpose(found.matrix),
                build.ones(scalar.args[0].cols if found.row else scalar.args[0].rows),
            )
        if op in (ops.ADD, ops.TIMES, ops.POW, ops.FUN):
            columns = [self.column(a) for a in scalar.args]
            known = [c for c in columns if c is not None]
            if len(known) != len(columns):
                return None
            if op is ops.POW and not self.varies(scalar.args[1]):
                return build.power_of(known[0], scalar.args[1])
            return build.had(*known) if op is ops.TIMES else build.with_args(scalar, tuple(known))
        return None

    def _form(self, product: Term) -> Term | None:
        """The vector of the scalars ``A[i,1..n]*x``, ``y'*B[1..m,i]`` or ``A[i,1..n]*C*B[1..m,i]``."""
        first, *between, last = product.args
        if any(self.varies(f) for f in between):
            return None
        start, end = self._pick(first), self._pick(last)
        if start is None and end is None:
            return None
        if start is None or end is None:
            if self.varies(last if start else first):
                return None
            if start:
                return build.mul(start.matrix, *between, last) if start.row else None
            return None if end is None or end.row else build.transpose(build.mul(first, *between, end.matrix))
        if not start.row or end.row:
            return None
        return build.diag(build.mul(start.matrix, *between, end.matrix))
