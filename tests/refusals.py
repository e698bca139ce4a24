"""The refusals of the public interface: how to provoke each, the error it is, and what it says.

`REFUSALS`: rows (what, how, error, text), `how` being a function of `Given`; all come before
anything is compiled. `ELSEWHERE`: pieces of the messages that need a fit, a file or a library that
is not there, and the file of tests that provokes them.
"""

from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np
import numpyro.distributions as dist
import pandas as pd
import scipy.sparse as sparse
import xarray as xr

import spillover as so
from spillover.engine.sweeps import results
from spillover.engine.sweeps.chunk import LEVELS, SCORES, STATISTICS
from spillover.models.mode_search import explore

N, T = 7, 3
IDS = [f"u{i}" for i in range(N)]
FLAT = {"unit": "unit", "period": "year"}
UNIT = {**FLAT, "effects": "unit"}


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


Spec, Data, Prior, W = so.SpecificationError, so.DataError, so.PriorError, so.WeightsError
POLAR = pd.DataFrame({"latitude": [1.0, 2.0, 4.0], "longitude": [1.0, 5.0, 2.0]}, index=list("abc"))
PLACES = [[0.0, 0.0], [1.0, 0.0], [3.0, 1.0]]
VALUES = pd.Series([1.0, 2.0, 4.0], index=list("abc"))


def _period(g: Given, years, column: str = "x1", **more):
    return so.interpolate_panel(
        g.edit(year=years, **more), unit="unit", period="year", columns=[column]
    )


def _cancelling():
    """A link of weight 1 - 1, stored twice."""
    rows, columns = np.array([0, 0, 1]), np.array([1, 1, 0])
    return sparse.coo_array((np.array([1.0, -1.0, 1.0]), (rows, columns)), shape=(2, 2))


def _swept() -> so.Sweep:
    """The frame of a sweep of which no member has any number."""
    dims = {"weights": ["ring"], "model": ["SAR"], "effects": ["unit"]}
    shape = (1, 1, 1)
    empty = np.full((*shape, 1, len(STATISTICS) + len(LEVELS)), np.nan)
    scores = {
        name: (tuple(dims), np.full(shape, np.nan)) for name in (*SCORES, "posterior_probability")
    }
    names = [*STATISTICS, *(f"{level:g}" for level in LEVELS)]
    impacts = dict.fromkeys(("direct", "indirect", "total"), ((*dims, "term", "statistic"), empty))
    coords = {**dims, "term": ["x1"], "statistic": names}
    return so.Sweep(
        xr.Dataset(scores, coords=dims),
        xr.Dataset(impacts, coords=coords),
        None,
        pd.DataFrame(),
        {},
    )


def _posterior(draws: int = 50) -> so.Fit:
    """A few draws of rho, that no model made."""
    draws = np.random.default_rng(0).uniform(0, 0.5, (2, draws))
    return so.Fit(
        xr.DataTree.from_dict({"posterior": xr.Dataset({"rho": (("chain", "draw"), draws)})})
    )


REFUSALS = [
    # calls that do not fit
    (
        "misspelt",
        lambda g: so.SDM("y ~ x1", g.frame, g.W, effect="unit"),
        Spec,
        r"^SDM\(\) has no argument 'effect': did you mean 'effects'\?$",
    ),
    (
        "unknown",
        lambda g: g.model().fit(colour=3),
        Spec,
        r"^Model.fit\(\) has no argument 'colour': it takes sampler, draws",
    ),
    (
        "missing",
        lambda g: so.SDM("y ~ x1"),
        Spec,
        r"^SDM\(\) needs formula, data and weights: data and weights are missing\.$",
    ),
    (
        "too many",
        lambda g: so.provinces(1, 2),
        Spec,
        r"^provinces\(\) takes only seed without a name, not 2 values; .* such as complete=",
    ),
    (
        "none wanted",
        lambda g: so.Uniform(2, 3),
        Spec,
        r"^Uniform\(\) takes no argument, not 2 values\.$",
    ),
    ("twice", lambda g: so.moran(g.cross["y"], g.W, x=1), Spec, r"^moran\(\) has 'x' twice"),
    (
        "builder",
        lambda g: so.Weights.knn(PLACES, kk=2),
        Spec,
        r"^Weights.knn\(\) has no argument 'kk': did you mean 'k'\?$",
    ),
    (
        "family",
        lambda g: so.Ridge(scal=2.0),
        Spec,
        r"^Ridge\(\) has no argument 'scal': did you mean 'scale'\?$",
    ),
    ("weights of a call", lambda g: g.W.lag(), Spec, r"^Weights.lag\(\) needs x: x is missing\.$"),
    (
        "options of moran",
        lambda g: so.moran_by_period(g.frame, "y", g.W, **FLAT, permutation=9),
        Spec,
        "'permutation': did you mean 'permutations'",
    ),
    # numbers
    (
        "draws text",
        lambda g: g.model().fit(draws="500"),
        Spec,
        r"^draws='500': give a whole number from 1 on, such as draws=500\.$",
    ),
    (
        "draws float",
        lambda g: g.model().fit(draws=100.0),
        Spec,
        r"^draws=100\.0: give a whole number from 1 on, such as draws=100\.$",
    ),
    (
        "draws true",
        lambda g: g.model().fit(draws=True),
        Spec,
        r"^draws=True: give a whole number from 1 on",
    ),
    (
        "draws none",
        lambda g: g.model().fit(draws=0),
        Spec,
        r"^draws=0: give a whole number from 1 on",
    ),
    (
        "draws endless",
        lambda g: g.model().fit(draws=2**70),
        Spec,
        r"^draws=1180591620717411303424: give a whole number from 1 to 2147483647",
    ),
    (
        "chains",
        lambda g: g.model().fit(chains="2"),
        Spec,
        r"^chains='2': give a whole number from 1 on, such as chains=2\.$",
    ),
    (
        "tune",
        lambda g: g.model().fit(tune=-1),
        Spec,
        r"^tune=-1: give a whole number from 0 on, such as tune=1000\.$",
    ),
    (
        "seed below",
        lambda g: g.model().fit(seed=-1),
        Spec,
        r"^seed=-1: give a whole number from 0 to 2\*\*63 - 1, such as seed=0\.$",
    ),
    (
        "seed text",
        lambda g: so.provinces(seed="a"),
        Spec,
        r"^seed='a': give a whole number from 0 to 2\*\*63 - 1",
    ),
    (
        "seed beyond",
        lambda g: g.sweep(seed=2**70),
        Spec,
        r"^seed=1180591620717411303424: give a whole number from 0 to 2\*\*63 - 1",
    ),
    (
        "target",
        lambda g: g.model().fit(target_accept=2),
        Spec,
        r"^target_accept=2: give a number between 0 and 1, such as target_accept=0\.8\.$",
    ),
    (
        "progress",
        lambda g: g.model().fit(progress="yes"),
        Spec,
        r"^progress='yes': give True or False\.$",
    ),
    ("folder", lambda g: so.keep_compiled(3), Spec, r"^folder=3: give a path"),
    # models
    (
        "sampler",
        lambda g: g.model().fit(sampler="exakt"),
        Spec,
        "no sampler 'exakt'; choose one of 'nuts', 'exact': did you mean 'exact'",
    ),
    (
        "method",
        lambda g: g.model().fit_ml(method="lee-yu"),
        Spec,
        "no method 'lee-yu'; choose one of 'transformed'",
    ),
    (
        "information",
        lambda g: g.model().fit_ml(information=3),
        Spec,
        "no information 3; choose one of 'observed'",
    ),
    (
        "effects list",
        lambda g: g.model(effects=["twoway"]),
        Spec,
        r"no effects \['twoway'\]; choose one of 'none'",
    ),
    ("effects none", lambda g: g.model(effects=None), Spec, "no effects None; choose one of"),
    ("effects near", lambda g: g.model(effects="two-way"), Spec, "did you mean 'twoway'"),
    ("model", lambda g: g.sweep(models=["SMD"]), Spec, "no model 'SMD'; choose one of 'OLS'"),
    (
        "weights",
        lambda g: g.model(W=ring()),
        Spec,
        "^weights is a ndarray: make it one with spillover.Weights",
    ),
    (
        "error_weights",
        lambda g: g.model("SEM", error_weights=3),
        Spec,
        "^error_weights is an int: make one with spillover.Weights",
    ),
    (
        "error_weights none",
        lambda g: g.model("SAR", error_weights=g.W),
        Spec,
        "SAR has no spatial error",
    ),
    (
        "priors",
        lambda g: g.model(priors={"rho": 1}),
        Spec,
        r"^priors is a dict: make it spillover.Priors",
    ),
    (
        "unit list",
        lambda g: g.model(unit=["unit"]),
        Spec,
        r"^unit=\['unit'\]: give the name of one column, 'unit'\.$",
    ),
    (
        "period list",
        lambda g: g.model(period=["year", 3]),
        Spec,
        "^period=.*give the name of one column",
    ),
    (
        "unit absent",
        lambda g: g.model(unit="state"),
        Data,
        "unit='state' is not a column of the data",
    ),
    ("unit alone", lambda g: g.model(unit=None, effects="none"), Spec, "period='year' needs unit="),
    ("no panel", lambda g: g.model(period=None), Spec, "effects='unit' need a panel"),
    ("unit twice", lambda g: g.model(period="unit"), Spec, "both name 'unit'"),
    (
        "copies of a label",
        lambda g: g.model(frame=pd.concat([g.frame, g.frame[["unit"]]], axis=1)),
        Data,
        "name of more than one column",
    ),
    (
        "copies of a column",
        lambda g: g.model(frame=pd.concat([g.frame, g.frame[["x1"]]], axis=1)),
        Data,
        "More than one column is called 'x1'",
    ),
    (
        "one period",
        lambda g: g.model(frame=g.frame[g.frame["year"] == 2001]),
        Spec,
        "need at least two periods; the data have one, 2001",
    ),
    (
        "lagged text",
        lambda g: g.model(lagged="x1"),
        Spec,
        r"^lagged='x1': give a list, such as lagged=\['x1'\]",
    ),
    ("lagged number", lambda g: g.model(lagged=[1]), Spec, r"^lagged=\[1\]: 1 is no text"),
    (
        "lagged unknown",
        lambda g: g.model(lagged=["x3"]),
        Spec,
        "no regressor to lag called 'x3'; choose one of 'x1'",
    ),
    (
        "lagged of SAR",
        lambda g: g.model("SAR", lagged=["x1"]),
        Spec,
        "SAR has no lagged regressors",
    ),
    ("y flat", lambda g: g.model(frame=g.edit(y=2.0)), Data, "response 'y' is 2 everywhere"),
    (
        "y huge",
        lambda g: g.model(frame=g.edit(y=g.frame["y"] * 1e160)),
        Data,
        r"^Column 'y' reaches .*e\+160, at \('u\d', 200\d\)",
    ),
    (
        "y tiny",
        lambda g: g.model(frame=g.edit(y=g.frame["y"] * 1e-160)),
        Data,
        r"^Column 'y' is nowhere larger than .*e-160",
    ),
    (
        "a cell huge",
        lambda g: g.model(frame=g.edit(x1=g.frame["x1"].where(g.frame.index != 3, -1e200))),
        Data,
        r"^Column 'x1' reaches 1e\+200, at \('u3', 2001\)",
    ),
    (
        "weights huge",
        lambda g: g.model(W=so.Weights(1e200 * ring(), IDS)),
        W,
        r"^The largest of the weights is 1e\+200",
    ),
    (
        "multiple",
        lambda g: g.model("SAR", "y ~ x1 + x2", g.edit(x2=3 * g.frame["x1"])),
        Data,
        "^Column 'x2' is a linear combination of 'x1'",
    ),
    (
        "nearly",
        lambda g: g.model(
            "SDM", "y ~ x1 + x2", g.edit(x2=3 * g.frame["x1"] + 1e-11 * g.frame["x2"])
        ),
        Data,
        "^Column 'x2' is a linear combination of 'x1'",
    ),
    (
        "its own lag",
        lambda g: g.model("SDM", "y ~ x1 + x2", g.edit(x2=g.frame["year"] * 1.0), effects="none"),
        Data,
        "^Column 'W:x2' is a linear .*leave 'x2' out of lagged",
    ),
    (
        "absorbed",
        lambda g: g.model("SAR", "y ~ x1 + x2", g.edit(x2=g.frame["unit"].str[1:].astype(float))),
        Data,
        "^Column 'x2' is absorbed by the effects",
    ),
    (
        "too many terms",
        lambda g: g.of_two(),
        Data,
        "2 coefficients for 2 observations after the effects",
    ),
    ("no regressor", lambda g: g.model(formula="y ~ 1"), Data, "no regressor beside the constant"),
    (
        "exact and random",
        lambda g: g.model("SAR", effects="random").fit(sampler="exact"),
        Spec,
        "does not take random effects",
    ),
    (
        "expected and random",
        lambda g: g.model("SAR", effects="random").fit_ml(information="expected"),
        Spec,
        "With random effects the information",
    ),
    # priors
    (
        "prior of nothing",
        lambda g: so.Priors(betta=so.Ridge()),
        Prior,
        "no parameter 'betta'.*did you mean 'beta'",
    ),
    (
        "prior text",
        lambda g: so.Priors(rho="uniform"),
        Prior,
        "The prior of rho is 'uniform': give one of Uniform, ScaledBeta",
    ),
    (
        "prior of a term",
        lambda g: so.Priors(beta={"x1": "HalfNormal"}),
        Prior,
        "The prior of 'x1' is 'HalfNormal': give a NumPyro distribution",
    ),
    (
        "prior of several",
        lambda g: so.Priors(sigma=dist.HalfNormal(np.ones(2))),
        Prior,
        r"The prior of sigma has shape \(2,\)",
    ),
    (
        "prior negative",
        lambda g: so.Priors(beta=so.Ridge(-1.0)),
        Prior,
        r"Ridge\(scale=-1.0\): its numbers must be positive",
    ),
    (
        "prior no number",
        lambda g: so.Priors(rho=so.ScaledBeta("1", 2.0)),
        Prior,
        r"ScaledBeta\(a='1'\): its numbers must be positive",
    ),
    (
        "prior arrays",
        lambda g: so.Priors(beta=so.Conjugate((0.0, "x"), ((1.0,),))),
        Prior,
        "Conjugate takes finite numbers only",
    ),
    ("prior enormous", lambda g: so.Priors(sigma=so.InverseGamma(2**70)), Prior, r"at most 1e\+12"),
    # exploration
    ("moran W", lambda g: so.moran(g.cross["y"], ring()), Spec, "^W is a ndarray: make it"),
    ("moran text", lambda g: so.moran(g.cross["y"].astype(str), g.W), W, "must be real numbers"),
    (
        "moran units",
        lambda g: so.moran(g.cross["y"].rename({"u0": "v"}), g.W),
        W,
        "in the data but not in W: 'v'",
    ),
    ("moran shape", lambda g: so.moran(np.zeros(3), g.W), Data, r"x has shape \(3,\): give \(7,\)"),
    ("moran columns", lambda g: so.moran(g.cross[[]], g.W), Data, "x has no columns"),
    (
        "moran missing",
        lambda g: so.moran(g.cross["y"].where(g.cross["y"] > 0), g.W),
        Data,
        "values are missing or infinite: 'u",
    ),
    (
        "moran flat",
        lambda g: so.moran(g.cross["y"] * 0 + 1, g.W),
        Data,
        "y is the same in every unit",
    ),
    (
        "moran islands",
        lambda g: so.moran(g.cross["y"], so.Weights(np.zeros((N, N)), IDS, islands="allow")),
        Data,
        "No unit has neighbours",
    ),
    (
        "moran few",
        lambda g: so.moran(VALUES, so.Weights([[0, 1, 0], [1, 0, 1], [0, 1, 0]], list("abc"))),
        Data,
        "3 units with neighbours: .* at least 4",
    ),
    (
        "moran even",
        lambda g: so.moran(g.cross["y"], so.Weights(1 - np.eye(N), IDS)),
        Data,
        "W links every unit to every other alike",
    ),
    (
        "permutations",
        lambda g: so.moran(g.cross["y"], g.W, permutations=-1),
        Spec,
        "^permutations=-1: give a whole number from 0",
    ),
    ("moran seed", lambda g: so.moran(g.cross["y"], g.W, seed="x"), Spec, "^seed='x'"),
    (
        "alternative",
        lambda g: so.moran(g.cross["y"], g.W, alternative="bigger"),
        Spec,
        "no alternative 'bigger'; choose one of 'greater'",
    ),
    (
        "assumption",
        lambda g: so.moran(g.cross["y"], g.W, assumption="luck"),
        Spec,
        "no assumption 'luck'",
    ),
    (
        "islands of moran",
        lambda g: so.moran(g.cross["y"], g.W, islands="drop"),
        Spec,
        "no way with islands 'drop'",
    ),
    (
        "moran column",
        lambda g: so.moran_by_period(g.frame, "z", g.W, **FLAT),
        Data,
        "There is no column 'z'",
    ),
    (
        "moran label",
        lambda g: so.moran_by_period(g.frame, ["y"], g.W, **FLAT),
        Spec,
        "give the name of one column, 'y'",
    ),
    (
        "moran no frame",
        lambda g: so.moran_by_period([1], "y", g.W, **FLAT),
        Data,
        "The data are a list: give a pandas DataFrame",
    ),
    (
        "moran unlabelled",
        lambda g: so.moran_by_period(
            g.edit(unit=g.frame["unit"].where(g.frame.index > 0)), "y", g.W, **FLAT
        ),
        Data,
        "'unit' is missing in 1 rows",
    ),
    (
        "moran repeats",
        lambda g: so.moran_by_period(pd.concat([g.frame, g.frame[:1]]), "y", g.W, **FLAT),
        Data,
        "1 rows repeat a unit and period",
    ),
    (
        "local frame",
        lambda g: so.moran_local(g.cross[["y"]], g.W),
        Data,
        "moran_local takes one variable",
    ),
    (
        "local few",
        lambda g: so.moran_local(
            VALUES, so.Weights([[0, 1, 0], [1, 0, 1], [0, 1, 0]], list("abc"))
        ),
        Data,
        "3 units: local Moran's I needs at least 4",
    ),
    (
        "fdr",
        lambda g: so.moran_local(g.cross["y"], g.W, fdr=2),
        Spec,
        r"^fdr=2: give a number between 0 and 1, such as fdr=0\.05",
    ),
    (
        "conditional",
        lambda g: so.moran_local(g.cross["y"], g.W, conditional=3),
        Spec,
        "^conditional=3: give True or False",
    ),
    (
        "plot of another thing",
        lambda g: so.plots.moran(g.frame),
        Spec,
        "This is a DataFrame: give what so.moran returns",
    ),
    (
        "plot prob",
        lambda g: so.plots.moran_over_time(so.moran(g.cross[["y"]], g.W, permutations=0), prob=1.5),
        Spec,
        "^prob=1.5: give a number between 0 and 1",
    ),
    (
        "plot labels",
        lambda g: so.plots.moran(so.moran(g.cross["y"], g.W, permutations=0), labels="x"),
        Spec,
        "^labels='x': give a whole number",
    ),
    (
        "map of no places",
        lambda g: so.plots.moran_local(g.local(), 3),
        Data,
        "^places is an int: give a GeoDataFrame",
    ),
    (
        "map of copies",
        lambda g: so.plots.moran_local(g.local(), pd.concat([g.places, g.places[:1]])),
        Data,
        "The places repeat the labels 'u0'",
    ),
    (
        "map of others",
        lambda g: so.plots.moran_local(g.local(), g.places.rename({"u0": "v"})),
        Data,
        "without a place: 'u0'; places without a value: 'v'",
    ),
    (
        "map swapped",
        lambda g: so.plots.moran_local(
            g.local(), g.places.set_axis(["latitude", "longitude"], axis=1)
        ),
        Data,
        "the longitude, is wanted first",
    ),
    (
        "map gaps",
        lambda g: so.plots.moran_local(g.local(), g.places.where(g.places > 1)),
        Data,
        "Coordinates are missing or infinite: 'u0'",
    ),
    (
        "choropleth values",
        lambda g: so.plots.choropleth([1], g.places),
        Data,
        "^values is a list: give a Series",
    ),
    (
        "choropleth places",
        lambda g: so.plots.choropleth(g.cross["y"], g.places),
        Data,
        "^geometry is a DataFrame: give a GeoDataFrame",
    ),
    (
        "choropleth colours",
        lambda g: so.plots.choropleth(g.cross["y"], g.areas(), cmap="viridi"),
        Spec,
        "no colour map 'viridi': did you mean 'viridis'",
    ),
    (
        "choropleth empty",
        lambda g: so.plots.choropleth(g.cross["y"] * np.nan, g.areas()),
        Data,
        "Every value is missing",
    ),
    (
        "choropleth infinite",
        lambda g: so.plots.choropleth(g.cross["y"] * np.inf, g.areas()),
        Data,
        "values are infinite: 'u0'",
    ),
    ("fit to plot", lambda g: so.plots.trace(g.model()), Spec, "^fit is a Model: give a posterior"),
    # indices and gaps
    (
        "positive number",
        lambda g: so.entropy_index(g.frame, positive=0),
        Data,
        "^positive= is 0: give a list of column names",
    ),
    (
        "positive text",
        lambda g: so.entropy_index(g.frame, positive="x1"),
        Data,
        r"^positive= is the text 'x1': give a list .*\['x1'\]",
    ),
    (
        "positive label",
        lambda g: so.entropy_index(g.frame, positive=[["x1"]]),
        Data,
        "^positive=.*give the name of one column, 'x1'",
    ),
    (
        "positive twice",
        lambda g: so.entropy_index(g.frame, positive=["x1", "x1"]),
        Data,
        "positive= lists 'x1' more than once",
    ),
    ("no indicator", lambda g: so.entropy_index(g.frame), Data, "There is no indicator"),
    (
        "both ways",
        lambda g: so.entropy_index(g.frame, positive=["x1"], negative=["x1"]),
        Data,
        "'x1' cannot be both positive and negative",
    ),
    (
        "dimensions list",
        lambda g: so.entropy_index(g.frame, positive=["x1"], dimensions=["x1"]),
        Data,
        "^dimensions= is .*: give a dict",
    ),
    (
        "dimension of another",
        lambda g: so.entropy_index(g.frame, positive=["x1"], dimensions={"a": ["x2"]}),
        Data,
        "'x2' in the dimension 'a' is no indicator",
    ),
    (
        "two dimensions",
        lambda g: so.entropy_index(g.frame, positive=["x1"], dimensions={"a": ["x1"], "b": ["x1"]}),
        Data,
        "'x1' is in the dimensions 'a' and 'b'",
    ),
    (
        "empty dimension",
        lambda g: so.entropy_index(g.frame, positive=["x1"], dimensions={"a": ["x1"], "b": []}),
        Data,
        "The dimension 'b' has no indicator",
    ),
    (
        "no dimension",
        lambda g: so.entropy_index(g.frame, positive=["x1", "x2"], dimensions={"a": ["x1"]}),
        Data,
        "'x2' belong to no dimension",
    ),
    (
        "one row",
        lambda g: so.entropy_index(g.frame[:1], positive=["x1"]),
        Data,
        "The entropy of 1 observations",
    ),
    (
        "index gaps",
        lambda g: so.entropy_index(
            g.edit(x1=g.frame["x1"].where(g.frame.index > 0)), positive=["x1"]
        ),
        Data,
        "Indicator 'x1' is missing in 1 rows",
    ),
    (
        "all constant",
        lambda g: so.entropy_index(g.edit(x1=1.0), positive=["x1"]),
        Data,
        "Every indicator is constant",
    ),
    (
        "index of text",
        lambda g: so.entropy_index(g.frame, positive=["unit"]),
        Data,
        "Not a column of numbers: 'unit'",
    ),
    (
        "fill one label",
        lambda g: so.interpolate_panel(g.frame, unit="unit", period="unit"),
        Data,
        "both name 'unit'",
    ),
    (
        "fill unlabelled",
        lambda g: so.interpolate_panel(
            g.edit(unit=g.frame["unit"].where(g.frame.index > 0)), **FLAT
        ),
        Data,
        "'unit', the unit, is missing in 1 rows",
    ),
    (
        "fill copies",
        lambda g: so.interpolate_panel(pd.concat([g.frame, g.frame[:1]]), **FLAT),
        Data,
        "1 rows repeat a",
    ),
    (
        "fill words",
        lambda g: _period(g, g.frame["year"].map({2001: "a", 2002: "b", 2003: "c"})),
        Data,
        "distances in time need numbers or dates",
    ),
    (
        "fill endless",
        lambda g: _period(g, g.frame["year"].where(g.frame["year"] > 2001, np.inf)),
        Data,
        "the period, holds infinite values",
    ),
    (
        "fill infinite",
        lambda g: _period(g, g.frame["year"], x1=np.inf),
        Data,
        "Column 'x1' is infinite at",
    ),
    (
        "fill nothing known",
        lambda g: _period(g, g.frame["year"], x1=g.frame["x1"].where(g.frame["unit"] != "u2")),
        Data,
        "'x1' has no value at all in 'u2'",
    ),
    (
        "fill numbers as text",
        lambda g: so.interpolate_panel(g.edit(z=["1", None] + ["2"] * (N * T - 2)), **FLAT),
        Data,
        "'z' has gaps and holds numbers stored as",
    ),
    # weights
    ("islands", lambda g: so.Weights(np.zeros((2, 2))), W, "2 of 2 units have no neighbours: 0, 1"),
    (
        "islands word",
        lambda g: so.Weights(ring(), islands="drop"),
        W,
        "^islands='drop': say \"error\"",
    ),
    (
        "bounds",
        lambda g: so.Weights(ring(), bounds=(1, 2)),
        W,
        r"^bounds=\(1, 2\): give two numbers around 0",
    ),
    (
        "bounds beyond",
        lambda g: so.Weights(ring(), bounds=(-2, 2)).bounds,
        W,
        "reach beyond the admissible",
    ),
    ("matrix text", lambda g: so.Weights("ring"), W, "the matrix must be real numbers"),
    ("matrix ragged", lambda g: so.Weights([[0, 1], [1]]), W, "with rows of one length, not"),
    (
        "matrix signals",
        lambda g: so.Weights([[0, Decimal("sNaN")], [1, 0]]),
        W,
        "has one that is none",
    ),
    (
        "ids lists",
        lambda g: so.Weights(ring(), ids=pd.Series([[1], *IDS[1:]])),
        W,
        "ids must be texts or numbers, and .1. is neither",
    ),
    (
        "coordinates far",
        lambda g: so.Weights.knn([[1e300, 0], [1, 2]], 1),
        W,
        "whose distances no float holds: 0",
    ),
    ("matrix shape", lambda g: so.Weights(np.zeros((2, 3))), W, r"the matrix has shape \(2, 3\)"),
    (
        "matrix negative",
        lambda g: so.Weights([[0, -1.0], [1, 0]]),
        W,
        "1 weights are negative: 0 → 1 = -1",
    ),
    (
        "ids",
        lambda g: so.Weights(ring(), ids=3),
        W,
        "ids must be a list of labels, texts or numbers, one a unit, not 3",
    ),
    ("ids set", lambda g: so.Weights(ring(), ids=set(IDS)), W, "the labels are a set"),
    ("ids few", lambda g: so.Weights(ring(), ids=IDS[:3]), W, "3 ids for 7 units"),
    (
        "ids missing",
        lambda g: so.Weights(ring(), ids=[None, *IDS[1:]]),
        W,
        "1 ids are missing, the first at position 0",
    ),
    (
        "ids copies",
        lambda g: so.Weights(ring(), ids=["u1", *IDS[1:]]),
        W,
        "ids occur more than once: 'u1'",
    ),
    (
        "ids levels",
        lambda g: so.Weights(ring(), ids=pd.MultiIndex.from_product([IDS, [1]])),
        W,
        "ids have the levels",
    ),
    (
        "no cycle",
        lambda g: so.Weights([[0, 1], [0, 0]], islands="allow").spectral_standardize(),
        W,
        "W has no cycle of links",
    ),
    ("lag shape", lambda g: g.W @ np.zeros(3), W, r"x has shape \(3,\)"),
    (
        "lag copies",
        lambda g: g.W @ g.frame.set_index("unit")["y"],
        W,
        "the data repeat the units 'u0'",
    ),
    (
        "lag levels",
        lambda g: g.W @ g.frame.set_index(["unit", "year"])["y"],
        W,
        "the data have an index of the levels",
    ),
    ("subset of one", lambda g: g.W["u0"], W, r"W\['u0'\]: give a list of labels"),
    ("subset mask", lambda g: g.W[np.ones(N, bool)], W, r"W\[mask\]: give labels"),
    ("subset unknown", lambda g: g.W[["u0", "v"]], W, "not among the ids of W: 'v'"),
    (
        "k",
        lambda g: so.Weights.knn(PLACES, 3),
        W,
        "k=3: give a whole number of neighbours from 1 to 2",
    ),
    (
        "metric",
        lambda g: so.Weights.knn(PLACES, 1, metric="miles"),
        W,
        "metric='miles': choose one of euclidean, haversine",
    ),
    ("coordinates", lambda g: so.Weights.knn([1, 2], 1), W, r"the coordinates have shape \(2,\)"),
    (
        "coordinates missing",
        lambda g: so.Weights.knn([[0, np.nan], [1, 2]], 1),
        W,
        "coordinates that are missing or infinite: 0",
    ),
    (
        "ids of a frame",
        lambda g: so.Weights.knn(POLAR, 1, ids=[1, 2, 3]),
        W,
        "a DataFrame carries its ids",
    ),
    (
        "latitude first",
        lambda g: so.Weights.knn(POLAR, 1, metric="haversine"),
        W,
        "the longitude is wanted first",
    ),
    (
        "off the globe",
        lambda g: so.Weights.knn([[400, 1.0], [1, 1]], 1, metric="haversine"),
        W,
        r"longitude outside \[-180, 360\]: 0 = 400",
    ),
    (
        "threshold",
        lambda g: so.Weights.distance_band(PLACES, "2"),
        W,
        "threshold='2': give a positive number",
    ),
    (
        "round the earth",
        lambda g: so.Weights.distance_band(PLACES, 1e6, metric="haversine"),
        W,
        "half way round the earth",
    ),
    (
        "one place",
        lambda g: so.Weights.inverse_distance([[0, 0], [0, 0], [1, 0]]),
        W,
        "units stand in the same place.*: 0, 1",
    ),
    (
        "power",
        lambda g: so.Weights.inverse_distance(PLACES, power=2000),
        W,
        "power=2000 of distances .* leaves the range",
    ),
    ("values list", lambda g: so.Weights.economic([1, 2]), W, "values are a list: give a Series"),
    ("values empty", lambda g: so.Weights.economic(pd.Series(dtype=float)), W, "values are empty"),
    (
        "values missing",
        lambda g: so.Weights.economic(VALUES.where(VALUES > 1)),
        W,
        "values that are missing or infinite: 'a'",
    ),
    (
        "values negative",
        lambda g: so.Weights.economic_geography(so.Weights(1 - np.eye(3), list("abc")), -VALUES),
        W,
        "values of 0 or less: 'a' = -1",
    ),
    (
        "geography",
        lambda g: so.Weights.economic_geography(ring(), VALUES),
        W,
        "geography is a ndarray: make it one with",
    ),
    ("share", lambda g: so.Weights.nested(g.W, g.W, share=2), W, "share=2: give the share"),
    ("others", lambda g: so.Weights.nested(g.W, so.Weights(ring())), W, "a and b have other units"),
    ("edges list", lambda g: so.Weights.from_edges([(1, 2)], "a", "b"), W, "^the edges are a list"),
    (
        "edges label",
        lambda g: so.Weights.from_edges(g.frame, ["unit"], "year"),
        W,
        r"^origin=\['unit'\]: give the name of one column",
    ),
    ("rook", lambda g: so.Weights.contiguity(g.frame, rook=3), W, "rook=3: say True"),
    ("polygons", lambda g: so.Weights.contiguity(g.frame), W, "a DataFrame has no polygons"),
    (
        "cancel",
        lambda g: so.Weights(_cancelling()),
        W,
        "negative weights at places .* stored more than once",
    ),
    # log-determinants
    ("ld W", lambda g: so.LogDet.build(ring()), Spec, "^W is a ndarray: make it"),
    (
        "ld method",
        lambda g: so.LogDet.build(g.W, method="exact"),
        Spec,
        "no method 'exact'; choose one of 'auto'",
    ),
    (
        "ld interval",
        lambda g: so.LogDet.build(g.W, interval=(0.5, -0.5)),
        Spec,
        r"^interval=\(0.5, -0.5\): give two values of rho",
    ),
    (
        "ld tol",
        lambda g: so.LogDet.build(g.W, tol=-1),
        Spec,
        "^tol=-1: give a number between 0 and 1",
    ),
    (
        "ld outside",
        lambda g: so.LogDet.build(g.W)(1.5),
        W,
        "rho=1.5 is not inside the admissible interval",
    ),
    ("ld text", lambda g: so.LogDet.build(g.W)("a"), W, "^rho must be real numbers"),
    # sweeps and what they found
    (
        "sweep weights",
        lambda g: g.sweep(weights=[g.W]),
        Spec,
        "^weights is a list: give a dict of names",
    ),
    (
        "sweep one weights",
        lambda g: g.sweep(weights={"ring": ring()}),
        Spec,
        r"^weights\['ring'\] is a ndarray: make it",
    ),
    ("sweep name", lambda g: g.sweep(weights={1: g.W}), Spec, "weights: 1 is no name"),
    ("sweep none", lambda g: g.sweep(models=[]), Spec, "model is empty"),
    ("sweep twice", lambda g: g.sweep(models=["SAR", "SAR"]), Spec, "model: 'SAR' is listed twice"),
    (
        "sweep models",
        lambda g: g.sweep(models="SAR"),
        Spec,
        r"^models='SAR': give a list, such as models=\['SAR'\]",
    ),
    ("sweep effects", lambda g: g.sweep(effects=["random"]), Spec, "a sweep takes fixed effects"),
    (
        "sweep controls",
        lambda g: g.sweep(controls={"a": 3}),
        Spec,
        r"^controls\['a'\]=3: give a text",
    ),
    (
        "sweep window",
        lambda g: g.sweep(windows={"a": "2001"}),
        Spec,
        r"windows\['a'\] is '2001': give its first and last period",
    ),
    (
        "sweep window of text",
        lambda g: g.sweep(windows={"a": ("x", "z")}),
        Spec,
        "does not compare with the periods",
    ),
    (
        "sweep window empty",
        lambda g: g.sweep(windows={"a": (1990, 1991)}),
        Spec,
        "No row of the data lies in the window from 1990 to 1991",
    ),
    (
        "sweep window of what",
        lambda g: g.sweep(windows={"a": (2001, 2002)}, period=None, effects=["none"]),
        Spec,
        "windows need a pandas DataFrame",
    ),
    (
        "sweep draws",
        lambda g: g.sweep(draws="10"),
        Spec,
        "^draws='10': give a whole number from 1 on, such as draws=10",
    ),
    ("sweep keep", lambda g: g.sweep(keep_draws=1), Spec, "^keep_draws=1: give True or False"),
    (
        "lags apart",
        lambda g: g.sweep(controls={"a": "", "b": "lag(x2)"}),
        so.SpilloverError,
        "give all of them the same longest lag",
    ),
    (
        "sweep client",
        lambda g: g.sweep(client=3),
        Spec,
        "^client is an int: give a distributed.Client",
    ),
    ("open what", lambda g: so.open_sweep(3), Spec, "^path=3: give a path"),
    ("study of what", lambda g: so.study(3), Spec, "^config=3: give a path"),
    (
        "over text",
        lambda g: _swept().average(over="weights"),
        Spec,
        "over='weights': 'weights' is not a list",
    ),
    ("over nothing", lambda g: _swept().average(over=[]), Spec, r"over=\[\] names no dimension"),
    (
        "no probabilities",
        lambda g: _swept().average(),
        Spec,
        "These members have no posterior probabilities",
    ),
    (
        "interval",
        lambda g: _swept().conclusions(interval=(0.3, 0.33)),
        Spec,
        r"interval=\(0.3, 0.33\): choose two levels among",
    ),
    (
        "by",
        lambda g: _swept().conclusions(by=["colour"]),
        Spec,
        r"by=\['colour'\]: choose among weights",
    ),
    ("picture", lambda g: _swept().plot("pie"), Spec, "no picture 'pie'; choose one of 'direct'"),
    (
        "no picture",
        lambda g: _swept().plot("probability"),
        Spec,
        "These members have no posterior probabilities",
    ),
    (
        "nothing finished",
        lambda g: results.assemble([], {}),
        Data,
        "No member of this sweep is finished yet",
    ),
    # posteriors
    (
        "picture of few",
        lambda g: so.plots.rank(_posterior(3)),
        Spec,
        "Chains of 3 draws are too short",
    ),
    (
        "summary option",
        lambda g: _posterior().summary(colour=1),
        Spec,
        "no option 'colour'; choose one of 'var_names'",
    ),
    (
        "summary value",
        lambda g: _posterior().summary(kind="some"),
        Spec,
        "ArviZ makes no summary with kind='some': ",
    ),
    (
        "impacts by",
        lambda g: _posterior().impacts(by=3),
        Spec,
        "There are no impacts by 3; choose one of 'unit', 'order'",
    ),
    (
        "orders",
        lambda g: _posterior().impacts(by="order", orders=-1),
        Spec,
        "^orders=-1: give a whole number from 0",
    ),
    (
        "impact draws",
        lambda g: _posterior().impacts(by="unit", draws=-5),
        Spec,
        "^draws=-5: give a whole number from 1 on",
    ),
    ("cache", lambda g: so.cache.keep(__file__), so.StorageError, "refusals.py"),
    (
        "no mass",
        lambda g: explore(lambda points: np.full(len(points), np.nan), 1),
        so.ConvergenceError,
        "No rho or lam has a density",
    ),
    # labels
    (
        "periods as text",
        lambda g: so.moran_by_period(
            g.edit(year=g.frame["year"].map({2001: "9", 2002: "10", 2003: "11"})), "y", g.W, **FLAT
        ),
        Data,
        "numbers stored as text, which sort as text",
    ),
    (
        "periods of two types",
        lambda g: so.moran_by_period(
            g.edit(year=g.frame["year"].where(g.frame["year"] > 2001, "x").astype(object)),
            "y",
            g.W,
            **FLAT,
        ),
        Data,
        "which do not sort: convert them to one",
    ),
    (
        "labels alike",
        lambda g: so.Weights(ring(), ids=["1", 1, *IDS[2:]]),
        W,
        "read alike but are of several types",
    ),
    (
        "columns of text",
        lambda g: so.moran(g.cross[["y"]].astype(object).replace({g.cross["y"].iloc[0]: "a"}), g.W),
        W,
        "look at the columns 'y'",
    ),
    ("beyond floats", lambda g: so.Weights([[0, 10**400], [1, 0]]), W, "one is beyond 2e\\+308"),
    (
        "copies of an indicator",
        lambda g: so.entropy_index(pd.concat([g.frame, g.frame[["x1"]]], axis=1), positive=["x1"]),
        Data,
        "More than one column is called 'x1'",
    ),
    # tests and comparisons
    (
        "compare list",
        lambda g: so.compare([1]),
        Spec,
        "^fits is a list: give a dict of names and fits",
    ),
    ("compare nothing", lambda g: so.compare({}), Spec, "needs at least one fit"),
    (
        "compare a model",
        lambda g: so.compare({"a": g.model()}),
        Spec,
        "'a' is a Model: give fits made by",
    ),
    (
        "lm of a frame",
        lambda g: so.lm_tests(g.frame),
        Spec,
        "lm_tests takes a model before it is fitted.*not a DataFrame",
    ),
    (
        "lm kind",
        lambda g: so.lm_tests(g.model("OLS"), kind="x"),
        Spec,
        "no kind 'x'; choose one of 'transformed'",
    ),
    ("lm of a SAR", lambda g: so.lm_tests(g.model("SAR")), Spec, "which a SAR has none of"),
    (
        "lm random",
        lambda g: so.lm_tests(g.model("OLS", effects="random")),
        Spec,
        "These tests are for pooled data",
    ),
    (
        "lr of a model",
        lambda g: so.lr_test(g.model(), g.model()),
        Spec,
        "This is a Model: the test takes maximum-likelihood fits",
    ),
    (
        "mundlak of a frame",
        lambda g: so.mundlak(g.frame),
        Spec,
        "This is a DataFrame: the test takes",
    ),
    (
        "select a frame",
        lambda g: so.select_model(g.frame),
        Spec,
        "^model is a DataFrame: give one before it is fitted",
    ),
    (
        "select random",
        lambda g: so.select_model(g.model(effects="random")),
        Spec,
        "select_model compares random with fixed effects itself",
    ),
    (
        "select alpha",
        lambda g: so.select_model(g.model(), alpha=5),
        Spec,
        "^alpha=5: give a number between 0 and 1",
    ),
    # simulated data
    (
        "simulate x",
        lambda g: g.simulate(x=np.zeros((2, N))),
        Data,
        r"x is a ndarray of shape \(2, 7\): give an array of numbers",
    ),
    (
        "simulate W",
        lambda g: g.simulate(weights=g.W),
        W,
        "weights is a Weights: give a sparse array",
    ),
    (
        "simulate beta",
        lambda g: g.simulate(beta=np.ones(2)),
        Data,
        r"beta is a ndarray of shape \(2,\): give an array of 1 numbers",
    ),
    (
        "simulate rho",
        lambda g: g.simulate(rho=1.5),
        Data,
        "rho=1.5 is not inside the admissible interval",
    ),
    ("simulate lam", lambda g: g.simulate(lam="x"), Spec, "^lam='x': give a number"),
    ("simulate sigma", lambda g: g.simulate(sigma=-1), Spec, "^sigma=-1: give a number from 0 on"),
    (
        "simulate effects",
        lambda g: g.simulate(effects=np.ones(5)),
        Data,
        r"effects is a ndarray of shape \(5,\)",
    ),
    ("simulate rng", lambda g: g.simulate(rng=3), Spec, "^rng is an int: give one of NumPy's"),
]

ELSEWHERE = {
    **dict.fromkeys(
        (
            "The fits are of different data",
            "The fits have different weights",
            "One fit is by method=",
            " leave different data: compare the same model with both",
            " has no rho: the common factor",
            " has no lagged regressors: this is a test",
            ": give one with 'unit' or 'twoway' effects",
            "The fit with random effects lacks ",
            "The fixed effects are those of the periods too",
            ": give OLS and SEM, or SLX and SDEM",
            "The spatial Hausman test takes fixed effects",
            ": give the smaller model first",
            " has no likelihood ratio",
        ),
        "engine/test_specification.py",
    ),
    **dict.fromkeys(
        (
            " coefficients.",
            " for a prior of beta",
            "; the model has ",
            "is not symmetric and positive",
        ),
        "models/test_priors.py",
    ),
    **dict.fromkeys(
        (
            ", has its support in (",
            ", has an empty support, ",
            "its support is no interval",
            "give one that overlaps it",
        ),
        "engine/test_hard_bounds.py",
    ),
    **dict.fromkeys(
        ("NUTS does not give", "the sum over orders diverges"), "engine/test_results.py"
    ),
    **dict.fromkeys(
        ("Give each unit its area", "contiguity needs libpysal", "no active geometry"),
        "engine/test_weights_made.py",
    ),
    **dict.fromkeys((". Take their centroids", "the points are in "), "engine/test_places.py"),
    **dict.fromkeys(
        (
            "needs conjugate priors of beta",
            "The marginal likelihood needs proper",
            "The quadrature over the spatial",
        ),
        "engine/test_exact.py",
    ),
    **dict.fromkeys(
        (": no evidence. Row-standardise", "the quasi-likelihood of period effects"),
        "engine/test_evidence.py",
    ),
    **dict.fromkeys(
        (
            ": leave out what repeats it, or give",
            " is absorbed by the effects, because it does not vary ",
            " is a linear combination of ",
        ),
        "engine/test_response.py",
    ),
    " is no fit that can be used": "engine/test_saving.py",
    " values: weights are real numbers.": "engine/test_weights.py",
    "so small that float64 holds them as 0": "engine/test_conversions.py",
    "Every prior of this fit is improper": "engine/test_plots.py",
    " has no interior maximum": "engine/test_ml_reference.py",
    " is not positive definite at the estimates": "engine/test_conditioning.py",
    "SpecificationError(panel)": "engine/test_sweep.py",
    " within units and periods, more than": "models/test_prosperity.py",
}

UNPROVOKED = {  # what takes more than a wrong input to bring about
    ": the posterior of rho and lam is too rough": "a quadrature that settles at none of its steps",
    "More than half of the normal draws": "a standard error of rho as wide as its interval",
    "The estimate of sigma_alpha is 0": "a search that ends at the edge",
    ": the first is no restriction of the second": (
        "a likelihood that falls as parameters are added"
    ),
    "the corrected score of this model": "two weights whose rows have several sums each",
    "what it expects of the curvature": "the same",
    ": Mundlak's test is of a fit": "a fit by maximum likelihood of other effects",
    " chunks of the sweep were lost": "Dask workers that die four times over",
    "client= needs Dask": "a Python without Dask",
    " indicators still move by ": "a fixed point that is none",
}
