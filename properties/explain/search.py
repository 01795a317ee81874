"""Looks for the mistake that explains what came back: it tries hypotheses on the reference.

Each hypothesis is run, and holds if the target showed exactly the history of that run.  In a small
program two hypotheses may show the same.  So those that hold are tried again on runs of the same
ops with other data, if there are such runs.  The answer says in how many of them each holds.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import chain, islice

from gpusim.history import History
from gpusim.ops import Read
from properties.explain import everywhere, graphs, memory, operands, orders, ranges
from properties.explain.hypothesis import Hypothesis, Key
from properties.explain.scene import Scene
from properties.model.capabilities import Capabilities
from properties.oracles.compare import compare

_MAKERS: tuple[Callable[[Scene], Iterator[Hypothesis]], ...] = (
    orders.orders,
    orders.poisoned,
    operands.freed,
    orders.omissions,
    memory.buffers,
    operands.scalars,
    operands.slots,
    operands.bindings,
    operands.grids,
    graphs.replays,
    memory.reads,
    everywhere.all_reads,
    ranges.writes,
    ranges.copies,
    orders.repetitions,
    ranges.zeroed,
)
"""The mistakes that batching runtimes make most often come first."""
_MOST_STEPS = 40_000
"""The most steps that all hypotheses together may run; more would take minutes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """What a target showed of a scene."""

    scene: Scene
    got: History
    capabilities: Capabilities


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """The hypotheses that hold; and for each, in how many runs with other data it holds too."""

    found: tuple[Hypothesis, ...] = ()
    votes: Mapping[Key, int] = field(default_factory=dict)
    idle: Mapping[Key, int] = field(default_factory=dict)
    """For each mistake, in how many runs that pass without one op it should have failed."""


def hypotheses(scene: Scene) -> Iterator[Hypothesis]:
    """All hypotheses, each once."""
    seen: set[Key] = set()
    for found in chain.from_iterable(make(scene) for make in _MAKERS):
        if found.key not in seen:
            seen.add(found.key)
            yield found


def _affordable(scene: Scene) -> Iterator[Hypothesis]:
    """The first hypotheses, as many as may be tried on a program of this length."""
    return islice(hypotheses(scene), max(1, _MOST_STEPS // max(1, len(scene.steps))))


def search(
    shown: Shown,
    position: int,
    others: Sequence[Shown] = (),
    more: Sequence[Shown] = (),
    without: Sequence[Shown] = (),
) -> Answer:
    """The mistakes that explain the failing op at ``position``.

    If some mistakes explain all ops, only these are given.  Otherwise those that explain the most
    ops from the start come first.  ``others`` are runs of the same ops with other data that failed
    as well.  ``more`` are runs that show more bytes: mistakes that do not explain these are left
    out, unless none would stay.  ``without`` are runs without one op that pass.
    """
    reach: dict[Key, int] = {}
    by_key: dict[Key, Hypothesis] = {}
    for found in _affordable(shown.scene):
        end = _holds_until(found, shown)
        if end > position:
            by_key[found.key], reach[found.key] = found, end
    whole = [key for key, end in reach.items() if end > len(shown.scene.program)]
    keys = whole or sorted(reach, key=lambda key: -reach[key])
    for each in more:
        held = {*_held({*keys}, each)}
        keys = [key for key in keys if key in held] or keys
    votes = Counter(key for other in others for key in _held({*keys}, other))
    idle = Counter(key for other in without for key in _unlike({*keys}, other))
    return Answer(found=tuple(by_key[key] for key in keys), votes=votes, idle=idle)


def _held(keys: Set[Key], other: Shown) -> Iterator[Key]:
    """Those of ``keys`` whose mistakes explain all ops of the run ``other`` as well."""
    end = len(other.scene.program)
    for found in _affordable(other.scene):
        if found.key in keys and _holds_until(found, other) > end:
            yield found.key


def _unlike(keys: Set[Key], other: Shown) -> Iterator[Key]:
    """Those of ``keys`` whose mistakes can be made in the run ``other``, but do not explain it."""
    end = len(other.scene.program)
    for found in _affordable(other.scene):
        if found.key in keys and _holds_until(found, other) <= end:
            yield found.key


def _holds_until(found: Hypothesis, shown: Shown) -> int:
    """The position of the first op that the mistake does not explain.

    If it explains all ops, one more than their number.  -1 if the reference cannot run the steps of
    the mistake, or if a sound op raises an error under the mistake that the target did not raise.
    """
    history = shown.scene.run(found.steps)
    if history is None:
        return -1
    if found.lends:
        history = _lent(history, shown.scene, found)
    if _refuses_more(history, shown):
        return -1
    failure = compare(shown.scene.program, history, shown.got, shown.capabilities)
    return len(shown.scene.program) + 1 if failure is None else failure.position


def _refuses_more(history: History, shown: Shown) -> bool:
    """Whether, under the mistake, a sound op raises an error that it did not raise in the target.

    If the target promises little, the comparison would excuse such an op.
    """
    outcomes = zip(history.outcomes, shown.scene.expected.outcomes, shown.got.outcomes, strict=True)
    return any(
        tried.error is not None and meant.error is None and got.error != tried.error
        for tried, meant, got in outcomes
    )


def _lent(history: History, scene: Scene, found: Hypothesis) -> History:
    """The history in which each read named in ``lends`` has the bytes of another read, or zeros."""
    outcomes = list(history.outcomes)
    place = {op.result: n for n, op in enumerate(scene.program) if isinstance(op, Read)}
    for result, other in found.lends:
        own = history.outcomes[place[result]]
        lent = history.outcomes[place[other]].data if other else b""
        if own.data is None or lent is None:
            continue
        size = len(own.data)
        rest = bytes(size) if not other else own.data
        data = lent if found.lends_whole else lent[:size] + rest[len(lent) : size]
        outcomes[place[result]] = replace(own, data=data, error_bound=None)
    return replace(history, outcomes=tuple(outcomes))
