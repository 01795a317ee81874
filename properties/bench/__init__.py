"""Benchmarks: what the runtime costs, and what it could cost at best.

All measuring lives here; nothing that is measured imports it.
"""
