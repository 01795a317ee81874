"""A corpus: the folder that the shards of a session share, and what is written in it.

- ``sessions/DIGEST.json``: the one session that the folder belongs to.
- ``blocks/FIRST-DIGEST.json``: a block of programs that was run whole, and what it counted.
- ``findings/DIGEST.json``: a finding, written as soon as it is there.
- ``known/DIGEST.json``: whether a finding that was known before still fails on an adapter.

A file is named by the digest of its text, appears whole by a rename and is never changed.  So a
plain folder or a mounted bucket is enough: no file is locked or appended to.  A block that two
processes ran has two files, of which only one counts.  Nothing here runs a program.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gpusim.errors import ProgramError
from properties.arguments import UsageError
from properties.explain.argument import Argument
from properties.finding_file import format_finding, parse_finding
from properties.fuzz.bugs import Bug, Bugs, versions
from properties.fuzz.loading import digest_of_kernels
from properties.fuzz.plain import from_plain, to_plain
from properties.fuzz.planted import PlantedMistake
from properties.fuzz.settings import Settings
from properties.fuzz.signatures import Signature
from properties.fuzz.tally import Tally
from properties.model.failure import Failure
from properties.oracles.laws.catalogue import Law
from properties.shrink.reducer import Shrunk

_SAME = (
    "policy",
    "scheduler",
    "faults",
    "check_shaders",
    "seed",
    "first",
    "programs",
    "block",
    "adversary",
    "kernels",
    "target",
)
"""The settings that decide which programs a session has, and what runs them."""
KERNELS_TEXT = "text of the kernels"
_DIGITS = 16
T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Identity:
    """What two shards of one session must have in common: versions, the device's name, settings."""

    versions: str
    device: str
    settings: Mapping[str, str]
    """The values of the settings in ``_SAME`` as text, by name; and a digest of the kernels."""

    def differences(self, other: "Identity") -> list[str]:
        """What is different in ``other``, as words."""
        pairs = {"versions": (self.versions, other.versions), "device": (self.device, other.device)}
        for name in self.settings:
            pairs[name] = self.settings[name], other.settings.get(name, "nothing")
        return [f"{name} {one} and not {two}" for name, (one, two) in pairs.items() if one != two]


def identity_of(settings: Settings, device: str) -> Identity:
    """The identity of a session with these settings on the device of that name."""
    same = {name: str(getattr(settings, name)) for name in _SAME}
    if settings.kernels:
        same[KERNELS_TEXT] = digest_of_kernels(settings.kernels)
    return Identity(
        versions=versions(),
        device=device,
        settings=same,
    )


@dataclass(frozen=True, kw_only=True, slots=True)
class BlockResult:
    """What the programs from ``first`` to before ``stop`` did; every program ran."""

    first: int
    stop: int
    device: str
    description: str
    is_ours: bool
    began: float
    """When the block began, in seconds since 1970; only for the report."""
    ended: float
    tally: Tally
    deaths: int
    uncounted: int
    met: tuple[tuple[Signature, int], ...]
    """How many programs of the block showed each finding."""
    explained: int
    known_failures: int
    planted: tuple[PlantedMistake, ...]
    unreachable: Mapping[str, str]
    not_asked: tuple[str, ...]

    @property
    def adapter(self) -> str:
        """The adapter that ran the block, with its driver."""
        return f"{self.device}: {self.description}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Told:
    """The text of an argument: why a finding fails."""

    sentence: str
    facts: tuple[str, ...]
    rule: Law | None
    clock: str
    first_broken: str
    passes: tuple[str, ...]
    fails: tuple[str, ...]
    free: str
    inevitable: str
    others: tuple[str, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundBug:
    """A finding: its file as text, and what a report says of it."""

    signature: Signature
    text: str
    name: str
    """The name of its file."""
    adapter: str
    failure: Failure
    reproduced: bool | None
    candidates: int | None
    """The number of cases that were judged to shrink the finding; None if it was not shrunk."""
    is_cut_short: bool
    told: Told | None

    def bug(self, folder: Path) -> Bug:
        """The bug, with a count of 0 and the path of its file in ``folder``.

        Nothing is written here.  The count is 0 because a union adds the counts of the blocks.

        Raises:
            ProgramError: ``text`` is no finding.
        """
        case, failure = parse_finding(self.text).case, self.failure
        shrunk = told = None
        if self.candidates is not None:
            shrunk = Shrunk(
                case=case,
                failure=failure,
                is_cut_short=self.is_cut_short,
                candidates=self.candidates,
            )
        if self.told is not None:
            names = Told.__dataclass_fields__
            words = {name: getattr(self.told, name) for name in names}
            told = Argument(failure=failure, case=case, **words)
        return Bug(
            case=case,
            failure=failure,
            file=folder / self.name,
            reproduced=self.reproduced,
            shrunk=shrunk,
            count=0,
            argument=told,
        )


def found_bug(signature: Signature, bug: Bug, bugs: Bugs, adapter: str) -> FoundBug:
    """A bug of a session, for the corpus."""
    told, shrunk = bug.argument, bug.shrunk
    return FoundBug(
        signature=signature,
        text=format_finding(bugs.finding(bug)),
        name=bug.file.name,
        adapter=adapter,
        failure=bug.failure,
        reproduced=bug.reproduced,
        candidates=None if shrunk is None else shrunk.candidates,
        is_cut_short=shrunk is not None and shrunk.is_cut_short,
        told=None if told is None else _told(told),
    )


def _told(argument: Argument) -> Told:
    return Told(**{name: getattr(argument, name) for name in Told.__dataclass_fields__})


@dataclass(frozen=True, kw_only=True, slots=True)
class KnownResult:
    """Whether a finding of an earlier session still fails on an adapter, in words."""

    adapter: str
    file: str
    """The name of its file."""
    state: str


class Corpus:
    """The corpus in a folder; each file in it is whole."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def join(self, identity: Identity) -> None:
        """Make the folder the corpus of this session; UsageError if it is another's."""
        self._refuse_other(identity)
        path = self._write("sessions", "", identity)
        try:
            # Another process may have written its session in the meantime.
            self._refuse_other(identity)
        except UsageError:
            path.unlink(missing_ok=True)
            raise

    def _refuse_other(self, identity: Identity) -> None:
        for other in self.identities():
            if different := identity.differences(other):
                raise UsageError(
                    f"cannot take {self.folder} as the corpus because it belongs to another "
                    f"session: this one has {', '.join(different)} (probably another folder is "
                    "meant; `gpusim merge` sums up both)"
                )

    def identities(self) -> list[Identity]:
        """The sessions in the folder: none if it is new, else one.

        There are two only while two sessions join a folder at the same time.
        """
        return [each for _, each in self._read("sessions", Identity)]

    def keep_block(self, result: BlockResult) -> None:
        """Write a block that was run whole."""
        self._write("blocks", f"{result.first}-", result)

    def keep_finding(self, found: FoundBug) -> None:
        """Write a finding."""
        self._write("findings", "", found)

    def keep_known(self, known: KnownResult) -> None:
        """Write whether a known finding still fails."""
        self._write("known", "", known)

    def known(self) -> list[KnownResult]:
        """Whether the known findings still fail, on each adapter."""
        return [known for _, known in self._read("known", KnownResult)]

    @property
    def done(self) -> frozenset[int]:
        """The number of the first program of each block that was run."""
        return frozenset(
            int(path.name.partition("-")[0]) for path in _files(self.folder / "blocks")
        )

    def blocks(self) -> Iterator[BlockResult]:
        """The result of each block that was run, each once, in order."""
        seen: set[int] = set()
        for _, result in self._read("blocks", BlockResult):
            if result.first not in seen:
                seen.add(result.first)
                yield result

    def findings(self, beside: frozenset[str] = frozenset()) -> list[tuple[str, FoundBug]]:
        """The findings, with the names of their files; files named in ``beside`` are left out."""
        return list(self._read("findings", FoundBug, beside))

    def _read(
        self, part: str, kind: type[T], beside: frozenset[str] = frozenset()
    ) -> Iterator[tuple[str, T]]:
        for path in _files(self.folder / part):
            if path.name in beside:
                continue
            try:
                yield path.name, from_text(kind, path.read_text(encoding="utf-8"))
            except (ValueError, TypeError, KeyError) as error:
                raise ProgramError(
                    f"cannot read {path} because {error} (probably another version of gpusim "
                    "wrote it)"
                ) from None

    def _write(self, part: str, prefix: str, value: Any) -> Path:
        text = as_text(value)
        digest = hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]
        path = self.folder / part / f"{prefix}{digest}.json"
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{uuid.uuid4().hex}.part")
        try:
            with partial.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
        return path


def as_text(value: Any) -> str:
    """A result as a line of JSON."""
    return json.dumps(to_plain(value), separators=(",", ":")) + "\n"


def from_text(kind: type[T], text: str) -> T:
    """The result that ``text`` holds; ValueError if it holds no such result."""
    return from_plain(kind, json.loads(text))


def _files(folder: Path) -> list[Path]:
    """The finished files of a subfolder: blocks by their first program, all others by name."""

    def order(path: Path) -> tuple[int, str]:
        first, dash, _ = path.name.partition("-")
        return (int(first) if dash and first.isdecimal() else 0), path.name

    return sorted(folder.glob("*.json"), key=order)
