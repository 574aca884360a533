"""To SymPy and back: the identical term, or the same value, or a clear error."""

from __future__ import annotations

from typing import Any

import pytest

import matcalc as mc
from matcalc.errors import LimitExceeded, MatcalcError

sympy = pytest.importorskip("sympy")

WHERE = """
A, B: matrix(m,n); S: posdef(n); x, y: vector(n); z[i=1..N]: scalar
t: positive; u: scalar; w: nonneg; phi: function
"""

THERE_AND_BACK = """
2*A
A + B
A'*B
x'*S*x
x*y'
tr(S*S)
det(S)
logdet(S)
inv(S)*x
S^-T
S^3
S^k
A .* B
A .^ 2
2 .^ A
kron(A, B)
exp(A)
sigmoid(A)
softplus(A)
relu(A)
step(A)
phi(A)
phi(u)
relu(u)
step(u)
abs(u)
erf(u)
asin(u)
lgamma(t)
digamma(t)
trigamma(t)
log(t)*exp(-u)/t + sqrt(w)
norm(x)
norm(A)
sum(A)
sum(i=1..N, z[i]^2)
sum(i=1..n, x[i]*y[i])
sum(i=1..N, sum(j=1..i, z[i]*z[j]))
prod(i=1..N, z[i])
A[1,2]
A[i,k+1]
diag(x)
diag(S)
[S, x; x', 1]
[1, 2; t, u]
eye(n) + ones(n,n)
2*pi*t
n*u/3
sum(i=1..N, z[i])*S
"""


@pytest.mark.parametrize("text", THERE_AND_BACK.split("\n")[1:-1])
def test_there_and_back(text: str) -> None:
    expr = mc.parse(text, where=WHERE)
    assert mc.from_sympy(mc.to_sympy(expr), where=WHERE) == expr


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("A'*B", "MatMul"),
        ("tr(S)", "Trace"),
        ("det(S)", "Determinant"),
        ("inv(S)", "Inverse"),
        ("A .* B", "HadamardProduct"),
        ("kron(A, B)", "KroneckerProduct"),
        ("eye(n)", "Identity"),
        ("zeros(m,n)", "ZeroMatrix"),
        ("ones(m,n)", "OneMatrix"),
        ("A'", "Transpose"),
        ("A", "MatrixSymbol"),
        ("sum(i=1..N, z[i])", "Sum"),
        ("x'*x", "Trace"),
        ("[S, x]", "BlockMatrix"),
    ],
)
def test_the_object(text: str, name: str) -> None:
    assert type(mc.to_sympy(mc.parse(text, where=WHERE))).__name__ == name


@pytest.mark.parametrize("text", ["sigmoid(u)", "softplus(u)", "norm(A*x - B*y)^2"])
def test_the_same_value(text: str) -> None:
    expr = mc.parse(text, where=WHERE)
    back = mc.from_sympy(mc.to_sympy(expr), where=WHERE)
    assert mc.equal(back, expr)


def test_without_declarations() -> None:
    expr = mc.parse("tr(A'*B) + u*t/n + w", where="A, B: matrix(m,n); u: scalar; t: positive; w: nonneg")
    assert mc.from_sympy(mc.to_sympy(expr)) == expr


def test_sympy_knows_what_it_is() -> None:
    t, n = (mc.to_sympy(mc.parse(text, where=WHERE)) for text in ("t", "n"))
    assert t.is_positive and t.is_real and n.is_integer and n.is_nonnegative
    assert mc.to_sympy(mc.parse("A*x", where=WHERE)).shape == (sympy.Symbol("m", integer=True, nonnegative=True), 1)


def test_what_sympy_users_write() -> None:
    X = sympy.MatrixSymbol("X", 3, 3)
    a, n = sympy.Symbol("a"), sympy.Symbol("n", integer=True)
    i = sympy.Symbol("i")
    wanted = {
        X.T * X + 2 * sympy.Identity(3): "X'*X + 2*eye(3)",
        sympy.Trace(X * X).diff(X): "2*X'",
        sympy.ImmutableMatrix([[1, 2], [3, a]]): "[1, 2; 3, a]",
        sympy.ImmutableMatrix([[1, 2]]): "[1, 2]",
        X[0, 1]: "X[1,2]",
        sympy.Float("0.1"): "0.1",
        sympy.exp(a): "exp(a)",
        sympy.Sum(i**2, (i, 1, n)): "sum(i=1..n, i^2)",
        sympy.Sum(i, (i, 1, n)) + i: "sum(j=1..n, j) + i",
    }
    assert {obj: str(mc.from_sympy(obj)) for obj in wanted} == wanted
    assert str(mc.from_sympy(sympy.Matrix([[1], [a]]))) == "[1; a]"


def test_a_name_of_an_index_is_free() -> None:
    expr = mc.parse("sum(i=1..N, z[i]) + i*u", where=WHERE)
    made = mc.to_sympy(expr)
    assert {str(s) for s in made.free_symbols} >= {"i", "u"}
    assert mc.from_sympy(made, where=WHERE) == expr


@pytest.mark.parametrize("text", ["vec(A)", "d(x'*x)", "sum(i=1..N, z[i]*S)", "phi'(u)"])
def test_no_counterpart_in_sympy(text: str) -> None:
    with pytest.raises(MatcalcError, match="no counterpart in SymPy"):
        mc.to_sympy(mc.parse(text, where=WHERE) if not text.startswith("d(") else mc.Session().run(text)[0].value)


@pytest.mark.parametrize(
    "make",
    [
        lambda: "__import__('os').getcwd()",
        lambda: 3,
        lambda: None,
        lambda: sympy.oo,
        lambda: sympy.I,
        lambda: sympy.Symbol("two words"),
        lambda: sympy.Symbol("_"),
        lambda: sympy.Integral(sympy.Symbol("x")),
        lambda: sympy.Lambda(sympy.Symbol("x"), 1),
        lambda: sympy.Eq(1, sympy.Symbol("x")),
        lambda: sympy.true,
        lambda: sympy.Max(1, sympy.Symbol("x")),
        lambda: sympy.IndexedBase("q")[sympy.Symbol("i", integer=True)],
        lambda: sympy.MatrixSymbol("A", sympy.Symbol("p"), 2),
    ],
)
def test_no_counterpart_here(make) -> None:
    with pytest.raises(MatcalcError):
        mc.from_sympy(make())


def test_declared_otherwise() -> None:
    with pytest.raises(MatcalcError, match="A is declared m×n but is 2×3 in SymPy"):
        mc.from_sympy(sympy.MatrixSymbol("A", 2, 3), where=WHERE)


def test_too_deep() -> None:
    expr = mc.parse("sin(" * 3000 + "u" + ")" * 3000, where=WHERE)
    with pytest.raises(LimitExceeded):
        mc.to_sympy(expr)
    text: Any = "x"  # no expression
    with pytest.raises(MatcalcError):
        mc.to_sympy(text)


def test_downwards_is_upwards_for_scalars() -> None:
    down = mc.to_sympy(mc.parse("sum(i=N..1 by -1, z[i])", where=WHERE))
    assert down == mc.to_sympy(mc.parse("sum(i=1..N, z[i])", where=WHERE))
