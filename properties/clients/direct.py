"""The client that, after its program, calls a device itself, as a program without a runtime does.

If the target's device is simulated, the client opens a simulated device of its own.  It may fail as
planned, and is reset once.  In an event loop, the client adds listeners to promises of this device.
The client also calls drivers of two further devices: a drain must wait for the device, and a device
that is lost takes no other with it.  On a real device the client makes legal calls only, which
every adapter understands.
"""

import asyncio
from contextlib import suppress
from dataclasses import replace
from typing import Any

from gpusim.errors import DeviceFault
from gpusim.program import Program
from gpusim.runtime.commands import Role
from gpusim.simulated import (
    NO_FAULTS,
    SPEC,
    STRATEGIES,
    WGPU_NATIVE,
    FaultPlan,
    Profile,
    Scheduler,
    make_adapter,
    strategy,
)
from properties.clients.client import BrokenPromise, Client, is_idle, is_simulated
from properties.clients.illegal import ILLEGAL
from properties.clients.loops import run_leaping
from properties.clients.walk import Walk
from properties.generate.choices import Choices, SeededChoices
from properties.targets.runtime_target import RuntimeTarget

_STEPS, _MISUSES = 8, 2
_SMALL_BYTES = 64
"""The largest buffer of some devices, so that buffers are as large as is allowed."""
_FAILING = ("failed_maps", "failed_writes", "failed_submits", "failed_encodes", "out_of_memory")
_MOST_CALLS = 6
_MAPS = 3
_DONE = "work"
_LEAST_ROUNDS, _ROUNDS = 4, 400
"""How many rounds an event loop runs at least and at most, while promises are listened to.

Every promise settles within ``_ROUNDS`` rounds, since each round asks the device."""


class DirectClient(Client):
    """Runs the program plainly, and then calls devices itself."""

    def __init__(self, target: RuntimeTarget, program: Program) -> None:
        super().__init__(target)
        self._program = program

    def close(self) -> None:
        """Close, and call devices: a real one before the close, and simulated ones after it.

        The close may lose a device, and then nobody is told of the loss.  So whether the device is
        lost is asked before.
        """
        choices, device = SeededChoices(f"direct {self._program}"), self.target.runtime.device
        try:
            if not is_simulated(device) and not self.target.driver.lost:
                Walk(device, WGPU_NATIVE, choices).go(_STEPS)
        finally:
            self.target.close()
        if is_simulated(device):
            self._walk(choices, choices.pick((SPEC, SPEC, WGPU_NATIVE)))
            self._drive(choices.pick((SPEC, WGPU_NATIVE)))

    def _walk(self, choices: Choices, profile: Profile) -> None:
        """Walk on a device that may fail; reset it, after which nothing fails, and walk again."""
        small = {"max-buffer-size": _SMALL_BYTES} if choices.chance(1, 2) else {}
        plan = _plan(choices) if choices.chance(1, 2) else NO_FAULTS
        adapter = make_adapter(profile=profile)
        limits = {**adapter.limits, **small}
        device = self.target.make_driver(adapter.make(limits, _scheduler(choices), plan)).device
        walk = Walk(device, profile, choices, faults=sum(map(len, _numbers(plan))))
        walk.go(_STEPS)
        run_leaping(_listen(walk, choices), is_real=False)
        device.restart(_scheduler(choices))
        told = "a device that was reset"
        walk = Walk(device, profile, choices, pipelines=walk.pipelines, told=told)
        for _ in range(_MISUSES):
            walk.misuse(choices.pick(ILLEGAL))
        walk.go(_STEPS)
        run_leaping(_listen(walk, choices), is_real=False)
        if device.live_buffers:
            raise BrokenPromise(
                f"a device counts {device.live_buffers} live buffers, though all were destroyed"
            )

    def _drive(self, profile: Profile) -> None:
        """Call a driver, and lose another device of its adapter."""
        with suppress(DeviceFault):
            # The target's drivers may fail as planned.
            self._judge_driver(profile)

    def _judge_driver(self, profile: Profile) -> None:
        adapter = make_adapter(profile=profile)
        make = self.target.make_driver
        driver, other = (make(adapter.request_device_sync()) for _ in range(2))
        buffer = driver.create_buffer(_SMALL_BYTES, Role.STORAGE)
        driver.write_buffer(buffer, 0, bytes(_SMALL_BYTES))
        # This device does nothing until somebody waits.
        if driver.drain(0):
            raise BrokenPromise("a drain that may not wait ends as if the device had done its work")
        if not driver.drain() or not is_idle(driver.device):
            raise BrokenPromise("a drain ends before the device has done what was submitted")
        other.device.destroy()
        with suppress(DeviceFault):
            other.create_buffer(_SMALL_BYTES, Role.STORAGE)
        if not other.lost or driver.lost:
            told = "its driver does not notice" if not other.lost else "both drivers are lost"
            raise BrokenPromise(f"one of two devices of an adapter is destroyed, and {told}")


def _scheduler(choices: Choices) -> Scheduler:
    return strategy(choices.pick(STRATEGIES), choices.integer(0, 999))


def _plan(choices: Choices) -> FaultPlan:
    """A plan of a few faults at early calls; a failed map is always among them."""
    plan = FaultPlan(failed_maps=(choices.integer(0, _MOST_CALLS),))
    also: dict[str, Any] = {choices.pick(_FAILING): (choices.integer(0, _MOST_CALLS),)}
    return replace(plan, **also)


def _numbers(plan: FaultPlan) -> list[tuple[int, ...]]:
    return [getattr(plan, name) for name in _FAILING]


class _Heard:
    """A promise whose listeners note their calls in ``told``, a list that all promises share."""

    def __init__(
        self, name: str, promise: Any, told: list[tuple[str, str]], *, fails: bool
    ) -> None:
        self.name = name
        self.promise = promise
        self.fails = fails
        self._told = told

    def listen(self) -> None:
        """Add a listener for the value, and one for the error."""
        self.promise.then(lambda _: self._told.append((self.name, "then")))
        self.promise.catch(lambda _: self._told.append((self.name, "catch")))


async def _listen(walk: Walk, choices: Choices) -> None:
    """Map a few buffers; add listeners to each promise at once, or after it may have settled."""
    profile, told = walk.profile, list[tuple[str, str]]()
    heard: list[_Heard] = []
    blocks = [walk.made("download") for _ in range(_MAPS)]
    for block in blocks:
        promise = block.native.map_async("READ")
        is_given_up = profile.unmap_cancels and choices.chance(1, 3)
        if is_given_up:
            block.native.unmap()
        heard.append(_Heard(f"map {len(heard)}", promise, told, fails=is_given_up))
    if profile.tells_work_done:
        done = walk.device.queue.on_submitted_work_done_async()
        heard.append(_Heard(_DONE, done, told, fails=False))
    late = [each for each in heard[:_MAPS] if choices.chance(1, 2)]
    for each in heard:
        if each not in late:
            each.listen()
    await _rounds(told, len(heard) - len(late))
    if (_DONE, "then") in told:
        _check_order(told, [each.name for each in heard if each not in late])
    for each in late:
        each.listen()
    await _rounds(told, len(heard))
    for each in heard:
        _check_told(walk, each, [how for name, how in told if name == each.name])
    for block in blocks:
        if block.native.map_state == "mapped":
            block.native.unmap()
        block.native.destroy()


async def _rounds(told: list[tuple[str, str]], number: int) -> None:
    """Let the loop run until ``number`` listeners were called, and a little longer."""
    for turn in range(_ROUNDS):
        await asyncio.sleep(0)
        if len(told) >= number and turn >= _LEAST_ROUNDS:
            return


def _check_order(told: list[tuple[str, str]], before: list[str]) -> None:
    """Check that the promise of the submitted work settled after the promises in ``before``."""
    first = [name for name, _ in told]
    first = first[: first.index(_DONE)]
    missing = [name for name in before if name not in (*first, _DONE)]
    if missing:
        raise BrokenPromise(
            f"the promise of the submitted work settles before that of an earlier {missing[0]}"
        )


def _check_told(walk: Walk, each: _Heard, hows: list[str]) -> None:
    if hows == ["catch"] and not each.fails:
        walk.excuse(RuntimeError(f"{each.name} fails"))
        return
    meant = ["catch" if each.fails else "then"]
    if hows != meant:
        shown = ", ".join(hows) or "none"
        raise BrokenPromise(
            f"the promise of {each.name} {'fails' if each.fails else 'succeeds'}: the listeners "
            f"that it calls are {shown}, and should be `{meant[0]}` alone, called once"
        )
