"""The metamorphic relations: a case and its transformed case must show the same.

They need no reference: a case and its rewrite are both run, and the corresponding ops are
compared.
"""

# These imports register the transformations.
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
