"""Clients of foreign targets: sound targets pass, and twins with a mistake are found."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from gpusim.errors import GpusimError
from gpusim.kernels import BUILTIN
from gpusim.limits import Limits
from gpusim.ops import Alloc, Dispatch, Free, Op, Read, Sync, Write
from properties.clients import FOREIGN_CLIENTS, asked_by, not_asked, suiting
from properties.fuzz.variants import with_foreign_client
from properties.generate.cases import CaseSettings, case_for
from properties.generate.fitting import first_beyond
from properties.model.capabilities import CONTRACT, Arrival, Capabilities, Refusal
from properties.model.case import NO_POLICY, PLAIN
from properties.model.target import Delivery, InArray
from tests.judge.promising import Pair, Pending, Perform, Small, changing, failures

pytestmark = pytest.mark.unit

SOUND_PROGRAMS = 60
TWIN_PROGRAMS = 300


def _keeps_arrays(target: Small) -> Perform:
    """A write keeps the caller's array, and looks into it when something else comes."""
    sound, kept = target.perform, list[Write]()

    def perform(op: Op) -> Delivery | None:
        if isinstance(op, Write):
            kept.append(op)
            return None
        for write in kept:
            sound(write)
        kept.clear()
        return sound(op)

    return perform


def _gives_early(target: Small) -> Perform:
    """A read that is asked for before a sync gives what the memory had before."""
    sound = target.perform

    def perform(op: Op) -> Delivery | None:
        delivery = sound(op)
        return _Early(delivery) if isinstance(delivery, Pending) else delivery

    class _Early:
        def __init__(self, read: Pending) -> None:
            self._read = read

        def result(self) -> bytes:
            early = self._read in target.waiting
            return bytes(len(self._read.data)) if early else self._read.data

        def add_done_callback(self, callback: Callable[[Delivery], None]) -> None:
            pass

    return perform


def _forgets(target: Small) -> Perform:
    """A sync forgets the last of several reads."""
    sound = target.perform

    def perform(op: Op) -> Delivery | None:
        if isinstance(op, Sync) and len(target.waiting) > 1:
            read = target.waiting[-1]
            read.data = bytes(len(read.data))
        return sound(op)

    return perform


def _settles_backwards(target: Small) -> Perform:
    """Reads arrive in their arrays in reverse order."""
    sound, maps = target.perform, list[tuple[bytearray, bytes]]()

    def perform(op: Op) -> Delivery | None:
        if isinstance(op, Sync):
            for array, data in reversed(maps):
                array[: len(data)] = data
            maps.clear()
        return sound(op)

    def perform_into(op: Read, array: bytearray) -> Delivery:
        delivery = sound(op)
        assert isinstance(delivery, Pending)
        maps.append((array, delivery.data))
        return InArray(array, op.size_bytes)

    target.perform_into = perform_into  # type: ignore[method-assign]
    return perform


def _stores_again(target: Small) -> Perform:
    """A sync stores the reads of the sync before it once more."""
    sound, into = target.perform, target.perform_into
    now, before = list[tuple[bytearray, bytes]](), list[tuple[bytearray, bytes]]()

    def perform(op: Op) -> Delivery | None:
        if isinstance(op, Sync):
            for array, data in before:
                array[: len(data)] = data
            before[:] = now
            now.clear()
        return sound(op)

    def perform_into(op: Read, array: bytearray) -> Delivery:
        delivery = into(op, array)
        now.append((array, bytes(array[: op.size_bytes])))
        return delivery

    target.perform_into = perform_into  # type: ignore[method-assign]
    return perform


class Slow(Pending):
    """A sync that is done when it is waited for."""

    def __init__(self, target: Small) -> None:
        super().__init__()
        self._target = target

    def result(self) -> bytes:
        self._target.settle()
        return b""


def _second_sync_returns(target: Small) -> Perform:
    """A sync that begins while another is under way returns at once, before the reads came."""
    under_way = list[Pending]()

    def begin_sync() -> Pending:
        if under_way:
            return under_way.pop() and Pending()
        under_way.append(Slow(target))
        return under_way[0]

    target.begin_sync = begin_sync  # type: ignore[method-assign]
    return target.perform


def _names_another(target: Small) -> Perform:
    """A stale handle is that of the buffer that was made after the free."""
    sound, freed, now = target.perform, list[str](), dict[str, str]()
    refuse = target._refuse

    def perform(op: Op) -> Delivery | None:
        delivery = sound(op)
        if isinstance(op, Free):
            freed.append(op.buffer)
        elif isinstance(op, Alloc) and freed:
            now[freed.pop()] = op.buffer
        return delivery

    def refusing(op: Op, error: GpusimError) -> Delivery | None:
        if isinstance(op, Write) and op.buffer in now:
            try:
                return sound(replace(op, buffer=now[op.buffer]))
            except KeyError:
                return None
        return refuse(op, error)

    target._refuse = refusing  # type: ignore[method-assign]
    return perform


def _packs_by_value(target: Small, op: Any) -> Any:
    """Scalars that are equal share a payload, so that minus nought is nought."""
    if not isinstance(op, Dispatch):
        return op
    return replace(op, scalars=tuple(value or abs(value) for value in op.scalars))


def _quietens(target: Small, op: Any) -> Any:
    """Data goes through an array of floats, which has one NaN."""
    if not isinstance(op, Write) or len(op.data) % 4:
        return op
    words = np.frombuffer(op.data, dtype="<f4").copy()
    words[np.isnan(words)] = np.nan
    return replace(op, data=words.tobytes())


_WEBGPU = Capabilities()


def _beside(**promises: Any) -> Capabilities:
    return replace(_WEBGPU, **promises)


PAIRS = (
    Pair(name="host arrays", capabilities=_beside(host_arrays=True), twin=_keeps_arrays),
    Pair(
        name="per ticket",
        capabilities=_beside(delivery=Arrival.TICKET, orders_deliveries=False),
        twin=_gives_early,
    ),
    Pair(
        name="per ticket, and refused at the next sync",
        capabilities=_beside(
            delivery=Arrival.TICKET, orders_deliveries=False, invalid_handle=Refusal.NEXT_SYNC
        ),
        twin=_gives_early,
        raises=False,
    ),
    Pair(
        name="at the sync",
        capabilities=_beside(orders_deliveries=False),
        twin=_forgets,
    ),
    Pair(
        name="into named arrays",
        capabilities=_beside(delivery=Arrival.ARRAY, orders_deliveries=False),
        twin=_settles_backwards,
    ),
    Pair(
        name="arrays that come back",
        capabilities=_beside(delivery=Arrival.ARRAY, orders_deliveries=False, releases_arrays=True),
        twin=_stores_again,
    ),
    Pair(
        name="syncs that overlap",
        capabilities=_beside(concurrent_syncs=True),
        twin=_second_sync_returns,
    ),
    Pair(
        name="handles, contained",
        capabilities=_beside(handles=True, invalid_handle=Refusal.CONTAINED),
        twin=_names_another,
    ),
    Pair(
        name="handles, contained and told late",
        capabilities=_beside(handles=True, invalid_handle=Refusal.CONTAINED, concurrent_syncs=True),
        twin=_names_another,
        raises=False,
    ),
    Pair(
        name="handles, exact",
        capabilities=_beside(handles=True, invalid_handle=Refusal.EXACT),
        twin=_names_another,
    ),
    Pair(
        name="special floats in scalars",
        capabilities=_beside(special_floats=True),
        twin=changing(_packs_by_value),
    ),
    Pair(
        name="special floats in data",
        capabilities=_beside(special_floats=True, kernels=("blend",)),
        twin=changing(_quietens),
    ),
    Pair(
        name="all at once",
        capabilities=replace(
            CONTRACT,
            delivery=Arrival.TICKET,
            handles=True,
            host_arrays=True,
            concurrent_syncs=True,
        ),
        twin=_second_sync_returns,
    ),
)


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_a_sound_target_is_not_accused(pair: Pair) -> None:
    assert failures(pair, pair.sound, SOUND_PROGRAMS) == []


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair.name)
def test_its_twin_is_found(pair: Pair) -> None:
    assert failures(pair, pair.broken, TWIN_PROGRAMS) != []


def test_what_is_not_promised_is_named_and_never_asked() -> None:
    assert suiting(_WEBGPU) == ()
    assert len(not_asked(_WEBGPU)) == len(FOREIGN_CLIENTS)
    assert not_asked(_beside(concurrent_syncs=True)) == [
        each for each in not_asked(_WEBGPU) if "concurrent_syncs" not in each
    ]


def test_a_wait_that_may_tell_of_another_op_is_no_door() -> None:
    late = _beside(delivery=Arrival.TICKET, concurrent_syncs=True, invalid_handle=Refusal.NEXT_SYNC)
    assert suiting(late) == ()
    assert asked_by(late) == ("early", "overlapping")
    assert not_asked(late) == not_asked(replace(late, invalid_handle=Refusal.NOT_ASKED))


def test_a_client_that_waits_gets_programs_without_ops_that_are_told_late() -> None:
    late = _beside(delivery=Arrival.TICKET, concurrent_syncs=True, invalid_handle=Refusal.NEXT_SYNC)
    setting = CaseSettings(device="simulated", limits=Limits(), promises=late, target="small")
    drawn = [replace(case_for(11, number, setting), policy=NO_POLICY) for number in range(300)]
    given = [with_foreign_client(case, late, BUILTIN, Limits()) for case in drawn]
    met = [pair for pair in zip(drawn, given, strict=True) if pair[1].client != PLAIN]
    assert {case.client for _, case in met} == {"early", "overlapping"}
    assert any(before.program != case.program for before, case in met)
    for _, case in met:
        assert case.promises is not None
        assert FOREIGN_CLIENTS[case.client].suits(case.promises)
        assert first_beyond(case.program, case.promises, BUILTIN, Limits()) is None
