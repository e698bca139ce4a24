"""What a call and a value are refused for, word for word."""

import numpy as np
import pytest

from spillover.kernels import arguments
from spillover.kernels.errors import ArgumentError, SpecificationError


@arguments.front_door
def area(height, width=1.0, *, unit="m"):
    return height * width, unit


@arguments.front_door
def nothing():
    return None


@arguments.front_door
def named(*, unit):
    return unit


@arguments.front_doors
class Shape:
    def __init__(self, height):
        self.height = height

    def scale(self, factor):
        return self.height * factor


WRONG_CALLS = {
    "misspelt": (lambda: area(1, widht=2), "area() has no argument 'widht': did you mean 'width'?"),
    "unknown": (lambda: area(1, z=2), "area() has no argument 'z': it takes height, width, unit."),
    "none known": (lambda: nothing(z=2), "nothing() has no argument 'z': it takes none."),
    "too many": (
        lambda: area(1, 2, "m"),
        "area() takes only height and width without a name, not 3 values; give others by name,"
        " such as unit=.",
    ),
    "none by place": (
        lambda: named("m"),
        "named() takes nothing without a name, not 1 values; give others by name, such as unit=.",
    ),
    "none at all": (lambda: nothing(1), "nothing() takes no argument, not 1 values."),
    "twice": (
        lambda: area(1, height=2),
        "area() has 'height' twice, by its place and by its name: give it once.",
    ),
    "missing": (lambda: area(), "area() needs height: height is missing."),
    "constructor": (lambda: Shape(), "Shape() needs height: height is missing."),
    "method": (lambda: Shape(1).scale(1, 2), "Shape.scale() takes only factor without a name,"),
    "no object": (lambda: Shape.scale(), "Shape.scale() needs factor: factor is missing."),
}


@pytest.mark.parametrize("name", WRONG_CALLS)
def test_a_wrong_call_is_told_by_its_first_fault(name):
    call, message = WRONG_CALLS[name]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert str(caught.value).startswith(message)


def test_a_right_call_goes_through():
    assert area(2, 3) == (6, "m")
    assert Shape(2).scale(3) == 6


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (np.float64(0.5), "0.5"),
        ("a" * 100, f"{'a' * 60!r}..."),
        (10**100, "a whole number of 333 bits"),
        ([1, "b"], "[1, 'b']"),
        ([object()], "a list of 1"),
        ({"a": 1}, "{'a': 1}"),
        (Shape, "the class Shape"),
        (Shape(1), "a Shape"),
    ],
)
def test_a_value_is_shown_on_one_line(value, text):
    assert arguments.show(value) == text


@pytest.mark.parametrize("value", [True, np.bool_(True), "3", 3.0, np.timedelta64(3, "D"), 0, 11])
def test_what_is_no_whole_number_of_the_range_is_refused(value):
    with pytest.raises(SpecificationError, match="from 1 to 10"):
        arguments.whole("k", value, most=10)
    assert arguments.whole("k", np.int8(3), most=10) == 3


@pytest.mark.parametrize("value", [True, "3", np.nan, np.inf, 0.0, 1.0, 1j])
def test_what_is_no_number_between_the_ends_is_refused(value):
    with pytest.raises(SpecificationError, match=r"between 0 and 1, such as share=0\.5"):
        arguments.real("share", value, 0, 1, example=0.5)
    assert arguments.real("share", np.float32(0.5), 0, 1) == 0.5
