"""The clients by name: how often each is drawn, and how each wraps a target."""

from collections.abc import Callable, Mapping

from gpusim.program import Program
from properties.clients.arrays import MutatingClient, OwnArraysClient
from properties.clients.awaiting import AwaitingClient
from properties.clients.beside import (
    BESIDE,
    BesideClient,
    other_policy,
    other_program,
    own_thread,
)
from properties.clients.callbacks import ReentrantClient
from properties.clients.client import (
    AskingClient,
    ClosingClient,
    DroppingClient,
    WrongThreadClient,
)
from properties.clients.direct import DirectClient
from properties.clients.foreign import (
    FOREIGN_CLIENTS,
    asked_by,
    not_asked,
    suiting,
)
from properties.clients.misusing import MisusingClient
from properties.clients.patient import PatientClient
from properties.clients.sharing import SharingClient
from properties.generate.choices import Choices, Weights
from properties.model.case import PLAIN, Case
from properties.model.target import Target
from properties.targets.runtime_target import RuntimeTarget

__all__ = [
    "BESIDE",
    "CLIENTS",
    "FOREIGN_CLIENTS",
    "BesideClient",
    "asked_by",
    "draw_caller",
    "draw_client",
    "draw_meeting",
    "drive",
    "keeps_to_program",
    "not_asked",
    "other_policy",
    "other_program",
    "own_thread",
    "shows_each_fault",
    "suiting",
    "tells_faults",
]

CLIENTS: Mapping[str, Callable[[RuntimeTarget, Program], Target]] = {
    PLAIN: lambda target, program: target,
    "direct": DirectClient,
    "asking": lambda target, program: AskingClient(target),
    "mutating": lambda target, program: MutatingClient(target),
    "awaiting": lambda target, program: AwaitingClient(target),
    "own_arrays": lambda target, program: OwnArraysClient(target),
    "dropping": lambda target, program: DroppingClient(target),
    "reentrant": lambda target, program: ReentrantClient(target),
    "misusing": lambda target, program: MisusingClient(target),
    "sharing": lambda target, program: SharingClient(target),
    "closing": ClosingClient,
    "patient": PatientClient,
    "wrong_thread": lambda target, program: WrongThreadClient(target),
    BESIDE: lambda target, program: BesideClient(target),
}
"""The clients of our own runtime.  Each wraps the target that carries out the program."""

_KEEP_TO_PROGRAM = (PLAIN, "asking")
_KEEPS_FAULTS = ("reentrant", "closing", "sharing", "patient")
"""Clients that may meet a fault which no op of the program shows."""
_MAKES_SEVERAL_CALLS = ("asking", "awaiting")
"""Clients for which one op may meet several faults; the op shows only one of them."""
_TIMES = {PLAIN: 2, "mutating": 3, "misusing": 3, "own_arrays": 2, "dropping": 2, BESIDE: 2}
_CLIENTS = Weights(*((name, _TIMES.get(name, 1)) for name in CLIENTS))
_CALLERS = Weights(*((name, _TIMES.get(name, 1)) for name in CLIENTS if name != PLAIN))
_WAITING = {"asking": 2, "awaiting": 4, "dropping": 3}
_BRINGS_TROUBLE = "patient"
"""The client that brings its own faults, so planned ones would only disturb it."""
_MEETING = Weights(
    *((name, _WAITING.get(name, 1)) for name in CLIENTS if name not in (PLAIN, _BRINGS_TROUBLE))
)


def draw_client(choices: Choices) -> str:
    """The name of a client of our runtime; a client with more forms of calls comes more often."""
    return choices.weighted(_CLIENTS)


def draw_caller(choices: Choices) -> str:
    """The name of a client of our runtime other than the plain one."""
    return choices.weighted(_CALLERS)


def draw_meeting(choices: Choices) -> str:
    """A client for a case with faults; a client that waits in a way of its own comes more often.

    Most faults are reported to a caller that waits.
    """
    return choices.weighted(_MEETING)


def drive(target: Target, case: Case) -> Target:
    """``target``, driven by the client of ``case``.

    Some clients need our own runtime, and the others a foreign target.  If the client does not
    suit the target, the target is driven plainly.
    """
    if isinstance(target, RuntimeTarget):
        make = CLIENTS.get(case.client)
        return target if make is None else make(target, case.program)
    caller = FOREIGN_CLIENTS.get(case.client)
    promises = case.promises or target.capabilities
    if caller is None or not caller.suits(promises):
        return target
    return caller.make(target, promises)


def keeps_to_program(client: str) -> bool:
    """Whether the client issues only the ops of the program; the laws need that."""
    return client in _KEEP_TO_PROGRAM


def tells_faults(client: str) -> bool:
    """Whether each fault that the client meets before the close is raised by an op."""
    return client not in _KEEPS_FAULTS


def shows_each_fault(client: str) -> bool:
    """Whether each op shows every fault that is met while it runs, and not only one of them."""
    return client not in _MAKES_SEVERAL_CALLS
