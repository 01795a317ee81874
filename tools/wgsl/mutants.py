"""Changes the tokens of shaders, and compares what the compiler and an adapter refuse.

A mutant has one to three tokens deleted, doubled, swapped, or replaced by another token of the same
text or by one that is often wrong.  Texts that name what the compiler does not support are left
out, as it refuses those by name.
"""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gpusim.wgsl import Module, ShaderError
from tools.wgsl.adapters import Adapter

_TOKEN = re.compile(r"\s+|[A-Za-z_]\w*|\d[\w.+]*|[-+*/%&|^<>=!]=|&&|\|\||->|<<|>>|.", re.DOTALL)
_OFTEN_WRONG = (
    *("0", "1", "-1", "1u", "1i", "1.5", "1h", "0x80000000", "i32", "u32", "f32", "bool"),
    *("vec2<f32>", "vec3<u32>", "var", "let", "const", "{", "}", "(", ")", ";", ",", "&", "*"),
    *("==", "<", "+", "-", "!", "~", "break", "continue", "return", "true", "x", ".x", ".y"),
)
_UNSUPPORTED = ("texture", "sampler", "subgroup", "override", "dpdx", "@fragment", "@vertex")
_NOT_SUPPORTED = "not supported"


@dataclass(frozen=True, kw_only=True, slots=True)
class Disagreement:
    """A text that one of the two refuses."""

    text: str
    compiler: str | None
    adapter: str | None


def mutants(texts: Sequence[str], count: int, seed: int) -> Iterator[str]:
    """``count`` texts with changed tokens."""
    chosen = random.Random(seed)
    usable = [text for text in texts if not any(word in text for word in _UNSUPPORTED)]
    for _ in range(count):
        yield _mutant(chosen.choice(usable), chosen)


def _mutant(text: str, chosen: random.Random) -> str:
    text = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    tokens = _TOKEN.findall(text)
    places = [at for at, token in enumerate(tokens) if not token.isspace()]
    for _ in range(chosen.choice((1, 1, 1, 2, 3))):
        at, other = chosen.choice(places), chosen.choice(places)
        tokens[at] = chosen.choice(
            (
                "",
                f"{tokens[at]} {tokens[at]}",
                tokens[other],
                chosen.choice(_OFTEN_WRONG),
            )
        )
    return "".join(tokens)


def compare(
    adapter: Adapter, texts: Sequence[str], count: int, seed: int
) -> Iterator[Disagreement]:
    """The mutants that only one of the two takes."""
    for text in mutants(texts, count, seed):
        ours = compiler_refusal(text)
        if ours is not None and _NOT_SUPPORTED in ours:
            continue
        theirs = adapter.refusal(text)
        if (ours is None) != (theirs is None):
            yield Disagreement(text=text, compiler=ours, adapter=theirs)


def compiler_refusal(text: str) -> str | None:
    """Why the compiler refuses a text; None where it takes it."""
    try:
        Module(text)
    except ShaderError as error:
        return str(error)
    return None
