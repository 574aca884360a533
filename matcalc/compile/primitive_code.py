"""The expression of each primitive."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..terms import ops
from ..terms.dims import ONE, Dim
from . import primitives as p
from .names import MATRIX, SCALAR
from .pieces import ATOM, POWER, PRODUCT, Code, call, form_of, product_code

if TYPE_CHECKING:
    from .operators import Emit
    from .scopes import Node
    from .writer import Writer


def _matmul(w: Writer, node: Node, args: list[Code]) -> Code:
    left = node.term.args[0]
    if left.cols is ONE and form_of(node.term) == MATRIX:
        return Code(f"{args[0].at(ATOM)}[:, None] * {args[1].at(POWER)}", PRODUCT)
    if left.cols is ONE:
        return product_code(args)
    if w.thin and form_of(node.term) != MATRIX:  # of vectors, dot takes a microsecond less than @
        return Code(f"{args[0].at(ATOM)}.dot({args[1].text})")
    level = PRODUCT if args[0].over is None and "@" in args[0].text else POWER
    return Code(f"{args[0].at(level)} @ {args[1].at(POWER)}", PRODUCT)


def _rows(_w: Writer, node: Node, args: list[Code]) -> Code:
    return product_code([as_column(args[0]), args[1]])


def as_column(code: Code) -> Code:
    """A vector as a matrix of one column, to be broadcast; of a reciprocal the denominator."""
    if code.over is not None and not code.over[0] and len(code.over[1]) == 1 and not code.over[2]:
        below = Code(f"{code.over[1][0]}[:, None]") if code.over[1][0].isidentifier() else None
        if below is not None:
            return Code("", ATOM, ((), (below.text,), False))
    return Code(f"{code.at(ATOM)}[:, None]")


def _peak(_w: Writer, node: Node, args: list[Code]) -> Code:
    axis = "axis=1" if form_of(node.term.args[0]) == MATRIX else ""
    return Code(f"{args[0].at(ATOM)}.max({axis})")


def _positive(_w: Writer, _node: Node, args: list[Code]) -> Code:
    return Code(f"({args[0].text} > 0)")


def _cols(_w: Writer, _node: Node, args: list[Code]) -> Code:
    return product_code([args[1], args[0]])


def _summed(axis: int) -> Emit:
    def emit(_w: Writer, node: Node, args: list[Code]) -> Code:
        if form_of(node.term.args[0]) != MATRIX:
            return args[0]
        return Code(f"{args[0].at(ATOM)}.sum(axis={axis})")

    return emit


def _rowdots(_w: Writer, node: Node, args: list[Code]) -> Code:
    if form_of(node.term.args[0]) != MATRIX:
        return product_code(args)
    return call("np.einsum", '"ij,ij->i"', args[0].text, args[1].text)


def _every_row(_w: Writer, node: Node, args: list[Code]) -> Code:
    return args[0] if form_of(node.term.args[0]) != SCALAR else Code(args[0].text, args[0].level)


def _every_column(_w: Writer, _node: Node, args: list[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}[:, None]")


def _on_diagonal(w: Writer, node: Node, args: list[Code]) -> Code:
    own = node.term.args[0].op in p.FRESH and not w.is_named(node.args[0])
    whole = args[0].text if own else f"{args[0].at(ATOM)}.copy()"
    return call(w.helper("_add_diagonal"), whole, args[1].text)


def _helped(name: str, *needed: str) -> Emit:
    def emit(w: Writer, _node: Node, args: list[Code]) -> Code:
        for other in (*needed, name):
            w.helper(other)
        return call(name, *(a.text for a in args))

    return emit


def _by_factors(name: str) -> Emit:
    """A function of the factors of a matrix, of which there are two kinds."""

    def emit(w: Writer, node: Node, args: list[Code]) -> Code:
        kind = "cholesky" if node.term.args[0].op is p.CHOLESKY else "lu"
        function = w.helper(f"_{kind}_{name}")
        w.helper("lapack")
        texts = [a.text for a in args]
        if node.term.op is p.SOLVE and node.term.attr:
            texts.append("transposed=True")
        return call(function, *texts)

    return emit


def _excess(w: Writer, _node: Node, args: list[Code]) -> Code:
    return call(w.helper("_excess"), args[0].text)


def _stack(w: Writer, node: Node, _args: list[Code]) -> Code:
    family, lo, hi = node.term.attr
    name = w.names.of[family]
    first = w.place(lo, family.index.lo, node.inner)
    text = name if lo is family.index.lo and hi is family.index.hi else _sliced(w, name, first, lo, hi, family, node)
    return Code(f"{text}[:, 0]" if family.rows is ONE and family.cols is not ONE else text)


def _sliced(w: Writer, name: str, first: str, lo: Dim, hi: Dim, family: object, node: Node) -> str:
    stop = w.dim(hi - node.term.attr[0].index.lo + 1, node.inner).text
    return f"{name}[{first}:{stop}]"


def _stacksum(w: Writer, node: Node, _args: list[Code]) -> Code:
    return Code(f"{w.names.of[node.term.attr[0]]}.sum(axis=0)")


def _weighted(w: Writer, node: Node, args: list[Code]) -> Code:
    return call("np.tensordot", args[0].text, w.names.of[node.term.attr[0]], "1")


def _counting(w: Writer, node: Node, _args: list[Code]) -> Code:
    lo, hi = node.term.attr
    return call("np.arange", w.dim(lo, node.inner).text, w.dim(hi + 1, node.inner).text, "dtype=float")


def _kronecker(w: Writer, node: Node, args: list[Code]) -> Code:
    attr: p.Kronecker = node.term.attr

    def factor(at: int, size: Dim) -> str:
        return w.dim(size, node.inner).text if at < 0 else args[at].text

    if len(attr.pairs) == 1 and (attr.pairs[0].left < 0) != (attr.pairs[0].right < 0) and not attr.crossed:
        (pair,) = attr.pairs
        function = w.helper("_repeated_left" if pair.left < 0 else "_repeated_right")
        return call(function, factor(pair.left, attr.left[0]), factor(pair.right, attr.right[0]))
    crossed = ["crossed=True"] if attr.crossed else []
    if w.thin and len(attr.pairs) == 1 and attr.pairs[0].left >= 0 and attr.pairs[0].right >= 0:
        w.helper("_outer_rows")
        return call(w.helper("_outer"), *(args[at].text for at in attr.pairs[0]), *crossed)
    pairs = [f"({factor(q.left, attr.left[0])}, {factor(q.right, attr.right[0])})" for q in attr.pairs]
    w.helper("_outer_rows")
    return call(w.helper("_kronecker"), *pairs, *crossed)


def _across(w: Writer, node: Node, args: list[Code]) -> Code:
    crossed = ["crossed=True"] if node.term.attr[2] else []
    return call(w.helper("_across"), *(a.text for a in args), *crossed)


def _each(template: str) -> Emit:
    return lambda _w, _node, args: Code(template.format(*(a.at(ATOM) for a in args)), PRODUCT)


def _each_in_place(helper: str, whole: int, template: str) -> Emit:
    """What scales an array of matrices: in place where nothing else has it."""

    def emit(w: Writer, node: Node, args: list[Code]) -> Code:
        own = node.term.args[whole].op in p.EACH_FRESH and not w.is_named(node.args[whole])
        if w.thin and own:
            return call(w.helper(helper), args[whole].text, args[1 - whole].text)
        return Code(template.format(*(a.at(ATOM) for a in args)), PRODUCT)

    return emit


def _each_times(w: Writer, node: Node, args: list[Code]) -> Code:
    left = call(w.helper("_each_transposed"), args[0].text) if node.term.attr else args[0]
    return Code(f"{left.at(POWER)} @ {args[1].at(ATOM)}", PRODUCT)


def _each_diagonal(w: Writer, node: Node, args: list[Code]) -> Code:
    """The diagonals are added in place, to a copy where the array is still needed."""
    whole = node.term.args[0]
    if whole.op is p.EACH_SAME:
        count = w.dim(whole.attr, node.inner).text
        text = call(w.helper("_each_repeated"), args[0].text, count).text
    else:
        text = f"{args[0].at(ATOM)}.copy()" if w.is_named(node.args[0]) else args[0].text
    return call(w.helper("_each_diagonal"), text, args[1].text)


PRIMITIVE_CODE: dict[ops.Op, Emit] = {
    p.MATMUL: _matmul,
    p.PRODUCT: _helped("_product"),
    p.TRIPLE: _helped("_triple"),
    p.POSITIVE: _positive,
    p.PEAK: _peak,
    p.ROWS: _rows,
    p.COLS: _cols,
    p.ROWSUMS: _summed(1),
    p.COLSUMS: _summed(0),
    p.ROWDOTS: _rowdots,
    p.EVERY_ROW: _every_row,
    p.EVERY_COLUMN: _every_column,
    p.ON_DIAGONAL: _on_diagonal,
    p.CHOLESKY: _helped("_cholesky", "lapack"),
    p.LU: _helped("_lu", "lapack"),
    p.SOLVE: _by_factors("solve"),
    p.HALF_SOLVE: _helped("_half_solve", "blas"),
    p.INVERSE: _by_factors("inverse"),
    p.LOGDETERMINANT: _by_factors("logdet"),
    p.DETERMINANT: _by_factors("det"),
    p.CAPPED_EXP: _helped("_capped_exp"),
    p.EXCESS: _excess,
    p.SUM_LOG1P: _helped("_sum_log1p"),
    p.STACK: _stack,
    p.STACKSUM: _stacksum,
    p.WEIGHTED: _weighted,
    p.COUNTING: _counting,
    p.KRONECKER: _kronecker,
    p.EACH_SAME: _each("{0}[None]"),
    p.EACH_ROWS: _each_in_place("_each_rows", 1, "{0}[:, :, None] * {1}"),
    p.EACH_COLS: _each_in_place("_each_cols", 0, "{0} * {1}[:, None]"),
    p.EACH_LEFT: _each("{0} @ {1}"),
    p.EACH_RIGHT: _helped("_each_right"),
    p.EACH_TIMES: _each_times,
    p.EACH_PLUS: _each("{0} + {1}"),
    p.EACH_DIAGONAL: _each_diagonal,
    p.EACH_SCALED: _each_in_place("_each_scaled", 1, "{0} * {1}"),
    p.EACH_WEIGHTED: _helped("_each_weighted"),
    p.SANDWICH: _helped("_sandwich"),
    p.SPREAD: _helped("_spread"),
    p.ACROSS: _across,
}
