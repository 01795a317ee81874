"""The third family of oracle: a program, and another that must show the same.

A relation judges without the reference: it runs a case as it is and transformed,
and compares what corresponds.  Importing this names what a judge needs.
"""

from properties.oracles.metamorphic.compare import Violation
from properties.oracles.metamorphic.draw import draw_transformations
from properties.oracles.metamorphic.execution import Execute, Execution, Executor
from properties.oracles.metamorphic.faults import WithoutFaults, judge_without_faults
from properties.oracles.metamorphic.image import Image, Transformation
from properties.oracles.metamorphic.judging import judge, signature, transform
from properties.oracles.metamorphic.reducing import Reduced, reduce_violation
from properties.oracles.metamorphic.text import parse_transformation, write_transformation

__all__ = [
    "Execute",
    "Execution",
    "Executor",
    "Image",
    "Reduced",
    "Transformation",
    "Violation",
    "WithoutFaults",
    "draw_transformations",
    "judge",
    "judge_without_faults",
    "parse_transformation",
    "reduce_violation",
    "signature",
    "transform",
    "write_transformation",
]
