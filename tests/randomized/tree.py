"""Expressions of their own, apart from those of the package: sizes, nodes, and the text that they are written as."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from random import Random
from typing import Any


class Size:
    """A polynomial in named sizes, written as the language writes it."""

    __slots__ = ("terms",)

    def __init__(self, terms: Mapping[tuple[str, ...], Fraction]) -> None:
        self.terms = tuple(sorted((names, c) for names, c in terms.items() if c))

    @staticmethod
    def of(value: int | str) -> Size:
        return Size({(value,) if isinstance(value, str) else (): Fraction(1 if isinstance(value, str) else value)})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Size) and self.terms == other.terms

    def __hash__(self) -> int:
        return hash(self.terms)

    def __repr__(self) -> str:
        return self.text

    def __add__(self, other: Size) -> Size:
        total = dict(self.terms)
        for names, c in other.terms:
            total[names] = total.get(names, Fraction(0)) + c
        return Size(total)

    def __mul__(self, other: Size) -> Size:
        total: dict[tuple[str, ...], Fraction] = {}
        for a, c in self.terms:
            for b, e in other.terms:
                names = tuple(sorted(a + b))
                total[names] = total.get(names, Fraction(0)) + c * e
        return Size(total)

    @property
    def half(self) -> Size:
        """n(n+1)/2."""
        return self * (self + ONE) * Size({(): Fraction(1, 2)})

    @property
    def text(self) -> str:
        text = ""
        for names, c in sorted(self.terms, key=lambda term: term[1] < 0):
            factors = ([str(abs(c))] if abs(c) != 1 or not names else []) + list(names)
            sign = "-" if c < 0 else "+"
            text += (f" {sign} " if text else "-" if c < 0 else "") + "*".join(factors)
        return text or "0"

    @property
    def written(self) -> bool:
        """True when it can stand where a size is asked for."""
        return all(c.denominator == 1 for _, c in self.terms)

    @property
    def atomic(self) -> bool:
        return len(self.terms) == 1 and (not self.terms[0][0] or (len(self.terms[0][0]) == 1 and self.terms[0][1] == 1))

    def parts(self) -> tuple[Size, Size] | None:
        """Two sizes of which it is the sum."""
        if len(self.terms) < 2 or not self.written:
            return None
        return Size(dict(self.terms[:1])), Size(dict(self.terms[1:]))

    def factors(self) -> tuple[Size, Size] | None:
        """Two sizes of which it is the product."""
        if len(self.terms) != 1 or self.atomic:
            return None
        names, c = self.terms[0]
        if c.denominator != 1:
            return None
        if c != 1:
            return Size({(): c}), Size({names: Fraction(1)})
        return Size.of(names[0]), Size({names[1:]: Fraction(1)})

    def value(self, env: Mapping[str, int]) -> int:
        total = Fraction(0)
        for names, c in self.terms:
            for name in names:
                c *= env[name]
            total += c
        return int(total)


ONE = Size.of(1)
Shape = tuple[Size, Size]
At = tuple[str, int]
"""An index expression: a name (or nothing) and what is added to it."""


def at_text(at: At) -> str:
    name, offset = at
    if not name:
        return str(offset)
    return name if not offset else f"{name}{'+' if offset > 0 else '-'}{abs(offset)}"


def at_value(at: At, env: Mapping[str, int]) -> int:
    return (env[at[0]] if at[0] else 0) + at[1]


@dataclass(frozen=True)
class E:
    """A node: what is done, to what, the shape, and what else belongs to it."""

    op: str
    args: tuple[E, ...]
    rows: Size
    cols: Size
    attr: Any = None

    @property
    def shape(self) -> Shape:
        return self.rows, self.cols

    @property
    def is_scalar(self) -> bool:
        return self.rows == ONE and self.cols == ONE

    def walk(self) -> Iterator[E]:
        yield self
        for arg in self.args:
            yield from arg.walk()

    @property
    def depth(self) -> int:
        return 1 + max((arg.depth for arg in self.args), default=0)

    @property
    def label(self) -> str:
        """The function or the construct of the language."""
        return str(self.attr[0] if self.op == "fun" else self.op)

    def with_args(self, args: tuple[E, ...]) -> E:
        return replace(self, args=args)


# ---------------------------------------------------------------- text

SUM, PRODUCT, KRON, UNARY, POSTFIX = range(1, 6)

TRANSPOSED = ("{}'", "{}'", "{}'", "{}.T", "{}ᵀ", "{}^T")
INVERSE = ("{}^-1", "{}⁻¹")


class Writer:
    """Text of a node; of several spellings one is taken by chance."""

    def __init__(self, rng: Random | None = None) -> None:
        self.rng = rng or Random(0)
        self.plain = rng is None

    def choose(self, options: tuple[str, ...]) -> str:
        return options[0] if self.plain else self.rng.choice(options)

    def write(self, e: E) -> str:
        return self.leveled(e)[0]

    def at(self, e: E, level: int) -> str:
        """The text where at least this level is asked for."""
        text, found = self.leveled(e)
        if found < level or (found == KRON and level <= KRON and level != SUM):
            return f"({text})"
        return text

    def leveled(self, e: E) -> tuple[str, int]:
        special = _SPECIAL.get(e.op)
        if special is not None:
            return special(self, e)
        sizes = [s.text for s in e.attr] if e.op in SIZED else []
        return f"{e.op}({', '.join([*map(self.write, e.args), *sizes])})", POSTFIX


SIZED = ("unvec", "eye", "ones", "zeros", "commutation", "duplication", "elimination", "eigvecs")
"""Calls that end with sizes."""


def _number(_: Writer, e: E) -> tuple[str, int]:
    text = str(e.attr)
    return text, SUM if text.startswith("-") else PRODUCT if "/" in text else POSTFIX


def _add(w: Writer, e: E) -> tuple[str, int]:
    text = w.at(e.args[0], PRODUCT if e.args[0].op != "kron" else SUM)
    if e.attr[0] < 0:
        text = f"-{w.at(e.args[0], UNARY)}"
    for sign, arg in zip(e.attr[1:], e.args[1:], strict=True):
        text += f" {'+' if sign > 0 else '-'} {w.at(arg, PRODUCT)}"
    return text, SUM


def _chain(symbols: tuple[str, ...]) -> Callable[[Writer, E], tuple[str, int]]:
    def write(w: Writer, e: E) -> tuple[str, int]:
        first, *others = e.args
        text = w.at(first, UNARY) if w.plain or w.rng.random() < 0.5 else w.at(first, PRODUCT)
        for arg in others:
            text += w.choose(symbols) + w.at(arg, UNARY)
        return text, PRODUCT

    return write


def _scale(w: Writer, e: E) -> tuple[str, int]:
    s, a = e.args
    if w.plain or w.rng.random() < 0.8:
        return f"{w.at(s, UNARY)}*{w.at(a, UNARY)}", PRODUCT
    return f"{w.at(a, UNARY)}*{w.at(s, UNARY)}", PRODUCT


def _kron(w: Writer, e: E) -> tuple[str, int]:
    if not w.plain and w.rng.random() < 0.5:
        return f"kron({', '.join(map(w.write, e.args))})", POSTFIX
    return " ⊗ ".join(w.at(arg, UNARY) for arg in e.args), KRON


def _dotted_sum(w: Writer, e: E) -> tuple[str, int]:
    left, right = (w.at(arg, PRODUCT) for arg in e.args)
    return f"{left} {'.+' if e.attr > 0 else '.-'} {right}", SUM


def _power(symbol: str) -> Callable[[Writer, E], tuple[str, int]]:
    def write(w: Writer, e: E) -> tuple[str, int]:
        exponent = w.write(e.args[1]) if len(e.args) > 1 else str(e.attr)
        plain = exponent.isalnum() or (exponent[:1] == "-" and exponent[1:].isalnum())
        return f"{w.at(e.args[0], POSTFIX)}{symbol}{exponent if plain else f'({exponent})'}", POSTFIX

    return write


def _transpose(w: Writer, e: E) -> tuple[str, int]:
    how = w.choose((*TRANSPOSED, "trans({})", "transpose({})"))
    return how.format(w.write(e.args[0]) if "(" in how else w.at(e.args[0], POSTFIX)), POSTFIX


def _inverse(w: Writer, e: E) -> tuple[str, int]:
    how = w.choose(("inv({})", "inv({})", *INVERSE))
    return how.format(w.write(e.args[0]) if "(" in how else w.at(e.args[0], POSTFIX)), POSTFIX


def _inverse_transpose(w: Writer, e: E) -> tuple[str, int]:
    return w.at(e.args[0], POSTFIX) + w.choose(("^-T", "⁻ᵀ", "^-1'")), POSTFIX


def _fun(w: Writer, e: E) -> tuple[str, int]:
    name, *more = e.attr
    if name == "phi":
        return f"{more[0]}{chr(39) * more[1]}({w.write(e.args[0])})", POSTFIX
    if name == "polygamma":
        return f"polygamma({more[0]}, {w.write(e.args[0])})", POSTFIX
    return f"{name}({w.write(e.args[0])})", POSTFIX


def _over(word: str) -> Callable[[Writer, E], tuple[str, int]]:
    def write(w: Writer, e: E) -> tuple[str, int]:
        index, low, high = e.attr
        return f"{word}({index}={at_text(low)}..{at_text(high)}, {w.write(e.args[0])})", POSTFIX

    return write


def _index(w: Writer, e: E) -> tuple[str, int]:
    return f"{w.at(e.args[0], POSTFIX)}[{','.join(map(at_text, e.attr))}]", POSTFIX


def _slice(w: Writer, e: E) -> tuple[str, int]:
    (a, b), (c, d) = ((first.text, last.text) for first, last in e.attr)
    inside = f"{a}..{b}" if e.args[0].cols == ONE else f"{a}..{b},{c}..{d}"
    return f"{w.at(e.args[0], POSTFIX)}[{inside}]", POSTFIX


def _blocks(w: Writer, e: E) -> tuple[str, int]:
    width = e.attr
    rows = [e.args[i : i + width] for i in range(0, len(e.args), width)]
    return f"[{'; '.join(', '.join(w.at(b, SUM) for b in row) for row in rows)}]", POSTFIX


def _recurrence(w: Writer, e: E) -> tuple[str, int]:
    name, index, last, step = e.attr
    start, body, result = map(w.write, e.args)
    first = "0" if step > 0 else last.text
    following = f"{index}{'+' if step > 0 else '-'}1"
    return f"({result} where {name}[{first}] = {start}; {name}[{following}] = {body})", POSTFIX


def _two_recurrences(w: Writer, e: E) -> tuple[str, int]:
    first, second, index, _ = e.attr
    lefts = (f"{first}[0]", f"{second}[0]", f"{first}[{index}+1]", f"{second}[{index}+1]")
    given = "; ".join(f"{left} = {w.write(arg)}" for left, arg in zip(lefts, e.args[:-1], strict=True))
    return f"({w.write(e.args[-1])} where {given})", POSTFIX


def _derivative(w: Writer, e: E) -> tuple[str, int]:
    kind, variable = e.attr
    return f"{kind}({w.write(e.args[0])}, {variable})", POSTFIX


def _let(w: Writer, e: E) -> tuple[str, int]:
    return f"({w.write(e.args[1])} where {e.attr} = {w.write(e.args[0])})", POSTFIX


_SPECIAL: dict[str, Callable[[Writer, E], tuple[str, int]]] = {
    "var": lambda _, e: (e.attr, POSTFIX),
    "num": _number,
    "size": lambda _, e: (e.attr.text, POSTFIX if e.attr.atomic else SUM),
    "index": lambda _, e: (at_text(e.attr), POSTFIX if not e.attr[1] or not e.attr[0] else SUM),
    "pi": lambda _, __: ("pi", POSTFIX),
    "neg": lambda w, e: (f"-{w.at(e.args[0], UNARY)}", UNARY),
    "add": _add,
    "mul": _chain(("*", "*", "*", "@", " * ")),
    "had": _chain((".*", " .* ", " ⊙ ")),
    "hdiv": _chain(("./", " ./ ")),
    "div": _chain(("/",)),
    "scale": _scale,
    "kron": _kron,
    "shift": _dotted_sum,
    "pow": _power("^"),
    "hpow": _power(".^"),
    "T": _transpose,
    "inv": _inverse,
    "invT": _inverse_transpose,
    "fun": _fun,
    "sumover": _over("sum"),
    "prodover": _over("prod"),
    "member": lambda _, e: (f"{e.attr[0]}[{at_text(e.attr[1])}]", POSTFIX),
    "state": lambda _, e: (f"{e.attr[0]}[{at_text(e.attr[1])}]", POSTFIX),
    "ind": lambda _, e: (f"ind({at_text(e.attr[0])} {e.attr[1]} {at_text(e.attr[2])})", POSTFIX),
    "basis": lambda _, e: (f"basis({at_text(e.attr[0])}, {e.rows.text})", POSTFIX),
    "entry": _index,
    "slice": _slice,
    "blocks": _blocks,
    "rec": _recurrence,
    "rec2": _two_recurrences,
    "let": _let,
    "derivative": _derivative,
    "bars": lambda w, e: (f"‖{w.write(e.args[0])}‖", POSTFIX),
}


def text_of(e: E, rng: Random | None = None) -> str:
    """The text of an expression; without ``rng`` in its plainest spelling."""
    return Writer(rng).write(e)
