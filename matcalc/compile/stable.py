"""The forms of terms that floating point computes well, by the rows of ``rules/stable.rules``."""

from __future__ import annotations

from functools import cache

from ..rewriting.engine import Rewriter
from ..rewriting.facts import Facts
from ..rewriting.loader import load
from ..terms import ops
from ..terms.term import Term
from ..terms.walk import postorder

_NAMES = frozenset({"exp", "sigmoid", "softplus"})


@cache
def _rewriter() -> Rewriter:
    facts = load("facts").file
    return Rewriter(load("stable").file.rules, Facts(facts.facts, facts.implications))


def stable(root: Term) -> Term:
    """The same value, without overflow and without cancellation."""
    concerned = any((t.op is ops.FUN and t.attr in _NAMES) or t.op in _SOFTMAX for t in postorder(root))
    return _rewriter().normalize(root) if concerned else root


_SOFTMAX = frozenset({ops.SOFTMAX, ops.SOFTMAXROWS})
