"""A caller that gets into another thread first: refused there, and nothing changed."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from gpusim.errors import InvalidHandle, WrongThread
from gpusim.program import Grid
from properties.callers.forwarding import BrokenPromise, Forwarding
from properties.target import Delivery
from properties.targets.runtime_target import RuntimeTarget


class StrayingCaller(Forwarding):
    """Issues each op from a thread that does not own the runtime, then from the one that does."""

    def __init__(self, target: RuntimeTarget) -> None:
        super().__init__(target)
        self._thread = ThreadPoolExecutor(1)

    def write(self, buffer: str, offset: int, data: bytes) -> None:
        self._stray(lambda: self.target.write(buffer, offset, data))
        self.target.write(buffer, offset, data)

    def dispatch(
        self, kernel: str, buffers: Sequence[str], scalars: Sequence[int | float], grid: Grid
    ) -> None:
        self._stray(lambda: self.target.dispatch(kernel, buffers, scalars, grid))
        self.target.dispatch(kernel, buffers, scalars, grid)

    def copy(
        self, source: str, source_offset: int, target: str, target_offset: int, size_bytes: int
    ) -> None:
        self._stray(
            lambda: self.target.copy(source, source_offset, target, target_offset, size_bytes)
        )
        self.target.copy(source, source_offset, target, target_offset, size_bytes)

    def read(self, buffer: str, offset: int, size_bytes: int) -> Delivery:
        self._stray(lambda: self.target.read(buffer, offset, size_bytes))
        return self.target.read(buffer, offset, size_bytes)

    def free(self, buffer: str) -> None:
        self._stray(lambda: self.target.free(buffer))
        self.target.free(buffer)

    def sync(self) -> None:
        self._stray(self.target.sync)
        self.target.sync()

    def close(self) -> None:
        self.target.close()
        self._thread.shutdown()

    def _stray(self, act: Callable[[], object]) -> None:
        error = self._thread.submit(act).exception()
        # A name that stands for nothing is found out before the runtime is asked.
        if not isinstance(error, WrongThread | InvalidHandle):
            raise BrokenPromise(f"a call from another thread ended with {error!r}")
