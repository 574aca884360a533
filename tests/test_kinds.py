"""The kind of stationary points: proved by rules, and not contradicted by numbers."""

from __future__ import annotations

import tomllib
from pathlib import Path

import numpy as np
import pytest

from matcalc.calculus.system import system
from matcalc.errors import MatcalcError
from matcalc.interface.operations import new_scope
from matcalc.language.elaborate import Elaboration, parse_expression
from matcalc.language.parser import parse_syntax
from matcalc.language.syntax import Node
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.solving.equation import Condition, Equation
from matcalc.solving.kind import Problem, point_kind
from matcalc.solving.substitution import substituted
from matcalc.terms.dims import dim
from matcalc.terms.walk import replace

PROBLEMS = [
    problem
    for table in ("solve_kinds", "solve_corpus")
    for problem in tomllib.loads((Path(__file__).parent / f"{table}.toml").read_text(encoding="utf-8"))["problem"]
]


def equation(text, scope):
    read = parse_syntax(text, "script").nodes()[0]
    node = Node("equation", read.parts, read.start, read.end)
    work = Elaboration(scope, text)
    work.infer(node)
    work.settle()
    return Equation(*work.sides(node))


class Read:
    """A problem of the table, as terms."""

    def __init__(self, problem):
        scope = new_scope()
        scope.declare_all(problem["where"])
        self.objective = parse_expression(problem["objective"], scope).term
        self.unknowns = [parse_expression(name, scope).term for name in problem["point"]]
        read = [parse_expression(value, scope).term for value in problem["point"].values()]
        values = dict(zip(self.unknowns, read, strict=True))
        for _ in self.unknowns:
            values = {u: replace(v, {o: w for o, w in values.items() if o is not u}) for u, v in values.items()}
        self.values = values
        self.constraints = [equation(text, scope) for text in problem.get("subject_to", ())]
        self.named = {name: parse_expression(name, scope).term for name in problem.get("data", {})}

    def kind(self, conditions=()):
        rules = system(frozenset())
        return point_kind(rules, self.objective, self.unknowns, self.values, self.constraints, conditions)


def named(problems):
    return pytest.mark.parametrize("problem", problems, ids=[p["name"] for p in problems])


@named(PROBLEMS)
def test_kind_and_conditions(problem):
    found = Read(problem).kind()
    assert str(found) == problem["kind"]
    assert sorted(f"{c.term} is {c.fact}" for c in found.conditions) == sorted(problem["conditions"])
    assert all(c.reason and not c.known for c in found.conditions)
    if found.kind != "undecided":
        assert found.steps and all(str(step) and step.latex() for step in found.steps)


def drawn(read, problem, seed):
    """Data of the declared kind that meet the conditions, and the point."""
    kinds = problem.get("data", {})
    require = [(read.named[name], kind) for name, kind in kinds.items() if kind in ("positive", "nonneg")]
    domain = next((d for d in ("unit", "positive") if d in kinds.values()), "any")
    sizes = {dim(name).atom: size for name, size in problem.get("sizes", {}).items()}
    terms = [read.objective, *read.values.values(), *(c.residual for c in read.constraints)]
    env = sample(terms, seed, size_hint=(3, 4, 5), require=require, domain=domain, sizes=sizes)
    for name, kind in kinds.items():
        if kind == "posdef":
            symbol = read.named[name].attr
            root = env.symbols[symbol]
            env = env.with_symbol(symbol, root @ root.T + np.eye(len(root)))
    for unknown, value in read.values.items():
        env = env.with_symbol(unknown.attr, evaluate(value, env))
    return env


def moved(env, unknown, step, rng):
    """The unknown at a point nearby, in its declared set."""
    value = env.symbols[unknown.attr]
    direction = rng.normal(size=value.shape)
    facts = unknown.attr.facts
    if facts & {"orthogonal", "stiefel"}:
        q, r = np.linalg.qr(value + step * direction)
        return env.with_symbol(unknown.attr, q * np.sign(np.diag(r)))
    if facts & {"symmetric", "posdef"}:
        direction = direction + direction.T
    if "diagonal" in facts:
        direction = np.diag(np.diag(direction))
    return env.with_symbol(unknown.attr, value + step * direction)


def feasible(read, env, unknown):
    """Back onto the constraint: made orthonormal, scaled, or by Newton's step, which is exact where it is affine."""
    value = env.symbols[unknown.attr]
    text = str(read.constraints[0])
    if "Q'*Q" in text:
        q, r = np.linalg.qr(value)
        return env.with_symbol(unknown.attr, q * np.sign(np.diag(r)))
    if "x'*x" in text:
        left, right = (
            float(evaluate(side, env)[0, 0]) for side in (read.constraints[0].left, read.constraints[0].right)
        )
        return env.with_symbol(unknown.attr, value * np.sqrt(right / left))
    here = residual(read, env)
    columns = []
    for at in np.ndindex(value.shape):
        unit = np.zeros(value.shape)
        unit[at] = 1.0
        columns.append(residual(read, env.with_symbol(unknown.attr, value + unit)) - here)
    back = np.linalg.lstsq(np.stack(columns, axis=1), here, rcond=None)[0]
    return env.with_symbol(unknown.attr, value - back.reshape(value.shape))


def residual(read, env):
    return np.concatenate([evaluate(c.residual, env).ravel() for c in read.constraints])


@named([p for p in PROBLEMS if "imum" in p["kind"] and p.get("stationary", True) and p.get("numeric", True)])
@pytest.mark.parametrize("seed", [0])
def test_no_better_point_nearby(problem, seed):
    read = Read(problem)
    env = drawn(read, problem, seed)
    best = float(evaluate(read.objective, env)[0, 0])
    sign = 1.0 if "minimum" in problem["kind"] else -1.0
    rng = np.random.default_rng(seed)
    compared = 0
    for step in (1e-3, 1e-2, *((0.1, 0.5, 2.0) if "global" in problem["kind"] else ())):
        for _ in range(10):
            there = env
            for unknown in read.unknowns:
                there = moved(there, unknown, step, rng)
            if read.constraints:
                there = feasible(read, there, read.unknowns[0])
            try:
                value = float(evaluate(read.objective, there)[0, 0])
            except MatcalcError:
                continue
            if not np.isfinite(value) or not _inside(there, read.unknowns):
                continue
            compared += 1
            assert sign * (value - best) >= -1e-8 * max(1.0, abs(best))
    assert compared


def _inside(env, unknowns):
    for unknown in unknowns:
        value = env.symbols[unknown.attr]
        if "posdef" in unknown.attr.facts and np.linalg.eigvalsh(value).min() <= 0:
            return False
    return True


@named([p for p in PROBLEMS if p["kind"] == "saddle"])
def test_saddles_go_both_ways(problem):
    read = Read(problem)
    env = drawn(read, problem, 0)
    here = float(evaluate(read.objective, env)[0, 0])
    rng = np.random.default_rng(0)
    changes = []
    for _ in range(60):
        there = env
        for unknown in read.unknowns:
            there = moved(there, unknown, 0.1, rng)
        changes.append(float(evaluate(read.objective, there)[0, 0]) - here)
    assert min(changes) < 0 < max(changes)


def test_given_conditions_make_it_strict():
    where = "A: matrix(m,n); x: vector(n); b: vector(m)"
    problem = {"objective": "norm(A*x - b)^2", "where": where, "point": {"x": "inv(A'*A)*A'*b"}}
    read = Read(problem)
    scope = new_scope()
    scope.declare_all(problem["where"])
    gram = parse_expression("A'*A", scope).term
    found = read.kind([Condition(gram, "invertible", False, "assumed")])
    assert str(found) == "strict global minimum"
    assert found.conditions == ()


MEMBERS = [
    ("sum(i=1..N, norm(A*x[i] - y[i])^2)", "inv(A'*A)*A'*y[k]", "x[k]", "global minimum"),
    ("sum(i=1..N, -logdet(S[i]) - tr(inv(S[i])*B[i]))", "B[k]", "S[k]", "global maximum"),
    ("sum(i=1..N-1, norm(x[i+1] - x[i])^2) + sum(i=1..N, norm(x[i] - z[i])^2)", "z[k]", "x[k]", "global minimum"),
]


@pytest.mark.parametrize(("objective", "value", "unknown", "kind"), MEMBERS, ids=[m[0] for m in MEMBERS])
def test_members_of_a_family(objective, value, unknown, kind):
    scope = new_scope()
    families = "x[i=1..N], z[i=1..N]: vector(n); y[i=1..N]: vector(m); S[i=1..N], B[i=1..N]: posdef(n)"
    scope.declare_all(f"A: matrix(m,n); k: integer; {families}")
    function, point, wanted = (parse_expression(text, scope).term for text in (objective, value, unknown))
    assert str(point_kind(system(frozenset()), function, [wanted], {wanted: point})) == kind


GIVEN = [
    (
        "1/2*x'*Q*x - b'*x + l'*(A*x - c)",
        {"l": "inv(A*inv(Q)*A')*(A*inv(Q)*b - c)", "x": "inv(Q)*(b - A'*l)"},
        [("A*inv(Q)*A'", "invertible")],
        "saddle",
    ),
    (
        "norm(y - X*w - a*ones(N))^2",
        {"w": "inv(X'*(eye(N) - ones(N,N)/N)*X)*X'*(eye(N) - ones(N,N)/N)*y", "a": "sum(y - X*w)/N"},
        [("X'*(eye(N) - ones(N,N)/N)*X", "invertible"), ("N", "nonzero")],
        "strict global minimum",
    ),
    (
        "norm(B - a*p*q')^2",
        {"a": "p'*B*q/((p'*p)*(q'*q))"},
        [("p'*p", "nonzero"), ("q'*q", "nonzero")],
        "strict global minimum",
    ),
]


@pytest.mark.parametrize(("objective", "point", "given", "kind"), GIVEN, ids=[g[0] for g in GIVEN])
def test_conditions_of_the_solution_are_used(objective, point, given, kind):
    where = (
        "Q: posdef(n); x, b: vector(n); l, c: vector(r); A: matrix(r,n); y: vector(N); X: matrix(N,n); w: vector(n);"
        "a: scalar; B: matrix(n,r); p: vector(n); q: vector(r)"
    )
    read = Read({"objective": objective, "where": where, "point": point})
    scope = new_scope()
    scope.declare_all(where)
    conditions = [Condition(parse_expression(term, scope).term, fact, False, "assumed") for term, fact in given]
    found = read.kind(conditions)
    assert str(found) == kind
    assert found.conditions == ()


def test_new_unknowns_are_told_apart():
    read = Read({"objective": "u/v + v*w + 1/w", "where": "u, v, w: positive", "point": {"u": "1", "v": "1", "w": "1"}})
    problem = Problem(system(frozenset()), read.objective, tuple(read.unknowns), read.values)
    for _, _, unknowns in substituted(problem):
        assert len(set(unknowns)) == 3


def test_what_is_convex_on_a_diagonal_only_is_not_convex():
    where = "u, v: positive"
    for objective in ("log(u)*log(v)", "(log(u) + log(v))^2 - 3*(log(u) - log(v))^2", "1/(u*v) - 3*(1/u - 1/v)^2"):
        found = Read({"objective": objective, "where": where, "point": {"u": "1", "v": "1"}}).kind()
        assert not found.is_global
