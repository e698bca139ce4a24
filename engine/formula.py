"""Formulas, read by formulaic: the response and the explanatory variables of a frame, named and complete."""

import warnings
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

    DataError for a formula without one response or without a regressor, a variable that the frame lacks or that is not numeric, text or
    categorical, or a value that is missing or not finite.
    """
    parsed = _parse(formula)
    for name in _variables(parsed, formula, frame):
        _require(frame[name].isna().to_numpy(), labels, f"Column {name!r} has missing values", "drop or fill them")
        if frame[name].dtype.kind in "mMc":
            raise DataError(f"Column {name!r} holds {frame[name].dtype} values: turn it into real numbers or categories first.")
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():  # what is not finite is refused below, by name
            warnings.simplefilter("ignore", RuntimeWarning)
            matrices = parsed.get_model_matrix(frame, context={"np": np}, na_action="ignore")
    except (formulaic.errors.FormulaicError, TypeError, ValueError) as error:
        raise DataError(f"The formula {formula!r} does not fit the data: {error}") from error
    y, x = pd.DataFrame(matrices.lhs), pd.DataFrame(matrices.rhs)
    if y.shape[1] != 1:
        raise DataError(f"The formula {formula!r} has {y.shape[1]} responses ({', '.join(y.columns)}); a model has one numeric response.")
    if not x.shape[1]:
        raise DataError(f"The formula {formula!r} has no regressor: give at least one, or a constant.")
    if y.columns[0] in x.columns:
        raise DataError(f"The response {y.columns[0]!r} is among the regressors of {formula!r}: take it out.")
    for name, column in [*y.items(), *x.items()]:
        _require(
            ~np.isfinite(np.asarray(column, float)),
            labels,
            f"{str(name)!r} is not finite",
            "check its transformation, a log of zero perhaps",
        )
    return Columns(y.to_numpy(float)[:, 0], x.to_numpy(float), str(y.columns[0]), tuple(map(str, x.columns)))


def _parse(formula: str) -> formulaic.Formula:
    try:
        parsed = formulaic.Formula(formula)
    except (formulaic.errors.FormulaicError, TypeError) as error:
        raise DataError(f"The formula {formula!r} cannot be read: {error}") from error
    if not hasattr(parsed, "lhs"):
        raise DataError(f"The formula {formula!r} has no response: write it as 'y ~ x1 + x2'.")
    if not all(isinstance(part, formulaic.SimpleFormula) for part in (parsed.lhs, parsed.rhs)):
        raise DataError(f"The formula {formula!r} has several parts, divided by '|': a model has one.")
    return parsed


def _variables(parsed: formulaic.Formula, formula: str, frame: pd.DataFrame) -> list[str]:
    """The columns of the frame that the formula needs, of NumPy nothing. formulaic cuts a name at its first dot: `gdp.real` is "gdp"."""
    found: set[str] = set()
    for variable in map(str, parsed.required_variables):
        dotted = {name for name in map(str, frame.columns) if name.startswith(f"{variable}.") and f"`{name}`" in formula}
        root = variable if variable in frame.columns else variable.split(".")[0]
        if root in frame.columns:
            found.add(root)
        elif root != "np" and not dotted:
            raise DataError(f"The formula {formula!r} needs a column {root!r}; the data have {', '.join(map(str, frame.columns))}.")
        found |= dotted
    return sorted(found)


def _require(bad: np.ndarray, labels: pd.Series, what: str, way_out: str) -> None:
    if bad.any():
        rows = ", ".join(map(str, labels[bad][:3]))
        raise DataError(f"{what} in {int(bad.sum())} rows ({rows}{', ...' if bad.sum() > 3 else ''}): {way_out}.")
