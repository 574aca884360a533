"""Where the grammar and the rules lie: inside an installed package, beside it in a source tree."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def data_dir(kind: str) -> Path:
    """The folder ``grammar`` or ``rules``.  Raises :class:`FileNotFoundError` when it is nowhere."""
    package = Path(__file__).resolve().parent
    inside = package / kind
    if inside.is_dir():
        return inside
    beside = package.parent / kind
    if beside.is_dir() and (package.parent / "pyproject.toml").is_file():
        return beside
    raise FileNotFoundError(f"the folder {kind!r} is missing from the installation")
