"""Fits side by side: Bayes beside maximum likelihood, one model beside another."""

from collections.abc import Mapping

import pandas as pd

from spillover.engine.estimation.ml import MLFit
from spillover.engine.estimation.results import PARAMETERS, Fit
from spillover.kernels.arguments import expect, flag, front_door, kind_of, show
from spillover.kernels.errors import SpecificationError


@front_door
def compare(fits: Mapping[str, Fit | MLFit], *, impacts: bool = True) -> pd.DataFrame:
    """Put the estimates and standard errors of several fits side by side.

    Parameters
    ----------
    fits : dict of str to Fit or MLFit
        The fits by the names that head their columns.
    impacts : bool, default True
        Whether to add the direct, indirect and total impacts to the parameters.

    Returns
    -------
    DataFrame
        A row for each parameter and impact, by kind ("parameter", "direct", "indirect" or "total")
        and name. Two columns for each fit, "estimate" and "std_error": posterior means and standard
        deviations, or maximum-likelihood estimates and delta-method standard errors. NaN where a
        fit lacks a row.

    Raises
    ------
    SpecificationError
        For no fits, and for what is no fit.

    Examples
    --------
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": "unit", "unit": "state", "period": "year"}
    >>> slx = so.SLX("np.log(gsp) ~ unemp", frame, W.row_standardize(), **panel).fit_ml()
    >>> so.compare({"SLX": slx}, impacts=False).index.to_list()
    [('parameter', 'unemp'), ('parameter', 'W:unemp'), ('parameter', 'sigma')]
    """
    expect(
        "fits", fits, Mapping, "give a dict of names and fits, compare({'Bayes': fit, 'ML': ml})"
    )
    flag("impacts", impacts)
    if not fits:
        raise SpecificationError(
            "compare() needs at least one fit: compare({'Bayes': fit, 'ML': ml})."
        )
    columns = {}
    for name, fit in fits.items():
        if not isinstance(fit, Fit | MLFit):
            raise SpecificationError(
                f"{show(name)} is {kind_of(fit)}: give fits made by model.fit() or model.fit_ml()."
            )
        table = _bayesian(fit, impacts) if isinstance(fit, Fit) else _likelihood(fit, impacts)
        columns[name] = table
    joined = pd.concat(columns, axis=1, sort=False)
    order = {"parameter": 0, "direct": 1, "indirect": 2, "total": 3}
    rows = sorted(
        joined.index,
        key=lambda row: (order[row[0]], PARAMETERS.index(row[1]) if row[1] in PARAMETERS else 0),
    )
    return joined.reindex(pd.MultiIndex.from_tuples(rows, names=["kind", "name"]))


def _bayesian(fit: Fit, impacts: bool) -> pd.DataFrame:
    """Posterior means and standard deviations of a fit, a row for each parameter and impact."""
    posterior = fit.posterior
    rows = {
        ("parameter", str(term)): posterior["beta"].sel(term=term)
        for term in posterior["term"].to_numpy()
    }
    rows |= {("parameter", name): posterior[name] for name in PARAMETERS[1:] if name in posterior}
    if impacts:
        effects = fit.impacts()
        rows |= {
            (str(kind), str(term)): effects[kind].sel(term=term)
            for kind in effects
            for term in effects["term"].to_numpy()
        }
    table = {row: (float(draws.mean()), float(draws.std(ddof=1))) for row, draws in rows.items()}
    return _frame(table)


def _likelihood(fit: MLFit, impacts: bool) -> pd.DataFrame:
    """Maximum-likelihood estimates and standard errors, a row for each parameter and impact."""
    rows = {
        ("parameter", str(name)): (fit.params[name], error)
        for name, error in fit.std_errors.items()
    }
    if impacts:
        table = fit.impacts()
        rows |= {
            (str(kind), str(term)): (row["estimate"], row["std_error"])
            for (kind, term), row in table.iterrows()
        }
    return _frame(rows)


def _frame(rows: dict[tuple[str, str], tuple[float, float]]) -> pd.DataFrame:
    """Pairs of estimate and standard error as a table, by kind and name."""
    index = pd.MultiIndex.from_tuples(list(rows), names=["kind", "name"])
    return pd.DataFrame(list(rows.values()), index=index, columns=["estimate", "std_error"])
