"""Derivatives found without the rules, and comparisons of terms on random inputs."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any
from zlib import crc32

import numpy as np

from ..errors import LimitExceeded, MatcalcError, ShapeError
from ..terms import ops
from ..terms.dims import Atom, dim
from ..terms.symbols import Family, Member, Symbol
from ..terms.term import Term
from .arrays import Array
from .evaluate import Env, evaluate
from .sample import Requirement, Unmet, sample

STEP = 1e-30
"""The imaginary step: far below rounding, so that the derivative is exact up to rounding."""

EXACT, DIFFERENCED = 1e-8, 1e-6
SETTLED = 1e-11
"""Differences whose estimated error is below this, relative to max(1, |value|), are not refined further."""

PLAIN, ROUGHLY = 1e-8, 1e-3
"""The step of a plain central difference, and how well it gives a derivative that can be computed at all."""

FORMS = ("gradient", "jacobian", "hessian")
_DOMAINS = ("any", "positive", "unit", "dominant")


# ---------------------------------------------------------------- one derivative


def derivative_along(value: Callable[[complex], Array], analytic: bool) -> Array:
    """d value(t)/dt at t = 0: by the complex step, or by extrapolated differences."""
    if analytic:
        moved = np.asarray(value(1j * STEP))
        with np.errstate(over="ignore", invalid="ignore"):
            return np.where(np.isfinite(moved), moved.imag / STEP, np.nan)
    return extrapolated(value)[0]


def extrapolated(value: Callable[[complex], Array], start: float = 2.0**-4, rows: int = 8) -> tuple[Array, float]:
    """Richardson's extrapolation of central differences at 0, entry by entry, and an estimate of its error.

    The steps are halved until the estimate is below ``SETTLED``, ``rows`` times at most.
    """
    table: list[Array] = []
    best = error = np.zeros(0)
    step = start
    for row in range(rows):
        fresh = [(np.asarray(value(step)) - np.asarray(value(-step))) / (2 * step)]
        for k, older in enumerate(table):
            fresh.append(fresh[k] + (fresh[k] - older) / (4.0 ** (k + 1) - 1))
        if row == 0:
            best, error = fresh[0], np.full(fresh[0].shape, np.inf)
        for k, older in enumerate(table):
            guess = np.maximum(abs(fresh[k + 1] - fresh[k]), abs(fresh[k + 1] - older))
            better = (guess < error) | (np.isnan(best) & ~np.isnan(fresh[k + 1]))
            best, error = np.where(better, fresh[k + 1], best), np.where(better, guess, error)
        table = fresh
        step /= 2
        if row > 1 and (error <= SETTLED * np.maximum(1.0, abs(best))).all():
            break
    return best, float(np.max(error, initial=0.0))


def is_analytic(*terms: Term) -> bool:
    """True when the complex step gives the derivative: no DIFF occurs."""
    return not any(t.has_diff for t in terms)


def numeric_jacobian(term: Term, wrt: Term, env: Env, along: str = "") -> Array:
    """∂vec(term)/∂vec(wrt)ᵀ: rows are the entries of ``term``, columns those of ``wrt``, both by columns.

    ``wrt`` is a variable or a member of a family; its entries vary independently, or as they can
    ``along`` a structure (see :func:`directions`).
    """
    return _jacobian_of(lambda at: evaluate(term, at), wrt, env, is_analytic(term), along)


def numeric_hessian(term: Term, wrt: Term, env: Env, along: str = "") -> Array:
    """∂²term/∂vec(wrt)∂vec(wrt)ᵀ of a scalar: differences of the derivative by the complex step.

    Of two directions either comes first, so that half of the pairs say all.  On the Stiefel manifold
    the gradient field is differentiated, and projected on the tangent space.
    """
    point = evaluate(wrt, env)
    ways = directions(point, along)
    basis = np.array([way.ravel(order="F") for way in ways]).reshape(len(ways), point.size)
    if along in ("orthogonal", "stiefel"):
        found = _jacobian_of(lambda at: numeric_jacobian(term, wrt, at, along).T, wrt, env, False, along)
        return basis.T @ (basis @ found) if basis.size else found
    second = np.zeros((len(ways), len(ways)))
    analytic = is_analytic(term)
    for j, way in enumerate(ways):

        def slopes(t: complex, way: Array = way, j: int = j) -> Array:
            moved = point + t * way
            return np.array([_slope(term, wrt, env, moved, inner, analytic) for inner in ways[: j + 1]])

        second[j, : j + 1] = second[: j + 1, j] = extrapolated(slopes)[0]
    with np.errstate(invalid="ignore"):
        return np.asarray(basis.T @ second @ basis)


def _slope(term: Term, wrt: Term, env: Env, point: Array, way: Array, analytic: bool) -> float:
    """The derivative of a scalar along ``way`` where the variable is ``point``."""

    def moved(t: complex) -> Array:
        return evaluate(term, _with_value(env, wrt, point + t * way))

    return float(derivative_along(moved, analytic)[0, 0])


def _jacobian_of(function: Callable[[Env], Array], wrt: Term, env: Env, analytic: bool, along: str) -> Array:
    """A derivative along each direction stands in all entries that move with it."""
    point = evaluate(wrt, env)
    total = np.zeros((function(env).size, point.size))
    for way in directions(point, along):

        def moved(t: complex, way: Array = way) -> Array:
            return function(_with_value(env, wrt, point + t * way))

        slope = derivative_along(moved, analytic).reshape(-1, 1, order="F")
        with np.errstate(invalid="ignore"):
            total += slope @ way.reshape(1, -1, order="F")
    return total


def directions(point: Array, along: str = "") -> list[Array]:
    """The directions in which a variable moves: single entries, or those that keep a structure.

    Entries that are one number move together.  On the Stiefel manifold they are an orthonormal basis of
    the tangent space, the kernel of the differential of Q'Q.
    """
    rows, cols = point.shape
    cells = [(i, j) for j in range(cols) for i in range(rows)]
    if along in ("orthogonal", "stiefel"):
        changes = [point.T @ _cells(point, (c, 1.0)) for c in cells]
        matrix = np.array([(change + change.T).ravel() for change in changes]).T
        _, values, basis = np.linalg.svd(matrix, full_matrices=True)
        rank = int((values > 1e-10).sum())
        return [row.reshape(point.shape, order="F") for row in basis[rank:]]
    if along in ("symmetric", "skew"):
        sign = 1.0 if along == "symmetric" else -1.0
        mixed = [_cells(point, ((i, j), 1.0), ((j, i), sign)) for i, j in cells if i > j]
        return mixed + [_cells(point, (c, 1.0)) for c in cells if c[0] == c[1] and along == "symmetric"]
    free = {"diagonal": lambda i, j: i == j, "lower": lambda i, j: i >= j, "upper": lambda i, j: i <= j}
    return [_cells(point, (c, 1.0)) for c in cells if along not in free or free[along](*c)]


def _cells(point: Array, *entries: tuple[tuple[int, int], float]) -> Array:
    made = np.zeros(point.shape)
    for at, value in entries:
        made[at] = value
    return made


def _with_value(env: Env, wrt: Term, value: Array) -> Env:
    if wrt.op is ops.SYM:
        return env.with_symbol(wrt.attr, value)
    if wrt.op is ops.MEMBER:
        return env.with_member(wrt.attr.family, env.size(wrt.attr.at), value)
    raise MatcalcError(f"a numeric derivative is with respect to a variable or a member, not {wrt!r}")


# ---------------------------------------------------------------- checking an answer


@dataclass(frozen=True)
class CheckResult:
    """What a comparison found; ``sizes`` are those of each trial, ``max_error`` relative to max(1, |b|)."""

    ok: bool
    max_error: float
    trials: int
    sizes: tuple[dict[str, int], ...]
    message: str

    def __bool__(self) -> bool:
        return self.ok


def difference(a: Array, b: Array) -> float:
    """max|a - b| / max(1, max|b|), infinite where only one is finite or the shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    if not a.size:
        return 0.0
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return float("inf")
    return float(np.max(np.abs(a - b)) / max(1.0, float(np.max(np.abs(b)))))


def check_derivative(
    function: Term,
    wrt: Term,
    answer: Term,
    form: str,
    trials: int = 3,
    seed: int = 0,
    assumptions: Sequence[Requirement] = (),
    along: str = "",
    point: Term | None = None,
) -> CheckResult:
    """Compare ``answer`` with the derivative of ``function`` found without the rules.

    ``form`` is ``gradient`` (the answer has the shape of ``wrt``), ``jacobian`` or ``hessian``.
    There are ``trials`` trials in different sizes and, where that is legal, one with all sizes 1.
    Entries of a structured variable vary independently, or ``along`` a structure.  With ``point``,
    the derivative is taken where the variable is that.
    Raises :class:`ShapeError` for a gradient or Hessian of what is not a scalar.
    """
    if form not in FORMS:
        raise MatcalcError(f"there is no form {form}: {', '.join(FORMS)}")
    if form != "jacobian" and not function.is_scalar:
        raise ShapeError(f"a {form} needs a scalar function, not {function.rows}×{function.cols}")
    limit = EXACT if is_analytic(function) and form != "hessian" else DIFFERENCED
    profiles = [*("distinct" if t % 2 == 0 else "mixed" for t in range(trials)), "ones"]
    worst, done = 0.0, 0
    sizes: list[dict[str, int]] = []
    for trial, profile in enumerate(profiles):
        terms = (function, wrt, answer) if point is None else (function, wrt, answer, point)
        found = _trial(terms, form, along, seed + 1000 * trial, profile, assumptions, limit)
        if found is None:
            if profile != "ones":
                message = "no random inputs at which the function has a derivative"
                return CheckResult(False, float("nan"), done, tuple(sizes), message)
            continue
        error, env = found
        worst, done = max(worst, error), done + 1
        sizes.append({str(atom): size for atom, size in env.sizes.items()})
        if not error <= limit:
            return CheckResult(False, error, done, tuple(sizes), f"off by {error:.2g} at {_show(sizes[-1])}")
    return CheckResult(True, worst, done, tuple(sizes), f"agrees in {done} trials, largest error {worst:.1g}")


def _show(sizes: dict[str, int]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in sorted(sizes.items())) or "these inputs"


def _trial(
    terms: tuple[Term, ...],
    form: str,
    along: str,
    seed: int,
    profile: str,
    assumptions: Sequence[Requirement],
    limit: float,
) -> tuple[float, Env] | None:
    """Error and inputs of one trial; None when no inputs are found at which the function is defined.

    Inputs at which rounding decides, of the function or of the answer, count only where there are no others.
    """
    function, wrt, answer, *point = terms
    doubtful: tuple[float, Env] | None = None
    unmet: set[str] = set()
    for attempt in range(30):
        try:
            domain = _DOMAINS[attempt % len(_DOMAINS)]
            env = sample(terms, seed + attempt, profile=profile, domain=domain, require=assumptions)
            if point:
                env = replace(env, symbols={**env.symbols, wrt.attr: evaluate(point[0], env)})
            expected = (numeric_hessian if form == "hessian" else numeric_jacobian)(function, wrt, env, along)
        except ShapeError:
            if profile == "ones":
                return None
            raise
        except LimitExceeded:
            raise
        except Unmet:
            unmet.add(domain)
            if len(unmet) == len(_DOMAINS):
                break
            continue
        except MatcalcError:
            continue
        if np.isfinite(expected).all():
            given = evaluate(answer, env)
            if form == "gradient":
                expected = expected.reshape(evaluate(wrt, env).shape, order="F")
            error = difference(given, expected)
            if error <= limit or (np.isfinite(given).all() and _is_smooth(function, wrt, env, along)):
                return error, env
            doubtful = doubtful or (error, env)
    return doubtful


def _is_smooth(function: Term, wrt: Term, env: Env, along: str) -> bool:
    """False where two numerical derivatives of a function differ: of ``atanh(tanh(20))`` no digit is left."""
    if not is_analytic(function):
        return True
    point = evaluate(wrt, env)
    for way in directions(point, along):

        def moved(t: complex, way: Array = way) -> Array:
            return evaluate(function, _with_value(env, wrt, point + t * way))

        by_step = derivative_along(moved, True)
        with np.errstate(invalid="ignore"):
            by_difference = (moved(PLAIN) - moved(-PLAIN)).real / (2 * PLAIN)
            near = ROUGHLY * np.maximum(1.0, abs(by_step)) + SETTLED / PLAIN * abs(moved(0.0))
            if not (abs(by_step - by_difference) <= near).all():
                return False
    return True


# ---------------------------------------------------------------- replaying a step


class Directions:
    """Random directions of variables and, along them, differentials of all terms.

    The direction of a variable has its shape and no structure; a hidden variable shares that of
    the variable it stands for.  Only ``varying`` variables move when that is given.
    """

    def __init__(self, seed: int, varying: Collection[Term] | None = None) -> None:
        self.seed, self.varying = seed, varying

    def __call__(self, term: Term, env: Env) -> Array:
        """The value of DIFF(term) at ``env``."""
        if term.op is ops.SYM:
            return self.of_symbol(term.attr, evaluate(term, env).shape)
        if term.op is ops.MEMBER:
            return self.of_member(term.attr.family, env.size(term.attr.at), evaluate(term, env).shape)
        return derivative_along(lambda t: evaluate(term, self.moved(env, t)), is_analytic(term))

    def of_symbol(self, symbol: Symbol, shape: tuple[int, ...]) -> Array:
        """The direction of a variable."""
        return self._direction(symbol.name, shape, self._varies(symbol))

    def of_member(self, family: Family, at: int, shape: tuple[int, ...]) -> Array:
        """The direction of one member of a family."""
        return self._direction(f"{family.name} {at}", shape, self._varies(Member(family, dim(at))))

    def _varies(self, what: Symbol | Member) -> bool:
        if self.varying is None:
            return True
        if isinstance(what, Symbol):
            return any(t.op is ops.SYM and t.attr.name == what.name for t in self.varying)
        same = (t.attr.at for t in self.varying if t.op is ops.MEMBER and t.attr.family.name == what.family.name)
        return any(at is what.at or at.constant is None for at in same)

    def _direction(self, what: str, shape: tuple[int, ...], varies: bool) -> Array:
        rng = np.random.default_rng([self.seed, crc32(what.encode()), *shape])
        return rng.standard_normal(shape) if varies else np.zeros(shape)

    def moved(self, env: Env, t: complex) -> Env:
        """The environment at distance ``t`` along the directions."""
        symbols: dict[Symbol, Any] = {}
        for symbol, value in env.symbols.items():
            symbols[symbol] = value + t * self.of_symbol(symbol, np.shape(value))

        @cache
        def members(family: Family, at: int) -> Array:
            value = env.member(family, at)
            return np.asarray(value + t * self.of_member(family, at, np.shape(value)))

        return Env(env.sizes, env.indexed, symbols, members, env.functions, env.differentials)


def replay(
    before: Term,
    after: Term,
    seeds: int | Sequence[int] = 3,
    *,
    varying: Collection[Term] | None = None,
    require: Sequence[Requirement] = (),
    profile: str = "distinct",
    size_hint: Sequence[int] = (2, 3, 4),
    sizes: dict[Atom, int] | None = None,
) -> float:
    """The largest relative difference of two terms on random inputs, ``seeds`` of them.

    A differential of a variable is a random direction (zero unless it is in ``varying``, when
    that is given), one of another term its derivative along these directions.  Inputs at which
    ``before`` has no finite value are drawn again; infinite when none is found, or when ``after``
    has no finite value where ``before`` has one.
    """
    drawing = {"require": require, "profile": profile, "size_hint": size_hint, "sizes": sizes}
    worst = 0.0
    for seed in range(seeds) if isinstance(seeds, int) else seeds:
        worst = max(worst, _replay_once((before, after), seed, Directions(seed, varying), drawing))
    return worst


def _replay_once(terms: tuple[Term, Term], seed: int, directions: Directions, drawing: dict[str, Any]) -> float:
    for attempt in range(30):
        env = sample(terms, seed + 1000 * attempt, domain=_DOMAINS[attempt % len(_DOMAINS)], **drawing)
        env = Env(env.sizes, env.indexed, env.symbols, env.members, env.functions, directions)
        expected = _value_or_nan(terms[0], env)
        if np.isfinite(expected).all():
            return difference(_value_or_nan(terms[1], env), expected)
    return float("inf")


def _value_or_nan(term: Term, env: Env) -> Array:
    try:
        return evaluate(term, env)
    except ShapeError:
        raise
    except MatcalcError as error:
        if "singular" not in str(error):
            raise
        return np.full((1, 1), np.nan)
