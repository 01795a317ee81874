"""A session on a Ray cluster of two nodes loses nothing where a worker, a node and the head die.

`tox -e fleet` runs this, for it needs Ray and takes a minute or two.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from ray.cluster_utils import Cluster

from properties.cli import main
from properties.fuzz.blocks import fuzz_shard
from properties.fuzz.corpus import Corpus
from properties.fuzz.union import Union, union
from tests.processes.processes import children_of
from tests.session.test_blocks import RARE, asked, files

PROGRAMS, BLOCK = 600, 20
_STORE_BYTES = 80 << 20


@contextmanager
def cluster_of_two() -> Iterator[tuple[Cluster, Any]]:
    """A cluster with a head node and another, which is told too."""
    about = {"num_cpus": 1, "object_store_memory": _STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=about)
    try:
        yield cluster, cluster.add_node(num_cpus=1, object_store_memory=_STORE_BYTES)
    finally:
        cluster.shutdown()


@contextmanager
def session(folder: Path, address: str) -> Iterator[subprocess.Popen[bytes]]:
    words = f"--device simulated --programs {PROGRAMS} --block {BLOCK} --seed 1 --findings 9"
    folders = ["--corpus", str(folder / "corpus"), "--save", str(folder / "findings")]
    command = [sys.executable, "-m", "gpusim", "fuzz", *words.split(), *folders]
    limits = ["--failures", "9999", "--target", RARE, "--fleet", address]
    with subprocess.Popen([*command, *limits]) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_until(head: subprocess.Popen[bytes], is_so: Callable[[], bool]) -> None:
    while not is_so():
        assert head.poll() is None, "the session has ended before it came"
        time.sleep(0.05)


def running_task(node: Any) -> int:
    """The process of a node that runs a block now; 0 where none does."""
    (raylet,) = node.all_processes["raylet"]
    for pid in children_of(raylet.process.pid):
        name = Path("/proc", str(pid), "cmdline").read_bytes()
        if name.startswith(b"ray::_run_block"):
            return pid
    return 0


def shown(whole: Union) -> dict[tuple[str, ...], str]:
    """The findings of a union: their programs."""
    return {name: str(bug.case.program) for name, bug in whole.session.bugs.met.items()}


def test_no_finding_and_no_finished_block_is_lost(tmp_path: Path) -> None:
    folder = tmp_path / "corpus"
    corpus = Corpus(folder)
    with cluster_of_two() as (cluster, node), session(tmp_path, cluster.address) as head:
        wait_until(head, lambda: len(corpus.done) >= 2 and running_task(node) > 0)
        os.kill(running_task(node), signal.SIGKILL)
        before = len(corpus.done)
        wait_until(head, lambda: len(corpus.done) >= before + 4 and running_task(node) > 0)
        cluster.remove_node(node, allow_graceful=False)
        before = len(corpus.done)
        wait_until(head, lambda: len(corpus.done) >= before + 4)
        assert head.poll() is None, "a killed worker or node ended the session"
        head.kill()
        cluster.remove_node(cluster.head_node, allow_graceful=False)
    kept = files(folder)
    assert 0 < len(corpus.done) < PROGRAMS // BLOCK
    with cluster_of_two() as (cluster, _), session(tmp_path, cluster.address) as head:
        assert head.wait() == 1, "what was found is gone"
    after = files(folder)
    assert {path: after.get(path) for path in kept} == kept
    whole = union([folder])
    assert whole.done == whole.asked == PROGRAMS // BLOCK
    assert whole.session.programs == PROGRAMS
    alone = asked(tmp_path / "alone", programs=PROGRAMS, block=BLOCK)
    assert shown(whole) == shown(fuzz_shard(alone, lambda _: None))


def test_an_address_where_nothing_answers_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--fleet", "127.0.0.1:1", "--programs", "9", "--corpus", str(tmp_path / "corpus")]
    assert main(["fuzz", "--device", "simulated", *words]) == 3
    assert "cannot run on the fleet 127.0.0.1:1" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
