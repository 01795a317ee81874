"""One case and a few transformations, judged: run as it is, run transformed, compared."""

from collections.abc import Callable, Mapping, Sequence

from gpusim.kernels import BUILTIN, Kernel
from properties.case import Case
from properties.oracles.metamorphic.compare import Violation, compare_image
from properties.oracles.metamorphic.execution import Executor
from properties.oracles.metamorphic.image import Image, Transformation, unchanged

Judge = Callable[[Case, Sequence[Transformation]], Violation | None]


def transform(
    case: Case,
    transformations: Sequence[Transformation],
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> Image | None:
    """The image under all of them, one after the other; None where one does not apply."""
    image = unchanged(case)
    for transformation in transformations:
        later = transformation.apply(image.case, kernels)
        if later is None:
            return None
        image = image.then(later)
    return image


def judge(
    case: Case,
    transformations: Sequence[Transformation],
    executor: Executor,
    kernels: Mapping[str, Kernel] = BUILTIN,
) -> Violation | None:
    """Where ``case`` and its image part; None as well where a transformation does not apply."""
    image = transform(case, transformations, kernels)
    if image is None:
        return None
    original, transformed = executor.original(case), executor(image.case)
    return compare_image(case.program, image, original, transformed, kernels)


def signature(transformations: Sequence[Transformation], violation: Violation) -> tuple[str, ...]:
    """What tells violations apart: the kinds of transformations, and where it first shows."""
    kinds = sorted({transformation.name for transformation in transformations})
    return violation.kind, violation.op.split()[0], *kinds
