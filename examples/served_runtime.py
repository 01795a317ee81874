"""A runtime in another process, for the judge to drive over its input and output.

    gpusim fuzz --target "exec:python examples/served_runtime.py"

It serves gpusim's own runtime; ``docs/JUDGING.md`` has the lines that go back
and forth, for a runtime in a language without ``serve``.
"""

from collections.abc import Callable

from gpusim import open_device
from gpusim.runtime import PRESETS, driver_for
from properties.model.target import Target
from properties.targets.runtime_target import RuntimeTarget
from properties.targets.serve import serve


def start(device: str) -> Callable[[], Target]:
    """What makes a target for each program, on the device of that name."""
    driver = driver_for(open_device(device))
    return lambda: RuntimeTarget(driver, PRESETS["ring"])


if __name__ == "__main__":
    serve(start)
