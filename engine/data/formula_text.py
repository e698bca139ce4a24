"""The text of a formula, before anything else reads it: its pieces, its names and its size.

A name in backticks is replaced at once by a plain identifier, its stand-in, so that what is
checked, expanded and evaluated later holds identifiers only.
"""

import keyword
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn

from spillover.kernels.arguments import kind_of
from spillover.kernels.errors import DataError

LONGEST = 20_000  # characters of a formula, at most
DEEPEST = 40  # levels of nested brackets, at most
TERMS = 5_000  # terms to which the operators of a formula may expand, repeats counted
SPANS = 20_000  # sets of factors, 2^k for each term of k, that coding the categories may go through
FINEST = 50  # largest power of terms, degree of a polynomial, and number of columns of a spline

_TOKEN = re.compile(
    r"(?P<blank>\s+)|`(?P<quoted>[^`]*)`|(?P<text>'[^'\"`\\\n]*'|\"[^'\"`\\\n]*\")"
    r"|(?P<number>(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?(?!\w))"
    r"|(?P<name>[^\W\d]\w*(?:\.[^\W\d]\w*)*)|(?P<sign>\*\*|[<>=!]=|//|[-+*/:^~|&()<>=%,{}\[\]])"
)
WORDS = ("quoted", "name", "number", "text")  # kinds that never stand side by side


class Token(NamedTuple):
    """A piece of a formula: its kind, as named in the pattern, and its text."""

    kind: str
    text: str


@dataclass(frozen=True)
class Checked:
    """A formula with stand-ins for the names that are not plain identifiers.

    `text`: the formula with its stand-ins; `names`: the column that each stand-in stands for;
    `calls`: its calls and what stands in braces, the only parts that are ever evaluated.
    """

    text: str
    names: Mapping[str, str]
    calls: tuple[str, ...] = ()

    def column(self, name: str) -> str:
        """The column that a name in the checked text stands for."""
        return self.names.get(name, name)

    def label(self, text: str) -> str:
        """Turn checked text back into what the user wrote; names keep backticks only in calls."""
        # the longest first: one stand-in may be the beginning of another
        for stand_in, name in sorted(self.names.items(), key=lambda pair: -len(pair[0])):
            text = text.replace(stand_in, f"`{name}`" if stand_in.endswith("inside_") else name)
        return text


def read_text(formula: Any, offer: str) -> Checked:
    """Read a formula, replace names in it by stand-ins, and check its size.

    `offer`: what a formula may hold, for errors. DataError for what is not text, for an unknown
    character, for brackets that do not close or are nested too deep, and for too many terms.

    >>> read_text("y ~ x + log(`a b`)", "").text
    'y ~ x + log(column0_inside_)'
    """
    if not isinstance(formula, str):
        raise DataError(
            f"The formula is {kind_of(formula)}: write it as text, such as 'y ~ x1 + x2'."
        )
    if len(formula) > LONGEST:
        raise DataError(f"The formula has {len(formula)} characters, and {LONGEST} are allowed.")
    pieces, names = _replace_names(list(_tokenize(formula, offer)), formula)
    calls: list[str] = []
    for side in _split_sides([piece for piece in pieces if piece.kind != "blank"]):
        counter = _Counter(side, formula)
        counter.count_all()
        calls += counter.calls
    return Checked(
        "".join(" " if piece.kind == "blank" else piece.text for piece in pieces).strip(),
        names,
        tuple(calls),
    )


def is_plain(name: str) -> bool:
    """Whether a column's name is an identifier that Python's parser leaves as it is."""
    return (
        name.isidentifier()
        and not keyword.iskeyword(name)
        and not name.startswith("__")
        and unicodedata.normalize("NFKC", name) == name
    )


def _replace_names(tokens: list[Token], formula: str) -> tuple[list[Token], dict[str, str]]:
    """Replace the names of columns that are not plain identifiers by stand-ins.

    Returns the pieces, and the column of each stand-in. A column has one stand-in inside calls and
    another outside, since labels keep the backticks inside only.
    """
    stem = _choose_stem(formula)
    numbers: dict[str, int] = {}  # of the columns, in order of appearance
    names: dict[str, str] = {}
    brackets: list[bool] = []  # for each open bracket, whether it is in a call
    pieces, before = [], Token("", "")
    for token, after in zip(tokens, [*tokens, Token("", "")][1:], strict=True):
        if token.kind == "sign" and token.text in "([{":
            brackets.append(token.text == "{" or before.kind == "name" or any(brackets[-1:]))
        elif token.kind == "sign" and token.text in ")]}":
            _refuse(not brackets, formula, "more brackets close than open")
            brackets.pop()
        _refuse(
            len(brackets) > DEEPEST, formula, f"more than {DEEPEST} brackets lie in one another"
        )
        if token.kind == "quoted":
            _check_quoted(token.text, before, after, formula)
        inside, piece = bool(brackets and brackets[-1]), token
        if token.kind == "quoted" or (
            token.kind == "name"
            and after.text != "("
            and not (inside and ("." in token.text or _is_word(token)))
        ):
            piece = Token("name", token.text)
            if not is_plain(token.text):
                number = numbers.setdefault(token.text, len(numbers))
                piece = Token("name", f"{stem}{number}_inside_" if inside else f"{stem}{number}_")
                names[piece.text] = token.text
        pieces.append(piece)
        before = token
    return pieces, names


def _choose_stem(formula: str) -> str:
    """Choose how all stand-ins begin: with a text that the formula does not hold."""
    if "column" not in formula:
        return "column"
    return "column" + "_" * (max(map(len, re.findall("_+", formula)), default=0) + 1)


def _check_quoted(name: str, before: Token, after: Token, formula: str) -> None:
    """Refuse a name in backticks that stands between the wrong pieces."""
    _refuse(not name, formula, "a name in backticks is empty")
    _refuse(after.text == "(", formula, f"`{name}` is a column, and no function")
    missing = before.kind in WORDS or after.kind in WORDS
    _refuse(missing, formula, f"an operator beside `{name}` is missing")


def _is_word(token: Token) -> bool:
    """Whether a name is a Python keyword or dunder, which is left as it is, to be refused later."""
    plain = unicodedata.normalize("NFKC", token.text)
    return keyword.iskeyword(plain) or plain.startswith("__")


def _refuse(wrong: bool, formula: str, what: str) -> None:
    """Raise DataError that says `what` is wrong with the formula, if it is `wrong`."""
    if wrong:
        raise DataError(f"The formula {quote_text(formula)} cannot be read: {what}.")


def _tokenize(formula: str, offer: str) -> Iterator[Token]:
    """Yield the pieces of a formula from left to right; DataError at an unknown character."""
    at = 0
    while at < len(formula):
        match = _TOKEN.match(formula, at)
        if match is None or match.lastgroup is None:
            rest = formula[at : at + 12]
            raise DataError(
                f"The formula {quote_text(formula)} cannot be read at {rest!r}, place {at + 1}:"
                f" {offer}."
            )
        yield Token(match.lastgroup, match[match.lastgroup])
        at = match.end()


def _split_sides(pieces: list[Token]) -> list[list[Token]]:
    """Split the pieces at the sign ~, except within brackets, where it says "not"."""
    sides: list[list[Token]] = [[]]
    depth = 0
    for piece in pieces:
        depth += (piece.text in "([{") - (piece.text in ")]}") if piece.kind == "sign" else 0
        if piece == Token("sign", "~") and not depth:
            sides.append([])
        else:
            sides[-1].append(piece)
    return sides


class _Size(NamedTuple):
    """The size of a part of a formula.

    `terms`: how many terms it expands to; `spans`: the sum of 2^k over terms of k factors; `width`:
    the sum of these k.
    """

    terms: int
    spans: int
    width: int


_ONE = _Size(1, 2, 1)


def _multiply(a: _Size, b: _Size) -> _Size:
    return _Size(a.terms * b.terms, a.spans * b.spans, a.width * b.terms + a.terms * b.width)


def _add(a: _Size, b: _Size) -> _Size:
    return _Size(a.terms + b.terms, a.spans + b.spans, a.width + b.width)


def _nest(a: _Size, b: _Size) -> _Size:
    """a / b: the terms of a, and each term of b with all the factors of a."""
    return _Size(
        a.terms + b.terms,
        a.spans + 2 ** min(a.width, 64) * b.spans,
        a.width + b.terms * a.width + b.width,
    )


def _raise_to(a: _Size, n: int) -> _Size:
    """a ** n: products of up to n terms of a, no more than 2^terms of which differ."""
    most = 3 ** min(a.width, 64)
    return _Size(a.terms**n, min(a.spans**n, most), n * a.terms ** (n - 1) * a.width)


class _Counter:
    """Counts the terms of one side of a formula, without expanding it.

    It goes through the pieces once, by the precedence of the operators.
    """

    BINDING: Mapping[str, int] = {"|": 1, "+": 2, "-": 2, "*": 3, "/": 3, ":": 4, "**": 5, "^": 5}
    JOIN: Mapping[str, Callable[[_Size, _Size], _Size]] = {
        ":": _multiply,
        "/": _nest,
        "*": lambda a, b: _add(_add(a, b), _multiply(a, b)),
    }

    def __init__(self, pieces: list[Token], formula: str) -> None:
        self.pieces, self.formula, self.at = pieces, formula, 0
        self.calls: list[str] = []

    def count_all(self) -> None:
        """Go through the whole side; DataError for what cannot be read and for too many terms."""
        if self.pieces:
            self.count_terms(0)
        if self.at < len(self.pieces):
            self.refuse(f"at {self.pieces[self.at].text!r}")

    def count_terms(self, binding: int) -> _Size:
        """Count what comes next, up to an operator that binds no closer than `binding`."""
        count = self.count_operand()
        while self.at < len(self.pieces) and self.BINDING.get(self.next_sign(), 0) > binding:
            sign = self.next_sign()
            self.at += 1
            if sign in ("**", "^"):
                count = _raise_to(count, self.read_power())
            else:
                other = self.count_terms(self.BINDING[sign])
                count = self.JOIN.get(sign, _add)(count, other)
            if count.terms > TERMS or count.spans > SPANS:
                self.refuse(
                    f"it stands for more than {TERMS} terms, or for products of too many factors"
                )
        return count

    def count_operand(self) -> _Size:
        """Count a group in brackets, or one column, number or call."""
        while self.next_sign() in ("+", "-"):
            self.at += 1
        if self.at == len(self.pieces):
            self.refuse("something is missing at its end")
        piece = self.pieces[self.at]
        self.at += 1
        if piece.kind == "text":
            self.refuse(f"{piece.text!r} is a text, and a formula is of columns")
        if piece.kind != "sign":
            if piece.kind == "name" and self.next_sign() == "(":
                self.keep_call(self.at - 1)
            return _ONE
        if piece.text == "{":
            self.at -= 1
            self.keep_call(self.at)
            return _ONE
        if piece.text != "(":
            self.refuse(f"at {piece.text!r}")
        count = self.count_terms(0)
        if self.next_sign() != ")":
            self.refuse("a bracket does not close")
        self.at += 1
        return count

    def read_power(self) -> int:
        """Read the whole number after ** or ^, which no other power may follow."""
        piece = self.pieces[self.at] if self.at < len(self.pieces) else Token("sign", "its end")
        if (
            piece.kind != "number"
            or not piece.text.isdigit()
            or not 1 <= int(piece.text[:9]) <= FINEST
        ):
            self.refuse(
                f"a power of terms is a whole number from 1 to {FINEST}, and not"
                f" {piece.text[:20]!r}"
            )
        self.at += 1
        if self.next_sign() in ("**", "^"):
            self.refuse("a power follows a power")
        return int(piece.text)

    def keep_call(self, start: int) -> None:
        """Skip the next bracket, and keep the text from the piece `start` to its end."""
        self.skip_bracket()
        self.calls.append(" ".join(piece.text for piece in self.pieces[start : self.at]))

    def skip_bracket(self) -> None:
        """Skip a bracket and what it holds."""
        depth = 0
        while self.at < len(self.pieces):
            piece = self.pieces[self.at]
            depth += (piece.text in "([{") - (piece.text in ")]}") if piece.kind == "sign" else 0
            self.at += 1
            if not depth:
                return
        self.refuse("a bracket does not close")

    def next_sign(self) -> str:
        """The next piece if it is a sign, else an empty text."""
        piece = self.pieces[self.at] if self.at < len(self.pieces) else Token("", "")
        return piece.text if piece.kind == "sign" else ""

    def refuse(self, what: str) -> NoReturn:
        """Raise DataError for the formula."""
        raise DataError(f"The formula {quote_text(self.formula)} cannot be read: {what}.")


def strip_message(error: Exception) -> str:
    """Put another library's error message on one line, without codes for colours."""
    return " ".join(re.sub("\x1b\\[[0-9;]*m", "", str(error)).split())


def quote_text(text: str) -> str:
    """Quote a text for an error message, cut off where it is long."""
    return repr(text if len(text) <= 80 else f"{text[:77]}...")
