"""A mutant under faults: its runtime on a driver that fails by a plan, and what must hold then.

The plan follows from the seed of a case, so that a saved case meets it again.
"""

from dataclasses import replace
from typing import Any

from gpusim.errors import (
    DataLost,
    DeviceFault,
    DeviceLost,
    InvalidHandle,
    MapFailed,
    OutOfMemory,
    SubmitFailed,
)
from gpusim.history import History
from gpusim.kernels import Kernels
from gpusim.ops import Alloc, Dispatch, Op, Read, Sync, Write
from gpusim.program import Program
from gpusim.runtime import Driver
from gpusim.runtime.drivers.faulty import Fault, FaultyDriver
from properties.generate.choices import SeededChoices, Weights
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.mutants.mutant import Mutant
from properties.mutants.oracle import Judgement, Oracle
from properties.oracles.judge import MEANING_ONLY, judge
from properties.targets.factory import RuntimeFactory

_VERBS: Weights[tuple[str, type[DeviceFault]]] = Weights(
    (("submit", SubmitFailed), 5),
    (("map", MapFailed), 4),
    (("take", MapFailed), 4),
    (("encode", SubmitFailed), 2),
    (("create_buffer", OutOfMemory), 4),
    (("write_buffer", SubmitFailed), 2),
    (("create_bind_group", OutOfMemory), 2),
    (("submit", DeviceLost), 1),
    (("wait", DeviceLost), 1),
    (("create_buffer", DeviceLost), 1),
)
_CALLS = Weights((0, 3), (1, 3), (2, 3), (3, 2), (5, 2), (8, 2), (13, 1), (21, 1))
_PROBE_BYTES = 8


def draw_faults(seed: str) -> tuple[Fault, ...]:
    """One or two faults, as the seed of a case has it."""
    choices = SeededChoices(f"faults {seed}")
    faults = []
    for _ in range(choices.integer(1, 2)):
        verb, error = choices.weighted(_VERBS)
        faults.append(Fault(verb=verb, call=choices.weighted(_CALLS), error=error))
    return tuple(faults)


class Failing:
    """A mutant's runtime on a driver that fails by a plan, which is set before a case is opened."""

    def __init__(self, mutant: Mutant, device: str, kernels: Kernels) -> None:
        self.plan: tuple[Fault, ...] = ()
        self._mutant = mutant
        self.factory = RuntimeFactory(
            device, kernels, parts=mutant.parts, make_driver=self._make_driver
        )

    def _make_driver(self, native: Any) -> Driver:
        return FaultyDriver(self._mutant.make_driver(native), *self.plan)


def _open_faults(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    failing = Failing(mutant, device, kernels)

    def judged(case: Case) -> Failure | None:
        failing.plan = draw_faults(case.seed)
        return _judge_under_faults(case, failing.factory, failing.plan)

    return judged


def _judge_under_faults(
    case: Case, factory: RuntimeFactory, plan: tuple[Fault, ...]
) -> Failure | None:
    program = Program((*case.program.ops, *_probes(2 * len(plan) + 1)))
    oracles = replace(MEANING_ONLY, shown_faults=_shown_as(plan))
    verdict = judge(replace(case, program=program), factory, oracles)
    return verdict.failure or _usable_again(verdict.execution.history, len(case.program))


def _shown_as(plan: tuple[Fault, ...]) -> frozenset[str]:
    """The error classes in which the faults of a plan may show.

    Any of them may lose what a replay writes, where it comes half way.
    """
    return frozenset(error.__name__ for error in ({fault.error for fault in plan} | {DataLost}))


def _usable_again(history: History, size: int) -> Failure | None:
    """Whether something after a program of ``size`` ops comes through; a lost device may not."""
    rounds, each = history.outcomes[size:], len(_probes(1))
    errors = [{one.error for one in rounds[at : at + each]} for at in range(0, len(rounds), each)]
    budget = {OutOfMemory.__name__, InvalidHandle.__name__, None}
    lost = any(outcome.error == DeviceLost.__name__ for outcome in history.outcomes)
    if lost or any(kinds <= budget for kinds in errors):
        return None
    return Failure(
        kind=FailureKind.FAULTS,
        trait="usable again",
        position=size,
        op="afterwards",
        what="usable again",
        reason=f"every probe failed: {errors}",
    )


def _probes(rounds: int) -> list[Op]:
    """Small pieces of work after the program, of which one at least must come through."""
    ops: list[Op] = []
    for number in range(rounds):
        name = f"probe{number}"
        ops += [
            Alloc(buffer=name, size_bytes=_PROBE_BYTES),
            Write(buffer=name, offset=0, data=bytes([number + 1]) * _PROBE_BYTES),
            Dispatch(kernel="affine", buffers=(name,), scalars=(3, 5), grid=(1, 1, 1)),
            Read(buffer=name, offset=0, size_bytes=_PROBE_BYTES, result=f"{name}_r"),
            Sync(),
        ]
    return ops


FAULTS = Oracle(name="faults", open=_open_faults)
