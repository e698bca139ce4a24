"""Data that come with the package."""

from importlib.resources import files

import pandas as pd

from spillover.engine.weights import Weights


def munnell() -> tuple[pd.DataFrame, Weights]:
    """Productivity of the 48 contiguous US states, 1970-1986, and which of them share a border.

    Returns the frame (816 rows: state, year, gsp: gross state product, pcap: public capital, pc: private capital, emp: employment in
    thousands, unemp: unemployment rate in percent; amounts in millions of dollars) and binary contiguity weights.

    >>> frame, W = munnell()
    >>> frame.shape, W.n
    ((816, 7), 48)

    Source: Munnell (1990), "Why has productivity growth declined? Productivity and public investment", New England Economic Review.
    """
    folder = files("spillover") / "data"
    with (folder / "munnell.csv").open() as rows:
        frame = pd.read_csv(rows)
    with (folder / "states.csv").open() as rows:
        states = pd.read_csv(rows)
    edges = states.assign(neighbour=states["neighbours"].str.split(";")).explode("neighbour")
    return frame, Weights.from_edges(edges, "state", "neighbour", ids=states["state"])
