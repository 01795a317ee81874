"""What the laws must see, tried on traces of the sound runtime that were corrupted by hand.

The trace as it is must pass; where the sound laws reject a corruption of it, so
must those of a mutant.
"""

from collections.abc import Callable, Mapping

from gpusim.kernels import Kernels
from gpusim.trace import Event
from properties.case import Case
from properties.mutants.mutant import SOUND, Laws, Mutant
from properties.mutants.oracle import Judgement, Oracle
from properties.oracles.laws import Marks, Setting, check
from properties.programs.choices import Choices, SeededChoices
from properties.runner import run
from properties.session.limits import case_limits
from properties.session.subject import RuntimeSubject
from properties.session.verdict import Failure

_TRIES = 6
_MARKS = ("op", "outcome", "delivered", "close", "closed")


def _open_sight(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    subject = RuntimeSubject(device, kernels, parts=SOUND.parts, make_driver=SOUND.make_driver)

    def judged(case: Case) -> Failure | None:
        events = _trace_of(case, subject)
        limits = case_limits(subject.limits, case)
        setting = Setting(policy=case.policy, kernels=kernels, limits=limits)
        if _rejects(mutant.laws, events, setting):
            return Failure(kind="sight", trait="a false alarm", text="a sound trace was rejected")
        choices = SeededChoices(f"sight {case.seed}")
        for _ in range(_TRIES):
            name = choices.pick(tuple(_CORRUPTIONS))
            corrupted = _CORRUPTIONS[name](choices, events)
            if _rejects(check, corrupted, setting) and not _rejects(
                mutant.laws, corrupted, setting
            ):
                return Failure(kind="sight", trait=name, text=f"blind: nobody saw {name}")
        return None

    return judged


def _trace_of(case: Case, subject: RuntimeSubject) -> list[Event]:
    opened = subject.open(case)
    marks = Marks(opened.trace)
    run(case.program, opened.target, watch=marks)
    marks.closing()
    opened.target.close()
    marks.closed()
    return opened.trace.events


def _rejects(laws: Laws, events: list[Event], setting: Setting) -> bool:
    try:
        return bool(laws(events, setting).violations)
    except (KeyError, IndexError, ValueError, AssertionError):
        # A trace without its beginning may make no sense at all, which is no pass.
        return True


def _place(choices: Choices, events: list[Event]) -> int:
    """A device event: what was asked for is not corrupted, only what was done."""
    return choices.pick([n for n, event in enumerate(events) if event.kind not in _MARKS] or [0])


def _dropped(choices: Choices, events: list[Event]) -> list[Event]:
    at = _place(choices, events)
    return [*events[:at], *events[at + 1 :]]


def _doubled(choices: Choices, events: list[Event]) -> list[Event]:
    at = _place(choices, events)
    return [*events[: at + 1], *events[at:]]


def _moved(choices: Choices, events: list[Event]) -> list[Event]:
    at = _place(choices, events)
    rest = [*events[:at], *events[at + 1 :]]
    to = min(at + choices.integer(1, 12), len(rest))
    return [*rest[:to], events[at], *rest[to:]]


def _shifted(choices: Choices, events: list[Event]) -> list[Event]:
    at = _place(choices, events)
    about = dict(events[at].about)
    for name in ("offset", "target_offset", "source_offset", "size_bytes"):
        if isinstance(about.get(name), int):
            about[name] += 4
            break
    return [*events[:at], Event(events[at].kind, about), *events[at + 1 :]]


_CORRUPTIONS: Mapping[str, Callable[[Choices, list[Event]], list[Event]]] = {
    "an event that never happened": _dropped,
    "an event that happened twice": _doubled,
    "an event that came late": _moved,
    "an event at another place": _shifted,
}
SIGHT = Oracle(name="sight", open=_open_sight)
