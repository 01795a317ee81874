"""The third family of oracle: a program, and another that must show the same.

A relation judges without the reference: it runs a case as it is and transformed,
and compares what corresponds.  Importing this names what a judge needs.
"""

# Importing them registers the transformations.
from properties.oracles.metamorphic import (  # noqa: F401
    boundaries,
    folding,
    insertions,
    pieces,
    replacements,
)
from properties.oracles.metamorphic.registry import (
    draw_transformations,
    parse_transformation,
    write_transformation,
)
from properties.oracles.metamorphic.relations import (
    compare_rewrite,
    judge_relations,
    judge_without_faults,
    signature,
    transform,
)

__all__ = [
    "compare_rewrite",
    "draw_transformations",
    "judge_relations",
    "judge_without_faults",
    "parse_transformation",
    "signature",
    "transform",
    "write_transformation",
]
