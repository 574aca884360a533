"""``mc.function``: a value, its derivatives and their products with directions, computed together."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ..bounds import bounded
from ..calculus import derive
from ..calculus.present import present
from ..calculus.second import Second
from ..calculus.system import System, system
from ..errors import MatcalcError, ParseError, ShapeError
from ..language.elaborate import Elaborated
from ..terms import build, ops
from ..terms.symbols import Family, Symbol, Unknown
from ..terms.term import Term
from ..terms.walk import postorder
from .expr import Expr
from .library import Let, Text, Where, _assume_all, _read, _scope, _variable

if TYPE_CHECKING:
    from ..compile.function import GeneratedFunction

QUANTITIES = ("value", "gradient", "jacobian", "hessian", "hvp", "jvp", "gauss_newton")


class Wrt(NamedTuple):
    """One variable: how it was asked for, the term, its family when all members are meant, its direction."""

    name: str
    term: Term
    family: Family | None
    direction: Term | Family


class Question(NamedTuple):
    """What is compiled: the function, the variables, and the rules under the given assumptions."""

    rules: System
    function: Term
    variables: list[Wrt]
    several: bool


@bounded
def function(
    expr: Text,
    wrt: Text | Sequence[Text],
    what: str | Sequence[str] = ("value", "gradient"),
    *,
    where: Where = None,
    let: Let = None,
    assume: str | Sequence[str] = (),
    backend: str = "numpy",
) -> GeneratedFunction:
    """One function for several quantities of an expression f, computed together: what they share is computed once.

    ``what`` lists the quantities, and the function returns a tuple of them in that order; given as one
    text, it returns that quantity alone.

    - ``value``: f
    - ``gradient``: of a scalar f, in the shape of the variable
    - ``jacobian``: ∂vec(F)/∂vec(X)ᵀ, a matrix
    - ``hessian``: of a scalar f, ∂vec(gradient)/∂vec(X)ᵀ, a matrix; of several variables all blocks
    - ``hvp``: the Hessian times a direction, in the shape of the variable
    - ``jvp``: the Jacobian times a direction, in the shape of F
    - ``gauss_newton``: the Gauss-Newton matrix times a direction: 2·c·J'J of every c·‖R‖² that f is a
      sum of, or J'J of an F that is no scalar

    The direction for the variable ``w`` is the argument ``dw``, of the same shape; with several
    variables the directions are those of one step in all of them.  With a list of variables a quantity is
    a dict by their names (``hessian``: by pairs of names).  ``where`` and ``let`` are as in
    :func:`matcalc.derivative`, ``assume`` adds facts (``"S is posdef"``); raises its errors, and
    :class:`MatcalcError` for an unknown quantity.

    >>> f = function("norm(A*x - b)^2", "x", ("value", "gradient"), where="A: matrix(m,n); x: vector(n); b: vector(m)")
    >>> f(A=[[2.0, 0.0], [0.0, 1.0]], x=[1.0, 1.0], b=[0.0, 0.0])
    (5.0, array([8., 2.]))
    """
    from .backends import compiled_together

    found = prepared(expr, wrt, what, where, let, assume)
    return compiled_together(backend, found.results, found.name, found.inputs, found.forms, found.accept, found.rules)


class Prepared(NamedTuple):
    """The quantities as terms, and what a function of them is called, takes and gives."""

    results: dict[str, Term | dict[Hashable, Term]]
    name: str
    inputs: list[Term]
    forms: dict[str, str]
    accept: list[str]
    rules: System


def prepared(
    expr: Text,
    wrt: Text | Sequence[Text],
    what: str | Sequence[str],
    where: Where,
    let: Let,
    assume: str | Sequence[str] = (),
) -> Prepared:
    """The quantities that :func:`function` computes."""
    asked = [what] if isinstance(what, str) else list(what)
    for quantity in asked:
        if quantity not in QUANTITIES:
            raise MatcalcError(f"there is no quantity {quantity!r}; there are: {', '.join(QUANTITIES)}")
    if not asked or len(set(asked)) != len(asked):
        raise MatcalcError("every quantity is asked for once, and at least one")
    question = _question(expr, wrt, where, let, assume)
    results = {quantity: _found(question, quantity) for quantity in asked}
    named: dict[str, Term | dict[Hashable, Term]] = {
        quantity: parts if question.several and isinstance(parts, dict) else _only(parts)
        for quantity, parts in results.items()
    }
    forms = {q: "matrix2d" if q in ("jacobian", "hessian") else "array" for q in asked}
    leaves = {t: None for t in postorder(question.function) if t.op in (ops.SYM, ops.MEMBER)}
    unknown = {t.attr.name for t in postorder(question.function) if isinstance(t.attr, Unknown)}
    spare = [prefix + name for name in sorted(unknown) for prefix in ("", "d", "d2", "d3")]
    return Prepared(named, "_and_".join(asked), list(leaves), forms, spare, question.rules)


def _only(parts: Term | dict[Hashable, Term]) -> Term:
    return parts if isinstance(parts, Term) else next(iter(parts.values()))


def _question(expr: Text, wrt: Text | Sequence[Text], where: Where, let: Let, assume: str | Sequence[str]) -> Question:
    asked: list[Text] = [wrt] if isinstance(wrt, str | Expr) else list(wrt)
    if not asked:
        raise ParseError("the list of variables is empty", hint='write ["W", "b"]')
    scope = _scope(where, let, expr, *asked)
    _assume_all(scope, assume)
    function = _read(expr, scope)
    taken = {t.attr.name for t in postorder(function.term) if t.op is ops.SYM}
    variables = []
    for one in asked:
        read, family = _variable(one, scope, function.term)
        name = one if isinstance(one, str) else str(one)
        variables.append(Wrt(name, read.term, family, _direction(read, family, taken)))
    return Question(system(scope.assumptions), function.term, variables, not isinstance(wrt, str | Expr))


def _direction(read: Elaborated, family: Family | None, taken: set[str]) -> Term | Family:
    """A variable of the same shape, ``dw`` for ``w``; for a whole family, a family."""
    wrt = read.term
    if family is not None:
        return Family(_free("d" + family.name, taken), family.index, family.rows, family.cols)
    name = wrt.attr.name if wrt.op is ops.SYM else wrt.attr.family.name if wrt.op is ops.MEMBER else "direction"
    prefix = "d" if wrt.op in (ops.SYM, ops.MEMBER) else ""
    return build.sym(Symbol(_free(prefix + name, taken), wrt.rows, wrt.cols))


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name


def _found(question: Question, quantity: str) -> Term | dict[Hashable, Term]:
    """A quantity as one term, or as one for each variable."""
    rules, function, variables, _ = question
    if quantity == "value":
        return present(rules, rules.simplify(function))
    if quantity in ("gradient", "hessian", "hvp") and not function.is_scalar:
        shape = build.show_shape(function.rows, function.cols)
        raise ShapeError(f"the {quantity} is of a scalar; this is {shape}", hint='ask for the "jacobian" or the "jvp"')
    if quantity == "gradient":
        return {v.name: _shown(v, g) for v, g in zip(variables, _gradients(question), strict=True)}
    if quantity == "jvp":
        return _moved(question, function)
    if quantity == "hvp":
        second = Second(rules, function, [v.term for v in variables])
        directions = [v.direction for v in variables]
        return {v.name: _shown(v, second.product(row, directions)) for row, v in enumerate(variables)}
    if quantity == "gauss_newton":
        from .gauss_newton import product

        return {v.name: _shown(v, product(question, v.term)) for v in variables}
    for v in variables:
        if v.family is not None:
            raise MatcalcError(f"the {quantity} by all of {v.name} is not available", hint=f"ask by {v.name}[i]")
    if quantity == "jacobian":
        return {v.name: derive.jacobian(rules, function, v.term).term for v in variables}
    return _blocks(question)


def _gradients(question: Question) -> list[Term]:
    found = derive.gradients(question.rules, question.function, [v.term for v in question.variables])
    return [one.term for one in found]


def _blocks(question: Question) -> dict[Hashable, Term]:
    """The blocks of a Hessian, by pairs of variables."""
    rules, function, variables, _ = question
    blocks: dict[Hashable, Term] = {}
    second = Second(rules, function, [v.term for v in variables]) if len(variables) > 1 else None
    for row, v in enumerate(variables):
        for column, other in enumerate(variables):
            if second is None or row == column:
                blocks[v.name, v.name] = derive.hessian(rules, function, v.term).term
            else:
                blocks[v.name, other.name] = second.block(row, column)
    return blocks


def _moved(question: Question, function: Term) -> Term:
    """The derivative of a function along one step in all variables."""
    rules = question.rules
    parts = [derive.directional(rules, function, v.term, v.direction) for v in question.variables]
    return parts[0] if len(parts) == 1 else present(rules, rules.simplify(build.add(*parts)))


def _shown(v: Wrt, term: Term) -> Term:
    """What belongs to a variable; by a whole family, for each index."""
    from ..terms.dims import dim
    from ..terms.walk import substitute_indices

    if v.family is None:
        return term
    index = v.term.attr.at.atom
    return build.family(v.family.index, substitute_indices(term, {index: dim(v.family.index)}))
