"""Shapes of names that are not declared, and the unification underneath."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest

import matcalc as mc
from matcalc.errors import MatcalcError, ShapeError, UnknownName
from matcalc.language import elaborate
from matcalc.language.elaborate import parse_expression
from matcalc.language.scope import Scope
from matcalc.language.shapes import MisfitError, Sizes
from matcalc.terms.dims import ONE, Dim, dim


@pytest.mark.parametrize(
    ("text", "assumed"),
    [
        ("A*x", "A: matrix(m, n), x: vector(n)"),
        ("norm(A*x - b)^2", "A: matrix(m, n), x: vector(n), b: vector(m)"),
        ("x'*A*x", "x: vector(n), A: matrix(n, n)"),
        ("x'*A*x + c", "x: vector(n), A: matrix(n, n), c: scalar"),
        ("w'*x + b", "w: vector(n), x: vector(n), b: scalar"),
        ("b + w^T*x", "b: scalar, w: vector(n), x: vector(n)"),
        ("(y - w'*x - b)^2", "y: scalar, w: vector(n), x: vector(n), b: scalar"),
        ("sum(i=1..N, (x[i] - mu)^2)", "x: vector(N), mu: scalar"),
        ("sum(i=1..n-1, (x[i+1] - x[i])^2)", "x: vector(n)"),
        ("sum(i=1..m, sum(j=i..m, A[i,j]*x[j]))", "A: matrix(m, m), x: vector(m)"),
        ("sum(k=0..K, a[k+1]*t^k)", "a: vector(K + 1), t: scalar"),
        ("sum(i=1..n, x[i]) + sum(i=1..m, x[i])", "x: vector(p)"),
        ("x + 1", "x: scalar"),
        ("x^2", "x: scalar"),
        ("x.^2", "x: vector(n)"),
        ("alpha*x", "alpha: scalar, x: vector(n)"),
        ("Sigma*x", "Sigma: matrix(m, n), x: vector(n)"),
        ("lambda_1*x", "lambda_1: scalar, x: vector(n)"),
        ("exp(-1/2*(x-mu)'*inv(Sigma)*(x-mu))", "x: vector(n), mu: vector(n), Sigma: matrix(n, n)"),
        ("t*x + y", "t: scalar, x: vector(n), y: vector(n)"),
        ("A + x*y'", "A: matrix(m, n), x: vector(m), y: vector(n)"),
        ("kron(A, B)*x", "A: matrix(m, n), B: matrix(p, q), x: vector(n*q)"),
        ("[A, 0; 0, B]*x", "A: matrix(m, n), B: matrix(p, q), x: vector(n + q)"),
        ("log(det(A))/A", "A: scalar"),
        ("sum(log(exp(-y.*(X*w)) + vector(1)))", "y: vector(n), X: matrix(n, m), w: vector(m)"),
        ("A^k", "A: matrix(n, n)"),
        ("sum(i=1..N, x)/N", "x: vector(n)"),
        ("x/N + sum(i=1..N, x)", "x: vector(n)"),
        ("-N/2*logdet(A)", "N: scalar, A: matrix(n, n)"),
        ("M*N", "M: matrix(m, n), N: matrix(n, p)"),
        ("sum(i=1..m, sum(j=1..n, A[i,j]*x[i]))", "A: matrix(m, n), x: vector(m)"),
        ("diag(x)*A", "x: vector(n), A: matrix(n, m)"),
        ("eye(n) - 2*v*v'", "v: vector(n)"),
        ("1 .+ x", "x: vector(n)"),
    ],
)
def test_what_is_assumed(text: str, assumed: str) -> None:
    found = parse_expression(text).assumed
    assert ", ".join(f"{name}: {kind}" for name, kind in found.items()) == assumed


def test_names_keep_their_meaning_in_a_scope() -> None:
    scope = Scope()
    first = parse_expression("A*x", scope).term
    second = parse_expression("x'*A'", scope)
    assert not second.assumed
    assert second.term.args[1].args[0] is first.args[0]
    assert parse_expression("n*x", scope).term.op.name == "scale", "the size n is a number now"


def test_declared_without_sizes() -> None:
    scope = Scope()
    scope.declare_all("A: matrix; S: symmetric; x: vector; Q: stiefel; b: vector(p)")
    found = parse_expression("A*S*x - b", scope).assumed
    assert found == {"A": "matrix(p, n)", "S": "symmetric(n)", "x": "vector(n)"}
    assert parse_expression("tr(S)", scope).term.args[0].attr.facts == {"symmetric"}
    with pytest.raises(ShapeError):
        parse_expression("Q + 1", scope)


def test_fresh_sizes_avoid_names_in_use() -> None:
    scope = Scope()
    scope.declare("B", "matrix(m,n)")
    assert parse_expression("p*A", scope).assumed == {"p": "scalar", "A": "matrix(q, r)"}


def test_vector_of_size_one_is_a_scalar() -> None:
    scope = Scope()
    scope.declare("x", "vector(1)")
    assert parse_expression("x*x + 1", scope).term.is_scalar


def test_declared_shapes_are_never_changed() -> None:
    scope = Scope()
    scope.declare_all("x: vector(n); A: matrix(m,n)")
    with pytest.raises(ShapeError):
        parse_expression("x + 1", scope)
    assert parse_expression("A*x + b", scope).assumed == {"b": "vector(m)"}


@pytest.mark.parametrize("text", ["x*y*z*A*B + 1 + tr(x)*det(y) + A", " + ".join(f"t{i}*x{i}" for i in range(25))])
def test_the_search_is_bounded(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(elaborate, "MAX_WORK", elaborate.MAX_WORK // 8)
    begin = time.process_time()
    with suppress(MatcalcError):
        parse_expression(text)
    assert time.process_time() - begin < 3


def test_ambiguous_sizes_are_an_error() -> None:
    with pytest.raises(ShapeError, match="kron"):
        parse_expression("kron(A, B)*x - y + kron(C, E)*x")
    with pytest.raises(ShapeError, match="cannot be seen from this: declare x and y"):
        mc.parse("kron(x, y) + a", {"a": "vector(n*p)"})


def test_indices_and_sizes_are_integers() -> None:
    scope = Scope()
    parse_expression("A^k*x[j] + eye(p)", scope)
    assert {"k", "j", "p"} <= scope.integers
    with pytest.raises(ShapeError, match="integer"):
        parse_expression("eye(A)", scope)
    with pytest.raises(UnknownName):
        parse_expression("foo(A)", scope)


# ------------------------------------------------------------------ unification


def test_linear_equations_are_solved() -> None:
    sizes = Sizes()
    a, b = sizes.fresh(), sizes.fresh()
    sizes.equate(a * dim("n"), dim("m") * "n")
    assert sizes.resolve(a) is dim("m")
    sizes.equate(b + a, dim("p") + "m")
    assert sizes.resolve(b) is dim("p")


def test_roots_and_waiting_equations() -> None:
    sizes = Sizes()
    a, b, c = sizes.fresh(), sizes.fresh(), sizes.fresh()
    sizes.equate(a * a, dim("n") ** 2)
    assert sizes.resolve(a) is dim("n")
    sizes.equate(b * c, dim("m") * "n")
    assert sizes.waiting
    sizes.equate(b, dim("m"))
    assert sizes.resolve(c) is dim("n")
    assert not sizes.waiting


@pytest.mark.parametrize("value", [dim(0), dim(-3), dim(1) / 2])
def test_sizes_are_positive_integers(value: Dim) -> None:
    sizes = Sizes()
    with pytest.raises(MisfitError):
        sizes.equate(sizes.fresh(), value)


def test_wide_and_frozen_sizes() -> None:
    sizes = Sizes()
    wide = sizes.fresh(wide=True)
    with pytest.raises(MisfitError):
        sizes.equate(wide, ONE)
    other = sizes.fresh()
    sizes.freeze()
    with pytest.raises(MisfitError) as caught:
        sizes.equate(wide, other)
    assert caught.value.frozen
    later = sizes.fresh()
    sizes.equate(wide, later)
    assert sizes.resolve(later) is wide
