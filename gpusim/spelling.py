"""What a misspelled word most likely stands for, for the end of an error's text."""

from collections.abc import Iterable
from difflib import get_close_matches


def meant(word: str, known: Iterable[str], otherwise: str) -> str:
    """``"'NAME' is meant"`` where a known name is near to ``word``, or ``otherwise``."""
    by_lower = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f"{by_lower[near[0]]!r} is meant" if near else otherwise
