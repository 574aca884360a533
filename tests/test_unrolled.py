"""The derivatives in examples/recurrences against numbers, at several depths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matcalc as mc
from matcalc.calculus.variable import is_state
from matcalc.interface.answers import Steps
from matcalc.numeric.check import difference, numeric_hessian, numeric_jacobian
from matcalc.numeric.evaluate import Env, evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import build, ops
from matcalc.terms.dims import UNBOUNDED, Atom, Index, Name, dim, known_nonnegative
from matcalc.terms.symbols import Symbol
from matcalc.terms.term import Term
from test_examples import ran

SCRIPTS = sorted((Path(__file__).resolve().parent.parent / "examples" / "recurrences").glob("*.mc"))
STEPS = ("L", "N", "T")
"""Sizes that count steps."""


def derivatives(script: Path) -> list[mc.Derivative]:
    _, answers, _ = ran(f"recurrences/{script.stem}")
    found = [a.value.of if isinstance(a.value, Steps) else a.value for a in answers]
    return [value for value in found if isinstance(value, mc.Derivative) and not is_state(value.wrt.term)]


def shown(d: mc.Derivative, depth: int) -> str:
    return f"{d.form} by {d.wrt} at depth {depth}"


def is_member(d: mc.Derivative) -> bool:
    return d.wrt.term.op is ops.MEMBER


def asked(d: mc.Derivative, depths: Iterable[int]) -> list[int]:
    """A member of a family is asked for where there is one."""
    return [depth for depth in depths if depth or not is_member(d)]


each_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.stem)


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


@each_script
def test_derivatives(script: Path) -> None:
    for d in derivatives(script):
        function, wrt, answer = d.function_expr.term, d.wrt.term, d.expr.term
        for depth in asked(d, (0, 1, 2, 50)):
            env = inputs(script, [function, wrt, answer], depth)
            expected = numeric_jacobian(function, wrt, env)
            given = evaluate(answer, env)
            given = given if d.form == "jacobian" else given.reshape((1, -1), order="F")
            assert difference(given, expected) < 1e-9, shown(d, depth)


def may_vary_twice(d: mc.Derivative) -> bool:
    """Of a scalar, and not by a structured variable, whose structure is used in the gradient."""
    return d.function_expr.term.is_scalar and (is_member(d) or not d.wrt.term.attr.facts)


@each_script
def test_hessian_vector_products(script: Path) -> None:
    for d in filter(may_vary_twice, derivatives(script)):
        function, wrt = d.function_expr.term, d.wrt.term
        direction = build.sym(Symbol("direction", wrt.rows, wrt.cols, frozenset()))
        product = mc.derivative(mc.Expr(build.inner(d.gradient.term, direction)), d.wrt).gradient.term
        for depth in asked(d, (0, 1, 3)):
            env = inputs(script, [function, wrt, direction], depth)
            along = evaluate(direction, env).reshape((-1, 1), order="F")
            expected = numeric_hessian(function, wrt, env) @ along
            found = evaluate(product, env).reshape((-1, 1), order="F")
            assert difference(found, expected) < 1e-5, shown(d, depth)


# ---------------------------------------------------------------- the costates, by hand


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_costates_of_the_regulator(steps: int) -> None:
    """λ[T] = P*z[T], λ[k] = A'*λ[k+1] + Q*z[k]; for the generated code too."""
    _, answers, _ = ran("recurrences/regulator")
    values = [a.value for a in answers]
    costate = next(v for v in values if isinstance(v, mc.Derivative) and is_state(v.wrt.term))
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
