"""Estimates of the memory that work will take, checked against what is free before it begins.

The formulas are within a factor of two of measured peaks (`tests/engine/test_memory.py` measures
them again).

>>> check(3e12, "draws=10**10", "take fewer", max_memory=1e9)
Traceback (most recent call last):
...
spillover.kernels.errors.SpecificationError: draws=10**10: some 3 TB of memory are
needed, and 1 GB are allowed: take fewer.
"""

import math
from typing import Any

import numpy as np

from spillover.engine.storage.reading import size
from spillover.kernels.arguments import show
from spillover.kernels.errors import SpecificationError, SpilloverError
from spillover.kernels.host_memory import available_memory

FLOAT = 8
COPIES = 4  # copies of the draws at the peak: noise, on the device, on the host, in the tree
LINK = 50  # bytes per link while W is made and checked: 39 to 60 were measured
UNIT_COPIES = 3  # copies of the impacts by unit: solves, sums, the Dataset
BLOCK_COPIES = 3  # copies of a sweep's numbers: blocks, their joint array, the Datasets
LARGEST = 1e18  # bytes: the largest need that an error states


def check(
    need: float,
    what: str,
    way_out: str,
    max_memory: Any = None,
    error: type[SpilloverError] = SpecificationError,
) -> None:
    """Refuse work that needs more memory than there is.

    Parameters
    ----------
    need : float
        Bytes that the work needs.
    what : str
        The work, as the error calls it.
    way_out : str
        What to do instead.
    max_memory : float or None
        Bytes that it may take; None for what is free.
    error : type of SpilloverError
        The error to raise.
    """
    if max_memory is not None and (
        isinstance(max_memory, bool)
        or not isinstance(max_memory, int | float | np.number)
        or not max_memory > 0
    ):
        raise SpecificationError(
            f"max_memory={show(max_memory)}: give a number of bytes, such as max_memory=8e9."
        )
    there = available_memory() if max_memory is None else float(max_memory)
    if need > there:
        kind = "free" if max_memory is None else "allowed"
        raise error(
            f"{what}: some {size(min(need, LARGEST))} of memory are needed, and {size(there)} are"
            f" {kind}: {way_out}."
        )


def estimate_draws(draws: int, parameters: int) -> float:
    """Estimate the peak bytes of `draws` draws of so many parameters, by either sampler."""
    return FLOAT * COPIES * float(draws) * (parameters + 2)


def estimate_unit_impacts(draws: int, variables: int, units: int) -> float:
    """Estimate the bytes of the direct, received and sent impacts of every unit."""
    return 3.0 * FLOAT * UNIT_COPIES * draws * variables * units


def estimate_order_impacts(draws: int, variables: int, orders: int) -> float:
    """Estimate the bytes of direct, indirect and total impacts by order of neighbour."""
    return 3.0 * FLOAT * UNIT_COPIES * draws * variables * (orders + 1)


def estimate_sweep(members: int, columns: int, numbers: int, kept: int) -> float:
    """Estimate the bytes of a sweep's results.

    Each of the `members` has `columns` quantities, each with `numbers` summaries and `kept` draws.
    """
    return float(FLOAT * BLOCK_COPIES) * members * columns * (numbers + kept)


def estimate_links(links: float) -> float:
    """Estimate the bytes that making a W of so many links takes."""
    return LINK * float(links)


def format_count(number: float) -> str:
    """Format a count for people, however large.

    >>> format_count(12000), format_count(1e12)
    ('12,000', '1e+12')
    """
    return f"{number:,.0f}" if math.isfinite(number) and number < 1e9 else f"{number:.3g}"
