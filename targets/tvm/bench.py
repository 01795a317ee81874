"""Times a dispatch of TVM's web runtime beside one of gpusim's, on one adapter in one run.

    VK_DRIVER_FILES=/usr/lib/chromium/vk_swiftshader_icd.json python targets/tvm/bench.py

Needs gpusim, and ``npm --prefix targets/tvm install``.  All arms run the same kernel over one word
so many times in a row, and read the word.  They take turns, in another order each round, and must
agree on the word.  **Recording** is the time until the last submit has returned, **end to end** the
time until the word has arrived.  TVM runs under Node on Dawn, gpusim on wgpu-native.
"""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gpusim import Runtime, open_device
from gpusim.kernels import AFFINE
from properties.targets.lines import TargetProcess
from properties.targets.wire import write_hello

_PROGRAM = Path(__file__).with_name("bench.mjs")
_WARM_ROUNDS = 2
_GROUPS = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class _Turn:
    """What one turn took, in microseconds a dispatch, and the word that it computed."""

    recording_us: float
    end_us: float
    word: int


_Arm = Callable[[int, int], _Turn]
"""Takes the number of dispatches, and the word that they start from."""


class _Tvm:
    """TVM's runtime in a process of its own."""

    def __init__(self) -> None:
        self._node = TargetProcess(("node", str(_PROGRAM)))
        self.adapter = self._ask(write_hello("", [AFFINE]))

    def arm(self, name: str) -> _Arm:
        """The arm of that name in ``bench.mjs``."""

        def play(dispatches: int, start: int) -> _Turn:
            told = json.loads(self._ask(f"{name} {dispatches} {start}"))
            recording, end = (told[what] * 1e3 / dispatches for what in ("recording", "end"))
            return _Turn(recording_us=recording, end_us=end, word=told["word"])

        return play

    def _ask(self, line: str) -> str:
        self._node.tell(line)
        return self._node.hear()


def _ours(runtime: Runtime) -> _Arm:
    def play(dispatches: int, start: int) -> _Turn:
        buffer = runtime.alloc(4)
        runtime.write(buffer, np.array([start], dtype=np.uint32))
        runtime.sync()
        begin = time.perf_counter()
        for n in range(dispatches):
            runtime.dispatch(AFFINE, [buffer], (3, n), _GROUPS)
        runtime.flush()
        recording = time.perf_counter() - begin
        word = int(runtime.read(buffer, dtype=np.uint32).result()[0])
        end = time.perf_counter() - begin
        runtime.free(buffer)
        scale = 1e6 / dispatches
        return _Turn(recording_us=recording * scale, end_us=end * scale, word=word)

    return play


def _rounds(arms: dict[str, _Arm], rounds: int, dispatches: int) -> dict[str, list[_Turn]]:
    turns: dict[str, list[_Turn]] = {name: [] for name in arms}
    names = list(arms)
    for number in range(_WARM_ROUNDS + rounds):
        names = names[1:] + names[:1]
        played = {name: arms[name](dispatches, number) for name in names}
        if len({turn.word for turn in played.values()}) > 1:
            sys.exit(f"the arms disagree: {played}")
        if number >= _WARM_ROUNDS:
            for name, turn in played.items():
                turns[name].append(turn)
    return turns


def main() -> None:
    """Print a table, an arm a line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--dispatches", type=int, default=1000)
    given = parser.parse_args()
    tvm, device = _Tvm(), open_device("vulkan")
    policies = ("eager", "lazy", "ring")
    arms = {f"TVM, {name}": tvm.arm(name) for name in ("eager", "lazy")}
    arms |= {f"gpusim, {name}": _ours(Runtime(device, name)) for name in policies}
    print(f"TVM on {tvm.adapter}; gpusim on {device.adapter.info['device']}")
    print(f"{given.rounds} rounds of {given.dispatches:,} dispatches; medians a dispatch\n")
    print("| arm | recording | end to end |\n| --- | --: | --: |")
    for name, turns in _rounds(arms, given.rounds, given.dispatches).items():
        recording = statistics.median(turn.recording_us for turn in turns)
        end = statistics.median(turn.end_us for turn in turns)
        print(f"| {name} | {recording:.1f} µs | {end:.1f} µs |")


if __name__ == "__main__":
    main()
