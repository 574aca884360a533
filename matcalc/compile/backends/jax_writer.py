"""The body of a JAX function: sums, products and recurrences as loops that are traced once.

A loop stays one of Python's, unrolled by the trace, where shapes or looked up lists depend on its index: layers
of different sizes.  All states of a recurrence are one array with the states along its first axis.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ...terms import ops
from ...terms.dims import ZERO, Atom, Dim, Index, SizeAt, dim
from ...terms.term import Term
from ...terms.walk import attr_dims
from ..graph import Graph, is_track
from ..names import COLUMN, MATRIX, ROW, SCALAR, Names, ragged
from ..pieces import POWER, Code, converted, form_of
from ..scopes import Bound, Extreme, Node, Run, Scope, leaves, shifted
from ..writer import Writer

_SHAPING = frozenset({ops.SLICE, ops.MPOW, ops.POLYGAMMA, ops.EIGVECS, ops.UNVEC, ops.COMMUTATION})
_SHAPING |= {ops.DUPLICATION, ops.ELIMINATION}
"""Operators that carry numbers which have to be known when the function is traced."""


def unrolled(nodes: Sequence[Node], graph: Graph) -> set[Scope]:
    """The loops whose index has to be a number of Python's."""
    found: set[Scope] = set()
    inner_of = {node.key: node.inner for node in nodes}

    def known(dims: Iterable[Dim], scope: Scope) -> None:
        for index in _indices(dims):
            home = scope.binding(frozenset((index,)))
            if home.parent is not None:
                found.add(home)

    before = -1
    while before != len(found):
        before = len(found)
        for node in nodes:
            term, looped = node.term, node.inner.index is not None and node.inner is not node.home
            known((term.rows, term.cols), node.inner)
            dims = attr_dims(term.attr) if not term.op.binder else []
            if term.op in _SHAPING or (term.op is ops.MEMBER and ragged(term.attr.family)):
                known(dims, node.inner)
            known((a.arg for d in dims for a in d.atoms() if isinstance(a, SizeAt)), node.inner)
            if looped:
                ends: list[Bound] = [node.inner.low, node.inner.high]
                run = node.inner.run
                stored = run is not None and not all(run.only_last.values())
                if node.inner in found or stored or any(isinstance(e, Extreme) for e in ends):
                    known((leaf for end in ends for leaf in leaves(end)), node.home)
            lookup = graph.lookups.get(term)
            if lookup is not None and inner_of[node.args[0]] in found:
                known((lookup.at,), node.home)
    return found


def _indices(dims: Iterable[Dim]) -> set[Index]:
    found: set[Index] = set()
    atoms: list[Atom] = [atom for d in dims for atom in d.atoms()]
    while atoms:
        atom = atoms.pop()
        if isinstance(atom, Index):
            found.add(atom)
        elif isinstance(atom, SizeAt):
            atoms += atom.arg.atoms()
    return found


class JaxWriter(Writer):
    """Writes loops that are traced once as functions of their index and of what they carry."""

    def __init__(self, names: Names, graph: Graph, nodes: list[Node]) -> None:
        self.unrolled = unrolled(nodes, graph)
        super().__init__(names, graph, nodes)

    def _traced(self, scope: Scope) -> bool:
        return scope not in self.unrolled

    def _name_loops(self, nodes: Sequence[Node]) -> None:
        super()._name_loops(nodes)
        for node in nodes:
            run = node.inner.run if is_track(node.term) else None
            if run is not None and self._traced(node.inner):
                lowest = self._lowest(run)
                text = self.bound(lowest, node.home)
                moved = "" if text == "0" else f" - {text}" if text.isidentifier() or text.isdigit() else f" - ({text})"
                joint = run.track.op is ops.STATE and run.track.args[0].op is ops.JOINT
                run.lookup = f"{{store}}[{{at}}{moved}]"
                run.lookup_state = f"_at({{store}}, {{at}}{moved})" if joint else run.lookup
                if joint:
                    self.helper("_at")

    def _lowest(self, run: Run) -> Bound:
        """The index that stands first in the arrays of states: 0 where that wastes next to nothing."""
        loop = run.loop
        if loop.step > 0:
            small = loop.first.constant is not None and 0 <= loop.first.constant <= 2
            return ZERO if small else loop.first
        end = run.last if run.rest is not None else run.reach
        return ZERO if isinstance(end, Dim) and self.graph.known(end) else end

    def _highest(self, run: Run) -> Bound:
        if run.loop.step < 0:
            return run.loop.first
        return run.last if run.rest is not None else run.reach

    # ------------------------------------------------------------ sums, products, families

    def _loop(self, node: Node) -> None:
        if not self._traced(node.inner):
            super()._loop(node)
            return
        term, inner, lines = node.term, node.inner, node.home.lines
        index, step = term.attr
        name, function = self.names.numbered("t"), self.names.numbered("step")
        flat = term.op is ops.PROD and form_of(term.args[0]) == MATRIX != form_of(term)
        lo = self.dim(index.lo, node.home).text
        if term.op is ops.FAMILY:
            count = self.dim(index.hi - index.lo + 1, node.home).text
            start = f"np.zeros(({', '.join([count, *self._shape(term.args[0], node.home)])},))"
        elif flat:
            start = f"np.eye({self.dim(term.rows, node.home).text})"
        else:
            start = self.filled("zeros" if term.op is ops.SUM else "eye", term, node.home)
        body = self.values[node.args[0]]
        update = [f"return {self._added(name, node, body)}"]
        if node.args[0] in self.waiting:
            held, code = self.waiting[node.args[0]]
            update = [f"if {self._condition(held)}:"]
            update += ["    " + line for line in [*held.inner.lines, f"{name} = {self._added(name, node, code)}"]]
            update += [f"return {name}"]
        stop = self.dim(index.hi + 1 if step == 1 else index.hi - 1, node.home).text
        lines.append(f"def {function}({inner.variable}, {name}):{self.comment(term, node.home)}")
        lines += ["    " + line for line in [*inner.lines, *update]]
        repeat = self.helper("_repeat")
        lines.append(f"{name} = {repeat}({lo}, {stop}, {step}, {function}, {start})")
        self.values[node.key] = converted(Code(name), MATRIX, form_of(term)) if flat else Code(name)

    def _added(self, name: str, node: Node, body: Code) -> str:
        term = node.term
        if term.op is ops.FAMILY:
            at = self.place(dim(term.attr.index), term.attr.index.lo, node.inner)
            return f"{name}.at[{at}].set({body.text})"
        if term.op is ops.SUM:
            return f"{name} + {body.text}"
        return f"{name} * {body.at(POWER)}" if term.is_scalar else f"{name} @ {body.at(POWER)}"

    def _shape(self, term: Term, scope: Scope) -> list[str]:
        kind = form_of(term)
        rows, cols = self.dim(term.rows, scope).text, self.dim(term.cols, scope).text
        return {SCALAR: [], COLUMN: [rows], ROW: [cols]}.get(kind, [rows, cols])

    # ------------------------------------------------------------ conditions

    def _write(self, node: Node) -> None:
        super()._write(node)
        under_condition = any(scope.index is None for scope in node.home.up_to(self.top))
        if node.term.op is ops.MEMBER and under_condition and not ragged(node.term.attr.family):
            chosen = node.term.attr  # a branch is traced even where the family is empty
            at = self.place(chosen.at, chosen.family.index.lo, node.inner)
            text = f"{self.helper('_member')}({self.names.of[chosen.family]}, {at})"
            self.values[node.key] = Code(f"{text}[0]" if form_of(node.term) == ROW else text)

    def _under_condition(self, node: Node, code: Code) -> None:
        if not any(self._moves(guard, node.home) for guard in node.guards):
            super()._under_condition(node, code)
            return
        name, function = self.names.numbered("t"), self.names.numbered("term")
        lines = node.home.lines
        lines.append(f"def {function}():{self.comment(node.term, node.home)}")
        lines += ["    " + line for line in [*node.inner.lines, f"return {code.text}"]]
        condition = " & ".join(f"({self.relation(guard, node.home)})" for guard in node.guards)
        condition = condition[1:-1] if len(node.guards) == 1 else condition
        zeros = self.filled("zeros", node.term, node.home)
        lines.append(f"{name} = lax.cond({condition}, {function}, lambda: {zeros})")
        self.values[node.key] = Code(name)

    def _moves(self, guard: Term, scope: Scope) -> bool:
        """True when it depends on the index of a traced loop whether the indicator is 1."""
        homes = (scope.binding(frozenset((index,))) for index in guard.indices)
        return any(home.parent is not None and self._traced(home) for home in homes)

    # ------------------------------------------------------------ recurrences

    def _kept(self, node: Node, run: Run, code: Code, at: str) -> Code:
        scope = node.home if node.home.run else node.home.parent
        assert scope is not None
        if run.only_last[node.term] or not self._traced(scope):
            return super()._kept(node, run, code, at)
        name, store = self.names.numbered("t"), run.stores[node.term]
        node.home.lines += [
            f"{name} = {code.text}{self.comment(node.term, node.home)}",
            f"{store} = {store}.at[{run.place(node.term, at)[len(store) + 1 : -1]}].set({name})",
        ]
        return Code(name)

    def _recurrence(self, node: Node, run: Run) -> None:
        if not self._traced(node.inner):
            super()._recurrence(node, run)
            return
        loop, inner, home = run.loop, node.inner, node.home
        start, body = (self._as_state(term, key, run) for term, key in zip(node.term.args, node.args, strict=False))
        carried = [run.stores[None], *(run.stores[part] for part in run.parts)]
        values = [start, *(self._room(run, part, home) for part in run.parts)]
        first = self.dim(loop.first, home).text
        following = self.dim(dim(loop.index) + loop.step, inner).text
        update = f"{carried[0]} = {body}"
        if not run.only_last[None]:
            room = self.helper("_room")
            values[0] = f"{room}({start}, {self._count(run, home)}, {self._position(run, first)})"
            update = f"{carried[0]} = {self.helper('_put')}({carried[0]}, {self._position(run, following)}, {body})"
        names = ", ".join(carried)
        lines: list[str] = [*inner.lines, update]
        if run.rest is not None:
            rest = self.names.numbered("rest")
            condition = f"{inner.variable} {'<' if loop.step > 0 else '>'} {self.bound(run.reach, home)}"
            lines = [*inner.lines, f"def {rest}({names}):"]
            lines += ["    " + line for line in [*run.rest.lines, update, f"return ({names},)"]]
            target = f"{names}," if len(carried) == 1 else names
            lines.append(f"{target} = lax.cond({condition}, {rest}, lambda *same: same, {names})")
        function = self.names.numbered("step")
        stop = self.bound(shifted(run.last, loop.step), home)
        repeat = self.helper("_repeat")
        if len(carried) == 1:
            head, given, result = carried[0], values[0], [f"return {carried[0]}"]
        else:
            head, given, result = "values", f"({', '.join(values)})", [f"return {names}"]
            lines = [f"{names} = values", *lines]
        written = [
            f"def {function}({inner.variable}, {head}):{self._step_comment(node)}",
            *("    " + line for line in [*lines, *result]),
            f"{names} = {repeat}({first}, {stop}, {loop.step}, {function}, {given})",
        ]
        home.lines += written
        outside = home.parent
        if run.needed and outside is not None:
            blocks = [block for conditions in run.needed for block in conditions]
            if any(self._wavers(block, outside) for block in blocks):
                outside.lines += home.lines
                return
            texts = [" and ".join(self._reached(b, outside) for b in conditions) for conditions in run.needed]
            joined = texts[0] if len(texts) == 1 else " or ".join(dict.fromkeys(texts))
            outside.lines += [f"if {joined}:", *("    " + line for line in home.lines)]

    def _wavers(self, block: Scope, outside: Scope) -> bool:
        """True when it depends on the index of a traced loop whether a block is reached."""
        if any(self._moves(guard, outside) for guard in block.guards):
            return True
        indices = _indices(leaf for end in (block.low, block.high) for leaf in leaves(end))
        homes = (outside.binding(frozenset((index,))) for index in indices)
        return any(home.parent is not None and self._traced(home) for home in homes)

    def _position(self, run: Run, at: str) -> str:
        return run.lookup.format(store="", at=at)[1:-1]

    def _count(self, run: Run, scope: Scope) -> str:
        low, high = self._lowest(run), self._highest(run)
        if isinstance(low, Dim) and isinstance(high, Dim):
            text = self.dim(high - low + 1, scope).text
            return text if self.graph.known(high - low) else f"max({text}, 1)"
        return f"max({self.bound(shifted(high, 1), scope)} - {self.bound(low, scope)}, 1)"

    def _room(self, run: Run, part: Term, scope: Scope) -> str:
        shape = self._shape(part, scope)
        if run.only_last[part]:
            return self.filled("zeros", part, scope)
        return f"np.zeros(({', '.join([self._count(run, scope), *shape])},))"
