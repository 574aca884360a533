"""A term as one line of text, ASCII or Unicode, in the language that the parser reads.

What is printed parses back to the identical term: brackets follow the precedence of the
language, and a form such as ``A ./ B`` stands only where it elaborates to the same operators.
"""

from __future__ import annotations

from fractions import Fraction

from ..terms import ops
from ..terms.dims import ONE
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

HALF = Fraction(1, 2)


def to_text(term: Term, names: IndexNames | None = None) -> str:
    """One line of ASCII that parses back to the term: ``2*A'*A*x - 2*A'*b``.

    ``names`` are preferred names of bound indices (first value, last value, name) and of recurrences
    (start, step, name).
    """
    return render(term, _ASCII, _call, Page(term, names, str)).text()


def to_unicode(term: Term, names: IndexNames | None = None) -> str:
    """One line of Unicode that parses back to the term: ``2*Aᵀ*A*x - 2*Aᵀ*b``.

    ``names`` are preferred names of bound indices (first value, last value, name) and of recurrences
    (start, step, name).
    """
    return render(term, _UNICODE, _call, Page(term, names, _unicode_name, fancy=True)).text()


_SUBSCRIPT = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def _unicode_name(name: str) -> str:
    stem, rest = name_parts(name)
    letter = GREEK.get(stem, stem)
    return letter + (rest.translate(_SUBSCRIPT) if stem + rest == name else "_" + rest)


# ---------------------------------------------------------------- leaves and calls


def _number_piece(value: Number) -> Piece:
    above, below = number_text(value)
    return Piece((above, "/", below), PRODUCT) if below else Piece((above,))


def _symbol(term: Term, page: Page) -> Piece:
    return Piece((page.symbol(term.attr),))


def _state(term: Term, page: Page) -> Piece:
    return Piece((page.state(term),))


def _joint(term: Term, page: Page) -> Piece:
    return Piece(("(", joined(map(page.piece, term.args), ", "), ")"))


def _part(term: Term, page: Page) -> Piece:
    text = page.part(term)
    return Piece(("d(", text, ")") if term.args[0].op is ops.DIFF else (text,))


def _constant(term: Term, page: Page) -> Piece:
    return Piece((page.spell(term.attr),))


def _integer(term: Term, page: Page) -> Piece:
    return Piece((page.atom(term.attr),))


def _member(term: Term, page: Page) -> Piece:
    return Piece((page.spell(term.attr.family.name), "[", page.size(term.attr.at), "]"))


def _sized(term: Term, page: Page) -> Piece:
    return Piece((term.op.name, "(", ",".join(page.size(size) for size in term.attr), ")"))


def _filled(term: Term, page: Page) -> Piece:
    sizes = [term.rows] if term.is_vector else [term.rows, term.cols]
    return Piece((term.op.name, "(", ",".join(page.size(size) for size in sizes), ")"))


def _indicator(term: Term, page: Page) -> Piece:
    relation, left, right = term.attr
    return Piece((f"ind({page.size(left)} {relation} {page.size(right)})",))


def _call(term: Term, page: Page) -> Piece:
    return _named(term.op.name, term, page)


def _named(name: str, term: Term, page: Page) -> Piece:
    return Piece((name, "(", joined((page.piece(arg) for arg in term.args), ", "), ")"))


def _calls(name: str) -> Rule:
    return lambda term, page: _named(name, term, page)


def _function(term: Term, page: Page) -> Piece:
    name = term.attr
    return _named(page.spell(name.name) + "'" * name.order if isinstance(name, Unknown) else name, term, page)


def _unvec(term: Term, page: Page) -> Piece:
    sizes = ", ".join(page.size(size) for size in term.attr)
    return Piece(("unvec(", signed(page.piece(term.args[0])), ", ", sizes, ")"))


def _frechet(term: Term, page: Page) -> Piece:
    """``dexpm(A, E)``, and ``dexpm(A, E, B)`` where the two sides differ."""
    args = term.args if term.args[0] is not term.args[2] else term.args[:2]
    return Piece((term.op.name, "(", joined((page.piece(arg) for arg in args), ", "), ")"))


def _eigenvectors(term: Term, page: Page) -> Piece:
    return Piece(("eigvecs(", signed(page.piece(term.args[0])), ", ", page.size(term.attr), ")"))


def _entry(term: Term, page: Page) -> Piece:
    array = term.args[0]
    at = term.attr[:1] if array.is_vector else term.attr
    return Piece((wrapped(page.piece(array), ATOM), "[", ",".join(page.size(i) for i in at), "]"))


def _slice(term: Term, page: Page) -> Piece:
    array = term.args[0]
    spans = [term.attr[:2], term.attr[2:]]
    if array.is_vector or array.rows is ONE:
        spans = [spans[0 if array.is_vector else 1]]
    shown = (page.size(a) if a is b else f"{page.size(a)}..{page.size(b)}" for a, b in spans)
    return Piece((wrapped(page.piece(array), ATOM), "[", ",".join(shown), "]"))


def _polygamma(term: Term, page: Page) -> Piece:
    return Piece(("polygamma(", page.size(term.attr), ", ", signed(page.piece(term.args[0])), ")"))


def _block(term: Term, page: Page) -> Piece:
    width = term.attr.cols
    rows = (term.args[at : at + width] for at in range(0, len(term.args), width))
    return Piece(("[", joined((joined(map(page.piece, row), ", ") for row in rows), "; "), "]"))


def _differential(term: Term, page: Page) -> Piece:
    if term.args[0].op is ops.SYM and term.args[0].attr.role != "state":
        return Piece(("d", page.piece(term.args[0])))
    return _named("d", term, page)


def _binder(term: Term, page: Page) -> Piece:
    index, step = term.attr
    name, body = page.body(term)
    by = f" by {step}" if needs_by(index, step) else ""
    return Piece((f"{term.op.name}({name}={page.size(index.lo)}..{page.size(index.hi)}{by}, ", signed(body), ")"))


# ---------------------------------------------------------------- sums


def _sum(term: Term, page: Page) -> Piece:
    """``A*x - b``; a multiple of ones beside another array as ``1 .- x``, ``A .+ s``."""
    terms = ordered_sum(term)
    spread = [None if term.is_scalar else _spread(part, page) for part in terms]
    first = page.piece(terms[0])
    dot = ""
    if spread[0] is not None and spread[1] is None and not first.negative:
        first, dot = spread[0], "."
    parts: list[str | Piece] = [signed(first) if first.negative else wrapped(first, PRODUCT)]
    for part, scalar in zip(terms[1:], spread[1:], strict=True):
        piece = page.piece(part)
        if scalar is not None:
            piece, dot = scalar, "."
        parts += [f" {dot}{'-' if piece.negative else '+'} ", _unsigned(piece, PRODUCT)]
        dot = ""
    return Piece(tuple(parts), SUM)


def _spread(term: Term, page: Page) -> Piece | None:
    """The scalar s of ``s*ones(m,n)``, and 1 of ``ones(m,n)``."""
    if term.op is ops.ONES:
        return Piece(("1",))
    if term.op is ops.SCALE and term.args[1].op is ops.ONES:
        return page.piece(term.args[0])
    return None


def _unsigned(piece: Piece, level: int) -> Piece:
    return wrapped(Piece(piece.parts, piece.level), level)


# ---------------------------------------------------------------- products, quotients, powers


def _matrix_product(term: Term, page: Page) -> Piece:
    return joined((wrapped(page.piece(factor), UNARY) for factor in term.args), "*", PRODUCT)


def _product(term: Term, page: Page) -> Piece:
    """``2*a*A/t``, ``s*A .* B ./ C``: the scalars first; a sign is left to what stands around it."""
    parts = quotient(term)
    number = None
    if abs(parts.number) != 1 or not (parts.above or parts.over):
        number = _number_piece(parts.number)
    above = [page.piece(factor) for factor in parts.above]
    if parts.under or len(parts.over) > 1:
        made = _entrywise(number, above, parts, page)
    elif parts.over:
        made = _divided(_chain(number, [*above, page.piece(parts.over[0])], True), parts.below, page)
    else:
        made = _divided(_chain(number, above, one_product(above)), parts.below, page)
    return Piece(made.parts, made.level, parts.number < 0)


def _factor(piece: Piece) -> Piece:
    return wrapped(piece, UNARY)


def _chain(number: Piece | None, factors: list[Piece], open_end: bool) -> Piece:
    shown = [] if number is None else [number]
    shown += open_product(factors, open_end)
    return shown[0] if len(shown) == 1 else joined(shown, "*", PRODUCT)


def _divided(above: Piece, below: list[Power], page: Page) -> Piece:
    if not below:
        return above
    if len(below) == 1:
        return Piece((above, *_under("/", below, page)), PRODUCT)
    product = joined([_factor(_power(power, page)) for power in below], "*")
    return Piece((above, "/(", product, ")"), PRODUCT)


def _under(sign: str, powers: list[Power], page: Page) -> list[str | Piece]:
    parts: list[str | Piece] = []
    for power in powers:
        parts += [sign, _factor(_power(power, page, "." if sign == " ./ " else ""))]
    return parts


def _entrywise(number: Piece | None, above: list[Piece], parts: Quotient, page: Page) -> Piece:
    """``s*A .* B ./ C``, ``s/t ./ C``, ``s*(A .* B)/t``."""
    under = _under(" ./ ", parts.under, page)
    if not parts.over:
        return Piece((_divided(_chain(number, above, one_product(above)), parts.below, page), *under), PRODUCT)
    over = joined((_factor(page.piece(factor)) for factor in parts.over), " ⊙ " if page.fancy else " .* ", PRODUCT)
    array = Piece((over, *under), PRODUCT)
    return _divided(_chain(number, [*above, array], not parts.below), parts.below, page)


def _power(power: Power, page: Page, dot: str = "") -> Piece:
    """``base^number`` with a positive number, ``dot`` before the sign for entry by entry."""
    base, number = power
    if number == 1:
        return page.piece(base)
    if number == HALF:
        return Piece(("sqrt(", signed(page.piece(base)), ")"))
    if page.fancy and not dot and isinstance(number, int):
        return Piece((wrapped(page.piece(base), ATOM), str(number).translate(_SUPERSCRIPT)), POSTFIX)
    return _raised(base, _number_piece(power[1]), page, dot)


def _raised(base: Term, exponent: Piece, page: Page, dot: str) -> Piece:
    space = " " if dot and base.op is ops.NUM else ""
    sign = f"{space}{dot}^{space}"
    return Piece((wrapped(page.piece(base), ATOM), sign, wrapped(exponent, ATOM)), POSTFIX)


def _pow(term: Term, page: Page) -> Piece:
    if reciprocal(term):
        return _product(term, page)
    base, exponent = term.args
    dot = "" if term.is_scalar else "."
    if exponent.op is ops.NUM and exponent.attr > 0:
        number: Number = exponent.attr
        return _power((base, number), page, dot)
    shown = page.piece(exponent)
    plain = exponent.op in (ops.SYM, ops.INT) and shown.text().isidentifier() and shown.text() != "T"
    return _raised(base, shown if plain else Piece(("(", signed(shown), ")")), page, dot)


def _matrix_power(term: Term, page: Page) -> Piece:
    base = wrapped(page.piece(term.args[0]), ATOM)
    exponent = page.size(term.attr)
    if term.attr.constant is None:
        plain = term.attr.atom is not None and exponent.isidentifier() and exponent != "T"
        return Piece((base, "^", exponent if plain else f"({exponent})"), POSTFIX)
    return Piece((base, exponent.translate(_SUPERSCRIPT) if page.fancy else "^" + exponent), POSTFIX)


def _transpose(term: Term, page: Page) -> Piece:
    return Piece((wrapped(page.piece(term.args[0]), ATOM), "'"))


def _kron(term: Term, page: Page) -> Piece:
    made = signed(page.piece(term.args[0]))
    for factor in term.args[1:]:
        made = Piece(("kron(", made, ", ", signed(page.piece(factor)), ")"))
    return made


def _unicode_kron(term: Term, page: Page) -> Piece:
    return joined((wrapped(page.piece(factor), UNARY) for factor in term.args), " ⊗ ", KRON)


def _unicode_transpose(term: Term, page: Page) -> Piece:
    base, sign = term.args[0], "ᵀ"
    if base.op is ops.INV:
        base, sign = base.args[0], "⁻ᵀ"
    return Piece((wrapped(page.piece(base), ATOM), sign), POSTFIX)


def _unicode_inverse(term: Term, page: Page) -> Piece:
    return Piece((wrapped(page.piece(term.args[0]), ATOM), "⁻¹"), POSTFIX)


def _unicode_norm(term: Term, page: Page) -> Piece:
    return Piece(("‖", signed(page.piece(term.args[0])), "‖"))


# ---------------------------------------------------------------- the tables; other operators print as calls

_ASCII: dict[Op, Rule] = {
    ops.NUM: _product,
    ops.INT: _integer,
    ops.CONST: _constant,
    ops.SYM: _symbol,
    ops.MEMBER: _member,
    ops.EYE: _sized,
    ops.ZEROS: _filled,
    ops.ONES: _filled,
    ops.BASIS: _sized,
    ops.COMMUTATION: _sized,
    ops.DUPLICATION: _sized,
    ops.ELIMINATION: _sized,
    ops.IND: _indicator,
    ops.ADD: _sum,
    ops.TIMES: _product,
    ops.SCALE: _product,
    ops.MUL: _matrix_product,
    ops.HAD: _product,
    ops.KRON: _kron,
    ops.TRANSPOSE: _transpose,
    ops.MPOW: _matrix_power,
    ops.POW: _pow,
    ops.FUN: _function,
    ops.POLYGAMMA: _polygamma,
    ops.SOFTMAXROWS: _calls("softmax"),
    ops.LOGSUMEXPROWS: _calls("logsumexp"),
    ops.UNVEC: _unvec,
    ops.DIAGONAL: _calls("diag"),
    ops.TOTAL: _calls("sum"),
    ops.ENTRY: _entry,
    ops.SLICE: _slice,
    ops.BLOCK: _block,
    ops.DEXPM: _frechet,
    ops.DLOGM: _frechet,
    ops.EIGVECS: _eigenvectors,
    ops.SUM: _binder,
    ops.FAMILY: _binder,
    ops.PROD: _binder,
    ops.STATE: _state,
    ops.PART: _part,
    ops.JOINT: _joint,
    ops.DIFF: _differential,
}

_UNICODE: dict[Op, Rule] = {
    **_ASCII,
    ops.KRON: _unicode_kron,
    ops.TRANSPOSE: _unicode_transpose,
    ops.INV: _unicode_inverse,
    ops.NORM: _unicode_norm,
}
