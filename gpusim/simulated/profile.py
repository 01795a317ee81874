"""The two profiles of a device, which say where wgpu-native differs from the specification.

The errors that the objects of a device raise are here too.

``SPEC`` is what the WebGPU specification says, ``WGPU_NATIVE`` what wgpu-py 0.32
over wgpu-native does.  ``docs/simulated.md`` gives, for each field, the sentence of the
specification that decides it and a test.  The error classes are wgpu-py's, because
callers catch those; the texts are ours.  Nothing here decides whether a call is refused.
"""

import operator
from dataclasses import dataclass
from typing import Any

import wgpu


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One field for each difference; True is always what the specification says.

    Where a field that ends with ``raises`` is False, wgpu-native aborts the process instead.
    """

    name: str
    refuses_aliased_writes: bool
    """Two writable bindings of one dispatch may not overlap."""
    binds_destroyed_buffers: bool
    """A bind group may be made of a destroyed buffer; the submit refuses it."""
    defaults_copy_size: bool
    """A copy without a size reaches to the end of its source."""
    clears_nothing: bool
    """A clear of zero bytes is legal and does nothing."""
    maps_nothing: bool
    """A range of zero bytes may be mapped, read and written."""
    writes_nothing: bool
    """A queue write of zero bytes is legal, and a size of 0 means zero bytes."""
    failed_map_unmaps: bool
    """After a failed map the buffer is unmapped, and may be mapped again."""
    unmap_cancels: bool
    """``unmap`` rejects a pending map, and does nothing to an unmapped buffer."""
    destroy_unmaps: bool
    """``destroy`` ends a mapping, pending or not."""
    loss_is_silent: bool
    """A lost device raises nothing; only its maps fail."""
    loss_settles_maps: bool
    """A device that becomes lost rejects its pending maps.  In wgpu-native the map of an idle
    buffer succeeds, though its bytes are gone, and the map of a buffer in use never settles."""
    tells_loss: bool
    """A device has a promise of its loss, ``lost_async``."""
    tells_work_done: bool
    """``on_submitted_work_done`` works."""
    finish_tells_all: bool
    """``finish`` reports a mistake even if a buffer of an earlier command was destroyed."""
    ends_nested_passes: bool
    """While the outer pass is open, ending a nested pass raises no error."""
    submit_raises: bool
    """A submit that is refused raises."""
    unsets_bind_groups: bool
    """A bind group, or a bind group layout, may be None."""
    checks_visibility: bool
    """Visibility holds bits of ShaderStage only."""
    checks_entry_types: bool
    """A layout entry names exactly one type of resource."""
    usage_raises: bool
    """A buffer usage with unknown bits raises."""
    map_mode_raises: bool
    """A map mode that is not READ or WRITE raises."""
    empty_binding_raises: bool
    """A binding of zero bytes raises."""
    refuses_missed_barriers: bool
    """A shader is refused if some invocations of a workgroup may miss one of its barriers."""
    refuses_aliased_pointers: bool
    """A call with two pointers to one variable is refused if the function writes one of them."""
    extends_the_language: bool
    """Shaders may pass pointers to buffers and workgroup memory, and pack uniform buffers."""


_DIFFERENCES = tuple(name for name in Profile.__slots__ if name != "name")

SPEC = Profile(name="spec", **dict.fromkeys(_DIFFERENCES, True))
WGPU_NATIVE = Profile(
    name="wgpu-native",
    **dict.fromkeys(_DIFFERENCES, False),
)
PROFILES = {profile.name: profile for profile in (SPEC, WGPU_NATIVE)}
LARGER_LIMIT = "the device needs a larger limit"
"""The probable reason, in a message, for a value past a limit."""


def invalid(what: str, because: str, probably: str) -> wgpu.GPUValidationError:
    """The validation error of one call, to raise now or to keep for ``finish``."""
    return wgpu.GPUValidationError(f"cannot {what} because {because} (probably {probably})")


def aborting(error: wgpu.GPUValidationError, raises: bool) -> wgpu.GPUValidationError:
    """Returns ``error`` if ``raises``; otherwise one which adds that wgpu-native aborts here."""
    if raises:
        return error
    return wgpu.GPUValidationError(f"wgpu-native aborts the process here: {error}")


def device_lost(what: str) -> wgpu.GPUValidationError:
    """The error of wgpu-native on a lost device."""
    return invalid(what, "the device is lost", "it was destroyed, or its driver was reset")


def submit_lost(profile: Profile) -> wgpu.GPUValidationError:
    """The error of a submit to a lost device; wgpu-native aborts the process there."""
    return aborting(device_lost("submit"), profile.submit_raises)


def unsigned(value: Any, bits: int = 64) -> int:
    """``value`` as an unsigned integer; TypeError or OverflowError, as in wgpu-py."""
    number = operator.index(value)
    if number < 0:
        raise OverflowError("can't convert negative number to unsigned")
    if number >> bits:
        raise OverflowError(f"integer {number} does not fit 'uint{bits}_t'")
    return number


def check_keys(struct: str, given: Any, known: tuple[str, ...]) -> None:
    """Raise ValueError, as wgpu-py does, if a dict has keys that the struct lacks."""
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ValueError(f"Invalid keys in {struct}: {unknown}")
