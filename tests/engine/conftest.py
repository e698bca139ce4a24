"""Small panels on hostile W, one vocabulary for the oracles' numbers and the package's labels, and
fits that several files share.

One shape a model: with three periods every kind of effects leaves the same number of columns (see
`Small`), so that each model compiles once for the whole suite.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import arviz_stats
import numpy as np
import pandas as pd
import pytest
from oracles import dense
from oracles.hostile import contiguity, knn, row_standardise

import spillover as so
from spillover.engine import devices

N, T = 13, 3
TUNE = 500  # NUTS is compiled for a length of the warm-up: one for the whole suite
PRODUC = "np.log(gsp) ~ np.log(pcap) + np.log(pc) + np.log(emp) + unemp"
NAMES = {
    "(Intercept)": "Intercept",
    "lambda": "lam",
    "lpcap": "np.log(pcap)",
    "lpc": "np.log(pc)",
    "lemp": "np.log(emp)",
}


def _matrices() -> dict[str, np.ndarray]:
    binary, lonely, sinks = contiguity(N), contiguity(N), knn(N, 3)
    lonely[4] = lonely[:, 4] = 0.0
    sinks[2] = 0.0
    return {
        "knn": row_standardise(knn(N, 3)),
        "knn5": row_standardise(knn(N, 5)),
        "contiguity": row_standardise(binary),
        "binary": binary,
        "spectral": binary / np.linalg.eigvalsh(binary)[-1],
        "islands": row_standardise(lonely),
        "sinks": row_standardise(sinks),
        "raw_asymmetric": knn(N, 3) * np.random.default_rng(8).uniform(0.2, 2.0, (N, N)),
    }


@dataclass(frozen=True, eq=False)
class Small:
    """A model of the family on a small simulated panel, both as the package and as the oracles see
    it.

    The formula has as many of x1 ... x4 as make four columns beside the intercept; only x1 is
    lagged.
    """

    name: str
    effects: str
    frame: pd.DataFrame
    formula: str
    W: np.ndarray
    M: np.ndarray
    y: np.ndarray
    X: np.ndarray

    def model(self, **options) -> "so.Model":
        """The package's model; the rows of the frame come in a random order, and so do the ids of
        M.
        """
        _, durbin, error = dense.MODELS[self.name]
        ids = [f"u{i:02d}" for i in range(N)]
        if durbin:
            options["lagged"] = ["x1"]
        if error and self.M is not self.W:
            options["error_weights"] = so.Weights(self.M, ids, islands="allow")[ids[::-1]]
        weights = so.Weights(self.W, ids, islands="allow")
        make = getattr(so, self.name)
        return make(
            self.formula,
            self.frame,
            weights,
            effects=self.effects,
            unit="unit",
            period="year",
            **options,
        )

    def problem(self, kind: str = "transformed", expand: bool = False) -> dense.Problem:
        """The oracle's, the lag of x1 being a column of X like any other."""
        has_rho, durbin, has_lambda = dense.MODELS[self.name]
        plain = {
            (False, False): "OLS",
            (True, False): "SAR",
            (False, True): "SEM",
            (True, True): "SAC",
        }[has_rho, has_lambda]
        X = np.column_stack([self.X, dense.lag(self.W, self.X[:, [1]], T)]) if durbin else self.X
        return dense.problem(
            self.y, X, self.W, plain, self.effects, T, M=self.M, kind=kind, expand=expand
        )

    def labels(self, p: dense.Problem) -> list[str]:
        """The package's name of each column of the oracle's X."""
        regressors = [part.strip() for part in self.formula.split("~")[1].split("+")]
        names = ["Intercept", *regressors, "W:x1"]
        return [names[j] for _, j in p.columns]

    def impacts(self, beta: pd.Series, rho: float) -> np.ndarray:
        """(variables, 3) from the dense inverse, for coefficients by term."""
        variables = [name for name in beta.index if name.startswith("x")]
        theta = [beta.get("W:" + name, 0.0) for name in variables]
        return dense.impacts(beta[variables].to_numpy(), theta, rho, self.W)


@cache
def _small(name: str, effects: str, w: str, m: str, seed: int, columns: int | None) -> Small:
    has_rho, durbin, has_lambda = dense.MODELS[name]
    W, M = (_matrices()[label] for label in (w, m))
    M = M if has_lambda and m != w else W
    rng = np.random.default_rng(seed)
    columns = columns or (3 if effects == "none" else 4)
    X = np.column_stack([np.ones(N * T), rng.standard_normal((N * T, columns))])
    beta = np.array([1.0, 1.5, -1.0, 0.7, -0.5])[: columns + 1]
    fixed = rng.standard_normal(N)[None] * (effects in ("unit", "twoway")) + rng.standard_normal(T)[
        :, None
    ] * (effects in ("period", "twoway"))
    eye = np.eye(N)
    rho, lam = (0.45 * there * dense.interval(A)[1] for there, A in ((has_rho, W), (has_lambda, M)))
    signal = (
        X @ beta
        + 0.8 * durbin * dense.lag(W / W.sum(axis=1).max(), X[:, 1:2], T)[:, 0]
        + np.broadcast_to(fixed, (T, N)).ravel()
    )
    errors = 0.5 * dense.lag(np.linalg.inv(eye - lam * M), rng.standard_normal((N * T, 1)), T)[:, 0]
    y = dense.lag(np.linalg.inv(eye - rho * W), (signal + errors)[:, None], T)[:, 0]
    names = [f"x{j}" for j in range(1, columns + 1)]
    labels = pd.MultiIndex.from_product(
        [[2001, 2002, 2003], [f"u{i:02d}" for i in range(N)]], names=["year", "unit"]
    )
    frame = pd.DataFrame(
        np.column_stack([y, X[:, 1:]]), index=labels, columns=["y", *names]
    ).reset_index()
    return Small(
        name,
        effects,
        frame.sample(frac=1.0, random_state=seed),
        "y ~ " + " + ".join(names),
        W,
        M,
        y,
        X,
    )


@pytest.fixture(scope="session")
def small():
    """small(name, effects, w, m=None, seed=2, columns=None): a `Small`, with the matrices named in
    `_matrices`.

    Seed 2: no likelihood of these W, M, models and effects rises to the edge of the admissible
    interval.
    """
    return lambda name, effects="none", w="knn", m=None, seed=2, columns=None: _small(
        name, effects, w, m or w, seed, columns
    )


@pytest.fixture(scope="session")
def two_peaks():
    """A SAC whose likelihood has two interior maxima: u follows one sign of dependence, y the
    other, and x tells hardly which is which.
    """
    W, rng = _matrices()["knn"], np.random.default_rng(3)
    X, errors, eye = rng.standard_normal((N * T, 4)), rng.standard_normal((N * T, 1)), np.eye(N)
    errors = dense.lag(np.linalg.inv(eye + 0.8 * W), errors, T)
    y = dense.lag(np.linalg.inv(eye - 0.5 * W), errors, T)[:, 0] + 0.1 * X[:, 0]
    labels = pd.MultiIndex.from_product(
        [[2001, 2002, 2003], [f"u{i:02d}" for i in range(N)]], names=["year", "unit"]
    )
    names = ["x1", "x2", "x3", "x4"]
    frame = pd.DataFrame(np.column_stack([y, X]), index=labels, columns=["y", *names]).reset_index()
    return Small(
        "SAC",
        "unit",
        frame,
        "y ~ " + " + ".join(names),
        W,
        W,
        y,
        np.column_stack([np.ones(N * T), X]),
    )


@pytest.fixture(scope="session")
def named():
    """The label of the package for a name in the stored references: "lag.INC" is "W:INC",
    "(Intercept)" "Intercept".
    """

    def name(stored: str) -> str:
        return (
            "W:" + name(stored.removeprefix("lag."))
            if stored.startswith("lag.")
            else NAMES.get(stored, stored)
        )

    return name


@pytest.fixture(scope="session")
def produc(munnell):
    """produc(name, effects, **options): a model of the packaged panel, its rows shuffled."""
    frame, weights = munnell
    shuffled = frame.sample(frac=1.0, random_state=3)
    return lambda name, effects="none", **options: getattr(so, name)(
        PRODUC, shuffled, weights, effects=effects, unit="state", period="year", **options
    )


@pytest.fixture(scope="session")
def city(columbus):
    """city(name, **options): a model of the Columbus cross-section, its rows shuffled.

    bounds=(-1, 1) restricts rho and lam as the stored posteriors do.
    """
    frame, weights = columbus
    shuffled = frame.sample(frac=1.0, random_state=3)

    def make(name: str, bounds: tuple[float, float] | None = None, **options):
        w = weights if bounds is None else so.Weights(weights.matrix, weights.ids, bounds=bounds)
        return getattr(so, name)("CRIME ~ INC + HOVAL", shuffled, w, **options)

    return make


@contextmanager
def _unwarned() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", so.SpilloverWarning)
        yield


@pytest.fixture(scope="session")
def sampled():
    """sampled(model, draws=1000, quiet=False): a fit by NUTS after the suite's one length of
    warm-up. quiet: no warnings.
    """

    def fit(model: "so.Model", draws: int = 1000, *, quiet: bool = False, **options) -> "so.Fit":
        options = {"tune": TUNE, "seed": 5, "progress": False} | options
        if not quiet:
            return model.fit(draws=draws, **options)
        with _unwarned():
            return model.fit(draws=draws, **options)

    return fit


@pytest.fixture(scope="session")
def panel_fit(small, sampled) -> "so.Fit":
    """An SDM with two-way effects and the default priors."""
    return sampled(small("SDM", "twoway").model())


@pytest.fixture(scope="session")
def reference_fit(city, sampled) -> "so.Fit":
    """The SAR of Columbus under the reference prior."""
    return sampled(city("SAR", priors=so.Priors.reference()), draws=2000)


@dataclass(frozen=True)
class MonteCarlo:
    """Moments of draws (chain, draw) with their Monte Carlo standard errors, by ArviZ's effective
    sample sizes.
    """

    mean: float
    mean_error: float
    sd: float
    sd_error: float

    def assert_mean(self, exact: float, what: str = "", errors: float = 4.5) -> None:
        assert abs(self.mean - exact) < errors * self.mean_error, (
            what,
            self.mean,
            exact,
            self.mean_error,
        )

    def assert_sd(self, exact: float, what: str = "", errors: float = 4.5) -> None:
        assert abs(self.sd - exact) < errors * self.sd_error, (what, self.sd, exact, self.sd_error)


@pytest.fixture(scope="session")
def monte_carlo():
    """monte_carlo(draws): `MonteCarlo` of one quantity. The error of the sd is that of the mean of
    (x - mean)^2, over 2 sd.
    """

    def moments(draws) -> MonteCarlo:
        draws = np.asarray(draws, float)
        mean, sd = draws.mean(), draws.std(ddof=1)
        if np.ptp(draws) == 0:
            return MonteCarlo(mean, 0.0, 0.0, 0.0)
        spread = ((draws - mean) ** 2).std()
        ess = {method: float(arviz_stats.ess(draws, method=method)) for method in ("mean", "sd")}
        return MonteCarlo(
            mean, sd / np.sqrt(ess["mean"]), sd, spread / np.sqrt(ess["sd"]) / (2 * sd)
        )

    return moments


@pytest.fixture
def no_cache(monkeypatch, tmp_path):
    """The commands set JAX's own configuration and the folder of log-determinants for their
    process; this process is the tests'.
    """
    monkeypatch.setattr(devices.jax.config, "update", lambda *_: None)
    monkeypatch.setattr(so.cache._shelf, "folder", None)
    monkeypatch.setenv("SPILLOVER_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)


@pytest.fixture
def munnell_files(tmp_path):
    """A folder with the packaged panel and its weights as an edge list."""
    frame, contiguity = so.munnell()
    frame.to_csv(tmp_path / "panel.csv", index=False)
    links = contiguity.matrix.tocoo()
    edges = {"origin": contiguity.ids[links.row], "destination": contiguity.ids[links.col]}
    pd.DataFrame(edges).to_csv(tmp_path / "states.csv", index=False)
    return tmp_path
