"""A runtime that takes no WGSL is judged by the described operations that it has."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gpusim.kernels import BUILTIN, ELEMENTWISE, OFFERED
from gpusim.limits import Limits
from gpusim.ops import AnyDispatch
from gpusim.program import Program, flattened
from properties.fuzz.engine import Session, fuzz
from properties.fuzz.settings import Settings
from properties.generate.cases import CaseSettings, case_for
from properties.model.capabilities import Capabilities
from properties.targets.wire import parse_hello, write_hello
from reference import run as run_reference

OPERATING = Path(__file__).with_name("operating.py")
ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "node": ROOT / "examples/javascript/operations.mjs",
    "perl": ROOT / "examples/perl/target.pl",
}


def session(target: str, device: str, folder: Path, programs: int) -> Session:
    settings = Settings(
        device=device, target=target, programs=programs, seed=1, findings=1, save=folder
    )
    return fuzz(settings, lambda _: None)


def kernels_in(programs: int, promises: Capabilities) -> set[str]:
    setting = CaseSettings(device="simulated", limits=Limits(), kernels=OFFERED, promises=promises)
    drawn = [case_for(3, number, setting).program for number in range(programs)]
    ops = [op for program in drawn for op in flattened(program)]
    return {op.kernel for op in ops if isinstance(op, AnyDispatch)}


def test_a_session_of_operations_alone_is_a_session(device_name: str, tmp_path: Path) -> None:
    found = session(f"{OPERATING}:Operating", device_name, tmp_path, 60)
    assert len(found.bugs) == 0
    assert found.is_valid, found.invalid_because


def test_a_session_of_two_operations_is_a_session(tmp_path: Path) -> None:
    # Both are among those that the session above runs on every device.
    found = session(f"{OPERATING}:AddsOnly", "simulated", tmp_path, 60)
    assert len(found.bugs) == 0
    assert found.is_valid, found.invalid_because


def test_a_wrong_operation_is_found(tmp_path: Path) -> None:
    found = session(f"{OPERATING}:Mistaken", "simulated", tmp_path, 100)
    (bug,) = found.bugs.met.values()
    assert "mul_tensor_u32" in str(bug.case.program)


@pytest.mark.parametrize("language", EXAMPLES)
def test_an_example_without_wgsl_is_sound(language: str, tmp_path: Path) -> None:
    if shutil.which(language) is None:
        pytest.skip(f"{language} is not installed")
    found = session(f"exec:{language} {EXAMPLES[language]}", "simulated", tmp_path, 60)
    assert len(found.bugs) == 0
    assert found.is_valid, found.invalid_because


def test_operations_are_drawn_where_they_are_promised_and_only_there() -> None:
    assert kernels_in(40, Capabilities()) <= set(BUILTIN)
    some = ("mul_scalar_i32", "affine")
    assert kernels_in(40, replace(Capabilities(), kernels=some)) == set(some)
    assert kernels_in(200, replace(Capabilities(), kernels=tuple(ELEMENTWISE))) == set(ELEMENTWISE)


def test_a_kernel_on_the_wire_has_its_operation() -> None:
    told = parse_hello(json.loads(json.dumps(write_hello("vulkan", OFFERED.values()))))["kernels"]
    described = {each["name"]: each["operation"] for each in told if "operation" in each}
    assert set(described) == set(ELEMENTWISE)
    assert described["add_tensor_f32"] == {"op": "add", "of": "tensor", "dtype": "f32"}


def test_an_operation_covers_a_prefix() -> None:
    text = (
        "alloc a 520\nalloc b 512\ndispatch add_scalar_u32 a 5 1x2x1\n"
        "dispatch add_tensor_u32 a,b - 1x1x1\nread a 0 520 -> r0\nread b 0 512 -> r1\n"
    )
    meant = run_reference(Program.parse(text), OFFERED, Limits()).outcomes
    first, second = (np.frombuffer(each.data or b"", "<u4") for each in meant[-2:])
    assert first.tolist() == [5] * 128 + [0] * 2
    assert second.tolist() == [5] * 64 + [0] * 64


def test_a_sum_of_inexact_floats_promises_nothing() -> None:
    text = (
        "alloc a 4\nwrite a 0 0000803f\ndispatch mul_scalar_f32 a 0.1 1x1x1\nread a 0 4 -> r0\n"
        "dispatch add_scalar_f32 a -0.1 1x1x1\nread a 0 4 -> r1\n"
    )
    meant = run_reference(Program.parse(text), OFFERED, Limits()).outcomes
    product, total = meant[3].error_bound, meant[5].error_bound
    assert product is not None
    assert total is not None
    assert np.isfinite(product).all()
    assert np.isinf(total).all()
