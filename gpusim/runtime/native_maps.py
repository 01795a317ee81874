"""Maps asked of wgpu-native itself, and how each has settled.

wgpu-native calls back from whatever call polls the device, in any thread, and
may do so when nobody waits any more.  So the callback lives as long as the
process, and finds the map that it is for by a number.
"""

from functools import cache
from itertools import count
from typing import Any


class NativeMap:
    """One map: pending, then settled, with a ``refusal`` where it failed.

    ``submission`` is the index of the last submission before it.
    """

    __slots__ = ("is_pending", "refusal", "submission")

    def __init__(self, submission: int) -> None:
        self.is_pending = True
        self.refusal: str | None = None
        self.submission = submission


class NativeMaps:
    """Every map under way in this process, by number."""

    def __init__(self, api: Any) -> None:
        self._ffi = ffi = api.ffi
        self._pending: dict[int, NativeMap] = {}
        self._numbers = count(1)
        success = api.lib.WGPUMapAsyncStatus_Success

        @ffi.callback("void(WGPUMapAsyncStatus, WGPUStringView, void *, void *)")  # type: ignore[untyped-decorator]
        def settle(status: int, message: Any, number: Any, unused: Any) -> None:
            settled = self._pending.pop(int(ffi.cast("intptr_t", number)))
            if status != success:
                text = ffi.unpack(message.data, message.length) if message.length else b""
                settled.refusal = text.decode("utf-8", "replace") or f"status {status}"
            settled.is_pending = False

        self._settle = settle
        self._info = ffi.new("WGPUBufferMapCallbackInfo *")
        self._info.mode = api.lib.WGPUCallbackMode_AllowProcessEvents
        self._info.callback = settle

    def expect(self, submission: int) -> tuple[NativeMap, Any]:
        """A map that is about to be asked for, and what wgpu-native is to be told of it."""
        number = next(self._numbers)
        expected = self._pending[number] = NativeMap(submission)
        self._info.userdata1 = self._ffi.cast("void *", number)
        return expected, self._info[0]


@cache
def native_maps() -> NativeMaps:
    """Those of this process."""
    from wgpu.backends.wgpu_native import _api

    return NativeMaps(_api)
