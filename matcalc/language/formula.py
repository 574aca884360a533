r"""What the constructs of LaTeX mean that only declarations or shapes decide.

Most become a construct of the plain language: letters side by side a product or a call, a subscript part of a
name, an index or an entry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import ParseError, ShapeError
from ..terms.dims import ONE
from .functions import FUNCTIONS
from .latex import LATEX, applied, innermost
from .names import GREEK_NAMES, ascii_name
from .shapes import SCALAR, Shape
from .syntax import Node, Task

if TYPE_CHECKING:
    from .inference import Inference
    from .meanings import Frame, Meaning


# ---------------------------------------------------------------- side by side


def side_by_side(inference: Inference, node: Node, frame: Frame) -> Node:
    """``a^T X b`` is a product; ``f(x)`` is a call where f is a function."""
    _refuse_words(inference, node.parts, frame)
    factors: list[Node] = []
    for part in node.parts:
        called = _called(inference, factors[-1], part, frame) if factors else None
        if called is not None:
            factors[-1] = called
        else:
            factors.append(part)
    return (
        factors[0]
        if len(factors) == 1
        else Node("product", factors, node.start, node.end, ["STAR"] * (len(factors) - 1))
    )


def _refuse_words(inference: Inference, parts: list[Node], frame: Frame) -> None:
    """Letters without a space that are a name or a function: ``mu`` for ``\\mu``, ``log(x)`` for ``\\log(x)``."""
    at = 0
    while at < len(parts):
        first, letters, end = at, "", innermost(parts[at]).start
        while at < len(parts):
            name = innermost(parts[at])
            if name.kind != "name" or name.end - name.start != 1 or name.start != end:
                break
            letters += str(name.parts[0])
            end, at = name.end, at + 1
            if parts[at - 1] is not name:  # a script ends the word
                break
        follows = at < len(parts) and innermost(parts[at]).kind == "group"
        known = [inference.is_known(word, frame) for word in (letters, *letters)]
        word = known[0] or (follows and letters in FUNCTIONS) or letters in GREEK_NAMES
        if len(letters) > 1 and word and not all(known[1:]):
            spelled = "\\" + letters if letters in GREEK_NAMES else f"\\mathrm{{{letters}}}"
            raise ParseError(f"{letters} is read letter by letter", hint=f"write {spelled}").locate(
                frame.text, parts[first].start, end
            )
        at = max(at, first + 1)


def _called(inference: Inference, before: Node, after: Node, frame: Frame) -> Node | None:
    """The call that a name and the parentheses after it are."""
    if innermost(after).kind != "group":
        return None
    primes, name, power = 0, before, None
    order: Node | None = None
    while name.kind == "transpose":
        primes, name = primes + 1, name.parts[0]
    if name.kind == "power" and not primes:
        exponent = name.parts[2]
        if exponent.kind == "group":
            order = exponent.parts[0]
        else:
            power = name
        name = name.parts[0]
    if name.kind == "index":
        named = _with_word(name)
        name = Node("name", [named], name.start, name.end) if named else subscripted(inference, name, frame)
    if name.kind != "name":
        return None
    spelled = ascii_name(str(name.parts[0]))
    start = before.start
    if _is_function(inference, spelled, frame):
        written = str(name.parts[0])
        if order is not None:
            primes, order = _order(order, frame), None
    elif not inference.is_known(spelled, frame) and (spelled in _FUNCTION_NAMES or spelled == "psi"):
        inference.tell(f"{spelled}(...) is a function: {spelled} is not declared")
        written = _FUNCTION_NAMES.get(spelled) or ("digamma", "trigamma", "polygamma")[min(primes, 2)]
        if spelled == "psi" and (order is not None or primes > 1):
            written, order = "polygamma", order or Node("number", [str(primes)], before.start, before.end)
        primes = 0
    else:
        plain = name is before or len(spelled) > 1
        if plain and _looks_called(spelled, innermost(after)) and not inference.is_known(spelled, frame):
            hint = f"declare {spelled}: function, or write the product {spelled} \\cdot (...)"
            raise ParseError(f"{spelled} may be a function or a factor", hint=hint).locate(
                frame.text, before.start, after.end
            )
        return None

    def call(args: list[Node], end: int) -> Node:
        if primes:
            return Node("primed", [written + "'" * primes, *args], start, end)
        given = args if order is None else [order, *args]
        return Node("call", [written, Node("args", given, start, end)], start, end)

    if power is None:
        return applied(after, call)
    if power.parts[2].kind != "number":
        hint = "write f(x)^{-1}, or define the inverse function"
        raise ParseError("this power of a function is not clear", hint=hint).locate(frame.text, power.start, power.end)
    return Node("power", [applied(after, call), *power.parts[1:]], start, after.end)


_FUNCTION_NAMES = {"lambda_max": "eigmax", "v_max": "eigvecmax"}
"""Names that are functions before parentheses unless they are declared; so is psi."""


def _with_word(node: Node) -> str:
    """``v_max`` for ``v_{\\max}``, a function before parentheses also where v is declared; else empty."""
    base, slots = node.parts[0], node.parts[1].parts
    if base.kind != "name" or len(slots) != 1:
        return ""
    name = f"{ascii_name(str(base.parts[0]))}_{_word(slots[0])}"
    return name if name in _FUNCTION_NAMES else ""


MAX_ORDER = 20


def _order(node: Node, frame: Frame) -> int:
    """The number in ``\\phi^{(4)}``."""
    text = str(node.parts[0]) if node.kind == "number" else ""
    if not text.isdigit() or len(text) > 2 or int(text) > MAX_ORDER:
        raise ParseError(f"the order of a derivative is a number up to {MAX_ORDER}").locate(
            frame.text, node.start, node.end
        )
    return int(text)


CALLED = {"f", "g", "h", "F", "G", "phi", "sigma"}
"""Letters that are taken for functions before parentheses."""


def _looks_called(name: str, group: Node) -> bool:
    word = len(name) > 1 and name not in GREEK_NAMES and "_" not in name and not name[-1].isdigit()
    return word or name in CALLED or group.parts[0].kind in ("name", "tuple")


def _is_function(inference: Inference, name: str, frame: Frame) -> bool:
    return inference.is_unknown_function(name, frame) or any(
        name in scope.functions for scope in (frame.scope, inference.root.scope)
    )


# ---------------------------------------------------------------- subscripts


def subscripted(inference: Inference, node: Node, frame: Frame) -> Node:
    """A name with its subscript, or the index of a member, a state or an entry."""
    base, slots = node.parts[0], node.parts[1].parts
    if base.kind != "name":
        return Node("index", node.parts, node.start, node.end)
    stem = ascii_name(str(base.parts[0]))
    words = [_word(slot) for slot in slots]
    known = inference.found(stem, frame)
    if known is None or known.kind not in ("family", "body", "recurrence", "half"):
        for count in range(len(slots), 0, -1):
            if None in words[:count]:
                continue
            suffix = "_".join(word for word in words[:count] if word)
            for name in (f"{stem}_{suffix}", f"{stem}{suffix}"):
                if inference.is_known(name, frame):
                    return _indexed(Node("name", [name], base.start, slots[count - 1].end), slots[count:], node)
    if known is not None and (stem not in _OF_A_SIZE or _has_entries(known, len(slots))):
        return _split(inference, base, slots, node, frame)
    return _unknown(inference, base, slots, words, node, frame)


def _split(inference: Inference, base: Node, slots: list[Node], node: Node, frame: Frame) -> Node:
    """``A_{ij}`` has two indices; of a family the second is of the member."""
    name = ascii_name(str(base.parts[0]))
    meaning = inference.found(name, frame)
    letters = slots[0].parts if len(slots) == 1 and slots[0].kind == "group" else slots
    if len(letters) == 1 and letters[0].kind == "juxtaposed" and len(letters[0].parts) == 2:
        letters = letters[0].parts
    elif len(letters) == 1 and letters[0].kind == "number" and len(str(letters[0].parts[0])) == 2:
        digits = letters[0]
        letters = [Node("number", [digit], digits.start, digits.end) for digit in str(digits.parts[0])]
    if len(letters) != 2 or meaning is None:
        return _indexed(base, slots, node)
    if meaning.kind in ("family", "recurrence"):
        if len(slots) == 1 and slots[0].kind == "number":
            return _indexed(base, slots, node)
        member = _indexed(base, letters[:1], node)
        return _indexed(member, letters[1:], node)
    if len(slots) == 1 and meaning.kind == "symbol" and ONE in (meaning.value.rows, meaning.value.cols):
        return _indexed(base, slots, node)
    return _indexed(base, letters, node)


_NAMED = {"D": "duplication", "L": "elimination"}
_OF_A_SIZE = {*_NAMED, "K", "e"}
"""Letters of matrices that have their sizes, or the place of their 1, as a subscript."""


def _has_entries(meaning: Meaning, slots: int) -> bool:
    """True when so many subscripts can be indices of what the letter means."""
    if meaning.kind == "integer":
        return False
    if meaning.kind != "symbol" or meaning.value.cols is not ONE:
        return True
    return meaning.value.rows is not ONE and slots == 1


def _unknown(
    inference: Inference, base: Node, slots: list[Node], words: list[str | None], node: Node, frame: Frame
) -> Node:
    """A name that nothing declares: with a number or a word as subscript another name, else an index."""
    stem = str(base.parts[0])
    if stem == "e" and len(slots) == 1:
        return Node("unit", slots, node.start, node.end)
    if stem in _NAMED and len(slots) == 1 and slots[0].kind != "number":
        name = _NAMED[stem]
        inference.tell(f"{stem} with a size is the {name} matrix")
        return Node("call", [name, Node("args", slots, node.start, node.end)], node.start, node.end)
    if stem == "K" and len(slots) == 2 and (None in words or all(_is_size(inference, slot, frame) for slot in slots)):
        return Node("call", ["commutation", Node("args", slots, node.start, node.end)], node.start, node.end)
    if None not in words and not any(_is_index(inference, word or "", frame) for word in words):
        suffix = "_".join(word or "" for word in words)
        joint = "" if suffix.isdigit() else "_"
        return Node("name", [f"{stem}{joint}{suffix}"], node.start, node.end)
    return _split(inference, base, slots, node, frame)


def _is_index(inference: Inference, word: str, frame: Frame) -> bool:
    name = ascii_name(word)
    return name in frame.bound or name in frame.scope.integers or name in inference.integers


def _is_size(inference: Inference, slot: Node, frame: Frame) -> bool:
    """True for numbers above 1, names of integers, and products of these."""
    while slot.kind == "group":
        slot = slot.parts[0]
    if slot.kind == "juxtaposed":
        return all(_is_size(inference, part, frame) for part in slot.parts)
    word = _word(slot)
    return word is None or (word > "1" and word[0].isdigit()) or _is_index(inference, word, frame)


def _indexed(base: Node, slots: list[Node], node: Node) -> Node:
    if not slots:
        return base
    made = Node("slots", slots, slots[0].start, slots[-1].end)
    return Node("index", [base, made], node.start, node.end)


def _word(slot: Node) -> str | None:
    """A subscript as part of a name: a name, a number, letters side by side."""
    while slot.kind == "group":
        slot = slot.parts[0]
    if slot.kind in ("name", "number"):
        word = str(slot.parts[0])
        return word if word.replace("_", "").isalnum() else None
    if slot.kind == "identity" and len(slot.parts) == 1:
        return "I"
    if slot.kind == "juxtaposed":
        words = [_word(part) for part in slot.parts]
        return None if None in words else "".join(word or "" for word in words)
    return None


# ---------------------------------------------------------------- shapes


def rewritten(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """What becomes a construct of the plain language."""
    plain = _PLAIN[node.kind](inference, node, frame)
    frame.how[node] = plain
    result: Shape = yield inference.shape(plain, frame)
    return result


def identity(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """I, with a size or of the size that fits, unless I is declared."""
    name, slots = node.parts[0], node.parts[1:]
    plain: Node | None = None
    if inference.found("I", frame) is not None:
        plain = subscripted(inference, _indexed(name, slots, node), frame) if slots else name
    elif slots:
        plain = Node("call", ["eye", Node("args", slots, node.start, node.end)], node.start, node.end)
    if plain is not None:
        frame.how[node] = plain
        shape: Shape = yield inference.shape(plain, frame)
        return shape
    inference.tell("I is the identity matrix")
    n = inference.sizes.fresh()
    return n, n


def unit(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``e_i``: a unit vector of the length that fits."""
    frame.dims[node] = [(yield inference.integer(node.parts[0], frame))]
    inference.tell("e with a subscript is a unit vector")
    return inference.sizes.fresh(), ONE


def euler(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``e^x`` is exp(x), of a matrix its exponential, unless e is declared; a recurrence has no powers."""
    exponent, declared_e = node.parts[2], inference.found("e", frame)
    if declared_e is not None and declared_e.kind != "recurrence":
        frame.how[node] = Node("power", node.parts, node.start, node.end)
        declared: Shape = yield inference.shape(frame.how[node], frame)
        return declared
    inference.tell("e^x is exp(x), of a matrix expm(x)")
    shape: Shape = yield _squared(inference, exponent, frame, "a power of e")
    return shape


def root(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``A^{1/2}``: of a matrix sqrtm(A)."""
    return _squared(inference, node.parts[0], frame, "the root of a matrix")


def vertical(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    """``|X|``: the determinant of a matrix, the absolute value of a scalar."""
    yield _squared(inference, node.parts[0], frame, "the determinant |X|")
    return SCALAR


def _squared(inference: Inference, node: Node, frame: Frame, what: str) -> Task[Shape]:
    """The shape of a scalar or a square matrix."""
    shape: Shape = yield inference.resolved(node, frame)
    if shape != SCALAR:
        inference.square(shape, node, frame, what)
    return shape


def two_norm(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    r"""``\|x\|_2``; of a matrix it is the spectral norm."""
    yield inference.resolved(node.parts[0], frame)
    return SCALAR


def one_norm(inference: Inference, node: Node, frame: Frame) -> Task[Shape]:
    r"""``\|x\|_1`` of a vector; of a matrix it means different things in different books."""
    shape: Shape = yield inference.resolved(node.parts[0], frame)
    if ONE not in shape:
        hint = "norm1(X) outside the dollars is the sum of the absolute entries"
        raise ShapeError("\\|X\\|_1 of a matrix means two things", hint=hint)
    return SCALAR


def _filled(_: Inference, node: Node, __: Frame) -> Node:
    """``\\mathbf{1}_{n}`` and ``\\mathbf{0}_{m \\times n}``."""
    digit: Node = node.parts[0]
    slots = node.parts[1:]
    if not slots:
        if str(digit.parts[0]) == "0":
            return Node("number", ["0"], node.start, node.end)
        return Node("call", ["vector", Node("args", [digit], node.start, node.end)], node.start, node.end)
    name = "ones" if str(digit.parts[0]) == "1" else "zeros"
    return Node("call", [name, Node("args", slots, node.start, node.end)], node.start, node.end)


def _pseudo(_: Inference, node: Node, __: Frame) -> Node:
    """``A^{+}``."""
    return Node("call", ["pinv", Node("args", node.parts[:1], node.start, node.end)], node.start, node.end)


def plain_integer(inference: Inference, node: Node, frame: Frame) -> Node | None:
    """The construct that a size or an index in LaTeX stands for; None when it is none of LaTeX."""
    if node.kind == "juxtaposed":
        return side_by_side(inference, node, frame)
    if node.kind == "index" and node.ops == LATEX:
        return subscripted(inference, node, frame)
    return None


_PLAIN = {"juxtaposed": side_by_side, "filled": _filled, "pseudo": _pseudo}
