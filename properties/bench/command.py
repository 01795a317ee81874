"""The arguments of ``gpusim bench``, and the benchmark that they choose.

A benchmark is imported when it is run.  Nothing is measured here.
"""

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from properties.bench.timing import Report, Row, write_report

_DONE, _WRONG_USAGE, _COULD_NOT_RUN = 0, 2, 3
_ROUNDS = {"decode": 1, "dispatch": 3, "readback": 15, "fuzz": 3, "scale": 1}
"""Rounds that are counted, without ``--rounds``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one benchmark; its exit status."""
    parser = argparse.ArgumentParser(prog="python -m properties.bench")
    add_options(parser)
    words = list(sys.argv[1:] if argv is None else argv)
    from gpusim.errors import GpusimError, ProgramError

    try:
        run(parser.parse_args(words))
    except (ProgramError, OSError) as error:
        print(f"gpusim: {error}", file=sys.stderr)
        return _WRONG_USAGE
    except GpusimError as error:
        print(f"gpusim: {error}", file=sys.stderr)
        return _COULD_NOT_RUN
    return _DONE


def add_options(parser: argparse.ArgumentParser) -> None:
    """The arguments of ``gpusim bench``."""
    parser.add_argument(
        "benchmark",
        choices=sorted(_BENCHMARKS),
        nargs="?",
        default="dispatch",
        help="what to measure (default: dispatch)",
    )
    parser.add_argument("--device", default="best", metavar="NAME", help="the device to run on")
    parser.add_argument("--rounds", type=_rounds, metavar="N", help="rounds that are counted")
    parser.add_argument("--small", action="store_true", help="sizes for a software adapter")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures as JSON")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw them (.png or .svg)")


def run(arguments: argparse.Namespace) -> None:
    """Measure, show, and write what was asked for.

    Raises:
        NoDevice: there is no device of that name.
        ProgramError: a plot was asked for and matplotlib is missing.
        OSError: a file cannot be written.
    """
    from rich.console import Console

    from gpusim.devices import find_adapter, open_device
    from properties.bench.show import text_of

    draw = _drawing(arguments.plot)
    for file in (arguments.json, arguments.plot):
        if file is not None:
            file.open("ab").close()
    adapter = find_adapter(arguments.device)
    progress = Console(stderr=True)

    def tell(what: str) -> None:
        progress.print(what, style="dim", highlight=False)

    rounds = arguments.rounds or _ROUNDS[arguments.benchmark]
    rows = _BENCHMARKS[arguments.benchmark](
        adapter.name, open_device(adapter.name), rounds, arguments.small, tell
    )
    report = Report(
        benchmark=arguments.benchmark,
        device=adapter.name,
        description=adapter.description,
        command=_command(arguments, adapter.name, rounds),
        rows=rows,
    )
    print(text_of(report))
    if arguments.json is not None:
        write_report(report, arguments.json)
    if arguments.plot is not None:
        draw(report, arguments.plot)


Tell = Callable[[str], None]


def _dispatch(name: str, device: Any, rounds: int, small: bool, tell: Tell) -> list[Row]:
    from properties.bench.dispatch import bench_dispatch

    return bench_dispatch(device, rounds, tell)


def _decode(name: str, device: Any, rounds: int, small: bool, tell: Tell) -> list[Row]:
    from properties.bench.decode import bench_decode

    return bench_decode(device, rounds, small=small, tell=tell)


def _readback(name: str, device: Any, rounds: int, small: bool, tell: Tell) -> list[Row]:
    from properties.bench.readback import bench_readback

    return bench_readback(device, rounds, small=small, tell=tell)


def _fuzz(name: str, device: Any, rounds: int, small: bool, tell: Tell) -> list[Row]:
    from properties.bench.fuzz import bench_fuzz

    return bench_fuzz(name, rounds, tell)


def _scale(name: str, device: Any, rounds: int, small: bool, tell: Tell) -> list[Row]:
    from properties.bench.scale import bench_scale

    return bench_scale(device, small=small, tell=tell)


_BENCHMARKS: dict[str, Callable[[str, Any, int, bool, Tell], list[Row]]] = {
    "decode": _decode,
    "dispatch": _dispatch,
    "fuzz": _fuzz,
    "readback": _readback,
    "scale": _scale,
}


def _drawing(file: Path | None) -> Callable[[Report, Path], None]:
    """The function that draws; raises before anything is measured."""
    if file is None:
        return lambda report, file: None
    from properties.bench.plot import load_drawing

    return load_drawing()


def _command(arguments: argparse.Namespace, device: str, rounds: int) -> str:
    words = ["gpusim", "bench", arguments.benchmark, "--device", device, "--rounds", str(rounds)]
    return shlex.join(words + ["--small"] * arguments.small)


def _rounds(word: str) -> int:
    rounds = int(word)
    if rounds < 1:
        raise argparse.ArgumentTypeError(f"at least 1 round is needed, and {rounds} is not")
    return rounds
