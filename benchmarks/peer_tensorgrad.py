"""The same problems in tensorgrad: what it answers, whether that is right, how long it takes.

Each function becomes a tensor network: a matrix is a tensor with an edge ``r`` along its rows and one ``c`` along
its columns, a side of 1 has no edge.  The derivative, simplified, is held against ours as a value.
What tensorgrad has no counterpart of (recurrences, blocks, functions of matrices, ...) is not asked.

Needs tensorgrad and, for its values, a PyTorch that has named tensors (2.7 has).
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import reduce
from importlib.metadata import version
from typing import Any

import numpy as np
import tensorgrad.functions as F  # noqa: N812
import torch
from peers import Peer, Problem
from sympy import Symbol
from tensorgrad import Derivative, Variable
from tensorgrad.extras.evaluate import evaluate as value_of
from tensorgrad.tensor import Delta, Ones, Zero

import matcalc as mc
from matcalc.errors import MatcalcError
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import ops
from matcalc.terms.dims import ONE, Dim
from matcalc.terms.term import Term
from matcalc.terms.walk import postorder

NAME = f"tensorgrad {version('tensorgrad')}"
ORDER = ("r", "c")
SIGNS = frozenset({"positive", "nonneg", "nonzero", "invertible", "fullrank", "fullrow"})
TOLERANCE = 1e-3
"""Its values are floats of 32 bits."""


class NoCounterpart(Exception):
    """An operation that tensorgrad does not have."""


class Network:
    """Terms as tensor networks; one variable for each name."""

    def __init__(self) -> None:
        self.variables: dict[Term, Any] = {}
        self.sizes: dict[Symbol, Dim] = {}

    def of(self, root: Term) -> Any:
        """The tensor that a term is."""
        made: dict[Term, Any] = {}
        for term in postorder(root):
            write = WRITE.get(term.op)
            if write is None:
                raise NoCounterpart(term.op.name)
            made[term] = write(self, term, [made[a] for a in term.args])
        return made[root]

    def edges(self, term: Term) -> dict[str, Symbol]:
        """The edges of a term's tensor, with their sizes."""
        found = {}
        for edge, side in zip(ORDER, term.shape, strict=True):
            if side is not ONE:
                size = Symbol(f"d_{side}")
                self.sizes[size] = side
                found[edge] = size
        return found


def _variable(network: Network, term: Term, _: list[Any]) -> Any:
    made = network.variables[term] = Variable(term.attr.name, **network.edges(term))
    return made


def _product(_: Network, term: Term, args: list[Any]) -> Any:
    made = args[0]
    for left, tensor in zip(term.args[:-1], args[1:], strict=True):
        if left.cols is ONE:
            made = made @ tensor
        else:
            made = made.rename(c="k") @ tensor.rename(r="k")
    return made


def _transposed(_: Network, term: Term, args: list[Any]) -> Any:
    swap = {"r": "c", "c": "r"}
    return args[0].rename(**{edge: swap[edge] for edge in args[0].edges})


def _power(_: Network, term: Term, args: list[Any]) -> Any:
    exponent = term.args[1]
    if exponent.op is not ops.NUM:
        raise NoCounterpart("a power with a symbol in its exponent")
    return F.pow(args[0], exponent.attr)


def _matrix_power(network: Network, term: Term, args: list[Any]) -> Any:
    exponent = term.attr.constant
    if exponent is None or exponent < 1:
        raise NoCounterpart("a power of a matrix that is no number")
    made = args[0]
    for _ in range(int(exponent) - 1):
        made = made.rename(c="k") @ args[0].rename(r="k")
    return made


_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "exp": F.exp,
    "log": F.log,
    "tanh": F.tanh,
    "sigmoid": F.sigmoid,
    "relu": F.relu,
    "abs": F.abs,
    "erf": F.erf,
    "sqrt": F.sqrt,
    "softplus": lambda t: F.log(1 + F.exp(t)),
}


def _function(_: Network, term: Term, args: list[Any]) -> Any:
    made = _FUNCTIONS.get(term.attr) if isinstance(term.attr, str) else None
    if made is None:
        raise NoCounterpart(str(term.attr))
    return made(args[0])


WRITE: dict[ops.Op, Callable[[Network, Term, list[Any]], Any]] = {
    ops.SYM: _variable,
    ops.NUM: lambda n, t, a: Ones() * t.attr,
    ops.EYE: lambda n, t, a: Delta(next(iter(n.edges(t).values())), *ORDER),
    ops.ONES: lambda n, t, a: Ones(**n.edges(t)),
    ops.ZEROS: lambda n, t, a: Zero(_symmetries=None, **n.edges(t)),
    ops.ADD: lambda n, t, a: reduce(lambda x, y: x + y, a),
    ops.TIMES: lambda n, t, a: reduce(lambda x, y: x @ y, a),
    ops.SCALE: lambda n, t, a: a[0] @ a[1],
    ops.MUL: _product,
    ops.HAD: lambda n, t, a: reduce(lambda x, y: x * y, a),
    ops.TRANSPOSE: _transposed,
    ops.INV: lambda n, t, a: F.inverse(a[0].rename(r="c", c="r")),  # its inverse cancels edges of the same name
    ops.MPOW: _matrix_power,
    ops.POW: _power,
    ops.FUN: _function,
    ops.TR: lambda n, t, a: F.trace(a[0]),
    ops.TOTAL: lambda n, t, a: F.sum(a[0]),
    ops.DET: lambda n, t, a: F.det(a[0]),
    ops.LOGDET: lambda n, t, a: F.log(F.det(a[0])),
    ops.NORM: lambda n, t, a: F.sqrt(F.frobenius2(a[0])),
    ops.DIAG: lambda n, t, a: F.diag(a[0], list(ORDER)),
    ops.DIAGONAL: lambda n, t, a: F.diag(a[0], ["r"]),
    ops.SOFTMAX: lambda n, t, a: F.softmax(a[0], "r"),
    ops.LOGSUMEXP: lambda n, t, a: F.log(F.sum(F.exp(a[0]))),
}


def _derivative(problem: Problem) -> tuple[Network, Any, float]:
    """The network, its derivative simplified, and the seconds that it took."""
    given = {"where": problem["where"], "let": problem.get("let")}
    function, wrt = (mc.parse(problem[key], **given).term for key in ("expr", "wrt"))
    if wrt.op is not ops.SYM or wrt.attr.facts - SIGNS:
        raise NoCounterpart("a derivative by something else than a variable without structure")
    start = time.perf_counter()
    network = Network()
    tensor = network.of(function)
    by = network.variables.get(wrt)
    if by is None:
        raise NoCounterpart("a function without the variable")
    found = Derivative(tensor, by, {edge: f"d{edge}" for edge in by.edges})
    if problem["form"] == "hessian":
        found = Derivative(found, by, {edge: edge for edge in by.edges})
    simple = found.full_simplify()
    return network, simple, time.perf_counter() - start


def _value(network: Network, found: Any, env: Any, form: str) -> Any:
    """The derivative as a matrix, rows and columns in the order of vec."""
    at = {}
    for term, variable in network.variables.items():
        sides = [env.size(side) for side in term.shape if side is not ONE]
        value = torch.tensor(np.asarray(evaluate(term, env)).reshape(sides), dtype=torch.float32)
        at[variable] = value.refine_names(*network.edges(term))
    sizes = {size: env.size(side) for size, side in network.sizes.items()}
    tensor = value_of(found, at, sizes)
    names = [name for name in ("c", "r", "dc", "dr") if name in tensor.names]
    array = tensor.align_to(*names).rename(None).numpy() if names else tensor.rename(None).numpy()
    return array.reshape(-1)


def question(problem: Problem, other: Problem, answer: mc.Expr) -> Peer:
    """One problem; ``other`` is the same with new names, which is the one that is timed."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    name = problem["id"]
    try:
        network, found, _ = _derivative(problem)
        _, _, seconds = _derivative(other)
    except (NoCounterpart, MatcalcError):
        return Peer(name, "no counterpart")
    except Exception:  # tensorgrad raises whatever it raises
        return Peer(name, "an error")
    try:
        env = sample([answer.term, *network.variables], 1)
        wanted = np.asarray(evaluate(answer.term, env))
        given = _value(network, found, env, problem["form"])
    except Exception:
        return Peer(name, "an error")
    order = "F" if problem["form"] == "gradient" else "C"
    wanted = wanted.reshape(-1, order=order)
    near = TOLERANCE * max(1, np.abs(wanted).max())
    right = given.shape == wanted.shape and np.abs(given - wanted).max() < near
    return Peer(name, "right" if right else "wrong", seconds)
