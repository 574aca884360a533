"""Derivatives along the structure of a variable.

The derivative is first taken with entries independent.  For a linear structure (symmetric, diagonal,
triangular, skew) the entries that stand for one number are then added up: the partial derivatives by
distinct entries.  For orthogonal matrices and the Stiefel manifold the gradient is projected on the
tangent space, the gradient of the embedded metric; the Hessian is the Riemannian one of that metric,
V ↦ P(H[V] - V*sym(Q'*G)) with the projection P.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

from ..errors import MatcalcError
from ..terms import build, ops
from ..terms.term import Term
from .system import System


@dataclass(frozen=True)
class Structure:
    """One structure: the map from the gradient by independent entries to the one along it.

    ``part`` takes the variable and the gradient; ``matrix`` takes the variable and gives the same map on
    vec's, a symmetric matrix; ``told`` writes it for the reader.  A ``curved`` structure is no linear space.
    """

    fact: str
    told: str
    part: Callable[[Term, Term], Term]
    matrix: Callable[[Term], Term]
    curved: bool = False

    @property
    def step(self) -> str:
        """The name of the step in a derivation."""
        return "project on the tangent space" if self.curved else f"restrict to {self.fact}"

    def note(self, variable: Term, second: bool = False) -> str:
        """The convention, for the reader of an answer; ``second`` for that of a Hessian."""
        if second and self.curved:
            return (
                f"along the structure of {variable}: the Riemannian Hessian of the embedded metric,"
                " P*(H - kron(sym(Q'*G), I))*P with G and H by independent entries and P on the tangent space"
            )
        return f"along the structure of {variable}: {self.told} with G by independent entries"

    def gradient(self, variable: Term, free: Term) -> Term:
        """The gradient along the structure."""
        return self.part(variable, free)

    def jacobian(self, variable: Term, free: Term) -> Term:
        """Each row of the Jacobian, which is the gradient of one entry, along the structure."""
        return build.mul(free, self.matrix(variable))

    def hessian(self, variable: Term, free: Term, gradient: Term) -> Term:
        """The second derivatives along the structure, from Hessian and gradient by independent entries."""
        if self.curved:
            inner = _half(build.mul(build.transpose(variable), gradient), build.mul(_transposed(gradient), variable))
            free = build.sub(free, build.kron(inner, build.eye(variable.rows)))
        matrix = self.matrix(variable)
        return build.mul(matrix, free, matrix)


# ---------------------------------------------------------------- the parts of a gradient


def _transposed(gradient: Term) -> Term:
    """The transpose, addend by addend: what is symmetric alone shows."""
    return build.add(*map(build.transpose, gradient.args if gradient.op is ops.ADD else (gradient,)))


def _symmetric(_: Term, gradient: Term) -> Term:
    return build.add(gradient, _transposed(gradient), build.neg(_diagonal(_, gradient)))


def _symmetric_matrix(variable: Term) -> Term:
    expansion = build.duplication(variable.rows)
    return build.mul(expansion, build.transpose(expansion))


def _diagonal(_: Term, gradient: Term) -> Term:
    return build.diag(build.diag(gradient))


def _diagonal_matrix(variable: Term) -> Term:
    return build.diag(build.vec(build.eye(variable.rows)))


def _skew(_: Term, gradient: Term) -> Term:
    return build.sub(gradient, _transposed(gradient))


def _skew_matrix(variable: Term) -> Term:
    n = variable.rows
    return build.sub(build.eye(n * n), build.commutation(n, n))


def _lower(_: Term, gradient: Term) -> Term:
    return build.tril(gradient)


def _lower_matrix(variable: Term) -> Term:
    selection = build.elimination(variable.rows)
    return build.mul(build.transpose(selection), selection)


def _upper(_: Term, gradient: Term) -> Term:
    return build.triu(gradient)


def _upper_matrix(variable: Term) -> Term:
    return build.diag(build.vec(build.triu(build.ones(*variable.shape))))


HALF = build.num(Fraction(1, 2))


def _half(*terms: Term) -> Term:
    return build.smul(HALF, build.add(*terms))


def _tangent(variable: Term, gradient: Term) -> Term:
    inner = build.mul(build.transpose(variable), gradient), build.mul(_transposed(gradient), variable)
    return build.sub(gradient, build.mul(variable, _half(*inner)))


def _tangent_matrix(variable: Term) -> Term:
    rows, cols = variable.shape
    outer = build.mul(variable, build.transpose(variable))
    return build.sub(build.eye(rows * cols), _half(build.kron(build.eye(cols), outer), _turn(variable)))


def _turn(variable: Term) -> Term:
    """The matrix that takes vec(G) to vec(Q*G'*Q)."""
    return build.mul(build.kron(build.transpose(variable), variable), build.commutation(*variable.shape))


def _rotation(variable: Term, gradient: Term) -> Term:
    return _half(gradient, build.neg(build.mul(variable, _transposed(gradient), variable)))


def _rotation_matrix(variable: Term) -> Term:
    return _half(build.eye(variable.rows * variable.cols), build.neg(_turn(variable)))


# ---------------------------------------------------------------- the table

_ENTRIES = "by distinct entries"
_EMBEDDED = "the gradient of the embedded metric, G - Q*sym(Q'*G)"

STRUCTURES = (
    Structure("diagonal", "its diagonal, diag(diag(G))", _diagonal, _diagonal_matrix),
    Structure("symmetric", f"{_ENTRIES}, G + G' - diag(diag(G))", _symmetric, _symmetric_matrix),
    Structure("skew", f"{_ENTRIES}, G - G'", _skew, _skew_matrix),
    Structure("lower", "tril(G)", _lower, _lower_matrix),
    Structure("upper", "triu(G)", _upper, _upper_matrix),
    Structure("orthogonal", _EMBEDDED, _rotation, _rotation_matrix, True),
    Structure("stiefel", _EMBEDDED, _tangent, _tangent_matrix, True),
)
"""The special structures before the general ones."""

_CONTAINED = {"diagonal": ("symmetric", "lower", "upper"), "orthogonal": ("stiefel",)}


def structure(system: System, variable: Term) -> Structure | None:
    """The structure of a variable, None when its entries are independent.

    Raises :class:`MatcalcError` where two meet of which neither contains the other.
    """
    if variable.is_scalar:
        return None
    found = [s for s in STRUCTURES if system.facts.has(variable, s.fact)]
    contained = {fact for s in found for fact in _CONTAINED.get(s.fact, ())}
    found = [s for s in found if s.fact not in contained]
    if len(found) > 1:
        raise MatcalcError(f"no derivative is known along what is {found[0].fact} and {found[1].fact} at once")
    return found[0] if found else None
