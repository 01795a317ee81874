"""Making programs, and making failing ones small.  Nothing here runs or judges any."""
