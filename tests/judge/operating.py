"""Targets that have operations of their own and no other kernel; a test names them by this file."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gpusim.kernels import ELEMENTWISE
from properties.targets.naive_target import NaiveTarget


class Operating(NaiveTarget):
    """It runs the described kernels and no other."""

    capabilities = replace(NaiveTarget.capabilities, kernels=tuple(ELEMENTWISE))


class AddsOnly(NaiveTarget):
    """It can add whole numbers to a buffer, and nothing else."""

    capabilities = replace(NaiveTarget.capabilities, kernels=("add_scalar_u32", "add_scalar_i32"))


class Mistaken(Operating):
    """It adds where it is to multiply tensors of whole numbers."""

    def dispatch(
        self, kernel: str, buffers: Sequence[Any], scalars: Any, grid: tuple[int, int, int]
    ) -> None:
        name = "add_tensor_u32" if kernel == "mul_tensor_u32" else kernel
        super().dispatch(name, buffers, scalars, grid)
