"""Golden derivations: the text, the identical term, the number.

``tests/golden/*.toml`` hold cases: what is asked (``expr``, ``wrt``, ``where``, ``let``, ``form``,
``route``, ``structured``) and what is answered: ``text``, and where a case has them ``unicode``, ``latex`` and
``steps``.  To add a case write what is asked, an empty string for each further output that is
wanted, and run ``pytest --update-golden``; it writes no answer that the numbers do not confirm.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import matcalc as mc
from golden.witness import answer_error, checkable, derivation_errors, differs_read_back
from matcalc.output.derivation import text_steps

FOLDER = Path(__file__).parent / "golden"
OUTPUTS = ("text", "unicode", "latex", "steps")
HEAD = "[[case]]\n"


@cache
def cases(path: Path) -> dict[str, dict[str, Any]]:
    read = tomllib.loads(path.read_text(encoding="utf-8"))["case"]
    named = {case["name"]: case for case in read}
    assert len(named) == len(read), f"{path.name}: two cases have one name"
    return named


ALL = [(path, name) for path in sorted(FOLDER.glob("*.toml")) for name in cases(path)]


def derive(case: dict[str, Any]) -> mc.Derivative:
    return mc.derivative(
        case["expr"],
        case["wrt"],
        where=case["where"],
        let=case.get("let"),
        form=case.get("form", "auto"),
        route=case.get("route", "differential"),
        structured=case.get("structured", False),
    )


def outputs(answer: mc.Derivative, wanted: list[str]) -> dict[str, str]:
    make = {
        "text": lambda: str(answer),
        "unicode": answer.unicode,
        "latex": answer.latex,
        "steps": lambda: "\n".join(text_steps(answer.steps, answer.names)),
    }
    return {key: make[key]() for key in OUTPUTS if key in wanted}


def errors(case: dict[str, Any], answer: mc.Derivative) -> list[str]:
    """Why the answer must not be believed: its steps, or the derivative found without rules, say otherwise."""
    require = checkable((*answer.system.assumptions, *answer.conditions))
    wrong = derivation_errors(answer.steps, answer.wrt.term, require)
    if answer.steps[-1].after is not answer.expr.term:
        wrong.append(f"the derivation ends with {answer.steps[-1].after}, the answer is {answer}")
    again = differs_read_back(answer.expr, mc.parse(str(answer), where=case["where"]))
    formula = latex_read_back(answer, case["where"])
    return [line for line in (*wrong, answer_error(answer), again, formula) if line]


def latex_read_back(answer: mc.Derivative, where: Any) -> str:
    """Empty when the LaTeX of an answer reads back; the length of a unit vector it does not show."""
    try:
        return differs_read_back(answer.expr, mc.parse(f"${answer.latex()}$", where=where))
    except mc.ShapeError as error:
        return "" if "cannot be seen" in error.message else str(error)


@pytest.mark.parametrize(("path", "name"), ALL, ids=[f"{path.stem}::{name}" for path, name in ALL])
def test_golden(path: Path, name: str, update_golden: bool) -> None:
    case = cases(path)[name]
    answer = derive(case)
    assert errors(case, answer) == []
    made = outputs(answer, ["text", *case])
    if update_golden:
        rewrite(path, name, made)
    else:
        assert made == {key: case[key].strip("\n") for key in made}


# ---------------------------------------------------------------- writing


def rewrite(path: Path, name: str, made: dict[str, str]) -> None:
    """Put the outputs of one case into its file; the rest of the file stays as it is."""
    first, *blocks = path.read_text(encoding="utf-8").split(HEAD)
    for i, block in enumerate(blocks):
        if tomllib.loads(block)["name"] == name:
            blocks[i] = _with_outputs(block, made)
    path.write_text(HEAD.join([first, *blocks]), encoding="utf-8")


def _with_outputs(block: str, made: dict[str, str]) -> str:
    old = rf"^(?:{'|'.join(OUTPUTS)}) = (?:'''.*?'''|\"[^\"\n]*\"|'[^'\n]*')\n"
    block = re.sub(old, "", block, flags=re.MULTILINE | re.DOTALL)
    asked = re.match(r"(?:[^\n]+\n)*", block)
    assert asked is not None
    answers = "".join(f"{key} = {_quoted(value)}\n" for key, value in made.items())
    return asked.group() + answers + block[asked.end() :]


def _quoted(value: str) -> str:
    if "\n" in value or ("'" in value and "\\" in value):
        assert "'''" not in value, "a literal string cannot hold three quotes"
        return f"'''\n{value}\n'''"
    return f'"{value}"' if "'" in value else f"'{value}'"


def test_writing_keeps_what_is_asked(tmp_path: Path) -> None:
    path = tmp_path / "some.toml"
    path.write_text(
        "# about the file\n\n[[case]]\nname = 'one'  # why\nexpr = 'x'\ntext = 'old'\nsteps = '''\na\nb\n'''\n\n"
        "# about the next\n[[case]]\nname = 'two'\ntext = 'kept'\n",
        encoding="utf-8",
    )
    rewrite(path, "one", {"text": "A'", "latex": "\\phi' x", "steps": "1\n2"})
    assert path.read_text(encoding="utf-8") == (
        "# about the file\n\n[[case]]\nname = 'one'  # why\nexpr = 'x'\ntext = \"A'\"\nlatex = '''\n\\phi' x\n'''\n"
        "steps = '''\n1\n2\n'''\n\n# about the next\n[[case]]\nname = 'two'\ntext = 'kept'\n"
    )


def test_a_wrong_answer_is_not_written() -> None:
    case = {"expr": "x'*A*x", "wrt": "x", "where": "x: vector(n); A: matrix(n,n)"}
    answer = derive(case)
    answer.__dict__["_derived"] = mc.derivative("2*x'*A*x", "x", where=case["where"])._derived
    assert any("off by" in line for line in errors(case, answer))
