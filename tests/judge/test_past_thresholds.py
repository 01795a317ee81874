"""Programs larger than generated ones, where the runtime takes another path.

A read past the staging pool's size classes, a copy in several pieces, and
scalars that the uniform ring has no room for.
"""

from typing import Any

import numpy as np
import pytest

from gpusim.kernels import BUILTIN, Binding, Kernel, Kernels, Scalar
from gpusim.program import Program
from gpusim.runtime import PRESETS, Policy, parse_policy
from properties.model.case import Case, parse_device
from properties.model.failure import Failure
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

_SCALARS = 70


def _combine(arrays: tuple[Any, ...], scalars: tuple[Any, ...], groups: int) -> None:
    head = arrays[0][: groups * 64]
    for scalar in scalars:
        head *= np.uint32(0x01000193)
        head ^= scalar


LONG = Kernel(
    name="long",
    buffers=(Binding(name="x", access="read_write"),),
    scalars=tuple(Scalar(name=f"s{n}") for n in range(_SCALARS)),
    body="\n".join(
        [
            "    if (i < arrayLength(&x)) {",
            "        var t = x[i];",
            *(f"        t = (t * 0x01000193u) ^ args.s{n};" for n in range(_SCALARS)),
            "        x[i] = t;",
            "    }",
        ]
    ),
    meaning=_combine,
)
"""A payload of 280 bytes, more than one stride of the uniform ring."""

PRESET_NAMES = list(PRESETS)


def failure_of(
    device_name: str, text: str, policy: Policy, kernels: Kernels = BUILTIN
) -> Failure | None:
    case = Case(program=Program.parse(text), policy=policy, device=parse_device(device_name))
    return judge(case, RuntimeFactory(device_name, kernels), MEANING_ONLY).failure


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_a_read_of_more_than_a_mebibyte(device_name: str, preset: str) -> None:
    text = """
        alloc a 1048700
        dispatch scramble a - 4097x1x1
        read a 3 1048661 -> r0
        read a 1048575 125 -> r1
        sync
    """
    assert failure_of(device_name, text, PRESETS[preset]) is None


@pytest.mark.parametrize("preset", PRESET_NAMES)
@pytest.mark.parametrize("source", ["a", "b"], ids=["between", "within"])
def test_a_copy_of_bytes_in_several_pieces(device_name: str, preset: str, source: str) -> None:
    size = (1 << 23) + 12
    text = f"""
        alloc a {size}
        alloc b {size}
        dispatch scramble a - 32769x1x1
        dispatch affine b 3,5 32769x1x1
        dispatch scramble b - 32769x1x1
        copy {source} 1 b 2 {size - 3}
        read b 0 64 -> r0
        read b {(1 << 23) - 64} 76 -> r1
        sync
    """
    assert failure_of(device_name, text, PRESETS[preset]) is None


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_scalars_for_which_uniforms_must_grow(device_name: str, preset: str) -> None:
    numbers = ",".join(str(3 + 2 * n) for n in range(_SCALARS))
    text = f"""
        alloc a 8
        dispatch affine a 3,5 1x1x1
        dispatch long a {numbers} 1x1x1
        dispatch affine a 7,9 1x1x1
        read a 0 8 -> r0
        sync
        dispatch affine a 3,5 1x1x1
        dispatch long a {numbers} 1x1x1
        read a 0 8 -> r1
        sync
    """
    policy = parse_policy(f"{preset} uniform_ring_bytes=1 uniform_slots=2 uniform_cache=1")
    assert failure_of(device_name, text, policy, BUILTIN.adding(LONG)) is None
