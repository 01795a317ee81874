"""Mutants: one mistake each, in the runtime, its device or the reference, to prove what is seen."""
