"""Second derivatives by several variables, their structure put aside from the function to the end.

The gradient as it is shown uses the structure of its variable; a direction, or the entries by which a block of the
Hessian is taken, need not have it.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..terms import build
from ..terms.symbols import Family
from ..terms.term import Term
from .derive import arrived, inside, tangent, targets_of
from .present import present
from .reverse import reverse
from .system import System
from .variable import Variable
from .variable import variables as prepared


class Second:
    """A scalar f and its gradients by several variables, whose entries are independent."""

    def __init__(self, system: System, function: Term, variables: Sequence[Term]) -> None:
        self.system, self.inner = system, system
        self.places = prepared(system, function, variables)
        for where in self.places:
            self.inner = inside(self.inner, where)
            function = where.enter(function)
        self.function = self.inner.simplify(function)
        targets = [t for where in self.places for t in targets_of(self.function, where)]
        found = reverse(self.inner, self.function, build.ONE_NUM, targets, "adjoint")
        self.gradients = [
            present(self.inner, self.inner.simplify(arrived(found, self.function, where, "adjoint")))
            for where in self.places
        ]

    def product(self, row: int, directions: Sequence[Term | Family]) -> Term:
        """The differential of one gradient along a direction for each variable, in the shape of its variable."""
        gradient = self.gradients[row]
        parts = [
            tangent(self.inner, gradient, where, self._entered(direction))
            for where, direction in zip(self.places, directions, strict=True)
        ]
        return self._shown(build.add(*parts))

    def block(self, row: int, column: int) -> Term:
        """∂vec(gradient by one variable)/∂vec(another)ᵀ."""
        gradient, where = self.gradients[row], self.places[column]
        seed = build.eye(gradient.rows * gradient.cols)
        walked = reverse(self.inner, gradient, seed, targets_of(gradient, where), "vec")
        return self._shown(arrived(walked, gradient, where, "vec"))

    def _entered(self, direction: Term | Family) -> Term | Family:
        if isinstance(direction, Family):
            return direction
        for where in self.places:
            direction = where.enter(direction)
        return direction

    def _shown(self, raw: Term) -> Term:
        result = present(self.inner, self.inner.simplify(raw))
        back = _all_left(self.places, result)
        return back if back is result else present(self.system, self.system.simplify(back))


def _all_left(places: Sequence[Variable], term: Term) -> Term:
    for where in places:
        term = where.leave(term)
    return term
