"""The table of operators: name, arity, and the laws that belong to the operator itself.

Every interpretation (shape, value, text, LaTeX, code) is a table of its own elsewhere; adding one
touches no operator.  ``associative`` and ``commutative`` arguments are kept flat and sorted by the
constructors.  ``linear`` lists the argument places in which the operator is linear.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

ANY = -1


@dataclass(frozen=True, eq=False)
class Op:
    """One operator; ``rank`` orders the operands of sums and commutative products."""

    name: str
    arity: int
    rank: int
    linear: tuple[int, ...] = ()
    associative: bool = False
    commutative: bool = False
    binder: bool = False

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> str:
        return self.name.upper()


_TABLE: dict[str, Op] = {}


def _op(name: str, arity: int, rank: int, **laws: Any) -> Op:
    made = Op(name, arity, rank, **laws)
    _TABLE[name] = made
    return made


# leaves
NUM = _op("num", 0, 0)  # attr: int or Fraction
INT = _op("int", 0, 1)  # attr: Atom, a size or an index used as a number
CONST = _op("const", 0, 2)  # attr: "pi"
SYM = _op("sym", 0, 3)  # attr: Symbol
MEMBER = _op("member", 0, 3)  # attr: Member
EYE = _op("eye", 0, 4)  # attr: (n,)
ZEROS = _op("zeros", 0, 4)  # attr: (m, n)
ONES = _op("ones", 0, 4)  # attr: (m, n)
BASIS = _op("basis", 0, 4)  # attr: (i, n)
COMMUTATION = _op("commutation", 0, 4)  # attr: (m, n): K vec(A) = vec(A') for A m×n
DUPLICATION = _op("duplication", 0, 4)  # attr: (n,): D vech(A) = vec(A) for A symmetric n×n
ELIMINATION = _op("elimination", 0, 4)  # attr: (n,): L vec(A) = vech(A) for A n×n
IND = _op("ind", 0, 4)  # attr: (relation, left, right)

# arithmetic
ADD = _op("add", ANY, 9, linear=(ANY,), associative=True, commutative=True)
TIMES = _op("times", ANY, 6, associative=True, commutative=True)  # scalars
SCALE = _op("scale", 2, 6, linear=(0, 1))  # scalar times array
MUL = _op("mul", ANY, 7, associative=True)  # matrix product
HAD = _op("had", ANY, 7, associative=True, commutative=True)  # entry by entry
KRON = _op("kron", ANY, 7, associative=True)
KHATRIRAO = _op("khatrirao", 2, 7, linear=(0, 1))  # column by column ⊗
TRANSPOSE = _op("transpose", 1, 5, linear=(0,))
INV = _op("inv", 1, 5)
MPOW = _op("mpow", 1, 5)  # attr: Dim
POW = _op("pow", 2, 5)  # entry by entry

# functions
FUN = _op("fun", 1, 5)  # attr: str or Unknown; entry by entry
POLYGAMMA = _op("polygamma", 1, 5)  # attr: Dim, the order; entry by entry
SOFTMAX = _op("softmax", 1, 5)  # of a vector
SOFTMAXROWS = _op("softmaxrows", 1, 5)  # of a matrix, row by row
LOGSUMEXP = _op("logsumexp", 1, 5)  # of a vector
LOGSUMEXPROWS = _op("logsumexprows", 1, 5)  # of a matrix, row by row: a vector
TR = _op("tr", 1, 5, linear=(0,))
DET = _op("det", 1, 5)
LOGDET = _op("logdet", 1, 5)
VEC = _op("vec", 1, 5, linear=(0,))
UNVEC = _op("unvec", 1, 5, linear=(0,))  # attr: (m, n)
VECH = _op("vech", 1, 5, linear=(0,))
TRIL = _op("tril", 1, 5, linear=(0,))
TRIU = _op("triu", 1, 5, linear=(0,))
DIAG = _op("diag", 1, 5, linear=(0,))  # vector to diagonal matrix
DIAGONAL = _op("diagonal", 1, 5, linear=(0,))  # matrix to the vector of its diagonal
TOTAL = _op("total", 1, 5, linear=(0,))  # sum of all entries
NORM = _op("norm", 1, 5)  # Frobenius; of a vector the 2-norm
ENTRY = _op("entry", 1, 5, linear=(0,))  # attr: (i, j)
SLICE = _op("slice", 1, 5, linear=(0,))  # attr: (i, j, k, l): rows i to j, columns k to l
BLOCK = _op("block", ANY, 8, linear=(ANY,))  # attr: Grid

# functions of matrices
EXPM = _op("expm", 1, 5)
LOGM = _op("logm", 1, 5)  # principal
SQRTM = _op("sqrtm", 1, 5)  # principal
DEXPM = _op("dexpm", 3, 5, linear=(1,))  # A, E, B: the block at the top right of expm([A, E; 0, B])
DLOGM = _op("dlogm", 3, 5, linear=(1,))  # A, E, B: the block at the top right of logm([A, E; 0, B])
SYLVESTER = _op("sylvester", 3, 5, linear=(2,))  # A, B, C: the X with A*X + X*B = C
PINV = _op("pinv", 1, 5)
POLAR = _op("polar", 1, 5)  # the factor U*V' of A = U*diag(s)*V'
NUCLEAR = _op("nuclear", 1, 5)
SPECTRAL = _op("spectral", 1, 5)
EIGMAX = _op("eigmax", 1, 5)  # of a symmetric matrix; any other counts by its symmetric part
EIGVECMAX = _op("eigvecmax", 1, 5)
EIGVECS = _op("eigvecs", 1, 5)  # attr: Dim, how many

# binders
SUM = _op("sum", 1, 8, linear=(0,), binder=True)  # attr: Range
PROD = _op("prod", 1, 8, binder=True)  # attr: Range; ordered
FAMILY = _op("family", 1, 8, binder=True)  # attr: Range; a value for each index: never inside another term

JOINT = _op("joint", ANY, 8, linear=(ANY,))  # coupled states as one: the vec's on top of one another
PART = _op("part", 1, 5, linear=(0,))  # attr: (which, rows, cols, rows, cols, ...): one of the coupled states

# args: start, body; attr: Loop; binds the index and the previous state in the body
STATE = _op("state", 2, 8, binder=True)

# the calculus
DIFF = _op("diff", 1, 3)  # the differential d(.)
INNER = _op("inner", 2, 5, linear=(0, 1))  # ⟨A, B⟩ = tr(A'B)


def op_named(name: str) -> Op:
    """The operator with this name."""
    return _TABLE[name]


def all_ops() -> tuple[Op, ...]:
    """All operators, in the order of the table."""
    return tuple(_TABLE.values())
