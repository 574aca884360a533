"""Parametrisations: maps from free coordinates onto the set that a structured variable lives in.

Each is one formula of the language in a matrix B; its entries outside a mask are 0, the others are the
coordinates.  What the iteration needs besides the formula is derived from it by the rules: the adjoint of its
differential takes the gradient by X to the one by the coordinates, and the differential of that adjoint gives
the second derivatives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from ..calculus import derive
from ..calculus.system import system
from ..compile.function import GeneratedFunction, compile_numpy
from ..errors import MatcalcError
from ..language.elaborate import parse_expression
from ..language.scope import Scope
from ..terms import build
from ..terms.symbols import Symbol
from .data import Array, check_facts

DIAGONAL_TO_EXP = "(B - diag(diag(B)) + diag(exp(diag(B))))"


@dataclass(frozen=True)
class Chart:
    """One parametrisation X = formula(B).

    ``where`` declares what occurs in the formula, ``mask`` says which entries of B are coordinates, ``inverse``
    gives a B for an X.  A ``based`` chart describes the set around the first columns of a square orthogonal
    matrix Q, which is moved along during the iteration.
    """

    facts: frozenset[str]
    told: str
    formula: str
    where: str
    mask: Callable[[int, int], Array]
    inverse: Callable[[Array], Array]
    based: bool = False

    @cached_property
    def functions(self) -> dict[str, GeneratedFunction]:
        """The map, its adjoint differential, its differential, and the differential of the adjoint, compiled."""
        scope = Scope()
        scope.declare_all(self.where)
        value = parse_expression(self.formula, scope).term
        free = parse_expression("B", scope).term
        covector = build.sym(Symbol("G", value.rows, value.cols))
        direction = build.sym(Symbol("V", free.rows, free.cols))
        rules = system()
        pull = derive.pulled_back(rules, value, free, covector)
        terms = {
            "value": value,
            "pull": pull,
            "push": derive.directional(rules, value, free, direction),
            "bend": derive.directional(rules, pull, free, direction),
        }
        inputs = [parse_expression(name, scope).term for name in scope.symbols]
        return {name: compile_numpy(term, name, [*inputs, covector, direction]) for name, term in terms.items()}

    def run(self, which: str, **arrays: Any) -> Array:
        """One of the functions."""
        function = self.functions[which]
        found = function(**{name: arrays[name] for name in function.arguments})
        return np.asarray(found, dtype=float)


# ---------------------------------------------------------------- the table


def _all(m: int, n: int) -> Array:
    return np.ones((m, n), dtype=bool)


def _lower(m: int, n: int) -> Array:
    return np.tril(_all(m, n))


def _strictly_lower(m: int, n: int) -> Array:
    return np.tril(_all(m, n), -1)


def _upper(m: int, n: int) -> Array:
    return np.triu(_all(m, n))


def _diagonal(m: int, n: int) -> Array:
    return np.eye(m, n, dtype=bool)


def _factor(value: Array) -> Array:
    """The Cholesky factor, with the logarithms of its diagonal."""
    factor = np.linalg.cholesky(value)
    return factor + np.diag(np.log(np.diag(factor)) - np.diag(factor))


def _half(value: Array) -> Array:
    """A lower triangular factor of a positive semidefinite matrix."""
    values, vectors = np.linalg.eigh((value + value.T) / 2)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    return np.asarray(np.linalg.qr(root.T)[1].T)


def _same(value: Array) -> Array:
    return value


def _nothing(value: Array) -> Array:
    """The coordinates of the base of a chart."""
    n = value.shape[0]
    return np.zeros((n, n))


_SQUARE = "B: matrix(n,n)"
_AROUND = "B, Q: matrix(n,n); E: matrix(n,p)"
_CAYLEY = "Q*(2*inv(eye(n) + (B - B')/2) - eye(n))*E"
_TOLD_CAYLEY = "{X} = Q0*(I + K)^-1*(I - K), K skew (Cayley), Q0 moved along"

_SYMMETRIC = {"symmetric"}
_DIAGONAL = {"diagonal", "symmetric", "lower", "upper"}

CHARTS = (
    Chart(
        frozenset({"diagonal", "posdef"}) | _DIAGONAL | {"psd"},
        "{X} = diag(exp(d))",
        "diag(exp(diag(B)))",
        _SQUARE,
        _diagonal,
        lambda x: np.diag(np.log(np.diag(x))),
    ),
    Chart(
        frozenset({"posdef", "psd"} | _SYMMETRIC),
        "{X} = L*L', L lower triangular, the logarithms of its diagonal free",
        f"{DIAGONAL_TO_EXP}*{DIAGONAL_TO_EXP}'",
        _SQUARE,
        _lower,
        _factor,
    ),
    Chart(frozenset({"psd"} | _SYMMETRIC), "{X} = L*L', L lower triangular", "B*B'", _SQUARE, _lower, _half),
    Chart(frozenset(_DIAGONAL), "the diagonal entries", "diag(diag(B))", _SQUARE, _diagonal, _same),
    Chart(
        frozenset(_SYMMETRIC),
        "the distinct entries, {X} = B + B' - diag(diag(B)), B lower triangular",
        "B + B' - diag(diag(B))",
        _SQUARE,
        _lower,
        np.tril,
    ),
    Chart(
        frozenset({"skew"}),
        "the distinct entries, {X} = B - B', B strictly lower triangular",
        "B - B'",
        _SQUARE,
        _strictly_lower,
        lambda x: np.tril(x, -1),
    ),
    Chart(frozenset({"lower"}), "the entries on and below the diagonal", "tril(B)", _SQUARE, _lower, _same),
    Chart(frozenset({"upper"}), "the entries on and above the diagonal", "triu(B)", _SQUARE, _upper, _same),
    Chart(frozenset({"orthogonal", "stiefel"}), _TOLD_CAYLEY, _CAYLEY, _AROUND, _strictly_lower, _nothing, True),
    Chart(
        frozenset({"stiefel"}),
        _TOLD_CAYLEY.replace("(I - K),", "(I - K)*eye(m, n),"),
        _CAYLEY,
        _AROUND,
        _strictly_lower,
        _nothing,
        True,
    ),
    Chart(frozenset({"positive", "nonneg"}), "{X} = exp(B), entry by entry", "exp(B)", "B: matrix(m,n)", _all, np.log),
)
"""``facts`` are all of these kinds that the points have, consequences included."""

CONSTRAINING = frozenset(fact for chart in CHARTS for fact in chart.facts)
"""Facts that hold on a part of the space only."""


def chart_for(name: str, facts: frozenset[str]) -> Chart | None:
    """The parametrisation of what has these facts and no others that narrow it down.

    None where every array has them, or where bounds keep them.  Raises :class:`MatcalcError` where no
    parametrisation is known.
    """
    if "integer" in facts:
        raise MatcalcError(f"{name} is an integer: there is nothing to differentiate")
    wanted = facts & CONSTRAINING
    if not wanted or wanted == {"nonneg"}:
        return None
    for chart in CHARTS:
        if wanted == chart.facts:
            return chart
    raise MatcalcError(f"no parametrisation is known of what is {' and '.join(sorted(wanted))}, as {name} is")


# ---------------------------------------------------------------- one array in its coordinates


class Free:
    """An array without structure: its entries are the coordinates."""

    told = ""
    based = False
    parted = False
    """Whether the set has two parts that no way joins: orthogonal matrices, by the sign of the determinant."""

    def __init__(self, shape: tuple[int, ...], lower: float = -np.inf) -> None:
        self.shape, self.lower = shape, lower
        self.size = int(np.prod(shape))

    def start(self) -> Array:
        """The coordinates of a plain point."""
        return np.zeros(self.size)

    def value(self, at: Array) -> Array:
        """The array."""
        return at.reshape(self.shape)

    def pull(self, at: Array, gradient: Array) -> Array:
        """The gradient by the coordinates."""
        return gradient.reshape(-1)

    def push(self, at: Array, direction: Array) -> Array:
        """The direction in which the array moves."""
        return direction.reshape(self.shape)

    def bend(self, at: Array, direction: Array, gradient: Array) -> Array:
        """What the curvature of the map adds to a product with the Hessian."""
        return np.zeros(self.size)

    def coordinates(self, value: Array) -> Array:
        """The coordinates of an array."""
        return value.reshape(-1).copy()

    def moved(self, at: Array) -> Array:
        """New coordinates of the same array, after the chart was put around it."""
        return at

    def random(self, rng: np.random.Generator, scale: float, positive: bool) -> Array:
        """A random array, its entries about as large as the scale says."""
        spread = scale / np.sqrt(self.shape[1]) if len(self.shape) == 2 else scale
        drawn = spread * rng.standard_normal(self.shape)
        return np.abs(drawn) if positive or self.lower == 0 else np.asarray(drawn)


class Charted(Free):
    """A structured array in the coordinates of its chart."""

    def __init__(self, chart: Chart, shape: tuple[int, ...]) -> None:
        self.chart, self.shape, self.lower = chart, shape, -np.inf
        self.told, self.based = chart.told, chart.based
        m, n = (*shape, 1, 1)[:2]
        self.inner = (m, m) if chart.based else (m, n)
        self.mask = chart.mask(*self.inner)
        if chart.based:
            if n > m:
                raise MatcalcError(f"no matrix of shape ({m}, {n}) has orthonormal columns")
            self.mask = self.mask & (np.arange(m) < n)[None, :]
            self.constants = {"Q": np.eye(m), "E": np.eye(m, n)}
            self.parted = m == n
        else:
            self.constants = {}
        self.size = int(self.mask.sum())
        self.outer = (m, n)

    def start(self) -> Array:
        """The coordinates of a plain point."""
        if self.chart.facts == {"psd", "symmetric"}:
            return np.asarray(np.eye(*self.inner)[self.mask])
        return np.zeros(self.size)

    def _spread(self, at: Array) -> Array:
        free = np.zeros(self.inner)
        free[self.mask] = at
        return free

    def value(self, at: Array) -> Array:
        """The array."""
        return self.chart.run("value", B=self._spread(at), **self.constants).reshape(self.shape)

    def pull(self, at: Array, gradient: Array) -> Array:
        """The gradient by the coordinates."""
        found = self.chart.run("pull", B=self._spread(at), G=gradient.reshape(self.outer), **self.constants)
        return np.asarray(found[self.mask])

    def push(self, at: Array, direction: Array) -> Array:
        """The direction in which the array moves."""
        found = self.chart.run("push", B=self._spread(at), V=self._spread(direction), **self.constants)
        return found.reshape(self.shape)

    def bend(self, at: Array, direction: Array, gradient: Array) -> Array:
        """What the curvature of the map adds to a product with the Hessian."""
        given = {"B": self._spread(at), "V": self._spread(direction), "G": gradient.reshape(self.outer)}
        return np.asarray(self.chart.run("bend", **given, **self.constants)[self.mask])

    def coordinates(self, value: Array) -> Array:
        """The coordinates of an array; a based chart is put around it."""
        matrix = value.reshape(self.outer)
        if self.chart.based:
            self.constants["Q"] = completed(matrix)
        return np.asarray(self.chart.inverse(matrix)[self.mask], dtype=float)

    def moved(self, at: Array) -> Array:
        """New coordinates of the same array, after a based chart was put around it."""
        return self.coordinates(self.value(at)) if self.based else at

    def random(self, rng: np.random.Generator, scale: float, positive: bool) -> Array:
        """A random array of the set."""
        if self.based:
            q, r = np.linalg.qr(rng.standard_normal(self.outer))
            return np.asarray(q * np.where(np.diag(r) < 0, -1.0, 1.0)).reshape(self.shape)
        return self.value(self.start() + 0.5 * scale * rng.standard_normal(self.size))


def completed(columns: Array) -> Array:
    """A square orthogonal matrix whose first columns are these, orthonormal up to rounding."""
    n = columns.shape[1]
    q, r = np.linalg.qr(columns, mode="complete")
    q[:, :n] *= np.where(np.diag(r) < 0, -1.0, 1.0)
    return np.asarray(q)


def charted(name: str, facts: frozenset[str], shape: tuple[int, ...]) -> Free:
    """An array with these facts in coordinates.  Raises :class:`MatcalcError` where none are known."""
    if not shape or shape == (1, 1):  # a scalar has the signs of its structure alone
        facts = _of_scalar(facts)
    chart = chart_for(name, facts)
    if chart is not None:
        return Charted(chart, shape)
    return Free(shape, 0.0 if "nonneg" in facts else -np.inf)


def _of_scalar(facts: frozenset[str]) -> frozenset[str]:
    """Of a 1×1 matrix the signs that its structure gives: symmetric, diagonal, triangular it is anyway."""
    if facts & {"positive", "posdef"}:
        facts = facts - {"posdef", "psd", "nonneg"} | {"positive", "nonneg"}
    elif "psd" in facts:
        facts = facts - {"psd"} | {"nonneg"}
    return facts - {"symmetric", "diagonal", "lower", "upper"}


def check_start(name: str, value: Array, facts: frozenset[str]) -> None:
    """Raise :class:`MatcalcError` for a start outside the set."""
    check_facts(name, value, facts & CONSTRAINING)
