"""Ordered products and recurrences are the same: shown by induction over the index.

A row times an ordered product is the transposed last state of a recurrence,

    r*prod(j=b..a by -1, M[j]) = z[a]'   where z[b+1] = r'; z[k-1] = M[k-1]'*z[k],

and two recurrences z and e with e[k] = P(k, z[k+1]) at the start and, from each k, at the next, are the
Jacobian as a product and the errors of back-propagation.
"""

from __future__ import annotations

from dataclasses import replace as with_changes

from ..rewriting.steps import INDUCTION, LEMMA, Step, replace_outermost, stepwise
from ..terms import build, ops
from ..terms.dims import ONE, Atom, Dim, Index, Name, dim
from ..terms.symbols import Loop, Symbol
from ..terms.term import Term
from ..terms.walk import contains, free_atoms, open_state, postorder, rebuild, replace
from .system import RUNNING, System


def products_as_recurrences(system: System, term: Term) -> list[Step]:
    """Each row times an ordered product becomes the state of a recurrence, after the steps that simplify its body."""
    steps: list[Step] = []

    def change(node: Term, args: tuple[Term, ...]) -> Term | None:
        number = build.ONE_NUM
        if node.op is ops.SCALE and node.args[0].op is ops.NUM:
            number, node = node.args
            args = node.args  # the number belongs to the start
        if node.op is not ops.MUL or args[0].rows is not ONE:
            return None
        at = next((i for i, arg in enumerate(args) if arg.op is ops.PROD), 0)
        if not at:
            return None
        state = _folded(build.smul(number, build.mul(*args[:at])), args[at])
        if state.op is ops.STATE:
            steps.extend(_simplified(system, state))
            state = system.simplify(state)
        return build.mul(build.transpose(state), *args[at + 1 :])

    after = rebuild(term, change)
    if after is not term:
        steps.append(Step("product as a recurrence", term, after))
    return steps


def _simplified(system: System, state: Term) -> list[Step]:
    """From the factor times the state before, as it is in the product, to the state in its simplified form."""
    for outer in [atom for atom in free_atoms(state) if isinstance(atom, Index)]:  # said of any value of it
        state = replace(state, {}, {outer: dim(_free_name(state))})
    done = system.simplify(state)
    loop, body = open_state(state)
    if done.op is not ops.STATE or done.args[1] is state.args[1]:
        return []
    k = dim(_free_name(state))
    before = build.state(done.attr.moved(k), *done.args)
    written = replace(body, {build.sym(loop.slot): before}, {loop.index: k})
    steps = [with_changes(step, kind=LEMMA) for step in stepwise(system.simplifier, written)]
    if steps and steps[-1].after is _next(before):
        steps.append(_lemma("the recurrence", steps[-1].after, build.state(done.attr.moved(k + loop.step), *done.args)))
    return steps


def _folded(row: Term, product: Term) -> Term:
    index, step = product.attr
    first: Dim = index.lo - step
    running = Index(RUNNING, dim(0), index.hi, step)
    factor = product.args[0]
    here, after = dim(running), dim(running) + step
    at_here = replace(factor, {}, {index: here})
    slot = Symbol("z°", at_here.cols, row.rows, frozenset(), "state")
    body = build.mul(build.transpose(replace(factor, {}, {index: after})), build.sym(slot))
    return build.state(Loop(running, step, first, index.hi, slot), build.transpose(row), body)


def induction(system: System, before: Term, after: Term) -> list[Step] | None:
    """The steps from one term to another in which a part is named as the state of a recurrence of its own.

    None when that is not how they differ, or the step of the induction is not seen by the rules.
    """
    for state in [t for t in postorder(after) if t.op is ops.STATE and not contains(before, t)]:
        index = next((a for a in state.attr.at.atoms() if (state.attr.at - dim(a)).constant is not None), None)
        if index is None:
            continue
        for part in postorder(before):
            if part.shape == state.shape and system.simplify(replace_outermost(before, {part: state})) is after:
                shown = _shown(system, part, state, index)
                if shown is not None:
                    return [*shown, Step(INDUCTION, before, after)]
    return None


def _shown(system: System, part: Term, state: Term, index: Atom) -> list[Step] | None:
    """e[k-1] = P(k-1, z[k]) out of e[k] = P(k, z[k+1]), and the same at the start."""
    offset = state.attr.at - dim(index)
    inside = [t for t in postorder(part) if t.op is ops.STATE and t.attr.step == state.attr.step]
    used = [t for t in inside if index in t.attr.at.atoms() and not contains(state, t)]
    if len(used) != 1:
        return None
    k = dim(_free_name(part, state))
    loop: Loop = state.attr
    here, there = ({index: at - offset} for at in (k, k + loop.step))
    hypothesis = replace(part, {}, here)
    begin = _restated(part, used[0], index, loop.first - offset)
    if begin is None or system.simplify(begin) is not system.simplify(state.args[0]):
        return None
    claim = replace(part, {}, there)
    older = replace(used[0], {}, here)
    newer = replace(used[0], {}, there)
    unrolled = replace(claim, {newer: _next(older)})
    expected = _next(build.state(loop.moved(k), *state.args))
    named = replace(unrolled, {hypothesis: build.state(loop.moved(k), *state.args)})
    if named is unrolled or system.simplify(named) is not system.simplify(expected):
        return None
    steps = [_lemma("the recurrence", claim, unrolled), _lemma("induction hypothesis", unrolled, named)]
    if named is not expected:
        steps.append(_lemma("simplify", named, expected))
    return [*steps, _lemma("the recurrence", expected, build.state(loop.moved(k + loop.step), *state.args))]


def _lemma(rule: str, before: Term, after: Term) -> Step:
    """A step of the proof beside the derivation."""
    return Step(rule, before, after, (), LEMMA)


def _restated(part: Term, used: Term, index: Atom, first: Dim) -> Term | None:
    """The part at the first index of the recurrence."""
    begun = replace(used, {}, {index: first})
    return None if begun.op is ops.STATE and begun.args == used.args else replace(part, {}, {index: first})


def _next(state: Term) -> Term:
    """The state one step further, by the recurrence."""
    loop, body = open_state(state)
    return replace(body, {build.sym(loop.slot): state}, {loop.index: loop.at})


def _free_name(*terms: Term) -> Name:
    taken = {str(atom) for term in terms for atom in free_atoms(term)}
    return Name(next(name for name in (*"jlrskim", *(f"k{n}" for n in range(99))) if name not in taken))
