"""What tickets and buffers show of themselves: their state, and their bytes as arrays."""

from collections.abc import Callable

import numpy as np
import pytest

from gpusim.errors import InvalidData, InvalidHandle, MapFailed
from gpusim.runtime import Runtime
from gpusim.runtime.drivers.faulty import Fault


def test_a_ticket_says_what_it_reads_and_how_far_it_is(runtime: Runtime) -> None:
    buffer = runtime.alloc(16, label="x")
    ticket = runtime.read(buffer, 4)
    before, _ = repr(ticket), ticket.result()
    assert before in (
        "<read of 12 bytes at 4 of <x, 16 bytes>, pending>",
        "<read of 12 bytes at 4 of <x, 16 bytes>, done>",
    )
    assert repr(ticket) == "<read of 12 bytes at 4 of <x, 16 bytes>, done>"


def test_an_array_of_a_ticket_waits_for_its_value(runtime: Runtime) -> None:
    buffer = runtime.alloc(8)
    assert (buffer.nbytes, repr(buffer)) == (8, f"<buffer {buffer.uid}, 8 bytes>")
    runtime.write(buffer, b"\1\0\0\0\2\0\0\0")
    words = runtime.read(buffer, dtype=np.uint32)
    assert np.asarray(words) is words.result()
    assert np.array(words) is not words.result()
    assert np.asarray(words, np.float64).tolist() == [1.0, 2.0]
    assert np.asarray(runtime.read(buffer)).tolist() == [1, 0, 0, 0, 2, 0, 0, 0]
    assert np.asarray(runtime.read(buffer, 4, out=bytearray(4))).tolist() == [2, 0, 0, 0]
    with pytest.raises(InvalidData, match="probably the dtype belongs to the read"):
        words.__array__(np.float64, copy=False)
    with pytest.raises(InvalidHandle, match=r"probably runtime\.read\(buffer, dtype="):
        np.asarray(buffer)


def test_a_ticket_that_failed_names_its_error(faulty: Callable[..., Runtime]) -> None:
    runtime = faulty(Fault(verb="map", call=0, error=MapFailed))
    ticket = runtime.read(runtime.alloc(4))
    with pytest.raises(MapFailed):
        ticket.result()
    with pytest.raises(MapFailed):
        runtime.flush()
    assert repr(ticket).endswith(", failed with MapFailed>")
