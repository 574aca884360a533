"""What people are told: every message with its line, column, caret, shapes and sub-expressions."""

from __future__ import annotations

import pytest

from matcalc.errors import MatcalcError, ParseError, ShapeError, UnknownName
from matcalc.language.elaborate import parse_expression
from matcalc.language.scope import Scope

WHERE = "A: matrix(m,n); B: matrix(n,m); C: matrix(n,n); x: vector(p); y: vector(n); s: scalar; W[k=1..L]: matrix(n,n)"

EXPRESSIONS: dict[str, tuple[type[MatcalcError], str]] = {
    "A*x": (ShapeError, "line 1, column 1: A*x: A is m×n but x is p×1\n  A*x\n  ^^^"),
    "s + s*(C*x)": (ShapeError, "line 1, column 8: C*x: C is n×n but x is p×1\n  s + s*(C*x)\n         ^^^"),
    "C*y -\\\n A*y": (
        ParseError,
        "line 1, column 6: the character '\\\\' has no meaning here\n  C*y -\\\n       ^",
    ),
    "(y +\n A*y)": (ShapeError, "line 1, column 2: y + A*y: y is n×1 but A*y is m×1\n  (y +\n   ^^^"),
    "(y*s\n + C*A)": (
        ShapeError,
        "line 2, column 4: C*A: C is n×n but A is m×n\n   + C*A)\n     ^^^\n"
        "the right factor transposed would fit: write ' after it",
    ),
    "A*B + C": (ShapeError, "line 1, column 1: A*B + C: A*B is m×m but C is n×n\n  A*B + C\n  ^^^^^^^"),
    "C + s": (
        ShapeError,
        "line 1, column 1: C + s: C is n×n but s is 1×1 (a scalar)\n  C + s\n  ^^^^^\n"
        "to add a scalar to every entry write .+ or .-; a multiple of the identity is s*eye(n)",
    ),
    "A + B": (
        ShapeError,
        "line 1, column 1: A + B: A is m×n but B is n×m\n  A + B\n  ^^^^^\n"
        "one of them transposed would fit: write ' after it",
    ),
    "A .* B": (
        ShapeError,
        "line 1, column 1: A .* B: A is m×n but B is n×m\n  A .* B\n  ^^^^^^\nthe matrix product is *",
    ),
    "C*y*y": (
        ShapeError,
        "line 1, column 1: C*y*y: C*y is n×1 but y is n×1\n  C*y*y\n  ^^^^^\nthe product entry by entry is .* (or ⊙)",
    ),
    "y/C": (
        ShapeError,
        "line 1, column 3: only a scalar divides, but C is n×n\n  y/C\n    ^\n"
        "divide entry by entry with ./, or multiply by inv(...)",
    ),
    "1 + tr(C*B)*s": (
        ShapeError,
        "line 1, column 8: the trace needs a square matrix, but C*B is n×m\n  1 + tr(C*B)*s\n         ^^^",
    ),
    "A^2": (ShapeError, "line 1, column 1: a power of a matrix needs a square matrix, but A is m×n\n  A^2\n  ^"),
    "s^C": (
        ShapeError,
        "line 1, column 3: an exponent is a scalar, but C is n×n\n  s^C\n    ^\nentry by entry write .^",
    ),
    "[A; x]": (
        ShapeError,
        "line 1, column 2: blocks below one another need equal columns: A is m×n but x is p×1\n  [A; x]\n   ^^^^",
    ),
    "unvec(y, m, n)": (
        ShapeError,
        "line 1, column 7: unvec needs a vector of length m*n, but y is n×1\n  unvec(y, m, n)\n        ^",
    ),
    "W[0]": (ShapeError, "line 1, column 1: there is no W[0]: the family starts at 1\n  W[0]\n  ^^^^"),
    "A[1]": (
        ShapeError,
        "line 1, column 1: A is m×n: an entry needs two indices\n  A[1]\n  ^^^^\nwrite A[i,j]",
    ),
    "eye(y)": (
        ShapeError,
        "line 1, column 5: y is a variable, but an integer is needed here\n  eye(y)\n      ^",
    ),
    "eye(y[1])": (
        ShapeError,
        "line 1, column 5: y is a variable, but an integer is needed here\n  eye(y[1])\n      ^",
    ),
    "det(A, B)": (ShapeError, "line 1, column 1: det takes 1 argument, not 2\n  det(A, B)\n  ^^^^^^^^^"),
    "lgdet(C)": (
        UnknownName,
        "line 1, column 1: the function lgdet is not known\n  lgdet(C)\n  ^^^^^\n"
        "did you mean logdet?\nan unknown function is declared: lgdet: function",
    ),
    "phi(y)": (
        UnknownName,
        "line 1, column 1: the function phi is not known\n  phi(y)\n  ^^^\n"
        "an unknown function is declared: phi: function",
    ),
    "s*y(s)": (
        ParseError,
        "line 1, column 3: y is not a function\n  s*y(s)\n    ^\na product is written with *: y*(...)",
    ),
    "expand(C)": (MatcalcError, "line 1, column 1: the operation expand is not available yet\n  expand(C)\n  ^^^^^^"),
    "prod(j=a..b, W[j])": (
        ParseError,
        "line 1, column 6: it is not known whether j=a..b goes up or down\n  prod(j=a..b, W[j])\n       ^^^^^^\n"
        "write j=a..b by 1 or j=a..b by -1",
    ),
    "2y": (
        ParseError,
        "line 1, column 1: '2y' is not a number\n  2y\n  ^^\n"
        "a product is written with *: 2*x; a name starts with a letter",
    ),
    "(A*y": (ParseError, "line 1, column 5: the expression is not finished: '(' is not closed\n  (A*y\n      ^"),
    "s/(1 - 1)": (MatcalcError, "line 1, column 1: division by zero\n  s/(1 - 1)\n  ^^^^^^^^^"),
}  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_expressions(text: str) -> None:
    scope = Scope()
    scope.declare_all(WHERE)
    kind, message = EXPRESSIONS[text]
    with pytest.raises(MatcalcError) as caught:
        parse_expression(text, scope)
    assert str(caught.value) == message
    assert type(caught.value) is kind


@pytest.mark.parametrize(
    ("names", "type_", "message"),
    [
        ("x", "vektor(n)", "the type vektor is not known"),
        ("x", "vector(m,n)", "vector takes 0 or 1 sizes, not 2"),
        ("A", "matrix(n)", "matrix takes 0 or 2 sizes, not 1"),
        ("x[i]", "vector(n)", "a family is declared with its range"),
        ("x", "vector(0)", "a size is at least 1, not 0"),
        ("x", "vector(exp(n))", "a size or an index is an integer"),
        ("f(x)", "scalar", "a name is expected here"),
        ("phi", "function(n)", "function takes no sizes"),
    ],
)
def test_declarations(names: str, type_: str, message: str) -> None:
    with pytest.raises(MatcalcError, match=message) as caught:
        Scope().declare(names, type_)
    assert caught.value.column is not None


@pytest.mark.parametrize(
    ("name", "expression", "message"),
    [
        ("f(1)", "x", "a name is expected here"),
        ("f(x, x)", "x", "different names as parameters"),
        ("f", "A*x +", "not finished"),
    ],
)
def test_definitions(name: str, expression: str, message: str) -> None:
    with pytest.raises(MatcalcError, match=message) as caught:
        Scope().define_all({name: expression})
    assert caught.value.column is not None


def test_error_inside_a_function_shows_its_text() -> None:
    scope = Scope()
    scope.declare_all("A: matrix(m,n); x: vector(n)")
    scope.define_all({"p(v)": "A*v + v"})
    with pytest.raises(ShapeError) as caught:
        parse_expression("1 + p(x)", scope)
    assert str(caught.value) == "line 1, column 8: A*v + v: A*v is m×1 but v is n×1\n  p(v) = A*v + v\n         ^^^^^^^"


def test_undeclared_names_report_the_attempt_that_came_furthest() -> None:
    with pytest.raises(ShapeError, match="is ") as caught:
        parse_expression("x'*A*x + tr(A*[A, A])")
    assert "the trace needs a square matrix" in str(caught.value) or "A*[A, A]" in str(caught.value)


def test_long_sources_are_cut() -> None:
    scope = Scope()
    scope.declare_all("x: vector(n); y: vector(m)")
    with pytest.raises(ShapeError) as caught:
        parse_expression(" + ".join(["x"] * 100) + " + y", scope)
    assert "…" in caught.value.message
    assert len(caught.value.message) < 200
