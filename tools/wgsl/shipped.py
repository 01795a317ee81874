"""Takes a folder of shaders that people ship, and says which compile and agree with an adapter.

Each ``*.wgsl`` is compiled.  A JSON file of the same name, as ``record.mjs`` writes, says how to
dispatch it; without one ``hosts.py`` may, and other bindings are filled with small numbers.  Floats
are compared to a thousandth of the largest in their buffer, as adapters may sum in other orders;
integers exactly.  What WGSL leaves open, such as what is read past the end of a buffer made up
here, is not compared.  If that leaves no word of a shader, its verdict is "nothing compared".
Nothing of the folder is kept.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import wgpu

from gpusim.wgsl import Binding, Module, ShaderError
from gpusim.wgsl.types import Type, is_fixed, scalars_in
from tools.wgsl.adapters import Adapter, Job, run_compiled
from tools.wgsl.hosts import Host, bytes_for, host_of

_RUNTIME_ELEMENTS = 1 << 17
"""So many that the reads of a few workgroups are seldom past the end."""
_GROUPS = (4, 1, 1)
_INTEGERS = ((1, 4), (0, 2))
"""The ranges of integers made up: the second is tried where nothing was compared."""
_CLOSE = 1e-3
_MOST_GROUPS = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What became of a shader: a word, and more about it."""

    file: Path
    word: str
    more: str = ""


def judge(folder: Path, adapter: Adapter) -> Iterator[Verdict]:
    """A verdict on each shader of a folder and the folders in it."""
    for file in sorted(folder.rglob("*.wgsl")):
        yield _one(file, adapter)


def _one(file: Path, adapter: Adapter) -> Verdict:
    text = file.read_text("utf-8", errors="replace")
    if "@compute" not in text:
        return Verdict(file=file, word="no compute shader")
    refusal = adapter.refusal(text)
    try:
        module = Module(text)
    except (ShaderError, RecursionError) as error:
        word = "both refuse" if refusal else "refused"
        return Verdict(file=file, word=word, more=str(error))
    except Exception as error:
        return Verdict(file=file, word="CRASH", more=repr(error))
    if refusal:
        return Verdict(file=file, word="adapter refuses", more=_last_line(refusal))
    try:
        return _run(file, text, module, adapter)
    except ShaderError as error:
        return Verdict(file=file, word="refused at its entry point", more=str(error))
    except (wgpu.GPUError, ValueError) as error:
        return Verdict(file=file, word="not run", more=_last_line(str(error)))
    except Exception as error:
        return Verdict(file=file, word="CRASH", more=repr(error))


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    chosen = [line for line in lines if "rror:" in line or "parsing" in line]
    return (chosen or lines or [""])[-1][:200]


def _run(file: Path, text: str, module: Module, adapter: Adapter) -> Verdict:
    for integers in _INTEGERS:
        verdict = _run_over(integers, file, text, module, adapter)
        if verdict.word != "nothing compared":
            break
    return verdict


def _run_over(
    integers: tuple[int, int], file: Path, text: str, module: Module, adapter: Adapter
) -> Verdict:
    compared = 0
    for job, bindings in jobs(file, text, module, integers):
        theirs, ours, other = adapter.run(job), run_compiled(job), run_compiled(job, varied=True)
        compared += sum(_compared(job.inputs[slot], ours[slot], other[slot]) for slot in ours)
        for binding in bindings:
            slot = (binding.group, binding.binding)
            if slot in theirs:
                because = _difference(binding.type, theirs[slot], ours[slot], other[slot])
                if because:
                    return Verdict(file=file, word="differs", more=f"{binding.name}: {because}")
    if not compared:
        return Verdict(file=file, word="nothing compared")
    return Verdict(file=file, word="agrees", more=f"{compared} words")


def _compared(before: bytes, ours: bytes, varied: bytes) -> int:
    """How many words a shader changes to a value that WGSL determines."""
    old, new, other = (np.frombuffer(each, np.uint32) for each in (before, ours, varied))
    return int(np.count_nonzero((old != new) & (new == other)))


def jobs(
    file: Path, text: str, module: Module, integers: tuple[int, int] = (1, 4)
) -> Iterator[tuple[Job, tuple[Binding, ...]]]:
    """A dispatch of each entry point of a shader, and its bindings.

    ``integers``: the range of those that are made up.
    """
    side = file.with_suffix(".json")
    told = json.loads(side.read_text("utf-8")) if side.exists() else {}
    unknown = Host(path="", groups=_GROUPS)
    host = unknown if told else host_of(file) or unknown
    for name in [told["entry"]] if told.get("entry") else module.entry_points:
        constants = {**host.values, **told.get("values", {})}
        bindings = module.entry(name, constants).point.bindings
        generator = np.random.default_rng(len(text))
        data = {(each["group"], each["binding"]): each for each in told.get("bindings", [])}
        groups = [min(count, _MOST_GROUPS) for count in told.get("groups", host.groups)]
        job = Job(
            text=text,
            entry=name,
            groups=(groups[0], groups[1], groups[2]),
            inputs={
                (each.group, each.binding): _bytes(
                    each, data.get((each.group, each.binding)), host, generator, integers
                )
                for each in bindings
            },
            read_only=tuple((b.group, b.binding) for b in bindings if b.access == "read"),
            uniforms=tuple((b.group, b.binding) for b in bindings if b.space == "uniform"),
            constants=constants,
        )
        yield job, bindings


def _bytes(
    binding: Binding,
    told: Any,
    host: Host,
    generator: np.random.Generator,
    integers: tuple[int, int],
) -> bytes:
    """The bytes of a buffer: as recorded, as its program has it, or small numbers."""
    size = max(binding.least_bytes, 4)
    elements, known = bytes_for(host, binding)
    if told is None:
        size *= 1 if is_fixed(binding.type) else elements or _RUNTIME_ELEMENTS
        if known is not None:
            return known.ljust(size, b"\0")
    else:
        size = max(size, told["size"])
        data = base64.b64decode(told["data"])
        if binding.space == "uniform" or any(data):
            return data.ljust(-(-size // 4) * 4, b"\0")
    count = -(-size // 4)
    leaves = scalars_in(binding.type)
    if leaves <= {"f32"}:
        return generator.normal(0, 1, count).astype(np.float32).tobytes()
    if leaves <= {"f16"}:
        return generator.normal(0, 1, 2 * count).astype(np.float16).tobytes()
    return generator.integers(*integers, count).astype(np.uint32).tobytes()


def _difference(kind: Type, theirs: bytes, ours: bytes, varied: bytes) -> str | None:
    """The first word that differs, and that WGSL does not leave open; None without one."""
    leaves = scalars_in(kind)
    is_half = leaves == {"f16"}
    name: Any = np.float16 if is_half else np.float32 if "f32" in leaves else np.uint32
    left, right, other = (np.frombuffer(each, name) for each in (theirs, ours, varied))
    bits: Any = np.uint16 if is_half else np.uint32
    wrong = (left.view(bits) != right.view(bits)) & (other.view(bits) == right.view(bits))
    if name is not np.uint32:
        with np.errstate(all="ignore"):
            wide, other = left.astype(np.float64), right.astype(np.float64)
            size = np.maximum(1, np.abs(wide))
            if len(leaves) == 1:
                # Sums cancel, so a difference that is small beside the largest value says nothing.
                size = np.max(np.abs(wide[np.isfinite(wide)]), initial=1.0)
                wrong &= np.isfinite(wide) & np.isfinite(other)
            wrong &= ~(np.abs(wide - other) <= (10 * _CLOSE if is_half else _CLOSE) * size)
    at = np.flatnonzero(wrong)
    if not at.size:
        return None
    first = at[0]
    return f"{at.size} of {len(left)}, at {first} {left[first]} and not {right[first]}"


def report(verdicts: list[Verdict], folder: Path) -> str:
    """The counts, and each shader that is not all right."""
    counts = Counter(verdict.word for verdict in verdicts)
    lines = [f"{count:5} {word}" for word, count in counts.most_common()]
    lines += [
        f"{verdict.word}: {verdict.file.relative_to(folder)}: {verdict.more}"
        for verdict in verdicts
        if verdict.word not in ("agrees", "no compute shader")
    ]
    return "\n".join(lines)
