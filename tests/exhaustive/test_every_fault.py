"""Each call of a sketch fails once, alone and after a lost batch; nothing wrong comes of it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from gpusim.kernels import BUILTIN
from gpusim.runtime import Parts
from gpusim.runtime.batch import Batch, RingUniforms
from gpusim.runtime.buffers import Buffer
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.recorder import Recorder
from properties.exhaustive.every_fault import SKETCHES, cases, fail_everywhere
from properties.model.failure import Failure
from properties.targets.factory import RuntimeFactory


@pytest.mark.parametrize("name", SKETCHES)
def test_a_sound_runtime_survives_every_fault(name: str) -> None:
    factory, tried = RuntimeFactory("simulated"), 0
    for case in cases(name):
        plans, failure = fail_everywhere(case, factory)
        assert failure is None, f"{case.policy}\n{failure}"
        tried += plans
    assert tried > 500


def first_failure(name: str, parts: Parts) -> Failure | None:
    """The first failure of a runtime with these parts, under any policy."""
    factory = RuntimeFactory("simulated", BUILTIN, parts=parts)
    failures = (fail_everywhere(case, factory)[1] for case in cases(name))
    return next((failure for failure in failures if failure is not None), None)


class TakenBackHalfWay(Recorder):
    """What a failed replay overwrote stays sound, though the copy over it is taken back."""

    @contextmanager
    def all_or_nothing(self, written: Sequence[Buffer]) -> Iterator[None]:
        try:
            with super().all_or_nothing(written):
                yield
        except Exception:
            for buffer in written:
                buffer.lost = False
            raise


class ForgetsItsRing(RingUniforms):
    """A ring that could not grow is taken for one of the size that was wanted."""

    def ring_for(self, size_bytes: int, batch: Batch) -> DeviceBuffer:
        try:
            return super().ring_for(size_bytes, batch)
        except Exception:
            self.capacity_bytes += size_bytes
            raise


RING = Parts(
    uniforms=lambda driver, policy, caches: ForgetsItsRing(driver, policy.uniform_ring_bytes)
)


@pytest.mark.parametrize(
    ("name", "parts"), [("resetting", Parts(recorder=TakenBackHalfWay)), ("growing", RING)]
)
def test_what_a_fault_leaves_behind_is_seen_with_its_plan(name: str, parts: Parts) -> None:
    failure = first_failure(name, parts)
    assert failure is not None
    assert any(note.startswith("the device fails: ") for note in failure.notes)
