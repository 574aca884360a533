"""The parts of a term that signs and definiteness are read from."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from ..terms import build, ops
from ..terms.arithmetic import coefficient
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
