"""Text in error messages: quoted as in a TOML file, and short enough for a line.

>>> quote("panel.csv"), shorten("x" * 100)[-3:]
('"panel.csv"', 'xx…')
"""

import json
from typing import Any

SHOWN = 60  # characters of a value in an error


def quote(value: Any) -> str:
    """Quote a value as text in double quotes, with control characters escaped."""
    text = str(value)
    return json.dumps(text, ensure_ascii=not text.isprintable())


def shorten(text: str) -> str:
    """Cut a text to at most 60 characters; an ellipsis stands for what is cut off."""
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
