"""The clients by name, how one is drawn with a program, and the target that it drives."""

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
from properties.model.case import PLAIN, Case
from properties.model.target import Target
from properties.targets.runtime_target import RuntimeTarget

__all__ = ["CLIENTS", "BrokenPromise", "Client", "drive", "keeps_to_program"]

CLIENTS: Mapping[str, Callable[[RuntimeTarget, Program], Target]] = {
    PLAIN: lambda target, program: target,
    "asking": lambda target, program: AskingClient(target),
    "mutating": lambda target, program: MutatingClient(target),
    "awaiting": lambda target, program: AwaitingClient(target),
    "own_arrays": lambda target, program: OwnArraysClient(target),
    "dropping": lambda target, program: DroppingClient(target),
    "reentrant": lambda target, program: ReentrantClient(target),
    "closing": ClosingClient,
    "wrong_thread": lambda target, program: WrongThreadClient(target),
}
"""Each makes the target through which it drives a program."""

_KEEP_TO_PROGRAM = (PLAIN, "asking")


def drive(target: Target, case: Case) -> Target:
    """The target in the hands of the client of ``case``.

    Only our own runtime has what the clients use; any other is driven plainly.
    """
    if not isinstance(target, RuntimeTarget):
        return target
    return CLIENTS[case.client](target, case.program)


def keeps_to_program(client: str) -> bool:
    """Whether it issues the ops of the program and no others, so that laws know what was asked."""
    return client in _KEEP_TO_PROGRAM
