"""Judge a runtime: write an adapter of it, and check it, fuzz it, or replay a finding of it.

    class MyRuntime(Adapter): ...  # one method an op

    def test_my_runtime() -> None:
        check(MyRuntime, programs=200)

The door from gpusim to its judge.  Only the types that an adapter needs are loaded with this
module; a function loads the judge, and with it wgpu, when it is called.  Nothing is decided here:
the judge is ``properties``.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpusim.kernels import BUILTIN, Kernel, Kernels
from gpusim.limits import Limits
from gpusim.program import Program
from properties.model.target import Adapter, Capabilities, Delivery, ReplayingAdapter

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from properties.fuzz.bugs import Bug
    from properties.fuzz.engine import Session
    from properties.fuzz.settings import Settings

__all__ = [
    "Adapter",
    "Capabilities",
    "Delivery",
    "Finding",
    "MakeTarget",
    "ReplayingAdapter",
    "SessionResult",
    "TargetFailed",
    "check",
    "check_program",
    "fuzz",
    "programs",
    "replay",
    "serve",
]

MakeTarget = Callable[[Any, Kernels], Adapter]
"""Makes the target of one program from a wgpu-py device and the kernels: an adapter's class."""
_DEVICE = "GPUSIM_DEVICE"


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """A program that a target fails, as small as it could be made."""

    program: Program
    failure: str
    """The op that shows it, what was expected and what came."""
    path: Path | None = None
    """The file that holds it; None where it is in none."""
    replay: str = ""
    """How to run that file again; empty after a replay."""
    reproduced: bool = True
    """Whether the program failed again when it was run by itself."""
    is_cut_short: bool = False
    """Whether it may be made smaller, since the time for that ran out."""

    def __str__(self) -> str:
        lines = [f"{self.program}\n{self.failure}"]
        if not self.reproduced:
            lines.append("It did not fail again when it was run by itself.")
        if self.is_cut_short:
            lines.append("Shrinking it was cut short: with more time it may become smaller.")
        if self.path is not None:
            lines.append(f"file:   {self.path}")
        if self.replay:
            lines.append(f"replay: {self.replay}")
        return "\n".join(lines)


class TargetFailed(AssertionError):
    """A target failed a program.  ``finding`` says which, and where."""

    def __init__(self, target: str, finding: Finding) -> None:
        super().__init__(f"{target} fails this program:\n\n{finding}")
        self.finding = finding


@dataclass(frozen=True, kw_only=True, slots=True)
class SessionResult:
    """What a session did.  Without findings it shows something only where it is valid."""

    device: str
    """The device by its name, never ``best``."""
    programs: int
    """Programs that ran."""
    seconds: float
    seed: int
    findings: tuple[Finding, ...]
    """In the order in which they were met, each once."""
    invalid_because: str
    """Why finding nothing means nothing: a planted mistake was not seen, for example."""
    interrupted: bool
    """Whether Ctrl-C ended it."""


def check(
    make_target: MakeTarget | str,
    *,
    programs: int = 200,
    seed: int = 0,
    device: str | None = None,
    policy: str | None = None,
    kernels: str | Iterable[Kernel] = (),
    shrink_seconds: float = 15.0,
    save: str | Path = "findings",
) -> None:
    """Judge a target with random programs, in this process; return if it passes all.

    An abort or a hang of the target is one of this process: ``fuzz`` judges such a target.

    Args:
        make_target: an adapter's class, or a target's name as ``gpusim fuzz --target`` takes it.
        programs: how many; program ``i`` follows from ``seed`` and ``i`` alone.
        device: a name that ``gpusim devices`` shows; where left out, the one that the variable
            GPUSIM_DEVICE names, or the best.
        policy: a preset's name, for our own runtime; all in turn where left out.
        kernels: more than the built-in ones, or a module or .py file with ``KERNELS``.
        shrink_seconds: what making the failing program small may take.
        save: the folder for the file of what is found.

    Raises:
        TargetFailed: with the smallest program that fails in the same way.
        NoDevice: there is no such device.
        ProgramError: the target or the kernels cannot be loaded.
        ValueError: an argument has a value that it cannot have.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from properties.fuzz.check import check as first_bug
    from properties.fuzz.check import maker_of, replay_words

    place, own = _kernels_of(kernels)
    settings = _settings(
        make_target,
        programs=programs,
        seed=seed,
        device=device,
        policy=policy,
        kernels=place or None,
        shrink=shrink_seconds,
        save=Path(save),
    )
    bug = first_bug(settings, maker_of(make_target), own)
    if bug is not None:
        again = replay_words(bug.file, make_target, place if own is None else None)
        raise TargetFailed(settings.target, _finding_of(bug, again))


def check_program(
    target: Adapter, program: Program | str, *, kernels: Iterable[Kernel] = ()
) -> None:
    """Judge one program on ``target``, which must be new and is closed; return if it passes.

    The text form of a program is that of ``Program.parse``.  In a test with Hypothesis, draw it
    from ``programs``.

    Raises:
        TargetFailed: it fails.  The program is not made smaller.
        ProgramError: the text is no program.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from properties.fuzz.check import judge_program

    program = Program.parse(program) if isinstance(program, str) else program
    failure = judge_program(program, target, BUILTIN.adding(*kernels))
    if failure is not None:
        finding = Finding(program=program, failure=str(failure))
        raise TargetFailed(type(target).__name__, finding)


def fuzz(
    make_target: MakeTarget | str,
    *,
    seconds: float | None = None,
    programs: int | None = None,
    workers: int = 1,
    seed: int = 0,
    findings: int = 3,
    device: str | None = None,
    policy: str | None = None,
    scheduler: str | None = None,
    faults: bool = False,
    kernels: str = "",
    stall_seconds: float = 30.0,
    shrink_seconds: float = 15.0,
    save: str | Path = "findings",
) -> SessionResult:
    """Run a session: random programs in worker processes, so that an abort is a finding.

    A script calls it under ``if __name__ == "__main__"``, since the workers load the script.
    What ``check`` takes as well means the same here.

    Args:
        make_target: an adapter's class at the top level of a module, or a target's name.
        seconds: stop after so long; 60 where neither it nor ``programs`` is given.
        programs: stop after so many.
        workers: how many run programs side by side, each with a device.
        findings: stop after so many different ones.
        scheduler: of the simulated device; all in turn where left out.
        faults: let the simulated device fail now and then.
        kernels: a module or .py file whose ``KERNELS`` are used too.
        stall_seconds: how long without progress is a hang.

    Raises:
        NoDevice, ProgramError, ValueError: as for ``check``.
    """
    from properties.fuzz.check import see_that_workers_find
    from properties.fuzz.engine import fuzz as run_session

    settings = _settings(
        make_target,
        seconds=seconds,
        programs=programs,
        workers=workers,
        seed=seed,
        findings=findings,
        device=device,
        policy=policy,
        scheduler=scheduler,
        faults=faults or None,
        kernels=kernels or None,
        stall=stall_seconds,
        shrink=shrink_seconds,
        save=Path(save),
    )
    see_that_workers_find(make_target)
    return _result_of(run_session(settings, lambda _: None), make_target, kernels)


def replay(
    path: str | Path,
    make_target: MakeTarget | str | None = None,
    *,
    device: str | None = None,
    policy: str | None = None,
    kernels: str | Iterable[Kernel] = (),
    trust: bool = False,
) -> None:
    """Run a finding again, in this process; return if it passes now.

    Args:
        path: the file that a session or ``check`` saved.
        make_target: the target to run; a built-in one needs no naming.  An adapter's class takes
            the place of the recorded target, and a name has to be the recorded one.
        device: in place of the finding's.
        policy: a preset's name, in place of the finding's.
        kernels: the finding's kernels, where it has any.
        trust: load whatever target and kernels the file names.

    Raises:
        TargetFailed: it fails still.
        Untrusted: the file names what the arguments do not; the text says which.
        NoDevice: there is no such device.
        ProgramError: the file is malformed, or what it names cannot be loaded.
        ValueError: an argument has a value that it cannot have.
        OSError: the file cannot be read.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from properties.finding_file import read
    from properties.fuzz.check import judge_again, maker_of, name_of
    from properties.fuzz.replay import plan_replay
    from properties.fuzz.settings import ReplaySettings, gather

    recorded = read(Path(path))
    place, own = _kernels_of(kernels)
    make = maker_of(make_target)
    # Objects that were given are run, whatever the file calls them.
    target = make_target if make is None else recorded.case.target
    given = {
        "device": device,
        "policy": policy,
        "target": target,
        "kernels": (place if own is None else recorded.kernels) or None,
        "trust": trust or None,
    }
    settings = gather(ReplaySettings, {}, {}, **_without_none(given))
    plan = plan_replay(Path(path), settings)
    failure = judge_again(plan, make, own)
    if failure is not None:
        finding = Finding(program=plan.case.program, failure=str(failure), path=Path(path))
        raise TargetFailed(name_of(make_target or plan.case.target), finding)


def programs(
    *,
    capabilities: Capabilities = Capabilities(),  # noqa: B008 - frozen
    kernels: Iterable[Kernel] = (),
    limits: Limits | None = None,
    min_ops: int = 0,
    max_ops: int = 60,
) -> "SearchStrategy[Program]":
    """A Hypothesis strategy of random programs, which shrink to few, small and aligned ops.

    Args:
        capabilities: what a target promises; programs ask for nothing more.
        kernels: more than the built-in ones.
        limits: what a target holds; WebGPU's own where left out.
        min_ops: the fewest ops of a program.
        max_ops: the most ops.
    """
    from properties.generate.strategies import programs as strategy
    from properties.generate.words import in_words

    drawn = strategy(
        kernels=BUILTIN.adding(*kernels),
        limits=limits,
        min_ops=min_ops,
        max_ops=max_ops,
        invalid=capabilities.refuses,
        replays=capabilities.replays,
    )
    return drawn if capabilities.byte_exact else drawn.map(in_words)


def serve(start: Callable[[str], Callable[[], Adapter]]) -> None:
    """Serve a judge in another process over standard input and output, until it hangs up.

    For a runtime in an environment of its own, judged by ``gpusim fuzz --target exec:COMMAND``.
    The lines are in docs/JUDGING.md.

    Args:
        start: called once, with the name of the device that the judge was asked for; what it
            returns makes a new adapter for each program.
    """
    from properties.targets.serve import serve as serve_lines

    serve_lines(start)


def _settings(make_target: MakeTarget | str, **arguments: Any) -> "Settings":
    """Settings of a session for ``make_target``; what is None is left to default."""
    from properties.fuzz.check import name_of
    from properties.fuzz.settings import Settings, gather

    # What else a session takes from the environment would change a test behind its back.
    environment = {_DEVICE: os.environ.get(_DEVICE, "")}
    return gather(
        Settings, {}, environment, target=name_of(make_target), **_without_none(arguments)
    )


def _without_none(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _kernels_of(kernels: str | Iterable[Kernel]) -> tuple[str, Kernels | None]:
    """The place of the kernels; or all kernels there are, where some were given as objects."""
    if isinstance(kernels, str):
        return kernels, None
    given = tuple(kernels)
    return "", BUILTIN.adding(*given) if given else None


def _result_of(session: "Session", make_target: MakeTarget | str, kernels: str) -> SessionResult:
    from properties.fuzz.check import replay_words

    return SessionResult(
        device=session.device,
        programs=session.programs,
        seconds=session.seconds,
        seed=session.settings.seed,
        findings=tuple(
            _finding_of(bug, replay_words(bug.file, make_target, kernels))
            for bug in session.bugs.met.values()
        ),
        invalid_because=session.invalid_because,
        interrupted=session.interrupted,
    )


def _finding_of(bug: "Bug", replay: str) -> Finding:
    return Finding(
        program=bug.case.program,
        failure=str(bug.failure),
        path=None if bug.unsaved else bug.file,
        replay="" if bug.unsaved else replay,
        reproduced=bug.reproduced is not False,
        is_cut_short=bug.is_cut_short,
    )
