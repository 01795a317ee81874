"""What a trace reached: pairs of ops by hazard and boundary, rare events, shapes of batches.

Everything is counted from the calls on the driver, and nothing from what the generator meant to
do.  Nothing is judged here.
"""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gpusim.ops import (
    HOST_WRITES,
    VERBS,
    Dispatch,
    DispatchIndirect,
    Read,
    Sync,
)
from gpusim.runtime.policy import Uniforms
from gpusim.trace import Event
from properties.oracles.goals import Goals
from properties.oracles.laws.catalogue import LawContext
from properties.oracles.laws.checker import WATCHERS, Checker
from properties.oracles.laws.expected import ExpectedDispatch, ExpectedOp, ExpectedWrite
from properties.oracles.laws.state import About, Handler, TraceState, accepted

READERS = tuple([verb.name for verb in VERBS.values() if verb.may_read])
WRITERS = tuple([verb.name for verb in VERBS.values() if verb.may_write])
KINDS = tuple([verb.name for verb in VERBS.values() if verb.may_read or verb.may_write])
HAZARDS = ("RAW", "WAR", "WAW", "none")
BOUNDARIES = ("same pass", "same batch", "limit", "exhaustion", "flush", "sync")
_BOUNDARY_OF = {
    "commands": "limit",
    "bytes": "limit",
    "groups": "limit",
    "early": "limit",
    "debug": "limit",
    "uniforms": "exhaustion",
    "sync": "sync",
}
"""The boundary that a submit makes, by its reason; for any other reason it is a flush."""
EXHAUSTIBLE = frozenset({Uniforms.POOLED, Uniforms.RING})
"""The kinds of uniforms that one batch can exhaust."""
ENOUGH = 20
"""How often a session should have seen each cell that it can see."""
_KIND_APART = {DispatchIndirect.verb: Dispatch.verb}
"""In a pair of ops that share no bytes, an indirect dispatch counts as a dispatch."""
_NO_PASS = -1
"""The ``run`` of a copy or of a host write, which is in no pass."""


class Cell(NamedTuple):
    """A pair of ops, the hazard between them, and the boundary between them."""

    earlier: str
    later: str
    hazard: str
    boundary: str

    def __str__(self) -> str:
        return f"{self.earlier}, {self.later}: {self.hazard}, {self.boundary}"


def why_infeasible(cell: Cell, uniforms: Collection[Uniforms] = tuple(Uniforms)) -> str:
    """Why no trace of a policy with ``uniforms`` can show the cell; empty if a trace can."""
    first, then = {
        "RAW": (WRITERS, READERS),
        "WAR": (READERS, WRITERS),
        "WAW": (WRITERS, WRITERS),
        "none": (KINDS, KINDS),
    }[cell.hazard]
    if cell.earlier not in first or cell.later not in then:
        return "an op of the pair does not access bytes that way"
    if cell.hazard == "none" and DispatchIndirect.verb in (cell.earlier, cell.later):
        return "without shared bytes, an indirect dispatch is like any other dispatch"
    if cell.boundary == "same pass" and Read.verb in (cell.earlier, cell.later):
        return "a read is a copy, which is in no pass"
    if cell.boundary == "exhaustion" and not EXHAUSTIBLE.intersection(uniforms):
        return "no uniforms of these policies are ever exhausted"
    if cell.boundary == "exhaustion" and cell.later == Read.verb and cell.hazard == "none":
        return "a read takes no uniforms, so it never finds them exhausted"
    return ""


ALL_CELLS = tuple(
    Cell(earlier, later, hazard, boundary)
    for earlier in KINDS
    for later in KINDS
    for hazard in HAZARDS
    for boundary in BOUNDARIES
)
FEASIBLE = tuple(cell for cell in ALL_CELLS if not why_infeasible(cell))


@dataclass(kw_only=True, slots=True)
class Coverage:
    """What one or more traces reached."""

    programs: int = 0
    cells: Counter[Cell] = field(default_factory=Counter)
    goals: Counter[str] = field(default_factory=Counter)
    batches: Counter[str] = field(default_factory=Counter)
    """Batches by their shape."""

    def add(self, other: "Coverage") -> None:
        """Add what another trace reached."""
        self.programs += other.programs
        self.cells.update(other.cells)
        self.goals.update(other.goals)
        self.batches.update(other.batches)


class _Act(NamedTuple):
    """An accepted op.  ``batch`` is the number of submits before its own, and ``run`` is the number
    of its pass within its batch."""

    expected: ExpectedOp
    touches: Mapping[int, str]
    """How it accesses each buffer: ``r``, ``w`` or ``rw``."""
    batch: int
    run: int


def cover(events: Iterable[Event], context: LawContext) -> Coverage:
    """What a sound trace reached; a trace that breaks a law may be counted wrongly."""
    checker = check_and_cover(events, context)
    return coverage_of(checker) or Coverage()


def check_and_cover(events: Iterable[Event], context: LawContext) -> Checker:
    """Check the laws over ``events``, and measure at the same time what they reached."""
    checker = Checker(context, (*WATCHERS, _Acts, Goals))
    checker.feed(events)
    return checker


def coverage_of(checker: Checker) -> Coverage | None:
    """What ``check_and_cover`` measured; None if ``checker`` checked laws only."""
    acts, goals = checker.watcher(_Acts), checker.watcher(Goals)
    if acts is None or goals is None:
        return None
    return Coverage(programs=1, cells=acts.cells(), goals=+goals.seen, batches=acts.batches)


class _Acts:
    """Notes when each op took effect; the pairs are counted at the end, in program order."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        self._acts: list[_Act] = []
        self._reasons: list[str] = []
        self._syncs: list[int] = []
        self._reason = ""
        self._carried = -1
        """The last op that a batch has carried out."""
        self.batches: Counter[str] = Counter()

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "encode": self._encode,
            "submit": self._submit,
            **{accepted(kind): self._wrote for kind in HOST_WRITES},
            accepted(Sync): self._synced,
        }

    def cells(self) -> Counter[Cell]:
        """Counts two sorts of pairs: an op with the last writer or the last reader of a buffer that
        it uses, if one of the two writes; and two ops in a row that share no buffer."""
        cells: list[Cell] = []
        writers: dict[int, _Act] = {}
        readers: dict[int, _Act] = {}
        before: _Act | None = None
        for act in sorted(self._acts, key=lambda act: act.expected.position):
            for number, how in act.touches.items():
                writer, reader = writers.get(number), readers.get(number)
                if writer is not None and "r" in how:
                    cells.append(self._cell(writer, act, "RAW"))
                if writer is not None and "w" in how:
                    cells.append(self._cell(writer, act, "WAW"))
                if reader is not None and "w" in how:
                    cells.append(self._cell(reader, act, "WAR"))
                if "w" in how:
                    writers[number] = act
                    readers.pop(number, None)
                if "r" in how:
                    readers[number] = act
            if before is not None and not before.touches.keys() & act.touches.keys():
                cells.append(self._cell(before, act, "none"))
            before = act
        return Counter(cells)

    def _encode(self, about: About) -> None:
        self._reason = about["reason"]

    def _submit(self, about: About) -> None:
        state = self._state
        runs, run = [], 0
        for kind, _ in state.batch:
            run += kind == "copy" or not state.policy.merge_passes
            runs.append(_NO_PASS if kind == "copy" else run)
        for expected, index in state.carried:
            self._carried = expected.position
            self._acts.append(_Act(expected, _touches(expected), len(self._reasons), runs[index]))
        self._reasons.append(self._reason)
        kinds = [_short(kind, command) for kind, command in state.batch]
        shape = [word for at, word in enumerate(kinds) if at == 0 or kinds[at - 1] != word]
        self.batches[f"{self._reason}: {' '.join(shape)}"] += 1

    def _synced(self, about: About) -> None:
        self._syncs.append(self._state.position)

    def _wrote(self, about: About) -> None:
        expected = self._state.expected
        if (
            type(expected) is ExpectedWrite
            and expected.left <= 0
            and expected.position != self._carried
        ):
            self._acts.append(_Act(expected, _touches(expected), len(self._reasons), _NO_PASS))

    def _cell(self, earlier: _Act, later: _Act, hazard: str) -> Cell:
        first, then = earlier.expected.verb, later.expected.verb
        if hazard == "none":
            first, then = _KIND_APART.get(first, first), _KIND_APART.get(then, then)
        return Cell(first, then, hazard, self._boundary(earlier, later))

    def _boundary(self, earlier: _Act, later: _Act) -> str:
        start, end = earlier.expected.position, later.expected.position
        if bisect_right(self._syncs, start) < bisect_left(self._syncs, end):
            return "sync"
        if earlier.batch >= later.batch:
            same = earlier.run == later.run != _NO_PASS and earlier.batch == later.batch
            return "same pass" if same else "same batch"
        return _BOUNDARY_OF.get(self._reasons[earlier.batch], "flush")


def _touches(expected: ExpectedOp) -> dict[int, str]:
    """How an op accesses each buffer; a dispatch counts as reading what it may write."""
    if type(expected) is ExpectedWrite:
        return {expected.target.number: "w"}
    touches: dict[int, str] = {}
    written = "rw" if isinstance(expected, ExpectedDispatch) else "w"
    for number, _, _, writes in expected.touches:
        touches[number] = "rw" if number in touches else written if writes else "r"
    return touches


def _short(kind: str, about: About) -> str:
    return str(about["kernel"] if kind == "dispatch" else f"copy to {about['target_role']}")


def chance_of_new(seen: Mapping[str, int]) -> float:
    """The chance that the next item is of a new kind, by Good and Turing's estimate.

    ``seen`` has the count of each kind.  If it is empty, the chance is 1.
    """
    total = sum(seen.values())
    return sum(count == 1 for count in seen.values()) / total if total else 1.0
