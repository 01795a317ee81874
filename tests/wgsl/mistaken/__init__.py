"""Kernels with a mistake each, and the same kernels without it."""
