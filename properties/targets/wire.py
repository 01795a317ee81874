"""The line protocol between the judge and a target in another process.  Data only.

    judge   hello {"version": 1, "newest": 2, "device": "vulkan", "kernels": [...]}
    target  ready {"version": 2, "promises": {"invalid_handle": "contained"}}
    judge   open
    target  ok
    judge   alloc a 16
    target  ok
    judge   read a 0 16 -> r0
    target  ok
    judge   sync
    target  value r0 00000000000000000000000000000000
    target  ok
    judge   close
    target  ok

An op is a line of the text form.  The target answers each line with ``ok`` or with ``error CLASS
MESSAGE``.  Before that it sends the reads that have arrived: ``value RESULT HEX``, or ``failed
RESULT CLASS MESSAGE``.  Further lines of an error, such as a traceback, are sent before it, each as
``detail TEXT``. Other lines are not for the judge. ``open`` begins a program and ``close``
ends it; ``await RESULT`` asks for a read that has not arrived. The lines ``spoilt write ...``,
``into ARRAY read ...``, ``reclaim ARRAY``, ``begin NAME``, ``beside NAME sync`` and ``end NAME``
are for doors; each is sent only if the target promises its door (``doors``). A ``ready`` without a
version is of version 1.  In version 1 ``refuses`` and ``byte_exact`` stand for groups of promises,
and are true if left out. Nothing here starts a process or waits for one.
"""

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from gpusim import errors
from gpusim.errors import DeviceFault, ProgramError, Refused
from gpusim.kernels import Kernel
from gpusim.limits import Limits
from gpusim.trace import Event, frozen
from properties.model.capabilities import (
    Capabilities,
    capabilities_of,
    read_promises,
    write_promises,
)
from properties.model.disturbance import Disturbance, as_json
from properties.model.target import TargetRaised

VERSION, NEWEST = 1, 2
"""The version that every target understands, and the newest, in which promises have names."""
HELLO, READY = "hello", "ready"
OPEN, CLOSE, AWAIT = "open", "close", "await"
ADVERSARY, COLLECT = "adversary", "collect"
SPOILT, INTO, RECLAIM = "spoilt", "into", "reclaim"
BEGIN, BESIDE, END = "begin", "beside", "end"
_FORMS = {
    "ok": "ok",
    "error": "error CLASS MESSAGE",
    "value": "value RESULT HEX",
    "failed": "failed RESULT CLASS MESSAGE",
}
_DETAIL = "detail"


_GLUED = re.compile(
    r"(.*)(ok|value \w+ (?:(?:[0-9a-fA-F]{2})+|-)|(?:failed \w+|error) [A-Z]\w*(?: .*)?)\s*"
)
_GLUED_READY = re.compile(rf".*({READY} \{{.*\}})\s*")


class TargetFailed(TargetRaised):
    """The target gave no answer, or an answer that cannot be read."""

    def __init__(self, message: str) -> None:
        super().__init__(type(self).__name__, message)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ready:
    """A target's description of itself, sent when it has started; all fields are optional."""

    capabilities: Capabilities = field(default_factory=Capabilities)
    limits: Limits = field(default_factory=Limits)
    description: str = ""
    """What the target runs on, for the report."""
    layer: bool = False
    """Whether the target takes the lines ``adversary`` and ``collect``."""


@dataclass(frozen=True, slots=True)
class Ok:
    """The line was carried out."""


@dataclass(frozen=True, slots=True)
class Raised:
    """The line was refused or failed: the error's class, message, and further lines if any."""

    error: str
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A read has arrived."""

    result: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """A read has arrived as an error."""

    result: str
    error: str
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Detail:
    """One of the further lines of the next error."""

    text: str


@dataclass(frozen=True, slots=True)
class Told:
    """A call on the target's device, which the layer saw."""

    event: Event


Answer = Ok | Raised | Value | Failed


def write_hello(device: str, kernels: Iterable[Kernel]) -> str:
    """The first line of the judge: the name of the device, and every kernel."""
    message = {
        "version": VERSION,
        "newest": NEWEST,
        "device": device,
        "kernels": list(map(_describe, kernels)),
    }
    return f"{HELLO} {json.dumps(message)}"


def write_adversary(source: str) -> str:
    """The line that gives the target the layer, as the text of a JavaScript module."""
    return f"{ADVERSARY} {json.dumps(source)}"


def write_open(disturbance: Disturbance | None) -> str:
    """The first line of a program, with the disturbance for the layer, if there is one."""
    return OPEN if disturbance is None else f"{OPEN} {as_json(disturbance)}"


def parse_hello(line: str) -> Mapping[str, Any]:
    """The contents of a line of ``write_hello``; ProgramError if it cannot be read."""
    message = _after(HELLO, line)
    if message.get("version") != VERSION:
        raise ProgramError(
            f"cannot serve a judge of version {message.get('version')} because this target has "
            f"version {VERSION} (probably one of the two is older)"
        )
    return message


def write_ready(ready: Ready) -> str:
    """The first line of the target."""
    message = {
        "version": NEWEST,
        "description": ready.description,
        "limits": asdict(ready.limits),
        "promises": write_promises(ready.capabilities),
    }
    return f"{READY} {json.dumps(message)}"


def parse_ready(line: str) -> Ready:
    """The contents of a line of ``write_ready``; ProgramError if it is malformed."""
    message = _after(READY, line)
    limits = message.pop("limits", {})
    if not isinstance(limits, dict):
        raise _mistyped("limits", limits, "an object")
    ready = Ready(
        capabilities=_promised(message),
        limits=_taken(Limits, limits, _whole),
        description=str(message.pop("description", "")),
        layer=_truth("layer", message.pop("layer", False)),
    )
    _check_nothing_left({**limits, **message})
    return ready


def _promised(message: dict[str, Any]) -> Capabilities:
    """Takes the promises out of the message of a ``ready``, and returns them."""
    version = message.pop("version", VERSION)
    if version == NEWEST:
        return read_promises(message.pop("promises", {}))
    if version != VERSION:
        raise _mistyped("version", version, f"{VERSION} or {NEWEST}")
    names = {"refuses", "byte_exact", "orders_deliveries", "replays"} & message.keys()
    return capabilities_of(**{name: _truth(name, message.pop(name)) for name in sorted(names)})


def write_answer(answer: Answer) -> str:
    """One answer as one line, with the lines of its details before it."""
    match answer:
        case Ok():
            return "ok"
        case Raised(error, message, details):
            return "\n".join([*_details(details), f"error {error} {_one_line(message)}"])
        case Value():
            return f"value {answer.result} {answer.data.hex() or '-'}"
        case Failed(result, error, message, details):
            return "\n".join([*_details(details), f"failed {result} {error} {_one_line(message)}"])


def _details(details: str) -> list[str]:
    return [f"{_DETAIL} {line}" for line in details.splitlines()]


def parse_answer(line: str) -> Answer | Detail | Told | None:
    """What a line of the target means; None if the line is no answer.

    TargetFailed if an answer is malformed.
    """
    match line.split(maxsplit=1):
        case ["event", rest] if rest.startswith("{"):
            return Told(_event(line, rest))
        case ["ok"]:
            return Ok()
        case ["error", rest]:
            return Raised(*_parted(rest))
        case ["value", rest]:
            result, data = _parted(rest)
            return Value(result, _data(line, data))
        case ["failed", rest]:
            result, error = _parted(rest)
            return Failed(result, *_parted(error))
        case [word, *_] if word == _DETAIL:
            return Detail(line.strip().removeprefix(_DETAIL).removeprefix(" "))
        case [word, *_] if word in _FORMS:
            # If it were ignored, the judge would wait for an answer that has already come.
            form = _FORMS[word]
            raise TargetFailed(f"the target answered {line[:200]!r}, which should be {form!r}")
    return None


@dataclass(frozen=True, slots=True)
class Glued:
    """An answer after text that something else printed without a newline."""

    answer: Answer
    before: str

    @property
    def is_certain(self) -> bool:
        """Whether the text can only be an answer; a library may print ``ok`` as well."""
        match self.answer:
            case Raised(error):
                return _contract_error(error) is not None
            case Ok():
                return False
        return True


def parse_glued(line: str) -> Glued | None:
    """The answer at the end of a line that begins with other text; None without an answer."""
    found = _GLUED.fullmatch(line)
    answer = None if found is None else parse_answer(found[2])
    if found is None or answer is None or isinstance(answer, Detail | Told):
        return None
    return Glued(answer, found[1])


def ready_in(line: str) -> str | None:
    """The ready message in a line, after any other text; None without such a message."""
    if line.split()[:1] == [READY]:
        return line
    found = _GLUED_READY.fullmatch(line)
    return None if found is None else found[1]


def _parted(words: str) -> tuple[str, str]:
    first, _, others = words.strip().partition(" ")
    return first, others


def exception_of(answer: Raised | Failed) -> Exception:
    """The error in an answer: one of the contract, or TargetRaised for any other."""
    kind = _contract_error(answer.error)
    if kind is not None:
        return kind(answer.details or answer.message)
    return TargetRaised(answer.error, answer.message, answer.details)


def _contract_error(name: str) -> type[Refused] | type[DeviceFault] | None:
    kind = getattr(errors, name, None)
    return kind if isinstance(kind, type) and issubclass(kind, (Refused, DeviceFault)) else None


def _describe(kernel: Kernel) -> dict[str, Any]:
    """A kernel for the target's compiler; its uniforms are its scalars, then ``groups``."""
    operation = {} if kernel.operation is None else {"operation": asdict(kernel.operation)}
    return {
        **operation,
        "name": kernel.name,
        "wgsl": kernel.wgsl(),
        "buffers": [asdict(binding) for binding in kernel.buffers],
        "scalars": [scalar.dtype for scalar in kernel.scalars],
        "guarded": kernel.guarded,
        "uniform_bytes": kernel.uniform_bytes,
    }


def _after(verb: str, line: str) -> dict[str, Any]:
    word, _, rest = line.strip().partition(" ")
    try:
        message = json.loads(rest or "{}") if word == verb else None
    except ValueError:
        message = None
    if not isinstance(message, dict):
        raise ProgramError(
            f"cannot read {line.strip()[:200]!r} because it should be {verb!r} and a JSON object "
            "(probably it was cut)"
        )
    return message


def _taken(kind: type[Any], message: dict[str, Any], check: Callable[[str, Any], Any]) -> Any:
    """An object of ``kind``, made of the values that ``message`` has for its fields.

    These are removed from ``message``.
    """
    names = [one.name for one in fields(kind) if one.name in message]
    return kind(**{name: check(name, message.pop(name)) for name in names})


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise _mistyped(name, value, "true or false")
    return value


def _whole(name: str, value: Any) -> int | None:
    if value is None and name == "memory_budget_bytes":
        return None
    if type(value) is not int or value < 0:
        raise _mistyped(name, value, "a whole number")
    return value


def _mistyped(name: str, value: Any, wanted: str) -> ProgramError:
    return ProgramError(
        f"cannot take {name} {json.dumps(value)[:50]} from a target because it is not {wanted} "
        "(probably a string where JSON has a type for it)"
    )


def _check_nothing_left(message: Mapping[str, Any]) -> None:
    if message:
        raise ProgramError(
            f"cannot take {', '.join(message)} from a target because nothing of that name is known "
            "(probably a misspelled capability or limit)"
        )


def _event(line: str, text: str) -> Event:
    try:
        about = json.loads(text)
        kind = str(about.pop("kind"))
        return Event(kind, {name: frozen(value) for name, value in about.items()})
    except (ValueError, AttributeError, KeyError):
        raise TargetFailed(
            f"the target answered {line[:200]!r}, which should be 'event' and a JSON object"
        ) from None


def _data(line: str, word: str) -> bytes:
    try:
        return b"" if word == "-" else bytes.fromhex(word)
    except ValueError:
        raise TargetFailed(
            f"the target answered {line[:200]!r}, where {word[:50]!r} is not hexadecimal"
        ) from None


def _one_line(message: str) -> str:
    return " / ".join(filter(None, (line.strip() for line in message.splitlines())))
