"""A session in blocks, which are ranges of programs; a block that was cut off is run again.

A block's result goes to a corpus.  So machines can share a session, and the same command continues
a session whose process was killed.  The corpus shows which blocks are left; no process knows of
the others.
"""

import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

from properties.arguments import Share
from properties.fuzz.bugs import Bug
from properties.fuzz.corpus import (
    BlockResult,
    Corpus,
    FoundBug,
    KnownResult,
    found_bug,
    identity_of,
)
from properties.fuzz.engine import Session, Watch, opened, prepare, run_programs
from properties.fuzz.settings import Settings
from properties.fuzz.signatures import Signature
from properties.fuzz.tally import Tally
from properties.fuzz.union import Union, union

KeepFinding = Callable[[FoundBug], None]
_WHOLE = Share(0, 1)


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """The programs from ``first`` to before ``stop``."""

    first: int
    stop: int


def blocks_of(settings: Settings) -> list[Block]:
    """The blocks of a session, in order; of a shard, only the blocks of its share."""
    share = settings.shard or _WHOLE
    first, stop = settings.first, settings.first + (settings.programs or 0)
    starts = range(first, stop, settings.block)
    mine = starts[share.number :: share.machines]
    return [Block(first=start, stop=min(start + settings.block, stop)) for start in mine]


class Runner:
    """Runs blocks of one session, one after the other, in the same workers."""

    def __init__(self, settings: Settings, keep: KeepFinding) -> None:
        self._stack = ExitStack()
        self.session, self._supervisors = self._stack.enter_context(opened(settings))
        self.keep = keep
        self._kept: dict[Signature, tuple[object, ...]] = {}
        self._is_prepared = False

    @property
    def adapter(self) -> str:
        """The adapter that the programs run on, with its driver."""
        return f"{self.session.device}: {self.session.description}"

    @property
    def known(self) -> list[KnownResult]:
        """Whether each known finding still fails; empty before the first block was run."""
        return [
            KnownResult(adapter=self.adapter, file=each.file.name, state=str(each))
            for each in self.session.bugs.known
        ]

    def take(self, found: FoundBug) -> None:
        """Note a finding of another process, so that its bug is not shrunk here again."""
        bugs = self.session.bugs
        bugs.take(found.signature, found.bug(self.session.settings.save))
        if (bug := bugs.met.get(found.signature)) is not None:
            self._kept.setdefault(found.signature, _state(bug))

    def run(self, block: Block, watch: Watch) -> BlockResult | None:
        """Run a block; None if the limit of findings or of failures cut it off.

        Findings are written as soon as they are there, so an interrupt loses no finding.
        """
        whole, began = self.session, time.time()
        settings = replace(
            whole.settings, first=block.first, programs=block.stop - block.first, seconds=None
        )
        part = replace(whole, settings=settings, tally=Tally(), deaths=0, uncounted=0)
        counts = Counter({signature: bug.count for signature, bug in whole.bugs.met.items()})
        explained, known = whole.bugs.explained, whole.bugs.known_failures

        def follow(session: Session) -> None:
            self._keep_new()
            watch(session)

        try:
            if not self._is_prepared:
                prepare(whole, self._supervisors[0])
                self._is_prepared, part.planted = True, whole.planted
            if not run_programs(part, self._supervisors, follow):
                return None
        finally:
            self._keep_new()
        whole.planted = part.planted
        met = Counter({signature: bug.count for signature, bug in whole.bugs.met.items()})
        return BlockResult(
            first=block.first,
            stop=block.stop,
            device=part.device,
            description=part.description,
            is_ours=part.is_ours,
            began=began,
            ended=time.time(),
            tally=part.tally,
            deaths=part.deaths,
            uncounted=part.uncounted,
            met=tuple((met - counts).items()),
            explained=whole.bugs.explained - explained,
            known_failures=whole.bugs.known_failures - known,
            planted=part.planted,
            unreachable=part.unreachable,
            not_asked=tuple(part.not_asked),
        )

    def _keep_new(self) -> None:
        """Write each finding that is new.

        Write one again if it became smaller, or was explained, after it was written.
        """
        bugs = self.session.bugs
        for signature, bug in bugs.met.items():
            if self._kept.get(signature) != _state(bug):
                self._kept[signature] = _state(bug)
                self.keep(found_bug(signature, bug, bugs, self.adapter))

    def close(self) -> None:
        """End the workers."""
        self._stack.close()


def _state(bug: Bug) -> tuple[object, ...]:
    """All of a bug that may change after it is written, except its count."""
    return bug.case, bug.reproduced, bug.is_cut_short, bug.argument is None


def fuzz_shard(settings: Settings, watch: Watch) -> Union:
    """Run the blocks of the settings' shard that the corpus lacks; returns the corpus's union.

    ``watch`` is called, as by ``engine.fuzz``, with the results of the block that runs.

    Raises:
        UsageError: the corpus belongs to another session.
        Others: what ``engine.fuzz`` raises.
    """
    corpus = Corpus(settings.corpus or Path())
    interrupted, start = False, time.monotonic()
    with closing(Runner(settings, corpus.keep_finding)) as runner:
        corpus.join(identity_of(settings, runner.session.device))
        seen: frozenset[str] = frozenset()
        try:
            for block in blocks_of(settings):
                for name, found in corpus.findings(seen):
                    seen |= {name}
                    runner.take(found)
                is_late = settings.seconds and time.monotonic() - start >= settings.seconds
                if runner.session.has_enough or is_late:
                    break
                if block.first not in corpus.done:
                    result = runner.run(block, watch)
                    for known in runner.known:
                        corpus.keep_known(known)
                    if result is not None:
                        corpus.keep_block(result)
        except KeyboardInterrupt:
            interrupted = True
    whole = union([settings.corpus or Path()], settings)
    whole.session.interrupted = interrupted
    return whole
