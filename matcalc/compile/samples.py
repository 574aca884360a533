"""Which parts of a function are sums over samples, so that data in chunks give them in one pass.

A size such as N counts the samples.  An array with N rows (or N columns) that holds in each row what comes of that
sample alone is *aligned*; a product that contracts N, the sum of the entries of an aligned array and a sum over an
index from 1 to N of what uses one sample are *sums over the samples*.  Whatever is computed of those, and of what is
no data, is computed once at the end.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ..errors import MatcalcError
from ..terms import build, ops
from ..terms.dims import ONE, Atom, Dim, Index, Name, SizeAt, dim
from ..terms.symbols import Family, Range, Symbol
from ..terms.term import Term
from ..terms.walk import attr_dims, postorder, replace
from .names import Source, sources_of
from .source import Results

FREE, ALIGNED, DIAGONAL, SCALED, SUMMED, DONE = "free", "aligned", "diagonal", "scaled", "summed", "done"


@dataclass(frozen=True)
class Refused:
    """Why something is no function of sums over the samples."""

    reason: str


Kind = str | Refused
_ENTRYWISE = frozenset({ops.ADD, ops.HAD, ops.SCALE, ops.POW, ops.FUN, ops.POLYGAMMA, ops.TRANSPOSE})
_LINEAR = frozenset({ops.ADD, ops.TRANSPOSE, ops.VEC, ops.UNVEC, ops.TOTAL, ops.TR, ops.DIAG, ops.DIAGONAL, ops.FAMILY})
_PRODUCTS = frozenset({ops.SCALE, ops.TIMES, ops.MUL, ops.HAD, ops.KRON, ops.INNER})


@dataclass
class Split:
    """``sums`` are summed over the chunks, ``results`` made of them at the end; ``data`` are the arrays of samples."""

    sums: dict[str, Term] = field(default_factory=dict)
    results: dict[str, Term | dict[Hashable, Term]] = field(default_factory=dict)
    ready: dict[tuple[str, Hashable], str] = field(default_factory=dict)
    """The results that are a sum as it is, by where they stand."""
    data: dict[str, Source] = field(default_factory=dict)


def split(results: Results, size: Name, shown: Mapping[Source, str]) -> Split:
    """The sums over the samples that ``size`` counts, and what is made of them.

    Raises :class:`MatcalcError` that names what is no function of such sums.
    """
    return _Splitter(size).split(results, shown)


class _Splitter:
    def __init__(self, size: Name) -> None:
        self.size = size
        self.kinds: dict[Term, Kind] = {}
        self.found = Split()
        self.symbols: dict[Term, Term] = {}
        """What takes the place of a term in the results."""
        self.scaled: dict[Term, tuple[Term, Term]] = {}
        """An aligned array times a scalar that is known at the end: that scalar, and the array."""

    def split(self, results: Results, shown: Mapping[Source, str]) -> Split:
        flat = [(key, part, t) for key, r in results.items() for part, t in _parts(r)]
        terms = postorder(*(term for _, _, term in flat))
        for source in sources_of(terms):
            if source.role != "state" and self._data(source):
                self.found.data[shown[source]] = source
        if not self.found.data:
            hint = "over= names the size that counts the samples"
            raise MatcalcError(f"no variable has {self.size} rows, columns or members", hint=hint)
        for term in terms:
            self.kinds[term] = self._kind(term)
        for key, part, term in flat:
            kind = self.kinds[term]
            if isinstance(kind, Refused):
                raise MatcalcError(f"the {key} is no function of sums over the {self.size} samples: {kind.reason}")
            if kind == SUMMED and term not in self.symbols:
                self.found.ready[key, part] = self._name(term)
                continue
            if kind in (ALIGNED, DIAGONAL, SCALED):
                reason = "it has an entry for every sample"
                raise MatcalcError(f"the {key} is no function of sums over the {self.size} samples: {reason}")
            replaced = replace(term, self.symbols)
            where = self.found.results.setdefault(key, {})
            assert isinstance(where, dict)
            where[part] = replaced
        return self.found

    # ------------------------------------------------------------ kinds

    def _counts(self, d: Dim) -> bool:
        return self.size in _names(d)

    def _kind(self, term: Term) -> Kind:
        kinds = [self.kinds[arg] for arg in term.args]
        if term.op is ops.SUM and any(map(self._counts, attr_dims(term.attr))):
            reason = self._sample_by_sample(term)
            return Refused(reason) if reason else self._sum(term)
        refused = next((kind for kind in kinds if isinstance(kind, Refused)), None)
        if term.op is ops.TR and term.args[0].op is ops.MUL:
            first, *rest = term.args[0].args
            if self._counts(first.rows) and self.kinds[first] in (ALIGNED, DIAGONAL):
                turned = build.mul(*rest, first)
                if turned.op is ops.MUL:
                    self.kinds[turned] = self._product(turned)
                    return self._instead(term, build.tr(self._replaced(turned)), self.kinds[turned])
        if term.op is ops.DIAGONAL and term.args[0].op is ops.MUL:
            refused = Refused("it has an entry for every sample")
        if refused is not None:
            return refused
        if term.op is ops.STATE and kinds == [ALIGNED, ALIGNED] and not self._through_samples(term):
            return ALIGNED  # each sample goes through the steps by itself
        if term.op is ops.STATE and SCALED in kinds:
            scalar = self.scaled[term.args[kinds.index(SCALED)]][0]
            told = f"its steps use the factor {_shown(scalar)}, known at the end"
            return Refused(f"{told}: leave it out, and scale the result")
        if term.op in (ops.STATE, ops.PROD) and (self._through_samples(term) or any(k != FREE for k in kinds)):
            return Refused("its steps go through the data, which takes a pass for each step")
        if not term.args:
            return self._leaf(term)
        if term.op is ops.MUL:
            return self._product(term)
        if term.op in (ops.TOTAL, ops.INNER) and ALIGNED in kinds and set(kinds) <= {ALIGNED, FREE}:
            return self._sum(term)
        if term.op is ops.NORM and kinds == [ALIGNED]:
            squared = build.inner(term.args[0], term.args[0])
            self.kinds[squared] = self._sum(squared)
            return self._instead(term, build.power_of(self._replaced(squared), build.num(Fraction(1, 2))), SUMMED)
        if ALIGNED in kinds or DIAGONAL in kinds:
            return self._aligned(term, kinds)
        if SCALED in kinds:
            scalar, array = self.scaled[term.args[kinds.index(SCALED)]]
            if term.op in (ops.TRANSPOSE, ops.SCALE):
                if term.op is ops.SCALE:
                    scalar = build.times(term.args[0], scalar)
                return self._scaled(term, scalar, build.transpose(array) if term.op is ops.TRANSPOSE else array)
            return self._second_pass(scalar, term)
        if self._counts(term.rows) or self._counts(term.cols):
            return Refused(f"{_shown(term)} depends on the number of samples")
        if SUMMED in kinds and self._bound(term, kinds):
            return self._still_summed(term, kinds)
        return FREE if all(kind == FREE for kind in kinds) and not self._through_samples(term) else DONE

    def _leaf(self, term: Term) -> Kind:
        counted = [self._counts(term.rows), self._counts(term.cols)]
        if term.op is ops.MEMBER and self._data(term.attr.family):
            return Refused(f"{_shown(term)} is one of the samples, outside a sum over all of them")
        if term.op is ops.INT or not any(counted):
            return DONE if any(map(self._counts, attr_dims(term.attr))) else FREE
        if term.op is ops.EYE:
            return DIAGONAL
        whole = dim(self.size) in (term.rows, term.cols)
        if all(counted) or not whole or term.op not in (ops.SYM, ops.ONES, ops.ZEROS):
            return Refused(f"{_shown(term)} is not split by samples")
        return ALIGNED

    def _scaled(self, term: Term, scalar: Term, array: Term) -> Kind:
        if term.indices:
            return self._second_pass(scalar, term)
        self.kinds[array] = ALIGNED
        self.scaled[term] = scalar, array
        return SCALED

    def _aligned(self, term: Term, kinds: Sequence[Kind]) -> Kind:
        """What an operation on aligned arrays gives."""
        if term.op is ops.SCALE and kinds[0] in (DONE, SUMMED) and kinds[1] == ALIGNED:
            return self._scaled(term, *term.args)
        if term.op in _ENTRYWISE:
            for arg, kind in zip(term.args, kinds, strict=True):
                if kind in (DONE, SUMMED, SCALED):
                    return self._second_pass(self.scaled[arg][0] if kind == SCALED else arg, term)
            if DIAGONAL not in kinds:
                return ALIGNED
            kept = set(kinds) <= {DIAGONAL, FREE} and term.op in (ops.ADD, ops.TRANSPOSE, ops.SCALE)
            return DIAGONAL if kept else self._other(term)
        if term.op is ops.DIAG and kinds == [ALIGNED] and term.args[0].cols is ONE:
            return DIAGONAL
        if term.op in (ops.LOGSUMEXPROWS, ops.SOFTMAXROWS) and self._counts(term.args[0].rows):
            return ALIGNED
        return self._other(term)

    def _other(self, term: Term) -> Refused:
        return Refused(f"{_shown(term)} mixes the samples, or puts them one after the other")

    def _second_pass(self, arg: Term, term: Term) -> Refused:
        return Refused(f"{_shown(term)} needs {_shown(arg)}, which is known after a pass over all samples only")

    def _product(self, term: Term) -> Kind:
        """A product; where the samples are contracted, the factors between are a sum of their own."""
        refused = next((kind for kind in map(self.kinds.__getitem__, term.args) if isinstance(kind, Refused)), None)
        if refused is not None:
            return refused
        if any(self.kinds[f] == SCALED for f in term.args):
            parts = [self.scaled.get(f, (build.num(1), f)) for f in term.args]
            product = build.mul(*(array for _, array in parts))
            kind = self.kinds[product] = self._product(product)
            scalar = build.times(*(scalar for scalar, _ in parts))
            if kind == ALIGNED:
                return self._scaled(term, scalar, product)
            return self._instead(term, build.smul(self._replaced(scalar), self._replaced(product)), kind)
        factors = term.args
        kinds = [self.kinds[f] for f in factors]
        if not any(kind in (ALIGNED, DIAGONAL) for kind in kinds):
            if SUMMED in kinds and self._bound(term, kinds):
                return self._still_summed(term, kinds)
            return FREE if all(kind == FREE for kind in kinds) else DONE
        sides = [self._counts(factors[0].rows), *(self._counts(f.cols) for f in factors)]
        if sides[0] and sides[-1]:
            return self._other(term) if any(not side for side in sides) or ALIGNED in kinds else DIAGONAL
        if sides[0] or sides[-1]:
            outer = next((f for f, kind in zip(factors, kinds, strict=True) if kind in (DONE, SUMMED)), None)
            if outer is not None:
                return self._second_pass(outer, term)
            inside = sides[: sides.index(False)] if sides[0] else sides[len(sides) - sides[::-1].index(False) :]
            if sum(sides) == len(inside):
                return ALIGNED
            return Refused(f"{_shown(term)} needs a sum over the samples first, which takes a second pass")
        return self._contracted(term, kinds, sides)

    def _contracted(self, term: Term, kinds: Sequence[Kind], sides: Sequence[bool]) -> Kind:
        """A product without samples at its ends: one sum over them, or several."""
        factors = term.args
        runs: list[tuple[int, int]] = []
        at = 0
        while at < len(factors):
            if not sides[at + 1]:
                at += 1
                continue
            end = at + 1
            while sides[end]:
                end += 1
            runs.append((at, end))
            at = end
        for start, end in runs:
            for place in range(start, end):
                if kinds[place] in (DONE, SUMMED):
                    return self._second_pass(factors[place], term)
        starts, ends = [start for start, _ in runs], [end for _, end in runs]
        for place in range(len(runs)):
            limit = starts[place + 1] if place + 1 < len(runs) else len(factors)
            while ends[place] < limit and kinds[ends[place]] == FREE:
                ends[place] += 1
        while starts[0] > 0 and kinds[starts[0] - 1] == FREE:
            starts[0] -= 1
        if starts == [0] and ends == [len(factors)]:
            return self._sum(term)
        if term.indices:
            return Refused(f"{_shown(term)} is a product of sums for each value of an index")
        pieces: list[Term] = []
        at = 0
        for start, end in zip(starts, ends, strict=True):
            pieces += [self._replaced(f) for f in factors[at:start]]
            part = build.mul(*factors[start:end])
            self.kinds[part] = self._sum(part)
            pieces.append(self._replaced(part))
            at = end
        pieces += [self._replaced(f) for f in factors[at:]]
        return self._instead(term, build.mul(*pieces), DONE)

    # ------------------------------------------------------------ sums

    def _sum(self, term: Term) -> Kind:
        """A sum over the samples; it gets a symbol where it is the same for all indices around."""
        if not term.indices:
            self.symbols.setdefault(term, build.sym(Symbol(self._name(term), term.rows, term.cols)))
        return SUMMED

    def _name(self, term: Term) -> str:
        names = {t: name for name, t in self.found.sums.items()}
        if term not in names:
            self.found.sums[f"sum{len(names) + 1}"] = term
            return f"sum{len(names) + 1}"
        return names[term]

    def _instead(self, term: Term, value: Term, kind: Kind) -> Kind:
        if isinstance(kind, Refused):
            return kind
        if term.indices:
            return Refused(f"{_shown(term)} is not summed over the samples for each value of an index")
        self.symbols[term] = value
        return DONE

    def _replaced(self, term: Term) -> Term:
        return replace(term, self.symbols)

    def _bound(self, term: Term, kinds: Sequence[Kind]) -> bool:
        """True when an operand is a sum for each value of an index, which no symbol can stand for."""
        return any(kind == SUMMED and arg.indices for arg, kind in zip(term.args, kinds, strict=True))

    def _still_summed(self, term: Term, kinds: Sequence[Kind]) -> Kind:
        """Linear operations on sums for each value of an index are such sums."""
        linear = term.op in _LINEAR or term.op is ops.SUM
        product = term.op in _PRODUCTS and sorted(map(str, kinds)) == sorted([SUMMED, *[FREE] * (len(kinds) - 1)])
        if product or (linear and all(kind == SUMMED for kind in kinds)):
            return SUMMED if term.op is ops.FAMILY else self._sum(term)
        return Refused(f"{_shown(term)} is not linear in sums over the samples for each value of an index")

    def _sample_by_sample(self, term: Term) -> str | None:
        """Why a sum over the samples does not use one of them at a time; None where it does."""
        index, _ = term.attr
        body = term.args[0]
        if index.hi - index.lo + 1 is not dim(self.size):
            return f"{_shown(term)} does not run over all samples"
        for node in postorder(body):
            if node.op is ops.MEMBER and self._data(node.attr.family):
                family = node.attr.family.index
                if node.attr.at is not dim(index) or (family.lo, family.hi) != (index.lo, index.hi):
                    return f"{_shown(term)} uses several samples at a time"
                continue
            if self._one_entry(node, index):
                continue
            if any(arg.op is ops.SYM and self._data(arg.attr) for arg in node.args):
                return f"{_shown(term)} uses several samples at a time"
            dims = attr_dims(node.attr) if node.op is ops.SYM else [node.rows, node.cols, *attr_dims(node.attr)]
            if any(map(self._counts, dims)) or index in {a for d in dims for a in _indices(d)}:
                return f"{_shown(term)} depends on the place of a sample among the others"
        return None

    def _one_entry(self, node: Term, index: Index) -> bool:
        """True for an entry of the row (or the column) that belongs to the sample at the index."""
        if node.op is not ops.ENTRY or node.args[0].op is not ops.SYM or index.lo is not ONE:
            return False
        array, (i, j) = node.args[0], node.attr
        sides = ((array.rows, i, array.cols, j), (array.cols, j, array.rows, i))
        return any(
            side is dim(self.size) and at is dim(index) and not self._counts(length) and index not in _indices(other)
            for side, at, length, other in sides
        )

    def _data(self, source: Source) -> bool:
        return any(map(self._counts, _dims(source)))

    def _through_samples(self, term: Term) -> bool:
        dims = attr_dims(term.attr) if isinstance(term.attr, Range) or term.op.binder else []
        return any(map(self._counts, dims))


def _parts(result: Term | Mapping[Hashable, Term]) -> Iterable[tuple[Hashable, Term]]:
    return [("", result)] if isinstance(result, Term) else list(result.items())


def _dims(source: Source) -> list[Dim]:
    ends = [source.index.lo, source.index.hi] if isinstance(source, Family) else []
    return [source.rows, source.cols, *ends]


def _names(d: Dim) -> set[Atom]:
    """All sizes in a dimension, those of the arguments of sizes that depend on an index too."""
    found: set[Atom] = set()
    for atom in d.atoms():
        found |= {atom, *_names(atom.arg)} if isinstance(atom, SizeAt) else {atom}
    return found


def _indices(d: Dim) -> set[Atom]:
    return {a for a in _names(d) if isinstance(a, Index)}


def _shown(term: Term) -> str:
    from ..output.text import to_text
    from .writer import shortened

    return shortened(" ".join(to_text(term).split()), 60)
