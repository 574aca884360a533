"""Matrices that act on each sample for itself: kron(I, X')*M*kron(I, Z) without the large M.

Where the N samples are the rows of a matrix, ``kron(S, I)`` with the identity of size N, ``diag(vec(D))`` with D of N
rows, and what is made of them by products and sums, is one small matrix for each sample.  The Hessian of a network
by the weights of a layer is a sandwich of such a matrix between the inputs of the layer; that of a function of the
entries of U*V' by U is one by itself, with the rows of U as samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..terms import build, ops
from ..terms.dims import Dim
from ..terms.term import Term
from . import primitives as p

if TYPE_CHECKING:
    from .lower import Lowering


class NotSamplewise(Exception):
    """A matrix that mixes samples."""


@dataclass(frozen=True)
class Small:
    """The small matrices: ``same`` for all samples, ``diagonal`` with the diagonals as rows, or ``each``, lowered."""

    same: Term | None = None
    diagonal: Term | None = None
    each: Term | None = None
    identity: bool = False


def sandwich(work: Lowering, factors: Sequence[Term]) -> Term | None:
    """A product kron(P, X')*M*kron(Q, Z) with a samplewise M, lowered; None for another."""
    if len(factors) < 3:
        return None
    left, right = _end(factors[0], True), _end(factors[-1], False)
    if left is None or right is None:
        return None
    samples = factors[1].rows
    small_rows, inputs = left
    small_cols, outputs = right
    if inputs.rows is not outputs.rows:
        return None
    count = inputs.rows
    try:
        middle = Samplewise(work, count).product(factors[1:-1])
    except NotSamplewise:
        return None
    if middle.each is None or samples is not small_rows * count:
        return None
    sizes = (small_rows, inputs.cols, small_cols, outputs.cols)
    return p.apply(p.SANDWICH, work.low(inputs), middle.each, work.low(outputs), attr=sizes)


def spread(work: Lowering, factors: Sequence[Term]) -> Term | None:
    """A product kron(P, I)*M*kron(Q, I) that acts on each sample and has to be formed; None for another."""
    if len(factors) < 3 or factors[0].op is not p.KRONECKER:
        return None
    try:
        small = Samplewise(work, factors[0].attr.right[0]).product(factors)
    except NotSamplewise:
        return None
    if small.each is None:
        return None
    return p.apply(p.SPREAD, small.each, attr=(factors[0].rows, factors[-1].cols))


def across(work: Lowering, factors: Sequence[Term]) -> Term | None:
    """A product kron(S, I)*diag(vec(D))*kron(I, T), which has one product for each entry; None for another."""
    if len(factors) < 3 or factors[0].op is not p.KRONECKER or factors[-1].op is not p.KRONECKER:
        return None
    first, last = factors[0], factors[-1]
    left, right = first.attr, last.attr
    if left.crossed or any(len(attr.pairs) != 1 for attr in (left, right)):
        return None
    (one,), (other,) = left.pairs, right.pairs
    if one.left < 0 or one.right >= 0 or other.left >= 0 or other.right < 0:
        return None
    try:
        small = Samplewise(work, left.right[0]).product(factors[1:-1])
    except NotSamplewise:
        return None
    if small.diagonal is None or small.diagonal.cols is not right.left[0]:
        return None
    matrices = (first.args[one.left], small.diagonal, last.args[other.right])
    attr = (first.rows, last.cols, right.crossed)
    return p.apply(p.ACROSS, *map(work.low, matrices), attr=attr)


def _end(factor: Term, left: bool) -> tuple[Dim, Term] | None:
    """Of kron(I, X') at the left end, or kron(I, X) at the right: the size of I, and X."""
    if factor.op is not p.KRONECKER:
        return None
    attr: p.Kronecker = factor.attr
    if len(attr.pairs) != 1 or attr.crossed or attr.pairs[0].left >= 0 or attr.pairs[0].right < 0:
        return None
    inside = factor.args[attr.pairs[0].right]
    return attr.left[0], build.transpose(inside) if left else inside


class Samplewise:
    """Products and sums of matrices that act on each of ``count`` samples."""

    def __init__(self, work: Lowering, count: Dim) -> None:
        self.work, self.count = work, count

    def read(self, term: Term) -> Small:
        """The small matrices of an ordinary term.  Raises :class:`NotSamplewise`."""
        if term.op is ops.EYE:
            return Small(identity=True)
        if term.op is p.KRONECKER:
            attr: p.Kronecker = term.attr
            if attr.crossed or attr.right[0] is not self.count or any(q.right >= 0 for q in attr.pairs):
                raise NotSamplewise
            lefts = (build.eye(attr.left[0]) if q.left < 0 else term.args[q.left] for q in attr.pairs)
            return Small(same=build.add(*lefts))
        if term.op is ops.DIAG:
            vector = term.args[0]
            scalar, inside = (vector.args[0], vector.args[1]) if vector.op is ops.SCALE else (build.ONE_NUM, vector)
            if inside.op is not ops.VEC or inside.args[0].rows is not self.count:
                raise NotSamplewise
            return Small(diagonal=build.smul(scalar, inside.args[0]))
        if term.op is ops.SCALE:
            return self._scaled(self.work.low(term.args[0]), term.args[0], self.read(term.args[1]))
        if term.op is ops.ADD:
            return self._sum([self.read(part) for part in term.args])
        if term.op is ops.MUL:
            return self.product(term.args)
        raise NotSamplewise

    def _scaled(self, lowered: Term, scalar: Term, small: Small) -> Small:
        if small.same is not None:
            return Small(same=build.smul(scalar, small.same))
        if small.diagonal is not None:
            return Small(diagonal=build.smul(scalar, small.diagonal))
        if small.each is None:
            raise NotSamplewise
        return Small(each=p.apply(p.EACH_SCALED, lowered, small.each))

    def product(self, factors: Sequence[Term]) -> Small:
        """A product; where its ends are mirrored, F*M*F', the factor F' is computed once, from its small side."""
        first, last = 0, len(factors) - 1
        while first < last - 1 and self._mirrored(factors[first], factors[last]):
            first, last = first + 1, last - 1
        if first > 1:
            outer, *others = [self.read(f) for f in factors[last + 1 :]]
            for other in others:
                outer = self._times(outer, other)
            middle = self._folded([self.read(f) for f in factors[first : last + 1]])
            if outer.each is not None and middle.each is not None:
                inside = p.apply(p.EACH_TIMES, middle.each, outer.each)
                return Small(each=p.apply(p.EACH_TIMES, outer.each, inside, attr=True))
        return self._folded([self.read(f) for f in factors])

    def _mirrored(self, left: Term, right: Term) -> bool:
        if left.op is ops.DIAG:
            return left is right
        if left.op is not p.KRONECKER or right.op is not p.KRONECKER:
            return False
        a, b = self.read(left).same, self.read(right).same
        return a is not None and b is not None and build.transpose(a) is b

    def _folded(self, smalls: Sequence[Small]) -> Small:
        """The product, from a matrix that differs between the samples outwards, else from the right."""
        smalls = self._together(smalls)
        if len(smalls) == 3:
            left, among, right = (smalls[0].same, smalls[1].diagonal, smalls[2].same)
            if left is not None and among is not None and right is not None:
                rows = self._weights(among)
                return Small(each=p.apply(p.EACH_WEIGHTED, self.work.low(left), rows, self.work.low(right)))
        start = next((k for k, small in enumerate(smalls) if small.each is not None), len(smalls) - 1)
        found = smalls[start]
        for small in smalls[start + 1 :]:
            found = self._times(found, small)
        for small in reversed(smalls[:start]):
            found = self._times(small, found)
        return found

    def _together(self, smalls: Sequence[Small]) -> list[Small]:
        """The factors, neighbours that are diagonal, or the same for all samples, as one."""
        found: list[Small] = []
        for small in smalls:
            last = found[-1] if found else Small()
            diagonals = last.diagonal is not None and small.diagonal is not None
            if diagonals or (last.same is not None and small.same is not None):
                found[-1] = self._times(last, small)
            else:
                found.append(small)
        return found

    def _times(self, a: Small, b: Small) -> Small:
        if a.identity or b.identity:
            return b if a.identity else a
        if a.same is not None and b.same is not None:
            return Small(same=build.mul(a.same, b.same))
        if a.diagonal is not None and b.diagonal is not None:
            return Small(diagonal=build.had(a.diagonal, b.diagonal))
        if a.diagonal is not None:
            return Small(each=p.apply(p.EACH_ROWS, self._weights(a.diagonal), self._each(b)))
        if b.diagonal is not None:
            return Small(each=p.apply(p.EACH_COLS, self._each(a), self._weights(b.diagonal)))
        if a.same is not None:
            return Small(each=p.apply(p.EACH_LEFT, self.work.low(a.same), self._each(b)))
        if b.same is not None:
            return Small(each=p.apply(p.EACH_RIGHT, self._each(a), self.work.low(b.same)))
        return Small(each=p.apply(p.EACH_TIMES, self._each(a), self._each(b)))

    def _weights(self, diagonal: Term) -> Term:
        lowered = self.work.low(diagonal)
        step = lowered.op is ops.FUN and lowered.attr == "step"
        return self.work.positive(lowered) if step else lowered

    def _each(self, small: Small) -> Term:
        """The small matrices as an array; one that is the same for all is broadcast."""
        if small.each is not None:
            return small.each
        if small.same is None:
            raise NotSamplewise
        return p.apply(p.EACH_SAME, self.work.low(small.same), attr=self.count)

    def _sum(self, parts: Sequence[Small]) -> Small:
        if all(part.same is not None for part in parts):
            return Small(same=build.add(*(part.same for part in parts if part.same is not None)))
        if all(part.diagonal is not None for part in parts):
            return Small(diagonal=build.add(*(part.diagonal for part in parts if part.diagonal is not None)))
        whole = [self._each(part) for part in parts if part.diagonal is None and not part.identity]
        if not whole:
            raise NotSamplewise
        total = whole[0]
        for other in whole[1:]:
            total = p.apply(p.EACH_PLUS, total, other)
        for part in parts:
            if part.diagonal is not None:
                total = p.apply(p.EACH_DIAGONAL, total, self.work.low(part.diagonal))
            elif part.identity:
                total = p.apply(p.EACH_DIAGONAL, total, build.ONE_NUM)
        return Small(each=total)
