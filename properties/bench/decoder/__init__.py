"""A small Llama-shaped decoder on the runtime, as real work made of small dispatches."""
