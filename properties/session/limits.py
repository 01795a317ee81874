"""What the device of a case holds: by its own word, or less where the case asks for that.

    vulkan max_binding_bytes=512 max_groups_per_dimension=7

Small limits bring into small programs what else only large ones meet: buffers
larger than a binding, copies in pieces, grids that are spread, rings that grow.
A simulated device enforces them; on a real one the driver reports them, and the
laws see to it that they are kept.  The driver under judgement is not asked what
its device holds, so that it cannot misreport that unseen.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from gpusim.limits import WORD_BYTES, Limits
from properties.case import Case

NATIVE_NAMES = {
    "max_buffer_bytes": "max-buffer-size",
    "max_binding_bytes": "max-storage-buffer-binding-size",
    "max_groups_per_dimension": "max-compute-workgroups-per-dimension",
    "max_storage_buffers": "max-storage-buffers-per-shader-stage",
    "storage_offset_alignment_bytes": "min-storage-buffer-offset-alignment",
    "uniform_offset_alignment_bytes": "min-uniform-buffer-offset-alignment",
}
"""What our limits of a device are called by wgpu-py."""
_WHOLE_WORDS = ("max_buffer_bytes", "max_binding_bytes")
_ALIGNED = {"storage_offset_alignment_bytes": 32, "uniform_offset_alignment_bytes": 32}
"""As fine as an adapter allows: a payload of the widest kernel is more than one slot of a ring."""


def limits_of(device: Any) -> Limits:
    """What a wgpu-py device says of itself."""
    values = {name: int(device.limits[native]) for name, native in NATIVE_NAMES.items()}
    for name in _WHOLE_WORDS:
        values[name] -= values[name] % WORD_BYTES
    return Limits(**values)


def small_limits(limits: Limits, *, simulated: bool) -> tuple[str, ...]:
    """What cases ask of a device that holds ``limits``, one as often as another.

    Each is some words of the device's text, and none where it is taken as it is.
    Only a simulated device can be asked for other alignments than it has.
    """
    aligned = replace(limits, **_ALIGNED) if simulated else limits
    alignment_bytes = aligned.storage_offset_alignment_bytes
    return (
        "",
        "max_groups_per_dimension=5",
        *([words_of(_ALIGNED)] * 3 if simulated else []),
        f"max_binding_bytes={limits.storage_offset_alignment_bytes + 256} "
        "max_groups_per_dimension=7",
        f"max_binding_bytes={8 * alignment_bytes} max_groups_per_dimension=5"
        + (f" {words_of(_ALIGNED)}" if simulated else ""),
    )


def asked_limits(device: str) -> dict[str, int]:
    """The limits that the text of a device asks for, by our names."""
    pairs = (word.partition("=") for word in device.split()[1:])
    return {name: int(value) for name, _, value in pairs if name in NATIVE_NAMES}


def words_of(limits: Mapping[str, int]) -> str:
    """The words of a device's text that ask for ``limits``."""
    return " ".join(f"{name}={value}" for name, value in limits.items())


def case_limits(limits: Limits, case: Case) -> Limits:
    """What a case may use of a device that holds ``limits`` unless it is asked for less."""
    asked = asked_limits(case.device)
    held = replace(limits, **asked) if asked else limits
    return held.within(case.policy.memory_budget_bytes)
