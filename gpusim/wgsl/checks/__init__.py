"""Checks of shaders in a run: races, bounds, barriers, unwritten workgroup memory, arithmetic.

``CheckedEntry`` runs an entry point and puts ``ShaderReport``s into a ``Ledger``.  For one
executed path the check for races is exact.  Nothing here knows a device.
"""

from gpusim.wgsl.checks.entry import CheckedEntry, check_dispatch, checked
from gpusim.wgsl.checks.report import Ledger, ShaderReport

__all__ = ["CheckedEntry", "Ledger", "ShaderReport", "check_dispatch", "checked"]
