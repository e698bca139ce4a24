"""The tables of a study, unrounded, each made by a function from the findings."""

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from spillover.engine.arviz_parts import load_arviz
from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.results import PARAMETERS
from spillover.engine.studies.findings import Findings
from spillover.engine.sweeps.chunk import EFFECTS
from spillover.kernels.errors import ConvergenceError
from spillover.models.design import INTERCEPT, LAG, MEAN
from spillover.models.effects import QUASI

LEVELS = {"2.5 %": 0.025, "97.5 %": 0.975}
SPATIAL = {"rho": "Spatial", "lam": "Spatial", "sigma_alpha": "Variance", "sigma": "Variance"}
BLOCKS = ("Main", "Wx", "Means", "Periods", "Spatial", "Variance")
NO_MAXIMUM = (
    "no maximum-likelihood estimate: the likelihood rises to the end of the admissible interval"
)
MLFits = Mapping[str, MLFit | ConvergenceError]  # by name of the model; an error: no estimate


def make_tables(findings: Findings) -> dict[str, pd.DataFrame]:
    """Every table of the report, by the name of its file, in the order of the report."""
    tables = _tabulate_data(findings) | {
        "weights": tabulate_weights(findings),
        "moran_by_weights": findings.moran_by_weights,
    }
    for name, panel in findings.moran.items():
        tables[f"moran_{slugify(name)}"] = panel.table
        tables[f"local_{slugify(name)}"] = findings.local[name].table
    tables |= {
        "tests": findings.selection.steps,
        "coefficients": tabulate_coefficients(findings),
        "impacts": tabulate_impacts(findings),
    }
    if len(findings.selection.common_factor):
        tables["common_factor"] = findings.selection.common_factor
    if findings.alternatives:
        tables |= {
            "alternatives": tabulate_alternatives(findings.alternatives),
            "fit_statistics": tabulate_fit_statistics(findings.alternatives),
            "alternative_impacts": tabulate_alternative_impacts(findings.alternatives),
        }
    tables |= {
        "sampler": summarise_sampler(findings),
        "diagnostics": tabulate_diagnostics(findings),
        "sensitivity": tabulate_sensitivity(findings),
        "conclusions": findings.robustness.conclusions(),
    }
    if findings.plan.truth:
        tables["truth"] = compare_with_truth(findings)
    return tables


def _tabulate_data(findings: Findings) -> dict[str, pd.DataFrame]:
    """The tables of the variables, of the cells filled and of the composite indices."""
    tables = {
        "data": summarise_variables(findings),
        "filled": findings.filled.cells.set_index("unit"),
    }
    for name, index in findings.indices.items():
        tables[f"index_{slugify(name)}"] = index.table
        if len(index.dimensions):
            tables[f"dimensions_{slugify(name)}"] = index.dimensions
    if findings.indices:
        tables["index_by_period"] = summarise_indices(findings)
    return tables


def slugify(name: Any) -> str:
    """A name as part of a file name: lower-case letters, digits and underscores.

    >>> slugify("np.log(GSP)")
    'np_log_gsp'
    """
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def summarise_variables(findings: Findings) -> pd.DataFrame:
    """Count, gaps before they were filled, mean, sd and range of every numeric column."""
    plan = findings.plan
    numeric = findings.frame.select_dtypes("number")
    used = numeric[[name for name in numeric.columns if name not in (plan.unit, plan.period)]]
    # a composite index is not among the columns that were read: it has no gaps there
    gaps = plan.frame.reindex(columns=used.columns).isna().sum()
    gaps = gaps.where(used.columns.isin(plan.frame.columns), 0)
    return pd.DataFrame(
        {
            "n": used.count(),
            "missing": gaps.astype(int),
            "mean": used.mean(),
            "sd": used.std(ddof=1),
            "minimum": used.min(),
            "maximum": used.max(),
        }
    ).rename_axis("variable")


def summarise_indices(findings: Findings) -> pd.DataFrame:
    """Mean, sd and range of each composite index over the units, by period."""
    grouped = {
        name: findings.frame.groupby(findings.plan.period)[name].agg(["mean", "std", "min", "max"])
        for name in findings.indices
    }
    return pd.concat(grouped, axis=1).rename(columns={"std": "sd"}, level=1)


def tabulate_weights(findings: Findings) -> pd.DataFrame:
    """A row for each W: how it was made, its links, its bounds, and how probable it is.

    The bounds are those of rho; Moran's I is that of y, its mean over the periods; the posterior
    probability is summed over the models of the sweep.
    """
    members = findings.robustness.members
    probability = members.sum(
        [name for name in members.dims if name != "weights"], min_count=1
    ).to_series()
    rows = {
        name: {
            "made from": _describe_weights(findings.plan.weights[name]),
            "standardised": one.transform,
            "links": one.matrix.nnz,
            "mean neighbours": one.matrix.nnz / one.n,
            "lower bound": one.bounds[0],
            "upper bound": one.bounds[1],
            "mean Moran's I": findings.moran_by_weights[name].mean(),
            "posterior probability": probability.get(name, np.nan),
        }
        for name, one in findings.weights.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("weights")


def _describe_weights(entry: Any) -> str:
    """An entry of [weights] in words.

    >>> _describe_weights({"kind": "nested", "of": ["distance", "economic"], "share": 0.5})
    'nested, of distance + economic, share 0.5'
    """
    if isinstance(entry, str):
        return entry
    left_out = ("kind", "standardize", "islands", "coordinates", "geometry")
    said = [
        f"{key} {' + '.join(map(str, value)) if isinstance(value, list) else value}"
        for key, value in entry.items()
        if key not in left_out
    ]
    return ", ".join([*([entry["kind"]] if "kind" in entry else []), *said])


def tabulate_coefficients(findings: Findings) -> pd.DataFrame:
    """The model's parameters by block: maximum likelihood beside the posterior."""
    ml, bayes = findings.ml.summary(), summarise_posterior(findings)
    joined = pd.concat({"ML": ml, "Bayes": bayes.loc[ml.index]}, axis=1)
    return group_by_block(joined)


def summarise_posterior(findings: Findings) -> pd.DataFrame:
    """Mean, sd and quantiles of every parameter, named as in the maximum-likelihood fit."""
    posterior = findings.fit.posterior
    draws = {str(term): posterior["beta"].sel(term=term) for term in posterior["term"].to_numpy()}
    draws |= {name: posterior[name] for name in PARAMETERS[1:] if name in posterior}
    rows = {name: _summarise_draws(values.to_numpy()) for name, values in draws.items()}
    return pd.DataFrame(rows).T


def _summarise_draws(draws: np.ndarray) -> dict[str, float]:
    return {"mean": float(draws.mean()), "sd": float(draws.std(ddof=1))} | {
        name: float(np.quantile(draws, level)) for name, level in LEVELS.items()
    }


def group_by_block(table: pd.DataFrame) -> pd.DataFrame:
    """The rows of a table of parameters in the order of `BLOCKS`, the intercept last in its own.

    >>> table = pd.DataFrame({"x": [1, 2, 3]}, index=["rho", "W:unemp", "unemp"])
    >>> group_by_block(table).index.to_list()
    [('Main', 'unemp'), ('Wx', 'unemp'), ('Spatial', 'rho')]
    """
    keyed = [
        (BLOCKS.index(_find_block(term)), term == INTERCEPT, i)
        for i, term in enumerate(table.index)
    ]
    order = [i for *_, i in sorted(keyed)]
    labels = [(_find_block(term), term.removeprefix(LAG)) for term in table.index[order]]
    return table.iloc[order].set_axis(pd.MultiIndex.from_tuples(labels, names=["block", "term"]))


def _find_block(term: str) -> str:
    """The block of a parameter."""
    if term in SPATIAL:
        return SPATIAL[term]
    if term.startswith(LAG):
        return "Wx"
    if term.startswith(MEAN.partition("{")[0]):
        return "Means"
    return "Periods" if term.endswith("]") else "Main"


def tabulate_impacts(findings: Findings) -> pd.DataFrame:
    """Direct, indirect and total impacts: maximum likelihood beside the posterior.

    The standard errors of maximum likelihood are by the delta method.
    """
    draws = findings.fit.impacts()
    rows = {
        (kind, term): _summarise_draws(draws[kind].sel(term=term).to_numpy())
        for kind in EFFECTS
        for term in draws["term"].to_numpy()
    }
    bayes = pd.DataFrame(rows).T.rename_axis(["impact", "term"])
    return pd.concat({"ML": findings.ml.impacts().loc[bayes.index], "Bayes": bayes}, axis=1)


def tabulate_alternatives(fits: MLFits) -> pd.DataFrame:
    """Estimates and standard errors of the models; those without an estimate are left out."""
    columns = {
        name: pd.DataFrame({"estimate": fit.params, "std_error": fit.std_errors})
        for name, fit in fits.items()
        if isinstance(fit, MLFit)
    }
    terms = list(dict.fromkeys(term for table in columns.values() for term in table.index))
    return group_by_block(
        pd.concat({name: table.reindex(terms) for name, table in columns.items()}, axis=1)
    )


def tabulate_alternative_impacts(fits: MLFits) -> pd.DataFrame:
    """Impacts of the models with standard errors by the delta method.

    Impacts can be compared between models; coefficients cannot, since rho multiplies them.
    """
    columns = {
        name: fit.impacts()[["estimate", "std_error"]]
        for name, fit in fits.items()
        if isinstance(fit, MLFit)
    }
    return pd.concat(columns, axis=1)


def compute_r_squared(fit: MLFit) -> float:
    """R^2 = 1 - e'e / y'y of the data after the effects; NaN with random effects.

    e are the residuals of the model's own equation. Without effects, y is taken about its mean.
    """
    if fit.spec.random:
        return float("nan")
    factor, parts = fit.problem.factor
    y = factor[:, parts.index("y")]
    terms = list(fit.design.terms)
    mean = factor[:, terms.index(INTERCEPT)] @ y / fit.nu if INTERCEPT in terms else 0.0
    return float(1 - fit.nu * fit.params["sigma"] ** 2 / (y @ y - fit.nu * mean**2))


def tabulate_fit_statistics(fits: MLFits) -> pd.DataFrame:
    """Log-likelihood, information criteria, sigma^2, R^2 and observations, a row for each model.

    NaN where a model has no estimate or its likelihood is not a density; the note says which.
    """
    rows = {name: _measure_fit(fit) for name, fit in fits.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _measure_fit(fit: MLFit | ConvergenceError) -> dict[str, Any]:
    if not isinstance(fit, MLFit):
        numbers = ("log-likelihood", "AIC", "BIC", "sigma^2", "R^2", "observations")
        return dict.fromkeys(numbers, np.nan) | {"note": NO_MAXIMUM}
    return {
        "log-likelihood": np.nan if fit.quasi else fit.loglik,
        "AIC": fit.aic,
        "BIC": fit.bic,
        "sigma^2": fit.params["sigma"] ** 2,
        "R^2": compute_r_squared(fit),
        "observations": fit.nu,
        "note": QUASI if fit.quasi else "",
    }


def tabulate_diagnostics(findings: Findings) -> pd.DataFrame:
    """Effective sample sizes, R-hat and Monte Carlo errors of the parameters."""
    return (
        load_arviz("stats")
        .summary(findings.fit.posterior, kind="diagnostics", round_to="none")
        .rename_axis("parameter")
    )


def summarise_sampler(findings: Findings) -> pd.DataFrame:
    """How the posterior was drawn, and the worst of its diagnostics."""
    stats, sizes = findings.fit.tree["sample_stats"], findings.fit.posterior.sizes
    worst = tabulate_diagnostics(findings).agg(["min", "max"])
    values = {
        "chains": sizes["chain"],
        "draws a chain": sizes["draw"],
        "divergences": int(stats["diverging"].sum()),
        "mean acceptance rate": float(stats["acceptance_rate"].mean()),
        "largest R-hat": float(worst.loc["max", "r_hat"]),
        "smallest bulk ESS": float(worst.loc["min", "ess_bulk"]),
        "smallest tail ESS": float(worst.loc["min", "ess_tail"]),
    }
    return pd.DataFrame({"value": values}).rename_axis("NUTS")


def tabulate_sensitivity(findings: Findings) -> pd.DataFrame:
    """A row for each W and model of the sweep: its evidence and its posterior medians.

    Columns: log marginal likelihood, posterior probability, rho, lambda and the total impact of
    every regressor; and, where some members have no evidence, a note that says why.
    """
    out = findings.robustness
    dims = [str(name) for name in out.members.dims]
    scores = out.summary[["log_marginal_likelihood", "posterior_probability"]].to_dataframe(
        dim_order=dims
    )
    spatial = [name for name in ("rho", "lam") if name in out.summary["parameter"].to_numpy()]
    medians = {
        name: out.summary["quantile"].sel(parameter=name, level=0.5, drop=True) for name in spatial
    }
    totals = out.impacts["total"].sel(statistic="0.5", drop=True)
    medians |= {
        f"total {term}": totals.sel(term=term, drop=True) for term in totals["term"].to_numpy()
    }
    columns = {
        name: values.to_dataframe("value", dim_order=dims)["value"]
        for name, values in medians.items()
    }
    if len(out.notes):
        columns["note"] = out.to_frame()["note"]
    return pd.concat([scores, pd.DataFrame(columns)], axis=1).droplevel("effects")


def compare_with_truth(findings: Findings) -> pd.DataFrame:
    """The true coefficients of simulated data beside the estimates.

    Columns give the error of the estimate in standard errors, and whether the posterior's 95 %
    interval covers the truth.
    """
    coefficients = tabulate_coefficients(findings)
    real = pd.Series(
        {
            (SPATIAL.get(name, "Wx" if name.startswith(LAG) else "Main"), name.removeprefix(LAG)): x
            for name, x in findings.plan.truth.items()
        }
    )
    # a parameter that the model lacks has a true value, but no row
    real = real[[label in coefficients.index for label in real.index]]
    rows = coefficients.loc[list(real.index)]
    ml, bayes = rows["ML"], rows["Bayes"]
    return pd.DataFrame(
        {
            "truth": real,
            "ML estimate": ml["estimate"],
            "std_error": ml["std_error"],
            "off by (std errors)": (ml["estimate"] - real) / ml["std_error"],
            "posterior mean": bayes["mean"],
            "2.5 %": bayes["2.5 %"],
            "97.5 %": bayes["97.5 %"],
            "inside": (bayes["2.5 %"] <= real) & (real <= bayes["97.5 %"]),
        }
    )
