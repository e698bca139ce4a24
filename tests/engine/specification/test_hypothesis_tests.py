"""Tests of a specification against R's spdep, splm and plm, dense algebra, and their own size under
the null.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import replicates
from oracles import dense
from oracles.hostile import knn
from scipy import stats

import spillover as so
from spillover.engine.specification import hypothesis_tests
from spillover.models import lagrange

LM = {
    "lm_error": "LMerr",
    "lm_lag": "LMlag",
    "robust_lm_error": "RLMerr",
    "robust_lm_lag": "RLMlag",
    "sarma": "SARMA",
}
FORMULA = "np.log(gsp) ~ np.log(pcap) + np.log(pc) + np.log(emp) + unemp"


@pytest.mark.parametrize(("name", "where"), [("OLS", "lm_tests"), ("SLX", "lm_tests_slx")])
def test_columbus_lagrange_multipliers_agree_with_spdep(name, where, city, reference):
    stored, found = reference("columbus_r")[where], so.lm_tests(city(name))
    for one in found:
        assert one.statistic == pytest.approx(stored[LM[one.name]]["stat"], rel=1e-9)
        assert one.p_value == pytest.approx(stored[LM[one.name]]["p"], rel=1e-8)
    assert [one.df for one in found] == [1, 1, 1, 1, 2]


@pytest.mark.parametrize("pair", ["SAR_SDM", "SEM_SDM", "SEM_SDEM", "SAR_SAC", "SEM_SAC"])
def test_columbus_likelihood_ratios_agree_with_spatialreg(pair, city, reference):
    stored, (small, large) = reference("columbus_r")["lr"][pair], pair.split("_")
    found = so.lr_test(city(small).fit_ml(), city(large).fit_ml())
    assert found.statistic == pytest.approx(stored["stat"], rel=1e-8)
    assert (found.df, found.p_value) == (stored["df"], pytest.approx(stored["p"], rel=1e-7))


@pytest.mark.parametrize("pair", ["OLS_SEM", "SLX_SDEM"])
def test_columbus_spatial_hausman_is_spatialregs_but_for_a_transpose(pair, city, reference):
    """spatialreg 1.2-6 takes S^-1 S^-1 for the covariance of the errors, S^-1 S^-T, which is the
    same for a symmetric W only: the same form with its product is its number (its optimiser stops
    at 1e-7), with the covariance it is ours.
    """
    stored, (plain, error) = reference("columbus_r")["hausman"][pair], pair.split("_")
    fits = [city(name).fit_ml() for name in (plain, error)]
    X = fits[1].design.columns.reshape(49, -1)
    S = np.eye(49) - fits[1].params["lam"] * fits[1].weights.to_scipy().toarray()
    bread, inverse, d = (
        np.linalg.inv(X.T @ X),
        np.linalg.inv(S),
        (fits[0].params - fits[1].params)[list(fits[1].design.terms)],
    )

    def statistic(middle):
        apart = bread @ X.T @ middle @ X @ bread - np.linalg.inv(X.T @ S.T @ S @ X)
        return d @ np.linalg.solve(fits[1].params["sigma"] ** 2 * apart, d)

    assert statistic(inverse @ inverse) == pytest.approx(stored["stat"], rel=1e-6)
    found = so.spatial_hausman(*fits)
    assert found.statistic == pytest.approx(statistic(inverse @ inverse.T), rel=1e-9)
    assert found.df == stored["df"]


@pytest.mark.parametrize("effects", dense.EFFECTS)
def test_spatial_hausman_of_a_panel_is_that_of_the_transformed_data(effects, small):
    """By the explicit bases of Lee & Yu, on which it is the test of a cross-section."""
    plain, error = (replace(small("OLS", effects, "knn"), name=name) for name in ("OLS", "SEM"))
    fits = [case.model().fit_ml() for case in (plain, error)]
    p, lam = error.problem(expand=True), float(fits[1].params["lam"])
    S = np.eye(len(p.y)) - lam * (
        p.M if len(p.M) == len(p.y) else np.kron(np.eye(len(p.y) // len(p.M)), p.M)
    )
    A = np.linalg.inv(p.X.T @ p.X)
    V = A @ p.X.T @ np.linalg.inv(S.T @ S) @ p.X @ A - np.linalg.inv(p.X.T @ S.T @ S @ p.X)
    labels = error.labels(p)
    d = (fits[0].params[labels] - fits[1].params[labels]).to_numpy()
    exact = d @ np.linalg.solve(fits[1].params["sigma"] ** 2 * V, d)
    assert so.spatial_hausman(*fits).statistic == pytest.approx(exact, rel=1e-7)


@pytest.mark.parametrize("effects", dense.EFFECTS)
def test_panel_lagrange_multipliers_agree_with_splm(effects, produc, reference):
    """kind="direct"; splm has no SARMA, which is the sum of two of the others."""
    stored, found = (
        reference("produc_r")["lm_tests"][effects],
        so.lm_tests(produc("OLS", effects), kind="direct"),
    )
    for name, entry in stored.items():
        one = getattr(found, name)
        assert one.statistic == pytest.approx(entry["stat"], rel=1e-8)
        assert one.p_value == pytest.approx(entry["p"], rel=1e-6)
    assert found.sarma.statistic == pytest.approx(
        stored["lm_error"]["stat"] + stored["robust_lm_lag"]["stat"], rel=1e-8
    )


def dense_tests(p, W, T, period):
    """The five statistics from the definitions on explicit data: p.y, p.X transformed by bases, so
    that nothing is left to centre.
    """
    big = p.W if p.W.shape[0] == len(p.y) else np.kron(np.eye(len(p.y) // len(p.W)), p.W)
    X = np.hstack([p.X, p.D])
    annihilator = np.eye(len(p.y)) - X @ np.linalg.pinv(X)
    e, b = annihilator @ p.y, np.linalg.pinv(X) @ p.y
    s2 = e @ e / len(e)
    trace = np.trace(big @ big + big.T @ big) - 2 * np.trace(big) ** 2 / len(e)
    shift = -np.trace(big)
    through = big @ X @ b
    information = through @ annihilator @ through / s2 + trace
    return lagrange.combine(
        e @ big @ e / s2 + shift, e @ big @ p.y / s2 + shift, trace, information
    )


@pytest.mark.parametrize("w", ["knn", "contiguity"])
@pytest.mark.parametrize("effects", dense.EFFECTS)
@pytest.mark.parametrize("name", ["OLS", "SLX"])
def test_transformed_tests_are_those_of_the_transformed_data(name, effects, w, small):
    """By the explicit bases of Lee & Yu, on which the errors are independent and W is F'WF."""
    case = small(name, effects, w)
    p = replace(case, name="SEM" if name == "OLS" else "SDEM").problem(expand=True)
    found = so.lm_tests(case.model())
    np.testing.assert_allclose(
        [one.statistic for one in found], dense_tests(p, case.W, 3, effects), rtol=1e-8
    )


@pytest.mark.parametrize("w", ["sinks", "raw_asymmetric"])
@pytest.mark.parametrize("effects", ["period", "twoway"])
@pytest.mark.parametrize("name", ["OLS", "SLX"])
def test_transformed_tests_of_period_effects_with_any_weights(name, effects, w, small):
    """W of the period effects is part of W y: with the dummies written out, e'We about its mean
    under Q = I - J/N.
    """
    case, T = small(name, effects, w), 3
    n, left = len(case.W), dense.basis(T).T if effects == "twoway" else np.eye(T)
    B, big, Q = (
        np.kron(left, np.eye(n)),
        np.kron(np.eye(len(left)), case.W),
        np.kron(np.eye(len(left)), dense.demeaner(n)),
    )
    X = np.column_stack(
        [
            case.X,
            *([dense.lag(case.W, case.X[:, [1]], T)] if name == "SLX" else []),
            dense.dummies("period", n, T),
        ]
    )
    y, Z = B @ case.y, B @ X
    fitted = Z @ np.linalg.pinv(Z)
    e, nu, A = y - fitted @ y, len(left) * (n - 1), Q @ big @ Q
    s2, shift = e @ e / nu, -np.trace(A)
    trace = np.trace(A @ A + A.T @ A) - 2 * shift**2 / nu
    through = big @ fitted @ y
    information = through @ (through - fitted @ through) / s2 + trace
    exact = lagrange.combine(e @ big @ e / s2 + shift, e @ big @ y / s2 + shift, trace, information)
    np.testing.assert_allclose(
        [one.statistic for one in so.lm_tests(case.model())], exact, rtol=1e-8
    )


@pytest.mark.verify
@pytest.mark.parametrize("effects", ["period", "twoway"])
def test_transformed_tests_keep_their_size_with_any_weights(effects, small):
    """Large period effects, no spatial dependence, weights of several row sums: 5 % at 5 %, of
    1,000 panels of 25 units x 6 periods.
    """
    near = knn(25, 4)
    weights = so.Weights(near * np.random.default_rng(8).uniform(0.2, 2.0, near.shape))
    model, rng, p = replicates.model("OLS", effects, weights, (6, 2)), np.random.default_rng(1), []
    for _ in range(1000):
        fixed = (
            2 * rng.standard_normal(6)[:, None]
            + (effects == "twoway") * rng.standard_normal(25)[None]
        )
        x = rng.standard_normal((6, 25, 2)) + 0.5 * fixed[:, :, None]
        noisy = replicates.on(model, x @ [1.0, -0.5] + fixed + rng.standard_normal((6, 25)), x)
        p.append([one.p_value for one in so.lm_tests(noisy)])
    assert (
        np.abs((np.array(p) < 0.05).mean(axis=0) - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / 1000)
    ).all()


@pytest.mark.parametrize("w", ["knn", "binary", "sinks"])
@pytest.mark.parametrize("over_units", [False, True])
def test_centre_is_the_mean_and_variance_of_the_quadratic_form(w, over_units, small):
    """e'We / s2 for e = Q z on J contrasts over time: its moments by draws of normal z."""
    W, J = small("OLS", "none", w).W, 2
    n = len(W)
    Q = np.eye(n) - over_units / n
    nu = J * (n - 1) if over_units else J * n
    about = lagrange.centre(
        so.Weights(W, islands="allow").matrix, multiplicity=J, over_units=over_units, nu=nu
    )
    z = np.random.default_rng(0).standard_normal((200_000, J, n)) @ Q
    ratio = np.einsum("dtn,dtn->d", z, z @ W.T) / (np.einsum("dtn,dtn->d", z, z) / nu)
    error = ratio.std() / np.sqrt(len(ratio))
    assert abs(ratio.mean() + about.shift) < 4.5 * error
    # what dividing by s2 instead of sigma^2 leaves, exactly
    expected = about.variance * nu / (nu + 2)
    assert abs(ratio.var() - expected) < 4.5 * np.sqrt(
        ((ratio - ratio.mean()) ** 2).var() / len(ratio)
    )


def test_transformed_tests_keep_their_size_where_the_direct_ones_do_not(produc):
    """Two-way effects, no spatial dependence, 48 states x 17 years, 300 panels of noise: 5 % at 5
    %, against some 12 % uncentred.
    """
    model, rng = produc("OLS", "twoway"), np.random.default_rng(1)
    shape = model.panel.y.shape
    p = {kind: [] for kind in hypothesis_tests.KINDS}
    for _ in range(300):
        panel = replace(model.panel, y=rng.standard_normal(shape))
        noisy = replace(model, problem=replace(model.problem, panel=panel))
        for kind, values in p.items():
            values.append(so.lm_tests(noisy, kind=kind).lm_error.p_value)
    rejected = {kind: np.mean(np.array(values) < 0.05) for kind, values in p.items()}
    assert abs(rejected["transformed"] - 0.05) < 3.5 * np.sqrt(0.05 * 0.95 / 300)
    assert rejected["direct"] > rejected["transformed"] + 0.02


@pytest.mark.parametrize("name", ["SAR", "SEM"])
def test_likelihood_ratios_are_twice_the_difference(name, produc, reference):
    stored = reference("produc_exact")["ml"]["twoway"]["transformed"]
    found = so.lr_test(produc(name, "twoway").fit_ml(), produc("SDM", "twoway").fit_ml())
    exact = 2 * (stored["SDM"]["loglik"] - stored[name]["loglik"])
    assert found.statistic == pytest.approx(exact, rel=1e-7)
    assert (found.df, found.name) == (4, f"LR {name} in SDM")
    assert found.p_value == pytest.approx(stats.chi2.sf(exact, 4), rel=1e-6)


def test_likelihood_ratios_of_effects_are_those_of_regressions_on_dummies(produc, reference):
    """OLS: N T log SSR, by explicit dummies; N - 1 and T - 1 degrees of freedom."""
    fits = {
        effects: produc("OLS", effects).fit_ml(method="lsdv")
        for effects in ("none", "unit", "period", "twoway")
    }
    panel = produc("OLS", "none").panel
    T, N = panel.y.shape
    unit, period = np.kron(np.ones((T, 1)), np.eye(N)), np.kron(np.eye(T), np.ones((N, 1)))
    dummies = {
        "none": np.ones((N * T, 1)),
        "unit": unit,
        "period": period,
        "twoway": np.hstack([unit, period[:, 1:]]),
    }
    x = panel.x.reshape(N * T, -1)[:, 1:]
    ssr = {}
    for effects, D in dummies.items():
        Z = np.hstack([x, D])
        ssr[effects] = np.sum(
            (panel.y.ravel() - Z @ np.linalg.lstsq(Z, panel.y.ravel(), rcond=None)[0]) ** 2
        )
    for small, large, df in (
        ("unit", "twoway", T - 1),
        ("period", "twoway", N - 1),
        ("none", "unit", N - 1),
        ("none", "twoway", N + T - 2),
    ):
        found = so.lr_test(fits[small], fits[large])
        assert found.statistic == pytest.approx(N * T * np.log(ssr[small] / ssr[large]), rel=1e-8)
        assert found.df == df


def dense_wald(ml, restriction):
    """r'(J V J')^-1 r with J by complex steps through the restriction."""
    at = ml.params.to_numpy()
    jacobian = np.array([restriction(at + 1e-30j * row).imag / 1e-30 for row in np.eye(len(at))]).T
    value = restriction(at.astype(complex)).real
    return value @ np.linalg.solve(jacobian @ ml.covariance.to_numpy() @ jacobian.T, value)


@pytest.mark.parametrize("information", ["observed", "expected"])
def test_wald_tests_are_those_of_the_restrictions_written_out(information, produc):
    ml = produc("SDM", "twoway").fit_ml(information=information)
    order = {name: i for i, name in enumerate(ml.params.index)}
    variables = list(ml.design.variables)
    theta = lambda v: np.array([v[order["W:" + name]] for name in variables])  # noqa: E731
    beta = lambda v: np.array([v[order[name]] for name in variables])  # noqa: E731
    assert so.wald_no_lag(ml).statistic == pytest.approx(dense_wald(ml, theta), rel=1e-9)
    common = dense_wald(ml, lambda v: theta(v) + v[order["rho"]] * beta(v))
    assert so.wald_common_factor(ml).statistic == pytest.approx(common, rel=1e-9)


def swamy_arora(panel, idiosyncratic, spread):
    """Coefficients and covariance of the random-effects GLS of plm, from its variance components,
    and those of the within regression.
    """
    T, N = panel.y.shape
    y, x = panel.y, panel.x[:, :, 1:]
    demeaned = x - x.mean(axis=0)
    inside, target = demeaned.reshape(N * T, -1), (y - y.mean(axis=0)).ravel()
    b = np.linalg.lstsq(inside, target, rcond=None)[0]
    s2 = np.sum((target - inside @ b) ** 2) / (N * T - N - x.shape[2])
    share = 1 - np.sqrt(idiosyncratic / (idiosyncratic + T * spread))
    Z = np.concatenate([np.ones((T, N, 1)), x], axis=2)
    quasi, response = (
        (Z - share * Z.mean(axis=0)).reshape(N * T, -1),
        (y - share * y.mean(axis=0)).ravel(),
    )
    g = np.linalg.lstsq(quasi, response, rcond=None)[0]
    s2_gls = np.sum((response - quasi @ g) ** 2) / (N * T - Z.shape[2])
    return b, s2 * np.linalg.inv(inside.T @ inside), g, s2_gls * np.linalg.inv(quasi.T @ quasi)


def test_the_statistic_of_hausman_is_plms_at_plms_estimates(produc, reference):
    """plm's random effects are Swamy-Arora's, ours maximum likelihood: the same quadratic form at
    its estimates is its statistic.
    """
    stored = reference("produc_r")
    sigma2 = stored["plm"]["random_individual"]["sigma2"]
    b, V, g, U = swamy_arora(produc("OLS", "random").panel, sigma2["idios"], sigma2["id"])
    np.testing.assert_allclose(
        g, list(stored["plm"]["random_individual"]["coef"].values()), rtol=1e-8
    )
    fixed, random = produc("OLS", "unit").fit_ml(), produc("OLS", "random").fit_ml()
    terms = list(fixed.design.terms)
    at = {name: one.set_axis(terms) for name, one in (("b", pd.Series(b)), ("g", pd.Series(g[1:])))}
    fixed = replace(fixed, params=at["b"], root=np.linalg.cholesky(V))
    random = replace(random, params=at["g"], root=np.linalg.cholesky(U[1:, 1:]))
    found = so.hausman(fixed, random)
    assert found.statistic == pytest.approx(
        stored["hausman"]["hausman_individual"]["stat"], rel=1e-6
    )
    assert found.p_value == pytest.approx(stored["hausman"]["hausman_individual"]["p"], rel=1e-6)
    assert found.df == 4


def test_the_spatial_hausman_of_splm_is_the_size_of_a_negative_statistic(produc, reference):
    """splm: N T observations within, for random effects a covariance given rho, and the absolute
    value of the difference.
    """
    fixed = produc("SAR", "unit").fit_ml(method="direct", information="expected")
    random = produc("SAR", "random").fit_ml()
    terms = list(random.design.terms)
    information = np.linalg.inv(random.covariance.to_numpy())[: len(terms), : len(terms)]
    given = replace(
        random, params=random.params[terms], root=np.linalg.cholesky(np.linalg.inv(information))
    )
    found = so.hausman(fixed, given)
    # splm's optimiser
    assert found.statistic == pytest.approx(
        -reference("produc_r")["hausman"]["splm_lag"]["stat"], rel=1e-4
    )
    assert np.isnan(found.p_value)
    assert "negative" in found.note
    assert "negative" in repr(found)


def test_mundlak_beside_hausman_is_the_wald_test_of_the_means(produc):
    found = so.hausman(produc("SDM", "unit").fit_ml(), produc("SDM", "random").fit_ml())
    (mundlak,) = found.beside
    correlated = produc("SDM", "correlated_random").fit_ml()
    means = [term for term in correlated.params.index if term.startswith("mean(")]
    assert len(means) == 8
    value = correlated.params[means].to_numpy()
    exact = value @ np.linalg.solve(correlated.covariance.loc[means, means], value)
    assert mundlak.statistic == pytest.approx(exact, rel=1e-9)
    assert (mundlak.name, mundlak.df) == ("Mundlak", 8)


def test_results_print_as_rows(city):
    lines = repr(so.lm_tests(city("OLS"))).splitlines()
    assert [line.split()[0] for line in lines] == list(LM)
    assert "chi2(2) = 7.8892" in lines[-1]


def other_random(formula, standard):
    """A SAR of the states with random effects, but with other regressors or other weights."""
    frame, contiguity = so.munnell()
    weights = contiguity.spectral_standardize() if standard else contiguity.row_standardize()
    terms = formula or FORMULA.partition("~")[2]
    return so.SAR(
        f"np.log(gsp) ~ {terms}", frame, weights, effects="random", unit="state", period="year"
    ).fit_ml()


def quasi(name):
    """A model of the states with period effects and contiguity as it is, rows of several sums."""
    return getattr(so, name)(
        FORMULA, *so.munnell(), effects="period", unit="state", period="year"
    ).fit_ml()


REFUSED = {
    "a quasi-likelihood": (
        lambda p, c: so.lr_test(quasi("SAR"), quasi("SDM")),
        "not a density: SAR has no likelihood ratio",
    ),
    "a quasi-likelihood beside least squares": (
        lambda p, c: so.spatial_hausman(quasi("OLS"), quasi("SEM")),
        "row-standardise",
    ),
    "another kind": (lambda p, c: so.lm_tests(p("OLS", "unit"), kind="robust"), "'robust'"),
    "a fit in the place of a model": (
        lambda p, c: so.lm_tests(c("OLS").fit_ml()),
        "before it is fitted",
    ),
    "residuals of a spatial lag": (lambda p, c: so.lm_tests(c("SAR")), "OLS or an SLX"),
    "a model in the place of a fit": (
        lambda p, c: so.lr_test(c("SAR"), c("SDM").fit_ml()),
        "model.fit_ml",
    ),
    "a model in the place of a fit, again": (lambda p, c: so.wald_no_lag(c("SDM")), "model.fit_ml"),
    "periods in one fit only": (
        lambda p, c: so.hausman(p("SAR", "twoway").fit_ml(), p("SAR", "random").fit_ml()),
        "C\\(period\\)",
    ),
    "other regressors": (
        lambda p, c: so.hausman(p("SAR", "unit").fit_ml(), other_random("unemp", None)),
        "one formula",
    ),
    "other weights": (
        lambda p, c: so.hausman(p("SAR", "unit").fit_ml(), other_random(None, "spectral")),
        "different weights",
    ),
    "random effects": (lambda p, c: so.lm_tests(p("OLS", "random")), "fixed effects"),
    "the larger model first": (
        lambda p, c: so.lr_test(c("SDM").fit_ml(), c("SAR").fit_ml()),
        "smaller model first",
    ),
    "models that do not nest": (
        lambda p, c: so.lr_test(c("SAR").fit_ml(), c("SEM").fit_ml()),
        "not a restriction",
    ),
    "no common factor": (
        lambda p, c: so.lr_test(
            *(
                make(
                    "np.log(gsp) ~ unemp",
                    *so.munnell(),
                    effects="none",
                    unit="state",
                    period="year",
                ).fit_ml()
                for make in (so.SEM, so.SDM)
            )
        ),
        "rows of W sum to one",
    ),
    "effects by the transformed likelihood": (
        lambda p, c: so.lr_test(p("SAR", "unit").fit_ml(), p("SAR", "twoway").fit_ml()),
        "method='lsdv'",
    ),
    "two methods": (
        lambda p, c: so.lr_test(
            p("SAR", "unit").fit_ml(), p("SDM", "unit").fit_ml(method="direct")
        ),
        "method='transformed'",
    ),
    "two data sets": (
        lambda p, c: so.lr_test(p("SAR", "none").fit_ml(), c("SDM").fit_ml()),
        "different data",
    ),
    "no lags": (lambda p, c: so.wald_no_lag(c("SAR").fit_ml()), "no lagged regressors"),
    "no rho": (lambda p, c: so.wald_common_factor(c("SDEM").fit_ml()), "no rho"),
    "fixed effects twice": (
        lambda p, c: so.hausman(p("SAR", "unit").fit_ml(), p("SAR", "unit").fit_ml()),
        "'random'",
    ),
    "a spatial Hausman test of other models": (
        lambda p, c: so.spatial_hausman(c("OLS").fit_ml(), c("SAR").fit_ml()),
        "OLS and SEM",
    ),
    "two models": (
        lambda p, c: so.hausman(p("SAR", "unit").fit_ml(), p("OLS", "random").fit_ml()),
        "same model",
    ),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_compare_is_refused_by_name(what, produc, city):
    call, culprit = REFUSED[what]
    with pytest.raises(so.SpecificationError, match=culprit):
        call(produc, city)
