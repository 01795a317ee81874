"""The contract as a Hypothesis state machine over a live target, with a rule for each promise.

Read it to learn what a runtime promises its caller.  Each rule issues one op on the
target and on the oracle, and compares their outcomes at once.  A read is compared when
a rule waits for it, and at the end.
"""

from collections.abc import Callable, Iterable
from typing import cast

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
)

from gpusim.errors import GpusimError
from gpusim.ops import Copy, Dispatch, Grid
from gpusim.runtime import Policy
from properties.generate.strategies import policies
from properties.model.target import Adapter, Delivery, ReplayingAdapter, as_delivery
from reference import Reference
from reference.executor import ReferenceDelivery

MakeTarget = Callable[[Policy], Adapter]

_MOST_LIVE = 3
_sizes = st.sampled_from([64, 16, 65, 37, 256, 260, 8, 5, 4, 3, 1, 0])
_fractions = st.integers(0, 16)
_words = st.integers(0, 2**32 - 1)
_data = st.binary(max_size=70)


class ContractMachine(RuleBasedStateMachine):
    """Drives a target and the oracle in step; subclasses make the target."""

    make_target: MakeTarget

    live = Bundle("live")
    """Live buffers; some were never written, and some are smaller than a word."""
    freed = Bundle("freed")
    """Freed buffers, which must be refused from then on."""
    graphs = Bundle("graphs")
    """Captures, over buffers that may be freed by now."""

    def __init__(self) -> None:
        super().__init__()
        self._made = 0
        self._sizes: dict[str, int] = {}
        self._live: dict[str, None] = {}
        self._reads: list[tuple[Delivery, bytes]] = []
        self._delivered: list[int] = []

    @initialize(policy=policies())
    def open(self, policy: Policy) -> None:
        """The contract is the same under every policy."""
        self._target = type(self).make_target(policy)
        self._oracle = Reference(limits=self._target.limits)

    @precondition(lambda self: len(self._live) < _MOST_LIVE)
    @rule(target=live, size_bytes=_sizes)
    def alloc(self, size_bytes: int) -> object:
        """A new buffer reads as zeros, even if it reuses freed memory."""
        name = f"b{self._made}"
        self._made += 1
        accepted = self._both(lambda side: side.alloc(name, size_bytes))
        if not accepted:
            return multiple()
        self._sizes[name] = size_bytes
        self._live[name] = None
        return name

    @rule(buffer=live, at=_fractions, data=_data)
    def write(self, buffer: str, at: int, data: bytes) -> None:
        """Exactly these bytes change, at any offset and length."""
        offset = min(self._offset(buffer, at), self._sizes[buffer])
        data = data[: self._sizes[buffer] - offset]
        self._both(lambda side: side.write(buffer, data, offset))

    @rule(buffer=live, over=st.integers(1, 9))
    def write_past_the_end(self, buffer: str, over: int) -> None:
        """A write past the end is refused whole: the bytes inside are not written either."""
        size_bytes = self._sizes[buffer]
        self._both(lambda side: side.write(buffer, b"\xee" * (4 + over), max(0, size_bytes - 4)))

    @rule(buffer=live, a=_words, b=_words, groups=st.integers(0, 3))
    def dispatch_on_one(self, buffer: str, a: int, b: int, groups: int) -> None:
        """The scalars are those of the call; a grid of zero does nothing."""
        self._dispatch("affine", [buffer], [a, b], (groups, 1, 1))

    @rule(first=live, second=live, a=_words)
    def dispatch_on_two(self, first: str, second: str, a: int) -> None:
        """A dispatch reads one buffer and writes the other; one buffer for both is refused."""
        self._dispatch("fold", [first, second], [a], (2, 1, 1))

    @rule(buffer=live)
    def dispatch_without_scalars(self, buffer: str) -> None:
        """A dispatch without scalars keeps its place among the others."""
        self._dispatch("scramble", [buffer], [], (1, 2, 1))

    @rule(buffer=live, scalar=st.sampled_from([-1, 2**32, 0.5, float("nan")]))
    def dispatch_with_a_bad_scalar(self, buffer: str, scalar: float) -> None:
        """A scalar outside its type is refused and harms no recorded command."""
        self._dispatch("affine", [buffer], [1, scalar], (1, 1, 1))

    @rule(source=live, into=live, source_at=_fractions, into_at=_fractions, size=_fractions)
    def copy(self, source: str, into: str, source_at: int, into_at: int, size: int) -> None:
        """A copy takes any offsets and length; within one buffer it is memmove."""
        offsets = self._offset(source, source_at), self._offset(into, into_at)
        size_bytes = self._offset(source, size)
        self._both(lambda side: side.copy(source, offsets[0], into, offsets[1], size_bytes))

    @rule(buffer=live, at=_fractions, size=_fractions)
    def read(self, buffer: str, at: int, size: int) -> None:
        """A read gives the value at the moment of its call, however late it is delivered."""
        self._read(buffer, self._offset(buffer, at), self._offset(buffer, size))

    @rule(target=freed, buffer=consumes(live))
    def free(self, buffer: str) -> str:
        """Ops that were issued before a free still take effect."""
        self._both(lambda side: side.free(buffer))
        del self._live[buffer]
        return buffer

    @rule(buffer=freed, use=st.integers(0, 3))
    def use_after_free(self, buffer: str, use: int) -> None:
        """Every op refuses a freed buffer; its name never means another buffer."""
        match use:
            case 0:
                self._both(lambda side: side.write(buffer, b"x", 0))
            case 1:
                self._both(lambda side: side.free(buffer))
            case 2:
                self._read(buffer, 0, 1)
            case _:
                self._dispatch("affine", [buffer], [1, 2], (1, 1, 1))

    @precondition(lambda self: self._target.capabilities.replays)
    @rule(target=graphs, first=live, second=live, a=_words, size=_fractions)
    def capture(self, first: str, second: str, a: int, size: int) -> object:
        """A captured call is checked as if it were called now, but it is not carried out."""
        graph = f"g{self._made}"
        self._made += 1
        commands = (
            Dispatch(kernel="affine", buffers=(first,), scalars=(a, 1), grid=(1, 1, 1)),
            Copy(
                source=first,
                source_offset=0,
                target=second,
                target_offset=0,
                size_bytes=self._offset(first, size),
            ),
        )
        accepted = self._both(lambda side: _replaying(side).capture(graph, commands))
        return (graph, first) if accepted else multiple()

    @rule(graph=graphs, place=live, a=_words, swap=st.booleans(), keep=st.booleans())
    def replay(self, graph: tuple[str, str], place: str, a: int, swap: bool, keep: bool) -> None:
        """A replay does what its calls would do, maybe over other buffers, or is refused whole."""
        name, first = graph
        scalars = None if keep else [(a, 3)]
        bindings = [(first, place)] if swap else []
        self._both(lambda side: _replaying(side).replay(name, scalars, bindings))

    @rule()
    def flush(self) -> None:
        """A flush changes no result."""
        self._both(lambda side: side.flush())

    @rule()
    def sync(self) -> None:
        """When a sync returns, every read before it has been delivered, in order."""
        self._both(lambda side: side.sync())
        if self._target.capabilities.orders_deliveries:
            assert self._delivered == list(range(len(self._reads)))

    @precondition(lambda self: self._reads)
    @rule(which=st.integers(0, 10))
    def wait_for_a_read(self, which: int) -> None:
        """Waiting for one read gives its value and delivers those before it."""
        position = which % len(self._reads)
        delivery, expected = self._reads[position]
        assert delivery.result() == expected
        if self._target.capabilities.orders_deliveries:
            assert self._delivered[: position + 1] == list(range(position + 1))

    @invariant()
    def deliveries_come_in_the_order_of_the_reads(self) -> None:
        """No read overtakes another, and none is delivered twice."""
        assert self._delivered == list(range(len(self._delivered)))

    def teardown(self) -> None:
        """At the end every live buffer has the right bytes, and every read still has its value."""
        if not hasattr(self, "_target"):
            return
        try:
            for buffer in self._live:
                self._read(buffer, 0, self._sizes[buffer])
            for delivery, expected in self._reads:
                assert delivery.result() == expected
        finally:
            self._target.close()

    def _dispatch(self, kernel: str, buffers: list[str], scalars: list[float], grid: Grid) -> None:
        self._both(lambda side: side.dispatch(kernel, buffers, scalars, grid))

    def _read(self, buffer: str, offset: int, size_bytes: int) -> None:
        expected: list[ReferenceDelivery] = []
        position = len(self._reads)

        def issue(side: Adapter | Reference) -> None:
            if isinstance(side, Reference):
                expected.append(side.read(buffer, offset, size_bytes))
                return
            delivery = as_delivery(side.read(buffer, offset, size_bytes))
            self._reads.append((delivery, expected[0].data if expected else b"refused"))
            if side.capabilities.orders_deliveries:
                delivery.add_done_callback(lambda _: self._delivered.append(position))

        self._both(issue)

    def _both(self, act: Callable[[Adapter | Reference], object]) -> bool:
        """Act on the oracle, then on the target; both must raise the same class of error, or none.

        Returns whether none was raised.
        """
        meant, shown = (_error_of(act, side) for side in self._sides())
        assert shown == meant, f"the target showed {shown}, the contract says {meant}"
        return meant is None

    def _sides(self) -> Iterable[Adapter | Reference]:
        yield self._oracle
        yield self._target

    def _offset(self, buffer: str, fifteenths: int) -> int:
        """The offset at so many fifteenths of a buffer; 16 of them lead past its end."""
        return self._sizes[buffer] * fifteenths // 15


def _replaying(side: Adapter | Reference) -> ReplayingAdapter | Reference:
    """``side``, typed as an adapter that captures and replays."""
    return side if isinstance(side, Reference) else cast(ReplayingAdapter, side)


def _error_of(
    act: Callable[[Adapter | Reference], object], side: Adapter | Reference
) -> str | None:
    try:
        act(side)
    except GpusimError as error:
        return type(error).__name__
    return None


def machine_for(make_target: MakeTarget) -> type[ContractMachine]:
    """The contract machine over the targets that ``make_target`` makes."""
    return type("Machine", (ContractMachine,), {"make_target": staticmethod(make_target)})
