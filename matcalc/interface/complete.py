"""What the REPL knows about names: symbols typed as ``\\alpha``, completions, help texts."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..language.names import GREEK

if TYPE_CHECKING:
    from .session import Session

SYMBOLS: dict[str, str] = {
    **{name: letter for letter, name in GREEK.items() if name not in ("omicron", "Upsilon")},
    "otimes": "⊗",
    "kron": "⊗",
    "odot": "⊙",
    "circ": "∘",
    "oslash": "⊘",
    "cdot": "·",
    "top": "ᵀ",
    "T": "ᵀ",
    "^T": "ᵀ",
    "^-T": "⁻ᵀ",
    "^-1": "⁻¹",
    "inv": "⁻¹",
    "le": "≤",
    "leq": "≤",
    "ge": "≥",
    "geq": "≥",
    "ne": "≠",
    "neq": "≠",
    "Vert": "‖",
    "norm": "‖",
    "dots": "…",
    **{f"^{digit}": sign for digit, sign in zip("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹", strict=True)},
    **{f"_{digit}": sign for digit, sign in zip("0123456789", "₀₁₂₃₄₅₆₇₈₉", strict=True)},
}
"""What ``\\name`` followed by Tab becomes."""

_SYMBOL = re.compile(r"\\(\^-?[A-Za-z0-9]+|_[0-9]|[A-Za-z]+)\Z")
_WORD = re.compile(r"[A-Za-zΑ-Ωα-ω][A-Za-z0-9_Α-Ωα-ω₀-₉]*\Z")

QUESTIONS = ("D", "grad", "hess", "d", "solve", "convexity", "simplify", "expand", "factor", "steps")
KEYWORDS = ("assume", "extremum", "minimize", "maximize")
COMMANDS = ("help", "steps", "latex", "code", "check", "quit", "exit")


def symbol_before(text: str) -> tuple[str, str] | None:
    """The ``\\name`` that ends the text and the symbol that it stands for."""
    found = _SYMBOL.search(text)
    if found is None:
        return None
    name = found[1]
    if name not in SYMBOLS:
        longer = {SYMBOLS[known] for known in SYMBOLS if known.startswith(name)}
        return (found[0], longer.pop()) if len(longer) == 1 else None
    return found[0], SYMBOLS[name]


def names_before(text: str) -> tuple[str, list[str]]:
    """The unfinished ``\\name`` that ends the text, and the names it may become."""
    found = _SYMBOL.search(text)
    if found is None:
        return "", []
    return found[0], sorted("\\" + name for name in SYMBOLS if name.startswith(found[1]))


def words_before(text: str, session: Session | None) -> tuple[str, list[str]]:
    """The unfinished word that ends the text, and the words it may become."""
    found = _WORD.search(text)
    if found is None:
        return "", []
    word = found[0]
    return word, [known for known in _words(text[: found.start()], session) if known.startswith(word) and known != word]


def _words(before: str, session: Session | None) -> list[str]:
    if re.search(r":\s*\Z", before):
        from ..language.kinds import KINDS

        return sorted({*KINDS, "integer", "function"} - {"row"})
    if re.search(r"\bis\s+(?:not\s+)?\Z", before):
        from ..language.kinds import FACTS

        return sorted(FACTS)
    known: set[str] = {*functions(), *QUESTIONS}
    if session is not None:
        known |= {name for name in session.scope.known() if name.isprintable() and name.isidentifier()}
    if not before.strip():
        known |= {*KEYWORDS, *COMMANDS}
    return sorted(known)


def functions() -> list[str]:
    """The functions of the language."""
    from ..language.functions import FUNCTIONS

    return sorted({*FUNCTIONS, "sum", "prod", "ind", "family"} - {"trans", "transpose"})


def common_prefix(words: Iterable[str]) -> str:
    """The longest text that all words begin with."""
    listed = list(words)
    first, last = min(listed), max(listed)
    length = next((i for i, char in enumerate(first) if i >= len(last) or last[i] != char), len(first))
    return first[:length]


# ---------------------------------------------------------------- help

HELP = """\
A statement a line; a line goes on inside brackets; # starts a comment.

  A: matrix(m,n); x: vector(n)    declare; also scalar, symmetric(n), posdef(n), x[i=1..N]: vector(n), ...
  assume S is posdef              a fact, from here on
  f = norm(A*x - b)^2             a definition;  p(x) = ...  a function
  D(f, x)   grad(f, x)            derivative as a row or a Jacobian; gradient in the shape of x
  grad(f, S, structured)          along the declared structure of S; also D, hess
  hess(f, x)   d(f)               Hessian, total differential
  solve(D(f, x) = 0, x)           solve({eq1, eq2}, {x, y})
  convexity(f, x)                 convex, concave, affine; of several variables jointly: convexity(f, {x, y})
  simplify(e)   e1 == e2          the simplified form; are they equal?
  D($x^T A x$, x)                 LaTeX between dollars, wherever an expression is
  steps(D(f, x))                  the derivation; steps(D(f, x), vec) by vec and Kronecker products

  _                               the last answer
  steps   latex   code   check    alone on a line: of the last answer
  help NAME   quit                a function or a word explained; leave

Tab completes names and turns \\alpha into α.  Ctrl-C clears the line or stops a computation."""

TOPICS: dict[str, str] = {
    "tr": "tr(A)  the trace, the sum of the diagonal of a square matrix",
    "det": "det(A)  the determinant",
    "logdet": "logdet(A)  log|det A|",
    "inv": "inv(A), A^-1, A⁻¹  the inverse;  A^-T  its transpose",
    "vec": "vec(A)  the columns of A stacked",
    "unvec": "unvec(x,m,n)  the m×n matrix whose columns stacked are x",
    "vech": "vech(A)  the columns of the lower triangle stacked",
    "diag": "diag(x)  the diagonal matrix of a vector;  diag(A)  the vector of a matrix's diagonal",
    "tril": "tril(A)  the lower triangle, the rest zero",
    "triu": "triu(A)  the upper triangle, the rest zero",
    "sum": "sum(A)  the sum of all entries;  sum(i=1..N, e)  the sum over an index",
    "prod": "prod(j=1..L, e)  the ordered product M_1*...*M_L;  prod(j=L..1, e)  the other way round",
    "family": "family(k=0..L-1, e)  the e[k] as a family: the derivative by a whole family is one",
    "where": "e where y[0] = ...; y[k+1] = ... of y[k]  a recurrence for this expression alone;  e where v = ...",
    "norm": "norm(x)  the 2-norm of a vector, the Frobenius norm of a matrix;  also ‖x‖",
    "norm1": "norm1(x)  the sum of absolute values",
    "norm2": "norm2(x)  the same as norm(x)",
    "kron": "kron(A,B), A ⊗ B  the Kronecker product",
    "ind": "ind(k >= 2)  1 where it holds, else 0",
    "expm": "expm(A)  the exponential of a square matrix;  exp(A) is entry by entry",
    "logm": "logm(A)  the principal logarithm of a matrix without eigenvalues on the closed negative axis",
    "sqrtm": "sqrtm(A)  the principal square root of a matrix",
    "dexpm": "dexpm(A,E)  the differential of expm at A along E;  dexpm(A,E,B) = ∫₀¹ expm((1-s)A)*E*expm(s*B) ds",
    "dlogm": "dlogm(A,E)  the differential of logm at A along E;  dlogm(A,E,B) = ∫ inv(A+s*I)*E*inv(B+s*I) ds",
    "sylvester": "sylvester(A,B,C)  the X with A*X + X*B = C",
    "pinv": "pinv(A)  the Moore-Penrose inverse",
    "polar": "polar(A)  the factor U*V' of the singular value decomposition A = U*diag(s)*V'",
    "nuclear": "nuclear(A)  the sum of the singular values",
    "spectral": "spectral(A)  the largest singular value",
    "eigmax": "eigmax(S)  the largest eigenvalue of a symmetric matrix (of another, that of its symmetric part)",
    "eigvecmax": "eigvecmax(S)  the unit eigenvector of the largest eigenvalue, its largest entry positive",
    "eigvecs": "eigvecs(S,p)  the unit eigenvectors of the p largest eigenvalues",
    "eye": "eye(n)  the identity matrix",
    "ones": "ones(n), ones(m,n)  all entries 1",
    "zeros": "zeros(n), zeros(m,n)  all entries 0",
    "basis": "basis(i,n)  the i-th column of eye(n), counted from 1",
    "commutation": "commutation(m,n)  the K with K*vec(A) = vec(A') for A of shape m×n",
    "vector": "vector(1)  the vector of ones of the length that fits;  x: vector(n)  declares a column",
    "matrix": "matrix(1)  the matrix of ones of the shape that fits;  A: matrix(m,n)  declares a matrix",
    "exp": "exp(e)  entry by entry; the matrix exponential is expm",
    "rowsums": "rowsums(A) = A*ones(n)  the sums of the rows",
    "colsums": "colsums(A) = A'*ones(m)  the sums of the columns, as a column",
    "khatrirao": "khatrirao(A,B)  the Kronecker products of the columns of A with those of B",
    "duplication": "duplication(n)  the D with D*vech(A) = vec(A) for symmetric A",
    "elimination": "elimination(n)  the L with L*vec(A) = vech(A)",
    "softmax": "softmax(x) = exp(x)/sum(exp(x));  of a matrix row by row",
    "logsumexp": "logsumexp(x) = log(sum(exp(x)));  of a matrix row by row, a vector",
    "polygamma": "polygamma(k,e)  the k-th derivative of digamma, entry by entry",
    "sigmoid": "sigmoid(e) = 1/(1 + exp(-e)), entry by entry",
    "relu": "relu(e) = max(e, 0), entry by entry",
    "softplus": "softplus(e) = log(1 + exp(e)), entry by entry",
    "step": "step(e)  1 where e > 0, else 0, entry by entry",
    "sign": "sign(e)  -1, 0 or 1, entry by entry",
    "D": "D(f, X)  the derivative ∂vec(f)/∂vec(X)ᵀ: a row for a scalar f, else the Jacobian",
    "grad": "grad(f, X)  the gradient of a scalar, in the shape of X; grad(f, X, structured)  along its structure",
    "hess": "hess(f, x)  the Hessian of a scalar, ∂vec(grad f)/∂vec(x)ᵀ",
    "d": "d(f)  the total differential",
    "solve": "solve(left = right, x)   solve({eq1, eq2}, {x, y})",
    "simplify": "simplify(e)  the simplified form",
    "expand": "expand(e)  multiplied out",
    "factor": "factor(e)  common factors collected",
    "steps": "steps(D(f, x))  the derivation;  steps(D(f, x), vec)  by vec;  steps  alone: of the last answer",
    "convexity": "convexity(f, x)  convexity(f, {x, y})  convex, concave or affine, with the proof: steps",
    "latex": "latex  alone on a line: the last answer as LaTeX",
    "code": "code  alone on a line: NumPy source that computes the last answer",
    "check": "check  alone on a line: compare the last derivative with numbers",
    "help": "help   help NAME",
    "quit": "quit, exit or Ctrl-D",
    "exit": "quit, exit or Ctrl-D",
    "assume": "assume S is posdef   assume t > 0   a fact that holds from here on",
    "_": "_  the last answer as an expression",
}
"""What ``help NAME`` says."""


def help_text(topic: str, session: Session | None = None) -> str:
    """The text of ``help`` or ``help NAME``."""
    if not topic:
        return HELP
    if topic in TOPICS:
        return TOPICS[topic]
    from ..language.functions import ENTRYWISE, FUNCTIONS
    from ..language.kinds import FACTS, KINDS

    if topic in ENTRYWISE:
        return f"{topic}(e)  entry by entry"
    if topic in FUNCTIONS:
        return f"{topic}  takes {FUNCTIONS[topic].arity} arguments"
    if topic in KINDS:
        return f"X: {topic}{_sizes(KINDS[topic].sizes)}  declares a variable"
    if topic in FACTS:
        return f"assume X is {topic}"
    return _about_variable(topic, session) or _nothing(topic)


def _sizes(counts: tuple[int, ...]) -> str:
    return {0: "", 1: "(n)", 2: "(m,n)"}[max(counts)]


def _about_variable(name: str, session: Session | None) -> str:
    from ..language.names import ascii_name

    if session is None:
        return ""
    name = ascii_name(name)
    symbol = session.scope.symbols.get(name)
    if symbol is not None:
        facts = "".join(f", {fact}" for fact in sorted(symbol.facts))
        return f"{name} is {symbol.rows}×{symbol.cols}{facts}"
    if name in session.scope.definitions:
        return f"{name} = {session.scope.definitions[name]}"
    return ""


def _nothing(topic: str) -> str:
    from difflib import get_close_matches

    close = get_close_matches(topic, [*TOPICS, *functions()], 1)
    return f"there is no help on {topic}" + (f"; did you mean {close[0]}?" if close else "")
