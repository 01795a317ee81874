"""Changes the tokens of shaders, and compares what the compiler and an adapter refuse.

A mutant has one token or two changed.  Mostly a token of the same kind, from the same text or from
a list, takes the place of the old one, so that many mutants are still valid.  Sometimes the old
token is deleted, doubled or replaced by any other.  Only texts that both take are changed.  Texts
that name what the compiler does not support are left out, because it refuses them for that name.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpusim.wgsl import Module, ShaderError
from tools.wgsl.adapters import Adapter

_TOKEN = re.compile(r"\s+|[A-Za-z_]\w*|\d[\w.+]*|[-+*/%&|^<>=!]=|&&|\|\||->|<<|>>|.", re.DOTALL)
_KINDS = {
    "word": (
        *("i32", "u32", "f32", "bool", "vec2", "vec3", "vec4", "mat2x2", "array", "atomic", "ptr"),
        *("var", "let", "const", "true", "false", "break", "continue", "return", "if", "while"),
        *("x", "y", "xy", "rgb", "storage", "workgroup", "private", "function", "read", "uniform"),
        *("read_write", "abs", "min", "select", "dot", "length", "bitcast", "all", "atomicAdd"),
    ),
    "number": ("0", "1", "3", "4", "5", "1u", "2i", "33u", "1.5", "0x80000000", "1e40", "2f", "1h"),
    "sign": ("+", "-", "*", "/", "%", "&", "|", "^", "<<", ">>", "==", "<", ">=", "&&", "||", "!"),
    "assignment": ("=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "++", "--"),
    "other": ("(", ")", "{", "}", "[", "]", ";", ",", ":", ".", "@"),
}
_UNSUPPORTED = ("texture", "sampler", "subgroup", "override", "dpdx", "@fragment", "@vertex")
_NOT_SUPPORTED, _CRASH = "not supported", "CRASH"


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """A text that one of the two refuses."""

    text: str
    compiler: str | None
    adapter: str | None


def mutants(texts: Sequence[str], count: int, seed: int) -> Iterator[str]:
    """``count`` texts with changed tokens."""
    chosen = random.Random(seed)
    for _ in range(count):
        yield _mutant(chosen.choice(texts), chosen)


def _mutant(text: str, chosen: random.Random) -> str:
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    tokens = _TOKEN.findall(text)
    kinds: dict[str, list[int]] = {}
    for at, token in enumerate(tokens):
        if not token.isspace():
            kinds.setdefault(_kind(token), []).append(at)
    for _ in range(chosen.choice((1, 1, 1, 2))):
        kind = chosen.choice(
            [
                name
                for name in ("word", "word", "number", "sign", "assignment", "other")
                if name in kinds
            ]
        )
        at = chosen.choice(kinds[kind])
        if kind == "other" or chosen.random() < 0.1:
            other = tokens[chosen.choice(kinds[chosen.choice(list(kinds))])]
            tokens[at] = chosen.choice(("", f"{tokens[at]} {tokens[at]}", other))
        elif chosen.random() < 0.5:
            tokens[at] = chosen.choice(_KINDS[kind])
        else:
            tokens[at] = tokens[chosen.choice(kinds[kind])]
    return "".join(tokens)


def _kind(token: str) -> str:
    if token[0].isalpha() or token[0] == "_":
        return "word"
    if token[0].isdigit():
        return "number"
    return next((kind for kind in ("sign", "assignment") if token in _KINDS[kind]), "other")


def compare(
    adapter: Adapter, texts: Sequence[str], count: int, seed: int
) -> Iterator[Disagreement]:
    """The mutants that only one of the two takes, and the texts that crash the compiler."""
    usable = []
    for text in texts:
        if any(word in text for word in _UNSUPPORTED) or adapter.refusal(text) is not None:
            continue
        ours = compiler_refusal(text)
        if ours is None:
            usable.append(text)
        elif ours.startswith(_CRASH):
            yield Disagreement(text=text, compiler=ours, adapter=None)
    for text in mutants(usable, count, seed):
        ours = compiler_refusal(text)
        if ours is not None and _NOT_SUPPORTED in ours:
            continue
        theirs = adapter.refusal(text)
        crashed = ours is not None and ours.startswith(_CRASH)
        if crashed or (ours is None) != (theirs is None):
            yield Disagreement(text=text, compiler=ours, adapter=theirs)


def compiler_refusal(text: str) -> str | None:
    """Why the compiler refuses a text; None if it takes it."""
    try:
        Module(text)
    except ShaderError as error:
        return str(error)
    except Exception as error:
        return f"{_CRASH} {error!r}"
    return None
