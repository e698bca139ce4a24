"""Pictures of fits and of spatial autocorrelation, each a matplotlib Figure."""

from spillover.engine.estimation.plots import impacts, prior_posterior, rank, trace
from spillover.engine.exploration.plots import choropleth, moran, moran_local, moran_over_time

__all__ = [
    "choropleth",
    "impacts",
    "moran",
    "moran_local",
    "moran_over_time",
    "prior_posterior",
    "rank",
    "trace",
]
