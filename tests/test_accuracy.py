"""Generated code on badly scaled data against references of 50 digits, held to the error of a stable form by hand."""

from __future__ import annotations

from importlib.util import find_spec

import mpmath
import numpy as np
import pytest
from scipy import linalg

import matcalc as mc

BACKENDS = ["numpy", "c", *(name for name in ("jax", "torch") if find_spec(name))]
RNG = np.random.default_rng(1)
EPS = np.finfo(float).eps

# logits between -1000 and 1000, among them the well classified, whose share of a gradient is e^-40
LOGITS = np.array([-1000.0, -700.0, -40.0, -1.0, 0.0, 1e-3, 3.0, 40.0, 700.0, 1000.0])
LARGE = np.array([40.0, 45.0, 60.0, 700.0])


def exact(values):
    return mpmath.matrix(np.atleast_2d(np.asarray(values, dtype=float)).tolist())


def column(values):
    return mpmath.matrix([mpmath.mpf(float(v)) for v in np.ravel(values)])


def softplus(z):
    return mpmath.log1p(mpmath.exp(z))


def sigmoid(z):
    return 1 / (1 + mpmath.exp(-z))


def logsumexp(z):
    return mpmath.log(mpmath.fsum(mpmath.exp(v) for v in z))


def stable_sigmoid(z):
    small = np.exp(-np.abs(z))
    return np.where(z >= 0, 1.0, small) / (1.0 + small)


def stable_logsumexp(z):
    return z.max() + np.log(np.sum(np.exp(z - z.max())))


def stable_softmax(z):
    powers = np.exp(z - z.max())
    return powers / powers.sum()


def error(found, reference):
    """The largest relative error, of arrays relative to the largest entry; in 50 digits."""
    entries = np.ravel(np.asarray(found, dtype=float))
    wanted = list(reference)
    assert np.all(np.isfinite(entries)) and len(entries) == len(wanted)
    scale = max(abs(v) for v in wanted)
    return float(max(abs(mpmath.mpf(float(e)) - w) for e, w in zip(entries, wanted, strict=True)) / scale)


def each(found, reference):
    """The largest relative error of a single entry; what is below the smallest double may be 0."""
    pairs = zip(np.ravel(np.asarray(found, dtype=float)), list(reference), strict=True)
    return max(float(abs(mpmath.mpf(float(e)) - w) / abs(w)) for e, w in pairs if abs(w) > 1e-300)


def spread(size, condition):
    """A positive definite matrix of that condition number."""
    q = np.linalg.qr(RNG.normal(size=(size, size)))[0]
    whole = q * np.logspace(0, -np.log10(condition), size) @ q.T
    return (whole + whole.T) / 2


S, Y = spread(8, 1e10), RNG.normal(size=8)
X = np.column_stack([LOGITS, RNG.normal(size=len(LOGITS))])
W = np.array([1.0, 1e-3])
SIGNS = np.array([1.0, -1.0] * 5)
T = np.eye(3)[RNG.integers(0, 3, 4)]
M = RNG.normal(size=(3, 2)) * 300
V = RNG.normal(size=(4, 2)) * 3


def margins():
    return [
        mpmath.mpf(s) * mpmath.fsum(mpmath.mpf(float(a)) * mpmath.mpf(float(b)) for a, b in zip(r, W, strict=True))
        for s, r in zip(SIGNS.tolist(), X, strict=True)
    ]


def logistic_gradient():
    weights = [-mpmath.mpf(s) * sigmoid(-z) for s, z in zip(SIGNS.tolist(), margins(), strict=True)]
    return [mpmath.fsum(w * mpmath.mpf(float(x)) for w, x in zip(weights, X[:, k], strict=True)) for k in range(2)]


def classes():
    """Value and gradient of the cross-entropy of softmax classes."""
    value, gradient = mpmath.mpf(0), mpmath.zeros(3, 2)
    for v, t in zip(V, T, strict=True):
        logits = exact(M) * column(v)
        total = logsumexp(logits)
        value += total - (column(t).T * logits)[0]
        gradient += mpmath.matrix([mpmath.exp(z - total) - h for z, h in zip(logits, t, strict=True)]) * column(v).T
    return [value, *gradient]


def classes_by_hand():
    value, gradient = 0.0, np.zeros((3, 2))
    for v, t in zip(V, T, strict=True):
        logits = M @ v
        value += stable_logsumexp(logits) - t @ logits
        gradient += np.outer(stable_softmax(logits) - t, v)
    return np.array([value, *gradient.ravel()])


def both(value, gradient):
    return np.concatenate([[value], np.ravel(gradient)])


def factors():
    return linalg.cho_factor(S, lower=True)


VECTOR = "x: vector(n)"
MATRIX = "S: posdef(n); y: vector(n)"

CASES = {
    # name: expression, variable (None: the value), where, data, the reference, the stable form by hand, the measure
    "softplus": ("softplus(x)", None, VECTOR, {"x": LOGITS}, lambda: map(softplus, LOGITS),
                 lambda: np.logaddexp(0, LOGITS), each),
    "softplus written out": ("log(1 .+ exp(x))", None, VECTOR, {"x": LOGITS}, lambda: map(softplus, LOGITS),
                             lambda: np.logaddexp(0, LOGITS), each),
    "its derivative": ("sum(log(1 .+ exp(x)))", "x", VECTOR, {"x": LOGITS}, lambda: map(sigmoid, LOGITS),
                       lambda: stable_sigmoid(LOGITS), each),
    "sigmoid": ("1 ./ (1 .+ exp(-x))", None, VECTOR, {"x": LOGITS}, lambda: map(sigmoid, LOGITS),
                lambda: stable_sigmoid(LOGITS), each),
    "derivative of sigmoid": ("sum(sigmoid(x))", "x", VECTOR, {"x": LOGITS},
                              lambda: (sigmoid(z) * sigmoid(-z) for z in map(mpmath.mpf, LOGITS.tolist())),
                              lambda: stable_sigmoid(LOGITS) * stable_sigmoid(-LOGITS), each),
    "one minus sigmoid": ("1 .- sigmoid(x)", None, VECTOR, {"x": LARGE},
                          lambda: (sigmoid(-z) for z in map(mpmath.mpf, LARGE.tolist())),
                          lambda: stable_sigmoid(-LARGE), each),
    "log of sigmoid": ("log(sigmoid(x))", None, VECTOR, {"x": LOGITS},
                       lambda: (-softplus(-z) for z in map(mpmath.mpf, LOGITS.tolist())),
                       lambda: -np.logaddexp(0, -LOGITS), each),
    "log of one minus sigmoid": ("log(1 .- sigmoid(x))", None, VECTOR, {"x": LOGITS},
                                 lambda: (-softplus(z) for z in map(mpmath.mpf, LOGITS.tolist())),
                                 lambda: -np.logaddexp(0, LOGITS), each),
    "logsumexp": ("logsumexp(x)", None, VECTOR, {"x": LOGITS}, lambda: [logsumexp(map(mpmath.mpf, LOGITS.tolist()))],
                  lambda: stable_logsumexp(LOGITS), error),
    "logsumexp written out": ("log(sum(exp(x)))", None, VECTOR, {"x": -LARGE - 700},
                              lambda: [logsumexp(map(mpmath.mpf, (-LARGE - 700).tolist()))],
                              lambda: stable_logsumexp(-LARGE - 700), error),
    "softmax written out": ("exp(x)/sum(exp(x))", None, VECTOR, {"x": LARGE},
                            lambda: [mpmath.exp(z - logsumexp(map(mpmath.mpf, LARGE.tolist()))) for z in LARGE],
                            lambda: stable_softmax(LARGE), each),
    "log of softmax": ("log(softmax(x))", None, VECTOR, {"x": LOGITS},
                       lambda: [mpmath.mpf(z) - logsumexp(map(mpmath.mpf, LOGITS.tolist())) for z in LOGITS],
                       lambda: LOGITS - stable_logsumexp(LOGITS), each),
    "logistic regression": ("sum(softplus(-y .* (X*w)))", "w", "X: matrix(N,n); y: vector(N); w: vector(n)",
                            {"X": X, "y": SIGNS, "w": W},
                            lambda: [mpmath.fsum(softplus(-z) for z in margins()), *logistic_gradient()],
                            lambda: both(np.sum(np.logaddexp(0, -SIGNS * (X @ W))),
                                         X.T @ (-SIGNS * stable_sigmoid(-SIGNS * (X @ W)))), error),
    "well classified samples": ("sum(i=1..N, log(1 + exp(-x[i]*w)))", "w", "x[i=1..N], w: scalar",
                                {"x": LARGE, "w": 1.0},
                                lambda: [mpmath.fsum(softplus(-z) for z in map(mpmath.mpf, LARGE.tolist())),
                                         mpmath.fsum(-z * sigmoid(-z) for z in map(mpmath.mpf, LARGE.tolist()))],
                                lambda: both(np.sum(np.log1p(np.exp(-LARGE))), -LARGE @ stable_sigmoid(-LARGE)), each),
    "cross-entropy": ("sum(i=1..N, logsumexp(W*x[i]) - t[i]'*W*x[i])", "W",
                      "W: matrix(k,n); x[i=1..N]: vector(n); t[i=1..N]: vector(k)", {"W": M, "x": V, "t": T},
                      classes, classes_by_hand, error),
    "logdet": ("logdet(S)", "S", "S: posdef(n)", {"S": S},
               lambda: [mpmath.log(mpmath.det(exact(S))), *mpmath.inverse(exact(S))],
               lambda: both(2 * np.sum(np.log(np.diag(factors()[0]))), linalg.cho_solve(factors(), np.eye(8))), error),
    "quadratic form of an inverse": ("y'*inv(S)*y", "y", MATRIX, {"S": S, "y": Y},
                                     lambda: [(column(Y).T * mpmath.lu_solve(exact(S), column(Y)))[0],
                                              *(2 * mpmath.lu_solve(exact(S), column(Y)))],
                                     lambda: both(Y @ linalg.cho_solve(factors(), Y),
                                                  2 * linalg.cho_solve(factors(), Y)), error),
    "by the matrix": ("y'*inv(S)*y", "S", MATRIX, {"S": S, "y": Y},
                      lambda: [(column(Y).T * mpmath.lu_solve(exact(S), column(Y)))[0],
                               *(-mpmath.lu_solve(exact(S), column(Y)) * mpmath.lu_solve(exact(S), column(Y)).T)],
                      lambda: both(Y @ linalg.cho_solve(factors(), Y),
                                   -np.outer(*2 * [linalg.cho_solve(factors(), Y)])), error),
    "determinant": ("logdet(B)", "B", "B: invertible(n)", {"B": S[::-1] * 1e3},
                    lambda: [mpmath.log(abs(mpmath.det(exact(S[::-1] * 1e3)))),
                             *mpmath.inverse(exact(S[::-1] * 1e3)).T],
                    lambda: both(np.linalg.slogdet(S[::-1] * 1e3)[1], np.linalg.inv(S[::-1] * 1e3).T), error),
}  # fmt: skip


@pytest.fixture(scope="module")
def references():
    with mpmath.workdps(50):
        return {name: list(case[4]()) for name, case in CASES.items()}


ELSEWHERE = list(CASES)[1::3]
"""The cases of the other backends, which take the same stable forms; the first that JAX compiles are enough there."""
PAIRS = [(b, name) for b in BACKENDS for name in (CASES if b == "numpy" else ELSEWHERE[: 3 if b == "jax" else None])]


@pytest.mark.parametrize("backend, name", PAIRS)
def test_as_accurate_as_a_stable_form_by_hand(name, backend, references):
    expression, wrt, where, data, _, by_hand, measure = CASES[name]
    if wrt is None:
        found = mc.parse(expression, where=where).function(backend)(**data)
    else:
        what = "gradient" if len(references[name]) == np.size(data[wrt]) else ("value", "gradient")
        result = mc.function(expression, wrt, what, where=where, backend=backend)(**data)
        found = result if isinstance(what, str) else both(float(result[0]), np.asarray(result[1]))
    with mpmath.workdps(50):
        ours, theirs = measure(found, references[name]), measure(by_hand(), references[name])
    assert ours <= 10 * max(theirs, EPS), f"{ours:.1e}, by hand {theirs:.1e}"


@pytest.mark.parametrize("largest", [3.0, 90.0, 1000.0])
def test_softplus_of_many_entries(largest):
    """Logarithms are taken of products of eight; where those overflow, of each entry."""
    z = largest * np.random.default_rng(0).uniform(-1, 1, size=5003)
    value = mc.function("sum(log(1 .+ exp(z)))", "z", "value", where="z: vector(n)")
    assert error(value(z=z), [mpmath.fsum(softplus(mpmath.mpf(v)) for v in z)]) < 20 * EPS


@pytest.mark.parametrize(("expr", "x", "expected"), [("t*w'*w + s", 2.0, 9.0), ("w'*w/(t*s)", 0.0, np.inf)])
def test_a_number_that_is_only_added_and_multiplied_is_a_python_float(expr, x, expected):
    f = mc.function(expr, "w", "value", where="w: vector(n); s, t: scalar")
    with np.errstate(all="ignore"):
        assert f(w=[1.0, 2.0], s=-1, t=x) in (expected, -expected)
    assert ("t = float(t)" in f.source) is (x != 0)


@pytest.mark.parametrize("text", ["a .* sigmoid(a .* x) + b - a", "3*b + 2*a - 2*a .* sigmoid(a .* x)"])
def test_a_multiple_of_a_complement_keeps_its_digits(text):
    a, x, zero = np.array([2.0, 1.0, -3.0]), np.array([20.0, 300.0, 1.0]), np.zeros(3)
    found = mc.parse(text, where="a, b, x: vector(n)").function()(a=a, b=zero, x=x)
    sign = 2 if text.startswith("3") else -1
    assert (
        each(found, [sign * mpmath.mpf(p) * sigmoid(-mpmath.mpf(p * q)) for p, q in zip(a, x, strict=True)]) < 20 * EPS
    )
