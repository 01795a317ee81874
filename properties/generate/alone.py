"""Programs that compare one kernel with its meaning: one dispatch over buffers just written.

A session begins with these programs, for each kernel of the user.  So a kernel that means one thing
in WGSL and another in NumPy is found before it makes other programs fail.
"""

from gpusim.kernels import OFFERED, Kernels
from gpusim.limits import WORD_BYTES, Limits
from gpusim.program import Program
from properties.generate.choices import SeededChoices
from properties.generate.draft import Draft
from properties.generate.fitting import fitted
from properties.generate.floats import with_special_words
from properties.generate.operands import Signature, draw_scalars, drawable
from properties.model.capabilities import Capabilities

_ROUNDS = 2
"""The number of programs for each kernel; each program has other scalars."""
_WORDS = 65
"""Words of a buffer: one more than a usual workgroup, of 64 invocations, covers."""


def alone(
    seed: int, kernels: Kernels, limits: Limits, promises: Capabilities
) -> tuple[Program, ...]:
    """The programs for the kernels that are not built in, within ``limits`` and ``promises``."""
    promised = kernels.promised(promises.kernels)
    own = [each for each in drawable(promised) if each.name not in OFFERED]
    drawn = (
        _special(_program(seed, n, each, limits), promised, each.name, n)
        for n in range(_ROUNDS)
        for each in own
    )
    return tuple(fitted(program, promises, promised, limits) for program in drawn)


def _special(program: Program, kernels: Kernels, name: str, number: int) -> Program:
    """``program`` with special floats, in the last round of a kernel that takes them."""
    takes = kernels[name].special_floats and number == _ROUNDS - 1
    return with_special_words(program, kernels) if takes else program


def _program(seed: int, number: int, signature: Signature, limits: Limits) -> Program:
    choices = SeededChoices(f"alone {seed}/{number} {signature.name}")
    draft = Draft(limits)
    size = min(_WORDS * WORD_BYTES, limits.max_binding_bytes // WORD_BYTES * WORD_BYTES)
    buffers = tuple(draft.alloc(size, real) for real in signature.floats)
    for buffer in buffers:
        draft.write(buffer, 0, size)
    draft.sync()
    groups = -(-size // WORD_BYTES // signature.group_size)
    grid = min(groups, signature.max_groups, limits.max_groups_per_dimension), 1, 1
    draft.dispatch(signature, buffers, draw_scalars(choices, signature, number), grid)
    for buffer in buffers:
        draft.read(buffer, 0, size)
    draft.sync()
    return Program(tuple(draft.ops))
