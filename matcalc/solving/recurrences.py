"""Linear recurrences in closed form: ``y[k+1] = A*y[k] + b`` has ``y[L] = A^L*y[0] + sum(k=0..L-1, A^k)*b``."""

from __future__ import annotations

from ..calculus.system import System
from ..terms import build, ops
from ..terms.dims import Index, dim
from ..terms.term import Term
from ..terms.walk import contains, postorder, replace
from .riccati import read_product
from .strategies import addends

FIRST_LEVEL = 900_000
"""The level of the index of the sum of powers until the constructor gives it its own."""


def closed_forms(system: System, term: Term) -> Term:
    """The term with each recurrence whose step is a fixed matrix times the state, plus a constant, written out."""
    found: dict[Term, Term] = {}
    for node in postorder(term):
        if node.op is ops.STATE:
            value = _closed(system, node)
            if value is not None:
                found[node] = value
    return system.simplify(replace(term, found)) if found else term


def _closed(system: System, state: Term) -> Term | None:
    start, body = state.args
    loop = state.attr
    slot = build.sym(loop.slot)
    matrix = build.zeros(body.rows, body.rows)
    constant: list[Term] = []
    if loop.step != 1 or slot.is_scalar or contains(start, slot):
        return None
    for addend in addends(system.expand(body)):
        if not contains(addend, slot):
            constant.append(addend)
            continue
        product = read_product(addend, slot)
        if product is None or len(product.between) != 2 or product.between[1] is not build.eye(slot.cols):
            return None
        matrix = build.add(matrix, build.smul(product.scalar, product.between[0]))
    if any(loop.index in t.indices for t in (matrix, *constant)):
        return None
    steps = loop.at - loop.first
    value = build.mul(build.mpow(matrix, steps), start)
    if constant:
        index = Index(FIRST_LEVEL, dim(0), steps - 1)
        powers = build.sum_over(index, build.mpow(matrix, dim(index)))
        value = build.add(value, build.mul(powers, build.add(*constant)))
    return value
