"""What is derived for an iteration: the objective, its gradient and products with its Hessian, compiled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ..bounds import Lapsed, allowance, bounded
from ..calculus.derive import directional, gradients
from ..calculus.present import present
from ..calculus.system import System
from ..compile.function import GeneratedFunction, compile_numpy
from ..compile.names import Source, identifier, sources_of
from ..errors import MatcalcError, NotDifferentiable
from ..terms import build, ops
from ..terms.dims import dim
from ..terms.symbols import Family, Symbol, Unknown
from ..terms.term import Term
from ..terms.walk import postorder, substitute_indices
from .charts import CONSTRAINING

PATIENCE = 1.0
"""Seconds for bringing a product with the Hessian into its shortest form; without it the code is longer."""


@dataclass(frozen=True)
class Sought:
    """An unknown: its variable or family, the term that derivatives are taken by, the facts that narrow it down."""

    source: Source
    term: Term
    facts: frozenset[str]

    @property
    def name(self) -> str:
        """Its name in generated code."""
        return identifier(self.source.name)


def sought(system: System, term: Term, family: Family | None) -> Sought:
    """An unknown, from what ``wrt`` says.  Raises :class:`MatcalcError` for what is no variable."""
    if family is None and term.op is not ops.SYM:
        what = "a member of a family" if term.op is ops.MEMBER else "an expression"
        raise MatcalcError(f"an unknown is a variable or a whole family, not {what}: {term}")
    source: Source = term.attr if family is None else family
    return Sought(source, term, frozenset(f for f in (*CONSTRAINING, "integer") if system.facts.has(term, f)))


class Derivatives:
    """A scalar with its gradient, and products with its Hessian, by several unknowns jointly.

    The scalar may have further arguments.  Everything is derived when it is first needed.
    """

    def __init__(self, system: System, scalar: Term, unknowns: Sequence[Sought], inputs: Sequence[Term]) -> None:
        self.system, self.unknowns, self.inputs = system, list(unknowns), list(inputs)
        self.scalar = scalar
        taken = {identifier(s.name) for s in sources_of(postorder(scalar, *inputs))}
        self.directions = {u.name: _unused(f"{u.name}_direction", taken) for u in unknowns}

    @cached_property
    @bounded
    def _gradients(self) -> list[Term]:
        return [d.term for d in gradients(self.system, self.scalar, [u.term for u in self.unknowns])]

    @property
    def gradient_terms(self) -> dict[str, Term]:
        """The gradient by each unknown; by a family for each of its members."""
        return {u.name: _whole(u, g) for u, g in zip(self.unknowns, self._gradients, strict=True)}

    @cached_property
    @bounded
    def first(self) -> GeneratedFunction:
        """The value and the gradients together."""
        terms = {"": self.system.simplify(self.scalar), **self.gradient_terms}
        return compile_numpy(terms, "value_and_gradient", self.inputs)

    @cached_property
    @bounded
    def second(self) -> GeneratedFunction:
        """The derivatives of the gradients along directions, one for each unknown."""
        terms = {u.name: _whole(u, self.moved(g)) for u, g in zip(self.unknowns, self._gradients, strict=True)}
        return compile_numpy(terms, "hessian_product", self.inputs)

    def moved(self, term: Term) -> Term:
        """How a term changes when all unknowns move along their directions."""
        parts = [directional(self.system, term, u.term, self._direction(u), shown=False) for u in self.unknowns]
        total = self.system.simplify(build.add(*parts))
        try:
            with allowance(PATIENCE):
                return present(self.system, total)
        except Lapsed:
            return total

    def _direction(self, unknown: Sought) -> Term | Family:
        name, source = self.directions[unknown.name], unknown.source
        if isinstance(source, Family):
            return replace(source, name=name, facts=frozenset())
        return build.sym(Symbol(name, source.rows, source.cols))


def _whole(unknown: Sought, term: Term) -> Term:
    """Of what belongs to one member of a family, the whole family."""
    if not isinstance(unknown.source, Family):
        return term
    index = unknown.source.index
    return build.family(index, substitute_indices(term, {unknown.term.attr.at.atom: dim(index)}))


def _unused(name: str, taken: Iterable[str]) -> str:
    while name in taken:
        name += "_"
    return name


class Runner:
    """Calls of generated functions with what is given and does not change."""

    def __init__(self, given: Mapping[str, Any], functions: Iterable[Unknown]) -> None:
        self.given = dict(given)
        self.functions = sorted({identifier(u.name) for u in functions})

    def lacks(self, function: GeneratedFunction, moving: Iterable[str]) -> list[str]:
        """What the function needs and nobody gave."""
        return sorted(set(function.arguments) - self.given.keys() - set(moving))

    def check(self, function: GeneratedFunction, moving: Iterable[str]) -> None:
        """Raise :class:`MatcalcError` that names what is missing."""
        lacking = self.lacks(function, moving)
        for name in lacking:
            for base in self.functions:
                if name in ("d" + base, "d2" + base, "d3" + base):
                    raise MatcalcError(
                        f"the derivative {name} of the function {base} is missing",
                        hint=f"give it among the data, beside {base}",
                    )
        if lacking:
            raise MatcalcError(f"the data lack {', '.join(lacking)}")

    def call(self, function: GeneratedFunction, moving: Mapping[str, Any]) -> dict[str, Any]:
        """The values, ``{}`` where they cannot be computed (a singular matrix)."""
        values = {n: moving[n] if n in moving else self.given[n] for n in function.arguments}
        try:
            with np_errors():
                found = function(**values)
        except (ArithmeticError, _linalg_error()):
            return {}
        return found if isinstance(found, dict) else {"": found}


def np_errors() -> Any:
    """Overflow and invalid operations give infinities and NaN, silently; they are looked at afterwards."""
    import numpy as np

    return np.errstate(all="ignore")


def _linalg_error() -> type[Exception]:
    from numpy.linalg import LinAlgError

    return LinAlgError


def second_order(derivatives: Derivatives) -> str:
    """Why products with the Hessian are not available; nothing where they are."""
    try:
        _ = derivatives.second
    except NotDifferentiable as error:
        return error.message
    return ""
