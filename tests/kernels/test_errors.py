"""Every error a user can cause is caught by one name."""

import inspect

import pytest

from spillover.kernels import errors

RAISED = [
    kind for _, kind in inspect.getmembers(errors, inspect.isclass) if not issubclass(kind, Warning)
]


@pytest.mark.parametrize("kind", RAISED)
def test_errors_are_one_family_and_documented(kind):
    assert issubclass(kind, errors.SpilloverError)
    assert kind.__doc__


def test_the_warning_is_a_user_warning():
    assert issubclass(errors.SpilloverWarning, UserWarning)
    assert not issubclass(errors.SpilloverWarning, errors.SpilloverError)
