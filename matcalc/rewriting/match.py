"""One-sided matching of a rule's left side against a term.

A pattern is a term whose symbols, families, unknown functions and sizes are variables.  In a flat
product a variable takes a contiguous run of factors; in a flat commutative operation one operand,
the last variable the remainder.  Bound indices are opened fresh, so nothing is captured; a
variable outside ``e[i]`` never takes a term with the bound index in it.

The recursion here is over the pattern, which is small, never over the term.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from ..bounds import tick
from ..terms import build, ops
from ..terms.dims import ONE, Atom, Dim, Index, Name, SizeAt, dim, substitute
from ..terms.ops import Op
from ..terms.symbols import Family, Grid, Member, Range, Symbol, Unknown
from ..terms.term import HAS_DIFF, Term, make
from ..terms.walk import open_binder, substitute_indices

Bindings = dict[Any, Any]
_EMPTY: frozenset[Index] = frozenset()
_OPENED = "opened"
_POLYNOMIALS = "polynomials"
HOLE = "X"
"""In a linear match the variable of this name takes what varies, and no other variable does."""

FLAT = {op for op in ops.all_ops() if op.associative}


def is_variable(pattern: Term) -> bool:
    """True for a pattern that is a plain variable."""
    return pattern.op is ops.SYM and pattern.attr.role == "pattern"


def reorders(left: Term) -> bool:
    """True for ``A*B`` or ``f(A*B)`` with variables A and B."""
    product = left if left.op is ops.MUL else left.args[0] if len(left.args) == 1 else None
    if product is None or product.op is not ops.MUL or len(product.args) != 2:
        return False
    return all(is_variable(factor) for factor in product.args)


def _is_body(pattern: Term) -> bool:
    return pattern.op is ops.MEMBER and pattern.attr.family.role == "pattern"


def match_dim(pattern: Dim, subject: Dim, b: Bindings) -> Bindings | None:
    """Match a dimension: a name binds, a number must be equal, a polynomial waits for its names."""
    if pattern is subject and pattern.constant is not None:
        return b
    atom = pattern.atom
    if isinstance(atom, Name):
        found = b.get(atom)
        if found is None:
            return None if subject.indices & b.get(_OPENED, _EMPTY) else {**b, atom: subject}
        return b if found is subject else None
    if isinstance(atom, Index):
        found = b.get(atom)
        return b if found is subject else None
    if pattern.constant is not None:
        return b if pattern is subject else None
    value = instantiate_dim(pattern, b)
    if value is None:
        return {**b, _POLYNOMIALS: (*b.get(_POLYNOMIALS, ()), (pattern, subject))}
    return b if value is subject else None


def instantiate_dim(pattern: Dim, b: Bindings) -> Dim | None:
    """The dimension under the bindings, or None while a name is unbound."""
    mapping: dict[Atom, Dim] = {}
    for atom in pattern.atoms():
        if isinstance(atom, SizeAt):
            continue
        value = b.get(atom)
        if value is None:
            return None
        mapping[atom] = value
    return substitute(pattern, mapping)


def _bind(pattern: Term, subject: Term, b: Bindings, linear: bool) -> Bindings | None:
    symbol: Symbol = pattern.attr
    found = b.get(symbol)
    if found is not None:
        return b if found is subject else None
    if linear and bool(subject.flags & HAS_DIFF) != (symbol.name == HOLE):
        return None
    opened = b.get(_OPENED)
    if opened and subject.indices & opened:
        return None
    if symbol.rows is not subject.rows or symbol.rows.constant is None:
        matched = match_dim(symbol.rows, subject.rows, b)
        if matched is None:
            return None
        b = matched
    if symbol.cols is not subject.cols or symbol.cols.constant is None:
        matched = match_dim(symbol.cols, subject.cols, b)
        if matched is None:
            return None
        b = matched
    return {**b, symbol: subject}


def _bind_body(pattern: Term, subject: Term, b: Bindings, linear: bool) -> Bindings | None:
    family: Family = pattern.attr.family
    at = instantiate_dim(pattern.attr.at, b)
    if at is None or not isinstance(at.atom, Index):
        return None
    if linear and bool(subject.flags & HAS_DIFF) != (family.name == HOLE):
        return None
    found = b.get(family)
    if found is not None:
        index, body = found
        expected = body if dim(index) is at else substitute_indices(body, {index: at})
        return b if expected is subject else None
    if (family.rows is ONE) != (subject.rows is ONE) and family.rows is ONE:
        return None
    if family.cols is ONE and subject.cols is not ONE:
        return None
    for side, actual in ((family.rows, subject.rows), (family.cols, subject.cols)):
        if side.constant is None and not side.indices:
            matched = match_dim(side, actual, b)
            if matched is None:
                return None
            b = matched
    return {**b, family: (at.atom, subject)}


def match(pattern: Term, subject: Term, b: Bindings, linear: bool = False) -> Iterator[Bindings]:
    """All bindings under which the pattern is the subject."""
    op = pattern.op
    if op is ops.SYM:
        if pattern.attr.role == "pattern":
            bound = _bind(pattern, subject, b, linear)
            if bound is not None:
                yield bound
        elif pattern is subject:
            yield b
        return
    if op is ops.MEMBER:
        if _is_body(pattern):
            bound = _bind_body(pattern, subject, b, linear)
            if bound is not None:
                yield bound
        return
    if op is ops.INT and isinstance(pattern.attr, Name):
        value = build.as_dim(subject)
        if value is not None and all(part.denominator == 1 for _, part in value.terms):
            matched = match_dim(dim(pattern.attr), value, b)
            if matched is not None:
                yield matched
        return
    if op is ops.ONES and subject is build.ONE_NUM:
        subject = _ONE_BY_ONE
    elif is_negated(pattern):
        yield from _match_negated(pattern.args[1], subject, b, linear)
        return
    if op is not subject.op:
        return
    if op.binder:
        yield from _match_binder(pattern, subject, b, linear)
        return
    matched = _match_attr(pattern.attr, subject.attr, b)
    if matched is None:
        return
    if op in FLAT:
        if op.commutative:
            for found, rest in _match_some(pattern.args, list(subject.args), matched, linear, op, exact=True):
                if not rest:
                    yield found
        elif _may_be(pattern.args[0], subject.args[0]) and _may_be(pattern.args[-1], subject.args[-1]):
            for found, stop in _match_run(pattern.args, subject.args, 0, matched, linear, op, whole=True):
                if stop == len(subject.args):
                    yield found
        return
    if len(pattern.args) == 1:
        yield from match(pattern.args[0], subject.args[0], matched, linear)
    elif not pattern.args:
        yield matched
    elif len(pattern.args) == len(subject.args):
        yield from _match_all(pattern.args, subject.args, matched, linear)


_ONE_BY_ONE = make(ops.ONES, (), (ONE, ONE), ONE, ONE)
"""The number 1 as what a pattern of ones is matched against."""


def is_negated(pattern: Term) -> bool:
    """True for the pattern ``-A`` with a variable A, which also takes a number: ``-2*x`` with A = ``2*x``."""
    if pattern.op is not ops.SCALE and pattern.op is not ops.TIMES:
        return False
    return len(pattern.args) == 2 and pattern.args[0] is build.MINUS_ONE_NUM and is_variable(pattern.args[1])


def _match_negated(variable: Term, subject: Term, b: Bindings, linear: bool) -> Iterator[Bindings]:
    if variable.attr in b or build.coefficient(subject)[0] < 0:
        yield from match(variable, build.neg(subject), b, linear)


def _match_all(patterns: tuple[Term, ...], subjects: tuple[Term, ...], b: Bindings, linear: bool) -> Iterator[Bindings]:
    if not patterns:
        yield b
        return
    for found in match(patterns[0], subjects[0], b, linear):
        yield from _match_all(patterns[1:], subjects[1:], found, linear)


def _match_attr(pattern: Any, subject: Any, b: Bindings) -> Bindings | None:
    if pattern is None:
        return b if subject is None else None
    if isinstance(pattern, Unknown):
        return _match_function(pattern, subject, b)
    if isinstance(pattern, Dim):
        return match_dim(pattern, subject, b)
    if isinstance(pattern, Atom):
        return match_dim(dim(pattern), dim(subject), b)
    if isinstance(pattern, Grid | Range | Member) or not isinstance(pattern, tuple):
        return b if pattern == subject and type(pattern) is type(subject) else None
    result = b
    for left, right in zip(pattern, subject, strict=True):
        if isinstance(left, Dim):
            deeper = match_dim(left, right, result)
            if deeper is None:
                return None
            result = deeper
        elif left != right:
            return None
    return result


def _match_function(pattern: Unknown, subject: Any, b: Bindings) -> Bindings | None:
    if not isinstance(subject, Unknown) and not pattern.known:
        return None
    if pattern.role != "pattern":
        return b if pattern == subject else None
    key = ("function", pattern.name)
    base: Unknown | str = subject
    if isinstance(subject, Unknown):
        base = Unknown(subject.name, subject.order - pattern.order, subject.role)
        if base.order < 0:
            return None
    found = b.get(key)
    if found is None:
        return {**b, key: base}
    return b if found == base else None


def _match_binder(pattern: Term, subject: Term, b: Bindings, linear: bool) -> Iterator[Bindings]:
    if pattern.op is ops.PROD and pattern.attr.step != subject.attr.step:
        return
    opened: frozenset[Index] = b.get(_OPENED, _EMPTY)
    index, body = open_binder(subject, subject.indices | opened | b.get("avoid", _EMPTY))
    matched: Bindings | None = match_dim(pattern.attr.index.lo, index.lo, b)
    if matched is not None:
        matched = match_dim(pattern.attr.index.hi, index.hi, matched)
    if matched is None:
        return
    matched = {**matched, pattern.attr.index: dim(index), _OPENED: opened | {index}}
    for found in match(pattern.args[0], body, matched, linear):
        yield {**found, _OPENED: opened, "used": found.get("used", _EMPTY) | {index}}


def _match_run(
    patterns: tuple[Term, ...],
    subjects: tuple[Term, ...],
    at: int,
    b: Bindings,
    linear: bool,
    op: Op,
    whole: bool = False,
) -> Iterator[tuple[Bindings, int]]:
    """Match a run of factors from ``at`` on; yields the bindings and where the run ends.

    With ``whole`` only runs to the very end are wanted.
    """
    if not patterns:
        yield b, at
        return
    tick()
    first, rest = patterns[0], patterns[1:]
    available = len(subjects) - at - len(rest)
    if available < 1:
        return
    if is_variable(first) or _is_body(first):
        known = b.get(first.attr)
        if known is not None and is_variable(first):
            parts = known.args if known.op is op else (known,)
            if subjects[at : at + len(parts)] == parts:
                yield from _match_run(rest, subjects, at + len(parts), b, linear, op, whole)
            return
        combine = _COMBINE[op]
        shortest = available if whole and not rest else 1
        if whole and rest:
            widths = [_width(p, b, op) for p in rest]
            if None not in widths:
                shortest = available = len(subjects) - at - sum(w for w in widths if w is not None)
        for length in range(max(shortest, 1), available + 1):
            piece = subjects[at] if length == 1 else combine(*subjects[at : at + length])
            for found in match(first, piece, b, linear):
                yield from _match_run(rest, subjects, at + length, found, linear, op, whole)
        return
    for found in match(first, subjects[at], b, linear):
        yield from _match_run(rest, subjects, at + 1, found, linear, op, whole)


def _may_be(pattern: Term, factor: Term) -> bool:
    """False when a pattern that takes one factor cannot take this one."""
    op = pattern.op
    return op is factor.op or op in _OPEN or is_negated(pattern)


_OPEN = (ops.SYM, ops.MEMBER, ops.INT, ops.ONES)
"""What matches terms of another kind than its own."""


def _width(pattern: Term, b: Bindings, op: Op) -> int | None:
    """How many factors a pattern takes; None where that is open."""
    if is_variable(pattern):
        known = b.get(pattern.attr)
        return None if known is None else len(known.args) if known.op is op else 1
    return None if _is_body(pattern) else 1


def _match_inside(
    patterns: tuple[Term, ...], subjects: tuple[Term, ...], linear: bool, op: Op
) -> Iterator[tuple[Bindings, int, int]]:
    """Match a run anywhere inside; yields the bindings and the two ends of the run.

    The first pattern that is no variable is found first, since it says what the variables before it are.
    """
    anchor = next((i for i, p in enumerate(patterns) if not is_variable(p) and not _is_body(p)), None)
    if not anchor:
        for start in range(len(subjects) - len(patterns) + 1):
            for b, stop in _match_run(patterns, subjects, start, {}, linear, op):
                yield b, start, stop
        return
    before, after = patterns[:anchor], patterns[anchor + 1 :]
    for at in range(len(before), len(subjects) - len(after)):
        for b in match(patterns[anchor], subjects[at], {}, linear):
            for found, start in _match_back(before, subjects, at, b, linear, op):
                for full, stop in _match_run(after, subjects, at + 1, found, linear, op):
                    yield full, start, stop


def _match_back(
    patterns: tuple[Term, ...], subjects: tuple[Term, ...], end: int, b: Bindings, linear: bool, op: Op
) -> Iterator[tuple[Bindings, int]]:
    """Match variables with the runs that end at ``end``; yields where they begin."""
    if not patterns:
        yield b, end
        return
    last, rest = patterns[-1], patterns[:-1]
    known = b.get(last.attr) if is_variable(last) else None
    if known is not None:
        parts = known.args if known.op is op else (known,)
        if subjects[max(0, end - len(parts)) : end] == parts:
            yield from _match_back(rest, subjects, end - len(parts), b, linear, op)
        return
    combine = _COMBINE[op]
    for length in range(1, end - len(rest) + 1):
        piece = subjects[end - 1] if length == 1 else combine(*subjects[end - length : end])
        for found in match(last, piece, b, linear):
            yield from _match_back(rest, subjects, end - length, found, linear, op)


def _match_some(
    patterns: tuple[Term, ...], subjects: list[Term], b: Bindings, linear: bool, op: Op, exact: bool
) -> Iterator[tuple[Bindings, list[Term]]]:
    """Match operands of a commutative operation in any order; yields what is left over."""
    if not patterns:
        yield b, subjects
        return
    tick()
    # the operands that are no variables first, then bound variables, then the others
    order = sorted(patterns, key=lambda p: 2 if _is_body(p) else is_variable(p) and p.attr not in b)
    first = order[0]
    rest = tuple(order[1:])
    if exact and not rest and (is_variable(first) or _is_body(first)) and len(subjects) > 1:
        for found in match(first, _COMBINE[op](*subjects), b, linear):
            yield found, []
        return
    for i, subject in enumerate(subjects):
        for found in match(first, subject, b, linear):
            yield from _match_some(rest, subjects[:i] + subjects[i + 1 :], found, linear, op, exact)


_COMBINE: dict[Op, Callable[..., Term]] = {
    ops.MUL: build.mul,
    ops.KRON: build.kron,
    ops.ADD: build.add,
    ops.TIMES: build.times,
    ops.HAD: build.had,
    ops.BLOCK: build.add,
}


def match_root(pattern: Term, subject: Term, linear: bool = False) -> Iterator[tuple[Bindings, Callable[[Term], Term]]]:
    """Matches of a rule's left side at the root of a term.

    A flat product or sum may hold more operands than the pattern; the second result puts the
    replacement back among them.
    """
    op = pattern.op
    if op is not subject.op:
        return
    if op is ops.MUL or op is ops.KRON:
        args = subject.args
        combine = _COMBINE[op]
        for b, start, stop in _match_inside(pattern.args, args, linear, op):
            if _settled(b):
                yield b, _surround(combine, args[:start], args[stop:])
        return
    if op in FLAT and op.commutative:
        combine = _COMBINE[op]
        for b, rest in _match_some(pattern.args, list(subject.args), {}, linear, op, exact=False):
            if _settled(b):
                yield b, _surround(combine, (), tuple(rest))
        return
    for b in match(pattern, subject, {}, linear):
        if _settled(b):
            yield b, _itself


def _itself(term: Term) -> Term:
    return term


def _surround(
    combine: Callable[..., Term], before: tuple[Term, ...], after: tuple[Term, ...]
) -> Callable[[Term], Term]:
    if not before and not after:
        return _itself
    return lambda term: combine(*before, term, *after)


def _settled(b: Bindings) -> bool:
    """All polynomial sizes that waited for their names are right."""
    return all(instantiate_dim(pattern, b) is subject for pattern, subject in b.get(_POLYNOMIALS, ()))


def instantiate(pattern: Term, b: Bindings) -> Term:
    """The pattern with its variables replaced by what they are bound to."""
    op = pattern.op
    if op is ops.SYM:
        found = b.get(pattern.attr)
        return found if found is not None else pattern
    if _is_body(pattern):
        at = instantiate_dim(pattern.attr.at, b)
        index, bound = b[pattern.attr.family]
        body: Term = bound
        if at is None:  # a guard speaks of e[i] for any i of the range
            return body
        return body if dim(index) is at else substitute_indices(body, {index: at})
    if op.binder:
        index = pattern.attr.index
        known = b.get(index)
        lo, hi = instantiate_dim(index.lo, b), instantiate_dim(index.hi, b)
        assert lo is not None and hi is not None
        level = known.atom.level if known is not None else _free_level(b)
        new = Index(level, lo, hi, pattern.attr.step)
        inside = instantiate(pattern.args[0], {**b, index: dim(new)})
        return build.binder(op, Range(new, pattern.attr.step), inside)
    args = tuple(instantiate(a, b) for a in pattern.args)
    if op is ops.DIFF and "diff" in b:
        differential: Term = b["diff"](args[0])
        return differential
    return build.with_attr(pattern, args, _instantiate_attr(pattern.attr, b))


def _free_level(b: Bindings) -> int:
    """A level above all indices that occur in what is bound, so that a new index captures nothing."""
    level = 0
    for value in b.values():
        part = value[1] if type(value) is tuple and len(value) == 2 else value
        if isinstance(part, Term):
            level = max(level, part.height)
        if isinstance(part, Term | Dim):
            level = max([level, *(index.level for index in part.indices)])
    return level + 1


def _instantiate_attr(attr: Any, b: Bindings) -> Any:
    if isinstance(attr, Unknown) and attr.role == "pattern":
        base: Unknown | str = b[("function", attr.name)]
        return base if isinstance(base, str) else Unknown(base.name, base.order + attr.order, base.role)
    if isinstance(attr, Dim):
        return _known(attr, b)
    if isinstance(attr, Atom):
        return _known(dim(attr), b)
    if type(attr) is tuple:
        return tuple(_known(part, b) if isinstance(part, Dim) else part for part in attr)
    return attr


def _known(pattern: Dim, b: Bindings) -> Dim:
    value = instantiate_dim(pattern, b)
    if value is None:
        raise KeyError(f"the size {pattern} of a rule is unbound")
    return value
