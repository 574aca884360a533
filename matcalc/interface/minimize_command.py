"""``matcalc minimize FILE.mc --data data.npz``: the iteration from the shell."""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from ..bounds import bounded
from ..errors import MatcalcError, ParseError
from ..language.syntax import Node

if TYPE_CHECKING:
    from ..iterating.minimize import Task
    from ..iterating.result import Optimum

ABOUT = """\
The last statement "minimize f over X" or "maximize f over X, Y subject to ..." of the script is answered by
iteration; declarations, definitions and assumptions before it count, other questions are passed over. The arrays of
the .npz file are the variables by their ASCII names (Sigma for Σ), members of a family of differing shapes W[0],
W[1]; an array x0 is the start of the unknown x.
"""


def add_parser(commands: Any, common: argparse.ArgumentParser) -> None:
    """The options of the command."""
    command = commands.add_parser(
        "minimize", parents=[common], help="minimize by iteration, for data", description=ABOUT
    )
    add = command.add_argument
    add("file", metavar="FILE.mc", help="a script, or - for standard input")
    add("--data", action="append", default=[], metavar="DATA.npz", help="arrays by the names of the variables")
    add("--set", action="append", default=[], metavar="NAME=NUMBER", help="a scalar or a size")
    add("--start", metavar="START.npz", help="arrays by the names of the unknowns")
    add("--objective", metavar="EXPR", help="minimize this instead of what a statement of the script says")
    add("--over", metavar="NAMES", help="the unknowns, with --objective")
    add("--subject-to", metavar="CONDITIONS", help="constraints, with --objective")
    add("--method", default="auto", help="auto, gauss-newton, newton, lbfgs, bfgs, cg, slsqp or trust-constr")
    add("--seed", type=int, default=0, help="of a random start")
    add("--tol", type=float, default=1e-8, help="of the gradient, relative to that at the start")
    add("--max-iterations", type=int, default=10_000, metavar="N")
    add("--output", metavar="RESULT.npz", help="save the unknowns and the value")
    add("--plot", metavar="PICTURE", help="save a picture of the iteration")
    add("--json", action="store_true", help="one JSON object with everything")


def run(options: argparse.Namespace, text: str) -> int:
    """Answer the command; the exit status is 1 where the iteration did not converge."""
    from .minimize import iterate

    if (options.objective is None) != (options.over is None):
        raise MatcalcError("--objective and --over belong together")
    if options.objective is not None:
        subject = f" subject to {options.subject_to}" if options.subject_to else ""
        text = f"{text}\nminimize {options.objective} over {options.over}{subject}"
    elif options.subject_to:
        raise MatcalcError("--subject-to belongs to --objective and --over", hint="the script says subject to ...")
    data = _numbers(options.set)
    for path in options.data:
        data |= _members(_loaded(path))
    start = _members(_loaded(options.start)) if options.start else {}
    task, assumed = _task(unicodedata.normalize("NFC", text), {**data, **start})
    for unknown in task.unknowns:
        beside = data.pop(unknown.name + "0", None) if unknown.name + "0" not in task.declared else None
        if beside is not None:
            start.setdefault(unknown.name, beside)
    settings = {
        "method": options.method,
        "seed": options.seed,
        "tol": options.tol,
        "max_iterations": options.max_iterations,
        "seconds": getattr(options, "seconds", None),
    }
    found = iterate(task, assumed, data, start, settings)
    if options.json:
        from json import dumps

        print(dumps(found.to_json(), ensure_ascii=False, indent=2, allow_nan=False))
    else:
        print("\n".join(found.lines(notes=False)))
        for note in found.notes:
            print(f"# {note}", file=sys.stderr)
    if options.output:
        _save(options.output, found)
    if options.plot:
        _draw(options.plot, found)
    return 0 if found.converged else 1


# ---------------------------------------------------------------- the script


@bounded
def _task(text: str, arrays: Mapping[str, Any]) -> tuple[Task, dict[str, str]]:
    """What the last such statement of a script asks."""
    from ..language.elaborate import elaborate, elaborate_variable
    from ..language.parser import parse_syntax
    from .conditions import read_condition
    from .minimize import declare_arrays, task_of
    from .session import Session

    nodes = parse_syntax(text, "script").nodes()
    asked = next((node for node in reversed(nodes) if node.kind == "extremum"), None)
    if asked is None:
        raise ParseError(
            "the script has no statement minimize f over X", hint="add one at its end, or give --objective and --over"
        )
    word = str(asked.parts[0])
    if word == "extremum":
        raise ParseError("an iteration goes up or down: write minimize or maximize").locate(
            text, asked.start, asked.end
        )
    session = Session()
    scope = session.scope
    declare_arrays(scope, arrays)
    session.run(_only(text, (node for node in nodes if node.kind in _KEPT and node.start < asked.start)))
    try:
        objective, over = asked.nodes()[:2]
        function = elaborate(objective, text, scope)
        variables = [elaborate_variable(node, text, scope, function.term) for node in over.nodes()]
        conditions = [read_condition(node, text, scope) for part in asked.nodes()[2:] for node in part.nodes()]
        return task_of(scope, function, variables, conditions, len(variables) == 1, word == "maximize")
    except MatcalcError as error:
        raise error.locate(text, asked.start, asked.end) from None


_KEPT = ("declaration", "definition", "assume")


def _only(text: str, nodes: Iterable[Node]) -> str:
    """The text with blanks for all but some statements, so that places in it stay what they are."""
    kept = [char if char == "\n" else " " for char in text]
    for node in nodes:
        start = text.rfind("assume", 0, node.start) if node.kind == "assume" else node.start
        kept[start : node.end] = text[start : node.end]
        if node.end < len(text) and text[node.end] == ";":
            kept[node.end] = ";"
    return "".join(kept)


# ---------------------------------------------------------------- arrays


def _numbers(texts: Iterable[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in texts:
        name, sign, value = text.partition("=")
        try:
            number = float(value)
        except ValueError:
            number = float("nan")
        if not sign or number != number:
            raise MatcalcError(f"--set takes NAME=NUMBER, not {text}")
        found[name.strip()] = int(number) if value.strip().lstrip("+-").isdigit() else number
    return found


def _loaded(path: str) -> dict[str, Any]:
    """The arrays of a file.  Raises :class:`MatcalcError` when it cannot be read."""
    import numpy as np

    try:
        file = np.load(path, allow_pickle=False)
        if isinstance(file, np.ndarray):
            raise MatcalcError(f"{path} holds one array; several with their names are in a .npz file")
        with file:
            return {name: file[name] for name in file.files}
    except OSError as error:
        raise MatcalcError(f"{path} cannot be read: {error.strerror or 'it is no .npz file'}") from None
    except (ValueError, KeyError, EOFError, BadZipFile):
        raise MatcalcError(f"{path} is no .npz file of numbers") from None


def _members(arrays: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays ``W[0]``, ``W[1]``, … of one family together."""
    found: dict[str, Any] = {}
    families: dict[str, dict[int, Any]] = {}
    for key, value in arrays.items():
        name, bracket, rest = key.partition("[")
        if bracket and rest.endswith("]") and rest[:-1].strip().lstrip("-").isdigit():
            families.setdefault(name, {})[int(rest[:-1])] = value
        else:
            found[key] = value
    for name, members in families.items():
        first = min(members)
        if sorted(members) != list(range(first, first + len(members))):
            raise MatcalcError(f"the members of {name} are not numbered one after the other: {sorted(members)}")
        found[name] = [members[at] for at in sorted(members)]
    return found


def _save(path: str, found: Optimum) -> None:
    import numpy as np

    arrays: dict[str, Any] = {"value": found.value}
    for name, value in found.points.items():
        if isinstance(value, list):
            arrays |= {f"{name}[{found.first.get(name, 0) + at}]": member for at, member in enumerate(value)}
        else:
            arrays[name] = value
    try:
        with Path(path).open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise MatcalcError(f"{path} cannot be written: {error.strerror}") from None


def _draw(path: str, found: Optimum) -> None:
    from ..iterating.picture import save

    save(found, path)
