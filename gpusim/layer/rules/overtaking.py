"""The rule about a queue write that overtakes a command which was recorded before it.

``writeBuffer`` acts in the order of the queue: after what was submitted, and before what is only
recorded.  So a command that was recorded between two writes of the same bytes, and submitted after
both, sees the second write.  That is no mistake in two cases.  First, something that was submitted
between the writes reads bytes of the first write, so that this write had a reader.  It need not
read all of them, since a pool may write more bytes than it uses.  Second, both writes bring the
same bytes.
"""

from bisect import bisect_left
from collections.abc import Iterator

from gpusim.layer.report import Place
from gpusim.layer.rules.rule import Breach, Check
from gpusim.layer.scene import Command, Scene
from gpusim.trace import Event


class Write:
    """Bytes of a queue write that nothing has read yet, and nothing has replaced."""

    __slots__ = ("call", "end", "readers", "start")

    def __init__(self, start: int, end: int, call: "WriteCall", readers: list[Command]) -> None:
        self.start, self.end, self.call = start, end, call
        self.readers = readers
        """Commands that were recorded since the write, and will read the bytes."""

    def part(self, start: int, end: int) -> "Write":
        """The part of this write from ``start`` to ``end``."""
        return Write(start, end, self.call, list(self.readers))


class WriteCall:
    """One queue write; all parts that are left of it share this."""

    __slots__ = ("has_reader", "site", "wrote")

    def __init__(self, event: Event) -> None:
        self.site = event["site"]
        self.wrote = (event["offset"], event["size_bytes"], event["digest"])
        """Where it wrote, and a digest of its bytes."""
        self.has_reader = False
        """Whether a submitted command read or replaced some of its bytes, or a map read some."""


class Unread:
    """The unread bytes of one buffer: writes that do not overlap, in the order of their bytes."""

    __slots__ = ("writes",)

    def __init__(self) -> None:
        self.writes: list[Write] = []

    def over(self, start: int, end: int) -> list[Write]:
        """The writes that touch a range."""
        first, last = self._span(start, end)
        return self.writes[first:last]

    def cut(self, start: int, end: int) -> list[Write]:
        """Forget the bytes of a range; gives the writes that had some of them."""
        first, last = self._span(start, end)
        touched = self.writes[first:last]
        left = []
        for write in touched:
            if write.start < start:
                left.append(write.part(write.start, start))
            if end < write.end:
                left.append(write.part(end, write.end))
        self.writes[first:last] = left
        return touched

    def add(self, write: Write) -> None:
        """Add the bytes of a new write, after ``cut`` has made room for them."""
        self.writes.insert(bisect_left(self.writes, write.start, key=_start), write)

    def _span(self, start: int, end: int) -> tuple[int, int]:
        writes = self.writes
        first = bisect_left(writes, start, key=_start)
        if first and writes[first - 1].end > start:
            first -= 1
        return first, max(first, bisect_left(writes, end, key=_start))


def _start(write: Write) -> int:
    return write.start


class Overtaken:
    """Two writes, and the bytes that both write, for a command that was recorded between them.

    The command is not submitted yet.
    """

    __slots__ = ("buffer", "end", "event", "first_site", "second_site", "start")

    def __init__(self, buffer: int, first: Write, second: Write, event: Event) -> None:
        self.buffer, self.event = buffer, event
        self.start, self.end = max(first.start, second.start), min(first.end, second.end)
        self.first_site, self.second_site = first.call.site, second.call.site


class OvertakingWrite(Check):
    """Keeps the unread queue writes of each buffer, and the commands that wait to read them."""

    def __init__(self, scene: Scene) -> None:
        super().__init__(scene)
        self._unread: dict[int, Unread] = {}
        self._overtaken: dict[Command, list[Overtaken]] = {}

    def write_buffer(self, event: Event) -> Iterator[Breach]:
        """A write replaces older bytes, perhaps before a recorded command has read them."""
        buffer, start = event["buffer"], event["offset"]
        new = Write(start, start + event["size_bytes"], WriteCall(event), [])
        unread = self._unread.setdefault(buffer, Unread())
        for old in unread.cut(new.start, new.end):
            is_same = old.call.wrote == new.call.wrote
            if is_same:
                new.readers += old.readers
            if is_same or old.call.has_reader:
                continue
            pair = Overtaken(buffer, old, new, event)
            for command in old.readers:
                if _touches(command, pair):
                    self._overtaken.setdefault(command, []).append(pair)
        if new.start < new.end:
            unread.add(new)
        return iter(())

    def error(self, event: Event) -> Iterator[Breach]:
        """A write that has failed overtakes nothing."""
        call = self.scene.call(event["call"])
        if call is not None and call.kind == "write_buffer":
            for command, pairs in self._overtaken.items():
                self._overtaken[command] = [pair for pair in pairs if pair.event is not call]
        return iter(())

    def dispatch(self, event: Event) -> Iterator[Breach]:
        """A command is recorded: it will read what its buffers hold when the queue runs it."""
        encoder = self.scene.encoders.get(event["encoder"])
        if encoder is not None and self._unread:
            command = encoder.commands[-1]
            for buffer, start, end in command.reads():
                unread = self._unread.get(buffer)
                if unread is not None and not encoder.has_overwritten(buffer, start, end):
                    for write in unread.over(start, end):
                        write.readers.append(command)
        return iter(())

    copy = use = dispatch

    def map(self, event: Event) -> Iterator[Breach]:
        """A map lets the host read the bytes."""
        self._read(event["buffer"], event["offset"], event["offset"] + event["size_bytes"])
        return iter(())

    def submit(self, event: Event) -> Iterator[Breach]:
        """Recorded commands reach the queue: one after the other they read and replace bytes."""
        for number in event["command_buffers"]:
            recorded = self.scene.command_buffers.get(number)
            for command in recorded.commands if recorded is not None else ():
                for pair in self._overtaken.pop(command, ()):
                    yield self._breach(command, pair, event["site"])
                for buffer, start, end in command.reads():
                    self._read(buffer, start, end)
                for buffer, start, end in command.overwrites():
                    self._read(buffer, start, end)
                    self._spare(buffer, start, end)

    def _read(self, buffer: int, start: int, end: int) -> None:
        unread = self._unread.get(buffer)
        if unread is not None:
            for write in unread.cut(start, end):
                write.call.has_reader = True

    def _spare(self, buffer: int, start: int, end: int) -> None:
        """Forget overtaken writes whose bytes a submitted command has replaced since."""
        for command, pairs in self._overtaken.items():
            self._overtaken[command] = [
                pair
                for pair in pairs
                if pair.buffer != buffer or pair.start < start or end < pair.end
            ]

    def _breach(self, command: Command, pair: Overtaken, site: str) -> Breach:
        name = self.scene.buffers.get(pair.buffer, f"buffer {pair.buffer}")
        return Breach(
            what=(
                f"a {command} sees bytes {pair.start} to {pair.end - 1} of {name} as they were "
                f"left by a queue write that was made after the {command} was recorded"
            ),
            places=(
                Place(doing="the bytes are written", site=pair.first_site),
                Place(doing=f"the {command} that reads them is recorded", site=command.site),
                Place(doing="they are overwritten before it is submitted", site=pair.second_site),
                Place(doing=f"the {command} is submitted", site=site),
            ),
        )

    def collect_buffer(self, event: Event) -> Iterator[Breach]:
        """Nobody can write the buffer any more."""
        self._unread.pop(event["buffer"], None)
        return iter(())

    def collect_encoder(self, event: Event) -> Iterator[Breach]:
        """An encoder that was never finished reads nothing."""
        encoder = self.scene.encoders.get(event["encoder"])
        self._forget(encoder.commands if encoder is not None else [])
        return iter(())

    def collect_command_buffer(self, event: Event) -> Iterator[Breach]:
        """A command buffer that was never submitted reads nothing."""
        recorded = self.scene.command_buffers.get(event["command_buffer"])
        self._forget(recorded.commands if recorded is not None else [])
        return iter(())

    def _forget(self, commands: list[Command]) -> None:
        for command in commands if self._overtaken else ():
            self._overtaken.pop(command, None)


def _touches(command: Command, pair: Overtaken) -> bool:
    return any(
        buffer == pair.buffer and start < pair.end and pair.start < end
        for buffer, start, end in command.reads()
    )
