"""Problems of the speed table: the expression, data, the loss for automatic differentiation, NumPy written by hand.

Hessians are matrices by columns (``vec``), as matcalc gives them; the other libraries return theirs in their own
order, which is rearranged before the comparison and not timed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.linalg import blas, lapack

Data = Mapping[str, Any]
Hand = Callable[[Data], Callable[[], Any]]


@dataclass
class Problem:
    """``expr`` by ``wrt`` for matcalc; ``loss(xp, data)`` for automatic differentiation; ``hand`` by quantity."""

    name: str
    expr: str
    wrt: str | list[str]
    where: str
    sizes: Sequence[dict[str, int]]
    data: Callable[[dict[str, int], np.random.Generator], dict[str, Any]]
    loss: Callable[[Any, Data], Any]
    hand: dict[str, Hand] = field(default_factory=dict)
    structured: bool = False
    """Whether the second derivative has a structure that automatic differentiation does not see."""
    left_out: Mapping[str, Sequence[dict[str, int]]] = field(default_factory=dict)
    """Sizes that are too large for a quantity."""

    def by_hand(self, quantity: str) -> Callable[[Hand], Hand]:
        """Register the code by hand for a quantity."""

        def keep(code: Hand) -> Hand:
            self.hand[quantity] = code
            return code

        return keep


PROBLEMS: list[Problem] = []


def problem(**given: Any) -> Problem:
    made = Problem(**given)
    PROBLEMS.append(made)
    return made


# ---------------------------------------------------------------- logistic regression


def _logistic_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    X, w = r.normal(size=(s["n"], s["d"])), r.normal(size=s["d"]) / np.sqrt(s["d"])
    return {"X": X, "y": np.where(r.random(s["n"]) < 0.5, 1.0, -1.0), "w": w, "dw": r.normal(size=s["d"])}


logistic = problem(
    name="logistic regression",
    expr="sum(log(1 .+ exp(-y .* (X*w))))",
    wrt="w",
    where="X: matrix(n,d); y: vector(n); w: vector(d)",
    sizes=[{"n": 1000, "d": 100}, {"n": 10000, "d": 100}, {"n": 2000, "d": 1000}],
    data=_logistic_data,
    loss=lambda xp, v: xp.sum(xp.log(1 + xp.exp(-v["y"] * (v["X"] @ v["w"])))),
)


@logistic.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    X, y, w = v["X"], v["y"], v["w"]

    def run() -> Any:
        e = X @ w
        e *= y
        np.exp(np.negative(e, out=e), out=e)
        u = 1 + e
        value = np.log(u).sum()
        e /= u
        e *= y
        return value, -(e @ X)

    return run


def _curvature(v: Data) -> Any:
    e = v["X"] @ v["w"]
    e *= v["y"]
    np.exp(np.negative(e, out=e), out=e)
    u = 1 + e
    e /= u
    e /= u
    return e


@logistic.by_hand("Hessian")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        root = v["X"] * np.sqrt(_curvature(v))[:, None]
        return root.T @ root

    return run


@logistic.by_hand("Hessian product")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        q = _curvature(v)
        q *= v["X"] @ v["dw"]
        return q @ v["X"]

    return run


# ---------------------------------------------------------------- ridge regression


def _ridge_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    n, d = s["n"], s["d"]
    return {
        "X": r.normal(size=(n, d)), "y": r.normal(size=n), "w": r.normal(size=d), "t": 0.1, "dw": r.normal(size=d)
    }  # fmt: skip


ridge = problem(
    name="ridge regression",
    expr="norm(X*w - y)^2 + t*norm(w)^2",
    wrt="w",
    where="X: matrix(n,d); y: vector(n); w: vector(d); t: scalar",
    sizes=[{"n": 1000, "d": 100}, {"n": 10000, "d": 100}, {"n": 2000, "d": 1000}],
    data=_ridge_data,
    loss=lambda xp, v: xp.sum((v["X"] @ v["w"] - v["y"]) ** 2) + v["t"] * xp.sum(v["w"] ** 2),
)


@ridge.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        r = v["X"] @ v["w"]
        r -= v["y"]
        g = r @ v["X"]
        g += v["t"] * v["w"]
        g *= 2
        return r @ r + v["t"] * (v["w"] @ v["w"]), g

    return run


@ridge.by_hand("Hessian")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        H = v["X"].T @ v["X"]
        H *= 2
        H.ravel()[:: len(H) + 1] += 2 * v["t"]
        return H

    return run


@ridge.by_hand("Hessian product")
def _(v: Data) -> Callable[[], Any]:
    return lambda: 2 * ((v["X"] @ v["dw"]) @ v["X"] + v["t"] * v["dw"])


# ---------------------------------------------------------------- matrix factorization


def _factor_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    n, k = s["n"], s["k"]
    shapes = {"T": (n, n), "U": (n, k), "V": (n, k), "dU": (n, k)}
    return {name: r.normal(size=shape) for name, shape in shapes.items()}


factorization = problem(
    name="matrix factorization",
    expr="norm(T - U*V')^2",
    wrt="U",
    where="T: matrix(n,n); U: matrix(n,k); V: matrix(n,k)",
    sizes=[{"n": 50, "k": 5}, {"n": 100, "k": 5}, {"n": 200, "k": 5}, {"n": 200, "k": 10}, {"n": 1000, "k": 10}],
    left_out={"Hessian": [{"n": 1000, "k": 10}]},
    structured=True,
    data=_factor_data,
    loss=lambda xp, v: xp.sum((v["T"] - v["U"] @ v["V"].T) ** 2),
)


@factorization.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        R = v["U"] @ v["V"].T
        R -= v["T"]
        return np.vdot(R, R), 2 * (R @ v["V"])

    return run


@factorization.by_hand("Hessian")
def _(v: Data) -> Callable[[], Any]:
    n, k = v["U"].shape
    i = np.arange(n)

    def run() -> Any:
        H = np.zeros((k, n, k, n))
        H[:, i, :, i] = 2 * (v["V"].T @ v["V"])
        return H.reshape(k * n, k * n)

    return run


@factorization.by_hand("Hessian product")
def _(v: Data) -> Callable[[], Any]:
    return lambda: v["dU"] @ (2 * (v["V"].T @ v["V"]))


# ---------------------------------------------------------------- the Gaussian likelihood


def _gauss_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    n, m = s["n"], s["m"]
    A = r.normal(size=(m, 2 * m))
    return {"x": r.normal(size=(n, m)), "mu": r.normal(size=m) / 10, "Sigma": A @ A.T / (2 * m) + np.eye(m) / 2}


def _gauss_loss(xp: Any, v: Data) -> Any:
    centered = v["x"] - v["mu"]
    quadratic = xp.sum(centered.T * xp.linalg.solve(v["Sigma"], centered.T))
    return -0.5 * len(v["x"]) * xp.linalg.slogdet(v["Sigma"])[1] - 0.5 * quadratic


def _inverse(S: np.ndarray) -> tuple[np.ndarray, float]:
    c, info = lapack.dpotrf(S, lower=1)
    if info:
        raise np.linalg.LinAlgError("not positive definite")
    logdet = 2 * np.log(c.diagonal()).sum()
    lower = np.tril(lapack.dpotri(c, lower=1, overwrite_c=1)[0])
    return lower + np.tril(lower, -1).T, logdet


GAUSS = {
    "expr": "-n/2*log(det(Sigma)) - 1/2*sum(i=1..n, (x[i] - mu)'*inv(Sigma)*(x[i] - mu))",
    "where": "Sigma: posdef(m); mu: vector(m); x[i=1..n]: vector(m)",
    "data": _gauss_data,
    "loss": _gauss_loss,
}
gauss = problem(
    name="Gaussian likelihood", wrt=["mu", "Sigma"], sizes=[{"n": 1000, "m": 20}, {"n": 10000, "m": 100}], **GAUSS
)


@gauss.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    n = len(v["x"])

    def run() -> Any:
        centered = v["x"] - v["mu"]
        C = centered.T @ centered
        P, logdet = _inverse(v["Sigma"])
        value = -0.5 * (n * logdet + np.vdot(P, C))
        return value, P @ centered.sum(0), 0.5 * (P @ C @ P - n * P)

    return run


location = problem(
    name="Gaussian likelihood, mean",
    wrt="mu",
    sizes=[{"n": 1000, "m": 20}, {"n": 10000, "m": 100}],
    structured=True,
    **GAUSS,
)


@location.by_hand("Hessian")
def _(v: Data) -> Callable[[], Any]:
    n = len(v["x"])

    def run() -> Any:
        P, _ = _inverse(v["Sigma"])
        P *= -n
        return P

    return run


covariance = problem(
    name="Gaussian likelihood, covariance",
    wrt="Sigma",
    sizes=[{"n": 1000, "m": m} for m in (5, 10, 20)],
    structured=True,
    **GAUSS,
)


@covariance.by_hand("Hessian")
def _(v: Data) -> Callable[[], Any]:
    n, m = v["x"].shape

    def run() -> Any:
        centered = v["x"] - v["mu"]
        P, _ = _inverse(v["Sigma"])
        Q = P @ (centered.T @ centered) @ P
        right = np.empty((m * m, 2))
        right[:, 0], right[:, 1] = P.ravel(), Q.ravel()
        left = np.empty((m, 2, m))
        left[:, 0], left[:, 1] = 0.5 * (n * P - Q), -0.5 * P
        return np.matmul(right, left).reshape(m * m, m * m)

    return run


# ---------------------------------------------------------------- determinants, inverses


def _determinant_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    n = s["n"]
    B = r.normal(size=(n, n))
    return {"X": B @ B.T / n + np.eye(n), "A": r.normal(size=(n, n // 2)) / np.sqrt(n)}


determinant = problem(
    name="log det(A'XA)",
    expr="log(det(A'*X*A))",
    wrt="X",
    where="X: posdef(n); A: fullrank(n,k)",
    sizes=[{"n": 50}, {"n": 200}, {"n": 500}],
    data=_determinant_data,
    loss=lambda xp, v: xp.linalg.slogdet(v["A"].T @ v["X"] @ v["A"])[1],
)


@determinant.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        c, _ = lapack.dpotrf(v["A"].T @ (v["X"] @ v["A"]), lower=1)
        B = np.ascontiguousarray(blas.dtrsm(1.0, c, v["A"].T, lower=1))
        return 2 * np.log(c.diagonal()).sum(), B.T @ B

    return run


def _trace_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    n, p = s["n"], s["n"] // 5
    X = r.normal(size=(n, n)) / np.sqrt(n) + 2 * np.eye(n)
    return {"X": X, "A": r.normal(size=(p, n)), "B": r.normal(size=(n, p))}


trace = problem(
    name="tr(A inv(X) B)",
    expr="tr(A*inv(X)*B)",
    wrt="X",
    where="X: matrix(n,n); A: matrix(p,n); B: matrix(n,p)",
    sizes=[{"n": 50}, {"n": 200}, {"n": 500}],
    data=_trace_data,
    loss=lambda xp, v: xp.trace(v["A"] @ xp.linalg.inv(v["X"]) @ v["B"]),
)


@trace.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        lu, exchanges, _ = lapack.dgetrf(v["X"].T)
        Y, _ = lapack.dgetrs(lu, exchanges, v["B"], trans=1)
        Z, _ = lapack.dgetrs(lu, exchanges, v["A"].T)
        return np.vdot(v["A"].T, Y), Z @ (-Y.T)

    return run


inverse = problem(
    name="inv(X)",
    expr="inv(X)",
    wrt="X",
    where="X: matrix(n,n)",
    sizes=[{"n": 10}, {"n": 20}, {"n": 30}],
    data=lambda s, r: {"X": r.normal(size=(s["n"], s["n"])) / np.sqrt(s["n"]) + 2 * np.eye(s["n"])},
    loss=lambda xp, v: xp.linalg.inv(v["X"]),
    structured=True,
)


@inverse.by_hand("Jacobian")
def _(v: Data) -> Callable[[], Any]:
    """-kron(P', P) by columns: the entries of the outer product of P and -P in another order."""
    n = len(v["X"])

    def run() -> Any:
        lu, exchanges, _ = lapack.dgetrf(v["X"])
        P, _ = lapack.dgetri(lu, exchanges)
        return np.einsum("ki,jl->ijkl", P, -P).reshape(n * n, n * n)

    return run


# ---------------------------------------------------------------- forms and chains


def _form_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    n = s["n"]
    return {"A": r.normal(size=(n, n)), "x": r.normal(size=n), "dx": r.normal(size=n)}


form = problem(
    name="x'Ax",
    expr="x'*A*x",
    wrt="x",
    where="A: matrix(n,n); x: vector(n)",
    structured=True,
    sizes=[{"n": 100}, {"n": 500}, {"n": 1000}],
    data=_form_data,
    loss=lambda xp, v: v["x"] @ (v["A"] @ v["x"]),
)


@form.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        z = v["A"] @ v["x"]
        return v["x"] @ z, z + v["x"] @ v["A"]

    return run


form.by_hand("Hessian")(lambda v: lambda: v["A"] + v["A"].T)
form.by_hand("Hessian product")(lambda v: lambda: v["A"] @ v["dx"] + v["dx"] @ v["A"])


def _chain_data(s: dict[str, int], r: np.random.Generator) -> dict[str, Any]:
    n = s["n"]
    matrices = {name: r.normal(size=(n, n)) / np.sqrt(n) for name in "ABC"}
    return {**matrices, "x": r.normal(size=n), "dx": r.normal(size=n)}


chain = problem(
    name="norm(ABCx)²",
    expr="norm(((A*B)*C)*x)^2",
    wrt="x",
    where="A: matrix(n,n); B: matrix(n,n); C: matrix(n,n); x: vector(n)",
    sizes=[{"n": 50}, {"n": 200}, {"n": 500}],
    data=_chain_data,
    loss=lambda xp, v: xp.sum((v["A"] @ v["B"] @ v["C"] @ v["x"]) ** 2),
)


@chain.by_hand("value+gradient")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        r = v["A"] @ (v["B"] @ (v["C"] @ v["x"]))
        return r @ r, 2 * (((r @ v["A"]) @ v["B"]) @ v["C"])

    return run


@chain.by_hand("Hessian")
def _(v: Data) -> Callable[[], Any]:
    def run() -> Any:
        M = v["A"] @ v["B"] @ v["C"]
        H = M.T @ M
        H *= 2
        return H

    return run


@chain.by_hand("Hessian product")
def _(v: Data) -> Callable[[], Any]:
    return lambda: 2 * (((v["A"] @ (v["B"] @ (v["C"] @ v["dx"]))) @ v["A"]) @ v["B"]) @ v["C"]
