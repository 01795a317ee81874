"""What is counted: events of a trace, parts of a session, and what was never met."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gpusim.kernels import AFFINE, BUILTIN, Kernel, Kernels
from gpusim.limits import Limits
from gpusim.program import Program
from gpusim.runtime import PRESETS, Policy, Uniforms
from gpusim.trace import Trace
from properties.fuzz.bugs import Bugs
from properties.fuzz.coverage import coverage, missed
from properties.fuzz.engine import Session
from properties.fuzz.planted import PlantedMistake
from properties.fuzz.settings import Settings
from properties.fuzz.tally import (
    ENOUGH_TRACES,
    FLUSH,
    OP,
    EventCounts,
    PolicyTally,
    Reach,
    Tally,
    count_events,
)
from properties.model.case import Case, DeviceSpec
from properties.oracles.compare import Checked
from properties.oracles.coverage import ENOUGH, FEASIBLE, Cell
from properties.oracles.goals import GOALS, Scope, why_unreachable
from properties.oracles.judge import MEANING_ONLY, judge
from properties.oracles.laws import LAWS
from properties.targets.factory import RuntimeFactory

EVERY_OP = """\
alloc a 16
alloc b 16
write a 0 01020304
dispatch affine a 3,5 1x1x1
flush
dispatch affine a 3,5 1x1x1
copy a 0 b 0 16
read b 0 16 -> r0
write b 0 0a0b0c0d
sync
free a
free b
"""


TVM = PRESETS["cached"]


def counts_of(policy: Policy) -> EventCounts:
    device = DeviceSpec(name="simulated")
    case = Case(program=Program.parse(EVERY_OP), policy=policy, device=device)
    verdict = judge(case, RuntimeFactory("simulated"), MEANING_ONLY)
    assert verdict.failure is None
    return count_events(verdict.execution.trace, policy)


def test_every_kind_of_op_is_counted_where_it_reaches_the_driver() -> None:
    seen = counts_of(TVM)
    kinds = ("write", "dispatch", "copy", "flush", "sync")
    assert [seen[OP, kind] for kind in kinds] == [2, 2, 1, 1, 1]
    # The fence of the sync is a buffer and a read of its own.
    assert [seen[OP, kind] for kind in ("alloc", "free", "read")] == [3, 3, 2]


def test_what_a_pool_and_a_cache_did_has_names_of_its_own() -> None:
    cached = counts_of(TVM)
    assert cached["cached uniforms", "created"] == cached["cached uniforms", "reused"] == 1
    assert cached["cached bind groups", "reused"] == 1
    pooled = counts_of(replace(TVM, uniforms=Uniforms.POOLED, uniform_slots=1))
    assert pooled["pooled uniforms", "created"] == pooled["pooled uniforms", "reused"] == 1
    assert ("cached uniforms", "created") not in pooled
    fresh = counts_of(PRESETS["lazy"])
    assert fresh["fresh uniforms", "created"] == fresh["fresh bind groups", "created"] == 2
    assert fresh["fresh staging", "created"] == 2


def test_a_flush_is_counted_by_its_reason() -> None:
    trace = Trace()
    for reason in ("asked", "write", "asked"):
        trace.emit("encode", reason=reason, commands=1)
    counts = count_events(trace, TVM)
    assert counts[FLUSH, "asked"] == counts[OP, "flush"] == 2
    assert counts[FLUSH, "write"] == 1


@pytest.mark.parametrize(
    ("kind", "about", "op"),
    [
        ("create_buffer", {"role": "storage"}, "alloc"),
        ("create_buffer", {"role": "staging"}, ""),
        ("write_buffer", {"role": "storage"}, "write"),
        ("write_buffer", {"role": "uniform"}, ""),
        ("copy", {"target_role": "storage"}, "copy"),
        ("copy", {"target_role": "staging"}, ""),
        ("destroy_buffer", {"role": "uniform"}, ""),
        ("submit", {}, ""),
    ],
)
def test_only_what_an_op_alone_can_cause_counts_for_it(
    kind: str, about: dict[str, str], op: str
) -> None:
    trace = Trace()
    trace.emit(kind, **about)
    assert count_events(trace, TVM) == ({(OP, op): 1} if op else {})


def test_an_empty_session_missed_everything() -> None:
    tables = coverage(Tally())
    names = missed(tables)
    assert "ops: write accepted" in names
    assert "refusals: free InvalidHandle" in names
    assert "parts: pooled uniforms exhausted" in names
    assert "flushes: uniforms submits" in names
    tally = Tally()
    tally.events["pooled uniforms", "exhausted"] = 1
    assert "parts: pooled uniforms exhausted" not in missed(coverage(tally))


def test_a_session_of_another_runtime_misses_nothing_that_only_a_driver_shows() -> None:
    tally = Tally(policies={"eager": PolicyTally(programs=1)})
    tables = coverage(tally)
    assert "parts" not in tables
    assert "flushes" not in tables
    assert tables["refusals"] == {}
    assert tables["ops"]["write"] == {"accepted": 0}
    tally.refused["free", "InvalidHandle"] += 1
    assert coverage(tally)["refusals"]["free"] == {"InvalidHandle": 1}


def test_laws_have_rows_once_they_were_held_against_something() -> None:
    assert coverage(Tally())["laws"] == {}
    tally = Tally()
    tally.held["A1"] = 7
    laws = coverage(tally)["laws"]
    assert laws["A"]["A1"] == 7
    assert laws["F"]["F1"] == 0
    assert "laws: F F1" in missed(coverage(tally))


def session_of(traces: int, **reached: int) -> Session:
    """A session of one policy whose programs reached every rare event but for ``reached``."""
    session = Session(settings=Settings(policy="eager"), bugs=Bugs(Path("nowhere")))
    session.planted = (PlantedMistake(what="a slip", where="here", programs=1, seen=True),)
    session.tally.policies["eager"] = PolicyTally(programs=traces)
    session.tally.checked = Checked(exact_bytes=1)
    session.tally.reached.programs = traces
    session.tally.reached.goals.update({name: 1 for name in GOALS} | reached)
    scope = Scope(uniforms=session.uniforms, limits=(Limits(),), payload_bytes=48)
    session.unreachable = {name: why_unreachable(name, scope) for name in GOALS}
    session.unreachable = {name: why for name, why in session.unreachable.items() if why}
    return session


def test_a_session_that_misses_a_rare_event_is_invalid_once_it_is_long() -> None:
    assert session_of(ENOUGH_TRACES).invalid_because == ""
    missed_one = {"copy within a buffer": 0}
    assert session_of(ENOUGH_TRACES - 1, **missed_one).invalid_because == ""
    session = session_of(ENOUGH_TRACES, **missed_one)
    assert session.invalid_because == "no program reached: copy within a buffer"


def test_what_is_out_of_reach_is_named_and_not_asked_for() -> None:
    out_of_reach = {"uniform pool exhausted": 0, "uniform ring grown": 0, "copy in pieces": 0}
    session = session_of(ENOUGH_TRACES, **out_of_reach)
    assert session.is_valid
    assert set(out_of_reach) < set(session.unreachable)
    assert session.unreachable["uniform pool exhausted"] == "no policy has pooled uniforms"
    small = Limits(max_binding_bytes=512, uniform_offset_alignment_bytes=32)
    scope = Scope(uniforms=frozenset(Uniforms), limits=(Limits(), small), payload_bytes=48)
    assert not any(why_unreachable(name, scope) for name in GOALS)


def test_a_session_warns_of_what_it_has_not_seen() -> None:
    session = session_of(ENOUGH_TRACES)
    laws, cells = session.warnings
    assert laws.startswith("never checked anything: law A1, A2")
    assert re.match(r"\d+ pairs of ops were met less than 20 times: .*; and \d+ more$", cells)
    met = {cell: ENOUGH for cell in FEASIBLE if cell.boundary != "exhaustion"}
    session.tally.reached.cells.update(met)
    assert session.warnings == [laws], "eager policies exhaust nothing"
    session.tally.reached.cells[Cell("write", "dispatch", "RAW", "limit")] = 7
    assert session.warnings[1].endswith("20 times: write, dispatch: RAW, limit (7)")
    session.tally.checked = Checked(exact_bytes=8, reads=3, constant_reads=2)
    assert session.warnings[0] == "2 of 3 reads should give one repeated byte, and so show little"
    assert session_of(ENOUGH_TRACES - 1).warnings == []


def test_a_refusal_that_nobody_expected_is_shown() -> None:
    tally = Tally()
    tally.refused["sync", "DeviceLost"] = 3
    assert coverage(tally)["refusals"]["sync"] == {"DeviceLost": 3}


def test_the_median_counts_programs_not_lengths() -> None:
    tally = Tally()
    tally.accepted_lengths.update([3, 3, 3, 90, 100])
    assert tally.median_accepted == 3
    tally.accepted_lengths.update([90, 90, 90])
    assert tally.median_accepted == 90


def test_a_law_that_only_faults_bring_up_is_missed_only_under_faults() -> None:
    session = session_of(ENOUGH_TRACES)
    session.tally.held.update(law.name for law in LAWS if law.name not in ("D7", "A1"))
    (laws,) = (text for text in session.warnings if text.startswith("never checked"))
    assert laws == "never checked anything: law A1"
    session.settings = replace(session.settings, device="simulated", faults=True)
    (laws,) = (text for text in session.warnings if text.startswith("never checked"))
    assert laws == "never checked anything: law A1, D7"


BARE = Kernel.from_wgsl(AFFINE.wgsl(), name="bare")


@pytest.mark.parametrize(
    ("device", "kernels", "blind"),
    [
        ("simulated", BUILTIN, 0),
        ("simulated", BUILTIN.adding(BARE), 1),
        ("vulkan", BUILTIN.adding(BARE), 0),
    ],
)
def test_a_session_of_bare_wgsl_on_the_simulated_device_says_what_it_cannot_see(
    device: str, kernels: Kernels, blind: int
) -> None:
    bugs = Bugs(Path("nowhere"))
    session = Session(settings=Settings(), device=device, bugs=bugs, kernels=kernels)
    assert len(session.blind_spots) == blind
    assert all("bare means what its WGSL says" in sentence for sentence in session.blind_spots)


def test_a_session_says_how_far_its_programs_went() -> None:
    few, more = Tally(), Tally()
    for tally, program in ((few, EVERY_OP), (more, "alloc a 64\n" + "read a 0 4 -> r{}\n" * 3)):
        text = program.format(0, 1, 2) if tally is more else program
        case = Case(program=Program.parse(text), device=DeviceSpec(name="simulated"))
        verdict = judge(case, RuntimeFactory("simulated"), MEANING_ONLY)
        tally.note(case, verdict, 0.0, BUILTIN, measured=False)
    assert (few.reach.range_bytes, few.reach.reads_in_flight) == (16, 1)
    few.add(more)
    assert few.reach == Reach(range_bytes=16, batch_commands=4, reads_in_flight=3)
    assert "a batch had at most 4 commands" in str(few.reach)
    assert str(Reach(reads_in_flight=2)) == "at most 2 reads were in flight"
