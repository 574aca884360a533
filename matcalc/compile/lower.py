"""From terms to what is computed: the passes that every backend shares.

1. :mod:`.stack`: sums over samples become products of stacked arrays.
2. :mod:`.kronecker`: sums and products of Kronecker products and commutation matrices, as one sum of pairs.
3. The walk here, from the used to the users: each term in primitives that cost what a skilled hand pays.
   Products (:mod:`.products`) get an order, diagonal matrices scale rows, inverses are solved with.

What a primitive means is an ordinary term (:mod:`.primitives`); :meth:`Lowered.meaning` tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from ..rewriting.facts import Facts
from ..rewriting.loader import load
from ..terms import build, ops
from ..terms.dims import ONE
from ..terms.leaves import ONE_NUM
from ..terms.ops import Op
from ..terms.rebuild import with_args
from ..terms.term import Term, make
from ..terms.walk import postorder
from . import primitives as p
from .kronecker import as_kronecker
from .products import Products
from .stack import stacked
from .totals import Totals

Known = Callable[[Term, str], bool]
"""Whether a fact (``posdef``, ``nonneg``) is known of a term."""


def declared(term: Term, fact: str) -> bool:
    """Whether a fact follows from declarations alone."""
    return _facts().has(term, fact)


@cache
def _facts() -> Facts:
    file = load("facts").file
    return Facts(file.facts, file.implications)


@dataclass
class Lowered:
    """The roots in primitives, and what the parts mean."""

    roots: list[Term]
    meanings: dict[Term, Term]

    def meaning(self, root: Term) -> Term:
        """The ordinary term that a part stands for."""
        return meaning(root, self.meanings)


def meaning(root: Term, known: dict[Term, Term]) -> Term:
    """The ordinary term that a lowered term stands for."""
    if root in known:
        return known[root]
    for term in postorder(root, needed=lambda t: () if t in known else t.args):
        if term not in known:
            args = tuple(known[a] for a in term.args)
            found = p.MEANING.get(term.op)
            if found is not None:
                known[term] = found(args, term.attr)
            else:
                known[term] = term if args == term.args else with_args(term, args)
    return known[root]


def lowered(roots: Sequence[Term], known: Known) -> Lowered:
    """The roots in primitives."""
    plain = [as_kronecker(root) for root in stacked(roots)]
    work = Lowering(plain, known)
    return Lowered([work.made[root] for root in plain], work.meanings)


class Lowering:
    """The walk from the used to the users."""

    def __init__(self, roots: Sequence[Term], known: Known) -> None:
        self.known = known
        self.made: dict[Term, Term] = {}
        self.meanings: dict[Term, Term] = {}
        order = postorder(*roots)
        self.bare = _bare_inverses(order, roots)
        self.inverses = {t for t in order if t.op is ops.INV}
        self.flips = _flips(order)
        self.flipped: set[Term] = set()
        """Arguments of the logistic function, lowered, of which the negatives are used instead."""
        self.negatives = _negatives(order)
        self.present = set(order)
        self.rectified: set[Term] = set()
        """The positive parts that are computed, lowered."""
        self.users = _users(order, roots)
        self.products = Products(self)
        self.totals = Totals(self)
        for term in order:
            self._add(term)

    def _add(self, term: Term) -> None:
        found = self._lower(term)
        self.made[term] = found
        self.meanings.setdefault(found, meaning(term, self.meanings))

    def low(self, root: Term) -> Term:
        """An ordinary term, lowered."""
        if root not in self.made:
            for term in postorder(root, needed=lambda t: () if t in self.made else t.args):
                if term not in self.made:
                    self._add(term)
        return self.made[root]

    def fact(self, term: Term, fact: str) -> bool:
        """True when a fact is known of what a term means."""
        return self.known(meaning(term, self.meanings), fact)

    def _lower(self, term: Term) -> Term:
        args = tuple(self.made[a] for a in term.args)
        handler = HANDLERS.get(term.op)
        if handler is not None:
            return handler(self, term, args)
        if args == term.args:
            return term
        return with_args(term, args) if not term.op.binder else make(term.op, args, term.attr, term.rows, term.cols)

    # ------------------------------------------------------------ sums

    def add(self, parts: Sequence[Term]) -> Term:
        """A sum of lowered terms: multiples of the identity and diagonal matrices are added to the diagonal."""
        total = build.add(*parts)
        if total.op is not ops.ADD or total.is_scalar or total.cols is ONE or total.rows is ONE:
            return self._broadcast_sum(total)
        diagonals: list[Term] = []
        rest: list[Term] = []
        for part in total.args:
            diagonal = _diagonal(part)
            if diagonal is None:
                rest.append(part)
            else:
                diagonals.append(diagonal)
        if not diagonals or not rest:
            return self._broadcast_sum(total)
        wide = next((d for d in diagonals if not d.is_scalar), None)
        if wide is not None:
            diagonals = [d if not d.is_scalar else build.scale(d, build.ones(wide.rows)) for d in diagonals]
        return p.apply(p.ON_DIAGONAL, self._broadcast_sum(build.add(*rest)), build.add(*diagonals))

    def _broadcast_sum(self, total: Term) -> Term:
        """Rows or columns that are all the same are broadcast beside a full operand."""
        if total.op is not ops.ADD or total.is_scalar:
            return total
        parts = [self._repeated(part) for part in total.args]
        if all(part.op in (p.EVERY_ROW, p.EVERY_COLUMN) or _is_number(part) for part in parts):
            return total
        return build.add(*parts)

    def _repeated(self, part: Term) -> Term:
        if part.op is ops.SCALE:
            inside = self._repeated(part.args[1])
            if inside.op in (p.EVERY_ROW, p.EVERY_COLUMN):
                return p.apply(inside.op, build.smul(part.args[0], inside.args[0]), attr=inside.attr)
            return part
        if part.op is p.MATMUL and part.args[0].cols is ONE:
            column, row = part.args
            if column.op is ops.ONES:
                return p.apply(p.EVERY_ROW, self.transposed(row), attr=column.rows)
            if row.op is ops.ONES:
                return p.apply(p.EVERY_COLUMN, column, attr=row.cols)
        return part

    # ------------------------------------------------------------ entry by entry

    def had(self, factors: Sequence[Term]) -> Term:
        """A product entry by entry."""
        found = build.had(*factors)
        if found.op is ops.SCALE:
            return build.scale(found.args[0], self.had([found.args[1]]))
        if found.op is not ops.HAD:
            return found
        parts = [self._repeated(part) for part in found.args]
        if all(part.op in (p.EVERY_ROW, p.EVERY_COLUMN) for part in parts):
            return found
        steps = [part for part in parts if part.op is ops.FUN and part.attr == "step"]
        if len(steps) < len(parts):
            found_positive = dict.fromkeys(map(self.positive, steps))  # once each: it is 0 or 1
            parts = [*(part for part in parts if part not in steps), *found_positive]
        return build.had(*parts)

    def positive(self, step: Term) -> Term:
        """Where something is positive: there its positive part is, too, if that is what is kept."""
        positive_part = build.fun("relu", step.args[0])
        return p.apply(p.POSITIVE, positive_part if positive_part in self.rectified else step.args[0])

    # ------------------------------------------------------------ exponentials of rows

    def exponentials(self, argument: Term) -> tuple[Term, Term, Term]:
        """The largest entry of a vector (of each row of a matrix), exp(x - largest), and the sum of that."""
        peak = p.apply(p.PEAK, argument)
        if argument.cols is ONE:
            powers = build.fun("exp", build.sub(argument, build.scale(peak, build.ones(argument.rows))))
            return peak, powers, build.total(powers)
        same = argument.args if argument.op is ops.ADD else (argument,)
        if all(_is_number(part) or part.op is ops.ZEROS for part in same):  # nothing is left to be broadcast to
            powers = build.ones(*argument.shape)
            return peak, powers, build.smul(build.integer(argument.cols), build.ones(argument.rows))
        shifted = build.sub(argument, p.apply(p.EVERY_COLUMN, peak, attr=argument.cols))
        powers = build.fun("exp", shifted)
        return peak, powers, p.apply(p.ROWSUMS, powers)

    def logsumexp(self, argument: Term) -> Term:
        """log(sum(exp(x))) of a vector, or of each row."""
        if argument.rows is ONE:
            return self.logsumexp(build.transpose(argument))
        peak, _, sums = self.exponentials(argument)
        return build.add(peak, build.fun("log", sums))

    def softmax(self, argument: Term) -> Term:
        """exp(x)/sum(exp(x)) of a vector, or of each row."""
        if argument.rows is ONE:
            return build.transpose(self.softmax(build.transpose(argument)))
        _, powers, sums = self.exponentials(argument)
        parts = build.power_of(sums, build.MINUS_ONE_NUM)
        return build.scale(parts, powers) if argument.cols is ONE else p.apply(p.ROWS, parts, powers)

    def transposed(self, term: Term) -> Term:
        """The transpose; of a product with a transpose in it, as a product."""
        if term.op is p.MATMUL and any(a.op is ops.TRANSPOSE for a in term.args):
            left, right = term.args
            if build.transpose(left) is right:
                return term
            if ONE not in (*left.shape, *right.shape):
                return p.apply(p.MATMUL, build.transpose(right), build.transpose(left))
        if term.op is ops.SCALE:
            return build.scale(term.args[0], self.transposed(term.args[1]))
        return build.transpose(term)

    # ------------------------------------------------------------ the logistic function

    def capped(self, argument: Term) -> tuple[Term, Term]:
        """e = exp(min(x, 700)) and 1 + e."""
        e = p.apply(p.CAPPED_EXP, argument)
        return e, build.add(e, build.ones(e.rows, e.cols))

    def sigmoid(self, argument: Term) -> Term:
        """e/(1 + e) with e = exp(x); where others use exp(-x), 1/(1 + exp(-x))."""
        if argument.is_scalar:
            return build.fun("sigmoid", argument)
        if argument in self.flipped:
            _, u = self.capped(build.neg(argument))
            return build.power_of(u, build.MINUS_ONE_NUM)
        e, u = self.capped(argument)
        return build.had(e, build.power_of(u, build.MINUS_ONE_NUM))

    def sum_softplus(self, argument: Term) -> Term:
        """The sum of log(1 + exp(x))."""
        if argument in self.flipped:
            return build.add(self.sum_softplus(build.neg(argument)), self.totals.total(argument))
        e, u = self.capped(argument)
        return build.add(p.apply(p.EXCESS, argument), p.apply(p.SUM_LOG1P, e, u))


def _is_number(term: Term) -> bool:
    """True for a multiple of ones, which beside other addends is written as a number."""
    return (term.args[1] if term.op is ops.SCALE else term).op is ops.ONES


def _diagonal(part: Term) -> Term | None:
    """The diagonal of a multiple of the identity, a number, or of a diagonal matrix, a vector."""
    scalar, inside = (part.args[0], part.args[1]) if part.op is ops.SCALE else (ONE_NUM, part)
    if inside.op is ops.EYE:
        return scalar
    return build.smul(scalar, inside.args[0]) if inside.op is ops.DIAG else None


def _bare_inverses(order: Sequence[Term], roots: Sequence[Term]) -> set[Term]:
    """The inverses that are needed as matrices, not only as factors of products."""
    found = {root for root in roots if root.op is ops.INV}
    for term in order:
        if term.op in (ops.MUL, ops.DET, ops.LOGDET):
            continue
        for arg in term.args:
            inside = arg.args[0] if arg.op is ops.TRANSPOSE else arg
            if inside.op is ops.INV and not (term.op is ops.TRANSPOSE and arg is inside):
                found.add(inside)
    found |= {r.args[0] for r in roots if r.op is ops.TRANSPOSE and r.args[0].op is ops.INV}
    return found


def _flips(order: Sequence[Term]) -> set[Term]:
    """Of arguments x and -x of the logistic functions those that give way: those that no softplus has."""
    found: dict[Term, bool] = {}
    for term in order:
        if term.op is ops.FUN and term.attr in ("sigmoid", "softplus"):
            found[term.args[0]] = found.get(term.args[0], False) or term.attr == "softplus"
    flips: set[Term] = set()
    for argument, kept in found.items():
        negative = build.neg(argument)
        if negative in found and negative not in flips and not kept:
            flips.add(argument)
    return flips


def _negatives(order: Sequence[Term]) -> set[Term]:
    """Of sums that occur with both signs those that are written as the negative of the other."""
    sums = {t for t in order if t.op is ops.ADD and not t.is_scalar}
    found: set[Term] = set()
    for term in sums:
        negative = build.add(*map(build.neg, term.args))
        if negative not in sums or negative in found:
            continue
        if (_computed(term), term.key) < (_computed(negative), negative.key):
            found.add(term)
    return found


def _computed(total: Term) -> bool:
    """True when something computed, not given, has a positive sign in a sum."""
    return any(part.args and part.op not in (ops.SCALE, ops.TRANSPOSE) for part in total.args)


def _users(order: Sequence[Term], roots: Sequence[Term]) -> dict[Term, list[Term]]:
    users: dict[Term, list[Term]] = {root: [root] for root in roots}
    for term in order:
        for arg in term.args:
            users.setdefault(arg, []).append(term)
    return users


Handler = Callable[[Lowering, Term, tuple[Term, ...]], Term]


def _sum(work: Lowering, term: Term, args: tuple[Term, ...]) -> Term:
    if term in work.negatives:
        return build.neg(work.add([build.neg(arg) for arg in args]))
    return work.add(args)


def _function(work: Lowering, term: Term, args: tuple[Term, ...]) -> Term:
    if term.args[0] in work.flips:
        work.flipped.add(args[0])
    if term.attr == "sigmoid":
        return work.sigmoid(args[0])
    if term.attr == "step" and build.fun("relu", term.args[0]) in work.present:
        work.rectified.add(build.fun("relu", args[0]))
    return build.fun(term.attr, args[0])


def _trace(work: Lowering, term: Term, args: tuple[Term, ...]) -> Term:
    """The trace of a product: an inner product of two parts, of such as are computed anyway."""
    product = term.args[0]
    if product.op is not ops.MUL or len(product.args) < 3:
        return work.totals.trace(args[0])
    for turn in range(len(product.args)):
        first, *rest = (*product.args[turn:], *product.args[:turn])
        if build.mul(*rest) in work.present:
            return work.totals.inner(work.low(build.transpose(first)), work.low(build.mul(*rest)))
    return work.totals.trace(args[0])


def _diagonal_of(work: Lowering, _term: Term, args: tuple[Term, ...]) -> Term:
    """The diagonal of a product, without the product."""
    (matrix,) = args
    if matrix.op is p.MATMUL and matrix.args[0].cols is not ONE:
        return p.apply(p.ROWDOTS, matrix.args[0], work.transposed(matrix.args[1]))
    return build.diag(matrix)


def _power(work: Lowering, term: Term, args: tuple[Term, ...]) -> Term:
    base, exponent = args
    if base.op is ops.NORM and exponent.op is ops.NUM and exponent.attr == 2:
        return work.totals.inner(base.args[0], base.args[0])
    return build.power_of(base, exponent)


HANDLERS: Mapping[Op, Handler] = {
    ops.ADD: _sum,
    ops.HAD: lambda w, _t, a: w.had(a),
    ops.SCALE: lambda _w, _t, a: build.smul(a[0], a[1]),
    ops.MUL: lambda w, t, a: w.products.product(t, a),
    ops.TR: _trace,
    ops.LOGSUMEXP: lambda w, _t, a: w.logsumexp(a[0]),
    ops.LOGSUMEXPROWS: lambda w, _t, a: w.logsumexp(a[0]),
    ops.SOFTMAX: lambda w, _t, a: w.softmax(a[0]),
    ops.SOFTMAXROWS: lambda w, _t, a: w.softmax(a[0]),
    ops.TOTAL: lambda w, _t, a: w.totals.total(a[0]),
    ops.INNER: lambda w, _t, a: w.totals.inner(a[0], a[1]),
    ops.DIAGONAL: _diagonal_of,
    ops.POW: _power,
    ops.FUN: _function,
    ops.INV: lambda w, t, _a: w.products.inverse(t),
    ops.DET: lambda w, t, _a: w.products.determinant(t, p.DETERMINANT),
    ops.LOGDET: lambda w, t, _a: w.products.determinant(t, p.LOGDETERMINANT),
    ops.TRANSPOSE: lambda w, _t, a: w.transposed(a[0]),
    p.GROUP: lambda _w, _t, a: a[0],
}
