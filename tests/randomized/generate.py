"""Random well-typed expressions over the whole language, with declarations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from random import Random
from typing import Any

from .operations import ENTRYWISE
from .tree import ONE, At, E, Shape, Size

POSITIVE_ARGUMENT = ("log", "log1p", "log2", "log10", "sqrt", "lgamma", "digamma", "trigamma")
UNIT_ARGUMENT = ("asin", "acos", "atanh", "tan")
POSITIVE_UNIT_ARGUMENT = ("cot", "sec", "csc")
ANYWHERE = tuple(
    name for name in ENTRYWISE if name not in (*POSITIVE_ARGUMENT, *UNIT_ARGUMENT, *POSITIVE_UNIT_ARGUMENT, "acosh")
)

SQUARE_KINDS = (
    *("matrix", "matrix", "square", "symmetric", "posdef", "invertible", "lower", "upper", "diagonal"),
    *("orthogonal", "skew", "psd"),
)
NAMES = {
    "scalar": ("s", "t", "alpha", "beta", "gamma", "sigma_2", "rho", "theta", "a", "c", "lambda", "f", "x_0"),
    "vector": ("x", "y", "z", "u", "v", "b", "mu", "w", "g", "eta", "d", "x_1", "theta_0"),
    "matrix": (
        *("A", "B", "C", "X", "Y", "Z", "M", "F", "G", "H", "P", "Q", "R", "S", "U", "V", "Sigma", "Omega", "D", "E"),
        *("W_1", "Lambda"),
    ),
}


@dataclass(frozen=True)
class Variable:
    """A declared variable."""

    name: str
    rows: Size
    cols: Size
    kind: str

    @property
    def declared(self) -> str:
        if self.kind == "vector":
            return f"vector({self.rows.text})"
        if self.kind in ("scalar", "integer") or (self.is_single and self.kind in ("positive", "nonneg")):
            return self.kind
        if self.cols == ONE and self.kind in ("positive", "nonneg"):
            return f"{self.kind}({self.rows.text})"
        if self.kind in ("matrix", "stiefel", "fullrank", "positive", "nonneg"):
            return f"{self.kind}({self.rows.text}, {self.cols.text})"
        return f"{self.kind}({self.rows.text})"

    @property
    def is_single(self) -> bool:
        return self.rows == ONE and self.cols == ONE

    @property
    def node(self) -> E:
        return E("var", (), self.rows, self.cols, self.name)


@dataclass(frozen=True)
class Indexed:
    """A family that is declared with a range from ``low`` to ``low`` + ``count`` - 1."""

    name: str
    rows: Size
    cols: Size
    low: int
    count: str
    kind: str = "matrix"

    @property
    def last(self) -> At:
        return (self.count, self.low - 1)


@dataclass(frozen=True)
class Index:
    """An index in scope, and where it runs."""

    name: str
    low: int
    high: At


@dataclass
class Problem:
    """An expression, what it is differentiated by, the form, and the sizes of the declared names."""

    e: E
    wrt: str
    form: str
    variables: dict[str, Variable]
    families: dict[str, Indexed]
    sizes: dict[str, int]
    integers: dict[str, int] = field(default_factory=dict)
    functions: tuple[str, ...] = ()
    member: At | None = None
    structured: bool = False


LABELS: tuple[str, ...] = (
    *ENTRYWISE,
    *(  # noqa: SIM905
        "phi polygamma tr det logdet sum norm norm2 bars norm1 nuclear spectral eigmax eigvecmax eigvecs "
        "logsumexp softmax entry vec mul T had hdiv hpow shift tril triu kron slice unvec diag rowsums "
        "colsums basis vech elimination commutation duplication inv invT pow expm logm sqrtm polar pinv "
        "sylvester dexpm dlogm blocks khatrirao add neg scale div let rec sumover member ind prodover "
        "derivative eye ones zeros size index pi rows cols max min rec2"
    ).split(),
)
"""Every function and construct; each is asked for in turn."""

Thunk = Callable[[int], E]


def names_in(attr: Any) -> set[str]:
    """The names in nested tuples."""
    return set().union(*map(names_in, attr)) if isinstance(attr, tuple) else {attr} if isinstance(attr, str) else set()


class Generator:
    """One random problem."""

    def __init__(self, rng: Random, focus: str = "") -> None:
        self.rng, self.focus = rng, focus
        self.variables: dict[str, Variable] = {}
        self.families: dict[str, Indexed] = {}
        self.functions: set[str] = set()
        self.integers: dict[str, int] = {}
        self.sizes = {name: rng.choice((1, 2, 2, 3, 3, 4)) for name in "nmp"}
        self.sizes |= {name: rng.choice((1, 2, 3)) for name in "Nq"}
        self.indices: list[Index] = []
        self.states: list[tuple[str, At, Shape]] = []
        self.lets: list[E] = []
        self.halves: dict[Size, Size] = {}
        self.base = [Size.of(name) for name in "nnnmmp"]
        if rng.random() < 0.25:
            self.base += [Size.of(rng.choice((2, 3)))] * 2
        self.nested = 0
        self.counter = 0
        self.inside: set[str] = set()
        self.loops: set[str] = set()

    # ------------------------------------------------------------ helpers

    def size(self) -> Size:
        return self.rng.choice(self.base)

    def fresh(self, stem: str) -> str:
        self.counter += 1
        return f"{stem}{self.counter}"

    def letter(self) -> str:
        """An index that is not in use."""
        taken = {index.name for index in self.indices} | {at[0] for _, at, _ in self.states}
        return next(i for i in "ijklr" if i not in taken)

    def unused(self, sort: str) -> str:
        """A name for what is defined inside."""
        taken = {*self.variables, *self.families, *self.integers, *self.inside}
        name = next((n for n in reversed(NAMES[sort]) if n not in taken), "") or self.fresh(NAMES[sort][0] + "_")
        self.inside.add(name)
        return name

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def value_of(self, size: Size) -> int:
        return size.value({**self.sizes, **self.integers})

    def number(self) -> E:
        value = self.rng.choice((2, 3, Fraction(1, 2), Fraction(2, 3), 1, Fraction(1, 4), 5, Fraction(1, 10)))
        value = 0 if self.chance(0.01) else value
        shown: Any = value if isinstance(value, int) or self.chance(0.5) else float(value)
        if isinstance(shown, float) and Fraction(repr(shown)) != value:
            shown = value
        return E("num", (), ONE, ONE, shown)

    def variable(self, rows: Size, cols: Size, kinds: tuple[str, ...]) -> E:
        """A variable of this shape, an old one where there is one."""
        known = [v for v in self.variables.values() if v.rows == rows and v.cols == cols and v.kind in kinds]
        if known and self.chance(0.7):
            return self.rng.choice(known).node
        kind = self.rng.choice(kinds)
        sort = "scalar" if rows == ONE and cols == ONE else "vector" if cols == ONE else "matrix"
        used = {*self.variables, *self.families, *self.integers, *self.inside}
        free = [name for name in NAMES[sort] if name not in used]
        name = self.rng.choice(free[:4]) if free else self.fresh(NAMES[sort][0] + "_")
        self.variables[name] = Variable(name, rows, cols, kind)
        return self.variables[name].node

    # ------------------------------------------------------------ leaves

    def leaf(self, rows: Size, cols: Size) -> E:
        if rows == ONE and cols == ONE:
            return self.scalar_leaf()
        if rows in self.halves and cols == ONE:
            n = self.halves[rows]
            return E("vech", (self.leaf(n, n),), rows, ONE)
        for shape, at in ((rows, 0), (cols, 1)):
            if not shape.atomic:
                return self.composite_leaf(rows, cols, shape, at)
        if rows == ONE:
            return self.variable(ONE, cols, ("matrix",)) if self.chance(0.1) else self.T(self.leaf(cols, ONE))
        inside = [thunk for _, _, thunk in self.bound_leaves(rows, cols)]
        if inside and self.chance(0.6):
            return self.rng.choice(inside)(0)
        if self.chance(0.05):
            return E(self.rng.choice(("ones", "ones", "zeros")), (), rows, cols, (rows, cols))
        if cols == ONE:
            return self.variable(rows, cols, (*["vector"] * 6, "positive", "positive", "nonneg", "nonneg", "matrix"))
        if rows == cols and self.chance(0.7):
            if self.chance(0.05):
                return E("eye", (), rows, cols, (rows,))
            return self.variable(rows, cols, SQUARE_KINDS)
        kinds = ("matrix", "matrix", "matrix", "positive")
        if self.value_of(rows) >= self.value_of(cols) and rows != cols:
            kinds = (*kinds, "fullrank", "stiefel")
        return self.variable(rows, cols, kinds)

    def composite_leaf(self, rows: Size, cols: Size, shape: Size, at: int) -> E:
        parts, factors = shape.parts(), shape.factors()
        if rows.written and cols.written and self.chance(0.2):
            return self.variable(rows, cols, ("vector" if cols == ONE else "matrix",))
        other = cols if at == 0 else rows
        if parts is not None:
            shapes = [(part, other) if at == 0 else (other, part) for part in parts]
            blocks = tuple(self.leaf(*s) for s in shapes)
            return E("blocks", blocks, rows, cols, 1 if at == 0 else 2)
        if factors is not None:
            first, second = factors
            if at == 0:
                return E("kron", (self.leaf(first, other), self.leaf(second, ONE)), rows, cols)
            return E("kron", (self.leaf(other, first), self.leaf(ONE, second)), rows, cols)
        return E("ones", (), rows, cols, (rows, cols))  # a size of vech elsewhere than as a column

    def scalar_leaf(self) -> E:
        roll = self.rng.random()
        if roll < 0.15:
            return self.number()
        if roll < 0.2 or self.focus == "size":
            return E("size", (), ONE, ONE, Size.of(self.rng.choice("nmp")))
        if roll < 0.22 or self.focus == "pi":
            return E("pi", (), ONE, ONE)
        if roll < 0.24 or self.focus in ("rows", "cols"):
            word = self.focus if self.focus in ("rows", "cols") else self.rng.choice(("rows", "cols"))
            return E(word, (self.leaf(self.size(), self.rng.choice((ONE, self.size()))),), ONE, ONE)
        inside = [thunk for _, _, thunk in self.bound_leaves(ONE, ONE)]
        if inside and self.chance(0.6):
            return self.rng.choice(inside)(0)
        return self.variable(ONE, ONE, (*["scalar"] * 9, *["positive"] * 3, "vector", "matrix"))

    def bound_leaves(self, rows: Size, cols: Size) -> list[tuple[str, float, Thunk]]:
        """What depends on the indices in scope: members of families, states, numbers, entries."""
        found: list[tuple[str, float, Thunk]] = []
        for name, at, shape in self.states:
            if shape == (rows, cols):
                found.append(("state", 4.0, lambda d, n=name, at=at: E("state", (), rows, cols, (n, at))))
        for e in self.lets:
            if e.shape == (rows, cols):
                found.append(("let", 3.0, lambda d, e=e: e))
        for index in self.indices[-2:]:
            if rows.atomic and cols.atomic and index.high in (("N", index.low - 1), ("q", index.low - 1)):
                found.append(("member", 3.0, lambda d, i=index: self.member(rows, cols, i)))
            if rows == ONE and cols == ONE:
                found.append(("index", 0.5, lambda d, i=index: E("index", (), ONE, ONE, (i.name, 0))))
                found.append(("ind", 1.0, lambda d, i=index: self.indicator(i)))
                if index.low == 1 and index.high == ("n", 0):
                    found.append(("entry", 2.0, lambda d, i=index: self.entry_at(i, d)))
            if rows == Size.of("n") and cols == ONE and index.low == 1 and index.high == ("n", 0):
                found.append(("basis", 1.0, lambda d, i=index: E("basis", (), rows, ONE, ((i.name, 0),))))
        return found

    def member(self, rows: Size, cols: Size, index: Index, kinds: tuple[str, ...] = ()) -> E:
        """A member at the index, of a family with the same range."""
        for f in self.families.values():
            fits = f.rows == rows and f.cols == cols and f.low == index.low and f.last == index.high
            if fits and self.chance(0.8) and (not kinds or f.kind in kinds):
                return E("member", (), rows, cols, (f.name, (index.name, 0)))
        sort = "scalar" if rows == ONE and cols == ONE else "vector" if cols == ONE else "matrix"
        used = {*self.variables, *self.families, *self.integers, *self.inside}
        name = self.rng.choice([name for name in NAMES[sort] if name not in used] or [self.fresh("W_")])
        if not kinds:
            kinds = ("matrix", "matrix", "matrix", "positive")
            if rows == cols != ONE:
                kinds = (*kinds, "symmetric", "posdef", "invertible", "diagonal", "lower")
        self.families[name] = Indexed(name, rows, cols, index.low, index.high[0], self.rng.choice(kinds))
        return E("member", (), rows, cols, (name, (index.name, 0)))

    def indicator(self, index: Index) -> E:
        relation = self.rng.choice((">=", "<=", "<", ">", "="))
        others: list[At] = [("", self.rng.choice((1, 2))), *((i.name, 0) for i in self.indices if i is not index)]
        return E("ind", (), ONE, ONE, ((index.name, 0), relation, self.rng.choice(others)))

    def entry_at(self, index: Index, depth: int) -> E:
        n = Size.of("n")
        if self.chance(0.5):
            return E("entry", (self.gen(n, ONE, depth - 1),), ONE, ONE, ((index.name, 0),))
        others: list[At] = [("", 1), *((i.name, 0) for i in self.indices if i.low == 1 and i.high == ("n", 0))]
        return E("entry", (self.gen(n, n, depth - 1),), ONE, ONE, ((index.name, 0), self.rng.choice(others)))

    def T(self, a: E) -> E:
        return a.args[0] if a.op == "T" else E("T", (a,), a.cols, a.rows)

    # ------------------------------------------------------------ choosing

    def gen(self, rows: Size, cols: Size, depth: int) -> E:
        """A random expression of this shape."""
        if depth <= 0 or self.chance(0.04):
            return self.leaf(rows, cols)
        if rows == ONE and cols == ONE:
            options = [*self.anything(ONE, ONE), *self.scalars()]
        else:
            options = [*self.anything(rows, cols), *self.arrays(rows, cols)]
        wanted = [o for o in options if o[0] == self.focus]
        if wanted and self.chance(0.5):
            options = wanted
        _, _, thunk = self.rng.choices(options, [weight for _, weight, _ in options])[0]
        return thunk(depth - 1)

    def anything(self, r: Size, c: Size) -> list[tuple[str, float, Thunk]]:
        """What scalars and arrays share."""
        g = lambda d: self.gen(r, c, d)  # noqa: E731
        s = lambda d: self.gen(ONE, ONE, d)  # noqa: E731
        made: list[tuple[str, float, Thunk]] = [
            ("add", 3.0, lambda d: self.sum_of(r, c, d)),
            ("neg", 0.5, lambda d: E("neg", (g(d),), r, c)),
            ("scale", 2.0, lambda d: E("scale", (s(d), g(d)), r, c)),
            ("div", 1.0, lambda d: E("div", (g(d), self.positive(ONE, ONE, d)), r, c)),
            ("phi", 0.7, lambda d: self.unknown(g(d))),
            ("let", 0.15, lambda d: self.let(r, c, d)),
            ("where", 0.4, lambda d: self.recurrence(r, c, d)),
        ]
        for name in (*ANYWHERE, *POSITIVE_ARGUMENT, *UNIT_ARGUMENT, *POSITIVE_UNIT_ARGUMENT, "acosh", "polygamma"):
            made.append((name, 0.06, lambda d, name=name: self.entrywise(name, r, c, d)))
        if len(self.indices) < 2:
            made.append(("sumover", 1.0, lambda d: self.sum_over(r, c, d)))
            made.append(("member", 0.2, lambda d: self.sum_over(r, c, d)))
            made.append(("ind", 0.1, lambda d: self.sum_over(r, c, d)))
        if r == c:
            made.append(("prodover", 0.5, lambda d: self.prod_over(r, d)))
        made.append(("derivative", 0.25, lambda d: self.derivative(r, c, d)))
        return [*made, *self.bound_leaves(r, c)]

    # ------------------------------------------------------------ both

    def sum_of(self, r: Size, c: Size, d: int) -> E:
        args = tuple(self.gen(r, c, d - k) for k in range(self.rng.choice((2, 2, 2, 3))))
        return E("add", args, r, c, tuple(self.rng.choice((1, 1, -1)) for _ in args))

    def unknown(self, a: E) -> E:
        name = self.rng.choice(("phi", "chi"))
        self.functions.add(name)
        return E("fun", (a,), a.rows, a.cols, ("phi", name, self.rng.choice((0, 0, 0, 0, 1))))

    def entrywise(self, name: str, r: Size, c: Size, d: int, inside: E | None = None) -> E:
        if inside is not None:
            return E("fun", (inside,), r, c, (name,))
        if name == "polygamma":
            return E("fun", (self.positive(r, c, d),), r, c, (name, self.rng.choice((0, 1, 2))))
        if name in POSITIVE_ARGUMENT:
            inside = self.positive(r, c, d)
        elif name in UNIT_ARGUMENT:
            inside = self.unit(r, c, d)
        elif name in POSITIVE_UNIT_ARGUMENT:
            inside = E("fun", (self.gen(r, c, d),), r, c, ("sigmoid",))
        elif name == "acosh":
            inside = self.shifted(self.positive(r, c, d), 1)
        else:
            inside = self.gen(r, c, d)
            if name in ("exp", "sinh", "cosh", "expm1"):
                inside = self.tame(inside)
        return E("fun", (inside,), r, c, (name,))

    def tame(self, a: E) -> E:
        """Smaller, mostly."""
        if self.chance(0.4):
            return a
        if self.chance(0.5):
            return E("div", (a, E("num", (), ONE, ONE, self.rng.choice((2, 3, 4)))), a.rows, a.cols)
        return E("fun", (a,), a.rows, a.cols, (self.rng.choice(("tanh", "sin", "sigmoid")),))

    def shifted(self, a: E, by: int) -> E:
        number = E("num", (), ONE, ONE, by)
        if a.is_scalar and self.chance(0.7):
            return E("add", (a, number), ONE, ONE, (1, 1))
        args = (a, number) if self.chance(0.5) else (number, a)
        if args[0] is number:
            return (
                E("add", (number, a), ONE, ONE, (1, 1)) if a.is_scalar else E("shift", (number, a), a.rows, a.cols, 1)
            )
        return E("shift", args, a.rows, a.cols, 1)

    def positive(self, r: Size, c: Size, d: int) -> E:
        """Entries greater than 0."""
        a = lambda: self.gen(r, c, d - 1)  # noqa: E731
        if d <= 0 and r.atomic and c.atomic and r != ONE:
            return self.variable(r, c, ("positive",))
        if d <= 0 and r == ONE and c == ONE:
            return self.variable(r, c, ("positive",))
        options: list[Callable[[], E]] = [
            lambda: E("fun", (self.tame(a()),), r, c, ("exp",)),
            lambda: E("fun", (a(),), r, c, (self.rng.choice(("softplus", "sigmoid", "cosh")),)),
            lambda: self.shifted(E("fun", (a(),), r, c, (self.rng.choice(("square", "abs", "relu")),)), 1),
            lambda: self.shifted(E("fun", (a(),), r, c, (self.rng.choice(("sin", "tanh", "cos", "erf")),)), 2),
            lambda: E("add", (self.positive(r, c, d - 1), self.positive(r, c, d - 1)), r, c, (1, 1)),
        ]
        if r == ONE and c == ONE:
            options.append(lambda: self.shifted(self.gram_scalar(d - 1), 1))
        else:
            options.append(lambda: E("had", (self.positive(r, c, d - 1), self.positive(r, c, d - 1)), r, c))
        return self.rng.choice(options)()

    def gram_scalar(self, d: int) -> E:
        n = self.size()
        v = self.gen(n, ONE, d)
        return E("mul", (self.T(v), v), ONE, ONE)

    def unit(self, r: Size, c: Size, d: int) -> E:
        """Entries between -1 and 1."""
        a = self.gen(r, c, d)
        name = self.rng.choice(("tanh", "sigmoid", "sin", "erf", "atan"))
        e = E("fun", (a,), r, c, (name,))
        return E("div", (e, E("num", (), ONE, ONE, 2)), r, c) if name in ("sin", "atan") else e

    def let(self, r: Size, c: Size, d: int) -> E:
        shape = (r, c) if self.chance(0.5) else (self.size(), self.rng.choice((ONE, self.size())))
        value = self.gen(*shape, d - 1)
        name = self.unused("matrix" if shape[1] != ONE else "vector")
        e = E("var", (), *shape, name)
        self.lets.append(e)
        body = self.gen(r, c, d)
        self.lets.pop()
        if not any(a == e for a in body.walk()):
            one = E("sum", (e,), ONE, ONE) if not e.is_scalar else e
            body = E("scale", (one, body), r, c)
        return E("let", (value, body), r, c, name)

    def recurrence(self, r: Size, c: Size, d: int) -> E:
        """A local recurrence of L or N steps, up or down."""
        shape = (r, c) if self.chance(0.6) else (self.size(), self.rng.choice((ONE, self.size())))
        name, index = self.unused("vector"), self.letter()
        count, step = self.rng.choice("qN"), self.rng.choice((1, 1, -1))
        held, self.indices = self.indices, self.indices if self.chance(0.3) else []
        start = self.gen(*shape, d - 1)
        low, high = (0, (count, -1)) if step > 0 else (1, (count, 0))
        before = len(self.states)
        self.states.append((name, (index, 0), shape))
        self.indices = [*self.indices, Index(index, low, high)]
        self.loops.add(index)
        body = self.gen(*shape, min(d, 2))
        if body.depth > 1 and not any(e.op == "state" and e.attr[0] == name for e in body.walk()):
            body = E("add", (body, E("state", (), *shape, (name, (index, 0)))), *shape, (1, 1))
        if self.chance(0.7):
            body = E("fun", (body,), *shape, (self.rng.choice(("tanh", "sin", "sigmoid")),))
        self.indices = held
        last: At = (count, 0) if step > 0 else ("", 0)
        self.states[before:] = [(name, last, shape)]
        if shape == (r, c) and self.chance(0.5):
            result = E("state", (), r, c, (name, last))
        else:
            result = self.gen(r, c, d)
            if not any(e.op == "state" and e.attr[0] == name for e in result.walk()):
                state = E("state", (), *shape, (name, last))
                if shape == (r, c):
                    result = E("add", (result, state), r, c, (1, 1))
                else:
                    result = E("scale", (E("sum", (state,), ONE, ONE), result), r, c)
        del self.states[before:]
        return E("rec", (start, body, result), r, c, (name, index, Size.of(count), step))

    def sum_over(self, r: Size, c: Size, d: int) -> E:
        index = self.letter()
        low, high = self.rng.choice(((1, ("N", 0)), (1, ("N", 0)), (0, ("q", -1)), (1, ("n", 0)), (1, ("n", 0))))
        at_low: At = ("", low)
        at_high: At = high
        around = self.indices[-1] if self.indices and self.indices[-1].name not in self.loops else None
        if around and around.low == low and around.high == high and self.chance(0.5):
            at_low, at_high = (((around.name, 0), high), (at_low, (around.name, 0)))[self.rng.random() < 0.5]
        self.indices.append(Index(index, low, high))
        self.loops.discard(index)
        body = self.gen(r, c, d)
        if not any(self.uses(e, index) for e in body.walk()):
            inside = self.bound_leaves(ONE, ONE)
            factor = self.rng.choice([t for n, _, t in inside if n not in ("state", "let")])(0)
            body = E("scale", (factor, body), r, c)
        self.indices.pop()
        return E("sumover", (body,), r, c, (index, at_low, at_high))

    def uses(self, e: E, index: str) -> bool:
        return e.op in ("index", "member", "entry", "ind", "basis", "sumover") and index in names_in(e.attr)

    def prod_over(self, r: Size, d: int) -> E:
        index = self.letter()
        low, high = self.rng.choice(((1, ("N", 0)), (0, ("q", -1))))
        self.indices.append(Index(index, low, high))
        body = self.member(r, r, self.indices[-1]) if r.atomic and self.chance(0.5) else self.gen(r, r, min(d, 2))
        self.indices.pop()
        around = self.indices[-1] if self.indices and self.indices[-1].name not in self.loops else None
        if around and around.low == low and around.high == high and self.chance(0.5):
            high = (around.name, 0)
        ends: tuple[At, At] = (("", low), high) if self.chance(0.5) else (high, ("", low))
        return E("prodover", (body,), r, r, (index, *ends))

    def derivative(self, r: Size, c: Size, d: int) -> E:
        """A derivative inside an expression: by a variable without structure, of something small."""
        if self.nested or self.states or self.lets:
            return self.leaf(r, c)
        self.nested += 1
        try:
            return self.nested_derivative(r, c, d)
        finally:
            self.nested -= 1

    def nested_derivative(self, r: Size, c: Size, d: int) -> E:
        if r == ONE and c == ONE:
            n = self.size()
            kind = self.rng.choice(("tr", "sum", "dd"))
            if kind == "tr":
                return E("tr", (self.nested_derivative(n, n, d),), ONE, ONE)
            if kind == "sum":
                return E("sum", (self.nested_derivative(n, ONE, d),), ONE, ONE)
            s = self.variable(ONE, ONE, ("scalar", "positive"))
            return self.differentiated("D", self.mentioning(ONE, ONE, s, d), s, ONE, ONE)
        if r == c and r.atomic and self.chance(0.6):
            x = self.variable(r, ONE, ("vector",))
            if self.chance(0.6):
                return self.differentiated("hess", self.mentioning(ONE, ONE, x, d), x, r, r)
            return self.differentiated("D", self.mentioning(r, ONE, x, d), x, r, r)
        if r.atomic and c.atomic and r != ONE:
            x = self.variable(r, c, ("vector",) if c == ONE else ("matrix",))
            return self.differentiated("grad", self.mentioning(ONE, ONE, x, d), x, r, c)
        return self.leaf(r, c)

    def mentioning(self, r: Size, c: Size, x: E, d: int) -> E:
        """An expression in which a variable occurs."""
        for _ in range(6):
            e = self.gen(r, c, min(d, 2))
            if any(a == x for a in e.walk()) and not any(a.op == "derivative" for a in e.walk()):
                return e
        whole = E("norm", (x,), ONE, ONE) if not x.is_scalar else x
        power = E("pow", (whole,), ONE, ONE, self.rng.choice((2, 3)))
        if r == ONE and c == ONE:
            return power
        return E("scale", (power, x), r, c) if x.shape == (r, c) else E("scale", (power, self.leaf(r, c)), r, c)

    def differentiated(self, kind: str, f: E, x: E, r: Size, c: Size) -> E:
        return E("derivative", (f,), r, c, (kind, x.attr))

    # ------------------------------------------------------------ in other modules

    def scalars(self) -> list[tuple[str, float, Thunk]]:
        from . import constructs, further

        return [*constructs.scalars(self), *further.scalars(self)]

    def arrays(self, r: Size, c: Size) -> list[tuple[str, float, Thunk]]:
        from .constructs import arrays

        return arrays(self, r, c)
