"""Sums and products of Kronecker products and commutation matrices as one sum of pairs: a pass from terms to terms.

``(kron(A, I) + kron(I, B))*K*kron(C, D)`` is ``(kron(A*D, C) + kron(D, B*C))*K``: whatever is built of such matrices is
a sum of Kronecker products of smaller ones, with or without a commutation matrix on the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..terms import build, ops
from ..terms.dims import ONE, Dim
from ..terms.term import Term
from ..terms.walk import postorder, rebuild
from .primitives import KRONECKER, Kronecker, Pair, apply

MAX_PAIRS = 16


class NoPairs(Exception):
    """A matrix that is no sum of Kronecker products."""


@dataclass(frozen=True)
class Product:
    """scalar * kron(left, right), with K on the right where it is ``crossed``."""

    scalar: Term
    left: Term
    right: Term
    crossed: bool = False


def as_kronecker(root: Term) -> Term:
    """The term with its matrices of Kronecker products as sums of pairs."""
    if not any(t.op is ops.KRON for t in postorder(root)):
        return root

    def change(term: Term, args: tuple[Term, ...]) -> Term | None:
        if term.op not in (ops.KRON, ops.ADD, ops.MUL, ops.SCALE) or ONE in term.shape:
            return None
        again = term if args == term.args else build.with_args(term, args)
        try:
            return _joined(again)
        except NoPairs:
            return again

    return rebuild(rebuild(root, change), _merged)


def _merged(term: Term, args: tuple[Term, ...]) -> Term | None:
    """A sum of pairs in as few as possible."""
    if term.op is not KRONECKER:
        return None
    return _built(_products(apply(KRONECKER, *args, attr=term.attr), None), True)


def _joined(term: Term) -> Term:
    if term.op is ops.MUL and not all(_matrix(f) for f in term.args):
        return _runs(term)
    products = _products(term, None)
    flags = {q.crossed for q in products}
    if len(flags) > 1:  # with and without K: two sums
        return build.add(*(_built([q for q in products if q.crossed is flag]) for flag in sorted(flags)))
    return _built(products)


def _matrix(term: Term) -> bool:
    """True for what a product of pairs can be made of."""
    if term.op is ops.SCALE:
        return _matrix(term.args[1])
    if term.op is ops.ADD:
        return any(_matrix(a) and a.op is not ops.EYE for a in term.args)
    return term.op in (ops.KRON, KRONECKER, ops.COMMUTATION, ops.EYE)


def _runs(term: Term) -> Term:
    """In a product with other factors, the neighbours that are pairs."""
    factors: list[Term] = []
    run: list[Term] = []

    def close() -> None:
        if len(run) > 1 and any(f.op is not ops.COMMUTATION for f in run):
            try:
                factors.append(_joined(build.mul(*run)))
            except NoPairs:
                factors.extend(run)
        else:
            factors.extend(run)
        run.clear()

    for factor in _commuted(term.args):
        if _matrix(factor):
            run.append(factor)
        else:
            close()
            factors.append(factor)
    close()
    return build.mul(*factors) if len(factors) < len(term.args) else term


def _commuted(factors: Sequence[Term]) -> list[Term]:
    """The factors with K in front of what it can be part of: K*diag(vec(Z)) is diag(vec(Z'))*K."""
    found = list(factors)
    for at in reversed(range(len(found) - 1)):
        k = at
        while k + 2 < len(found) and found[k].op is ops.COMMUTATION and found[k + 1].op is ops.DIAG:
            vector = found[k + 1].args[0]
            scalar, inside = (vector.args[0], vector.args[1]) if vector.op is ops.SCALE else (build.ONE_NUM, vector)
            if inside.op is not ops.VEC or inside.args[0].shape != found[k].attr:
                break
            turned = build.diag(build.smul(scalar, build.vec(build.transpose(inside.args[0]))))
            found[k], found[k + 1] = turned, found[k]
            k += 1
    return found


def _products(term: Term, split: tuple[Dim, Dim] | None) -> list[Product]:
    """The addends; ``split`` are the row sizes of the factors of an identity."""
    one = build.ONE_NUM
    if term.op is ops.KRON:
        if len(term.args) != 2 or any(ONE in a.shape for a in term.args):
            raise NoPairs
        return [Product(one, *term.args)]
    if term.op is KRONECKER:
        attr: Kronecker = term.attr

        def factor(at: int, n: Dim) -> Term:
            return build.eye(n) if at < 0 else term.args[at]

        return [
            Product(one, factor(pair.left, attr.left[0]), factor(pair.right, attr.right[0]), attr.crossed)
            for pair in attr.pairs
        ]
    if term.op is ops.SCALE:
        inside = _products(term.args[1], split)
        return [Product(build.times(term.args[0], q.scalar), q.left, q.right, q.crossed) for q in inside]
    if term.op is ops.COMMUTATION:
        m, n = term.attr
        return [Product(one, build.eye(m), build.eye(n), True)]
    if term.op is ops.EYE:
        if split is None or split[0] * split[1] is not term.rows:
            raise NoPairs
        return [Product(one, build.eye(split[0]), build.eye(split[1]))]
    if term.op is ops.ADD:
        return _added(term, split)
    if term.op is ops.MUL:
        return _multiplied(term)
    raise NoPairs


def _added(term: Term, split: tuple[Dim, Dim] | None) -> list[Product]:
    found: list[Product] = []
    for part in sorted(term.args, key=_is_identity):
        added = _products(part, split)
        if split is None and not added[0].crossed:
            split = added[0].left.rows, added[0].right.rows
        found += added
    if len(found) > MAX_PAIRS:
        raise NoPairs
    return found


def _is_identity(term: Term) -> bool:
    return term.op is ops.EYE or (term.op is ops.SCALE and term.args[1].op is ops.EYE)


def _multiplied(term: Term) -> list[Product]:
    found: list[Product] | None = None
    for factor in term.args:
        added = _products(factor, None)
        found = added if found is None else [_times(a, b) for a in found for b in added]
        if len(found) > MAX_PAIRS:
            raise NoPairs
    assert found is not None
    return found


def _times(a: Product, b: Product) -> Product:
    """The product of two: K*kron(C, D) is kron(D, C)*K."""
    left, right = (b.right, b.left) if a.crossed else (b.left, b.right)
    if a.left.cols is not left.rows or a.right.cols is not right.rows:
        raise NoPairs
    scalar = build.times(a.scalar, b.scalar)
    return Product(scalar, build.mul(a.left, left), build.mul(a.right, right), a.crossed is not b.crossed)


def _built(products: list[Product], merge: bool = False) -> Term:
    """The sum as one node; with ``merge``, addends with a common factor are one addend."""
    if not merge:
        return _node([(build.smul(q.scalar, q.left), q.right) for q in products], products[0])
    pairs: dict[Term, Term] = {}
    for q in products:
        if q.left.op is ops.EYE and q.right.op is not ops.EYE:
            continue
        left = build.smul(q.scalar, q.left)
        pairs[q.right] = build.add(pairs[q.right], left) if q.right in pairs else left
    found = [(left, right) for right, left in pairs.items()]
    for q in products:
        if q.left.op is ops.EYE and q.right.op is not ops.EYE:
            found.append((q.left, build.smul(q.scalar, q.right)))
    by_left: dict[Term, Term] = {}
    for left, right in found:
        by_left[left] = build.add(by_left[left], right) if left in by_left else right
    return _node(list(by_left.items()), products[0])


def _node(pairs: Sequence[tuple[Term, Term]], shape: Product) -> Term:
    args: list[Term] = []
    places: list[Pair] = []
    for left, right in pairs:
        if left.op is ops.ZEROS or right.op is ops.ZEROS:
            continue
        at = []
        for factor in (left, right):
            if factor.op is ops.EYE:
                at.append(-1)
            else:
                if factor not in args:
                    args.append(factor)
                at.append(args.index(factor))
        places.append(Pair(*at))
    rows, cols = shape.left.rows * shape.right.rows, shape.left.cols * shape.right.cols
    if not places:
        return build.zeros(rows, cols)
    attr = Kronecker(tuple(places), shape.left.shape, shape.right.shape, shape.crossed)
    return apply(KRONECKER, *args, attr=attr)
