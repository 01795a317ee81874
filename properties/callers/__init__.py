"""How a caller drives a runtime: each a target around a target, that shows the same.

A program says what is asked of a runtime, a caller how.  Importing this names
them all.
"""

from properties.callers.drawn import CALLERS, CallerSubject, draw_caller

__all__ = ["CALLERS", "CallerSubject", "draw_caller"]
