"""Random compositions of functions of matrices with products, inverses and traces: derivatives against differences."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from matcalc.calculus import derive
from matcalc.calculus.system import system
from matcalc.numeric.check import check_derivative
from matcalc.output.text import to_text
from matcalc.terms import build, spectral
from matcalc.terms.dims import ONE, Dim, dim
from matcalc.terms.symbols import Symbol
from matcalc.terms.term import Term
from matcalc.terms.walk import postorder

M, N = dim("m"), dim("n")


def variable(name: str, rows: Dim, cols: Dim, *facts: str) -> Term:
    return build.sym(Symbol(name, rows, cols, frozenset(facts)))


X, A, B = (variable(name, N, N) for name in "XAB")
P, S = variable("P", N, N, "posdef"), variable("S", N, N, "symmetric")
Y, Z = variable("Y", M, N), variable("Z", M, N)
x, a = variable("x", N, ONE), variable("a", N, ONE)
t = variable("t", ONE, ONE)
VARIABLES = (X, P, S, Y, x, t)


class Spectral:
    """Random terms: squares, positive definite ones, rectangles, vectors and numbers, of bounded depth."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)

    def pick(self, choices: list[Callable[[int], Term]], depth: int) -> Term:
        return self.rng.choice(choices)(depth - 1)

    def scaled_down(self, term: Term) -> Term:
        return build.smul(build.divide(build.ONE_NUM, build.num(4)), term)

    def square(self, depth: int) -> Term:
        if depth <= 0:
            return self.rng.choice((X, X, A, B, P, S, build.transpose(X), build.smul(t, A), build.eye(N)))
        return self.pick(
            [
                lambda d: spectral.expm(self.scaled_down(self.square(d))),
                lambda d: spectral.expm(build.smul(t, self.square(0))),
                lambda d: spectral.logm(self.positive(d)),
                lambda d: spectral.sqrtm(self.positive(d)),
                lambda d: build.mul(self.square(d), self.square(d)),
                lambda d: build.add(self.square(d), self.square(d)),
                lambda d: build.inv(self.positive(d)),
                lambda d: build.transpose(self.square(d)),
                lambda d: spectral.sylvester(self.positive(d), self.positive(0), self.square(d)),
                lambda d: spectral.dexpm(self.scaled_down(self.square(0)), self.square(d), self.square(0)),
                lambda d: spectral.dlogm(self.positive(0), self.square(d), self.positive(0)),
                lambda d: spectral.polar(self.positive(d)),
                lambda d: build.mul(spectral.pinv(self.rectangle(d)), self.rectangle(0)),
                lambda d: build.mul(build.transpose(spectral.polar(self.rectangle(0))), self.rectangle(d)),
                lambda d: build.mpow(self.square(d), self.rng.choice((2, 3))),
                lambda d: build.mul(self.vector(d), build.transpose(self.vector(d))),
            ],
            depth,
        )

    def positive(self, depth: int) -> Term:
        """Positive definite, or near enough to a multiple of the identity."""
        if depth <= 0:
            gram = build.mul(build.transpose(Y), Y)
            return self.rng.choice((P, build.add(build.eye(N), gram), build.add(P, build.mul(x, build.transpose(x)))))
        return self.pick(
            [
                lambda d: build.add(build.smul(build.num(3), build.eye(N)), spectral.expm(self.symmetric(d))),
                lambda d: build.add(build.eye(N), build.mul(build.transpose(self.rectangle(d)), self.rectangle(d))),
                lambda d: spectral.sqrtm(self.positive(d)),
                lambda d: build.inv(self.positive(d)),
                lambda d: build.add(self.positive(d), self.positive(d)),
                lambda d: self.positive(0),
            ],
            depth,
        )

    def symmetric(self, depth: int) -> Term:
        if depth <= 0:
            return self.rng.choice((S, P, build.smul(t, S), build.add(X, build.transpose(X))))
        inside = self.square(depth - 1)
        return self.scaled_down(build.add(inside, build.transpose(inside)))

    def rectangle(self, depth: int) -> Term:
        if depth <= 0:
            return self.rng.choice((Y, Z, build.mul(Y, A)))
        return self.pick(
            [
                lambda d: build.mul(self.rectangle(d), self.square(d)),
                lambda d: build.add(self.rectangle(d), self.rectangle(0)),
                lambda d: build.transpose(spectral.pinv(self.rectangle(d))),
                lambda d: spectral.polar(self.rectangle(d)),
            ],
            depth,
        )

    def vector(self, depth: int) -> Term:
        if depth <= 0:
            return self.rng.choice((x, a))
        return self.pick(
            [
                lambda d: build.mul(self.square(d), self.vector(d)),
                lambda d: build.add(self.vector(d), self.vector(d)),
                lambda d: build.fun("tanh", self.vector(d)),
                lambda d: build.diag(self.square(d)),
                lambda d: build.smul(
                    build.mul(build.transpose(x), spectral.eigvecmax(self.gapped())), spectral.eigvecmax(self.gapped())
                ),
            ],
            depth,
        )

    def gapped(self) -> Term:
        return self.rng.choice((S, build.mul(build.transpose(Y), Y), build.add(S, build.mul(x, build.transpose(x)))))

    def number(self, depth: int) -> Term:
        if depth <= 0:
            return self.rng.choice((t, build.num(2)))
        return self.pick(
            [
                lambda d: build.tr(self.square(d)),
                lambda d: build.mul(build.transpose(self.vector(d)), self.vector(d)),
                lambda d: build.logdet(self.positive(d)),
                lambda d: build.det(spectral.expm(self.scaled_down(self.square(d)))),
                lambda d: spectral.nuclear(self.rectangle(d)),
                lambda d: spectral.spectral(self.rectangle(d)),
                lambda d: spectral.eigmax(self.symmetric(d)),
                lambda d: build.power_of(build.norm(self.square(d)), build.num(2)),
                lambda d: build.times(self.number(d), self.number(d)),
                lambda d: build.add(self.number(d), self.number(d)),
                lambda d: build.fun("tanh", self.number(d)),
                lambda d: build.total(self.square(d)),
            ],
            depth,
        )


def checked(f: Term, wrt: Term, found: derive.Derived, form: str, seed: int) -> None:
    require = [(term, fact) for term, fact in found.conditions if fact in ("simple", "principal", "invertible")]
    result = check_derivative(f, wrt, found.term, form, trials=1, seed=seed, assumptions=require)
    undefined = result.message.startswith("no random inputs")
    assert result.ok or undefined, f"seed {seed}: {form} of {to_text(f)} by {wrt} is {found.term}: {result.message}"


def occurring(f: Term) -> list[Term]:
    return [v for v in VARIABLES if v in postorder(f)]


@pytest.mark.parametrize("seed", range(40))
def test_gradients(seed: int) -> None:
    f = Spectral(seed).number(4)
    for wrt in occurring(f)[:2]:
        checked(f, wrt, derive.gradient(system(), f, wrt), "gradient", seed)


@pytest.mark.parametrize("seed", range(25))
def test_jacobians(seed: int) -> None:
    generator = Spectral(1000 + seed)
    f = generator.rng.choice((generator.square, generator.vector, generator.rectangle))(3)
    for wrt in occurring(f)[:1]:
        checked(f, wrt, derive.jacobian(system(), f, wrt), "jacobian", seed)


@pytest.mark.parametrize("seed", range(15))
def test_hessians(seed: int) -> None:
    f = Spectral(2000 + seed).number(3)
    for wrt in occurring(f)[:1]:
        checked(f, wrt, derive.hessian(system(), f, wrt), "hessian", seed)


def test_the_generator_gives_what_it_should() -> None:
    used = {term.op.name for seed in range(80) for term in postorder(Spectral(seed).number(4))}
    wanted = "expm logm sqrtm dexpm dlogm sylvester pinv polar nuclear spectral eigmax eigvecmax".split()  # noqa: SIM905
    assert used >= set(wanted)
