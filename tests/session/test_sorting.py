"""A program that fails as a known bug does is told by a few runs, and no more is made small."""

from pathlib import Path
from typing import Any

import pytest

from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import Copy, Write
from gpusim.program import Program
from properties.fuzz.bugs import Bugs
from properties.fuzz.settings import Settings
from properties.fuzz.sorting import Sorter
from properties.model.capabilities import Capabilities
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import Failure, FailureKind
from properties.shrink.reducer import Judgement, shrink
from reference import run

pytestmark = pytest.mark.unit

WRONG = Failure(kind=FailureKind.VALUE, position=1, op="read", reason="bytes are wrong")
CRASHED = Failure(kind=FailureKind.CRASH, trait="Oops", position=1, op="copy", reason="it crashed")
PROMISES = Capabilities(write_size_bytes=1, copy_size_bytes=1, copies_within=True)
PLAIN = "alloc a 16\nalloc b 16\nwrite a 0 01020304\nread a 0 4 -> r0\n"
ODD_WRITE, WITHIN = "write a 4 01\n", "copy a 0 a 4 4\n"


def case(text: str) -> Case:
    device = DeviceSpec(name="vulkan")
    program = Program.parse(text)
    return Case(program=program, policy=NO_POLICY, device=device, promises=PROMISES)


class Bench:
    """Judges as a target would be judged that odd writes and copies within a buffer break."""

    def __init__(self) -> None:
        self.runs = self.shrunk = 0
        self.is_slow = False
        self.supervisor = self

    def judgement(self, stall_seconds: float) -> Judgement:
        def judged(candidate: Case) -> Failure | None:
            self.runs += 1
            meant, ops = run(candidate.program, BUILTIN, Limits()), candidate.program.ops
            if any(outcome.error for outcome in meant.outcomes):
                return None
            if any(isinstance(op, Copy) and op.source == op.target for op in ops):
                return CRASHED
            return WRONG if any(isinstance(op, Write) and len(op.data) % 4 for op in ops) else None

        return judged

    def shrink(self, failing: Case, failure: Failure, **rest: Any) -> Any:
        self.shrunk += 1
        judged = self.judgement(rest["stall_seconds"])
        seconds = 0.0 if self.is_slow else rest["seconds"]
        return shrink(failing, failure, judged, kernels=BUILTIN, seconds=seconds)

    def explain(self, *_: object) -> None:
        return None


def test_what_shows_a_known_bug_is_not_made_small_again(tmp_path: Path) -> None:
    bench, bugs = Bench(), Bugs(tmp_path)
    shard: Any = bench
    sorter = Sorter(settings=Settings(findings=2), kernels=BUILTIN, bugs=bugs, is_ours=False)
    sorter.sort(shard, case(PLAIN + ODD_WRITE), WRONG)
    sorter.sort(shard, case(PLAIN + WITHIN), CRASHED)
    assert (len(bugs), bench.shrunk) == (2, 2)
    assert bugs.avoided == {"odd write", "copy within"}
    before = bench.runs
    sorter.sort(shard, case(PLAIN + ODD_WRITE + "read a 4 4 -> r1\n" + "flush\n" * 30), WRONG)
    sorter.sort(shard, case(PLAIN + WITHIN + ODD_WRITE + "flush\n" * 30), CRASHED)
    assert (len(bugs), bench.shrunk) == (2, 2)
    assert [bug.count for bug in bugs.met.values()] == [2, 2]
    assert bench.runs - before < 12


def test_what_was_cut_short_is_made_small_in_the_end(tmp_path: Path) -> None:
    bench, bugs = Bench(), Bugs(tmp_path)
    shard: Any = bench
    sorter = Sorter(settings=Settings(), kernels=BUILTIN, bugs=bugs, is_ours=False)
    bench.is_slow = True
    sorter.sort(shard, case(PLAIN + ODD_WRITE + "flush\n" * 30), WRONG)
    (bug,) = bugs.met.values()
    assert bug.is_cut_short
    bench.is_slow = False
    sorter.finish(shard)
    sorter.finish(shard)
    assert (bug.is_cut_short, bench.shrunk) == (False, 2)
    assert str(bug.case.program) == "alloc a 4\nwrite a 0 01\n"


def test_a_failure_that_known_bugs_do_not_explain_is_a_new_one(tmp_path: Path) -> None:
    bench, bugs = Bench(), Bugs(tmp_path)
    shard: Any = bench
    sorter = Sorter(settings=Settings(findings=3), kernels=BUILTIN, bugs=bugs, is_ours=False)
    sorter.sort(shard, case(PLAIN + ODD_WRITE), WRONG)
    sorter.sort(shard, case(PLAIN + WITHIN + ODD_WRITE), CRASHED)
    assert [str(bug.failure.kind) for bug in bugs.met.values()] == ["value", "crash"]
