"""The cache of parser tables and rules: only what the user alone can have written is read."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from matcalc import cache
from matcalc.resources import data_dir
from matcalc.rewriting.loader import RULE_FILES, load, load_text

START = """
import sys
import matcalc as mc
where = "A: matrix(m,n); x: vector(n); b: vector(m)"
assert str(mc.derivative("norm(A*x - b)^2", "x", where=where)) == "2*A'*(A*x - b)"
print(*sorted({"numpy", "scipy", "sympy", "jax", "prompt_toolkit"} & set(sys.modules)))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "matcalc"


def made(log: list[int]) -> Callable[[], object]:
    def make() -> object:
        log.append(1)
        return {"a": [1, (2, 3)]}

    return make


def stored(folder: Path) -> Path:
    (file,) = folder.glob("thing-*")
    return file


def test_made_once(folder: Path) -> None:
    log: list[int] = []
    assert [cache.cached("thing", made(log)) for _ in range(3)] == [{"a": [1, (2, 3)]}] * 3
    assert len(log) == 1
    assert folder.stat().st_mode & 0o777 == 0o700
    assert stored(folder).stat().st_mode & 0o777 == 0o600


def test_old_files_go(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    (folder / "thing-0123").touch()
    (folder / "other-0123").touch()
    cache.cached("thing", made([]))
    assert sorted(path.name.partition("-")[0] for path in folder.iterdir()) == ["other", "thing"]


@pytest.mark.parametrize("mode", [0o777, 0o770])
def test_folder_that_others_can_write(folder: Path, mode: int) -> None:
    folder.mkdir()
    folder.chmod(mode)
    log: list[int] = []
    cache.cached("thing", made(log))
    cache.cached("thing", made(log))
    assert len(log) == 2
    assert not list(folder.iterdir())


def test_file_that_others_can_write(folder: Path) -> None:
    log: list[int] = []
    cache.cached("thing", made(log))
    stored(folder).chmod(0o666)
    cache.cached("thing", made(log))
    assert len(log) == 2


def test_links_are_not_followed(folder: Path, tmp_path: Path) -> None:
    log: list[int] = []
    cache.cached("thing", made(log))
    file = stored(folder)
    moved = file.rename(tmp_path / "elsewhere")
    file.symlink_to(moved)
    cache.cached("thing", made(log))
    assert len(log) == 2


@pytest.mark.parametrize("data", [b"", b"garbage", pickle.dumps(os.system), pickle.dumps(load_text), b"\x80\x05N."[:3]])
def test_foreign_data(folder: Path, data: bytes) -> None:
    log: list[int] = []
    cache.cached("thing", made(log))
    stored(folder).write_bytes(data)
    assert cache.cached("thing", made(log)) == {"a": [1, (2, 3)]}
    assert len(log) == 2


def test_nowhere_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    log: list[int] = []
    cache.cached("thing", made(log))
    cache.cached("thing", made(log))
    assert len(log) == 2


@pytest.mark.parametrize("name", RULE_FILES)
def test_rules_come_back_as_they_were(name: str, folder: Path) -> None:
    fresh = load_text((data_dir("rules") / f"{name}.rules").read_text(encoding="utf-8"), name)
    cache.cached("thing", lambda: fresh)
    back = cache.cached("thing", lambda: pytest.fail("not read back"))
    assert [(r.name, r.left, r.right, r.guards, r.conditions) for r in back.file.rules] == [
        (r.name, r.left, r.right, r.guards, r.conditions) for r in fresh.file.rules
    ]
    assert all(
        a.left is b.left and a.right is b.right for a, b in zip(back.file.rules, load(name).file.rules, strict=True)
    )
    assert back.file.implications == fresh.file.implications
    assert [row[1:] for row in back.linear] == [row[1:] for row in fresh.linear]


def test_a_second_process_reads_the_first_ones_cache(tmp_path: Path) -> None:
    environment = {**os.environ, "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(cache.PACKAGE.parent)}
    for seed in ("0", "1"):
        run = subprocess.run(
            [sys.executable, "-c", START],
            env={**environment, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert run.stdout == "\n"
        names = {path.name.rpartition("-")[0] for path in (tmp_path / "matcalc").iterdir()}
        assert {"grammar-matcalc", "rules-simplify", "rules-facts"} <= names
