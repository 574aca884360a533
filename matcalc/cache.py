"""What is costly to make and the same in every process: parser tables and rules that are read, kept on disk.

The folder ``$XDG_CACHE_HOME/matcalc`` (``~/.cache/matcalc``) belongs to the user alone; a folder or a file that
others could have written is not read.  Only data and the classes of terms and rules are read back.  Whatever
goes wrong, the thing is made anew.
"""

from __future__ import annotations

import io
import os
import pickle
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from . import __version__
from .resources import data_dir

PACKAGE = Path(__file__).resolve().parent
_READ = ("terms.ops", "terms.term", "terms.dims", "terms.symbols", "rewriting.rule", "rewriting.loader")
_CLASSES = {f"matcalc.{name}" for name in _READ} | {"fractions"}

T = TypeVar("T")


def cached(name: str, make: Callable[[], T]) -> T:
    """What ``make`` gives, from the disk if it is there."""
    with (
        suppress(
            OSError, pickle.UnpicklingError, ValueError, TypeError, AttributeError, LookupError, EOFError, ImportError
        ),
        _folder() as folder,
    ):
        kept: T = _Reader(io.BytesIO(_read(folder, _file(name)))).load()
        return kept
    made = make()
    with suppress(OSError, pickle.PicklingError, TypeError, AttributeError), _folder() as folder:
        _write(folder, name, pickle.dumps(made, protocol=5))
    return made


class _Reader(pickle.Unpickler):
    """Reads plain data, terms and rules, and calls nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The classes, operators and restoring functions of :data:`_CLASSES`."""
        found = super().find_class(module, name) if module in _CLASSES and "." not in name else None
        home = getattr(found, "__module__", "")
        if found is not None and home == module and (isinstance(found, type) or name == "_restore" or name.isupper()):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is not read from the cache")


@cache
def _key() -> str:
    """Changes with the version, the grammar, the rules and the code that reads them."""
    digest = sha256(f"{__version__} {sys.version} {_lark_version()}".encode())
    folders = [PACKAGE / part for part in ("terms", "language", "rewriting")]
    for path in sorted(p for folder in folders for p in folder.glob("*.py")):
        seen = path.stat()
        digest.update(f"{path.name} {seen.st_size} {seen.st_mtime_ns}".encode())
    for kind in ("grammar", "rules"):
        for path in sorted(data_dir(kind).iterdir()):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:24]


def _lark_version() -> str:
    import lark

    return lark.__version__


def _file(name: str) -> str:
    return f"{name}-{_key()}"


@contextmanager
def _folder() -> Iterator[int]:
    """The folder, opened; :class:`OSError` when it is not the user's own."""
    if not hasattr(os, "getuid"):
        raise OSError("ownership cannot be checked")
    parent = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    path = Path(parent) / "matcalc"
    path.mkdir(mode=0o700, parents=True, exist_ok=True)
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        _own(os.fstat(opened))
        yield opened
    finally:
        os.close(opened)


def _own(seen: os.stat_result) -> None:
    if seen.st_uid != os.getuid() or seen.st_mode & 0o022:
        raise PermissionError("others could have written this")


def _read(folder: int, file: str) -> bytes:
    opened = os.open(file, os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder)
    with os.fdopen(opened, "rb") as stream:
        seen = os.fstat(opened)
        _own(seen)
        if not stat.S_ISREG(seen.st_mode):
            raise OSError("not a file")
        return stream.read()


def _write(folder: int, name: str, data: bytes) -> None:
    """Replace the file at once; earlier versions go."""
    file = _file(name)
    fresh = f"{file}.{os.getpid()}"
    opened = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600, dir_fd=folder)
    with os.fdopen(opened, "wb") as stream:
        stream.write(data)
    os.replace(fresh, file, src_dir_fd=folder, dst_dir_fd=folder)
    for other in os.listdir(folder):
        if other.startswith(f"{name}-") and not other.startswith(file):
            with suppress(OSError):
                os.unlink(other, dir_fd=folder)
