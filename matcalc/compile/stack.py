"""Sums over the members of families as products of the stacked arrays: a pass from terms to terms.

``sum(i, x[i]*x[i]')`` becomes ``X'*X``, where the rows of ``X`` are the ``x[i]``.  Inside the sum a scalar that
depends on the index stands for the vector of its values, a column for the matrix whose rows are its values; sums of
products that are linear in something constant draw it out, so that quadratic forms see the data only through
``X'*X``.  What has no such form stays a sum, and becomes a loop.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..terms import build, ops
from ..terms.dims import ONE, Dim, Index, dim, known_nonnegative
from ..terms.ops import Op
from ..terms.symbols import Family, Range
from ..terms.term import Term
from ..terms.walk import postorder, rebuild
from .primitives import COUNTING, GROUP, STACK, STACKSUM, WEIGHTED, apply


class NotStacked(Exception):
    """Something in a sum has no form as a stacked array."""


def stacked(roots: Sequence[Term]) -> list[Term]:
    """The roots with their sums over samples as products, where that is possible."""
    if not any(t.op is ops.SUM for t in postorder(*roots)):
        return list(roots)
    inside = _inside_steps(roots)

    def change(term: Term, args: tuple[Term, ...]) -> Term | None:
        if term.op is not ops.SUM or term in inside:
            return None
        try:
            return Stacking(term.attr).total(args[0])
        except NotStacked:
            return None

    return [rebuild(root, change) for root in roots]


def _inside_steps(roots: Sequence[Term]) -> set[Term]:
    """The terms inside the steps of recurrences and ordered products, which are computed step by step."""
    found: set[Term] = set()
    for term in reversed(postorder(*roots)):
        if term in found or term.op in (ops.STATE, ops.PROD):
            found.update(term.args)
    return found


_ENTRYWISE = frozenset({ops.FUN, ops.POLYGAMMA})
_LINEAR = frozenset({ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.TR, ops.DIAGONAL, ops.TRIL, ops.TRIU, ops.DIAG})
"""What may be done after the sum just as well."""


class Stacking:
    """Terms that depend on one index, for all values of the index at once."""

    def __init__(self, over: Range) -> None:
        self.index: Index = over.index
        self.count: Dim = over.index.hi - over.index.lo + 1
        if over.step != 1:
            raise NotStacked
        self.made: dict[Term, Term] = {}

    # ------------------------------------------------------------ the sum

    def total(self, body: Term) -> Term:
        """The sum of a body over the index."""
        if self.index not in body.indices:
            self._constant(body)
            return build.smul(self._number(), body)
        if body.op is ops.ADD:
            return build.add(*map(self.total, body.args))
        if body.op is ops.SCALE:
            return self._weighted(*body.args)
        if body.op is ops.TIMES:
            return self._product(body)
        if body.op is ops.MUL:
            return self._matmul([], list(body.args))
        if body.op in _LINEAR:
            return build.with_args(body, (self.total(body.args[0]),))
        if body.op is ops.INNER or (body.op is ops.KRON and len(body.args) == 2):
            return self._bilinear(body)
        if body.op is ops.MEMBER and not (body.cols is ONE or body.rows is ONE):
            return apply(STACKSUM, attr=(self._whole(body),))
        if body.is_scalar:
            return build.total(self.each(body))
        if body.cols is ONE:
            rows = self.each(body)
            return build.mul(build.transpose(rows), build.ones(self.count))
        if body.rows is ONE:
            column = build.transpose(body)
            if column.op is ops.TRANSPOSE:
                raise NotStacked
            return build.transpose(self.total(column))
        raise NotStacked

    def _bilinear(self, body: Term) -> Term:
        """A product with one factor that is the same for all members."""
        left, right = body.args
        if self.index not in left.indices:
            self._constant(left)
            return build.with_args(body, (left, self.total(right)))
        if self.index not in right.indices:
            self._constant(right)
            return build.with_args(body, (self.total(left), right))
        if body.op is ops.INNER and left.cols is ONE:
            return build.inner(self.each(left), self.each(right))
        raise NotStacked

    def _number(self) -> Term:
        count = self.count.constant
        return build.integer(self.count) if count is None else build.num(count)

    def _weighted(self, scalar: Term, array: Term) -> Term:
        """The sum of scalars times arrays."""
        fixed, varying = self._separated(scalar)
        if not varying:
            return build.smul(build.times(*fixed), self.total(array))
        weight = self._weights(varying)
        if self.index not in array.indices:
            self._constant(array)
            return build.smul(build.times(*fixed, build.total(weight)), array)
        if array.op is ops.ADD:
            parts = (self._weighted(build.times(*varying), part) for part in array.args)
            return build.smul(build.times(*fixed), build.add(*parts))
        if array.op is ops.MUL:
            return build.smul(build.times(*fixed), self._matmul([weight], list(array.args)))
        if array.op in _LINEAR:
            inside = self._weighted(build.times(*varying), array.args[0])
            return build.smul(build.times(*fixed), build.with_args(array, (inside,)))
        if array.op is ops.MEMBER and array.cols is not ONE and array.rows is not ONE:
            return build.smul(build.times(*fixed), apply(WEIGHTED, weight, attr=(self._whole(array),)))
        if array.cols is ONE:
            return build.smul(build.times(*fixed), build.mul(build.transpose(self.each(array)), weight))
        if array.rows is ONE:
            rows = self.each(build.transpose(array))
            return build.smul(build.times(*fixed), build.mul(build.transpose(weight), rows))
        raise NotStacked

    def _separated(self, scalar: Term) -> tuple[list[Term], list[Term]]:
        factors = scalar.args if scalar.op is ops.TIMES else (scalar,)
        fixed = [f for f in factors if self.index not in f.indices]
        for f in fixed:
            self._constant(f)
        return fixed, [f for f in factors if self.index in f.indices]

    def _weights(self, varying: Sequence[Term]) -> Term:
        return build.had(*map(self.each, varying))

    def _product(self, body: Term) -> Term:
        """The sum of products of scalars; a single quadratic form among them sees the data as one matrix."""
        fixed, varying = self._separated(body)
        if len(varying) == 1:
            return build.times(*fixed, self.total(varying[0]))
        forms = [f for f in varying if f.op is ops.MUL and len(f.args) > 2]
        if forms:
            rest = [f for f in varying if f is not forms[-1]]
            return build.times(*fixed, self._matmul([self._weights(rest)], list(forms[-1].args)))
        return build.times(*fixed, build.inner(self._weights(varying[:-1]), self.each(varying[-1])))

    def _matmul(self, weights: list[Term], factors: list[Term]) -> Term:
        """The sum of products: what is constant at both ends is drawn out."""
        first = next(k for k, f in enumerate(factors) if self.index in f.indices)
        last = max(k for k, f in enumerate(factors) if self.index in f.indices)
        left, middle, right = factors[:first], factors[first : last + 1], factors[last + 1 :]
        for f in (*left, *right):
            self._constant(f)
        if len(middle) == 1 and (left or right):
            core = self._weighted_one(weights, middle[0])
            return build.mul(*left, core, *right)
        rows, cols = middle[0].rows, middle[-1].cols
        if rows is ONE and cols is ONE:
            return build.mul(*left, self._form(weights, middle), *right)
        if rows is ONE:
            return build.transpose(self._matmul(weights, [build.transpose(f) for f in reversed(factors)]))
        cuts = [k for k in range(1, len(middle)) if middle[k].rows is ONE]
        if cuts:  # columns times rows
            outer = cuts[0]
            a, b = build.mul(*middle[:outer]), build.mul(*middle[outer:])
            return build.mul(*left, self._outer(weights, a, build.transpose(b)), *right)
        if cols is ONE:
            inside = build.mul(*middle)
            return build.mul(*left, self._weighted_one(weights, inside, whole=True), *right)
        raise NotStacked

    def _weighted_one(self, weights: list[Term], term: Term, whole: bool = False) -> Term:
        if term.op in (ops.ADD, *_LINEAR) and not whole and term.cols is not ONE:
            if term.op is ops.ADD:
                return build.add(*(self._weighted_one(weights, part) for part in term.args))
            return build.with_args(term, (self._weighted_one(weights, term.args[0]),))
        if term.cols is not ONE and term.rows is ONE:
            return build.transpose(self._weighted_one(weights, build.transpose(term)))
        if term.cols is ONE:
            if self.index not in term.indices:
                raise NotStacked
            weight = weights[0] if weights else build.ones(self.count)
            rows = self.each(term)
            return build.inner(rows, weight) if term.is_scalar else build.mul(build.transpose(rows), weight)
        if term.op is ops.MEMBER:
            family = self._whole(term)
            return apply(WEIGHTED, *weights, attr=(family,)) if weights else apply(STACKSUM, attr=(family,))
        raise NotStacked

    def _outer(self, weights: list[Term], a: Term, b: Term) -> Term:
        """The sum of a*b', of columns; constant factors in front of them are drawn out."""
        heads: list[list[Term]] = []
        stacks: list[Term] = []
        for column in (a, b):
            factors = list(column.args) if column.op is ops.MUL else [column]
            fixed: list[Term] = []
            while len(factors) > 1 and self.index not in factors[0].indices:
                self._constant(factors[0])
                fixed.append(factors.pop(0))
            heads.append(fixed)
            stacks.append(self.each(build.mul(*factors)))
        left, right = stacks
        scaled = [build.diag(w) for w in weights]
        middle = build.mul(build.transpose(left), *scaled, right)
        if not middle.is_scalar:
            middle = apply(GROUP, middle)
        return build.mul(*heads[0], middle, *(build.transpose(f) for f in reversed(heads[1])))

    def _form(self, weights: list[Term], factors: list[Term]) -> Term:
        """The sum of x'*A*y: the inner product of A with the sum of x*y'."""
        inside = factors[1:-1]
        if any(self.index in f.indices for f in inside) or not inside:
            values = self.each(build.mul(*factors))
            return build.inner(values, weights[0]) if weights else build.total(values)
        for f in inside:
            self._constant(f)
        matrix = build.mul(*inside)
        if matrix.rows is ONE or matrix.cols is ONE:
            values = self.each(build.mul(*factors))
            return build.inner(values, weights[0]) if weights else build.total(values)
        return build.inner(matrix, self._outer(weights, build.transpose(factors[0]), factors[-1]))

    # ------------------------------------------------------------ each member

    def each(self, root: Term) -> Term:
        """A scalar as the vector of its values, a column as the matrix whose rows are its values."""
        stack = [root]
        while stack:
            term = stack[-1]
            if term in self.made:
                stack.pop()
                continue
            needed = [a for a in self._needed(term) if a not in self.made]
            if needed:
                stack += needed
                continue
            self.made[term] = self._each(term)
            stack.pop()
        return self.made[root]

    def _needed(self, term: Term) -> Sequence[Term]:
        """The parts of which the values are needed first."""
        if self.index not in term.indices:
            return ()
        if term.op is ops.MUL:
            varying = [f for f in term.args if self.index in f.indices]
            return [f if f.cols is ONE else build.transpose(f) for f in varying if f.cols is ONE or f.rows is ONE]
        return term.args

    def _each(self, term: Term) -> Term:
        if not (term.cols is ONE or term.rows is ONE) or term.op.binder:
            raise NotStacked
        if self.index not in term.indices:
            return self._repeated(term)
        found = _EACH.get(term.op)
        if found is not None:
            return found(self, term)
        args = [self.made[a] for a in term.args]
        if term.op in _ENTRYWISE:
            return build.with_args(term, tuple(args))
        raise NotStacked

    def _repeated(self, term: Term) -> Term:
        """What is the same for all members."""
        self._constant(term)
        ones = build.ones(self.count)
        if term.is_scalar:
            return build.scale(term, ones)
        return build.mul(ones, term if term.rows is ONE else build.transpose(term))

    def _constant(self, term: Term) -> None:
        """What is looked up in a family may not exist when the sum is empty."""
        for part in postorder(term):
            if part.op in (ops.STATE, ops.ENTRY, ops.PROD) or (part.op is ops.MEMBER and not _exists(part)):
                raise NotStacked

    def _whole(self, term: Term) -> Family:
        """The family of which the sum runs over all members."""
        family: Family = term.attr.family
        index = family.index
        if family.rows.indices or family.cols.indices:
            raise NotStacked
        if term.attr.at is not dim(self.index) or index.lo is not self.index.lo or index.hi is not self.index.hi:
            raise NotStacked
        return family

    def _member(self, term: Term) -> Term:
        family: Family = term.attr.family
        shift = term.attr.at - dim(self.index)
        if shift.constant is None or family.rows.indices or family.cols.indices:
            raise NotStacked
        lo, hi = self.index.lo + shift, self.index.hi + shift
        if lo.indices or hi.indices:
            raise NotStacked
        if not (known_nonnegative(lo - family.index.lo) and known_nonnegative(family.index.hi - hi)):
            raise NotStacked
        return apply(STACK, attr=(family, lo, hi))

    def _integer(self, term: Term) -> Term:
        if term.attr is not self.index or self.index.lo.indices or self.index.hi.indices:
            raise NotStacked
        return apply(COUNTING, attr=(self.index.lo, self.index.hi))

    def _times(self, term: Term) -> Term:
        return build.had(*(self.made[a] for a in term.args))

    def _scale(self, term: Term) -> Term:
        scalar, array = term.args
        if self.index not in scalar.indices:
            return build.smul(scalar, self.made[array])
        return build.mul(build.diag(self.made[scalar]), self.made[array])

    def _power(self, term: Term) -> Term:
        base, exponent = term.args
        if self.index in exponent.indices:
            raise NotStacked
        return build.power_of(self.made[base], exponent)

    def _chain(self, term: Term) -> Term:
        factors = list(term.args)
        cuts = [0, *(k for k in range(1, len(factors)) if factors[k].rows is ONE), len(factors)]
        if len(cuts) > 2:
            raise NotStacked
        if term.rows is ONE and term.cols is ONE:
            return self._scalar(factors)
        if term.rows is ONE:
            factors = [build.transpose(f) for f in reversed(factors)]
        return self._column(factors)

    def _column(self, factors: Sequence[Term]) -> Term:
        """The rows of A*B*x: those of x, times (A*B)'."""
        *matrices, column = factors
        for f in matrices:
            if self.index in f.indices:
                raise NotStacked
            self._constant(f)
        if not matrices:
            return self.each(column)
        if self.index not in column.indices:
            raise NotStacked
        return build.mul(self.each(column), *(build.transpose(f) for f in reversed(matrices)))

    def _scalar(self, factors: Sequence[Term]) -> Term:
        """The values of x'*A*y."""
        row, *middle, column = factors
        left = build.transpose(row)
        if self.index not in left.indices:
            self._constant(left)
            return build.mul(self._column([*middle, column]), left)
        if self.index not in column.indices:
            for f in (*middle, column):
                self._constant(f)
                if self.index in f.indices:
                    raise NotStacked
            return build.mul(self.each(left), build.mul(*middle, column))
        rows = build.had(self.each(left), self._column([*middle, column]))
        return build.mul(rows, build.ones(rows.cols))

    def _sum(self, term: Term) -> Term:
        rows = self.made[term.args[0]]
        return build.mul(rows, build.ones(rows.cols))

    def _norm(self, term: Term) -> Term:
        rows = self.made[term.args[0]]
        squares = build.had(rows, rows)
        return build.fun("sqrt", build.mul(squares, build.ones(rows.cols)))

    def _inner(self, term: Term) -> Term:
        if term.args[0].cols is not ONE:
            raise NotStacked
        rows = build.had(*(self.made[a] for a in term.args))
        return build.mul(rows, build.ones(rows.cols))

    def _entry(self, term: Term) -> Term:
        i, j = term.attr
        if self.index in i.indices or self.index in j.indices:
            raise NotStacked
        rows = self.made[term.args[0]]
        at = i if term.args[0].cols is ONE else j
        return build.submatrix(rows, 1, rows.rows, at, at)


def _exists(member: Term) -> bool:
    """True for the member at an index that runs through its family: with the index there is the member."""
    at, family = member.attr.at.atom, member.attr.family.index
    return isinstance(at, Index) and at.lo is family.lo and at.hi is family.hi


def _of_rows(make: Callable[[Term], Term]) -> Callable[[Stacking, Term], Term]:
    return lambda s, term: make(s.made[term.args[0]])


_EACH: dict[Op, Callable[[Stacking, Term], Term]] = {
    ops.MEMBER: Stacking._member,
    ops.INT: Stacking._integer,
    ops.ADD: lambda s, term: build.add(*(s.made[a] for a in term.args)),
    ops.TIMES: Stacking._times,
    ops.SCALE: Stacking._scale,
    ops.HAD: Stacking._times,
    ops.POW: Stacking._power,
    ops.MUL: Stacking._chain,
    ops.TRANSPOSE: _of_rows(lambda rows: rows),
    ops.VEC: _of_rows(lambda rows: rows),
    ops.TOTAL: Stacking._sum,
    ops.NORM: Stacking._norm,
    ops.INNER: Stacking._inner,
    ops.ENTRY: Stacking._entry,
    ops.LOGSUMEXP: _of_rows(build.logsumexp_rows),
    ops.SOFTMAX: _of_rows(build.softmax_rows),
}
