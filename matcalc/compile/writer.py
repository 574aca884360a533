"""The body of the function: from the used to the users, the expression or the lines of each node."""

from __future__ import annotations

from collections.abc import Sequence
from math import lcm

from ..terms import ops
from ..terms.dims import Atom, Dim, Index, Name, SizeAt, dim, format_dim
from ..terms.leaves import member, sym
from ..terms.rebuild import with_args
from ..terms.symbols import Family, Loop, Member, Symbol
from ..terms.term import Term
from ..terms.walk import substitute_indices
from .graph import Graph, Lookup, is_track, track_of
from .names import COLUMN, MATRIX, ROW, SCALAR, Names, kind_of
from .operators import CODE
from .pieces import POWER, PRODUCT, Code, converted, form_of, number_code, product_code, sum_code
from .primitives import ON_DIAGONAL, STACK
from .scopes import Bound, Key, Node, Run, Scope, shifted

LONG = 72
"""An expression longer than this gets a name of its own."""
LARGE = 300
"""The formula of a term with more nodes than this, shared ones repeated, is not written out."""

_TRIVIAL = frozenset({ops.NUM, ops.INT, ops.CONST, ops.SYM, ops.MEMBER, ops.IND, STACK})


def _is_trivial(term: Term) -> bool:
    """True for leaves, their transposes and negatives, which need no name."""
    if term.op is ops.TRANSPOSE:
        return term.args[0].op in _TRIVIAL
    if term.op is ops.SCALE or (term.op is ops.TIMES and len(term.args) == 2):
        return term.args[0].op is ops.NUM and term.args[0].attr == -1 and term.args[1].op in _TRIVIAL
    return term.op in _TRIVIAL


class Writer:
    """Writes the planned nodes; remembers which sizes, helpers and modules the text needs."""

    thin = False
    """Whether the head converts and checks the arguments with as few calls as possible."""

    def __init__(self, names: Names, graph: Graph, nodes: list[Node]) -> None:
        self.names, self.graph = names, graph
        self.stems: dict[Term, str] = {}
        self.shown: dict[tuple[tuple[str, str], ...], dict[Term, Term]] = {}
        self.printable = _printable(graph)
        self.plain_numbers = _plain_numbers(graph)
        self.needed: set[Name] = set()
        self.indexed: set[str] = set()
        self.helpers: set[str] = set()
        self.own_helpers: dict[str, str] = {}
        self.values: dict[Key, Code] = {}
        self.named: dict[Key, str] = {}
        self.nodes = {node.key: node for node in nodes}
        self.waiting: dict[Key, tuple[Node, Code]] = {}
        self.top = next(n.home for n in nodes if n.home.parent is None)
        self.runs = {node.key: node.inner.run for node in nodes if is_track(node.term) and node.inner.run}
        self._name_tracks()
        self._name_loops(nodes)
        self.where = [self._equations(node) for node in nodes if node.key in self.runs]
        for node in nodes:
            self._write(node)

    def is_named(self, key: Key) -> bool:
        """True when a value has a name, by which it may be used again."""
        return key in self.named

    def stays(self, node: Node) -> bool:
        """True when a value is used only in the block in which it is computed."""
        return all(user is node.home for user in node.uses)

    def spelled(self, key: Key) -> str:
        """The text of a value that stands several times in an expression: a name, or it gets one."""
        code = self.values[key]
        if not code.text.isidentifier():
            code = self.values[key] = self._named(self.nodes[key], code)
        return code.text

    @property
    def lines(self) -> list[str]:
        """The lines of the body, the return left out."""
        return self.top.lines

    def body(self, returned: str, roots: Sequence[Term]) -> list[str]:
        """The lines of the body; at the end the values of the roots are returned as the text says."""
        return [*self.lines, f"return {returned}"]

    def comment(self, term: Term, scope: Scope) -> str:
        """The formula of a term, to stand behind its line."""
        return f"  # {shortened(self.formula(term, scope), 60)}" if term in self.printable else ""

    def formula(self, term: Term, scope: Scope) -> str:
        """The formula of a term, with states of recurrences as members, indices as they are called in a block."""
        shown = self._with_members(term, scope) if self.runs else self.graph.meaning(term)
        variables: dict[Atom, Dim] = {i: dim(scope.binding(frozenset((i,))).variable) for i in shown.indices}
        return _formula(substitute_indices(shown, variables) if variables else shown)

    def _with_members(self, node: Term, scope: Scope) -> Term:
        """What a node stands for, with members of families in place of states."""
        runs = {n: scope.binding(frozenset((n,))).run for n in self.graph.free(node) if isinstance(n, Symbol)}
        root = self.graph.meaning(node)
        states = {
            sym(slot): member(self._family(run.track), run.loop.index) for slot, run in runs.items() if run is not None
        }
        made = self.shown.setdefault(
            tuple(sorted((s.attr.stable, m.attr.family.stable) for s, m in states.items())), states
        )
        stack = [root]
        while stack:
            term = stack[-1]
            waiting = [] if term in made or term.op is ops.STATE else [a for a in term.args if a not in made]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            if term.op is ops.STATE:
                made[term] = member(self._family(track_of(term)), term.attr.at)
            elif term.op is ops.PART and made[term.args[0]].op is ops.MEMBER:
                whole: Member = made[term.args[0]].attr
                one = Family(f"{whole.family.name}{term.attr[0] + 1}", whole.family.index, term.rows, term.cols)
                made[term] = member(one, whole.at)
            elif term not in made:
                args = tuple(made[arg] for arg in term.args)
                made[term] = term if args == term.args else with_args(term, args)
        return made[root]

    def _family(self, track: Term) -> Family:
        loop: Loop = track.attr
        return Family(self.stems.get(track, "s"), loop.index, loop.slot.rows, loop.slot.cols)

    def _equations(self, node: Node) -> str:
        """The recurrence of a track as a reader writes it: ``y[0] = x; y[k+1] = tanh(W[k]*y[k])``.

        Of coupled states ``y``, which are a tuple in the code, the first is called ``y1`` here.
        """
        start, body = node.term.args
        loop: Loop = node.term.attr
        stem, variable = self.stems[node.term], node.inner.variable
        first = format_dim(loop.first, self._variables(loop.first, node.home)).replace(" ", "")
        following = f"{variable}{'+' if loop.step > 0 else '-'}1"
        coupled = start.op is ops.JOINT and body.op is ops.JOINT
        told: list[str] = []
        for at, whole, scope in ((first, start, node.home), (following, body, node.inner)):
            for number, term in enumerate(whole.args if coupled else (whole,), 1):
                text = shortened(self.formula(term, scope), 200) if term in self.printable else "a large expression"
                told.append(f"{stem}{number if coupled else ''}[{at}] = {text}")
        return "; ".join(told)

    def _variables(self, d: Dim, scope: Scope) -> dict[Atom, str]:
        return {index: scope.binding(frozenset((index,))).variable for index in d.indices}

    def root(self, term: Term) -> Code:
        """The expression of a root."""
        return self.values[term, self.top]

    def _name_tracks(self) -> None:
        """Letters for the recurrences, y and e for the first that runs up and the first that runs down."""
        for (track, _), run in self.runs.items():
            loop = run.loop
            if track not in self.stems:
                self.stems[track] = self.names.stem("yzsuv" if loop.step > 0 else "egdqr", "_states")
            for part, only_last in run.only_last.items():
                stem = self.stems[track] if part is None else self.names.stem("abcw", "_states")
                run.stores[part] = stem if only_last else f"{stem}_states"

        for state, lookup in self.graph.lookups.items():
            shown = self.graph.meaning(state)
            if state.op is ops.STATE and shown.op is ops.STATE and lookup.track in self.stems:
                self.stems.setdefault(track_of(shown), self.stems[lookup.track])

    def _name_loops(self, nodes: Sequence[Node]) -> None:
        loops = [n for n in nodes if n.inner is not n.home and n.inner.index is not None]
        for node in sorted(loops, key=lambda n: n.inner.depth):
            used = set()
            scope: Scope | None = node.home
            while scope is not None:
                used.add(scope.variable)
                scope = scope.parent
            node.inner.variable = self.names.loop_variable(used, "klpqrsij" if node.inner.run else "ijklpqrs")

    def _write(self, node: Node) -> None:
        if node.key in self.runs:
            self._recurrence(node, self.runs[node.key])
            return
        lookup = self.graph.lookups.get(node.term)
        if lookup is not None:
            self.values[node.key] = self._looked_up(node, lookup)
            return
        if node.term.op.binder:
            self._loop(node)
            return
        args = [self.values[key] for key in node.args]
        if node.guards:
            self._under_condition(node, product_code(args))
            return
        code = self._expression(node, args)
        steps = node.home if node.home.run else node.home.parent  # the loop of a recurrence, or its rest
        if steps and steps.run and node.home in (steps, steps.run.rest) and node.term in steps.run.stores:
            self.values[node.key] = self._kept(node, steps.run, code, steps.variable)
            return
        self.values[node.key] = self._named(node, code) if self._wants_name(node, code) else code

    def _expression(self, node: Node, args: list[Code]) -> Code:
        """The value of a node, of its arguments."""
        return CODE[node.term.op](self, node, args)

    def _kept(self, node: Node, run: Run, code: Code, at: str) -> Code:
        kept = run.place(node.term, at)
        node.home.lines.append(f"{kept} = {code.text}{self.comment(node.term, node.home)}")
        return Code(kept)

    def _looked_up(self, node: Node, lookup: Lookup) -> Code:
        run = self.runs[node.args[0]]
        code = Code(run.place(lookup.part, self.dim(lookup.at, node.home).text))
        return code if lookup.part is not None else converted(code, kind_of(run.loop.slot), form_of(node.term))

    def _recurrence(self, node: Node, run: Run) -> None:
        """The loop of a recurrence; the states are kept in the form that the previous state has."""
        loop, inner, name = run.loop, node.inner, run.stores[None]
        start, body = (self._as_state(term, key, run) for term, key in zip(node.term.args, node.args, strict=False))
        following = run.place(None, self.dim(dim(loop.index) + loop.step, inner).text)
        lines = node.home.lines
        lines += [f"{run.stores[part]} = {{}}" for part in run.parts if not run.only_last[part]]
        if run.only_last[None]:
            lines.append(f"{name} = {start}")
        else:
            lines.append(f"{name} = {{{self.dim(loop.first, node.home).text}: {start}}}")
        first, stop = self.dim(loop.first, node.home).text, self.bound(shifted(run.last, loop.step), node.home)
        ends = stop if loop.step > 0 and first == "0" else f"{first}, {stop}" + (", -1" if loop.step < 0 else "")
        lines[-1] += self._step_comment(node)
        lines.append(f"for {inner.variable} in range({ends}):")
        update = [f"{following} = {body}"]
        if run.rest is not None:
            condition = f"{inner.variable} {'<' if loop.step > 0 else '>'} {self.bound(run.reach, node.home)}"
            update = [f"if {condition}:", *("    " + line for line in [*run.rest.lines, *update])]
        lines += ["    " + line for line in [*inner.lines, *update]]
        if run.needed and node.home.parent is not None:
            outside = node.home.parent
            conditions = [" and ".join(self._reached(b, outside) for b in blocks) for blocks in run.needed]
            joined = conditions[0] if len(conditions) == 1 else " or ".join(dict.fromkeys(conditions))
            outside.lines += [f"if {joined}:", *("    " + line for line in lines)]

    def _step_comment(self, node: Node) -> str:
        """The equation of the steps, to stand behind the start."""
        body = node.term.args[1]
        if body not in self.printable:
            return ""
        sign = "+" if node.term.attr.step > 0 else "-"
        equation = f"{self.stems[node.term]}[{node.inner.variable}{sign}1] = {self.formula(body, node.inner)}"
        return f"  # {shortened(equation, 72)}"

    def _as_state(self, term: Term, key: Key, run: Run) -> str:
        code = converted(self.values[key], form_of(term), kind_of(run.loop.slot))
        python = term.is_scalar and term.op not in (ops.SYM, ops.MEMBER, ops.STATE, ops.MUL, ops.FUN)
        return f"np.float64({code.text})" if python else code.text

    def _reached(self, block: Scope, scope: Scope) -> str:
        """The condition under which something is done in a block."""
        if block.index is None:
            return " and ".join(self.relation(guard, scope) for guard in block.guards)
        if isinstance(block.low, Dim) and isinstance(block.high, Dim):
            return f"{self.dim(block.high - block.low + 1, scope).text} > 0"
        return f"{self.bound(block.low, scope)} <= {self.bound(block.high, scope)}"

    def bound(self, bound: Bound, scope: Scope) -> str:
        """The end of a range."""
        if isinstance(bound, Dim):
            return self.dim(bound, scope).text
        parts = ", ".join(self.bound(part, scope) for part in bound.parts)
        return f"{'max' if bound.largest else 'min'}({parts})"

    def _wants_name(self, node: Node, code: Code) -> bool:
        if _is_trivial(node.term):
            return False
        if node.term.op is ops.TRANSPOSE and node.args[0] in self.named and self.stays(node):
            return False
        return len(node.uses) > 1 or node.uses[0] is not node.home or len(code.text) > LONG

    def _named(self, node: Node, code: Code) -> Code:
        name = self.names.numbered("t")
        node.home.lines.append(f"{name} = {code.text}{self.comment(node.term, node.home)}")
        self.named[node.key] = name
        return Code(name)

    def _under_condition(self, node: Node, code: Code) -> None:
        if len(node.uses) == 1 and node.home.result == node.key:
            self.waiting[node.key] = node, code
            self.values[node.key] = code
            return
        name = self.names.numbered("t")
        lines = node.home.lines
        lines.append(f"if {self._condition(node)}:{self.comment(node.term, node.home)}")
        lines += ["    " + line for line in [*node.inner.lines, f"{name} = {code.text}"]]
        lines += ["else:", f"    {name} = {self.filled('zeros', node.term, node.home)}"]
        self.values[node.key] = Code(name)

    def _condition(self, node: Node) -> str:
        return " and ".join(self.relation(guard, node.home) for guard in node.guards)

    def _loop(self, node: Node) -> None:
        term, inner = node.term, node.inner
        name = self.names.numbered("t")
        body = self.values[node.args[0]]
        flat = term.op is ops.PROD and form_of(term.args[0]) == MATRIX != form_of(term)
        if term.op is ops.FAMILY:
            start = "[]"
        elif flat:
            start = f"np.eye({self.dim(term.rows, node.home).text})"
        else:
            start = self.filled("zeros" if term.op is ops.SUM else "eye", term, node.home)
        if node.args[0] in self.waiting:
            held, code = self.waiting[node.args[0]]
            update = [f"if {self._condition(held)}:"]
            update += ["    " + line for line in [*held.inner.lines, self._update(name, term, code)]]
        else:
            update = [self._update(name, term, body)]
        node.home.lines += [
            f"{name} = {start}{self.comment(term, node.home)}",
            f"for {inner.variable} in {self._range(node)}:",
            *("    " + line for line in [*inner.lines, *update]),
        ]
        self.values[node.key] = converted(Code(name), MATRIX, form_of(term)) if flat else Code(name)

    def _update(self, name: str, term: Term, body: Code) -> str:
        if term.op is ops.FAMILY:
            return f"{name}.append({body.text})"
        if term.op is ops.SUM:
            return f"{name} += {body.text}"
        return f"{name} *= {body.text}" if term.is_scalar else f"{name} = {name} @ {body.at(POWER)}"

    def _range(self, node: Node) -> str:
        index, step = node.term.attr
        lo = self.dim(index.lo, node.home).text
        if step == 1:
            stop = self.dim(index.hi + 1, node.home).text
            return f"range({stop})" if lo == "0" else f"range({lo}, {stop})"
        return f"range({lo}, {self.dim(index.hi - 1, node.home).text}, -1)"

    def filled(self, function: str, term: Term, scope: Scope) -> str:
        """``np.zeros``, ``np.ones`` or ``np.eye`` of the term's shape."""
        kind = form_of(term)
        if kind == SCALAR:
            return "0.0" if function == "zeros" else "1.0"
        rows, cols = self.dim(term.rows, scope).text, self.dim(term.cols, scope).text
        if function == "eye" or kind == COLUMN:
            return f"np.{function}({rows})"
        return f"np.{function}({cols})" if kind == ROW else f"np.{function}(({rows}, {cols}))"

    def relation(self, term: Term, scope: Scope) -> str:
        """The condition of an indicator."""
        relation, left, right = term.attr
        shown = "==" if relation == "=" else relation
        return f"{self.dim(left, scope).text} {shown} {self.dim(right, scope).text}"

    def helper(self, name: str) -> str:
        """The name of a helper function, which the source will hold."""
        self.helpers.add(name)
        return name

    def dim(self, d: Dim, scope: Scope) -> Code:
        """An integer expression: ``n``, ``2 * n + 1``, ``(n**2 + n) // 2``."""
        if not d.terms:
            return Code("0")
        below = lcm(*(c.denominator for _, c in d.terms))
        codes = []
        for monomial, coefficient in d.terms:
            factors = [self._power(atom, power, scope) for atom, power in monomial]
            codes.append(product_code([number_code(coefficient * below), *factors]))
        total = codes[0] if len(codes) == 1 else sum_code(codes)
        return total if below == 1 else Code(f"{total.at(POWER)} // {below}", PRODUCT)

    def _power(self, atom: Atom, power: int, scope: Scope) -> Code:
        text = self._atom(atom, scope)
        return Code(text) if power == 1 else Code(f"{text}**{power}", POWER)

    def _atom(self, atom: Atom, scope: Scope) -> str:
        if isinstance(atom, Index):
            return scope.binding(frozenset((atom,))).variable
        if isinstance(atom, SizeAt):
            self.indexed.add(atom.name)
            return f"{self.names.indexed[atom.name]}[{self.dim(atom.arg, scope).text}]"
        assert isinstance(atom, Name)
        self.needed.add(atom)
        return self.names.of[atom]

    def place(self, at: Dim, first: Dim, scope: Scope) -> str:
        """A position counted from ``first`` as one counted from 0."""
        return self.dim(at - first, scope).text


def _printable(graph: Graph) -> set[Term]:
    """The terms that are not too large to be written out in full, shared parts repeated."""
    sizes: dict[Term, int] = {}
    for term in graph.order:
        if term.op is ops.STATE:
            sizes[term] = 1
        elif term in graph.lookups:
            sizes[term] = min(term.weight, LARGE)
        else:
            sizes[term] = min(1 + sum(sizes.get(arg, 1) for arg in term.args), LARGE)
    return {term for term, size in sizes.items() if size < LARGE}


def _plain_numbers(graph: Graph) -> set[Symbol]:
    """The scalar variables that are only added and multiplied: a Python float does, which is the faster one."""
    found: dict[Term, bool] = {}
    users: dict[Term, list[Term]] = {}
    for term in graph.order:
        for arg in graph.operands(term):
            users.setdefault(arg, []).append(term)
    for term in reversed(graph.order):
        if term.is_scalar:
            plain = term.op is ops.SYM or term.op in (ops.ADD, ops.TIMES)
            found[term] = plain and all(found.get(user, user.op in _WITH_NUMBERS) for user in users.get(term, ()))
    return {term.attr for term, plain in found.items() if plain and term.op is ops.SYM}


_WITH_NUMBERS = frozenset({ops.ADD, ops.SCALE, ON_DIAGONAL})
"""What takes a number beside an array."""


def _formula(term: Term) -> str:
    """The formula of a term on one line."""
    from ..output.text import to_text

    return " ".join(to_text(term).split())


def shortened(text: str, limit: int) -> str:
    """The text, cut where it is longer than the limit."""
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"
