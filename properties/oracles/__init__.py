"""The oracles: they judge histories and traces.  Nothing here draws programs or opens targets."""
