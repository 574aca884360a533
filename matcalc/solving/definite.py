"""Signs and definiteness proved by rules, under conditions where the declarations leave them open.

A proof is a tree: a claim ``term is fact``, the row of ``rules/facts.rules`` that shows it, and the
premises.  Where a fact about what was declared is open it becomes a condition of the proof; of several
proofs the one with the fewest and simplest conditions is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import product as combinations

from ..bounds import tick
from ..calculus.present import present
from ..calculus.system import System, system
from ..rewriting.facts import Query, closure
from ..rewriting.loader import load
from ..rewriting.match import instantiate, match
from ..rewriting.rule import Fact, Has
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.term import Term
from ..terms.walk import postorder

SIGNS = frozenset({"positive", "nonneg", "nonzero"})
DEFINITE = frozenset({"posdef", "psd"})
RANKS = frozenset({"fullrank", "fullrow", "invertible"})
STRONG = {"positive": "nonneg", "posdef": "psd"}
"""The strict facts, and what each is without strictness."""

MAX_FACTORS = 14
MAX_DEPTH = 40
MAX_NODES = 60
"""Only terms up to this size are looked at in other forms."""


@dataclass(frozen=True)
class Proof:
    """A claim, the rule that shows it, what it rests on, and the conditions under which it holds."""

    term: Term
    fact: str
    rule: str
    premises: tuple[Proof, ...] = ()
    conditions: frozenset[Query] = frozenset()
    since: tuple[Query, ...] = ()
    """The declarations and assumptions that a known fact comes from."""

    @property
    def cost(self) -> tuple[float, int]:
        """Fewest and simplest conditions first, then the shortest proof."""
        return weight(self.conditions), len(self.premises)

    def lines(self) -> list[Proof]:
        """The proofs inside, each once, premises before what they show."""
        found: dict[tuple[Term, str], Proof] = {}

        def visit(proof: Proof) -> None:
            for premise in proof.premises:
                visit(premise)
            found.setdefault((proof.term, proof.fact), proof)

        visit(self)
        return list(found.values())


def weight(conditions: Iterable[Query]) -> float:
    """The more and the less simple the conditions, the heavier."""
    return sum(_weight(*c) for c in conditions)


def _weight(term: Term, fact: str) -> float:
    if term.op is ops.INT:
        return 0.5
    if term.op in (ops.SYM, ops.MEMBER):
        if fact in ("positive", "nonzero") and not term.is_scalar:
            return 1.1
        return 1.0 if fact in SIGNS or fact in RANKS else 1.2 if term.op is ops.SYM and term.attr.facts else 3.0
    return 1.5 + len(postorder(term)) / 50 + (0.1 if fact == "positive" else 0)


def concluded(term: Term, fact: str, rule: str, *premises: Proof) -> Proof:
    """A proof from premises; its conditions are theirs."""
    conditions: frozenset[Query] = frozenset().union(*(p.conditions for p in premises))
    return Proof(term, fact, rule, premises, conditions)


class Prover:
    """Proves facts under a system of rules; ``free`` are the terms that no condition may speak of."""

    def __init__(self, rules: System, free: Collection[Term] = (), conditional: bool = True) -> None:
        self.system = rules
        self.free = frozenset(free)
        self.conditional = conditional
        self._known: dict[Query, Proof | None] = {}
        self._active: set[Query] = set()
        self._closed: dict[Term, bool] = {}
        self._families = {t.attr.family for t in self.free if t.op is ops.MEMBER}
        self._cut = False
        file = load("facts").file
        self._implied_by = closure(file.implications)
        self._rows: dict[tuple[object, str], list[Fact]] = {}
        for row in file.facts:
            self._rows.setdefault((row.term.op, row.fact), []).append(row)
        self._normal = {
            (self.system.expand(t), f)
            for t, f in rules.assumptions
            if f in ("invertible", "posdef", "positive", "nonzero")
        }

    @property
    def unconditional(self) -> Prover:
        """The same prover, without conditions."""
        return Prover(self.system, self.free, conditional=False)

    def assuming(self, extra: Iterable[Query]) -> Prover:
        """The same prover, with further facts taken for granted."""
        more = frozenset(extra)
        return Prover(system(self.system.assumptions | more), self.free, self.conditional) if more else self

    def prove(self, term: Term, fact: str) -> Proof | None:
        """The cheapest proof that was found, or None."""
        query = (term, fact)
        if query in self._known:
            return self._known[query]
        if query in self._active or len(self._active) > MAX_DEPTH:
            self._cut = True
            return None
        tick()
        self._active.add(query)
        cut, self._cut = self._cut, False
        best: Proof | None = None
        for found in self._proofs(term, fact):
            if found is not None and (best is None or found.cost < best.cost):
                best = found
            if best is not None and not best.conditions:
                break
        self._active.discard(query)
        if best is not None or not self._cut or not self._active:
            self._known[query] = best
        self._cut = (cut or self._cut) and bool(self._active)
        return best

    def all(self, claims: Iterable[Query]) -> list[Proof] | None:
        """Proofs of all claims, or None."""
        found: list[Proof] = []
        for claim in claims:
            proof = self.prove(*claim)
            if proof is None:
                return None
            found.append(proof)
        return found

    # ------------------------------------------------------------ the ways

    def _proofs(self, term: Term, fact: str) -> Iterator[Proof | None]:
        if self.system.facts.has(term, fact):
            yield self._known_fact(term, fact)
            return
        if term.is_scalar and fact not in SIGNS:
            meaning = _SCALAR.get(fact)
            if meaning is not None:
                yield self.prove(term, meaning)
            return
        if fact in DEFINITE and not term.is_square:
            return
        if self._assumed_elsewhere(term, fact):
            yield Proof(term, fact, "assumed")
            return
        if fact in STRONG:
            yield self._from_weak(term, fact)
        number, rest = coefficient(term)
        if fact in SIGNS:
            yield from self._sign(term, fact, number, rest)
        elif fact in DEFINITE:
            yield from self._definite(term, fact, number, rest)
        elif fact in RANKS:
            yield from self._rank(term, fact, number, rest)
        if term.op not in (ops.ADD, ops.TIMES, ops.SCALE, ops.HAD):
            yield from self._by_rows(term, fact)
        yield self._assume(term, fact)

    def _known_fact(self, term: Term, fact: str) -> Proof:
        """A fact that the facts system knows, as one line with its reasons."""
        reasons = self.system.facts.explain(term, fact)
        leaves = dict.fromkeys(q for _, r in reasons if r.rule in ("declared", "assumed") for q in r.premises)
        rule = next((r.rule for (t, f), r in reasons if (t, f) == (term, fact)), "known")
        if rule == "scalar" and len(reasons) > 1:
            rule = reasons[1][1].rule
        return Proof(term, fact, rule, since=tuple(leaf for leaf in leaves if leaf != (term, fact)))

    def _assumed_elsewhere(self, term: Term, fact: str) -> bool:
        """The fact was assumed of another form of the same term."""
        if not self._normal:
            return False
        wanted = {
            "psd": ("posdef",),
            "nonneg": ("positive",),
            "posdef": ("posdef",),
            "invertible": ("invertible", "posdef"),
        }
        normal = self.system.expand(term)
        _, bare = coefficient(normal)
        if fact in ("nonzero", "invertible"):
            names = (*wanted.get(fact, ()), *(("nonzero", "positive") if term.is_scalar else ()))
            return any((t, f) in self._normal for t in (normal, bare, build.neg(bare)) for f in names)
        return any((normal, f) in self._normal for f in wanted.get(fact, (fact,)))

    def _from_weak(self, term: Term, fact: str) -> Proof | None:
        """What is psd and invertible is posdef; what is nonneg and nonzero is positive."""
        weak, other = STRONG[fact], "invertible" if fact == "posdef" else "nonzero"
        if not (self.system.facts.has(term, other) or self._assumed_elsewhere(term, other)):
            return None
        below = self.prove(term, weak)
        if below is None:
            return None
        rule = "psd and invertible" if fact == "posdef" else "nonneg and nonzero"
        known = self.system.facts.has(term, other)
        return concluded(
            term, fact, rule, below, self._known_fact(term, other) if known else Proof(term, other, "assumed")
        )

    def _by_rows(self, term: Term, fact: str) -> Iterator[Proof | None]:
        """The rows of the fact files whose left side is the term."""
        names = [fact, *sorted(self._implied_by.get(fact, frozenset()) - {fact})]
        for name in names:
            for row in self._rows.get((term.op, name), ()):
                for bindings in match(row.term, term, {}):
                    yield self._by_row(term, fact, row, bindings)

    def _by_row(self, term: Term, fact: str, row: Fact, bindings: dict[object, object]) -> Proof | None:
        premises: list[Proof] = []
        for guard in row.guards:
            if not isinstance(guard, Has) or guard.negated:
                if not self.system.facts.holds(guard, bindings):
                    return None
                continue
            proof = self.prove(instantiate(guard.term, bindings), guard.fact)
            if proof is None:
                return None
            premises.append(proof)
        return concluded(term, fact, row.name, *premises)

    # ------------------------------------------------------------ conditions

    def closed(self, term: Term) -> bool:
        """True when a condition may speak of the term."""
        known = self._closed.get(term)
        if known is None:
            known = self._closed[term] = not any(self._is_free(t) for t in postorder(term))
        return known

    def _is_free(self, leaf: Term) -> bool:
        return leaf in self.free or (leaf.op is ops.MEMBER and leaf.attr.family in self._families)

    def _assume(self, term: Term, fact: str) -> Proof | None:
        """The claim as a condition, where that is simple and not against what is known."""
        if not self.conditional or not self.closed(term) or self._contradicted(term, fact):
            return None
        if term.op is ops.ENTRY and fact in SIGNS and term.args[0].op is ops.SYM:
            array = term.args[0]
            if not array.is_vector and not _plain(array):
                return None
            return concluded(term, fact, "entry", Proof(array, fact, "condition", (), frozenset(((array, fact),))))
        if term.op in (ops.SYM, ops.MEMBER):
            facts = term.attr.facts if term.op is ops.SYM else term.attr.family.facts
            if fact in SIGNS and not (term.is_scalar or term.is_vector or not facts):
                return None
            if fact in DEFINITE and not (not facts or facts <= {"symmetric", "invertible"}):
                return None
            if fact == "invertible" and facts & {"skew"}:
                return None
            return Proof(term, fact, "condition", (), frozenset(((term, fact),)))
        if term.op is ops.INT and fact in SIGNS and not term.indices:
            return Proof(term, fact, "condition", (), frozenset(((term, fact),)))
        if term.indices or not self._may_hold(term, fact):
            return None
        return Proof(term, fact, "condition", (), frozenset(((term, fact),)))

    def _contradicted(self, term: Term, fact: str) -> bool:
        """What is known says that the fact does not hold, or only where the term is zero."""
        opposite = {"positive": "nonneg", "nonneg": "positive", "posdef": "psd", "psd": "posdef"}.get(fact)
        return opposite is not None and self.system.facts.has(build.neg(term), opposite)

    def _may_hold(self, term: Term, fact: str) -> bool:
        """Whether a composite term may be spoken of in a condition."""
        if fact == "nonzero":
            return term.is_scalar and term.op in (ops.NORM, ops.MUL)
        if term.is_scalar and fact in ("positive", "nonneg"):
            if term.op in (ops.TIMES, ops.POW, ops.NUM, ops.TR, ops.MUL):
                return False
            return self._silent(build.neg(term), "nonneg") and self.satisfiable(term, fact)
        if fact == "posdef":
            if term.op is ops.ADD and len(term.args) == 2 and self.turned(term.args[0]) is term.args[1]:
                return any(a.op is ops.SYM for a in term.args)
            return term.op in (ops.SUM, ops.BLOCK) and self._silent(term, "psd", known=True)
        return fact in ("fullrank", "fullrow") and term.op in (ops.MUL, ops.BLOCK, ops.ADD)

    def _silent(self, term: Term, fact: str, known: bool = False) -> bool:
        """Whether a fact is not known without conditions (with ``known``, whether it is)."""
        strict = Prover(self.system, self.free, conditional=False)
        return (strict.prove(term, fact) is not None) is known

    def satisfiable(self, term: Term, fact: str) -> bool:
        """Whether random data of the declared kind can have the fact: what never holds is no condition."""
        from ..errors import MatcalcError
        from ..numeric.evaluate import evaluate
        from ..numeric.sample import sample
        from ..rewriting.verify import holds_numerically

        for seed in range(12):
            try:
                domain = ("any", "positive", "unit")[seed % 3]
                if holds_numerically(fact, evaluate(term, sample(term, seed, domain=domain))):
                    return True
            except MatcalcError:
                continue
        return False

    # ------------------------------------------------------------ signs

    def _sign(self, term: Term, fact: str, number: int | Fraction, rest: Term) -> Iterator[Proof | None]:
        op = term.op
        if op is ops.NUM:
            return
        if op is ops.ADD:
            if fact != "nonzero":
                yield self._sum(term, fact)
            else:
                for sign in (term, _negative(term)):
                    strict = self.prove(sign, "positive")
                    yield concluded(term, fact, "nonzero", strict) if strict else None
            return
        if op in (ops.TIMES, ops.SCALE, ops.HAD) or number != 1:
            yield self._product_sign(term, fact)
        if op is ops.POW:
            yield from self._power(term, fact)
        if op is ops.SUM:
            if fact == "nonneg":
                inside = self.prove(term.args[0], "nonneg")
                yield concluded(term, fact, "nonneg-index-sum", inside) if inside else None
            if fact in ("nonneg", "positive") and term.args[0].op is ops.TIMES and self.closed(term):
                return
        if op is ops.MUL:
            yield from self._product_of_matrices(term, fact)
        if op is ops.TR:
            yield from self._trace(term, fact)
        if op is ops.ENTRY and fact != "nonzero":
            inside = self.prove(term.args[0], fact)
            yield concluded(term, fact, f"{fact}-entry", inside) if inside else None
            if term.attr[0] is term.attr[1] and term.args[0].is_square:
                inside = self.prove(term.args[0], "psd" if fact == "nonneg" else "posdef")
                yield concluded(term, fact, f"{fact}-diagonal", inside) if inside else None
        if op is ops.TOTAL and fact == "nonneg" and term.args[0].op is ops.MUL:
            parts = self.all((f, "nonneg") for f in term.args[0].args)
            yield concluded(term, fact, "nonneg-product", *parts) if parts else None

    def _sum(self, term: Term, fact: str) -> Proof | None:
        """All addends nonneg (psd), and for the strict fact one of them positive (posdef)."""
        weak = STRONG.get(fact, fact)
        below = self.all((a, weak) for a in term.args)
        if below is None:
            return None
        name = f"{fact}-sum"
        if weak == fact:
            return concluded(term, fact, name, *below)
        best: Proof | None = None
        for i, addend in enumerate(term.args):
            strict = self.prove(addend, fact)
            if strict is not None:
                found = concluded(term, fact, name, *below[:i], strict, *below[i + 1 :])
                if best is None or _reduced(found).cost < best.cost:
                    best = _reduced(found)
        return best

    def _product_sign(self, term: Term, fact: str) -> Proof | None:
        """A product of scalars, or entry by entry: the factors' signs, an even number of them negative."""
        factors = _entry_factors(term)
        if len(factors) > MAX_FACTORS or factors == [term]:
            return None
        odd = False
        choices: list[list[tuple[bool, Proof]]] = []
        for factor in factors:
            if factor.op is ops.NUM:
                odd ^= factor.attr < 0
                continue
            plus = self.prove(factor, fact)
            if plus is not None and not plus.conditions:
                choices.append([(False, plus)])
                continue
            ways = [(False, plus)] if plus is not None else []
            minus = self._negated(factor, fact) if fact != "nonzero" else None
            if minus is not None:
                ways.append((True, minus))
            if not ways:
                return None
            choices.append(ways)
        best: Proof | None = None
        if sum(len(c) > 1 for c in choices) > 6:
            choices = [c[:1] for c in choices]
        for chosen in combinations(*choices):
            if fact != "nonzero" and (sum(flip for flip, _ in chosen) + odd) % 2:
                continue
            found = concluded(term, fact, f"{fact}-product", *(p for _, p in chosen))
            if best is None or found.cost < best.cost:
                best = found
        return best

    def _negated(self, factor: Term, fact: str) -> Proof | None:
        """The factor is negative: only of sums, and without conditions of its own."""
        negative = _negative(factor)
        if self.system.facts.has(negative, fact):
            return self._known_fact(negative, fact)
        return self.prove(negative, fact) if negative.op is ops.ADD else None

    def _power(self, term: Term, fact: str) -> Iterator[Proof | None]:
        base, exponent = term.args
        if exponent.op is not ops.NUM:
            if fact in ("positive", "nonzero"):
                yield self._under(term, fact, f"{fact}-power", (base, "positive"))
            return
        value = exponent.attr
        if isinstance(value, int) and value % 2 == 0:
            if fact == "nonneg":
                yield Proof(term, fact, "nonneg-square")
            else:
                yield self._under(term, fact, "positive-square", (base, "nonzero"))
            return
        if fact == "nonzero" and isinstance(value, int):
            yield self._under(term, fact, "nonzero-power", (base, "nonzero"))
        elif fact == "nonneg" and not isinstance(value, int):
            yield Proof(term, fact, "nonneg-root")
        elif fact == "nonneg":
            yield self._under(term, fact, "nonneg-power", (base, "nonneg"))
        else:
            yield self._under(term, fact, "positive-power", (base, "positive"))

    def _under(self, term: Term, fact: str, rule: str, *claims: Query) -> Proof | None:
        premises = self.all(claims)
        return None if premises is None else concluded(term, fact, rule, *premises)

    def _product_of_matrices(self, term: Term, fact: str) -> Iterator[Proof | None]:
        """A product of matrices with one sign: by its outer form, or entry by entry."""
        if term.is_scalar and fact != "nonzero":
            yield self._form(term, fact)
            yield self._entrywise(term.args, term, fact)
        if fact == "nonneg":
            parts = self.all((f, "nonneg") for f in term.args)
            yield concluded(term, fact, "nonneg-matrix-product", *parts) if parts else None
        if fact == "nonzero" and term.is_scalar:
            strict = self._form(term, "positive")
            yield concluded(term, fact, "nonzero", strict) if strict else None

    def _form(self, term: Term, fact: str) -> Proof | None:
        """``x'*A*x`` with A psd."""
        stripped = self.mirrored(term.args) or self.mirrored(spread(term.args, self.free))
        if stripped is None:
            return None
        outer, inner = stripped
        claims: list[Query] = []
        if inner:
            claims.append((build.mul(*inner), "psd" if fact == "nonneg" else "posdef"))
        if fact == "positive":
            vector = build.mul(*outer)
            claims.append((build.norm(vector) if not vector.is_scalar else vector, "nonzero"))
        premises = self.all(claims)
        return None if premises is None else concluded(term, fact, f"{fact}-form", *premises)

    def mirrored(self, factors: Sequence[Term]) -> tuple[Sequence[Term], Sequence[Term]] | None:
        """``F'…, M, …F`` as the outer factors on the right and the inner ones; None when nothing is mirrored."""
        lo, hi = 0, len(factors)
        while hi - lo >= 2 and self.same(self.turned(factors[lo]), factors[hi - 1]):
            lo, hi = lo + 1, hi - 1
        return (factors[hi:], factors[lo:hi]) if lo else None

    def turned(self, term: Term) -> Term:
        """The transpose, simplified."""
        return self.system.simplify(build.transpose(term))

    def same(self, a: Term, b: Term) -> bool:
        """True when two terms are known to be equal."""
        return a is b or (a.shape == b.shape and self.system.expand(a) is self.system.expand(b))

    def _entrywise(self, factors: Sequence[Term], term: Term, fact: str) -> Proof | None:
        """``a'*b`` is the sum of the entries of a ⊙ b."""
        if fact != "nonneg":
            return None
        for cut in range(1, len(factors)):
            left, right = build.mul(*factors[:cut]), build.mul(*factors[cut:])
            if left.rows is not right.cols or left.cols is not right.rows:
                continue
            entries = self.system.simplify(build.had(build.transpose(left), right))
            if entries.op is ops.HAD or entries.op is ops.POW or coefficient(entries)[0] != 1:
                found = self.prove(entries, "nonneg")
                if found is not None:
                    return concluded(term, fact, "nonneg-entries", found)
        return None

    def _trace(self, term: Term, fact: str) -> Iterator[Proof | None]:
        """``tr(A*B)`` with A and B psd, after any rotation."""
        if fact == "nonzero":
            return
        inside = term.args[0]
        if inside.op in (ops.ADD, ops.SCALE):
            spread_out = build.add(*(self.system.simplify(build.tr(a)) for a in _addends(inside)))
            yield self.prove(spread_out, fact) if spread_out is not term else None
        if fact == "positive" and inside.op is ops.MUL:
            yield self._nonzero_gram(term, inside)
        outer = self.prove(inside, "psd" if fact == "nonneg" else "posdef")
        yield concluded(term, fact, f"{fact}-trace", outer) if outer else None
        if inside.op is not ops.MUL or len(inside.args) > MAX_FACTORS:
            return
        factors = inside.args
        count = len(factors)
        needed = "psd" if fact == "nonneg" else "posdef"
        for turn in range(count):
            around = factors[turn:] + factors[:turn]
            for cut in range(1, count // 2 + 1):
                first, second = build.mul(*around[:cut]), build.mul(*around[cut:])
                if not first.is_square:
                    continue
                parts = self.all(((first, needed), (second, needed)))
                if parts is not None:
                    yield concluded(term, fact, f"{fact}-trace-product", *parts)
                    if not any(p.conditions for p in parts):
                        return
            whole = build.mul(*around)
            proof = self.prove(whole, needed) if turn else None
            yield concluded(term, fact, f"{fact}-trace", proof) if proof else None
        yield self._entrywise(factors, term, fact)

    def _nonzero_gram(self, term: Term, inside: Term) -> Proof | None:
        """``tr(F'*A*F)`` > 0 with A posdef and F not zero."""
        stripped = self.mirrored(inside.args)
        if stripped is None:
            return None
        claims: list[Query] = [(build.norm(build.mul(*stripped[0])), "nonzero")]
        if stripped[1]:
            claims.append((build.mul(*stripped[1]), "posdef"))
        return self._under(term, "positive", "positive-trace-gram", *claims)

    # ------------------------------------------------------------ definiteness

    def _definite(self, term: Term, fact: str, number: int | Fraction, rest: Term) -> Iterator[Proof | None]:
        op = term.op
        if op is ops.ADD:
            yield self._sum(term, fact)
        elif op is ops.SCALE:
            yield from self._scaled(term, fact)
        elif op is ops.MUL:
            yield self._congruence(term, fact)
        elif op is ops.KRON:
            yield self._kron(term, fact)
        elif op is ops.SUM:
            if fact == "psd":
                yield self._under(term, fact, "psd-index-sum", (term.args[0], "psd"))
        elif op is ops.HAD:
            yield self._under(term, fact, f"{fact}-hadamard", *((a, fact) for a in term.args))
        elif op is ops.BLOCK:
            yield self._blocks(term, fact)
        if op in (ops.ADD, ops.SCALE, ops.MUL) and len(postorder(term)) <= MAX_NODES:
            for form in (present(self.system, term), self.system.expand(term)):
                if form is not term:
                    yield self.prove(form, fact)

    def _scaled(self, term: Term, fact: str) -> Iterator[Proof | None]:
        scalar, matrix = term.args
        sign = "nonneg" if fact == "psd" else "positive"
        for s, a in ((scalar, matrix), (_negative(scalar), _negative(matrix))):
            if a.op is ops.SCALE and a.args[1] is matrix:
                continue
            yield self._under(term, fact, f"{fact}-scale", (s, sign), (a, fact))

    def _congruence(self, term: Term, fact: str) -> Proof | None:
        """``F'*A*F`` with A psd; definite when A is, and F has full column rank."""
        stripped = self.mirrored(term.args) or self.mirrored(spread(term.args, self.free))
        if stripped is None:
            return None
        outer, inner = stripped
        claims: list[Query] = [(build.mul(*inner), fact)] if inner else []
        if fact == "posdef":
            claims += [(f, "fullrank") for f in outer]
        name = f"{fact}-congruence" if inner else f"{fact}-gram"
        return self._under(term, fact, name, *claims)

    def _kron(self, term: Term, fact: str) -> Proof | None:
        found: list[Proof] = []
        for factor in term.args:
            proof = self.prove(factor, fact)
            if proof is None:
                return None
            found.append(proof)
        return concluded(term, fact, f"{fact}-kron", *found)

    def _blocks(self, term: Term, fact: str) -> Proof | None:
        """``[A, B; B', C]``: A posdef and the Schur complement C - B'*A⁻¹*B psd (posdef)."""
        if (term.attr.rows, term.attr.cols) != (2, 2):
            return None
        a, b, c, d = term.args
        if not self.same(self.turned(b), c):
            return None
        best: Proof | None = None
        for first, side, last in ((a, b, d), (d, c, a)):
            complement = self.system.simplify(build.sub(last, build.mul(self.turned(side), build.inv(first), side)))
            complement = present(self.system, complement)
            found = self._under(term, fact, f"{fact}-schur", (first, "posdef"), (complement, fact))
            if found is not None and (best is None or found.cost < best.cost):
                best = found
        return best

    # ------------------------------------------------------------ rank

    def _rank(self, term: Term, fact: str, number: int | Fraction, rest: Term) -> Iterator[Proof | None]:
        if term.op is ops.MUL:
            yield self._under(term, fact, f"{fact}-product", *((f, fact) for f in term.args))
        elif term.op is ops.SCALE:
            yield self._under(term, fact, f"{fact}-scale", (term.args[0], "nonzero"), (term.args[1], fact))
        if term.is_square:
            for name in ("posdef",) if fact == "invertible" else ("invertible",):
                yield self._under(term, fact, f"{name} is {fact}", (term, name))


_SCALAR = {
    "psd": "nonneg",
    "posdef": "positive",
    "posdet": "positive",
    **dict.fromkeys(("invertible", "fullrank", "fullrow", "maxrank", "fixedrank"), "nonzero"),
}


def _plain(array: Term) -> bool:
    return array.op is ops.SYM and not array.attr.facts


def _reduced(proof: Proof) -> Proof:
    """Without the conditions that others of the same proof imply: t ≥ 0 where t > 0 is needed."""
    kept = frozenset(
        c
        for c in proof.conditions
        if not any((c[0], strong) in proof.conditions for strong, weak in STRONG.items() if weak == c[1])
        and not (c[1] == "nonzero" and (c[0], "positive") in proof.conditions)
    )
    return Proof(proof.term, proof.fact, proof.rule, proof.premises, kept)


def reduced(conditions: Iterable[Query]) -> frozenset[Query]:
    """Conditions without those that others imply."""
    given = frozenset(conditions)
    return _reduced(Proof(build.ZERO_NUM, "", "", (), given)).conditions


def _negative(term: Term) -> Term:
    """The negative, the sign inside a sum."""
    number, rest = coefficient(term)
    if rest.op is ops.ADD:
        return build.add(*(build.smul(build.num(-number), a) for a in rest.args))
    return build.neg(term)


def _addends(term: Term) -> list[Term]:
    """The addends of a sum, a scalar factor put on each."""
    if term.op is ops.SCALE:
        return [build.smul(term.args[0], a) for a in _addends(term.args[1])]
    return list(term.args) if term.op is ops.ADD else [term]


def _entry_factors(term: Term) -> list[Term]:
    """The factors of a product of scalars or entry by entry; a scalar factor of an array among them."""
    if term.op is ops.SCALE:
        return [*_entry_factors(term.args[0]), *_entry_factors(term.args[1])]
    return list(term.args) if term.op in (ops.TIMES, ops.HAD) else [term]


def spread(factors: Sequence[Term], moving: Collection[Term]) -> list[Term]:
    """The factors of a product, ``w .* (A*x)`` as diag(w)*A*x, where x is among what moves."""
    found: list[Term] = []
    for factor in factors:
        if factor.op is ops.HAD and factor.is_vector:
            inside = [a for a in factor.args if any(t in moving for t in postorder(a))]
            if len(inside) == 1 and len(factor.args) > 1:
                others = [a for a in factor.args if a is not inside[0]]
                found.append(build.diag(build.had(*others)))
                found += spread(inside, moving)
                continue
        if factor.op is ops.MUL:
            found += spread(factor.args, moving)
        elif factor.op is ops.TRANSPOSE and factor.args[0].op is ops.HAD:
            turned = spread((factor.args[0],), moving)
            found += [build.transpose(f) if f.op is not ops.DIAG else f for f in reversed(turned)]
        else:
            found.append(factor)
    return found
