"""The state that the objects of one device share: profile, limits, timelines and counts.

Nothing here validates, and nothing here is public.
"""

from collections.abc import Mapping
from itertools import count
from typing import Any
from weakref import WeakKeyDictionary

from gpusim.simulated.faults import NO_FAULTS
from gpusim.simulated.profile import Profile
from gpusim.simulated.promise import Promise
from gpusim.simulated.scheduler import Scheduler
from gpusim.simulated.timeline import Timeline
from gpusim.wgsl.checks.report import Ledger

next_uid = count(1).__next__
"""Gives a number that no other object of this process has."""


class DeviceState:
    """The state of a device from its opening, or a reset, to the next reset.

    A reset device has a new state, which treats objects from before the reset as another device's.
    Only layouts, modules and pipelines stay: they belong to ``home``, which all these states share.
    """

    __slots__ = (
        "calls",
        "checks",
        "destroyed",
        "home",
        "limits",
        "live_buffers",
        "lost_promise",
        "mapped",
        "poisons_staging",
        "profile",
        "timeline",
    )

    def __init__(
        self,
        profile: Profile,
        limits: Mapping[str, int],
        timeline: Timeline,
        *,
        poisons_staging: bool,
        checks: Ledger | None = None,
    ) -> None:
        self.home = object()
        self.profile = profile
        self.poisons_staging = poisons_staging
        self.checks = checks
        """Receives the mistakes in shaders; None if nobody looks for them."""
        self.limits = dict(limits)
        self.timeline = timeline
        self.calls: dict[str, int] = {}
        """The number of the last call of each kind, from 0."""
        self.destroyed = False
        self.live_buffers = 0
        """Buffers that were made and not destroyed."""
        self.lost_promise: Promise | None = None
        self.mapped: WeakKeyDictionary[Any, None] = WeakKeyDictionary()
        """The buffers that are mapped, or soon will be, in the order of the maps; they are unmapped
        when the device is destroyed.  A mapped buffer that the program drops is collected."""

    def next_life(self, scheduler: Scheduler) -> "DeviceState":
        """The state of the device after a reset; its plan of faults is empty."""
        timeline = Timeline(scheduler, NO_FAULTS, self.timeline.emit)
        poisons = self.poisons_staging
        state = DeviceState(
            self.profile, self.limits, timeline, poisons_staging=poisons, checks=self.checks
        )
        state.home, state.lost_promise = self.home, self.lost_promise
        return state

    def made(self, kind: str) -> int:
        """Count a call that makes an object; returns its number among its kind, from 0.

        The scheduler is not asked here.  Such a call touches no promise and nothing that a promise
        waits for, so it makes no difference whether a promise settles before or after it.
        """
        timeline = self.timeline
        number = self.calls[kind] = self.calls.get(kind, -1) + 1
        if timeline.emit is not None:
            timeline.emit("call", method=kind, number=number)
        if timeline.losses and timeline.losses.get(kind) == number:
            self.lose("a fault was planned")
        return number

    def note(self, kind: str) -> None:
        """Count a call that only records a command, and that no plan of faults names."""
        self.calls[kind] = self.calls.get(kind, -1) + 1

    def count(self, kind: str) -> int:
        """Ask the scheduler what happens now, unless it defers; then count the call."""
        if not self.timeline.defers:
            self.timeline.look()
        return self.made(kind)

    def lose(self, reason: str) -> None:
        """Lose the device; its promise ``lost`` settles before any other (specification, "lose the
        device")."""
        if self.timeline.lost:
            return
        if self.timeline.emit is not None:
            self.timeline.emit("lose", reason=reason)
        if not self.profile.loss_settles_maps:
            self.timeline.abandon_in_flight()
        self.timeline.lose()
        if self.lost_promise is not None:
            self.lost_promise.fulfil(None)
