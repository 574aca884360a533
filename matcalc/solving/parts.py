"""The parts of a term that signs and definiteness are read from."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from ..calculus.collect import without_common_number
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.ops import Op
from ..terms.term import Term
from ..terms.walk import postorder


def negative(term: Term) -> Term:
    """The negative, the sign inside a sum."""
    number, rest = coefficient(term)
    if rest.op is ops.ADD:
        return build.add(*(build.smul(build.num(-number), a) for a in rest.args))
    return build.neg(term)


def scaled_addends(term: Term) -> list[Term]:
    """The addends of a sum, a scalar factor put on each."""
    if term.op is ops.SCALE:
        return [build.smul(term.args[0], a) for a in scaled_addends(term.args[1])]
    return list(term.args) if term.op is ops.ADD else [term]


def entry_factors(term: Term) -> list[Term]:
    """The factors of a product of scalars or entry by entry; a scalar factor of an array among them."""
    if term.op is ops.SCALE:
        return [*entry_factors(term.args[0]), *entry_factors(term.args[1])]
    return list(term.args) if term.op in (ops.TIMES, ops.HAD) else [term]


def spread(factors: Sequence[Term], moving: Collection[Term]) -> list[Term]:
    """The factors of a product, ``w .* (A*x)`` as diag(w)*A*x, where x is among what moves."""
    found: list[Term] = []
    for factor in factors:
        if factor.op is ops.HAD and factor.is_vector:
            inside = [a for a in factor.args if any(t in moving for t in postorder(a))]
            if len(inside) == 1 and len(factor.args) > 1:
                others = [a for a in factor.args if a is not inside[0]]
                found.append(build.diag(build.had(*others)))
                found += spread(inside, moving)
                continue
        if factor.op is ops.MUL:
            found += spread(factor.args, moving)
        elif factor.op is ops.TRANSPOSE and factor.args[0].op is ops.HAD:
            turned = spread((factor.args[0],), moving)
            found += [build.transpose(f) if f.op is not ops.DIAG else f for f in reversed(turned)]
        else:
            found.append(factor)
    return found


def upright(term: Term) -> Term:
    """``-(a - b)*c`` as ``(b - a)*c``: a minus sign in front goes into a factor that it does not make longer."""
    if term.op is ops.ADD:
        return build.add(*map(upright, term.args))
    number, rest = coefficient(term)
    if number >= 0:
        return term
    turned = _turned(rest)
    return term if turned is None else build.smul(build.num(-number), turned)


def _turned(term: Term) -> Term | None:
    """The negative, by the sign of a sum within a product of which an addend is negative already."""
    op = term.op
    if op is ops.ADD:
        negatives = sum(coefficient(a)[0] < 0 for a in term.args)
        return negative(term) if 2 * negatives >= len(term.args) else None
    if op not in _MULTIPLY and op not in _ODD and not (op is ops.POW and term.args[1] is build.MINUS_ONE_NUM):
        return None
    for place in range(len(term.args) if op in _MULTIPLY else 1):
        turned = _turned(term.args[place])
        if turned is not None:
            args = (*term.args[:place], turned, *term.args[place + 1 :])
            make = _MULTIPLY.get(op)
            return make(*args) if make is not None else build.with_args(term, args)
    return None


_MULTIPLY: dict[Op, Callable[..., Term]] = {
    ops.MUL: build.mul,
    ops.TIMES: build.times,
    ops.SCALE: build.smul,
    ops.HAD: build.had,
}
_ODD = frozenset({ops.TRANSPOSE, ops.SUM, ops.INV, ops.TR, ops.TOTAL, ops.DIAG})


_PRODUCTS = frozenset({ops.ADD, ops.MUL, ops.TIMES, ops.SCALE, ops.HAD, ops.KRON, ops.MPOW})


def is_polynomial(term: Term, unknown: Term) -> bool:
    """True where sums, products and linear operations alone lead to the unknown, so that multiplying out shows it."""
    moving: set[Term] = {unknown}
    for node in postorder(term):
        places = [i for i, a in enumerate(node.args) if a in moving]
        if not places or node is unknown:
            continue
        if node.op not in _PRODUCTS and ops.ANY not in node.op.linear and not set(places) <= set(node.op.linear):
            return False
        moving.add(node)
    return True


def without_number(residual: Term) -> Term:
    """A residual over the number in front of it, that of all its addends included."""
    total = coefficient(residual)[1]
    return coefficient(without_common_number(total))[1] if total.op is ops.ADD else total
