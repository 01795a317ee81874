"""Small scope, whole: every short program, every schedule, every cell of a table."""

from properties.exhaustive.memory_sync import ROWS, Row, row_named
from properties.exhaustive.policies import small_policies
from properties.exhaustive.programs import short_programs
from properties.exhaustive.scope import check_on, check_under_every_schedule

__all__ = [
    "ROWS",
    "Row",
    "check_on",
    "check_under_every_schedule",
    "row_named",
    "short_programs",
    "small_policies",
]
