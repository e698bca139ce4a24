"""What a sweep found: summaries over its dimensions, posterior probabilities, averages over models, and how conclusions fare."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr

from spillover.engine import store
from spillover.engine.chunks import EFFECTS, LEVELS, SCORES, STATISTICS, Block
from spillover.engine.members import DIMS
from spillover.kernels.errors import SpecificationError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALWAYS = ("weights", "model", "effects")  # dimensions that are there even with one label
SEPARATE = ("effects", "window")  # between these the data differ, and evidences do not compare
INTERVAL = (0.025, 0.975)
MEMBER = "member"


@dataclass(frozen=True, eq=False, repr=False)
class Sweep:
    """The members of a sweep by weights, model and effects, and by controls, priors and window where there are several.

    `summary`: Dataset of `mean`, `sd`, `positive` (the probability of a value above 0) and `quantile` of each `parameter`, and of
    log_marginal_likelihood, posterior_probability, and what tells of the quality of a fit. `impacts`: Dataset of direct, indirect and total
    by `term` and `statistic` (mean, sd, positive, and quantiles by their level). `draws`: Dataset of draws where they were kept, else
    None. `failures`: the members that failed, and why. `about`: what was swept.
    """

    summary: xr.Dataset
    impacts: xr.Dataset
    draws: xr.Dataset | None
    failures: pd.DataFrame
    about: Mapping[str, Any]

    def __repr__(self) -> str:
        sizes = " x ".join(f"{size} {name}" for name, size in self.members.sizes.items())
        failed = f", {len(self.failures)} failed" if len(self.failures) else ""
        return f"Sweep of {self.about['formula']!r}: {sizes}, by {self.about['settings']['sampler']!r}{failed}"

    @property
    def members(self) -> xr.DataArray:
        """The posterior probabilities, over the dimensions of the sweep."""
        return self.summary["posterior_probability"]

    def average(self, *, over: Sequence[str] | None = None) -> xr.Dataset:
        """Impacts averaged over the members, by their posterior probabilities: Dataset of direct, indirect and total by term and statistic.

        The posterior of an impact is the mixture sum_m p(m | y) p(impact | y, m): its mean and sd follow from those of the members, its
        quantiles from the mixture of their distribution functions, linear between the levels kept (with draws kept, from the draws).
        `over`: the dimensions averaged over, by default all but effects and window. A term that a member lacks has the impact 0 there.

        SpecificationError where the members have no posterior probabilities. Hoeting et al. (1999), Statistical Science 14.
        """
        over = [name for name in self.members.dims if name not in SEPARATE] if over is None else list(over)
        wrong = [name for name in over if name not in self.members.dims or name in SEPARATE]
        if wrong:
            raise SpecificationError(f"over={over}: {wrong[0]!r} is not a dimension to average over.")
        weight = self.members.fillna(0.0)
        if not float(weight.sum()) > 0:
            raise SpecificationError("Averages need posterior probabilities: sweep with sampler='exact' and proper priors.")
        share = weight / weight.sum(over)
        return xr.Dataset({name: _mixture(self.impacts[name].fillna(0.0), share, over) for name in EFFECTS})

    def conclusions(self, *, interval: tuple[float, float] = INTERVAL) -> pd.DataFrame:
        """How each conclusion fares: one row for each impact and term, with the range of its means over the members, the share of members
        that find it positive, and whose central interval excludes 0, below and above; and the probability of a positive impact, averaged
        over the members by posterior probability."""
        rows = {}
        levels = [f"{level:g}" for level in interval]
        if not set(levels) <= set(self.impacts["statistic"].to_numpy()):
            raise SpecificationError(f"interval={interval}: choose levels among {', '.join(f'{level:g}' for level in LEVELS)}.")
        weight = self.members.fillna(0.0) / max(float(self.members.sum()), 1e-300)
        for name in EFFECTS:
            for term in self.impacts["term"].to_numpy():
                one = self.impacts[name].sel(term=term)
                mean, low, high = (one.sel(statistic=key) for key in ("mean", *levels))
                known = int(np.isfinite(mean).sum())
                likely = (weight * one.sel(statistic="positive").fillna(0.0)).sum()
                rows[name, term] = {
                    "members": known,
                    "lowest": float(mean.min()),
                    "highest": float(mean.max()),
                    "positive": float((mean > 0).sum()) / max(known, 1),
                    "significantly_negative": float((high < 0).sum()) / max(known, 1),
                    "significantly_positive": float((low > 0).sum()) / max(known, 1),
                    "probability_positive": float(likely) if float(weight.sum()) else np.nan,
                }
        table = pd.DataFrame.from_dict(rows, orient="index")
        return table.set_axis(pd.MultiIndex.from_tuples(rows, names=["impact", "term"]))

    def to_frame(self) -> pd.DataFrame:
        """One row a member: evidence, posterior probability, and mean and sd of every parameter and of every impact."""
        scores = self.summary[["log_marginal_likelihood", "posterior_probability", "loglik"]].to_dataframe()
        wide = [scores]
        for key in ("mean", "sd"):
            wide.append(self.summary[key].to_series().unstack("parameter").add_suffix(f" {key}"))
            for name in EFFECTS:
                one = self.impacts[name].sel(statistic=key, drop=True).to_series().unstack("term")
                wide.append(one.add_prefix(f"{name} ").add_suffix(f" {key}"))
        return pd.concat(wide, axis=1).loc[scores.index]

    def plot(self, kind: str = "total", *, term: str | None = None) -> "Figure":
        """`kind` "total" (or "direct", "indirect"): a heat map of the posterior means over weights and models, a panel a term, dots where
        the 95 % interval excludes 0. "forest": the total effect of one `term` over weights. "probability": the posterior probabilities."""
        from spillover.engine import sweep_plots

        if kind not in (*EFFECTS, "forest", "probability"):
            raise SpecificationError(f"There is no picture {kind!r}; choose one of {', '.join((*EFFECTS, 'forest', 'probability'))}.")
        return sweep_plots.draw(self, kind, term)


def open_sweep(path: str | Path) -> Sweep:
    """The members of a stored sweep that are finished. DataError for a folder that is none."""
    return assemble(store.read_blocks(Path(path)), store.description(Path(path)))


def assemble(blocks: Sequence[Block], about: Mapping[str, Any]) -> Sweep:
    """The results of all blocks over the dimensions of the sweep; members of which there is no block are missing values."""
    coords = {name: list(labels) for name, labels in about["coords"].items()}
    dims = {name: labels for name, labels in zip(DIMS, coords.values(), strict=True) if name in ALWAYS or len(labels) > 1}
    shape = tuple(len(labels) for labels in coords.values())
    failures = sorted((int(i), reason) for block in blocks for i, reason in zip(block.index, block.failure, strict=True) if reason)
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
        inner = getattr(self._blocks[0], name).shape[1:] if self._blocks else ()
        whole = np.full((self._total, *inner), np.nan)
        for block in self._blocks:
            whole[block.index] = getattr(block, name)
        return whole.reshape(*self._shape, *inner)


def _probabilities(evidence: xr.DataArray) -> xr.DataArray:
    """p(member | y) under equal prior probabilities, among the members with the same data and effects."""
    over = [name for name in evidence.dims if name not in SEPARATE]
    relative = np.exp(evidence - evidence.max(over))
    return relative / relative.sum(over, min_count=1)


def _draws(gather: _Gather, dims: Mapping[str, list], about: Mapping[str, Any]) -> xr.Dataset | None:
    draws = gather("draws")
    if draws.shape[-2] == 0:
        return None
    impacts = gather("impact_draws")
    found = xr.Dataset(coords={**dims, "parameter": about["parameters"], "term": about["variables"]})
    found["parameters"] = ((*dims, "sample", "parameter"), draws)
    for i, name in enumerate(EFFECTS):
        found[name] = ((*dims, "sample", "term"), impacts[..., i, :])
    return found


def _failures(failures: Sequence[tuple[int, str]], coords: Mapping[str, list[str]]) -> pd.DataFrame:
    labels = pd.MultiIndex.from_product(coords.values(), names=DIMS)
    rows = [(*labels[i], reason) for i, reason in failures]
    return pd.DataFrame(rows, columns=[*DIMS, "reason"])


def _mixture(impacts: xr.DataArray, share: xr.DataArray, over: list[str]) -> xr.DataArray:
    """The statistics of the mixture of members with these shares."""
    mean, sd = impacts.sel(statistic="mean", drop=True), impacts.sel(statistic="sd", drop=True)
    middle = (share * mean).sum(over)
    spread = np.sqrt((share * (sd**2 + (mean - middle) ** 2)).sum(over))
    positive = (share * impacts.sel(statistic="positive", drop=True)).sum(over)
    levels = [f"{level:g}" for level in LEVELS]
    stacked = impacts.sel(statistic=levels).stack({MEMBER: over})  # noqa: PD013
    shares = share.stack({MEMBER: over})  # noqa: PD013
    quantiles = xr.apply_ufunc(
        _quantiles, stacked, shares, input_core_dims=[[MEMBER, "statistic"], [MEMBER]], output_core_dims=[["statistic"]], vectorize=True
    )
    parts = [middle, spread, positive]
    heads = [part.expand_dims(statistic=[name], axis=-1) for part, name in zip(parts, STATISTICS, strict=True)]
    joined = xr.concat([*heads, quantiles.assign_coords(statistic=levels)], dim="statistic")
    return joined.assign_coords(statistic=joined["statistic"].astype(str)).transpose(*middle.dims, "statistic")


def _quantiles(values: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """Quantiles at LEVELS of a mixture, (levels,), from those of its components, (members, levels)."""
    used = shares > 0
    values, shares = values[used], shares[used]
    points = np.unique(values)
    below = np.zeros(len(points))
    for row, share in zip(values, shares, strict=True):
        right = np.searchsorted(row, points, side="right")
        inside = np.interp(points, row, LEVELS) if np.ptp(row) > 0 else (points >= row[0]).astype(float)
        below += share * np.where(right == 0, 0.0, np.where(right == len(row), 1.0, inside))
    return np.interp(LEVELS, below / below[-1], points)
