"""The categories of a formula: what must not become one by mistake, and how many levels fit.

A column that is not numeric stands for its levels, with one indicator for each. Numbers stored as
text would silently pass as categories, so they are refused here unless the formula says C(...).
"""

import numpy as np
import pandas as pd

from spillover.engine.data.formula import FormulaPlan
from spillover.engine.data.formula_parts import find_coded, is_expression
from spillover.engine.data.formula_text import quote_text
from spillover.engine.data.grammar import parse_factor
from spillover.engine.data.sources import collect_values
from spillover.engine.labels import few
from spillover.engine.recognition import NUMBERS, find_numbers, how_to_convert
from spillover.kernels.errors import DataError

# columns that a term may have beyond the number of rows: the check of the design names what is
# collinear there, and more columns would only fill the memory
ROOM = 1000


def check_categories(plan: FormulaPlan, frame: pd.DataFrame) -> None:
    """Check the columns of a whole table that are categories or become so.

    Raises
    ------
    DataError
        For categories that no row has, for values that would be categories by mistake, and for
        terms that make far more columns than there are rows.
    """
    for name in plan.variables:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            _refuse_unused(name, column)
        if name in plan.implicit:
            try:
                levels = collect_values(column)
            except TypeError as error:
                raise DataError(
                    f"Column {name!r} holds values that are no categories: {error}."
                ) from error
            check_levels(plan, name, levels)
    _check_size(plan, frame)


def check_levels(plan: FormulaPlan, name: str, levels: pd.Index) -> None:
    """Check the levels of a column that becomes a category without a C(...).

    Raises
    ------
    DataError
        For numbers, stored as text or as objects, for dates, and for other objects.
    """
    declared = isinstance(levels, pd.CategoricalIndex)
    values = levels.categories if declared else levels
    kind = pd.api.types.infer_dtype(values, skipna=True)
    quoted = name if name.isidentifier() else f"`{name}`"
    or_coded = "" if name == plan.response else f", or write C({quoted}) for categories"
    read = find_numbers(values) if kind == "string" else None
    if read:
        numbers, others, marks = read
        but = f" (beside {few(others)})" if others else ""
        what = (
            f"numbers stored as text, {few(numbers)}{but}, which would be {len(values)} categories"
        )
        raise DataError(
            f"Column {name!r} holds {what}: {how_to_convert(name, marks, others)}{or_coded}."
        )
    if not declared and kind in NUMBERS:
        what = f"numbers stored as objects, {few(values)}, which would be {len(values)} categories"
        raise DataError(f"Column {name!r} holds {what}: {how_to_convert(name, [], [])}{or_coded}.")
    if not declared and kind not in ("string", "boolean", "empty", "interval"):
        types = ", ".join(sorted({type(value).__name__ for value in values}))
        raise DataError(
            f"Column {name!r} holds values of type {types}: turn it into numbers or into"
            f" text{or_coded}."
        )


def _refuse_unused(name: str, column: pd.Series) -> None:
    """Refuse declared categories that no row has: their indicators would be zero."""
    categories = column.cat.categories
    rows = np.bincount(column.cat.codes[column.notna()], minlength=len(categories))
    unused = categories[rows == 0]
    if len(unused):
        way_out = f"drop them, frame[{name!r}].cat.remove_unused_categories()"
        raise DataError(
            f"Column {name!r} declares categories that no row has: {few(unused)}. Their"
            f" indicators are zero: {way_out}."
        )


def _check_size(plan: FormulaPlan, frame: pd.DataFrame) -> None:
    """Refuse a term of categories, or a product of them, with far more columns than rows.

    The columns are counted, not made.
    """
    checked = plan.parsed.checked
    for term in plan.parsed.terms:
        columns = 1
        for factor in term.factors:
            name: str | None = checked.column(factor.expr)
            if is_expression(factor):
                name = next(iter(find_coded(parse_factor(factor.expr), checked)), None)
            elif name not in plan.implicit:
                name = None
            columns *= 1 if name is None else max(1, frame[name].nunique())
        if columns > len(frame) + ROOM:
            label = checked.label(str(term))
            raise DataError(
                f"{quote_text(label)} makes {columns} columns, one for each level, of"
                f" {len(frame)} rows: is it a number?"
            )
