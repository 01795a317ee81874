"""Calls that are made after a misuse was not refused, to see whether similar calls are refused.

One of them is legal: what it gives shows whether the argument has an effect at all.  The rows are
like those in ``misuses``.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpusim import InvalidData, OutOfRange
from properties.clients.forbidden import Row


def _far_at(how: str, offset: Any) -> Iterator[Row]:
    """Ops far past their buffer, at an offset whose type holds their end."""
    yield (
        f"a write far past its buffer at {how}",
        lambda at: at.runtime.write(at.x, bytes(8), offset),
        OutOfRange,
        "",
    )
    yield (
        f"a read far past its buffer at {how}",
        lambda at: at.runtime.read(at.x, offset, 8),
        OutOfRange,
        "",
    )


_FAR = 2**31 - 4
"""An offset past every buffer that is misused."""
CONTROLS: list[Row] = [
    *(
        row
        for how, offset in (("a plain int", _FAR), ("np.int64", np.int64(_FAR)))
        for row in _far_at(how, offset)
    ),
    (
        "a shape of 2x2, which is right",
        lambda at: at.runtime.read(at.x, 0, 16, dtype="u4", shape=(2, 2)),
        InvalidData,
        "",
    ),
]
