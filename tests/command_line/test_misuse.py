"""Misuse of the command line: each is refused in one sentence that names the remedy, with exit 2.

Nothing runs, and no file is made, before it is refused.
"""

import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpusim.devices import SIMULATED
from properties.arguments import UsageError
from properties.cli import main
from properties.fuzz.check import check
from properties.fuzz.engine import fuzz
from properties.fuzz.settings import Settings, gather
from properties.targets.naive_target import NaiveTarget

FINDING = "gpusim finding 2\ntarget: runtime\ndevice: simulated\npolicy: eager\n\nsync\n"
FILES = {
    "ok.txt": FINDING,
    "foreign.txt": FINDING.replace("runtime", "naive").replace("policy: eager\n", ""),
    "program.txt": "alloc a 4\nread a 0 4 -> r0\n",
    "empty.txt": "",
    "strings.py": "KERNELS = ['affine']\n",
    "twice.py": "from gpusim.kernels import AFFINE\n"
    "from dataclasses import replace\n"
    "KERNELS = [replace(AFFINE, body='// another')]\n",
}
ONLY = "mutants --only uniform_shared"
BEYOND = 10**30

MISUSES = [
    # What is no value of its argument.
    ("fuzz --programs 1e3", "--programs=1e3 because it is no whole number of at least 1"),
    ("fuzz --programs 0", "--programs=0 because it is no whole number of at least 1"),
    ("fuzz --workers 100000", "--workers=100000 because it is more than 256"),
    (f"fuzz --seed {BEYOND}", f"--seed={BEYOND} because it is more than"),
    (f"fuzz --first {'9' * 5000}", "because it is more than"),
    ("fuzz --first -3", "--first=-3 because it is no whole number of at least 0"),
    ("fuzz --seconds 1m", "--seconds=1m because it is no number of seconds above 0"),
    ("fuzz --stall 0", "--stall=0 because it is no number of seconds above 0"),
    ("fuzz --device ''", "--device= because it is none of best, vulkan"),
    ("fuzz --policy fast", "--policy=fast because it is none of eager, lazy"),
    ("fuzz --scheduler lazy", "--scheduler=lazy because it is none of late, early, random"),
    ("fuzz --kernels ''", "--kernels= because it is empty"),
    ("fuzz --save ''", "--save= because it is empty"),
    ("fuzz --save ok.txt", "cannot save findings in ok.txt because ok.txt is no folder"),
    # The permissions of /proc let root write there, but no write succeeds.
    *[("fuzz --save /proc/x", "in /proc/x because /proc is no folder")] * (sys.platform == "linux"),
    ("fuzz --json folder", "--json=folder because it is a folder"),
    ("fuzz --json none/x.json", "--json=none/x.json because there is no folder none"),
    ("fuzz --known none", "--known=none because there is no folder of that name"),
    ("fuzz --known ok.txt", "--known=ok.txt because there is no folder of that name"),
    ("mutants --seeds 0", "--seeds=0 because it is no whole number of at least 1"),
    (f"{ONLY} --jobs 0", "--jobs=0 because it is no whole number of at least 1"),
    (f"{ONLY} --seconds nan", "--seconds=nan because it is no number of seconds above 0"),
    (f"{ONLY} --json none/x.json", "--json=none/x.json because there is no folder none"),
    (f"{ONLY} --page folder", "--page=folder because it is a folder"),
    (f"{ONLY} --device vulcan", "--device=vulcan because it is none of best, vulkan"),
    ("bench --rounds x", "--rounds=x because it is no whole number of at least 1"),
    ("bench --device ''", "--device= because it is none of best, vulkan"),
    ("bench --json folder", "--json=folder because it is a folder"),
    ("bench --plot x.gif", "--plot=x.gif because it ends with none of .png, .svg"),
    ("bench --plot none/x.png", "--plot=none/x.png because there is no folder none"),
    # What nobody would follow.
    ("fuzz --device vulkan --scheduler late", "--scheduler=late because only the simulated"),
    ("fuzz --device simulated --target naive --faults", "--faults because target naive is not"),
    ("fuzz --target naive --policy lazy", "--policy=lazy because target naive follows no policy"),
    (
        "fuzz --device simulated --target naive --scheduler early",
        "--scheduler=early because target naive has its device opened once",
    ),
    ("replay foreign.txt --policy lazy", "--policy=lazy because target naive follows no policy"),
    ("replay ok.txt --kernels strings.py", "--kernels=strings.py because the finding needs none"),
    ("bench dispatch --small", "--small because benchmark dispatch has only one size"),
    ("bench scale --rounds 5", "--rounds because benchmark scale has only one round"),
    ("fuzz --seed 1 --seed 2", "--seed=2 because --seed was given before"),
    # What is not there, or is something else.
    ("replay ''", "FILE= because it is empty"),
    ("replay folder", "cannot use folder because of 'Is a directory'"),
    ("replay none.txt", "cannot use none.txt because of 'No such file or directory'"),
    ("replay empty.txt", "cannot read line 1 of the finding because '' is not"),
    ("replay program.txt", "cannot read line 1 of the finding because 'alloc a 4' is not"),
    ("replay ok.txt --target naive", "cannot replay on target naive because the finding was made"),
    ("fuzz --target exec:", "--target=exec: because it is none of runtime, naive"),
    ("fuzz --target exec:gpusim-has-none", "because there is no program 'gpusim-has-none'"),
    ("fuzz --target 'exec:\"open'", "because of this: No closing quotation"),
    ("fuzz --target browser:none.html?x", "because there is no file none.html"),
    ("fuzz --kernels strings.py", "cannot take kernels from strings.py because 'affine' is no"),
    ("fuzz --kernels twice.py", "because two share a name, 'affine'"),
    # What is no command line.
    ("", "the following arguments are required: COMMAND"),
    ("fuse", "invalid choice: 'fuse'"),
    ("fuz", "'fuzz' is meant"),
    ("fuzz --secnds 3", "'--seconds' is meant"),
    ("fuzz --zzz 3", "`gpusim --help` shows what is meant"),
    ("fuzz more", "unrecognized arguments: more"),
    ("fuzz --polcy all", "unrecognized arguments: --polcy all"),
    ("fuzz --fault", "unrecognized arguments: --fault"),
    ("fuzz --programs", "argument --programs: expected one argument"),
    ("replay", "the following arguments are required: FILE"),
    ("replay ok.txt ok.txt", "unrecognized arguments: ok.txt"),
    ("bench nothing", "invalid choice: 'nothing'"),
    ("devices --device gl", "unrecognized arguments: --device gl"),
]


@pytest.fixture(autouse=True)
def _among_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Some files to misuse, and no other after the test."""
    monkeypatch.chdir(tmp_path)
    for name, text in FILES.items():
        Path(name).write_text(text, encoding="utf-8")
    Path("folder").mkdir()
    yield
    assert {path.name for path in Path().iterdir()} == {*FILES, "folder"}


@pytest.mark.parametrize(("words", "because"), MISUSES, ids=[words[:60] for words, _ in MISUSES])
def test_a_misuse_is_refused_with_its_remedy(
    capsys: pytest.CaptureFixture[str], words: str, because: str
) -> None:
    assert main(shlex.split(words)) == 2
    printed = capsys.readouterr().err
    assert because in printed
    assert re.fullmatch(r"gpusim: cannot .* because .* \(probably .*\)\n", printed, re.DOTALL)


IGNORED = [
    ("GPUSIM_POLICY", {"target": "naive", "policy": "lazy"}),
    ("GPUSIM_SCHEDULER", {"target": "naive", "scheduler": "early", "device": SIMULATED}),
    ("GPUSIM_FAULTS", {"target": "naive", "faults": "yes", "device": SIMULATED}),
    ("GPUSIM_SCHEDULER", {"scheduler": "late", "device": "vulkan"}),
]


@pytest.mark.parametrize(("variable", "asked"), IGNORED)
def test_what_would_be_ignored_is_refused_wherever_it_comes_from(
    variable: str, asked: dict[str, str]
) -> None:
    name = variable.removeprefix("GPUSIM_").lower()
    environment = {f"GPUSIM_{key.upper()}": value for key, value in asked.items()}
    arguments = asked | ({"faults": True} if "faults" in asked else {})
    with pytest.raises(UsageError, match=f"cannot take {variable}="):
        fuzz(gather(Settings, {}, environment), lambda session: None)
    with pytest.raises(UsageError, match=f"cannot take --{name}"):
        fuzz(gather(Settings, asked, {}), lambda session: None)
    with pytest.raises(UsageError, match=f"cannot take {name}="):
        fuzz(gather(Settings, {}, {}, **arguments), lambda session: None)


def test_a_target_that_is_given_as_an_object_follows_no_policy_either() -> None:
    with pytest.raises(UsageError, match=r"cannot take policy=lazy because target mine follows no"):
        check(Settings(device=SIMULATED, policy="lazy", target="mine"), NaiveTarget)


def test_what_is_default_is_refused_nowhere() -> None:
    words = {"device": "gl", "policy": "all", "scheduler": "all", "target": "naive"}
    gather(Settings, words, {}).refuse_ignored()  # which would raise UsageError
