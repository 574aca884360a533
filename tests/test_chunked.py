"""``mc.chunked``: the function of all data at once, from chunks."""

from __future__ import annotations

import json
import pickle
import re
from itertools import count
from pathlib import Path

import numpy as np
import pytest

import matcalc as mc
from matcalc.errors import MatcalcError
from matcalc.numeric.sample import sample
from numpy_terms import arguments

RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 3))
DATA = {
    "X": X,
    "x": X,
    "y": RNG.choice([-1.0, 1.0], 50),
    "Y": RNG.normal(size=(2, 50)),
    "t": RNG.normal(size=(50, 2)),
    "w": RNG.normal(size=3),
    "m": RNG.normal(size=3),
    "l": 0.3,
    "S": np.cov(X.T),
    "A": RNG.normal(size=(2, 3)),
    "W1": RNG.normal(size=(4, 3)),
    "W2": RNG.normal(size=(2, 4)),
    "dw": RNG.normal(size=3),
}
ROWS = "X: matrix(N,n); y: vector(N); w: vector(n); l: scalar"
SAMPLES = "x[i=1..N], w, m: vector(n); y: vector(N); t[i=1..N]: vector(k); l: scalar; A: matrix(k,n)"
ALL = ("value", "gradient", "hessian", "hvp")
LOGISTIC = "sum(softplus(-y .* (X*w)))/N + l*norm(w)^2"

CASES = {
    "least squares": ("norm(X*w - y)^2/N + l*norm(w)^2", "w", ALL, ROWS),
    "logistic": (LOGISTIC, "w", ALL, ROWS),
    "logistic over a family": ("sum(i=1..N, softplus(-y[i]*x[i]'*w)) + l*norm(w)^2", "w", ALL, SAMPLES),
    "not squared": ("norm(X*w - y)", "w", ("value", "gradient"), ROWS),
    "robust": ("sum(sqrt(1 .+ (X*w - y).^2))", "w", ALL, ROWS),
    "density": (
        "sum(i=1..N, (x[i]-m)'*inv(S)*(x[i]-m)) + N*logdet(S)",
        ["m", "S"],
        ("value", "gradient"),
        "x[i=1..N], m: vector(n); S: posdef(n)",
    ),
    "of the second moments": ("logdet(X'*X + l*eye(n))", "l", ("value", "gradient"), "X: matrix(N,n); l: positive"),
    "trace": ("tr(X*B*X')", "B", ("value", "gradient"), "X: matrix(N,n); B: matrix(n,n)"),
    "columns": ("norm(A*X - Y)^2", "A", ("value", "gradient"), "X: matrix(n,N); Y: matrix(m,N); A: matrix(m,n)"),
    "network": (
        "sum(i=1..N, norm(W2*tanh(W1*x[i]) - t[i])^2)",
        ["W1", "W2"],
        ("value", "gradient"),
        "W1: matrix(h,n); W2: matrix(m,h); x[i=1..N]: vector(n); t[i=1..N]: vector(m)",
    ),
    "classes": ("sum(i=1..N, logsumexp(A*x[i]) - t[i]'*A*x[i])", "A", ("value", "gradient", "hessian"), SAMPLES),
    "network of any depth": (
        "norm(z[L] - Y)^2 + l*norm(W[0])^2",
        ["W[i]"],
        ("value", "gradient"),
        "X, Y: matrix(n,N); W[k=0..L-1]: matrix(n,n); l: scalar",
    ),
    "all layers": ("norm(z[L] - Y)^2", "W", ("value", "gradient"), "X, Y: matrix(n,N); W[k=0..L-1]: matrix(n,n)"),
    "counted from zero": ("sum(i=0..N-1, (x[i]'*w)^2)", "w", "gradient", "x[i=0..N-1], w: vector(n)"),
    "entries": ("sum(i=1..N, sum(j=1..n, X[i,j]*w[j])^2)", "w", "gradient", "X: matrix(N,n); w: vector(n)"),
}


def same(one, other):
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        return all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return all(same(a, b) for a, b in zip(one, other, strict=True))
    return np.shape(one) == np.shape(other) and np.allclose(one, other, rtol=1e-10, atol=1e-10)


COLUMNS = {"columns", "network of any depth", "all layers"}
LAYERS = {"z[0]": "X", "z[k+1]": "tanh(W[k]*z[k])"}


def both(name):
    """The function of all data at once, its arguments, and the function over chunks."""
    expression, wrt, what, where = CASES[name]
    let = LAYERS if "W[k" in where else None
    whole = mc.function(expression, wrt, what, where=where, let=let)
    given = {**DATA, "B": DATA["S"]} | ({"X": X.T} if name in COLUMNS else {})
    given |= {"W": RNG.normal(size=(4, 3, 3)), "Y": RNG.normal(size=(3, 50)), "i": 1} if let else {}
    given = {key: value for key, value in given.items() if key in whole.arguments}
    return whole, given, mc.chunked(expression, wrt, what, over="N", where=where, let=let)


@pytest.mark.parametrize("name", CASES)
def test_chunks_give_what_all_data_give(name):
    whole, given, chunked = both(name)
    expected = whole(**given)
    for rows in (7, 50, 1000):
        assert same(chunked(**given, rows=rows), expected)
    axes = {key: np.ndim(given[key]) - 1 if name in COLUMNS else 0 for key in chunked.data}
    pieces = zip(*(np.array_split(given[key], [1, 20, 20], axis) for key, axis in axes.items()), strict=True)
    batches = (dict(zip(axes, piece, strict=True)) for piece in pieces)
    parameters = {key: value for key, value in given.items() if key not in axes}
    assert same(chunked(batches, **parameters), expected)


def test_one_pass_gives_everything():
    chunked = mc.chunked(LOGISTIC, "w", ALL, over="N", where=ROWS)
    assert chunked.data == ("X", "y") and chunked.parameters == ("dw", "l", "w")
    seen = count()
    batches = ({"X": X[k : k + 10], "y": DATA["y"][k : k + 10]} for k in range(0, 50, 10) if next(seen) >= 0)
    chunked(batches, w=DATA["w"], dw=DATA["dw"], l=0.3)
    assert next(seen) == 5


def test_memory_mapped_arrays(tmp_path):
    whole, given, chunked = both("logistic")
    mapped = dict(given)
    for name in chunked.data:
        np.save(tmp_path / f"{name}.npy", given[name])
        mapped[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    assert same(chunked(**mapped, rows=8), whole(**given))


def test_dask_arrays_on_threads_and_on_a_cluster():
    da = pytest.importorskip("dask.array")
    whole, given, chunked = both("logistic")
    expected = whole(**given)
    lazy = {**given, "X": da.from_array(given["X"], chunks=(12, 2)), "y": da.from_array(given["y"], chunks=7)}
    assert same(chunked(**lazy), expected)
    assert same(chunked(**{**lazy, "y": given["y"]}), expected)
    distributed = pytest.importorskip("distributed")
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options) as cluster, distributed.Client(cluster):
        assert same(chunked(**lazy), expected)


def test_columns_of_dask_arrays():
    da = pytest.importorskip("dask.array")
    whole, given, chunked = both("columns")
    lazy = {name: da.from_array(value, chunks=2) if name != "A" else value for name, value in given.items()}
    assert same(chunked(**lazy), whole(**given))


def test_what_workers_are_sent_can_be_pickled():
    _, given, chunked = both("least squares")
    again = pickle.loads(pickle.dumps(chunked))
    assert same(again(**given, rows=9), chunked(**given))


def test_progress_is_shown_on_long_runs(capsys, monkeypatch):
    from matcalc.interface import chunked as module

    clock = count(step=3)
    monkeypatch.setattr(module.time, "monotonic", lambda: float(next(clock)))
    _, given, chunked = both("least squares")
    chunked(**given, rows=25, progress=True)
    assert "25 of 50, 50 % samples in 3 s" in capsys.readouterr().err
    chunked(**given, rows=25)
    assert capsys.readouterr().err == ""


REFUSED = {
    "norm(X*inv(X'*X)*X'*y - y)^2": "known after a pass over all samples only",
    "sum(i=2..N, x[i]'*w)": "does not run over all samples",
    "sum(i=1..N, i*x[i]'*w)": "depends on the place of a sample",
    "sum(i=1..N-1, x[i+1]'*x[i])*sum(w)": "does not run over all samples",
    "sum(i=1..N, y[i]*y[1]*sum(w))": "mixes the samples",
    "sum(i=1..N, exp(y[i]*norm(y)*sum(w)))": "uses several samples",
    "sum(i=1..N, sum(j=1..N, exp(x[i]'*x[j]*sum(w))))": "uses several samples|place of a sample",
    "logsumexp(X*w)": "mixes the samples",
    "det(X*X' + w'*w*eye(N))": "mixes the samples",
    "norm(exp(w) + x[1])^2": "one of the samples",
    "tr(inv(S)*X*X')": "not split by samples",
    "sum((y .- sum(y)/N).^2)/N": "known after a pass",
    "norm(y/norm(y) - X*w)^2": "known after a pass",
}


def test_steps_that_need_all_samples_are_refused():
    descent = {"v[0]": "w", "v[k+1]": "v[k] - s*X'*(X*v[k] - y)"}
    with pytest.raises(MatcalcError, match=r"leave it out, and scale the result"):
        where = "X, Y: matrix(n,N); W[k=0..L-1]: matrix(n,n)"
        mc.chunked("norm(z[L] - Y)^2/N", "W[i]", "gradient", over="N", where=where, let=LAYERS)
    with pytest.raises(MatcalcError, match="a pass for each step"):
        mc.chunked("norm(v[T])^2", "s", "value", over="N", where=ROWS + "; s: scalar", let=descent)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_no_sum_over_samples_is_refused(expression):
    where = "x[i=1..N], w: vector(n); X: matrix(N,n); y: vector(N); S: posdef(N)"
    with pytest.raises(MatcalcError, match=REFUSED[expression]):
        mc.chunked(expression, "w", "value", over="N", where=where)


def test_errors_name_what_is_wrong():
    with pytest.raises(MatcalcError, match="no variable has N rows"):
        mc.chunked("w'*w", "w", over="N", where="w: vector(n)")
    _, given, chunked = both("least squares")
    with pytest.raises(MatcalcError, match="missing w"):
        chunked(**{key: value for key, value in given.items() if key != "w"})
    with pytest.raises(MatcalcError, match="unknown q"):
        chunked(**given, q=1)
    with pytest.raises(MatcalcError, match="X has 50, y has 49"):
        chunked(**{**given, "y": given["y"][1:]})
    with pytest.raises(MatcalcError, match="a batch lacks y"):
        chunked([{"X": X}], w=given["w"], l=0.1, dw=given["w"])
    with pytest.raises(MatcalcError, match="no batch"):
        chunked([], w=given["w"], l=0.1, dw=given["w"])


def textbook():
    lines = (Path(__file__).parent.parent / "benchmarks" / "problems.jsonl").read_text(encoding="utf-8").splitlines()
    return {problem["id"]: problem for problem in map(json.loads, lines[::9])}


TEXTBOOK = textbook()


@pytest.mark.parametrize("name", TEXTBOOK)
def test_what_is_accepted_is_right_on_problems_of_textbooks(name):
    """By every size of the problem, one sample at a time."""
    problem = TEXTBOOK[name]
    given = {"where": problem["where"], "let": problem.get("let")}
    whole = mc.function(problem["expr"], problem["wrt"], "value", **given)
    terms = [mc.parse(problem["expr"], **given).term]
    env = sample(terms, 1, profile="distinct")
    values = arguments(terms[0], env)
    for size in sorted(set(re.findall(r"\b[a-zA-Z]\b", " ".join(problem["where"].values())))):
        try:
            chunked = mc.chunked(problem["expr"], problem["wrt"], "value", over=size, **given)
        except MatcalcError:
            continue
        parts = {key: values[key] for key in (*chunked.data, *chunked.parameters)}
        with np.errstate(all="ignore"):
            expected = whole(**{key: values[key] for key in whole.arguments})
            assert np.allclose(chunked(**parts, rows=1), expected, rtol=1e-10, atol=1e-10, equal_nan=True)
