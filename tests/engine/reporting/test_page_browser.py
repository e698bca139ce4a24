"""The page of a report in a real browser: every figure is drawn, nothing is fetched, it fits a
narrow screen.
"""

import re

import browser
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from spillover.engine.reporting.page import Picture, Report, Section, Table, to_html

EVIL = '<script>document.title="x"</script><img src="https://example.invalid/evil.png">'
pytestmark = [browser.NEEDED, pytest.mark.verify]


def curve(width, height):
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.subplots().plot(np.arange(9.0) ** 2)
    return figure


@pytest.fixture(scope="module")
def page():
    """Three figures, a table wider than the screen, one of grouped rows and columns, text that
    would fetch were it not escaped.
    """
    rng = np.random.default_rng(0)
    wide = pd.DataFrame(rng.normal(size=(4, 30)), index=[f"unit {i}" for i in range(3)] + [EVIL])
    rows, columns = (
        pd.MultiIndex.from_product([["SDM", "SAR"], ["direct", "total"]]),
        pd.MultiIndex.from_product([["x", EVIL], ["mean", "sd"]]),
    )
    grouped = pd.DataFrame(rng.normal(size=(4, 4)), rows, columns)
    text = ("A sentence of some length. " * 20, EVIL, "averyverylongword" * 12)
    first = Section(
        "Wide",
        text,
        (Table("wide", "Thirty columns", wide, EVIL), Picture("small", "Small", curve(3, 2))),
    )
    second = Section(
        "Grouped " * 12,
        parts=(Table("grouped", "Groups", grouped), Picture("wide", "Wide", curve(14, 3))),
    )
    third = Section("High", parts=(Picture("high", EVIL, curve(5, 14)),))
    return to_html(
        Report(EVIL, "lead", (first, second, third), {"version": "0.1.0+" + "abcdef" * 20})
    )


@pytest.fixture
def seen(tmp_path):
    """seen(html): what the browser sees of a page."""

    def look(html, **options):
        (tmp_path / "page.html").write_text(html, encoding="utf-8")
        return browser.inspect(tmp_path / "page.html", **options)

    return look


@pytest.mark.parametrize("width", [400, 420, 800, 1400])
def test_the_page_is_drawn_fits_and_fetches_nothing(page, seen, width):
    view = seen(page, width=width)
    assert [image.alt for image in view.images] == ["Small", "Wide", EVIL]
    assert all(image.drawn for image in view.images), view.images
    assert view.fetched == view.refused == ()
    assert view.width == width
    assert not view.overflows, view.content
    assert EVIL in view.text


def test_figures_keep_the_size_they_were_made_in_where_there_is_room(page, seen):
    small, wide, _ = seen(page, width=1400).images
    assert small.size == pytest.approx((3 * 96, 2 * 96), abs=12)  # with the margin of the file
    assert 600 < wide.size[0] <= 62 * 16  # the width of the sheet in CSS pixels


def test_without_its_policy_the_page_still_asks_for_nothing(page, seen):
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page)
    assert bare != page
    assert seen(bare).fetched == ()


def test_the_policy_refuses_what_is_put_into_the_page(page, seen):
    view = seen(page.replace("</main>", '<img src="https://example.invalid/x.png"></main>'))
    assert view.fetched == ()
    assert view.refused == ("https://example.invalid/x.png",)


@pytest.mark.parametrize(
    "body",
    [
        '<img src="https://example.invalid/x">',
        '<p style="background: url(https://example.invalid/x)">text</p>',
    ],
)
def test_a_page_that_fetches_is_seen_to(seen, body):
    assert seen(f"<!DOCTYPE html><body>{body}").fetched == ("https://example.invalid/x",)


def test_a_broken_or_flat_image_and_a_wide_page_are_seen(page, seen):
    broken = seen(re.sub(r"base64,.{40}", "base64,", page, count=1))
    assert [image.drawn for image in broken.images] == [False, True, True]
    flat = seen(page.replace("<img ", '<img style="height: 5px" '))
    assert not any(image.drawn for image in flat.images)
    assert seen(page.replace("overflow-x: auto", "")).overflows
