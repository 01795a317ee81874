"""The ops a program is made of: one frozen class for each verb, and one table of all verbs.

The table says of each op what its operands are, which names it makes and frees, and which
bytes it reads and writes.  Code that can treat every op in the same way, such as the text form,
reads the table.  Data only; nothing here runs an op.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from enum import Enum
from functools import cached_property
from operator import attrgetter
from typing import Annotated, Any, ClassVar, NamedTuple, TypeVar, get_type_hints


class Operand(Enum):
    """The kinds of operands; an operand's kind decides how to write, rename and simplify it."""

    BUFFER = "buffer"
    BUFFERS = "buffers"
    RESULT = "result"
    GRAPH = "graph"
    KERNEL = "kernel"
    OFFSET = "offset"
    SIZE = "size"
    DATA = "data"
    SCALARS = "scalars"
    GRID = "grid"
    COMMANDS = "commands"
    REPLAY_SCALARS = "replay scalars"
    BINDINGS = "bindings"


GRID_BYTES = 12
"""Bytes of a grid that is read on the GPU: three u32.  Source: WebGPU specification,
"dispatchWorkgroupsIndirect"."""


class Part(NamedTuple):
    """``size_bytes`` bytes of a buffer from byte ``offset``, as a dispatch binds them."""

    buffer: str
    offset: int
    size_bytes: int


Bound = str | Part
"""What a dispatch binds: all of a buffer, by its name, or a part of it."""
Grid = tuple[int, int, int]
Scalars = tuple[int | float, ...]
BufferName = Annotated[str, Operand.BUFFER]
Bytes = Annotated[bytes, Operand.DATA]
Offset = Annotated[int, Operand.OFFSET]
Size = Annotated[int, Operand.SIZE]


@dataclass(frozen=True, kw_only=True, slots=True)
class Alloc:
    """A new buffer of ``size_bytes`` bytes, all zero."""

    verb: ClassVar[str] = "alloc"
    buffer: BufferName
    size_bytes: Size


@dataclass(frozen=True, kw_only=True, slots=True)
class Write:
    """Host to GPU: exactly these bytes, at any offset, taken at the call."""

    verb: ClassVar[str] = "write"
    buffer: BufferName
    offset: Offset
    data: Bytes


@dataclass(frozen=True, kw_only=True, slots=True)
class Dispatch:
    """Run a kernel over buffers, or parts; ``grid`` counts workgroups, and may have a zero."""

    verb: ClassVar[str] = "dispatch"
    kernel: Annotated[str, Operand.KERNEL]
    buffers: Annotated[tuple[Bound, ...], Operand.BUFFERS]
    scalars: Annotated[Scalars, Operand.SCALARS]
    grid: Annotated[Grid, Operand.GRID]


@dataclass(frozen=True, kw_only=True, slots=True)
class DispatchIndirect:
    """A dispatch whose grid is read on the GPU: three u32 of ``counts``, from byte ``offset``."""

    verb: ClassVar[str] = "dispatch_indirect"
    kernel: Annotated[str, Operand.KERNEL]
    buffers: Annotated[tuple[Bound, ...], Operand.BUFFERS]
    scalars: Annotated[Scalars, Operand.SCALARS]
    counts: BufferName
    offset: Offset


@dataclass(frozen=True, kw_only=True, slots=True)
class Copy:
    """GPU to GPU, at any offsets and of any length; within one buffer the ranges may overlap."""

    verb: ClassVar[str] = "copy"
    source: BufferName
    source_offset: Offset
    target: BufferName
    target_offset: Offset
    size_bytes: Size


@dataclass(frozen=True, kw_only=True, slots=True)
class Read:
    """GPU to host: the value at this point, delivered by the next sync at the latest."""

    verb: ClassVar[str] = "read"
    buffer: BufferName
    offset: Offset
    size_bytes: Size
    result: Annotated[str, Operand.RESULT]


@dataclass(frozen=True, kw_only=True, slots=True)
class Free:
    """The buffer is gone; its name never means another buffer."""

    verb: ClassVar[str] = "free"
    buffer: BufferName


@dataclass(frozen=True, kw_only=True, slots=True)
class Flush:
    """Submit what is recorded; changes no result, ever."""

    verb: ClassVar[str] = "flush"


@dataclass(frozen=True, kw_only=True, slots=True)
class Sync:
    """Wait until all ops before it are done, on the GPU and in host memory."""

    verb: ClassVar[str] = "sync"


AnyDispatch = Dispatch | DispatchIndirect
Command = AnyDispatch | Copy
"""An op that may be captured."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Capture:
    """Check ``commands`` and keep them as a graph, without running any."""

    verb: ClassVar[str] = "capture"
    graph: Annotated[str, Operand.GRAPH]
    commands: Annotated[tuple[Command, ...], Operand.COMMANDS]


@dataclass(frozen=True, kw_only=True, slots=True)
class Replay:
    """Run a graph's commands, as if each was called now.

    ``scalars`` has an entry for each dispatch of either kind; an entry of None keeps the
    captured scalars of its dispatch.  ``scalars=None`` keeps all captured scalars.
    ``bindings`` are pairs, applied all at once: a buffer of the capture, and the
    buffer that replaces it.
    """

    verb: ClassVar[str] = "replay"
    graph: Annotated[str, Operand.GRAPH]
    scalars: Annotated[tuple[Scalars | None, ...] | None, Operand.REPLAY_SCALARS] = None
    bindings: Annotated[tuple[tuple[str, str], ...], Operand.BINDINGS] = ()


Op = Alloc | Write | AnyDispatch | Copy | Read | Free | Flush | Sync | Capture | Replay
AnyOp = TypeVar("AnyOp", bound=Op)


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """The fields of an op that name some bytes: buffer, offset, and size or data.

    If ``length`` is a number, it is the size in bytes for every op of this kind.
    """

    buffer: str
    offset: str
    length: str | int

    def of(self, op: "Op") -> tuple[str, int, int]:
        """The buffer, the offset and the number of bytes of ``op``."""
        length = self.length if isinstance(self.length, int) else getattr(op, self.length)
        size_bytes = len(length) if isinstance(length, bytes) else length
        return getattr(op, self.buffer), getattr(op, self.offset), size_bytes


@dataclass(frozen=True, kw_only=True)
class Verb:
    """The row of one op in the table; it refers to the fields of the op by name.

    Beside what the row says, a dispatch reads and writes what it binds, as its kernel
    says.  A replay does what the commands of its graph do.
    """

    kind: type[Op]
    makes: str = ""
    """The field that holds the name which the op introduces."""
    frees: str = ""
    """The field that holds the name of the buffer which the op frees."""
    reads: tuple[Span, ...] = ()
    writes: tuple[Span, ...] = ()
    called_with: tuple[str, ...] = ()
    """The fields in the order of the method's arguments; empty if the text form has that order.
    The offset of a write is the last argument, since a call of ``Runtime.write`` may omit it."""

    @property
    def name(self) -> str:
        """The first word of its text form; the method of an adapter has the same name."""
        return self.kind.verb

    @property
    def may_read(self) -> bool:
        """Whether the op reads bytes that it names, or runs a kernel."""
        return bool(self.reads) or Operand.KERNEL in self.operands.values()

    @property
    def may_write(self) -> bool:
        """Whether the op writes bytes that it names, or runs a kernel."""
        return bool(self.writes) or Operand.KERNEL in self.operands.values()

    @cached_property
    def operands(self) -> Mapping[str, Operand]:
        """The kind of the operand in each field, in the order of the text form."""
        hints = get_type_hints(self.kind, include_extras=True)
        return {field.name: hints[field.name].__metadata__[0] for field in fields(self.kind)}

    @cached_property
    def spans(self) -> tuple[Span, ...]:
        """All bytes that the op names."""
        return self.reads + self.writes

    @cached_property
    def arguments_of(self) -> Callable[[Op], tuple[Any, ...]]:
        """A function that takes an op and returns the arguments of the adapter's method.

        They are the op's operands without the name of a result.
        """
        operands = self.operands
        names = [
            name for name in self.called_with or operands if operands[name] is not Operand.RESULT
        ]
        if len(names) > 1:
            return attrgetter(*names)
        return lambda op: tuple([getattr(op, name) for name in names])


VERBS: Mapping[type[Op], Verb] = {
    verb.kind: verb
    for verb in (
        Verb(kind=Alloc, makes="buffer"),
        Verb(
            kind=Write,
            writes=(Span(buffer="buffer", offset="offset", length="data"),),
            called_with=("buffer", "data", "offset"),
        ),
        Verb(kind=Dispatch),
        Verb(
            kind=DispatchIndirect,
            reads=(Span(buffer="counts", offset="offset", length=GRID_BYTES),),
        ),
        Verb(
            kind=Copy,
            reads=(Span(buffer="source", offset="source_offset", length="size_bytes"),),
            writes=(Span(buffer="target", offset="target_offset", length="size_bytes"),),
        ),
        Verb(
            kind=Read,
            makes="result",
            reads=(Span(buffer="buffer", offset="offset", length="size_bytes"),),
        ),
        Verb(kind=Free, frees="buffer"),
        Verb(kind=Flush),
        Verb(kind=Sync),
        Verb(kind=Capture, makes="graph"),
        Verb(kind=Replay),
    )
}
HOST_WRITES = tuple(verb.kind for verb in VERBS.values() if verb.writes and not verb.reads)
"""The ops that bring bytes from the host."""


def name_of(bound: Bound) -> str:
    """The buffer that is bound, in whole or in part."""
    return bound if isinstance(bound, str) else bound.buffer


def arguments_of(op: Op) -> tuple[Any, ...]:
    """The arguments of an adapter's method: the operands without the name of a result."""
    return VERBS[type(op)].arguments_of(op)


def operands_of(op: Op) -> Iterator[tuple[Operand, Any]]:
    """Yields the kind and the value of each operand of ``op``, in the order of the text form."""
    for name, what in VERBS[type(op)].operands.items():
        yield what, getattr(op, name)


def with_operands(op: AnyOp, changes: Mapping[Operand, Callable[[Any], Any]]) -> AnyOp:
    """A copy of the op, changed by the functions that ``changes`` has for kinds of operands.

    Each function is applied to the operands of its kind.  Other operands stay as they are.
    """
    plain: Op = op
    fields_of = VERBS[type(plain)].operands.items()
    changed = {
        name: changes[what](getattr(op, name)) for name, what in fields_of if what in changes
    }
    return replace(op, **changed) if changed else op


def each_command(change: Callable[[Any], Any]) -> Callable[[tuple[Command, ...]], tuple[Any, ...]]:
    """A function that applies ``change`` to each command of a capture."""
    return lambda commands: tuple(map(change, commands))
