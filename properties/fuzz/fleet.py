"""A session on a Ray cluster: each block is a task, and the head writes the results into a corpus.

Ray starts the processes, places the tasks, notices what died and runs the tasks again.  The head is
the process of the command line.  Its results are a corpus, so resuming, merging and reporting work
as for shards.  Ray is loaded only here, since gpusim does not need it.
"""

import os
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from gpusim.devices import BEST, find_adapter
from gpusim.errors import GpusimError, NoDevice
from properties.arguments import UsageError
from properties.fuzz.blocks import Block, Runner, blocks_of
from properties.fuzz.corpus import (
    BlockResult,
    Corpus,
    FoundBug,
    Identity,
    KnownResult,
    as_text,
    from_text,
    identity_of,
)
from properties.fuzz.engine import Watch
from properties.fuzz.loading import is_ours, load_kernels, load_target
from properties.fuzz.settings import Settings
from properties.fuzz.status import REFRESH_SECONDS, Machine, write_status
from properties.fuzz.union import Union, union

LOCAL = "local"
"""The address that starts a cluster on this machine, for as long as the session runs."""
_STORE_BYTES = 80 << 20
"""The size of Ray's object store, a little over the least that Ray takes; results are small."""
_DEALT_AGAIN = 1000
"""The most times that a block is dealt again if its worker or node dies."""
_AHEAD = 2
"""How many blocks are dealt at a time for each place.  A place is a processor of the cluster that
can run a block.  If two are dealt, the place need not wait for the head after the first."""
PAGE = "status.html"
"""The name of the session's page, in the folder of the corpus."""
_WAIT_SECONDS = 0.2
_ANSWER_SECONDS = 10.0


def fuzz_fleet(settings: Settings, watch: Watch) -> Union:
    """On ``settings.fleet``, run the blocks that the corpus lacks; returns the corpus's union.

    ``settings.fleet`` is the address of a cluster, or ``LOCAL``.  ``watch`` is called with the
    session so far.

    Raises:
        UsageError: Ray is not installed, or the corpus belongs to another session.
        NoDevice: no cluster answers at the address, or a node has no device of that name.
        ProgramError: the kernels, or what is judged, cannot be loaded on a node.
    """
    ray = _ray()
    folder = settings.corpus or Path()
    corpus = Corpus(folder)
    # Each machine may have another best device, so the head decides which one is meant.
    device = find_adapter(BEST).name if settings.device == BEST else settings.device
    load_kernels(settings.kernels)
    if not is_ours(load_target(settings.target)):
        settings.refuse_ignored()
    interrupted = False
    with _cluster(ray, settings):
        corpus.join(identity_of(settings, device))
        head = _Head(ray, replace(settings, device=device), corpus, watch)
        try:
            head.run()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            head.close()
    whole = union([folder], settings)
    whole.session.interrupted = interrupted
    return whole


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError:
        raise UsageError(
            "cannot take --fleet because Ray is not installed (probably `pip install "
            "'gpusim[fleet]'` is missing; --shard I/N does without it)"
        ) from None
    return ray


@contextmanager
def _cluster(ray: Any, settings: Settings) -> Iterator[None]:
    """A connection to the cluster; a cluster of this machine alone ends with the ``with`` block."""
    about: dict[str, Any] = {"address": settings.fleet}
    if settings.fleet == LOCAL:
        about |= {
            "num_cpus": settings.workers,
            "object_store_memory": _STORE_BYTES,
            "include_dashboard": False,
        }
    elif settings.workers != 1:
        raise UsageError(
            f"cannot take {settings.source('workers')} because each processor of a cluster runs "
            f"a block (probably --fleet {LOCAL} is meant)"
        )
    _refuse_silent(settings.fleet)
    if not ray.is_initialized():
        try:
            ray.init(**about, log_to_driver=False, logging_level="ERROR")
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise NoDevice(
                f"cannot run on the fleet {settings.fleet} because Ray says: {error} (probably "
                "no `ray start --head` runs there)"
            ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _refuse_silent(address: str) -> None:
    """Raise NoDevice if nothing answers at HOST:PORT; Ray would try for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdecimal() or "/" in host:
        return
    try:
        socket.create_connection((host, int(port)), timeout=_ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise NoDevice(
            f"cannot run on the fleet {address} because nothing answers there: {error} (probably "
            "no `ray start --head` runs there, or it has another port)"
        ) from None


class _Head:
    """Deals the blocks that are left, and writes what comes back."""

    def __init__(self, ray: Any, settings: Settings, corpus: Corpus, watch: Watch) -> None:
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray, self._settings, self._corpus, self._watch = ray, settings, corpus, watch
        done = corpus.done
        self._left = [block for block in blocks_of(settings) if block.first not in done]
        self._dealt: dict[Any, Block] = {}
        self._had_enough = False
        """Whether a limit ended a block; such a block is left for the next session."""
        self._start = time.monotonic()
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        # The board is on the head's node, because a finding must outlive the node that found it.
        board = ray.remote(_Board).options(num_cpus=0, scheduling_strategy=here)
        self._board = board.remote([as_text(found) for _, found in corpus.findings()])
        self._taken = 0
        self._whole = union([corpus.folder], settings)
        self._before_seconds = self._whole.session.seconds
        self._blocks_of: Counter[str] = Counter()
        """How many blocks each node has run."""
        self._written = float("-inf")
        self._task, self._identity = ray.remote(_run_block), identity_of(settings, settings.device)

    def run(self) -> None:
        """Run until every block is done, enough was found, or the time is over."""
        while (self._left or self._dealt) and not self._has_enough():
            if self._is_late():
                self._left.clear()
            self._deal()
            ready, _ = self._ray.wait(list(self._dealt), num_returns=1, timeout=_WAIT_SECONDS)
            self._take_findings()
            for reference in ready:
                self._take_block(reference)
            session = self._whole.session
            session.seconds = self._before_seconds + time.monotonic() - self._start
            self._watch(session)
            self._show()

    def _deal(self) -> None:
        """Deal blocks, until there are a few for each place that the cluster has now."""
        offered = self._ray.cluster_resources()
        named = self._settings.device
        place: dict[str, Any] = {"num_cpus": 1}
        if named in offered:
            place["resources"] = {named: 1}
        places = int(min(offered.get("CPU", 1), offered.get(named, float("inf")))) or 1
        while self._left and len(self._dealt) < _AHEAD * places:
            block = self._left.pop(0)
            task = self._task.options(**place, max_retries=_DEALT_AGAIN)
            plain = replace(self._settings, workers=1, origins={})
            self._dealt[task.remote(plain, self._identity, block, self._board)] = block

    def _take_block(self, reference: Any) -> None:
        block = self._dealt.pop(reference)
        try:
            node, text, known = self._ray.get(reference)
        except self._ray.exceptions.RayTaskError as error:
            # An error of a block is raised here as if it were the head's.
            if isinstance(error.cause, GpusimError | UsageError):
                raise error.cause from None
            raise
        for each in known:
            self._corpus.keep_known(from_text(KnownResult, each))
        if text is None:
            self._had_enough = True
        else:
            result = from_text(BlockResult, text)
            assert result.first == block.first
            self._corpus.keep_block(result)
            self._whole.add(result)
            self._whole.settle()
            self._blocks_of[node] += 1

    def _take_findings(self) -> None:
        for text in self._ray.get(self._board.all.remote(self._taken)):
            self._taken += 1
            found = from_text(FoundBug, text)
            self._corpus.keep_finding(found)
            bug = found.bug(self._settings.save)
            self._whole.session.bugs.take(found.signature, bug)
            self._whole.row(found.adapter).saved.add(found.signature)

    def _has_enough(self) -> bool:
        found = len(self._whole.session.bugs)
        return self._had_enough or found >= self._settings.findings

    def _is_late(self) -> bool:
        seconds = self._settings.seconds
        return seconds is not None and time.monotonic() - self._start >= seconds

    def _show(self, *, is_over: bool = False) -> None:
        """Write the page of the session, unless it was just written."""
        if is_over or time.monotonic() - self._written >= REFRESH_SECONDS:
            machines = [
                Machine(
                    name=f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})",
                    is_alive=node["Alive"],
                    places=int(node["Resources"].get("CPU", 0)),
                    blocks=self._blocks_of[node["NodeID"]],
                )
                for node in self._ray.nodes()
            ]
            write_status(self._corpus.folder / PAGE, self._whole, machines, is_over=is_over)
            self._written = time.monotonic()

    def close(self) -> None:
        """Take the findings that have come, and cancel the blocks that were dealt."""
        with suppress(self._ray.exceptions.RayError):
            self._take_findings()
            self._show(is_over=True)
        for reference in self._dealt:
            with suppress(self._ray.exceptions.RayError):
                self._ray.cancel(reference, force=True)


class _Board:
    """An actor beside the head: the findings so far, in the order in which they came."""

    def __init__(self, found: list[str]) -> None:
        self._found = found

    def add(self, text: str) -> None:
        """Take a finding."""
        self._found.append(text)

    def all(self, first: int = 0) -> list[str]:
        """The findings from the ``first`` on."""
        return self._found[first:]


def _run_block(
    settings: Settings, identity: Identity, block: Block, board: Any
) -> tuple[str, str | None, Sequence[str]]:
    """Run a block in a process of the cluster.

    Gives the node, the result of ``Runner.run`` as text, and ``Runner.known`` as texts.

    Raises:
        UsageError: this machine has other versions or kernels than the head.
    """
    ray = _ray()
    runner, _ = _runner(settings)
    if different := identity.differences(identity_of(settings, runner.session.device)):
        raise UsageError(
            f"cannot run a block on {socket.gethostname()} because the head has "
            f"{', '.join(different)} (probably a file or a package differs there)"
        )
    runner.keep = lambda found: ray.get(board.add.remote(as_text(found)))
    for text in ray.get(board.all.remote()):
        runner.take(from_text(FoundBug, text))
    # The head watches the session.
    result = runner.run(block, lambda session: None)
    node = ray.get_runtime_context().get_node_id()
    return node, None if result is None else as_text(result), [*map(as_text, runner.known)]


@lru_cache(maxsize=1)
def _runner(settings: Settings) -> tuple[Runner, tempfile.TemporaryDirectory[str]]:
    """The runner of this process, whose workers stay from block to block, and its folder."""
    folder = tempfile.TemporaryDirectory(prefix="gpusim-fleet-")
    return Runner(replace(settings, save=Path(folder.name)), lambda _: None), folder
