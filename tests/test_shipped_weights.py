"""The weights that come with the package, and the example that uses them."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from partprop import Segmenter
from partprop.data.synthetic.scene import render
from partprop.data.synthetic.script import TARGET, script_video
from partprop.evaluation.davis import jaccard
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


@pytest.mark.parametrize("seed", [0, 4])
def test_who_is_wholly_hidden_is_lost_and_found_again(seed: int) -> None:
    frames = 36
    scene = script_video((11, seed), 0, 256, 144, frames).scene
    images, labels = zip(*(render(scene, number) for number in range(frames)), strict=True)
    masks = [each == TARGET for each in labels]
    segmenter = Segmenter(device="cpu")
    segmenter.start(images[0], masks[0].astype(np.uint8))
    results = [segmenter.step(image) for image in images[1:]]
    lost = {number for number, result in enumerate(results, 1) if result.confidence[1] == 0}
    hidden = {number for number in range(frames) if not masks[number].any()}
    assert len(hidden) > 4
    assert hidden <= lost
    assert all(not results[number - 1].labels.any() for number in hidden)
    assert jaccard(results[-1].labels == 1, masks[-1]) > 0.7
