"""Laws of visibility: what acts on the queue at once never overtakes what is still recorded."""

from collections.abc import Mapping

from gpusim.ops import Alloc
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.scene import STORAGE, About, Handler, Scene, accepted


class Visibility:
    """Holds each host write against the items that wait for a submit."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "write_buffer": self._write,
            accepted(Alloc): self._allocated,
        }

    def _write(self, about: About) -> None:
        if about["role"] != STORAGE:
            return
        scene, number = self._scene, about["buffer"]
        start, end = about["offset"], about["offset"] + len(about["data"])
        scene.checked["A2"] += 1
        scene.checked["A4"] += 1
        for item in scene.open:
            if item is scene.item or item.optional:
                continue
            for touched, low, high, writes in item.touches:
                if item.has_read and not writes:
                    continue
                if touched == number and low < end and start < high:
                    name, verb = scene.name_of(number), "writes" if writes else "reads"
                    scene.report(
                        laws.A4 if writes else laws.A2,
                        f"write to {name} reached the queue before {item}, which {verb} {name}, "
                        "was submitted",
                    )

    def _allocated(self, about: About) -> None:
        """An alloc that was accepted made a buffer of the device, of its own."""
        scene = self._scene
        op = scene.op
        assert isinstance(op, Alloc)
        scene.checked["A12"] += 1
        made = scene.made
        if made is None or made.size_bytes < op.size_bytes:
            scene.report(laws.A12, f"{op.buffer} was given no new buffer of {op.size_bytes} bytes")
