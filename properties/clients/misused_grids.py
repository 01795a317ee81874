"""Misuses of the grids of dispatches.  The rows are like those in ``misuses``."""

import numpy as np

from gpusim import LimitExceeded
from gpusim.kernels import SCRAMBLE
from properties.clients.forbidden import Row

GRIDS: list[Row] = [
    (
        "a grid of bools",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], grid=True),
        LimitExceeded,
        "grid=True",
    ),
    (
        "a grid of nothing",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], grid=()),
        LimitExceeded,
        r"grid=\(\) .*one to three",
    ),
    (
        "a grid of four",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], grid=(1, 1, 1, 1)),
        LimitExceeded,
        "one to three",
    ),
    (
        "a grid of NaN",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], grid=(1, float("nan"))),
        LimitExceeded,
        "one to three",
    ),
    (
        "a grid of 2^70",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], grid=1 << 70),
        LimitExceeded,
        "a dimension holds",
    ),
    (
        "a grid of bytes",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], grid=b"12"),
        LimitExceeded,
        "grid=b'12' .*one to three",
    ),
    (
        "a grid of a bytearray",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], grid=bytearray(b"1")),
        LimitExceeded,
        "grid=bytearray.*one to three",
    ),
    (
        "a grid of an array of half a group",
        lambda at: at.runtime.dispatch(SCRAMBLE, [at.x], grid=np.array(0.5)),
        LimitExceeded,
        r"grid=array\(0.5\) .*one to three",
    ),
]
