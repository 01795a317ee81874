"""A faulty kernel of the user's is named, and neither the target nor the judge is blamed."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from gpusim.errors import InvalidKernel
from gpusim.kernels import OFFERED
from gpusim.limits import Limits
from properties.fuzz.engine import fuzz
from properties.fuzz.settings import Settings
from properties.generate.alone import alone
from properties.model.capabilities import CONTRACT

KERNEL = """
from gpusim import Binding, Kernel

def increment(arrays, scalars, groups):
    {meaning}

KERNELS = [
    Kernel(
        name="increment",
        meaning=increment,
        buffers=(Binding(name="x", access="read_write"),),
        body="{body}",
    )
]
"""
MEANING = "arrays[0][: groups * 64] += 1"
BODY = "if (i < arrayLength(&x)) { x[i] = x[i] + 1u; }"


def settings(folder: Path, device: str, **changed: str) -> Settings:
    path = folder / "own.py"
    path.write_text(KERNEL.format(**{"meaning": MEANING, "body": BODY} | changed), encoding="utf-8")
    return Settings(
        device=device, kernels=str(path), programs=40, findings=1, save=folder / "found"
    )


@pytest.mark.parametrize("faults", [False, True])
def test_a_meaning_that_raises_is_the_fault_of_its_kernel(tmp_path: Path, faults: bool) -> None:
    asked = settings(tmp_path, "simulated", meaning="raise IndexError('no such lane')")
    words = r"kernel increment does because its NumPy meaning raised IndexError(.|\n)*own\.py"
    with pytest.raises(InvalidKernel, match=words):
        fuzz(replace(asked, faults=faults), lambda _: None)
    assert not (tmp_path / "found").exists()


def test_a_kernel_that_does_not_compile_shows_what_the_compiler_said(
    tmp_path: Path, device_name: str
) -> None:
    asked = settings(tmp_path, device_name, body=BODY.replace("1u;", "nonsense;"))
    session = fuzz(asked, lambda _: None)
    (bug,) = session.bugs.met.values()
    assert bug.failure.signature == ("crash", "ProgramError")
    assert "the device refuses its WGSL" in bug.summary
    assert "nonsense" in bug.failure.details
    assert "Traceback" not in bug.failure.details
    assert bug.failure.details.splitlines()[0] in bug.file.read_text(encoding="utf-8")


def test_a_kernel_is_held_alone_before_anything_else(tmp_path: Path) -> None:
    asked = settings(tmp_path, "simulated", body=BODY.replace("1u;", "2u;"))
    session = fuzz(replace(asked, programs=1), lambda _: None)
    (bug,) = session.bugs.met.values()
    assert bug.case.seed == "0/0"
    assert bug.argument is not None
    assert re.fullmatch(
        r"kernel increment alone: its WGSL and its NumPy differ in lane \d+ of a: \d+ came back, "
        r"and NumPy gives \d+",
        bug.argument.sentence,
    )


def test_only_kernels_of_the_user_are_held_alone() -> None:
    assert alone(0, OFFERED, Limits(), CONTRACT) == ()
    rounds = alone(0, OFFERED.adding(replace(OFFERED["fold"], name="own")), Limits(), CONTRACT)
    assert len(set(rounds)) == len(rounds) == 2
    for program in rounds:
        assert [op.verb for op in program if op.verb == "dispatch"] == ["dispatch"]


def test_a_target_gets_alone_what_it_promises() -> None:
    promises = replace(CONTRACT, kernels=("fold",), write_size_bytes=4)
    kernels = OFFERED.adding(replace(OFFERED["fold"], name="own"))
    assert alone(0, kernels, Limits(), promises) == ()
    assert len(alone(0, kernels, Limits(), replace(promises, kernels=("own",)))) == 2
