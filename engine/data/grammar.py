"""The grammar of formulas, checked before any part of a formula is expanded or evaluated.

A formula is never run as code. It holds columns, numbers, the operators of formulas, contrasts, and
calls of the functions listed here: no attribute but `np.<listed>` and `contr.<listed>`, no
subscript, no other name. Its size is bounded too: its length, its brackets, its powers and its
number of terms.

Names in backticks are replaced by stand-ins first (`spillover.engine.data.formula_text`), so what
is checked here holds identifiers only. Text literals hold no quote, backtick or backslash.
"""

import ast
import difflib
import keyword
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from spillover.engine.data.formula_text import FINEST, LONGEST, Checked, quote_text, read_text
from spillover.kernels.arguments import kind_of
from spillover.kernels.errors import DataError, SpecificationError

LEVELS = 200  # levels of nested operators in a call, at most
POWER = 64.0  # largest numeric exponent

BY_ROW = {  # functions that work on every row by itself
    "abs": np.abs,
    "exp": np.exp,
    "exp2": np.exp2,
    "exp10": lambda x: np.power(10.0, x),
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "log2": np.log2,
    "log10": np.log10,
    "sqrt": np.sqrt,
}
OPTIONS = {  # the other functions, and the settings that they take besides columns
    "I": (),
    "C": ("contr", "levels"),
    "bs": ("df", "knots", "degree", "include_intercept", "lower_bound", "upper_bound"),
    "cc": ("df", "knots", "lower_bound", "upper_bound", "constraints"),
    "cr": ("df", "knots", "lower_bound", "upper_bound", "constraints"),
    "cs": ("df", "knots", "lower_bound", "upper_bound", "constraints"),
    "poly": ("degree", "raw"),
    "center": (),
    "scale": ("center", "scale", "ddof"),
    "lag": ("k",),
    "diff": (),
}
FUNCTIONS = (*OPTIONS, *BY_ROW)
# fmt: off
NUMPY = (  # functions of NumPy that a formula may call; each works row by row
    "abs", "absolute", "fabs", "sign", "square", "sqrt", "cbrt", "power", "float_power",
    "reciprocal", "negative",
    "exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "logaddexp", "maximum", "minimum",
    "fmax", "fmin",
    "sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "hypot", "sinh", "cosh", "tanh",
    "arcsinh", "arccosh", "arctanh", "deg2rad", "rad2deg",
    "floor", "ceil", "trunc", "rint", "where", "clip", "round", "around",
    "add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "mod", "remainder",
    "heaviside",
    "isfinite", "isnan", "isinf", "logical_and", "logical_or", "logical_not", "logical_xor",
    "equal", "not_equal", "greater", "greater_equal", "less", "less_equal", "real",
)
# fmt: on
CONSTANTS = ("pi", "e")
SPLINES = ("bs", "cc", "cr", "cs", "poly")
WITH_SETTINGS = ("clip", "round", "around")  # functions in NUMPY that take settings too
ARGUMENTS = {  # the most that a function takes, where it is more than one
    "np.where": 3,
    "np.clip": 3,
    "np.round": 2,
    "np.around": 2,
    "C": 2,
    "lag": 2,
    "scale": 4,
}
CONTRASTS = ("treatment", "SAS", "sum", "helmert", "diff", "poly")
OFFER = (
    "a formula holds columns (in backticks where their names are no identifiers), numbers, + - * /"
    f" ** : ~ ( ), and the functions {', '.join(FUNCTIONS)} and np.<a function of rows>; work"
    " anything else out as a column first"
)


def check_formula(formula: Any) -> Checked:
    """Check the pieces of a formula and its size.

    What its calls hold is checked call by call, by `check_factor`.
    """
    return read_text(formula, OFFER)


def parse_factor(text: str) -> ast.expr:
    """Parse a call, or what stands in braces, into a syntax tree.

    DataError where that fails, and for operators nested too deep.
    """
    try:
        tree = ast.parse(text.strip().removeprefix("{").removesuffix("}").strip(), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise DataError(f"{quote_text(text)} in the formula cannot be read: {reason}.") from error
    # level by level: deeper trees would exhaust the stack of every function that follows
    level: list[ast.AST] = [tree]
    for _ in range(LEVELS):
        level = [inner for node in level for inner in ast.iter_child_nodes(node)]
        if not level:
            return tree
    raise DataError(
        f"{quote_text(text)} in the formula cannot be read: its operators lie more than"
        f" {LEVELS} levels deep."
    )


def check_factor(
    tree: ast.expr, checked: Checked, functions: Iterable[str], columns: Iterable[Any]
) -> None:
    """Refuse whatever an expression holds that is not listed here, by SpecificationError.

    `functions`: names of the user's own functions; `columns`: names of the table's columns, for
    hints.
    """
    _Checker(checked, frozenset(functions), frozenset(map(str, columns))).check_value(tree)


@dataclass(frozen=True)
class _Checker:
    """Walks a syntax tree and accepts what is listed; everything else is refused."""

    checked: Checked
    functions: frozenset[str]
    columns: frozenset[str]

    def check_value(self, node: ast.AST) -> None:
        """Check something computed from columns and numbers."""
        match node:
            case ast.Name(id=name) if not name.startswith("__"):
                return
            case ast.Constant(value=bool() | int() | float() as value):
                self.check_number(value)
            case ast.UnaryOp(operand=inner, op=ast.UAdd() | ast.USub() | ast.Invert()):
                self.check_value(inner)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                self.check_power(node, left, right)
            case ast.BinOp(left=left, op=op, right=right) if not isinstance(
                op, ast.MatMult | ast.LShift | ast.RShift
            ):
                self.check_value(left)
                self.check_value(right)
            case ast.Compare(left=left, comparators=others, ops=ops) if not any(
                isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in ops
            ):
                for part in (left, *others):
                    self.check_value_or_text(part)
            case ast.Attribute(value=ast.Name(id="np"), attr=name) if name in CONSTANTS:
                return
            case ast.Call():
                self.check_call(node)
            case _:
                self.refuse(node)

    def check_value_or_text(self, node: ast.AST) -> None:
        """Check a value, or a text to compare with or to choose."""
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            self.check_value(node)

    def check_number(self, value: Any) -> None:
        """Refuse whole numbers beyond those that float64 holds exactly."""
        if isinstance(value, int) and abs(value) > 2**53:
            raise SpecificationError(f"{str(value)[:20]}... in the formula is too large a number.")

    def check_power(self, node: ast.AST, left: ast.AST, right: ast.AST) -> None:
        """Check a power of a column.

        Its exponent is a small number, or is computed from columns too. A power of numbers alone is
        refused, as it could be too large to compute.
        """
        self.check_value(left)
        if not _has_column(left):
            self.refuse(node)
        sign = right.operand if isinstance(right, ast.UnaryOp) else right
        if isinstance(sign, ast.Constant):
            if not isinstance(sign.value, int | float) or abs(sign.value) > POWER:
                raise SpecificationError(
                    f"{self.quote(node)} in the formula: an exponent lies between -{POWER:g} and"
                    f" {POWER:g}."
                )
        elif not _has_column(right):
            self.refuse(node)
        self.check_value(right)

    def check_call(self, node: ast.Call) -> None:
        """Check a call of a listed function, or of one of the user's own."""
        options: tuple[str, ...]
        match node.func:
            case ast.Name(id=name) if name in OPTIONS or name in BY_ROW or name in self.functions:
                options = OPTIONS.get(name, ())
            case ast.Attribute(value=ast.Name(id="np"), attr=attribute) if attribute in NUMPY:
                name = "np"
                options = ("decimals", "a_min", "a_max") if attribute in WITH_SETTINGS else ()
            case _:
                self.refuse(node.func)
        if not node.args or any(isinstance(part, ast.Starred) for part in node.args):
            self.refuse(node)
        for word in node.keywords:
            if word.arg not in options and name not in self.functions:
                raise SpecificationError(
                    f"{self.quote(node)} in the formula: {word.arg or '**'} is nothing that it"
                    " takes" + (f"; it takes {', '.join(options)}." if options else ".")
                )
        self.check_arguments(node, name)
        rounds = name == "np" and ast.unparse(node.func) in ("np.round", "np.around")
        of_values = name in ("np", *BY_ROW, *self.functions) and not rounds
        values = len(node.args) if of_values else 1  # the arguments after these are settings
        for part in node.args[:values]:
            self.check_value_or_text(part) if name == "np" else self.check_value(part)
        for part in (*node.args[values:], *(word.value for word in node.keywords)):
            self.check_setting(part, name)

    def check_arguments(self, node: ast.Call, name: str) -> None:
        """Check the number of arguments.

        With one too many, a function of NumPy would write its result there: over a column of the
        data.
        """
        called = ast.unparse(node.func)
        least, most = 1, ARGUMENTS.get(called, 1)
        if name == "np":
            inputs = getattr(getattr(np, called.removeprefix("np.")), "nin", 1)
            least, most = 3 if called == "np.where" else inputs, max(most, inputs)
        if name in self.functions or name in SPLINES:
            most = LONGEST  # no bound of ours: the user's function or formulaic refuses
        if not least <= len(node.args) <= most:
            takes = str(least) if least == most else f"{least} to {most}"
            raise SpecificationError(
                f"{self.quote(node)} in the formula: {called} takes {takes}"
                f" argument{'s' * (most > 1)}."
            )
        if name in ("center", "scale", *SPLINES) and count_periods_before(node):
            out = (
                f"take the lag of {name}(...)"
                if name in ("center", "scale")
                else "make it a column beforehand"
            )
            raise SpecificationError(
                f"{self.quote(node)} in the formula: {name} needs all rows, and lags lack the first"
                f" ones: {out}."
            )

    def check_setting(self, node: ast.AST, name: str) -> None:
        """Check what the function `name` takes besides columns.

        This is a number, a truth value, a text, a list of them, or a contrast.
        """
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float()) as inner):
                self.check_setting(inner, name)
            case ast.Constant(value=bool() | str() | None):
                return
            case ast.Constant(value=int() | float() as value):
                if name in (*SPLINES, "np") and isinstance(value, int) and value > FINEST:
                    raise SpecificationError(
                        f"{value} in {name}(...) of the formula: {FINEST} is the most that is"
                        " allowed."
                    )
                self.check_number(value)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                if name != "C" and len(parts) > FINEST:
                    raise SpecificationError(
                        f"A list of {len(parts)} in {name}(...) of the formula: {FINEST} is the"
                        " most that is allowed."
                    )
                for part in parts:
                    self.check_setting(part, name)
            case ast.Attribute(value=ast.Name(id="contr"), attr=kind) if (
                name == "C" and kind in CONTRASTS
            ):
                return
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="contr"), attr=kind),
                args=parts,
                keywords=words,
            ) if name == "C" and kind in CONTRASTS:
                for part in (*parts, *(word.value for word in words)):
                    self.check_setting(part, "")
            case _:
                self.refuse(node)

    def quote(self, node: ast.AST) -> str:
        """Quote a part of the formula as the user wrote it."""
        return quote_text(self.checked.label(ast.unparse(node)))

    def refuse(self, node: ast.AST) -> NoReturn:
        """Raise SpecificationError for a part of the formula, guessing what was meant."""
        quoted, hint = self.quote(node), ""
        if ast.unparse(node) in self.columns:
            raise SpecificationError(
                f"{quoted} in the formula is the name of a column: write it in backticks,"
                f" `{ast.unparse(node)}`."
            )
        if isinstance(node, ast.Name | ast.Attribute):
            known = (*FUNCTIONS, *self.functions, *(f"np.{name}" for name in NUMPY))
            near = difflib.get_close_matches(ast.unparse(node), known, 1, 0.65)
            hint = f" (did you mean {near[0]}?)" if near else ""
        raise SpecificationError(f"{quoted} is nothing that a formula may hold{hint}: {OFFER}.")


def _has_column(tree: ast.AST) -> bool:
    return any(isinstance(part, ast.Name) for part in ast.walk(tree))


def check_functions(
    functions: Mapping[str, Callable[..., Any]] | None, columns: Iterable[Any]
) -> dict[str, Callable[..., Any]]:
    """Check the user's own functions, by name.

    SpecificationError for a name that is taken or not an identifier, and for what is not a
    function.
    """
    if functions is None:
        return {}
    if not isinstance(functions, Mapping):
        raise SpecificationError(
            f"formula_functions is {kind_of(functions)}: give a dict, such as {{'half':"
            " lambda x: x / 2}."
        )
    taken = {*FUNCTIONS, "np", "contr", *map(str, columns)}
    for name, function in functions.items():
        if (
            not isinstance(name, str)
            or not name.isidentifier()
            or keyword.iskeyword(name)
            or name.startswith("_")
        ):
            raise SpecificationError(f"formula_functions: {name!r} is no name for a function.")
        if name in taken:
            raise SpecificationError(
                f"formula_functions: {name!r} is a function of formulas or a column already: choose"
                " another name."
            )
        if not callable(function):
            raise SpecificationError(
                f"formula_functions[{name!r}] is {kind_of(function)}: give a function."
            )
    return dict(functions)


def check_clashes(tree: ast.expr, columns: Iterable[Any], formula: str) -> None:
    """Refuse a call of a function that has the name of a column: either could be meant."""
    called = {
        part.func.id
        for part in ast.walk(tree)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)
    }
    called |= {
        part.value.id
        for part in ast.walk(tree)
        if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name)
    }
    both = sorted(called & set(columns))
    if both:
        np_too = f"write np.{both[0]}(...), or " if both[0] in NUMPY else ""
        raise DataError(
            f"{both[0]!r} is a column and a function of {quote_text(formula)}: {np_too}rename the"
            " column."
        )


def count_periods_before(tree: ast.AST) -> int:
    """Count the earlier periods that a factor needs, through lag and diff.

    >>> count_periods_before(parse_factor("lag(diff(x), 2)"))
    3
    """
    inner = max([0, *map(count_periods_before, ast.iter_child_nodes(tree))])
    match tree:
        case ast.Call(func=ast.Name(id="diff")):
            return inner + 1
        case ast.Call(func=ast.Name(id="lag"), args=[_, ast.Constant(value=int(k))]):
            return inner + k
        case ast.Call(
            func=ast.Name(id="lag"),
            keywords=[ast.keyword(arg="k", value=ast.Constant(value=int(k)))],
        ):
            return inner + k
        case ast.Call(func=ast.Name(id="lag")):
            return inner + 1
    return inner
