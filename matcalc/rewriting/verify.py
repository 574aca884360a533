"""Checks of rule files that need numbers or a rewriter: "adding a rule adds its test".

* :func:`verify_rule`: both sides of a row agree on random inputs of the declared kinds;
* :func:`superfluous_guards`: without any one guard the row is wrong somewhere;
* :func:`shadowed`: some instance of the left side is first rewritten by this row and no other;
* :func:`endless`: rewriting an instance of the left side ends.

Random inputs are the instances of :mod:`matcalc.rewriting.instances`.  Those that the pattern does not
match are left out, so each comparison is a use of the rule as the engine would make it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from ..errors import LimitExceeded, MatcalcError, ShapeError
from ..terms import build, ops
from ..terms.dims import dim
from ..terms.symbols import Symbol
from ..terms.term import Term
from ..terms.walk import postorder
from .engine import Rewriter, RuleIndex
from .facts import Facts, Query
from .instances import DRAWN, Instance, Row, guards_of, instances, pattern_name, row_name, variable_name, wanted_of
from .loader import LINEAR, RULE_FILES, TRIED, LinearRow, Loaded, load
from .match import HOLE, instantiate, match, match_root
from .rule import Compare, Fact, Guard, Has, Implication, Rule

if TYPE_CHECKING:
    from ..numeric.arrays import Array
    from ..numeric.evaluate import Env

WANTED = 20
"""Comparisons made for one row; as many different instances."""
_DOMAINS = ("any", "any", "positive", "unit", "dominant")
"""Where the inputs of one comparison are drawn, until both sides have a value."""
LIMIT = 1e-7
"""The largest relative difference that counts as equal."""
HUGE = 1e9
"""Entries above this are rounding errors divided by each other."""


class Verdict(NamedTuple):
    """What a check of one row found: ``check`` names it, ``trials`` counts the comparisons."""

    ok: bool
    check: str
    message: str
    trials: int = 0


# ---------------------------------------------------------------- uses of a row


@cache
def _no_assumptions() -> Facts:
    file = load("facts").file
    return Facts(file.facts, file.implications)


def _facts(assumptions: Iterable[Query]) -> Facts:
    return _no_assumptions().under(assumptions)


class Use(NamedTuple):
    """A row used on an instance: terms that must be equal, or one that must have a fact.

    For a linear row ``terms`` are L(X), G, X, L*(G), or L(X), X, M.  Inputs are drawn for the left
    side alone: that the right side has a value for them is part of the claim.
    """

    terms: tuple[Term, ...]
    require: tuple[Query, ...] = ()

    @property
    def given(self) -> tuple[Term, ...]:
        """The terms that the left side holds."""
        return self.terms[:-1] if len(self.terms) > 1 else self.terms


def uses(row: Row, made: Instance, guards: Sequence[Guard]) -> Iterator[Use]:
    """All uses of a row on an instance of its pattern, none when it does not match."""
    if isinstance(row, LinearRow):
        yield from _linear_uses(row, made)
    elif isinstance(row, Fact):
        term = instantiate(row.term, made.bindings)
        facts = _facts(made.assumptions)
        if any(all(facts.holds(g, b) for g in guards) for b in match(row.term, term, {})):
            yield Use((term,))
    else:
        yield from _rule_uses(row, made, guards)


def _rule_uses(rule: Rule, made: Instance, guards: Sequence[Guard]) -> Iterator[Use]:
    left = instantiate(rule.left, {**made.bindings, "diff": _differential})
    facts = _facts(made.assumptions)
    for found, put_back in islice(match_root(rule.left, left), 4):
        if all(facts.holds(g, found) for g in guards):
            right = put_back(instantiate(rule.right, {**found, "diff": _differential}))
            if right.shape != left.shape:
                raise ShapeError(f"{left} becomes {right}, of another shape")
            yield Use((left, right), tuple((instantiate(c.term, found), c.fact) for c in rule.conditions))
    if left.op is not ops.DIFF:
        applied = Rewriter((replace(rule, guards=tuple(guards)),), facts).apply_at_root(left)
        if applied is not None:
            yield Use((left, applied.after))


def _differential(term: Term) -> Term:
    """d(term); that of a number is 0."""
    varies = any(part.op in (ops.SYM, ops.MEMBER) for part in postorder(term))
    return build.diff(term) if varies else build.zeros(term.rows, term.cols)


def _linear_uses(row: LinearRow, made: Instance) -> Iterator[Use]:
    linear = instantiate(row.pattern, made.bindings)
    for found in match(row.pattern, linear, {}, linear=True):
        hole = next(v for k, v in found.items() if isinstance(k, Symbol) and k.name == HOLE)
        if row.covector is None:
            matrix = build.eye(hole.rows * hole.cols) if row.result is None else instantiate(row.result, found)
            yield Use((linear, hole, matrix))
            continue
        outside = instantiate(row.covector, made.bindings)
        for full in match(row.covector, outside, found):
            if row.result is not None:
                yield Use((linear, outside, hole, instantiate(row.result, full)))


# ---------------------------------------------------------------- numbers


def verify_rule(row: Row, seed: int = 0, wanted: int = WANTED) -> Verdict:
    """Whether a row is true: compared ``wanted`` times on random inputs that satisfy its guards."""
    guards, _ = guards_of(row)
    trials = 0
    for number, made in enumerate(instances(row, seed)):
        try:
            for use in uses(row, made, guards):
                outcome = _outcome(row, use, seed + number)
                if outcome is None or outcome.outside:
                    continue
                trials += 1
                if outcome.error > LIMIT:
                    return Verdict(False, "values", _complaint(row, use, outcome), trials)
        except ShapeError as error:
            return Verdict(False, "shapes", f"[{row_name(row)}] {error.message}", trials)
        if trials >= wanted:
            break
    if not trials:
        return Verdict(False, "unused", f"[{row_name(row)}] never applies to its own left side")
    return Verdict(True, "values", f"[{row_name(row)}] holds in {trials} trials", trials)


class Outcome(NamedTuple):
    """The relative error of one use; ``outside`` when the left side had no value but the right side had."""

    error: float
    outside: bool
    env: Env


def _complaint(row: Row, use: Use, outcome: Outcome) -> str:
    sizes = ", ".join(f"{name} = {size}" for name, size in sorted(outcome.env.sizes.items(), key=str))
    if isinstance(row, Fact):
        return f"[{row.name}] {use.terms[0]} is not {row.fact} at {sizes or 'some input'}"
    terms = " | ".join(map(str, use.terms))
    return f"[{row_name(row)}] {terms} is off by {outcome.error:.2g} at {sizes or 'some input'}"


def _outcome(row: Row, use: Use, seed: int, dropped: Has | None = None) -> Outcome | None:
    """Evaluate one use; None when no inputs are found at which it means something."""
    from ..numeric.sample import PROFILES, sample

    outside: Outcome | None = None
    for attempt in range(len(_DOMAINS) if dropped is None else 1):
        try:
            env = sample(
                use.given,
                seed + 101 * attempt,
                size_hint=(2, 3),
                profile=PROFILES[seed % len(PROFILES)],
                domain=_DOMAINS[attempt],
                require=use.require,
            )
        except MatcalcError:
            continue
        if dropped is not None:
            env = _with_counterexample(env, dropped, seed + attempt)
        elif isinstance(row, Fact) and seed % 3:
            env = _degenerate(row, env, seed)
        found = _compared(row, use, _with_directions(env, seed))
        if found is not None and not found.outside:
            return found
        outside = outside or found
    return outside


def _with_directions(env: Env, seed: int) -> Env:
    """The environment with random directions for the differentials of variables."""
    from ..numeric.check import Directions

    return replace(env, differentials=Directions(seed))


def _compared(row: Row, use: Use, env: Env) -> Outcome | None:
    from ..numeric.check import difference

    values = [_value(term, env) for term in use.terms]
    if isinstance(row, Fact):
        value = values[0]
        if value is None:
            return None
        return Outcome(0.0 if holds_numerically(row.fact, value) else float("inf"), False, env)
    left, right = _sides(row, values)
    if left is None:
        return None if right is None else Outcome(0.0, True, env)
    return Outcome(float("inf") if right is None else difference(right, left), False, env)


def _sides(row: Row, values: list[Array | None]) -> tuple[Array | None, Array | None]:
    """The two numbers or arrays that a row says are equal, None for one without a value."""
    if not isinstance(row, LinearRow):
        return values[0], values[1]
    if any(v is None for v in values):
        return None, None
    known = [v for v in values if v is not None]
    if row.covector is None:
        linear, hole, matrix = known
        column = hole.reshape(-1, 1, order="F")
        return linear.reshape(-1, 1, order="F"), matrix * column if matrix.size == 1 else matrix @ column
    linear, outside, hole, result = known
    if hole.shape != result.shape:
        raise ShapeError(f"[{row.rule.name}] moves {outside.shape} to {result.shape}, not to {hole.shape}")
    return (linear * outside).sum().reshape(1, 1), (hole * result).sum().reshape(1, 1)


def _value(term: Term, env: Env) -> Array | None:
    """The value of a term, None where it is not finite or as large as that of a nearly singular inverse."""
    from ..numeric.evaluate import evaluate

    try:
        value = evaluate(term, env)
    except ShapeError:
        raise
    except MatcalcError:
        return None
    return value if (abs(value) < HUGE).all() else None


# ---------------------------------------------------------------- the meaning of facts


def holds_numerically(fact: str, a: Array) -> bool:
    """Whether a matrix has a fact, up to rounding."""
    import numpy as np

    from ..numeric.spectral import eigvecs, has_clear_rank, has_principal_root

    m, n = a.shape
    close = float(1e-9 * max(1.0, np.abs(a).max(initial=0.0)))

    def same(b: Array) -> bool:
        return a.shape == b.shape and bool((abs(a - b) <= close).all())

    def eigenvalues_above(limit: float) -> bool:
        return same(a.T) and bool((np.linalg.eigvalsh(a) > limit).all())

    def rank() -> int:
        return int((np.linalg.svd(a, compute_uv=False) > close).sum())

    def orthonormal_columns() -> bool:
        return bool(np.allclose(a.T @ a, np.eye(n), atol=1e-9))

    table: dict[str, Callable[[], bool]] = {
        "symmetric": lambda: same(a.T),
        "skew": lambda: same(-a.T),
        "psd": lambda: eigenvalues_above(-close),
        "posdef": lambda: eigenvalues_above(close),
        "invertible": lambda: m == n and rank() == n,
        "orthogonal": lambda: m == n and orthonormal_columns(),
        "stiefel": orthonormal_columns,
        "diagonal": lambda: m == n and same(np.diag(np.diag(a))),
        "lower": lambda: same(np.tril(a)),
        "upper": lambda: same(np.triu(a)),
        "fullrank": lambda: rank() == n,
        "fullrow": lambda: rank() == m,
        "positive": lambda: bool((a > 0).all()),
        "nonneg": lambda: bool((a >= -close).all()),
        "nonzero": lambda: bool((abs(a) > 1e-12).all()),
        "integer": lambda: same(np.round(a)),
        "posdet": lambda: m == n and rank() == n and float(np.linalg.slogdet(a)[0]) > 0,
        "square": lambda: m == n,
        "principal": lambda: m == n and has_principal_root(a),
        "simple": lambda: m == n and bool(np.isfinite(eigvecs(a, 1)).all()),
        "distinct": lambda: m == n and bool(np.isfinite(eigvecs(a, n)).all()),
        "fixedrank": lambda: has_clear_rank(a),
        "maxrank": lambda: rank() == min(m, n),
    }
    return table[fact]()


_SHAPES_OF = {"square": ((3, 3), (1, 1)), "any": ((3, 3), (2, 4), (4, 2), (3, 1), (1, 3), (1, 1))}
_ANY_SHAPE = frozenset({"positive", "nonneg", "nonzero", "integer", "fixedrank", "maxrank"})
_TALL = frozenset({"stiefel", "fullrank"})


def verify_implication(implication: Implication, seed: int = 0) -> Verdict:
    """Whether every random matrix with the premise has the conclusion."""
    premise, conclusion = implication
    trials = 0
    for m, n in _SHAPES_OF["any" if premise in _ANY_SHAPE | _TALL | {"fullrow"} else "square"]:
        if (premise in _TALL and m < n) or (premise == "fullrow" and m > n):
            continue
        for draw in range(4):
            for value in _special(_with_fact(premise, m, n, seed + draw)):
                if not holds_numerically(premise, value):
                    continue
                trials += 1
                if not holds_numerically(conclusion, value):
                    message = f"a {m}×{n} matrix is {premise} but not {conclusion}"
                    return Verdict(False, "values", message, trials)
    return Verdict(True, "values", f"every {premise} is {conclusion} in {trials} trials", trials)


def _with_fact(fact: str, m: int, n: int, seed: int) -> Array:
    """A random matrix with a fact."""
    from ..numeric.sample import sample

    symbol = Symbol("A", dim(m), dim(n), DRAWN.get(fact, frozenset({fact})))
    env = sample(build.sym(symbol), seed)
    value: Array = env.symbols[symbol]
    if not holds_numerically(fact, value):
        raise MatcalcError(f"the sampler drew a matrix that is not {fact}")
    return value


# ---------------------------------------------------------------- guards


def superfluous_guards(row: Row, seed: int = 0) -> list[Guard]:
    """The guards without which the row was right on all random inputs that do not satisfy them."""
    guards, _ = guards_of(row)
    return [guard for guard in guards if not _needed(row, guard, seed)]


def _needed(row: Row, guard: Guard, seed: int) -> bool:
    others = [g for g in guards_of(row)[0] if g is not guard]
    dropped = guard if isinstance(guard, Has) else None
    for number, made in enumerate(instances(row, seed, guards=others)):
        for use in uses(row, made, others):
            for again in range(3):
                outcome = _outcome(row, use, seed + 3 * number + again, dropped)
                if outcome is not None and (outcome.outside or outcome.error > LIMIT):
                    return True
    return False


def _with_counterexample(env: Env, guard: Has, seed: int) -> Env:
    """The environment in which the variable of a guard is one of the matrices that lack something."""
    name = variable_name(guard.term)
    for symbol, value in env.symbols.items():
        if pattern_name(symbol) == name:
            choices = [v for v in _special(value) if _has_all(symbol.facts, v)]
            env = env.with_symbol(symbol, choices[seed % len(choices)])
    return env


def _degenerate(row: Fact, env: Env, seed: int) -> Env:
    """The environment with special matrices that have the facts that the row asks for."""
    wanted = wanted_of(row.guards, ()).of_symbol
    for number, (symbol, value) in enumerate(env.symbols.items()):
        facts = symbol.facts | wanted.get(pattern_name(symbol), frozenset())
        choices = [v for v in _special(value) if _has_all(facts, v)]
        env = env.with_symbol(symbol, choices[(seed // 2**number) % len(choices)])
    return env


def _has_all(facts: Iterable[str], value: Array) -> bool:
    return all(holds_numerically(fact, value) for fact in facts if fact not in ("tall", "wide"))


def _special(value: Array) -> list[Array]:
    """As drawn (first), ones, negative, zero, of lower rank, with one zero entry; symmetric, indefinite, rotating."""
    import numpy as np

    m, n = value.shape
    lower = value.copy()
    lower[:, -1] = lower[:, 0] if n > 1 else 0.0
    pierced = np.abs(value)
    pierced[0, 0] = 0.0
    made = [value, np.ones((m, n)), -np.abs(value), np.zeros((m, n)), lower, pierced]
    if m == n:
        made += [lower.T @ lower, value + value.T, np.eye(n), np.diag(np.where(np.arange(n) % 2, 1.0, -1.0))]
        made += [4 * (np.triu(np.ones((n, n)), 1) - np.tril(np.ones((n, n)), -1))]
    return made


# ---------------------------------------------------------------- rows that never fire, rows that never end


def context(ruleset: str) -> tuple[Rule, ...]:
    """The rules that are used together with those of a file, in their order."""
    together = {
        "differential": ("differential", "elementwise"),
        "elementwise": ("differential", "elementwise"),
        "expand": ("simplify", "expand"),
    }
    names = together.get(ruleset, (ruleset,) if ruleset in RULE_FILES else ())
    return tuple(rule for name in names for rule in load(name).file.rules)


def shadowed(row: Rule | LinearRow, among: Sequence[Rule] | Sequence[LinearRow], seed: int = 0) -> str | None:
    """The name of the row that always comes first, or None when some instance is this row's."""
    blamed: str | None = None
    index = RuleIndex(r for r in among if isinstance(r, Rule))
    for made in islice(instances(row, seed, plain=True), 30):
        if isinstance(row, LinearRow):
            first = _first_linear(row, made, [r for r in among if isinstance(r, LinearRow)])
        else:
            first = _first_rule(row, made, index)
        if first == row_name(row):
            return None
        blamed = blamed or first
    return blamed


def _first_rule(rule: Rule, made: Instance, among: RuleIndex) -> str | None:
    left = instantiate(rule.left, {**made.bindings, "diff": build.diff})
    if next(match_root(rule.left, left), None) is None:
        return None
    if rule.ordered and Rewriter((rule,), _facts(())).apply_at_root(left) is None:
        return None
    rewriter = Rewriter(among, _facts(made.assumptions))
    for term in postorder(left):
        applied = rewriter.apply_at_root(term)
        if applied is not None:
            return applied.rule.name
    return None


def _first_linear(row: LinearRow, made: Instance, among: Sequence[LinearRow]) -> str | None:
    linear = instantiate(row.pattern, made.bindings)
    outside = None if row.covector is None else instantiate(row.covector, made.bindings)
    for other in among:
        for found in match(other.pattern, linear, {}, linear=True):
            if outside is None or other.covector is None or any(match(other.covector, outside, found)):
                return other.rule.name
    return None


def endless(rule: Rule, among: Sequence[Rule], seed: int = 0) -> str | None:
    """Why rewriting some instance of the left side does not end, or None when it does."""
    alone = RuleIndex((rule,))
    together = (alone,) if rule.ruleset in TRIED else (alone, RuleIndex(among))
    for made in islice(instances(rule, seed), 12):
        left = instantiate(rule.left, {**made.bindings, "diff": _differential})
        for rules in together:
            try:
                Rewriter(rules, _facts(made.assumptions), fuel=400, strict=True).normalize(left)
            except LimitExceeded as error:
                return f"[{rule.name}] on {left}: {error.message}"
    return None


# ---------------------------------------------------------------- whole files


def rows_of(loaded: Loaded) -> list[Row]:
    """The rows of a file, linear ones taken apart."""
    if loaded.linear:
        return list(loaded.linear)
    return [*loaded.file.rules, *loaded.file.facts]


def check_row(row: Row, loaded: Loaded, seed: int = 0) -> Verdict:
    """All checks of one row, the first that fails, or the numbers of one that passes.

    A row of a file that is not one of ours is checked together with its own file alone.
    """
    verdict = verify_rule(row, seed)
    if not verdict.ok:
        return verdict
    idle = superfluous_guards(row, seed)
    if idle:
        return Verdict(False, "guards", f"[{row_name(row)}] is true without: {', '.join(map(show_guard, idle))}")
    if isinstance(row, Fact):
        return verdict
    ruleset = loaded.file.ruleset
    ours = row.rule if isinstance(row, LinearRow) else row
    rules = context(ruleset)
    among = rules if ours in rules else tuple(loaded.file.rules)
    if ruleset not in LINEAR and isinstance(row, Rule):
        loop = endless(row, among, seed)
        if loop is not None:
            return Verdict(False, "termination", loop)
    first = shadowed(row, among if isinstance(row, Rule) else loaded.linear, seed)
    if first is not None:
        return Verdict(False, "shadowing", f"[{row_name(row)}] never fires: [{first}] comes first")
    return verdict


def check_file(loaded: Loaded, seed: int = 0) -> list[Verdict]:
    """What is wrong in a rule file."""
    verdicts = [check_row(row, loaded, seed) for row in rows_of(loaded)]
    verdicts += [verify_implication(i, seed) for i in loaded.file.implications]
    return [v for v in verdicts if not v.ok]


def show_guard(guard: Guard) -> str:
    """A guard as it is written."""
    if isinstance(guard, Compare):
        return f"{guard.left} {guard.relation} {guard.right}"
    return f"{guard.term} is {'not ' if guard.negated else ''}{guard.fact}"
