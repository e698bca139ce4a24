"""The plan of a formula: what it needs from a table, worked out before any row is read."""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from spillover.engine.data import grammar
from spillover.engine.data.formula_parts import (
    ParsedFormula,
    find_coded,
    find_levels_and_logic,
    find_not_by_row,
    find_used_as_numbers,
    find_used_as_they_are,
    find_variables,
    list_columns,
    parse_formula,
)
from spillover.engine.data.sources import Source
from spillover.engine.labels import few
from spillover.engine.recognition import is_number
from spillover.kernels.errors import DataError, SpecificationError

WAY_OUT = "work it out as a column beforehand, or give a pandas DataFrame."


@dataclass(frozen=True)
class FormulaPlan:
    """A formula that fits a table, with what is done to each column that it uses.

    Attributes
    ----------
    parsed : ParsedFormula
        The formula itself.
    functions : mapping of str to callable
        The user's own functions in it.
    variables : tuple of str
        The columns that the formula needs, sorted.
    response : str or None
        The column that is the response as it stands; None where the response is an expression.
    whole : bool
        Whether the table comes in one piece rather than in chunks.
    levels : tuple of str
        For a table in chunks: the columns whose levels have to be known before the first chunk.
    implicit : tuple of str
        Columns of text, objects or categories that become categories without a C(...).
    floats : tuple of str
        Columns of numbers and truth values that become float64 before anything is computed, so that
        squares of whole numbers do not overflow and true + true is 2. Columns in C(...), which name
        levels, and in ~, &, | and ^ stay as they are.
    misused : tuple of str
        Columns of text or categories in arithmetic, which would repeat or join the text.
    before : int
        How many earlier periods a row needs, through lag and diff.
    """

    parsed: ParsedFormula
    functions: Mapping[str, Callable[..., Any]]
    variables: tuple[str, ...]
    response: str | None
    whole: bool
    levels: tuple[str, ...]
    implicit: tuple[str, ...]
    floats: tuple[str, ...]
    misused: tuple[str, ...]
    before: int


def plan_formula(
    formula: str, source: Source, functions: Mapping[str, Callable[..., Any]] | None = None
) -> FormulaPlan:
    """Work out what a formula needs from a table, without evaluating any of it.

    Parameters
    ----------
    formula : str
        The formula, such as "np.log(y) ~ x + C(region)".
    source : Source
        The table.
    functions : mapping of str to callable, optional
        The user's own functions, by the names under which the formula calls them.

    Raises
    ------
    DataError
        For a formula without one response or without a regressor, and for a column that the table
        lacks or that is neither numeric, text nor categorical.
    SpecificationError
        For an expression that the grammar does not list, and where the table comes in chunks and a
        transformation needs all of its rows.
    """
    checked = grammar.check_formula(formula)
    own = grammar.check_functions(functions, source.columns)
    parsed = parse_formula(formula, checked, own, source.columns)
    variables = find_variables(parsed, source.columns)
    _check_columns(variables, source)
    response = _find_response(parsed, variables, source)
    numeric = {name for name in variables if _is_numeric(source.dtypes[name])}
    others = set(variables) - numeric
    return FormulaPlan(
        parsed=parsed,
        functions=own,
        variables=variables,
        response=response,
        whole=source.whole,
        levels=() if source.whole else _find_levels(parsed, variables, source),
        implicit=tuple(sorted(find_used_as_they_are(parsed) & others)),
        floats=tuple(sorted(numeric - find_levels_and_logic(parsed))),
        misused=tuple(sorted(find_used_as_numbers(parsed) & others)),
        before=max([0, *map(grammar.count_periods_before, parsed.trees)]),
    )


def _is_numeric(dtype: Any) -> bool:
    return is_number(dtype) or pd.api.types.is_bool_dtype(dtype)


def _check_columns(variables: tuple[str, ...], source: Source) -> None:
    """Refuse names of more than one column, and dates, durations and complex numbers."""
    again = [name for name in variables if (source.columns == name).sum() > 1]
    if again:
        raise DataError(f"More than one column is called {few(again)}: rename or drop the copies.")
    for name in variables:
        if source.dtypes[name].kind in "mMc" or isinstance(source.dtypes[name], pd.PeriodDtype):
            raise DataError(
                f"Column {name!r} holds {source.dtypes[name]} values: turn it into real numbers or"
                " categories first."
            )


def _find_response(parsed: ParsedFormula, variables: tuple[str, ...], source: Source) -> str | None:
    """Find the column that is the response as it stands. DataError for truth values."""
    alone = list_columns(parsed.sides.lhs, parsed.checked)
    response = next((name for name in alone if name in variables), None)
    if response is not None and pd.api.types.is_bool_dtype(source.dtypes[response]):
        way_out = f"for a linear probability model give frame[{response!r}].astype(float)"
        raise DataError(
            f"The response {response!r} is true or false, and the models are of a number with"
            f" normal errors: {way_out}."
        )
    return response


def _find_levels(
    parsed: ParsedFormula, variables: tuple[str, ...], source: Source
) -> tuple[str, ...]:
    """Find the columns of a table in chunks whose levels have to be known first.

    SpecificationError for an expression that may need all rows at once.
    """
    categories = {name for name in variables if source.dtypes[name].kind not in "biuf"}
    for tree in parsed.trees:
        culprit = find_not_by_row(tree)
        if culprit is not None:
            text = parsed.checked.label(ast.unparse(culprit))
            raise SpecificationError(
                f"{text!r} in {parsed.text!r} may need all rows at once, and {source.what} is read"
                f" in chunks: {WAY_OUT}"
            )
        categories |= find_coded(tree, parsed.checked) & set(variables)
    return tuple(sorted(categories))
