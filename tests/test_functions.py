"""The functions of the language that act entry by entry, on vectors and rows, or that rearrange entries."""

from __future__ import annotations

import random
import re

import numpy as np
import pytest

import matcalc as mc
from matcalc.errors import MatcalcError

WHERE = (
    "s, t: scalar; x, y: vector(n); b, c: vector(m); A, B: matrix(m,n); M, L: matrix(n,n); "
    "S: symmetric(n); p: positive(n); phi: function"
)
ENTRYWISE = (  # noqa: SIM905
    "exp sin cos tan atan sinh cosh tanh asinh sigmoid relu softplus abs erf erfc square log1p expm1 phi"
).split()


class Generator:
    """Random expressions as text, by their shape: s a scalar, n and m vectors, mn and nn matrices.

    In a form □ stands for an operand of the same shape, ƒ for a function, α to ε for operands of
    the shapes s, n, m, mn, nn.
    """

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)

    def make(self, shape: str, depth: int) -> str:
        if depth <= 0:
            return self.rng.choice({"s": "st", "n": "xyp", "m": "bc", "mn": "AB", "nn": "MLS"}[shape])
        operands = {**OPERANDS, "□": shape}
        made = ""
        for char in self.rng.choice([*FORMS[shape], *COMMON]):
            if char in operands:
                made += f"({self.make(operands[char], depth - 1)})"
            else:
                made += self.rng.choice(ENTRYWISE) if char == "ƒ" else char
        return made


OPERANDS = {"α": "s", "β": "n", "γ": "m", "δ": "mn", "ε": "nn"}
COMMON = ["ƒ□"] * 3 + ["□ + □", "□ - □", "α*□", "-□", "□.^2"]
FORMS = {
    shape: [form.strip() for form in text.split("|")]
    for shape, text in {
        "s": """
            α*α | α/(1 + α^2) | β'*β | γ'*δ*β | tr(ε) | sum(δ) | sum(β) | norm1(γ) | logsumexp(β) | norm(δ)^2 | norm2(β)
            | β[i] | δ[i,j] | (δ*ε)[i,2] | ε[1,1] | sum(softmax(δ) .* δ) | c'*logsumexp(δ) | sum(tril(ε))
            | norm(vech(ε))^2 | sum(khatrirao(δ,ε)) | sum(ε .^ 3) | β'*softmax(β) | sum(k=1..n, β[k]^2)
            | sum(k=1..m, ind(k >= 2)*γ[k])
            | prod(k=1..n, 2 + sin(β[k])) | (1 + α^2)^s | 2^α | lgamma(1 + exp(α)) | sum(digamma(1 .+ exp(β)))
            | sum(sqrt(1 .+ δ.^2)) | log(1 + exp(α)) | 1/(1 + exp(-α)) | log(sum(exp(β))) | sum([δ; ε]) | norm([δ, γ])^2
            | sum(δ[1..2,1..n]) | β[2..n]'*β[1..n-1] | sum(polygamma(2, 1 .+ exp(β))) | sum((1 .+ β.^2) .^ y)
            | sum(2 .^ δ) | sum(s .- δ) | trigamma(2 + α^2) | sum(tril(ε) .* triu(ε)) | sum(colsums(δ).^2)
            | norm([δ, γ; β', α]) | sum(kron(γ, β)) | sum(log(1 .- sigmoid(β)))
        """,
        "n": """
            ε*β | δ'*γ | β .* β | β ./ (1 .+ β.^2) | softmax(β) | log(softmax(β)) | diag(ε) | 1 .+ β | β .- α
            | α ./ (2 .+ sin(β)) | colsums(δ) | rowsums(ε) | logsumexp(ε) | exp(β)/sum(exp(β)) | exp(β) ./ (1 .+ exp(β))
            | (1 .+ β.^2) .^ α | ε[1..n,2] | (2 .+ sin(β)) .^ β | δ[i,1..n]' | diag(ε*ε) | [β[1..n-1]; α] | basis(i,n)*α
            | 2 .^ β | khatrirao(β', ε)*β | softmax(β')'
        """,
        "m": """
            δ*β | γ .* γ | rowsums(δ) | logsumexp(δ) | softmax(γ) | δ*x ./ (1 .+ γ.^2) | γ .+ α | diag(δ*δ') | δ[1..m,j]
            | logsumexp(δ - γ*y')
        """,
        "mn": """
            δ .* δ | δ*ε | γ*β' | softmax(δ) | δ .+ α | α .- δ | diag(γ)*δ | δ*diag(β) | δ ./ (2 .+ cos(δ)) | tril(δ)
            | triu(δ) | log(softmax(δ)) | (1 .+ δ.^2) .^ δ | (1 .+ δ.^2) .^ α | khatrirao(δ, β') | unvec(vec(δ), m, n)
            | [δ[1..m,1..n-1], γ] | 1 ./ (1 .+ exp(-δ)) | 2 .^ δ
        """,
        "nn": """
            ε*ε | ε' | ε .* ε | diag(β) | β*β' | δ'*δ | tril(ε) | triu(ε) | softmax(ε) | ε^2 | diag(β)*ε | α*eye(n) + ε
            | unvec(duplication(n)*vech(ε), n, n) | ε .+ α | unvec(commutation(n,n)*vec(ε), n, n) | kron(β', β)
        """,
    }.items()
}


def problem(seed: int) -> tuple[str, str, str]:
    rng = random.Random(f"problem {seed}")
    shape = rng.choice(["s", "s", "s", "n", "m", "mn", "nn"])
    made = Generator(seed).make(shape, rng.choice((2, 3, 3, 4)))
    found = [name for name in "stxypbcABMLS" if re.search(rf"\b{name}\b", made)]
    return made, rng.choice(found), shape


def failure(expr: str, wrt: str) -> str:
    """Empty when the derivative agrees with numbers and reads back."""
    d = mc.derivative(expr, wrt, WHERE)
    found = d.check(trials=2)
    if not found.ok and "no random" not in found.message:
        return found.message
    return "" if mc.parse(str(d.expr), WHERE).term is d.expr.term else f"reads back differently: {d}"


@pytest.mark.parametrize("seed", range(30))
def test_random_expressions(seed: int) -> None:
    expr, wrt, _ = problem(seed)
    assert failure(expr, wrt) == "", f"{expr} by {wrt}"


@pytest.mark.parametrize("seed", [seed for seed in range(60) if problem(seed)[2] == "s"][:12])
def test_random_hessians(seed: int) -> None:
    expr, wrt, _ = problem(seed)
    found = mc.hessian(expr, wrt, WHERE).check(trials=1)
    assert found.ok or "no random" in found.message, f"{expr} by {wrt}: {found.message}"


RECOGNIZED = {
    "exp(x)/sum(exp(x))": "softmax(x)",
    "s*exp(x)/sum(exp(x))": "s*softmax(x)",
    "log(sum(exp(A*x)))": "logsumexp(A*x)",
    "log(exp(A)*ones(n))": "logsumexp(A)",
    "exp(x .- logsumexp(x))": "softmax(x)",
    "log(softmax(x))": "x .- logsumexp(x)",
    "sum(softmax(x))": "1",
    "softmax(A)*ones(n)": "ones(m)",
    "softmax(x .+ s)": "softmax(x)",
    "logsumexp(x .- s)": "logsumexp(x) - s",
    "1/(1 + exp(-s))": "sigmoid(s)",
    "1 ./ (1 .+ exp(-2*A))": "sigmoid(2*A)",
    "exp(s)/(1 + exp(s))": "sigmoid(s)",
    "exp(-x) ./ (1 .+ exp(-x))": "sigmoid(-x)",
    "log(1 + exp(s))": "softplus(s)",
    "log1p(exp(A))": "softplus(A)",
    "max(0, A*x)": "relu(A*x)",
    "min(x, 0)": "-relu(-x)",
    "max(x, y)": "y + relu(x - y)",
    "max(s, x)": "x + relu(s .- x)",
    "log(softmax(x)[2])": "x[2] - logsumexp(x)",
    "log(sigmoid(s))": "s - softplus(s)",
    "log(1 .- sigmoid(x))": "-softplus(x)",
    "polygamma(1, x)": "trigamma(x)",
    "softmax(x')": "softmax(x)'",
    "logsumexp(x')": "logsumexp(x)",
    "duplication(n)*vech(S)": "vec(S)",
    "elimination(n)*vec(M)": "vech(M)",
    "vec(B*diag(x)*A')": "khatrirao(A, B)*x",
    "[A, B][1..m,1..n]": "A",
    "eye(n)[2..n,1..n]*x": "x[2..n]",
    "sum(i=1..n, ind(i = 2)*x[i])": "ind(2 <= n)*x[2]",
    "tan(-x)": "-tan(x)",
    "log(sigmoid(-s))": "-softplus(s)",
    "1 .- sigmoid(-x)": "sigmoid(x)",
    "[1, 2; 3, 4][2,1]": "3",
    "sum(i=1..n, x[i])": "sum(x)",
    "sum(i=1..n, x[i]*y[i])": "x'*y",
    "sum(i=1..n, x[i]^3*y[i])": "(x.^3)'*y",
    "sum(i=1..m, sum(j=1..n, b[i]*A[i,j]*x[j]))": "b'*A*x",
    "sum(i=1..n, sum(j=1..n, M[i,j]*L[j,i]))": "tr(M*L)",
    "sum(i=1..n, M[i,i])": "tr(M)",
    "sum(i=1..m, sum(j=1..n, A[i,j]))": "sum(A)",
    "sum(i=1..n, x[i]*basis(i,n))": "x",
    "eye(n)[2,3]": "0",
}


@pytest.mark.parametrize("expr", RECOGNIZED)
def test_recognized(expr: str) -> None:
    made = mc.Session().run(f"{WHERE}; simplify({expr}); simplify({RECOGNIZED[expr]})")
    assert str(made[-2].value) == str(made[-1].value)


@pytest.mark.parametrize("expr", ["sigmoid(-x) == 1 .- sigmoid(x)", "softplus(x) - softplus(-x) == x"])
def test_identities(expr: str) -> None:
    assert "normal form" in str(mc.Session().run(f"{WHERE}; {expr}")[-1])


@pytest.mark.parametrize(
    ("expr", "where", "arguments"),
    [
        ("logsumexp(x)", "x: vector(n)", {"x": [1000.0, 1000.0]}),
        ("softmax(x)", "x: vector(n)", {"x": [1000.0, 1000.0]}),
        ("exp(x)/sum(exp(x))", "x: vector(n)", {"x": [-1000.0, -1000.0]}),
        ("softmax(A)", "A: matrix(m,n)", {"A": [[1000.0, 1000.0], [-1000.0, 1000.0]]}),
        ("log(1 + exp(s))", "s: scalar", {"s": 1000.0}),
        ("1/(1 + exp(-s))", "s: scalar", {"s": -1000.0}),
        ("log(sigmoid(s))", "s: scalar", {"s": -1000.0}),
    ],
)
def test_code_is_stable(expr: str, where: str, arguments: dict[str, object]) -> None:
    simplified = mc.Session().run(f"{where}; simplify({expr})")[-1].value
    given = {name: np.array(value) for name, value in arguments.items()}
    assert np.isfinite(simplified.function("numpy")(**given)).all()


@pytest.mark.parametrize(
    ("expr", "wrt", "answer"),
    [
        ("[A*x; x]", "x", "[A; eye(n)]"),
        ("[s*t; s^2]", "s", "[t; 2*s]"),
        ("[cos(s), -sin(s); sin(s), cos(s)]*c[1..2]", "s", "[-sin(s), -cos(s); cos(s), -sin(s)]*c[1..2]"),
        ("[x[1]^2; t*x[2]]", "x", "[2*x[1]*basis(1,n)'; t*basis(2,n)']"),
    ],
)
def test_jacobians_of_blocks(expr: str, wrt: str, answer: str) -> None:
    d = mc.derivative(expr, wrt, WHERE)
    assert str(d) == answer
    assert d.check().ok


def test_orders_of_polygamma() -> None:
    with pytest.raises(MatcalcError, match="orders from 0"):
        mc.parse("polygamma(-1, s)", "s: scalar")


@pytest.mark.parametrize(
    ("wrt", "where", "answer"),
    [
        ("vech(S)", "S: symmetric(n); C: matrix(n,n)", "duplication(n)'*vec(C)"),
        ("vech(L)", "L: lower(n); C: matrix(n,n)", "vech(C')"),
    ],
)
def test_by_distinct_entries(wrt: str, where: str, answer: str) -> None:
    d = mc.derivative(f"tr(C*{wrt[5]})", wrt, where)
    assert str(d) == answer
    assert d.check().ok
    assert mc.hessian(f"tr(C*{wrt[5]}*C*{wrt[5]})", wrt, where).check().ok


def test_by_vech_of_a_matrix_without_structure() -> None:
    """What is above the diagonal stays; the trace varies with what is on it."""
    d = mc.derivative("norm(vech(X))^2 + tr(X)", "vech(X)", "X: matrix(n,n)")
    assert str(d) == "vech(2*tril(X) + eye(n))"
    assert d.check().ok
