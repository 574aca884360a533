"""Rows about convexity, verified along random lines.

A variable that is *affine* runs along a straight line, a *convex* one along a curve whose entries are
convex, a *constant* one stays; the row's term must then lie below (above) its chords.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from zlib import crc32

import numpy as np

from ..errors import MatcalcError
from ..numeric.arrays import Array
from ..numeric.evaluate import Env, evaluate
from ..terms import ops
from ..terms.dims import Atom, Dim, Index, Name
from ..terms.symbols import Family, Symbol
from ..terms.walk import attr_dims, postorder
from .rule import Fact, Guard, Has
from .verify import Verdict

TRIALS = 60
CHORDS = 4
CURVES = ("constant", "affine", "convex", "concave")
Curve = Callable[[float], Array]


def verify_on_lines(row: Fact, seed: int = 0, guards: Sequence[Guard] | None = None) -> Verdict:
    """Whether the term of a row is convex or concave (below or above all chords) where its guards hold."""
    sign = 1.0 if row.fact == "convex" else -1.0
    trials = 0
    for draw in range(TRIALS):
        rng = np.random.default_rng(crc32(row.name.encode()) + 7919 * draw + seed)
        env, curves = _drawn(row, row.guards if guards is None else guards, rng)
        for _ in range(CHORDS):
            left, right = rng.uniform(-1, 1, 2)
            try:
                ends, middle = [evaluate(row.term, _at(env, curves, t)) for t in (left, right)], (left + right) / 2
                value = evaluate(row.term, _at(env, curves, middle))
            except MatcalcError:
                continue
            gap = sign * ((ends[0] + ends[1]) / 2 - value)
            if not np.isfinite(gap).all():
                return Verdict(False, "values", f"[{row.name}] has no value", trials)
            trials += 1
            if (gap < -1e-8 * max(1.0, float(abs(value).max(initial=0.0)))).any():
                return Verdict(False, "values", f"[{row.name}] is not {row.fact}: by {gap.min():.2g}", trials)
    return Verdict(trials >= TRIALS, "values", f"[{row.name}] holds on {trials} chords", trials)


Curves = dict[Symbol | tuple[Family, int], Curve]


def _drawn(row: Fact, guards: Sequence[Guard], rng: np.random.Generator) -> tuple[Env, Curves]:
    terms = postorder(row.term)
    sizes: dict[Atom, int] = {}
    for term in terms:
        for d in (term.rows, term.cols, *attr_dims(term.attr)):
            sizes.update((a, 0) for a in d.atoms() if isinstance(a, Name))
    for atom in sizes:
        sizes[atom] = int(rng.integers(1, 4))
    env = Env(sizes=sizes)
    curves: Curves = {}
    for term in terms:
        if term.op is ops.ENTRY:  # the place lies inside
            for at, side in zip(term.attr, term.args[0].shape, strict=True):
                _inside(sizes, at, env.size(side), rng)
    for term in terms:
        if term.op is ops.SYM:
            shape = env.size(term.attr.rows), env.size(term.attr.cols)
            curves[term.attr] = _curve(_facts(guards, term.attr.name), shape, rng)
        elif term.op is ops.MEMBER:
            family = term.attr.family
            shape = env.size(family.rows), env.size(family.cols)
            for at in range(-1, 5):
                curves[family, at] = _curve(_facts(guards, family.name), shape, rng)
    return env, curves


def _inside(sizes: dict[Atom, int], at: Dim, size: int, rng: np.random.Generator) -> None:
    if isinstance(at.atom, Name) and not isinstance(at.atom, Index):
        sizes[at.atom] = int(rng.integers(1, size + 1))


def _at(env: Env, curves: Curves, t: float) -> Env:
    values = {key: curve(t) for key, curve in curves.items()}
    symbols = {k: v for k, v in values.items() if isinstance(k, Symbol)}
    members = {k: v for k, v in values.items() if not isinstance(k, Symbol)}
    return Env(sizes=env.sizes, symbols=symbols, members=members)


def _facts(guards: Sequence[Guard], name: str) -> frozenset[str]:
    return frozenset(
        g.fact for g in guards if isinstance(g, Has) and g.term.op in (ops.SYM, ops.MEMBER) and _name(g) == name
    )


def _name(guard: Has) -> str:
    attr = guard.term.attr
    return str(attr.name if isinstance(attr, Symbol) else attr.family.name)


def _curve(facts: frozenset[str], shape: tuple[int, int], rng: np.random.Generator) -> Curve:
    """A random curve on [-1, 1] with the facts; what is not said to be affine, convex … runs anyhow."""
    start, slope, bend = (rng.normal(size=shape) for _ in range(3))
    kind = next((c for c in CURVES if c in facts), "any")
    if "symmetric" in facts:
        start, slope, bend = start + start.T, slope + slope.T, bend + bend.T
    elif facts & {"psd", "posdef"}:
        root = rng.normal(size=shape)
        start, slope = root @ root.T, 0.05 * (slope + slope.T)
        if "posdef" in facts:
            start = start + np.eye(shape[0])
    elif facts & {"nonneg", "positive"}:
        start, slope, bend = (
            abs(start) + (2.5 if kind != "constant" else 0.1),
            np.clip(slope, -1, 1),
            np.clip(bend, -1, 1),
        )
    if kind == "constant":
        return lambda t: start
    if kind == "affine":
        return lambda t: start + t * slope
    if kind in ("convex", "concave"):
        sign = 1.0 if kind == "convex" else -1.0
        return lambda t: start + t * slope + sign * t * t * abs(bend)
    return lambda t: start + t * slope + np.sin(4 * t + start) * bend
