"""Products in the order that is cheapest, inverses as factorizations, diagonal matrices as scaling.

A product that ends in a vector is computed from there, one that begins with a row from its other end; a product that
is its own transpose from the middle, F'*F.  A product of matrices takes the cheapest order; where that
depends on the sizes, it is chosen when they are known (:data:`.primitives.PRODUCT`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..terms import build, ops
from ..terms.dims import ONE, ZERO, Dim, Name, known_nonnegative
from ..terms.ops import Op
from ..terms.term import Term
from . import primitives as p
from .samplewise import across, sandwich, spread

if TYPE_CHECKING:
    from .lower import Lowering

LONGEST = 5
"""Of a product with more factors the order is always found when the sizes are known."""


class Products:
    """How products, inverses and determinants of one graph are computed."""

    def __init__(self, work: Lowering) -> None:
        self.work = work
        self.applied: dict[Term, bool] = {}

    # ------------------------------------------------------------ inverses

    def factored(self, matrix: Term) -> Term:
        """The factors of a matrix: Cholesky's where it is known to be positive definite, else LU."""
        op = p.CHOLESKY if self.work.fact(matrix, "posdef") else p.LU
        return p.apply(op, self.work.made[matrix])

    def inverse(self, term: Term) -> Term:
        """An inverse as a matrix."""
        return p.apply(p.INVERSE, self.factored(term.args[0]))

    def determinant(self, term: Term, op: Op) -> Term:
        """A determinant or its logarithm, by factors that others need too or that are cheaper."""
        matrix = term.args[0]
        if self.work.fact(matrix, "posdef") or build.inv(matrix) in self.work.inverses:
            return p.apply(op, self.factored(matrix))
        return build.logdet(self.work.made[matrix]) if op is p.LOGDETERMINANT else build.det(self.work.made[matrix])

    def solved(self, inverse: Term, right: Term) -> Term:
        """An inverse, or a transposed one, times a lowered term."""
        transposed = inverse.op is ops.TRANSPOSE
        term = inverse.args[0] if transposed else inverse
        if right.op is ops.SCALE:
            return build.smul(right.args[0], self.solved(inverse, right.args[1]))
        if term in self.work.bare:
            matrix = self.work.made[term]
            symmetric = self.work.fact(term.args[0], "symmetric")
            return self.pair(build.transpose(matrix) if transposed and not symmetric else matrix, right)
        factors = self.factored(term.args[0])
        return p.apply(p.SOLVE, factors, right, attr=transposed and factors.op is p.LU)

    # ------------------------------------------------------------ products

    def product(self, term: Term, _args: Sequence[Term]) -> Term:
        """A product of ordinary terms, lowered."""
        factors = list(term.args)
        if term.cols is ONE and term.rows is ONE:
            return self._scalar(factors)
        if term.cols is ONE:
            return self.column(factors)
        if term.rows is ONE:
            return self.work.transposed(self.column([build.transpose(f) for f in reversed(factors)]))
        cuts = [k for k in range(1, len(factors)) if factors[k].rows is ONE]
        if cuts:
            left, right = factors[: cuts[0]], factors[cuts[0] :]
            column = self.column([build.transpose(f) for f in reversed(right)])
            return self.outer(self.column(left), column)
        return self._matrix(factors)

    def outer(self, a: Term, b: Term) -> Term:
        """a*b' of lowered columns."""
        scalars = [t.args[0] for t in (a, b) if t.op is ops.SCALE]
        a, b = (t.args[1] if t.op is ops.SCALE else t for t in (a, b))
        made = p.apply(p.MATMUL, a, build.transpose(b))
        return build.smul(build.times(*scalars), made) if scalars else made

    def _scalar(self, factors: list[Term]) -> Term:
        """x'*A*y; where it is its own transpose, from the middle."""
        count = len(factors)
        if all(build.transpose(factors[k]) is factors[count - 1 - k] for k in range(count // 2)):
            half = self.column(factors[(count + 1) // 2 :])
            if count % 2 == 0:
                return self.work.totals.inner(half, half)
            return self.work.totals.inner(half, self.applied_to(factors[count // 2], half))
        left = self.work.low(build.transpose(factors[0]))
        return self.work.totals.inner(left, self.column(factors[1:]))

    def column(self, factors: list[Term]) -> Term:
        """A product that ends in a column, from there."""
        found = self.work.low(factors[-1])
        for factor in reversed(factors[:-1]):
            found = self.applied_to(factor, found)
        return found

    def applied_to(self, factor: Term, column: Term) -> Term:
        """An ordinary matrix times a lowered column."""
        if column.op is ops.SCALE:
            return build.smul(column.args[0], self.applied_to(factor, column.args[1]))
        op = factor.op
        if factor.rows is ONE and not factor.is_scalar:
            return self.work.totals.inner(self.work.low(build.transpose(factor)), column)
        if column.is_scalar:
            return build.smul(column, self.work.low(factor))
        if op is ops.EYE:
            return column
        if op is ops.SCALE:
            return build.smul(self.work.low(factor.args[0]), self.applied_to(factor.args[1], column))
        if op is ops.DIAG:
            return self.work.had([self.work.low(factor.args[0]), column])
        if op is ops.INV or (op is ops.TRANSPOSE and factor.args[0].op is ops.INV):
            return self.solved(factor, column)
        if op is ops.COMMUTATION and column.op is ops.VEC and column.args[0].shape == factor.attr:
            return build.vec(self.work.transposed(column.args[0]))
        if op is ops.COMMUTATION:
            m, n = factor.attr
            return build.vec(self.work.transposed(build.unvec(column, m, n)))
        if op is ops.KRON and len(factor.args) == 2:
            return self._kron(factor.args[0], factor.args[1], column)
        if op is p.KRONECKER:
            return self._kronecker(factor, column)
        if op is ops.TRANSPOSE and factor.args[0].op in (ops.KRON, p.KRONECKER):
            return self.plain(self.work.low(factor), column)
        if op is ops.ADD and self.only_applied(factor):
            return self.work.add([self.applied_to(part, column) for part in factor.args])
        if op is ops.MUL and self.only_applied(factor):
            for part in reversed(factor.args):
                column = self.applied_to(part, column)
            return column
        return self.plain(self.work.low(factor), column)

    def _kron(self, a: Term, b: Term, column: Term) -> Term:
        """kron(A, B)*vec(X) = vec(B*X*A')."""
        if ONE in (*a.shape, *b.shape):
            return self.plain(build.kron(self.work.low(a), self.work.low(b)), column)
        matrix = build.unvec(column, b.cols, a.cols)
        return build.vec(self._ordered([*self._factor(b), matrix, *self._factor(build.transpose(a))]))

    def _factor(self, term: Term) -> list[Term]:
        return [] if term.op is ops.EYE else [self.work.low(term)]

    def _kronecker(self, factor: Term, column: Term) -> Term:
        attr: p.Kronecker = factor.attr
        if attr.crossed:
            matrix = build.unvec(column, attr.left[1], attr.right[1])
            column = build.vec(self.work.transposed(matrix))
        parts = []
        for pair in attr.pairs:
            a, b = (
                build.eye(size[0]) if at < 0 else factor.args[at]
                for at, size in ((pair.left, attr.left), (pair.right, attr.right))
            )
            parts.append(self._kron(a, b, column))
        return self.work.add(parts)

    def only_applied(self, matrix: Term) -> bool:
        """True when a matrix is needed only as a factor in front of columns (behind rows)."""
        known = self.applied.get(matrix)
        if known is None:
            self.applied[matrix] = False
            users = self.work.users.get(matrix, ())
            known = bool(users) and all(self._applies(user, matrix) for user in users)
            self.applied[matrix] = known
        return known

    def _applies(self, user: Term, matrix: Term) -> bool:
        if user is matrix:
            return False
        if user.op is ops.MUL:
            return ONE in user.shape or any(f.rows is ONE for f in user.args[1:])
        return user.op in (ops.ADD, ops.SCALE) and self.only_applied(user)

    def plain(self, matrix: Term, column: Term) -> Term:
        """A lowered matrix times a lowered column."""
        if matrix.op is ops.SCALE:
            return build.smul(matrix.args[0], self.plain(matrix.args[1], column))
        if column.op is ops.ONES:
            return self._row_sums(matrix)
        if column.op is ops.BASIS:
            at = column.attr[0]
            return build.submatrix(matrix, 1, matrix.rows, at, at)
        if matrix.op is ops.DIAG:
            return self.work.had([matrix.args[0], column])
        if matrix.op is p.ROWS:
            return self.work.had([matrix.args[0], self.plain(matrix.args[1], column)])
        if matrix.op is p.COLS:
            return self.plain(matrix.args[0], self.work.had([matrix.args[1], column]))
        return p.apply(p.MATMUL, matrix, column)

    def _row_sums(self, matrix: Term) -> Term:
        if matrix.op is ops.TRANSPOSE:
            return p.apply(p.COLSUMS, matrix.args[0])
        if matrix.op is p.ROWS:
            return self.work.had([matrix.args[0], self._row_sums(matrix.args[1])])
        if matrix.op is ops.HAD:
            full, row, column = self.work.totals.parted(matrix)
            if row is None and column is None:
                return p.apply(p.ROWDOTS, build.had(*full[:-1]), full[-1])
            inside = build.had(*full) if full else build.ones(*matrix.shape)
            sums = self._row_sums(inside) if row is None else self.plain(inside, row)
            return sums if column is None else self.work.had([column, sums])
        if matrix.op is p.EVERY_ROW:
            return build.scale(self.work.totals.total(matrix.args[0]), build.ones(matrix.rows))
        if matrix.op is p.EVERY_COLUMN:
            return build.scale(build.integer(matrix.attr), matrix.args[0])
        if matrix.op is ops.POW and matrix.args[1].op is ops.NUM and matrix.args[1].attr == 2:
            return p.apply(p.ROWDOTS, matrix.args[0], matrix.args[0])
        return p.apply(p.ROWSUMS, matrix)

    # ------------------------------------------------------------ matrices

    def _matrix(self, factors: list[Term]) -> Term:
        """A product of matrices that is a matrix."""
        ones = next((k for k, f in enumerate(factors) if f.op is ops.ONES), None)
        if ones is not None:
            rows, cols = factors[ones].shape
            left = self.column([*factors[:ones], build.ones(rows)])
            right = self.column([*(build.transpose(f) for f in reversed(factors[ones + 1 :])), build.ones(cols)])
            return self.outer(left, right)
        for form in (sandwich, spread, across):
            found = form(self.work, factors)
            if found is not None:
                return found
        transposes = [f for f in factors if f.op is ops.TRANSPOSE]
        if len(transposes) == len(factors):
            return self.work.transposed(self.work.low(build.mul(*(f.args[0] for f in reversed(factors)))))
        count = len(factors)
        if all(build.transpose(factors[k]) is factors[count - 1 - k] for k in range(count // 2)):
            found = self._mirrored(factors[(count + 1) // 2 :], factors[count // 2] if count % 2 else None)
            if found is not None:
                return found
        return self._ordered(self._joined(factors))

    def _mirrored(self, half: list[Term], middle: Term | None) -> Term | None:
        """F'*F, or F'*M*F with a diagonal or an inverse M that is positive: G'*G, of one matrix G."""
        if middle is None:
            right = self._ordered(self._joined(half))
        elif middle.op is ops.DIAG and self.work.fact(middle.args[0], "nonneg"):
            weights = self.work.low(middle.args[0])
            root = build.power_of(weights, build.HALF)
            right = p.apply(p.ROWS, root, self._ordered(self._joined(half)))
        elif middle.op is ops.INV and middle not in self.work.bare and self.work.fact(middle.args[0], "posdef"):
            right = p.apply(p.HALF_SOLVE, self.factored(middle.args[0]), self._ordered(self._joined(half)))
        else:
            return None
        scalars = [right.args[0]] if right.op is ops.SCALE else []
        right = right.args[1] if scalars else right
        made = p.apply(p.MATMUL, self.work.transposed(right), right)
        return build.smul(build.times(*scalars, *scalars), made) if scalars else made

    def _joined(self, factors: Sequence[Term]) -> list[Term]:
        """The factors, lowered: diagonal matrices and inverses joined to their neighbours."""
        found: list[Term] = []
        waiting: list[Term] = []  # at the end: they need a factor on their left
        for factor in reversed(factors):
            special = factor.op is ops.DIAG or self._is_solved(factor)
            if special and found:
                found[0] = self._joined_left(factor, found[0])
            elif special:
                waiting.insert(0, factor)
            else:
                lowered = self.work.low(factor)
                for other in waiting:
                    lowered = self._joined_right(lowered, other)
                waiting = []
                found.insert(0, lowered)
        if waiting:
            found.append(self.work.low(waiting[-1]))
            for factor in reversed(waiting[:-1]):
                found[0] = self._joined_left(factor, found[0])
        return found

    def _joined_left(self, factor: Term, right: Term) -> Term:
        if factor.op is ops.DIAG:
            return self._scaled_rows(self.work.low(factor.args[0]), right)
        return self.solved(factor, right)

    def _joined_right(self, left: Term, factor: Term) -> Term:
        turned = build.transpose(factor)
        if factor.op is ops.DIAG:
            return self._scaled_cols(left, self.work.low(factor.args[0]))
        return self.work.transposed(self.solved(turned, self.work.transposed(left)))

    def _scaled_rows(self, weights: Term, matrix: Term) -> Term:
        if weights.op is ops.SCALE:
            return build.smul(weights.args[0], self._scaled_rows(weights.args[1], matrix))
        if matrix.op is ops.SCALE:
            return build.smul(matrix.args[0], self._scaled_rows(weights, matrix.args[1]))
        if matrix.op is ops.DIAG:
            return build.diag(self.work.had([weights, matrix.args[0]]))
        if matrix.op is p.ROWS:
            return p.apply(p.ROWS, self.work.had([weights, matrix.args[0]]), matrix.args[1])
        return p.apply(p.ROWS, weights, matrix)

    def _scaled_cols(self, matrix: Term, weights: Term) -> Term:
        if weights.op is ops.SCALE:
            return build.smul(weights.args[0], self._scaled_cols(matrix, weights.args[1]))
        if matrix.op is ops.SCALE:
            return build.smul(matrix.args[0], self._scaled_cols(matrix.args[1], weights))
        return p.apply(p.COLS, matrix, weights)

    def _is_solved(self, term: Term) -> bool:
        """True for an inverse, perhaps transposed, that is only multiplied with."""
        inverse = term.args[0] if term.op is ops.TRANSPOSE else term
        return inverse.op is ops.INV and inverse not in self.work.bare

    def pair(self, a: Term, b: Term) -> Term:
        """The product of two lowered terms."""
        if b.cols is ONE:
            return self.plain(a, b)
        return self._ordered([a, b])

    def _ordered(self, factors: Sequence[Term]) -> Term:
        """The product of lowered matrices in the cheapest order."""
        scalars: list[Term] = []
        plain: list[Term] = []
        for factor in factors:
            while factor.op is ops.SCALE:
                scalars.append(factor.args[0])
                factor = factor.args[1]
            plain.append(factor)
        made = self._in_order(plain)
        return build.smul(build.times(*scalars), made) if scalars else made

    def _in_order(self, factors: Sequence[Term]) -> Term:
        if len(factors) == 1:
            return factors[0]
        if len(factors) == 2:
            return p.apply(p.MATMUL, *factors)
        if len(factors) <= LONGEST:
            sizes = [factors[0].rows, *(f.cols for f in factors)]
            names = {a for d in sizes for a in d.atoms() if isinstance(a, Name)}
            trees = _trees(0, len(factors))
            costs = [(_cost(tree, sizes), tree) for tree in trees]
            for cost, tree in costs:
                if all(known_nonnegative(other - cost, names) for other, _ in costs):
                    return self._nested(tree, factors)
        return p.apply(p.TRIPLE if len(factors) == 3 else p.PRODUCT, *factors)

    def _nested(self, tree: Tree, factors: Sequence[Term]) -> Term:
        if isinstance(tree, int):
            return factors[tree]
        left, right = (self._nested(part, factors) for part in tree)
        return p.apply(p.MATMUL, left, right)


Tree = int | tuple["Tree", "Tree"]


def _trees(lo: int, hi: int) -> list[Tree]:
    """The ways to bracket the factors lo to hi - 1; those that begin at the right come first."""
    if hi - lo == 1:
        return [lo]
    return [(a, b) for cut in range(lo + 1, hi) for a in _trees(lo, cut) for b in _trees(cut, hi)]


def _ends(tree: Tree) -> tuple[int, int]:
    first = last = tree
    while not isinstance(first, int):
        first = first[0]
    while not isinstance(last, int):
        last = last[1]
    return first, last


def _cost(tree: Tree, sizes: Sequence[Dim]) -> Dim:
    """The multiplications of an order."""
    if isinstance(tree, int):
        return ZERO
    (first, _), (middle, last) = _ends(tree[0]), _ends(tree[1])
    own = sizes[first] * sizes[middle] * sizes[last + 1]
    return own + _cost(tree[0], sizes) + _cost(tree[1], sizes)
