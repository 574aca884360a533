"""Text to syntax tree, by the grammar in ``grammar/matcalc.lark``.

Nothing here is recursive in the depth of the text: the tree is built while parsing.  This is the
only reader of strings in the package.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken
from lark.grammar import Rule
from lark.lark import PostLex
from lark.lexer import ContextualLexer, TerminalDef

from ..bounds import ADJUST, bounded, current, tick
from ..cache import cached
from ..errors import LimitExceeded, ParseError
from ..resources import data_dir
from .latex import Builder, read_latex
from .latex_commands import Commands
from .syntax import Node

STARTS = ("script", "expression", "rulefile", "type")
_OPEN = {"LPAR", "LSQB", "LBRACE"}
_CLOSE = {"RPAR", "RSQB", "RBRACE"}
_BRACKETS = _OPEN | _CLOSE | {"LNORM", "RNORM"}
_ENDS_OPERAND = {"NAME", "NUMBER", "RPAR", "RSQB", "TRANSPOSE", "SUPERSCRIPT", "RNORM", "LATEX"}


class _Layout(PostLex):
    """Ends of statements outside brackets; left and right ‖ told apart.

    After a ``where`` outside brackets, semicolons part its definitions up to the end of the line.
    """

    always_accept = ("_NEWLINE", "_SEMICOLON", "_NORM")

    def process(self, stream: Iterator[Token]) -> Iterator[Token]:
        """Rewrite the stream of tokens."""
        brackets: list[str] = []
        before = ""
        where = False
        for token in stream:
            tick()
            kind = token.type
            if kind in _OPEN:
                brackets.append(kind)
            elif kind in _CLOSE and brackets:
                brackets.pop()
            elif kind == "_NEWLINE":
                if brackets and not token.startswith(";"):
                    continue
                kind = "_SEMICOLON" if brackets else "_END"
                where = where and bool(brackets)
            elif kind == "_WHERE":
                where = where or not brackets
            elif kind == "_SEMICOLON":
                if not brackets and not where:
                    kind = "_END"
            elif kind == "_NORM":
                if brackets and brackets[-1] == "_NORM" and before in _ENDS_OPERAND:
                    brackets.pop()
                    kind = "RNORM"
                else:
                    brackets.append("_NORM")
                    kind = "LNORM"
            made = token if kind == token.type else Token.new_borrow_pos(kind, token.value, token)
            if kind == "_END" and before in ("", "_END"):
                continue
            before = kind
            yield made


class _Builder:
    """Called by the parser for each construct, bottom-up."""

    def __getattr__(self, kind: str) -> Any:
        if not kind.islower() or kind.startswith("_"):  # tokens; constructs that vanish
            raise AttributeError(kind)

        def build(parts: list[Any]) -> Node:
            return _node(kind, parts)

        return build

    def latex(self, parts: list[Any]) -> Node:
        """A formula between dollars."""
        return Node("group", [read_latex(parts[0])], parts[0].start_pos, parts[0].end_pos)

    def question(self, parts: list[Any]) -> Node:
        """An expression alone; an equation in dollars is a definition."""
        inner = parts[0].parts[0] if parts[0].kind == "group" else parts[0]
        if inner.kind == "equation" and isinstance(inner, Node):
            left, right = inner.parts
            if left.kind == "juxtaposed" and [p.kind for p in left.parts] == ["name", "group"]:  # f(x) = ...
                name, group = left.parts
                given = group.parts[0].parts if group.parts[0].kind == "tuple" else group.parts
                left = Node("call", [*name.parts, Node("args", given, group.start, group.end)], left.start, left.end)
            elif left.kind == "index":
                left = Node("index", left.parts, left.start, left.end)
            return Node("definition", [left, right], parts[0].start, parts[0].end)
        return _node("question", parts)

    def args(self, parts: list[Any]) -> Node:
        """Arguments; an equation in dollars is one."""
        return _node("args", [p.parts[0] if _is_equation(p) else p for p in parts])

    def chain(self, parts: list[Any]) -> Node:
        """``a + b - c`` or ``a*b/c``: one node, however long."""
        left, operator, right = parts
        kind = "sum" if operator.type in ("PLUS", "MINUS", "DOTPLUS", "DOTMINUS") else "product"
        if left.kind == kind:
            left.parts.append(right)
            left.ops.append(operator.type)
            left.end = right.end
            longer: Node = left
            return longer
        return Node(kind, [left, right], left.start, right.end, [operator.type])

    def kron(self, parts: list[Any]) -> Node:
        """``A ⊗ B ⊗ C``: one node."""
        left, right = parts
        if left.kind == "kron":
            left.parts.append(right)
            left.end = right.end
            longer: Node = left
            return longer
        return Node("kron", [left, right], left.start, right.end)


def _node(kind: str, parts: list[Any]) -> Node:
    """A node that spans all its parts; brackets count for the span and are then dropped."""
    placed = [p for p in parts if p is not None]
    start = min((at for at in map(_start, placed) if at >= 0), default=-1)
    end = max(map(_end, placed), default=-1)
    kept = [p for p in parts if not (isinstance(p, Token) and p.type in _BRACKETS)]
    if kind == "type":  # the name and the sizes, or None; the optional brackets leave placeholders
        kept = [kept[0], next((p for p in kept[1:] if p is not None), None)]
    return Node(kind, kept, start, end)


def _is_equation(part: Any) -> bool:
    return isinstance(part, Node) and part.kind == "group" and part.parts[0].kind == "equation"


def _start(part: Any) -> int:
    return part.start if isinstance(part, Node) else (part.start_pos or 0)


def _end(part: Any) -> int:
    return part.end if isinstance(part, Node) else (part.end_pos or 0)


class _Lexer(ContextualLexer):
    """Without Lark's search for terminals that overlap: a test does it once, not every start."""

    def __init__(self, conf: Any, *args: Any, **more: Any) -> None:
        conf.skip_validation = True
        super().__init__(conf, *args, **more)


@cache
def _lark() -> Lark:
    """One parser for all starts: most of the cost of making it is shared."""
    return _parser("matcalc", STARTS, _Layout(), _Builder())


@cache
def latex_parser() -> Lark:
    """The parser of what stands between dollars."""
    return _parser("latex", ("start",), Commands(), Builder())


def _parser(grammar: str, starts: tuple[str, ...], postlex: PostLex, builder: object) -> Lark:
    """The parser of a grammar, its tables from the cache."""
    given: dict[str, Any] = {"postlex": postlex, "transformer": builder, "_plugins": {"ContextualLexer": _Lexer}}

    def make() -> tuple[Any, Any]:
        text = (data_dir("grammar") / f"{grammar}.lark").read_text(encoding="utf-8")
        lark = Lark(text, start=list(starts), parser="lalr", lexer="contextual", maybe_placeholders=True, **given)
        data, memo = lark.memo_serialize([TerminalDef, Rule])
        data["options"] = {name: value for name, value in data["options"].items() if name not in given}
        return data, memo

    data, memo = cached(f"grammar-{grammar}", make)
    reader: Any = Lark  # what its stand-alone parsers are made of
    made: Lark = reader._load_from_dict(data, memo, **given)
    return made


SHORT = 500
"""The trees of texts up to this many characters are remembered: declarations recur from call to call."""


def _parsed(text: str, start: str) -> Node:
    tree: Any = _lark().parse(text, start=start)
    node: Node = tree
    return node


_remembered = lru_cache(maxsize=1_000)(_parsed)


@bounded
def parse_syntax(text: str, start: str = "expression") -> Node:
    """The syntax tree of a text, which nobody changes: the same text has the same tree.

    ``start`` is ``expression``, ``script``, ``rulefile`` or ``type``.  Raises
    :class:`ParseError` with the place of the first thing that does not fit.
    """
    longest = current().characters
    if longest is not None and len(text) > longest:
        raise LimitExceeded(f"the text has more than {longest} characters", hint=ADJUST)
    clean = unicodedata.normalize("NFC", text)
    try:
        return (_remembered if len(clean) <= SHORT else _parsed)(clean, start)
    except UnexpectedInput as error:
        raise _explain(error, clean) from None
    except ParseError as error:  # found while a formula between dollars was read
        error.text = clean
        raise


def _explain(error: UnexpectedInput, text: str) -> ParseError:
    if isinstance(error, UnexpectedCharacters):
        at = error.pos_in_stream or 0
        if text[at] == "$":
            said = "a formula in LaTeX stands between two dollars: $x^T A x$"
            return ParseError("this dollar opens no formula", text=text, start=at, end=at + 1, hint=said)
        glued = re.match(r"[\d.]+[A-Za-z_]\w*", text[at:])
        if glued:
            said = f"{glued[0]!r} is not a number"
            product = "a product is written with *: 2*x; a name starts with a letter"
            return ParseError(said, text=text, start=at, end=at + glued.end(), hint=product)
        return ParseError(f"the character {text[at]!r} has no meaning here", text=text, start=at, end=at + 1)
    if isinstance(error, UnexpectedToken):
        token = error.token
        if token.type == "$END":
            at = len(text.rstrip())
            return ParseError("the expression is not finished" + _missing(text), text=text, start=at, end=at + 1)
        at = token.start_pos or 0
        end = token.end_pos or at + 1
        shown = "the end of the line" if token.type == "_END" else repr(str(token))
        message, hint = _diagnose(token, text, at, error)
        return ParseError(message or f"{shown} does not fit here", text=text, start=at, end=end, hint=hint)
    return ParseError("this is not an expression", text=text, start=0, end=1)


def _missing(text: str) -> str:
    opened = []
    pairs = {")": "(", "]": "[", "}": "{"}
    for char in text:
        if char in "([{":
            opened.append(char)
        elif char in pairs and opened and opened[-1] == pairs[char]:
            opened.pop()
    return f": {opened[-1]!r} is not closed" if opened else ""


def _diagnose(token: Token, text: str, at: int, error: UnexpectedToken) -> tuple[str | None, str | None]:
    """A message for the mistakes that people make, and what would be right."""
    before = text[:at].rstrip()
    if token.type in ("_OTIMES", "STAR", "SLASH", "DOTSTAR", "DOTSLASH") and before and before[-1] not in "*/@^(,+-":
        return (
            "⊗ stands beside another product",
            "write parentheses to say which comes first: (A ⊗ B)*C or A ⊗ (B*C)",
        )
    if token.type == "_END" and before and before[-1] in "+-*/^@,(":
        return "the line ends in the middle of an expression", "a line goes on only inside brackets"
    if token.type in ("NAME", "NUMBER", "LPAR") and before and (before[-1].isalnum() or before[-1] in ")]'_"):
        return f"there is no operator before {str(token)!r}", "a product is written with *: 2*x, A*x, a*(b + c)"
    if token.type in ("RPAR", "RSQB", "RBRACE"):
        return f"{str(token)!r} closes nothing, or closes too early", None
    return None, None
