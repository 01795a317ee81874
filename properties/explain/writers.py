"""The op that last wrote each byte, and where bytes that came back may come from.

To see which bytes a dispatch writes, it is run twice, over different bytes.  A byte that changes in
either run was written.
"""

from collections.abc import Mapping

from gpusim.effects import accesses
from gpusim.errors import GpusimError
from gpusim.ops import Alloc, AnyDispatch, Op, Read
from properties.explain.argument import ByteStory
from properties.explain.hypothesis import named
from properties.explain.scene import NOBODY, Scene
from properties.model.failure import Failure
from reference import Reference

_MOST_BYTES = 64
_LEAST_ALIKE = 3
"""A piece with fewer bytes, or fewer different ones, may stand elsewhere by chance."""
_FLIP = bytes(255 - value for value in range(256))


def stories(scene: Scene, failure: Failure, got: bytes) -> tuple[ByteStory, ...]:
    """The wrong bytes of the read that failed, at most the first sixty-four."""
    op = scene.program[failure.position]
    at = next((n for n, step in enumerate(scene.steps) if step.position == failure.position), None)
    meant = scene.expected.outcomes[failure.position].data
    if not isinstance(op, Read) or at is None or meant is None:
        return ()
    wrong = [n for n, (one, other) in enumerate(zip(meant, got, strict=False)) if one != other]
    writers = _writers(scene, at, op.buffer)
    return tuple(
        ByteStory(
            buffer=op.buffer,
            byte=op.offset + n,
            meant=meant[n],
            shown=got[n],
            writer=writers[op.offset + n] if op.offset + n < len(writers) else NOBODY,
            source=_source(scene, got, n),
        )
        for n in wrong[:_MOST_BYTES]
    )


def _writers(scene: Scene, end: int, buffer: str) -> list[int]:
    """The number of the op that last wrote each byte of ``buffer`` before step ``end``."""
    found: list[int] = []
    for at, step in enumerate(scene.steps[:end]):
        if scene.is_refused(step):
            continue
        if isinstance(step.op, Alloc) and step.op.buffer == buffer:
            found = [NOBODY] * step.op.size_bytes
        for byte in _written(scene, at, step.op, buffer):
            if byte < len(found):
                found[byte] = step.number
    return found


def _written(scene: Scene, at: int, op: Op, buffer: str) -> range | list[int]:
    """The bytes of ``buffer`` that a step writes."""
    written = [
        range(access.start, access.end)
        for access in accesses(op, scene.kernels)
        if access.writes and access.buffer == buffer
    ]
    if not written:
        return []
    if not isinstance(op, AnyDispatch):
        return written[0]
    before, after = scene.states[at], scene.states[at + 1].get(buffer, b"")
    flipped = {**before, buffer: before[buffer].translate(_FLIP)}
    other = _after(scene, flipped, op, buffer)
    if other is None:
        return range(len(after))
    old = before[buffer]
    return [
        n
        for n, (one, two) in enumerate(zip(after, other, strict=False))
        if one != old[n] or two != flipped[buffer][n]
    ]


def _after(scene: Scene, state: Mapping[str, bytes], op: Op, buffer: str) -> bytes | None:
    """What ``op`` leaves in ``buffer`` if all buffers hold ``state``; None if it is refused."""
    reference = Reference(scene.kernels, scene.limits)
    try:
        for name, data in state.items():
            reference.alloc(name, len(data))
            reference.write(name, data, 0)
        reference.perform(op)
        return reference.read(buffer, 0, len(state[buffer])).data
    except GpusimError:
        return None


def _source(scene: Scene, got: bytes, at: int) -> str:
    """Where the bytes ``got[at:]``, eight at most, first stood; empty if nowhere.

    The step that left them there may be one after the read, since it may have overtaken the read.
    """
    piece = got[at : at + 8]
    if len(piece) < _LEAST_ALIKE or len(set(piece)) < _LEAST_ALIKE:
        return ""
    for time, step in enumerate(scene.steps):
        for name, data in scene.states[time + 1].items():
            if data == scene.states[time].get(name):
                continue
            place = data.find(piece)
            if place >= 0:
                return f"what {named(step)} left at byte {place} of {name}"
    return ""
