"""Where an iteration starts when nobody says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import product

import numpy as np

from ..errors import MatcalcError
from .data import Array
from .objective import Layout, Objective

DRAWS = 40
"""Random points that are tried until one is in the domain."""

COMPONENTS = 3
"""Up to so many orthogonal unknowns each is started with determinant 1 and with determinant -1."""


def starts(objective: Objective, given: Mapping[str, Sequence[Array]], seed: int) -> tuple[list[list[Array]], str]:
    """The arrays to start from, one list for each run, and what to say about them.

    Raises :class:`MatcalcError` when no point in the domain of the objective is found.
    """
    layout = objective.layout
    if len(given) == len(layout.unknowns):
        arrays = [a for u in layout.unknowns for a in given[u.name]]
        if not objective.at(objective.begin(arrays)).finite:
            raise MatcalcError("the objective is not finite at the start", hint="give another start, in its domain")
        return [arrays], ""
    drawn: list[Array] = []
    told = ""
    for at, (candidate, said) in enumerate(_candidates(layout, given, seed)):
        here = objective.at(objective.begin(candidate))
        if here.finite and (at > 0 or _moves_everything(layout, here.gradient)):
            drawn, told = candidate, said
            break
    if not drawn and layout.blocks:
        raise MatcalcError(
            f"no start was found: the objective is not finite at {DRAWS} random points", hint="give start="
        )
    return _components(layout, drawn, given), told


def _candidates(layout: Layout, given: Mapping[str, Sequence[Array]], seed: int) -> Iterator[tuple[list[Array], str]]:
    """A plain point, then random ones."""
    rng = np.random.default_rng(seed)
    plain = {id(b): b.coordinates.value(b.coordinates.start()) for b in layout.blocks if not b.coordinates.based}
    frames = {id(b): b.coordinates.random(rng, 1.0, False) for b in layout.blocks if b.coordinates.based}
    sets = " (identity, ones where 0 is not in the set)" if any(b.coordinates.told for b in layout.blocks) else ""
    random = f"random, seed {seed}"
    first = random if frames and not plain else f"0{sets}" + (f", orthonormal columns {random}" if frames else "")
    yield _with_given(layout, given, {**plain, **frames}), f"start: {first}"
    for draw in range(DRAWS):
        scale = 1.0 if draw < DRAWS // 2 else 10.0 ** -rng.integers(0, 4)
        arrays = {id(b): b.coordinates.random(rng, scale, draw % 4 == 3) for b in layout.blocks}
        yield _with_given(layout, given, arrays), f"start: {random}"


def _with_given(layout: Layout, given: Mapping[str, Sequence[Array]], arrays: Mapping[int, Array]) -> list[Array]:
    left = {name: list(members) for name, members in given.items()}
    return [left[b.unknown.name].pop(0) if b.unknown.name in left else np.asarray(arrays[id(b)]) for b in layout.blocks]


def _moves_everything(layout: Layout, gradient: Array) -> bool:
    """False where some array would not move from here: a plain point is then too special."""
    return all(b.coordinates.size == 0 or bool(np.any(gradient[b.place])) for b in layout.blocks)


def _components(layout: Layout, drawn: list[Array], given: Mapping[str, Sequence[Array]]) -> list[list[Array]]:
    """The orthogonal matrices are two sets, by the sign of the determinant: a start in each."""
    square = [at for at, b in enumerate(layout.blocks) if b.coordinates.parted and b.unknown.name not in given]
    found = []
    for signs in product((1.0, -1.0), repeat=min(len(square), COMPONENTS)):
        arrays = list(drawn)
        for at, sign in zip(square, signs, strict=False):
            frame = drawn[at].copy().reshape(-1, (*drawn[at].shape, 1)[0])
            frame[:, 0] *= sign
            arrays[at] = frame.reshape(drawn[at].shape)
        found.append(arrays)
    return found
