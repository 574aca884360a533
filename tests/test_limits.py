"""Bounds on time, terms, depth and the length of a text."""

from __future__ import annotations

import time

import pytest

import matcalc as mc
from matcalc.bounds import Lapsed, Limits, allowance, current, question, tick
from matcalc.interface.cli import main

LONG = "A, B: matrix(n,n); expand(" + "*".join(["(A + B)"] * 20) + ")"


def test_time() -> None:
    begin = time.perf_counter()
    with mc.limits(seconds=0.5), pytest.raises(mc.LimitExceeded, match=r"0\.5 seconds"):
        mc.Session().run(LONG)
    assert time.perf_counter() - begin < 5
    assert current() == Limits()


def test_terms() -> None:
    with mc.limits(nodes=2000), pytest.raises(mc.LimitExceeded, match="2000 terms"):
        mc.Session().run(LONG)


def test_depth() -> None:
    deep = "exp(" * 50 + "t" + ")" * 50
    with mc.limits(depth=20), pytest.raises(mc.LimitExceeded, match="20 operations"):
        mc.parse(deep + " + 1")
    assert mc.parse(deep + " + 1").size == 53


def test_characters() -> None:
    with mc.limits(characters=10), pytest.raises(mc.LimitExceeded, match="10 characters"):
        mc.parse("x + y + z + w")


def test_no_bounds() -> None:
    with mc.limits(seconds=None, nodes=None, depth=None, characters=None):
        assert str(mc.derivative("norm(x)^2", "x", where="x: vector(n)")) == "2*x"


def test_set_until_changed() -> None:
    setting = mc.limits(seconds=7)
    assert current().seconds == 7
    with mc.limits(nodes=10**6) as inside:
        assert (inside.seconds, inside.nodes) == (7, 10**6)
    assert current() == Limits(seconds=7)
    with setting:
        pass
    assert current() == Limits()


def test_wrong_bounds() -> None:
    with pytest.raises(TypeError):
        mc.limits(minutes=1)
    with pytest.raises(ValueError, match="positive"):
        mc.limits(seconds=0)
    assert current() == Limits()


def test_a_session_goes_on() -> None:
    session = mc.Session()
    with mc.limits(seconds=0.3), pytest.raises(mc.LimitExceeded):
        session.run(LONG)
    assert str(session.run("A: matrix(n,n); grad(tr(A*A), A)")[-1].value) == "2*A'"


def test_command(capsys: pytest.CaptureFixture[str]) -> None:
    expr = "*".join(["(A + B)"] * 20)
    where = ["-w", "A, B: matrix(n,n)", "--seconds", "0.3"]
    assert main(["diff", f"tr(expand({expr}))", "A", *where]) == 1
    assert "the time is over" in capsys.readouterr().err
    assert main(["diff", "tr(A*B)", "A", "-w", "A, B: matrix(n,n)", "--seconds", "0"]) == 0
    assert main(["diff", "tr(A*B)", "A", "--seconds", "-1"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "A: matrix((a+b+c+e+f+g)^40, n)",
        "A: matrix(10, 10); D(" + " ⊗ ".join(["A"] * 9) + ", A); check",
        "A: matrix(9^64^64^64^64, n)",
        "9^9^9^9^9",
        "x: vector(1000000000); D(x'*x, x); check",
        "y[0] = x; y[k+1] = y[k]'*y[k]*y[k]; grad(sum(y[100000000]), x); check",
        "sum(i=1..1000000000, i) == 3",
        "f(x) = f(x); f(3)",
        "A: matrix(n,n); grad(tr(A^(10^12)), A); check",
        "$\\phi^{(99999999999)}(x)$",
        "$" + "|x" * 300 + "$",
        "'" * 20000,
    ],
)
def test_nothing_hangs(text: str) -> None:
    begin = time.perf_counter()
    with mc.limits(seconds=2):
        try:
            mc.Session().run(text)
        except mc.MatcalcError as error:
            assert str(error)
    assert time.perf_counter() - begin < 12


def test_a_part_of_a_question_lapses_alone():

    with question():
        with pytest.raises(Lapsed), allowance(0.001):
            while True:
                tick()
        tick()


def test_the_question_is_over_in_a_part_of_it():

    with mc.limits(seconds=0.001), question(), pytest.raises(mc.LimitExceeded) as caught, allowance(10):
        while True:
            tick()
    assert not isinstance(caught.value, Lapsed)
