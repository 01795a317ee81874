"""The table of the rules: the mistake, the sentence of the specification, and the remedy.

docs/SANITIZE.md shows the same rows; a test compares the two.  No rule of ``RULES`` reports what
the WebGPU specification allows, except growth without end.
"""

from gpusim.layer.rules.growth import EndlessWrites, GrowingBuffers
from gpusim.layer.rules.mappings import KeptView, WrittenWhileMapped
from gpusim.layer.rules.overtaking import OvertakingWrite
from gpusim.layer.rules.rule import Rule
from gpusim.layer.rules.submits import (
    AliasedBindings,
    DestroyedDevice,
    EmptySubmit,
    LostBatch,
    WrongSubmit,
)

ENDLESS_WRITES = Rule(
    name="endless-writes",
    sentence=(
        "Queue writes overwrite each other many times over without a submit, and the "
        "implementation has to hold all their bytes."
    ),
    source='18.2, writeBuffer(): "a copy of the bytes" is taken, and kept until its turn',
    remedy="submit now and then (a submit of nothing will do), or write only what is used",
    check=EndlessWrites,
)

RULES = (
    Rule(
        name="overtaking-write",
        sentence=(
            "A command is recorded between two queue writes that differ, reads bytes that both "
            "write, and is submitted after both, so that it sees the second write; nothing that "
            "was submitted between the two writes reads a byte of the first."
        ),
        source=(
            '18.2: writeBuffer() issues "Write contents into buffer" on the queue timeline at the '
            "call; submit() issues the recorded commands, so they come after it"
        ),
        remedy="submit what was recorded before the second write, or write to another buffer",
        check=OvertakingWrite,
    ),
    Rule(
        name="wrong-submit",
        sentence=(
            "A submitted command buffer was submitted before, was made by another device, or uses "
            "a buffer that is destroyed, is mapped or waits for its map."
        ),
        source=(
            '18.2, submit(): each command buffer "must be valid to use with this", the internal '
            'state of each buffer "must be available"; else "invalidate each GPUCommandBuffer"'
        ),
        remedy="unmap before the submit, destroy after it, and finish a new encoder each time",
        check=WrongSubmit,
        refuses=True,
    ),
    Rule(
        name="destroyed-device",
        sentence="Commands are submitted to a device that the program has destroyed.",
        source='4.4, destroy(): "Destroys the device, preventing further operations on it"',
        remedy="destroy the device last",
        check=DestroyedDevice,
        refuses=True,
    ),
    Rule(
        name="aliased-bindings",
        sentence=(
            "Two bindings of one dispatch overlap in the same buffer, and one of them is writable."
        ),
        source='13.1: "Encoder bind groups alias a writable resource" must be false',
        remedy="bind ranges that do not overlap, or copy to another buffer first",
        check=AliasedBindings,
    ),
    Rule(
        name="lost-batch",
        sentence="One wrong command makes finish() raise, and every other command is lost with it.",
        source='12.7, finish(): "this must be valid"; else "invalidated GPUCommandBuffer"',
        remedy="check a command's arguments before it is recorded, and record the others again",
        check=LostBatch,
    ),
    Rule(
        name="kept-view",
        sentence="A view of mapped memory is still held when the mapping ends.",
        source='5.2, unmap(): "Perform DetachArrayBuffer" for each view; Python has no such thing',
        remedy="copy what you need (read_mapped() does by default), and del every view of it",
        check=KeptView,
    ),
    Rule(
        name="written-while-mapped",
        sentence="The queue writes to a buffer that is mapped, or whose map is pending.",
        source='18.2, writeBuffer(): the internal state of the buffer "is available"',
        remedy="wait for the map and unmap, or use another staging buffer meanwhile",
        check=WrittenWhileMapped,
    ),
    Rule(
        name="growing-buffers",
        sentence=(
            "Over many submits one line of the program makes buffers that nothing uses after "
            "their step, and that are neither destroyed nor collected."
        ),
        source=(
            '5.1.4, destroy(): "allows the user agent to reclaim the GPU memory associated with '
            'the GPUBuffer"'
        ),
        remedy="destroy a buffer when its last use is submitted, or use it again",
        check=GrowingBuffers,
    ),
    ENDLESS_WRITES,
)

EMPTY_SUBMIT = Rule(
    name="empty-submit",
    sentence="A submit has no command, and no queue write waits for it.",
    source="none: WebGPU allows it; only a target that promises otherwise is accused",
    remedy="submit only where a command was recorded, or bytes were written, since the last submit",
    check=EmptySubmit,
)
"""A rule that only the judge uses, for targets that promise to submit nothing empty."""
