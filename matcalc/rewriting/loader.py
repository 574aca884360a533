"""Reading rule files, and what is refused while reading.

Checked at load: names are unique; every operator, function and fact is known; the left side is not
a bare variable; nothing occurs on the right or in a guard that the left does not bind; the left
side and the guards alone fix the shapes, and the right side has the same one; a linear row has X on
both sides; an ordered row reorders one product and has no guards, or exchanges two variables.
"""

from __future__ import annotations

from functools import cache
from itertools import combinations
from typing import NamedTuple

from ..cache import cached
from ..errors import MatcalcError, RuleError
from ..language.elaborate import Elaboration
from ..language.parser import parse_syntax
from ..language.scope import Scope
from ..language.syntax import Node
from ..resources import data_dir
from ..terms import build, ops
from ..terms.dims import Dim, Index, Name, dim
from ..terms.symbols import Family, Unknown
from ..terms.term import Term
from ..terms.walk import attr_dims, free_atoms, postorder, replace
from .match import HOLE, is_variable, reorders
from .rule import CURVATURES, FACTS, Compare, Fact, Guard, Has, Implication, Rule, RuleFile

RULE_FILES = (
    *("differential", "elementwise", "adjoint", "vec", "simplify", "expand"),
    *("collect", "rearrange", "present", "stable", "facts", "convexity"),
)
LINEAR = ("adjoint", "vec")
TRIED = ("collect", "rearrange", "present")
"""Files whose rows are tried one at a time, and kept where the result costs less."""


class LinearRow(NamedTuple):
    """A row of ``adjoint`` or ``vec``: how ``inner(L(X), G)`` or ``vec(L(X))`` moves to X.

    ``result`` is L*(G), or the matrix M of ``vec(L(X)) = M*vec(X)`` (None for the identity).
    """

    rule: Rule
    pattern: Term
    covector: Term | None
    result: Term | None


class Loaded(NamedTuple):
    """A rule file with its linear rows taken apart."""

    file: RuleFile
    linear: tuple[LinearRow, ...]


def load_text(text: str, origin: str = "rules") -> Loaded:
    """Read one rule file.  Raises :class:`RuleError` or another :class:`MatcalcError` with the place."""
    return _Reader(text, origin).read()


@cache
def load(name: str) -> Loaded:
    """The rule file ``rules/<name>.rules``."""
    return cached(
        f"rules-{name}",
        lambda: load_text((data_dir("rules") / f"{name}.rules").read_text(encoding="utf-8"), name),
    )


class _Reader:
    def __init__(self, text: str, origin: str) -> None:
        self.text = text
        self.scope = Scope()
        self.file = RuleFile(origin)
        self.linear: list[LinearRow] = []
        self.names: set[str] = set()

    def read(self) -> Loaded:
        tree = parse_syntax(self.text, "rulefile")
        for node in tree.parts:
            if isinstance(node, Node):
                self._item(node)
        return Loaded(self.file, tuple(self.linear))

    def _item(self, node: Node) -> None:
        kind = node.kind
        if kind == "ruleset":
            self.file.ruleset = str(node.parts[0])
        elif kind == "let":
            self.scope.declare_pattern_nodes(node.parts[0], node.parts[1], self.text)
        elif kind == "every":
            premise, *conclusions = (str(p) for p in node.parts)
            for fact in (premise, *conclusions):
                self._fact_name(fact, node)
            self.file.implications += [Implication(premise, c) for c in conclusions]
        elif kind == "rule":
            self._rule(node)
        elif kind == "fact":
            self._fact(node)

    def _refuse(self, message: str, node: Node) -> RuleError:
        error = RuleError(message)
        error.locate(self.text, node.start, node.end)
        return error

    def _fact_name(self, fact: str, node: Node) -> str:
        known = FACTS | CURVATURES if self.file.ruleset == "convexity" else FACTS
        if fact not in known:
            raise self._refuse(f"no fact is called {fact!r}; there are: {', '.join(sorted(known))}", node)
        return fact

    def _label(self, node: Node) -> str:
        name = str(node.parts[0])[1:-1]
        if name in self.names:
            raise self._refuse(f"two rows are called {name!r}", node)
        self.names.add(name)
        return name

    def _scope(self, for_: Node | None) -> Scope:
        scope = self.scope.copy()
        if for_ is not None:
            for names, type_ in zip(for_.parts[::2], for_.parts[1::2], strict=True):
                scope.declare_pattern_nodes(names, type_, self.text)
        return scope

    def _rule(self, node: Node) -> None:
        name = self._label(node)
        _, left, right, ordered, for_, guard, given, source = node.parts
        work = Elaboration(self._scope(for_), self.text, patterns=True)
        linear = self.file.ruleset in LINEAR
        covector: Term | None = None
        result: Term | None = None
        work.infer(left)
        if linear:
            left_parts, right_parts = self._linear_parts(name, left, right)
            for part in left_parts:
                work.infer(part)
        self._require(work, guard)
        work.settle()
        work.freeze()
        pattern = work.build(left_parts[0] if linear else left)
        if is_variable(pattern) or pattern.op is ops.MEMBER:
            raise self._refuse(f"[{name}] the left side is a bare variable: it would match everything", left)
        try:
            if linear:
                for part in right_parts:
                    work.infer(part)
            work.infer(right)
            self._require(work, given)
        except MatcalcError as error:
            raise self._refuse(f"[{name}] the sides do not have one shape: {error.message}", right) from None
        if linear:
            if self.file.ruleset == "adjoint":
                covector = work.build(left_parts[1])
                result = work.build(right_parts[-1])
            elif right_parts:
                result = self._matrix(work, right_parts)
        built_left, built_right = _of_known_functions(work.build(left), work.build(right))
        if built_left.shape != built_right.shape:
            raise self._refuse(
                f"[{name}] the sides have shapes {built_left.rows}×{built_left.cols} and "
                f"{built_right.rows}×{built_right.cols}",
                right,
            )
        guards = self._guards(work, guard) + tuple(g for g in self._guards(work, given) if not isinstance(g, Has))
        conditions = tuple(g for g in self._guards(work, given) if isinstance(g, Has))
        self._scoped(f"[{name}] only on the right", built_left, built_right, right)
        for clause in (guard, given):
            self._guards_scoped(name, built_left, clause, work)
        if ordered is not None and (guards if reorders(built_left) else not _exchanges(built_left, built_right)):
            message = "an ordered row exchanges two variables, or has a product A*B and no guards"
            raise self._refuse(f"[{name}] {message}", node)
        rule = Rule(
            name,
            self.file.ruleset,
            built_left,
            built_right,
            guards,
            conditions,
            ordered is not None,
            str(source)[1:-1] if source else "",
            self.text.count("\n", 0, node.start) + 1,
            self.text[node.start : node.end],
        )
        self.file.rules.append(rule)
        if linear:
            self.linear.append(LinearRow(rule, pattern, covector, result))

    def _linear_parts(self, name: str, left: Node, right: Node) -> tuple[list[Node], list[Node]]:
        """``inner(L, G) -> inner(X, R)`` as [L, G], [R]; ``vec(L) -> M*vec(X)`` as [L], [factors of M]."""
        adjoint = self.file.ruleset == "adjoint"
        last = right.parts[-1] if right.kind == "product" and not adjoint else right
        function, count = ("inner", 2) if adjoint else ("vec", 1)
        for side, node in ((left, left), (last, right)):
            if side.kind != "call" or str(side.parts[0]) != function or len(side.parts[1].parts) != count:
                form = "inner(L(X), G) -> inner(X, ...)" if adjoint else "vec(L(X)) -> M*vec(X)"
                raise self._refuse(f"[{name}] a row of this file reads {form}", node)
        if self.text[last.parts[1].parts[0].start : last.parts[1].parts[0].end] != HOLE:
            raise self._refuse(f"[{name}] what varies is called {HOLE}, alone on the right", right)
        if adjoint:
            return list(left.parts[1].parts), [right.parts[1].parts[1]]
        return [left.parts[1].parts[0]], list(right.parts[:-1] if right.kind == "product" else [])

    def _matrix(self, work: Elaboration, factors: list[Node]) -> Term:
        from ..terms.products import mul

        return mul(*(work.build(f) for f in factors))

    def _fact(self, node: Node) -> None:
        name = self._label(node)
        _, term, fact, for_, guard, source = node.parts
        work = Elaboration(self._scope(for_), self.text, patterns=True)
        work.require(term, str(fact))
        self._require(work, guard)
        work.settle()
        work.freeze()
        (built,) = _of_known_functions(work.build(term))
        if is_variable(built) or built.op is ops.MEMBER:
            raise self._refuse(f"[{name}] a fact about a bare variable would hold of everything", term)
        self._guards_scoped(name, built, guard, work)
        self.file.facts.append(
            Fact(
                name,
                self.file.ruleset,
                built,
                self._fact_name(str(fact), node),
                self._guards(work, guard),
                str(source)[1:-1] if source else "",
                self.text.count("\n", 0, node.start) + 1,
                self.text[node.start : node.end],
            )
        )

    def _require(self, work: Elaboration, node: Node | None) -> None:
        """What the guards say of shapes: a symmetric matrix is square."""
        for condition in node.nodes() if node is not None else ():
            if condition.kind == "has" and condition.parts[1] is None:
                work.require(condition.parts[0], str(condition.parts[2]))

    def _guards(self, work: Elaboration, node: Node | None) -> tuple[Guard, ...]:
        if node is None:
            return ()
        return tuple(self._guard(work, condition) for condition in node.parts if isinstance(condition, Node))

    def _guard(self, work: Elaboration, node: Node) -> Guard:
        if node.kind == "has":
            term, negated, fact = node.parts
            work.infer(term)
            return Has(work.build(term), self._fact_name(str(fact), node), negated is not None)
        if node.kind in ("relation", "equation"):
            relation = str(node.parts[1]) if node.kind == "relation" else "="
            return Compare(work.dim_of(node.parts[0]), relation, work.dim_of(node.parts[-1]))
        raise self._refuse("a guard is `term is fact` or a relation between sizes", node)

    def _scoped(self, complaint: str, left: Term, other: Term, node: Node, at: frozenset[str] = frozenset()) -> None:
        missing = sorted(map(str, variables(other) - variables(left) - at))
        if missing:
            written = [name for name in missing if "." not in name]
            raise self._refuse(f"{complaint}: {', '.join(written or missing)}", node)

    def _guards_scoped(self, name: str, left: Term, clause: Node | None, work: Elaboration) -> None:
        """Refuse a guard about something that the left side does not bind."""
        for condition in clause.nodes() if clause is not None else ():
            guard = self._guard(work, condition)
            if isinstance(guard, Has):
                any_index = frozenset(str(t.attr.at) for t in postorder(guard.term) if t.op is ops.MEMBER)
                self._scoped(f"[{name}] only in a guard", left, guard.term, condition, any_index)
                continue
            unbound = {str(a) for d in (guard.left, guard.right) for a in d.atoms()} - variables(left)
            if unbound:
                raise self._refuse(f"[{name}] only in a guard: {', '.join(sorted(map(str, unbound)))}", condition)


def _of_known_functions(*sides: Term) -> tuple[Term, ...]:
    """The sides of a row that says nothing of derivatives: its functions may be those that have a name too."""
    parts = postorder(*sides)
    functions = [t for t in parts if isinstance(t.attr, Unknown)]
    if not functions or any(t.attr.order for t in functions):
        return sides
    made: dict[Term, Term] = {}
    for part in parts:
        args = tuple(made[a] for a in part.args)
        if isinstance(part.attr, Unknown):
            made[part] = build.fun(part.attr._replace(known=True), *args)
        else:
            made[part] = part if args == part.args else build.with_args(part, args)
    return tuple(made[side] for side in sides)


def _exchanges(left: Term, right: Term) -> bool:
    """True when the right side is the left one with two variables exchanged, or two indices."""
    arrays = sorted((t for t in postorder(left) if t.op is ops.SYM), key=lambda t: t.key)
    pairs = ((a, b) for a, b in combinations(arrays, 2) if a.shape == b.shape)
    if any(replace(left, {a: b, b: a}) is right for a, b in pairs):
        return True
    names = [a for a in free_atoms(left) if isinstance(a, Name)]
    return any(replace(left, {}, {a: dim(b), b: dim(a)}) is right for a, b in combinations(names, 2))


def variables(term: Term) -> set[object]:
    """The pattern variables of a term: symbols, bodies, functions, sizes."""
    found: set[object] = set()
    bound: set[object] = set()
    for part in postorder(term):
        if is_variable(part):
            found.add(part.attr.name)
        elif part.op is ops.MEMBER and isinstance(part.attr.family, Family):
            found.add(part.attr.family.name)
        elif isinstance(part.attr, Unknown):
            found.add(part.attr.name)
        if part.op.binder:
            bound.add(part.attr.index)
        sizes: list[Dim] = [part.rows, part.cols, *attr_dims(part.attr)]
        for size in sizes:
            found |= {str(a) for a in size.atoms() if not isinstance(a, Index)}
    return found
