"""What a term is for all values of an index at once: a scalar a vector, a column the rows of a matrix."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..terms import build, ops
from ..terms.dims import ONE, Dim, Index, Name, dim, known_nonnegative
from ..terms.leaves import member, sym
from ..terms.ops import Op
from ..terms.symbols import Family, Loop, Range, Symbol
from ..terms.term import Term
from ..terms.walk import postorder, replace
from .graph import places
from .primitives import COUNTING, STACK, apply

_ENTRYWISE = frozenset({ops.FUN, ops.POLYGAMMA})


class NotStacked(Exception):
    """Something in a sum has no form as a stacked array."""


class Members:
    """Terms that depend on one index, for all values of the index at once."""

    def __init__(self, over: Range) -> None:
        self.index: Index = over.index
        self.count: Dim = over.index.hi - over.index.lo + 1
        if over.step != 1:
            raise NotStacked
        self.made: dict[Term, Term] = {}
        self.states: dict[Family, Term] = {}
        """What stands for the previous state in the steps of a recurrence, and that for all values of the index."""

    def each(self, root: Term) -> Term:
        """A scalar as the vector of its values, a column as the matrix whose rows are its values."""
        stack = [root]
        while stack:
            term = stack[-1]
            if term in self.made:
                stack.pop()
                continue
            needed = [a for a in self._needed(term) if a not in self.made]
            if needed:
                stack += needed
                continue
            self.made[term] = self._each(term)
            stack.pop()
        return self.made[root]

    def _needed(self, term: Term) -> Sequence[Term]:
        """The parts of which the values are needed first."""
        if self.index not in term.indices:
            return ()
        if term.op is ops.VEC and not (term.args[0].cols is ONE or term.args[0].rows is ONE):
            return ()
        if term.op is ops.MUL:
            varying = [f for f in term.args if self.index in f.indices]
            return [f if f.cols is ONE else build.transpose(f) for f in varying if f.cols is ONE or f.rows is ONE]
        return term.args[:1] if term.op is ops.STATE else term.args

    def _each(self, term: Term) -> Term:
        if not (term.cols is ONE or term.rows is ONE) or (term.op.binder and term.op not in (ops.SUM, ops.STATE)):
            raise NotStacked
        if self.index not in term.indices:
            return self._repeated(term)
        found = _EACH.get(term.op)
        if found is not None:
            return found(self, term)
        args = [self.made[a] for a in term.args]
        if term.op in _ENTRYWISE:
            return build.with_args(term, tuple(args))
        raise NotStacked

    def _repeated(self, term: Term) -> Term:
        """What is the same for all members."""
        self._constant(term)
        ones = build.ones(self.count)
        if term.is_scalar:
            return build.scale(term, ones)
        if term.op is ops.ONES:
            return build.ones(self.count, term.rows if term.cols is ONE else term.cols)
        return build.mul(ones, term if term.rows is ONE else build.transpose(term))

    def _constant(self, term: Term) -> None:
        """What is looked up in a family may not exist when the sum is empty."""
        for part in postorder(term):
            if part.op is ops.PROD or (part.op is ops.STATE and not self._reached(part)):
                raise NotStacked
            if part.op is ops.MEMBER and self._of_steps(part):
                continue
            if part.op in (ops.MEMBER, ops.ENTRY) and not (_exists(part) or self._surely(part)):
                raise NotStacked

    def _of_steps(self, part: Term) -> bool:
        """True for what the steps of a recurrence look up, which all values of the index take together."""
        index = part.attr.family.index
        ends = {a for end in (self.index.lo, self.index.hi) for a in end.atoms() if isinstance(a, Name)}
        looked_up = {a for d in (part.attr.at, index.lo, index.hi) for a in d.atoms()}
        return bool(self.states) and not looked_up & ends

    def _reached(self, state: Term) -> bool:
        """True for the state at an index that is an argument, or that sizes which are not those of the sum have."""
        loop: Loop = state.attr
        ends = {a for end in (self.index.lo, self.index.hi) for a in end.atoms()}
        if isinstance(loop.at.atom, Name) and loop.at.atom not in ends:
            return True
        sizes = {a for a in loop.at.atoms() if isinstance(a, Name)} - ends
        return known_nonnegative((loop.at - loop.first) * loop.step, sizes)

    def _surely(self, part: Term) -> bool:
        """True for what is looked up at a place that sizes, which are not those of the sum, have in any case."""
        ends = {a for end in (self.index.lo, self.index.hi) for a in end.atoms()}
        for at, lo, hi in places(part):
            sizes = {a for end in (lo, hi) for a in end.atoms() if isinstance(a, Name)} - ends
            if isinstance(at.atom, Name) and at.atom not in {*ends, *lo.atoms(), *hi.atoms()}:
                continue  # an index that is an argument
            if not (known_nonnegative(at - lo, sizes) and known_nonnegative(hi - at, sizes)):
                return False
        return True

    def _whole(self, term: Term) -> Family:
        """The family of which the sum runs over all members."""
        family: Family = term.attr.family
        index = family.index
        if family.rows.indices or family.cols.indices:
            raise NotStacked
        if term.attr.at is not dim(self.index) or index.lo is not self.index.lo or index.hi is not self.index.hi:
            raise NotStacked
        return family

    def _member(self, term: Term) -> Term:
        family: Family = term.attr.family
        if family in self.states:
            return self.states[family]
        shift = term.attr.at - dim(self.index)
        if shift.constant is None or family.rows.indices or family.cols.indices:
            raise NotStacked
        lo, hi = self.index.lo + shift, self.index.hi + shift
        if lo.indices or hi.indices:
            raise NotStacked
        if not (known_nonnegative(lo - family.index.lo) and known_nonnegative(family.index.hi - hi)):
            raise NotStacked
        return apply(STACK, attr=(family, lo, hi))

    def _integer(self, term: Term) -> Term:
        if term.attr is not self.index or self.index.lo.indices or self.index.hi.indices:
            raise NotStacked
        return apply(COUNTING, attr=(self.index.lo, self.index.hi))

    def _times(self, term: Term) -> Term:
        return build.had(*(self.made[a] for a in term.args))

    def _scale(self, term: Term) -> Term:
        scalar, array = term.args
        if self.index not in scalar.indices:
            return build.smul(scalar, self.made[array])
        return build.mul(build.diag(self.made[scalar]), self.made[array])

    def _power(self, term: Term) -> Term:
        base, exponent = term.args
        if self.index in exponent.indices:
            raise NotStacked
        return build.power_of(self.made[base], exponent)

    def _chain(self, term: Term) -> Term:
        factors = list(term.args)
        cuts = [0, *(k for k in range(1, len(factors)) if factors[k].rows is ONE), len(factors)]
        if len(cuts) > 2:
            raise NotStacked
        if term.rows is ONE and term.cols is ONE:
            return self._scalar(factors)
        if term.rows is ONE:
            factors = [build.transpose(f) for f in reversed(factors)]
        return self._column(factors)

    def _column(self, factors: Sequence[Term]) -> Term:
        """The rows of A*B*x: those of x, times (A*B)'."""
        *matrices, column = factors
        for f in matrices:
            if self.index in f.indices:
                raise NotStacked
            self._constant(f)
        if not matrices:
            return self.each(column)
        if self.index not in column.indices:
            raise NotStacked
        return build.mul(self.each(column), *(build.transpose(f) for f in reversed(matrices)))

    def _scalar(self, factors: Sequence[Term]) -> Term:
        """The values of x'*A*y."""
        row, *middle, column = factors
        left = build.transpose(row)
        if self.index not in left.indices:
            self._constant(left)
            return build.mul(self._column([*middle, column]), left)
        if self.index not in column.indices:
            for f in (*middle, column):
                self._constant(f)
                if self.index in f.indices:
                    raise NotStacked
            return build.mul(self.each(left), build.mul(*middle, column))
        rows = build.had(self.each(left), self._column([*middle, column]))
        return build.mul(rows, build.ones(rows.cols))

    def _vec(self, term: Term) -> Term:
        inside = term.args[0]
        return self.made[inside] if inside in self.made else self._vecs(inside)

    def _vecs(self, matrix: Term) -> Term:
        """The matrix whose rows are the vec's of a matrix that is made of columns times rows."""
        if self.index not in matrix.indices:
            return self._repeated(build.vec(matrix))
        if matrix.op is ops.ADD:
            return build.add(*map(self._vecs, matrix.args))
        if matrix.op is ops.SCALE:
            scalar, inside = matrix.args
            if self.index in scalar.indices:
                return build.mul(build.diag(self.each(scalar)), self._vecs(inside))
            self._constant(scalar)
            return build.smul(scalar, self._vecs(inside))
        cut = next((k for k, f in enumerate(matrix.args) if f.rows is ONE), 0) if matrix.op is ops.MUL else 0
        if cut == 0:
            raise NotStacked
        left, right = build.mul(*matrix.args[:cut]), build.transpose(build.mul(*matrix.args[cut:]))
        return self._pairs(right, left)

    def _pairs(self, a: Term, b: Term) -> Term:
        """The rows of kron(a, b), of two columns."""
        return build.transpose(build.khatrirao(*(build.transpose(self.each(c)) for c in (a, b))))

    def _kron(self, term: Term) -> Term:
        if len(term.args) != 2 or any(a.cols is not ONE for a in term.args):
            raise NotStacked
        return self._pairs(*term.args)

    def _state(self, term: Term) -> Term:
        """A recurrence whose state is a column, as one with a matrix: all columns take each step together."""
        start, body = term.args
        loop: Loop = term.attr
        if self.index in {*loop.at.indices, *loop.first.indices} or loop.slot.cols is not ONE:
            raise NotStacked
        single = Family(loop.slot.name, self.index, loop.slot.rows, ONE, frozenset(), loop.slot.role)
        scalar = loop.slot.rows is ONE
        slot = Symbol(loop.slot.name, self.count, ONE if scalar else loop.slot.rows, frozenset(), loop.slot.role)
        self.states[single] = sym(slot)
        following = self.each(replace(body, {sym(loop.slot): member(single, dim(self.index))}))
        return build.state(Loop(loop.index, loop.step, loop.first, loop.at, slot), self.made[start], following)

    def _sum(self, term: Term) -> Term:
        rows = self.made[term.args[0]]
        return build.mul(rows, build.ones(rows.cols))

    def _norm(self, term: Term) -> Term:
        rows = self.made[term.args[0]]
        squares = build.had(rows, rows)
        return build.fun("sqrt", build.mul(squares, build.ones(rows.cols)))

    def _inner(self, term: Term) -> Term:
        if term.args[0].cols is not ONE:
            raise NotStacked
        rows = build.had(*(self.made[a] for a in term.args))
        return build.mul(rows, build.ones(rows.cols))

    def _entry(self, term: Term) -> Term:
        i, j = term.attr
        if self.index in i.indices or self.index in j.indices:
            raise NotStacked
        rows = self.made[term.args[0]]
        at = i if term.args[0].cols is ONE else j
        return build.submatrix(rows, 1, rows.rows, at, at)

    def _inside(self, body: Term, change: Callable[[Term], Term]) -> Term:
        """A sum over another index, of what becomes of its body."""
        over: Range = body.attr
        if over.step != 1 or self.index in over.index.indices:
            raise NotStacked
        return build.sum_over(over.index, change(body.args[0]))


def _exists(member: Term) -> bool:
    """True for the member at an index that runs through its family: with the index there is the member."""
    if member.op is not ops.MEMBER:
        return False
    at, family = member.attr.at.atom, member.attr.family.index
    return isinstance(at, Index) and at.lo is family.lo and at.hi is family.hi


def _of_rows(make: Callable[[Term], Term]) -> Callable[[Members, Term], Term]:
    return lambda s, term: make(s.made[term.args[0]])


_EACH: dict[Op, Callable[[Members, Term], Term]] = {
    ops.MEMBER: Members._member,
    ops.INT: Members._integer,
    ops.ADD: lambda s, term: build.add(*(s.made[a] for a in term.args)),
    ops.TIMES: Members._times,
    ops.SCALE: Members._scale,
    ops.HAD: Members._times,
    ops.POW: Members._power,
    ops.MUL: Members._chain,
    ops.TRANSPOSE: _of_rows(lambda rows: rows),
    ops.VEC: Members._vec,
    ops.KRON: Members._kron,
    ops.SUM: lambda s, term: s._inside(term, s.made.__getitem__),
    ops.TOTAL: Members._sum,
    ops.NORM: Members._norm,
    ops.INNER: Members._inner,
    ops.ENTRY: Members._entry,
    ops.LOGSUMEXP: _of_rows(build.logsumexp_rows),
    ops.SOFTMAX: _of_rows(build.softmax_rows),
    ops.STATE: Members._state,
}
