"""What nobody should pass: hostile values, and files mutated as bad disks and editors do."""

import random
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import Any

JUNK = (
    *(b"\0", b"nan", b"inf", b"-1", b"1e400", b"9" * 40, b"\xff\xfe", b"\n\n", b'"', b"\x1b[31m"),
    *(b"[[", b"2147483648", "\u200b\u202e".encode(), b"1x", b" " * 99, b","),
)
CONTAINERS = ([], {}, (), [None], [[]], {"a": None}, {1: 2}, ["x", "x"], [1, "1"], (1, 2, 3), {"x"})


def mutate(content: bytes, rng: random.Random) -> bytes:
    """One to four of: flipped bits, cuts, junk put in or in place of something, pieces doubled,
    lines swapped.
    """
    body = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at, size = rng.randrange(len(body) + 1), rng.randint(1, 40)
        how = rng.choice(("flip", "cut", "insert", "replace", "double", "short", "lines"))
        if how == "flip" and body:
            body[at % len(body)] ^= 1 << rng.randrange(8)
        elif how == "cut":
            del body[at : at + size]
        elif how == "insert":
            body[at:at] = rng.choice(JUNK)
        elif how == "replace":
            body[at : at + size] = rng.choice(JUNK)
        elif how == "double":
            body[at:at] = body[at : at + size]
        elif how == "short":
            del body[at:]
        else:
            lines = body.split(b"\n")
            rng.shuffle(lines)
            body = bytearray(b"\n".join(lines))
    return bytes(body)


def hostile_value(rng: random.Random) -> Any:
    """What nobody should pass, made anew so that a call cannot spoil it for the next."""
    import numpy as np
    import pandas as pd

    plain = (
        None,
        True,
        -1,
        0,
        1,
        2**70,
        -5.5,
        0.5,
        1e308,
        float("nan"),
        float("inf"),
        1j,
        int,
        len,
    )
    texts = (
        "",
        "x",
        "500",
        "\x1b[31m",
        "no/such/file.csv",
        b"x",
        "1 2",
        "y ~ x",
        "\0",
        "né\u202e",
        ...,
    )
    makers: tuple[Callable[[], Any], ...] = (
        *(lambda value=value: value for value in (*plain, *texts)),
        *(lambda value=value: copy(value) for value in CONTAINERS),
        lambda: object(),
        lambda: lambda *_: 1 / 0,
        lambda: np.array([]),
        lambda: np.zeros((2, 3)),
        lambda: np.array([[np.nan, 1], [1, 0]]),
        lambda: np.array(["a", None], dtype=object),
        lambda: np.eye(4),
        lambda: np.arange(4) + 1j,
        lambda: pd.DataFrame(),
        lambda: pd.DataFrame({"x": [1, 2], "y": ["a", None]}),
        lambda: pd.DataFrame([[1, 2]], columns=["x", "x"]),
        lambda: pd.Series([np.nan, np.inf, -1]),
        lambda: pd.Series(["1", "2"], index=["a", "a"]),
        lambda: pd.date_range("2000", periods=3),
        lambda: Path("."),
        lambda: Path("no/such/folder/file.nc"),
    )
    return rng.choice(makers)()
