"""Synthetic data: difficulty, exact annotations, and equal bytes for equal seeds."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from pycocotools import mask as coco_mask

from partprop.data.coco import open_coco
from partprop.data.video import open_davis
from partprop.metrics.davis import boundary_f, jaccard
from partprop.synthetic import RenderSettings, write_coco, write_davis
from partprop.synthetic.polygons import polygons
from partprop.synthetic.scene import render
from partprop.synthetic.script import TARGET, Script
from partprop.synthetic.write import image_scenes, video_scripts

MINI = RenderSettings(
    seed=1,
    width=256,
    height=144,
    train_images=64,
    val_images=16,
    still_images=4,
    train_videos=24,
    val_videos=8,
    frames=32,
)
TINY = RenderSettings(
    seed=3, width=96, height=64, train_images=2, val_images=1, still_images=4, train_videos=2, val_videos=1, frames=8
)


@dataclass(frozen=True)
class Video:
    """A rendered video of the mini preset's validation split."""

    name: str
    script: Script
    images: np.ndarray
    labels: np.ndarray

    @property
    def target(self) -> np.ndarray:
        return self.labels == TARGET


@pytest.fixture(scope="module")
def videos() -> list[Video]:
    found = []
    for name, script in video_scripts(MINI, "val"):
        images, labels = zip(*(render(script.scene, frame) for frame in range(MINI.frames)), strict=True)
        found.append(Video(name, script, np.stack(images), np.stack(labels)))
    return found


def target_alone(script: Script, frame: int) -> np.ndarray:
    """The target's mask without occlusion."""
    actors = tuple(actor for actor in script.scene.actors if actor.label == TARGET)
    return render(replace(script.scene, actors=actors), frame)[1] == TARGET


def test_copying_the_first_mask_scores_low(videos: list[Video]) -> None:
    scores = []
    for video in videos:
        first, truths = video.target[0], video.target[1:-1]
        scores.append(np.mean([(jaccard(first, truth) + boundary_f(first, truth)) / 2 for truth in truths]))
    assert np.mean(scores) <= 0.45


def test_target_is_completely_visible_in_the_first_frame(videos: list[Video]) -> None:
    for video in videos:
        first = video.target[0]
        assert 0.04 <= first.mean() <= 0.15, video.name
        assert np.array_equal(first, target_alone(video.script, 0)), video.name
        assert first.sum() == first[1:-1, 1:-1].sum(), video.name


def test_target_stays_partly_in_the_frame(videos: list[Video]) -> None:
    for video in videos:
        assert all(target_alone(video.script, frame).any() for frame in range(MINI.frames)), video.name


def test_a_quarter_of_the_videos_hide_the_target_and_show_it_again(videos: list[Video]) -> None:
    hiding = [video for video in videos if video.script.hidden is not None]
    assert len(hiding) >= len(videos) / 4
    for video in hiding:
        hidden, visible = video.script.hidden, video.target.any(axis=(1, 2))
        assert hidden is not None
        assert len(hidden) >= 3
        assert not visible[hidden.start : hidden.stop].any(), video.name
        assert visible[hidden.stop :].sum() >= 5, video.name


def test_half_of_the_videos_have_a_distinguishable_look_alike(videos: list[Video]) -> None:
    holding = [video for video in videos if video.script.look_alike]
    assert len(holding) >= len(videos) / 2
    for video in holding:
        kinds = {actor.label: actor.body.kind for actor in video.script.scene.actors}
        assert kinds[TARGET + 1] == kinds[TARGET]
        histograms = [
            cv2.calcHist(
                [video.images[0]], [0, 1, 2], (video.labels[0] == label).astype(np.uint8), [4] * 3, [0, 256] * 3
            )
            for label in (TARGET, TARGET + 1)
        ]
        shares = [histogram / histogram.sum() for histogram in histograms]
        assert np.minimum(*shares).sum() < 0.9, video.name


def test_all_objects_deform_and_the_camera_moves(videos: list[Video]) -> None:
    for video in videos:
        for actor in video.script.scene.actors:
            if actor.label:
                first, later = (np.concatenate(actor.body.outlines(time)) for time in (0, 5))
                assert np.abs(first - later).max() > 0.05, video.name
        shifts = video.script.scene.camera[:, :, 2]
        assert np.ptp(shifts, axis=0).max() > 0.03 * MINI.width, video.name


def test_several_objects_are_in_the_first_frame(videos: list[Video]) -> None:
    for video in videos:
        labels = {actor.label for actor in video.script.scene.actors if actor.label}
        assert len(labels) >= 2
        assert labels == set(np.unique(video.labels[0])) - {0}, video.name


def test_training_videos_are_equally_difficult() -> None:
    scripts = [script for _, script in video_scripts(replace(MINI, train_videos=8), "train")]
    assert sum(script.hidden is not None for script in scripts) >= 2
    assert sum(script.look_alike for script in scripts) >= 4


def test_short_videos_have_no_occlusion() -> None:
    assert all(script.hidden is None for _, script in video_scripts(TINY, "train"))


def digest(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def written(folder: Path, settings: RenderSettings) -> dict[str, str]:
    write_coco(folder / "coco", settings)
    write_davis(folder / "davis", settings, 2016)
    return digest(folder)


def test_equal_seeds_give_equal_bytes(tmp_path: Path) -> None:
    threads = cv2.getNumThreads()
    first = written(tmp_path / "first", TINY)
    cv2.setNumThreads(1)
    try:
        assert written(tmp_path / "second", TINY) == first
    finally:
        cv2.setNumThreads(threads)


def test_different_seeds_give_different_images(tmp_path: Path) -> None:
    first = written(tmp_path / "first", TINY)
    other = written(tmp_path / "other", replace(TINY, seed=4))
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first if name.endswith(".jpg"))


def test_splits_differ(tmp_path: Path) -> None:
    files = written(tmp_path, TINY)
    frames = [value for name, value in files.items() if name.endswith(".jpg")]
    assert len(set(frames)) == len(frames)


def test_davis_2016_annotates_only_the_target(tmp_path: Path) -> None:
    write_davis(tmp_path, TINY, 2016)
    scripts = dict(video_scripts(TINY, "train"))
    sequences = open_davis(tmp_path, "train", 2016)
    assert [sequence.name for sequence in sequences] == ["train-00", "train-01"]
    assert [sequence.name for sequence in open_davis(tmp_path, "val", 2016)] == ["val-00"]
    for sequence in sequences:
        assert len(sequence) == TINY.frames
        with Image.open(tmp_path / "Annotations/480p" / sequence.name / "00000.png") as mask:
            assert set(np.unique(np.array(mask))) == {0, 255}
        for frame in range(TINY.frames):
            image, labels = render(scripts[sequence.name].scene, frame)
            assert np.array_equal(sequence.labels(frame), labels == TARGET)
            assert np.abs(sequence.image(frame).astype(float) - image).mean() < 8  # JPEG


def test_davis_2017_annotates_all_objects(tmp_path: Path) -> None:
    write_davis(tmp_path, TINY, 2017)
    scripts = dict(video_scripts(TINY, "val"))
    (sequence,) = open_davis(tmp_path, "val", 2017)
    for frame in range(TINY.frames):
        assert np.array_equal(sequence.labels(frame), render(scripts["val-00"].scene, frame)[1])
    assert set(np.unique(sequence.labels(0))) == {0, 1, 2, 3}


def test_coco_annotations_match_the_rendered_masks(tmp_path: Path) -> None:
    settings = replace(TINY, width=256, height=192, train_images=12)
    write_coco(tmp_path, settings)
    images = open_coco(tmp_path, "train2017")
    assert len(images) == 12
    counts = []
    for index, scene in enumerate(image_scenes(settings, "train")):
        labels = render(scene, 0)[1]
        instances = images.instances(index)
        counts.append(len(instances))
        visible = [label for label in np.unique(labels) if label and (labels == label).sum() >= 64]
        assert len(instances) == len(visible)
        for instance, label in zip(instances, visible, strict=True):
            truth = labels == label
            assert instance.mask is not None
            assert jaccard(instance.mask.astype(bool), truth) > 0.95
            rows, columns = np.nonzero(truth)
            box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert np.allclose(instance.box_xyxy, box)
            assert instance.category == scene.actors[label - 1].body.kind
    assert min(counts) >= 1
    assert max(counts) > 1


@given(
    discs=st.lists(
        st.tuples(st.integers(0, 79), st.integers(0, 59), st.integers(6, 25), st.booleans()), min_size=1, max_size=5
    )
)
def test_polygons_cover_the_mask(discs: list[tuple[int, int, int, bool]]) -> None:
    mask = np.zeros((60, 80), np.uint8)
    for x, y, radius, filled in discs:
        cv2.circle(mask, (x, y), radius, 1, thickness=-1 if filled else 5)
    decoded = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(polygons(mask), 60, 80)))
    assert jaccard(decoded.astype(bool), mask.astype(bool)) > 0.95


def test_polygons_of_an_empty_mask() -> None:
    assert polygons(np.zeros((8, 8), bool)) == []
