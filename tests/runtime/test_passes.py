"""How a batch is encoded, counted at the encoder's methods, since no value shows it."""

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from gpusim.kernels import AFFINE, SCRAMBLE
from gpusim.runtime import PRESETS, Policy, Runtime, WgpuDriver

RING = replace(PRESETS["ring"], first_batch=None)
_OPENING = ("create_command_encoder", "begin_compute_pass")


class Counting:
    """``inner``, whose calls are counted, and those of the encoders and passes that it opens."""

    def __init__(self, inner: Any, calls: Counter[str]) -> None:
        self._inner = inner
        self._calls = calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        if not callable(found):
            return found

        def call(*values: Any, **named: Any) -> Any:
            self._calls[name] += 1
            result = found(*values, **named)
            return Counting(result, self._calls) if name in _OPENING else result

        return call


@pytest.mark.parametrize(
    ("policy", "passes", "pipelines", "groups"),
    [
        (RING, 2, 3, 4),
        (replace(RING, merge_passes=False), 5, 5, 5),
        (PRESETS["cached"], 5, 5, 5),
    ],
)
def test_dispatches_in_a_row_share_a_pass_and_set_only_what_differs(
    device: Any, policy: Policy, passes: int, pipelines: int, groups: int
) -> None:
    calls: Counter[str] = Counter()
    with Runtime(driver=WgpuDriver(Counting(device, calls)), policy=policy) as runtime:
        a, b = runtime.alloc(64), runtime.alloc(64)
        runtime.sync()
        calls.clear()
        runtime.dispatch(AFFINE, [a], [3, 5])
        runtime.dispatch(AFFINE, [a], [3, 6])
        runtime.dispatch(SCRAMBLE, [a])
        runtime.dispatch(SCRAMBLE, [a])
        runtime.copy(a, b)
        runtime.dispatch(AFFINE, [a], [3, 5])
        runtime.flush()
        counted = Counter(calls)
        runtime.free(a)
        runtime.free(b)
    assert counted["begin_compute_pass"] == counted["end"] == passes
    assert counted["set_pipeline"] == pipelines
    assert counted["set_bind_group"] == groups
    assert counted["dispatch_workgroups"] == 5
    assert counted["copy_buffer_to_buffer"] == counted["finish"] == 1
