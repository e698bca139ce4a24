"""The entropy method as it is defined, number by number: no arrays, nothing of the package."""

import math


def rescaled(column: list[float], negative: bool) -> list[float]:
    low, high = min(column), max(column)
    if low == high:
        return [0.0 for _ in column]
    return [
        (high - value) / (high - low) if negative else (value - low) / (high - low)
        for value in column
    ]


def entropy(column: list[float]) -> float:
    """-sum p ln p / ln n of a rescaled column, 0 ln 0 = 0; 1 where every value is 0."""
    total = sum(column)
    if total == 0:
        return 1.0
    shares = [value / total for value in column]
    return -sum(p * math.log(p) for p in shares if p > 0) / math.log(len(column))


def composite(
    columns: list[list[float]], negative: list[bool]
) -> tuple[list[float], list[float], list[float]]:
    """The index, the entropies and the weights of indicators given one list a column."""
    z = [rescaled(column, worse) for column, worse in zip(columns, negative, strict=True)]
    entropies = [entropy(column) for column in z]
    total = sum(1 - e for e in entropies)
    weights = [(1 - e) / total for e in entropies]
    return (
        [
            sum(w * value for w, value in zip(weights, row, strict=True))
            for row in zip(*z, strict=True)
        ],
        entropies,
        weights,
    )
