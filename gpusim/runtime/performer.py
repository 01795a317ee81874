"""Carrying out dispatches and copies that were checked, and counting them.

Calls and the steps of replays both end here; what is counted is kept by the
runtime.
"""

from gpusim.errors import DeviceFault
from gpusim.runtime.calls import CopyCall
from gpusim.runtime.plans import DispatchPlan
from gpusim.runtime.policy import Policy
from gpusim.runtime.reads import Reads
from gpusim.runtime.recorder import Recorder
from gpusim.runtime.transfers import Transfers
from gpusim.runtime.waits import Waits


class Performer:
    """Carries out the checked calls of one runtime, under the debug modes of its policy."""

    def __init__(
        self,
        policy: Policy,
        *,
        recorder: Recorder,
        transfers: Transfers,
        reads: Reads,
        waits: Waits,
        done: dict[str, int],
    ) -> None:
        self._most_dispatches = policy.debug_dispatch_limit or 0
        self._is_limited = policy.debug_dispatch_limit is not None
        self._waits_each = policy.debug_submit_each
        self._recorder = recorder
        self._transfers = transfers
        self._reads = reads
        self._waits = waits
        self._done = done

    @property
    def is_debugging(self) -> bool:
        """Whether every call has to pass here, one by one."""
        return self._waits_each or self._is_limited

    def dispatch(self, plan: DispatchPlan, payload: bytes) -> None:
        """Carry out a checked dispatch."""
        done = self._done
        if self._is_limited and done["dispatches"] >= self._most_dispatches:
            done["dispatches_dropped"] += 1
            return
        if plan.groups:
            self._recorder.dispatch(plan, payload)
        done["dispatches"] += 1
        if self._waits_each:
            self._wait_for_all()

    def copy(self, call: CopyCall) -> None:
        """Carry out a checked copy."""
        if call.size_bytes:
            self._transfers.copy(call)
        self._done["copies"] += 1

    def _wait_for_all(self) -> None:
        """Wait as ``sync`` does; a fault in that belongs to the next op, this one has happened."""
        try:
            self._waits.for_all(self._reads.goal_of_sync())
        except DeviceFault as fault:
            self._waits.keep(fault)
