"""Shards of a session whose processes are killed at random; what was killed is started again.

    python -m tools.killing --shards 0-8,10/12 [--every S] [--seconds S] -- OPTIONS_OF_GPUSIM_FUZZ

Each shard is a command ``gpusim fuzz --shard I/N``; the options may have ``--fleet local``.  About
every ``--every`` seconds one of the processes in which programs run gets SIGKILL: a worker, or a
task of Ray.  One time in ``--heads`` a whole shard gets it.  After ``--seconds`` no block is begun.
If the same command is given again, it goes on where this one stopped, because the corpus keeps the
blocks that are done.  On Linux only.
"""

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_ENDS = (0, 1)
"""The exit statuses of a session that ended by itself."""
_MOST_FAILURES = 9
"""How often shards may end without a kill, for instance if each worker is killed as it begins."""
_TASK, _FORKING = b"ray::_run_block", b"multiprocessing.forkserver"
"""What stands in the command lines of a task of Ray; of a worker, and of what forks workers."""
_TICK_SECONDS = 0.05
_LAST_BYTES = 2000


@dataclass(kw_only=True, slots=True)
class _Shard:
    """A shard, the process that runs it, and the file of what it says."""

    number: int
    log: Path
    process: subprocess.Popen[bytes]


class _Session:
    """The shards of this machine."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        numbers, self._machines = asked.shards
        self._options, self._seconds, self._folder = asked.options, asked.seconds, folder
        self._start, self._failures = time.monotonic(), 0
        self.running = [self._begun(number) for number in numbers]

    @property
    def _left_seconds(self) -> float:
        return max(0.1, float(self._seconds - (time.monotonic() - self._start)))

    def _begun(self, number: int) -> _Shard:
        log = self._folder / str(number)
        words = [f"--shard={number}/{self._machines}", f"--seconds={self._left_seconds}"]
        command = [sys.executable, "-m", "gpusim", "fuzz", *self._options, *words]
        with log.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file)
        return _Shard(number=number, log=log, process=process)

    def step(self) -> None:
        """Begin again each shard that was killed or failed; RuntimeError if too many failed."""
        for shard in list(self.running):
            status = shard.process.poll()
            if status is None:
                continue
            self.running.remove(shard)
            if status in _ENDS:
                continue
            if status != -signal.SIGKILL:
                said = shard.log.read_bytes()[-_LAST_BYTES:].decode(errors="replace")
                print(f"shard {shard.number} ended with {status}:\n{said}", flush=True)
                self._failures += 1
                if self._failures > _MOST_FAILURES:
                    raise RuntimeError(
                        "cannot go on because shards end by themselves again and again (probably "
                        "an option of gpusim fuzz is wrong: see what they said)"
                    )
            self.running.append(self._begun(shard.number))

    def victims(self) -> list[int]:
        """The processes in which programs run now."""
        below = [pair for shard in self.running for pair in _below(shard.process.pid)]
        return [pid for parent, pid in below if _runs_programs(parent, pid)]

    def end(self) -> None:
        """Kill the shards that still run."""
        for shard in self.running:
            shard.process.kill()
            shard.process.wait()


def _below(pid: int) -> Iterator[tuple[int, int]]:
    """Yields all processes below a process, each as the number of its parent and its own."""
    with suppress(OSError):
        listed = Path("/proc", str(pid), "task", str(pid), "children").read_text(encoding="ascii")
        for word in listed.split():
            yield pid, int(word)
            yield from _below(int(word))


def _runs_programs(parent: int, pid: int) -> bool:
    command = _command(pid)
    return _TASK in command or (_FORKING in command and _FORKING in _command(parent))


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path("/proc", str(pid), "cmdline").read_bytes()
    return b""


def _shares(text: str) -> tuple[list[int], int]:
    which, _, count = text.partition("/")
    ends = [part.partition("-") for part in which.split(",")]
    ranges = [range(int(first), int(last or first) + 1) for first, _, last in ends]
    return [number for each in ranges for number in each], int(count)


def _parsed(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shards", type=_shares, required=True, metavar="I-J,.../N")
    parser.add_argument("--every", type=float, default=1.0, metavar="S")
    parser.add_argument("--heads", type=int, default=20, metavar="N")
    parser.add_argument("--seconds", type=float, default=1e6, metavar="S")
    parser.add_argument("options", nargs="+", metavar="OPTION")
    return parser.parse_args(words)


def main(words: Sequence[str]) -> int:
    """Run the shards to their end, or until the time is over."""
    asked, chance = _parsed(words), random.Random()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    killed = dict.fromkeys(("workers", "shards"), 0)
    with tempfile.TemporaryDirectory(prefix="killing-") as folder:
        session = _Session(asked, Path(folder))
        due = time.monotonic() + asked.every
        try:
            while session.running:
                time.sleep(_TICK_SECONDS)
                session.step()
                if time.monotonic() < due:
                    continue
                due = time.monotonic() + chance.expovariate(1 / asked.every)
                is_head = not chance.randrange(asked.heads)
                pids = [shard.process.pid for shard in session.running]
                if victims := pids if is_head else session.victims():
                    with suppress(ProcessLookupError):
                        os.kill(chance.choice(victims), signal.SIGKILL)
                        killed["shards" if is_head else "workers"] += 1
        finally:
            session.end()
            print(f"killed {killed['workers']} workers and {killed['shards']} shards", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
