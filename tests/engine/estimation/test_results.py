"""Results: the tree, the summaries, impacts by unit and by order against the dense inverse, NetCDF
and back, fits side by side.
"""

import arviz_stats
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from oracles import dense

import spillover as so

KINDS = ("direct", "indirect", "total")


@pytest.fixture(scope="module")
def binary_fit(small, sampled) -> tuple:
    """An SDM on binary W, whose rows do not sum to one, with its case."""
    case = small("SDM", "unit", "binary")
    return case, sampled(case.model(), draws=300, quiet=True)


def coefficients(fit: so.Fit, chain: int, draw: int) -> tuple[list, list, float]:
    """beta and theta of each x and rho, of one draw."""
    one = fit.posterior.isel(chain=chain, draw=draw)
    beta = pd.Series(one["beta"].to_numpy(), index=one["term"].to_numpy())
    names = [name for name in beta.index if name.startswith("x")]
    return (
        [beta[name] for name in names],
        [beta.get("W:" + name, 0.0) for name in names],
        float(one["rho"]) if "rho" in one else 0.0,
    )


def test_the_tree_has_the_groups_dims_and_coords_of_the_contract(panel_fit, small):
    case = small("SDM", "twoway")
    tree = panel_fit.tree
    assert isinstance(tree, xr.DataTree)
    assert set(tree.children) == {
        "posterior",
        "sample_stats",
        "prior",
        "observed_data",
        "constant_data",
    }
    posterior = panel_fit.posterior
    assert set(posterior.data_vars) == {"beta", "rho", "sigma"}
    assert posterior["beta"].dims == ("chain", "draw", "term")
    assert posterior["rho"].dims == posterior["sigma"].dims == ("chain", "draw")
    assert dict(posterior.sizes) == {"chain": 4, "draw": 1000, "term": 5}
    assert posterior["term"].to_numpy().tolist() == ["x1", "x2", "x3", "x4", "W:x1"]
    data = tree["observed_data"].to_dataset()
    assert data["y"].dims == ("period", "unit")
    np.testing.assert_array_equal(data["y"], case.y.reshape(3, 13))
    assert data["unit"].to_numpy().tolist() == [f"u{i:02d}" for i in range(13)]
    assert data["period"].to_numpy().tolist() == [2001, 2002, 2003]
    constant = tree["constant_data"].to_dataset()
    assert constant["x"].dims == ("period", "unit", "term")
    np.testing.assert_array_equal(constant["x"].sel(term="x2"), case.X[:, 2].reshape(3, 13))
    np.testing.assert_allclose(
        constant["x"].sel(term="W:x1"),
        dense.lag(case.W, case.X[:, [1]], 3).reshape(3, 13),
        rtol=1e-14,
    )
    assert {
        "model": "SDM",
        "effects": "twoway",
        "formula": case.formula,
        "response": "y",
        "sampler": "nuts",
    }.items() <= tree.attrs.items()


@pytest.mark.cover(name=["GNS", "OLS"])
@pytest.mark.parametrize("name", dense.MODELS)
def test_a_posterior_has_only_the_parameters_of_its_model(name, small):
    has_rho, durbin, has_lambda = dense.MODELS[name]
    fit = small(name, "unit").model().fit("exact", draws=50)
    expected = {"beta", "sigma", *(["rho"] if has_rho else []), *(["lam"] if has_lambda else [])}
    assert set(fit.posterior.data_vars) == expected
    assert ("W:x1" in fit.posterior["term"]) == durbin
    assert (fit.posterior["sigma"] > 0).all()


def test_weights_come_back_from_the_tree(binary_fit, small, sampled):
    case, fit = binary_fit
    np.testing.assert_array_equal(fit.weights.to_scipy().toarray(), case.W)
    assert fit.weights.ids.tolist() == [f"u{i:02d}" for i in range(13)]
    lonely = sampled(small("SDM", "twoway", "islands").model(), draws=50, quiet=True)
    assert lonely.weights.islands == ["u04"]


def test_the_repr_says_what_was_fitted(panel_fit):
    assert all(word in repr(panel_fit) for word in ("SDM", "twoway", "4 chains", "1000 draws"))


def test_summaries_are_those_of_the_draws(panel_fit):
    table = panel_fit.summary()
    assert list(table.index) == [
        "beta[x1]",
        "beta[x2]",
        "beta[x3]",
        "beta[x4]",
        "beta[W:x1]",
        "rho",
        "sigma",
    ]
    np.testing.assert_allclose(
        table.loc["rho", "mean"], panel_fit.posterior["rho"].mean(), rtol=1e-12
    )
    np.testing.assert_allclose(
        table.loc["beta[x2]", "sd"],
        panel_fit.posterior["beta"].sel(term="x2").std(ddof=1),
        rtol=1e-3,
    )
    assert panel_fit.summary(var_names=["rho"], round_to=2).shape[0] == 1


def test_arviz_summarises_impacts(panel_fit):
    impacts = panel_fit.impacts()
    assert list(impacts.data_vars) == list(KINDS)
    assert all(impacts[kind].dims == ("chain", "draw", "term") for kind in KINDS)
    assert impacts["term"].to_numpy().tolist() == ["x1", "x2", "x3", "x4"]
    table = arviz_stats.summary(impacts, round_to="none")
    assert list(table.index) == [
        f"{kind}[{term}]" for kind in KINDS for term in ("x1", "x2", "x3", "x4")
    ]
    np.testing.assert_allclose(
        table.loc["total[x3]", "mean"], impacts["total"].sel(term="x3").mean(), rtol=1e-12
    )
    xr.testing.assert_allclose(impacts["total"], impacts["direct"] + impacts["indirect"])


def test_impacts_by_unit_are_the_diagonals_rows_and_columns_of_the_dense_inverse(binary_fit):
    case, fit = binary_fit
    impacts = fit.impacts(by="unit", draws=60)
    assert list(impacts.data_vars) == ["direct", "received", "sent"]
    assert impacts["direct"].dims == ("chain", "draw", "term", "unit")
    assert impacts["unit"].to_numpy().tolist() == [f"u{i:02d}" for i in range(13)]
    assert impacts.sizes["draw"] == 15  # 4 chains x 300 draws thinned to about 60
    for chain, draw in ((0, 0), (3, 14)):
        label = int(impacts["draw"][draw])
        exact = dense.unit_impacts(*coefficients(fit, chain, label), case.W)
        own = impacts.isel(chain=chain, draw=draw)
        for j, kind in enumerate(("direct", "received", "sent")):
            np.testing.assert_allclose(own[kind], exact[:, j], rtol=1e-9, atol=1e-11)


def test_averages_of_unit_impacts_are_the_average_impacts(binary_fit):
    _, fit = binary_fit
    unit, average = fit.impacts(by="unit", draws=1200), fit.impacts()
    assert unit.sizes["draw"] == average.sizes["draw"]
    xr.testing.assert_allclose(unit["direct"].mean("unit"), average["direct"], rtol=1e-7)
    xr.testing.assert_allclose(unit["received"].mean("unit"), average["total"], rtol=1e-7)
    xr.testing.assert_allclose(unit["sent"].mean("unit"), average["total"], rtol=1e-7)


def test_impacts_by_order_are_the_terms_of_the_series(panel_fit, small):
    W, impacts = small("SDM", "twoway").W, panel_fit.impacts(by="order", orders=6)
    assert impacts["direct"].dims == ("chain", "draw", "term", "order")
    assert impacts["order"].to_numpy().tolist() == list(range(7))
    for chain, draw in ((0, 3), (2, 500)):
        beta, theta, rho = coefficients(panel_fit, chain, draw)
        for order in range(7):
            power = rho**order * np.linalg.matrix_power(W, order)
            matrices = [power @ (b * np.eye(13) + t * W) for b, t in zip(beta, theta, strict=True)]
            direct, total = [np.trace(P) / 13 for P in matrices], [P.sum() / 13 for P in matrices]
            own = impacts.isel(chain=chain, draw=draw, order=order)
            np.testing.assert_allclose(own["direct"], direct, rtol=1e-10, atol=1e-14)
            np.testing.assert_allclose(own["total"], total, rtol=1e-10, atol=1e-14)
            np.testing.assert_allclose(
                own["indirect"], np.subtract(total, direct), rtol=1e-10, atol=1e-13
            )


def test_orders_add_up_to_the_average_impacts(panel_fit):
    """The remainder after q orders is |rho|^(q+1) / (1 - |rho|) of the largest coefficients (W
    row-standardised).
    """
    orders = 80
    series, average = panel_fit.impacts(by="order", orders=orders), panel_fit.impacts()
    rho = np.abs(panel_fit.posterior["rho"])
    size = 2 * np.abs(panel_fit.posterior["beta"]).max("term")
    remainder = size * rho ** (orders + 1) / (1 - rho)
    for kind in KINDS:
        gap = np.abs(series[kind].sum("order") - average[kind]).max("term")
        assert (gap <= 2 * remainder + 1e-9 * size).all()


@pytest.mark.parametrize("name", ["OLS", "SLX", "SEM", "SDEM"])
def test_models_without_rho_spill_over_by_theta_alone(name, small):
    """Direct beta, indirect theta times the mean row sum, all at order 0, and unit impacts beta +
    theta times row sums.
    """
    case = small(name, "unit", "binary")
    fit = case.model().fit("exact", draws=50)
    beta, theta, _ = coefficients(fit, 1, 7)
    average, order, unit = (
        fit.impacts(by=by, **options).isel(chain=1)
        for by, options in ((None, {}), ("order", {}), ("unit", {"draws": 200}))
    )
    np.testing.assert_allclose(average["direct"].isel(draw=7), beta, rtol=1e-14)
    np.testing.assert_allclose(
        average["indirect"].isel(draw=7),
        np.array(theta) * case.W.sum() / 13,
        rtol=1e-12,
        atol=1e-14,
    )
    xr.testing.assert_allclose(order["total"].isel(order=0, drop=True), average["total"])
    assert (order.isel(order=slice(1, None)) == 0).all().to_array().all()
    received = np.array(beta)[:, None] + np.outer(theta, case.W.sum(axis=1))
    np.testing.assert_allclose(unit["received"].isel(draw=7), received, rtol=1e-12)


def test_orders_are_refused_where_the_series_diverges(small):
    """A cycle-free direction makes the interval of rho reach below minus one over the spectral
    radius.
    """
    case = small("SAR", "none", "contiguity")
    lower, _ = dense.interval(case.W)
    assert lower < -1
    rng = np.random.default_rng(0)
    x = rng.standard_normal(13)
    y = np.linalg.solve(np.eye(13) - 0.97 * lower * case.W, 2 * x + 0.1 * rng.standard_normal(13))
    frame, ids = (
        pd.DataFrame(
            {"y": y, "x1": x, "x2": rng.standard_normal(13), "x3": rng.standard_normal(13)}
        ),
        range(13),
    )
    fit = so.SAR("y ~ x1 + x2 + x3", frame, so.Weights(case.W, ids)).fit("exact", draws=50)
    share = float((fit.posterior["rho"] <= -1).mean())
    assert share > 0.5
    with pytest.raises(so.DataError, match=f"{share:.1%}".replace(".", r"\.")) as error:
        fit.impacts(by="order")
    assert "diverges" in str(error.value)
    fit.impacts()
    fit.impacts(by="unit")


def test_no_evidence_from_nuts(reference_fit):
    with pytest.raises(so.SpecificationError, match="sampler='exact'"):
        _ = reference_fit.log_marginal_likelihood


def test_unknown_impacts_are_refused(panel_fit):
    with pytest.raises(so.SpecificationError, match=r"'region'.*'unit', 'order'"):
        panel_fit.impacts(by="region")


@pytest.fixture
def saved(panel_fit, tmp_path):
    path = tmp_path / "fit.nc"
    panel_fit.save(path)
    return path


def test_a_saved_fit_comes_back_identical(panel_fit, saved):
    back = so.load(saved)
    assert set(back.tree.children) == set(panel_fit.tree.children)
    for group in panel_fit.tree.children:
        xr.testing.assert_equal(back.tree[group].to_dataset(), panel_fit.tree[group].to_dataset())
    assert {
        name: back.tree.attrs[name]
        for name in ("model", "effects", "formula", "response", "seed", "tune")
    } == {
        name: panel_fit.tree.attrs[name]
        for name in ("model", "effects", "formula", "response", "seed", "tune")
    }
    for by in (None, "unit", "order"):
        xr.testing.assert_equal(back.impacts(by=by), panel_fit.impacts(by=by))
    pd.testing.assert_frame_equal(back.summary(), panel_fit.summary())
    assert repr(back) == repr(panel_fit)
    saved.unlink()  # the file is closed
    back.impacts()


def test_a_loaded_fit_can_be_saved_again(saved, tmp_path):
    again = tmp_path / "again.nc"
    so.load(saved).save(again)
    xr.testing.assert_equal(so.load(again).impacts(), so.load(saved).impacts())


@pytest.mark.cover(case=[("SDM", "twoway", "islands")])
@pytest.mark.parametrize(
    "case",
    [
        ("SDM", "unit", "binary"),
        ("SDM", "twoway", "islands"),
        ("SAC", "twoway", "knn", "contiguity"),
    ],
)
def test_any_weights_come_back(case, small, sampled, tmp_path):
    fit = sampled(small(*case).model(), draws=50, quiet=True)
    fit.save(tmp_path / "fit.nc")
    xr.testing.assert_equal(so.load(tmp_path / "fit.nc").impacts(), fit.impacts())


def test_given_bounds_come_back(city, sampled, tmp_path):
    """The interval is part of the model: with other bounds the log-determinant is another
    interpolant.
    """
    fit = sampled(city("SAR", bounds=(-1, 1)), draws=50, quiet=True)
    fit.save(tmp_path / "fit.nc")
    back = so.load(tmp_path / "fit.nc")
    assert back.weights.bounds == fit.weights.bounds == (-1, 1)
    xr.testing.assert_equal(back.impacts(), fit.impacts())


@pytest.mark.cover(kind=["quarters"])
@pytest.mark.parametrize("kind", ["integers", "timestamps", "quarters"])
def test_labels_of_units_and_periods_come_back(kind, small, sampled, tmp_path):
    labels = {
        "integers": pd.Index([30, 10, 20]),
        "timestamps": pd.date_range("2001-12-31", periods=3, freq="YE"),
        "quarters": pd.period_range("2001Q1", periods=3, freq="Q"),
    }[kind]
    case = small("SDM", "twoway")
    frame = case.frame.assign(
        unit=case.frame["unit"].str[1:].astype(int), year=labels[case.frame["year"] - 2001]
    )
    model = so.SDM(
        case.formula,
        frame,
        so.Weights(case.W),
        effects="twoway",
        unit="unit",
        period="year",
        lagged=["x1"],
    )
    fit = sampled(model, draws=50, quiet=True)
    fit.save(tmp_path / "fit.nc")
    back = so.load(tmp_path / "fit.nc").tree["observed_data"].to_dataset()
    assert back["unit"].to_numpy().tolist() == list(range(13))
    wanted = labels.sort_values()
    assert pd.Index(back["period"].to_numpy()).equals(
        wanted if kind != "quarters" else wanted.astype(str)
    )


def test_a_foreign_file_is_refused(tmp_path):
    path = tmp_path / "foreign.nc"
    xr.DataTree.from_dict({"posterior": xr.Dataset({"mu": ("draw", np.zeros(3))})}).to_netcdf(
        path, engine="h5netcdf"
    )
    with pytest.raises(
        so.DataError, match=r"foreign\.nc is not a fit saved by spillover.*posterior"
    ):
        so.load(path)
    xr.Dataset({"temperature": ("time", np.zeros(3))}).to_netcdf(path, engine="h5netcdf")
    with pytest.raises(so.DataError, match="is not a fit saved by spillover"):
        so.load(path)


def test_a_file_that_is_no_netcdf_is_refused(tmp_path):
    path = tmp_path / "notes.nc"
    path.write_text("no NetCDF at all")
    with pytest.raises(so.SpilloverError, match=r"notes\.nc"):
        so.load(path)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(so.StorageError, match=r"absent\.nc: there is no such file"):
        so.load(tmp_path / "absent.nc")


# --- the prior group
# --------------------------------------------------------------------------------------------------


def test_a_proper_prior_is_drawn(panel_fit):
    prior = panel_fit.tree["prior"].to_dataset()
    assert set(prior.data_vars) == {"beta", "rho", "sigma"}
    assert prior["beta"].dims == ("chain", "draw", "term")
    lower, upper = panel_fit.weights.bounds
    assert ((prior["rho"] > lower) & (prior["rho"] < upper)).all()
    assert (prior["sigma"] > 0).all()


def test_a_uniform_prior_of_rho_is_drawn_uniformly(panel_fit, monte_carlo):
    lower, upper = panel_fit.weights.bounds
    own = monte_carlo(panel_fit.tree["prior"]["rho"])
    own.assert_mean((lower + upper) / 2)
    own.assert_sd((upper - lower) / np.sqrt(12))


def test_improper_parts_are_not_drawn(reference_fit, produc):
    """Flat beta and sigma leave rho; with no rho nothing is left, and there is no group."""
    assert set(reference_fit.tree["prior"].to_dataset().data_vars) == {"rho"}
    fit = produc("OLS", "unit", priors=so.Priors.reference()).fit("exact", draws=50)
    assert "prior" not in fit.tree.children


# --- compare
# --------------------------------------------------------------------------------------------------


def test_compare_has_a_row_for_every_number(reference_fit, city):
    ml, durbin = city("SAR").fit_ml(), city("SDM").fit_ml()
    table = so.compare({"Bayes": reference_fit, "ML": ml, "SDM": durbin})
    assert table.columns.tolist() == [
        (fit, column) for fit in ("Bayes", "ML", "SDM") for column in ("estimate", "std_error")
    ]
    assert table.index.names == ["kind", "name"]
    parameters = ["Intercept", "INC", "HOVAL", "W:INC", "W:HOVAL", "rho", "sigma"]
    assert table.loc["parameter"].index.tolist() == parameters
    for kind in KINDS:
        assert table.loc[kind].index.tolist() == ["INC", "HOVAL"]
    assert list(dict.fromkeys(table.index.get_level_values("kind"))) == ["parameter", *KINDS]
    lacking = table.loc[("parameter", "W:INC")]
    assert lacking[["Bayes", "ML"]].isna().all()
    assert lacking["SDM"].notna().all()
    np.testing.assert_array_equal(
        table.loc["parameter"]["ML"].loc[ml.params.index, "estimate"], ml.params
    )
    np.testing.assert_array_equal(
        table.loc["parameter"]["ML"].loc[ml.params.index, "std_error"], ml.std_errors
    )
    delta = ml.impacts(method="delta")
    np.testing.assert_array_equal(
        table.loc["total"]["ML"]["std_error"], delta.loc["total", "std_error"]
    )
    draws = reference_fit.posterior["rho"]
    np.testing.assert_allclose(
        table.loc[("parameter", "rho")]["Bayes"], [draws.mean(), draws.std(ddof=1)], rtol=1e-12
    )
    total = reference_fit.impacts()["total"].sel(term="INC")
    np.testing.assert_allclose(
        table.loc[("total", "INC")]["Bayes"], [total.mean(), total.std(ddof=1)], rtol=1e-12
    )


def test_compare_without_impacts(reference_fit, city):
    table = so.compare({"Bayes": reference_fit, "ML": city("SAR").fit_ml()}, impacts=False)
    assert set(table.index.get_level_values("kind")) == {"parameter"}


@pytest.mark.verify
def test_bayes_and_maximum_likelihood_agree_under_the_reference_prior(produc, sampled):
    """nu = 752 observations, k = 9 with rho. The posterior mean of sigma lies (k + 1) / (2 nu) of
    itself, that is (k + 1) / sqrt(2 nu) standard errors, above the maximum; every other mean lies
    nearer. Standard deviations differ by k / (2 nu) and by skewness, 1 / sqrt(nu). The rest is
    Monte Carlo error with at least half of 8000 draws.
    """
    fit, ml = (
        sampled(produc("SDM", "twoway", priors=so.Priors.reference()), draws=2000),
        produc("SDM", "twoway").fit_ml(),
    )
    table, nu, k = so.compare({"Bayes": fit, "ML": ml}), 752, 9
    assert ml.nu == nu
    distance = (table["Bayes"]["estimate"] - table["ML"]["estimate"]) / table["ML"]["std_error"]
    assert np.abs(distance).max() < (k + 1) / np.sqrt(2 * nu) + 4.5 / np.sqrt(4000)
    assert np.abs(distance.drop(("parameter", "sigma"))).max() < 4 / np.sqrt(nu) + 4.5 / np.sqrt(
        4000
    )
    ratio = table["Bayes"]["std_error"] / table["ML"]["std_error"]
    assert np.abs(ratio - 1).max() < k / (2 * nu) + 1 / np.sqrt(nu) + 4.5 / np.sqrt(2 * 4000)


@pytest.mark.parametrize(
    ("fits", "words"),
    [
        ({}, ["at least one fit", "compare({"]),
        ({"nothing": None}, ["'nothing' is None", "model.fit()"]),
    ],
)
def test_compare_refuses_what_is_no_fit(fits, words):
    with pytest.raises(so.SpecificationError) as error:
        so.compare(fits)
    assert all(word in str(error.value) for word in words)
