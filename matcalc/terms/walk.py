"""Walks over the shared graph of a term, none of them recursive, each node met once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from .dims import Atom, Dim, Index, dim, substitute, substitute_atom
from .leaves import sym
from .rebuild import with_args, with_attr
from .symbols import Loop, Member, Range, Symbol
from .term import Term


def postorder(*roots: Term, needed: Callable[[Term], Sequence[Term]] | None = None) -> list[Term]:
    """All distinct sub-terms, arguments before the terms that use them.

    ``needed`` says which arguments of a term to enter; without it, all.
    """
    seen: set[Term] = set()
    order: list[Term] = []
    for root in roots:
        if root in seen:
            continue
        stack: list[tuple[Term, int]] = [(root, 0)]
        seen.add(root)
        while stack:
            term, at = stack.pop()
            args = term.args if needed is None else needed(term)
            while at < len(args):
                arg = args[at]
                at += 1
                if arg in seen:
                    continue
                seen.add(arg)
                if not arg.args:
                    order.append(arg)
                    continue
                stack.append((term, at))
                stack.append((arg, 0))
                break
            else:
                order.append(term)
    return order


def size(*roots: Term) -> int:
    """Number of nodes of the shared graph, leaves included."""
    return len(postorder(*roots))


def dependents(root: Term, targets: Iterable[Term]) -> set[Term]:
    """The sub-terms of ``root`` in which one of ``targets`` occurs (themselves included)."""
    found = set(targets)
    for term in postorder(root):
        if term not in found and any(arg in found for arg in term.args):
            found.add(term)
    return found


def contains(root: Term, target: Term) -> bool:
    """True when ``target`` is a sub-term of ``root``."""
    return root is target or (target.depth < root.depth and any(t is target for t in postorder(root)))


def free_atoms(root: Term) -> set[Atom]:
    """All atoms of dimensions in the term, bound indices excepted."""
    found: set[Atom] = set()
    bound: set[Index] = set()
    for term in postorder(root):
        for part in (term.rows, term.cols, *attr_dims(term.attr)):
            found |= part.atoms()
        if isinstance(term.attr, Range | Loop):
            bound.add(term.attr.index)
    return found - bound


def attr_dims(attr: Any) -> list[Dim]:
    """The dimensions inside what an operator carries."""
    if isinstance(attr, Dim):
        return [attr]
    if isinstance(attr, Atom):
        return [dim(attr)]
    if isinstance(attr, Member):
        return [attr.at]
    if isinstance(attr, Range):
        return [attr.index.lo, attr.index.hi]
    if isinstance(attr, Loop):
        return [attr.first, attr.at]
    if isinstance(attr, tuple):
        return [part for part in attr if isinstance(part, Dim)]
    return []


def map_attr(attr: Any, atoms: Mapping[Atom, Dim]) -> Any:
    """What an operator carries after a substitution of atoms (an :class:`Atom` may become a :class:`Dim`)."""
    if isinstance(attr, Dim):
        return substitute(attr, atoms)
    if isinstance(attr, Atom):
        return substitute_atom(attr, atoms)
    if isinstance(attr, Member):
        return Member(attr.family, substitute(attr.at, atoms))
    if isinstance(attr, Range):
        index = attr.index
        low, high = substitute(index.lo, atoms), substitute(index.hi, atoms)
        return Range(Index(index.level, low, high, index.step), attr.step)
    if isinstance(attr, Symbol):
        return moved_symbol(attr, atoms) if attr.rows.indices or attr.cols.indices else attr
    if isinstance(attr, Loop):
        running = substitute_atom(attr.index, atoms).atom
        assert isinstance(running, Index)
        first, at = substitute(attr.first, atoms), substitute(attr.at, atoms)
        return Loop(running, attr.step, first, at, moved_symbol(attr.slot, atoms))
    if type(attr) is tuple:
        return tuple(substitute(p, atoms) if isinstance(p, Dim) else p for p in attr)
    return attr


def moved_symbol(symbol: Symbol, atoms: Mapping[Atom, Dim]) -> Symbol:
    """A bound variable whose shape depends on an index, after a substitution."""
    rows, cols = substitute(symbol.rows, atoms), substitute(symbol.cols, atoms)
    return Symbol(symbol.name, rows, cols, symbol.facts, symbol.role)


def rebuild(root: Term, change: Callable[[Term, tuple[Term, ...]], Term | None]) -> Term:
    """Bottom-up copy: ``change(term, new_args)`` gives the new term, or None to rebuild it as it is."""
    made: dict[Term, Term] = {}
    for term in postorder(root):
        args = tuple(made[a] for a in term.args)
        new = change(term, args)
        if new is None:
            new = term if args == term.args else with_args(term, args)
        made[term] = new
    return made[root]


def fresh_index(index: Index, avoid: frozenset[Index]) -> Index:
    """An index of the same range that is not in ``avoid``."""
    level = index.level
    while Index(level, index.lo, index.hi, index.step) in avoid:
        level += 1
    return Index(level, index.lo, index.hi, index.step)


def open_binder(term: Term, avoid: frozenset[Index]) -> tuple[Index, Term]:
    """Index and body of a sum, product or recurrence, the index renamed so that it is not in ``avoid``."""
    index: Index = term.attr.index
    body = term.args[-1]
    if index in avoid:
        fresh = fresh_index(index, avoid | body.indices)
        return fresh, substitute_indices(body, {index: dim(fresh)})
    return index, body


def with_index(attr: Range | Loop, index: Index) -> Range | Loop:
    """What a binder carries, with its bound index renamed."""
    if isinstance(attr, Range):
        return Range(index, attr.step)
    return Loop(index, attr.step, attr.first, attr.at, moved_symbol(attr.slot, {attr.index: dim(index)}))


def open_state(term: Term) -> tuple[Loop, Term]:
    """The loop and the body of a recurrence, the previous state in it a free variable of its own.

    A bound previous state never has that name, so it can be replaced without capture.
    """
    loop: Loop = term.attr
    slot = loop.slot
    free = Symbol(slot.name + "°", slot.rows, slot.cols, slot.facts, slot.role)
    body = replace(term.args[1], {sym(slot): sym(free)})
    return Loop(loop.index, loop.step, loop.first, loop.at, free), body


def substitute_indices(root: Term, atoms: Mapping[Atom, Dim]) -> Term:
    """Replace atoms of dimensions (sizes, indices) throughout, capture-free."""
    return replace(root, {}, atoms)


def replace(root: Term, terms: Mapping[Term, Term], atoms: Mapping[Atom, Dim] | None = None) -> Term:
    """Replace sub-terms and atoms, all at once and capture-free.

    A bound index that occurs free in a replacement is renamed first, and so is the previous state of a
    recurrence that occurs in one or is itself replaced outside.
    """
    atoms = atoms or {}
    incoming: frozenset[Index] = frozenset()
    for value in terms.values():
        incoming |= value.indices
    for d in atoms.values():
        incoming |= d.indices
    names_only = not any(not isinstance(a, Index) for a in atoms)
    made: dict[Term, Term] = dict(terms)
    slots: set[Symbol] | None = None

    def clashes(attr: Any) -> bool:
        nonlocal slots
        if not terms or not isinstance(attr, Loop):
            return False
        if slots is None:
            slots = state_symbols(*terms, *terms.values())
        return attr.slot in slots

    def settled(term: Term) -> bool:
        if term in made:
            return True
        if not terms and names_only and not (term.indices and _touches(term.indices, atoms)):
            made[term] = term
            return True
        return False

    stack = [root]
    while stack:
        term = stack[-1]
        if settled(term):
            stack.pop()
            continue
        if term.op.binder and (term.attr.index in incoming or term.attr.index in atoms or clashes(term.attr)):
            index, body = open_binder(
                term, incoming | term.indices | frozenset(a for a in atoms if isinstance(a, Index))
            )
            attr = with_index(term.attr, index)
            if isinstance(attr, Loop) and clashes(term.attr):
                attr, body = _with_new_slot(attr, body, slots or set())
            outside = term.args[:-1]
            waiting = [a for a in (*outside, body) if not settled(a)]
            if waiting:
                stack.extend(waiting)
                continue
            attr = map_attr(attr, atoms)
            made[term] = with_attr(term, (*(made[a] for a in outside), made[body]), attr)
            stack.pop()
            continue
        waiting = [a for a in term.args if not settled(a)]
        if waiting:
            stack.extend(waiting)
            continue
        args = tuple(made[a] for a in term.args)
        attr = map_attr(term.attr, atoms) if atoms else term.attr
        if attr is not term.attr and attr != term.attr:
            made[term] = with_attr(term, args, attr)
        else:
            made[term] = term if args == term.args else with_args(term, args)
        stack.pop()
    return made[root]


def state_symbols(*roots: Term) -> set[Symbol]:
    """The previous states, bound and free, that terms name."""
    return {t.attr for t in postorder(*roots) if isinstance(t.attr, Symbol) and t.attr.role == "state"}


def _with_new_slot(loop: Loop, body: Term, taken: set[Symbol]) -> tuple[Loop, Term]:
    """A recurrence whose previous state has a name that nothing else has."""
    slot = loop.slot
    names = {symbol.name for symbol in taken | state_symbols(body)}
    name = slot.name + "+"
    while name in names:
        name += "+"
    new = Symbol(name, slot.rows, slot.cols, slot.facts, slot.role)
    return Loop(loop.index, loop.step, loop.first, loop.at, new), replace(body, {sym(slot): sym(new)})


def _touches(indices: frozenset[Index], atoms: Mapping[Atom, Dim]) -> bool:
    return any(i in atoms for i in indices)
