"""The seam through which everything passes that WebGPU leaves open.

A Scheduler picks among the things that may happen next.  It does none of them,
and it knows no device.
"""

from typing import Protocol

STOP = "stop"
"""Nothing more happens at this point."""
RUN = "run"
"""The queue executes its next operation."""


class Scheduler(Protocol):
    """Decides how far the queue has got and which promises settle.

    ``runs``: whether RUN is offered at all.  Nothing can observe how far the
    queue has got but the promises that wait for it, and settling one executes
    what it waits for; so a strategy that enumerates leaves RUN out.

    A strategy that stops wherever it may can say so with an attribute ``defers``
    that is true; it is asked only where somebody waits then.
    """

    runs: bool

    def choose(self, options: tuple[str, ...]) -> int:
        """The index of what happens next.

        The options are STOP (first, where nothing need happen), the names of
        promises that may settle, and RUN (last).  Where somebody waits there is
        no STOP, and the first option is the shortest way to what is waited for.
        """
        ...
