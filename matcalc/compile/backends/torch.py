"""PyTorch: tensors in, tensors out, on the device and in the precision that they have."""

from __future__ import annotations

from ..target import Target
from .translate import Call, Dialect, Translator, translate
from .words import ENTRYWISE

IMPORTS = """\
import numpy as np
import torch"""


def _asarray(_t: Translator, args: list[str], _keywords: dict[str, str]) -> str:
    return f"torch.as_tensor({args[0]}, **_like)"


def _made(function: str) -> Call:
    return lambda _t, args, _keywords: f"{function}({', '.join(args)}, **_like)"


def _along(function: str, whole: str = "") -> Call:
    def call(_t: Translator, args: list[str], keywords: dict[str, str]) -> str:
        if "axis" not in keywords:
            return f"{whole or function}({args[0]})"
        keep = f", keepdim={keywords['keepdims']}" if "keepdims" in keywords else ""
        return f"{function}({args[0]}, dim={keywords['axis']}{keep})"

    return call


def _array(_t: Translator, args: list[str], keywords: dict[str, str]) -> str:
    listed = keywords or args[0].startswith("[")
    return f"_array({args[0]}, _like)" if listed else f"_copy({args[0]})"


def _kronecker(_t: Translator, args: list[str], keywords: dict[str, str]) -> str:
    return f"_kronecker({', '.join([*args, 'like=_like', *(f'{name}={text}' for name, text in keywords.items())])})"


def _ravel(_t: Translator, args: list[str], keywords: dict[str, str]) -> str:
    return f"({args[0]}).T.reshape(-1)" if keywords else f"({args[0]}).reshape(-1)"


def _reshape(_t: Translator, args: list[str], keywords: dict[str, str]) -> str:
    if not keywords:
        return f"({args[0]}).reshape({', '.join(args[1:])})"
    rows, cols = args[1].strip("()").split(", ")
    return f"({args[0]}).reshape({cols}, {rows}).T"


_SAME = (
    *ENTRYWISE,
    *("logaddexp", "where", "trace", "diag", "tril", "triu", "outer", "einsum"),
    *("linalg.inv", "linalg.det", "linalg.slogdet", "linalg.norm", "linalg.matrix_power", "linalg.svd"),
    *("linalg.eigh", "linalg.eigvalsh", "linalg.solve", "linalg.cholesky"),
)

CALLS: dict[str, Call] = {
    **{f"np.{name}": f"torch.{name}" for name in _SAME},
    **{f"special.{name}": f"torch.special.{name}" for name in ("erf", "erfc", "gammaln", "digamma", "polygamma")},
    **{f"np.{name}": _made(f"torch.{name}") for name in ("eye", "zeros", "ones")},
    "np.pi": "torch.pi",
    "np.e": "torch.e",
    "np.asarray": _asarray,
    "np.float64": _asarray,
    "float": _asarray,
    "float(relation)": "float",
    "np.sum": _along("torch.sum"),
    "np.max": _along("torch.amax"),
    "np.argmax": _along("torch.argmax"),
    "np.maximum": lambda _t, args, _k: f"torch.clamp({args[0]}, min={args[1]})",
    "np.logaddexp": lambda _t, args, _k: f"_logaddexp({', '.join(args)})",
    "np.heaviside": lambda _t, args, _k: f"_step({args[0]})",
    "np.array": _array,
    "np.kron": "_kron",
    "np.vdot": lambda _t, args, _k: f"torch.sum(({args[0]}) * ({args[1]}))",
    "_sigmoid": "torch.sigmoid",
    "np.concatenate": lambda _t, args, _k: f"_concatenate({args[0]}, _like)",
    "np.block": lambda _t, args, _k: f"_block({args[0]}, _like)",
    "np.linalg.pinv": lambda _t, args, keywords: f"torch.linalg.pinv({args[0]}, rtol={keywords['rcond']})",
    "linalg.expm": "torch.linalg.matrix_exp",
    "linalg.solve_sylvester": "_sylvester",
    "_kronecker": _kronecker,
    "np.tensordot": lambda _t, args, _k: f"torch.tensordot({args[0]}, {args[1]}, dims={args[2]})",
    "np.arange": lambda _t, args, _k: f"torch.arange({', '.join(args)}, **_like)",
    "np.stack": "torch.stack",
    "np.matmul": "torch.matmul",
    "_add_diagonal": lambda _t, args, _k: f"_add_diagonal({args[0]}, torch.as_tensor({args[1]}, **_like))",
    ".max": lambda _t, args, k: f"({args[0]}).amax({', '.join(f'dim={v}' for v in k.values())})",
    "_repeated_left": lambda _t, args, _k: f"_kron(torch.eye({args[0]}, **_like), {args[1]})",
    "_repeated_right": lambda _t, args, _k: f"_kron({args[0]}, torch.eye({args[1]}, **_like))",
    ".sum": lambda _t, args, k: f"({args[0]}).sum({', '.join(f'dim={v}' for v in k.values())})",
    ".copy": lambda _t, args, _k: f"({args[0]}).clone()",
    ".ravel": _ravel,
    ".reshape": _reshape,
    **{f"_{name}": _made(f"_{name}") for name in ("basis", "commutation", "duplication", "elimination")},
}

HELPERS = {
    "_kind": """\
def _kind(*given):
    tensors = [t for t in given if isinstance(t, torch.Tensor)]
    floats = [t.dtype for t in tensors if t.is_floating_point()]
    dtype = torch.float32 if floats and all(f in (torch.float16, torch.float32) for f in floats) else torch.float64
    devices = [t.device for t in tensors if t.ndim or t.device.type != "cpu"]
    return {"dtype": dtype, "device": devices[0] if devices else "cpu"}
""",
    "_check": """\
def _check(name, array, shape):
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {tuple(array.shape)}, but {shape} is needed")
""",
    "_copy": """\
def _copy(value):
    return torch.stack(value) if isinstance(value, list) else value.clone()
""",
    "_array": """\
def _array(rows, like):
    parts = [_array(row, like) if isinstance(row, list) else torch.as_tensor(row, **like) for row in rows]
    return torch.stack(parts) if parts else torch.zeros(0, **like)
""",
    "_concatenate": """\
def _concatenate(parts, like):
    return torch.cat([_array(part, like) if isinstance(part, list) else part for part in parts])
""",
    "_block": """\
def _block(rows, like):
    rows = [[torch.atleast_2d(torch.as_tensor(part, **like)) for part in row] for row in rows]
    return torch.cat([torch.cat(row, dim=1) for row in rows])
""",
    "_step": """\
def _step(x):
    return torch.where(torch.isnan(x), x, (x > 0).to(x.dtype))
""",
    "_logaddexp": """\
def _logaddexp(a, x):
    return torch.logaddexp(torch.as_tensor(a, dtype=x.dtype, device=x.device), x)
""",
    "_kron": """\
def _kron(a, b):
    return torch.kron(a.contiguous(), b.contiguous())
""",
    "_logsumexp": """\
def _logsumexp(x):
    return torch.logsumexp(x, dim=-1)
""",
    "_softmax": """\
def _softmax(x):
    return torch.softmax(x, dim=-1)
""",
    "_basis": """\
def _basis(i, n, **like):
    return torch.eye(n, **like)[i - 1]
""",
    "_commutation": """\
def _commutation(m, n, **like):
    return torch.eye(m * n, **like).reshape(n, m, m * n).transpose(0, 1).reshape(m * n, m * n)
""",
    "_duplication": """\
def _duplication(n, **like):
    i, j = torch.triu_indices(n, n, device=like["device"])
    k = torch.arange(len(i), device=like["device"])
    d = torch.zeros(n * n, len(i), **like)
    d[i * n + j, k] = d[j * n + i, k] = 1.0
    return d
""",
    "_elimination": """\
def _elimination(n, **like):
    i, j = torch.triu_indices(n, n, device=like["device"])
    return torch.eye(n * n, **like)[i * n + j]
""",
    "_vech": """\
def _vech(a):
    i, j = torch.triu_indices(len(a), len(a), device=a.device)
    return a.T[i, j]
""",
    "_polar": """\
def _polar(a):
    u, s, v = torch.linalg.svd(a, full_matrices=False)
    return u * (s > 1e-12 * s[0]) @ v
""",
    "_eigvecs": """\
def _eigvecs(a, count=1):
    vectors = torch.linalg.eigh((a + a.T) / 2)[1].flip(1)[:, :count]
    sizes = vectors.abs()
    largest = torch.argmax((sizes >= sizes.amax(dim=0) * (1 - 1e-9)).to(torch.int8), dim=0)
    return vectors * torch.sign(vectors[largest, torch.arange(count, device=a.device)])
""",
    "_sylvester": """\
def _sylvester(a, b, c):
    m, n = c.shape
    one, two = torch.eye(m, dtype=a.dtype, device=a.device), torch.eye(n, dtype=a.dtype, device=a.device)
    return torch.linalg.solve(_kron(two, a) + _kron(b.T, one), c.T.reshape(-1)).reshape(n, m).T
""",
    "_sqrtm": """\
def _sqrtm(a):  # Denman and Beavers in product form, scaled by determinants
    n = a.shape[0]
    one, m, x = torch.eye(n, dtype=a.dtype, device=a.device), a, a
    for _ in range(24):
        scale = torch.exp(-torch.linalg.slogdet(m)[1] / (2 * n))
        inverse = torch.linalg.inv_ex(m)[0] / scale**2
        x = scale * x @ (one + inverse) / 2
        m = (one + (scale**2 * m + inverse) / 2) / 2
    wrong = ~(torch.linalg.norm(x @ x - a) <= torch.finfo(a.dtype).eps ** 0.5 * torch.linalg.norm(a))
    return torch.where(wrong, torch.nan, x)
""",
    "_logm": """\
def _logm(a):  # square roots, then Gauss and Legendre's rule for log(1 + r) = integral of r / (1 + t r)
    one = torch.eye(a.shape[0], dtype=a.dtype, device=a.device)
    for _ in range(6):
        a = _sqrtm(a)
    rule = zip(*np.polynomial.legendre.leggauss(16))
    return 2**6 * sum(w / 2 * torch.linalg.solve(one + (1 + t) / 2 * (a - one), a - one) for t, w in rule)
""",
    "_product": """\
def _product(*factors):
    return torch.linalg.multi_dot(factors)
""",
    "_add_diagonal": """\
def _add_diagonal(a, d):
    return a + torch.diag(torch.broadcast_to(d, (len(a),)))
""",
    "_cholesky": """\
def _cholesky(a):
    return torch.linalg.cholesky(a)
""",
    "_cholesky_solve": """\
def _cholesky_solve(factor, b):
    return torch.cholesky_solve(b, factor) if b.ndim == 2 else torch.cholesky_solve(b[:, None], factor)[:, 0]
""",
    "_cholesky_inverse": """\
def _cholesky_inverse(factor):
    return torch.cholesky_inverse(factor)
""",
    "_cholesky_det": """\
def _cholesky_det(factor):
    return torch.prod(torch.square(torch.diag(factor)))
""",
    "_cholesky_logdet": """\
def _cholesky_logdet(factor):
    return 2.0 * torch.sum(torch.log(torch.diag(factor)))
""",
    "_half_solve": """\
def _half_solve(factor, b):
    solved = torch.linalg.solve_triangular(factor, b if b.ndim == 2 else b[:, None], upper=False)
    return solved if b.ndim == 2 else solved[:, 0]
""",
    "_lu": """\
def _lu(a):
    return torch.linalg.lu_factor(a)
""",
    "_lu_solve": """\
def _lu_solve(lu, b, transposed=False):
    solved = torch.linalg.lu_solve(*lu, b if b.ndim == 2 else b[:, None], adjoint=transposed)
    return solved if b.ndim == 2 else solved[:, 0]
""",
    "_lu_inverse": """\
def _lu_inverse(lu):
    return torch.linalg.lu_solve(*lu, torch.eye(len(lu[0]), dtype=lu[0].dtype, device=lu[0].device))
""",
    "_lu_logdet": """\
def _lu_logdet(lu):
    return torch.sum(torch.log(torch.abs(torch.diag(lu[0]))))
""",
    "_lu_det": """\
def _lu_det(lu):
    odd = torch.sum(lu[1] != torch.arange(1, len(lu[1]) + 1, device=lu[1].device)) % 2
    return (1.0 - 2.0 * odd) * torch.prod(torch.diag(lu[0]))
""",
    "_capped_exp": """\
def _capped_exp(x):
    return torch.exp(torch.clamp(x, max=700.0))
""",
    "_excess": """\
def _excess(x):
    return torch.sum(torch.clamp(x - 700.0, min=0.0))
""",
    "_sum_log1p": """\
def _sum_log1p(e, u):
    return torch.sum(torch.log1p(e))
""",
    "_kronecker": """\
def _kronecker(*pairs, like, crossed=False):  # a number n stands for the identity of size n
    total = 0.0
    for a, b in pairs:
        a, b = (torch.eye(f, **like) if isinstance(f, int) else f for f in (a, b))
        part = torch.einsum("il,jk->ijkl" if crossed else "ik,jl->ijkl", a, b)
        total = total + part.reshape(part.shape[0] * part.shape[1], part.shape[2] * part.shape[3])
    return total
""",
    "_each_transposed": """\
def _each_transposed(m):
    return m.transpose(1, 2)
""",
    "_each_repeated": """\
def _each_repeated(m, count):
    return m.repeat(count, 1, 1)
""",
    "_each_diagonal": """\
def _each_diagonal(m, d):
    d = torch.as_tensor(d, dtype=m.dtype, device=m.device)
    return m + torch.diag_embed(torch.broadcast_to(d, m.shape[:2]))
""",
    "_each_weighted": """\
def _each_weighted(a, d, b):
    return torch.einsum("am,im,mb->iab", a, d, b)
""",
    "_spread": """\
def _spread(m):
    count, a, b = m.shape
    return torch.diag_embed(m.permute(1, 2, 0)).permute(0, 2, 1, 3).reshape(a * count, b * count)
""",
    "_across": """\
def _across(s, d, t, crossed=False):
    whole = torch.einsum("aj,ij,ib->aibj" if crossed else "aj,ij,ib->aijb", s, d, t)
    return whole.reshape(s.shape[0] * t.shape[0], whole.shape[2] * whole.shape[3])
""",
    "_sandwich": """\
def _sandwich(x, m, z):
    whole = torch.einsum("np,nab,nq->apbq", x, m, z)
    return whole.reshape(whole.shape[0] * whole.shape[1], whole.shape[2] * whole.shape[3])
""",
    "_dexpm": """\
def _dexpm(a, e, b):
    m, n = e.shape
    zeros = torch.zeros(n, m, dtype=a.dtype, device=a.device)
    return torch.linalg.matrix_exp(torch.cat([torch.cat([a, e], dim=1), torch.cat([zeros, b], dim=1)]))[:m, m:]
""",
    "_dlogm": """\
def _dlogm(a, e, b):
    m, n = e.shape
    zeros = torch.zeros(n, m, dtype=a.dtype, device=a.device)
    return _logm(torch.cat([torch.cat([a, e], dim=1), torch.cat([zeros, b], dim=1)]))[:m, m:]
""",
}


def _first(translator: Translator) -> list[str]:
    translator.used.add("_kind")
    return [f"_like = _kind({', '.join(translator.arrays)})"]


DIALECT = Dialect("torch", IMPORTS, CALLS, HELPERS, _first, numbers=True)


def _finish(source: str) -> str:
    return translate(source, DIALECT)


TARGET = Target("torch", finish=_finish, lower=True)
