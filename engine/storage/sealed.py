"""JSON that holds its own SHA-256 and is written in one way only, so that any change shows.

>>> unseal(seal({"seed": 3}))
{'seed': 3}
>>> unseal(seal({"seed": 3}).replace(b"3", b"2", 1))
Traceback (most recent call last):
spillover.engine.storage.sealed.Broken: not as it was written
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

SEAL = "sha256"
MOST = 1 << 28  # bytes that are read as JSON, at most


class Broken(Exception):
    """What was read is not what was written; the caller adds the name of the file."""


def read_content(path: Path) -> bytes:
    """Read a JSON file as bytes. Broken if there is none, or it is larger than any of ours."""
    if not path.is_file():
        raise Broken("not a file" if path.exists() else "missing")
    if path.stat().st_size > MOST:
        raise Broken("too large")
    return path.read_bytes()


def encode(document: Any) -> bytes:
    """Encode a document in the one way in which it is written."""
    return json.dumps(document, indent=1).encode() + b"\n"


def parse(content: bytes) -> dict[str, Any]:
    """Parse a JSON object. Broken for any other bytes."""
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:  # also for bytes that are not text
        raise Broken("no JSON") from error
    if not isinstance(document, dict):
        raise Broken("no JSON object")
    return document


def add_seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """Add to a document its own SHA-256."""
    return {**document, SEAL: hashlib.sha256(encode(document)).hexdigest()}


def remove_seal(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document that was given to `add_seal`. Broken if it was altered."""
    rest = {name: value for name, value in document.items() if name != SEAL}
    if add_seal(rest) != document:
        raise Broken("not as it was written")
    return rest


def seal(document: Mapping[str, Any]) -> bytes:
    """Encode a document with its SHA-256."""
    return encode(add_seal(document))


def unseal(content: bytes) -> dict[str, Any]:
    """Decode a sealed document. Broken if a single bit of it was altered."""
    document = parse(content)
    if encode(document) != content:
        raise Broken("not as it was written")
    return remove_seal(document)
