"""The judge: it makes programs, runs them on a runtime, and checks the results with oracles."""
