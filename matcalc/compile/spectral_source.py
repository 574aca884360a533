"""Source of the helpers that generated code needs for functions of matrices; SciPy where it has them."""

from __future__ import annotations

SPECTRAL = {
    "_real": """\
def _real(a):
    if np.iscomplexobj(a):
        if np.abs(a.imag).max(initial=0.0) > 1e-8 * max(1.0, np.abs(a.real).max(initial=0.0)):
            return np.full(a.shape, np.nan)
        a = a.real
    return a
""",
    "_logm": """\
def _logm(a):
    return _real(linalg.logm(a))
""",
    "_sqrtm": """\
def _sqrtm(a):
    return _real(linalg.sqrtm(a))
""",
    "_dexpm": """\
def _dexpm(a, e, b):
    m, n = e.shape
    return linalg.expm(np.block([[a, e], [np.zeros((n, m)), b]]))[:m, m:]
""",
    "_dlogm": """\
def _dlogm(a, e, b):
    m, n = e.shape
    return _logm(np.block([[a, e], [np.zeros((n, m)), b]]))[:m, m:]
""",
    "_pinv": """\
def _pinv(a):
    return np.linalg.pinv(a, rcond=1e-12)
""",
    "_polar": """\
def _polar(a):
    u, s, v = np.linalg.svd(a, full_matrices=False)
    rank = int(np.sum(s > 1e-12 * s[0]))
    return u[:, :rank] @ v[:rank]
""",
    "_nuclear": """\
def _nuclear(a):
    return np.linalg.norm(a, "nuc")
""",
    "_spectral": """\
def _spectral(a):
    return np.linalg.norm(a, 2)
""",
    "_eigmax": """\
def _eigmax(a):
    return np.linalg.eigvalsh((a + a.T) / 2)[-1]
""",
    "_eigvecs": """\
def _eigvecs(a, count=1):
    vectors = np.linalg.eigh((a + a.T) / 2)[1][:, ::-1][:, :count]
    sizes = np.abs(vectors)
    largest = np.argmax(sizes >= sizes.max(axis=0) * (1 - 1e-9), axis=0)
    return vectors * np.sign(vectors[largest, np.arange(count)])
""",
}
"""Each takes and gives 2-D arrays, or gives a number."""

SPECTRAL_PARTS = {
    "linalg.expm": ("linalg",),
    "linalg.solve_sylvester": ("linalg",),
    "_logm": ("linalg", "_real", "_logm"),
    "_sqrtm": ("linalg", "_real", "_sqrtm"),
    "_dexpm": ("linalg", "_dexpm"),
    "_dlogm": ("linalg", "_real", "_logm", "_dlogm"),
    **{name: (name,) for name in ("_pinv", "_polar", "_nuclear", "_spectral", "_eigmax", "_eigvecs")},
}
"""The helpers and modules that a call needs."""
