"""Ways to prove that a matrix is positive (semi)definite, or of full rank."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..calculus.present import present
from ..rewriting.facts import Query
from ..terms import build, ops
from ..terms.term import Term
from ..terms.walk import postorder
from .parts import negative, spread
from .proofs import Proof, concluded

if TYPE_CHECKING:
    from .prover import Prover

MAX_NODES = 60
"""Only terms up to this size are looked at in other forms."""


def definite_proofs(prover: Prover, term: Term, fact: str) -> Iterator[Proof | None]:
    """Ways to show that a matrix is psd or posdef."""
    op = term.op
    if op is ops.ADD:
        yield prover.sum(term, fact)
    elif op is ops.SCALE:
        yield from _scaled(prover, term, fact)
    elif op is ops.MUL:
        yield _congruence(prover, term, fact)
    elif op is ops.KRON:
        yield _kron(prover, term, fact)
    elif op is ops.SUM:
        if fact == "psd":
            yield prover.under(term, fact, "psd-index-sum", (term.args[0], "psd"))
    elif op is ops.HAD:
        yield prover.under(term, fact, f"{fact}-hadamard", *((a, fact) for a in term.args))
    elif op is ops.BLOCK:
        yield _blocks(prover, term, fact)
    if op in (ops.ADD, ops.SCALE, ops.MUL) and len(postorder(term)) <= MAX_NODES:
        for form in (present(prover.system, term), prover.system.expand(term)):
            if form is not term:
                yield prover.prove(form, fact)


def _scaled(prover: Prover, term: Term, fact: str) -> Iterator[Proof | None]:
    scalar, matrix = term.args
    sign = "nonneg" if fact == "psd" else "positive"
    for s, a in ((scalar, matrix), (negative(scalar), negative(matrix))):
        if a.op is ops.SCALE and a.args[1] is matrix:
            continue
        yield prover.under(term, fact, f"{fact}-scale", (s, sign), (a, fact))


def _congruence(prover: Prover, term: Term, fact: str) -> Proof | None:
    """``F'*A*F`` with A psd; definite when A is, and F has full column rank."""
    stripped = prover.mirrored(term.args) or prover.mirrored(spread(term.args, prover.free))
    if stripped is None:
        return None
    outer, inner = stripped
    claims: list[Query] = [(build.mul(*inner), fact)] if inner else []
    if fact == "posdef":
        claims += [(f, "fullrank") for f in outer]
    name = f"{fact}-congruence" if inner else f"{fact}-gram"
    return prover.under(term, fact, name, *claims)


def _kron(prover: Prover, term: Term, fact: str) -> Proof | None:
    found: list[Proof] = []
    for factor in term.args:
        proof = prover.prove(factor, fact)
        if proof is None:
            return None
        found.append(proof)
    return concluded(term, fact, f"{fact}-kron", *found)


def _blocks(prover: Prover, term: Term, fact: str) -> Proof | None:
    """``[A, B; B', C]``: A posdef and the Schur complement C - B'*A⁻¹*B psd (posdef)."""
    if (term.attr.rows, term.attr.cols) != (2, 2):
        return None
    a, b, c, d = term.args
    if not prover.same(prover.turned(b), c):
        return None
    best: Proof | None = None
    for first, side, last in ((a, b, d), (d, c, a)):
        complement = prover.system.simplify(build.sub(last, build.mul(prover.turned(side), build.inv(first), side)))
        complement = present(prover.system, complement)
        found = prover.under(term, fact, f"{fact}-schur", (first, "posdef"), (complement, fact))
        if found is not None and (best is None or found.cost < best.cost):
            best = found
    return best


def rank_proofs(prover: Prover, term: Term, fact: str) -> Iterator[Proof | None]:
    """Ways to show that a matrix has full column rank, full row rank, or an inverse."""
    if term.op is ops.MUL:
        yield prover.under(term, fact, f"{fact}-product", *((f, fact) for f in term.args))
    elif term.op is ops.SCALE:
        yield prover.under(term, fact, f"{fact}-scale", (term.args[0], "nonzero"), (term.args[1], fact))
    if term.is_square:
        for name in ("posdef",) if fact == "invertible" else ("invertible",):
            yield prover.under(term, fact, f"{name} is {fact}", (term, name))
