"""Generated programs hold the situations in which bugs of deferred execution show."""

from collections import Counter
from collections.abc import Iterator
from itertools import groupby, pairwise
from math import isfinite, prod

from gpusim.kernels import BUILTIN, Kernels
from gpusim.limits import Limits
from gpusim.ops import (
    Alloc,
    Capture,
    Copy,
    Dispatch,
    Flush,
    Free,
    Grid,
    Op,
    Read,
    Replay,
    Sync,
    Write,
)
from gpusim.program import (
    Program,
    buffers_of,
)
from properties.generate.choices import SeededChoices
from properties.generate.generator import generate
from properties.generate.operands import drawable
from properties.generate.shape import draw_long_shape

PROGRAMS = 1000
FEW_GROUPS = Limits(max_groups_per_dimension=16)


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


def test_what_seldom_meets_is_brought_together() -> None:
    seen: Counter[str] = Counter()
    for at in range(PROGRAMS):
        seen.update(set(_meetings(generate(SeededChoices(f"rich {at}"), limits=FEW_GROUPS))))
    assert seen["a grid past the limit, for two kernels"] >= PROGRAMS / 50
    assert seen["a buffer read in two, at an odd byte"] >= PROGRAMS / 5
    assert seen["a whole odd buffer copied into a longer one by a graph"] >= PROGRAMS / 50


def test_grids_fill_two_and_all_three_dimensions_of_a_small_limit() -> None:
    most, filled = 5, Counter[int]()
    for at in range(PROGRAMS):
        program = generate(
            SeededChoices(f"cube {at}"), limits=Limits(max_groups_per_dimension=most)
        )
        grids = [op.grid for op in program if isinstance(op, Dispatch) and max(op.grid) > most]
        filled.update(map(prod, grids))
    assert min(filled[groups] for groups in (most**2, most**2 + 1, most**3)) >= 2


def test_some_long_programs_begin_with_more_than_a_thousand_dispatches_in_a_row() -> None:
    signatures = drawable(BUILTIN)
    rows = [draw_long_shape(SeededChoices(f"row {at}"), signatures).row for at in range(100)]
    assert 2 <= sum(map(bool, rows)) <= 20
    at = next(at for at, row in enumerate(rows) if row)
    program = generate(SeededChoices(f"row {at}"), long=True)
    longest = max(len([*ops]) for kind, ops in groupby(program, type) if kind is Dispatch)
    assert longest > 1000


def test_who_works_on_a_copy_copies_it_back() -> None:
    back = 0
    for at in range(PROGRAMS):
        whole = [op for op in generate(SeededChoices(f"rich {at}")) if isinstance(op, Copy)]
        pairs = [
            (op.source, op.target) for op in whole if op.source_offset == op.target_offset == 0
        ]
        back += any(one == other[::-1] != other for one, other in pairwise(pairs))
    assert back >= PROGRAMS / 20


def test_a_replay_may_be_given_one_float_without_a_value_among_scalars_of_plain_types() -> None:
    kernels = Kernels(BUILTIN["affine"], BUILTIN["many"])
    plain = [float if one.dtype == "f32" else int for one in BUILTIN["many"].scalars]
    late = 0
    for at in range(PROGRAMS):
        program = generate(SeededChoices(f"rich {at}"), kernels=kernels)
        for op in program:
            entries = (op.scalars or ())[1:] if isinstance(op, Replay) else ()
            given = [each for each in entries if each and [*map(type, each)] == plain]
            late += any(not all(map(isfinite, each)) for each in given)
    assert late >= PROGRAMS / 200


def _meetings(program: Program) -> Iterator[str]:
    sizes: dict[str, int] = {}
    wide: set[Grid] = set()
    before: Op = Flush()
    for op in program:
        match op:
            case Alloc():
                sizes[op.buffer] = op.size_bytes
            case Dispatch() if max(op.grid) > FEW_GROUPS.max_groups_per_dimension:
                if BUILTIN[op.kernel].guarded:
                    wide.add(op.grid)
                elif op.grid in wide:
                    yield "a grid past the limit, for two kernels"
            case Read() if isinstance(before, Read):
                ends = before.offset + before.size_bytes
                if before.buffer == op.buffer and op.offset == ends and ends % 4:
                    yield "a buffer read in two, at an odd byte"
            case Capture():
                for copy in [each for each in op.commands if isinstance(each, Copy)]:
                    size, longer = sizes.get(copy.source, 0), sizes.get(copy.target, 0)
                    if copy.size_bytes == size < longer - copy.target_offset and size % 4:
                        yield "a whole odd buffer copied into a longer one by a graph"
        before = op


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
