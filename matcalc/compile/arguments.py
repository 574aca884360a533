"""The head of the function: its arguments, and the sizes that are read off them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from ..terms.dims import ONE, Atom, Dim, Name, SizeAt, dim, format_dim
from ..terms.symbols import Family, Unknown
from ..terms.term import Term
from .names import COLUMN, MATRIX, ROW, SCALAR, Names, Source, kind_of, ragged, sources_of
from .scopes import Scope
from .writer import Writer


@dataclass(frozen=True)
class _Reading:
    """One length of an argument, as text, and the dimension that it is."""

    source: Source
    text: str
    size: Dim


@dataclass(frozen=True)
class _Size:
    """A size, the length from which it is found, and the sizes that are needed for that."""

    name: Name
    reading: _Reading
    needs: frozenset[Name]

    @property
    def direct(self) -> bool:
        """True when the length is the size."""
        return self.reading.size.atom is self.name


class Head:
    """The arguments of the function, and the lines that convert them and read the sizes off them."""

    def __init__(self, names: Names, writer: Writer, terms: Sequence[Term], inputs: Sequence[Term]) -> None:
        self.names, self.writer = names, writer
        self.sources = self._distinct(sources_of(terms), set())
        self.spare = self._distinct(sources_of(inputs), {names.of[s] for s in self.sources})
        self.functions = sorted({names.of[t.attr] for t in terms if isinstance(t.attr, Unknown)})
        self.tables: list[str] = []
        self.given_tables: list[str] = []
        for name in sorted(writer.indexed):
            self._table(name)
        self._take_spare()
        self.found = _derive(self._readings())
        self.checks = self._checks()
        self.integers = sorted(names.of[n] for n in writer.needed - self.found.keys())

    def _distinct(self, sources: Iterable[Source], used: set[str]) -> list[Source]:
        by_name = {self.names.of[s]: s for s in reversed(list(sources))}
        return [by_name[name] for name in sorted(by_name) if name not in used]

    @property
    def arguments(self) -> list[str]:
        """The names of all arguments, sorted."""
        arrays = map(self.names.of.__getitem__, self.sources)
        return sorted([*arrays, *self.functions, *self.integers, *self.given_tables])

    @property
    def unused(self) -> list[str]:
        """The names of the declared inputs that are not arguments."""
        return [self.names.of[s] for s in self.spare]

    def lines(self) -> list[str]:
        """Conversions, sizes, tables of indexed sizes, checks of shapes."""
        return [*map(self._conversion, self.sources), *self._size_lines(), *self.tables, *self.checks]

    def _conversion(self, source: Source) -> str:
        name, kind = self.names.of[source], kind_of(source)
        as_float = "float" if self.writer.thin else "dtype=float"
        if ragged(source):
            return f"{name} = [np.asarray(a, {as_float}) for a in {name}]"
        if isinstance(source, Family):
            return f"{name} = np.asarray({name}, {as_float})"
        if kind == SCALAR:
            plain = self.writer.thin and source in self.writer.plain_numbers
            return f"{name} = float({name})" if plain else f"{name} = np.float64({name})"
        flat = "" if kind == MATRIX or (self.writer.thin and not self._reads_length(source)) else ".reshape(-1)"
        return f"{name} = np.asarray({name}, {as_float}){flat}"

    def _reads_length(self, source: Source) -> bool:
        """True for a vector that gives a size: a column that is given as a matrix counts by its length."""
        return not any(check.startswith(f"if {self.names.of[source]}.shape") for check in self.checks)

    def _sides(self, source: Source) -> list[Dim]:
        """The shape of the array after its conversion; of a ragged family only its length."""
        kind = kind_of(source)
        sides = {SCALAR: [], COLUMN: [source.rows], ROW: [source.cols]}.get(kind, [source.rows, source.cols])
        if not isinstance(source, Family):
            return sides
        count = source.index.hi - source.index.lo + 1
        return [count] if ragged(source) else [count, *([ONE] if kind == ROW else []), *sides]

    def _readings(self) -> list[_Reading]:
        found = []
        for source in self.sources:
            name = self.names.of[source]
            for axis, size in enumerate(self._sides(source)):
                text = f"len({name})" if isinstance(source, Family) and axis == 0 else f"{name}.shape[{axis}]"
                one = not isinstance(source, Family) and kind_of(source) != MATRIX
                if one and self.writer.thin and size.atom is None:
                    text = f"{name}.size"  # 2*n entries, also of one row or one column
                found.append(_Reading(source, text, size))
        return found

    def _take_spare(self) -> None:
        """Make those unused inputs arguments that give a size which nothing else gives."""
        for source in list(self.spare):
            missing = self.writer.needed - _derive(self._readings()).keys()
            if not missing:
                return
            self.sources.append(source)
            if missing <= self.writer.needed - _derive(self._readings()).keys():
                self.sources.remove(source)
            else:
                self.spare.remove(source)
        self.sources.sort(key=self.names.of.__getitem__)

    def _size_lines(self) -> list[str]:
        needed = self.writer.needed
        for size in reversed(self.found.values()):
            if size.name in needed:
                needed |= size.needs
        lines: list[str] = []
        shapes: dict[Source, list[_Size]] = {}
        for size in self.found.values():
            if size.name in needed and size.direct and not isinstance(size.reading.source, Family):
                shapes.setdefault(size.reading.source, []).append(size)
        for size in self.found.values():
            if size.name not in needed:
                continue
            together = shapes.get(size.reading.source, [])
            if len(together) == 2 and size in together:
                if size is together[0]:
                    pair = ", ".join(self.names.of[s.name] for s in together)
                    lines.append(f"{pair} = {self.names.of[size.reading.source]}.shape")
                continue
            lines.append(f"{self.names.of[size.name]} = {self._solved(size)}")
        return lines

    def _solved(self, size: _Size) -> str:
        """The size in terms of the length: solved when it is linear, else searched."""
        whole, text, top = size.reading.size, size.reading.text, self.writer.top
        if size.direct:
            return text
        slope = dict(whole.terms).get(((size.name, 1),), Fraction(0))
        rest = whole - dim(size.name) * dim(slope)
        if size.name in rest.atoms():
            name = self.names.of[size.name]
            return f"next({name} for {name} in range({text} + 1) if {self.writer.dim(whole, top).text} == {text})"
        length = Name(text)
        self.names.of[length] = text
        solved = self.writer.dim((dim(length) - rest) * dim(1 / slope), top).text
        self.writer.needed.discard(length)
        return solved

    def _table(self, name: str) -> None:
        """Lines that fill a table of indexed sizes; without an array that gives it, it is an argument."""
        table = self.names.indexed[name]
        providers = [s for s in self.sources if _gives(s, name)]
        if not providers:
            providers = [s for s in self.spare if _gives(s, name)]
            self.sources = sorted([*self.sources, *providers], key=self.names.of.__getitem__)
            self.spare = [s for s in self.spare if s not in providers]
        if not providers:
            self.given_tables.append(table)
            return
        self.tables.append(f"{table} = {{}}")
        for source in providers:
            self.tables += self._filling(source, name)

    def _filling(self, source: Source, name: str) -> list[str]:
        array, scope = self.names.of[source], self.writer.top
        indent = ""
        lines: list[str] = []
        if isinstance(source, Family):
            scope = Scope(scope, source.index, variable=self.names.loop_variable(set()))
            first = self.writer.dim(source.index.lo, self.writer.top).text
            lines.append(f"for {scope.variable}, a in enumerate({array}, {first}):")
            array, indent = "a", "    "
        for axis, size in enumerate((source.rows, source.cols)):
            if isinstance(size.atom, SizeAt) and size.atom.name == name:
                shape = f"{array}.shape[{axis if kind_of(source) == MATRIX else 0}]"
                lines.append(f"{indent}{self.writer.dim(size, scope).text} = {shape}")
        return lines

    def _checks(self) -> list[str]:
        """Checks of the shapes that are not used to read sizes off."""
        known = self.found.keys() | self.writer.needed
        origin = {s.reading.text for s in self.found.values() if s.direct}
        lines: list[str] = []
        for source in self.sources:
            sides, name = self._sides(source), self.names.of[source]
            atoms = {a for d in sides for a in d.atoms()}
            read = all(r.text in origin for r in self._readings() if r.source is source)
            if not sides or read or ragged(source) or not atoms <= known:
                continue
            shape = ", ".join(self.writer.dim(d, self.writer.top).text for d in sides)
            check = self.writer.helper("_shaped" if self.writer.thin else "_check")
            wanted = f"({shape}{',' if len(sides) == 1 else ''})"
            if self.writer.thin:
                lines += [f"if {name}.shape != {wanted}:", f'    {name} = {check}("{name}", {name}, {wanted})']
            else:
                lines.append(f'{check}("{name}", {name}, {wanted})')
        return lines

    def described(self) -> list[str]:
        """One line for each argument: its name and its shape."""
        shapes = {self.names.of[s]: self._shown(s) for s in self.sources}
        shapes |= dict.fromkeys(self.functions, "function, applied entry by entry")
        shapes |= dict.fromkeys(self.integers, "integer") | dict.fromkeys(self.given_tables, "table of sizes")
        return [f"{name}: {shapes[name]}" for name in sorted(shapes)]

    def _shown(self, source: Source) -> str:
        sides = [str(d) for d in self._sides(source)]
        if ragged(source) and isinstance(source, Family):
            names: dict[Atom, str] = {source.index: "k"}
            members = [format_dim(d, names) for d in (source.rows, source.cols) if d is not ONE]
            return f"list of {sides[0]} arrays of shape ({', '.join(members)}{',' if len(members) == 1 else ''})"
        if not sides:
            return "float"
        if kind_of(source) == ROW and not isinstance(source, Family):
            sides.insert(0, "1")
        return f"({', '.join(sides)}{',' if len(sides) == 1 else ''})"


def _gives(source: Source, name: str) -> bool:
    return any(isinstance(d.atom, SizeAt) and d.atom.name == name for d in (source.rows, source.cols))


def _derive(readings: Sequence[_Reading]) -> dict[Name, _Size]:
    """All sizes that follow from the lengths, each after those that it needs; direct ones first."""
    found: dict[Name, _Size] = {}
    for reading in readings:
        atom = reading.size.atom
        if isinstance(atom, Name) and atom not in found:
            found[atom] = _Size(atom, reading, frozenset())
    progress = True
    while progress:
        progress = False
        for reading in readings:
            atoms = reading.size.atoms()
            names = {a for a in atoms if isinstance(a, Name)}
            unknown = names - found.keys()
            if len(unknown) == 1 and len(names) == len(atoms):
                name = unknown.pop()
                found[name] = _Size(name, reading, frozenset(names - {name}))
                progress = True
    return found
