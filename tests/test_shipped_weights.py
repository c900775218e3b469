"""The weights that come with the package, and the example that uses them."""

import re
import runpy
from pathlib import Path

import pytest

from partprop.tracking.pretrained import LITE0

EXAMPLE = Path(__file__).parents[1] / "examples" / "follow_an_object.py"


def test_the_model_card_says_how_good_they_are() -> None:
    assert LITE0.stat().st_size <= 12e6
    card = LITE0.with_name("README.md").read_text(encoding="utf-8")
    assert re.search(r"\| J&F \| 0\.\d{3}, 95 % bootstrap interval", card)


def test_the_example_follows_its_objects(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLE))
    overlaps = [float(value) for value in re.findall(r"J ([\d.]+)", capsys.readouterr().out)]
    assert len(overlaps) == 2
    assert min(overlaps) > 0.8
