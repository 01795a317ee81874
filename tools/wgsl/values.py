"""Compares each form of the table on an adapter with what the compiler makes of it.

Many forms share one shader: form by form, a lane loads its operands from words and stores the words
of the result.  Lanes with infinities or NaN are not compared, as WGSL leaves those open.
"""

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tools.wgsl.adapters import Job, Runner, run_compiled
from tools.wgsl.forms import Form, lanes, shown_type, uses_f16
from tools.wgsl.intervals import Floats, Span

LANES = 1024
_TOGETHER = 24
_READ = {
    "u32": "{0}",
    "i32": "bitcast<i32>({0})",
    "f32": "bitcast<f32>({0})",
    "bool": "({0} != 0u)",
    "f16": "f16(bitcast<f32>({0}))",
}
_WORD = {
    "u32": "{0}",
    "i32": "bitcast<u32>({0})",
    "f32": "bitcast<u32>({0})",
    "bool": "select(0u, 1u, {0})",
    "f16": "bitcast<u32>(f32({0}))",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Difference:
    """A form that two runners compute differently, or one that is outside of what WGSL allows."""

    form: Form
    who: str
    lanes: int
    example: str


def shader(batch: Sequence[Form]) -> str:
    """The text that computes some forms."""
    lines = ["enable f16;"] if any(uses_f16(form) for form in batch) else []
    lines += [
        "@group(0) @binding(0) var<storage, read> x: array<u32>;",
        "@group(0) @binding(1) var<storage, read_write> y: array<u32>;",
        "@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {",
        "  let i = id.x;",
    ]
    given = made = 0
    for form in batch:
        lines.append("  {")
        for name, kind in zip("abcd", form.operands, strict=False):
            words = [f"x[{given + at * LANES}u + i]" for at in range(kind[1])]
            given += kind[1] * LANES
            parts = ", ".join(_READ[kind[0]].format(word) for word in words)
            lines.append(f"    let {name} = {shown_type(kind)}({parts});")
        lines.append(f"    let r = {form.text};")
        for at in range(form.result[1]):
            part = "r" if form.result[1] == 1 else f"r[{at}]"
            lines.append(f"    y[{made}u + i] = {_WORD[form.result[0]].format(part)};")
            made += LANES
        lines.append("  }")
    return "\n".join([*lines, "}"])


def words_of(values: Any) -> Any:
    """The words that hold some values."""
    if values.dtype == np.float16:
        return values.astype(np.float32).view(np.uint32)
    return values.astype(np.uint32) if values.dtype == bool else values.view(np.uint32)


def values_of(words: Any, name: str) -> Any:
    """The values that some words hold."""
    if name == "f16":
        return words.view(np.float32).astype(np.float16)
    if name == "bool":
        return words != 0
    return words.view({"u32": np.uint32, "i32": np.int32, "f32": np.float32}[name])


def compare(adapter: Runner, chosen: Sequence[Form], seed: int) -> Iterator[Difference]:
    """Each difference between an adapter, the compiler and WGSL."""
    for start in range(0, len(chosen), _TOGETHER):
        yield from _batch(adapter, chosen[start : start + _TOGETHER], seed)


def _batch(adapter: Runner, batch: Sequence[Form], seed: int) -> Iterator[Difference]:
    operands = [lanes(form, LANES, seed + zlib.crc32(form.name.encode())) for form in batch]
    words = [words_of(part).T.ravel() for each in operands for part in each]
    size = sum(form.result[1] for form in batch) * LANES
    job = Job(
        text=shader(batch),
        inputs={(0, 0): np.concatenate(words).tobytes(), (0, 1): bytes(4 * size)},
        groups=(LANES // 64, 1, 1),
        read_only=((0, 0),),
    )
    try:
        found = adapter.run(job)[0, 1], run_compiled(job)[0, 1]
    except Exception as error:
        if len(batch) > 1:
            for form in batch:
                yield from _batch(adapter, [form], seed)
        else:
            yield Difference(form=batch[0], who="neither", lanes=0, example=str(error))
        return
    theirs, ours = (np.frombuffer(each, np.uint32) for each in found)
    at = 0
    for form, given in zip(batch, operands, strict=True):
        width = form.result[1]
        part = slice(at, at + width * LANES)
        at += width * LANES
        pair = [each[part].reshape(width, LANES).T for each in (theirs, ours)]
        yield from _judged(adapter.name, form, given, *pair)


def _judged(name: str, form: Form, given: Any, theirs: Any, ours: Any) -> Iterator[Difference]:
    kind = form.result[0]
    finite = np.ones(LANES, bool)
    for values in given:
        if values.dtype.kind == "f":
            finite &= np.isfinite(values).all(1)
    if form.rule is None:
        wrong = (theirs != ours) & finite[:, None]
        yield from _told(form, name, wrong, given, theirs, ours, None)
        return
    m = Floats(form.floats)
    with np.errstate(all="ignore"):
        span = form.rule(m, *(_span(m, values) for values in given))
        span = m.reassociated(span) if form.is_compound else span
    for who, words in ((name, theirs), ("compiled", ours)):
        found = values_of(words, kind)
        wrong = ~span.holds(found) & finite[:, None]
        if form.is_compound and found.dtype.kind == "f":
            wrong &= np.isfinite(found)
        yield from _told(form, who, wrong, given, theirs, ours, span)


def _span(m: Floats, values: Any) -> Span:
    if values.dtype.kind == "f":
        return Floats(str(values.dtype).replace("float", "f")).given(values)
    wide = values.astype(np.float64)
    return Span(wide, wide, np.zeros(wide.shape, bool))


def _told(
    form: Form, who: str, wrong: Any, given: Any, theirs: Any, ours: Any, span: Span | None
) -> Iterator[Difference]:
    lanes_wrong = np.flatnonzero(wrong.any(1))
    if not lanes_wrong.size:
        return
    lane, kind = lanes_wrong[0], form.result[0]
    shown = [
        f"{name} = {values[lane].tolist()}" for name, values in zip("abcd", given, strict=False)
    ]
    for label, words in (("adapter", theirs), ("compiled", ours)):
        shown.append(f"{label} {values_of(words, kind)[lane].tolist()}")
    if span is not None:
        low, high = (np.broadcast_to(each, wrong.shape)[lane] for each in (span.low, span.high))
        shown.append(f"allowed {low.tolist()} to {high.tolist()}")
    yield Difference(form=form, who=who, lanes=len(lanes_wrong), example="; ".join(shown))
