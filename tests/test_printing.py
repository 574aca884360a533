"""The printers: pinned text, Unicode and LaTeX, deep terms, names of indices, reading back."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from fractions import Fraction

import pytest

from matcalc.errors import LimitExceeded
from matcalc.output.latex import latex_name, to_latex
from matcalc.output.pieces import GREEK, number_text
from matcalc.output.text import to_text, to_unicode
from matcalc.terms import build as b
from matcalc.terms import spectral as sp
from matcalc.terms.dims import ONE, Dim, Index, SizeAt, dim
from matcalc.terms.symbols import Family, Symbol, Unknown
from matcalc.terms.term import Term


def symbol(name: str, rows: str | int = 1, cols: str | int = 1) -> Term:
    return b.sym(Symbol(name, dim(rows), dim(cols)))


def number(value: int | str) -> Term:
    return b.num(Fraction(value))


def power(base: Term, exponent: int | str) -> Term:
    return b.power_of(base, number(exponent))


A, B, C = symbol("A", "m", "n"), symbol("B", "m", "n"), symbol("C", "m", "n")
X, Sigma, W1 = symbol("X", "n", "n"), symbol("Sigma", "n", "n"), symbol("W1", "n", "n")
x, mu, c = symbol("x", "n"), symbol("mu", "n"), symbol("c", "m")
s, t, T, loss = symbol("s"), symbol("t"), symbol("T"), symbol("loss")
LOW, N = dim(1), dim("N")
I1 = Index(1, LOW, N)
DATA = Family("x", I1, dim("n"), ONE)
LAYERS = Family("W", Index(1, dim(0), dim("L") - 1), dim("n"), dim("n"))
K = Index(1, LOW, dim("L"))


def data(at: Dim | Index | str | int) -> Term:
    return b.member(DATA, at)


def layer(at: Dim | Index | str | int) -> Term:
    return b.member(LAYERS, at)


PRINTED: list[tuple[Term, str, str, str]] = [
    (b.sub(b.mul(A, x), c), "A*x - c", "A*x - c", "A x - c"),
    (b.mul(X, b.sub(x, mu)), "X*(x - mu)", "X*(x - μ)", r"X \left(x - \mu\right)"),
    (
        b.mul(number("1/2"), b.transpose(b.sub(x, mu)), b.inv(Sigma), b.sub(x, mu)),
        "1/2*(x - mu)'*inv(Sigma)*(x - mu)",
        "1/2*(x - μ)ᵀ*Σ⁻¹*(x - μ)",
        r"\frac{1}{2} \left(x - \mu\right)^{\top} \Sigma^{-1} \left(x - \mu\right)",
    ),
    (power(b.norm(b.sub(b.mul(A, x), c)), 2), "norm(A*x - c)^2", "‖A*x - c‖²", r"\left\lVert A x - c \right\rVert^{2}"),
    (
        b.sub(b.eye("n"), b.mul(X, b.inv(b.mul(b.transpose(X), X)), b.transpose(X))),
        "eye(n) - X*inv(X'*X)*X'",
        "eye(n) - X*(Xᵀ*X)⁻¹*Xᵀ",
        r"I_{n} - X \left(X^{\top} X\right)^{-1} X^{\top}",
    ),
    (b.add(power(t, 2), b.times(number(2), t), b.ONE_NUM), "t^2 + 2*t + 1", "t² + 2*t + 1", "t^{2} + 2 t + 1"),
    (b.sub(b.ONE_NUM, power(b.fun("tanh", t), 2)), "1 - tanh(t)^2", "1 - tanh(t)²", r"1 - \tanh\left(t\right)^{2}"),
    (
        b.sub(b.ones("n"), power(b.fun("tanh", x), 2)),
        "1 .- tanh(x).^2",
        "1 .- tanh(x).^2",
        r"\mathbf{1}_{n} - \tanh\left(x\right)^{\odot 2}",
    ),
    (
        b.add(b.mul(b.transpose(A), A), b.scale(s, b.eye("n"))),
        "A'*A + s*eye(n)",
        "Aᵀ*A + s*eye(n)",
        r"A^{\top} A + s I_{n}",
    ),
    (b.sub(b.neg(s), t), "-s - t", "-s - t", "-s - t"),
    (b.sub(b.neg(A), b.ones("m", "n")), "-A .- 1", "-A .- 1", r"-A - \mathbf{1}_{m \times n}"),
    (b.neg(b.add(A, B)), "-(A + B)", "-(A + B)", r"-\left(A + B\right)"),
    (b.neg(b.add(s, t)), "-(s + t)", "-(s + t)", r"-\left(s + t\right)"),
    (b.add(A, b.scale(s, b.ones("m", "n"))), "A .+ s", "A .+ s", r"A + s \mathbf{1}_{m \times n}"),
    (
        b.sub(A, b.scale(b.add(s, t), b.ones("m", "n"))),
        "A .- (s + t)",
        "A .- (s + t)",
        r"A - \left(s + t\right) \mathbf{1}_{m \times n}",
    ),
    (
        b.add(b.ones("n"), b.scale(s, b.ones("n"))),
        "s*ones(n) .+ 1",
        "s*ones(n) .+ 1",
        r"s \mathbf{1}_{n} + \mathbf{1}_{n}",
    ),
    (b.divide(b.times(number(2), t), b.add(b.ONE_NUM, t)), "2*t/(t + 1)", "2*t/(t + 1)", r"\frac{2 t}{t + 1}"),
    (b.divide(x, b.norm(x)), "x/norm(x)", "x/‖x‖", r"\frac{1}{\left\lVert x \right\rVert} x"),
    (b.divide(b.mul(A, x), b.times(s, t)), "A*x/(s*t)", "A*x/(s*t)", r"\frac{1}{s t} A x"),
    (b.times(number("1/2"), power(t, -1)), "1/2/t", "1/2/t", r"\frac{1}{2 t}"),
    (
        b.times(s, power(t, -2), power(loss, "-1/2")),
        "s/(sqrt(loss)*t^2)",
        "s/(sqrt(loss)*t²)",
        r"\frac{s}{\sqrt{\mathrm{loss}} t^{2}}",
    ),
    (number("3/10"), "0.3", "0.3", "0.3"),
    (number("-7/50"), "-0.14", "-0.14", "-0.14"),
    (number("1/3"), "1/3", "1/3", r"\frac{1}{3}"),
    (b.times(number("-3/10"), t), "-0.3*t", "-0.3*t", "-0.3 t"),
    (power(t, "1/2"), "sqrt(t)", "sqrt(t)", r"\sqrt{t}"),
    (power(t, "3/2"), "t^(3/2)", "t^(3/2)", "t^{3/2}"),
    (power(A, "1/2"), "sqrt(A)", "sqrt(A)", r"A^{\odot 1/2}"),
    (power(x, 2), "x.^2", "x.^2", r"x^{\odot 2}"),
    (power(b.add(s, t), -1), "1/(s + t)", "1/(s + t)", r"\frac{1}{s + t}"),
    (b.power_of(t, b.neg(s)), "t^(-s)", "t^(-s)", "t^{-s}"),
    (b.power_of(t, T), "t^(T)", "t^(T)", "t^{T}"),
    (b.power_of(number(2), A), "2 .^ A", "2 .^ A", r"2^{\odot A}"),
    (b.power_of(A, B), "A.^B", "A.^B", r"A^{\odot B}"),
    (b.times(number(3), b.power_of(number(2), s)), "3*2^s", "3*2^s", r"3 \cdot 2^{s}"),
    (b.had(A, B), "A .* B", "A ⊙ B", r"A \odot B"),
    (b.had(A, power(B, -1), power(C, -2)), "A ./ B ./ C.^2", "A ./ B ./ C.^2", r"A \oslash B \oslash C^{\odot 2}"),
    (b.had(b.mul(A, X), B), "B .* (A*X)", "B ⊙ (A*X)", r"B \odot \left(A X\right)"),
    (b.mul(s, b.had(A, B)), "s*A .* B", "s*A ⊙ B", r"s \left(A \odot B\right)"),
    (b.divide(b.had(A, B), t), "(A .* B)/t", "(A ⊙ B)/t", r"\frac{1}{t} \left(A \odot B\right)"),
    (power(A, -1), "1 ./ A", "1 ./ A", r"A^{\odot -1}"),
    (b.scale(b.divide(s, t), power(A, -1)), "s/t ./ A", "s/t ./ A", r"\frac{s}{t} A^{\odot -1}"),
    (b.kron(A, X), "kron(A, X)", "A ⊗ X", r"A \otimes X"),
    (b.kron(A, X, B), "kron(kron(A, X), B)", "A ⊗ X ⊗ B", r"A \otimes X \otimes B"),
    (b.mul(s, b.kron(A, X)), "s*kron(A, X)", "s*(A ⊗ X)", r"s \left(A \otimes X\right)"),
    (b.transpose(b.mul(A, X)), "(A*X)'", "(A*X)ᵀ", r"\left(A X\right)^{\top}"),
    (b.inv(X), "inv(X)", "X⁻¹", "X^{-1}"),
    (b.transpose(b.inv(X)), "inv(X)'", "X⁻ᵀ", r"X^{-\top}"),
    (b.inv(b.transpose(X)), "inv(X')", "(Xᵀ)⁻¹", r"\left(X^{\top}\right)^{-1}"),
    (b.transpose(b.inv(b.mul(X, Sigma))), "inv(X*Sigma)'", "(X*Σ)⁻ᵀ", r"\left(X \Sigma\right)^{-\top}"),
    (b.mpow(X, 3), "X^3", "X³", "X^{3}"),
    (b.mpow(X, -2), "X^-2", "X⁻²", "X^{-2}"),
    (b.mpow(X, "k"), "X^k", "X^k", "X^{k}"),
    (b.mpow(X, dim("k") - 1), "X^(k-1)", "X^(k-1)", "X^{k-1}"),
    (b.mpow(X, "T"), "X^(T)", "X^(T)", "X^{T}"),
    (b.transpose(b.mpow(X, 2)), "(X^2)'", "(X²)ᵀ", r"\left(X^{2}\right)^{\top}"),
    (
        b.times(b.mul(b.transpose(x), mu), b.mul(b.transpose(x), X, x)),
        "(x'*X*x)*(x'*mu)",
        "(xᵀ*X*x)*(xᵀ*μ)",
        r"\left(x^{\top} X x\right) \left(x^{\top} \mu\right)",
    ),
    (b.mul(x, b.transpose(mu), mu), "(mu'*mu)*x", "(μᵀ*μ)*x", r"\left(\mu^{\top} \mu\right) x"),
    (b.times(number(2), s, b.mul(b.transpose(x), mu)), "2*s*x'*mu", "2*s*xᵀ*μ", r"2 s x^{\top} \mu"),
    (sp.expm(b.mul(t, X)), "expm(t*X)", "expm(t*X)", r"\mathrm{e}^{t X}"),
    (b.inv(sp.sqrtm(X)), "inv(sqrtm(X))", "sqrtm(X)⁻¹", "X^{-1/2}"),
    (b.transpose(sp.pinv(A)), "pinv(A)'", "pinv(A)ᵀ", r"A^{{+}{\top}}"),
    (sp.dexpm(X, Sigma, X), "dexpm(X, Sigma)", "dexpm(X, Σ)", r"\operatorname{dexpm}\left(X, \Sigma\right)"),
    (sp.dexpm(X, x, t), "dexpm(X, x, t)", "dexpm(X, x, t)", r"\operatorname{dexpm}\left(X, x, t\right)"),
    (sp.nuclear(A), "nuclear(A)", "nuclear(A)", r"\left\lVert A \right\rVert_{*}"),
    (sp.eigmax(X), "eigmax(X)", "eigmax(X)", r"\lambda_{\max}\left(X\right)"),
    (sp.eigvecs(X, "p"), "eigvecs(X, p)", "eigvecs(X, p)", r"\operatorname{eigvecs}_{p}\left(X\right)"),
    (b.logdet(X), "logdet(X)", "logdet(X)", r"\log\det\left(X\right)"),
    (
        b.add(b.fun("log", b.det(X)), b.tr(b.mul(b.inv(X), W1))),
        "log(det(X)) + tr(inv(X)*W1)",
        "log(det(X)) + tr(X⁻¹*W₁)",
        r"\log\left(\det\left(X\right)\right) + \operatorname{tr}\left(X^{-1} W_{1}\right)",
    ),
    (b.fun(Unknown("phi", 1), x), "phi'(x)", "φ'(x)", r"\phi'\left(x\right)"),
    (
        b.fun(Unknown("phi", 0), b.fun("asin", t)),
        "phi(asin(t))",
        "φ(asin(t))",
        r"\phi\left(\arcsin\left(t\right)\right)",
    ),
    (b.fun(Unknown("f1", 4), t), "f1''''(t)", "f₁''''(t)", r"f_{1}^{(4)}\left(t\right)"),
    (b.fun("abs", t), "abs(t)", "abs(t)", r"\left\lvert t \right\rvert"),
    (b.fun("sigmoid", b.mul(W1, x)), "sigmoid(W1*x)", "sigmoid(W₁*x)", r"\operatorname{sigmoid}\left(W_{1} x\right)"),
    (
        b.block([[A, B], [C, b.zeros("m", "n")]]),
        "[A, B; C, zeros(m,n)]",
        "[A, B; C, zeros(m,n)]",
        r"\begin{bmatrix} A & B \\ C & \mathbf{0}_{m \times n} \end{bmatrix}",
    ),
    (b.entry(A, "i", dim("j") + 1), "A[i,j+1]", "A[i,j+1]", "A_{i,j+1}"),
    (b.entry(b.mul(A, x), 1), "(A*x)[1]", "(A*x)[1]", r"\left(A x\right)_{1}"),
    (b.entry(x, "i"), "x[i]", "x[i]", "x_{i}"),
    (b.entry(W1, 1, 2), "W1[1,2]", "W₁[1,2]", r"\left(W_{1}\right)_{1,2}"),
    (b.entry(data(3), "j"), "x[3][j]", "x[3][j]", r"\left(x_{3}\right)_{j}"),
    (b.diff(X), "dX", "dX", r"\mathrm{d}X"),
    (
        b.mul(b.transpose(b.diff(X)), b.diff(b.mul(X, x))),
        "dX'*d(X*x)",
        "dXᵀ*d(X*x)",
        r"\left(\mathrm{d}X\right)^{\top} \mathrm{d}\left(X x\right)",
    ),
    (b.total(A), "sum(A)", "sum(A)", r"\operatorname{sum}\left(A\right)"),
    (b.inner(A, B), "inner(A, B)", "inner(A, B)", r"\left\langle A, B \right\rangle"),
    (b.diag(x), "diag(x)", "diag(x)", r"\operatorname{diag}\left(x\right)"),
    (b.diag(X), "diag(X)", "diag(X)", r"\operatorname{diag}\left(X\right)"),
    (b.vec(A), "vec(A)", "vec(A)", r"\operatorname{vec}\left(A\right)"),
    (b.transpose(b.vec(A)), "vec(A)'", "vec(A)ᵀ", r"\operatorname{vec}\left(A\right)^{\top}"),
    (
        b.unvec(b.sym(Symbol("y", dim("m") * dim("n"), ONE)), "m", "n"),
        "unvec(y, m, n)",
        "unvec(y, m, n)",
        r"\operatorname{unvec}_{m,n}\left(y\right)",
    ),
    (b.commutation("m", "n"), "commutation(m,n)", "commutation(m,n)", "K_{m,n}"),
    (b.ones(1, "n"), "ones(1,n)", "ones(1,n)", r"\mathbf{1}_{n}^{\top}"),
    (b.basis("i", "n"), "basis(i,n)", "basis(i,n)", "e_{i}"),
    (b.indicator(">=", "k", 2), "ind(k >= 2)", "ind(k >= 2)", r"\mathbf{1}\left[k \geq 2\right]"),
    (b.indicator("=", "i", dim("j") - 1), "ind(i = j-1)", "ind(i = j-1)", r"\mathbf{1}\left[i = j-1\right]"),
    (b.PI, "pi", "π", r"\pi"),
    (b.times(number(2), b.PI, b.integer("n")), "2*pi*n", "2*π*n", r"2 \pi n"),
    (
        b.integer(dim("n") * (dim("n") + 1) / 2),
        "1/2*n^2 + 1/2*n",
        "1/2*n² + 1/2*n",
        r"\frac{1}{2} n^{2} + \frac{1}{2} n",
    ),
    (b.eye(dim("m") * dim("n") + 1), "eye(m*n+1)", "eye(m*n+1)", "I_{m n+1}"),
    (b.zeros("m", 1), "zeros(m)", "zeros(m)", r"\mathbf{0}_{m}"),
    (
        b.sum_over(I1, b.mul(b.transpose(data(I1)), X, data(I1))),
        "sum(i=1..N, x[i]'*X*x[i])",
        "sum(i=1..N, x[i]ᵀ*X*x[i])",
        r"\sum_{i=1}^{N} x_{i}^{\top} X x_{i}",
    ),
    (
        b.divide(b.sum_over(I1, b.sub(data(I1), mu)), b.integer("N")),
        "sum(i=1..N, x[i] - mu)/N",
        "sum(i=1..N, x[i] - μ)/N",
        r"\frac{1}{N} \sum_{i=1}^{N} \left(x_{i} - \mu\right)",
    ),
    (
        b.times(b.sum_over(I1, b.norm(data(I1))), s),
        "s*sum(i=1..N, norm(x[i]))",
        "s*sum(i=1..N, ‖x[i]‖)",
        r"s \sum_{i=1}^{N} \left\lVert x_{i} \right\rVert",
    ),
    (b.prod_over(K, layer(dim(K) - 1)), "prod(i=1..L, W[i-1])", "prod(i=1..L, W[i-1])", r"\prod_{i=1}^{L} W_{i-1}"),
    (
        b.prod_over(Index(1, dim("L"), LOW), layer(dim(Index(1, dim("L"), LOW)) - 1), -1),
        "prod(i=L..1, W[i-1])",
        "prod(i=L..1, W[i-1])",
        r"\prod_{i=L}^{1} W_{i-1}",
    ),
    (
        b.prod_over(K, layer(dim(K) - 1), -1),
        "prod(i=1..L by -1, W[i-1])",
        "prod(i=1..L by -1, W[i-1])",
        r"\prod_{i=1,\,0,\,\ldots,\,L} W_{i-1}",
    ),
    (
        b.prod_over(Index(1, dim("p"), dim("q")), X),
        "prod(i=p..q by 1, X)",
        "prod(i=p..q by 1, X)",
        r"\prod_{i=p}^{q} X",
    ),
    (
        b.prod_over(Index(1, dim("p"), dim("q")), X, -1),
        "prod(i=p..q by -1, X)",
        "prod(i=p..q by -1, X)",
        r"\prod_{i=p,\,p-1,\,\ldots,\,q} X",
    ),
    (b.eye(dim(SizeAt("h", dim("k") + 1))), "eye(h[k+1])", "eye(h[k+1])", "I_{h_{k+1}}"),
    (symbol("x_hat", "n"), "x_hat", "x_hat", r"x_{\mathrm{hat}}"),
    (symbol("theta0", "n"), "theta0", "θ₀", r"\theta_{0}"),
    (b.times(s, loss), "loss*s", "loss*s", r"\mathrm{loss} s"),
]


@pytest.mark.parametrize(("term", "text", "fancy", "latex"), PRINTED, ids=[row[1] for row in PRINTED])
def test_printed(term: Term, text: str, fancy: str, latex: str) -> None:
    assert to_text(term) == text
    assert to_unicode(term) == fancy
    assert to_latex(term) == latex
    assert text.isascii() and latex.isascii()
    assert repr(term) == text


@pytest.mark.parametrize("printer", [to_text, to_unicode, to_latex])
def test_brackets_balance(printer: Callable[[Term], str]) -> None:
    for term, *_ in PRINTED:
        text = printer(term)
        for left, right in ("()", "[]", "{}"):
            assert text.count(left) == text.count(right)


def test_deep_terms() -> None:
    limit = sys.getrecursionlimit()
    deep = t
    for _ in range(5000):
        deep = b.fun("exp", deep)
    text = to_text(deep)
    assert text == "exp(" * 5000 + "t" + ")" * 5000
    assert to_unicode(deep) == text
    assert to_latex(deep).count(r"\exp") == 5000
    assert sys.getrecursionlimit() == limit


def test_deep_mixture() -> None:
    deep = x
    for _ in range(3000):
        deep = b.add(b.had(b.mul(X, b.fun("tanh", deep)), mu), x)
    assert to_text(deep).startswith("mu .* (X*tanh(mu .* (X*tanh(")
    assert to_latex(deep).startswith(r"\mu \odot \left(X \tanh\left(")


def test_wide_sum() -> None:
    wide = b.add(*(b.times(number(-1 if k % 2 else 2), symbol(f"q{k}")) for k in range(10_000)))
    text = to_text(wide)
    assert text.startswith("2*q0 + 2*q10 + ")
    assert text.count(" - ") == 5000
    assert to_latex(wide).startswith("2 q_{0} + 2 q_{10} + ")


def test_shared_graph_is_capped() -> None:
    shared = t
    for _ in range(60):
        shared = b.fun("exp", b.mul(shared, b.add(shared, s)))
    for printer in (to_text, to_unicode, to_latex):
        with pytest.raises(LimitExceeded):
            printer(shared)


def test_products_wider_than_one_node() -> None:
    factors = [b.sym(Symbol(f"M{k}", dim("n"), dim("n"))) for k in range(150)]
    wide = factors[0]
    for factor in factors[1:]:
        wide = b.mul(wide, factor)
    assert to_text(wide).replace("(", "").replace(")", "") == "*".join(f"M{k}" for k in range(150))


def test_power_of_zero_is_kept() -> None:
    assert to_text(power(b.ZERO_NUM, -1)) == "1/0"
    assert to_text(power(b.ZERO_NUM, -2)) == "0^(-2)"
    assert to_latex(power(b.ZERO_NUM, -2)) == "0^{-2}"


# ---------------------------------------------------------------- names of indices


def double_sum() -> Term:
    outer, inner = Index(20, LOW, N), Index(10, LOW, N)
    return b.sum_over(outer, b.sum_over(inner, b.mul(b.transpose(data(outer)), data(inner))))


def test_outer_index_comes_first() -> None:
    assert to_text(double_sum()) == "sum(i=1..N, sum(j=1..N, x[i]'*x[j]))"
    assert to_latex(double_sum()) == r"\sum_{i=1}^{N} \sum_{j=1}^{N} x_{i}^{\top} x_{j}"


def test_preferred_names() -> None:
    names = [(LOW, dim("L"), "k"), (LOW, N, "r"), (LOW, N, "t")]
    assert to_text(double_sum(), names) == "sum(r=1..N, sum(t=1..N, x[r]'*x[t]))"
    assert to_text(b.times(t, double_sum()), names) == "t*sum(r=1..N, sum(i=1..N, x[r]'*x[i]))"
    assert to_latex(double_sum(), names).startswith(r"\sum_{r=1}^{N} \sum_{t=1}^{N}")


def test_free_names_are_skipped() -> None:
    i, k = symbol("i"), b.integer("k")
    term = b.times(i, k, b.sum_over(I1, b.norm(data(I1))), b.fun(Unknown("j", 0), t))
    assert "sum(l=1..N, norm(x[l]))" in to_text(term)
    assert "sum(j=1..i, w[j])" in to_text(
        b.sum_over(Index(1, LOW, dim("i")), b.member(Family("w", I1, ONE, ONE), Index(1, LOW, dim("i"))))
    )


def test_inner_range_depends_on_outer() -> None:
    weights = Family("w", I1, ONE, ONE)
    outer = Index(9, LOW, N)
    inner = Index(8, LOW, dim(outer))
    term = b.sum_over(outer, b.sum_over(inner, b.times(b.member(weights, inner), b.integer(outer))))
    assert to_text(term) == "sum(i=1..N, sum(j=1..i, i*w[j]))"


def test_same_sum_in_two_scopes() -> None:
    closed = b.sum_over(I1, b.norm(data(I1)))
    outer = Index(9, LOW, N)
    term = b.add(closed, b.sum_over(outer, b.times(b.norm(data(outer)), closed)))
    assert to_text(term) == "sum(i=1..N, norm(x[i])) + sum(i=1..N, norm(x[i])*sum(j=1..N, norm(x[j])))"


def test_free_index_of_a_body_gets_a_name() -> None:
    body = double_sum().args[0]
    assert to_text(body) == "sum(j=1..N, x[i]'*x[j])"


def test_many_indices_do_not_run_out() -> None:
    term = b.ONE_NUM
    for level in range(15):
        index = Index(100 + level, LOW, N)
        term = b.sum_over(index, b.times(b.integer(index), term))
    text = to_text(term)
    assert text.startswith("sum(i=1..N, i*sum(j=1..N, j*sum(k=1..N, ")
    assert "sum(i1=1..N, " in text


# ---------------------------------------------------------------- numbers and names


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Fraction(3, 10), ("0.3", "")),
        (Fraction(1, 1000), ("0.001", "")),
        (Fraction(123, 20), ("6.15", "")),
        (Fraction(1, 25), ("1", "25")),
        (Fraction(1, 30), ("1", "30")),
        (Fraction(-1, 2), ("1", "2")),
        (-7, ("7", "")),
        (0, ("0", "")),
    ],
)
def test_numbers(value: int | Fraction, shown: tuple[str, str]) -> None:
    assert number_text(value) == shown


@pytest.mark.parametrize(
    ("name", "latex"),
    [
        ("A", "A"),
        ("Sigma", r"\Sigma"),
        ("mu1", r"\mu_{1}"),
        ("W12", "W_{12}"),
        ("x_k", "x_{k}"),
        ("x_max_1", r"x_{\mathrm{max},1}"),
        ("lambda_xi", r"\lambda_{\xi}"),
        ("loss", r"\mathrm{loss}"),
    ],
)
def test_latex_names(name: str, latex: str) -> None:
    assert latex_name(name) == latex


def test_unicode_names_are_read_as_the_ascii_ones() -> None:
    from matcalc.language.names import ascii_name

    for name in [*GREEK, *(f"{name}12" for name in GREEK), "x1", "x_1", "mu_hat", "W_1_2", "xi_mu", "ximu"]:
        assert ascii_name(to_unicode(symbol(name))) == name


# ---------------------------------------------------------------- the order of printing depends on the term alone


def test_order_of_construction_is_not_seen() -> None:
    terms = [power(t, 3), b.times(number(-2), t), s, number(5), b.mul(b.transpose(x), X, x), b.neg(loss), b.tr(X)]
    draw = random.Random(0)
    texts = set()
    for _ in range(20):
        draw.shuffle(terms)
        texts.add(to_text(b.add(*terms)))
    assert texts == {"t^3 + x'*X*x + tr(X) + s + 5 - loss - 2*t"}


# ---------------------------------------------------------------- what is printed is a sentence of the language


def test_printed_text_is_in_the_grammar() -> None:
    from matcalc.language.parser import parse_syntax

    for term, text, fancy, _ in PRINTED:
        parse_syntax(text)
        parse_syntax(fancy)
        parse_syntax(to_text(b.diff(term)))
