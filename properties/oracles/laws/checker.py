"""Checks all laws over a trace in a single pass: an event goes to the laws that need its kind."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from gpusim.ops import VERBS
from gpusim.trace import Event
from properties.model.failure import Failure
from properties.oracles.laws.batches import Batches, UniformLaws
from properties.oracles.laws.caches import Caches
from properties.oracles.laws.catalogue import LawContext
from properties.oracles.laws.lifetimes import Lifetimes, Validity
from properties.oracles.laws.order import Order, Visibility
from properties.oracles.laws.staging import Failures, Staging
from properties.oracles.laws.state import Handler, TraceState, accepted


class Watcher(Protocol):
    """Checks some laws that need the same events."""

    def handlers(self) -> Mapping[str, Handler]:
        """A handler for each kind of event.  Do not store it: that would make a reference cycle."""
        ...


OUTCOME, RAISED = "outcome", "raised"
ACCEPTED: dict[type, str] = {kind: accepted(kind) for kind in VERBS}
OUTCOMES = (RAISED, *ACCEPTED.values())
"""The keys under which a law asks for outcomes: of ops that raised, or of accepted ops by kind."""

W = TypeVar("W", bound=Watcher)

WATCHERS: tuple[Callable[[TraceState], Watcher], ...] = (
    Lifetimes,
    Failures,
    Visibility,
    # Order finds the op of each submitted command, and the watchers below Order use that op.
    Order,
    UniformLaws,
    Batches,
    Validity,
    Staging,
    Caches,
)


class Checker:
    """Checks the events of one run as they come; violations are known at once."""

    def __init__(
        self, context: LawContext, watchers: Iterable[Callable[[TraceState], Watcher]] = WATCHERS
    ) -> None:
        self._state = state = TraceState(context)
        self._watchers = [make(state) for make in watchers]
        self._table: defaultdict[str, list[Handler]] = defaultdict(list)
        for handlers in (state.first(), *[one.handlers() for one in self._watchers], state.last()):
            self._add(handlers)

    def watcher(self, kind: type[W]) -> W | None:
        """The watcher of the class ``kind``; None if there is no such watcher."""
        return next((one for one in self._watchers if isinstance(one, kind)), None)

    @property
    def violations(self) -> list[Failure]:
        """The violations so far."""
        return self._state.violations

    @property
    def checked(self) -> Counter[str]:
        """How often each law checked something, by its name."""
        return Counter({law: times for law, times in self._state.checked.items() if times})

    def feed(self, events: Iterable[Event]) -> None:
        """Check the next events of the run."""
        state, tell, table = self._state, self._state.driver_events.append, self._table
        for event in events:
            tell(event)
            kind, about = event.kind, event.about
            if kind == OUTCOME:
                kind = RAISED if about["error"] is not None else ACCEPTED[type(state.op)]
            for handler in table[kind]:
                handler(about)

    def _add(self, handlers: Mapping[str, Handler]) -> None:
        table = self._table
        for kind, handler in handlers.items():
            if kind != OUTCOME:
                table[kind].append(handler)
                continue
            for key in OUTCOMES:
                table[key].append(handler)


def check(events: Iterable[Event], context: LawContext) -> Checker:
    """Check all events of a run."""
    checker = Checker(context)
    checker.feed(events)
    return checker
