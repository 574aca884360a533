"""The picture of an iteration."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import MatcalcError
from .result import Optimum


def save(result: Optimum, path: str) -> None:
    """The picture in a file.  Raises :class:`MatcalcError` where it cannot be written."""
    axes = draw(result)
    figure = axes[0].figure
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise MatcalcError(f"{path} cannot be written: {error}") from None
    finally:
        _pyplot().close(figure)


def _pyplot() -> Any:
    try:
        from matplotlib import pyplot
    except ImportError:
        raise MatcalcError("Matplotlib is not installed", hint='pip install "matcalc-symbolic[plot]"') from None
    return pyplot


def draw(result: Optimum, axes: Any = None) -> Any:
    """Value above, norm of the gradient below, against the iteration, both on a logarithmic scale."""
    if axes is None:
        figure, axes = _pyplot().subplots(2, 1, sharex=True, figsize=(6, 5), layout="constrained")
        figure.suptitle(f"{result.goal}, {result.method}")
    above, below = axes
    values = np.array([step.value for step in result.trajectory])
    norms = np.array([step.gradient_norm for step in result.trajectory])
    gaps = np.abs(values - result.value)
    above.plot(np.where(gaps > 0, gaps, np.nan), marker=".")
    above.set(ylabel=f"distance from {result.value:.6g}")
    below.plot(np.where(norms > 0, norms, np.nan), marker=".")
    below.set(xlabel="iteration", ylabel="norm of the gradient")
    for one, shown in ((above, gaps), (below, norms)):
        if (shown > 0).any():
            one.set_yscale("log")
    return axes
