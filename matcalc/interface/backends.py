"""The languages that code can be generated for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from ..errors import MatcalcError
from ..terms.term import Term

if TYPE_CHECKING:
    from ..compile.function import GeneratedFunction
    from ..compile.source import Results

BACKENDS = ("numpy",)


def _known(backend: str) -> None:
    if backend not in BACKENDS:
        raise MatcalcError(f"there is no backend {backend!r}; there is: {', '.join(BACKENDS)}")


def source(backend: str, term: Term, name: str = "f", inputs: Sequence[Term] = (), form: str = "array") -> str:
    """Source text of a stand-alone function; ``form`` is ``array`` or ``matrix2d``, where every array is 2-D.

    Raises :class:`MatcalcError` for an unknown backend.
    """
    _known(backend)
    from ..compile.source import to_numpy

    return to_numpy(term, name, inputs, form)


def compiled(
    backend: str,
    term: Term,
    name: str = "f",
    inputs: Sequence[Term] = (),
    form: str = "array",
    accept: Iterable[str] = (),
) -> GeneratedFunction:
    """That function, ready to call."""
    _known(backend)
    from ..compile.function import compile_numpy

    return compile_numpy(term, name, inputs, form, accept)


def compiled_together(
    backend: str,
    results: Results,
    name: str,
    inputs: Sequence[Term],
    forms: Mapping[str, str],
    accept: Iterable[str] = (),
) -> GeneratedFunction:
    """A function that computes several results together and returns them as a tuple; of one result, that one."""
    _known(backend)
    from ..compile.function import compile_several

    return compile_several(results, name, inputs, forms, accept)
