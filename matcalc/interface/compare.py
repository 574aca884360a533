"""Someone's own answer held against ours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from ..calculus.present import same
from ..calculus.system import System
from ..errors import LimitExceeded, MatcalcError
from ..terms import build
from ..terms.term import Term

EQUAL, TRANSPOSED, FACTOR, STRUCTURE, DIFFERENT = "equal", "transposed", "factor", "structure", "different"
TOLERANCE = 1e-8
POINTS, TRIES = 3, 30


@dataclass(frozen=True)
class Verdict:
    """How an answer compares: ``equal``, ``transposed``, ``factor``, ``structure`` or ``different``.

    ``factor`` is the constant that the answer is off by, ``counterexample`` inputs at which it
    differs with both values.  True as a condition when the answer is equal.
    """

    verdict: str
    how: str
    factor: float | None = None
    counterexample: dict[str, Any] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return self.verdict == EQUAL

    def __str__(self) -> str:
        return f"{self.verdict}: {self.how}"


def compare(system: System, ours: Term, given: Term, require: Sequence[tuple[Term, str]], structured: bool) -> Verdict:
    """Hold ``given`` against ``ours``; ``structured`` when only the symmetric part is determined."""
    if given.shape != ours.shape:
        if given.shape == (ours.cols, ours.rows):
            inner = compare(system, ours, build.transpose(given), require, structured)
            if inner.verdict == EQUAL:
                return Verdict(TRANSPOSED, "the same in the transposed layout")
        shapes = f"{build.show_shape(*given.shape)}, not {build.show_shape(*ours.shape)}"
        return Verdict(DIFFERENT, f"the shape is {shapes}")
    how = same(system, ours, given)
    if how:
        return Verdict(EQUAL, how)
    return _by_numbers(ours, given, require, structured)


def _by_numbers(ours: Term, given: Term, require: Sequence[tuple[Term, str]], structured: bool) -> Verdict:
    import numpy as np

    from ..numeric.evaluate import evaluate
    from ..numeric.sample import sample

    points: list[tuple[Any, Any, Any]] = []
    undefined: MatcalcError | None = None
    for seed in range(TRIES):
        env = sample([ours, given], seed, domain=("any", "positive", "any")[seed % 3], require=require)
        try:
            mine, theirs = evaluate([ours, given], env)
        except LimitExceeded:
            raise
        except MatcalcError as error:  # one of them has no value there, as inv(X'*X) has none for a wide X
            undefined = error
            continue
        points.append((env, mine, theirs))
        if len(points) == POINTS:
            break
    if undefined is not None and not points:
        raise undefined

    def agree(change: Any) -> bool:
        return all(_close(change(a), change(b)) for _, a, b in points)

    if agree(lambda a: a):
        return Verdict(EQUAL, "by numbers only: the values agree at random points, the rules do not show it")
    if ours.is_square and not ours.is_scalar and all(_close(a, b.T) for _, a, b in points):
        return Verdict(TRANSPOSED, "the same in the transposed layout")
    if structured and agree(lambda a: a + a.T):
        return Verdict(STRUCTURE, "equal along the declared structure, where only the symmetric part counts")
    ratios = [float(np.vdot(a, b) / np.vdot(a, a)) for _, a, b in points if np.vdot(a, a) > 0]
    if ratios and np.ptp(ratios) <= TOLERANCE * max(1.0, abs(ratios[0])) and ratios[0] != 0:
        factor = ratios[0]
        if all(_close(factor * a, b) for _, a, b in points):
            return Verdict(FACTOR, f"{factor:.6g} times the derivative", factor)
    first, a, b = points[0]
    inputs = {symbol.name: value for symbol, value in first.symbols.items()}
    return Verdict(DIFFERENT, "the values differ", counterexample={**inputs, "ours": a, "given": b})


def _close(a: Any, b: Any) -> bool:
    import numpy as np

    return bool(np.max(np.abs(a - b), initial=0.0) <= TOLERANCE * max(1.0, float(np.max(np.abs(a), initial=0.0))))
