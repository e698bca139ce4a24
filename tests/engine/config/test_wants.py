"""What a value in a TOML file has to be."""

import pytest

from spillover.engine.config import wants

VALUES = {
    "text": "zzz",
    "blank": " ",
    "null": "a\0b",
    "zero": 0,
    "whole": 7,
    "large": 2**63,
    "huge": 10**400,
    "negative": -1,
    "number": 0.5,
    "infinite": float("inf"),
    "truth": True,
    "rows": [[1, 2.5], [3]],
    "words": ["a"],
}
NUMBERS = {"zero", "whole", "large", "negative", "number"}
FITS = {
    "TEXT": {"text", "blank", "null"},
    "NAME": {"text", "null"},
    "PATH": {"text"},
    "FOLDER": {"text"},
    "NUMBER": NUMBERS,
    "NUMBERS": NUMBERS | {"rows"},
    "POSITIVE": NUMBERS - {"zero", "negative"},
    "SHARE": {"zero", "number"},
    "INSIDE": {"number"},
    "SEED": {"zero", "whole"},
    "TRUTH": {"truth"},
    "ANYTHING": set(VALUES),
}


@pytest.mark.parametrize("name", FITS)
def test_a_want_takes_what_its_words_say(name):
    want = getattr(wants, name)
    assert {kind for kind, value in VALUES.items() if want.fits(value)} == FITS[name]


def test_a_whole_number_from_some_number_on():
    count = wants.whole(7)
    assert count.words == "a whole number from 7 on"
    assert {kind for kind, value in VALUES.items() if count.fits(value)} == {"whole"}


def test_one_of_some_words():
    colour = wants.choice(["red", "a\nb"])
    assert colour.words == r'one of "red", "a\nb"'
    assert colour.names == ("red", "a\nb")
    assert [colour.fits(value) for value in ("red", "green", 1, ["red"])] == [True, *[False] * 3]
