"""A thousand dispatches in a few submits: the runtime, in its few verbs."""

import numpy as np

from gpusim import Runtime, open_device
from gpusim.kernels import AFFINE


def main() -> None:
    """Apply x <- 3*x + n for n = 0 .. 999 to four numbers, and read them back."""
    with Runtime(open_device()) as runtime:
        x = runtime.alloc(16)
        runtime.write(x, np.arange(4, dtype=np.uint32))
        for n in range(1000):
            runtime.dispatch(AFFINE, [x], (3, n))
        ticket = runtime.read(x, dtype=np.uint32)
        print("values: ", ticket.result())
        print("submits:", runtime.stats().submits)
        runtime.free(x)


if __name__ == "__main__":
    main()
