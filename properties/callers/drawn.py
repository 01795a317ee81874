"""The callers by name, how one is drawn with a program, and a subject that it drives."""

from collections.abc import Callable, Mapping

from gpusim.program import Program
from properties.callers.asking import AskingCaller
from properties.callers.awaiting import AwaitingCaller
from properties.callers.closing import ClosingCaller
from properties.callers.dropping import DroppingCaller
from properties.callers.forwarding import Forwarding
from properties.callers.mutating import MutatingCaller
from properties.callers.own_arrays import OwnArraysCaller
from properties.callers.reentrant import ReentrantCaller
from properties.callers.straying import StrayingCaller
from properties.case import PLAIN, Case
from properties.programs.choices import Choices, Weights
from properties.session.subject import Around, Opened, Subject
from properties.target import Target
from properties.targets.runtime_target import RuntimeTarget

CALLERS: Mapping[str, Callable[[RuntimeTarget, Program], Target]] = {
    PLAIN: lambda target, program: Forwarding(target),
    "asking": lambda target, program: AskingCaller(target),
    "mutating": lambda target, program: MutatingCaller(target),
    "awaiting": lambda target, program: AwaitingCaller(target),
    "own_arrays": lambda target, program: OwnArraysCaller(target),
    "dropping": lambda target, program: DroppingCaller(target),
    "reentrant": lambda target, program: ReentrantCaller(target),
    "closing": ClosingCaller,
    "straying": lambda target, program: StrayingCaller(target),
}
"""Each makes the target through which it drives a program."""

_AS_ASKED = (PLAIN, "asking")
"""Those that issue the ops of the program and no others, so that the laws know what was asked."""
_WEIGHTS = Weights((PLAIN, len(CALLERS)), *((name, 1) for name in CALLERS if name != PLAIN))


def draw_caller(choices: Choices) -> str:
    """The name of a caller: the plain one in about half of the cases."""
    return choices.weighted(_WEIGHTS)


class CallerSubject(Around):
    """Targets of another subject, driven by one of the callers.

    Only our own runtime has what the callers use; any other target is driven
    plainly.
    """

    def __init__(self, subject: Subject, caller: str) -> None:
        super().__init__(subject)
        self._caller = caller

    def open(self, case: Case) -> Opened:
        """A new target, in the hands of the caller."""
        opened = self._subject.open(case)
        if not isinstance(opened.target, RuntimeTarget):
            return opened
        target = CALLERS[self._caller](opened.target, case.program)
        traced = opened.traced and self._caller in _AS_ASKED
        return Opened(target=target, trace=opened.trace, traced=traced)
