"""Each strategy alone: the value that it finds, written as a user would."""

from __future__ import annotations

import pytest

import matcalc as mc
from matcalc.calculus.system import system
from matcalc.solving.by_sympy import by_sympy
from matcalc.solving.equation import Equation
from matcalc.solving.recurrences import closed_forms
from matcalc.solving.riccati import quadratic
from matcalc.solving.scalar import powers
from matcalc.solving.spectral_problems import spectral_extremum
from matcalc.solving.strategies import Need, Strategy
from matcalc.solving.transposed import eliminate_transpose
from matcalc.terms import build
from matcalc.terms.term import Term
from matcalc.terms.walk import contains

Where = dict[str, str]
SQUARE = {"A, B, C": "matrix(n, n)", "X": "matrix(n, n)", "t": "scalar"}
SPD = {"A, B, X": "posdef(n)", "S": "symmetric(n)", "t": "positive"}
NUMBERS = {"a, b, c, x": "scalar", "r": "positive"}
VECTORS = {"p, c, d, x": "vector(n)", "t": "scalar"}


def read(text: str, where: Where) -> Equation:
    left, right = text.split(" = ")
    if right == "0":
        return (lambda term: Equation(term, build.zeros(*term.shape)))(mc.parse(left, where=where).term)
    return Equation(mc.parse(left, where=where).term, mc.parse(right, where=where).term)


def follow(strategies: tuple[Strategy, ...], equation: Equation, unknown: Term) -> tuple[Term, tuple[Need, ...]] | None:
    """The value to which the first moves of the strategies lead."""
    needs: tuple[Need, ...] = ()
    for _ in range(12):
        if equation.left is unknown and not contains(equation.right, unknown):
            return equation.right, needs
        move = next((m for s in strategies for m in s(system(), equation, unknown)), None)
        if move is None:
            return None
        equation, needs = move.after, (*needs, *move.needs)
    return None


@pytest.mark.parametrize(
    ("strategies", "equation", "unknown", "where", "expected"),
    [
        ((powers,), "b/x^2 - a = 0", "x", {"x": "positive", "a, b": "scalar"}, None),
        ((powers,), "a/(x + b) = c", "x", NUMBERS, "(a - b*c)/c"),
        ((powers,), "r*x^2 + 2*b*x = 1", "x", NUMBERS, "1/2*(sqrt(4*b^2 + 4*r) - 2*b)/r"),
        ((powers,), "c ./ x - p .* x .^ 0 = 0", "x", VECTORS, "c ./ p"),
        ((powers,), "c .* x + t*x = d", "x", VECTORS, "d ./ (c .+ t)"),
        ((quadratic,), "X*A*X = B", "X", SPD, "inv(sqrtm(A))*sqrtm(sqrtm(A)*B*sqrtm(A))*inv(sqrtm(A))"),
        ((quadratic,), "X^2 - X*S - t*eye(n) = 0", "X", SPD, "sqrtm(1/4*S*S + t*eye(n)) + 1/2*S"),
        ((quadratic,), "X*A*X - X*B = B*X", "X", SPD, None),
        ((quadratic,), "X^2 + A = 0", "X", SPD, None),
        ((quadratic,), "X^2 - 3*X + 2*eye(n) = 0", "X", SPD, None),
        ((powers,), "k*x^(-k - 1)*a - b/x = 0", "x", NUMBERS | {"k": "scalar"}, "(a*k/b)^(1/k)"),
        ((eliminate_transpose,), "X + t*X' = C", "X", SQUARE, "(C - t*C')/(1 - t^2)"),
        ((eliminate_transpose,), "A*X + X' = C", "X", SQUARE, None),
        ((by_sympy,), "exp(2*x) + exp(x) = r", "x", NUMBERS, "log(1/2*sqrt(4*r + 1) - 1/2)"),
        ((by_sympy,), "x + exp(x) = a", "x", NUMBERS, None),
        ((by_sympy,), "x^3 + a*x + b = 0", "x", NUMBERS, None),
    ],
)
def test_strategies(
    strategies: tuple[Strategy, ...], equation: str, unknown: str, where: Where, expected: str | None
) -> None:
    found = follow(strategies, read(equation, where), mc.parse(unknown, where=where).term)
    if expected is None:
        assert found is None
        return
    assert found is not None
    wanted = mc.parse(expected, where=where)
    assert bool(mc.equal(str(found[0]), str(wanted), where=where)), f"{found[0]} for {expected}"


FRAMES = {"A, B": "matrix(m, n)", "C, D": "matrix(n, n)", "S": "symmetric(n)", "P": "posdef(n)", "c, x": "vector(n)"}


@pytest.mark.parametrize(
    ("objective", "unknown", "declared", "constraint", "kind", "expected", "found"),
    [
        ("norm(A - B*Q)^2", "Q", "matrix(n, n)", "Q'*Q = eye(n)", None, "polar(B'*A)", "minimum"),
        ("norm(C - Q*D)^2", "Q", "orthogonal(n)", None, None, "polar(C*D')", "minimum"),
        ("tr(C'*Q)", "Q", "orthogonal(n)", None, None, "polar(C)", "maximum"),
        ("tr(C'*Q)", "Q", "orthogonal(n)", None, "minimum", "polar(-C)", "minimum"),
        ("tr(W'*S*W)", "W", "matrix(n, p)", "W'*W = eye(p)", None, "eigvecs(S, p)", "maximum"),
        ("norm(C - W*W'*C)^2", "W", "stiefel(n, p)", None, None, "eigvecs(C*C', p)", "minimum"),
        ("x'*S*x", "x", "vector(n)", "norm(x)^2 = 1", None, "eigvecmax(S)", "maximum"),
        ("x'*S*x/(x'*x)", "x", "vector(n)", None, "minimum", "eigvecmax(-S)", "minimum"),
        ("c'*x", "x", "vector(n)", "x'*P*x = 1", None, "sqrt(1/(c'*inv(P)*c))*inv(P)*c", "maximum"),
        ("norm(x - c)^2", "x", "vector(n)", "norm(x) = 1", None, "c/norm(c)", "minimum"),
        ("tr(C'*Q*D*Q')", "Q", "orthogonal(n)", None, None, None, None),
    ],
)
def test_spectral_extremum(
    objective: str,
    unknown: str,
    declared: str,
    constraint: str | None,
    kind: str | None,
    expected: str | None,
    found: str | None,
) -> None:
    where = FRAMES | {unknown: declared} if unknown != "x" else FRAMES
    given = [read(constraint, where)] if constraint else []
    terms = [mc.parse(t, where=where).term for t in (objective, unknown)]
    answer = spectral_extremum(system(), terms[0], terms[1], given, kind)
    if expected is None:
        assert answer is None
        return
    assert answer is not None
    assert answer.kind == found
    assert answer.value is mc.parse(expected, where=where).term


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("A*y[k]", "A^L*x"),
        ("A*y[k] + c", "A^L*x + sum(i=0..L-1, A^i)*c"),
        ("y[k] - s*(A*y[k] - c)", "s*sum(i=0..L-1, (eye(n) - s*A)^i)*c + (eye(n) - s*A)^L*x"),
        ("B[k]*y[k]", "y[L]"),
        ("tanh(A*y[k])", "y[L]"),
    ],
)
def test_closed_forms(step: str, expected: str) -> None:
    where = {"A": "matrix(n, n)", "B[k=0..L-1]": "matrix(n, n)", "x, c": "vector(n)", "s": "scalar"}
    states = {"y[0]": "x", "y[k+1]": step}
    wanted = mc.parse(expected, where=where, let=states)
    assert closed_forms(system(), mc.parse("y[L]", where=where, let=states).term) is wanted.term
