r"""Formulas between dollars: the same term as the plain spelling, places of errors, what is not understood."""

from __future__ import annotations

import pytest
from lark import Lark

import matcalc as mc
from matcalc.interface.cli import main
from matcalc.language.latex_commands import Commands
from matcalc.resources import data_dir

WHERE = (
    "A, B, X: matrix(n,n); C: matrix(m,n); F: matrix(p,n); x, y, b, mu: vector(n); Sigma: posdef(n); t, s: scalar; "
    "phi: function; z[i=1..N]: vector(n); M[k=1..L]: matrix(n,n); W1: matrix(n,n); loss: scalar; x_hat: vector(n)"
)

SAME = [
    # products, scripts
    (r"\frac12 (x-\mu)^T\Sigma^{-1}(x-\mu)", "1/2*(x - mu)'*inv(Sigma)*(x - mu)"),
    (r"b^T X x + \mathrm{tr}(C^\top C)", "b'*X*x + tr(C'*C)"),
    (r"2 t x", "2*t*x"),
    (r"t(x + y)", "t*(x + y)"),
    (r"t \cdot s \times t", "t*s*t"),
    (r"x^{\top} y - {A}^{-1}_{1,1}", "x'*y - A[1,1]^-1"),
    (r"A^{-T} A^{-\top} A' A^{\intercal} A^{\prime}", "A^-T*A^-T*A'*A'*A'"),
    (r"X^{3} x", "X^3*x"),
    (r"x^{\odot 2} + y^{\circ 3}", "x.^2 + y.^3"),
    (r"A \odot B + A \circ B", "A .* B + A .* B"),
    (r"A B \odot B X", "(A*B) .* (B*X)"),
    (r"x \oslash y", "x ./ y"),
    (r"A \otimes B \otimes C", "kron(A, B, C)"),
    (r"C \ast F", "khatrirao(C, F)"),
    (r"-x^T A\, x \;+\! t", "-x'*A*x + t"),
    # fractions, roots
    (r"\frac{t}{s + 1} x", "t/(s + 1)*x"),
    (r"\tfrac1s t + \dfrac{1}2", "1/s*t + 1/2"),
    (r"\sqrt{t} + \sqrt[3]{s}", "sqrt(t) + s^(1/3)"),
    (r"t/s", "t/s"),
    # functions
    (r"\log t + \ln s + \exp(t)", "log(t) + log(s) + exp(t)"),
    (r"\tanh(A x)", "tanh(A*x)"),
    (r"\sin^2 t + \cos^{2}(t)", "sin(t)^2 + cos(t)^2"),
    (r"\sin t \cos s", "sin(t)*cos(s)"),
    (r"\log(t)^2", "log(t)^2"),
    (r"\log t^2", "log(t^2)"),
    (r"\log\det\Sigma + \log|\Sigma|", "logdet(Sigma) + log(det(Sigma))"),
    (r"\det(A) + \det A", "2*det(A)"),
    (r"\operatorname{tr}(A B) + \text{tr}(A) + \Tr(B) + \mathrm{Tr}\,A", "tr(A*B) + tr(A) + tr(B) + tr(A)"),
    (r"\operatorname{vec}(A)^T \operatorname{vec} B", "vec(A)'*vec(B)"),
    (r"\operatorname{diag}(x) y", "diag(x)*y"),
    (r"\operatorname{unvec}_{n,n}(\operatorname{vec}(A))", "unvec(vec(A), n, n)"),
    (r"\phi(A x + b) + \phi'\left(A x\right) + \phi^{(3)}(x)", "phi(A*x + b) + phi'(A*x) + phi'''(x)"),
    (r"\phi(t)^2 + \phi^2(t)", "2*phi(t)^2"),
    (r"\psi(t) + \psi'(t) + \log\Gamma(t)", "digamma(t) + trigamma(t) + lgamma(t)"),
    (r"e^{-t^2/2} + e^t", "exp(-t^2/2) + exp(t)"),
    (r"\mathrm{e}^{A} A^{1/2} B^{-\frac12} + t^{1/2} A", "expm(A)*sqrtm(A)*inv(sqrtm(B)) + t^(1/2)*A"),
    (r"\lambda_{\max}(\Sigma) + \lambda_\max(\Sigma)", "eigmax(Sigma) + eigmax(Sigma)"),
    (r"\psi^{(3)}(t) + \psi^{(k)}(t) + \psi''(s)", "polygamma(3, t) + polygamma(k, t) + polygamma(2, s)"),
    (r"A^+ + A^{+} + A^{+\top} + A^{{+}{\top}}", "2*pinv(A) + 2*pinv(A)'"),
    (r"\|A\|_2 + \|A\|_* + \|A\|_{*}", "spectral(A) + nuclear(A) + nuclear(A)"),
    # bars and brackets
    (r"|A| + |t| + \lvert s\rvert", "det(A) + abs(t) + abs(s)"),
    (r"|A| |B| - \left|t\left|s\right|\right|", "det(A)*det(B) - abs(t*abs(s))"),
    (r"\|x\| + \|x\|_2^2 + \|x\|_1 + \|A\|_F", "norm(x) + norm(x)^2 + norm1(x) + norm(A)"),
    (r"\left\lVert A x - b \right\rVert^2 + ||x||", "norm(A*x - b)^2 + norm(x)"),
    (r"\bigl[x^\top A x\bigr] + \{t\} + \left(s\right)", "x'*A*x + t + s"),
    (r"\langle A, B \rangle + \langle x, y\rangle", "tr(A'*B) + x'*y"),
    (r"\begin{pmatrix} A & B \\ B & A \\ \end{pmatrix}", "[A, B; B, A]"),
    (r"\begin{bmatrix} x \\ y \end{bmatrix}", "[x; y]"),
    # subscripts
    (r"x_1 + x_{2} + A_{12} + A_{i,j} + A_{ij} + x_i", "x[1] + x[2] + A[1,2] + A[i,j] + A[i,j] + x[i]"),
    (r"z_1^T z_N + (z_i)_2 + z_{ij}", "z[1]'*z[N] + z[i][2] + z[i][j]"),
    (r"W_1 x + \hat{x} + \hat x", "W1*x + x_hat + x_hat"),
    (r"\mathrm{loss} + t", "loss + t"),
    (r"x_i^2 + x^2_i", "2*x[i]^2"),
    (r"x_{1:2}", "x[1..2]"),
    # sums and products
    (r"\sum_{i=1}^N z_i^T z_i + t", "sum(i=1..N, z[i]'*z[i]) + t"),
    (r"\sum_{i=1}^{N} \|z_i - \mu\|^2", "sum(i=1..N, norm(z[i] - mu)^2)"),
    (r"\frac{1}{2} \sum\limits^{N}_{i=1} \sum_{j=1}^{i} z_i^T z_j", "1/2*sum(i=1..N, sum(j=1..i, z[i]'*z[j]))"),
    (r"\left(\prod_{k=L}^{1} M_k\right) x", "prod(k=L..1, M[k])*x"),
    (r"\prod_{k=L,\,L-1,\,\ldots,\,1} M_k", "prod(k=L..1 by -1, M[k])"),
    (r"\sum_{i=1}^{n} x_i \cdot y_i", "sum(i=1..n, x[i]*y[i])"),
    (r"2 \log \sum_{i=1}^{n} e^{x_i} y_i + t", "2*log(sum(i=1..n, exp(x[i])*y[i])) + t"),
    # what has no name of its own
    (r"(A - I)^{-1} + I_n", "inv(A - eye(n)) + eye(n)"),
    (r"\mathbf{1}^T x + \mathbf{1}_n^\top y", "ones(n)'*x + ones(n)'*y"),
    (r"\mathbf{1}_{m \times n} + \mathbf{0}_{m\times n} + C", "ones(m,n) + C"),
    (r"K_{m,n} \operatorname{vec}(C) + \operatorname{vec}(C)", "commutation(m,n)*vec(C) + vec(C)"),
    (r"D_{n}^{\top} \operatorname{vec}(A)", "duplication(n)'*vec(A)"),
    (r"e_2^\top A x", "basis(2,n)'*A*x"),
    (r"t\,\mathbf{1}\left[k \geq 2\right]", "t*ind(k >= 2)"),
    (r"\pi t", "pi*t"),
    # looks
    (r"\mathbf{x}^\top \boldsymbol{\mu} + \displaystyle t", "x'*mu + t"),
    (r"\vec{x}^T y", "x'*y"),
    # definitions
    (r"y_L \quad\text{where } y_0 = x,\; y_{k+1} = \phi(A y_k)", "y[L] where y[0] = x; y[k+1] = phi(A*y[k])"),
    (r"v_1^T v_1 \quad\text{where } v_1 = A x", "v1'*v1 where v1 = A*x"),
    (r"e_0 - e^{t} x \quad\text{where } e_L = x,\; e_{k-1} = A e_k", "e[0] - exp(t)*x where e[L] = x; e[k-1] = A*e[k]"),
]


@pytest.mark.parametrize(("latex", "plain"), SAME, ids=[latex for latex, _ in SAME])
def test_same(latex: str, plain: str) -> None:
    assert mc.parse(f"${latex}$", WHERE).term is mc.parse(plain, WHERE).term


def test_names_that_are_declared_beside_those_of_functions() -> None:
    where = "M: symmetric(n); v: vector(n); b: vector(m); n, m: integer; "
    for latex, plain, named in (
        (r"b \otimes v_{\max}\left(M\right) + b \otimes v", "kron(b, eigvecmax(M)) + kron(b, v)", ""),
        (r"K_{n,n m} (v \otimes v \otimes b)", "commutation(n,n*m)*kron(v, v, b)", ""),
        (r"K_{n,n} (M^K v \otimes v)", "commutation(n,n)*kron(M^K*v, v)", "K: integer"),
        (
            r"K_{n,n} (K \otimes v) + e_1 + K_1 (v \otimes v)",
            "commutation(n,n)*kron(K, v) + basis(1,n^2) + K[1]*kron(v, v)",
            "K: vector(n); e: scalar",
        ),
    ):
        assert mc.parse(f"${latex}$", where + named).term is mc.parse(plain, where + named).term


REFUSED = [
    (r"1/2 x", "denominator", "2 x"),
    (r"\tanh A x", "argument ends", "x"),
    (r"\log x y", "argument ends", "y"),
    (r"x2", "a number stands", "2"),
    (r"\partial x", r"\\partial is not understood", r"\partial"),
    (r"x + \foo", r"\\foo is not understood", r"\foo"),
    (r"x^T (A", "not finished", None),
    (r"x +", "not finished", None),
    (r"A^{-1} ) x", "does not fit", ")"),
    (r"f(x)", "may be a function", "f(x)"),
    (r"\sum_i x_i", "range of the index", r"\sum"),
    (r"\mathrm{d} x", "differential", r"\mathrm{d}"),
    (r"|x|", "needs a square matrix", "x"),
    (r"|C|", "needs a square matrix", "C"),
    (r"\|x\|_3", "norm is not known", "3"),
    (r"\|A\|_1", "means two things", None),
    (r"\sin^{-1} t", "not clear", "-1"),
    (r"x^*", r"\* has no meaning", "*"),
    (r"A \otimes B \odot B", "does not fit", r"\odot"),
    (r"I", "cannot be seen", "I"),
    (r"e_1", "cannot be seen", "e_1"),
    (r"x ? y", "no meaning", "?"),
    (r"\begin{cases} x \end{cases}", "environment cases", r"\begin{cases}"),
    (r"\text{if x} x", "no meaning in a formula", r"\text{if x}"),
    (r"x = y", "not an expression", "x = y"),
    (r"{}", "does not fit", "}"),
    (r"\frac{x}", "not finished", None),
    (r"\left( x \right", "not finished", None),
    (r"\operatorname{sofmax}(x)", "may be a function", r"\operatorname{sofmax}(x)"),
    (r"x^T mu", "letter by letter", "mu"),
    (r"log(t)", "letter by letter", "log"),
    (r"loss^2", "letter by letter", "loss"),
    (r"\phi^{(99)}(t)", "order of a derivative", "99"),
    (r"e^{x}", "needs a square matrix", "x"),
    (r"\max x", "takes 2 arguments", r"\max x"),
    (r" ", "nothing between", None),
]


@pytest.mark.parametrize(("latex", "message", "place"), REFUSED, ids=[case[0] for case in REFUSED])
def test_refused(latex: str, message: str, place: str | None) -> None:
    text = f"2*${latex}$"
    with pytest.raises(mc.MatcalcError, match=message) as caught:
        mc.parse(text, WHERE)
    error = caught.value
    assert error.text == text
    assert error.start is not None
    if place is not None:
        assert text[error.start : error.end] == place


def test_places_are_those_of_the_whole_text() -> None:
    with pytest.raises(mc.ShapeError) as caught:
        mc.parse("(t +\n  $x^T (C x)$ + s)", WHERE)
    assert (caught.value.line, caught.value.column) == (2, 4)


def test_grammar_has_no_conflicts() -> None:
    text = (data_dir("grammar") / "latex.lark").read_text(encoding="utf-8")
    Lark(text, start="start", parser="lalr", lexer="contextual", postlex=Commands(), strict=True)


# ---------------------------------------------------------------- wherever an expression is


def test_session() -> None:
    session = mc.Session()
    answers = session.run(
        r"""x, mu: vector(n); Sigma: posdef(n)
        $f(x) = \frac12 (x-\mu)^T\Sigma^{-1}(x-\mu)$
        D($f(x)$, $x$)
        solve($\Sigma x = \mu$, x)
        q = $x^T x$ + 1
        hess(q, x); _
        $x^T \mu$ == mu'*x"""
    )
    shown = [line for answer in answers for line in answer.text()]
    assert shown == ["(x - μ)ᵀ*Σ⁻¹", "x = Σ⁻¹*μ", "xᵀ*x + 1", "2*eye(n)", "2*eye(n)", "equal: the same normal form"]


def test_library() -> None:
    where = {"A": "matrix(m,n)", "x": "vector(n)", "b": "vector(m)"}
    found = mc.derivative(r"$\|A x - b\|_2^2$", "$x$", where=where)
    assert str(found) == "2*A'*(A*x - b)"
    assert found.compare(r"$2 A^\top (A x - b)$")
    assert str(mc.derivative("norm(r)^2", "x", where=where, let={"r": "$A x - b$"})) == str(found)
    solved = mc.solve(r"$A^\top A x = A^\top b$", "x", where=where, assume="A'*A is invertible")
    assert str(solved.solution) == "inv(A'*A)*A'*b"


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", r"$\log\det\Sigma$", r"$\Sigma$", "-w", "Sigma: posdef(n)", "--latex"]) == 0
    assert capsys.readouterr().out == "\\Sigma^{-1}\n"


def test_what_was_read_is_told() -> None:
    told = [line for answer in mc.Session().run("A: matrix(n,n); $A - I$") for line in answer.told()]
    assert told == ["# I is the identity matrix"]


@pytest.mark.parametrize(
    ("expr", "where"),
    [
        ("sum(abs(A))", "A: matrix(m,n)"),
        ("abs(t)", "t: scalar"),
        ("polygamma(2, x)", "x: vector(n)"),
        ("lgamma(x) + digamma(x) + trigamma(x)", "x: vector(n)"),
        ("x[1..2]", "x: vector(n)"),
        ("asinh(x) - softmax(x)", "x: vector(n)"),
        ("2*kron(A, A) - kron(A*A, A .* A)", "A: matrix(n,n)"),
        ("logdet(A)^2*log(det(A)) + lgamma(t)^2", "A: matrix(n,n); t: scalar"),
        ("t*logdet(A)*A", "A: matrix(n,n); t: scalar"),
        ("(A*B) .* A - khatrirao(A, B)[1..n,1..n]", "A, B: matrix(n,n)"),
        ("prod(k=L..1, M[k])*x", "M[k=1..L]: matrix(n,n); x: vector(n)"),
        ("sum(i=1..N, norm(x[i] - mu)^2)*mu", "x[i=1..N]: vector(n); mu: vector(n)"),
        ("x1_hat' * W_k * x1_hat", "x1_hat: vector(n); W_k: matrix(n,n)"),
        ("spectral(A) + nuclear(A) + eigmax(S) + eigvecmax(S)'*x", "A: matrix(m,n); S: symmetric(n); x: vector(n)"),
        ("expm(B) + sqrtm(B) + inv(sqrtm(B)) + logm(B) + pinv(B)", "B: matrix(n,n)"),
        ("dexpm(B, B) + sylvester(B, B, B) + polar(B)", "B: matrix(n,n)"),
        ("mu1[k]'*mu1[k+1]", "mu1[k=0..K]: vector(n)"),
        ("commutation(n,n)*vec(K) + duplication(n)*vech(D)", "K, D: matrix(n,n)"),
        ("elimination(n)*vec(L) - vech(I - eye(n))", "L, I: matrix(n,n)"),
        ("basis(1,n)*e' + K*eye(n)", "e: vector(n); K: scalar"),
    ],
)
def test_reads_back(expr: str, where: str) -> None:
    made = mc.parse(expr, where)
    assert mc.parse(f"${made.latex()}$", where).term is made.term


def test_a_letter_means_one_thing_in_all_lines() -> None:
    where = "K: matrix(n,n); X: matrix(n,n); b: vector(n)"
    steps = mc.derivative("K*X'*K'", "X", where).latex(steps=True)
    long = mc.hessian("square(eigvecmax(b*b')'*(K + K')*eigvecmax(b*b'))", "b", where).latex()
    assert r"\text{where } v_{1}" in long
    assert r"\operatorname{commutation}\left(n, n\right)" in steps
    assert "K_{" not in steps and "K_{" not in long
