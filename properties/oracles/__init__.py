"""The oracles: what judges a history or a trace.  Nothing here runs a program."""
