"""Makes programs and whole cases.  Nothing here runs or judges them."""
