"""Maximum likelihood against R, against the stored exact optima, and against dense algebra on
hostile W.
"""

import numpy as np
import pandas as pd
import pytest
from oracles import dense
from oracles.hostile import knn, row_standardise
from scipy import stats

import spillover as so

MODELS = tuple(dense.MODELS)
GRID = 7  # starts of the oracle in each of rho, lambda
STORED = tuple(name for name in MODELS if name != "GNS")  # the panel's reference has no GNS
WEIGHTS = {  # W, M
    "knn": ("knn", "knn"),
    "binary": ("binary", "binary"),
    "spectral": ("spectral", "spectral"),
    "islands": ("islands", "islands"),
    "sinks": ("sinks", "sinks"),
    "raw asymmetric": ("raw_asymmetric", "raw_asymmetric"),
    "two row-standardised": ("knn", "contiguity"),
    "two of which one standardised": ("contiguity", "binary"),
}


def no_gradient(name: str, effects: str, w: str) -> bool:
    """Whether rho and lam with two W, one of which has rows of several sums, meet
    period effects.
    """
    return (
        w == "two of which one standardised"
        and name in ("SAC", "GNS")
        and effects in ("period", "twoway")
    )


def stored_vector(entry: dict, named) -> pd.Series:
    """Coefficients, rho, lam and sigma^2 of a stored fit by the package's labels."""
    values = {
        **entry["coef"],
        **{name: entry[name] for name in ("rho", "lambda", "sigma2") if name in entry},
    }
    return pd.Series({named(name): value for name, value in values.items()})


def own_vector(ml: so.MLFit) -> pd.Series:
    """The parameters with sigma^2 in place of sigma."""
    return pd.concat([ml.params.drop("sigma"), pd.Series({"sigma2": ml.params["sigma"] ** 2})])


def own_errors(ml: so.MLFit) -> pd.Series:
    """Standard errors, that of sigma turned into that of sigma^2: d sigma^2 = 2 sigma d sigma."""
    return pd.concat(
        [
            ml.std_errors.drop("sigma"),
            pd.Series({"sigma2": 2 * ml.params["sigma"] * ml.std_errors["sigma"]}),
        ]
    )


def assert_close(own: pd.Series, stored: pd.Series, rtol: float, atol: float = 0.0) -> None:
    assert set(own.index) == set(stored.index)
    np.testing.assert_allclose(
        own[stored.index].astype(float), stored.astype(float), rtol=rtol, atol=atol
    )


def stored_impacts(table: dict, named) -> pd.Series:
    return pd.Series(
        {(kind, named(term)): value for kind, row in table.items() for term, value in row.items()}
    )


def assert_impacts(ml: so.MLFit, entry: dict, errors: dict, named, rtol: float) -> None:
    table = ml.impacts()
    values, own = stored_impacts(entry["impacts"], named), table["estimate"]
    largest = values.abs().max()  # an indirect impact of 0 is 1e-16 in the stored inverse
    assert_close(own, values, rtol, atol=rtol * largest)
    spread = stored_impacts(errors, named)
    assert_close(table["std_error"], spread, rtol, atol=rtol * spread.max())


def assert_exact(model: so.Model, method: str, entry: dict, named) -> None:
    for information in ("observed", "expected"):
        ml = model.fit_ml(method=method, information=information)
        stored = stored_vector(entry, named)
        assert_close(own_vector(ml), stored, rtol=1e-8)
        np.testing.assert_allclose(ml.loglik, entry["loglik"], rtol=1e-8)
        assert ml.nu == entry["nu"]
        errors = pd.Series(
            {named(name): value for name, value in entry[f"se_{information}"].items()}
        )
        assert_close(own_errors(ml), errors, rtol=1e-8)
        assert_impacts(ml, entry, entry[f"impacts_se_{information}"], named, rtol=1e-8)


@pytest.mark.cover(name=["SAR", "SEM", "SDM", "GNS"])
@pytest.mark.parametrize("name", MODELS)
def test_columbus_is_the_exact_optimum(name, city, reference, named):
    assert_exact(city(name), "transformed", reference("columbus_exact")["ml"][name], named)


@pytest.mark.parametrize("name", STORED)
def test_columbus_agrees_with_r(name, city, reference, named):
    """R's optimiser stops at 1e-7; its standard errors are those of the expected information, but
    for OLS and SLX those of lm: N - k.
    """
    entry = reference("columbus_r")[name]
    ml = city(name).fit_ml(information="expected")
    assert_close(own_vector(ml), stored_vector(entry, named), rtol=1e-5)
    np.testing.assert_allclose(ml.loglik, entry["loglik"], rtol=1e-6)
    stored = {named(term): value for term, value in entry["se"].items()}
    stored |= {
        named(term): entry[f"{term}_se"] for term in ("rho", "lambda") if f"{term}_se" in entry
    }
    errors = ml.std_errors.drop("sigma")
    if name in ("OLS", "SLX"):
        errors = errors * np.sqrt(ml.nu / (ml.nu - len(errors)))
    assert_close(errors, pd.Series(stored), rtol=1e-3)
    if "impacts" in entry:
        assert_close(ml.impacts()["estimate"], stored_impacts(entry["impacts"], named), rtol=1e-5)


@pytest.mark.cover
@pytest.mark.parametrize("kind", ["transformed", "direct"])
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", STORED)
def test_produc_is_the_exact_optimum(name, effects, kind, produc, reference, named):
    assert_exact(
        produc(name, effects), kind, reference("produc_exact")["ml"][effects][kind][name], named
    )


@pytest.mark.parametrize("name", ["SAR", "SEM"])
def test_rows_that_all_have_another_sum_are_exact(name, small):
    """3 nearest neighbours as 0 and 1 are three times the row-standardised ones: rho / 3, and a
    likelihood, not a quasi-likelihood.
    """
    case = small(name, "twoway")
    weights = so.Weights(3 * case.W, sorted(case.frame["unit"].unique()))
    ml = getattr(so, name)(
        case.formula, case.frame, weights, effects="twoway", unit="unit", period="year"
    ).fit_ml(information="expected")
    own, given = ml.params.copy(), case.model().fit_ml(information="expected")
    own[{"SAR": "rho", "SEM": "lam"}[name]] *= 3
    assert not ml.quasi
    np.testing.assert_allclose(own, given.params, rtol=1e-7)
    np.testing.assert_allclose([ml.loglik, ml.aic], [given.loglik, given.aic], rtol=1e-10)
    np.testing.assert_allclose(ml.std_errors["sigma"], given.std_errors["sigma"], rtol=1e-8)


def test_a_quasi_likelihood_says_so(small):
    ml = small("SAR", "twoway", "spectral").model().fit_ml()
    assert "quasi-likelihood" in repr(ml)
    assert np.isnan([ml.aic, ml.bic]).all()
    assert np.isfinite(ml.loglik)


def test_columbus_optima_are_those_stored(city, reference, named):
    """Every local maximum, the best first."""
    for name in ("SAC", "GNS"):
        stored = reference("columbus_exact")["ml"][name]["local_optima"]
        optima = city(name).fit_ml().optima
        np.testing.assert_allclose(optima[["loglik", "rho", "lam"]].to_numpy(), stored, rtol=1e-7)


def test_every_peak_is_found_and_the_best_one_taken(two_peaks):
    found = dense.optima(two_peaks.problem(), [dense.interval(two_peaks.W)] * 2, size=15)
    assert len(found) == 2
    ml = two_peaks.model().fit_ml()
    exact = np.array([[value, *at] for value, at in found])
    np.testing.assert_allclose(ml.optima[["loglik", "rho", "lam"]], exact, rtol=1e-6)
    np.testing.assert_allclose([ml.loglik, ml.params["rho"]], exact[0, :2], rtol=1e-6)


@pytest.mark.cover
@pytest.mark.parametrize("w", WEIGHTS)
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", MODELS)
def test_small_panels_are_the_dense_optimum(name, effects, w, small):
    case = small(name, effects, *WEIGHTS[w])
    if no_gradient(name, effects, w):
        with pytest.raises(so.SpecificationError, match="gradient"):
            case.model()
        return
    ml, p = case.model().fit_ml(), case.problem()
    assert ml.quasi == (p.right is not None)
    assert_dense(case, ml, p)
    if effects in ("none", "unit"):  # the same numbers whatever the rows of W sum to
        assert ml.nu == 13 * (3 if effects == "none" else 2)


@pytest.mark.cover
@pytest.mark.parametrize("bounds", [(-1.0, 1.0), (-0.7, 0.9), (-2.5, 0.7)])
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", ["SAR", "SEM"])
def test_given_bounds_restrict_but_do_not_change_the_likelihood(name, effects, bounds, small):
    """An interval that holds the maximum leaves everything as it is."""
    case = small(name, effects)
    weights = so.Weights(case.W, sorted(case.frame["unit"].unique()), bounds=bounds)
    ml = getattr(so, name)(
        case.formula, case.frame, weights, effects=effects, unit="unit", period="year"
    ).fit_ml()
    assert_dense(case, ml, case.problem())


def assert_dense(case, ml: so.MLFit, p: dense.Problem) -> None:
    fit = dense.ml(p, size=GRID)
    assert ml.nu == p.nu
    np.testing.assert_allclose(ml.loglik, fit["loglik"], rtol=1e-8)
    dependence = ["rho"] * p.has_rho + ["lam"] * p.has_lambda
    names = [*case.labels(p), *dependence, "sigma2"]
    values = np.array(
        [*fit["b"], *(fit[{"lam": "lambda"}.get(name, name)] for name in dependence), fit["sigma2"]]
    )
    np.testing.assert_allclose(own_vector(ml)[names], values, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(own_errors(ml)[names], fit["se_observed"], rtol=1e-5)
    table = ml.impacts()["estimate"].unstack("impact")
    exact = case.impacts(ml.params, ml.params.get("rho", 0.0))
    variables = [term for term in ml.params.index if term.startswith("x")]
    np.testing.assert_allclose(
        table.loc[variables, ["direct", "indirect", "total"]], exact, rtol=1e-8, atol=1e-9
    )


@pytest.mark.cover
@pytest.mark.parametrize("w", ["knn", "two row-standardised", "binary", "sinks"])
@pytest.mark.parametrize("effects", ["unit", "period", "twoway"])
@pytest.mark.parametrize("kind", ["direct", "lsdv"])
@pytest.mark.parametrize("name", ["SAR", "SEM", "SAC"])
def test_other_likelihoods_are_the_dense_optimum(name, kind, effects, w, small):
    """The dummy likelihood and the one of most panel packages, on W that do not commute with the
    period effects as well.
    """
    case = small(name, effects, *WEIGHTS[w], columns=4)
    ml, p = case.model().fit_ml(method=kind), case.problem(kind)
    fit = dense.ml(p, size=GRID)
    assert ml.nu == p.nu
    np.testing.assert_allclose(ml.loglik, fit["loglik"], rtol=1e-8)
    slopes = [name for name in case.labels(p) if name.startswith("x")]
    at = [case.labels(p).index(name) for name in slopes]
    np.testing.assert_allclose(ml.params[slopes], fit["b"][at], rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(ml.std_errors[slopes], fit["se_observed"][at], rtol=1e-5)


EXPECTED = [
    (w, effects)
    for w in ("knn", "two row-standardised", "binary", "two of which one standardised")
    for effects in dense.EFFECTS
]


@pytest.mark.cover
@pytest.mark.parametrize(
    ("w", "effects"), [pair for pair in EXPECTED if not no_gradient("GNS", *reversed(pair))]
)
def test_expected_information_is_the_dense_one(effects, w, small):
    """With period effects only where the rows have one sum: elsewhere it would depend on the
    effects.
    """
    case = small("GNS", effects, *WEIGHTS[w])
    if w == "binary" and effects in ("period", "twoway"):
        with pytest.raises(so.SpecificationError, match="leave out information='expected'"):
            case.model().fit_ml(information="expected")
        return
    ml, p = case.model().fit_ml(information="expected"), case.problem()
    fit = dense.ml(p, size=GRID)
    names = [*case.labels(p), "rho", "lam", "sigma2"]
    np.testing.assert_allclose(own_errors(ml)[names], fit["se_expected"], rtol=1e-5)


@pytest.mark.parametrize("w", ["binary", "islands", "knn"])
def test_delta_errors_of_impacts_are_the_dense_ones(w, small):
    """Complex steps through the dense inverse, where total impacts have no closed form."""
    case = small("SDM", "unit", w)
    p = case.problem()
    fit = dense.ml(p, size=GRID)
    k = len(p.columns)
    cov = fit["cov_observed"][: k + 1, : k + 1]
    labels = case.labels(p)
    variables = [name for name in labels if name.startswith("x")]

    def impacts(v):
        beta = dict(zip(labels, v[:-1], strict=True))
        theta = [beta.get("W:" + name, 0.0) for name in variables]
        return dense.impacts([beta[name] for name in variables], theta, v[-1], case.W)

    at = np.append(fit["b"], fit["rho"]).astype(complex)
    jacobian = np.array([impacts(at + 1e-30j * row).imag / 1e-30 for row in np.eye(k + 1)])
    exact = np.sqrt(np.einsum("iab,ij,jab->ab", jacobian, cov, jacobian))
    table = case.model().fit_ml().impacts()["std_error"].unstack("impact")
    np.testing.assert_allclose(
        table.loc[variables, ["direct", "indirect", "total"]], exact, rtol=1e-5
    )


# sqrt(draws) times the relative error of half the distance between the 15.9 and 84.1 % quantiles of
# normal draws
WIDTH = 0.97


def test_simulated_errors_approach_the_delta_ones_where_the_estimates_are_sharp(produc):
    """816 observations: the impacts are nearly linear over the estimates' errors. The curvature
    that the delta method leaves out is of second order, (standard error of rho / (1 - rho))^2 of
    the error.
    """
    ml, draws = produc("SDM", "twoway").fit_ml(), 20_000
    delta, simulated = ml.impacts(), ml.impacts(method="simulation", draws=draws, seed=4)
    curvature = (ml.std_errors["rho"] / (1 - ml.params["rho"])) ** 2
    ratio = simulated["std_error"] / delta["std_error"]
    assert np.abs(ratio - 1).max() < 4.5 * WIDTH / np.sqrt(draws) + 3 * curvature
    np.testing.assert_array_equal(simulated["estimate"], delta["estimate"])
    again = [
        ml.impacts(method="simulation", draws=draws, seed=seed)["std_error"] for seed in (4, 5)
    ]
    np.testing.assert_array_equal(simulated["std_error"], again[0])
    assert not np.allclose(simulated["std_error"], again[1], rtol=1e-6)


def test_simulation_and_delta_differ_for_a_model_without_rho_by_noise_only(produc):
    """SDEM: impacts are linear in the coefficients, so the delta method is exact."""
    ml, draws = produc("SDEM", "unit").fit_ml(), 20_000
    ratio = ml.impacts(method="simulation", draws=draws)["std_error"] / ml.impacts()["std_error"]
    assert np.abs(ratio - 1).max() < 4.5 * WIDTH / np.sqrt(draws)


def within(case, ml: so.MLFit, below: float, above: float) -> so.MLFit:
    """The fit again, rho restricted to so many standard errors around its estimate."""
    rho, error = ml.params["rho"], ml.std_errors["rho"]
    weights = so.Weights(
        case.W,
        sorted(case.frame["unit"].unique()),
        bounds=(min(rho - below * error, -1e-3), max(rho + above * error, 1e-3)),
    )
    return so.SAR(
        case.formula, case.frame, weights, effects=case.effects, unit="unit", period="year"
    ).fit_ml()


def test_simulated_quantiles_are_those_of_the_draws_inside_the_interval(small):
    """An interval that ends half a standard error above the estimate cuts off 3 in 10 of the normal
    draws: dense impacts of the rest.
    """
    case, draws = small("SAR", "unit", "binary"), 4000
    ml = within(case, case.model().fit_ml(), 9.0, 0.5)
    _, upper = ml.weights.bounds
    rng = np.random.default_rng(9)
    vectors = rng.multivariate_normal(ml.params, ml.covariance, size=draws)
    inside = vectors[vectors[:, 4] < upper]
    assert 0.5 < len(inside) / draws < 0.8
    exact = np.array(
        [case.impacts(pd.Series(v[:4], index=ml.params.index[:4]), v[4]) for v in inside]
    )
    table, order = (
        ml.impacts(method="simulation", draws=draws).unstack("impact"),
        ["direct", "indirect", "total"],
    )
    own = {
        column: table[column].loc[ml.params.index[:4], order].to_numpy()
        for column in ("std_error", "2.5 %", "97.5 %")
    }
    below, above = np.quantile(exact, stats.norm.cdf([-1, 1]), axis=0)
    scale = (above - below) / 2
    # of the difference of two such samples; relative, or in units of the scale
    error = np.sqrt(2 / len(inside))
    assert np.abs(own["std_error"] / scale - 1).max() < 4.5 * WIDTH * error
    for level, column in ((0.025, "2.5 %"), (0.975, "97.5 %")):
        share = (exact < own[column]).mean(axis=0)  # of the other sample below this one's quantile
        assert np.abs(share - level).max() < 4.5 * np.sqrt(level * (1 - level)) * error


@pytest.mark.verify
def test_simulated_errors_of_a_total_without_a_variance_agree_between_seeds():
    """rho 2.5 standard errors below 1: sds of beta / (1 - rho) over the same draws differ tenfold,
    half-distances of quantiles by noise.
    """
    rng, n, draws = np.random.default_rng(6), 30, 2000
    W = row_standardise(knn(n, 4))
    x = rng.standard_normal(n)
    y = np.linalg.solve(np.eye(n) - 0.7 * W, 1 + 0.5 * x + rng.standard_normal(n))
    ml = so.SAR("y ~ x", pd.DataFrame({"y": y, "x": x}), so.Weights(W)).fit_ml()
    assert 2 < (1 - ml.params["rho"]) / ml.std_errors["rho"] < 3
    tables = [ml.impacts(method="simulation", draws=draws, seed=seed) for seed in range(8)]
    spread = np.array([table.loc[("total", "x"), "std_error"] for table in tables])
    # half as much again: they are skewed
    assert np.abs(spread / spread.mean() - 1).max() < 1.5 * 4.5 * WIDTH / np.sqrt(draws)
    moments = [
        (
            ml.params.to_numpy()
            + np.random.default_rng(seed).standard_normal((draws, 4)) @ ml.root.T
        ).T
        for seed in range(8)
    ]
    sds = [np.std((v[1] / (1 - v[2]))[v[2] < 1]) for v in moments]
    assert max(sds) > 5 * min(sds)


def test_too_few_draws_inside_the_interval_are_an_error(small):
    """Data without spatial dependence, rho kept within a fifth of a standard error of its estimate:
    16 % of the draws are admissible.
    """
    case = small("OLS", "unit")
    weights = so.Weights(case.W, sorted(case.frame["unit"].unique()))
    free = so.SAR(
        case.formula, case.frame, weights, effects="unit", unit="unit", period="year"
    ).fit_ml()
    ml = within(case, free, 0.2, 0.2)
    lower, upper = (np.array(ml.weights.bounds) - ml.params["rho"]) / ml.std_errors["rho"]
    assert stats.norm.cdf(upper) - stats.norm.cdf(lower) < 0.4
    with pytest.raises(so.ConvergenceError, match="method='delta'"):
        ml.impacts(method="simulation")
    ml.impacts()


def test_table_statistics(city):
    """z = estimate / error, p two-sided normal, none for sigma; AIC and BIC count sigma."""
    ml = city("SDM").fit_ml()
    table = ml.summary()
    tested = table.drop("sigma")
    np.testing.assert_allclose(tested["z"], ml.params.drop("sigma") / ml.std_errors.drop("sigma"))
    np.testing.assert_allclose(
        tested["p"], 2 * (1 - stats.norm.cdf(np.abs(tested["z"]))), rtol=1e-9, atol=1e-15
    )
    assert table.loc["sigma", ["z", "p"]].isna().all()
    np.testing.assert_allclose(ml.aic, 2 * 7 - 2 * ml.loglik)
    np.testing.assert_allclose(ml.bic, 7 * np.log(49) - 2 * ml.loglik)
    assert "SDM" in repr(ml)
    assert "log-likelihood" in repr(ml)


@pytest.mark.parametrize(
    ("call", "names"),
    [
        (lambda m: m.fit_ml(method="reml"), ("'reml'", "transformed", "direct", "lsdv")),
        (lambda m: m.fit_ml(information="sandwich"), ("'sandwich'", "observed", "expected")),
        (lambda m: m.fit_ml().impacts(method="bootstrap"), ("'bootstrap'", "simulation", "delta")),
        (lambda m: m.fit("gibbs"), ("'gibbs'", "nuts")),
        (lambda m: m.fit(draws=0), ("draws=0",)),
        (lambda m: m.fit(chains=0), ("chains=0",)),
        (lambda m: m.fit(tune=-1), ("tune=-1",)),
    ],
)
def test_unknown_options_are_refused_by_name(call, names, city):
    with pytest.raises(so.SpecificationError) as error:
        call(city("SAR"))
    assert all(name in str(error.value) for name in names)


def test_a_likelihood_without_interior_maximum_is_an_error(columbus):
    """y a multiple of its own lag's eigenvector at 1 with hardly any noise: rho runs to its end."""
    _, weights = columbus
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(
        {"y": 5.0 + 1e-9 * rng.standard_normal(49), "x": rng.standard_normal(49)}, index=weights.ids
    )
    trend = weights @ (weights @ frame["x"])
    frame["y"] = np.linalg.solve(
        np.eye(49) - (1 - 1e-8) * weights.to_scipy().toarray(), 1e-3 * (trend + 1.0)
    )
    with pytest.raises(so.ConvergenceError, match="no interior maximum"):
        so.SAR("y ~ 0 + x", frame, weights).fit_ml()
