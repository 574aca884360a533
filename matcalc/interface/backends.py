"""The languages that code can be generated for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..errors import MatcalcError
from ..terms.term import Term

if TYPE_CHECKING:
    from ..calculus.system import System
    from ..compile.function import GeneratedFunction
    from ..compile.lower import Known
    from ..compile.source import Results
    from ..compile.target import Target

BACKENDS = {"numpy": "numpy", "jax": "jax", "torch": "torch", "c": "numpy"}
"""The package that the code of each backend imports; JAX and PyTorch are extras of the same name."""
_MODULES = {"c": "fused"}


def target_of(backend: str) -> Target:
    """How source is written for a backend.  Raises :class:`MatcalcError` for an unknown one."""
    if backend not in BACKENDS:
        raise MatcalcError(f"there is no backend {backend!r}; there are: {', '.join(BACKENDS)}")
    if backend == "numpy":
        from ..compile.target import NUMPY

        return NUMPY
    found: Target = import_module(f"..compile.backends.{_MODULES.get(backend, backend)}", __package__).TARGET
    return found


def _installed(backend: str) -> None:
    package = BACKENDS[backend]
    if find_spec(package) is None:
        hint = f"pip install 'matcalc-symbolic[{backend}]'; the source text needs no installation: .code({backend!r})"
        raise MatcalcError(f"the backend {backend!r} needs the package {package}, which is not installed", hint=hint)


def _known(rules: System | None) -> Known | None:
    """The facts under assumptions; without any, those of the declarations."""
    return rules.facts.has if rules is not None and rules.assumptions else None


def source(
    backend: str,
    term: Term,
    name: str = "f",
    inputs: Sequence[Term] = (),
    form: str = "array",
    rules: System | None = None,
) -> str:
    """Source text of a stand-alone function; ``form`` is ``array`` or ``matrix2d``, where every array is 2-D.

    ``rules`` know what is assumed, here and below: a matrix assumed to be positive definite gets Cholesky's factor.
    Raises :class:`MatcalcError` for an unknown backend, and for an operation that the library does not have.
    """
    target = target_of(backend)
    from ..compile.source import to_source

    return to_source(term, name, inputs, form, target, _known(rules))


def compiled(
    backend: str,
    term: Term,
    name: str = "f",
    inputs: Sequence[Term] = (),
    form: str = "array",
    accept: Iterable[str] = (),
    rules: System | None = None,
) -> GeneratedFunction:
    """That function, ready to call.  Raises :class:`MatcalcError` when the package is not installed."""
    target = target_of(backend)
    _installed(backend)
    from ..compile.function import compile_numpy

    return compile_numpy(term, name, inputs, form, accept, target, _known(rules))


def compiled_together(
    backend: str,
    results: Results,
    name: str,
    inputs: Sequence[Term],
    forms: Mapping[str, str],
    accept: Iterable[str] = (),
    rules: System | None = None,
) -> GeneratedFunction:
    """A function that computes several results together and returns them as a tuple; of one result, that one."""
    target = target_of(backend)
    _installed(backend)
    from ..compile.function import compile_several

    return compile_several(results, name, inputs, forms, accept, target, _known(rules))
