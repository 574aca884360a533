"""Jacobians and Hessians as linear operators: factors of Kronecker products where there are any, else matrix-free."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..errors import MatcalcError
from ..terms import build, ops
from ..terms.symbols import Symbol
from ..terms.term import Term
from .expr import Expr

if TYPE_CHECKING:
    from ..compile.function import GeneratedFunction
    from .derivative import Derivative

Factors = Sequence[tuple[Any, Any]]
"""Pairs of matrices; None stands for an identity."""


class KroneckerSum:
    """Σ A ⊗ B by its factors, A q×q and B p×p: (A ⊗ B) vec(X) = vec(B X A'), vec by columns.

    ``factors`` are the pairs (A, B), ``shape`` is (pq, pq).  ``H @ v`` and ``H.solve(v)`` take and give a
    vector (pq,), or a matrix in the shape (p, q) of the variable; ``operator()`` is SciPy's linear operator.
    """

    def __init__(self, pairs: Factors, p: int, q: int) -> None:
        self._pairs, self.p, self.q = list(pairs), p, q
        self.shape = (p * q, p * q)

    @property
    def factors(self) -> list[tuple[Any, Any]]:
        """The pairs (A, B)."""
        import numpy as np

        return [(np.eye(self.q) if a is None else a, np.eye(self.p) if b is None else b) for a, b in self._pairs]

    def _matrix(self, value: Any) -> Any:
        import numpy as np

        array = np.asarray(value, dtype=float)
        if array.shape == (self.p, self.q):
            return array
        if array.size != self.p * self.q:
            raise MatcalcError(
                f"an array of shape {array.shape} does not fit",
                hint=f"give a vector of length {self.p * self.q} or a matrix of shape {(self.p, self.q)}",
            )
        return array.reshape((self.p, self.q), order="F")

    def _like(self, matrix: Any, value: Any) -> Any:
        import numpy as np

        shape = np.shape(value)
        return matrix if shape == (self.p, self.q) else matrix.reshape(shape, order="F")

    def __matmul__(self, value: Any) -> Any:
        x = self._matrix(value)
        total: Any = 0.0
        for a, b in self._pairs:
            part = x if a is None else x @ a.T
            total = total + (part if b is None else b @ part)
        return self._like(total, value)

    def solve(self, value: Any) -> Any:
        """The x with H x = value, from the factors: O(p³ + q³), where H itself has (pq)² entries.

        Raises ``numpy.linalg.LinAlgError`` for a singular matrix, and :class:`MatcalcError` for a sum of more than two
        products, which has no such solution.
        """
        from scipy.linalg import solve_sylvester

        r = self._matrix(value)
        if len(self._pairs) == 1:
            ((a, b),) = self._pairs
            return self._like(_right(_left(b, r), a), value)
        if len(self._pairs) > 2:
            told = f"a sum of {len(self._pairs)} Kronecker products is not solved by its factors"
            raise MatcalcError(told, hint="scipy.sparse.linalg.minres(H.operator(), v) iterates")
        (a, b), (c, d) = self._pairs  # B X A' + D X C' = R
        if (b is None) + (c is None) < (d is None) + (a is None):
            (c, d), (a, b) = (a, b), (c, d)
        # with inv(B) from the left and inv(C') from the right it is Sylvester's equation
        whole = _right(_left(b, r), c)
        left = _left(b, _dense(d, self.p))
        right = _right(_dense(a, self.q).T, c)
        return self._like(solve_sylvester(left, right, whole), value)

    def toarray(self) -> Any:
        """The matrix itself."""
        import numpy as np

        return np.sum([np.kron(a, b) for a, b in self.factors], axis=0)

    def operator(self) -> Any:
        """SciPy's linear operator."""
        from scipy.sparse.linalg import LinearOperator

        turned = KroneckerSum([(_turned(a), _turned(b)) for a, b in self._pairs], self.p, self.q)
        return LinearOperator(self.shape, self.__matmul__, turned.__matmul__, dtype=float)

    def __repr__(self) -> str:
        return f"<{self.shape[0]}x{self.shape[1]} sum of {len(self._pairs)} Kronecker products>"


def _dense(factor: Any, size: int) -> Any:
    import numpy as np

    return np.eye(size) if factor is None else factor


def _turned(factor: Any) -> Any:
    return None if factor is None else factor.T


def _left(factor: Any, x: Any) -> Any:
    """inv(factor)*x."""
    import numpy as np

    return x if factor is None else np.linalg.solve(factor, x)


def _right(x: Any, factor: Any) -> Any:
    """x*inv(factor')."""
    import numpy as np

    return x if factor is None else np.linalg.solve(factor, x.T).T


class OperatorFunction:
    """Gives the operator at a point; ``arguments`` are its keyword arguments, ``source`` what is computed."""

    def __init__(self, functions: dict[str, GeneratedFunction], identities: Sequence[tuple[bool, bool]] | None) -> None:
        self._functions, self._identities = functions, identities
        names = {name for function in functions.values() for name in function.arguments}
        self.arguments: tuple[str, ...] = tuple(sorted(names - {_DIRECTION}))
        self.source = "\n\n".join(function.source for function in functions.values())

    def __repr__(self) -> str:
        return f"<operator({', '.join(self.arguments)})>"

    def __call__(self, **values: Any) -> Any:
        """A :class:`KroneckerSum`, or a ``scipy.sparse.linalg.LinearOperator``."""
        import numpy as np

        accepted = {*self.arguments, *(n for f in self._functions.values() for n in f.accept)} - {_DIRECTION}
        missing, unknown = sorted({*self.arguments} - values.keys()), sorted(values.keys() - accepted)
        if missing or unknown:
            told = [f"missing {', '.join(missing)}"] if missing else []
            told += [f"unknown {', '.join(unknown)}"] if unknown else []
            raise MatcalcError(f"operator: {'; '.join(told)}", hint=f"the arguments are {', '.join(self.arguments)}")

        def run(name: str, **more: Any) -> Any:
            function = self._functions[name]
            known = {**values, **more}
            return function(**{n: known[n] for n in function.arguments})

        shape = np.shape(run("at"))
        if self._identities is not None:
            found = run("factors")
            dense = iter(found if isinstance(found, tuple) else (found,))
            pairs = [(None if a else next(dense), None if b else next(dense)) for a, b in self._identities]
            return KroneckerSum(pairs, *shape)
        from scipy.sparse.linalg import LinearOperator

        size = int(np.prod(shape))

        def moved(name: str, shape: tuple[int, ...]) -> Any:
            return lambda v: np.ravel(run(name, **{_DIRECTION: np.reshape(v, shape, order="F")}), order="F")

        if "value" not in self._functions:
            return LinearOperator((size, size), moved("times", shape), moved("times", shape), dtype=float)
        image = np.shape(run("value"))
        rows = int(np.prod(image))
        return LinearOperator((rows, size), moved("times", shape), moved("turned", image), dtype=float)


_DIRECTION = "direction"


def operator(derivative: Derivative, backend: str = "numpy") -> OperatorFunction:
    """The function that gives the Hessian, or the Jacobian, as an operator."""
    from ..compile.kronecker_terms import kronecker_pairs
    from .backends import compiled, compiled_together

    if derivative.form == "gradient":
        raise MatcalcError("the derivative of a scalar is a gradient, no matrix", hint="mc.hessian has an operator")
    inputs, accept, rules = derivative._inputs(), derivative._functions(), derivative.system
    wrt = derivative.wrt.term
    functions = {"at": compiled(backend, wrt, "at", inputs, "array", accept, rules)}
    hessian = derivative.form == "hessian"
    pairs = None
    if hessian and not wrt.is_scalar and wrt.op in (ops.SYM, ops.MEMBER) and not _flat(wrt):
        pairs = kronecker_pairs(derivative.expr.term, wrt.rows, wrt.cols)
    if pairs is not None:
        dense: dict[str, Term | dict[Any, Term]] = {
            f"{side}{at}": factor
            for at, pair in enumerate(pairs)
            for side, factor in zip(("A", "B"), pair, strict=True)
            if factor.op is not ops.EYE
        }
        identities = [(a.op is ops.EYE, b.op is ops.EYE) for a, b in pairs]
        if dense:
            forms = dict.fromkeys(dense, "matrix2d")
            functions["factors"] = compiled_together(backend, dense, "factors", inputs, forms, accept, rules)
            return OperatorFunction(functions, identities)

    def direction(like: Term) -> Expr:
        return Expr(build.sym(Symbol(_DIRECTION, like.rows, like.cols)))

    along = derivative.jvp(direction(wrt)).term
    functions["times"] = compiled(backend, along, "times", inputs, "array", accept, rules)
    if not hessian:
        value = derivative.function_expr.term
        functions["value"] = compiled(backend, value, "value", inputs, "array", accept, rules)
        turned = derivative.vjp(direction(value)).term
        functions["turned"] = compiled(backend, turned, "turned", inputs, "array", accept, rules)
    return OperatorFunction(functions, None)


def _flat(term: Term) -> bool:
    from ..terms.dims import ONE

    return term.rows is ONE or term.cols is ONE
