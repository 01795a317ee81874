"""What the options of pytest ask of every check: a device, a policy, a scheduler.

The plugin writes it and ``gpusim.testing`` reads it, so that neither loads the other.  Data only.
"""

ASKED: dict[str, str] = {}
"""Values by the name of their setting, as text; empty outside pytest."""
