"""Benchmarks: what the runtime costs, beside what it could cost at best.

Measuring lives here, and nothing that is measured depends on it.
"""
