"""A scheduler that notes its choices, so that every schedule of a small program can be run.

Nothing here decides anything.
"""

from gpusim.simulated import Scheduler
from gpusim.trace import Trace
from properties.model.execution import Choice


class Noting:
    """Passes each choice on to a scheduler, and notes the choices with more than one option."""

    def __init__(self, scheduler: Scheduler, trace: Trace) -> None:
        self.runs = scheduler.runs
        self.choices: list[Choice] = []
        self._scheduler, self._trace = scheduler, trace

    def choose(self, options: tuple[str, ...]) -> int:
        """See ``Scheduler``."""
        if len(options) > 1:
            self.choices.append(Choice(event=len(self._trace), options=len(options)))
        return self._scheduler.choose(options)
