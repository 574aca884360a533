"""Constraints that say what a declaration could say: X = X' is a symmetric X."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace as replaced
from typing import NamedTuple

from ..calculus.system import System
from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import replace
from .equation import Equation
from .parts import without_number

_STRUCTURES: dict[str, Callable[[Term], Term]] = {
    "symmetric": build.transpose,
    "skew": lambda x: build.neg(build.transpose(x)),
    "diagonal": lambda x: build.diag(build.diag(x)),
    "lower": build.tril,
    "upper": build.triu,
}
"""Each structure as the map that leaves just the matrices with it as they are."""


class Declared(NamedTuple):
    """A problem with unknowns of the structure that its constraints asked for."""

    objective: Term
    unknowns: list[Term]
    constraints: list[Equation]
    met: list[tuple[Equation, str]]
    """The constraints that every value with the structure meets, with what they say."""


def declared(rules: System, objective: Term, unknowns: Sequence[Term], constraints: Sequence[Equation]) -> Declared:
    """The problem with every constraint that asks for a structure taken into the declaration of its unknown."""
    result = Declared(objective, list(unknowns), [], [])
    todo = list(constraints)
    while todo:
        constraint = todo.pop(0)
        found = _structure(rules, constraint, result.unknowns)
        if found is None:
            result.constraints.append(constraint)
            continue
        unknown, fact = found
        symbol = unknown.attr
        put = {unknown: build.sym(replaced(symbol, facts=symbol.facts | {fact}))}
        result = Declared(
            replace(result.objective, put),
            [put.get(u, u) for u in result.unknowns],
            [_put(c, put) for c in result.constraints],
            [*((_put(c, put), why) for c, why in result.met), (_put(constraint, put), f"constraint: {fact}")],
        )
        todo = [_put(c, put) for c in todo]
    return result


def _put(equation: Equation, put: dict[Term, Term]) -> Equation:
    return Equation(replace(equation.left, put), replace(equation.right, put))


def _structure(rules: System, constraint: Equation, unknowns: Sequence[Term]) -> tuple[Term, str] | None:
    """The unknown and the structure that a constraint asks for."""
    residual = without_number(rules.expand(constraint.residual))
    for unknown in unknowns:
        if unknown.op is not ops.SYM or unknown.is_scalar or unknown.shape != residual.shape or not unknown.is_square:
            continue
        for fact, kept in _STRUCTURES.items():
            difference = rules.expand(build.sub(unknown, kept(unknown)))
            if residual is difference or residual is rules.expand(build.neg(difference)):
                return unknown, fact
    return None
