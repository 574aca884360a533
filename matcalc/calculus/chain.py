"""The chain rule along an expression: the sub-expressions through which every use of the variable goes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from ..terms import build, ops
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, dependents, postorder, replace
from .system import System

LINKS = frozenset(
    (
        *(ops.INV, ops.FUN, ops.POW, ops.MPOW, ops.DET, ops.LOGDET, ops.NORM),
        *(ops.EXPM, ops.LOGM, ops.SQRTM, ops.PINV, ops.POLAR, ops.NUCLEAR, ops.SPECTRAL),
        *(ops.EIGMAX, ops.EIGVECMAX, ops.EIGVECS),
    )
)
"""Operations after which a derivation by the chain rule pauses: those that are not linear."""


def common(roots: Sequence[Term], target: Term) -> list[Term]:
    """The sub-terms that lie on every path from any of ``roots`` to ``target``, from the outside in."""
    using = [root for root in roots if target in postorder(root)]
    paths = [dominators(root, target) for root in using]
    shared = set(paths[0]).intersection(*paths[1:]) if paths else set()
    return [t for t in (paths[0] if paths else []) if t in shared]


def dominators(term: Term, target: Term) -> list[Term]:
    """The sub-terms that lie on every path from ``term`` to ``target``, from the outside in."""
    moving = dependents(term, {target})
    order = [t for t in postorder(term) if t in moving]
    above: dict[Term, Term] = {}
    depth = {term: 0}
    for node in reversed(order):
        for arg in node.args:
            if arg not in moving or node is target:
                continue
            first = above.get(arg)
            above[arg] = node if first is None else _meet(first, node, above, depth)
            depth[arg] = depth[above[arg]] + 1
    path = [target]
    while path[-1] is not term:
        path.append(above[path[-1]])
    return path[::-1]


def _meet(a: Term, b: Term, above: dict[Term, Term], depth: dict[Term, int]) -> Term:
    while a is not b:
        if depth[a] < depth[b]:
            b = above[b]
        elif depth[b] < depth[a]:
            a = above[a]
        else:
            a, b = above[a], above[b]
    return a


def links(term: Term, target: Term) -> list[Term]:
    """``[F, G1, …, X]`` with F a function of G1 alone, G1 of G2 alone, and so on."""
    if target not in postorder(term):
        return [term, target]
    path = dominators(term, target)
    outside = takewhile(lambda t: t.op is not ops.STATE, path[1:-1])  # not in the step of a recurrence
    inner = [t for t in outside if t.op in LINKS and not t.indices]
    return [term, *inner, target]


def in_terms_of_inverse(system: System, term: Term, target: Term) -> Term | None:
    """The term with X written as (X⁻¹)⁻¹ wherever that removes X: ``logdet(X)`` becomes ``-logdet(X⁻¹)``.

    None when X⁻¹ does not occur, or when X would still occur outside it.
    """
    if target.op is not ops.SYM or not target.is_square or target.is_scalar:
        return None
    inverse = build.inv(target)
    if not contains(term, inverse) or dominators(term, target)[-2] is inverse:
        return None
    symbol: Symbol = target.attr
    stand_in = build.sym(Symbol("Z", symbol.rows, symbol.cols, symbol.facts | {"invertible"}, "hidden"))
    moved = system.simplify(replace(term, {target: build.inv(stand_in)}))
    if contains(moved, build.inv(stand_in)):
        return None
    return replace(moved, {stand_in: inverse})
