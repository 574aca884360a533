"""``mc.minimize`` and ``matcalc minimize``: what is given, what is told, what is refused."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import matcalc as mc
from matcalc.interface.cli import main
from matcalc.iterating.progress import Recorder

RNG = np.random.default_rng(3)
A, B = RNG.normal(size=(8, 3)), RNG.normal(size=8)
WHERE = {"A": "matrix(m,n)", "x": "vector(n)", "b": "vector(m)", "S": "symmetric(n)", "t": "positive"}
BEST = np.linalg.lstsq(A, B, rcond=None)[0]


def minimize(expr: str, wrt: Any = "x", **more: Any) -> Any:
    return mc.minimize(expr, wrt, **{"where": WHERE, **more})


# ---------------------------------------------------------------- what comes back


def test_the_result() -> None:
    found = minimize("norm(A*x - b)^2", data={"A": A, "b": B}, keep_points=True, method="lbfgs")
    assert found.converged and found.success and found.x is found.solution and found["x"] is found.x
    assert found.iterations == len(found.trajectory) - 1 > 1 and found.evaluations >= found.iterations
    assert found.trajectory[0].value == pytest.approx(B @ B)
    assert np.array_equal(found.trajectory[0].point["x"], np.zeros(3))
    assert np.allclose(found.trajectory[-1].point["x"], found.x)
    values = [step.value for step in found.trajectory]
    assert values == sorted(values, reverse=True) and values[-1] == found.value
    assert found.gradient_norm == found.trajectory[-1].gradient_norm < 1e-10
    assert "(converged)" in str(found) and "L-BFGS" in str(found) and "x: shape (3,)" in str(found)
    assert repr(found).startswith("<minimum ")
    with pytest.raises(mc.MatcalcError, match="y was no unknown"):
        found["y"]


def test_several_unknowns_come_as_a_dict() -> None:
    found = mc.minimize("norm(A*x + s*ones(m) - b)^2", ["x", "s"], {**WHERE, "s": "scalar"}, data={"A": A, "b": B})
    full = np.linalg.lstsq(np.column_stack([A, np.ones(8)]), B, rcond=None)[0]
    assert np.allclose(found.x["x"], full[:3]) and found.x["s"] == pytest.approx(full[3])


def test_a_callback_sees_every_iterate_and_may_stop() -> None:
    seen: list[float] = []

    def watch(step: Any) -> None:
        seen.append(step.value)
        if len(seen) == 3:
            raise KeyboardInterrupt

    found = minimize("norm(A*x - b)^2", data={"A": A, "b": B}, method="cg", callback=watch)
    assert not found.converged and "interrupted" in found.message
    assert found.value == min(seen) and len(seen) == 3


def test_limits_are_told() -> None:
    found = minimize("norm(A*x - b)^2", data={"A": A, "b": B}, method="cg", max_iterations=1)
    assert not found.converged and found.message == "1 iterations are over" and found.iterations == 1
    found = minimize("norm(A*x - b)^2", data={"A": A, "b": B}, method="cg", seconds=1e-9)
    assert found.message == "the time is over"


def test_what_has_no_minimum_is_not_converged() -> None:
    found = minimize("sum(x)", data={"n": 2}, max_iterations=50)
    assert not found.converged and "NOT CONVERGED" in str(found)


@pytest.mark.parametrize("method", ["auto", "newton", "lbfgs", "bfgs", "cg"])
@pytest.mark.parametrize("scale", [1e-14, 1e12])
def test_units_do_not_matter(method: str, scale: float) -> None:
    """Neither those of the objective nor those of the unknown decide whether it converges."""
    data = {"A": A, "b": B * 1e-4, "s": scale}
    where = {**WHERE, "s": "positive"}
    for f in ("s*norm(A*x - b)^2", "s*sum(sqrt((A*x - b).^2/10^(-8) .+ 1))"):
        found = mc.minimize(f, "x", where, data=data, method=method)
        assert found.converged, str(found)
        gradient = mc.derivative(f, "x", where).function()(**data, x=found.x)
        assert found.gradient_norm == pytest.approx(np.linalg.norm(gradient), abs=1e-12 * np.abs(gradient).max())
        again = mc.minimize(f, "x", where, data=data, method=method, start=found.x)
        assert again.converged and np.allclose(again.x, found.x, rtol=1e-6, atol=0)
    assert np.allclose(mc.minimize("s*norm(A*x - b)^2", "x", where, data=data).x, BEST * 1e-4, rtol=1e-6, atol=0)


def test_what_has_its_infimum_nowhere() -> None:
    """Classes that a plane parts: the likelihood goes on growing."""
    data = {"A": A, "y": np.sign(A @ [1.0, 2.0, 3.0])}
    found = mc.minimize("sum(softplus(-y.*(A*w)))", "w", data=data)
    assert not found.converged and "at infinity, or on the edge" in found.message
    kinks = minimize("norm(A*x - b)^2 + 20*norm1(x)", data={"A": A, "b": B})
    assert not kinks.converged and "kinks" in kinks.notes[-1]


def test_a_picture() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    found = minimize("norm(A*x - b)^2", data={"A": A, "b": B}, method="lbfgs")
    above, below = found.plot()
    assert len(below.lines[0].get_xdata()) == len(found.trajectory)
    assert above.get_yscale() == "log"
    assert found.plot((above, below))[0] is above and len(above.lines) == 2
    matplotlib.pyplot.close(above.figure)


def test_a_picture_needs_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(mc.MatcalcError, match=r"matcalc-symbolic\[plot\]"):
        minimize("norm(x)^2", data={"n": 2}).plot()


def test_progress_is_shown_and_wiped(capsys: pytest.CaptureFixture[str]) -> None:
    found = minimize("norm(A*x - b)^2", data={"A": A, "b": B}, method="cg", progress=True)
    assert found.converged
    shown = capsys.readouterr().err
    assert shown == "" or shown.startswith("\riteration ")
    recorder = Recorder(True, False, None)
    recorder._shown = -1.0
    recorder.add(1.5, 0.25, dict)
    recorder.close()
    shown = capsys.readouterr().err
    assert "iteration 0   value 1.5   gradient 2.50e-01" in shown and shown.endswith(" \r")


# ---------------------------------------------------------------- where it starts


def test_starts() -> None:
    data = {"A": A, "b": B}
    for start in (np.ones(3), {"x": [1, 1, 1]}):
        assert minimize("norm(A*x - b)^2", data=data, start=start).trajectory[0].value == pytest.approx(
            np.sum((A @ np.ones(3) - B) ** 2)
        )
    at_zero = minimize("norm(A*x - b)^2", data=data)
    assert "start: 0" in at_zero.notes
    product = {"U": "matrix(m,k)", "V": "matrix(n,k)", "M": "matrix(m,n)"}
    low_rank = np.outer(B, BEST)
    found = mc.minimize("norm(U*V' - M)^2", ["U", "V"], product, data={"M": low_rank, "k": 1}, seed=5)
    assert "start: random, seed 5" in found.notes and found.value == pytest.approx(0, abs=1e-12)
    again = mc.minimize("norm(U*V' - M)^2", ["U", "V"], product, data={"M": low_rank, "k": 1}, seed=5)
    assert np.array_equal(found["U"], again["U"])


def test_the_domain_is_kept() -> None:
    """Outside of log's domain the objective is infinite; the line search turns back."""
    for method in ("newton", "lbfgs", "bfgs", "cg"):
        found = minimize("sum(x) - sum(log(x))", data={"n": 3}, method=method)
        assert found.converged and np.allclose(found.x, 1), method
    with pytest.raises(mc.MatcalcError, match="not finite at the start"):
        minimize("sum(x) - sum(log(x))", start=-np.ones(3))
    with pytest.raises(mc.MatcalcError, match="no start was found"):
        minimize("sum(log(-x.^2))", data={"n": 3})


def test_saddles_are_left() -> None:
    """At the start the gradient is 0 in no block, then Newton's method walks into a saddle and out again."""
    found = mc.minimize("(x[1]^2 - 1)^2 + (x[2] - 1)^2", "x", "x: vector(2)", start=[0.0, 3.0])
    assert found.converged and np.allclose(np.abs(found.x), 1)


def test_starts_outside_the_set_are_refused() -> None:
    where = {"P": "posdef(n)", "Q": "orthogonal(n)", "C": "posdef(n)"}
    with pytest.raises(mc.MatcalcError, match="start of P is declared posdef"):
        mc.minimize("tr(P*C) - logdet(P)", "P", where, data={"C": np.eye(2)}, start=-np.eye(2))
    with pytest.raises(mc.MatcalcError, match="start of Q is declared orthogonal"):
        mc.minimize("tr(Q*C)", "Q", where, data={"C": np.eye(2)}, start=2 * np.eye(2))
    found = mc.minimize("tr(P*C) - logdet(P)", "P", where, data={"C": 2 * np.eye(2)}, start=[[2, 1], [1, 2]])
    assert np.allclose(found.x, np.eye(2) / 2)


# ---------------------------------------------------------------- what is given


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ({"A": A}, r"the data lack b\n"),
        ({"A": A, "b": B[:-1]}, r"length of b is 7, but m = 8 is expected: m is 8 by the number of rows of A"),
        ({"A": A, "b": B[:, None, None]}, r"b has shape \(8, 1, 1\), but is declared \(m,\)"),
        ({"A": A, "b": np.full(8, np.nan)}, r"b holds nan at \[0\]; every number has to be finite"),
        ({"A": A, "b": ["one"] * 8}, "b is no array of numbers"),
        ({"A": A, "b": B + 1j}, "b holds complex numbers"),
        ({"A": A, "b": B, "x": np.zeros(3)}, "x is what is sought"),
        ({"A": A, "b": B, "bb": B}, "bb in the data means nothing in this problem\ndid you mean b?"),
        ({"A": A, "b": B, "S": A[:3] + np.eye(3)}, "S is declared symmetric, but the array is not, by"),
        ({"A": A, "b": B, "t": -1.0}, "t is declared positive, but the number is not"),
        ({"A": A, "b": B, "n": 4}, "number of columns of A is 3, but n = 4 is expected: n is 4 by n = 4 as given"),
        ({"A": A, "b": B, "n": 2.5}, "n is a size, an integer"),
        ({3: A}, "given by the names"),
    ],
)
def test_data_are_checked(data: dict[str, Any], said: str) -> None:
    with pytest.raises(mc.MatcalcError, match=said):
        minimize("norm(A*x - b)^2", data=data)


def test_assumptions_are_checked() -> None:
    where = {**WHERE, "M": "matrix(n,n)", "s": "scalar"}
    for assumed, data in (("s > 0", {"s": -1.0}), ("M is symmetric", {"M": A[:3]}), ("1 - s >= 0", {"s": 2.0})):
        with pytest.raises(
            mc.MatcalcError, match=r"is assumed (positive|symmetric|nonneg), but the (number|array) is not"
        ):
            mc.minimize("norm(A*x - b)^2", "x", where, data={"A": A, "b": B, **data}, assume=assumed)
    mc.minimize("norm(A*x - b)^2", "x", where, data={"A": A, "b": B, "s": 0.5}, assume=["s > 0", "A is fullrank"])


def test_vectors_may_be_columns_and_scalars_arrays() -> None:
    found = minimize("norm(A*x - b)^2 + t*norm(x)^2", data={"A": A.tolist(), "b": B[:, None], "t": np.array([[0.5]])})
    assert np.allclose(found.x, np.linalg.solve(A.T @ A + 0.5 * np.eye(3), A.T @ B))


def test_sizes_that_nothing_gives() -> None:
    with pytest.raises(mc.MatcalcError, match=r"the size n of x does not follow from the data\ngive it among the data"):
        minimize("norm(x)^2")
    assert minimize("norm(x - ones(n))^2", data={"n": 4}).x.shape == (4,)
    half = mc.minimize("norm(X - M*M)^2", "X", "M: matrix(2*n,2*n); X: matrix(2*n,2*n)", data={"M": np.eye(4)})
    assert np.allclose(half.x, np.eye(4))
    with pytest.raises(mc.ShapeError, match=r"rows of M is 3, which 2\*n cannot be"):
        mc.minimize("norm(X - M*M)^2", "X", "M: matrix(2*n,2*n); X: matrix(2*n,2*n)", data={"M": np.eye(3)})


def test_unknown_functions_are_callables() -> None:
    where = {**WHERE, "phi": "function"}
    data: dict[str, Any] = {"A": A, "b": np.tanh(A @ [1, 2, 3]), "phi": np.tanh}
    with pytest.raises(mc.MatcalcError, match="derivative dphi of the function phi is missing"):
        mc.minimize("norm(phi(A*x) - b)^2", "x", where, data=data)
    data["dphi"] = lambda z: 1 - np.tanh(z) ** 2
    found = mc.minimize("norm(phi(A*x) - b)^2", "x", where, data=data)
    assert np.allclose(found.x, [1, 2, 3], atol=1e-6)
    with pytest.raises(mc.MatcalcError, match=r"needs second derivatives: d2phi is not given"):
        mc.minimize("norm(phi(A*x) - b)^2", "x", where, data=data, method="newton")
    data["d2phi"] = lambda z: -2 * np.tanh(z) * (1 - np.tanh(z) ** 2)
    found = mc.minimize("norm(phi(A*x) - b)^2", "x", where, data=data, method="newton")
    assert np.allclose(found.x, [1, 2, 3], atol=1e-6)


def test_names_as_they_are_written() -> None:
    where = "Σ: posdef(n); C: posdef(n); lambda: positive"
    data = {"C": np.diag([1.0, 2.0]), "lambda": 3.0}
    found = mc.minimize("tr(inv(Σ)*C) + lambda*logdet(Σ)", "Σ", where, data=data)
    assert np.allclose(found.x, np.diag([1.0, 2.0]) / 3) and list(found.points) == ["Sigma"]


@pytest.mark.parametrize(
    ("expr", "wrt", "more", "said"),
    [
        ("A*x", "x", {}, "what is minimized is a scalar; this is m×1"),
        ("norm(A*x)^2", "A*x", {}, "an unknown is a variable or a whole family"),
        ("norm(A*x)^2", [], {}, "list of unknowns is empty"),
        ("norm(A*x)^2", ["x", "x"], {}, "named twice"),
        ("norm(A*x)^2", "x", {"method": "magic"}, "there is no method 'magic'\nthere are: auto, newton"),
        ("sum(exp(x))", "x", {"method": "gauss-newton"}, "for sums of squares"),
        ("norm(A*x)^2", ["x", "b"], {"start": np.zeros(3)}, "a dict by their names"),
        ("norm(A*x)^2", "x", {"start": {"y": 1}}, "y in the start means nothing"),
        ("norm(A*x)^2", "x", {"subject_to": "x is posdef"}, "declare the unknown"),
        ("norm(A*x)^2", "x", {"subject_to": "norm(b) = 1"}, "says nothing about what is sought"),
        ("norm(A*x)^2", "x", {"subject_to": "x != 0"}, "a constraint reads left = right"),
        ("norm(A*x)^2", "x", {"subject_to": "x = b"}, "m.* n"),
        ("norm(A*x)^2", "x", {"subject_to": ["x >= 1", "x <= 0"]}, "bounds contradict"),
        ("norm(A*x)^2", "x", {"subject_to": "sum(x) ="}, "1"),
        ("norm(A*x)^2", "x", {"subject_to": "sum(x) = 1", "method": "newton"}, "keeps no constraints"),
        ("norm(A*x)^2", "x", {"subject_to": "x >= 1", "method": "newton"}, "keeps no bounds"),
        ("norm(A*x)^2", "x", {"subject_to": 3}, "a constraint is text"),
    ],
)
def test_refusals(expr: str, wrt: Any, more: dict[str, Any], said: str) -> None:
    with pytest.raises(mc.MatcalcError, match=said):
        minimize(expr, wrt, data={"A": A, "b": B} if "x" in wrt and "b" not in wrt else {"A": A}, **more)


def test_matrices_of_one_entry_keep_their_kind() -> None:
    for kind, best in (("orthogonal", 1.0), ("stiefel", 1.0), ("posdef", 3.0), ("symmetric", 3.0), ("skew", 0.0)):
        sizes = "(1,1)" if kind == "stiefel" else "(1)"
        assert mc.minimize("(Q - 3)^2", "Q", f"Q: {kind}{sizes}").x == pytest.approx(best), kind
        sizes = "(n,n)" if kind == "stiefel" else "(n)"
        found = mc.minimize("norm(Q*a - 3*a)^2", "Q", f"Q: {kind}{sizes}; a: vector(n)", data={"a": [2.0]})
        assert np.allclose(found.x, [[best]]), kind


def test_families_without_members() -> None:
    where = "x[i=1..N], mu: vector(n)"
    with pytest.raises(mc.MatcalcError, match="x has no members here"):
        mc.minimize("sum(i=1..N, norm(x[i] - mu)^2)", "x", where, data={"mu": [1.0, 2.0], "N": 0})
    f = "sum(i=1..N, norm(x[i] - mu)^2) + norm(mu)^2"
    assert np.allclose(mc.minimize(f, "mu", where, data={"x": [], "n": 2}).x, 0)


def test_what_has_no_bound_under_constraints() -> None:
    found = mc.minimize("c'*x", "x", "c, x: vector(n)", data={"c": [1.0, -1.0]}, subject_to="sum(x) = 1")
    assert not found.converged
    apart = mc.minimize("norm(x)^2", "x", "x: vector(2)", subject_to=["sum(x) = 1", "sum(x) = 2"])
    assert not apart.converged and "misses them by 5.0e-01" in apart.message


def test_integers_are_not_sought() -> None:
    with pytest.raises(mc.MatcalcError, match=r"nothing to differentiate|an unknown is a variable"):
        mc.minimize("(k - 2)^2", "k", "k: integer")


def test_what_is_no_function_of_the_unknowns_is_constant() -> None:
    found = minimize("norm(b)^2", data={"b": B, "n": 2})
    assert found.converged and found.value == pytest.approx(B @ B)


# ---------------------------------------------------------------- the command


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.chdir(tmp_path)
    np.savez("data.npz", A=A, b=B)
    Path("fit.mc").write_text(
        "A: matrix(m,n); b: vector(m); x: vector(n)   # a fit\nassume A is fullrank\ne = A*x - b\nf = norm(e)^2\n"
        "D(f, x)\nminimize f over x\ng = 3\n",
        encoding="utf-8",
    )

    def command(*arguments: str) -> tuple[int, str, str]:
        status = main(["minimize", *arguments])
        printed = capsys.readouterr()
        return status, printed.out, printed.err

    return command


def test_the_command(run: Callable[..., Any]) -> None:
    status, out, err = run("fit.mc", "--data", "data.npz", "--output", "out.npz")
    assert (status, err) == (0, "# start: 0\n")
    assert out.startswith("minimum ") and "x: shape (3,), norm" in out
    with np.load("out.npz") as saved:
        assert np.allclose(saved["x"], BEST) and saved["value"] == pytest.approx(np.sum((A @ BEST - B) ** 2))


def test_the_command_as_json(run: Callable[..., Any]) -> None:
    found = json.loads(run("fit.mc", "--data", "data.npz", "--json", "--method", "lbfgs")[1])
    assert np.allclose(found["solution"]["x"], BEST) and found["converged"] and found["method"] == "L-BFGS"
    assert len(found["trajectory"]) == found["iterations"] + 1


def test_the_command_with_an_objective_of_its_own(run: Callable[..., Any]) -> None:
    asked = ["fit.mc", "--data", "data.npz", "--objective", "f + t*norm(x)^2", "--over", "x", "--set", "t=0.5"]
    found = json.loads(run(*asked, "--json")[1])["solution"]["x"]
    assert np.allclose(found, np.linalg.solve(A.T @ A + 0.5 * np.eye(3), A.T @ B))
    found = json.loads(run(*asked, "--subject-to", "sum(x) = 1", "--json")[1])["solution"]["x"]
    assert sum(found) == pytest.approx(1)


def test_the_command_with_families_and_starts(run: Callable[..., Any]) -> None:
    Path("net.mc").write_text(
        "W[k=0..L-1]: matrix(h[k+1],h[k]); X: matrix(h[0],N); T: matrix(h[L],N); c: scalar\n"
        "Y[0] = X\nY[k+1] = W[k]*Y[k]\nmaximize -norm(Y[L] - T)^2 - (c - 1)^2 over W, c\n",
        encoding="utf-8",
    )
    x, weights = RNG.normal(size=(2, 5)), [RNG.normal(size=(3, 2)), RNG.normal(size=(1, 3))]
    np.savez("net.npz", X=x, T=weights[1] @ weights[0] @ x + 0.0, c0=4.0)
    np.savez("start.npz", **{f"W[{k}]": w + 0.1 for k, w in enumerate(weights)})
    status, out, err = run("net.mc", "--data", "net.npz", "--start", "start.npz", "--output", "out.npz")
    assert status == 0 and out.startswith("maximum") and "start" not in err
    with np.load("out.npz") as saved:
        assert sorted(saved.files) == ["W[0]", "W[1]", "c", "value"]
        assert np.allclose(saved["W[1]"] @ saved["W[0]"] @ x, weights[1] @ weights[0] @ x, atol=1e-6)


def test_the_command_with_undeclared_names(run: Callable[..., Any]) -> None:
    Path("bare.mc").write_text("minimize norm(A*x - b)^2 over x subject to x >= 0, x <= 1/5", encoding="utf-8")
    found = json.loads(run("bare.mc", "--data", "data.npz", "--json")[1])["solution"]["x"]
    assert min(found) >= 0 and max(found) <= 0.2


def test_the_command_draws(run: Callable[..., Any]) -> None:
    pytest.importorskip("matplotlib").use("Agg")
    assert run("fit.mc", "--data", "data.npz", "--plot", "way.png")[0] == 0
    assert Path("way.png").read_bytes().startswith(b"\x89PNG")


def test_what_does_not_converge_has_a_status(run: Callable[..., Any]) -> None:
    status, out, _ = run("fit.mc", "--data", "data.npz", "--max-iterations", "1", "--method", "cg")
    assert status == 1 and "NOT CONVERGED" in out


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (["none.mc"], "none.mc cannot be read"),
        (["fit.mc"], "the data lack A, b"),
        (["fit.mc", "--data", "none.npz"], "none.npz cannot be read"),
        (["fit.mc", "--data", "fit.mc"], "fit.mc is no .npz file of numbers"),
        (["fit.mc", "--data", "one.npy"], "holds one array"),
        (["fit.mc", "--data", "data.npz", "--set", "t"], "--set takes NAME=NUMBER"),
        (["fit.mc", "--data", "data.npz", "--over", "x"], "belong together"),
        (["fit.mc", "--data", "data.npz", "--subject-to", "x = 0"], "belongs to --objective"),
        (["fit.mc", "--data", "data.npz", "--output", "none/out.npz"], "cannot be written"),
        (["empty.mc", "--data", "data.npz"], "no statement minimize f over X"),
        (["any.mc", "--data", "data.npz"], "any.mc: line 1, column 1: an iteration goes up or down"),
        (["bad.mc", "--data", "data.npz"], "bad.mc: line 2, column 15: A + b"),
        (["worse.mc", "--data", "data.npz"], "worse.mc: line 2, column 5: "),
        (["gap.mc", "--data", "gap.npz"], "not numbered one after the other"),
    ],
)
def test_errors_of_the_command(run: Callable[..., Any], asked: list[str], said: str) -> None:
    np.save("one.npy", A)
    np.savez("gap.npz", **{"W[0]": A, "W[2]": A})
    scripts = {
        "empty.mc": "A: matrix(m,n)",
        "any.mc": "extremum norm(A*x - b)^2 over x",
        "bad.mc": "\nminimize norm(A + b)^2 over x",
        "worse.mc": "A: matrix(m,n)\ne = A*A\nminimize norm(A*x - b)^2 over x",
        "gap.mc": "minimize norm(x)^2 over x",
    }
    for name, text in scripts.items():
        Path(name).write_text(text, encoding="utf-8")
    status, _, err = run(*asked)
    assert status == 2 and said in err and "Traceback" not in err
