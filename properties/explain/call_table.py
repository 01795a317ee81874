"""The calls on the device in words: what each does to which bytes, and which ops it serves.

They are data for a page.  Nothing here draws, and nothing decides what went wrong.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from gpusim.ops import Alloc
from gpusim.trace import Event
from properties.clients.beside import BESIDE
from properties.explain.argument import Argument, Reached
from properties.explain.calls import Call, calls
from properties.explain.lives import lives
from properties.model.results import cut_hex
from properties.oracles.laws.expected import STORAGE

_MOST_TEXT = 300
_Names = Mapping[int, str]


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """A call: its number, who made it, its verb, and what it does."""

    number: int
    maker: str
    verb: str
    what: str
    serves: str = ""
    """The ops that the call submits, and the ops that are known to be done after it."""
    has_failed: bool = False
    """Whether the row only says that a call failed.

    If the call has an event of its own, the row before, with the same number, says what it does.
    """

    def __str__(self) -> str:
        return f"call {self.number}, {self.maker}: {self.verb} {self.what}".rstrip()


def rows(argument: Argument) -> Iterator[Row]:
    """The calls of the trace of an argument; none if the argument has no trace."""
    found = [*calls(argument.events)]
    names = _names(found, argument.case.client)
    for call in found:
        what = f"failed with {call.failed}" if call.failed else _said(call.event, names)
        yield Row(
            number=call.number,
            maker=_maker(call, argument),
            verb=call.event["verb"] if call.failed else call.event.kind,
            what=cut_hex(what)[:_MOST_TEXT],
            serves="" if call.failed else _serves(call.number, argument.reached),
            has_failed=bool(call.failed),
        )


def in_words(called: Iterable[Row]) -> dict[int, str]:
    """Each call in words, by its number; if it failed, also how."""
    said: dict[int, str] = {}
    for row in called:
        is_end = row.has_failed and row.number in said
        said[row.number] = f"{said[row.number]}; it {row.what}" if is_end else str(row)
    return said


def _maker(call: Call, argument: Argument) -> str:
    if not call.is_own:
        return "the runtime beside (client)" if argument.case.client == BESIDE else "no op"
    if call.op is None:
        return "the close"
    is_last = call.position >= len(argument.program)
    return "the last sync" if is_last else f"op {call.position}"


def _names(found: Iterable[Call], client: str) -> _Names:
    """The buffers and bind groups by their numbers, as "storage 4 (made for a)"."""
    return {
        number: f"{life.role} {number}{_owner(life.made, client)}"
        for number, life in lives(found).items()
    }


def _owner(made: Call, client: str) -> str:
    if not made.is_own and client == BESIDE:
        return " (of the runtime beside)"
    is_named = isinstance(made.op, Alloc) and made.event.about.get("role") == STORAGE
    return f" (made for {getattr(made.op, 'buffer', '')})" if is_named else ""


def _serves(number: int, reached: Sequence[Reached]) -> str:
    submitted = [f"op {each.position}" for each in reached if each.submitted == number]
    done = [f"op {each.position}" for each in reached if each.done == number]
    parts = (("submits", submitted), ("then done:", done))
    return "; ".join(f"{word} {', '.join(ops)}" for word, ops in parts if ops)


def _said(event: Event, names: _Names) -> str:
    match event.kind:
        case "create_buffer" | "adopt_buffer":
            return f"{_name(event['buffer'], names)}, {event['size_bytes']} bytes"
        case "write_buffer":
            data = event["data"]
            return f"{_span(event['buffer'], event['offset'], len(data), names)}: {data.hex()}"
        case "take":
            return f"{_name(event['buffer'], names)}, which holds {event['data'].hex() or '-'}"
        case "map":
            return _span(event["buffer"], 0, event["size_bytes"], names)
        case "create_bind_group":
            return f"group {event['group']} for {event['kernel']}: {_bound(event, names)}"
        case "encode":
            return f"{event['commands']} commands ({event['reason']})"
        case "dispatch":
            return f"{event['kernel']} {_grid(event, names)}: {_bound(event, names)}"
        case "copy":
            size, to = event["size_bytes"], (event["target"], event["target_offset"])
            source = _span(event["source"], event["source_offset"], size, names)
            return f"{source}, to {_span(*to, size, names)}"
        case "destroy_buffer" | "wait":
            return _name(event["buffer"], names)
    return " ".join(f"{key}={value}" for key, value in event.about.items())


def _name(number: int, names: _Names) -> str:
    return names.get(number, f"buffer {number}")


def _span(number: int, offset: int, size_bytes: int, names: _Names) -> str:
    if not size_bytes:
        return f"no bytes of {_name(number, names)}"
    return f"bytes {offset} to {offset + size_bytes - 1} of {_name(number, names)}"


def _bound(event: Event, names: _Names) -> str:
    return ", ".join(_span(number, at, size, names) for number, at, size in event["ranges"])


def _grid(event: Event, names: _Names) -> str:
    grid = event["groups"]
    if len(grid) == 2:
        return f"(group {event['group']}), its grid at byte {grid[1]} of {_name(grid[0], names)}"
    return f"{'x'.join(map(str, grid))} (group {event['group']})"
