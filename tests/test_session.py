"""Sessions: statements, the last answer, what failure leaves, layouts, random input."""

from __future__ import annotations

import json
import random

import pytest

import matcalc as mc
from matcalc.errors import LimitExceeded, MatcalcError, NoClosedForm, ParseError, ShapeError

LEAST_SQUARES = "A: matrix(m,n); x: vector(n); b: vector(m)\nf = norm(A*x - b)^2"


@pytest.fixture
def session() -> mc.Session:
    made = mc.Session()
    made.run(LEAST_SQUARES)
    return made


def one(session: mc.Session, text: str) -> list[str]:
    """The lines of the last answer."""
    return session.run(text)[-1].lines()


@pytest.mark.parametrize("text", ["", "\n", " \t ", "# only a comment", "\r\n# a\r\n\r\n", ";", ";;\n;"])
def test_nothing(text: str) -> None:
    try:
        assert mc.Session().run(text) == []
    except ParseError:
        assert text.startswith(";")


def test_kinds() -> None:
    text = LEAST_SQUARES + "\np(v) = v'*v\nassume m > 0\np(x)\nD(f,x)\nf == f\nsteps(grad(f,x))\nlatex\ncode"
    kinds = [answer.kind for answer in mc.Session().run(text)]
    assert kinds[:6] == ["declaration"] * 3 + ["definition"] * 2 + ["assumption"]
    assert kinds[6:] == ["expression", "derivative", "identity", "steps", "latex", "code"]


def test_line_ends_do_not_matter() -> None:
    for end in ("\n", "\r\n", ";"):
        answers = mc.Session().run(f"x: vector(n){end}x'*x{end}")
        assert [a.lines() for a in answers] == [[], ["xᵀ*x"]]


def test_places() -> None:
    text = "x: vector(n)\nassume n > 0; x'*x  # a\n"
    places = [(a.statement, text[a.start : a.end]) for a in mc.Session().run(text)]
    assert places == [(s, s) for s in ("x: vector(n)", "assume n > 0", "x'*x")]


# ---------------------------------------------------------------- answers


def test_assumptions_are_told_first() -> None:
    assert one(mc.Session(), "x'*S*x") == ["# assumed x: vector(n)", "# assumed S: matrix(n, n)", "xᵀ*S*x"]
    assert one(mc.Session(), "D(u'*u, u)") == ["# assumed u: vector(n)", "2*uᵀ"]
    told = one(mc.Session(), "B: invertible(n)\nsolve(B*x = b, x)")
    assert told == ["# assumed x: vector(n)", "# assumed b: vector(n)", "x = B⁻¹*b"]


def test_conditions_of_a_solution() -> None:
    session = mc.Session()
    given = "x[i=1..n], mu: vector(m); w: vector(n)\n"
    assert one(session, given + "solve(sum(i=1..n, x[i] - mu) = 0, mu)") == ["μ = sum(i=1..n, x[i])/n"]
    assert one(session, given + "solve(sum(i=1..n, w[i]*(x[i] - mu)) = 0, mu)") == [
        "μ = sum(i=1..n, w[i]*x[i])/sum(w)",
        "where sum(w) ≠ 0",
    ]


def test_a_zero_of_any_shape_is_0(session: mc.Session) -> None:
    session.run("B: invertible(n); c: vector(n)")
    first = one(session, "steps(solve(B*x - c = 0, x))")[0]
    assert first == "  B*x - c = 0"
    assert " = 0" in session.run("latex")[0].lines()[1]


def test_steps_are_aligned(session: mc.Session) -> None:
    lines = one(session, "steps(grad(f, x))")
    assert lines[0] == "  ‖A*x - b‖²"
    assert len({line.rindex("   [") for line in lines if line.endswith("]")}) == 1


def test_both_routes(session: mc.Session) -> None:
    assert one(session, "steps(D(f, x), vec)")[-1].split("   ")[0].endswith("2*(A*x - b)ᵀ*A")
    with pytest.raises(MatcalcError, match="no route"):
        session.run("steps(D(f, x), magic)")


def test_transcript(session: mc.Session) -> None:
    def shown(text: str) -> list[str]:
        return session.run(text)[0].transcript()

    assert shown("D(f, x)") == ["D(f, x) = 2*(A*x - b)ᵀ*A"]
    assert shown("g = grad(f, x)") == ["g = grad(f, x)", "  = 2*Aᵀ*(A*x - b)"]
    assert shown("h = x") == ["h = x"]
    assert shown("f == x'*x")[0] == "f == x'*x"
    assert shown("(x'*\nx)") == ["(x'*", "x)", "  = xᵀ*x"]
    assert shown("steps(x)") == ["steps(x)", "  nothing to do: the expression is simplified as it stands"]


def test_latex_and_json(session: mc.Session) -> None:
    text = "c: vector(n); B: invertible(n)\nD(f, x)\nx\nf == f\nsteps(grad(f, x))\nz = solve(B*x = c, x)\nlatex\nA'"
    for answer in session.run(text):
        data = json.loads(json.dumps(answer.to_json(), allow_nan=False))
        assert data["statement"] == answer.statement and data["latex"] == answer.latex()
    answer = session.run("D(f, x)")[0]
    assert answer.latex() == "2 \\left(A x - b\\right)^{\\top} A"
    assert answer.to_json()["shape"] == ["1", "n"]


# ---------------------------------------------------------------- the last answer


def test_last_answer(session: mc.Session) -> None:
    session.run("grad(f, x)")
    assert one(session, "_") == ["2*Aᵀ*(A*x - b)"]
    assert one(session, "_/2 + x") == ["Aᵀ*(A*x - b) + x"]
    assert one(session, "D(_, x)") == ["Aᵀ*A + eye(n)"]
    assert session.run("_ + _")[0].statement == "_ + _"


def test_last_answer_of_steps_and_solutions(session: mc.Session) -> None:
    session.run("B: invertible(n); c: vector(n); solve(B*x = c, x)")
    assert one(session, "_") == ["x = B⁻¹*c"]
    assert one(session, "B*_") == ["B*B⁻¹*c"]
    session.run("steps(grad(f, x))")
    assert one(session, "1*_") == ["2*Aᵀ*(A*x - b)"]


def test_last_answer_is_not_there_yet() -> None:
    with pytest.raises(MatcalcError) as caught:
        mc.Session().run("1 + _")
    assert str(caught.value) == "line 1, column 5: there is no last answer yet\n  1 + _\n      ^"


def test_errors_show_the_underscore(session: mc.Session) -> None:
    session.run("A")
    with pytest.raises(ShapeError) as caught:
        session.run("_*_  # _")
    assert str(caught.value).startswith("line 1, column 1: _*_: _ is m×n but _ is m×n\n  _*_  # _\n  ^^^")


def test_subscripts_of_latex_are_left_alone(session: mc.Session) -> None:
    assert one(session, "x_1: vector(n); x_1'*x_1") == ["x_1ᵀ*x_1"]


def test_about_the_last_answer(session: mc.Session) -> None:
    session.run("grad(f, x)")
    assert one(session, "latex") == ["2 A^{\\top} \\left(A x - b\\right)"]
    assert one(session, "check")[0].startswith("right: agrees in")
    assert one(session, "code")[0] == "import numpy as np"
    assert one(session, "steps")[-1].split("   ")[0].endswith("2*Aᵀ*(A*x - b)")
    assert one(session, "check")[0].startswith("right: ")
    assert one(session, "steps") == one(session, "steps")


def test_nothing_to_ask_about() -> None:
    for word in ("steps", "latex", "code", "check"):
        with pytest.raises(MatcalcError, match="there is no answer before"):
            mc.Session().run(word)
    with pytest.raises(MatcalcError, match="only a derivative"):
        mc.Session().run("x\ncheck")
    assert one(mc.Session(), "code: scalar; code") == ["code"]


# ---------------------------------------------------------------- definitions


def test_a_definition_keeps_its_derivation(session: mc.Session) -> None:
    session.run("g = D(f, x)")
    assert one(session, "steps")[0] == "  ‖A*x - b‖²"
    session.run("x + x")
    assert one(session, "steps(g)")[0] == "  ‖A*x - b‖²"
    assert session.run("g")[0].kind == "derivative"
    assert one(session, "g*x") == ["2*(A*x - b)ᵀ*A*x"]
    session.run("g = x")
    assert one(session, "g") == ["x"]


def test_a_solution_has_a_name(session: mc.Session) -> None:
    session.run("assume A'*A is invertible")
    assert one(session, "z = solve(A'*A*x = A'*b, x)") == ["(Aᵀ*A)⁻¹*Aᵀ*b"]
    assert one(session, "A*z") == ["A*(Aᵀ*A)⁻¹*Aᵀ*b"]
    assert one(session, "steps(z)")[-1].startswith("⇔ x = ")


# ---------------------------------------------------------------- failure


@pytest.mark.parametrize(
    "wrong",
    ["A*A", "y + A*y*x", "q = undefined_function(x)", "S: posdef(", "solve(A*x = b, x)", "grad(x, x)", "f = A*A"],
)
def test_failure_changes_nothing(session: mc.Session, wrong: str) -> None:
    session.run("x'*x")
    before = {name: repr(value) for name, value in vars(session.scope).items() if name != "operations"}
    with pytest.raises(MatcalcError):
        session.run(wrong)
    assert {name: repr(value) for name, value in vars(session.scope).items() if name != "operations"} == before
    assert one(session, "_") == ["xᵀ*x"]
    assert one(session, "f") == ["‖A*x - b‖²"]


def test_statements_before_the_wrong_one_count(session: mc.Session) -> None:
    with pytest.raises(MatcalcError):
        session.run("h = x'*x\nA*A\nk = 3*x")
    assert one(session, "h") == ["xᵀ*x"]


def test_interruption_changes_nothing(session: mc.Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        session.scope.definitions["f"] = session.scope.definitions.pop("f")
        session.scope.integers.add("half_done")
        raise KeyboardInterrupt

    monkeypatch.setattr(mc.Session, "_conclude", interrupted)
    with pytest.raises(KeyboardInterrupt):
        session.run("q = x'*x")
    assert not {"q", "half_done"} & session.scope.known()


@pytest.mark.parametrize("error", [RecursionError, MemoryError])
def test_limits_of_python(session: mc.Session, monkeypatch: pytest.MonkeyPatch, error: type[Exception]) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(mc.Session, "_conclude", fails)
    with pytest.raises(LimitExceeded):
        session.run("x'*x")


def test_errors_have_places() -> None:
    with pytest.raises(NoClosedForm) as caught:
        mc.Session().run("A: matrix(m,n)\nx: vector(n)\nsolve(A*x = b, x)")
    assert (caught.value.line, caught.value.column) == (3, 1)


# ---------------------------------------------------------------- random input

ATOMS = (
    "x y A B S n 1 2 0 3.5 1e9 \\alpha Σ _ i=1..n vector(n) steps latex code check assume is posdef over minimize by"
)
CALLS = "sum( prod( tr( det( inv( D( grad( d( solve( steps( diag( vec( kron( log( ones( phi'"
SIGNS = "+ - * / ^ .* ./ .^ ' ( ) [ ] { } , ; : = == > ⊗ ⊙ ᵀ ⁻¹ $ # ‖ .. \\ \" @ % & ! ? ~ ` é 漢 🙂 \t"
PIECES = f"{ATOMS} {CALLS} {SIGNS}".split(" ")
LINES = [
    "A: matrix(m,n); x: vector(n)",
    "S: posdef(n)",
    "f = norm(A*x - b)^2",
    "D(f, x)",
    "grad(tr(A*S*A'), S)",
    "solve(S*x = b, x)",
    "steps(grad(f, x))",
    "x'*x == tr(x*x')",
    "[S, x; x', 1]",
    "sum(i=1..N, z[i]'*S*z[i])",
    "_ + _",
    "$\\frac12 x^T S x$",
    "A.*A ./ (1 .+ exp(A))",
]


def garbage(rng: random.Random) -> str:
    """Pieces in disorder, or a good line spoilt."""
    if rng.random() < 0.5:
        return rng.choice(["", " "]).join(rng.choice(PIECES) for _ in range(rng.randint(1, 12)))
    line = rng.choice(LINES)
    for _ in range(rng.randint(0, 3)):
        at = rng.randrange(len(line) + 1)
        line = line[:at] + rng.choice(["", rng.choice(PIECES)]) + line[at + rng.randint(0, 1) :]
    return line


@pytest.mark.parametrize("seed", range(20))
def test_garbage_raises_nothing_else(seed: int) -> None:
    rng, session = random.Random(seed), mc.Session()
    for _ in range(25):
        line = garbage(rng)
        try:
            for answer in session.run(line):
                assert answer.lines() is not None
        except MatcalcError as error:
            assert str(error), line
        except Exception as error:
            pytest.fail(f"seed {seed}, {line!r}: {error!r}")
