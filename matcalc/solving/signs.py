"""Ways to prove the sign of a scalar, or of every entry of an array."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product as combinations
from typing import TYPE_CHECKING

from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.term import Term
from .parts import entry_factors, negative, scaled_addends, spread
from .proofs import Proof, concluded

if TYPE_CHECKING:
    from .prover import Prover

MAX_FACTORS = 14
"""Of longer products nothing is concluded."""


def sign_proofs(prover: Prover, term: Term, fact: str) -> Iterator[Proof | None]:
    """Ways to show that a scalar, or each entry of an array, is positive, nonneg or nonzero."""
    op = term.op
    if op is ops.NUM:
        return
    if op is ops.ADD:
        if fact != "nonzero":
            yield prover.sum(term, fact)
        else:
            for sign in (term, negative(term)):
                strict = prover.prove(sign, "positive")
                yield concluded(term, fact, "nonzero", strict) if strict else None
        return
    if op in (ops.TIMES, ops.SCALE, ops.HAD) or coefficient(term)[0] != 1:
        yield _product_sign(prover, term, fact)
    if op is ops.POW:
        yield from _power(prover, term, fact)
    if op is ops.SUM:
        if fact == "nonneg":
            inside = prover.prove(term.args[0], "nonneg")
            yield concluded(term, fact, "nonneg-index-sum", inside) if inside else None
        if fact in ("nonneg", "positive") and term.args[0].op is ops.TIMES and prover.closed(term):
            return
    if op is ops.MUL:
        yield from _product_of_matrices(prover, term, fact)
    if op is ops.TR:
        yield from _trace(prover, term, fact)
    if op is ops.ENTRY and fact != "nonzero":
        inside = prover.prove(term.args[0], fact)
        yield concluded(term, fact, f"{fact}-entry", inside) if inside else None
        if term.attr[0] is term.attr[1] and term.args[0].is_square:
            inside = prover.prove(term.args[0], "psd" if fact == "nonneg" else "posdef")
            yield concluded(term, fact, f"{fact}-diagonal", inside) if inside else None
    if op is ops.TOTAL and fact == "nonneg" and term.args[0].op is ops.MUL:
        parts = prover.all((f, "nonneg") for f in term.args[0].args)
        yield concluded(term, fact, "nonneg-product", *parts) if parts else None


def _product_sign(prover: Prover, term: Term, fact: str) -> Proof | None:
    """A product of scalars, or entry by entry: the factors' signs, an even number of them negative."""
    factors = entry_factors(term)
    if len(factors) > MAX_FACTORS or factors == [term]:
        return None
    odd = False
    choices: list[list[tuple[bool, Proof]]] = []
    for factor in factors:
        if factor.op is ops.NUM:
            odd ^= factor.attr < 0
            continue
        plus = prover.prove(factor, fact)
        if plus is not None and not plus.conditions:
            choices.append([(False, plus)])
            continue
        ways = [(False, plus)] if plus is not None else []
        minus = _negated(prover, factor, fact) if fact != "nonzero" else None
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


def _negated(prover: Prover, factor: Term, fact: str) -> Proof | None:
    """The factor is negative: only of sums, and without conditions of its own."""
    opposite = negative(factor)
    if prover.system.facts.has(opposite, fact):
        return prover.known_fact(opposite, fact)
    return prover.prove(opposite, fact) if opposite.op is ops.ADD else None


def _power(prover: Prover, term: Term, fact: str) -> Iterator[Proof | None]:
    base, exponent = term.args
    if exponent.op is not ops.NUM:
        if fact in ("positive", "nonzero"):
            yield prover.under(term, fact, f"{fact}-power", (base, "positive"))
        return
    value = exponent.attr
    if isinstance(value, int) and value % 2 == 0:
        if fact == "nonneg":
            yield Proof(term, fact, "nonneg-square")
        else:
            yield prover.under(term, fact, "positive-square", (base, "nonzero"))
        return
    if fact == "nonzero" and isinstance(value, int):
        yield prover.under(term, fact, "nonzero-power", (base, "nonzero"))
    elif fact == "nonneg" and not isinstance(value, int):
        yield Proof(term, fact, "nonneg-root")
    elif fact == "nonneg":
        yield prover.under(term, fact, "nonneg-power", (base, "nonneg"))
    else:
        yield prover.under(term, fact, "positive-power", (base, "positive"))


def _product_of_matrices(prover: Prover, term: Term, fact: str) -> Iterator[Proof | None]:
    """A product of matrices with one sign: by its outer form, or entry by entry."""
    if term.is_scalar and fact != "nonzero":
        yield _form(prover, term, fact)
        yield _entrywise(prover, term.args, term, fact)
    if fact == "nonneg":
        parts = prover.all((f, "nonneg") for f in term.args)
        yield concluded(term, fact, "nonneg-matrix-product", *parts) if parts else None
    if fact == "nonzero" and term.is_scalar:
        strict = _form(prover, term, "positive")
        yield concluded(term, fact, "nonzero", strict) if strict else None


def _form(prover: Prover, term: Term, fact: str) -> Proof | None:
    """``x'*A*x`` with A psd."""
    stripped = prover.mirrored(term.args) or prover.mirrored(spread(term.args, prover.free))
    if stripped is None:
        return None
    outer, inner = stripped
    claims: list[Query] = []
    if inner:
        claims.append((build.mul(*inner), "psd" if fact == "nonneg" else "posdef"))
    if fact == "positive":
        vector = build.mul(*outer)
        claims.append((build.norm(vector) if not vector.is_scalar else vector, "nonzero"))
    premises = prover.all(claims)
    return None if premises is None else concluded(term, fact, f"{fact}-form", *premises)


def _entrywise(prover: Prover, factors: Sequence[Term], term: Term, fact: str) -> Proof | None:
    """``a'*b`` is the sum of the entries of a ⊙ b."""
    if fact != "nonneg":
        return None
    for cut in range(1, len(factors)):
        left, right = build.mul(*factors[:cut]), build.mul(*factors[cut:])
        if left.rows is not right.cols or left.cols is not right.rows:
            continue
        entries = prover.system.simplify(build.had(build.transpose(left), right))
        if entries.op is ops.HAD or entries.op is ops.POW or coefficient(entries)[0] != 1:
            found = prover.prove(entries, "nonneg")
            if found is not None:
                return concluded(term, fact, "nonneg-entries", found)
    return None


def _trace(prover: Prover, term: Term, fact: str) -> Iterator[Proof | None]:
    """``tr(A*B)`` with A and B psd, after any rotation."""
    if fact == "nonzero":
        return
    inside = term.args[0]
    if inside.op in (ops.ADD, ops.SCALE):
        spread_out = build.add(*(prover.system.simplify(build.tr(a)) for a in scaled_addends(inside)))
        yield prover.prove(spread_out, fact) if spread_out is not term else None
    if fact == "positive" and inside.op is ops.MUL:
        yield _nonzero_gram(prover, term, inside)
    outer = prover.prove(inside, "psd" if fact == "nonneg" else "posdef")
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
            parts = prover.all(((first, needed), (second, needed)))
            if parts is not None:
                yield concluded(term, fact, f"{fact}-trace-product", *parts)
                if not any(p.conditions for p in parts):
                    return
        whole = build.mul(*around)
        proof = prover.prove(whole, needed) if turn else None
        yield concluded(term, fact, f"{fact}-trace", proof) if proof else None
    yield _entrywise(prover, factors, term, fact)


def _nonzero_gram(prover: Prover, term: Term, inside: Term) -> Proof | None:
    """``tr(F'*A*F)`` > 0 with A posdef and F not zero."""
    stripped = prover.mirrored(inside.args)
    if stripped is None:
        return None
    claims: list[Query] = [(build.norm(build.mul(*stripped[0])), "nonzero")]
    if stripped[1]:
        claims.append((build.mul(*stripped[1]), "posdef"))
    return prover.under(term, "positive", "positive-trace-gram", *claims)
