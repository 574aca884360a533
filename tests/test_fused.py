"""Entrywise parts fused into C kernels, against NumPy; without a compiler; and the cache of what was built."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import matcalc as mc
from matcalc.compile.backends.fused import TARGET
from matcalc.compile.backends.kernels import FUNCTIONS
from matcalc.compile.function import GeneratedFunction, compile_numpy
from matcalc.compile.source import to_source
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.terms import build as b
from matcalc.terms import ops
from matcalc.terms.dims import Name, dim
from matcalc.terms.symbols import Symbol
from numpy_terms import arguments, shaped
from test_numpy_code import CASES, RECURRENCES

RNG = np.random.default_rng(0)
SPECIAL = np.array([0.0, 0.3, -0.3, 1.0, -1.0, 5.0, -5.0, 1e3, -1e3, 1e308, -1e308, 1e-310, np.inf, -np.inf, np.nan])


def fused(term):
    """The function in which kernels compute whatever they can, of few entries too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("matcalc.compile.backends.fused.PASSES", 1)
        source = to_source(term, "f", None, "array", TARGET)
    return GeneratedFunction(source.replace("size < 256", "size < 1"), "f")


def compare(term, seed, sizes=None):
    env = sample([term], seed, profile="mixed", sizes=sizes)
    function = fused(term)
    given = arguments(term, env)
    found = function(**{name: given[name] for name in function.arguments})
    expected = shaped(evaluate(term, env), term.rows, term.cols)
    assert np.shape(found) == np.shape(expected)
    assert np.allclose(found, expected, rtol=1e-10, atol=1e-10, equal_nan=True), function.source


@pytest.mark.parametrize("op", [ops.ADD, ops.SCALE, ops.HAD, ops.POW, ops.FUN, ops.SUM, ops.SOFTMAX], ids=str)
def test_the_operators_that_are_fused(op):
    with np.errstate(all="ignore"):
        for at, term in enumerate(CASES[op]):
            compare(term, at)


STEPS = ("samples", "through time", "indicator in the step", "a part without the state at zero")


@pytest.mark.parametrize("name", STEPS)
def test_recurrences(name):
    compare(RECURRENCES[name], 3, {Name("T"): 3, Name("L"): 3})


def test_all_functions_keep_special_values():
    x, y = (b.sym(Symbol(name, dim("n"), dim(1))) for name in "xy")
    terms = {name: b.add(y, b.fun(name, x)) for name in sorted(FUNCTIONS)}
    terms |= {f"power {k}": b.add(y, b.power_of(x, b.num(k))) for k in (2, 3, -1, -3, 7)}
    function, reference = fused(terms), compile_numpy(terms)
    assert function.source.count("void fused") == 1
    zero = np.zeros(len(SPECIAL))
    with np.errstate(all="ignore"):
        found, expected = function(x=SPECIAL, y=zero), reference(x=SPECIAL, y=zero)
    for name in terms:
        assert np.allclose(found[name], expected[name], rtol=4e-15, atol=1e-300, equal_nan=True), name


LOSS = "sum(log(1 .+ exp(-a*x)) + b*tanh(x).^2)"
WHERE = "x: vector(n); a, b: scalar"


def test_value_and_gradient_are_two_kernels_at_most():
    f = mc.function(LOSS, "x", ("value", "gradient"), where=WHERE, backend="c")
    assert f.source.count("void fused") <= 2
    given = {"x": RNG.normal(size=5000), "a": 0.7, "b": -1.3}
    found, expected = f(**given), mc.function(LOSS, "x", ("value", "gradient"), where=WHERE)(**given)
    assert np.isclose(found[0], expected[0], rtol=1e-13) and np.allclose(found[1], expected[1], rtol=1e-13)


@pytest.mark.parametrize("n", [3, 60])
def test_a_kernel_writes_over_what_nobody_reads_any_more(n):
    expr, where = "sum(log(1 .+ exp(-Y .* (U*V'))))", "Y: matrix(n,n); U, V: matrix(n,k)"
    f, reference = (mc.function(expr, "U", where=where, backend=backend) for backend in ("c", "numpy"))
    assert "t0, t1, t2 = _fused0(Y, t0)" in f.source and "double *restrict t0_" in f.source
    given = {
        "Y": RNG.normal(size=(n, n)),
        "U": RNG.normal(size=(n, 4)),
        "V": np.asfortranarray(RNG.normal(size=(n, 4))),
    }
    kept = {name: array.copy() for name, array in given.items()}
    given["Y"].flags.writeable = False
    for found, expected in zip(f(**given), reference(**given), strict=True):
        assert np.allclose(found, expected, rtol=1e-12)
    assert all(np.array_equal(given[name], kept[name]) for name in given)


def test_views_and_transposes_are_taken():
    f = fused(mc.parse("exp(A') .* B + B", where="A: matrix(m,n); B: matrix(n,m)").term)
    A, B = RNG.normal(size=(6, 8))[::2, ::2], np.asfortranarray(RNG.normal(size=(4, 3)))
    assert np.allclose(f(A=A, B=B), np.exp(A.T) * B + B)
    assert f(A=A[:0], B=B[:, :0]).shape == (4, 0)


def test_a_view_and_what_it_is_of_are_one_input():
    compare(mc.parse("exp(x) .* tanh(vec(x')) + x", where="x: vector(n)").term, 0)


def test_sums_over_many_entries_are_accurate():
    f = fused(mc.parse("sum(x.^2 .+ 1/10)", where="x: vector(n)").term)
    assert abs(f(x=np.zeros(10**6)) / 1e5 - 1) < 1e-13


def test_without_a_compiler_numpy_computes_it(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("CC", raising=False)
    with pytest.warns(RuntimeWarning, match=r"no C compiler was found \(cc, gcc or clang"):
        f = mc.parse(LOSS, where=WHERE).function("c")
    assert np.isclose(f(x=[1.0, 2.0], a=2, b=3), np.sum(np.log1p(np.exp([-2.0, -4.0])) + 3 * np.tanh([1, 2]) ** 2))


def test_a_compiler_that_fails_is_told(monkeypatch, tmp_path):
    broken = tmp_path / "cc"
    broken.write_text("#!/bin/sh\necho no room on the disk >&2\nexit 1\n")
    broken.chmod(0o700)
    monkeypatch.setenv("CC", str(broken))
    with pytest.warns(RuntimeWarning, match="no room on the disk"):
        mc.parse(LOSS, where=WHERE).function("c")


def built(folder):
    return sorted((folder / "matcalc" / "native").glob("*.so"))


def test_it_is_built_once_and_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    expression = mc.parse(LOSS, where=WHERE)
    expression.function("c")
    (first,) = built(tmp_path)
    before = first.stat()
    expression.function("c")
    assert first.stat().st_mtime_ns == before.st_mtime_ns
    first.unlink()
    first.write_bytes(b"something else")
    first.chmod(0o666)  # others could have written it: it is built anew
    assert expression.function("c")(x=[0.0], a=1, b=1) == np.log(2)
    assert first.stat().st_mode & 0o022 == 0


def test_a_folder_of_others_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "matcalc").mkdir()
    os.chmod(tmp_path / "matcalc", 0o777)
    assert mc.parse(LOSS, where=WHERE).function("c")(x=[0.0], a=1, b=1) == np.log(2)
    assert not built(tmp_path)


def test_the_source_runs_alone():
    source = mc.derivative(LOSS, "x", where=WHERE).code("c")
    assert "matcalc" not in source.replace('"matcalc"', "")
    source += "\nprint(gradient(x=[0.0, 0.0], a=2, b=1).tolist())\n"
    done = subprocess.run([sys.executable, "-I", "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[-1.0, -1.0]"
