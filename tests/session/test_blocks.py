"""Sessions in blocks: shards share a corpus, a killed one is taken up again, and all are merged."""

import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gpusim.errors import ProgramError
from properties.arguments import Share, UsageError
from properties.cli import main
from properties.fuzz.blocks import Block, blocks_of, fuzz_shard
from properties.fuzz.corpus import BlockResult, Corpus, FoundBug, as_text, found_bug, from_text
from properties.fuzz.engine import Session, fuzz
from properties.fuzz.settings import Settings
from properties.fuzz.union import Union, covered, union

RARE = f"{Path(__file__).parents[1] / 'fleet' / 'rare.py'}:Rare"


def asked(folder: Path, **more: Any) -> Settings:
    """A small session in blocks, which goes on after what it finds."""
    limits = {"programs": 120, "block": 10, "findings": 9, "failures": 9999, "seed": 1}
    place = {"corpus": folder / "corpus", "save": folder / "findings"}
    values: dict[str, Any] = {"device": "simulated", "target": RARE, **limits, **place, **more}
    return Settings(**values)


def ignore(session: Session) -> None:
    """Nobody watches."""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Session:
    """The session in one piece."""
    return fuzz(asked(tmp_path_factory.mktemp("alone"), corpus=None), ignore)


@pytest.fixture(scope="module")
def ten(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a session of ten programs of our runtime, for tests that only read it."""
    folder = tmp_path_factory.mktemp("ten")
    fuzz_shard(asked(folder, target="runtime", programs=10), ignore)
    return folder


def shown(session: Session) -> dict[tuple[str, ...], tuple[str, int]]:
    """The findings of a session: the program of each, and how many showed it."""
    met = session.bugs.met
    return {name: (str(bug.case.program), bug.count) for name, bug in met.items()}


def files(folder: Path) -> dict[str, int]:
    """The results in a corpus, with when each was written."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*.json"))}


def command(settings: Settings) -> list[str]:
    """The command line of a session."""
    names = ["device", "target", "programs", "block", "findings", "failures", "seed"]
    names += ["corpus", "save", "shard"]
    words = [f"--{name}={getattr(settings, name)}" for name in names]
    return [sys.executable, "-m", "gpusim", "fuzz", "--quiet", *words]


def kill_in_the_middle(settings: Settings) -> None:
    """Start a shard, and kill it once it has finished two blocks."""
    corpus = Corpus(settings.corpus or Path())
    with subprocess.Popen(command(settings)) as process:
        try:
            while len(corpus.done) < 2:
                assert process.poll() is None, "the shard has ended before it was killed"
                time.sleep(0.01)
        finally:
            process.kill()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
def test_a_killed_shard_is_taken_up_again_and_loses_nothing(tmp_path: Path, alone: Session) -> None:
    shards = [asked(tmp_path, shard=Share(number, 2)) for number in range(2)]
    kill_in_the_middle(shards[0])
    folder = tmp_path / "corpus"
    kept = files(folder)
    assert len(Corpus(folder).done) < 6
    fuzz_shard(shards[0], ignore)
    whole = fuzz_shard(shards[1], ignore)
    after = files(folder)
    assert {path: after[path] for path in kept} == kept
    assert whole.done == whole.asked == 12
    assert len(after) == 12 + 1 + len(whole.session.bugs)
    assert whole.session.programs == alone.programs == 120
    assert shown(whole.session).keys() == shown(alone).keys() != set()
    assert whole.session.tally.accepted == alone.tally.accepted
    assert whole.session.tally.reached.cells == alone.tally.reached.cells


def test_a_bug_is_one_finding_of_all_shards(tmp_path: Path, alone: Session) -> None:
    for number in range(2):
        whole = fuzz_shard(asked(tmp_path, shard=Share(number, 2)), ignore)
    assert len(list((tmp_path / "corpus" / "findings").iterdir())) == 1
    (row,) = whole.adapters.values()
    assert shown(whole.session) == shown(alone)
    (bug,), (same,) = whole.session.bugs.met.values(), alone.bugs.met.values()
    assert [row.shown(each) for each in whole.session.bugs.met] == [bug.count]
    assert bug.argument is not None
    assert (
        bug.argument.sentence == "op 1 (read a 4 12 -> r0) ended with RuntimeError: a read of "
        "three words"
    )
    assert same.argument is not None
    assert bug.argument.lines == same.argument.lines


def test_a_finding_keeps_all_that_is_said_of_it(tmp_path: Path, alone: Session) -> None:
    ((signature, bug),) = alone.bugs.met.items()
    assert bug.argument is not None
    said = replace(
        bug.argument, passes=("with a flush",), fails=("with other data",), clock="submitted"
    )
    bug = replace(bug, argument=said)
    text = as_text(found_bug(signature, bug, alone.bugs, "an adapter"))
    again = from_text(FoundBug, text).bug(tmp_path).argument
    assert again is not None
    assert again.lines == said.lines


def test_what_is_done_is_not_run_again(tmp_path: Path) -> None:
    settings = asked(tmp_path, target="runtime", programs=25)
    first = fuzz_shard(settings, ignore)
    kept = files(tmp_path)
    again = fuzz_shard(settings, ignore)
    assert files(tmp_path) == kept
    assert again.lines() == first.lines()
    assert (again.done, again.asked, again.session.programs) == (3, 3, 25)


@pytest.mark.parametrize("other", [{"seed": 2}, {"block": 5}, {"programs": 9}, {"target": "naive"}])
def test_another_session_is_refused(ten: Path, other: dict[str, Any]) -> None:
    kept = files(ten)
    assert kept
    (name,) = other
    with pytest.raises(UsageError, match=f"belongs to another session: this one has {name} "):
        fuzz_shard(asked(ten, **{"target": "runtime", "programs": 10, **other}), ignore)
    assert files(ten) == kept


def test_corpora_are_merged_by_the_command_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / name for name in ("one", "two")]
    for seed, folder in enumerate(folders, start=1):
        fuzz_shard(asked(folder, seed=seed, programs=40), ignore)
    words = [str(folder / "corpus") for folder in folders]
    page = tmp_path / "page.html"
    more = ["--save", str(tmp_path / "all"), "--html", str(page)]
    assert main(["merge", *words, words[0], *more]) == 1
    assert "8 of 8 blocks done" in page.read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    assert "8 of 8 blocks done" in printed
    assert "8 blocks, 80 programs" in printed
    assert "1 found in 80 programs" in printed
    assert len(list((tmp_path / "all").iterdir())) == 1


def test_a_merge_refuses_what_does_not_belong_together(tmp_path: Path) -> None:
    fuzz_shard(asked(tmp_path / "one", programs=10), ignore)
    fuzz_shard(asked(tmp_path / "two", programs=10, target="runtime"), ignore)
    with pytest.raises(UsageError, match=r"they have target .*rare\.py:Rare and not runtime"):
        union([tmp_path / "one" / "corpus", tmp_path / "two" / "corpus"])
    with pytest.raises(UsageError, match=r"cannot merge .*two.corpus with the others"):
        union([*[tmp_path / "one" / "corpus"] * 2, tmp_path / "two" / "corpus"])
    with pytest.raises(UsageError, match="it holds no session"):
        union([tmp_path])


def test_known_findings_are_told_by_adapter(tmp_path: Path) -> None:
    fuzz_shard(asked(tmp_path / "first", programs=20), ignore).save_findings()
    known = tmp_path / "first" / "findings"
    (file,) = known.iterdir()
    for number in range(2):
        part = asked(tmp_path / "second", programs=40, known=known, shard=Share(number, 2))
        whole = fuzz_shard(part, ignore)
    assert not whole.session.bugs.met
    assert whole.session.bugs.known_failures
    ((adapter, row),) = whole.as_json()["adapters"].items()
    assert row["known"] == {file.name: "still fails"}
    assert f"  known {file.name}: {adapter} (still fails)" in whole.lines()


KERNELS = """
from gpusim import Kernel

KERNELS = [Kernel.from_wgsl('''
@group(0) @binding(0) var<storage, read_write> x: array<u32>;
@compute @workgroup_size(64) fn raised(@builtin(global_invocation_id) id: vec3u) {
    if (id.x < arrayLength(&x)) { x[id.x] += 1u; }
}''')]
"""


def test_a_corpus_belongs_to_one_text_of_kernels(tmp_path: Path) -> None:
    place = tmp_path / "own.py"
    place.write_text(KERNELS, encoding="utf-8")
    settings = asked(tmp_path, target="runtime", programs=10, kernels=str(place))
    fuzz_shard(settings, ignore)
    assert union([tmp_path / "corpus"]).session.settings.kernels == str(place)
    kept = files(tmp_path)
    place.write_text(KERNELS.replace("+= 1u", "+= 2u"), encoding="utf-8")
    with pytest.raises(UsageError, match="this one has text of the kernels "):
        fuzz_shard(settings, ignore)
    assert files(tmp_path) == kept
    other = asked(tmp_path / "other", target="runtime", programs=10, kernels=str(place))
    fuzz_shard(other, ignore)
    with pytest.raises(UsageError, match="because they have text of the kernels"):
        union([tmp_path / "corpus", tmp_path / "other" / "corpus"])
    place.write_text(KERNELS, encoding="utf-8")
    assert fuzz_shard(settings, ignore).done == 1


def test_what_was_cut_off_is_left_out_once_its_block_ran_whole(tmp_path: Path) -> None:
    whole = fuzz_shard(asked(tmp_path, programs=20), ignore)
    corpus, session = Corpus(tmp_path / "corpus"), whole.session
    (bug,) = session.bugs.met.values()
    cut_off = replace(bug, reproduced=None, shrunk=None)
    for number, are in ((9, 1), (999, 2)):
        cut_off.case = replace(bug.case, seed=f"1/{number}")
        found = found_bug(("value", "another"), cut_off, session.bugs, "an adapter")
        corpus.keep_finding(found)
        assert len(union([corpus.folder]).session.bugs) == are


def test_a_broken_result_is_named(tmp_path: Path, ten: Path) -> None:
    shutil.copytree(ten, tmp_path, dirs_exist_ok=True)
    (block,) = (tmp_path / "corpus" / "blocks").iterdir()
    for text in ("", "[]", block.read_text().replace('"deaths":0', '"deaths":"none"')):
        block.write_text(text)
        with pytest.raises(ProgramError, match=f"cannot read .*{block.name}"):
            union([tmp_path / "corpus"])


def test_a_result_reads_as_it_was(ten: Path) -> None:
    (result,) = Corpus(ten / "corpus").blocks()
    assert result.tally.programs == 10
    assert result.tally.reached.cells
    assert from_text(BlockResult, as_text(result)) == result


def test_blocks_are_all_programs_once() -> None:
    settings = Settings(programs=25, first=7, block=10)
    assert blocks_of(settings) == [
        Block(first=7, stop=17),
        Block(first=17, stop=27),
        Block(first=27, stop=32),
    ]
    second = Settings(programs=25, first=7, block=10, shard=Share(1, 2), corpus=Path())
    assert blocks_of(second) == [Block(first=17, stop=27)]


def test_time_that_two_spans_cover_counts_once() -> None:
    assert covered([]) == 0
    assert covered([(5, 6), (0, 2), (1, 3), (1, 2)]) == 4


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--shard 2/2 --corpus c --programs 9", "no share I/N"),
        ("--shard 1 --corpus c --programs 9", "no share I/N"),
        ("--shard 0/2 --programs 9", "--corpus DIR is missing"),
        ("--fleet local --programs 9", "--corpus DIR is missing"),
        ("--corpus c", "--programs N is missing"),
    ],
)
def test_half_a_shared_session_is_refused(
    words: str, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fuzz", *words.split()]) == 2
    assert reason in capsys.readouterr().err


def test_a_fleet_without_ray_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    words = ["--fleet", "local", "--programs", "9", "--corpus", str(tmp_path / "corpus")]
    assert main(["fuzz", *words]) == 2
    assert "pip install 'gpusim[fleet]'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_the_union_is_empty_until_a_block_is_done(tmp_path: Path) -> None:
    whole: Union = fuzz_shard(asked(tmp_path, programs=10, seconds=1e-9), ignore)
    assert (whole.done, whole.asked) == (0, 1)
    assert whole.session.invalid_because == "no program ran"
