"""The results of a sweep: summaries over its dimensions, posterior probabilities, averages over
models, and the share of members that support each conclusion.
"""

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from scipy.special import ndtr, ndtri

from spillover.engine.sweeps.chunk import EFFECTS, LEVELS, SCORES, STATISTICS, Block
from spillover.engine.sweeps.plan import DIMS
from spillover.engine.sweeps.plots import INTERVAL, NO_PROBABILITIES, Pictured, draw_sweep
from spillover.engine.sweeps.store import join_versions, load
from spillover.kernels.arguments import choice, front_door, front_doors, items, real, show, texts
from spillover.kernels.arguments import path as as_path
from spillover.kernels.errors import DataError, SpecificationError, SpilloverWarning
from spillover.models.effects import QUASI

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALWAYS = ("weights", "model", "effects")  # dimensions that are there even with one label
SEPARATE = ("effects", "window")  # between these the data differ, and evidences do not compare
MEMBER = "member"
NOTE = f"{QUASI}. Its estimates stand; it has no evidence: row-standardise W for one."
NEGLIGIBLE = 1e-9  # share of a mixture that does not move its quantiles


@front_doors
@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """The results of a sweep, over its weights, models and effects.

    Controls, priors and window are further dimensions where there are several of them. `sweep` and
    `open_sweep` make one.

    Attributes
    ----------
    summary : Dataset
        By member and `parameter`: mean, sd, positive (the probability of a value above 0), and
        quantile by `level`. By member: log_marginal_likelihood and posterior_probability; loglik,
        by maximum likelihood; quasi, 1 where the likelihood is a quasi-likelihood, which has
        neither evidence nor probability (see `notes`); and the quality of the fit:
        quadrature_error, r_hat, ess, divergences.
    impacts : Dataset
        direct, indirect and total by member, `term` and `statistic`: mean, sd, positive, and the
        quantiles by their level as text, such as "0.025".
    draws : Dataset or None
        parameters, direct, indirect and total by member and `sample`, where draws were kept; else
        None.
    failures : DataFrame
        A row for each member that failed: its label along each dimension, and the reason.
    about : dict
        What was swept: the formula, the labels of each dimension under coords, and the settings.
        Also the versions of the programs, each combination of them once, and the SHA-256 of the
        data, of each panel, and of the weights, by name.

    See Also
    --------
    sweep : Makes it.
    open_sweep : Reads a stored one.
    """

    summary: xr.Dataset
    impacts: xr.Dataset
    draws: xr.Dataset | None
    failures: pd.DataFrame
    about: Mapping[str, Any]

    def __repr__(self) -> str:
        sizes = " x ".join(f"{size} {name}" for name, size in self.members.sizes.items())
        failed = f", {len(self.failures)} failed" if len(self.failures) else ""
        failed += f", {len(self.notes)} without evidence (notes)" if len(self.notes) else ""
        return (
            f"Sweep of {self.about['formula']!r}: {sizes}, by"
            f" {self.about['settings']['sampler']!r}{failed}"
        )

    @property
    def members(self) -> xr.DataArray:
        """Posterior probabilities over the dimensions of the sweep.

        NaN where there is none, for a reason in `failures` or `notes`.
        """
        probability = self.summary["posterior_probability"]
        return probability.assign_attrs(note=NOTE) if len(self.notes) else probability

    @property
    def notes(self) -> pd.DataFrame:
        """The members with estimates but without an evidence or log-likelihood to compare: a row
        each, with the reason.
        """
        quasi = self.summary["quasi"].to_series()
        rows = quasi[quasi == 1].index.to_frame(index=False)
        return rows.assign(note=NOTE)

    def average(self, *, over: Sequence[str] | None = None) -> xr.Dataset:
        """Average the impacts over the members by their posterior probabilities.

        The posterior of an impact g is a mixture over the members m::

            p(g | y) = sum_m p(m | y) p(g | y, m)

        Its mean, sd and probability of a positive value follow from those of the members. Its
        quantiles come from the draws where they were kept, else from the quantiles of the members,
        between which their distribution functions are linear in normal scores. A term that a member
        lacks has the impact 0 there. Members without a probability are left out.

        Parameters
        ----------
        over : sequence of str, optional
            The dimensions to average over, among weights, model, controls and priors; by default
            all of these that the sweep has. Between effects and windows the data differ, and
            evidences do not compare.

        Returns
        -------
        Dataset
            direct, indirect and total by the remaining dimensions, term and statistic.

        Raises
        ------
        SpecificationError
            Where the members have no posterior probabilities, and for other dimensions.

        Warns
        -----
        SpilloverWarning
            Of the members in `notes`, which are left out.

        Examples
        --------
        >>> out.average()["indirect"].sel(term="unemp", statistic="mean")  # doctest: +SKIP

        References
        ----------
        Hoeting, Madigan, Raftery & Volinsky (1999), "Bayesian model averaging: a tutorial",
        Statistical Science 14.

        LeSage & Pace (2009), Introduction to Spatial Econometrics, chapter 6.
        """
        over = self._choose_dims(over)
        weight = self.members.fillna(0.0)
        total = weight.sum(dim=over)
        if not float(total.sum()) > 0:
            raise SpecificationError(NO_PROBABILITIES)
        if len(self.notes):
            warnings.warn(
                f"{len(self.notes)} members have no probability and are left out: {NOTE}",
                SpilloverWarning,
                stacklevel=3,
            )
        share = (weight / total.where(total > 0)).fillna(0.0)
        draws = {} if self.draws is None else self.draws
        mixed = {
            name: _mix(self.impacts[name].fillna(0.0), share, over, draws.get(name))
            for name in EFFECTS
        }
        return xr.Dataset(mixed).where(total > 0)

    def _choose_dims(self, over: Sequence[str] | None) -> list[str]:
        """The dimensions to average over; SpecificationError for others."""
        if over is None:
            return [str(name) for name in self.members.dims if name not in SEPARATE]
        known = [str(name) for name in self.members.dims if name not in SEPARATE]
        names = [over] if isinstance(over, str) else items("over", over, example="['weights']")
        wrong = [
            name
            for name in names
            if isinstance(over, str) or not isinstance(name, str) or name not in known
        ]
        if not names:
            raise SpecificationError(
                f"over={show(over)} names no dimension: choose among {known}, or leave it out for"
                " all of them."
            )
        if wrong:
            raise SpecificationError(
                f"over={show(over)}: {show(wrong[0])} is not a list of dimensions to average"
                f" over; choose among {known}."
            )
        return list(over)

    def conclusions(
        self, *, by: Sequence[str] = (), interval: tuple[float, float] = INTERVAL
    ) -> pd.DataFrame:
        """Count over the members how each conclusion comes out.

        Parameters
        ----------
        by : sequence of str, default ()
            Dimensions to keep apart: a row for each of their labels. The others are counted over.
        interval : tuple of float, default (0.025, 0.975)
            Lower and upper level of the interval that an impact is significant by: two of 0.005,
            0.025, 0.05, 0.1, 0.15, ..., 0.9, 0.95, 0.975 and 0.995.

        Returns
        -------
        DataFrame
            A row for each impact and term, with the columns members, how many have the term; lowest
            and highest, of their posterior means; positive, the share with a mean above 0;
            significantly_negative and significantly_positive, the shares with an interval below and
            above 0; and probability_positive, the probability of a positive impact averaged over
            the members by their posterior probabilities, and equally over effects and windows. In
            this average a member without the term has no positive impact; it is NaN where there are
            no posterior probabilities.

        Raises
        ------
        SpecificationError
            For other dimensions or levels.

        Examples
        --------
        >>> out.conclusions(by=["model"])  # doctest: +SKIP
        """
        keep = [by] if isinstance(by, str) else list(texts("by", by, example="['weights']"))
        ends = [
            real("interval", end, 0, 1)
            for end in items("interval", interval, example="(0.025, 0.975)")
        ]
        over = [str(name) for name in self.members.dims if name not in keep]
        levels = [f"{level:g}" for level in ends]
        if (
            len(ends) != 2
            or ends[0] >= ends[1]
            or not set(levels) <= {f"{level:g}" for level in LEVELS}
        ):
            raise SpecificationError(
                f"interval={show(interval)}: choose two levels among"
                f" {', '.join(f'{level:g}' for level in LEVELS)}."
            )
        if not set(keep) <= set(self.members.dims):
            raise SpecificationError(
                f"by={show(by)}: choose among {', '.join(map(str, self.members.dims))}."
            )
        impacts = self.impacts.to_dataarray("impact")
        mean, low, high, positive = (
            impacts.sel(statistic=key, drop=True) for key in ("mean", *levels, "positive")
        )
        known = mean.count(over)
        weight = self.members.sum(over)
        table = xr.Dataset(
            {
                "members": known,
                "lowest": mean.min(over),
                "highest": mean.max(over),
                "positive": (mean > 0).sum(over) / known.where(known > 0),
                "significantly_negative": (high < 0).sum(over) / known.where(known > 0),
                "significantly_positive": (low > 0).sum(over) / known.where(known > 0),
                "probability_positive": (
                    (self.members * positive.fillna(0.0)).sum(over) / weight.where(weight > 0)
                ),
            }
        )
        return table.to_dataframe(dim_order=[*keep, "impact", "term"])

    def to_frame(self) -> pd.DataFrame:
        """Put the members into a table, a row each.

        Returns
        -------
        DataFrame
            log_marginal_likelihood, posterior_probability, loglik, and the mean and the sd of every
            parameter and of every impact, by the labels of the members. A column note with the
            reasons where there are `notes`.

        Examples
        --------
        >>> out.to_frame()["posterior_probability"].nlargest(5)  # doctest: +SKIP
        """
        dims = [str(name) for name in self.members.dims]
        scores = self.summary[
            ["log_marginal_likelihood", "posterior_probability", "loglik", "quasi"]
        ].to_dataframe(dim_order=dims)
        note = {"note": np.where(scores["quasi"] == 1, NOTE, "")} if len(self.notes) else {}
        wide = [scores.drop(columns="quasi").assign(**note)]
        for key in ("mean", "sd"):
            wide.append(_widen(self.summary[key], "parameter", f"{{}} {key}"))
            for name in EFFECTS:
                wide.append(
                    _widen(
                        self.impacts[name].sel(statistic=key, drop=True),
                        "term",
                        f"{name} {{}} {key}",
                    )
                )
        return pd.concat(wide, axis=1)

    def plot(self, kind: str = "total", *, term: str | None = None) -> "Figure":
        """Draw the impacts or the posterior probabilities of the members.

        Parameters
        ----------
        kind : {"total", "direct", "indirect", "forest", "probability"}, default "total"
            "total", "direct" and "indirect": heat maps of posterior means over weights and models,
            a panel for each term, with dots where the 95 % interval excludes 0. "forest": medians
            and 95 % intervals of the total effect of one term over weights, by model.
            "probability": a heat map of the posterior probabilities.
        term : str, optional
            The variable of the forest, by default the first; the only variable of the heat maps, by
            default all.

        Returns
        -------
        matplotlib.figure.Figure
            The picture.

        Raises
        ------
        SpecificationError
            For another kind or term, and where there are no posterior probabilities to draw.

        Examples
        --------
        >>> out.plot("forest", term="unemp").savefig("forest.pdf")  # doctest: +SKIP
        """
        choice("is no picture", kind, (*EFFECTS, "forest", "probability"))
        return draw_sweep(Pictured(self.impacts, self.members), kind, term)


@front_door
def open_sweep(path: str | Path) -> Sweep:
    """Read the members of a stored sweep that are finished.

    Another process may still be running the sweep. Every file is checked against its SHA-256.

    Parameters
    ----------
    path : str or Path
        The folder given as `store` to `sweep`.

    Returns
    -------
    Sweep
        The results; members that are not finished are NaN.

    Raises
    ------
    DataError
        The folder is no stored sweep, or none of its members is finished.
    StorageError
        A file in it is missing or altered; the message tells the block and its members. The same
        sweep, run again with this store, fits these members again and keeps the others.

    Warns
    -----
    SpilloverWarning
        Of members that are not finished, and of a store of version 0.1.0, which has no checksums.

    See Also
    --------
    sweep : Fits them and stores them.

    Examples
    --------
    >>> import tempfile
    >>> import spillover as so
    >>> frame, W = so.munnell()
    >>> panel = {"effects": ["twoway"], "unit": "state", "period": "year", "progress": False}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/sweep.zarr"
    ...     out = so.sweep(
    ...         "unemp ~ np.log(pc)",
    ...         frame,
    ...         {"W": W.row_standardize()},
    ...         models=["SAR"],
    ...         store=path,
    ...         **panel,
    ...     )
    ...     so.open_sweep(path).summary.identical(out.summary)
    True
    """
    kept, about = load(as_path("path", path))
    known = {name: value for name, value in about.items() if name != "format"}
    versions = join_versions([one.versions for one in kept])
    return assemble([one.block for one in kept], known | {"versions": versions})


def assemble(blocks: Sequence[Block], about: Mapping[str, Any]) -> Sweep:
    """Put the blocks of a sweep together, over its dimensions.

    Members without a block are missing values. DataError where there is no block.
    """
    if not blocks:
        raise DataError("No member of this sweep is finished yet.")
    coords = {name: list(labels) for name, labels in about["coords"].items()}
    dims = {
        name: labels
        for name, labels in zip(DIMS, coords.values(), strict=True)
        if name in ALWAYS or len(labels) > 1
    }
    shape = tuple(len(labels) for labels in coords.values())
    failures = sorted(
        (int(i), reason)
        for block in blocks
        for i, reason in zip(block.index, block.failure, strict=True)
        if reason
    )
    gather = _Gather(blocks, int(np.prod(shape)), tuple(len(labels) for labels in dims.values()))
    statistics = [*STATISTICS, *(f"{level:g}" for level in LEVELS)]
    parameters, impacts, scores = (gather(name) for name in ("parameters", "impacts", "scores"))
    summary = xr.Dataset(coords={**dims, "parameter": about["parameters"], "level": list(LEVELS)})
    for i, name in enumerate(STATISTICS):
        summary[name] = ((*dims, "parameter"), parameters[..., i])
    summary["quantile"] = ((*dims, "parameter", "level"), parameters[..., len(STATISTICS) :])
    for i, name in enumerate(SCORES):
        summary[name] = (tuple(dims), scores[..., i])
    summary["posterior_probability"] = _compute_probabilities(summary["log_marginal_likelihood"])
    effects = xr.Dataset(coords={**dims, "term": about["variables"], "statistic": statistics})
    for i, name in enumerate(EFFECTS):
        effects[name] = ((*dims, "term", "statistic"), impacts[..., i, :, :])
    return Sweep(
        summary,
        effects,
        _gather_draws(gather, dims, about),
        _list_failures(failures, coords),
        about,
    )


class _Gather:
    """The arrays of the blocks, joined: called with a name, it gives that array over the
    dimensions.
    """

    def __init__(self, blocks: Sequence[Block], total: int, shape: tuple[int, ...]) -> None:
        self._blocks, self._total, self._shape = blocks, total, shape

    def __call__(self, name: str) -> np.ndarray:
        inner = getattr(self._blocks[0], name).shape[1:]
        whole = np.full((self._total, *inner), np.nan)
        for block in self._blocks:
            whole[block.index] = getattr(block, name)
        return whole.reshape(*self._shape, *inner)


def _compute_probabilities(evidence: xr.DataArray) -> xr.DataArray:
    """p(member | y) under equal prior probabilities, among the members with the same data and
    effects.
    """
    over = [str(name) for name in evidence.dims if name not in SEPARATE]
    relative = xr.apply_ufunc(np.exp, evidence - evidence.max(over))
    total = relative.sum(over)
    probability: xr.DataArray = relative / total.where(total > 0)
    return probability


def _gather_draws(
    gather: _Gather, dims: Mapping[str, list[str]], about: Mapping[str, Any]
) -> xr.Dataset | None:
    """The draws of the members over the dimensions; None where none were kept."""
    draws = gather("draws")
    if draws.shape[-2] == 0:
        return None
    impacts = gather("impact_draws")
    kept = xr.Dataset(coords={**dims, "parameter": about["parameters"], "term": about["variables"]})
    kept["parameters"] = ((*dims, "sample", "parameter"), draws)
    for i, name in enumerate(EFFECTS):
        kept[name] = ((*dims, "sample", "term"), impacts[..., i, :])
    return kept


def _list_failures(
    failures: Sequence[tuple[int, str]], coords: Mapping[str, list[str]]
) -> pd.DataFrame:
    """The members that failed, by their labels, with the reasons."""
    labels = pd.MultiIndex.from_product(coords.values(), names=DIMS)
    rows = [(*labels[i], reason) for i, reason in failures]
    return pd.DataFrame(rows, columns=[*DIMS, "reason"])


def _widen(values: xr.DataArray, column: str, label: str) -> pd.DataFrame:
    """A row for each member, and a column for each label along `column`."""
    dims = [name for name in values.dims if name != column]
    flat = values.stack({MEMBER: dims}).transpose(MEMBER, column)  # noqa: PD013
    index = pd.MultiIndex.from_product([values[name].to_numpy() for name in dims], names=dims)
    return pd.DataFrame(
        flat.to_numpy(),
        index=index,
        columns=[label.format(name) for name in values[column].to_numpy()],
    )


def _mix(
    impacts: xr.DataArray, share: xr.DataArray, over: list[str], draws: xr.DataArray | None
) -> xr.DataArray:
    """The statistics of the mixture of the members by their shares."""
    mean, sd, positive = (impacts.sel(statistic=name, drop=True) for name in STATISTICS)
    middle = (share * mean).sum(over)
    spread = (share * (sd**2 + (mean - middle) ** 2)).sum(over) ** 0.5
    likely = (share * positive).sum(over)
    levels = [f"{level:g}" for level in LEVELS]
    rule = mix_quantiles if draws is None else _pool_quantiles
    inner = (
        impacts.sel(statistic=levels).rename(statistic="known")
        if draws is None
        else draws.fillna(0.0).rename(sample="known")
    )
    stacked, shares = (part.stack({MEMBER: over}) for part in (inner, share))  # noqa: PD013
    cores = [[MEMBER, "known"], [MEMBER]]
    quantiles = xr.apply_ufunc(
        rule,
        stacked,
        shares,
        input_core_dims=cores,
        output_core_dims=[["statistic"]],
        vectorize=True,
    )
    heads = [
        part.expand_dims(statistic=[name], axis=-1)
        for part, name in zip((middle, spread, likely), STATISTICS, strict=True)
    ]
    joined = xr.concat([*heads, quantiles.assign_coords(statistic=levels)], dim="statistic")
    labelled: xr.DataArray = joined.assign_coords(statistic=joined["statistic"].astype(str))
    return labelled.transpose(*middle.dims, "statistic")


def mix_quantiles(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles at LEVELS of a mixture, (levels,), from those of its components, (members, levels).

    The distribution functions of the components are linear in normal scores between their quantiles
    and beyond the outermost ones, or a step where all quantiles are one value. Their weighted sum
    is inverted.
    """
    used = shares > NEGLIGIBLE
    if not used.any():
        return np.full(len(LEVELS), np.nan)
    values, shares, scores = values[used], shares[used], ndtri(LEVELS)
    points = np.unique(values)
    below = np.zeros((len(points), 2))  # from the left, and at the point
    for row, share in zip(values, shares, strict=True):
        if row[-1] > row[0]:
            below += share * ndtr(_extend_linearly(points, row, scores))[:, None]
        else:
            below += share * np.column_stack([points > row[0], points >= row[0]])
    reached = ndtri(below.ravel() / shares.sum())
    quantiles: np.ndarray = np.interp(scores, reached, np.repeat(points, 2))
    return quantiles


def _extend_linearly(points: np.ndarray, row: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The piecewise linear function through (row, scores), with its outermost pieces extended."""
    curve: np.ndarray = np.interp(points, row, scores)
    for first, second, outside in ((0, 1, points < row[0]), (-1, -2, points > row[-1])):
        if row[first] != row[second]:
            slope = (scores[second] - scores[first]) / (row[second] - row[first])
            curve[outside] = scores[first] + slope * (points[outside] - row[first])
    return curve


def _pool_quantiles(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles at LEVELS of pooled draws, (members, draws), each with the share of its member."""
    if not shares.any():
        return np.full(len(LEVELS), np.nan)
    weight = np.repeat(shares[:, None], values.shape[1], axis=1).ravel()
    order = np.argsort(values, axis=None)
    below = np.cumsum(weight[order])
    positions = np.searchsorted(below, np.asarray(LEVELS) * below[-1])
    quantiles: np.ndarray = values.ravel()[order][np.minimum(positions, len(order) - 1)]
    return quantiles
