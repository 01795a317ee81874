"""A helper for tests: it raises if a kernel has a mistake.

``gpusim.testing`` exports the helper and its error.  Nothing here looks at a shader.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gpusim.kernels.kernel import Kernel

if TYPE_CHECKING:
    from gpusim.wgsl.checks import ShaderReport


class ShaderMistaken(AssertionError):
    """A kernel has mistakes; ``reports`` lists them."""

    def __init__(self, reports: "tuple[ShaderReport, ...]") -> None:
        super().__init__("\n".join(map(str, reports)))
        self.reports = reports


def check_kernel(
    kernel: Kernel | str,
    buffers: Sequence[Any],
    scalars: Any = (),
    *,
    grid: int | tuple[int, int, int] = 1,
    arithmetic: bool = False,
    orders: int = 16,
    warnings: bool = True,
) -> None:
    """Check the WGSL of a kernel in one dispatch; return if it has no mistake.

    Args:
        kernel: a kernel, or WGSL with one entry point.
        buffers, scalars, grid, arithmetic, orders: as for ``Kernel.check``.
        warnings: fail for warnings too.

    Raises:
        ShaderMistaken: names each mistake by its lines.
        ProgramError, InvalidScalar: as for ``Kernel.check``.
    """
    __tracebackhide__ = True  # pytest shows the line of the test
    kernel = Kernel.from_wgsl(kernel) if isinstance(kernel, str) else kernel
    reports = kernel.check(buffers, scalars, grid=grid, arithmetic=arithmetic, orders=orders)
    found = tuple(each for each in reports if warnings or each.severity == "error")
    if found:
        raise ShaderMistaken(found)
