"""The command line: ``gpusim devices``, ``fuzz``, ``replay``, ``explain``, ``run`` and more.

Arguments become settings here, and results become an exit status.  0: nothing was found.
1: something was found.  2: wrong usage.  3: the command could not run, or its result is invalid.
130: it was interrupted before anything was found.  Each command imports what it needs, so that
``--help`` loads neither NumPy nor wgpu.
"""

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from properties.arguments import (
    Parser,
    UsageError,
    read_file_to_write,
    read_text,
    read_value,
)

if TYPE_CHECKING:
    from gpusim.program import Program
    from properties.fuzz.engine import Session

NOTHING_FOUND, FOUND, WRONG_USAGE, COULD_NOT_RUN = range(4)
INTERRUPTED = 128 + signal.SIGINT
"""The exit status that a shell gives a command which Ctrl-C ended."""
_MOST_SHOWN_OPS = 60
_EPILOG = (
    "exit status: 0 nothing found, 1 found, 2 wrong usage, 3 could not run, or invalid, "
    f"{INTERRUPTED} interrupted before anything was found"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit status; ``--help`` and ``--version`` exit themselves."""
    # SIGTERM now interrupts like SIGINT, so that a session which either of them ends still reports
    # what it found.  SIGINT stays ignored if it was ignored at the start, for example under nohup.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(list(sys.argv[1:] if argv is None else argv))
    except KeyboardInterrupt:
        print("gpusim: interrupted before there was anything to report", file=sys.stderr)
        return INTERRUPTED


def _run(words: Sequence[str]) -> int:
    try:
        arguments = _parser(words).parse_args(words)
    except UsageError as error:
        print(f"gpusim: {error}", file=sys.stderr)
        return WRONG_USAGE
    from gpusim.errors import GpusimError, ProgramError

    try:
        return _COMMANDS[arguments.command][0](arguments)
    except (UsageError, ProgramError) as error:
        print(f"gpusim: {error}", file=sys.stderr)
        return WRONG_USAGE
    except OSError as error:
        print(f"gpusim: {_in_words(error)}", file=sys.stderr)
        return WRONG_USAGE
    except GpusimError as error:
        print(f"gpusim: {error}", file=sys.stderr)
        return COULD_NOT_RUN
    except Exception:
        # Python would exit with 1, which means a finding.
        traceback.print_exc()
        print(
            "gpusim: cannot go on because gpusim itself failed (please report it)", file=sys.stderr
        )
        return COULD_NOT_RUN


def _in_words(error: OSError) -> str:
    if error.filename is None:
        return f"cannot go on because {error} (probably the system has run out of something)"
    reason = error.strerror or str(error)
    return f"cannot use {error.filename} because of {reason!r} (probably another path is meant)"


def _devices(arguments: argparse.Namespace) -> int:
    from gpusim.devices import DAWN, INSTALL, SIMULATED, adapters, what_dawn_misses

    found = adapters()
    width = max((len(adapter.name) for adapter in found), default=0)
    for adapter in found:
        print(f"{adapter.name:{width}}  {adapter.description}")
    if missing := what_dawn_misses():
        print(f"{DAWN:{width}}  {missing}")
    if all(adapter.name == SIMULATED for adapter in found):
        print(f"no adapter was found; what gives one: {INSTALL}", file=sys.stderr)
    return NOTHING_FOUND


def _fuzz(arguments: argparse.Namespace) -> int:
    from properties.fuzz.command import fuzz

    return _status(fuzz(arguments))


def _merge(arguments: argparse.Namespace) -> int:
    from properties.fuzz.command import merge

    return _status(merge(arguments))


def _status(session: "Session") -> int:
    """The exit status of a session."""
    if len(session.bugs):
        return FOUND
    if session.interrupted:
        return INTERRUPTED
    return NOTHING_FOUND if session.is_valid else COULD_NOT_RUN


def _replay(arguments: argparse.Namespace) -> int:
    from properties.fuzz.replay import plan_replay, replay
    from properties.fuzz.settings import ReplaySettings, gather

    settings = gather(ReplaySettings, vars(arguments), os.environ)
    plan = plan_replay(Path(read_value(read_text, arguments.file, "FILE")), settings)
    program = plan.case.program
    print(f"{plan}\n\n{_shown(program)}")
    done = replay(plan, settings.stall)
    print(f"ran on {done.device}: {done.description}")
    if done.failure is not None:
        print(done.failure)
        return FOUND
    print(f"passes: all {len(program)} ops show what they mean")
    return NOTHING_FOUND


def _explain(arguments: argparse.Namespace) -> int:
    from properties.fuzz.replay import explain, plan_replay, replay_command
    from properties.fuzz.settings import ReplaySettings, gather

    settings = gather(ReplaySettings, vars(arguments), os.environ)
    path = Path(read_value(read_text, arguments.file, "FILE"))
    plan = plan_replay(path, settings)
    html, trace = arguments.html, arguments.trace
    argument = explain(plan, settings.stall)
    if argument is None:
        print(f"passes: all {len(plan.case.program)} ops show what they mean")
        return NOTHING_FOUND
    print(f"{argument}\n\n{plan}\n{_shown(plan.case.program)}")
    if html is not None:
        from properties.explain.page import page

        again = replay_command(path, settings.target or "", settings.kernels or "")
        html.write_text(page(argument, again), encoding="utf-8")
    if trace is not None:
        from properties.explain.perfetto import perfetto

        trace.write_bytes(perfetto(argument))
    return FOUND


def _repro(arguments: argparse.Namespace) -> int:
    from properties.fuzz.repro import pytest_source, script_source

    write = script_source if arguments.script else pytest_source
    print(write(Path(read_value(read_text, arguments.file, "FILE"))), end="")
    return NOTHING_FOUND


def _shown(program: "Program") -> str:
    """The text of a program; of a long one only the beginning."""
    from gpusim.text import write_op

    lines = [write_op(op) for op in program.ops[:_MOST_SHOWN_OPS]]
    left = len(program) - len(lines)
    return "\n".join([*lines, *([f"... and {left} ops more"] if left else []), ""])


def _check_program(arguments: argparse.Namespace) -> None:
    """Refuse words that name no program."""
    doing = arguments.command
    if not arguments.words:
        raise UsageError(
            f"cannot {doing} because no program is named (probably SCRIPT.py, or -m MODULE, is "
            "left out)"
        )
    if not arguments.is_module and not Path(arguments.words[0]).is_file():
        raise UsageError(
            f"cannot {doing} {arguments.words[0]} because there is no such file (probably another "
            "path, or -m before a module, is meant)"
        )


def _sanitize(arguments: argparse.Namespace) -> int:
    from gpusim.layer.command import run
    from gpusim.simulated import on_device

    _check_program(arguments)
    return run(
        arguments.words,
        is_module=arguments.is_module,
        as_json=arguments.json,
        others=[on_device.append],
    )


def _run_simulated(arguments: argparse.Namespace) -> int:
    from gpusim.layer.command import run_program
    from gpusim.simulated import GPU, PROFILES, parse_faults, stand_in, strategy
    from gpusim.wgsl.checks import Ledger

    _check_program(arguments)
    if arguments.profile not in PROFILES:
        raise UsageError(
            f"cannot run because --profile={arguments.profile} is none of {', '.join(PROFILES)} "
            "(probably a misspelling)"
        )
    schedule = partial(strategy, arguments.scheduler, arguments.seed)
    schedule()  # An unknown name is refused before the program begins.
    faults = parse_faults(arguments.faults)
    with os.fdopen(os.dup(2), "w") as out:
        # The program may put another stream in the place of stderr, and pytest does.
        checks = Ledger(
            show=partial(print, file=out, flush=True), arithmetic=arguments.check_arithmetic
        )
        given = checks if arguments.check_shaders or arguments.check_arithmetic else None
        stand_in(GPU(profile=arguments.profile, schedule=schedule, faults=faults, checks=given))
        failed = run_program(arguments.words, arguments.is_module)
        if given is not None:
            count = len(checks.reports)
            noun = "report" if count == 1 else "reports"
            print(f"gpusim run: {count} {noun} on shaders", file=out)
    wrong = any(report.severity == "error" for report in checks.reports)
    return FOUND if failed or wrong else NOTHING_FOUND


def _mutants(arguments: argparse.Namespace) -> int:
    from properties.mutants.report import run

    return run(arguments)


def _bench(arguments: argparse.Namespace) -> int:
    from properties.bench.command import run

    run(arguments)
    return NOTHING_FOUND


def _parser(words: Sequence[str]) -> Parser:
    parser = Parser(
        prog="gpusim",
        description="A batched WebGPU runtime, and its judge.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    asked = next((word for word in words if not word.startswith("-")), "")
    for name, (_, text) in _COMMANDS.items():
        options = commands.add_parser(
            name, help=text, description=text, epilog=_EPILOG, allow_abbrev=False
        )
        if name == asked and name != "devices":
            _add_options(options, name)
    return parser


class _Version(argparse.Action):
    """Prints the version, which is loaded only then."""

    def __init__(self, **named: Any) -> None:
        super().__init__(**{**named, "nargs": 0, "help": "show the version and exit"})

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        """See argparse."""
        from gpusim import __version__

        print(f"gpusim {__version__}")
        parser.exit()


def _add_options(parser: Parser, command: str) -> None:
    from properties.fuzz.settings import ReplaySettings, Settings
    from properties.fuzz.settings import add_options as add_settings

    if command == "mutants":
        from properties.mutants.report import add_options

        add_options(parser)
        return
    if command == "bench":
        from properties.bench.command import add_options as add_bench_options

        add_bench_options(parser)
        return
    if command in ("sanitize", "run"):
        if command == "sanitize":
            parser.add_argument("--json", action="store_true", help="reports as JSON, one a line")
        else:
            _add_device_options(parser)
        parser.add_argument(
            "-m", dest="is_module", action="store_true", help="run a module, like python -m"
        )
        parser.add_argument(
            "words",
            nargs=argparse.REMAINDER,
            metavar="PROGRAM ...",
            help="a script or a module, with its arguments",
        )
        return
    if command in (*_OF_A_FILE, "repro"):
        parser.add_argument("file", metavar="FILE", help="a file that a session saved")
    if command == "repro":
        form = parser.add_mutually_exclusive_group(required=True)
        form.add_argument("--pytest", action="store_true", help="a test to paste")
        form.add_argument("--script", action="store_true", help="a script that runs by itself")
        return
    if command == "explain":
        for name, text in (("--html", "write a page"), ("--trace", "write a Perfetto trace")):
            parser.add_option(name, read_file_to_write, text, metavar="OUT")
    if command in ("fuzz", "merge"):
        from properties.fuzz.settings import add_merge_options, add_reports

        add_reports(parser)
        if command == "merge":
            add_merge_options(parser)
            return
    add_settings(parser, ReplaySettings if command in _OF_A_FILE else Settings)


_OF_A_FILE = ("replay", "explain")


def _add_device_options(parser: argparse.ArgumentParser) -> None:
    """The options of the simulated device of ``gpusim run``."""
    from gpusim.simulated import PROFILES, STRATEGIES

    parser.add_argument("--scheduler", default="late", help=", ".join(STRATEGIES), metavar="NAME")
    parser.add_argument("--seed", default=0, type=int, help="of the random scheduler", metavar="N")
    parser.add_argument("--faults", default="", help="the plan of faults", metavar="PLAN")
    parser.add_argument(
        "--check-shaders", action="store_true", help="report races and other mistakes in shaders"
    )
    parser.add_argument(
        "--check-arithmetic",
        action="store_true",
        help="the same, and warn of divisions by zero, wide shifts and the like",
    )
    known = ", ".join(PROFILES)
    parser.add_argument("--profile", default="wgpu-native", help=known, metavar="NAME")


_COMMANDS: dict[str, tuple[Callable[[argparse.Namespace], int], str]] = {
    "devices": (_devices, "every device of this machine, by name"),
    "fuzz": (_fuzz, "run random programs and compare each run with the reference"),
    "merge": (_merge, "sum up the corpora of one session, or of several, in one report"),
    "replay": (_replay, "run the program of a finding again"),
    "explain": (_explain, "say why the program of a finding fails"),
    "repro": (_repro, "write a finding as a test or a script in Python"),
    "run": (_run_simulated, "run a wgpu-py program on the simulated device"),
    "sanitize": (_sanitize, "run a wgpu-py program and report its mistakes with WebGPU"),
    "bench": (_bench, "measure what the runtime costs"),
    "mutants": (_mutants, "plant one mistake at a time, and check that the judge finds it"),
}
