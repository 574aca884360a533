"""The page on which a term is printed: names of indices and states, and the walk over the term.

A printer is a table from operators to small functions that put the pieces of the arguments
together; :func:`render` walks the term without recursion and calls them.  What else the printers
share stands in :mod:`.pieces`, :mod:`.order` and :mod:`.chains`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from ..terms import ops
from ..terms.binders import joint_shapes
from ..terms.binders import part as part_of
from ..terms.dims import Atom, Dim, Index, Name, SizeAt, dim, format_dim, growth, known_nonnegative, substitute
from ..terms.ops import Op
from ..terms.symbols import Range, Symbol
from ..terms.term import Term
from .chains import (
    BACKWARD,
    FORWARD,
    INDICES,
    STEPS,
    Chain,
    Chains,
    Place,
    Scope,
    alike,
    endless,
    free_names,
    given_names,
)
from .pieces import SUM, WHERE, Piece, joined, signed, wrapped

IndexNames = Sequence[tuple[Any, Any, str]]
"""Preferred names of bound indices (first value, last value, name) and of recurrences (start, step, name)."""

# ---------------------------------------------------------------- direction of ordered products


def needs_by(index: Index, step: int) -> bool:
    """True when ``index.lo..index.hi`` alone would not be read in this direction.

    The rule of the contract, asked for sizes >= 1 and for names >= 0: both must agree.
    """
    span = index.hi - index.lo
    names = {atom for atom in span.atoms() if isinstance(atom, Name)}
    return any(_direction(span, positive) != step for positive in (set(), names))


def _direction(span: Dim, positive: set[Name]) -> int | None:
    for slack in (0, 1):
        up = known_nonnegative(span + slack, positive)
        down = known_nonnegative(slack - span, positive)
        if up and (slack == 0 or not down):
            return 1
        if down and (slack == 0 or not up):
            return -1
    return growth(span) or None


# ---------------------------------------------------------------- names of indices


class Page:
    """One printing of one term: what the functions of a printer may ask for.

    ``spell`` turns an ASCII name into the printed one; ``fancy`` asks for signs beyond ASCII;
    ``indexed`` is the form of an indexed size and ``times`` the product sign of dimensions;
    ``state`` writes a state of a recurrence, ``where`` holds what stands before the first
    recurrence that is told and between two, and the brackets around all of it.
    """

    def __init__(
        self,
        root: Term,
        names: IndexNames | None,
        spell: Callable[[str], str],
        *,
        fancy: bool = False,
        indexed: str = "{}[{}]",
        times: str = "*",
        state: Callable[[str, str], str] = "{}[{}]".format,
        where: tuple[str, str, str, str] = (" where ", "; ", "(", ")"),
    ) -> None:
        self.spell = spell
        self.fancy = fancy
        self._indexed = indexed
        self._times = times
        self.scope: Scope = ()
        self._preferred = tuple(names or ())
        self._taken = free_names(root)
        self.given = given_names(root) | {name for _, _, name in self._preferred}
        self._state = state
        self._where = where
        self._made: dict[tuple[Term | Chain, Scope], Piece] = {}
        self._inner: dict[tuple[Term | Chain, Scope], Scope] = {}
        self.chains = Chains(root)
        for index in sorted(root.indices, key=lambda index: index.key, reverse=True):
            self.scope = (*self.scope, (index, self._choose(index, INDICES)))
        for slot in sorted(self.chains.slots.get(root, ()), key=lambda slot: slot.stable):
            self.scope = (*self.scope, (slot, self.spell(self._unused((), FORWARD))))
        self.scope = self._naming(self.chains.outermost)

    def piece(self, term: Term) -> Piece:
        """The piece of a sub-term that stands in the scope of the term being printed."""
        return self._made[term, self.visible(term, self.scope)]

    def visible(self, part: Term | Chain, scope: Scope) -> Scope:
        """The part of the scope on which the text of a term depends."""
        if isinstance(part, Chain) or part.height or part in self.chains.slots:
            return scope
        return tuple(pair for pair in scope if pair[0] in part.indices) if part.indices else ()

    # ------------------------------------------------------------ binding

    def inside(self, part: Term | Chain) -> Scope:
        """The scope in the body of a sum or product that stands here, or of a recurrence that is told here."""
        key = part, self.scope
        found = self._inner.get(key)
        if found is None:
            found = self._inner[key] = self._within(part)
        return found

    def _within(self, part: Term | Chain) -> Scope:
        outside = self.scope
        try:
            if isinstance(part, Chain):
                index, slot = part.loop.index, part.loop.slot
                self.scope = (*outside, (index, self._choose(index, STEPS)))
                here = dim(index)
                if part.count == 1:
                    self.scope = (*self.scope, (slot, self._state_text(part, here)))
                else:
                    states = ((slot, i) for i in range(part.count))
                    texts = [(state, self._state_text((part, state[1]), here)) for state in states]
                    self.scope = (*self.scope, *texts)
                return self._naming(part.told)
            self.scope = (*outside, (part.attr.index, self._choose(part.attr.index, INDICES)))
            return self._naming(self.chains.told.get(part, []))
        finally:
            self.scope = outside

    def _choose(self, index: Index, letters: str) -> str:
        wanted = (name for low, high, name in self._preferred if low is index.lo and high is index.hi)
        return self._unused(wanted, letters)

    def _unused(self, wanted: Iterable[str], letters: str) -> str:
        taken = {name for _, name in self.scope}
        return next(name for name in chain(wanted, endless(letters)) if not (name in taken or name in self._taken))

    def _naming(self, chains: Iterable[Chain]) -> Scope:
        """The scope with names for recurrences."""
        before = self.scope
        for one in chains:
            for i in range(one.count):
                key: Chain | Place = one if one.count == 1 else (one, i)
                name = self._unused(self._wanted(one, i), FORWARD if one.loop.step > 0 else BACKWARD)
                self.scope = (*self.scope, (key, name))
        made, self.scope = self.scope, before
        return made

    def _wanted(self, one: Chain, which: int) -> Iterable[str]:
        """The preferred names of a recurrence: of this very one first, then of those like it."""
        similar: list[str] = []
        for start, body, name in self._preferred:
            if isinstance(body, tuple):
                body, place = body
                if place != which:
                    continue
            elif one.count > 1:
                continue
            if start is one.start and body is one.body:
                yield name
            elif alike(start, one.start, body, one.body):
                similar.append(name)
        yield from similar

    def _name(self, bound: Index | Symbol | Chain | Place) -> str | None:
        return next((name for other, name in reversed(self.scope) if other is bound or other == bound), None)

    # ------------------------------------------------------------ what is bound, printed

    def body(self, term: Term) -> tuple[str, Piece]:
        """Name of the index and piece of the body of a sum or product."""
        inner = self.inside(term)
        name = next(name for bound, name in reversed(inner) if bound is term.attr.index)
        return self.spell(name), self._told_with(term.args[0], self.chains.told.get(term, []), inner)

    def state(self, term: Term) -> str:
        """A state of a recurrence, ``y[L]``; all of coupled states, ``(v[L], x[L])``."""
        one = self.chains.of[term]
        if one.count == 1:
            return self._state_text(one, term.attr.at)
        return f"({', '.join(self._state_text((one, i), term.attr.at) for i in range(one.count))})"

    def part(self, term: Term) -> str:
        """One of coupled states, ``x[L]``; of their differential, the state that varies."""
        whole, which = term.args[0], term.attr[0]
        if whole.op is ops.DIFF:
            whole = whole.args[0]
        if whole.op is ops.STATE:
            return self._state_text((self.chains.of[whole], which), whole.attr.at)
        name = self._name((whole.attr, which)) if whole.op is ops.SYM else None
        return f"state{which + 1}" if name is None else name

    def _state_text(self, one: Chain | Place, at: Dim) -> str:
        name = self._name(one)
        assert name is not None
        return self._state(self.spell(name), self.size(at))

    def symbol(self, symbol: Symbol) -> str:
        """A variable, or the bound state of a recurrence."""
        name = self._name(symbol) if symbol.role == "state" else None
        return self.spell(symbol.name) if name is None else name

    def definition(self, one: Chain) -> Piece:
        """Start and step of a recurrence: ``y[0] = x; y[k+1] = A*y[k]``."""
        if one.count == 1:
            return self._defined(one, one, one.start, one.body)
        pairs = zip(self.starts(one), one.body.args, strict=True)
        defined = (self._defined(one, (one, i), start, body) for i, (start, body) in enumerate(pairs))
        return joined(defined, self._where[1])

    def starts(self, one: Chain) -> tuple[Term, ...]:
        """The starts of coupled states."""
        if one.start.op is ops.JOINT:
            return one.start.args
        before: dict[Atom, Dim] = {one.loop.index: one.loop.first - one.loop.step}
        shapes = [substitute(d, before) for d in joint_shapes(one.body)]
        return tuple(part_of(one.start, i, shapes) for i in range(one.count))

    def _defined(self, chain: Chain, one: Chain | Place, start: Term, body: Term) -> Piece:
        first = self._state_text(one, chain.loop.first)
        inner = self.inside(chain)
        told = [inside for inside in chain.told if inside in self.chains.used_in(body)]
        right = self._told_with(body, told, inner)
        outside, self.scope = self.scope, inner
        after = self._state_text(one, dim(chain.loop.index) + chain.loop.step)
        self.scope = outside
        return Piece((f"{first} = ", signed(self.piece(start)), f"{self._where[1]}{after} = ", signed(right)))

    def _told_with(self, term: Term, chains: list[Chain], scope: Scope) -> Piece:
        """A term in a scope, and the recurrences that are told there, in brackets."""
        piece = self._made[term, self.visible(term, scope)]
        return wrapped(self.told(piece, chains, scope), SUM, self._where[2:]) if chains else piece

    def told(self, piece: Piece, chains: list[Chain], scope: Scope) -> Piece:
        """``e where y[0] = ...; y[k+1] = ...``."""
        if not chains:
            return piece
        told = joined((self._made[one, scope] for one in chains), self._where[1])
        return Piece((signed(piece), self._where[0], told), WHERE)

    def parts(self, part: Term | Chain) -> list[tuple[Term | Chain, Scope]]:
        """What has to be printed before a term, or before the definition of a recurrence."""
        if isinstance(part, Chain):
            inner = self.inside(part)
            coupled = part.count > 1
            parts: list[tuple[Term | Chain, Scope]] = []
            parts += [(start, self.scope) for start in (self.starts(part) if coupled else (part.start,))]
            parts += [(body, inner) for body in (part.body.args if coupled else (part.body,))]
            parts += [(one, inner) for one in part.told]
        elif isinstance(part.attr, Range):
            inner = self.inside(part)
            parts = [(part.args[0], inner), *((one, inner) for one in self.chains.told.get(part, []))]
        elif part in self.chains.of or part.op is ops.PART:
            return []
        else:
            parts = [(arg, self.scope) for arg in part.args]
        return [(one, self.visible(one, scope)) for one, scope in parts]

    def atom(self, atom: Atom) -> str:
        """The printed name of a size or an index."""
        if isinstance(atom, Index):
            return self.spell(next((name for bound, name in reversed(self.scope) if bound is atom), str(atom)))
        if isinstance(atom, SizeAt):
            return self._indexed.format(self.spell(atom.name), self.size(atom.arg))
        return self.spell(str(atom))

    def size(self, size: Dim) -> str:
        """A dimension without blanks around signs: ``k+1``, ``m*n``."""
        text = format_dim(size, {atom: self.atom(atom) for atom in size.atoms()}, self._times)
        return text.replace(" + ", "+").replace(" - ", "-")


Rule = Callable[[Term, Page], Piece]


def render(root: Term, rules: Mapping[Op, Rule], default: Rule, page: Page) -> Piece:
    """The piece of the whole term, made bottom-up, each sub-term once in each scope."""
    outermost = page.scope
    made = page._made
    todo: list[tuple[Term | Chain, Scope, bool]] = [(root, page.visible(root, outermost), False)]
    todo += [(one, outermost, False) for one in page.chains.outermost]
    while todo:
        part, scope, ready = todo.pop()
        if (part, scope) in made:
            continue
        page.scope = scope
        if ready:
            made[part, scope] = (
                page.definition(part) if isinstance(part, Chain) else rules.get(part.op, default)(part, page)
            )
            continue
        todo.append((part, scope, True))
        todo.extend((one, inner, False) for one, inner in page.parts(part))
    page.scope = outermost
    return signed(page.told(page.piece(root), page.chains.outermost, outermost))
