r"""LaTeX formulas, between dollars, to the syntax tree of the language.

The grammar is ``grammar/latex.lark``.  What depends on declarations or on shapes is left to the inference:
whether letters side by side are a product or a call (``juxtaposed``), whether a subscript is part of a name,
an index or an entry (an ``index`` whose ``ops`` are ``LATEX``), what ``|X|`` is (``vertical``), ``\|X\|_2``
(``two_norm``), a power of e (``euler``), I (``identity``) and a bold number (``filled``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.lark import PostLex

from ..errors import ParseError
from .functions import FUNCTIONS, NOT_YET
from .names import GREEK_NAMES
from .syntax import Node, walk

LATEX = ["LATEX"]
"""The mark of an index that may be part of a name."""

# ---------------------------------------------------------------- commands

_LETTERS = {name: name for name in GREEK_NAMES} | {
    "varphi": "phi", "varepsilon": "epsilon", "vartheta": "theta", "varrho": "rho", "varsigma": "sigma", "ell": "ell",
}  # fmt: skip
_FUNCTIONS = {
    **{name: name for name in ("log", "exp", "sin", "cos", "tan", "sinh", "cosh", "tanh", "det")},
    **{"ln": "log", "arcsin": "asin", "arccos": "acos", "arctan": "atan", "tr": "tr", "Tr": "tr", "trace": "tr"},
    **{"Trace": "tr", "Det": "det", "diag": "diag", "Diag": "diag", "sgn": "sign", "logdet": "logdet"},
}
_OPERATORS = {
    **{"cdot": "STAR", "times": "STAR", "odot": "DOTSTAR", "circ": "DOTSTAR", "oslash": "DOTSLASH"},
    **{"otimes": "_OTIMES", "ldots": "_DOTS", "dots": "_DOTS", "cdots": "_DOTS"},
    **{"top": "TOP", "intercal": "TOP", "prime": "PRIME", "frac": "FRACTION", "dfrac": "FRACTION"},
    **{"tfrac": "FRACTION", "cfrac": "FRACTION", "sqrt": "SQRT", "\\": "_NEWROW"},
    **{"langle": "LANGLE", "rangle": "RANGLE", "lbrace": "LCURLY", "rbrace": "RCURLY", "{": "LCURLY", "}": "RCURLY"},
    **{"lbrack": "LSQB", "rbrack": "RSQB", "lparen": "LPAR", "rparen": "RPAR"},
    **{"lvert": "LBAR", "rvert": "RBAR", "lVert": "LNORM", "rVert": "RNORM"},
    **{"vert": "_BAR", "mid": "_BAR", "|": "_NORM", "Vert": "_NORM", "sum": "SIGN", "prod": "SIGN"},
}
_RELATIONS = {"le": "<=", "leq": "<=", "leqslant": "<=", "ge": ">=", "geq": ">=", "geqslant": ">=", "ne": "!=",
              "neq": "!=", "lt": "<", "gt": ">"}  # fmt: skip
_NOTHING = {
    "quad", "qquad", "displaystyle", "textstyle", "scriptstyle", "limits", "nolimits", "mathbf", "boldsymbol", "bm",
    "mathcal", "mathfrak", "mathscr", "bold", "pmb", "thinspace", "medspace", "enspace", "nonumber", "bigl", "bigr",
    "Bigl", "Bigr", "biggl", "biggr", "Biggl", "Biggr", "big", "Big", "bigg", "Bigg", "bigm", "Bigm",
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
        before, side, filled = "", "", ""
        for token in stream:
            if token.type == "_COMMAND" and token in ("\\left", "\\right"):
                side = str(token)
                continue
            if token in ("\\.", ".") and side:
                side = ""
                continue
            made = _meaning(token)
            if made is None:
                continue
            kind = made.type
            if kind in _SIDES:
                opening, closing = _SIDES[kind]
                closes = side == "\\right" or (side == "" and brackets[-1:] == [opening] and before in _OPERAND)
                kind = closing if closes else opening
            side = ""
            filled = "sizes" if before == "_SUB" and filled == "FILLED" and kind == "LBRACE" else filled
            if filled == "sizes" and kind == "STAR" and token == "\\times":
                kind = "_COMMA"  # 1_{m \times n}
            if kind in _OPENING:
                brackets.append(kind)
            elif kind in _CLOSING:
                filled = "" if filled == "sizes" else filled
                if brackets:
                    brackets.pop()
            if kind == "FILLED" or (filled == "FILLED" and kind != "_SUB"):
                filled = "FILLED" if kind == "FILLED" else ""
            before = kind
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
    accent, letter = re.fullmatch(r"\\(?:wide)?([a-z]+?)\s*\{?\s*\\?([A-Za-z]+?)\s*\}?", str(token)).groups()  # type: ignore[union-attr]
    if len(letter) > 1 and letter not in _LETTERS:
        raise _refused(token, f"the accent of {letter!r} is not understood", "an accent is of one letter")
    base = _LETTERS.get(letter, letter)
    return Token.new_borrow_pos("NAME", base if accent == "vec" else f"{base}_{accent}", token)


def _environment(token: Token) -> Token:
    name = token[token.index("{") + 1 : token.index("}")].strip()
    if name not in _MATRICES:
        raise _refused(token, f"the environment {name} is not understood", "blocks stand in pmatrix or bmatrix")
    return Token.new_borrow_pos("BEGIN" if token.startswith("\\begin") else "END", name, token)


# ---------------------------------------------------------------- the tree


def _plain(parts: list[Any]) -> tuple[list[Any], int, int]:
    """The parts that are nodes, and the place of all of them."""
    start = min((p.start if isinstance(p, Node) else p.start_pos or 0) for p in parts if p is not None)
    end = max((p.end if isinstance(p, Node) else p.end_pos or 0) for p in parts if p is not None)
    return [p for p in parts if isinstance(p, Node)], start, end


def _call(name: str, args: list[Any], start: int, end: int) -> Node:
    return Node("call", [name, Node("args", args, start, end)], start, end)


class Builder:
    """Called by the parser for each construct, bottom-up."""

    def __getattr__(self, kind: str) -> Any:
        if not kind.islower() or kind.startswith("_"):
            raise AttributeError(kind)

        def build(parts: list[Any]) -> Node:
            nodes, start, end = _plain(parts)
            return Node(kind, nodes, start, end)

        return build

    def start(self, parts: list[Any]) -> Node:
        """The whole formula."""
        made: Node = parts[0]
        return made

    def name(self, parts: list[Any]) -> Node:
        """A letter, a Greek letter, a word; I is the identity unless it is declared."""
        token = parts[0]
        made = Node("name", [str(token)], token.start_pos, token.end_pos)
        return Node("identity", [made], made.start, made.end) if token == "I" else made

    def number(self, parts: list[Any]) -> Node:
        """A number."""
        return Node("number", [parts[0]], parts[0].start_pos, parts[0].end_pos)

    def sums(self, parts: list[Any]) -> Node:
        """What stands between commas."""
        nodes, start, end = _plain(parts)
        return nodes[0] if len(nodes) == 1 else Node("tuple", nodes, start, end)

    def inside(self, parts: list[Any]) -> Node:
        """What stands in the braces of a script or a fraction."""
        made: Node = parts[1]
        return made

    def braces(self, parts: list[Any]) -> Node:
        """``{a + b}`` as a factor."""
        inner: Node = parts[1]
        if inner.kind in ("sum", "product", "negative", "juxtaposed", "kron"):
            return Node("group", [inner], parts[0].start_pos, parts[2].end_pos)
        return inner

    def chain(self, parts: list[Any]) -> Node:
        """``a + b - c`` or ``a \\cdot b``: one node, however long."""
        left, operator, right = parts
        kind = "sum" if operator.type in ("PLUS", "MINUS") else "product"
        if operator.type == "SLASH" and _unclear_after_slash(right):
            hint = "write a fraction, \\frac{a}{b} c, or brackets"
            raise ParseError("it is not clear where the denominator ends", start=right.start, end=right.end, hint=hint)
        if left.kind == kind:
            return Node(kind, [*left.parts, right], left.start, right.end, [*left.ops, operator.type])
        return Node(kind, [left, right], left.start, right.end, [operator.type])

    def kron(self, parts: list[Any]) -> Node:
        """``A \\otimes B \\otimes C``: one node."""
        left, right = parts
        before = left.parts if left.kind == "kron" else [left]
        return Node("kron", [*before, right], left.start, right.end)

    def juxtaposed(self, parts: list[Any]) -> Node:
        """Factors side by side."""
        left, right = parts
        factors = left.parts if left.kind == "juxtaposed" else [left]
        if _innermost(right).kind == "number":
            raise ParseError("a number stands on the left of its product", start=right.start, end=right.end,
                             hint="write 2 x, x^2 or x_2; between numbers \\cdot")  # fmt: skip
        if factors[-1].kind == "call" and "BARE" in factors[-1].ops and right.kind not in ("call", "ruled"):
            raise ParseError("it is not clear where the function's argument ends", start=right.start, end=right.end,
                             hint="write \\log(x) y or \\log(x y)")  # fmt: skip
        return Node("juxtaposed", [*factors, right], left.start, right.end)

    # ------------------------------------------------------------ large signs

    def ruled(self, parts: list[Any]) -> Node:
        """``\\sum_{i=1}^{n} body``; ``\\prod_{k=n,\\,n-1,\\,\\ldots,\\,1} body``."""
        sign, body = parts[0], parts[-1]
        limit = parts[2]
        by = None
        if limit.kind == "limit":
            index, low = limit.parts
            high = parts[-2]
        else:
            index, low, second, high = limit.parts
            by = _direction(low, second)
        over = Node("range", [index, low, high, by], limit.start, high.end)
        return _call("sum" if sign == "\\sum" else "prod", [over, body], sign.start_pos, body.end)

    def ruled_late(self, parts: list[Any]) -> Node:
        """``\\sum^{n}_{i=1} body``."""
        sign, high, opening, limit, closing, body = parts
        return self.ruled([sign, opening, limit, closing, high, body])

    def unruled(self, parts: list[Any]) -> Node:
        """A sum without a range."""
        _, start, _ = _plain(parts)
        sign = parts[0]
        raise ParseError("the range of the index is missing", start=start, end=sign.end_pos,
                         hint=f"write {sign}_{{i=1}}^{{n}}")  # fmt: skip

    def limit(self, parts: list[Any]) -> Node:
        """``i=1``."""
        index, _, low = parts
        name = Node("name", [str(index)], index.start_pos, index.end_pos)
        return Node("limit", [name, low], name.start, low.end)

    def range(self, parts: list[Any]) -> Node:
        """``k=L,\\,L-1,\\,\\ldots,\\,1``."""
        index, _, low, second, high = parts
        name = Node("name", [str(index)], index.start_pos, index.end_pos)
        return Node("downwards", [name, low, second, high], name.start, high.end)

    # ------------------------------------------------------------ functions

    def head(self, parts: list[Any]) -> Node:
        """The name of a function, its exponent and its sizes."""
        token = parts[0]
        return Node("head", [str(token), None, []], token.start_pos, token.end_pos)

    def head_power(self, parts: list[Any]) -> Node:
        """``\\sin^2``."""
        head, script = parts
        if script.kind != "number":
            hint = "write (\\sin x)^{-1}, or \\arcsin for the inverse function"
            raise ParseError("this power of a function is not clear", start=script.start, end=script.end, hint=hint)
        return Node("head", [head.parts[0], script, head.parts[2]], head.start, script.end)

    def head_sizes(self, parts: list[Any]) -> Node:
        """``\\operatorname{unvec}_{m,n}``."""
        head, sizes = parts
        listed = sizes.parts if sizes.kind == "tuple" else [sizes]
        return Node("head", [head.parts[0], head.parts[1], listed], head.start, sizes.end)

    def call(self, parts: list[Any]) -> Node:
        """A function with its arguments in parentheses."""
        head, group = parts
        inner = group.parts[0]
        return self._applied(head, inner.parts if inner.kind == "tuple" else [inner], group.end)

    def bare(self, parts: list[Any]) -> Node:
        """A function of the factor that follows."""
        head, argument = parts
        if head.parts[0] == "log" and head.parts[1] is None and argument.kind == "call" and argument.parts[0] == "det":
            head = Node("head", ["logdet", None, head.parts[2]], head.start, head.end)
            made = self._applied(head, argument.parts[1].parts, argument.end)
            made.ops = argument.ops
            return made
        made = self._applied(head, [argument], argument.end)
        if argument.kind not in ("vertical", "bars") and not (argument.kind == "call" and "BARE" not in argument.ops):
            made.ops = ["BARE"]
        return made

    def _applied(self, head: Node, args: list[Node], end: int) -> Node:
        name, power, sizes = head.parts
        made = _call(name, [*args, *sizes], head.start, end)
        if power is None:
            return made
        return Node("power", [made, Token("POW", "^"), power], head.start, end)

    # ------------------------------------------------------------ scripts

    def transpose(self, parts: list[Any]) -> Node:
        """``A'``; of an unknown function its derivative."""
        base, prime = parts
        return Node("transpose", [base], base.start, prime.end_pos)

    def power(self, parts: list[Any]) -> Node:
        """A superscript."""
        base, script = parts
        start, end = base.start, script.end
        if script.kind == "top":
            return Node("transpose", [base], start, end)
        if script.kind == "inverse_top":
            return Node("superscript", [base, "⁻ᵀ"], start, end)
        if script.kind == "dotted":
            return Node("power", [base, Token("DOTPOW", ".^"), script.parts[-1]], start, end)
        if script.kind in ("star", "plus"):
            if script.kind == "plus":
                return _call("pinv", [base], start, end)
            raise ParseError("a superscript * has no meaning: every value is real", start=script.start, end=end)
        if base.kind == "name" and base.parts[0] == "e":
            return Node("euler", [base, Token("POW", "^"), script], start, end)
        return Node("power", [base, Token("POW", "^"), script], start, end)

    def index(self, parts: list[Any]) -> Node:
        """A subscript: part of a name, an index, an entry, the kind of a norm, a size."""
        base, script = parts
        end = max(base.end, script.end)
        slots = script.parts if script.kind == "tuple" else [script]
        if base.kind == "power":  # x^2_i is x_i^2
            inner = self.index([base.parts[0], script])
            return Node("power", [inner, *base.parts[1:]], base.start, end)
        if base.kind in ("bars", "bars_power"):
            return _norm(base, script, end)
        if base.kind in ("identity", "filled"):
            return Node(base.kind, [*base.parts[:1], *slots], base.start, end)
        if script.kind in ("star", "plus"):
            raise ParseError("this subscript has no meaning", start=script.start, end=script.end)
        return Node("index", [base, Node("slots", slots, script.start, script.end)], base.start, end, LATEX)

    def inverse_top(self, parts: list[Any]) -> Node:
        """``-\\top``."""
        return Node("inverse_top", [], parts[0].start_pos, parts[-1].end_pos)

    # ------------------------------------------------------------ what has brackets

    def fraction(self, parts: list[Any]) -> Node:
        """``\\frac{a}{b}``."""
        sign, above, below = parts
        made = Node("product", [above, below], sign.start_pos, below.end, ["SLASH"])
        return Node("group", [made], made.start, made.end)

    def root(self, parts: list[Any]) -> Node:
        """``\\sqrt{x}``."""
        return _call("sqrt", [parts[1]], parts[0].start_pos, parts[1].end)

    def nth_root(self, parts: list[Any]) -> Node:
        """``\\sqrt[3]{x}``."""
        sign, _, order, _, base = parts
        one = Node("number", ["1"], order.start, order.end)
        exponent = Node("product", [one, order], order.start, order.end, ["SLASH"])
        return Node("power", [base, Token("POW", "^"), exponent], sign.start_pos, base.end)

    def filled(self, parts: list[Any]) -> Node:
        """``\\mathbf{1}``: ones, or zeros, of the shape that fits."""
        token = parts[0]
        digit = Node("number", ["1" if "1" in token else "0"], token.start_pos, token.end_pos)
        return Node("filled", [digit], digit.start, digit.end)

    def indicator(self, parts: list[Any]) -> Node:
        """``\\mathbf{1}[k \\geq 2]``."""
        sign, left, relation, right, closing = parts
        kind = "equation" if relation.type == "EQUALS" else "relation"
        inner = Node(kind, [left, right] if kind == "equation" else [left, relation, right], left.start, right.end)
        return _call("ind", [inner], sign.start_pos, closing.end_pos)

    def inner(self, parts: list[Any]) -> Node:
        """``\\langle A, B \\rangle`` is tr(A'B)."""
        nodes, start, end = _plain(parts)
        turned = Node("transpose", [nodes[0]], nodes[0].start, nodes[0].end)
        return _call("tr", [Node("product", [turned, nodes[1]], start, end, ["STAR"])], start, end)

    def blocks(self, parts: list[Any]) -> Node:
        """A matrix of blocks."""
        _, start, end = _plain(parts)
        return Node("blocks", [parts[1]], start, end)

    def bindings(self, parts: list[Any]) -> Node:
        """Definitions after where; ``v_{1}`` is a name unless other states of v are defined."""
        nodes, start, end = _plain(parts)
        lefts = [node.parts[0] for node in nodes]
        moving = {_base(left) for left in lefts if left.kind == "index" and left.parts[1].parts[0].kind != "number"}
        for node, left in zip(nodes, lefts, strict=True):
            if left.kind == "index" and _base(left) not in moving:
                suffix = "_".join(str(slot.parts[0]) for slot in left.parts[1].parts)
                node.parts[0] = Node("name", [f"{_base(left)}{suffix}"], left.start, left.end)
        return Node("bindings", nodes, start, end)


def _base(index: Node) -> str:
    base = index.parts[0]
    return str(base.parts[0]) if base.kind == "name" else ""


def _direction(low: Node, second: Node) -> Node:
    """By 1 or by -1, from the first two values of a written-out range."""
    down = second.kind == "sum" and "MINUS" in second.ops
    number = _number_of(second), _number_of(low)
    if number[0] is not None and number[1] is not None:
        down = number[0] < number[1]
    return Node("signed", [Token("MINUS", "-") if down else None, Token("NUMBER", "1")], second.start, second.end)


def _number_of(node: Node) -> int | None:
    text = str(node.parts[0]) if node.kind == "number" else ""
    return int(text) if text.isdigit() else None


def _innermost(node: Node) -> Node:
    while node.kind in ("power", "transpose", "index", "superscript"):
        node = node.parts[0]
    return node


def _unclear_after_slash(node: Node) -> bool:
    return node.kind == "juxtaposed"


def _norm(base: Node, script: Node, end: int) -> Node:
    r"""``\|x\|_2``, ``\|X\|_F``, ``\|x\|_1``, ``\|X\|_*``."""
    inner = base.parts[0]
    which = "*" if script.kind == "star" else str(script.parts[0]) if script.kind in ("name", "number") else ""
    if which in ("F", "Fro", "fro"):
        return Node("bars", [inner], base.start, end)
    if which == "2":
        return Node("two_norm", [inner], base.start, end)
    if which == "1":
        return Node("one_norm", [inner], base.start, end)
    if which == "*":
        return _call("nuclear", [inner], base.start, end)
    hint = "there are \\|x\\|, \\|x\\|_1, \\|x\\|_2, \\|X\\|_F and \\|X\\|_*"
    raise ParseError("this norm is not known", start=script.start, end=script.end, hint=hint)


# ---------------------------------------------------------------- reading


def read_latex(token: Token) -> Node:
    """The tree of a formula between dollars.  The places in it, and in errors, are those of the whole text."""
    from .parser import latex_parser

    text = str(token).strip("$")
    offset = (token.start_pos or 0) + str(token).index(text) if text.strip() else token.start_pos or 0
    if not text.strip():
        raise ParseError("there is nothing between the dollars", start=token.start_pos, end=token.end_pos)
    try:
        made: Node = latex_parser().parse(text)  # type: ignore[assignment]
    except UnexpectedInput as error:
        raise _explained(error, text, offset) from None
    except ParseError as error:
        error.start, error.end = (error.start or 0) + offset, (error.end or 0) + offset
        raise
    seen: set[int] = set()
    for node in walk(made):
        if id(node) not in seen:
            seen.add(id(node))
            node.start, node.end = node.start + offset, node.end + offset
    return made


def _explained(error: UnexpectedInput, text: str, offset: int) -> ParseError:
    if isinstance(error, UnexpectedToken) and error.token.type != "$END":
        at, end = error.token.start_pos or 0, error.token.end_pos or 0
        message = f"{str(error.token)!r} does not fit here"
    elif isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
        end = at + 1
        message = f"the character {text[at]!r} has no meaning here"
    else:
        at = len(text.rstrip())
        end, message = at + 1, "the formula is not finished"
    return ParseError(message, start=offset + at, end=offset + max(end, at + 1))
