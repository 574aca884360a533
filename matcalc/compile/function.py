"""Functions made from generated source."""

from __future__ import annotations

import ast
import linecache
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from inspect import Parameter, Signature
from typing import Any

from ..errors import MatcalcError
from ..terms.term import Term
from .lower import Known
from .names import identifier, sources_of
from .source import Results, several, to_source
from .target import NUMPY, Target


class GeneratedFunction:
    """A function made from source: called with keyword arguments, shows its ``source``, can be pickled.

    Names are taken as the user wrote them too (``lambda`` for ``lambda_``, ``Σ`` for ``Sigma``).
    ``accept`` names further arguments that may be given and are not used.
    """

    def __new__(cls, source: str, name: str, accept: Iterable[str] = ()) -> GeneratedFunction:
        """Each is the only instance of a class of its own, by which a call is the call of the function itself."""
        return object.__new__(type(cls.__name__, (cls,), {}))

    def __init__(self, source: str, name: str, accept: Iterable[str] = ()) -> None:
        self.source, self.name = source, name
        self.accept = tuple(sorted({identifier(a) for a in accept}))
        place = f"<matcalc {name} {blake2b(source.encode(), digest_size=6).hexdigest()}>"
        tree = ast.parse(source, place)
        self.arguments: tuple[str, ...] = _checked(tree, name)
        space: dict[str, Any] = {_MISSING: _MISSING, _AMENDED: self._amended}
        exec(compile(tree, place, "exec"), space)
        linecache.cache[place] = (len(source), None, source.splitlines(keepends=True), place)
        type.__setattr__(type(self), "__call__", space[name])
        self._function: Callable[..., Any] = space[name].__get__(self)
        self._wanted = frozenset(self.arguments)
        self.__signature__ = Signature(
            [Parameter(a, Parameter.KEYWORD_ONLY) for a in sorted({*self.arguments, *self.accept})]
        )
        self.__name__ = name
        self.__doc__ = self._function.__doc__

    def __call__(self, **values: Any) -> Any:
        """The value.  Raises :class:`MatcalcError` that names what is missing or unknown."""
        return self._function(**values)

    def _amended(self, values: dict[str, Any]) -> Any:
        """The value, where names are not those of the source.  Raises :class:`MatcalcError`."""
        return self._function(**self._given({k: v for k, v in values.items() if v is not _MISSING}))

    def _given(self, values: dict[str, Any]) -> dict[str, Any]:
        """The arguments under their names in the source, those that are not used left out."""
        given = {key if key in self._wanted else identifier(key): value for key, value in values.items()}
        unknown = sorted(given.keys() - {*self.arguments, *self.accept})
        missing = sorted(self._wanted - given.keys())
        if unknown or missing:
            told = [f"missing {', '.join(missing)}"] if missing else []
            told += [f"unknown {', '.join(unknown)}"] if unknown else []
            takes = ", ".join(self.arguments) or "nothing"
            raise MatcalcError(f"{self.name}: {'; '.join(told)}", hint=f"the arguments are {takes}")
        return {name: given[name] for name in self.arguments}

    def __repr__(self) -> str:
        return f"<{self.name}({', '.join(self.arguments)})>"

    def __reduce__(self) -> tuple[type[GeneratedFunction], tuple[str, str, tuple[str, ...]]]:
        return GeneratedFunction, (self.source, self.name, self.accept)


_SELF, _MISSING, _MORE, _AMENDED = (f"_matcalc_{word}" for word in ("self", "missing", "more", "amended"))


def _checked(module: ast.Module, name: str) -> tuple[str, ...]:
    """The arguments of a function, which from now on notices at once when it is given others.

    Its head becomes ``def f(self, /, *, A=missing, **more)``, and behind the docstring comes
    ``if more or A is missing: return amended({...})``.
    """
    head = next(node for node in module.body if isinstance(node, ast.FunctionDef) and node.name == name)
    names = tuple(a.arg for a in head.args.kwonlyargs)
    conditions = [f"{a} is {_MISSING}" for a in names]
    given = ", ".join([*(f"{a!r}: {a}" for a in names), f"**{_MORE}"])
    text = (
        f"def f({_SELF}, /, *, {''.join(f'{a}={_MISSING}, ' for a in names)}**{_MORE}):\n"
        f"  if {' or '.join([_MORE, *conditions])}:\n    return {_AMENDED}({{{given}}})"
    ).replace("/, *, **", "/, **")
    (model,) = ast.parse(text).body
    assert isinstance(model, ast.FunctionDef)
    head.args = model.args
    head.body.insert(1 if ast.get_docstring(head, clean=False) is not None else 0, model.body[0])
    for node in (*ast.walk(head.args), *ast.walk(model.body[0])):
        if hasattr(node, "lineno"):
            ast.copy_location(node, head)
    return names


def compile_numpy(
    term: Term | Mapping[str, Term],
    name: str = "f",
    inputs: Sequence[Term] | None = None,
    form: str = "array",
    accept: Iterable[str] = (),
    target: Target = NUMPY,
    known: Known | None = None,
) -> GeneratedFunction:
    """The function that :func:`to_numpy` writes, or another ``target``, ready to call.

    Declared ``inputs`` that turn out not to be needed are accepted and ignored, as are those named in ``accept``.
    """
    spare = [source.name for source in sources_of(inputs or ())]
    source = to_source(term, name, inputs, form, target, known)
    return GeneratedFunction(source, identifier(name), [*accept, *spare])


def compile_several(
    results: Results,
    name: str = "f",
    inputs: Sequence[Term] | None = None,
    forms: Mapping[str, str] | None = None,
    accept: Iterable[str] = (),
    target: Target = NUMPY,
    known: Known | None = None,
) -> GeneratedFunction:
    """The function that :func:`several` writes, ready to call."""
    spare = [source.name for source in sources_of(inputs or ())]
    source = several(results, name, inputs, forms, target, known)
    return GeneratedFunction(source, identifier(name), [*accept, *spare])
