"""Derivatives along the structure of a variable, and the types that declare one."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc as mc
from matcalc.interface.cli import main
from matcalc.numeric.check import directions
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample

CASES = [
    ("symmetric", "logdet(S) + tr(A*S)", "S", "S: posdef(n); A: matrix(n,n)"),
    ("symmetric-indefinite", "tr(S*A*S*B)", "S", "S: symmetric(n); A, B: matrix(n,n)"),
    ("semidefinite", "a'*S*S*b", "S", "S: psd(n); a, b: vector(n)"),
    ("diagonal", "tr(A*inv(V)) + logdet(V)", "V", "V: diagonal(n); A: matrix(n,n)"),
    ("lower", "tr(A*L*L') + logdet(L)", "L", "L: lower(n); A: matrix(n,n)"),
    ("upper", "tr(A*inv(U)) + a'*U*a", "U", "U: upper(n); A: matrix(n,n); a: vector(n)"),
    ("skew", "tr(A*W*B*W)", "W", "W: skew(n); A, B: matrix(n,n)"),
    ("orthogonal", "tr(Q*A*Q'*B) + a'*Q*b", "Q", "Q: orthogonal(n); A, B: matrix(n,n); a, b: vector(n)"),
    ("stiefel", "tr(Z'*A*Z*B)", "Z", "Z: stiefel(n,p); A: matrix(n,n); B: matrix(p,p)"),
    ("member", "sum(i=1..N, tr(A*S[i]*S[i]))", "S[j]", "S[i=1..N]: symmetric(n); A: matrix(n,n)"),
    ("sub-expression", "a'*inv(S)*a", "inv(S)", "S: posdef(n); a: vector(n)"),
    ("unstructured", "tr(A*X*X)", "X", "X, A: matrix(n,n)"),
    ("scalar", "t^2*tr(A)", "t", "t: positive; A: matrix(n,n)"),
]


@pytest.mark.parametrize("form", ["gradient", "jacobian", "hessian"])
@pytest.mark.parametrize(("expr", "wrt", "where"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_agrees_with_numbers(expr: str, wrt: str, where: str, form: str) -> None:
    found = mc.derivative(expr, wrt, where, form=form, structured=True)
    assert found.check().ok, found.check().message
    assert not found.check().message.startswith("no ")


@pytest.mark.parametrize(
    ("expr", "wrt", "where"),
    [("S*A*S", "S", "S: symmetric(n); A: matrix(n,n)"), ("Q*A*Q'", "Q", "Q: stiefel(n,p); A: matrix(p,p)")],
)
def test_arrays(expr: str, wrt: str, where: str) -> None:
    assert mc.derivative(expr, wrt, where, structured=True).check().ok


def test_wrong_answers_are_found() -> None:
    for where in (
        "S: symmetric(n); A: matrix(n,n)",
        "S: orthogonal(n); A: matrix(n,n)",
        "S: diagonal(n); A: matrix(n,n)",
    ):
        found = mc.derivative("tr(A*S)", "S", where, structured=True)
        found.__dict__["_derived"] = mc.derivative("tr(A*S)", "S", where)._derived
        assert not found.check().ok


def test_shared_walk() -> None:
    found = mc.derivative(
        "tr(A*S) + tr(B*V)", ["S", "V"], "S: symmetric(n); V: diagonal(n); A, B: matrix(n,n)", structured=True
    )
    assert str(found["S"]) == "A + A' - diag(diag(A))"
    assert str(found["V"]) == "diag(diag(B))"


def test_actions() -> None:
    where = "S: symmetric(n); A: matrix(n,n)"
    found = mc.derivative("tr(A*S)", "S", where, structured=True)
    assert str(found.vjp("2")) == "2*(A + A' - diag(diag(A)))"
    assert str(found.jvp("S")) == "tr(A*S)"
    assert found.compare("A + A' - diag(diag(A))")
    assert not found.compare("A'")


def test_blocks_are_refused() -> None:
    with pytest.raises(mc.MatcalcError, match="independent entries"):
        mc.hessian("tr(S*S*V)", ["S", "V"], "S: symmetric(n); V: diagonal(n)", structured=True)
    with pytest.raises(mc.MatcalcError, match="a structure among its blocks"):
        str(mc.derivative("norm(A*x)^2 + tr(S*A)", "[A; S]", "A: matrix(n,n); S: symmetric(n); x: vector(n)"))


def test_two_structures_at_once() -> None:
    session = mc.Session()
    session.run("Q: orthogonal(n); A: matrix(n,n); assume Q is symmetric")
    with pytest.raises(mc.MatcalcError, match="symmetric and orthogonal at once"):
        session.run("grad(tr(A*Q), Q, structured)")


# ---------------------------------------------------------------- the convention is told


def test_notes() -> None:
    session = mc.Session()
    answers = session.run("S: posdef(n); grad(logdet(S), S, structured); grad(logdet(S), S); x: vector(n); D(x'*x, x)")
    told = [answer.told() for answer in answers]
    assert told[1][0].startswith("# along the structure of S: by distinct entries")
    assert told[2] == ["# the entries of S vary independently; its structure is used in the result"]
    assert told[4] == []


def test_inside_expressions() -> None:
    session = mc.Session()
    answers = session.run(
        "S: posdef(n); A: matrix(n,n); tr(A*grad(logdet(S), S, structured)); D(det(S), S, structured)"
    )
    assert [str(a.value) for a in answers[2:]] == [
        "tr(A*(2*inv(S) - diag(diag(inv(S)))))",
        "det(S)*vec(2*inv(S) - diag(diag(inv(S))))'",
    ]
    with pytest.raises(mc.ShapeError):
        session.run("simplify(S, S, structured)")


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["diff", "logdet(S)", "S", "-w", "S: posdef(n)", "--structured"]) == 0
    printed = capsys.readouterr()
    assert printed.out == "2*S⁻¹ - diag(diag(S⁻¹))\n"
    assert printed.err.startswith("# along the structure of S")


# ---------------------------------------------------------------- types


@pytest.mark.parametrize(
    "kind",
    ["stiefel(n,p)", "fullrank(m,n)", "nonneg", "nonneg(n)", "positive(n)", "positive(m,n)", "psd(n)", "skew(n)"],
)
def test_types(kind: str) -> None:
    assert mc.derivative("tr(Z'*Z) + sum(Z)", "Z", f"Z: {kind}").check().ok
    assert mc.derivative("tr(Z'*Z) + sum(Z)", "Z", f"Z: {kind}", structured=True).check().ok


def test_types_are_used() -> None:
    assert str(mc.derivative("tr(inv(Z'*Z)*A)", "A", "Z: stiefel(n,p); A: matrix(p,p)")) == "eye(p)"
    assert mc.derivative("logdet(F'*F)", "F", "F: fullrank(m,n)").conditions == ()
    assert str(mc.derivative("sum(abs(w))", "v", "w, v: nonneg(n)")) == "zeros(n)"
    assert str(mc.parse("sum(abs(w))", "w: nonneg(n)").subs({})) == "sum(abs(w))"
    assert str(mc.derivative("log(t*s)", "s", "t: positive; s: positive")) == "1/s"
    assert str(mc.derivative("s^k", "s", "s: positive; k: integer")) == "k*s^(k - 1)"


def test_stiefel_families() -> None:
    where = "Z[i=1..N]: stiefel(n,p); A: matrix(n,n)"
    assert mc.derivative("sum(i=1..N, tr(Z[i]'*A*Z[i]))", "Z[j]", where, structured=True).check().ok


def test_directions() -> None:
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((4, 2)))[0]
    tangent = directions(q, "stiefel")
    assert len(tangent) == 4 * 2 - 3
    assert all(np.allclose(q.T @ w + w.T @ q, 0) for w in tangent)
    square = np.eye(3)
    counts = {"": 9, "symmetric": 6, "skew": 3, "diagonal": 3, "lower": 6, "upper": 6, "orthogonal": 3}
    assert {name: len(directions(square, name)) for name in counts} == counts


def test_the_riemannian_hessian_acts_on_tangent_directions() -> None:
    where = "Z: stiefel(n,p); A: matrix(n,n); B: matrix(p,p); V: matrix(n,p)"
    found = mc.hessian("tr(Z'*A*Z*B)", "Z", where, structured=True)
    assert "Riemannian" in found.notes[-1]
    tangent = mc.parse("V - 1/2*Z*(Z'*V + V'*Z)", where)
    acted = found.jvp(tangent)
    product = mc.parse("h*vec(t)", "h: matrix(n*p,n*p); t: matrix(n,p)")
    expected = product.subs({"h": found.expr, "t": tangent})
    env = sample([acted.term, expected.term], 5)
    assert np.allclose(evaluate(acted.term, env).ravel(order="F"), evaluate(expected.term, env).ravel())
