"""Training clips of videos and still images: masks, boxes and parts agree."""

import json
from dataclasses import fields, replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from partprop.base.errors import UserError
from partprop.data.coco import open_coco
from partprop.data.labels import mask_box, write_labels
from partprop.data.video import open_davis
from partprop.params import SyntheticData
from partprop.synthetic import write_coco, write_davis
from partprop.training.common.scenery import Scenery
from partprop.training.tracker.clips import TEACHER_FORCED_SHARE, Clip, ClipLength, carry_along, sample_part_boxes
from partprop.training.tracker.sampling import (
    MixedClips,
    StillClips,
    VideoClips,
    pick_frames,
    track_random_parts,
)

CROP, PARTS, LENGTH = 96, 2, ClipLength(4, 7, 0.2)
SETTINGS = SyntheticData(
    seed=5, width=160, height=96, train_images=8, val_images=1, still_images=4, train_videos=2, val_videos=1, frames=12
)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> VideoClips:
    folder = tmp_path_factory.mktemp("davis")
    write_davis(folder, SETTINGS, 2016)
    return VideoClips(open_davis(folder, "train", 2016), CROP, LENGTH, 6, PARTS, 0.0, None)


@pytest.fixture(scope="module")
def scenery(tmp_path_factory: pytest.TempPathFactory) -> Scenery:
    folder = tmp_path_factory.mktemp("coco")
    write_coco(folder, SETTINGS)
    return Scenery.collect([(open_coco(folder, split), 1.0) for split in ("train2017", "val2017")])


@pytest.fixture(scope="module")
def pasted(videos: VideoClips, scenery: Scenery) -> VideoClips:
    return replace(videos, paste_share=1.0, scenery=scenery)


@pytest.fixture(scope="module")
def stills(scenery: Scenery) -> StillClips:
    return StillClips(scenery, CROP, LENGTH, PARTS)


@pytest.fixture(params=["videos", "pasted", "stills"])
def clips(request: pytest.FixtureRequest):
    return request.getfixturevalue(request.param)


def test_only_annotated_frames_are_drawn(videos: VideoClips):
    masks = tuple(mask if index % 3 == 0 else None for index, mask in enumerate(videos.videos[0].masks))
    sparse = replace(videos, videos=[replace(videos.videos[0], masks=masks)])
    for clip in drawn(sparse, 6):
        assert clip.masks[0].any()


def test_images_without_usable_masks_raise_a_one_line_error(tmp_path: Path):
    write_coco(tmp_path, SETTINGS)
    file = tmp_path / "annotations/instances_train2017.json"
    content = json.loads(file.read_text())
    boxes = [{**annotation, "segmentation": []} for annotation in content["annotations"]]
    file.write_text(json.dumps({**content, "annotations": boxes}))
    with pytest.raises(UserError, match=r"instances_train2017\.json: no object has a mask"):
        Scenery.collect([(open_coco(tmp_path, "train2017"), 1.0)])


def drawn(clips, count: int = 12) -> list[Clip]:
    return [clips.draw(np.random.default_rng([7, number]), 0.5) for number in range(count)]


def test_shapes_and_types(clips):
    for clip in drawn(clips, 4):
        assert clip.images.shape == (4, CROP, CROP, 3)
        assert clip.images.dtype == np.uint8
        assert clip.masks.shape == (4, CROP, CROP)
        assert set(np.unique(clip.masks)) <= {0, 1}
        for boxes in (clip.boxes, clip.windows, clip.last_boxes):
            assert boxes.shape == (4, 1 + PARTS, 4)
            assert boxes.dtype == np.float32
            assert (boxes[..., 2:] > boxes[..., :2]).all()
        assert clip.tracked.shape == (4, 1 + PARTS)


def test_the_reference_shows_the_object_and_boxes_are_tight(clips):
    for clip in drawn(clips):
        np.testing.assert_array_equal(clip.boxes[0, 0], mask_box(clip.masks[0]))
        np.testing.assert_array_equal(clip.windows[0], clip.boxes[0])
        for time in range(4):
            box = mask_box(clip.masks[time])
            if clip.tracked[time, 0]:
                assert box is not None
                np.testing.assert_array_equal(clip.boxes[time, 0], box)


def test_the_same_seed_draws_the_same_clips(clips):
    for first, second in zip(drawn(clips, 3), drawn(clips, 3), strict=True):
        for field in fields(Clip):
            np.testing.assert_array_equal(getattr(first, field.name), getattr(second, field.name))


def test_after_a_far_reference_the_previous_mask_is_blank_and_the_search_starts_near_the_object(videos: VideoClips):
    kinds = set()
    for clip in drawn(videos, 30):
        kinds.add(float(clip.remembered[1]))
        if clip.remembered[1] == 0 and clip.tracked[1, 0]:
            centre, last = ((boxes[1, 0, :2] + boxes[1, 0, 2:]) / 2 for boxes in (clip.boxes, clip.last_boxes))
            size = clip.boxes[1, 0, 2:] - clip.boxes[1, 0, :2]
            assert (np.abs(centre - last) <= 0.5 * size).all()  # near its current position, not the reference's
    assert kinds == {0.0, 1.0}


def test_three_annotated_frames_are_enough(videos: VideoClips):
    masks = tuple(mask if index < 3 else None for index, mask in enumerate(videos.videos[0].masks))
    short = replace(videos, videos=[replace(videos.videos[0], masks=masks)])
    assert all(clip.masks[0].any() for clip in drawn(short, 6))


def test_pasted_backgrounds_and_occluders_do_not_move_the_object(videos: VideoClips, pasted: VideoClips):
    generator = np.random.default_rng(3)
    masks = [np.zeros((CROP, CROP), np.uint8)]
    masks[0][20:70, 30:60] = 1
    view = np.full((CROP, CROP, 3), 255, np.uint8)
    assert pasted.scenery is not None
    changed = hidden = 0
    for _ in range(12):
        scene = pasted.scenery.sample_scene(generator, CROP, 1.0, 1.0)
        shown, (seen,) = scene.apply(generator, view, masks, 0.5)
        assert (shown[seen > 0] == 255).all()
        assert not seen[masks[0] == 0].any()
        changed += (shown[masks[0] == 0] != 255).any()
        hidden += seen.sum() < masks[0].sum()
    assert changed == 12
    assert hidden > 0


def test_parts_of_videos_are_tracked_only_from_a_near_reference(videos: VideoClips):
    clip = drawn(videos, 1)[0]
    views, masks = [clip.images[0]] * 4, [clip.masks[0]] * 4
    for far in (False, True):
        parts = track_random_parts(np.random.default_rng(0), views, masks, PARTS, far)
        assert parts.tracked[:, 0].all()
        assert (parts.tracked[1:, 1:] == (not far)).all()
        np.testing.assert_allclose(parts.true[3], parts.true[0], atol=0.5)
        np.testing.assert_array_equal(parts.carried, parts.carried[:1].repeat(4, 0))


def test_true_boxes_follow_the_texture_and_carried_boxes_the_object():
    """A turning ball: its mask stays in place while its texture moves."""
    y, x = np.mgrid[:CROP, :CROP]
    mask = ((x - 48) ** 2 + (y - 48) ** 2 < 40**2).astype(np.uint8)
    ground = cv2.GaussianBlur(np.random.default_rng(2).integers(0, 255, (CROP, CROP, 3)).astype(np.uint8), (0, 0), 2)
    ground = cv2.normalize(ground, None, 0, 255, cv2.NORM_MINMAX)
    views = [np.roll(ground, 2 * time, 1) for time in range(4)]
    parts = track_random_parts(np.random.default_rng(0), views, [mask] * 4, PARTS, far=False)
    assert parts.tracked.all()
    np.testing.assert_array_equal(parts.carried, parts.carried[:1].repeat(4, 0))
    np.testing.assert_allclose(parts.true[3, 1:] - parts.true[0, 1:], [[6, 0, 6, 0]] * PARTS, atol=0.5)


@pytest.mark.parametrize(("progress", "reach"), [(0.0, 2), (0.25, 4), (0.5, 6), (1.0, 6)])
def test_the_gap_to_the_reference_grows_with_progress(progress: float, reach: int):
    """From a quarter of max_gap, rounded, to all of it in the middle of the training."""
    generator = np.random.default_rng(1)
    drawn = [pick_frames(generator, list(range(12)), 4, 6, progress) for _ in range(400)]
    gaps = [abs(indices[1] - indices[0]) for indices, _ in drawn]
    assert max(gaps) == reach
    assert 1 - np.mean([far for _, far in drawn]) == pytest.approx(2 / reach, abs=0.08)


def test_frame_2_of_clips_with_a_far_reference_is_teacher_forced_in_half_of_them(videos: VideoClips):
    clips = drawn(videos, 80)
    far = np.array([clip.remembered[1] == 0 for clip in clips])
    forced = np.array([clip.teacher_forced for clip in clips])
    assert not forced[:, [0, 1, 3]].any()
    assert not forced[~far].any()
    assert forced[far, 2].mean() == pytest.approx(TEACHER_FORCED_SHARE, abs=0.2)


def test_videos_of_tiny_objects_raise_a_one_line_error(videos: VideoClips, tmp_path: Path):
    write_davis(tmp_path, SETTINGS, 2016)
    for file in (tmp_path / "Annotations").rglob("*.png"):
        speck = np.zeros((SETTINGS.height, SETTINGS.width), np.uint8)
        speck[40:42, 70:72] = 1
        write_labels(file, speck)
    with pytest.raises(UserError, match="train-00, train-01: almost no object has 64 pixels"):
        replace(videos, videos=open_davis(tmp_path, "train", 2016)).draw(np.random.default_rng(0), 0.5)


def test_still_clips_with_too_small_crops_raise_a_one_line_error(stills: StillClips):
    with pytest.raises(UserError, match="json: almost no object has 64 pixels"):
        replace(stills, crop=6).draw(np.random.default_rng(0), 0.5)


def test_clips_are_longer_late_in_the_training(clips):
    for progress, frames in ((0.0, 4), (0.79, 4), (0.8, 7), (0.99, 7)):
        clip = clips.draw(np.random.default_rng(3), progress)
        assert clip.images.shape == (frames, CROP, CROP, 3)
        assert clip.masks.shape == (frames, CROP, CROP)
        for field in ("boxes", "windows", "last_boxes", "tracked", "remembered", "teacher_forced", "drift", "patches"):
            assert len(getattr(clip, field)) == frames


def test_without_a_late_share_no_clip_is_longer():
    assert ClipLength(4, 7, 0.0).at(1.0) == 4


def test_a_clip_may_have_no_parts(videos: VideoClips):
    for clip in drawn(replace(videos, parts=0), 6):
        assert clip.boxes.shape == (4, 1, 4)


def test_parts_of_still_clips_are_tight_around_the_object(stills: StillClips):
    known = 0
    for clip in drawn(stills):
        for time in range(4):
            for part in range(1, 1 + PARTS):
                if clip.tracked[time, part]:
                    x1, y1, x2, y2 = clip.boxes[time, part].astype(int)
                    window = clip.masks[time][y1:y2, x1:x2]
                    assert window[0].any()
                    assert window[:, 0].any()
                    known += 1
    assert known > 12


def test_the_share_of_still_clips_is_kept():
    class Always:
        def __init__(self, still: bool) -> None:
            self.still = still

        def draw(self, rng: np.random.Generator, progress: float) -> bool:
            return self.still

    mixed = MixedClips(Always(False), Always(True), 0.25)
    assert np.mean(drawn(mixed, 400)) == pytest.approx(0.25, abs=0.07)


def test_random_parts_are_centred_on_the_mask():
    mask = np.zeros((50, 60), np.uint8)
    mask[10:40, 20:50] = 1
    for box in sample_part_boxes(np.random.default_rng(0), mask, 20):
        x, y = (box[:2] + box[2:]) / 2
        assert mask[int(y), int(x)]
        assert (box[2:] - box[:2] <= 0.75 * 30 + 1e-3).all()


def test_carried_parts_keep_their_place_in_the_object():
    parts = np.array([[0.0, 0, 10, 10], [5, 5, 10, 10]])
    moved = carry_along(parts, np.array([0.0, 0, 10, 10]), np.array([20.0, 30, 40, 70]))
    np.testing.assert_allclose(moved, [[20, 30, 40, 70], [30, 50, 40, 70]])
