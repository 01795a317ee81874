"""The settings of a session and of a replay, and where each value came from.

An argument of the call goes before the command line, the command line before the
environment, the environment before the default.  Nothing else reads the environment.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

from gpusim.devices import BEST, SIMULATED, is_name, names
from gpusim.runtime.policy import PRESETS
from properties.fuzz.loading import COMMAND, PAGE, TARGETS
from properties.model.case import RUNTIME, SCHEDULERS

ALL = "all"
DEFAULT_SECONDS = 60.0
_PLACES = f"MODULE_OR_FILE:NAME, {COMMAND}COMMAND or {PAGE}PAGE"
_DEVICES = ", ".join(names())
_POLICIES = ", ".join(PRESETS)
_SCHEDULERS = ", ".join(SCHEDULERS)


class UsageError(ValueError):
    """A setting with a value that it cannot have."""


@dataclass(frozen=True, slots=True)
class Setting:
    """How a setting is given: ``read`` parses its text."""

    read: Callable[[str], Any]
    help: str
    metavar: str = "N"
    from_environment: bool = True
    flag: bool = False
    """Whether it is given on the command line without a value."""


def _device(text: str) -> str:
    if not is_name(text):
        raise UsageError(f"it is none of {_DEVICES}, or one of them with a number")
    return text


def _preset(text: str) -> str:
    if text not in PRESETS:
        raise UsageError(f"it is none of {_POLICIES}")
    return text


def _presets(text: str) -> str:
    if text != ALL and text not in PRESETS:
        raise UsageError(f"it is none of {_POLICIES} or {ALL}")
    return text


def _scheduler(text: str) -> str:
    if text not in (*SCHEDULERS, ALL):
        raise UsageError(f"it is none of {_SCHEDULERS} or {ALL}")
    return text


def _target(text: str) -> str:
    if text not in TARGETS and not text.partition(":")[2].strip():
        raise UsageError(f"it is none of {', '.join(TARGETS)}, {_PLACES}")
    return text


def _truth(text: str) -> bool:
    if text not in ("yes", "no"):
        raise UsageError("it is neither yes nor no")
    return text == "yes"


def _whole(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < least:
            raise UsageError(f"it is no whole number of at least {least}")
        return int(text)

    return read


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < float("inf"):
        raise UsageError("it is no number of seconds above 0")
    return value


_STALL = Setting(_seconds, "a program without progress for so long hangs", "S")
_TARGET = Setting(_target, f"what is judged: {', '.join(TARGETS)}, {_PLACES}", "NAME")


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Every setting of a session; ``origins`` says where each one not at its default came from."""

    device: Annotated[str, Setting(_device, f"{_DEVICES}; the best by default", "NAME")] = BEST
    policy: Annotated[str, Setting(_presets, f"{_POLICIES}; all by default", "NAME")] = ALL
    scheduler: Annotated[
        str, Setting(_scheduler, f"of the simulated device: {_SCHEDULERS}; all by default", "NAME")
    ] = ALL
    faults: Annotated[
        bool, Setting(_truth, "let the simulated device fail now and then", flag=True)
    ] = False
    seconds: Annotated[
        float | None,
        Setting(_seconds, f"stop after so long; {DEFAULT_SECONDS:g} without --programs", "S"),
    ] = None
    programs: Annotated[int | None, Setting(_whole(1), "stop after so many programs")] = None
    workers: Annotated[
        int, Setting(_whole(1), "number of processes that run programs, each with a device")
    ] = 1
    seed: Annotated[int, Setting(_whole(0), "a program follows from it and its number")] = 0
    first: Annotated[int, Setting(_whole(0), "number of the first program")] = 0
    findings: Annotated[int, Setting(_whole(1), "stop after so many different findings")] = 3
    failures: Annotated[int, Setting(_whole(1), "stop after so many failing programs")] = 10
    known: Annotated[
        Path | None, Setting(Path, "findings to run first and not to report again", "DIR")
    ] = None
    stall: Annotated[float, _STALL] = 30.0
    shrink: Annotated[float, Setting(_seconds, "how long shrinking one failure may take", "S")] = (
        15.0
    )
    save: Annotated[Path, Setting(Path, "folder for the findings", "DIR")] = Path("findings")
    json: Annotated[Path | None, Setting(Path, "write the results to a file", "FILE")] = None
    kernels: Annotated[
        str, Setting(str, "module or .py file whose KERNELS are used too", "MODULE_OR_FILE")
    ] = ""
    target: Annotated[str, _TARGET] = RUNTIME
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)

    def __post_init__(self) -> None:
        if self.faults and self.device != SIMULATED:
            raise UsageError(
                f"cannot let device {self.device} fail because only the simulated one fails on "
                f"demand (probably --device {SIMULATED} is missing)"
            )

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
        """When to stop, in seconds; None where only a number of programs is given."""
        if self.seconds is None and self.programs is None:
            return DEFAULT_SECONDS
        return self.seconds

    def describe(self) -> str:
        """One line: every setting that a run depends on, and where it came from."""
        always = ("device", "policy", "seed")
        return ", ".join(
            f"{name} {getattr(self, name)} ({self.origins.get(name, 'default')})"
            for name in settings_of(Settings)
            if name in always or name in self.origins
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplaySettings:
    """Settings of a replay; the finding gives those that are left out.

    The environment does not replace a finding's device or policy: its own variables are
    meant for sessions.
    """

    device: Annotated[
        str | None,
        Setting(_device, "in place of the finding's device", "NAME", from_environment=False),
    ] = None
    policy: Annotated[
        str | None,
        Setting(_preset, f"in place of its policy: {_POLICIES}", "NAME", from_environment=False),
    ] = None
    stall: Annotated[float, _STALL] = 30.0
    target: Annotated[
        str | None,
        Setting(_target, "the target of the finding, so that it may be run", "NAME", False),
    ] = None
    kernels: Annotated[
        str | None,
        Setting(str, "the kernels of the finding, so that they may be loaded", "PLACE", False),
    ] = None
    trust: Annotated[
        bool, Setting(_truth, "run whatever the file names", from_environment=False, flag=True)
    ] = False
    origins: Mapping[str, str] = field(default_factory=dict, compare=False)


S = TypeVar("S", Settings, ReplaySettings)


def gather(
    kind: type[S],
    command_line: Mapping[str, Any],
    environment: Mapping[str, str],
    **arguments: Any,
) -> S:
    """Settings from every source; ``arguments`` holds values, which are checked too.

    Raises:
        UsageError: names the setting, its source and the allowed values.
    """
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for name, setting in settings_of(kind).items():
        variable = variable_of(name)
        if name in arguments:
            values[name], origins[name] = _checked(setting, arguments[name], name), "argument"
        elif (text := command_line.get(name)) is not None:
            values[name], origins[name] = _read(setting, text, f"--{name}"), "command line"
        elif setting.from_environment and (text := environment.get(variable)):
            values[name], origins[name] = _read(setting, text, variable), variable
    return kind(**values, origins=origins)


def settings_of(kind: type[Settings] | type[ReplaySettings]) -> dict[str, Setting]:
    """The settings by name."""
    hints = get_type_hints(kind, include_extras=True)
    return {
        name: hint.__metadata__[0] for name, hint in hints.items() if hasattr(hint, "__metadata__")
    }


def variable_of(name: str) -> str:
    """The environment variable of a setting."""
    return f"GPUSIM_{name.upper()}"


def _checked(setting: Setting, value: Any, source: str) -> Any:
    """A checked value: what reading its text gives."""
    if value is None:
        return None
    text = {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
    return _read(setting, text, source)


def _read(setting: Setting, text: str, source: str) -> Any:
    try:
        return setting.read(text)
    except UsageError as error:
        raise UsageError(f"cannot take {source}={text} because {error}") from None
