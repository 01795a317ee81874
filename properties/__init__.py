"""The judge: it makes programs, runs them on a runtime, and holds the results to oracles."""
