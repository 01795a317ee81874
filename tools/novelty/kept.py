"""Which programs are kept: those whose trace reached a new state.

A state is three events in a row of pools and caches, submits with their reason, maps, takes and
destructions.  Nothing here is drawn but the parent of the next child.
"""

from collections import Counter, deque
from collections.abc import Iterable, Iterator

from gpusim.trace import Event
from properties.generate.choices import Choices
from properties.model.case import Case

State = tuple[str, ...]

_IN_A_ROW = 3
_NEWEST, _RARE_OF = 64, 8
_CALLS = ("map", "take", "destroy_buffer")


def states(events: Iterable[Event]) -> Iterator[State]:
    """The states that a run reached, in order."""
    last: deque[str] = deque(maxlen=_IN_A_ROW)
    for event in events:
        kind = event.kind
        if kind == "encode":
            kind = f"encode {event.about['reason']}"
        elif "." not in kind and kind not in _CALLS:
            continue
        last.append(kind)
        yield tuple(last)


class Kept:
    """The kept programs, and for each state the shortest of them; or all programs."""

    def __init__(self, *, all_programs: bool = False) -> None:
        self.cases: list[Case] = []
        self._all = all_programs
        self._met: Counter[State] = Counter()
        self._shortest: dict[State, Case] = {}
        self._states: list[State] = []

    def offer(self, case: Case, events: Iterable[Event]) -> None:
        """Keep ``case`` where its trace reached a new state."""
        is_new = self._all
        for state in dict.fromkeys(() if self._all else states(events)):
            self._met[state] += 1
            known = self._shortest.get(state)
            if known is None:
                is_new = True
                self._states.append(state)
            if known is None or len(case.program) < len(known.program):
                self._shortest[state] = case
        if is_new:
            self.cases.append(case)

    def pick(self, choices: Choices) -> Case:
        """A parent: as often one of the newest as one that reached a rare state."""
        if self._all or choices.chance(1, 2):
            return choices.pick(self.cases[-_NEWEST:])
        drawn = [choices.pick(self._states) for _ in range(_RARE_OF)]
        return self._shortest[min(drawn, key=lambda state: self._met[state])]
