"""Random inputs of the declared kind for everything that occurs in terms.

The value of a symbol depends on the seed and on the symbol alone, never on what else is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np

from ..errors import LimitExceeded, MatcalcError, ShapeError
from ..terms import ops
from ..terms.dims import UNBOUNDED, Atom, Dim, Index, Name, SizeAt, dim
from ..terms.symbols import Family, Loop, Member, Range, Symbol
from ..terms.term import Term
from ..terms.walk import attr_dims, postorder
from .arrays import Array, check_size
from .evaluate import RELATIONS, Env, evaluate, factors_of, has_indicator, previous_states
from .spectral import eigvecs, has_clear_rank, has_principal_root

Requirement = tuple[Term, str]
PROFILES = ("distinct", "ones", "mixed")
TRIES = 200
_CONDITION = 60.0


class Unmet(MatcalcError):
    """No draw met what is required of the inputs."""


def sample(
    terms: Term | Sequence[Term],
    seed: int,
    size_hint: Sequence[int] = (2, 3, 4),
    symbols: Iterable[Symbol] = (),
    *,
    profile: str = "distinct",
    domain: str = "any",
    require: Sequence[Requirement] = (),
    sizes: dict[Atom, int] | None = None,
) -> Env:
    """An environment for ``terms``, which may be parts of sums, and for the further ``symbols``.

    ``profile`` says which sizes: ``distinct`` ones out of ``size_hint``, all ``ones``, or ``mixed``
    (1 to 3, equal ones allowed); ``sizes`` fixes some of them.  ``domain`` says where entries
    without a declared sign lie: ``any``, ``positive``, ``unit`` (between 0 and 1), or ``dominant`` (a matrix
    near a multiple of the identity).  ``require``
    holds what must be true of some terms: ``positive``, ``nonneg``, ``nonzero``, ``invertible``, ``principal``,
    ``simple``, ``distinct``, ``fixedrank`` or ``maxrank``.

    Raises :class:`ShapeError` when no sizes fit, :class:`Unmet` when no draw meets the requirements.
    """
    roots = [terms] if isinstance(terms, Term) else list(terms)
    found = _scan([*roots, *(t for t, _ in require)], symbols)
    given: dict[str, frozenset[str]] = {}  # by name: a variable and its hidden twin are one
    for term, kind in require:
        if term.op in (ops.SYM, ops.MEMBER) and kind in _FACTS:
            name = term.attr.name if term.op is ops.SYM else term.attr.family.name
            given[name] = given.get(name, frozenset()) | {kind}
    for attempt in range(TRIES):
        if attempt == TRIES // 2:  # such as n > p + q, which few of the usual sizes meet
            size_hint = range(1, 2 * max(size_hint) + 1)
        draw = _Draw(seed, attempt if require else 0, domain, given)
        env = draw.values(found, _sizes(found, draw, size_hint, profile, sizes or {}))
        if all(_holds(term, kind, env) for term, kind in require):
            return env
    raise Unmet(f"no random inputs meet the conditions {', '.join(k for _, k in require)} in {TRIES} draws")


# ---------------------------------------------------------------- what occurs


@dataclass
class _Found:
    """The leaves of the terms, and what their integers have to satisfy."""

    symbols: list[Symbol] = field(default_factory=list)
    families: dict[Family, None] = field(default_factory=dict)
    functions: set[str] = field(default_factory=set)
    shaping: set[Name] = field(default_factory=set)
    counting: set[Name] = field(default_factory=set)
    indexed: set[str] = field(default_factory=set)
    free: frozenset[Index] = frozenset()
    steps: set[Name] = field(default_factory=set)
    at_least: list[tuple[Dim, int]] = field(default_factory=list)
    throughout: dict[_Around, list[Dim]] = field(default_factory=dict)

    def shape(self, *dims: Dim) -> None:
        for d in dims:
            self._note(d, self.shaping)
            self.at_least.append((d, 1))

    def proportions(self, facts: frozenset[str], rows: Dim, cols: Dim) -> None:
        if not facts.isdisjoint(("stiefel", "fullrank", "tall")):
            self.at_least.append((rows - cols, 0))
        if not facts.isdisjoint(("fullrow", "wide")):
            self.at_least.append((cols - rows, 0))

    def inside(self, at: Dim, lo: Dim | int, hi: Dim) -> None:
        self._note(at, self.counting)
        self.at_least += [(at - lo, 0), (hi - at, 0)]

    def range(self, lo: Dim, hi: Dim) -> None:
        self._note(lo, self.shaping if lo.atom else self.counting)
        self._note(hi, self.shaping)
        if not (_is_open(lo) or _is_open(hi)):
            self.at_least.append((hi - lo + 1, 0))

    def loop(self, loop: Loop) -> None:
        self.other(loop.first, loop.at, loop.slot.rows, loop.slot.cols)
        self._note(loop.first, self.steps)
        self._note(loop.at, self.steps)

    def other(self, *dims: Dim) -> None:
        for d in dims:
            self._note(d, self.counting)

    def _note(self, d: Dim, names: set[Name]) -> None:
        """The atoms of a dimension; what stands inside an indexed size is not a size itself."""
        for atom in (atom for monomial, _ in d.terms for atom, _power in monomial):
            if isinstance(atom, SizeAt):
                self.indexed.add(atom.name)
                self._note(atom.arg, self.counting)
            elif isinstance(atom, Index):
                self._note(atom.lo, names)
                self._note(atom.hi, names)
            elif isinstance(atom, Name) and atom is not UNBOUNDED.atom:
                names.add(atom)


_Part = tuple[str, Index, Dim, Dim, int] | tuple[str, str, Dim, Dim]
_Around = tuple[_Part, ...]
"""What stands around a place, from the outside: indices with their first and last value, relations that hold."""

MOST_STEPS = 10_000

_MANY = 500
"""Bodies of loops looked at, the same body in another loop counted again."""


def _is_open(d: Dim) -> bool:
    """True for the end of a range that has none."""
    return UNBOUNDED.atom in d.atoms()


def _scan(roots: Sequence[Term], symbols: Iterable[Symbol]) -> _Found:
    found = _Found(free=frozenset(index for root in roots for index in root.indices))
    for index in found.free:
        low, high = (index.lo, index.hi) if index.step > 0 else (index.hi, index.lo)
        found.range(low, high - 1)
    listed: dict[Symbol, None] = dict.fromkeys(symbols)
    previous = previous_states(*roots)
    listed.update((slot, None) for root in roots for slot in previous.get(root, ()))
    terms = postorder(*roots)
    recurrent = any(term.op is ops.STATE for term in terms)
    for term in terms:
        if term.op is ops.SYM and term not in previous:
            listed[term.attr] = None
        _scan_term(term, found, recurrent)
    if recurrent:
        _scan_loops(roots, found)
    found.symbols = sorted(listed, key=lambda s: s.stable)
    for symbol in found.symbols:
        found.shape(symbol.rows, symbol.cols)
        found.proportions(symbol.facts, symbol.rows, symbol.cols)
    return found


def _scan_term(term: Term, found: _Found, recurrent: bool) -> None:
    attr = term.attr
    if term.op is ops.FUN and not isinstance(attr, str):
        found.functions.add(attr.name)
    elif isinstance(attr, Member):
        found.families[attr.family] = None
        index = attr.family.index
        found.range(index.lo, index.hi)
        if recurrent:
            found.other(attr.at)
        else:
            found.inside(attr.at, index.lo, index.hi)
        found.shape(term.rows, term.cols)
        found.proportions(attr.family.facts, term.rows, term.cols)
    elif isinstance(attr, Range):
        lo, hi = attr.index.lo, attr.index.hi
        found.range(*((lo, hi) if attr.step == 1 else (hi, lo)))
    elif isinstance(attr, Loop):
        found.loop(attr)
    elif term.op is ops.ENTRY:
        found.inside(attr[0], 1, term.args[0].rows)
        found.inside(attr[1], 1, term.args[0].cols)
    elif term.op is ops.SLICE:
        array = term.args[0]
        for first, last, length in ((attr[0], attr[1], array.rows), (attr[2], attr[3], array.cols)):
            found.inside(first, 1, last)
            found.inside(last, first, length)
    elif term.op is ops.POLYGAMMA:
        found.other(attr)
        found.at_least.append((attr, 0))
    elif term.op is ops.BASIS:
        found.inside(attr[0], 1, attr[1])
        found.shape(attr[1])
    elif term.op is ops.EIGVECS:
        found.inside(attr, 1, term.rows)
    elif not term.args and term.op not in (ops.INT, ops.IND):
        found.shape(*attr_dims(attr))
    else:
        found.other(*attr_dims(attr))


def _scan_loops(roots: Sequence[Term], found: _Found) -> None:
    """What members and states have to satisfy at every step of the recurrences around them."""
    todo: list[tuple[Term, _Around]] = [(root, ()) for root in reversed(roots)]
    seen: set[tuple[Term, _Around]] = set()
    while todo and len(seen) < _MANY:
        root, around = todo.pop()
        if (root, around) in seen:
            continue
        seen.add((root, around))
        stack, met = [root], {root}
        while stack:
            term = stack.pop()
            args: Sequence[Term] = term.args
            if has_indicator(term):
                factors = factors_of(term)
                held: _Around = tuple(("where", *f.attr) for f in factors if f.op is ops.IND)
                todo += [(f, (*around, *held)) for f in factors if f.op is not ops.IND]
                args = ()
            elif term.op.binder:
                todo.append((term.args[-1], (*around, _steps(term.attr))))
                args = term.args[:-1]
            _scan_place(term, around, found)
            fresh = [arg for arg in args if arg not in met]
            met.update(fresh)
            stack += fresh


def _steps(attr: Range | Loop) -> _Part:
    index = attr.index
    if isinstance(attr, Loop):
        return ("each", index, attr.first, attr.at - attr.step, attr.step)
    return ("each", index, index.lo, index.hi, attr.step)


def _scan_place(term: Term, around: _Around, found: _Found) -> None:
    attr = term.attr
    if isinstance(attr, Loop):
        found.throughout.setdefault(around, []).append((attr.at - attr.first) * attr.step)
    elif isinstance(attr, Member):
        index = attr.family.index
        found.throughout.setdefault(around, []).extend([attr.at - index.lo, index.hi - attr.at])


def _fit_throughout(found: _Found, env: Env) -> bool:
    """True when all that has to hold at every step of the loops holds."""
    for around, nonnegative in found.throughout.items():
        for frame in _frames(around, nonnegative, env):
            place = _place(frame, env)
            if any(place.size(d) < 0 for d in nonnegative):
                return False
    return True


_Frame = dict[Atom, int]


def _frames(around: _Around, dims: Sequence[Dim], env: Env) -> list[_Frame]:
    """The values that the indices around a place take together, where ``dims`` or an inner range depends on them."""
    used = [{atom for d in dims for atom in d.atoms()}]
    for part in reversed(around):
        used.append(used[-1] | {atom for d in part[2:4] if isinstance(d, Dim) for atom in d.atoms()})
    frames: list[_Frame] = [{}]
    for part, later in zip(around, reversed(used[:-1]), strict=True):
        inner = (inner for frame in frames for inner in _within(part, frame, env))
        kept = dict.fromkeys(tuple((i, at) for i, at in frame.items() if i in later) for frame in inner)
        frames = [dict(one) for one in kept]
    return frames


def _within(part: _Part, frame: _Frame, env: Env) -> Iterator[_Frame]:
    """The values that the indices around take inside one more loop or condition."""
    place = _place(frame, env)
    if len(part) == 4:
        _, relation, left, right = part
        if RELATIONS[relation](place.size(left), place.size(right)):
            yield frame
        return
    _, index, first, last, step = part
    start, end = place.size(first), place.size(last)
    if abs(end - start) > MOST_STEPS:
        raise LimitExceeded(f"a recurrence of more than {MOST_STEPS} steps is not evaluated here")
    for at in range(start, end + step, step):
        yield {**frame, index: at}


def _place(frame: _Frame, env: Env) -> Env:
    return Env(sizes={**env.sizes, **frame}, indexed=env.indexed)


# ---------------------------------------------------------------- sizes


def _sizes(found: _Found, draw: _Draw, hint: Sequence[int], profile: str, fixed: dict[Atom, int]) -> Env:
    """Integers for all names, such that shapes are positive and indices lie in their ranges."""
    if profile not in PROFILES:
        raise MatcalcError(f"there is no profile {profile}: {', '.join(PROFILES)}")
    shaping = sorted(found.shaping - fixed.keys(), key=str)
    counting = sorted(found.counting - found.shaping - fixed.keys(), key=str)
    checks = [(d, low) for d, low in found.at_least if d.indices <= found.free]
    rng = draw.rng("sizes")
    needed = max((low - dict(d.terms).get((), 0) for d, low in checks), default=0)  # x[5] has at least five entries
    if profile != "ones" and needed > max(hint):
        hint, profile = [int(needed) + extra for extra in range(len(hint))], "distinct"
    indexed = draw.indexed(found.indexed, profile)
    for attempt in range(3 * TRIES):
        values = dict(fixed)
        values.update(zip(shaping, _some_sizes(len(shaping), rng, hint, profile, attempt), strict=True))
        top = max([*hint, *values.values()]) if profile != "ones" else 1
        values.update({name: int(rng.integers(0, top + 1)) for name in counting})
        if profile == "ones" and attempt == 0:
            values.update(dict.fromkeys(found.steps.intersection(counting), 1))
        env = Env(sizes=values, indexed=indexed)
        if _give_indices(found.free, values, env, rng) and _fits(checks, env) and _fit_throughout(found, env):
            return env
    raise ShapeError(f"no sizes out of {list(hint)} fit ({profile})")


def _give_indices(free: frozenset[Index], values: dict[Atom, int], env: Env, rng: np.random.Generator) -> bool:
    """Values in their ranges for the indices that are bound outside the terms; False for an empty range."""
    for index in sorted(free, key=lambda i: (len(i.indices), i.key)):
        ends = (index.lo, index.hi)[:: index.step]
        lo, hi = (None if _is_open(end) else env.size(end) for end in ends)
        lo = lo if lo is not None else (hi or 0) - _OPEN
        hi = hi if hi is not None else lo + _OPEN
        if lo > hi:
            return False
        values[index] = int(rng.integers(lo, hi + 1))
    return True


_OPEN = 3
"""How far an index without an end is drawn from its other end."""


def _some_sizes(count: int, rng: np.random.Generator, hint: Sequence[int], profile: str, attempt: int) -> list[int]:
    if profile == "ones":
        return [1] * count
    if profile == "mixed":
        return [int(v) for v in rng.integers(1, 4, count)]
    pool = list(hint) if attempt < TRIES else list(range(1, max(hint) + 1 + attempt // TRIES))
    if attempt >= 2 * TRIES:  # some may have to be equal: a tall matrix and a wide one of the same sides
        return [int(v) for v in rng.choice(pool, count)]
    repeated = [v for _ in range(count // len(pool) + 1) for v in rng.permutation(pool)]
    return [int(v) for v in repeated[:count]]


def _fits(checks: Sequence[tuple[Dim, int]], env: Env) -> bool:
    try:
        return all(env.size(d) >= low for d, low in checks)
    except ShapeError:
        return False


# ---------------------------------------------------------------- values


class _Draw:
    """All draws of one attempt; each by a generator of its own, started by what is drawn."""

    def __init__(self, seed: int, attempt: int, domain: str, given: Mapping[str, frozenset[str]] | None = None) -> None:
        if domain not in _DOMAINS:
            raise MatcalcError(f"there is no domain {domain}: {', '.join(_DOMAINS)}")
        self.seed, self.attempt, self.domain = seed, attempt, domain
        self.given = given or {}
        """What is required of variables themselves."""

    def rng(self, what: str) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.attempt, crc32(what.encode())])

    def indexed(self, names: Iterable[str], profile: str) -> dict[str, Callable[[int], int]]:
        top = 1 if profile == "ones" else 3

        def sizes(name: str) -> Callable[[int], int]:
            return lambda at: int(self.rng(f"size {name} {at}").integers(1, top + 1))

        return {name: sizes(name) for name in names}

    def values(self, found: _Found, env: Env) -> Env:
        """The environment with the sizes of ``env`` and a value for everything found."""
        drawn: dict[tuple[str, int, int, frozenset[str]], Array] = {}
        values: dict[Symbol, Array] = {}
        for symbol in found.symbols:
            facts = _facts_with_twin(symbol, found.symbols) | self.given.get(symbol.name, frozenset())
            key = (symbol.name, env.size(symbol.rows), env.size(symbol.cols), facts)
            if key not in drawn:
                drawn[key] = self.array(f"{symbol.name} {','.join(sorted(facts))}", *key[1:])
            values[symbol] = drawn[key]
        functions = {name: random_function(self.rng(f"function {name}")) for name in found.functions}
        return Env(env.sizes, env.indexed, values, self.members(found, env), functions)

    def members(self, found: _Found, env: Env) -> Callable[[Family, int], Array]:
        made: dict[tuple[Family, int], Array] = {}
        families = list(found.families)

        def member(family: Family, at: int) -> Array:
            if (family, at) not in made:
                m, n = (env.size(d) for d in family.shape_at(dim(at)))
                facts = _facts_with_twin(family, families) | self.given.get(family.name, frozenset())
                made[family, at] = self.array(f"{family.name} {at}", m, n, facts)
            return made[family, at]

        return member

    def array(self, what: str, m: int, n: int, facts: frozenset[str]) -> Array:
        """A random m×n matrix with these facts."""
        check_size(m, n)
        unknown = facts - _FACTS.keys()
        if unknown:
            raise MatcalcError(f"cannot draw a matrix that is {', '.join(sorted(unknown))}")
        rng = self.rng(what)
        for _ in range(TRIES):
            value = _shaped(rng, m, n, facts, self.domain)
            if all(_FACTS[fact](value) for fact in facts):
                return value
        raise MatcalcError(f"cannot draw a {m}×{n} matrix that is {', '.join(sorted(facts))}")


def _facts_with_twin(one: Symbol | Family, among: Sequence[Symbol | Family]) -> frozenset[str]:
    """The facts of the variable that a hidden symbol stands for, so that both get one value."""
    if one.role != "hidden":
        return one.facts
    shape = (one.name, one.rows, one.cols)
    twins = [s for s in among if s.role == "variable" and (s.name, s.rows, s.cols) == shape]
    return twins[0].facts if len(twins) == 1 else one.facts


def _normal(rng: np.random.Generator, m: int, n: int) -> Array:
    """Normal entries, away from zero; a square matrix is well conditioned."""
    for _ in range(TRIES):
        value = rng.standard_normal((m, n))
        value += 0.1 * np.sign(value)
        if m != n or np.linalg.cond(value) < _CONDITION:
            break
    return np.asarray(value)


def _positive_entries(rng: np.random.Generator, m: int, n: int) -> Array:
    return np.abs(_normal(rng, m, n)) + 0.1 + np.eye(m, n)


def _unit_entries(rng: np.random.Generator, m: int, n: int) -> Array:
    return np.asarray(rng.uniform(0.05, 0.6, (m, n)) + 0.3 * np.eye(m, n))


def _principal(rng: np.random.Generator, m: int, n: int) -> Array:
    """Entries around a multiple of the identity: eigenvalues of positive real part."""
    for scale in np.geomspace(0.5, 0.05, TRIES):
        value = 0.8 * np.eye(m, n) + rng.uniform(0.3, 1.5) * np.eye(m, n) + scale * rng.standard_normal((m, n))
        if m != n or np.linalg.eigvals(value).real.min(initial=1.0) > 0.3:
            break
    return np.asarray(value)


_DOMAINS: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "any": _normal,
    "positive": _positive_entries,
    "unit": _unit_entries,
    "dominant": _principal,
}


def _orthonormal(rng: np.random.Generator, m: int, n: int) -> Array:
    columns = np.linalg.qr(rng.standard_normal((max(m, n), min(m, n))))[0]
    return np.asarray(columns * rng.choice([-1.0, 1.0], min(m, n)))


def _posdef(rng: np.random.Generator, m: int, _n: int) -> Array:
    q = _orthonormal(rng, m, m)
    value = q * rng.uniform(0.5, 2.5, m) @ q.T
    return np.asarray((value + value.T) / 2)


def _psd(rng: np.random.Generator, m: int, _n: int) -> Array:
    half = rng.standard_normal((m, max(1, m - 1)))
    return np.asarray(half @ half.T)


def _full_rank(rng: np.random.Generator, m: int, n: int) -> Array:
    k = min(m, n)
    return np.asarray(_orthonormal(rng, m, k) * rng.uniform(0.5, 2.0, k) @ _orthonormal(rng, n, k).T)


def _symmetric(rng: np.random.Generator, m: int, n: int) -> Array:
    for _ in range(TRIES):
        value = _normal(rng, m, n)
        value = (value + value.T) / 2
        if np.linalg.cond(value) < _CONDITION:
            break
    return value


def _separated(rng: np.random.Generator, m: int, _n: int) -> Array:
    """A symmetric matrix whose eigenvalues lie apart."""
    q = _orthonormal(rng, m, m)
    value = q * rng.permutation(np.arange(m) - m / 2 + rng.uniform(-0.3, 0.3, m)) @ q.T
    return np.asarray((value + value.T) / 2)


def _skew(rng: np.random.Generator, m: int, n: int) -> Array:
    value = _normal(rng, m, n)
    return (value - value.T) / 2


_BASES: dict[str, Callable[[np.random.Generator, int, int], Array]] = {
    "posdef": _posdef,
    "psd": _psd,
    "orthogonal": _orthonormal,
    "stiefel": _orthonormal,
    "skew": _skew,
    "distinct": _separated,
    "simple": _separated,
    "symmetric": _symmetric,
    "principal": _principal,
    "invertible": _full_rank,
    "fullrank": _full_rank,
    "fullrow": _full_rank,
}
"""How a matrix is drawn; the first fact that is declared decides."""

_PARTS: dict[str, Callable[[Array], Array]] = {
    "positive": lambda a: np.abs(a) + 0.1,
    "nonneg": np.abs,
    "integer": lambda a: np.round(2 * np.abs(a)) + 1,
    "diagonal": lambda a: np.diag(np.diag(a)),
    "lower": np.tril,
    "upper": np.triu,
}
"""What is done to it afterwards, in this order."""


def _shaped(rng: np.random.Generator, m: int, n: int, facts: frozenset[str], domain: str) -> Array:
    base = next((draw for fact, draw in _BASES.items() if fact in facts), None)
    value = (base or _DOMAINS[domain])(rng, m, n)
    if facts & {"diagonal", "lower", "upper"} and base is None:
        value = value + np.sign(np.diag(np.sign(np.diag(value)))) * 0.5
    for fact, part in _PARTS.items():
        if fact in facts:
            value = part(value)
    return value


def _close(a: Array, b: Array) -> bool:
    return bool(np.allclose(a, b, atol=1e-12))


def _square_with_condition(value: Array, limit: float) -> bool:
    return value.shape[0] == value.shape[1] and (value.size == 0 or float(np.linalg.cond(value)) < limit)


_FACTS: dict[str, Callable[[Array], bool]] = {
    "symmetric": lambda a: _close(a, a.T),
    "skew": lambda a: _close(a, -a.T),
    "posdef": lambda a: _close(a, a.T) and bool(np.linalg.eigvalsh(a).min(initial=1.0) > 0),
    "psd": lambda a: _close(a, a.T) and bool(np.linalg.eigvalsh(a).min(initial=1.0) > -1e-9),
    "orthogonal": lambda a: _close(a.T @ a, np.eye(a.shape[1])) and a.shape[0] == a.shape[1],
    "stiefel": lambda a: _close(a.T @ a, np.eye(a.shape[1])),
    "diagonal": lambda a: _close(a, np.diag(np.diag(a))),
    "lower": lambda a: _close(a, np.tril(a)),
    "upper": lambda a: _close(a, np.triu(a)),
    "invertible": lambda a: _square_with_condition(a, 1e3),
    "fullrank": lambda a: a.shape[0] >= a.shape[1] and (a.size == 0 or float(np.linalg.cond(a)) < 1e3),
    "fullrow": lambda a: a.shape[0] <= a.shape[1] and (a.size == 0 or float(np.linalg.cond(a)) < 1e3),
    "posdet": lambda a: bool(np.linalg.det(a) > 0),
    "principal": lambda a: a.shape[0] == a.shape[1] and has_principal_root(a),
    "simple": lambda a: bool(np.isfinite(eigvecs(a, 1)).all()),
    "distinct": lambda a: bool(np.isfinite(eigvecs(a, len(a))).all()),
    "fixedrank": has_clear_rank,
    "maxrank": lambda a: a.size == 0 or float(np.linalg.cond(a)) < 1e3,
    "positive": lambda a: bool((a[a != 0] > 0).all()),
    "nonneg": lambda a: bool((a >= 0).all()),
    "nonzero": lambda a: bool((a != 0).all()),
    "integer": lambda a: _close(a, np.round(a)),
    "square": lambda a: a.shape[0] == a.shape[1],
    "tall": lambda a: a.shape[0] >= a.shape[1],
    "wide": lambda a: a.shape[0] <= a.shape[1],
}
"""What each fact means, checked of every draw; a positive matrix may have the zeros of its structure."""


def random_function(rng: np.random.Generator) -> Callable[[Array, int], Array]:
    """A smooth function Σ a sin(b x + c) with its derivatives of all orders, for complex x as well."""
    a, b, c = rng.uniform(0.5, 1.5, 3), rng.uniform(0.4, 1.3, 3), rng.uniform(0.0, 6.0, 3)

    def value(x: Array, order: int) -> Array:
        turned = c + order * np.pi / 2
        return sum((a[k] * b[k] ** order * np.sin(b[k] * x + turned[k]) for k in range(3)), np.zeros_like(x))

    return value


# ---------------------------------------------------------------- requirements

REQUIRABLE = (
    *("principal", "simple", "distinct", "fixedrank", "maxrank"),
    *("posdef", "psd", "symmetric", "orthogonal", "stiefel", "fullrank", "fullrow"),
)

_KINDS: dict[str, Callable[[Array], bool]] = {
    "positive": lambda a: bool((a > 0).all()),
    "nonneg": _FACTS["nonneg"],
    "nonzero": lambda a: bool(((np.abs(a) > 1e-9) | (a == 0 if a.size > 1 else False)).all()),  # zeros of its structure
    "invertible": _FACTS["invertible"],
    **{fact: _FACTS[fact] for fact in REQUIRABLE},
    "posdef": lambda a: _FACTS["posdef"](a) and _FACTS["invertible"](a),
}


def _holds(term: Term, kind: str, env: Env) -> bool:
    if kind not in _KINDS:
        raise MatcalcError(f"cannot require that a term is {kind}: {', '.join(_KINDS)}")
    try:
        value = evaluate(term, env)
    except MatcalcError:
        return False
    return bool(np.isfinite(value).all()) and _KINDS[kind](value)
