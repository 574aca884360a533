"""The REPL: keys in, lines out, without a terminal; once on a real one."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from pathlib import Path

import pytest
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

import matcalc as mc
from matcalc.errors import LimitExceeded
from matcalc.interface import complete, repl

ROOT = Path(__file__).parent.parent


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str]) -> object:
    """Type keys; what is printed after the banner."""

    def call(keys: str) -> str:
        with create_pipe_input() as keyboard:
            keyboard.send_text(keys)
            assert repl.repl(input=keyboard, output=DummyOutput(), history=InMemoryHistory()) == 0
        out, err = capsys.readouterr()
        assert err == ""
        banner, _, rest = out.partition("\n")
        assert banner == repl.BANNER
        return rest

    return call


@pytest.mark.parametrize("leave", ["quit\r", "exit\r", "\x04", "x'*\x03\x04"])
def test_leaving(typed, leave: str) -> None:
    assert typed(leave) == ""


def test_answers(typed) -> None:
    assert typed("x: vector(n)\rx'*x\rD(_, x)\rlatex\rquit\r") == "xᵀ*x\n2*xᵀ\n2 x^{\\top}\n"


def test_errors_lose_nothing(typed) -> None:
    shown = typed("x: vector(n)\rf = x'*x\rf*foo(x)\rx*x\rf\rquit\r")
    assert shown.startswith("xᵀ*x\nline 1, column 3: the function foo is not known\n  f*foo(x)\n    ^^^\n")
    assert "line 1, column 1: x*x: x is n×1 but x is n×1\n  x*x\n  ^^^\n" in shown
    assert shown.endswith("\nxᵀ*x\n")
    assert "Traceback" not in shown


def test_ctrl_c_clears_the_line(typed) -> None:
    assert typed("x: vector(n)\rx*x\x03x'\rquit\r") == "xᵀ\n"


def test_open_brackets_go_on(typed) -> None:
    assert typed("x: vector(n)\r(x'*\rx)\rquit\r") == "xᵀ*x\n"
    assert "is not closed" in typed("(1 + 2\r\rquit\r")


def test_symbols(typed) -> None:
    assert typed("\\alpha\t: scalar\r\\alp\t+1\rquit\r") == "α + 1\n"
    assert typed("A: matrix(n,n)\rA\\^T\t\\otimes\tA\\^-1\t\rquit\r") == "Aᵀ ⊗ A⁻¹\n"


def test_completion(typed) -> None:
    assert typed("S: posd\t(n)\rlogd\t(S)\rquit\r") == "logdet(S)\n"


def test_help(typed) -> None:
    assert typed("help tr\rquit\r") == complete.TOPICS["tr"] + "\n"
    assert typed("?tr\rhelp\rquit\r") == complete.TOPICS["tr"] + "\n" + complete.HELP + "\n"
    assert typed("x: vector(n)\rhelp x\rhelp trr\rquit\r") == "x is n×1\nthere is no help on trr; did you mean tr?\n"


def test_several_statements_at_once(typed) -> None:
    assert typed("x: vector(n); x'; x'*x\rquit\r") == "xᵀ\nxᵀ*x\n"


# ---------------------------------------------------------------- parts


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (KeyboardInterrupt(), "interrupted"),
        (RecursionError(), "the expression is nested too deeply"),
        (MemoryError(), "the memory does not suffice"),
        (LimitExceeded("too large"), "too large"),
        (ValueError("oh"), "an error of matcalc itself (ValueError: oh); matcalc --debug shows where"),
    ],
)
def test_no_traceback(monkeypatch: pytest.MonkeyPatch, error: BaseException, told: str) -> None:
    def fails(*_: object) -> None:
        raise error

    shown: list[str] = []
    reader = repl.Reader(shown.append)
    monkeypatch.setattr(mc.Session, "run_each", fails)
    assert reader.read("x")
    assert shown == [told]


@pytest.mark.parametrize(
    ("text", "complete_"),
    [("x", True), ("(x", False), ("[1,\n2", False), ("(1\n", True), ("# (", True), ("$\\left[$", True), ("x)", True)],
)
def test_is_complete(text: str, complete_: bool) -> None:
    assert repl.is_complete(text) == complete_


def test_words() -> None:
    session = mc.Session()
    session.run("stretch: scalar; stretch + 1")
    assert "stretch" in complete.words_before("2*str", session)[1]
    assert complete.words_before("S: sym", session)[1] == ["symmetric"]
    assert complete.words_before("assume S is posd", session)[1] == ["posdef", "posdet"]
    assert complete.words_before("ass", session)[1] == ["assume"]
    assert complete.words_before("1 + ass", session)[1] == []
    assert complete.words_before("1 + ", session) == ("", [])
    assert all(name.isascii() for name in complete.words_before("s", session)[1])


def test_symbol_table() -> None:
    for name, symbol in complete.SYMBOLS.items():
        assert complete.symbol_before(f"2*\\{name}") == (f"\\{name}", symbol)
    assert complete.symbol_before("\\e") is None
    assert complete.names_before("\\ep")[1] == ["\\epsilon"]
    assert complete.common_prefix(["posdef", "positive", "pos"]) == "pos"


def test_every_topic_has_help() -> None:
    for name in (*complete.functions(), *complete.QUESTIONS, "posdef", "assume", "_"):
        assert "no help" not in complete.help_text(name), name


def test_history_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    kept = repl.history()
    kept.append_string("x'*x")
    assert list(repl.history().load_history_strings()) == ["x'*x"]
    assert (tmp_path / "matcalc" / "history").exists()
    (tmp_path / "matcalc" / "history").unlink()
    (tmp_path / "matcalc" / "history").mkdir()
    kept.append_string("lost")
    assert isinstance(repl.history(), InMemoryHistory)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    (tmp_path / "file").write_text("")
    assert isinstance(repl.history(), InMemoryHistory)


def test_the_calculus_is_loaded_in_the_background() -> None:
    shown: list[str] = []
    reader = repl.Reader(shown.append)
    reader.warm_up()
    assert reader.read("x: vector(n); x'*x")
    assert shown == ["xᵀ*x"]


# ---------------------------------------------------------------- a real terminal


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal(tmp_path: Path) -> None:
    import pty

    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "XDG_STATE_HOME": str(tmp_path),
        "TERM": "xterm",
        "PROMPT_TOOLKIT_NO_CPR": "1",
        "PYTHONIOENCODING": "utf-8",
    }
    terminal, inside = pty.openpty()
    ends = {"stdin": inside, "stdout": inside, "stderr": inside}
    child = subprocess.Popen([sys.executable, "-m", "matcalc"], env=environment, start_new_session=True, **ends)
    os.close(inside)
    log, at = b"", 0
    try:
        for wait_for, send in (("[?2004h", "x'*x\r"), ("xᵀ*x", ""), ("[?2004h", "quit\r")):
            deadline = time.monotonic() + 30
            while wait_for.encode() not in log[at:] and time.monotonic() < deadline:
                if select.select([terminal], [], [], 0.2)[0]:
                    log += os.read(terminal, 4096)
            assert wait_for.encode() in log[at:], log
            at = log.index(wait_for.encode(), at) + len(wait_for.encode())
            os.write(terminal, send.encode())
        status = child.wait(timeout=30)
    finally:
        child.kill()
        child.wait()
        os.close(terminal)
    assert status == 0
    assert b"Traceback" not in log
    assert (tmp_path / "matcalc" / "history").read_text(encoding="utf-8").count("+x'*x") == 1
