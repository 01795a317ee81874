"""Mutants: one mistake each, in the runtime, its device or its judge, to prove what is seen."""
