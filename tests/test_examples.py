"""The examples run; the derivations in the scripts are golden tests.

``tests/golden/<script>.txt`` is what ``matcalc run`` prints; the scripts run in this process, one also as a user
runs it.  Beside the text, every formula reads back to the identical term, every ``==`` holds by the normal form, and
every step is replayed with numbers.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from functools import cache
from pathlib import Path

import pytest

import matcalc as mc
from golden.witness import checkable, derivation_errors, differs_read_back, solution_errors
from matcalc.interface.answers import Answer, Steps
from matcalc.interface.cli import Transcript
from matcalc.interface.solution import Solved

ROOT = Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
GOLDEN = Path(__file__).parent / "golden"
SCRIPTS = sorted(path.relative_to(EXAMPLES).with_suffix("").as_posix() for path in EXAMPLES.rglob("*.mc"))


def run(*command: str, cwd: Path = ROOT) -> str:
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


# ---------------------------------------------------------------- the scripts


@cache
def ran(script: str) -> tuple[mc.Session, list[Answer], str]:
    """The session after a script, its answers, and what ``matcalc run`` prints of them."""
    text = (EXAMPLES / f"{script}.mc").read_text(encoding="utf-8")
    session, printed, transcript = mc.Session(), io.StringIO(), Transcript(text)
    answers: list[Answer] = []
    with redirect_stdout(printed):
        session.run_each(text, lambda answer: (answers.append(answer), transcript.show(answer)))
    return session, answers, printed.getvalue()


def wrong(session: mc.Session, answers: list[Answer]) -> Iterator[str]:
    """What the numbers, the normal forms or the printed texts say against the answers."""
    for answer in answers:
        if answer.kind == "identity" and answer.value.how != "the same normal form":
            yield f"{answer.statement}: {answer.value}"
        for shown in _formulas(answer.value):
            yield from filter(None, [differs_read_back(shown, session.run(str(shown))[0].value)])
        if isinstance(answer.value, Steps):
            yield from _wrong_steps(session, answer.value)


def _formulas(value: object) -> list[mc.Expr]:
    if isinstance(value, mc.Expr):
        return [value]
    if isinstance(value, mc.Derivative):
        return [value.expr]
    return list(value.values.values()) if isinstance(value, Solved) else []


def _wrong_steps(session: mc.Session, shown: Steps) -> list[str]:
    require = checkable(session.scope.assumptions)
    if isinstance(shown.of, Solved):
        needed = checkable((c.term, c.fact) for c in shown.of.conditions if not c.known)
        checked = shown.of.check()
        wrong_check = [] if checked.ok and checked.trials else [checked.message]
        return wrong_check + solution_errors(shown.steps, shown.of.assignments(), {}, [*require, *needed])
    variable = shown.of.wrt.term if isinstance(shown.of, mc.Derivative) else None
    return derivation_errors(shown.steps, variable, require)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_derivation(script: str, update_golden: bool) -> None:
    session, answers, transcript = ran(script)
    assert list(wrong(session, answers)) == []
    golden = GOLDEN / f"{script}.txt"
    if update_golden:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(transcript, encoding="utf-8")
    assert transcript == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize(("script", "slips"), [("gaussian_mle", 4), ("mlp_gradient", 1)])
def test_the_golden_file_says_where_the_post_slips(script: str, slips: int) -> None:
    assert (GOLDEN / f"{script}.txt").read_text(encoding="utf-8").count("The post ") >= slips


# ---------------------------------------------------------------- as a user runs them


def test_the_command_that_the_readme_shows_first() -> None:
    printed = run(sys.executable, "-m", "matcalc", "run", "examples/gaussian_mle.mc")
    assert printed == (GOLDEN / "gaussian_mle.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("program", sorted(EXAMPLES.glob("*.py")), ids=lambda path: path.name)
def test_program(program: Path, tmp_path: Path) -> None:
    assert "NO" not in run(sys.executable, str(program), cwd=tmp_path)
