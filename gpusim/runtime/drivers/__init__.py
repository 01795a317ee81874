"""The drivers: how the runtime speaks to a device, and what may stand in between."""
