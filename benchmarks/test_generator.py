"""How fast programs are made, with nothing run or judged."""

from itertools import count

from pytest_benchmark.fixture import BenchmarkFixture

from properties.generate.choices import SeededChoices
from properties.generate.generator import generate

_PROGRAMS = 200


def test_generate(benchmark: BenchmarkFixture) -> None:
    """200 programs a round, other ones every round."""
    numbers = count()

    def round_of_programs() -> list[int]:
        return [len(generate(SeededChoices(f"sample {next(numbers)}"))) for _ in range(_PROGRAMS)]

    benchmark.extra_info["programs"] = _PROGRAMS
    assert all(benchmark(round_of_programs))
