"""What fails with a file is told by its name, once, and nothing else is touched."""

from pathlib import Path

import pytest

from spillover.engine.storage.failures import explain_failures, prefix_errors
from spillover.kernels.errors import StorageError, WeightsError


def test_a_refusal_names_the_path_the_reason_and_the_way_out(tmp_path):
    absent = tmp_path / "a\nb"
    with (
        pytest.raises(StorageError) as caught,
        explain_failures(absent, "cannot be used", ": give another"),
    ):
        absent.read_text()
    assert str(caught.value) == (
        f"{str(absent)!r} cannot be used (No such file or directory): give another."
    )
    assert isinstance(caught.value.__cause__, FileNotFoundError)


def test_a_value_error_is_one_of_the_name_only_where_that_is_said():
    with pytest.raises(ValueError, match="null"), explain_failures(Path(), "cannot be used"):
        Path("a\0b").mkdir()
    with (
        pytest.raises(StorageError, match="null"),
        explain_failures(Path("a\0b"), "cannot be used", bad_names=True),
    ):
        Path("a\0b").mkdir()


def fail() -> None:
    try:
        int("x")
    except ValueError as cause:
        raise WeightsError("an island") from cause


def test_a_prefix_goes_to_errors_of_its_kind_alone():
    with (
        pytest.raises(WeightsError, match=r"^w\.csv: an island$") as caught,
        prefix_errors(WeightsError, "w.csv"),
    ):
        fail()
    assert isinstance(caught.value.__cause__, ValueError)
    with pytest.raises(KeyError, match=r"^'w'$"), prefix_errors(WeightsError, "w.csv"):
        raise KeyError("w")
