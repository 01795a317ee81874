"""Laws of uniforms: what lies in a dispatch's slot at the submit is what its op said."""

from collections.abc import Mapping

from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import ExpectedDispatch
from properties.oracles.laws.pieces import content_of
from properties.oracles.laws.scene import UNIFORM, About, Handler, Scene

Slot = tuple[int, int, int]
"""A uniform buffer's number, an offset and a size in bytes."""


class UniformLaws:
    """Looks into the uniform buffers each time a batch is submitted."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._alignment = scene.setting.limits.uniform_offset_alignment_bytes
        self._written_at: dict[int, int] = {}
        """The op under way when a uniform buffer was last written, by number."""

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {"write_buffer": self._write, "submit": self._submit}

    def _write(self, about: About) -> None:
        if about["role"] == UNIFORM:
            self._written_at[about["buffer"]] = self._scene.position

    def _submit(self, about: About) -> None:
        slots: dict[Slot, bytes] = {}
        for run, command in self._scene.runs:
            if run.kernel.uniform_bytes:
                slot = command["ranges"][-1]
                payload = run.payload()
                self._check(run, slot, payload, slots)
                slots.setdefault(slot, payload)
        self._scene.checked["B2"] += len(slots)
        if len(slots) > 1:
            self._check_overlaps(slots)

    def _check(
        self, run: ExpectedDispatch, slot: Slot, payload: bytes, slots: dict[Slot, bytes]
    ) -> None:
        report, checked = self._scene.report, self._scene.checked
        number, offset, size_bytes = slot
        checked["B1"] += 1
        checked["B3"] += 1
        checked["B6"] += 1
        if size_bytes != len(payload):
            report(laws.B6, f"{run} binds {size_bytes} bytes for a payload of {len(payload)}")
        elif slots.get(slot, payload) != payload:
            report(laws.B2, f"{run} shares its slot {slot} with a dispatch of other scalars")
        elif content_of(slot, self._scene) != payload:
            written_at = self._written_at.get(number, -1)
            if written_at > run.position:
                report(
                    laws.B3, f"the slot of {run} was written at op {written_at}, before its submit"
                )
            else:
                report(laws.B1, f"slot {slot} of {run} does not hold the scalars of its call")
        if offset:
            checked["B7"] += 1
            if offset % self._alignment:
                report(laws.B7, f"{run} has its slot at {offset}, no multiple of {self._alignment}")

    def _check_overlaps(self, slots: dict[Slot, bytes]) -> None:
        """Two slots of a batch that are not the same one have no byte in common."""
        end_of: tuple[int, int] = (0, 0)
        for number, offset, size_bytes in sorted(slots):
            if number == end_of[0] and offset < end_of[1]:
                self._scene.report(
                    laws.B7, f"two slots of a batch overlap in uniform buffer {number} at {offset}"
                )
            end_of = number, offset + size_bytes
