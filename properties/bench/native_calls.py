"""Which native calls a policy makes for a dispatch, how often, and how long they take.

A driver's two namespaces of wgpu-native are replaced by namespaces that count and time each call.
The cost of counting and timing is subtracted.  The rest of the policy's CPU time is Python: its
checks, its plan, its scalars and its commands.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from statistics import median
from time import thread_time
from typing import Any

from gpusim.runtime import Policy, Runtime
from gpusim.runtime.drivers.native import NativeDriver
from properties.bench.arms import Chain
from properties.bench.timing import Row

PYTHON = "Python and the rest"
_ROUNDS = 20
_TRIES = 1000
_FEWEST = 0.0005
"""A native function that is called less often than this for one dispatch has no row."""


class Counted:
    """A namespace of native functions whose calls are counted and timed."""

    def __init__(self, inner: Any, calls: Counter[str], seconds: Counter[str]) -> None:
        self._inner, self._calls, self._seconds = inner, calls, seconds
        self._kept: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        if name not in self._kept:
            member = getattr(self._inner, name)
            self._kept[name] = self._counted(name, member) if callable(member) else member
        return self._kept[name]

    def _counted(self, name: str, native: Callable[..., Any]) -> Callable[..., Any]:
        calls, seconds = self._calls, self._seconds

        def call(*given: Any) -> Any:
            start = thread_time()
            result = native(*given)
            seconds[name] += thread_time() - start  # type: ignore[assignment]
            calls[name] += 1
            return result

        return call


def profile(device: Any, policy: Policy, chain: Chain, cpu_us: float) -> list[Row]:
    """Plays ``chain``.  Returns a row for Python, and one for each native function that it calls.

    ``cpu_us`` is the CPU time of a dispatch in microseconds, measured without counting calls.
    """
    driver = NativeDriver(device)
    calls: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    driver._lib = Counted(driver._lib, calls, seconds)
    driver._safe = Counted(driver._safe, calls, seconds)
    runtime = Runtime(driver=driver, policy=policy)
    x = runtime.alloc(4 * chain.words)
    rounds: list[dict[str, float]] = []
    for _ in range(1 + _ROUNDS):
        calls.clear()
        seconds.clear()
        for values in chain.scalars:
            runtime.dispatch(chain.kernel, [x], values, chain.groups)
        runtime.flush()
        rounds.append(dict(seconds))
        counts = {name: count / chain.dispatches for name, count in calls.items()}
        runtime.sync()
    runtime.free(x)
    runtime.close()
    watching = _seconds_of_watching()
    us = {
        name: 1e6 * (median(one.get(name, 0) for one in rounds[1:]) / chain.dispatches)
        - 1e6 * counts[name] * watching
        for name in counts
    }
    return rows_of_calls(f"native calls of {policy.name}", counts, us, cpu_us)


def rows_of_calls(
    workload: str, counts: Mapping[str, float], us: Mapping[str, float], cpu_us: float
) -> list[Row]:
    """Returns a row for each function, the most expensive first.

    The row before them is for Python: the time of ``cpu_us`` that no function takes.
    """
    names = sorted((name for name in counts if counts[name] >= _FEWEST), key=lambda n: -us[n])
    rows = [_row(workload, name, us[name], {"calls": counts[name]}) for name in names]
    left = cpu_us - sum(us[name] for name in names)
    return [_row(workload, PYTHON, left, {}), *rows]


def _seconds_of_watching() -> float:
    """By how many seconds the counting and timing of a native call lengthens its noted time."""
    calls: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    nothing = Counted(_Nothing, calls, seconds).nothing
    noted = []
    for _ in range(_TRIES):
        seconds.clear()
        nothing()
        noted.append(seconds["nothing"])
    return median(noted)


class _Nothing:
    nothing = staticmethod(lambda: None)


def _row(workload: str, name: str, us: float, more: Mapping[str, float]) -> Row:
    return Row(
        workload=workload,
        arm=name.removeprefix("wgpu"),
        median_us=us,
        low_us=us,
        high_us=us,
        record_us=us,
        cpu_us=us,
        more=more,
    )
