"""Pictures of sweeps: they show the numbers they claim to, with few weights and with many."""

from dataclasses import replace
from itertools import pairwise

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

import spillover as so

matplotlib.use("agg")

KINDS = ("direct", "indirect", "total", "forest", "probability")
N, T = 8, 3


@pytest.fixture(scope="module")
def many() -> so.Sweep:
    """Sixty W, two models, two kinds of effects; one W has other units, so that its
    members fail.
    """
    rng, ids = np.random.default_rng(2), [f"u{i}" for i in range(N)]
    labels = pd.MultiIndex.from_product([range(T), ids], names=["year", "unit"])
    frame = pd.DataFrame(
        rng.standard_normal((N * T, 3)), index=labels, columns=["y", "x1", "x2"]
    ).reset_index()
    frame["y"] += 3 * frame["x1"]
    matrices = [rng.uniform(0.1, 1.0, (N, N)) * (1 - np.eye(N)) for _ in range(60)]
    weights = {
        f"w{i}": so.Weights(matrix, ids).row_standardize() for i, matrix in enumerate(matrices)
    }
    weights["w7"] = so.Weights(matrices[7], [f"v{i}" for i in range(N)])
    panel = {"unit": "unit", "period": "year", "draws": 50, "progress": False}
    return so.sweep(
        "y ~ x1 + x2", frame, weights, models=["OLS", "SLX"], effects=["none", "unit"], **panel
    )


@pytest.fixture(scope="module")
def few(many) -> so.Sweep:
    """Three of them, one kind of effects."""
    chosen = {"weights": ["w0", "w1", "w7"], "effects": ["none"]}
    return replace(many, summary=many.summary.sel(chosen), impacts=many.impacts.sel(chosen))


@pytest.fixture(autouse=True)
def closed():
    import matplotlib.pyplot as plt

    yield
    plt.close("all")


@pytest.mark.verify
@pytest.mark.parametrize("size", ["few", "many"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_picture_can_be_saved(kind, size, tmp_path, request):
    figure = request.getfixturevalue(size).plot(kind)
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "plot.png", dpi=50)
    assert (tmp_path / "plot.png").stat().st_size > 3000


def labels_fit(figure: Figure) -> bool:
    """No two names of weights on one axis overlap."""
    figure.draw_without_rendering()
    boxes = [
        label.get_window_extent() for label in figure.axes[0].get_yticklabels() if label.get_text()
    ]
    tops = sorted((box.y0, box.y1) for box in boxes)
    return all(above[0] >= below[1] - 1 for below, above in pairwise(tops))


@pytest.mark.parametrize("kind", ["total", "forest", "probability"])
def test_names_of_sixty_weights_do_not_overlap(kind, many):
    figure = many.plot(kind)
    assert labels_fit(figure)
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == list(
        many.members["weights"].to_numpy()
    )


@pytest.mark.parametrize("kind", ["direct", "total"])
def test_a_heat_map_shows_the_means_and_what_excludes_zero(kind, many):
    figure = many.plot(kind)
    panels = [axis for axis in figure.axes if axis.images]
    assert [axis.get_title() for axis in panels] == ["x1", "x2"]
    for axis in panels:
        one = many.impacts[kind].sel(term=axis.get_title())
        image = axis.images[0]
        columns = [label.get_text() for label in axis.get_xticklabels()]
        assert columns == ["OLS\nnone", "SLX\nnone", "OLS\nunit", "SLX\nunit"]
        limits = image.norm.vmin, image.norm.vmax
        assert limits[0] == -limits[1]
        dots = {
            tuple(point)
            for collection in axis.collections
            for point in np.asarray(collection.get_offsets()).astype(int).tolist()
        }
        for column, label in enumerate(columns):
            model, effects = label.split("\n")
            chosen = one.sel(model=model, effects=effects)
            shown = np.ma.filled(image.get_array().astype(float), np.nan)[:, column]
            np.testing.assert_array_equal(shown, chosen.sel(statistic="mean"))
            sure = (chosen.sel(statistic="0.025") > 0) | (chosen.sel(statistic="0.975") < 0)
            assert {row for at, row in dots if at == column} == set(np.flatnonzero(sure))
    assert np.isnan(np.ma.filled(panels[0].images[0].get_array().astype(float), np.nan)[7]).all()


def test_a_forest_shows_medians_and_intervals(few):
    figure = few.plot("forest", term="x2")
    axis = figure.axes[0]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["OLS", "SLX"]
    for model in ("OLS", "SLX"):
        line = next(line for line in axis.lines if line.get_label() == model)
        one = few.impacts["total"].sel(term="x2", model=model, effects="none")
        np.testing.assert_array_equal(line.get_xdata(), one.sel(statistic="0.5"))
        ends = {
            tuple(segment[:, 0])
            for lines in axis.collections
            for segment in lines.get_segments()
            if segment.ndim == 2
        }
        for name in ("w0", "w1"):
            assert (
                tuple(float(one.sel(weights=name, statistic=level)) for level in ("0.025", "0.975"))
                in ends
            )
    assert "x2" in figure.get_supxlabel()


def test_probabilities_are_written_where_there_is_room(few):
    axis = few.plot("probability").axes[0]
    shown = np.ma.filled(axis.images[0].get_array().astype(float), np.nan)
    np.testing.assert_array_equal(shown, few.members.sel(effects="none"))
    written = {
        (round(text.get_position()[1]), round(text.get_position()[0])): text.get_text()
        for text in axis.texts
    }
    for (row, column), text in written.items():
        assert text == f"{shown[row, column]:.2f}"
    assert len(written) == (shown >= 0.005).sum()


def test_one_term_alone(many):
    assert [axis.get_title() for axis in many.plot("indirect", term="x2").axes if axis.images] == [
        "x2"
    ]


@pytest.mark.parametrize(
    ("given", "message"),
    [({"kind": "pie"}, "pie"), ({"term": "x9"}, "'x9'; choose one of 'x1', 'x2'")],
)
def test_unknown_pictures_and_terms_are_refused(given, message, few):
    with pytest.raises(so.SpecificationError, match=message):
        few.plot(**given)


def test_no_probabilities_no_picture(few):
    without = replace(few, summary=few.summary.assign(posterior_probability=few.members * np.nan))
    with pytest.raises(so.SpecificationError, match="proper priors"):
        without.plot("probability")
    assert isinstance(without.plot("total"), Figure)
