"""Every batching decision of the runtime, as data.

A Policy says how much is gathered and what is pooled or cached.  It decides
nothing itself: the parts of the runtime read it once, when they are made.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum

from gpusim.errors import ProgramError


class Uniforms(StrEnum):
    """Where the scalars of a dispatch live."""

    FRESH = "fresh"
    """A new buffer a dispatch, destroyed once its batch is submitted."""
    POOLED = "pooled"
    """A pool by position in the batch, used again after the submit (TVM 18871, phase one)."""
    CACHED = "cached"
    """A cache by content, first in, first out (TVM 18871, phase two)."""


def _uniforms(word: str) -> Uniforms:
    try:
        return Uniforms(word)
    except ValueError:
        raise ProgramError(
            f"cannot make a policy with uniforms={word!r} because they are one of "
            f"{', '.join(Uniforms)} (probably a misspelling)"
        ) from None


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """Every batching decision of a runtime.

    A limit of None means "no limit" and a limit of 0 means "submit after every
    command"; a capacity is at least 1.  ``ProgramError`` where a value is out of
    its range.
    """

    name: str = "custom"
    batch_commands: int | None = None
    """Commands (dispatches and copies) after which a batch is submitted."""
    batch_bytes: int | None = None
    """Bytes copied, read back and passed as uniforms after which a batch is submitted."""
    uniforms: Uniforms = Uniforms.CACHED
    uniform_slots: int = 1024
    """Slots of the pooled uniforms; a batch that needs one more is submitted first."""
    uniform_cache: int = 512
    """Entries of the cached uniforms."""
    cache_bind_groups: bool = True
    bind_group_cache: int = 256
    """Entries of the bind-group cache."""
    shape_cache: int = 256
    """Entries of the cache of launch shapes, least recently used first out."""
    staging_buffers: int = 4
    """Readback buffers kept for reuse; 0 keeps none."""
    memory_budget_bytes: int | None = None
    """What the sizes of all live buffers may add up to."""
    debug_dispatch_limit: int | None = None
    """Dispatches after this many are counted and dropped, to bisect a wrong result."""
    debug_submit_each: bool = False
    """Submit and wait for every dispatch, so that an error names the op that caused it."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "uniforms", _uniforms(self.uniforms))
        for name in ("uniform_slots", "uniform_cache", "bind_group_cache", "shape_cache"):
            self._at_least(name, 1)
        for name in (
            "batch_commands",
            "batch_bytes",
            "staging_buffers",
            "memory_budget_bytes",
            "debug_dispatch_limit",
        ):
            self._at_least(name, 0)

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is not None and value < least:
            raise ProgramError(
                f"cannot make a policy with {name}={value} because it is at least {least} "
                "(probably None was meant, which is no limit)"
            )

    def __str__(self) -> str:
        """The name, then every field that differs from the preset of that name."""
        base = PRESETS.get(self.name, Policy())
        changes = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if field.name != "name" and getattr(self, field.name) != getattr(base, field.name)
        ]
        return " ".join([self.name, *changes])


PRESETS: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        Policy(
            name="eager",
            batch_commands=0,
            uniforms=Uniforms.FRESH,
            cache_bind_groups=False,
            staging_buffers=0,
        ),
        Policy(name="lazy", uniforms=Uniforms.FRESH, cache_bind_groups=False, staging_buffers=0),
        Policy(name="pooled", uniforms=Uniforms.POOLED, cache_bind_groups=False),
        Policy(name="cached"),
    )
}
"""The named policies: from a submit a command, to both phases of TVM 18871."""


def parse_policy(text: str) -> Policy:
    """Read what ``str(policy)`` wrote; ProgramError where a word is unknown."""
    name, *changes = text.split()
    values: dict[str, object] = {}
    for change in changes:
        key, _, word = change.partition("=")
        if key not in Policy.__slots__:
            raise ProgramError(
                f"cannot read policy {text!r} because {key!r} is no field of a policy "
                "(probably a misspelling)"
            )
        values[key] = _value(key, word)
    base = PRESETS.get(name, Policy(name=name))
    kept = {field.name: getattr(base, field.name) for field in fields(base)}
    return Policy(**{**kept, **values})


def _value(key: str, word: str) -> object:
    constants: dict[str, object] = {"None": None, "True": True, "False": False}
    if key == "uniforms":
        return _uniforms(word)
    try:
        return constants[word] if word in constants else int(word)
    except ValueError:
        raise ProgramError(
            f"cannot read policy field {key}={word} because it is no whole number "
            "(probably None was meant)"
        ) from None
