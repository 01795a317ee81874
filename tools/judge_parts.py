"""Where the time of the judge goes: the share of each part, and its Python calls per op.

    python -m tools.judge_parts [--root DIR] [--device NAME] [--passes N]

The fixed programs are judged as in a session, with warm caches.  A timer interrupts the judge every
few milliseconds of CPU time, that of other threads included, and the part whose code runs is
noted.  C code counts for the function that called it; generated and library code counts for the
part that it serves.  One more pass counts calls, and no time is taken in it.
"""

import argparse
import gc
import signal
import sys
import sysconfig
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from time import process_time
from types import FrameType
from typing import Any

from tools import corpus

PARTS = {
    "tracing": (
        "gpusim/trace.py",
        "gpusim/runtime/traced_parts.py",
        "gpusim/runtime/drivers/traced.py",
        "properties/model/marks.py",
    ),
    "driver": ("gpusim/runtime/drivers/",),
    "runtime": ("gpusim/runtime/",),
    "simulated device": ("gpusim/simulated/",),
    "shaders in NumPy": ("gpusim/wgsl/", "<wgsl>"),
    "kernels, ops, programs": ("gpusim/",),
    "native calls": ("wgpu/backends/wgpu_native/_helpers.py",),
    "wgpu-py": ("wgpu/", "cffi/"),
    "reference": ("reference/",),
    "laws": ("properties/oracles/laws/",),
    "other oracles": ("properties/oracles/",),
    "running a program": ("properties/",),
}
"""What the paths of each part begin with; the first that fits."""
_NOWHERE = "the rest"
_EVERY_SECONDS = 0.001
_COLUMNS = "{:<24} {:>7} {:>9} {:>9}"


def main(arguments: Sequence[str]) -> int:
    """Judge the corpus, and print a line a part."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.judge_parts",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--root", type=Path, default=corpus.ROOT, metavar="DIR", help="another checkout"
    )
    parser.add_argument("--device", default=corpus.SIMULATED, metavar="NAME")
    parser.add_argument(
        "--passes", type=int, default=20, metavar="N", help="passes over the corpus; 20 by default"
    )
    asked = parser.parse_args(arguments)
    root = asked.root.resolve()
    corpus.import_from(root)
    judgings = corpus.judgings(corpus.read(), asked.device)
    corpus.warm_up(judgings)
    ops = sum(judging.ops for judging in judgings)
    part_of = _Parts(root)
    seconds, samples = _sampled(judgings, part_of, asked.passes)
    calls = _counted(judgings, part_of)
    micros, seen = seconds * 1e6 / (ops * asked.passes), samples.total()
    print(f"{asked.device}: {seen:,} samples in {asked.passes * ops:,} ops")
    print(_COLUMNS.format("part", "share", "us/op", "calls/op"))
    for part in (*PARTS, _NOWHERE):
        share = samples[part] / seen
        row = f"{share:.1%}", f"{share * micros:.1f}", f"{calls[part] / ops:.1f}"
        print(_COLUMNS.format(part, *row))
    print(_COLUMNS.format("all", "", f"{micros:.1f}", f"{calls.total() / ops:.1f}"))
    return 0


class _Parts:
    """The part that a frame belongs to: its own, or that of the nearest caller with a part."""

    def __init__(self, root: Path) -> None:
        # A checkout's environment lies within it, and so its folder comes first.
        self._folders = (f"{sysconfig.get_path('purelib')}/", f"{root}/")
        self._known: dict[str, str] = {}

    def __call__(self, frame: FrameType | None) -> str:
        while frame is not None:
            part = self._of_file(frame.f_code.co_filename)
            if part:
                return part
            frame = frame.f_back
        return _NOWHERE

    def _of_file(self, file: str) -> str:
        if file not in self._known:
            name = file
            for folder in self._folders:
                name = name.removeprefix(folder)
            fitting = (part for part, beginnings in PARTS.items() if name.startswith(beginnings))
            self._known[file] = next(fitting, "")
        return self._known[file]


def _sampled(
    judgings: Sequence[corpus.Judging], part_of: Callable[[FrameType | None], str], passes: int
) -> tuple[float, Counter[str]]:
    """The CPU seconds of the passes, and how often each part was at work."""
    samples: Counter[str] = Counter()

    def note(_: int, frame: FrameType | None) -> None:
        samples[part_of(frame)] += 1

    signal.signal(signal.SIGPROF, note)
    start = process_time()
    signal.setitimer(signal.ITIMER_PROF, _EVERY_SECONDS, _EVERY_SECONDS)
    for _ in range(passes):
        for judging in judgings:
            judging.judge()
    signal.setitimer(signal.ITIMER_PROF, 0)
    return process_time() - start, samples


def _counted(
    judgings: Sequence[corpus.Judging], part_of: Callable[[FrameType | None], str]
) -> Counter[str]:
    """How many calls of Python functions belong to each part, in one pass."""
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, _: Any) -> None:
        if event == "call":
            calls[part_of(frame)] += 1

    gc.disable()
    sys.setprofile(note)
    try:
        for judging in judgings:
            judging.judge()
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
