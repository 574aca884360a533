"""Sums over the members of families as products of the stacked arrays: a pass from terms to terms.

``sum(i, x[i]*x[i]')`` becomes ``X'*X``, where the rows of ``X`` are the ``x[i]``.  Inside the sum a scalar that
depends on the index stands for the vector of its values, a column for the matrix whose rows are its values; sums of
products that are linear in something constant draw it out, so that quadratic forms see the data only through
``X'*X``.  What has no such form stays a sum, and becomes a loop.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..terms import build, ops
from ..terms.dims import ONE
from ..terms.symbols import Range
from ..terms.term import Term
from ..terms.walk import contains, postorder, rebuild
from .members import Members, NotStacked
from .primitives import GROUP, STACKSUM, WEIGHTED, apply


def stacked(roots: Sequence[Term]) -> list[Term]:
    """The roots with their sums over samples as products, where that is possible."""
    if not any(t.op is ops.SUM for t in postorder(*roots)):
        return list(roots)
    inside = _inside_steps(roots)

    def change(term: Term, args: tuple[Term, ...]) -> Term | None:
        if term.op is not ops.SUM or term in inside:
            return None
        found = _total(term.attr, args[0])
        if found is None and args[0] is not term.args[0]:  # the sums inside as products, or this one
            found = _total(term.attr, term.args[0])
            if found is not None and not _better(found, term, args[0]):
                return None
        return found

    return [rebuild(root, change) for root in roots]


def _total(over: Range, body: Term) -> Term | None:
    """The sum of a body as a product; None where that is not possible."""
    try:
        return Stacking(over).total(body)
    except NotStacked:
        return None


def _better(found: Term, term: Term, body: Term) -> bool:
    """Whether a sum is better as ``found`` than as a loop over its index with ``body`` inside.

    Fewer loops inside one another are; where there are as many, a loop over what has more families: over the
    components of a mixture, not over the samples.
    """
    loop = build.sum_over(term.attr.index, body)
    one, other = _loops(found), _loops(loop)
    return one < other or (one == other and _families(found) > _families(loop))


def _loops(root: Term) -> int:
    """How many loops are inside one another; what does not depend on the index of a loop is computed outside."""
    depth: dict[Term, int] = {}
    for term in postorder(root):
        if term.op.binder:
            index = term.attr.index
            inside = [d + (index in inner.indices) for inner, d in depth.items() if contains(term, inner)]
            depth[term] = max(inside, default=1)
    return max(depth.values(), default=0)


def _families(root: Term) -> int:
    """The number of families whose members are looked up in loops."""
    members = (t for t in postorder(root) if t.op is ops.MEMBER and t.attr.at.indices)
    return len({t.attr.family for t in members if not t.attr.at.indices & root.indices})


def _inside_steps(roots: Sequence[Term]) -> set[Term]:
    """The terms inside the steps of recurrences and ordered products, which are computed step by step."""
    found: set[Term] = set()
    for term in reversed(postorder(*roots)):
        if term in found or term.op is ops.PROD:
            found.update(term.args)
        elif term.op is ops.STATE:
            found.add(term.args[1])
    return found


_LINEAR = frozenset({ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.TR, ops.DIAGONAL, ops.TRIL, ops.TRIU, ops.DIAG})
"""What may be done after the sum just as well."""


class Stacking(Members):
    """Sums over one index."""

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
        if body.op is ops.SUM:
            return self._inside(body, self.total)
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
        if array.op is ops.SCALE:
            inside = self._weighted(build.times(*varying, array.args[0]), array.args[1])
            return build.smul(build.times(*fixed), inside)
        if array.op is ops.SUM:
            inside = self._inside(array, lambda body: self._weighted(build.times(*varying), body))
            return build.smul(build.times(*fixed), inside)
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
        if len(middle) > 2 and middle[0].op is ops.DIAG and middle[-1].op is ops.DIAG:
            between = build.mul(*middle[1:-1])  # diag(u)*M*diag(v) = M .* (u*v')
            if self.index not in between.indices:
                self._constant(between)
                pairs = self._outer(weights, middle[0].args[0], middle[-1].args[0])
                return build.mul(*left, build.had(between, pairs), *right)
        if cols is ONE:
            inside = build.mul(*middle)
            return build.mul(*left, self._weighted_one(weights, inside, whole=True), *right)
        raise NotStacked

    def _weighted_one(self, weights: list[Term], term: Term, whole: bool = False) -> Term:
        if term.op in (ops.ADD, *_LINEAR) and not whole and term.cols is not ONE:
            if term.op is ops.ADD:
                return build.add(*(self._weighted_one(weights, part) for part in term.args))
            return build.with_args(term, (self._weighted_one(weights, term.args[0]),))
        if self.index in term.indices and term.cols is not ONE and term.rows is not ONE:
            if term.op is ops.SUM:
                return self._inside(term, lambda body: self._weighted_one(weights, body))
            if term.op is ops.SCALE:
                fixed, varying = self._separated(term.args[0])
                more = [build.had(*weights, self._weights(varying))] if varying else weights
                return build.smul(build.times(*fixed), self._weighted_one(more, term.args[1]))
            if term.op is ops.MUL and len(term.args) > 1:
                return self._matmul(weights, list(term.args))
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
