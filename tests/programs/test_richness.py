"""Generated programs hold the situations in which bugs of deferred execution show."""

from collections import Counter
from collections.abc import Iterator

from gpusim.ops import Alloc, Copy, Dispatch, Flush, Free, Op, Read, Sync, Write
from gpusim.program import (
    Program,
    buffers_of,
)
from properties.generate.choices import SeededChoices
from properties.generate.generator import generate

PROGRAMS = 1000


def test_programs_are_rich_in_what_bugs_need() -> None:
    seen: Counter[str] = Counter()
    for at in range(PROGRAMS):
        program = generate(SeededChoices(f"rich {at}"))
        seen.update(set(_marks(program)))
    wanted = {
        "overlapping copy",
        "zero length",
        "zero grid",
        "deep grid",
        "unaligned write",
        "recycled",
        "burst",
        "reads in flight",
        "read after sync",
        "write after read",
        "repeated dispatch",
        "same buffers, other kernel",
        "one buffer read twice",
    }
    assert {mark for mark, count in seen.items() if count >= PROGRAMS / 50} >= wanted


def test_buffers_of_one_size_are_everyday() -> None:
    counts: Counter[str] = Counter()
    for at in range(PROGRAMS):
        program = generate(SeededChoices(f"sample {at}"))
        live: dict[str, int] = {}
        seen: set[str] = set()
        for op in program:
            if isinstance(op, Alloc):
                live[op.buffer] = op.size_bytes
            elif isinstance(op, Free):
                live.pop(op.buffer, None)
            elif isinstance(op, Copy) and op.source != op.target and op.size_bytes > 0:
                if {live.get(op.source), live.get(op.target)} == {op.size_bytes}:
                    seen.add("copied")
            elif isinstance(op, Dispatch):
                sizes = [live.get(one) for one in dict.fromkeys(op.buffers) if one in live]
                if len({*sizes}) < len(sizes):
                    seen.add("bound")
            if len({*live.values()}) < len(live):
                seen.add("alike")
        counts.update(seen)
    assert counts["alike"] > PROGRAMS / 3
    assert counts["copied"] > PROGRAMS / 6
    assert counts["bound"] > PROGRAMS / 8


def _marks(program: Program) -> Iterator[str]:
    sizes: dict[str, int] = {}
    run_of_dispatches = reads_in_flight = 0
    dispatched: dict[tuple[str, ...], str] = {}
    before: Op = Flush()
    for op in program:
        run_of_dispatches = run_of_dispatches + 1 if isinstance(op, Dispatch) else 0
        reads_in_flight = 0 if isinstance(op, Sync) else reads_in_flight + isinstance(op, Read)
        yield from ["burst"] * (run_of_dispatches >= 8)
        yield from ["reads in flight"] * (reads_in_flight >= 3)
        match op:
            case Alloc():
                if isinstance(before, Free) and sizes[before.buffer] == op.size_bytes > 0:
                    yield "recycled"
                sizes[op.buffer] = op.size_bytes
            case Copy():
                apart = abs(op.source_offset - op.target_offset)
                if op.source == op.target and 0 < apart < op.size_bytes:
                    yield "overlapping copy"
            case Write():
                yield from ["zero length"] * (not op.data)
                yield from ["unaligned write"] * (len(op.data) % 4 > 0)
                yield from ["write after read"] * (
                    isinstance(before, Read) and before.buffer == op.buffer
                )
            case Read():
                yield from ["read after sync"] * isinstance(before, Sync)
            case Dispatch():
                yield from ["zero grid"] * (0 in op.grid)
                yield from ["deep grid"] * (op.grid[2] > 1)
                yield from ["one buffer read twice"] * (
                    op.kernel == "mix" and op.buffers[:1] == op.buffers[1:2]
                )
                last = dispatched.get(buffers_of(op))
                yield from ["repeated dispatch"] * (last == op.kernel)
                yield from ["same buffers, other kernel"] * (last not in (None, op.kernel))
                dispatched[buffers_of(op)] = op.kernel
        before = op
