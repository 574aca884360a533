"""The presented form: what a textbook would print.

A bounded search, guided by what a form costs (the size of its shared graph, then its length).  From
the leaves up, each sum is factored (:mod:`.collect`), each largest linear part is also multiplied
out and factored again, and the rows of ``rules/collect.rules`` are tried; a form is kept where it
costs less.  At the end the rows of ``rules/present.rules`` undo what only serves simplification.
Presentation never changes a value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from ..errors import LimitExceeded
from ..rewriting.match import FLAT
from ..rewriting.steps import replace_outermost
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.dims import ONE
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import postorder, size
from .addends import cost, evened, join, negated, sign_inside, split, unsigned
from .collect import Collector, with_constants
from .contract import contracted
from .explicit import written_out
from .fractions import absorbed
from .multiply import REGION, choices, multiplied_out
from .powers import with_powers
from .system import System

MAX_ROUNDS = 4
"""Collecting and simplifying take turns at most this often."""

MAX_PRODUCED = 24
"""A part is multiplied out where that gives at most so many addends."""

MANY_CHOICES = 8
"""A product of plain sums with so many addends is not multiplied out: they hardly all merge."""

MAX_CHANGES = 50
"""At most so many rows of ``rules/present.rules`` are used."""

MAX_KNOWN = 50_000
"""With more parts than this remembered, memory starts anew."""

MAX_NODES = 400
"""In larger terms only parts that take fewer nodes written out are searched."""


class Change(NamedTuple):
    """A term written in another way."""

    rule: str
    after: Term


def present(system: System, term: Term) -> Term:
    """The term as a person would write it; equal to it, never larger."""
    changes = presentation(system, term)
    return changes[-1].after if changes else term


def collected(system: System, term: Term) -> Term:
    """The term with its sums factored, in the simplified form still."""
    return Presenter.of(system).collected(term)


def same(system: System, left: Term, right: Term) -> str:
    """How two terms of one shape are known to be equal by form; empty where they are not."""
    first, second = (system.expand(with_powers(side, system.simplify)) for side in (left, right))
    if first is second:
        return "the same normal form"
    difference = collected(system, system.expand(build.sub(first, second)))
    return "the difference simplifies to 0" if difference.op is ops.ZEROS or difference is build.ZERO_NUM else ""


def factored(system: System, term: Term) -> Term:
    """The term as a product, where the search finds one; else as it is presented."""
    presenter = Presenter.of(system)
    forms = {presenter.product(system.simplify(term)), presenter.product(system.expand(term))}
    best = min(forms, key=lambda form: (coefficient(form)[1].op is ops.ADD, cost(form), form.key))
    changes = presenter.last_changes(best)
    return changes[-1].after if changes else best


def presentation(system: System, term: Term) -> list[Change]:
    """The changes from the simplified to the presented form, each with its name."""
    presenter = Presenter.of(system)
    new = presenter.collected(term)
    changes: list[Change] = []
    powers = with_powers(term, system.simplify)
    if powers is not term and cost(shorter := presenter.collected(powers)) < cost(new):
        changes.append(Change("recurrence-power", powers))
        term, new = powers, shorter
    if new is not term:
        changes.append(Change("collect", new))
    return changes + presenter.last_changes(new)


class Presenter:
    """Presents terms under one system's assumptions; what it has found it remembers."""

    def __init__(self, system: System) -> None:
        self.simplify = system.simplify
        self.collect = Collector(system.simplify)
        self.rows = system.rewriter("collect")
        self.rearrangements = system.rewriters("rearrange")
        self.last_rows = system.rewriter("present")
        self._improved_forms: dict[tuple[Term, bool], Term] = {}
        self._collected: dict[Term, Term] = {}
        self._parities: dict[str, int] = {}
        self._plain: set[Term] = set()
        """Parts that no row of ``rules/present.rules`` is about."""

    @staticmethod
    def of(system: System) -> Presenter:
        """The presenter of a system."""
        found = system.presenter
        if not isinstance(found, Presenter):
            found = system.presenter = Presenter(system)
        return found

    def collected(self, term: Term) -> Term:
        """The cheapest form that the search finds."""
        known = self._collected.get(term)
        if known is not None:
            return known
        if len(self._improved_forms) > MAX_KNOWN:
            self._improved_forms.clear()
            self._collected.clear()
            self._plain.clear()
            self.collect.known.clear()
        best, lowest = term, cost(term)
        even = self._functions_evened(term)
        if cost(even) <= lowest:
            best, lowest = even, cost(even)
        seen = {best}
        for _ in range(MAX_ROUNDS if lowest[0] <= MAX_NODES else 1):
            new = self.simplify(self._pass(best))
            if new in seen:
                break
            seen.add(new)
            price = cost(new)
            if price > lowest:
                break
            best, lowest = new, price
        signed = self.simplify(_one_sign(best))
        if signed is not best and cost(signed) < lowest:
            best = signed
        self._collected[term] = self._collected[best] = best
        return best

    def product(self, term: Term) -> Term:
        """The cheapest form of a sum that is a product; of another term, the cheapest form."""
        number, core = coefficient(self.collected(term))
        if core.op is not ops.ADD:
            return self.collected(term)
        return build.smul(build.num(number), self.collect.product(core))

    def last_changes(self, term: Term) -> list[Change]:
        """The rows of ``rules/present.rules``, where each makes the whole smaller."""
        changes: list[Change] = []
        while len(changes) < MAX_CHANGES:
            change = self._last_change(term)
            if change is None:
                break
            changes.append(change)
            term = change.after
        return changes

    def _last_change(self, term: Term) -> Change | None:
        whole = size(term)
        if whole > MAX_NODES:
            return None
        row = _gradient_in_row(term)
        nodes = _outside_states(term)
        for node in reversed(nodes):
            explicit = written_out(node, self._entry)
            if explicit is not None:
                new = replace_outermost(term, {node: explicit})
                if size(new) < whole + any(a.op is ops.BLOCK for a in node.args):
                    return Change("entries", new)
        for node in nodes:
            if node in self._plain or node is row:
                continue
            plain = True
            for rule, form, least in self._last_forms(node):
                plain = False
                new = replace_outermost(term, {node: form})
                if new is not term and size(new) <= whole - least:
                    return Change(rule, new)
            if plain:
                self._plain.add(node)
        return None

    def _entry(self, scalar: Term) -> Term:
        """An entry in its cheapest form, a number multiplied into a sum where that saves a node."""
        plain = self.collected(self.simplify(scalar))
        number, core = coefficient(plain)
        out = build.add(*(build.smul(build.num(number), a) for a in core.args)) if core.op is ops.ADD else plain
        return out if size(out) < size(plain) else plain

    def _last_forms(self, node: Term) -> Iterator[tuple[str, Term, int]]:
        """Other ways to write a part, and the nodes that each must save."""
        if node.op is ops.HAD:
            inside = [a.args[0] for a in node.args if a.op is ops.TRANSPOSE]
            if len(inside) > 2:  # the row of this name for all of them at once: two by two there are too many ways
                others = [a for a in node.args if a.op is not ops.TRANSPOSE]
                yield "hadamard-of-transposes", build.had(build.transpose(build.had(*inside)), *others), 0
        for applied in self.last_rows.alternatives(node):
            joins = applied.rule.left.op in FLAT or applied.rule.left.op is ops.POW
            yield applied.rule.name, applied.after, 0 if joins else 1
        if node.op is ops.MUL and sum(a.op is ops.TRANSPOSE for a in node.args) > (0 if node.is_scalar else 1):
            turned = self._turned(node)
            yield (
                ("scalar-transpose", turned, 1) if node.is_scalar else ("transpose-product", build.transpose(turned), 2)
            )
        if node.op is ops.ADD:
            yield from (("sum-sum", form, 1) for form in with_constants(node))
        if node.op is ops.ADD and sum(any(f.op is ops.TRANSPOSE for f in split(a).factors) for a in node.args) > 1:
            turned = build.add(*map(self._turned, node.args))
            yield "transpose-sum", build.transpose(turned), 1 if _all_transposed(node) else 2

    def _turned(self, term: Term) -> Term:
        """The transpose of an addend, as a product of the transposed factors."""
        part = split(term)
        factors = [self._turned_factor(f) for f in part.factors]
        return join(part._replace(factors=tuple(factors[::-1] if part.kind is ops.MUL else factors)))

    def _turned_factor(self, factor: Term) -> Term:
        """The transpose of a factor; of ``(A' + B')^-1`` it is ``(A + B)^-1``."""
        plain = self.simplify(build.transpose(factor))
        if factor.op is not ops.INV or factor.args[0].op is not ops.ADD:
            return plain
        inside = [self.simplify(build.transpose(a)) for a in factor.args[0].args]
        return min(plain, self.simplify(build.inv(build.add(*inside))), key=cost)

    # ------------------------------------------------------------ one pass from the leaves up

    def _pass(self, root: Term) -> Term:
        order = _outside_states(root)
        made: dict[Term, Term] = {node: node for node in order if node.op is ops.STATE}
        large = len(order) > MAX_NODES
        tops = _tops(root, order)
        sums = {node for node in order if node.op is ops.ADD and not (large and node.weight > MAX_NODES)}
        both = {node for node in sums if negated(node) in sums}
        for node in order:
            if node in made:
                continue
            args = tuple(made[a] for a in node.args)
            new = node if args == node.args else self.simplify(build.with_args(node, args))
            made[node] = new if large and new.weight > MAX_NODES else self._improved(evened(new, both), node in tops)
        return made[root]

    def _functions_evened(self, term: Term) -> Term:
        """``sign(b - a)`` as ``-sign(a - b)``, ``cos(b - a)`` as ``cos(a - b)``, where both sums occur."""
        order = _outside_states(term)
        sums = {node for node in order if node.op is ops.ADD}
        both = {node for node in sums if negated(node) in sums}
        turned: dict[Term, Term] = {}
        for node in order if both else ():
            if node.op is ops.FUN and isinstance(node.attr, str) and node.args[0] in both:
                sign, positive = unsigned(node.args[0])
                parity = self._parity(node.attr) if sign < 0 else 0
                if parity:
                    form = build.fun(node.attr, positive)
                    turned[node] = form if parity > 0 else build.neg(form)
        return self.simplify(replace_outermost(term, turned)) if turned else term

    def _parity(self, function: str) -> int:
        """1 for an even function, -1 for an odd one, 0 for others, as the rules say."""
        if function not in self._parities:
            one = build.sym(Symbol("x", ONE, ONE))
            plain, found = build.fun(function, one), self.simplify(build.fun(function, build.neg(one)))
            self._parities[function] = 1 if found is plain else -1 if found is build.neg(plain) else 0
        return self._parities[function]

    def _improved(self, term: Term, top: bool) -> Term:
        known = self._improved_forms.get((term, top))
        if known is not None:
            return known
        best, lowest = term, None
        for _ in range(MAX_ROUNDS):
            before = best
            for form, least in self._forms(before, top):
                if form is before:
                    continue
                lowest = lowest or cost(term)
                price = cost(form)
                gain = lowest[0] - price[0]
                if price < lowest and (gain > least or (gain >= least and price[1] <= lowest[1])):
                    best, lowest = form, price
            if best is before:
                break
        self._improved_forms[term, top] = best
        return best

    def _forms(self, term: Term, top: bool) -> Iterator[tuple[Term, int]]:
        """Other forms of a term, and the nodes that each must save."""
        if term.op is ops.ADD:
            yield self.collect(term), 0
        if term.op is ops.SUM:
            product = contracted(term, self.simplify)
            if product is not None:
                yield self.simplify(product), 0
        for form in (term, *self._transposed_inside(term)):
            yield form, 0
            for applied in self.rows.alternatives(form):
                yield self.simplify(applied.after), 0
        yield from ((form, 0) for form in sign_inside(term))
        yield from ((form, 0) for form in absorbed(term, self.simplify))
        if term.op is ops.TRANSPOSE and term.args[0].op is ops.ADD:
            yield build.add(*map(self._turned, term.args[0].args)), 0
        if term.op is ops.ADD and term.rows is ONE and term.cols is not ONE:
            yield build.transpose(build.add(*map(self._turned, term.args))), 0
        if top:
            yield from self._multiplied_out(term)

    def _multiplied_out(self, term: Term) -> Iterator[tuple[Term, int]]:
        addends = choices(term)  # unless some merge: then nothing is to be gained
        for start in self._rearranged(term):
            if start is term and addends is not None and addends >= MANY_CHOICES:
                continue
            whole = _sums_elsewhere(start)
            for kept in dict.fromkeys((whole | _sums_repeated(start), whole, frozenset[Term]())):
                out = multiplied_out(start, MAX_PRODUCED, self.simplify, kept) or self.simplify(start)
                fused = _kroneckers(out) < _kroneckers(start)
                if start is term and not (kept or fused) and addends == (len(out.args) if out.op is ops.ADD else 1):
                    continue
                if out is not term:
                    number, core = coefficient(self._contracted(out))
                    merged = core.op is not ops.ADD or fused
                    yield build.smul(build.num(number), self.collect(core)), 2 if start is term and not merged else 0

    def _contracted(self, term: Term) -> Term:
        """The sums over an index that are addends, or factors of addends, as products where they are such."""

        def of(part: Term) -> Term:
            return (contracted(part, self.simplify) or part) if part.op is ops.SUM else part

        made = []
        for addend in term.args if term.op is ops.ADD else (term,):
            number, core = coefficient(addend)
            factors = core.args if core.op is ops.MUL else (core,)
            products = [of(f) for f in factors]
            changed = any(new is not old for new, old in zip(products, factors, strict=True))
            made.append(self.simplify(build.smul(build.num(number), build.mul(*products))) if changed else addend)
        return build.add(*made)

    def _transposed_inside(self, term: Term) -> Iterator[Term]:
        """``((A + B)^-1)'`` among the factors as ``(A' + B')^-1``."""
        factors = term.args if term.op is ops.MUL else (term,)
        turned = list(factors)
        for i, factor in enumerate(factors):
            if factor.op is ops.TRANSPOSE and factor.args[0].op is ops.INV:
                total = factor.args[0].args[0]
                if total.op is ops.ADD:
                    out = [self.simplify(build.transpose(a)) for a in total.args]
                    turned[i] = self.simplify(build.inv(build.add(*out)))
        if turned != list(factors):
            yield build.mul(*turned)

    def _rearranged(self, term: Term) -> Iterator[Term]:
        yield term
        for rewriter in self.rearrangements:
            try:
                new = rewriter.normalize(term)
            except LimitExceeded:  # a form less to try
                continue
            if new is not term:
                yield new


def _one_sign(term: Term) -> Term:
    """The term with one sign for each sum that occurs with both: ``A*(x - y) - B*(x - y)`` for ``… + B*(y - x)``."""
    order = _outside_states(term)
    sums = {node for node in order if node.op is ops.ADD}
    both = {node for node in sums if negated(node) in sums}
    if not both:
        return term
    made: dict[Term, Term] = {node: node for node in order if node.op is ops.STATE}
    for node in order:
        if node not in made:
            args = tuple(made[a] for a in node.args)
            new = node if args == node.args else build.with_args(node, args)
            made[node] = (
                build.add(*(evened(a, both, True) for a in new.args)) if new.op is ops.ADD else evened(new, both)
            )
    return made[term]


def _kroneckers(term: Term) -> int:
    """How many Kronecker and Khatri-Rao products a term has; multiplied out, two in a row are one."""
    return sum(node.op in (ops.KRON, ops.KHATRIRAO) for node in postorder(term))


def _all_transposed(total: Term) -> bool:
    """True for products of transposed factors alone, as in ``A'*X' + X'*A'``."""
    parts = [split(addend).factors for addend in total.args]
    return all(len(factors) > 1 and all(f.op is ops.TRANSPOSE for f in factors) for factors in parts)


def _outside_states(root: Term) -> list[Term]:
    """The parts of a term, arguments first; a recurrence is one part, since its steps are as they were written."""
    states = [t for t in postorder(root) if t.op is ops.STATE]
    if not states:
        return postorder(root)
    inside = set(postorder(*(a for t in states for a in t.args)))
    stack, seen = [root], set[Term]()
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack.extend(() if node.op is ops.STATE else node.args)
    return [t for t in postorder(root) if t in seen or t not in inside]


def _gradient_in_row(term: Term) -> Term | None:
    """The ``vec(G)`` of a row ``vec(G)'``, which says what the gradient is."""
    core = coefficient(term)[1]
    if core.op is ops.SCALE:
        core = core.args[1]
    return core.args[0] if core.op is ops.TRANSPOSE and core.args[0].op is ops.VEC else None


def _tops(root: Term, order: list[Term]) -> set[Term]:
    """The largest linear parts that have a sum in them."""
    inner = {a for node in order if node.op in REGION for a in node.args}
    sums: set[Term] = set()
    for node in order:
        if node.op is ops.ADD or (node.op in REGION and any(a in sums for a in node.args)):
            sums.add(node)
    return {node for node in sums if node is root or node not in inner}


def _sums_repeated(term: Term) -> frozenset[Term]:
    """The sums of a linear part that are used more than once in it, as the residual in ``e*e'``."""
    seen, repeated = set[Term](), set[Term]()
    for node in postorder(term):
        if node.op in REGION:
            sums = {a for a in node.args if a.op is ops.ADD}
            repeated |= sums & seen
            seen |= sums
    return frozenset(repeated)


def _sums_elsewhere(term: Term) -> frozenset[Term]:
    """The sums of a linear part that also occur inside what is not linear, as in an inverse."""
    linear: set[Term] = set()
    stack = [term]
    while stack:
        node = stack.pop()
        if node not in linear:
            linear.add(node)
            stack.extend(a for a in node.args if node.op in REGION)
    leaves = [t for t in linear if t.op not in REGION]
    return frozenset(t for t in postorder(*leaves) if t.op is ops.ADD and t in linear)
