"""The laws over a trace: what must hold of the calls on a device, whatever the bytes are."""

from properties.oracles.laws.catalogue import ELSEWHERE, LAWS, Law, Setting
from properties.oracles.laws.checker import Checker, check

__all__ = ["ELSEWHERE", "LAWS", "Checker", "Law", "Setting", "check"]
