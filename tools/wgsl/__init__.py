"""What compares ``gpusim.wgsl`` with adapters, naga and the shaders that people ship."""
