"""The command: outputs, exit statuses, errors on standard error, what is imported."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from matcalc import __version__
from matcalc.interface import cli

ROOT = Path(__file__).parent.parent
LEAST_SQUARES = ["norm(A*x - b)^2", "x", "-w", "A: matrix(m,n); x: vector(n); b: vector(m)"]
HEAVY = ("numpy", "scipy", "sympy", "prompt_toolkit")


def command(*args: str, stdin: str | bytes = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "matcalc", *args],
        input=stdin.encode() if isinstance(stdin, str) else stdin,
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **environment},
        timeout=120,
    )
    return subprocess.CompletedProcess(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


Run = tuple[int, str, str]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> object:
    """The command in this process: status, standard output, standard error."""

    def call(*args: str) -> Run:
        status = cli.main(list(args))
        out, err = capsys.readouterr()
        return status, out, err

    return call


# ---------------------------------------------------------------- one derivative


def test_diff(run) -> None:
    assert run("diff", *LEAST_SQUARES) == (0, "2*Aᵀ*(A*x - b)\n", "")


def test_diff_tells_what_it_assumed(run) -> None:
    assert run("diff", "x'*A*x", "x", "-w", "A: symmetric(n)") == (0, "2*A*x\n", "# assumed x: vector(n)\n")


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["--form", "jacobian"], "2*(A*x - b)ᵀ*A\n"),
        (["--form", "hessian"], "2*Aᵀ*A\n"),
        (["--latex"], "2 A^{\\top} \\left(A x - b\\right)\n"),
        (["--let", "e = A*x - b", "--let", "f = e'*e"], "2*Aᵀ*(A*x - b)\n"),
    ],
)
def test_options(run, options: list[str], shown: str) -> None:
    expr = "f" if "--let" in options else LEAST_SQUARES[0]
    assert run("diff", expr, *LEAST_SQUARES[1:], *options) == (0, shown, "")


def test_steps_stand_in_two_columns(run) -> None:
    for route in ("differential", "vec"):
        asked = ["diff", "x'*A*x", "x", "-w", "A: matrix(n,n); x: vector(n)", "--route", route]
        status, out, _ = run(*asked, "--steps")
        lines = out.splitlines()
        assert status == 0
        assert lines[0] == "  d(xᵀ*A*x)"
        assert len({line.rindex("   [") for line in lines if line.endswith("]")}) == 1
        assert lines[-1].split("   ")[0][2:] + "\n" == run(*asked)[1]


def test_steps_as_latex(run) -> None:
    _, out, _ = run("diff", *LEAST_SQUARES, "--steps", "--latex")
    assert out.startswith("\\begin{aligned}\n") and out.endswith("\\end{aligned}\n")


def test_code_is_a_program_of_its_own(run) -> None:
    status, out, _ = run("diff", *LEAST_SQUARES, "--code", "numpy")
    names: dict[str, object] = {}
    exec(compile(out, "<code>", "exec"), names)
    assert status == 0
    assert "gradient" in names


@pytest.mark.parametrize("formula", ["-x'*x", "-x", "--x", "- x'*x"])
def test_a_formula_may_begin_with_a_minus(run, formula: str) -> None:
    guard = ["--"] if formula.startswith("--") else []
    assert run("diff", "-w", "x: vector(n)", "--form", "jacobian", *guard, formula, "x")[0] == 0


def test_json(run) -> None:
    status, out, err = run("diff", *LEAST_SQUARES[:2], "-w", "A: matrix(m,n); x: vector(n)", "--json")
    found = json.loads(out)
    assert (status, err) == (0, "# assumed b: vector(m)\n")
    assert list(found) == (
        "input wrt where form shape text latex steps code check conditions notes".split()  # noqa: SIM905
    )
    assert found["where"] == {"A": "matrix(m,n)", "x": "vector(n)", "b": "vector(m)"}
    assert (found["form"], found["shape"]) == ("gradient", ["n", "1"])
    assert found["text"] == "2*A'*(A*x - b)"
    assert {"rule", "text", "latex", "conditions"} <= set(found["steps"][0])
    assert found["steps"][-1]["text"] == found["text"]
    assert found["check"]["ok"] is True and found["check"]["max_error"] < 1e-8
    assert found["code"].startswith("import numpy")


def test_json_is_one_object_whatever_the_form(run) -> None:
    for form in ("gradient", "jacobian", "hessian"):
        found = json.loads(run("diff", "exp(x'*S*x)", "x", "-w", "S: posdef(n)", "--form", form, "--json")[1])
        assert found["form"] == form and found["check"]["ok"] is True


# ---------------------------------------------------------------- one solution


def test_solve(run) -> None:
    asked = ["solve", "B*x = b", "x", "-w", "B: invertible(n); x: vector(n); b: vector(n)"]
    assert run(*asked) == (0, "x = B⁻¹*b\n", "")
    assert run(*asked, "--steps")[1].splitlines()[0] == "  B*x = b"
    assert run(*asked, "--latex") == (0, "x = B^{-1} b\n", "")
    found = json.loads(run(*asked, "--json")[1])
    assert (found["form"], found["text"], found["shape"]) == ("solution", "x = inv(B)*b", ["n", "1"])


def test_all_solutions(run) -> None:
    asked = ["solve", "A*x = b", "x", "-w", "A: matrix(m,n); x: vector(n); b: vector(m)"]
    status, out, _ = run(*asked, "--general", "--json")
    found = json.loads(out)
    assert (status, found["notes"]) == (0, ["z is free"])
    assert found["check"]["ok"]
    assert run(*asked)[0] == 1


def test_solve_with_assumptions(run) -> None:
    asked = ["solve", "A'*A*x = A'*b", "x", "-w", "A: matrix(m,n); x: vector(n); b: vector(m)"]
    assert "where" in run(*asked)[1]
    status, out, _ = run(*asked, "--assume", "A'*A is invertible")
    assert (status, out) == (0, "x = (Aᵀ*A)⁻¹*Aᵀ*b\n")


def test_several_unknowns(run) -> None:
    where = "A, B: invertible(n); x, y, b: vector(n)"
    status, out, _ = run("solve", "A*x = b; B*y = x", "x, y", "-w", where)
    assert status == 0
    assert "x = A⁻¹*b" in out and "y = " in out


# ---------------------------------------------------------------- one extremum


def test_extremum(run) -> None:
    asked = ["extremum", "w'*S*w", "w", "--subject-to", "sum(w) = 1", "-w", "S: posdef(n); w: vector(n)"]
    status, out, _ = run(*asked)
    assert status == 0
    assert out.splitlines()[0] == "w = S⁻¹*ones(n)/sum(S⁻¹)"
    assert out.splitlines()[1].startswith("strict global minimum, because ")
    assert run(*asked, "--steps")[1].splitlines()[0] == "  f = wᵀ*S*w"
    assert "\\begin{aligned}" in run(*asked, "--steps", "--latex")[1]
    found = json.loads(run(*asked, "--json")[1])
    assert (found["form"], found["extremum"]["kind"], found["extremum"]["global"]) == ("extremum", "minimum", True)
    assert found["check"]["ok"] is True
    assert "def " in run(*asked, "--code")[1]


def test_extremum_in_several_unknowns_under_several_equations(run) -> None:
    where = "x, z: vector(n); A: matrix(k,n); b: vector(k); t: scalar"
    given = ["--subject-to", "A*x = b", "--subject-to", "t = 1"]
    status, out, _ = run("extremum", "norm(x - z)^2 + t^2", "x, t", *given, "-w", where)
    assert status == 0
    assert "; t = 1" in out


def test_a_kind_that_is_not_shown_is_no_answer(run) -> None:
    assert run("extremum", "-x'*x", "x", "--maximize", "-w", "x: vector(n)")[0] == 0
    status, _, err = run("extremum", "-x'*x", "x", "--minimize", "-w", "x: vector(n)")
    assert status == 1
    assert "not shown to be a minimum" in err
    assert run("extremum", "x'*x", "x", "--subject-to", "x", "-w", "x: vector(n)")[0] == 2


# ---------------------------------------------------------------- errors

WRONG = {
    ("diff", "A*B +", "A"): (2, "matcalc: line 1, column 6: the expression is not finished\n  A*B +\n       ^\n"),
    ("diff", "x'*x", "x", "-w", "x: vektor(n)"): (
        2,
        "matcalc: line 1, column 4: the type vektor is not known\n  x: vektor(n)\n     ^^^^^^\ndid you mean vector?\n",
    ),
    ("diff", "A*A", "A", "-w", "A: matrix(m,n)"): (
        2,
        "matcalc: line 1, column 1: A*A: A is m×n but A is m×n\n  A*A\n  ^^^\n"
        "the product entry by entry is .* (or ⊙)\n",
    ),
    ("solve", "A*x = b", "x", "-w", "A: matrix(m,n); x: vector(n); b: vector(m)"): (
        1,
        "matcalc: nothing makes the factors around x invertible in A*x = b\n"
        "solve(..., general) gives all solutions, by the Moore-Penrose inverse, and when there is one\n",
    ),
    ("run", "nowhere.mc"): (2, "matcalc: nowhere.mc cannot be read: No such file or directory\n"),
    ("serve",): (1, "matcalc: the web page is not available yet\n"),
    ("diff", "x'*x", "x", "--code", "fortran"): (2, "matcalc: there is no backend 'fortran'"),
    ("diff", "x'*x", "x", "--let", "x'*x"): (2, "matcalc: line 1, column 1: a definition reads name = expression"),
    ("diff", "x'*x", "x", "--assume", "x is blue"): (2, "matcalc: line 1, column 13: the fact blue is not known"),
}


@pytest.mark.parametrize("args", WRONG, ids=lambda args: " ".join(args)[:40])
def test_errors(run, args: tuple[str, ...]) -> None:
    status, out, err = run(*args)
    wanted_status, message = WRONG[args]
    told = "".join(line for line in err.splitlines(keepends=True) if not line.startswith("# "))
    assert (status, out) == (wanted_status, "")
    assert told == message if message.endswith("\n") else told.startswith(message)


def test_usage(run) -> None:
    assert run("dif")[0] == 2
    assert run("diff")[0] == 2
    assert run("diff", "x", "x", "--form", "cubic")[0] == 2
    assert run("--version") == (0, f"matcalc {__version__}\n", "")
    assert "diff" in run("--help")[1]


@pytest.mark.parametrize(
    ("raised", "status", "told"),
    [
        (MemoryError(), 1, "matcalc: the memory does not suffice\n"),
        (RecursionError(), 1, "matcalc: the input is nested too deeply\n"),
        (KeyboardInterrupt(), 130, "matcalc: interrupted\n"),
        (
            ZeroDivisionError("oh"),
            1,
            "matcalc: an error of matcalc itself (ZeroDivisionError: oh); --debug shows where\n",
        ),
    ],
)
def test_no_traceback(run, monkeypatch, raised: BaseException, status: int, told: str) -> None:
    def fails(_: object) -> int:
        raise raised

    monkeypatch.setitem(cli._COMMANDS, "serve", fails)
    assert run("serve") == (status, "", told)


def test_debug_shows_the_traceback(run) -> None:
    assert "Traceback" in run("diff", "A*", "A", "--debug")[2]
    assert "Traceback" in run("--debug", "diff", "A*", "A")[2]
    assert "Traceback" not in run("diff", "A*", "A")[2]


# ---------------------------------------------------------------- scripts

SCRIPT = """\
# a quadratic function
S: posdef(n)
x: vector(n); b: vector(n)
f = x'*S*x/2 - b'*x

D(f, x)
assume n > 2
solve(D(f, x) = 0, x)
"""
TRANSCRIPT = """\
# a quadratic function
S: posdef(n)
x: vector(n)
b: vector(n)
f = x'*S*x/2 - b'*x
  = 1/2*xᵀ*S*x - bᵀ*x

D(f, x) = (S*x - b)ᵀ
assume n > 2
solve(D(f, x) = 0, x)
  x = S⁻¹*b
"""


def test_run(run, tmp_path: Path) -> None:
    path = tmp_path / "some.mc"
    for text in (SCRIPT, SCRIPT.replace("\n", "\r\n"), "\ufeff" + SCRIPT):
        path.write_bytes(text.encode())
        assert run("run", str(path)) == (0, TRANSCRIPT, "")


def test_an_error_in_a_script_has_its_file_and_line(run, tmp_path: Path) -> None:
    path = tmp_path / "some.mc"
    path.write_text("A: matrix(m,n)\nA'\nA*A\n", encoding="utf-8")
    status, out, err = run("run", str(path))
    assert (status, out) == (2, "A: matrix(m,n)\nA' = Aᵀ\n")
    assert err.startswith(f"matcalc: {path}: line 3, column 1: A*A: A is m×n but A is m×n\n  A*A\n  ^^^\n")
    path.write_bytes(b"\xff\xfe\x00")
    assert run("run", str(path)) == (2, "", f"matcalc: {path} is not text in UTF-8\n")


def test_a_pipe_is_a_script(monkeypatch, run) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SCRIPT.encode())))
    assert run() == (0, TRANSCRIPT, "")
    monkeypatch.setattr(sys, "stdin", None)
    assert run() == (0, "", "")


# ---------------------------------------------------------------- as a process


def test_process() -> None:
    done = command(stdin=SCRIPT)
    assert (done.returncode, done.stdout, done.stderr) == (0, TRANSCRIPT, "")


def test_a_terminal_without_unicode() -> None:
    done = command("diff", *LEAST_SQUARES, PYTHONIOENCODING="ascii")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_and_a_closed_pipe() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    asked = [sys.executable, "-m", "matcalc", "--help"]
    with open("/dev/full", "wb") as full:
        done = subprocess.run(asked, stdout=full, stderr=subprocess.PIPE, env=environment)
    assert b"Traceback" not in done.stderr
    read, write = os.pipe()
    os.close(read)
    asked = [sys.executable, "-m", "matcalc", "diff", *LEAST_SQUARES]
    done = subprocess.run(asked, stdout=write, stderr=subprocess.PIPE, env=environment)
    os.close(write)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize(
    ("code", "needed"),
    [
        ("import matcalc", ()),
        ("from matcalc.interface.cli import main; main(['--help'])", ()),
        (f"from matcalc.interface.cli import main; assert main({['diff', *LEAST_SQUARES, '--steps']!r}) == 0", ()),
        (  # a solution is put into its equations at random data
            "from matcalc.interface.cli import main\n"
            "assert main(['solve', 'B*x=b', 'x', '-w', 'B: invertible(n)']) == 0",
            ("numpy",),
        ),
    ],
)
def test_imports_are_lazy(code: str, needed: tuple[str, ...]) -> None:
    heavy = tuple(m for m in HEAVY if m not in needed)
    asked = f"{code}\nimport sys\nsys.exit(', '.join(m for m in {heavy!r} if m in sys.modules) or 0)"
    done = subprocess.run([sys.executable, "-c", asked], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr.replace("# assumed x: vector(n)\n# assumed b: vector(n)\n", "")) == (0, "")


def test_the_script_of_the_package_is_this_command() -> None:
    assert 'matcalc = "matcalc.interface.cli:main"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
