"""Equations that hold the unknown also in scalars: ``X + tr(B*X)*A = C``.

The equation is solved with those scalars held fixed; what is found, put into them, gives equations for the scalars
alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ..calculus.present import present
from ..calculus.system import System
from ..terms import build, ops
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import contains, postorder, replace
from .equation import Equation
from .strategies import Move, Need

MAX_SCALARS = 3
"""Equations with more scalars of the unknown are not followed."""

Isolate = Callable[[System, Equation, Term], tuple[Term, tuple[Need, ...]] | None]
"""The value of an unknown in an equation and the conditions, or None."""


def scalars_of(term: Term, unknown: Term) -> list[Term]:
    """The largest scalars inside an array that hold the unknown."""
    found: dict[Term, None] = {}
    todo = [term]
    seen: set[Term] = set()
    while todo:
        node = todo.pop()
        if node in seen or not contains(node, unknown):
            continue
        seen.add(node)
        if node.is_scalar:
            found[node] = None
        else:
            todo += node.args
    return list(found)


def coupled(isolate: Isolate, system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """The unknown from the rest, then the scalars from what that makes of them."""
    residual = equation.residual
    if unknown.is_scalar or residual.is_scalar:
        return
    scalars = scalars_of(system.expand(residual), unknown)
    if not 1 <= len(scalars) <= MAX_SCALARS or any(
        t.op is ops.SUM for t in postorder(residual) if contains(t, unknown)
    ):
        return
    names = [build.sym(Symbol(f"{unknown}#{i}", build.ONE_NUM.rows, build.ONE_NUM.cols)) for i in range(len(scalars))]
    held = replace(system.expand(residual), dict(zip(scalars, names, strict=True)))
    if not contains(held, unknown):
        return
    found = isolate(system, Equation(held, build.zeros(*held.shape)), unknown)
    if found is None:
        return
    value, needs = found
    put = dict(zip(names, scalars, strict=True))
    given = list(needs)
    solved: dict[Term, Term] = {}
    for scalar, name in zip(scalars, names, strict=True):
        inside = system.simplify(replace(replace(scalar, {unknown: value}), solved))
        answer = isolate(system, Equation(name, inside), name)
        if answer is None:
            return
        root, more = answer
        solved = {n: system.simplify(replace(v, {name: root})) for n, v in solved.items()} | {name: root}
        given += more
    final = present(system, system.simplify(replace(value, solved)))
    if any(contains(final, n) for n in names):
        return
    yield Move(
        f"hold {', '.join(map(str, scalars))} fixed, solve, insert",
        Equation(unknown, final),
        tuple((replace(replace(t, solved), put), fact) for t, fact in given),
    )
