"""A random problem: the expression, what it is differentiated by, and inputs at which it is smooth."""

from __future__ import annotations

import re
from keyword import iskeyword
from random import Random
from typing import Any

import numpy as np

from matcalc.numeric.evaluate import Env
from matcalc.terms import ops
from matcalc.terms.dims import Name
from matcalc.terms.term import Term
from matcalc.terms.walk import postorder

from .generate import Generator, Indexed, Problem, Variable
from .reference import NUMPY, Inputs, Unfit, sine
from .tree import ONE, E, at_text

Array = Any
MEMBER_INDEX = "h"


# ---------------------------------------------------------------- inputs


def draw_array(rng: np.random.Generator, kind: str, m: int, n: int) -> Array:
    """A random array of a declared kind, 2-D."""
    a = rng.uniform(-1.5, 1.5, (m, n))
    if kind in ("posdef", "psd"):
        return a @ a.T / m + (np.eye(m) if kind == "posdef" else 0)
    if kind in ("symmetric", "skew"):
        return (a + a.T) / 2 if kind == "symmetric" else (a - a.T) / 2
    if kind == "invertible":
        return a + 2 * np.eye(m)
    if kind in ("orthogonal", "stiefel"):
        return np.linalg.qr(rng.standard_normal((m, m)))[0][:, :n]
    if kind in ("lower", "upper", "diagonal"):
        strong = a + np.diag(np.sign(np.diag(a)))
        return {"lower": np.tril, "upper": np.triu, "diagonal": lambda s: np.diag(np.diag(s))}[kind](strong)
    if kind in ("positive", "nonneg"):
        return np.abs(a) + 0.2
    return a


def draw_inputs(problem: Problem, seed: int) -> Inputs:
    rng = np.random.default_rng(seed)
    sizes = {**problem.sizes, **problem.integers}
    arrays = {
        v.name: draw_array(rng, v.kind, v.rows.value(sizes), v.cols.value(sizes)) for v in problem.variables.values()
    }
    families = {
        f.name: {
            at: draw_array(rng, f.kind, f.rows.value(sizes), f.cols.value(sizes))
            for at in range(f.low, f.low + sizes[f.count])
        }
        for f in problem.families.values()
    }
    functions = {name: tuple(rng.uniform(0.4, 1.4, 3)) for name in problem.functions}
    if problem.member is not None and problem.member[0] == MEMBER_INDEX:
        family = problem.families[problem.wrt]
        sizes[MEMBER_INDEX] = int(rng.integers(family.low, family.low + sizes[family.count]))
    return Inputs(sizes, arrays, families, functions)


# ---------------------------------------------------------------- problems


def random_problem(seed: str, focus: str = "", depth: int | None = None) -> tuple[Problem, Inputs]:
    """A problem and inputs at which it is smooth."""
    for attempt in range(400):
        rng = Random(f"{seed}:{attempt}")
        g = Generator(rng, focus)
        deep = depth if depth is not None else rng.choice((3, 4, 4, 5, 5, 6))
        if rng.random() < 0.65:
            e = g.gen(*_SCALAR, deep)
        else:
            rows = g.size() * g.size() if focus in _COMPOSITE or rng.random() < 0.03 else g.size()
            e = g.gen(rows, ONE if rng.random() < 0.4 else g.size(), deep)
        if sum(1 for _ in e.walk()) > 45:
            continue
        if focus and attempt < 200 and not any(node.label == focus for node in e.walk()):
            continue
        problem = asked(e, g, rng)
        fit = inputs_for(problem, rng.randrange(10**6))
        if fit is not None:
            return problem, fit
    raise AssertionError(f"seed {seed}: no expression was found")


_SCALAR = (ONE, ONE)
_COMPOSITE = ("kron", "khatrirao", "vec", "commutation", "duplication", "elimination", "vech", "blocks")


def inputs_for(problem: Problem, seed: int, tries: int = 4) -> Inputs | None:
    """Inputs near which the expression is smooth, or None."""
    for k in range(tries):
        inputs = draw_inputs(problem, seed + k)
        try:
            with np.errstate(all="ignore"):
                NUMPY(problem.e, inputs)
        except (Unfit, np.linalg.LinAlgError):
            continue
        return inputs
    return None


def asked(e: E, g: Generator, rng: Random) -> Problem:
    """The question about an expression: by which variable, in which form."""
    names = used(e)
    variables = {name: v for name, v in g.variables.items() if name in names}
    families = {name: f for name, f in g.families.items() if name in names}
    form = "gradient" if e.is_scalar else "jacobian"
    if e.is_scalar and rng.random() < 0.12:
        form = "hessian"
    choices = sorted(free_variables(e) & variables.keys()) + sorted(families)
    if not choices:
        variables["x"] = Variable("x", g.size(), ONE, "vector")
        choices = ["x"]
    wrt = rng.choice(choices)
    member = None
    if wrt in families:
        family = families[wrt]
        member = rng.choice(((MEMBER_INDEX, 0), (MEMBER_INDEX, 0), ("", family.low), family.last))
    structured = (
        wrt in variables
        and form == "gradient"
        and variables[wrt].kind in ("symmetric", "posdef", "diagonal", "lower", "upper", "orthogonal", "stiefel")
        and rng.random() < 0.2
    )
    return Problem(
        e, wrt, form, variables, families, g.sizes,
        {name: value for name, value in g.integers.items() if name in names},
        tuple(sorted(g.functions & names)), member, structured,
    )  # fmt: skip


def used(e: E) -> set[str]:
    """The names that an expression mentions."""
    names: set[str] = set()
    for node in e.walk():
        if node.op == "var":
            names.add(node.attr)
        elif node.op in ("member", "state"):
            names.add(node.attr[0])
        elif node.op == "fun" and node.attr[0] == "phi":
            names.add(node.attr[1])
        elif node.op in ("pow", "hpow") and isinstance(node.attr, str):
            names.add(node.attr)
        elif node.op == "derivative":
            names.add(node.attr[1])
    return names


def free_variables(e: E) -> set[str]:
    bound = {node.attr for node in e.walk() if node.op == "let"}
    return {node.attr for node in e.walk() if node.op == "var"} - bound


def declarations(problem: Problem) -> dict[str, str]:
    found = {v.name: v.declared for v in problem.variables.values()}
    for f in problem.families.values():
        range_ = f"{f.name}[i={f.low}..{f.count}{'-1' if f.low == 0 else ''}]"
        plain = "scalar" if f.rows == f.cols == ONE else "vector" if f.cols == ONE else "matrix"
        found[range_] = Variable(f.name, f.rows, f.cols, plain if f.kind == "matrix" else f.kind).declared
    written = " ".join(found) + " ".join(found.values())
    counts = [*problem.integers, *(name for name in problem.sizes if not re.search(rf"\b{name}\b", written))]
    found |= dict.fromkeys(counts, "integer")
    if problem.member is not None and problem.member[0] == MEMBER_INDEX:
        found[MEMBER_INDEX] = "integer"
    found |= dict.fromkeys(problem.functions, "function")
    return found


def variable_text(problem: Problem) -> str:
    if problem.member is None:
        return problem.wrt
    return f"{problem.wrt}[{at_text(problem.member)}]"


# ---------------------------------------------------------------- inputs as the package takes them


def as_given(v: Variable | Indexed, value: Array) -> Array:
    if v.cols != ONE:
        return value
    return float(value[0, 0]) if v.rows == ONE else value[:, 0]


def keywords(problem: Problem, inputs: Inputs) -> dict[str, Any]:
    given: dict[str, Any] = {v.name: as_given(v, inputs.arrays[v.name]) for v in problem.variables.values()}
    for f in problem.families.values():
        given[f.name] = np.array([as_given(f, value) for _, value in sorted(inputs.families[f.name].items())])
    for name, constants in inputs.functions.items():
        for order, prefix in enumerate(("", "d", "d2", "d3", "d4")):
            given[prefix + name] = lambda x, c=constants, k=order: sine(np, c, k, x)
    return {f"{name}_" if iskeyword(name) else name: value for name, value in (given | dict(inputs.sizes)).items()}


def called(function: Any, given: dict[str, Any]) -> Array:
    return function(**{name: given[name] for name in function.arguments})


def environment(inputs: Inputs, *terms: Term) -> Env:
    """The inputs for the evaluator of the package."""
    symbols = {
        t.attr: inputs.arrays[t.attr.name]
        for t in postorder(*terms)
        if t.op is ops.SYM and t.attr.name in inputs.arrays
    }
    return Env(
        sizes={Name(name): value for name, value in inputs.sizes.items()},
        symbols=symbols,
        members=lambda family, at: inputs.families[family.name][at],
        functions={name: lambda x, k, c=c: sine(np, c, k, x) for name, c in inputs.functions.items()},
    )
