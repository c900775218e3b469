"""The online loop on frames whose answer is known."""

import gc
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from partprop.base.errors import UserError
from partprop.model.building import build_network
from partprop.model.network import Network
from partprop.tracking.one_object import Moved, ObjectStep, Reading
from partprop.tracking.result import Result
from partprop.tracking.segmenter import Segmenter
from partprop.tracking.settings import Settings
from tiny import confident_network

SETTINGS = Settings(short_side=96, parts=3, lost_score=0.0, memory_every=2)


@pytest.fixture(scope="module")
def network() -> Network:
    torch.manual_seed(0)
    return build_network("lite0", 16, 16, 8, 16).eval()


def frame(seed: int = 0, size: tuple[int, int] = (96, 128)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (*size, 3), np.uint8)


def labels(size: tuple[int, int] = (96, 128)) -> np.ndarray:
    ids = np.zeros(size, np.uint8)
    ids[20:60, 30:70] = 1
    ids[50:90, 80:120] = 7
    ids[:4, :4] = 255
    return ids


def test_first_result_is_the_given_mask(network: Network):
    result = Segmenter(network, SETTINGS).start(frame(), labels())
    expected = np.where(labels() == 255, 0, labels())
    np.testing.assert_array_equal(result.labels, expected)
    whole = {part.object_id: part.box for part in result.boxes if part.part == 0}
    assert whole[1] == pytest.approx((30, 20, 70, 60))
    assert whole[7] == pytest.approx((80, 50, 120, 90))


def test_results_have_probabilities_and_confidence(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    first = segmenter.start(frame(), labels())
    assert first.confidence == {1: 1.0, 7: 1.0}
    for number, probability in first.probabilities.items():
        np.testing.assert_array_equal(probability, labels() == number)
    result = segmenter.step(frame(1))
    assert set(result.confidence) == set(result.probabilities) == {1, 7}
    for number, probability in result.probabilities.items():
        assert probability.shape == (96, 128)
        assert probability.min() >= 0
        assert probability.max() <= 1
        assert (probability[result.labels == number] > 0.3).all()


def test_an_object_can_be_added_later(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), np.where(labels() == 1, 1, 0).astype(np.uint8))
    late = np.where(labels() == 7, 7, 0).astype(np.uint8)
    result = segmenter.step(frame(1), late)
    np.testing.assert_array_equal(result.labels == 7, late == 7)
    assert set(segmenter.step(frame(2)).confidence) == {1, 7}


def test_several_objects_share_the_parts(network: Network):
    segmenter = Segmenter(network, replace(SETTINGS, parts=4))
    alone = segmenter.start(frame(), np.where(labels() == 1, 1, 0).astype(np.uint8))
    assert parts_of(alone, 1) == 4
    both = segmenter.step(frame(), np.where(labels() == 7, 7, 0).astype(np.uint8))
    assert parts_of(both, 1) == parts_of(both, 7) == 2
    more = segmenter.step(frame(), np.where(labels() == 255, 9, 0).astype(np.uint8))
    assert parts_of(more, 1) == parts_of(more, 7) == 2  # the least number


def test_objects_side_by_side_equal_objects_one_by_one(network: Network):
    before, results, given = torch.get_num_threads(), {}, labels()
    given[60:90, 5:30] = 9
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            segmenter = Segmenter(network, SETTINGS)
            segmenter.start(frame(), given)
            results[threads] = [segmenter.step(frame(number)) for number in range(3)]
    finally:
        torch.set_num_threads(before)
    for alone, beside in zip(results[1], results[2], strict=True):
        assert len(alone.probabilities) == 3
        for number, probability in alone.probabilities.items():
            np.testing.assert_allclose(beside.probabilities[number], probability, atol=1e-3)
        for ours, theirs in zip(beside.boxes, alone.boxes, strict=True):
            assert (ours.object_id, ours.part) == (theirs.object_id, theirs.part)
            assert ours.box == pytest.approx(theirs.box, abs=0.1)
            assert ours.score == pytest.approx(theirs.score, abs=1e-3)


def test_pixels_far_from_all_objects_change_nothing(network: Network):
    size, results = (96, 512), []
    for noise in (5, 6):
        segmenter = Segmenter(network, SETTINGS)
        segmenter.start(frame(0, size), np.pad(labels(), ((0, 0), (0, size[1] - 128))))
        later = frame(1, size)
        later[:, 300:] = frame(noise, size)[:, 300:]
        results.append(segmenter.step(later))
    for number, probability in results[0].probabilities.items():
        np.testing.assert_array_equal(probability, results[1].probabilities[number])


def parts_of(result: Result, object_id: int) -> int:
    return sum(part.object_id == object_id and part.part > 0 for part in result.boxes)


def test_an_object_restarts_from_a_correction(network: Network):
    corrected, begun = Segmenter(network, SETTINGS), Segmenter(network, SETTINGS)
    corrected.start(frame(), labels())
    corrected.step(frame(1))
    moved = np.roll(labels(), (5, -9), (0, 1))
    for ours, theirs in (
        (corrected.step(frame(2), moved), begun.start(frame(2), moved)),
        (corrected.step(frame(3)), begun.step(frame(3))),
    ):
        np.testing.assert_array_equal(ours.labels, theirs.labels)
        assert [(box.object_id, box.box, box.score) for box in ours.boxes] == [
            (box.object_id, box.box, box.score) for box in theirs.boxes
        ]


def test_a_correction_names_its_parts_anew(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    before = {box.part for box in segmenter.start(frame(), labels()).boxes if box.object_id == 1}
    after = {box.part for box in segmenter.step(frame(1), labels()).boxes if box.object_id == 1}
    assert before & after == {0}
    assert len(after) > 1


def test_a_correction_too_small_to_segment_counts_for_its_frame_alone(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    large, speck = (cv2.resize(labels(), (256, 192), interpolation=cv2.INTER_NEAREST), np.zeros((192, 256), np.uint8))
    speck[4, 9] = 7
    segmenter.start(frame(size=(192, 256)), large)
    result = segmenter.step(frame(1, (192, 256)), speck)
    assert result.confidence[7] == 0
    assert {box.object_id for box in result.boxes} == {1}
    np.testing.assert_array_equal(result.labels == 7, speck == 7)
    assert segmenter.step(frame(2, (192, 256))).confidence[7] > 0


def test_frames_may_be_views_with_a_negative_stride(network: Network):
    views, copies = Segmenter(network, SETTINGS), Segmenter(network, SETTINGS)
    for number in range(2):
        turned = frame(number)[..., ::-1]  # at the working resolution, so that nothing is resized
        given = labels() if number == 0 else None
        ours, theirs = views.step(turned, given), copies.step(turned.copy(), given)
        np.testing.assert_array_equal(ours.labels, theirs.labels)


@pytest.mark.parametrize("size", [(190, 251), (64, 85), (20, 200)])
def test_labels_have_the_inputs_size_and_known_ids(network: Network, size: tuple[int, int]):
    segmenter = Segmenter(network, SETTINGS)
    given = cv2.resize(labels(), size[::-1], interpolation=cv2.INTER_NEAREST)
    segmenter.start(frame(size=size), given)
    for seed in range(1, 4):
        result = segmenter.step(frame(seed, size))
        assert result.labels.shape == size
        assert result.labels.dtype == np.uint8
        assert set(np.unique(result.labels)) <= {0, 1, 7}


@pytest.mark.parametrize(
    ("size", "encoded"),
    [((192, 256), (96, 128)), ((96, 128), (96, 128)), ((64, 85), (96, 128)), ((20, 200), (64, 416))],
)
def test_frames_are_brought_to_the_working_resolution(
    network: Network, size: tuple[int, int], encoded: tuple[int, int], monkeypatch: pytest.MonkeyPatch
):
    """A shorter side of 96, but at most twice the frame's, padded to multiples of 32 pixels."""
    encode, shapes = network.encode, []
    monkeypatch.setattr(network, "encode", lambda images: shapes.append(tuple(images.shape[2:])) or encode(images))
    given = cv2.resize(labels(), size[::-1], interpolation=cv2.INTER_NEAREST)
    Segmenter(network, SETTINGS).start(frame(size=size), given)
    assert shapes == [encoded]


@pytest.mark.parametrize(
    ("image", "masks", "message"),
    [
        (frame(), labels((48, 64)), r"masks: 64x48 pixels on a frame of 128x96; resize them: cv2\.resize"),
        (frame(), labels().astype(np.int64), r"masks: int64 \(96, 128\); pass uint8"),
        (frame()[..., 0], labels(), r"frame: uint8 \(96, 128\); pass uint8 \(height, width, 3\)"),
        (frame().astype(np.float32), labels(), "frame: float32"),
        (frame(size=(0, 0)), labels((0, 0)), r"frame: uint8 \(0, 0, 3\)"),
        (frame(), np.where(labels() == 1, 255, 0).astype(np.uint8), r"masks: only the values 0 and 255 \(void\)"),
        (frame(), None, "masks are None; start with the objects' masks"),
        (frame().tolist(), labels(), "frame: list instead of a NumPy array"),
        (None, labels(), "frame: NoneType instead of a NumPy array"),  # of OpenCV's read() at the end of a video
    ],
)
def test_wrong_arrays_are_one_line(network: Network, image: np.ndarray, masks: np.ndarray, message: str):
    with pytest.raises(UserError, match=message):
        Segmenter(network, SETTINGS).start(image, masks)


def test_a_frame_of_another_size_is_one_line(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), labels())
    with pytest.raises(UserError, match="a frame of 64x96 pixels after frames of 128x96"):
        segmenter.step(frame(size=(96, 64)))
    segmenter.start(frame(size=(96, 64)), labels((96, 64)))  # another video


def test_two_segmenters_do_not_disturb_each_other(network: Network):
    def alone() -> list[np.ndarray]:
        segmenter = Segmenter(network, SETTINGS)
        segmenter.start(frame(), labels())
        return [segmenter.step(frame(seed)).labels for seed in (1, 2)]

    first, second = Segmenter(network, SETTINGS), Segmenter(network, SETTINGS)
    first.start(frame(), labels())
    second.start(frame(9), labels()[:, ::-1].copy())
    together = []
    for seed in (1, 2):
        together.append(first.step(frame(seed)).labels)
        second.step(frame(seed + 10))
    for ours, theirs in zip(together, alone(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_memory_does_not_grow_with_the_video(network: Network):
    segmenter, tensors, parts = Segmenter(network, SETTINGS), [], []
    segmenter.start(frame(), labels())
    for step in range(1, 13):
        result = segmenter.step(frame(step % 3))
        parts += [parts_of(result, number) for number in (1, 7)]
        if step % SETTINGS.memory_every == 0:
            tensors.append(tensor_elements())
    one_frame = 12 * 16 * (network.decoder.roi_size**2 + 32)  # cells of stride 8, times more than is kept of each
    assert max(tensors) - min(tensors) <= one_frame
    assert max(parts) <= SETTINGS.parts


def tensor_elements() -> int:
    """Elements of all tensors that Python holds."""
    gc.collect()
    return sum(each.numel() for each in gc.get_objects() if type(each) is torch.Tensor)


def test_of_objects_in_one_place_the_likeliest_is_visible(network: Network, monkeypatch: pytest.MonkeyPatch):
    """All claim the same pixels, none with a probability above a half; those that win none are lost."""
    given = labels()
    given[70:90, 5:25] = 9
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), given)
    claims, claimed = {1: 0.85, 7: 0.9, 9: 0.8}, torch.from_numpy((given == 1).astype(np.float32))

    def move(step: ObjectStep, looked: Reading) -> Moved:
        return Moved(looked.track, claims[looked.track.object_id] * claimed)

    monkeypatch.setattr(ObjectStep, "move", move)
    result = segmenter.step(frame(1))
    assert 0.4 < result.probabilities[7].max() < 0.5
    np.testing.assert_array_equal(result.labels, np.where(given == 1, 7, 0))
    assert {box.object_id for box in result.boxes} == {7}
    assert next(box.box for box in result.boxes if box.part == 0) == pytest.approx((30, 20, 70, 60))
    assert result.confidence[7] > 0
    assert result.confidence[1] == result.confidence[9] == 0


def test_certain_absence_is_an_empty_mask(network: Network):
    sure = Settings(short_side=96, parts=2, lost_score=1.0, memory_every=2)
    segmenter = Segmenter(network, sure)
    segmenter.start(frame(), labels())
    result = segmenter.step(frame(1))
    assert result.labels.max() == 0
    assert result.boxes == []


@pytest.mark.parametrize("ablation", ["pixel_correlation", "correlation_filter", "previous_frame"])
def test_ablations_segment_and_search(ablation: str):
    torch.manual_seed(0)
    network = build_network("lite0", 16, 16, 8, 16, **{ablation: False}).eval()
    segmenter = Segmenter(network, replace(SETTINGS, lost_score=1.0))
    segmenter.start(frame(), labels())
    assert not segmenter.step(frame(1)).boxes  # lost, at this score
    assert not segmenter.step(frame(2)).boxes  # searched for in vain
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), labels())
    assert segmenter.step(frame(1)).boxes


def test_a_lost_object_is_found_again():
    """By correlation with the reference alone."""
    network = confident_network()
    scene = cv2.resize(frame(size=(12, 16)), (128, 96), interpolation=cv2.INTER_CUBIC)
    mask = labels() == 1
    segmenter = Segmenter(network, Settings(short_side=96, parts=2, lost_score=0.5, memory_every=2))
    segmenter.start(scene, mask.astype(np.uint8))
    for _ in range(2):
        segmenter.step(scene)
    for _ in range(2):
        gone = segmenter.step(np.full_like(scene, 120))
        assert not gone.labels.any()
        assert gone.boxes == []
    found = segmenter.step(scene)
    assert (mask & (found.labels == 1)).sum() / (mask | (found.labels == 1)).sum() > 0.6
    assert [box.part for box in found.boxes][:1] == [0]


def test_nothing_is_computed_before_the_first_mask(network: Network, monkeypatch: pytest.MonkeyPatch):
    segmenter = Segmenter(network, SETTINGS)
    with monkeypatch.context() as without:
        without.setattr(network, "encode", None)
        result = segmenter.step(frame())
    assert not result.labels.any()
    assert segmenter.step(frame(), labels()).labels.any()


def test_without_objects_all_is_background(network: Network):
    segmenter = Segmenter(network, SETTINGS)
    segmenter.start(frame(), np.zeros((96, 128), np.uint8))
    assert segmenter.step(frame(1)).labels.max() == 0
