"""Objectives in other unknowns, one to one: the inverse or the logarithm of what is positive."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.symbols import Family, Symbol
from ..terms.term import Term
from ..terms.walk import postorder, size
from .domain import convex_set, implied
from .forms import facts_of, leaves, put
from .proofs import ProofStep

if TYPE_CHECKING:
    from .kind import Problem

MAX_GROWTH = 3
"""A multiplied out objective that is larger by more than this is not looked at."""

Substituted = tuple[ProofStep | None, Term, tuple[Term, ...]]


def substituted(problem: Problem) -> Iterator[Substituted]:
    """The objective as it stands, then in the inverse or the logarithm of unknowns that are positive."""
    yield None, problem.objective, problem.unknowns
    if not convex_set(problem.unknowns):
        return
    real = implied(problem.objective, problem.unknowns)
    choices = [_renamings(problem, i, real) for i in range(len(problem.unknowns))]
    for chosen in product(*choices):
        if all(c is None for c in chosen):
            continue
        renamed = {u: c for u, c in zip(problem.unknowns, chosen, strict=True) if c is not None}
        back = {u: c.old(c.new(u)) for u, c in renamed.items()}
        everywhere = {leaf: c.old(c.new(leaf)) for u, c in renamed.items() for leaf in leaves(problem.objective, (u,))}
        unknowns = tuple(renamed[u].new(u) if u in renamed else u for u in problem.unknowns)
        words: list[str | Term] = []
        for u, term in back.items():
            words += [", " if words else "with ", u, " = ", term]
        moved = problem.rules.simplify(put(problem.objective, everywhere))
        yield _substitution(words, moved), moved, unknowns
        if any(u.is_scalar for u in renamed):
            apart = problem.rules.expand(moved)
            if apart is not moved and size(apart) <= MAX_GROWTH * size(moved):
                yield _substitution(words, apart), apart, unknowns


def _substitution(words: list[str | Term], moved: Term) -> ProofStep:
    return ProofStep("substitution", (*words, ", one to one, the objective is ", moved))


class Renaming(NamedTuple):
    """A new unknown for an old one, and the old one in terms of it."""

    new: Callable[[Term], Term]
    old: Callable[[Term], Term]


def _renamings(problem: Problem, at: int, real: frozenset[Query]) -> list[Renaming | None]:
    """Ways to write a positive unknown one to one in a new one, which has a name of its own."""
    known = problem.local | real
    unknown = problem.unknowns[at]

    def named(name: str, *facts: str) -> Callable[[Term], Term]:
        own = _name(problem, f"{name}{at + 1}" if at else name)
        return lambda leaf: _like(leaf, own, frozenset(facts))

    if unknown.is_scalar or unknown.is_vector:
        if not (problem.rules.facts.has(unknown, "positive") or (unknown, "positive") in known):
            return [None]
        inverse = Renaming(named("y", "positive"), lambda y: build.power_of(y, build.MINUS_ONE_NUM))
        return [None, inverse, Renaming(named("z"), lambda z: build.fun("exp", z))]
    if problem.rules.facts.has(unknown, "posdef") or (unknown, "posdef") in known:
        return [None, Renaming(named("Y", "posdef", *(facts_of(unknown) & {"diagonal"})), build.inv)]
    return [None]


def _like(leaf: Term, name: str, facts: frozenset[str]) -> Term:
    """A variable, or a member, of the same shape under another name."""
    if leaf.op is ops.SYM:
        return build.sym(Symbol(name, leaf.rows, leaf.cols, facts))
    family = leaf.attr.family
    return build.member(Family(name, family.index, family.rows, family.cols, facts), leaf.attr.at)


def _name(problem: Problem, wanted: str) -> str:
    """A name that nothing in the problem has."""
    terms = postorder(problem.objective, *problem.unknowns, *problem.values.values())
    taken = {t.attr.name for t in terms if t.op is ops.SYM} | {t.attr.family.name for t in terms if t.op is ops.MEMBER}
    while wanted in taken:
        wanted += "_"
    return wanted
