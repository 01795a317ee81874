"""The programs with mistakes: which rule finds each, who refuses it in which words, and their runs.

The programs are in ``mistakes``, one file each: ``program(device, mended=...)``.  None of them
catches an error.  So what refuses a mistake is stated here, device by device, and nowhere else.

    python -m tests.layer.mistaken_programs NAME DEVICE

runs one with nothing between it and the device, and prints what is raised.
"""

import re
import sys
from importlib import import_module
from traceback import clear_frames
from typing import Any

import pytest
import wgpu

from gpusim.devices import DAWN, SIMULATED, open_device
from gpusim.runtime.drivers.package import package_of

FINDS = {
    "overtaking_write": "overtaking-write",
    "destroyed_buffer": "wrong-submit",
    "mapped_buffer": "wrong-submit",
    "used_commands": "wrong-submit",
    "foreign_commands": "wrong-submit",
    "destroyed_device": "destroyed-device",
    "aliased_bindings": "aliased-bindings",
    "lost_batch": "lost-batch",
    "kept_view": "kept-view",
    "written_while_mapped": "written-while-mapped",
    "growing_buffers": "growing-buffers",
    "endless_writes": "endless-writes",
}
"""The rule that finds the mistake of each program."""

WGPU_NATIVE = "wgpu-native"
ABORTS = "Error in wgpuQueueSubmit: Validation Error"
"""What wgpu-native writes to stderr before it ends the process."""
REFUSED = {
    WGPU_NATIVE: {
        "destroyed_buffer": ABORTS,
        "mapped_buffer": ABORTS,
        "used_commands": ABORTS,
        "foreign_commands": ABORTS,
        "destroyed_device": ABORTS,
        "lost_batch": "would end up overrunning the bounds of the Destination buffer",
        "written_while_mapped": "Buffer is expected to be unmapped",
    },
    # It says nothing of a destroyed device, as the specification has it.
    SIMULATED: {
        "destroyed_buffer": "a buffer it uses is destroyed",
        "mapped_buffer": "a buffer it uses is mapped",
        "used_commands": "a command buffer was submitted before",
        "foreign_commands": "a command buffer is another device's",
        "aliased_bindings": "two writable bindings of one buffer overlap",
        "lost_batch": "passes the destination's end",
        "written_while_mapped": "the buffer is mapped",
    },
    DAWN: {
        "destroyed_buffer": "used in submit while destroyed",
        "mapped_buffer": "used in submit while mapped",
        "used_commands": "cannot be submitted more than once",
        "foreign_commands": "cannot be used with [Device]",
        "destroyed_device": "[Device] is lost",
        "aliased_bindings": "Writable storage buffer binding aliasing",
        "lost_batch": "does not fit in [Buffer",
        "written_while_mapped": "used in submit while pending map",
    },
}
"""Of each implementation: the mistakes that it refuses itself, and words of its message."""
REFUSED_FIRST = [name for name, words in REFUSED[WGPU_NATIVE].items() if words == ABORTS]
"""The programs that the sanitizer refuses on every device, before the device sees the call."""
TWO_DEVICES = {"foreign_commands"}


def refused_on(device_name: str) -> dict[str, str]:
    """The mistakes that a device refuses itself; whatever is not named here is wgpu-native's."""
    return REFUSED.get(device_name.partition(":")[0], REFUSED[WGPU_NATIVE])


def run_program(name: str, device: Any, device_name: str, mended: bool) -> Any:
    """Run a program; what it keeps.

    A second device is opened by its name: an adapter gives one device (specification, section 4.3
    "GPUAdapter": it is consumed then), and Dawn holds to it.
    """
    others = [open_device(device_name) for _ in range(name in TWO_DEVICES)]
    program = import_module(f"tests.layer.mistakes.{name}").program
    return program(device, *others, mended=mended)


def run_watched(name: str, device: Any, device_name: str) -> Any:
    """Run a program with its mistake on a watched device, which must refuse it as stated here."""
    words, errors = refused_on(device_name).get(name), package_of(device).errors
    if name in REFUSED_FIRST:
        words, errors = "cannot submit because", wgpu
    if words is None:
        return run_program(name, device, device_name, mended=False)
    with pytest.raises(errors.GPUValidationError, match=re.escape(words)):
        run_program(name, device, device_name, mended=False)
    return None


def main(name: str, device_name: str) -> None:
    """Run a program with its mistake, and print what is raised."""
    device = open_device(device_name)
    try:
        run_program(name, device, device_name, mended=False)
    except package_of(device).errors.GPUValidationError as error:
        # To collect what the frames of wgpudawn's error hold ends the process (docs/dawn.md).
        clear_frames(error.__traceback__)
        print(error)


if __name__ == "__main__":
    main(*sys.argv[1:])
