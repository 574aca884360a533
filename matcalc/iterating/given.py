"""Everything that is given for an iteration, checked: arrays, functions, sizes, and the shapes of the unknowns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

import numpy as np

from ..compile.names import Source, identifier, ragged, sources_of
from ..errors import MatcalcError, ShapeError, UnknownName
from ..terms.dims import Name, SizeAt
from ..terms.symbols import Family, Unknown
from ..terms.term import Term
from ..terms.walk import attr_dims, postorder
from .charts import check_start
from .data import Array, by_identifier, check_facts, packed, read, shapes_of, sides_of
from .problem import Runner, Sought
from .sizes import Side, Sizes


@dataclass
class Given:
    """The data as generated code takes them, the shapes of the unknowns, and the starts that were given."""

    runner: Runner
    shapes: dict[str, list[tuple[int, ...]]]
    starts: dict[str, list[Array]]
    firsts: dict[str, int]
    """The number of the first member of each unknown that is a family, else 0."""


def given(
    terms: Sequence[Term],
    unknowns: Sequence[Sought],
    data: Mapping[str, Any] | None,
    start: Mapping[str, Any] | None,
    declared: Mapping[str, Source],
) -> Given:
    """Read and check all that is given for these terms.

    ``declared`` are all variables by name, of which some may not occur in the terms.  Raises
    :class:`MatcalcError` and :class:`ShapeError` naming the array, its shape and what was expected.
    """
    arrays, starts = by_identifier(data, "data"), by_identifier(start, "start")
    nodes = postorder(*terms, *(u.term for u in unknowns))
    used = {identifier(s.name): s for s in sources_of(nodes) if s.role == "variable"}
    known = {identifier(name): s for name, s in declared.items()} | used
    functions = {identifier(t.attr.name): t.attr for t in nodes if isinstance(t.attr, Unknown)}
    names, tables = _sizes_of(nodes, known.values())
    by_name = {u.name: u for u in unknowns}
    sizes, sides = Sizes(), list[Side]()
    values: dict[str, Any] = {}
    members: dict[str, Any] = {}
    for name, value in arrays.items():
        if name in by_name:
            raise MatcalcError(f"{name} is what is sought, it cannot be among the data", hint="start= gives its start")
        if name in known:
            members[name], told = read(known[name], name, value)
            sides += told
        elif name in names and name not in functions:
            sizes.give(name, _integer(name, value))
        elif name in tables:
            sizes.give(name, _table(name, value))
        elif callable(value) and (name in functions or _base(name) in functions):
            values[name] = value
        else:
            raise _unknown(name, {*known, *functions, *names, *tables} - by_name.keys(), "data")
    for name, value in starts.items():
        if name not in by_name:
            raise _unknown(name, set(by_name), "start")
        members[name], told = read(by_name[name].source, name, value)
        sides += told
    lacking = sorted((used.keys() | functions.keys()) - arrays.keys() - by_name.keys())
    if lacking:
        kinds = ", ".join(lacking)
        raise MatcalcError(f"the data lack {kinds}", hint=f"give data={{{', '.join(f'{n!r}: ...' for n in lacking)}}}")
    sizes.learn(sides)
    for side in sides:  # what could not be solved for is checked now
        value = sizes.value(side.size)
        if value is not None and value != side.length:
            raise ShapeError(f"{side.told} is {side.length}, but {side.size} = {value} is expected")
    for name in arrays.keys() & members.keys():
        source = known[name]
        _check_members(name, source, members[name])
        shape = () if ragged(source) else tuple(sizes.value(d) or 0 for d in sides_of(source))
        values[name] = packed(source, members[name], shape)
    integers = {n.name: v for n, v in sizes.names.items()}
    for name, size in integers.items():
        values[identifier(name) + ("_" if identifier(name) in known else "")] = size
    for name, table in sizes.tables.items():
        values[identifier(name) + ("_" if identifier(name) in known else "")] = table
    shapes = {u.name: shapes_of(u.source, u.name, sizes) for u in unknowns}
    for name, members_of in shapes.items():
        if not members_of:
            raise MatcalcError(f"{name} has no members here: there is nothing to move")
    begun: dict[str, list[Array]] = {}
    for name in starts:
        unknown = by_name[name]
        begun[name] = members[name] if isinstance(unknown.source, Family) else [members[name]]
        for member in begun[name]:
            check_start(f"the start of {name}", member, unknown.facts)
    firsts = {u.name: sizes.value(u.source.index.lo) or 0 if isinstance(u.source, Family) else 0 for u in unknowns}
    return Given(Runner(values, functions.values()), shapes, begun, firsts)


def _check_members(name: str, source: Source, members: Any) -> None:
    if not isinstance(source, Family):
        check_facts(name, members, source.facts)
        return
    for number, member in enumerate(members):
        check_facts(f"{name}[{source.index.lo + number}]", member, source.facts)


def _sizes_of(nodes: Sequence[Term], sources: Any) -> tuple[set[str], set[str]]:
    """The names of sizes, and of tables of sizes."""
    dims = {d for t in nodes for d in (t.rows, t.cols, *attr_dims(t.attr))}
    for source in sources:
        dims |= {source.rows, source.cols}
        if isinstance(source, Family):
            dims |= {source.index.lo, source.index.hi}
    atoms = {a for d in dims for a in d.atoms()}
    return {a.name for a in atoms if isinstance(a, Name)}, {a.name for a in atoms if isinstance(a, SizeAt)}


def _integer(name: str, value: Any) -> int:
    array = np.asarray(value)
    if array.size != 1 or array.dtype.kind not in "iuf" or float(array.reshape(())) % 1:
        raise MatcalcError(f"{name} is a size, an integer, not {value!r:.60}")
    return int(array.reshape(()))


def _table(name: str, value: Any) -> dict[int, int]:
    pairs = value.items() if isinstance(value, Mapping) else enumerate(value)
    return {int(k): _integer(f"{name}[{k}]", v) for k, v in pairs}


def _base(name: str) -> str:
    """``phi`` of ``phi``, ``dphi``, ``d2phi``."""
    rest = name[1:] if name.startswith("d") else name
    return rest.lstrip("0123456789")


def _unknown(name: str, candidates: set[str], where: str) -> UnknownName:
    close = get_close_matches(name, sorted(candidates), 1, 0.6)
    listed = ", ".join(sorted(candidates)) or "nothing"
    hint = f"did you mean {close[0]}?" if close else f"what can be given is {listed}"
    return UnknownName(f"{name} in the {where} means nothing in this problem", hint=hint)
