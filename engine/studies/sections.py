"""A study as a report: its tables and pictures in order, with sentences that say what they show."""

import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import pandas as pd

from spillover.engine.estimation import plots as fit_plots
from spillover.engine.estimation.ml import MLFit
from spillover.engine.exploration import plots as explore_plots
from spillover.engine.exploration.moran import MoranLocal, MoranPanel
from spillover.engine.reporting.page import Picture, Report, Section, Table
from spillover.engine.studies.findings import Findings
from spillover.engine.studies.plots import plot_recovery, plot_trajectories
from spillover.engine.studies.tables import NO_MAXIMUM, slugify
from spillover.models.effects import QUASI

Tables = Mapping[str, pd.DataFrame]  # of the study, by name
Parts = list[Table | Picture]

PACKAGES = ("spillover", "jax", "numpyro", "numpy", "scipy", "pandas", "xarray", "arviz-stats")
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
FIXED = {"none": "", "unit": " + alpha", "period": " + xi_t", "twoway": " + alpha + xi_t"}

# notes under tables and pictures
FILLED = (
    "interpolated: on the straight line between the unit's neighbouring periods; extrapolated: on"
    " that of its two nearest."
)
ENTROPY = (
    "Entropy method, all units and periods together: w_j = (1 - e_j) / sum (1 - e_j), indicators"
    " rescaled to [0, 1]."
)
PATHS = "Grey: units; blue: those that end highest and lowest; red: the mean."
BOUNDS = (
    "Bounds: the interval of rho that W admits. Moran's I: of the response, mean over the periods."
)
ODDS = (
    "LM tests are of the transformed data, with period effects centred; R's splm demeans and does"
    " not centre (lm_tests(kind='direct')). probability_of_null: posterior probability of the first"
    " of the two models under the default priors, both equally likely before; it weighs the size of"
    " the larger model's parameter space, which a p-value does not, so the two may disagree."
)
FACTOR = (
    "Exact draws under the default priors. All zero makes the model an SEM (theta + rho beta) or a"
    " SAR (theta)."
)
ESTIMATES = (
    "ML: transformed likelihood of Lee & Yu (2010), standard errors from the observed information."
    " Bayes: NUTS, 95 % intervals."
)
CONCLUSIONS = (
    "lowest, highest: of the posterior means. positive: share of the members whose mean is above 0;"
    " significantly: whose 95 % interval lies beyond 0; without W y and W X the indirect impact is"
    " 0. probability_positive: averaged by the posterior probabilities."
)


def make_report(findings: Findings, tables: Tables) -> Report:
    """The report of a study, from its data to the sensitivity of its conclusions to W.

    Parameters
    ----------
    findings : Findings
        What the steps of the study found.
    tables : mapping of str to DataFrame
        Their tables, from `spillover.engine.studies.tables.make_tables`.
    """
    sections = [
        report_data(findings, tables),
        report_weights(findings, tables),
        report_exploration(findings, tables),
        report_tests(findings, tables),
        report_estimates(findings, tables),
        report_impacts(findings, tables),
        report_diagnostics(findings, tables),
        report_sensitivity(findings, tables),
    ]
    if "truth" in tables:
        sections.append(report_truth(tables))
    plan, spec = findings.plan, findings.model.spec
    t, n = findings.model.panel.y.shape
    lead = f"{plan.note.strip()} {n} units, {t} periods; {spec.name} with {spec.effects} effects."
    return Report(plan.title, lead.strip(), tuple(sections), describe_origin(findings))


def describe_origin(findings: Findings) -> dict[str, str]:
    """What is needed to run the study again: seed, settings, versions, SHA-256 of data and W."""
    plan, attributes = findings.plan, findings.fit.tree.attrs
    settings = ", ".join(f"{name} {value}" for name, value in plan.sampler.items()) or "defaults"
    return {
        "seed": str(plan.seed),
        "formula": plan.formula,
        "sampler": settings,
        "Python": platform.python_version(),
        **{name: version(name) for name in PACKAGES},
        "data SHA-256": attributes["data_sha256"],
        "W SHA-256": attributes["weights_sha256"],
    }


def report_data(findings: Findings, tables: Tables) -> Section:
    """The variables, the cells that were filled, and the composite indices."""
    cells = len(findings.filled.cells)
    filled = " and filled within their units" if cells else ""
    words = f"{len(findings.frame)} rows. {cells} cells were missing{filled}."
    parts: Parts = [Table("data", "The variables, gaps filled", tables["data"])]
    if cells:
        parts.append(Table("filled", "Cells that were filled", tables["filled"], FILLED))
    for name in findings.indices:
        label = f"index_{slugify(name)}"
        parts.append(Table(label, f"Weights of the indicators of {name}", tables[label], ENTROPY))
        label = f"dimensions_{slugify(name)}"
        if label in tables:
            parts.append(Table(label, f"Weights of the dimensions of {name}", tables[label]))
    if findings.indices:
        title = "The composite indices over the units, by period"
        parts.append(Table("index_by_period", title, tables["index_by_period"]))
        figure = plot_trajectories(
            findings.frame,
            list(findings.indices),
            unit=findings.plan.unit,
            period=findings.plan.period,
        )
        title = "The composite indices of every unit by period"
        parts.append(Picture("trajectories", title, figure, PATHS))
    return Section("Data and indices", (words,), tuple(parts))


def report_weights(findings: Findings, tables: Tables) -> Section:
    """The weight matrices, and which of them the data prefer."""
    probability = tables["weights"]["posterior probability"]
    words = (
        f"The models below use {findings.plan.main}.",
        (
            f"Of {len(probability)} weight matrices the data prefer {probability.idxmax()}:"
            f" posterior probability {_show_share(probability.max())}, summed over the models of"
            " the section on sensitivity."
        ),
    )
    title = "Moran's I of the response by weights"
    parts = (
        Table("weights", "Weight matrices", tables["weights"], BOUNDS),
        Table("moran_by_weights", title, tables["moran_by_weights"]),
    )
    return Section("Weights", words, parts)


def _show_share(probability: float) -> str:
    return "above 0.999" if probability > 0.999 else f"{probability:.3f}"


def report_exploration(findings: Findings, tables: Tables) -> Section:
    """Global and local Moran's I of the response and of the explored variables."""
    words: list[str] = []
    parts: Parts = []
    for name, panel in findings.moran.items():
        local = findings.local[name]
        words.append(_say_autocorrelation(name, panel))
        parts += _show_moran(name, panel, tables)
        parts += _show_local_moran(name, local, panel.periods[-1], tables)
        parts += _draw_maps(name, findings)
    return Section("Spatial autocorrelation", tuple(words), tuple(parts))


def _say_autocorrelation(name: str, panel: MoranPanel) -> str:
    """The range of Moran's I over the periods, and in how many of them it is significant."""
    table = panel.table
    significant = int((table["p_permutation"].fillna(table["p"]) < 0.05).sum())
    return (
        f"{name}: Moran's I from {table['I'].min():.3f} to {table['I'].max():.3f}, significant at"
        f" 5 % in {significant} of {len(table)} periods."
    )


def _show_moran(name: str, panel: MoranPanel, tables: Tables) -> Parts:
    """Global Moran's I of a variable: the table, its path, and scatter plots."""
    key, last = slugify(name), f"{name}, {panel.periods[-1]}"
    note = (
        "Against positive autocorrelation: p under randomisation, p_permutation by"
        f" {panel.tests[0].permutations} arrangements."
    )
    return [
        Table(f"moran_{key}", f"Global Moran's I of {name}", tables[f"moran_{key}"], note),
        Picture(
            f"moran_over_time_{key}",
            f"Moran's I of {name} over time",
            explore_plots.moran_over_time(panel),
            "A two-sided band.",
        ),
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
    ]


def _show_local_moran(name: str, local: MoranLocal, period: object, tables: Tables) -> Parts:
    """Local Moran's I of a variable in the last period."""
    label = f"local_{slugify(name)}"
    note = (
        f"Two-sided, by {local.permutations} conditional permutations; clusters at a"
        f" false-discovery rate of {local.fdr:g}."
    )
    return [Table(label, f"Local Moran's I of {name}, {period}", tables[label], note)]


def _draw_maps(name: str, findings: Findings) -> Parts:
    """Maps of the last period, where the places are known: clusters, and for y its values too."""
    places, panel = findings.plan.places, findings.model.panel
    if places is None:
        return []
    key, last = slugify(name), f"{name}, {findings.moran[name].periods[-1]}"
    clusters = explore_plots.moran_local(replace(findings.local[name], name=last), places)
    parts: Parts = [Picture(f"clusters_{key}", f"Clusters of {last}", clusters)]
    if name == panel.response and hasattr(places, "geometry"):
        values = pd.Series(panel.y[-1], panel.units)
        figure = explore_plots.choropleth(values, places, label=name)
        parts.append(Picture(f"map_{key}", f"Map of {last}", figure))
    return parts


def report_tests(findings: Findings, tables: Tables) -> Section:
    """The specification tests, and the model that they lead to."""
    title = "Specification tests and their decisions"
    parts: Parts = [Table("tests", title, tables["tests"], ODDS)]
    if "common_factor" in tables:
        title = "Posterior of theta + rho beta and of theta in the SDM"
        parts.append(Table("common_factor", title, tables["common_factor"], FACTOR))
    chosen = findings.selection.model.spec
    words = (
        *findings.selection.decisions,
        f"The tests lead to {chosen.name} with {chosen.effects} effects.",
    )
    return Section("Specification", words, tuple(parts))


def report_estimates(findings: Findings, tables: Tables) -> Section:
    """The reported model: its equation, estimates and priors; and the alternatives."""
    spec, ml = findings.model.spec, findings.ml
    title = f"{spec.name} with {spec.effects} effects"
    parts: Parts = [Table("coefficients", title, tables["coefficients"], ESTIMATES)]
    if ml.quasi:
        likelihood = (
            f"{QUASI}: estimates and intervals stand, likelihoods and evidences are left out."
        )
    else:
        likelihood = (
            f"Log-likelihood {ml.loglik:.2f}, of the {ml.nu} observations that the effects leave."
        )
    words = [_write_equation(findings), likelihood, f"Priors: {_list_priors(findings)}."]
    if findings.alternatives:
        words += [
            f"{name} is not among the alternatives: {NO_MAXIMUM}."
            for name, fit in findings.alternatives.items()
            if not isinstance(fit, MLFit)
        ]
        title = "The alternatives by maximum likelihood"
        parts.append(Table("alternatives", title, tables["alternatives"]))
        title, note = "How the alternatives fit", "R^2: of the data after the effects."
        parts.append(Table("fit_statistics", title, tables["fit_statistics"], note))
    return Section("Estimates", tuple(words), tuple(parts))


def _write_equation(findings: Findings) -> str:
    """The equation of the reported model, and what its letters stand for."""
    spec = findings.model.spec
    effects = FIXED.get(spec.effects, " + alpha_i")
    error = "u_t, u_t = lam W u_t + e_t" if spec.error else "e_t"
    return (
        f"{EQUATIONS[spec.name]}{effects} + {error}, e_t ~ N(0, sigma^2 I); y:"
        f" {findings.model.panel.response}; W: {findings.plan.main}."
    )


def _list_priors(findings: Findings) -> str:
    """The priors of those parameters that the model has."""
    model = findings.model
    names = ["beta", "sigma", *model.problem.dependence]
    if model.spec.random:
        names.append("sigma_alpha")
    lines = [line.split(maxsplit=1) for line in repr(model.priors).splitlines()[1:]]
    return "; ".join(f"{name} {family}" for name, family in lines if name in names)


def report_impacts(findings: Findings, tables: Tables) -> Section:
    """Direct, indirect and total impacts, and the indirect ones whose interval excludes 0."""
    spill = tables["impacts"]["Bayes"].loc["indirect"]
    sure = spill[spill["2.5 %"] * spill["97.5 %"] > 0]
    said = ", ".join(f"{name} ({mean:.3g})" for name, mean in sure["mean"].items()) or "none"
    words = (
        f"Indirect impacts whose 95 % posterior interval excludes 0, with their means: {said}.",
    )
    title = "Direct, indirect and total impacts"
    note = "ML: standard errors by the delta method. Bayes: posterior."
    parts: Parts = [Table("impacts", title, tables["impacts"], note)]
    if findings.alternatives:
        name = "alternative_impacts"
        title = "Impacts of the alternatives by maximum likelihood"
        parts.append(Table(name, title, tables[name], "Standard errors: delta method."))
    title = "Direct, indirect and total impacts: medians, central halves and 95 % intervals"
    parts.append(Picture("impacts_forest", title, fit_plots.impacts(findings.fit)))
    return Section("Impacts", words, tuple(parts))


def report_diagnostics(findings: Findings, tables: Tables) -> Section:
    """How the posterior was drawn, and whether its chains agree."""
    title = "Effective sample sizes, R-hat and Monte Carlo errors"
    agree = "Densities and traces by chain: chains that agree look alike"
    parts = (
        Table("sampler", "The sampler", tables["sampler"]),
        Table("diagnostics", title, tables["diagnostics"]),
        Picture("trace", agree, fit_plots.trace(findings.fit)),
    )
    return Section("Diagnostics", (), parts)


def report_sensitivity(findings: Findings, tables: Tables) -> Section:
    """Every model under every W: what changes, and what does not."""
    out, effects = findings.robustness, findings.plan.effects
    sizes, first = out.members.sizes, str(out.impacts["term"].to_numpy()[0])
    words = [
        f"{sizes['weights']} weight matrices x {sizes['model']} models, all with {effects} effects."
    ]
    words += [
        f"Failed: {row.weights}, {row.model}: {row.reason}" for row in out.failures.itertuples()
    ]
    every = "Every W and model: evidence, posterior probability, posterior medians"
    fare = "How conclusions fare over the members"
    of_first = f"Total impact of {first} by weights and model"
    parts: Parts = [
        Table("sensitivity", every, tables["sensitivity"]),
        Table("conclusions", fare, tables["conclusions"], CONCLUSIONS),
        Picture("sensitivity_total", "Total impacts by weights and model", out.plot("total")),
        Picture("sensitivity_forest", of_first, out.plot("forest", term=first)),
    ]
    if np.isfinite(out.members).any():
        figure = out.plot("probability")
        parts.append(Picture("sensitivity_probability", "Posterior probabilities", figure))
    return Section("Sensitivity to the weights", tuple(words), tuple(parts))


def report_truth(tables: Tables) -> Section:
    """The true coefficients of simulated data beside the estimates."""
    table = tables["truth"]
    words = (
        "The data are simulated, and the coefficients that they come from are known.",
        f"{int(table['inside'].sum())} of {len(table)} lie inside their 95 % interval.",
    )
    parts = (
        Table("truth", "The truth and the estimates", table),
        Picture("truth_recovered", "The truth and what was found of it", plot_recovery(table)),
    )
    return Section("Truth", words, parts)
