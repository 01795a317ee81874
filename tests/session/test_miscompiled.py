"""A mistake of the compiler is invisible where reference and device share it, seen elsewhere."""

from dataclasses import replace

import pytest

import gpusim.devices
from gpusim.kernels import AFFINE, BUILTIN, Kernel, Kernels
from properties.fuzz.miscompiled import hunt_miscompiled, miscompiled
from properties.model.case import Case
from properties.mutants.hunt import Programs
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

pytestmark = pytest.mark.unit
BARE = Kernel.from_wgsl(AFFINE.wgsl(), name="bare")
KERNELS = BUILTIN.adding(BARE)


def hunted(device: str, kernels: Kernels = KERNELS) -> object:
    made = Programs(device, kernels)
    factory = RuntimeFactory(device, kernels)
    planted = hunt_miscompiled(
        factory,
        device,
        lambda others: RuntimeFactory(device, others),
        lambda number: made.case(3, number),
        lambda: None,
    )
    return planted and (planted.seen, planted.blind, planted.is_as_known, planted.programs > 0)


def test_no_session_of_bare_wgsl_on_the_simulated_device_sees_it() -> None:
    assert hunted("simulated") == (False, True, True, True)


def test_a_session_without_bare_wgsl_plants_none() -> None:
    assert hunted("simulated", BUILTIN) is None


def test_a_real_adapter_shows_it() -> None:
    if "vulkan" not in [adapter.name for adapter in gpusim.devices.adapters()]:
        pytest.skip("this machine has no vulkan adapter")
    assert hunted("vulkan") == (True, False, True, True)


def test_a_meaning_written_by_hand_shows_it() -> None:
    wrong, what = miscompiled(BARE) or (BARE, "")
    assert what.startswith("the compiler takes")
    meant = replace(wrong, meaning=AFFINE.meaning, varied=None, takes_grid=False)
    kernels = BUILTIN.adding(meant)
    factory, made = RuntimeFactory("simulated", kernels), Programs("simulated", kernels)
    cases: list[Case] = [made.case(3, number) for number in range(30)]
    assert any(judge(case, factory, MEANING_ONLY).failure for case in cases)
