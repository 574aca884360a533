"""Actions of derivatives, several variables at once, and answers of others held against ours."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc as mc
from matcalc.errors import ShapeError

WHERE = "A: matrix(m,n); x: vector(n); b: vector(m)"


@pytest.mark.parametrize(
    ("answer", "verdict", "factor"),
    [
        ("2*A'*(A*x - b)", "equal", None),
        ("2*A'*A*x - 2*A'*b", "equal", None),
        ("2*(A*x - b)'*A", "transposed", None),
        ("A'*(A*x - b)", "factor", 0.5),
        ("-2*A'*(A*x - b)", "factor", -1.0),
        ("2*A'*A*x + 2*A'*b", "different", None),
        ("A*x - b", "different", None),
    ],
)
def test_an_answer_is_held_against_ours(answer: str, verdict: str, factor: float | None) -> None:
    found = mc.derivative("norm(A*x - b)^2", "x", WHERE).compare(answer)
    assert found.verdict == verdict
    assert bool(found) == (verdict == "equal")
    if factor is not None:
        assert found.factor == pytest.approx(factor)
    if answer == "2*A'*A*x + 2*A'*b":
        values = found.counterexample
        assert not np.allclose(values["ours"], values["given"])


def test_equal_along_the_structure_only() -> None:
    d = mc.derivative("tr(A*S)", "S", "S: symmetric(n); A: matrix(n,n)")
    assert d.compare("A'").verdict == "equal"
    assert d.compare("(A + A')/2").verdict == "structure"


def test_a_row_for_a_matrix_variable() -> None:
    d = mc.derivative("tr(A'*X)", "X", "A, X: matrix(m,n)")
    assert d.compare("vec(A)'").verdict == "equal"
    assert d.compare("A'").verdict == "transposed"


def test_several_variables_share_their_work() -> None:
    found = mc.derivative("norm(tanh(W*x + b) - t)^2", ["W", "b", "x"], "W: matrix(m,n); x: vector(n); b, t: vector(m)")
    assert list(found) == ["W", "b", "x"]
    assert all(d.check().ok for d in found.values())
    assert str(mc.derivative("norm(tanh(W*x + b) - t)^2", "b", "W: matrix(m,n); x: vector(n); b, t: vector(m)")) == str(
        found["b"]
    )


def test_mixed_hessian_blocks() -> None:
    blocks = mc.hessian("x'*A*y", ["x", "y"], "x: vector(m); y: vector(n); A: matrix(m,n)")
    assert {key: str(d) for key, d in blocks.items()} == {
        ("x", "x"): "zeros(m,m)",
        ("x", "y"): "A",
        ("y", "x"): "A'",
        ("y", "y"): "zeros(n,n)",
    }


@pytest.mark.parametrize(
    ("expression", "wrt", "where", "direction", "covector"),
    [
        ("A*x", "x", WHERE, ("v", "n", 1), ("u", "m", 1)),
        ("inv(X)", "X", "X: invertible(n)", ("V", "n", "n"), ("U", "n", "n")),
        ("tanh(X*B)", "X", "X: matrix(m,n); B: matrix(n,p)", ("V", "m", "n"), ("U", "m", "p")),
        ("tr(S*S)", "S", "S: posdef(n)", ("V", "n", "n"), ("u", 1, 1)),
    ],
)
def test_actions_are_transposes_of_one_another(
    expression: str, wrt: str, where: str, direction: tuple[str, ...], covector: tuple[str, ...]
) -> None:
    """⟨U, J V⟩ = ⟨Jᵀ U, V⟩, and J V is what the Jacobian makes of vec(V)."""
    d = mc.derivative(expression, wrt, where)
    v, u = (mc.matrix(*pair) for pair in (direction, covector))
    forward, back = d.jvp(v), d.vjp(u)
    assert mc.equal(mc.tr(u.T @ forward), mc.tr(back.T @ v))
    assert mc.equal(mc.vec(forward), d.jacobian @ mc.vec(v))


def test_hessian_vector_product() -> None:
    h = mc.hessian("exp(x'*x)", "x", "x: vector(n)")
    v = mc.vector("v", "n")
    assert mc.equal(h.jvp(v), h.expr @ v)


def test_a_direction_has_the_shape_of_the_variable() -> None:
    with pytest.raises(ShapeError, match="has to be"):
        mc.derivative("A*x", "x", WHERE).jvp(mc.vector("v", "m"))


def test_a_comparison_passes_over_inputs_at_which_an_answer_has_no_value() -> None:
    d = mc.derivative("norm(X*inv(X'*X)*X'*b)^2", "b", "X: matrix(m,n); b: vector(m)")
    assert d.compare("2*X*pinv(X)*b")


def test_an_undeclared_direction_has_the_shape_that_fits() -> None:
    product = mc.derivative("A*X*X'", "X", "A: matrix(m,n); X: matrix(n,p)")
    assert str(product.jvp("V")) == "A*X*V' + A*V*X'"
    assert str(product.vjp("V")) == "A'*V*X + V'*A*X"
    gradient = mc.derivative("norm(A*x)^2", "x", "A: matrix(m,n); x: vector(n)")
    assert gradient.jvp("v").function("numpy").arguments == ("A", "v", "x")
    with pytest.raises(mc.ShapeError, match=r"A is m×n, it has to be n×p"):
        product.jvp("A")


def test_sizes_of_an_expression_are_numbers_in_the_strings_beside_it() -> None:
    x = mc.vector("x", "n")
    assert str(mc.derivative("norm(x)^2/n", x)) == "2*x/n"
    mean = mc.parse("norm(A*x)^2/n", "A: matrix(m,n); x: vector(n)")
    assert str(mean.subs({"n": "3"})) == "1/3*norm(A*x)^2"
    assert str(mean.subs({"x": "2*x + a"})) == "norm(A*(a + 2*x))^2/n"
    with pytest.raises(mc.UnknownName, match="t does not occur"):
        mean.subs({"t": "1"})
