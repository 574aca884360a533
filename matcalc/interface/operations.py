"""The questions that are expressions too: D, grad, hess, d, simplify, expand, factor.

They nest: ``tr(hess(f, x))`` is an expression like any other.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ..calculus import derive
from ..calculus.present import factored, present
from ..calculus.system import System, system
from ..calculus.variable import is_structured, variable
from ..errors import ShapeError
from ..language.elaborate import Elaborated
from ..language.scope import Operation, Scope
from ..terms import build, ops
from ..terms.dims import ONE, Dim
from ..terms.term import Term

_TAKES = {1: "one argument", 2: "an expression and a variable"}
Shape = tuple[Dim, Dim]
SCALAR: Shape = (ONE, ONE)


@dataclass(frozen=True)
class Question:
    """An operation of the calculus: how many arguments, its shape, and how it is answered."""

    name: str
    arity: int
    shape_of: Callable[[list[Shape]], Shape]
    answer: Callable[[System, list[Term]], Term]
    system: Callable[[], System]
    along: Callable[[System, list[Term]], Term] | None = None

    def structured(self) -> Question:
        """The derivative along the structure of the variable.  Raises :class:`ShapeError` for other operations."""
        if self.along is None:
            raise ShapeError(f"{self.name} takes {_TAKES[self.arity]}")
        return replace(self, answer=self.along)

    def shape(self, args: list[Shape]) -> Shape:
        """The shape of the answer.  Raises :class:`ShapeError` for a wrong number of arguments."""
        if len(args) != self.arity:
            raise ShapeError(f"{self.name} takes {_TAKES[self.arity]}")
        return self.shape_of(args)

    def build(self, args: list[Term]) -> Term:
        """The answer as a term."""
        return self.answer(self.system(), args)


def _scalar_only(name: str, shape: Shape) -> None:
    if shape != SCALAR:
        raise ShapeError(
            f"{name} is of a scalar; this is {build.show_shape(*shape)}", hint="D(F, X) gives the Jacobian of an array"
        )


def _jacobian_shape(args: list[Shape]) -> Shape:
    return args[0][0] * args[0][1], args[1][0] * args[1][1]


def _gradient_shape(args: list[Shape]) -> Shape:
    _scalar_only("grad", args[0])
    return args[1]


def _hessian_shape(args: list[Shape]) -> Shape:
    _scalar_only("hess", args[0])
    return args[1][0] * args[1][1], args[1][0] * args[1][1]


def _same(args: list[Shape]) -> Shape:
    return args[0]


_Find = Callable[[System, Term, Term, bool], derive.Derived]

_DERIVATIVES: dict[str, tuple[Callable[[list[Shape]], Shape], _Find]] = {
    "D": (_jacobian_shape, derive.derivative),
    "grad": (_gradient_shape, derive.gradient),
    "hess": (_hessian_shape, derive.hessian),
}

_QUESTIONS: dict[str, tuple[int, Callable[[list[Shape]], Shape], Callable[[System, list[Term]], Term]]] = {
    "d": (1, _same, lambda s, a: derive.differential(s, a[0])),
    "simplify": (1, _same, lambda s, a: present(s, s.simplify(a[0]))),
    "expand": (1, _same, lambda s, a: s.expand(a[0])),
    "factor": (1, _same, lambda s, a: factored(s, a[0])),
}

FORMS = {"D": "jacobian", "grad": "gradient", "hess": "hessian"}
"""The questions that are derivatives, and the form of their answer."""


def operations(scope: Scope) -> Mapping[str, Operation]:
    """The operations, answered under the assumptions that the scope holds when they are asked."""

    def rules() -> System:
        return system(scope.assumptions)

    known: dict[str, Operation] = {
        name: Question(name, 2, shape, _answer(scope, find, False), rules, _answer(scope, find, True))
        for name, (shape, find) in _DERIVATIVES.items()
    }
    known |= {name: Question(name, *question, rules) for name, question in _QUESTIONS.items()}
    return known


def _answer(scope: Scope, find: _Find, structured: bool) -> Callable[[System, list[Term]], Term]:
    def answer(rules: System, args: list[Term]) -> Term:
        if scope.apart is None:
            return find(rules, args[0], args[1], structured).term
        around = variable(rules, args[0], scope.apart)
        function, wrt = around.enter(args[0]), around.enter(args[1])
        return around.leave(find(derive.inside(rules, around), function, wrt, structured).term)

    return answer


def reads_within(scope: Scope, read: Callable[[], Elaborated], wrt: Term) -> Elaborated:
    """An expression that is differentiated by a variable with a structure, which derivatives in it do not use."""
    scope.apart = wrt
    try:
        return read()
    finally:
        scope.apart = None


def is_apart(scope: Scope, wrt: Term) -> bool:
    """True for a variable with a structure that differentiating puts aside."""
    return wrt.op in (ops.SYM, ops.MEMBER) and is_structured(system(scope.assumptions), wrt)


def new_scope() -> Scope:
    """A scope in which the questions are known."""
    scope = Scope()
    scope.operations = operations(scope)
    return scope
