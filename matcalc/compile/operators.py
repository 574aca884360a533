"""The expression of each operator."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING

from ..errors import MatcalcError
from ..terms import ops
from ..terms.dims import ONE, Dim, dim
from ..terms.ops import Op
from ..terms.symbols import Member, Unknown
from ..terms.term import Term
from .helpers import SPECTRAL_PARTS
from .names import COLUMN, MATRIX, ROW, SCALAR
from .pieces import ATOM, POWER, PRODUCT, Code, as_2d, call, converted, form_of, number_code, product_code, sum_code
from .primitive_code import PRIMITIVE_CODE
from .primitives import CAPPED_EXP, SOLVE

if TYPE_CHECKING:
    from .scopes import Node
    from .writer import Writer

Emit = Callable[["Writer", "Node", list[Code]], Code]


def _symbol(w: Writer, node: Node, _args: list[Code]) -> Code:
    run = node.binding.run
    if run is None:
        return Code(w.names.of[node.term.attr])
    return Code(run.place(None, node.binding.variable))


def _member(w: Writer, node: Node, _args: list[Code]) -> Code:
    chosen: Member = node.term.attr
    at = w.place(chosen.at, chosen.family.index.lo, node.inner)
    return Code(f"{w.names.of[chosen.family]}[{at}]{'[0]' if form_of(node.term) == ROW else ''}")


def _matmul(_w: Writer, node: Node, args: list[Code]) -> Code:
    """Cut where the inner dimension is 1; a part that ends in a column is computed from there."""
    factors = list(zip(node.term.args, args, strict=True))
    cuts = [0, *(i for i in range(1, len(factors)) if factors[i][0].rows is ONE), len(factors)]
    parts = [_chain(factors[a:b]) for a, b in pairwise(cuts)]
    first, last = parts[0], parts[-1]
    if len(parts) > 1 and factors[0][0].rows is not ONE and factors[-1][0].cols is not ONE:
        outer = call("np.outer", first.text, last.text)
        return product_code([*parts[1:-1], outer]) if len(parts) > 2 else outer
    return product_code(parts) if len(parts) > 1 else first


def _chain(factors: Sequence[tuple[Term, Code]]) -> Code:
    if len(factors) == 1:
        return factors[0][1]
    if factors[-1][0].cols is ONE and factors[0][0].rows is not ONE:
        text = factors[-1][1].at(POWER)
        for place, (_, code) in enumerate(reversed(factors[:-1])):
            text = f"{code.at(POWER)} @ " + (f"({text})" if place else text)
        return Code(text, PRODUCT)
    return Code(" @ ".join(code.at(POWER) for _, code in factors), PRODUCT)


def _kron(_w: Writer, node: Node, args: list[Code]) -> Code:
    kinds = [form_of(t) for t in node.term.args]
    flat = len(set(kinds)) == 1
    text = args[0].text if flat else as_2d(args[0], kinds[0])
    for code, kind in zip(args[1:], kinds[1:], strict=True):
        text = f"np.kron({text}, {code.text if flat else as_2d(code, kind)})"
    return Code(text)


def _power(w: Writer, node: Node, args: list[Code]) -> Code:
    base, exponent = node.term.args
    if exponent.op is ops.NUM and exponent.attr == -2 and not base.is_scalar:
        below = w.spelled(node.args[0])
        return product_code([Code("", ATOM, ((), (below, below), False))])
    if exponent.op is ops.NUM:
        code = _fixed_power(base, args[0], abs(exponent.attr))
        return code if exponent.attr > 0 else product_code([Code("", ATOM, ((), (code.at(POWER),), False))])
    below = args[0].at(ATOM) if exponent.op is ops.INT else _floating(base, args[0])
    return Code(f"{below} ** {args[1].at(ATOM)}", POWER)


def _fixed_power(base: Term, code: Code, power: int | Fraction) -> Code:
    if power == 1:
        return code
    if power == Fraction(1, 2):
        return call("np.sqrt", code.text)
    below = code.at(ATOM) if isinstance(power, int) else _floating(base, code)
    return Code(f"{below} ** {number_code(power).at(ATOM)}", POWER)


def _floating(base: Term, code: Code) -> str:
    """A base whose powers are real: Python's own numbers would turn complex."""
    python = base.is_scalar and base.op in (ops.NUM, ops.INT, ops.ADD, ops.TIMES, ops.POW)
    return f"np.float64({code.text})" if python else code.at(ATOM)


def _block(_w: Writer, node: Node, args: list[Code]) -> Code:
    kinds = [form_of(t) for t in node.term.args]
    if form_of(node.term) != MATRIX:
        parts = [f"[{c.text}]" if k == SCALAR else c.text for c, k in zip(args, kinds, strict=True)]
        if {*kinds} == {SCALAR}:
            return call("np.array", f"[{', '.join(c.text for c in args)}]", "dtype=float")
        return call("np.concatenate", f"[{', '.join(parts)}]")
    parts = [c.text if k == SCALAR else as_2d(c, k) for c, k in zip(args, kinds, strict=True)]
    width = node.term.attr.cols
    rows = ", ".join(f"[{', '.join(parts[i : i + width])}]" for i in range(0, len(parts), width))
    return call("np.array", f"[{rows}]", "dtype=float") if {*kinds} == {SCALAR} else call("np.block", f"[{rows}]")


def _joint(_w: Writer, _node: Node, args: list[Code]) -> Code:
    """Coupled states are a tuple."""
    return Code(f"({', '.join(c.text for c in args)})")


def _part(_w: Writer, node: Node, args: list[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}[{node.term.attr[0]}]")


def _entry(w: Writer, node: Node, args: list[Code]) -> Code:
    i, j = (w.place(at, ONE, node.inner) for at in node.term.attr)
    places = {COLUMN: i, ROW: j}.get(form_of(node.term.args[0]), f"{i}, {j}")
    return Code(f"{args[0].at(ATOM)}[{places}]")


def _only_matrix(template: str) -> Emit:
    """What a matrix needs and a 1-D array does not."""

    def emit(_w: Writer, node: Node, args: list[Code]) -> Code:
        return Code(args[0].at(ATOM) + template) if form_of(node.term.args[0]) == MATRIX else args[0]

    return emit


def _unvec(w: Writer, node: Node, args: list[Code]) -> Code:
    if form_of(node.term) != MATRIX:
        return args[0]
    m, n = (w.dim(d, node.inner).text for d in node.term.attr)
    return Code(f'{args[0].at(ATOM)}.reshape(({m}, {n}), order="F")')


def _inner(w: Writer, node: Node, args: list[Code]) -> Code:
    if form_of(node.term.args[0]) == MATRIX:
        by_columns = [t.op in (ops.TRANSPOSE, SOLVE) for t in node.term.args]
        if w.thin and all(by_columns):  # the transposes are by rows, as vdot wants them
            return call("np.vdot", *(a.text[:-2] if a.text.endswith(".T") else f"{a.at(ATOM)}.T" for a in args))
        if any(by_columns):
            return call("np.einsum", '"ij,ij"', args[0].text, args[1].text)
        return call("np.vdot", args[0].text, args[1].text)
    if w.thin:
        return Code(f"{args[0].at(ATOM)}.dot({args[1].text})")
    return Code(f"{args[0].at(POWER)} @ {args[1].at(POWER)}", PRODUCT)


_FUNCTIONS = {
    "exp": "np.exp({})",
    "log": "np.log({})",
    "sqrt": "np.sqrt({})",
    "square": "np.square({})",
    "abs": "np.abs({})",
    "sign": "np.sign({})",
    "step": "np.heaviside({}, 0.0)",
    "sin": "np.sin({})",
    "cos": "np.cos({})",
    "tan": "np.tan({})",
    "asin": "np.arcsin({})",
    "acos": "np.arccos({})",
    "atan": "np.arctan({})",
    "sinh": "np.sinh({})",
    "cosh": "np.cosh({})",
    "tanh": "np.tanh({})",
    "asinh": "np.arcsinh({})",
    "acosh": "np.arccosh({})",
    "atanh": "np.arctanh({})",
    "sigmoid": "_sigmoid({})",
    "relu": "np.maximum({}, 0.0)",
    "softplus": "np.logaddexp(0.0, {})",
    "erf": "special.erf({})",
    "erfc": "special.erfc({})",
    "lgamma": "special.gammaln({})",
    "digamma": "special.digamma({})",
    "trigamma": "special.polygamma(1, {})",
}


def unary(term: Term) -> str:
    """A statement that applies an entrywise function to the array ``{0}`` in place, where there is one."""
    if term.op is CAPPED_EXP:
        return "_capped_exp({0}, out={0})"
    if term.op is ops.POW and term.args[1].op is ops.NUM:
        return {2: "np.square({0}, out={0})", Fraction(1, 2): "np.sqrt({0}, out={0})"}.get(term.args[1].attr, "")
    template = _FUNCTIONS.get(term.attr, "") if term.op is ops.FUN and isinstance(term.attr, str) else ""
    if template == "np.maximum({}, 0.0)":
        return "np.maximum({0}, 0.0, out={0})"
    return template.replace("{}", "{0}, out={0}") if template.startswith("np.") and "{})" in template else ""


def _function(w: Writer, node: Node, args: list[Code]) -> Code:
    name = node.term.attr
    if isinstance(name, Unknown):
        return call(w.names.of[name], args[0].text)
    if name not in _FUNCTIONS:
        raise MatcalcError(f"there is no NumPy code for the function {name}")
    template = _FUNCTIONS[name]
    if "special." in template:
        w.helper("special")
    elif template.startswith("_"):
        w.helper(template.split("(")[0])
    return Code(template.format(args[0].text))


def _calling(function: str, behind: str = "") -> Emit:
    return lambda _w, _node, args: Code(f"{function}({args[0].text}){behind}")


def _of_arrays(function: str) -> Emit:
    """A helper or a function of modules that takes 2-D arrays and gives one, or a number."""

    def emit(w: Writer, node: Node, args: list[Code]) -> Code:
        for name in SPECTRAL_PARTS.get(function, ()):
            w.helper(name)
        texts = [as_2d(code, form_of(term)) for code, term in zip(args, node.term.args, strict=True)]
        if isinstance(node.term.attr, Dim):
            texts.append(w.dim(node.term.attr, node.inner).text)
        kind = form_of(node.term)
        return converted(call(function, *texts), kind if node.term.op in _NUMBERS else MATRIX, kind)

    return emit


_NUMBERS = frozenset({ops.NUCLEAR, ops.SPECTRAL, ops.EIGMAX})
"""Functions of matrices whose value is a number."""


def _total(w: Writer, _node: Node, args: list[Code]) -> Code:
    return Code(f"{args[0].at(ATOM)}.sum()") if w.thin else call("np.sum", args[0].text)


def _filled(function: str) -> Emit:
    return lambda w, node, _args: Code(w.filled(function, node.term, node.inner))


def _helped(function: str) -> Emit:
    return lambda w, node, _args: call(w.helper(function), *(w.dim(d, node.inner).text for d in node.term.attr))


def _by_helper(function: str) -> Emit:
    return lambda w, _node, args: call(w.helper(function), *(a.text for a in args))


def _triangle(function: str) -> Emit:
    def emit(_w: Writer, node: Node, args: list[Code]) -> Code:
        kind = form_of(node.term)
        return converted(call(function, as_2d(args[0], kind)), MATRIX, kind)

    return emit


def _polygamma(w: Writer, node: Node, args: list[Code]) -> Code:
    w.helper("special")
    return call("special.polygamma", w.dim(node.term.attr, node.inner).text, args[0].text)


def _khatrirao(w: Writer, node: Node, args: list[Code]) -> Code:
    return call(w.helper("_khatrirao"), *(as_2d(a, form_of(t)) for t, a in zip(node.term.args, args, strict=True)))


def _slice(w: Writer, node: Node, args: list[Code]) -> Code:
    i, j, k, last = node.term.attr
    spans = [f"{w.place(a, ONE, node.inner)}:{w.dim(b, node.inner).text}" for a, b in ((i, j), (k, last))]
    kind = form_of(node.term.args[0])
    places = {COLUMN: spans[0], ROW: spans[1]}.get(kind, ", ".join(spans))
    return converted(Code(f"{args[0].at(ATOM)}[{places}]"), kind, form_of(node.term))


def _never(_w: Writer, node: Node, _args: list[Code]) -> Code:
    raise AssertionError(f"{node.term.op.name} is written as a statement")


CODE: dict[Op, Emit] = {
    ops.NUM: lambda _w, node, _a: number_code(node.term.attr),
    ops.INT: lambda w, node, _a: w.dim(dim(node.term.attr), node.inner),
    ops.CONST: lambda _w, node, _a: Code(f"np.{node.term.attr}"),
    ops.SYM: _symbol,
    ops.MEMBER: _member,
    ops.EYE: _filled("eye"),
    ops.ZEROS: _filled("zeros"),
    ops.ONES: _filled("ones"),
    ops.BASIS: _helped("_basis"),
    ops.COMMUTATION: _helped("_commutation"),
    ops.DUPLICATION: _helped("_duplication"),
    ops.ELIMINATION: _helped("_elimination"),
    ops.IND: lambda w, node, _a: call("float", w.relation(node.term, node.inner)),
    ops.ADD: lambda _w, _n, args: sum_code(args),
    ops.TIMES: lambda _w, _n, args: product_code(args),
    ops.SCALE: lambda _w, _n, args: product_code(args),
    ops.MUL: _matmul,
    ops.HAD: lambda _w, _n, args: product_code(args),
    ops.KRON: _kron,
    ops.KHATRIRAO: _khatrirao,
    ops.TRANSPOSE: _only_matrix(".T"),
    ops.INV: _calling("np.linalg.inv"),
    ops.MPOW: lambda w, node, a: call("np.linalg.matrix_power", a[0].text, w.dim(node.term.attr, node.inner).text),
    ops.POW: _power,
    ops.FUN: _function,
    ops.POLYGAMMA: _polygamma,
    ops.SOFTMAX: _by_helper("_softmax"),
    ops.SOFTMAXROWS: _by_helper("_softmax"),
    ops.LOGSUMEXP: _by_helper("_logsumexp"),
    ops.LOGSUMEXPROWS: _by_helper("_logsumexp"),
    ops.TR: _calling("np.trace"),
    ops.DET: _calling("np.linalg.det"),
    ops.LOGDET: _calling("np.linalg.slogdet", "[1]"),
    ops.VEC: _only_matrix('.ravel(order="F")'),
    ops.UNVEC: _unvec,
    ops.VECH: _by_helper("_vech"),
    ops.TRIL: _triangle("np.tril"),
    ops.TRIU: _triangle("np.triu"),
    ops.DIAG: _calling("np.diag"),
    ops.DIAGONAL: _calling("np.diag"),
    ops.TOTAL: _total,
    ops.NORM: _calling("np.linalg.norm"),
    ops.ENTRY: _entry,
    ops.SLICE: _slice,
    ops.BLOCK: _block,
    ops.JOINT: _joint,
    ops.PART: _part,
    ops.INNER: _inner,
    ops.EXPM: _of_arrays("linalg.expm"),
    ops.LOGM: _of_arrays("_logm"),
    ops.SQRTM: _of_arrays("_sqrtm"),
    ops.DEXPM: _of_arrays("_dexpm"),
    ops.DLOGM: _of_arrays("_dlogm"),
    ops.SYLVESTER: _of_arrays("linalg.solve_sylvester"),
    ops.PINV: _of_arrays("_pinv"),
    ops.POLAR: _of_arrays("_polar"),
    ops.NUCLEAR: _of_arrays("_nuclear"),
    ops.SPECTRAL: _of_arrays("_spectral"),
    ops.EIGMAX: _of_arrays("_eigmax"),
    ops.EIGVECMAX: _of_arrays("_eigvecs"),
    ops.EIGVECS: _of_arrays("_eigvecs"),
    ops.SUM: _never,
    ops.FAMILY: _never,
    ops.PROD: _never,
    ops.STATE: _never,
    **PRIMITIVE_CODE,
}
