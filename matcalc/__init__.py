"""matcalc: derivatives with respect to matrices, by named rules, every step checked by numbers.

>>> import matcalc as mc
>>> d = mc.derivative("norm(A*x - b)^2", "x", where="A: matrix(m,n); x: vector(n); b: vector(m)")
>>> print(d)
2*A'*(A*x - b)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import (
    LimitExceeded,
    MatcalcError,
    NoClosedForm,
    NotDifferentiable,
    ParseError,
    RuleError,
    ShapeError,
    UnknownName,
)

if TYPE_CHECKING:
    from .bounds import limits
    from .interface.chunked import chunked
    from .interface.compiled import function
    from .interface.derivative import Derivative
    from .interface.expr import Expr
    from .interface.functions import det, diag, hadamard, inv, kron, logdet, matrix, norm, scalar, tr, vec, vector
    from .interface.library import convexity, derivative, equal, extremum, hessian, parse, solve
    from .interface.minimize import maximize, minimize
    from .interface.session import Session
    from .interface.sympy_bridge import from_sympy, to_sympy

__version__ = "0.1.0"

_INTERFACE = {
    "Derivative": "derivative",
    "Expr": "expr",
    "Session": "session",
    "chunked": "chunked",
    "function": "compiled",
    **dict.fromkeys(("convexity", "derivative", "equal", "extremum", "hessian", "parse", "solve"), "library"),
    **dict.fromkeys(
        ("det", "diag", "hadamard", "inv", "kron", "logdet", "matrix", "norm", "scalar", "tr", "vec", "vector"),
        "functions",
    ),
    **dict.fromkeys(("from_sympy", "to_sympy"), "sympy_bridge"),
    **dict.fromkeys(("maximize", "minimize"), "minimize"),
}
_LAZY = {"limits": ".bounds", **{name: f".interface.{module}" for name, module in _INTERFACE.items()}}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used."""
    if name not in _LAZY:
        raise AttributeError(f"module 'matcalc' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name], __name__), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


__all__ = [
    "Derivative",
    "Expr",
    "LimitExceeded",
    "MatcalcError",
    "NoClosedForm",
    "NotDifferentiable",
    "ParseError",
    "RuleError",
    "Session",
    "ShapeError",
    "UnknownName",
    "chunked",
    "convexity",
    "derivative",
    "det",
    "diag",
    "equal",
    "extremum",
    "from_sympy",
    "function",
    "hadamard",
    "hessian",
    "inv",
    "kron",
    "limits",
    "logdet",
    "matrix",
    "maximize",
    "minimize",
    "norm",
    "parse",
    "scalar",
    "solve",
    "to_sympy",
    "tr",
    "vec",
    "vector",
]
