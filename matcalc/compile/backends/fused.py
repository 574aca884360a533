"""NumPy with the entrywise parts fused into C kernels.

The entrywise nodes of one shape in one block, and the sums over them, are one loop over the entries, as far as
nothing else stands between them: each node has a level, which rises where a fused value goes into anything else.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush
from typing import Any

from ...terms import ops
from ...terms.build import MINUS_ONE_NUM
from ...terms.dims import Dim
from ...terms.term import Term
from .. import primitives as p
from ..graph import Graph
from ..names import Names
from ..numpy_writer import NumpyWriter
from ..operators import CODE
from ..pieces import Code
from ..scopes import Key, Node, Scope
from ..target import Target
from . import native
from .kernels import FUNCTIONS, HEAD, Kernel, number, speaking, statements, summand

_ENTRYWISE = frozenset({ops.ADD, ops.SCALE, ops.HAD, ops.POW, ops.FUN, p.CAPPED_EXP})
_SUMS = frozenset({ops.TOTAL, ops.INNER, ops.NORM, p.EXCESS, p.SUM_LOG1P})
_SPREAD = frozenset({p.EVERY_ROW, p.EVERY_COLUMN})
"""What stands for a matrix and is a vector that NumPy repeats."""
Signature = tuple[Scope, Dim, Dim]


@dataclass(eq=False)
class Group:
    """The nodes of one kernel, in the order of the plan."""

    nodes: list[Node] = field(default_factory=list)

    @property
    def worthwhile(self) -> bool:
        """True where fusing spares enough passes over the entries to pay for the call of a kernel."""
        return sum(not _sign(node.term) for node in self.nodes) >= PASSES


PASSES = 4
"""What takes fewer passes over the entries is left to NumPy, which overwrites arrays too."""


def _sign(term: Term) -> bool:
    """True for a change of the sign, which goes into the sum that it is part of."""
    return term.op is ops.SCALE and term.args[0] is MINUS_ONE_NUM


def _entrywise(node: Node, graph: Graph) -> bool:
    term = node.term
    if term.is_scalar or node.guards or term in graph.lookups or term.op not in _ENTRYWISE:
        return False
    if term.op is ops.FUN and term.attr not in FUNCTIONS:
        return False
    return all(t.is_scalar or (t.shape == term.shape and t.op not in _SPREAD) for t, _ in node.args)


def groups(nodes: Sequence[Node], graph: Graph) -> tuple[list[Node], dict[Key, Group]]:
    """The nodes, those of a group next to one another, and the group of each fused node."""
    signature: dict[Key, Signature] = {}
    level: dict[Key, int] = {}
    for node in nodes:
        mine = None
        run = node.home.run or (node.home.parent.run if node.home.parent is not None else None)
        if _entrywise(node, graph) and not (run is not None and node.term in run.only_last):
            mine = signature[node.key] = (node.home, node.term.rows, node.term.cols)
        level[node.key] = max(
            (level[arg] + (arg in signature and signature[arg] != mine) for arg in node.args), default=0
        )
    found: dict[tuple[Signature, int], Group] = {}
    member: dict[Key, Group] = {}
    for node in nodes:
        key = _place(node, signature, level)
        if key is not None:
            member[node.key] = found.setdefault(key, Group())
            member[node.key].nodes.append(node)
    member = {key: group for key, group in member.items() if group.worthwhile}
    return _together(nodes, member), member


def _together(nodes: Sequence[Node], member: dict[Key, Group]) -> list[Node]:
    """The nodes as near to their order as it can be with those of each group next to one another."""
    parts: dict[Node | Group, list[int]] = {}
    for at, node in enumerate(nodes):
        parts.setdefault(member.get(node.key, node), []).append(at)
    part = {nodes[at].key: which for which, places in parts.items() for at in places}
    waits: dict[Node | Group, set[Node | Group]] = {}
    followers: dict[Node | Group, list[Node | Group]] = {}
    for which, places in parts.items():
        waits[which] = {part[key] for at in places for key in nodes[at].args} - {which}
        for other in waits[which]:
            followers.setdefault(other, []).append(which)
    ready = [(places[-1], which) for which, places in parts.items() if not waits[which]]
    heapify(ready)
    found: list[Node] = []
    while ready:
        _, which = heappop(ready)
        found += [nodes[at] for at in parts[which]]
        for other in followers.get(which, ()):
            waits[other].remove(which)
            if not waits[other]:
                heappush(ready, (parts[other][-1], other))
    return found


def _place(node: Node, signature: dict[Key, Signature], level: dict[Key, int]) -> tuple[Signature, int] | None:
    """The kernel that a node belongs to: an entrywise one, or a sum over entries of one."""
    if node.key in signature:
        return signature[node.key], level[node.key]
    operands = _summed(node)
    fused = [arg for arg in operands if arg in signature and signature[arg][0] is node.home]
    if not fused:
        return None
    top = max(fused, key=level.__getitem__)
    _, rows, cols = signature[top]
    same = all(
        key[0].shape == (rows, cols) and key[0].op not in _SPREAD and level[key] <= level[top] for key in operands
    )
    return (signature[top], level[top]) if same else None


def _summed(node: Node) -> list[Key]:
    """The arrays whose entries a node sums up the products of."""
    return list(node.args) if node.term.op in _SUMS and not node.guards else []


class FusedWriter(NumpyWriter):
    """Writes a call of a kernel for each group of nodes."""

    def __init__(self, names: Names, graph: Graph, nodes: list[Node]) -> None:
        self.kernels: list[str] = []
        self.twins: list[str] = []
        super().__init__(names, graph, nodes)
        if self.kernels:
            self.own_helpers["_fused"] = _blob(self.kernels, self.twins)
            self.helper("_fused")

    def _ordered(self, nodes: list[Node], graph: Graph) -> list[Node]:
        ordered, self.member = groups(super()._ordered(nodes, graph), graph)
        of = self.member.get
        top = next(n.home for n in nodes if n.home.parent is None)
        self.visible = {key for node in ordered for key in node.args if of(key) is not of(node.key)}
        self.visible |= {(root, top) for root in graph.roots}
        return ordered

    def _write(self, node: Node) -> None:
        group = self.member.get(node.key)
        if group is None:
            super()._write(node)
        elif node is group.nodes[-1]:
            self._call(group)

    def _call(self, group: Group) -> None:
        """The kernel of a group, its NumPy twin, and the line that calls it."""
        kernel = Kernel(f"fused{len(self.kernels)}")
        unread = self._unread(group)
        inside: dict[Key, str] = {}
        given: dict[str, str] = {}
        twin: list[str] = []
        outside: dict[Key, Code | None] = {}
        """What the values are called outside the kernel."""

        def operand(key: Key) -> str:
            if key in inside:
                return inside[key]
            term = key[0]
            literal = number(term.attr) if term.op is ops.NUM else None
            if literal is not None:
                return literal if term.attr >= 0 else f"({literal})"
            kind, names = ("c", kernel.numbers) if term.is_scalar else ("a", kernel.arrays)
            text = (outside.get(key) or self.values[key]).text
            inside[key] = text if speaking(text) else f"{kind}{len(names)}"
            if inside[key] not in names:  # vec(x') is x
                names.append(inside[key])
            given[inside[key]] = text
            return inside[key]

        results: list[tuple[Key, str, str]] = []
        for node in group.nodes:
            texts = [operand(key) for key in node.args]
            for key, text in zip(node.args, texts, strict=True):
                if key[0].op is not ops.NUM:
                    outside.setdefault(key, self.values.get(key))
                    self.values[key] = Code(text)
            code = CODE[node.term.op](self, node, [self.values[key] for key in node.args])
            if node.term.is_scalar:
                name = f"s{len(kernel.summed)}"
                kernel.summed.append(summand(node.term, texts))
                shown = code.text
                results.append((node.key, "n", "np.sqrt({})" if node.term.op is ops.NORM else "{}"))
                twin.append(f"{name} = {shown}{' ** 2' if node.term.op is ops.NORM else ''}")
                continue
            name = f"v{len(kernel.values)}"
            kernel.values.append(name)
            inside[node.key] = name
            kernel.lines += statements(name, node.term, texts)
            twin.append(f"{name} = {code.text}")
            if node.key in self.visible:
                kernel.stored.append(name)
                results.append((node.key, "a", "{}"))
            if node.term in self.printable:
                kernel.formulas = [" ".join(self.formula(node.term, node.home).split())[:110]]
        self.values.update({key: code for key, code in outside.items() if code is not None})
        results.sort(key=lambda result: result[1])
        free = {inside[key]: name for key, name in unread if inside.get(key) in kernel.arrays}
        kernel.over = dict(zip(kernel.stored, sorted(free, key=kernel.arrays.index), strict=False))
        again = [free[array] for array in kernel.over.values()]
        names = [*again, *(self.names.numbered("t") for _ in results[len(again) :])]
        for node in group.nodes:
            self._used(node)
        for name, (key, kind, shown) in zip(names, results, strict=True):
            self.values[key] = Code(shown.format(name))
            self.reads[key] = frozenset((name,))
            if shown == "{}":
                self.named[key] = name
            if kind == "a":
                self.own.add(name)
                if group.nodes[-1].home is self.top:
                    self.arrays[name] = key[0]
        takes = "".join("o" if array in kernel.over.values() else "a" for array in kernel.arrays)
        takes += "n" * len(kernel.numbers)
        gives = "".join(kind for _, kind, _ in results)
        inputs = [*kernel.arrays, *kernel.numbers]
        outputs = [*kernel.stored, *(f"s{k}" for k in range(len(kernel.summed)))]
        self.kernels.append(kernel.source())
        self.twins.append(
            "\n".join(
                [
                    f"def _{kernel.name}_by_numpy({', '.join(inputs)}):",
                    *("    " + line for line in twin),
                    f"    return {', '.join(outputs)}",
                    "",
                    "",
                    f'_{kernel.name} = _kernel(_library_of_kernels, "{kernel.name}", "{takes}", "{gives}", '
                    f"_{kernel.name}_by_numpy)",
                ]
            )
        )
        last = group.nodes[-1]
        call = f"{', '.join(names)} = _{kernel.name}({', '.join(given[i] for i in inputs)})"
        last.home.lines.append(call + self.comment(group.nodes[-1].term, last.home))

    def _unread(self, group: Group) -> list[tuple[Key, str]]:
        """The arrays that nobody reads behind a group, in place of which it can give others."""
        used = Counter(key for node in group.nodes for key in node.args)
        for node in group.nodes:
            for at, key in enumerate(node.args):
                if used[key] == 1 and key not in self.member and not node.term.is_scalar:
                    self._fresh(node, at)
        home, shape = group.nodes[-1].home, next(n.term.shape for n in group.nodes if not n.term.is_scalar)
        found: list[tuple[Key, str]] = []
        for key, count in used.items():
            name, owner = self.named.get(key), self.nodes[key]
            if name is None or name not in self.own or name in self.pinned or self.pending[name]:
                continue
            last = self.remaining[key] == count and owner.home is home and self.stays(owner)
            if last and key[0].shape == shape:
                found.append((key, name))
        return found


def _blob(kernels: Sequence[str], twins: Sequence[str]) -> str:
    parts: list[Callable[..., Any]] = [
        *(native._compiler, native._own_folder, native._own, native._library, native._kernel)
    ]
    source = "\n\n".join([HEAD, *kernels])
    return "\n\n\n".join(
        [
            *(inspect.getsource(part).rstrip() for part in parts),
            f'_KERNELS = r"""{source}\n"""\n_library_of_kernels = _library(_KERNELS)',
            *twins,
        ]
    )


_IMPORTS = """\
from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import stat
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

"""


def _finish(source: str) -> str:
    return _IMPORTS + source if "_library_of_kernels" in source else source


TARGET = Target("c", FusedWriter, _finish, lower=True)
