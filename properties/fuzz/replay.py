"""Replays a finding on the target on which it was found.

A finding is data and may come from a stranger.  Code that the finding names is run only if the
command line names that code too, or trusts the file.  Built-in targets and kernels need neither.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from gpusim.errors import GpusimError, ProgramError
from gpusim.runtime.policy import PRESETS
from properties.arguments import UsageError
from properties.explain.argument import Argument
from properties.finding_file import FindingFile, read
from properties.fuzz.loading import TARGETS, load_kernels, load_target
from properties.fuzz.protocol import Ready, Setup
from properties.fuzz.settings import ReplaySettings
from properties.fuzz.supervisor import Supervisor
from properties.model.case import RUNTIME, Case, parse_device
from properties.model.failure import Failure


class Untrusted(GpusimError):
    """A file names code to run, and the user did not name this code."""


class NothingToShow(GpusimError):
    """A replay of this finding would show nothing."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplayPlan:
    """What a replay would run."""

    case: Case
    kernels: str

    def __str__(self) -> str:
        kernels = f" with kernels of {self.kernels}" if self.kernels else ""
        policy = "" if self.case.follows_no_policy else f", policy {self.case.policy}"
        return f"target {self.case.target}{kernels} on device {self.case.device}{policy}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """A plan that was carried out: its device, and the failure if there is one."""

    case: Case
    device: str
    description: str
    failure: Failure | None


def plan_replay(path: Path, settings: ReplaySettings) -> ReplayPlan:
    """The plan for the finding at ``path``, by default on its own device and policy.

    Raises:
        ProgramError: the file is malformed.
        UsageError: ``settings`` name another target or other kernels, or a setting that would be
            ignored.
        Untrusted: the file names code that ``settings`` do not name; the message has the command.
        NothingToShow: the program has no op.
        OSError: the file cannot be read.
    """
    return plan_finding(read(path), path, settings)


def plan_finding(finding: FindingFile, path: Path, settings: ReplaySettings) -> ReplayPlan:
    """The plan for a finding that was read from ``path``; raises what ``plan_replay`` raises."""
    case, kernels = finding.case, finding.kernels
    if not len(case.program):
        raise NothingToShow(
            f"cannot replay {path} because the program has no op (probably its lines were lost)"
        )
    if not (case.target + kernels).isprintable():
        raise ProgramError(
            f"cannot replay {path} because its target or kernels hold characters that cannot be "
            "seen (probably the file is damaged, or hides something)"
        )
    if not finding.names_target and settings.target is None:
        raise Untrusted(
            f"cannot replay {path} because a file of version 1 names no target that could be "
            f"trusted (probably {replay_command(path, RUNTIME, kernels)})"
        )
    target = case.target
    if not finding.names_target or _is_named("target", target, settings.target):
        target = settings.target or target
    if kernels and not _is_named("kernels", kernels, settings.kernels) and not settings.trust:
        raise _untrusted(path, finding, "kernels", kernels)
    if settings.target is None and target not in TARGETS and not settings.trust:
        raise _untrusted(path, finding, "target", target)
    if target in TARGETS:
        # A built-in target states its own promises, so those of the file are ignored.
        case = replace(case, promises=None)
    if settings.kernels and not kernels:
        raise UsageError(
            f"cannot take --kernels={settings.kernels} because the finding needs none but "
            "the built-in ones (probably --kernels is to be left out)"
        )
    case = _elsewhere(replace(case, target=target), settings)
    return ReplayPlan(case=case, kernels=settings.kernels or kernels)


def replay(plan: ReplayPlan, stall_seconds: float) -> Replay:
    """Carry out a plan, in a process of its own.

    Raises:
        ProgramError: the target or the kernels cannot be loaded.
        NoDevice: the device is not on this machine.
        NothingToShow: the program asks for more than the target promises, and was not run.
    """
    with _judging(plan, stall_seconds) as (_, ready, failure):
        return Replay(
            case=plan.case, device=ready.device, description=ready.description, failure=failure
        )


def explain(plan: ReplayPlan, stall_seconds: float) -> Argument | None:
    """Why the case of a plan fails; None if the case passes now.  Raises what ``replay`` raises."""
    with _judging(plan, stall_seconds) as (supervisor, _, failure):
        if failure is None:
            return None
        return supervisor.explain(plan.case, failure, stall_seconds)


@contextmanager
def _judging(
    plan: ReplayPlan, stall_seconds: float
) -> Iterator[tuple[Supervisor, Ready, Failure | None]]:
    """A process that has judged the case of a plan, what it runs on, and the failure."""
    load_target(plan.case.target)
    load_kernels(plan.kernels)
    setup = Setup(
        device=plan.case.device.name, kernels=plan.kernels, target=plan.case.target, presets=()
    )
    with Supervisor(setup) as supervisor:
        ready = supervisor.start()
        judged = supervisor.judge_again(plan.case, stall_seconds)
        check_asked(judged.beyond_promises)
        yield supervisor, ready, judged.failure


def check_asked(beyond_promises: str) -> None:
    """Raise NothingToShow if a case was not run; ``beyond_promises`` then says why."""
    if beyond_promises:
        raise NothingToShow(
            f"cannot replay the finding because {beyond_promises} (probably the target promised "
            "more when the finding was made, or the finding's line of promises was changed)"
        )


def replay_command(path: Path, target: str, kernels: str) -> str:
    """The command that replays a file and names all code that it runs."""
    words = ["gpusim", "replay", str(path)]
    words += ["--target", target] if target else []
    words += ["--kernels", kernels] if kernels else []
    return shlex.join(words)


def _elsewhere(case: Case, settings: ReplaySettings) -> Case:
    """``case`` on the device and with the policy that were asked for, if any were."""
    name, policy = settings.device, settings.policy
    if name is not None and name != case.device.name:
        # On a real device a fault's number counts calls of the driver; on the simulated one, calls
        # of the device.  The number is kept.
        case = replace(case, device=replace(parse_device(name), faults=case.device.faults))
    if policy is not None:
        if case.follows_no_policy:
            raise UsageError(
                f"cannot take --policy={policy} because target {case.target} follows no policy of "
                "gpusim (probably --policy is to be left out)"
            )
        case = replace(case, policy=PRESETS[policy])
    return case


def _is_named(what: str, recorded: str, given: str | None) -> bool:
    """Whether the command line names the code of the file; UsageError if it names other code."""
    if given is None:
        return False
    if _place(given) != _place(recorded):
        raise UsageError(
            f"cannot replay on {what} {given} because the finding was made on {recorded} "
            f"(probably --{what} {shlex.quote(recorded)} is meant)"
        )
    return True


def _place(spec: str) -> tuple[str, str]:
    """``FILE.py:NAME`` with its path made absolute, so that different spellings compare equal."""
    where, colon, name = spec.rpartition(":")
    if not colon:
        where, name = spec, ""
    return (str(Path(where).resolve()) if where.endswith(".py") else where), name


def _untrusted(path: Path, finding: FindingFile, what: str, place: str) -> Untrusted:
    target = finding.case.target if finding.names_target else ""
    command = replay_command(path, "" if target in TARGETS else target, finding.kernels)
    return Untrusted(
        f"cannot replay {path} because it would run {what} {place}, which the command line does "
        f"not name (probably, if you know that code: {command}, or add --trust)"
    )
