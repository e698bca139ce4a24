"""Pictures: every function gives a figure that can be saved and shows what it says."""

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

import spillover as so

matplotlib.use("agg")

FUNCTIONS = ("impacts", "trace", "rank", "prior_posterior")
KINDS = ("direct", "indirect", "total")


@pytest.fixture(scope="module")
def picture(panel_fit):
    """picture(name): the figure of a function of `plots`, drawn once."""
    import matplotlib.pyplot as plt

    drawn: dict[str, Figure] = {}

    def figure(name: str) -> Figure:
        if name not in drawn:
            drawn[name] = getattr(so.plots, name)(panel_fit)
        return drawn[name]

    yield figure
    plt.close("all")


def filled(figure: Figure) -> list:
    """The axes with something on them."""
    return [axis for axis in figure.axes if axis.has_data()]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_plot_is_a_figure_that_can_be_saved(name, picture, tmp_path):
    figure = picture(name)
    assert isinstance(figure, Figure)
    figure.savefig(tmp_path / "plot.png")
    figure.savefig(tmp_path / "plot.pdf")
    assert (tmp_path / "plot.png").stat().st_size > 5000


def test_impacts_show_every_term_at_its_interval(panel_fit):
    figure = so.plots.impacts(panel_fit, prob=0.9)
    impacts, axes = panel_fit.impacts(), filled(figure)
    assert [axis.get_title() for axis in axes] == ["x1", "x2", "x3", "x4"]
    ticks = dict(
        zip(
            [label.get_text() for label in axes[0].get_yticklabels()],
            axes[0].get_yticks(),
            strict=True,
        )
    )
    assert tuple(ticks) == KINDS
    for axis in axes:
        for name in KINDS:
            draws = impacts[name].sel(term=axis.get_title())
            segments = [
                segment
                for lines in axis.collections
                for segment in lines.get_segments()
                if segment[0, 1] == ticks[name]
            ]
            wide, half = sorted((segment[:, 0] for segment in segments), key=np.ptp, reverse=True)
            np.testing.assert_allclose(wide, draws.quantile([0.05, 0.95]))
            np.testing.assert_allclose(half, draws.quantile([0.25, 0.75]))
            point = next(
                line
                for line in axis.lines
                if line.get_marker() == "o" and line.get_ydata()[0] == ticks[name]
            )
            np.testing.assert_allclose(point.get_xdata(), draws.median())
    assert "90%" in figure.get_supxlabel()


@pytest.mark.parametrize(
    ("case", "terms"),
    [
        (("SAR", "none", "raw_asymmetric"), 3),
        (("SDM", "twoway", "islands"), 4),
        (("SDM", "unit"), 4),
    ],
)
def test_there_is_a_panel_for_each_variable(case, terms, small):
    """The intercept is no variable, a lag is no variable of its own."""
    figure = so.plots.impacts(small(*case).model().fit("exact", draws=50))
    assert [axis.get_title() for axis in filled(figure)] == [f"x{j + 1}" for j in range(terms)]


@pytest.mark.parametrize("name", ["trace", "rank"])
def test_traces_have_two_panels_for_every_parameter(name, picture):
    """A density and a path of each of five coefficients, rho and sigma."""
    figure = picture(name)
    texts = " ".join(text.get_text() for text in figure.findobj(matplotlib.text.Text))
    assert all(word in texts for word in ("beta", "rho", "sigma"))
    assert len(filled(figure)) in (2 * 3, 2 * 7)


def test_priors_are_shown_beside_the_posteriors(picture):
    axes = filled(picture("prior_posterior"))
    assert len(axes) == 7
    for axis in axes:
        assert len(axis.lines) + len(axis.collections) + len(axis.patches) >= 2
        assert np.isfinite(axis.get_xlim()).all()


def test_posteriors_are_visible_beside_vague_priors(picture, panel_fit):
    """The axis reaches at most some tens of posterior standard deviations."""
    for name in ("rho", "sigma"):
        axis = next(
            axis for axis in filled(picture("prior_posterior")) if axis.get_title().strip() == name
        )
        assert np.ptp(axis.get_xlim()) < 60 * float(panel_fit.posterior[name].std())


def test_only_proper_priors_are_shown(reference_fit):
    """The reference prior leaves rho alone."""
    figure = so.plots.prior_posterior(reference_fit)
    assert len(filled(figure)) == 1
    assert filled(figure)[0].get_title().strip() == "rho"


def test_improper_priors_have_no_picture(small):
    fit = small("OLS", "unit").model(priors=so.Priors.reference()).fit("exact", draws=50)
    with pytest.raises(so.SpecificationError, match=r"improper.*proper priors"):
        so.plots.prior_posterior(fit)


def test_plots_work_on_a_loaded_fit(panel_fit, tmp_path):
    panel_fit.save(tmp_path / "fit.nc")
    assert isinstance(so.plots.impacts(so.load(tmp_path / "fit.nc")), Figure)
