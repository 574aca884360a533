"""Derivatives against numbers: random expressions, both routes, families, sub-expressions, size."""

from __future__ import annotations

import random

import numpy as np
import pytest

import matcalc as mc
from matcalc.calculus import derive
from matcalc.calculus.system import system
from matcalc.errors import MatcalcError
from matcalc.numeric.check import check_derivative
from matcalc.terms import build, ops
from matcalc.terms.dims import ONE, Dim, Index, dim
from matcalc.terms.symbols import Family, Symbol, Unknown
from matcalc.terms.term import Term
from matcalc.terms.walk import postorder, size

M, N = dim("m"), dim("n")
SIZES = (ONE, M, N)


class Generator:
    """Random well-shaped expressions over every operation that a derivative goes through."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.count = 0

    def leaf(self, rows: Dim, cols: Dim) -> Term:
        kinds = ["sym"] * 6 + (["eye"] if rows is cols is not ONE else []) + ["ones"]
        if rows is ONE and cols is ONE:
            kinds += ["num", "int"]
        kind = self.rng.choice(kinds)
        if kind == "eye":
            return build.eye(rows)
        if kind == "ones":
            return build.ones(rows, cols)
        if kind == "num":
            return build.num(self.rng.choice([2, 3, -1]))
        if kind == "int":
            return build.integer("n")
        letter = self.rng.choice("AB") if cols is not ONE else self.rng.choice("xy" if rows is not ONE else "st")
        return build.sym(Symbol(f"{letter}{SIZES.index(rows)}{SIZES.index(cols)}", rows, cols))

    def make(self, rows: Dim, cols: Dim, depth: int) -> Term:
        self.count += 1
        if depth <= 0:
            return self.leaf(rows, cols)
        choice = self.rng.choice(self.choices(rows, cols))
        return choice(rows, cols, depth - 1)

    def choices(self, rows: Dim, cols: Dim) -> list[object]:
        every = [self.add, self.product, self.scaled, self.hadamard, self.function, self.transposed, self.unknown]
        if rows is ONE and cols is ONE:
            return [
                *every,
                self.trace,
                self.total,
                self.norm,
                self.logdet,
                self.det,
                self.quotient,
                self.entry,
                self.summed,
            ]
        if rows is cols:
            every += [self.inverse, self.power, self.diag]
        return every + ([self.diagonal] if cols is ONE and rows is not ONE else [])

    def add(self, r: Dim, c: Dim, d: int) -> Term:
        return build.add(self.make(r, c, d), self.make(r, c, d))

    def product(self, r: Dim, c: Dim, d: int) -> Term:
        inner = self.rng.choice(SIZES)
        return build.mul(self.make(r, inner, d), self.make(inner, c, d))

    def scaled(self, r: Dim, c: Dim, d: int) -> Term:
        return build.smul(self.make(ONE, ONE, d - 1), self.make(r, c, d))

    def hadamard(self, r: Dim, c: Dim, d: int) -> Term:
        return build.had(self.make(r, c, d), self.make(r, c, d))

    def function(self, r: Dim, c: Dim, d: int) -> Term:
        return build.fun(self.rng.choice(["tanh", "sin", "cos", "sigmoid", "softplus", "atan"]), self.make(r, c, d))

    def unknown(self, r: Dim, c: Dim, d: int) -> Term:
        return build.fun(Unknown("phi", 0), self.make(r, c, d))

    def transposed(self, r: Dim, c: Dim, d: int) -> Term:
        return build.transpose(self.make(c, r, d))

    def inverse(self, r: Dim, c: Dim, d: int) -> Term:
        inside = self.make(r, r, d - 1)
        return build.inv(build.add(build.smul(build.num(9), build.eye(r)), build.fun("tanh", inside)))

    def power(self, r: Dim, c: Dim, d: int) -> Term:
        return build.mpow(build.fun("sin", self.make(r, r, d - 1)), self.rng.choice([2, 3]))

    def diag(self, r: Dim, c: Dim, d: int) -> Term:
        return build.diag(self.make(r, ONE, d))

    def diagonal(self, r: Dim, c: Dim, d: int) -> Term:
        return build.diag(self.make(r, r, d))

    def square(self, d: int) -> Term:
        n = self.rng.choice((M, N))
        return self.make(n, n, d)

    def trace(self, r: Dim, c: Dim, d: int) -> Term:
        return build.tr(self.square(d))

    def total(self, r: Dim, c: Dim, d: int) -> Term:
        return build.total(self.make(self.rng.choice(SIZES), self.rng.choice(SIZES), d))

    def norm(self, r: Dim, c: Dim, d: int) -> Term:
        inside = self.make(self.rng.choice(SIZES), self.rng.choice(SIZES), d)
        return build.power_of(build.norm(inside), build.num(2))

    def _gram(self, d: int) -> Term:
        a = self.make(M, N, d - 1)
        return build.add(build.eye(N), build.mul(build.transpose(a), a))

    def logdet(self, r: Dim, c: Dim, d: int) -> Term:
        return build.logdet(self._gram(d))

    def det(self, r: Dim, c: Dim, d: int) -> Term:
        return build.fun("log", build.det(self._gram(d)))

    def quotient(self, r: Dim, c: Dim, d: int) -> Term:
        below = build.add(build.num(2), build.fun("tanh", self.make(ONE, ONE, d)))
        return build.divide(self.make(ONE, ONE, d), below)

    def entry(self, r: Dim, c: Dim, d: int) -> Term:
        return build.entry(self.make(M, N, d), 1, 1)

    def summed(self, r: Dim, c: Dim, d: int) -> Term:
        index = Index(0, ONE, dim("N"))
        z = build.member(Family("z", Index(0, ONE, dim("N")), N, ONE), dim(index))
        w = self.make(N, ONE, d - 1)
        return build.sum_over(index, build.fun("tanh", build.mul(build.transpose(z), w)))


def variables(term: Term) -> list[Term]:
    return sorted((t for t in postorder(term) if t.op is ops.SYM), key=lambda t: t.key)


@pytest.mark.parametrize("seed", range(120))
def test_gradient_of_a_random_scalar(seed: int) -> None:
    generator = Generator(seed)
    f = generator.make(ONE, ONE, 4)
    for x in variables(f)[:2]:
        found = derive.gradient(system(), f, x).term
        result = check_derivative(f, x, found, "gradient", trials=1, seed=seed)
        assert result.ok, f"seed {seed}: d({f})/d({x}) = {found}: {result.message}"


@pytest.mark.parametrize("seed", range(60))
def test_jacobian_of_a_random_array(seed: int) -> None:
    generator = Generator(1000 + seed)
    f = generator.make(*generator.rng.choice([(M, ONE), (N, ONE), (M, N), (N, N)]), 3)
    for x in variables(f)[:1]:
        found = derive.jacobian(system(), f, x).term
        result = check_derivative(f, x, found, "jacobian", trials=1, seed=seed)
        assert result.ok, f"seed {seed}: d({f})/d({x}) = {found}: {result.message}"


@pytest.mark.parametrize("seed", range(40))
def test_the_routes_agree(seed: int) -> None:
    """Reading inside the vec of the row gives the gradient."""
    generator = Generator(2000 + seed)
    f = generator.make(ONE, ONE, 3)
    for x in variables(f)[:1]:
        gradient = derive.gradient(system(), f, x).term
        row = derive.jacobian(system(), f, x).term
        inside = derive.read_vec(row, x)
        first = check_derivative(f, x, gradient, "gradient", trials=1)
        second = check_derivative(f, x, inside, "gradient", trials=1)
        assert first.ok and second.ok, f"seed {seed}: {gradient} and {inside}"


@pytest.mark.parametrize("seed", range(10))
def test_hessian_of_a_random_scalar(seed: int) -> None:
    generator = Generator(3000 + seed)
    f = generator.make(ONE, ONE, 3)
    for x in variables(f)[:1]:
        found = derive.hessian(system(), f, x).term
        result = check_derivative(f, x, found, "hessian", trials=1, seed=seed)
        assert result.ok, f"seed {seed}: hess({f}, {x}) = {found}: {result.message}"


CASES = [
    ("sum(i=1..N, norm(x[i] - mu)^2)", "x[k]", "x[i=1..N], mu: vector(n)"),
    ("sum(i=1..N, sum(j=1..N, A[i,j]*norm(x[i] - x[j])^2))", "x[k]", "x[i=1..N]: vector(n); A: matrix(N,N)"),
    ("sum(i=1..N-1, norm(x[i+1] - B*x[i])^2)", "x[k]", "x[i=1..N]: vector(n); B: matrix(n,n)"),
    ("sum(i=1..N-1, norm(x[i+1] - B*x[i])^2)", "x[1]", "x[i=1..N]: vector(n); B: matrix(n,n)"),
    ("sum(i=1..N-1, norm(x[i+1] - B*x[i])^2)", "x[N]", "x[i=1..N]: vector(n); B: matrix(n,n)"),
    ("sum(i=1..N, sum(j=i..N, x[i]'*x[j]))", "x[k]", "x[i=1..N]: vector(n)"),
    ("prod(i=1..N, 2 + tanh(w'*x[i]))", "w", "x[i=1..N], w: vector(n)"),
    ("log(det(S)) + tr(inv(S)*A)", "inv(S)", "S: posdef(n); A: matrix(n,n)"),
    ("norm(A*x - b)^2", "A*x", "A: matrix(m,n); x: vector(n); b: vector(m)"),
    ("tr(X'*X)", "X'", "X: matrix(m,n)"),
]


@pytest.mark.parametrize(("expression", "wrt", "where"), CASES)
def test_members_and_subexpressions(expression: str, wrt: str, where: str) -> None:
    d = mc.derivative(expression, wrt, where)
    assert d.gradient.term.shape == d.wrt.term.shape
    if wrt in ("inv(S)", "A*x", "X'"):
        stated = {"inv(S)": "A' - S'", "A*x": "2*(A*x - b)", "X'": "2*X'"}[wrt]
        assert mc.equal(str(d.expr), stated, where)
    else:
        assert d.check().ok, str(d)


def layers(count: int) -> tuple[Term, Term]:
    n = dim("n")
    y = build.sym(Symbol("x", n, ONE))
    for k in range(count):
        w, b = build.sym(Symbol(f"W{k}", n, n)), build.sym(Symbol(f"b{k}", n, ONE))
        y = build.fun("tanh", build.add(build.mul(w, y), b))
    error = build.sub(y, build.sym(Symbol("t", n, ONE)))
    return build.power_of(build.norm(error), build.num(2)), build.sym(Symbol("W0", n, n))


def test_the_gradient_of_a_graph_is_linear_in_its_size() -> None:
    sizes = []
    for count in (80, 160, 320):
        f, w = layers(count)
        sizes.append(size(derive.gradient(system(), f, w).term))
    assert sizes[2] - sizes[1] == 2 * (sizes[1] - sizes[0])


def test_large_graphs_go_through() -> None:
    rules = system()
    n = dim("n")
    x, a, b = build.sym(Symbol("X", n, n)), build.sym(Symbol("A", n, n)), build.sym(Symbol("B", n, n))
    v = build.sym(Symbol("x", n, ONE))
    addends = [build.mul(build.transpose(build.sym(Symbol(f"a{k}", n, ONE))), v) for k in range(4_000)]
    assert size(derive.gradient(rules, build.add(*addends), v).term) == 4_001
    s = t = build.sym(Symbol("s", ONE, ONE))
    for _ in range(2_000):
        t = build.fun("sin", t)
    assert size(derive.gradient(rules, t, s).term) < 8_000
    squares = swell = x
    for _ in range(60):
        squares = build.mul(squares, squares)
        swell = build.mul(a, swell, b, swell)
    assert size(derive.gradient(rules, build.tr(squares), x).term) < 5_000
    assert size(derive.gradient(rules, build.tr(swell), x).term) < 10_000


def test_structure_is_put_aside_and_used_again() -> None:
    where = "S: symmetric(n); A: matrix(n,n)"
    assert str(mc.derivative("tr(A*S)", "S", where)) == "A'"
    assert str(mc.derivative("tr(A'*inv(X))", "X", "A: symmetric(n); X: symmetric(n)")) == "-inv(X)*A*inv(X)"


@pytest.mark.parametrize(
    ("expression", "wrt", "where", "fact"),
    [
        ("logdet(X)", "X", "X: matrix(n,n)", "invertible"),
        ("norm(x)", "x", "x: vector(n)", "nonzero"),
        ("sum(abs(x))", "x", "x: vector(n)", "nonzero"),
    ],
)
def test_conditions_are_told(expression: str, wrt: str, where: str, fact: str) -> None:
    assert fact in {f for _, f in mc.derivative(expression, wrt, where).conditions}


@pytest.mark.parametrize("wrt", ["2", "pi", "eye(n)"])
def test_constants_are_no_variables(wrt: str) -> None:
    with pytest.raises(MatcalcError):
        _ = mc.derivative("norm(x)^2 + n", wrt, "x: vector(n)").expr


@pytest.mark.parametrize(
    ("expr", "wrt", "written"),
    [
        ("sum(grad(x'*Q'*Q*x, x))", "Q", "2*sum(Q'*Q*x)"),
        ("tr(hess(x'*Q'*Q*x, x))", "Q", "2*tr(Q'*Q)"),
        ("sum(grad(x'*C*y, y))", "C", "sum(C'*x)"),
    ],
)
def test_derivatives_inside_put_the_structure_aside_too(expr: str, wrt: str, written: str) -> None:
    where = "Q: orthogonal(n); C: skew(n); x, y: vector(n)"
    assert mc.derivative(expr, wrt, where).expr.term is mc.derivative(written, wrt, where).expr.term


PARTS = "A: matrix(m,n); x: vector(n); y: vector(m); P: posdef(n); X: matrix(n,p); z[i=1..N]: vector(n)"


@pytest.mark.parametrize(
    ("function", "wrt", "answer"),
    [
        ("norm(A*x - y)^2", "x[1]", "2*(A*x - y)'*A*basis(1,n)"),
        ("norm(A*x - y)^2", "A[1,2]", "2*(A*x - y)[1]*x[2]"),
        ("norm(A*x - y)^2", "A[1..2,1..n]", "2*(A*x - y)[1..2]*x'"),
        ("sum(i=1..n, x[i]^2)", "x[j]", "2*x[j]"),
        ("logdet(P)", "diag(P)", "diag(inv(P))"),
        ("vec(X')", "vec(X)", "commutation(n,p)"),
        ("norm(A*x - y)^2", "[x; y]", "2*[A, -eye(m)]'*(A*x - y)"),
        ("x'*A'*A*x", "A*x", "2*A*x"),
        ("A*x*y'*A*x", "A*x", "A*x*y' + (y'*A*x)*eye(m)"),
    ],
)
def test_by_a_part_of_a_variable_all_of_it_is_seen(function: str, wrt: str, answer: str) -> None:
    found = mc.derivative(function, wrt, PARTS)
    assert mc.equal(found.expr, mc.parse(answer, PARTS))
    assert found.check().ok


def test_several_parts_and_sub_expressions_are_told_apart() -> None:
    found = mc.derivative("norm(A*x - y)^2", ["x[1]", "x[2]"], PARTS)
    assert [str(one) for one in found.values()] == [f"2*(A*x - y)'*A*basis({i},n)" for i in (1, 2)]
    assert str(mc.hessian("norm(A*x)^2", ["x[1]", "x[2]"], PARTS)["x[1]", "x[2]"]) == "2*(A'*A*basis(1,n))[2]"
    found = mc.derivative("norm(A*x)^2 + norm(P*x)^4", ["A*x", "P*x"], PARTS.replace("m,n", "n,n"))
    assert str(found["A*x"]) == "2*A*x" and found["P*x"].check().ok


def test_a_part_of_a_member_is_refused() -> None:
    found = mc.derivative("sum(i=1..N, norm(z[i])^2)", "z[1][2]", PARTS)
    with pytest.raises(mc.MatcalcError, match=r"z\[1\]\[2\] is a part of z\[1\]: differentiate by z\[1\]"):
        assert found.expr


def test_a_power_of_an_indicator_is_the_indicator() -> None:
    """A member that the range does not reach is not asked for, also where the whole is squared."""
    where = {"v": "vector(p)", "rho[i=1..N]": "scalar"}
    d = mc.derivative("(sum(i=1..N, rho[i]*ind(i = 2))*sum(v))^2", "v", where)
    assert "ind(2 <= N)^2" not in str(d)
    assert d.function()(rho=[3.0], v=np.ones(2)).tolist() == [0, 0]
    assert d.function()(rho=[3.0, 2.0], v=np.ones(2)).tolist() == [16, 16]
