"""The parser of expressions, and the reader of tokens that the parser of declarations shares.

Each method reads one rule of the grammar.  Operators bind as WGSL says, which is stricter than C.
The operands of ``&``, ``|``, ``^`` and shifts are unary expressions, so ``a & b + c`` needs
parentheses.  Comparisons do not chain, and ``&&`` and ``||`` do not mix.
Source: WGSL specification, section 8 "Expressions", 8.18 "Expression Grammar Summary".
"""

from typing import NoReturn

from gpusim.wgsl.syntax import (
    Binary,
    Call,
    Expression,
    Field,
    Index,
    Literal,
    Named,
    Place,
    ShaderError,
    Unary,
)
from gpusim.wgsl.tokens import KEYWORDS, RESERVED, Token

_RELATIONS = ("<", ">", "<=", ">=", "==", "!=")
_PLAIN = ("&", "|", "^")
_SHORT = ("&&", "||")
_DEEPEST = 120


class Reader:
    """Tokens with a position, and the rules of expressions."""

    def __init__(self, tokens: list[Token]) -> None:
        self._tokens = tokens
        self._at = 0
        self._depth = 0

    @property
    def token(self) -> Token:
        """The next token."""
        return self._tokens[self._at]

    @property
    def place(self) -> Place:
        """Where the next token stands."""
        return self._tokens[self._at].place

    def sees(self, *texts: str) -> bool:
        """Whether the next token is one of these signs or keywords."""
        token = self.token
        return token.text in texts and token.kind in ("sign", "word")

    def accept(self, text: str) -> bool:
        """Take the next token if it is this one."""
        if not self.sees(text):
            return False
        self._at += 1
        return True

    def take(self) -> Token:
        """Take the next token."""
        token = self.token
        self._at += 1
        return token

    def expect(self, text: str) -> Token:
        """Take the next token, which must be this one."""
        if not self.sees(text):
            self.expected(f"'{text}'")
        return self.take()

    def expected(self, what: str) -> NoReturn:
        """Raise, since ``what`` was expected here."""
        token = self.token
        found = token.text if token.kind == "end" else f"'{token.text}'"
        raise ShaderError(f"expected {what}, found {found}", token.place)

    def name(self, what: str) -> str:
        """Take a name."""
        token = self.token
        if token.kind != "word" or token.text in KEYWORDS or token.text == "_":
            self.expected(what)
        if token.text in RESERVED:
            raise ShaderError(f"the name {token.text!r} is reserved", token.place)
        return self.take().text

    def expression(self) -> Expression:
        """A whole expression."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ShaderError(f"the nesting is deeper than {_DEEPEST}", self.place)
        left = self._relational(self._unary())
        if self.sees(*_SHORT):
            sign = self.token.text
            while self.sees(*_SHORT):
                if not self.sees(sign):
                    self.expected("parentheses, since '&&' and '||' do not mix")
                place = self.take().place
                right = self._relational(self._unary())
                left = Binary(place=place, sign=sign, left=left, right=right)
        self._depth -= 1
        return left

    def _relational(self, first: Expression) -> Expression:
        if self.sees(*_PLAIN):
            return self._plain(first)
        left = self._shift(first)
        if not self.sees(*_RELATIONS):
            return left
        sign = self.take()
        right = self._shift(self._unary())
        return Binary(place=sign.place, sign=sign.text, left=left, right=right)

    def _plain(self, left: Expression) -> Expression:
        sign = self.token.text
        while self.sees(sign):
            place = self.take().place
            left = Binary(place=place, sign=sign, left=left, right=self._unary())
        return left

    def _shift(self, first: Expression) -> Expression:
        if self.sees("<<", ">>"):
            sign = self.take()
            return Binary(place=sign.place, sign=sign.text, left=first, right=self._unary())
        left = self._product(first)
        while self.sees("+", "-"):
            sign = self.take()
            right = self._product(self._unary())
            left = Binary(place=sign.place, sign=sign.text, left=left, right=right)
        return left

    def _product(self, left: Expression) -> Expression:
        while self.sees("*", "/", "%"):
            sign = self.take()
            left = Binary(place=sign.place, sign=sign.text, left=left, right=self._unary())
        return left

    def _unary(self) -> Expression:
        if not self.sees("-", "!", "~", "&", "*", "&&", "--"):
            return self.singular()
        if self.sees("&&", "--"):
            self.expected("an expression")
        sign = self.take()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ShaderError(f"the nesting is deeper than {_DEEPEST}", self.place)
        operand = self._unary()
        self._depth -= 1
        return Unary(place=sign.place, sign=sign.text, operand=operand)

    def singular(self) -> Expression:
        """A primary expression with its members and indices."""
        base = self._primary()
        while True:
            place = self.place
            if self.accept("["):
                base = Index(place=place, base=base, index=self.expression())
                self.expect("]")
            elif self.accept("."):
                base = Field(place=place, base=base, name=self.name("a member"))
            else:
                return base

    def _primary(self) -> Expression:
        token = self.token
        if self.accept("("):
            inner = self.expression()
            self.expect(")")
            return inner
        if token.kind in ("int", "float"):
            self.take()
            return _number(token)
        if self.sees("true", "false"):
            self.take()
            return Literal(place=token.place, kind="bool", text=token.text, suffix="")
        named = self.named("an expression")
        if self.sees("("):
            return Call(place=token.place, callee=named, arguments=self.arguments())
        return named

    def named(self, what: str) -> Named:
        """An identifier, perhaps with a template list."""
        place = self.place
        name = self.name(what)
        return Named(place=place, name=name, template=self.template())

    def template(self) -> tuple[Expression, ...] | None:
        """A template list, if one begins here."""
        if self.token.kind != "<":
            return None
        self.take()
        entries = [self.expression()]
        while self.accept(","):
            if self.token.kind == ">":
                break
            entries.append(self.expression())
        if self.token.kind != ">":
            self.expected("'>'")
        self.take()
        return tuple(entries)

    def arguments(self) -> tuple[Expression, ...]:
        """Arguments in parentheses."""
        self.expect("(")
        given: list[Expression] = []
        while not self.sees(")"):
            given.append(self.expression())
            if not self.accept(","):
                break
        self.expect(")")
        return tuple(given)


def _number(token: Token) -> Literal:
    text = token.text
    is_hex = text[:2] in ("0x", "0X")
    suffixes = "iu" if token.kind == "int" else "fh" if not is_hex or "p" in text.lower() else ""
    suffix = text[-1] if text[-1] in suffixes else ""
    number = text[: len(text) - len(suffix)]
    return Literal(place=token.place, kind=token.kind, text=number, suffix=suffix)
