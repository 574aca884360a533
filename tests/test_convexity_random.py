"""Random expressions: what is said to be convex or concave has its chords on that side."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

import matcalc as mc
from matcalc.errors import MatcalcError
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample

WHERE = {
    "A": "matrix(m,n)",
    "x, c, y": "vector(n)",
    "b": "vector(m)",
    "t, r": "scalar",
    "s, u": "positive",
    "P, Q": "posdef(n)",
    "S": "symmetric(n)",
    "X": "matrix(n,m)",
    "V": "diagonal(n)",
    "p": "positive(n)",
}
VECTORS = ("x", "c", "p", "y", "P*x")
MATRICES = ("P", "Q", "S", "V", "x*x'", "inv(P)", "(P + Q)", "(P .* Q)")
SCALARS = ("t", "s", "2", "-1", "u", "r", "c'*x", "norm(A*x - b)^2")


def vector(rng: Random, depth: int) -> str:
    if depth <= 0:
        return rng.choice(VECTORS)
    inner, other = vector(rng, depth - 1), vector(rng, depth - 1)
    power = rng.choice((2, 3, -1, 4, "(1/2)", -2))
    function = rng.choice(("exp", "log", "softplus", "relu", "abs", "tanh", "cosh", "softmax"))
    return rng.choice(
        (
            *(f"{function}({inner})", f"({inner} .* {other})", f"({inner} + {other})"),
            *(f"({scalar(rng, depth - 1)})*{inner}", f"({inner}).^{power}", f"inv(P)*{inner}"),
        )
    )


def scalar(rng: Random, depth: int) -> str:
    if depth <= 0:
        return rng.choice(SCALARS)
    v, w, m = vector(rng, depth - 1), vector(rng, depth - 1), rng.choice(MATRICES)
    one, other = scalar(rng, depth - 1), scalar(rng, depth - 1)
    power = rng.choice((2, 3, -1, 4, "(1/2)", -2))
    return rng.choice(
        (
            *(f"sum({v})", f"norm({v})^2", f"norm({v})", f"logsumexp({v})", f"({v})'*{m}*({v})", f"({v})'*{m}*({w})"),
            *(f"({one} + {other})", f"({one} - {other})", f"({one})*({other})", f"({one})/({other})"),
            *(f"exp({one})", f"log({one})", f"({one})^{power}", f"tr({m}*{rng.choice(MATRICES)})", f"logdet({m})"),
            *(f"norm1({v})", f"tr(X'*{m}*X)"),
        )
    )


ASKED = (["x"], ["x"], ["x"], ["s"], ["P"], ["r"], ["X"], ["p"], ["S"], ["x", "s"], ["x", "y"], ["x", "P"])


def questions(seed, count):
    rng = Random(seed)
    while count:
        expr, wrt = scalar(rng, rng.choice((1, 2, 2, 3))), rng.choice(ASKED)
        if all(name in expr for name in wrt):
            count -= 1
            yield expr, wrt


def sides(found, seed):
    """Of random chords, how far their middles lie above the graph, relative to the values."""
    needed = [(c.term, c.fact) for c in found.conditions]
    data = sample([found.function, *found.unknowns], seed, domain=("any", "positive", "unit")[seed % 3], require=needed)
    for chord in range(3):
        ends = [
            sample([found.function, *found.unknowns], 97 * seed + 10 * chord + i, domain=domain, sizes=dict(data.sizes))
            for i, domain in ((1, ("any", "positive", "unit")[chord]), (2, "any"))
        ]
        envs = [data, data, data]
        for u in found.unknowns:
            one, two = (end.symbols[u.attr] for end in ends)
            for i, value in enumerate((one, two, (one + two) / 2)):
                envs[i] = envs[i].with_symbol(u.attr, value)
        try:
            left, right, middle = (float(evaluate(found.function, env)[0, 0]) for env in envs)
        except MatcalcError:
            continue
        if np.isfinite(left + right + middle):
            yield ((left + right) / 2 - middle) / max(1.0, abs(left), abs(right), abs(middle))


@pytest.mark.parametrize("seed", range(3))
def test_claims(seed):
    shown = 0
    for expr, wrt in questions(seed, 6):
        try:
            found = mc.convexity(expr, wrt, WHERE)
        except mc.ShapeError:
            continue
        if found.kind not in ("convex", "concave", "affine"):
            continue
        if not all(c.fact in ("positive", "nonneg", "nonzero") for c in found.conditions):
            continue
        for draw in range(4):
            try:
                gaps = list(sides(found, draw))
            except MatcalcError:
                continue
            shown += len(gaps)
            if found.kind != "concave":
                assert min(gaps, default=0) >= -1e-7, f"{expr} in {wrt} is not convex"
            if found.kind != "convex":
                assert max(gaps, default=0) <= 1e-7, f"{expr} in {wrt} is not concave"
    assert shown
