"""``mc.minimize`` and ``mc.maximize``: when there is no closed form, or beside one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..bounds import bounded
from ..calculus.system import system
from ..errors import MatcalcError, ParseError
from ..language.elaborate import Elaborated
from ..language.scope import Scope
from ..terms.symbols import Family
from .conditions import read_conditions
from .expr import Expr
from .library import Let, Text, Where, _assume_all, _read, _scope, _variable

if TYPE_CHECKING:
    from ..iterating.constraints import Condition
    from ..iterating.minimize import Task
    from ..iterating.result import Iterate, Optimum


def minimize(
    expr: Text,
    wrt: Text | Sequence[Text],
    where: Where = None,
    let: Let = None,
    data: Mapping[str, Any] | None = None,
    start: Any = None,
    method: str = "auto",
    *,
    subject_to: str | Sequence[str] = (),
    assume: str | Sequence[str] = (),
    tol: float = 1e-8,
    max_iterations: int = 10_000,
    seconds: float | None = None,
    seed: int = 0,
    callback: Callable[[Iterate], object] | None = None,
    progress: bool | None = None,
    keep_points: bool = False,
) -> Optimum:
    """Minimize a scalar expression over a variable, a family or several of them, for given data.

    ``data`` holds an array for every other variable, by its name: a scalar is a float, a vector (n,), a matrix
    (m, n), a family one more axis in front or a list; an unknown function a callable, with ``dphi`` (and ``d2phi``,
    for Newton's method) beside it.  Names that are not declared are scalars, vectors or matrices as their arrays
    are.  ``start`` is an array, or a dict of them by name; without one 0 or a random point of the declared kind.

    The gradient and products with the Hessian are derived, compiled and handed to SciPy.  ``method`` is ``auto``,
    ``gauss-newton`` (for sums of squares), ``newton`` (trust region), ``lbfgs``, ``bfgs``, ``cg``, and under
    constraints ``slsqp`` or ``trust-constr``.  ``subject_to`` holds equations and inequalities (``"sum(w) = 1"``,
    ``"A*x <= b"``, entry by entry; a scalar on one side stands for every entry).  Structured unknowns stay in their
    set: ``parametrisation`` of the result says how.

    Raises the errors of :func:`matcalc.parse`, :class:`ShapeError` and :class:`MatcalcError` for arrays that do not
    fit, :class:`NotDifferentiable`.  An iteration that does not converge is no error: ``converged`` is False.
    """
    return _run(locals(), False)


def maximize(
    expr: Text,
    wrt: Text | Sequence[Text],
    where: Where = None,
    let: Let = None,
    data: Mapping[str, Any] | None = None,
    start: Any = None,
    method: str = "auto",
    *,
    subject_to: str | Sequence[str] = (),
    assume: str | Sequence[str] = (),
    tol: float = 1e-8,
    max_iterations: int = 10_000,
    seconds: float | None = None,
    seed: int = 0,
    callback: Callable[[Iterate], object] | None = None,
    progress: bool | None = None,
    keep_points: bool = False,
) -> Optimum:
    """Maximize a scalar expression: :func:`minimize` of its negative, values and multipliers as of the expression."""
    return _run(locals(), True)


def _run(asked: dict[str, Any], upwards: bool) -> Optimum:
    wrt, start = asked["wrt"], asked["start"]
    single = isinstance(wrt, str | Expr)
    names: list[Text] = [wrt] if single else list(wrt)
    if not names:
        raise ParseError("the list of unknowns is empty", hint='write ["W", "b"]')
    if start is not None and not isinstance(start, Mapping):
        if not single:
            raise MatcalcError("the start of several unknowns is a dict by their names")
        start = {str(names[0]): start}
    scope = _scope(asked["where"], None, asked["expr"], *names)
    declare_arrays(scope, {**(asked["data"] or {}), **(start or {})})
    scope.define_all(asked["let"])
    _assume_all(scope, asked["assume"])
    task, assumed = _task(scope, asked["expr"], names, single, upwards, asked["subject_to"])
    settings = {name: asked[name] for name in SETTINGS}
    return iterate(task, assumed, asked["data"], start, settings)


SETTINGS = ("method", "tol", "max_iterations", "seconds", "seed", "callback", "progress", "keep_points")


def iterate(
    task: Task,
    assumed: Mapping[str, str],
    data: Mapping[str, Any] | None,
    start: Mapping[str, Any] | None,
    settings: Mapping[str, Any],
) -> Optimum:
    """The iteration; what was assumed about names that were not given is told with the result."""
    from ..iterating.minimize import Settings
    from ..iterating.minimize import minimize as run

    found = run(task, data, start, Settings(**settings))
    given = {*(data or {}), *(start or {})}
    found.notes[:0] = [f"assumed {name}: {type_}" for name, type_ in assumed.items() if name not in given]
    return found


@bounded
def _task(
    scope: Scope, expr: Text, names: Sequence[Text], single: bool, upwards: bool, subject_to: str | Sequence[str]
) -> tuple[Task, dict[str, str]]:
    function = _read(expr, scope)
    variables = [_variable(one, scope, function.term) for one in names]
    return task_of(scope, function, variables, read_conditions(subject_to, scope), single, upwards)


def task_of(
    scope: Scope,
    function: Elaborated,
    variables: Sequence[tuple[Elaborated, Family | None]],
    conditions: Sequence[Condition],
    single: bool,
    upwards: bool,
) -> tuple[Task, dict[str, str]]:
    """What is asked, as terms; and what was assumed about names."""
    from ..iterating.minimize import Task
    from ..iterating.problem import sought

    rules = system(scope.assumptions)
    unknowns = [sought(rules, read.term, family) for read, family in variables]
    if len({u.name for u in unknowns}) < len(unknowns):
        raise MatcalcError("an unknown is named twice")
    assumed = {**function.assumed}
    for read, _ in variables:
        assumed |= read.assumed
    return Task(rules, function.term, unknowns, dict(scope.symbols), conditions, upwards, single), assumed


def declare_arrays(scope: Scope, arrays: Mapping[str, Any]) -> None:
    """Names that nothing declares are what their arrays are."""
    import numpy as np

    known = scope.known() | scope.sizes
    for name, value in arrays.items():
        if not isinstance(name, str) or not name.isidentifier() or name in known:
            continue
        if callable(value):
            scope.declare(name, "function")
            continue
        try:
            dims = np.ndim(value)
        except ValueError:
            continue
        if dims in (1, 2) or (dims == 0 and isinstance(value, float)):
            scope.declare(name, ("scalar", "vector", "matrix")[dims])
