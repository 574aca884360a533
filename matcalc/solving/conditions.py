"""Conditions as they are told: taken apart into conditions on the parts, known ones with their reasons, none twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial

from ..calculus.system import System
from ..calculus.system import system as with_assumptions
from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.term import Number, Term
from ..terms.walk import postorder
from .equation import Condition
from .parts import negative
from .proofs import reduced

Need = tuple[Term, str]

ASSUMED = "assumed"
SIGNED = ("positive", "nonneg", "nonzero", "posdef", "psd")


class Impossible(Exception):
    """A condition that nothing meets: 0 is nonzero."""


def condition(system: System, need: Need, reason: str = ASSUMED) -> Condition:
    """A need as a condition, with the reason why it is known or why it is needed."""
    term, fact = need
    proof = system.facts.explain(term, fact)
    if not proof:
        return Condition(term, fact, False, reason)
    leaves = dict.fromkeys(
        f"{t} is {f}" for _, known in proof if known.rule in ("declared", "assumed") for t, f in known.premises
    )
    rows = dict.fromkeys(r.rule for _, r in proof if r.rule not in ("declared", "assumed", "scalar"))
    because = ", ".join(leaves)
    by = ", ".join(rows)
    told = "; ".join(p for p in (f"since {because}" if because else "", f"by {by}" if by else "") if p)
    return Condition(term, fact, True, told)


def told(system: System, conditions: Iterable[Condition]) -> list[Condition]:
    """Conditions on the parts, in order, without those that others imply.  Raises :class:`Impossible`."""
    parts: dict[Need, str] = {}
    known: dict[Need, Condition] = {}
    for one in conditions:
        if _constant(one.term) and system.facts.has(one.term, one.fact):
            continue  # a size is at least 1
        if one.known:
            known.setdefault((one.term, one.fact), one)
            continue
        for need in taken_apart(system, one.term, one.fact):
            parts.setdefault(need, one.reason)
    merged = _among_themselves(system, _merged(parts))
    kept = reduced(merged)
    found: list[Condition] = list(known.values())
    for need, reason in merged.items():
        if need in kept and need not in known:
            found.append(condition(system, need, reason))
    return found


def _among_themselves(system: System, needs: dict[Need, str]) -> dict[Need, str]:
    """``a > 0, a/b ≥ 0, b ≠ 0`` is ``a > 0, b > 0``: each need where those on variables hold."""
    simple = frozenset(n for n in needs if n[0].op is ops.SYM and n[1] in SIGNED)
    if not simple or len(simple) == len(needs):
        return needs
    inside = with_assumptions(system.assumptions | simple)
    parts: dict[Need, str] = {}
    for need, reason in needs.items():
        if need in simple:
            parts.setdefault(need, reason)
            continue
        for part in taken_apart(inside, *need):
            if not inside.facts.has(*part):
                parts.setdefault(part, reason)
    return _merged(parts)


def _constant(term: Term) -> bool:
    """True of a term that is made of numbers and sizes alone."""
    return all(t.args or t.op in (ops.NUM, ops.INT, ops.EYE, ops.ONES, ops.ZEROS) for t in postorder(term))


def _merged(parts: dict[Need, str]) -> dict[Need, str]:
    """``t ≥ 0`` and ``t ≠ 0`` is ``t > 0``."""
    merged: dict[Need, str] = {}
    for (term, fact), reason in parts.items():
        other = {"nonneg": "nonzero", "nonzero": "nonneg"}.get(fact)
        if other is not None and (term, other) in parts:
            merged.setdefault((term, "positive"), reason)
        else:
            merged.setdefault((term, fact), reason)
    return merged


def taken_apart(system: System, term: Term, fact: str) -> Iterator[Need]:
    """The conditions on the parts of a term that amount to the one on it."""
    number, rest = coefficient(term)
    if rest.op is ops.ONES and fact in ("nonzero", "positive", "nonneg"):
        rest = build.ONE_NUM
    if rest is build.ONE_NUM or rest.op is ops.ZEROS or term is build.ZERO_NUM:
        value = 0 if rest is not build.ONE_NUM else number
        if (fact in ("nonzero", "invertible", "posdef", "positive") and value == 0) or (
            fact in ("positive", "nonneg", "posdef", "psd") and value < 0
        ):
            raise Impossible
        return
    if rest.op is ops.SCALE and rest.args[1].op is ops.ONES and fact in ("nonzero", "positive", "nonneg"):
        yield from taken_apart(system, build.times(build.num(number), rest.args[0]), fact)
        return
    if system.facts.has(term, fact):
        if not _constant(term):
            yield term, fact
        return
    parts = _PARTS.get(fact)
    inner = list(parts(system, number, rest)) if parts is not None else None
    if inner is None or inner == [(term, fact)]:
        yield term, fact
        return
    for part, of in inner:
        if (part, of) == (term, fact):
            yield term, fact
        else:
            yield from taken_apart(system, part, of)


def _nonzero(system: System, number: Number, rest: Term) -> Sequence[Need]:
    if rest.op in (ops.TIMES, ops.SCALE, ops.HAD):
        return [(f, "nonzero") for f in rest.args]
    if rest.op is ops.POW:
        return [(rest.args[0], "nonzero")]
    if rest.op is ops.NORM and rest.args[0].is_vector:
        return [(_gram(system, rest.args[0]), "nonzero")]
    if rest.op is ops.FUN and rest.attr == "exp":
        return []
    return [(_signless(rest), "nonzero")]


def _gram(system: System, vector: Term) -> Term:
    """x'x, which is positive where the norm of x is."""
    return system.simplify(build.mul(build.transpose(vector), vector))


def _signless(term: Term) -> Term:
    """Of a sum and its negative, the one with fewer signs, the same for both."""
    if term.op is not ops.ADD:
        return term
    other = negative(term)
    return min(term, other, key=lambda t: (sum(coefficient(a)[0] < 0 for a in t.args), t.key))


def _invertible(system: System, number: Number, rest: Term) -> Sequence[Need]:
    if rest.is_scalar:
        return [(rest, "nonzero")]
    if rest.op is ops.SCALE:
        return [(rest.args[0], "nonzero"), (rest.args[1], "invertible")]
    if rest.op in (ops.INV, ops.TRANSPOSE):
        return [(rest.args[0], "invertible")]
    if rest.op is ops.EYE:
        return []
    if rest.op is ops.MUL and all(f.is_square for f in rest.args):
        return [(f, "invertible") for f in rest.args]
    if rest.op is ops.DIAG and not rest.is_vector:
        return [(rest.args[0], "nonzero")]
    return [(rest, "invertible")]


def _signed(fact: str, system: System, number: Number, rest: Term) -> Sequence[Need]:
    if number < 0:
        return [(build.neg(rest), fact)]
    if rest.op in (ops.TIMES, ops.SCALE, ops.HAD):
        known = [f for f in rest.args if system.facts.has(_upright(f), "positive")]
        if known:
            left = [f for f in rest.args if f not in known]
            return [(_product(rest, left), fact)]
    if rest.op is ops.NORM and rest.args[0].is_vector:
        return [(_gram(system, rest.args[0]), fact)]
    if rest.op is ops.POW and rest.args[1].op is ops.NUM:
        base, exponent = rest.args
        power = exponent.attr
        if isinstance(power, int) and power % 2 == 0:
            return [(base, "nonzero")] if fact == "positive" or power < 0 else []
        if isinstance(power, int) and power < 0:
            return [(base, fact), (base, "nonzero")]
        if getattr(exponent.attr, "denominator", 1) == 2:
            return [(base, fact)]
    return [(rest, fact)]


def _upright(factor: Term) -> Term:
    return factor.args[0] if factor.op is ops.POW and factor.args[1] is build.MINUS_ONE_NUM else factor


def _product(like: Term, factors: Sequence[Term]) -> Term:
    if like.op is ops.HAD:
        return build.had(*factors) if factors else build.ones(*like.shape)
    if like.op is ops.SCALE:
        return factors[0] if len(factors) == 1 else like
    return build.times(*factors)


def _definite(fact: str, system: System, number: Number, rest: Term) -> Sequence[Need]:
    sign = "positive" if fact == "posdef" else "nonneg"
    if rest.is_scalar:
        return [(build.smul(build.num(number), rest), sign)]
    scalar, matrix = (build.num(number), rest)
    if rest.op is ops.SCALE:
        scalar, matrix = build.times(scalar, rest.args[0]), rest.args[1]
    if matrix.op is ops.EYE or system.facts.has(matrix, fact):
        return [(scalar, sign)]
    if matrix.op is ops.INV and fact == "posdef" and scalar is build.ONE_NUM:
        return [(matrix.args[0], fact)]
    if matrix.op is ops.DIAG and not matrix.is_vector:
        return [(build.smul(scalar, matrix.args[0]), sign)]
    if system.facts.has(scalar, "positive"):
        return [(matrix, fact)]
    return [(build.smul(scalar, matrix), fact)]


_PARTS: dict[str, Callable[[System, Number, Term], Sequence[Need]]] = {
    "nonzero": _nonzero,
    "invertible": _invertible,
    "positive": partial(_signed, "positive"),
    "nonneg": partial(_signed, "nonneg"),
    "posdef": partial(_definite, "posdef"),
    "psd": partial(_definite, "psd"),
}
