"""The union of corpora: one session that is the sum of their blocks, and a row for each adapter.

A block counts once, however many processes ran it; a bug is one finding, however many met it.
Nothing here runs a program.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from properties.arguments import UsageError
from properties.fuzz.bugs import Bugs
from properties.fuzz.corpus import KERNELS_TEXT, BlockResult, Corpus, FoundBug, Identity
from properties.fuzz.engine import Session
from properties.fuzz.loading import load_kernels
from properties.fuzz.planted import PlantedMistake
from properties.fuzz.report import as_json, rate
from properties.fuzz.settings import Settings, read_setting
from properties.fuzz.signatures import Signature
from properties.oracles.coverage import FEASIBLE, chance_of_new

_MAY_DIFFER = ("seed", "first", "programs", "block", "policy", "scheduler", "faults")
"""Settings in which the corpora of one union may differ: they change only the programs."""


@dataclass(kw_only=True, slots=True)
class AdapterRow:
    """What one adapter did in a union."""

    blocks: int = 0
    programs: int = 0
    block_seconds: float = 0.0
    """The sum of the times that the blocks took, also of blocks that ran side by side."""
    planted: tuple[PlantedMistake, ...] = ()
    """The planted mistakes, and whether each was seen."""
    counted: Counter[Signature] = field(default_factory=Counter)
    """How many programs of ``blocks`` showed each finding."""
    saved: set[Signature] = field(default_factory=set)
    """The findings that the adapter saved, even in blocks that were killed and so do not count."""
    known: dict[str, str] = field(default_factory=dict)
    """Whether each known finding still fails on the adapter, in words, by its file's name."""

    def shown(self, signature: Signature) -> int:
        """How many programs of the adapter showed a finding, at least."""
        return max(self.counted[signature], signature in self.saved)


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A block that was added to a union, and what the union had reached by then."""

    began: float
    ended: float
    programs: int
    """How many programs the block had."""
    cells: int
    """How many of the feasible pairs of ops were met by then."""
    novelty: float
    """The chance that one more batch is of a new shape."""


@dataclass(kw_only=True, slots=True)
class Union:
    """Corpora as one session."""

    session: Session
    adapters: dict[str, AdapterRow] = field(default_factory=dict)
    """The rows by adapter and driver."""
    done: int = 0
    """How many blocks were run."""
    asked: int = 0
    """How many blocks the session has, run or not."""
    steps: list[Step] = field(default_factory=list)
    """The blocks of the union, in the order in which they were added."""

    def add(self, result: BlockResult) -> None:
        """Add a block that is not in the union yet; call ``settle`` after the last block."""
        session = self.session
        session.tally.add(result.tally)
        session.deaths += result.deaths
        session.uncounted += result.uncounted
        session.bugs.explained += result.explained
        session.bugs.known_failures += result.known_failures
        both = session.unreachable if self.steps else result.unreachable
        # A rare event is out of reach only if no block could reach it.
        shared = {name: why for name, why in both.items() if name in result.unreachable}
        session.unreachable = shared
        session.is_ours, session.not_asked = result.is_ours, result.not_asked
        row, programs = self.row(result.adapter), result.tally.programs + result.uncounted
        if not row.planted or _unseen(row.planted):
            # A later block may have seen mistakes that the target's own bugs hid at first.
            row.planted = result.planted or row.planted
        row.blocks += 1
        row.programs += programs
        row.block_seconds += result.ended - result.began
        row.counted.update(dict(result.met))
        reached = session.tally.reached
        step = Step(
            began=result.began,
            ended=result.ended,
            programs=programs,
            cells=sum(reached.cells[cell] > 0 for cell in FEASIBLE),
            novelty=chance_of_new(reached.batches),
        )
        self.steps.append(step)
        self.done += 1

    def settle(self) -> None:
        """Compute from all rows what the session shows: counts, planted mistakes and times."""
        session, met = self.session, self.session.bugs.met
        for signature, bug in met.items():
            bug.count = sum(row.shown(signature) for row in self.adapters.values())
        planted = [row.planted for row in self.adapters.values() if row.planted]
        # If a mistake was not seen on one adapter, the whole session is invalid.
        session.planted = next(filter(_unseen, planted), planted[0] if planted else ())
        session.description = "; ".join(sorted(self.adapters))
        session.seconds = session.fuzz_seconds = covered(
            [(step.began, step.ended) for step in self.steps]
        )

    def row(self, adapter: str) -> AdapterRow:
        """The row of an adapter."""
        return self.adapters.setdefault(adapter, AdapterRow())

    def lines(self) -> list[str]:
        """How many blocks were done, a line for each adapter, and the adapters of each finding."""
        lines = [f"{self.done} of {self.asked} blocks done"]
        met, rows = self.session.bugs.met, sorted(self.adapters.items())
        for name, row in rows:
            speed = rate(row.programs, row.block_seconds)
            found = sum(row.shown(each) > 0 for each in met)
            lines.append(
                f"  {name}: {row.blocks} blocks, {row.programs} programs, {speed} a second in a "
                f"block, {found} found"
            )
        return lines + [f"  {name}: {', '.join(cells)}" for name, cells in self.by_adapter()]

    def by_adapter(self) -> list[tuple[str, list[str]]]:
        """Each finding, then each known finding, with its adapters.

        For a finding, each adapter has the number of programs that showed it; for a known
        finding, whether it still fails.
        """
        rows = sorted(self.adapters.items())
        table = [
            (
                bug.file.name,
                [f"{name} ({row.shown(each)})" for name, row in rows if row.shown(each)],
            )
            for each, bug in self.session.bugs.met.items()
        ]
        known = dict.fromkeys(file for _, row in rows for file in row.known)
        for file in sorted(known):
            cells = [f"{name} ({row.known[file]})" for name, row in rows if file in row.known]
            table.append((f"known {file}", cells))
        return table

    def save_findings(self) -> None:
        """Write the files of all findings, also of findings of other machines."""
        for bug in self.session.bugs.met.values():
            self.session.bugs.save(bug)

    def as_json(self) -> dict[str, Any]:
        """All results, as plain values."""
        names = {signature: bug.file.name for signature, bug in self.session.bugs.met.items()}
        rows = {
            adapter: {
                "blocks": row.blocks,
                "programs": row.programs,
                "block_seconds": round(row.block_seconds, 3),
                "found": {names[each]: row.shown(each) for each in names if row.shown(each)},
                "known": row.known,
            }
            for adapter, row in sorted(self.adapters.items())
        }
        blocks = {"done": self.done, "asked": self.asked}
        return {**as_json(self.session), "blocks": blocks, "adapters": rows}


def union(folders: Sequence[Path], settings: Settings | None = None) -> Union:
    """The union of the corpora in ``folders``; the files of findings are not written yet.

    ``settings``: the settings of the session, if known; their ``save`` is the folder of findings.

    Raises:
        UsageError: a folder is no corpus, or the corpora judge different things.
        ProgramError: a file is broken.
    """
    corpora = [Corpus(folder) for folder in dict.fromkeys(folders)]
    identities = [_identity(corpus) for corpus in corpora]
    for corpus, other in zip(corpora, identities, strict=True):
        _refuse_other(corpus.folder, identities[0], other)
    settings = _settings(identities[0], settings or Settings())
    kernels = load_kernels(settings.kernels)
    bugs = Bugs(settings.save, place=settings.kernels, kernels=kernels)
    devices = ", ".join(dict.fromkeys(each.device for each in identities))
    session = Session(settings=settings, bugs=bugs, kernels=kernels, device=devices)
    whole, found = Union(session=session), list[FoundBug]()
    for identity in {repr(each): each for each in identities}.values():
        asked, block = int(identity.settings["programs"]), int(identity.settings["block"])
        whole.asked += -(-asked // block)
    for corpus, identity in zip(corpora, identities, strict=True):
        found += _findings(corpus, identity)
    _add_findings(whole, found)
    _add_blocks(whole, corpora, identities)
    return whole


def _identity(corpus: Corpus) -> Identity:
    identities = corpus.identities()
    if not identities:
        raise UsageError(
            f"cannot merge {corpus.folder} because it holds no session (probably another folder "
            "is meant: the --corpus of a session)"
        )
    return identities[0]


def _refuse_other(folder: Path, first: Identity, other: Identity) -> None:
    """Raise UsageError if two corpora do not judge the same thing."""
    same = {name: value for name, value in other.settings.items() if name not in _MAY_DIFFER}
    judged = replace(
        first, device="", settings={name: first.settings.get(name, "nothing") for name in same}
    )
    if different := judged.differences(replace(other, device="", settings=same)):
        raise UsageError(
            f"cannot merge {folder} with the others because they have {', '.join(different)} "
            "(probably it is the corpus of another session)"
        )


def _settings(identity: Identity, settings: Settings) -> Settings:
    """The settings of a session, read from its identity."""
    values = {
        name: read_setting(name, _text(value), name)
        for name, value in identity.settings.items()
        if value and name != KERNELS_TEXT
    }
    plain = Settings()
    values["device"] = identity.device
    origins = {name: "corpus" for name, value in values.items() if value != getattr(plain, name)}
    return replace(settings, **values, origins={**origins, **settings.origins})


def _text(value: str) -> str:
    return {"True": "yes", "False": "no"}.get(value, value)


def _findings(corpus: Corpus, identity: Identity) -> list[FoundBug]:
    """The findings of a corpus.

    If a session was ended before it could run the program of a finding again, the finding is left
    out once its block was run whole: that run met the failure too.
    """
    first, block = int(identity.settings["first"]), int(identity.settings["block"])
    done = corpus.done

    def is_settled(found: FoundBug) -> bool:
        if found.reproduced is not None:
            return False
        number = int(found.bug(Path()).case.seed.rpartition("/")[2])
        return number - (number - first) % block in done

    return [found for _, found in corpus.findings() if not is_settled(found)]


def _add_findings(whole: Union, found: Sequence[FoundBug]) -> None:
    """Take the findings into the session, first those whose shrinking was not cut short."""
    bugs = whole.session.bugs
    shortest = sorted(found, key=lambda each: (each.is_cut_short, len(each.text), each.text))
    for each in shortest:
        bugs.take(each.signature, each.bug(whole.session.settings.save))
    for each in found:
        if each.signature in bugs.met:
            whole.row(each.adapter).saved.add(each.signature)


def _add_blocks(whole: Union, corpora: Sequence[Corpus], identities: Sequence[Identity]) -> None:
    """Add each block once, and whether the known findings still fail."""
    done: set[tuple[str, int]] = set()
    for corpus, identity in zip(corpora, identities, strict=True):
        for known in corpus.known():
            whole.row(known.adapter).known[known.file] = known.state
        for result in corpus.blocks():
            if (repr(identity), result.first) not in done:
                done.add((repr(identity), result.first))
                whole.add(result)
    whole.settle()


def _unseen(planted: Sequence[PlantedMistake]) -> bool:
    """Whether a planted mistake that should be seen was not seen."""
    return not all(each.is_as_known for each in planted)


Span = tuple[float, float]


def joined(spans: Iterable[Span]) -> list[Span]:
    """Spans that cover the same time as ``spans``, and do not overlap."""
    apart: list[Span] = []
    for began, ended in sorted(spans):
        if apart and began <= apart[-1][1]:
            first, last = apart[-1]
            apart[-1] = first, max(last, ended)
        else:
            apart.append((began, ended))
    return apart


def covered(spans: Iterable[Span]) -> float:
    """The seconds within at least one of the spans."""
    return sum((ended - began for began, ended in joined(spans)), 0.0)
