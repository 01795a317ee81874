"""What a program costs is counted: work that grows too fast, memory that is kept, things remade."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gpusim.kernels import BUILTIN
from gpusim.ops import Capture, Read, Replay, Sync
from gpusim.program import Program
from gpusim.runtime import Buffer, Driver, Parts, Policy, Runtime, WgpuDriver
from gpusim.runtime.batch import Batch, RingUniforms, Uploads
from gpusim.runtime.caches import CacheState
from gpusim.runtime.commands import DeviceBuffer, Role
from gpusim.runtime.policy import PRESETS
from gpusim.runtime.readbacks import Readback, Readbacks
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.runs import Run
from gpusim.runtime.staging import StagingPage, StagingPool
from gpusim.runtime.uniforms import FreshUniforms
from properties.finding_file import FindingFile, read, write
from properties.model.case import Case, parse_device
from properties.model.failure import FailureKind
from properties.mutants.hunt import Programs
from properties.mutants.mistakes import MUTANTS, find
from properties.mutants.mutant import SOUND, Mutant, Overlay
from properties.mutants.oracles import COSTS, factory_of, oracles_for
from properties.oracles.cost import count_cost, judge_cost
from properties.oracles.judge import judge
from properties.oracles.lines import widened
from properties.targets.factory import AdapterFactory, RuntimeFactory

PROGRAM = Program.parse(
    "alloc a 64\nalloc b 64\nwrite a 0 01020304\ndispatch affine a 3,5 1x1x1\ncopy a 0 b 0 8\n"
    "capture g dispatch affine b 3,5 1x1x1; copy b 0 a 0 4\nreplay g * -\nwrite b 4 05060708\n"
    "read a 0 4 -> r0\nread b 0 64 -> r1\nsync\nfree a\nwrite b 0 01\nfree b\n"
)
FEW = 400


def case_under(policy: str) -> Case:
    return Case(
        program=PROGRAM, device=parse_device("simulated"), policy=PRESETS[policy], seed="1/1"
    )


def of_cost() -> list[Mutant]:
    return [mutant for mutant in MUTANTS if mutant.place.startswith("costs:")]


@pytest.mark.parametrize("policy", PRESETS)
def test_the_sound_runtime_costs_what_it_should(policy: str, device_name: str) -> None:
    case = replace(case_under(policy), device=parse_device(device_name))
    factory = RuntimeFactory(device_name)
    assert count_cost(case, factory) is None
    assert judge(case, factory).failure is None


@pytest.fixture(scope="module")
def made() -> Programs:
    return Programs()


@pytest.mark.parametrize("mutant", of_cost(), ids=lambda mutant: mutant.name)
def test_a_mistake_of_cost_is_found(mutant: Mutant, made: Programs) -> None:
    judged = oracles_for(mutant)[0].open(mutant, "simulated", BUILTIN)
    found = (judged(made.case(1, number)) for number in range(FEW))
    failure = next(failure for failure in found if failure is not None)
    assert failure.kind is FailureKind.COST


@pytest.mark.parametrize("name", ["reads_kept_for_ever", "every_buffer_searched"])
def test_what_is_found_fails_again_from_its_file(name: str, tmp_path: Path) -> None:
    file = tmp_path / "finding.txt"
    write(file, FindingFile(case=case_under("pooled"), summary=name))
    case = read(file).case
    assert COSTS.open(find(name), "simulated", BUILTIN)(case) is not None
    assert COSTS.open(SOUND, "simulated", BUILTIN)(case) is None


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("reads_kept_for_ever", "runtime._readbacks._all"),
        ("handles_kept_for_ever", "runtime._buffers._freed"),
        ("run_keeps_its_uniforms", "runtime._replays._plans._plans[].run.payloads"),
    ],
)
def test_the_collection_that_keeps_the_memory_is_named(name: str, way: str) -> None:
    failure = count_cost(case_under("ring"), factory_of(find(name), "simulated", BUILTIN))
    assert failure is not None
    assert failure.notes[0].startswith(f"the list {way} grows: ")


def test_a_session_counts_some_cases_by_their_seed() -> None:
    mutant = find("handles_kept_for_ever")
    factory = factory_of(mutant, "simulated", BUILTIN)
    drawn = (replace(case_under("ring"), seed=f"1/{number}") for number in range(1, 3000))
    case = next(each for each in drawn if judge_cost(each, factory) is not None)
    failure = judge(case, factory).failure
    assert failure is not None
    assert (failure.kind, failure.trait) == (FailureKind.COST, "memory")
    assert judge(case, factory_of(SOUND, "simulated", BUILTIN)).failure is None


@pytest.mark.parametrize("name", ["run_keeps_its_uniforms", "encoders_kept_for_ever"])
def test_what_lives_long_is_counted_too(name: str) -> None:
    case = replace(case_under("ring"), seed="")
    failure = count_cost(case, factory_of(find(name), "simulated", BUILTIN))
    assert failure is not None
    assert failure.kind is FailureKind.COST


def test_other_targets_and_large_programs_are_not_counted() -> None:
    case = case_under("ring")
    assert count_cost(case, AdapterFactory("simulated")) is None
    large = replace(case, program=Program.parse("alloc a 65536\nfree a\n"))
    factory = factory_of(find("handles_kept_for_ever"), "simulated", BUILTIN)
    assert count_cost(large, factory) is None


def test_widening_issues_an_op_over_buffers_of_its_own() -> None:
    (read,) = [op for op in PROGRAM if isinstance(op, Read) and op.result == "r0"]
    names = [(op.buffer, op.result) for op in widened(read, 3) if isinstance(op, Read)]
    assert len(set(names)) == 3
    (capture,) = [op for op in PROGRAM if isinstance(op, Capture)]
    (longer,) = widened(capture, 3)
    assert isinstance(longer, Capture)
    assert len(longer.commands) == 6
    (replay,) = [op for op in PROGRAM if isinstance(op, Replay)]
    assert [type(op) for op in widened(replay, 3)] == [Replay]
    assert widened(Sync(), 3) == [Sync()]


def test_the_steps_of_a_replay_do_not_each_look_at_every_buffer() -> None:
    ops = "".join(f"alloc a{n} 16\n" for n in range(12))
    commands = "; ".join(f"dispatch affine a{n} 3,5 1x1x1" for n in range(12))
    program = Program.parse(f"{ops}capture g {commands}\nreplay g * -\nsync\n")
    case = replace(case_under("pooled"), program=program)
    assert count_cost(case, RuntimeFactory("simulated")) is None


class BindsAgain(Recorder):
    """Makes the commands of a run at each replay."""

    def _bind_run(self, run: Run) -> None:
        run.is_bound = False
        super()._bind_run(run)


class KeepsPages(Readbacks):
    """Keeps the bytes of each page with the ticket of its read."""

    def _value(self, readback: Readback, page: StagingPage) -> Any:
        if page.mapping is not None:
            self._take(page, page.mapping, page.keep)
        vars(readback.ticket)["kept"] = page
        return super()._value(readback, page)


class DropsPipelines(Runtime):
    """A close drops what the driver has compiled."""

    def close(self, timeout: float | None = 60.0) -> None:
        super().close(timeout)
        assert isinstance(self._driver, WgpuDriver)
        self._driver._pipelines.clear()


def test_a_kernel_is_compiled_once_for_all_runtimes_of_a_driver() -> None:
    case = replace(case_under("ring"), program=Program.parse("alloc a 4\nfree a\n"))
    failure = count_cost(case, RuntimeFactory("simulated", make_runtime=DropsPipelines))
    assert failure is not None
    assert failure.trait == "work of close"


@pytest.mark.parametrize(
    ("parts", "trait"),
    [
        (Parts(recorder=BindsAgain), "work of replay"),
        (Parts(readbacks=KeepsPages), "memory of tickets"),
    ],
)
def test_replays_of_long_graphs_and_kept_tickets_are_counted(parts: Parts, trait: str) -> None:
    program = Program.parse("alloc a 4\nfree a\n")
    case = replace(case_under("ring"), program=program)
    failure = count_cost(case, RuntimeFactory("simulated", parts=parts))
    assert failure is not None
    assert failure.trait == trait


class CopiesArrays(Runtime):
    """Copies each array before it is written."""

    def write(self, buffer: Buffer, data: Any, offset: int = 0) -> None:
        super().write(buffer, np.array(data) if isinstance(data, np.ndarray) else data, offset)


class KeepsArrays(Runtime):
    """Keeps the last array that was written."""

    def write(self, buffer: Buffer, data: Any, offset: int = 0) -> None:
        super().write(buffer, data, offset)
        vars(self)["last"] = data


@pytest.mark.parametrize(
    ("mistaken", "said"),
    [(CopiesArrays, "takes 2.0 times as many bytes"), (KeepsArrays, "keeps the array")],
)
def test_spare_copies_of_large_data_and_kept_arrays_are_found(
    mistaken: type[Runtime], said: str
) -> None:
    factory = RuntimeFactory("simulated", make_runtime=mistaken)
    failure = count_cost(case_under("lazy"), factory)
    assert failure is not None
    assert said in failure.reason


class WritesAll(RingUniforms):
    """The whole ring is written for each batch."""

    def before_submit(self, batch: Batch) -> None:
        if batch.uniform_data:
            batch.uniform_data = batch.uniform_data.ljust(self.capacity_bytes, b"\0")
        super().before_submit(batch)


class UploadsAll(Uploads):
    """The whole upload buffer is written for each batch."""

    def before_submit(self, batch: Batch) -> None:
        if batch.upload_data:
            batch.upload_data = batch.upload_data.ljust(self._capacity_bytes, b"\0")
        super().before_submit(batch)


class UploadsOnce(Uploads):
    """Each upload buffer serves one batch."""

    def before_submit(self, batch: Batch) -> None:
        super().before_submit(batch)
        batch.retired += self.clear() if batch.upload_data else []


class TakesTheLargest(StagingPool):
    """A read takes the largest free buffer."""

    def take(self, size_bytes: int) -> DeviceBuffer:
        return super().take(max([size_bytes, *[free.size_bytes for free in self._free]]))


def staging_of(pool: type[StagingPool]) -> RuntimeFactory:
    def make(driver: Driver, policy: Policy, _: CacheState) -> StagingPool:
        return pool(driver, policy.staging_buffers, policy.staging_class_bytes)

    return RuntimeFactory("simulated", parts=Parts(staging=make))


class DropsTheLargest(StagingPool):
    """A full pool destroys its largest buffer."""

    def give_back(self, buffer: DeviceBuffer) -> None:
        self._free.append(buffer)
        if len(self._free) > self._capacity:
            self._free.sort(key=lambda free: free.size_bytes)
            self._driver.destroy_buffer(self._free.pop())
            self.counts.evicted += 1
        self.counts.held = len(self._free)


@pytest.mark.parametrize(
    ("factory", "trait"),
    [
        (
            RuntimeFactory(
                "simulated",
                parts=Parts(
                    uniforms=lambda driver, policy, _: WritesAll(driver, policy.uniform_ring_bytes)
                ),
            ),
            "written bytes",
        ),
        (RuntimeFactory("simulated", parts=Parts(uploads=UploadsAll)), "written bytes"),
        (staging_of(DropsTheLargest), "dropped staging"),
    ],
)
def test_bytes_that_a_batch_does_not_use_and_large_buffers_that_are_dropped_are_waste(
    factory: RuntimeFactory, trait: str
) -> None:
    text = (
        "alloc a 8192\ndispatch affine a 3,5 1x1x1\nwrite a 0 11111111\nread a 0 8192 -> r0\n"
        "read a 0 4 -> r1\nsync\nread a 0 4 -> r2\nsync\n"
    )
    policy = replace(PRESETS["ring"], staging_buffers=1)
    case = replace(case_under("ring"), program=Program.parse(text), policy=policy, seed="")
    failure = judge(case, factory).failure
    assert failure is not None
    assert failure.trait == trait
    assert judge(case, RuntimeFactory("simulated")).failure is None


@pytest.mark.parametrize(
    ("factory", "trait"),
    [
        (RuntimeFactory("simulated", parts=Parts(uploads=UploadsOnce)), "made again"),
        (staging_of(TakesTheLargest), "taken staging"),
    ],
)
def test_a_second_upload_buffer_and_a_needlessly_large_staging_buffer_are_waste(
    factory: RuntimeFactory, trait: str
) -> None:
    again = "dispatch affine a 3,5 1x1x1\nwrite a 0 11111111\nread a 0 4 -> r%d\n"
    text = f"alloc a 8192\nread a 0 8192 -> r0\n{again % 1}sync\n{again % 2}sync\n"
    case = replace(case_under("ring"), program=Program.parse(text), seed="")
    failure = judge(case, factory).failure
    assert failure is not None
    assert failure.trait == trait
    assert judge(case, RuntimeFactory("simulated")).failure is None


class Generous(Overlay):
    """Makes the buffers of one role larger than they need to be."""

    def __init__(self, inner: Any, role: Role) -> None:
        super().__init__(inner)
        self._role = role

    def create_buffer(self, size_bytes: int, role: Role) -> DeviceBuffer:
        made_bytes = size_bytes + 64 * (role is self._role)
        buffer: DeviceBuffer = self._inner.create_buffer(made_bytes, role)
        return buffer


class AllocsMore(Runtime):
    """An alloc takes more bytes than it was asked for."""

    def _assemble(self, parts: Parts) -> None:
        super()._assemble(parts)
        self._driver = Generous(self._driver, Role.STORAGE)


_PADDED = Parts(uniforms=lambda driver, _, caches: FreshUniforms(Generous(driver, Role.UNIFORM)))


@pytest.mark.parametrize(
    ("factory", "trait"),
    [
        (RuntimeFactory("simulated", make_runtime=AllocsMore), "alloc size"),
        (RuntimeFactory("simulated", parts=_PADDED), "uniform size"),
    ],
)
def test_buffers_larger_than_what_they_hold_are_waste(factory: RuntimeFactory, trait: str) -> None:
    failure = judge(replace(case_under("lazy"), seed=""), factory).failure
    assert failure is not None
    assert failure.trait == trait


class FreesLate(Recorder):
    """A freed buffer waits for the next submit, though no command uses it."""

    def destroy(self, buffer: DeviceBuffer) -> None:
        self.retire(buffer)


@pytest.mark.parametrize("policy", PRESETS)
def test_a_freed_buffer_that_nothing_uses_is_not_kept(policy: str) -> None:
    text = "alloc a 64\nalloc b 64\ndispatch affine a 3,5 1x1x1\nfree b\nread a 0 4 -> r0\nsync\n"
    case = replace(case_under(policy), program=Program.parse(text), seed="")
    failure = judge(case, RuntimeFactory("simulated", parts=Parts(recorder=FreesLate))).failure
    assert failure is not None
    assert failure.trait == "frees"
    assert judge(case, RuntimeFactory("simulated")).failure is None


class CopiesTheBatch(Recorder):
    """To take a replay back, keeps a copy of all commands that the batch has before it."""

    def all_or_nothing(self, written: Sequence[Buffer]) -> Any:
        vars(self)["kept"] = [*self._batch.commands]
        return super().all_or_nothing(written)


def test_a_command_in_a_long_batch_takes_no_more_memory_than_in_a_short_one() -> None:
    factory = RuntimeFactory("simulated", parts=Parts(recorder=CopiesTheBatch))
    failure = count_cost(case_under("lazy"), factory)
    assert failure is not None
    assert failure.trait == "memory of a replay of a dispatch"
    assert count_cost(case_under("ring"), factory) is not None, "copies of bytes go step by step"
