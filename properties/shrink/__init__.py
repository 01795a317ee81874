"""Makes failing cases small.  The caller decides what a failure is, and judges the candidates."""
