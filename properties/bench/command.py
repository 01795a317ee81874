"""The arguments of ``gpusim bench``, and the benchmark that they choose.

Each benchmark is the function ``bench`` of the module of its name, which is imported only when the
benchmark runs.  Nothing is measured here.
"""

import argparse
import shlex
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from gpusim.devices import BEST
from properties.arguments import (
    Parser,
    UsageError,
    read_device,
    read_file_to_write,
    read_whole,
)
from properties.bench.timing import Asked, Report, Results, write_report

_ROUNDS = {
    "decode": 1,
    "dispatch": 3,
    "launch": 5,
    "parts": 5,
    "readback": 15,
    "fuzz": 3,
    "scale": 1,
}
"""The number of rounds that count, if ``--rounds`` is not given."""
_IGNORED = {
    "dispatch": ("small",),
    "fuzz": ("small",),
    "launch": ("small",),
    "parts": ("small",),
    "scale": ("rounds",),
}
"""The arguments that a benchmark refuses, because it has only one size or one round."""
_ONE_ONLY = {"small": "size", "rounds": "round"}
_SECONDS = {
    ("decode", True): (5, 10),
    ("decode", False): (60, 300),
    ("dispatch", False): (60, 160),
    ("fuzz", False): (2, 4),
    ("launch", False): (5, 60),
    ("parts", False): (10, 15),
    ("readback", True): (2, 1),
    ("readback", False): (3, 3),
    ("scale", True): (6, 0),
    ("scale", False): (60, 0),
}
"""About how long a benchmark takes on a software adapter, by name and ``--small``.

Two numbers: the seconds that do not depend on the rounds, and the seconds for each round.
"""
_PICTURES = (".png", ".svg")


def add_options(parser: Parser) -> None:
    """The arguments of ``gpusim bench``."""
    parser.add_argument(
        "benchmark",
        choices=sorted(_ROUNDS),
        nargs="?",
        default="dispatch",
        help="what to measure (default: dispatch)",
    )

    parser.add_option("--device", read_device, "the device to run on", metavar="NAME", default=BEST)
    parser.add_option("--rounds", read_whole(1), "rounds that are counted", metavar="N")
    parser.add_argument("--small", action="store_true", help="sizes for a software adapter")
    parser.add_option("--json", read_file_to_write, "write the figures as JSON", metavar="FILE")
    parser.add_option("--plot", _read_picture, "draw the figures (.png or .svg)", metavar="FILE")


def run(arguments: argparse.Namespace) -> None:
    """Measure, show, and write what was asked for.

    Raises:
        NoDevice: there is no device of that name.
        ProgramError: a plot was asked for and matplotlib is missing.
        UsageError: an argument would be ignored.
    """
    from rich.console import Console

    from gpusim.devices import find_adapter, open_device
    from properties.bench.show import legend_of, text_of

    for name in _IGNORED.get(arguments.benchmark, ()):
        if getattr(arguments, name):
            raise UsageError(
                f"cannot take --{name} because benchmark {arguments.benchmark} has only one "
                f"{_ONE_ONLY[name]} (probably --{name} is to be left out)"
            )
    draw = _drawing(arguments.plot)
    adapter = find_adapter(arguments.device)
    progress = Console(stderr=True)

    def tell(what: str) -> None:
        progress.print(what, style="dim", highlight=False)

    rounds = arguments.rounds or _ROUNDS[arguments.benchmark]
    tell(announcement(arguments.benchmark, rounds, small=arguments.small))
    asked = Asked(
        device=open_device(adapter.name),
        name=adapter.name,
        rounds=rounds,
        small=arguments.small,
        tell=tell,
    )
    module = import_module(f"properties.bench.{arguments.benchmark}")
    results: Results = module.bench(asked)
    report = Report(
        benchmark=arguments.benchmark,
        device=adapter.name,
        description=adapter.description,
        command=_command(arguments, adapter.name, rounds),
        rows=results.rows,
        notes=results.notes,
    )
    print(f"{text_of(report)}\n\n{legend_of(report)}")
    if arguments.json is not None:
        write_report(report, arguments.json)
    if arguments.plot is not None:
        draw(report, arguments.plot)


def announcement(benchmark: str, rounds: int, *, small: bool) -> str:
    """Says about how long a benchmark takes, as the table ``_SECONDS`` has it."""
    whole, each = _SECONDS[benchmark, small]
    seconds = whole + rounds * each
    minutes = round(seconds / 60)
    taken = f"{minutes} minute{'s' * (minutes > 1)}" if minutes else f"{seconds} seconds"
    counted = f"{rounds} round{'s' * (rounds > 1)}"
    return f"{benchmark}, {counted}: about {taken} on a software adapter, less on a GPU"


def _drawing(file: Path | None) -> Callable[[Report, Path], None]:
    """Returns the function that draws a report into ``file``; if that is None, it draws nothing.

    If a drawing is wanted and matplotlib is missing, this raises, before anything is measured.
    """
    if file is None:
        return lambda report, file: None
    from properties.bench.plot import load_drawing

    return load_drawing()


def _read_picture(text: str) -> Path:
    file = read_file_to_write(text)
    if file.suffix not in _PICTURES:
        raise UsageError(
            f"it ends with none of {', '.join(_PICTURES)} (probably the name needs one of these "
            "endings)"
        )
    return file


def _command(arguments: argparse.Namespace, device: str, rounds: int) -> str:
    words = ["gpusim", "bench", arguments.benchmark, "--device", device, "--rounds", str(rounds)]
    return shlex.join(words + ["--small"] * arguments.small)
