"""Laws of order: what reaches the queue is what the ops asked for, once and in their order."""

from collections.abc import Mapping

from gpusim.ops import HOST_WRITES, Flush, Replay, Sync
from properties.oracles.laws import catalogue as laws
from properties.oracles.laws.expected import (
    ExpectedCopy,
    ExpectedDispatch,
    ExpectedRead,
    ExpectedWrite,
    Item,
    least_piece_bytes,
)
from properties.oracles.laws.matching import (
    Command,
    blame,
    command_of,
    inside_bytes,
    is_dispatch,
    meet,
    meets,
    resembles,
    write_fault,
)
from properties.oracles.laws.pieces import ReadPiece
from properties.oracles.laws.scene import STORAGE, About, Handler, Scene, accepted

_LAW_OF = {
    ExpectedDispatch: laws.E5,
    ExpectedCopy: laws.A5,
    ExpectedWrite: laws.A3,
    ExpectedRead: laws.A1,
}
"""What is checked where a command carries out an item of a kind."""


class Order:
    """Holds each submitted command against the first op that waits for one."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._index = 0
        """Which command of the batch is looked at."""

    def handlers(self) -> Mapping[str, Handler]:
        """See ``Watcher``."""
        return {
            "dispatch": self._dispatch,
            "copy": self._copy,
            "submit": self._submit,
            "write_buffer": self._write,
            "raised": self._raised,
            **{accepted(kind): self._wrote for kind in HOST_WRITES},
            accepted(Flush): self._flushed,
            accepted(Sync): self._flushed,
        }

    def _dispatch(self, about: About) -> None:
        self._scene.batch.append(("dispatch", about))

    def _copy(self, about: About) -> None:
        self._scene.batch.append(("copy", about))

    def _submit(self, about: About) -> None:
        scene = self._scene
        scene.runs, scene.carried = [], []
        scene.checked["C1"] += len(scene.batch)
        for self._index, (kind, command) in enumerate(scene.batch):
            if kind != "dispatch" or not self._meet_dispatch(command):
                self._meet(command_of(kind, command, scene))

    def _meet_dispatch(self, about: About) -> bool:
        """The common case: a dispatch that is just what the first op waits for."""
        scene = self._scene
        item = scene.open[0] if scene.open else None
        if type(item) is not ExpectedDispatch or not is_dispatch(item, about):
            return False
        item.started = True
        scene.open.popleft()
        scene.runs.append((item, about))
        scene.carried.append((item, self._index))
        scene.checked["E5"] += 1
        return True

    def _meet(self, command: Command) -> None:
        scene, waiting = self._scene, self._scene.open
        while waiting and waiting[0].optional and not meets(waiting[0], command, scene):
            waiting.popleft()
        for item in waiting:
            if not meets(item, command, scene):
                continue
            if item is not waiting[0]:
                self._overtook(item, command)
            elif item.optional:
                self._excuse_alike(command)
            self._carry_out(item, command)
            return
        if not self._is_fence(command):
            self._unasked(command)

    def _excuse_alike(self, command: Command) -> None:
        """What an op that failed half way may have recorded cannot be told from its like's."""
        for item in self._scene.open:
            item.optional = item.optional or meets(item, command, self._scene)

    def _carry_out(self, item: Item, command: Command) -> None:
        scene = self._scene
        item.started = True
        scene.checked[_LAW_OF[type(item)].name] += 1
        if type(item) is ExpectedRead:
            scene.checked["A11"] += 1
        meet(item, command, scene)
        if item.left <= 0:
            scene.open.remove(item)
            scene.carried.append((item, self._index))

    def _overtook(self, item: Item, command: Command) -> None:
        first = self._scene.open[0]
        law = (
            laws.A1
            if type(item) is ExpectedRead
            else laws.A3
            if type(first) is ExpectedWrite
            else laws.C1
        )
        self._scene.report(
            law, f"{item} was submitted before {first}, though {first} was issued before {item}"
        )

    def _is_fence(self, command: Command) -> bool:
        """Whether it is the read by which a sync waits: of nothing that a program knows."""
        scene = self._scene
        if not isinstance(command.piece, ReadPiece):
            return False
        source = scene.buffers.get(command.piece.source)
        if source is None or source.role != STORAGE or source.user_bytes >= 0:
            return False
        return type(scene.op) is Sync or scene.is_closing or scene.policy.debug_submit_each

    def _unasked(self, command: Command) -> None:
        """A command that no op waits for just so: say what is nearest, and take it for that."""
        scene = self._scene
        waiting = scene.open
        item = next((item for item in waiting if resembles(item, command)), None)
        if item is None:
            scene.report(
                laws.C1, f"{command} was submitted, which no op asked for, or asked for once more"
            )
            return
        law = blame(item, command)
        scene.report(law, f"{command} was submitted for {item}, which asked for something else")
        waiting.remove(item)

    def _write(self, about: About) -> None:
        """A host write to a program's buffer carries just the bytes of the op under way."""
        scene, item = self._scene, self._scene.item
        if about["role"] != STORAGE:
            return
        start, data = about["offset"], about["data"]
        if type(item) is not ExpectedWrite or item.target.number != about["buffer"]:
            name = scene.name_of(about["buffer"])
            scene.report(laws.A9, f"{len(data)} bytes were written to {name}, though no op did so")
            return
        scene.checked["A8"] += 1
        scene.checked["A9"] += 1
        law = write_fault(item, start, data)
        if law is not None:
            scene.report(law, f"{len(data)} bytes at {start} are not those of {item}")
        item.left -= inside_bytes(item, start, data)
        item.wrote(start, start + len(data))
        item.started = True

    def _raised(self, about: About) -> None:
        """Nothing more is expected of an op that raised, or maybe something if it failed."""
        scene = self._scene
        for item in reversed(scene.items):
            if not scene.open or scene.open[-1] is not item:
                return
            # Of a replay, what was not submitted by then is taken back.
            whole = type(scene.op) is Replay or not self._may_be_half_done(item)
            if scene.failed_verb and not whole:
                item.optional = True
            else:
                scene.open.pop()

    def _wrote(self, about: About) -> None:
        """A write that the queue has already is not waited for."""
        scene, item = self._scene, self._scene.item
        if item is not None and item.left <= 0 and scene.open and scene.open[-1] is item:
            scene.open.pop()

    def _flushed(self, about: About) -> None:
        scene = self._scene
        scene.checked["C9"] += 1
        left = [item for item in scene.open if not item.optional]
        if left and not scene.is_lost:
            scene.report(laws.C9, f"{left[0]} was accepted and is still not submitted")
        scene.open.clear()

    def _may_be_half_done(self, item: Item) -> bool:
        """Whether an op that failed may have recorded some of its commands; most have but one."""
        limits = self._scene.setting.limits
        if type(item) is ExpectedCopy:
            return item.source is item.target or item.op.size_bytes > least_piece_bytes(limits)
        return type(item) is ExpectedWrite and item.target.size_bytes > limits.max_binding_bytes
