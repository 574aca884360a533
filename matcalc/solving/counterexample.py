"""Random points that show a function to be neither convex nor concave, or a proof not worth trying.

Only this negative answer is ever given by numbers: two chords, one below and one above the graph.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..calculus.system import System
from ..errors import MatcalcError
from ..numeric.arrays import Array
from ..numeric.evaluate import Env, evaluate
from ..numeric.sample import sample
from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, postorder, replace
from .forms import CURVED_FACTS, facts_of

DATA = 4
CHORDS = 24
REQUIRED = frozenset({"positive", "nonneg", "nonzero", "invertible"})
TOLERANCE = 1e-6


def bends_both_ways(function: Term, unknowns: Sequence[Term], assumptions: Collection[Query] = ()) -> bool:
    """True when for every draw of the data some chord lies below the graph and some chord above it."""
    if any(u.op is not ops.SYM or facts_of(u) & CURVED_FACTS for u in unknowns):
        return False
    about_data = [(t, f) for t, f in assumptions if f in REQUIRED and not any(contains(t, u) for u in unknowns)]
    if len(about_data) < len(assumptions):
        return False
    try:
        return all(_both(function, unknowns, seed, about_data) for seed in range(DATA))
    except MatcalcError:
        return False


def _both(function: Term, unknowns: Sequence[Term], seed: int, require: Sequence[Query]) -> bool:
    data = sample([function, *unknowns], seed, domain=("any", "positive")[seed % 2], require=require)
    signs: set[bool] = set()
    for chord in range(CHORDS):
        domain = ("any", "positive", "unit")[chord % 3]
        ends = [_moved(data, function, unknowns, 1000 + 2 * chord + i, domain) for i in (0, 1)]
        middle = data
        for u in unknowns:
            middle = middle.with_symbol(u.attr, (ends[0].symbols[u.attr] + ends[1].symbols[u.attr]) / 2)
        left, right, between = (_value(function, env) for env in (*ends, middle))
        gap = (left + right) / 2 - between
        if np.isfinite(gap) and abs(gap) > TOLERANCE * max(1.0, abs(left), abs(right)):
            signs.add(bool(gap > 0))
        if len(signs) == 2:
            return True
    return False


def _moved(data: Env, function: Term, unknowns: Sequence[Term], seed: int, domain: str) -> Env:
    drawn = sample([function, *unknowns], seed, domain=domain, sizes=dict(data.sizes))
    for u in unknowns:
        value: Array = drawn.symbols[u.attr]
        data = data.with_symbol(u.attr, value)
    return data


def _value(function: Term, env: Env) -> float:
    try:
        return float(np.real(evaluate(function, env)[0, 0]))
    except MatcalcError:
        return float("nan")


def hopeless(form: Term, unknowns: Collection[Term], rules: System) -> bool:
    """True when on no data, definite and positive ones among them, the form is ≥ 0 at all random points."""
    leaves = [t for t in postorder(form) if t.op is ops.SYM]
    if any(t.op is ops.MEMBER and t.attr.family.role == "direction" for t in postorder(form)):
        return False
    softer = {t: _definite(t) for t in leaves if t not in unknowns and t.attr.role != "direction"}
    term = replace(form, softer)
    varying = [t for t in leaves if t not in softer]
    try:
        return not any(_supported(term, varying, draw, rules) for draw in range(DRAWS))
    except MatcalcError:
        return False


DRAWS = 5
POINTS = 6


def _definite(leaf: Term) -> Term:
    """A matrix whose definiteness is open, as a definite one."""
    symbol = leaf.attr
    if not leaf.is_square or leaf.is_scalar or not symbol.facts <= {"symmetric"}:
        return leaf
    return build.sym(Symbol(symbol.name, symbol.rows, symbol.cols, frozenset({"posdef"})))


def _supported(term: Term, varying: Sequence[Term], draw: int, rules: System) -> bool:
    """The form is ≥ 0 at the points drawn for one draw of the data."""
    data = sample(term, draw, domain=("positive", "any", "unit", "positive", "positive")[draw])
    if draw == DRAWS - 1:  # large scalars, small arrays
        for symbol, value in data.symbols.items():
            if np.size(value) == 1:
                data = data.with_symbol(symbol, 10 * np.asarray(value))
    for point in range(POINTS):
        drawn = {kind: sample(term, 500 + point, domain=kind, sizes=dict(data.sizes)) for kind in ("any", "positive")}
        here = data
        for leaf in varying:
            kind = "positive" if rules.facts.has(leaf, "positive") else "any"
            here = here.with_symbol(leaf.attr, drawn[kind].symbols[leaf.attr])
        value = _value(term, here)
        if value < -TOLERANCE:
            return False
    return True
