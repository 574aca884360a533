"""Productions of scalars that the shapes alone do not bring about: arrays of size 1, ranges that depend on one
another, neighbours in a family, states that use one another, derivatives of derivatives."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from .tree import ONE, At, E, Size

if TYPE_CHECKING:
    from .generate import Generator

Thunk = Callable[[int], E]
Options = list[tuple[str, float, Thunk]]


def scalars(g: Generator) -> Options:
    """Productions of a scalar."""
    found: Options = [
        ("single", 0.35, lambda d: single(g, d)),
        ("steps", 0.15, lambda d: steps(g, d)),
        ("power", 0.15, lambda d: integer_power(g, d)),
        ("max", 0.05, lambda d: E("max", (g.gen(ONE, ONE, d), g.gen(ONE, ONE, d)), ONE, ONE)),
        ("min", 0.05, lambda d: E("min", (g.gen(ONE, ONE, d), g.gen(ONE, ONE, d)), ONE, ONE)),
    ]
    if not g.indices and not g.states and not g.lets:
        found.append(("coupled", 0.12, lambda d: coupled(g, d)))
        found.append(("network", 0.08, lambda d: network(g, d)))
    if len(g.indices) < 2:
        found.append(("neighbours", 0.12, lambda d: neighbours(g, d)))
    if not g.nested and not g.states and not g.lets:
        found.append(("repeated", 0.08, lambda d: repeated(g, d)))
    return found


def single(g: Generator, d: int) -> E:
    """What is meant for arrays, of arrays with one entry."""
    from .constructs import arrays

    options = [o for o in arrays(g, ONE, ONE) if o[0] not in ("mul", "T")]
    focused = [o for o in options if o[0] == g.focus]
    _, _, thunk = g.rng.choices(focused or options, [weight for _, weight, _ in focused or options])[0]
    return thunk(d)


def _at_least(g: Generator, least: int) -> Size | None:
    sizes = [s for s in g.base if s.atomic and s.terms[0][0] and g.value_of(s) >= least]
    return g.rng.choice(sizes) if sizes else None


def steps(g: Generator, d: int) -> E:
    """Something of the differences or of the products of neighbouring entries or rows."""
    n = _at_least(g, 2)
    if n is None:
        return g.gen(ONE, ONE, d)
    c = ONE if g.chance(0.7) else g.size()
    whole = g.gen(n, c, d - 1)
    short = n + MINUS
    columns = (ONE, c)
    later = E("slice", (whole,), short, c, ((Size.of(2), n), columns))
    sooner = E("slice", (whole,), short, c, ((ONE, short), columns))
    roll = g.rng.random()
    if roll < 0.3:
        other = g.gen(n, c, 0)
        sooner = E("slice", (other,), short, c, ((ONE, short), columns))
    if roll < 0.6:
        return E("tr", (E("mul", (g.T(later), sooner), c, c),), ONE, ONE)
    difference = E("add", (later, sooner), short, c, (1, -1))
    if roll < 0.8:
        return E("pow", (E("norm", (difference,), ONE, ONE),), ONE, ONE, 2)
    return E(
        "sum", (g.entrywise(g.rng.choice(("tanh", "sin", "square", "softplus")), short, c, 0, difference),), ONE, ONE
    )


MINUS = Size.of(-1)


def integer_power(g: Generator, d: int) -> E:
    """A symbolic integer as exponent: of a scalar, of entries; a scalar as exponent of a number."""
    g.integers["K"] = g.integers.get("K", g.rng.choice((0, 1, 2, 3)))
    roll = g.rng.random()
    if roll < 0.4:
        return E("pow", (g.tame(g.gen(ONE, ONE, d)),), ONE, ONE, "K")
    if roll < 0.7:
        n, c = g.size(), g.rng.choice((ONE, g.size()))
        return E("sum", (E("hpow", (g.gen(n, c, d),), n, c, "K"),), ONE, ONE)
    base = E("num", (), ONE, ONE, g.rng.choice((2, 3)))
    return E("pow", (base, g.tame(g.gen(ONE, ONE, d))), ONE, ONE)


def coupled(g: Generator, d: int) -> E:
    """Two states that use one another."""
    first, second, index = g.unused("vector"), g.unused("vector"), g.letter()
    count = g.rng.choice("qN")
    n = g.size()
    m = n if g.chance(0.5) else g.size()
    shapes = ((n, ONE), (m, ONE))
    starts = [g.gen(*shape, min(d - 1, 1)) for shape in shapes]
    from .generate import Index

    g.indices = [Index(index, 0, (count, -1))]
    g.loops.add(index)
    g.states += [(name, (index, 0), shape) for name, shape in zip((first, second), shapes, strict=True)]
    bodies = []
    for k, (name, shape) in enumerate(zip((first, second), shapes, strict=True)):
        body = g.gen(*shape, 2)
        own, other = (E("state", (), *s, (x, (index, 0))) for x, s in _both(first, second, shapes, k))
        if k == 1:  # after the first one's step
            other = E("state", (), *shapes[0], (first, (index, g.rng.choice((0, 1)))))
        cross = E("mul", (g.leaf(shape[0], other.rows), other), *shape)
        body = E("add", (body, own, cross), *shape, (1, 1, g.rng.choice((1, -1))))
        bodies.append(E("fun", (body,), *shape, (g.rng.choice(("tanh", "sin")),)) if g.chance(0.6) else body)
        assert name
    g.indices = []
    g.states = [(name, (count, 0), shape) for name, shape in zip((first, second), shapes, strict=True)]
    result = g.gen(ONE, ONE, d)
    for name, shape in zip((first, second), shapes, strict=True):
        if not any(e.op == "state" and e.attr[0] == name for e in result.walk()):
            state = E("state", (), *shape, (name, (count, 0)))
            result = E("add", (result, E("mul", (g.T(g.leaf(*shape)), state), ONE, ONE)), ONE, ONE, (1, 1))
    g.states = []
    return E("rec2", (*starts, *bodies, result), ONE, ONE, (first, second, index, Size.of(count)))


def _both(
    first: str, second: str, shapes: tuple[tuple[Size, Size], tuple[Size, Size]], k: int
) -> list[tuple[str, tuple[Size, Size]]]:
    both = [(first, shapes[0]), (second, shapes[1])]
    return both if k == 0 else both[::-1]


def network(g: Generator, d: int) -> E:
    """Layers of one size, each with its own weights, and something of the last state or of all."""
    from .generate import Index

    name, index = g.unused("vector"), g.letter()
    count = g.rng.choice("qN")
    n = g.size()
    step = Index(index, 0, (count, -1))
    start = g.gen(n, ONE, min(d - 1, 1))
    state = E("state", (), n, ONE, (name, (index, 0)))
    inside = E("mul", (g.member(n, n, step), state), n, ONE)
    if g.chance(0.6):
        inside = E("add", (inside, g.member(n, ONE, step)), n, ONE, (1, 1))
    body = (
        g.unknown(inside) if g.chance(0.3) else E("fun", (inside,), n, ONE, (g.rng.choice(("tanh", "sigmoid", "sin")),))
    )
    if g.chance(0.3):
        body = E("add", (state, body), n, ONE, (1, 1))
    if g.chance(0.5):
        last = E("state", (), n, ONE, (name, (count, 0)))
        g.states.append((name, (count, 0), (n, ONE)))
        result = g.gen(ONE, ONE, d)
        if not any(e.op == "state" and e.attr[0] == name for e in result.walk()):
            result = E("add", (result, E("mul", (g.T(last), last), ONE, ONE)), ONE, ONE, (1, 1))
    else:
        k = g.letter()
        here = E("state", (), n, ONE, (name, (k, 0)))
        g.indices.append(Index(k, 0, (count, 0)))
        g.states.append((name, (k, 0), (n, ONE)))
        each = g.gen(ONE, ONE, min(d, 2))
        if not any(e.op == "state" and e.attr[0] == name for e in each.walk()):
            each = E("scale", (each, E("sum", (here,), ONE, ONE)), ONE, ONE)
        g.indices.pop()
        result = E("sumover", (each,), ONE, ONE, (k, ("", 0), (count, 0)))
    g.states.pop()
    return E("rec", (start, body, result), ONE, ONE, (name, index, Size.of(count), 1))


def neighbours(g: Generator, d: int) -> E:
    """A sum over neighbours in a family, or over pairs of its members, i < j or i ≤ j."""
    from .generate import Index

    n, i = g.size(), g.letter()
    count = g.rng.choice("qN")
    whole = Index(i, 1, (count, 0))
    here = g.member(n, ONE, whole)
    family = here.attr[0]
    if g.chance(0.5):
        shift = g.rng.choice((-1, 1))
        low, high = (("", 1), (count, -1)) if shift > 0 else (("", 2), (count, 0))
        there = E("member", (), n, ONE, (family, (i, shift)))
        g.indices.append(whole)
        each = pair(g, here, there, d)
        g.indices.pop()
        return E("sumover", (each,), ONE, ONE, (i, low, high))
    g.indices.append(whole)
    j = g.letter()
    inner: tuple[At, At] = g.rng.choice(
        ((("", 1), (i, 0)), ((i, 0), (count, 0)), ((i, 1), (count, 0)), (("", 1), (count, 0)))
    )
    there = E("member", (), n, ONE, (family, (j, 0)))
    g.indices.append(Index(j, 1, (count, 0)))
    each = pair(g, here, there, d)
    g.indices[-2:] = []
    total = E("sumover", (each,), ONE, ONE, (j, *inner))
    if g.chance(0.4):
        total = g.entrywise(g.rng.choice(("softplus", "tanh", "square")), ONE, ONE, 0, total)
    return E("sumover", (total,), ONE, ONE, (i, ("", 1), (count, 0)))


def pair(g: Generator, a: E, b: E, d: int) -> E:
    """A scalar of two vectors."""
    n = a.rows
    roll = g.rng.random()
    if roll < 0.35:
        inside = E("mul", (g.T(a), g.gen(n, n, min(d - 1, 1)), b), ONE, ONE)
        return (
            g.entrywise(g.rng.choice(("exp", "tanh", "sin")), ONE, ONE, 0, g.tame(inside)) if g.chance(0.5) else inside
        )
    moved = E("mul", (g.leaf(n, n), a), n, ONE) if g.chance(0.5) else a
    difference = E("add", (moved, b), n, ONE, (1, -1))
    if roll < 0.6:
        square = E("pow", (E("norm", (difference,), ONE, ONE),), ONE, ONE, 2)
        return E("fun", (E("neg", (square,), ONE, ONE),), ONE, ONE, ("exp",)) if g.chance(0.3) else square
    name = g.rng.choice(("softplus", "sin", "tanh", "square", "cos"))
    return E("sum", (E("fun", (difference,), n, ONE, (name,)),), ONE, ONE)


def repeated(g: Generator, d: int) -> E:
    """A derivative of an expression with a derivative: ``y'*grad(norm(grad(f, x))^2, x)``, ``tr(D(D(f, x)', x))``."""
    n = g.size()
    x = g.variable(n, ONE, ("vector",))
    g.nested += 1
    f = g.mentioning(ONE, ONE, x, min(d, 2))
    g.nested -= 1
    roll = g.rng.random()
    if roll < 0.35:
        row = E("derivative", (f,), ONE, n, ("D", x.attr))
        return E("tr", (E("derivative", (g.T(row),), n, n, ("D", x.attr)),), ONE, ONE)
    inner = E("derivative", (f,), n, ONE, ("grad", x.attr))
    square = (
        E("pow", (E("norm", (inner,), ONE, ONE),), ONE, ONE, 2) if roll < 0.7 else E("mul", (g.T(inner), x), ONE, ONE)
    )
    outer = E("derivative", (square,), n, ONE, ("grad", x.attr))
    return E("mul", (g.T(g.leaf(n, ONE)), outer), ONE, ONE)
