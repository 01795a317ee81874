"""One program, one schedule, one result and one trace, in any process."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from random import Random

from gpusim.kernels import BUILTIN
from gpusim.runtime import PRESETS, Runtime, WgpuDriver
from gpusim.simulated import FaultPlan, Recording, open_device, strategy
from gpusim.trace import Trace
from properties.execute import run
from properties.generate.cases import draw_case
from properties.generate.choices import SeededChoices
from properties.model.case import DeviceSpec
from properties.targets.runtime_target import RuntimeTarget

ROOT = Path(__file__).parents[2]


def fingerprint(programs: int) -> str:
    """A hash of the histories, schedules and traces of some programs, with faults and without."""
    seen = hashlib.sha256()
    for number in range(programs):
        trace = Trace()
        random = Random(number)
        recording = Recording(strategy(("early", "late", "random")[number % 3], number))
        faults = FaultPlan(failed_maps=(random.randrange(9),)) if number % 2 else FaultPlan()
        device = open_device(scheduler=recording, faults=faults, emit=trace.emit)
        preset = list(PRESETS.values())[number % len(PRESETS)]
        case = draw_case(
            SeededChoices(str(number)), preset=preset, device=DeviceSpec(name="simulated")
        )
        target = RuntimeTarget(WgpuDriver(device), case.policy, kernels=BUILTIN)
        shown = run(case.program, target)
        seen.update(repr((shown.outcomes, shown.deliveries, recording.schedule)).encode())
        seen.update("\n".join(map(str, trace)).encode())
        _close(target.runtime)
    return seen.hexdigest()


def _close(runtime: Runtime) -> None:
    for buffer in runtime.live_buffers():
        runtime.free(buffer)


def test_two_processes_with_other_hash_seeds_agree() -> None:
    printed = []
    for seed in ("1", "2"):
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)}
        command = [sys.executable, str(Path(__file__)), "60"]
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, check=True
        )
        printed.append(done.stdout.strip())
    assert printed[0] == printed[1]
    assert len(printed[0]) == 64


def test_other_programs_have_another_fingerprint() -> None:
    assert fingerprint(3) != fingerprint(4)


def test_it_works_where_wgpu_finds_no_library() -> None:
    """``wgpu`` itself imports; only its native backend would look for the library."""
    code = (
        "import sys, gpusim.simulated as simulated\n"
        "device = simulated.open_device()\n"
        "buffer = device.create_buffer_with_data(data=b'abcd', usage='COPY_SRC')\n"
        "assert bytes(device.queue.read_buffer(buffer)) == b'abcd'\n"
        "assert 'wgpu.backends.wgpu_native' not in sys.modules\n"
    )
    environment = {**os.environ, "WGPU_LIB_PATH": "/nowhere/lib.so", "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=environment, cwd=ROOT, check=True)


if __name__ == "__main__":
    print(fingerprint(int(sys.argv[1])))
