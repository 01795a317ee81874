"""``gpusim sanitize``: runs a wgpu-py program, and looks at every device that it is given.

The program runs in this process, as ``python SCRIPT`` or ``python -m MODULE`` would run it.
wgpu's entry point object gets a class of ours.  So each adapter that it hands out is watched, and
each device of that adapter.  No class of wgpu's is changed.  Nothing here judges.
"""

import json
import os
import runpy
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, TextIO

from gpusim.layer.classes import when_fulfilled
from gpusim.layer.report import Report
from gpusim.layer.sanitizer import Sanitizer

NOTHING, REPORTS, _, PROGRAM_FAILED = range(4)
"""The exit status; 2 means wrong usage, which is reported before anything runs."""

Take = Callable[[Any], None]


def run(
    words: Sequence[str],
    *,
    is_module: bool,
    as_json: bool,
    others: Sequence[Callable[[Take], None]] = (),
) -> int:
    """Run a program with its arguments under the sanitizer; returns the exit status.

    Each of ``others`` does for another package what ``watch_all_devices`` does for wgpu.

    Reports go to stderr as they are found, even if the program captures ``sys.stderr``.  With
    ``as_json``, each is instead one line of JSON on stdout once the program has ended.
    """
    # The program may replace stderr, as pytest does.
    with os.fdopen(os.dup(2), "w") as out:
        sanitizer = Sanitizer(_ignore if as_json else _printer(out))
        for each in (watch_all_devices, *others):
            each(sanitizer.watch)
        failure = run_program(words, is_module)
        reports = sanitizer.finish()
        if as_json:
            for report in reports:
                print(json.dumps({**report.plain(), "times": sanitizer.times[report]}))
        else:
            _print_summary(out, sanitizer)
    if reports:
        return REPORTS
    return PROGRAM_FAILED if failure else NOTHING


def watch_all_devices(take: Take) -> None:
    """Call ``take`` with each device that wgpu hands out from now on, before the program has it.

    The devices of wgpudawn are taken as well, if that package is installed.
    """
    from wgpu.backends.auto import gpu

    entries = [gpu]
    with suppress(ImportError, OSError, RuntimeError):
        entries.append(import_module("wgpudawn.backends.auto").gpu)
    for each in entries:
        _stand_in(
            each,
            {"request_adapter_async": _each_adapter, "enumerate_adapters_async": _each_adapter},
            take,
        )


def _each_adapter(found: Any, take: Take) -> None:
    for adapter in found if isinstance(found, list) else [found]:
        if adapter is not None:
            _stand_in(
                adapter, {"_request_device_async": _take, "request_device_async": _take}, take
            )


def _take(device: Any, take: Take) -> None:
    if not hasattr(type(device), "_watch"):
        take(device)


def _stand_in(thing: Any, methods: dict[str, Callable[[Any, Take], None]], take: Take) -> None:
    """Call a function with each value that a method of ``thing`` gives, before the program has it.

    ``methods`` has the functions, by the name of the method.  Each method returns a promise; its
    function is called with the promise's value and with ``take``.
    """
    base = type(thing)
    if hasattr(base, "_shows"):
        return

    def showing(native: Callable[..., Any], show: Callable[[Any, Take], None]) -> Any:
        def method(self: Any, *arguments: Any, **named: Any) -> Any:
            promise = native(self, *arguments, **named)
            when_fulfilled(promise, lambda value: show(value, take))
            return promise

        return method

    body: dict[str, Any] = {
        name: showing(getattr(base, name), show)
        for name, show in methods.items()
        if hasattr(base, name)
    }
    thing.__class__ = type(
        base.__name__, (base,), {"__module__": base.__module__, "_shows": True, **body}
    )


def run_program(words: Sequence[str], is_module: bool) -> bool:
    """Run the program; returns whether it failed.  Its errors are shown as Python shows them."""
    sys.argv = list(words)
    try:
        if is_module:
            sys.path.insert(0, os.getcwd())
            runpy.run_module(words[0], run_name="__main__", alter_sys=True)
        else:
            sys.path.insert(0, os.path.dirname(os.path.abspath(words[0])))
            runpy.run_path(words[0], run_name="__main__")
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        return end.code not in (None, 0)
    except BaseException:
        sys.excepthook(*sys.exc_info())
        return True
    return False


def _ignore(report: Report) -> None:
    """Do nothing: the report is shown at the end."""


def _printer(out: TextIO) -> Callable[[Report], None]:
    def show(report: Report) -> None:
        print(f"{report}\n", file=out, flush=True)

    return show


def _print_summary(out: TextIO, sanitizer: Sanitizer) -> None:
    count = len(sanitizer.reports)
    again = sum(sanitizer.times.values()) - count
    noun = "report" if count == 1 else "reports"
    more = f", met {again} times more" if again else ""
    print(f"gpusim sanitize: {count} {noun}{more}", file=out)
