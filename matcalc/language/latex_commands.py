r"""The commands of LaTeX: what they stand for, and which only change the looks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lark import Token
from lark.lark import PostLex

from ..bounds import tick
from ..errors import ParseError
from .functions import FUNCTIONS, NOT_YET
from .names import GREEK_NAMES

_LETTERS = {name: name for name in GREEK_NAMES} | {
    "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "varrho": "rho", "varsigma": "sigma", "ell": "ell",
}  # fmt: skip
_FUNCTIONS = {name: name for name in "log exp sin cos tan sinh cosh tanh det tr diag logdet max min".split()} | {  # noqa: SIM905
    "ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arsinh": "asinh", "arcosh": "acosh",
    "artanh": "atanh", "Tr": "tr", "trace": "tr", "Trace": "tr", "Det": "det", "Diag": "diag", "sgn": "sign",
}  # fmt: skip
_OPERATORS = {
    word: kind
    for kind, words in {
        "STAR": "cdot times",
        "DOTSTAR": "odot circ",
        "DOTSLASH": "oslash",
        "_OTIMES": "otimes",
        "_AST": "ast",
        "_DOTS": "ldots dots cdots",
        "_COLON": "colon",
        "TOP": "top intercal",
        "PRIME": "prime",
        "FRACTION": "frac dfrac tfrac cfrac",
        "SQRT": "sqrt",
        "SIGN": "sum prod",
        "_NEWROW": "\\",
        "LPAR": "lparen",
        "RPAR": "rparen",
        "LSQB": "lbrack",
        "RSQB": "rbrack",
        "LCURLY": "lbrace {",
        "RCURLY": "rbrace }",
        "LANGLE": "langle",
        "RANGLE": "rangle",
        "LBAR": "lvert",
        "RBAR": "rvert",
        "LNORM": "lVert",
        "RNORM": "rVert",
        "_BAR": "vert mid",
        "_NORM": "| Vert",
    }.items()
    for word in words.split()
}
_RELATIONS = {
    word: sign
    for sign, words in {"<=": "le leq leqslant", ">=": "ge geq geqslant", "!=": "ne neq", "<": "lt", ">": "gt"}.items()
    for word in words.split()
}
_NOTHING = {
    "quad", "qquad", "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "mathbf", "boldsymbol", "bm",
    "mathcal", "mathfrak", "mathscr", "bold", "pmb", "thinspace", "medspace", "enspace", "nonumber", "bigl", "bigr",
    "mathsf", "mathtt", "mathit", "Bigl", "Bigr", "biggl", "biggr", "Biggl", "Biggr", "big", "Big", "bigg", "Bigg",
    "bigm", "Bigm",
}  # fmt: skip
"""Commands that change how a formula looks, not what it means."""

_OPENING = {"LPAR", "LSQB", "LCURLY", "LBRACE", "LBAR", "LNORM", "LANGLE", "BEGIN", "INDICATOR"}
_CLOSING = {"RPAR", "RSQB", "RCURLY", "RBRACE", "RBAR", "RNORM", "RANGLE", "END"}
_OPERAND = {"NAME", "NUMBER", "DIGIT", "PRIME", "TOP", "FILLED", *_CLOSING}
_SIDES = {"_BAR": ("LBAR", "RBAR"), "_NORM": ("LNORM", "RNORM")}
_MATRICES = {"matrix", "pmatrix", "bmatrix", "Bmatrix", "smallmatrix", "array"}


def _refused(token: Token, message: str, hint: str | None = None) -> ParseError:
    return ParseError(message, start=token.start_pos, end=token.end_pos, hint=hint)


class Commands(PostLex):
    """Gives commands their meaning, and tells a bar that opens from one that closes."""

    always_accept = ("_COMMAND", "_WORD", "_ACCENT", "_ENVIRONMENT", "_BAR", "_NORM", "FILLED", "INDICATOR")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Rewrite the stream of tokens."""
        brackets: list[str] = []
        earlier, before, side, filled = "", "", "", ""
        outside = 0  # the brackets around the sizes of a bold number
        for token in stream:
            tick()
            if token.type == "_COMMAND" and token in ("\\left", "\\right"):
                side = str(token)
                continue
            if token in ("\\.", ".") and side:
                side = ""
                continue
            if "_SUB" in (before, earlier) and token in ("\\max", "\\min"):  # \lambda_{\max}
                token = Token.new_borrow_pos("NAME", token[1:], token)
            made = _meaning(token)
            if made is None:
                continue
            kind = made.type
            if kind in _SIDES:
                opening, closing = _SIDES[kind]
                closes = side == "\\right" or (side == "" and brackets[-1:] == [opening] and before in _OPERAND)
                kind = closing if closes else opening
            side = ""
            if before == "_SUB" and filled == "FILLED" and kind == "LBRACE":
                filled, outside = "sizes", len(brackets)
            if filled == "sizes" and kind == "STAR" and token == "\\times":
                kind = "_COMMA"  # 1_{m \times n}
            if kind in _OPENING:
                brackets.append(kind)
            elif kind in _CLOSING:
                if brackets:
                    brackets.pop()
                filled = "" if filled == "sizes" and len(brackets) == outside else filled
            if kind == "FILLED" or (filled == "FILLED" and kind != "_SUB"):
                filled = "FILLED" if kind == "FILLED" else ""
            earlier, before = before, kind
            yield made if kind == made.type else Token.new_borrow_pos(kind, made.value, made)


def _meaning(token: Token) -> Token | None:
    """What a command stands for; None for what only changes the looks."""
    if token.type == "_WORD":
        return _word(token)
    if token.type == "_ACCENT":
        return _accent(token)
    if token.type == "_ENVIRONMENT":
        return _environment(token)
    if token.type != "_COMMAND":
        return token
    name = token[1:]
    if name in _LETTERS:
        return Token.new_borrow_pos("NAME", _LETTERS[name], token)
    if name in _FUNCTIONS:
        return Token.new_borrow_pos("FUNCTION", _FUNCTIONS[name], token)
    if name in _OPERATORS:
        return Token.new_borrow_pos(_OPERATORS[name], token.value, token)
    if name in _RELATIONS:
        return Token.new_borrow_pos("RELATION", _RELATIONS[name], token)
    if name in _NOTHING:
        return None
    raise _refused(token, f"the command {token} is not understood", _HINTS.get(name))


_HINTS = {
    "partial": "a derivative is asked for outside the dollars: D($f$, x)",
    "nabla": "a gradient is asked for outside the dollars: grad($f$, x)",
    "pm": "write the two expressions one by one",
    "mathbb": "a set has no meaning in an expression",
}


def _word(token: Token) -> Token:
    r"""``\operatorname{tr}``, ``\text{where}``, ``\mathrm{loss}``."""
    word = token[token.index("{") + 1 : -1].strip().replace("\\_", "_")
    if word in ("where", "with"):
        return Token.new_borrow_pos("_WHERE", word, token)
    if word == "d":
        raise _refused(token, "a differential is not read from LaTeX", "write d(f) outside the dollars")
    name = _FUNCTIONS.get(word, word)
    if name in FUNCTIONS or NOT_YET.get(name) == "function" or name in ("ind", "rows", "cols"):
        return Token.new_borrow_pos("FUNCTION", name, token)
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*|\d+", word):
        raise _refused(token, f"{word!r} has no meaning in a formula")
    return Token.new_borrow_pos("NAME", word, token)


def _accent(token: Token) -> Token:
    r"""``\hat{x}`` is the name x_hat, ``\vec{x}`` is x."""
    found = re.fullmatch(r"\\(?:wide)?([a-z]+?)\s*\{?\s*\\?([A-Za-z]+?)\s*\}?", str(token))
    assert found is not None  # the lexer's pattern is this one
    accent, letter = found.groups()
    if len(letter) > 1 and letter not in _LETTERS:
        raise _refused(token, f"the accent of {letter!r} is not understood", "an accent is of one letter")
    base = _LETTERS.get(letter, letter)
    return Token.new_borrow_pos("NAME", base if accent == "vec" else f"{base}_{accent}", token)


def _environment(token: Token) -> Token:
    name = token[token.index("{") + 1 : token.index("}")].strip()
    if name not in _MATRICES:
        raise _refused(token, f"the environment {name} is not understood", "blocks stand in pmatrix or bmatrix")
    return Token.new_borrow_pos("BEGIN" if token.startswith("\\begin") else "END", name, token)
