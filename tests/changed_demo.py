"""The packaged study with another text."""

from pathlib import Path

from spillover.engine.terminal.demo import write_demo


def demo(folder: Path, *changes: tuple[str, str]) -> Path:
    """The packaged study with a few changes to its text."""
    path = write_demo(folder, 0)
    text = path.read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)
    return path
