"""The gradient that examples/mlp_train.py trains with, against JAX's."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from types import ModuleType

import jax
import jax.numpy as jnp
import numpy as np
import pytest

EXAMPLE = Path(__file__).resolve().parent.parent / "examples" / "mlp_train.py"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("mlp_train", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def loss(weights: Sequence[jax.Array], biases: Sequence[jax.Array], x: jax.Array, targets: jax.Array) -> jax.Array:
    for w, b in zip(weights, biases, strict=True):
        x = jnp.tanh(x @ w + b)
    return jnp.sum((x - targets) ** 2) / (2 * len(x))


@pytest.mark.parametrize("sizes", [(64, 96, 48, 10), (5, 3), (4, 1, 7, 6, 2)], ids=str)
def test_the_training_gradient_is_that_of_jax(example: ModuleType, sizes: tuple[int, ...]) -> None:
    rng = np.random.default_rng(5)
    weights = [rng.normal(size=(m, n)) / np.sqrt(m) for m, n in pairwise(sizes)]
    biases = [rng.normal(size=n) for n in sizes[1:]]
    x, targets = rng.normal(size=(32, sizes[0])), rng.uniform(-1, 1, size=(32, sizes[-1]))
    with jax.enable_x64(True):
        expected = jax.jit(jax.grad(loss, argnums=(0, 1)))(weights, biases, x, targets)
        expected = [[np.asarray(g) for g in grads] for grads in expected]
    given = {"X": x, "T": targets, "W": weights, "b": biases}
    for derived, grads in zip(example.derived(), expected, strict=True):
        function = derived.function("numpy")
        for i, gradient in enumerate(grads):
            found = function(**given, i=i)
            assert gradient.dtype == np.float64 and found.shape == gradient.shape
            assert np.max(np.abs(found - gradient)) <= 1e-10 * max(1, np.max(np.abs(gradient)))
