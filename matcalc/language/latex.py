r"""LaTeX formulas, between dollars, to the syntax tree of the language.

The grammar is ``grammar/latex.lark``.  What depends on declarations or on shapes is left to the inference:
whether letters side by side are a product or a call (``juxtaposed``), whether a subscript is part of a name,
an index or an entry (an ``index`` whose ``ops`` are ``LATEX``), what ``|X|`` is (``vertical``), ``\|X\|_2``
(``two_norm``), a power of e (``euler``), a root (``root``), I (``identity``) and a bold number (``filled``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lark import Token
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from ..errors import ParseError
from .syntax import Node, walk

LATEX = ["LATEX"]
"""The mark of an index that may be part of a name."""


# ---------------------------------------------------------------- the tree


def _plain(parts: list[Any]) -> tuple[list[Any], int, int]:
    """The parts that are nodes, and the place of all of them."""
    start = min((p.start if isinstance(p, Node) else p.start_pos or 0) for p in parts if p is not None)
    end = max((p.end if isinstance(p, Node) else p.end_pos or 0) for p in parts if p is not None)
    return [p for p in parts if isinstance(p, Node)], start, end


def _opened(part: Any) -> Any:
    """What stands inside braces."""
    return part.parts[0] if isinstance(part, Node) and part.kind == "inside" else part


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
        """What stands in the braces of a script or a fraction; the construct around takes it out."""
        return Node("inside", [parts[1]], parts[0].start_pos, parts[2].end_pos)

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
        if operator.type == "SLASH" and right.kind == "juxtaposed":
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

    def khatrirao(self, parts: list[Any]) -> Node:
        """``A \\ast B``."""
        left, right = parts
        return _call("khatrirao", [left, right], left.start, right.end)

    def juxtaposed(self, parts: list[Any]) -> Node:
        """Factors side by side."""
        left, right = parts
        factors = left.parts if left.kind == "juxtaposed" else [left]
        if _is_log_gamma(factors[-1]) and innermost(right).kind == "group":
            made = applied(right, lambda args, end: _call("lgamma", args, factors[-1].start, end))
            return Node("juxtaposed", [*factors[:-1], made], left.start, right.end) if len(factors) > 1 else made
        if innermost(right).kind == "number":
            raise ParseError("a number stands on the left of its product", start=right.start, end=right.end,
                             hint="write 2 x, x^2 or x_2; between numbers \\cdot")  # fmt: skip
        if factors[-1].kind == "call" and "BARE" in factors[-1].ops and right.kind != "call":
            raise ParseError("it is not clear where the function's argument ends", start=right.start, end=right.end,
                             hint="write \\log(x) y or \\log(x y)")  # fmt: skip
        return Node("juxtaposed", [*factors, right], left.start, right.end)

    # ------------------------------------------------------------ large signs

    def ruled(self, parts: list[Any]) -> Node:
        """``\\sum_{i=1}^{n} body``; ``\\prod_{k=n,\\,n-1,\\,\\ldots,\\,1} body``."""
        sign, body = parts[0], parts[-1]
        limit = parts[2]
        parts = [_opened(p) for p in parts]
        by = None
        if limit.kind == "limit":
            index, low = limit.parts
            high = parts[-2]
        else:
            index, low, second, high = limit.parts
            by = _direction(low, second)
        over = Node("range", [index, low, high, by], limit.start, high.end, LATEX)
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
        head, script = parts[0], _opened(parts[1])
        if script.kind != "number":
            hint = "write (\\sin x)^{-1}, or \\arcsin for the inverse function"
            raise ParseError("this power of a function is not clear", start=script.start, end=script.end, hint=hint)
        return Node("head", [head.parts[0], script, head.parts[2]], head.start, script.end)

    def head_sizes(self, parts: list[Any]) -> Node:
        """``\\operatorname{unvec}_{m,n}``."""
        head, sizes = parts[0], _opened(parts[1])
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
        base, script = parts[0], _opened(parts[1])
        start, end = base.start, parts[1].end
        if script.kind == "top":
            return Node("transpose", [base], start, end)
        if script.kind == "inverse_top":
            return Node("superscript", [base, "⁻ᵀ"], start, end)
        if script.kind == "dotted":
            return Node("power", [base, Token("DOTPOW", ".^"), script.parts[-1]], start, end)
        if script.kind in ("plus", "plus_top"):
            made = Node("pseudo", [base], start, end)
            return made if script.kind == "plus" else Node("transpose", [made], start, end)
        if script.kind == "star":
            raise ParseError("a superscript * has no meaning: every value is real", start=script.start, end=end)
        if _half(script):
            return Node("root", [base, script], start, end, [_half(script)])
        if base.kind == "name" and base.parts[0] == "e":
            return Node("euler", [base, Token("POW", "^"), script], start, end)
        return Node("power", [base, Token("POW", "^"), script], start, end)

    def index(self, parts: list[Any]) -> Node:
        """A subscript: part of a name, an index, an entry, the kind of a norm, a size."""
        base, script = parts[0], _opened(parts[1])
        end = max(base.end, parts[1].end)
        slots = script.parts if script.kind == "tuple" else [script]
        if base.kind in ("power", "root"):  # x^2_i is x_i^2
            inner = self.index([base.parts[0], parts[1]])
            return Node(base.kind, [inner, *base.parts[1:]], base.start, end)
        if base.kind in ("bars", "bars_power"):
            return _norm(base, script, end)
        if base.kind in ("identity", "filled"):
            return Node(base.kind, [*base.parts[:1], *slots], base.start, end)
        if script.kind == "star":
            raise ParseError("this subscript has no meaning", start=script.start, end=script.end)
        return Node("index", [base, Node("slots", slots, script.start, script.end)], base.start, end, LATEX)

    def inverse_top(self, parts: list[Any]) -> Node:
        """``-\\top``."""
        return Node("inverse_top", [], parts[0].start_pos, parts[-1].end_pos)

    # ------------------------------------------------------------ what has brackets

    def fraction(self, parts: list[Any]) -> Node:
        """``\\frac{a}{b}``."""
        sign, above, below = parts
        made = Node("product", [_opened(above), _opened(below)], sign.start_pos, below.end, ["SLASH"])
        return Node("group", [made], made.start, made.end)

    def square_root(self, parts: list[Any]) -> Node:
        """``\\sqrt{x}``."""
        return _call("sqrt", [_opened(parts[1])], parts[0].start_pos, parts[1].end)

    def nth_root(self, parts: list[Any]) -> Node:
        """``\\sqrt[3]{x}``."""
        sign, _, order, _, base = parts
        one = Node("number", ["1"], order.start, order.end)
        exponent = Node("product", [one, order], order.start, order.end, ["SLASH"])
        return Node("power", [_opened(base), Token("POW", "^"), exponent], sign.start_pos, base.end)

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

    def where(self, parts: list[Any]) -> Node:
        """Definitions after where; ``v_{1}`` is a name unless other states of v are defined."""
        nodes, start, end = _plain(parts)
        lefts = [binding.parts[0] for binding in nodes[1].parts]
        named = {prefix for left in lefts if (prefix := _prefix(left))}
        for node in [node for part in nodes for node in walk(part)] if named else ():
            if _prefix(node) in named:  # \\theta_{0,k+1} is the state of theta_0
                slots = node.parts[1]
                name = Node("name", ["_".join(_prefix(node))], node.start, slots.start)
                node.parts = [name, Node("slots", slots.parts[-1:], slots.start, slots.end)]
        moving = {_base(left) for left in lefts if left.kind == "index" and not _numbered(left)}
        fixed = {(_base(left), _numbered(left)) for left in lefts if left.kind == "index" and _base(left) not in moving}
        made = Node("where", nodes, start, end)
        for node in walk(made):
            if node.kind == "index" and (_base(node), _numbered(node)) in fixed:
                node.kind, node.parts, node.ops = "name", [_base(node) + _numbered(node)], []
        for left in lefts:
            left.ops = []
        return made


def _prefix(node: Node) -> tuple[str, ...]:
    """Of an index of several parts the name and all but the last, where they are words."""
    if node.kind != "index" or node.parts[0].kind != "name" or len(node.parts[1].parts) < 2:
        return ()
    words = [node.parts[0], *node.parts[1].parts[:-1]]
    plain = all(word.kind in ("name", "number") for word in words)
    return tuple(str(word.parts[0]) for word in words) if plain else ()


def _base(index: Node) -> str:
    base = index.parts[0]
    return str(base.parts[0]) if base.kind == "name" else ""


def _numbered(index: Node) -> str:
    """The number in a subscript, if it is one."""
    slots = index.parts[1].parts
    return str(slots[0].parts[0]) if len(slots) == 1 and slots[0].kind == "number" else ""


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


SCRIPTS = ("power", "root", "transpose", "index", "superscript", "pseudo")


def innermost(node: Node) -> Node:
    """What carries all the scripts."""
    while node.kind in SCRIPTS:
        node = node.parts[0]
    return node


def applied(group: Node, call: Callable[[list[Node], int], Node]) -> Node:
    """A call of what stands in the parentheses; the scripts of the parentheses become those of the call."""
    chain = []
    while group.kind in SCRIPTS:
        chain.append(group)
        group = group.parts[0]
    inner = group.parts[0]
    made = call(inner.parts if inner.kind == "tuple" else [inner], group.end)
    for script in reversed(chain):
        made = Node(script.kind, [made, *script.parts[1:]], made.start, script.end, list(script.ops))
    return made


def _half(node: Node) -> str:
    """``PLUS`` for 1/2, ``MINUS`` for -1/2, else nothing."""
    sign = "PLUS"
    while node.kind in ("group", "negative"):
        sign = "MINUS" if node.kind == "negative" else sign
        node = node.parts[0]
    if node.kind != "product" or node.ops != ["SLASH"]:
        return ""
    above, below = node.parts
    if above.kind == "negative":
        sign, above = "MINUS", above.parts[0]
    numbers = [str(part.parts[0]) if part.kind == "number" else "" for part in (above, below)]
    return sign if numbers == ["1", "2"] else ""


def _is_log_gamma(node: Node) -> bool:
    if node.kind != "call" or node.parts[0] != "log" or "BARE" not in node.ops:
        return False
    (argument,) = node.parts[1].parts
    return bool(argument.kind == "name" and argument.parts[0] == "Gamma")


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
        parsed: Any = latex_parser().parse(text)
        made: Node = parsed
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
