"""Wrong rows put into rule files on purpose: each is caught, and the test says by which check.

``loader``: refused while reading.  ``values``: both sides differ on random inputs.  ``guards``: a
guard is not needed.  ``shadowing``: never fires.  ``termination``: rewriting does not end.
"""

from __future__ import annotations

import pytest

from matcalc.errors import MatcalcError
from matcalc.rewriting.loader import load_text
from matcalc.rewriting.verify import check_file

LET = """\
let A, B, C, X, G: matrix
let s, t: scalar
let a, b: integer
let e[i], f[i]: scalar
let E[i]: matrix
let phi: function
"""


def caught_by(ruleset: str, rows: str) -> str:
    """The check that refuses the rows, or an empty string when they pass."""
    try:
        loaded = load_text(f"ruleset {ruleset}\n{LET}{rows}")
    except MatcalcError:
        return "loader"
    wrong = check_file(loaded)
    return wrong[0].check if wrong else ""


WRONG = {
    # the sign, the order and the factors of a differential
    "sign": ("differential", "[x] d(A^-1) -> A^-1*dA*A^-1", "values"),
    "order": ("differential", "[x] d(A*B) -> dA*B + dB*A for A, B: matrix(n, n)", "values"),
    "order, shapes not square": ("differential", "[x] d(A*B) -> dA*B + dB*A", "loader"),
    "det factor": ("differential", "[x] d(det(A)) -> tr(A^-1*dA) assuming A is invertible", "values"),
    "term of a product": ("differential", "[x] d(s*A) -> s*dA", "values"),
    "derivative of a function": ("elementwise", "[x] d(tanh(A)) -> (1 .+ tanh(A).^2) .* dA", "values"),
    "order of a derivative": ("differential", "[x] d(phi(A)) -> phi(A) .* dA", "values"),
    "norm not divided": ("differential", "[x] d(norm(A)) -> inner(A, dA) assuming norm(A) is nonzero", "values"),
    "power of a matrix as of a number": ("differential", "[x] d(A^k) -> k*(A^(k-1)*dA) for k: integer", "values"),
    "one power too many": (
        "differential",
        "[x] d(A^k) -> sum(r=0..k, A^r*dA*A^(k-1-r)) for k: integer assuming k is nonneg",
        "values",
    ),
    "negative powers": ("differential", "[x] d(A^k) -> sum(r=0..k-1, A^r*dA*A^(k-1-r)) for k: integer", "values"),
    # products, transposes, inverses
    "commuting a product": ("simplify", "[x] A*B -> B*A for A, B: matrix(n, n)", "values"),
    "transpose of a product": ("simplify", "[x] (A*B)' -> A'*B' for A, B: matrix(n, n)", "values"),
    "transpose of a product, any shape": ("simplify", "[x] (A*B)' -> A'*B'", "loader"),
    "inverse of a product": ("simplify", "[x] (A*B)^-1 -> A^-1*B^-1 for A, B: square", "values"),
    "inverse of factors that are not square": ("simplify", "[x] (A*B)^-1 -> B^-1*A^-1", "loader"),
    "inverse of a sum": ("simplify", "[x] (A + B)^-1 -> A^-1 + B^-1", "values"),
    "Kronecker factors that are not square": ("simplify", "[x] tr(A ⊗ B) -> tr(A)*tr(B)", "loader"),
    "symmetry not asked for": ("simplify", "[x] A' -> A for A: square", "values"),
    "orthonormal columns are not orthonormal rows": (
        "simplify",
        "[x] A*A' -> eye(m) for A: matrix(m, n) if A is stiefel",
        "values",
    ),
    # determinants and scalars
    "power of a scalar": ("simplify", "[x] det(s*A) -> s*det(A)", "values"),
    "power of the other size": (
        "simplify",
        "[x] det(A ⊗ B) -> det(A)^m*det(B)^n for A: matrix(m, m) and B: matrix(n, n)",
        "values",
    ),
    "log of a negative factor": ("simplify", "[x] log(s*t) -> log(s) + log(t)", "values"),
    "root of a square": ("simplify", "[x] (s^2)^(1/2) -> s", "values"),
    "transposes entry by entry": ("simplify", "[x] A .* B -> A .* B' for A, B: matrix(n, n)", "values"),
    # indices
    "range one too short": ("simplify", "[x] sum(i=a..b, A) -> (b - a)*A", "values"),
    "empty range": ("simplify", "[x] sum(i=a..b, e[i]) -> e[a] + sum(i=a+1..b, e[i])", "termination"),
    "other range": ("simplify", "[x] sum(i=a..b, s*e[i]) -> s*sum(i=1..b, e[i])", "values"),
    "index out of its sum": ("simplify", "[x] sum(i=a..b, e[i]*f[i]) -> sum(i=a..b, e[i])*f[i]", "loader"),
    "body taken for a constant": (
        "simplify",
        "[x] sum(i=a..b, e[i]*f[i]) -> sum(i=a..b, e[i])*sum(i=a..b, f[i])",
        "values",
    ),
    "product over an index, factors exchanged": (
        "simplify",
        "[x] prod(i=a..b, E[i])' -> prod(i=a..b, E[i]')",
        "values",
    ),
    # linear primitives
    "adjoint without its transpose": (
        "adjoint",
        "[x] inner(A*X, G) -> inner(X, A*G) for A, X, G: matrix(n, n)",
        "values",
    ),
    "adjoint without its transpose, any shape": ("adjoint", "[x] inner(A*X, G) -> inner(X, A*G)", "loader"),
    "adjoint of a trace": (
        "adjoint",
        "[x] inner(tr(X), G) -> inner(X, G*ones(n, n)) for X: matrix(n, n) and G: scalar",
        "values",
    ),
    "Kronecker factors exchanged": ("vec", "[x] vec(A*X*B) -> (A ⊗ B')*vec(X) for A, B, X: matrix(n, n)", "values"),
    "Kronecker factors exchanged, any shape": ("vec", "[x] vec(A*X*B) -> (A ⊗ B')*vec(X)", "values"),
    "commutation left out": ("vec", "[x] vec(X') -> vec(X) for X: matrix(n, n)", "values"),
    "commutation the wrong way": ("vec", "[x] vec(X') -> commutation(n, m)*vec(X) for X: matrix(m, n)", "values"),
    # names
    "unbound variable": ("simplify", "[x] tr(A') -> tr(A)*s", "loader"),
    "unbound size": ("simplify", "[x] sum(i=a..b, A) -> c*A for c: integer", "loader"),
    "unknown fact": ("simplify", "[x] A' -> A if A is symmetrical", "loader"),
    # guards
    "superfluous guard": ("simplify", "[x] tr(A') -> tr(A) if A is symmetric", "guards"),
    "superfluous second guard": (
        "simplify",
        "[x] log(s*t) -> log(s) + log(t) if s is positive and t is positive",
        "guards",
    ),
    "superfluous guard of a fact": ("facts", "[x] A'*A is psd if A is fullrank", "guards"),
    "superfluous comparison": ("simplify", "[x] (A')^k -> (A^k)' for A: square and k: integer if k >= 2", "guards"),
    # facts
    "product of symmetric matrices": (
        "facts",
        "[x] A*B is symmetric for A, B: square if A is symmetric and B is symmetric",
        "values",
    ),
    "definite where only semidefinite": ("facts", "[x] A'*A is posdef", "values"),
    "sign of a factor forgotten": ("facts", "[x] s*A is psd if A is psd", "values"),
    "sum of invertible matrices": ("facts", "[x] A + B is invertible if A is invertible and B is invertible", "values"),
    "norm of zero": ("facts", "[x] A .* B is positive if A is positive", "values"),
    "implication the wrong way": ("facts", "every psd is posdef", "values"),
    "implication of another kind": ("facts", "every nonneg is positive", "values"),
    # order of rows
    "never fires": ("simplify", "[w] tr(A') -> tr(A)\n[x] tr((A*B)') -> tr(A*B)", "shadowing"),
    "part rewritten first": ("simplify", "[w] (A^-1)^-1 -> A\n[x] det((A^-1)^-1) -> det(A)", "shadowing"),
    "goes round": ("simplify", "[x] tr(A*B) -> tr(B*A)", "termination"),
    "there and back": (
        "simplify",
        "[w] (A + B)*C -> A*C + B*C\n[x] A*C + B*C -> (A + B)*C",
        "termination",
    ),
    "grows": ("simplify", "[x] tr(A) -> tr(A*eye(n)') + tr(A - A') for A: matrix(n, n)", "termination"),
}


@pytest.mark.parametrize(("ruleset", "rows", "check"), WRONG.values(), ids=WRONG)
def test_caught(ruleset, rows, check):
    assert caught_by(ruleset, rows) == check


RIGHT = {
    "differential": ("differential", "[x] d(A*B) -> dA*B + A*dB"),
    "conditional differential": ("differential", "[x] d(logdet(A)) -> tr(A^-1*dA) assuming A is invertible"),
    "guarded": ("simplify", "[x] A^-1 -> A' if A is orthogonal"),
    "distribution": ("simplify", "[x] A*(B + C) -> A*B + A*C"),
    "function": ("simplify", "[x] phi(A')' -> phi(A)"),
    "index": ("simplify", "[x] sum(i=a..b, e[i] + f[i]) -> sum(i=a..b, e[i]) + sum(i=a..b, f[i])"),
    "ordered": ("simplify", "[x] tr(A*B) -> tr(B*A) ordered"),
    "adjoint": ("adjoint", "[x] inner(A*X*B, G) -> inner(X, A'*G*B')"),
    "vec": ("vec", "[x] vec(A*X*B) -> (B' ⊗ A)*vec(X)"),
    "fact": ("facts", "[x] A'*B*A is symmetric if B is symmetric"),
    "implication": ("facts", "every posdef is symmetric and invertible"),
    "specific before general": ("simplify", "[w] tr((A*B)') -> tr(A*B)\n[x] tr(A') -> tr(A)"),
}


@pytest.mark.parametrize(("ruleset", "rows"), RIGHT.values(), ids=RIGHT)
def test_passes(ruleset, rows):
    assert caught_by(ruleset, rows) == ""
