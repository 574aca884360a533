"""Source of the helper functions that generated code may need."""

from __future__ import annotations

from .primitive_source import PRIMITIVES
from .spectral_source import SPECTRAL
from .spectral_source import SPECTRAL_PARTS as SPECTRAL_PARTS

HELPERS = {
    "_basis": """\
def _basis(i, n):
    e = np.zeros(n)
    e[i - 1] = 1.0
    return e
""",
    "_check": """\
def _check(name, array, shape):
    if array.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, but {shape} is needed")
""",
    "_shaped": """\
def _shaped(name, array, shape):
    flat = array.reshape(-1) if len(shape) == 1 else array  # a column may be given as a matrix
    if flat.shape != shape:
        raise ValueError(f"{name} has the shape {array.shape}, but {shape} is needed")
    return flat
""",
    "_commutation": """\
def _commutation(m, n):
    return np.eye(m * n).reshape(n, m, m * n).transpose(1, 0, 2).reshape(m * n, m * n)
""",
    "_duplication": """\
def _duplication(n):
    i, j = np.triu_indices(n)
    d = np.zeros((n * n, len(i)))
    d[i * n + j, range(len(i))] = d[j * n + i, range(len(i))] = 1.0
    return d
""",
    "_elimination": """\
def _elimination(n):
    i, j = np.triu_indices(n)
    return np.eye(n * n)[i * n + j]
""",
    "_khatrirao": """\
def _khatrirao(a, b):
    return (a[:, None] * b[None]).reshape(len(a) * len(b), a.shape[1])
""",
    "_logsumexp": """\
def _logsumexp(x):
    top = np.max(x, axis=-1, keepdims=True)
    return (top + np.log(np.sum(np.exp(x - top), axis=-1, keepdims=True)))[..., 0]
""",
    "_sigmoid": """\
def _sigmoid(x):
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)
""",
    **PRIMITIVES,
    **SPECTRAL,
    "_softmax": """\
def _softmax(x):
    powers = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return powers / np.sum(powers, axis=-1, keepdims=True)
""",
    "_vech": """\
def _vech(a):
    return a.T[np.triu_indices(len(a))]
""",
}
