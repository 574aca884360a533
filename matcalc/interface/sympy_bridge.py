"""To and from SymPy, object by object; no text is read.

Sizes and indices are SymPy symbols that are integers, variables are real.  A scalar that is a
matrix product (``x'*A*x``) is the trace of it.  What was declared about a matrix has no place in a
``MatrixSymbol``; ``where`` gives it back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Any

from ..errors import LimitExceeded, MatcalcError
from ..language.names import ascii_name
from ..terms import build, ops
from ..terms.dims import Atom, Dim, Index, Name, SizeAt, dim
from ..terms.ops import Op
from ..terms.symbols import Family, Grid, Symbol, Unknown
from ..terms.term import Term
from ..terms.walk import attr_dims, postorder, replace
from .expr import Expr, IndexNames
from .library import Where

if TYPE_CHECKING:
    from ..language.scope import Scope

INDEX_NAMES = "ijklstuv"
_ELEMENTARY = (  # noqa: SIM905
    "exp log sign sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh erf erfc digamma"
).split()


def _sympy() -> Any:
    try:
        import sympy
    except ImportError:
        raise MatcalcError("SymPy is not installed", hint='pip install "matcalc-symbolic[sympy]"') from None
    return sympy


def _element() -> Any:
    from sympy.matrices.expressions.matexpr import MatrixElement

    return MatrixElement


def _applied() -> Any:
    from sympy.matrices.expressions.applyfunc import ElementwiseApplyFunction

    return ElementwiseApplyFunction


def _functions(s: Any) -> dict[str, Callable[[Any], Any]]:
    """The entrywise functions of the language in SymPy."""
    return {
        **{name: getattr(s, name) for name in _ELEMENTARY},
        "abs": s.Abs,
        "lgamma": s.loggamma,
        "trigamma": lambda x: s.polygamma(1, x),
        "step": lambda x: s.Heaviside(x, 0),
        "relu": lambda x: s.Max(0, x),
        "sigmoid": lambda x: 1 / (1 + s.exp(-x)),
        "softplus": lambda x: s.log(1 + s.exp(x)),
    }


def _too_deep() -> MatcalcError:
    return LimitExceeded("SymPy does not take expressions that are nested this deeply")


# ---------------------------------------------------------------- to SymPy


def to_sympy(expr: Expr) -> Any:
    """The expression as a SymPy object.

    Raises :class:`MatcalcError` for what SymPy has no counterpart of: vec, differentials, sums of
    matrices, families of matrices.
    """
    if not isinstance(expr, Expr):
        raise MatcalcError(f"to_sympy takes an Expr, not {type(expr).__name__}")
    try:
        return _ToSympy(expr).result()
    except RecursionError:
        raise _too_deep() from None


class _ToSympy:
    """One conversion: arguments before the terms that use them."""

    def __init__(self, expr: Expr) -> None:
        self.s = _sympy()
        self.root = expr.term
        self.order = postorder(expr.term)
        self.functions = _functions(self.s)
        self.indices = _index_names(self.order, expr.names)

    def result(self) -> Any:
        """The object for the whole expression."""
        made: dict[Term, Any] = {}
        for term in self.order:
            if term.op not in _TO:
                raise MatcalcError(f"{term.op.name} has no counterpart in SymPy: {_shown(term)}")
            made[term] = _TO[term.op](self, term, [made[a] for a in term.args])
        return made[self.root]

    def dim(self, d: Dim) -> Any:
        """A size or an index."""
        s = self.s
        return s.Add(
            *(
                s.Mul(s.Rational(c.numerator, c.denominator), *(self.atom(a) ** power for a, power in monomial))
                for monomial, c in d.terms
            )
        )

    def atom(self, atom: Atom) -> Any:
        """A named integer, a bound index, or an indexed size."""
        if isinstance(atom, Index):
            return self.s.Symbol(self.indices[atom], integer=True)
        if isinstance(atom, SizeAt):
            return self.s.IndexedBase(atom.name, integer=True, nonnegative=True)[self.dim(atom.arg)]
        return self.s.Symbol(str(atom), integer=True, nonnegative=True)

    # ------------------------------------------------------------ leaves

    def symbol(self, term: Term, _: list[Any]) -> Any:
        """A scalar is real; a matrix has its shape."""
        symbol: Symbol = term.attr
        if term.is_scalar:
            words = {"positive": "positive", "nonneg": "nonnegative"}
            signs = {word: True for fact, word in words.items() if fact in symbol.facts}
            return self.s.Symbol(symbol.name, real=True, **signs)
        return self.s.MatrixSymbol(symbol.name, self.dim(term.rows), self.dim(term.cols))

    def member(self, term: Term, _: list[Any]) -> Any:
        """A member of a family of scalars, with the range of the family."""
        family: Family = term.attr.family
        if not term.is_scalar:
            raise MatcalcError(f"a family of arrays has no counterpart in SymPy: {_shown(term)}")
        low, high = family.index.lo, family.index.hi
        base = self.s.IndexedBase(family.name, shape=(self.dim(high - low + 1),), offset=self.dim(low), real=True)
        return base[self.dim(term.attr.at)]

    # ------------------------------------------------------------ products

    def scalar_of(self, term: Term, made: Any) -> Any:
        """A 1×1 product of matrices as a scalar."""
        return self.s.Trace(made) if term.is_scalar else made

    def power(self, term: Term, args: list[Any]) -> Any:
        """Of scalars, or entry by entry."""
        return self.s.Pow(*args) if term.is_scalar else self.s.HadamardPower(*args)

    def function(self, term: Term, args: list[Any]) -> Any:
        """A function, of an array entry by entry."""
        s, inside = self.s, term.args[0]
        name = term.attr
        if isinstance(name, Unknown):
            if name.order:
                raise MatcalcError(f"a derivative of an unknown function has no counterpart in SymPy: {_shown(term)}")
            function: Callable[[Any], Any] = s.Function(name.name, real=True)
        elif name in self.functions:
            function = self.functions[name]
        else:
            raise MatcalcError(f"{name} has no counterpart in SymPy")
        if inside.is_scalar:
            return function(args[0])
        entry = s.Dummy("x", real=True)
        return _applied()(s.Lambda(entry, function(entry)), args[0])

    def polygamma(self, term: Term, args: list[Any]) -> Any:
        """A derivative of digamma."""
        order = self.dim(term.attr)
        if term.is_scalar:
            return self.s.polygamma(order, args[0])
        entry = self.s.Dummy("x", real=True)
        return _applied()(self.s.Lambda(entry, self.s.polygamma(order, entry)), args[0])

    def total(self, term: Term, args: list[Any]) -> Any:
        """The sum of all entries, 1'*A*1."""
        s, inside = self.s, term.args[0]
        left, right = s.OneMatrix(1, self.dim(inside.rows)), s.OneMatrix(self.dim(inside.cols), 1)
        return s.Trace(s.MatMul(left, args[0], right))

    def block(self, term: Term, args: list[Any]) -> Any:
        """A matrix of blocks; scalars are blocks of one entry."""
        s, grid = self.s, term.attr
        cells = [s.ImmutableMatrix([[a]]) if t.is_scalar else a for t, a in zip(term.args, args, strict=True)]
        if all(t.is_scalar for t in term.args):
            return s.ImmutableMatrix(grid.rows, grid.cols, args)
        return s.BlockMatrix([cells[i * grid.cols : (i + 1) * grid.cols] for i in range(grid.rows)])

    def over(self, term: Term, args: list[Any]) -> Any:
        """A sum or a product of scalars over an index."""
        if not term.is_scalar:
            raise MatcalcError(f"a {term.op.name} of matrices has no counterpart in SymPy: {_shown(term)}")
        index = term.attr.index
        down = -1 in (index.step, term.attr.step)  # scalars commute: the same from below
        low, high = (index.hi, index.lo) if down else (index.lo, index.hi)
        range_ = (self.atom(index), self.dim(low), self.dim(high))
        return (self.s.Sum if term.op is ops.SUM else self.s.Product)(args[0], range_)


def _shown(term: Term) -> str:
    text = str(Expr(term))
    return text if len(text) <= 60 else text[:59] + "…"


def _index_names(order: list[Term], names: IndexNames) -> dict[Index, str]:
    """A name for each bound index that no variable, size or other index has."""
    used: set[str] = set()
    found: dict[Index, None] = {}
    for term in order:
        if term.op in (ops.SYM, ops.MEMBER):
            used.add(term.attr.name if term.op is ops.SYM else term.attr.family.name)
        for d in (term.rows, term.cols, *attr_dims(term.attr)):
            used |= {a.name for a in d.atoms() if isinstance(a, Name | SizeAt)}
        if term.op.binder:
            found[term.attr.index] = None
        found.update(dict.fromkeys(sorted(term.indices, key=lambda i: i.level)))
    chosen: dict[Index, str] = {}
    for index in found:
        wanted = [name for low, high, name in names if (low, high) == (index.lo, index.hi)]
        chosen[index] = next(name for name in chain(wanted, _endless(INDEX_NAMES)) if name not in used)
        used.add(chosen[index])
    return chosen


def _endless(letters: str) -> Iterator[str]:
    yield from letters
    number = 1
    while True:
        yield f"i{number}"
        number += 1


_To = Callable[[_ToSympy, Term, list[Any]], Any]
_TO: dict[Op, _To] = {
    ops.NUM: lambda c, t, _: c.s.Rational(t.attr.numerator, t.attr.denominator),
    ops.INT: lambda c, t, _: c.atom(t.attr),
    ops.CONST: lambda c, *_: c.s.pi,
    ops.SYM: _ToSympy.symbol,
    ops.MEMBER: _ToSympy.member,
    ops.EYE: lambda c, t, _: c.s.Identity(c.dim(t.rows)),
    ops.ZEROS: lambda c, t, _: c.s.ZeroMatrix(c.dim(t.rows), c.dim(t.cols)),
    ops.ONES: lambda c, t, _: c.s.OneMatrix(c.dim(t.rows), c.dim(t.cols)),
    ops.ADD: lambda c, t, a: (c.s.Add if t.is_scalar else c.s.MatAdd)(*a),
    ops.TIMES: lambda c, _, a: c.s.Mul(*a),
    ops.SCALE: lambda c, _, a: c.s.MatMul(*a),
    ops.MUL: lambda c, t, a: c.scalar_of(t, c.s.MatMul(*a)),
    ops.HAD: lambda c, _, a: c.s.HadamardProduct(*a),
    ops.KRON: lambda c, _, a: c.s.KroneckerProduct(*a),
    ops.TRANSPOSE: lambda c, _, a: c.s.Transpose(a[0]),
    ops.INV: lambda c, _, a: c.s.Inverse(a[0]),
    ops.MPOW: lambda c, t, a: c.s.MatPow(a[0], c.dim(t.attr)),
    ops.POW: _ToSympy.power,
    ops.FUN: _ToSympy.function,
    ops.POLYGAMMA: _ToSympy.polygamma,
    ops.TR: lambda c, _, a: c.s.Trace(a[0]),
    ops.DET: lambda c, _, a: c.s.Determinant(a[0]),
    ops.LOGDET: lambda c, _, a: c.s.log(c.s.Abs(c.s.Determinant(a[0]))),
    ops.DIAG: lambda c, _, a: c.s.DiagMatrix(a[0]),
    ops.DIAGONAL: lambda c, _, a: c.s.DiagonalOf(a[0]),
    ops.TOTAL: _ToSympy.total,
    ops.NORM: lambda c, _, a: c.s.sqrt(c.s.Trace(c.s.MatMul(c.s.Transpose(a[0]), a[0]))),
    ops.ENTRY: lambda c, t, a: _element()(a[0], *(c.dim(d) - 1 for d in t.attr)),
    ops.BLOCK: _ToSympy.block,
    ops.SUM: _ToSympy.over,
    ops.PROD: _ToSympy.over,
}


# ---------------------------------------------------------------- from SymPy


def from_sympy(obj: Any, where: Where = None) -> Expr:
    """The expression that a SymPy object stands for.

    ``where`` declares names as in :func:`matcalc.parse`; the others are taken as SymPy knows them:
    integer symbols are sizes and indices, other symbols are scalars.  Raises :class:`MatcalcError`
    for text, and for what the language has no counterpart of.
    """
    s = _sympy()
    if isinstance(obj, str) or not isinstance(obj, s.Basic | s.MatrixBase):
        raise MatcalcError(f"from_sympy takes a SymPy object, not {type(obj).__name__}; text is read by mc.parse")
    from .operations import new_scope

    scope = new_scope()
    scope.declare_all(where)
    try:
        return Expr(_FromSympy(s, scope).term(obj.as_immutable() if isinstance(obj, s.MatrixBase) else obj))
    except RecursionError:
        raise _too_deep() from None


class _FromSympy:
    """One conversion, on an explicit stack: no depth is too deep."""

    def __init__(self, s: Any, scope: Scope) -> None:
        self.s, self.scope = s, scope
        self.made: dict[Any, Term] = {}
        self.element, self.applied = _element(), _applied()
        self.table = self._table()
        self.functions = _functions(s)

    def term(self, root: Any) -> Term:
        """The term of an object."""
        stack = [root]
        while stack:
            obj = stack[-1]
            if obj in self.made:
                stack.pop()
                continue
            waiting = [part for part in self.parts(obj) if part not in self.made]
            if waiting:
                stack.extend(reversed(waiting))
                continue
            self.made[obj] = self.build(obj, [self.made[part] for part in self.parts(obj)])
            stack.pop()
        return self.made[root]

    def parts(self, obj: Any) -> tuple[Any, ...]:
        """The objects that have to be converted first."""
        s = self.s
        if isinstance(obj, s.Symbol | s.Number | s.NumberSymbol | s.MatrixSymbol):
            return obj.args[1:] if isinstance(obj, s.MatrixSymbol) else ()
        if isinstance(obj, s.Indexed):
            return tuple(obj.indices)
        if isinstance(obj, s.Sum | s.Product):
            if any(len(limit) != 3 for limit in obj.limits):
                raise MatcalcError(f"the range of {obj} is not finite")
            return (obj.function, *(part for limit in obj.limits for part in limit[1:]))
        if isinstance(obj, self.applied):
            return (obj.expr,)
        if isinstance(obj, s.MatrixBase):
            return tuple(obj.flat())
        if isinstance(obj, s.BlockMatrix):
            return tuple(obj.blocks.flat())
        special = self.special(obj)
        if special is not None:
            return special[1]
        self.maker(obj)
        return tuple(obj.args)

    def special(self, obj: Any) -> tuple[Callable[[Term], Term], tuple[Any, ...]] | None:
        """The ways in which :func:`to_sympy` writes log|det A|, norms and sums of entries."""
        s = self.s
        if isinstance(obj, s.log) and isinstance(obj.args[0], s.Abs) and isinstance(obj.args[0].args[0], s.Determinant):
            return build.logdet, obj.args[0].args[0].args
        if isinstance(obj, s.Pow) and obj.exp == s.S.Half and isinstance(obj.base, s.Trace):
            inside = obj.base.arg
            if isinstance(inside, s.MatMul) and len(inside.args) == 2 and inside.args[0] == s.Transpose(inside.args[1]):
                return build.norm, (inside.args[1],)
        if isinstance(obj, s.Trace) and isinstance(obj.arg, s.MatMul) and len(obj.arg.args) == 3:
            left, inside, right = obj.arg.args
            if isinstance(left, s.OneMatrix) and isinstance(right, s.OneMatrix) and left.rows == right.cols == 1:
                return build.total, (inside,)
        return None

    def build(self, obj: Any, args: list[Term]) -> Term:
        """The term of an object whose parts are converted."""
        special = self.special(obj)
        return special[0](args[0]) if special is not None else self.maker(obj)(obj, args)

    def maker(self, obj: Any) -> Callable[[Any, list[Term]], Term]:
        """What makes the term of an object of this type.  Raises :class:`MatcalcError` where nothing does."""
        for type_, maker in self.table:
            if isinstance(obj, type_):
                return maker
        for name in (*_ELEMENTARY, "abs", "lgamma"):
            kind: Any = self.functions[name]
            if isinstance(obj, kind):
                return partial(_function, name)
        raise MatcalcError(f"{type(obj).__name__} has no counterpart here: {str(obj)[:60]}")

    def size(self, obj: Any) -> Dim:
        """An integer."""
        found = build.as_dim(self.term(obj))
        if found is None:
            raise MatcalcError(f"{obj} is not a size or an index: an integer symbol is needed")
        return found

    # ------------------------------------------------------------ leaves

    def number(self, obj: Any, _: list[Term]) -> Term:
        """An exact number; a float is the fraction that its digits write."""
        if isinstance(obj, self.s.Float):
            return build.num(Fraction(str(obj)))
        if not isinstance(obj, self.s.Rational):
            raise MatcalcError(f"{obj} is not a number here")
        return build.num(Fraction(int(obj.p), int(obj.q)))

    def symbol(self, obj: Any, _: list[Term]) -> Term:
        """A size or an index where it is an integer, otherwise a scalar."""
        name = self.name(obj)
        known = self.known(name)
        if known is not None:
            return known
        if obj.is_integer:
            return build.integer(Name(name))
        signs = {"positive"} if obj.is_positive else {"nonneg"} if obj.is_nonnegative else set()
        return build.sym(Symbol(name, dim(1), dim(1), frozenset(signs)))

    def matrix_symbol(self, obj: Any, args: list[Term]) -> Term:
        """A variable of a shape."""
        rows, cols = (self.size(part) for part in obj.args[1:])
        known = self.known(self.name(obj))
        if known is None:
            return build.sym(Symbol(self.name(obj), rows, cols))
        if known.shape != (rows, cols):
            declared, found = build.show_shape(*known.shape), build.show_shape(rows, cols)
            raise MatcalcError(f"{obj.name} is declared {declared} but is {found} in SymPy")
        return known

    def known(self, name: str) -> Term | None:
        """What ``where`` says about a name."""
        symbol = self.scope.symbols.get(name)
        if isinstance(symbol, Family):
            raise MatcalcError(f"{name} is declared a family, but stands here without an index")
        return None if symbol is None else build.sym(symbol)

    def name(self, obj: Any) -> str:
        """The name of a symbol, as the language writes names."""
        name = ascii_name(str(obj.name))
        if not (name.isascii() and name.isidentifier() and name[0] != "_"):
            raise MatcalcError(f"{obj.name!r} is not a name of the language")
        return name

    def indexed(self, obj: Any, args: list[Term]) -> Term:
        """A member of a family of scalars, or an indexed size."""
        at = [build.as_dim(arg) for arg in args]
        if len(at) != 1 or at[0] is None:
            raise MatcalcError(f"{obj} has no counterpart here: one integer index is needed")
        name = self.name(obj.base.label)
        known = self.scope.symbols.get(name)
        if isinstance(known, Family):
            return build.member(known, at[0])
        if obj.base.is_integer:
            return build.integer(SizeAt(name, at[0]))
        if obj.base.shape is None or len(obj.base.shape) != 1:
            raise MatcalcError(f"the range of {obj} is not known", hint=f'where="{name}[i=1..N]: scalar"')
        low = self.size(obj.base.offset)
        index = Index(0, low, low + self.size(obj.base.shape[0]) - 1)
        return build.member(Family(name, index, dim(1), dim(1)), at[0])

    # ------------------------------------------------------------ the rest

    def power(self, obj: Any, args: list[Term]) -> Term:
        """A power of a scalar; e^x is exp(x)."""
        if obj.base is self.s.E:
            return build.fun("exp", args[1])
        return build.power_of(args[0], args[1])

    def matrix_power(self, obj: Any, args: list[Term]) -> Term:
        """A power of a matrix."""
        return build.mpow(args[0], self.size(obj.args[1]))

    def entry(self, obj: Any, args: list[Term]) -> Term:
        """An entry; SymPy counts from 0."""
        return build.entry(args[0], self.size(obj.args[1]) + 1, self.size(obj.args[2]) + 1)

    def applied_function(self, obj: Any, args: list[Term]) -> Term:
        """A function applied entry by entry."""
        entry = self.s.Dummy("x", real=True)
        body = obj.function(entry)
        for name, function in self.functions.items():
            if function(entry) == body:
                return build.fun(name, args[0])
        if isinstance(body, self.s.core.function.AppliedUndef) and body.args == (entry,):
            return build.fun(Unknown(self.name(body.func), 0), args[0])
        raise MatcalcError(f"the function {body} applied entry by entry has no counterpart here")

    def undefined(self, obj: Any, args: list[Term]) -> Term:
        """An unknown function of one scalar."""
        if len(args) != 1:
            raise MatcalcError(f"an unknown function has one argument: {obj}")
        return build.fun(Unknown(ascii_name(obj.func.__name__), 0), args[0])

    def over(self, obj: Any, args: list[Term]) -> Term:
        """A sum or a product over one index or several, the first the innermost."""
        body = args[0]
        for variable, low, high in obj.limits:
            bound = Index(body.height + 1, self.size(low), self.size(high))
            free = self.term(variable)
            as_scalar = {free: build.integer(bound)} if free.op is ops.SYM else {}
            body = replace(body, as_scalar, {Name(self.name(variable)): dim(bound)})
            body = (build.sum_over if isinstance(obj, self.s.Sum) else build.prod_over)(bound, body)
        return body

    def maximum(self, obj: Any, args: list[Term]) -> Term:
        """max(0, x)."""
        rest = [a for a in args if a is not build.ZERO_NUM]
        if len(args) != 2 or len(rest) != 1:
            raise MatcalcError(f"only Max(0, x) has a counterpart here, not {obj}")
        return build.fun("relu", rest[0])

    def step(self, obj: Any, args: list[Term]) -> Term:
        """Heaviside, 0 at 0."""
        return build.fun("step", args[0])

    def polygamma(self, obj: Any, args: list[Term]) -> Term:
        """A derivative of digamma; the order is an integer."""
        order = build.as_dim(args[0])
        if order is None:
            raise MatcalcError(f"{obj} has no counterpart here")
        return build.polygamma(order, args[1])

    def grid(self, obj: Any, args: list[Term]) -> Term:
        """An explicit matrix, or a matrix of blocks."""
        rows, cols = obj.blockshape if isinstance(obj, self.s.BlockMatrix) else obj.shape
        return build.with_attr(_ANY_BLOCK, tuple(args), Grid(int(rows), int(cols)))

    def _table(self) -> list[tuple[Any, Callable[[Any, list[Term]], Term]]]:
        s = self.s
        return [
            (s.Number, self.number),
            (type(s.pi), lambda *_: build.PI),
            (type(s.E), lambda *_: build.fun("exp", build.ONE_NUM)),
            (s.MatrixSymbol, self.matrix_symbol),
            (s.Symbol, self.symbol),
            (s.Indexed, self.indexed),
            (s.Identity, lambda o, _: build.eye(self.size(o.rows))),
            (s.ZeroMatrix, lambda o, _: build.zeros(self.size(o.rows), self.size(o.cols))),
            (s.OneMatrix, lambda o, _: build.ones(self.size(o.rows), self.size(o.cols))),
            (s.MatAdd | s.Add, lambda _, a: build.add(*a)),
            (s.MatMul, lambda _, a: build.mul(*a)),
            (s.Mul, lambda _, a: build.mul(*a)),
            (s.HadamardProduct, lambda _, a: build.had(*a)),
            (s.HadamardPower, lambda _, a: build.power_of(*a)),
            (s.KroneckerProduct, lambda _, a: build.kron(*a)),
            (s.Transpose, lambda _, a: build.transpose(a[0])),
            (s.Inverse, lambda _, a: build.inv(a[0])),
            (s.MatPow, self.matrix_power),
            (s.Pow, self.power),
            (s.exp, lambda _, a: build.fun("exp", a[0])),
            (s.Trace, lambda _, a: build.tr(a[0])),
            (s.Determinant, lambda _, a: build.det(a[0])),
            (s.DiagMatrix | s.DiagonalOf, lambda _, a: build.diag(a[0])),
            (self.element, self.entry),
            (self.applied, self.applied_function),
            (s.Sum | s.Product, self.over),
            (s.Max, self.maximum),
            (s.Heaviside, self.step),
            (s.polygamma, self.polygamma),
            (s.BlockMatrix | s.MatrixBase, self.grid),
            (s.core.function.AppliedUndef, self.undefined),
        ]


def _function(name: str, _: Any, args: list[Term]) -> Term:
    return build.fun(name, args[0])


_ANY_BLOCK = build.block([[build.sym(Symbol("A", dim("m"), dim("n"))), build.sym(Symbol("B", dim("m"), dim("n")))]])
