"""Judges in this process: saved findings, then the programs of a session, until one fails.

This is for tests: the target may be any callable, and a debugger can stop in it.  No worker process
starts here, so a target that aborts or hangs takes this process with it.
"""

import re
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from gpusim.devices import SIMULATED
from gpusim.errors import ProgramError
from gpusim.kernels import Kernels
from gpusim.ops import AnyDispatch
from gpusim.program import Program, inlined
from gpusim.trace import Trace
from properties.finding_file import read
from properties.fuzz.bugs import Bug, Bugs
from properties.fuzz.loading import TARGETS, MakeFactory, is_ours, load_kernels, load_target
from properties.fuzz.protocol import Explain, Setup, setup_of
from properties.fuzz.published import Published
from properties.fuzz.replay import ReplayPlan, check_asked, replay_command
from properties.fuzz.settings import Settings
from properties.fuzz.tally import Tally
from properties.fuzz.worker import Bench
from properties.model.case import NO_POLICY, Case, DeviceSpec
from properties.model.failure import Failure
from properties.model.target import Target
from properties.oracles.judge import judge
from properties.shrink.reducer import shrink
from properties.targets.adapters import as_target, check_target
from properties.targets.factory import AdapterFactory, MakeTarget, Opened, TargetFactory

_GIVEN = "given"
"""The name that a case has for a target that the caller made."""


def check(
    settings: Settings, make_target: MakeTarget | None = None, kernels: Kernels | None = None
) -> Bug | None:
    """Judge saved findings, then new programs; return the first failure, explained, or None.

    A new failure is shrunk and saved.  ``make_target`` and ``kernels`` replace those that
    ``settings`` name.

    Raises:
        NoDevice: there is no such device.
        ProgramError: the target or the kernels that ``settings`` name cannot be loaded.
        UsageError: the target would ignore a setting, or nothing can be saved in the folder.
    """
    kernels = load_kernels(settings.kernels) if kernels is None else kernels
    if make_target is not None or not is_ours(load_target(settings.target)):
        settings.refuse_ignored()
    bugs = Bugs(settings.save, place=settings.kernels, kernels=kernels)
    with _opened(setup_of(settings), make_target, kernels) as bench:
        bug = _first_saved(settings, bench) or _first_drawn(settings, bench, bugs, kernels)
        if bug is not None:
            bug.argument = bench.explained(Explain(case=bug.case, tries=True)).argument
    return bug


def _first_saved(settings: Settings, bench: Bench) -> Bug | None:
    """The first finding in the folder that fits ``settings`` and still fails."""
    for path in sorted(settings.save.glob("*.txt")):
        found = read(path)
        case = found.case
        is_ours = found.names_target and case.target == settings.target
        is_here = case.device.name == bench.device and found.kernels == settings.kernels
        is_asked = case.follows_no_policy or case.policy.name in settings.presets
        if not (is_ours and is_here and is_asked) or bench.beyond_promises(case):
            continue
        failure = bench.judge(case)
        if failure is not None:
            return Bug(case=case, failure=failure, file=path, reproduced=True)
    return None


def _first_drawn(settings: Settings, bench: Bench, bugs: Bugs, kernels: Kernels) -> Bug | None:
    """The first failure among the programs of ``settings``, shrunk and saved."""
    seconds = settings.most_seconds
    end = None if seconds is None else time.monotonic() + seconds
    tally = Tally()
    for number in count(settings.first):
        is_over = end is not None and time.monotonic() >= end
        if is_over or number - settings.first == settings.programs:
            return None
        failed = bench.run(number, tally)
        if failed is not None:
            case, failure = failed.case, failed.failure
            small = shrink(case, failure, bench.judge, kernels=kernels, seconds=settings.shrink)
            if small is None:
                return bugs.add(case, failure, reproduced=False)
            return bugs.add(small.case, small.failure, reproduced=True, shrunk=small)
    return None


def judge_again(
    plan: ReplayPlan, make_target: MakeTarget | None, kernels: Kernels | None
) -> Failure | None:
    """The failure of the case of ``plan``; None if it passes now.

    Raises:
        NoDevice: the device of the case is not on this machine.
        ProgramError: the target or the kernels of the case cannot be loaded.
    """
    case = plan.case
    setup = Setup(device=case.device.name, kernels=plan.kernels, target=case.target, presets=())
    with _opened(setup, make_target, kernels) as bench:
        check_asked(bench.beyond_promises(case))
        return bench.judge(case)


def judge_program(program: Program, target: Target, kernels: Kernels) -> Failure | None:
    """The failure of one program on a new target; closes the target.

    Raises:
        ProgramError: ``program`` dispatches a kernel that is not promised, or the target has no
            method for what it promises; nothing is run.
        TypeError: ``target`` or ``program`` is of another kind.
    """
    _check_kinds(program, target)
    check_target(target)
    _check_promised(program, target, kernels)
    case = Case(program=program, device=DeviceSpec(name=SIMULATED), policy=NO_POLICY, target=_GIVEN)
    with _leftovers_ignored():
        return judge(case, _Given(target, kernels)).failure


def _check_kinds(program: Any, target: Any) -> None:
    if isinstance(target, type):
        name = target.__name__
        raise TypeError(
            f"cannot judge {name} because one program is judged on an object, not on its class "
            f"(probably {name}(device, BUILTIN) is meant)"
        )
    as_target(target)
    if not isinstance(program, Program):
        raise TypeError(
            f"cannot run {program!r} because it is no program (probably the text of one, or a "
            "Program, is meant)"
        )


def _check_promised(program: Program, target: Target, kernels: Kernels) -> None:
    promised = target.capabilities.kernels or tuple(kernels)
    asked = [op for op in inlined(program) if isinstance(op, AnyDispatch)]
    beyond = next((op.kernel for op in asked if op.kernel not in promised), None)
    if beyond is not None:
        target.close()
        raise ProgramError(
            f"cannot judge {type(target).__name__} by this program because it dispatches "
            f"{beyond}, and the target promises {', '.join(promised)} (probably {beyond} is "
            "missing in its capabilities)"
        )


def place_of(made: MakeTarget | str) -> str:
    """The name by which another process loads ``made``.

    It is a target's name, FILE.py:NAME or, for a module of a package, MODULE:NAME.  Empty if no
    other process can load ``made``: a class inside a function, or one typed at Python's prompt.
    """
    if isinstance(made, str):
        return made
    module = sys.modules.get(getattr(made, "__module__", ""))
    name = getattr(made, "__qualname__", "")
    if module is None or not name or getattr(module, name, None) is not made:
        return ""
    if module.__package__:
        return f"{module.__name__}:{name}"
    path = Path(getattr(module, "__file__", None) or "").resolve()
    if not path.is_file():
        return ""
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"{shown}:{name}"


def maker_of(made: MakeTarget | str | None) -> MakeTarget | None:
    """``made`` as a function that makes targets; None if ``made`` is a name.

    Raises:
        TypeError: ``made`` cannot be called, or is a built-in class.
    """
    if made is None or isinstance(made, str):
        return None
    if not callable(made):
        raise TypeError(
            f"cannot judge {made!r} because make_target must be callable: for each program it is "
            "called with a device and the kernels (probably the adapter's class is meant, not an "
            "object of it)"
        )
    if getattr(made, "__module__", "") == "builtins":
        raise TypeError(
            f"cannot judge {made.__name__} because it is built into Python and makes no adapter "
            "(probably another class is meant)"
        )
    return made


def see_that_workers_find(made: MakeTarget | str) -> None:
    """Raise ValueError if no other process can load ``made``, and what ``maker_of`` raises."""
    maker_of(made)
    if not place_of(made):
        raise ValueError(
            f"cannot fuzz {name_of(made)} because no worker process finds it by that name "
            "(probably it is defined inside a function: define it in a module, or use check)"
        )


def name_of(made: MakeTarget | str) -> str:
    """The place of ``made``, or its Python name."""
    name = getattr(made, "__qualname__", type(made).__qualname__)
    return place_of(made) or f"{getattr(made, '__module__', 'builtins')}:{name}"


def replay_words(path: Path, made: MakeTarget | str, kernels: str | None) -> str:
    """The command that replays the file; a Python call if no command can name the target's code.

    ``kernels`` is the place of the kernels; None if they have no place.
    """
    place = place_of(made)
    if place and kernels is not None:
        command = replay_command(path, "" if place in TARGETS else place, kernels)
        # With ``python -m``, Python finds the packages in this folder too.
        return command if isinstance(made, str) or ".py:" in place else f"python -m {command}"
    name = re.split(r"[:.]", name_of(made))[-1]
    return f"gpusim.testing.replay({str(path)!r}, {name}{', kernels=...' * (kernels is None)})"


class _Given(TargetFactory):
    """One target that the caller made."""

    def __init__(self, target: Target, kernels: Kernels) -> None:
        self.limits, self.capabilities, self.kernels = target.limits, target.capabilities, kernels
        self._target = target

    def open(self, case: Case) -> Opened:
        """The target; it can be opened once."""
        return Opened(target=self._target, trace=Trace())


@contextmanager
def _opened(
    setup: Setup, make_target: MakeTarget | None, kernels: Kernels | None
) -> Iterator[Bench]:
    make_factory: MakeFactory | None = None
    if make_target is not None:
        make_factory = partial(AdapterFactory, make_target=make_target)
    with _leftovers_ignored():
        bench = Bench(setup, Published(), make_factory=make_factory, kernels=kernels)
        try:
            yield bench
        finally:
            bench.close()


@contextmanager
def _leftovers_ignored() -> Iterator[None]:
    """Ignore warnings of buffers left alive, which are not findings."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        yield
