"""Derivatives through recurrences of symbolic length, against numbers at several depths."""

from __future__ import annotations

from fractions import Fraction
from inspect import signature

import numpy as np
import pytest

import matcalc as mc
from golden.witness import derivation_errors
from matcalc.calculus.induction import products_as_recurrences
from matcalc.errors import MatcalcError
from matcalc.numeric.check import difference, numeric_jacobian, replay
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import ops
from matcalc.terms.dims import Atom, Index, Name
from matcalc.terms.walk import free_atoms, postorder

WHERE = {
    "phi": "function",
    "x": "vector(n)",
    "a": "vector(n)",
    "c": "vector(n)",
    "t": "vector(n)",
    "b": "vector(n)",
    "A": "matrix(n,n)",
    "U": "matrix(n,p)",
    "Q": "posdef(n)",
    "s": "scalar",
    "W[k=0..L-1]": "matrix(n,n)",
    "u[k=0..L-1]": "vector(p)",
}
RNN = {"y[0]": "x", "y[k+1]": "tanh(A*y[k] + U*u[k])"}
RESIDUAL = {"y[0]": "x", "y[k+1]": "y[k] + tanh(W[k]*y[k])"}
NET = {"y[0]": "x", "y[k+1]": "phi(W[k]*y[k] + b)"}
DESCENT = {"z[0]": "x", "z[k+1]": "z[k] - s*(A*z[k] - b)"}
LINEAR = {"z[0]": "x", "z[k+1]": "A*z[k] + U*u[k]"}

CASES = {
    "network, a weight": ("1/2*norm(y[L] - t)^2", "W[i]", NET),
    "network, the bias shared": ("1/2*norm(y[L] - t)^2", "b", NET),
    "network, the input": ("1/2*norm(y[L] - t)^2", "x", NET),
    "recurrent network, shared weights": ("norm(y[L] - t)^2", "A", RNN),
    "recurrent network, an input": ("norm(y[L] - t)^2", "u[i]", RNN),
    "residual network": ("norm(y[L] - t)^2", "W[i]", RESIDUAL),
    "unrolled gradient descent, step size": ("norm(z[L] - t)^2", "s", DESCENT),
    "unrolled gradient descent, start": ("norm(z[L] - t)^2", "x", DESCENT),
    "linear-quadratic regulator": ("z[L]'*Q*z[L] + sum(k=0..L-1, z[k]'*Q*z[k] + norm(u[k])^2)", "u[i]", LINEAR),
    "losses on all states": ("sum(k=0..L, norm(y[k] - t)^2)", "A", RNN),
    "powers of a matrix": ("c'*y[L]", "A", {"y[0]": "a", "y[k+1]": "A*y[k]"}),
    "ordered product": ("norm(prod(j=L-1..0, W[j])*x - t)^2", "W[i]", {}),
    "one feeds another": (
        "norm(z[L])^2",
        "A",
        {"y[0]": "x", "y[k+1]": "tanh(A*y[k])", "z[0]": "x", "z[k+1]": "sin(A*z[k] + y[k])"},
    ),
    "backwards": ("c'*q[0]", "A", {"q[L]": "a", "q[k-1]": "tanh(A*q[k])"}),
}


def error_at(d: mc.Derivative, depth: int, form: str) -> float:
    """How far the answer is from the derivative by the complex step, with ``depth`` steps."""
    function, wrt = d.function_expr.term, d.wrt.term
    answer = d.jacobian.term if form == "jacobian" else d.gradient.term
    sizes: dict[Atom, int] = {Name("L"): depth, Name("n"): 2, Name("p"): 3}
    if wrt.op is ops.MEMBER:
        sizes[Name("i")] = depth // 2
    env = sample([function, wrt, answer], 3, sizes=sizes)
    expected = numeric_jacobian(function, wrt, env)
    given = evaluate(answer, env)
    return difference(given if form == "jacobian" else given.reshape((1, -1), order="F"), expected)


DEPTHS = [(case, depth) for case in CASES for depth in (0, 1, 2, 5, 50) if depth or "[i]" not in CASES[case][1]]
"""A member of a family is asked for where there is one."""


@pytest.mark.parametrize(("case", "depth"), DEPTHS, ids=str)
def test_gradient_at_every_depth(case: str, depth: int) -> None:
    expression, wrt, let = CASES[case]
    assert error_at(mc.derivative(expression, wrt, WHERE, let), depth, "gradient") < 1e-9


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("case", [c for c in CASES if c != "linear-quadratic regulator"], ids=str)
def test_the_ordered_product_of_jacobians(case: str, depth: int) -> None:
    """The route by vec: the other answer of the post, from its own rules."""
    expression, wrt, let = CASES[case]
    d = mc.derivative(expression, wrt, WHERE, let, route="vec", form="jacobian")
    assert error_at(d, depth, "jacobian") < 1e-9


@pytest.mark.parametrize("case", ["network, a weight", "recurrent network, shared weights", "residual network"])
def test_the_answer_does_not_grow_with_the_depth(case: str) -> None:
    expression, wrt, let = CASES[case]
    d = mc.derivative(expression, wrt, WHERE, let)
    assert d.expr.size < 80
    assert any(t.op is ops.STATE for t in postorder(d.expr.term))


def test_the_errors_of_back_propagation() -> None:
    """The state of the adjoint recurrence is e[k] = φ'(a[k]) ⊙ …, as the post has it."""
    expression, wrt, let = CASES["network, a weight"]
    text = str(mc.derivative(expression, wrt, WHERE, let))
    assert text.startswith("e[i]*y[i]' where ")
    assert "e[L-1] = phi'(W[L-1]*y[L-1] + b) .* (y[L] - t)" in text
    assert "e[k-1] = phi'(W[k-1]*y[k-1] + b) .* (W[k]'*e[k])" in text


@pytest.mark.parametrize("member", ["W[0]", "W[L-1]", "W[1]"])
def test_members_at_the_ends(member: str) -> None:
    assert mc.derivative("1/2*norm(y[L] - t)^2", member, WHERE, NET).check(trials=2).ok


def test_one_step_by_a_state_and_by_a_weight() -> None:
    step = mc.derivative("y[k+1]", "y[k]", WHERE, NET)
    assert step.compare("diag(phi'(W[k]*y[k] + b))*W[k]").verdict == "equal"
    weight = mc.derivative("y[k+1]", "W[k]", WHERE, NET)
    assert weight.compare("diag(phi'(W[k]*y[k] + b))*kron(y[k]', eye(n))").verdict == "equal"
    assert mc.derivative("1/2*norm(y[L] - t)^2", "y[L]", WHERE, NET).compare("y[L] - t").verdict == "equal"


def test_generated_code_runs_in_time_linear_in_the_depth() -> None:
    gradient = mc.derivative("1/2*norm(y[L] - t)^2", "W[i]", WHERE, NET).function()
    calls: list[int] = []

    def phi(z: np.ndarray) -> np.ndarray:
        calls.append(1)
        return np.tanh(z)

    counts = []
    for depth in (10, 20, 40):
        calls.clear()
        given = {"W": [np.eye(2)] * depth, "b": np.zeros(2), "x": np.ones(2), "t": np.zeros(2), "i": 0}
        value = gradient(**given, phi=phi, dphi=lambda z: 1 - np.tanh(z) ** 2)
        assert value.shape == (2, 2)
        counts.append(len(calls))
    assert Fraction(counts[2] - counts[1], counts[1] - counts[0]) == 2


def test_a_state_that_a_sum_alone_uses() -> None:
    """What arrives from a sum over the states up to the last is one adjoint recurrence, as far as there are states."""
    costate = mc.derivative("sum(k=0..L, z[k]'*Q*z[k])", "z[i]", WHERE, LINEAR)
    assert costate.check(trials=3).ok
    assert str(costate).startswith("ind(i <= L)*e[i] where ")


def test_the_costates_are_derivatives_by_the_states() -> None:
    """λ[k] = ∂j/∂z[k]: what the later states and the costs from k on contribute."""
    cost = "1/2*z[L]'*Q*z[L] + 1/2*sum(k=0..L-1, z[k]'*Q*z[k])"
    costate = mc.derivative(cost, "z[i]", WHERE, LINEAR)
    text = str(costate)
    assert text.startswith("e[i] where ") and text.endswith("e[L] = Q*z[L]; e[k-1] = A'*e[k] + Q*z[k-1]")
    start = mc.derivative(cost, "x", WHERE, LINEAR)
    sizes: dict[Atom, int] = {Name("L"): 4, Name("n"): 2, Name("p"): 1, Name("i"): 0}
    env = sample([costate.expr.term, start.expr.term], 1, sizes=sizes)
    assert np.allclose(evaluate(costate.expr.term, env), evaluate(start.expr.term, env))


def test_steps_through_a_recurrence_are_named() -> None:
    rules = [step.rule for step in mc.derivative("1/2*norm(y[L] - t)^2", "W[i]", WHERE, NET).steps]
    assert "adjoint recurrence" in rules and rules[-1] == "identify"


COUPLED = {"v[0]": "0", "x[0]": "a", "v[k+1]": "s*v[k] - b .* sin(x[k])", "x[k+1]": "x[k] + v[k+1]"}
CELL = {
    "c[0]": "0",
    "h[0]": "x",
    "c[k+1]": "sigmoid(A*h[k]) .* c[k] + tanh(U*u[k])",
    "h[k+1]": "sigmoid(Q*h[k]) .* tanh(c[k+1])",
}
COUPLED_CASES = {
    "momentum, a parameter": ("norm(x[L] - t)^2", "b", COUPLED),
    "momentum, the damping": ("norm(x[L] - t)^2", "s", COUPLED),
    "momentum, the start": ("norm(x[L] - t)^2", "a", COUPLED),
    "momentum, losses on all states": ("sum(k=0..L, norm(x[k] - t)^2 + norm(v[k])^2)", "b", COUPLED),
    "a cell with a memory, shared weights": ("norm(h[L] - t)^2", "A", CELL),
    "a cell with a memory, an input": ("norm(h[L] - t)^2 + norm(c[L])^2", "u[i]", CELL),
}


@pytest.mark.parametrize("depth", [0, 1, 2, 5, 50])
@pytest.mark.parametrize("case", COUPLED_CASES, ids=str)
def test_coupled_states_at_every_depth(case: str, depth: int) -> None:
    expression, wrt, let = COUPLED_CASES[case]
    if depth or "[i]" not in wrt:
        assert error_at(mc.derivative(expression, wrt, WHERE, let), depth, "gradient") < 1e-9


@pytest.mark.parametrize("case", COUPLED_CASES, ids=str)
def test_coupled_states_print_parse_and_run(case: str) -> None:
    expression, wrt, let = COUPLED_CASES[case]
    d = mc.derivative(expression, wrt, WHERE, let)
    assert mc.parse(str(d), WHERE).term is d.expr.term
    sizes: dict[Atom, int] = {Name("L"): 3, Name("n"): 2, Name("p"): 1, Name("i"): 1}
    env = sample([d.function_expr.term, d.expr.term], 5, sizes=sizes)
    given = {str(atom): size for atom, size in sizes.items()}
    for leaf in postorder(d.function_expr.term, d.expr.term):
        if leaf.op is ops.MEMBER:
            members = [np.asarray(env.member(leaf.attr.family, k)) for k in range(3)]
            given[leaf.attr.family.name] = np.array(members)[:, :, 0]
        elif leaf.op is ops.SYM and leaf.attr.role != "state":
            array = np.asarray(env.symbols[leaf.attr])
            given[leaf.attr.name] = array if leaf.cols.constant != 1 else array[:, 0]
            if leaf.is_scalar:
                given[leaf.attr.name] = float(array[0, 0])
    function = d.function()
    taken = signature(function).parameters
    found = function(**{name: value for name, value in given.items() if name in taken})
    assert np.allclose(np.reshape(found, -1, order="F"), np.reshape(evaluate(d.expr.term, env), -1, order="F"))


def test_the_whole_family_at_once() -> None:
    """D(f, W): the gradient by each member, in one loop forward and one back."""
    d = mc.derivative("1/2*norm(y[L] - t)^2", "W", WHERE, NET)
    assert str(d).startswith("family(i=0..L-1, e[i]*y[i]') where ")
    assert mc.parse(str(d), WHERE).term is d.expr.term and d.check(trials=2).ok
    member = mc.derivative("1/2*norm(y[L] - t)^2", "W[i]", WHERE, NET).function()
    given = {"W": np.arange(12.0).reshape(3, 2, 2) / 9, "b": np.ones(2), "x": np.ones(2), "t": np.zeros(2)}
    given |= {"phi": np.tanh, "dphi": lambda z: 1 - np.tanh(z) ** 2}
    assert np.allclose(d.function()(**given), [member(**given, i=i) for i in range(3)])
    sizes = {"W[k=0..L-1]": "matrix(h[k+1], h[k])", "x": "vector(h[0])"}
    layers = mc.derivative("norm(y[L])^2", "W", sizes, {"y[0]": "x", "y[k+1]": "tanh(W[k]*y[k])"}).function()
    found = layers(W=[np.ones((3, 2)), np.ones((4, 3))], x=np.ones(2))
    assert [one.shape for one in found] == [(3, 2), (4, 3)]


def test_a_family_stands_alone() -> None:
    for text in ("2*family(k=0..L-1, W[k])", "tr(family(k=0..L-1, W[k]))", "family(k=0..L-1, j=0..L-1, W[k]*W[j])"):
        with pytest.raises(MatcalcError, match="family"):
            mc.parse(text, WHERE)
    with pytest.raises(MatcalcError, match=r"W\[i\]"):
        mc.hessian("1/2*norm(y[L] - t)^2", "W", WHERE, NET)


STEPPED = [(case, route) for case in (*CASES, *COUPLED_CASES) for route in ("differential", "vec")]


@pytest.mark.parametrize(("case", "route"), STEPPED, ids=str)
def test_every_step_is_replayed(case: str, route: str) -> None:
    expression, wrt, let = CASES[case] if case in CASES else COUPLED_CASES[case]
    d = mc.derivative(expression, wrt, WHERE, let, route=route)
    assert derivation_errors(d.steps, d.wrt.term) == []


@pytest.mark.parametrize("case", ["network, a weight", "network, the bias shared", "recurrent network, shared weights"])
def test_the_product_is_the_recurrence_by_induction(case: str) -> None:
    """The other answer of the post is led to this one by steps: the recurrence, the hypothesis, the induction."""
    expression, wrt, let = CASES[case]
    rules = [step.rule for step in mc.derivative(expression, wrt, WHERE, let, route="vec").steps]
    assert rules[-1] == "induction over the index" and "rearrange" not in rules
    assert rules.index("product as a recurrence") < rules.index("induction hypothesis")


def test_a_product_within_a_sum_is_a_recurrence_for_each_index() -> None:
    """What is shown of its steps is said of any value of the outer index, and can be replayed."""
    where = {"v[i=0..q]": "vector(n)", "A[i=0..q]": "matrix(n,n)", "x[i=0..q]": "vector(n)", "u": "vector(n)"}
    d = mc.derivative("sum(i=0..q-1, v[i]'*prod(j=i+1..q, A[j]*diag(x[j]))*u)", "u", where)
    steps = products_as_recurrences(d.system, d.function_expr.term)
    assert [s.rule for s in steps[-2:]] == ["the recurrence", "product as a recurrence"]
    assert not any(isinstance(atom, Index) for s in steps for t in (s.before, s.after) for atom in free_atoms(t))
    assert max(replay(s.before, s.after) for s in steps) < 1e-9


def test_a_start_that_does_not_move() -> None:
    for route in ("differential", "vec"):
        d = mc.derivative("sum(y[L])", "x", WHERE, {"y[0]": "sign(x)", "y[k+1]": "tanh(W[k]*y[k])"}, route=route)
        assert str(d) == "zeros(n)" and d.check()
        assert derivation_errors(d.steps, d.wrt.term) == []


def test_fixed_steps_become_powers() -> None:
    """A recurrence that multiplies by what does not change is a power, on both routes."""
    for route in ("differential", "vec"):
        d = mc.derivative("c'*z[L]", "A", WHERE, {"z[0]": "x", "z[k+1]": "A*z[k]"}, route=route)
        assert d.compare("sum(r=0..L-1, (A^r)'*c*x'*(A^(L-1-r))')")
        assert "where" not in str(d)
    assert str(mc.derivative("c'*z[L]", "u[i]", WHERE, LINEAR)) == "U'*(A^(L-i-1))'*c"


@pytest.mark.parametrize("depth", [1, 4])
@pytest.mark.parametrize("case", COUPLED_CASES, ids=str)
def test_the_ordered_product_of_coupled_states(case: str, depth: int) -> None:
    expression, wrt, let = COUPLED_CASES[case]
    assert error_at(mc.derivative(expression, wrt, WHERE, let, route="vec", form="jacobian"), depth, "jacobian") < 1e-9


def test_the_members_of_a_family_are_computed_on_the_way() -> None:
    """Of the errors only the last is kept: the loop back makes the gradients as it goes."""
    code = mc.derivative("1/2*norm(y[L] - t)^2", "W", WHERE, NET).code("numpy")
    assert "e_states" not in code and "append" in code


def test_two_families_on_the_way_of_one_recurrence() -> None:
    where = {**WHERE, "b[k=0..L-1]": "vector(n)"}
    let = {"y[0]": "x", "y[k+1]": "tanh(W[k]*y[k] + b[k])"}
    rng = np.random.default_rng(0)
    given = {"W": rng.normal(size=(3, 2, 2)), "b": rng.normal(size=(3, 2)), "x": np.ones(2), "t": np.zeros(2)}
    together = mc.function("norm(y[L] - t)^2", ["W", "b"], "gradient", where=where, let=let)(**given)
    for name in ("W", "b"):
        alone = mc.derivative("norm(y[L] - t)^2", f"{name}[i]", where, let).function()
        assert np.allclose(together[name], [alone(**given, i=i) for i in range(3)])


def test_a_family_of_sums_over_recurrences() -> None:
    """Each addend has a recurrence of its own."""
    where = {**WHERE, "x[j=1..N]": "vector(n)", "t[j=1..N]": "vector(n)"}
    f = "sum(j=1..N, (norm(y[L] - t[j])^2 where y[0] = x[j]; y[k+1] = tanh(W[k]*y[k])))"
    rng = np.random.default_rng(0)
    given = {"W": rng.normal(size=(3, 2, 2)), "x": rng.normal(size=(4, 2)), "t": rng.normal(size=(4, 2))}
    member = mc.derivative(f, "W[i]", where).function()
    assert np.allclose(mc.derivative(f, "W", where).function()(**given), [member(**given, i=i) for i in range(3)])


@pytest.mark.parametrize(
    ("f", "x", "where"),
    [
        (
            "ones(1,p)*y[N] where y[0] = z; v[0] = b; y[i+1] = P[i]*v[i]; v[i+1] = x + v[i] + zeros(m,p)*y[i+1]",
            "x",
            {"z": "vector(p)", "b": "vector(m)", "x": "vector(m)", "P[i=0..N-1]": "matrix(p,m)"},
        ),
        (
            "norm(rowsums(X)/(ones(1,n)*y[N] .+ 1)) where y[0] = u; v[0] = u; y[i+1] = zeros(n,n)*v[i]; "
            "v[i+1] = y[i] .* g[i]",
            "X",
            {"u": "nonneg(n)", "X": "matrix(m,n)", "g[i=0..N-1]": "vector(n)"},
        ),
        (
            "x'*y[N] + sum(v[N] + u[N]) where y[0] = x; v[0] = x; u[0] = x; y[i+1] = A*v[i]; v[i+1] = B*y[i]; "
            "u[i+1] = u[i] + y[i] .* v[i+1]",
            "x",
            {"x": "vector(n)", "A": "matrix(n,n)", "B": "matrix(n,n)"},
        ),
    ],
)
def test_states_that_do_not_use_one_another_are_recurrences_of_their_own(f, x, where):
    d = mc.derivative(f, x, where)
    assert mc.parse(str(d), where).term is d.expr.term
    assert d.check()


def test_steps_where_several_coupled_states_vary_at_once() -> None:
    where = {"u": "vector(n)", "v": "vector(n)", "B": "matrix(n,n)", "A": "matrix(n,n)"}
    states = "y[0] = u; z[0] = v; y[i+1] = tanh(y[i] + B*z[i]); z[i+1] = tanh(z[i] + A*y[i+1])"
    d = mc.hessian(f"(y[q]'*y[q] + u'*z[q])^2 where {states}", "u", where)
    assert derivation_errors(d.steps, d.wrt.term) == []
