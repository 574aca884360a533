"""What ``mc.derivative`` and ``mc.hessian`` give back."""

from __future__ import annotations

from dataclasses import replace as with_changes
from functools import cached_property
from typing import TYPE_CHECKING

from ..bounds import bounded
from ..calculus import derive
from ..calculus.second import Second
from ..calculus.system import Condition, System
from ..errors import MatcalcError, ShapeError
from ..rewriting.steps import Step
from ..terms import build, ops
from ..terms.dims import dim
from ..terms.symbols import Family, Unknown
from ..terms.term import Term
from ..terms.walk import postorder, replace, substitute_indices
from .expr import Expr, IndexNames

if TYPE_CHECKING:
    from ..compile.function import GeneratedFunction
    from ..language.scope import Scope
    from ..numeric.check import CheckResult
    from .compare import Verdict
    from .operator import OperatorFunction

ROUTES = ("differential", "vec")


class Derivative:
    """A derivative, found when first asked for: as an expression, with steps, as code, checked.

    ``assumed`` tells what was assumed about undeclared names.
    """

    def __init__(
        self,
        system: System,
        function: Term,
        wrt: Term,
        *,
        form: str = "auto",
        route: str = "differential",
        structured: bool = False,
        family: Family | None = None,
        names: IndexNames = (),
        assumed: dict[str, str] | None = None,
        notes: list[str] | None = None,
        scope: Scope | None = None,
        derived: derive.Derived | None = None,
    ) -> None:
        if route not in ROUTES:
            raise MatcalcError(f"there is no route {route!r}; there are: {', '.join(ROUTES)}")
        self.system = system
        self.route = route
        self.structured = structured
        self.family = family
        self.names = names
        self.assumed = assumed or {}
        self._function, self._wrt = function, wrt
        self._notes = notes or []
        self._scope = scope
        if derived is not None:
            self.__dict__["_derived"] = derived
        if form == "auto":
            form = "gradient" if function.is_scalar else "jacobian"
        if form == "hessian" and not function.is_scalar:
            raise ShapeError(f"a Hessian is of a scalar; this is {build.show_shape(function.rows, function.cols)}")
        if form == "hessian" and family is not None:
            first, second = f"{family.name}[i]", f"{family.name}[j]"
            raise MatcalcError(
                f"a Hessian by all of {family.name} has a block for every two members",
                hint=f"D(grad(f, {first}), {second}) is the block, hess(f, {first}) one on the diagonal",
            )
        self.form = form

    # ------------------------------------------------------------ the answer

    @cached_property
    @bounded
    def _derived(self) -> derive.Derived:
        if self.form == "gradient" and self.route == "vec" and not self.structured:
            row = derive.jacobian(self.system, self._function, self._wrt)
            inside = self.system.simplify(derive.read_vec(row.term, self._wrt))
            return derive.Derived(inside, row.conditions, row.notes)
        return self._find(self.form)

    def _find(self, form: str) -> derive.Derived:
        find = {"gradient": derive.gradient, "hessian": derive.hessian}.get(form, derive.derivative)
        return find(self.system, self._function, self._wrt, self.structured)

    @property
    def function_expr(self) -> Expr:
        """What is differentiated."""
        return Expr(self._function, self.names)

    @property
    def wrt(self) -> Expr:
        """The variable."""
        return Expr(self._wrt, self.names)

    @property
    def expr(self) -> Expr:
        """The answer: the gradient of a scalar function, otherwise the Jacobian (or the Hessian)."""
        return self._shown(self._derived.term)

    def _shown(self, term: Term) -> Expr:
        """The answer; by a whole family, for each index."""
        if self.family is not None:
            index = self._wrt.attr.at.atom
            term = build.family(self.family.index, substitute_indices(term, {index: dim(self.family.index)}))
        return Expr(term, self.names)

    @property
    @bounded
    def gradient(self) -> Expr:
        """In the shape of the variable.  Raises :class:`ShapeError` when the function is no scalar."""
        if self.form == "gradient":
            return self.expr
        return self._shown(self._find("gradient").term)

    @property
    @bounded
    def jacobian(self) -> Expr:
        """∂vec(F)/∂vec(X)ᵀ; of a scalar the row vec(gradient)ᵀ."""
        if self.form == "jacobian":
            return self.expr
        if self.form == "hessian":
            return self._shown(self._find("jacobian").term)
        return self._shown(derive.as_row(self.system, self._derived.term, self._wrt))

    @property
    def conditions(self) -> tuple[Condition, ...]:
        """What has to hold for the answer: pairs of a term and a fact."""
        return self._derived.conditions

    @property
    def notes(self) -> list[str]:
        """What was held fixed, and what else the reader should know."""
        return [*self._notes, *self._derived.notes]

    @property
    @bounded
    def steps(self) -> list[Step]:
        """The derivation, each step a named rule."""
        from ..calculus.derivation import derivation

        return derivation(self.system, self._function, self._wrt, self.route, self.form, self.structured)

    # ------------------------------------------------------------ actions and comparisons

    def _read(self, value: str | Expr, like: Term) -> Term:
        """What is given, with undeclared names so that it has the shape of ``like``, if it can."""
        if isinstance(value, Expr):
            return value.term
        from ..language.elaborate import parse_fitting

        if self._scope is None:
            from .library import scope_of

            self._scope = scope_of(Expr(build.mul(build.vec(self._function), build.transpose(build.vec(self._wrt)))))
        return parse_fitting(value, self._scope.copy(), like.shape).term

    @property
    def _symmetric(self) -> bool:
        """True for a Hessian by independent entries."""
        return self.form == "hessian" and not self.structured

    def _mapped(self) -> Term:
        """The function whose Jacobian this is: of a Hessian, the gradient."""
        return self.gradient.term if self.form == "hessian" else self._function

    def _projected(self, moved: Term) -> Term:
        """What a Hessian makes of a direction, on the tangent space of a curved structure."""
        from ..calculus.structure import structure

        kind = structure(self.system, self._wrt)
        return derive.restricted(self.system, moved, self._wrt) if kind is not None and kind.curved else moved

    def _fits(self, value: Term, like: Term) -> None:
        if value.shape != like.shape:
            shapes = (build.show_shape(*value.shape), build.show_shape(*like.shape))
            raise ShapeError(f"{Expr(value)} is {shapes[0]}, it has to be {shapes[1]}")

    @bounded
    def jvp(self, direction: str | Expr) -> Expr:
        """The Jacobian (or the Hessian) acting on a direction in the shape of the variable.

        Of a derivative along a structure the direction is one that keeps the structure.
        """
        along = self._read(direction, self._wrt)
        self._fits(along, self._wrt)
        if self._symmetric:
            return Expr(Second(self.system, self._function, [self._wrt]).product(0, [along]), self.names)
        moved = derive.directional(self.system, self._mapped(), self._wrt, along)
        return Expr(self._projected(moved) if self.form == "hessian" else moved, self.names)

    @bounded
    def vjp(self, covector: str | Expr) -> Expr:
        """The transposed Jacobian acting on a covector in the shape of the function (of a Hessian: of the variable)."""
        mapped = self._mapped()
        given = self._read(covector, mapped)
        self._fits(given, mapped)
        if self._symmetric:
            return self.jvp(covector)
        pulled = derive.pulled_back(self.system, mapped, self._wrt, given)
        return Expr(derive.restricted(self.system, pulled, self._wrt) if self.structured else pulled, self.names)

    @bounded
    def compare(self, answer: str | Expr) -> Verdict:
        """Another answer held against this one: equal, transposed layout, off by a factor, or different."""
        from .compare import compare

        ours = self._derived.term
        given = self._read(answer, ours)
        if self.form == "gradient" and given.shape not in (ours.shape, (ours.cols, ours.rows)):
            ours = self.jacobian.term
        require = [(t, fact) for t, fact in (*self.system.assumptions, *self.conditions) if fact in CHECKABLE]
        structured = not self.structured and self._wrt.is_square and self.system.facts.has(self._wrt, "symmetric")
        return compare(self.system, ours, given, require, structured)

    # ------------------------------------------------------------ output

    def __str__(self) -> str:
        return str(self.expr)

    def __repr__(self) -> str:
        return f"<{self.form} {self.expr}>"

    @bounded
    def unicode(self) -> str:
        """The answer on one line for the terminal."""
        return self.expr.unicode()

    @bounded
    def latex(self, steps: bool = False) -> str:
        """The answer as LaTeX; with ``steps`` the whole derivation, aligned."""
        if not steps:
            return self.expr.latex()
        from ..output.derivation import latex_steps

        return latex_steps(self.steps, self._wrt, self.names)

    def _repr_latex_(self) -> str:
        return self.expr._repr_latex_()

    @bounded
    def code(self, backend: str = "numpy", form: str | None = None) -> str:
        """Source text of a stand-alone function that evaluates the answer."""
        from .backends import source

        return source(backend, self._in_form(form), self._name(form), self._inputs(), self._arrays(form), self.system)

    @bounded
    def function(self, backend: str = "numpy", form: str | None = None) -> GeneratedFunction:
        """That function, ready to call: ``f(A=..., x=..., b=...)``; ``form="jacobian"`` for the row of a scalar."""
        from .backends import compiled

        return compiled(
            backend,
            self._in_form(form),
            self._name(form),
            self._inputs(),
            self._arrays(form),
            self._functions(),
            self.system,
        )

    @bounded
    def operator(self, backend: str = "numpy") -> OperatorFunction:
        """The Hessian, or the Jacobian, as a linear operator at a point: ``H = h.operator()(U=..., V=...)``.

        A Hessian that is a sum of Kronecker products comes as a :class:`KroneckerSum`, its factors with
        ``H.solve(v)`` (a Newton step without the matrix); everything else as a ``scipy.sparse.linalg.LinearOperator``,
        matrix-free from the products with a direction.  Raises :class:`MatcalcError` for a gradient.
        """
        from .operator import operator

        return operator(self, backend)

    def _in_form(self, form: str | None) -> Term:
        if form is None or form == self.form:
            return self.expr.term
        if form == "jacobian":
            return self.jacobian.term
        if form == "gradient":
            return self.gradient.term
        raise MatcalcError(f"there is no form {form!r}; there are: gradient, jacobian, hessian")

    def _name(self, form: str | None) -> str:
        return form or self.form

    def _arrays(self, form: str | None) -> str:
        """Gradients come back in the shape of the variable, Jacobians and Hessians as 2-D arrays."""
        return "array" if self._name(form) == "gradient" else "matrix2d"

    def _inputs(self) -> list[Term]:
        leaves = {t: None for t in postorder(self._function, self._wrt) if t.op in (ops.SYM, ops.MEMBER)}
        return [t for t in leaves if t.op is ops.MEMBER or t.attr.role != "state"]

    def _functions(self) -> list[str]:
        """The unknown functions and their derivatives, which may be given where the code needs only some."""
        unknown = {t.attr.name for t in postorder(self._function) if isinstance(t.attr, Unknown)}
        return [prefix + name for name in sorted(unknown) for prefix in ("", "d", "d2", "d3")]

    @bounded
    def check(self, trials: int = 3, seed: int = 0) -> CheckResult:
        """Compare with a derivative found without the rules, at random points, in several sizes."""
        from ..calculus.structure import structure
        from ..calculus.variable import is_state, variable
        from ..numeric.check import check_derivative

        where = variable(self.system, self._function, self._wrt)
        function, answer, wrt = self._function, self._derived.term, self._wrt
        kind = structure(self.system, wrt) if self.structured else None
        point = None
        if is_state(wrt) or (where.visible is not None and kind is None):
            # what is seen of it, or follows from it, varies with a variable that has its value
            function, wrt, point = where.enter(function), where.target, wrt
        elif wrt.op not in (ops.SYM, ops.MEMBER):  # a sub-expression: a variable of its own takes its place
            function, answer, wrt = where.enter(function), where.enter(answer), where.target
            if kind is not None:
                own = build.sym(with_changes(wrt.attr, facts=wrt.attr.facts | {kind.fact}))
                function, answer, wrt = (replace(t, {wrt: own}) for t in (function, answer, wrt))
        require = [(t, fact) for t, fact in (*self.system.assumptions, *self.conditions) if fact in CHECKABLE]
        require = [(where.enter(t), fact) for t, fact in require] if wrt is where.target else require
        along = kind.fact if kind is not None else ""
        return check_derivative(function, wrt, answer, self.form, trials, seed, require, along, point)


CHECKABLE = (
    *("positive", "nonneg", "nonzero", "invertible"),
    *("principal", "simple", "distinct", "fixedrank", "maxrank"),
    *("posdef", "psd", "symmetric", "fullrank", "fullrow"),
)
