"""A program of a session follows from its seed and number, and its device can be written down."""

from dataclasses import replace

import pytest

from gpusim.errors import ProgramError
from gpusim.kernels import OFFERED
from gpusim.limits import Limits
from gpusim.ops import Read
from gpusim.program import Program
from gpusim.runtime.policy import PRESETS
from gpusim.simulated import FaultPlan, parse_faults
from properties.fuzz.loading import load_kernels
from properties.generate.cases import CaseSettings, case_for
from properties.model.case import (
    SCHEDULERS,
    SMALL_BUFFER_BYTES,
    AskedLimits,
    Case,
    DeviceSpec,
    parse_device,
    small_limits,
)
from properties.oracles.judge import judge
from properties.targets.factory import RuntimeFactory, limits_of, open_case_device
from properties.targets.failing import faults_of
from reference import run

TWO = ("eager", "cached")


def numbered(
    number: int,
    *,
    seed: int = 1,
    device: str = "vulkan",
    faults: bool = False,
    small: tuple[AskedLimits, ...] = (),
) -> Case:
    setting = CaseSettings(device=device, limits=Limits(), presets=TWO, faults=faults, small=small)
    return case_for(seed, number, setting)


def test_a_number_makes_the_same_case_again_and_another_makes_another() -> None:
    cases = [numbered(number) for number in range(20)]
    assert [numbered(number) for number in reversed(range(20))] == cases[::-1]
    assert len({str(case.program) for case in cases}) == 20
    assert [case.policy.name for case in cases[:3]] == ["eager", "cached", "eager"]
    assert cases[7].seed == "1/7"
    assert numbered(7, seed=17).program != cases[7].program


def test_schedulers_take_turns_on_simulated_devices_alone() -> None:
    cases = [numbered(number, device="simulated") for number in range(12)]
    schedulers = [case.device.scheduler for case in cases]
    assert schedulers == [name for name in SCHEDULERS for _ in TWO] * 2
    seeds = {case.device.seed for case in cases if case.device.scheduler == "random"}
    assert len(seeds) == 4, "two programs share a schedule"
    assert [case.program for case in cases] == [numbered(n).program for n in range(12)]
    assert {numbered(number).device for number in range(12)} == {DeviceSpec(name="vulkan")}


def test_small_limits_are_asked_of_many_devices_and_programs_keep_them() -> None:
    for device, least, most_asked in (("vulkan", 130, 170), ("simulated", 155, 190)):
        small = small_limits(Limits(), simulated=device == "simulated")
        cases = [numbered(number, device=device, small=small) for number in range(200)]
        asked = [case.device.limits for case in cases]
        assert least < sum(map(bool, asked)) < most_asked
        for case in (case for case, limits in zip(cases, asked, strict=True) if limits):
            most = case.limits(Limits())
            outcomes = run(case.program, limits=most).outcomes
            assert sum(outcome.error is None for outcome in outcomes) > len(outcomes) / 2
    assert parse_device("gl max_binding_bytes=512").limits == (("max_binding_bytes", 512),)


def test_programs_read_the_largest_buffer_of_a_device_whole() -> None:
    most = ("max_buffer_bytes", SMALL_BUFFER_BYTES)
    small = [each for each in small_limits(Limits(), simulated=True) if most in each]
    cases = [numbered(number, device="simulated", small=tuple(small)) for number in range(300)]
    reads = [op.size_bytes for case in cases for op in case.program if isinstance(op, Read)]
    assert sum(size_bytes == SMALL_BUFFER_BYTES for size_bytes in reads) > 5


def test_a_real_runtime_is_held_to_the_limits_of_its_case(device_name: str) -> None:
    factory = RuntimeFactory(device_name)
    spec = parse_device(device_name)
    assert factory.limits == limits_of(open_case_device(spec))
    assert len(factory.small) > 2
    for asked in factory.small:
        case = replace(numbered(0), device=replace(spec, limits=asked))
        opened = factory.open(case)
        assert opened.target.limits == case.limits(factory.limits)
        opened.target.close()


def test_faults_are_drawn_on_every_device_and_change_no_program() -> None:
    cases = [numbered(number, device="simulated", faults=True) for number in range(40)]
    plans = [case.device.faults for case in cases]
    assert 20 < sum(len(plan) > 0 for plan in plans) < 40
    assert [numbered(n, device="simulated", faults=True) for n in range(40)] == cases
    assert numbered(3).device == DeviceSpec(name="vulkan")
    assert any(len(numbered(n, faults=True).device.faults) for n in range(12))
    assert [case.program for case in cases[:12]] == [numbered(n).program for n in range(12)]
    for case, plan in zip(cases, plans, strict=True):
        assert (case.device.shown_faults == frozenset()) == (len(plan) == 0)


@pytest.mark.parametrize(
    "spec",
    [
        DeviceSpec(name="simulated"),
        DeviceSpec(name="simulated", scheduler="early"),
        DeviceSpec(name="simulated", profile="wgpu-native"),
        DeviceSpec(name="simulated", faults=FaultPlan(internal_errors=(2,), lost_at_encode=3)),
        DeviceSpec(name="simulated", scheduler="random", seed=17),
        DeviceSpec(name="simulated", scheduler="replay", schedule=(0, 2, 1)),
        DeviceSpec(name="simulated", faults=FaultPlan(failed_maps=(0, 3), lost_at_unmap=40)),
        DeviceSpec(name="simulated", scheduler="early", limits=(("max_binding_bytes", 512),)),
    ],
)
def test_a_simulated_device_is_read_back(spec: DeviceSpec) -> None:
    assert parse_device(str(spec)) == spec
    assert spec.is_simulated
    assert open_case_device(spec).queue is not None


@pytest.mark.parametrize("word", ["scheduler=fast", "seed=x", "seed", "speed=1", "schedule=0,a"])
def test_an_unknown_word_of_a_simulated_device_is_named(word: str) -> None:
    with pytest.raises(ProgramError, match=word):
        parse_device(f"simulated {word}")
    with pytest.raises(ProgramError, match="such a device has no 'seed=1'"):
        parse_device("vulkan seed=1")


def test_kernels_that_are_none_or_share_a_name_are_refused() -> None:
    assert load_kernels("") is OFFERED
    assert list(load_kernels("gpusim.kernels.builtin:BUILTIN")) == list(OFFERED)
    with pytest.raises(ProgramError, match=r"cannot load KERNELS from .gpusim\.errors"):
        load_kernels("gpusim.errors")
    with pytest.raises(ProgramError, match="is no Kernel"):
        load_kernels("gpusim.kernels:__all__")


def test_a_device_fails_as_its_case_says(device_name: str) -> None:
    """A simulated one by itself, a real one through a driver around it."""
    spec = replace(parse_device(device_name), faults=parse_faults("failed_bind_groups=1"))
    program = Program.parse(
        "alloc a 4\ndispatch affine a 1,1 1x1x1\ndispatch scramble a - 1x1x1\n"
        "read a 0 4 -> r\nsync\n"
    )
    case = Case(program=program, device=spec, policy=PRESETS["ring"])
    verdict = judge(case, RuntimeFactory(device_name))
    assert verdict.failure is None
    assert [outcome.error for outcome in verdict.execution.history.outcomes] == [
        None, None, "OutOfMemory", None, None,
    ]  # fmt: skip


def test_every_kind_of_fault_is_known_to_a_driver_around_a_real_device() -> None:
    for name in FaultPlan.__dataclass_fields__:
        plan = parse_faults(f"{name}=3")
        (fault,) = faults_of(plan)
        assert fault.call == 3
        assert fault.error.__name__ in DeviceSpec(name="vulkan", faults=plan).planned_faults
    assert faults_of(FaultPlan()) == []
