"""The table of the language's functions: what they take, the shape they give, how they are built."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Protocol

from ..errors import ShapeError
from ..terms import build, ops, spectral
from ..terms.dims import ONE, Dim
from ..terms.term import Term
from .shapes import SCALAR, Shape


class Fit(Protocol):
    """What a shape rule may ask of the inference; its errors say where and name the arguments."""

    def square(self, at: int, what: str) -> Dim:
        """Argument ``at`` is square; its size."""

    def same(self, first: int, second: int) -> Shape:
        """Two arguments have one shape."""

    def equal_columns(self, first: int, second: int) -> None:
        """Two arguments have equally many columns."""

    def column(self, at: int, length: Dim, what: str) -> None:
        """Argument ``at`` is a vector of this length."""

    def shaped(self, at: int, rows: Dim, cols: Dim, what: str) -> None:
        """Argument ``at`` has this shape."""

    def fresh(self) -> Dim:
        """A size that is still open."""


ShapeRule = Callable[[Fit, list[Shape], list[Dim]], Shape]
Builder = Callable[[list[Term], list[Dim], Shape], Term]


@dataclass(frozen=True)
class Function:
    """One function.

    ``takes`` lists what it may be called with: a letter for each argument, ``a`` an expression,
    ``k`` a size or a place (an integer from 1), ``c`` any integer; with ``more`` the last one may
    be repeated.
    """

    takes: tuple[str, ...]
    shape: ShapeRule
    build: Builder
    more: bool = False

    def signature(self, count: int) -> str | None:
        """The letters for this number of arguments, or None when it takes no such number."""
        for letters in self.takes:
            if len(letters) == count or (self.more and len(letters) < count):
                return letters + letters[-1] * (count - len(letters))
        return None

    @property
    def arity(self) -> str:
        """The numbers of arguments, in words."""
        counts = [str(len(letters)) + (" or more" if self.more else "") for letters in self.takes]
        return " or ".join(counts)


def _keep(_: Fit, shapes: list[Shape], __: list[Dim]) -> Shape:
    return shapes[0]


def _either(fit: Fit, shapes: list[Shape], _: list[Dim]) -> Shape:
    """Of two arguments of one shape, or a scalar and an array."""
    if SCALAR in shapes:
        return shapes[0] if shapes[1] == SCALAR else shapes[1]
    return fit.same(0, 1)


def _spread(argument: Term, other: Term) -> Term:
    """A scalar in every entry of an array of the shape of the other."""
    return build.smul(argument, build.ones(other.rows, other.cols)) if argument.is_scalar else argument


def _larger(first: Term, second: Term) -> Term:
    """The larger of two, entry by entry: ``relu(A)`` where one is 0, else ``B + relu(A - B)``."""
    if first.op is ops.ZEROS or first is build.ZERO_NUM:
        first, second = second, first
    return build.add(second, build.fun("relu", build.sub(first, second)))


def _scalar(_: Fit, __: list[Shape], ___: list[Dim]) -> Shape:
    return SCALAR


def _square(what: str, scalar: bool) -> ShapeRule:
    def rule(fit: Fit, _: list[Shape], __: list[Dim]) -> Shape:
        n = fit.square(0, what)
        return SCALAR if scalar else (n, n)

    return rule


def _vec(_: Fit, shapes: list[Shape], __: list[Dim]) -> Shape:
    return shapes[0][0] * shapes[0][1], ONE


def _unvec(fit: Fit, _: list[Shape], sizes: list[Dim]) -> Shape:
    fit.column(0, sizes[0] * sizes[1], "unvec")
    return sizes[0], sizes[1]


def _diag(fit: Fit, shapes: list[Shape], _: list[Dim]) -> Shape:
    rows, cols = shapes[0]
    return (rows, rows) if cols is ONE else (fit.square(0, "diag of a matrix"), ONE)


def _kron(_: Fit, shapes: list[Shape], __: list[Dim]) -> Shape:
    rows, cols = ONE, ONE
    for shape in shapes:
        rows, cols = rows * shape[0], cols * shape[1]
    return rows, cols


def _transpose(_: Fit, shapes: list[Shape], __: list[Dim]) -> Shape:
    return shapes[0][1], shapes[0][0]


def _inner(fit: Fit, _: list[Shape], __: list[Dim]) -> Shape:
    fit.same(0, 1)
    return SCALAR


def _pinned(fit: Fit, shapes: list[Shape], _: list[Dim], places: tuple[int, int, int], what: str) -> Shape:
    """Two square arguments and between them one of as many rows as the first and columns as the second."""
    left, right, middle = places
    rows, cols = fit.square(left, f"the first argument of {what}"), fit.square(right, f"the last argument of {what}")
    fit.shaped(middle, rows, cols, what)
    return shapes[middle]


def _frechet(name: str) -> Function:
    def rule(fit: Fit, shapes: list[Shape], sizes: list[Dim]) -> Shape:
        return _pinned(fit, shapes, sizes, (0, len(shapes) - 1 if len(shapes) > 2 else 0, 1), name)

    make = spectral.dexpm if name == "dexpm" else spectral.dlogm
    return Function(("aa", "aaa"), rule, lambda a, _, __: make(a[0], a[1], a[-1] if len(a) > 2 else a[0]))


def _sylvester(fit: Fit, shapes: list[Shape], sizes: list[Dim]) -> Shape:
    return _pinned(fit, shapes, sizes, (0, 1, 2), "sylvester")


def _eigenvectors(fit: Fit, _: list[Shape], sizes: list[Dim]) -> Shape:
    return fit.square(0, "an eigenvector"), sizes[0] if sizes else ONE


def _vech(fit: Fit, _: list[Shape], __: list[Dim]) -> Shape:
    return build.half_size(fit.square(0, "vech")), ONE


def _khatrirao(fit: Fit, shapes: list[Shape], __: list[Dim]) -> Shape:
    rows = ONE
    for at, shape in enumerate(shapes):
        rows = rows * shape[0]
        fit.equal_columns(0, at)
    return rows, shapes[0][1]


def _logsumexp(_: Fit, shapes: list[Shape], __: list[Dim]) -> Shape:
    rows, cols = shapes[0]
    return SCALAR if cols is ONE else (rows, ONE)


def _sized(_: Fit, __: list[Shape], sizes: list[Dim]) -> Shape:
    return sizes[0], sizes[1] if len(sizes) > 1 else ONE


def _commutation(_: Fit, __: list[Shape], sizes: list[Dim]) -> Shape:
    return sizes[0] * sizes[1], sizes[0] * sizes[1]


def _constant(cols: bool) -> Function:
    """``vector(1)`` and ``matrix(1)``: all entries equal, the shape whatever fits."""

    def rule(fit: Fit, _: list[Shape], __: list[Dim]) -> Shape:
        return fit.fresh(), fit.fresh() if cols else ONE

    def make(_: list[Term], sizes: list[Dim], shape: Shape) -> Term:
        return build.smul(build.integer(sizes[0]), build.ones(*shape))

    return Function(("c",), rule, make)


def _polygamma(args: list[Term], sizes: list[Dim], _: Shape) -> Term:
    order = sizes[0].constant
    if order is not None and order < 0:
        raise ShapeError(f"polygamma has orders from 0, not {order}")
    return build.polygamma(sizes[0], args[0])


def _entrywise(make: Callable[[Term], Term]) -> Function:
    return Function(("a",), _keep, lambda a, _, __: make(a[0]))


def _shifted(term: Term, number: int) -> Term:
    return build.add(term, build.smul(build.num(number), build.ones(term.rows, term.cols)))


def _reciprocal(name: str) -> Callable[[Term], Term]:
    return lambda a: build.power_of(build.fun(name, a), build.MINUS_ONE_NUM)


def _of_base(base: int) -> Callable[[Term], Term]:
    return lambda a: build.divide(build.fun("log", a), build.fun("log", build.num(base)))


ENTRYWISE: dict[str, Callable[[Term], Term]] = {
    **{
        name: partial(build.fun, name)
        for name in (  # noqa: SIM905
            "exp log sqrt abs sign step sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh "
            "sigmoid relu softplus erf erfc square lgamma digamma trigamma"
        ).split()
    },
    "log1p": lambda a: build.fun("log", _shifted(a, 1)),
    "expm1": lambda a: _shifted(build.fun("exp", a), -1),
    "log2": _of_base(2),
    "log10": _of_base(10),
    "cot": _reciprocal("tan"),
    "sec": _reciprocal("cos"),
    "csc": _reciprocal("sin"),
}
"""Functions of one argument, applied entry by entry."""

FUNCTIONS: dict[str, Function] = {
    **{name: _entrywise(make) for name, make in ENTRYWISE.items()},
    "polygamma": Function(("ca",), _keep, _polygamma),
    "max": Function(("aa",), _either, lambda a, _, __: _larger(*map(_spread, a, a[::-1]))),
    "min": Function(("aa",), _either, lambda a, _, __: build.neg(_larger(*map(build.neg, map(_spread, a, a[::-1]))))),
    "softmax": Function(("a",), _keep, lambda a, _, __: build.softmax(a[0])),
    "logsumexp": Function(("a",), _logsumexp, lambda a, _, __: build.logsumexp(a[0])),
    "tr": Function(("a",), _square("the trace", True), lambda a, _, __: build.tr(a[0])),
    "det": Function(("a",), _square("the determinant", True), lambda a, _, __: build.det(a[0])),
    "logdet": Function(("a",), _square("logdet", True), lambda a, _, __: build.logdet(a[0])),
    "inv": Function(("a",), _square("the inverse", False), lambda a, _, __: build.inv(a[0])),
    "vec": Function(("a",), _vec, lambda a, _, __: build.vec(a[0])),
    "unvec": Function(("akk",), _unvec, lambda a, k, _: build.unvec(a[0], k[0], k[1])),
    "vech": Function(("a",), _vech, lambda a, _, __: build.vech(a[0])),
    "tril": Function(("a",), _keep, lambda a, _, __: build.tril(a[0])),
    "triu": Function(("a",), _keep, lambda a, _, __: build.triu(a[0])),
    "diag": Function(("a",), _diag, lambda a, _, __: build.diag(a[0])),
    "sum": Function(("a",), _scalar, lambda a, _, __: build.total(a[0])),
    "rowsums": Function(
        ("a",), lambda _, a, __: (a[0][0], ONE), lambda a, _, __: build.mul(a[0], build.ones(a[0].cols))
    ),
    "colsums": Function(
        ("a",),
        lambda _, a, __: (a[0][1], ONE),
        lambda a, _, __: build.mul(build.transpose(a[0]), build.ones(a[0].rows)),
    ),
    "norm": Function(("a",), _scalar, lambda a, _, __: build.norm(a[0])),
    "norm2": Function(("a",), _scalar, lambda a, _, __: build.norm(a[0])),
    "norm1": Function(("a",), _scalar, lambda a, _, __: build.total(build.fun("abs", a[0]))),
    "kron": Function(("aa",), _kron, lambda a, _, __: build.kron(*a), more=True),
    "khatrirao": Function(("aa",), _khatrirao, lambda a, _, __: reduce(build.khatrirao, a), more=True),
    "trans": Function(("a",), _transpose, lambda a, _, __: build.transpose(a[0])),
    "transpose": Function(("a",), _transpose, lambda a, _, __: build.transpose(a[0])),
    "eye": Function(("k",), lambda _, __, k: (k[0], k[0]), lambda _, k, __: build.eye(k[0])),
    "ones": Function(("k", "kk"), _sized, lambda _, k, __: build.ones(*k)),
    "zeros": Function(("k", "kk"), _sized, lambda _, k, __: build.zeros(*k)),
    "basis": Function(("kk",), lambda _, __, k: (k[1], ONE), lambda _, k, __: build.basis(k[0], k[1])),
    "commutation": Function(("kk",), _commutation, lambda _, k, __: build.commutation(k[0], k[1])),
    "expm": Function(("a",), _square("expm", False), lambda a, _, __: spectral.expm(a[0])),
    "logm": Function(("a",), _square("logm", False), lambda a, _, __: spectral.logm(a[0])),
    "sqrtm": Function(("a",), _square("sqrtm", False), lambda a, _, __: spectral.sqrtm(a[0])),
    "dexpm": _frechet("dexpm"),
    "dlogm": _frechet("dlogm"),
    "sylvester": Function(("aaa",), _sylvester, lambda a, _, __: spectral.sylvester(*a)),
    "pinv": Function(("a",), _transpose, lambda a, _, __: spectral.pinv(a[0])),
    "polar": Function(("a",), _keep, lambda a, _, __: spectral.polar(a[0])),
    "nuclear": Function(("a",), _scalar, lambda a, _, __: spectral.nuclear(a[0])),
    "spectral": Function(("a",), _scalar, lambda a, _, __: spectral.spectral(a[0])),
    "eigmax": Function(("a",), _square("an eigenvalue", True), lambda a, _, __: spectral.eigmax(a[0])),
    "eigvecmax": Function(("a",), _eigenvectors, lambda a, _, __: spectral.eigvecmax(a[0])),
    "eigvecs": Function(("ak",), _eigenvectors, lambda a, k, __: spectral.eigvecs(a[0], k[0])),
    "duplication": Function(
        ("k",), lambda _, __, k: (k[0] * k[0], build.half_size(k[0])), lambda _, k, __: build.duplication(k[0])
    ),
    "elimination": Function(
        ("k",), lambda _, __, k: (build.half_size(k[0]), k[0] * k[0]), lambda _, k, __: build.elimination(k[0])
    ),
    "vector": _constant(False),
    "matrix": _constant(True),
}
"""The functions of the language that become terms of their own."""

RULE_FUNCTIONS: dict[str, Function] = {
    "d": Function(("a",), _keep, lambda a, _, __: build.diff(a[0])),
    "inner": Function(("aa",), _inner, lambda a, _, __: build.inner(a[0], a[1])),
}
"""Functions that only rules write: the differential and the inner product."""

SPECIAL = ("sum", "prod", "ind", "rows", "cols")
"""Calls with ranges, relations, or integers as results; the two passes treat them themselves."""

NOT_YET: Mapping[str, str] = {
    **dict.fromkeys("D grad hess d solve extremum convexity simplify expand factor steps".split(), "operation"),  # noqa: SIM905
}
"""Names of the contract that have no term yet, or that only a session with a calculus knows."""
