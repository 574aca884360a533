"""Whatever is typed ends in an answer or in an error of the package, in bounded time; seeds are in the names of tests.

``pytest --fuzz N`` runs N times as many texts.
"""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import matcalc as mc
from matcalc.interface.cli import main
from matcalc.interface.repl import Reader
from matcalc.language.parser import STARTS, parse_syntax

FOLDER = Path(__file__).parent / "golden"
TOKEN = re.compile(r"\s+|\w+|[^\w\s]")
OPERATORS = ["*", "+", "-", "/", ".*", "./", ".+", ".-", "^", " ⊗ ", "@", "'"]
FUNCTIONS = (  # noqa: SIM905
    "tr det logdet inv vec vech diag tril triu sum norm norm1 exp log sqrt abs sign tanh sigmoid relu erf expm logm "
    "sqrtm pinv eigmax softmax logsumexp rowsums lgamma simplify expand factor trans eye ones grad hess D d solve"
).split()
NUMBERS = ["0", "1", "2", "-1", "1/2", "100", "10^9", "n", "k", "1e300", "0.1"]
ODD = [
    "\0", "\x1b", "\ufeff", "é", "∞", "²", "⁻", "ᵀ", "‖", "|", "$", "\\", "{", "}", "[", "]", "(", ")", "'", '"', "#",
    "\n", "\t", "..", "=", "==", "^-", "**", "^T", "٣", "🙂", "\u202e", "\uffff", "999999999999", ";;", "_", "where",
    "assume", "sum(i=1..n,", "prod(i=n..1,", "structured", "eye(0)", "n^64^64^64", "\\frac", "\\sum_{i=1}", "^{", "_{",
]  # fmt: skip
FORMULAS = [
    r"x, mu: vector(n); Sigma: posdef(n); D($\frac12 (x-\mu)^T\Sigma^{-1}(x-\mu)$, x)",
    r"$\sum_{i=1}^{n} \|x_i\|_2^2 + \log|X| \otimes \begin{pmatrix} a & b \\ c & d\end{pmatrix}$",
    r"x: vector(n); phi: function; $\left\lVert \phi'(A x) \odot e^{-t} \right\rVert_F + \prod_{k=L}^{1} W_k$",
]


def texts() -> list[str]:
    """The golden cases as sessions."""
    found = list(FORMULAS)
    for path in sorted(FOLDER.glob("*.toml")):
        for case in tomllib.loads(path.read_text(encoding="utf-8"))["case"]:
            where = case["where"]
            declared = where if isinstance(where, str) else "; ".join(f"{a}: {b}" for a, b in where.items())
            let = "".join(f"{a} = {b}; " for a, b in case.get("let", {}).items())
            question = {"gradient": "grad", "hessian": "hess"}.get(case.get("form", ""), "D")
            found.append(f"{declared}; {let}{question}({case['expr']}, {case['wrt']})")
    return found


TEXTS = texts()
WORDS = sorted({token for text in TEXTS for token in TOKEN.findall(text)})


def mutated(r: random.Random) -> str:
    """A text with some of its tokens changed, mostly into something of the same sort."""
    text = r.choice(TEXTS)
    head, mark, last = text.rpartition("; ")
    careful = r.random() < 0.7
    tokens = TOKEN.findall(last if careful else text)
    for _ in range(r.choice([1, 1, 2, 3])):
        at = r.randrange(len(tokens))
        tokens[at : at + 1] = _similar(r, tokens[at], last) if careful else _anything(r, tokens, at)
        if not tokens:
            return ""
    return (head + mark if careful else "") + "".join(tokens)


def _similar(r: random.Random, token: str, text: str) -> list[str]:
    if token.isdigit():
        return [r.choice(NUMBERS)]
    if token in OPERATORS:
        return [r.choice(OPERATORS)]
    if not token.strip():
        return [token]
    other = r.choice(re.findall(r"[A-Za-z]\w*", text) or ["x"])
    return r.choice([[other], [r.choice(FUNCTIONS), "(", token, ")"], ["(", token, r.choice(OPERATORS), other, ")"]])


def _anything(r: random.Random, tokens: list[str], at: int) -> list[str]:
    token = tokens[at]
    start = r.randrange(len(tokens))
    return r.choice(
        [[], [r.choice(WORDS), token], [r.choice(ODD)], [token, r.choice(ODD)], [token, *tokens[start : start + 6]]]
    )


def answer(text: str) -> None:
    """Everything that can be asked about the answers of a session."""
    for given_ in mc.Session().run(text):
        value = given_.value
        given_.transcript()
        if isinstance(value, mc.Derivative):
            ask(lambda value=value: value.latex(steps=True))
            ask(value.code)
        elif isinstance(value, mc.Expr):
            ask(value.latex)
            ask(value.code)


def ask(question: Callable[[], object]) -> None:
    try:
        question()
    except mc.MatcalcError as error:
        assert str(error)


def repeated(config: pytest.Config, count: int) -> int:
    return count * int(config.getoption("--fuzz"))


@pytest.mark.parametrize("seed", range(6))
def test_sessions(seed: int, pytestconfig: pytest.Config) -> None:
    for number in range(repeated(pytestconfig, 25)):
        text = mutated(random.Random(f"{seed}:{number}"))
        with mc.limits(seconds=5):
            try:
                ask(lambda text=text: answer(text))
            except Exception as error:
                pytest.fail(f"seed {seed}:{number}, {text!r}: {type(error).__name__}: {error}")


def test_repl(pytestconfig: pytest.Config) -> None:
    shown: list[str] = []
    reader = Reader(shown.append)
    for number in range(repeated(pytestconfig, 40)):
        text = mutated(random.Random(f"repl:{number}"))
        with mc.limits(seconds=5):
            reader.read(text)
        assert not [line for line in shown if "an error of matcalc itself" in line], f"repl:{number}, {text!r}"
        shown.clear()


def test_command(pytestconfig: pytest.Config, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for number in range(repeated(pytestconfig, 20)):
        r = random.Random(f"command:{number}")
        head, _, last = mutated(r).rpartition("; ")
        status = main(
            ["diff", last, "x", "-w", head, "--seconds", "5", *r.choice([["--steps"], ["--json"], ["--latex"], []])]
        )
        assert status in (0, 1, 2), number
        script = tmp_path / "script.mc"
        script.write_bytes(r.randbytes(r.randrange(60)) if number % 4 == 0 else mutated(r).encode())
        assert main(["run", str(script), "--seconds", "5"]) in (0, 1, 2), number
        assert "Traceback" not in capsys.readouterr().err


TYPED = st.text(st.sampled_from([*"xAn0123 .*^'()[]{}=;:,+-/$\\_|#\n", "ᵀ", "Σ", "‖", "⊗", "\u0301"]), max_size=30)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(st.one_of(TYPED, st.text(max_size=30), TYPED.map(lambda text: f"${text}$")), st.sampled_from(STARTS))
def test_texts(text: str, start: str) -> None:
    ask(lambda: parse_syntax(text, start))
    with mc.limits(seconds=5):
        ask(lambda: mc.Session().run(text))
