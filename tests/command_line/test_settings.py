"""Where a setting comes from: the call, the command line, the environment, the default."""

from pathlib import Path
from typing import Any

import pytest

from gpusim.runtime import PRESETS
from properties.arguments import Parser, UsageError
from properties.fuzz.settings import (
    DEFAULT_SECONDS,
    ReplaySettings,
    Settings,
    add_options,
    gather,
)


def parsed(*words: str) -> dict[str, Any]:
    """What a command line of these words says."""
    parser = Parser()
    add_options(parser, Settings)
    return vars(parser.parse_args(words))


def test_each_source_gives_way_to_the_one_before() -> None:
    environment = {"GPUSIM_DEVICE": "gl", "GPUSIM_SEED": "5", "GPUSIM_POLICY": "lazy"}
    asked = parsed("--seed", "6", "--policy", "eager")
    settings = gather(Settings, asked, environment, policy="cached")
    assert (settings.device, settings.seed, settings.policy) == ("gl", 6, "cached")
    assert settings.origins == {
        "device": "GPUSIM_DEVICE",
        "seed": "command line",
        "policy": "argument",
    }
    assert settings.describe() == (
        "device gl (GPUSIM_DEVICE), policy cached (argument), seed 6 (command line)"
    )


def test_nothing_said_is_the_default() -> None:
    settings = gather(Settings, parsed(), {"GPUSIM_SEED": ""})
    assert settings == Settings()
    assert settings.describe() == "device best (default), policy all (default), seed 0 (default)"
    assert Settings(target="naive").describe() == "device best (default), seed 0 (default)"
    assert settings.presets == tuple(PRESETS)
    assert settings.schedulers == ("late", "early", "random")


@pytest.mark.parametrize(
    ("asked", "most"),
    [
        ([], DEFAULT_SECONDS),
        (["--programs=9"], None),
        (["--seconds=7"], 7.0),
        (["--programs=9", "--seconds=7"], 7.0),
    ],
)
def test_a_number_of_programs_takes_the_time_it_takes(asked: list[str], most: float | None) -> None:
    assert gather(Settings, parsed(*asked), {}).most_seconds == most


def test_a_finding_has_a_device_and_policy_of_its_own() -> None:
    environment = {"GPUSIM_DEVICE": "gl", "GPUSIM_POLICY": "lazy", "GPUSIM_STALL": "2"}
    settings = gather(ReplaySettings, {}, environment)
    assert (settings.device, settings.policy, settings.stall) == (None, None, 2.0)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("device", "best:1"),
        ("device", "simulated:1"),
        ("device", "vulkan:"),
        ("seed", "-1"),
        ("seed", "1.5"),
        ("seconds", "0"),
        ("seconds", "nan"),
        ("seconds", "inf"),
        ("findings", "0"),
    ],
)
def test_a_value_that_is_none_is_refused_by_its_source(name: str, text: str) -> None:
    with pytest.raises(UsageError, match=f"--{name}={text} because"):
        parsed(f"--{name}={text}")
    with pytest.raises(UsageError, match=f"GPUSIM_{name.upper()}={text} because"):
        gather(Settings, {}, {f"GPUSIM_{name.upper()}": text})


@pytest.mark.parametrize("device", ["vulkan:1", "gl", "metal", "d3d12", "simulated", "best"])
def test_any_name_that_some_machine_has_is_taken(device: str) -> None:
    asked = gather(Settings, parsed("--device", device, "--save", "here"), {})
    assert (asked.device, asked.save) == (device, Path("here"))
