"""The options of pytest for every check: a device, a policy, a scheduler.

The plugin writes them here and ``gpusim.testing`` reads them, so that neither loads the other.
Data only.
"""

ASKED: dict[str, str] = {}
"""Values by the name of their setting, as text; empty outside pytest."""
