"""The drivers through which the runtime calls a device, and decorators of them."""
