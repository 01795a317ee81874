"""Judge a runtime: write an adapter for it, then check it, fuzz it, or replay a finding.

    class MyRuntime(Adapter): ...  # one method an op

    def test_my_runtime() -> None:
        check(MyRuntime, examples=200)

The judge is ``properties``.  The import loads only its data types; a function loads the rest of the
judge, and wgpu, when it is called.
"""

import importlib
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gpusim.kernels import OFFERED, Kernel, Kernels
from gpusim.kernels.assertion import ShaderMistaken, check_kernel
from gpusim.limits import Limits
from gpusim.ops import Part
from gpusim.program import Program
from properties.asked import ASKED
from properties.model.capabilities import CONTRACT, WEBGPU, Arrival, Capabilities, Refusal
from properties.model.results import Finding, SessionResult, TargetFailed
from properties.model.target import (
    Adapter,
    ArrayAdapter,
    ConcurrentAdapter,
    Delivery,
    HandleAdapter,
    IndirectAdapter,
    PendingSync,
    ReplayingAdapter,
)

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from properties.finding_file import FindingFile
    from properties.fuzz.engine import Session
    from properties.fuzz.settings import Settings

__all__ = [
    "CONTRACT",
    "WEBGPU",
    "Adapter",
    "ArrayAdapter",
    "Arrival",
    "Capabilities",
    "ConcurrentAdapter",
    "Delivery",
    "Finding",
    "HandleAdapter",
    "IndirectAdapter",
    "MakeTarget",
    "Part",
    "PendingSync",
    "Refusal",
    "ReplayingAdapter",
    "SessionResult",
    "ShaderMistaken",
    "TargetFailed",
    "check",
    "check_finding",
    "check_kernel",
    "check_program",
    "fuzz",
    "programs",
    "replay",
    "serve",
]

MakeTarget = Callable[[Any, Kernels], Adapter]
"""A function of device and kernels that makes the target of one program; or an adapter's class."""
_DEVICE = "GPUSIM_DEVICE"
_EXAMPLES = 200


def check(
    make_target: MakeTarget | str,
    *,
    examples: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    device: str | None = None,
    policy: str | None = None,
    kernels: str | Iterable[Kernel] = (),
    shrink_seconds: float = 15.0,
    save: str | Path = "findings",
) -> None:
    """Judge a target in this process: its saved findings, then random programs.

    A target that aborts or hangs takes this process with it; judge such a target by ``fuzz``.

    Args:
        make_target: an adapter's class, or a target's name as in ``gpusim fuzz --target``.
        examples: the number of programs; program ``i`` follows from ``seed`` and ``i`` alone.
        seconds: stop after so long; without ``examples`` and ``seconds``, after 200 programs.
        device: a name that ``gpusim devices`` shows; by default that in GPUSIM_DEVICE, or the best.
        policy: a preset's name, for our own runtime; by default all in turn.
        kernels: kernels beside the built-in ones, or a module or .py file with ``KERNELS``.
        shrink_seconds: how long shrinking the failing program may take.
        save: the folder for the finding; findings there of this target and device run first.

    Raises:
        TargetFailed: with the smallest failing program, and what the command line says of it.
        NoDevice: there is no such device.
        ProgramError: the target, the kernels or a saved finding cannot be loaded.
        ValueError: an argument has a value that it cannot have.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from properties.fuzz.check import check as first_bug
    from properties.fuzz.check import maker_of, replay_words

    place, own = _kernels_of(kernels)
    settings = _settings(
        make_target,
        programs=_EXAMPLES if examples is None and seconds is None else examples,
        seconds=seconds,
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
        raise TargetFailed(settings.target, bug.told(again))


def check_program(
    target: Adapter, program: Program | str, *, kernels: Iterable[Kernel] = ()
) -> None:
    """Judge one program on a new ``target``, and close the target; return if it passes.

    A program given as text is read by ``Program.parse``.  A test with Hypothesis draws from
    ``programs``.

    Raises:
        TargetFailed: the program fails; it is not made smaller.
        ProgramError: the text is no program, or dispatches a kernel that is not promised.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from properties.fuzz.check import judge_program

    program = Program.parse(program) if isinstance(program, str) else program
    failure = judge_program(program, target, OFFERED.adding(*kernels))
    if failure is not None:
        raise TargetFailed(type(target).__name__, Finding(program=program, failure=str(failure)))


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
    adversary: bool = False,
    kernels: str = "",
    stall_seconds: float = 30.0,
    shrink_seconds: float = 15.0,
    save: str | Path = "findings",
) -> SessionResult:
    """Run a session: random programs in worker processes, so that an abort is a finding.

    A script calls it under ``if __name__ == "__main__"``, since the workers load the script.
    An argument that is not listed here means the same as in ``check``.

    Args:
        make_target: an adapter's class at the top level of a module, or a target's name.
        seconds, programs: stop after so long or so many; by default after 60 seconds.
        workers: the number of worker processes, each with a device.
        findings: stop after so many different findings.
        scheduler: of the simulated device; by default all in turn.
        faults: let the device fail now and then.
        adversary: disturb the target's device (docs/JUDGING.md).
        kernels: a module or .py file whose ``KERNELS`` are used too.
        stall_seconds: a program that makes no progress for so long counts as hanging.

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
        adversary=adversary or None,
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
        make_target: the target to run; a finding of a built-in target needs none.  An adapter's
            class replaces the recorded target; a name must be the recorded name.
        device: replaces the device of the finding.
        policy: a preset's name; replaces the policy of the finding.
        kernels: the kernels of the finding's program, if it uses any of your own.
        trust: load any target and kernels that the file names.

    Raises:
        TargetFailed: the finding still fails.
        Untrusted: the file names code that no argument names; the message says which.
        NoDevice: there is no such device.
        ProgramError: the file is malformed, or its target or kernels cannot be loaded.
        ValueError: an argument has a value that it cannot have.
        OSError: the file cannot be read.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from properties.finding_file import read

    _judge_finding(read(Path(path)), Path(path), make_target, device, policy, kernels, trust=trust)


def check_finding(
    text: str,
    make_target: MakeTarget | str | None = None,
    *,
    kernels: str | Iterable[Kernel] = (),
) -> None:
    """Run a finding again, from the text of its file; ``gpusim repro`` writes tests that call this.

    Arguments and errors are those of ``replay``.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    from properties.finding_file import parse_finding

    _judge_finding(parse_finding(text), None, make_target, None, None, kernels, trust=False)


def _judge_finding(
    recorded: "FindingFile",
    path: Path | None,
    make_target: MakeTarget | str | None,
    device: str | None,
    policy: str | None,
    kernels: str | Iterable[Kernel],
    *,
    trust: bool,
) -> None:
    __tracebackhide__ = True  # pytest shows the line of the test
    from properties.fuzz.check import judge_again, maker_of, name_of
    from properties.fuzz.replay import plan_finding
    from properties.fuzz.settings import ReplaySettings, gather

    place, own = _kernels_of(kernels)
    make = maker_of(make_target)
    # A target or kernels given as objects replace those that the file names.
    target = make_target if make is None else recorded.case.target
    given = {
        "device": device,
        "policy": policy,
        "target": target,
        "kernels": (place if own is None else recorded.kernels) or None,
        "trust": trust or None,
    }
    settings = gather(ReplaySettings, {}, {}, **_without_none(given))
    plan = plan_finding(recorded, path or Path("FINDING"), settings)
    failure = judge_again(plan, make, own)
    if failure is not None:
        finding = Finding(program=plan.case.program, failure=str(failure), path=path)
        raise TargetFailed(name_of(make_target or plan.case.target), finding)


def programs(
    *,
    capabilities: Capabilities = WEBGPU,
    kernels: Iterable[Kernel] = (),
    limits: Limits | None = None,
    min_ops: int = 0,
    max_ops: int = 60,
) -> "SearchStrategy[Program]":
    """A Hypothesis strategy of random programs, which shrink to few, small and aligned ops.

    Args:
        capabilities: the target's promises, by default WebGPU's rules; programs ask for no more.
        kernels: kernels beside the built-in ones.
        limits: the target's limits; by default those that WebGPU guarantees.
        min_ops, max_ops: the fewest and the most ops of a program.
    """
    from properties.generate.fitting import fitted
    from properties.generate.strategies import programs as strategy

    known = OFFERED.adding(*kernels)
    drawn = strategy(
        kernels=known.promised(capabilities.kernels),
        limits=limits,
        min_ops=min_ops,
        max_ops=max_ops,
        promises=capabilities,
    )

    def fit(program: Program) -> Program:
        # Imported here, because drawing is not timed: in the test's body the import would exceed
        # Hypothesis's deadline.
        importlib.import_module("properties.fuzz.check")
        return fitted(program, capabilities, known, limits or Limits())

    return drawn.map(fit)


def serve(start: Callable[[str], Callable[[], Adapter]]) -> None:
    """Serve a judge in another process over standard input and output, until the judge hangs up.

    It is for a runtime in another environment, judged by ``gpusim fuzz --target exec:COMMAND``.
    docs/JUDGING.md describes the lines.

    Args:
        start: called once with the device's name; returns a function that makes an adapter for each
            program.
    """
    from properties.targets.serve import serve as serve_lines

    serve_lines(start)


def _settings(make_target: MakeTarget | str, **arguments: Any) -> "Settings":
    """Settings of a session for ``make_target``; None means the default."""
    from properties.fuzz.check import name_of
    from properties.fuzz.settings import Settings, gather, read_setting
    from properties.model.case import RUNTIME

    # No other variable of the environment is read, so that none can change a test unnoticed.
    environment = {_DEVICE: os.environ.get(_DEVICE, "")}
    target = name_of(make_target)
    asked = {
        name: read_setting(name, text, f"--gpusim-{name}")
        for name, text in ASKED.items()
        if name == "device" or target == RUNTIME
    }
    if arguments.get("device") is not None:
        asked.pop("scheduler", None)
    return gather(Settings, asked, environment, target=target, **_without_none(arguments))


def _without_none(arguments: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arguments.items() if value is not None}


def _kernels_of(kernels: str | Iterable[Kernel]) -> tuple[str, Kernels | None]:
    """The module or file that ``kernels`` names, else ""; our kernels and the given ones, or None.

    The second is None if no kernels are given as objects.
    """
    if isinstance(kernels, str):
        return kernels, None
    given = tuple(kernels)
    return "", OFFERED.adding(*given) if given else None


def _result_of(session: "Session", make_target: MakeTarget | str, kernels: str) -> SessionResult:
    from properties.fuzz.check import replay_words

    return SessionResult(
        device=session.device,
        programs=session.programs,
        seconds=session.seconds,
        seed=session.settings.seed,
        findings=tuple(
            bug.told(replay_words(bug.file, make_target, kernels))
            for bug in session.bugs.met.values()
        ),
        invalid_because=session.invalid_because,
        interrupted=session.interrupted,
    )
