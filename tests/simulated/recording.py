"""Binds buffers and records a dispatch, the way that most tests of a device need it."""

from typing import Any


def bind(device: Any, layout: Any, *buffers: Any) -> Any:
    """A bind group of whole buffers, in the order of their bindings."""
    entries = [{"binding": number, "resource": bound} for number, bound in enumerate(buffers)]
    return device.create_bind_group(layout=layout, entries=entries)


def record(encoder: Any, pipeline: Any, group: Any, grid: tuple[int, ...] = (1,)) -> Any:
    """Record a pass with one dispatch; returns the encoder."""
    compute_pass = encoder.begin_compute_pass()
    compute_pass.set_pipeline(pipeline)
    compute_pass.set_bind_group(0, group)
    compute_pass.dispatch_workgroups(*grid)
    compute_pass.end()
    return encoder
