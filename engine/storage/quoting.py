"""Text in error messages: quoted as a TOML file has it, and short enough for a line.

>>> quote("panel.csv"), shorten("x" * 100)[-3:]
('"panel.csv"', 'xx…')
"""

import json
from typing import Any

SHOWN = 60  # characters of a value in an error


def quote(value: Any) -> str:
    """A value as text in double quotes, its control characters escaped."""
    text = str(value)
    return json.dumps(text, ensure_ascii=not text.isprintable())


def shorten(text: str) -> str:
    """A text of at most 60 characters; an ellipsis stands for what is cut off."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
