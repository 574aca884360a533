"""Generated NumPy source in the words of another library.

The passes of the compiler write NumPy; a :class:`Dialect` says how each function of NumPy that they use is
called elsewhere.  Statements, names, comments and the docstring stay; what the dialect has no word for is
refused.  Helper functions are translated too, where the dialect has none of its own under the same name.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...errors import MatcalcError
from .words import ENTRYWISE

Call = str | Callable[["Translator", list[str], dict[str, str]], str]
"""Another name for a function with the same arguments, or the text of a call made of the texts of its arguments."""

_MODULES = ("np", "linalg", "special")


@dataclass(frozen=True)
class Dialect:
    """How another library says what NumPy and SciPy say.

    ``calls`` has the functions and constants by their dotted names, methods as ``.reshape``; ``helpers`` the
    helper functions by their names, ``imports`` the first lines and ``first`` what comes before the body.
    """

    name: str
    imports: str
    calls: Mapping[str, Call]
    helpers: Mapping[str, str] = field(default_factory=dict)
    first: Callable[[Translator], list[str]] = lambda _translator: []
    numbers: bool = False
    """True where functions of numbers take arrays only, not Python's own numbers."""


def translate(source: str, dialect: Dialect) -> str:
    """The module in another dialect.  Raises :class:`MatcalcError` for a function that it has no word for."""
    module = ast.parse(source)
    functions = [node for node in module.body if isinstance(node, ast.FunctionDef)]
    given = {f.name: f for f in functions[:-1]}
    translator = Translator(dialect, source)
    main = translator.function(functions[-1])
    helpers: dict[str, str] = {}
    waiting = sorted(translator.used)
    while waiting:
        name = waiting.pop()
        if name in helpers:
            continue
        if name in dialect.helpers:
            helpers[name] = dialect.helpers[name].rstrip()
            mentioned = set(re.findall(r"\b_[a-z]\w*\b", helpers[name]))
        elif name in given:
            inner = Translator(dialect, source)
            helpers[name] = inner.function(given[name])
            mentioned = inner.used
        else:
            continue
        waiting += sorted(mentioned & (given.keys() | dialect.helpers.keys()))
    parts = [*(helpers[name] for name in sorted(helpers)), main]
    imports = _imports(dialect.imports, "\n".join(parts))
    return "\n\n\n".join([imports, *parts]) + "\n"


def _imports(lines: str, text: str) -> str:
    """Those import lines whose names the text uses."""
    kept = []
    text += "\n".join(line for line in lines.splitlines() if not re.match("(from|import) ", line))
    for line in lines.splitlines():
        names = line.partition(" import ")[2] or line.removeprefix("import ")
        if not re.match("(from|import) ", line) or re.search(rf"\b{names.split(' as ')[-1]}\b", text):
            kept.append(line)
    return "\n".join(kept)


class Translator(ast.NodeTransformer):
    """Translates one function; remembers which helpers it calls and which names are Python's own numbers."""

    def __init__(self, dialect: Dialect, source: str) -> None:
        self.dialect, self.source = dialect, source
        self.comments = _comments(source)
        self.used: set[str] = set()
        self.numbers: set[str] = set()
        self.arrays: list[str] = []
        """The arguments that become arrays, those that are lists of arrays with a star."""

    # ------------------------------------------------------------ text

    def function(self, node: ast.FunctionDef) -> str:
        """The text of a function."""
        arguments = [a.arg for a in (*node.args.args, *node.args.kwonlyargs)]
        for statement in node.body:
            found = _converts(statement)
            if found is not None:
                self.arrays.append(found)
        self.numbers |= {*arguments} - {name.lstrip("*") for name in self.arrays} if node.args.kwonlyargs else set()
        body = node.body
        lines = [f"def {node.name}({ast.unparse(node.args)}):"]
        if ast.get_docstring(node, clean=False) is not None:
            shown = ast.get_source_segment(self.source, body[0]) or ""
            lines.append("    " + shown)
            body = body[1:]
        if node.args.kwonlyargs or not arguments:
            lines += ["    " + line for line in self.dialect.first(self)]
        lines += self.block(body, "    ")
        return "\n".join(lines)

    def block(self, body: Sequence[ast.stmt], indent: str) -> list[str]:
        """The lines of statements."""
        return [line for statement in body for line in self._statement(statement, indent)]

    def _statement(self, node: ast.stmt, indent: str) -> Iterator[str]:
        comment = self.comments.get(node.lineno, "")
        if isinstance(node, ast.For):
            self._count(node.target.elts[0] if isinstance(node.target, ast.Tuple) else node.target)
            yield f"{indent}for {ast.unparse(node.target)} in {self.text(node.iter)}:{comment}"
            yield from self.block(node.body, indent + "    ")
        elif isinstance(node, ast.If):
            yield f"{indent}if {self.text(node.test)}:{comment}"
            yield from self.block(node.body, indent + "    ")
            if node.orelse:
                yield f"{indent}else:"
                yield from self.block(node.orelse, indent + "    ")
        elif isinstance(node, ast.FunctionDef):
            yield f"{indent}def {node.name}({ast.unparse(node.args)}):{comment}"
            yield from self.block(node.body, indent + "    ")
        else:
            changed = self._simple(node)
            if isinstance(changed, ast.Return) and isinstance(changed.value, ast.Dict):
                yield f"{indent}return {{"
                for key, value in zip(changed.value.keys, changed.value.values, strict=True):
                    assert key is not None
                    yield f"{indent}    {ast.unparse(key)}: {ast.unparse(value)},"
                yield f"{indent}}}"
            else:
                yield f"{indent}{ast.unparse(changed)}{comment}"

    def text(self, node: ast.expr) -> str:
        """The text of an expression."""
        return ast.unparse(self.visit(node))

    # ------------------------------------------------------------ statements

    def _simple(self, node: ast.stmt) -> ast.stmt:
        if isinstance(node, ast.AugAssign) and isinstance(node.target, ast.Name):
            read = ast.Name(node.target.id, ast.Load())
            node = ast.Assign([node.target], ast.BinOp(read, node.op, node.value), lineno=node.lineno)
        if isinstance(node, ast.Assign):
            if self.is_number(node.value):
                first = node.targets[0]
                if isinstance(node.value, ast.Constant) and isinstance(node.value.value, float):
                    text = self._called("np.float64", [ast.unparse(node.value)], {})
                    return ast.Assign(node.targets, _parsed(text), lineno=node.lineno)
                self._count(first)
            return ast.Assign(node.targets, self.visit(node.value), lineno=node.lineno)
        changed = self.visit(node)
        assert isinstance(changed, ast.stmt)
        return changed

    def _count(self, target: ast.expr) -> None:
        """Note the names that stand for Python's own numbers."""
        for part in ast.walk(target):
            if isinstance(part, ast.Name):
                self.numbers.add(part.id)

    def is_number(self, node: ast.expr) -> bool:
        """True for what is one of Python's own numbers, not an array."""
        if isinstance(node, ast.Constant):
            return isinstance(node.value, int | float)
        if isinstance(node, ast.Name):
            return node.id in self.numbers
        if isinstance(node, ast.BinOp):
            return self.is_number(node.left) and self.is_number(node.right)
        if isinstance(node, ast.UnaryOp):
            return self.is_number(node.operand)
        if isinstance(node, ast.Attribute):
            return _dotted(node) in ("np.pi", "np.e") or node.attr == "shape"
        if isinstance(node, ast.Subscript):
            return self.is_number(node.value)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("max", "min", "abs"):
                return all(map(self.is_number, node.args))
            if node.func.id == "float":
                return isinstance(node.args[0], ast.Compare)
            return node.func.id in ("len", "next")
        return False

    # ------------------------------------------------------------ expressions

    def visit_Call(self, node: ast.Call) -> ast.expr:
        """A call in the words of the dialect."""
        name = _dotted(node.func)
        keywords = {k.arg or "**": self.text(k.value) for k in node.keywords}
        if isinstance(node.func, ast.Attribute) and name.split(".")[0] not in _MODULES:
            method, array = "." + node.func.attr, self.text(node.func.value)
            if method in self.dialect.calls:
                return _parsed(self._called(method, [array, *map(self.text, node.args)], keywords))
            return ast.Call(_parsed(f"({array}).{node.func.attr}"), *self._arguments(node))
        if name == "float":
            return _parsed(self._called("float(relation)" if _relation(node) else "float", self._texts(node), keywords))
        known = name in self.dialect.calls
        if not known and name.split(".")[0] in _MODULES and "." in name:
            raise MatcalcError(f"there is no {self.dialect.name} code for {name}")
        if not known:
            self._note(name)
            return ast.Call(self.visit(node.func), *self._arguments(node))
        texts = self._texts(node)
        place = _ARRAY_AT.get(name)
        if self.dialect.numbers and place is not None and self.is_number(node.args[place]):
            texts[place] = self._called("np.float64", [texts[place]], {})
        return _parsed(self._called(name, texts, keywords))

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        """A constant of a module, or an attribute of an array."""
        name = _dotted(node)
        if name.split(".")[0] not in _MODULES:
            return ast.Attribute(self.visit(node.value), node.attr, node.ctx)
        word = self.dialect.calls.get(name)
        if not isinstance(word, str):
            raise MatcalcError(f"there is no {self.dialect.name} code for {name}")
        return _parsed(word)

    def _texts(self, node: ast.Call) -> list[str]:
        return [self.text(argument) for argument in node.args]

    def _arguments(self, node: ast.Call) -> tuple[list[ast.expr], list[ast.keyword]]:
        return [self.visit(a) for a in node.args], [ast.keyword(k.arg, self.visit(k.value)) for k in node.keywords]

    def _called(self, name: str, args: list[str], keywords: dict[str, str]) -> str:
        word = self.dialect.calls[name]
        if isinstance(word, str):
            word_text = f"{word}({', '.join([*args, *(f'{k}={v}' for k, v in keywords.items())])})"
        else:
            word_text = word(self, args, keywords)
        for helper in re.findall(r"(?<![\w.])(_[a-z]\w*)\(", word_text):
            self._note(helper)
        return word_text

    def _note(self, name: str) -> None:
        if name.startswith("_"):
            self.used.add(name)


_ARRAY_AT = {
    **dict.fromkeys((f"np.{name}" for name in (*ENTRYWISE, "maximum", "heaviside")), 0),
    **dict.fromkeys((f"special.{name}" for name in ("erf", "erfc", "gammaln", "digamma")), 0),
    "np.logaddexp": 1,
    "special.polygamma": 1,
    "_sigmoid": 0,
}
"""Where the functions of numbers have their argument."""


def _parsed(text: str) -> ast.expr:
    return ast.parse(text, mode="eval").body


def _relation(node: ast.Call) -> bool:
    return isinstance(node.args[0], ast.Compare)


def _dotted(node: ast.expr) -> str:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _converts(statement: ast.stmt) -> str | None:
    """The argument that a line at the head makes an array; with a star where it is a list of arrays."""
    if not (isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name)):
        return None
    name, text = statement.targets[0].id, ast.unparse(statement.value)
    if text.startswith(f"[np.asarray(a, dtype=float) for a in {name}]"):
        return f"*{name}"
    return name if text.startswith((f"np.asarray({name}, dtype=float)", f"np.float64({name})")) else None


def _comments(source: str) -> dict[int, str]:
    found: dict[int, str] = {}
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            found[token.start[0]] = "  " + token.string
    return found
