"""Facts proved by rules, under conditions where the declarations leave them open.

A proof is a tree: a claim ``term is fact``, the row of ``rules/facts.rules`` that shows it, and the
premises.  Where a fact about what was declared is open it becomes a condition of the proof; of several
proofs the one with the fewest and simplest conditions is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from ..bounds import tick
from ..calculus.system import System
from ..rewriting.facts import Query, Reason, closure
from ..rewriting.loader import load
from ..rewriting.match import instantiate, match
from ..rewriting.rule import Fact, Has
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.term import Term
from ..terms.walk import postorder
from .definite import definite_proofs, rank_proofs
from .proofs import DEFINITE, RANKS, SIGNS, STRONG, Proof, concluded, with_fewest
from .signs import sign_proofs

MAX_DEPTH = 40
MAX_ROWS = 60
"""A known fact with more rows behind it is told by its last row alone."""


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
            yield self.known_fact(term, fact)
            return
        if term.is_scalar and fact not in SIGNS:
            meaning = _SCALAR.get(fact)
            if meaning is not None:
                yield self.prove(term, meaning)
            return
        if fact in (*DEFINITE, "invertible") and not term.is_square:
            return
        if self._assumed_elsewhere(term, fact):
            yield Proof(term, fact, "assumed")
            return
        if fact in STRONG:
            yield self._from_weak(term, fact)
        if fact in SIGNS:
            yield from sign_proofs(self, term, fact)
        elif fact in DEFINITE:
            yield from definite_proofs(self, term, fact)
        elif fact in RANKS:
            yield from rank_proofs(self, term, fact)
        if term.op not in (ops.ADD, ops.TIMES, ops.SCALE, ops.HAD):
            yield from self._by_rows(term, fact)
        yield self._assume(term, fact)

    def known_fact(self, term: Term, fact: str) -> Proof:
        """A fact that the facts system knows, with the rows that give it."""
        reasons = dict(self.system.facts.explain(term, fact))
        if len(reasons) > MAX_ROWS:
            return Proof(term, fact, reasons[term, fact].rule)
        return _as_proof((term, fact), reasons)

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
            term, fact, rule, below, self.known_fact(term, other) if known else Proof(term, other, "assumed")
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

    # ------------------------------------------------------------ shared by the ways

    def under(self, term: Term, fact: str, rule: str, *claims: Query) -> Proof | None:
        """The claim by a rule, where all that the rule asks for can be proved."""
        premises = self.all(claims)
        return None if premises is None else concluded(term, fact, rule, *premises)

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

    def sum(self, term: Term, fact: str) -> Proof | None:
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
                if best is None or with_fewest(found).cost < best.cost:
                    best = with_fewest(found)
        return best


def _as_proof(query: Query, reasons: Mapping[Query, Reason]) -> Proof:
    reason = reasons.get(query)
    if reason is None or reason.rule in GIVEN:
        return Proof(*query, reason.rule if reason is not None else "declared")
    if reason.rule == "scalar":
        return _as_proof(reason.premises[0], reasons)
    open_ones = (q for q in reason.premises if q[0].op not in (ops.NUM, ops.INT))
    since = tuple(q for q in open_ones if q not in reasons or reasons[q].rule in GIVEN)
    return Proof(*query, reason.rule, tuple(_as_proof(q, reasons) for q in reason.premises), since=since)


GIVEN = ("declared", "assumed")

_SCALAR = {
    "psd": "nonneg",
    "posdef": "positive",
    "posdet": "positive",
    **dict.fromkeys(("invertible", "fullrank", "fullrow", "maxrank", "fixedrank"), "nonzero"),
}


def _plain(array: Term) -> bool:
    return array.op is ops.SYM and not array.attr.facts
