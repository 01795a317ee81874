"""What one command does to bytes, whichever kind of command it is.

The runtime's own kernels are read through their uniforms, which a host write
put there, so that a copy in bytes and a copy in words look alike.
"""

import struct
from collections.abc import Mapping
from typing import Any, NamedTuple

from gpusim.kernels import COPY_BYTES, PATCH_WORDS
from gpusim.limits import WORD_BYTES
from properties.oracles.laws.scene import STAGING, Scene

_PATCH = struct.Struct("<6I")
_COPY = struct.Struct("<3I")
_MASKS = {
    ((1 << 8 * count) - 1) << 8 * first: (first, count)
    for first in range(WORD_BYTES)
    for count in range(1, WORD_BYTES + 1 - first)
}
"""The bytes of a word that a mask keeps: the first, and how many."""


class CopyPiece(NamedTuple):
    """Bytes from one buffer to another; ``exact`` where no padding may follow."""

    source: int
    source_offset: int
    target: int
    target_offset: int
    size_bytes: int
    exact: bool


class WritePiece(NamedTuple):
    """Bytes of the host's, each run with its offset in the target."""

    target: int
    runs: tuple[tuple[int, bytes], ...]


class ReadPiece(NamedTuple):
    """Bytes to a staging buffer."""

    source: int
    source_offset: int
    staging: int
    staging_offset: int
    size_bytes: int


Piece = CopyPiece | WritePiece | ReadPiece


def piece_of(kind: str, about: Mapping[str, Any], scene: Scene) -> Piece | None:
    """What a copy, or a dispatch of one of the runtime's own kernels, does; None of no sense."""
    if kind == "copy":
        return _of_copy(about, scene)
    uniforms = content_of(about["ranges"][-1], scene)
    if uniforms is None:
        return None
    if about["kernel"] == COPY_BYTES.name and len(uniforms) == _COPY.size:
        source_at, target_at, size_bytes = _COPY.unpack(uniforms)
        source, target = about["ranges"][:2]
        return CopyPiece(
            source[0], source[1] + source_at, target[0], target[1] + target_at, size_bytes, True
        )
    if about["kernel"] == PATCH_WORDS.name and len(uniforms) == _PATCH.size:
        return _of_patch(about["ranges"][0], _PATCH.unpack(uniforms))
    return None


def content_of(bound: tuple[int, int, int], scene: Scene) -> bytes | None:
    """What host writes put into a range of a buffer that only they write."""
    number, offset, size_bytes = bound
    known = scene.buffers.get(number)
    if known is None or known.content is None:
        return None
    return bytes(known.content[offset : offset + size_bytes])


def _of_copy(about: Mapping[str, Any], scene: Scene) -> Piece | None:
    source, size_bytes = about["source"], about["size_bytes"]
    if about["target_role"] == STAGING:
        return ReadPiece(
            source, about["source_offset"], about["target"], about["target_offset"], size_bytes
        )
    known = scene.buffers.get(source)
    if known is not None and known.content is not None:
        start = about["source_offset"]
        data = bytes(known.content[start : start + size_bytes])
        return WritePiece(about["target"], ((about["target_offset"], data),))
    return CopyPiece(
        source,
        about["source_offset"],
        about["target"],
        about["target_offset"],
        size_bytes,
        False,
    )


def _of_patch(bound: tuple[int, int, int], words: tuple[int, ...]) -> WritePiece | None:
    runs = []
    for at, mask, value in (words[:3], words[3:]):
        if mask == 0:
            continue
        if mask not in _MASKS:
            return None
        first, count = _MASKS[mask]
        data = value.to_bytes(WORD_BYTES, "little")[first : first + count]
        runs.append((bound[1] + at * WORD_BYTES + first, data))
    return WritePiece(bound[0], tuple(runs))
