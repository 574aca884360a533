"""Bounds on what one question may cost: time, terms made, depth, length of a text.

>>> import matcalc as mc
>>> with mc.limits(seconds=5):
...     d = mc.derivative("norm(x)^2", "x", where="x: vector(n)")

The bounds hold for each question by itself.  What goes beyond raises :class:`LimitExceeded`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from functools import wraps
from time import monotonic, thread_time
from typing import Any, TypeVar, cast

from .errors import LimitExceeded


@dataclass(frozen=True)
class Limits:
    """The bounds; None for none.

    ``seconds`` for one question, ``nodes`` the terms made while it is answered, ``depth`` the operations
    inside one another, ``characters`` the length of a text.
    """

    seconds: float | None = 60.0
    nodes: int | None = 2_000_000
    depth: int | None = 100_000
    characters: int | None = 1_000_000


_limits: ContextVar[Limits] = ContextVar("limits", default=Limits())  # noqa: B039 - frozen


class Setting:
    """Bounds that were set; as a context manager it puts the earlier ones back at the end."""

    def __init__(self, before: Limits, now: Limits) -> None:
        self.before, self.now = before, now

    def __enter__(self) -> Limits:
        return self.now

    def __exit__(self, *_: object) -> None:
        _limits.set(self.before)

    def __repr__(self) -> str:
        return repr(self.now)


def limits(**changes: float | None) -> Setting:
    """Set bounds by name (``seconds``, ``nodes``, ``depth``, ``characters``), within ``with`` or from here on.

    Raises :class:`TypeError` for another name, :class:`ValueError` for what is no positive number.
    """
    for name, value in changes.items():
        if value is not None and not value > 0:
            raise ValueError(f"{name} is a positive number, or None")
    before = _limits.get()
    given: dict[str, Any] = dict(changes)
    now = replace(before, **given)
    _limits.set(now)
    return Setting(before, now)


def current() -> Limits:
    """The bounds that hold."""
    return _limits.get()


# ---------------------------------------------------------------- while a question is answered


class _Watch:
    __slots__ = ("deadline", "depth", "left", "limits", "look", "part")

    def __init__(self, bounds: Limits) -> None:
        self.limits = bounds
        self.deadline = monotonic() + bounds.seconds if bounds.seconds is not None else None
        self.left = bounds.nodes if bounds.nodes is not None else -1
        self.depth = bounds.depth if bounds.depth is not None else 1 << 62
        self.part: float | None = None
        """Until when, in processor time of the thread, a part may go on."""
        self.look = 0.0
        """When that is looked at again: it takes at least as long by the clock."""


_watch: ContextVar[_Watch | None] = ContextVar("watch", default=None)


@contextmanager
def question() -> Iterator[None]:
    """One question: the bounds are counted from here, unless it is part of another question."""
    if _watch.get() is not None:
        yield
        return
    token = _watch.set(_Watch(_limits.get()))
    try:
        yield
    finally:
        _watch.reset(token)


@contextmanager
def allowance(seconds: float) -> Iterator[None]:
    """A part of a question that may take so much processor time and no more, however busy the machine is.

    Raises :class:`Lapsed` when that is over, :class:`LimitExceeded` when the bounds of the question are reached.
    """
    with question():
        watch = _watch.get()
        assert watch is not None
        before, look = watch.part, watch.look
        here = thread_time() + seconds
        watch.part = here if before is None else min(before, here)
        watch.look = 0.0
        try:
            yield
        finally:
            watch.part, watch.look = before, look


class Lapsed(LimitExceeded):
    """An allowance is over, the question is not."""


F = TypeVar("F", bound=Callable[..., Any])


def bounded(function: F) -> F:
    """A function whose call is a question."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if _watch.get() is not None:
            return function(*args, **options)
        with question():
            return function(*args, **options)

    return cast(F, call)


def tick() -> None:
    """Called where work may go on and on.  Raises :class:`LimitExceeded` when the time is over."""
    watch = _watch.get()
    if watch is None or (watch.deadline is None and watch.part is None):
        return
    now = monotonic()
    if watch.deadline is not None and now > watch.deadline:
        raise LimitExceeded(f"the time is over: {watch.limits.seconds:g} seconds", hint=ADJUST)
    if watch.part is not None and now >= watch.look:
        left = watch.part - thread_time()
        if left < 0:
            raise Lapsed("the time for this part is over")
        watch.look = now + left


def count(depth: int) -> None:
    """Called for each new term.  Raises :class:`LimitExceeded`."""
    watch = _watch.get()
    if watch is None:
        return
    watch.left -= 1
    if watch.left & 63 == 0:
        tick()
        if watch.left == 0:
            raise LimitExceeded(f"the question takes more than {watch.limits.nodes} terms", hint=ADJUST)
    if depth > watch.depth:
        raise LimitExceeded(f"more than {watch.limits.depth} operations inside one another", hint=ADJUST)


ADJUST = "mc.limits(...) sets other bounds, matcalc --seconds another time"
