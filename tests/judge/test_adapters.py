"""An adapter that cannot be asked for what it promises is refused before any program runs."""

from pathlib import Path
from typing import Any

import pytest

from gpusim.errors import ProgramError
from gpusim.limits import Limits
from gpusim.testing import Adapter, Arrival, Capabilities, Refusal, check, check_program, fuzz
from properties.fuzz.loading import load_target
from properties.targets.naive_target import NaiveTarget


@pytest.mark.parametrize(
    ("promise", "words"),
    [
        ({"delivery": "ticket"}, r"it is no Arrival \(probably Arrival\.TICKET is meant\)"),
        ({"invalid_handle": "exact"}, r"it is no Refusal \(probably Refusal\.EXACT is meant\)"),
        ({"out_of_range": True}, r"no Refusal \(probably Refusal\.NOT_ASKED or Refusal\."),
        ({"handles": "yes"}, r"it is neither True nor False \(probably True is meant\)"),
        ({"kernels": "affine"}, r"no tuple of names of kernels \(probably \('affine',\) is meant"),
        ({"kernels": ["a", "b"]}, r"\(probably \('a', 'b'\) is meant\)"),
    ],
)
def test_a_promise_of_another_kind_is_refused(promise: dict[str, Any], words: str) -> None:
    (name,) = promise
    with pytest.raises(ProgramError, match=rf"^cannot promise {name}=.* because .*{words}"):
        Capabilities(**promise)


class Promising(NaiveTarget):
    """The sound target; subclasses promise what it has no method for."""


class Handles(Promising):
    """It is given names, and promises to take handles."""

    capabilities = Capabilities(handles=True, invalid_handle=Refusal.CONTAINED)


class Replays(Promising):
    """It cannot capture."""

    capabilities = Capabilities(replays=True)


class Arrays(Promising):
    """It reads into no array."""

    capabilities = Capabilities(delivery=Arrival.ARRAY)


class Concurrent(Promising):
    """It has no sync that only begins."""

    capabilities = Capabilities(concurrent_syncs=True)


class Dict(Promising):
    """It has its promises in a dictionary."""

    capabilities: Any = {"write_size_bytes": 1}  # noqa: RUF012 - the mistake


class Unlimited(Promising):
    """It has its limits in a dictionary."""

    limits: Any = {"max_buffer_bytes": 16}  # noqa: RUF012 - the mistake


class Async(Promising):
    """Its sync is never awaited."""

    async def sync(self) -> None:  # type: ignore[override]
        """Never begun."""


class Half(Adapter):
    """It lacks all but two methods."""

    def alloc(self, buffer: str, size_bytes: int) -> None:
        """Do nothing."""

    def free(self, buffer: str) -> None:
        """Do nothing."""


class Elsewhere(Promising):
    """None of its kernels is there."""

    capabilities = Capabilities(orders_deliveries=False, kernels=("affin",))


WRONG: list[tuple[Any, str]] = [
    (Handles, r"it promises handles, and .* \(probably it should inherit HandleAdapter\)"),
    (Replays, r"it lacks capture and replay \(probably it should inherit ReplayingAdapter\)"),
    (Arrays, r"delivery=Arrival\.ARRAY, and it lacks .* inherit ArrayAdapter\)"),
    (Concurrent, r"it lacks begin_sync \(probably it should inherit ConcurrentAdapter\)"),
    (Dict, r"its capabilities are .* no Capabilities \(probably capabilities = Capabilities\("),
    (Unlimited, r"its limits are .* no Limits \(probably limits = Limits\("),
    (Async, "its sync is an async function, which the judge would not await"),
    (Half, "it lacks copy, dispatch, read, write "),
    (Elsewhere, r"none of that name \(probably 'affine' is meant\)"),
]


@pytest.mark.parametrize(("target", "words"), WRONG, ids=lambda each: getattr(each, "__name__", ""))
def test_what_cannot_be_judged_is_refused(target: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=f"^cannot judge .* because .*{words}"):
        check(target, device="simulated", examples=1, save=tmp_path)


def test_a_session_refuses_it_as_well(tmp_path: Path) -> None:
    with pytest.raises(ProgramError, match=r"^cannot judge Replays because it promises replays"):
        fuzz(Replays, device="simulated", programs=1, save=tmp_path)
    with pytest.raises(ProgramError, match=r"^cannot judge Half because it lacks copy, dispatch"):
        load_target(f"{__file__}:Half")


def test_one_program_refuses_it_as_well() -> None:
    with pytest.raises(ProgramError, match=r"^cannot judge Handles because it promises handles"):
        check_program(Handles(None), "alloc a 4\n")


def test_methods_without_their_class_are_enough(tmp_path: Path) -> None:
    class Begins(Promising):
        capabilities = Capabilities(orders_deliveries=False, concurrent_syncs=True)

        def begin_sync(self) -> Any:
            return self

        def result(self) -> None:
            self.sync()

    class PerformsByItself(Promising):
        capabilities = Capabilities(orders_deliveries=False, handles=True)
        limits = Limits(max_buffer_bytes=4096)

        def perform(self, op: Any) -> Any:
            return super().perform(op)

    for sound in (Begins, PerformsByItself):
        check(sound, device="simulated", examples=5, save=tmp_path)
