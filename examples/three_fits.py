"""Three fits by ``mc.minimize``: handwritten digits recognized, Fisher's iris in a plane, a design of measurements.

    pip install scikit-learn
    python examples/three_fits.py

Each objective is one line; its gradient and the products with its Hessian are derived.  Softmax regression is held
against scikit-learn's, principal components against the singular value decomposition, the weights of the design
against the conditions that an optimal one meets.  Exits with a status other than 0 when they differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split

import matcalc as mc


def softmax_regression() -> list[tuple[str, bool]]:
    """Ten classes of digits by 64 pixels: sum of logsumexp minus the score of the class, and a ridge."""
    digits = load_digits()
    x, x_test, labels, labels_test = train_test_split(digits.data / 16, digits.target, test_size=0.25, random_state=0)
    found = mc.minimize(
        "sum(logsumexp(X*W' + ones(N)*c')) - tr(Y'*(X*W' + ones(N)*c')) + t/2*norm(W)^2",
        ["W", "c"],
        where="X: matrix(N,n); Y: matrix(N,k); W: matrix(k,n); c: vector(k); t: positive",
        data={"X": x, "Y": np.eye(10)[labels], "t": 1.0},
    )
    print(f"softmax regression\n{found}\n")
    accuracy = float(np.mean((x_test @ found["W"].T + found["c"]).argmax(axis=1) == labels_test))
    theirs = LogisticRegression(C=1.0, tol=1e-10, max_iter=5000).fit(x, labels)
    apart = float(np.max(np.abs(found["W"] - theirs.coef_)))
    return [
        (f"softmax regression: the weights of scikit-learn, within {apart:.1e}", found.converged and apart < 1e-4),
        (f"softmax regression: {accuracy:.1%} of the test digits are recognized", accuracy > 0.95),
    ]


def principal_components() -> list[tuple[str, bool]]:
    """The plane in which Fisher's iris varies most: orthonormal columns, kept so by their parametrisation."""
    with (Path(__file__).parent / "iris.csv").open(encoding="utf-8") as lines:
        next(lines)
        flowers = np.loadtxt(lines, delimiter=",")
    centred = flowers - flowers.mean(axis=0)
    found = mc.maximize("norm(X*V)^2/N", "V", where="X: matrix(N,n); V: stiefel(n,2)", data={"X": centred})
    print(f"principal components\n{found}\n")
    best = np.linalg.svd(centred)[2][:2].T
    apart = float(np.max(np.abs(found.x @ found.x.T - best @ best.T)))
    return [(f"principal components: the plane of the SVD, within {apart:.1e}", found.converged and apart < 1e-6)]


def design() -> list[tuple[str, bool]]:
    """Which flowers to measure again: weights that make the information matrix largest (a D-optimal design)."""
    with (Path(__file__).parent / "iris.csv").open(encoding="utf-8") as lines:
        next(lines)
        flowers = np.loadtxt(lines, delimiter=",")[:40]
    a = np.column_stack([np.ones(len(flowers)), flowers])
    found = mc.maximize(
        "logdet(A'*diag(w)*A)",
        "w",
        where="A: matrix(m,n); w: vector(m)",
        data={"A": a},
        subject_to=["sum(w) = 1", "w >= 0"],
    )
    print(f"design\n{found}\n")
    information = np.linalg.inv(a.T * found.x @ a)
    variances = np.einsum("ij,jk,ik->i", a, information, a)
    excess = float(variances.max()) - a.shape[1]
    price = -found.multipliers["sum(w) = 1"]
    return [
        (f"design: no variance exceeds {a.shape[1]} by more than {excess:.1e}", found.converged and excess < 1e-6),
        (f"design: the price of the budget is {price:.6f}", abs(price - a.shape[1]) < 1e-6),
    ]


def main() -> int:
    checks = [*softmax_regression(), *principal_components(), *design()]
    for what, holds in checks:
        print("yes" if holds else "NO ", what)
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
