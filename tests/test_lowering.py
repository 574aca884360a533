"""What the passes make of terms: no loop over samples, no large matrix that only acts, one factorization."""

from __future__ import annotations

import numpy as np
import pytest

import matcalc as mc
from matcalc.compile.function import compile_numpy
from matcalc.compile.lower import declared, lowered
from matcalc.compile.primitives import MEANING
from matcalc.numeric.evaluate import evaluate
from matcalc.numeric.sample import sample
from matcalc.terms.walk import postorder

RNG = np.random.default_rng(1)
SAMPLES = "x[i=1..N]: vector(n); z[i=1..N]: vector(n); y[i=1..N]: scalar; A: matrix(n,n); B: matrix(m,n); a: vector(n)"


def term_of(text, where=SAMPLES):
    return mc.parse(text, where=where).term


def arrays(term, env):
    given = {}
    for node in postorder(term):
        if node.op.name == "sym":
            value = env.symbols[node.attr]
            given[node.attr.name] = value[:, 0] if node.is_vector else float(value[0, 0]) if node.is_scalar else value
        elif node.op.name == "member":
            family = node.attr.family
            ends = env.size(family.index.lo), env.size(family.index.hi)
            members = [np.asarray(env.member(family, at)) for at in range(ends[0], ends[1] + 1)]
            given[family.name] = np.squeeze(members, tuple(a for a in (1, 2) if np.shape(members)[a] == 1))
    return given | {atom.name: size for atom, size in env.sizes.items() if atom.name not in given}


def agrees(term, profile="distinct"):
    """Run the generated function, compare with the value from the definition; the source."""
    env = sample(term, 3, profile=profile)
    function = compile_numpy(term)
    given = arrays(term, env)
    found = function(**{name: given[name] for name in function.arguments if name in given})
    assert np.allclose(found, np.squeeze(evaluate(term, env)), rtol=1e-10), function.source
    return function.source


STACKED = [
    "sum(i=1..N, x[i]*x[i]')",
    "sum(i=1..N, y[i]*x[i]*z[i]')",
    "sum(i=1..N, (x[i] - a)*(x[i] - a)')",
    "sum(i=1..N, (x[i] - a)'*A*(x[i] - a))",
    "sum(i=1..N, y[i]*x[i]'*A*z[i])",
    "sum(i=1..N, exp(a'*x[i]))",
    "sum(i=1..N, y[i]*tanh(a'*x[i]))*a",
    "sum(i=1..N, B*tanh(A*x[i]))",
    "sum(i=1..N, norm(B*tanh(A*x[i]))^2)",
    "sum(i=1..N, (B*tanh(A*x[i]))*x[i]')",
    "sum(i=1..N, norm(x[i] - a))",
    "sum(i=1..N, logsumexp(A*x[i]) - y[i]*a'*softmax(x[i]))",
    "sum(i=1..N, y[i]*A + x[i]*a')",
    "sum(i=1..N, i*x[i])",
    "tr(sum(i=1..N, x[i]*z[i]'*A))",
    "sum(i=1..N, kron(x[i]*x[i]', A))",
    "sum(i=1..N, diag(x[i]))",
    "sum(i=1..N, y[i]^2)",
    "sum(i=1..N, A)",
    "sum(i=1..N-1, (x[i+1] - x[i])*(x[i+1] - x[i])')",
    "sum(i=1..N, x[i][1]*y[i])",
]


@pytest.mark.parametrize("text", STACKED)
def test_a_sum_over_samples_is_no_loop(text):
    assert "for i in" not in agrees(term_of(text))


@pytest.mark.parametrize("text", ["sum(i=1..N, x[1]*y[i])", "sum(i=1..M, x[i])", "sum(i=1..N, ind(i >= 2)*x[i-1])"])
def test_what_may_not_exist_stays_a_loop(text):
    assert "for i in" in compile_numpy(term_of(text, SAMPLES + "; M: integer")).source


MIXTURES = "x[i=1..N]: vector(n); y[i=1..N]: scalar; m[k=1..K]: vector(n); w[k=1..K]: positive; s[k=1..K]: positive"
MIXTURES += "; S[k=1..K]: posdef(n); P: posdef(n); V[k=1..K]: matrix(n,n)"


@pytest.mark.parametrize(
    "text",
    [
        "grad(sum(i=1..N, log(sum(k=1..K, exp(-1/2*(x[i]-m[k])'*inv(S[k])*(x[i]-m[k]) - 1/2*logdet(S[k]))))), m[1])",
        "hess(sum(i=1..N, log(sum(k=1..K, w[k]*exp(-1/2*(x[i]-m[k])'*inv(S[k])*(x[i]-m[k]))))), S[1])",
        "hess(sum(i=1..N, log(sum(k=1..K, w[k]*exp(-norm(x[i]-m[k])^2/(2*s[k]^2))))), m[1])",
        "grad(sum(i=1..N, log(sum(k=1..K, w[k]*exp(-1/2*(x[i]-m[k])'*inv(P)*(x[i]-m[k]))))), P)",
        "grad(sum(i=1..N, log(sum(k=1..K, w[k]*exp(-(y[i]-s[k])^2)))), s[1])",
        "hess(sum(i=1..N, norm(sum(k=1..K, V[k]*tanh(V[k]*x[i]-m[k])))^2), m[1])",
    ],
)
def test_a_sum_over_components_inside_one_over_samples(text):
    source = agrees(term_of(text, MIXTURES))
    assert "N + 1)" not in source.split('"""')[-1]


def test_the_data_are_seen_through_one_product():
    where = "S: posdef(n); m: vector(n); x[i=1..N]: vector(n)"
    likelihood = "-N/2*logdet(S) - 1/2*sum(i=1..N, (x[i] - m)'*inv(S)*(x[i] - m))"
    f = mc.function(likelihood, "S", ("value", "gradient", "hessian"), where=where)
    body = f.source.split('"""')[-1]
    assert body.count("t0.T @ t0") == 1 and "kron(" not in body
    assert f.source.count("_cholesky(S)") == 1
    n, N = 3, 50
    root = RNG.normal(size=(n, 2 * n))
    given = {"S": root @ root.T, "m": RNG.normal(size=n), "x": RNG.normal(size=(N, n))}
    value, gradient, hessian = f(**given)
    P, C = np.linalg.inv(given["S"]), (given["x"] - given["m"]).T @ (given["x"] - given["m"])
    assert np.isclose(value, -N / 2 * np.linalg.slogdet(given["S"])[1] - np.sum(P * C) / 2)
    assert np.allclose(gradient, (P @ C @ P - N * P) / 2)
    Q, K = P @ C @ P, np.eye(n * n).reshape(n, n, n * n).transpose(1, 0, 2).reshape(n * n, n * n)
    assert np.allclose(hessian, (N * np.kron(P, P) - np.kron(P, Q) - np.kron(Q, P)) / 2 @ K)


MATRICES = "A: matrix(m,n); B: matrix(n,m); C: matrix(m,n); P: matrix(p,p); Q: matrix(q,q); S: matrix(n,n)"
MATRICES += "; R: matrix(p,p); T: matrix(q,q); v: vector(n); w: vector(m); X: matrix(q,p)"
FORMED = ("np.kron", "np.diag(", "np.ones", "_commutation", "np.trace", "_kronecker", "_outer", "_repeated")


@pytest.mark.parametrize(
    "text",
    [
        "kron(P, Q)*vec(X)",
        "(kron(P, eye(q)) + kron(eye(p), Q))*vec(X)",
        "commutation(q,p)*vec(X)",
        "diag(v)*S*v",
        "A*diag(v)*B",
        "A'*diag(exp(w))*A",
        "A*ones(n)",
        "ones(m)'*A",
        "tr(A*B)",
        "diag(A*B)",
        "sum(A*B)",
        "(v*ones(n)' + S)*v",
    ],
)
def test_what_acts_is_not_formed(text):
    source = agrees(term_of(text, MATRICES))
    body = source.split('"""')[-1]
    assert not any(word in body for word in FORMED)


@pytest.mark.parametrize(
    "text",
    [
        "kron(P, Q)",
        "kron(P, eye(q))",
        "kron(eye(p), Q)",
        "kron(P, eye(q)) + kron(eye(p), Q)",
        "kron(P, Q) + kron(R, T) - 2*kron(P, T)",
        "(kron(P, eye(q)) - 3*eye(p*q))*commutation(p,q)*kron(Q, R)",
        "kron(P, Q)*commutation(p,q) + kron(R, T)*commutation(p,q)",
        "kron(P, Q) + commutation(q,p)*kron(Q, R)*commutation(p,q)",
        "commutation(q,p)*kron(Q, P)",
        "kron(P*R, Q)*kron(R, T) + kron(eye(p), T)",
    ],
)
def test_matrices_of_kronecker_products(text):
    body = agrees(term_of(text, MATRICES)).split('"""')[-1]
    assert "np.kron" not in body


@pytest.mark.parametrize("text, calls", [("A*B*C", 1), ("A*B*C*S", 1), ("A'*A", 0), ("A*S*S*v", 0), ("S*S*S", 0)])
def test_the_order_of_a_product(text, calls):
    source = agrees(term_of(text, MATRICES))
    body = source.split('"""')[-1]
    assert body.count("_triple(") + body.count("_product(") == calls


@pytest.mark.parametrize("sizes", [(2, 300, 2, 300), (300, 2, 300, 2), (5, 5, 5, 5)])
def test_the_cheapest_order_is_found_for_the_sizes(sizes):
    k, m, n, p = sizes
    function = compile_numpy(term_of("A*B*C", "A: matrix(k,m); B: matrix(m,n); C: matrix(n,p)"))
    A, B, C = RNG.normal(size=(k, m)), RNG.normal(size=(m, n)), RNG.normal(size=(n, p))
    assert np.allclose(function(A=A, B=B, C=C), A @ B @ C)
    D = RNG.normal(size=(p, 4))
    longer = compile_numpy(term_of("A*B*C*D", "A: matrix(k,m); B: matrix(m,n); C: matrix(n,p); D: matrix(p,q)"))
    assert np.allclose(longer(A=A, B=B, C=C, D=D), A @ B @ C @ D)


@pytest.mark.parametrize("declaration, factor", [("posdef(n)", "_cholesky(S)"), ("matrix(n,n)", "_lu(S)")])
def test_one_factorization_for_all(declaration, factor):
    where = f"S: {declaration}; B: matrix(n,p); v: vector(n)"
    texts = ("logdet(S)*inv(S)*B", "det(S)*v'*inv(S)*v", "tr(B'*inv(S)*B) + logdet(S)", "B'*inv(S)'*B + det(S)*B'*B")
    for text in texts:
        assert agrees(term_of(text, where), "mixed").count(f"{factor}") == 1
    assert "_inverse" not in compile_numpy(term_of(texts[0], where)).source
    assert "_inverse" in compile_numpy(term_of("inv(S) + B*B'", where)).source


def test_a_matrix_that_is_not_positive_definite_is_refused():
    function = compile_numpy(term_of("inv(S)*v", "S: posdef(n); v: vector(n)"))
    with pytest.raises(np.linalg.LinAlgError, match="positive definite"):
        function(S=-np.eye(2), v=[1, 2])
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        compile_numpy(term_of("inv(S)*v", "S: matrix(n,n); v: vector(n)"))(S=np.zeros((2, 2)), v=[1, 2])


@pytest.mark.parametrize("sign", ["", "-"])
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e-3])
def test_the_logistic_function_does_not_overflow(sign, scale):
    where = "X: matrix(m,n); w: vector(n)"
    f = mc.function(f"sum(log(1 .+ exp({sign}X*w)))", "w", ("value", "gradient", "hessian"), where=where)
    X, w = RNG.normal(size=(20, 3)) * scale, RNG.normal(size=3)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        value, gradient, hessian = f(X=X, w=w)
    t = -X @ w if sign else X @ w
    s = np.exp(-np.logaddexp(0, -t))
    assert np.isclose(value, np.logaddexp(0, t).sum(), rtol=1e-13)
    assert np.allclose(gradient, (-1 if sign else 1) * X.T @ s, rtol=1e-10, atol=1e-12 * scale)
    assert np.allclose(hessian, X.T @ np.diag(s * np.exp(-np.logaddexp(0, t))) @ X, atol=1e-12 * scale**2)


def test_what_is_no_number_spoils_nothing_else():
    f = mc.function("sigmoid(x)", "x", "value", where="x: vector(n)")
    assert np.array_equal(f(x=[np.nan, 1e3, -1e3, np.inf]), [np.nan, 1.0, 0.0, 1.0], equal_nan=True)


def test_small_losses_keep_their_digits():
    f = mc.function("sum(log(1 .+ exp(-y .* x)))", "x", ("value", "gradient"), where="x: vector(n); y: vector(n)")
    x = np.full(1000, 40.0)
    value, gradient = f(x=x, y=np.ones(1000))
    assert np.isclose(value, 1000 * np.exp(-40.0), rtol=1e-12) and np.allclose(gradient, -np.exp(-40.0), rtol=1e-12)


def test_arguments_are_never_written_over():
    cases = {
        "sum(log(1 .+ exp(-Y .* (U*V'))))": ("U", "Y: matrix(n,n); U: matrix(n,k); V: matrix(n,k)"),
        "norm(Y - U*V')^2": ("U", "Y: matrix(n,n); U: matrix(n,k); V: matrix(n,k)"),
        "sum(exp(tanh(U)) .* Y)": ("U", "U: matrix(n,n); Y: matrix(n,n)"),
    }
    for text, (wrt, where) in cases.items():
        f = mc.function(text, wrt, where=where)
        shapes = {"Y": (4, 4), "V": (4, 2), "U": (4, 2) if "k" in where else (4, 4)}
        given = {name: RNG.normal(size=shapes[name]) for name in f.arguments}
        kept = {name: value.copy() for name, value in given.items()}
        first, second = f(**given), f(**given)
        assert all(np.array_equal(given[name], kept[name]) for name in given)
        assert first[0] == second[0] and np.array_equal(first[1], second[1]) and first[1] is not second[1]


def test_memory_is_used_again():
    f = mc.function("sum(log(1 .+ exp(-a .* x)) + b .* tanh(x).^2)", "x", where="a, b, x: vector(n)")
    body = f.source.split('"""')[-1]
    assert "out=t" in body and "/= t" in body


@pytest.mark.parametrize("text", STACKED[:8] + ["tr(A*inv(A'*A)*A')", "logdet(A*A')", "A*diag(a)*A'", "logsumexp(A*a)"])
def test_the_meaning_of_what_is_computed(text):
    term = term_of(text)
    low = lowered([term], declared)
    meaning = low.meaning(low.roots[0])
    assert not any(t.op in MEANING for t in postorder(meaning))


LOSSES = {"squares": "norm({z} - Y)^2", "entropy": "sum(logsumexp({z})) - sum(Y .* ({z}))"}


NETWORKS = [(2, "tanh", "squares"), (3, "tanh", "entropy"), (4, "relu", "entropy")]


@pytest.mark.parametrize("layers, function, loss", NETWORKS)
def test_the_hessian_of_a_network_is_a_small_matrix_for_each_sample(layers, function, loss):
    z = "X"
    for k in range(1, layers):
        z = f"{function}({z}*W{k})"
    text = LOSSES[loss].format(z=f"{z}*W{layers}")
    where = f"X: matrix(N,h0); Y: matrix(N,h{layers}); "
    where += "; ".join(f"W{k}: matrix(h{k - 1},h{k})" for k in range(1, layers + 1))
    f = mc.function(text, "W1", ("gradient", "hessian"), where=where)
    body = f.source.split('"""')[-1]
    assert "_sandwich(X" in body and "heaviside" not in body
    assert not any(word in body for word in FORMED if word != "np.ones")
    widths = [4, 5, 6, 5][:layers] + [3]
    given = {f"W{k + 1}": RNG.normal(size=widths[k : k + 2]) for k in range(layers)}
    given |= {"X": RNG.normal(size=(7, 4)), "Y": np.eye(3)[RNG.integers(0, 3, 7)]}
    _, hessian = f(**given)
    step = RNG.normal(size=given["W1"].shape)
    up, down = (f(**{**given, "W1": given["W1"] + sign * 1e-6 * step})[0] for sign in (1, -1))
    moved = ((up - down) / 2e-6).ravel(order="F")
    assert np.allclose(hessian @ step.ravel(order="F"), moved, rtol=1e-5, atol=1e-5 * np.abs(moved).max())


@pytest.mark.parametrize(
    "text",
    [
        "sum(exp(A) .* (ones(n)*a'))",
        "sum(exp(A) .* (ones(n)*a') .* (exp(a)*ones(1,n)))",
        "sum((exp(A) + ones(n)*a') .* (a*ones(1,n)))",
        "tr(exp(A) + ones(n)*a')",
        "(exp(A) .* (ones(n)*a') .* (ones(n)*exp(a)'))*ones(n)",
        "(exp(A) .* (a*ones(1,n)))'*ones(n)",
        "(exp(A) + ones(n)*a')'*a",
    ],
)
def test_rows_that_are_all_the_same_are_broadcast(text):
    source = agrees(term_of(text))
    assert "np.ones" not in source
