r"""A term as LaTeX, as a textbook prints it: ``2 A^{\top} \left(A x - b\right)``.

Only commands that KaTeX, MathJax and ziamath all know are used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from ..terms import ops
from ..terms.dims import ONE, Dim
from ..terms.ops import Op
from ..terms.symbols import Unknown
from ..terms.term import Number, Term
from .layout import IndexNames, Page, Rule, needs_by, render
from .order import Power, Quotient, ordered_sum, quotient, reciprocal
from .pieces import (
    ATOM,
    GREEK,
    KRON,
    POSTFIX,
    PRODUCT,
    SUM,
    UNARY,
    Piece,
    joined,
    name_parts,
    number_text,
    one_product,
    open_product,
    signed,
    wrapped,
)

BRACKETS = (r"\left(", r"\right)")
WHERE = (r" \quad\text{where } ", r",\; ", *BRACKETS)


def to_latex(term: Term, names: IndexNames | None = None) -> str:
    r"""LaTeX for mathematics mode, without dollars: ``\frac{1}{2} x^{\top} A x``.

    ``names`` are preferred names of bound indices (first value, last value, name) and of recurrences
    (start, step, name).
    """
    page = Page(term, names, latex_name, indexed="{}_{{{}}}", times=" ", state=_state_text, where=WHERE)
    return render(term, _LATEX, _call, page).text()


# ---------------------------------------------------------------- names and sizes


def latex_name(name: str) -> str:
    r"""A name as LaTeX: ``Sigma`` is ``\Sigma``, ``W1`` is ``W_{1}``, ``loss`` is ``\mathrm{loss}``."""
    stem, rest = _split_name(name)
    return f"{stem}_{{{rest}}}" if rest else stem


def _split_name(name: str) -> tuple[str, str]:
    stem, rest = name_parts(name)
    return _word(stem), ",".join(_word(part) for part in rest.split("_") if part)


_MATHEMATICS = {
    "d²f": r"\mathrm{d}^{2} f",
    **{letter: f"\\{name}" for name, letter in GREEK.items()},
    "≥": r"\ge ",
    "≤": r"\le ",
    "≠": r"\ne ",
    "<": "<",
    ">": ">",
    "²": "^{2}",
    "ᵀ": r"^{\top}",
    "⁻¹": "^{-1}",
    "‖": r"\Vert ",
    "⊗": r"\otimes ",
    "⊙": r"\odot ",
    "∂": r"\partial ",
}
_ESCAPED = {"_": r"\_", "^": r"\^{}", "&": r"\&", "%": r"\%", "#": r"\#"}
_IN_WORDS = re.compile("|".join(map(re.escape, (*_MATHEMATICS, *_ESCAPED))))


def latex_words(words: str) -> str:
    """Words, such as the name of a rule, as ``\\text``; letters and signs of mathematics in it between dollars."""
    if not words:
        return ""
    shown = _IN_WORDS.sub(lambda m: _ESCAPED[m[0]] if m[0] in _ESCAPED else f"${_MATHEMATICS[m[0]]}$", words)
    return rf"\text{{{shown}}}"


def _word(word: str) -> str:
    if word in GREEK:
        return "\\" + word
    if len(word) <= 1 or word.isdigit():
        return word
    return rf"\mathrm{{{word}}}".replace("_", r"\_")


def _size(size: Dim, page: Page) -> str:
    return re.sub(r"\^(\d+)", r"^{\1}", page.size(size))


def _sizes(sizes: tuple[Dim, ...], page: Page, separator: str = ",") -> str:
    return separator.join(_size(size, page) for size in sizes)


# ---------------------------------------------------------------- leaves


def _symbol(term: Term, page: Page) -> Piece:
    return Piece((page.symbol(term.attr),))


def _state(term: Term, page: Page) -> Piece:
    return Piece((page.state(term),))


def _joint(term: Term, page: Page) -> Piece:
    return Piece((r"\left(", joined(map(page.piece, term.args), ", "), r"\right)"))


def _part(term: Term, page: Page) -> Piece:
    piece = Piece((page.part(term),))
    return Piece((r"\mathrm{d}", _bracketed(piece)), POSTFIX) if term.args[0].op is ops.DIFF else piece


def _state_text(name: str, at: str) -> str:
    """``y_{k}``; an index joins a subscript that the name has already."""
    at = re.sub(r"\^(\d+)", r"^{\1}", at)
    return f"{name[:-1]},{at}}}" if name.endswith("}") and "_{" in name else f"{name}_{{{at}}}"


def _constant(term: Term, page: Page) -> Piece:
    return Piece((latex_name(term.attr),))


def _integer(term: Term, page: Page) -> Piece:
    return Piece((page.atom(term.attr),))


def _member(term: Term, page: Page) -> Piece:
    stem, rest = _split_name(term.attr.family.name)
    return Piece((f"{stem}_{{{rest + ',' if rest else ''}{_size(term.attr.at, page)}}}",))


def _filled(digit: str) -> Rule:
    def show(term: Term, page: Page) -> Piece:
        if term.is_vector:
            return Piece((rf"\mathbf{{{digit}}}_{{{_size(term.rows, page)}}}",))
        if term.rows is ONE:
            return Piece((rf"\mathbf{{{digit}}}_{{{_size(term.cols, page)}}}^{{\top}}",), POSTFIX)
        sizes = _sizes(term.shape, page, r" \times ")
        return Piece((rf"\mathbf{{{digit}}}_{{{sizes}}}",))

    return show


def _lettered(letter: str, function: str, told: Callable[[Term], tuple[Dim, ...]], shown: int | None = None) -> Rule:
    """``K_{m,n}``; where K is a variable's name, ``commutation(m, n)``.  ``shown`` sizes are subscripts."""

    def show(term: Term, page: Page) -> Piece:
        if letter in page.given:
            sizes = _sizes(told(term), page, ", ")
            return Piece((rf"\operatorname{{{function}}}", BRACKETS[0], sizes, BRACKETS[1]))
        return Piece((f"{letter}_{{{_sizes(told(term)[:shown], page)}}}",))

    return show


def _own(term: Term) -> tuple[Dim, ...]:
    sizes: tuple[Dim, ...] = term.attr
    return sizes


_RELATIONS = {"=": "=", "!=": r"\neq", "<=": r"\leq", ">=": r"\geq", "<": "<", ">": ">"}


def _indicator(term: Term, page: Page) -> Piece:
    relation, left, right = term.attr
    condition = f"{_size(left, page)} {_RELATIONS[relation]} {_size(right, page)}"
    return Piece((rf"\mathbf{{1}}\left[{condition}\right]",))


# ---------------------------------------------------------------- functions


def _applied(name: str, term: Term, page: Page) -> Piece:
    inside = joined((page.piece(arg) for arg in term.args), ", ")
    level = POSTFIX if name.count("\\") > 1 else ATOM  # the square of \log\det is not the log of a square
    return Piece((name, BRACKETS[0], inside, BRACKETS[1]), level)


def _calls(name: str) -> Rule:
    return lambda term, page: _applied(name, term, page)


def _call(term: Term, page: Page) -> Piece:
    return _applied(rf"\operatorname{{{term.op.name}}}", term, page)


def _between(left: str, right: str) -> Rule:
    def show(term: Term, page: Page) -> Piece:
        return Piece((left, joined((page.piece(arg) for arg in term.args), ", "), right))

    return show


_COMMANDS = {name: "\\" + name for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh")}
_COMMANDS |= {name: rf"\operatorname{{ar{name[1:]}}}" for name in ("asinh", "acosh", "atanh")}
_COMMANDS |= {"lgamma": r"\log\Gamma", "digamma": r"\psi", "trigamma": r"\psi'"}
_COMMANDS |= {"asin": r"\arcsin", "acos": r"\arccos", "atan": r"\arctan"}
_ABSOLUTE = _between(r"\left\lvert ", r" \right\rvert")


def _function(term: Term, page: Page) -> Piece:
    name = term.attr
    if isinstance(name, Unknown):
        primes = "'" * name.order if name.order <= 3 else f"^{{({name.order})}}"
        return _applied(latex_name(name.name) + primes, term, page)
    if name == "abs" and term.is_scalar:  # of a matrix the bars would be its determinant
        return _ABSOLUTE(term, page)
    return _applied(_COMMANDS.get(name) or rf"\operatorname{{{name}}}", term, page)


def _unvec(term: Term, page: Page) -> Piece:
    return _applied(rf"\operatorname{{unvec}}_{{{_sizes(term.attr, page)}}}", term, page)


def _frechet(term: Term, page: Page) -> Piece:
    args = term.args if term.args[0] is not term.args[2] else term.args[:2]
    inside = joined((page.piece(arg) for arg in args), ", ")
    return Piece((rf"\operatorname{{{term.op.name}}}", BRACKETS[0], inside, BRACKETS[1]))


def _eigenvectors(term: Term, page: Page) -> Piece:
    return _applied(rf"\operatorname{{eigvecs}}_{{{_size(term.attr, page)}}}", term, page)


def _exponential(term: Term, page: Page) -> Piece:
    return Piece((r"\mathrm{e}^{", signed(page.piece(term.args[0])), "}"), POSTFIX)


def _raised_to(power: str) -> Rule:
    return lambda term, page: _superscript(term.args[0], power, page)


def _entry(term: Term, page: Page) -> Piece:
    array = term.args[0]
    at = term.attr[:1] if array.is_vector else term.attr
    plain = array.op is ops.SYM and array.attr.role != "state" and not _split_name(array.attr.name)[1]
    base = page.piece(array) if plain else Piece((BRACKETS[0], signed(page.piece(array)), BRACKETS[1]))
    return Piece((base, f"_{{{_sizes(at, page)}}}"))


def _slice(term: Term, page: Page) -> Piece:
    array = term.args[0]
    spans = [term.attr[:2], term.attr[2:]]
    if array.is_vector or array.rows is ONE:
        spans = [spans[0 if array.is_vector else 1]]
    shown = (_size(a, page) if a is b else f"{_size(a, page)}:{_size(b, page)}" for a, b in spans)
    base = page.piece(array)
    if array.op is not ops.SYM:
        base = _bracketed(base)
    return Piece((base, f"_{{{','.join(shown)}}}"))


def _polygamma(term: Term, page: Page) -> Piece:
    return _applied(rf"\psi^{{({_size(term.attr, page)})}}", term, page)


def _block(term: Term, page: Page) -> Piece:
    width = term.attr.cols
    rows = (term.args[at : at + width] for at in range(0, len(term.args), width))
    inside = joined((joined(map(page.piece, row), " & ") for row in rows), r" \\ ")
    return Piece((r"\begin{bmatrix} ", inside, r" \end{bmatrix}"))


def _differential(term: Term, page: Page) -> Piece:
    plain = term.args[0].op in (ops.SYM, ops.MEMBER)
    inside = page.piece(term.args[0])
    return Piece((r"\mathrm{d}", inside if plain else _bracketed(inside)), POSTFIX)


def _bracketed(piece: Piece) -> Piece:
    return Piece((BRACKETS[0], signed(piece), BRACKETS[1]))


def _binder(sign: str) -> Rule:
    def show(term: Term, page: Page) -> Piece:
        index, step = term.attr
        name, body = page.body(term)
        low, high = _size(index.lo, page), _size(index.hi, page)
        limits = f"_{{{name}={low}}}^{{{high}}} "
        if step == -1 and needs_by(index, step):
            limits = rf"_{{{name}={low},\,{_size(index.lo - 1, page)},\,\ldots,\,{high}}} "
        return Piece((sign, limits, wrapped(body, PRODUCT, BRACKETS)), PRODUCT)

    return show


# ---------------------------------------------------------------- sums and products


def _sum(term: Term, page: Page) -> Piece:
    parts: list[str | Piece] = []
    for piece in map(page.piece, ordered_sum(term)):
        bare = Piece(piece.parts, piece.level)
        sign = "-" if piece.negative else "+"
        parts += [f" {sign} " if parts else sign.strip("+"), wrapped(bare, PRODUCT, BRACKETS)]
    return Piece(tuple(parts), SUM)


def _factor(piece: Piece) -> Piece:
    return wrapped(piece, UNARY, BRACKETS)


def _side_by_side(pieces: list[Piece]) -> Piece:
    r"""Factors one after the other; ``\cdot`` where a number would follow."""
    if len(pieces) == 1:
        return pieces[0]
    parts: list[str | Piece] = [pieces[0]]
    for piece in pieces[1:]:
        parts += [r" \cdot " if _first_character(piece).isdigit() else " ", piece]
    return Piece(tuple(parts), PRODUCT)


def _first_character(piece: Piece) -> str:
    part: str | Piece = piece
    while isinstance(part, Piece):
        part = part.parts[0]
    return part[:1]


def _matrix_product(term: Term, page: Page) -> Piece:
    return _side_by_side([_factor(page.piece(factor)) for factor in term.args])


def _joined_by(sign: str) -> Rule:
    def show(term: Term, page: Page) -> Piece:
        return joined((_factor(page.piece(factor)) for factor in term.args), sign, KRON)

    return show


def _family(term: Term, page: Page) -> Piece:
    name, body = page.body(term)
    index = term.attr.index
    ends = Piece((rf"_{{{name}={page.size(index.lo)}}}^{{{page.size(index.hi)}}}",))
    return Piece((r"\left(", signed(body), r"\right)", ends))


_SIGNS = {ops.SUM, ops.PROD}
"""What is written as a large sign before all that it rules."""


def _product(term: Term, page: Page) -> Piece:
    r"""``\frac{2 t}{s} A \odot B``: number and scalars, over what divides, before sums and arrays."""
    parts = quotient(term)
    above = [factor for factor in parts.above if factor.op not in _SIGNS]
    tail = [page.piece(factor) for factor in parts.above if factor.op in _SIGNS]
    if parts.over or parts.under:
        tail.append(_entrywise(parts, page))
    scalars = [page.piece(factor) for factor in above]
    numerator, denominator = number_text(parts.number)
    if parts.below:
        below = [_power(power, page) for power in parts.below]
        head = [_fraction(_numbered(numerator, scalars), _numbered(denominator, below))]
    else:
        tail = scalars + tail
        head = [_fraction(Piece((numerator,)), Piece((denominator,)))] if denominator else []
        if not denominator and (numerator != "1" or not tail):
            head = [Piece((numerator,))]
    alone = bool(parts.over or parts.under) or one_product(tail)
    made = _side_by_side(head + open_product(tail, alone, BRACKETS))
    if not head and len(tail) == 1 and tail[0].level == KRON:
        made = tail[0]
    return Piece(made.parts, made.level, parts.number < 0)


def _fraction(above: Piece, below: Piece) -> Piece:
    return Piece((r"\frac{", signed(above), "}{", signed(below), "}"), PRODUCT)


def _numbered(number: str, factors: list[Piece]) -> Piece:
    """One side of a fraction: a number, unless it is 1, and factors."""
    numbers = [] if number in ("", "1") and factors else [Piece((number,))]
    if not numbers and len(factors) == 1:
        return factors[0]
    return _side_by_side(numbers + open_product(factors, one_product(factors), BRACKETS))


def _entrywise(parts: Quotient, page: Page) -> Piece:
    r"""``A \odot B \oslash C``; where nothing stands above, ``C^{\odot -1}``."""
    over = [page.piece(factor) for factor in parts.over]
    if not over:
        over = [_raised(base, Piece((_inline(-number),)), page, True) for base, number in parts.under]
        return over[0] if len(over) == 1 else joined(map(_factor, over), r" \odot ", KRON)
    if len(over) == 1 and not parts.under:
        return over[0]
    made: list[str | Piece] = [joined(map(_factor, over), r" \odot ", KRON)]
    for power in parts.under:
        made += [r" \oslash ", _factor(_power(power, page, True))]
    return Piece(tuple(made), KRON)


# ---------------------------------------------------------------- powers


def _inline(number: Number) -> str:
    above, below = number_text(number)
    return ("-" if number < 0 else "") + (f"{above}/{below}" if below else above)


def _raised(base: Term, exponent: Piece, page: Page, entrywise: bool) -> Piece:
    sign = r"\odot " if entrywise else ""
    shown = wrapped(exponent, PRODUCT, BRACKETS) if entrywise else signed(exponent)
    return Piece((wrapped(page.piece(base), ATOM, BRACKETS), "^{", sign, shown, "}"), POSTFIX)


def _power(power: Power, page: Page, entrywise: bool = False) -> Piece:
    base, number = power
    if number == 1:
        return page.piece(base)
    if number == Fraction(1, 2) and (base.is_scalar or base.is_vector):
        return Piece((r"\sqrt{", signed(page.piece(base)), "}"))
    return _raised(base, Piece((_inline(power[1]),)), page, entrywise)


def _pow(term: Term, page: Page) -> Piece:
    if reciprocal(term):
        return _product(term, page)
    base, exponent = term.args
    if exponent.op is ops.NUM and exponent.attr > 0:
        return _power((base, exponent.attr), page, not term.is_scalar)
    return _raised(base, page.piece(exponent), page, not term.is_scalar)


def _superscript(base: Term, text: str, page: Page) -> Piece:
    return Piece((wrapped(page.piece(base), ATOM, BRACKETS), "^{", text, "}"), POSTFIX)


def _matrix_power(term: Term, page: Page) -> Piece:
    return _superscript(term.args[0], _size(term.attr, page), page)


def _transpose(term: Term, page: Page) -> Piece:
    base = term.args[0]
    if base.op is ops.INV:
        return _superscript(base.args[0], r"-\top", page)
    if base.op is ops.PINV:
        return _superscript(base.args[0], r"{+}{\top}", page)
    return _superscript(base, r"\top", page)


def _inverse(term: Term, page: Page) -> Piece:
    if term.args[0].op is ops.SQRTM:
        return _superscript(term.args[0].args[0], "-1/2", page)
    return _superscript(term.args[0], "-1", page)


# ---------------------------------------------------------------- the table; other operators print as functions

_LATEX: dict[Op, Rule] = {
    ops.NUM: _product,
    ops.INT: _integer,
    ops.CONST: _constant,
    ops.SYM: _symbol,
    ops.MEMBER: _member,
    ops.EYE: _lettered("I", "eye", lambda term: (term.rows,)),
    ops.ZEROS: _filled("0"),
    ops.ONES: _filled("1"),
    ops.BASIS: _lettered("e", "basis", lambda term: (term.attr[0], term.rows), 1),
    ops.COMMUTATION: _lettered("K", "commutation", _own),
    ops.DUPLICATION: _lettered("D", "duplication", _own),
    ops.ELIMINATION: _lettered("L", "elimination", _own),
    ops.IND: _indicator,
    ops.ADD: _sum,
    ops.TIMES: _product,
    ops.SCALE: _product,
    ops.MUL: _matrix_product,
    ops.HAD: _product,
    ops.KRON: _joined_by(r" \otimes "),
    ops.KHATRIRAO: _joined_by(r" \ast "),
    ops.TRANSPOSE: _transpose,
    ops.INV: _inverse,
    ops.MPOW: _matrix_power,
    ops.POW: _pow,
    ops.FUN: _function,
    ops.DET: _calls(r"\det"),
    ops.LOGDET: _calls(r"\log\det"),
    ops.POLYGAMMA: _polygamma,
    ops.SOFTMAXROWS: _calls(r"\operatorname{softmax}"),
    ops.LOGSUMEXPROWS: _calls(r"\operatorname{logsumexp}"),
    ops.UNVEC: _unvec,
    ops.DIAGONAL: _calls(r"\operatorname{diag}"),
    ops.TOTAL: _calls(r"\operatorname{sum}"),
    ops.NORM: _between(r"\left\lVert ", r" \right\rVert"),
    ops.ENTRY: _entry,
    ops.SLICE: _slice,
    ops.BLOCK: _block,
    ops.EXPM: _exponential,
    ops.SQRTM: _raised_to("1/2"),
    ops.PINV: _raised_to("+"),
    ops.DEXPM: _frechet,
    ops.DLOGM: _frechet,
    ops.NUCLEAR: _between(r"\left\lVert ", r" \right\rVert_{*}"),
    ops.SPECTRAL: _between(r"\left\lVert ", r" \right\rVert_{2}"),
    ops.EIGMAX: _calls(r"\lambda_{\max}"),
    ops.EIGVECMAX: _calls(r"v_{\max}"),
    ops.EIGVECS: _eigenvectors,
    ops.SUM: _binder(r"\sum"),
    ops.FAMILY: _family,
    ops.PROD: _binder(r"\prod"),
    ops.STATE: _state,
    ops.PART: _part,
    ops.JOINT: _joint,
    ops.DIFF: _differential,
    ops.INNER: _between(r"\left\langle ", r" \right\rangle"),
}
