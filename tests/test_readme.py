"""What the README shows is what matcalc answers.

A formula follows the Python expression that makes it, in a comment; a ``console`` block holds
commands with their output, a ``matcalc`` block statements at the prompt with their answers.
``pytest --update-golden`` writes them anew.  Python blocks are doctests.
"""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import matcalc as mc
from matcalc.interface.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
FORMULA = re.compile(r"(<!-- formula: ([^\n]*) -->\n```math\n)(.*?)(```\n)", re.DOTALL)


def block(language: str) -> re.Pattern[str]:
    return re.compile(rf"(```{language}\n)(.*?)(```\n)", re.DOTALL)


def formula(found: re.Match[str]) -> str:
    made = eval(found[2], {"mc": mc})  # the README's own Python, as its reader would run it
    return f"{found[1]}{made}\n{found[4]}"


def console(capsys: pytest.CaptureFixture[str]) -> Callable[[re.Match[str]], str]:
    def run(found: re.Match[str]) -> str:
        lines = []
        for line in found[2].splitlines():
            if not line.startswith("$ "):
                continue
            name, *arguments = shlex.split(line[2:])
            assert name == "matcalc"
            assert main(arguments) == 0
            printed = capsys.readouterr()
            assert all(told.startswith("# ") for told in printed.err.splitlines())
            lines += [line, *printed.err.splitlines(), *printed.out.splitlines()]
        return found[1] + "".join(f"{line}\n" for line in lines) + found[3]

    return run


def prompt(found: re.Match[str]) -> str:
    session = mc.Session()
    lines = []
    for line in found[2].splitlines():
        if line.startswith("> "):
            lines.append(line)
            lines += [shown for answer in session.run(line[2:]) for shown in answer.lines()]
    return found[1] + "".join(f"{line}\n" for line in lines) + found[3]


def test_answers(capsys: pytest.CaptureFixture[str], update_golden: bool) -> None:
    text = README.read_text(encoding="utf-8")
    for pattern, renew in ((FORMULA, formula), (block("console"), console(capsys)), (block("matcalc"), prompt)):
        assert pattern.search(text), pattern
        made = pattern.sub(renew, text)
        if update_golden:
            README.write_text(made, encoding="utf-8")
        else:
            assert made == text
        text = made


PAGES = [README, *(ROOT / "docs" / name for name in ("minimize.md", "solving.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python(page: Path) -> None:
    blocks = block("python").findall(page.read_text(encoding="utf-8"))
    assert blocks
    source = "\n".join(code for _, code, _ in blocks)
    test = doctest.DocTestParser().get_doctest(source, {}, page.stem, str(page), 0)
    assert len(test.examples) >= len(blocks)
    complaints: list[str] = []
    assert doctest.DocTestRunner().run(test, out=complaints.append).failed == 0, "".join(complaints)


def test_setting_up_is_one_command_each() -> None:
    commands = re.findall(r"^python3\.11 -m venv .*$", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert [command.split()[-1] for command in commands] == ["examples/gaussian_mle.py", "pytest"]


def test_paths_of_the_layout() -> None:
    rows = re.findall(r"^\| `([a-z_./]+)` \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 8
    for path in rows:
        assert (ROOT / path).exists(), path
