"""A case and its transformations, judged: run transformed, and compared with the run as it is."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from gpusim.kernels import BUILTIN, Kernel
from properties.model.case import Case, Image, Transformation
from properties.model.execution import Execution
from properties.model.failure import Failure
from properties.oracles.metamorphic.compare import compare_image
from properties.oracles.metamorphic.image import unchanged
from properties.oracles.promised import is_promised


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


def judge_relations(original: Execution, again: Callable[[Case], Execution]) -> Failure | None:
    """Where the case of ``original`` and its image under its transformations part.

    ``again`` executes the image.  None as well where a transformation does not
    apply, and where the image asks for more than the target promises.
    """
    case, kernels = original.case, original.kernels
    image = transform(case.plain, case.transformations, kernels)
    if image is None:
        return None
    limits = image.case.limits(original.limits)
    if not is_promised(image.case.program, original.capabilities, kernels, limits):
        return None
    failure = compare_image(image, original, again(image.case))
    if failure is None:
        return None
    words = "; ".join(transformation.words for transformation in case.transformations)
    return replace(failure, notes=(*failure.notes, f"with: {words}"))


def signature(transformations: Sequence[Transformation], failure: Failure) -> tuple[str, ...]:
    """What tells failures apart: the kinds of transformations, and where it first shows."""
    kinds = sorted({transformation.name for transformation in transformations})
    return failure.trait, failure.op.split()[0], *kinds
