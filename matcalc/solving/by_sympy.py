"""Scalar equations that no strategy of our own solves, handed to SymPy where it is installed.

A solution is taken over if it is written with functions of the language, and if it alone is real, of the sign that is
known, and solves the equation at random values of the constants.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from random import Random
from typing import Any

from ..calculus.system import System
from ..terms import build, ops
from ..terms.build import coefficient
from ..terms.term import Term
from ..terms.walk import contains, postorder, size
from .equation import Equation
from .strategies import Move

MAX_SIZE = 40
"""Larger equations are not handed over."""

TRIALS = 5
TOLERANCE = 1e-8

FUNCTIONS = ("exp", "log", "asin", "acos", "atan", "sinh", "cosh", "tanh")


def by_sympy(system: System, equation: Equation, unknown: Term) -> Iterator[Move]:
    """The one real solution that SymPy finds."""
    residual = equation.residual
    if not unknown.is_scalar or not residual.is_scalar or size(residual) > MAX_SIZE:
        return
    try:
        import sympy
    except ImportError:
        return
    x = sympy.Symbol("x", positive=True if system.facts.has(unknown, "positive") else None)
    constants: dict[Term, Any] = {}
    expression = _to_sympy(sympy, system, residual, unknown, x, constants)
    if expression is None:
        return
    try:
        found = sympy.solve(expression, x)
    except (NotImplementedError, ValueError, TypeError, AttributeError, RecursionError):
        return  # SymPy has no answer: it says so by the first of these, and fails inside by the others
    real = [s for s in found if _holds(sympy, expression, x, s, list(constants.values()))]
    value = (
        _from_sympy(sympy, real[0], {symbol: term for term, symbol in constants.items()}) if len(real) == 1 else None
    )
    if value is not None:
        yield Move("solve with SymPy", Equation(unknown, system.simplify(value)))


def _holds(sympy: Any, expression: Any, x: Any, value: Any, constants: list[Any]) -> bool:
    """At random values of the constants: real, of the right sign, a solution."""
    chance = Random(0)
    for _ in range(TRIALS):
        at = {c: chance.uniform(0.2, 2) * (1 if c.is_positive else chance.choice((-1, 1))) for c in constants}
        number = complex(value.subs(at).evalf())
        if not abs(number.imag) < TOLERANCE or (x.is_positive and number.real <= 0):
            return False
        if not abs(complex(expression.subs({**at, x: number.real}).evalf())) < TOLERANCE:
            return False
    return True


def _to_sympy(sympy: Any, system: System, term: Term, unknown: Term, x: Any, constants: dict[Term, Any]) -> Any | None:
    """The scalar term for SymPy; what is free of the unknown becomes a symbol."""
    done: dict[Term, Any] = {unknown: x}
    for node in postorder(term):
        if node in done:
            continue
        if node.op is ops.NUM:
            value = Fraction(node.attr)
            done[node] = sympy.Rational(value.numerator, value.denominator)
        elif not contains(node, unknown):
            number, rest = coefficient(node)
            sign = True if system.facts.has(rest, "positive") else None
            constant = constants.setdefault(rest, sympy.Symbol(f"c{len(constants)}", real=True, positive=sign))
            done[node] = sympy.Rational(Fraction(number).numerator, Fraction(number).denominator) * constant
        elif any(done.get(a) is None for a in node.args):
            done[node] = None
        elif node.op is ops.ADD:
            done[node] = sympy.Add(*(done[a] for a in node.args))
        elif node.op is ops.TIMES:
            done[node] = sympy.Mul(*(done[a] for a in node.args))
        elif node.op is ops.POW:
            done[node] = sympy.Pow(*(done[a] for a in node.args))
        elif node.op is ops.FUN and node.attr in FUNCTIONS:
            done[node] = getattr(sympy, node.attr)(done[node.args[0]])
        else:
            done[node] = None
    return done[term]


def _from_sympy(sympy: Any, expression: Any, symbols: dict[Any, Term]) -> Term | None:
    """SymPy's expression as a term; None where the language has no word for it, or it may be complex."""
    done: dict[Any, Term | None] = {}
    made: dict[Any, Callable[..., Term]] = {getattr(sympy, f): lambda a, f=f: build.fun(f, a) for f in FUNCTIONS}
    made |= {sympy.Add: build.add, sympy.Mul: build.times, sympy.Pow: build.power_of}
    for node in sympy.postorder_traversal(expression):
        args = [done.get(a) for a in node.args]
        if node in symbols:
            done[node] = symbols[node]
        elif node.is_Rational:
            done[node] = build.num(Fraction(int(node.p), int(node.q)))
        elif node.func in made and args and None not in args:
            done[node] = made[node.func](*args)
        elif node == sympy.E:
            done[node] = build.fun("exp", build.ONE_NUM)
        else:
            return None
    return done[expression]
