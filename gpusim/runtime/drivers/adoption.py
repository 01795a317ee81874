"""Checks whether a runtime may use a buffer of the caller's as one of its own."""

from typing import Any

from wgpu import BufferUsage

from gpusim.errors import InvalidBinding, InvalidHandle
from gpusim.limits import WORD_BYTES

_USAGES = BufferUsage.STORAGE | BufferUsage.COPY_SRC | BufferUsage.COPY_DST


def check_adoptable(native: Any, device: Any) -> None:
    """Check a buffer of wgpu-py, or a buffer with the same interface.

    Raises:
        InvalidHandle: ``native`` is no buffer of ``device``, or is mapped.
        InvalidBinding: the buffer has no whole words, or lacks a usage.
    """
    owner = getattr(native, "_device", None)
    if owner is None or owner not in (device, getattr(device, "_state", None)):
        raise InvalidHandle(
            f"cannot adopt {native!r} because it is no buffer of this runtime's device (probably "
            "it was made on another one: runtime.device is the right one)"
        )
    if native.map_state != "unmapped":
        raise InvalidHandle(
            f"cannot adopt {native!r} because it is mapped (probably unmap() is missing)"
        )
    is_words = native.size > 0 and native.size % WORD_BYTES == 0
    if not is_words or native.usage & _USAGES != _USAGES:
        raise InvalidBinding(
            f"cannot adopt {native!r} because it has {native.size} bytes and usage {native.usage}, "
            "and whole words with STORAGE, COPY_SRC and COPY_DST are needed (probably one of "
            "these was left out)"
        )
