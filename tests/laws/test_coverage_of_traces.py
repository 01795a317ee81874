"""What traces reached: pairs by hazard and boundary, rare events, and what they leave to find."""

from collections import Counter

import pytest

from properties.oracles.coverage import (
    ALL_CELLS,
    FEASIBLE,
    Cell,
    Coverage,
    chance_of_new,
    cover,
    why_infeasible,
)
from properties.oracles.goals import GOALS
from tests.laws.traces import POLICIES, RICH, record

A = "alloc a 64\nalloc b 64\n"
RUN = "dispatch affine a 3,5 1x1x1\n"
QUEUED = "write b 0 01020304\nwrite b 4 01020304"
OTHER = "dispatch affine b 3,5 1x1x1\n"


def covered(text: str, policy: str) -> Coverage:
    real = record(text, policy)
    return cover(real.events, real.context)


@pytest.mark.parametrize(
    ("text", "policy", "cell"),
    [
        (RUN + RUN, "ring", "dispatch, dispatch: RAW, same pass"),
        (RUN + RUN, "lazy", "dispatch, dispatch: WAW, same batch"),
        (RUN + RUN, "eager", "dispatch, dispatch: RAW, limit"),
        (RUN + RUN, "pooled uniform_slots=1", "dispatch, dispatch: RAW, exhaustion"),
        (RUN + "flush\n" + RUN, "lazy", "dispatch, dispatch: RAW, flush"),
        (RUN + "sync\n" + RUN, "lazy", "dispatch, dispatch: RAW, sync"),
        (RUN + OTHER, "lazy", "dispatch, dispatch: none, same batch"),
        ("write a 0 01020304\n" + RUN, "lazy", "write, dispatch: RAW, same batch"),
        ("copy a 0 b 0 8\nwrite a 8 01020304", "ring", "copy, write: WAR, same batch"),
        ("copy a 0 b 0 8\nwrite b 0 01020304", "lazy", "copy, write: WAW, flush"),
        ("copy a 0 b 0 8\nread b 0 8 -> r0", "ring", "copy, read: RAW, same batch"),
        ("read a 0 8 -> r0\n" + RUN, "lazy", "read, dispatch: WAR, flush"),
        ("copy a 1 b 0 3\nwrite b 1 01", "ring", "copy, write: WAW, same pass"),
    ],
)
def test_a_pair_is_told_by_hazard_and_boundary(text: str, policy: str, cell: str) -> None:
    cells = covered(A + text, policy).cells
    assert cell in {str(found) for found in cells}
    assert all(why_infeasible(found) == "" for found in cells)


def test_a_copys_target_is_not_read() -> None:
    cells = covered(A + RUN + "copy b 0 a 0 64", "lazy").cells
    assert Cell("dispatch", "copy", "WAW", "same batch") in cells
    assert Cell("dispatch", "copy", "RAW", "same batch") not in cells
    within = covered(A + RUN + "copy a 0 a 4 8", "lazy").cells
    assert Cell("dispatch", "copy", "RAW", "same batch") in within


def test_what_cannot_be_says_why() -> None:
    assert "no pass" in why_infeasible(Cell("read", "write", "WAR", "same pass"))
    assert "that way" in why_infeasible(Cell("read", "dispatch", "RAW", "flush"))
    assert set(FEASIBLE) < set(ALL_CELLS)


@pytest.mark.parametrize(
    ("goal", "text", "policy"),
    [
        ("uniform pool exhausted", RUN + RUN, "pooled uniform_slots=1"),
        ("uniform ring exhausted", RUN + RUN, "ring uniform_ring_bytes=256"),
        ("staging pool exhausted", "read a 0 8 -> r0", "cached"),
        (
            "uniform slot replaced",
            "dispatch fold a,b 7 1x1x1\nflush\n" + RUN,
            "pooled uniform_slots=1",
        ),
        (
            "uniform evicted with a batch open",
            RUN + "dispatch affine a 1,1 1x1x1",
            "cached uniform_cache=1",
        ),
        ("bind group evicted with a batch open", RUN + OTHER, "cached bind_group_cache=1"),
        ("shape evicted", RUN + "dispatch affine a 1,1 2x1x1", "cached shape_cache=1"),
        ("freed with a live cache entry", RUN + "free a", "cached"),
        ("freed with its commands open", RUN + "free a", "lazy"),
        ("freed while a map was pending", "read a 0 8 -> r0\nfree a", "lazy"),
        ("flushed exactly at the limit", RUN, "lazy batch_commands=1"),
        ("flushed at the limit in bytes", RUN, "lazy batch_bytes=8"),
        ("flushed at the limit in workgroups", RUN, "lazy batch_groups=1"),
        (
            "host writes submitted for room",
            "write b 0 01020304\nwrite b 4 01020304",
            "lazy queued_write_bytes=4",
        ),
        ("flushed early after a sync", RUN, "lazy first_batch=1"),
        ("error in mid-batch", RUN + "write a 60 0102030405", "lazy"),
        ("host write past an open batch", RUN + "write b 0 01020304", "ring"),
        ("host write staged in the batch", RUN + "write a 0 01020304", "ring"),
        ("two reads in flight", "read a 0 8 -> r0\nread b 0 8 -> r1", "cached"),
        ("two reads in one map", "read a 0 8 -> r0\nread b 0 8 -> r1", "ring"),
        ("readback buffer made to measure", "read a 0 12 -> r0", "lazy staging_class_bytes=0"),
        ("memory budget exhausted", "alloc c 1", "lazy memory_budget_bytes=128"),
        (
            "upload buffer full",
            RUN + "write a 0 01020304\nwrite a 4 01020304",
            "ring upload_bytes=4",
        ),
        ("zero length", "write a 0 -", "cached"),
        ("zero length", "copy a 0 b 0 0", "cached"),
        ("zero length", "read a 0 0 -> r0", "cached"),
        ("empty grid", "dispatch affine a 3,5 0x1x1", "cached"),
        ("spread grid", "dispatch tally a 3 65536x1x1", "cached"),
        ("unaligned bytes", "write a 1 01", "cached"),
        ("copy within a buffer", "copy a 0 a 4 8", "cached"),
        ("nothing but host writes submitted", "write a 0 01020304\nflush", "cached"),
        ("sync without a submit", "sync", "cached"),
    ],
)
def test_a_rare_event_is_noticed(goal: str, text: str, policy: str) -> None:
    assert goal in GOALS
    assert covered(A + text, policy).goals[goal] == 1
    quiet = covered(A + "sync", "cached").goals[goal]
    assert quiet == (goal == "sync without a submit")


@pytest.mark.parametrize(
    ("goal", "text", "policy"),
    [
        ("copy within a buffer", "copy a 0 a 8 0", "lazy"),
        ("copy within a buffer", "copy a 0 b 0 8", "lazy"),
        ("readback buffer made to measure", "read a 0 12 -> r0", "lazy"),
    ],
)
def test_what_only_looks_like_a_rare_event_is_not_noticed(
    goal: str, text: str, policy: str
) -> None:
    assert covered(A + text, policy).goals[goal] == 0


def test_what_was_reached_adds_up() -> None:
    total = Coverage()
    for policy in POLICIES:
        total.add(covered(RICH, policy))
    assert total.programs == len(POLICIES)
    assert set(total.goals) <= set(GOALS)
    assert total.batches.total() == sum(
        event.kind == "submit" for policy in POLICIES for event in record(RICH, policy).events
    )
    assert total.cells.total() > covered(RICH, "ring").cells.total()


def test_what_is_left_to_find_is_estimated() -> None:
    assert chance_of_new(Counter()) == 1.0
    assert chance_of_new(Counter("aab")) == pytest.approx(1 / 3)
    assert chance_of_new(Counter("aabb")) == 0.0
