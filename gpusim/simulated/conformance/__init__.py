"""Holding the simulated device against real adapters, raw call by raw call."""
