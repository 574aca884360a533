"""What JAX traced, carried out by NumPy.

JAX compiles each operation for each shape, which for a thousand small expressions takes minutes.  So the
derivative is only traced by JAX, and the operations that come out are evaluated here, one by one; what is
not in the table JAX evaluates itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from scipy import linalg, special

Array = Any


def traced(function: Callable[..., Any], *args: Array) -> list[Array]:
    """The values of a function of arrays that JAX can trace, as a flat list."""
    closed = jax.make_jaxpr(function)(*args)
    flat = [np.asarray(a) for a in jax.tree_util.tree_leaves(args)]
    with np.errstate(all="ignore"):
        return _run(closed.jaxpr, closed.consts, flat)


def _run(jaxpr: Any, consts: Sequence[Array], args: Sequence[Array]) -> list[Array]:
    values: dict[Any, Array] = {}

    def read(atom: Any) -> Array:
        return atom.val if hasattr(atom, "val") else values[atom]

    values.update(zip(jaxpr.constvars, consts, strict=True))
    values.update(zip(jaxpr.invars, args, strict=True))
    for equation in jaxpr.eqns:
        given = [np.asarray(read(atom)) for atom in equation.invars]
        made = _evaluate(equation, given)
        values.update(zip(equation.outvars, made, strict=True))
    return [np.asarray(read(atom)) for atom in jaxpr.outvars]


def _evaluate(equation: Any, given: list[Array]) -> list[Array]:
    name, params = equation.primitive.name, equation.params
    simple = SIMPLE.get(name)
    if simple is not None:
        return [simple(*given)]
    shaped = SHAPED.get(name)
    if shaped is not None:
        made = shaped(params, *given)
        if made is not None:
            return made if isinstance(made, list) else [made]
    if name in ("pjit", "jit", "closed_call", "core_call", "remat"):
        inner = params["jaxpr"]
        return _run(inner.jaxpr, inner.consts, given)
    if name == "custom_jvp_call":
        inner = params["call_jaxpr"]
        return _run(inner.jaxpr, inner.consts, given)
    if name == "custom_linear_solve":
        counts, solve = params["const_lengths"], params["jaxprs"].solve
        first = counts.matvec + counts.vecmat
        consts, rest = given[first : first + counts.solve], given[first + counts.solve + counts.transpose_solve :]
        return _run(solve.jaxpr, solve.consts, [*consts, *rest])
    found = equation.primitive.bind(*given, **params)
    return [np.asarray(a) for a in found] if equation.primitive.multiple_results else [np.asarray(found)]


def _broadcast(params: dict[str, Any], a: Array, *_: Array) -> Array:
    shape = params["shape"]
    inside = [1] * len(shape)
    for at, axis in enumerate(params["broadcast_dimensions"]):
        inside[axis] = a.shape[at]
    return np.broadcast_to(a.reshape(inside), shape)


def _dot(params: dict[str, Any], a: Array, b: Array) -> Array | None:
    (left, right), (batch, _) = params["dimension_numbers"]
    return None if batch else np.tensordot(a, b, axes=(left, right))


def _slice(params: dict[str, Any], a: Array) -> Array:
    steps = params["strides"] or (1,) * a.ndim
    return a[tuple(slice(*ends) for ends in zip(params["start_indices"], params["limit_indices"], steps, strict=True))]


def _triangular(params: dict[str, Any], a: Array, b: Array) -> Array | None:
    if a.ndim != 2 or b.ndim != 2:
        return None
    options = {"lower": params["lower"], "unit_diagonal": params["unit_diagonal"]}
    turned = params["transpose_a"]
    if params["left_side"]:
        return linalg.solve_triangular(a, b, trans=int(turned), **options)
    return linalg.solve_triangular(a, b.T, trans=int(not turned), **options).T


def _lu(_: dict[str, Any], a: Array) -> list[Array] | None:
    if a.ndim != 2 or a.shape[0] != a.shape[1]:
        return None
    packed, pivots = linalg.lu_factor(a)
    order = np.arange(len(a), dtype=np.int32)
    for i, j in enumerate(pivots):
        order[[i, j]] = order[[j, i]]
    return [packed, pivots.astype(np.int32), order]


def _eigh(params: dict[str, Any], a: Array) -> list[Array] | None:
    if a.ndim != 2:
        return None
    values, vectors = np.linalg.eigh(a, UPLO="L" if params["lower"] else "U")
    return [vectors, values]


def _iota(params: dict[str, Any]) -> Array:
    shape, axis = params["shape"], params["dimension"]
    inside = [1] * len(shape)
    inside[axis] = shape[axis]
    return np.broadcast_to(np.arange(shape[axis], dtype=params["dtype"]).reshape(inside), shape)


def _logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


SIMPLE: dict[str, Callable[..., Array]] = {
    **{
        name: getattr(np, name)
        for name in (  # noqa: SIM905
            "exp log log1p expm1 sqrt tanh sin cos tan sinh cosh square abs sign floor"
        ).split()
    },
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh,
    "add": np.add, "add_any": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "neg": np.negative,
    "max": np.maximum, "min": np.minimum, "pow": np.power, "rsqrt": lambda x: 1 / np.sqrt(x),
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "and": np.logical_and, "or": np.logical_or, "not": np.logical_not,
    "logistic": _logistic, "erf": special.erf, "erfc": special.erfc, "lgamma": special.gammaln,
    "digamma": special.digamma,
    "select_n": lambda which, *cases: np.choose(which.astype(int), cases) if cases[0].ndim else cases[int(which)],
    "stop_gradient": lambda x: x, "copy": lambda x: x, "copy_p": lambda x: x,
    "is_finite": np.isfinite,
}  # fmt: skip

SHAPED: dict[str, Callable[..., Any]] = {
    "broadcast_in_dim": _broadcast,
    "reshape": lambda p, a: a.reshape(p["new_sizes"]),
    "transpose": lambda p, a: a.transpose(p["permutation"]),
    "squeeze": lambda p, a: np.squeeze(a, axis=p["dimensions"]),
    "expand_dims": lambda p, a: np.expand_dims(a, p["dimensions"]),
    "concatenate": lambda p, *a: np.concatenate(a, axis=p["dimension"]),
    "convert_element_type": lambda p, a: a.astype(p["new_dtype"]),
    "integer_pow": lambda p, a: a ** p["y"] if p["y"] >= 0 else 1 / a ** -p["y"],
    "reduce_sum": lambda p, a: a.sum(axis=p["axes"]),
    "reduce_max": lambda p, a: a.max(axis=p["axes"]),
    "reduce_prod": lambda p, a: a.prod(axis=p["axes"]),
    "dot_general": _dot,
    "slice": _slice,
    "rev": lambda p, a: np.flip(a, p["dimensions"]),
    "iota": _iota,
    "triangular_solve": _triangular,
    "lu": _lu,
    "eigh": _eigh,
}
