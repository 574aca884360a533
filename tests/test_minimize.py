"""``mc.minimize``: where there is a closed form both ways agree, elsewhere the gradient vanishes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import matcalc as mc
from matcalc.iterating.objective import Objective
from matcalc.iterating.result import Optimum

RNG = np.random.default_rng(7)
A, B = RNG.normal(size=(20, 5)), RNG.normal(size=20)


def agree(found: Any, expected: Any) -> bool:
    return bool(np.max(np.abs(np.asarray(found) - expected)) < 1e-6)


def solved(result: Optimum) -> Any:
    assert result.converged, str(result)
    return result.solution


# ---------------------------------------------------------------- closed forms


SPREAD = RNG.normal(size=(4, 4))
CLOSED: list[tuple[str, str | list[str], str, list[str], dict[str, Any]]] = [
    ("norm(A*x - b)^2", "x", "A: fullrank(m,n); x: vector(n); b: vector(m)", [], {"A": A, "b": B}),
    ("norm(A*x - b)^2 + t*norm(x)^2", "x", "A: matrix(m,n); x: vector(n); b: vector(m); t: positive", [],
     {"A": A, "b": B, "t": 0.3}),
    ("(A*x - b)'*W*(A*x - b)", "x", "A: fullrank(m,n); x: vector(n); b: vector(m); W: posdef(m)", [],
     {"A": A, "b": B, "W": np.eye(20) + np.outer(B, B)}),
    ("norm(A*X - Y)^2", "X", "A: fullrank(m,n); X: matrix(n,p); Y: matrix(m,p)", [], {"A": A, "Y": A[:, :2] ** 2}),
    ("sum(i=1..N, norm(x[i] - mu)^2)", "mu", "x[i=1..N]: vector(n); mu: vector(n)", [], {"x": A}),
    ("logdet(S) + tr(inv(S)*C)", "S", "S, C: posdef(n)", [], {"C": SPREAD @ SPREAD.T}),
    ("1/2*w'*C*w", "w", "C: posdef(n); w: vector(n)", ["sum(w) = 1"], {"C": SPREAD @ SPREAD.T}),
    ("norm(x - c)^2", "x", "F: matrix(p,n); x, c: vector(n); d: vector(p)", ["F*x = d"],
     {"F": A[:2], "c": A[2], "d": B[:2]}),
]  # fmt: skip


@pytest.mark.parametrize("case", CLOSED, ids=lambda case: case[0])
def test_both_ways_agree(case: Any) -> None:
    """The closed form of ``mc.extremum`` and the iteration: the point, the value, the multipliers."""
    f, wrt, where, conditions, data = case
    assume = ["F' is fullrank"] if "F" in data else []
    closed = mc.extremum(f, wrt, where, subject_to=conditions, assume=assume)
    found = mc.minimize(f, wrt, where, data=data, subject_to=conditions)
    assert closed.kind == "minimum" and agree(solved(found), closed.function()(**data))
    for price, text in zip(closed.multipliers.values(), conditions, strict=True):
        assert agree(found.multipliers[text], price.function()(**data))


@pytest.mark.parametrize("method", ["auto", "newton", "lbfgs", "bfgs", "cg"])
def test_least_squares(method: str) -> None:
    where = {"A": "matrix(m,n)", "x": "vector(n)", "b": "vector(m)"}
    closed = mc.solve("D(norm(A*x - b)^2, x) = 0", "x", where, assume="A'*A is invertible")
    found = mc.minimize("norm(A*x - b)^2", "x", where, data={"A": A, "b": B}, method=method)
    assert agree(solved(found), closed.function()(A=A, b=B))
    assert found.value == pytest.approx(np.sum((A @ found.x - B) ** 2))


def test_weighted_ridge() -> None:
    w, t = RNG.uniform(0.5, 2, size=20), 0.3
    found = mc.minimize("(A*x - b)'*diag(w)*(A*x - b) + t*norm(x)^2", "x", data={"A": A, "b": B, "w": w, "t": t})
    assert agree(solved(found), np.linalg.solve(A.T * w @ A + t * np.eye(5), A.T @ (w * B)))


def test_a_matrix_of_coefficients() -> None:
    many = RNG.normal(size=(20, 3))
    found = mc.minimize("norm(A*X - Y)^2", "X", data={"A": A, "Y": many})
    assert agree(solved(found), np.linalg.lstsq(A, many, rcond=None)[0])


def test_mean_and_covariance_of_a_gaussian() -> None:
    x = RNG.normal(size=(30, 3)) @ RNG.normal(size=(3, 3)) + 1
    where = "x[i=1..n], mu: vector(m); S: posdef(m)"
    f = "n/2*logdet(S) + 1/2*sum(i=1..n, (x[i] - mu)'*inv(S)*(x[i] - mu))"
    closed = mc.solve([f"D({f}, mu) = 0", f"D({f}, S) = 0"], ["mu", "S"], where).function()(x=x)
    found = mc.minimize(f, ["mu", "S"], where, data={"x": x})
    assert solved(found).keys() == {"mu", "S"}
    assert agree(found["mu"], closed["mu"]) and agree(found["S"], closed["S"])
    assert found["S"] is not None and "L*L'" in found.parametrisation["S"]


def test_procrustes_in_both_components() -> None:
    """The nearest rotation or reflection, whatever the sign of its determinant."""
    for seed in range(4):
        rng = np.random.default_rng(seed)
        p, r = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
        u, _, vt = np.linalg.svd(p.T @ r)
        found = mc.minimize("norm(P*Q - R)^2", "Q", "P, R: matrix(m,n); Q: orthogonal(n)", data={"P": p, "R": r})
        assert agree(solved(found), u @ vt)
        assert agree(found.x.T @ found.x, np.eye(4))


def test_leading_eigenspace() -> None:
    m = RNG.normal(size=(7, 7))
    m = m + m.T
    found = mc.maximize("tr(Q'*M*Q)", "Q", "M: symmetric(n); Q: stiefel(n,p)", data={"M": m, "p": 2})
    values, vectors = np.linalg.eigh(m)
    assert agree(solved(found) @ found.x.T, vectors[:, -2:] @ vectors[:, -2:].T)
    assert found.value == pytest.approx(values[-2:].sum()) and found.goal == "maximum"


@pytest.mark.parametrize("kind", ["symmetric", "diagonal", "lower", "upper", "skew", "psd"])
def test_nearest_matrix_of_a_kind(kind: str) -> None:
    m = RNG.normal(size=(4, 4))
    values, vectors = np.linalg.eigh((m + m.T) / 2)
    nearest = {
        "symmetric": (m + m.T) / 2,
        "diagonal": np.diag(np.diag(m)),
        "lower": np.tril(m),
        "upper": np.triu(m),
        "skew": (m - m.T) / 2,
        "psd": vectors * np.maximum(values, 0) @ vectors.T,
    }
    found = mc.minimize("norm(X - M)^2", "X", f"X: {kind}(n); M: matrix(n,n)", data={"M": m})
    assert agree(solved(found), nearest[kind])
    assert "X" in found.parametrisation


def test_a_unit_vector() -> None:
    m = RNG.normal(size=(4, 4))
    found = mc.minimize("x'*M*x", "x", "M: symmetric(n); x: stiefel(n,1)", data={"M": m + m.T})
    assert solved(found).shape == (4,) and found.value == pytest.approx(np.linalg.eigvalsh(m + m.T)[0])


def test_a_family_of_covariances() -> None:
    c = [np.diag([1.0, 2.0]), np.array([[2.0, 1.0], [1.0, 3.0]])]
    where = "P[k=1..K], C[k=1..K]: posdef(n)"
    found = mc.minimize("sum(k=1..K, tr(P[k]*C[k]) - logdet(P[k]))", "P", where, data={"C": c})
    assert agree(solved(found), [np.linalg.inv(one) for one in c])


def test_assumed_structure() -> None:
    """What is assumed of an unknown counts as declared."""
    data = {"M": np.array([[2.0, 5.0], [5.0, 3.0]])}
    found = mc.minimize("tr(P*M) - logdet(P)", "P", "P: posdef(n); M: matrix(n,n)", data=data, assume="P is diagonal")
    assert agree(solved(found), np.diag([1 / 2, 1 / 3]))
    with pytest.raises(mc.MatcalcError, match=r"no parametrisation is known of what is .*orthogonal.* and posdef"):
        mc.minimize("tr(P*M)", "P", "P: posdef(n); M: matrix(n,n)", data=data, assume="P is orthogonal")


def test_signs() -> None:
    where = {"x": "nonneg(n)", "b": "vector(n)"}
    b = np.array([1.0, -2.0, 0.5])
    found = mc.minimize("norm(x - b)^2", "x", where, data={"b": b})
    assert agree(solved(found), [1, 0, 0.5])
    rate = mc.minimize("sum(i=1..n, t*y[i] - log(t))", "t", "t: positive; y[i=1..n]: positive", data={"y": [1.0, 3.0]})
    assert solved(rate) == pytest.approx(0.5, abs=1e-9)
    assert isinstance(rate.x, float)


# ---------------------------------------------------------------- no closed form


def test_logistic_regression() -> None:
    y = np.where(A @ np.arange(5) + RNG.normal(size=20) > 0, 1.0, -1.0)
    found = mc.minimize("sum(softplus(-y.*(X*w))) + t/2*norm(w)^2", "w", data={"X": A, "y": y, "t": 0.1})
    w = solved(found)
    assert np.allclose(A.T @ (-y / (1 + np.exp(y * (A @ w)))) + 0.1 * w, 0, atol=1e-8)


def test_softmax_regression_with_families() -> None:
    labels = RNG.integers(0, 3, size=20)
    onehot = np.eye(3)[labels]
    where = "W: matrix(k,n); x[i=1..N]: vector(n); y[i=1..N]: vector(k); t: scalar"
    f = "sum(i=1..N, logsumexp(W*x[i]) - y[i]'*W*x[i]) + t/2*norm(W)^2"
    found = mc.minimize(f, "W", where, data={"x": A, "y": onehot, "t": 0.5})
    w = solved(found)
    p = np.exp(A @ w.T)
    p /= p.sum(axis=1, keepdims=True)
    assert np.allclose((p - onehot).T @ A + 0.5 * w, 0, atol=1e-8)


def test_a_network_of_any_depth() -> None:
    where = {
        "W[k=0..L-1]": "matrix(h[k], h[k+1])",
        "c[k=0..L-1]": "vector(h[k+1])",
        "X": "matrix(N, h[0])",
        "T": "matrix(N, h[L])",
    }
    let = {"Y[0]": "X", "Y[k+1]": "tanh(Y[k]*W[k] + ones(N)*c[k]')"}
    x = RNG.normal(size=(12, 2))
    data = {"X": x, "T": np.sin(x[:, :1]), "L": 2, "h": [2, 3, 1]}
    found = mc.minimize("norm(Y[L] - T)^2 + 1/100*sum(k=0..L-1, norm(W[k])^2)", ["W", "c"], where, let, data)
    assert [w.shape for w in solved(found)["W"]] == [(2, 3), (3, 1)]
    loss = mc.derivative("norm(Y[L] - T)^2 + 1/100*sum(k=0..L-1, norm(W[k])^2)", "W[i]", where, let).function()
    for i in range(2):
        assert np.allclose(loss(X=x, T=data["T"], W=found["W"], c=found["c"], i=i), 0, atol=1e-6)


# ---------------------------------------------------------------- the derivatives by the coordinates

KINDS = "symmetric posdef psd diagonal lower upper skew orthogonal".split()  # noqa: SIM905


@pytest.mark.parametrize("kind", [*KINDS, "stiefel", "positive"])
def test_gradient_and_curvature_in_the_coordinates(kind: str) -> None:
    """Value, gradient and Hessian of one array, and of a family of them, along random directions."""
    rng = np.random.default_rng(5)
    sizes = "(n,p)" if kind in ("stiefel", "positive") else "(n)"
    cols = "p" if sizes == "(n,p)" else "n"
    data = {"C": rng.normal(size=(3, 2 if cols == "p" else 3)), "M": rng.normal(size=(3, 3)), "L": 2}
    where = f"X: {kind}{sizes}; Y[k=1..L]: {kind}{sizes}; C: matrix(n,{cols}); M: matrix(n,n)"
    points: list[tuple[Any, Any]] = []

    class Watched(Objective):
        def begin(self, arrays: Any) -> Any:
            x = super().begin(arrays)
            points.append((self, x))
            return x

    f = "tr(C'*M*X) + sum(exp(X .* C)) + sum(k=1..L, norm(Y[k] - C)^2*tr(Y[k]'*M*X))"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matcalc.iterating.minimize.Objective", Watched)
        mc.minimize(f, ["X", "Y"], where, data=data, max_iterations=1, method="cg")
    objective, x = points[-1]
    x = x + 0.2 * rng.normal(size=x.size)
    d, h = rng.normal(size=x.size), 1e-5
    ahead, here, behind = (objective.at(x + s * d) for s in (h, 0, -h))
    slope = (ahead.value - behind.value) / (2 * h)
    assert here.gradient @ d == pytest.approx(slope, rel=1e-6, abs=1e-6)
    assert np.allclose(objective.product(x, d), (ahead.gradient - behind.gradient) / (2 * h), rtol=1e-5, atol=1e-5)
    assert np.allclose(objective.hessian(x) @ d, objective.product(x, d))


# ---------------------------------------------------------------- constraints

S = np.cov(RNG.normal(size=(4, 30)))


@pytest.mark.parametrize("method", ["auto", "slsqp", "trust-constr"])
def test_portfolio(method: str) -> None:
    """The weights of least variance, S^-1*1/(1'*S^-1*1); the multiplier is the price of the budget."""
    found = mc.minimize(
        "1/2*w'*S*w", "w", "S: posdef(n); w: vector(n)", data={"S": S}, subject_to="sum(w) = 1", method=method
    )
    direct = np.linalg.solve(S, np.ones(4))
    assert agree(solved(found), direct / direct.sum())
    assert found.multipliers["sum(w) = 1"] == pytest.approx(-1 / direct.sum(), abs=1e-8)


@pytest.mark.parametrize("method", ["auto", "trust-constr"])
def test_inequalities(method: str) -> None:
    """Of a projection on the simplex the negative part is cut off at one level."""
    c = np.array([0.9, 0.4, -0.3, 0.1])
    found = mc.minimize(
        "norm(w - c)^2", "w", "w, c: vector(n)", data={"c": c}, subject_to=["sum(w) = 1", "w >= 0"], method=method
    )
    assert agree(solved(found), [0.75, 0.25, 0, 0])
    price = found.multipliers["sum(w) = 1"]
    assert price == pytest.approx(0.3, abs=1e-7)


def test_the_price_of_the_right_side() -> None:
    """Multipliers are derivatives of the optimal value, whichever way the condition is written, for both goals."""
    for goal, sign in ((mc.minimize, 1.0), (mc.maximize, -1.0)):
        for text in ("x[1] + 2*x[2] >= r", "r <= x[1] + 2*x[2]", "x[1] + 2*x[2] = r"):
            values = []
            for r in (3.0, 3.0 + 1e-4):
                data = {"s": sign, "r": r}
                found = goal("s*norm(x)^2", "x", "x: vector(2); s, r: scalar", data=data, subject_to=text)
                values.append(solved(found) @ found.x * sign)
            slope = (values[1] - values[0]) / 1e-4
            price = found.multipliers[text]
            assert price == pytest.approx(slope if text.startswith("r") else -slope, rel=1e-3)


def test_on_the_sphere() -> None:
    c = RNG.normal(size=3)
    found = mc.minimize("c'*x", "x", "c, x: vector(n)", data={"c": c}, subject_to="norm(x)^2 = 1")
    assert agree(solved(found), -c / np.linalg.norm(c))


def test_bounds_alone() -> None:
    c = np.array([0.3, -2.0, 0.05])
    for method in ("auto", "lbfgs", "gauss-newton", "slsqp"):
        found = mc.minimize("norm(x - c)^2", "x", data={"c": c}, subject_to=["x <= 1/10", "-1 <= x"], method=method)
        assert agree(solved(found), np.clip(c, -1, 0.1)), method


def test_doubly_stochastic() -> None:
    c = RNG.normal(size=(3, 3))
    conditions = ["X >= 0", "X*ones(n) = ones(n)", "X'*ones(n) = ones(n)"]
    found = mc.minimize("norm(X - C)^2", "X", "C, X: matrix(n,n)", data={"C": c}, subject_to=conditions)
    x = solved(found)
    assert agree(x.sum(axis=0), 1) and agree(x.sum(axis=1), 1) and x.min() > -1e-9
