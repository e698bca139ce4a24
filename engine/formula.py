"""Formulas, read by formulaic: the response and the explanatory variables of a frame, named and complete."""

from typing import NamedTuple

import formulaic
import numpy as np
import pandas as pd

from spillover.kernels.errors import DataError


class Columns(NamedTuple):
    """`y`: (rows,); `x`: (rows, k); their names, in the order of the formula."""

    y: np.ndarray
    x: np.ndarray
    response: str
    names: tuple[str, ...]


def read(formula: str, frame: pd.DataFrame, labels: pd.Series) -> Columns:
    """The columns of `formula`; `np` is NumPy in it. `labels` names the rows in errors.

    DataError for a formula without one response, a variable that the frame lacks, or a value that is missing or not finite.
    """
    try:
        parsed = formulaic.Formula(formula)
        needed = {str(name).split(".")[0].split(":")[0] for name in parsed.required_variables}
    except formulaic.errors.FormulaicError as error:
        raise DataError(f"The formula {formula!r} cannot be read: {error}") from error
    if not hasattr(parsed, "lhs"):
        raise DataError(f"The formula {formula!r} has no response: write it as 'y ~ x1 + x2'.")
    absent = sorted(needed - set(map(str, frame.columns)) - {"np"})
    if absent:
        raise DataError(f"The data have no column {absent[0]!r}; they have {', '.join(map(str, frame.columns))}.")
    for name in sorted(needed - {"np"}):
        _require(frame[name].isna().to_numpy(), labels, f"Column {name!r} has missing values", "drop or fill them")
    try:
        matrices = parsed.get_model_matrix(frame, context={"np": np}, na_action="ignore")
    except formulaic.errors.FormulaicError as error:
        raise DataError(f"The formula {formula!r} does not fit the data: {error}") from error
    y, x = pd.DataFrame(matrices.lhs), pd.DataFrame(matrices.rhs)
    if y.shape[1] != 1:
        raise DataError(f"The formula {formula!r} has {y.shape[1]} responses ({', '.join(y.columns)}); a model has one numeric response.")
    for name, column in {**dict(y.items()), **dict(x.items())}.items():
        values = np.asarray(column, float)
        _require(~np.isfinite(values), labels, f"{str(name)!r} is not finite", "check its transformation, a log of zero perhaps")
    return Columns(y.to_numpy(float)[:, 0], x.to_numpy(float), str(y.columns[0]), tuple(map(str, x.columns)))


def _require(bad: np.ndarray, labels: pd.Series, what: str, way_out: str) -> None:
    if bad.any():
        rows = ", ".join(map(str, labels[bad][:3]))
        raise DataError(f"{what} in {int(bad.sum())} rows ({rows}{', ...' if bad.sum() > 3 else ''}): {way_out}.")
