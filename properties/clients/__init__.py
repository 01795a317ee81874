"""The clients by name: how often each is drawn, and the target through which it drives."""

from collections.abc import Callable, Mapping

from gpusim.program import Program
from properties.clients.arrays import MutatingClient, OwnArraysClient
from properties.clients.client import (
    AskingClient,
    AwaitingClient,
    BrokenPromise,
    Client,
    ClosingClient,
    DroppingClient,
    ReentrantClient,
    WrongThreadClient,
)
from properties.clients.misusing import MisusingClient
from properties.clients.sharing import SharingClient
from properties.generate.choices import Choices, Weights
from properties.model.case import PLAIN, Case
from properties.model.target import Target
from properties.targets.runtime_target import RuntimeTarget

__all__ = ["CLIENTS", "BrokenPromise", "Client", "draw_client", "drive", "keeps_to_program"]

CLIENTS: Mapping[str, Callable[[RuntimeTarget, Program], Target]] = {
    PLAIN: lambda target, program: target,
    "asking": lambda target, program: AskingClient(target),
    "mutating": lambda target, program: MutatingClient(target),
    "awaiting": lambda target, program: AwaitingClient(target),
    "own_arrays": lambda target, program: OwnArraysClient(target),
    "dropping": lambda target, program: DroppingClient(target),
    "reentrant": lambda target, program: ReentrantClient(target),
    "misusing": lambda target, program: MisusingClient(target),
    "sharing": lambda target, program: SharingClient(target),
    "closing": ClosingClient,
    "wrong_thread": lambda target, program: WrongThreadClient(target),
}
"""Each makes the target through which it drives a program."""

_KEEP_TO_PROGRAM = (PLAIN, "asking")
_TIMES = {PLAIN: 3, "mutating": 3, "misusing": 3, "own_arrays": 2}
_CLIENTS = Weights(*((name, _TIMES.get(name, 1)) for name in CLIENTS))


def draw_client(choices: Choices) -> str:
    """The name of a client; those with the largest tables more often."""
    return choices.weighted(_CLIENTS)


def drive(target: Target, case: Case) -> Target:
    """``target``, driven by the client of ``case``.

    The clients need our own runtime; any other target is driven plainly.
    """
    if not isinstance(target, RuntimeTarget):
        return target
    return CLIENTS[case.client](target, case.program)


def keeps_to_program(client: str) -> bool:
    """Whether the client issues only the ops of the program; the laws need that."""
    return client in _KEEP_TO_PROGRAM
