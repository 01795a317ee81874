"""Mistakes in host writes that keep their place in the batch."""

from typing import Any

from gpusim.runtime.batch import Batch, Uploads
from gpusim.runtime.commands import DeviceBuffer
from gpusim.runtime.parts import Parts
from properties.mutants.mutant import Mutant, mutant


class UploadsShareOnePlace(Uploads):
    """Every staged write of a batch is copied from the start of the upload buffer."""

    def take(self, words: bytes | memoryview, batch: Batch) -> tuple[DeviceBuffer, int]:
        return super().take(words, batch)[0], 0


class UploadAcceptsAll(Uploads):
    """A write is staged whether the upload buffer has room for it or not."""

    def accepts(self, batch: Batch, size_bytes: int) -> bool:
        return self._most_bytes > 0


class UploadWrittenAtTake(Uploads):
    """Staged bytes are queued when they are taken, before the batch that still needs the last."""

    def take(self, words: bytes | memoryview, batch: Batch) -> tuple[DeviceBuffer, int]:
        buffer, _ = super().take(words, batch)
        self._driver.write_buffer(buffer, 0, words)
        batch.upload_data.clear()
        return buffer, 0


class UploadKeepsFirst(Uploads):
    """The upload buffer is not written again for a batch whose staged bytes are as many."""

    def before_submit(self, batch: Batch) -> None:
        if len(batch.upload_data) != self._written:
            super().before_submit(batch)
        self._written = len(batch.upload_data) or self._written

    _written = 0


def _uploads(broken: type[Uploads], **about: Any) -> Mutant:
    return mutant(broken, parts=Parts(uploads=broken), **about)


MUTANTS = (
    _uploads(UploadsShareOnePlace),
    _uploads(UploadAcceptsAll),
    _uploads(UploadWrittenAtTake),
    _uploads(UploadKeepsFirst, hard=True),
)
