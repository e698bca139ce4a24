"""What a sweep found: summaries over its dimensions, posterior probabilities, averages over models,
and how conclusions fare.
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
    """The members of a sweep by weights, model and effects, and by controls, priors and window
    where there are several.

    `summary`: Dataset of `mean`, `sd`, `positive` (the probability of a value above 0) and
    `quantile` of each `parameter`, and of log_marginal_likelihood, posterior_probability, `quasi`
    (1 where the likelihood is a quasi-likelihood, for which there is neither: see `notes`), and
    what tells of the quality of a fit. `impacts`: Dataset of direct, indirect and total by `term`
    and `statistic` (mean, sd, positive, and quantiles by their level). `draws`: Dataset of draws
    where they were kept, else None. `failures`: the members that failed, and why. `about`: what was
    swept, by which versions of the programs (those of each of its blocks, once), and the SHA-256 of
    the data (of each panel) and of each W.
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
        """The posterior probabilities, over the dimensions of the sweep; NaN where there is none,
        for a reason in `failures` or `notes`.
        """
        found = self.summary["posterior_probability"]
        return found.assign_attrs(note=NOTE) if len(self.notes) else found

    @property
    def notes(self) -> pd.DataFrame:
        """The members that have estimates but no evidence or log-likelihood to compare, and why: a
        row each.
        """
        quasi = self.summary["quasi"].to_series()
        rows = quasi[quasi == 1].index.to_frame(index=False)
        return rows.assign(note=NOTE)

    def average(self, *, over: Sequence[str] | None = None) -> xr.Dataset:
        """Impacts averaged over the members, by their posterior probabilities: Dataset of direct,
        indirect and total by term and statistic.

        The posterior of an impact is the mixture sum_m p(m | y) p(impact | y, m). Its mean, sd and
        probability of a positive value follow from those of the members; its quantiles from the
        draws where they were kept, else from the quantiles of the members, whose distribution
        functions are linear in normal scores between them. `over`: the dimensions averaged over, by
        default all but effects and window. A term that a member lacks has the impact 0 there.
        Members without a probability, `failures` and `notes`, are left out, which a warning says of
        the latter.

        SpecificationError where the members have no posterior probabilities. Hoeting et al. (1999),
        Statistical Science 14.
        """
        over = self._averaged(over)
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
        found = {
            name: _mixture(self.impacts[name].fillna(0.0), share, over, draws.get(name))
            for name in EFFECTS
        }
        return xr.Dataset(found).where(total > 0)

    def _averaged(self, over: Sequence[str] | None) -> list[str]:
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
        """How each conclusion fares over the members: one row for each impact and term, and for
        each label of the dimensions in `by`.

        `members`: how many have the term; `lowest`, `highest`: of their posterior means;
        `positive`: the share of them whose mean is above 0; `significantly_negative`,
        `significantly_positive`: the shares whose central `interval` lies below and above 0;
        `probability_positive`: the probability of a positive impact averaged over the members by
        their posterior probabilities, where they have them, and equally over effects and windows. A
        term that a member lacks has the impact 0 there.
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
        found = self.impacts.to_dataarray("impact")
        mean, low, high, positive = (
            found.sel(statistic=key, drop=True) for key in ("mean", *levels, "positive")
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
        """One row a member: evidence, posterior probability, log-likelihood, where there are
        `notes` the note, and mean and sd of every parameter and of every impact.
        """
        dims = [str(name) for name in self.members.dims]
        scores = self.summary[
            ["log_marginal_likelihood", "posterior_probability", "loglik", "quasi"]
        ].to_dataframe(dim_order=dims)
        note = {"note": np.where(scores["quasi"] == 1, NOTE, "")} if len(self.notes) else {}
        wide = [scores.drop(columns="quasi").assign(**note)]
        for key in ("mean", "sd"):
            wide.append(_wide(self.summary[key], "parameter", f"{{}} {key}"))
            for name in EFFECTS:
                wide.append(
                    _wide(
                        self.impacts[name].sel(statistic=key, drop=True),
                        "term",
                        f"{name} {{}} {key}",
                    )
                )
        return pd.concat(wide, axis=1)

    def plot(self, kind: str = "total", *, term: str | None = None) -> "Figure":
        """`kind` "total" (or "direct", "indirect"): a heat map of the posterior means over weights
        and models, a panel a term, dots where the 95 % interval excludes 0. "forest": the total
        effect of one `term`, the first unless said, over weights, by model. "probability": the
        posterior probabilities.
        """
        choice("is no picture", kind, (*EFFECTS, "forest", "probability"))
        return draw_sweep(Pictured(self.impacts, self.members), kind, term)


@front_door
def open_sweep(path: str | Path) -> Sweep:
    """The members of a stored sweep that are finished, also while another process is still at it.

    Every file is checked against its SHA-256. Stores of version 0.1.0 have none, which a warning
    says, as one says how many members are not finished.

    Parameters
    ----------
    path : the folder given as `store` to `sweep`.

    Raises ------ DataError : the folder is no stored sweep, or none of its members is finished.
    StorageError : a file in it is missing or altered: which block and members it takes. The same
    sweep, run again with this store, fits
        these members again and keeps the others.

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
    """The results of all blocks over the dimensions of the sweep; members of which there is no
    block are missing values.
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
    summary["posterior_probability"] = _probabilities(summary["log_marginal_likelihood"])
    found = xr.Dataset(coords={**dims, "term": about["variables"], "statistic": statistics})
    for i, name in enumerate(EFFECTS):
        found[name] = ((*dims, "term", "statistic"), impacts[..., i, :, :])
    return Sweep(summary, found, _draws(gather, dims, about), _failures(failures, coords), about)


class _Gather:
    """Arrays of the blocks, put in their places."""

    def __init__(self, blocks: Sequence[Block], total: int, shape: tuple[int, ...]) -> None:
        self._blocks, self._total, self._shape = blocks, total, shape

    def __call__(self, name: str) -> np.ndarray:
        inner = getattr(self._blocks[0], name).shape[1:]
        whole = np.full((self._total, *inner), np.nan)
        for block in self._blocks:
            whole[block.index] = getattr(block, name)
        return whole.reshape(*self._shape, *inner)


def _probabilities(evidence: xr.DataArray) -> xr.DataArray:
    """p(member | y) under equal prior probabilities, among the members with the same data and
    effects.
    """
    over = [str(name) for name in evidence.dims if name not in SEPARATE]
    relative = xr.apply_ufunc(np.exp, evidence - evidence.max(over))
    total = relative.sum(over)
    return relative / total.where(total > 0)


def _draws(
    gather: _Gather, dims: Mapping[str, list], about: Mapping[str, Any]
) -> xr.Dataset | None:
    draws = gather("draws")
    if draws.shape[-2] == 0:
        return None
    impacts = gather("impact_draws")
    found = xr.Dataset(
        coords={**dims, "parameter": about["parameters"], "term": about["variables"]}
    )
    found["parameters"] = ((*dims, "sample", "parameter"), draws)
    for i, name in enumerate(EFFECTS):
        found[name] = ((*dims, "sample", "term"), impacts[..., i, :])
    return found


def _failures(failures: Sequence[tuple[int, str]], coords: Mapping[str, list[str]]) -> pd.DataFrame:
    labels = pd.MultiIndex.from_product(coords.values(), names=DIMS)
    rows = [(*labels[i], reason) for i, reason in failures]
    return pd.DataFrame(rows, columns=[*DIMS, "reason"])


def _wide(values: xr.DataArray, column: str, label: str) -> pd.DataFrame:
    """One row a member, one column for each label along `column`."""
    dims = [name for name in values.dims if name != column]
    flat = values.stack({MEMBER: dims}).transpose(MEMBER, column)  # noqa: PD013
    index = pd.MultiIndex.from_product([values[name].to_numpy() for name in dims], names=dims)
    return pd.DataFrame(
        flat.to_numpy(),
        index=index,
        columns=[label.format(name) for name in values[column].to_numpy()],
    )


def _mixture(
    impacts: xr.DataArray, share: xr.DataArray, over: list[str], draws: xr.DataArray | None
) -> xr.DataArray:
    """The statistics of the mixture of members with these shares."""
    mean, sd, positive = (impacts.sel(statistic=name, drop=True) for name in STATISTICS)
    middle = (share * mean).sum(over)
    spread = (share * (sd**2 + (mean - middle) ** 2)).sum(over) ** 0.5
    likely = (share * positive).sum(over)
    levels = [f"{level:g}" for level in LEVELS]
    rule = _quantiles if draws is None else _weighted
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
    return joined.assign_coords(statistic=joined["statistic"].astype(str)).transpose(
        *middle.dims, "statistic"
    )


def _quantiles(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles at LEVELS of a mixture, (levels,), from those of its components, (members, levels):
    the sum of their distribution functions, each linear in normal scores and going on so beyond its
    ends, or a step where all its quantiles are one value.
    """
    used = shares > NEGLIGIBLE
    if not used.any():
        return np.full(len(LEVELS), np.nan)
    values, shares, scores = values[used], shares[used], ndtri(LEVELS)
    points = np.unique(values)
    below = np.zeros((len(points), 2))  # from the left, and at the point
    for row, share in zip(values, shares, strict=True):
        if row[-1] > row[0]:
            below += share * ndtr(_straight(points, row, scores))[:, None]
        else:
            below += share * np.column_stack([points > row[0], points >= row[0]])
    return np.interp(scores, ndtri(below.ravel() / shares.sum()), np.repeat(points, 2))


def _straight(points: np.ndarray, row: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """The piecewise linear function through (row, scores), its outermost pieces going on."""
    found = np.interp(points, row, scores)
    for first, second, outside in ((0, 1, points < row[0]), (-1, -2, points > row[-1])):
        if row[first] != row[second]:
            slope = (scores[second] - scores[first]) / (row[second] - row[first])
            found[outside] = scores[first] + slope * (points[outside] - row[first])
    return found


def _weighted(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles at LEVELS of pooled draws, (members, draws), each with the share of its member."""
    if not shares.any():
        return np.full(len(LEVELS), np.nan)
    weight = np.repeat(shares[:, None], values.shape[1], axis=1).ravel()
    order = np.argsort(values, axis=None)
    below = np.cumsum(weight[order])
    return values.ravel()[order][
        np.minimum(np.searchsorted(below, np.asarray(LEVELS) * below[-1]), len(order) - 1)
    ]
