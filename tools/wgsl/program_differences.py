"""Compares random shaders by bits, and knows what OpenGL computes otherwise.

A difference on OpenGL is known if some entries of KNOWN explain it: once the compiled shader
computes these operators as OpenGL does, it gives OpenGL's words.  So nothing is left out of the
comparison, and no tolerance hides another mistake.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from tools.wgsl.adapters import Adapter, Job, Slot, run_compiled
from tools.wgsl.programs import GROUPS, SIZE, WORDS, Writer

Outcome = dict[Slot, bytes] | str
"""What a shader writes, by binding; or why it did not run."""
_MOST = "0xffffffffu"
KNOWN = {
    "a u32 divided by zero": ("u32", "/", f"select(a / b, {_MOST}, b == 0u)"),
    "the remainder of a u32 by zero": ("u32", "%", f"select(a % b, {_MOST}, b == 0u)"),
    "an i32 divided by zero": ("i32", "/", "select(a / b, 0i, b == 0i)"),
    "the remainder of an i32": (
        "i32",
        "%",
        f"bitcast<i32>(select(bitcast<u32>(a) % bitcast<u32>(b), {_MOST}, b == 0i))",
    ),
}
"""What OpenGL is known to compute otherwise (docs/findings/wgsl.md): of which type and sign, and
what it gives.  For a divisor that Mesa knows to be zero when it compiles, it gives 0 instead.  So
the shaders for OpenGL hide their zeros from Mesa's compiler.
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A shader and the first word that differs, or what was refused."""

    text: str
    because: str


def compare(
    adapter: Adapter, count: int, seed: int, known: Counter[tuple[str, ...]]
) -> Iterator[Difference]:
    """Each of ``count`` shaders with which the compiler and the adapter compute different words.

    ``known`` counts the shaders that KNOWN explains on OpenGL, by the fewest of its entries that
    explain the shader.
    """
    for number in range(seed, seed + count):
        text = Writer(number, hides=adapter.name == "OpenGL").text()
        job = _job(text, number)
        theirs = _outcome(adapter.name, adapter.run, job)
        because = _difference(theirs, _outcome("compiled", run_compiled, job))
        if because and adapter.name == "OpenGL":
            causes = _explained(theirs, number)
            if causes:
                known[causes] += 1
                continue
        if because:
            yield Difference(text=text, because=because)


def _explained(theirs: Outcome, seed: int) -> tuple[str, ...]:
    """The fewest known causes that make the compiled shader give what the adapter gives."""
    for size in range(1, len(KNOWN) + 1):
        for causes in combinations(KNOWN, size):
            others = {KNOWN[cause][:2]: KNOWN[cause][2] for cause in causes}
            job = _job(Writer(seed, hides=True, others=others).text(), seed)
            if _difference(theirs, _outcome("compiled", run_compiled, job)) is None:
                return causes
    return ()


def _job(text: str, seed: int) -> Job:
    count = SIZE * GROUPS
    words = np.random.default_rng(seed).integers(0, 2**32, count, dtype=np.uint32)
    words[::3] %= 10
    inputs = {(0, 0): words.tobytes(), (0, 1): bytes(4 * WORDS * count)}
    if "(&sums" in text:
        inputs[0, 2] = bytes(32)
    if "(&own" in text:
        inputs[0, 3] = words[::-1].tobytes()
    if "zeros:" in text:
        inputs[0, 4] = bytes(16)
    return Job(text=text, groups=(GROUPS, 1, 1), inputs=inputs, read_only=((0, 0), (0, 4)))


def _outcome(name: str, run: Callable[[Job], dict[Slot, bytes]], job: Job) -> Outcome:
    """What a shader writes, or why it does not run."""
    try:
        return run(job)
    except Exception as error:
        return f"{name}: {type(error).__name__}: {error}"


def _difference(one: Outcome, other: Outcome) -> str | None:
    """The first word that differs, or what was refused."""
    for each in (one, other):
        if isinstance(each, str):
            return each
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    for slot, data in one.items():
        left, right = (np.frombuffer(each, np.uint32) for each in (data, other[slot]))
        wrong = np.flatnonzero(left != right)
        if wrong.size:
            at = wrong[0]
            return f"{slot} at {at}: {left[at]} and not {right[at]}, {wrong.size} words"
    return None
