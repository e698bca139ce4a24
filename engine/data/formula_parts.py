"""A formula taken apart: its terms and factors, and the columns that each of them uses.

A factor is a column that stands alone, such as `x`, or an expression of columns, such as
`np.log(x)`. Expressions are read as syntax trees; nothing is evaluated here.
"""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import formulaic
import pandas as pd

from spillover.engine.data import grammar
from spillover.engine.data.formula_text import Checked, quote_text, strip_message
from spillover.kernels.errors import DataError

KEEPS_TEXT = ("C", "I", "np.where")  # functions that take text and leave it text


@dataclass(frozen=True)
class ParsedFormula:
    """A formula as formulaic reads it.

    Attributes
    ----------
    text : str
        The formula as the user wrote it.
    checked : Checked
        The same with stand-ins for names in backticks, as formulaic reads it.
    sides : formulaic.Formula
        The terms of the response, `lhs`, and of the regressors, `rhs`.
    trees : tuple of ast.expr
        Syntax trees of the factors that are expressions: all of the formula that is evaluated.
    """

    text: str
    checked: Checked
    sides: formulaic.Formula
    trees: tuple[ast.expr, ...]

    @property
    def terms(self) -> tuple[Any, ...]:
        """The terms of both sides."""
        return (*self.sides.lhs, *self.sides.rhs)


def parse_formula(
    formula: str, checked: Checked, functions: Iterable[str], columns: pd.Index
) -> ParsedFormula:
    """Parse a formula, once the grammar has accepted every call in it.

    Parameters
    ----------
    formula : str
        The formula.
    checked : Checked
        The formula as `grammar.check_formula` returns it.
    functions : iterable of str
        Names of the user's own functions.
    columns : Index
        The columns of the table.

    Raises
    ------
    DataError
        For a formula that cannot be read, and for one without a response or of several parts.
    SpecificationError
        For an expression that `spillover.engine.data.grammar` does not list.
    """
    allowed = set()
    # formulaic evaluates arguments of some functions while it parses: check before it sees them
    for call in map(grammar.parse_factor, checked.calls):
        grammar.check_factor(call, checked, functions, columns)
        grammar.check_clashes(call, columns, formula)
        allowed.add(ast.dump(call))
    sides = _parse_sides(formula, checked)
    trees = tuple(
        grammar.parse_factor(factor.expr)
        for side in (sides.lhs, sides.rhs)
        for term in side
        for factor in term.factors
        if is_expression(factor)
    )
    if not allowed.issuperset(map(ast.dump, trees)):
        raise DataError(
            f"The formula {quote_text(formula)} cannot be read: write brackets outside of text."
        )
    return ParsedFormula(formula, checked, sides, trees)


def _parse_sides(formula: str, checked: Checked) -> formulaic.Formula:
    """Split the formula into its two sides, of one part each."""
    try:
        sides = formulaic.Formula(checked.text)
    except (
        formulaic.errors.FormulaicError,
        SyntaxError,
        TypeError,
        ValueError,
        MemoryError,
        RecursionError,
    ) as error:
        reason = checked.label(strip_message(error))[:200]
        raise DataError(f"The formula {quote_text(formula)} cannot be read: {reason}") from error
    if not hasattr(sides, "lhs"):
        raise DataError(f"The formula {formula!r} has no response: write it as 'y ~ x1 + x2'.")
    if not all(isinstance(side, formulaic.SimpleFormula) for side in (sides.lhs, sides.rhs)):
        raise DataError(
            f"The formula {formula!r} has several parts, divided by '|': a model has one."
        )
    return sides


def is_expression(factor: Any) -> bool:
    """Whether a formulaic factor is an expression, rather than a column or a number."""
    return bool(factor.eval_method.value == "python")


def list_columns(side: formulaic.SimpleFormula, checked: Checked) -> list[str]:
    """List the columns that stand alone on one side of a formula."""
    return [
        checked.column(factor.expr)
        for term in side
        for factor in term.factors
        if factor.eval_method.value == "lookup"
    ]


def find_variables(parsed: ParsedFormula, columns: pd.Index) -> tuple[str, ...]:
    """Find the columns that a formula needs, sorted. DataError for one that the table lacks."""
    checked, sides = parsed.checked, parsed.sides
    names = [*list_columns(sides.lhs, checked), *list_columns(sides.rhs, checked)]
    for tree in parsed.trees:
        nodes = list(ast.walk(tree))
        # names of functions and modules: log in log(x), np in np.log(x)
        others = {id(node.func) for node in nodes if isinstance(node, ast.Call)}
        others |= {id(node.value) for node in nodes if isinstance(node, ast.Attribute)}
        names += [
            checked.column(node.id)
            for node in nodes
            if isinstance(node, ast.Name) and id(node) not in others
        ]
    for name in names:
        if name in columns:
            continue
        if name in map(str, columns):
            raise DataError(
                f"The formula {parsed.text!r} needs the column {name!r}, whose name is not text:"
                " frame.rename(columns=str) makes it so."
            )
        raise DataError(
            f"The formula {parsed.text!r} needs a column {name!r}; the data have"
            f" {', '.join(map(str, columns))}."
        )
    return tuple(sorted(set(names)))


def find_levels_and_logic(parsed: ParsedFormula) -> set[str]:
    """Find the columns in C(...), where they name levels, and in ~, &, | and ^."""
    return {
        parsed.checked.column(name)
        for tree in parsed.trees
        for node in ast.walk(tree)
        if _is_coding(node) or _is_logic(node)
        for name in _names_in(node)
    }


def find_used_as_they_are(parsed: ParsedFormula) -> set[str]:
    """Find the columns that are used somewhere outside C(...) and comparisons."""
    checked, sides = parsed.checked, parsed.sides
    alone = {*list_columns(sides.lhs, checked), *list_columns(sides.rhs, checked)}
    return alone | {checked.column(name) for tree in parsed.trees for name in _names_outside(tree)}


def find_used_as_numbers(parsed: ParsedFormula) -> set[str]:
    """Find the columns that arithmetic or a numeric function uses."""
    return {
        parsed.checked.column(name) for tree in parsed.trees for name in _names_as_numbers(tree)
    }


def find_coded(tree: ast.expr, checked: Checked) -> set[str]:
    """Find the columns that stand alone in a C(...) of an expression."""
    return {
        checked.column(node.args[0].id)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and _is_coding(node)
        if node.args and isinstance(node.args[0], ast.Name)
    }


def find_not_by_row(node: ast.expr) -> ast.expr | None:
    """Find the first part of an expression that may need several rows at once, if any."""
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
    culprits = (find_not_by_row(part) for part in inner)
    return next((culprit for culprit in culprits if culprit is not None), None)


def _is_by_row(function: ast.expr) -> bool:
    """Whether a function works on each row by itself."""
    match function:
        case ast.Name(id=name):
            return name == "I" or name in grammar.BY_ROW
        case ast.Attribute(value=ast.Name(id="np")):
            return True
    return False


def _is_coding(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "C"


def _is_logic(node: ast.AST) -> bool:
    operators = ast.Invert | ast.BitAnd | ast.BitOr | ast.BitXor
    return isinstance(node, ast.UnaryOp | ast.BinOp) and isinstance(node.op, operators)


def _names_in(node: ast.AST) -> set[str]:
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}


def _names_outside(node: ast.AST) -> Iterator[str]:
    """Yield the names in an expression, except those in C(...) and in comparisons."""
    if isinstance(node, ast.Name):
        yield node.id
    elif not (_is_coding(node) or isinstance(node, ast.Compare)):
        for part in ast.iter_child_nodes(node):
            yield from _names_outside(part)


def _names_as_numbers(node: ast.AST, inside: bool = False) -> Iterator[str]:
    """Yield the names that arithmetic or a numeric function uses.

    Names in C(...) and in comparisons are left out, and so are those that only + joins: the sum of
    two texts is a text. `inside`: whether the node lies within arithmetic or such a function.
    """
    match node:
        case ast.Name(id=name):
            yield from [name] if inside else []
        case ast.Compare() | ast.Call(func=ast.Attribute(attr="equal" | "not_equal")):
            for part in ast.iter_child_nodes(node):
                yield from _names_as_numbers(part)
        case ast.Call(func=function, args=args):
            keeps_text = ast.unparse(function) in KEEPS_TEXT
            for part in args:
                yield from _names_as_numbers(part, inside if keeps_text else True)
        case _:
            joins = isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add)
            counts = isinstance(node, ast.BinOp | ast.UnaryOp) and not joins
            for part in ast.iter_child_nodes(node):
                yield from _names_as_numbers(part, inside or counts)
