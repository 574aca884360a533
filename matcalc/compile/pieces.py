"""Pieces of source text, and the kinds of arrays that they stand for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..terms import ops
from ..terms.dims import ONE
from ..terms.term import Term
from .names import COLUMN, MATRIX, ROW, SCALAR

ADDITIVE, PRODUCT, POWER, ATOM = range(4)


@dataclass(frozen=True)
class Code:
    """An expression, how tightly it binds, and as a product: numerators, denominators, sign."""

    text: str
    level: int = ATOM
    over: tuple[tuple[str, ...], tuple[str, ...], bool] | None = None

    def at(self, level: int) -> str:
        """The text as an operand that binds at least as tightly as ``level``."""
        return self.text if self.level >= level else f"({self.text})"


def _factors(code: Code) -> tuple[tuple[str, ...], tuple[str, ...], bool]:
    return code.over or ((code.at(POWER),), (), False)


def product_code(codes: Iterable[Code]) -> Code:
    """``-a * b / c``: numerators first, then the denominators."""
    top: list[str] = []
    bottom: list[str] = []
    negative = False
    for code in codes:
        above, below, minus = _factors(code)
        top += [text for text in above if text != "1"]
        bottom += below
        negative ^= minus
    text = " * ".join(top) or "1"
    if bottom:
        repeated = len(set(bottom)) < len(bottom)  # a / b / b: the square may overflow
        text += " / " + (" / ".join(bottom) if len(bottom) == 1 or repeated else f"({' * '.join(bottom)})")
    level = PRODUCT if negative or bottom or len(top) > 1 else POWER
    if negative:
        several = len(top) + len(bottom) > 1 and not text[0].isdigit()
        text = f"-({text})" if several else f"-{text}"  # the sign last: -x*y would copy x
    return Code(text, level, (tuple(top), tuple(bottom), negative))


def number_code(value: int | Fraction) -> Code:
    """A number as an expression."""
    top, bottom = abs(value.numerator), value.denominator
    if 1 < bottom <= 64 and bottom & (bottom - 1) == 0 and top < 1000:
        return product_code([Code("", ATOM, ((str(top / bottom),), (), value < 0))])
    if value >= 0 and bottom == 1:
        return Code(str(top), ATOM, ((str(top),), (), False))
    return product_code([Code("", ATOM, ((str(top),), (str(bottom),) if bottom != 1 else (), value < 0))])


def call(function: str, *args: str) -> Code:
    """A call of a function."""
    return Code(f"{function}({', '.join(args)})")


def positive(code: Code) -> str:
    """The text of a product that begins with a minus, without it."""
    if code.over is None:
        return code.text[1:]
    top, bottom, _ = code.over
    return product_code([Code("", ATOM, (top, bottom, False))]).text


def sum_code(codes: Sequence[Code]) -> Code:
    """``a + b - c``."""
    ordered = sorted(codes, key=lambda c: c.text.startswith("-")) if codes[0].text.startswith("-") else codes
    text = ordered[0].text
    for code in ordered[1:]:
        minus = code.text.startswith("-") and code.level >= PRODUCT
        text += (
            f" - {positive(code)}" if minus else f" + {code.at(PRODUCT) if code.text.startswith('-') else code.text}"
        )
    return Code(text, ADDITIVE)


def form_of(term: Term) -> str:
    """Scalar, column, row or matrix: what a term is."""
    if term.cols is ONE:
        return SCALAR if term.rows is ONE else COLUMN
    return ROW if term.rows is ONE else MATRIX


def as_2d(code: Code, kind: str) -> str:
    """The expression as a 2-D array."""
    if kind == MATRIX:
        return code.text
    if kind == SCALAR:
        return f"np.array([[{code.text}]])"
    return f"{code.at(ATOM)}{'[:, None]' if kind == COLUMN else '[None, :]'}"


ALIASING = frozenset({ops.SYM, ops.MEMBER, ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.STATE})


def converted(code: Code, kind: str, wanted: str) -> Code:
    """The same entries as an array of another kind."""
    if kind == wanted or {kind, wanted} == {COLUMN, ROW}:
        return code
    if wanted == MATRIX:
        return Code(as_2d(code, kind))
    if kind == SCALAR:
        return call("np.array", f"[{code.text}]")
    if kind == MATRIX:
        return Code(code.at(ATOM) + {COLUMN: "[:, 0]", ROW: "[0]", SCALAR: "[0, 0]"}[wanted])
    return Code(f"{code.at(ATOM)}[0]")


def returned(code: Code, root: Term, form: str) -> str:
    """What the function returns for a root; never an argument itself."""
    if root.op is ops.FAMILY:  # stacked along axis 0, a list where sizes differ
        return code.text if root.rows.indices or root.cols.indices else f"np.array({code.text})"
    kind = form_of(root)
    if kind == SCALAR:
        return f"float({code.text})" if form == "array" else f"np.array([[{code.text}]], dtype=float)"
    text = code.text if form == "array" and kind == COLUMN else as_2d(code, kind)
    return f"np.array({text})" if root.op in ALIASING else text
