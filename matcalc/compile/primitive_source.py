"""Source of the helper functions that primitives need."""

from __future__ import annotations

PRIMITIVES = {
    "_product": '''\
def _product(*factors):
    """The product of matrices in the order that takes the fewest multiplications."""
    sizes = (len(factors[0]), *(a.shape[1] for a in factors))
    if sizes not in _cuts:
        _cuts[sizes] = _best_cuts(sizes)
    cuts = _cuts[sizes]

    def between(i, j):
        if j - i == 1:
            return factors[i]
        k = cuts[i, j]
        return between(i, k) @ between(k, j)

    return between(0, len(factors))


def _best_cuts(sizes):
    count = len(sizes) - 1
    cost, cuts = {(i, i + 1): 0 for i in range(count)}, {}
    for width in range(2, count + 1):
        for i in range(count - width + 1):
            j = i + width
            ways = [(cost[i, k] + cost[k, j] + sizes[i] * sizes[k] * sizes[j], k) for k in range(i + 1, j)]
            cost[i, j], cuts[i, j] = min(ways)
    return cuts


_cuts = {}
''',
    "_triple": '''\
def _triple(a, b, c):
    """a*b*c in the order that takes fewer multiplications."""
    (m, k), (p, n) = a.shape, c.shape
    return (a @ b) @ c if m * p * (k + n) <= k * n * (m + p) else a @ (b @ c)
''',
    "_repeated_left": '''\
def _repeated_left(n, b):
    """kron(I, b) with the identity of size n: copies of b along the diagonal."""
    p, q = b.shape
    whole = np.zeros((n, p, n, q))
    np.einsum("ipiq->ipq", whole)[...] = b
    return whole.reshape(n * p, n * q)
''',
    "_repeated_right": '''\
def _repeated_right(a, n):
    """kron(a, I) with the identity of size n: each entry of a along a diagonal."""
    p, q = a.shape
    whole = np.zeros((p, n, q, n))
    np.einsum("piqi->ipq", whole)[...] = a
    return whole.reshape(p * n, q * n)
''',
    "_add_diagonal": '''\
def _add_diagonal(a, d):
    """The matrix a, with d added to its diagonal in place."""
    np.einsum("ii->i", a)[...] += d
    return a
''',
    "_cholesky": '''\
def _cholesky(a):
    """The lower Cholesky factor of a positive definite matrix."""
    factor, info = lapack.dpotrf(a.T, lower=1)
    if info:
        raise np.linalg.LinAlgError("a matrix that is declared positive definite is not")
    return factor
''',
    "_cholesky_solve": """\
def _cholesky_solve(factor, b):
    return lapack.dpotrs(factor, b, lower=1)[0]
""",
    "_cholesky_inverse": """\
def _cholesky_inverse(factor):
    lower = np.tril(lapack.dpotri(factor, lower=1)[0])
    return lower + np.tril(lower, -1).T
""",
    "_cholesky_logdet": """\
def _cholesky_logdet(factor):
    return 2.0 * np.log(factor.diagonal()).sum()
""",
    "_cholesky_det": """\
def _cholesky_det(factor):
    return np.square(factor.diagonal()).prod()
""",
    "_half_solve": '''\
def _half_solve(factor, b):
    """inv(L)*b with the lower Cholesky factor L."""
    return np.ascontiguousarray(blas.dtrsm(1.0, factor, b, lower=1))
''',
    "_lu": '''\
def _lu(a):
    """The factors of the transposed matrix, and the exchanges of rows."""
    factors, exchanges, info = lapack.dgetrf(a.T)
    if info:
        raise np.linalg.LinAlgError("Singular matrix")
    return factors, exchanges
''',
    "_lu_solve": """\
def _lu_solve(lu, b, transposed=False):
    return lapack.dgetrs(*lu, b, trans=0 if transposed else 1)[0]
""",
    "_lu_inverse": """\
def _lu_inverse(lu):
    return lapack.dgetri(*lu)[0].T
""",
    "_lu_logdet": """\
def _lu_logdet(lu):
    return np.log(np.abs(lu[0].diagonal())).sum()
""",
    "_lu_det": """\
def _lu_det(lu):
    odd = np.count_nonzero(lu[1] != np.arange(len(lu[1]))) % 2
    return -lu[0].diagonal().prod() if odd else lu[0].diagonal().prod()
""",
    "_capped_exp": '''\
def _capped_exp(x, out=None):
    """exp(min(x, 700)): with e = exp(x), e/(1 + e) and log(1 + e) do not overflow."""
    if not np.maximum.reduce(x, axis=None, initial=0.0) <= 700.0:  # larger, or nan among them
        x = np.minimum(x, 700.0, out=out)
    return np.exp(x, out=out)
''',
    "_excess": '''\
def _excess(x, out=None):
    """The sum of what exceeds 700, which out is rid of."""
    if np.maximum.reduce(x, axis=None, initial=0.0) <= 700.0:
        return 0.0
    excess = np.maximum(x - 700.0, 0.0).sum()
    if out is not None:
        np.minimum(x, 700.0, out=out)
    return excess
''',
    "_sum_log1p": '''\
def _sum_log1p(e, u):
    """The sum of log(1 + e), u = 1 + e; where 1 + e has lost the digits of a small e, by log1p.

    Of many entries the logarithms of products of eight or nine are taken, unless those overflow.
    """
    flat, total = u.reshape(-1), np.inf
    if flat.size > 4096:
        rest = flat.size % 8
        with np.errstate(over="ignore"):
            products = np.multiply.reduce(flat[rest:].reshape(8, -1))
            products[:rest] *= flat[:rest]
        total = np.log(products, out=products).sum()
    if total == np.inf:
        total = np.log(flat).sum()
    return total if total > 0.1 * u.size else np.log1p(e).sum()
''',
    "_outer_rows": '''\
def _outer_rows(a, b, turned):
    """Long rows: the products of each of one with each of the other are the outer products of the rows of a and b."""
    p, (n, q) = a.shape[1], b.shape
    left, right = a.repeat(q, axis=1), b[:, None].repeat(p, axis=1).reshape(n, p * q)
    return (right, left) if turned else (left, right)
''',
    "_each_transposed": """\
def _each_transposed(m):
    return m.transpose(0, 2, 1)
""",
    "_each_rows": '''\
def _each_rows(m, d):
    """diag(d[i])*m[i] for each i, in place."""
    m *= d[:, :, None]
    return m
''',
    "_each_cols": '''\
def _each_cols(m, d):
    """m[i]*diag(d[i]) for each i, in place."""
    m *= d[:, None]
    return m
''',
    "_each_scaled": '''\
def _each_scaled(m, s):
    """s*m[i] for each i, in place."""
    m *= s
    return m
''',
    "_each_repeated": """\
def _each_repeated(m, count):
    return np.repeat(m, count, axis=0)
""",
    "_each_right": '''\
def _each_right(m, s):
    """m[i]*s for each i, as one product."""
    count, a, b = m.shape
    return (m.reshape(count * a, b) @ s).reshape(count, a, s.shape[1])
''',
    "_each_diagonal": '''\
def _each_diagonal(m, d):
    """m[i] + diag(d[i]) for each i, in place."""
    np.einsum("ijj->ij", m)[...] += d
    return m
''',
    "_each_weighted": '''\
def _each_weighted(a, d, b):
    """a*diag(d[i])*b for each i, as one product."""
    pairs = a.T[:, :, None] * b[:, None]
    return (d @ pairs.reshape(len(b), len(a) * b.shape[1])).reshape(len(d), *pairs.shape[1:])
''',
    "_spread": '''\
def _spread(m):
    """The matrix that acts on each sample i by m[i]: its entry in row a, i and column b, i is m[i, a, b]."""
    count, a, b = m.shape
    whole = np.zeros((a, count, b, count))
    np.einsum("aibi->iab", whole)[...] = m
    return whole.reshape(a * count, b * count)
''',
    "_across": '''\
def _across(s, d, t, crossed=False):
    """kron(s, I)*diag(vec(d))*kron(I, t): the entry in row a, i and column j, b is s[a, j]*d[i, j]*t[i, b]."""
    whole = np.einsum("aij,ib->aibj" if crossed else "aij,ib->aijb", s[:, None] * d, t)
    return whole.reshape(len(s) * len(t), whole.shape[2] * whole.shape[3])
''',
    "_sandwich": '''\
def _sandwich(x, m, z):
    """kron(I, x')*M*kron(I, z), where M acts on each sample i by m[i]: one product over the samples."""
    count, a, b = m.shape
    p, q = x.shape[1], z.shape[1]
    flat = m.reshape(count, a * b)
    whole = np.empty((a, p, b, q))
    if x is z:  # the pairs of inputs are symmetric
        if p not in _upper:
            _upper[p] = np.triu_indices(p)
        i, j = _upper[p]
        blocks = ((x[:, i] * x[:, j]).T @ flat).reshape(len(i), a, b)
        whole[:, i, :, j] = blocks
        whole[:, j, :, i] = blocks
    else:
        pairs = (x[:, :, None] * z[:, None]).reshape(count, p * q)
        whole[:] = (pairs.T @ flat).reshape(p, q, a, b).transpose(2, 0, 3, 1)
    return whole.reshape(a * p, b * q)


_upper = {}
''',
    "_outer": '''\
def _outer(a, b, crossed=False):
    """kron(a, b); with crossed=True kron(a, b)*K, which maps vec(x) to vec(b*x'*a')."""
    left, right = _outer_rows(b, a, True) if crossed else _outer_rows(a, b, False)
    return np.einsum("im,km->ikm", left, right).reshape(len(a) * len(b), left.shape[1])
''',
    "_kronecker": '''\
def _kronecker(*pairs, crossed=False):
    """The sum of kron(a, b) over pairs (a, b); a number n stands for the identity of size n.

    With crossed=True each is kron(a, b)*K, which maps vec(x) to vec(b*x'*a').
    """
    (m, p), (n, q) = (np.shape(f) or (f, f) for f in pairs[0])
    dense = [pair for pair in pairs if np.ndim(pair[0]) and np.ndim(pair[1])]
    whole = (np.empty if dense else np.zeros)((m, n, q, p) if crossed else (m, n, p, q))
    if crossed and len(dense) > 1:  # for each row of a, one product over the pairs
        lefts, rights = np.empty((m, len(dense), p)), np.empty((n * q, len(dense)))
        for k, (a, b) in enumerate(dense):
            lefts[:, k], rights[:, k] = a, b.reshape(-1)
        np.matmul(rights, lefts, out=whole.reshape(m, n * q, p))
    elif dense:
        first, *rest = (_outer_rows(b, a, True) if crossed else _outer_rows(a, b, False) for a, b in dense)
        np.einsum("im,km->ikm", *first, out=whole.reshape(m, n, p * q))
        for left, right in rest:
            whole.reshape(m, n, p * q)[...] += left[:, None] * right
    for a, b in pairs:
        if not np.ndim(a):
            np.einsum("ijki->ijk" if crossed else "ijil->ijl", whole)[...] += b if np.ndim(b) else np.eye(b)
        elif not np.ndim(b):
            np.einsum("ijjl->jil" if crossed else "ijkj->jik", whole)[...] += a
    return whole.reshape(m * n, p * q)
''',
}
