"""Formulas, read by formulaic: the response and the explanatory variables of a table, named and
complete.
"""

import ast
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, NamedTuple

import formulaic
import numpy as np
import pandas as pd

from spillover.engine.data import grammar
from spillover.engine.data.formula_text import Checked, short
from spillover.engine.data.grammar import tree_of
from spillover.engine.data.sources import Source, default_text, distinct
from spillover.engine.labels import few
from spillover.engine.recognition import NUMBERS, how_to_convert, is_number, numbers_as_text
from spillover.kernels.errors import DataError, SpecificationError, SpilloverError

# columns of one term beyond the number of rows, which the check of the model refuses by name
ROOM = 1000
SHOWN = 3  # rows an error message names before it counts the rest
# np in a formula
NAMESPACE = SimpleNamespace(
    **{name: getattr(np, name) for name in (*grammar.NUMPY, *grammar.CONSTANTS)}
)
WAY_OUT = "work it out as a column beforehand, or give a pandas DataFrame."


class Columns(NamedTuple):
    """`y`: (rows,); `x`: (rows, k); their names, in the order of the formula."""

    y: np.ndarray
    x: np.ndarray
    response: str
    names: tuple[str, ...]


@dataclass(frozen=True)
class Plan:
    """A formula that a table can answer: the `variables` that it needs and, for a table in chunks,
    those whose `levels` come first.

    `bare`: the text, objects and categories used otherwise than in C(...) or a comparison;
    `floats`: the numbers and truth values that become float64 before anything is worked out, so
    that no square of whole numbers runs over and true + true is 2; not those in C(...), which name
    levels, or in ~, & and |; `response`: the variable that is the response as it stands; `checked`:
    the formula with stand-ins for names in backticks; `functions`: the user's own; `before`: how
    many periods before its own the formula reads; `counted`: the variables that arithmetic and
    functions of numbers take, where text would be repeated or joined.
    """

    formula: str
    parsed: formulaic.Formula
    variables: tuple[str, ...]
    levels: tuple[str, ...]
    whole: bool
    bare: tuple[str, ...]
    floats: tuple[str, ...]
    response: str | None
    checked: Checked
    functions: Mapping[str, Callable]
    before: int
    counted: tuple[str, ...]


@dataclass
class Flaws:
    """The values that cannot be used, by what is wrong with them: how many rows, the first of them,
    and the way out.
    """

    found: dict[str, tuple[int, list[int], str]] = field(default_factory=dict)

    def note(self, bad: np.ndarray, start: int, what: str, way_out: str) -> None:
        """Add the `bad` rows of a chunk that begins at row `start`."""
        if bad.any():
            count, rows, _ = self.found.get(what, (0, [], ""))
            new = np.flatnonzero(bad)
            self.found[what] = (count + len(new), [*rows, *(start + new[:SHOWN])][:SHOWN], way_out)

    def refuse(self, label: Callable[[int], str], order: list[str]) -> None:
        """DataError for the first flaw in `order`, its rows named by `label`."""
        for what in filter(self.found.__contains__, order):
            count, rows, way_out = self.found[what]
            named = ", ".join(map(label, rows)) + (", ..." if count > SHOWN else "")
            raise DataError(f"{what} in {count} rows ({named}): {way_out}.")


def plan(formula: str, source: Source, functions: Mapping[str, Callable] | None = None) -> Plan:
    """What `formula` needs of a table; nothing of it is evaluated before
    `spillover.engine.data.grammar` let it pass.

    DataError for a formula without one response or without a regressor, and for a variable that the
    table lacks or that is not numeric, text or categorical. SpecificationError for what is not
    listed, and where the table comes in chunks and a transformation needs all of its rows.
    `functions`: the user's own, by the names that the formula calls them.
    """
    checked = grammar.check(formula)
    own = grammar.check_functions(functions, source.columns)
    allowed = set()
    # before formulaic sees them: it evaluates arguments of some functions as it reads
    for call in map(tree_of, checked.calls):
        grammar.check_factor(call, checked, own, source.columns)
        grammar.check_clashes(call, source.columns, formula)
        allowed.add(ast.dump(call))
    parsed = _parse(formula, checked)
    trees = [
        tree_of(factor.expr) for factor in _factors(parsed) if factor.eval_method.value == "python"
    ]
    if not allowed.issuperset(map(ast.dump, trees)):
        raise DataError(
            f"The formula {short(formula)} cannot be read: write brackets outside of text."
        )
    variables = tuple(_variables(parsed, trees, checked, formula, source.columns))
    again = [name for name in variables if (source.columns == name).sum() > 1]
    if again:
        raise DataError(f"More than one column is called {few(again)}: rename or drop the copies.")
    for name in variables:
        if source.dtypes[name].kind in "mMc" or isinstance(source.dtypes[name], pd.PeriodDtype):
            raise DataError(
                f"Column {name!r} holds {source.dtypes[name]} values: turn it into real numbers or"
                " categories first."
            )
    response = next((name for name in _looked_up(parsed.lhs, checked) if name in variables), None)
    if response is not None and pd.api.types.is_bool_dtype(source.dtypes[response]):
        way_out = f"for a linear probability model give frame[{response!r}].astype(float)"
        raise DataError(
            f"The response {response!r} is true or false, and the models are of a number with"
            f" normal errors: {way_out}."
        )
    kept, bare = _uses(parsed, trees, checked)
    real = {
        name
        for name in variables
        if is_number(source.dtypes[name]) or pd.api.types.is_bool_dtype(source.dtypes[name])
    }
    levels = () if source.whole else _levels(trees, checked, formula, source, variables)
    return Plan(
        formula=formula,
        parsed=parsed,
        variables=variables,
        levels=levels,
        whole=source.whole,
        bare=tuple(sorted(bare & set(variables) - real)),
        floats=tuple(sorted(real - kept)),
        response=response,
        checked=checked,
        functions=own,
        before=max([0, *map(grammar.periods_before, trees)]),
        counted=tuple(
            sorted(
                {checked.names.get(name, name) for tree in trees for name in _counted(tree)}
                & set(variables) - real
            )
        ),
    )


def _levels(
    trees: list[ast.expr],
    checked: Checked,
    formula: str,
    source: Source,
    variables: tuple[str, ...],
) -> tuple[str, ...]:
    """The variables of a table in chunks whose levels come first. SpecificationError for what may
    need all rows at once.
    """
    categories = {name for name in variables if source.dtypes[name].kind not in "biuf"}
    for tree in trees:
        culprit = _not_by_row(tree)
        if culprit is not None:
            text = checked.label(ast.unparse(culprit))
            raise SpecificationError(
                f"{text!r} in {formula!r} may need all rows at once, and {source.what} is read in"
                f" chunks: {WAY_OUT}"
            )
        categories |= {name for name in _encoded(tree, checked.names) if name in variables}
    return tuple(sorted(categories))


def read(
    plan: Plan,
    chunks: Iterator[pd.DataFrame],
    levels: dict[str, pd.Index],
    label: Callable[[int], str],
    earlier: Callable[[pd.Series, int], pd.Series],
) -> Iterator[Columns]:
    """The columns of the formula, chunk by chunk. `levels`: those of the plan's categories; `label`
    names a row in errors; `earlier` gives each row the value of its unit some periods before.

    DataError for values that are missing or not finite, once all chunks have been seen.
    """
    flaws, gaps, infinite, spec, start = (
        Flaws(),
        [_gap(name) for name in plan.variables],
        [],
        None,
        0,
    )
    for name in plan.bare if not plan.whole else ():
        if name in levels:
            _check_categories(plan, name, levels[name])
    for frame in (
        default_text(chunk[list(plan.variables)].reset_index(drop=True))
        for chunk in chunks
        if len(chunk)
    ):
        if plan.whole:
            _check_whole(plan, frame)
            _check_size(plan, frame)
        for name in plan.counted:
            what = (
                f"Column {name!r} holds text or categories, and arithmetic and functions take"
                " numbers"
            )
            raise DataError(f"{what}: write I({name} == ...) for a level, or C({name}).")
        for name in plan.variables:
            flaws.note(frame[name].isna().to_numpy(), start, _gap(name), "drop or fill them")
        if flaws.found.keys().isdisjoint(gaps):
            for name in plan.floats:
                frame[name] = frame[name].to_numpy(dtype=float)
            if spec is None:
                spec = plan.parsed if plan.whole else _trained(plan, frame, levels)
            y, x = _tables(plan, _matrices(plan, spec, frame, earlier))
            columns = Columns(
                y.to_numpy(float)[:, 0],
                x.to_numpy(float),
                str(y.columns[0]),
                tuple(map(str, x.columns)),
            )
            _note_infinite(flaws, columns, start, _there(plan, frame, earlier))
            infinite = [_infinite(name) for name in (columns.response, *columns.names)]
            yield columns
        start += len(frame)
    flaws.refuse(label, gaps + infinite)


def _check_whole(plan: Plan, frame: pd.DataFrame) -> None:
    """DataError for values that would be categories by mistake, and for categories that
    no row has.
    """
    for name in plan.variables:
        column = frame[name]
        if isinstance(column.dtype, pd.CategoricalDtype):
            unused = column.cat.categories[
                np.bincount(column.cat.codes[column.notna()], minlength=len(column.cat.categories))
                == 0
            ]
            if len(unused):
                way_out = f"drop them, frame[{name!r}].cat.remove_unused_categories()"
                raise DataError(
                    f"Column {name!r} declares categories that no row has: {few(unused)}. Their"
                    f" indicators are zero: {way_out}."
                )
        if name in plan.bare:
            try:
                found = distinct(column)
            except TypeError as error:
                raise DataError(
                    f"Column {name!r} holds values that are no categories: {error}."
                ) from error
            _check_categories(plan, name, found)


def _check_size(plan: Plan, frame: pd.DataFrame) -> None:
    """DataError for categories and products of them that make far more columns than there are rows,
    before they are made.
    """
    names = plan.checked.names
    for term in (*plan.parsed.lhs, *plan.parsed.rhs):
        columns = 1
        for factor in term.factors:
            coded = names.get(factor.expr, factor.expr)
            if factor.eval_method.value == "python":
                coded = next(iter(_encoded(tree_of(factor.expr), names)), None)
            elif coded not in plan.bare:
                coded = None
            columns *= 1 if coded is None else max(1, frame[coded].nunique())
        if columns > len(frame) + ROOM:
            shown = plan.checked.label(str(term))
            raise DataError(
                f"{short(shown)} makes {columns} columns, one for each level, of {len(frame)} rows:"
                " is it a number?"
            )


def _check_categories(plan: Plan, name: str, levels: pd.Index) -> None:
    """DataError for distinct values of a column that are numbers, as text or as objects, or dates:
    bare, each would be a category.
    """
    declared = isinstance(levels, pd.CategoricalIndex)
    values = levels.categories if declared else levels
    kind = pd.api.types.infer_dtype(values, skipna=True)
    quoted = name if name.isidentifier() else f"`{name}`"
    categories = "" if name == plan.response else f", or write C({quoted}) for categories"
    found = numbers_as_text(values) if kind == "string" else None
    if found:
        numbers, others, marks = found
        but = f" (beside {few(others)})" if others else ""
        what = (
            f"numbers stored as text, {few(numbers)}{but}, which would be {len(values)} categories"
        )
        raise DataError(
            f"Column {name!r} holds {what}: {how_to_convert(name, marks, others)}{categories}."
        )
    if not declared and kind in NUMBERS:
        what = f"numbers stored as objects, {few(values)}, which would be {len(values)} categories"
        raise DataError(
            f"Column {name!r} holds {what}: {how_to_convert(name, [], [])}{categories}."
        )
    if not declared and kind not in ("string", "boolean", "empty", "interval"):
        types = ", ".join(sorted({type(value).__name__ for value in values}))
        raise DataError(
            f"Column {name!r} holds values of type {types}: turn it into numbers or into"
            f" text{categories}."
        )


def _gap(name: str) -> str:
    return f"Column {name!r} has missing values"


def _infinite(name: str) -> str:
    return f"{name!r} is not finite"


def _there(
    plan: Plan, frame: pd.DataFrame, earlier: Callable[[pd.Series, int], pd.Series]
) -> np.ndarray:
    """Whether a row has all the periods before it that the formula reads; those that have not are
    no part of the panel.
    """
    if not plan.before:
        return np.ones(len(frame), bool)
    return earlier(pd.Series(np.ones(len(frame)), frame.index), plan.before).notna().to_numpy()


def _note_infinite(flaws: Flaws, columns: Columns, start: int, there: np.ndarray) -> None:
    if not (np.isfinite(columns.y[there]).all() and np.isfinite(columns.x[there]).all()):
        for name, values in [
            (columns.response, columns.y),
            *zip(columns.names, columns.x.T, strict=True),
        ]:
            flaws.note(
                ~np.isfinite(values) & there,
                start,
                _infinite(name),
                "check its transformation, a log of zero perhaps",
            )


def _trained(plan: Plan, frame: pd.DataFrame, levels: dict[str, pd.Index]) -> Any:
    """The formula with the levels of every category fixed, learnt from rows that have them all."""
    size = max([1, *map(len, levels.values())])
    rows = frame.iloc[np.arange(size) % len(frame)].reset_index(drop=True)
    for name, found in levels.items():
        rows[name] = pd.Series(found[np.arange(size) % len(found)])
    spec = _matrices(plan, plan.parsed, rows, _never).model_spec
    names = plan.checked.names
    for part in (spec.lhs, spec.rhs):
        needs = {
            str(factor): {names.get(str(name), str(name)) for name in found}
            for factor, found in part.factor_variables.items()
        }
        for expression, (kind, _) in part.encoder_state.items():
            used = needs[expression] & set(plan.variables)
            if kind is formulaic.parser.types.Factor.Kind.CATEGORICAL and (
                len(used) != 1 or not used <= levels.keys()
            ):
                shown = plan.checked.label(expression)
                raise SpecificationError(
                    f"The levels of {shown!r} in {plan.formula!r} are known from all rows only:"
                    f" {WAY_OUT}"
                )
    return spec


def _never(column: pd.Series, k: int) -> pd.Series:
    """No value of before: what is read in chunks has none at hand, and its formulas no lag."""
    raise SpecificationError("lag and diff need all rows at once: give a pandas DataFrame.")


def _matrices(
    plan: Plan, spec: Any, frame: pd.DataFrame, earlier: Callable[[pd.Series, int], pd.Series]
) -> Any:
    def lag(x: Any, k: int = 1) -> pd.Series:
        return earlier(pd.Series(x, frame.index, dtype=float), k)

    def diff(x: Any) -> pd.Series:
        return pd.Series(x, frame.index, dtype=float) - lag(x)

    context = {**grammar.BY_ROW, "np": NAMESPACE, "lag": lag, "diff": diff}
    context |= {
        name: _own(name, function, frame.index) for name, function in plan.functions.items()
    }
    # not of terms taken out
    stand_ins = {
        stand_in: frame[name] for stand_in, name in plan.checked.names.items() if name in frame
    }
    try:
        # what is not finite is refused by name
        with (
            np.errstate(all="ignore"),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore", RuntimeWarning)
            # a level that levels= leaves out
            warnings.simplefilter("error", formulaic.errors.DataMismatchWarning)
            return spec.get_model_matrix(
                frame.assign(**stand_ins), context=context, na_action="ignore"
            )
    except formulaic.errors.DataMismatchWarning as error:
        what = "levels= of C(...) leaves out values that the data have"
        raise DataError(
            f"The formula {short(plan.formula)} does not fit the data: {what}:"
            f" {_plain(error)[:200]}"
        ) from error
    except (
        formulaic.errors.FormulaicError,
        ArithmeticError,
        LookupError,
        TypeError,
        ValueError,
    ) as error:
        if isinstance(error.__cause__, SpilloverError):
            raise error.__cause__ from None
        reason = plan.checked.label(_plain(error))
        raise DataError(
            f"The formula {short(plan.formula)} does not fit the data: {reason[:400]}"
        ) from error


def _own(name: str, function: Callable, rows: pd.Index) -> Callable[..., pd.Series]:
    """A function of the user's own, of copies of columns, its result one number for each row.
    DataError for any other.
    """

    def call(*given: Any, **words: Any) -> pd.Series:
        found = function(
            *(part.copy() if hasattr(part, "copy") else part for part in given), **words
        )
        values = np.asarray(found)
        if values.shape != (len(rows),) or values.dtype.kind not in "biufc":
            what = f"values of type {values.dtype} in the shape {values.shape}"
            raise DataError(
                f"The function {name!r} of formula_functions gave {what}: it gives one number for"
                f" each of {len(rows)} rows."
            )
        return pd.Series(values, rows)

    return call


def _plain(error: Exception) -> str:
    """An error of another library as one line, without codes for colours."""
    return " ".join(re.sub("\x1b\\[[0-9;]*m", "", str(error)).split())


def _tables(plan: Plan, matrices: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    y, x = (
        pd.DataFrame(part).rename(columns=lambda name: plan.checked.label(str(name)))
        for part in (matrices.lhs, matrices.rhs)
    )
    formula = plan.formula
    if y.shape[1] != 1:
        raise DataError(
            f"The formula {formula!r} has {y.shape[1]} responses ({', '.join(y.columns)}); a model"
            " has one numeric response."
        )
    if not x.shape[1]:
        raise DataError(
            f"The formula {formula!r} has no regressor: give at least one, or a constant."
        )
    if any(
        kind is formulaic.parser.types.Factor.Kind.CATEGORICAL
        for kind, _ in matrices.lhs.model_spec.encoder_state.values()
    ):
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
    return y, x


def _parse(formula: str, checked: Checked) -> formulaic.Formula:
    try:
        parsed = formulaic.Formula(checked.text)
    except (
        formulaic.errors.FormulaicError,
        SyntaxError,
        TypeError,
        ValueError,
        MemoryError,
        RecursionError,
    ) as error:
        raise DataError(
            f"The formula {short(formula)} cannot be read: {checked.label(_plain(error))[:200]}"
        ) from error
    if not hasattr(parsed, "lhs"):
        raise DataError(f"The formula {formula!r} has no response: write it as 'y ~ x1 + x2'.")
    if not all(isinstance(part, formulaic.SimpleFormula) for part in (parsed.lhs, parsed.rhs)):
        raise DataError(
            f"The formula {formula!r} has several parts, divided by '|': a model has one."
        )
    return parsed


def _variables(
    parsed: formulaic.Formula,
    trees: list[ast.expr],
    checked: Checked,
    formula: str,
    columns: pd.Index,
) -> list[str]:
    """The columns that the formula needs."""
    names = [*_looked_up(parsed.lhs, checked), *_looked_up(parsed.rhs, checked)]
    for tree in trees:
        others = {id(part.func) for part in ast.walk(tree) if isinstance(part, ast.Call)}
        others |= {id(part.value) for part in ast.walk(tree) if isinstance(part, ast.Attribute)}
        found = {
            part.id
            for part in ast.walk(tree)
            if isinstance(part, ast.Name) and id(part) not in others
        }
        names += [checked.names.get(name, name) for name in found]
    for name in names:
        if name in columns:
            continue
        if name in map(str, columns):
            raise DataError(
                f"The formula {formula!r} needs the column {name!r}, whose name is not text:"
                " frame.rename(columns=str) makes it so."
            )
        raise DataError(
            f"The formula {formula!r} needs a column {name!r}; the data have"
            f" {', '.join(map(str, columns))}."
        )
    return sorted(set(names))


def _factors(parsed: formulaic.Formula) -> list:
    return [factor for part in (parsed.lhs, parsed.rhs) for term in part for factor in term.factors]


def _looked_up(part: formulaic.SimpleFormula, checked: Checked) -> list[str]:
    """The columns that stand by themselves in a part of the formula."""
    found = [
        factor.expr
        for term in part
        for factor in term.factors
        if factor.eval_method.value == "lookup"
    ]
    return [checked.names.get(name, name) for name in found]


def _uses(
    parsed: formulaic.Formula, trees: list[ast.expr], checked: Checked
) -> tuple[set[str], set[str]]:
    """The names somewhere in C(...), ~, &, | or ^, and those that stand outside of C(...) and of
    comparisons.
    """
    kept, bare = set(), {*_looked_up(parsed.lhs, checked), *_looked_up(parsed.rhs, checked)}
    for tree in trees:
        kept |= {
            checked.names.get(name, name)
            for node in ast.walk(tree)
            if _is_coding(node) or _is_logic(node)
            for name in _names_in(node)
        }
        bare |= {checked.names.get(name, name) for name in _names_outside(tree)}
    return kept, bare


def _is_coding(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "C"


def _is_logic(node: ast.AST) -> bool:
    operators = ast.Invert | ast.BitAnd | ast.BitOr | ast.BitXor
    return isinstance(node, ast.UnaryOp | ast.BinOp) and isinstance(node.op, operators)


def _counted(node: ast.AST, inside: bool = False) -> Iterator[str]:
    """The names that arithmetic or a function of numbers takes: not those of comparisons, of
    C(...), and in a sum of texts.
    """
    match node:
        case ast.Name(id=name):
            yield from [name] if inside else []
        case ast.Compare() | ast.Call(func=ast.Attribute(attr="equal" | "not_equal")):
            for part in ast.iter_child_nodes(node):
                yield from _counted(part)
        case ast.Call(func=function, args=args):
            own = ast.unparse(function) in ("C", "I", "np.where")
            for part in args:
                yield from _counted(part, inside if own else True)
        case _:
            plain = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
            takes = isinstance(node, ast.BinOp | ast.UnaryOp) and not plain
            for part in ast.iter_child_nodes(node):
                yield from _counted(part, inside or takes)


def _names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _names_outside(node: ast.AST) -> Iterator[str]:
    """The names in an expression but for those in C(...) and in comparisons."""
    if isinstance(node, ast.Name):
        yield node.id
    elif not (_is_coding(node) or isinstance(node, ast.Compare)):
        for part in ast.iter_child_nodes(node):
            yield from _names_outside(part)


def _not_by_row(node: ast.expr) -> ast.expr | None:
    """The first part of an expression that is not known to work on each row by itself."""
    match node:
        case ast.Name() | ast.Constant():
            return None
        case ast.BinOp(left=left, right=right):
            inner = [left, right]
        case ast.UnaryOp(operand=operand):
            inner = [operand]
        case ast.Compare(left=left, comparators=others, ops=ops) if all(
            isinstance(op, ast.Eq | ast.NotEq | ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in ops
        ):
            inner = [left, *others]
        case ast.Call(func=ast.Name(id="C"), args=[first, *_]):  # the rest are contrasts and levels
            inner = [first]
        case ast.Call(func=function, args=arguments, keywords=keywords) if _is_by_row(function):
            inner = [*arguments, *(keyword.value for keyword in keywords)]
        case ast.Attribute(value=ast.Name(id="np")):
            return None
        case _:
            return node
    return next((culprit for culprit in map(_not_by_row, inner) if culprit is not None), None)


def _is_by_row(function: ast.expr) -> bool:
    match function:
        case ast.Name(id=name):
            return name == "I" or name in grammar.BY_ROW
        case ast.Attribute(value=ast.Name(id="np")):
            return True
    return False


def _encoded(tree: ast.expr, names: Mapping[str, str]) -> set[str]:
    """The names that stand by themselves in C(...)."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and _is_coding(node)]
    found = {call.args[0].id for call in calls if call.args and isinstance(call.args[0], ast.Name)}
    return {names.get(name, name) for name in found}
