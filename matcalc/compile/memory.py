"""How long arrays are kept: the order of the results, and the lines that let go of what is not read any more."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from ..terms.term import Term
from .names import MATRIX
from .pieces import form_of
from .scopes import Key, Node

_MANY = 40
"""More results than this are computed in the order in which they are asked for."""
_NAME = re.compile(r"\bt\d+\b")
_ASSIGNED = re.compile(r"(t\d+) = ")
_PLAIN = r"-?[\d.]+|\w+(?:\[:, None\]|\[:, :, None\])?|\(\w+ > 0\)"
_IN_PLACE = re.compile(rf"t\d+ [-+*/]= (?:{_PLAIN})$|np\.\w+\((?:[\w.]+, )+out=t\d+\)$")
"""Statements that make no other array, or one of truth values."""


def by_results(nodes: Sequence[Node], roots: Iterable[Term]) -> tuple[list[Node], set[Key]]:
    """The nodes, those of the numbers first, then of the result that needs the fewest further ones, and so on.

    So the gradient by the weights of the last layer is computed before the error is led back to the layer below, and
    then nobody needs that error any more.  Beside it all results but those that are computed last.
    """
    index = {node.key: at for at, node in enumerate(nodes)}
    top = next(node.home for node in nodes if node.home.parent is None)
    asked = [(root, top) for root in dict.fromkeys(roots)]
    arrays = [key for key in asked if not key[0].is_scalar]
    if len(arrays) < 2 or len(arrays) > _MANY:
        return list(nodes), set(asked) - set(arrays)
    group: dict[Key, int] = {}
    done: list[Key] = []

    def needed(key: Key) -> list[Key]:
        found, todo = {key}, [key]
        while todo:
            for other in nodes[index[todo.pop()]].args:
                if other not in group and other not in found:
                    found.add(other)
                    todo.append(other)
        return list(found)

    def take(key: Key, keys: Iterable[Key]) -> None:
        group.update(dict.fromkeys(keys, len(done)))
        done.append(key)

    for key in asked:
        if key[0].is_scalar:
            take(key, [] if key in group else needed(key))
    while arrays:
        ways = {key: [] if key in group else needed(key) for key in arrays}
        best = min(arrays, key=lambda key: len(ways[key]))
        take(best, ways[best])
        arrays.remove(best)
    order = sorted(nodes, key=lambda node: (group.get(node.key, len(done)), index[node.key]))
    return order, set(done[:-1])


def released(lines: Sequence[str], last: str, arrays: Mapping[str, Term], returned: Sequence[Term]) -> list[str]:
    """The lines of a body, with ``del`` where an array that is not read any more can make room for another one.

    Vectors are let go where there are no matrices.  ``arrays`` says what the names stand for, ``last`` is the line of
    the return, ``returned`` what it computes.
    """
    lines = list(lines)
    made: dict[str, int] = {}
    read: dict[str, int] = {}
    needs: list[tuple[int, Term]] = []
    for at, line in enumerate(lines):
        text = line.split("  # ")[0]
        assigned = _ASSIGNED.match(text)
        if assigned:
            made.setdefault(assigned.group(1), at)
        read.update(dict.fromkeys(_NAME.findall(text), at))
        first = _NAME.search(text)
        if first and first.group() in arrays and not _IN_PLACE.match(text):
            needs.append((at, arrays[first.group()]))
    needs += [(len(lines), term) for term in returned]
    for name in set(_NAME.findall(last)):
        read.pop(name, None)
    matrices = any(form_of(term) == MATRIX for term in arrays.values())
    gone: dict[int, list[str]] = {}
    for name, at in read.items():
        term = arrays.get(name)
        if term is None or name not in made or (matrices and form_of(term) != MATRIX):
            continue
        while at + 1 < len(lines) and lines[at + 1].startswith((" ", "else")):
            at += 1
        following = next((later for later, other in needs if later > at and _fits(other, term)), None)
        if following is not None:
            while following < len(lines) and lines[following].startswith((" ", "else")):
                following -= 1
            gone.setdefault(following, []).append(name)
    found: list[str] = []
    for at, line in enumerate([*lines, ""]):
        if at in gone:
            found.append(f"del {', '.join(gone[at])}")
        found.append(line)
    return found[:-1]


def _fits(other: Term, term: Term) -> bool:
    """True when an array that is made later may be as large as one that is not needed any more."""
    return other.shape == term.shape or form_of(other) == MATRIX == form_of(term)
