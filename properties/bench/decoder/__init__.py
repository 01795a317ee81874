"""A small Llama-shaped decoder on the runtime: real work in small dispatches."""
