"""The packaged study as files: data, places, borders, and the TOML file that runs it."""

from importlib.resources import files
from pathlib import Path

import pandas as pd

from spillover.engine.data.datasets import province_coordinates, provinces
from spillover.engine.storage.csv_text import csv_text
from spillover.models.prosperity import TRUTH


def write_demo(folder: Path, seed: int) -> Path:
    """Write panel.csv, capitals.csv, borders.csv and study.toml; return the path of study.toml.

    Parameters
    ----------
    folder : Path
        Where to write; created if missing.
    seed : int
        Seed of the simulated data and of the study.

    Returns
    -------
    pathlib.Path
        The TOML file.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     write_demo(Path(folder), 0).name
    'study.toml'
    """
    folder.mkdir(parents=True, exist_ok=True)
    frame, contiguity = provinces(seed)
    _write(folder / "panel.csv", csv_text(frame, index=False))
    _write(folder / "capitals.csv", csv_text(province_coordinates()))
    links = contiguity.matrix.tocoo()
    borders = pd.DataFrame(
        {
            "origin": contiguity.ids[links.row],
            "destination": contiguity.ids[links.col],
            "weight": links.data,
        }
    )
    _write(folder / "borders.csv", csv_text(borders, index=False))
    text = (
        (files("spillover") / "data" / "study.toml")
        .read_text(encoding="utf-8")
        .replace("seed = 0\n", f"seed = {seed}\n", 1)
    )
    truth = "\n".join(f'"{name}" = {value}' for name, value in TRUTH.items())
    path = folder / "study.toml"
    _write(path, f"{text}\n[truth]         # what the generator used\n{truth}\n")
    return path


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
