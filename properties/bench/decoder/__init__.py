"""A small Llama-shaped decoder on the runtime: the work that small dispatches are for."""
