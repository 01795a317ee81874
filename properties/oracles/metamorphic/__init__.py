"""The third family of oracle: a program, and another that must show the same.

A relation judges without the reference: it runs a case as it is and transformed,
and compares what corresponds.  Importing this names what a judge needs.
"""

# Importing them registers the transformations.
from properties.oracles.metamorphic import (  # noqa: F401
    boundaries,
    configuration,
    folding,
    insertions,
    order,
    pieces,
    replacements,
    unrolling,
)
from properties.oracles.metamorphic.compare import compare_image
from properties.oracles.metamorphic.draw import draw_transformations
from properties.oracles.metamorphic.faults import judge_without_faults
from properties.oracles.metamorphic.judging import judge_relations, signature, transform
from properties.oracles.metamorphic.text import parse_transformation, write_transformation

__all__ = [
    "compare_image",
    "draw_transformations",
    "judge_relations",
    "judge_without_faults",
    "parse_transformation",
    "signature",
    "transform",
    "write_transformation",
]
