"""Misuses of a runtime and of what it hands out, one row each.

The columns are a name, the call, the error class, and what the message of the error must say, where
``{x}`` stands for the buffer x.  A call gets ``at``, the objects that can be misused.
Misuses that every method must refuse are in ``forbidden``; those of parts, of grids and of devices
have files of their own.
"""

import array
import copy
import ctypes
import pickle
from dataclasses import replace
from typing import Any

import numpy as np

from gpusim import (
    InvalidBinding,
    InvalidCapture,
    InvalidData,
    InvalidHandle,
    InvalidScalar,
    LimitExceeded,
    OutOfRange,
    ProgramError,
    Refused,
)
from gpusim.kernels import AFFINE, BLEND, EXCHANGE, FOLD, SCRAMBLE
from properties.clients.forbidden import FORBIDDEN, Row
from properties.clients.misfits import MISFITS
from properties.clients.misused_devices import DEVICES
from properties.clients.misused_grids import GRIDS
from properties.clients.misused_parts import PARTS

UNSOUND = replace(AFFINE, name="unsound", body="x[i] = lost_out_of_memory_map_submit;")
"""A kernel that no device compiles, with words of fault messages in its text.  A runtime must
report it as a mistake of the caller, and not as a fault."""
WORDS = np.arange(4, dtype=np.uint32)


def captured_twice(at: Any) -> None:
    with at.graph:
        pass


NUMBERS: list[Row] = [
    ("a size of a float", lambda at: at.runtime.alloc(16.0), OutOfRange, "size_bytes=16.0"),
    ("a size of NaN", lambda at: at.runtime.alloc(float("nan")), OutOfRange, "size_bytes=nan"),
    ("a size of a bool", lambda at: at.runtime.alloc(True), OutOfRange, "size_bytes=True"),
    ("a shape as a size", lambda at: at.runtime.alloc((4, 4)), OutOfRange, "probably a shape"),
    ("a size past the device", lambda at: at.runtime.alloc(1 << 80), LimitExceeded, "at most"),
    ("an offset of None", lambda at: at.runtime.read(at.x, None), OutOfRange, "offset=None"),
    ("a dtype as an offset", lambda at: at.runtime.read(at.x, np.uint32), OutOfRange, "dtype="),
    (
        "the offset before the data",
        lambda at: at.runtime.write(at.x, 0, b"abcd"),
        OutOfRange,
        "probably the data belongs before the offset",
    ),
    (
        "a copy of a bool of bytes",
        lambda at: at.runtime.copy(at.x, at.y, size_bytes=True),
        OutOfRange,
        "size_bytes=True",
    ),
    (
        "a copy from NaN on",
        lambda at: at.runtime.copy(at.x, at.y, source_offset=float("nan")),
        OutOfRange,
        "source_offset=nan",
    ),
    ("a timeout of NaN", lambda at: at.ticket.result(float("nan")), OutOfRange, "timeout=nan"),
    ("a timeout below 0", lambda at: at.runtime.sync(timeout=-1), OutOfRange, "timeout=-1"),
    ("a timeout of a text", lambda at: at.runtime.sync("1 s"), OutOfRange, "timeout='1 s'"),
    ("a timeout of a bool", lambda at: at.runtime.sync(True), OutOfRange, "timeout=True"),
]
_VIEWED = {
    ">u4": "conversion",
    ">f4": "conversion",
    ">u2": "conversion",
    "f8": "kernel's numbers",
    "i8": "kernel's numbers",
    "?": "kernel's numbers",
    "O": "conversion",
    "U2": "plain bytes",
    "c16": "kernel's numbers",
    "V4, >u4": "byte order",
}
"""Element types of memoryviews that no kernel reads, and what the message says of each."""
DATA: list[Row] = [
    ("floats of NumPy", lambda at: at.runtime.write(at.x, np.zeros(2)), InvalidData, "np.float32"),
    ("ints of NumPy", lambda at: at.runtime.write(at.x, np.arange(2)), InvalidData, "np.int32"),
    ("bools", lambda at: at.runtime.write(at.x, np.ones(4, bool)), InvalidData, "np.uint32"),
    (
        "floats of an array",
        lambda at: at.runtime.write(at.x, array.array("d", [1])),
        InvalidData,
        "float64 because a kernel's numbers",
    ),
    (
        "an array of another byte order",
        lambda at: at.runtime.write(at.x, np.zeros(4, ">u4")),
        InvalidData,
        "newbyteorder",
    ),
    *[
        (
            f"a view of {dtype}",
            lambda at, dtype=dtype: at.runtime.write(at.x, np.zeros(4, dtype).data),
            InvalidData,
            says,
        )
        for dtype, says in _VIEWED.items()
    ],
    (
        "a masked array",
        lambda at: at.runtime.write(at.x, np.ma.zeros(4, np.uint32)),
        InvalidData,
        r"filled\(\)",
    ),
    ("a text", lambda at: at.runtime.write(at.x, "abcd"), InvalidData, r"encode\(\)"),
    (
        "an array of letters",
        lambda at: at.runtime.write(at.x, (ctypes.c_wchar * 2)("a", "b")),
        InvalidData,
        "conversion",
    ),
    ("a list", lambda at: at.runtime.write(at.x, [1, 2]), InvalidData, "np.asarray"),
    (
        "a generator as data",
        lambda at: at.runtime.write(at.x, (n for n in b"ab")),
        InvalidData,
        "generator",
    ),
    ("a buffer as data", lambda at: at.runtime.write(at.x, at.y), InvalidData, "copy was meant"),
    ("a ticket as data", lambda at: at.runtime.write(at.y, at.ticket), InvalidData, r"result\(\)"),
    ("an unknown dtype", lambda at: at.runtime.read(at.x, dtype="u33"), InvalidData, "np.uint32"),
    ("a dtype of commas", lambda at: at.runtime.read(at.x, dtype="u4,,"), InvalidData, "no such"),
    ("a dtype of Python", lambda at: at.runtime.read(at.x, dtype=float), InvalidData, "np.float32"),
    ("a read of bools", lambda at: at.runtime.read(at.x, dtype=bool), InvalidData, "number type"),
    (
        "a read of another byte order",
        lambda at: at.runtime.read(at.x, dtype=">u4"),
        InvalidData,
        "byte order",
    ),
    (
        "a shape of floats",
        lambda at: at.runtime.read(at.x, dtype="u4", shape=(2.0, 2)),
        InvalidData,
        r"shape=\(2.0, 2\)",
    ),
    (
        "a dtype of pairs",
        lambda at: at.runtime.read(at.x, 0, 16, dtype=("u4", (2,))),
        InvalidData,
        "belongs into shape=",
    ),
    (
        "a shape of seventy dimensions",
        lambda at: at.runtime.read(at.x, 0, 16, dtype="u4", shape=(1,) * 69 + (4,)),
        InvalidData,
        "70 dimensions",
    ),
    (
        "a long shape of no bytes",
        lambda at: at.runtime.read(at.x, 0, 0, dtype="u4", shape=(0, 1 << 70)),
        InvalidData,
        "NumPy makes none",
    ),
    (
        "a set as a shape",
        lambda at: at.runtime.read(at.x, 0, 16, dtype="u4", shape={4}),
        InvalidData,
        r"shape=\{4\}",
    ),
    (
        "a shape of a bool",
        lambda at: at.runtime.read(at.x, 0, 4, dtype="u4", shape=(True,)),
        InvalidData,
        r"shape=\(True,\)",
    ),
    (
        "a masked array to read into",
        lambda at: at.runtime.read(at.x, 0, 16, out=np.ma.zeros(4, np.uint32)),
        InvalidData,
        "its data was meant",
    ),
    (
        "a shape with a hole",
        lambda at: at.runtime.read(at.x, dtype="u4", shape=(-1, 2)),
        InvalidData,
        "the shape has a -1",
    ),
    (
        "an out of objects",
        lambda at: at.runtime.read(at.x, 0, 16, out=np.array([None, None])),
        InvalidData,
        "object",
    ),
    (
        "an out of another byte order",
        lambda at: at.runtime.read(at.x, 0, 16, out=np.zeros(4, ">u4")),
        InvalidData,
        "byte order",
    ),
]
HANDLES: list[Row] = [
    ("a name", lambda at: at.runtime.read("x"), InvalidHandle, "type str"),
    ("nothing to free", lambda at: at.runtime.free(None), InvalidHandle, "NoneType"),
    ("a list to free", lambda at: at.runtime.free([at.x, at.y]), InvalidHandle, "list"),
    ("a second free", lambda at: at.runtime.free(at.gone), InvalidHandle, "twice"),
    (
        "another runtime's buffer",
        lambda at: at.runtime.copy(at.x, at.foreign),
        InvalidHandle,
        "probably it belongs to another runtime",
    ),
    ("an array of a buffer", lambda at: np.asarray(at.x), InvalidHandle, r"runtime\.read"),
    ("the bytes of a buffer", lambda at: bytes(at.x), InvalidHandle, "read them"),
    ("an item of a ticket", lambda at: at.ticket[0], InvalidHandle, r"its result\(\)"),
    ("a walk through a ticket", lambda at: list(at.ticket), InvalidHandle, r"its result\(\)"),
    ("a copy of a runtime", lambda at: copy.copy(at.runtime), InvalidHandle, "makes its own"),
    ("a pickle of a ticket", lambda at: pickle.dumps(at.ticket), InvalidHandle, "result"),
    ("a copy of a graph", lambda at: copy.deepcopy(at.graph), InvalidHandle, "captured again"),
    ("a callback of None", lambda at: at.ticket.add_done_callback(None), Refused, "callback None"),
]
DISPATCHES: list[Row] = [
    (
        "a kernel that does not compile",
        lambda at: at.runtime.dispatch(UNSOUND, [at.x], (1, 2)),
        ProgramError,
        "cannot compile",
    ),
    (
        "a kernel by its WGSL",
        lambda at: at.runtime.dispatch(AFFINE.wgsl(), [at.x], (1, 2)),
        InvalidBinding,
        "no Kernel",
    ),
    (
        "a buffer alone",
        lambda at: at.runtime.dispatch(AFFINE, at.x, (1, 2)),
        InvalidBinding,
        "buffers={x} .*a list of one",
    ),
    (
        "a set of buffers",
        lambda at: at.runtime.dispatch(FOLD, {at.x, at.y}, (1,)),
        InvalidBinding,
        "buffers=.*probably a list",
    ),
    (
        "an array as a buffer",
        lambda at: at.runtime.dispatch(AFFINE, [WORDS], (1, 2)),
        InvalidHandle,
        "ndarray .*probably alloc makes",
    ),
    (
        "a buffer written twice",
        lambda at: at.runtime.dispatch(EXCHANGE, [at.x, at.x], (1,)),
        InvalidBinding,
        "{x} as y .*all bytes .*bound as x.*probably a copy of it is needed",
    ),
    (
        "a scalar alone",
        lambda at: at.runtime.dispatch(FOLD, [at.x, at.y], 3),
        InvalidScalar,
        "scalars=3 .*comma",
    ),
    (
        "a scalar misspelt",
        lambda at: at.runtime.dispatch(AFFINE, [at.x], {"a": 1, "c": 2}),
        InvalidScalar,
        "are not a, b",
    ),
    (
        "scalars by place in a dict",
        lambda at: at.runtime.dispatch(AFFINE, [at.x], {0: 1, 1: 2}),
        InvalidScalar,
        "are not a, b",
    ),
    (
        "a set of scalars",
        lambda at: at.runtime.dispatch(AFFINE, [at.x], {1, 2}),
        InvalidScalar,
        r"scalars=\{1, 2\}",
    ),
    (
        "bytes as scalars",
        lambda at: at.runtime.dispatch(AFFINE, [at.x], b"ab"),
        InvalidScalar,
        "scalars=b'ab'",
    ),
    (
        "a scalar that is a bool",
        lambda at: at.runtime.dispatch(AFFINE, [at.x], (True, 2)),
        InvalidScalar,
        "a=True",
    ),
    (
        "a scalar that is NaN",
        lambda at: at.runtime.dispatch(BLEND, [at.x, at.y], [float("nan")]),
        InvalidScalar,
        "a=nan",
    ),
    (
        "a grid in the place of scalars",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], 4),
        InvalidScalar,
        "a grid is in its place",
    ),
]
GRAPHS: list[Row] = [
    ("a replay of a begun capture", lambda at: at.begun.replay(), InvalidHandle, "not ended"),
    ("a second capture", captured_twice, InvalidCapture, r"its own runtime\.capture"),
    (
        "scalars for one of two",
        lambda at: at.graph.replay([(1, 2)]),
        InvalidScalar,
        "2 dispatches .*None was meant",
    ),
    ("flat scalars", lambda at: at.graph.replay((1, 2)), InvalidScalar, "scalars=1 "),
    (
        "a generator of scalars",
        lambda at: at.graph.replay(iter([(1, 2), None])),
        InvalidScalar,
        "scalars=<list_iterator",
    ),
    (
        "pairs as bindings",
        lambda at: at.graph.replay(None, [(at.x, at.y)]),
        InvalidBinding,
        "bindings=.*no mapping",
    ),
    (
        "an array in a buffer's place",
        lambda at: at.graph.replay(None, {at.x: WORDS}),
        InvalidHandle,
        "ndarray",
    ),
    (
        "bindings the wrong way round",
        lambda at: at.graph.replay(None, {at.y: at.x}),
        InvalidBinding,
        "the wrong way round",
    ),
]
OF_A_RUNTIME = NUMBERS + DATA + HANDLES + DISPATCHES + GRIDS + PARTS + GRAPHS + MISFITS
OF_A_RUNTIME += FORBIDDEN + DEVICES
