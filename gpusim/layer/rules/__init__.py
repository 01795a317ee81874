"""The rules of the sanitizer: each is a check of events, with a row in the table."""

from gpusim.layer.rules.rule import Rule
from gpusim.layer.rules.table import EMPTY_SUBMIT, RULES

__all__ = ["EMPTY_SUBMIT", "RULES", "Rule"]
