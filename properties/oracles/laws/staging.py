"""Laws of readback: staging buffers as a state machine, the order of reads, and errors.

Two further laws are about errors: an op that raises has done nothing, and every failure of the
device is raised.
"""

from collections import deque
from collections.abc import Mapping
from enum import StrEnum

from gpusim import errors
from gpusim.ops import (
    AnyDispatch,
    Capture,
    Dispatch,
    DispatchIndirect,
    Free,
    Read,
    Replay,
    Sync,
)
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import STAGING, STORAGE, ExpectedRead, counted_bytes
from properties.oracles.laws.state import About, Handler, TraceState, accepted


class State(StrEnum):
    """The states of a staging buffer."""

    FREE = "free"
    COPIED = "copied to by a batch that is not submitted"
    FILLED = "copied to"
    PENDING = "being mapped"
    MAPPED = "mapped"
    FAILED = "useless, since its map or its batch failed"


NEXT: Mapping[str, Mapping[State | None, State]] = {
    "copy": {State.FREE: State.COPIED, State.COPIED: State.COPIED},
    "submit": {State.COPIED: State.FILLED},
    "map": {State.FILLED: State.PENDING},
    "wait": {State.PENDING: State.MAPPED, State.MAPPED: State.MAPPED},
    "take": {State.MAPPED: State.FREE},
}
"""The allowed steps, the states in which each may happen, and the state after it."""
_MAY_GO = (State.FREE, State.FAILED)


class Staging:
    """Follows every staging buffer, and every read from issue to delivery."""

    def __init__(self, state: TraceState) -> None:
        self._state = state
        self._states: dict[int, State] = {}
        self._filled_bytes: dict[int, int] = {}
        self._copied: list[int] = []
        """Staging buffers to which the open batch copies."""
        self._map_acts: dict[int, int] = {}
        self._acts = self._acts_before = 0
        """The number of host writes and submits so far, and this number before the last of them."""
        self._done = 0
        """The number of these writes and submits that are known to be done."""
        self._unfinished: deque[tuple[int, int]] = deque()
        """The number and the bytes of each host write that is not known to be done."""
        self._held_bytes = 0
        """The bytes of all host writes that are not known to be done."""
        self._submitted = self._submitted_before = 0
        """The number of writes and submits, up to and including the last submit."""
        self._issued: list[str] = []
        self._delivered = 0
        self._taken: set[str] = set()

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "op": self._op,
            "create_buffer": self._create,
            "copy": self._copy,
            "submit": self._submit,
            "write_buffer": self._write,
            "map": self._map,
            "wait": self._wait,
            "take": self._take,
            "drain": self._drain,
            "failed": self._failed,
            "destroy_buffer": self._destroy,
            "delivered": self._deliver,
            "raised": self._raised,
            accepted(Read): self._check_kept,
            accepted(Dispatch): self._check_kept,
            accepted(DispatchIndirect): self._check_kept,
            accepted(Sync): self._synced,
        }

    def _op(self, about: About) -> None:
        if type(about["op"]) is Read:
            self._issued.append(about["op"].result)

    def _create(self, about: About) -> None:
        if about["role"] == STAGING:
            self._states[about["buffer"]] = State.FREE

    def _copy(self, about: About) -> None:
        if about["target_role"] != STAGING:
            return
        number = about["target"]
        end = about["target_offset"] + about["size_bytes"]
        if self._states.get(number) is State.COPIED:
            end = max(end, self._filled_bytes[number])
        self._filled_bytes[number] = end
        self._step(number, "copy")
        self._copied.append(number)

    def _submit(self, about: About) -> None:
        self._acts_before, self._acts = self._acts, self._acts + 1
        self._submitted_before, self._submitted = self._submitted, self._acts
        if self._copied:
            for number in dict.fromkeys(self._copied):
                self._step(number, "submit")
            self._copied = []

    def _write(self, about: About) -> None:
        self._acts_before, self._acts = self._acts, self._acts + (about["role"] == STORAGE)
        if about["role"] == STORAGE:
            self._check_unfinished(len(about["data"]))

    def _check_unfinished(self, size_bytes: int) -> None:
        """Check that host writes hold no more memory than the policy allows."""
        state, most = self._state, self._state.policy.queued_write_bytes
        if most is None:
            return
        writes = self._unfinished
        while writes and writes[0][0] <= self._done:
            self._held_bytes -= writes.popleft()[1]
        size_bytes = counted_bytes(size_bytes, most)
        state.checked["C4"] += 1
        if self._held_bytes and self._held_bytes + size_bytes > 2 * most and not state.is_lost:
            state.report(
                laws.C4,
                f"{self._held_bytes} bytes of host writes are not known to be done, {size_bytes} "
                f"more come, and {2 * most} is the limit",
            )
        writes.append((self._acts, size_bytes))
        self._held_bytes += size_bytes

    def _map(self, about: About) -> None:
        number, size_bytes = about["buffer"], about["size_bytes"]
        self._state.checked["D5"] += 1
        filled = self._filled_bytes.get(number, 0)
        if size_bytes > filled:
            self._state.report(
                laws.D5,
                f"{size_bytes} bytes of staging buffer {number} are mapped, of which "
                f"{filled} were copied to it",
            )
        self._map_acts[number] = self._acts
        self._step(number, "map")

    def _wait(self, about: About) -> None:
        self._step(about["buffer"], "wait")

    def _take(self, about: About) -> None:
        number = about["buffer"]
        self._step(number, "take")
        self._done = max(self._done, self._map_acts.get(number, 0))
        fetches = self._state.fetches
        for result in [result for result, staging in fetches.items() if staging == number]:
            del fetches[result]
            self._taken.add(result)

    def _drain(self, about: About) -> None:
        self._done = self._submitted

    def _step(self, number: int, what: str) -> None:
        """Change the state as the table says; any other change is a violation."""
        state = self._state
        stage = self._states.get(number)
        state.checked["D4"] += 1
        after = NEXT[what].get(stage)
        if after is not None:
            self._states[number] = after
        elif state.is_lost:
            return
        elif stage is State.FAILED:
            state.report(laws.D7, f"{what} of staging buffer {number}, which is {stage}")
        else:
            said = "no staging buffer" if stage is None else stage.value
            state.report(laws.D4, f"{what} of staging buffer {number}, which is {said}")

    def _failed(self, about: About) -> None:
        """Retire the staging buffers that a failure makes useless."""
        state, verb = self._state, about["verb"]
        state.checked["D7"] += 1
        if verb in ("submit", "write_buffer"):
            self._acts = self._acts_before
            while self._unfinished and self._unfinished[-1][0] > self._acts:
                self._held_bytes -= self._unfinished.pop()[1]
            if verb == "submit":
                self._submitted = self._submitted_before
        if state.has_lost_batch:
            under_way = [number for number, stage in self._states.items() if stage != State.FREE]
            lost = under_way if state.is_lost else self._copied_or_filled()
            self._states.update(dict.fromkeys(lost, State.FAILED))
            self._copied = []
        elif verb in ("map", "wait", "take"):
            self._states[self._last_buffer(verb)] = State.FAILED

    def _copied_or_filled(self) -> list[int]:
        early = (State.COPIED, State.FILLED)
        return [number for number, stage in self._states.items() if stage in early]

    def _last_buffer(self, verb: str) -> int:
        driver_events = (
            event for event in reversed(self._state.driver_events) if event.kind == verb
        )
        return next((int(event["buffer"]) for event in driver_events), 0)

    def _destroy(self, about: About) -> None:
        if about["role"] != STAGING:
            return
        stage = self._states.pop(about["buffer"], None)
        self._state.checked["D4"] += 1
        if stage is not None and stage not in _MAY_GO and not self._state.is_lost:
            self._state.report(
                laws.D4, f"staging buffer {about['buffer']} is destroyed, though it is {stage}"
            )

    def _deliver(self, about: About) -> None:
        state, result = self._state, about["result"]
        state.checked["D2"] += 1
        state.checked["D1"] += 1
        if result in self._issued[: self._delivered]:
            state.report(laws.D1, f"{result} is delivered again")
            return
        next_one = self._issued[self._delivered : self._delivered + 1]
        if next_one != [result]:
            before = " ".join(next_one) or "it was read"
            state.report(laws.D2, f"{result} is delivered before {before}")
        elif result in state.fetches and not state.failures:
            state.report(laws.D1, f"{result} is delivered before its bytes were taken")
        self._delivered += 1

    def _raised(self, about: About) -> None:
        op = self._state.op
        if type(op) is Read and self._issued[-1:] == [op.result]:
            self._issued.pop()

    def _check_kept(self, about: About) -> None:
        """Check how many free buffers are kept; each read of the open batch allows one more."""
        state, most = self._state, self._state.policy.staging_buffers
        state.checked["D6"] += 1
        kept = list(self._states.values()).count(State.FREE)
        if kept > most:
            kept -= sum(type(expected) is ExpectedRead for expected in state.open)
        if kept > most:
            state.report(laws.D6, f"{kept} free staging buffers, where {most} is the most")

    def _synced(self, about: About) -> None:
        self._check_kept(about)
        state = self._state
        state.checked["D3"] += 1
        waiting = self._issued[self._delivered :]
        if waiting:
            state.report(laws.D3, f"the sync returned and {waiting[0]} was not delivered")
        elif self._done < self._acts:
            state.report(
                laws.D3,
                f"the sync returned after {self._acts} writes and submits, of which "
                f"{self._done} are known to be done",
            )


_REFUSALS = tuple(kind.__name__ for kind in errors.Refused.__subclasses__())
_MARKS = ("op", "outcome", "delivered", "failed")
_LATER = ("map", "wait", "take", "lost")
"""A later op may raise the failures of these verbs: the bytes of a read are mapped and taken after
the read was accepted, and a free does not raise the loss of the device that it meets."""


class Failures:
    """Compares each outcome with what happened on the device during the op."""

    def __init__(self, state: TraceState) -> None:
        self._state = state

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {"outcome": self._outcome}

    def _outcome(self, about: About) -> None:
        error = about["error"]
        if error is None:
            if self._state.failures:
                self._check_accepted()
        elif not self._state.is_lost and type(self._state.op) is not Sync:
            self._check_raised(error)

    def _check_accepted(self) -> None:
        state = self._state
        state.checked["G5"] += 1
        # With ``debug_submit_each`` a dispatch has succeeded before the wait that meets the
        # failure, so a later op raises it.
        waits = state.policy.debug_submit_each and isinstance(state.op, AnyDispatch | Replay)
        if state.failed_verb and state.failed_verb not in _LATER and not waits:
            state.report(laws.G5, f"{state.failed_verb} failed and no error was raised")
        elif state.was_lost and type(state.op) is not Free:
            state.report(laws.G5, "the op was accepted on a device that is lost")

    def _check_raised(self, error: str) -> None:
        state = self._state
        if state.failed_verb:
            return
        driver_events = [event.kind for event in state.driver_events if event.kind not in _MARKS]
        state.checked["G1"] += 1
        on_device = [kind for kind in driver_events if "." not in kind]
        if on_device:
            state.report(laws.G1, f"it raised {error} and did {' '.join(on_device)}")
        if error in _REFUSALS:
            state.checked["G2"] += 1
            inside = [kind for kind in driver_events if "." in kind]
            if type(state.op) in (Capture, Replay):
                # The commands before the refused one were checked, and so their shapes were cached.
                inside = [kind for kind in inside if not kind.startswith("shapes.")]
            if inside:
                state.report(laws.G2, f"it was refused with {error} and left {' '.join(inside)}")
