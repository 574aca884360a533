"""Generated NumPy source against the oracle, for every operator and for whole functions."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest

import matcalc as mc
from matcalc.compile.function import compile_numpy
from matcalc.compile.source import to_numpy
from matcalc.errors import MatcalcError, ShapeError
from matcalc.numeric.functions import FUNCTIONS
from matcalc.numeric.sample import PROFILES
from matcalc.terms import build as b
from matcalc.terms import ops
from matcalc.terms import spectral as sp
from matcalc.terms.dims import ONE, ZERO, Index, Name, SizeAt, dim
from matcalc.terms.symbols import Family
from matcalc.terms.term import make
from matcalc.terms.walk import postorder
from numpy_terms import (
    I1,
    K0,
    PLACES,
    TWO,
    UP,
    A,
    B,
    C,
    J,
    L,
    N,
    P,
    Q,
    R,
    S,
    T,
    V,
    W,
    X,
    back,
    before,
    bound_twice,
    compare,
    down,
    gram,
    guarded,
    layer,
    m,
    n,
    network,
    once,
    over,
    p,
    phi,
    recurrence,
    row,
    s,
    shared,
    shared_back,
    slope,
    t,
    through_time,
    two,
    variable,
    w,
    x,
    x0,
    y,
    z,
)

RECURRENCES = {
    "last state": network(L),
    "state at a free index": network("i"),
    "scalars": recurrence(lambda k, y: b.add(b.times(y, s), b.integer(k)), b.num(1), 0, T),
    "scalars without the state": recurrence(lambda k, y: b.integer(k), b.num(2), 0, T),
    "downwards": recurrence(lambda k, y: b.add(b.mul(S, y), b.scale(b.integer(k), z)), x, T, 0, -1),
    "from one on": recurrence(lambda k, y: b.add(y, b.member(UP, k)), x, 1, T + 1),
    "first at a name": recurrence(lambda k, y: b.scale(b.integer(k), y), x, "m", m + 2),
    "two states": b.add(shared(T), shared(T + 1)),
    "next to last": b.mul(b.mul(row(network(L)), layer(L - 1)), network(L - 1)),
    "matrices": recurrence(lambda k, y: b.add(b.mul(y, S), C), A, 0, T),
    "rows": recurrence(lambda k, y: b.add(b.mul(y, S), row(x)), R, 0, T),
    "growing": recurrence(lambda k, y: b.block([[y], [s]]), t, 0, T, rows=lambda k: k + 1),
    "growing matrices": recurrence(
        lambda k, y: b.block([[y, b.ones(k + 1, 1)], [b.ones(1, k + 1), s]]),
        t, 0, 3, rows=lambda k: k + 1, cols=lambda k: k + 1,
    ),
    "shrinking": recurrence(
        lambda k, y: b.unvec(b.mul(b.ones(k - 1, k), y), k - 1, 1), b.ones(3), 3, 1, -1, rows=lambda k: k
    ),
    "coupled": recurrence(
        lambda k, y: b.mul(b.block([[b.eye(n), S], [b.neg(row(S)), b.eye(n)]]), y), b.block([[x], [z]]), 0, T
    ),
    "parts of the step needed to different ends": b.add(
        over(0, T - 1, lambda k: b.inner(b.fun("tanh", b.mul(S, once(k))), b.fun("sin", b.member(UP, k + 1)))),
        b.total(b.fun("sin", once(T))),
        over(0, T - 1, lambda k: b.total(b.fun("tanh", b.add(b.fun("sin", once(k)), b.member(UP, k + 1))))),
    ),
    "coupled, the first": b.part(two(T), 0, PLACES),
    "coupled, both in a sum": over(0, T, lambda k: b.inner(b.part(two(k), 0, PLACES), b.part(two(k), 0, PLACES))),
    "coupled, several times": b.scale(b.part(two(m), 1, PLACES), b.part(two(T), 0, PLACES)),
    "loss on all states": over(1, T, lambda k: b.inner(shared(k), b.member(UP, k))),
    "adjoint": back(0),
    "gradient of a layer": b.mul(b.had(back(dim("i") + 1), slope(dim("i"))), row(network("i"))),
    "gradient of the first layer": b.mul(b.had(back(1), slope(ZERO)), row(network(0))),
    "gradient of the last layer": b.mul(b.had(back(L), slope(L - 1)), row(network(L - 1))),
    "gradient as in textbooks": b.mul(before("i"), row(network("i"))),
    "all layers": over(0, L - 1, lambda k: b.norm(b.mul(before(k), row(network(k))))),
    "through time": through_time(),
    "through time for each sample": b.sum_over(I1, through_time(b.member(X, I1))),
    "samples": b.sum_over(I1, shared(T, b.member(X, I1))),
    "sum of all": b.add(through_time(), b.mul(shared(T), row(shared_back(0)))),
    "recurrence in a recurrence": bound_twice(T),
    "recurrence after a recurrence": shared(T, shared(m)),
    "recurrence beside a recurrence": recurrence(lambda k, u: b.add(b.mul(S, u), shared(k)), x, 0, T),
    "states of two": over(0, T, lambda k: b.inner(shared(k), recurrence(lambda j, u: b.mul(S, u), x, 0, k))),
    "reversed look-up": over(0, T, lambda k: b.scale(b.integer(k), shared(T - k))),
    "distant look-up": over(0, T, lambda k: shared(2 * k + m)),
    "square look-up": over(0, T, lambda k: shared(k * k)),
    "look-up inside a product": b.prod_over(Index(9, ZERO, T - 1), b.diag(shared(Index(9, ZERO, T - 1)))),
    "sum in the step": recurrence(
        lambda k, y: b.add(b.sum_over(I1, b.mul(gram(I1), b.fun("tanh", y))), b.mul(b.inv(S), x)), z, 0, T
    ),
    "running sum": over(0, T, lambda k: over(0, k, lambda j: b.inner(shared(j), shared(k)), level=79)),
    "guarded": b.add(guarded("<=", dim("i") + 1, L, b.norm(network(dim("i") + 1))), b.norm(network(L))),
    "guarded in a sum": over(
        0, T - 1, lambda k: guarded("<=", k, T - 2, b.mul(row(b.member(UP, k + 2)), shared(k + 2)))
    ),
    "guarded start": over(0, T, lambda k: guarded(">=", k, 1, b.mul(row(b.member(UP, k)), shared(k - 1)))),
    "indicator in the step": recurrence(
        lambda k, y: b.add(b.mul(S, y), guarded("=", k, 1, b.member(UP, 1))), z, 0, T
    ),
    "start that may not exist": over(0, T - 1, lambda k: recurrence(
        lambda j, u: b.mul(S, u), b.member(UP, T), T - 1, k, -1
    )),
    "start in a sum": over(
        0, T - 1, lambda k: over(0, m, lambda j: b.scale(b.integer(j), recurrence(
            lambda i, u: b.mul(S, u), b.member(UP, T), T - 1, k, -1
        )), level=79),
    ),
    "a path that ends in a scalar": b.inner(shared(T), recurrence(lambda k, u: b.mul(row(S), u), x, T, 0, -1)),
    "look-ups of a shifted state": over(
        0, T - 1, lambda k: b.inner(b.fun("tanh", b.add(b.mul(S, shared(k)), x)), shared(k + 1))
    ),
    "a part without the state at zero": recurrence(
        lambda k, e: b.fun("tanh", b.add(b.scale(b.integer(k), e), b.fun("sin", x))), z, T, 0, -1
    ),
    "parts of the step": over(0, L - 1, lambda k: b.total(slope(k))),
    "chain of layers": b.prod_over(Index(9, L - 1, ZERO, -1), layer(Index(9, L - 1, ZERO, -1)), -1),
    "chain of transposed layers": b.prod_over(Index(9, ZERO, L - 1), row(layer(Index(9, ZERO, L - 1)))),
    "chain to a layer": b.prod_over(Index(9, L - 1, dim("i") + 1, -1), layer(Index(9, L - 1, dim("i") + 1, -1)), -1),
    "chain with slopes": b.mul(
        b.prod_over(
            Index(9, L - 1, ZERO, -1),
            b.mul(b.diag(slope(dim(Index(9, L - 1, ZERO, -1)))), layer(Index(9, L - 1, ZERO, -1))),
            -1,
        ),
        x0,
    ),
}  # fmt: skip

CASES = {
    ops.STATE: list(RECURRENCES.values()),
    ops.JOINT: [b.part(two(T), 1, PLACES)],
    ops.PART: [b.add(x, b.part(two(T), 0, PLACES))],
    ops.NUM: [b.num(3), b.num(-2), b.num(Fraction(-5, 7)), b.num(10**30), b.power_of(TWO, b.num(Fraction(1, 3)))],
    ops.INT: [b.integer("n"), b.integer(n * n - 2 * m + 1), b.scale(b.power_of(b.integer("n"), b.num(-1)), x)],
    ops.CONST: [b.PI, b.times(b.PI, t)],
    ops.SYM: [t, x, A, R],
    ops.MEMBER: [
        b.member(X, 1),
        b.member(X, "k"),
        b.member(P, N),
        b.member(Family("a", I1, ONE, ONE), N),
        b.member(Family("r", I1, ONE, n), 1),
        b.member(W, 0),
        b.member(W, L - 1),
    ],
    ops.EYE: [b.eye(n), b.eye(m * n), b.mul(TWO, b.eye(n))],
    ops.ZEROS: [b.zeros(m, n), b.zeros(n), b.zeros(1, n), b.zeros(m * n)],
    ops.ONES: [b.ones(m, n), b.ones(n), b.ones(1, n)],
    ops.BASIS: [b.basis(1, n), b.basis("i", n), b.mul(A, b.basis(n, n)), row(b.basis(1, n))],
    ops.COMMUTATION: [b.commutation(m, n), b.mul(b.commutation(m, n), b.vec(A)), b.commutation(n, n)],
    ops.DUPLICATION: [b.duplication(n), b.mul(b.duplication(n), b.vech(S))],
    ops.ELIMINATION: [b.elimination(n), b.mul(b.elimination(n), b.vec(S))],
    ops.KHATRIRAO: [b.khatrirao(A, C), b.khatrirao(row(x), A), b.mul(b.khatrirao(S, A), x)],
    ops.POLYGAMMA: [b.polygamma(2, t), b.polygamma(3, b.fun("exp", A)), b.polygamma("k", b.fun("exp", x))],
    ops.SOFTMAX: [b.softmax(x), b.softmax(row(x)), b.mul(row(y), A, b.softmax(x))],
    ops.SOFTMAXROWS: [b.softmax(A), b.softmax(b.mul(A, S))],
    ops.LOGSUMEXP: [b.logsumexp(x), b.scale(b.logsumexp(x), A)],
    ops.LOGSUMEXPROWS: [b.logsumexp(A), b.mul(row(y), b.logsumexp(A))],
    ops.VECH: [b.vech(S), b.vech(b.mul(S, S))],
    ops.TRIL: [b.tril(A), b.tril(R), b.tril(b.mul(A, S))],
    ops.TRIU: [b.triu(A), b.triu(x), b.triu(b.mul(A, S))],
    ops.SLICE: [
        b.submatrix(A, "i", m, 1, "j"),
        b.submatrix(A, "i", "i", 1, "j"),
        b.submatrix(A, 1, "i", "j", "j"),
        b.submatrix(x, "i", n),
        b.submatrix(R, 1, 1, "i", n),
        b.submatrix(b.mul(A, S), "i", "k", "j", n),
    ],
    ops.IND: [b.indicator(r, "m", "n") for r in ("=", "!=", "<=", ">=", "<", ">")]
    + [b.scale(b.indicator(">=", "m", "n"), b.mul(S, x)), b.times(b.indicator("=", "m", "n"), b.fun("exp", t), s)],
    ops.ADD: [
        b.add(A, C),
        b.sub(A, C),
        b.sub(b.neg(x), z),
        b.add(t, b.num(-1)),
        b.sub(b.eye(n), S),
        b.add(row(x), R),
        b.sub(b.num(1), b.times(s, t)),
        b.add(b.neg(s), t),
        b.sub(A, b.scale(b.add(s, t), C)),
    ],
    ops.TIMES: [
        b.times(s, t),
        b.times(b.num(Fraction(-1, 2)), s, b.power_of(t, b.num(-1))),
        b.neg(t),
        b.divide(b.num(1), b.times(s, t)),
        b.times(b.add(s, t), b.add(s, b.num(1))),
    ],
    ops.SCALE: [
        b.scale(t, A),
        b.neg(x),
        b.divide(A, t),
        b.scale(b.num(Fraction(2, 3)), b.mul(S, x)),
        b.scale(b.times(b.num(-3), b.power_of(t, b.num(-2)), s), R),
        b.divide(b.neg(x), b.times(s, t)),
    ],
    ops.MUL: [
        b.mul(A, B),
        b.mul(A, S, B),
        b.mul(A, x),
        b.mul(A, S, x),
        b.mul(row(y), A),
        b.mul(row(y), A, S),
        b.mul(row(x), z),
        b.mul(row(y), A, x),
        b.mul(x, row(y)),
        b.mul(A, x, row(y), A),
        b.mul(A, x, R),
        b.mul(R, x),
        b.mul(R, S),
        b.mul(x, row(z), z, row(z)),
        b.mul(row(b.mul(A, x)), y),
        b.mul(A, b.add(x, z), row(x), S, B),
        b.mul(b.neg(A), x),
        b.mul(x, row(x), S, z),
        b.mul(b.inv(S), x, R),
    ],
    ops.HAD: [b.had(A, C), b.had(x, z), b.had(row(x), R), b.had(x, b.power_of(w, b.num(-1))), b.had(A, C, b.add(A, C))],
    ops.KRON: [
        b.kron(A, S),
        b.kron(x, y),
        b.kron(x, A),
        b.kron(R, row(x)),
        b.kron(R, y),
        b.kron(x, R),
        b.kron(A, B, S),
        b.kron(b.eye(n), A),
        b.kron(R, A),
        b.kron(y, row(x), A),
    ],
    ops.TRANSPOSE: [row(A), row(x), row(R), row(b.mul(A, x)), row(b.add(A, C)), b.mul(row(A), A)],
    ops.INV: [b.inv(S), b.mul(b.inv(S), x), b.mul(row(x), b.inv(S)), b.inv(b.mul(S, S))],
    ops.MPOW: [b.mpow(S, 2), b.mpow(S, -3), b.mpow(S, "k"), b.mpow(b.add(S, b.eye(n)), m + 1)],
    ops.POW: [
        b.power_of(t, TWO),
        b.power_of(b.neg(t), TWO),
        b.power_of(x, TWO),
        b.power_of(w, b.num(Fraction(1, 2))),
        b.power_of(w, b.num(Fraction(-3, 2))),
        b.power_of(A, b.num(-1)),
        b.power_of(w, t),
        b.power_of(TWO, x),
        b.power_of(w, x),
        b.power_of(TWO, t),
        b.power_of(TWO, b.integer("n")),
        b.power_of(w, b.integer("n")),
        b.neg(b.power_of(t, TWO)),
        b.power_of(b.power_of(b.add(b.num(1), b.power_of(t, TWO)), b.num(Fraction(1, 3))), s),
        b.power_of(b.integer("n"), t),
    ],
    ops.FUN: [
        b.fun("exp", t),
        b.fun("tanh", A),
        b.fun("sin", b.mul(A, x)),
        b.fun("cos", R),
        b.fun(phi, x),
        b.fun(phi, t),
        b.had(b.fun(phi.derivative(), A), b.fun(phi.derivative().derivative(), A)),
        b.fun("exp", b.integer("n")),
    ],
    ops.TR: [b.tr(S), b.tr(b.mul(A, B))],
    ops.DET: [b.det(S), b.det(b.mul(S, S))],
    ops.LOGDET: [b.logdet(S), b.times(b.num(Fraction(1, 2)), b.logdet(S))],
    ops.VEC: [b.vec(A), b.vec(R), b.vec(row(A)), b.mul(b.kron(row(B), A), b.vec(S)), b.vec(b.mul(A, B))],
    ops.UNVEC: [
        b.unvec(b.mul(TWO, b.vec(A)), m, n),
        b.unvec(b.mul(S, x), 1, n),
        b.unvec(b.kron(x, y), m, n),
        b.mul(b.unvec(b.kron(x, y), m, n), z),
    ],
    ops.DIAG: [b.diag(x), b.mul(b.diag(x), S), b.diag(b.mul(A, x))],
    ops.DIAGONAL: [b.diag(S), b.diag(b.mul(A, B)), b.mul(row(b.diag(S)), x)],
    ops.TOTAL: [b.total(A), b.total(x), b.total(R), b.total(b.had(A, C))],
    ops.NORM: [b.norm(A), b.norm(x), b.norm(R), b.divide(x, b.norm(x)), b.power_of(b.norm(b.sub(b.mul(A, x), y)), TWO)],
    ops.ENTRY: [
        b.entry(A, 1, 1),
        b.entry(A, "i", "j"),
        b.entry(x, "i"),
        b.entry(R, 1, n),
        b.entry(b.mul(A, B), 1, m),
        b.entry(b.mul(S, x), n),
    ],
    ops.BLOCK: [
        b.block([[A, C], [C, A]]),
        b.block([[x], [y]]),
        b.block([[t], [x]]),
        b.block([[R, row(y)]]),
        b.block([[t, R]]),
        b.block([[S, x], [R, t]]),
        b.block([[s, t], [t, s]]),
        b.block([[x, z]]),
        b.block([[R], [R]]),
    ],
    ops.SUM: [
        b.sum_over(I1, b.member(X, I1)),
        b.sum_over(I1, gram(I1)),
        b.sum_over(I1, b.power_of(b.integer(I1), TWO)),
        b.sum_over(I1, row(b.member(X, I1))),
        b.sum_over(I1, b.mul(b.inv(S), b.member(X, I1))),
        b.sum_over(J, b.sum_over(Index(1, dim(J), N), b.mul(row(b.member(X, J)), b.member(X, Index(1, dim(J), N))))),
        b.mul(b.sum_over(I1, gram(I1)), b.sum_over(I1, b.mul(gram(I1), x))),
        b.sum_over(I1, b.scale(b.indicator(">=", I1, 2), b.scale(t, b.member(X, dim(I1) - 1)))),
        b.sum_over(I1, b.add(b.scale(b.indicator("<", I1, N), b.mul(S, b.member(X, dim(I1) + 1))), b.member(X, I1))),
        b.sum_over(K0, b.total(b.mul(b.member(W, K0), b.ones(SizeAt("h", dim(K0)))))),
        b.sum_over(K0, b.add(b.norm(b.member(V, K0)), b.norm(b.member(W, K0)))),
        b.sum_over(Index(1, TWO.rows + 1, N), b.member(X, Index(1, TWO.rows + 1, N))),
        b.sum_over(Index(1, ONE, N - 1), b.sub(b.member(X, dim(Index(1, ONE, N - 1)) + 1), x)),
        b.scale(b.sum_over(I1, b.fun("exp", b.mul(row(x), b.member(X, I1)))), b.sum_over(I1, b.member(X, I1))),
    ],
    ops.PROD: [
        b.prod_over(I1, b.member(P, I1)),
        b.prod_over(I1, b.mul(S, b.member(P, I1))),
        b.prod_over(I1, b.integer(I1)),
        b.prod_over(I1, b.scale(b.indicator("<", I1, N), b.member(P, I1))),
        b.prod_over(I1, b.scale(b.indicator("<=", I1, N + N), b.member(P, I1))),
        down(lambda i: b.member(P, i)),
        down(lambda i: b.add(b.member(P, i), b.scale(b.integer(i), S))),
        b.prod_over(I1, b.add(b.integer(I1), t)),
        b.prod_over(Index(1, ONE, N - 1), b.member(P, Index(1, ONE, N - 1))),
        b.sum_over(J, b.prod_over(Index(1, ONE, dim(J) - 1), b.member(P, Index(1, ONE, dim(J) - 1)))),
    ],
    ops.EXPM: [sp.expm(S), b.mul(sp.expm(b.scale(t, S)), x)],
    ops.LOGM: [sp.logm(Q), sp.logm(b.scale(b.power_of(t, TWO), Q))],
    ops.SQRTM: [sp.sqrtm(Q), b.inv(sp.sqrtm(Q))],
    ops.DEXPM: [sp.dexpm(S, Q, S), sp.dexpm(S, x, t), sp.dexpm(t, row(x), S), sp.dexpm(t, s, b.num(1))],
    ops.DLOGM: [sp.dlogm(Q, S, Q), sp.dlogm(Q, x, b.power_of(t, TWO))],
    ops.SYLVESTER: [sp.sylvester(Q, Q, S), sp.sylvester(Q, b.power_of(t, TWO), x)],
    ops.PINV: [sp.pinv(A), sp.pinv(x), sp.pinv(R), sp.pinv(b.mul(A, B))],
    ops.POLAR: [sp.polar(A), sp.polar(row(A)), sp.polar(x)],
    ops.NUCLEAR: [sp.nuclear(A), b.divide(A, sp.nuclear(A))],
    ops.SPECTRAL: [sp.spectral(A), b.power_of(sp.spectral(b.mul(A, S)), TWO)],
    ops.EIGMAX: [sp.eigmax(Q), sp.eigmax(S)],
    ops.EIGVECMAX: [sp.eigvecmax(Q), b.mul(S, sp.eigvecmax(S))],
    ops.EIGVECS: [sp.eigvecs(Q, p), sp.eigvecs(b.add(S, Q), 1)],
    ops.INNER: [b.inner(A, C), b.inner(x, z), b.inner(R, row(x)), b.inner(A, b.mul(A, S))],
}
ELSEWHERE = {ops.DIFF, ops.FAMILY}


def test_every_operator_has_a_case():
    assert CASES.keys() | ELSEWHERE == set(ops.all_ops())


@pytest.mark.parametrize("op", CASES, ids=str)
def test_the_cases_hold_the_operator(op):
    assert any(t.op is op for term in CASES[op] for t in postorder(term))


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("op, at", [(op, i) for op, terms in CASES.items() for i in range(len(terms))])
def test_against_the_oracle(op, at, profile):
    with np.errstate(all="ignore"):
        compare(CASES[op][at], profile, seed=at)
        compare(CASES[op][at], profile, seed=at + 1, form="matrix2d")


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function(name):
    for argument in (variable("u", 1, 1, "positive"), variable("U", m, n), b.sub(b.fun("sigmoid", A), b.scale(t, C))):
        with np.errstate(all="ignore"):
            compare(make(ops.FUN, (argument,), name, argument.rows, argument.cols))


def test_functions_at_zero():
    for name in ("relu", "step", "sign", "abs", "sigmoid", "softplus"):
        term = b.fun(name, x)
        env_value = FUNCTIONS[name](np.array([-1e3, 0.0, 1e3]))
        assert np.allclose(compile_numpy(term)(x=[-1e3, 0.0, 1e3]), env_value)


# ---------------------------------------------------------------- whole functions


def test_the_source_reads_well():
    term = b.mul(TWO, row(A), b.sub(b.mul(A, x), y))
    assert (
        to_numpy(term, "gradient").split("def ")[-1]
        == '''\
gradient(*, A, x, y):
    r"""2*A'*(A*x - y)

    A: (m, n)
    x: (n,)
    y: (m,)
    """
    A = np.asarray(A, float)
    x = np.asarray(x, float)
    y = np.asarray(y, float)
    m, n = A.shape
    if x.shape != (n,):
        x = _shaped("x", x, (n,))
    if y.shape != (m,):
        y = _shaped("y", y, (m,))
    t0 = A.dot(x)  # A*x
    t0 -= y  # A*x - y
    t1 = A.T.dot(t0)  # A'*(A*x - y)
    t1 *= 2.0  # 2*A'*(A*x - y)
    return t1
'''
    )


def test_it_runs_alone():
    term = b.add(b.mul(b.commutation(m, n), b.vec(A)), b.vec(b.transpose(A)))
    source = to_numpy(term) + "\nprint(f(A=[[1, 2], [3, 4], [5, 6]]).tolist())\n"
    done = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True)
    assert ast.literal_eval(done.stdout) == [2.0, 4.0, 6.0, 8.0, 10.0, 12.0]
    assert "matcalc" not in source and "scipy" not in source


def test_scipy_only_where_it_is_needed():
    assert "scipy" in to_numpy(b.fun("erf", x))
    assert "scipy" not in to_numpy(b.fun("exp", x))


def test_numpy_is_imported_only_when_code_runs():
    module = ast.parse(inspect.getsource(sys.modules[to_numpy.__module__]))
    imported = [node for node in module.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not any("numpy" in ast.unparse(node) or "numeric" in ast.unparse(node) for node in imported)


def test_shared_parts_are_computed_once():
    inverse = b.inv(S)
    source = to_numpy(b.add(b.mul(inverse, x, row(x), inverse), inverse))
    assert source.count("_lu_inverse(_lu(S))") == 1
    assert "t0 = _lu_inverse(_lu(S))  # inv(S)" in source


def test_parts_free_of_the_index_leave_the_loop():
    source = to_numpy(b.sum_over(I1, b.mul(b.inv(S), b.member(P, I1), b.member(X, I1))))
    assert source.index("_lu(S)") < source.index("for i in")
    form = b.mul(row(b.mul(S, b.member(X, J))), b.member(P, I1), b.member(P, J), b.member(X, I1))
    nested = b.sum_over(J, b.sum_over(I1, b.fun("exp", form)))
    (product,) = [line for line in to_numpy(nested).splitlines() if "= S.dot(" in line]
    assert len(product) - len(product.lstrip()) == 8


def test_one_index_in_two_sums_is_computed_in_each():
    body = b.fun("exp", b.mul(row(x), b.member(P, I1), b.member(X, I1)))
    function = compare(
        b.mul(b.sum_over(I1, b.smul(body, b.member(X, I1))), row(b.sum_over(I1, b.smul(b.mul(TWO, body), z))))
    )
    assert function.source.count("for i in") == 2


@pytest.mark.parametrize("last", [0, 1, 3])
def test_empty_ranges(last):
    index = Index(1, ONE, dim("T") - 1)
    total = compile_numpy(b.sum_over(index, b.member(X, index)), inputs=[x])
    product = compile_numpy(b.prod_over(index, b.member(P, index)), inputs=[S])
    columns = np.arange(6.0).reshape(3, 2)
    assert np.allclose(total(X=columns, T=last + 1), columns[:last].sum(axis=0))
    expected = np.eye(2)
    factors = np.arange(12.0).reshape(3, 2, 2)
    for factor in factors[:last]:
        expected = expected @ factor
    assert np.allclose(product(P=factors, T=last + 1), expected)


def test_what_may_not_exist_stays_in_its_loop():
    index = Index(1, ONE, N - 1)
    term = b.sum_over(index, b.scale(b.integer(index), b.mul(S, b.fun("exp", b.member(X, 2)))))
    function = compile_numpy(term)
    assert np.array_equal(function(S=np.eye(2), X=[[1.0, 2.0]]), [0.0, 0.0])


def test_conditions_become_if():
    term = b.sum_over(I1, b.scale(b.indicator(">=", I1, 2), b.scale(t, b.member(X, dim(I1) - 1))))
    source = to_numpy(term)
    assert "if i >= 2:" in source or "if i - 2 >= 0:" in source
    alone = b.scale(b.indicator(">=", "k", 2), b.mul(S, b.member(X, dim("k") - 1)))
    function = compile_numpy(alone)
    columns = np.arange(4.0).reshape(2, 2)
    assert np.array_equal(function(S=np.eye(2), X=columns, k=1), [0.0, 0.0])
    assert np.array_equal(function(S=np.eye(2), X=columns, k=3), columns[1])


def test_deep_terms():
    term = x
    for _ in range(1500):
        term = b.fun("tanh", b.add(term, z))
    compare(term)
    for _ in range(60):
        term = b.mul(S, b.add(term, b.fun("sin", term)))
        term = b.divide(term, b.norm(term))
    compare(term)


def test_many_results_share_their_work():
    inverse = b.inv(S)
    function = compile_numpy({"gradient": b.mul(inverse, x), "value": b.tr(inverse)})
    assert function.source.count("_lu_inverse(_lu(S))") == 1
    found = function(S=2 * np.eye(2), x=[1, 2])
    assert found["value"] == 1.0
    assert np.array_equal(found["gradient"], [0.5, 1.0])


# ---------------------------------------------------------------- recurrences


DEEP = {"state at a free index", "next to last", "gradient of a layer", "gradient of the first layer"}
DEEP |= {"gradient of the last layer", "gradient as in textbooks", "indicator in the step"}
"""These need a layer; so do products of layers whose sizes nothing else tells."""


@pytest.mark.parametrize("depth", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("name", RECURRENCES)
def test_recurrences_of_any_depth(name, depth):
    if depth == 50 and ("growing" in name or "square" in name or "for each sample" in name):
        return
    sizes = {Name("T"): depth, Name("L"): depth}
    with np.errstate(all="ignore"):
        try:
            compare(RECURRENCES[name], "mixed", depth, sizes=sizes)
        except (ShapeError, KeyError):
            assert depth == 0 and (name in DEEP or name.startswith("chain"))


def run(term, **values):
    function = compile_numpy(term)
    return function(**{name: value for name, value in values.items() if name in function.arguments})


@pytest.mark.parametrize("depth", [0, 1, 2, 50])
def test_the_work_is_linear_in_the_depth(depth):
    calls = {"phi": 0, "dphi": 0}

    def counting(name, function):
        def call(value):
            calls[name] += 1
            return function(value)

        return call

    rng = np.random.default_rng(0)
    values = {"W": list(rng.normal(size=(depth, 3, 3)) / 2), "x": rng.normal(size=3), "t": rng.normal(size=3)}
    values |= {"phi": counting("phi", np.tanh), "dphi": counting("dphi", lambda v: 1 - np.tanh(v) ** 2)}
    loss = over(0, L - 1, lambda k: b.total(b.mul(b.had(back(k + 1), slope(k)), row(network(k)))))
    found = run(loss, **values)
    assert calls == {"phi": depth, "dphi": depth}
    states = [values["x"]]
    for layer_k in values["W"]:
        states.append(np.tanh(layer_k @ states[-1]))
    e, expected = states[-1] - values["t"], 0.0
    for k in reversed(range(depth)):
        delta = e * (1 - states[k + 1] ** 2)
        expected += np.outer(delta, states[k]).sum()
        e = values["W"][k].T @ delta
    assert np.isclose(found, expected)


def test_the_source_of_a_recurrence_reads_well():
    body = to_numpy(RECURRENCES["gradient of a layer"]).split("L = len(W)\n")[1]
    assert (
        body
        == """\
    a_states = {}
    y_states = {0: x}  # y[k+1] = phi(W[k]*y[k])
    for k in range(L):
        a_states[k] = W[k].dot(y_states[k])  # W[k]*y[k]
        y_states[k + 1] = phi(a_states[k])
    e = y_states[L] - t  # e[k-1] = W[k-1]'*(e[k] .* phi'(W[k-1]*y[k-1]))
    for k in range(L, i, -1):
        b = e * dphi(a_states[k - 1])  # e[k] .* phi'(W[k-1]*y[k-1])
        if k > i + 1:
            e = W[k - 1].T.dot(b)
    return b[:, None] * y_states[i]
"""
    )
    assert "where y[0] = x; y[k+1] = phi(W[k]*y[k])\n" in to_numpy(network(L))


def test_only_the_last_state_is_kept_where_no_other_is_needed():
    assert "_states" not in to_numpy(network(L))
    assert "_states" not in to_numpy(b.add(shared(T), b.mul(S, shared(T))))
    assert to_numpy(b.add(shared(T), shared(m))).count("for k") == 1
    assert "range(max(T, m))" in to_numpy(b.add(shared(T), shared(m)))
    assert "range(T + 1)" in to_numpy(b.add(shared(T), shared(T + 1)))


def test_states_are_computed_outside_the_sum_that_uses_them():
    lines = to_numpy(RECURRENCES["through time"]).splitlines()
    (y_loop,) = [k for k, line in enumerate(lines) if "y_states[k + 1] =" in line]
    (e_loop,) = [k for k, line in enumerate(lines) if "e_states[k - 1] =" in line]
    (sum_loop,) = [k for k, line in enumerate(lines) if "for i in" in line]
    assert y_loop < e_loop < sum_loop
    samples = to_numpy(RECURRENCES["through time for each sample"]).splitlines()
    (start,) = [line for line in samples if "y_states = {0: X}" in line]
    assert start.startswith("    y") and not any("range(1, N" in line for line in samples)


def test_states_are_the_same_whatever_their_names():
    y, y_states, e = variable("y"), variable("y_states"), variable("e")
    term = b.add(
        recurrence(lambda k, u: b.times(u, y_states), y, 0, T), recurrence(lambda k, u: b.times(u, e), y, T, 0, -1)
    )
    assert run(term, y=2.0, y_states=3.0, e=5.0, T=2) == 2 * 9 + 2 * 25


def test_zero_steps_give_a_copy_of_the_start():
    start = np.ones(2)
    found = run(shared(T), S=np.eye(2), x=[1, 2], z=start, T=0)
    found[:] = 0
    assert start.all() and np.array_equal(run(network(L), W=[], x=[1, 2], phi=np.tanh), [1.0, 2.0])


def test_whole_numbers_as_states_stay_real():
    halves = recurrence(lambda k, u: b.power_of(u, b.num(Fraction(1, 2))), b.num(-4), 0, 1)
    with np.errstate(all="ignore"):
        assert np.isnan(run(halves))
    assert run(recurrence(lambda k, u: b.power_of(u, b.num(-1)), b.num(2), 0, T), T=3) == 0.5


def test_a_state_outside_its_recurrence_is_refused():
    inside = shared(T).args[1]
    with pytest.raises(MatcalcError, match="outside"):
        to_numpy(b.sum_over(I1, b.mul(b.member(P, network(L).attr.index), x)))
    assert list(compile_numpy(inside).arguments)


@pytest.mark.parametrize("depth", [0, 1, 2, 50])
def test_a_chain_of_layers_with_a_start(depth):
    rng = np.random.default_rng(depth)
    widths = rng.integers(1, 4, depth + 1)
    layers = [rng.normal(size=(high, low)) for low, high in pairwise(widths)]
    expected = start = rng.normal(size=widths[0])
    for layer_k in layers:
        expected = layer_k @ expected
    index = Index(9, L - 1, ZERO, -1)
    term = b.mul(b.prod_over(index, layer(index), -1), x0)
    assert np.allclose(run(term, W=layers, x=start), expected)


@pytest.mark.parametrize("scale", ["norm(diag(v))", "norm(v)", "(b'*v)", "exp(-sum(v))"])
@pytest.mark.parametrize(
    "form", ["v*sum(A)/{0}", "v*{0}*norm(A)", "v .* (v*{0} + b)/{0}", "v/(s^2*{0})", "v*{0} + {0}*b"]
)
def test_arrays_scaled_by_what_is_computed_of_themselves(form, scale):
    where = "a, b: vector(n); A: matrix(n,n); s: scalar"
    for vector in ("(a + b)", "(A*b)", "sigmoid(a - b)"):
        compare(mc.parse(re.sub(r"\bv\b", vector, form.format(scale)), where).term)


def test_inner_products_of_vecs_of_other_shapes():
    compare(mc.parse("vec(A)'*vec(B) + vec(A)'*vec(A)", "A: matrix(m,n); B: matrix(n,m)").term)
