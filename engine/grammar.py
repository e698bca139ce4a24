"""What a formula may say, checked before anything of it is expanded or evaluated.

A formula holds columns, numbers, the operators of formulas, contrasts, and calls of the functions listed here: no
attribute but `np.<listed>` and `contr.<listed>`, no subscript, no other name. What passes is bounded as well: a
formula's length, its brackets, its powers and the number of terms that it stands for.

Names in backticks are replaced by stand-ins at once, so that the text that is checked, expanded and evaluated holds
identifiers alone. Text literals hold no quote, backtick or backslash.
"""

import ast
import difflib
import keyword
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from spillover.kernels.errors import DataError, SpecificationError

LONGEST = 20_000  # characters
DEEPEST = 40  # brackets within brackets
TERMS = 5_000  # that the operators of a formula expand to, the same ones counted each time they come up
POWER = 64.0  # largest exponent by itself
FINEST = 50  # largest degree of a polynomial, and number of columns of a spline

BY_ROW = {  # functions of every row by itself
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
WITHIN = ("lag", "diff")  # functions of the periods of a unit
OPTIONS = {  # the others, and the names of what they take beside columns
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
NUMPY = (
    *("abs", "absolute", "fabs", "sign", "square", "sqrt", "cbrt", "power", "float_power", "reciprocal", "negative"),
    *("exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "logaddexp", "maximum", "minimum", "fmax", "fmin"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "arctan2", "hypot", "sinh", "cosh", "tanh", "arcsinh"),
    *("arccosh", "arctanh", "deg2rad", "rad2deg", "floor", "ceil", "trunc", "rint", "where", "clip", "round", "around"),
    *("add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "mod", "remainder", "heaviside"),
    *("isfinite", "isnan", "isinf", "logical_and", "logical_or", "logical_not", "logical_xor", "equal", "not_equal"),
    *("greater", "greater_equal", "less", "less_equal", "real"),
)
CONSTANTS = ("pi", "e")
CONTRASTS = ("treatment", "SAS", "sum", "helmert", "diff", "poly")
OFFER = (
    f"a formula holds columns (in backticks where their names are no identifiers), numbers, + - * / ** : ~ ( ), "
    f"and the functions {', '.join(FUNCTIONS)} and np.<a function of rows>; work anything else out as a column first"
)

_TOKEN = re.compile(
    r"(?P<blank>\s+)|`(?P<quoted>[^`]*)`|(?P<text>'[^'\"`\\\n]*'|\"[^'\"`\\\n]*\")"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))"
    r"|(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)|(?P<sign>\*\*|[<>=!]=|//|[-+*/:^~|&()<>=%,{}\[\]])"
)
_BARE, _INNER = "column{}_", "column{}_inside_"


class Token(NamedTuple):
    """A piece of a formula: its kind, as named in the pattern, and its text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Checked:
    """A formula's `text` with stand-ins for the names in backticks: `names`, what each of them stands for."""

    text: str
    names: Mapping[str, str]

    def label(self, text: str) -> str:
        """A piece of the checked text as the user wrote it: a name keeps its backticks inside of a call only."""
        for stand_in, name in self.names.items():
            text = text.replace(stand_in, f"`{name}`" if stand_in.endswith("inside_") else name)
        return text


def check(formula: Any) -> Checked:
    """The formula, its pieces known and its size bounded; what its calls hold is checked by `check_factor`.

    DataError for what is no text, for an unknown character, for brackets that do not close or lie too deep, and
    for more terms than are allowed.

    >>> check("y ~ x + log(`a b`)").text
    'y ~ x + log(column0_inside_)'
    """
    if not isinstance(formula, str):
        raise DataError(f"The formula is a {type(formula).__name__}: write it as text, such as 'y ~ x1 + x2'.")
    if len(formula) > LONGEST:
        raise DataError(f"The formula has {len(formula)} characters, and {LONGEST} are allowed.")
    pieces, names, depth = [], {}, 0
    for token in _tokens(formula):
        depth += (token.text in "([{") - (token.text in ")]}") if token.kind == "sign" else 0
        if not 0 <= depth <= DEEPEST:
            what = "more brackets close than open" if depth < 0 else f"more than {DEEPEST} brackets lie in one another"
            raise DataError(f"The formula {_short(formula)} cannot be read: {what}.")
        if token.kind == "quoted":
            stand_in = (_INNER if depth else _BARE).format(len(names))
            names[stand_in] = token.text
            token = Token("name", stand_in)
        pieces.append(token)
    sides = _sides([piece for piece in pieces if piece.kind != "blank"])
    for side in sides:
        _Counter(side, formula).all()
    return Checked("".join(" " if piece.kind == "blank" else piece.text for piece in pieces).strip(), names)


def _tokens(formula: str) -> Iterator[Token]:
    at = 0
    while at < len(formula):
        found = _TOKEN.match(formula, at)
        if found is None or found.lastgroup is None:
            rest = formula[at : at + 12]
            raise DataError(f"The formula {_short(formula)} cannot be read at {rest!r}, place {at + 1}: {OFFER}.")
        yield Token(found.lastgroup, found[found.lastgroup])
        at = found.end()


def _sides(pieces: list[Token]) -> list[list[Token]]:
    """The pieces between the signs ~ outside of brackets; inside them it is the "not" of truth values."""
    sides: list[list[Token]] = [[]]
    depth = 0
    for piece in pieces:
        depth += (piece.text in "([{") - (piece.text in ")]}") if piece.kind == "sign" else 0
        if piece == Token("sign", "~") and not depth:
            sides.append([])
        else:
            sides[-1].append(piece)
    return sides


class _Counter:
    """How many terms one side of a formula stands for, by its operators in the order in which they bind."""

    BINDING: Mapping[str, int] = {"|": 1, "+": 2, "-": 2, "*": 3, "/": 3, ":": 4, "**": 5, "^": 5}

    def __init__(self, pieces: list[Token], formula: str) -> None:
        self.pieces, self.formula, self.at = pieces, formula, 0

    def all(self) -> int:
        """The terms of the whole side; DataError for what cannot be read and for too many."""
        found = self.terms(0) if self.pieces else 0
        if self.at < len(self.pieces):
            self.refuse(f"at {self.pieces[self.at].text!r}")
        return found

    def terms(self, binding: int) -> int:
        """The terms of what comes next, up to an operator that binds no closer than `binding`."""
        count = self.operand()
        while self.at < len(self.pieces) and self.BINDING.get(self.sign(), 0) > binding:
            sign = self.sign()
            self.at += 1
            if sign in ("**", "^"):
                count **= self.power()
            else:
                other = self.terms(self.BINDING[sign])
                count = {":": count * other, "*": count + other + count * other}.get(sign, count + other)
            if count > TERMS:
                self.refuse(f"it stands for more than {TERMS} terms")
        return count

    def operand(self) -> int:
        """A group in brackets, or one column, number or call."""
        while self.sign() in ("+", "-"):
            self.at += 1
        if self.at == len(self.pieces):
            self.refuse("something is missing at its end")
        piece = self.pieces[self.at]
        self.at += 1
        if piece.kind == "text":
            self.refuse(f"{piece.text} is a text, and a formula is of columns")
        if piece.kind != "sign":
            if piece.kind == "name" and self.sign() == "(":
                self.skip()
            return 1
        if piece.text == "{":
            self.at -= 1
            self.skip()
            return 1
        if piece.text != "(":
            self.refuse(f"at {piece.text!r}")
        count = self.terms(0)
        if self.sign() != ")":
            self.refuse("a bracket does not close")
        self.at += 1
        return count

    def power(self) -> int:
        """The whole number after ** or ^, which no other power follows."""
        piece = self.pieces[self.at] if self.at < len(self.pieces) else Token("sign", "its end")
        if piece.kind != "number" or not piece.text.isdigit() or not 1 <= int(piece.text[:9]) <= FINEST:
            self.refuse(f"a power of terms is a whole number from 1 to {FINEST}, and not {piece.text[:20]!r}")
        self.at += 1
        if self.sign() in ("**", "^"):
            self.refuse("a power follows a power")
        return int(piece.text)

    def skip(self) -> None:
        """Go past a bracket and what it holds."""
        depth = 0
        while self.at < len(self.pieces):
            piece = self.pieces[self.at]
            depth += (piece.text in "([{") - (piece.text in ")]}") if piece.kind == "sign" else 0
            self.at += 1
            if not depth:
                return
        self.refuse("a bracket does not close")

    def sign(self) -> str:
        """The sign that comes next, "" where none does."""
        piece = self.pieces[self.at] if self.at < len(self.pieces) else Token("", "")
        return piece.text if piece.kind == "sign" else ""

    def refuse(self, what: str) -> None:
        raise DataError(f"The formula {_short(self.formula)} cannot be read: {what}.")


def tree_of(text: str) -> ast.expr:
    """The syntax tree of a factor. DataError for what has none."""
    try:
        return ast.parse(text.strip().removeprefix("{").removesuffix("}"), mode="eval").body
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise DataError(f"{_short(text)} in the formula cannot be read: {reason}.") from error


def check_factor(tree: ast.expr, checked: Checked, functions: Iterable[str], columns: Iterable[Any]) -> None:
    """SpecificationError for whatever a factor holds that is not listed; `functions`: the user's own beside them."""
    _Checker(checked, frozenset(functions), frozenset(map(str, columns))).value(tree)


@dataclass(frozen=True)
class _Checker:
    """Goes down a syntax tree and lets pass what is known; everything else is refused."""

    checked: Checked
    functions: frozenset[str]
    columns: frozenset[str]

    def value(self, node: ast.AST) -> None:
        """Something worked out from columns and numbers."""
        match node:
            case ast.Name(id=name) if not name.startswith("__"):
                return
            case ast.Constant(value=bool() | int() | float() as value):
                self.constant(value)
            case ast.UnaryOp(operand=inner, op=ast.UAdd() | ast.USub() | ast.Invert()):
                self.value(inner)
            case ast.BinOp(left=left, op=ast.Pow(), right=right):
                self.power(node, left, right)
            case ast.BinOp(left=left, op=op, right=right) if not isinstance(op, ast.MatMult | ast.LShift | ast.RShift):
                self.value(left)
                self.value(right)
            case ast.Compare(left=left, comparators=others, ops=ops) if not any(
                isinstance(op, ast.Is | ast.IsNot | ast.In | ast.NotIn) for op in ops
            ):
                for part in (left, *others):
                    self.value_or_text(part)
            case ast.Attribute(value=ast.Name(id="np"), attr=name) if name in CONSTANTS:
                return
            case ast.Call():
                self.call(node)
            case _:
                self.refuse(node)

    def value_or_text(self, node: ast.AST) -> None:
        """A value, or a text to compare with or to choose."""
        if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
            self.value(node)

    def constant(self, value: Any) -> None:
        if isinstance(value, int) and abs(value) > 2**53:
            raise SpecificationError(f"{str(value)[:20]}... in the formula is too large a number.")

    def power(self, node: ast.AST, left: ast.AST, right: ast.AST) -> None:
        """Of a column to whatever is worked out from columns, or to a small number; numbers are not raised to powers."""
        self.value(left)
        if not any(isinstance(part, ast.Name) for part in ast.walk(left)):
            self.refuse(node)
        sign = right.operand if isinstance(right, ast.UnaryOp) else right
        if isinstance(sign, ast.Constant):
            if isinstance(sign.value, str) or abs(sign.value) > POWER:
                raise SpecificationError(f"{self.shown(node)} in the formula: an exponent lies between -{POWER:g} and {POWER:g}.")
        elif not any(isinstance(part, ast.Name) for part in ast.walk(right)):
            self.refuse(node)
        self.value(right)

    def call(self, node: ast.Call) -> None:
        """A call of a listed function, or of one of the user's own."""
        match node.func:
            case ast.Name(id=name) if name in OPTIONS or name in BY_ROW or name in self.functions:
                options: tuple[str, ...] = OPTIONS.get(name, ())
            case ast.Attribute(value=ast.Name(id="np"), attr=attribute) if attribute in NUMPY:
                name, options = "np", ("decimals", "a_min", "a_max") if attribute in ("clip", "round", "around") else ()
            case _:
                self.refuse(node.func)
        if not node.args or any(isinstance(part, ast.Starred) for part in node.args):
            self.refuse(node)
        for word in node.keywords:
            if word.arg not in options and name not in self.functions:
                raise SpecificationError(
                    f"{self.shown(node)} in the formula: {word.arg or '**'} is nothing that it takes"
                    + (f"; it takes {', '.join(options)}." if options else ".")
                )
        own = len(node.args) if name in ("np", *BY_ROW, *self.functions) else 1
        for part in node.args[:own]:
            self.value_or_text(part) if name == "np" else self.value(part)
        for part in (*node.args[own:], *(word.value for word in node.keywords)):
            self.setting(part, name)

    def setting(self, node: ast.AST, name: str) -> None:
        """What a function takes beside columns: a number, a truth value, a text, a list of them, a contrast."""
        match node:
            case ast.UnaryOp(op=ast.USub(), operand=ast.Constant(value=int() | float())):
                return
            case ast.Constant(value=bool() | str() | None):
                return
            case ast.Constant(value=int() | float() as value):
                if name in ("bs", "cc", "cr", "cs", "poly") and isinstance(value, int) and value > FINEST:
                    raise SpecificationError(f"{value} in {name}(...) of the formula: {FINEST} is the most that is allowed.")
                self.constant(value)
            case ast.List(elts=parts) | ast.Tuple(elts=parts):
                for part in parts:
                    self.setting(part, name)
            case ast.Attribute(value=ast.Name(id="contr"), attr=kind) if name == "C" and kind in CONTRASTS:
                return
            case ast.Call(func=ast.Attribute(value=ast.Name(id="contr"), attr=kind), args=parts, keywords=words) if (
                name == "C" and kind in CONTRASTS
            ):
                for part in (*parts, *(word.value for word in words)):
                    self.setting(part, "")
            case _:
                self.refuse(node)

    def shown(self, node: ast.AST) -> str:
        return _short(self.checked.label(ast.unparse(node)))

    def refuse(self, node: ast.AST) -> None:
        shown, hint = self.shown(node), ""
        if ast.unparse(node) in self.columns:
            raise SpecificationError(f"{shown} in the formula is the name of a column: write it in backticks, `{ast.unparse(node)}`.")
        if isinstance(node, ast.Name | ast.Attribute):
            known = (*FUNCTIONS, *self.functions, *(f"np.{name}" for name in NUMPY))
            near = difflib.get_close_matches(ast.unparse(node), known, 1, 0.65)
            hint = f" (did you mean {near[0]}?)" if near else ""
        raise SpecificationError(f"{shown} is nothing that a formula may hold{hint}: {OFFER}.")


def check_functions(functions: Mapping[str, Callable] | None, columns: Iterable[Any]) -> dict[str, Callable]:
    """The user's own functions by name. SpecificationError for a name that is taken or none, and for what is no function."""
    if functions is None:
        return {}
    if not isinstance(functions, Mapping):
        raise SpecificationError(f"formula_functions is a {type(functions).__name__}: give a dict, such as {{'half': lambda x: x / 2}}.")
    taken = {*FUNCTIONS, "np", "contr", *map(str, columns)}
    for name, function in functions.items():
        if not isinstance(name, str) or not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
            raise SpecificationError(f"formula_functions: {name!r} is no name for a function.")
        if name in taken:
            raise SpecificationError(f"formula_functions: {name!r} is a function of formulas or a column already: choose another name.")
        if not callable(function):
            raise SpecificationError(f"formula_functions[{name!r}] is a {type(function).__name__}: give a function.")
    return dict(functions)


def check_clashes(tree: ast.expr, columns: Iterable[Any], formula: str) -> None:
    """DataError for a call of a function whose name is a column's as well: which of the two is meant is not plain."""
    called = {part.func.id for part in ast.walk(tree) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)}
    called |= {part.value.id for part in ast.walk(tree) if isinstance(part, ast.Attribute) and isinstance(part.value, ast.Name)}
    both = sorted(called & set(columns))
    if both:
        np_too = f"write np.{both[0]}(...), or " if both[0] in NUMPY else ""
        raise DataError(f"{both[0]!r} is a column and a function of {_short(formula)}: {np_too}rename the column.")


def periods_before(tree: ast.AST) -> int:
    """How many periods before its own a factor reads, by lag and diff."""
    inner = max([0, *map(periods_before, ast.iter_child_nodes(tree))])
    match tree:
        case ast.Call(func=ast.Name(id="diff")):
            return inner + 1
        case ast.Call(func=ast.Name(id="lag"), args=[_, ast.Constant(value=int(k))]):
            return inner + k
        case ast.Call(func=ast.Name(id="lag"), keywords=[ast.keyword(arg="k", value=ast.Constant(value=int(k)))]):
            return inner + k
        case ast.Call(func=ast.Name(id="lag")):
            return inner + 1
    return inner


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
