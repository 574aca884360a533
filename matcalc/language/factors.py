"""Products, powers and dotted sums of terms as they are read, from the left."""

from __future__ import annotations

from ..errors import MatcalcError
from ..terms import build, ops
from ..terms.term import Term


class Factors:
    """A product read from the left; runs of scalars and of ``.*`` are multiplied at once."""

    def __init__(self, first: Term) -> None:
        self.run = [first]
        self.scalars = first.is_scalar
        self.dotted = False

    def append(self, term: Term, dotted: bool) -> None:
        """One more factor on the right."""
        together = (term.is_scalar or dotted) if self.scalars else (self.dotted and dotted)
        if together:
            self.run.append(term)
            self.dotted = self.dotted or dotted
            self.scalars = self.scalars and term.is_scalar
            return
        left = self.product()
        self.run = [left, term] if dotted else [build.mul(left, term)]
        self.dotted = dotted
        self.scalars = all(factor.is_scalar for factor in self.run)

    def product(self) -> Term:
        """The product of what was read so far."""
        if len(self.run) == 1:
            return self.run[0]
        return build.had(*self.run) if self.dotted else build.times(*self.run)


def power_of(base: Term, exponent: Term) -> Term:
    """A power entry by entry, without dividing by zero."""
    if base is build.ZERO_NUM and exponent.op is ops.NUM and exponent.attr < 0:
        raise MatcalcError("division by zero")
    return build.power_of(base, exponent)


def spread(terms: list[Term], term: Term) -> tuple[list[Term], Term]:
    """A scalar on either side of ``.+``, added to every entry of the other."""
    shape = next((t for t in terms if t is not build.ZERO_NUM), terms[0])
    if term.is_scalar and not shape.is_scalar:
        return terms, build.scale(term, build.ones(shape.rows, shape.cols))
    if shape.is_scalar and not term.is_scalar:
        return [build.scale(build.add(*terms), build.ones(term.rows, term.cols))], term
    return terms, term
