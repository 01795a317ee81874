"""Ops done another way: copies for writes, other names, buffers inside bigger ones."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Any

from gpusim.effects import written_by
from gpusim.kernels import Kernel
from gpusim.ops import (
    VERBS,
    Alloc,
    AnyDispatch,
    Capture,
    Copy,
    Dispatch,
    DispatchIndirect,
    Free,
    Op,
    Read,
    Replay,
    Write,
)
from gpusim.program import buffers_of, renamed
from properties.model.case import Case, Rewrite
from properties.oracles.metamorphic.registry import Kind, OneOf, Which, op_of, transformation
from properties.oracles.metamorphic.rewrites import (
    Rewriting,
    fresh_names,
    is_inside,
    live_before,
    may_alloc,
    sizes_of,
    unchanged,
)

_MOST_EMBEDDED_BYTES = 65_536


@transformation(2, "op {at} as a copy from a new buffer with the same bytes")
class CopyForWrite(Kind):
    """The write at ``at`` as a copy from a new buffer that holds the same bytes."""

    at: Annotated[int, op_of(Write)]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        program = case.program
        write = program[self.at] if 0 <= self.at < len(program) else None
        if not isinstance(write, Write) or not may_alloc(case):
            return None
        size = len(write.data)
        (source,) = fresh_names(program, 1)
        rewriting = Rewriting(case)
        for position, op in enumerate(program):
            if position != self.at:
                rewriting.keep(op)
                continue
            rewriting.add(
                Alloc(buffer=source, size_bytes=size),
                Write(buffer=source, offset=0, data=write.data),
            )
            rewriting.keep(_copy(source, 0, write.buffer, write.offset, size))
            rewriting.add(Free(buffer=source))
        return rewriting.rewrite()


@transformation(1, "buffers under each other's names")
class Rename(Kind):
    """The buffers take each other's names."""

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        names = list(sizes_of(case.program))
        if len(names) < 2:
            return None
        others = dict(zip(names, reversed(names), strict=True))
        rewriting = Rewriting(case)
        for op in case.program:
            rewriting.keep(renamed(op, others))
        return rewriting.rewrite()


@transformation(3, "buffer {which} at {pad_bytes} of a bigger one, between sentinels")
class Embed(Kind):
    """One buffer is embedded in a bigger one, between sentinels that must not change.

    A dispatch over the embedded buffer runs on a copy of the buffer.  The copy is copied back if
    the kernel writes to it.
    """

    which: Which
    pad_bytes: Annotated[int, OneOf(4, 256, 1, 3, 64)]

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        sizes = sizes_of(case.program)
        names = list(sizes)
        if not names or not may_alloc(case):
            return None
        buffer = names[self.which % len(names)]
        if not 0 <= sizes[buffer] <= _MOST_EMBEDDED_BYTES:
            return None
        named = [op for op in case.program if buffer in buffers_of(op)]
        if any(isinstance(op, Capture | Replay) or not is_inside(op, sizes) for op in named):
            return None
        (home,) = fresh_names(case.program, 1)
        embedding = _Embedding(Rewriting(case), buffer, home, sizes[buffer], self.pad_bytes)
        for op in case.program:
            embedding.take(op, kernels)
        if buffer in live_before(case.program, len(case.program)):
            embedding.look()
        return embedding.rewriting.rewrite()


@dataclass(frozen=True, slots=True)
class _Embedding:
    """Rewrites ops over the embedded buffer; the copy that kernels bind keeps the buffer's name."""

    rewriting: Rewriting
    buffer: str
    home: str
    size_bytes: int
    pad_bytes: int

    def take(self, op: Op, kernels: Mapping[str, Kernel]) -> None:
        """Rewrite the next op."""
        if self.buffer not in buffers_of(op):
            self.rewriting.keep(op)
            return
        match op:
            case Alloc():
                self.rewriting.keep(op)
                bigger = self.size_bytes + 2 * self.pad_bytes
                self.rewriting.add(
                    Alloc(buffer=self.home, size_bytes=bigger),
                    self._sentinel(0),
                    self._sentinel(self.pad_bytes + self.size_bytes),
                )
            case Free():
                if not self._is_freed():
                    self.look()
                self.rewriting.keep(op)
                self.rewriting.add(Free(buffer=self.home))
            case Dispatch() | DispatchIndirect():
                self._dispatch(op, kernels)
            case _:
                self.rewriting.keep(self._moved(op))

    def look(self) -> None:
        """Read the sentinels, which must be unchanged."""
        names = [op.result for op in self.rewriting.ops if isinstance(op, Read)]
        for number, offset in enumerate((0, self.pad_bytes + self.size_bytes)):
            read = Read(
                buffer=self.home,
                offset=offset,
                size_bytes=self.pad_bytes,
                result=f"{self.home}_{len(names) + number}",
            )
            self.rewriting.add_promised(read, self._sentinel(offset).data)

    def _is_freed(self) -> bool:
        return Free(buffer=self.home) in self.rewriting.ops

    def _dispatch(self, op: AnyDispatch, kernels: Mapping[str, Kernel]) -> None:
        to_kernel = _copy(self.home, self.pad_bytes, self.buffer, 0, self.size_bytes)
        back = _copy(self.buffer, 0, self.home, self.pad_bytes, self.size_bytes)
        self.rewriting.add(to_kernel)
        self.rewriting.keep(op)
        if self.buffer in written_by(op, kernels):
            self.rewriting.add(back)

    def _moved(self, op: Op) -> Op:
        """The op with its ranges of the buffer moved into the bigger one."""
        changes: dict[str, Any] = {}
        for span in VERBS[type(op)].spans:
            if getattr(op, span.buffer) == self.buffer:
                changes[span.buffer] = self.home
                changes[span.offset] = getattr(op, span.offset) + self.pad_bytes
        return replace(op, **changes)

    def _sentinel(self, offset: int) -> Write:
        data = bytes((0xA5 + offset + at) % 256 for at in range(self.pad_bytes))
        return Write(buffer=self.home, offset=offset, data=data)


@transformation(0, "the same once more")
class Same(Kind):
    """Nothing is changed: a case shows the same when it runs twice."""

    def apply(self, case: Case, kernels: Mapping[str, Kernel]) -> Rewrite | None:
        return unchanged(case)


def _copy(source: str, source_offset: int, target: str, target_offset: int, size: int) -> Copy:
    return Copy(
        source=source,
        source_offset=source_offset,
        target=target,
        target_offset=target_offset,
        size_bytes=size,
    )
