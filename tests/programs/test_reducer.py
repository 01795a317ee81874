"""Reducing planted failures: minimal, deterministic, and well behaved at the edges."""

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import count

import pytest

from gpusim.kernels import BUILTIN
from gpusim.ops import Alloc, Dispatch, Flush, Free, Read, Write
from gpusim.program import Program, buffers_of
from gpusim.runtime.policy import PRESETS, Policy
from properties.generate.choices import SeededChoices
from properties.generate.generator import generate
from properties.model.case import Case, DeviceSpec, parse_device
from properties.model.failure import Failure, FailureKind
from properties.shrink.devices import simpler_devices, with_earlier_faults
from properties.shrink.passes import PASSES
from properties.shrink.reducer import reduce, shrink
from properties.shrink.rewriting import canonical, without
from properties.shrink.search import Search, text_of
from properties.shrink.simpler import simpler_numbers, simpler_ops

NOWHERE = DeviceSpec(name="none")


def case_of(text: str, policy: Policy = PRESETS["cached"]) -> Case:
    return Case(program=Program.parse(text.replace(";", "\n")), policy=policy, device=NOWHERE)


def generated(seed: str) -> Case:
    program = generate(SeededChoices(seed))
    return Case(program=program, policy=PRESETS["cached"], device=NOWHERE)


def smallest(case: Case, fails: Callable[[Case], bool]) -> Case:
    """What it comes down to, however long that takes on a busy machine."""
    return reduce(case, fails, seconds=math.inf)


def dispatch_then_write_then_read(case: Case) -> bool:
    """A dispatch of affine, then a write to the buffer it bound, then a read of that."""
    state: dict[str, int] = {}
    for op in case.program:
        match op:
            case Dispatch() if (
                op.kernel == "affine" and len(op.buffers) == len(op.scalars) - 1 == 1
            ):
                state.setdefault(buffers_of(op)[0], 1)
            case Write() if state.get(op.buffer) == 1:
                state[op.buffer] = 2
            case Read() if state.get(op.buffer) == 2:
                return True
            case _:
                pass
    return False


SEEDS = [seed for at in range(140) if dispatch_then_write_then_read(generated(seed := f"r {at}"))]
MINIMAL = "alloc a 0\ndispatch affine a 1,1 1x1x1\nwrite a 0 -\nread a 0 0 -> r0\n"


def test_failure_is_found_in_many_programs() -> None:
    assert len(SEEDS) >= 20


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_every_failing_program_comes_down_to_one_text(seed: str) -> None:
    case = smallest(generated(seed), dispatch_then_write_then_read)
    assert str(case.program) == MINIMAL
    assert case.policy == PRESETS["eager"]


@pytest.mark.parametrize("seed", SEEDS[:5])
def test_no_op_of_the_result_can_go(seed: str) -> None:
    program = smallest(generated(seed), dispatch_then_write_then_read).program
    for position in range(len(program)):
        smaller = Case(
            program=without(program, [position]), policy=PRESETS["eager"], device=NOWHERE
        )
        assert not dispatch_then_write_then_read(smaller)


def test_every_candidate_is_asked_about_once() -> None:
    asked: list[Case] = []

    def fails(case: Case) -> bool:
        asked.append(case)
        return dispatch_then_write_then_read(case)

    smallest(generated(SEEDS[0]), fails)
    assert len(asked) == len({text_of(case) for case in asked})


def test_a_scalar_that_is_not_a_number_is_asked_about_once() -> None:
    asked: list[str] = []

    def fails(case: Case) -> bool:
        asked.append(text_of(case))
        return False

    search = Search(case_of("alloc a 4"), fails, {}, lambda: False)
    for _ in range(2):
        assert not search.take(case_of("alloc a 4; alloc b 4; dispatch axpy a,b nan 1x1x1"))
    assert len(asked) == 1


def test_an_op_stays_since_no_file_can_hold_a_program_without_any() -> None:
    assert len(smallest(case_of("alloc a 4; flush; sync"), lambda case: True).program) == 1


def test_case_that_does_not_fail_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot reduce a case because it does not fail"):
        smallest(case_of("sync"), lambda case: False)


def test_out_of_time_gives_what_was_found_so_far() -> None:
    case = generated(SEEDS[0])
    asked: list[Case] = []

    def fails(candidate: Case) -> bool:
        asked.append(candidate)
        return dispatch_then_write_then_read(candidate)

    # A second passes whenever the clock is read, which is before each candidate.
    found = reduce(case, fails, seconds=8.0, clock=map(float, count()).__next__)
    assert len(asked) == 1 + 8
    assert found == [one for one in asked if dispatch_then_write_then_read(one)][-1]
    assert len(MINIMAL.splitlines()) < len(found.program) < len(case.program)


def test_two_ops_that_need_each_other_go_together() -> None:
    case = case_of("alloc a 4; flush; sync; read a 0 4 -> r")

    def fails(candidate: Case) -> bool:
        kinds = [type(op).__name__ for op in candidate.program]
        return "Read" in kinds and kinds.count("Flush") == kinds.count("Sync")

    assert str(smallest(case, fails).program) == "alloc a 0\nread a 0 0 -> r0\n"


def test_numbers_that_belong_together_shrink_together() -> None:
    case = case_of("alloc a 600; write a 512 01020304; read a 512 4 -> r")

    def fails(candidate: Case) -> bool:
        ops = candidate.program.ops
        return (
            len(ops) == 3
            and isinstance(ops[1], Write)
            and isinstance(ops[2], Read)
            and len(ops[1].data) == ops[2].size_bytes >= 4
            and ops[1].offset == ops[2].offset
        )

    assert str(smallest(case, fails).program) == "alloc a 0\nwrite a 0 01010101\nread a 0 4 -> r0\n"


def test_buffers_are_merged_and_renamed() -> None:
    case = case_of("alloc p 4; alloc q 4; dispatch fold p,q 9 1x1x1; read q 0 4 -> z")

    def fails(candidate: Case) -> bool:
        kinds = [type(op).__name__ for op in candidate.program]
        return "Dispatch" in kinds and "Read" in kinds

    text = "alloc a 0\ndispatch affine a 1,1 1x1x1\nread a 0 0 -> r0\n"
    assert str(smallest(case, fails).program) == text


def test_policy_keeps_only_what_the_failure_needs() -> None:
    policy = Policy(
        name="cached", uniform_cache=2, bind_group_cache=1, batch_commands=3, debug_submit_each=True
    )
    case = case_of("alloc a 4; sync", policy)
    found = smallest(case, lambda candidate: candidate.policy.uniform_cache < 5)
    assert str(found.policy) == "eager uniform_cache=2"


def test_policy_stays_where_the_failure_needs_the_preset() -> None:
    found = smallest(case_of("sync"), lambda candidate: candidate.policy.name == "cached")
    assert found.policy == PRESETS["cached"]


def test_without_an_alloc_go_the_ops_of_its_buffer() -> None:
    program = Program.parse("alloc a 4\nalloc b 4\ncopy a 0 b 0 4\nread b 0 4 -> r\nfree a")
    assert str(without(program, [0])) == "alloc b 4\nread b 0 4 -> r\n"


def test_canonical_names_follow_the_order() -> None:
    case = case_of("alloc x 4; alloc m 4; read m 0 4 -> z; copy x 0 m 0 4; read x 0 4 -> q")
    assert str(canonical(case.program)) == (
        "alloc a 4\nalloc b 4\nread b 0 4 -> r0\ncopy a 0 b 0 4\nread a 0 4 -> r1\n"
    )


NUMBERS = (0, 1, 3, 4, 5, 64, 257, 600, 65_536, 65_537, -1, -64, 2**32 + 1)


@pytest.mark.parametrize("number", NUMBERS)
def test_simpler_numbers_never_lead_back(number: int) -> None:
    simpler_ones = simpler_numbers(number)
    assert simpler_ones or number == 0
    for simpler in simpler_ones:
        assert number not in simpler_numbers(simpler)


@pytest.mark.parametrize("threshold", [4, 256, 600, 16_384, 65_532])
def test_threshold_is_reached_in_few_steps(threshold: int) -> None:
    number, asked = 2**20, 0
    going = True
    while going:
        going = False
        for simpler in simpler_numbers(number):
            asked += 1
            if simpler >= threshold:
                number, going = simpler, True
                break
    assert number == threshold
    assert asked < 500


def test_simpler_ops_never_lead_back() -> None:
    ops = generate(SeededChoices("long"))
    steps = [(op, simpler) for op in ops for simpler in simpler_ops(op, BUILTIN)]
    assert len(steps) > len(ops)
    for op, simpler in steps:
        assert op not in list(simpler_ops(simpler, BUILTIN))


def test_buffers_one_after_the_other_become_one_that_lives_on() -> None:
    def parted(case: Case) -> bool:
        """Three dispatches, of which no two share a batch, whatever parts them."""
        batches = [0]
        for op in case.program:
            if isinstance(op, Dispatch):
                batches[-1] += 1
            elif isinstance(op, Flush | Free) and batches[-1]:
                batches.append(0)
        return batches[:3] == [1, 1, 1]

    once = "alloc {0} 4;dispatch affine {0} 1,1 1x1x1;free {0};"
    small = smallest(
        case_of(once.format("a") + once.format("b") + once.format("c")), parted
    ).program
    dispatch = "dispatch affine a 1,1 1x1x1\n"
    assert str(small) == "alloc a 0\n" + "flush\n".join([dispatch] * 3)


FAULTY = parse_device(
    "simulated profile=wgpu-native scheduler=random seed=17 failed_maps=5,7 out_of_memory=3 "
    "lost_at_buffer=90 max_binding_bytes=512 max_groups_per_dimension=7"
)
READS = "alloc a 4;" + "".join(f"read a 0 4 -> r{n};" for n in range(6)) + "sync"


def on_device(device: DeviceSpec = FAULTY) -> Case:
    return replace(case_of(READS), device=device)


def test_what_does_not_matter_of_a_device_goes() -> None:
    found = smallest(on_device(), lambda case: "read" in str(case.program))
    assert str(found.device) == "simulated"


@pytest.mark.parametrize(
    ("needed", "left"),
    [
        (lambda device: device.faults.lost_at_buffer is not None, "simulated lost_at_buffer=0"),
        (lambda device: len(device.faults.failed_maps) == 2, "simulated failed_maps=0,1"),
        (lambda device: bool(device.faults.out_of_memory), "simulated out_of_memory=0"),
        (
            lambda device: "max_binding_bytes" in dict(device.limits),
            "simulated max_binding_bytes=512",
        ),
        (lambda device: device.profile != "spec", "simulated profile=wgpu-native"),
        (lambda device: device.scheduler != "late", "simulated scheduler=early"),
        (lambda device: device.seed > 1, "simulated scheduler=random seed=2"),
    ],
)
def test_what_matters_of_a_device_stays_alone_and_small(
    needed: Callable[[DeviceSpec], bool], left: str
) -> None:
    assert str(smallest(on_device(), lambda case: needed(case.device)).device) == left


def test_choices_to_replay_become_fewer() -> None:
    device = parse_device("simulated scheduler=replay schedule=1,0,2,1,1,0,0")
    case = on_device(device)
    found = smallest(case, lambda case: case.device.schedule[:3] == (1, 0, 2))
    assert found.device.schedule == (1, 0, 2)


def test_a_fault_comes_earlier_as_the_ops_before_it_go() -> None:
    def last_read_fails(case: Case) -> bool:
        reads = [op for op in case.program if isinstance(op, Read)]
        return len(reads) - 1 in case.device.faults.failed_maps

    found = smallest(on_device(), last_read_fails)
    assert str(found.program) == "alloc a 0\nread a 0 0 -> r0\n"
    assert str(found.device) == "simulated failed_maps=0"


@pytest.mark.parametrize("device", [FAULTY, parse_device("simulated failed_submits=1,2,3,4,6")])
def test_simpler_devices_never_lead_back(device: DeviceSpec) -> None:
    steps = [*simpler_devices(device), *with_earlier_faults(device, 3)]
    assert len(steps) > 10
    for simpler in steps:
        assert device not in [*simpler_devices(simpler), *with_earlier_faults(simpler, 3)]


def test_a_write_that_ends_with_its_buffer_shrinks_with_it() -> None:
    case = case_of(f"alloc a 2012; write a 4 {'01' * 2008}; read a 0 2012 -> r")

    def fails(candidate: Case) -> bool:
        match candidate.program.ops:
            case (Alloc() as alloc, Write(offset=4) as write, Read(offset=0) as read):
                size = 4 + len(write.data)
                return alloc.size_bytes == read.size_bytes == size >= 12
            case _:
                return False

    text = f"alloc a 12\nwrite a 4 {'01' * 8}\nread a 0 12 -> r0\n"
    assert str(smallest(case, fails).program) == text


def test_a_read_keeps_the_bytes_at_its_end_only() -> None:
    case = case_of("alloc a 260; read a 0 260 -> r")

    def fails(candidate: Case) -> bool:
        reads = [op for op in candidate.program if isinstance(op, Read)]
        return any(op.offset <= 256 < op.offset + op.size_bytes for op in reads)

    small = smallest(case, fails).program
    assert [(op.offset, op.size_bytes) for op in small if isinstance(op, Read)] == [(256, 4)]


def test_shrinking_says_what_it_tried_and_judges_nothing_twice() -> None:
    judged: list[str] = []
    failure = Failure(kind=FailureKind.VALUE, reason="it is wrong")

    def judgement(case: Case) -> Failure | None:
        judged.append(text_of(case))
        return failure if dispatch_then_write_then_read(case) else None

    shrunk = shrink(generated(SEEDS[0]), failure, judgement, seconds=math.inf)
    assert shrunk is not None
    assert not shrunk.is_cut_short
    assert len(set(judged)) == len(judged) == shrunk.candidates
    assert list(shrunk.passes) == [one.__name__ for one in PASSES]
    assert 1 + sum(count.tried for count in shrunk.passes.values()) == shrunk.candidates
    assert all(count.taken <= count.tried for count in shrunk.passes.values())
    assert shrunk.passes["delete_ops"].taken > 0


@pytest.mark.parametrize("needs_it", [False, True])
def test_an_op_is_out_of_range_only_where_the_failure_needs_it(*, needs_it: bool) -> None:
    text = "alloc a 8\nalloc b 4\nwrite a 0 0102030405060708\nread a 0 4 -> r0\nread b 4 4 -> r1\n"
    case = Case(program=Program.parse(text), policy=PRESETS["eager"], device=NOWHERE)
    failure = Failure(kind=FailureKind.VALUE, reason="wrong")

    def is_beyond(candidate: Case) -> bool:
        sizes = {op.buffer: op.size_bytes for op in candidate.program if isinstance(op, Alloc)}
        reads = [op for op in candidate.program if isinstance(op, Read)]
        return any(op.offset + op.size_bytes > sizes.get(op.buffer, 0) for op in reads)

    def judgement(candidate: Case) -> Failure | None:
        offsets = {op.offset for op in candidate.program if isinstance(op, Read)}
        return failure if len(offsets) > 1 and is_beyond(candidate) >= needs_it else None

    small = shrink(case, failure, judgement, seconds=math.inf)
    assert small is not None
    assert is_beyond(small.case) is needs_it


def test_a_negative_alloc_that_no_op_needs_is_left_alone() -> None:
    text = "alloc a 4\nalloc b -4\nread a 0 4 -> r0\n"
    case = Case(program=Program.parse(text), policy=PRESETS["eager"], device=NOWHERE)
    failure = Failure(kind=FailureKind.VALUE, reason="wrong")

    def judgement(candidate: Case) -> Failure | None:
        sizes = [op.size_bytes for op in candidate.program if isinstance(op, Alloc)]
        return failure if any(size < 0 for size in sizes) else None

    small = shrink(case, failure, judgement, seconds=math.inf)
    assert small is not None
    assert [op.verb for op in small.case.program] == ["alloc"]
