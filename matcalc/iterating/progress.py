"""What is recorded of an iteration, and shown while it runs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from time import monotonic
from typing import Any

from .result import Iterate

PATIENCE = 2.0
"""Seconds before anything is shown."""

EVERY = 0.25
"""Seconds between two lines."""


class Recorder:
    """The trajectory.  ``show`` None: shown on a terminal when it takes long; ``keep`` keeps the points."""

    def __init__(self, show: bool | None, keep: bool, seconds: float | None) -> None:
        self.trajectory: list[Iterate] = []
        self.started = monotonic()
        self.keep = keep
        self.deadline = None if seconds is None else self.started + seconds
        self._show = show if show is not None else bool(sys.stderr is not None and sys.stderr.isatty())
        self._after = 0.0 if show else PATIENCE
        self._shown = 0.0
        self._drawn = False

    @property
    def seconds(self) -> float:
        """Since the start."""
        return monotonic() - self.started

    @property
    def over(self) -> bool:
        """Whether the time that was given is over."""
        return self.deadline is not None and monotonic() > self.deadline

    def add(self, value: float, norm: float, point: Callable[[], dict[str, Any]]) -> None:
        """One more iterate."""
        now = self.seconds
        self.trajectory.append(Iterate(value, norm, now, point() if self.keep else None))
        if self._show and now >= self._after and now - self._shown >= EVERY:
            self._shown, self._drawn = now, True
            text = f"iteration {len(self.trajectory) - 1}   value {value:.8g}   gradient {norm:.2e}   {now:.0f} s"
            print(f"\r{text:<78}", end="", file=sys.stderr, flush=True)

    def close(self) -> None:
        """The line of the terminal is free again."""
        if self._drawn:
            print(f"\r{'':78}\r", end="", file=sys.stderr, flush=True)
