"""The segmenter under VOT's protocol: in which frames and with which objects it restarts."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

from partprop.data.labels import object_ids, write_labels
from partprop.data.tracks import PartBox
from partprop.data.video import Video
from partprop.evaluation.vot import runs as supervised

FRAMES = 30


def label_map(index: int) -> np.ndarray:
    labels = np.zeros((40, 80), np.uint8)
    labels[5:15, index : index + 20] = 1
    labels[25:35, 30:50] = 2
    return labels


@pytest.fixture
def sequence(tmp_path: Path) -> Video:
    names = tuple(f"{index:05d}" for index in range(FRAMES))
    for index, name in enumerate(names):
        write_labels(tmp_path / f"{name}.png", label_map(index))
        Image.new("RGB", (80, 40), (index, 0, 0)).save(tmp_path / f"{name}.bmp")
    frames, masks = (tuple(tmp_path / f"{name}.{kind}" for name in names) for kind in ("bmp", "png"))
    return Video("two", names, frames, masks, single_object=False)


class Perfect:
    """A segmenter that follows its objects exactly; it reads the frame number from the red channel."""

    started: list[tuple[int, list[int]]]

    def __init__(self, *_: Any) -> None:
        pass

    def start(self, image: np.ndarray, labels: np.ndarray) -> None:
        self.numbers = object_ids(labels)
        self.started.append((int(image[0, 0, 0]), self.numbers))

    def step(self, image: np.ndarray) -> SimpleNamespace:
        left = {1: int(image[0, 0, 0]), 2: 30}
        boxes = [PartBox(number, 0, (left[number], 5, left[number] + 20, 15), 1.0) for number in self.numbers]
        return SimpleNamespace(boxes=[*boxes, PartBox(self.numbers[0], 1, (70, 0, 80, 5), 1.0)])


def test_each_object_restarts_alone_after_its_failures(sequence: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "Segmenter", Perfect)
    Perfect.started = []
    # the first run loses object 1 in frame 12 and has object 2 throughout
    tracked = {(frame, 2): np.array([30.0, 25, 50, 35]) for frame in sequence.frame_names}
    tracked |= {
        (frame, 1): np.array([index, 5.0, index + 20, 15]) for index, frame in enumerate(sequence.frame_names[:12])
    }
    runs = supervised.supervise_sequence(None, None, sequence, tracked)  # type: ignore[arg-type]
    assert Perfect.started == [(17, [1])]
    assert np.flatnonzero(runs[1].failed).tolist() == [12]
    assert np.flatnonzero(runs[1].overlaps == 1).tolist() == [10, 11, 27, 28, 29]
    assert not runs[2].failed.any()
    np.testing.assert_array_equal(runs[2].overlaps[10:], 1)


def test_a_frame_without_a_mask_neither_counts_nor_fails(sequence: Video, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervised, "Segmenter", Perfect)
    Perfect.started = []
    masks = tuple(None if index == 20 else mask for index, mask in enumerate(sequence.masks))
    sparse = Video("two", sequence.frame_names, sequence.frames, masks, single_object=False)
    tracked = {(frame, 2): np.array([30.0, 25, 50, 35]) for frame in sequence.frame_names if frame != "00020"}
    run = supervised.supervise_sequence(None, None, sparse, tracked)[2]  # type: ignore[arg-type]
    assert not run.failed.any()
    assert np.flatnonzero(np.isnan(run.overlaps)).tolist() == [*range(10), 20]
