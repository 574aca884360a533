"""What is installed: the package with its grammar, its rules and its type information."""

from __future__ import annotations

import tarfile
import tomllib
import zipfile
from pathlib import Path

import hatchling.build
import pytest
from lark import Lark

import matcalc
from matcalc.language.parser import STARTS
from matcalc.resources import data_dir

ROOT = Path(__file__).resolve().parent.parent
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@pytest.fixture
def in_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def data_files() -> list[str]:
    files = [f"{kind}/{path.name}" for kind in ("grammar", "rules") for path in (ROOT / kind).iterdir()]
    assert len(files) > 5
    return files


@pytest.mark.usefixtures("in_root")
def test_wheel(tmp_path: Path) -> None:
    name = hatchling.build.build_wheel(str(tmp_path))
    inside = set(zipfile.ZipFile(tmp_path / name).namelist())
    assert {f"matcalc/{file}" for file in data_files()} <= inside
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "matcalc").rglob("*.py")}
    assert modules | {"matcalc/py.typed"} <= inside
    assert {file.split("/")[0] for file in inside} == {"matcalc", name.removesuffix("-py3-none-any.whl") + ".dist-info"}


@pytest.mark.usefixtures("in_root")
def test_source_distribution(tmp_path: Path) -> None:
    name = hatchling.build.build_sdist(str(tmp_path))
    with tarfile.open(tmp_path / name) as archive:
        inside = {file.partition("/")[2] for file in archive.getnames()}
    needed = {*data_files(), "matcalc/py.typed", "pyproject.toml", "README.md", "examples/iris.csv"}
    assert needed <= inside
    assert {f"tests/{path.name}" for path in (ROOT / "tests").glob("*.py")} <= inside


def test_the_distribution_does_not_take_another_name() -> None:
    assert SETTINGS["project"]["name"] != "matcalc"
    assert SETTINGS["project"]["scripts"] == {"matcalc": "matcalc.interface.cli:main"}


def test_public_names_load() -> None:
    for name in matcalc.__all__:
        assert getattr(matcalc, name) is not None


def test_grammar_without_conflicts() -> None:
    text = (data_dir("grammar") / "matcalc.lark").read_text(encoding="utf-8")
    Lark(text, parser="lalr", start=list(STARTS), strict=True)


def test_strict_mode_finds_conflicts() -> None:
    with pytest.raises(Exception, match=r"[Cc]onflict|[Cc]ollision"):
        Lark("start: a | b\na: X\nb: X\nX: 'x'".replace("'", '"'), parser="lalr", strict=True)
