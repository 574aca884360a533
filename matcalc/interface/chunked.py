"""``mc.chunked``: a function of data that outgrow memory, in one pass over chunks of samples."""

from __future__ import annotations

import sys
import time
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from ..bounds import bounded
from ..errors import MatcalcError
from ..terms import ops
from ..terms.dims import Name, dim
from ..terms.symbols import Family
from .compiled import prepared
from .library import Let, Text, Where

if TYPE_CHECKING:
    from ..compile.function import GeneratedFunction
    from ..compile.names import Source
    from ..compile.samples import Split
    from ..terms.term import Term

ENTRIES = 2**22
"""A chunk of an array has about this many entries, when nothing else is said."""

Sums = dict[str, Any]


@bounded
def chunked(
    expr: Text,
    wrt: Text | Sequence[Text],
    what: str | Sequence[str] = ("value", "gradient"),
    *,
    over: str,
    where: Where = None,
    let: Let = None,
    backend: str = "numpy",
) -> ChunkedFunction:
    """The function that :func:`matcalc.function` makes, for data in chunks.

    ``over`` is the size that counts the samples, say N.  Value, gradient and Hessian are functions of sums over the
    samples; all those sums are computed in one pass, then what is made of them.  The arrays with N rows, columns
    or members are the data, and come as

    - batches: an iterable of dicts of arrays, ``f(batches, w=w)``, gone through once;
    - arrays, memory-mapped ones too, ``f(X=X, y=y, w=w, rows=10_000)``, taken ``rows`` samples at a time;
    - Dask arrays (the extra ``dask``), block by block, on threads or, where a client of a cluster is
      active, there, and summed by Dask.

    Raises the errors of :func:`matcalc.function`, and :class:`MatcalcError` that names the part which is
    no function of sums over the samples, or needs a second pass.

    >>> where = "X: matrix(N,n); y: vector(N); w: vector(n)"
    >>> f = chunked("norm(X*w - y)^2/N", "w", over="N", where=where)
    >>> batches = ({"X": [[1.0, k]], "y": [k]} for k in range(3))
    >>> f(batches, w=[1.0, 1.0])
    (1.0, array([2., 2.]))
    """
    from ..compile.names import Names, sources_of
    from ..compile.samples import split
    from ..terms.walk import postorder
    from .backends import compiled_together

    found = prepared(expr, wrt, what, where, let)
    results = found.results.values()
    terms = postorder(*(t for r in results for t in (r.values() if isinstance(r, dict) else [r])))
    terms = [t for t in terms if t.op is not ops.SYM or t.attr.role != "state"]
    shown = Names(terms, found.inputs).of
    sources = sources_of([*terms, *found.inputs])
    parts = split(found.results, Name(over), {source: shown[source] for source in sources})
    sums: dict[str, Term | dict[Hashable, Term]] = dict(parts.sums)
    chunk = compiled_together(backend, sums, "sums", found.inputs, {}, found.accept, found.rules)
    final = None
    if parts.results:
        data = set(parts.data.values())
        inputs = [term for term in found.inputs if not data & set(sources_of([term]))]
        final = compiled_together("numpy", parts.results, found.name, inputs, found.forms, found.accept, found.rules)
    return ChunkedFunction(chunk, final, parts, {k: isinstance(r, dict) for k, r in found.results.items()}, over)


class ChunkedFunction:
    """Sums over the samples by ``chunk``, and the results that ``final`` makes of them.

    ``data`` are the names of the arrays of samples, ``parameters`` those of the other arguments.
    """

    def __init__(
        self,
        chunk: GeneratedFunction,
        final: GeneratedFunction | None,
        parts: Split,
        shapes: dict[str, bool],
        size: str,
    ) -> None:
        self.chunk, self.final, self._parts, self._shapes, self.size = chunk, final, parts, shapes, size
        self.data: tuple[str, ...] = tuple(name for name in sorted(parts.data) if name in chunk.arguments)
        own = {*parts.data, *parts.sums, size}
        taken = [*chunk.arguments, *(final.arguments if final else ())]
        self.parameters: tuple[str, ...] = tuple(sorted({name for name in taken if name not in own}))

    def __repr__(self) -> str:
        return f"<{self.chunk.name} over {self.size}: data {', '.join(self.data)}; {', '.join(self.parameters)}>"

    def __call__(
        self,
        batches: Iterable[Mapping[str, Any]] | None = None,
        *,
        rows: int | None = None,
        progress: bool | None = None,
        **values: Any,
    ) -> Any:
        """The results.  ``progress`` shows how far a long run is; by default on a terminal.

        Raises :class:`MatcalcError` that names missing or unknown arguments.
        """
        given = {name: values.pop(name) for name in self.data if name in values}
        accepted = {*self.parameters, *self.chunk.accept, *(self.final.accept if self.final else ())}
        unknown = sorted(values.keys() - accepted)
        missing = [name for name in self.parameters if name not in values]
        missing += [name for name in self.data if name not in given] if batches is None else []
        if unknown or missing or (given and batches is not None):
            told = [f"missing {', '.join(missing)}"] if missing else []
            told += [f"unknown {', '.join(unknown)}"] if unknown else []
            told += [f"{', '.join(given)} given beside batches"] if given and batches is not None else []
            raise MatcalcError("; ".join(told), hint=f"data {', '.join(self.data)}; then {', '.join(self.parameters)}")
        shown = sys.stderr.isatty() if progress is None else progress
        if batches is None and any(hasattr(array, "__dask_graph__") for array in given.values()):
            sums, count = self._by_dask(given, values, shown)
        else:
            source = self._cut(given, rows) if batches is None else map(self._batch, batches)
            total = self._length(given) if batches is None else None
            sums, count = self._one_by_one(source, values, total, shown)
        return self._results(sums, count, values)

    # ------------------------------------------------------------ chunks

    def _axis(self, source: Source, array: Any) -> int:
        counts = source.rows if not isinstance(source, Family) else None
        if counts is None or dim(Name(self.size)) is counts:
            return 0
        return int(getattr(array, "ndim", 1)) - 1

    def _samples(self, name: str, array: Any) -> int:
        axis = self._axis(self._parts.data[name], array)
        return len(array) if axis == 0 else int(array.shape[axis])

    def _length(self, arrays: Mapping[str, Any]) -> int:
        lengths = {name: self._samples(name, array) for name, array in arrays.items()}
        if len(set(lengths.values())) > 1:
            told = ", ".join(f"{name} has {length}" for name, length in lengths.items())
            raise MatcalcError(f"the data differ in their number of samples: {told}")
        return next(iter(lengths.values()))

    def _cut(self, arrays: Mapping[str, Any], rows: int | None) -> Iterator[Mapping[str, Any]]:
        """The arrays, some samples at a time; a memory-mapped array is read no further ahead."""
        import numpy as np

        kept: dict[str, Any] = {name: a if isinstance(a, list) else np.asanyarray(a) for name, a in arrays.items()}
        total = self._length(kept)
        entries = max(int(np.size(a)) if not isinstance(a, list) else len(a) for a in kept.values())
        step = rows or max(1, ENTRIES * max(total, 1) // max(entries, 1))
        for start in range(0, total, step) if total else [0]:
            here = slice(start, start + step)
            yield {n: a[here] if self._axis(self._parts.data[n], a) == 0 else a[..., here] for n, a in kept.items()}

    def _batch(self, batch: Mapping[str, Any]) -> Mapping[str, Any]:
        if not isinstance(batch, Mapping):
            example = ", ".join(f'"{name}": ...' for name in self.data)
            raise MatcalcError("a batch is a dict of arrays", hint=f"{{{example}}}")
        import numpy as np

        missing = [name for name in self.data if name not in batch]
        if missing:
            raise MatcalcError(f"a batch lacks {', '.join(missing)}")
        given = {name: batch[name] for name in self.data}
        return {name: a if isinstance(a, list) else np.asanyarray(a) for name, a in given.items()}

    def _one_by_one(
        self, chunks: Iterable[Mapping[str, Any]], values: Mapping[str, Any], total: int | None, shown: bool
    ) -> tuple[Sums, int]:
        sums: Sums | None = None
        count, began, told = 0, time.monotonic(), 0.0
        for chunk in chunks:
            length = self._length(chunk)
            count += length
            found = sums_of(self.chunk, tuple(self._parts.sums), chunk, values, self.size, length)
            sums = found if sums is None else merged(sums, found)
            passed = time.monotonic() - began
            if shown and passed > max(2.0, told + 0.5):
                part = f" of {total:,}, {100 * count / total:.0f} %" if total else ""
                print(f"\r{count:,}{part} samples in {passed:.0f} s", end="", file=sys.stderr, flush=True)
                told = passed
        if told:
            print(file=sys.stderr)
        if sums is None:
            raise MatcalcError("there is no batch", hint="an iterator is empty after one pass: make it anew")
        return sums, count

    def _by_dask(self, arrays: Mapping[str, Any], values: Mapping[str, Any], shown: bool) -> tuple[Sums, int]:
        """Block by block; Dask moves the work to the blocks and sums up in a tree."""
        dask, da, db = (import_module(name) for name in ("dask", "dask.array", "dask.bag"))
        count = self._length(arrays)
        lead = next(name for name, array in arrays.items() if hasattr(array, "__dask_graph__"))
        lengths = arrays[lead].chunks[self._axis(self._parts.data[lead], arrays[lead])]
        blocks: dict[str, list[Any]] = {}
        for name, array in arrays.items():
            axis = self._axis(self._parts.data[name], array)
            whole = array if hasattr(array, "__dask_graph__") else da.from_array(array)
            chunks = {at: lengths if at == axis else -1 for at in range(whole.ndim)}
            blocks[name] = list(whole.rechunk(chunks).to_delayed().ravel())
        shared = dask.delayed(dict(values))
        task = dask.delayed(_listed)
        names = tuple(self._parts.sums)
        parts = [
            task(self.chunk, names, {name: blocks[name][at] for name in blocks}, shared, self.size, length)
            for at, length in enumerate(lengths)
        ]
        total = db.from_delayed(parts).fold(merged, split_every=8).to_delayed()
        client = _client()
        if client is not None:
            future = client.compute(total)
            if shown:
                import_module("distributed").progress(future, notebook=False)
            sums: Sums = future.result()
        elif shown:
            with import_module("dask.diagnostics").ProgressBar(minimum=2.0, out=sys.stderr):
                sums = total.compute()
        else:
            sums = total.compute()
        return sums, count

    # ------------------------------------------------------------ results

    def _results(self, sums: Sums, count: int, values: Mapping[str, Any]) -> Any:
        made: dict[str, Any] = {}
        if self.final is not None:
            known = {**values, **sums, self.size: count}
            found = self.final(**{name: known[name] for name in self.final.arguments})
            keys = list(self._parts.results)
            made = dict(zip(keys, found, strict=True)) if len(keys) > 1 else {keys[0]: found}
        results = []
        for key, several in self._shapes.items():
            entries: dict[Hashable, Any] = dict(made.get(key, {}))
            entries |= {part: sums[name] for (of, part), name in self._parts.ready.items() if of == key}
            results.append(entries if several else entries[""])
        return results[0] if len(results) == 1 else tuple(results)


def _client() -> Any:
    """The client of a distributed cluster that is active, if any."""
    if "distributed" not in sys.modules:
        return None
    try:
        return import_module("distributed").get_client()
    except ValueError:
        return None


def sums_of(
    function: GeneratedFunction,
    names: tuple[str, ...],
    chunk: Mapping[str, Any],
    values: Mapping[str, Any],
    size: str,
    length: int,
) -> Sums:
    """The sums over one chunk."""
    known = {**values, **chunk, size: length}
    found = function(**{name: known[name] for name in function.arguments})
    return dict(zip(names, found, strict=True)) if len(names) > 1 else {names[0]: found}


def _listed(*given: Any) -> list[Sums]:
    return [sums_of(*given)]


def merged(one: Sums, other: Sums) -> Sums:
    """Both sums together."""
    return {name: _plus(value, other[name]) for name, value in one.items()}


def _plus(one: Any, other: Any) -> Any:
    if isinstance(one, list):
        return [_plus(a, b) for a, b in zip(one, other, strict=True)]
    return one + other
