"""What makes scalars of arrays and arrays of arrays: the productions of the generator for each shape."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import TYPE_CHECKING

from .tree import ONE, E, Size

if TYPE_CHECKING:
    from .generate import Generator

Thunk = Callable[[int], E]
Options = list[tuple[str, float, Thunk]]


def scalars(g: Generator) -> Options:
    """Productions of a scalar."""
    r = g.rng

    def square(d: int) -> E:
        n = g.size()
        return g.gen(n, n, d)

    def array(d: int) -> E:
        n = g.size()
        return g.gen(n, r.choice((ONE, g.size())), d)

    def vector(d: int) -> E:
        return g.gen(g.size(), ONE, d)

    def of(name: str, inside: Thunk) -> Thunk:
        return lambda d: E(name, (inside(d),), ONE, ONE)

    def inner(d: int) -> E:
        n = g.size()
        left = g.T(g.gen(n, ONE, d))
        if g.chance(0.5):
            return E("mul", (left, g.gen(n, ONE, d)), ONE, ONE)
        m = g.size()
        return E("mul", (left, g.gen(n, m, d - 1), g.gen(m, ONE, d)), ONE, ONE)

    def traced(d: int) -> E:
        n, m = g.size(), g.size()
        return E("tr", (E("mul", (g.gen(n, m, d), g.gen(m, n, d)), n, n),), ONE, ONE)

    def power(d: int) -> E:
        if g.chance(0.6):
            return E("pow", (g.gen(ONE, ONE, d),), ONE, ONE, r.choice((2, 3, 2)))
        if g.chance(0.3):
            return E("pow", (g.positive(ONE, ONE, d),), ONE, ONE, r.choice((-1, -2)))
        exponent = g.number() if g.chance(0.6) else g.gen(ONE, ONE, d - 1)
        return E("pow", (g.positive(ONE, ONE, d), exponent), ONE, ONE)

    def product(d: int) -> E:
        return E("scale", (g.gen(ONE, ONE, d), g.gen(ONE, ONE, d)), ONE, ONE)

    def entry(d: int) -> E:
        n, m = g.size(), g.size()
        i, j = (r.randint(1, g.value_of(s)) for s in (n, m))
        if g.chance(0.4):
            return E("entry", (g.gen(n, ONE, d),), ONE, ONE, (("", i),))
        return E("entry", (g.gen(n, m, d),), ONE, ONE, (("", i), ("", j)))

    def vectors(d: int) -> E:
        n, m = g.size(), g.size()
        left, right = E("vec", (g.gen(n, m, d),), n * m, ONE), E("vec", (g.gen(n, m, d),), n * m, ONE)
        return E("mul", (g.T(left), right), ONE, ONE)

    return [
        ("tr", 1.5, of("tr", square)),
        ("tr", 0.7, traced),
        ("mul", 2.0, inner),
        ("det", 0.5, of("det", square)),
        ("logdet", 0.4, of("logdet", lambda d: definite(g, g.size(), d))),
        ("logdet", 0.4, of("logdet", square)),
        ("sum", 1.0, of("sum", array)),
        ("norm", 0.6, of("norm", array)),
        ("norm2", 0.2, of("norm2", array)),
        ("bars", 0.2, of("bars", array)),
        ("norm1", 0.2, of("norm1", array)),
        ("nuclear", 0.2, of("nuclear", array)),
        ("spectral", 0.2, of("spectral", array)),
        ("eigmax", 0.2, of("eigmax", lambda d: symmetric(g, g.size(), d))),
        ("logsumexp", 0.3, of("logsumexp", vector)),
        ("pow", 1.0, power),
        ("scale", 1.0, product),
        ("entry", 0.4, entry),
        ("vec", 0.3, vectors),
    ]


def arrays(g: Generator, r: Size, c: Size) -> Options:
    """Productions of an array with r rows and c columns."""
    same: Thunk = lambda d: g.gen(r, c, d)  # noqa: E731
    made: Options = [
        ("mul", 3.0, lambda d: product(g, r, c, d)),
        ("T", 1.0, lambda d: g.T(g.gen(c, r, d))),
        ("had", 1.0, lambda d: E("had", (same(d), same(d)), r, c)),
        ("hdiv", 0.5, lambda d: divided(g, r, c, d)),
        ("hpow", 0.5, lambda d: entrywise_power(g, r, c, d)),
        ("shift", 0.5, lambda d: shift(g, r, c, d)),
        ("tril", 0.2, lambda d: E("tril", (same(d),), r, c)),
        ("triu", 0.2, lambda d: E("triu", (same(d),), r, c)),
        ("softmax", 0.3, lambda d: E("softmax", (same(d),), r, c)),
        ("kron", 0.4, lambda d: E("kron", (g.gen(r, ONE, d), g.gen(ONE, c, d)), r, c)),
        ("slice", 0.3, lambda d: sliced(g, r, c, d)),
        ("max", 0.15, lambda d: E("max", (same(d), same(d)), r, c)),
        ("min", 0.15, lambda d: E("min", (same(d), same(d)), r, c)),
    ]
    if r.written and c.written and r != ONE:
        made.append(("unvec", 0.3, lambda d: E("unvec", (g.gen(r * c, ONE, d),), r, c, (r, c))))
    if c == ONE:
        made += columns(g, r)
    if r == c:
        made += squares(g, r)
    if r != ONE and c != ONE:
        made.append(("polar", 0.15, lambda d: E("polar", (g.gen(r, c, d),), r, c)))
        made.append(("pinv", 0.15, lambda d: E("pinv", (g.gen(c, r, d),), r, c)))
        made.append(("sylvester", 0.1, lambda d: sylvester(g, r, c, d)))
        made.append(("dexpm", 0.1, lambda d: frechet(g, "dexpm", r, c, d)))
        made.append(("dlogm", 0.1, lambda d: frechet(g, "dlogm", r, c, d)))
    made += composites(g, r, c)
    return made


def columns(g: Generator, r: Size) -> Options:
    """Productions of a vector."""
    made: Options = [
        ("diag", 0.5, lambda d: E("diag", (g.gen(r, r, d),), r, ONE)),
        ("rowsums", 0.4, lambda d: E("rowsums", (g.gen(r, g.size(), d),), r, ONE)),
        ("colsums", 0.4, lambda d: E("colsums", (g.gen(g.size(), r, d),), r, ONE)),
        ("logsumexp", 0.2, lambda d: E("logsumexp", (g.gen(r, g.size(), d),), r, ONE)),
        ("eigvecmax", 0.15, lambda d: E("eigvecmax", (symmetric(g, r, d),), r, ONE)),
    ]
    if r.atomic and r.terms[0][0]:
        place = g.rng.randint(1, g.value_of(r))
        made.append(("basis", 0.1, lambda d: E("basis", (), r, ONE, (("", place),))))
    if r in g.halves:
        n = g.halves[r]
        made.append(("vech", 3.0, lambda d: E("vech", (g.gen(n, n, d),), r, ONE)))
        made.append(
            (
                "elimination",
                0.7,
                lambda d: E("mul", (E("elimination", (), r, n * n, (n,)), g.gen(n * n, ONE, d)), r, ONE),
            )
        )
    factors = r.factors()
    if factors is not None:
        m, n = factors
        made.append(("vec", 3.0, lambda d: E("vec", (g.gen(*g.rng.choice(((m, n), (n, m))), d),), r, ONE)))
        made.append(
            (
                "commutation",
                1.0,
                lambda d: E("mul", (E("commutation", (), r, r, (m, n)), g.gen(r, ONE, d)), r, ONE),
            )
        )
        if m == n:
            half = m.half
            g.halves[half] = m
            made.append(
                (
                    "duplication",
                    1.0,
                    lambda d: E("mul", (E("duplication", (), r, half, (m,)), g.gen(half, ONE, d)), r, ONE),
                )
            )
    return made


def squares(g: Generator, n: Size) -> Options:
    """Productions of a square matrix."""

    def of(name: str, inside: Thunk) -> Thunk:
        return lambda d: E(name, (inside(d),), n, n)

    any_: Thunk = lambda d: g.gen(n, n, d)  # noqa: E731
    good: Thunk = lambda d: invertible(g, n, d)  # noqa: E731
    clear: Thunk = lambda d: definite(g, n, d)  # noqa: E731

    def power(d: int) -> E:
        exponent = g.rng.choice((2, 2, 3, 0, 1, "K", "K"))
        if exponent == "K":
            g.integers["K"] = g.integers.get("K", g.rng.choice((0, 1, 2, 3)))
        return E("pow", (any_(d),), n, n, exponent)

    return [
        ("diag", 0.5, lambda d: E("diag", (g.gen(n, ONE, d),), n, n)),
        ("inv", 1.0, of("inv", good)),
        ("inv", 0.3, of("inv", any_)),
        ("invT", 0.3, of("invT", good)),
        ("pow", 0.5, power),
        ("pow", 0.2, lambda d: E("pow", (good(d),), n, n, g.rng.choice((-2, -1)))),
        ("expm", 0.2, lambda d: E("expm", (g.tame(any_(d)),), n, n)),
        ("logm", 0.15, of("logm", clear)),
        ("sqrtm", 0.15, of("sqrtm", clear)),
        ("eye", 0.2, lambda d: E("add", (any_(d), scaled_identity(g, n)), n, n, (1, 1))),
        ("definite", 0.3, clear),
        ("symmetric", 0.3, lambda d: symmetric(g, n, d)),
        ("eigvecs", 0.1, lambda d: projector(g, n, d)),
    ]


def composites(g: Generator, r: Size, c: Size) -> Options:
    """Productions of what has sums or products as sides."""
    made: Options = []
    row_parts, col_parts = r.parts(), c.parts()
    if row_parts or col_parts:
        rows, cols = row_parts or (r,), col_parts or (c,)
        made.append(
            ("blocks", 4.0, lambda d: E("blocks", tuple(g.gen(a, b, d) for a in rows for b in cols), r, c, len(cols)))
        )
    rf, cf = r.factors(), c.factors()
    if rf:
        (a, b), (e, f) = rf, cf or ((c, ONE) if g.chance(0.5) else (ONE, c))
        made.append(("kron", 4.0, lambda d: E("kron", (g.gen(a, e, d), g.gen(b, f, d)), r, c)))
        if c != ONE:
            made.append(("khatrirao", 2.0, lambda d: E("khatrirao", (g.gen(a, c, d), g.gen(b, c, d)), r, c)))
    elif cf:
        (a, b), (e, f) = ((r, ONE) if g.chance(0.5) else (ONE, r)), cf
        made.append(("kron", 4.0, lambda d: E("kron", (g.gen(a, e, d), g.gen(b, f, d)), r, c)))
    return made


# ---------------------------------------------------------------- products and sums


def product(g: Generator, r: Size, c: Size, d: int) -> E:
    roll = g.rng.random()
    k = g.size()
    if g.focus in ("kron", "khatrirao", "vec", "commutation", "duplication", "elimination", "vech", "blocks"):
        roll *= 0.4
    if roll < 0.12:
        k = g.size() * g.size()
    elif roll < 0.2:
        k = g.size() + g.size()
        if k.atomic or not k.parts():
            k = g.size()
    elif roll < 0.26:
        n = g.size()
        k = n * n
        if r != ONE or c != ONE:
            half = n.half
            g.halves[half] = n
            right = g.gen(half, ONE, d) if c == ONE else E("mul", (g.gen(half, ONE, d), g.gen(ONE, c, 0)), half, c)
            left = (
                g.T(g.gen(half, ONE, d))
                if r == ONE
                else E("mul", (g.gen(r, ONE, 0), g.T(g.gen(half, ONE, d))), r, half)
            )
            return E("mul", (left, right), r, c)
    if g.chance(0.25):
        j = g.size()
        return E("mul", (g.gen(r, k, d), g.gen(k, j, d - 1), g.gen(j, c, d)), r, c)
    return E("mul", (g.gen(r, k, d), g.gen(k, c, d)), r, c)


def divided(g: Generator, r: Size, c: Size, d: int) -> E:
    roll = g.rng.random()
    if roll < 0.6:
        return E("hdiv", (g.gen(r, c, d), g.positive(r, c, d)), r, c)
    if roll < 0.8:
        return E("hdiv", (g.gen(ONE, ONE, d), g.positive(r, c, d)), r, c)
    return E("hdiv", (g.gen(r, c, d), g.positive(ONE, ONE, d)), r, c)


def entrywise_power(g: Generator, r: Size, c: Size, d: int) -> E:
    if g.chance(0.5):
        return E("hpow", (g.gen(r, c, d),), r, c, g.rng.choice((2, 3)))
    if g.chance(0.3):
        return E("hpow", (g.positive(r, c, d),), r, c, g.rng.choice((-1, -2)))
    exponent = E("num", (), ONE, ONE, g.rng.choice((Fraction(1, 2), Fraction(3, 2), Fraction(-1, 2))))
    if g.chance(0.4):
        exponent = g.gen(ONE, ONE, d - 2)
    return E("hpow", (g.positive(r, c, d), exponent), r, c)


def shift(g: Generator, r: Size, c: Size, d: int) -> E:
    args = [g.gen(r, c, d), g.gen(ONE, ONE, d)]
    if g.chance(0.5):
        args.reverse()
    return E("shift", tuple(args), r, c, g.rng.choice((1, -1)))


def sliced(g: Generator, r: Size, c: Size, d: int) -> E:
    """A block of something larger."""
    if not (r.written and c.written) or r == ONE:
        return g.leaf(r, c)
    more = g.size()
    below = g.chance(0.5)
    whole_rows = r + more if below or c == ONE else r
    whole_cols = c if below or c == ONE else c + more
    if whole_rows == whole_cols == ONE:
        return g.leaf(r, c)
    inside = g.gen(whole_rows, whole_cols, d)
    first_row, first_col = ONE, ONE
    if whole_rows != r and g.chance(0.5):
        first_row = more + ONE
    if whole_cols != c and g.chance(0.5):
        first_col = more + ONE
    ends = tuple((first, first + side + MINUS) for first, side in ((first_row, r), (first_col, c)))
    return E("slice", (inside,), r, c, ends)


MINUS = Size({(): Fraction(-1)})


# ---------------------------------------------------------------- matrices with a property


def scaled_identity(g: Generator, n: Size) -> E:
    eye = E("eye", (), n, n, (n,))
    return E("scale", (g.gen(ONE, ONE, 0), eye), n, n) if g.chance(0.5) else eye


def definite(g: Generator, n: Size, d: int) -> E:
    """Positive definite, or with eigenvalues to the right of the imaginary axis."""
    eye = E("eye", (), n, n, (n,))
    roll = g.rng.random()
    if (d <= 0 or roll < 0.3) and n.atomic:
        running = g.indices[-1] if g.indices else None
        if running and running.high in (("N", running.low - 1), ("q", running.low - 1)) and g.chance(0.4):
            return g.member(n, n, running, ("posdef",))
        return g.variable(n, n, ("posdef",))
    if roll < 0.6:
        a = g.gen(n, g.size(), d - 1)
        return E("add", (eye, E("mul", (a, g.T(a)), n, n)), n, n, (1, 1))
    if roll < 0.7:
        two = E("scale", (E("num", (), ONE, ONE, 2), eye), n, n)
        return E("add", (two, E("fun", (g.gen(n, n, d - 1),), n, n, ("tanh",))), n, n, (1, 1))
    if roll < 0.8:
        return E("add", (definite(g, n, d - 1), definite(g, n, d - 1)), n, n, (1, 1))
    if roll < 0.9:
        return E(g.rng.choice(("inv", "sqrtm")), (definite(g, n, d - 1),), n, n)
    return E("expm", (E("div", (symmetric(g, n, d - 1), E("num", (), ONE, ONE, 4)), n, n),), n, n)


def symmetric(g: Generator, n: Size, d: int) -> E:
    roll = g.rng.random()
    if (roll < 0.35 or d <= 0) and n.atomic:
        return g.variable(n, n, ("symmetric", "symmetric", "posdef"))
    if roll < 0.6:
        a = g.gen(n, n, d - 1)
        return E("add", (a, g.T(a)), n, n, (1, 1))
    if roll < 0.8:
        return definite(g, n, d - 1)
    a = g.gen(n, g.size(), d - 1)
    return E("mul", (a, g.T(a)), n, n)


def invertible(g: Generator, n: Size, d: int) -> E:
    roll = g.rng.random()
    if roll < 0.4 and n.atomic:
        return g.variable(n, n, ("invertible", "invertible", "posdef", "orthogonal", "diagonal", "lower", "upper"))
    if roll < 0.7:
        return definite(g, n, d)
    return E("add", (g.gen(n, n, d - 1), scaled_identity(g, n)), n, n, (1, 1))


def projector(g: Generator, n: Size, d: int) -> E:
    """V M V' with leading eigenvectors V."""
    if not n.atomic:
        return g.leaf(n, n)
    count = ONE if g.value_of(n) == 1 or g.chance(0.3) else Size.of(2)
    v = E("eigvecs", (symmetric(g, n, d),), n, count, (count,))
    return E("mul", (v, g.gen(count, n, d - 1)), n, n)


def sylvester(g: Generator, r: Size, c: Size, d: int) -> E:
    return E("sylvester", (definite(g, r, d - 1), definite(g, c, d - 1), g.gen(r, c, d)), r, c)


def frechet(g: Generator, name: str, r: Size, c: Size, d: int) -> E:
    def inside(n: Size) -> E:
        return g.tame(g.gen(n, n, d - 1)) if name == "dexpm" else definite(g, n, d - 1)

    first = inside(r)
    middle = g.gen(r, c, d)
    if r == c and g.chance(0.5):
        return E(name, (first, middle), r, c)
    return E(name, (first, middle, inside(c)), r, c)
