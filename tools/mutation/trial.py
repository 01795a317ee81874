"""One mutant tried: in a forked child that imports the project with that mutant in it.

The parent has imported NumPy, Hypothesis, pytest and whatever else costs time
and is no part of the project, and nothing of the project itself.  The child judges a few hundred
programs on the simulated device, as a session does, and then runs tests.
"""

import json
import os
import resource
import signal
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from importlib.util import spec_from_file_location
from types import ModuleType
from typing import Any

from tools.mutation import suite
from tools.mutation.mutant import ROOT, Mutant
from tools.mutation.mutants import source_of

_MOST_CPU_SECONDS = 60
_PATIENCE = 5.0
"""Seconds of the clock for each second of CPU time: a process that only waits uses none."""
_MOST_MEMORY_BYTES = 8 << 30
_NEVER_IMPORTED = "never imported"
_SEED = 7
_PROGRAMS = 150
_FAULTED_PROGRAMS = 80
"""Programs of a device that fails now and then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """What became of a mutant: who killed it, or None."""

    killer: str | None
    seconds: float
    """Of the processor."""


def try_mutant(mutant: Mutant, tests: Sequence[str]) -> Outcome:
    """Whether the judge finds the mutant, or a test does, or it hangs."""
    finder = _Mutated(mutant, source_of(mutant))

    def child() -> str | None:
        sys.meta_path.insert(0, finder)
        found = _judged()
        killer = f"judge: {found}" if found else _failed(suite.fails(tests))
        return killer if finder.asked else _NEVER_IMPORTED

    outcome = in_child(child)
    if outcome.killer == _NEVER_IMPORTED:
        raise RuntimeError(
            f"cannot try {mutant.name} because its module was not imported with the mutant in it "
            "(probably the project was imported before the fork)"
        )
    return outcome


def in_child(act: Callable[[], Any], *, most_cpu_seconds: int = _MOST_CPU_SECONDS) -> Outcome:
    """Run ``act`` in a fork.  If it raises, dies or never ends, that kills the mutant too."""
    reading, writing = os.pipe()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    pid = os.fork()
    if not pid:
        os.close(reading)
        _be_child(act, writing, most_cpu_seconds)
    os.close(writing)
    how = _wait(pid, most_cpu_seconds * _PATIENCE)
    with open(reading, encoding="utf-8") as pipe:
        said = pipe.read()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    seconds = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Outcome(killer=json.loads(said) if said else how, seconds=round(seconds, 2))


class _Mutated(MetaPathFinder):
    """Gives the mutant when its module is imported."""

    def __init__(self, mutant: Mutant, source: str) -> None:
        self.asked = False
        """Whether the module was asked for."""
        self._module = mutant.module
        self._path = str(ROOT / mutant.path)
        self._code = compile(source, self._path, "exec")

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != self._module:
            return None
        self.asked = True
        loader = _Loader(name, self._path)
        loader.code = self._code
        return spec_from_file_location(name, self._path, loader=loader)


class _Loader(SourceFileLoader):
    code: Any

    def get_code(self, fullname: str) -> Any:
        return self.code


def _judged() -> str | None:
    """What is wrong with the first program that fails, or None; the same every time.

    The project is imported here, so that the mutant is in it.
    """
    from properties.oracles.judge import judge
    from properties.targets.factory import RuntimeFactory

    factory = RuntimeFactory("simulated")
    for case in _cases(factory):
        failure = judge(case, factory).failure
        if failure is not None:
            return f"{failure.kind} {failure.trait}".strip()
    return None


def _cases(factory: Any) -> Iterator[Any]:
    from gpusim.kernels import BUILTIN
    from properties.fuzz.variants import with_variants
    from properties.generate.cases import CaseSettings, case_for

    for count, faults in ((_PROGRAMS, False), (_FAULTED_PROGRAMS, True)):
        setting = CaseSettings(
            device="simulated",
            limits=factory.limits,
            faults=faults,
            promises=factory.capabilities,
        )
        for number in range(count):
            yield with_variants(case_for(_SEED, number, setting), BUILTIN, refuses=True)


def _failed(test: str | None) -> str | None:
    return test and f"test: {test}"


def _be_child(act: Callable[[], Any], writing: int, most_cpu_seconds: int) -> None:
    """Report what was found, and end without the usual cleanup of a process."""
    with open(os.devnull, "r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    for limit, most in (
        (resource.RLIMIT_CPU, most_cpu_seconds),
        (resource.RLIMIT_AS, _MOST_MEMORY_BYTES),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (most, most))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            said = act()
    except BaseException as error:
        said = f"judge: {type(error).__name__} raised"
    os.write(writing, json.dumps(said).encode())
    os._exit(0)


def _wait(pid: int, most_seconds: float) -> str:
    """How the child ended, if it says nothing."""
    end = time.monotonic() + most_seconds
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done and os.waitstatus_to_exitcode(status) == -signal.SIGTERM:
            raise RuntimeError("cannot say what became of a mutant because somebody stopped it")
        if done:
            return f"died: {os.waitstatus_to_exitcode(status)}"
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)
