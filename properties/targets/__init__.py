"""The judge's targets: our runtime, a naive one for comparison, and those of other processes."""
