"""The command ``matcalc``: a REPL, scripts, one derivative, one solution, one extremum.

Answers go to standard output, what was assumed and errors to standard error.  Exit status: 0 done,
1 what was asked has no answer, 2 the input is wrong, 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unicodedata import normalize

from .. import __version__
from ..bounds import bounded, limits
from ..errors import LimitExceeded, MatcalcError, NoClosedForm, NotDifferentiable
from .minimize_command import add_parser as add_minimize

if TYPE_CHECKING:
    from ..language.syntax import Node
    from .answers import Answer
    from .derivative import Derivative
    from .session import Session
    from .solution import Solved

DONE, NO_ANSWER, WRONG_INPUT, INTERRUPTED, PIPE_CLOSED = 0, 1, 2, 130, 141

_NO_ANSWER = (NoClosedForm, NotDifferentiable, LimitExceeded)
_SHORT_OPTIONS = ("-h", "-w")

EXAMPLES = """\
examples:
  matcalc diff "norm(A*x - b)^2" x -w "A: matrix(m,n); x: vector(n); b: vector(m)"
  matcalc diff "logdet(S)" S -w "S: posdef(n)" --steps
  matcalc solve "A'*A*x = A'*b" x -w "A: matrix(m,n); x: vector(n); b: vector(m)" --assume "A'*A is invertible"
  matcalc extremum "x'*S*x" x --subject-to "sum(x) = 1" -w "S: posdef(n); x: vector(n)"
  matcalc run FILE.mc
  matcalc minimize FILE.mc --data data.npz
"""


# ---------------------------------------------------------------- arguments


def _parser() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    flag: dict[str, Any] = {"action": "store_true", "default": argparse.SUPPRESS}
    common.add_argument("--debug", help="show the traceback of an error", **flag)
    common.add_argument(
        "--seconds", type=_seconds, metavar="N", help="time for one question", default=argparse.SUPPRESS
    )
    common.add_argument("--no-color", help="no colours (as NO_COLOR)", **flag)
    parser = argparse.ArgumentParser(
        prog="matcalc",
        description="Derivatives with respect to matrices, by named rules. Without a command: the REPL.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common],
    )
    parser.add_argument("--version", action="version", version=f"matcalc {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    run = commands.add_parser("run", parents=[common], help="run a script, print what it answers")
    run.add_argument("file", metavar="FILE.mc", help="a script, or - for standard input")
    diff = commands.add_parser("diff", parents=[common], help="one derivative")
    diff.add_argument("expr", metavar="EXPR", help="what is differentiated")
    diff.add_argument("wrt", metavar="WRT", help="the variable")
    forms = ("gradient", "jacobian", "hessian")
    diff.add_argument("--form", choices=forms, help="default: the gradient of a scalar, else the Jacobian")
    diff.add_argument("--route", choices=("differential", "vec"), default="differential", help="how it is derived")
    diff.add_argument("--structured", action="store_true", help="along the declared structure of the variable")
    solve = commands.add_parser("solve", parents=[common], help="solve equations")
    solve.add_argument("equation", metavar="EQUATION", help="left = right; several with ; between them")
    solve.add_argument("wrt", metavar="WRT", help="the unknown; several with , between them")
    solve.add_argument("--general", action="store_true", help="all solutions of one affine equation")
    extremum = commands.add_parser("extremum", parents=[common], help="a stationary point, its conditions and its kind")
    extremum.add_argument("expr", metavar="OBJECTIVE", help="a scalar")
    extremum.add_argument("wrt", metavar="WRT", help="the unknown; several with , between them")
    extremum.add_argument(
        "--subject-to", action="append", default=[], metavar="EQUATION", help="left = right; may be repeated"
    )
    kinds = extremum.add_mutually_exclusive_group()
    for word in ("minimize", "maximize"):
        shown = f"answer only with what is shown to be a {word.replace('ize', 'um')}"
        kinds.add_argument(f"--{word}", dest="word", action="store_const", const=word, default="extremum", help=shown)
    for command in (diff, solve, extremum):
        _shared_options(command)
    add_minimize(commands, common)
    commands.add_parser("serve", parents=[common], help="the web page")
    return parser


def _seconds(text: str) -> float | None:
    """A bound on the time; 0 is none."""
    value = float(text)
    if not 0 <= value < float("inf"):
        raise ValueError
    return value or None


def _shared_options(command: argparse.ArgumentParser) -> None:
    add = command.add_argument
    add("-w", "--where", action="append", default=[], metavar="DECLARATIONS", help='"A: matrix(m,n); x: vector(n)"')
    add("--let", action="append", default=[], metavar="DEFINITION", help='"e = A*x - b"')
    add("--assume", action="append", default=[], metavar="FACT", help='"S is posdef", "t > 0"')
    add("--steps", action="store_true", help="the derivation, each step a named rule")
    add("--latex", action="store_true", help="LaTeX in place of text")
    add("--code", nargs="?", const="numpy", metavar="BACKEND", help="source of a function (numpy, c, jax, torch)")
    add("--json", action="store_true", help="one JSON object with everything")


def _protected(arguments: Iterable[str]) -> list[str]:
    """Arguments such as ``-x'*x`` are formulas, not options: a blank in front says so to argparse."""
    made: list[str] = []
    for argument in arguments:
        formula = (
            len(argument) > 1
            and argument[0] == "-"
            and argument[1] != "-"
            and not any(argument == o or (argument.startswith(o) and ":" in argument) for o in _SHORT_OPTIONS)
        )
        made.append(f" {argument}" if formula else argument)
    return made


def _formula(argument: str) -> str:
    return argument[1:] if argument.startswith(" -") else argument


# ---------------------------------------------------------------- one question


def _prepared(options: argparse.Namespace) -> tuple[Session, dict[str, str]]:
    """A session that knows what the options say, and the types that they declare."""
    from .session import Session

    session = Session()
    declared: dict[str, str] = {}
    for text in options.where:
        session.scope.declare_all(text)
        declared.update(_declarations(text))
    for text in options.let:
        for answer in session.run(_formula(text)):
            if answer.kind != "definition":
                raise _misplaced("a definition reads name = expression", text, answer)
            declared.update(answer.assumed)
    for text in options.assume:
        fact = _formula(text)
        _check_facts(fact)
        session.run(f"assume {fact}")
    return session, declared


def _check_facts(text: str) -> None:
    """The options hold facts only; a look at the text as it was typed gives errors their places."""
    from ..language.parser import parse_syntax

    if len(parse_syntax(f"assume {text}", "script").nodes()) != 1:
        raise MatcalcError("one --assume holds facts with , or and between them")


def _misplaced(message: str, text: str, answer: Answer) -> MatcalcError:
    return MatcalcError(message).locate(text, answer.start, answer.end)


def _declarations(text: str) -> dict[str, str]:
    """Names and types as they were written."""
    from ..language.parser import parse_syntax

    def source(node: Node) -> str:
        return text[node.start : node.end]

    return {
        source(name): source(node.parts[1])
        for node in parse_syntax(text, "script").nodes()
        for name in node.parts[0].nodes()
    }


def _split(text: str) -> list[str]:
    """The parts between commas that stand in no bracket."""
    parts, depth = [""], 0
    for char in text.strip().removeprefix("{").removesuffix("}"):
        depth += (char in "([{") - (char in ")]}")
        if char == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


@bounded
def _diff(options: argparse.Namespace) -> int:
    from ..output.derivation import text_condition

    session, declared = _prepared(options)
    expr, wrt = _formula(options.expr), _formula(options.wrt)
    found = session.derivative(expr, wrt, options.form or "auto", options.route, options.structured)
    _ = found.expr
    _tell(found.assumed, found.notes)
    if options.json:
        where = {**declared, **found.assumed}
        _print_json({"input": expr, "wrt": wrt, "where": where, **_derivative_data(found, options.code)})
    else:
        _show(found, options, [text_condition(term, fact, found.names) for term, fact in found.conditions])
    return DONE


@bounded
def _solve(options: argparse.Namespace) -> int:
    from ..output.derivation import needed
    from .session import newly_known
    from .solution import solve_equations

    session, declared = _prepared(options)
    before = dict(session.scope.symbols)
    unknowns = _split(_formula(options.wrt))
    wanted = unknowns[0] if len(unknowns) == 1 else unknowns
    found = solve_equations(_formula(options.equation), wanted, session.scope, options.general)
    assumed = newly_known(before, session.scope.symbols)
    _tell(assumed, found.notes)
    if options.json:
        asked = {"input": _formula(options.equation), "wrt": _formula(options.wrt), "where": {**declared, **assumed}}
        _print_json({**asked, **_solution_data(found, options.code)})
    else:
        _show(found, options, needed(found.conditions, found.names))
    return DONE


@bounded
def _extremum(options: argparse.Namespace) -> int:
    from ..output.derivation import needed
    from .extremum import Extremum

    session, declared = _prepared(options)
    expr, wrt = _formula(options.expr), _formula(options.wrt)
    given = ", ".join(_formula(text) for text in options.subject_to)
    subject = f" subject to {given}" if given else ""
    answer = session.run(f"{options.word} {expr} over {wrt}{subject}")[-1]
    found = answer.value
    if not isinstance(found, Extremum):
        raise MatcalcError("one objective is asked about at a time")
    _tell(answer.assumed, [*answer.notes, *found.notes])
    if options.json:
        asked = {"input": expr, "wrt": wrt, "subject_to": list(options.subject_to)}
        data = {**_solution_data(found, options.code), "form": "extremum", "extremum": found.to_json()}
        _print_json({**asked, "where": {**declared, **answer.assumed}, **data})
    else:
        _show(found, options, needed(found.conditions, found.names))
        if not options.code and not options.latex and not options.steps:
            print(found.because())
    return DONE


def _show(found: Derivative | Solved, options: argparse.Namespace, conditions: list[str]) -> None:
    """What the options ask for, on standard output."""
    parts: list[str] = []
    if options.latex:
        parts.append(found.latex(steps=options.steps))
    elif options.steps:
        parts += _steps(found)
    elif not options.code:
        parts.append(found.unicode())
    if parts:
        parts += [f"where {condition}" for condition in conditions]
    if options.code:
        if parts:
            parts.append("")
        parts.append(found.code(options.code).rstrip("\n"))
    print("\n".join(parts))


def _steps(found: Derivative | Solved) -> list[str]:
    from .answers import Steps

    return Steps(list(found.steps), found.names, found).lines()


def _tell(assumed: dict[str, str], notes: Iterable[str]) -> None:
    for name, type_ in assumed.items():
        print(f"# assumed {name}: {type_}", file=sys.stderr)
    for note in dict.fromkeys(notes):
        print(f"# {note}", file=sys.stderr)


# ---------------------------------------------------------------- JSON


def _print_json(data: dict[str, Any]) -> None:
    from json import dumps

    print(dumps(data, ensure_ascii=False, indent=2, allow_nan=False))


def _derivative_data(found: Derivative, backend: str | None) -> dict[str, Any]:
    from .answers import Steps, json_conditions

    return {
        "form": found.form,
        "shape": list(found.expr.shape),
        "text": str(found),
        "latex": found.latex(),
        "steps": Steps(found.steps, found.names, found).to_json(),
        "code": found.code(backend or "numpy"),
        "check": _check(found),
        "conditions": json_conditions(found),
        "notes": list(dict.fromkeys(found.notes)),
    }


def _solution_data(found: Solved, backend: str | None) -> dict[str, Any]:
    from .answers import Steps, json_conditions

    shapes = [list(value.shape) for value in found.values.values()]
    return {
        "form": "solution",
        "shape": shapes[0] if len(shapes) == 1 else shapes,
        "text": str(found),
        "values": {name: str(value) for name, value in found.values.items()},
        "latex": found.latex(),
        "steps": Steps(list(found.steps), found.names, found).to_json(),
        "code": found.code(backend or "numpy"),
        "check": _check(found),
        "conditions": json_conditions(found),
        "notes": list(found.notes),
    }


def _check(found: Derivative | Solved) -> dict[str, Any]:
    """The comparison with numbers; ``ok`` is null where there is nothing to compare with."""
    try:
        result = found.check()
    except MatcalcError as error:
        return {"ok": None, "max_error": None, "message": error.message}
    finite = result.max_error == result.max_error and abs(result.max_error) != float("inf")
    return {"ok": result.ok, "max_error": result.max_error if finite else None, "message": result.message}


# ---------------------------------------------------------------- scripts


def _read(path: str) -> str:
    """A file, or standard input for ``-``.  Raises :class:`MatcalcError` when it cannot be read."""
    shown = "standard input" if path == "-" else path
    try:
        if path != "-":
            data = Path(path).read_bytes()
        else:
            data = sys.stdin.buffer.read() if sys.stdin is not None else b""
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MatcalcError(f"{shown} is not text in UTF-8") from None
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise MatcalcError(f"{shown} cannot be read: {reason}") from None


def _run(options: argparse.Namespace) -> int:
    from .session import Session

    text = _read(options.file)
    try:
        Session().run_each(text, Transcript(text).show)
    except MatcalcError as error:
        if options.file == "-":
            raise
        raise _InFileError(options.file, error) from error
    return DONE


class _InFileError(Exception):
    """An error with the file in which it is."""

    def __init__(self, path: str, error: MatcalcError) -> None:
        super().__init__(f"{path}: {error}")
        self.error = error


class Transcript:
    """Prints a script together with its answers; blank lines and comments of the script are kept."""

    def __init__(self, text: str) -> None:
        self.text, self.at = normalize("NFC", text), 0

    def show(self, answer: Answer) -> None:
        """One statement, as soon as it is answered."""
        gap = self.text[self.at : answer.start].split("\n")
        comments = [line.strip() for line in gap[:-1] if line.strip().startswith("#")]
        if self.at and gap[1:-1].count("") + gap[1:-1].count("\r"):
            print()
        print("\n".join([*comments, *answer.transcript()]), flush=True)
        self.at = answer.end


def _minimize(options: argparse.Namespace) -> int:
    from .minimize_command import run

    text = _read(options.file)
    try:
        return run(options, text)
    except MatcalcError as error:
        if options.file == "-" or error.text is None:
            raise
        raise _InFileError(options.file, error) from error


def _serve(options: argparse.Namespace) -> int:
    print("matcalc: the web page is not available yet", file=sys.stderr)
    return NO_ANSWER


def _repl(options: argparse.Namespace) -> int:
    if sys.stdin is None or not sys.stdin.isatty():
        options.file = "-"
        return _run(options)
    from .repl import repl

    return repl(color=not (getattr(options, "no_color", False) or os.environ.get("NO_COLOR")), debug=_debug(options))


# ---------------------------------------------------------------- the command

_COMMANDS: dict[str | None, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "diff": _diff,
    "solve": _solve,
    "extremum": _extremum,
    "minimize": _minimize,
    "serve": _serve,
    None: _repl,
}


def _debug(options: argparse.Namespace) -> bool:
    return bool(getattr(options, "debug", False))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; the exit status.  Errors are printed, never raised."""
    _lenient_output()
    try:
        try:
            options = _parser().parse_args(_protected(sys.argv[1:] if argv is None else argv))
        except SystemExit as stop:  # argparse has printed help, the version or what is wrong
            return stop.code if isinstance(stop.code, int) else WRONG_INPUT
        status = _answered(options)
        sys.stdout.flush()
        return status
    except KeyboardInterrupt:
        print("matcalc: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        _silence_output()
        return PIPE_CLOSED
    except OSError as error:
        _silence_output()
        print(f"matcalc: cannot write: {error.strerror}", file=sys.stderr)
        return NO_ANSWER


def _answered(options: argparse.Namespace) -> int:
    """The status of one command, its errors on standard error."""
    try:
        with limits(**({"seconds": options.seconds} if hasattr(options, "seconds") else {})):
            return _COMMANDS[options.command](options)
    except (MatcalcError, _InFileError) as error:
        _complain(str(error), options)
        kind = error.error if isinstance(error, _InFileError) else error
        return NO_ANSWER if isinstance(kind, _NO_ANSWER) else WRONG_INPUT
    except RecursionError:
        _complain("the input is nested too deeply", options)
    except MemoryError:
        _complain("the memory does not suffice", options)
    except OSError:
        raise
    except Exception as error:
        _complain(f"an error of matcalc itself ({type(error).__name__}: {error}); --debug shows where", options)
    return NO_ANSWER


def _complain(message: str, options: argparse.Namespace) -> None:
    sys.stdout.flush()
    if _debug(options):
        from traceback import print_exc

        print_exc()
    print(f"matcalc: {message}", file=sys.stderr)


def _lenient_output() -> None:
    """A character that the terminal cannot show must not stop an answer."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def _silence_output() -> None:
    """Nobody reads standard output any more: what is still buffered goes nowhere."""
    if sys.stdout is None:
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
    except (OSError, ValueError):
        return


__all__ = ["main"]
