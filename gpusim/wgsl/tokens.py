"""Turns text into tokens, and finds which ``<`` and ``>`` are brackets of template lists.

A ``>`` is always a token of its own at first, since the ``>>`` of ``a<b<c>>`` may end two lists.
Once the lists are found, each ``>`` that ends none is joined with a ``>`` or ``=`` that directly
follows.
Nothing here knows the grammar.  Source: WGSL specification, section 3 "Textual Structure",
"Template Lists", and 18 "Keyword and Token Summary".
"""

import re
from dataclasses import dataclass, replace
from itertools import pairwise

from gpusim.wgsl.syntax import Place, ShaderError

_KEYWORDS = """
alias break case const const_assert continue continuing default diagnostic discard else enable
false fn for if let loop override requires return struct switch true var while
"""
_RESERVED = """
abstract active alignas alignof as asm asm_fragment async attribute auto await become cast catch
class co_await co_return co_yield coherent column_major common compile compile_fragment concept
const_cast consteval constexpr constinit crate debugger decltype delete demote demote_to_helper
do dynamic_cast enum explicit export extends extern external fallthrough filter final finally
friend from fxgroup get goto groupshared highp impl implements import inline instanceof
interface layout lowp macro macro_rules match mediump meta mod module move mut mutable namespace
new nil noexcept noinline nointerpolation non_coherent noncoherent noperspective NULL null
nullptr of operator package packoffset pass passthrough patch pixelfragment precise precision
premerge priv protected pub public readonly ref regardless register reinterpret_cast require
resource restrict Self self set shared sizeof smooth snorm static static_assert static_cast std
subroutine super target template this thread_local throw trait try type typedef typeid typename
typeof union unless unorm unsafe unsized use using varying virtual volatile wgsl where with
writeonly yield
"""
KEYWORDS = frozenset(_KEYWORDS.split())
RESERVED = frozenset(_RESERVED.split())
"""The words that WGSL keeps for later."""

_BLANKS = "[ \\t\\n\\v\\f\\r\\u0085\\u200e\\u200f\\u2028\\u2029]"
_LINE_END = re.compile("\r\n|[\n\v\f\r\u0085\u2028\u2029]")
_PATTERN = re.compile(
    rf"(?P<blank>{_BLANKS}+)"
    r"|(?P<line>//[^\n\v\f\r\u0085\u2028\u2029]*)"
    r"|(?P<block>/\*)"
    r"|(?P<float>0[xX](?:[0-9a-fA-F]*\.[0-9a-fA-F]+|[0-9a-fA-F]+\.[0-9a-fA-F]*)"
    r"(?:[pP][+-]?[0-9]+[fh]?)?"
    r"|0[xX][0-9a-fA-F]+[pP][+-]?[0-9]+[fh]?"
    r"|[0-9]*\.[0-9]+(?:[eE][+-]?[0-9]+)?[fh]?"
    r"|[0-9]+\.[0-9]*(?:[eE][+-]?[0-9]+)?[fh]?"
    r"|[0-9]+[eE][+-]?[0-9]+[fh]?"
    r"|(?:0|[1-9][0-9]*)[fh])"
    r"|(?P<int>0[xX][0-9a-fA-F]+[iu]?|(?:0|[1-9][0-9]*)[iu]?)"
    r"|(?P<word>[^\W\d]\w*)"
    r"|(?P<sign><<=|<<|<=|==|!=|&&|\|\||\+\+|--|->|\+=|-=|\*=|/=|%=|&=|\|=|\^="
    r"|[-+*/%&|^~!<>=()\[\]{};:,.@])"
)
_JOINED = {(">", ">"): ">>", (">", "="): ">=", (">>", "="): ">>="}
_CLOSING = {")": "(", "]": "["}


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """One token: its kind (``word``, ``int``, ``float``, ``sign``, ``<``, ``>`` or ``end``).

    Only the brackets of template lists have the kinds ``<`` and ``>``; any other ``<`` is a sign.
    """

    kind: str
    text: str
    place: Place
    start: int
    stop: int


def tokens_of(text: str) -> list[Token]:
    """The tokens of a shader, with an ``end`` behind the last.

    Raises:
        ShaderError: a character that begins no token, a comment without an end, a number that runs
            into a word or another number, or a name that begins with two underscores.
    """
    if "\0" in text:
        raise ShaderError("WGSL has no null character", Place(line=1, column=1))
    plain = _split(text)
    closed = _template_lists(plain)
    return _join(plain, closed)


def _split(text: str) -> list[Token]:
    tokens: list[Token] = []
    at, line, line_start = 0, 1, 0
    length = len(text)
    while at < length:
        found = _PATTERN.match(text, at)
        place = Place(line=line, column=at - line_start + 1)
        if found is None:
            raise ShaderError(f"the character {text[at]!r} begins no token", place)
        kind, stop = str(found.lastgroup), found.end()
        if kind == "block":
            stop = _comment_end(text, at, place)
        if kind in ("blank", "block"):
            for end in _LINE_END.finditer(text, at, stop):
                line, line_start = line + 1, end.end()
        elif kind != "line":
            tokens.append(Token(kind=kind, text=text[at:stop], place=place, start=at, stop=stop))
        at = stop
    place = Place(line=line, column=at - line_start + 1)
    tokens.append(Token(kind="end", text="the end of the text", place=place, start=at, stop=at))
    _check(tokens)
    return tokens


def _comment_end(text: str, at: int, place: Place) -> int:
    depth, position = 0, at
    while True:
        opened, closed = text.find("/*", position), text.find("*/", position)
        if closed < 0:
            raise ShaderError("the comment has no end", place)
        if 0 <= opened < closed:
            depth, position = depth + 1, opened + 2
        else:
            depth, position = depth - 1, closed + 2
            if not depth:
                return position


def _check(tokens: list[Token]) -> None:
    for token, after in pairwise(tokens):
        glued = token.stop == after.start and after.kind in ("word", "int", "float")
        if token.kind in ("int", "float") and glued:
            text = token.text + after.text
            raise ShaderError(f"{text!r} is no number", token.place)
        if token.kind == "word" and token.text.startswith("__"):
            raise ShaderError(f"the name {token.text!r} begins with two underscores", token.place)


def _template_lists(tokens: list[Token]) -> dict[int, int]:
    """Maps the position of each ``<`` that begins a template list to that of the ``>`` at its end.

    Positions are indices in ``tokens``.
    """
    lists: dict[int, int] = {}
    pending: list[tuple[int, int]] = []
    depth = 0
    for at, token in enumerate(tokens):
        text = token.text
        if token.kind != "sign":
            continue
        if text == "<" and at and tokens[at - 1].kind == "word":
            pending.append((at, depth))
        elif text == ">":
            if pending and pending[-1][1] == depth:
                lists[pending.pop()[0]] = at
        elif text in ("(", "["):
            depth += 1
        elif text in _CLOSING:
            while pending and pending[-1][1] >= depth:
                pending.pop()
            depth = max(0, depth - 1)
        elif text in (";", "{", ":", "=") or (text.endswith("=") and text not in _EQUALITIES):
            pending.clear()
            depth = 0
        elif text in ("&&", "||"):
            while pending and pending[-1][1] >= depth:
                pending.pop()
    return lists


_EQUALITIES = ("==", "!=", "<=")


def _join(tokens: list[Token], lists: dict[int, int]) -> list[Token]:
    ends = {*lists.values()}
    joined: list[Token] = []
    open_sign = False
    for at, token in enumerate(tokens):
        if at in lists or at in ends:
            kind = "<" if at in lists else ">"
            joined.append(replace(token, kind=kind))
            open_sign = False
            continue
        last = joined[-1] if joined else None
        if last and open_sign and last.stop == token.start and token.kind == "sign":
            whole = _JOINED.get((last.text, token.text))
            if whole:
                joined[-1] = replace(last, text=whole, stop=token.stop)
                continue
        joined.append(token)
        open_sign = token.kind == "sign" and token.text == ">"
    return joined
