"""The transformed data of Lee & Yu (2010, J. Econometrics 154), formed by explicit Kronecker bases.

Observations are stacked period by period (period slow, unit fast): y = (y_11 .. y_N1, y_12 ..
y_NT)'.

    y_t = rho W y_t + X_t b + W X_t theta + alpha + xi_t iota + u_t,   u_t = lambda M u_t + e_t,
    e_t ~ N(0, sigma2 I)

Nothing here is meant to be fast; every matrix is written out as it is defined.
"""

from dataclasses import dataclass, replace

import numpy as np

# name -> (lag of y, lags of X, lag of the errors)
MODELS = {
    "OLS": (False, False, False),
    "SLX": (False, True, False),
    "SAR": (True, False, False),
    "SEM": (False, False, True),
    "SDM": (True, True, False),
    "SDEM": (False, True, True),
    "SAC": (True, False, True),
    "GNS": (True, True, True),
}
EFFECTS = ("none", "unit", "period", "twoway")


@dataclass(frozen=True)
class Problem:
    """A Gaussian spatial regression on t blocks of n rows, S_lambda (S_rho y - X b - D xi) = e,
    with no effects left.

    y (nu,), X (nu, p), D (nu, q) dummies with flat coefficients, W and M (n, n) applied within each
    of t blocks, nu = n t. columns: ("x", j) or ("wx", j) for each column of X. The fields raw_*
    hold the untransformed rows (N T of them).

    right (n - 1, n), where it is not None, is applied to each block of S_lambda (S_rho y - X b) = D
    alpha + e, so that D, dummies of the periods, drops out though W and M do not commute with it;
    nu = (n - 1) t. The log-determinant is then that of a quasi-likelihood.
    """

    y: np.ndarray
    X: np.ndarray
    D: np.ndarray
    W: np.ndarray
    M: np.ndarray
    t: int
    columns: tuple
    has_rho: bool
    has_lambda: bool
    effects: str
    T: int
    raw_y: np.ndarray
    raw_X: np.ndarray
    raw_D: np.ndarray
    raw_W: np.ndarray
    raw_M: np.ndarray
    flat: np.ndarray
    right: np.ndarray | None = None

    @property
    def nu(self):
        """Number of transformed observations."""
        return len(self.y) if self.right is None else self.t * len(self.right)

    def left_over(self, Z):
        """What is left of filtered rows once the effects inside the error process are out."""
        return Z if self.right is None else np.kron(np.eye(self.t), self.right) @ Z


def basis(n):
    """Orthonormal contrasts F (n, n - 1): F'F = I, F'iota = 0 (Helmert's columns)."""
    F = np.zeros((n, n - 1))
    for j in range(1, n):
        F[:j, j - 1] = 1.0
        F[j, j - 1] = -j
        F[:, j - 1] /= np.sqrt(j * (j + 1.0))
    return F


def demeaner(n):
    """I - iota iota'/n."""
    return np.eye(n) - np.ones((n, n)) / n


def row_standardised(W):
    """Whether every row sums to one (no islands)."""
    return bool(np.allclose(W.sum(axis=1), 1.0, rtol=0, atol=1e-12))


def closed(W, M, has_rho, has_lambda):
    """Whether what is the same for all units stays so under the filters that the model has: rows of
    one sum.
    """
    return all(
        np.ptp(A.sum(axis=1)) <= 1e-12 for A, there in ((W, has_rho), (M, has_lambda)) if there
    )


def contrasts(effects, N, T, period="contrasts"):
    """(F_T', F_N') whose Kronecker product removes the effects; identities where there is nothing
    to remove.
    """
    left = basis(T).T if effects in ("unit", "twoway") else np.eye(T)
    right = basis(N).T if effects in ("period", "twoway") and period == "contrasts" else np.eye(N)
    return left, right


def transformed(y, X, W, effects="none", T=1):
    """Transformed (y, X, W): B y, B X, B (I_T kron W) B' with B = F_T' kron F_N'. W must be
    row-standardised for period effects.

    y (N T,), X (N T, k), W (N, N) -> y* (nu,), X* (nu, k), W* (nu, nu).
    """
    left, right = contrasts(effects, len(W), T)
    B = np.kron(left, right)
    return B @ y, B @ X, B @ np.kron(np.eye(T), W) @ B.T


def lag(W, Z, T):
    """(I_T kron W) Z, one period after the other."""
    N = len(W)
    return np.concatenate([W @ Z[s * N : (s + 1) * N] for s in range(T)])


def lagged_columns(X, W, T):
    """Columns of X that a Durbin term lags: not the constant, and not a column with W x = x."""
    WX = lag(W, X, T)
    return [
        j
        for j in range(X.shape[1])
        if np.ptp(X[:, j]) > 0 and not np.allclose(WX[:, j], X[:, j], rtol=1e-12, atol=1e-12)
    ]


def dummies(effects, N, T):
    """Raw dummy columns (unit, period), full sets: I_N in every period, and one column a period.
    Full column rank for each choice.
    """
    units = np.kron(np.ones((T, 1)), np.eye(N))
    periods = np.kron(np.eye(T), np.ones((N, 1)))
    chosen = {"none": [], "unit": [units], "period": [periods], "twoway": [units, periods[:, 1:]]}[
        effects
    ]
    return np.hstack(chosen) if chosen else np.zeros((N * T, 0))


def _raw_design(X, W, T, durbin):
    lagged = lagged_columns(X, W, T) if durbin else []
    columns = [("x", j) for j in range(X.shape[1])] + [("wx", j) for j in lagged]
    return columns, [X, lag(W, X[:, lagged], T)]


def _kept(X, raw, D):
    """Indices of columns of X that are not zero once the dummies D are projected out."""
    if D.shape[1]:
        X = X - D @ np.linalg.lstsq(D, X, rcond=None)[0]
    return [
        j
        for j in range(X.shape[1])
        if np.linalg.norm(X[:, j]) > 1e-9 * max(np.linalg.norm(raw[:, j]), 1e-300)
    ]


def _period_route(effects, W, M, period, flags):
    """ "contrasts" if W (and M) commute with them, "after" the filters if not; "dummies" where
    asked for.
    """
    if effects not in ("period", "twoway") or period != "auto":
        return "contrasts" if period == "auto" else period
    return "contrasts" if closed(W, M, *flags) else "after"


def _transform_rows(kind, effects, N, T, route):
    """(B, raw dummies, flat raw directions) of a likelihood: B multiplies raw rows, the dummies
    keep explicit coefficients.
    """
    none = np.zeros((N * T, 0))
    if kind == "lsdv":
        return (np.eye(T), np.eye(N)), dummies(effects, N, T), none
    if kind == "direct":
        left = demeaner(T) if effects in ("unit", "twoway") else np.eye(T)
        right = demeaner(N) if effects in ("period", "twoway") else np.eye(N)
        return (left, right), none, none
    pair = contrasts(effects, N, T, route)
    if route in ("contrasts", "after") or effects in ("none", "unit"):
        return pair, none, dummies(effects, N, T)
    periods = np.kron(np.eye(T), np.ones((N, 1)))
    unit = effects == "twoway"
    return pair, periods[:, 1:] if unit else periods, dummies("unit" if unit else "none", N, T)


def problem(
    y,
    X,
    W,
    model="SAR",
    effects="none",
    T=1,
    M=None,
    kind="transformed",
    period="auto",
    expand=True,
):
    """Build the Problem of a model.

    y (N T,); X (N T, k) with its constant, if any, as a column; W, M (N, N). kind: "transformed"
    (Lee & Yu; lag, then transform), "direct" (y demeaned, then lagged; W X lagged, then demeaned,
    as the columns users of such packages add; T log|S|, N T observations) or "lsdv" (dummies beside
    the raw data; T log|S|, N T observations). period: "auto", "contrasts", "dummies" or "after" the
    filters. expand=True writes W* out on the whole transformed space (one block); expand=False
    keeps one period's block, repeated t times.
    """
    M = W if M is None else M
    N = len(W)
    has_rho, durbin, has_lambda = MODELS[model]
    route = _period_route(effects, W, M, period, (has_rho, has_lambda))
    (left, right), rawD, flat = _transform_rows(kind, effects, N, T, route)
    B = np.kron(left, right)
    columns, (plain, lags) = _raw_design(X, W, T, durbin)
    raw = np.hstack([plain, lags])
    shown = B @ raw
    Wn, Mn, t = (
        (W, M, T) if kind == "direct" else (right @ W @ right.T, right @ M @ right.T, len(left))
    )
    D = B @ rawD
    after = route == "after" and kind == "transformed"
    keep = _kept(shown, raw, np.kron(np.eye(t), np.ones((N, 1))) if after else D)
    p = Problem(
        B @ y,
        shown[:, keep],
        D,
        Wn,
        Mn,
        t,
        tuple(columns[j] for j in keep),
        has_rho,
        has_lambda,
        effects,
        T,
        y,
        raw[:, keep],
        rawD,
        W,
        M,
        flat,
        basis(N).T if after else None,
    )
    return expanded(p) if expand and not after else p


def expanded(p):
    """The same problem with W and M written out on the whole transformed space, I_t kron W."""
    return replace(p, W=np.kron(np.eye(p.t), p.W), M=np.kron(np.eye(p.t), p.M), t=1)


def split(p, b, k):
    """Coefficients b (p,) as (beta, theta), each of length k = columns of the user's X; zero where
    the column is absent.
    """
    beta, theta = np.zeros(k, dtype=np.asarray(b).dtype), np.zeros(k, dtype=np.asarray(b).dtype)
    for value, (what, j) in zip(b, p.columns, strict=True):
        (beta if what == "x" else theta)[j] = value
    return beta, theta
