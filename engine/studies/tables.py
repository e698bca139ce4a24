"""The tables of a study, unrounded."""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.results import PARAMETERS
from spillover.engine.sweeps.chunk import EFFECTS
from spillover.engine.whole import arviz
from spillover.models.design import INTERCEPT, LAG, MEAN
from spillover.models.effects import QUASI

if TYPE_CHECKING:
    from spillover.engine.studies.study import Study

LEVELS = {"2.5 %": 0.025, "97.5 %": 0.975}
SPATIAL = {"rho": "Spatial", "lam": "Spatial", "sigma_alpha": "Variance", "sigma": "Variance"}
NO_MAXIMUM = (
    "no maximum-likelihood estimate: the likelihood rises to the end of the admissible interval"
)
BLOCKS = ("Main", "Wx", "Means", "Periods", "Spatial", "Variance")


def tables(study: "Study") -> dict[str, pd.DataFrame]:
    """Every table of the report by name."""
    found = {"data": summary(study), "filled": study.filled.cells.set_index("unit")}
    for name, index in study.indices.items():
        found[f"index_{slug(name)}"] = index.table
        if len(index.dimensions):
            found[f"dimensions_{slug(name)}"] = index.dimensions
    if study.indices:
        found["index_by_period"] = by_period(study)
    found |= {"weights": weights(study), "moran_by_weights": study.moran_by_weights}
    for name in study.moran:
        found[f"moran_{slug(name)}"] = study.moran[name].table
        found[f"local_{slug(name)}"] = study.local[name].table
    found |= {
        "tests": study.selection.steps,
        "coefficients": coefficients(study),
        "impacts": impacts(study),
    }
    if len(study.selection.common_factor):
        found["common_factor"] = study.selection.common_factor
    if study.alternatives:
        found |= {
            "alternatives": alternatives(study.alternatives),
            "fit_statistics": fit_statistics(study.alternatives),
        }
        found["alternative_impacts"] = alternative_impacts(study.alternatives)
    found |= {"sampler": sampler(study), "diagnostics": diagnostics(study)}
    found |= {"sensitivity": sensitivity(study), "conclusions": study.robustness.conclusions()}
    if study.plan.truth:
        found["truth"] = truth(study)
    return found


def slug(name: Any) -> str:
    """A name as a part of a file's name.

    >>> slug("np.log(GSP)")
    'np_log_gsp'
    """
    return re.sub(r"[^a-z0-9]+", "_", str(name).lower()).strip("_")


def summary(study: "Study") -> pd.DataFrame:
    """Count, missing values before they were filled, mean, sd and range of every numeric column."""
    columns = [
        name
        for name in study.frame.select_dtypes("number").columns
        if name not in (study.plan.unit, study.plan.period)
    ]
    used = study.frame[columns]
    gaps = (
        study.plan.frame.reindex(columns=columns)
        .isna()
        .sum()
        .where([name in study.plan.frame.columns for name in columns], 0)
    )
    described = pd.DataFrame(
        {
            "n": used.count(),
            "missing": gaps.astype(int),
            "mean": used.mean(),
            "sd": used.std(ddof=1),
        }
    )
    return described.assign(minimum=used.min(), maximum=used.max()).rename_axis("variable")


def by_period(study: "Study") -> pd.DataFrame:
    """Mean, sd, smallest and largest of each composite index over the units, by period."""
    grouped = {
        name: study.frame.groupby(study.plan.period)[name].agg(["mean", "std", "min", "max"])
        for name in study.indices
    }
    return pd.concat(grouped, axis=1).rename(columns={"std": "sd"}, level=1)


def weights(study: "Study") -> pd.DataFrame:
    """The weights: links, neighbours, interval of rho, mean of Moran's I of y over the periods,
    posterior probability over all models.
    """
    members = study.robustness.members
    probability = members.sum(
        [name for name in members.dims if name != "weights"], min_count=1
    ).to_series()
    rows = {
        name: {
            "made from": _described_weights(study.plan.weights[name]),
            "standardised": one.transform,
            "links": one.matrix.nnz,
            "mean neighbours": one.matrix.nnz / one.n,
            "lower bound": one.bounds[0],
            "upper bound": one.bounds[1],
            "mean Moran's I": study.moran_by_weights[name].mean(),
            "posterior probability": probability.get(name, np.nan),
        }
        for name, one in study.weights.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("weights")


def _described_weights(entry: Any) -> str:
    """An entry of [weights] in words.

    >>> _described_weights({"kind": "nested", "of": ["distance", "economic"], "share": 0.5})
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


def coefficients(study: "Study") -> pd.DataFrame:
    """The model's parameters by block: maximum likelihood beside the posterior."""
    ml, bayes = study.ml.summary(), posterior(study)
    joined = pd.concat({"ML": ml, "Bayes": bayes.loc[ml.index]}, axis=1)
    return blocked(joined)


def posterior(study: "Study") -> pd.DataFrame:
    """Mean, sd and quantiles of every parameter, by the names that maximum likelihood
    has for them.
    """
    found = study.fit.posterior
    draws = {str(term): found["beta"].sel(term=term) for term in found["term"].to_numpy()}
    draws |= {name: found[name] for name in PARAMETERS[1:] if name in found}
    return pd.DataFrame({name: _described(values.to_numpy()) for name, values in draws.items()}).T


def _described(draws: np.ndarray) -> dict[str, float]:
    return {"mean": float(draws.mean()), "sd": float(draws.std(ddof=1))} | {
        name: float(np.quantile(draws, level)) for name, level in LEVELS.items()
    }


def blocked(table: pd.DataFrame) -> pd.DataFrame:
    """Rows grouped as studies print them: Main, Wx, the spatial parameters, the variances."""
    head = MEAN.partition("{")[0]

    def place(term: str) -> str:
        if term in SPATIAL:
            return SPATIAL[term]
        return (
            "Wx"
            if term.startswith(LAG)
            else "Means"
            if term.startswith(head)
            else "Periods"
            if term.endswith("]")
            else "Main"
        )

    keyed = [
        (BLOCKS.index(place(term)), term == INTERCEPT, i) for i, term in enumerate(table.index)
    ]
    order = [i for *_, i in sorted(keyed)]
    labels = [(place(term), term.removeprefix(LAG)) for term in table.index[order]]
    return table.iloc[order].set_axis(pd.MultiIndex.from_tuples(labels, names=["block", "term"]))


def impacts(study: "Study") -> pd.DataFrame:
    """Direct, indirect and total impacts: maximum likelihood, with standard errors by the delta
    method, beside the posterior.
    """
    draws = study.fit.impacts()
    rows = {
        (kind, term): _described(draws[kind].sel(term=term).to_numpy())
        for kind in EFFECTS
        for term in draws["term"].to_numpy()
    }
    bayes = pd.DataFrame(rows).T.rename_axis(["impact", "term"])
    return pd.concat({"ML": study.ml.impacts().loc[bayes.index], "Bayes": bayes}, axis=1)


def alternatives(fits: Mapping[str, Any]) -> pd.DataFrame:
    """Estimates and standard errors of the models by maximum likelihood; those without an estimate
    are left out.
    """
    there = {name: fit for name, fit in fits.items() if isinstance(fit, MLFit)}
    columns = {
        name: pd.DataFrame({"estimate": fit.params, "std_error": fit.std_errors})
        for name, fit in there.items()
    }
    terms = list(dict.fromkeys(term for table in columns.values() for term in table.index))
    return blocked(
        pd.concat({name: table.reindex(terms) for name, table in columns.items()}, axis=1)
    )


def alternative_impacts(fits: Mapping[str, Any]) -> pd.DataFrame:
    """Impacts of the models by maximum likelihood, with standard errors by the delta method: what
    compares, since coefficients do not.
    """
    there = {name: fit.impacts() for name, fit in fits.items() if isinstance(fit, MLFit)}
    return pd.concat(
        {name: table[["estimate", "std_error"]] for name, table in there.items()}, axis=1
    )


def r_squared(fit: MLFit) -> float:
    """1 - e'e / y'y of the data after the effects, about their mean where there are none; e the
    residuals of the model's own equation. NaN with random effects.
    """
    if fit.spec.random:
        return float("nan")
    factor, parts = fit.problem.factor
    y = factor[:, parts.index("y")]
    terms = list(fit.design.terms)
    mean = factor[:, terms.index(INTERCEPT)] @ y / fit.nu if INTERCEPT in terms else 0.0
    return float(1 - fit.nu * fit.params["sigma"] ** 2 / (y @ y - fit.nu * mean**2))


def fit_statistics(fits: Mapping[str, Any]) -> pd.DataFrame:
    """Log-likelihood, information criteria, sigma^2, R^2, observations; NaN for a model without an
    estimate, and of a quasi-likelihood, whose note says so.
    """
    none = dict.fromkeys(("log-likelihood", "AIC", "BIC", "sigma^2", "R^2", "observations"), np.nan)
    rows = {
        name: (
            {
                "log-likelihood": np.nan if fit.quasi else fit.loglik,
                "AIC": fit.aic,
                "BIC": fit.bic,
                "sigma^2": fit.params["sigma"] ** 2,
                "R^2": r_squared(fit),
                "observations": fit.nu,
                "note": QUASI if fit.quasi else "",
            }
            if isinstance(fit, MLFit)
            else none | {"note": NO_MAXIMUM}
        )
        for name, fit in fits.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def diagnostics(study: "Study") -> pd.DataFrame:
    """Effective sample sizes, R-hat and Monte Carlo errors of the parameters."""
    return (
        arviz("stats")
        .summary(study.fit.posterior, kind="diagnostics", round_to="none")
        .rename_axis("parameter")
    )


def sampler(study: "Study") -> pd.DataFrame:
    """How the posterior was drawn, and the worst of its diagnostics."""
    stats, found = study.fit.tree["sample_stats"], diagnostics(study)
    values = {
        "chains": study.fit.posterior.sizes["chain"],
        "draws a chain": study.fit.posterior.sizes["draw"],
        "divergences": int(stats["diverging"].sum()),
        "mean acceptance rate": float(stats["acceptance_rate"].mean()),
        "largest R-hat": float(found["r_hat"].max()),
        "smallest bulk ESS": float(found["ess_bulk"].min()),
        "smallest tail ESS": float(found["ess_tail"].min()),
    }
    return pd.DataFrame({"value": values}).rename_axis("NUTS")


def sensitivity(study: "Study") -> pd.DataFrame:
    """A row for each W and model: evidence, posterior probability, posterior medians of the spatial
    parameters and of the total impacts, and where some members have no evidence a note that says
    why.
    """
    swept = study.robustness
    dims = [str(name) for name in swept.members.dims]
    scores = swept.summary[["log_marginal_likelihood", "posterior_probability"]].to_dataframe(
        dim_order=dims
    )
    spatial = [name for name in ("rho", "lam") if name in swept.summary["parameter"].to_numpy()]
    medians = {
        name: swept.summary["quantile"].sel(parameter=name, level=0.5, drop=True)
        for name in spatial
    }
    totals = swept.impacts["total"].sel(statistic="0.5", drop=True)
    medians |= {
        f"total {term}": totals.sel(term=term, drop=True) for term in totals["term"].to_numpy()
    }
    columns = {
        name: values.to_dataframe("value", dim_order=dims)["value"]
        for name, values in medians.items()
    }
    if len(swept.notes):
        columns["note"] = swept.to_frame()["note"]
    return pd.concat([scores, pd.DataFrame(columns)], axis=1).droplevel("effects")


def truth(study: "Study") -> pd.DataFrame:
    """The true coefficients of simulated data beside the estimates: how many standard errors off,
    and whether the interval holds them.
    """
    found = coefficients(study)
    blocks = {
        name: SPATIAL.get(name, "Wx" if name.startswith(LAG) else "Main")
        for name in study.plan.truth
    }
    labels = {name: (block, name.removeprefix(LAG)) for name, block in blocks.items()}
    rows = found.loc[[label for label in labels.values() if label in found.index]]
    real = pd.Series({label: study.plan.truth[name] for name, label in labels.items()}).loc[
        rows.index
    ]
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
