"""The judge: programs, oracles, and the sessions that hold a runtime against them."""
