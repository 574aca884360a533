"""Train a network of three layers on scikit-learn's handwritten digits with the derived gradient.

    pip install scikit-learn matplotlib
    python examples/mlp_train.py [--picture digits.png]

The gradient is derived once, for any number of layers, and run as NumPy code.  Exits with an error
when the test accuracy stays below 95 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import pairwise

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import matcalc as mc

WHERE = {
    "X": "matrix(N, h[0])",
    "T": "matrix(N, h[L])",
    "W[k=0..L-1]": "matrix(h[k], h[k+1])",
    "b[k=0..L-1]": "vector(h[k+1])",
}
LET = {"Y[0]": "X", "Y[k+1]": "tanh(Y[k]*W[k] + ones(N)*b[k]')"}
SIZES = (64, 96, 48, 10)
EPOCHS, BATCH, RATE, MOMENTUM = 60, 32, 0.4, 0.9


def derived() -> tuple[mc.Derivative, mc.Derivative]:
    """The gradients by the weights and the biases of layer i, i and the number of layers symbolic."""
    found = mc.derivative("1/(2*N)*norm(Y[L] - T)^2", ["W[i]", "b[i]"], where=WHERE, let=LET)
    return found["W[i]"], found["b[i]"]


def forward(x: np.ndarray, weights: list[np.ndarray], biases: list[np.ndarray]) -> np.ndarray:
    for w, b in zip(weights, biases, strict=True):
        x = np.tanh(x @ w + b)
    return x


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--picture", help="save the loss and some digits with their predictions here")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    options = parser.parse_args()

    by_weights, by_biases = derived()
    print("gradient by W[i]:", by_weights)
    grad_w, grad_b = by_weights.function("numpy"), by_biases.function("numpy")

    digits = load_digits()
    inputs, labels = digits.data / 16 - 0.5, digits.target
    x, x_test, labels, labels_test = train_test_split(inputs, labels, test_size=0.25, random_state=0)
    targets = np.where(np.eye(10)[labels] > 0, 0.9, -0.9)

    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(m, n)) / np.sqrt(m) for m, n in pairwise(SIZES)]
    biases = [np.zeros(n) for n in SIZES[1:]]
    layers = len(weights)
    speed = [np.zeros_like(p) for p in (*weights, *biases)]
    losses = []
    start = time.perf_counter()
    for epoch in range(options.epochs):
        order = rng.permutation(len(x))
        for at in range(0, len(x), BATCH):
            pick = order[at : at + BATCH]
            given = {"X": x[pick], "T": targets[pick], "W": weights, "b": biases}
            steps = [grad_w(**given, i=i) for i in range(layers)] + [grad_b(**given, i=i) for i in range(layers)]
            for v, step, parameter in zip(speed, steps, (*weights, *biases), strict=True):
                v *= MOMENTUM
                v -= RATE / 10 * step
                parameter += v
        losses.append(float(np.mean((forward(x, weights, biases) - targets) ** 2) * 5))
        if epoch % 10 == 9 or epoch == options.epochs - 1:
            hits = forward(x_test, weights, biases).argmax(axis=1) == labels_test
            print(f"epoch {epoch + 1:3d}  loss {losses[-1]:.4f}  test accuracy {hits.mean():.1%}")
    accuracy = float((forward(x_test, weights, biases).argmax(axis=1) == labels_test).mean())
    print(f"{time.perf_counter() - start:.1f} s of training, test accuracy {accuracy:.1%}")
    if options.picture:
        draw(options.picture, losses, x_test, labels_test, forward(x_test, weights, biases).argmax(axis=1))
    return 0 if accuracy >= 0.95 else 1


def draw(path: str, losses: list[float], x: np.ndarray, labels: np.ndarray, predicted: np.ndarray) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplot_mosaic([["loss"] * 6, list("abcdef")], height_ratios=[2, 1], figsize=(9, 5))
    axes["loss"].plot(losses)
    axes["loss"].set(xlabel="epoch", ylabel="loss", yscale="log")
    for number, name in enumerate("abcdef"):
        axes[name].imshow(x[number].reshape(8, 8), cmap="gray_r")
        axes[name].set(title=f"{predicted[number]} ({labels[number]})", xticks=[], yticks=[])
    figure.tight_layout()
    figure.savefig(path)


if __name__ == "__main__":
    sys.exit(main())
