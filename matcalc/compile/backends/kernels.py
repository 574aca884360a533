"""C kernels: entrywise expressions in one loop over the entries, with the sums over it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from ...terms import ops
from ...terms.term import Term
from .. import primitives as p

HEAD = """\
#include <math.h>
#if defined VECTOR_MATH && defined __GNUC__ && !defined __clang__
#define VECTOR __attribute__((simd("notinbranch")))
VECTOR double exp(double); VECTOR double log(double); VECTOR double sin(double); VECTOR double cos(double);
VECTOR double pow(double, double);
#if VECTOR_MATH == 2
VECTOR double log1p(double); VECTOR double tan(double); VECTOR double tanh(double); VECTOR double erf(double);
VECTOR double sinh(double); VECTOR double cosh(double); VECTOR double erfc(double);
VECTOR double asin(double); VECTOR double acos(double); VECTOR double atan(double);
VECTOR double asinh(double); VECTOR double acosh(double); VECTOR double atanh(double);
#endif
#endif
"""
"""glibc's vector functions by their declarations: -ffast-math, which usually brings them, breaks infinities and NaN."""

FUNCTIONS = {
    "exp": "exp({0})",
    "log": "log({0})",
    "sqrt": "sqrt({0})",
    "square": "{0} * {0}",
    "abs": "fabs({0})",
    "sign": "{0} > 0 ? 1.0 : {0} < 0 ? -1.0 : {0}",
    "step": "{0} > 0 ? 1.0 : {0} <= 0 ? 0.0 : {0}",
    "sin": "sin({0})",
    "cos": "cos({0})",
    "tan": "tan({0})",
    "asin": "asin({0})",
    "acos": "acos({0})",
    "atan": "atan({0})",
    "sinh": "sinh({0})",
    "cosh": "cosh({0})",
    "tanh": "tanh({0})",
    "asinh": "asinh({0})",
    "acosh": "acosh({0})",
    "atanh": "atanh({0})",
    "sigmoid": "({0} >= 0 ? 1.0 : {1}) / (1.0 + {1})",
    "relu": "{0} <= 0 ? 0.0 : {0}",
    "softplus": "({0} <= 0 ? 0.0 : {0}) + log1p({1})",
    "erf": "erf({0})",
    "erfc": "erfc({0})",
}
"""Of the argument {0}; {1} is exp(-|x|), so that nothing overflows.  NaN stays NaN."""


@dataclass
class Kernel:
    """One loop: its inputs, the lines of its body, what it stores and what it sums up; ``over`` says for what is
    stored in place of an input which input that is."""

    name: str
    arrays: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    values: list[str] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)
    stored: list[str] = field(default_factory=list)
    summed: list[str] = field(default_factory=list)
    formulas: list[str] = field(default_factory=list)
    over: dict[str, str] = field(default_factory=dict)

    def source(self) -> str:
        """The C function."""
        written = set(self.over.values())
        takes = [f"{'' if a in written else 'const '}double *restrict {a}_" for a in self.arrays]
        takes += [f"double {c}" for c in self.numbers]
        gives = [f"double *restrict {v}_" for v in self.stored if v not in self.over]
        gives += ["double *restrict sums_"] if self.summed else []
        parts = [f"part{k}" for k in self._places()]
        pragma = f"#pragma omp simd{f' reduction(+:{chr(44).join(parts)})' if parts else ''}"
        body = [
            *(f"double {a} = {a}_[i];" for a in self.arrays),
            *self.lines,
            *(f"{self.over.get(v, v)}_[i] = {v};" for v in self.stored),
            *(f"part{k} += {self.summed[k]};" for k in self._places()),
        ]
        return "\n".join(
            [
                *(f"/* {formula.replace('*/', '* /')} */" for formula in self.formulas),
                f"void {self.name}(long n, {', '.join([*takes, *gives])})",
                "{",
                *(f"    double s{k} = 0.0;" for k in self._places()),
                "    for (long from = 0; from < n; from += 1024) {  /* partial sums, for their accuracy */",
                "        long to = from + 1024 < n ? from + 1024 : n;",
                *(f"        double {part} = 0.0;" for part in parts),
                pragma,
                "        for (long i = from; i < to; i++) {",
                *("            " + line for line in body),
                "        }",
                *(f"        s{k} += part{k};" for k in self._places()),
                "    }",
                *(f"    sums_[{k}] = s{k};" for k in self._places()),
                "}",
            ]
        )

    def _places(self) -> range:
        return range(len(self.summed))


def statements(name: str, term: Term, args: Sequence[str]) -> list[str]:
    """The C statements that give ``name`` the value of an entrywise operation."""
    if term.op is ops.FUN:
        template = FUNCTIONS[term.attr]
        if "{1}" in template:
            small = f"{name}e"
            return [f"double {small} = exp(-fabs({args[0]}));", f"double {name} = {template.format(args[0], small)};"]
        return [f"double {name} = {template.format(args[0])};"]
    if term.op is ops.POW:
        exponent = term.args[1]
        text = _fixed_power(args[0], exponent.attr) if exponent.op is ops.NUM else None
        return [f"double {name} = {text or f'pow({args[0]}, {args[1]})'};"]
    if term.op is p.CAPPED_EXP:
        return [f"double {name} = exp({args[0]} > 700 ? 700 : {args[0]});"]
    sign = " + " if term.op is ops.ADD else " * "
    return [f"double {name} = {sign.join(args)};"]


def summand(term: Term, args: Sequence[str]) -> str:
    """What a sum over the entries adds for each."""
    if term.op is ops.TOTAL:
        return args[0]
    if term.op is p.EXCESS:
        return f"({args[0]} > 700 ? {args[0]} - 700 : 0)"
    return f"log1p({args[0]})" if term.op is p.SUM_LOG1P else f"{args[0]} * {args[-1]}"


def _fixed_power(base: str, power: int | Fraction) -> str | None:
    size = power if power > 0 else -power
    if size == Fraction(1, 2):
        text = f"sqrt({base})"
    elif isinstance(size, int) and size <= 4:
        text = " * ".join([base] * size)
    else:
        return None
    return text if power > 0 else f"1.0 / ({text})"


def number(value: int | Fraction) -> str | None:
    """A number as a C literal of a double; None where it is none."""
    return repr(float(value)) if -(10**300) < value < 10**300 else None


_KEYWORDS = """auto break case char const continue default do double else enum extern float for goto if inline int
long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while
from to i n j0 j1 jn y0 y1 yn gamma"""
_PATTERNS = ("f?abs", "log1p", "pow", r"[acvs]\d+e?", r"part\d+", r"_\w*")
_TAKEN = re.compile("|".join([*_KEYWORDS.split(), *FUNCTIONS, *_PATTERNS]))


def speaking(name: str) -> bool:
    """True for a name that can be the name of a variable in C as well."""
    return name.isidentifier() and name.isascii() and not name.endswith("_") and not _TAKEN.fullmatch(name)
