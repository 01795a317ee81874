"""A run records whatever a target does, and survives every error of it."""

from collections.abc import Callable, Sequence

import pytest

import reference
from gpusim.errors import DeviceLost, MapFailed
from gpusim.history import History, Outcome
from gpusim.ops import (
    Bound,
    Grid,
    Op,
    Sync,
)
from gpusim.program import Program
from properties import execute
from properties.execute import CHANGED, Unwatched
from properties.model.capabilities import CONTRACT, capabilities_of
from properties.model.target import Delivery
from reference import Reference

PROGRAM = Program.parse(
    """
    alloc a 16
    write a 0 01020304
    read a 0 4 -> first
    dispatch affine a 3,5 1x1x1
    read a 0 4 -> second
    sync
    write a 9 ff
    read a 99 4 -> never
    read a 8 4 -> third
    """
)


class Honest(Reference):
    """The oracle as a target."""

    capabilities = CONTRACT

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:  # type: ignore[override]
        return super().read(buffer, offset, size_bytes)


class Pending:
    """A delivery that its target settles when it likes, perhaps never or twice."""

    def __init__(self, ask: Callable[[], bytes]) -> None:
        self._ask = ask
        self._callbacks: list[Callable[[Delivery], None]] = []

    def result(self) -> bytes:
        return self._ask()

    def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
        self._callbacks.append(callback)

    def settle(self) -> None:
        for callback in self._callbacks:
            callback(self)


class Late(Honest):
    """Delivers at sync, and only what ``delivered_at_sync`` keeps of what waits."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Pending] = []

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:  # type: ignore[override]
        pending = Pending(self.asks(super().read(buffer, offset, size_bytes).result()))
        self.waiting.append(pending)
        return pending

    def sync(self) -> None:
        waiting, self.waiting = self.waiting, []
        for pending in self.delivered_at_sync(waiting):
            pending.settle()

    def asks(self, data: bytes) -> Callable[[], bytes]:
        return lambda: data

    def delivered_at_sync(self, waiting: list[Pending]) -> list[Pending]:
        return waiting


class Backwards(Late):
    def delivered_at_sync(self, waiting: list[Pending]) -> list[Pending]:
        return waiting[::-1]


class ForgetsOne(Late):
    def delivered_at_sync(self, waiting: list[Pending]) -> list[Pending]:
        return waiting[1:]


class Twice(Late):
    def delivered_at_sync(self, waiting: list[Pending]) -> list[Pending]:
        return waiting + waiting[:1]


class Aliases(Late):
    """Each value asked for later has the bytes of later."""

    def asks(self, data: bytes) -> Callable[[], bytes]:
        values = iter([data])
        return lambda: next(values, b"\xee" * len(data))


class HandsOutItsPool(Late):
    """Every result is a view of the one pool."""

    def __init__(self) -> None:
        super().__init__()
        self.pool = bytearray(16)

    def asks(self, data: bytes) -> Callable[[], bytes]:
        def ask() -> bytes:
            self.pool[: len(data)] = data
            return memoryview(self.pool)[: len(data)]  # type: ignore[return-value]

        return ask


class MapsFail(Late):
    def asks(self, data: bytes) -> Callable[[], bytes]:
        def ask() -> bytes:
            raise MapFailed("no map today")

        return ask


class ForgetsItsError(Late):
    def asks(self, data: bytes) -> Callable[[], bytes]:
        values = iter([None])

        def ask() -> bytes:
            if next(values, data) is None:
                raise MapFailed("once")
            return data

        return ask


def run(target: Honest, program: Program = PROGRAM) -> History:
    return execute.run(program, target)


def late_errors(history: History) -> list[str | None]:
    return [history.outcomes[at].late_error for at in (2, 4, 8)]


@pytest.mark.parametrize("target", [Honest, Late])
def test_a_right_target_shows_what_the_oracle_says(target: type[Honest]) -> None:
    assert run(target()) == reference.run(PROGRAM)


def test_every_op_reaches_the_target() -> None:
    program = Program.parse(
        "alloc a 8\nalloc b 8\nwrite a 0 0102030405060708\ncopy a 1 b 2 5\nread b 0 8 -> r0\n"
        "dispatch affine b 3,5 1x1x1\nflush\nsync\nread b 0 8 -> r1\nfree a\nread a 0 1 -> r2"
    )
    assert run(Honest(), program) == reference.run(program)
    assert run(Honest(), Program(())) == reference.run(Program(()))


def test_a_program_that_ends_with_a_sync_gets_no_other() -> None:
    program = Program((*PROGRAM, Sync()))
    history = run(Late(), program)
    assert history == reference.run(program)
    assert history.closing is None


def test_order_of_deliveries_is_written_down() -> None:
    history = run(Backwards())
    assert history.deliveries == ("second", "first", "third")
    assert history.outcomes[5].data == b"second,first"


def test_a_forgotten_read_is_seen_though_its_value_comes_when_asked_for() -> None:
    history = run(ForgetsOne())
    assert history.outcomes[5].data == b"second"
    assert history.outcomes[2].data == b"\x01\x02\x03\x04"
    assert history.deliveries == ("second",)


def test_a_second_delivery_is_written_down() -> None:
    assert run(Twice()).deliveries == ("first", "second", "first", "third", "third")


@pytest.mark.parametrize("target", [Aliases, ForgetsItsError])
def test_a_value_that_changes_after_its_delivery(target: type[Late]) -> None:
    assert late_errors(run(target())) == [CHANGED] * 3


def test_a_result_on_pooled_memory_changes_under_the_next_read() -> None:
    """Asked again it would be right again: what was handed out is what changed."""
    assert late_errors(run(HandsOutItsPool())) == [CHANGED, CHANGED, None]


def test_a_value_that_never_comes_is_a_late_error() -> None:
    history = run(MapsFail())
    assert late_errors(history) == ["MapFailed"] * 3
    assert history.deliveries == ("first", "second", "third")
    assert all(history.outcomes[at].data is None for at in (2, 4, 8))


def test_a_target_without_callbacks_has_its_values_all_the_same() -> None:
    class Silent(Late):
        capabilities = capabilities_of(orders_deliveries=False)

        def delivered_at_sync(self, waiting: list[Pending]) -> list[Pending]:
            return []

    history = run(Silent())
    assert history.deliveries == ()
    assert [o.data for o in history.outcomes[:5]] == [
        o.data for o in reference.run(PROGRAM).outcomes[:5]
    ]


def test_values_are_looked_at_by_the_first_sync_even_without_callbacks() -> None:
    class SilentPool(HandsOutItsPool):
        def delivered_at_sync(self, waiting: list[Pending]) -> list[Pending]:
            return []

    assert late_errors(run(SilentPool())) == [CHANGED, CHANGED, None]


def test_a_stray_error_is_an_outcome() -> None:
    class Stumbles(Honest):
        def dispatch(
            self, kernel: str, buffers: Sequence[Bound], scalars: Sequence[int | float], grid: Grid
        ) -> None:
            raise TypeError("too many arguments")

    history = run(Stumbles())
    outcome = history.outcomes[3]
    assert outcome.error == "crash: TypeError"
    assert outcome.raised is not None
    assert outcome.raised.message == "too many arguments"
    lines = outcome.raised.traceback.splitlines()
    assert lines[0] == "Traceback (most recent call last):"
    assert lines[-1] == "TypeError: too many arguments"
    assert "in dispatch" in lines[-3]
    # Where the judge called it is nothing to a reader.
    assert "execute.py" not in outcome.raised.traceback
    assert history.outcomes[4].data == b"\x01\x02\x03\x04"


def test_the_devices_fault_is_an_outcome_of_the_closing_sync_too() -> None:
    class Lost(Honest):
        def sync(self) -> None:
            raise DeviceLost("gone")

    history = run(Lost())
    assert history.outcomes[5].error == "DeviceLost"
    assert history.closing is not None
    assert history.closing.error == "DeviceLost"


def test_ops_on_a_name_whose_alloc_failed_never_reach_the_target() -> None:
    class Refuses(Honest):
        reached = 0

        def alloc(self, buffer: str, size_bytes: int) -> None:
            raise RuntimeError("no room")

        def write(self, buffer: str, data: bytes, offset: int) -> None:
            self.reached += 1

    target = Refuses()
    history = run(target)
    assert history.outcomes[0].error == "crash: RuntimeError"
    assert history.outcomes[1].error == "InvalidHandle"
    assert history.outcomes[3].error == "InvalidHandle"
    assert target.reached == 0
    assert history.outcomes[5].data == b""


def test_refused_allocs_are_the_same_on_both_sides() -> None:
    program = Program.parse("alloc n -1\nwrite n 0 00\ndispatch fold n 1 1x1x1\nread n 0 0 -> r")
    history = run(Honest(), program)
    assert history == reference.run(program)
    assert [o.error for o in history.outcomes] == ["OutOfRange"] + ["InvalidHandle"] * 3


class Seen(Unwatched):
    """What a watch is told of ops, in order."""

    def __init__(self) -> None:
        self.began_ops: list[tuple[int, Op]] = []
        self.told: list[tuple[str, int]] = []
        self.outcomes: list[Outcome] = []

    def began(self, position: int, op: Op) -> None:
        self.began_ops.append((position, op))
        self.told.append(("began", position))

    def ended(self, position: int, outcome: Outcome) -> None:
        self.told.append(("ended", position))
        self.outcomes.append(outcome)


def test_a_watch_sees_every_op_in_order_and_the_closing_sync() -> None:
    seen = Seen()
    history = execute.run(PROGRAM, Honest(), seen)
    assert seen.began_ops == list(enumerate((*PROGRAM, Sync())))
    ends = range(len(PROGRAM) + 1)
    assert seen.told == [(what, position) for position in ends for what in ("began", "ended")]
    errors = [outcome.error for outcome in history.outcomes]
    assert [outcome.error for outcome in seen.outcomes] == [*errors, None]


def test_what_a_watch_raises_is_the_judges_own() -> None:
    class Fails(Unwatched):
        def ended(self, position: int, outcome: Outcome) -> None:
            raise AssertionError("a law broke")

    with pytest.raises(AssertionError, match="a law broke"):
        execute.run(PROGRAM, Honest(), Fails())
