"""A study as a report: its tables and pictures in order, with what they say in words."""

import platform
from dataclasses import replace
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from spillover.engine.estimation import plots as fit_plots
from spillover.engine.estimation.ml import MLFit
from spillover.engine.exploration import plots as explore_plots
from spillover.engine.reporting.page import Picture, Report, Section, Table
from spillover.engine.studies import plots as study_plots
from spillover.engine.studies.tables import NO_MAXIMUM, slug
from spillover.models.effects import QUASI

if TYPE_CHECKING:
    from spillover.engine.studies.study import Study

PACKAGES = ("spillover", "jax", "numpyro", "numpy", "scipy", "pandas", "xarray", "arviz-stats")
ODDS = (
    "LM tests are of the transformed data, with period effects centred; R's splm demeans and does"
    " not centre (lm_tests(kind='direct')). probability_of_null: posterior probability of the first"
    " of the two models under the default priors, both equally likely before; it weighs the size of"
    " the larger model's parameter space, which a p-value does not, so the two may disagree."
)
EQUATIONS = {
    "OLS": "y_t = X_t beta",
    "SLX": "y_t = X_t beta + W X_t theta",
    "SAR": "y_t = rho W y_t + X_t beta",
    "SEM": "y_t = X_t beta",
    "SDM": "y_t = rho W y_t + X_t beta + W X_t theta",
    "SDEM": "y_t = X_t beta + W X_t theta",
    "SAC": "y_t = rho W y_t + X_t beta",
    "GNS": "y_t = rho W y_t + X_t beta + W X_t theta",
}
CONCLUSIONS = (
    "lowest, highest: of the posterior means. positive: share of the members whose mean is above 0;"
    " significantly: whose 95 % interval lies beyond 0; without W y and W X the indirect impact is"
    " 0. probability_positive: averaged by the posterior probabilities."
)
FIXED = {"none": "", "unit": " + alpha", "period": " + xi_t", "twoway": " + alpha + xi_t"}


def report(study: "Study") -> Report:
    """The report: data, weights, exploration, tests, estimates, impacts, diagnostics, sensitivity
    and, of simulated data, the truth.
    """
    makers = (
        _data,
        _weights,
        _exploration,
        _tests,
        _estimates,
        _impacts,
        _diagnostics,
        _robustness,
        _truth,
    )
    sections = tuple(section for maker in makers if (section := maker(study)) is not None)
    t, n = study.model.panel.y.shape
    lead = (
        f"{study.plan.note.strip()} {n} units, {t} periods; {study.model.spec.name} with"
        f" {study.model.spec.effects} effects."
    )
    return Report(study.plan.title, lead.strip(), sections, about(study))


def about(study: "Study") -> dict[str, str]:
    """Versions, seeds, and the SHA-256 of the panel and of W: what it takes to do it again, and to
    know that it is the same.
    """
    found = {name: version(name) for name in PACKAGES}
    settings = (
        ", ".join(f"{name} {value}" for name, value in study.plan.sampler.items()) or "defaults"
    )
    digests = {
        "data SHA-256": study.fit.tree.attrs["data_sha256"],
        "W SHA-256": study.fit.tree.attrs["weights_sha256"],
    }
    given = {"seed": str(study.plan.seed), "formula": study.plan.formula, "sampler": settings}
    return {**given, "Python": platform.python_version(), **found, **digests}


def _table(study: "Study", name: str, title: str, note: str = "") -> Table:
    return Table(name, title, study.tables[name], note)


def _data(study: "Study") -> Section:
    cells = study.filled.cells
    words = [
        f"{len(study.frame)} rows. {len(cells)} cells were missing"
        + (" and filled within their units." if len(cells) else ".")
    ]
    parts: list[Table | Picture] = [_table(study, "data", "The variables, gaps filled")]
    if len(cells):
        note = (
            "interpolated: on the straight line between the unit's neighbouring periods;"
            " extrapolated: on that of its two nearest."
        )
        parts.append(_table(study, "filled", "Cells that were filled", note))
    for name in study.indices:
        note = (
            "Entropy method, all units and periods together: w_j = (1 - e_j) / sum (1 - e_j),"
            " indicators rescaled to [0, 1]."
        )
        parts.append(
            _table(study, f"index_{slug(name)}", f"Weights of the indicators of {name}", note)
        )
        if f"dimensions_{slug(name)}" in study.tables:
            parts.append(
                _table(study, f"dimensions_{slug(name)}", f"Weights of the dimensions of {name}")
            )
    if study.indices:
        parts.append(
            _table(study, "index_by_period", "The composite indices over the units, by period")
        )
        figure = study_plots.trajectories(
            study.frame, list(study.indices), unit=study.plan.unit, period=study.plan.period
        )
        note = "Grey: units; blue: those that end highest and lowest; red: the mean."
        parts.append(
            Picture("trajectories", "The composite indices of every unit by period", figure, note)
        )
    return Section("Data and indices", tuple(words), tuple(parts))


def _weights(study: "Study") -> Section:
    table = study.tables["weights"]
    best, most = table["posterior probability"].idxmax(), table["posterior probability"].max()
    words = (
        f"The models below use {study.plan.main}.",
        (
            f"Of {len(table)} weight matrices the data prefer {best}: posterior probability"
            f" {_share(most)}, summed over the models of the section on sensitivity."
        ),
    )
    note = (
        "Bounds: the interval of rho that W admits. Moran's I: of the response, mean over the"
        " periods."
    )
    parts = (
        _table(study, "weights", "Weight matrices", note),
        _table(study, "moran_by_weights", "Moran's I of the response by weights"),
    )
    return Section("Weights", words, parts)


def _share(probability: float) -> str:
    return "above 0.999" if probability > 0.999 else f"{probability:.3f}"


def _exploration(study: "Study") -> Section:
    words: list[str] = []
    parts: list[Table | Picture] = []
    for name, panel in study.moran.items():
        table, found, key = panel.table, study.local[name], slug(name)
        significant = int((table["p_permutation"].fillna(table["p"]) < 0.05).sum())
        low, high = table["I"].min(), table["I"].max()
        words.append(
            f"{name}: Moran's I from {low:.3f} to {high:.3f}, significant at 5 % in {significant}"
            f" of {len(table)} periods."
        )
        last = f"{name}, {panel.periods[-1]}"
        drawn = (
            "Against positive autocorrelation: p under randomisation, p_permutation by"
            f" {panel.tests[0].permutations} arrangements."
        )
        band = Picture(
            f"moran_over_time_{key}",
            f"Moran's I of {name} over time",
            explore_plots.moran_over_time(panel),
            "A two-sided band.",
        )
        clusters = (
            f"Two-sided, by {found.permutations} conditional permutations; clusters at a"
            f" false-discovery rate of {found.fdr:g}."
        )
        parts += [
            _table(study, f"moran_{key}", f"Global Moran's I of {name}", drawn),
            band,
            Picture(
                f"moran_scatter_{key}",
                f"Moran scatter plot of {last}",
                explore_plots.moran(replace(panel.tests[-1], name=last)),
            ),
            Picture(
                f"moran_scatters_{key}",
                f"Moran scatter plots of {name} by period",
                explore_plots.moran(panel),
            ),
            _table(study, f"local_{key}", f"Local Moran's I of {last}", clusters),
        ]
        if study.plan.places is not None:
            shown = replace(found, name=last)
            parts.append(
                Picture(
                    f"clusters_{key}",
                    f"Clusters of {last}",
                    explore_plots.moran_local(shown, study.plan.places),
                )
            )
            if hasattr(study.plan.places, "geometry"):
                values = (
                    pd.Series(study.model.panel.y[-1], study.model.panel.units)
                    if name == study.model.panel.response
                    else None
                )
                if values is not None:
                    parts.append(
                        Picture(
                            f"map_{key}",
                            f"Map of {last}",
                            explore_plots.choropleth(values, study.plan.places, label=name),
                        )
                    )
    return Section("Spatial autocorrelation", tuple(words), tuple(parts))


def _tests(study: "Study") -> Section:
    parts = [_table(study, "tests", "Specification tests and their decisions", ODDS)]
    if "common_factor" in study.tables:
        note = (
            "Exact draws under the default priors. All zero makes the model an SEM (theta + rho"
            " beta) or a SAR (theta)."
        )
        parts.append(
            _table(
                study,
                "common_factor",
                "Posterior of theta + rho beta and of theta in the SDM",
                note,
            )
        )
    chosen = study.selection.model.spec
    words = (
        *study.selection.decisions,
        f"The tests lead to {chosen.name} with {chosen.effects} effects.",
    )
    return Section("Specification", words, tuple(parts))


def _estimates(study: "Study") -> Section:
    spec = study.model.spec
    note = (
        "ML: transformed likelihood of Lee & Yu (2010), standard errors from the observed"
        " information. Bayes: NUTS, 95 % intervals."
    )
    parts = [_table(study, "coefficients", f"{spec.name} with {spec.effects} effects", note)]
    error = ", u_t = lam W u_t + e_t" if spec.error else ""
    equation = (
        f"{EQUATIONS[spec.name]}{FIXED.get(spec.effects, ' + alpha_i')} +"
        f" {'u_t' + error if spec.error else 'e_t'}"
    )
    words = [
        (
            f"{equation}, e_t ~ N(0, sigma^2 I); y: {study.model.panel.response}; W:"
            f" {study.plan.main}."
        ),
        (
            f"{QUASI}: estimates and intervals stand, likelihoods and evidences are left out."
            if study.ml.quasi
            else (
                f"Log-likelihood {study.ml.loglik:.2f}, of the {study.ml.nu} observations that the"
                " effects leave."
            )
        ),
        f"Priors: {_priors(study)}.",
    ]
    if study.alternatives:
        missing = [name for name, fit in study.alternatives.items() if not isinstance(fit, MLFit)]
        words += [f"{name} is not among the alternatives: {NO_MAXIMUM}." for name in missing]
        parts.append(_table(study, "alternatives", "The alternatives by maximum likelihood"))
        parts.append(
            _table(
                study,
                "fit_statistics",
                "How the alternatives fit",
                "R^2: of the data after the effects.",
            )
        )
    return Section("Estimates", tuple(words), tuple(parts))


def _priors(study: "Study") -> str:
    """Those of the parameters that the model has."""
    model = study.model
    names = (
        "beta",
        "sigma",
        *model.problem.dependence,
        *(["sigma_alpha"] if model.spec.random else []),
    )
    lines = [line.split(maxsplit=1) for line in repr(model.priors).splitlines()[1:]]
    return "; ".join(f"{name} {family}" for name, family in lines if name in names)


def _impacts(study: "Study") -> Section:
    table = study.tables["impacts"]["Bayes"]
    spill = table.loc["indirect"]
    sure = [
        name for name in spill.index if spill.loc[name, "2.5 %"] * spill.loc[name, "97.5 %"] > 0
    ]
    said = ", ".join(f"{name} ({spill.loc[name, 'mean']:.3g})" for name in sure) or "none"
    words = (
        f"Indirect impacts whose 95 % posterior interval excludes 0, with their means: {said}.",
    )
    parts = [
        _table(
            study,
            "impacts",
            "Direct, indirect and total impacts",
            "ML: standard errors by the delta method. Bayes: posterior.",
        )
    ]
    if study.alternatives:
        parts.append(
            _table(
                study,
                "alternative_impacts",
                "Impacts of the alternatives by maximum likelihood",
                "Standard errors: delta method.",
            )
        )
    picture = Picture(
        "impacts_forest",
        "Direct, indirect and total impacts: medians, central halves and 95 % intervals",
        fit_plots.impacts(study.fit),
    )
    return Section("Impacts", words, (*parts, picture))


def _diagnostics(study: "Study") -> Section:
    parts = (
        _table(study, "sampler", "The sampler"),
        _table(study, "diagnostics", "Effective sample sizes, R-hat and Monte Carlo errors"),
        Picture(
            "trace",
            "Densities and traces by chain: chains that agree look alike",
            fit_plots.trace(study.fit),
        ),
    )
    return Section("Diagnostics", (), parts)


def _robustness(study: "Study") -> Section:
    swept = study.robustness
    first = str(swept.impacts["term"].to_numpy()[0])
    words = [
        f"{swept.members.sizes['weights']} weight matrices x {swept.members.sizes['model']} models,"
        f" all with {study.plan.effects} effects."
    ]
    if len(swept.failures):
        words += [
            f"Failed: {row.weights}, {row.model}: {row.reason}"
            for row in swept.failures.itertuples()
        ]
    parts: list[Table | Picture] = [
        _table(
            study,
            "sensitivity",
            "Every W and model: evidence, posterior probability, posterior medians",
        ),
        _table(study, "conclusions", "How conclusions fare over the members", CONCLUSIONS),
        Picture("sensitivity_total", "Total impacts by weights and model", swept.plot("total")),
        Picture(
            "sensitivity_forest",
            f"Total impact of {first} by weights and model",
            swept.plot("forest", term=first),
        ),
    ]
    if np.isfinite(swept.members).any():
        parts.append(
            Picture("sensitivity_probability", "Posterior probabilities", swept.plot("probability"))
        )
    return Section("Sensitivity to the weights", tuple(words), tuple(parts))


def _truth(study: "Study") -> Section | None:
    if "truth" not in study.tables:
        return None
    table = study.tables["truth"]
    words = (
        "The data are simulated, and the coefficients that they come from are known.",
        f"{int(table['inside'].sum())} of {len(table)} lie inside their 95 % interval.",
    )
    picture = Picture(
        "truth_recovered", "The truth and what was found of it", study_plots.recovery(table)
    )
    return Section("Truth", words, (_table(study, "truth", "The truth and the estimates"), picture))
