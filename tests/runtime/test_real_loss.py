"""A real device destroyed under a runtime: refused everywhere, no abort, no hang.

The cases run in a child, because what is tested for is that wgpu-native does
not abort the process; the last line of its output names the case it was in.
"""

import subprocess
import sys
import textwrap

import pytest

_PROGRAM = """
    import asyncio, warnings
    warnings.simplefilter("ignore")
    from gpusim.devices import open_device
    from gpusim.errors import DeviceLost
    from gpusim.kernels import AFFINE
    from gpusim.runtime import PRESETS, Runtime

    def lose(first):
        device = open_device("{device_name}")
        runtime = Runtime(device, PRESETS["{policy}"])
        a, b = runtime.alloc(16), runtime.alloc(15)
        runtime.write(a, bytes(range(16)))
        runtime.dispatch(AFFINE, [a], [3, 5])
        ticket = runtime.read(a)
        runtime.dispatch(AFFINE, [a], [3, 5])
        device.destroy()
        acts = dict(
            alloc=lambda: runtime.alloc(4),
            write=lambda: runtime.write(b, b"12345", 3),
            copy=lambda: [runtime.copy(a, b, size_bytes=7), runtime.flush()],
            dispatch=lambda: [runtime.dispatch(AFFINE, [a], [3, 5]), runtime.flush()],
            read=lambda: [runtime.read(a), runtime.flush()],
            sync=runtime.sync,
            sync_async=lambda: asyncio.run(runtime.sync_async()),
            wait=lambda: [ticket.result(), runtime.sync()],
            free=lambda: [a.is_live and runtime.free(a), runtime.sync()],
            flush=runtime.flush,
        )
        for name in [first, *acts]:
            print(first, name, flush=True)
            try:
                acts[name]()
            except DeviceLost:
                continue
            raise SystemExit(name + " did not say that the device is lost")
        runtime.stats()
        runtime.free(b)
        runtime.close()
        assert ticket.done()

    for first in "alloc write copy dispatch read sync sync_async wait free".split():
        lose(first)
    print("survived")
"""


@pytest.mark.parametrize("policy", ["eager", "cached", "ring"])
def test_a_destroyed_device_is_said_to_be_lost(device_name: str, policy: str) -> None:
    program = _PROGRAM.replace("{device_name}", device_name).replace("{policy}", policy)
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-200:] + done.stderr[-2000:]
    assert done.stdout.endswith("survived\n")
