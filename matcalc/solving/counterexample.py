"""Random points that show a function to be neither convex nor concave.

Only this negative answer is ever given by numbers: two chords, one below and one above the graph.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from ..errors import MatcalcError
from ..numeric.arrays import Array
from ..numeric.evaluate import Env, evaluate
from ..numeric.sample import sample
from ..rewriting.facts import Query
from ..terms import ops
from ..terms.term import Term
from ..terms.walk import contains
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
