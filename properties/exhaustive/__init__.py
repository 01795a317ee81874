"""Exhaustive checks of small scopes: every short program, every pair of ops on the same bytes."""

from properties.exhaustive.memory_sync import ROWS, Row, row_named
from properties.exhaustive.short_programs import (
    check_on,
    check_under_every_schedule,
    short_programs,
    small_policies,
)

__all__ = [
    "ROWS",
    "Row",
    "check_on",
    "check_under_every_schedule",
    "row_named",
    "short_programs",
    "small_policies",
]
