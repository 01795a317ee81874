"""Makes failing cases small.  The caller says what a failure is and judges the candidates."""
