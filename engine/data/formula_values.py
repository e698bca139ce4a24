"""The values of a formula: its response and regressors, computed chunk by chunk and checked."""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import formulaic
import numpy as np
import pandas as pd

from spillover.engine.data import grammar
from spillover.engine.data.formula import WAY_OUT, FormulaPlan
from spillover.engine.data.formula_levels import check_categories, check_levels
from spillover.engine.data.formula_text import quote_text, strip_message
from spillover.engine.data.lags import LookBack
from spillover.engine.data.sources import use_default_text
from spillover.engine.labels import few
from spillover.kernels.errors import DataError, SpecificationError, SpilloverError

SHOWN = 3  # rows that an error message names before it counts the rest
# what the name np stands for in a formula
NAMESPACE = SimpleNamespace(
    **{name: getattr(np, name) for name in (*grammar.NUMPY, *grammar.CONSTANTS)}
)
CATEGORICAL = formulaic.parser.types.Factor.Kind.CATEGORICAL


class Columns(NamedTuple):
    """The response `y` (rows,), the regressors `x` (rows, k), and their names in formula order."""

    y: np.ndarray
    x: np.ndarray
    response: str
    names: tuple[str, ...]


class _Flaw(NamedTuple):
    """How many rows have a fault, the first of them, and what to do about it."""

    total: int
    rows: list[int]
    way_out: str


@dataclass
class Flaws:
    """The rows that cannot be used, collected over all chunks by their fault."""

    by_fault: dict[str, _Flaw] = field(default_factory=dict)

    def note(self, bad: np.ndarray, *, start: int, fault: str, way_out: str) -> None:
        """Note the rows of a chunk that are `bad`; the chunk begins at row `start` of the table."""
        if bad.any():
            total, rows, _ = self.by_fault.get(fault, _Flaw(0, [], ""))
            new = np.flatnonzero(bad)
            first = [*rows, *(start + new[:SHOWN])][:SHOWN]
            self.by_fault[fault] = _Flaw(total + len(new), first, way_out)

    def include(self, faults: list[str]) -> bool:
        """Whether any of these faults occurred."""
        return not self.by_fault.keys().isdisjoint(faults)

    def refuse(self, label: Callable[[int], str], order: list[str]) -> None:
        """Raise DataError for the first fault in `order` that occurred; `label` names its rows."""
        for fault in filter(self.by_fault.__contains__, order):
            total, rows, way_out = self.by_fault[fault]
            named = ", ".join(map(label, rows)) + (", ..." if total > SHOWN else "")
            raise DataError(f"{fault} in {total} rows ({named}): {way_out}.")


def read_columns(
    plan: FormulaPlan,
    chunks: Iterator[pd.DataFrame],
    *,
    levels: dict[str, pd.Index],
    label: Callable[[int], str],
    look_back: LookBack,
) -> Iterator[Columns]:
    """Compute the response and the regressors, chunk by chunk.

    Parameters
    ----------
    plan : FormulaPlan
        The formula.
    chunks : iterator of DataFrame
        The rows of the table.
    levels : dict of str to Index
        The levels of the plan's `levels`, for a table in chunks.
    label : callable
        Names a row by its number, for error messages.
    look_back : callable
        Gives each row the value of its unit some periods earlier.

    Raises
    ------
    DataError
        For values that are missing or not finite, once all chunks have been read; for values that
        would be categories by mistake; and for a formula that does not fit the data.
    """
    flaws, start, spec = Flaws(), 0, None
    gaps = [_describe_gap(name) for name in plan.variables]
    infinite: list[str] = []
    for name in plan.implicit:
        if not plan.whole and name in levels:
            check_levels(plan, name, levels[name])
    for chunk in chunks:
        if not len(chunk):
            continue
        frame = use_default_text(chunk[list(plan.variables)].reset_index(drop=True))
        _check_types(plan, frame)
        for name in plan.variables:
            bad = frame[name].isna().to_numpy()
            fault = _describe_gap(name)
            flaws.note(bad, start=start, fault=fault, way_out="drop or fill them")
        # after the first gap the other chunks are read for more gaps only
        if not flaws.include(gaps):
            for name in plan.floats:
                frame[name] = frame[name].to_numpy(dtype=float)
            if spec is None:
                spec = plan.parsed.sides if plan.whole else _fix_levels(plan, frame, levels)
            columns = _split(plan, _evaluate(plan, spec, frame, look_back))
            _note_infinite(flaws, columns, start, _has_past(plan, frame, look_back))
            infinite = [_describe_infinite(name) for name in (columns.response, *columns.names)]
            yield columns
        start += len(frame)
    flaws.refuse(label, gaps + infinite)


def _check_types(plan: FormulaPlan, frame: pd.DataFrame) -> None:
    """Refuse values that cannot be categories, and text in arithmetic."""
    if plan.whole:
        check_categories(plan, frame)
    for name in plan.misused:
        raise DataError(
            f"Column {name!r} holds text or categories, and arithmetic and functions take"
            f" numbers: write I({name} == ...) for a level, or C({name})."
        )


def _describe_gap(name: str) -> str:
    return f"Column {name!r} has missing values"


def _describe_infinite(name: str) -> str:
    return f"{name!r} is not finite"


def _has_past(plan: FormulaPlan, frame: pd.DataFrame, look_back: LookBack) -> np.ndarray:
    """Whether each row has all the earlier periods that the formula reads.

    Rows without them come before the first period of the panel.
    """
    if not plan.before:
        return np.ones(len(frame), bool)
    past = look_back(pd.Series(np.ones(len(frame)), frame.index), plan.before)
    return np.asarray(past.notna().to_numpy())


def _note_infinite(flaws: Flaws, columns: Columns, start: int, has_past: np.ndarray) -> None:
    """Note the rows where a column of the formula is not finite."""
    if np.isfinite(columns.y[has_past]).all() and np.isfinite(columns.x[has_past]).all():
        return
    named = [(columns.response, columns.y), *zip(columns.names, columns.x.T, strict=True)]
    for name, values in named:
        flaws.note(
            ~np.isfinite(values) & has_past,
            start=start,
            fault=_describe_infinite(name),
            way_out="check its transformation, a log of zero perhaps",
        )


def _fix_levels(plan: FormulaPlan, frame: pd.DataFrame, levels: dict[str, pd.Index]) -> Any:
    """Fix the levels of every category in the formula, so that each chunk has the same columns.

    formulaic learns the levels from rows that are made up to contain them all.
    """
    size = max([1, *map(len, levels.values())])
    rows = frame.iloc[np.arange(size) % len(frame)].reset_index(drop=True)
    for name, values in levels.items():
        rows[name] = pd.Series(values[np.arange(size) % len(values)])
    spec = _evaluate(plan, plan.parsed.sides, rows, _refuse_lag).model_spec
    checked = plan.parsed.checked
    for side in (spec.lhs, spec.rhs):
        needs = {
            str(factor): {checked.column(str(name)) for name in names}
            for factor, names in side.factor_variables.items()
        }
        for expression, (kind, _) in side.encoder_state.items():
            used = needs[expression] & set(plan.variables)
            if kind is CATEGORICAL and (len(used) != 1 or not used <= levels.keys()):
                raise SpecificationError(
                    f"The levels of {checked.label(expression)!r} in {plan.parsed.text!r} are known"
                    f" from all rows only: {WAY_OUT}"
                )
    return spec


def _refuse_lag(column: pd.Series, k: int) -> pd.Series:
    """Refuse lags in a table that is read in chunks, which lack the earlier periods."""
    raise SpecificationError("lag and diff need all rows at once: give a pandas DataFrame.")


def _evaluate(plan: FormulaPlan, spec: Any, frame: pd.DataFrame, look_back: LookBack) -> Any:
    """Evaluate both sides of the formula with formulaic. DataError where it fails."""
    checked, text = plan.parsed.checked, quote_text(plan.parsed.text)
    context = _bind_names(plan, frame, look_back)
    stand_ins = {  # only for columns that the chunk has: a removed term needs none
        stand_in: frame[name] for stand_in, name in checked.names.items() if name in frame
    }
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            # infinite values are refused later, with their rows
            warnings.simplefilter("ignore", RuntimeWarning)
            # levels= of C(...) leaves out a level that the data have
            warnings.simplefilter("error", formulaic.errors.DataMismatchWarning)
            return spec.get_model_matrix(
                frame.assign(**stand_ins), context=context, na_action="ignore"
            )
    except formulaic.errors.DataMismatchWarning as error:
        what = "levels= of C(...) leaves out values that the data have"
        raise DataError(
            f"The formula {text} does not fit the data: {what}: {strip_message(error)[:200]}"
        ) from error
    except (
        formulaic.errors.FormulaicError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        # formulaic wraps what a function raises: our own errors are raised as they are
        if isinstance(error.__cause__, SpilloverError):
            raise error.__cause__ from None
        reason = checked.label(strip_message(error))
        raise DataError(f"The formula {text} does not fit the data: {reason[:400]}") from error


def _bind_names(plan: FormulaPlan, frame: pd.DataFrame, look_back: LookBack) -> dict[str, Any]:
    """The functions that the names in a formula stand for."""

    def lag(x: Any, k: int = 1) -> pd.Series:
        return look_back(pd.Series(x, frame.index, dtype=float), k)

    def diff(x: Any) -> pd.Series:
        return pd.Series(x, frame.index, dtype=float) - lag(x)

    own = {name: _wrap(name, function, frame.index) for name, function in plan.functions.items()}
    return {**grammar.BY_ROW, "np": NAMESPACE, "lag": lag, "diff": diff, **own}


def _wrap(name: str, function: Callable[..., Any], rows: pd.Index) -> Callable[..., pd.Series]:
    """Wrap a function of the user's, which is given copies of columns.

    DataError unless it returns one number for each row.
    """

    def call(*args: Any, **kwargs: Any) -> pd.Series:
        copies = (part.copy() if hasattr(part, "copy") else part for part in args)
        values = np.asarray(function(*copies, **kwargs))
        if values.shape != (len(rows),) or values.dtype.kind not in "biufc":
            what = f"values of type {values.dtype} in the shape {values.shape}"
            raise DataError(
                f"The function {name!r} of formula_functions gave {what}: it gives one number for"
                f" each of {len(rows)} rows."
            )
        return pd.Series(values, rows)

    return call


def _split(plan: FormulaPlan, matrices: Any) -> Columns:
    """Turn the response and the regressors into arrays, under the names that the user knows."""
    y, x = (
        pd.DataFrame(side).rename(columns=lambda name: plan.parsed.checked.label(str(name)))
        for side in (matrices.lhs, matrices.rhs)
    )
    _check_sides(plan.parsed.text, y, x, matrices.lhs.model_spec)
    return Columns(
        y.to_numpy(float)[:, 0], x.to_numpy(float), str(y.columns[0]), tuple(map(str, x.columns))
    )


def _check_sides(formula: str, y: pd.DataFrame, x: pd.DataFrame, response: Any) -> None:
    """Refuse a formula without one real response and at least one regressor.

    The response may not be a category or a regressor. `response`: how formulaic encoded the left
    side.
    """
    if y.shape[1] != 1:
        raise DataError(
            f"The formula {formula!r} has {y.shape[1]} responses ({', '.join(y.columns)}); a model"
            " has one numeric response."
        )
    if not x.shape[1]:
        raise DataError(
            f"The formula {formula!r} has no regressor: give at least one, or a constant."
        )
    if any(kind is CATEGORICAL for kind, _ in response.encoder_state.values()):
        raise DataError(
            f"The response of {formula!r} is a category, {y.columns[0]!r}: a model has one numeric"
            " response."
        )
    imaginary = [
        name for table in (y, x) for name, dtype in table.dtypes.items() if dtype.kind == "c"
    ]
    if imaginary:
        raise DataError(
            f"Complex numbers in {few(imaginary)} of {formula!r}: their imaginary part would be"
            " lost. Take np.real or np.abs."
        )
    if y.columns[0] in x.columns:
        raise DataError(
            f"The response {y.columns[0]!r} is among the regressors of {formula!r}: take it out."
        )
