"""Python's garbage collector in a process that judges programs all day long.

What is loaded by then stays for good, and a program leaves some thousand small
objects behind, nearly all of which go without the collector.
"""

import gc

_MOST_NEW_OBJECTS = 50_000


def spare_collector() -> None:
    """Let the collector look at new objects only, and at many of them at a time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_MOST_NEW_OBJECTS)
