"""Mutants: the runtime, its device or the reference with one mistake, to show what is seen."""
