"""Makes docs/mutation.md: the mutants killed in each part, and the note why each survivor lives."""

import math
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path, PurePosixPath

from tools.mutation.results import Sample

_NOTES = Path(__file__).with_name("survivors.toml")
_KINDS = {
    "equivalent": "no caller can tell it from the sound code",
    "cost": "every result is the same, and only time or memory differs",
    "message": "only the words of an error, a warning or a representation differ",
    "unreached": "only a device, an option or a misuse that this run leaves out would show it",
}
"""Why a mutant lives, in the order of the page."""
_INTRODUCTION = """\
# Mutation of the project's own source

The mutants of [mutants.md](mutants.md) are mistakes that somebody thought of. These are mistakes
that nobody thought of: mutmut's operators, each applied to one place of the source. A sample of
each part, spread evenly over its modules and operators, is tried on the simulated device. First the
judge runs a few hundred programs of one seed, with laws, relations and faults of the device. Then
the tests run that reach the mutant's line. A mutant is killed if the judge finds it, if a test
fails, or if it never ends. `python -m tools.mutation page` writes this page; `tox -e mutation`
makes the sample anew.

"At first" is the share that was killed when the sample was drawn. Each survivor was then looked
into: it led to a test, a property or a law, and was tried once more; or it is written up below.
The figures and the changes are of the source as it was when its sample was drawn; the files have
today's names.
"Judge" and "tests" count the mutants that each killed; the tests run only if the judge finds
nothing. The interval is Wilson's, at 95 percent, for all mutants of the part. "Without the
equivalent" is the share that was killed of the mutants that can be killed at all.
"""
_Z = 1.96
_HEAD = (
    "| part | mutants | sample | at first | judge | tests | ended otherwise | alive | killed "
    "| interval | without the equivalent |"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """Why one survivor, or several of one place, live."""

    kind: str
    reason: str


def read_notes() -> dict[str, Note]:
    """The notes by ``Result.key``; several changes may share one reason."""
    notes = {}
    for entry in tomllib.loads(_NOTES.read_text(encoding="utf-8"))["survivor"]:
        if entry["kind"] not in _KINDS:
            raise ValueError(f"cannot read kind {entry['kind']!r}: it is none of {list(_KINDS)}")
        for change in entry["changes"]:
            key = f"{entry['path']}: {entry['function']}\n{change.strip()}"
            notes[key] = Note(kind=entry["kind"], reason=entry["reason"].strip())
    return notes


def page(samples: Mapping[str, Sample], notes: Mapping[str, Note]) -> str:
    """The whole page."""
    return "\n".join(_lines(samples, notes))


def interval(killed: int, tried: int) -> tuple[float, float]:
    """Wilson's interval for a share, at 95 percent."""
    if not tried:
        return 0.0, 1.0
    share, spread = killed / tried, _Z**2 / tried
    middle = (share + spread / 2) / (1 + spread)
    half = _Z / (1 + spread) * math.sqrt(share * (1 - share) / tried + spread / (4 * tried))
    return max(0.0, middle - half), min(1.0, middle + half)


def _lines(samples: Mapping[str, Sample], notes: Mapping[str, Note]) -> Iterator[str]:
    yield _INTRODUCTION
    yield _HEAD
    yield "|---" * _HEAD.count(" |") + "|"
    for part, sample in samples.items():
        yield _figures(part, sample, notes)
    for part, sample in samples.items():
        yield f"\n## {part}\n"
        yield "| module | sample | killed |"
        yield "|---|---|---|"
        yield from _modules(sample)
        yield from _survivors(sample, notes)
    yield ""


def _figures(part: str, sample: Sample, notes: Mapping[str, Note]) -> str:
    results = sample.results
    killers = [(result.killer or "alive").partition(":")[0] for result in results]
    alive = [result for result in results if result.killer is None]
    killed = len(results) - len(alive)
    found = [notes.get(result.key) for result in alive]
    equal = sum(note is not None and note.kind == "equivalent" for note in found)
    low, high = interval(killed, len(results))
    cells = [
        part,
        str(sample.population),
        str(len(results)),
        f"{sample.killed_at_first / len(results):.1%}",
        *(str(killers.count(killer)) for killer in ("judge", "test", "died", "alive")),
        f"**{killed / len(results):.1%}**",
        f"{low:.1%} to {high:.1%}",
        f"{killed / (len(results) - equal):.1%}",
    ]
    return f"| {' | '.join(cells)} |"


def _modules(sample: Sample) -> Iterator[str]:
    for path, group in groupby(sample.results, lambda result: result.path):
        tried = list(group)
        killed = sum(result.killer is not None for result in tried)
        yield f"| `{PurePosixPath(path)}` | {len(tried)} | {killed} |"


def _survivors(sample: Sample, notes: Mapping[str, Note]) -> Iterator[str]:
    alive = [(result, notes.get(result.key)) for result in sample.results if not result.killer]
    for kind, meaning in (*_KINDS.items(), ("", "nobody has looked into it")):
        chosen = [(r, note) for r, note in alive if (note.kind if note else "") == kind]
        if chosen:
            yield f"\n### {kind.capitalize() or 'Not written up'}: {meaning}\n"
        for reason, group in groupby(chosen, lambda pair: pair[1].reason if pair[1] else ""):
            members = [result for result, _ in group]
            yield from _block(reason, [(f"{r.path}: {r.function}", r.change) for r in members])


def _block(reason: str, changes: Sequence[tuple[str, str]]) -> Iterator[str]:
    if reason:
        yield reason + "\n"
    yield "```diff"
    for place, change in changes:
        yield f"# {place}"
        yield change
    yield "```\n"
