"""Every batching decision of the runtime, as data.

A Policy says how much is gathered, and what is pooled or cached.  The parts of the runtime
read the policy when they are made, and act on it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from operator import index
from typing import Any

from gpusim.errors import ProgramError, meant
from gpusim.limits import WORD_BYTES


class Uniforms(StrEnum):
    """Where the scalars of a dispatch are stored."""

    FRESH = "fresh"
    """A new buffer for each dispatch, destroyed once its batch is submitted."""
    POOLED = "pooled"
    """Pooled buffers, one for each position in the batch; the next batch uses them again (phase one
    of TVM's pull request 18871)."""
    CACHED = "cached"
    """Cached buffers, found by their content; a new one evicts the oldest (phase two of TVM's pull
    request 18871)."""
    RING = "ring"
    """One buffer for the runtime, written once for each batch and addressed by dynamic offsets."""


ENDLESS_BATCHES: Mapping[str, Any] = dict.fromkeys(
    ("batch_commands", "batch_bytes", "batch_groups", "first_batch")
)
"""The limits of a batch, all lifted."""
_LIMITS = (
    *ENDLESS_BATCHES,
    *("queued_write_bytes", "memory_budget_bytes", "wait_seconds", "debug_dispatch_limit"),
)
"""The fields that may be None."""


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

    A limit of None means "no limit".  A limit of 0 for a batch means "submit after every
    command".  ``ProgramError`` if a value is out of its range.
    """

    name: str = "custom"
    batch_commands: int | None = 128
    """Commands (dispatches and copies) after which a batch is submitted.  An op of two commands is
    never split, so a batch may hold one more command."""
    batch_bytes: int | None = None
    """Bytes (copied, read back and passed as uniforms) after which a batch is submitted."""
    batch_groups: int | None = 1 << 20
    """Launched workgroups after which a batch is submitted.  A GPU's watchdog resets the device if
    one submission works for too long, and nobody else can use the GPU before that submission ends.
    A grid that the GPU reads counts as no workgroups."""
    first_batch: int | None = 64
    """Commands of the first batch after a sync.  Each later batch holds twice as many as the one
    before, up to ``batch_commands``: so the GPU starts early, and batches grow while it is busy."""
    merge_passes: bool = True
    """One compute pass for dispatches in a row, instead of a pass for each."""
    flush_on_conflict: bool = True
    """A host write first submits the batch only if a recorded command touches the same bytes.  If
    False, it always submits the batch first."""
    staged_write_bytes: int = 4096
    """A host write of at most this many bytes is staged if it would otherwise submit the batch: a
    copy command, at the write's place in the batch, takes its bytes from the upload buffer."""
    upload_bytes: int = 1 << 16
    """Size of the upload buffer, which holds the bytes of staged writes.  A write for which it has
    no room left submits the batch instead."""
    queued_write_bytes: int | None = 1 << 24
    """Bytes of host writes that may wait for a submit; wgpu keeps these in host memory until the
    GPU has them.  A write that would exceed this limit submits first, and waits if twice as many
    bytes would be unfinished.  A longer write is split into pieces of this size.  A short write
    counts as at least a 4096th of the limit."""
    defer_frees: bool = True
    """A freed buffer that the batch touches is destroyed after the submit.  If False, a free
    submits the batch."""
    join_reads: bool = True
    """Readbacks are copied in their batch, and small ones share a map.  If False, each readback
    submits."""
    uniforms: Uniforms = Uniforms.RING
    uniform_slots: int = 1024
    """Slots of the pooled uniforms; the batch is submitted before a dispatch that lacks a slot."""
    uniform_cache: int = 512
    """Entries of the cached uniforms."""
    uniform_ring_bytes: int = 1 << 18
    """Size of the uniform ring; the batch is submitted before a dispatch that needs more bytes."""
    plan_cache: int = 4096
    """Entries of the cache of checked dispatches; 0 checks each dispatch again."""
    graph_cache: int = 64
    """Planned graphs that are kept, one for each set of buffers; 0 plans each replay again."""
    cache_bind_groups: bool = True
    bind_group_cache: int = 256
    """Entries of the bind-group cache."""
    shape_cache: int = 256
    """Entries of the cache of launch shapes, the least recently used dropped first."""
    staging_buffers: int = 4
    """The most readback buffers that are kept for reuse."""
    staging_page_bytes: int = 4096
    """Size of a readback buffer that small reads of a batch share."""
    staging_class_bytes: int = 1 << 20
    """The size of any other readback buffer is rounded up to a power of two if it is at most this,
    so that later reads of similar size can use it; larger ones have the exact size."""
    memory_budget_bytes: int | None = None
    """The most bytes that all live buffers may have together."""
    wait_seconds: int | None = None
    """Seconds after which a wait without its own timeout raises WaitTimedOut.  None waits as long
    as it takes, in one native call; with a timeout the wait polls repeatedly."""
    debug_dispatch_limit: int | None = None
    """Dispatches after this many are counted and dropped, to bisect a wrong result."""
    debug_submit_each: bool = False
    """Submit and wait for every dispatch, so that an error names the op that caused it."""

    def __post_init__(self) -> None:
        self._check_name(self.name)
        object.__setattr__(self, "uniforms", _uniforms(self.uniforms))
        for field in fields(self):
            if field.type is bool:
                self._check_flag(field.name)
        for name in (
            "first_batch",
            "uniform_slots",
            "uniform_cache",
            "uniform_ring_bytes",
            "bind_group_cache",
            "shape_cache",
            "staging_page_bytes",
            "wait_seconds",
        ):
            self._at_least(name, 1)
        self._at_least("queued_write_bytes", WORD_BYTES)
        for name in (
            "batch_commands",
            "batch_bytes",
            "batch_groups",
            "staged_write_bytes",
            "upload_bytes",
            "plan_cache",
            "graph_cache",
            "staging_buffers",
            "staging_class_bytes",
            "memory_budget_bytes",
            "debug_dispatch_limit",
        ):
            self._at_least(name, 0)

    def check_fits(self, max_buffer_bytes: int) -> None:
        """Raise ProgramError if the policy asks for a larger buffer than a device can have."""
        for name in ("uniform_ring_bytes", "upload_bytes", "staging_page_bytes"):
            if getattr(self, name) > max_buffer_bytes:
                raise ProgramError(
                    f"cannot make a runtime with {name}={getattr(self, name)} because a buffer of "
                    f"this device holds at most {max_buffer_bytes} bytes (probably a smaller "
                    "size will do: such a buffer is kept and reused)"
                )

    def _check_name(self, name: object) -> None:
        """Raise ProgramError for a name that ``parse_policy`` would not read as the same name."""
        words = name.split() if isinstance(name, str) else []
        is_preset_with_more = len(words) > 1 and words[0] in PRESETS
        if not words or " ".join(words) != name or "=" in name or is_preset_with_more:
            raise ProgramError(
                f"cannot make a policy with name={name!r} because the text of the policy could "
                "not be read again (probably another argument was meant)"
            )

    def _at_least(self, name: str, least: int) -> None:
        value = getattr(self, name)
        if value is None and name in _LIMITS:
            return
        try:
            number = index(value)
        except TypeError:
            number = least - 1
        if number < least or isinstance(value, bool):
            probably = (
                "None was meant, which is no limit" if name in _LIMITS else f"{least} will do"
            )
            raise ProgramError(
                f"cannot make a policy with {name}={value!r} because it is a whole number of at "
                f"least {least} (probably {probably})"
            )
        object.__setattr__(self, name, number)

    def _check_flag(self, name: str) -> None:
        value = getattr(self, name)
        if not isinstance(value, bool):
            raise ProgramError(
                f"cannot make a policy with {name}={value!r} because it is True or False "
                "(probably one of them was meant)"
            )

    def __str__(self) -> str:
        """The name, and every field that differs from the preset of that name."""
        base = PRESETS.get(self.name, Policy())
        changes = [
            f"{field.name}={getattr(self, field.name)}"
            for field in fields(self)
            if field.name != "name" and getattr(self, field.name) != getattr(base, field.name)
        ]
        return " ".join([self.name, *changes])


def _tvm(name: str, **decisions: Any) -> Policy:
    """A policy with the rules of TVM's pull request 18871.

    They make a pass for each dispatch, and flush before each host write, readback, free and sync.
    """
    rules: dict[str, Any] = {
        **ENDLESS_BATCHES,
        "merge_passes": False,
        "flush_on_conflict": False,
        "staged_write_bytes": 0,
        "defer_frees": False,
        "join_reads": False,
        "plan_cache": 0,
    }
    return Policy(name=name, **{**rules, **decisions})


_FRESH: dict[str, Any] = {
    "uniforms": Uniforms.FRESH,
    "cache_bind_groups": False,
    "staging_buffers": 0,
}

PRESETS: Mapping[str, Policy] = {
    policy.name: policy
    for policy in (
        _tvm("eager", batch_commands=0, **_FRESH),
        _tvm("lazy", **_FRESH),
        _tvm("pooled", uniforms=Uniforms.POOLED, cache_bind_groups=False),
        _tvm("cached", uniforms=Uniforms.CACHED),
        Policy(name="ring"),
    )
}
"""The named policies: no batching, lazy submission, the two phases of TVM's pull request 18871, and
``ring``."""


def policy_of(policy: object) -> Policy:
    """Returns ``policy`` itself, or reads it from the text that ``str`` makes of a policy.

    Raises:
        ProgramError: ``policy`` is neither a Policy nor a text that begins with a preset's name,
            or the text has a field or value that no policy has.
    """
    if isinstance(policy, Policy):
        return policy
    if isinstance(policy, str) and policy.partition(" ")[0] in PRESETS:
        return parse_policy(policy)
    raise ProgramError(
        f"cannot make a runtime with policy={policy!r} because that is neither a Policy nor one "
        f"of {', '.join(PRESETS)} (probably a misspelling)"
    )


def parse_policy(text: str) -> Policy:
    """Read what ``str(policy)`` wrote; ProgramError if a word is unknown or given twice."""
    if not text.split():
        raise ProgramError(
            f"cannot read a policy because it has no name (probably one of {', '.join(PRESETS)})"
        )
    words = text.split()
    named = next((at for at, word in enumerate(words) if "=" in word), len(words))
    named = 1 if words[0] in PRESETS else named
    name, changes = " ".join(words[:named]), words[named:]
    values: dict[str, Any] = {}
    known = [field.name for field in fields(Policy) if field.name != "name"]
    for change in changes:
        key, _, word = change.partition("=")
        if key not in known:
            probably = meant(key, known, "a misspelling")
            raise ProgramError(
                f"cannot read policy {text!r} because {key!r} is no field of a policy "
                f"(probably {probably})"
            )
        if key in values:
            raise ProgramError(
                f"cannot read policy {text!r} because it gives {key!r} twice (probably another "
                "field was meant)"
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
