"""The derivatives in examples/recurrences against numbers, at several depths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matcalc as mc
from matcalc.calculus.variable import is_state
from matcalc.interface.session import Steps
from matcalc.numeric.check import difference, numeric_hessian, numeric_jacobian
from matcalc.numeric.evaluate import Env, evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import build, ops
from matcalc.terms.dims import UNBOUNDED, Atom, Index, Name, dim, known_nonnegative
from matcalc.terms.symbols import Symbol
from matcalc.terms.term import Term

SCRIPTS = sorted((Path(__file__).resolve().parent.parent / "examples" / "recurrences").glob("*.mc"))
STEPS = ("L", "N", "T")
"""Sizes that count steps."""


@cache
def derivatives(script: Path) -> list[mc.Derivative]:
    answers = mc.Session().run(script.read_text(encoding="utf-8"))
    found = [a.value.of if isinstance(a.value, Steps) else a.value for a in answers]
    return [value for value in found if isinstance(value, mc.Derivative) and not is_state(value.wrt.term)]


def shown(d: mc.Derivative) -> str:
    return f"{d.form} by {d.wrt}"


CASES = [(script, at) for script in SCRIPTS for at in range(len(derivatives(script)))]


def is_member(d: mc.Derivative) -> bool:
    return d.wrt.term.op is ops.MEMBER


DEPTHS = [
    pytest.param(script, at, depth, id=f"{script.stem}-{shown(derivatives(script)[at])}-{depth}")
    for script, at in CASES
    for depth in (0, 1, 2, 50)
    if depth or not is_member(derivatives(script)[at])
]
"""A member of a family is asked for where there is one."""


def inputs(script: Path, terms: list[Term], depth: int) -> Env:
    """Inputs with which 50 steps stay finite: small ones; for Newton's iteration some near the solution."""
    sizes: dict[Atom, int] = dict.fromkeys(map(Name, STEPS), depth)
    sizes |= {Name("n"): 2, Name("m"): 1, Name("p"): 3, Name("q"): 2}
    sizes[Name("i")] = max(1, depth // 2) if script.stem == "linear_chain" else depth // 2
    env = sample(terms, 4, sizes=sizes)
    change = _near if script.stem == "newton" else lambda value: value / 2
    members = env.members
    assert callable(members)
    return replace(
        env,
        symbols={symbol: change(value) for symbol, value in env.symbols.items()},
        members=lambda family, at: change(members(family, at)),
    )


def _near(value: Any) -> Any:
    return 0.8 * np.eye(len(value)) + 0.1 * value if np.size(value) > 1 else 1 + 0.1 * value


@pytest.mark.parametrize(("script", "at", "depth"), DEPTHS)
def test_derivative(script: Path, at: int, depth: int) -> None:
    d = derivatives(script)[at]
    function, wrt, answer = d.function_expr.term, d.wrt.term, d.expr.term
    env = inputs(script, [function, wrt, answer], depth)
    expected = numeric_jacobian(function, wrt, env)
    given = evaluate(answer, env)
    assert difference(given if d.form == "jacobian" else given.reshape((1, -1), order="F"), expected) < 1e-9


def may_vary_twice(d: mc.Derivative) -> bool:
    """Of a scalar, and not by a structured variable, whose structure is used in the gradient."""
    return d.function_expr.term.is_scalar and (is_member(d) or not d.wrt.term.attr.facts)


SCALARS = [
    pytest.param(script, at, depth, id=f"{script.stem}-{shown(derivatives(script)[at])}-{depth}")
    for script, at in CASES
    for depth in (0, 1, 3)
    if depth or not is_member(derivatives(script)[at])
    if may_vary_twice(derivatives(script)[at])
]


@pytest.mark.parametrize(("script", "at", "depth"), SCALARS)
def test_hessian_vector_product(script: Path, at: int, depth: int) -> None:
    d = derivatives(script)[at]
    function, wrt = d.function_expr.term, d.wrt.term
    direction = build.sym(Symbol("direction", wrt.rows, wrt.cols, frozenset()))
    product = mc.derivative(mc.Expr(build.inner(d.gradient.term, direction)), d.wrt).gradient.term
    env = inputs(script, [function, wrt, direction], depth)
    along = evaluate(direction, env).reshape((-1, 1), order="F")
    expected = numeric_hessian(function, wrt, env) @ along
    assert difference(evaluate(product, env).reshape((-1, 1), order="F"), expected) < 1e-5


# ---------------------------------------------------------------- the costates, by hand


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_costates_of_the_regulator(steps: int) -> None:
    """λ[T] = P*z[T], λ[k] = A'*λ[k+1] + Q*z[k]; for the generated code too."""
    session = mc.Session()
    script = next(path for path in SCRIPTS if path.stem == "regulator")
    asked = [a.value for a in session.run(script.read_text(encoding="utf-8"))]
    costate = next(v for v in asked if isinstance(v, mc.Derivative) and is_state(v.wrt.term))
    rng = np.random.default_rng(2)
    n, p = 3, 2
    given: Mapping[str, Any] = {
        "A": rng.normal(size=(n, n)) / 3,
        "B": rng.normal(size=(n, p)),
        "Q": np.diag([1.0, 2.0, 3.0]),
        "P": np.eye(n) + 0.5,
        "x": rng.normal(size=n),
        "u": rng.normal(size=(steps, p)),
    }
    states = [given["x"]]
    for k in range(steps):
        states.append(given["A"] @ states[-1] + given["B"] @ given["u"][k])
    costates = {steps: given["P"] @ states[steps]}
    for k in range(steps, 0, -1):
        costates[k - 1] = given["A"].T @ costates[k] + given["Q"] @ states[k - 1]
    function = costate.function("numpy")
    for i in {0, 1, steps // 2, steps}:
        assert np.allclose(function(**given, i=i), costates[i], rtol=1e-12)


def test_a_recurrence_that_runs_down_has_indices_above_zero() -> None:
    down = Index(1, dim(0), UNBOUNDED, -1)
    assert not known_nonnegative(-dim(down)) and known_nonnegative(dim(down))
    assert build.indicator("<=", 1, down) not in (build.ZERO_NUM, build.ONE_NUM)
