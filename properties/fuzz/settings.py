"""The settings of a session and of a replay, and where each value came from.

An argument of a call in Python counts first, then the command line, then the environment, then the
default.  Nothing else reads the environment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from gpusim.devices import BEST, SIMULATED, names
from gpusim.errors import meant
from gpusim.runtime.policy import PRESETS
from properties.arguments import (
    Parser,
    Share,
    UsageError,
    read_choice,
    read_device,
    read_file_to_write,
    read_folder,
    read_path,
    read_seconds,
    read_share,
    read_text,
    read_value,
    read_whole,
)
from properties.fuzz.loading import COMMAND, PAGE, TARGETS
from properties.model.case import RUNTIME, SCHEDULERS

ALL = "all"
DEFAULT_SECONDS = 60.0
_MOST_WORKERS = 256
"""The most workers: each is a process with its own device."""
_PLACES = f"MODULE_OR_FILE:NAME, {COMMAND}COMMAND or {PAGE}PAGE"
_DEVICES = ", ".join(names())
_POLICIES = ", ".join(PRESETS)
_SCHEDULERS = ", ".join(SCHEDULERS)


@dataclass(frozen=True, slots=True)
class Option:
    """How a setting is given on the command line: ``read`` parses its text."""

    read: Callable[[str], Any]
    help: str
    metavar: str = "N"
    from_environment: bool = True
    flag: bool = False
    """Whether the setting is given on the command line without a value."""


def _target(text: str) -> str:
    if text not in TARGETS and not text.partition(":")[2].strip():
        probably = f"{text.rstrip(':')}:NAME, with the name of an adapter's class, is meant"
        if not text.endswith((".py", ":")):
            probably = meant(text, TARGETS, "a module or file and a name are meant")
        raise UsageError(f"it is none of {', '.join(TARGETS)}, {_PLACES} (probably {probably})")
    return text


def _truth(text: str) -> bool:
    if text not in ("yes", "no"):
        raise UsageError("it is neither yes nor no (probably yes is meant)")
    return text == "yes"


_preset = read_choice(PRESETS, _POLICIES)
_presets = read_choice((*PRESETS, ALL), f"{_POLICIES} or {ALL}")
_scheduler = read_choice((*SCHEDULERS, ALL), f"{_SCHEDULERS} or {ALL}")
_STALL = Option(read_seconds, "seconds without progress that count as a hang", "S")
_TARGET = Option(_target, f"what is judged: {', '.join(TARGETS)}, {_PLACES}", "NAME")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Every setting of a session; ``origins`` says where each value that was given came from."""

    device: Annotated[str, Option(read_device, f"{_DEVICES}; the best by default", "NAME")] = BEST
    policy: Annotated[str, Option(_presets, f"{_POLICIES}; all by default", "NAME")] = ALL
    scheduler: Annotated[
        str, Option(_scheduler, f"of the simulated device: {_SCHEDULERS}; all by default", "NAME")
    ] = ALL
    faults: Annotated[bool, Option(_truth, "let the device fail now and then", flag=True)] = False
    check_shaders: Annotated[
        bool, Option(_truth, "report races and other mistakes in shaders", flag=True)
    ] = False
    seconds: Annotated[
        float | None,
        Option(read_seconds, f"stop after so long; {DEFAULT_SECONDS:g} without --programs", "S"),
    ] = None
    programs: Annotated[int | None, Option(read_whole(1), "stop after so many")] = None
    workers: Annotated[
        int,
        Option(
            read_whole(1, _MOST_WORKERS),
            "processes that run programs side by side, each with a device",
        ),
    ] = 1
    seed: Annotated[int, Option(read_whole(0), "decides the programs")] = 0
    first: Annotated[int, Option(read_whole(0), "number of the first program")] = 0
    findings: Annotated[int, Option(read_whole(1), "stop after so many different findings")] = 3
    failures: Annotated[int, Option(read_whole(1), "stop after so many failing programs")] = 10
    known: Annotated[
        Path | None, Option(read_folder, "findings to run first and not to report again", "DIR")
    ] = None
    stall: Annotated[float, _STALL] = 30.0
    shrink: Annotated[float, Option(read_seconds, "seconds to make one failure small", "S")] = 15.0
    save: Annotated[Path, Option(read_path, "folder for what is found", "DIR")] = Path("findings")
    json: Annotated[
        Path | None, Option(read_file_to_write, "write what happened to a file", "FILE")
    ] = None
    adversary: Annotated[
        bool,
        Option(
            _truth,
            "disturb the target's device: maps settle in other orders, and calls fail whose "
            "failure the target promises to survive",
            flag=True,
        ),
    ] = False
    shard: Annotated[
        Share | None, Option(read_share, "run share I, from 0, of N; with --corpus", "I/N")
    ] = None
    corpus: Annotated[
        Path | None, Option(read_path, "folder that the shards of a session share", "DIR")
    ] = None
    fleet: Annotated[
        str, Option(read_text, "Ray cluster for the session, or local; with --corpus", "ADDRESS")
    ] = ""
    block: Annotated[
        int, Option(read_whole(1), "programs of a block; a block that was cut off is run again")
    ] = 500
    kernels: Annotated[
        str, Option(read_text, "module or .py file whose KERNELS are used too", "MODULE_OR_FILE")
    ] = ""
    target: Annotated[str, _TARGET] = RUNTIME
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        self._refuse_half_shared()
        if self.device == SIMULATED:
            return
        for name, needs in _SIMULATED_ONLY.items():
            if getattr(self, name) != _default(name):
                raise UsageError(
                    f"cannot take {self.source(name)} because only the simulated device {needs}, "
                    f"and this is {self.device} (probably --device {SIMULATED} is missing)"
                )

    def _refuse_half_shared(self) -> None:
        """Raise UsageError if a session in blocks lacks a setting that it needs."""
        shared = next((name for name in ("fleet", "shard") if getattr(self, name)), "")
        if shared and self.corpus is None:
            raise UsageError(
                f"cannot take {self.source(shared)} because its results have no folder "
                "(probably --corpus DIR is missing)"
            )
        if self.corpus is not None and self.programs is None:
            raise UsageError(
                f"cannot take {self.source('corpus')} because a session in blocks needs a last "
                "program (probably --programs N is missing)"
            )

    def refuse_ignored(self) -> None:
        """Raise UsageError if a target that is not our runtime would ignore a setting."""
        for name, ignored in _OURS_ONLY.items():
            if getattr(self, name) != _default(name):
                raise UsageError(
                    f"cannot take {self.source(name)} because target {self.target} {ignored} "
                    f"(probably {self.source(name)} is to be left out)"
                )

    def source(self, name: str) -> str:
        """A setting and its value, as they were given."""
        value = getattr(self, name)
        origin = self.origins.get(name, "argument")
        if origin == "command line":
            return option_of(name) if value is True else f"{option_of(name)}={value}"
        return f"{name if origin == 'argument' else origin}={value}"

    @property
    def presets(self) -> tuple[str, ...]:
        """The names of the policies that programs are run with, in turn."""
        return tuple(PRESETS) if self.policy == ALL else (self.policy,)

    @property
    def schedulers(self) -> tuple[str, ...]:
        """The names of the schedulers that simulated devices have in turn."""
        return SCHEDULERS if self.scheduler == ALL else (self.scheduler,)

    @property
    def most_seconds(self) -> float | None:
        """After how many seconds to stop; None if only a number of programs is given."""
        if self.seconds is None and self.programs is None:
            return DEFAULT_SECONDS
        return self.seconds

    def describe(self) -> str:
        """One line: every setting that a run depends on, and where it came from."""
        always = ("device", "policy", "seed") if self.target == RUNTIME else ("device", "seed")
        return ", ".join(
            f"{name} {getattr(self, name)} ({self.origins.get(name, 'default')})"
            for name in settings_of(Settings)
            if name in always or name in self.origins
        )


_SIMULATED_ONLY = {"scheduler": "has a scheduler", "check_shaders": "checks shaders"}
"""The settings that only the simulated device follows, each with what that device does."""
_OURS_ONLY = {
    "policy": "follows no policy of gpusim",
    "scheduler": "has its device opened once, with the first scheduler",
    "check_shaders": "brings shaders of its own",
    "faults": "is not held to what gpusim does on a device that fails",
}
"""The settings that only our own runtime follows, each with the reason why no other target does."""


def _default(name: str) -> Any:
    return next(field.default for field in fields(Settings) if field.name == name)


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplaySettings:
    """Settings of a replay; the finding gives those that are left out.

    The environment does not replace a finding's device or policy: the variables of the
    environment are meant for sessions.
    """

    device: Annotated[
        str | None,
        Option(read_device, "in place of the finding's device", "NAME", from_environment=False),
    ] = None
    policy: Annotated[
        str | None,
        Option(_preset, f"in place of its policy: {_POLICIES}", "NAME", from_environment=False),
    ] = None
    stall: Annotated[float, _STALL] = 30.0
    target: Annotated[
        str | None,
        Option(_target, "the target of the finding, so that it may be run", "NAME", False),
    ] = None
    kernels: Annotated[
        str | None,
        Option(read_text, "the kernels of the finding, so that they may be loaded", "PLACE", False),
    ] = None
    trust: Annotated[
        bool,
        Option(
            _truth,
            "run the target and kernels that the file names; a file of version 1 names no target",
            from_environment=False,
            flag=True,
        ),
    ] = False
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)


S = TypeVar("S", Settings, ReplaySettings)


def gather(
    kind: type[S],
    command_line: Mapping[str, Any],
    environment: Mapping[str, str],
    **arguments: Any,
) -> S:
    """Take settings from all sources, and put them together.

    ``command_line`` holds what the parser read; ``arguments`` holds values, which are checked too.

    Raises:
        UsageError: names the setting, its source and the allowed values.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, setting in settings_of(kind).items():
        variable = _variable_of(name)
        if name in arguments:
            values[name], origins[name] = _checked(setting, arguments[name], name), "argument"
        elif (value := command_line.get(name)) is not None:
            values[name], origins[name] = value, "command line"
        elif setting.from_environment and (text := environment.get(variable)):
            values[name], origins[name] = read_value(setting.read, text, variable), variable
    return kind(**values, origins=origins)


def add_options(parser: Parser, kind: type[Settings] | type[ReplaySettings]) -> None:
    """Add an option to ``parser`` for each setting of ``kind``."""
    for name, setting in settings_of(kind).items():
        text = setting.help + f" ({_variable_of(name)})" * setting.from_environment
        if setting.flag:
            parser.add_argument(option_of(name), action="store_const", const=True, help=text)
        else:
            parser.add_option(f"--{name}", setting.read, text, metavar=setting.metavar)


def read_setting(name: str, text: str, source: str) -> Any:
    """The value of a session's setting; UsageError names ``source`` if ``text`` is wrong."""
    return read_value(settings_of(Settings)[name].read, text, source)


def settings_of(kind: type[Settings] | type[ReplaySettings]) -> dict[str, Option]:
    """The option of each setting, by the setting's name."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")
    }


def option_of(name: str) -> str:
    """The word of the command line that gives a setting."""
    return f"--{name.replace('_', '-')}"


def _variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"GPUSIM_{name.upper()}"


def _checked(option: Option, value: Any, source: str) -> Any:
    """``value``, checked: it is written as text and read like the option."""
    if value is None:
        return None
    text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return read_value(option.read, text, source)


def add_reports(parser: Parser) -> None:
    """Add the options that say how much a session prints, and which reports it writes."""
    amount = parser.add_mutually_exclusive_group()
    amount.add_argument("--details", action="store_true", help="show tables and whole findings")
    amount.add_argument("--quiet", action="store_true", help="show findings only")
    for name, text in (("--junit", "JUnit XML"), ("--sarif", "SARIF")):
        parser.add_option(name, read_file_to_write, f"write findings as {text}", metavar="FILE")


def add_merge_options(parser: Parser) -> None:
    """Add the options that say which corpora are merged, and what is written."""
    parser.add_argument("folders", nargs="+", metavar="DIR", help="the --corpus of a session")
    for name in ("save", "json"):
        setting = settings_of(Settings)[name]
        parser.add_option(f"--{name}", setting.read, setting.help, metavar=setting.metavar)
    parser.add_option("--html", read_file_to_write, "write a page with curves", metavar="FILE")
