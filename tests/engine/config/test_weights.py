"""The table [weights] of a TOML file: each entry is what Python makes, in whatever order; what is
wrong is named with its entry.
"""

import re
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from spillover.engine.config.sweep import read_sweep
from spillover.engine.config.weights import make_weights
from spillover.engine.weights.weights import Weights
from spillover.kernels.errors import DataError, SpecificationError, SpilloverError, WeightsError

CITIES = pd.DataFrame(
    {"lon": [10.7, 5.3, 10.4, 5.7, 18.9], "lat": [59.9, 60.4, 63.4, 59.0, 69.6]},
    index=["oslo", "bergen", "trondheim", "stavanger", "tromsø"],
)
YEARS = [2001, 2002, 2003]
RNG = np.random.default_rng(4)
PANEL = pd.DataFrame(
    [
        (city, year, *RNG.lognormal(size=2))
        for year in YEARS
        for city in RNG.permutation(CITIES.index)
    ],
    columns=["city", "year", "gdp", "y"],
)
GDP = pd.Series(
    {
        city: sum(PANEL["gdp"][PANEL["city"] == city]) / len(YEARS)
        for city in PANEL["city"][: len(CITIES)]
    }
)
PLACES = (
    'coordinates = {file = "places.csv", unit = "name", x = "lon", y = "lat"}\nmetric ='
    ' "haversine"\n'
)
TABLE = f"""
[nested]
kind = "nested"
of = ["scaled", "economic"]
share = 0.3

[trade]
file = "trade.csv"
standardize = "spectral"

[scaled]
kind = "economic_geography"
geography = "distance"
values = "gdp"

[neighbours]
kind = "knn"
k = 2
standardize = "none"
{PLACES}
[distance]
kind = "inverse_distance"
power = 2
cutoff = 600
islands = "allow"
standardize = "spectral"
{PLACES}
[band]
kind = "distance_band"
threshold = 1200
standardize = "none"
{PLACES}
[economic]
kind = "economic"
values = "gdp"
power = 2
standardize = "none"
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    CITIES.rename_axis("name").to_csv(tmp_path / "places.csv")
    tmp_path.joinpath("trade.csv").write_text(
        "origin,destination,weight\noslo,bergen,2\nbergen,oslo,3\ntromsø,oslo,1\noslo,tromsø,4\n"
    )
    return tmp_path


def table(folder: Path, text: str, **options) -> dict[str, Weights]:
    return make_weights(
        folder, tomllib.loads(text), PANEL, unit="city", where="study.toml", **options
    )


def wanted() -> dict[str, Weights]:
    """What the table says, in Python."""
    places = {"metric": "haversine"}
    raw = Weights.inverse_distance(CITIES, 2, 600, islands="allow", **places)
    scaled, economic = Weights.economic_geography(raw, GDP), Weights.economic(GDP, power=2)
    trade = pd.DataFrame(
        {
            "i": ["oslo", "bergen", "tromsø", "oslo"],
            "j": ["bergen", "oslo", "oslo", "tromsø"],
            "w": [2.0, 3, 1, 4],
        }
    )
    return {
        "nested": Weights.nested(scaled, economic, 0.3),
        "trade": Weights.from_edges(trade, "i", "j", "w").spectral_standardize(),
        "scaled": scaled.row_standardize(),
        "neighbours": Weights.knn(CITIES, 2, **places),
        "distance": raw.spectral_standardize(),
        "band": Weights.distance_band(CITIES, 1200, **places),
        "economic": economic,
    }


@pytest.mark.parametrize("seed", [None, 0, 1])
def test_entries_are_what_python_makes_in_any_order(folder, seed):
    parts = re.split(r"\n(?=\[)", TABLE.strip())
    order = (
        range(len(parts)) if seed is None else np.random.default_rng(seed).permutation(len(parts))
    )
    made, want = table(folder, "\n".join(parts[i] for i in order)), wanted()
    assert list(made) == [re.match(r"\[(.*)\]", parts[i])[1] for i in order]
    for name, W in want.items():
        assert (made[name].ids.tolist(), made[name].transform) == (
            W.ids.tolist(),
            W.transform,
        ), name
        np.testing.assert_allclose(
            made[name].to_scipy().toarray(), W.to_scipy().toarray(), rtol=1e-14, err_msg=name
        )
    # so the geography that `scaled` and `nested` refer to has an island
    assert made["distance"].islands == ["tromsø"]


def test_the_data_may_name_the_units_by_their_index(folder):
    entry = {"economic": {"kind": "economic", "values": "gdp"}}
    made = make_weights(folder, entry, GDP.to_frame("gdp"))["economic"]
    assert made == Weights.economic(GDP).row_standardize()


def test_polygons_from_a_map(folder):
    geopandas, shapely = pytest.importorskip("geopandas"), pytest.importorskip("shapely")
    cells = [(0, 0), (1, 0), (1, 1), (2, 2)]
    frame = geopandas.GeoDataFrame(
        {"name": list("dbca")},
        geometry=[shapely.box(x, y, x + 1, y + 1) for x, y in cells],
        crs="EPSG:4326",
    )
    frame.to_file(folder / "map.geojson")
    entry = (
        '[{0}]\nkind = "contiguity"\ngeometry = {{file = "map.geojson", unit ='
        ' "name"}}\nstandardize = "none"\n'
    )
    made = table(
        folder, entry.format("queen") + entry.format("rook") + 'rook = true\nislands = "allow"\n'
    )
    assert made["queen"] == Weights.contiguity(frame.set_index("name"))
    assert made["rook"] == Weights.contiguity(frame.set_index("name"), rook=True, islands="allow")
    assert made["rook"].islands == ["a"]
    (folder / "map.geojson").write_text("no map")
    with pytest.raises(DataError, match=r"map\.geojson cannot be read as a map"):
        table(folder, entry.format("queen"))


def test_what_is_said_for_all_holds_where_an_entry_says_nothing(folder):
    text = 'trade = "trade.csv"\n[own]\nfile = "trade.csv"\nstandardize = "row"\n'
    made = table(folder, text, shared={"standardize": "none"})
    assert (made["trade"].transform, made["own"].transform) == ("raw", "row")
    assert made["own"] == made["trade"].row_standardize()
    assert table(folder, text)["trade"].transform == "row"
    far = f'[far]\nkind = "distance_band"\nthreshold = 200\n{PLACES}'
    assert table(folder, far, shared={"islands": "allow"})["far"].islands == [
        "oslo",
        "trondheim",
        "tromsø",
    ]
    with pytest.raises(WeightsError, match=r"weights\.far in study\.toml: .*'trondheim'"):
        table(folder, far + 'islands = "error"', shared={"islands": "allow"})


def test_islands_that_come_with_other_weights(folder):
    """They are allowed where the other weights allow them, unless the entry says that
    they are not.
    """
    far = f'[far]\nkind = "distance_band"\nthreshold = 200\nislands = "allow"\n{PLACES}'
    scaled = '[scaled]\nkind = "economic_geography"\ngeography = "far"\nvalues = "gdp"\n'
    assert table(folder, scaled + far)["scaled"].islands == ["oslo", "trondheim", "tromsø"]
    assert table(folder, scaled + 'islands = "allow"\n' + far)["scaled"].islands == [
        "oslo",
        "trondheim",
        "tromsø",
    ]
    with pytest.raises(
        WeightsError, match=r"weights\.scaled in study\.toml: .*'oslo', 'trondheim'"
    ):
        table(folder, scaled + 'islands = "error"\n' + far)


def test_a_sweep_takes_the_same_table(folder):
    PANEL.to_csv(folder / "panel.csv", index=False)
    head = (
        'data = "panel.csv"\nformula = "y ~ gdp"\nmodels = ["SAR"]\nunit = "city"\nperiod ='
        ' "year"\n'
    )
    (folder / "sweep.toml").write_text(head + TABLE.replace("\n[", "\n[weights."))
    made, want = read_sweep(folder / "sweep.toml").arguments["weights"], wanted()
    assert list(made) == list(want)
    for name, W in want.items():
        np.testing.assert_allclose(
            made[name].to_scipy().toarray(), W.to_scipy().toarray(), rtol=1e-12, err_msg=name
        )


KNN = '[w]\nkind = "knn"\nk = 2\n'
ECONOMIC = '[w]\nkind = "economic"\nvalues = "gdp"\n'
REFUSED = {
    "no table": (
        "w = 3",
        SpecificationError,
        ["study.toml: key weights.w: 3 is a whole number; give the path"],
    ),
    "neither file nor kind": (
        '[w]\nstandardize = "row"',
        SpecificationError,
        ["weights.w", "lacks its file", "knn"],
    ),
    "an unknown kind": (
        '[w]\nkind = "queen"',
        SpecificationError,
        ['key weights.w.kind: there is no "queen"', '"contiguity", "knn"'],
    ),
    "a kind that is no text": (
        '[w]\nkind = ["knn"]',
        SpecificationError,
        ["key weights.w.kind: .* is a list of 1"],
    ),
    "file and kind": (
        '[w]\nkind = "knn"\nk = 2\nfile = "trade.csv"',
        SpecificationError,
        ["unknown key weights.w.file", "coordinates"],
    ),
    "an unknown key": (
        KNN + PLACES + "threshold = 3",
        SpecificationError,
        ["unknown key weights.w.threshold", "metric"],
    ),
    "an unknown key beside a file": (
        '[w]\nfile = "trade.csv"\nk = 2',
        SpecificationError,
        ["unknown key weights.w.k: "],
    ),
    "a missing key": (
        '[w]\nkind = "knn"\n' + PLACES,
        SpecificationError,
        ["weights.w", "lacks k", "coordinates, k"],
    ),
    "coordinates as text": (
        KNN + 'coordinates = "places.csv"',
        SpecificationError,
        ["key weights.w.coordinates: ", "file, unit, x, y"],
    ),
    "coordinates without y": (
        KNN + 'coordinates = {file = "places.csv", unit = "name", x = "lon"}',
        SpecificationError,
        ["lacks y"],
    ),
    "an unknown standard": (
        '[w]\nfile = "trade.csv"\nstandardize = "col"',
        SpecificationError,
        ['key weights.w.standardize: there is no "col"', "spectral"],
    ),
    "islands of another word": (
        KNN + PLACES + 'islands = "keep"',
        SpecificationError,
        ['key weights.w.islands: there is no "keep"', "allow"],
    ),
    "no file": (
        'w = "other.csv"',
        WeightsError,
        ["weights.w in study.toml", "other.csv", "no such file"],
    ),
    "a file that is no text": (
        "[w]\nfile = 3",
        SpecificationError,
        ["key weights.w.file: 3 is a whole number"],
    ),
    "no file of places": (KNN + PLACES.replace("places", "where"), DataError, ["where.csv"]),
    "no such column of places": (
        KNN + PLACES.replace('"lon"', '"x"'),
        WeightsError,
        ["weights.w", "places.csv has no column 'x'", "lat"],
    ),
    "a column that is no text": (
        KNN + PLACES.replace('"lon"', "1"),
        SpecificationError,
        ["key weights.w.coordinates.x: 1 is"],
    ),
    "no map": (
        '[w]\nkind = "contiguity"\ngeometry = {file = "m.geojson", unit = "name"}',
        DataError,
        ["m.geojson"],
    ),
    "a wrong number": (
        KNN.replace("2", "9") + PLACES,
        WeightsError,
        ["weights.w in study.toml", "k=9"],
    ),
    "a number as text": (
        '[w]\nkind = "distance_band"\nthreshold = "5"\n' + PLACES,
        SpecificationError,
        ['key weights.w.threshold: "5" is a text; give a positive number'],
    ),
    "no such column of the data": (
        ECONOMIC.replace("gdp", "gpd"),
        WeightsError,
        ["the data has no column 'gpd'", "city, year, gdp"],
    ),
    "a column of text": (
        ECONOMIC.replace("gdp", "city"),
        WeightsError,
        ["weights.w", "column 'city'", "real numbers"],
    ),
    "an unknown geography": (
        (
            '[w]\nkind = "economic_geography"\ngeography = "far"\nvalues = "gdp"\n[near]\nfile ='
            ' "trade.csv"'
        ),
        SpecificationError,
        ["weights.w in study.toml", "'far'", "w, near"],
    ),
    "other weights for a name": (
        '[w]\nkind = "economic_geography"\ngeography = 3\nvalues = "gdp"',
        SpecificationError,
        ["3", "the name"],
    ),
    "one of": ('[w]\nkind = "nested"\nof = ["w"]', SpecificationError, ["weights.w", "two"]),
    "of numbers": (
        '[w]\nkind = "nested"\nof = [1, 2]',
        SpecificationError,
        ["1, 2", "names of two"],
    ),
    "of itself": (
        '[w]\nkind = "nested"\nof = ["w", "v"]\n[v]\nfile = "trade.csv"',
        SpecificationError,
        ["circle, w → w"],
    ),
    "a circle": (
        (
            '[a]\nkind = "nested"\nof = ["b", "t"]\n[b]\nkind = "economic_geography"\ngeography ='
            ' "c"\nvalues = "gdp"\n[c]\nkind = "nested"\nof = ["t", "a"]\n[t]\nfile = "trade.csv"'
        ),
        SpecificationError,
        ["study.toml", "a → b → c → a|b → c → a → b|c → a → b → c"],
    ),
    "other units": (
        (
            '[w]\nkind = "nested"\nof = ["t", "e"]\n[t]\nfile ='
            f' "trade.csv"\n{ECONOMIC.replace("[w]", "[e]")}'
        ),
        WeightsError,
        ["weights.w in study.toml", "only in b: .*'trondheim'"],
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refuses_and_names_the_entry(folder, case):
    text, kind, parts = REFUSED[case]
    with pytest.raises(SpilloverError) as caught:
        table(folder, text)
    assert caught.type is kind
    for part in parts:
        assert re.search(part, str(caught.value)), f"{part!r} not in {caught.value}"
    assert str(caught.value).count("study.toml") <= 1


@pytest.mark.parametrize("value", ["weights.csv", 3])
def test_the_table_is_a_table(folder, value):
    with pytest.raises(
        SpecificationError, match=r"study\.toml: key weights: .*; give a table \[weights\]"
    ):
        make_weights(folder, value, PANEL, unit="city", where="study.toml")


def test_a_missing_value_is_not_averaged_away(folder):
    gap = PANEL.assign(gdp=PANEL["gdp"].where(PANEL.index != 7))
    with pytest.raises(WeightsError, match=f"'gdp' has missing values for '{PANEL['city'][7]}'"):
        make_weights(folder, tomllib.loads(ECONOMIC), gap, unit="city")
    unnamed = PANEL.assign(city=PANEL["city"].where(PANEL.index != 7))
    with pytest.raises(WeightsError, match="1 ids are missing"):
        make_weights(folder, tomllib.loads(ECONOMIC), unnamed, unit="city")
