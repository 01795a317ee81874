"""The laws over a trace: what must hold of the calls on a device, whatever bytes they move.

No law needs the reference.
"""

from properties.oracles.laws.catalogue import ELSEWHERE, LAWS, LawContext
from properties.oracles.laws.checker import Checker, check

__all__ = ["ELSEWHERE", "LAWS", "Checker", "LawContext", "check"]
