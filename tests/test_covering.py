"""What is left of a table in `make test` shows every value of every column, and the rest is in
`make verify`.
"""

from itertools import product

import pytest
from covering import among, covering

TABLE = [
    dict(zip(("model", "effects", "w"), row, strict=True))
    for row in product("abcdefgh", range(4), [[1], [2], [1, 2]])
]


def test_every_value_is_found_in_few_rows_and_in_different_company():
    chosen = [TABLE[i] for i in covering(TABLE)]
    assert len(chosen) == 8  # no fewer than the longest column has values
    for name in TABLE[0]:
        assert all(row in [one[name] for one in chosen] for row in (row[name] for row in TABLE))
    # not the same pair over and over
    assert len({(row["effects"], str(row["w"])) for row in chosen}) == 8


def test_one_member_is_its_own_covering():
    assert covering(TABLE[:1]) == {0}


def test_values_asked_for_are_the_only_ones_that_stay():
    chosen = [TABLE[i] for i in among(TABLE, {"model": ["b", "c"]})]
    assert {row["model"] for row in chosen} == {"b", "c"}
    assert {row["effects"] for row in chosen} == {0, 1, 2, 3}
    with pytest.raises(AssertionError, match="'z'"):
        among(TABLE, {"model": ["b", "z"]})
