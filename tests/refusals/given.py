"""Inputs that nothing is wrong with, from which each refusal spoils one."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

import spillover as so

N, T = 7, 3
IDS = [f"u{i}" for i in range(N)]
FLAT = {"unit": "unit", "period": "year"}
UNIT = {**FLAT, "effects": "unit"}
PLACES = [[0.0, 0.0], [1.0, 0.0], [3.0, 1.0]]
POLAR = pd.DataFrame({"latitude": [1.0, 2.0, 4.0], "longitude": [1.0, 5.0, 2.0]}, index=list("abc"))
VALUES = pd.Series([1.0, 2.0, 4.0], index=list("abc"))


def ring() -> np.ndarray:
    return np.roll(np.eye(N), 1, axis=1) + np.roll(np.eye(N), -1, axis=1)


def table() -> pd.DataFrame:
    rng, rows = np.random.default_rng(1), N * T
    labels = {"unit": IDS * T, "year": np.repeat([2001, 2002, 2003], N)}
    return pd.DataFrame(
        {**labels, **{name: rng.standard_normal(rows) for name in ("y", "x1", "x2")}}
    )


@dataclass(frozen=True)
class Given:
    """Inputs that nothing is wrong with."""

    frame: pd.DataFrame = field(default_factory=table)
    W: so.Weights = field(default_factory=lambda: so.Weights(ring(), IDS).row_standardize())

    @property
    def cross(self) -> pd.DataFrame:
        return self.frame[self.frame["year"] == 2001].set_index("unit")

    @property
    def places(self) -> pd.DataFrame:
        return pd.DataFrame({"x": np.arange(N) + 0.5, "y": np.arange(N) ** 2.0}, index=IDS)

    def model(
        self,
        name: str = "SDM",
        formula: str = "y ~ x1",
        frame: pd.DataFrame | None = None,
        W=None,
        **options,
    ) -> so.Model:
        return getattr(so, name)(
            formula,
            self.frame if frame is None else frame,
            self.W if W is None else W,
            **{**UNIT, **options},
        )

    def sweep(self, **options) -> so.Sweep:
        usual = {"models": ["SAR"], "effects": ["unit"], **FLAT, "progress": False}
        weights = options.pop("weights", {"ring": self.W})
        return so.sweep("y ~ x1", options.pop("data", self.frame), weights, **{**usual, **options})

    def of_two(self) -> so.Model:
        """Two units in two periods: as many observations after the effects as coefficients."""
        frame = self.frame[self.frame["unit"].isin(IDS[:2]) & (self.frame["year"] < 2003)]
        return self.model("OLS", "y ~ x1 + x2", frame, so.Weights([[0, 1], [1, 0]], IDS[:2]))

    def areas(self):
        import geopandas
        import shapely

        return geopandas.GeoDataFrame(
            geometry=[shapely.box(i, 0, i + 1, 1) for i in range(N)], index=IDS
        )

    def local(self) -> so.MoranLocal:
        return so.moran_local(self.cross["y"], self.W, permutations=0)

    def simulate(self, **changed):
        usual = {
            "weights": self.W.matrix,
            "x": np.ones((T, N, 1)),
            "beta": np.ones(1),
            "rng": np.random.default_rng(0),
        }
        return so.simulate(**{**usual, **changed})

    def edit(self, **columns) -> pd.DataFrame:
        return self.frame.assign(**columns)
