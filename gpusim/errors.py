"""The errors that gpusim raises on purpose, grouped by whose fault they are.

The fault is the program's, the device's, or ours.  Nothing of gpusim is imported here.  The
compiler of WGSL, its checks and the judge define further errors of their own.
"""

from collections.abc import Iterable


class GpusimError(Exception):
    """Root of every error gpusim raises on purpose."""


class Refused(GpusimError):
    """The caller's fault: the op was refused whole and changed nothing."""


class InvalidHandle(Refused):
    """A handle that cannot be used: for instance its buffer was freed, or is another runtime's."""


class OutOfRange(Refused):
    """Bytes outside the buffer, or a negative offset or size."""


class InvalidBinding(Refused):
    """Buffers that do not fit the kernel's signature.

    For instance their number is wrong, a buffer has no whole word, or a buffer that the kernel
    writes is bound twice.
    """


class InvalidScalar(Refused):
    """The wrong number of scalars, or a scalar outside the range of its type."""


class InvalidData(Refused):
    """Host data without plain bytes, or a destination that cannot hold the result."""


class InvalidCapture(Refused):
    """A call that a capture cannot hold, or a capture inside another."""


class LimitExceeded(Refused):
    """A buffer, binding or grid beyond the device's limits."""


class WrongThread(Refused):
    """A call from another thread, or from a forked child."""


class RuntimeClosed(Refused):
    """A call on a runtime after its ``close``."""


class DeviceFault(GpusimError):
    """The device's fault: no check could have foreseen it."""


class OutOfMemory(DeviceFault):
    """The device, or the memory budget of the policy, has no room."""


class DeviceLost(DeviceFault):
    """The device is gone; only ``free``, ``stats`` and ``close`` still work."""


class SubmitFailed(DeviceFault):
    """A batch never reached the queue; what it would have written is lost."""


class MapFailed(DeviceFault):
    """A readback could not be mapped; its value never arrived."""


class WaitTimedOut(DeviceFault, TimeoutError):
    """The timeout of a wait is over; nothing has changed, and the wait may be repeated."""


class DataLost(DeviceFault):
    """The buffer's bytes were lost with a failed batch."""


class InternalError(GpusimError):
    """gpusim's own fault: please report it with the program that caused it."""


class ProgramError(GpusimError):
    """A program, or its text form, that is not well formed."""


class InvalidKernel(ProgramError):
    """A kernel that is not registered, or whose NumPy meaning raises."""


class NoDevice(GpusimError):
    """There is no such adapter, or it gives no device; or what was passed is no usable device."""


def meant(word: str, known: Iterable[str], otherwise: str) -> str:
    """The probable cause of an unknown word, for the end of an error's text.

    It is ``'NAME' is meant`` if a known name is similar to the word, else ``otherwise``.
    """
    from difflib import get_close_matches

    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"{by_lower[near[0]]!r} is meant" if near else otherwise
