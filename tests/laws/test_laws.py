"""Each law rejects ten corrupted traces, and passes near misses."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest

from gpusim.errors import SubmitFailed
from gpusim.runtime.drivers.faulty import Fault
from gpusim.runtime.policy import parse_policy
from gpusim.trace import Event, Trace
from properties.oracles.laws import ELSEWHERE, LAWS
from properties.oracles.laws.__main__ import page
from properties.oracles.laws.catalogue import compare_traces
from tests.laws import buffer_corruptions, queue_corruptions
from tests.laws.near_misses import FAULTS, NEAR_MISSES
from tests.laws.traces import POLICIES, RICH, Cut, Real, reals, record

CORRUPTIONS = {**queue_corruptions.CORRUPTIONS, **buffer_corruptions.CORRUPTIONS}
TEN = 10
NAMES = [law.name for law in LAWS if law.name != "H1"]


def corrupted(law: str) -> Iterator[tuple[Real, list[Event]]]:
    """Corruptions from every trace in turn: the first of each, then the second."""
    sources = [(real, corrupt(Cut(real))) for real in reals() for corrupt in CORRUPTIONS[law]]
    while sources:
        left = []
        for real, source in sources:
            events = next(source, None)
            if events is not None:
                left.append((real, source))
                yield real, events
        sources = left


@pytest.mark.parametrize("law", NAMES)
def test_a_law_rejects_ten_corruptions(law: str) -> None:
    tried = list(islice(corrupted(law), TEN))
    assert len(tried) == TEN
    for real, events in tried:
        violations = real.judged(events).violations
        names = {violation.trait for violation in violations}
        assert law in names, f"{real.context.policy}: {names}"
        assert all(violation.notes[0] for violation in violations)


@pytest.mark.parametrize("law", NAMES)
def test_a_law_passes_a_near_miss(law: str) -> None:
    text, policy = NEAR_MISSES[law]
    checker = record(text, policy, *FAULTS.get(law, ())).judged()
    assert [str(violation) for violation in checker.violations] == []
    assert checker.checked[law] > 0


@pytest.mark.parametrize("policy", POLICIES)
def test_a_sound_trace_breaks_no_law(policy: str) -> None:
    checker = record(RICH, policy).judged()
    assert checker.violations == []


def test_the_sound_traces_are_held_against_every_law_that_wants_no_fault() -> None:
    held = sum((real.judged().checked for real in reals()), Counter[str]())
    assert [law for law in NAMES if not held[law]] == list(FAULTS)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("verb", ["encode", "submit"])
def test_a_batch_that_fails_on_its_way_breaks_no_law(policy: str, verb: str) -> None:
    """What comes after it is a batch of its own, whether or not the failed one was submitted."""
    text = (
        "alloc a 64\nalloc b 64\ndispatch affine a 3,5 1x1x1\nflush\n"
        "dispatch affine b 3,5 1x1x1\nread b 0 8 -> r0\nflush\n"
        "write a 0 " + "07" * 64 + "\ndispatch affine a 3,5 1x1x1\nread a 0 8 -> r1\nsync\n"
    )
    failing = record(text, policy, Fault(verb=verb, call=1, error=SubmitFailed))
    assert [event["verb"] for event in failing.events if event.kind == "failed"] == [verb]
    assert failing.judged().violations == []


def test_the_wait_of_a_dispatch_may_fail_after_it_happened() -> None:
    """The dispatch has happened by then, and what failed is raised by the op after it."""
    text = "alloc a 64\ndispatch affine a 3,5 1x1x1\nread a 0 8 -> r0\nsync\n"
    fault = Fault(verb="submit", call=1, error=SubmitFailed)
    waits = record(text, "lazy debug_submit_each=True", fault)
    assert [event["verb"] for event in waits.events if event.kind == "failed"] == ["submit"]
    assert waits.judged().violations == []


def test_two_runs_leave_one_trace() -> None:
    for policy in POLICIES[:TEN]:
        real = record(RICH, policy)
        first, again, other = Trace(), Trace(), Trace()
        first.events += real.events
        again.events += record.__wrapped__(RICH, policy).events
        assert compare_traces(first, again) is None
        other.events += Cut(real).without(len(real.events) - 2)
        broken = compare_traces(first, other)
        assert broken is not None
        assert broken.trait == "H1"
        other.events = [*real.events, Event("submit", {})]
        assert "nothing and submit" in str(compare_traces(first, other))


def test_a_violation_argues() -> None:
    cut = Cut(record(RICH, "lazy"))
    events = next(CORRUPTIONS["A4"][0](cut))
    first = next(
        violation
        for violation in record(RICH, "lazy").judged(events).violations
        if violation.trait == "A4"
    )
    assert "write to b reached the queue before copy op 9, which writes b, was submitted" in str(
        first
    )
    assert "source: WebGPU specification" in str(first)
    assert str(first).startswith(f"op {first.position}: ")


def test_every_letter_has_a_place() -> None:
    names = [law.name for law in LAWS]
    assert len(set(names)) == len(names)
    assert not set(names) & set(ELSEWHERE)
    for letter, count in {
        "A": 13,
        "B": 7,
        "C": 10,
        "D": 11,
        "E": 8,
        "F": 7,
        "G": 6,
        "H": 4,
    }.items():
        for number in range(1, count + 1):
            assert f"{letter}{number}" in {*names, *ELSEWHERE}


def test_the_page_has_every_law() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    assert (docs / "LAWS.md").read_text(encoding="utf-8") == page()


def test_a_write_that_overtakes_a_dispatch_which_only_reads_is_seen() -> None:
    text = f"alloc a 64\nalloc b 64\ndispatch fold a,b 7 1x1x1\nwrite a 0 {'07' * 64}\nflush\n"
    real = record(text, "lazy")
    kinds = [event.kind for event in real.events]
    begun, write = kinds.index("encode"), kinds.index("write_buffer", kinds.index("submit"))
    overtaken = [*real.events[:begun], real.events[write], *real.events[begun:write]]
    violations = real.judged([*overtaken, *real.events[write + 1 :]]).violations
    assert "A2" in [violation.trait for violation in violations]
    assert real.judged().violations == []


def test_dispatches_that_change_places_are_an_order_and_no_write_that_is_missed() -> None:
    text = "alloc a 64\ndispatch affine a 3,5 1x1x1\ndispatch scramble a - 1x1x1\nflush\n"
    real = record(text, "lazy")
    first, second = [at for at, event in enumerate(real.events) if event.kind == "dispatch"]
    events = list(real.events)
    events[first], events[second] = events[second], events[first]
    names = {violation.trait for violation in real.judged(events).violations}
    assert "C1" in names
    assert "A3" not in names


@pytest.mark.parametrize(
    ("kind", "changes", "law"),
    [
        ("write_buffer", {"data": bytes(8)}, "A9"),
        ("copy", {"target_offset": 4}, "A8"),
        ("copy", {"target_offset": 12}, "A8"),
    ],
)
def test_a_write_in_its_place_in_the_batch_puts_its_bytes_there(
    kind: str, changes: dict[str, object], law: str
) -> None:
    text = "alloc a 64\ndispatch affine a 3,5 1x1x1\nwrite a 8 0102030405060708\nflush\n"
    real = record(text, "ring")
    roles = ("role", "target_role")
    (place,) = [
        at
        for at, event in enumerate(real.events)
        if event.kind == kind and {event.about.get(role) for role in roles} & {"upload", "storage"}
    ]
    events = list(real.events)
    events[place] = Event(kind, {**events[place].about, **changes})
    assert law in {violation.trait for violation in real.judged(events).violations}
    assert real.judged().violations == []


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("ring staged_write_bytes=4 uniform_ring_bytes=512", "ring uniform_ring_bytes=512"),
        ("ring upload_bytes=8 uniform_ring_bytes=512", "ring upload_bytes=16"),
        ("pooled uniform_slots=2 flush_on_conflict=True", "cached flush_on_conflict=True"),
        ("lazy", "lazy flush_on_conflict=True"),
        ("lazy", "lazy defer_frees=True"),
    ],
)
def test_a_submit_is_too_early_if_the_policy_does_not_ask_for_it(smaller: str, larger: str) -> None:
    again = "dispatch affine a 3,5 1x1x1\n" * 3
    text = (
        f"alloc a 64\nalloc b 64\n{again}write a 8 0102030405060708\nwrite a 0 {'07' * 8}\n{again}"
    )
    real = record(f"{text}write b 0 07070707\n{again}free a\n", smaller)
    assert real.judged().violations == []
    lax = replace(real, context=replace(real.context, policy=parse_policy(larger)))
    assert "C7" in {violation.trait for violation in lax.judged().violations}


def test_a_ring_that_a_dispatch_would_just_fill_has_room() -> None:
    text = "alloc a 64\n" + "dispatch affine a 3,5 1x1x1\n" * 3
    real = record(text, "ring uniform_ring_bytes=512")
    assert real.judged().violations == []
    made = next(at for at, event in enumerate(real.events) if event.about.get("role") == "uniform")
    event, events = real.events[made], list(real.events)
    events[made] = Event(event.kind, {**event.about, "size_bytes": 768})
    assert "C7" in {violation.trait for violation in real.judged(events).violations}
