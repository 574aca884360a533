"""The identifiers of one generated function."""

from __future__ import annotations

import keyword
import unicodedata
from collections.abc import Iterable, Sequence

from ..terms import ops
from ..terms.dims import ONE, UNBOUNDED, Dim, Name, SizeAt
from ..terms.symbols import Family, Symbol, Unknown
from ..terms.term import Term
from ..terms.walk import attr_dims
from .primitives import STACK, STACKSUM, WEIGHTED

ENDLESS = UNBOUNDED.atom

_RESERVED = frozenset({"np", "linalg", "special", "range", "float", "len", "enumerate", "next"})
_RESERVED |= {"jax", "jnp", "lax", "torch", "max", "min"}
STACKS = frozenset({STACK, STACKSUM, WEIGHTED})
Source = Symbol | Family
SCALAR, COLUMN, ROW, MATRIX = "scalar", "column", "row", "matrix"


def identifier(name: str) -> str:
    """An ASCII identifier: Greek letters spelled out, an underscore behind a keyword."""
    spelled = "".join(_ascii(char) for char in unicodedata.normalize("NFKD", name)) or "_"
    if spelled[0].isdigit():
        spelled = "_" + spelled
    return spelled + "_" if keyword.iskeyword(spelled) or spelled in _RESERVED else spelled


def _ascii(char: str) -> str:
    if char.isascii() and (char.isalnum() or char == "_"):
        return char
    if unicodedata.combining(char):
        return ""
    if char in "'′":
        return "_prime"
    words = unicodedata.name(char, "").split()
    if words[:1] == ["GREEK"] and "LETTER" in words:
        spelled = words[-1].lower().replace("lamda", "lambda")
        return spelled.capitalize() if "CAPITAL" in words else spelled
    return "_"


def sources_of(terms: Iterable[Term]) -> list[Source]:
    """The variables and families in terms, variables before the hidden forms of themselves."""
    found: dict[Source, None] = {}
    for term in terms:
        if term.op is ops.SYM:
            found[term.attr] = None
        elif term.op is ops.MEMBER:
            found[term.attr.family] = None
        elif term.op in STACKS:
            found[term.attr[0]] = None
    return sorted(found, key=lambda s: (identifier(s.name), s.role == "hidden", s.stable))


def _dims_of(source: Source) -> list[Dim]:
    ends = [source.index.lo, source.index.hi] if isinstance(source, Family) else []
    return [source.rows, source.cols, *ends]


class Names:
    """The identifiers of one function: arguments keep their names, all others give way."""

    def __init__(self, terms: Sequence[Term], inputs: Sequence[Term]) -> None:
        self.taken = set(_RESERVED)
        self.count = 0
        self.of: dict[Source | Unknown | Name, str] = {}
        self.indexed: dict[str, str] = {}
        sources = sources_of([*terms, *inputs])
        self._add_sources(sources)
        for unknown in sorted({t.attr for t in terms if isinstance(t.attr, Unknown)}):
            prefix = {0: "", 1: "d"}.get(unknown.order, f"d{unknown.order}")
            self.of[unknown] = self.fresh(prefix + identifier(unknown.name))
        dims = {d for t in terms for d in (t.rows, t.cols, *attr_dims(t.attr))}
        atoms = {a for d in (*dims, *(d for s in sources for d in _dims_of(s))) for a in d.atoms()}
        atoms.discard(ENDLESS)
        for name in sorted({a.name for a in atoms if isinstance(a, Name)}):
            self.of[Name(name)] = self.fresh(identifier(name))
        for name in sorted({a.name for a in atoms if isinstance(a, SizeAt)}):
            self.indexed[name] = self.fresh(identifier(name))

    def _add_sources(self, sources: Iterable[Source]) -> None:
        given: dict[tuple[object, ...], str] = {}
        for source in sources:
            same = (source.name, *_dims_of(source))
            if source.role == "hidden" and same in given:
                self.of[source] = given[same]
            else:
                self.of[source] = given[same] = self.fresh(identifier(source.name))

    def fresh(self, wanted: str) -> str:
        """``wanted``, or with underscores behind until it is free."""
        while wanted in self.taken:
            wanted += "_"
        self.taken.add(wanted)
        return wanted

    def numbered(self, stem: str) -> str:
        """The next of t0, t1, … that is free."""
        while f"{stem}{self.count}" in self.taken:
            self.count += 1
        return self.fresh(f"{stem}{self.count}")

    def stem(self, letters: str, ending: str) -> str:
        """The first of these letters that is free together with what ends in it."""
        stems = (f"{letter}{suffix}" for suffix in ("", *range(1000)) for letter in letters)
        found = next(v for v in stems if v not in self.taken and v + ending not in self.taken)
        self.taken |= {found, found + ending}
        return found

    def loop_variable(self, used: set[str], order: str = "ijklpqrs") -> str:
        """The first of i, j, k, … that is neither taken nor in ``used``."""
        letters = (f"{letter}{suffix}" for suffix in ("", *range(1000)) for letter in order)
        return next(v for v in letters if v not in self.taken and v not in used)


def kind_of(source: Source) -> str:
    """Scalar, column, row or matrix: what a variable or a member of a family is."""
    if source.cols is ONE:
        return SCALAR if source.rows is ONE else COLUMN
    return ROW if source.rows is ONE else MATRIX


def ragged(source: Source) -> bool:
    """True for a family whose members differ in shape."""
    return isinstance(source, Family) and bool(source.rows.indices or source.cols.indices)
