"""Planted mistakes of order, in a toy that batches: found by the generator, made small.

The toy runs ops on the reference, dispatches and copies later than they were
called.  It stands in for a runtime, so that programs and reducer are tested
without one.
"""

import math
import statistics
from collections.abc import Callable, Sequence
from functools import cache
from unittest.mock import Mock

import pytest

from gpusim.errors import Refused
from gpusim.ops import Grid
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from properties.execute import run
from properties.generate.cases import draw_case
from properties.generate.choices import SeededChoices
from properties.model.capabilities import CONTRACT
from properties.model.case import Case, DeviceSpec
from properties.model.failure import Failure
from properties.model.target import Adapter
from properties.oracles.compare import compare
from properties.shrink.reducer import reduce
from properties.shrink.rewriting import without
from properties.targets.adapters import as_target
from reference import Reference, ReferenceDelivery
from reference import run as run_reference

MISTAKES = (
    "write_overtakes_batch",
    "read_misses_batch",
    "free_before_flush",
    "uniform_shared",
    "copy_forgotten",
    "pad_clears_neighbours",
)


class Toy(Adapter):
    """An adapter that defers dispatches and copies, and makes one mistake, or none."""

    capabilities = CONTRACT

    def __init__(self, mistake: str = "") -> None:
        self._mistake = mistake
        self._called = Reference()
        self._device = Reference()
        self._pending: list[Callable[[], None]] = []
        self._last: dict[str, Sequence[int | float]] = {}
        self.limits = self._called.limits

    def alloc(self, buffer: str, size_bytes: int) -> None:
        self._called.alloc(buffer, size_bytes)
        self._device.alloc(buffer, size_bytes)

    def write(self, buffer: str, data: bytes, offset: int) -> None:
        self._called.write(buffer, data, offset)
        self._submit_unless("write_overtakes_batch")
        if self._mistake == "pad_clears_neighbours":
            data = self._padded(buffer, offset, data)
        self._device.write(buffer, data, offset)

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        self._called.dispatch(kernel, buffers, scalars, grid)
        self._last[kernel] = scalars

        def perform() -> None:
            taken = self._last[kernel] if self._mistake == "uniform_shared" else scalars
            self._device.dispatch(kernel, buffers, taken, grid)

        self._pending.append(perform)

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        self._called.copy(source, source_offset, target, target_offset, size_bytes)
        if self._mistake == "copy_forgotten" and not self._pending:
            return
        self._pending.append(
            lambda: self._device.copy(source, source_offset, target, target_offset, size_bytes)
        )

    def read(self, buffer: str, offset: int, size_bytes: int) -> ReferenceDelivery:
        self._called.read(buffer, offset, size_bytes)
        self._submit_unless("read_misses_batch")
        return self._device.read(buffer, offset, size_bytes)

    def free(self, buffer: str) -> None:
        self._called.free(buffer)
        self._submit_unless("free_before_flush")
        self._device.free(buffer)

    def flush(self) -> None:
        self._submit_unless("")

    def sync(self) -> None:
        self._submit_unless("")

    def close(self) -> None:
        self._pending.clear()

    def _submit_unless(self, mistake: str) -> None:
        if mistake and self._mistake == mistake:
            return
        pending, self._pending = self._pending, []
        for perform in pending:
            try:
                perform()
            except Refused:
                # A batch that names a destroyed buffer is lost from there on.
                break

    def _padded(self, buffer: str, offset: int, data: bytes) -> bytes:
        padded = data + bytes(-len(data) % 4)
        try:
            self._device.read(buffer, offset, len(padded))
        except Refused:
            return data
        return padded


def judge(program: Program, mistake: str) -> Failure | None:
    expected = run_reference(program)
    return compare(program, expected, run(program, as_target(Toy(mistake))), CONTRACT)


def fails_with(mistake: str) -> Callable[[Case], bool]:
    return lambda case: judge(case.program, mistake) is not None


def case_of(seed: str) -> Case:
    preset = PRESETS["cached"]
    return draw_case(
        SeededChoices(seed),
        preset=preset,
        device=DeviceSpec(name="toy"),
        seed=seed,
        promises=Toy.capabilities,
    )


@cache
def found(mistake: str, number: int = 0) -> Case:
    """The failing case number ``number`` of a mistake, as generated."""
    seeds = (case_of(f"toy {at}") for at in range(200))
    failing = (case for case in seeds if judge(case.program, mistake))
    for _ in range(number):
        next(failing)
    return next(failing)


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """What it comes down to, however long that takes on a busy machine."""
    return reduce(case, fails, seconds=math.inf)


@cache
def reduced(mistake: str) -> Case:
    return smallest(found(mistake), fails_with(mistake))


def test_a_toy_without_a_mistake_shows_what_programs_mean() -> None:
    for at in range(100):
        assert judge(case_of(f"right {at}").program, "") is None


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_seen_often_and_made_small(mistake: str) -> None:
    seen = sum(judge(case_of(f"often {at}").program, mistake) is not None for at in range(100))
    assert seen >= 8
    assert len(reduced(mistake).program) <= 6, str(reduced(mistake).program)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_reduced_program_passes_without_any_one_op(mistake: str) -> None:
    case = reduced(mistake)
    assert judge(case.program, mistake) is not None
    for position in range(len(case.program)):
        assert judge(without(case.program, [position]), mistake) is None


@pytest.mark.parametrize("mistake", MISTAKES)
def test_reduced_policy_is_the_simplest_where_policy_does_not_matter(mistake: str) -> None:
    assert reduced(mistake).policy == PRESETS["eager"]


def test_reducing_twice_gives_the_same_and_nothing_smaller() -> None:
    once = smallest(found("write_overtakes_batch"), fails_with("write_overtakes_batch"))
    again = smallest(found("write_overtakes_batch"), fails_with("write_overtakes_batch"))
    assert once == again
    assert smallest(once, fails_with("write_overtakes_batch")) == once


def test_median_of_many_is_four_ops_after_some_hundred_candidates() -> None:
    sizes, asked = [], []
    for mistake in MISTAKES:
        for number in range(3):
            fails = Mock(wraps=fails_with(mistake))
            sizes.append(len(smallest(found(mistake, number), fails).program))
            asked.append(fails.call_count)
    assert statistics.median(sizes) <= 4
    # Each candidate is a run on a device, so that their number is what making small costs.
    assert statistics.median(asked) <= 130
