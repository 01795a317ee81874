"""Mutants: the runtime, its device or the reference with one mistake; does the judge see it?"""
