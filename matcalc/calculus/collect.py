"""Sums factored: ``A*x - A*b`` as ``A*(x - b)``, ``tr(A) + tr(B)`` as ``tr(A + B)``.

A bounded search: from a sum, every factor that some addends share may be taken out, every linear
operation around some addends may be drawn together; the cheapest few forms are kept and go on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from functools import partial
from math import gcd, lcm
from typing import Any, NamedTuple

from ..terms import build, ops
from ..terms.arithmetic import coefficient
from ..terms.dims import Index, dim
from ..terms.ops import Op
from ..terms.term import Term
from ..terms.walk import substitute_indices
from .addends import MAKE, Addend, Power, as_power, cost, join, negated, raised, split, unsigned
from .fractions import denominators, over_one
from .squares import squared

WIDTH = 3
"""So many forms of a sum are followed at a time."""

MAX_FORMS = 400
"""So many forms are looked at for one sum, those of the sums inside them counted; a long one counts as several."""

LONG = 50
"""A form counts once more for each so many nodes, written out."""

ONE_DENOMINATOR = 5
"""So many forms count the search for what cancels over one denominator."""

MAX_ADDENDS = 24
"""Of sums with more addends only the largest common factor is taken out, step by step."""

RUNNING = 1_000_001
"""The level of an index until the constructor gives it its own; of one inside another, the next."""

Simplify = Callable[[Term], Term]

HEADS = frozenset({ops.TR, ops.TOTAL, ops.VEC, ops.UNVEC, ops.DIAG, ops.DIAGONAL, ops.ENTRY, ops.SUM})
"""Linear operations of one argument: L(A) + L(B) is L(A + B)."""


# ---------------------------------------------------------------- what addends share


_OTHER = (ops.HAD, ops.KRON)


class Common(NamedTuple):
    """What some addends share: how it is taken out of one, how it is put before their sum."""

    members: tuple[int, ...]
    saving: int
    take: Callable[[int], Term]
    put: Callable[[Term], Term]
    identity: bool = False
    """Nothing but an identity is left of some member."""


def _shared(parts: list[Addend]) -> Iterable[Common]:
    yield from _scalars(parts)
    yield from _entrywise(parts)
    yield from _ends(parts)
    yield from _heads(parts)


def _grouped(keys: Iterable[tuple[Any, int, int]]) -> dict[Any, dict[int, int]]:
    """Which addends have a key, with what sign; keys of one addend only are left out."""
    found: dict[Any, dict[int, int]] = {}
    for key, member, sign in keys:
        found.setdefault(key, {})[member] = sign
    return {key: members for key, members in found.items() if len(members) > 1}


def _key(power: Power) -> tuple[Any, int]:
    """What powers of one base have in common, and the sign of this one's base."""
    base, exponent = power
    if base.op is not ops.ADD:
        return (base, exponent > 0, 1), 1
    if isinstance(exponent, Fraction):
        return (base, exponent > 0, exponent.denominator), 1
    sign, positive = unsigned(base)
    return (positive, exponent > 0, 1), sign


def _scalars(parts: list[Addend]) -> Iterable[Common]:
    yield from _powers(parts, range(len(parts)), _scalar_powers, _with_scalars, build.smul)


def _scalar_powers(part: Addend) -> tuple[Power, ...]:
    return part.scalars


def _with_scalars(part: Addend, powers: tuple[Power, ...]) -> Addend:
    return part._replace(scalars=powers)


def _entrywise(parts: list[Addend]) -> Iterable[Common]:
    having = [i for i, p in enumerate(parts) if p.kind is ops.HAD or (p.kind is None and _is_array(p))]
    if any(parts[i].kind is ops.HAD for i in having):
        yield from _powers(parts, having, _hadamard_powers, _with_hadamard, build.had)


def _is_array(part: Addend) -> bool:
    return bool(part.factors) and not part.factors[0].is_scalar


def _hadamard_powers(part: Addend) -> tuple[Power, ...]:
    return tuple(map(as_power, part.factors))


def _with_hadamard(part: Addend, powers: tuple[Power, ...]) -> Addend:
    shape = part.factors[0]
    left = tuple(map(raised, powers)) or (build.ones(shape.rows, shape.cols),)
    return part._replace(factors=left, kind=ops.HAD)


def _powers(
    parts: list[Addend],
    having: Iterable[int],
    powers_of: Callable[[Addend], tuple[Power, ...]],
    with_powers: Callable[[Addend, tuple[Power, ...]], Addend],
    combine: Callable[[Term, Term], Term],
) -> Iterable[Common]:
    """The powers that addends have at least: of all bases that the same addends have, at once."""
    found: dict[Any, dict[int, tuple[int, int]]] = {}
    for i in having:
        for at, power in enumerate(powers_of(parts[i])):
            if power[0].op is not ops.NUM:
                key, sign = _key(power)
                found.setdefault(key, {}).setdefault(i, (at, sign))  # a - b may stand beside b - a: one of them
    together: dict[frozenset[int], list[_Shared]] = {}
    for key, members in found.items():
        if len(members) > 1:
            first = min(members)
            exponents = [powers_of(parts[i])[at][1] for i, (at, _) in members.items()]
            common = min(exponents) if key[1] else max(exponents)
            base = powers_of(parts[first])[members[first][0]][0]
            together.setdefault(frozenset(members), []).append(_Shared((base, common), members))
    for among, shared in together.items():
        factors = [raised(one.power) for one in shared]

        def take(i: int, shared: list[_Shared] = shared, first: int = min(among)) -> Term:
            left: list[Power | None] = list(powers_of(parts[i]))
            number = parts[i].number
            for (_, common), members in shared:
                at, sign = members[i]
                base, exponent = powers_of(parts[i])[at]
                left[at] = (base, exponent - common) if exponent != common else None
                if sign != members[first][1] and common % 2 == 1:
                    number = -number
            part = with_powers(parts[i], tuple(power for power in left if power is not None))
            return join(part._replace(number=number))

        saving = (len(among) - 1) * sum(factor.weight for factor in factors)
        yield Common(tuple(sorted(among)), saving, take, partial(_combined, combine, factors))


class _Shared(NamedTuple):
    """A power that addends share: where each has it, and the sign of its base there."""

    power: Power
    members: dict[int, tuple[int, int]]


def _combined(combine: Callable[[Term, Term], Term], factors: list[Term], rest: Term) -> Term:
    for factor in factors:
        rest = combine(factor, rest)
    return rest


def _ends(parts: list[Addend]) -> Iterable[Common]:
    """Common first factors and common last factors, the longest runs of them."""
    chains = [p._replace(factors=(MAKE[p.kind](*p.factors),), kind=None) if p.kind in _OTHER else p for p in parts]
    for last in (False, True):
        yield from _runs(chains, ops.MUL, last)
        yield from _runs(parts, ops.KRON, last)


def _runs(parts: list[Addend], kind: Op, last: bool) -> Iterable[Common]:
    def keys() -> Iterable[tuple[Any, int, int]]:
        for i, part in enumerate(parts):
            if part.kind is not kind and (part.kind is not None or not part.factors or kind is ops.KRON):
                continue
            sign, run = 1, tuple[Term, ...]()
            for factor in part.factors[::-1] if last else part.factors:
                turned, positive = unsigned(factor)
                sign, run = sign * turned, (*run, positive)
                yield run, i, sign

    longest: dict[tuple[tuple[int, ...], bool], tuple[Any, dict[int, int]]] = {}
    for run, members in _grouped(keys()).items():
        whole = [i for i in members if len(parts[i].factors) == len(run)]
        if whole and not _identity_fits(parts, members, len(run), kind, last):
            continue
        who = tuple(members), bool(whole)
        if who not in longest or len(longest[who][0]) < len(run):
            longest[who] = (run, members)
    for run, members in longest.values():
        yield _of_run(parts, run, members, kind, last)


def _identity_fits(parts: list[Addend], members: dict[int, int], length: int, kind: Op, last: bool) -> bool:
    """True when what is left of the addends is square, so that ``A*B + A`` is ``A*(B + I)``."""
    if kind is ops.KRON:
        return False
    rest = [parts[i].factors[:-length] if last else parts[i].factors[length:] for i in members]
    left = [r for r in rest if r]
    return not left or all(r[0].rows is r[-1].cols for r in left)


def _of_run(parts: list[Addend], run: tuple[Term, ...], members: dict[int, int], kind: Op, last: bool) -> Common:
    length = len(run)
    first = parts[min(members)]
    taken = first.factors[-length:] if last else first.factors[:length]
    factor = MAKE[kind](*taken)
    sign_of_first = members[min(members)]

    def take(i: int) -> Term:
        part = parts[i]
        left = part.factors[:-length] if last else part.factors[length:]
        sign = members[i] * sign_of_first
        if not left and not all(len(parts[j].factors) == length for j in members):
            left = (build.eye(factor.rows if last else factor.cols),)
        return join(part._replace(number=sign * part.number, factors=left, kind=kind))

    def put(rest: Term) -> Term:
        if kind is ops.KRON:
            return build.kron(rest, factor) if last else build.kron(factor, rest)
        return build.mul(rest, factor) if last else build.mul(factor, rest)

    identity = any(len(parts[i].factors) == length for i in members)
    return Common(tuple(members), (len(members) - 1) * factor.weight, take, put, identity)


def _turned(parts: list[Addend], simplify: Simplify) -> Iterable[list[Addend]]:
    """Of scalars such as ``x'*y - z'*x`` some transposed, so that they end alike: ``y'*x - z'*x``."""
    ends: dict[Term, dict[int, bool]] = {}
    for i, part in enumerate(parts):
        if part.kind is ops.MUL:
            for turned, factor in ((False, part.factors[-1]), (True, simplify(build.transpose(part.factors[0])))):
                ends.setdefault(unsigned(factor)[1], {}).setdefault(i, turned)
    for members in ends.values():
        if len(members) > 1 and len(set(members.values())) > 1:
            yield [
                part._replace(factors=tuple(simplify(build.transpose(f)) for f in part.factors[::-1]))
                if members.get(i)
                else part
                for i, part in enumerate(parts)
            ]


def _heads(parts: list[Addend]) -> Iterable[Common]:
    def keys() -> Iterable[tuple[Any, int, int]]:
        for i, part in enumerate(parts):
            head = _head(part)
            if head is not None:
                inside = head.args[0]
                attr = (head.attr.index.lo, head.attr.index.hi) if head.op is ops.SUM else head.attr
                yield (head.op, attr, inside.rows, inside.cols), i, 1

    for members in _grouped(keys()).values():
        heads = {i: head for i in members if (head := _head(parts[i])) is not None}
        example = heads[min(heads)]
        running = _running(example.attr.index, *heads.values()) if example.op is ops.SUM else None
        wrap = partial(_wrap, example, running)
        yield Common(tuple(members), len(members), partial(_unwrap, parts, heads, running), wrap)


def _head(part: Addend) -> Term | None:
    """The linear operation that an addend consists of, but for scalars."""
    if part.kind is None and len(part.factors) == 1 and part.factors[0].op in HEADS:
        return part.factors[0]
    if not part.factors:
        return next((base for base, exponent in part.scalars if exponent == 1 and base.op in HEADS), None)
    return None


def _unwrap(parts: list[Addend], heads: dict[int, Term], running: Index | None, i: int) -> Term:
    part, head = parts[i], heads[i]
    inside = head.args[-1]
    if running is not None:
        inside = substitute_indices(inside, {head.attr.index: dim(running)})
    others = part.scalars
    if part.factors:
        scalar = join(part._replace(factors=(), kind=None))
    else:
        at = next(k for k, (base, exponent) in enumerate(others) if base is head and exponent == 1)
        scalar = join(part._replace(scalars=others[:at] + others[at + 1 :]))
    return build.smul(scalar, inside)


def _running(index: Index, *terms: Term) -> Index:
    """An index of that range which occurs free in none of the terms: they may stand inside a sum that is collected."""
    taken = [i.level for term in terms for i in term.indices if i.level >= RUNNING]
    return Index(max(taken, default=RUNNING - 1) + 1, index.lo, index.hi, index.step)


def _wrap(example: Term, running: Index | None, inside: Term) -> Term:
    if running is not None:
        return build.sum_over(running, inside)
    return build.with_args(example, (inside,))


def _blocks(total: Term) -> Iterable[Term]:
    """Matrices of blocks alike in their division added block by block."""
    groups: dict[Any, list[Term]] = {}
    for addend in total.args:
        part = split(addend)
        if part.kind is None and part.factors and part.factors[0].op is ops.BLOCK:
            block = part.factors[0]
            groups.setdefault((block.attr, tuple(a.shape for a in block.args)), []).append(addend)
    for addends in groups.values():
        if len(addends) > 1:
            parts = list(map(split, addends))
            scalars = [join(part._replace(factors=())) for part in parts]
            rows = zip(*(part.factors[0].args for part in parts), strict=True)
            inside = [build.add(*map(build.smul, scalars, row)) for row in rows]
            whole = build.with_args(parts[0].factors[0], tuple(inside))
            yield build.add(whole, *(a for a in total.args if a not in addends))


def _written_out(total: Term) -> Iterable[Term]:
    """``A + B + (A + B)*C`` as ``(A + B)*(C + I)``: a sum is a factor of one addend, and there written out."""
    there = {core: number for number, core in map(coefficient, total.args)}
    for addend in total.args:
        part = split(addend)
        if part.kind is not ops.MUL:
            continue
        for factor, rest, last in (
            (part.factors[0], part.factors[1:], False),
            (part.factors[-1], part.factors[:-1], True),
        ):
            inside = list(map(coefficient, factor.args)) if factor.op is ops.ADD else []
            ratios = {Fraction(there.get(core, 0)) / Fraction(number) for number, core in inside}
            if len(ratios) != 1 or not (ratio := ratios.pop()) or rest[0].rows is not rest[-1].cols:
                continue
            cores = {core for _, core in inside}
            left = build.add(build.smul(build.num(ratio), build.eye(rest[0].rows)), join(part._replace(factors=rest)))
            whole = build.mul(left, factor) if last else build.mul(factor, left)
            yield build.add(whole, *(a for a in total.args if a is not addend and coefficient(a)[1] not in cores))


def _summand(addend: Term, whole: Term) -> tuple[Index, Term]:
    """The index of the sum that is a factor of an addend, and what the addend adds up."""
    part = split(addend)
    factor = _sums(part)[0]
    total = factor if factor.op is ops.SUM else factor.args[0]
    running = _running(total.attr.index, whole)
    body = substitute_indices(total.args[0], {total.attr.index: dim(running)})
    body = body if factor is total else build.transpose(body)
    return running, join(part._replace(factors=tuple(body if f is factor else f for f in part.factors)))


def _sums(part: Addend) -> list[Term]:
    """The sums over an index among the factors; where there is none, the transposed ones."""
    plain = [f for f in part.factors if f.op is ops.SUM]
    return plain or [f for f in part.factors if f.op is ops.TRANSPOSE and f.args[0].op is ops.SUM]


def with_constants(total: Term) -> Iterable[Term]:
    """``sum(i=1..N, a[i]) - N*b`` as ``sum(i=1..N, a[i] - b)``."""
    parts = list(map(split, total.args))
    for addend, part in zip(total.args, parts, strict=True):
        factors = part.factors or tuple(base for base, _ in part.scalars)
        if len(factors) != 1 or factors[0].op is not ops.SUM or (part.factors and part.scalars):
            continue
        index = factors[0].attr.index
        running = _running(index, total)
        body = substitute_indices(factors[0].args[0], {index: dim(running)})
        count = build.integer(running.hi - running.lo + 1), 1
        fixed = {a: p for a, p in zip(total.args, parts, strict=True) if count in p.scalars and a is not addend}
        if fixed:
            share = [
                p._replace(number=Fraction(p.number) / part.number, scalars=_without(p.scalars, count))
                for p in fixed.values()
            ]
            whole = build.sum_over(running, build.add(body, *map(join, share)))
            yield build.add(
                build.smul(build.num(part.number), whole),
                *(a for a in total.args if a is not addend and a not in fixed),
            )


def _without(powers: tuple[Power, ...], taken: Power) -> tuple[Power, ...]:
    at = powers.index(taken)
    return powers[:at] + powers[at + 1 :]


# ---------------------------------------------------------------- the search


class Collector:
    """Factors sums; what it has found it remembers."""

    def __init__(self, simplify: Simplify) -> None:
        self.simplify = simplify
        self.known: dict[Term, Term] = {}
        self.left: int | None = None
        """How many forms may still be looked at, in all the sums inside one another."""

    def __call__(self, total: Term) -> Term:
        """The cheapest form found of a sum; of any other term, itself."""
        if total.op is not ops.ADD:
            return total
        found = self.known.get(total)
        if found is None:
            self.known[total] = total  # the search does not enter the same sum twice
            outermost = self.left is None
            self.left = MAX_FORMS if self.left is None else self.left
            best: Term | None = None
            try:
                found = best = min(self._search(total), key=cost)
            finally:
                if best is None or not (outermost or self.left):  # cut short: not what it would be alone
                    del self.known[total]
                else:
                    self.known[total] = best
                if outermost:
                    self.left = None
        return found

    def product(self, total: Term) -> Term:
        """The cheapest form found of a sum that is a product, if there is one."""
        forms = list(self._search(total)) if total.op is ops.ADD else [total]
        products = [form for form in forms if coefficient(form)[1].op is not ops.ADD]
        return min(products or forms, key=cost)

    def _search(self, total: Term) -> Iterable[Term]:
        """Forms of a sum, of equal ones the better first."""
        start = without_common_number(total)
        yield start
        yield total
        number, core = coefficient(start)
        if core.op is ops.ADD and core.is_scalar:
            turned = build.times(build.num(-number), negated(core))
            if cost(turned)[0] < cost(start)[0]:
                yield turned
        frontier = [start]
        seen = {start}
        for _ in range(len(total.args)):
            forms = []
            for form in frontier if self.left != 0 else ():
                for new in self._forms(form):
                    if self.left is not None:
                        if not self.left:
                            break
                        self.left = max(0, self.left - 1 - new.weight // LONG)
                    if new not in seen:
                        seen.add(new)
                        forms.append((cost(new), new.key, new))
            if not forms:
                break
            forms.sort(key=lambda f: f[:2])
            frontier = [f[2] for f in forms[:WIDTH]]
            yield from frontier

    def _forms(self, form: Term) -> Iterable[Term]:
        number, core = coefficient(form)
        if core.op is not ops.ADD:
            return
        parts = [split(a) for a in core.args]
        for turned in (parts, *(_turned(parts, self.simplify) if core.is_scalar else ())):
            for common in _choices(list(_shared(turned)), len(parts)):
                rest = self(self.simplify(build.add(*map(common.take, common.members))))
                others = [a for i, a in enumerate(core.args) if i not in common.members]
                yield build.smul(build.num(number), build.add(self.simplify(common.put(rest)), *others))
        for other in (*squared(core, self.simplify), *_blocks(core), *_written_out(core), *self._one_sum(core)):
            yield build.smul(build.num(number), other)
        found = denominators(core)
        if self.left is not None:
            self.left = max(0, self.left - ONE_DENOMINATOR * len(found))
        for numerator, under in over_one(core, found, self.simplify):
            yield build.smul(build.num(number), self.simplify(under.put(under.back, self(numerator))))

    def _one_sum(self, total: Term) -> Iterable[Term]:
        """Sums over one range as one, also where they are factors: ``sum(i, a[i]) - sum(i, b[i])*C``."""
        ranged: dict[Any, list[Term]] = {}
        for addend in total.args:
            sums = _sums(split(addend))
            if len(sums) == 1:
                index = (sums[0] if sums[0].op is ops.SUM else sums[0].args[0]).attr.index
                ranged.setdefault((index.lo, index.hi), []).append(addend)
        for addends in ranged.values():
            if len(addends) > 1:
                inside = [_summand(a, total) for a in addends]
                body = self(self.simplify(build.add(*(body for _, body in inside))))
                whole = self.simplify(build.sum_over(inside[0][0], body))
                yield build.add(whole, *(a for a in total.args if a not in addends))


def _choices(found: list[Common], count: int) -> list[Common]:
    """What is worth trying: what all addends share, else the best for each set of addends."""
    best: dict[tuple[tuple[int, ...], bool], Common] = {}
    for common in found:
        known = best.get((common.members, common.identity))
        if known is None or common.saving > known.saving:
            best[common.members, common.identity] = common
    every = [common for common in best.values() if len(common.members) == count]
    if every:
        return every
    if count > MAX_ADDENDS:
        return sorted(best.values(), key=lambda c: -c.saving)[:1]
    return list(best.values())


def without_common_number(total: Term) -> Term:
    """``2*a + 2*b`` as ``2*(a + b)``; ``-a - b`` as ``-(a + b)``."""
    numbers = [Fraction(coefficient(a)[0]) for a in total.args]
    top, bottom = 0, 1
    for n in numbers:
        top, bottom = gcd(top, n.numerator), lcm(bottom, n.denominator)
    common = Fraction(top, bottom)
    if all(n < 0 for n in numbers):
        common = -common
    if common == 1:
        return total
    if common.denominator != 1 and any(n.denominator != common.denominator for n in numbers):
        return total
    inverse = build.num(1 / common)
    return build.smul(build.num(common), build.add(*(build.smul(inverse, a) for a in total.args)))
