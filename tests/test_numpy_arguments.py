"""What generated NumPy functions take: sizes, names, the object itself."""

from __future__ import annotations

import inspect
import pickle
import traceback

import numpy as np
import pytest

from matcalc.compile.function import GeneratedFunction, compile_numpy
from matcalc.compile.source import to_numpy
from matcalc.errors import MatcalcError
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import build as b
from matcalc.terms.dims import ONE, SizeAt, dim
from matcalc.terms.symbols import Family
from numpy_terms import I1, TWO, A, S, V, W, X, arguments, compare, m, n, phi, row, t, variable, x, y, z

# ---------------------------------------------------------------- sizes


@pytest.mark.parametrize(
    "term, inputs, expected",
    [
        (b.eye(n), [A], ["A"]),
        (b.eye(n), [A, x], ["A"]),
        (b.eye(n), None, ["n"]),
        (b.eye(n), [t], ["n"]),
        (b.mul(TWO, x), [A, x], ["x"]),
        (b.zeros(m, n), [x, y], ["x", "y"]),
        (b.mpow(S, "k"), [S], ["S", "k"]),
        (b.sum_over(I1, b.member(X, I1)), None, ["X"]),
        (b.divide(x, b.integer("N")), [b.member(X, 1)], ["X", "x"]),
        (b.fun(phi.derivative(), x), None, ["dphi", "x"]),
        (b.scale(b.integer("m"), b.ones(SizeAt("h", dim(1)))), None, ["h", "m"]),
        (b.ones(SizeAt("h", dim(1))), [b.member(W, 0)], ["W"]),
        (b.add(b.num(1), b.num(1)), None, []),
    ],
)
def test_arguments(term, inputs, expected):
    function = compile_numpy(term, inputs=inputs)
    assert list(function.arguments) == expected
    compare(term, inputs=inputs)


HALF = n * (n + 1) / 2


@pytest.mark.parametrize(
    "source, wanted", [(n - 1, n), (2 * n + 3, n), (HALF, n), (m * n, n), (n / 2, n), (n * n, n), (m + n, m)], ids=str
)
def test_sizes_are_solved_for(source, wanted):
    known = b.total(y) if wanted is n else b.total(x)
    term = b.mul(known, b.total(variable("u", source)), b.eye(wanted))
    function = compare(term)
    assert list(function.arguments) == sorted(["u", str(known.args[0].attr.name)])


def test_a_family_counted_from_zero():
    function = compile_numpy(b.integer("L"), inputs=[b.member(V, 0)])
    assert function(v=[[1, 2], [3], [4, 5, 6]]) == 3.0


def test_wrong_shapes_are_refused():
    function = compile_numpy(b.had(x, z))
    with pytest.raises(ValueError, match=r"z has the shape \(1,\), but \(3,\) is needed"):
        function(x=[1, 2, 3], z=[1])
    with pytest.raises(ValueError, match="S has the shape"):
        compile_numpy(b.mul(S, x))(S=np.ones((2, 3)), x=[1, 2])


def test_columns_may_be_given_as_matrices():
    assert np.array_equal(compile_numpy(b.mul(TWO, x))(x=[[1], [2]]), [2.0, 4.0])


def test_integers_are_taken_as_floats():
    assert np.allclose(compile_numpy(b.power_of(x, b.num(-1)))(x=[1, 2]), [1, 0.5])
    assert np.allclose(compile_numpy(b.inv(S))(S=[[2, 0], [0, 4]]), np.diag([0.5, 0.25]))


def test_the_result_is_not_the_input():
    given = np.ones((2, 3))
    for term in (A, row(A)):
        found = compile_numpy(term)(A=given)
        found[:] = 0
    assert given.all()


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    "name, expected",
    [
        ("λ", "lambda_"),
        ("lambda", "lambda_"),
        ("Σ", "Sigma"),
        ("σ", "sigma"),
        ("x₁", "x1"),
        ("np", "np_"),
        ("t0", "t0"),
        ("range", "range_"),
        ("float", "float_"),
        ("special", "special_"),
        ("x̂", "x"),
        ("ϕ", "phi"),
        ("i", "i"),
        ("x'", "x_prime"),
    ],
)
def test_names_become_ascii(name, expected):
    u = variable(name, n)
    family = Family("Y", I1, n, ONE)
    shared = b.fun("erf", b.mul(S, u))
    term = b.sum_over(I1, b.add(b.had(shared, b.member(family, I1)), shared))
    function = compile_numpy(term, "f")
    assert expected in function.arguments
    env = sample(term, 0)
    given = arguments(term, env)
    found = function(**{k: v for k, v in given.items() if k not in ("n", "N")})
    assert np.allclose(found, evaluate(term, env)[:, 0])
    assert function.source.split('"""')[0].isascii()


def test_names_that_clash():
    one, other = variable("T", n), variable("T", n, 1, "positive")
    function = compile_numpy(b.add(b.mul(TWO, one), other))
    assert list(function.arguments) == ["T", "T_"]
    size = b.scale(b.integer("T"), one)
    assert list(compile_numpy(size).arguments) == ["T", "T_"]
    assert np.array_equal(compile_numpy(size)(T=[1, 2], T_=3), [3, 6])
    greek = compile_numpy(b.add(variable("σ"), variable("sigma")))
    assert len(greek.arguments) == 2


def test_a_hidden_variable_is_the_variable():
    hidden = variable("S", n, n, role="hidden")
    function = compile_numpy(b.mul(variable("S", n, n, "posdef"), hidden))
    assert list(function.arguments) == ["S"]


def test_a_function_named_like_a_keyword():
    function = compile_numpy(t, "lambda")
    assert function.name == "lambda_"
    assert function(t=2) == 2.0


# ---------------------------------------------------------------- the object


def test_missing_and_unknown_arguments_are_named():
    function = compile_numpy(b.mul(A, x), inputs=[A, x, y])
    with pytest.raises(MatcalcError, match="missing A; unknown q"):
        function(x=[1], q=3)
    assert np.array_equal(function(A=[[1, 1]], x=[1, 2], y=[5]), [3.0])
    assert compile_numpy(t, accept=["extra"])(t=1, extra=2) == 1.0


def test_pickling_keeps_everything():
    function = compile_numpy(b.scale(variable("λ"), A), "g", inputs=[A, x])
    again = pickle.loads(pickle.dumps(function))
    assert isinstance(again, GeneratedFunction)
    assert (again.source, again.name, again.accept) == (function.source, "g", function.accept)
    assert np.array_equal(again(A=[[1, 2]], λ=2, x=0), [[2.0, 4.0]])


def test_source_and_documentation_are_found():
    function = compile_numpy(b.mul(A, x))
    assert "A: (m, n)" in (function.__doc__ or "")
    assert "f(A, x)" in repr(function)
    assert inspect.getsource(function._function) in function.source
    with pytest.raises(ValueError) as raised:
        function(A=[[1, 2]], x=[1])
    assert '_shaped("x", x, (n,))' in "".join(traceback.format_tb(raised.value.__traceback__))


def test_refusals():
    with pytest.raises(MatcalcError, match="differential"):
        to_numpy(b.diff(A))
    with pytest.raises(MatcalcError, match="index"):
        to_numpy(b.member(X, I1))
    with pytest.raises(MatcalcError, match="no form"):
        to_numpy(A, form="flat")
    with pytest.raises(MatcalcError, match="besselj"):
        to_numpy(b.fun("besselj", t))
