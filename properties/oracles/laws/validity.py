"""Laws of valid use: what WebGPU would refuse, or use after its end, never reaches the driver."""

from collections.abc import Mapping

from gpusim.limits import WORD_BYTES
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import ExpectedDispatch
from properties.oracles.laws.scene import STORAGE, UNIFORM, About, Handler, Known, Scene


class Validity:
    """Holds each call against WebGPU's rules for it, at the moment in which they count."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        limits = scene.setting.limits
        self._most_bytes = limits.max_buffer_bytes
        self._most_bound_bytes = limits.max_binding_bytes
        self._most_groups = limits.max_groups_per_dimension
        self._alignments = {
            STORAGE: limits.storage_offset_alignment_bytes,
            UNIFORM: limits.uniform_offset_alignment_bytes,
        }
        self._destroyed_at: dict[int, int] = {}

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "create_buffer": self._create,
            "destroy_buffer": self._destroy,
            "write_buffer": self._write,
            "create_bind_group": self._bind,
            "submit": self._submit,
        }

    def _create(self, about: About) -> None:
        size_bytes = about["size_bytes"]
        self._scene.checked["G4"] += 1
        if size_bytes <= 0 or size_bytes % WORD_BYTES:
            self._illegal(f"a buffer of {size_bytes} bytes is made")

    def _destroy(self, about: About) -> None:
        self._destroyed_at[about["buffer"]] = self._scene.position

    def _write(self, about: About) -> None:
        offset, size_bytes = about["offset"], len(about["data"])
        self._scene.checked["G4"] += 1
        if offset % WORD_BYTES or size_bytes % WORD_BYTES:
            self._illegal(f"{size_bytes} bytes are written at {offset}, which is no whole words")
        self._check_range(about["buffer"], offset, size_bytes, "is written")

    def _bind(self, about: About) -> None:
        for number, offset, size_bytes in about["ranges"]:
            known = self._check_range(number, offset, size_bytes, "is bound")
            if known is None:
                continue
            is_storage = known.role == STORAGE
            if size_bytes <= 0 or (is_storage and size_bytes % WORD_BYTES):
                self._illegal(f"{size_bytes} bytes of {self._scene.name_of(number)} are bound")
            if is_storage and size_bytes > self._most_bound_bytes:
                self._illegal(f"{size_bytes} bytes are bound, and {self._most_bound_bytes} at most")
            if offset % self._alignments.get(known.role, 1):
                self._illegal(f"{self._scene.name_of(number)} is bound at {offset}, unaligned")

    def _submit(self, about: About) -> None:
        scene = self._scene
        scene.checked["G4"] += len(scene.batch)
        scene.checked["F4"] += len(scene.batch)
        scene.checked["E6"] += len(scene.runs)
        for kind, command in scene.batch:
            if kind == "dispatch":
                scene.checked["E3"] += 1
                self._check_dispatch(command)
            else:
                self._check_copy(command)

    def _check_dispatch(self, about: About) -> None:
        live, ranges = self._scene.live, about["ranges"]
        numbers = set()
        for number, offset, size_bytes in ranges:
            numbers.add(number)
            known = live.get(number)
            if known is None:
                self._dead(number, self._run_of(about))
            elif offset + size_bytes > known.size_bytes:
                self._illegal(f"{self._scene.name_of(number)} is bound past its end")
        if len(numbers) < len(ranges):
            self._check_aliases(about, [number for number, _, _ in ranges])
        if max(about["groups"]) > self._most_groups:
            self._illegal(f"{about['kernel']} is dispatched over {about['groups']} workgroups")

    def _check_aliases(self, about: About, numbers: list[int]) -> None:
        kernel = self._scene.setting.kernel(about["kernel"])
        if kernel is None:
            return
        for number, written in zip(numbers, kernel.writes, strict=False):
            if written and numbers.count(number) > 1:
                self._illegal(
                    f"{self._scene.name_of(number)} is bound writable to {kernel.name} and again"
                )

    def _check_copy(self, about: About) -> None:
        source, target = about["source"], about["target"]
        start, place, size_bytes = (
            about["source_offset"],
            about["target_offset"],
            about["size_bytes"],
        )
        if start % WORD_BYTES or place % WORD_BYTES or size_bytes % WORD_BYTES:
            self._illegal(f"{size_bytes} bytes are copied from {start} to {place}: no whole words")
        if source == target:
            self._illegal(f"{self._scene.name_of(source)} is copied to itself")
        self._check_range(source, start, size_bytes, "is copied from")
        self._check_range(target, place, size_bytes, "is copied to")

    def _check_range(self, number: int, offset: int, size_bytes: int, what: str) -> Known | None:
        known = self._scene.live.get(number)
        if known is None:
            self._dead(number, None)
        elif offset < 0 or offset + size_bytes > known.size_bytes:
            self._illegal(f"{self._scene.name_of(number)} {what} past its end")
        return known

    def _run_of(self, about: About) -> ExpectedDispatch | None:
        """The op that a dispatch of the batch carries out, if any."""
        return next((run for run, command in self._scene.runs if command is about), None)

    def _dead(self, number: int, run: ExpectedDispatch | None) -> None:
        """A destroyed buffer is used: whose fault is it?"""
        scene = self._scene
        if number not in scene.buffers:
            self._illegal(f"buffer {number} is used, which was never made")
            return
        known, law = scene.buffers[number], laws.F4
        if run is not None and run.position > self._destroyed_at.get(number, 0):
            law = laws.E3
        elif known.role == UNIFORM:
            law = laws.E6
        scene.report(
            law,
            f"{scene.name_of(number)} was destroyed at op {self._destroyed_at.get(number)}, before "
            f"{run or 'a command'}, which uses it, was submitted",
        )

    def _illegal(self, argument: str) -> None:
        self._scene.report(laws.G4, argument)
