"""The state of buffers, encoders and command buffers after the events so far; the rules look at it.

The scene follows a command until it is submitted, and a buffer until it is collected.  It judges
nothing.  An event is applied after the rules have seen it, so that they see the scene before the
call.  Only a recorded command is applied earlier, so that the rules find it in its encoder.
"""

from collections import deque
from collections.abc import Callable, Iterator

from gpusim.trace import Event

RECORDED = ("dispatch", "copy", "clear", "use")
"""The kinds of recorded commands: these are applied before the rules see them."""
_CHANGING = (
    "create_buffer",
    "collect_buffer",
    "destroy_buffer",
    "destroy_device",
    "map",
    "settle_map",
    "unmap",
    "error",
    "write_buffer",
    "create_encoder",
    "collect_encoder",
    "dispatch",
    "copy",
    "clear",
    "use",
    "finish",
    "collect_command_buffer",
    "submit",
)
KINDS = frozenset({*_CHANGING, "keep_view"})
"""The kinds of events that the scene and the rules look at."""
_MOST_NESTED = 16
"""How many of the last events are kept, so that an error can be matched with the event of its call.
A call may make further calls before it raises, so its own event need not be the last."""


class Buffer:
    """A buffer, as the events show it.

    A site is where in the program's source the buffer was created, destroyed or mapped; it is empty
    before that.  A step is the ``Scene.step`` at which the buffer was created, or last used.
    """

    __slots__ = (
        "created_site",
        "created_step",
        "destroyed_site",
        "label",
        "map_number",
        "map_site",
        "map_state",
        "number",
        "size_bytes",
        "usage",
        "used_step",
    )

    def __init__(self, event: Event, step: int) -> None:
        self.number = event["buffer"]
        self.label = event["label"]
        self.size_bytes = event["size_bytes"]
        self.usage = event["usage"]
        self.created_site = event["site"]
        self.destroyed_site = ""
        self.map_state = "mapped" if event["mapped_at_creation"] else "unmapped"
        self.map_site = event["site"] if event["mapped_at_creation"] else ""
        self.map_number = 0
        self.created_step = self.used_step = step

    def __str__(self) -> str:
        name = f"buffer {self.number}"
        return f"{name} {self.label!r}" if self.label else name


class Command:
    """One recorded command: its call, its place, and the buffers that it uses."""

    __slots__ = ("event",)

    def __init__(self, event: Event) -> None:
        self.event = event

    @property
    def site(self) -> str:
        """Where it was recorded."""
        return str(self.event["site"])

    def __str__(self) -> str:
        event = self.event
        return str(event["call"] if event.kind == "use" else event.kind)

    def reads(self) -> Iterator[tuple[int, int, int]]:
        """The ranges (buffer, start, end) that it may read."""
        event = self.event
        if event.kind == "dispatch":
            for buffer, offset, size, _ in event["bound"]:
                yield buffer, offset, offset + size
            if "indirect" in event.about:
                buffer, offset = event["indirect"]
                yield buffer, offset, offset + 12
        elif event.kind == "copy":
            start = event["source_offset"]
            yield event["source"], start, start + event["size_bytes"]
        elif event.kind == "use":
            for buffer, offset, size in event["reads"]:
                yield buffer, offset, offset + size

    def overwrites(self) -> Iterator[tuple[int, int, int]]:
        """The ranges that it overwrites whole."""
        event = self.event
        if event.kind in ("copy", "clear"):
            name, at = ("target", "target_offset") if event.kind == "copy" else ("buffer", "offset")
            yield event[name], event[at], event[at] + event["size_bytes"]

    def uses(self) -> Iterator[int]:
        """Every buffer that it names."""
        for buffer, _, _ in self.reads():
            yield buffer
        for buffer, _, _ in self.overwrites():
            yield buffer
        if self.event.kind == "use":
            for buffer, _, _ in self.event["writes"]:
                yield buffer


class Encoder:
    """An open encoder, or what was recorded in a command buffer."""

    __slots__ = (
        "bound",
        "commands",
        "created_site",
        "device",
        "finished_site",
        "overwritten",
        "submitted_site",
        "used",
    )

    def __init__(self, device: int, site: str) -> None:
        self.device = device
        self.created_site = site
        self.finished_site = ""
        self.submitted_site = ""
        self.commands: list[Command] = []
        self.bound: object = None
        """What its last dispatch bound.  If the next binds the same, ``used`` has those buffers."""
        self.used: dict[int, Command] = {}
        """The first command that uses each buffer."""
        self.overwritten: dict[int, list[tuple[int, int]]] = {}
        """The ranges of each buffer that its commands have overwritten so far."""

    def has_overwritten(self, buffer: int, start: int, end: int) -> bool:
        """Whether one of its commands has overwritten the whole range."""
        ranges = self.overwritten.get(buffer, ())
        return any(low <= start and end <= high for low, high in ranges)


class Scene:
    """Everything that is alive, by its number."""

    def __init__(self, told: int = 0) -> None:
        self.buffers: dict[int, Buffer] = {}
        self.encoders: dict[int, Encoder] = {}
        self.command_buffers: dict[int, Encoder] = {}
        self.destroyed_devices: dict[int, str] = {}
        """Where each device was destroyed."""
        self.step = 0
        """How many submits so far had a command buffer."""
        self._recent: deque[Event] = deque(maxlen=_MOST_NESTED)
        self.told = told
        """The number of the last event."""
        self._maps: dict[int, int] = {}
        self._handlers: dict[str, Callable[[Event], None]] = {
            name: getattr(self, "_" + name) for name in _CHANGING
        }

    def apply(self, event: Event) -> None:
        """Take an event into account."""
        self._recent.append(event)
        self.told += 1
        handler = self._handlers.get(event.kind)
        if handler is not None:
            handler(event)

    def call(self, number: int | None) -> Event | None:
        """The event of that number, counted from 1; None if it is no longer kept.

        The number is None for an error that comes long after its call, as in JavaScript.
        """
        if number is None:
            return None
        back = self.told - number
        return self._recent[-1 - back] if 0 <= back < len(self._recent) else None

    def _create_buffer(self, event: Event) -> None:
        self.buffers[event["buffer"]] = Buffer(event, self.step)

    def _collect_buffer(self, event: Event) -> None:
        self.buffers.pop(event["buffer"], None)

    def _destroy_buffer(self, event: Event) -> None:
        buffer = self.buffers.get(event["buffer"])
        if buffer is not None and not buffer.destroyed_site:
            buffer.destroyed_site = event["site"]
            buffer.map_state = "unmapped"

    def _destroy_device(self, event: Event) -> None:
        self.destroyed_devices[event["device"]] = event["site"]

    def _map(self, event: Event) -> None:
        buffer = self.buffers.get(event["buffer"])
        if buffer is not None and buffer.map_state == "unmapped":
            buffer.map_state, buffer.map_site = "pending", event["site"]
            buffer.map_number = event["map"]
            buffer.used_step = self.step
            self._maps[event["map"]] = event["buffer"]

    def _settle_map(self, event: Event) -> None:
        buffer = self.buffers.get(self._maps.pop(event["map"], 0))
        if buffer is None or buffer.map_number != event["map"]:
            return
        if buffer.map_state == "pending":
            buffer.map_state = "mapped" if event["error"] is None else "unmapped"

    def _unmap(self, event: Event) -> None:
        buffer = self.buffers.get(event["buffer"])
        if buffer is not None:
            buffer.map_state = "unmapped"

    def _error(self, event: Event) -> None:
        """Undo what a failed call seemed to do: make a buffer, ask for a map, record a command."""
        last = self.call(event["call"])
        if last is None:
            return
        if last.kind == "create_buffer":
            self.buffers.pop(last["buffer"], None)
        elif last.kind == "map" and self._maps.pop(last["map"], 0):
            self.buffers[last["buffer"]].map_state = "unmapped"
        elif last.kind in RECORDED:
            encoder = self.encoders.get(last["encoder"])
            if encoder is not None and encoder.commands and encoder.commands[-1].event is last:
                encoder.commands.pop()

    def _write_buffer(self, event: Event) -> None:
        buffer = self.buffers.get(event["buffer"])
        if buffer is not None:
            buffer.used_step = self.step

    def _create_encoder(self, event: Event) -> None:
        self.encoders[event["encoder"]] = Encoder(event["device"], event["site"])

    def _collect_encoder(self, event: Event) -> None:
        self.encoders.pop(event["encoder"], None)

    def _record(self, event: Event) -> None:
        encoder = self.encoders.get(event["encoder"])
        if encoder is not None:
            command = Command(event)
            encoder.commands.append(command)
            bound = event.about.get("bound")
            if bound is None or bound is not encoder.bound or "indirect" in event.about:
                encoder.bound = bound
                for buffer in command.uses():
                    encoder.used.setdefault(buffer, command)
            if event.kind in ("copy", "clear"):
                for buffer, start, end in command.overwrites():
                    encoder.overwritten.setdefault(buffer, []).append((start, end))

    _dispatch = _copy = _clear = _use = _record

    def _finish(self, event: Event) -> None:
        recorded = self.encoders.pop(event["encoder"], None)
        if recorded is None:
            recorded = Encoder(event["device"], "")
        recorded.finished_site = event["site"]
        self.command_buffers[event["command_buffer"]] = recorded

    def _collect_command_buffer(self, event: Event) -> None:
        self.command_buffers.pop(event["command_buffer"], None)

    def _submit(self, event: Event) -> None:
        self.step += bool(event["command_buffers"])
        for number in event["command_buffers"]:
            recorded = self.command_buffers.get(number)
            if recorded is None:
                continue
            recorded.submitted_site = event["site"]
            for buffer in recorded.used:
                if buffer in self.buffers:
                    self.buffers[buffer].used_step = self.step
            recorded.commands, recorded.used, recorded.overwritten = [], {}, {}
