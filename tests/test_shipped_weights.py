"""The weights that come with the package, and the example that uses them."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from partprop import Segmenter
from partprop.metrics.davis import jaccard
from partprop.pretrained import LITE0
from partprop.synthetic.scene import render
from partprop.synthetic.script import TARGET, script_video

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


def ground_with(box: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """A smooth frame with a bright box x1, y1, x2, y2, and its mask."""
    ys, xs = np.mgrid[:420, :560]
    image = np.stack([90 + 40 * np.sin(xs / 50), 110 + 40 * np.cos(ys / 60), 100 + 0 * xs], -1)
    mask = np.zeros((420, 560), np.uint8)
    mask[box[1] : box[3], box[0] : box[2]] = 1
    image[mask > 0] = (230, 60, 40)
    return image.astype(np.uint8), mask


@pytest.mark.parametrize("left", [108, 109])  # astride two columns of cells of the keys
def test_an_object_thinner_than_a_cell_is_followed(left: int) -> None:
    image, mask = ground_with((left, 100, left + 7, 260))
    segmenter = Segmenter(device="cpu")
    segmenter.start(image, mask)
    assert jaccard(segmenter.step(image).labels == 1, mask > 0) > 0.4


def test_an_object_too_small_to_be_seen_keeps_its_given_mask() -> None:
    image, mask = np.zeros((2160, 3840, 3), np.uint8), np.zeros((2160, 3840), np.uint8)
    mask[1000:1003, 2000:2003] = 1
    result = Segmenter(device="cpu").start(image, mask)
    assert (result.labels == mask).all()
    assert result.confidence == {1: 0.0}
