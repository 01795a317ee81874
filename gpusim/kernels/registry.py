"""The kernels a program may name.

A registry is a value: adding a kernel makes a new one, so that no test leaves
anything behind for the next.
"""

from collections.abc import Iterator, Mapping

from gpusim.errors import ProgramError
from gpusim.kernels.integer import AFFINE, EXCHANGE, FOLD, MANY, MIX, SCRAMBLE, TALLY, WIDEN
from gpusim.kernels.kernel import Kernel
from gpusim.kernels.real import BLEND


class Kernels(Mapping[str, Kernel]):
    """Kernels by name, in the order in which they were added."""

    def __init__(self, *kernels: Kernel) -> None:
        self._by_name = {kernel.name: kernel for kernel in kernels}
        if len(self._by_name) != len(kernels):
            raise ProgramError(
                "cannot register kernels because two share a name "
                "(probably one shadows a built-in kernel)"
            )

    def __getitem__(self, name: str) -> Kernel:
        return self._by_name[name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def adding(self, *kernels: Kernel) -> "Kernels":
        """These kernels and ``kernels``; ProgramError where a name is taken."""
        return Kernels(*self._by_name.values(), *kernels)


BUILTIN = Kernels(AFFINE, FOLD, MIX, SCRAMBLE, MANY, WIDEN, EXCHANGE, TALLY, BLEND)
"""The kernels that come with gpusim, for generated programs."""
