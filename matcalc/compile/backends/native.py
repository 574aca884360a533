"""What the source of a function with C kernels holds to build and load them; its text is copied there.

Nothing here imports the rest of matcalc, so that the source runs alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np


def _compiler() -> list[str] | None:
    """The command of a C compiler: what CC names, or cc, gcc or clang."""
    commands = [shlex.split(os.environ.get("CC", "")), ["cc"], ["gcc"], ["clang"]]
    return next((command for command in commands if command and shutil.which(command[0])), None)


@contextlib.contextmanager
def _own_folder() -> Iterator[Path]:
    """The user's cache folder when it belongs to the user alone, else a folder that goes away."""
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "matcalc" / "native"
    safe = False
    with contextlib.suppress(OSError):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        safe = hasattr(os, "getuid") and all(_own(path, stat.S_ISDIR) for path in (folder.parent, folder))
    if safe and os.access(folder, os.W_OK):
        yield folder
    else:
        with tempfile.TemporaryDirectory() as temporary:
            yield Path(temporary)


def _own(path: Path, kind: Callable[[int], bool]) -> bool:
    """True for what the user owns, nobody else can write, and is no link."""
    try:
        seen = os.lstat(path)
    except OSError:
        return False
    return kind(seen.st_mode) and seen.st_uid == os.getuid() and not seen.st_mode & 0o022


def _library(source: str) -> ctypes.CDLL | None:
    """The compiled source, from the cache when it is there; None, with a warning, where it cannot be built."""
    compiler = _compiler()
    if compiler is None:
        warnings.warn(
            "no C compiler was found (cc, gcc or clang, or the one that CC names): NumPy computes what was to be fused",
            RuntimeWarning,
            stacklevel=3,
        )
        return None
    machine = platform.machine() + platform.node()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        machine += next((line for line in lines if line.startswith(("flags", "Features"))), "")
    key = hashlib.sha256("\0".join([source, *compiler, machine]).encode()).hexdigest()[:32]
    with _own_folder() as folder:
        built = folder / f"{key}.so"
        if _own(built, stat.S_ISREG):
            with contextlib.suppress(OSError):
                return ctypes.CDLL(str(built))
        common = ["-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC"]
        fast = ["-march=native", "-fopenmp-simd"]
        wide = [*fast, "-mprefer-vector-width=512"]
        told = ""
        with tempfile.TemporaryDirectory(dir=folder) as work:
            text, made = Path(work) / "kernels.c", Path(work) / "kernels.so"
            text.write_text(source)
            for flags, libraries in (
                ([*wide, "-DVECTOR_MATH=2"], ["-lmvec", "-lm"]),
                ([*wide, "-DVECTOR_MATH=1"], ["-lmvec", "-lm"]),
                (fast, ["-lm"]),
                ([], ["-lm"]),
            ):
                command = [*compiler, *common, *flags, str(text), "-o", str(made), *libraries]
                done = subprocess.run(command, capture_output=True, text=True)
                if done.returncode == 0:
                    with contextlib.suppress(OSError):
                        ctypes.CDLL(str(made))  # a library that is missing shows here
                        os.chmod(made, 0o700)
                        os.replace(made, built)
                        return ctypes.CDLL(str(built))
                told = (done.stderr.strip().splitlines() or [f"{compiler[0]} gave no library"])[-1]
    warnings.warn(f"the C compiler failed ({told}): NumPy computes what was to be fused", RuntimeWarning, stacklevel=3)
    return None


def _kernel(
    library: ctypes.CDLL | None, name: str, takes: str, gives: str, otherwise: Callable[..., Any]
) -> Callable[..., Any]:
    """The kernel as a function of arrays (a, or o when it is written over) and numbers (n), which gives such.

    ``otherwise`` is the function without a library, and of few entries, of which NumPy is as fast.
    """
    if library is None:
        return otherwise
    pointer, function = ctypes.POINTER(ctypes.c_double), library[name]
    function.restype = None
    made, numbers = gives.count("a") - takes.count("o"), gives.count("n")
    given_as: list[Any] = [ctypes.c_double if kind == "n" else pointer for kind in takes]
    function.argtypes = [ctypes.c_long, *given_as, *[pointer] * (made + (numbers > 0))]
    arrays, over = len(takes) - takes.count("n"), [k for k, kind in enumerate(takes) if kind == "o"]
    sums = ctypes.c_double * numbers
    on: Callable[[Any], Any] = ctypes.c_double.from_buffer

    def address(array: Any) -> Any:
        return on(array) if array.flags.writeable else array.ctypes.data_as(pointer)

    def call(*given: Any) -> Any:
        shape, size = given[0].shape, given[0].size
        if size < 256 or any(value.shape != shape for value in given[1:arrays]):
            return otherwise(*given)
        kept = [np.ascontiguousarray(value, dtype=float) for value in given[:arrays]]
        results, totals = [np.empty(shape) for _ in range(made)], sums()
        function(size, *map(address, kept), *given[arrays:], *map(on, results), *((totals,) if numbers else ()))
        values = [*[kept[k] for k in over], *results, *totals]
        return values[0] if len(values) == 1 else values

    return call
