"""A faulty kernel of the user's is named, and neither the target nor the judge is blamed."""

from dataclasses import replace
from pathlib import Path

import pytest

from gpusim.errors import InvalidKernel
from properties.fuzz.engine import fuzz
from properties.fuzz.settings import Settings

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
