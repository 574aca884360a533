"""Expressions as Python objects: the same terms as the language, with operators and printing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Union

from ..bounds import bounded
from ..errors import ShapeError, UnknownName
from ..terms import build, walk
from ..terms.dims import Dim, dim
from ..terms.symbols import Symbol
from ..terms.term import Term

if TYPE_CHECKING:
    from ..compile.function import GeneratedFunction
    from ..output.layout import IndexNames as Names

IndexNames = tuple[tuple[Dim, Dim, str], ...]
ExprLike = Union["Expr", int, float, Fraction]


class Expr:
    """An expression: a term, with the names that its reader gave to bound indices.

    ``==`` compares structure (the same term); whether two expressions are equal as mathematics is
    asked with :func:`matcalc.equal`.
    """

    __array_ufunc__ = None  # an array on the left leaves @, + and * to this class
    __slots__ = ("names", "term")

    def __init__(self, term: Term, names: IndexNames = ()) -> None:
        self.term = term
        self.names = tuple(names)

    # ------------------------------------------------------------ what it is

    @property
    def shape(self) -> tuple[str, str]:
        """Rows and columns, as text."""
        return str(self.term.rows), str(self.term.cols)

    @property
    def size(self) -> int:
        """Number of nodes of the shared graph, leaves included."""
        return walk.size(self.term)

    @bounded
    def __str__(self) -> str:
        from ..output.pieces import MAX_TEXT
        from ..output.text import to_text

        if self.term.weight > MAX_TEXT // 4:  # written out it would be too long: repeated parts get names
            return self._with_names(to_text)
        return to_text(self.term, self.names)

    def _with_names(self, write: Callable[[Term, Names], str], where: str = " where ", sign: str = " = ") -> str:
        from ..output.naming import told_together, with_names

        named, names = with_names([self.term]), told_together([self.term], self.names)
        parts = [write(name, names) + sign + write(part, names) for name, part in named.parts]
        return write(named.terms[0], names) + (where + "; ".join(parts) if parts else "")

    def __repr__(self) -> str:
        return str(self)

    @bounded
    def unicode(self) -> str:
        """One line for the terminal."""
        from ..output.text import to_unicode

        return self._with_names(to_unicode)

    @bounded
    def latex(self) -> str:
        """LaTeX, without dollars."""
        from ..output.latex import to_latex

        return self._with_names(to_latex, r" \quad\text{where } ")

    def _repr_latex_(self) -> str:
        return f"$\\displaystyle {self.latex()}$"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(self.unicode())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expr) and other.term is self.term

    def __hash__(self) -> int:
        return hash(self.term)

    # ------------------------------------------------------------ arithmetic

    def _with(self, term: Term, *others: Expr) -> Expr:
        names = self.names
        for other in others:
            names = names + tuple(n for n in other.names if n not in names)
        return Expr(term, names)

    def __add__(self, other: ExprLike) -> Expr:
        right = expr(other)
        return self._with(build.add(self.term, right.term), right)

    def __radd__(self, other: ExprLike) -> Expr:
        return expr(other) + self

    def __sub__(self, other: ExprLike) -> Expr:
        right = expr(other)
        return self._with(build.sub(self.term, right.term), right)

    def __rsub__(self, other: ExprLike) -> Expr:
        return expr(other) - self

    def __neg__(self) -> Expr:
        return self._with(build.neg(self.term))

    def __matmul__(self, other: ExprLike) -> Expr:
        right = expr(other)
        return self._with(build.mul(self.term, right.term), right)

    def __mul__(self, other: ExprLike) -> Expr:
        right = expr(other)
        if not self.term.is_scalar and not right.term.is_scalar:
            raise ShapeError("* between two arrays could mean two products", hint="write A @ B, or mc.hadamard(A, B)")
        return self._with(build.mul(self.term, right.term), right)

    def __rmul__(self, other: ExprLike) -> Expr:
        return expr(other) * self

    def __truediv__(self, other: ExprLike) -> Expr:
        right = expr(other)
        return self._with(build.divide(self.term, right.term), right)

    def __rtruediv__(self, other: ExprLike) -> Expr:
        return expr(other) / self

    def __pow__(self, exponent: ExprLike) -> Expr:
        right = expr(exponent)
        if self.term.is_scalar:
            return self._with(build.power_of(self.term, right.term), right)
        power = build.as_dim(right.term)
        if power is None:
            raise ShapeError("the power of a matrix needs an integer exponent")
        return self._with(build.mpow(self.term, power), right)

    @property
    def T(self) -> Expr:
        """The transpose."""
        return self._with(build.transpose(self.term))

    @property
    def I(self) -> Expr:  # noqa: E743 - the name that the field uses
        """The inverse."""
        return self._with(build.inv(self.term))

    # ------------------------------------------------------------ substitution, evaluation

    @bounded
    def subs(self, values: Mapping[str, str | ExprLike]) -> Expr:
        """Replace variables (and sizes) by name; undeclared names in the values have the shape that fits.

        Raises :class:`ShapeError` where a shape does not fit, :class:`UnknownName` for what does not occur.
        """
        from ..language.elaborate import parse_expression, parse_fitting
        from .library import scope_of

        scope = scope_of(self)

        terms: dict[Term, Term] = {}
        atoms = {}
        for name, value in values.items():
            read = parse_expression(name, scope.copy())
            if read.assumed:
                raise UnknownName(f"{', '.join(read.assumed)} does not occur in the expression")
            target = read.term
            new = parse_fitting(value, scope, target.shape).term if isinstance(value, str) else expr(value).term
            size = build.as_dim(target)
            if size is not None and size.atom is not None:
                as_size = build.as_dim(new)
                if as_size is None:
                    raise ShapeError(f"{name} is an integer, {new} is not")
                atoms[size.atom] = as_size
            else:
                if target.shape != new.shape:
                    raise ShapeError(
                        f"{name} is {build.show_shape(target.rows, target.cols)}, "
                        f"{new} is {build.show_shape(new.rows, new.cols)}"
                    )
                terms[target] = new
        return self._with(walk.replace(self.term, terms, atoms))

    @bounded
    def code(self, backend: str = "numpy", name: str = "f") -> str:
        """Source of a stand-alone function that evaluates the expression."""
        from .backends import source

        return source(backend, self.term, name)

    @bounded
    def function(self, backend: str = "numpy") -> GeneratedFunction:
        """That function, ready to call with keyword arguments."""
        from .backends import compiled

        return compiled(backend, self.term)


def expr(value: ExprLike) -> Expr:
    """An expression of a number; an expression as it is."""
    if isinstance(value, Expr):
        return value
    if isinstance(value, int | Fraction):
        return Expr(build.num(value))
    if isinstance(value, float):
        return Expr(build.num(Fraction(repr(value))))
    raise TypeError(f"{type(value).__name__} is not an expression; text is read by mc.parse")


def symbol(name: str, rows: str | int, cols: str | int, *facts: str) -> Expr:
    """A variable built in Python."""
    from ..language.parser import parse_syntax
    from ..language.scope import Scope

    def size(value: str | int) -> Dim:
        return dim(value) if isinstance(value, int) else Scope().read_size(parse_syntax(value), value)

    return Expr(build.sym(Symbol(name, size(rows), size(cols), frozenset(facts))))
