"""Puts a simulated device in the place of wgpu's adapters, for a whole program.

``wgpu.gpu`` is the one entry point of a wgpu-py program, and ``wgpu.utils`` makes the default
device from it.  ``gpusim run`` calls this before the program; nothing else does.
"""

from gpusim.simulated.adapter import GPU


def stand_in(gpu: GPU) -> None:
    """Give every program of this process ``gpu`` as ``wgpu.gpu`` from now on."""
    # Imported here, because this loads wgpu's native library.
    import wgpu
    import wgpu.backends.auto

    wgpu.gpu = gpu
    wgpu.backends.auto.gpu = gpu
