"""Generated JAX and PyTorch source against NumPy and the oracle."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import matcalc as mc
from matcalc.errors import MatcalcError
from matcalc.interface import backends
from matcalc.interface.backends import BACKENDS, compiled
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import ops
from matcalc.terms.dims import Name
from matcalc.terms.symbols import Unknown
from matcalc.terms.walk import postorder
from numpy_terms import arguments, shaped
from test_numpy_code import CASES, RECURRENCES

OTHERS = [name for name in ("jax", "torch") if find_spec(name)]
"""JAX and PyTorch are in the extra of the tests; without one of them the rest is tested."""


def callable_of(backend, function, order):
    """An unknown function as the library can call it."""

    def call(value):
        if backend == "torch":
            import torch

            return torch.as_tensor(function(value.numpy(), order))
        import jax

        shape = jax.ShapeDtypeStruct(np.shape(value), float)
        return jax.pure_callback(lambda v: np.asarray(function(np.asarray(v), order)), shape, value)

    return call


def compare(backend, term, seed=0, form="array", profile="distinct", sizes=None):
    env = sample([term], seed, profile=profile, sizes=sizes)
    function = compiled(backend, term, "f", (), form)
    given = arguments(term, env)
    for node in postorder(term):
        if isinstance(node.attr, Unknown):
            prefix = ("", "d", "d2", "d3")[node.attr.order]
            given[prefix + node.attr.name] = callable_of(backend, env.functions[node.attr.name], node.attr.order)
    found = np.asarray(function(**{name: given[name] for name in function.arguments}))
    expected = evaluate(term, env)
    expected = shaped(expected, term.rows, term.cols) if form == "array" else expected
    assert found.dtype == float
    assert found.shape == np.shape(expected), function.source
    assert np.allclose(found, expected, rtol=1e-10, atol=1e-9, equal_nan=True), function.source


SLOW = {ops.DUPLICATION, ops.DEXPM, ops.LOGM, ops.EIGVECMAX, ops.JOINT, ops.STATE}
"""JAX compiles these for seconds; DLOGM and EIGVECS use the same helpers."""
OPERATORS = {
    "torch": [op for op in CASES if op not in (ops.STATE, ops.JOINT)],
    "jax": [op for op in CASES if op not in SLOW][::5] + [ops.SUM, ops.PROD, ops.DLOGM],
}


@pytest.mark.parametrize("backend, op", [(b, op) for b in OTHERS for op in dict.fromkeys(OPERATORS[b])], ids=str)
def test_every_operator(backend, op):
    with np.errstate(all="ignore"):
        for at in range(0, len(CASES[op]), 2 if backend == "torch" else 6):
            compare(backend, CASES[op][at], at, ("array", "matrix2d")[at % 2])


STEPS = {"torch": list(RECURRENCES), "jax": list(RECURRENCES)[::9]}


@pytest.mark.parametrize("backend, name", [(b, name) for b in OTHERS for name in STEPS[b]])
def test_recurrences(backend, name, depth=4):
    with np.errstate(all="ignore"):
        compare(backend, RECURRENCES[name], depth, profile="mixed", sizes={Name("T"): depth, Name("L"): depth})


LOGISTIC = {"expr": "sum(softplus(-y .* (X*w))) + l*norm(w)^2", "wrt": "w"}
WHERE = "X: matrix(N,n); y: vector(N); w: vector(n); l: scalar"
RNG = np.random.default_rng(0)
DATA = {"X": RNG.normal(size=(7, 3)), "y": RNG.choice([-1.0, 1.0], 7), "w": RNG.normal(size=3), "l": 0.3}


@pytest.mark.parametrize("backend", OTHERS)
def test_value_gradient_and_hessian_together(backend):
    what = ("value", "gradient", "hessian")
    expected = mc.function(**LOGISTIC, what=what, where=WHERE)(**DATA)
    found = mc.function(**LOGISTIC, what=what, where=WHERE, backend=backend)(**DATA)
    for one, other in zip(found, expected, strict=True):
        assert np.allclose(one, other, rtol=1e-12)


@pytest.mark.parametrize("backend", OTHERS)
def test_the_source_keeps_names_formulas_and_shapes(backend):
    source = mc.derivative(**LOGISTIC, where=WHERE).code(backend)
    assert "X: (N, n)" in source and "def gradient(*, X, l, w, y):" in source
    assert "matcalc" not in source and not re.search(r"\bnp\.", source)


def test_it_runs_alone_under_jit_and_vmap():
    source = mc.derivative("sum(i=1..N, exp(x[i]'*w))", "w", where="x[i=1..N], w: vector(n)").code("jax")
    source += "w = jnp.ones((3, 2))\nx = jnp.zeros((4, 2))\n"
    source += "print(jax.jit(gradient)(x=x, w=w[0]).tolist(), jax.vmap(lambda w: gradient(x=x + 1, w=w))(w).shape)\n"
    done = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[0.0, 0.0] (3, 2)"


def test_jax_traces_loops_once():
    jax = pytest.importorskip("jax")
    layers = {"y[0]": "x", "y[k+1]": "tanh(A*y[k])"}
    f = mc.derivative("c'*y[L]", "x", where="A: matrix(n,n); x, c: vector(n)", let=layers)
    function, reference = f.function("jax"), f.function("numpy")
    given = {"A": RNG.normal(size=(3, 3)), "x": RNG.normal(size=3), "c": RNG.normal(size=3)}
    jitted = jax.jit(function, static_argnames="L")
    for depth in (0, 1, 40):
        assert np.allclose(jitted(**given, L=depth), reference(**given, L=depth), rtol=1e-12)
    assert len(str(jax.make_jaxpr(lambda x: function(**{**given, "x": x}, L=40))(given["x"]))) < 6000
    batch = RNG.normal(size=(5, 3))
    found = jax.vmap(lambda x: function(**{**given, "x": x}, L=6))(batch)
    assert np.allclose(found, [reference(**{**given, "x": x}, L=6) for x in batch])
    second = jax.jacfwd(lambda x: function(**{**given, "x": x}, L=3))(given["x"])
    assert np.allclose(second, second.T)


def test_torch_keeps_device_precision_and_graph():
    torch = pytest.importorskip("torch")
    function = mc.derivative(**LOGISTIC, where=WHERE).function("torch")
    given = {name: torch.as_tensor(value) for name, value in DATA.items()}
    assert function(**given).dtype == torch.float64
    single = function(**{name: value.float() for name, value in given.items()})
    assert single.dtype == torch.float32 and single.device == given["X"].device
    given["w"] = given["w"].requires_grad_()
    (row,) = torch.autograd.grad(function(**given)[0], given["w"])
    hessian = mc.hessian(**LOGISTIC, where=WHERE).function("numpy")(**DATA)
    assert np.allclose(row, hessian[0])


@pytest.mark.parametrize("sizes", [(3, 4, 2), (3, 3, 3)])
def test_the_hessian_of_a_factorization_is_a_small_matrix_for_each_row(sizes):
    n, m, k = sizes
    shapes = {"Y": (n, m), "U": (n, k), "V": (m, k), "dU": (n, k), "dV": (m, k)}
    given = {name: RNG.normal(size=shape) for name, shape in shapes.items()}
    text, where = "sum(log(1 .+ exp(-Y .* (U*V')))) + norm(U)^2/10", "Y: matrix(n,m); U: matrix(n,k); V: matrix(m,k)"
    for backend in ("numpy", "c", *OTHERS):
        f = mc.function(text, ["U", "V"], ("hessian", "hvp"), where=where, backend=backend)
        body = f.source.split('"""')[-1]
        assert body.count("_spread(") == body.count("_across(") == 2 and "_commutation" not in body
        blocks, moved = f(**given)
        for row in "UV":
            parts = (np.asarray(blocks[row, other]) @ given["d" + other].ravel(order="F") for other in "UV")
            assert np.allclose(sum(parts), np.asarray(moved[row]).ravel(order="F"), rtol=1e-12)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(backends, "find_spec", lambda name: None)
    with pytest.raises(MatcalcError, match="needs the package torch") as raised:
        mc.parse("x'*x", where="x: vector(n)").function("torch")
    assert "matcalc-symbolic[torch]" in (raised.value.hint or "")
    with pytest.raises(MatcalcError, match=", ".join(BACKENDS)):
        mc.parse("x'*x", where="x: vector(n)").code("fortran")


def test_what_a_library_does_not_have_is_refused():
    from matcalc.compile.backends.torch import DIALECT
    from matcalc.compile.backends.translate import translate

    with pytest.raises(MatcalcError, match=r"no torch code for np\.nanmedian"):
        translate("def f(*, x):\n    return np.nanmedian(x)\n", DIALECT)


PROBLEMS = ("rayleigh", "rank-one-update", "trace-inverse", "bilinear-entries", "hessian-log-barrier")


@pytest.mark.parametrize("name", PROBLEMS)
def test_problems_of_textbooks(name):
    lines = (Path(__file__).parent.parent / "benchmarks" / "problems.jsonl").read_text(encoding="utf-8").splitlines()
    problem = next(p for p in map(json.loads, lines) if p["id"] == name)
    hessian = problem["form"] == "hessian"
    derive = mc.hessian if hessian else mc.derivative
    found = derive(problem["expr"], problem["wrt"], where=problem["where"], let=problem.get("let"))
    env = sample([found.expr.term, *found._inputs()], 3, profile="mixed")
    reference = found.function("numpy")
    given = arguments(found.expr.term, env, found._inputs())
    given = {key: given[key] for key in reference.arguments}
    expected = reference(**given)
    for backend in ("c", *OTHERS):
        assert np.allclose(np.asarray(found.function(backend)(**given)), expected, rtol=1e-10, atol=1e-10)
