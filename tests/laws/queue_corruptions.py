"""Corruptions that break the laws A to C: the order of the queue, uniforms, and batches.

Each edits a sound trace so that it has one mistake.
"""

from collections.abc import Callable, Iterator
from itertools import pairwise

from gpusim.ops import Alloc, Flush, Sync, Write
from gpusim.trace import Event
from tests.laws.traces import Cut

Corrupted = Iterator[list[Event]]


def encodes(cut: Cut) -> Iterator[tuple[int, list[int]]]:
    """Each encoder, and where its commands are."""
    for at in cut.all("encode"):
        count = cut.events[at]["commands"]
        yield at, list(range(at + 1, at + 1 + count))


def pairs(cut: Cut) -> Iterator[tuple[int, int]]:
    """Commands that follow each other in a batch."""
    for _, commands in encodes(cut):
        yield from pairwise(commands)


def reads_too_early(cut: Cut) -> Corrupted:
    for one, other in pairs(cut):
        first, second = cut.events[one], cut.events[other]
        if second.about.get("target_role") == "staging" and (
            first.kind == "dispatch" and not first["kernel"].startswith("gpusim")
        ):
            yield cut.swapped(one, other)


def host_writes(cut: Cut) -> Iterator[tuple[int, int]]:
    """Each host write to a program's buffer that a submit made way for, and its encoder."""
    for at in cut.all("write_buffer", role="storage"):
        encoders = [place for place in cut.all("encode") if cut.op_of(at) < place < at]
        if encoders:
            yield at, encoders[0]


def overtakes_reader(cut: Cut) -> Corrupted:
    for at, encoder in host_writes(cut):
        number = cut.events[at]["buffer"]
        commands = [cut.events[place] for place in range(encoder, at)]
        ranges = [event["ranges"] for event in commands if event.kind == "dispatch"]
        read = any(bound[0] == number for bounds in ranges for bound in bounds[:-2])
        if read or any(event.about.get("source") == number for event in commands):
            yield cut.moved(at, encoder)


def overtakes_writer(cut: Cut) -> Corrupted:
    for at, encoder in host_writes(cut):
        number = cut.events[at]["buffer"]
        if any(cut.events[place].about.get("target") == number for place in range(encoder, at)):
            yield cut.moved(at, encoder)


def runs_before_write(cut: Cut) -> Corrupted:
    for one, other in pairs(cut):
        first, second = cut.events[one], cut.events[other]
        patched = first.about.get("kernel") == "gpusim_patch_words"
        if patched and second.about.get("kernel") != "gpusim_patch_words":
            yield cut.swapped(one, other)


def copies_other_bytes(cut: Cut) -> Corrupted:
    for at in cut.all("copy", target_role="storage"):
        yield cut.changed(at, source_offset=cut.events[at]["source_offset"] + 4)


def writes_beside(cut: Cut) -> Corrupted:
    for at in cut.all("write_buffer", role="storage"):
        event = cut.events[at]
        op = cut.events[cut.op_of(at)]["op"]
        if op.offset + len(op.data) < 60:
            yield cut.changed(at, data=event["data"] + b"\0\0\0\0")


def writes_other_bytes(cut: Cut) -> Corrupted:
    for at in cut.all("write_buffer", role="storage"):
        data = cut.events[at]["data"]
        yield cut.changed(at, data=data[:-1] + bytes([data[-1] ^ 1]))


def reads_part(cut: Cut) -> Corrupted:
    for at in cut.all("copy", target_role="staging"):
        size_bytes = cut.events[at]["size_bytes"]
        if size_bytes > 4:
            yield cut.changed(at, size_bytes=size_bytes - 4)


def allocates_nothing(cut: Cut) -> Corrupted:
    for at in cut.all("create_buffer", role="storage"):
        if type(cut.events[cut.op_of(at)]["op"]) is Alloc:
            yield cut.without(at)


def sees_other_scalars(cut: Cut) -> Corrupted:
    if cut.policy.uniforms != "ring":
        for at in cut.all("write_buffer", role="uniform"):
            event = cut.events[at]
            op = cut.events[cut.op_of(at)]["op"]
            if getattr(op, "kernel", None) == "affine":
                yield cut.changed(at, data=bytes([event["data"][0] ^ 1]) + event["data"][1:])


def shares_slot(cut: Cut) -> Corrupted:
    for _, commands in encodes(cut):
        affine = [at for at in commands if cut.events[at].about.get("kernel") == "affine"]
        for one, other in pairwise(affine):
            first, second = cut.events[one]["ranges"], cut.events[other]["ranges"]
            if first[-1] != second[-1]:
                yield cut.changed(other, ranges=(*second[:-1], first[-1]))


def rewrites_slot(cut: Cut) -> Corrupted:
    """A slot is written over once more, in a later op than that of the dispatch."""
    for encoder, commands in encodes(cut):
        place = cut.op_of(encoder)
        for at in commands:
            event = cut.events[at]
            if event.about.get("kernel") != "affine" or cut.policy.uniforms == "ring":
                continue
            op = cut.events[place]["op"]
            if type(op).__name__ == "Dispatch":
                continue
            number, offset, size_bytes = event["ranges"][-1]
            data = b"\xee" * size_bytes
            yield cut.inserted(
                place + 1,
                Event(
                    "write_buffer",
                    {"buffer": number, "role": "uniform", "offset": offset, "data": data},
                ),
            )


def keeps_uniforms(cut: Cut) -> Corrupted:
    many = 1 + max(cut.policy.uniform_slots, cut.policy.uniform_cache)
    made = [
        Event("create_buffer", {"buffer": 9000 + n, "role": "uniform", "size_bytes": 8})
        for n in range(many)
    ]
    for at in cut.all("op")[:2]:
        yield cut.inserted(at + 1, *made)


def binds_too_much(cut: Cut) -> Corrupted:
    for at in cut.all("dispatch", kernel="affine"):
        *buffers, (number, offset, size_bytes) = cut.events[at]["ranges"]
        yield cut.changed(at, ranges=(*buffers, (number, offset, size_bytes + 4)))


def shifts_slot(cut: Cut) -> Corrupted:
    for at in cut.all("dispatch", kernel="affine"):
        *buffers, (number, offset, size_bytes) = cut.events[at]["ranges"]
        yield cut.changed(at, ranges=(*buffers, (number, offset + 4, size_bytes)))


def submits_twice(cut: Cut) -> Corrupted:
    for encoder, commands in encodes(cut):
        for at in commands[:1]:
            events = cut.inserted(at, cut.events[at])
            event = events[encoder]
            events[encoder] = Event("encode", {**event.about, "commands": len(commands) + 1})
            yield events


def submits_nothing(cut: Cut) -> Corrupted:
    for at in cut.all("submit"):
        empty = (Event("encode", {"reason": "asked", "commands": 0}), Event("submit", {}))
        yield cut.inserted(at + 1, *empty)


def exceeds_limit(cut: Cut) -> Corrupted:
    """Batches in a row become one."""
    limit = cut.policy.batch_commands
    if limit is None or limit > 10:
        return
    places = list(encodes(cut))
    for (first, held), (second, more) in pairwise(places):
        if len(held) + len(more) > max(limit, 1):
            events = [
                event
                for at, event in enumerate(cut.events)
                if at != second and not (event.kind == "submit" and first < at < second)
            ]
            about = {**events[first].about, "commands": len(held) + len(more)}
            events[first] = Event("encode", about)
            yield events


def launches_too_much(cut: Cut) -> Corrupted:
    limit = cut.policy.batch_groups
    if limit is None or limit > 10:
        return
    for _, commands in encodes(cut):
        if len(commands) > 2 and cut.events[commands[0]].kind == "dispatch":
            yield cut.changed(commands[0], groups=(limit, 1, 1))


def queues_too_much(cut: Cut) -> Corrupted:
    for at in cut.all("encode", reason="queued"):
        if not cut.events[at]["commands"]:
            yield cut.without(at, at + 1)


def drains_nothing(cut: Cut) -> Corrupted:
    for at in cut.all("drain"):
        if isinstance(cut.events[cut.op_of(at)]["op"], Write):
            yield cut.without(at, at + 1)


def submits_again(cut: Cut) -> Corrupted:
    for at in cut.all("submit"):
        yield cut.inserted(at, cut.events[at])


def gives_wrong_reason(cut: Cut) -> Corrupted:
    for at in cut.all("encode"):
        op = cut.events[cut.op_of(at)]["op"]
        if cut.events[at]["commands"]:
            yield cut.changed(at, reason="write" if type(op) is not Write else "free")


def forgets_batch(cut: Cut) -> Corrupted:
    for at in cut.all("op"):
        if type(cut.events[at]["op"]) not in (Flush, Sync):
            continue
        end = cut.all("outcome", position=cut.events[at]["position"])[0]
        encoders = [place for place in cut.all("encode", reason="asked") if at < place < end]
        encoders += [place for place in cut.all("encode", reason="sync") if at < place < end]
        for place in encoders:
            if cut.events[place + 1].kind == "dispatch":
                yield cut.without(*range(at + 1, end))


CORRUPTIONS: dict[str, tuple[Callable[[Cut], Corrupted], ...]] = {
    "A1": (reads_too_early,),
    "A2": (overtakes_reader,),
    "A3": (runs_before_write,),
    "A4": (overtakes_writer,),
    "A5": (copies_other_bytes,),
    "A8": (writes_beside,),
    "A9": (writes_other_bytes,),
    "A11": (reads_part,),
    "A12": (allocates_nothing,),
    "B1": (sees_other_scalars,),
    "B2": (shares_slot,),
    "B3": (rewrites_slot,),
    "B5": (keeps_uniforms,),
    "B6": (binds_too_much,),
    "B7": (shifts_slot,),
    "C1": (submits_twice,),
    "C2": (submits_nothing,),
    "C4": (exceeds_limit, launches_too_much, queues_too_much, drains_nothing),
    "C5": (submits_again,),
    "C7": (gives_wrong_reason,),
    "C9": (forgets_batch,),
}
"""By the name of the law that each breaks."""
