"""Where a function is defined and twice differentiable, and whether that set is convex."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..calculus.system import System, system
from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.dims import Atom, Name, dim
from ..terms.symbols import Unknown
from ..terms.term import Term
from ..terms.walk import dependents, postorder
from .forms import CURVED_FACTS, affine_parts, facts_of, leaves

SMOOTH = frozenset(
    {
        *(ops.ADD, ops.TIMES, ops.SCALE, ops.MUL, ops.HAD, ops.KRON, ops.KHATRIRAO, ops.TRANSPOSE),
        *(ops.SOFTMAX, ops.SOFTMAXROWS, ops.LOGSUMEXP, ops.LOGSUMEXPROWS, ops.TR, ops.DET, ops.VEC, ops.UNVEC),
        *(ops.VECH, ops.TRIL, ops.TRIU, ops.DIAG, ops.DIAGONAL, ops.TOTAL, ops.ENTRY, ops.SLICE, ops.BLOCK),
        *(ops.EXPM, ops.DEXPM, ops.SUM, ops.INNER, ops.SYM, ops.MEMBER),
    }
)
"""Operations with two derivatives everywhere."""

ENTIRE = frozenset({"exp", "sin", "cos", "atan", "sinh", "cosh", "tanh", "asinh", "sigmoid", "softplus", "erf", "erfc"})
ON_POSITIVE = frozenset({"lgamma", "digamma", "trigamma"})
DEFINITE_ONLY = frozenset({ops.INV, ops.LOGDET, ops.SQRTM, ops.LOGM})


def with_sizes(rules: System, terms: Iterable[Term]) -> System:
    """The rules where every size and number of addends is at least 1: an extremum is of something that is there."""
    names: set[Atom] = set()
    for node in postorder(*terms):
        for size in (*node.shape, *(end for index in node.indices for end in (index.lo, index.hi))):
            names.update(size.atoms())
    sizes = frozenset((build.integer(dim(name)), "positive") for name in names if isinstance(name, Name))
    return rules if sizes <= rules.assumptions else system(rules.assumptions | sizes)


class Domain(NamedTuple):
    """What holds wherever the function has a value, and what must be shown for it to be smooth there."""

    implied: frozenset[Query]
    required: tuple[Query, ...]


def implied(function: Term, unknowns: Sequence[Term]) -> frozenset[Query]:
    """What holds wherever the function is real: log(E) and E^(1/2) with E affine ask for E ≥ 0, a convex set."""
    affine = affine_parts(function, unknowns)
    moving = dependents(function, leaves(function, unknowns))
    return frozenset((n.args[0], "positive") for n in moving if _needs_sign(n) and n.args[0] in affine)


def domain(function: Term, unknowns: Sequence[Term]) -> Domain | None:
    """The domain of a function of the unknowns; None where it is not known to be smooth on a convex set."""
    known = implied(function, unknowns)
    required: dict[Query, None] = {}
    for node in dependents(function, leaves(function, unknowns)):
        op = node.op
        if op in SMOOTH:
            continue
        inside = node.args[0] if node.args else node
        if op is ops.FUN and (isinstance(node.attr, Unknown) or node.attr in ENTIRE):
            continue
        if _needs_sign(node) or (op is ops.FUN and node.attr in ON_POSITIVE):
            if (inside, "positive") not in known:
                required[inside, "positive"] = None
        elif op is ops.POW:
            exponent = node.args[1]
            if exponent.op is not ops.NUM or exponent.attr < 0:
                required[inside, "positive"] = None
        elif op in DEFINITE_ONLY or (op is ops.MPOW and (node.attr.constant or -1) < 0):
            required[inside, "posdef"] = None
        elif op is not ops.MPOW:
            return None
    return Domain(known, tuple(required))


def _needs_sign(node: Term) -> bool:
    """A logarithm, or a root."""
    if node.op is ops.POW:
        return node.args[1].op is ops.NUM and not isinstance(node.args[1].attr, int)
    return node.op is ops.FUN and node.attr == "log"


def convex_set(unknowns: Sequence[Term]) -> bool:
    """The declared set of each unknown is convex, or has no part in what is shown."""
    return not any(facts_of(u) & CURVED_FACTS for u in unknowns)


def region(unknowns: Sequence[Term]) -> list[tuple[Term, str]]:
    """For each unknown the open convex set on which many functions are well behaved, where it is not declared."""
    found: list[tuple[Term, str]] = []
    for u in unknowns:
        facts = facts_of(u)
        if u.is_scalar or u.is_vector:
            if not facts & {"positive"}:
                found.append((u, "positive"))
        elif facts & {"symmetric", "diagonal", "psd"} and not facts & {"posdef"}:
            found.append((u, "posdef"))
    return found
