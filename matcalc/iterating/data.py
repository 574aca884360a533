"""The arrays that are given: converted, and checked against what is declared, before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ..compile.names import Source, identifier, ragged
from ..errors import MatcalcError, ShapeError
from ..terms.dims import ONE, Atom, Dim, dim, substitute
from ..terms.symbols import Family
from .sizes import Side, Sizes

Array = npt.NDArray[Any]
Value = Any
"""What stands for a variable: a float, an array, of a family an array stacked along axis 0 or a list of arrays."""

TOLERANCE = 1e-8
"""How far, relative to its largest entry, an array may be from what it is declared to be."""


def sides_of(source: Source) -> tuple[Dim, ...]:
    """The shape of an array of a variable or of one member: () for a scalar, (n,) for a vector, (m, n) for a matrix."""
    if source.cols is ONE:
        return () if source.rows is ONE else (source.rows,)
    return source.rows, source.cols


def shown_shape(shape: Sequence[object]) -> str:
    """A shape as NumPy writes it."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def numbers(name: str, value: Any) -> Array:
    """The value as an array of floats.  Raises :class:`MatcalcError` that names the array."""
    try:
        array = np.asarray(value)
    except (ValueError, TypeError):
        raise MatcalcError(f"{name} is no array of numbers") from None
    if np.iscomplexobj(array):
        raise MatcalcError(f"{name} holds complex numbers; every value is real")
    try:
        array = array.astype(float)
    except (ValueError, TypeError):
        raise MatcalcError(f"{name} is no array of numbers, but of {array.dtype}") from None
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        at = ", ".join(str(i) for i in bad[0])
        where = f" at [{at}]" if at else ""
        raise MatcalcError(f"{name} holds {array[tuple(bad[0])]}{where}; every number has to be finite")
    return array


def _fitted(name: str, array: Array, sides: Sequence[Dim]) -> Array:
    """The array with as many axes as are declared; (n, 1) and (1, n) are vectors too."""
    wanted = len(sides)
    if array.ndim != wanted and wanted <= 1 and array.ndim <= 2 and array.size == max(array.shape, default=1):
        array = array.reshape(-1) if wanted == 1 else array
    if wanted == 0 and array.size == 1:
        array = array.reshape(())
    if wanted == 2 and array.ndim == 1 and sides[0] is ONE:
        array = array[None, :]
    if array.ndim != wanted:
        declared = shown_shape(sides) if sides else "a number"
        raise ShapeError(f"{name} has shape {shown_shape(array.shape)}, but is declared {declared}")
    return array


def _side_of(name: str, array: Array, axis: int) -> str:
    if array.ndim == 1:
        return f"the length of {name}"
    return f"the number of {'rows' if axis == 0 else 'columns'} of {name}"


def _single(name: str, value: Any, sides: Sequence[Dim]) -> tuple[Array, list[Side]]:
    array = _fitted(name, numbers(name, value), sides)
    told = [Side(size, array.shape[axis], _side_of(name, array, axis)) for axis, size in enumerate(sides)]
    return array, told


def read(source: Source, name: str, value: Any) -> tuple[Any, list[Side]]:
    """The array of a variable, or the list of the arrays of a family, and the sides that it gives."""
    if not isinstance(source, Family):
        return _single(name, value, sides_of(source))
    try:
        members = list(value)
    except TypeError:
        raise ShapeError(f"{name} is a family: an array with one more axis, or a list of arrays") from None
    index = source.index
    sides = [Side(index.hi - index.lo + 1, len(members), f"the number of members of {name}")]
    arrays = []
    first = index.lo.constant
    for number, member in enumerate(members):
        at = index.lo + number
        here: dict[Atom, Dim] = {index: at}
        called = f"{name}[{number + first if first is not None else at}]"
        array, told = _single(called, member, [substitute(d, here) for d in sides_of(source)])
        arrays.append(array)
        sides += told
    return arrays, sides


def packed(source: Source, members: Any, shape: tuple[int, ...] = ()) -> Value:
    """What generated code takes: a float, an array, a stack (of no members of this shape), a list."""
    if isinstance(source, Family):
        if ragged(source):
            return list(members)
        return np.array(members) if len(members) else np.zeros((0, *shape))
    return float(members) if np.ndim(members) == 0 else members


def shapes_of(source: Source, name: str, sizes: Sizes) -> list[tuple[int, ...]]:
    """The shapes of the arrays of a variable or of the members of a family.

    Raises :class:`MatcalcError` naming the sizes that do not follow from the data.
    """
    sides = sides_of(source)
    if not isinstance(source, Family):
        return [_numbers_of(sides, name, sizes)]
    first, last = (_number(end, name, sizes) for end in (source.index.lo, source.index.hi))
    shapes = []
    for at in range(first, last + 1):
        here: dict[Atom, Dim] = {source.index: dim(at)}
        shapes.append(_numbers_of([substitute(d, here) for d in sides], f"{name}[{at}]", sizes))
    return shapes


def _numbers_of(sides: Iterable[Dim], name: str, sizes: Sizes) -> tuple[int, ...]:
    return tuple(_number(d, name, sizes) for d in sides)


def _number(size: Dim, name: str, sizes: Sizes) -> int:
    value = sizes.value(size)
    if value is None:
        missing = ", ".join(sizes.missing(size))
        raise MatcalcError(
            f"the size {missing} of {name} does not follow from the data",
            hint=f"give it among the data, or give a start for {name}",
        )
    return value


# ---------------------------------------------------------------- declared facts


def _off(a: Array, b: Array) -> float:
    return float(np.max(np.abs(a - b), initial=0.0)) / max(1.0, float(np.max(np.abs(a), initial=0.0)))


def _least_eigenvalue(a: Array) -> float:
    return float(np.linalg.eigvalsh((a + a.T) / 2).min(initial=np.inf))


def _square(a: Array) -> Array:
    return a if a.ndim == 2 else a.reshape(1, 1)


_DEFECTS: dict[str, Callable[[Array], float]] = {
    "symmetric": lambda a: _off(a, a.T),
    "posdef": lambda a: max(_off(a, a.T), 0.0 if _least_eigenvalue(a) > 0 else np.inf),
    "psd": lambda a: max(_off(a, a.T), max(0.0, -_least_eigenvalue(a))),
    "skew": lambda a: _off(a, -a.T),
    "diagonal": lambda a: _off(a, np.diag(np.diag(a))),
    "lower": lambda a: _off(a, np.tril(a)),
    "upper": lambda a: _off(a, np.triu(a)),
    "orthogonal": lambda a: _off(a.T @ a, np.eye(a.shape[1])),
    "stiefel": lambda a: _off(a.T @ a, np.eye(a.shape[1])),
    "positive": lambda a: 0.0 if bool((a > 0).all()) else np.inf,
    "nonneg": lambda a: 0.0 if bool((a >= 0).all()) else np.inf,
    "nonzero": lambda a: 0.0 if bool((a != 0).all()) else np.inf,
}
"""How far an array is from having a fact; infinite where it has it or not."""


def check_facts(name: str, array: Array, facts: Iterable[str], said: str = "declared") -> None:
    """Raise :class:`MatcalcError` for an array that is not what it is declared, or assumed, to be."""
    for fact in sorted(facts):
        defect = _DEFECTS.get(fact)
        if defect is None or array.size == 0:
            continue
        by = defect(_square(array))
        if not by <= TOLERANCE:
            far = f", by {by:.2g}" if np.isfinite(by) else ""
            what = "array" if array.ndim else "number"
            raise MatcalcError(f"{name} is {said} {fact}, but the {what} is not{far}")


# ---------------------------------------------------------------- names


def by_identifier(given: Mapping[str, Any] | None, what: str) -> dict[str, Any]:
    """The arrays by the ASCII names of their variables.  Raises :class:`MatcalcError` for a name given twice."""
    found: dict[str, Any] = {}
    for name, value in (given or {}).items():
        if not isinstance(name, str):
            raise MatcalcError(f"{what} are given by the names of the variables, not by {name!r}")
        if identifier(name) in found:
            raise MatcalcError(f"{name} is given twice in the {what}")
        found[identifier(name)] = value
    return found
