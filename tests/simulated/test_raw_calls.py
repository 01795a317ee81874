"""Random raw calls, legal and illegal, on the simulated device and on the real adapters.

Results, error classes and the calls at which they are raised must be the same.
GPUSIM_RAW_SESSIONS says how many sessions a backend plays.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache
from random import Random

import pytest

from gpusim.devices import adapters
from gpusim.simulated import open_device
from tests.simulated.conformance.calls import METHODS, Call, draw_session, parse_call
from tests.simulated.conformance.child import RealPlayer
from tests.simulated.conformance.player import LIMITS, Player

SESSIONS = int(os.environ.get("GPUSIM_RAW_SESSIONS", "8"))
BACKENDS = {"vulkan": "Vulkan", "gl": "OpenGL"}

RAISED = {
    "create_buffer": {"GPUValidationError", "OverflowError", "abort"},
    "write_buffer": {"GPUValidationError", "ValueError", "BufferError"},
    "map_async": {"GPUValidationError", "ValueError", "AttributeError", "abort"},
    "wait": {"RuntimeError"},
    "unmap": {"RuntimeError", "GPUValidationError"},
    "read_mapped": {"RuntimeError", "ValueError", "abort"},
    "write_mapped": {"RuntimeError", "ValueError", "abort"},
    "read_buffer": {"GPUValidationError", "ValueError", "abort"},
    "create_layout": {"GPUValidationError", "ValueError"},
    "create_bind_group": {"GPUValidationError", "abort"},
    "create_pipeline_layout": {"GPUValidationError"},
    "create_pipeline": {"GPUValidationError", "AssertionError"},
    "create_shader_module": {"GPUValidationError", "TypeError"},
    "auto_layout": {"GPUValidationError"},
    "begin_pass": {"GPUValidationError"},
    "set_pipeline": {"GPUValidationError"},
    "set_bind_group": {"GPUValidationError", "OverflowError", "ValueError"},
    "dispatch": {"GPUValidationError", "OverflowError"},
    "dispatch_indirect": {"GPUValidationError", "OverflowError"},
    "end": {"GPUValidationError"},
    "copy": {"GPUValidationError", "ValueError", "OverflowError"},
    "clear": {"GPUValidationError", "ValueError", "OverflowError"},
    "debug": {"GPUValidationError"},
    "finish": {"GPUValidationError"},
    "submit": {"abort"},
    "work_done": {"TypeError"},
    "use_foreign": {"GPUValidationError", "abort"},
}
"""Every error that a method can raise in the sessions, in the wgpu-native profile."""


def on_simulated(calls: list[Call], profile: str = "wgpu-native") -> list[str]:
    """What a session shows on the simulated device."""

    def device() -> object:
        return open_device(profile=profile, limits=LIMITS)

    return list(Player(device(), device).play(calls))


@pytest.fixture(scope="module", params=list(BACKENDS))
def on_real(request: pytest.FixtureRequest) -> Iterator[Callable[[int], list[str]]]:
    """What the session of a seed shows on a real adapter; skipped only where there is none.

    It is played once, in a process of its own.
    """
    if request.param not in [adapter.name for adapter in adapters()]:
        pytest.skip(f"this machine has no {request.param} adapter")
    player = RealPlayer(BACKENDS[request.param])
    yield cache(lambda seed: player.play(draw_session(Random(seed))))
    player.close()


def test_real_adapters_agree(on_real: Callable[[int], list[str]]) -> None:
    for seed in range(SESSIONS):
        calls = draw_session(Random(seed))
        shown = on_real(seed)
        expected = on_simulated(calls)
        for place, (simulated, native) in enumerate(zip(expected, shown, strict=False)):
            assert simulated == native, (seed, place, str(calls[place]))
        assert len(expected) == len(shown), seed


def test_a_third_of_the_calls_is_illegal_and_every_error_is_raised() -> None:
    shown: Counter[tuple[str, str]] = Counter()
    for seed in range(1500):
        calls = draw_session(Random(seed))
        for call, outcome in zip(calls, on_simulated(calls), strict=False):
            shown[call.method, outcome.split()[0]] += 1
    total = sum(count for (_, outcome), count in shown.items() if outcome != "skip")
    legal = sum(count for (_, outcome), count in shown.items() if outcome == "ok")
    assert legal <= 0.7 * total
    raised = {method: set[str]() for method in METHODS}
    for method, outcome in shown:
        if outcome not in ("ok", "skip"):
            raised.setdefault(method, set()).add(outcome)
    assert {method: classes for method, classes in raised.items() if classes} == RAISED


def test_every_method_succeeds_too() -> None:
    succeeded = set()
    for seed in range(300):
        calls = draw_session(Random(seed))
        for call, outcome in zip(calls, on_simulated(calls, "spec"), strict=False):
            if outcome.startswith("ok") and call.method != "use_foreign":
                succeeded.add(call.method)
    assert succeeded == {*METHODS, "lose"} - {"use_foreign"}


def test_sessions_round_trip_as_text() -> None:
    calls = draw_session(Random(1))
    assert [parse_call(str(call)) for call in calls] == calls


def test_a_planted_difference_is_found(on_real: Callable[[int], list[str]]) -> None:
    """The spec profile is not what wgpu-native does; the comparison must say so."""
    differences = 0
    for seed in range(6):
        calls = draw_session(Random(seed))
        differences += on_real(seed) != on_simulated(calls, "spec")
    assert differences >= 1
