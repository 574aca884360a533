"""What the source is written for: NumPy, or a library that takes its place."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .numpy_writer import NumpyWriter
from .writer import Writer


def _as_it_is(source: str) -> str:
    return source


@dataclass(frozen=True)
class Target:
    """How a plan becomes source: the writer of its nodes, and the last pass over the whole text.

    With ``lower`` the passes of :mod:`.lower` come first: the writer then meets the operators of :mod:`.primitives`
    and their helpers too.
    """

    name: str
    writer: type[Writer] = Writer
    finish: Callable[[str], str] = _as_it_is
    lower: bool = False


NUMPY = Target("numpy", NumpyWriter, lower=True)
