"""A layer between a WebGPU program and its device: it tells every call, and rules look at them."""
