"""The writer for NumPy: arrays that nobody reads any more are written over.

A named array of its own is overwritten by the last node that uses it, where nothing that is not yet written
down, and no view of it, reads it: ``t0 *= y``, ``np.exp(t0, out=t0)``.  What is left over is let go
(:mod:`.memory`) before other arrays are made.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ..terms import ops
from ..terms.symbols import Unknown
from ..terms.term import Term
from . import primitives as p
from .graph import Graph
from .memory import by_results, released
from .names import COLUMN, MATRIX, Names
from .operators import unary
from .pieces import ATOM, PRODUCT, Code, form_of, positive, product_code
from .primitive_code import as_column
from .scopes import Key, Node, Run
from .writer import Writer

_VIEWS = frozenset({ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.SLICE, ops.DIAGONAL, ops.PART})
_SCALARS = frozenset({ops.INNER, ops.TOTAL, ops.TR, ops.NORM, ops.ENTRY, p.EXCESS, p.SUM_LOG1P})
_COPIES = p.FRESH | _SCALARS | {p.CHOLESKY, p.LU, p.LOGDETERMINANT, p.DETERMINANT, ops.LOGDET, ops.DET}
_COPIES |= p.EACH_FRESH | {ops.LOGSUMEXP, ops.LOGSUMEXPROWS, ops.SOFTMAX, ops.SOFTMAXROWS, ops.DIAG, ops.TIMES}
"""What leaves its arguments alone and keeps nothing of them."""


_PRODUCTS = frozenset({p.MATMUL, p.TRIPLE, p.PRODUCT, p.KRONECKER, p.SANDWICH, ops.KHATRIRAO})
_WHOLE = _PRODUCTS | {p.ON_DIAGONAL, p.SOLVE, p.INVERSE, ops.FUN, ops.POW}
_REPEATED = frozenset({p.EVERY_ROW, p.EVERY_COLUMN})
_EACH_SCALED = {p.EACH_ROWS: (1, "[:, :, None]"), p.EACH_COLS: (0, "[:, None]"), p.EACH_SCALED: (1, "")}
"""Which argument is the array of matrices, and how the other one is broadcast to it."""
_OWN = p.FRESH | p.EACH_FRESH


class NumpyWriter(Writer):
    """Writes the nodes, in place where that is safe."""

    thin = True

    def __init__(self, names: Names, graph: Graph, nodes: list[Node]) -> None:
        nodes = self._ordered(nodes, graph)
        self.remaining: Counter[Key] = Counter({node.key: len(node.uses) for node in nodes})
        self.pending: Counter[str] = Counter()
        self.reads: dict[Key, frozenset[str]] = {}
        self.pinned: set[str] = set()
        self.own: set[str] = set()
        self.arrays: dict[str, Term] = {}
        self.kept: set[Key] = set()
        self.capped: set[Key] = set()
        self.users: dict[Key, list[Node]] = {}
        for node in nodes:
            for key in node.args:
                self.users.setdefault(key, []).append(node)
        super().__init__(names, graph, nodes)

    def _ordered(self, nodes: list[Node], graph: Graph) -> list[Node]:
        """The nodes in the order in which they are written; ``early`` are results that others follow."""
        ordered, self.early = by_results(nodes, graph.roots)
        return ordered

    def _used(self, node: Node) -> frozenset[str]:
        """Count the uses of the arguments of a node that is written; the names that it reads."""
        read: frozenset[str] = frozenset().union(*(self.reads.get(key, frozenset()) for key in node.args))
        for key in node.args:
            self.remaining[key] -= 1
            if self.remaining[key] == 0 and key not in self.named:
                self.pending.subtract(self.reads.get(key, ()))
        return read

    def _write(self, node: Node) -> None:
        super()._write(node)
        read = self._used(node)
        name = self.named.get(node.key)
        keeps = not self._copies(node.term)
        if name is not None:
            self.reads[node.key] = frozenset((name,))
            if keeps:
                self.pinned |= read
            elif node.term.op in _OWN and not node.term.is_scalar and not node.guards:
                self.own.add(name)
        elif node.term.op.binder or node.guards or (keeps and node.term.op not in _VIEWS):
            self.pinned |= read
        else:
            self.reads[node.key] = read
            self.pending.update(read)

    def _named(self, node: Node, code: Code) -> Code:
        """The name of a value; one that was written into an expression before reads nothing else from now on."""
        found = super()._named(node, code)
        if node.key in self.reads:
            self.pending.subtract(self.reads[node.key])
            self.reads[node.key] = frozenset((found.text,))
            if self._copies(node.term) and node.term.op in _OWN and not node.term.is_scalar and not node.guards:
                self.own.add(found.text)
        if not node.term.is_scalar and node.home is self.top:
            self.arrays[found.text] = node.term
        return found

    def _wants_name(self, node: Node, code: Code) -> bool:
        if node.key in self.named:
            return False
        return self._releases(node) or self._is_early(node) or super()._wants_name(node, code)

    def _releases(self, node: Node) -> bool:
        """True for a number written down at once, so that what it is made of may be overwritten."""
        if node.term.op not in _SCALARS:
            return False
        return any(self.named.get(key) in self.own and self.remaining[key] > 1 for key in node.args)

    def _is_early(self, node: Node) -> bool:
        """True for a result that others follow, and that reads what they may overwrite or let go."""
        if node.key not in self.early:
            return False
        read = frozenset().union(*(self.reads.get(key, frozenset()) for key in node.args))
        return bool(read & self.own) and (node.term.is_scalar or node.term.op in p.FRESH)

    def body(self, returned: str, roots: Sequence[Term]) -> list[str]:
        """The lines of the body, in which arrays are let go."""
        last = f"return {returned}"
        computed = [root for root in roots if not root.is_scalar and (root, self.top) not in self.named]
        return [*released(self.lines, last, self.arrays, computed), last]

    def _kept(self, node: Node, run: Run, code: Code, at: str) -> Code:
        for key in node.args:
            self.pinned |= self.reads.get(key, frozenset())
        if node.key in self.named:
            self.pinned.add(self.named.pop(node.key))
        self.kept.add(node.key)
        return super()._kept(node, run, code, at)

    def _copies(self, term: Term) -> bool:
        """True for what keeps nothing of its arguments; states looked up are the states themselves."""
        return term.op in _COPIES and not isinstance(term.attr, Unknown) and term not in self.graph.lookups

    # ------------------------------------------------------------ in place

    def _expression(self, node: Node, args: list[Code]) -> Code:
        if node.term.op is p.EXCESS:
            return self._excess(node) or super()._expression(node, args)
        args = [self._operand(node, key) for key in node.args]
        written = None if node.term.is_scalar else self._in_place(node, args)
        if written is not None:
            return written
        return super()._expression(node, [self._operand(node, key) for key in node.args])

    def _operand(self, node: Node, key: Key) -> Code:
        """An operand; a number beside an array is written as a float, which NumPy need not convert."""
        term, code = key[0], self.values[key]
        whole = term.op is ops.NUM and isinstance(term.attr, int) and node.term.op in (ops.ADD, ops.SCALE)
        if not whole or node.term.is_scalar or (abs(term.attr) == 1 and node.term.op is ops.SCALE):
            return code
        return product_code([Code("", over=((f"{abs(term.attr)}.0",), (), term.attr < 0))])

    def _excess(self, node: Node) -> Code | None:
        """What exceeds the cap of an exponential that comes next, capped at once."""
        key = node.args[0]
        name, owner = self.named.get(key), self.nodes[key]
        others = [user for user in self.users[key] if user is not node]
        alone = len(others) == 1 and others[0].term.op is p.CAPPED_EXP and others[0].home is owner.home
        if name is None or name not in self.own or name in self.pinned or self.pending[name]:
            return None
        if not alone or self.remaining[key] != 2 or not self.stays(owner) or owner.home is not node.home:
            return None
        self.capped.add(key)
        return Code(f"{self.helper('_excess')}({name}, out={name})")

    def _in_place(self, node: Node, args: list[Code]) -> Code | None:
        """The node written over one of its arguments, as statements; None where no argument may be overwritten."""
        op = node.term.op
        function = unary(node.term)
        if function:
            name = self._overwritten(node, 0) or self._fresh(node, 0)
            if name and node.args[0] in self.capped:
                return self._done(node, name, [f"np.exp({name}, out={name})"])
            if name and op is p.CAPPED_EXP:
                self.helper("_capped_exp")
            return self._done(node, name, [function.format(name)]) if name else None
        if op is ops.SCALE:
            users = self.users.get(node.key, [])
            subtracted = args[0].text == "-1" and len(users) == 1 and users[0].term.op is ops.ADD
            if subtracted:  # the difference is written over what is subtracted
                self._whole(node, 1)
                return None
            name = self._overwritten(node, 1) or self._whole(node, 1)
            if name and args[0].text == "-1":
                return self._done(node, name, [f"np.negative({name}, out={name})"])
            return self._done(node, name, _times(name, [args[0]])) if name else None
        if op in _EACH_SCALED:
            whole, spread = _EACH_SCALED[op]
            name = self._overwritten(node, whole, opaque=True)
            by = args[1 - whole]
            return self._done(node, name, [f"{name} *= {by.at(ATOM)}{spread}"]) if name else None
        if op in (p.ROWS, p.COLS):
            name = self._overwritten(node, 1 if op is p.ROWS else 0)
            by = as_column(args[0]) if op is p.ROWS else args[1]
            return self._done(node, name, _times(name, [by])) if name else None
        if op is ops.HAD or op is ops.ADD:
            return (
                self._over_one_of(self._overwritten, node, args)
                or self._over_subtracted(node, args)
                or self._over_one_of(self._whole, node, args)
            )
        return None

    def _over_one_of(self, find: Callable[[Node, int], str | None], node: Node, args: list[Code]) -> Code | None:
        """A sum or a product entry by entry, written over one of its arguments."""
        for at in range(len(args)):
            name = find(node, at)
            if name:
                others = args[:at] + args[at + 1 :]
                return self._done(node, name, (_times if node.term.op is ops.HAD else _plus)(name, others))
        return None

    def _over_subtracted(self, node: Node, args: list[Code]) -> Code | None:
        """A difference, written over what is subtracted."""
        for at in range(len(args) if node.term.op is ops.ADD else 0):
            name = self._subtracted(node, at)
            if name:
                first, *others = args[:at] + args[at + 1 :]
                start = f"np.subtract({first.text}, {name}, out={name})"
                return self._done(node, name, [start, *_plus(name, others)])
        return None

    def _subtracted(self, node: Node, at: int) -> str | None:
        """The name of an array that may be overwritten and whose negative is an addend."""
        key = node.args[at]
        term, code = key[0], self.values[key]
        if term.op is not ops.SCALE or key in self.named or code.over is None or code.over[1:] != ((), True):
            return None
        name = code.over[0][0]
        inner = next((k for k in self.nodes[key].args if self.named.get(k) == name), None)
        if inner is None or name not in self.own or name in self.pinned:
            return None
        owner = self.nodes[inner]
        last = self.remaining[inner] == 0 and self.remaining[key] == 1 and self.pending[name] == 1
        inside = owner.home is node.home and self.stays(owner) and self.nodes[key].home is node.home
        return name if last and inside and term.shape == node.term.shape else None

    def _overwritten(self, node: Node, at: int, opaque: bool = False) -> str | None:
        """The name of an argument that may be overwritten; ``opaque`` where shapes do not tell."""
        key = node.args[at]
        name = self.named.get(key)
        if name is None or name not in self.own or name in self.pinned:
            return None
        others = [k for k in node.args if k not in self.named and self.remaining[k] == 1]
        here = len(node.args) == 2 and sum(name in self.reads.get(k, ()) for k in others)  # read before it is written
        if self.pending[name] != here:
            return None
        term = key[0]
        same = term.shape == node.term.shape and form_of(term) == form_of(node.term)
        if self.remaining[key] != 1 or not (same or opaque):
            return None
        owner = self.nodes[key]
        inside = owner.home is node.home and self.stays(owner)
        return name if inside else None

    def _whole(self, node: Node, at: int) -> str | None:
        """A name for an argument that is an array of its own and no number of broadcast rows or columns."""
        term = node.args[at][0]
        own = term.op in _WHOLE or (term.op is ops.HAD and not any(a.op in _REPEATED for a in term.args))
        return self._fresh(node, at) if own and form_of(node.term) in (MATRIX, COLUMN) else None

    def _fresh(self, node: Node, at: int) -> str | None:
        """A name for an argument that is an array of its own, written down here."""
        key = node.args[at]
        argument = self.nodes[key]
        own = (
            key not in self.named
            and key not in self.kept
            and self.remaining[key] == 1
            and key[0].op in p.FRESH
            and self._copies(key[0])
            and not argument.guards
        )
        if not own or argument.home is not node.home or key[0].shape != node.term.shape:
            return None
        self.values[key] = self._named(argument, self.values[key])
        name = self.named[key]
        self.own.add(name)
        return name

    def _done(self, node: Node, name: str, statements: Iterable[str]) -> Code:
        *first, last = statements
        node.home.lines += [*first, last + self.comment(node.term, node.home)]
        self.named[node.key] = name
        return Code(name)


def _times(name: str, factors: list[Code]) -> list[str]:
    """Statements that multiply an array by factors, one after the other, those that have to be computed last.

    Factors that read the array itself make one statement with the others: its right side is computed first.
    """
    reads = re.compile(rf"\b{name}\b")
    if any(reads.search(text) for factor in factors for text in (factor.text, *_parts(factor))):
        return [f"{name} *= {product_code(factors).text}"]
    found: list[str] = []
    computed: list[str] = []
    numbers: list[Code] = []
    for factor in factors:
        above, below, minus = factor.over or ((factor.text,), (), False)
        if minus or (above and all(text[:1].isdigit() for text in above)):
            numbers.append(factor)
            continue
        for sign, texts in (("*", above), ("/", below)):
            for text in texts:
                base, _, power = text.rpartition(" ** ")
                if power == "2" and base.isidentifier():
                    found += [f"{name} {sign}= {base}"] * 2
                else:
                    (found if text.isidentifier() else computed).append(f"{name} {sign}= {text}")
    found += computed
    if numbers:
        found.append(f"{name} *= {product_code(numbers).text}")
    return found


def _parts(factor: Code) -> tuple[str, ...]:
    above, below, _ = factor.over or ((), (), False)
    return (*above, *below)


def _plus(name: str, addends: list[Code]) -> list[str]:
    found: list[str] = []
    for code in addends:
        if code.text.startswith("-") and code.level >= PRODUCT:
            found.append(f"{name} -= {positive(code)}")
        else:
            found.append(f"{name} += {code.text}")
    return found
