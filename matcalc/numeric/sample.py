"""Random inputs of the declared kind for everything that occurs in terms.

The value of a symbol depends on the seed and on the symbol alone, never on what else is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from zlib import crc32

import numpy as np

from ..errors import MatcalcError
from ..terms import ops
from ..terms.dims import Atom, dim
from ..terms.symbols import Family, Symbol
from ..terms.term import Term
from .arrays import Array, check_size
from .drawing import DOMAINS, FACTS, TRIES, random_function, shaped
from .evaluate import Env, evaluate
from .fitting import fitting_sizes
from .occurring import Found, occurring

Requirement = tuple[Term, str]
PROFILES = ("distinct", "ones", "mixed")


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
    if profile not in PROFILES:
        raise MatcalcError(f"there is no profile {profile}: {', '.join(PROFILES)}")
    roots = [terms] if isinstance(terms, Term) else list(terms)
    found = occurring([*roots, *(t for t, _ in require)], symbols)
    given: dict[str, frozenset[str]] = {}  # by name: a variable and its hidden twin are one
    for term, kind in require:
        if term.op in (ops.SYM, ops.MEMBER) and kind in FACTS:
            name = term.attr.name if term.op is ops.SYM else term.attr.family.name
            given[name] = given.get(name, frozenset()) | {kind}
    for attempt in range(TRIES):
        if attempt == TRIES // 2:  # such as n > p + q, which few of the usual sizes meet
            size_hint = range(1, 2 * max(size_hint) + 1)
        draw = _Draw(seed, attempt if require else 0, domain, given)
        indexed = draw.indexed(found.indexed, profile)
        env = draw.values(found, fitting_sizes(found, draw.rng("sizes"), indexed, size_hint, profile, sizes or {}))
        if all(_holds(term, kind, env) for term, kind in require):
            return env
    raise Unmet(f"no random inputs meet the conditions {', '.join(k for _, k in require)} in {TRIES} draws")


# ---------------------------------------------------------------- values


class _Draw:
    """All draws of one attempt; each by a generator of its own, started by what is drawn."""

    def __init__(self, seed: int, attempt: int, domain: str, given: Mapping[str, frozenset[str]] | None = None) -> None:
        if domain not in DOMAINS:
            raise MatcalcError(f"there is no domain {domain}: {', '.join(DOMAINS)}")
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

    def values(self, found: Found, env: Env) -> Env:
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

    def members(self, found: Found, env: Env) -> Callable[[Family, int], Array]:
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
        unknown = facts - FACTS.keys()
        if unknown:
            raise MatcalcError(f"cannot draw a matrix that is {', '.join(sorted(unknown))}")
        rng = self.rng(what)
        for _ in range(TRIES):
            value = shaped(rng, m, n, facts, self.domain)
            if all(FACTS[fact](value) for fact in facts):
                return value
        raise MatcalcError(f"cannot draw a {m}×{n} matrix that is {', '.join(sorted(facts))}")


def _facts_with_twin(one: Symbol | Family, among: Sequence[Symbol | Family]) -> frozenset[str]:
    """The facts of the variable that a hidden symbol stands for, so that both get one value."""
    if one.role != "hidden":
        return one.facts
    shape = (one.name, one.rows, one.cols)
    twins = [s for s in among if s.role == "variable" and (s.name, s.rows, s.cols) == shape]
    return twins[0].facts if len(twins) == 1 else one.facts


# ---------------------------------------------------------------- requirements

REQUIRABLE = (
    *("principal", "simple", "distinct", "fixedrank", "maxrank"),
    *("posdef", "psd", "symmetric", "orthogonal", "stiefel", "fullrank", "fullrow"),
)

_KINDS: dict[str, Callable[[Array], bool]] = {
    "positive": lambda a: bool((a > 0).all()),
    "nonneg": FACTS["nonneg"],
    "nonzero": lambda a: bool(((np.abs(a) > 1e-9) | (a == 0 if a.size > 1 else False)).all()),  # zeros of its structure
    "invertible": FACTS["invertible"],
    **{fact: FACTS[fact] for fact in REQUIRABLE},
    "posdef": lambda a: FACTS["posdef"](a) and FACTS["invertible"](a),
}


def _holds(term: Term, kind: str, env: Env) -> bool:
    if kind not in _KINDS:
        raise MatcalcError(f"cannot require that a term is {kind}: {', '.join(_KINDS)}")
    try:
        value = evaluate(term, env)
    except MatcalcError:
        return False
    return bool(np.isfinite(value).all()) and _KINDS[kind](value)
