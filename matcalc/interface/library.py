"""The library: derivatives, solutions and expressions from strings or from expressions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, overload

from ..bounds import bounded
from ..calculus.derive import Derived, gradients
from ..calculus.present import same
from ..calculus.system import system
from ..errors import MatcalcError, ParseError
from ..language.elaborate import Elaborated, Elaboration, parse_expression, parse_variable
from ..language.parser import parse_syntax
from ..language.scope import Scope
from ..terms import ops
from ..terms.dims import Name
from ..terms.symbols import Family
from ..terms.term import Term
from ..terms.walk import free_atoms, postorder
from .derivative import CHECKABLE, Derivative
from .expr import Expr, IndexNames
from .operations import FORMS, is_apart, new_scope, reads_within

if TYPE_CHECKING:
    from .convexity import Convexity
    from .extremum import Extremum
    from .solution import Solved

Where = Mapping[str, str] | str | None
Let = Mapping[str, str] | None
Text = str | Expr


def _scope(where: Where, let: Let, *given: object) -> Scope:
    scope = new_scope()
    scope.declare_all(where)
    for value in given:
        if isinstance(value, Expr):
            _adopt(scope, value.term)
    scope.define_all(let)
    return scope


def _adopt(scope: Scope, term: Term) -> None:
    """Names in strings mean the variables of the expressions beside them."""
    for node in postorder(term):
        if node.op is ops.SYM:
            scope.symbols.setdefault(node.attr.name, node.attr)
        elif node.op is ops.MEMBER:
            scope.symbols.setdefault(node.attr.family.name, node.attr.family)
    names = {atom.name for atom in free_atoms(term) if isinstance(atom, Name)} - scope.known()
    scope.integers |= names
    scope.sizes |= {
        a.name for node in postorder(term) for d in node.shape for a in d.atoms() if isinstance(a, Name)
    } & names


def _assume_all(scope: Scope, assume: str | Sequence[str]) -> None:
    for text in [assume] if isinstance(assume, str) else assume:
        statement = f"assume {text}"
        for node in parse_syntax(statement, "script").nodes():
            for condition in node.nodes():
                scope.assume(condition, statement)


def scope_of(expression: Expr) -> Scope:
    """A scope in which the names of an expression mean what they mean in it."""
    return _scope(None, None, expression)


def _read(value: Text, scope: Scope) -> Elaborated:
    if isinstance(value, Expr):
        return Elaborated(value.term, index_names=list(value.names))
    if not isinstance(value, str):
        raise ParseError(f"an expression is text or an Expr, not {type(value).__name__}")
    return parse_expression(value, scope)


def _variable(value: Text, scope: Scope, function: Term) -> tuple[Elaborated, Family | None]:
    return parse_variable(value, scope, function) if isinstance(value, str) else (_read(value, scope), None)


def _as_differentiated(expr: Text, scope: Scope, function: Elaborated, wrt: Term) -> Term:
    """The function; read anew where derivatives in it may have used the structure of the variable."""
    if not isinstance(expr, str) or not any(word in expr for word in FORMS) or not is_apart(scope, wrt):
        return function.term
    return reads_within(scope, lambda: _read(expr, scope), wrt).term


def _names(*read: Elaborated) -> IndexNames:
    return tuple(dict.fromkeys(name for r in read for name in r.index_names))


@bounded
def parse(text: str, where: Where = None, let: Let = None) -> Expr:
    """The expression that a text writes.

    ``where`` declares names (``{"A": "matrix(m,n)"}`` or ``"A: matrix(m,n); x: vector(n)"``), ``let``
    defines them.  Raises :class:`ParseError`, :class:`ShapeError`, :class:`UnknownName`.
    """
    read = _read(text, _scope(where, let))
    return Expr(read.term, _names(read))


@overload
def derivative(
    expr: Text,
    wrt: Text,
    where: Where = ...,
    let: Let = ...,
    *,
    route: str = ...,
    form: str = ...,
    structured: bool = ...,
) -> Derivative: ...
@overload
def derivative(
    expr: Text,
    wrt: list[Text] | list[str] | tuple[Text, ...],
    where: Where = ...,
    let: Let = ...,
    *,
    route: str = ...,
    form: str = ...,
    structured: bool = ...,
) -> dict[str, Derivative]: ...
@bounded
def derivative(
    expr: Text,
    wrt: Text | list[Text] | list[str] | tuple[Text, ...],
    where: Where = None,
    let: Let = None,
    *,
    route: str = "differential",
    form: str = "auto",
    structured: bool = False,
) -> Derivative | dict[str, Derivative]:
    """The derivative of an expression with respect to a variable, a member of a family, or a sub-expression.

    Of a scalar the gradient, in the shape of ``wrt``; otherwise the Jacobian ∂vec(F)/∂vec(X)ᵀ
    (Magnus and Neudecker's layout).  ``route="vec"`` finds it by Jacobians of vec's.  ``structured``
    asks for the derivative along the declared structure of ``wrt``: of a symmetric one the partial
    derivatives by distinct entries, of an orthogonal one the gradient of the embedded metric.  Several
    variables give a dict; the gradients of a scalar share their work.  Raises the errors of
    :func:`parse` and :class:`NotDifferentiable`.
    """
    asked: list[Text] = [wrt] if isinstance(wrt, str | Expr) else list(wrt)
    several = not isinstance(wrt, str | Expr)
    if not asked:
        raise ParseError("the list of variables to differentiate by is empty", hint='write ["W", "b"]')
    scope = _scope(where, let, expr, *asked)
    function = _read(expr, scope)
    variables, families = zip(*(_variable(one, scope, function.term) for one in asked), strict=True)
    rules = system(scope.assumptions)
    shared: Sequence[Derived | None] = [None] * len(variables)
    if several and function.term.is_scalar and form in ("auto", "gradient") and route == "differential":
        shared = gradients(rules, function.term, [v.term for v in variables], structured)
    terms = [_as_differentiated(expr, scope, function, variable.term) for variable in variables]
    made = [
        Derivative(
            rules,
            term,
            variable.term,
            form=form,
            route=route,
            structured=structured,
            family=family,
            names=_names(function, variable),
            assumed={**function.assumed, **variable.assumed},
            notes=[*function.notes, *variable.notes],
            scope=scope,
            derived=found if term is function.term else None,
        )
        for variable, family, found, term in zip(variables, families, shared, terms, strict=True)
    ]
    if not several:
        return made[0]
    return {one if isinstance(one, str) else str(one): d for one, d in zip(asked, made, strict=True)}


@overload
def hessian(expr: Text, wrt: Text, where: Where = ..., let: Let = ..., *, structured: bool = ...) -> Derivative: ...
@overload
def hessian(
    expr: Text,
    wrt: list[Text] | list[str] | tuple[Text, ...],
    where: Where = ...,
    let: Let = ...,
    *,
    structured: bool = ...,
) -> dict[tuple[str, str], Derivative]: ...
@bounded
def hessian(
    expr: Text,
    wrt: Text | list[Text] | list[str] | tuple[Text, ...],
    where: Where = None,
    let: Let = None,
    *,
    structured: bool = False,
) -> Derivative | dict[tuple[str, str], Derivative]:
    """The Hessian of a scalar: ∂vec(gradient)/∂vec(X)ᵀ.  Raises the errors of :func:`derivative`.

    Several variables give the blocks: ``[x, y]`` is ∂vec(gradient in x)/∂vec(y)ᵀ.
    """
    if isinstance(wrt, str | Expr):
        return derivative(expr, wrt, where, let, form="hessian", structured=structured)
    if structured:
        raise MatcalcError(
            "the blocks of a Hessian are by independent entries; ask for one variable along its structure"
        )
    first = derivative(expr, wrt, where, let)
    blocks: dict[tuple[str, str], Derivative] = {}
    for row, gradient in first.items():
        for one in wrt:
            if (one if isinstance(one, str) else str(one)) == row:
                block = derivative(expr, one, where, let, form="hessian")
            else:
                block = derivative(gradient.expr, one, where, let, form="jacobian")
            blocks[row, one if isinstance(one, str) else str(one)] = block
    return blocks


@bounded
def solve(
    equations: str | Sequence[str],
    unknowns: Text | Sequence[Text],
    where: Where = None,
    let: Let = None,
    assume: str | Sequence[str] = (),
    *,
    general: bool = False,
) -> Solved:
    """Solve equations ``left = right`` for one unknown or several.

    ``general`` asks for all solutions of one affine equation, by the Moore-Penrose inverse, with their free part.
    ``assume`` adds facts (``"Sigma is posdef"``) that hold while solving.  Raises
    :class:`NoClosedForm` naming the equation that could not be isolated.
    """
    from .solution import solve_equations

    scope = _scope(where, let, *([unknowns] if isinstance(unknowns, str | Expr) else unknowns))
    _assume_all(scope, assume)
    return solve_equations(equations, unknowns, scope, general)


@bounded
def extremum(
    objective: Text,
    unknowns: Text | Sequence[Text],
    where: Where = None,
    let: Let = None,
    subject_to: str | Sequence[str] = (),
    assume: str | Sequence[str] = (),
) -> Extremum:
    """The stationary point of a scalar objective: differentiated, set to zero, solved, and its kind proved.

    ``subject_to`` are equalities ``left = right``, taken into account by multipliers; ``assume`` adds facts.
    Of several unknowns ``solution`` is a dict.  Raises :class:`NoClosedForm` naming the equation that could not
    be isolated, :class:`ShapeError` for an objective that is no scalar.
    """
    from .extremum import constraints_of, extremum_of

    single = isinstance(unknowns, str | Expr)
    asked: list[Text] = [unknowns] if isinstance(unknowns, str | Expr) else list(unknowns)
    if not asked:
        raise ParseError("the list of unknowns is empty", hint='write ["x", "y"]')
    scope = _scope(where, let, objective, *asked)
    _assume_all(scope, assume)
    function = _read(objective, scope)
    wanted = [_read(one, scope) for one in asked]
    constraints = constraints_of(subject_to, scope)
    names = _names(function, *wanted)
    return extremum_of(scope, function.term, [w.term for w in wanted], constraints, "extremum", single, names)


@bounded
def convexity(
    expr: Text,
    wrt: Text | Sequence[Text],
    where: Where = None,
    let: Let = None,
    assume: str | Sequence[str] = (),
) -> Convexity:
    """Whether a scalar expression is convex or concave in one variable or several jointly, with the proof.

    The answer holds on the declared set of the variables (``posdef``, ``positive``) and under its
    ``conditions``; ``assume`` adds facts.  Raises the errors of :func:`parse`.
    """
    from .convexity import Convexity

    asked: list[Text] = [wrt] if isinstance(wrt, str | Expr) else list(wrt)
    if not asked:
        raise ParseError("the list of variables is empty", hint='write ["x", "y"]')
    scope = _scope(where, let, expr, *asked)
    _assume_all(scope, assume)
    function = _read(expr, scope)
    return Convexity(scope, function.term, [_read(one, scope).term for one in asked], _names(function))


@bounded
def equal(left: Text, right: Text, where: Where = None, let: Let = None) -> Comparison:
    """Whether two expressions are equal: by their normal forms, or, failing that, by numbers."""
    scope = _scope(where, let, left, right)
    if isinstance(left, str) and isinstance(right, str):
        text = f"{left} == {right}"
        node = parse_syntax(text, "script").nodes()[0]
        if node.kind != "identity":
            raise ParseError("two expressions are compared, not two statements")
        work = Elaboration(scope, text)
        first, second = node.parts
        work.unify(work.infer(first), work.infer(second))
        work.settle()
        return compare_terms(scope, work.build(first), work.build(second))
    return compare_terms(scope, _read(left, scope).term, _read(right, scope).term)


class Comparison:
    """The answer to ``e1 == e2``; true or false as a condition, and ``how`` it is known."""

    def __init__(self, equal: bool, how: str) -> None:
        self.equal, self.how = equal, how

    def __bool__(self) -> bool:
        return self.equal

    def __repr__(self) -> str:
        return f"{'equal' if self.equal else 'different'}: {self.how}"


@bounded
def compare_terms(scope: Scope, left: Term, right: Term) -> Comparison:
    """Compare normal forms; where they differ, compare values at random points."""
    if left.shape != right.shape:
        from ..terms.fit import show_shape

        return Comparison(False, f"the shapes are {show_shape(*left.shape)} and {show_shape(*right.shape)}")
    rules = system(scope.assumptions)
    how = same(rules, left, right)
    if how:
        return Comparison(True, how)
    from ..numeric.check import replay

    require = [(t, f) for t, f in scope.assumptions if f in CHECKABLE]
    error = max(replay(left, right, 2, profile=profile, require=require) for profile in ("distinct", "mixed"))
    if error < 1e-8:
        return Comparison(True, "by numbers only: the values agree at random points, the rules do not show it")
    return Comparison(False, f"the values differ at random points, by {error:.2g}")


def _built(name: str, *args: Expr) -> Expr:
    from ..terms import build

    names = tuple(dict.fromkeys(n for a in args for n in a.names))
    return Expr(getattr(build, name)(*(a.term for a in args)), names)
