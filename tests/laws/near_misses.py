"""Near misses: for each law, programs and policies that nearly break it, and must pass."""

from gpusim.errors import MapFailed, OutOfMemory
from gpusim.runtime.drivers.faulty import Fault

_FILLED = "alloc a 64\nalloc b 64\nwrite a 0 0001020304050607\nwrite b 0 1011121314151617\n"
_RUN = "dispatch affine a 3,5 1x1x1\n"
_OTHER = "dispatch affine a 7,9 1x1x1\n"
_READ = "read a 0 64 -> r0\nsync\n"

FAULTS = {
    # The staging buffer whose map failed is destroyed; the next read has another.
    "D7": (Fault(verb="map", call=0, error=MapFailed),),
    # The failure is raised, and the device goes on.
    "G5": (Fault(verb="create_buffer", call=1, error=OutOfMemory),),
}
"""What fails on the device, by the law."""

NEAR_MISSES: dict[str, tuple[str, str]] = {
    # A read joins the batch of the dispatch that it must see.
    "A1": (_FILLED + _RUN + _READ, "ring"),
    # The write goes ahead of a copy that reads the bytes right beside it.
    "A2": (_FILLED + "copy a 0 b 0 8\nwrite a 8 aabbccdd\n" + _READ, "ring"),
    # The edges of a write wait in the batch, before the dispatch that sees them.
    "A3": (_FILLED + "write a 1 aabbccddeeff\n" + _RUN + _READ, "lazy"),
    # The write goes ahead of a copy that writes the bytes right beside it.
    "A4": (_FILLED + "copy b 0 a 0 8\nwrite a 8 aabbccdd\n" + _READ, "ring"),
    # A copy within a buffer goes through another one, and in bytes.
    "A5": (_FILLED + "copy a 1 a 2 9\n" + _READ, "pooled"),
    # Three bytes of padding belong to nobody.
    "A8": ("alloc a 5\nwrite a 0 0102030405\nread a 0 5 -> r0\nsync", "lazy"),
    # The caller's bytes arrive in words and edges.
    "A9": (_FILLED + "write a 3 00112233445566778899aa\n" + _READ, "eager"),
    # More is copied than was asked for, since it is whole words.
    "A11": (_FILLED + "read a 3 2 -> r0\nsync", "eager"),
    # A buffer of no bytes stands for one word.
    "A12": ("alloc a 0\nread a 0 0 -> r0\nsync", "cached"),
    "B1": (_FILLED + _RUN + _OTHER + _READ, "lazy"),
    # Equal scalars share a buffer.
    "B2": (_FILLED + _RUN + _OTHER + _RUN + _READ, "cached"),
    # The slot is rewritten right after its submit.
    "B3": (_FILLED + _RUN + "flush\n" + _OTHER + _READ, "pooled uniform_slots=1"),
    "B5": (_FILLED + _RUN + _OTHER + _READ, "cached uniform_cache=1"),
    # The slot is larger than what is bound of it.
    "B6": (
        _FILLED
        + "dispatch fold a,b 7 1x1x1\nflush\n"
        + _RUN
        + "flush\ndispatch fold a,b 9 1x1x1\n",
        "pooled uniform_slots=1",
    ),
    "B7": (_FILLED + _RUN + _OTHER + _READ, "ring"),
    # The very same dispatch twice.
    "C1": (_FILLED + _RUN + _RUN + _READ, "cached"),
    # Nothing is recorded, and a host write waits.
    "C2": (_FILLED + "flush\nflush\n" + _READ, "lazy"),
    # The batch is just full.
    "C4": (_FILLED + _RUN + _OTHER + _READ, "lazy batch_commands=2"),
    "C5": (_FILLED + _RUN + "flush\n" + _OTHER + "flush\nsync", "lazy"),
    # A full pool submits, and so does the write that comes right after.
    "C7": (_FILLED + _RUN + _OTHER + "write a 0 aabbccdd\n" + _READ, "pooled uniform_slots=1"),
    # What was refused waits for nothing.
    "C9": (_FILLED + "write a 63 aabb\ndispatch affine a 3,5 0x1x1\nflush\nsync", "lazy"),
    # A read of nothing has no bytes to be taken.
    "D1": (_FILLED + "read a 0 0 -> r0\nsync", "cached"),
    "D2": (_FILLED + "read a 0 8 -> r0\nread a 8 0 -> r1\nread b 0 8 -> r2\nsync", "ring"),
    # The read was the last act, so that the sync needs no fence.
    "D3": (_FILLED + "flush\nread a 0 8 -> r0\nsync\nsync", "cached"),
    # Two reads share a staging buffer, one the other's in turn.
    "D4": (
        _FILLED + "read a 0 8 -> r0\nread b 0 8 -> r1\nsync\n" + "read a 0 8 -> r2\nsync",
        "ring",
    ),
    # Less is mapped than the buffer holds.
    "D5": (_FILLED + "read a 0 64 -> r0\nsync\nread a 0 4 -> r1\nsync", "cached"),
    # More are out at once than are kept.
    "D6": (
        _FILLED + "read a 0 4 -> r0\nread a 4 4 -> r1\nread a 8 4 -> r2\nsync",
        "cached staging_buffers=1",
    ),
    "D7": (_FILLED + "read a 0 8 -> r0\nsync\nsync\nread a 0 8 -> r1\nsync", "cached"),
    "E1": ("alloc a 8\nfree a\nalloc b 8\nread b 0 8 -> r0\nsync", "cached"),
    "E2": ("alloc a 8\nfree a\nfree a\nalloc b 8\nfree b\nsync", "cached"),
    # The freed buffer's groups go, the other's stay.
    "E3": (
        _FILLED + _RUN + "dispatch affine b 3,5 1x1x1\nfree a\ndispatch affine b 3,5 1x1x1\nsync",
        "cached",
    ),
    # One group serves two dispatches, and another pipeline has one of its own.
    "E5": (_FILLED + _RUN + _RUN + "dispatch scramble a - 1x1x1\n" + _READ, "cached"),
    # An evicted uniform is destroyed right after the submit.
    "E6": (_FILLED + _RUN + _OTHER + _READ, "cached uniform_cache=1"),
    "E7": (_FILLED + _RUN + _OTHER + _READ, "cached bind_group_cache=1 shape_cache=1"),
    # The scratch buffer outlives its copy until the next submit.
    "F1": (_FILLED + "copy a 1 a 2 9\n" + _READ, "eager"),
    "F2": ("alloc a 8", "cached"),
    "F4": (_FILLED + "copy a 0 a 4 8\nflush\nsync", "lazy"),
    # The free waits for its batch.
    "F6": (_FILLED + _RUN + "free a\nflush\nsync", "ring"),
    "G1": (_FILLED + _RUN + "write a 60 0011223344\nsync", "lazy"),
    "G2": (_FILLED + _RUN + "dispatch affine a 3 1x1x1\nsync", "cached"),
    # A copy of no bytes and a binding of a single word.
    "G4": ("alloc a 4\nalloc b 4\ncopy a 4 b 4 0\n" + _RUN + "sync", "lazy"),
    "G5": (_FILLED + _READ, "cached"),
}
