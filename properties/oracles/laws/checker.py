"""All laws over one trace, in a single pass: each event goes to the laws that watch its kind."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol, TypeVar

from gpusim.ops import VERBS
from gpusim.trace import Event
from properties.model.failure import Failure
from properties.oracles.laws.batches import Batches
from properties.oracles.laws.caches import Caches
from properties.oracles.laws.failures import Failures
from properties.oracles.laws.law import Setting
from properties.oracles.laws.lifetimes import Lifetimes
from properties.oracles.laws.order import Order
from properties.oracles.laws.scene import Handler, Scene, accepted
from properties.oracles.laws.staging import Staging
from properties.oracles.laws.uniforms import UniformLaws
from properties.oracles.laws.validity import Validity
from properties.oracles.laws.visibility import Visibility


class Watcher(Protocol):
    """Some laws that look at the same things."""

    def handlers(self) -> Mapping[str, Handler]:
        """A handler for each kind of event; not kept, so that a watcher holds none of itself."""
        ...


OUTCOME, RAISED = "outcome", "raised"
ACCEPTED: dict[type, str] = {kind: accepted(kind) for kind in VERBS}
OUTCOMES = (RAISED, *ACCEPTED.values())
"""What an outcome is dispatched as, so that a law sees those only that concern it."""

W = TypeVar("W", bound=Watcher)

WATCHERS: tuple[Callable[[Scene], Watcher], ...] = (
    Lifetimes,
    Failures,
    Visibility,
    # It finds the op of each submitted command, which those after it look at.
    Order,
    UniformLaws,
    Batches,
    Validity,
    Staging,
    Caches,
)


class Checker:
    """Takes the events of one run, some at a time; what they break is there at once."""

    def __init__(
        self, setting: Setting, watchers: Iterable[Callable[[Scene], Watcher]] = WATCHERS
    ) -> None:
        self._scene = scene = Scene(setting)
        self._watchers = [make(scene) for make in watchers]
        self._table: defaultdict[str, list[Handler]] = defaultdict(list)
        for handlers in (scene.first(), *[one.handlers() for one in self._watchers], scene.last()):
            self._add(handlers)

    def watcher(self, kind: type[W]) -> W | None:
        """The watcher of that class; None where no such one looks on."""
        return next((one for one in self._watchers if isinstance(one, kind)), None)

    @property
    def violations(self) -> list[Failure]:
        """What was broken so far."""
        return self._scene.violations

    @property
    def checked(self) -> Counter[str]:
        """How often each law was held against something, by its name."""
        return Counter({law: times for law, times in self._scene.checked.items() if times})

    def feed(self, events: Iterable[Event]) -> None:
        """Look at the next events; there are hundreds a program."""
        scene, tell, table = self._scene, self._scene.told.append, self._table
        for event in events:
            tell(event)
            kind, about = event.kind, event.about
            if kind == OUTCOME:
                kind = RAISED if about["error"] is not None else ACCEPTED[type(scene.op)]
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


def check(events: Iterable[Event], setting: Setting) -> Checker:
    """Look at all of a run."""
    checker = Checker(setting)
    checker.feed(events)
    return checker
