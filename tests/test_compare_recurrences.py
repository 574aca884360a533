"""Someone's own answers held against derivatives through recurrences: the textbook's forms, written by hand."""

from __future__ import annotations

import pytest

import matcalc as mc

NET = {
    "where": {
        "phi": "function",
        "x, t": "vector(n)",
        "W[k=0..L-1]": "matrix(n,n)",
        "b[k=0..L-1]": "vector(n)",
    },
    "let": {"y[0]": "x", "y[k+1]": "phi(W[k]*y[k] + b[k])"},
}
REGULATOR = {
    "where": {
        "A": "matrix(n,n)",
        "B": "matrix(n,p)",
        "Q, P": "symmetric(n)",
        "R": "symmetric(p)",
        "x": "vector(n)",
        "u[k=0..T-1]": "vector(p)",
    },
    "let": {"z[0]": "x", "z[k+1]": "A*z[k] + B*u[k]"},
}
COST = "1/2*z[T]'*P*z[T] + 1/2*sum(k=0..T-1, z[k]'*Q*z[k] + u[k]'*R*u[k])"
DESCENT = {
    "where": {"Q": "posdef(n)", "b, x, t": "vector(n)", "s": "scalar"},
    "let": {"z[0]": "x", "z[k+1]": "z[k] - s*(Q*z[k] - b)"},
}
LOSS = "1/2*norm(y[L] - t)^2"
ERRORS = (
    "where g[L-1] = (y[L] - t) .* phi'(W[L-1]*y[L-1] + b[L-1]); g[k-1] = phi'(W[k-1]*y[k-1] + b[k-1]) .* (W[k]'*g[k])"
)
PLAIN = "where g[L] = y[L] - t; g[k-1] = W[k-1]'*(phi'(W[k-1]*y[k-1] + b[k-1]) .* g[k])"
COSTATES = "where g[T] = P*z[T]; g[k] = Q*z[k] + A'*g[k+1]"

CASES = {
    "errors of back-propagation": (NET, LOSS, "W[i]", f"g[i]*y[i]' {ERRORS}", "equal"),
    "carried without the slope": (
        NET,
        LOSS,
        "W[i]",
        f"(phi'(W[i]*y[i] + b[i]) .* g[i+1])*y[i]' {PLAIN}",
        "equal",
    ),
    "the other layout": (NET, LOSS, "W[i]", f"y[i]*g[i]' {ERRORS}", "transposed"),
    "a row": (NET, LOSS, "b[i]", f"g[i]' {ERRORS}", "transposed"),
    "the half forgotten": (NET, LOSS, "W[i]", f"2*g[i]*y[i]' {ERRORS}", "factor"),
    "the input of the next layer": (NET, LOSS, "W[i]", f"g[i]*y[i+1]' {ERRORS}", "different"),
    "a slope forgotten": (
        NET,
        LOSS,
        "W[i]",
        "g[i]*y[i]' where g[L-1] = y[L] - t; g[k-1] = phi'(W[k-1]*y[k-1] + b[k-1]) .* (W[k]'*g[k])",
        "different",
    ),
    "costates": (REGULATOR, COST, "u[i]", f"R*u[i] + B'*g[i+1] {COSTATES}", "equal"),
    "costates, the wrong one": (REGULATOR, COST, "u[i]", f"R*u[i] + B'*g[i] {COSTATES}", "different"),
    "the start of gradient descent": (DESCENT, "1/2*norm(z[L] - t)^2", "x", "(eye(n) - s*Q)^L*(z[L] - t)", "equal"),
    "its sign": (DESCENT, "1/2*norm(z[L] - t)^2", "x", "-(eye(n) - s*Q)^L*(z[L] - t)", "factor"),
}


@pytest.mark.parametrize("case", CASES)
def test_compare(case: str) -> None:
    problem, function, wrt, answer, verdict = CASES[case]
    d = mc.derivative(function, wrt, where=problem["where"], let=problem["let"])
    found = d.compare(answer)
    assert found.verdict == verdict, str(found)
    if verdict == "different":
        assert found.counterexample
    if verdict == "factor":
        assert found.factor == pytest.approx(-1 if "sign" in case else 2)


def test_along_the_structure() -> None:
    where = {"S": "symmetric(n)", "x, c": "vector(n)"}
    d = mc.derivative("c'*y[L]", "S", where=where, let={"y[0]": "x", "y[k+1]": "tanh(S*y[k])"})
    errors = "where g[L-1] = c .* (1 .- y[L].^2); g[k-1] = (S*g[k]) .* (1 .- y[k].^2)"
    assert d.compare(f"sum(k=0..L-1, g[k]*y[k]') {errors}").verdict == "equal"
    symmetric = f"1/2*sum(k=0..L-1, g[k]*y[k]' + y[k]*g[k]') {errors}"
    assert d.compare(symmetric).verdict == "structure"
