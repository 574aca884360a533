"""Fit a Gaussian to Fisher's iris measurements with the functions that matcalc derives.

    python examples/gaussian_mle.py

The estimates and the gradients are not written down here: they are derived from the density and
turned into NumPy functions.  Exits with a status other than 0 when they are not what they must be.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

import matcalc as mc

WHERE = "x[i=1..n]: vector(m); mu: vector(m); Sigma: posdef(m)"
LET = {
    "p(x)": "det(2*pi*Sigma)^(-1/2)*exp(-1/2*(x-mu)'*inv(Sigma)*(x-mu))",
    "y": "simplify(log(prod(i=1..n, p(x[i]))))",
}
PERTURBED = 1000


def read(path: Path) -> tuple[list[str], np.ndarray]:
    """Names of the columns, and the measurements, one flower a row."""
    with path.open(encoding="utf-8") as lines:
        names = [name.replace("_", " ") for name in next(lines).strip().split(",")]
        return names, np.loadtxt(lines, delimiter=",")


def show(names: list[str], mean: np.ndarray, covariance: np.ndarray) -> None:
    """The estimates as a table."""
    print(f"{'':14}{'mean':>9}   covariance")
    for name, average, row in zip(names, mean, covariance, strict=True):
        print(f"{name:14}{average:9.4f}   " + "".join(f"{value:9.4f}" for value in row))


def main() -> int:
    names, flowers = read(Path(__file__).with_name("iris.csv"))
    likelihood = mc.parse("y", where=WHERE, let=LET)
    estimates = mc.solve(["D(y, mu) = 0", "D(y, Sigma) = 0"], ["mu", "Sigma"], where=WHERE, let=LET)
    by_mu = mc.derivative("y", "mu", where=WHERE, let=LET)
    by_sigma = mc.derivative("y", "Sigma", where=WHERE, let=LET)

    print("log-likelihood:   ", likelihood.unicode())
    print("gradient by mu:   ", by_mu.unicode())
    print("gradient by Sigma:", by_sigma.unicode())
    print("stationary at:    ", estimates.unicode())

    y = likelihood.function()
    found = estimates.function()(x=flowers)
    mean, covariance = found["mu"], found["Sigma"]
    best = y(x=flowers, mu=mean, Sigma=covariance)
    print(f"\n{len(flowers)} flowers, log-likelihood {best:.4f}")
    show(names, mean, covariance)

    centred = flowers - flowers.mean(axis=0)
    sample_covariance = centred.T @ centred / len(flowers)
    mean_error = np.max(np.abs(mean - flowers.mean(axis=0)))
    covariance_error = np.max(np.abs(covariance - sample_covariance))
    mu_gradient = np.max(np.abs(by_mu.function()(x=flowers, mu=mean, Sigma=covariance)))
    sigma_gradient = np.max(np.abs(by_sigma.function()(x=flowers, mu=mean, Sigma=covariance)))

    rng = np.random.default_rng(1936)
    gains = []
    for scale in 10.0 ** rng.uniform(-3, 0, PERTURBED):
        factor = np.eye(len(mean)) + scale * rng.standard_normal(covariance.shape) / 4
        moved = mean + scale * rng.standard_normal(mean.shape)
        gains.append(y(x=flowers, mu=moved, Sigma=factor @ covariance @ factor.T) - best)

    checks = [
        (f"mu is the sample mean, within {mean_error:.1e}", mean_error < 1e-12),
        (f"Sigma is the sample covariance, within {covariance_error:.1e}", covariance_error < 1e-12),
        (f"the gradient by mu is 0 there, within {mu_gradient:.1e}", mu_gradient < 1e-8),
        (f"the gradient by Sigma is 0 there, within {sigma_gradient:.1e}", sigma_gradient < 1e-8),
        (f"{PERTURBED} perturbed points are less likely, the nearest by {-max(gains):.1e}", max(gains) < 0),
    ]
    print()
    for what, holds in checks:
        print("yes" if holds else "NO ", what)
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
