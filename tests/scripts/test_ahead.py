"""scripts/ahead.py: a recipe is ahead if every seed is better and the interval of the difference leaves out 0."""

import json
import runpy
from pathlib import Path

import pytest

from partprop.base.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
compare = runpy.run_path(str(ROOT / "scripts/ahead.py"))["compare"]
OLD = {"dance": 0.7, "drift": 0.8, "soccer": 0.75, "hockey": 0.85}


def write(path: Path, scores: dict[str, float]) -> Path:
    summaries = {"J&F": 0.5, "J": 0.5, "J&F last third": 0.1, "J held-out categories": 0.2}
    path.write_text(json.dumps(summaries | {f"J&F {name}": value for name, value in scores.items()}))
    return path


def verdict(tmp_path: Path, gains: list[list[float]], capsys: pytest.CaptureFixture[str]) -> str:
    """The last line of a comparison of two seeds with gains by sequence."""
    old = [write(tmp_path / f"old{seed}.json", OLD) for seed in range(len(gains))]
    new = [
        write(tmp_path / f"new{seed}.json", {name: OLD[name] + gain for name, gain in zip(OLD, each, strict=True)})
        for seed, each in enumerate(gains)
    ]
    compare(new, old)
    return capsys.readouterr().out.splitlines()[-1]


def test_a_gain_everywhere_is_ahead(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = verdict(tmp_path, [[0.01, 0.02, 0.03, 0.02], [0.02, 0.01, 0.02, 0.03]], capsys)
    assert line.startswith("mean difference +0.020 [+0.0")
    assert line.endswith(": ahead")


@pytest.mark.parametrize(
    "gains",
    [
        [[0.03, 0.02, 0.03, 0.02], [-0.01, 0.0, 0.0, 0.0]],  # one seed is worse
        [[0.2, -0.02, -0.01, 0.0], [0.2, -0.02, -0.01, 0.0]],  # one sequence decides
    ],
    ids=["seed", "sequence"],
)
def test_one_seed_or_one_sequence_does_not_decide(
    tmp_path: Path, gains: list[list[float]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert verdict(tmp_path, gains, capsys).endswith(": not ahead")


def test_runs_that_cannot_be_compared_are_one_line(tmp_path: Path) -> None:
    good = write(tmp_path / "good.json", OLD)
    with pytest.raises(UserError, match="2 new runs and 1 old ones; name as many seeds of each"):
        compare([good, good], [good])
    other = write(tmp_path / "other.json", {"dance": 0.7})
    with pytest.raises(UserError, match=r"other\.json: other held-out sequences than .*good\.json"):
        compare([good], [other])
    for content in ("{}", "[]", "no json"):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(UserError, match=r"bad\.json: "):
            compare([good], [tmp_path / "bad.json"])
    with pytest.raises(UserError, match=r"absent\.json: "):
        compare([good], [tmp_path / "absent.json"])
