"""A table of programs in which two ops meet on the same bytes.

There is a row for every two kinds of op of which one or both write, in every context and with every
boundary between the two.

The layout follows the WebGPU conformance suite's api/operation/memory_sync:
``single_buffer`` and ``multiple_buffers`` with ``rw``, ``wr`` and ``ww``, and
dispatches in one compute pass.  Bytes are written by a host write, a copy or a
dispatch; they are read by a read, a copy or a dispatch.  Nothing is run here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

from gpusim.program import Program

WriteOp = Literal["write", "copy", "dispatch"]
ReadOp = Literal["read", "copy_source", "dispatch_input"]
Part = Literal["whole", "unaligned"]

WRITE_OPS: tuple[WriteOp, ...] = ("write", "copy", "dispatch")
READ_OPS: tuple[ReadOp, ...] = ("read", "copy_source", "dispatch_input")
PARTS: tuple[Part, ...] = ("whole", "unaligned")
BOUNDARIES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "same_batch": ("", {}),
    "across_flush": ("flush\n", {}),
    "across_sync": ("sync\n", {}),
    "at_the_limit": ("", {"batch_commands": 2}),
    "at_exhaustion": (
        "dispatch affine f 7,3 1x1x1\n",
        {
            "uniform_slots": 1,
            "uniform_cache": 1,
            "uniform_ring_bytes": 256,
            "bind_group_cache": 1,
            "shape_cache": 1,
            "staging_buffers": 1,
        },
    ),
}
"""For each boundary, by its name: the text between the two ops, and the changes of the policy."""
_SIZE_BYTES = 16
_SPANS: Mapping[Part, tuple[int, int]] = {"whole": (0, _SIZE_BYTES), "unaligned": (3, 7)}


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One program of the table, and the changes of the policy under which it runs.

    ``swapped`` is ``program`` with the two ops in the other order.  Its result must differ from
    that of ``program``; otherwise the row could not show a wrong order.
    """

    name: str
    program: Program
    swapped: Program
    policy: Mapping[str, Any]


def _rows() -> Iterator[Row]:
    contexts = {"single_buffer": ("a",), "multiple_buffers": ("a", "b")}
    for (context, buffers), boundary in product(contexts.items(), BOUNDARIES):
        for write, read, part in product(WRITE_OPS, READ_OPS, PARTS):
            if part == "unaligned" and write == "dispatch" and read == "dispatch_input":
                continue  # A dispatch binds no bytes at an unaligned offset.
            first, second = _write(write, part, 1), _read(read, part)
            yield _row(f"{context}.wr.{write}.{read}.{part}", boundary, buffers, first, second)
            yield _row(f"{context}.rw.{read}.{write}.{part}", boundary, buffers, second, first)
        for one, other, part in product(WRITE_OPS, WRITE_OPS, PARTS):
            if part == "unaligned" and one == other == "dispatch":
                continue
            name = f"{context}.ww.{one}.{other}.{part}"
            pieces = _write(one, part, 1), _write(other, part, 2)
            yield _row(name, boundary, buffers, *pieces)
    yield from _passes()


def _passes() -> Iterator[Row]:
    """Dispatches in a row, which may share a compute pass."""
    x = "dispatch affine {b} 3,5 1x1x1\n"
    into, out = "dispatch fold s,{b} 9 1x1x1\n", "dispatch fold {b},d_{b} 11 1x1x1\n"
    pairs = {"rw": (out, x), "wr": (x, out), "ww": (x, into)}
    for hazard, (first, second) in pairs.items():
        name = f"two_dispatches_in_the_same_compute_pass.{hazard}"
        yield _row(name, "same_batch", ("a",), first, second)
    turns = "".join(
        f"dispatch fold {{b}},d_{{b}} {2 * n + 3} 1x1x1\ndispatch fold d_{{b}},{{b}} {2 * n + 5} "
        "1x1x1\n"
        for n in range(4)
    )
    for name, first in (("chain", x * 3 + into * 2), ("ping_pong", turns)):
        full = f"multiple_dispatches_in_the_same_compute_pass.{name}"
        yield _row(full, "same_batch", ("a", "b"), first, "dispatch scramble {b} - 1x1x1\n")


def _row(name: str, boundary: str, buffers: tuple[str, ...], first: str, second: str) -> Row:
    between, policy = BOUNDARIES[boundary]
    return Row(
        name=f"{name}.{boundary}",
        program=_program(buffers, first, between, second),
        swapped=_program(buffers, second, between, first),
        policy=policy,
    )


def _program(buffers: tuple[str, ...], first: str, between: str, second: str) -> Program:
    """Returns a program: it fills buffers, does both ops on each of ``buffers``, and reads all.

    The sync before the ops empties the batch.  The dispatch after it takes one place in the batch
    and one slot of the pool.  So the ops reach a limit of two commands, and exhaust a pool of one.
    """
    names = ["s", "f", *buffers, *(f"d_{buffer}" for buffer in buffers)]
    lines = [f"alloc {name} {_SIZE_BYTES}\n" for name in names]
    lines += [f"write {name} 0 {_data(16 + at)}\n" for at, name in enumerate(names)]
    lines += ["sync\n", "dispatch affine f 5,1 1x1x1\n"]
    lines += [first.replace("{b}", buffer) for buffer in buffers]
    lines.append(between)
    lines += [second.replace("{b}", buffer) for buffer in buffers]
    lines += [f"read {name} 0 {_SIZE_BYTES} -> end_{name}\n" for name in names]
    return Program.parse("".join([*lines, "sync\n"]))


def _write(op: WriteOp, part: Part, number: int) -> str:
    offset, size = _SPANS[part]
    match op:
        case "write":
            return f"write {{b}} {offset} {_data(number)[: 2 * size]}\n"
        case "copy":
            # Two copies read at different offsets, so that they write different bytes.
            return f"copy s {2 - number} {{b}} {offset} {size - 1}\n"
        case "dispatch":
            return f"dispatch fold s,{{b}} {2 * number + 1} 1x1x1\n"


def _read(op: ReadOp, part: Part) -> str:
    offset, size = _SPANS[part]
    match op:
        case "read":
            return f"read {{b}} {offset} {size} -> r_{{b}}\n"
        case "copy_source":
            return f"copy {{b}} {offset} d_{{b}} 1 {size - 1}\n"
        case "dispatch_input":
            return "dispatch fold {b},d_{b} 13 1x1x1\n"


def _data(number: int) -> str:
    return bytes((37 * number + 11 * at) % 256 for at in range(_SIZE_BYTES)).hex()


ROWS: tuple[Row, ...] = tuple(_rows())
"""The whole table."""
_BY_NAME: Mapping[str, Row] = {row.name: row for row in ROWS}


def row_named(name: str) -> Row:
    """The row of that name; KeyError if there is none."""
    return _BY_NAME[name]
