"""How a simulated device says no.

The classes are wgpu-py's, because the callers catch those; the words are ours.
Nothing here decides whether anything is refused.
"""

import operator
from typing import Any

import wgpu

from gpusim.simulated.profile import Profile


def invalid(what: str, because: str, probably: str) -> wgpu.GPUValidationError:
    """The validation error of one call, to raise now or to keep for ``finish``."""
    return wgpu.GPUValidationError(f"cannot {what} because {because} (probably {probably})")


def aborting(error: wgpu.GPUValidationError, raises: bool) -> wgpu.GPUValidationError:
    """``error``, or where it does not ``raise`` an error that says wgpu-native would abort."""
    if raises:
        return error
    return wgpu.GPUValidationError(f"wgpu-native aborts the process here: {error}")


def device_lost(what: str) -> wgpu.GPUValidationError:
    """What wgpu-native raises on a device that is gone."""
    return invalid(what, "the device is lost", "it was destroyed, or its driver was reset")


def submit_lost(profile: Profile) -> wgpu.GPUValidationError:
    """A submit to a device that is gone, which takes the process with it."""
    return aborting(device_lost("submit"), profile.submit_raises)


def unsigned(value: Any, bits: int = 64) -> int:
    """``value`` as wgpu-py takes an unsigned integer: TypeError, OverflowError."""
    number = operator.index(value)
    if number < 0:
        raise OverflowError("can't convert negative number to unsigned")
    if number >> bits:
        raise OverflowError(f"integer {number} does not fit 'uint{bits}_t'")
    return number


def check_keys(struct: str, given: Any, known: tuple[str, ...]) -> None:
    """ValueError where a dict has keys that the struct does not (wgpu-py's class)."""
    unknown = [key for key in given if key not in known]
    if unknown:
        raise ValueError(f"Invalid keys in {struct}: {unknown}")
