"""What the laws must see, tried on traces of the sound runtime that were corrupted by hand.

The trace as it is must pass; where the sound laws reject a corruption of it, so
must those of a mutant.
"""

from collections.abc import Callable, Mapping

from gpusim.kernels import Kernels
from gpusim.trace import Event
from properties.execute import execute
from properties.generate.choices import Choices, SeededChoices
from properties.model.case import Case
from properties.model.failure import Failure, FailureKind
from properties.mutants.mutant import SOUND, Mutant
from properties.mutants.oracle import Judgement, Oracle
from properties.oracles.judge import Laws, setting_of
from properties.oracles.laws import Setting, check
from properties.targets.factory import RuntimeFactory

_TRIES = 6
_MARKS = ("op", "outcome", "delivered", "close", "closed")


def _open_sight(mutant: Mutant, device: str, kernels: Kernels) -> Judgement:
    factory = RuntimeFactory(device, kernels, parts=SOUND.parts, make_driver=SOUND.make_driver)

    def judged(case: Case) -> Failure | None:
        execution = execute(case, factory)
        events, setting = execution.trace.events, setting_of(execution)
        if _rejects(mutant.laws, events, setting):
            return Failure(
                kind=FailureKind.BLIND, trait="a false alarm", reason="a sound trace was rejected"
            )
        choices = SeededChoices(f"sight {case.seed}")
        for _ in range(_TRIES):
            name = choices.pick(tuple(_CORRUPTIONS))
            corrupted = _CORRUPTIONS[name](choices, events)
            if _rejects(check, corrupted, setting) and not _rejects(
                mutant.laws, corrupted, setting
            ):
                return Failure(kind=FailureKind.BLIND, trait=name, reason=f"nobody saw {name}")
        return None

    return judged


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
