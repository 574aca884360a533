"""JAX: functions that ``jax.jit``, ``jax.vmap`` and ``jax.grad`` trace; sums and recurrences are ``lax`` loops."""

from __future__ import annotations

from ..target import Target
from .jax_writer import JaxWriter
from .translate import Call, Dialect, Translator, translate
from .words import ENTRYWISE

IMPORTS = """\
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.scipy import linalg
from jax.scipy import special

jax.config.update("jax_enable_x64", True)  # of the whole process: 64 bits, as in NumPy"""


def _asarray(_t: Translator, args: list[str], _keywords: dict[str, str]) -> str:
    return f"jnp.asarray({args[0]}, dtype=float)"


_SAME = (
    *ENTRYWISE,
    *("heaviside", "maximum", "logaddexp", "where", "sum", "max", "trace", "diag", "tril", "triu", "kron", "outer"),
    *("eye", "zeros", "ones", "array", "block", "arange", "argmax", "triu_indices", "einsum", "vdot", "tensordot"),
    *("minimum", "stack", "matmul"),
    *("linalg.inv", "linalg.det", "linalg.slogdet", "linalg.norm", "linalg.matrix_power", "linalg.svd"),
    *("linalg.eigh", "linalg.eigvalsh", "linalg.solve", "linalg.cholesky"),
)
_SCIPY = ("special.erf", "special.erfc", "special.gammaln", "special.digamma", "special.polygamma")

CALLS: dict[str, Call] = {
    **{f"np.{name}": f"jnp.{name}" for name in _SAME},
    **{name: name for name in (*_SCIPY, "linalg.expm")},
    "linalg.solve_sylvester": "_sylvester",
    "np.pi": "jnp.pi",
    "np.e": "jnp.e",
    "np.asarray": _asarray,
    "np.float64": _asarray,
    "float": _asarray,
    "float(relation)": lambda _t, args, _k: f"jnp.where({args[0]}, 1.0, 0.0)",
    "np.concatenate": "_concatenate",
    "_repeated_left": lambda _t, args, _k: f"jnp.kron(jnp.eye({args[0]}), {args[1]})",
    "_repeated_right": lambda _t, args, _k: f"jnp.kron({args[0]}, jnp.eye({args[1]}))",
    "np.linalg.pinv": lambda _t, args, keywords: f"jnp.linalg.pinv({args[0]}, rtol={keywords['rcond']})",
}

HELPERS = {
    "_repeat": """\
def _repeat(first, stop, by, step, values):
    count = (stop - first) * by
    if isinstance(count, int) and count <= 0:
        return values
    return lax.fori_loop(0, count, lambda i, values: step(first + by * i, values), values)
""",
    "_room": """\
def _room(start, count, at):
    return jax.tree.map(lambda s: jnp.zeros((count, *jnp.shape(s))).at[at].set(s), start)
""",
    "_put": """\
def _put(states, at, state):
    return jax.tree.map(lambda those, this: those.at[at].set(this), states, state)
""",
    "_at": """\
def _at(states, at):
    return jax.tree.map(lambda those: those[at], states)
""",
    "_member": """\
def _member(family, at):
    return family[at] if len(family) else jnp.zeros(family.shape[1:])
""",
    "_concatenate": """\
def _concatenate(parts):
    return jnp.concatenate([jnp.asarray(part, dtype=float) for part in parts])
""",
    "_basis": """\
def _basis(i, n):
    return jnp.zeros(n).at[i - 1].set(1.0)
""",
    "_duplication": """\
def _duplication(n):
    i, j = jnp.triu_indices(n)
    k = jnp.arange(len(i))
    return jnp.zeros((n * n, len(i))).at[i * n + j, k].set(1.0).at[j * n + i, k].set(1.0)
""",
    "_polar": """\
def _polar(a):
    u, s, v = jnp.linalg.svd(a, full_matrices=False)
    return u * (s > 1e-12 * s[0]) @ v
""",
    "_sylvester": """\
def _sylvester(a, b, c):
    if jax.default_backend() == "cpu":
        return linalg.solve_sylvester(a, b, c)
    m, n = c.shape  # accelerators have no Schur form
    whole = jnp.kron(jnp.eye(n), a) + jnp.kron(b.T, jnp.eye(m))
    return jnp.linalg.solve(whole, c.T.reshape(-1)).reshape(n, m).T
""",
    "_sqrtm": """\
def _sqrtm(a):  # Denman and Beavers in product form, scaled by determinants
    n = a.shape[0]

    def step(_, values):
        m, x = values
        scale = jnp.exp(-jnp.linalg.slogdet(m)[1] / (2 * n))
        inverse = jnp.linalg.inv(m) / scale**2
        return (jnp.eye(n) + (scale**2 * m + inverse) / 2) / 2, scale * x @ (jnp.eye(n) + inverse) / 2

    x = lax.fori_loop(0, 24, step, (a, a))[1]
    wrong = ~(jnp.linalg.norm(x @ x - a) <= 1e-8 * jnp.linalg.norm(a))
    return jnp.where(wrong, jnp.nan, x)
""",
    "_logm": """\
def _logm(a):  # square roots, then Gauss and Legendre's rule for log(1 + r) = integral of r / (1 + t r)
    one = jnp.eye(a.shape[0])
    a = lax.fori_loop(0, 6, lambda _, root: _sqrtm(root), a)
    rule = zip(*np.polynomial.legendre.leggauss(16))
    return 2**6 * sum(w / 2 * jnp.linalg.solve(one + (1 + t) / 2 * (a - one), a - one) for t, w in rule)
""",
    "_product": """\
def _product(*factors):
    return jnp.linalg.multi_dot(factors)
""",
    "_add_diagonal": """\
def _add_diagonal(a, d):
    i = jnp.arange(min(a.shape))
    return a.at[i, i].add(d)
""",
    "_cholesky": """\
def _cholesky(a):
    return jnp.linalg.cholesky(a)
""",
    "_cholesky_solve": """\
def _cholesky_solve(factor, b):
    return linalg.cho_solve((factor, True), b)
""",
    "_cholesky_inverse": """\
def _cholesky_inverse(factor):
    return linalg.cho_solve((factor, True), jnp.eye(factor.shape[0]))
""",
    "_cholesky_det": """\
def _cholesky_det(factor):
    return jnp.prod(jnp.square(jnp.diag(factor)))
""",
    "_cholesky_logdet": """\
def _cholesky_logdet(factor):
    return 2.0 * jnp.sum(jnp.log(jnp.diag(factor)))
""",
    "_half_solve": """\
def _half_solve(factor, b):
    return linalg.solve_triangular(factor, b, lower=True)
""",
    "_lu": """\
def _lu(a):
    return linalg.lu_factor(a)
""",
    "_lu_solve": """\
def _lu_solve(lu, b, transposed=False):
    return linalg.lu_solve(lu, b, trans=int(transposed))
""",
    "_lu_inverse": """\
def _lu_inverse(lu):
    return linalg.lu_solve(lu, jnp.eye(lu[0].shape[0]))
""",
    "_lu_logdet": """\
def _lu_logdet(lu):
    return jnp.sum(jnp.log(jnp.abs(jnp.diag(lu[0]))))
""",
    "_lu_det": """\
def _lu_det(lu):
    odd = jnp.sum(lu[1] != jnp.arange(len(lu[1]))) % 2
    return jnp.where(odd, -1.0, 1.0) * jnp.prod(jnp.diag(lu[0]))
""",
    "_capped_exp": """\
def _capped_exp(x):
    return jnp.exp(jnp.minimum(x, 700.0))
""",
    "_excess": """\
def _excess(x):
    return jnp.sum(jnp.maximum(x - 700.0, 0.0))
""",
    "_sum_log1p": """\
def _sum_log1p(e, u):
    return jnp.sum(jnp.log1p(e))
""",
    "_kronecker": """\
def _kronecker(*pairs, crossed=False):  # a number n stands for the identity of size n
    total = 0.0
    for a, b in pairs:
        a, b = (jnp.eye(f) if isinstance(f, int) else f for f in (a, b))
        part = jnp.einsum("il,jk->ijkl" if crossed else "ik,jl->ijkl", a, b)
        total = total + part.reshape(part.shape[0] * part.shape[1], part.shape[2] * part.shape[3])
    return total
""",
    "_each_diagonal": """\
def _each_diagonal(m, d):
    i = jnp.arange(m.shape[1])
    return m.at[:, i, i].add(d)
""",
    "_each_weighted": """\
def _each_weighted(a, d, b):
    return jnp.einsum("am,im,mb->iab", a, d, b)
""",
    "_spread": """\
def _spread(m):
    count, a, b = m.shape
    i = jnp.arange(count)
    whole = jnp.zeros((count, count, a, b)).at[i, i].set(m)
    return whole.transpose(2, 0, 3, 1).reshape(a * count, b * count)
""",
    "_across": """\
def _across(s, d, t, crossed=False):
    whole = jnp.einsum("aj,ij,ib->aibj" if crossed else "aj,ij,ib->aijb", s, d, t)
    return whole.reshape(s.shape[0] * t.shape[0], whole.shape[2] * whole.shape[3])
""",
    "_sandwich": """\
def _sandwich(x, m, z):
    whole = jnp.einsum("np,nab,nq->apbq", x, m, z)
    return whole.reshape(whole.shape[0] * whole.shape[1], whole.shape[2] * whole.shape[3])
""",
    "_dexpm": """\
def _dexpm(a, e, b):
    m, n = e.shape
    return linalg.expm(jnp.block([[a, e], [jnp.zeros((n, m)), b]]))[:m, m:]
""",
    "_dlogm": """\
def _dlogm(a, e, b):
    m, n = e.shape
    return _logm(jnp.block([[a, e], [jnp.zeros((n, m)), b]]))[:m, m:]
""",
}

DIALECT = Dialect("jax", IMPORTS, CALLS, HELPERS)


def _finish(source: str) -> str:
    return translate(source, DIALECT)


TARGET = Target("jax", JaxWriter, _finish, lower=True)
