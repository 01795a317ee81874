"""A layer between a WebGPU program and its device.

It turns the calls of the program into events, each with the line that made the call.  Rules over
these events find mistakes that the device does not report.  The layer knows neither the runtime nor
the judge.
"""

from gpusim.layer.adversary import Adversary
from gpusim.layer.classes import stand_between
from gpusim.layer.lines import parse_event, write_event
from gpusim.layer.memory import Held, Memory
from gpusim.layer.report import Place, Report
from gpusim.layer.rules import EMPTY_SUBMIT, RULES
from gpusim.layer.sanitizer import Sanitizer, sanitize
from gpusim.layer.watch import Watch

__all__ = [
    "EMPTY_SUBMIT",
    "RULES",
    "Adversary",
    "Held",
    "Memory",
    "Place",
    "Report",
    "Sanitizer",
    "Watch",
    "parse_event",
    "sanitize",
    "stand_between",
    "write_event",
]
