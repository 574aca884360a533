"""Integers for the names in terms, such that all shapes, ranges and recurrences are possible."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from ..errors import LimitExceeded, ShapeError
from ..terms.dims import Atom, Dim, Index
from .drawing import TRIES
from .evaluate import Env, Sizes
from .occurring import Around, Found, Part, is_open
from .operators import RELATIONS

MOST_STEPS = 10_000


def fitting_sizes(
    found: Found, rng: np.random.Generator, indexed: Sizes, hint: Sequence[int], profile: str, fixed: dict[Atom, int]
) -> Env:
    """Integers for all names, such that shapes are positive and indices lie in their ranges.

    ``profile`` is one of those of :func:`sample`.  Raises :class:`ShapeError` when none fit.
    """
    shaping = sorted(found.shaping - fixed.keys(), key=str)
    counting = sorted(found.counting - found.shaping - fixed.keys(), key=str)
    checks = [(d, low) for d, low in found.at_least if d.indices <= found.free]
    needed = max((low - dict(d.terms).get((), 0) for d, low in checks), default=0)  # x[5] has at least five entries
    if profile != "ones" and needed > max(hint):
        hint, profile = [int(needed) + extra for extra in range(len(hint))], "distinct"
    for attempt in range(3 * TRIES):
        values = dict(fixed)
        values.update(zip(shaping, _some_sizes(len(shaping), rng, hint, profile, attempt), strict=True))
        top = max([*hint, *values.values()]) if profile != "ones" else 1
        values.update({name: int(rng.integers(0, top + 1)) for name in counting})
        if profile == "ones" and attempt == 0:
            values.update(dict.fromkeys(found.steps.intersection(counting), 1))
        env = Env(sizes=values, indexed=indexed)
        if _give_indices(found.free, values, env, rng) and _fits(checks, env) and _fit_throughout(found, env):
            return env
    raise ShapeError(f"no sizes out of {list(hint)} fit ({profile})")


def _give_indices(free: frozenset[Index], values: dict[Atom, int], env: Env, rng: np.random.Generator) -> bool:
    """Values in their ranges for the indices that are bound outside the terms; False for an empty range."""
    for index in sorted(free, key=lambda i: (len(i.indices), i.key)):
        ends = (index.lo, index.hi)[:: index.step]
        lo, hi = (None if is_open(end) else env.size(end) for end in ends)
        lo = lo if lo is not None else (hi or 0) - _OPEN
        hi = hi if hi is not None else lo + _OPEN
        if lo > hi:
            return False
        values[index] = int(rng.integers(lo, hi + 1))
    return True


_OPEN = 3
"""How far an index without an end is drawn from its other end."""


def _some_sizes(count: int, rng: np.random.Generator, hint: Sequence[int], profile: str, attempt: int) -> list[int]:
    if profile == "ones":
        return [1] * count
    if profile == "mixed":
        return [int(v) for v in rng.integers(1, 4, count)]
    pool = list(hint) if attempt < TRIES else list(range(1, max(hint) + 1 + attempt // TRIES))
    if attempt >= 2 * TRIES:  # some may have to be equal: a tall matrix and a wide one of the same sides
        return [int(v) for v in rng.choice(pool, count)]
    repeated = [v for _ in range(count // len(pool) + 1) for v in rng.permutation(pool)]
    return [int(v) for v in repeated[:count]]


def _fits(checks: Sequence[tuple[Dim, int]], env: Env) -> bool:
    try:
        return all(env.size(d) >= low for d, low in checks)
    except ShapeError:
        return False


# ---------------------------------------------------------------- at every step of the loops


def _fit_throughout(found: Found, env: Env) -> bool:
    """True when all that has to hold at every step of the loops holds."""
    for around, nonnegative in found.throughout.items():
        for frame in _frames(around, nonnegative, env):
            place = _place(frame, env)
            if any(place.size(d) < 0 for d in nonnegative):
                return False
    return True


_Frame = dict[Atom, int]


def _frames(around: Around, dims: Sequence[Dim], env: Env) -> list[_Frame]:
    """The values that the indices around a place take together, where ``dims`` or an inner range depends on them."""
    used = [{atom for d in dims for atom in d.atoms()}]
    for part in reversed(around):
        used.append(used[-1] | {atom for d in part[2:4] if isinstance(d, Dim) for atom in d.atoms()})
    frames: list[_Frame] = [{}]
    for part, later in zip(around, reversed(used[:-1]), strict=True):
        inner = (inner for frame in frames for inner in _within(part, frame, env))
        kept = dict.fromkeys(tuple((i, at) for i, at in frame.items() if i in later) for frame in inner)
        frames = [dict(one) for one in kept]
    return frames


def _within(part: Part, frame: _Frame, env: Env) -> Iterator[_Frame]:
    """The values that the indices around take inside one more loop or condition."""
    place = _place(frame, env)
    if len(part) == 4:
        _, relation, left, right = part
        if RELATIONS[relation](place.size(left), place.size(right)):
            yield frame
        return
    _, index, first, last, step = part
    start, end = place.size(first), place.size(last)
    if abs(end - start) > MOST_STEPS:
        raise LimitExceeded(f"a recurrence of more than {MOST_STEPS} steps is not evaluated here")
    for at in range(start, end + step, step):
        yield {**frame, index: at}


def _place(frame: _Frame, env: Env) -> Env:
    return Env(sizes={**env.sizes, **frame}, indexed=env.indexed)
