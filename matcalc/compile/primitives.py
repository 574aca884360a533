"""What generated code does in one step and the language has no operator for.

Each primitive is defined by an ordinary term, its meaning: the text of comments, what is known of it
and its tests come from there.  The passes make primitives out of terms; the tables of code write them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from ..terms import build, ops
from ..terms.dims import ONE, Dim
from ..terms.ops import ANY, Op
from ..terms.rebuild import register
from ..terms.symbols import Family, Symbol
from ..terms.term import Term, make

Meaning = Callable[[tuple[Term, ...], Any], Term]
MEANING: dict[Op, Meaning] = {}
"""The ordinary term that a primitive stands for, of the meanings of its arguments."""
_SHAPE: dict[Op, Callable[[Sequence[Term], Any], tuple[Dim, Dim]]] = {}


def _primitive(name: str, arity: int, shape: Callable[..., tuple[Dim, Dim]], meaning: Meaning) -> Op:
    op = Op(name, arity, 7)
    MEANING[op], _SHAPE[op] = meaning, shape
    register({op: lambda args, attr: make(op, args, attr, *shape(args, attr))})
    return op


def _like(at: int) -> Callable[[Sequence[Term], Any], tuple[Dim, Dim]]:
    return lambda args, _attr: args[at].shape


def apply(op: Op, *args: Term, attr: Any = None) -> Term:
    """A primitive applied to terms."""
    return make(op, args, attr, *_SHAPE[op](args, attr))


def _stacked(_args: Sequence[Term], attr: tuple[Family, Dim, Dim]) -> tuple[Dim, Dim]:
    family, lo, hi = attr
    return hi - lo + 1, family.rows * family.cols


def _stack_meaning(_args: Sequence[Term], attr: tuple[Family, Dim, Dim]) -> Term:
    family, lo, hi = attr
    whole = lo is family.index.lo and hi is family.index.hi
    name = family.name if whole else f"{family.name}[{lo}..{hi}]"
    return build.sym(Symbol(name, hi - lo + 1, family.rows * family.cols))


def _solve_meaning(args: Sequence[Term], transposed: Any) -> Term:
    inverse = build.inv(args[0])
    return build.mul(build.transpose(inverse) if transposed else inverse, args[1])


MATMUL = _primitive("matmul", 2, lambda a, _: (a[0].rows, a[1].cols), lambda a, _: build.mul(*a))
"""The product of two factors."""
GROUP = _primitive("group", 1, _like(0), lambda a, _: a[0])
"""A product that stays together: a sum over samples, whatever stands beside it."""
PRODUCT = _primitive("product", ANY, lambda a, _: (a[0].rows, a[-1].cols), lambda a, _: build.mul(*a))
"""A product whose cheapest order depends on the sizes, and is found when they are known."""
TRIPLE = _primitive("triple", 3, lambda a, _: (a[0].rows, a[-1].cols), lambda a, _: build.mul(*a))
"""The same of three factors."""
ROWS = _primitive("rows", 2, _like(1), lambda a, _: build.mul(build.diag(a[0]), a[1]))
"""Row i of a matrix times entry i of a vector."""
COLS = _primitive("cols", 2, _like(0), lambda a, _: build.mul(a[0], build.diag(a[1])))
"""Column j of a matrix times entry j of a vector."""
ROWSUMS = _primitive("rowsums", 1, lambda a, _: (a[0].rows, ONE), lambda a, _: build.mul(a[0], build.ones(a[0].cols)))
COLSUMS = _primitive(
    "colsums", 1, lambda a, _: (a[0].cols, ONE), lambda a, _: build.mul(build.transpose(a[0]), build.ones(a[0].rows))
)
ROWDOTS = _primitive(
    "rowdots", 2, lambda a, _: (a[0].rows, ONE), lambda a, _: build.mul(build.had(*a), build.ones(a[0].cols))
)
"""The inner products of the rows of two matrices."""
EVERY_ROW = _primitive(
    "every_row", 1, lambda a, m: (m, a[0].rows), lambda a, m: build.mul(build.ones(m), build.transpose(a[0]))
)
"""The matrix whose rows are all a vector: an operand that is broadcast, inside a sum or a product entry by entry."""
EVERY_COLUMN = _primitive(
    "every_column", 1, lambda a, n: (a[0].rows, n), lambda a, n: build.mul(a[0], build.ones(1, n))
)
"""The matrix whose columns are all a vector."""
ON_DIAGONAL = _primitive(
    "on_diagonal",
    2,
    _like(0),
    lambda a, _: build.add(a[0], build.scale(a[1], build.eye(a[0].rows)) if a[1].is_scalar else build.diag(a[1])),
)
"""A matrix, and a number or a vector that is added to its diagonal."""

CHOLESKY = _primitive("cholesky", 1, _like(0), lambda a, _: a[0])
LU = _primitive("lu", 1, _like(0), lambda a, _: a[0])
"""The factors of a matrix, as one value; they stand for the matrix."""
SOLVE = _primitive("solve", 2, _like(1), _solve_meaning)
"""The inverse of a factored matrix (its transpose where the attribute says so) times a matrix, by substitution."""
HALF_SOLVE = _primitive("half_solve", 2, _like(1), lambda a, _: build.mul(build.inv(build.sym(_root(a[0]))), a[1]))
"""The inverse of the lower Cholesky factor times a matrix."""
INVERSE = _primitive("inverse", 1, _like(0), lambda a, _: build.inv(a[0]))
LOGDETERMINANT = _primitive("logdeterminant", 1, lambda _a, _: (ONE, ONE), lambda a, _: build.logdet(a[0]))
DETERMINANT = _primitive("determinant", 1, lambda _a, _: (ONE, ONE), lambda a, _: build.det(a[0]))

POSITIVE = _primitive("positive", 1, _like(0), lambda a, _: build.fun("step", a[0]))
"""Where the entries are positive: truth values, as a factor of a product entry by entry."""
PEAK = _primitive(
    "peak", 1, lambda a, _: (ONE if a[0].cols is ONE else a[0].rows, ONE), lambda a, _: build.sym(_peak(a[0]))
)
"""The largest entry of a vector, or of each row of a matrix."""
CAPPED_EXP = _primitive("capped_exp", 1, _like(0), lambda a, _: build.fun("exp", a[0]))
"""exp(min(x, 700)): then e/(1 + e) and 1/(1 + e) are the sigmoid, and log(1 + e) the softplus of a smaller x."""
EXCESS = _primitive("excess", 1, lambda _a, _: (ONE, ONE), lambda a, _: build.total(build.fun("relu", _beyond(a[0]))))
"""What the cap of :data:`CAPPED_EXP` takes off, all entries together."""
SUM_LOG1P = _primitive("sum_log1p", 2, lambda _a, _: (ONE, ONE), lambda a, _: build.total(build.fun("log", a[1])))
"""The sum of log(1 + e), of e and 1 + e."""

STACK = _primitive("stack", 0, _stacked, _stack_meaning)
"""Members lo to hi of a family of vectors or scalars, as the rows of a matrix or as a vector."""
STACKSUM = _primitive(
    "stacksum", 0, lambda _a, attr: (attr[0].rows, attr[0].cols), lambda _a, attr: build.sym(_summed(attr[0]))
)
"""The sum of all members of a family of matrices."""
WEIGHTED = _primitive(
    "weighted", 1, lambda _a, attr: (attr[0].rows, attr[0].cols), lambda _a, attr: build.sym(_summed(attr[0], "s"))
)
"""The sum of the members of a family of matrices, each times an entry of a vector."""
COUNTING = _primitive(
    "counting", 0, lambda _a, attr: (attr[1] - attr[0] + 1, ONE), lambda _a, attr: build.sym(_counted(*attr))
)
"""The vector of the integers lo to hi."""


class Pair(NamedTuple):
    """One addend of a sum of Kronecker products: the places of its factors among the arguments; -1: an identity."""

    left: int
    right: int


class Kronecker(NamedTuple):
    """The addends, the sizes m×p and n×q of the left and right factors, whether K(q,p) stands on the right."""

    pairs: tuple[Pair, ...]
    left: tuple[Dim, Dim]
    right: tuple[Dim, Dim]
    crossed: bool


def _kronecker_shape(_args: Sequence[Term], attr: Kronecker) -> tuple[Dim, Dim]:
    return attr.left[0] * attr.right[0], attr.left[1] * attr.right[1]


def _kronecker_meaning(args: Sequence[Term], attr: Kronecker) -> Term:
    def factor(at: int, size: Dim) -> Term:
        return build.eye(size) if at < 0 else args[at]

    products = [build.kron(factor(p.left, attr.left[0]), factor(p.right, attr.right[0])) for p in attr.pairs]
    total = build.add(*products)
    return build.mul(total, build.commutation(attr.left[1], attr.right[1])) if attr.crossed else total


KRONECKER = _primitive("kronecker", ANY, _kronecker_shape, _kronecker_meaning)
"""A sum of Kronecker products, perhaps with its columns in the order of the transpose."""


def _sandwich_shape(_args: Sequence[Term], attr: tuple[Dim, Dim, Dim, Dim]) -> tuple[Dim, Dim]:
    a, m, b, n = attr
    return a * m, b * n


def _opaque(args: Sequence[Term], _attr: Any) -> tuple[Dim, Dim]:
    return args[0].shape if args[0].rows is not ONE else args[-1].shape


def _each_meaning(args: tuple[Term, ...], _attr: Any) -> Term:
    return build.sym(Symbol("·", *_opaque(args, None)))


EACH_SAME = _primitive("each_same", 1, _opaque, _each_meaning)
"""One matrix for each sample: an array of three axes.  Here the same for all."""
EACH_ROWS = _primitive("each_rows", 2, _opaque, _each_meaning)
EACH_COLS = _primitive("each_cols", 2, _opaque, _each_meaning)
EACH_LEFT = _primitive("each_left", 2, _opaque, _each_meaning)
EACH_RIGHT = _primitive("each_right", 2, _opaque, _each_meaning)
EACH_TIMES = _primitive("each_times", 2, _opaque, _each_meaning)
"""The product of two for each sample; the first is transposed where the attribute says so."""
EACH_WEIGHTED = _primitive("each_weighted", 3, _opaque, _each_meaning)
"""A*diag(d[i])*B for each sample i, of two matrices and the rows of D."""
EACH_PLUS = _primitive("each_plus", 2, _opaque, _each_meaning)
EACH_DIAGONAL = _primitive("each_diagonal", 2, _opaque, _each_meaning)
EACH_SCALED = _primitive("each_scaled", 2, _opaque, _each_meaning)
SANDWICH = _primitive(
    "sandwich", 3, _sandwich_shape, lambda _a, attr: build.sym(Symbol("·", *_sandwich_shape((), attr)))
)
"""H[(a,p),(b,q)] = sum(i, X[i,p]*M[i,a,b]*Z[i,q]) of two matrices X and Z and a matrix M[i] for each sample."""


SPREAD = _primitive("spread", 1, lambda _a, attr: attr, lambda _a, attr: build.sym(Symbol("·", *attr)))
"""H[(a,i),(b,i)] = M[i,a,b] of a matrix M[i] for each sample, else 0: the matrix that acts on each sample."""

ACROSS = _primitive("across", 3, lambda _a, attr: attr[:2], lambda _a, attr: build.sym(Symbol("·", *attr[:2])))
"""H[(a,i),(j,b)] = S[a,j]*D[i,j]*T[i,b] of three matrices: kron(S,I)*diag(vec(D))*kron(I,T); or columns (b,j)."""


def _root(term: Term) -> Symbol:
    return Symbol("L", term.rows, term.cols)


def _summed(family: Family, weight: str = "") -> Symbol:
    inside = f"{weight}[i]*{family.name}[i]" if weight else f"{family.name}[i]"
    return Symbol(f"sum(i, {inside})", family.rows, family.cols)


def _counted(lo: Dim, hi: Dim) -> Symbol:
    return Symbol(f"({lo}..{hi})", hi - lo + 1, ONE)


def _peak(term: Term) -> Symbol:
    of = f"{term.attr.name}" if term.op is ops.SYM else "·"
    return Symbol(f"max({of})", ONE if term.cols is ONE else term.rows, ONE)


def _beyond(term: Term) -> Term:
    return build.sub(term, build.mul(build.num(700), build.ones(term.rows, term.cols)))


FRESH = frozenset(
    {ops.ADD, ops.HAD, ops.SCALE, ops.FUN, ops.POW, MATMUL, PRODUCT, TRIPLE, ROWS, COLS, ROWSUMS, COLSUMS, ROWDOTS}
    | {PEAK, ON_DIAGONAL, SOLVE, HALF_SOLVE, INVERSE, CAPPED_EXP, KRONECKER, STACKSUM, WEIGHTED, COUNTING, SANDWICH}
    | {ops.KHATRIRAO, SPREAD, ACROSS}
)
"""What is an array of its own: nobody else sees it change."""
EACH_FRESH = frozenset({EACH_ROWS, EACH_COLS, EACH_LEFT, EACH_RIGHT, EACH_TIMES, EACH_PLUS, EACH_DIAGONAL, EACH_SCALED})
EACH_FRESH |= {EACH_WEIGHTED}
"""The same of matrices for each sample."""
